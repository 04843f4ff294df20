//! Flows in Protocol Buffers, and the envelope of the messages that go over WebSockets, for
//! clients that ask for them. Field numbers are those of Skydive's `flow.proto`, `dns.proto` and
//! `message.proto`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::flow::{Flow, Layer, Metric, Protocol, Tcp, hex};
use super::store::Statistics;
use crate::topology::value::{Map, Value};
use crate::wire::{mac, protobuf};
use protobuf::{bytes, int, message};

/// The largest envelope that is read.
pub const MAX_ENVELOPE: usize = 1024 * 1024;

/// What the body of an envelope is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u8)]
pub enum Format {
    /// JSON text.
    #[default]
    Json = 0,
    /// A message of its own.
    Protobuf = 1,
}

/// A message of a WebSocket (`StructMessage`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Envelope<'a> {
    /// Which part of the API it belongs to.
    pub namespace: &'a str,
    /// What it is.
    pub kind: &'a str,
    /// What a reply has in common with its request.
    pub uuid: &'a str,
    /// As of HTTP.
    pub status: i64,
    /// What the body is.
    pub format: Format,
    /// The body.
    pub body: &'a [u8],
}

/// Why an envelope can't be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// A format that there is none of.
    Format,
    /// Not a message.
    Malformed,
    /// A name that is no text.
    Text,
    /// Longer than [`MAX_ENVELOPE`].
    TooLong,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Format => "unknown format of the body",
            Self::Malformed => "malformed message",
            Self::Text => "a name is not UTF-8",
            Self::TooLong => "message too long",
        })
    }
}

impl std::error::Error for Error {}

impl<'a> Envelope<'a> {
    /// Reads an envelope; fields that are not known are left out, and of one that is there
    /// several times the last counts.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(message: &'a [u8]) -> Result<Self, Error> {
        if message.len() > MAX_ENVELOPE {
            return Err(Error::TooLong);
        }
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Error::Text);
        let mut envelope = Self::default();
        for field in protobuf::Fields::new(message) {
            match field.map_err(|_| Error::Malformed)? {
                (1, protobuf::Value::Bytes(value)) => envelope.namespace = text(value)?,
                (2, protobuf::Value::Bytes(value)) => envelope.kind = text(value)?,
                (3, protobuf::Value::Bytes(value)) => envelope.uuid = text(value)?,
                (4, protobuf::Value::Varint(value)) => envelope.status = value.cast_signed(),
                (5, protobuf::Value::Varint(0)) => envelope.format = Format::Json,
                (5, protobuf::Value::Varint(1)) => envelope.format = Format::Protobuf,
                (5, _) => return Err(Error::Format),
                (6, protobuf::Value::Bytes(value)) => envelope.body = value,
                (1..=6, _) => return Err(Error::Malformed),
                _ => {}
            }
        }
        Ok(envelope)
    }

    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        bytes(out, 1, self.namespace.as_bytes());
        bytes(out, 2, self.kind.as_bytes());
        bytes(out, 3, self.uuid.as_bytes());
        int(out, 4, self.status);
        int(out, 5, self.format as i64);
        bytes(out, 6, self.body);
    }
}

/// Appends a list of flows (`Message`).
pub fn flows<'a>(out: &mut Vec<u8>, flows: impl IntoIterator<Item = &'a Flow>) {
    for each in flows {
        message(out, 1, |out| flow(out, each));
    }
}

/// What the kernel lost for a capture and what it handed over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Losses {
    /// Flows lost in the kernel.
    pub flows: u64,
    /// Packets lost because the ring was full.
    pub packets: u64,
}

/// Appends the figures of a capture (`Message`).
pub fn statistics(out: &mut Vec<u8>, capture: &str, table: &Statistics, losses: &Losses) {
    message(out, 2, |out| {
        bytes(out, 1, capture.as_bytes());
        let figures = [table.flows, table.dropped, losses.flows, losses.packets, table.packets];
        for (field, figure) in (2..).zip(figures) {
            int(out, field, number(figure));
        }
    });
}

