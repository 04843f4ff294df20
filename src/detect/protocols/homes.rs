//! Things at home and their makers' clouds: Xiaomi (miIO and its messages), TP-Link's smart home,
//! Tuya, LIFX, Nest, Spotify and Dropbox among neighbours, Ubiquiti's and MikroTik's discovery,
//! Meraki, Matter.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const XIAOMI: Dissector = Dissector::both(Protocol::XIAOMI, &[54321], xiaomi);
pub(super) const TP_LINK: Dissector = Dissector::both(Protocol::TP_LINK, &[9999], tp_link);
pub(super) const TUYA: Dissector = Dissector::both(Protocol::TUYA, &[6666, 6667, 6668], tuya);
pub(super) const LIFX: Dissector = Dissector::udp(Protocol::LIFX, &[56700], lifx);
pub(super) const NEST: Dissector = Dissector::tcp(Protocol::NEST_LOG_SINK, &[11095], nest).bound();
pub(super) const SPOTIFY: Dissector = Dissector::both(Protocol::SPOTIFY, &[57621, 4070], spotify);
pub(super) const DROPBOX: Dissector = Dissector::both(Protocol::DROPBOX, &[17500], dropbox);
pub(super) const UBIQUITI: Dissector =
    Dissector::udp(Protocol::UBIQUITI, &[10001], ubiquiti).bound();
pub(super) const MIKROTIK: Dissector =
    Dissector::udp(Protocol::MIKROTIK, &[5678], mikrotik).bound();
pub(super) const MERAKI: Dissector = Dissector::udp(Protocol::MERAKI_CLOUD, &[7351], meraki);
pub(super) const MATTER: Dissector = Dissector::udp(Protocol::MATTER, &[5540], matter);

/// miIO: a mark and the length of the whole. Messages: a mark, version, length, and protobuf.
fn xiaomi(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        let found = view.starts(&[0x21, 0x31]) && view.is_counted16(2, 0) && view.len >= 32;
        return Verdict::when(found, Protocol::XIAOMI);
    }
    let Some([0xc2, 0xfe, 0, 1..=9]) = view.at(0) else {
        let begun =
            view.is_short(4) && [0xc2, 0xfe].starts_with(view.data.get(..2).unwrap_or(view.data));
        return if begun { Verdict::Wait } else { Verdict::No };
    };
    // The host that is spoken to is the first text of the first message.
    let mut cursor = Cursor::new(view.data.get(18..).unwrap_or_default());
    if cursor.u8() == Some(0x1a) {
        facts.put(Fact::Host, cursor.counted8().unwrap_or_default());
    }
    Verdict::Is(Protocol::XIAOMI)
}

/// An object, each octet masked with the one before (softScheck, "Reverse Engineering the TP-Link
/// HS110").
fn tp_link(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let data = if view.is_tcp() {
        match view.data.get(4..) {
            Some(data) if data.len() >= 8 => data,
            _ if view.first().is_none_or(|octet| octet == 0) && view.has_port(9999) => {
                return Verdict::Wait;
            }
            _ => return Verdict::No,
        }
    } else {
        view.data
    };
    let mut key = 171;
    let mut text = [0_u8; 10];
    for (to, from) in text.iter_mut().zip(data) {
        *to = from ^ key;
        key = *from;
    }
    let found = data.len() >= 10
        && text.starts_with(b"{\"")
        && text.iter().skip(2).all(|octet| octet.is_ascii_graphic() && *octet != b'{');
    Verdict::when(found, Protocol::TP_LINK)
}

/// Frames between two marks (55AA, or 6699 of version 3.5), with number, command, length.
fn tuya(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let old = view.starts(&[0, 0, 0x55, 0xaa]) && view.is_counted32(12, 16);
    let new = view.starts(&[0, 0, 0x66, 0x99]) && view.is_counted32(14, 22);
    Verdict::when(old || new, Protocol::TUYA)
}

/// Size, then the number 1024 of the protocol with flags.
fn lifx(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.is_counted16_le(0, 0)
        && view.len >= 36
        && view.u16_le_at(2).is_some_and(|bits| bits & 0xdfff == 0x1400);
    Verdict::when(found, Protocol::LIFX)
}

/// Length, then a header of Weave.
fn nest(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([_, _, 0, 0x10 | 0x13]) => {
            let fits = view.u16_le_at(0).is_some_and(|len| usize::from(len) < view.len);
            Verdict::when(fits && view.has_port(11095), Protocol::NEST_LOG_SINK)
        }
        None if view.is_short(4) && view.has_port(11095) => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// Discovery by broadcast; the hello of the access point: version, length, keys in protobuf.
fn spotify(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        return Verdict::when(view.starts(b"SpotUdp0"), Protocol::SPOTIFY);
    }
    match view.at(0) {
        Some([0, 4, 0, 0, _, _, 0x52, _, 0x50 | 0x0e | 0x0f]) => {
            Verdict::when(view.is_counted32(2, 0), Protocol::SPOTIFY)
        }
        None if view.is_short(9)
            && [0, 4, 0, 0].starts_with(view.data.get(..4).unwrap_or(view.data)) =>
        {
            Verdict::Wait
        }
        _ => Verdict::No,
    }
}

/// Announcements to neighbours: an object with these members.
fn dropbox(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let near = view.data.get(..128).unwrap_or(view.data);
    let found = view.is_udp()
        && near.starts_with(b"{\"")
        && near.windows(10).any(|window| window == b"\"host_int\"");
    Verdict::when(found, Protocol::DROPBOX)
}

