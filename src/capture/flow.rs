//! One flow of a capture, and how it is spelled: the members, texts and rules of Skydive's flow
//! JSON, which queries name as keys.

use std::net::IpAddr;
use std::rc::Rc;

use crate::topology::value::{Map, Value};
use crate::wire::{json, mac};

/// A protocol of the link, network or transport layer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the protocols")]
#[repr(u8)]
pub enum Protocol {
    #[default]
    Ethernet = 0,
    Ipv4 = 1,
    Tcp = 2,
    Udp = 3,
    Sctp = 4,
    Ipv6 = 5,
    Icmpv4 = 6,
    Icmpv6 = 7,
}

impl Protocol {
    /// Its name in flows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "ETHERNET",
            Self::Ipv4 => "IPV4",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
            Self::Ipv6 => "IPV6",
            Self::Icmpv4 => "ICMPV4",
            Self::Icmpv6 => "ICMPV6",
        }
    }
}

/// What an ICMP message is about; request and reply are one kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the kinds")]
#[repr(u8)]
pub enum IcmpKind {
    #[default]
    Unknown = 0,
    DestinationUnreachable = 1,
    Echo = 2,
    Neighbor = 3,
    AddressMask = 4,
    Info = 5,
    ParameterProblem = 6,
    Redirect = 7,
    Router = 8,
    SourceQuench = 9,
    TimeExceeded = 10,
    Timestamp = 11,
    PacketTooBig = 12,
}

impl IcmpKind {
    /// Its name in flows.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::DestinationUnreachable => "DESTINATION_UNREACHABLE",
            Self::Echo => "ECHO",
            Self::Neighbor => "NEIGHBOR",
            Self::AddressMask => "ADDRESS_MASK",
            Self::Info => "INFO",
            Self::ParameterProblem => "PARAMETER_PROBLEM",
            Self::Redirect => "REDIRECT",
            Self::Router => "ROUTER",
            Self::SourceQuench => "SOURCE_QUENCH",
            Self::TimeExceeded => "TIME_EXCEEDED",
            Self::Timestamp => "TIMESTAMP",
            Self::PacketTooBig => "PACKET_TOO_BIG",
        }
    }
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the reasons")]
#[repr(u8)]
pub enum Finish {
    Timeout = 1,
    TcpFin = 2,
    TcpRst = 3,
}

/// Two ends of a layer, A being the sender of the first packet, and a number: VLAN tags of the
/// link, the identifier of a tunnel for the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "said above")]
pub struct Layer<T> {
    pub protocol: Protocol,
    pub a: T,
    pub b: T,
    pub id: i64,
}

/// The ICMP message that opened the flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Icmp {
    /// What it is about.
    pub kind: IcmpKind,
    /// ICMP code.
    pub code: u8,
    /// Identifier of an echo, 0 otherwise.
    pub id: u16,
}

/// Packets and bytes of both directions over a stretch of time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Metric {
    /// Packets from A to B.
    pub ab_packets: u64,
    /// Bytes from A to B, whole frames.
    pub ab_bytes: u64,
    /// Packets from B to A.
    pub ba_packets: u64,
    /// Bytes from B to A, whole frames.
    pub ba_bytes: u64,
    /// Begin, milliseconds since 1970.
    pub start: i64,
    /// End, milliseconds since 1970.
    pub last: i64,
    /// Round-trip time of the last request and reply, nanoseconds; 0 if unknown.
    pub rtt: i64,
}

/// One direction of [`Tcp`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TcpEnd {
    /// First SYN, milliseconds since 1970, 0 for none.
    pub syn_start: i64,
    /// Time to live of that SYN.
    pub syn_ttl: u8,
    /// First FIN.
    pub fin_start: i64,
    /// First RST.
    pub rst_start: i64,
    /// Segments that came out of order.
    pub out_of_order: i64,
    /// Segments that never came.
    pub skipped: i64,
    /// Their bytes.
    pub skipped_bytes: i64,
    /// Segments.
    pub packets: i64,
    /// Bytes of payload.
    pub bytes: i64,
    /// The beginning of the stream was seen: 0 or 1.
    pub saw_start: i64,
    /// The end of the stream was seen: 0 or 1.
    pub saw_end: i64,
}