/// Appends a flow.
pub fn flow(out: &mut Vec<u8>, flow: &Flow) {
    bytes(out, 1, flow.uuid_text().as_bytes());
    bytes(out, 2, flow.layers_path.as_bytes());
    bytes(out, 3, flow.application.as_bytes());
    if let Some(parent) = flow.parent {
        bytes(out, 6, hex(parent).as_bytes());
    }
    int(out, 10, flow.metric.start);
    int(out, 11, flow.metric.last);
    if let Some(link) = &flow.link {
        layer(out, 20, link, |address| mac::text(*address));
    }
    if let Some(network) = &flow.network {
        layer(out, 21, network, ToString::to_string);
    }
    if let Some(transport) = &flow.transport {
        message(out, 22, |out| {
            int(out, 1, protocol(transport.protocol));
            int(out, 2, transport.a.into());
            int(out, 3, transport.b.into());
            int(out, 4, transport.id);
        });
    }
    if let Some(icmp) = &flow.icmp {
        message(out, 23, |out| {
            int(out, 1, icmp.kind as i64);
            int(out, 2, icmp.code.into());
            int(out, 3, icmp.id.into());
        });
    }
    if let Some(update) = &flow.last_update {
        message(out, 31, |out| metric(out, update));
    }
    message(out, 32, |out| metric(out, &flow.metric));
    bytes(out, 33, flow.node_tid.as_bytes());
    bytes(out, 34, flow.capture.as_bytes());
    for raw in &flow.raw {
        message(out, 36, |out| {
            int(out, 1, raw.timestamp);
            int(out, 2, raw.index);
            bytes(out, 3, &raw.data);
            int(out, 4, raw.link_type.into());
        });
    }
    int(out, 37, flow.raw_captured);
    if let Some(figures) = &flow.tcp {
        message(out, 38, |out| tcp(out, figures));
    }
    if let Some(fragments) = &flow.fragments {
        message(out, 39, |out| {
            int(out, 1, fragments.fragments);
            int(out, 2, fragments.errors);
        });
    }
    bytes(out, 50, hex(flow.tracking).as_bytes());
    bytes(out, 51, hex(flow.l3_tracking).as_bytes());
    int(out, 60, flow.finish.map_or(0, |finish| finish as i64));
    if let Some(extra) = &flow.extra {
        members(out, extra, EXTRA);
    }
}

fn layer<T>(out: &mut Vec<u8>, field: u32, layer: &Layer<T>, text: impl Fn(&T) -> String) {
    message(out, field, |out| {
        int(out, 1, protocol(layer.protocol));
        bytes(out, 3, text(&layer.a).as_bytes());
        bytes(out, 4, text(&layer.b).as_bytes());
        int(out, 5, layer.id);
    });
}

const fn protocol(protocol: Protocol) -> i64 {
    protocol as i64
}

fn metric(out: &mut Vec<u8>, metric: &Metric) {
    let figures = [metric.ab_packets, metric.ab_bytes, metric.ba_packets, metric.ba_bytes];
    for (field, figure) in (2..).zip(figures) {
        int(out, field, number(figure));
    }
    int(out, 6, metric.start);
    int(out, 7, metric.last);
    int(out, 8, metric.rtt);
}

fn tcp(out: &mut Vec<u8>, tcp: &Tcp) {
    let Tcp { ab, ba } = tcp;
    let figures = [
        ab.syn_start,
        ba.syn_start,
        ab.syn_ttl.into(),
        ba.syn_ttl.into(),
        ab.fin_start,
        ba.fin_start,
        ab.rst_start,
        ba.rst_start,
    ];
    let ends = [ab, ba].into_iter().flat_map(|end| {
        [
            end.out_of_order,
            end.skipped,
            end.skipped_bytes,
            end.packets,
            end.bytes,
            end.saw_start,
            end.saw_end,
        ]
    });
    for (field, figure) in (1..).zip(figures.into_iter().chain(ends)) {
        int(out, field, figure);
    }
}

fn number(figure: u64) -> i64 {
    i64::try_from(figure).unwrap_or(i64::MAX)
}

