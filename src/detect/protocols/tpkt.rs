//! What is carried over ISO transport on TCP (RFC 1006, ITU-T X.224): S7 and S7 Plus of Siemens'
//! controllers, and MMS (ISO 9506) over session, presentation and association (X.225, X.226).

use crate::detect::cursor::Cursor;
use crate::detect::text::find_within;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::S7COMM, &[102], dissect);

/// Units looked at: a connection is made in the first.
const MAX_UNITS: usize = 4;

/// Object identifier 1.0.9506.2, of MMS.
const MMS: [u8; 4] = [0x28, 0xca, 0x22, 0x02];

/// Kinds of units of X.224.
const CONNECT: u8 = 0xe0;
const CONFIRM: u8 = 0xd0;
const DATA: u8 = 0xf0;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match (read(view.data), read(view.other)) {
        (Found::Is(protocol), _) | (_, Found::Is(protocol)) => Verdict::Is(protocol),
        (Found::Other, _) => Verdict::No,
        _ => Verdict::Wait,
    }
}

enum Found {
    Is(Protocol),
    Other,
    /// Nothing but connections so far, or nothing at all.
    Open,
}

fn read(stream: &[u8]) -> Found {
    let mut cursor = Cursor::new(stream);
    for _ in 0..MAX_UNITS {
        if cursor.is_empty() {
            return Found::Open;
        }
        let mut ahead = cursor;
        let (Some([version, reserved]), len) = (ahead.array(), ahead.u16()) else {
            return Found::Open;
        };
        if version != 3 || reserved != 0 {
            return Found::Other;
        }
        let Some(len) = len else { return Found::Open };
        let Some(size) = usize::from(len).checked_sub(4).filter(|size| *size >= 3) else {
            return Found::Other;
        };
        let unit = ahead.rest().get(..size).unwrap_or_else(|| ahead.rest());
        match unit {
            [header, CONNECT | CONFIRM, _, _, _, _, class, ..] => {
                let is_header =
                    usize::from(*header).saturating_add(1) == size && class & 0x0e != 0x0e;
                if !is_header {
                    return Found::Other;
                }
            }
            [2, DATA, 0x80 | 0, user @ ..] => match user {
                [0x32, 1..=8, ..] => return Found::Is(Protocol::S7COMM),
                [0x72, 1..=3 | 0xfe, ..] => return Found::Is(Protocol::S7COMM_PLUS),
                // A session is opened; the objects of the association say for what.
                [0x0d | 0x0e, ..] if find_within(user, &MMS, 400).is_some() => {
                    return Found::Is(Protocol::MMS);
                }
                // Data of a session: presentation of one value in context 3, a service of MMS.
                [1, 0, 1, 0, 0x61, ..] if find_within(user, &[2, 1, 3, 0xa0], 24).is_some() => {
                    return Found::Is(Protocol::MMS);
                }
                [] => {}
                _ => return Found::Other,
            },
            [_, _, _, ..] => return Found::Other,
            _ => return Found::Open,
        }
        if cursor.skip(usize::from(len)).is_none() {
            return Found::Open;
        }
    }
    Found::Other
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    const CONNECT: &str = "03 00 00 16 11 e0 00 00 00 01 00 c1 02 01 00 c2 02 01 02 c0 01 0a";

    #[test]
    fn what_is_carried_decides() {
        let talk = Talk::tcp(102).client(&hex(CONNECT));
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.guess(), Protocol::S7COMM);
        let s7 = hex("03 00 00 19 02 f0 80 32 01 00 00 04 00 00 08 00 00 f0 00 00 01 00 01 01 e0");
        assert_eq!(talk.clone().client(&s7).protocol(), Protocol::S7COMM);
        let plus = hex("03 00 00 10 02 f0 80 72 01 00 01 00 00 00 00 00");
        assert_eq!(talk.clone().client(&plus).protocol(), Protocol::S7COMM_PLUS);
        let mms = hex("03 00 00 14 02 f0 80 0d 0b 06 06 28 ca 22 02 03 00 00 00 00");
        assert_eq!(talk.clone().client(&mms).protocol(), Protocol::MMS);
        let read = hex("03 00 00 17 02 f0 80 01 00 01 00 61 0a 30 08 02 01 03 a0 03 a0 01 05");
        assert_eq!(Talk::tcp(102).midway().client(&read).protocol(), Protocol::MMS);
        Talk::tcp(102).client(&mms).survives();
        let other = hex("03 00 00 0b 02 f0 80 64 00 00 00");
        assert_eq!(talk.client(&other).protocol(), Protocol::UNKNOWN);
    }
}
