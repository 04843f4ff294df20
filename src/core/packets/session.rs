//! One session: its interfaces, its counters, and the stream that it makes of frames.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::document::document;
use super::order::{Format, Order, Refused};
use super::past::Past;
use super::thin::{self, Thin};
use super::told::Told;
use crate::core::names::{self, Names};
use crate::core::pace::Pace;
use crate::time::{Clock, Tick};
use crate::wire::decode;
use crate::wire::link::LinkType;
use crate::wire::pcap::write::{self as pcap, Unit};
use crate::wire::pcapng::write::{self, Interface, Packet, Section, Statistics, flag};
use crate::wire::raw::{Checksum, Kind, RawFrame};

/// A piece of the stream is closed when it has grown to this many octets.
const CHUNK: usize = 48 * 1024;

/// Pieces kept for their memory, and the largest of them: one with the largest frame at its end.
const SPARE: usize = 3;
const KEPT: usize = 128 * 1024;

/// No more frames are taken while so many octets wait for the reader. What is then lost, the
/// kernel counts.
const MARK: usize = 384 * 1024;

/// Statistics of an interface are written at least this often while they change, in
/// microseconds.
const TELL_EVERY: u64 = 10_000_000;

/// Where a frame without a link header gets one: that of Linux cooked captures, version 2.
const COOKED: usize = 20;

/// What is said of the machine in each stream.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// Its processor.
    pub hardware: String,
    /// Its operating system.
    pub os: String,
    /// This program and its version.
    pub application: String,
}

/// How far a session has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    /// Frames are taken.
    Open,
    /// Its sockets are to be opened.
    Opening,
    /// Nothing more comes in; what is there is still delivered.
    Over(End),
    /// There is no stream.
    Refused(Refused),
}

/// How a session ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    /// The kind of end.
    pub ending: Ending,
    /// Why, in a few words.
    pub reason: String,
}

/// Kinds of ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// All that was ordered is there.
    Complete,
    /// Something broke.
    Failed,
    /// What was captured has gone away.
    Gone,
    /// Somebody stopped it.
    Stopped,
}

impl End {
    /// An end.
    #[must_use]
    pub fn new(ending: Ending, reason: impl Into<String>) -> Self {
        Self { ending, reason: reason.into() }
    }
}

/// Position of an interface in its session, and in the stream.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PortId(pub u32);

/// An interface that joins a session.
#[derive(Clone, Debug, Default)]
pub struct NewPort {
    /// Position of its target in the order.
    pub target: usize,
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
    /// Its ARPHRD_ number.
    pub hardware: u16,
    /// How frames begin; Ethernet if there is none.
    pub link: Option<LinkType>,
    /// The kernel takes the link header off.
    pub cooked: bool,
    /// Each packet passes it twice.
    pub loopback: bool,
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// Its addresses with the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Packets that the card and its driver have dropped until now, if that is known.
    pub dropped: Option<u64>,
}

/// An interface of a session.
#[derive(Clone, Debug)]
pub struct Port {
    /// Position of its target in the order.
    pub target: usize,
    /// Its name when it joined.
    pub name: String,
    /// Packets that passed the filter, those lost included.
    pub accepted: u64,
    /// Packets in the stream.
    pub delivered: u64,
    /// Packets that the kernel lost.
    pub lost: u64,
    /// Packets that the card and its driver dropped since the interface joined.
    pub dropped: Option<u64>,
    /// It has left.
    pub gone: bool,
    /// What the card had dropped when the interface joined.
    dropped_before: u64,
    /// Its number in its namespace.
    pub(super) ifindex: u32,
    /// What the sockets have from before this moment is in the stream already, in nanoseconds
    /// since 1970.
    from: u64,
    cooked: Option<[u8; 8]>,
    loopback: bool,
    ethernet: bool,
    /// How its frames begin, if not by their protocol.
    link: Option<LinkType>,
    /// Frames since the last that was kept of a sample.
    turn: u32,
    /// Nanoseconds since 1970 when it joined.
    since: u64,
    /// Lost and not told with a packet yet.
    untold: u64,
    /// Counters as they were written last, and when.
    told: (u64, u64, u64),
    told_at: Tick,
}

