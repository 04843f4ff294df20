//! From a frame to the list of its layers, by the names that Skydive's flows carry, cut into the
//! pieces that become flows of their own: behind each GRE, MPLS, VXLAN and Geneve header.
//!
//! Decoding is lax: what is damaged or was not captured ends the list, and what was read before
//! counts. Nothing is allocated; [`Layers`] is made to be reused for frame after frame. What the
//! main flow table needs of a frame is read by [`super::decode`], which knows no names but more
//! link types.

use super::decode::Tcp;
use super::link::{LinkType, VlanTag};

mod link;
mod name;
mod network;
mod rest;
#[cfg(test)]
mod tests;
mod transport;
mod tunnel;

pub use name::Name;
use rest::Rest;

/// Pieces that one frame may have; the last one keeps what is inside it.
pub const MAX_PIECES: usize = 8;

/// Layers that one piece may have; the path ends there.
pub const MAX_NAMES: usize = 16;

/// IPv6 extension headers followed in a row.
const MAX_EXTENSIONS: usize = 8;

/// VLAN tags that fit the number that they are packed into.
const MAX_TAGS: u32 = 5;

/// Hardware addresses of a piece.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Link {
    /// Who sent it.
    pub src: [u8; 6],
    /// Who it is for.
    pub dst: [u8; 6],
    /// VLAN ids: the outermost in the low 12 bits, the next one above it, and so on.
    pub tags: i64,
}

/// Network layer of a piece: the first one, where there are several without a cut between them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Network {
    /// 4 or 6.
    pub version: u8,
    /// Source address; IPv4 fills the first four bytes, the rest is zero.
    pub src: [u8; 16],
    /// Destination address, like `src`.
    pub dst: [u8; 16],
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// If it is a fragment.
    pub fragment: Option<Fragment>,
    /// Where its header starts in the frame.
    pub at: u32,
    /// Where what it carries starts.
    pub body_at: u32,
    /// Bytes that it carries, as announced.
    pub body_len: u32,
}

/// A part of a datagram.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fragment {
    /// Identification, the same for all parts.
    pub id: u32,
    /// Where it belongs, in bytes.
    pub offset: u32,
    /// Others follow.
    pub more: bool,
}

/// Transport protocols whose ports tell flows apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the protocols")]
pub enum Protocol {
    Sctp,
    Tcp,
    Udp,
}

/// Transport layer of a piece, the first one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transport {
    /// Which one.
    pub protocol: Protocol,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// What a TCP header says beyond ports.
    pub tcp: Option<Tcp>,
    /// Where the payload starts in the frame.
    pub payload_at: u32,
    /// Bytes of payload as announced; fewer may have been captured.
    pub payload_len: u32,
}

/// An ICMP or ICMPv6 message, by the numbers in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Icmp {
    /// ICMPv6 rather than ICMP.
    pub v6: bool,
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The 16 bits where an echo has its identifier; 0 for other messages of ICMPv6.
    pub id: u16,
}

/// The header behind which a piece was cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tunnel {
    /// GRE, VXLAN or Geneve.
    pub name: Name,
    /// The key or the number of the virtual network.
    pub id: u32,
}

/// One piece of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Piece {
    /// Hardware addresses, if it has an Ethernet header.
    pub link: Option<Link>,
    /// IP addresses.
    pub network: Option<Network>,
    /// Ports.
    pub transport: Option<Transport>,
    /// An ICMP message.
    pub icmp: Option<Icmp>,
    /// Which tunnel it carries the next piece in.
    pub tunnel: Option<Tunnel>,
    /// Where it starts in the frame.
    pub at: u32,
    /// Its length on the wire: that of the frame less what was cut off before it.
    pub len: u32,
    /// Where the application layer starts, if its name is known.
    pub application_at: Option<u32>,
    names: [Name; MAX_NAMES],
    count: u8,
}

