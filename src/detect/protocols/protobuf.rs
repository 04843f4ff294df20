//! Protocol Buffers: their documentation, "Encoding". There is no mark of any kind: a message that
//! reads as fields from end to end with text among them is taken for it when nobody else knows the
//! flow; if there are but numbers, several messages must agree.

use crate::detect::cursor::Cursor;
use crate::detect::text::{is_printable, is_text};
use crate::detect::view::GLIMPSE;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::PROTOBUF, &[], dissect).weak();

/// Fields looked at.
const MAX_FIELDS: usize = 64;
/// The highest number of a field (29 bits).
const MAX_NUMBER: u64 = (1 << 29) - 1;
/// Messages without text that must agree, this one among them.
const MESSAGES: usize = 4;
/// Letters of a text that is taken for one.
const TEXT: usize = 3;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    // A stream shows all from its beginning: later messages of it are known by their glimpses.
    if view.is_udp() || view.number == 1 {
        if view.len != view.data.len() || !view.is_start {
            return Verdict::No;
        }
        match read(view.data) {
            None => return Verdict::No,
            Some(true) => return Verdict::Is(Protocol::PROTOBUF),
            Some(false) => {}
        }
    }
    let agree = view.past.iter().all(|glimpse| {
        let message = glimpse.head.get(..usize::from(glimpse.len));
        glimpse.head.first() == view.data.first() && message.is_none_or(|m| read(m).is_some())
    });
    if !agree {
        return Verdict::No;
    }
    let is_short = view.past.iter().any(|glimpse| usize::from(glimpse.len) <= GLIMPSE);
    let is_enough = view.past.len().saturating_add(1) >= MESSAGES && is_short;
    if is_enough { Verdict::Is(Protocol::PROTOBUF) } else { Verdict::Wait }
}

/// Reads fields up to the end, which may be in the middle of a tag; whether there is a text among
/// them. `None` if these are none, or too few.
fn read(message: &[u8]) -> Option<bool> {
    // Letters and digits read as fields too: words and lines are just that.
    if is_text(message) && message.iter().any(u8::is_ascii_whitespace) {
        return None;
    }
    let mut cursor = Cursor::new(message);
    let (mut fields, mut last, mut has_text) = (0_usize, 0, false);
    while !cursor.is_empty() && fields < MAX_FIELDS {
        let tag = varint(&mut cursor)?;
        // One octet too many: the end of a line, or of a message before the next.
        if cursor.is_empty() {
            break;
        }
        let number = tag >> 3;
        if number == 0 || number > MAX_NUMBER || number < last {
            return None;
        }
        last = number;
        match tag & 7 {
            0 => _ = varint(&mut cursor)?,
            1 => cursor.skip(8)?,
            2 => {
                let len = usize::try_from(varint(&mut cursor)?).ok()?;
                let value = cursor.take(len)?;
                has_text |= value.len() >= TEXT && is_printable(value);
            }
            5 => cursor.skip(4)?,
            _ => return None,
        }
        fields = fields.saturating_add(1);
    }
    (fields >= 2 && message.len() >= 4).then_some(has_text)
}

/// A number in groups of seven bits, at most ten, as short as can be.
fn varint(cursor: &mut Cursor<'_>) -> Option<u64> {
    let mut value = 0_u64;
    for shift in [0_u32, 7, 14, 21, 28, 35, 42, 49, 56, 63] {
        let octet = cursor.u8()?;
        value |= u64::from(octet & 0x7f).wrapping_shl(shift);
        if octet & 0x80 == 0 {
            return (octet != 0 || shift == 0).then_some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_text_among_fields_will_do() {
        let message = hex("12 03 62 61 6c 1a 02 08 01 20 07 0a");
        assert_eq!(Talk::tcp(12_345).client(&message).protocol(), Protocol::PROTOBUF);
        let mut other = message;
        other[0] = 0x13;
        assert_eq!(Talk::tcp(12_345).client(&other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn numbers_need_several_messages() {
        let message = hex("48 01 50 07");
        let mut talk = Talk::udp(12_345);
        for _ in 0..3 {
            talk = talk.client(&message);
            assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        }
        assert_eq!(talk.client(&message).protocol(), Protocol::PROTOBUF);
    }
}
