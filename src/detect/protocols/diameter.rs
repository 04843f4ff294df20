//! Diameter: RFC 6733.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::DIAMETER, &[3868], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.judge(Protocol::DIAMETER, fits(view.data))
}

fn fits(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if cursor.u8()? != 1 {
        return Some(false);
    }
    let len = cursor.u24()?;
    let flags = cursor.u8()?;
    let command = cursor.u24()?;
    // Four flags are reserved, a request is never an error, and there are whole words.
    let is_header = (28..=65_536).contains(&len)
        && len % 4 == 0
        && flags & 0x0f == 0
        && flags & 0xa0 != 0xa0
        && command >= 257;
    if !is_header {
        return Some(false);
    }
    cursor.skip(12)?;
    let code = cursor.u32()?;
    let avp_flags = cursor.u8()?;
    let avp_len = cursor.u24()?;
    Some(code != 0 && avp_flags & 0x1f == 0 && avp_len >= 8 && avp_len <= len.saturating_sub(20))
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    const CER: &str = "01 00 00 24 80 00 01 01 00 00 00 00 00 00 00 01 00 00 00 02 \
         00 00 01 08 40 00 00 0e 61 2e 62 2e 63 00 00 00";

    #[test]
    fn capabilities_are_exchanged() {
        assert_eq!(Talk::tcp(3868).client(&hex(CER)).protocol(), Protocol::DIAMETER);
        let split = Talk::tcp(9).client(&hex(CER)[..13]).client(&hex(CER)[13..]);
        assert_eq!(split.protocol(), Protocol::DIAMETER);
    }

    #[test]
    fn reserved_bits_are_clear() {
        for (at, value) in [(0, 2), (3, 0x25), (4, 0x81), (24, 0x41), (27, 0x40)] {
            let mut wrong = hex(CER);
            wrong[at] = value;
            assert_eq!(Talk::tcp(9).client(&wrong).protocol(), Protocol::UNKNOWN, "{at}");
        }
    }
}
