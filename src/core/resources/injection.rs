//! A packet injection: packets that a client wants sent from one node to another.

use std::net::IpAddr;

use crate::query::Query;
use crate::topology::value::Map;
use crate::wire::mac;

use super::members::Members;

/// Packets of one injection.
pub const MAX_COUNT: i64 = 100_000;

/// Octets of payload.
pub const MAX_PAYLOAD: usize = 1_400;

/// The protocol of the packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the protocols")]
pub enum Protocol {
    Icmp4,
    Icmp6,
    Tcp4,
    Tcp6,
    Udp4,
    Udp6,
}

impl Protocol {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "icmp4" => Self::Icmp4,
            "icmp6" => Self::Icmp6,
            "tcp4" => Self::Tcp4,
            "tcp6" => Self::Tcp6,
            "udp4" => Self::Udp4,
            "udp6" => Self::Udp6,
            _ => return None,
        })
    }

    /// Whether it goes over IPv6.
    #[must_use]
    pub const fn is_v6(self) -> bool {
        matches!(self, Self::Icmp6 | Self::Tcp6 | Self::Udp6)
    }
}

/// An injection as it was asked for.
#[derive(Clone, Debug)]
pub struct Injection {
    /// Where the packets start: the first node of this expression.
    pub src: Query,
    /// Where they go to, if an expression says it.
    pub dst: Option<Query>,
    /// Sender's address, from the node if missing.
    pub src_ip: Option<IpAddr>,
    /// Receiver's address, from the node if missing.
    pub dst_ip: Option<IpAddr>,
    /// Sender's hardware address, from the node if missing.
    pub src_mac: Option<[u8; 6]>,
    /// Hardware address of the next hop, from the node or its routes if missing.
    pub dst_mac: Option<[u8; 6]>,
    /// Sender's port, 0 for any.
    pub src_port: u16,
    /// Receiver's port, 0 for any.
    pub dst_port: u16,
    /// What is sent.
    pub protocol: Protocol,
    /// What it carries.
    pub payload: Vec<u8>,
    /// Octets that the payload grows with each packet.
    pub growth: usize,
    /// ICMP identifier.
    pub icmp_id: u16,
    /// Each packet takes another identifier or source port.
    pub is_random: bool,
    /// How many packets.
    pub count: u32,
    /// Milliseconds between them.
    pub interval: u64,
    /// Time to live.
    pub ttl: u8,
    sent: Map,
}

impl Injection {
    /// Reads and checks what a client sent.
    ///
    /// # Errors
    /// The member and what is wrong with it.
    pub fn parse(members: &Members<'_>) -> Result<Self, String> {
        let src_text = members.text("Src")?;
        let src = super::expression("Src", &src_text)?;
        let dst_text = members.text("Dst")?;
        let dst = match dst_text.as_str() {
            "" => None,
            text => Some(super::expression("Dst", text)?),
        };
        let kind = members.text("Type")?;
        let unsupported = "Type: given type is not supported";
        let protocol = Protocol::parse(&kind).ok_or_else(|| unsupported.to_owned())?;
        let mode = members.text("Mode")?;
        if !matches!(mode.as_str(), "" | "unique" | "random") {
            return Err("Mode: unique or random is expected".to_owned());
        }
        if !members.text("Pcap")?.is_empty() {
            return Err("Pcap: packets of a file are not sent by this agent".to_owned());
        }
        let payload = members.text("Payload")?.into_bytes();
        if payload.len() > MAX_PAYLOAD {
            return Err(format!("Payload: longer than {MAX_PAYLOAD} octets"));
        }
        let count = match members.get("Count") {
            None => 1,
            Some(_) => members.within("Count", 1, MAX_COUNT)?,
        };
        let interval = members.within("Interval", 0, 3_600_000)?;
        let growth = members.within("IncrementPayload", 0, MAX_PAYLOAD as i64)?;
        let ttl = match members.within("TTL", 0, 255)? {
            0 => 64,
            ttl => ttl,
        };
        let mut this = Self {
            src,
            dst,
            src_ip: address(members, "SrcIP", protocol)?,
            dst_ip: address(members, "DstIP", protocol)?,
            src_mac: hardware(members, "SrcMAC")?,
            dst_mac: hardware(members, "DstMAC")?,
            src_port: members.within("SrcPort", 0, 65_535)?.try_into().unwrap_or(0),
            dst_port: members.within("DstPort", 0, 65_535)?.try_into().unwrap_or(0),
            protocol,
            payload,
            growth: usize::try_from(growth).unwrap_or(0),
            icmp_id: members.within("ICMPID", 0, 65_535)?.try_into().unwrap_or(0),
            is_random: mode == "random",
            count: u32::try_from(count).unwrap_or(1),
            interval: interval.unsigned_abs(),
            ttl: u8::try_from(ttl).unwrap_or(64),
            sent: Map::new(),
        };
        for name in ["Src", "Dst", "SrcIP", "DstIP", "SrcMAC", "DstMAC", "Type", "Payload", "Mode"]
        {
            this.sent.set(name, members.text(name)?);
        }
        for name in ["SrcPort", "DstPort", "ICMPID", "IncrementPayload"] {
            this.sent.set(name, members.int(name)?);
        }
        this.sent.set("Count", count);
        this.sent.set("Interval", interval);
        this.sent.set("TTL", ttl);
        Ok(this)
    }

