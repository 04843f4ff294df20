//! CoAP: RFC 7252.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::COAP, &[5683], dissect);

/// Options looked at.
const MAX_OPTIONS: usize = 24;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    match read(view, facts) {
        // Elsewhere than at home something of a request must show.
        Some(is_shown) if is_shown || view.has_port(5683) => Verdict::Is(Protocol::COAP),
        _ => Verdict::No,
    }
}

/// The options, told to be sensible; whether there is a host or a path among them.
fn read(view: &View<'_>, facts: &mut Facts) -> Option<bool> {
    let mut cursor = view.cursor();
    let (first, code) = (cursor.u8()?, cursor.u8()?);
    let token = usize::from(first & 0x0f);
    if first & 0xc0 != 0x40 || token > 8 {
        return None;
    }
    cursor.skip(2)?;
    let is_request = matches!(code, 1..=7);
    match code {
        // Empty: an acknowledgement, a reset, a probe.
        0 => return (token == 0 && view.len == 4).then_some(false),
        1..=7 | 0x41..=0x45 | 0x5f | 0x80..=0x88 | 0x8c | 0x8d | 0x8f | 0xa0..=0xa5 => {}
        _ => return None,
    }
    cursor.skip(token)?;
    let (mut number, mut is_shown) = (0_u32, false);
    for _ in 0..MAX_OPTIONS {
        let Some(octet) = cursor.u8() else { break };
        if octet == 0xff {
            // What is marked is there.
            return (!cursor.is_empty() || view.len > view.data.len()).then_some(is_shown);
        }
        let delta = extended(octet >> 4, &mut cursor)?;
        let len = extended(octet & 0x0f, &mut cursor)?;
        number = number.saturating_add(delta);
        let value = cursor.take(usize::try_from(len).ok()?)?;
        // The highest number that is registered.
        if number > 65_535 || value.len() > 1_034 {
            return None;
        }
        if is_request && matches!(number, 3 | 11 | 15) {
            if !value.iter().all(|octet| *octet >= b' ') {
                return None;
            }
            is_shown |= number != 15 && !value.is_empty();
            if number == 3 {
                facts.put(Fact::Host, value);
            }
        }
    }
    Some(is_shown)
}

/// Small numbers by themselves, others in one or two octets that follow.
fn extended(nibble: u8, cursor: &mut Cursor<'_>) -> Option<u32> {
    match nibble {
        13 => Some(u32::from(cursor.u8()?).saturating_add(13)),
        14 => Some(u32::from(cursor.u16()?).saturating_add(269)),
        15 => None,
        _ => Some(nibble.into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_request_shows_its_path() {
        let get = b"\x41\x01\x12\x34\x05\x34host\x84temp";
        let talk = Talk::udp(7_000).client(get);
        assert_eq!(talk.protocol(), Protocol::COAP);
        Talk::udp(5683).client(get).survives();
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("host"));
    }

    #[test]
    fn an_answer_is_known_at_home() {
        let content = hex("60 45 12 34 c0 ff 32 32");
        assert_eq!(Talk::udp(5683).server(&content).protocol(), Protocol::COAP);
        assert_eq!(Talk::udp(5000).server(&content).protocol(), Protocol::UNKNOWN);
        let cut = hex("60 45 12 34 c4 ff");
        assert_eq!(Talk::udp(5683).server(&cut).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(5683).client(&hex("40 00 12 34")).protocol(), Protocol::COAP);
        assert_eq!(Talk::udp(5683).client(&hex("40 00 12 34 00")).protocol(), Protocol::UNKNOWN);
    }
}
