//! AYIYA (draft-massar-v6ops-ayiya): identity of 16 octets, SHA-1, a shared secret, and IPv6 or
//! nothing to forward.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::AYIYA, &[5072], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found =
        matches!(view.at(0), Some([0x44, 0x52, 0x10 | 0x11, 0x29 | 0x3b])) && view.len >= 44;
    Verdict::when(found, Protocol::AYIYA)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_packet_is_forwarded() {
        let mut ayiya = hex("44521129 5f000000");
        ayiya.resize(80, 0);
        assert_eq!(Talk::udp(5072).client(&ayiya).protocol(), Protocol::AYIYA);
    }
}
