//! Remote control of power and water: DNP3 (IEEE 1815), IEC 60870-5-104, DLMS/COSEM (IEC 62056-47
//! and -46), synchrophasors (IEEE C37.118.2), ANSI C12.22, tank gauges (Veeder-Root's serial
//! interface over TCP).

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DNP3: Dissector = Dissector::both(Protocol::DNP3, &[20_000], |view, _| {
    view.judge(Protocol::DNP3, is_dnp3(view.data))
});

pub(super) const IEC104: Dissector = Dissector::tcp(Protocol::IEC104, &[2404], iec104);

pub(super) const DLMS: Dissector =
    Dissector::both(Protocol::DLMS, &[4059], |view, _| view.judge(Protocol::DLMS, is_dlms(view)));

pub(super) const C37118: Dissector = Dissector::both(Protocol::C37118, &[4712, 4713], |view, _| {
    view.judge(Protocol::C37118, is_c37118(view))
});

pub(super) const C1222: Dissector = Dissector::both(Protocol::C1222, &[1153], |view, _| {
    view.judge(Protocol::C1222, is_c1222(view))
});

pub(super) const ATG: Dissector = Dissector::tcp(Protocol::ATG, &[10_001], |view, _| {
    view.judge(Protocol::ATG, is_atg(view.data))
});

/// Two octets of synchronization, length, control, two addresses, and their checksum.
fn is_dnp3(data: &[u8]) -> Option<bool> {
    if !matches!(data, [0x05, 0x64, ..] | [0x05] | []) {
        return Some(false);
    }
    let header: &[u8; 8] = data.first_chunk()?;
    let sum = u16::from_le_bytes(*data.get(8..)?.first_chunk()?);
    let (5.., control) = (header[2], header[3] & 0x0f) else { return Some(false) };
    Some(checksum(header) == sum && matches!(control, 0..=4 | 9 | 11 | 14 | 15))
}

/// The cyclic redundancy check of DNP3, 0xa6bc reflected, inverted at the end.
fn checksum(octets: &[u8]) -> u16 {
    let mut sum = 0_u16;
    for octet in octets {
        sum ^= u16::from(*octet);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xa6bc } else { sum >> 1 };
        }
    }
    !sum
}

/// A start, a length, four octets of control; of information frames also their type.
fn iec104(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let fits = view.at(0).map(|[start, len, first, second, third, fourth]: [u8; 6]| {
        let whole = usize::from(len).saturating_add(2);
        let is_frame = match first & 3 {
            // Of no number: to start, stop or test, one thing at a time.
            3 => {
                let is_one = matches!(first, 0x07 | 0x0b | 0x13 | 0x23 | 0x43 | 0x83);
                is_one && len == 4 && [second, third, fourth] == [0; 3]
            }
            1 => len == 4 && first == 1 && second == 0 && third & 1 == 0 && view.has_port(2404),
            _ => {
                let kind = view.at(6).map_or(0, |[kind]| kind);
                len >= 10 && third & 1 == 0 && matches!(kind, 1..=127) && view.has_port(2404)
            }
        };
        start == 0x68 && is_frame && (4..=253).contains(&len) && view.data.len() >= whole
    });
    if view.data.first().is_some_and(|first| *first != 0x68) {
        return Verdict::No;
    }
    view.judge(Protocol::IEC104, fits)
}

/// A wrapper with version, two ports, length; or a frame of HDLC, whose length it tells.
fn is_dlms(view: &View<'_>) -> Option<bool> {
    match view.data {
        [0, 1, 0, _, 0, _, high, low, tag, ..] => {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let is_tag =
                matches!(tag, 0x01 | 0x05 | 0x06 | 0x08 | 0x0c | 0x0e | 0x60..=0x63 | 0xc0..=0xdf);
            let is_whole = len == view.len.saturating_sub(8);
            Some(is_tag && is_whole && (view.has_port(4059) || len > 8))
        }
        [0, 1, 0, ..] => None,
        [0x7e, 0xa0..=0xa7, len, ..] => {
            let whole = usize::from(*len).saturating_add(2);
            let end = view.data.get(whole.saturating_sub(1))?;
            // The check of the header of what has more than one covers all before it.
            let frame = view.data.get(1..whole.saturating_sub(3))?;
            let sum = view.data.get(whole.saturating_sub(3)..)?.first_chunk::<2>()?;
            Some(*end == 0x7e && whole >= 9 && frame_check(frame) == u16::from_le_bytes(*sum))
        }
        [0x7e] | [0x7e, 0xa0..=0xa7] | [] => None,
        _ => Some(false),
    }
}

