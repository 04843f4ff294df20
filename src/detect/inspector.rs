//! Flows under inspection: which dissectors are still asked, what they have been shown, and what
//! was found. A flow costs memory of this size only while it is inspected; its outcome stays,
//! reached by the word that the flow carries.

use std::collections::VecDeque;

use super::dissector::{Strength, Verdict};
use super::facts::Facts;
use super::protocol::Protocol;
use super::protocols::ALL;
use super::streams::{Half, Placed};
use super::view::{GLIMPSE, Glimpse, Memory, Transport, View};
use crate::wire::decode::Tcp;

/// Words of a set of dissectors.
const WORDS: usize = 6;

const _: () = assert!(ALL.len() <= WORDS * 64, "a dissector has a bit");

/// Packets remembered of a flow.
const PAST: usize = 8;

/// Segments of a flow picked up in the middle that are each taken for a beginning.
const BEGINNINGS: u8 = 6;

/// What inspection may cost. Where a cap is reached, see the single ones.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Packets with payload of a flow that are looked at; then what is known is all. With 0 the
    /// port alone names it.
    pub packets: u8,
    /// Flows under inspection; beyond, that of the oldest ends.
    pub open: usize,
    /// Octets of streams kept of all flows; beyond, no more is put together for now.
    pub octets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { packets: 24, open: 2_048, octets: 1024 * 1024 }
    }
}

/// A packet as the flow table knows it.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// IP protocol number.
    pub proto: u8,
    /// The facts of its TCP header.
    pub tcp: Option<Tcp>,
    /// The flow's initiator sent it.
    pub from_client: bool,
    /// The SYN of this half was seen.
    pub is_start: bool,
    /// Captured payload.
    pub payload: &'a [u8],
    /// Octets of payload that the headers announce.
    pub len: usize,
    /// Address of the initiator; IPv4 in the first four octets.
    pub client: &'a [u8; 16],
    /// Address of the responder, likewise.
    pub server: &'a [u8; 16],
    /// Port of the initiator.
    pub client_port: u16,
    /// Port of the responder.
    pub server_port: u16,
    /// 4 or 6.
    pub ip_version: u8,
}

impl Segment<'_> {
    /// Octets that only fill up a short frame, taken for payload where lengths are wrong.
    fn is_padding(&self) -> bool {
        (2..=6).contains(&self.payload.len())
            && self.tcp.is_some_and(|tcp| tcp.flags & Tcp::PSH == 0)
            && self.payload.iter().all(|octet| *octet == 0)
    }
}

/// What a packet brought.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// The flow has a name now.
    pub named: bool,
    /// More became known of a flow that had one.
    pub refined: bool,
    /// Nothing more will become known of it.
    pub complete: bool,
}

impl Progress {
    /// All at once.
    pub const ALL: Self = Self { named: true, refined: false, complete: true };

    const NONE: Self = Self { named: false, refined: false, complete: false };
}

/// What is known of a flow.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outcome {
    /// Its protocol, 0 if unknown.
    pub protocol: Protocol,
    /// The protocol is that of its port, not of its payload.
    pub is_guessed: bool,
    /// Nothing more will become known.
    pub is_complete: bool,
    /// It became more precise after it was first told.
    pub is_refined: bool,
    /// It is what a flow between the same ends was before.
    pub is_recalled: bool,
    /// Packets with payload that were looked at.
    pub packets: u8,
    /// The product that it belongs to, 0 if none is known.
    pub application: u16,
    /// How the product was found.
    pub found: Found,
    /// Names, versions and fingerprints.
    pub facts: Facts,
}

/// By what the application of a flow was found.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Found {
    /// Not at all.
    #[default]
    Nothing,
    /// A network that its address lies in.
    Address,
    /// An expression that holds of it.
    Expression,
    /// The name that DNS gave its address.
    Hint,
    /// The name of the host that it shows itself.
    Host,
    /// Its payload.
    Payload,
    /// Its port.
    Port,
    /// Its protocol is that of the product.
    Protocol,
}

/// What has become of inspections, for the counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Statistics {
    /// Flows that were inspected.
    pub begun: u64,
    /// Flows that were named by their payload.
    pub named: u64,
    /// Flows that were named by their port.
    pub guessed: u64,
    /// Inspections that ended early since there were too many.
    pub displaced: u64,
    /// Segments that were not put together since too much is.
    pub unassembled: u64,
}

