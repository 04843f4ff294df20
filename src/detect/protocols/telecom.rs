//! Messages of operators, hospitals, exchanges and libraries: SMPP (version 3.4), HL7 (version 2
//! over MLLP), DICOM (PS3.8), FIX (its session protocol), Z39.50 (ISO 23950).

use crate::detect::cursor::Cursor;
use crate::detect::text::is_printable;
use crate::detect::{Dissector, Protocol};

pub(super) const SMPP: Dissector = Dissector::tcp(Protocol::SMPP, &[2775], |view, _| {
    view.judge(Protocol::SMPP, is_smpp(view.data))
});

pub(super) const HL7: Dissector =
    Dissector::tcp(Protocol::HL7, &[2575], |view, _| view.judge(Protocol::HL7, is_hl7(view.data)));

pub(super) const DICOM: Dissector = Dissector::tcp(Protocol::DICOM, &[104, 11_112], |view, _| {
    view.judge(Protocol::DICOM, is_dicom(view.data))
});

pub(super) const FIX: Dissector =
    Dissector::tcp(Protocol::FIX, &[], |view, _| view.judge(Protocol::FIX, is_fix(view.data)));

pub(super) const Z3950: Dissector = Dissector::tcp(Protocol::Z3950, &[210], |view, _| {
    view.judge(Protocol::Z3950, is_z3950(view.data))
});

/// Fields of number and value; the first is the version, the second the length of the body.
fn is_fix(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let start = cursor.array::<2>()?;
    if start != *b"8=" {
        return Some(false);
    }
    // FIX or FIXT with a number; exchanges that are sparing of octets have a letter alone.
    let Some(version) = cursor.until(1) else {
        return if data.len() < 16 { None } else { Some(false) };
    };
    let is_version = version.starts_with(b"FIX") || version.len() == 1;
    Some(is_version && version.len() <= 8 && is_printable(version) && cursor.array()? == *b"9=")
}

/// An association is begun, or the answer: reference, versions and options as strings of bits.
fn is_z3950(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if !matches!(data.first()?, 0xb4 | 0xb5) {
        return Some(false);
    }
    let (_, len) = cursor.ber()?;
    let (mut tag, mut value) = cursor.ber_value()?;
    if tag == 0x82 {
        (tag, value) = cursor.ber_value()?;
    }
    let (options, _) = cursor.ber()?;
    Some(tag == 0x83 && (1..=4).contains(&value.len()) && options == 0x84 && len < 0x1000)
}

/// Length, command, status, sequence; requests have no status, sequences begin with 1.
fn is_smpp(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (len, command) = (cursor.u32()?, cursor.u32()?);
    let is_command = matches!(command & 0x7fff_ffff, 0..=9 | 0x0b | 0x15 | 0x21 | 0x102 | 0x103);
    if !(16..=0x1_0000).contains(&len) || !is_command {
        return Some(false);
    }
    let (status, sequence) = (cursor.u32()?, cursor.u32()?);
    let is_answer = command & 0x8000_0000 != 0;
    let is_header =
        (is_answer || status == 0) && status <= 0x4ff && (1..0x8000_0000).contains(&sequence);
    let rest = cursor.rest();
    let body = usize::try_from(len.saturating_sub(16)).ok()?;
    // The first body is that of a bind, with names; a probe has none.
    let is_body = match command & 0x7fff_ffff {
        0x15 | 0x06 => body == 0,
        1 | 2 | 9 if body > 0 => {
            let name = rest.iter().take(16).take_while(|octet| **octet != 0).count();
            name < 16 && is_printable(rest.get(..name)?)
        }
        _ => true,
    };
    Some(is_header && is_body && (command & 0x7fff_ffff != 0 || is_answer))
}

/// A vertical tab, then the header of a message, a batch or a file.
fn is_hl7(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if cursor.u8()? != 0x0b {
        return Some(false);
    }
    Some(matches!(&cursor.array()?, b"MSH" | b"BHS" | b"FHS"))
}

/// An association is asked for or accepted: version 1, two names of 16 letters.
fn is_dicom(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (1 | 2, 0) = (cursor.u8()?, cursor.u8()?) else { return Some(false) };
    let (len, version, reserved) = (cursor.u32()?, cursor.u16()?, cursor.u16()?);
    if !(68..=0x1_0000).contains(&len) || version & 1 != 1 || reserved != 0 {
        return Some(false);
    }
    let names = cursor.take(32)?;
    Some(is_printable(names) && names.first()? != &b' ')
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn tcp(payload: &[u8]) -> Protocol {
        Talk::tcp(40_000).client(payload).protocol()
    }

    #[test]
    fn short_messages() {
        assert_eq!(tcp(&hex("00000010 00000015 00000000 00000001")), Protocol::SMPP);
        assert_eq!(tcp(&hex("00000010 00000015 00000001 00000001")), Protocol::UNKNOWN);
        assert_eq!(
            tcp(&hex("0000001b 00000009 00000000 00000001 736d73 00 7077 00")),
            Protocol::SMPP
        );
        assert_eq!(
            tcp(&hex("0000001b 00000009 00000000 00000001 730173 00 7077 00")),
            Protocol::UNKNOWN
        );
    }

    #[test]
    fn exchanges_and_libraries() {
        assert_eq!(tcp(b"8=FIX.4.2\x019=65\x0135=A\x01"), Protocol::FIX);
        assert_eq!(tcp(b"8=O\x019=65\x0135=A\x01"), Protocol::FIX);
        assert_eq!(tcp(b"8=FIX.4.2\x018=65\x0135=A\x01"), Protocol::UNKNOWN);
        assert_eq!(
            tcp(&hex("b4 10 83 02 00 e0 84 03 00 e9 a2 85 04 04 00 00 00")),
            Protocol::Z3950
        );
        assert_eq!(
            tcp(&hex("b4 10 83 02 00 e0 85 03 00 e9 a2 85 04 04 00 00 00")),
            Protocol::UNKNOWN
        );
    }

    #[test]
    fn records_and_pictures_of_patients() {
        assert_eq!(tcp(b"\x0bMSH|^~\\&|"), Protocol::HL7);
        assert_eq!(tcp(b"\x0bMSX|^~\\&|"), Protocol::UNKNOWN);
        let ask = b"\x01\0\0\0\0\xcd\0\x01\0\0ARCHIVE         SCANNER         ";
        assert_eq!(tcp(ask), Protocol::DICOM);
        let mut other = *ask;
        other[12] = 1;
        assert_eq!(tcp(&other), Protocol::UNKNOWN);
    }
}
