//! Mumble's ping (mumble-protocol.readthedocs.io): asks with zeros and a number, answers with the
//! version, the number, players and bandwidth.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::MUMBLE, &[64738], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = match view.len {
        12 => view.u32_at(0) == Some(0) && view.has_port(64738),
        24 => {
            let number = view.data.get(4..12);
            view.past.iter().any(|past| past.len == 12 && past.head.get(4..12) == number)
                && matches!(view.at(0), Some([0, 1 | 2, _, _]))
        }
        _ => false,
    };
    Verdict::when(found, Protocol::MUMBLE)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_ping_at_its_port() {
        let ping = hex("00000000 0102030405060708");
        assert_eq!(Talk::udp(64_738).client(&ping).protocol(), Protocol::MUMBLE);
        assert_eq!(Talk::udp(64_739).client(&ping).protocol(), Protocol::UNKNOWN);
    }
}
