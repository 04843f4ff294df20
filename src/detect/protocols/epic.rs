//! Epic Games: Unreal's handshake without state, version and kind in its bits, as Fortnite's
//! servers (UDP 9000 to 9100, 15000 and up) have it.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::EPIC_GAMES, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_port =
        (9000..=9100).contains(&view.server_port) || (15_000..=15_300).contains(&view.server_port);
    let marked = matches!(view.at(0), Some([_, 0x1a, 0x20, 0, 8 | 0x10 | 0, _, _, _, _, 4]));
    Verdict::when(at_port && marked && (40..=80).contains(&view.len), Protocol::EPIC_GAMES)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_handshake_at_the_ports() {
        let mut hello = hex("871a2000 08 98226574 04");
        hello.resize(49, 0);
        assert_eq!(Talk::udp(15_011).client(&hello).protocol(), Protocol::EPIC_GAMES);
        assert_eq!(Talk::udp(25_011).client(&hello).protocol(), Protocol::UNKNOWN);
    }
}
