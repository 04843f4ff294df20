//! Tuya's things in the local network (tinytuya's documentation): frames between two marks (55AA,
//! or 6699 of version 3.5), with number, command, length.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::TUYA, &[6666, 6667, 6668], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let old = view.starts(&[0, 0, 0x55, 0xaa]) && view.is_counted32(12, 16);
    let new = view.starts(&[0, 0, 0x66, 0x99]) && view.is_counted32(14, 22);
    Verdict::when(old || new, Protocol::TUYA)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn frames_have_their_length() {
        assert_eq!(
            of(6667, "000055aa 00000000 00000013 00000008 00000000 0000aa55"),
            Protocol::TUYA
        );
        assert_eq!(
            of(6667, "000055aa 00000000 00000013 00000009 00000000 0000aa55"),
            Protocol::UNKNOWN
        );
    }
}
