//! Databases that their first message shows: Cassandra (CQL binary protocol 1 to 5), Elasticsearch
//! (its transport), DRDA (The Open Group, DDM), Firebird (its remote protocol), ClickHouse (native
//! protocol), Aerospike (wire protocol), ZooKeeper, InfluxDB (line protocol over UDP), Bolt.

use crate::detect::cursor::Cursor;
use crate::detect::text::{find_within, is_printable, leading_number};
use crate::detect::{Dissector, Protocol};

pub(super) const CASSANDRA: Dissector =
    Dissector::tcp(Protocol::CASSANDRA, &[9042, 7000], |view, _| {
        view.judge(Protocol::CASSANDRA, is_cassandra(view.data))
    });

pub(super) const ELASTICSEARCH: Dissector =
    Dissector::tcp(Protocol::ELASTICSEARCH, &[9300], |view, _| {
        view.judge(Protocol::ELASTICSEARCH, is_elasticsearch(view.data))
    });

pub(super) const DRDA: Dissector = Dissector::tcp(Protocol::DRDA, &[446], |view, _| {
    view.judge(Protocol::DRDA, is_drda(view.data))
});

pub(super) const FIREBIRD: Dissector = Dissector::tcp(Protocol::FIREBIRD, &[3050], |view, _| {
    view.judge(Protocol::FIREBIRD, is_firebird(view.data))
});

pub(super) const CLICKHOUSE: Dissector =
    Dissector::tcp(Protocol::CLICKHOUSE, &[9000], |view, _| {
        view.judge(Protocol::CLICKHOUSE, is_clickhouse(view.data))
    });

pub(super) const AEROSPIKE: Dissector = Dissector::tcp(Protocol::AEROSPIKE, &[3000], |view, _| {
    view.judge(Protocol::AEROSPIKE, is_aerospike(view.data))
});

pub(super) const ZOOKEEPER: Dissector = Dissector::tcp(Protocol::ZOOKEEPER, &[2181], |view, _| {
    view.judge(Protocol::ZOOKEEPER, is_zookeeper(view.data, view.has_port(2181)))
});

pub(super) const INFLUXDB: Dissector = Dissector::udp(Protocol::INFLUXDB, &[8089], |view, _| {
    view.judge(Protocol::INFLUXDB, is_influxdb(view.data))
});

pub(super) const BOLT: Dissector = Dissector::tcp(Protocol::BOLT, &[7687], |view, _| {
    view.judge(Protocol::BOLT, is_bolt(view.data))
});

/// What a client begins with: its options, or to be told of them; and their answers.
fn is_cassandra(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (version, flags) = (cursor.u8()?, cursor.u8()?);
    // Between servers there is a magic number.
    if (version, flags) == (0xca, 0x55) {
        return Some(cursor.u16()? == 0x2dfa);
    }
    // Versions 1 and 2 have a shorter number of the stream; DataStax Enterprise has its own two.
    let is_short = match version & 0x7f {
        1 | 2 => true,
        3..=5 | 0x41 | 0x42 => false,
        _ => return Some(false),
    };
    if flags & !0x1f != 0 {
        return Some(false);
    }
    let stream = if is_short { u16::from(cursor.u8()?) } else { cursor.u16()? };
    let (operation, len) = (cursor.u8()?, cursor.u32()?);
    let is_answer = version & 0x80 != 0;
    let header = data.len().saturating_sub(cursor.rest().len());
    match (operation, is_answer) {
        (1, false) => Some(find_within(data, b"CQL_VERSION", 64).is_some()),
        (5, false) => Some(len == 0 && cursor.is_empty()),
        (6, true) => Some(find_within(data, b"CQL_VERSION", 256).is_some()),
        (2 | 3 | 0x0e | 0x10, true) => Some(
            len < 0x1_0000
                && stream < 0x100
                && usize::try_from(len).ok()?.saturating_add(header) == data.len(),
        ),
        _ => Some(false),
    }
}

/// Two letters, the length of the rest, number, status, version.
fn is_elasticsearch(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if cursor.array()? != *b"ES" {
        return Some(false);
    }
    let len = cursor.u32()?;
    if len == u32::MAX {
        return Some(true);
    }
    cursor.skip(8)?;
    Some(cursor.u8()? < 0x10 && (13..0x800_0000).contains(&len))
}

/// A DDM header whose two lengths agree, and a command that opens a conversation.
fn is_drda(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (len, magic, format) = (cursor.u16()?, cursor.u8()?, cursor.u8()?);
    if magic != 0xd0 || format & 0x80 != 0 || !matches!(format & 0x0f, 1..=5) {
        return Some(false);
    }
    cursor.skip(2)?;
    let (inner, point) = (cursor.u16()?, cursor.u16()?);
    Some(inner == len.saturating_sub(6) && (0x1000..=0x2fff).contains(&point))
}

/// Connect, attach, version 2 or 3 of that, a kind of machine, the path of the database.
fn is_firebird(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if cursor.u32()? != 1 || cursor.u32()? != 19 {
        return Some(false);
    }
    let (version, machine, path) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
    Some((2..=3).contains(&version) && machine <= 64 && path <= 1_024)
}

/// Hello: zero, and the name of the client or the server.
fn is_clickhouse(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if cursor.u8()? != 0 {
        return Some(false);
    }
    let (len, name) = (cursor.u8()?, cursor.array()?);
    Some((10..=64).contains(&len) && name == *b"ClickHouse")
}