impl Port {
    /// What its filter is compiled for.
    pub(super) fn layer(&self) -> LinkType {
        self.link.unwrap_or(LinkType::RAW)
    }

    /// How a frame begins, before anything is put there.
    #[inline]
    pub(super) fn link_of(&self, raw: &RawFrame<'_>) -> LinkType {
        self.link.unwrap_or(match raw.protocol {
            0x0800 => LinkType::IPV4,
            0x86dd => LinkType::IPV6,
            // Not an IP datagram, whatever it begins with.
            _ => LinkType::LINUX_SLL2,
        })
    }
}

/// One session.
#[derive(Debug)]
pub struct Session {
    order: Order,
    state: State,
    since: Clock,
    ports: Vec<Port>,
    /// The link type of a classic capture file.
    link: Option<LinkType>,
    began: bool,
    chunks: VecDeque<Vec<u8>>,
    /// Octets in all chunks.
    pending: usize,
    /// Pieces that came back.
    spare: Vec<Vec<u8>>,
    packets: u64,
    octets: u64,
    lost: u64,
    thin: Thin,
    /// What comes before that which passes now.
    pub(super) past: Past,
    /// Names that are in the stream.
    told: Option<Told>,
    /// Blocks of names that are to be.
    fresh: Vec<u8>,
    /// Messages with names that frames may bring.
    pace: Pace,
    /// The frame at hand, where it has to be read.
    seen: Box<decode::Packet>,
}

impl Session {
    pub(super) fn new(order: Order, clock: Clock) -> Self {
        Self {
            thin: Thin::new(order.thinning),
            past: if order.since.is_some() { Past::Wanted } else { Past::None },
            seen: Box::default(),
            told: None,
            fresh: Vec::new(),
            pace: Pace::new(names::MESSAGES),
            order,
            state: State::Opening,
            since: clock,
            ports: Vec::new(),
            link: None,
            began: false,
            chunks: VecDeque::new(),
            pending: 0,
            spare: Vec::new(),
            packets: 0,
            octets: 0,
            lost: 0,
        }
    }

    /// What was ordered.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// How far it has come.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// When it began.
    #[must_use]
    pub const fn since(&self) -> Clock {
        self.since
    }

    /// Its interfaces, those that left included.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// Packets in the stream, octets of the stream, packets that the kernel lost.
    #[must_use]
    pub const fn figures(&self) -> (u64, u64, u64) {
        (self.packets, self.octets, self.lost)
    }

