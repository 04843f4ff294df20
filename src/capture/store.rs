//! The flows of all captures in one slab, so that one cap holds for all of them together, with a
//! table for each capture on each node.

use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use super::defrag::{self, Defrag};
use super::extra;
use super::flow::{
    Finish, Flow, Fragments, Icmp, Layer, Metric, Protocol as Layered, RawPacket, Tcp,
};
use super::key::{self, Key};
use crate::counters::Counters;
use crate::filter::Program;
use crate::filter::vm::Meta;
use crate::source::{Direction, Frame};
use crate::time::Clock;
use crate::wire::layers::{Layers, Name, Piece, Protocol};
use crate::wire::link::{LinkType, VlanTag};

mod entry;
mod sweep;
#[cfg(test)]
mod tests;

use entry::Entry;
use sweep::Sweep;
pub use sweep::Times;

/// Flows there may be by default; for a new one the one that was idle for longest gives way.
pub const MAX_FLOWS: usize = 32_768;

/// Tables there may be; another one is refused.
pub const MAX_TABLES: usize = 1_024;

/// Bytes of packets that flows keep, together; those that come later are not kept.
pub const MAX_RAW: usize = 8 * 1024 * 1024;

/// Bytes of decoded messages that flows keep, together; those that come later are not kept.
pub const MAX_EXTRA: usize = 4 * 1024 * 1024;

/// Names of applications that a user may give to ports, of each protocol; the rest is ignored.
pub const MAX_APPLICATIONS: usize = 1_024;

/// Paths of layers that flows share; one beyond has its own.
const MAX_PATHS: usize = 1_024;

/// Marks the end of a list of slots.
const NONE: u32 = u32::MAX;

/// Names one flow of the store while it lives; of another one later, it names nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FlowRef {
    slot: u32,
    generation: u32,
}

/// Names a table while it is open.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TableId {
    slot: u16,
    generation: u16,
}

/// How the packets of a table become flows.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The capture that it belongs to.
    pub capture: Rc<str>,
    /// The capture's name, empty if it has none.
    pub capture_name: Rc<str>,
    /// The node that is captured on.
    pub node_tid: Rc<str>,
    /// Only IP addresses tell flows apart, not hardware addresses, where there are any.
    pub layer3: bool,
    /// Packets to keep of each flow.
    pub raw_limit: u32,
    /// When connections began and ended.
    pub extra_tcp: bool,
    /// IPv4 datagrams are put together from their fragments.
    pub defrag: bool,
    /// What happened to the segments of connections.
    pub reassemble: bool,
    /// Messages to decode, a sum of [`extra::VRRP`], [`extra::DNS`] and [`extra::DHCPV4`].
    pub extra_layers: u32,
    /// Its flows are told and not shown: they are kept elsewhere.
    pub away: bool,
    /// Which packets count, after they were put together.
    pub filter: Option<Program>,
}

/// Figures of a table.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    /// Flows there are.
    pub flows: u64,
    /// Flows that gave way to others.
    pub dropped: u64,
    /// Frames that came in.
    pub packets: u64,
}

/// Who is told what becomes of flows.
pub trait Sink {
    /// A flow began; its first packet is accounted for.
    fn started(&mut self, flow: &Flow);
    /// A flow changed since the update before, or since it began.
    fn updated(&mut self, flow: &Flow);
    /// A flow ended; it is in the store no more.
    fn ended(&mut self, flow: &Flow);
}

impl Sink for () {
    fn started(&mut self, _: &Flow) {}
    fn updated(&mut self, _: &Flow) {}
    fn ended(&mut self, _: &Flow) {}
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    /// Neighbours in the order in which flows were last seen.
    older: u32,
    newer: u32,
    entry: Option<Box<Entry>>,
}

#[derive(Debug, Default)]
struct Table {
    generation: u16,
    settings: Option<Rc<Settings>>,
    statistics: Statistics,
}

/// The flows of all captures.
#[derive(Debug)]
pub struct Store {
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: HashMap<Key, u32, RandomState>,
    /// Ends of the list of flows in the order in which they were last seen.
    oldest: u32,
    newest: u32,
    cap: usize,
    tables: Vec<Table>,
    layers: Option<Box<Layers>>,
    defrag: Defrag,
    paths: HashSet<Rc<str>, RandomState>,
    tcp_names: Box<[(u16, Rc<str>)]>,
    udp_names: Box<[(u16, Rc<str>)]>,
    times: Times,
    update: Sweep,
    expire: Sweep,
    /// The moment of the last look, in milliseconds since 1970.
    now: Option<i64>,
    raw_bytes: usize,
    extra_bytes: usize,
    losses: Losses,
}

