//! Buildings, vehicles, stages and instruments: BACnet/IP (ASHRAE 135, annex J), KNXnet/IP (ISO
//! 22510), SOME/IP (AUTOSAR), RTPS (OMG DDSI-RTPS), DoIP (ISO 13400-2), CAN over UDP, TRDP (IEC
//! 61375-2-3), GigE Vision control, Art-Net, sACN (ANSI E1.31), HiSLIP (IVI-6.1), MAVLink, OSC,
//! NMEA 0183, LoRaWAN (Semtech's forwarder), ZEP.

use crate::detect::cursor::Cursor;
use crate::detect::text::is_printable;
use crate::detect::{Dissector, Protocol, View};

pub(super) const BACNET: Dissector = Dissector::udp(Protocol::BACNET, &[47_808], |view, _| {
    view.judge(Protocol::BACNET, is_bacnet(view))
});

pub(super) const KNX: Dissector =
    Dissector::both(Protocol::KNX, &[3671], |view, _| view.judge(Protocol::KNX, is_knx(view)));

pub(super) const SOMEIP: Dissector =
    Dissector::both(Protocol::SOMEIP, &[30_490, 30_491], |view, _| {
        view.judge(Protocol::SOMEIP, is_someip(view))
    });

pub(super) const RTPS: Dissector = Dissector::both(Protocol::RTPS, &[7400], |view, _| {
    let head = view.at(0).map(|[r, t, p, s, major]: [u8; 5]| {
        [r, t, p] == *b"RTP" && matches!(s, b'S' | b'X') && (1..=2).contains(&major)
    });
    view.judge(Protocol::RTPS, head)
});

pub(super) const DOIP: Dissector =
    Dissector::both(Protocol::DOIP, &[13_400], |view, _| view.judge(Protocol::DOIP, is_doip(view)));

pub(super) const CAN: Dissector = Dissector::udp(Protocol::CAN, &[11_898], |view, _| {
    view.judge(Protocol::CAN, Some(is_can(view)))
});

pub(super) const TRDP: Dissector = Dissector::both(Protocol::TRDP, &[17_224, 17_225], |view, _| {
    view.judge(Protocol::TRDP, is_trdp(view))
});

pub(super) const GVCP: Dissector =
    Dissector::udp(Protocol::GVCP, &[3956], |view, _| view.judge(Protocol::GVCP, is_gvcp(view)));

pub(super) const ARTNET: Dissector = Dissector::udp(Protocol::ARTNET, &[6454], |view, _| {
    view.judge(Protocol::ARTNET, Some(view.data.starts_with(b"Art-Net\0")))
});

pub(super) const SACN: Dissector = Dissector::udp(Protocol::SACN, &[5568], |view, _| {
    view.judge(Protocol::SACN, Some(view.data.starts_with(b"\0\x10\0\0ASC-E1.17\0\0\0")))
});

pub(super) const HISLIP: Dissector = Dissector::tcp(Protocol::HISLIP, &[4880], |view, _| {
    view.judge(Protocol::HISLIP, is_hislip(view))
});

pub(super) const MAVLINK: Dissector =
    Dissector::both(Protocol::MAVLINK, &[14_550, 14_540], |view, _| {
        view.judge(Protocol::MAVLINK, is_mavlink(view))
    });

pub(super) const OSC: Dissector =
    Dissector::udp(Protocol::OSC, &[], |view, _| view.judge(Protocol::OSC, Some(is_osc(view))));

pub(super) const NMEA: Dissector = Dissector::both(Protocol::NMEA, &[10_110], |view, _| {
    view.judge(Protocol::NMEA, is_nmea(view.data))
});

pub(super) const LORAWAN: Dissector = Dissector::udp(Protocol::LORAWAN, &[1700], |view, _| {
    view.judge(Protocol::LORAWAN, is_lorawan(view))
});

pub(super) const ZEP: Dissector = Dissector::udp(Protocol::ZEP, &[17_754], |view, _| {
    let head =
        view.at(0).map(|head| matches!(head, [b'E', b'X', 1 | 2, _]) && view.has_port(17_754));
    view.judge(Protocol::ZEP, head)
})
.bound();

/// A virtual link's function and length, then version 1 of the network layer.
fn is_bacnet(view: &View<'_>) -> Option<bool> {
    let [0x81, function @ 0..=12, high, low] = view.at(0)? else { return Some(false) };
    let is_whole = usize::from(u16::from_be_bytes([high, low])) == view.len;
    let network = match function {
        // Forwarded: the first sender's address is before it.
        4 => view.at(10)?,
        9..=11 => view.at(4)?,
        _ => [1],
    };
    Some(is_whole && network == [1] && view.len >= 6)
}