/// TCP in more detail, on request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the two directions")]
pub struct Tcp {
    pub ab: TcpEnd,
    pub ba: TcpEnd,
}

/// Fragments of a flow that is put together again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fragments {
    /// Fragments seen.
    pub fragments: i64,
    /// Fragments that never made a whole.
    pub errors: i64,
}

/// A packet kept as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct RawPacket {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Counts the kept packets of the flow from 1.
    pub index: i64,
    /// The captured bytes.
    pub data: Box<[u8]>,
    /// Link type as in pcap files.
    pub link_type: u32,
}

/// One flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Names this flow among all.
    pub uuid: u64,
    /// The flow of the piece around this one.
    pub parent: Option<u64>,
    /// Names of its layers: `Ethernet/IPv4/TCP`.
    pub layers_path: Rc<str>,
    /// The innermost of them, or what the user calls its port.
    pub application: Rc<str>,
    /// Hardware addresses.
    pub link: Option<Layer<[u8; 6]>>,
    /// IP addresses.
    pub network: Option<Layer<IpAddr>>,
    /// Ports.
    pub transport: Option<Layer<u16>>,
    /// The ICMP message.
    pub icmp: Option<Icmp>,
    /// Since the flow began.
    pub metric: Metric,
    /// Between the last two updates; `None` before the first.
    pub last_update: Option<Metric>,
    /// TCP in more detail.
    pub tcp: Option<Box<Tcp>>,
    /// Fragments.
    pub fragments: Option<Fragments>,
    /// What was read of DNS, DHCP or VRRP: members `DNS`, `DHCPv4`, `VRRPv2`.
    pub extra: Option<Box<Map>>,
    /// The same for both directions and at every agent that sees the flow.
    pub tracking: u64,
    /// The same, hardware addresses left out.
    pub l3_tracking: u64,
    /// The node that it was captured on.
    pub node_tid: Rc<str>,
    /// The capture.
    pub capture: Rc<str>,
    /// The capture's name, empty if it has none.
    pub capture_name: Rc<str>,
    /// Packets kept.
    pub raw: Vec<RawPacket>,
    /// Packets kept so far, those given away included.
    pub raw_captured: i64,
    /// Why it ended.
    pub finish: Option<Finish>,
}

/// The keys that [`Flow::get`] knows, in the order in which they are listed.
pub const KEYS: &[&str] = &[
    "UUID",
    "LayersPath",
    "Application",
    "Link.Protocol",
    "Link.A",
    "Link.B",
    "Link.ID",
    "Network.Protocol",
    "Network.A",
    "Network.B",
    "Network.ID",
    "Transport.Protocol",
    "Transport.A",
    "Transport.B",
    "Transport.ID",
    "ICMP.Type",
    "ICMP.Code",
    "ICMP.ID",
    "LastUpdateMetric.ABPackets",
    "LastUpdateMetric.ABBytes",
    "LastUpdateMetric.BAPackets",
    "LastUpdateMetric.BABytes",
    "LastUpdateMetric.Start",
    "LastUpdateMetric.Last",
    "LastUpdateMetric.RTT",
    "Metric.ABPackets",
    "Metric.ABBytes",
    "Metric.BAPackets",
    "Metric.BABytes",
    "Metric.Start",
    "Metric.Last",
    "Metric.RTT",
    "Start",
    "Last",
    "TrackingID",
    "L3TrackingID",
    "ParentUUID",
    "NodeTID",
    "CaptureID",
    "CaptureName",
    "RawPacketsCaptured",
    "FinishType",
];