/// What was lost since it was last asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    evicted: u64,
    unkept: u64,
    unread: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            oldest: NONE,
            newest: NONE,
            cap: MAX_FLOWS,
            tables: Vec::new(),
            layers: None,
            defrag: Defrag::default(),
            paths: HashSet::default(),
            tcp_names: Box::default(),
            udp_names: Box::default(),
            times: Times::default(),
            update: Sweep::default(),
            expire: Sweep::default(),
            now: None,
            raw_bytes: 0,
            extra_bytes: 0,
            losses: Losses::default(),
        }
    }
}

/// A frame on its way through the store: as it came, or put together from fragments.
#[derive(Clone, Copy)]
struct Sight<'a> {
    data: &'a [u8],
    link: LinkType,
    vlan: Option<VlanTag>,
    /// Microseconds since 1970.
    at: i64,
    /// When it came in, in milliseconds since 1970, and whether from a file.
    came: i64,
    is_past: bool,
    fragments: Fragments,
}

impl Store {
    /// Opens a table; `None` if there are too many.
    pub fn open(&mut self, settings: Settings) -> Option<TableId> {
        let vacant = self.tables.iter().position(|table| table.settings.is_none());
        let slot = match vacant {
            Some(slot) => slot,
            None if self.tables.len() < MAX_TABLES => {
                self.tables.push(Table::default());
                self.tables.len().checked_sub(1)?
            }
            None => return None,
        };
        let table = self.tables.get_mut(slot)?;
        table.generation = table.generation.wrapping_add(1);
        table.settings = Some(Rc::new(settings));
        table.statistics = Statistics::default();
        Some(TableId { slot: u16::try_from(slot).ok()?, generation: table.generation })
    }

    /// Closes a table; each of its flows ends.
    pub fn close(&mut self, table: TableId, now: i64, sink: &mut dyn Sink) {
        if self.settings(table).is_none() {
            return;
        }
        for slot in 0..self.slots.len() {
            let of_table = |slot: &Slot| slot.key().is_some_and(|key| key.table == table.slot);
            if self.slots.get(slot).is_some_and(of_table) {
                self.end(slot, now, sink);
            }
        }
        self.defrag.close(table.slot);
        if let Some(table) = self.tables.get_mut(usize::from(table.slot)) {
            table.settings = None;
        }
    }

