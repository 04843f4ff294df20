//! MQTT: versions 3.1 to 5 (OASIS), and MQTT-SN 1.2 over UDP.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::MQTT, &[1883], dissect);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let fits = if view.is_udp() {
        Some(view.has_port(1883) && is_sensor(view.data))
    } else {
        read(view, facts)
    };
    view.judge(Protocol::MQTT, fits)
}

/// Length, connect, flags, protocol 1.
fn is_sensor(data: &[u8]) -> bool {
    matches!(data, [len, 4, flags, 1, ..] if usize::from(*len) == data.len() && flags & 0xf3 == 0)
}

fn read(view: &View<'_>, facts: &mut Facts) -> Option<bool> {
    let mut cursor = view.cursor();
    // A probe and its answer say enough together.
    match (view.data, view.other) {
        ([0xc0, 0], []) | ([0xd0, 0], []) => return None,
        ([0xd0, 0], [.., 0xc0, 0]) | ([0xc0, 0], [.., 0xd0, 0]) => return Some(true),
        _ => {}
    }
    let first = cursor.u8()?;
    if !matches!(first, 0x10 | 0x20 | 0xc0 | 0xd0 | 0x30..=0x3d | 0x40 | 0x82 | 0x90) {
        return Some(false);
    }
    let len = length(&mut cursor)?;
    match first {
        0x10 => read_connect(cursor, len, facts),
        // What begins in the middle is told only where it is expected, or by the number of a
        // message that is acknowledged.
        0x32 | 0x3a if !view.has_port(1883) => {
            let is_whole = len == cursor.rest().len() && published(view.data).is_some();
            if is_whole && view.other.is_empty() { None } else { Some(false) }
        }
        0x40 if !view.has_port(1883) => {
            Some(len == 2 && published(view.other).is_some_and(|id| Some(id) == cursor.u16()))
        }
        _ if !view.has_port(1883) => Some(false),
        0x20 => Some(len >= 2 && cursor.u8()? <= 1),
        0xc0 | 0xd0 => Some(len == 0),
        0x40 => Some(len == 2),
        0x82 | 0x90 => Some(len >= 3 && len == cursor.rest().len()),
        _ => {
            let topic = cursor.counted16()?;
            let is_topic = !topic.is_empty() && topic.iter().all(|o| *o >= 0x20 && *o != b'#');
            Some(is_topic && len >= topic.len().saturating_add(2))
        }
    }
}

fn read_connect(mut cursor: Cursor<'_>, len: usize, facts: &mut Facts) -> Option<bool> {
    let (name, version, flags) = (cursor.counted16()?, cursor.u8()?, cursor.u8()?);
    let is_known = matches!((name, version & 0x7f), (b"MQTT", 4 | 5) | (b"MQIsdp", 3));
    if !is_known || flags & 1 != 0 || len < 12 {
        return Some(false);
    }
    cursor.skip(2)?;
    if version == 5 {
        let properties = length(&mut cursor).unwrap_or_default();
        let _ = cursor.skip(properties);
    }
    // The client, maybe its will, then its user.
    let _client = cursor.counted16();
    if flags & 0x84 == 0x80 {
        facts.put(Fact::User, cursor.counted16().unwrap_or_default());
    }
    Some(true)
}

/// The number of a message that wants to be acknowledged.
fn published(data: &[u8]) -> Option<u16> {
    let mut cursor = Cursor::new(data);
    if !matches!(cursor.u8()?, 0x32 | 0x3a) {
        return None;
    }
    let len = length(&mut cursor)?;
    let topic = cursor.counted16().filter(|topic| !topic.is_empty() && topic.len() < len)?;
    if topic.iter().all(|octet| *octet >= b' ') { cursor.u16() } else { None }
}

/// A number in groups of seven bits, at most four.
fn length(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut len = 0_usize;
    for shift in [0, 7, 14, 21] {
        let octet = cursor.u8()?;
        len |= usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            break;
        }
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_client_connects() {
        let connect = b"\x10\x16\0\x04MQTT\x04\xc2\0\x3c\0\x02id\0\x01u\0\x02pw";
        let talk = Talk::tcp(9).client(connect);
        assert_eq!(talk.protocol(), Protocol::MQTT);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("u"));
        Talk::tcp(1883).client(connect).survives();
        let old = b"\x10\x10\0\x06MQIsdp\x03\x02\0\x3c\0\x02id";
        assert_eq!(Talk::tcp(9).client(old).protocol(), Protocol::MQTT);
        let mut other = *old;
        other[10] = 4;
        assert_eq!(Talk::tcp(1883).client(&other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_probe_is_answered() {
        let talk = Talk::tcp(99).midway().client(&[0xc0, 0]);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.clone().server(&[0xd0, 0]).protocol(), Protocol::MQTT);
        assert_eq!(talk.server(&[0xd0, 1]).protocol(), Protocol::UNKNOWN);
        let talk = Talk::tcp(99).midway().client(b"\x32\x09\0\x03a/b\0\x07hi");
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.clone().server(b"\x40\x02\0\x07").protocol(), Protocol::MQTT);
        assert_eq!(talk.server(b"\x40\x02\0\x08").protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn the_middle_is_known_at_home() {
        let publish = b"\x30\x07\0\x03a/bhi";
        assert_eq!(Talk::tcp(1883).midway().client(publish).protocol(), Protocol::MQTT);
        assert_eq!(Talk::tcp(99).midway().client(publish).protocol(), Protocol::UNKNOWN);
        assert_eq!(
            Talk::udp(1883).client(&hex("08 04 04 01 00 0a 61 62")).protocol(),
            Protocol::MQTT
        );
    }
}
