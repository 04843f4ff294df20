//! TDS, which Microsoft SQL Server and Sybase speak: MS-TDS; where instances are: MS-SQLR.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::TDS, &[1433, 1434], dissect);

const HEADER: u16 = 8;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        let fits = view.has_port(1434) && is_browser(view.data, view.len);
        return if fits { Verdict::Is(Protocol::TDS) } else { Verdict::No };
    }
    view.judge(Protocol::TDS, is_stream(view.data))
}

/// A question for all instances or one, and the answer.
fn is_browser(data: &[u8], len: usize) -> bool {
    match data {
        [2 | 3] => true,
        [4, name @ .., 0] => !name.is_empty() && name.len() <= 32,
        [5, low, high, b'S', b'e', ..] => {
            usize::from(u16::from_le_bytes([*low, *high])) == len.saturating_sub(3)
        }
        _ => false,
    }
}

fn is_stream(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (kind, status) = (cursor.u8()?, cursor.u8()?);
    if !matches!(kind, 1 | 2 | 3 | 4 | 14 | 16 | 18) || status & 0xe0 != 0 {
        return Some(false);
    }
    let len = cursor.u16()?;
    cursor.skip(2)?;
    let (packet, window) = (cursor.u8()?, cursor.u8()?);
    if len <= HEADER || packet > 1 || window != 0 {
        return Some(false);
    }
    let body = u32::from(len.saturating_sub(HEADER));
    match kind {
        // The first option is the version, told by where it is and its six octets.
        4 | 18 if *cursor.rest().first()? == 0 => {
            cursor.skip(1)?;
            let (offset, size) = (cursor.u16()?, cursor.u16()?);
            Some(size == 6 && u32::from(offset) < body && offset >= 6)
        }
        // A login: its length, a version of TDS.
        16 => {
            let (size, version) = (cursor.u32_le()?, cursor.u32_le()?);
            let [major, ..] = version.to_be_bytes();
            Some(size <= body && size >= 94 && (0x70..=0x80).contains(&major))
        }
        // A login as Sybase has it, of one size.
        2 => Some(len == 512 && *data.get(38)? <= 30),
        // Headers with their length, then a text of two octets a character.
        1 | 3 => {
            let (all, first, what) = (cursor.u32_le()?, cursor.u32_le()?, cursor.u16_le()?);
            Some(all >= 18 && first.checked_add(4)? <= all && (1..=3).contains(&what) && all < body)
        }
        // The answer to a login.
        4 => Some(
            matches!(cursor.u8()?, 0xad | 0xe3 | 0xaa | 0xab) && u32::from(cursor.u16_le()?) < body,
        ),
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn versions_are_settled_first() {
        let before =
            hex("12 01 002f 0000 01 00 00 001a 0006 01 0020 0001 02 0021 0001 03 0022 0004 \
             04 0026 0001 ff 09000000 0000 01 00 b80d0000 01");
        assert_eq!(Talk::tcp(1433).client(&before).protocol(), Protocol::TDS);
        Talk::tcp(1433).client(&before).survives();
        let mut other = before;
        other[12] = 7;
        assert_eq!(Talk::tcp(1433).client(&other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn instances_are_looked_for() {
        assert_eq!(Talk::udp(1434).client(b"\x04MSSQL\0").protocol(), Protocol::TDS);
        assert_eq!(Talk::udp(1434).server(b"\x05\x06\0Server").protocol(), Protocol::TDS);
        assert_eq!(Talk::udp(1434).server(b"\x05\x07\0Server").protocol(), Protocol::UNKNOWN);
    }
}
