//! Matter, message header (1.0 Core Specification, 4.4): session 0 without security and the
//! sender's number, then the secure channel protocol.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::MATTER, &[5540], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([flags, 0, 0, security]) = view.at(0) else { return Verdict::No };
    if flags & 0xf8 != 0 || security != 0 {
        return Verdict::No;
    }
    let source = if flags & 4 != 0 { 8 } else { 0_usize };
    let target = match flags & 3 {
        1 => 8,
        2 => 2,
        0 => 0,
        _ => return Verdict::No,
    };
    let at = source.saturating_add(target).saturating_add(8);
    let Some([exchange, code, _, _, 0, 0]) = view.at(at) else { return Verdict::No };
    let known = matches!(code, 0x00 | 0x10 | 0x20..=0x24 | 0x30..=0x33 | 0x40 | 0x50);
    // The first messages of a session come from who began, and want to be acknowledged.
    let begins = flags & 4 != 0 && exchange == 5 && matches!(code, 0x20 | 0x30);
    let at_port = view.has_port(5540) && exchange & 0xe8 == 0 && known;
    Verdict::when(at_port || begins && view.len > 40, Protocol::MATTER)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_session_begins() {
        let pairing = "04000000 01020304 0000000000000001 05 20 3412 0000 1530";
        assert_eq!(of(5540, pairing), Protocol::MATTER);
        assert_eq!(of(5541, pairing), Protocol::UNKNOWN);
        Talk::udp(5540).client(&hex(pairing)).survives();
    }
}
