//! From the tree to conditions over the octets of a frame of one link type.
//!
//! Which headers a primitive checks, and in which order, is libpcap's: a load beyond the end of
//! a short frame rejects it, so the order shows.

use super::ast::{
    AARP, ATALK, Compare, Control, Direction, IPX, Node, Primitive, Proto, Size, Term, Tree,
};
use super::bpf::{ancillary, op};
use super::graph::Graph;
use super::value::{Condition, Conditions, Id, Test, Value, Values};
use super::{Error, Problem};
use crate::wire::link::LinkType;

/// Turns a tree into a graph of tests.
pub(super) fn generate(tree: &Tree, link: LinkType, live: bool) -> Result<Graph, Error> {
    let start = Layout::new(link).map_err(|problem| Error { at: 0, len: 0, problem })?;
    let mut made = Generator { values: Values::default(), conditions: Conditions::default() };
    let tagged = tree
        .nodes
        .iter()
        .any(|node| matches!(node, Node::Test { primitive: Primitive::Vlan(_), .. }));
    let root = if live && tagged && start.frames == Frames::Ethernet {
        // The outer tag is beside the frame or in it, and all offsets depend on that: two
        // filters, of which the first instruction picks one.
        let beside = made.tree(tree, Layout { tag_beside: true, ..start })?;
        let inside = made.tree(tree, start)?;
        let whole = |problem| Error { at: 0, len: 0, problem };
        let present = made.equal(Size::Byte, ancillary::VLAN_TAG_PRESENT, 1).map_err(whole)?;
        let beside = made.conditions.and(present, beside);
        let inside = made.conditions.and(present.not(), inside);
        made.conditions.or(beside, inside)
    } else {
        made.tree(tree, start)?
    };
    Graph::new(made.values, &made.conditions, root).map_err(|problem| Error {
        at: 0,
        len: 0,
        problem,
    })
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Frames {
    CiscoHdlc,
    Cooked,
    Cooked2,
    Ethernet,
    Loop,
    Null,
    Ppp,
    Raw,
    V4,
    V6,
}

/// Where things are. `vlan`, `mpls` and `pppoes` move them for what stands to their right.
#[derive(Clone, Copy, Debug)]
struct Layout {
    frames: Frames,
    /// The link header.
    link: u32,
    /// The field that tells the protocol.
    kind: u32,
    /// Behind the link header.
    payload: u32,
    /// From there to the network header.
    network: u32,
    /// MPLS labels so far.
    labels: u32,
    /// The next VLAN tag is not in the frame, but beside it.
    tag_beside: bool,
}

impl Layout {
    fn new(link: LinkType) -> Result<Self, Problem> {
        let (frames, kind, payload) = match link {
            LinkType::C_HDLC => (Frames::CiscoHdlc, 2, 4),
            LinkType::ETHERNET => (Frames::Ethernet, 12, 14),
            LinkType::IPV4 => (Frames::V4, 0, 0),
            LinkType::IPV6 => (Frames::V6, 0, 0),
            LinkType::LINUX_SLL => (Frames::Cooked, 14, 16),
            LinkType::LINUX_SLL2 => (Frames::Cooked2, 0, 20),
            LinkType::LOOP => (Frames::Loop, 0, 4),
            LinkType::NULL => (Frames::Null, 0, 4),
            LinkType::PPP | LinkType::PPP_HDLC => (Frames::Ppp, 2, 4),
            LinkType::PPP_ETHER => (Frames::Ppp, 6, 8),
            LinkType::RAW => (Frames::Raw, 0, 0),
            LinkType::IEEE802_11 | LinkType::RADIOTAP | LinkType::PPI => {
                return Err(Problem::Refused("802.11 frames cannot be filtered"));
            }
            _ => return Err(Problem::Refused("frames of this link type cannot be filtered")),
        };
        let start =
            Self { frames, link: 0, kind, payload, network: 0, labels: 0, tag_beside: false };
        Ok(start)
    }

    /// An offset from the network header.
    const fn net(&self, offset: u32) -> u32 {
        self.payload.wrapping_add(self.network).wrapping_add(offset)
    }

    /// An offset from what follows an 802.2 header without SNAP.
    fn unsnapped(&self, offset: u32) -> u32 {
        let header = if self.frames == Frames::Ethernet { 3 } else { 0 };
        self.payload.wrapping_add(header).wrapping_add(offset)
    }
}

struct Generator {
    values: Values,
    conditions: Conditions,
}

type Made = Result<Condition, Problem>;

impl Generator {
    fn tree(&mut self, tree: &Tree, mut layout: Layout) -> Result<Condition, Error> {
        let mut made: Vec<Condition> = Vec::with_capacity(tree.nodes.len());
        let of =
            |made: &[Condition], place: usize| made.get(place).copied().unwrap_or(Condition::Never);
        for node in &tree.nodes {
            let condition =
                match *node {
                    Node::And(left, right) => {
                        let (left, right) = (of(&made, left), of(&made, right));
                        self.conditions.and(left, right)
                    }
                    Node::Or(left, right) => {
                        let (left, right) = (of(&made, left), of(&made, right));
                        self.conditions.or(left, right)
                    }
                    Node::Not(inner) => of(&made, inner).not(),
                    Node::Test { primitive, at, len } => self
                        .primitive(tree, &mut layout, primitive)
                        .map_err(|problem| Error { at, len, problem })?,
                };
            made.push(condition);
        }
        Ok(made.last().copied().unwrap_or(Condition::Always))
    }

    fn primitive(&mut self, tree: &Tree, layout: &mut Layout, primitive: Primitive) -> Made {
        match primitive {
            Primitive::Abbreviation(proto) => self.abbreviation(layout, proto),
            Primitive::Broadcast(None | Some(Proto::Link)) => {
                self.hardware(layout, Direction::Dst, [0xff; 6])
            }
            // A netmask is not known here: the addresses that are broadcast under any, as tcpdump
            // does for files.
            Primitive::Broadcast(Some(Proto::Ip)) => {
                let kind = self.link_type(layout, 0x0800)?;
                let none = self.equal(Size::Word, layout.net(16), 0)?;
                let all = self.equal(Size::Word, layout.net(16), u32::MAX)?;
                let either = self.conditions.or(none, all);
                Ok(self.conditions.and(kind, either))
            }
            Primitive::Broadcast(Some(_)) => {
                Err(Problem::Refused("broadcast goes with ether or nothing"))
            }
            Primitive::Ether { direction, address } => self.hardware(layout, direction, address),
            Primitive::Host { proto, direction, address, mask } => {
                self.host(layout, proto, direction, address, mask)
            }
            Primitive::Host6 { direction, address, mask } => {
                let kind = self.link_type(layout, 0x86dd)?;
                let layout = *layout;
                let ends = self.ends(direction, |this, source| {
                    this.v6(layout.net(if source { 8 } else { 24 }), address, mask)
                })?;
                Ok(self.conditions.and(kind, ends))
            }
            Primitive::Inbound => Ok(self.outbound(layout)?.not()),
            Primitive::Outbound => self.outbound(layout),
            Primitive::Interface(index) => match layout.frames {
                Frames::Cooked2 => self.equal(Size::Word, layout.link.wrapping_add(4), index),
                _ => self.equal(Size::Word, ancillary::INTERFACE, index),
            },
            Primitive::IsIs(types) => {
                let mut any = Condition::Never;
                for number in types {
                    let one = self.protocol(layout, Some(Proto::Isis), *number)?;
                    any = self.conditions.or(any, one);
                }
                Ok(any)
            }
            Primitive::Llc(control) => self.llc(layout, control),
            Primitive::Mpls(label) => self.mpls(layout, label),
            Primitive::Multicast(None | Some(Proto::Link)) => {
                if layout.frames != Frames::Ethernet {
                    return Err(NOT_ETHERNET);
                }
                let first = self.load(Size::Byte, layout.link)?;
                self.compare(op::JSET, first, 1)
            }
            Primitive::Multicast(Some(Proto::Ip)) => {
                let kind = self.link_type(layout, 0x0800)?;
                let first = self.load(Size::Byte, layout.net(16))?;
                let group = self.compare(op::JGE, first, 224)?;
                Ok(self.conditions.and(kind, group))
            }
            Primitive::Multicast(Some(Proto::Ip6)) => {
                let kind = self.link_type(layout, 0x86dd)?;
                let group = self.equal(Size::Byte, layout.net(24), 255)?;
                Ok(self.conditions.and(kind, group))
            }
            Primitive::Multicast(Some(_)) => {
                Err(Problem::Refused("multicast goes with ether, ip, ip6 or nothing"))
            }
            Primitive::Port { proto, direction, low, high } => {
                let four = self.ports(layout, false, proto, direction, low..=high)?;
                let six = self.ports(layout, true, proto, direction, low..=high)?;
                Ok(self.conditions.or(six, four))
            }
            Primitive::Pppoed => self.link_type(layout, 0x8863),
            Primitive::Pppoes(session) => self.pppoes(layout, session),
            Primitive::Protocol { proto, number } => self.protocol(layout, proto, number),
            Primitive::Relation { compare, left, right } => {
                self.relation(tree, layout, compare, left, right)
            }
            Primitive::Vlan(id) => self.vlan(layout, id),
        }
    }

    /// Whether a frame carries this Ethernet type, or this 802.2 access point if it is small.
    fn link_type(&mut self, layout: &Layout, kind: u32) -> Made {
        if layout.labels > 0 {
            let version = match kind {
                0x0800 => 0x40,
                0x86dd => 0x60,
                _ => return Err(Problem::Refused("only ip and ip6 can be told behind mpls")),
            };
            let above = self.load(Size::Byte, layout.net(0).wrapping_sub(2))?;
            let bottom = self.compare(op::JSET, above, 1)?;
            let version = self.masked(Size::Byte, layout.net(0), 0xf0, version)?;
            return Ok(self.conditions.and(bottom, version));
        }
        let is_type = kind > MAX_802_3;
        match layout.frames {
            Frames::Cooked | Frames::Cooked2 | Frames::Ethernet
                if matches!(kind, AARP | ATALK | IPX) =>
            {
                self.many_framings(layout, kind)
            }
            Frames::Ethernet if !is_type => {
                let field = self.load(Size::Half, layout.kind)?;
                let length = self.compare(op::JGT, field, MAX_802_3)?.not();
                let point = self.access_point(layout, kind)?;
                Ok(self.conditions.and(length, point))
            }
            Frames::Cooked | Frames::Cooked2 if !is_type => {
                // LINUX_SLL_P_802_2
                let framing = self.equal(Size::Half, layout.kind, 4)?;
                let point = self.access_point(layout, kind)?;
                Ok(self.conditions.and(framing, point))
            }
            Frames::CiscoHdlc if kind == 0xfe => self.equal(Size::Half, layout.kind, 0xfefe),
            Frames::CiscoHdlc | Frames::Cooked | Frames::Cooked2 | Frames::Ethernet => {
                self.equal(Size::Half, layout.kind, kind)
            }
            Frames::Loop | Frames::Null => {
                // Address families of Linux, the BSDs and macOS, in either byte order: a file
                // does not say which machine wrote it.
                let families: &[u32] = match kind {
                    0x0800 => &[2],
                    0x86dd => &[10, 24, 28, 30],
                    _ => &[],
                };
                let mut any = Condition::Never;
                for family in families {
                    let one = self.equal(Size::Word, layout.link, *family)?;
                    let other = self.equal(Size::Word, layout.link, family.swap_bytes())?;
                    any = self.conditions.or(any, one);
                    any = self.conditions.or(any, other);
                }
                Ok(any)
            }
            Frames::Ppp => {
                let protocol = match kind {
                    0x0042 => 0x0031,
                    0x00fe => 0x0023,
                    0x0800 => 0x0021,
                    0x6003 => 0x0027,
                    0x86dd => 0x0057,
                    ATALK => 0x0029,
                    IPX => 0x002b,
                    other => other,
                };
                self.equal(Size::Half, layout.kind, protocol)
            }
            Frames::Raw => match kind {
                0x0800 => self.masked(Size::Byte, layout.net(0), 0xf0, 0x40),
                0x86dd => self.masked(Size::Byte, layout.net(0), 0xf0, 0x60),
                _ => Ok(Condition::Never),
            },
            Frames::V4 if kind == 0x0800 => Ok(Condition::Always),
            Frames::V6 if kind == 0x86dd => Ok(Condition::Always),
            Frames::V4 | Frames::V6 => Ok(Condition::Never),
        }
    }

    /// Protocols that stand in the type field, behind a SNAP header, or (IPX) with an access point
    /// of their own and with no 802.2 header at all.
    fn many_framings(&mut self, layout: &Layout, kind: u32) -> Made {
        let is_ethernet = layout.frames == Frames::Ethernet;
        let number = if kind == IPX { 0x8137 } else { kind };
        let plain = self.equal(Size::Half, layout.kind, number)?;
        let framed = if is_ethernet {
            let field = self.load(Size::Half, layout.kind)?;
            self.compare(op::JGT, field, MAX_802_3)?.not()
        } else {
            self.equal(Size::Half, layout.kind, 4)?
        };
        // The octets behind the access points: control, vendor, type.
        let vendor = if kind == ATALK { 0x08_0007 } else { 0 };
        let low = self.equal(Size::Word, layout.payload.wrapping_add(4), vendor << 16 | number)?;
        let high = self.equal(Size::Word, layout.payload, 0xaaaa_0300 | vendor >> 16)?;
        let mut inside = self.conditions.and(low, high);
        if kind == IPX {
            let point = self.access_point(layout, IPX)?;
            // Which is looked at first shows in frames that end early.
            inside = match is_ethernet {
                true => self.conditions.or(inside, point),
                false => self.conditions.or(point, inside),
            };
            if is_ethernet {
                let bare = self.equal(Size::Half, layout.payload, 0xffff)?;
                inside = self.conditions.or(inside, bare);
            }
        }
        let mut any = self.conditions.and(framed, inside);
        if kind == IPX && !is_ethernet {
            // LINUX_SLL_P_802_3
            let bare = self.equal(Size::Half, layout.kind, 1)?;
            any = self.conditions.or(bare, any);
        }
        Ok(self.conditions.or(plain, any))
    }

    /// Whether it is an 802.2 frame, with such a control field.
    fn llc(&mut self, layout: &Layout, control: Option<Control>) -> Made {
        if layout.frames != Frames::Ethernet {
            return Err(Problem::Refused("llc wants Ethernet frames"));
        }
        let field = self.load(Size::Half, layout.kind)?;
        let length = self.compare(op::JGT, field, MAX_802_3)?.not();
        // IPX without an 802.2 header begins so.
        let headed = self.equal(Size::Half, layout.payload, 0xffff)?.not();
        let mut any = self.conditions.and(length, headed);
        if let Some(Control { mask, value }) = control {
            let kind = self.masked(Size::Byte, layout.payload.wrapping_add(2), mask, value)?;
            any = self.conditions.and(any, kind);
        }
        Ok(any)
    }

    fn access_point(&mut self, layout: &Layout, point: u32) -> Made {
        match point {
            // These use one number as source and destination.
            0x06 | 0xf0 | 0xfe => self.equal(Size::Half, layout.payload, point << 8 | point),
            point => self.equal(Size::Byte, layout.payload, point),
        }
    }

    fn abbreviation(&mut self, layout: &Layout, proto: Proto) -> Made {
        if proto == Proto::Isis {
            return self.protocol(layout, Some(Proto::Iso), 0x83);
        }
        if let Some(kind) = proto.ether_type() {
            return self.link_type(layout, kind);
        }
        let Some(number) = proto.number().map(u32::from) else {
            return Err(Problem::Refused("the link layer alone is no condition"));
        };
        let within = match proto {
            Proto::Carp | Proto::Icmp | Proto::Igmp | Proto::Igrp | Proto::Vrrp => Some(Proto::Ip),
            Proto::Icmp6 => Some(Proto::Ip6),
            _ => None,
        };
        self.protocol(layout, within, number)
    }

    fn protocol(&mut self, layout: &Layout, proto: Option<Proto>, number: u32) -> Made {
        match proto {
            Some(Proto::Link) => self.link_type(layout, number),
            Some(Proto::Iso) => {
                let kind = self.link_type(layout, 0xfe)?;
                let at = layout.unsnapped(u32::from(layout.frames == Frames::CiscoHdlc));
                let carried = self.equal(Size::Byte, at, number)?;
                Ok(self.conditions.and(kind, carried))
            }
            Some(Proto::Isis) => {
                let carried = self.protocol(layout, Some(Proto::Iso), 0x83)?;
                let kind = self.equal(Size::Byte, layout.unsnapped(4), number)?;
                Ok(self.conditions.and(carried, kind))
            }
            Some(Proto::Ip) => {
                let kind = self.link_type(layout, 0x0800)?;
                let carried = self.equal(Size::Byte, layout.net(9), number)?;
                Ok(self.conditions.and(kind, carried))
            }
            Some(Proto::Ip6) => {
                let kind = self.link_type(layout, 0x86dd)?;
                let direct = self.equal(Size::Byte, layout.net(6), number)?;
                // Behind a fragment header it counts as well.
                let fragment = self.equal(Size::Byte, layout.net(6), 44)?;
                let behind = self.equal(Size::Byte, layout.net(40), number)?;
                let behind = self.conditions.and(fragment, behind);
                let carried = self.conditions.or(direct, behind);
                Ok(self.conditions.and(kind, carried))
            }
            _ => {
                let four = self.protocol(layout, Some(Proto::Ip), number)?;
                let six = self.protocol(layout, Some(Proto::Ip6), number)?;
                Ok(self.conditions.or(four, six))
            }
        }
    }

    fn host(
        &mut self,
        layout: &Layout,
        proto: Option<Proto>,
        direction: Direction,
        address: u32,
        mask: u32,
    ) -> Made {
        let (kind, source, target) = match proto {
            Some(Proto::Arp) => (0x0806, 14, 24),
            Some(Proto::Rarp) => (0x8035, 14, 24),
            Some(_) => (0x0800, 12, 16),
            None => {
                let mut any = self.host(layout, Some(Proto::Ip), direction, address, mask)?;
                if layout.labels == 0 {
                    for proto in [Proto::Arp, Proto::Rarp] {
                        let more = self.host(layout, Some(proto), direction, address, mask)?;
                        any = self.conditions.or(any, more);
                    }
                }
                return Ok(any);
            }
        };
        let kind = self.link_type(layout, kind)?;
        let layout = *layout;
        let ends = self.ends(direction, |this, is_source| {
            let at = layout.net(if is_source { source } else { target });
            this.masked(Size::Word, at, mask, address)
        })?;
        Ok(self.conditions.and(kind, ends))
    }

    fn v6(&mut self, at: u32, address: u128, mask: u128) -> Made {
        let mut all = Condition::Always;
        for word in 0..4_u32 {
            let shift = 96_u32.saturating_sub(word.saturating_mul(32));
            let part = |whole: u128| (whole.wrapping_shr(shift) & u128::from(u32::MAX)) as u32;
            let at = at.wrapping_add(word.saturating_mul(4));
            let equal = self.masked(Size::Word, at, part(mask), part(address))?;
            all = self.conditions.and(all, equal);
        }
        Ok(all)
    }

    fn hardware(&mut self, layout: &Layout, direction: Direction, address: [u8; 6]) -> Made {
        if layout.frames != Frames::Ethernet {
            return Err(NOT_ETHERNET);
        }
        let [a, b, c, d, e, f] = address;
        let link = layout.link;
        self.ends(direction, |this, source| {
            let at = link.wrapping_add(if source { 6 } else { 0 });
            // The last octets differ most, so they are looked at first.
            let tail =
                this.equal(Size::Word, at.wrapping_add(2), u32::from_be_bytes([c, d, e, f]))?;
            let head = this.equal(Size::Half, at, u16::from_be_bytes([a, b]).into())?;
            Ok(this.conditions.and(tail, head))
        })
    }

    fn ports(
        &mut self,
        layout: &Layout,
        six: bool,
        proto: Option<Proto>,
        direction: Direction,
        range: std::ops::RangeInclusive<u16>,
    ) -> Made {
        let kind = self.link_type(layout, if six { 0x86dd } else { 0x0800 })?;
        let carried = layout.net(if six { 6 } else { 9 });
        let mut transport = Condition::Never;
        for number in proto.map_or(&[132_u32, 6, 17][..], |proto| match proto {
            Proto::Sctp => &[132],
            Proto::Tcp => &[6],
            _ => &[17],
        }) {
            let one = self.equal(Size::Byte, carried, *number)?;
            transport = self.conditions.or(transport, one);
        }
        let mut all = self.conditions.and(kind, transport);
        let header = if six {
            None
        } else {
            let first = self.first_fragment(layout)?;
            all = self.conditions.and(all, first);
            Some(self.values.add(Value::HeaderLen(layout.net(0)))?)
        };
        let layout = *layout;
        let ends = self.ends(direction, |this, source| {
            let at = if source { 0 } else { 2 };
            let port = match header {
                None => this.load(Size::Half, layout.net(40).wrapping_add(at))?,
                Some(index) => {
                    let at = layout.net(at);
                    this.values.add(Value::Indexed { size: Size::Half, index, at })?
                }
            };
            let (low, high) = (u32::from(*range.start()), u32::from(*range.end()));
            if low == high {
                return this.compare(op::JEQ, port, low);
            }
            let least = this.compare(op::JGE, port, low)?;
            let most = this.compare(op::JGT, port, high)?.not();
            Ok(this.conditions.and(least, most))
        })?;
        Ok(self.conditions.and(all, ends))
    }

    /// No later fragment of an IPv4 packet: those have no transport header.
    fn first_fragment(&mut self, layout: &Layout) -> Made {
        let field = self.load(Size::Half, layout.net(6))?;
        Ok(self.compare(op::JSET, field, 0x1fff)?.not())
    }

    /// A test of the source, the destination, either or both.
    fn ends(&mut self, direction: Direction, mut end: impl FnMut(&mut Self, bool) -> Made) -> Made {
        match direction {
            Direction::Src => end(self, true),
            Direction::Dst => end(self, false),
            Direction::Both | Direction::Either => {
                let source = end(self, true)?;
                let target = end(self, false)?;
                Ok(if direction == Direction::Both {
                    self.conditions.and(source, target)
                } else {
                    self.conditions.or(source, target)
                })
            }
        }
    }

    fn outbound(&mut self, layout: &Layout) -> Made {
        // PACKET_OUTGOING is 4 in all three places.
        match layout.frames {
            Frames::Cooked => self.equal(Size::Half, layout.link, 4),
            Frames::Cooked2 => self.equal(Size::Byte, layout.link.wrapping_add(10), 4),
            _ => self.equal(Size::Byte, ancillary::PACKET_TYPE, 4),
        }
    }

    fn vlan(&mut self, layout: &mut Layout, id: Option<u32>) -> Made {
        if layout.labels > 0 {
            return Err(Problem::Refused("no VLAN tag can be told behind mpls"));
        }
        if layout.frames != Frames::Ethernet {
            return Err(Problem::Refused("only Ethernet frames have VLAN tags"));
        }
        if layout.tag_beside {
            layout.tag_beside = false;
            return match id {
                None => Ok(Condition::Always),
                Some(id) => self.masked(Size::Half, ancillary::VLAN_TAG, 0xfff, id),
            };
        }
        let mut tagged = Condition::Never;
        for kind in [0x8100, 0x88a8, 0x9100] {
            let one = self.link_type(layout, kind)?;
            tagged = self.conditions.or(tagged, one);
        }
        if let Some(id) = id {
            let id = self.masked(Size::Half, layout.payload, 0xfff, id)?;
            tagged = self.conditions.and(tagged, id);
        }
        layout.kind = layout.kind.wrapping_add(4);
        layout.payload = layout.payload.wrapping_add(4);
        Ok(tagged)
    }

    fn mpls(&mut self, layout: &mut Layout, label: Option<u32>) -> Made {
        let mut labelled = if layout.labels > 0 {
            // The label above is not the last one.
            let above = self.load(Size::Byte, layout.net(0).wrapping_sub(2))?;
            self.compare(op::JSET, above, 1)?.not()
        } else {
            match layout.frames {
                Frames::CiscoHdlc | Frames::Ethernet => self.link_type(layout, 0x8847)?,
                Frames::Ppp => self.link_type(layout, 0x0281)?,
                _ => return Err(Problem::Refused("no MPLS label can be told on this link type")),
            }
        };
        if let Some(label) = label {
            let field = self.masked(Size::Word, layout.net(0), 0xffff_f000, label << 12)?;
            labelled = self.conditions.and(labelled, field);
        }
        layout.labels = layout.labels.saturating_add(1);
        layout.network = layout.network.wrapping_add(4);
        Ok(labelled)
    }

    fn pppoes(&mut self, layout: &mut Layout, session: Option<u32>) -> Made {
        let mut opened = self.link_type(layout, 0x8864)?;
        if let Some(session) = session {
            let field = self.masked(Size::Word, layout.payload, 0xffff, session)?;
            opened = self.conditions.and(opened, field);
        }
        layout.frames = Frames::Ppp;
        layout.link = layout.net(6);
        layout.kind = layout.link;
        layout.payload = layout.link.wrapping_add(2);
        layout.network = 0;
        Ok(opened)
    }

    fn relation(
        &mut self,
        tree: &Tree,
        layout: &Layout,
        compare: Compare,
        left: usize,
        right: usize,
    ) -> Made {
        // Only the terms of this relation: they lie together, the last one on top.
        let first = tree.first_term(left.min(right));
        let mut made: Vec<(Id, Condition)> = Vec::new();
        let of = |made: &[(Id, Condition)], place: usize| {
            made.get(place.wrapping_sub(first)).copied().ok_or(Problem::TooMuch)
        };
        for term in tree.terms.get(first..=left.max(right)).unwrap_or_default() {
            let entry = match *term {
                Term::Length => (self.values.add(Value::Length)?, Condition::Always),
                Term::Number(number) => (self.values.add(Value::Const(number))?, Condition::Always),
                Term::Negate(inner) => {
                    let (inner, guard) = of(&made, inner)?;
                    let value = match self.values.constant(inner) {
                        Some(number) => Value::Const(number.wrapping_neg()),
                        None => Value::Negate(inner),
                    };
                    (self.values.add(value)?, guard)
                }
                Term::Operation { operation, left, right } => {
                    let (left, one) = of(&made, left)?;
                    let (right, other) = of(&made, right)?;
                    let value = self.values.operation(operation, left, right)?;
                    (value, self.conditions.and(one, other))
                }
                Term::Load { proto, offset, size } => {
                    let (offset, guard) = of(&made, offset)?;
                    let (value, own) = self.field(layout, proto, offset, size)?;
                    (value, self.conditions.and(guard, own))
                }
            };
            made.push(entry);
        }
        let (left, one) = of(&made, left)?;
        let (right, other) = of(&made, right)?;
        let guard = self.conditions.and(one, other);
        let holds = self.compare_values(compare, left, right)?;
        // The guards stand even if the comparison is decided: they keep other frames out.
        Ok(self.conditions.and(guard, holds))
    }

    /// `proto[offset:size]`, and what must hold for it to mean anything.
    fn field(
        &mut self,
        layout: &Layout,
        proto: Proto,
        offset: Id,
        size: Size,
    ) -> Result<(Id, Condition), Problem> {
        let (base, guard) = match proto {
            Proto::Link => (layout.link, Condition::Always),
            Proto::Arp
            | Proto::Atalk
            | Proto::Decnet
            | Proto::Ip
            | Proto::Ip6
            | Proto::Lat
            | Proto::Mopdl
            | Proto::Moprc
            | Proto::Rarp
            | Proto::Sca => (layout.net(0), self.abbreviation(layout, proto)?),
            Proto::Icmp6 => {
                let kind = self.link_type(layout, 0x86dd)?;
                let carried = self.equal(Size::Byte, layout.net(6), 58)?;
                (layout.net(40), self.conditions.and(kind, carried))
            }
            Proto::Carp
            | Proto::Icmp
            | Proto::Igmp
            | Proto::Igrp
            | Proto::Pim
            | Proto::Sctp
            | Proto::Tcp
            | Proto::Udp
            | Proto::Vrrp => {
                let number = proto.number().unwrap_or_default();
                let carried = self.protocol(layout, Some(Proto::Ip), number.into())?;
                let first = self.first_fragment(layout)?;
                let guard = self.conditions.and(carried, first);
                let header = self.values.add(Value::HeaderLen(layout.net(0)))?;
                let (index, at) = match self.values.constant(offset) {
                    Some(offset) => (header, layout.net(offset)),
                    None => (self.values.operation(op::ADD, offset, header)?, layout.net(0)),
                };
                return Ok((self.values.add(Value::Indexed { size, index, at })?, guard));
            }
            Proto::Aarp
            | Proto::Ah
            | Proto::Esp
            | Proto::Ipx
            | Proto::Isis
            | Proto::Iso
            | Proto::Netbeui
            | Proto::Stp => {
                return Err(Problem::Refused("octets of this protocol cannot be asked for"));
            }
        };
        let value = match self.values.constant(offset) {
            Some(offset) => self.load(size, base.wrapping_add(offset))?,
            None => self.values.add(Value::Indexed { size, index: offset, at: base })?,
        };
        Ok((value, guard))
    }

    fn compare_values(&mut self, compare: Compare, left: Id, right: Id) -> Made {
        let (left, right, compare) =
            if self.values.constant(left).is_some() && self.values.constant(right).is_none() {
                (right, left, compare.turned())
            } else {
                (left, right, compare)
            };
        let (jump, negated) = match compare {
            Compare::Equal => (op::JEQ, false),
            Compare::Greater => (op::JGT, false),
            Compare::GreaterEqual => (op::JGE, false),
            Compare::Less => (op::JGE, true),
            Compare::LessEqual => (op::JGT, true),
            Compare::NotEqual => (op::JEQ, true),
        };
        let holds = match (self.values.constant(left), self.values.constant(right)) {
            (Some(a), Some(b)) => {
                let holds = match jump {
                    op::JEQ => a == b,
                    op::JGT => a > b,
                    _ => a >= b,
                };
                if holds { Condition::Always } else { Condition::Never }
            }
            (None, Some(number)) => self.compare(jump, left, number)?,
            _ => self.conditions.test(Test { compare: jump, left, right }),
        };
        Ok(if negated { holds.not() } else { holds })
    }

    fn load(&mut self, size: Size, at: u32) -> Result<Id, Problem> {
        // An offset before the frame must not reach what the kernel keeps beside it.
        let own = [ancillary::PACKET_TYPE, ancillary::INTERFACE, ancillary::VLAN_TAG].contains(&at)
            || at == ancillary::VLAN_TAG_PRESENT;
        let at = if at > i32::MAX as u32 && !own { i32::MAX as u32 } else { at };
        self.values.add(Value::Load { size, at })
    }

    fn equal(&mut self, size: Size, at: u32, number: u32) -> Made {
        let value = self.load(size, at)?;
        self.compare(op::JEQ, value, number)
    }

    fn masked(&mut self, size: Size, at: u32, mask: u32, number: u32) -> Made {
        if mask == 0 {
            return Ok(Condition::Always);
        }
        let value = self.load(size, at)?;
        let mask = self.values.add(Value::Const(mask))?;
        let value = self.values.operation(op::AND, value, mask)?;
        self.compare(op::JEQ, value, number)
    }

    /// A comparison with a number; a test of bits where one instruction does it.
    fn compare(&mut self, compare: u16, left: Id, number: u32) -> Made {
        if let Value::Operation { operation: op::AND, left: value, right } = self.values.get(left)
            && let Some(mask) = self.values.constant(right)
        {
            let (bits, negated) = match (compare, number) {
                (op::JEQ, 0) => (true, true),
                (op::JGT, 0) => (true, false),
                (op::JEQ, number) => (number == mask && mask.is_power_of_two(), false),
                _ => (false, false),
            };
            if bits {
                let test = Test { compare: op::JSET, left: value, right };
                let set = self.conditions.test(test);
                return Ok(if negated { set.not() } else { set });
            }
        }
        let right = self.values.add(Value::Const(number))?;
        Ok(self.conditions.test(Test { compare, left, right }))
    }
}

/// Type fields up to this one are lengths (IEEE 802.3).
const MAX_802_3: u32 = 1_500;

const NOT_ETHERNET: Problem = Problem::Refused("only Ethernet frames have hardware addresses");

impl Compare {
    /// The same with the sides exchanged.
    const fn turned(self) -> Self {
        match self {
            Self::Equal => Self::Equal,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::NotEqual => Self::NotEqual,
        }
    }
}

impl Tree {
    /// The first of the terms that make up the one at `last`: they lie in one piece.
    fn first_term(&self, last: usize) -> usize {
        let mut first = last;
        loop {
            first = match self.terms.get(first) {
                Some(Term::Load { offset: inner, .. } | Term::Negate(inner)) => *inner,
                Some(Term::Operation { left, .. }) => *left,
                Some(Term::Length | Term::Number(_)) | None => return first,
            };
        }
    }
}
