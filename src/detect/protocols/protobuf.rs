//! Protocol Buffers: their documentation, "Encoding". There is no mark of any kind: what is read
//! as fields from end to end in several messages is taken for it, when nobody else knows the flow.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::PROTOBUF, &[], dissect).weak();

/// Fields looked at.
const MAX_FIELDS: usize = 64;
/// The highest number that hand-written messages have.
const MAX_NUMBER: u64 = 200;
/// Messages that must fit.
const MESSAGES: u8 = 2;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.len != view.data.len() || !is_message(view.data) {
        return Verdict::No;
    }
    if view.number >= MESSAGES { Verdict::Is(Protocol::PROTOBUF) } else { Verdict::Wait }
}

/// Fields up to the end, of them a text or a message and numbers, none of the retired kinds.
fn is_message(data: &[u8]) -> bool {
    let mut cursor = Cursor::new(data);
    let (mut counted, mut others, mut last) = (0_u8, 0_u8, 0);
    for _ in 0..MAX_FIELDS {
        if cursor.is_empty() {
            break;
        }
        let Some(tag) = varint(&mut cursor) else { return false };
        let number = tag >> 3;
        if number == 0 || number > MAX_NUMBER || number < last {
            return false;
        }
        last = number;
        let read = match tag & 7 {
            0 => varint(&mut cursor).map(|_| ()),
            1 => cursor.skip(8),
            2 => varint(&mut cursor).and_then(|len| cursor.skip(usize::try_from(len).ok()?)),
            5 => cursor.skip(4),
            _ => None,
        };
        if read.is_none() {
            return false;
        }
        if tag & 7 == 2 {
            counted = counted.saturating_add(1);
        } else {
            others = others.saturating_add(1);
        }
    }
    cursor.is_empty() && counted > 0 && counted.saturating_add(others) >= 3
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
    fn several_messages_fit() {
        let message = hex("08 01 12 03 62 61 6c 1a 02 08 01 20 07");
        let talk = Talk::udp(12_345).client(&message);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.client(&message).protocol(), Protocol::PROTOBUF);
        let mut other = message;
        other[0] = 0x0f;
        let talk = Talk::udp(12_345).client(&other).client(&other);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
    }
}
