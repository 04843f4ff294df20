//! League of Legends: Wild Rift. The gateway's hello has a mark, its version and a text; the
//! game's begins with the size of a key that is sealed.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::WILD_RIFT, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let gateway = view.starts(&[1, 2, 0xc8, 0x41, 0, 0, 0, 1, 0, 1, 0]) && view.len >= 20;
    let game = (10_000..=19_999).contains(&view.server_port)
        && (view.starts(&[4, 0, 0, 0]) && view.len == 69
            || view.starts(&[0x10, 0, 0, 0]) && view.len == 359);
    Verdict::when(gateway || game, Protocol::WILD_RIFT)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_gateway_is_asked() {
        let ask = hex("0102c841 00000001 0001 0001 00640004 00041304 2310");
        assert_eq!(Talk::udp(18_001).client(&ask).protocol(), Protocol::WILD_RIFT);
        assert_eq!(Talk::udp(18_001).client(&ask[..19]).protocol(), Protocol::UNKNOWN);
    }
}