impl Metric {
    /// The members of that name.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<i64> {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        Some(match key {
            "ABPackets" => number(self.ab_packets),
            "ABBytes" => number(self.ab_bytes),
            "BAPackets" => number(self.ba_packets),
            "BABytes" => number(self.ba_bytes),
            "Start" => self.start,
            "Last" => self.last,
            "RTT" => self.rtt,
            _ => return None,
        })
    }

    /// Names and values in the order in which they are shown; the round-trip time only if known.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, i64)> {
        const NAMES: [&str; 7] =
            ["ABPackets", "ABBytes", "BAPackets", "BABytes", "Start", "Last", "RTT"];
        let (this, known) = (*self, self.rtt != 0);
        let names = NAMES.into_iter().filter(move |name| known || *name != "RTT");
        names.filter_map(move |name| this.get(name).map(|value| (name, value)))
    }

    /// Appends it as a JSON object.
    pub fn write(&self, out: &mut Vec<u8>) {
        members(out, self.members());
    }
}

impl Tcp {
    /// Names and values in the order in which they are shown.
    pub fn members(&self) -> impl Iterator<Item = (&'static str, i64)> {
        let Self { ab, ba } = self;
        [
            ("ABSynStart", ab.syn_start),
            ("BASynStart", ba.syn_start),
            ("ABSynTTL", i64::from(ab.syn_ttl)),
            ("BASynTTL", i64::from(ba.syn_ttl)),
            ("ABFinStart", ab.fin_start),
            ("BAFinStart", ba.fin_start),
            ("ABRstStart", ab.rst_start),
            ("BARstStart", ba.rst_start),
            ("ABSegmentOutOfOrder", ab.out_of_order),
            ("ABSegmentSkipped", ab.skipped),
            ("ABSegmentSkippedBytes", ab.skipped_bytes),
            ("ABPackets", ab.packets),
            ("ABBytes", ab.bytes),
            ("ABSawStart", ab.saw_start),
            ("ABSawEnd", ab.saw_end),
            ("BASegmentOutOfOrder", ba.out_of_order),
            ("BASegmentSkipped", ba.skipped),
            ("BASegmentSkippedBytes", ba.skipped_bytes),
            ("BAPackets", ba.packets),
            ("BABytes", ba.bytes),
            ("BASawStart", ba.saw_start),
            ("BASawEnd", ba.saw_end),
        ]
        .into_iter()
    }
}

impl Flow {
    /// Its identity as text: hexadecimal without leading zeros.
    #[must_use]
    pub fn uuid_text(&self) -> String {
        hex(self.uuid)
    }