/// Size of the header, version 1.0, a service, length of all.
fn is_knx(view: &View<'_>) -> Option<bool> {
    let [size, version, family, _, high, low] = view.at(0)?;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let is_whole = len == view.len || (view.is_tcp() && (8..view.len).contains(&len));
    Some(size == 6 && version == 0x10 && (2..=9).contains(&family) && is_whole)
}

/// Service and method, length, client and session, versions, kind, result.
fn is_someip(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let (message, len) = (cursor.u32()?, usize::try_from(cursor.u32()?).ok()?);
    let (request, tail) = (cursor.u32()?, cursor.u32()?);
    if matches!(
        (message, request, tail),
        (0xffff_0000 | 0xffff_8000, 0xdead_beef, 0x0101_0100 | 0x0101_0200)
    ) {
        return Some(true);
    }
    let [protocol, _interface, kind, result] = tail.to_be_bytes();
    let is_kind = matches!(kind & !0x20, 0..=2 | 0x40..=0x42 | 0x80 | 0x81 | 0xc0 | 0xc1);
    let is_result = if kind & 0x80 == 0 { result == 0 } else { result <= 0x5e };
    let whole = view.len.saturating_sub(8);
    let is_whole = len == whole
        || ((8..whole).contains(&len) && view.at::<1>(len.saturating_add(20)) == Some([1]));
    Some(protocol == 1 && is_kind && is_result && is_whole && len >= 8 && message >> 16 != 0)
}

/// A version and its inverse, a kind, a length.
fn is_doip(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let (version, inverse) = (cursor.u8()?, cursor.u8()?);
    if inverse != !version {
        return Some(false);
    }
    let (kind, len) = (cursor.u16()?, usize::try_from(cursor.u32()?).ok()?);
    // Vehicles are looked for in any version; connections begin by being routed.
    let is_kind = match version {
        1..=4 if view.is_tcp() => {
            matches!((kind, len), (5, 7 | 11) | (6, 9 | 13) | (0x8001..=0x8003, 5..))
        }
        1..=4 => matches!(kind, 0..=4 | 0x4001..=0x4004),
        0xff => view.is_udp() && matches!(kind, 1..=3),
        _ => false,
    };
    let is_whole = len == view.len.saturating_sub(8) || (view.is_tcp() && len <= 0x1_0000);
    Some(is_kind && is_whole)
}

/// A text in front; or version, operation, sequence and number of frames, as cannelloni has it.
fn is_can(view: &View<'_>) -> bool {
    if view.data.starts_with(b"ISO11898") {
        return true;
    }
    let Some([2, 0, _, high, low]) = view.at(0) else { return false };
    let frames = usize::from(u16::from_be_bytes([high, low]));
    let mut cursor = Cursor::new(view.data.get(5..).unwrap_or_default());
    for _ in 0..frames.min(64) {
        let Some(len) = cursor.skip(4).and_then(|()| cursor.u8()) else { return false };
        // Frames of CAN FD have flags, and up to 64 octets; remote ones have none.
        let is_fd = len & 0x80 != 0;
        let size = usize::from(len & 0x7f);
        if size > if is_fd { 64 } else { 8 }
            || cursor.skip(size.saturating_add(is_fd.into())).is_none()
        {
            return false;
        }
    }
    frames > 0 && (cursor.is_empty() || frames > 64)
}

/// Sequence, version 1, two letters for the kind.
fn is_trdp(view: &View<'_>) -> Option<bool> {
    let [1, 0 | 1, first, second] = view.at(4)? else { return Some(false) };
    let is_process = first == b'P' && matches!(second, b'd' | b'p' | b'r' | b'e');
    let is_message = first == b'M' && matches!(second, b'n' | b'r' | b'p' | b'q' | b'c' | b'e');
    let size = usize::try_from(view.u32_at(20)?).ok()?;
    Some((is_process || is_message) && view.len >= 40 && (view.is_tcp() || size <= view.len))
}