/// Bits of the word that a flow carries: 0 is a flow that was not looked at yet; without
/// [`DONE`] it is the number of an entry, plus one.
const DONE: u32 = 1 << 31;
/// With [`DONE`]: there is no entry, the protocol itself lies in the low bits.
const INLINE: u32 = 1 << 30;
/// With [`INLINE`].
const GUESSED: u32 = 1 << 29;
const PLACE: u32 = (1 << 29) - 1;

/// Flows under inspection and what was found.
#[derive(Debug)]
pub struct Inspector {
    limits: Limits,
    entries: Vec<Entry>,
    /// Head of the list of unused entries, plus one.
    unused: u32,
    /// Entries under inspection, oldest first, with their generation; some have ended since.
    order: VecDeque<(u32, u32)>,
    open: usize,
    octets: usize,
    #[expect(clippy::vec_box, reason = "the boxes go from flow to flow")]
    spare: Vec<Box<Inspection>>,
    buffers: Vec<Vec<u8>>,
    scratch: Facts,
    routes: Routes,
    /// What has become of them.
    pub statistics: Statistics,
}

#[derive(Debug, Default)]
struct Entry {
    outcome: Outcome,
    inspection: Option<Box<Inspection>>,
    generation: u32,
    next: u32,
}

/// A flow under inspection.
#[derive(Debug, Default)]
struct Inspection {
    client: Half,
    server: Half,
    candidates: Set,
    chosen: Option<u16>,
    packets: u8,
    past: [Glimpse; PAST],
    memory: Memory,
}

const _: () = assert!(size_of::<Inspection>() <= 512, "state of a flow under inspection");

/// A set of dissectors.
#[derive(Clone, Copy, Debug, Default)]
struct Set([u64; WORDS]);

impl Set {
    fn insert(&mut self, at: u16) {
        if let Some(word) = self.0.get_mut(usize::from(at >> 6)) {
            *word |= 1 << (at & 63);
        }
    }

    fn remove(&mut self, at: u16) {
        if let Some(word) = self.0.get_mut(usize::from(at >> 6)) {
            *word &= !(1 << (at & 63));
        }
    }

    fn is_empty(self) -> bool {
        self.0 == [0; WORDS]
    }

    fn has(self, at: u16) -> bool {
        self.0.get(usize::from(at >> 6)).is_some_and(|word| word >> (at & 63) & 1 == 1)
    }

    fn and(self, other: Self) -> Self {
        let mut both = self;
        for (word, other) in both.0.iter_mut().zip(other.0) {
            *word &= other;
        }
        both
    }

    fn without(self, other: Self) -> Self {
        let mut left = self;
        for (word, other) in left.0.iter_mut().zip(other.0) {
            *word &= !other;
        }
        left
    }
}

/// Who is asked about what.
#[derive(Debug)]
struct Routes {
    tcp: Set,
    udp: Set,
    weak: Set,
    /// Ports of TCP and of UDP with their dissectors, by port.
    tcp_ports: Vec<(u16, u16)>,
    udp_ports: Vec<(u16, u16)>,
}

impl Routes {
    fn new() -> Self {
        let mut routes = Self {
            tcp: Set::default(),
            udp: Set::default(),
            weak: Set::default(),
            tcp_ports: Vec::new(),
            udp_ports: Vec::new(),
        };
        for (at, dissector) in (0_u16..).zip(ALL) {
            if dissector.strength == Strength::Weak {
                routes.weak.insert(at);
            }
            let ports = || dissector.ports.iter().map(|port| (*port, at));
            if dissector.tcp {
                routes.tcp_ports.extend(ports());
            }
            if dissector.udp {
                routes.udp_ports.extend(ports());
            }
            if dissector.is_bound {
                continue;
            }
            if dissector.tcp {
                routes.tcp.insert(at);
            }
            if dissector.udp {
                routes.udp.insert(at);
            }
        }
        routes.tcp_ports.sort();
        routes.udp_ports.sort();
        routes
    }