    /// The value of a key, such as `Metric.ABBytes`, `IPV4.A` or `DNS.questions.name`; `None` if
    /// the flow has no such member. A list stands for any of its items.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        let (layer, member) = key.split_once('.').unwrap_or((key, ""));
        Some(match layer {
            "UUID" => hex(self.uuid).into(),
            "LayersPath" => Rc::clone(&self.layers_path).into(),
            "Application" => Rc::clone(&self.application).into(),
            "TrackingID" => hex(self.tracking).into(),
            "L3TrackingID" => hex(self.l3_tracking).into(),
            "ParentUUID" => self.parent.map_or_else(String::new, hex).into(),
            "NodeTID" => Rc::clone(&self.node_tid).into(),
            "CaptureID" => Rc::clone(&self.capture).into(),
            "CaptureName" => Rc::clone(&self.capture_name).into(),
            "Start" => self.metric.start.into(),
            "Last" => self.metric.last.into(),
            "RawPacketsCaptured" => self.raw_captured.into(),
            "FinishType" => i64::from(self.finish.map_or(0, |finish| finish as u8)).into(),
            "Link" | "ETHERNET" => {
                self.link.as_ref().and_then(|l| l.get(member, |a| mac::text(a).into()))?
            }
            "Network" | "IPV4" | "IPV6" => {
                let network = self.network.as_ref();
                network.and_then(|l| l.get(member, |a| a.to_string().into()))?
            }
            "Transport" | "TCP" | "UDP" | "SCTP" => {
                self.transport.as_ref().and_then(|l| l.get(member, |p| i64::from(p).into()))?
            }
            "ICMP" => {
                let icmp = self.icmp?;
                match member {
                    "Type" => icmp.kind.name().into(),
                    "Code" => i64::from(icmp.code).into(),
                    "ID" => i64::from(icmp.id).into(),
                    _ => return None,
                }
            }
            "Metric" => self.metric.get(member)?.into(),
            "LastUpdateMetric" => self.last_update?.get(member)?.into(),
            "TCPMetric" => {
                let mut members = self.tcp.as_ref()?.members();
                members.find_map(|(name, value)| (name == member).then_some(value))?.into()
            }
            "IPMetric" => {
                let fragments = self.fragments?;
                match member {
                    "Fragments" => fragments.fragments.into(),
                    "FragmentErrors" => fragments.errors.into(),
                    _ => return None,
                }
            }
            _ => {
                let mut found = Vec::new();
                self.extra.as_ref()?.any(key, &mut |value| {
                    found.push(value.clone());
                    false
                });
                match found.len() {
                    0 => return None,
                    1 => found.pop()?,
                    _ => found.into(),
                }
            }
        })
    }

    /// Appends it as a JSON object. `names` are the nodes at A and at B, where they are known.
    pub fn write(&self, out: &mut Vec<u8>, ends: (Option<&str>, Option<&str>)) {
        let text = |out: &mut Vec<u8>, name: &str, value: &str| {
            key(out, name);
            json::string(out, value);
        };
        out.extend_from_slice(b"{\"UUID\":");
        json::string(out, &self.uuid_text());
        text(out, "LayersPath", &self.layers_path);
        text(out, "Application", &self.application);
        if let Some(link) = &self.link {
            key(out, "Link");
            link.write(out, |out, address| json::string(out, &mac::text(*address)));
        }
        if let Some(network) = &self.network {
            key(out, "Network");
            network.write(out, |out, address| json::string(out, &address.to_string()));
        }
        if let Some(transport) = &self.transport {
            key(out, "Transport");
            transport.write(out, |out, port| json::unsigned(out, u64::from(*port)));
        }
        if let Some(icmp) = &self.icmp {
            key(out, "ICMP");
            out.extend_from_slice(b"{\"Type\":");
            json::string(out, icmp.kind.name());
            for (name, value) in [("Code", u16::from(icmp.code)), ("ID", icmp.id)] {
                if value != 0 {
                    key(out, name);
                    json::unsigned(out, u64::from(value));
                }
            }
            out.push(b'}');
        }
        if let Some(metric) = &self.last_update {
            key(out, "LastUpdateMetric");
            metric.write(out);
        }
        key(out, "Metric");
        self.metric.write(out);
        if let Some(tcp) = &self.tcp {
            key(out, "TCPMetric");
            let ttl = |(name, value): &(&str, i64)| !name.ends_with("TTL") || *value != 0;
            members(out, tcp.members().filter(ttl));
        }
        if let Some(fragments) = &self.fragments {
            key(out, "IPMetric");
            let pairs = [("Fragments", fragments.fragments), ("FragmentErrors", fragments.errors)];
            members(out, pairs.into_iter());
        }
        for (name, value) in self.extra.iter().flat_map(|extra| extra.iter()) {
            key(out, name);
            value.write(out);
        }
        for (name, value) in [("Start", self.metric.start), ("Last", self.metric.last)] {
            key(out, name);
            json::signed(out, value);
        }
        text(out, "TrackingID", &hex(self.tracking));
        text(out, "L3TrackingID", &hex(self.l3_tracking));
        text(out, "ParentUUID", &self.parent.map_or_else(String::new, hex));
        let named = [
            ("NodeTID", &*self.node_tid),
            ("CaptureID", &self.capture),
            ("CaptureName", &self.capture_name),
            ("ANodeTID", ends.0.unwrap_or("")),
            ("BNodeTID", ends.1.unwrap_or("")),
        ];
        for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
            text(out, name, value);
        }
        key(out, "RawPacketsCaptured");
        json::signed(out, self.raw_captured);
        if let Some(finish) = self.finish {
            key(out, "FinishType");
            json::unsigned(out, finish as u64);
        }
        out.push(b'}');
    }
}

impl<T: Copy> Layer<T> {
    fn get(&self, member: &str, end: impl Fn(T) -> Value) -> Option<Value> {
        Some(match member {
            "Protocol" => self.protocol.name().into(),
            "A" => end(self.a),
            "B" => end(self.b),
            "ID" => self.id.into(),
            _ => return None,
        })
    }

