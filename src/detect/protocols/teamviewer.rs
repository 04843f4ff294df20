//! TeamViewer: marks of the protocol's versions with a command; over UDP behind eleven octets.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::TEAMVIEWER, &[5938], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        let found = matches!(view.at(11), Some([0x17, 0x24])) && view.at(0) == Some([0; 8]);
        return Verdict::when(found && view.len >= 20, Protocol::TEAMVIEWER);
    }
    match view.at(0) {
        Some([0x17, 0x24, command, _, _]) => {
            Verdict::when((9..=0x50).contains(&command), Protocol::TEAMVIEWER)
        }
        Some([0x11, 0x30, command, _, 0]) => {
            Verdict::when((9..=0x50).contains(&command), Protocol::TEAMVIEWER)
        }
        None if matches!(view.first(), None | Some(0x17 | 0x11)) => Verdict::Wait,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn marks_over_both_transports() {
        let hello = hex("17240a20000000000000000000");
        assert_eq!(Talk::tcp(5938).client(&hello).protocol(), Protocol::TEAMVIEWER);
        let mut way = vec![0; 10];
        way.extend(hex("03172447500005000000"));
        assert_eq!(Talk::udp(36_037).client(&way).protocol(), Protocol::TEAMVIEWER);
    }
}
