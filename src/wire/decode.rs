//! From a frame to what the flow table needs: addresses, ports, transport facts and where the
//! payload lies, through at most [`MAX_LAYERS`] encapsulations.
//!
//! Decoding is lax: a snap length or a lying length field costs the layers above it, not the
//! packet. etherparse reads the IP, TCP and UDP headers; what carries them is read here.

use super::link::{LinkType, VlanTag};

mod link;
mod network;
mod plain;
mod span;
mod tunnel;
mod wlan;

use span::Span;

/// Encapsulations followed before a packet is given up (VLAN and MPLS tags count together once).
pub const MAX_LAYERS: usize = 8;

/// VLAN tags or MPLS labels followed in a row.
const MAX_TAGS: usize = 8;

/// IPv6 extension headers followed.
const MAX_EXTENSIONS: usize = 8;

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

impl Tunnel {
    /// Its name in all outputs, empty for none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Geneve => "geneve",
            Self::Gre => "gre",
            Self::GtpU => "gtp-u",
            Self::IpIp => "ipip",
            Self::Mpls => "mpls",
            Self::PppoE => "pppoe",
            Self::SixIn4 => "6in4",
            Self::Vxlan => "vxlan",
        }
    }
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
    /// PSH bit of `flags`.
    pub const PSH: u8 = 0x08;
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

/// A header that is about to be read.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Link(LinkType),
    EtherType(u16),
}

/// What a header says comes next.
enum Step<'a> {
    /// Nothing that is followed.
    End,
    To(Layer, Span<'a>),
}

impl<'a> Step<'a> {
    const fn to(layer: Layer, span: Span<'a>) -> Self {
        Self::To(layer, span)
    }
}

/// Why a header can't be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stop {
    Malformed,
    /// It reaches past the captured bytes.
    Short,
    TooDeep,
    UnknownLink,
}

impl Packet {
    /// Reads a frame into `self`, replacing what was there.
    ///
    /// `vlan` is a tag the kernel took off the frame. On an error the fields read before it
    /// (hardware addresses, VLAN) stay valid, so the frame can still be counted. With
    /// [`Error::TooDeep`], `datagram` holds the innermost datagram that was reached, if any, so
    /// that its bytes can be attributed. Damage inside a tunnel is no error: it means that this
    /// is no tunnel, and `datagram` is the one around it.
    ///
    /// # Errors
    /// See [`Error`]; the caller counts it.
    #[inline]
    pub fn decode(
        &mut self,
        link: LinkType,
        vlan: Option<VlanTag>,
        frame: &[u8],
    ) -> Result<(), Error> {
        self.macs = None;
        self.vlan = vlan.map_or(0, VlanTag::id);
        self.ethertype = 0;
        self.datagram = None;
        self.arp = None;
        self.tunnel = Tunnel::None;
        self.truncated = false;
        self.carrier_count = 0;
        if link == LinkType::ETHERNET && plain::read(self, frame).is_some() {
            return Ok(());
        }
        self.walk(link, vlan, frame)
    }

    /// Reads any frame, layer by layer.
    fn walk(&mut self, link: LinkType, vlan: Option<VlanTag>, frame: &[u8]) -> Result<(), Error> {
        let mut walk = Walk {
            packet: self,
            layers: 0,
            tagged: vlan.is_some(),
            carried: Tunnel::None,
            tunnel: Tunnel::None,
        };
        let stop = walk.run(link, Span::new(frame));
        match stop {
            Ok(()) => Ok(()),
            Err(Stop::TooDeep) => Err(Error::TooDeep),
            Err(_) if self.datagram.is_some() => Ok(()),
            Err(Stop::Malformed) => Err(Error::Malformed),
            Err(Stop::Short) => {
                self.truncated = true;
                Err(Error::Malformed)
            }
            Err(Stop::UnknownLink) => Err(Error::UnknownLink),
        }
    }

    /// The outer datagrams of a tunnelled packet, outermost first.
    #[must_use]
    pub fn carriers(&self) -> &[Carrier] {
        self.carriers.get(..usize::from(self.carrier_count)).unwrap_or(&self.carriers)
    }

    /// Whether it is tunnelled: [`Self::carriers`] are not empty.
    #[inline]
    #[must_use]
    pub const fn is_carried(&self) -> bool {
        self.carrier_count != 0
    }

    /// The captured transport payload of the innermost datagram, out of the frame that was
    /// decoded.
    #[must_use]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let payload = self.datagram.as_ref().and_then(|datagram| {
            let at = usize::try_from(datagram.payload_at).ok()?;
            let len = usize::try_from(datagram.payload_captured).ok()?;
            frame.get(at..)?.get(..len)
        });
        payload.unwrap_or_default()
    }
}

