//! LIFX, its LAN protocol: the size, then the number 1024 of the protocol with flags; a
//! kind of message and two octets of nothing end the header.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::LIFX, &[56700], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.is_counted16_le(0, 0)
        && view.len >= 36
        && view.u16_le_at(2).is_some_and(|bits| bits & 0xdfff == 0x1400)
        && matches!(view.at(32), Some([_, 0..=3, 0, 0]));
    Verdict::when(found, Protocol::LIFX)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_lamp_is_asked() {
        let lamp = format!("2400 0034 {}", "00".repeat(32));
        assert_eq!(of(56_700, &lamp), Protocol::LIFX);
    }
}
