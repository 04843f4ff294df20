//! The table of live flows: a keyed hash over a slab, a timing wheel for expiry and queues of
//! those flows that go first when room is needed.
//!
//! It holds at most [`Limits::max_flows`]. From 90 % on, flows that never got an answer end after
//! seconds; when it is full the new flow displaces a finished one, else the oldest one without an
//! answer, else the oldest one with few packets, else the one idle for longest of a sample. Every
//! one of these is counted.

use super::entry::{Flow, Rank, State, TCP, mark};
use super::fragments::Fragments;
use super::key::{Key, Seed, Side, Sides};
use super::orient::{Locality, Orientation};
use super::queue::Queue;
use super::slab::{FLOWS_MAX, SLOT_BITS, Slab};
use super::tcp;
use super::wheel::Wheel;
use crate::counters::Counters;
use crate::source::Direction;
use crate::time::Tick;
use crate::wire::decode::{Datagram, Fragment, Packet, Transport, Tunnel, Tuple};

/// Idle time of a flow without an answer during an emergency: TCP, and all others.
const EMERGENCY_TCP_MICROS: u64 = 2_000_000;
const EMERGENCY_MICROS: u64 = 3_000_000;

/// How often the flows without an answer are looked through during an emergency.
const SWEEP_MICROS: u64 = 100_000;

/// Seconds of emergency counted at most from one turn to the next.
const EMERGENCY_STEP_SECONDS: u64 = 60;

/// Flows compared to find one that has been idle for long, when there is no better choice.
const SAMPLE: u32 = 32;

/// A flow that carried a packet this recently is not displaced by a new one.
const BUSY_MICROS: u64 = 1_000_000;

/// A flow whose packets are not seen is looked at again after so long.
const UNSEEN_MICROS: u64 = 5_000_000;

/// A flow seen this far in the future belongs to a time before the clock was set back.
const FUTURE_MICROS: u64 = 512_000_000;

/// Names one instance of a flow: unique while the process lives, and below 2^53, so that a
/// JavaScript number holds it. Never 0.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FlowId(u64);

impl FlowId {
    /// That of no flow, where one is needed.
    pub const NONE: Self = Self(0);

    /// The id with this number, should there be one.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 || number >> 53 != 0 { None } else { Some(Self(number)) }
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    #[expect(clippy::cast_possible_truncation, reason = "21 bits")]
    const fn slot(self) -> u32 {
        (self.0 & FLOWS_MAX as u64) as u32
    }

    const fn of(slot: u32, flow: &Flow) -> Self {
        Self((flow.generation as u64) << SLOT_BITS | slot as u64)
    }
}

/// How a frame was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sight {
    /// When.
    pub ts: Tick,
    /// On which interface.
    pub iface: u16,
    /// Its length on the wire.
    pub wire_len: u32,
    /// Which way it went.
    pub direction: Direction,
}

/// Where a packet was counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Touched {
    /// The flow.
    pub id: FlowId,
    /// The packet is its first.
    pub is_new: bool,
    /// The packet established it.
    pub is_established: bool,
    /// It was sent by this end.
    pub sender: Side,
    /// The detectors' word of the flow.
    pub detector: u32,
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndReason {
    /// Displaced by a newer one.
    Evicted,
    /// TCP: both ends have closed it.
    Finished,
    /// The table was emptied on request.
    Flushed,
    /// No packet for as long as the time-out.
    Idle,
    /// TCP: reset.
    Reset,
    /// TCP: its ports were taken for a new connection.
    Reused,
    /// The process ends, or the file does.
    Shutdown,
}

impl EndReason {
    /// Its name in all outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Evicted => "evicted",
            Self::Finished => "finished",
            Self::Flushed => "flushed",
            Self::Idle => "idle",
            Self::Reset => "reset",
            Self::Reused => "reused",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Is told what becomes of flows. `()` listens to nothing and costs nothing.
pub trait Observer {
    /// A flow was created and holds its first packet.
    fn started(&mut self, flow: &Flow, id: FlowId) {
        let _ = (flow, id);
    }

    /// A flow has been answered, TCP: has completed its handshake.
    fn established(&mut self, flow: &Flow, id: FlowId) {
        let _ = (flow, id);
    }