    /// Whom to ask of a flow: all that are not bound to ports, and those of its ports.
    fn of_flow(&self, transport: Transport, segment: &Segment<'_>) -> Set {
        let mut set = match transport {
            Transport::Tcp => self.tcp,
            Transport::Udp => self.udp,
        };
        for port in [segment.server_port, segment.client_port] {
            self.of_port(transport, port).for_each(|at| set.insert(at));
        }
        set
    }

    /// Dissectors of a port, in their order.
    fn of_port(&self, transport: Transport, port: u16) -> impl Iterator<Item = u16> {
        let ports = match transport {
            Transport::Tcp => &self.tcp_ports,
            Transport::Udp => &self.udp_ports,
        };
        let from = ports.partition_point(|(known, _)| *known < port);
        let rest = ports.get(from..).unwrap_or_default();
        rest.iter().take_while(move |(known, _)| *known == port).map(|(_, at)| *at)
    }
}

impl Inspector {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Vec::new(),
            unused: 0,
            order: VecDeque::new(),
            open: 0,
            octets: 0,
            spare: Vec::new(),
            buffers: Vec::new(),
            scratch: Facts::default(),
            routes: Routes::new(),
            statistics: Statistics::default(),
        }
    }

    /// Applies other limits, to flows that are looked at already too.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Nothing more is to be learnt of the flow with this word.
    #[inline]
    #[must_use]
    pub const fn is_done(word: u32) -> bool {
        word & DONE != 0
    }

    /// The word of a flow that is known for what it is.
    #[must_use]
    pub fn named(protocol: Protocol) -> u32 {
        DONE | INLINE | u32::from(protocol.0)
    }

    /// The word of a flow that is what one before it was.
    pub fn recalled(&mut self, outcome: Outcome) -> u32 {
        let place = self.place();
        if let Some(entry) = self.entries.get_mut(index(place)) {
            entry.outcome = outcome;
        }
        DONE | place
    }

    /// Looks at a packet of a flow that is not done.
    pub fn inspect(&mut self, word: &mut u32, segment: &Segment<'_>) -> Progress {
        let transport = match segment.proto {
            6 => Transport::Tcp,
            17 | 136 => Transport::Udp,
            number => {
                let protocol = Protocol::of_ip(number).unwrap_or_default();
                *word = Self::named(protocol);
                let named = protocol != Protocol::UNKNOWN;
                self.statistics.named = self.statistics.named.saturating_add(named.into());
                return Progress { named, refined: false, complete: true };
            }
        };
        if segment.payload.is_empty() || segment.is_padding() {
            return Progress::NONE;
        }
        if *word == 0 {
            if self.limits.packets == 0 {
                return self.conclude(word, segment);
            }
            *word = self.begin(transport, segment);
        }
        let place = *word & PLACE;
        let Some(entry) = self.entries.get_mut(index(place)) else {
            *word = DONE | INLINE;
            return Progress::NONE;
        };
        // Displaced since.
        let Some(mut inspection) = entry.inspection.take() else {
            return self.finish(word, segment);
        };
        let progress = self.look(place, &mut inspection, transport, segment);
        if progress.complete {
            self.retire(inspection);
            let finished = self.finish(word, segment);
            Progress { named: progress.named || finished.named, ..progress }
        } else {
            if let Some(entry) = self.entries.get_mut(index(place)) {
                entry.inspection = Some(inspection);
            }
            progress
        }
    }

    /// Ends the inspection of a flow: what is not known is guessed from its ports.
    pub fn conclude(&mut self, word: &mut u32, segment: &Segment<'_>) -> Progress {
        if Self::is_done(*word) {
            return Progress::NONE;
        }
        if *word == 0 {
            let transport = match segment.proto {
                6 => Transport::Tcp,
                17 | 136 => Transport::Udp,
                _ => return self.inspect(word, segment),
            };
            let protocol = self.guess(transport, segment).unwrap_or_default();
            let named = protocol != Protocol::UNKNOWN;
            self.statistics.guessed = self.statistics.guessed.saturating_add(named.into());
            let guessed = if named { GUESSED } else { 0 };
            *word = DONE | INLINE | guessed | u32::from(protocol.0);
            return Progress { named, refined: false, complete: true };
        }
        let inspection =
            self.entries.get_mut(index(*word & PLACE)).and_then(|entry| entry.inspection.take());
        if let Some(inspection) = inspection {
            self.retire(inspection);
        }
        self.finish(word, segment)
    }

    /// What is known of a flow.
    #[must_use]
    pub fn outcome(&self, word: u32) -> Outcome {
        if word & INLINE != 0 {
            let protocol = Protocol(u16::try_from(word & 0xffff).unwrap_or_default());
            return Outcome {
                protocol,
                is_guessed: word & GUESSED != 0,
                is_complete: true,
                ..Outcome::default()
            };
        }
        let entry = self.entries.get(index(word & PLACE));
        entry.map(|entry| entry.outcome.clone()).unwrap_or_default()
    }

    /// The outcome of a flow in place, if there is more of it than a word.
    #[must_use]
    pub fn outcome_ref(&self, word: u32) -> Option<&Outcome> {
        if word & INLINE != 0 {
            return None;
        }
        self.entries.get(index(word & PLACE)).map(|entry| &entry.outcome)
    }

    /// What is known of a flow, in place if there is more of it than a word, else put there.
    #[must_use]
    pub fn seen<'a>(&'a self, word: u32, owned: &'a mut Outcome) -> &'a Outcome {
        if let Some(outcome) = self.outcome_ref(word) {
            return outcome;
        }
        *owned = self.outcome(word);
        owned
    }

    /// The numbers of the application and the protocol of a flow, 0 if unknown.
    #[must_use]
    pub fn numbers(&self, word: u32) -> (u16, u16) {
        if word & INLINE != 0 {
            return (0, u16::try_from(word & 0xffff).unwrap_or_default());
        }
        let outcome = self.entries.get(index(word & PLACE)).map(|entry| &entry.outcome);
        outcome.map_or((0, 0), |outcome| (outcome.application, outcome.protocol.0))
    }

    /// Says which product a flow belongs to.
    pub fn set_application(&mut self, word: &mut u32, application: u16, found: Found) {
        if *word & INLINE != 0 || *word == 0 {
            if application == 0 {
                return;
            }
            let outcome = self.outcome(*word);
            let place = self.place();
            if let Some(entry) = self.entries.get_mut(index(place)) {
                entry.outcome = outcome;
            }
            *word = *word & DONE | place;
        }
        if let Some(entry) = self.entries.get_mut(index(*word & PLACE)) {
            (entry.outcome.application, entry.outcome.found) = (application, found);
        }
    }

    /// Forgets a flow that has ended.
    pub fn release(&mut self, word: u32) {
        let place = word & PLACE;
        if word & INLINE != 0 || place == 0 {
            return;
        }
        let Some(entry) = self.entries.get_mut(index(place)) else { return };
        let inspection = entry.inspection.take();
        entry.outcome = Outcome::default();
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.unused;
        self.unused = place;
        if let Some(inspection) = inspection {
            self.retire(inspection);
        }
    }

    /// Flows under inspection.
    #[must_use]
    pub const fn open(&self) -> usize {
        self.open
    }

    /// An entry for a flow; its number plus one.
    fn begin(&mut self, transport: Transport, segment: &Segment<'_>) -> u32 {
        while self.open >= self.limits.open {
            let Some((place, generation)) = self.order.pop_front() else { break };
            let entry = self.entries.get_mut(index(place));
            let entry = entry.filter(|entry| entry.generation == generation);
            if let Some(inspection) = entry.and_then(|entry| entry.inspection.take()) {
                self.retire(inspection);
                self.statistics.displaced = self.statistics.displaced.saturating_add(1);
            }
        }
        let place = self.place();
        let mut inspection = self.spare.pop().unwrap_or_default();
        inspection.candidates = self.routes.of_flow(transport, segment);
        self.open = self.open.saturating_add(1);
        self.statistics.begun = self.statistics.begun.saturating_add(1);
        let Some(entry) = self.entries.get_mut(index(place)) else { return 0 };
        entry.inspection = Some(inspection);
        self.order.push_back((place, entry.generation));
        // Those that ended by themselves leave their places in the queue.
        if self.order.len() > self.limits.open.saturating_mul(2) {
            let entries = &self.entries;
            self.order.retain(|(place, generation)| {
                entries.get(index(*place)).is_some_and(|entry| {
                    entry.generation == *generation && entry.inspection.is_some()
                })
            });
        }
        place
    }

    /// An unused entry; its number plus one.
    fn place(&mut self) -> u32 {
        if self.unused == 0 {
            self.entries.push(Entry::default());
            return u32::try_from(self.entries.len()).unwrap_or(PLACE) & PLACE;
        }
        let place = self.unused;
        if let Some(entry) = self.entries.get_mut(index(place)) {
            self.unused = std::mem::take(&mut entry.next);
        }
        place
    }

    /// Shows a packet to whom it may concern.
    fn look(
        &mut self,
        place: u32,
        inspection: &mut Inspection,
        transport: Transport,
        segment: &Segment<'_>,
    ) -> Progress {
        inspection.packets = inspection.packets.saturating_add(1);
        let number = inspection.packets;
        let mut is_first = false;
        if let (Transport::Tcp, Some(tcp)) = (transport, segment.tcp) {
            let seq = tcp.seq.wrapping_add(u32::from(tcp.flags & Tcp::SYN != 0));
            let half = inspection.half(segment.from_client);
            if !segment.is_start && number > 1 && number <= BEGINNINGS && half.bytes().is_empty() {
                half.clear();
            }
            let before = half.held();
            let placed = half.place(seq, segment.payload);
            self.octets = self.octets.saturating_add(half.held()).saturating_sub(before);
            match placed {
                Placed::First => is_first = true,
                Placed::Longer => {}
                Placed::Earlier => {
                    if inspection.chosen.is_none() {
                        inspection.candidates = self.routes.of_flow(transport, segment);
                    }
                }
                Placed::Nothing => {
                    let complete = number >= self.limits.packets;
                    return Progress { complete, ..Progress::NONE };
                }
            }
        }
        let (client, server) = (inspection.client.bytes(), inspection.server.bytes());
        let (own, other) = if segment.from_client { (client, server) } else { (server, client) };
        let (data, len) = match transport {
            Transport::Udp => (segment.payload, segment.len),
            Transport::Tcp if is_first => (segment.payload, segment.payload.len()),
            Transport::Tcp => (own, own.len()),
        };
        let past = usize::from(number.saturating_sub(1)).min(PAST);
        let held = inspection.memory.held();
        let view = View {
            transport,
            from_client: segment.from_client,
            data,
            other,
            len,
            is_start: segment.is_start || transport == Transport::Udp,
            client_port: segment.client_port,
            server_port: segment.server_port,
            client: segment.client,
            server: segment.server,
            ip_version: segment.ip_version,
            past: inspection.past.get(..past).unwrap_or_default(),
            number,
            memory: &inspection.memory,
        };

        let mut progress = Progress::NONE;
        if let Some(chosen) = inspection.chosen {
            let Some(entry) = self.entries.get_mut(index(place)) else { return progress };
            let Some(dissector) = ALL.get(usize::from(chosen)) else { return progress };
            let before = (entry.outcome.protocol, entry.outcome.facts.octets());
            let verdict = (dissector.dissect)(&view, &mut entry.outcome.facts);
            if let Verdict::Is(protocol) | Verdict::More(protocol) = verdict {
                entry.outcome.protocol = protocol;
            }
            progress.refined = before != (entry.outcome.protocol, entry.outcome.facts.octets());
            entry.outcome.is_refined |= progress.refined;
            entry.outcome.packets = number;
            progress.complete = !matches!(verdict, Verdict::More(_) | Verdict::Wait);
        } else {
            let mut left = inspection.candidates;
            let found = ask(&self.routes, &mut left, &view, &mut self.scratch);
            inspection.candidates = left;
            let Some(entry) = self.entries.get_mut(index(place)) else { return progress };
            entry.outcome.packets = number;
            match found {
                Some((at, protocol, more)) => {
                    inspection.chosen = Some(at);
                    entry.outcome.protocol = protocol;
                    // A copy takes no more than it needs; the room to write stays here.
                    entry.outcome.facts = self.scratch.clone();
                    self.statistics.named = self.statistics.named.saturating_add(1);
                    progress.named = true;
                    progress.complete = !more;
                }
                None if inspection.candidates.is_empty() => {
                    let again =
                        transport == Transport::Tcp && !segment.is_start && number < BEGINNINGS;
                    if again {
                        // Picked up in the middle of something: the next segment may begin anew.
                        inspection.candidates = self.routes.of_flow(transport, segment);
                        inspection.half(segment.from_client).clear();
                        return progress;
                    }
                    progress.complete = true;
                }
                None => {}
            }
        }
        if inspection.chosen.is_none() {
            inspection.memory.clear();
        }
        self.octets = self.octets.saturating_add(inspection.memory.held()).saturating_sub(held);
        if self.octets >= self.limits.octets && inspection.memory.held() > 0 {
            self.octets = self.octets.saturating_sub(inspection.memory.held());
            self.statistics.unassembled = self.statistics.unassembled.saturating_add(1);
            inspection.memory = Memory::default();
        }
        progress.complete |= number >= self.limits.packets;
        if !progress.complete {
            if let Some(glimpse) = inspection.past.get_mut(usize::from(number).wrapping_sub(1)) {
                *glimpse = Glimpse::of(segment);
            }
            if is_first {
                self.keep(inspection.half(segment.from_client), segment.payload);
            }
        }
        progress
    }

    /// Keeps the first segment of a half for those to come.
    fn keep(&mut self, half: &mut Half, payload: &[u8]) {
        if self.octets >= self.limits.octets {
            self.statistics.unassembled = self.statistics.unassembled.saturating_add(1);
            return;
        }
        if let Some(buffer) = self.buffers.pop() {
            half.lend(buffer);
            self.octets = self.octets.saturating_add(half.held());
        }
        let before = half.held();
        half.keep(payload);
        self.octets = self.octets.saturating_add(half.held()).saturating_sub(before);
    }

    /// Takes back what an inspection used.
    fn retire(&mut self, mut inspection: Box<Inspection>) {
        self.open = self.open.saturating_sub(1);
        for half in [&mut inspection.client, &mut inspection.server] {
            let buffer = std::mem::take(half).into_bytes();
            self.octets = self.octets.saturating_sub(buffer.capacity());
            if buffer.capacity() > 0 && self.buffers.len() < 64 {
                self.buffers.push(buffer);
            }
        }
        self.octets = self.octets.saturating_sub(inspection.memory.held());
        if self.spare.len() < 64 {
            *inspection = Inspection::default();
            self.spare.push(inspection);
        }
    }

    /// Marks a flow done whose inspection has ended.
    fn finish(&mut self, word: &mut u32, segment: &Segment<'_>) -> Progress {
        let place = *word & PLACE;
        let transport = if segment.proto == 6 { Transport::Tcp } else { Transport::Udp };
        let guess = self.guess(transport, segment);
        let Some(entry) = self.entries.get_mut(index(place)) else { return Progress::NONE };
        let outcome = &mut entry.outcome;
        let mut named = false;
        if outcome.protocol == Protocol::UNKNOWN
            && let Some(protocol) = guess
        {
            (outcome.protocol, outcome.is_guessed, named) = (protocol, true, true);
            self.statistics.guessed = self.statistics.guessed.saturating_add(1);
        }
        outcome.is_complete = true;
        outcome.facts.shrink();
        *word = DONE | place;
        Progress { named, refined: false, complete: true }
    }

    /// The protocol of the server's port, else of the client's.
    fn guess(&self, transport: Transport, segment: &Segment<'_>) -> Option<Protocol> {
        let mut ports = [segment.server_port, segment.client_port].into_iter();
        let of_port = |port| self.routes.of_port(transport, port).next().map(|at| (port, at));
        let (port, at) = ports.find_map(of_port)?;
        let dissector = ALL.get(usize::from(at))?;
        let other = dissector.guesses.iter().find(|(known, _)| *known == port);
        Some(other.map_or(dissector.protocol, |(_, protocol)| *protocol))
    }
}

