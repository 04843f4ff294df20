//! Genshin Impact: KCP's handshake in the form of miHoYo has a kind, number, token, a constant and
//! a mark at its end.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::GENSHIN_IMPACT, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let ends = (view.u32_at(0), view.u32_at(16));
    let known = matches!(
        ends,
        (Some(0xff), Some(0xffff_ffff))
            | (Some(0x145), Some(0x1451_4545))
            | (Some(0x194), Some(0x1941_9494))
    );
    Verdict::when(known && view.len == 20, Protocol::GENSHIN_IMPACT)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_handshake_has_two_marks() {
        let token = "000000ff 00000000 00000000 499602d2 ffffffff";
        assert_eq!(of(22_101, token), Protocol::GENSHIN_IMPACT);
    }
}
