//! TACACS+: RFC 8907.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::TACACS, &[49], dissect);

const HEADER: usize = 12;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.judge(Protocol::TACACS, fits(view.data, view.from_client))
}

fn fits(data: &[u8], from_client: bool) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if !matches!(cursor.u8()?, 0xc0 | 0xc1) {
        return Some(false);
    }
    let (kind, sequence, flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    // Numbers of clients are odd; the first is 1, the answer 2.
    let is_turn = sequence == if from_client { 1 } else { 2 };
    if !(1..=3).contains(&kind) || !is_turn || flags & !5 != 0 {
        return Some(false);
    }
    cursor.skip(4)?;
    let len = usize::try_from(cursor.u32()?).ok()?;
    Some((5..=0xffff).contains(&len) && data.len() == len.saturating_add(HEADER))
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_login_begins() {
        let start = hex("c0 01 01 00 38 a1 5c 6f 00 00 00 08 01 02 03 04 05 06 07 08");
        assert_eq!(Talk::tcp(49).client(&start).protocol(), Protocol::TACACS);
        let mut late = start.clone();
        late[2] = 7;
        assert_eq!(Talk::tcp(49).client(&late).protocol(), Protocol::UNKNOWN);
        let mut long = start;
        long[11] = 9;
        assert_eq!(Talk::tcp(49).client(&long).protocol(), Protocol::UNKNOWN);
    }
}
