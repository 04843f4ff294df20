//! Message brokers: AMQP (0-9-1 and 1.0), Kafka (its protocol guide), NATS (client protocol),
//! ZeroMQ (ZMTP 2 and 3), STOMP (1.2), OpenWire (ActiveMQ), IBM MQ (its segments), MSMQ (MS-MQQB),
//! Pulsar (binary protocol), Gearman.

use crate::detect::cursor::Cursor;
use crate::detect::text::is_printable;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const AMQP: Dissector = Dissector::tcp(Protocol::AMQP, &[5672], |view, _| {
    view.judge(Protocol::AMQP, is_amqp(view.data))
});

pub(super) const KAFKA: Dissector =
    Dissector::tcp(Protocol::KAFKA, &[9092], |view, _| view.judge(Protocol::KAFKA, is_kafka(view)));

pub(super) const NATS: Dissector =
    Dissector::tcp(Protocol::NATS, &[4222], |view, _| view.judge(Protocol::NATS, is_nats(view)));

pub(super) const ZMQ: Dissector =
    Dissector::tcp(Protocol::ZMQ, &[], |view, _| view.judge(Protocol::ZMQ, is_zmq(view.data)));

pub(super) const STOMP: Dissector = Dissector::tcp(Protocol::STOMP, &[61_613], stomp);

pub(super) const OPENWIRE: Dissector = Dissector::tcp(Protocol::OPENWIRE, &[61_616], |view, _| {
    view.judge(Protocol::OPENWIRE, is_openwire(view.data))
});

pub(super) const IBM_MQ: Dissector = Dissector::tcp(Protocol::IBM_MQ, &[1414], |view, _| {
    view.judge(Protocol::IBM_MQ, is_ibm_mq(view.data))
});

pub(super) const MSMQ: Dissector = Dissector::tcp(Protocol::MSMQ, &[1801], |view, _| {
    view.judge(
        Protocol::MSMQ,
        view.at(0).map(|[version, _, _, _, l, i, o, r]: [u8; 8]| {
            version == 0x10 && [l, i, o, r] == *b"LIOR"
        }),
    )
});

pub(super) const PULSAR: Dissector = Dissector::tcp(Protocol::PULSAR, &[6650], |view, _| {
    view.judge(Protocol::PULSAR, is_pulsar(view.data))
});

pub(super) const GEARMAN: Dissector = Dissector::tcp(Protocol::GEARMAN, &[4730], |view, _| {
    view.judge(Protocol::GEARMAN, is_gearman(view.data))
});

/// The header of a protocol, or a frame of a connection under way.
fn is_amqp(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    match cursor.u8()? {
        b'A' => {
            let [m, q, p, id, major, ..] = cursor.array::<7>()?;
            Some([m, q, p] == *b"MQP" && id <= 3 && major <= 1)
        }
        // A method of 0-9-1 on channel 0: of connections.
        1 => {
            let (channel, len) = (cursor.u16()?, cursor.u32()?);
            let (class, method) = (cursor.u16()?, cursor.u16()?);
            let is_method = (class == 10 && channel == 0 && matches!(method, 10..=71))
                || (matches!(class, 20 | 40 | 50 | 60 | 85 | 90) && channel > 0 && method <= 120);
            Some(is_method && (4..=0x2_0000).contains(&len) && method != 0)
        }
        _ => Some(false),
    }
}

/// Length, what is asked for, its version, a number, and how the client calls itself.
fn is_kafka(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let len = cursor.u32()?;
    if !(10..=0x400_0000).contains(&len) {
        return Some(false);
    }
    let (key, version) = (cursor.u16()?, cursor.u16()?);
    let (_number, name) = (cursor.u32()?, cursor.u16()?);
    let whole = view.len.saturating_sub(4);
    if key > 92 || version > 18 || usize::try_from(len).ok()? < whole.min(1_400) {
        return Some(false);
    }
    // Without a name there is little to go by.
    if matches!(name, 0 | u16::MAX) {
        return Some(view.has_port(9092) && usize::try_from(len).ok()? == whole);
    }
    if name > 128 || u32::from(name) > len {
        return Some(false);
    }
    let name = cursor.take(name.into())?;
    let is_name = |o: &u8| o.is_ascii_alphanumeric() || b"-_.:/@ ".contains(o);
    Some(name.iter().all(is_name) && (name.len() > 2 || view.has_port(9092)))
}

fn is_nats(view: &View<'_>) -> Option<bool> {
    const STARTS: [&[u8]; 2] = [b"INFO {", b"CONNECT {"];
    // Under way, and where they are expected.
    const VERBS: [&[u8]; 7] =
        [b"PUB ", b"SUB ", b"MSG ", b"UNSUB ", b"PING\r\n", b"PONG\r\n", b"+OK\r\n"];
    let starts = STARTS.iter().chain(VERBS.iter().filter(|_| view.has_port(4222)));
    let mut may_be = false;
    for start in starts {
        if view.data.starts_with(start) {
            return Some(true);
        }
        may_be |= start.starts_with(view.data);
    }
    if may_be { None } else { Some(false) }
}

