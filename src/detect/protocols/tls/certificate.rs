//! The server's certificate where it is sent in clear text (TLS up to 1.2, DTLS): whose it is and
//! who issued it. X.509: RFC 5280; names as text: RFC 4514.

use sha1::{Digest, Sha1};

use crate::detect::Facts;
use crate::detect::cursor::Cursor;
use crate::detect::facts::{Fact, MAX_VALUE};
use crate::detect::text::decimal;

/// Tags of DER.
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;

/// Parts of a distinguished name that are written.
const MAX_PARTS: usize = 16;

/// Reads the first certificate of a message. `false` while more of it is needed.
pub(in crate::detect::protocols) fn read(
    message: &[u8],
    is_whole: bool,
    facts: &mut Facts,
) -> bool {
    let mut cursor = Cursor::new(message);
    let Some(_) = cursor.u24() else { return is_whole };
    let mut rest = cursor;
    if let Some(certificate) = cursor.counted24() {
        if facts.get(Fact::CertSha1).is_none() {
            facts.put(Fact::CertSha1, &Sha1::digest(certificate));
            names(certificate, facts);
        }
        return true;
    }
    rest.u24();
    // More than is kept: its names are in the beginning.
    if rest.rest().len() > 4_096 {
        names(rest.rest(), facts);
    }
    is_whole
}

fn names(certificate: &[u8], facts: &mut Facts) -> Option<()> {
    let (_, certificate) = element(&mut Cursor::new(certificate))?;
    let (_, signed) = element(&mut Cursor::new(certificate))?;
    let mut fields = Cursor::new(signed);
    let mut field = element(&mut fields)?;
    if field.0 == VERSION {
        field = element(&mut fields)?;
    }
    let (_serial, _algorithm) = (field, element(&mut fields)?);
    let (tag, issuer) = element(&mut fields)?;
    if tag != SEQUENCE {
        return None;
    }
    let mut text = Text::default();
    distinguished(issuer, &mut text);
    facts.put(Fact::CertIssuer, text.as_bytes());
    let (_validity, (_, subject)) = (element(&mut fields)?, element(&mut fields)?);
    let mut text = Text::default();
    let common = distinguished(subject, &mut text);
    facts.put(Fact::CertSubject, text.as_bytes());
    facts.put(Fact::CertName, common);
    Some(())
}

/// Writes a name, its last part first, and returns the common name.
fn distinguished<'a>(name: &'a [u8], text: &mut Text) -> &'a [u8] {
    let mut parts: [(&[u8], &[u8]); MAX_PARTS] = [(&[], &[]); MAX_PARTS];
    let (mut sets, mut count, mut common) = (Cursor::new(name), 0_usize, &[][..]);
    while let Some((SET, set)) = element(&mut sets) {
        let mut pair = Cursor::new(set);
        let Some((SEQUENCE, pair)) = element(&mut pair) else { continue };
        let mut pair = Cursor::new(pair);
        let (Some((_, kind)), Some((_, value))) = (element(&mut pair), element(&mut pair)) else {
            continue;
        };
        if kind == [0x55, 4, 3] {
            common = value;
        }
        if let Some(part) = parts.get_mut(count) {
            *part = (kind, value);
            count = count.saturating_add(1);
        }
    }
    for (at, (kind, value)) in parts.iter().take(count).rev().enumerate() {
        if at > 0 {
            text.push(b",");
        }
        text.part(kind, value);
    }
    common
}

/// The next element: its tag and what of its content is there.
fn element<'a>(cursor: &mut Cursor<'a>) -> Option<(u8, &'a [u8])> {
    let tag = cursor.u8()?;
    let len = match cursor.u8()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(cursor.u8()?),
        0x82 => usize::from(cursor.u16()?),
        0x83 => usize::try_from(cursor.u24()?).ok()?,
        _ => return None,
    };
    Some((tag, cursor.take(len.min(cursor.rest().len()))?))
}

/// A name as text, as long as a value may be.
struct Text {
    bytes: [u8; MAX_VALUE],
    len: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; MAX_VALUE], len: 0 }
    }
}

impl Text {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, bytes: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(bytes) {
            *to = *from;
        }
        self.len = self.len.saturating_add(bytes.len()).min(MAX_VALUE);
    }

    /// One part: its kind, by its short name (RFC 4514, 3) or by number, and its value.
    fn part(&mut self, kind: &[u8], value: &[u8]) {
        let name: &[u8] = match kind {
            [0x55, 4, 3] => b"CN",
            [0x55, 4, 4] => b"SN",
            [0x55, 4, 5] => b"serialNumber",
            [0x55, 4, 6] => b"C",
            [0x55, 4, 7] => b"L",
            [0x55, 4, 8] => b"ST",
            [0x55, 4, 9] => b"street",
            [0x55, 4, 10] => b"O",
            [0x55, 4, 11] => b"OU",
            [0x55, 4, 12] => b"title",
            [0x55, 4, 15] => b"businessCategory",
            [0x55, 4, 17] => b"postalCode",
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => b"emailAddress",
            [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => b"UID",
            [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => b"DC",
            _ => &[],
        };
        if name.is_empty() {
            self.oid(kind);
        } else {
            self.push(name);
        }
        self.push(b"=");
        for (at, octet) in value.iter().enumerate() {
            let is_end = at == 0 || at.saturating_add(1) == value.len();
            let special = matches!(octet, b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\');
            if special || is_end && *octet == b' ' || at == 0 && *octet == b'#' {
                self.push(b"\\");
            }
            self.push(std::slice::from_ref(octet));
        }
    }

    /// An object identifier in numbers with dots.
    fn oid(&mut self, kind: &[u8]) {
        let (mut arc, mut is_first) = (0_u32, true);
        for octet in kind {
            arc = arc.wrapping_shl(7) | u32::from(octet & 0x7f);
            if octet & 0x80 != 0 {
                continue;
            }
            if is_first {
                let root = (arc / 40).min(2);
                self.decimal(root);
                arc = arc.saturating_sub(root.saturating_mul(40));
                is_first = false;
            }
            self.push(b".");
            self.decimal(arc);
            arc = 0;
        }
    }

    fn decimal(&mut self, number: u32) {
        self.push(decimal(number, &mut [0; 10]));
    }
}