    /// A flow is about to leave the table.
    fn ended(&mut self, flow: &Flow, id: FlowId, reason: EndReason) {
        let _ = (flow, id, reason);
    }
}

impl Observer for () {}

/// Idle times after which flows end, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    /// All but TCP, and TCP of which one end has closed.
    pub idle: u32,
    /// Established TCP.
    pub idle_tcp: u32,
    /// TCP before the handshake is complete, or seen in one direction from its middle on.
    pub half_open: u32,
    /// TCP closed or reset.
    pub finished: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { idle: 30, idle_tcp: 300, half_open: 30, finished: 5 }
    }
}

impl Timeouts {
    fn micros(&self, flow: &Flow) -> u64 {
        let seconds = if flow.key.proto == TCP {
            match flow.state {
                State::New | State::Syn => self.half_open,
                State::Established => self.idle_tcp,
                State::Closing => self.idle,
                State::Closed | State::Reset => self.finished,
            }
        } else {
            self.idle
        };
        u64::from(seconds).saturating_mul(1_000_000)
    }
}

/// Caps of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Flows at a time, 1 to [`FLOWS_MAX`].
    pub max_flows: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_flows: 32_768 }
    }
}

/// A packet whose place in the table has been worked out: see [`Table::warm`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Prepared {
    key: Key,
    sender: Side,
    /// It has been worked out indeed.
    is_known: bool,
    hash: u32,
    slot: u32,
    /// What was read ahead: of no use but that it was.
    read: u32,
}

impl Prepared {
    /// Whether it is for [`Table::touch_prepared`].
    #[inline]
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.is_known
    }
}

/// What a flow's packet brings along besides its key.
struct Origin<'a> {
    /// Destination and source.
    macs: Option<([u8; 6], [u8; 6])>,
    /// `None` for the outer datagrams of a tunnel.
    datagram: Option<&'a Datagram>,
    /// The flow it was carried in.
    parent: Option<FlowId>,
    /// How it was carried.
    tunnel: Tunnel,
}

/// The live flows.
#[derive(Debug)]
pub struct Table {
    seed: Seed,
    /// First slots of the hash chains; a power of two of them.
    buckets: Vec<u32>,
    slab: Slab,
    wheel: Wheel,
    finished: Queue,
    young: Queue,
    light: Queue,
    fragments: Box<Fragments>,
    locality: Locality,
    timeouts: Timeouts,
    max_flows: u32,
    /// Where the next sample of idle flows starts.
    hand: u32,
    emergency: Option<Emergency>,
}

#[derive(Clone, Copy, Debug)]
struct Emergency {
    /// Up to here its seconds are counted.
    counted: Tick,
    sweep: Tick,
}

impl Table {
    /// An empty table. Its memory comes as flows appear: theirs in chunks, and beyond what most
    /// tables need the hash buckets by doubling.
    #[must_use]
    pub fn new(limits: Limits, timeouts: Timeouts, seed: Seed) -> Self {
        let max_flows = limits.max_flows.clamp(1, FLOWS_MAX);
        Self {
            seed,
            buckets: vec![0; bucket_count(max_flows).min(FIRST_BUCKETS)],
            slab: Slab::new(),
            wheel: Wheel::new(),
            finished: Queue::default(),
            young: Queue::default(),
            light: Queue::default(),
            fragments: Fragments::new(),
            locality: Locality::default(),
            timeouts,
            max_flows,
            hand: 1,
            emergency: None,
        }
    }

    /// Counts a packet in its flow and in those of the tunnels around it, creating what is
    /// missing. `None` if it has no datagram, or if there was no room: counted then.
    #[inline]
    pub fn touch<O: Observer>(
        &mut self,
        packet: &Packet,
        sight: &Sight,
        counters: &mut Counters,
        observer: &mut O,
    ) -> Option<Touched> {
        let datagram = packet.datagram.as_ref()?;
        let mut tuple = datagram.tuple;
        match datagram.fragment {
            Fragment::Whole => {}
            Fragment::First(id) => self.fragments.learn(&tuple, id, sight.ts),
            Fragment::Later(id) => match self.fragments.ports(&tuple, id, sight.ts) {
                Some(ports) => (tuple.sport, tuple.dport) = ports,
                None => counters.fragments_orphaned = counters.fragments_orphaned.wrapping_add(1),
            },
        }
        let parent = if packet.carriers().is_empty() {
            None
        } else {
            self.touch_carriers(packet, sight, counters, observer)
        };
        let mut place = Prepared::default();
        self.place(sight.iface, packet, &tuple, &mut place);
        let origin =
            Origin { macs: packet.macs, datagram: Some(datagram), parent, tunnel: packet.tunnel };
        self.touch_at(&place, &origin, sight, counters, observer)
    }

