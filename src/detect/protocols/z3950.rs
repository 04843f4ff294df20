//! Z39.50, by which catalogues of libraries are searched: ISO 23950, 4.1 in BER.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::Z3950, &[210], dissect);

/// Context tags: of a request and a response to begin; of the version and the options in them.
const INIT_REQUEST: u8 = 0xb4;
const INIT_RESPONSE: u8 = 0xb5;
const REFERENCE: u8 = 0x82;
const VERSION: u8 = 0x83;
const OPTIONS: u8 = 0x84;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if !matches!(view.data.first(), Some(&(INIT_REQUEST | INIT_RESPONSE))) {
        return Verdict::No;
    }
    if view.len < 16 {
        return Verdict::Wait;
    }
    match initial(view) {
        Some(true) => Verdict::Is(Protocol::Z3950),
        _ => Verdict::No,
    }
}

/// Whether the version and the options, both strings of bits, are where they should be.
fn initial(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    cursor.u8()?;
    let len = match cursor.u8()? {
        0x80 => None,
        0x81 => Some(usize::from(cursor.u8()?)),
        0x82 => Some(usize::from(cursor.u16()?)),
        len @ 0..=0x7f => Some(usize::from(len)),
        _ => return Some(false),
    };
    if len.is_some_and(|len| len > 4_096 || cursor.rest().len() > len) {
        return Some(false);
    }
    let mut tag = cursor.u8()?;
    if tag == REFERENCE {
        cursor.counted8()?;
        tag = cursor.u8()?;
    }
    Some(
        tag == VERSION && is_bits(&mut cursor)? && cursor.u8()? == OPTIONS && is_bits(&mut cursor)?,
    )
}

/// A short string of bits: how many are unused in the last octet, then the octets.
fn is_bits(cursor: &mut Cursor<'_>) -> Option<bool> {
    let bits = cursor.counted8()?;
    Some(matches!(bits.first(), Some(0..=7)) && (2..=5).contains(&bits.len()))
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_beginning() {
        let request = hex("b4 13 8302 05e0 8403 00e9a2 8503 100000 8603 100000 8c00");
        let mut request = request;
        request[1] = u8::try_from(request.len() - 2).unwrap();
        assert_eq!(Talk::tcp(1210).client(&request).protocol(), Protocol::Z3950);
        request[2] = 0x80;
        assert_eq!(Talk::tcp(1210).client(&request).protocol(), Protocol::UNKNOWN);
    }
}
