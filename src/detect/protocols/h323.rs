//! H.323: call signalling (H.225.0 in Q.931) and control (H.245) over TPKT (RFC 1006), and
//! registration (RAS) over UDP. Messages carry the object identifier of their standard.

use crate::detect::text::is_text;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::H323, &[1720, 1719, 1718], dissect);

/// 0.0.8.2250 and 0.0.8.245, with their length left out.
const H225: &[u8] = &[0x00, 0x08, 0x91, 0x4a];
const H245: &[u8] = &[0x00, 0x08, 0x81, 0x75];

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        return Verdict::when(is_registration(view), Protocol::H323);
    }
    match view.at(0) {
        None if view.first().is_none_or(|octet| octet == 3) => return Verdict::Wait,
        Some([3, 0, 0, 9..=255] | [3, 0, 1..=0x0f, _]) => {}
        _ => return Verdict::No,
    }
    let Some([a, b, c, d, e, f]) = view.at(4) else {
        return if view.len < 10 { Verdict::Wait } else { Verdict::No };
    };
    // Q.931: discriminator, call reference of one or two octets, kind of message.
    let kind = match (a, b) {
        (8, 2) => e,
        (8, 1) => d,
        // H.245 of a known kind: capabilities, or who is master.
        (2, _) if has(view, H245) => return Verdict::Is(Protocol::H323),
        (1, 0) if view.at(0) == Some([3, 0, 0, 11]) && c == 0x80 => {
            return if view.number < 6 { Verdict::Wait } else { Verdict::No };
        }
        _ => return Verdict::No,
    };
    let known = matches!(
        kind,
        1 | 2 | 3 | 5 | 7 | 0x0d | 0x0f | 0x45 | 0x4d | 0x5a | 0x62 | 0x6e | 0x7b | 0x7d
    ) && f != 0;
    Verdict::when(known && (view.has_port(1720) || has(view, H225)), Protocol::H323)
}

/// A request to a gatekeeper or its answer; most name the standard near their beginning.
fn is_registration(view: &View<'_>) -> bool {
    let Some([first, _]) = view.at(0) else { return false };
    let near = view.data.get(..24).unwrap_or(view.data);
    let named = near.windows(H225.len()).any(|window| window == H225);
    let port = view.has_port(1719) || view.has_port(1718);
    // A choice of some thirty messages in the upper bits; what is packed so is no text.
    first < 0x80
        && !is_text(near)
        && (named && view.len >= 9 || port && first & 3 <= 2 && view.len >= 7 && first != 0)
}

/// An identifier stands in the first 256 octets.
fn has(view: &View<'_>, identifier: &[u8]) -> bool {
    let near = view.data.get(..256).unwrap_or(view.data);
    near.windows(identifier.len()).any(|window| window == identifier)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    const SETUP: &str = "0300001c 08 02 77f4 05 04038090a5 7e 0009 05 20a8 0600 08914a 0004 01";

    #[test]
    fn a_call_is_set_up() {
        let talk = Talk::tcp(1720).client(&hex(SETUP));
        assert_eq!(talk.protocol(), Protocol::H323);
        talk.survives();
        assert_eq!(Talk::tcp(1721).client(&hex(SETUP)).protocol(), Protocol::H323);
        let cotp = hex("03000013 0e e0 0000 0000 00 01 00 08 00 00000000");
        assert_ne!(Talk::tcp(1721).client(&cotp).protocol(), Protocol::H323);
    }

    #[test]
    fn a_gatekeeper_is_asked() {
        let ask = hex("0e80 4692 06 0008914a 0006 0001 000a");
        assert_eq!(Talk::udp(1719).client(&ask).protocol(), Protocol::H323);
        assert_eq!(Talk::udp(99).client(&ask[..5]).protocol(), Protocol::UNKNOWN);
    }
}