    /// The place of a packet, for [`Self::warm`] and [`Self::touch_prepared`]. It stays unknown
    /// of packets that need [`Self::touch`]: fragments, tunnels, and what is no datagram.
    #[inline]
    pub fn prepare(&self, packet: &Packet, iface: u16, place: &mut Prepared) {
        match &packet.datagram {
            Some(datagram) if datagram.fragment == Fragment::Whole && !packet.is_carried() => {
                self.place(iface, packet, &datagram.tuple, place);
            }
            _ => place.is_known = false,
        }
    }

    /// Works out a place. On its own, so that all of it stays in registers.
    #[inline(never)]
    fn place(&self, iface: u16, packet: &Packet, tuple: &Tuple, place: &mut Prepared) {
        let mac = packet.macs.as_ref().map(|(_, source)| source);
        let (key, sender) = Key::of(iface, packet.vlan, tuple, mac);
        let hash = self.seed.hash_of_packet(&key);
        *place = Prepared { key, sender, is_known: true, hash, ..Prepared::default() };
    }

    /// Reads what the packets of a batch will need from memory. In a large table nearly every
    /// packet misses the cache; done one after the other for the whole batch, the misses overlap.
    #[inline]
    pub fn warm(&self, batch: &mut [Prepared]) {
        for place in batch.iter_mut() {
            place.slot = self.bucket(place.hash);
        }
        // The first two lines of the flow: a read of each; then those of the next one where it is
        // another.
        for place in batch.iter_mut() {
            if place.slot != 0 {
                let flow = self.slab.at(place.slot);
                place.read = flow.seq.lower;
                place.slot = if flow.hash == place.hash { 0 } else { flow.next };
            }
        }
        for place in batch {
            if place.slot != 0 {
                let flow = self.slab.at(place.slot);
                place.read = flow.next.wrapping_add(flow.seq.lower);
            }
        }
    }

    /// [`Self::touch`] for a packet that was prepared. The table may have changed in between.
    #[inline]
    pub fn touch_prepared<O: Observer>(
        &mut self,
        place: &Prepared,
        packet: &Packet,
        sight: &Sight,
        counters: &mut Counters,
        observer: &mut O,
    ) -> Option<Touched> {
        let datagram = Some(packet.datagram.as_ref()?);
        let origin = Origin { macs: packet.macs, datagram, parent: None, tunnel: packet.tunnel };
        self.touch_at(place, &origin, sight, counters, observer)
    }

    /// Ends flows whose time has come, looking at no more than `budget` flows. Call it at least
    /// once a second while there are flows; true if there is more to do right now.
    pub fn advance<O: Observer>(
        &mut self,
        now: Tick,
        budget: usize,
        counters: &mut Counters,
        observer: &mut O,
    ) -> bool {
        if self.slab.live() == 0 {
            self.wheel.start(now);
        } else {
            self.wheel.catch_up(now);
        }
        let mut left = budget;
        let mut more = false;
        while self.slab.live() > self.max_flows {
            if left == 0 {
                more = true;
                break;
            }
            left = left.saturating_sub(1);
            if !self.evict(now, true, counters, observer) {
                break;
            }
        }
        while let Some(slot) = self.wheel.due(now) {
            if left == 0 {
                more = true;
                break;
            }
            left = left.saturating_sub(1);
            let flow = self.slab.at(slot);
            let mut deadline = flow.last.plus(self.timeouts.micros(flow));
            // Its silence says nothing while its packets are not seen.
            if flow.is(mark::OFFLOADED) && !flow.state.is_finished() {
                deadline = deadline.max(now.plus(UNSEEN_MICROS));
            }
            if deadline <= now || flow.last.since(now) > FUTURE_MICROS {
                let reason = ending(flow.state);
                self.end(slot, reason, counters, observer);
            } else {
                self.wheel.unlink(&mut self.slab, slot);
                self.wheel.insert(&mut self.slab, slot, deadline);
            }
        }
        self.tend_emergency(now, left, counters, observer);
        more
    }

