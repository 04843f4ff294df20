//! Battle.net (bnetdocs.org): the first packet of StarCraft II's login; earlier games choose
//! protocol 1, then send messages with a mark and a length.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::STARCRAFT, &[1119], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_port = view.has_port(1119) || view.has_port(6112);
    match view.at(0) {
        Some([0x4a, 0, 0, 0x0a, 0x66, 2, 0x0a, 0xed, 0x2d, 0x66]) => {
            Verdict::Is(Protocol::STARCRAFT)
        }
        _ if !at_port || view.is_udp() => Verdict::No,
        // SID_AUTH_INFO.
        _ => match view.at(0) {
            Some([1, 0xff, 0x50, _, 0, 0, 0, 0, 0]) => Verdict::Is(Protocol::STARCRAFT),
            None if view.first().is_none_or(|octet| octet == 1 || octet == 0x4a) => Verdict::Wait,
            _ => Verdict::No,
        },
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn logins_of_battle_net() {
        let login = hex("4a00000a66020aed2d66");
        let talk = Talk::tcp(1119).client(&login);
        assert_eq!(talk.protocol(), Protocol::STARCRAFT);
        talk.survives();
        let old = hex("01 ff50 3a00 00000000 36385849");
        assert_eq!(Talk::tcp(6112).client(&old).protocol(), Protocol::STARCRAFT);
    }
}
