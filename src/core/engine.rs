//! Frames in, flows out: decoding, exact totals, the flow table and detection in one, the same for
//! live capture and for files.

use crate::applications::Applications;
use crate::counters::Counters;
use crate::detect::{self, Found, Inspector, Outcome, Progress, Protocol, Segment};
use crate::flow::{
    EndReason, Flow, FlowId, Limits, Observer, Prepared, Seed, Side, Sight, Table, Timeouts,
    Totals, Touched,
};
use crate::source::Frame;
use crate::time::Tick;
use crate::wire::decode::{Error, Fragment, Packet, Tcp, Transport, Tunnel};

use super::names::{self, Names};
use super::pace::Pace;
use super::products;
use super::recall::Recall;

/// The packet path.
#[derive(Debug)]
pub struct Engine {
    /// Live flows.
    pub flows: Table,
    /// Packets and bytes per interface and protocol, exact whatever the table had to give up.
    pub totals: Totals,
    /// What flows are.
    pub inspector: Inspector,
    /// Names of hosts and of products.
    pub lore: Lore,
    /// What flows were.
    pub recall: Recall,
    /// How many packets a second names are learnt from.
    pace: Pace,
    /// Flows that ended, by [`EndReason`] in the order of [`REASONS`].
    pub ended: [u64; REASONS.len()],
    /// When the latest frame was seen.
    pub last_packet: Tick,
    /// When the latest flow was created.
    pub last_flow: Tick,
    packets: Box<[Packet; BATCH]>,
}

/// What is known besides packets.
#[derive(Debug)]
pub struct Lore {
    /// How hosts are called.
    pub names: Names,
    /// Which products there are.
    pub applications: Applications,
    /// Names of DNS lead to products.
    pub hints: bool,
    /// They do so only where a flow shows no name itself.
    pub partial_hints: bool,
}

impl Default for Lore {
    fn default() -> Self {
        Self {
            names: Names::default(),
            applications: Applications::default(),
            hints: true,
            partial_hints: false,
        }
    }
}

/// Frames that go through the table together: enough for their cache misses to overlap, few
/// enough for what is known of them to stay in the cache.
const BATCH: usize = 32;

/// Told of flows and what they are.
pub trait Listener {
    /// A packet came whose message is for the whole network, or about names.
    fn heard(&mut self, _packet: &Packet, _frame: &Frame<'_>) {}

    /// A flow was created and holds its first packet.
    fn started(&mut self, _flow: &Flow, _id: FlowId, _lore: &Lore) {}

    /// Something became known of a flow by its payload.
    fn detected(
        &mut self,
        _flow: &Flow,
        _id: FlowId,
        _what: &Outcome,
        _progress: Progress,
        _lore: &Lore,
    ) {
    }

    /// A flow is about to leave the table. What it was is known by now, if at all.
    fn ended(
        &mut self,
        _flow: &Flow,
        _id: FlowId,
        _reason: EndReason,
        _what: &Outcome,
        _lore: &Lore,
    ) {
    }
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
            inspector: Inspector::new(detect::Limits::default()),
            lore: Lore::default(),
            recall: Recall::default(),
            pace: Pace::new(names::MESSAGES),
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
        let mut places = [Prepared::default(); BATCH];
        for ((frame, packet), place) in frames.iter().zip(&mut *self.packets).zip(&mut places) {
            decode(packet, frame, counters);
            if names::tells(packet) {
                let nanos = frame.ts.0.saturating_mul(1_000);
                if self.lore.names.hear(packet, frame.data, nanos, &mut self.pace) {
                    observer.heard(packet, frame);
                }
            }
            self.totals.count(packet, &sight(frame));
            self.flows.prepare(packet, frame.iface, place);
        }
        self.flows.warm(&mut places);
        let mut tally = Tally {
            ended: &mut self.ended,
            inspector: &mut self.inspector,
            recall: &mut self.recall,
            lore: &self.lore,
            listener: observer,
        };
        for ((frame, packet), place) in frames.iter().zip(&*self.packets).zip(&places) {
            let sight = sight(frame);
            let touched = if place.is_known() {
                self.flows.touch_prepared(place, packet, &sight, counters, &mut tally)
            } else {
                self.flows.touch(packet, &sight, counters, &mut tally)
            };
            let Some(touched) = touched else { continue };
            if touched.is_new {
                self.last_flow = frame.ts;
            }
            if !Inspector::is_done(touched.detector) {
                inspect(&mut self.flows, &mut tally, &touched, packet, frame);
            }
        }
        if let Some(last) = frames.last() {
            self.last_packet = last.ts;
        }
    }

