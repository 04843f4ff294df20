//! TACACS+: RFC 8907.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::TACACS, &[49], dissect);

const HEADER: usize = 12;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.judge(Protocol::TACACS, fits(view))
}

fn fits(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    if !matches!(cursor.u8()?, 0xc0 | 0xc1) {
        return Some(false);
    }
    let (kind, sequence, flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    // Numbers of clients are odd; the first is 1, the answer 2. Where the beginning was missed they
    // are higher.
    let first = if view.from_client { 1 } else { 2 };
    let is_later = !view.is_start && view.has_port(49) && sequence & 1 == first & 1;
    let is_turn = sequence == first || (is_later && sequence != 0);
    if !(1..=3).contains(&kind) || !is_turn || flags & !5 != 0 {
        return Some(false);
    }
    cursor.skip(4)?;
    let len = usize::try_from(cursor.u32()?).ok()?;
    if !(5..=0xffff).contains(&len) {
        return Some(false);
    }
    let whole = len.saturating_add(HEADER);
    if view.data.len() < whole && view.has_port(49) {
        return None;
    }
    Some(view.data.len() == whole)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_login_begins() {
        let start = hex("c0 01 01 00 38 a1 5c 6f 00 00 00 08 01 02 03 04 05 06 07 08");
        assert_eq!(Talk::tcp(49).client(&start).protocol(), Protocol::TACACS);
        let split = Talk::tcp(49).client(&start[..15]).client(&start[15..]);
        assert_eq!(split.protocol(), Protocol::TACACS);
        let mut late = start.clone();
        late[2] = 7;
        assert_eq!(Talk::tcp(49).client(&late).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(49).midway().client(&late).protocol(), Protocol::TACACS);
        assert_eq!(Talk::tcp(49).midway().server(&late).protocol(), Protocol::UNKNOWN);
        let mut long = start;
        long[11] = 7;
        assert_eq!(Talk::tcp(49).client(&long).protocol(), Protocol::UNKNOWN);
    }
}