/// Asks the dissectors that are left: those of the ports first, weak ones last. Who says no is
/// asked no more.
fn ask(
    routes: &Routes,
    left: &mut Set,
    view: &View<'_>,
    facts: &mut Facts,
) -> Option<(u16, Protocol, bool)> {
    let mut asked = Set::default();
    let by_port = [view.server_port, view.client_port]
        .into_iter()
        .flat_map(|port| routes.of_port(view.transport, port));
    for at in by_port.filter(|at| !routes.weak.has(*at)) {
        if left.has(at) && !asked.has(at) {
            asked.insert(at);
            if let Some(found) = ask_one(at, left, view, facts) {
                return Some(found);
            }
        }
    }
    let strong = left.without(routes.weak).without(asked);
    let found = ask_all(strong, left, view, facts);
    found.or_else(|| ask_all(left.and(routes.weak), left, view, facts))
}

/// Asks those of a set in their order. Of a flow that none knows that is all there are, so this
/// does nothing else between them.
fn ask_all(
    set: Set,
    left: &mut Set,
    view: &View<'_>,
    facts: &mut Facts,
) -> Option<(u16, Protocol, bool)> {
    for (base, (word, left)) in (0_u16..).step_by(64).zip(set.0.into_iter().zip(&mut left.0)) {
        let mut rest = word;
        while rest != 0 {
            let lowest = rest & rest.wrapping_neg();
            rest ^= lowest;
            let at = base | u16::try_from(lowest.trailing_zeros()).unwrap_or_default();
            let Some(dissector) = ALL.get(usize::from(at)) else { break };
            facts.clear();
            match (dissector.dissect)(view, facts) {
                Verdict::No => *left &= !lowest,
                Verdict::Wait => {}
                Verdict::Is(protocol) => return Some((at, protocol, false)),
                Verdict::More(protocol) => return Some((at, protocol, true)),
            }
        }
    }
    None
}