    /// Octets of memory for what waits to be read.
    #[must_use]
    pub fn held(&self) -> usize {
        let chunks = self.chunks.iter().map(Vec::capacity).fold(0, usize::saturating_add);
        let spare = self.spare.iter().map(Vec::capacity).fold(0, usize::saturating_add);
        chunks.saturating_add(spare)
    }

    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let chunk = self.chunks.pop_front()?;
        self.pending = self.pending.saturating_sub(chunk.len());
        Some(chunk)
    }

    pub(super) fn recycle(&mut self, mut chunk: Vec<u8>) {
        if self.spare.len() < SPARE && chunk.capacity() <= KEPT {
            chunk.clear();
            self.spare.push(chunk);
        }
    }

    pub(super) fn has_news(&self) -> bool {
        !self.chunks.is_empty() || matches!(self.state, State::Over(_) | State::Refused(_))
    }

    pub(super) fn wants(&self) -> bool {
        self.state == State::Open && self.has_room() && matches!(self.past, Past::None)
    }

    /// Whether its reader keeps up.
    pub(super) const fn has_room(&self) -> bool {
        self.pending < MARK
    }

    /// Leaves out what the socket of an interface has from before this moment.
    pub(super) fn live_from(&mut self, id: PortId, nanos: u64) {
        if let Some(port) = self.port(id) {
            port.from = nanos;
        }
    }

    pub(super) fn refuse(&mut self, refused: Refused) {
        if self.state == State::Opening {
            self.state = State::Refused(refused);
        }
    }

    pub(super) fn open(&mut self, machine: &Machine, clock: &Clock) -> bool {
        if self.state != State::Opening {
            return false;
        }
        self.since = *clock;
        self.begin(machine);
        self.state = State::Open;
        true
    }

    /// Writes what comes before everything else, once.
    fn begin(&mut self, machine: &Machine) {
        if std::mem::replace(&mut self.began, true) || self.order.format == Format::Pcap {
            return;
        }
        let comment = document(&self.order);
        self.write(|out| {
            let Machine { hardware, os, application } = machine;
            write::section(out, &Section { comment: &comment, hardware, os, application });
        });
    }

    pub(super) fn add_port(
        &mut self,
        new: NewPort,
        machine: &Machine,
        clock: &Clock,
    ) -> Option<PortId> {
        if !matches!(self.state, State::Opening | State::Open) {
            return None;
        }
        let link = new.link.unwrap_or(LinkType::ETHERNET);
        let link = if new.cooked { LinkType::LINUX_SLL2 } else { link };
        self.begin(machine);
        match self.order.format {
            Format::Pcap if self.link.is_some_and(|known| known != link) => return None,
            Format::Pcap if self.link.is_none() => {
                let snaplen = self.order.snaplen;
                self.write(|out| pcap::header(out, link, snaplen, Unit::Nanos));
            }
            Format::Pcap => {}
            Format::Pcapng => self.describe(&new, link, machine),
        }
        self.link = Some(link);
        let id = PortId(u32::try_from(self.ports.len()).ok()?);
        let cooked = new.cooked.then(|| {
            let [i0, i1, i2, i3] = new.ifindex.to_be_bytes();
            let [h0, h1] = new.hardware.to_be_bytes();
            [0, 0, i0, i1, i2, i3, h0, h1]
        });
        self.ports.push(Port {
            target: new.target,
            name: new.name,
            accepted: 0,
            delivered: 0,
            lost: 0,
            dropped: new.dropped.map(|_| 0),
            gone: false,
            dropped_before: new.dropped.unwrap_or(0),
            ifindex: new.ifindex,
            from: 0,
            cooked,
            loopback: new.loopback,
            ethernet: link == LinkType::ETHERNET,
            link: (!new.cooked).then_some(link),
            turn: 0,
            since: nanos_of(clock),
            untold: 0,
            told: (0, 0, 0),
            told_at: clock.tick,
        });
        Some(id)
    }

    fn describe(&mut self, new: &NewPort, link: LinkType, machine: &Machine) {
        let order = &self.order;
        let (filter, snaplen) = (order.filter.clone(), order.snaplen);
        let several = order.targets.len() > 1;
        let target = order.targets.get(new.target).filter(|_| several);
        let description = target.map_or(String::new(), |target| target.name.clone());
        let comment = remark(order);
        self.write(|out| {
            let interface = Interface {
                link: Some(link),
                snaplen,
                name: &new.name,
                description: &description,
                comment: &comment,
                addresses: &new.addresses,
                mac: new.mac,
                speed: 0,
                filter: &filter,
                os: &machine.os,
                hardware: "",
            };
            write::interface(out, &interface);
        });
    }

    pub(super) fn remove_port(&mut self, id: PortId, clock: &Clock) {
        self.tell(id, clock, Some("the interface is gone"));
        if let Some(port) = self.port(id) {
            port.gone = true;
        }
    }

    pub(super) fn counted(&mut self, id: PortId, packets: u64, lost: u64) {
        self.lost = self.lost.saturating_add(lost);
        if let Some(port) = self.port(id) {
            port.accepted = port.accepted.saturating_add(packets);
            port.lost = port.lost.saturating_add(lost);
            port.untold = port.untold.saturating_add(lost);
        }
    }

    pub(super) fn dropped_by_card(&mut self, id: PortId, total: Option<u64>) {
        if let (Some(port), Some(total)) = (self.port(id), total) {
            port.dropped = Some(total.saturating_sub(port.dropped_before));
        }
    }

    #[inline]
    pub(super) fn frames(
        &mut self,
        id: PortId,
        raws: &[RawFrame<'_>],
        names: &mut Names,
        clock: &Clock,
    ) {
        if self.state != State::Open {
            return;
        }
        for raw in raws {
            if self.frame(id, raw, names) && self.is_full() {
                self.end(End::new(Ending::Complete, "as much as was ordered"), clock);
                return;
            }
        }
    }

    /// Takes one frame; `false` if it is left out.
    #[inline]
    fn frame(&mut self, id: PortId, raw: &RawFrame<'_>, names: &mut Names) -> bool {
        let at = usize::try_from(id.0).unwrap_or(usize::MAX);
        let Some(port) = self.ports.get_mut(at) else { return false };
        if port.loopback && raw.kind == Kind::OUTGOING {
            return false;
        }
        let nanos = nanos(raw);
        if nanos < port.from || !self.thin.keeps(&mut port.turn, nanos) {
            return false;
        }
        let mut kept = usize::MAX;
        let named = self.order.format == Format::Pcapng && names.is_enabled();
        if self.thin.headers || named {
            // Damage is no matter: what was read before it counts.
            let _ = self.seen.decode(port.link_of(raw), raw.vlan, raw.data);
        }
        if self.thin.headers {
            kept = thin::header_len(&self.seen);
        }
        if named {
            if names::tells(&self.seen) {
                names.hear(&self.seen, raw.data, nanos, &mut self.pace);
            }
            if !names.is_empty() {
                self.name(names);
            }
        }
        let Some(port) = self.ports.get_mut(at) else { return false };
        let mut cooked = [0_u8; COOKED];
        let prefix = match &port.cooked {
            None => &[][..],
            Some(known) => {
                cook(&mut cooked, known, raw);
                &cooked[..]
            }
        };
        let vlan = raw.vlan.filter(|_| port.ethernet);
        let extra = if vlan.is_some() { 4 } else { prefix.len() };
        let most = usize::try_from(self.order.snaplen).unwrap_or(usize::MAX);
        let kept = kept.min(most.saturating_sub(extra));
        let data = raw.data.get(..kept).unwrap_or(raw.data);
        let packet = Packet {
            interface: id.0,
            nanos,
            prefix,
            data,
            vlan,
            wire_len: raw.wire_len.saturating_add(u32::try_from(extra).unwrap_or(0)),
            flags: flags(raw),
            lost: std::mem::take(&mut port.untold),
            comment: "",
        };
        port.delivered = port.delivered.saturating_add(1);
        self.packets = self.packets.saturating_add(1);
        let pcap = self.order.format == Format::Pcap;
        self.write(|out| match pcap {
            true => pcap::record(out, &packet, Unit::Nanos),
            false => write::packet(out, &packet),
        });
        true
    }

    /// Writes the names of hosts of the frame at hand that are not in the stream yet.
    #[inline]
    fn name(&mut self, names: &Names) {
        let Self { told, seen, fresh, .. } = self;
        let told = told.get_or_insert_with(Told::new);
        told.untold(seen, names, |address, name| {
            write::names(fresh, std::iter::once((address, name)));
        });
        if !self.fresh.is_empty() {
            let mut fresh = std::mem::take(&mut self.fresh);
            self.write(|out| out.append(&mut fresh));
            self.fresh = fresh;
        }
    }

    /// Whether all that was ordered is there.
    fn is_full(&self) -> bool {
        let limits = self.order.limits;
        limits.packets.is_some_and(|most| self.packets >= most)
            || limits.octets.is_some_and(|most| self.octets >= most)
    }

    pub(super) fn end(&mut self, end: End, clock: &Clock) {
        match self.state {
            State::Open => {
                for at in 0..self.ports.len() {
                    if self.ports.get(at).is_some_and(|port| !port.gone) {
                        let id = PortId(u32::try_from(at).unwrap_or(u32::MAX));
                        self.tell(id, clock, Some(&end.reason));
                    }
                }
                self.state = State::Over(end);
            }
            State::Opening => self.state = State::Over(end),
            State::Over(_) | State::Refused(_) => {}
        }
    }

    pub(super) fn expire(&mut self, clock: &Clock) -> bool {
        if self.state != State::Open {
            return false;
        }
        if self.deadline().is_some_and(|at| at <= clock.tick) {
            self.end(End::new(Ending::Complete, "as long as was ordered"), clock);
            return true;
        }
        let mut told = false;
        for at in 0..self.ports.len() {
            let Some(port) = self.ports.get(at) else { break };
            let late = clock.tick.since(port.told_at) >= TELL_EVERY;
            let now = (port.accepted, port.delivered, port.lost);
            let (_, _, lost) = port.told;
            if !port.gone && ((late && port.told != now) || port.lost > lost) {
                self.tell(PortId(u32::try_from(at).unwrap_or(u32::MAX)), clock, None);
                told = true;
            }
        }
        told
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        let micros = self.order.limits.micros.filter(|_| self.state == State::Open)?;
        Some(self.since.tick.plus(micros))
    }

    /// Writes the statistics of an interface; the last ones with the reason why.
    fn tell(&mut self, id: PortId, clock: &Clock, over: Option<&str>) {
        let now = nanos_of(clock);
        let Some(port) = self.port(id) else { return };
        // The kernel is asked once a second; by then more has come.
        port.accepted = port.accepted.max(port.delivered.saturating_add(port.lost));
        port.told = (port.accepted, port.delivered, port.lost);
        port.told_at = clock.tick;
        let statistics = Statistics {
            start: port.since,
            end: over.map(|_| now),
            received: Some(port.accepted),
            lost_by_card: port.dropped,
            accepted: Some(port.accepted),
            lost_by_system: Some(port.lost),
            delivered: Some(port.delivered),
            comment: over.unwrap_or_default(),
        };
        if self.order.format == Format::Pcapng {
            self.write(|out| write::statistics(out, id.0, now, &statistics));
        }
    }

    fn port(&mut self, id: PortId) -> Option<&mut Port> {
        self.ports.get_mut(usize::try_from(id.0).ok()?)
    }

    /// Appends to the stream what `f` writes: whole blocks.
    #[inline]
    fn write(&mut self, f: impl FnOnce(&mut Vec<u8>)) {
        if self.chunks.back().is_none_or(|chunk| chunk.len() >= CHUNK) {
            self.chunks.push_back(self.spare.pop().unwrap_or_default());
        }
        let Some(chunk) = self.chunks.back_mut() else { return };
        let before = chunk.len();
        f(chunk);
        let grown = chunk.len().saturating_sub(before);
        self.pending = self.pending.saturating_add(grown);
        self.octets = self.octets.saturating_add(grown as u64);
    }
}