    fn write(&self, out: &mut Vec<u8>, end: impl Fn(&mut Vec<u8>, &T)) {
        out.extend_from_slice(b"{\"Protocol\":");
        json::string(out, self.protocol.name());
        key(out, "A");
        end(out, &self.a);
        key(out, "B");
        end(out, &self.b);
        key(out, "ID");
        json::signed(out, self.id);
        out.push(b'}');
    }
}

/// An identity as text: hexadecimal without leading zeros.
#[must_use]
pub fn hex(id: u64) -> String {
    format!("{id:x}")
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    json::string(out, name);
    out.push(b':');
}

fn members(out: &mut Vec<u8>, pairs: impl Iterator<Item = (&'static str, i64)>) {
    for (at, (name, value)) in pairs.enumerate() {
        out.push(if at == 0 { b'{' } else { b',' });
        json::string(out, name);
        out.push(b':');
        json::signed(out, value);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn sample() -> Flow {
        Flow {
            uuid: 0x84ee_8c9c_f3b1_8ce6,
            parent: None,
            layers_path: "Ethernet/IPv4/TCP".into(),
            application: "TCP".into(),
            link: Some(Layer {
                protocol: Protocol::Ethernet,
                a: [2, 0, 0, 0, 0, 1],
                b: [2, 0, 0, 0, 0, 2],
                id: 0,
            }),
            network: Some(Layer {
                protocol: Protocol::Ipv4,
                a: [10, 0, 0, 1].into(),
                b: [10, 0, 0, 2].into(),
                id: 0,
            }),
            transport: Some(Layer { protocol: Protocol::Tcp, a: 40_000, b: 80, id: 0 }),
            icmp: None,
            metric: Metric { ab_packets: 2, ab_bytes: 196, last: 9, ..Metric::default() },
            last_update: None,
            tcp: None,
            fragments: None,
            extra: None,
            tracking: 0xf344_cba9_6f90_55f7,
            l3_tracking: 0x0d5c_9209_a199_48af,
            node_tid: "node-tid-1".into(),
            capture: "c".into(),
            capture_name: "".into(),
            raw: Vec::new(),
            raw_captured: 0,
            finish: Some(Finish::TcpFin),
        }
    }

    #[test]
    fn a_flow_is_shown_as_clients_expect_it() {
        let mut out = Vec::new();
        sample().write(&mut out, (Some("x"), None));
        let expected = concat!(
            r#"{"UUID":"84ee8c9cf3b18ce6","LayersPath":"Ethernet/IPv4/TCP","Application":"TCP","#,
            r#""Link":{"Protocol":"ETHERNET","A":"02:00:00:00:00:01","B":"02:00:00:00:00:02","ID":0},"#,
            r#""Network":{"Protocol":"IPV4","A":"10.0.0.1","B":"10.0.0.2","ID":0},"#,
            r#""Transport":{"Protocol":"TCP","A":40000,"B":80,"ID":0},"#,
            r#""Metric":{"ABPackets":2,"ABBytes":196,"BAPackets":0,"BABytes":0,"Start":0,"Last":9},"#,
            r#""Start":0,"Last":9,"TrackingID":"f344cba96f9055f7","L3TrackingID":"d5c9209a19948af","#,
            r#""ParentUUID":"","NodeTID":"node-tid-1","CaptureID":"c","ANodeTID":"x","#,
            r#""RawPacketsCaptured":0,"FinishType":2}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_listed_key_of_a_flow_can_be_asked_for() {
        let mut flow = sample();
        flow.last_update = Some(Metric::default());
        flow.icmp = Some(Icmp { kind: IcmpKind::Echo, code: 0, id: 7 });
        for key in KEYS {
            assert!(flow.get(key).is_some(), "{key}");
        }
        assert_eq!(flow.get("TCP.B"), Some(Value::Int(80)));
        assert_eq!(flow.get("IPV4.A"), Some(Value::from("10.0.0.1")));
        assert_eq!(flow.get("DNS.ID"), None);
    }
}