fn ask_one(
    at: u16,
    left: &mut Set,
    view: &View<'_>,
    facts: &mut Facts,
) -> Option<(u16, Protocol, bool)> {
    let dissector = ALL.get(usize::from(at))?;
    facts.clear();
    match (dissector.dissect)(view, facts) {
        Verdict::No => {
            left.remove(at);
            None
        }
        Verdict::Wait => None,
        Verdict::Is(protocol) => Some((at, protocol, false)),
        Verdict::More(protocol) => Some((at, protocol, true)),
    }
}

impl Inspection {
    const fn half(&mut self, from_client: bool) -> &mut Half {
        if from_client { &mut self.client } else { &mut self.server }
    }
}

impl Glimpse {
    fn of(segment: &Segment<'_>) -> Self {
        let mut head = [0; GLIMPSE];
        for (to, from) in head.iter_mut().zip(segment.payload) {
            *to = *from;
        }
        let len = u16::try_from(segment.len).unwrap_or(u16::MAX);
        Self { from_client: segment.from_client, len, head }
    }
}

/// Place in the vector of a number plus one.
fn index(place: u32) -> usize {
    usize::try_from(place.wrapping_sub(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::testing::Talk;

    #[test]
    fn protocols_without_ports_go_by_their_number() {
        let mut inspector = Inspector::new(Limits::default());
        let mut word = 0;
        let mut segment = Talk::udp(0).segment();
        segment.proto = 89;
        let progress = inspector.inspect(&mut word, &segment);
        assert!(progress.named && progress.complete);
        assert_eq!(inspector.outcome(word).protocol, Protocol::OSPF);
        assert!(Inspector::is_done(word));
        inspector.release(word);
    }

    #[test]
    fn a_flow_that_nobody_knows_is_guessed_by_its_port() {
        let talk = Talk::udp(123).client(b"what is this");
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.guess(), Protocol::NTP);
        assert_eq!(Talk::udp(40_123).client(b"what is this").guess(), Protocol::UNKNOWN);
    }

    #[test]
    fn the_oldest_gives_way_to_the_newest() {
        let mut inspector = Inspector::new(Limits { open: 2, ..Limits::default() });
        let mut words = [0; 5];
        let mut segment = Talk::tcp(65_000).segment();
        segment.payload = b"\x01";
        for word in &mut words {
            inspector.inspect(word, &segment);
            assert!(inspector.open() <= 2);
        }
        for mut word in words {
            inspector.conclude(&mut word, &segment);
            assert!(Inspector::is_done(word));
            inspector.release(word);
        }
        assert_eq!(inspector.open(), 0);
        assert_eq!(inspector.octets, 0);
    }
}