/// The way through one frame.
struct Walk<'p> {
    packet: &'p mut Packet,
    /// Encapsulations so far.
    layers: usize,
    /// The outermost VLAN tag is known.
    tagged: bool,
    /// What the datagram read last is carrying.
    carried: Tunnel,
    /// The encapsulation read last.
    tunnel: Tunnel,
}

impl Walk<'_> {
    fn run(&mut self, link: LinkType, span: Span<'_>) -> Result<(), Stop> {
        let mut step = self.link(link, span)?;
        while let Step::To(layer, span) = step {
            step = match layer {
                Layer::Link(link) => self.link(link, span)?,
                Layer::EtherType(kind) => self.network(kind, span)?,
            };
        }
        Ok(())
    }

    #[inline]
    fn link<'a>(&mut self, link: LinkType, span: Span<'a>) -> Result<Step<'a>, Stop> {
        if link == LinkType::ETHERNET {
            let (kind, rest) = self.ethernet(span)?;
            return self.network(kind, rest);
        }
        let (macs, step) = link::open(link, span)?;
        if self.is_outermost() {
            self.packet.macs = macs;
        }
        // A header before another link header, which could be of its own kind.
        if let Step::To(Layer::Link(_), _) = step {
            self.descend()?;
        }
        Ok(step)
    }

    #[inline]
    fn ethernet<'a>(&mut self, span: Span<'a>) -> Result<(u16, Span<'a>), Stop> {
        let (header, rest) = span.split::<14>()?;
        let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = *header;
        if self.is_outermost() {
            self.packet.macs = Some(([d0, d1, d2, d3, d4, d5], [s0, s1, s2, s3, s4, s5]));
        }
        Ok((u16::from_be_bytes([t0, t1]), rest))
    }

    #[inline(never)]
    fn network<'a>(&mut self, kind: u16, span: Span<'a>) -> Result<Step<'a>, Stop> {
        let (kind, span) = if ethertype::is_tag(kind) { self.tags(span)? } else { (kind, span) };
        let outermost = self.packet.datagram.is_none();
        if outermost {
            self.packet.ethertype = if kind < ethertype::FIRST { 0 } else { kind };
        }
        match kind {
            ethertype::IPV4 => self.ipv4(span),
            ethertype::IPV6 => self.ipv6(span),
            ethertype::ARP if self.is_outermost() => {
                self.packet.arp = network::read_arp(span)?;
                Ok(Step::End)
            }
            ethertype::MPLS | ethertype::MPLS_MULTICAST => {
                self.enter(Tunnel::Mpls, tunnel::mpls(span))
            }
            ethertype::PPPOE_SESSION => self.enter(Tunnel::PppoE, tunnel::pppoe(span)),
            ethertype::PPP => {
                self.descend()?;
                link::ppp(span)
            }
            0..ethertype::FIRST => link::llc(span),
            _ => Ok(Step::End),
        }
    }

    /// Reads VLAN tags in a row, which count as one encapsulation.
    fn tags<'a>(&mut self, mut span: Span<'a>) -> Result<(u16, Span<'a>), Stop> {
        self.descend()?;
        for _ in 0..MAX_TAGS {
            let ([c0, c1, t0, t1], rest) = span.split::<4>()?;
            if !self.tagged && self.is_outermost() {
                self.tagged = true;
                self.packet.vlan = u16::from_be_bytes([*c0, *c1]) & 0x0fff;
            }
            let kind = u16::from_be_bytes([*t0, *t1]);
            span = rest;
            if !ethertype::is_tag(kind) {
                return Ok((kind, span));
            }
        }
        Err(Stop::TooDeep)
    }

    #[inline]
    fn ipv4<'a>(&mut self, span: Span<'a>) -> Result<Step<'a>, Stop> {
        let (header, body) = network::open_ipv4(span, self.packet.datagram.is_none())?;
        let payload = network::describe_ipv4(self.begin(ethertype::IPV4), &header, body);
        self.unwrap(payload)
    }

    #[inline]
    fn ipv6<'a>(&mut self, span: Span<'a>) -> Result<Step<'a>, Stop> {
        let (header, body) = network::open_ipv6(span)?;
        let (payload, deep) = network::describe_ipv6(self.begin(ethertype::IPV6), &header, body);
        let step = self.unwrap(payload);
        if deep { Err(Stop::TooDeep) } else { step }
    }

    /// Makes room for a new innermost datagram; the one before becomes a carrier.
    #[inline]
    fn begin(&mut self, kind: u16) -> &mut Datagram {
        let packet = &mut *self.packet;
        if let Some(outer) = &packet.datagram
            && let Some(slot) = packet.carriers.get_mut(usize::from(packet.carrier_count))
        {
            *slot = Carrier { tuple: outer.tuple, tunnel: self.carried };
            packet.carrier_count = packet.carrier_count.saturating_add(1);
        }
        packet.ethertype = kind;
        packet.tunnel = self.tunnel;
        self.carried = Tunnel::None;
        packet.datagram.insert(Datagram::default())
    }

    /// Opens what the datagram carries if it is a tunnel.
    #[inline]
    fn unwrap<'a>(&mut self, payload: Span<'a>) -> Result<Step<'a>, Stop> {
        self.packet.truncated |= payload.is_cut();
        let Some(datagram) = &self.packet.datagram else {
            return Ok(Step::End);
        };
        let Tuple { version, proto, sport, dport, .. } = datagram.tuple;
        let whole = !matches!(datagram.fragment, Fragment::Later(_));
        let inner = |kind| Ok(Step::to(Layer::EtherType(kind), payload));
        match proto {
            proto::UDP if whole => match tunnel::by_port(sport, dport, payload) {
                Some((tunnel, step)) => self.enter(tunnel, step),
                None => Ok(Step::End),
            },
            proto::IPV4 if whole => self.enter(Tunnel::IpIp, inner(ethertype::IPV4)),
            proto::IPV6 if whole && version == 4 => {
                self.enter(Tunnel::SixIn4, inner(ethertype::IPV6))
            }
            proto::IPV6 if whole => self.enter(Tunnel::IpIp, inner(ethertype::IPV6)),
            proto::GRE if whole => self.enter(Tunnel::Gre, tunnel::gre(payload)),
            proto::MPLS if whole => self.enter(Tunnel::Mpls, tunnel::mpls(payload)),
            _ => Ok(Step::End),
        }
    }

    /// Notes an encapsulation whose header could be read.
    fn enter<'a>(
        &mut self,
        tunnel: Tunnel,
        step: Result<Step<'a>, Stop>,
    ) -> Result<Step<'a>, Stop> {
        let Step::To(layer, span) = step? else {
            return Ok(Step::End);
        };
        self.descend()?;
        self.tunnel = tunnel;
        if self.carried == Tunnel::None {
            self.carried = tunnel;
        }
        Ok(Step::To(layer, span))
    }

    /// Counts an encapsulation.
    fn descend(&mut self) -> Result<(), Stop> {
        self.layers = self.layers.saturating_add(1);
        if self.layers > MAX_LAYERS { Err(Stop::TooDeep) } else { Ok(()) }
    }

    /// Whether what is read now belongs to the link that was captured on.
    fn is_outermost(&self) -> bool {
        self.packet.datagram.is_none() && self.tunnel == Tunnel::None
    }
}