    /// Its members as they are shown.
    #[must_use]
    pub fn members(&self) -> Map {
        self.sent.clone()
    }
}

fn address(
    members: &Members<'_>,
    name: &str,
    protocol: Protocol,
) -> Result<Option<IpAddr>, String> {
    let text = members.text(name)?;
    if text.is_empty() {
        return Ok(None);
    }
    // As the node shows it: with the length of the prefix.
    let bare = text.split_once('/').map_or(text.as_str(), |(bare, _)| bare);
    let family = if protocol.is_v6() { "IPv6" } else { "IPv4" };
    let address = bare.parse::<IpAddr>().ok();
    let address = address.filter(|address| address.is_ipv6() == protocol.is_v6());
    address.map(Some).ok_or_else(|| format!("{name}: an {family} address is expected"))
}

fn hardware(members: &Members<'_>, name: &str) -> Result<Option<[u8; 6]>, String> {
    let text = members.text(name)?;
    if text.is_empty() {
        return Ok(None);
    }
    mac::parse(&text).map(Some).ok_or_else(|| format!("{name}: a hardware address is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(json: &serde_json::Value) -> Result<Injection, String> {
        Injection::parse(&Members::of(json).unwrap())
    }

    #[test]
    fn what_the_python_client_sends_is_taken_and_shown_again() {
        let sent = json!({"Src": "G.V()", "Dst": "", "SrcPort": 0, "DstPort": 0, "SrcIP": "",
            "DstIP": "10.0.0.2/24", "SrcMAC": "", "DstMAC": "02:00:00:00:00:01", "Type": "icmp4",
            "Count": 1, "ICMPID": 0, "Interval": 1000, "Payload": "", "Increment": false,
            "TTL": 64});
        let injection = parse(&sent).unwrap();
        assert_eq!(injection.dst_ip, Some([10, 0, 0, 2].into()));
        assert!(injection.dst.is_none() && injection.src_ip.is_none());
        let mut out = Vec::new();
        injection.members().write(&mut out);
        let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&shown["DstIP"], &shown["Interval"]), (&json!("10.0.0.2/24"), &json!(1000)));
    }

    #[test]
    fn refusals_say_which_member() {
        for (name, value, text) in [
            ("Type", json!("sctp4"), "given type is not supported"),
            ("Src", json!(""), "Src: "),
            ("SrcIP", json!("::1"), "SrcIP: an IPv4"),
            ("DstMAC", json!("zz"), "DstMAC: "),
            ("Count", json!(0), "Count: "),
            ("Count", json!(1_000_000), "Count: "),
            ("DstPort", json!(70_000), "DstPort: "),
            ("Mode", json!("x"), "Mode: "),
            ("Payload", json!("x".repeat(2_000)), "Payload: "),
        ] {
            let mut sent = json!({"Src": "G.V()", "Type": "icmp4"});
            sent[name] = value;
            let refusal = parse(&sent).unwrap_err();
            assert!(refusal.contains(text), "{name}: {refusal}");
        }
    }
}