/// The frame check of HDLC (ISO/IEC 13239), 0x8408 reflected.
fn frame_check(octets: &[u8]) -> u16 {
    let mut sum = u16::MAX;
    for octet in octets {
        sum ^= u16::from(*octet);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x8408 } else { sum >> 1 };
        }
    }
    !sum
}

/// Synchronization with kind and version, the size of the frame, which is whole.
fn is_c37118(view: &View<'_>) -> Option<bool> {
    let mut cursor = Cursor::new(view.data);
    if cursor.u8()? != 0xaa {
        return Some(false);
    }
    let (kind, len) = (cursor.u8()?, cursor.u16()?);
    let is_kind = kind >> 4 <= 5 && matches!(kind & 0x0f, 1..=3);
    let len = usize::from(len);
    let is_whole =
        len == view.len || (view.is_tcp() && len < view.len && view.data.get(len) == Some(&0xaa));
    // A command has a size of its own, and data at least its time and status.
    let is_size = if kind >> 4 == 4 { len >= 18 } else { len >= 16 };
    Some(is_kind && is_size && is_whole)
}

/// An association's elements: titles, qualifiers, and last the user's information.
fn is_c1222(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    if *view.data.first()? != 0x60 {
        return Some(false);
    }
    let (_, len) = cursor.ber()?;
    if !(8..=4_096).contains(&len) || view.len < len {
        return Some(false);
    }
    let mut has_title = false;
    for _ in 0..12 {
        let (tag, _) = cursor.ber_value()?;
        match tag {
            0xbe => return Some(has_title && cursor.is_empty()),
            // Called and calling titles and numbers; the context as a meter has it.
            0xa2 | 0xa4 | 0xa6 | 0xa8 => has_title = true,
            0xa1 | 0x80 | 0x8a | 0x8b | 0xa3 | 0xa5 | 0xa7 | 0xa9 | 0xac => {}
            _ => return Some(false),
        }
    }
    Some(false)
}

/// A control character, a function with its number.
fn is_atg(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if cursor.u8()? != 1 {
        return Some(false);
    }
    let [kind, digits @ ..] = cursor.array::<6>()?;
    let is_function =
        matches!(kind, b'I' | b'S' | b'i' | b's') && digits.iter().all(u8::is_ascii_digit);
    let is_end = matches!(cursor.rest(), [] | [b'\r' | b'\n' | b'0'..=b'9', ..]);
    Some(is_function && is_end)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_frame_of_dnp3_has_its_checksum() {
        let frame = hex("05 64 05 c0 01 00 0a 00 e0 8c");
        assert_eq!(Talk::tcp(9).client(&frame).protocol(), Protocol::DNP3);
        let mut wrong = frame;
        wrong[8] ^= 1;
        assert_eq!(Talk::tcp(20_000).client(&wrong).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_station_is_started() {
        assert_eq!(Talk::tcp(9).client(&hex("68 04 07 00 00 00")).protocol(), Protocol::IEC104);
        assert_eq!(Talk::tcp(2404).client(&hex("68 04 07 00 00 01")).protocol(), Protocol::UNKNOWN);
        let measured = hex("68 0e 00 00 00 00 46 01 04 00 0a 00 00 00 00 00");
        assert_eq!(Talk::tcp(2404).server(&measured).protocol(), Protocol::IEC104);
        assert_eq!(Talk::tcp(9).server(&measured).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn meters_are_read() {
        let frame = hex("7e a0 07 03 21 93 0f 01 7e");
        assert_eq!(Talk::tcp(4060).client(&frame).protocol(), Protocol::DLMS);
        let mut wrong = frame;
        wrong[6] ^= 1;
        assert_eq!(Talk::tcp(4060).client(&wrong).protocol(), Protocol::UNKNOWN);
        let wrapped = hex("0001 0010 0001 000d c0 01 c1 00 08 00 00 01 00 00 ff 02 00");
        assert_eq!(Talk::tcp(4059).client(&wrapped).protocol(), Protocol::DLMS);
        let c1222 = hex("60 12 a2 05 06 03 60 7c 86 a8 03 02 01 05 be 04 28 02 81 00");
        assert_eq!(Talk::udp(1153).client(&c1222).protocol(), Protocol::C1222);
        Talk::tcp(1153).client(&c1222).survives();
        assert_eq!(Talk::udp(1153).client(&c1222[..18]).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn phasors_and_tanks() {
        let command = hex("aa 41 0012 0002 4e1a7b60 00000000 0002 ce00");
        assert_eq!(Talk::udp(4713).client(&command).protocol(), Protocol::C37118);
        assert_eq!(Talk::udp(4713).client(&command[..17]).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(10_001).client(b"\x01I20100\r\n").protocol(), Protocol::ATG);
        assert_eq!(Talk::tcp(10_001).client(b"\x01I2010x\r\n").protocol(), Protocol::UNKNOWN);
    }
}