    /// Accounts for frames that were captured for a table. With [`Clock::FILE`] they are from a
    /// file: their flows keep the times of the file, but age from now on.
    pub fn frames(
        &mut self,
        table: TableId,
        frames: &[Frame<'_>],
        clock: &Clock,
        sink: &mut dyn Sink,
    ) {
        let Some(settings) = self.settings(table).map(Rc::clone) else { return };
        let mut layers = self.layers.take().unwrap_or_default();
        for frame in frames {
            self.frame(table.slot, &settings, frame, clock, &mut layers, sink);
        }
        self.layers = Some(layers);
    }

    /// Adds a flow that comes from elsewhere and that no packets belong to.
    pub fn insert(&mut self, flow: Flow) -> FlowRef {
        while self.len() >= self.cap && self.evict(flow.metric.last, &mut ()) {}
        let now = self.now.unwrap_or(flow.metric.last);
        let slot = self.claim(Entry::new(flow, None, now, false));
        self.name_of(slot)
    }

    /// Sets how many flows there may be; those beyond go as new ones come.
    pub fn set_cap(&mut self, flows: usize) {
        self.cap = flows.max(1);
    }

    /// Sets what users call TCP and UDP ports.
    pub fn set_applications(&mut self, tcp: &[(u16, Rc<str>)], udp: &[(u16, Rc<str>)]) {
        let sorted = |names: &[(u16, Rc<str>)]| {
            let mut names: Vec<_> = names.iter().take(MAX_APPLICATIONS).cloned().collect();
            names.sort_by_key(|(port, _)| *port);
            names.into_boxed_slice()
        };
        (self.tcp_names, self.udp_names) = (sorted(tcp), sorted(udp));
    }

    /// Adds what was lost since the last call.
    pub fn count_into(&mut self, counters: &mut Counters) {
        let losses = std::mem::take(&mut self.losses);
        let lost = std::mem::take(&mut self.defrag.lost);
        for (counter, count) in [
            (&mut counters.capture_flows_evicted, losses.evicted),
            (&mut counters.capture_packets_unkept, losses.unkept),
            (&mut counters.capture_frames_unread, losses.unread),
            (&mut counters.capture_datagrams_lost, lost),
        ] {
            *counter = counter.saturating_add(count);
        }
    }

    /// The flow of that name while it lives.
    #[must_use]
    pub fn get(&self, flow: FlowRef) -> Option<&Flow> {
        let slot = self.slots.get(flow.slot as usize)?;
        let entry = slot.entry.as_deref().filter(|_| slot.generation == flow.generation)?;
        Some(&entry.flow)
    }

    /// All flows that are shown.
    pub fn iter(&self) -> impl Iterator<Item = (FlowRef, &Flow)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| {
            let at = u32::try_from(at).ok()?;
            let flow = &slot.entry.as_deref()?.flow;
            let table = slot.key().and_then(|key| self.tables.get(usize::from(key.table)));
            if table.and_then(|table| table.settings.as_ref()).is_some_and(|known| known.away) {
                return None;
            }
            Some((FlowRef { slot: at, generation: slot.generation }, flow))
        })
    }

    /// The flows of a table.
    #[cfg(test)]
    pub(super) fn flows_of(&self, table: TableId) -> impl Iterator<Item = (FlowRef, &Flow)> {
        let open = self.settings(table).is_some();
        self.iter().filter(move |(flow, _)| {
            let key = self.slots.get(flow.slot as usize).and_then(Slot::key);
            open && key.is_some_and(|key| key.table == table.slot)
        })
    }

    /// How the packets of a table become flows, while it is open.
    #[must_use]
    pub fn settings(&self, table: TableId) -> Option<&Rc<Settings>> {
        let place = self.tables.get(usize::from(table.slot))?;
        place.settings.as_ref().filter(|_| place.generation == table.generation)
    }

    /// Figures of a table, while it is open.
    #[must_use]
    pub fn statistics(&self, table: TableId) -> Option<Statistics> {
        self.settings(table)?;
        Some(self.tables.get(usize::from(table.slot))?.statistics)
    }

    /// Flows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn frame(
        &mut self,
        table: u16,
        settings: &Settings,
        frame: &Frame<'_>,
        clock: &Clock,
        layers: &mut Layers,
        sink: &mut dyn Sink,
    ) {
        if let Some(table) = self.tables.get_mut(usize::from(table)) {
            table.statistics.packets = table.statistics.packets.saturating_add(1);
        }
        layers.decode(frame.link, frame.vlan, frame.wire_len, frame.data);
        let at = clock.wall_of(frame.ts);
        let is_past = (clock.tick, clock.wall) == (Clock::FILE.tick, Clock::FILE.wall);
        let mut sight = Sight {
            data: frame.data,
            link: frame.link,
            vlan: frame.vlan,
            at: at.0,
            came: self.now.filter(|_| is_past).unwrap_or_else(|| at.millis()),
            is_past,
            fragments: Fragments::default(),
        };
        let mut wire_len = frame.wire_len;
        let whole;
        if settings.defrag
            && let Some(network) = layers.pieces().first().and_then(|piece| piece.network)
            && let Some(fragment) = network.fragment.filter(|_| network.version == 4)
        {
            let protocol = usize::try_from(network.at.saturating_add(9)).ok();
            let protocol = protocol.and_then(|at| frame.data.get(at)).copied().unwrap_or(0);
            let (src, dst, id) = (network.src, network.dst, fragment.id);
            let key = defrag::Key { table, src, dst, id, protocol };
            let put = self.defrag.put(key, &network, fragment, frame.data, sight.at);
            let Some(made) = put else { return };
            sight.fragments = Fragments { fragments: made.fragments, errors: made.errors };
            whole = made.frame;
            let put_back = if frame.vlan.is_some() { 4 } else { 0 };
            wire_len = u32::try_from(whole.len()).unwrap_or(u32::MAX).saturating_add(put_back);
            layers.decode(frame.link, frame.vlan, wire_len, &whole);
            sight.data = &whole;
        }
        if let Some(filter) = &settings.filter {
            let packet_type = match frame.direction {
                Direction::In => Some(0),
                Direction::Out => Some(4),
                Direction::Unknown => None,
            };
            let vlan = frame.vlan.map(|tag| tag.tci);
            let meta = Meta { vlan, packet_type, interface: None };
            if !filter.matches(sight.data, wire_len, &meta) {
                return;
            }
        }
        if layers.pieces().is_empty() {
            self.losses.unread = self.losses.unread.saturating_add(1);
        }
        let mut parent = None;
        for piece in layers.pieces() {
            parent = self.piece(table, settings, piece, parent, &sight, sink);
        }
    }

    /// Accounts for a piece; the flow it belongs to.
    fn piece(
        &mut self,
        table: u16,
        settings: &Settings,
        piece: &Piece,
        parent: Option<FlowRef>,
        sight: &Sight<'_>,
        sink: &mut dyn Sink,
    ) -> Option<FlowRef> {
        let around = parent.map_or((0, 0), |flow| (flow.slot, flow.generation));
        let key = Key::of(table, around, piece, settings.layer3);
        let mut known = self.index.get(&key).copied();
        if let Some(slot) = known
            && self.entry(slot)?.is_over_for(piece)
        {
            // The ports are used again.
            self.end(slot as usize, sight.at.div_euclid(1_000), sink);
            known = None;
        }
        let fresh = known.is_none();
        let slot = match known {
            Some(slot) => slot,
            None => self.begin(key, settings, piece, parent, sight, sink),
        };
        self.touch(slot);
        let layer3 = settings.layer3;
        let entry = self.slots.get_mut(slot as usize)?.entry.as_deref_mut()?;
        entry.seen = entry.seen.max(sight.came);
        entry.see(piece, layer3, sight.at);
        if sight.fragments.fragments > 0
            && let Some(fragments) = &mut entry.flow.fragments
        {
            let more = sight.fragments;
            fragments.fragments = fragments.fragments.saturating_add(more.fragments);
            fragments.errors = fragments.errors.saturating_add(more.errors);
        }
        if settings.raw_limit > 0 && entry.flow.raw_captured < i64::from(settings.raw_limit) {
            self.keep(slot, piece, sight);
        }
        if settings.extra_layers != 0 {
            self.read(slot, settings.extra_layers, fresh, piece, sight);
        }
        if fresh {
            sink.started(&self.entry(slot)?.flow);
        }
        Some(self.name_of(slot))
    }

    /// Begins a flow.
    fn begin(
        &mut self,
        key: Key,
        settings: &Settings,
        piece: &Piece,
        parent: Option<FlowRef>,
        sight: &Sight<'_>,
        sink: &mut dyn Sink,
    ) -> u32 {
        let start = sight.at.div_euclid(1_000);
        let parent = parent.and_then(|flow| Some(self.get(flow)?.uuid));
        while self.len() >= self.cap && self.evict(start, sink) {}
        let identity = key.identity(parent);
        let (layers_path, application) = self.path(piece);
        let network = piece.network.as_ref().map(|network| Layer {
            protocol: if network.version == 4 { Layered::Ipv4 } else { Layered::Ipv6 },
            a: address(network.version, &network.src),
            b: address(network.version, &network.dst),
            id: piece.tunnel.map_or(0, |tunnel| i64::from(tunnel.id)),
        });
        let transport = piece.transport.map(|transport| Layer {
            protocol: match transport.protocol {
                Protocol::Sctp => Layered::Sctp,
                Protocol::Tcp => Layered::Tcp,
                Protocol::Udp => Layered::Udp,
            },
            a: transport.sport,
            b: transport.dport,
            id: 0,
        });
        let is_tcp = transport.is_some_and(|layer| layer.protocol == Layered::Tcp);
        let is_ipv4 = piece.network.is_some_and(|network| network.version == 4);
        let flow = Flow {
            uuid: identity.uuid(start, &settings.node_tid),
            parent,
            layers_path,
            application,
            link: piece.link.map(|link| Layer {
                protocol: Layered::Ethernet,
                a: link.src,
                b: link.dst,
                id: link.tags,
            }),
            network,
            transport,
            icmp: piece.icmp.map(|icmp| Icmp {
                kind: key::icmp_kind(icmp.v6, icmp.kind),
                code: icmp.code,
                id: icmp.id,
            }),
            metric: Metric { start, last: start, ..Metric::default() },
            last_update: None,
            tcp: (is_tcp && (settings.extra_tcp || settings.reassemble)).then(Box::<Tcp>::default),
            fragments: (settings.defrag && is_ipv4).then(Fragments::default),
            extra: None,
            tracking: identity.tracking,
            l3_tracking: identity.l3_tracking,
            node_tid: Rc::clone(&settings.node_tid),
            capture: Rc::clone(&settings.capture),
            capture_name: Rc::clone(&settings.capture_name),
            raw: Vec::new(),
            raw_captured: 0,
            finish: None,
        };
        if let Some(table) = self.tables.get_mut(usize::from(key.table)) {
            table.statistics.flows = table.statistics.flows.saturating_add(1);
        }
        let reassemble = is_tcp && settings.reassemble;
        let mut entry = Entry::new(flow, Some(key), sight.came, reassemble);
        entry.is_past = sight.is_past;
        let slot = self.claim(entry);
        self.index.insert(key, slot);
        slot
    }

    /// Ends a flow: tells so, and takes it out.
    fn end(&mut self, slot: usize, now: i64, sink: &mut dyn Sink) {
        let Some(mut entry) = self.release(slot) else { return };
        entry.flow.finish.get_or_insert(Finish::Timeout);
        entry.settle(self.update.last().unwrap_or(entry.flow.metric.start), now);
        sink.ended(&entry.flow);
    }

    /// Makes room by ending the flow that was idle for longest; `false` if there is none.
    fn evict(&mut self, now: i64, sink: &mut dyn Sink) -> bool {
        let slot = self.oldest;
        let Some(place) = self.slots.get(slot as usize) else { return false };
        if let Some(table) = place.key().map(|key| usize::from(key.table))
            && let Some(table) = self.tables.get_mut(table)
        {
            table.statistics.dropped = table.statistics.dropped.saturating_add(1);
        }
        self.losses.evicted = self.losses.evicted.saturating_add(1);
        self.end(slot as usize, now, sink);
        true
    }

    /// Keeps a packet as it is.
    fn keep(&mut self, slot: u32, piece: &Piece, sight: &Sight<'_>) {
        let from = usize::try_from(piece.at).unwrap_or(usize::MAX);
        let bytes = sight.data.get(from..).unwrap_or_default();
        let tag = sight.vlan.filter(|_| from == 0 && piece.link.is_some());
        let len = bytes.len().saturating_add(if tag.is_some() { 4 } else { 0 });
        if self.raw_bytes.saturating_add(len) > MAX_RAW {
            self.losses.unkept = self.losses.unkept.saturating_add(1);
            return;
        }
        let Some(flow) = self.flow_mut(slot) else { return };
        let data: Box<[u8]> = match tag {
            Some(tag) => {
                let mut data = Vec::new();
                tag.put_back(bytes, &mut data);
                data.into()
            }
            None => bytes.into(),
        };
        let link_type = match (piece.link, piece.network) {
            (Some(_), _) => LinkType::ETHERNET,
            (None, Some(network)) if network.version == 4 => LinkType::IPV4,
            (None, Some(_)) => LinkType::IPV6,
            (None, None) => sight.link,
        };
        flow.raw_captured = flow.raw_captured.saturating_add(1);
        flow.raw.push(RawPacket {
            timestamp: sight.at.div_euclid(1_000),
            index: flow.raw_captured,
            data,
            link_type: u32::from(link_type.0),
        });
        self.raw_bytes = self.raw_bytes.saturating_add(len);
    }

    /// Reads what else the packet says.
    fn read(&mut self, slot: u32, wanted: u32, fresh: bool, piece: &Piece, sight: &Sight<'_>) {
        let Some((name, members)) = extra::read(wanted, fresh, piece, sight.data, sight.at) else {
            return;
        };
        let Some(flow) = self.flow_mut(slot) else { return };
        let before = flow.extra.as_ref().map_or(0, |extra| extra.weight());
        let mut extra = flow.extra.as_deref().cloned().unwrap_or_default();
        extra.set(name, members);
        let after = extra.weight();
        let held = self.extra_bytes.saturating_sub(before).saturating_add(after);
        if held > MAX_EXTRA {
            self.losses.unkept = self.losses.unkept.saturating_add(1);
            return;
        }
        self.extra_bytes = held;
        if let Some(flow) = self.flow_mut(slot) {
            flow.extra = Some(Box::new(extra));
        }
    }

    /// The path of layers and the application of a new flow.
    fn path(&mut self, piece: &Piece) -> (Rc<str>, Rc<str>) {
        let mut path = String::new();
        for name in piece.names() {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(name.text());
        }
        let path = self.shared(&path);
        let named = piece.transport.and_then(|transport| {
            let names = match transport.protocol {
                Protocol::Tcp => &self.tcp_names,
                Protocol::Udp => &self.udp_names,
                Protocol::Sctp => return None,
            };
            let find = |port| names.binary_search_by_key(&port, |(port, _)| *port).ok();
            let at = find(transport.sport).or_else(|| find(transport.dport))?;
            names.get(at).map(|(_, name)| Rc::clone(name))
        });
        let application = named.unwrap_or_else(|| self.shared(piece.last().map_or("", Name::text)));
        (path, application)
    }

    fn shared(&mut self, text: &str) -> Rc<str> {
        if let Some(known) = self.paths.get(text) {
            return Rc::clone(known);
        }
        let text: Rc<str> = text.into();
        if self.paths.len() < MAX_PATHS {
            self.paths.insert(Rc::clone(&text));
        }
        text
    }

    fn claim(&mut self, entry: Entry) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, older: NONE, newer: NONE, entry: None });
            u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(NONE)
        });
        if let Some(place) = self.slots.get_mut(slot as usize) {
            // 0 is no generation of a flow, so that it can mean "none".
            place.generation = place.generation.wrapping_add(1).max(1);
            place.entry = Some(Box::new(entry));
        }
        self.link(slot);
        slot
    }

    fn release(&mut self, slot: usize) -> Option<Box<Entry>> {
        let entry = self.slots.get_mut(slot)?.entry.take()?;
        let slot = u32::try_from(slot).ok()?;
        self.unlink(slot);
        self.free.push(slot);
        if let Some(key) = &entry.key {
            self.index.remove(key);
            if let Some(table) = self.tables.get_mut(usize::from(key.table)) {
                table.statistics.flows = table.statistics.flows.saturating_sub(1);
            }
        }
        let raw = entry.flow.raw.iter().map(|packet| packet.data.len());
        self.raw_bytes = self.raw_bytes.saturating_sub(raw.fold(0, usize::saturating_add));
        let extra = entry.flow.extra.as_ref().map_or(0, |extra| extra.weight());
        self.extra_bytes = self.extra_bytes.saturating_sub(extra);
        Some(entry)
    }

    /// Makes a flow the one that was seen last.
    fn touch(&mut self, slot: u32) {
        if self.newest != slot {
            self.unlink(slot);
            self.link(slot);
        }
    }

    fn link(&mut self, slot: u32) {
        let before = std::mem::replace(&mut self.newest, slot);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            (place.older, place.newer) = (before, NONE);
        }
        match self.slots.get_mut(before as usize) {
            Some(place) => place.newer = slot,
            None => self.oldest = slot,
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Some(place) = self.slots.get(slot as usize) else { return };
        let (older, newer) = (place.older, place.newer);
        match self.slots.get_mut(older as usize) {
            Some(place) => place.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(place) => place.older = older,
            None => self.newest = older,
        }
    }

    fn entry(&self, slot: u32) -> Option<&Entry> {
        self.slots.get(slot as usize)?.entry.as_deref()
    }

    fn flow_mut(&mut self, slot: u32) -> Option<&mut Flow> {
        Some(&mut self.slots.get_mut(slot as usize)?.entry.as_deref_mut()?.flow)
    }

    fn name_of(&self, slot: u32) -> FlowRef {
        let generation = self.slots.get(slot as usize).map_or(0, |place| place.generation);
        FlowRef { slot, generation }
    }
}

impl Slot {
    fn key(&self) -> Option<&Key> {
        self.entry.as_ref()?.key.as_ref()
    }
}

fn address(version: u8, bytes: &[u8; 16]) -> IpAddr {
    if version == 4 {
        let [a, b, c, d, ..] = *bytes;
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        Ipv6Addr::from(*bytes).into()
    }
}