    /// Ends flows whose time has come, at most `budget`; `true` if there is more to do now.
    pub fn advance<O: Listener>(
        &mut self,
        now: Tick,
        budget: usize,
        counters: &mut Counters,
        observer: &mut O,
    ) -> bool {
        let mut observer = Tally {
            ended: &mut self.ended,
            inspector: &mut self.inspector,
            recall: &mut self.recall,
            lore: &self.lore,
            listener: observer,
        };
        self.flows.advance(now, budget, counters, &mut observer)
    }

    /// Ends all flows.
    pub fn flush<O: Listener>(
        &mut self,
        reason: EndReason,
        counters: &mut Counters,
        observer: &mut O,
    ) {
        let mut observer = Tally {
            ended: &mut self.ended,
            inspector: &mut self.inspector,
            recall: &mut self.recall,
            lore: &self.lore,
            listener: observer,
        };
        self.flows.flush(reason, counters, &mut observer);
    }

    /// Ends at most `most` flows because the process leaves; `true` if there are more.
    pub fn end_some<O: Listener>(
        &mut self,
        most: usize,
        counters: &mut Counters,
        observer: &mut O,
    ) -> bool {
        let mut observer = Tally {
            ended: &mut self.ended,
            inspector: &mut self.inspector,
            recall: &mut self.recall,
            lore: &self.lore,
            listener: observer,
        };
        self.flows.flush_some(EndReason::Shutdown, most, counters, &mut observer)
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

/// Shows a packet with payload to the inspector.
#[inline]
fn inspect<O: Listener>(
    flows: &mut Table,
    tally: &mut Tally<'_, O>,
    touched: &Touched,
    packet: &Packet,
    frame: &Frame<'_>,
) {
    let Some(datagram) = &packet.datagram else { return };
    if touched.is_new && !packet.carriers().is_empty() {
        name_carriers(flows, touched.id);
    }
    let ported = matches!(datagram.transport, Transport::Tcp(_) | Transport::Udp);
    if ported && datagram.payload_captured == 0 || matches!(datagram.fragment, Fragment::Later(_)) {
        return;
    }
    let Some(flow) = flows.get(touched.id) else { return };
    let (mut word, client) = (flow.detector, flow.initiator());
    let seen = |side| flow.tcp_flags().of(side) & Tcp::SYN != 0;
    let tcp = match datagram.transport {
        Transport::Tcp(tcp) => Some(tcp),
        _ => None,
    };
    let segment = Segment {
        tcp,
        from_client: touched.sender == client,
        is_start: seen(touched.sender),
        payload: packet.payload(frame.data),
        len: usize::try_from(datagram.payload_len).unwrap_or(usize::MAX),
        ..ends(flow, client)
    };
    let known = if word == 0 && ported { tally.recall.find(flow.key()) } else { None };
    let is_first = word == 0;
    let progress = match known {
        Some(known) => {
            tally.listener.detected(flow, touched.id, &known, Progress::ALL, tally.lore);
            word = tally.inspector.recalled(known);
            Progress::default()
        }
        None => tally.inspector.inspect(&mut word, &segment),
    };
    if is_first && progress == Progress::default() && !Inspector::is_done(word) {
        tally.hint(flow, &mut word);
    }
    if progress != Progress::default() {
        // What an address or a port says is asked once nothing better will come.
        if progress.named || progress.refined || tally.inspector.numbers(word).0 == 0 {
            tally.attribute(flow, &mut word);
        }
        let mut owned = Outcome::default();
        let what = tally.inspector.seen(word, &mut owned);
        if progress.complete {
            tally.recall.remember(flow.key(), what);
        }
        tally.listener.detected(flow, touched.id, what, progress, tally.lore);
    }
    if let Some(place) = flows.detector_mut(touched.id) {
        *place = word;
    }
}

/// The flows around a tunnelled one are what carries it.
#[cold]
fn name_carriers(flows: &mut Table, id: FlowId) {
    let mut inner = flows.get(id).map(|flow| (flow.tunnel(), flow.parent()));
    while let Some((tunnel, Some(parent))) = inner {
        let Some(flow) = flows.get(parent) else { return };
        inner = Some((flow.tunnel(), flow.parent()));
        let word = Inspector::named(carrier(tunnel));
        if flow.detector == 0
            && carrier(tunnel) != Protocol::UNKNOWN
            && let Some(place) = flows.detector_mut(parent)
        {
            *place = word;
        }
    }
}

/// The protocol that carries datagrams in this way.
const fn carrier(tunnel: Tunnel) -> Protocol {
    match tunnel {
        Tunnel::Geneve => Protocol::GENEVE,
        Tunnel::Gre => Protocol::GRE,
        Tunnel::GtpU => Protocol::GTP,
        Tunnel::IpIp | Tunnel::SixIn4 => Protocol::IPINIP,
        Tunnel::Vxlan => Protocol::VXLAN,
        Tunnel::Mpls | Tunnel::None | Tunnel::PppoE => Protocol::UNKNOWN,
    }
}

/// The ends of a flow, with nothing said.
const fn ends(flow: &Flow, client: Side) -> Segment<'_> {
    let key = flow.key();
    let server = client.other();
    Segment {
        proto: key.proto,
        tcp: None,
        from_client: true,
        is_start: false,
        payload: &[],
        len: 0,
        client: key.address.of(client),
        server: key.address.of(server),
        client_port: *key.port.of(client),
        server_port: *key.port.of(server),
        ip_version: key.version,
    }
}

/// Counts reasons on the way to the real listener, and says what flows were.
struct Tally<'a, O> {
    ended: &'a mut [u64; REASONS.len()],
    inspector: &'a mut Inspector,
    recall: &'a mut Recall,
    lore: &'a Lore,
    listener: &'a mut O,
}