/// What is to be known of a stream besides its target.
fn remark(order: &Order) -> String {
    let mut parts = Vec::new();
    if !order.by.is_empty() {
        parts.push(format!("captured for {}", order.by));
    }
    let thinning = order.thinning;
    if let Some(n) = thinning.sample {
        parts.push(format!("one packet of {n}"));
    }
    if let Some(rate) = thinning.rate {
        parts.push(format!("at most {rate} packets a second"));
    }
    if thinning.headers {
        parts.push("headers only".to_owned());
    }
    parts.join(", ")
}

/// The header of a cooked frame (LINKTYPE_LINUX_SLL2): protocol, interface, hardware, direction.
fn cook(out: &mut [u8; COOKED], known: &[u8; 8], raw: &RawFrame<'_>) {
    let (protocol, rest) = out.split_at_mut(2);
    protocol.copy_from_slice(&raw.protocol.to_be_bytes());
    let (fixed, rest) = rest.split_at_mut(8);
    fixed.copy_from_slice(known);
    if let [kind, ..] = rest {
        *kind = raw.kind.0;
    }
}

#[inline]
fn flags(raw: &RawFrame<'_>) -> u32 {
    let direction = match raw.kind {
        Kind::HOST => flag::INBOUND | flag::UNICAST,
        Kind::BROADCAST => flag::INBOUND | flag::BROADCAST,
        Kind::MULTICAST => flag::INBOUND | flag::MULTICAST,
        Kind::OTHER_HOST => flag::INBOUND | flag::PROMISCUOUS,
        Kind::OUTGOING => flag::OUTBOUND,
        _ => 0,
    };
    direction
        | match raw.checksum {
            Checksum::NotReady => flag::CHECKSUM_NOT_READY,
            Checksum::Unknown => 0,
            Checksum::Valid => flag::CHECKSUM_VALID,
        }
}

/// When a frame was seen, in nanoseconds since 1970.
#[inline]
fn nanos(raw: &RawFrame<'_>) -> u64 {
    let seconds = u64::try_from(raw.wall.secs()).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::from(raw.nanos))
}

pub(super) fn nanos_of(clock: &Clock) -> u64 {
    u64::try_from(clock.wall.0).unwrap_or(0).saturating_mul(1_000)
}
