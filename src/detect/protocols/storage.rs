//! Storage that shows itself by a magic number: 9P2000 (Plan 9 manual, section 5), iSCSI (RFC
//! 7143), NBD (its protocol document), Ceph (messenger versions 1 and 2), Lustre (LNet's socket
//! protocol), NDMP (version 4), Bacula (its developer's guide).

use crate::detect::cursor::Cursor;
use crate::detect::text::is_printable;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const NINE_P: Dissector = Dissector::tcp(Protocol::NINE_P, &[564], |view, _| {
    view.judge(Protocol::NINE_P, is_nine_p(view.data))
});

pub(super) const ISCSI: Dissector = Dissector::tcp(Protocol::ISCSI, &[3260, 860], |view, _| {
    view.judge(Protocol::ISCSI, is_iscsi(view.data))
});

pub(super) const NBD: Dissector = Dissector::tcp(Protocol::NBD, &[10_809], |view, _| {
    view.judge(Protocol::NBD, is_nbd(view.data))
});

pub(super) const CEPH: Dissector = Dissector::tcp(Protocol::CEPH, &[6789, 3300], |view, _| {
    view.judge(Protocol::CEPH, is_ceph(view.data))
});

pub(super) const LUSTRE: Dissector = Dissector::tcp(Protocol::LUSTRE, &[988], |view, _| {
    view.judge(Protocol::LUSTRE, is_lustre(view.data))
});

pub(super) const NDMP: Dissector =
    Dissector::tcp(Protocol::NDMP, &[], |view, _| view.judge(Protocol::NDMP, is_ndmp(view.data)));

pub(super) const BACULA: Dissector = Dissector::tcp(Protocol::BACULA, &[9101, 9102, 9103], bacula);

/// Versions are agreed upon first, with a tag of all ones.
fn is_nine_p(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let len = cursor.u32_le()?;
    let ([100 | 101, 0xff, 0xff], 13..=64) = (cursor.array()?, len) else { return Some(false) };
    cursor.skip(6)?;
    Some(cursor.array()? == *b"9P")
}

/// A login or its answer: versions 0, no further header, then keys with values.
fn is_iscsi(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let [operation, _, 0, 0, 0, 0, _, _] = cursor.array()? else { return Some(false) };
    if !matches!(operation, 0x43 | 0x03 | 0x23) {
        return Some(false);
    }
    cursor.skip(40)?;
    let rest = cursor.rest();
    if rest.is_empty() {
        return None;
    }
    let key = rest.iter().take(32).position(|octet| *octet == b'=').unwrap_or(0);
    Some(key > 2 && rest.iter().take(key).all(u8::is_ascii_alphanumeric))
}

fn is_nbd(data: &[u8]) -> Option<bool> {
    // A client answers the greeting with its flags, then asks for options with a mark of theirs.
    if let [0, 0, 0, 0..=3, rest @ ..] = data {
        return Some(rest.first_chunk()? == b"IHAVEOPT");
    }
    if !matches!(data.first()?, b'N' | 0x25 | 0x67) {
        return Some(false);
    }
    let magic: [u8; 4] = *data.first_chunk()?;
    // A server greets; requests and answers of a connection under way.
    let is_greeting = || Some(data.first_chunk::<16>()?.starts_with(b"NBDMAGIC"));
    match u32::from_be_bytes(magic) {
        0x2560_9513 => Some(u16::from_be_bytes(*data.get(6..)?.first_chunk()?) <= 7),
        0x6744_6698 => Some(u32::from_be_bytes(*data.get(4..)?.first_chunk()?) <= 200),
        0x4e42_444d => is_greeting(),
        _ => Some(false),
    }
}

fn is_ceph(data: &[u8]) -> Option<bool> {
    if *data.first()? != b'c' {
        return Some(false);
    }
    let banner: [u8; 8] = *data.first_chunk()?;
    Some(banner.starts_with(b"ceph v") && (banner[6] == b'0' || banner[6..] == *b"2\n"))
}

/// A request for a connection, or a hello, in either order of octets.
fn is_lustre(data: &[u8]) -> Option<bool> {
    let magic: [u8; 4] = *data.first_chunk()?;
    let number = u32::from_be_bytes(magic);
    Some(
        [number, number.swap_bytes()]
            .iter()
            .any(|magic| matches!(magic, 0xacce_7100 | 0xeebc_0ded | 0x4572_6963)),
    )
}

/// A record with sequence, time, kind, and one of its messages.
fn is_ndmp(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let mark = cursor.u32()?;
    if !(0x8000_0018..0x8001_0000).contains(&mark) {
        return Some(false);
    }
    let (sequence, _time, kind) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let (message, answers, error) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    let is_message = matches!(message, 0x0100..=0x0110 | 0x0500..=0x0507 | 0x0900..=0x0903);
    let is_answer = if kind == 0 { answers == 0 } else { answers > 0 };
    Some(kind <= 1 && is_message && is_answer && error <= 0x20 && sequence < 0x10_0000)
}

/// A length and a greeting as text.
fn bacula(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([0, 0, 0, len]) = view.at(0) else {
        return if view.data.len() < 4 { Verdict::Wait } else { Verdict::No };
    };
    let Some(text) = view.data.get(4..) else { return Verdict::Wait };
    let is_whole = text.len() == usize::from(len) && len > 12;
    let is_greeting = text.starts_with(b"Hello ") || text.starts_with(b"1000 OK");
    let line = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
    let fits = is_whole && is_greeting && is_printable(line);
    if fits { Verdict::Is(Protocol::BACULA) } else { Verdict::No }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn each_by_its_first_message() {
        let tcp = |payload: &[u8]| Talk::tcp(40_000).client(payload).protocol();
        assert_eq!(tcp(b"\x15\0\0\0\x64\xff\xff\x18\0\x02\0\x08\09P2000.L"), Protocol::NINE_P);
        assert_eq!(tcp(b"\x15\0\0\0\x64\xff\xfe\x18\0\x02\0\x08\09P2000.L"), Protocol::UNKNOWN);
        let mut login = hex("43 87 00 00 00 00 00 9c");
        login.resize(48, 0);
        assert_eq!(tcp(&login), Protocol::UNKNOWN);
        login.extend_from_slice(b"InitiatorName=iqn.1991-05.com.x\0");
        assert_eq!(tcp(&login), Protocol::ISCSI);
        assert_eq!(tcp(b"NBDMAGICIHAVEOPT\0\x03"), Protocol::NBD);
        let asks = Talk::tcp(40_000).client(b"\0\0\0\x03").client(b"IHAVEOPT\0\0\0\x07");
        assert_eq!(asks.protocol(), Protocol::NBD);
        assert_eq!(
            tcp(&hex("25609513 0000 0000 1122334455667788 0000000000001000 00000200")),
            Protocol::NBD
        );
        assert_eq!(tcp(b"ceph v027\0\0"), Protocol::CEPH);
        assert_eq!(tcp(b"ceph v2\n\x10\0"), Protocol::CEPH);
        assert_eq!(tcp(b"ceph v9\n\x10\0"), Protocol::UNKNOWN);
        assert_eq!(tcp(&hex("0071ceac 01000000")), Protocol::LUSTRE);
        let connect =
            hex("8000001c 00000001 5f000000 00000000 00000900 00000000 00000000 00000004");
        assert_eq!(tcp(&connect), Protocol::NDMP);
        assert_eq!(tcp(b"\0\0\0\x1fHello Director bacula-d calling\n"), Protocol::UNKNOWN);
        assert_eq!(tcp(b"\0\0\0\x20Hello Director bacula-d calling\n"), Protocol::BACULA);
    }
}