impl<O> Tally<'_, O> {
    /// Says which product a flow belongs to, by the name of its far end alone, until more is known.
    fn hint(&mut self, flow: &Flow, word: &mut u32) {
        let hinted = products::hinted(flow, self.lore);
        if let Some(id) = hinted {
            self.inspector.set_application(word, id, Found::Hint);
        }
    }

    /// Says which product a flow belongs to, by what is known of it now.
    fn attribute(&mut self, flow: &Flow, word: &mut u32) {
        let mut owned = Outcome::default();
        let what = self.inspector.seen(*word, &mut owned);
        let (id, found) = products::of(flow, what, self.lore);
        if (id, found) != (what.application, what.found) {
            self.inspector.set_application(word, id, found);
        }
    }
}

impl<O: Listener> Observer for Tally<'_, O> {
    fn started(&mut self, flow: &Flow, id: FlowId) {
        self.listener.started(flow, id, self.lore);
    }

    fn ended(&mut self, flow: &Flow, id: FlowId, reason: EndReason) {
        let counts = REASONS.iter().zip(self.ended.iter_mut());
        for (_, count) in counts.filter(|(r, _)| **r == reason) {
            *count = count.wrapping_add(1);
        }
        let mut word = flow.detector;
        let is_done = Inspector::is_done(word);
        if !is_done {
            self.inspector.conclude(&mut word, &ends(flow, flow.initiator()));
            self.attribute(flow, &mut word);
        }
        let mut owned = Outcome::default();
        let what = self.inspector.seen(word, &mut owned);
        if !is_done {
            self.recall.remember(flow.key(), what);
        }
        self.listener.ended(flow, id, reason, what, self.lore);
        self.inspector.release(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    /// An answer of DNS that gives a host an address; over TCP with its length before it.
    fn answer(n: u16, tcp: bool) -> Vec<u8> {
        let name = format!("n{n:05}");
        let mut message = vec![0, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 6];
        message.extend(name.bytes());
        message.extend([0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        message.extend(address(n).octets());
        if tcp {
            message.splice(0..0, u16::try_from(message.len()).unwrap().to_be_bytes());
        }
        message
    }

    fn address(n: u16) -> Ipv4Addr {
        let [high, low] = n.to_be_bytes();
        Ipv4Addr::new(198, 18, high, low)
    }

    /// From the resolver to a client that never changes its port.
    fn packet(tcp: bool, payload: &[u8]) -> Vec<u8> {
        let head: &[u8] =
            if tcp { &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 1, 0, 0, 0, 0, 0] } else { &[] };
        let length = |more: usize| {
            let all: usize = [head.len(), payload.len(), more].iter().sum();
            u16::try_from(all).unwrap()
        };
        let mut data = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        data.extend(length(if tcp { 24 } else { 28 }).to_be_bytes());
        data.extend([0, 0, 0, 0, 64, if tcp { 6 } else { 17 }, 0, 0, 10, 0, 0, 53, 10, 0, 0, 2]);
        data.extend([0, 53, 0x9c, 0x40]);
        if !tcp {
            data.extend([length(8).to_be_bytes(), [0, 0]].concat());
        }
        data.extend([head, payload].concat());
        data
    }

    fn engine() -> Engine {
        Engine::new(Limits { max_flows: 64 }, Timeouts::default(), Seed::random())
    }

    fn see(engine: &mut Engine, data: &[u8], micros: u64) {
        let wire_len = u32::try_from(data.len()).unwrap();
        let frame = Frame { ts: Tick(micros), wire_len, data, ..Frame::EMPTY };
        engine.frames(&[frame], &mut Counters::default(), &mut ());
    }

    fn known(engine: &Engine, n: u16) -> Option<&str> {
        engine.lore.names.hint(IpAddr::V4(address(n)))
    }

    #[test]
    fn each_answer_of_one_flow_names_its_address_long_after_it_is_known_what_the_flow_is() {
        for tcp in [false, true] {
            let mut engine = engine();
            for n in 0..300 {
                see(&mut engine, &packet(tcp, &answer(n, tcp)), 1_000_000 + u64::from(n) * 10_000);
            }
            assert_eq!((engine.flows.len(), engine.inspector.open()), (1, 0), "one flow, and done");
            for n in 0..300 {
                assert_eq!(known(&engine, n), Some(&*format!("n{n:05}")), "tcp {tcp}");
            }
        }
        let mut engine = engine();
        let both = [answer(1, true), answer(2, true)].concat();
        see(&mut engine, &packet(true, &both), 1_000_000);
        assert_eq!((known(&engine, 1), known(&engine, 2)), (Some("n00001"), Some("n00002")));
    }

    #[test]
    fn a_flood_of_answers_is_read_at_a_bounded_rate_and_the_rest_is_counted() {
        let mut engine = engine();
        for n in 0..4_000 {
            see(&mut engine, &packet(false, &answer(n, false)), 1_000_000);
        }
        let mut counters = Counters::default();
        engine.lore.names.count_into(&mut counters);
        let read = engine.lore.names.len() as u64;
        assert!((50..=u64::from(names::MESSAGES)).contains(&read), "{read}");
        assert_eq!(counters.names_unread, 4_000 - read);
    }
}
