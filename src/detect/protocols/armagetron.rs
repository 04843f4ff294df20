//! Armagetron: a login of kind 11, number 0, words that follow, then the sender's number.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::ARMAGETRON, &[4534], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([0, 11, 0, 0]) = view.at(0) else { return Verdict::No };
    let words = view.u16_at(4).map_or(0, usize::from);
    let fits = words > 0 && words.saturating_mul(2).saturating_add(8) == view.len;
    Verdict::when(fits && view.data.ends_with(&[0, 0]), Protocol::ARMAGETRON)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_login_fills_the_datagram() {
        assert_eq!(of(4534, "000b 0000 0002 00010002 0000"), Protocol::ARMAGETRON);
        assert_eq!(of(4534, "000b 0000 0003 00010002 0000"), Protocol::UNKNOWN);
    }
}