/// Version 2, what it is, a length of six octets; behind it the size of a header, or words.
fn is_aerospike(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (version, kind) = (cursor.u8()?, cursor.u8()?);
    if version != 2 || !(1..=4).contains(&kind) {
        return Some(false);
    }
    let len = u64::from(cursor.u16()?) << 32 | u64::from(cursor.u32()?);
    let is_whole = len == cursor.rest().len() as u64;
    match kind {
        3 => Some(is_whole && len >= 22 && cursor.u8()? == 22),
        1 => Some(is_whole && len >= 2 && cursor.rest().iter().all(|octet| octet.is_ascii())),
        _ => Some(is_whole && len >= 16 && cursor.u32()? <= 0xff),
    }
}

/// A session is asked for or given: protocol 0, a password of 16 octets; or a word of four letters.
fn is_zookeeper(data: &[u8], is_here: bool) -> Option<bool> {
    if is_here && matches!(data, b"ruok" | b"stat" | b"mntr" | b"srvr" | b"conf" | b"imok") {
        return Some(true);
    }
    let mut cursor = Cursor::new(data);
    let (len @ 36..=45, 0) = (cursor.u32()?, cursor.u32()?) else { return Some(false) };
    let is_question = len >= 44;
    if !is_question && len > 37 {
        return Some(false);
    }
    // A client tells the last change that it saw.
    cursor.skip(if is_question { 8 } else { 0 })?;
    let timeout = cursor.u32()?;
    cursor.skip(8)?;
    Some(timeout <= 3_600_000 && cursor.u32()? == 16)
}

/// A measurement with tags, fields, maybe a time.
fn is_influxdb(data: &[u8]) -> Option<bool> {
    let end =
        data.iter().take(512).position(|o| *o == b'\n').unwrap_or_else(|| data.len().min(512));
    let line = data.get(..end)?;
    if !line.first()?.is_ascii_alphabetic() || !is_printable(line) {
        return Some(false);
    }
    let mut words = line.split(|octet| *octet == b' ');
    let (names, fields, time) = (words.next()?, words.next().unwrap_or_default(), words.next());
    let is_name = |octet: &u8| octet.is_ascii_alphanumeric() || b"_-.,=/:\\".contains(octet);
    let is_time = time.is_some_and(|time| time.len() >= 10 && time.iter().all(u8::is_ascii_digit));
    let has_field = fields.iter().position(|octet| *octet == b'=').is_some_and(|at| {
        let value = fields.get(at.saturating_add(1)..).unwrap_or_default();
        at > 0
            && (value.first() == Some(&b'"')
                || leading_number(value).is_some()
                || value.first() == Some(&b'-'))
    });
    Some(
        names.iter().all(is_name)
            && names.contains(&b',')
            && has_field
            && is_time
            && words.next().is_none(),
    )
}

/// A magic number, then four versions that the client speaks.
fn is_bolt(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if cursor.u32()? != 0x6060_b017 {
        return Some(false);
    }
    Some(cursor.u32()? <= 0x00ff_ffff)
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
        let mut startup = hex("04 00 0000 01 00000016 0001 000b");
        startup.extend_from_slice(b"CQL_VERSION\0\x053.0.0");
        assert_eq!(tcp(&startup), Protocol::CASSANDRA);
        assert_eq!(tcp(&hex("04 00 0000 05 00000000")), Protocol::CASSANDRA);
        assert_eq!(tcp(&hex("04 00 0000 05 00000001 00")), Protocol::UNKNOWN);
        // Drivers of DataStax begin with a version of its own; old ones have shorter headers.
        assert_eq!(tcp(&hex("42 00 0000 05 00000000")), Protocol::CASSANDRA);
        assert_eq!(tcp(&hex("02 00 00 05 00000000")), Protocol::CASSANDRA);
        assert_eq!(tcp(&hex("06 00 0000 05 00000000")), Protocol::UNKNOWN);
        assert_eq!(
            tcp(&hex("4553 00000020 0000000000000001 00 007a1203")),
            Protocol::ELASTICSEARCH
        );
        assert_eq!(tcp(&hex("0026 d0 41 0001 0020 1041 0010 115e")), Protocol::DRDA);
        assert_eq!(tcp(&hex("0026 d0 41 0001 0021 1041 0010 115e")), Protocol::UNKNOWN);
        assert_eq!(tcp(&hex("00000001 00000013 00000003 00000001 0000000a")), Protocol::FIREBIRD);
        assert_eq!(tcp(b"\0\x11ClickHouse client\x15\x08"), Protocol::CLICKHOUSE);
        assert_eq!(tcp(b"\x02\x01\0\0\0\0\0\x05node\n"), Protocol::AEROSPIKE);
        assert_eq!(tcp(b"\x02\x01\0\0\0\0\0\x06node\n"), Protocol::UNKNOWN);
        let mut session =
            hex("0000002d 00000000 0000000000000000 00007530 0000000000000000 00000010");
        session.resize(49, 0);
        assert_eq!(tcp(&session), Protocol::ZOOKEEPER);
        assert_eq!(Talk::tcp(2181).client(b"ruok").protocol(), Protocol::ZOOKEEPER);
        assert_eq!(tcp(&hex("6060b017 00000404 00000304 00000000 00000000")), Protocol::BOLT);
    }

    #[test]
    fn a_line_of_measurements() {
        let udp = |payload: &[u8]| Talk::udp(8089).client(payload).protocol();
        assert_eq!(udp(b"cpu,host=a usage=0.5 1434055562000000000\n"), Protocol::INFLUXDB);
        assert_eq!(udp(b"cpu,host=a is busy\n"), Protocol::UNKNOWN);
    }
}
