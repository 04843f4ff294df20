//! Remote calls and what carries objects: CORBA (GIOP, MIOP), Java RMI (its wire protocol), Thrift
//! (binary and compact), Hazelcast (its client protocols), Erlang's port mapper, Raft as dqlite
//! speaks it.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Protocol};

pub(super) const CORBA: Dissector = Dissector::both(Protocol::CORBA, &[683], |view, _| {
    view.judge(Protocol::CORBA, is_corba(view.data))
});

pub(super) const JRMI: Dissector = Dissector::tcp(Protocol::JRMI, &[1099], |view, _| {
    view.judge(Protocol::JRMI, is_jrmi(view.data))
});

pub(super) const THRIFT: Dissector = Dissector::both(Protocol::THRIFT, &[], |view, _| {
    view.judge(Protocol::THRIFT, is_thrift(view.data))
});

pub(super) const HAZELCAST: Dissector = Dissector::tcp(Protocol::HAZELCAST, &[5701], |view, _| {
    let is_port = (5701..=5799).contains(&view.server_port);
    let fits = view.at::<3>(0).map(|mark| is_port && matches!(&mark, b"CP2" | b"HZC" | b"HZX"));
    view.judge(Protocol::HAZELCAST, fits)
});

pub(super) const EPMD: Dissector = Dissector::tcp(Protocol::EPMD, &[4369], |view, _| {
    view.judge(Protocol::EPMD, is_epmd(view.data, view.has_port(4369)))
})
.bound();

pub(super) const RAFT: Dissector =
    Dissector::tcp(Protocol::RAFT, &[], |view, _| view.judge(Protocol::RAFT, is_raft(view.data)));

/// The magic text, version 1, a flag for the order of octets, a kind of message.
fn is_corba(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let magic = cursor.array::<4>()?;
    if magic == *b"MIOP" {
        return Some(cursor.u8()? >> 4 == 1);
    }
    if magic != *b"GIOP" && magic != *b"ZIOP" {
        return Some(false);
    }
    let (major, _minor, flags, kind) = (cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?);
    Some(major == 1 && flags < 16 && kind <= 7)
}

/// Version 1 or 2; as a stream, a single operation, or several at once.
fn is_jrmi(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let magic = cursor.array::<4>()?;
    let (version, way) = (cursor.u16()?, cursor.u8()?);
    Some(magic == *b"JRMI" && matches!(version, 1 | 2) && (0x4b..=0x4d).contains(&way))
}

/// Framed or not: version 1, a kind of message, the name of a method.
fn is_thrift(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if *cursor.rest().first()? == 0 {
        cursor.skip(4)?;
    }
    if *cursor.rest().first()? == 0x82 {
        return is_compact(cursor);
    }
    let [0x80, 1, 0, 1..=4] = cursor.array()? else { return Some(false) };
    let len = cursor.u32()?;
    if !(1..=128).contains(&len) {
        return Some(false);
    }
    Some(is_method(cursor.take(usize::try_from(len).ok()?)?))
}

fn is_compact(mut cursor: Cursor<'_>) -> Option<bool> {
    let (0x82, second) = (cursor.u8()?, cursor.u8()?) else { return Some(false) };
    if second & 0x1f != 1 || !matches!(second >> 5, 1..=4) {
        return Some(false);
    }
    // A number in groups of seven bits.
    for _ in 0..5 {
        if cursor.u8()? & 0x80 == 0 {
            break;
        }
    }
    let name = cursor.counted8()?;
    Some((2..=127).contains(&name.len()) && is_method(name))
}

fn is_method(name: &[u8]) -> bool {
    name.iter().all(|octet| octet.is_ascii_alphanumeric() || b"_.:".contains(octet))
}

/// A length, then a request: alive, a port, names.
fn is_epmd(data: &[u8], is_here: bool) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (len, kind) = (cursor.u16()?, cursor.u8()?);
    let is_whole = usize::from(len) == cursor.rest().len().saturating_add(1);
    Some(is_here && is_whole && matches!(kind, b'x' | b'z' | b'n' | b'd' | b'k' | b's'))
}

/// A version of eight octets, the server's number, the length of its address, that.
fn is_raft(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (version, number, len) = (cursor.u64_le()?, cursor.u64_le()?, cursor.u64_le()?);
    if version != 1 || !(8..=512).contains(&len) || len % 8 != 0 {
        return Some(false);
    }
    // Text, padded to whole words.
    let address = cursor.array::<8>()?;
    Some(
        number != 0
            && address.first()?.is_ascii_alphanumeric()
            && address.iter().all(|o| *o == 0 || o.is_ascii_graphic()),
    )
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn tcp(payload: &[u8]) -> Protocol {
        Talk::tcp(40_000).client(payload).protocol()
    }

    #[test]
    fn each_by_its_first_message() {
        assert_eq!(tcp(b"GIOP\x01\x02\x01\0\x10\0\0\0"), Protocol::CORBA);
        assert_eq!(tcp(b"GIOP\x02\x02\x01\0\x10\0\0\0"), Protocol::UNKNOWN);
        assert_eq!(tcp(b"JRMI\0\x02\x4b"), Protocol::JRMI);
        assert_eq!(tcp(b"JRMI\0\x02\x4e"), Protocol::UNKNOWN);
        assert_eq!(tcp(b"\x80\x01\0\x01\0\0\0\x04ping\0\0\0\0"), Protocol::THRIFT);
        assert_eq!(tcp(b"\0\0\0\x11\x80\x01\0\x01\0\0\0\x04ping\0\0\0\0"), Protocol::THRIFT);
        assert_eq!(tcp(b"\x80\x01\0\x05\0\0\0\x04ping\0\0\0\0"), Protocol::UNKNOWN);
        let batch = b"\x82\x81\x01\x09emitBatch\x1c";
        let framed = hex("0000000c 82 21 00 04 70696e67 18016100");
        assert_eq!(tcp(&framed), Protocol::THRIFT);
        assert_eq!(Talk::udp(6831).client(batch).protocol(), Protocol::THRIFT);
        assert_eq!(Talk::tcp(5701).client(b"CP2").protocol(), Protocol::HAZELCAST);
        assert_eq!(Talk::tcp(4369).client(b"\0\x04zabc").protocol(), Protocol::EPMD);
        assert_eq!(Talk::tcp(4369).client(b"\0\x05zabc").protocol(), Protocol::UNKNOWN);
        let hello = hex("0100000000000000 0200000000000000 1000000000000000 3132372e302e302e");
        assert_eq!(tcp(&hello), Protocol::RAFT);
    }
}