/// A key, flags, a command with the length of what follows; or a status and an answer.
fn is_gvcp(view: &View<'_>) -> Option<bool> {
    let [first, second, high, low] = view.at(0)?;
    let (len, id) = (usize::from(view.u16_at(4)?), view.u16_at(6)?);
    let command = u16::from_be_bytes([high, low]);
    let is_command = matches!(command, 2..=5 | 0x40 | 0x41 | 0x80..=0x89 | 0xc0..=0xc3);
    let is_asked = first == 0x42 && (second & 0x0e == 0) && command & 1 == 0;
    let is_answer = matches!((first, second), (0 | 0x80, 0..=0x10)) && view.has_port(3956);
    Some(is_command && (is_asked || is_answer) && len == view.len.saturating_sub(8) && id != 0)
}

/// Two letters, a kind, a parameter, a length of eight octets.
fn is_hislip(view: &View<'_>) -> Option<bool> {
    let [b'H', b'S', kind, control] = view.at(0)? else { return Some(false) };
    let len = u64::from_be_bytes(view.at(8)?);
    Some(kind <= 26 && control <= 7 && len <= 0x1_0000)
}

/// Frames one behind the other: of version 1 with 8 octets around the payload, of 2 with 12.
fn is_mavlink(view: &View<'_>) -> Option<bool> {
    let (mut rest, mut frames) = (view.data, 0_u8);
    let first = *rest.first()?;
    if !matches!(first, 0xfe | 0xfd) {
        return Some(false);
    }
    while let [mark @ (0xfe | 0xfd), len, flags, ..] = rest {
        let around = if *mark == 0xfe { 8 } else { 12 };
        // The only flag says that a signature of 13 octets is at the end.
        let signature = if *mark == 0xfd && *flags == 1 { 13 } else { 0 };
        if *mark == 0xfd && *flags > 1 {
            return Some(false);
        }
        let size = usize::from(*len).saturating_add(around).saturating_add(signature);
        let Some(next) = rest.get(size..) else {
            return if view.is_tcp() && frames < 2 { None } else { Some(frames > 1) };
        };
        (rest, frames) = (next, frames.saturating_add(1));
        if frames > 8 {
            return Some(true);
        }
    }
    Some(rest.is_empty() && (frames > 1 || view.has_port(14_550) || view.has_port(14_540)))
}

/// A bundle; or an address and the types of its arguments, each padded to whole words.
fn is_osc(view: &View<'_>) -> bool {
    if !view.len.is_multiple_of(4) {
        return false;
    }
    if view.data.starts_with(b"#bundle\0") {
        return view.len >= 16;
    }
    if view.first() != Some(b'/') {
        return false;
    }
    let Some(end) = view.data.iter().take(128).position(|octet| *octet == 0) else { return false };
    let Some(address) = view.data.get(..end) else { return false };
    let types = end.saturating_add(4) & !3;
    let padding = view.data.get(end..types).unwrap_or_default();
    let is_address = address.len() > 1 && is_printable(address);
    let is_padded = padding.iter().all(|octet| *octet == 0);
    is_address
        && is_padded
        && matches!(
            view.data.get(types..),
            Some([b',', b'a'..=b't' | 0 | b'F' | b'N' | b'T' | b'[', ..])
        )
}

/// A sentence: its mark, five letters, fields; at the end a checksum.
fn is_nmea(data: &[u8]) -> Option<bool> {
    if !matches!(data.first()?, b'$' | b'!') {
        return Some(false);
    }
    let line = data.get(1..data.len().min(100))?;
    let Some(star) = line.iter().position(|octet| *octet == b'*') else {
        return if line.len() < 82 && is_printable(line) { None } else { Some(false) };
    };
    let (sentence, end) = line.split_at_checked(star)?;
    let is_name =
        sentence.iter().take(5).all(u8::is_ascii_uppercase) && sentence.get(5) == Some(&b',');
    let sum = sentence.iter().fold(0_u8, |sum, octet| sum ^ octet);
    let digit = |at: usize| end.get(at).and_then(|octet| char::from(*octet).to_digit(16));
    let said = digit(1)?.wrapping_shl(4) | digit(2)?;
    Some(is_name && said == u32::from(sum))
}

