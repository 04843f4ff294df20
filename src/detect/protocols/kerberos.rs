//! Kerberos version 5: RFC 4120; changes of passwords: RFC 3244.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::KERBEROS, &[88, 464, 750], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let data = if view.is_tcp() {
        // A length stands before the message; its highest bit is kept for extensions.
        let Some([high, middle, _, _]) = view.at(0) else { return Verdict::Wait };
        if high != 0 || middle > 1 {
            return Verdict::No;
        }
        view.data.get(4..).unwrap_or_default()
    } else {
        view.data
    };
    let fits = if view.has_port(464) { is_change(data) } else { is_message(data) };
    view.judge(Protocol::KERBEROS, fits)
}

/// An application's tag, a sequence, and as its first or second member the version 5.
fn is_message(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if !matches!(cursor.rest().first()?, 0x6a..=0x6f | 0x74..=0x76 | 0x7e) {
        return Some(false);
    }
    let (_, whole) = cursor.ber()?;
    let (sequence, inner) = cursor.ber()?;
    let [member, 3, 2, 1, 5] = cursor.array()? else { return Some(false) };
    Some(sequence == 0x30 && matches!(member, 0xa0 | 0xa1) && inner < whole)
}

/// Length, version, length of the ticket that follows.
fn is_change(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (len, version, request) = (cursor.u16()?, cursor.u16()?, cursor.u16()?);
    if !matches!(version, 1 | 0xff80) || request >= len {
        return Some(false);
    }
    let next = cursor.u8()?;
    Some(matches!(next, 0x6e | 0x6f | 0x7e))
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn tickets_are_asked_for() {
        let request = hex("6a 81 80 30 7e a1 03 02 01 05 a2 03 02 01 0a");
        assert_eq!(Talk::udp(88).client(&request).protocol(), Protocol::KERBEROS);
        Talk::udp(88).client(&request).survives();
        let mut stream = hex("00 00 00 83");
        stream.extend_from_slice(&request);
        assert_eq!(Talk::tcp(88).client(&stream).protocol(), Protocol::KERBEROS);
        let error = hex("7e 39 30 37 a0 03 02 01 05 a1 03 02 01 1e");
        assert_eq!(Talk::udp(88).server(&error).protocol(), Protocol::KERBEROS);
        let mut other = request;
        other[9] = 4;
        assert_eq!(Talk::udp(88).client(&other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn passwords_are_changed() {
        let change = hex("00 40 00 01 00 20 6e 1e");
        assert_eq!(Talk::udp(464).client(&change).protocol(), Protocol::KERBEROS);
        assert_eq!(Talk::udp(465).client(&change).protocol(), Protocol::UNKNOWN);
    }
}