/// How a member of a map is written: field number, name, and of what kind it is.
type Member = (u32, &'static str, Shape);

#[derive(Clone, Copy)]
enum Shape {
    /// Numbers, truth values and texts as they are, and lists of them.
    Plain,
    /// Bytes that the map holds in Base64.
    Packed,
    /// A map, or a list of maps.
    Message(&'static [Member]),
}

const EXTRA: &[Member] = &[
    (1000, "DHCPv4", Shape::Message(DHCPV4)),
    (1001, "DNS", Shape::Message(DNS)),
    (1002, "VRRPv2", Shape::Message(VRRPV2)),
];

const DHCPV4: &[Member] = &[
    (3, "hardware_len", Shape::Plain),
    (4, "hardware_opts", Shape::Plain),
    (6, "secs", Shape::Plain),
    (7, "flags", Shape::Plain),
    (8, "server_name", Shape::Packed),
    (9, "file", Shape::Packed),
];

const VRRPV2: &[Member] = &[
    (3, "version", Shape::Plain),
    (4, "virtual_rtrID", Shape::Plain),
    (5, "priority", Shape::Plain),
    (7, "adver_int", Shape::Plain),
];

const DNS: &[Member] = &[
    (1, "ID", Shape::Plain),
    (2, "QR", Shape::Plain),
    (3, "op_code", Shape::Plain),
    (4, "AA", Shape::Plain),
    (5, "TC", Shape::Plain),
    (6, "RD", Shape::Plain),
    (7, "RA", Shape::Plain),
    (8, "z", Shape::Plain),
    (9, "response_code", Shape::Plain),
    (10, "q_d_count", Shape::Plain),
    (11, "a_n_count", Shape::Plain),
    (12, "n_s_count", Shape::Plain),
    (13, "a_r_count", Shape::Plain),
    (14, "questions", Shape::Message(QUESTION)),
    (15, "answers", Shape::Message(RECORD)),
    (16, "authorities", Shape::Message(RECORD)),
    (17, "additionals", Shape::Message(RECORD)),
    (18, "timestamp", Shape::Message(TIMESTAMP)),
];

const QUESTION: &[Member] =
    &[(1, "name", Shape::Plain), (2, "type", Shape::Plain), (3, "class", Shape::Plain)];

const RECORD: &[Member] = &[
    (1, "name", Shape::Plain),
    (2, "type", Shape::Plain),
    (3, "class", Shape::Plain),
    (4, "TTL", Shape::Plain),
    (5, "data_length", Shape::Plain),
    (6, "IP", Shape::Plain),
    (7, "NS", Shape::Plain),
    (8, "c_name", Shape::Plain),
    (9, "PTR", Shape::Plain),
    (10, "TXTs", Shape::Plain),
    (
        11,
        "SOA",
        Shape::Message(&[
            (1, "m_name", Shape::Plain),
            (2, "r_name", Shape::Plain),
            (3, "serial", Shape::Plain),
            (4, "refresh", Shape::Plain),
            (5, "retry", Shape::Plain),
            (6, "expire", Shape::Plain),
            (7, "minimum", Shape::Plain),
        ]),
    ),
    (
        12,
        "SRV",
        Shape::Message(&[
            (1, "priority", Shape::Plain),
            (2, "weight", Shape::Plain),
            (3, "port", Shape::Plain),
            (4, "name", Shape::Plain),
        ]),
    ),
    (13, "MX", Shape::Message(&[(1, "preference", Shape::Plain), (2, "name", Shape::Plain)])),
    (14, "OPT", Shape::Message(&[(1, "code", Shape::Plain), (2, "data", Shape::Plain)])),
];

const TIMESTAMP: &[Member] = &[(1, "seconds", Shape::Plain), (2, "nanos", Shape::Plain)];

/// Writes what a map has of some members. It nests no deeper than the tables above do.
fn members(out: &mut Vec<u8>, map: &Map, shape: &[Member]) {
    for (field, key, shape) in shape {
        match map.get(key) {
            Some(Value::List(items)) => {
                items.iter().for_each(|item| member(out, *field, item, *shape));
            }
            Some(value) => member(out, *field, value, *shape),
            None => {}
        }
    }
}

fn member(out: &mut Vec<u8>, field: u32, value: &Value, shape: Shape) {
    match (shape, value) {
        (Shape::Message(shape), Value::Map(map)) => {
            message(out, field, |out| members(out, map, shape));
        }
        (Shape::Packed, Value::Text(text)) => {
            bytes(out, field, &BASE64.decode(text.as_bytes()).unwrap_or_default());
        }
        (Shape::Plain, Value::Int(value)) => int(out, field, *value),
        (Shape::Plain, Value::Bool(value)) => int(out, field, i64::from(*value)),
        (Shape::Plain, Value::Text(text)) => bytes(out, field, text.as_bytes()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    use std::rc::Rc;

    use super::*;
    use crate::capture::store::{Settings, Store};
    use crate::capture::{extra, testing};
    use crate::source::Frame;
    use crate::time::{Clock, Tick};

    /// As much of the published messages as the test asks for.
    const SCHEMA: &str = r#"
        syntax = "proto3";
        message Layer { int64 Protocol = 1; string A = 3; string B = 4; int64 ID = 5; }
        message Transport { int64 Protocol = 1; int64 A = 2; int64 B = 3; int64 ID = 4; }
        message Metric { int64 ABPackets = 2; int64 ABBytes = 3; int64 BAPackets = 4;
            int64 BABytes = 5; int64 Start = 6; int64 Last = 7; int64 RTT = 8; }
        message Raw { int64 Timestamp = 1; int64 Index = 2; bytes Data = 3; uint32 LinkType = 4; }
        message Question { string name = 1; string type = 2; string class = 3; }
        message Stamp { int64 seconds = 1; int32 nanos = 2; }
        message Dns { uint32 id = 1; bool qr = 2; string op_code = 3; bool rd = 6;
            string response_code = 9; uint32 qdcount = 10; repeated Question questions = 14;
            Stamp timestamp = 18; }
        message Ip { int64 Fragments = 1; int64 FragmentErrors = 2; }
        message Flow { string UUID = 1; string LayersPath = 2; string Application = 3;
            int64 Start = 10; int64 Last = 11; Layer Link = 20; Layer Network = 21;
            Transport Transport = 22; Metric Metric = 32; string NodeTID = 33;
            string CaptureID = 34; repeated Raw LastRawPackets = 36;
            int64 RawPacketsCaptured = 37; Ip IPMetric = 39; string TrackingID = 50;
            string L3TrackingID = 51; int64 FinishType = 60; Dns DNS = 1001; }
        message Stats { string CaptureID = 1; int64 FlowCount = 2; int64 FlowDropped = 3;
            int64 KernelFlowDropped = 4; int64 PacketsDropped = 5; int64 PacketsReceived = 6; }
        message Message { repeated Flow Flows = 1; Stats Stats = 2; }
    "#;

    fn batch() -> Vec<u8> {
        let mut store = Store::default();
        let settings = Settings {
            capture: "c-1".into(),
            node_tid: "node-tid-1".into(),
            raw_limit: 1,
            extra_layers: extra::DNS,
            ..Settings::default()
        };
        let table = store.open(settings).unwrap();
        let query = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";
        let data = testing::udp(false, 5_353, 53, query);
        let ts = Tick(1_700_000_000_000_000);
        let frame = Frame { ts, wire_len: data.len() as u32, data: &data, ..Frame::EMPTY };
        store.frames(table, &[frame], &Clock::FILE, &mut ());
        let mut out = Vec::new();
        flows(&mut out, store.iter().map(|(_, flow)| flow));
        let figures = store.statistics(table).unwrap();
        statistics(&mut out, "c-1", &figures, &Losses { flows: 0, packets: 3 });
        out
    }

    #[test]
    fn another_implementation_reads_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("flow.proto"), SCHEMA).unwrap();
        let started = Command::new("protoc")
            .args(["--decode=Message", "flow.proto"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut protoc) = started else {
            eprintln!("skipped: no protoc");
            return;
        };
        protoc.stdin.take().unwrap().write_all(&batch()).unwrap();
        let output = protoc.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let text: Rc<str> = text.split_whitespace().collect::<Vec<_>>().join(" ").into();
        for part in [
            r#"LayersPath: "Ethernet/IPv4/UDP/DNS" Application: "DNS" Start: 1700000000000 "#,
            r#"Link { A: "02:00:00:00:00:01" B: "02:00:00:00:00:02" }"#,
            r#"Network { Protocol: 1 A: "10.0.0.1" B: "10.0.0.2" }"#,
            r#"Transport { Protocol: 3 A: 5353 B: 53 }"#,
            r#"Metric { ABPackets: 1 ABBytes: 61 Start: 1700000000000 Last: 1700000000000 }"#,
            r#"NodeTID: "node-tid-1" CaptureID: "c-1""#,
            r#"LastRawPackets { Timestamp: 1700000000000 Index: 1 Data: "\002\000"#,
            r#"LinkType: 1 } RawPacketsCaptured: 1 TrackingID: "8479b62a25c16528""#,
            r#"DNS { id: 7 op_code: "Query" rd: true response_code: "No Error" qdcount: 1 "#,
            r#"questions { name: "a" type: "A" class: "IN" } timestamp { seconds: 1700000000 } }"#,
            r#"Stats { CaptureID: "c-1" FlowCount: 1 PacketsDropped: 3 PacketsReceived: 1 }"#,
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        // A field that the schema does not know would be shown by its number.
        assert!(!text.contains(" 1: ") && !text.contains("} 36"), "{text}");
    }

    #[test]
    fn an_envelope_is_read_as_it_was_written() {
        let envelope = Envelope {
            namespace: "flow",
            kind: "store",
            uuid: "u",
            status: 200,
            format: Format::Protobuf,
            body: b"[{}]",
        };
        let mut out = Vec::new();
        envelope.write(&mut out);
        assert_eq!(Envelope::parse(&out), Ok(envelope));
        // What later versions add is passed over.
        int(&mut out, 99, 1);
        assert_eq!(Envelope::parse(&out), Ok(envelope));
    }

    #[test]
    fn what_is_no_envelope_is_refused_with_the_reason() {
        for (wrong, error) in [
            (&b"\x0a\x02\xff\xfe"[..], Error::Text),
            (b"\x0a\x09x", Error::Malformed),
            (b"\x28\x07", Error::Format),
            (b"\x08\x07", Error::Malformed),
        ] {
            assert_eq!(Envelope::parse(wrong), Err(error), "{wrong:x?}");
        }
        assert_eq!(Envelope::parse(&vec![0; MAX_ENVELOPE + 1]), Err(Error::TooLong));
    }
}