/// Version, command, length of the rest; then fields with lengths, or nothing.
fn ubiquiti(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([1 | 2, _]) = view.at(0) else { return Verdict::No };
    if !view.has_port(10001) || !view.is_counted16(2, 4) {
        return Verdict::No;
    }
    let mut cursor = Cursor::new(view.data.get(4..).unwrap_or_default());
    for _ in 0..64 {
        if cursor.is_empty() {
            return Verdict::Is(Protocol::UBIQUITI);
        }
        let kind = cursor.u8();
        let Some(value) = cursor.counted16() else { return Verdict::No };
        if kind == Some(0x0b) {
            facts.put(Fact::HostName, value);
        }
    }
    Verdict::Is(Protocol::UBIQUITI)
}

/// A request of zeros; else a number and fields: address of the device, name, version.
fn mikrotik(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if !view.has_port(5678) {
        return Verdict::No;
    }
    if view.len <= 9 && view.len >= 4 && view.data.iter().all(|octet| *octet == 0) {
        return Verdict::Is(Protocol::MIKROTIK);
    }
    let Some([0, 1, 0, 6]) = view.at(4) else { return Verdict::No };
    let mut cursor = Cursor::new(view.data.get(4..).unwrap_or_default());
    for _ in 0..32 {
        let (Some(kind), Some(value)) = (cursor.u16(), cursor.counted16()) else { break };
        match kind {
            5 => facts.put(Fact::HostName, value),
            7 => facts.put(Fact::Version, value),
            _ => {}
        }
    }
    Verdict::Is(Protocol::MIKROTIK)
}

fn meraki(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    Verdict::when(view.starts(&[0xfe, 0xf7, 0x28, 0x91]), Protocol::MERAKI_CLOUD)
}

/// Message header (Matter 1.0 Core Specification, 4.4): unsecured session 0 with the sender's
/// number, then the secure channel protocol; at the port, also secured ones.
fn matter(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([flags, 0, 0, security]) = view.at(0) else { return Verdict::No };
    if flags & 0xf8 != 0 || security != 0 {
        return Verdict::No;
    }
    let source = if flags & 4 != 0 { 8 } else { 0_usize };
    let target = match flags & 3 {
        1 => 8,
        2 => 2,
        0 => 0,
        _ => return Verdict::No,
    };
    let at = source.saturating_add(target).saturating_add(8);
    let Some([exchange, code, _, _, 0, 0]) = view.at(at) else { return Verdict::No };
    let known = matches!(code, 0x00 | 0x10 | 0x20..=0x24 | 0x30..=0x33 | 0x40 | 0x50);
    // The first messages of a session come from who began, and want to be acknowledged.
    let begins = flags & 4 != 0 && exchange == 5 && matches!(code, 0x20 | 0x30);
    let at_port = view.has_port(5540) && exchange & 0xe8 == 0 && known;
    Verdict::when(at_port || begins && view.len > 40, Protocol::MATTER)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn lamps_and_plugs() {
        assert_eq!(of(54_321, &format!("21310020{}", "ff".repeat(28))), Protocol::XIAOMI);
        let plug = "d0f281f88bff9af7d5ef94b6d1b4c09fec95e68fe187e8caf08bf68bf6";
        assert_eq!(of(9999, plug), Protocol::TP_LINK);
        let mut framed = hex("0000001d");
        framed.extend(hex(plug));
        assert_eq!(Talk::tcp(9999).client(&framed).protocol(), Protocol::TP_LINK);
        Talk::tcp(9999).client(&framed).survives();
        assert_eq!(
            of(6667, "000055aa 00000000 00000013 00000008 00000000 0000aa55"),
            Protocol::TUYA
        );
        assert_eq!(
            of(6667, "000055aa 00000000 00000013 00000009 00000000 0000aa55"),
            Protocol::UNKNOWN
        );
        let lamp = format!("2400 0034 {}", "00".repeat(32));
        assert_eq!(of(56_700, &lamp), Protocol::LIFX);
    }

    #[test]
    fn clouds_of_makers() {
        let hello = hex("c2fe0005 000000d5 000200160000 00b70800 1a0a7869616f6d692e636f6d 2a04");
        let talk = Talk::tcp(5222).client(&hello);
        assert_eq!(talk.protocol(), Protocol::XIAOMI);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("xiaomi.com"));
        talk.survives();
        assert_eq!(of(7351, "fef728910d010070"), Protocol::MERAKI_CLOUD);
        let weave = hex("0600001308030000");
        assert_eq!(Talk::tcp(11_095).client(&weave).protocol(), Protocol::NEST_LOG_SINK);
    }

    #[test]
    fn neighbours() {
        assert_eq!(Talk::udp(57_621).client(b"SpotUdp0....").protocol(), Protocol::SPOTIFY);
        let near = b"{\"version\": [2, 0], \"port\": 17500, \"host_int\": 33}";
        assert_eq!(Talk::udp(17_500).client(near).protocol(), Protocol::DROPBOX);
        let talk = Talk::udp(10_001).client(&hex("02 06 0009 0b0006 67617465776179"));
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        let talk = Talk::udp(10_001).client(&hex("02 06 000a 0b0007 67617465776179"));
        assert_eq!(talk.protocol(), Protocol::UBIQUITI);
        assert_eq!(talk.fact(Fact::HostName).as_deref(), Some("gateway"));
        let talk = Talk::udp(5678).client(&hex("00000001 0001 0006 020000000001 0005 0002 7274"));
        assert_eq!(talk.fact(Fact::HostName).as_deref(), Some("rt"));
        talk.survives();
        let pairing = "04000000 01020304 0000000000000001 05 20 3412 0000 1530";
        assert_eq!(of(5540, pairing), Protocol::MATTER);
    }
}
