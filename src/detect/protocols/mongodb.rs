//! MongoDB: its documentation, "MongoDB Wire Protocol".

use crate::detect::cursor::Cursor;
use crate::detect::text::is_printable;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::tcp(Protocol::MONGODB, &[27_017, 27_018], dissect);

/// Octets of the header.
const HEADER: u32 = 16;
/// Octets that a message has at most.
const LARGEST: u32 = 48_000_000;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.judge(Protocol::MONGODB, fits(view.data))
}

fn fits(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (len, _request) = (cursor.u32_le()?, cursor.u32_le()?);
    let (answers, operation) = (cursor.u32_le()?, cursor.u32_le()?);
    if !(HEADER..=LARGEST).contains(&len) {
        return Some(false);
    }
    let body = len.saturating_sub(HEADER);
    match operation {
        // Flags, cursor, first document, number of documents.
        1 => {
            let (flags, _) = (cursor.u32_le()?, cursor.u64()?);
            let (_, documents) = (cursor.u32_le()?, cursor.u32_le()?);
            let is_header = flags <= 15 && answers != 0 && documents <= 100_000;
            // Documents begin with their size.
            let is_body = match body {
                20 => documents == 0,
                25.. if documents > 0 => (5..=body.saturating_sub(20)).contains(&cursor.u32_le()?),
                _ => false,
            };
            Some(is_header && is_body)
        }
        // Zero or flags, the name of a collection.
        2001 | 2002 | 2004 | 2005 | 2006 => {
            let flags = cursor.u32_le()?;
            let name = cursor.until(0);
            let is_name =
                |name: &[u8]| name.len() >= 3 && name.contains(&b'.') && is_printable(name);
            let is_first = matches!(answers, 0 | u32::MAX);
            Some(flags <= 0xff && is_first && body >= 8 && is_name(name?))
        }
        // A message within, compressed by one of four ways.
        2012 => {
            let (inner, size, way) = (cursor.u32_le()?, cursor.u32_le()?, cursor.u8()?);
            let is_operation = inner == 1 || (2001..=2013).contains(&inner);
            Some(is_operation && size <= LARGEST && way <= 3)
        }
        // Flags, sections: the first is a document most often.
        2013 => {
            let (flags, kind, size) = (cursor.u32_le()?, cursor.u8()?, cursor.u32_le()?);
            Some(flags & 0xfffe_fffc == 0 && kind <= 1 && (5..body).contains(&size))
        }
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn queries_and_messages() {
        let mut query = hex("3a000000 01000000 00000000 d4070000 04000000");
        query.extend_from_slice(b"admin.$cmd\0\0\0\0\0\xff\xff\xff\xff");
        assert_eq!(Talk::tcp(27_017).client(&query).protocol(), Protocol::MONGODB);
        let message = hex("2a000000 07000000 00000000 dd070000 00000000 00 15000000 10");
        assert_eq!(Talk::tcp(9).client(&message).protocol(), Protocol::MONGODB);
        let mut other = message;
        other[20] = 2;
        assert_eq!(Talk::tcp(27_017).client(&other).protocol(), Protocol::UNKNOWN);
    }
}