impl Piece {
    /// Its layers, outermost first.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        self.names.get(..usize::from(self.count)).unwrap_or(&self.names)
    }

    /// The innermost layer.
    #[must_use]
    pub fn last(&self) -> Option<Name> {
        self.names().last().copied()
    }

    /// Whether there is such a layer.
    #[must_use]
    pub fn has(&self, name: Name) -> bool {
        self.names().contains(&name)
    }

    /// The captured bytes of the transport payload, out of the frame that was decoded.
    #[must_use]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let payload = self.transport.and_then(|transport| {
            let from = frame.get(usize::try_from(transport.payload_at).ok()?..)?;
            let len = usize::try_from(transport.payload_len).ok()?;
            Some(from.get(..len).unwrap_or(from))
        });
        payload.unwrap_or_default()
    }

    /// Puts a layer at the end; `false` if there is no room.
    fn push(&mut self, name: Name) -> bool {
        let Some(place) = self.names.get_mut(usize::from(self.count)) else { return false };
        *place = name;
        self.count = self.count.saturating_add(1);
        true
    }
}

/// The pieces of one frame.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    pieces: [Piece; MAX_PIECES],
    count: usize,
    /// VLAN tags of the current piece so far.
    tags: u32,
    /// Length of the frame on the wire.
    wire_len: u32,
    /// Bytes of it that were taken off before `at` of the frame begins.
    put_back: u32,
}

/// What is to be read next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Ethernet,
    EtherType(u16),
    /// IPv4 or IPv6 by the first nibble.
    Ip,
    Llc,
    Ppp,
    /// The header of an IP protocol in IPv4 or IPv6.
    Protocol(u8),
}

/// What is behind a header, and where.
type Step<'a> = Option<(Next, Rest<'a>)>;

impl Layers {
    /// Reads a frame into `self`, replacing what was there.
    ///
    /// `vlan` is a tag that was taken off the frame, and `wire_len` the length of the whole,
    /// that tag included. There are no pieces if the link type is not understood or the frame is
    /// too short for a header.
    pub fn decode(&mut self, link: LinkType, vlan: Option<VlanTag>, wire_len: u32, frame: &[u8]) {
        self.count = 0;
        self.wire_len = wire_len;
        self.put_back = if vlan.is_some() { 4 } else { 0 };
        let announced = usize::try_from(wire_len.saturating_sub(self.put_back));
        self.begin(0);
        let rest = Rest::new(frame, announced.unwrap_or(usize::MAX));
        let mut step = self.open(link, vlan, rest);
        // Each turn adds a layer to a piece or ends, and there is room for so many of them.
        while let Some((next, rest)) = step {
            step = match next {
                Next::Ethernet => self.ethernet(rest, None),
                Next::EtherType(kind) => self.ether_type(kind, rest),
                Next::Ip => self.ip(rest),
                Next::Llc => self.llc(rest),
                Next::Ppp => self.ppp(rest),
                Next::Protocol(number) => self.protocol(number, rest),
            };
        }
        // What was begun and could not be read is no piece.
        if self.piece().count == 0 {
            self.count = self.count.saturating_sub(1);
        }
    }

    /// The pieces, outermost first.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        self.pieces.get(..self.count).unwrap_or(&self.pieces)
    }

    /// Adds a layer to the current piece; `None` if there is no room.
    fn push(&mut self, name: Name) -> Option<()> {
        self.piece().push(name).then_some(())
    }

    /// Adds the last layer that is followed.
    fn finish<'a>(&mut self, name: Name) -> Step<'a> {
        self.push(name);
        None
    }

    /// Cuts here: what follows is a piece of its own, if there is anything and room for it.
    fn cut<'a>(&mut self, next: Next, rest: Rest<'a>) -> Step<'a> {
        (!rest.bytes.is_empty() && self.begin(rest.at)).then_some((next, rest))
    }

    fn begin(&mut self, at: usize) -> bool {
        let Some(place) = self.pieces.get_mut(self.count) else { return false };
        let at = narrow(at);
        // The tag that was taken off belongs to the first piece.
        let before = if at == 0 { 0 } else { at.saturating_add(self.put_back) };
        *place = Piece { at, len: self.wire_len.saturating_sub(before), ..Piece::default() };
        self.count = self.count.saturating_add(1);
        self.tags = 0;
        true
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder of a division is in range")]
    fn piece(&mut self) -> &mut Piece {
        &mut self.pieces[self.count.saturating_sub(1) % MAX_PIECES]
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
