//! Syncthing: Local Discovery Protocol v4, Block Exchange Protocol's hello, Relay Protocol v1.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::SYNCTHING, &[21027, 22067], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(&[0x2e, 0xa7, 0xd9, 0x0b], Protocol::SYNCTHING) {
        Verdict::No if view.is_tcp() => {
            view.opens(&[0x9e, 0x79, 0xbc, 0x40, 0, 0, 0], Protocol::SYNCTHING)
        }
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn an_announcement_and_a_relay() {
        let magic = hex("2ea7d90b0a20");
        assert_eq!(Talk::udp(21_027).client(&magic).protocol(), Protocol::SYNCTHING);
        let relay = hex("9e79bc40 00000000 00000000");
        assert_eq!(Talk::tcp(22_067).client(&relay).protocol(), Protocol::SYNCTHING);
        let other = hex("2ea7d90c0a20");
        assert_eq!(Talk::udp(21_027).client(&other).protocol(), Protocol::UNKNOWN);
    }
}
