//! Oracle's Transparent Network Substrate, as "Oracle Net Services" names its packets.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::ORACLE, &[1521, 1526], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.judge(Protocol::ORACLE, fits(view.data, view.has_port(1521)))
}

fn fits(data: &[u8], is_here: bool) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (len, sum) = (cursor.u16()?, cursor.u16()?);
    let (kind, reserved, check) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    if len < 8 || sum != 0 || reserved & !0x2c != 0 || check != 0 {
        return Some(false);
    }
    match kind {
        // Version, oldest version, and where the text about the destination is.
        1 => {
            let (version, oldest) = (cursor.u16()?, cursor.u16()?);
            cursor.skip(12)?;
            let (size, offset) = (cursor.u16()?, cursor.u16()?);
            let is_version = (300..=330).contains(&version) && (260..=version).contains(&oldest);
            Some(is_version && offset >= 34 && size >= 8)
        }
        2 => Some((300..=330).contains(&cursor.u16()?)),
        // Refused, sent elsewhere: with a text in brackets.
        4 => {
            cursor.skip(2)?;
            Some(cursor.u16()? == len.saturating_sub(12) && (is_here || cursor.u8()? == b'('))
        }
        5 => Some(cursor.u16()? == len.saturating_sub(10) && (is_here || cursor.u8()? == b'(')),
        11 => Some(len == 8 && is_here),
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_client_connects() {
        let mut connect =
            hex("00 5a 00 00 01 00 00 00 01 36 01 2c 00 00 08 00 7f ff 7f 08 00 00 00 01 \
             00 20 00 3a");
        assert_eq!(Talk::tcp(1521).client(&connect).protocol(), Protocol::ORACLE);
        connect[8] = 3;
        assert_eq!(Talk::tcp(1521).client(&connect).protocol(), Protocol::UNKNOWN);
        let again = hex("00 08 00 00 0b 00 00 00");
        assert_eq!(Talk::tcp(1521).server(&again).protocol(), Protocol::ORACLE);
        assert_eq!(Talk::tcp(99).server(&again).protocol(), Protocol::UNKNOWN);
    }
}