    /// Ends all flows.
    pub fn flush<O: Observer>(
        &mut self,
        reason: EndReason,
        counters: &mut Counters,
        observer: &mut O,
    ) {
        self.flush_some(reason, usize::MAX, counters, observer);
    }

    /// Ends at most `most` flows; `true` if there are more.
    pub fn flush_some<O: Observer>(
        &mut self,
        reason: EndReason,
        most: usize,
        counters: &mut Counters,
        observer: &mut O,
    ) -> bool {
        let mut left = most;
        for slot in 1..self.slab.fresh() {
            if left == 0 {
                return !self.is_empty();
            }
            if self.slab.get(slot).is_some() {
                self.end(slot, reason, counters, observer);
                left = left.saturating_sub(1);
            }
        }
        false
    }

    /// Applies other limits. A smaller table evicts over the next turns of [`Self::advance`].
    pub fn set_limits(&mut self, limits: Limits) {
        self.max_flows = limits.max_flows.clamp(1, FLOWS_MAX);
    }

    /// Applies other time-outs, to flows that exist when their old one comes up.
    pub const fn set_timeouts(&mut self, timeouts: Timeouts) {
        self.timeouts = timeouts;
    }

    /// Orients the flows created from now on.
    pub fn set_locality(&mut self, locality: Locality) {
        self.locality = locality;
    }

    /// The detector's word of a flow, to be changed.
    pub fn detector_mut(&mut self, id: FlowId) -> Option<&mut u32> {
        self.get(id)?;
        Some(&mut self.slab.at_mut(id.slot()).detector)
    }

    /// The flow was opened by `side`: somebody knows better than its first packet.
    pub fn set_initiator(&mut self, id: FlowId, side: Side) {
        if let Some(flow) = self.get_mut(id) {
            flow.marks &= !mark::FROM_UPPER;
            if side == Side::Upper {
                flow.marks |= mark::FROM_UPPER;
            }
        }
    }

    /// Its packets are forwarded unseen from now on, or are seen again. Until then it does not
    /// end for its silence.
    pub fn set_offloaded(&mut self, id: FlowId, is_offloaded: bool) {
        if let Some(flow) = self.get_mut(id) {
            flow.marks &= !mark::OFFLOADED;
            if is_offloaded {
                flow.marks |= mark::OFFLOADED;
            }
        }
    }

    /// Counts what went by unseen until `at`: packets and bytes by the end that sent them.
    pub fn add_unseen(&mut self, id: FlowId, packets: Sides<u64>, bytes: Sides<u64>, at: Tick) {
        let Some(flow) = self.get_mut(id) else { return };
        let was = (flow.state, flow.rank());
        for side in [Side::Lower, Side::Upper] {
            let sum = flow.packets.of_mut(side);
            *sum = sum.wrapping_add(*packets.of(side));
            let sum = flow.bytes.of_mut(side);
            *sum = sum.wrapping_add(*bytes.of(side));
        }
        flow.last = flow.last.max(at);
        flow.settle();
        let now = (flow.state, flow.due_rank());
        if now != was {
            self.reclassify(id.slot(), was, now);
        }
    }

    fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.get(id)?;
        Some(self.slab.at_mut(id.slot()))
    }

    /// The flow with this id while it lives.
    #[must_use]
    pub fn get(&self, id: FlowId) -> Option<&Flow> {
        let flow = self.slab.get(id.slot())?;
        (FlowId::of(id.slot(), flow) == id).then_some(flow)
    }

    /// The flows behind `id` in the order of their slots, or all of them. A listing that goes on
    /// from the last id it has shown sees every flow that lives throughout exactly once.
    pub fn after(&self, id: Option<FlowId>) -> impl Iterator<Item = (FlowId, &Flow)> {
        let from = id.map_or(1, |id| id.slot().saturating_add(1));
        (from..self.slab.fresh()).filter_map(|slot| {
            let flow = self.slab.get(slot)?;
            Some((FlowId::of(slot, flow), flow))
        })
    }

    /// Live flows.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.slab.live()
    }

    /// No live flows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.slab.live() == 0
    }

    /// The cap on live flows.
    #[must_use]
    pub const fn max_flows(&self) -> u32 {
        self.max_flows
    }

    /// Flows without an answer, TCP: without a handshake.
    #[must_use]
    pub const fn unestablished(&self) -> u32 {
        self.young.len()
    }

    /// The table is so full that flows without an answer end after seconds.
    #[must_use]
    pub const fn is_emergency(&self) -> bool {
        self.emergency.is_some()
    }

    /// When [`Self::advance`] has something to look at next; never while there are no flows.
    #[must_use]
    pub const fn deadline(&self) -> Option<Tick> {
        if self.is_empty() { None } else { Some(self.wheel.next()) }
    }

    /// What addresses are ours.
    #[must_use]
    pub const fn locality(&self) -> &Locality {
        &self.locality
    }

    /// Bytes of memory held: flows, buckets, wheel and fragments.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let buckets = self.buckets.capacity().saturating_mul(size_of::<u32>());
        let fixed = size_of::<Fragments>().saturating_add(size_of::<[u32; 512]>());
        self.slab.bytes().saturating_add(buckets).saturating_add(fixed)
    }

    /// The flows in the longest hash chain.
    #[must_use]
    pub fn longest_chain(&self) -> usize {
        let length = |&head: &u32| {
            let next = |slot: &u32| Some(self.slab.at(*slot).next).filter(|slot| *slot != 0);
            std::iter::successors(Some(head).filter(|slot| *slot != 0), next).count()
        };
        self.buckets.iter().map(length).max().unwrap_or(0)
    }

    /// Walks every list and says what is wrong with it. For tests and fuzzing.
    ///
    /// # Errors
    /// The first contradiction found.
    #[doc(hidden)]
    pub fn check(&self) -> Result<(), &'static str> {
        let live = self.slab.live();
        let fail = |ok: bool, what| if ok { Ok(()) } else { Err(what) };
        let mut chained = 0_u32;
        for (at, &head) in self.buckets.iter().enumerate() {
            let mut slot = head;
            while slot != 0 {
                let flow = self.slab.get(slot).ok_or("a chain holds a free slot")?;
                fail(self.index(flow.hash) == at, "a flow is in a foreign chain")?;
                fail(self.seed.hash(&flow.key) == flow.hash, "a key changed under its hash")?;
                fail(self.find(flow.hash, &flow.key) == slot, "two flows share a key")?;
                chained = chained.saturating_add(1);
                fail(chained <= live, "a chain is a ring")?;
                slot = flow.next;
            }
        }
        fail(chained == live, "a flow is in no chain")?;
        fail(self.wheel.walk(&self.slab, live) == Some(live), "the wheel lost a flow")?;
        let mut queued = [0_u32; 4];
        for (_, flow) in self.after(None) {
            fail(flow.rank() == flow.due_rank(), "a flow is in the wrong queue")?;
            if let Some(count) = queued.get_mut(flow.rank() as usize) {
                *count = count.saturating_add(1);
            }
        }
        let [finished, young, light, _] = queued;
        let lists = [(&self.finished, finished), (&self.young, young), (&self.light, light)];
        for (queue, members) in lists {
            fail(queue.len() == members, "a queue's length is wrong")?;
            let mut found = 0_u32;
            let (mut prev, mut slot) = (0, queue.oldest().unwrap_or(0));
            while slot != 0 && found <= live {
                let flow = self.slab.get(slot).ok_or("a queue holds a free slot")?;
                fail(flow.queue.prev == prev, "a queue's links disagree")?;
                found = found.saturating_add(1);
                (prev, slot) = (slot, flow.queue.next);
            }
            fail(found == members, "a queue lost a flow")?;
        }
        let used = self.slab.fresh().saturating_sub(1);
        fail(live.saturating_add(self.slab.free_len()) == used, "a slot leaked")
    }

    #[inline]
    fn touch_at<O: Observer>(
        &mut self,
        place: &Prepared,
        origin: &Origin<'_>,
        sight: &Sight,
        counters: &mut Counters,
        observer: &mut O,
    ) -> Option<Touched> {
        let mut slot = self.find(place.hash, &place.key);
        if slot != 0 && is_reuse(self.slab.at(slot), origin.datagram) {
            self.end(slot, EndReason::Reused, counters, observer);
            slot = 0;
        }
        let is_new = slot == 0;
        if is_new {
            slot = self.create(place, origin, sight, counters, observer)?;
        }
        let flow = self.slab.at_mut(slot);
        let was = (flow.state, flow.rank());
        if *flow.packets.of(place.sender) == 0 {
            flow.take_macs(place.sender, origin.macs);
        }
        flow.count(place.sender, sight.ts, sight.wire_len);
        match origin.datagram {
            Some(datagram) => flow.observe(place.sender, sight.ts, datagram),
            None => flow.settle(),
        }
        let id = FlowId::of(slot, flow);
        let now = (flow.state, flow.due_rank());
        let detector = flow.detector;
        if now != was {
            self.reclassify(slot, was, now);
        }
        if is_new {
            observer.started(self.slab.at(slot), id);
        }
        let is_established = was.1 == Rank::Young && matches!(now.1, Rank::Light | Rank::Held);
        if is_established {
            observer.established(self.slab.at(slot), id);
        }
        Some(Touched { id, is_new, is_established, sender: place.sender, detector })
    }

    /// Counts the outer datagrams of a tunnelled packet; the innermost of them is returned.
    #[cold]
    fn touch_carriers<O: Observer>(
        &mut self,
        packet: &Packet,
        sight: &Sight,
        counters: &mut Counters,
        observer: &mut O,
    ) -> Option<FlowId> {
        let mut origin =
            Origin { macs: packet.macs, datagram: None, parent: None, tunnel: Tunnel::None };
        for carrier in packet.carriers() {
            let mut place = Prepared::default();
            self.place(sight.iface, packet, &carrier.tuple, &mut place);
            let touched = self.touch_at(&place, &origin, sight, counters, observer);
            origin.parent = touched.map(|touched| touched.id).or(origin.parent);
            origin.tunnel = carrier.tunnel;
        }
        origin.parent
    }

    /// Makes room for a flow and links it in; the caller counts its first packet.
    #[cold]
    fn create<O: Observer>(
        &mut self,
        place: &Prepared,
        origin: &Origin<'_>,
        sight: &Sight,
        counters: &mut Counters,
        observer: &mut O,
    ) -> Option<u32> {
        let full = self.slab.live() >= self.max_flows;
        let room = !full || self.evict(sight.ts, false, counters, observer);
        let claimed = if room { self.slab.claim() } else { None };
        let Some(slot) = claimed else {
            counters.flow_table_full = counters.flow_table_full.wrapping_add(1);
            return None;
        };
        if self.slab.live() == 1 {
            self.wheel.start(sight.ts);
        }
        if bucket_count(self.slab.live()) > self.buckets.len() {
            self.grow_buckets(slot);
        }
        let orientation = if origin.datagram.is_some() {
            self.locality.orient(&place.key, place.sender, sight.direction)
        } else {
            Orientation::UNSUPPORTED
        };
        let flow = self.slab.at_mut(slot);
        let generation = flow.generation;
        *flow = Flow::vacant();
        flow.generation = generation;
        flow.key = place.key;
        flow.hash = place.hash;
        flow.marks = mark::LIVE;
        if place.sender == Side::Upper {
            flow.marks |= mark::FROM_UPPER;
        }
        flow.first = sight.ts;
        flow.last = sight.ts;
        flow.orientation = orientation;
        flow.parent = origin.parent.map_or(0, FlowId::get);
        flow.tunnel = origin.tunnel;
        match origin.datagram {
            Some(datagram) => flow.tos = datagram.tos,
            None => flow.marks |= mark::CARRIER,
        }
        flow.set_rank(Rank::Young);
        let deadline = flow.last.plus(self.timeouts.micros(flow));
        self.chain(slot, place.hash);
        self.young.push(&mut self.slab, slot);
        self.wheel.insert(&mut self.slab, slot, deadline);
        counters.flows_created = counters.flows_created.wrapping_add(1);
        let used = u64::from(self.slab.live()).saturating_mul(10);
        if self.emergency.is_none() && used >= u64::from(self.max_flows).saturating_mul(9) {
            self.emergency = Some(Emergency { counted: sight.ts, sweep: sight.ts });
            counters.emergencies = counters.emergencies.wrapping_add(1);
        }
        Some(slot)
    }

    /// Moves a flow to the queue of its new rank, and nearer on the wheel if its new state has
    /// the shortest time-out of all.
    #[cold]
    fn reclassify(&mut self, slot: u32, was: (State, Rank), now: (State, Rank)) {
        if was.1 != now.1 {
            self.leave_queue(slot);
            self.slab.at_mut(slot).set_rank(now.1);
            match now.1 {
                Rank::Finished => self.finished.push(&mut self.slab, slot),
                Rank::Young => self.young.push(&mut self.slab, slot),
                Rank::Light => self.light.push(&mut self.slab, slot),
                Rank::Held => {}
            }
        }
        let closes = matches!(now.0, State::Closing | State::Closed | State::Reset);
        if was.0 != now.0 && closes {
            let flow = self.slab.at(slot);
            let deadline = flow.last.plus(self.timeouts.micros(flow));
            self.wheel.unlink(&mut self.slab, slot);
            self.wheel.insert(&mut self.slab, slot, deadline);
        }
    }

    /// Ends the flow that is missed least. False if none may go: all of them are established,
    /// have many packets in both directions and carried one just now.
    fn evict<O: Observer>(
        &mut self,
        now: Tick,
        force: bool,
        counters: &mut Counters,
        observer: &mut O,
    ) -> bool {
        if let Some(slot) = self.finished.oldest() {
            let reason = ending(self.slab.at(slot).state);
            self.end(slot, reason, counters, observer);
            return true;
        }
        let queued = self.young.oldest().or_else(|| self.light.oldest());
        let Some(slot) = queued.or_else(|| self.idlest(now, force)) else {
            return false;
        };
        counters.flows_evicted = counters.flows_evicted.wrapping_add(1);
        self.end(slot, EndReason::Evicted, counters, observer);
        true
    }

    /// The flow idle for longest among the next few, all of them well established.
    fn idlest(&mut self, now: Tick, force: bool) -> Option<u32> {
        let mut best: Option<(Tick, u32)> = None;
        for _ in 0..SAMPLE {
            if self.hand >= self.slab.fresh() {
                self.hand = 1;
            }
            if let Some(flow) = self.slab.get(self.hand)
                && best.is_none_or(|(last, _)| flow.last < last)
            {
                best = Some((flow.last, self.hand));
            }
            self.hand = self.hand.saturating_add(1);
        }
        let (last, slot) = best?;
        (force || now.since(last) >= BUSY_MICROS).then_some(slot)
    }

    /// Counts the time spent in an emergency, ends what is idle by its rules, and leaves it.
    fn tend_emergency<O: Observer>(
        &mut self,
        now: Tick,
        budget: usize,
        counters: &mut Counters,
        observer: &mut O,
    ) {
        let Some(mut emergency) = self.emergency else {
            return;
        };
        let mut left = budget.min(self.young.len() as usize);
        while now >= emergency.sweep && left > 0 {
            left = left.saturating_sub(1);
            let Some(slot) = self.young.oldest() else {
                break;
            };
            let flow = self.slab.at(slot);
            let tcp = flow.key.proto == TCP;
            let limit = if tcp { EMERGENCY_TCP_MICROS } else { EMERGENCY_MICROS };
            if now.since(flow.last) >= limit {
                self.end(slot, EndReason::Idle, counters, observer);
            } else if flow.total_packets() > 1 {
                // Old but active: behind those that came later.
                self.young.unlink(&mut self.slab, slot);
                self.young.push(&mut self.slab, slot);
            } else {
                left = 0;
            }
        }
        if now >= emergency.sweep && left == 0 {
            emergency.sweep = now.plus(SWEEP_MICROS);
        }
        let seconds = now.since(emergency.counted) / 1_000_000;
        // A gap between the packets of a file is no emergency.
        let spent = seconds.min(EMERGENCY_STEP_SECONDS);
        counters.emergency_seconds = counters.emergency_seconds.wrapping_add(spent);
        emergency.counted = emergency.counted.plus(seconds.saturating_mul(1_000_000));
        let used = u64::from(self.slab.live()).saturating_mul(10);
        let over = used <= u64::from(self.max_flows).saturating_mul(7);
        self.emergency = (!over).then_some(emergency);
    }

    /// Takes a flow out of every list and frees its slot.
    fn end<O: Observer>(
        &mut self,
        slot: u32,
        reason: EndReason,
        counters: &mut Counters,
        observer: &mut O,
    ) {
        let flow = self.slab.at(slot);
        observer.ended(flow, FlowId::of(slot, flow), reason);
        counters.flows_ended = counters.flows_ended.wrapping_add(1);
        self.unchain(slot);
        self.leave_queue(slot);
        self.wheel.unlink(&mut self.slab, slot);
        self.slab.release(slot);
    }

    fn leave_queue(&mut self, slot: u32) {
        match self.slab.at(slot).rank() {
            Rank::Finished => self.finished.unlink(&mut self.slab, slot),
            Rank::Young => self.young.unlink(&mut self.slab, slot),
            Rank::Light => self.light.unlink(&mut self.slab, slot),
            Rank::Held => {}
        }
    }

    /// The slot of the flow with this key, 0 if there is none.
    #[inline]
    fn find(&self, hash: u32, key: &Key) -> u32 {
        let mut slot = self.bucket(hash);
        while slot != 0 {
            let flow = self.slab.at(slot);
            if flow.hash == hash && flow.key == *key {
                break;
            }
            slot = flow.next;
        }
        slot
    }

    /// Doubles the hash buckets, which relinks all flows but the one that is being made.
    #[cold]
    fn grow_buckets(&mut self, made: u32) {
        let wanted = self.buckets.len().saturating_mul(2);
        let mut buckets = Vec::new();
        // Longer chains rather than no flow.
        if buckets.try_reserve_exact(wanted).is_err() {
            return;
        }
        buckets.resize(wanted, 0);
        self.buckets = buckets;
        for slot in (1..self.slab.fresh()).filter(|slot| *slot != made) {
            if let Some(hash) = self.slab.get(slot).map(|flow| flow.hash) {
                self.chain(slot, hash);
            }
        }
    }

    fn chain(&mut self, slot: u32, hash: u32) {
        let head = self.bucket_mut(hash);
        let next = *head;
        *head = slot;
        self.slab.at_mut(slot).next = next;
    }

    fn unchain(&mut self, slot: u32) {
        let (hash, next) = (self.slab.at(slot).hash, self.slab.at(slot).next);
        let mut before = self.bucket(hash);
        if before == slot {
            *self.bucket_mut(hash) = next;
            return;
        }
        while before != 0 {
            let flow = self.slab.at_mut(before);
            if flow.next == slot {
                flow.next = next;
                return;
            }
            before = flow.next;
        }
    }

    #[inline]
    const fn index(&self, hash: u32) -> usize {
        hash as usize & self.buckets.len().wrapping_sub(1)
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "masked to the length, a power of two")]
    fn bucket(&self, hash: u32) -> u32 {
        self.buckets[self.index(hash)]
    }

    #[expect(clippy::indexing_slicing, reason = "masked to the length, a power of two")]
    fn bucket_mut(&mut self, hash: u32) -> &mut u32 {
        let at = self.index(hash);
        &mut self.buckets[at]
    }
}

/// Buckets that a table starts with if it may need them: 256 KiB, enough for 32 768 flows, so that
/// a table of the usual size never stops to relink its flows.
const FIRST_BUCKETS: usize = 1 << 16;

/// Buckets for so many flows: two or more each. A second flow in a chain costs a cache miss and a
/// branch nobody can predict; a bucket costs four bytes.
const fn bucket_count(max_flows: u32) -> usize {
    (max_flows as usize).saturating_mul(2).next_power_of_two()
}

/// The reason that the end of a flow in this state has, unless something else ends it.
const fn ending(state: State) -> EndReason {
    match state {
        State::Closed => EndReason::Finished,
        State::Reset => EndReason::Reset,
        State::New | State::Syn | State::Established | State::Closing => EndReason::Idle,
    }
}

/// A SYN where a connection is at its end takes the ports for a new one.
#[inline]
fn is_reuse(flow: &Flow, datagram: Option<&Datagram>) -> bool {
    if !matches!(flow.state, State::Closing | State::Closed | State::Reset) {
        return false;
    }
    match datagram.map(|datagram| datagram.transport) {
        Some(Transport::Tcp(segment)) => tcp::opens(&segment),
        _ => false,
    }
}