/// EtherTypes (IEEE 802 numbers) that lead further.
mod ethertype {
    pub(super) const ARP: u16 = 0x0806;
    pub(super) const ETHERNET_BRIDGING: u16 = 0x6558;
    /// Below it, the field is an 802.3 length.
    pub(super) const FIRST: u16 = 0x0600;
    pub(super) const IPV4: u16 = 0x0800;
    pub(super) const IPV6: u16 = 0x86dd;
    pub(super) const MPLS: u16 = 0x8847;
    pub(super) const MPLS_MULTICAST: u16 = 0x8848;
    pub(super) const PPP: u16 = 0x880b;
    pub(super) const PPPOE_SESSION: u16 = 0x8864;

    /// 802.1Q, 802.1ad, and the latter before it was a standard.
    pub(super) const fn is_tag(kind: u16) -> bool {
        matches!(kind, 0x8100 | 0x88a8 | 0x9100)
    }

    pub(super) const fn is_known(kind: u16) -> bool {
        is_tag(kind)
            || matches!(kind, ARP | IPV4 | IPV6 | MPLS | MPLS_MULTICAST | PPP | PPPOE_SESSION)
    }
}

/// IP protocol numbers that are told apart here.
mod proto {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ICMP: u8 = 1;
    pub(super) const IPV4: u8 = 4;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const DCCP: u8 = 33;
    pub(super) const IPV6: u8 = 41;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const GRE: u8 = 47;
    pub(super) const AH: u8 = 51;
    pub(super) const ICMPV6: u8 = 58;
    pub(super) const DESTINATION: u8 = 60;
    pub(super) const SCTP: u8 = 132;
    pub(super) const UDP_LITE: u8 = 136;
    pub(super) const MPLS: u8 = 137;
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests;