/// A signature of ten octets, then the version.
fn is_zmq(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if cursor.u8()? != 0xff {
        return Some(false);
    }
    let (_padding, end) = (cursor.u64()?, cursor.u8()?);
    Some(end == 0x7f && cursor.u8().is_none_or(|version| version <= 3))
}

/// A frame's command in a line of its own, then headers of name and value, or none.
fn stomp(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let data = view.data;
    let commands = [&b"CONNECT\n"[..], b"CONNECT\r\n", b"STOMP\n", b"STOMP\r\n", b"CONNECTED\n"];
    let Some(command) = commands.iter().find(|command| data.starts_with(command)) else {
        let may_be = commands.iter().any(|command| command.starts_with(data));
        return if may_be { Verdict::Wait } else { Verdict::No };
    };
    let header = data.get(command.len()..).unwrap_or_default();
    let is_name = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.".contains(octet);
    let name = header.iter().take(40).take_while(|octet| is_name(octet)).count();
    match header.get(name..).unwrap_or_default() {
        [b':', ..] if name > 0 => Verdict::Is(Protocol::STOMP),
        [b'\n', 0, ..] | [b'\r', b'\n', 0, ..] if name == 0 => Verdict::Is(Protocol::STOMP),
        [] | [b'\n'] | [b'\r'] | [b'\r', b'\n'] if name < 40 => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// What is spoken: length, its type 1, the magic text.
fn is_openwire(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let len = cursor.u32()?;
    let (kind, magic) = (cursor.u8()?, cursor.array::<8>()?);
    Some(kind == 1 && magic == *b"ActiveMQ" && len < 0x1_0000)
}

/// The mark of a segment, in ASCII or EBCDIC.
fn is_ibm_mq(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let mark = cursor.array::<4>()?;
    let is_mark = matches!(
        &mark,
        b"TSH "
            | b"TSHC"
            | b"TSHM"
            | b"\xe3\xe2\xc8\x40"
            | b"\xe3\xe2\xc8\xc3"
            | b"\xe3\xe2\xc8\xd4"
    );
    let len = cursor.u32();
    Some(is_mark && len.is_none_or(|len| len >= 28 || len.swap_bytes() >= 28))
}

/// The size of all, the size of a command, and a command that names itself by its field.
fn is_pulsar(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (all, command) = (cursor.u32()?, cursor.u32()?);
    let [kind, number, field] = cursor.array()?;
    // Connect is 2 in field 2, connected 3 in field 3.
    let is_connect = matches!((number, field), (2, 0x12) | (3, 0x1a));
    Some(kind == 8 && is_connect && all == command.saturating_add(4) && command < 0x1000)
}

/// Zero with three letters, a type, a size.
fn is_gearman(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let [0, r, e, last @ (b'Q' | b'S')] = cursor.array()? else { return Some(false) };
    let (kind, size) = (cursor.u32()?, cursor.u32()?);
    Some([r, e] == *b"RE" && last != 0 && (1..=43).contains(&kind) && size < 0x400_0000)
}

/// A text of at least one printable octet.
pub(super) fn is_word(text: &[u8]) -> bool {
    !text.is_empty() && is_printable(text)
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
        assert_eq!(tcp(b"AMQP\0\0\x09\x01"), Protocol::AMQP);
        assert_eq!(tcp(b"AMQP\x09\0\x09\x01"), Protocol::UNKNOWN);
        assert_eq!(tcp(&hex("01 0000 00000010 000a 000a 00 09")), Protocol::AMQP);
        assert_eq!(tcp(b"\0\0\0\x11\0\x12\0\x03\0\0\0\x01\0\x07rdkafka"), Protocol::KAFKA);
        assert_eq!(tcp(b"\0\0\0\x11\0\x70\0\x03\0\0\0\x01\0\x07rdkafka"), Protocol::UNKNOWN);
        assert_eq!(tcp(b"INFO {\"server_id\":\"x\"}\r\n"), Protocol::NATS);
        assert_eq!(Talk::tcp(4222).midway().server(b"PING\r\n").protocol(), Protocol::NATS);
        assert_eq!(tcp(&hex("ff 0000000000000001 7f 03 00 4e554c4c")), Protocol::ZMQ);
        assert_eq!(tcp(&hex("ff 0000000000000001 7e 03 00 4e554c4c")), Protocol::UNKNOWN);
        assert_eq!(tcp(b"CONNECT\naccept-version:1.2\nhost:x\n\n\0"), Protocol::STOMP);
        assert_eq!(tcp(b"CONNECT\nwhat is this\n"), Protocol::UNKNOWN);
        assert_eq!(tcp(b"CONNECT\n\n\0"), Protocol::STOMP);
        assert_eq!(tcp(b"\0\0\x01\x40\x01ActiveMQ\0\0\0\x0c"), Protocol::OPENWIRE);
        assert_eq!(tcp(b"TSH \0\0\x01\x0c"), Protocol::IBM_MQ);
        assert_eq!(tcp(b"\x10\0\x03\x08LIOR\0\0"), Protocol::MSMQ);
        assert_eq!(tcp(&hex("00000013 0000000f 08 02 12 09")), Protocol::PULSAR);
        assert_eq!(tcp(&hex("00 524551 00000004 00000003 61 62 63")), Protocol::GEARMAN);
    }
}
