//! RADIUS: RFC 2865, accounting of RFC 2866, dynamic authorization of RFC 5176.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::RADIUS, &[1812, 1813, 1645, 1646, 3799], dissect);

const HEADER: usize = 20;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([code, _, high, low]) = view.at(0) else { return view.short() };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let is_code = matches!(code, 1..=5 | 11..=13 | 40..=45);
    if !is_code || !(HEADER..=4096).contains(&len) || len > view.len {
        return Verdict::No;
    }
    // Octets behind the message are padding (RFC 2865, 3): seldom, so only where it is expected.
    let is_here = DISSECTOR.ports.iter().any(|port| view.has_port(*port));
    if (len < view.len || len == HEADER) && !is_here {
        return Verdict::No;
    }
    let Some(attributes) = view.data.get(HEADER..len.min(view.data.len())) else {
        return view.short();
    };
    let mut cursor = Cursor::new(attributes);
    // At most 2038 attributes fit.
    while !cursor.is_empty() {
        let (Some(kind @ 1..), Some(size @ 2..)) = (cursor.u8(), cursor.u8()) else {
            return Verdict::No;
        };
        let Some(value) = cursor.take(usize::from(size).saturating_sub(2)) else {
            return if view.data.len() < len { break } else { Verdict::No };
        };
        if kind == 1 {
            facts.put(Fact::User, value);
        }
    }
    Verdict::Is(Protocol::RADIUS)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    /// The first example of RFC 2865, 7.1.
    const REQUEST: &str = "01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a \
         01 06 6e 65 6d 6f 02 12 0d be 70 8d 93 d4 13 ce 31 96 e4 3f 78 2a 0a ee \
         04 06 c0 a8 01 10 05 06 00 00 00 03";

    #[test]
    fn a_request_names_its_user() {
        let talk = Talk::udp(9999).client(&hex(REQUEST));
        assert_eq!(talk.protocol(), Protocol::RADIUS);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("nemo"));
        Talk::udp(1812).client(&hex(REQUEST)).survives();
    }

    #[test]
    fn lengths_agree() {
        let mut wrong = hex(REQUEST);
        wrong[21] = 7;
        assert_eq!(Talk::udp(1812).client(&wrong).protocol(), Protocol::UNKNOWN);
        let mut long = hex(REQUEST);
        long.push(0);
        assert_eq!(Talk::udp(9999).client(&long).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(1812).client(&long).protocol(), Protocol::RADIUS);
        let mut accepted = hex(REQUEST);
        accepted.truncate(20);
        (accepted[0], accepted[3]) = (5, 20);
        assert_eq!(Talk::udp(1813).server(&accepted).protocol(), Protocol::RADIUS);
        assert_eq!(Talk::udp(40_000).server(&accepted).protocol(), Protocol::UNKNOWN);
    }
}
