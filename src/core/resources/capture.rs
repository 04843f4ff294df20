//! A capture that a client asked for: an expression that says where, and how to capture there.
//! The live part, what is attached to which node, is the business of [`crate::core::attach`].

use std::net::SocketAddr;

use crate::filter::Expression;
use crate::filter::names::Names;
use crate::query::Query;
use crate::text::Quoted;
use crate::topology::value::{Map, Value};

use super::members::Members;

/// Octets of each frame that are looked at when the client does not say.
pub const DEFAULT_HEADER: u32 = 256;

/// Kinds of capture that Skydive knows.
const TYPES: [&str; 10] = [
    "ovssflow",
    "pcapsocket",
    "ovsmirror",
    "dpdk",
    "afpacket",
    "pcap",
    "ebpf",
    "sflow",
    "ovsnetflow",
    "",
];

/// Kinds of capture that are done here, both by packet sockets; empty takes the usual one.
const SUPPORTED: [&str; 3] = ["", "afpacket", "pcap"];

/// Where the flows or the packets of a capture go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Target {
    /// ERSPAN packets to that machine.
    Erspan(SocketAddr),
    /// The flow table of this agent.
    #[default]
    Local,
    /// NetFlow v5 datagrams to that address.
    Netflow(SocketAddr),
}

/// A capture as it was asked for.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The expression, as it was sent.
    pub expression: String,
    /// The expression, understood.
    pub query: Query,
    /// What the user calls it.
    pub name: String,
    /// What the user says of it.
    pub description: String,
    /// How it is done: empty, `afpacket` or `pcap`.
    pub kind: String,
    /// A filter of tcpdump's language; empty takes everything.
    pub filter: String,
    /// Octets of each frame that are looked at.
    pub header_size: u32,
    /// Packets kept of each flow.
    pub raw_limit: u32,
    /// Flows tell more of TCP.
    pub extra_tcp: bool,
    /// Fragments are put together first.
    pub defrag: bool,
    /// Streams of TCP are followed.
    pub reassemble: bool,
    /// Flows are told apart by addresses of the network alone.
    pub layer3: bool,
    /// Protocols read further: VRRP 1, DNS 2, DHCPv4 4.
    pub extra_layers: u32,
    /// Where it goes.
    pub target: Target,
    sent: Sent,
}

/// Members that are only shown again.
#[derive(Clone, Debug, Default)]
struct Sent {
    header_size: i64,
    sampling: i64,
    polling: i64,
    port: i64,
    target: String,
    target_type: String,
}

impl Capture {
    /// Reads and checks what a client sent.
    ///
    /// # Errors
    /// The member and what is wrong with it.
    pub fn parse(members: &Members<'_>, names: &dyn Names) -> Result<Self, String> {
        let expression = members.text("GremlinQuery")?;
        let query = super::expression("GremlinQuery", &expression)?;
        let kind = members.text("Type")?;
        let filter = members.text("BPFFilter")?;
        if kind == "ebpf" && !filter.is_empty() {
            return Err("Type: ebpf capture doesn't support BPF filtering".to_owned());
        }
        check_kind(&kind)?;
        Expression::parse(&filter, names)
            .map_err(|error| format!("BPFFilter: Not a valid BPF expression: {error}"))?;
        let header_size = members.int("HeaderSize")?;
        if header_size != 0 && !(14..=4_096).contains(&header_size) {
            return Err("HeaderSize: A valid header size is >= 14 && <= 4096".to_owned());
        }
        let raw_limit = members.int("RawPacketLimit")?;
        if !(0..=10).contains(&raw_limit) {
            let text = "RawPacketLimit: A valid raw packet limit size is > 0 && <= 10";
            return Err(text.to_owned());
        }
        let layer3 = match members.text("LayerKeyMode")?.as_str() {
            "" | "L2" => false,
            "L3" => true,
            _ => return Err("LayerKeyMode: Not a valid layer key mode".to_owned()),
        };
        let sent = Sent {
            header_size,
            sampling: members.within("SamplingRate", 0, i64::from(u32::MAX))?,
            polling: members.within("PollingInterval", 0, i64::from(u32::MAX))?,
            port: members.within("Port", 0, 65_535)?,
            target: members.text("Target")?,
            target_type: members.text("TargetType")?,
        };
        Ok(Self {
            target: target(&sent.target_type, &sent.target)?,
            expression,
            query,
            name: members.text("Name")?,
            description: members.text("Description")?,
            kind,
            filter,
            header_size: u32::try_from(header_size)
                .ok()
                .filter(|size| *size > 0)
                .unwrap_or(DEFAULT_HEADER),
            raw_limit: u32::try_from(raw_limit).unwrap_or(0),
            extra_tcp: members.flag("ExtraTCPMetric")?,
            defrag: members.flag("IPDefrag")?,
            reassemble: members.flag("ReassembleTCP")?,
            layer3,
            extra_layers: extra_layers(members)?,
            sent,
        })
    }

