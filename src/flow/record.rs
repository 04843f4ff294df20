//! The export form of a flow: plain values that own nothing of the table, from the initiator's
//! point of view. Every output is made from it.

use std::net::IpAddr;

use super::entry::{Flow, State};
use super::key::{Side, Sides};
use super::orient::OtherType;
use super::table::{EndReason, FlowId};
use super::tcp::Health;
use crate::time::Tick;
use crate::wire::decode::Tunnel;

/// One end of a flow and what it sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct End {
    /// Address.
    pub ip: IpAddr,
    /// Port, 0 where the protocol has none.
    pub port: u16,
    /// Hardware address of its first packet, if the link has them.
    pub mac: Option<[u8; 6]>,
    /// Packets it sent.
    pub packets: u64,
    /// Bytes on the wire it sent.
    pub bytes: u64,
    /// Time to live of its first packet.
    pub ttl: Option<u8>,
}

/// TCP health of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TcpEnd {
    /// All flags it sent.
    pub flags: u8,
    /// Segments with RST.
    pub resets: u16,
    /// Segments sent again.
    pub retransmissions: u32,
    /// Segments that arrived after later ones.
    pub out_of_order: u16,
    /// Announcements of a zero window.
    pub zero_windows: u16,
}

/// TCP health of a flow.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tcp {
    /// Of what the initiator sent.
    pub initiator: TcpEnd,
    /// Of what the responder sent.
    pub responder: TcpEnd,
    /// SYN to SYN/ACK in µs.
    pub rtt_server: Option<u32>,
    /// SYN/ACK to ACK in µs.
    pub rtt_client: Option<u32>,
}

/// A flow at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Id of this instance.
    pub id: FlowId,
    /// The carrier it came in.
    pub parent: Option<FlowId>,
    /// How it was carried.
    pub tunnel: Tunnel,
    /// It is the outside of a tunnel: its bytes are counted again in the flows inside.
    pub is_carrier: bool,
    /// Some packets were fragments.
    pub has_fragments: bool,
    /// Most of its packets are forwarded unseen; what they carried is counted by the kernel, if
    /// at all.
    pub is_offloaded: bool,
    /// Slot of the capture interface.
    pub iface: u16,
    /// Outermost VLAN id, 0 if untagged.
    pub vlan: u16,
    /// 4 or 6.
    pub version: u8,
    /// IP protocol number.
    pub proto: u8,
    /// Type of service or traffic class of the first packet.
    pub tos: u8,
    /// The end that opened it.
    pub initiator: End,
    /// The other one.
    pub responder: End,
    /// The initiator is the numerically lower end.
    pub is_initiator_lower: bool,
    /// The initiator is the local side, if one side is.
    pub is_initiator_local: Option<bool>,
    /// What the other side is.
    pub other_type: OtherType,
    /// Stamp of the earliest packet.
    pub first_seen: Tick,
    /// Stamp of the latest packet.
    pub last_seen: Tick,
    /// How far it has come.
    pub state: State,
    /// Why it ended, if it has.
    pub end: Option<EndReason>,
    /// TCP only.
    pub tcp: Option<Tcp>,
    /// ICMP and ICMPv6: type and code of the last message.
    pub icmp: Option<(u8, u8)>,
    /// The detectors' word.
    pub detector: u32,
}

impl Record {
    /// The record of a flow; `end` if it is just ending.
    #[must_use]
    pub fn new(flow: &Flow, id: FlowId, end: Option<EndReason>) -> Self {
        let from = flow.initiator();
        let key = flow.key();
        let orientation = flow.orientation();
        Self {
            id,
            parent: FlowId::new(flow.parent),
            tunnel: flow.tunnel(),
            is_carrier: flow.is_carrier(),
            has_fragments: flow.has_fragments(),
            is_offloaded: flow.is_offloaded(),
            iface: key.iface,
            vlan: key.vlan,
            version: key.version,
            proto: key.proto,
            tos: flow.tos(),
            initiator: End::new(flow, from),
            responder: End::new(flow, from.other()),
            is_initiator_lower: from == Side::Lower,
            is_initiator_local: orientation.local().map(|side| side == from),
            other_type: orientation.other(),
            first_seen: flow.first_seen(),
            last_seen: flow.last_seen(),
            state: flow.state(),
            end,
            tcp: flow.health().map(|health| Tcp::new(&health, from)),
            icmp: flow.icmp(),
            detector: flow.detector,
        }
    }

    /// Packets of both directions.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.initiator.packets.wrapping_add(self.responder.packets)
    }

    /// Bytes of both directions.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.initiator.bytes.wrapping_add(self.responder.bytes)
    }

    /// The local end and the other one; where neither is local, the initiator comes first.
    #[must_use]
    pub fn local_and_other(&self) -> (&End, &End) {
        if self.is_initiator_local.unwrap_or(true) {
            (&self.initiator, &self.responder)
        } else {
            (&self.responder, &self.initiator)
        }
    }

    /// The ends in numerical order.
    #[must_use]
    pub const fn ends(&self) -> Sides<&End> {
        if self.is_initiator_lower {
            Sides { lower: &self.initiator, upper: &self.responder }
        } else {
            Sides { lower: &self.responder, upper: &self.initiator }
        }
    }
}

impl End {
    fn new(flow: &Flow, side: Side) -> Self {
        Self {
            ip: flow.key().ip(side),
            port: *flow.key().port.of(side),
            mac: Some(*flow.macs().of(side)).filter(|mac| *mac != [0; 6]),
            packets: *flow.packets().of(side),
            bytes: *flow.bytes().of(side),
            ttl: Some(*flow.ttl().of(side)).filter(|ttl| *ttl != 0),
        }
    }
}

impl Tcp {
    fn new(health: &Health, from: Side) -> Self {
        let end = |side| TcpEnd {
            flags: *health.flags.of(side),
            resets: *health.resets.of(side),
            retransmissions: *health.retransmissions.of(side),
            out_of_order: *health.out_of_order.of(side),
            zero_windows: *health.zero_windows.of(side),
        };
        Self {
            initiator: end(from),
            responder: end(from.other()),
            rtt_server: health.rtt_server,
            rtt_client: health.rtt_client,
        }
    }
}