/// Version, a token, what it is, the gateway's number; behind it JSON.
fn is_lorawan(view: &View<'_>) -> Option<bool> {
    let [version @ 1..=2, _, _, kind @ 0..=5] = view.at(0)? else { return Some(false) };
    Some(match kind {
        0 => view.at(12) == Some([b'{']) && version > 0,
        2 => view.len == 12 && view.has_port(1700),
        1 | 4 => view.len == 4 && view.has_port(1700),
        3 => view.at(4) == Some([b'{']),
        _ => view.len >= 12 && view.has_port(1700),
    })
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn udp(port: u16, payload: &str) -> Protocol {
        Talk::udp(port).client(&hex(payload)).protocol()
    }

    #[test]
    fn buildings() {
        assert_eq!(udp(47_808, "81 0a 0011 01 04 00050c0c023fffff1e4b1f"), Protocol::BACNET);
        assert_eq!(udp(47_808, "81 0b 000c 01 20 ffff 00 ff 10 08"), Protocol::BACNET);
        assert_eq!(udp(47_808, "81 0b 000c 02 20 ffff 00 ff 10 08"), Protocol::UNKNOWN);
        assert_eq!(udp(3671, "06 10 0201 000e 08 01 c0a80001 0e57"), Protocol::KNX);
        assert_eq!(udp(3671, "06 10 0201 000f 08 01 c0a80001 0e57"), Protocol::UNKNOWN);
    }

    #[test]
    fn vehicles() {
        let offer = "ffff8100 0000000c 00000001 01 01 02 00 c0000000";
        assert_eq!(udp(30_490, offer), Protocol::SOMEIP);
        assert_eq!(udp(30_490, &offer.replace("01 01 02 00", "02 01 02 00")), Protocol::UNKNOWN);
        assert_eq!(udp(7400, "52545053 02 01 0101"), Protocol::RTPS);
        assert_eq!(udp(13_400, "02 fd 0001 00000000"), Protocol::DOIP);
        assert_eq!(udp(13_400, "02 fc 0001 00000000"), Protocol::UNKNOWN);
        assert_eq!(udp(9, "49534f3131383938 01"), Protocol::CAN);
        assert_eq!(udp(20_000, "02 00 01 0001 00000123 02 abcd"), Protocol::CAN);
        assert_eq!(udp(20_000, "02 00 01 0001 00000123 03 abcd"), Protocol::UNKNOWN);
        let mut process = hex("00000001 0100 5064 000003e8 00000000 00000000 00000000");
        process.resize(40, 0);
        assert_eq!(Talk::udp(17_224).client(&process).protocol(), Protocol::TRDP);
        assert_eq!(
            udp(14_550, "fe 09 00 01 01 00 00000000 02 03 51 03 03 abcd"),
            Protocol::MAVLINK
        );
        assert_eq!(
            udp(14_550, "fe 0a 00 01 01 00 00000000 02 03 51 03 03 abcd"),
            Protocol::UNKNOWN
        );
    }

    #[test]
    fn instruments_and_stages() {
        assert_eq!(udp(3956, "42 01 0002 0000 0001"), Protocol::GVCP);
        assert_eq!(udp(3956, "42 01 0002 0001 0001"), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(6454).client(b"Art-Net\0\0\x50\0\x0e").protocol(), Protocol::ARTNET);
        assert_eq!(
            Talk::udp(5568).client(b"\0\x10\0\0ASC-E1.17\0\0\0\x72\x6e").protocol(),
            Protocol::SACN
        );
        let hello = hex("4853 00 00 01005a5a 0000000000000007 686973 6c697030");
        assert_eq!(Talk::tcp(4880).client(&hello).protocol(), Protocol::HISLIP);
        assert_eq!(
            Talk::udp(9000).client(b"/a/b\0\0\0\0,f\0\0\x3f\x80\0\0").protocol(),
            Protocol::OSC
        );
        assert_eq!(
            Talk::udp(9000).client(b"/a/b\0\0\0\0if\0\0\x3f\x80\0\0").protocol(),
            Protocol::UNKNOWN
        );
    }

    #[test]
    fn ships_and_gateways() {
        let sentence = b"$GPGLL,4916.45,N,12311.12,W,225444,A,*1D\r\n";
        assert_eq!(Talk::tcp(10_110).server(sentence).protocol(), Protocol::NMEA);
        let mut wrong = *sentence;
        wrong[10] = b'9';
        assert_eq!(Talk::tcp(10_110).server(&wrong).protocol(), Protocol::UNKNOWN);
        let pushed = b"\x02\x12\x34\x00\xaa\xbb\xcc\xdd\xee\xff\x00\x11{\"rxpk\":[]}";
        assert_eq!(Talk::udp(1700).client(pushed).protocol(), Protocol::LORAWAN);
        assert_eq!(udp(17_754, "4558 02 01 0b"), Protocol::ZEP);
    }
}