    /// Whether a client asked for the same before. Packet sockets can be several on one node, so
    /// another filter makes another capture.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.kind, &self.expression, &self.filter)
            == (&other.kind, &other.expression, &other.filter)
    }

    /// Its members as they are shown; `count` is the number of nodes on which it is active now.
    #[must_use]
    pub fn members(&self, count: usize) -> Map {
        let mut map = Map::new()
            .with("GremlinQuery", self.expression.as_str())
            .with("Count", count as u64)
            .with("ExtraTCPMetric", self.extra_tcp)
            .with("IPDefrag", self.defrag)
            .with("ReassembleTCP", self.reassemble)
            .with("LayerKeyMode", if self.layer3 { "L3" } else { "L2" })
            .with("SamplingRate", self.sent.sampling)
            .with("PollingInterval", self.sent.polling);
        for (key, text) in [
            ("Name", &self.name),
            ("Description", &self.description),
            ("Type", &self.kind),
            ("BPFFilter", &self.filter),
            ("Target", &self.sent.target),
            ("TargetType", &self.sent.target_type),
        ] {
            map.put(key, Some(text.as_str()).filter(|text| !text.is_empty()));
        }
        for (key, number) in [
            ("HeaderSize", self.sent.header_size),
            ("RawPacketLimit", i64::from(self.raw_limit)),
            ("ExtraLayers", i64::from(self.extra_layers)),
            ("Port", self.sent.port),
        ] {
            map.put(key, Some(number).filter(|number| *number != 0));
        }
        map
    }
}

fn check_kind(kind: &str) -> Result<(), String> {
    if SUPPORTED.contains(&kind) {
        return Ok(());
    }
    Err(if TYPES.contains(&kind) {
        format!("Type: {kind} is not supported by this agent: take afpacket or pcap")
    } else {
        let known: Vec<String> = TYPES
            .into_iter()
            .filter(|known| !known.is_empty())
            .map(|known| Quoted(known).to_string())
            .collect();
        let known = known.join(", ");
        format!("Type: Not a valid capture type: {kind}, available types: [{known}]")
    })
}

/// The mask of protocols, given as a number or by name.
fn extra_layers(members: &Members<'_>) -> Result<u32, String> {
    const NAMES: [(&str, u32); 3] = [("VRRP", 1), ("DNS", 2), ("DHCPv4", 4)];
    let bad = || "ExtraLayers: a sum of VRRP 1, DNS 2 and DHCPv4 4, or their names".to_owned();
    match members.get("ExtraLayers") {
        Some(serde_json::Value::Array(names)) => names.iter().try_fold(0, |mask, name| {
            let name = name.as_str().ok_or_else(bad)?;
            let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            known.map(|(_, bit)| mask | bit).ok_or_else(bad)
        }),
        _ => u32::try_from(members.int("ExtraLayers")?).ok().filter(|m| *m < 8).ok_or_else(bad),
    }
}

