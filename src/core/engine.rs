//! Frames in, flows out: decoding, exact totals and the flow table in one, the same for live
//! capture and for files.

use crate::counters::Counters;
use crate::flow::{
    EndReason, Flow, FlowId, Limits, Observer, Seed, Sight, Table, Timeouts, Totals,
};
use crate::source::Frame;
use crate::time::Tick;
use crate::wire::decode::{Error, Packet};

use super::names;

/// The packet path.
#[derive(Debug)]
pub struct Engine {
    /// Live flows.
    pub flows: Table,
    /// Packets and bytes per interface and protocol, exact whatever the table had to give up.
    pub totals: Totals,
    /// Flows that ended, by [`EndReason`] in the order of [`REASONS`].
    pub ended: [u64; REASONS.len()],
    /// When the latest frame was seen.
    pub last_packet: Tick,
    /// When the latest flow was created.
    pub last_flow: Tick,
    packets: Box<[Packet; BATCH]>,
}

/// Frames that go through the table together: enough for their cache misses to overlap, few
/// enough for what is known of them to stay in the cache.
const BATCH: usize = 32;

/// Told of flows, and of packets that say how hosts are called.
pub trait Listener: Observer {
    /// A packet from which names can be learnt, and its frame.
    fn tells(&mut self, _packet: &Packet, _frame: &Frame<'_>) {}
}

impl Listener for () {}

/// Every reason for which a flow ends.
pub const REASONS: [EndReason; 7] = [
    EndReason::Evicted,
    EndReason::Finished,
    EndReason::Flushed,
    EndReason::Idle,
    EndReason::Reset,
    EndReason::Reused,
    EndReason::Shutdown,
];

impl Engine {
    /// An engine that has seen nothing.
    #[must_use]
    pub fn new(limits: Limits, timeouts: Timeouts, seed: Seed) -> Self {
        Self {
            flows: Table::new(limits, timeouts, seed),
            totals: Totals::default(),
            ended: [0; REASONS.len()],
            last_packet: Tick::default(),
            last_flow: Tick::default(),
            packets: Box::new(std::array::from_fn(|_| Packet::default())),
        }
    }

    /// Takes frames, in their order. Allocates nothing once their flows exist.
    #[inline]
    pub fn frames<O: Listener>(
        &mut self,
        frames: &[Frame<'_>],
        counters: &mut Counters,
        observer: &mut O,
    ) {
        for batch in frames.chunks(BATCH) {
            self.batch(batch, counters, observer);
        }
    }

    /// Decodes a batch, lets the table fetch what it needs of all of it, then counts.
    fn batch<O: Listener>(
        &mut self,
        frames: &[Frame<'_>],
        counters: &mut Counters,
        observer: &mut O,
    ) {
        let mut places = [None; BATCH];
        for ((frame, packet), place) in frames.iter().zip(&mut *self.packets).zip(&mut places) {
            decode(packet, frame, counters);
            if names::tells(packet) {
                observer.tells(packet, frame);
            }
            self.totals.count(packet, &sight(frame));
            *place = self.flows.prepare(packet, frame.iface);
        }
        self.flows.warm(&mut places);
        let mut observer = Tally { ended: &mut self.ended, observer };
        for ((frame, packet), place) in frames.iter().zip(&*self.packets).zip(&places) {
            let sight = sight(frame);
            let touched = match place {
                Some(place) => {
                    self.flows.touch_prepared(place, packet, &sight, counters, &mut observer)
                }
                None => self.flows.touch(packet, &sight, counters, &mut observer),
            };
            if touched.is_some_and(|touched| touched.is_new) {
                self.last_flow = frame.ts;
            }
        }
        if let Some(last) = frames.last() {
            self.last_packet = last.ts;
        }
    }

    /// Ends flows whose time has come, at most `budget`; `true` if there is more to do now.
    pub fn advance<O: Observer>(
        &mut self,
        now: Tick,
        budget: usize,
        counters: &mut Counters,
        observer: &mut O,
    ) -> bool {
        let mut observer = Tally { ended: &mut self.ended, observer };
        self.flows.advance(now, budget, counters, &mut observer)
    }

    /// Ends all flows.
    pub fn flush<O: Observer>(
        &mut self,
        reason: EndReason,
        counters: &mut Counters,
        observer: &mut O,
    ) {
        let mut observer = Tally { ended: &mut self.ended, observer };
        self.flows.flush(reason, counters, &mut observer);
    }

    /// Flows that ended for this reason.
    #[must_use]
    pub fn ended(&self, reason: EndReason) -> u64 {
        let mut counts = REASONS.iter().zip(self.ended);
        counts.find(|(r, _)| **r == reason).map_or(0, |(_, count)| count)
    }
}

/// Reads a frame, and counts it and what is wrong with it.
#[inline]
fn decode(packet: &mut Packet, frame: &Frame<'_>, counters: &mut Counters) {
    counters.packets = counters.packets.wrapping_add(1);
    counters.bytes = counters.bytes.wrapping_add(u64::from(frame.wire_len));
    let decoded = packet.decode(frame.link, frame.vlan, frame.data);
    if let Err(error) = decoded {
        let counter = match error {
            Error::TooDeep => &mut counters.decode_limit,
            Error::Malformed | Error::UnknownLink => &mut counters.decode_errors,
        };
        *counter = counter.wrapping_add(1);
    } else if packet.datagram.is_none() {
        counters.not_ip = counters.not_ip.wrapping_add(1);
    }
    if packet.truncated {
        counters.decode_truncated = counters.decode_truncated.wrapping_add(1);
    }
}

#[inline]
const fn sight(frame: &Frame<'_>) -> Sight {
    Sight { ts: frame.ts, iface: frame.iface, wire_len: frame.wire_len, direction: frame.direction }
}

/// Counts reasons on the way to the real observer.
struct Tally<'a, O> {
    ended: &'a mut [u64; REASONS.len()],
    observer: &'a mut O,
}

impl<O: Observer> Observer for Tally<'_, O> {
    fn started(&mut self, flow: &Flow, id: FlowId) {
        self.observer.started(flow, id);
    }

    fn established(&mut self, flow: &Flow, id: FlowId) {
        self.observer.established(flow, id);
    }

    fn ended(&mut self, flow: &Flow, id: FlowId, reason: EndReason) {
        let counts = REASONS.iter().zip(self.ended.iter_mut());
        for (_, count) in counts.filter(|(r, _)| **r == reason) {
            *count = count.wrapping_add(1);
        }
        self.observer.ended(flow, id, reason);
    }
}
