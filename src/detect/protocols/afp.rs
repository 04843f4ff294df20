//! AFP over DSI: Apple Filing Protocol Programming Guide, "Data Stream Interface".

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::AFP, &[548], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.judge(Protocol::AFP, fits(view.data))
}

fn fits(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (flags @ 0..=1, 1..=8) = (cursor.u8()?, cursor.u8()?) else { return Some(false) };
    cursor.skip(2)?;
    // An answer has a result there, of which the errors lie a little below zero.
    let code = cursor.u32()?;
    let (len, reserved) = (cursor.u32()?, cursor.u32()?);
    let is_code = if flags == 0 { code <= len } else { code == 0 || code >= 0xffff_0000 };
    let len = usize::try_from(len).ok()?;
    Some(is_code && reserved == 0 && (2..=0x10_0000).contains(&len) && cursor.rest().len() <= len)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_session_is_opened() {
        let open = hex("00 04 00 01 00000000 00000006 00000000 01 04 00 00 04 00");
        assert_eq!(Talk::tcp(548).client(&open).protocol(), Protocol::AFP);
        let mut other = open;
        other[15] = 1;
        assert_eq!(Talk::tcp(548).client(&other).protocol(), Protocol::UNKNOWN);
    }
}