fn target(kind: &str, address: &str) -> Result<Target, String> {
    let parsed: Option<SocketAddr> = address.parse().ok();
    if !address.is_empty() && parsed.is_none() {
        return Err(format!("Target: Not a valid address: {address} (ADDRESS:PORT)"));
    }
    let needed = || format!("Target: {kind} needs an address to send to");
    match kind {
        "" | "local" => Ok(Target::Local),
        "netflowv5" => parsed.map(Target::Netflow).ok_or_else(needed),
        "erspanv1" => parsed.map(Target::Erspan).ok_or_else(needed),
        _ => Err(format!("TargetType: {kind} is unknown: local, netflowv5 or erspanv1")),
    }
}

impl From<&Capture> for Value {
    fn from(capture: &Capture) -> Self {
        capture.members(0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(json: &serde_json::Value) -> Result<Capture, String> {
        Capture::parse(&Members::of(json).unwrap(), &crate::filter::names::BuiltIn)
    }

    #[test]
    fn what_the_python_client_sends_is_taken_and_shown_in_full() {
        let capture = parse(&json!({
            "GremlinQuery": "G.V()", "LayerKeyMode": "L2", "PollingInterval": 10,
            "SamplingRate": 1
        }));
        let mut out = Vec::new();
        capture.unwrap().members(2).write(&mut out);
        let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            shown,
            json!({"GremlinQuery": "G.V()", "Count": 2, "SamplingRate": 1, "PollingInterval": 10,
                "ExtraTCPMetric": false, "IPDefrag": false, "ReassembleTCP": false,
                "LayerKeyMode": "L2"})
        );
    }

    #[test]
    fn every_refusal_names_the_member() {
        for (json, text) in [
            (json!({}), "GremlinQuery: "),
            (json!({"GremlinQuery": "x"}), "GremlinQuery: Not a valid Gremlin expression: "),
            (json!({"GremlinQuery": "G", "Type": "x"}), "Type: Not a valid capture type: x, "),
            (json!({"GremlinQuery": "G", "Type": "sflow"}), "Type: sflow is not supported"),
            (json!({"GremlinQuery": "G", "BPFFilter": "tcp and"}), "BPFFilter: Not a valid BPF "),
            (json!({"GremlinQuery": "G", "HeaderSize": 13}), "HeaderSize: A valid header size"),
            (json!({"GremlinQuery": "G", "HeaderSize": 4097}), "HeaderSize: A valid header size"),
            (json!({"GremlinQuery": "G", "RawPacketLimit": 11}), "RawPacketLimit: A valid raw"),
            (json!({"GremlinQuery": "G", "RawPacketLimit": -1}), "RawPacketLimit: A valid raw"),
            (json!({"GremlinQuery": "G", "LayerKeyMode": "L4"}), "LayerKeyMode: Not a valid"),
            (json!({"GremlinQuery": "G", "ExtraLayers": 8}), "ExtraLayers: "),
            (json!({"GremlinQuery": "G", "Target": "x"}), "Target: Not a valid address"),
            (json!({"GremlinQuery": "G", "TargetType": "x"}), "TargetType: x is unknown"),
            (json!({"GremlinQuery": "G", "TargetType": "netflowv5"}), "Target: netflowv5 needs"),
            (json!({"GremlinQuery": "G", "SamplingRate": "1"}), "SamplingRate: "),
        ] {
            let refusal = parse(&json).unwrap_err();
            assert!(refusal.starts_with(text), "{json}: {refusal}");
        }
    }

    #[test]
    fn protocols_read_further_go_by_number_or_by_name() {
        let by_number = parse(&json!({"GremlinQuery": "G", "ExtraLayers": 6})).unwrap();
        let by_name = parse(&json!({"GremlinQuery": "G", "ExtraLayers": ["DNS", "dhcpv4"]}));
        assert_eq!((by_number.extra_layers, by_name.unwrap().extra_layers), (6, 6));
    }
}
