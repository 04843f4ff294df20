//! The table of connections: a slab with a keyed hash over both tuples of each, so that a flow is
//! found by the addresses before the translation as well as by those behind it.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::flow::{Key, Record, Seed, Side};
use crate::time::Tick;
use crate::wire::decode::Tuple;
use crate::wire::netlink::conntrack::{Tracked, Volume, status};

/// Connections at a time: 3 MiB. A new one takes the place of the one that has been gone for
/// longest; if none is gone, it is left out, counted, and tried again with the next dump.
pub const MAX_CONNECTIONS: usize = 16_384;

/// A connection that is gone is still known for so long, in microseconds: what is told of a flow
/// that has just ended still says how it was translated.
const LINGER: u64 = 120_000_000;

/// Hash chains to begin with; they are doubled as the table grows.
const FIRST_BUCKETS: usize = 256;

/// All connections.
#[derive(Debug)]
pub struct Table {
    seed: Seed,
    /// First links of the chains, a power of two of them; 0 is none.
    buckets: Vec<u32>,
    entries: Vec<Entry>,
    /// Places that are not used.
    free: Vec<u32>,
    /// Those that are gone, the first gone first; some have come back since.
    gone: VecDeque<(u32, Tick)>,
    limit: usize,
    sums: Sums,
    /// Counts dumps.
    round: u32,
    /// When the dump before the current one began: what only shows up now is younger.
    before: Tick,
    begun: Tick,
    /// Connections that found no room.
    pub refused: u64,
}

/// How many connections there are of which kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sums {
    /// Tracked now.
    pub live: usize,
    /// Of these, translated.
    pub translated: usize,
    /// Of these, offloaded, in software or in hardware.
    pub offloaded: usize,
    /// Of these, offloaded to the network card.
    pub hardware: usize,
}

#[derive(Debug)]
struct Entry {
    /// Of the original and of the reply tuple; one key twice if it is not translated.
    keys: [Key; 2],
    hashes: [u32; 2],
    /// Next links of the chains that both keys are in.
    next: [u32; 2],
    /// The end of each key that its tuple has as the source.
    sources: [Side; 2],
    zone: u16,
    id: Option<u32>,
    mark: u32,
    status: u32,
    volumes: Option<[Volume; 2]>,
    /// The dump that told of it last.
    round: u32,
    /// It began after this moment and before the next one.
    after: Tick,
    known: Tick,
    gone: Option<Tick>,
    used: bool,
}

/// A connection as a flow finds it.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    entry: &'a Entry,
    /// The tuple by which it was found: 0 the original one, 1 that of the replies.
    by: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            seed: Seed::random(),
            buckets: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
            gone: VecDeque::new(),
            limit: MAX_CONNECTIONS,
            sums: Sums::default(),
            round: 0,
            before: Tick(0),
            begun: Tick(0),
            refused: 0,
        }
    }
}

impl Table {
    /// Everything is about to be dumped.
    pub const fn begin(&mut self, now: Tick) {
        self.round = self.round.wrapping_add(1);
        self.before = self.begun;
        self.begun = now;
    }

    /// The connection is tracked; `is_event` if the kernel told of it by itself.
    pub fn learn(&mut self, tracked: &Tracked, is_event: bool, now: Tick) {
        let (keys, sources) = keys_of(tracked);
        let slot = match self.slot_of(&keys, tracked.id) {
            Some(slot) => slot,
            None => {
                let Some(slot) = self.claim(now) else {
                    self.refused = self.refused.saturating_add(1);
                    return;
                };
                let after = if is_event { now } else { self.before };
                self.link(slot, keys, sources, after, now);
                slot
            }
        };
        self.tally(slot, false);
        let round = self.round;
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            entry.zone = tracked.zone;
            entry.id = tracked.id.or(entry.id);
            entry.mark = tracked.mark.unwrap_or(entry.mark);
            entry.status = tracked.status.unwrap_or(entry.status);
            entry.volumes = tracked.volumes.or(entry.volumes);
            entry.round = round;
            entry.gone = None;
        }
        self.tally(slot, true);
    }

    /// The connection is tracked no more.
    pub fn forget(&mut self, tracked: &Tracked, now: Tick) {
        let (keys, _) = keys_of(tracked);
        let Some(slot) = self.slot_of(&keys, tracked.id) else { return };
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            entry.volumes = tracked.volumes.or(entry.volumes);
        }
        self.let_go(slot, now);
    }

    /// Everything was dumped: looks at `budget` places from `at` on, and lets go of what the dump
    /// did not tell of. `true` if there are more.
    pub fn sweep(&mut self, at: &mut u32, budget: u32, now: Tick) -> bool {
        let end = at.saturating_add(budget);
        let all = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        for slot in *at..end.min(all) {
            let entry = self.entries.get(slot as usize);
            if entry.is_some_and(|e| e.used && e.gone.is_none() && e.round != self.round) {
                self.let_go(slot, now);
            }
        }
        *at = end;
        end < all
    }

    /// Forgets those that have been gone for long, at most `budget` of them.
    pub fn expire(&mut self, budget: usize, now: Tick) {
        for _ in 0..budget {
            let Some((slot, at)) = self.gone.front().copied() else { break };
            let is_gone = self.is_gone_since(slot, at);
            if is_gone && now.since(at) < LINGER && self.gone.len() < self.limit {
                break;
            }
            self.gone.pop_front();
            if is_gone {
                self.release(slot);
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        let refused = self.refused;
        *self = Self { limit: self.limit, refused, ..Self::default() };
    }

    /// At most so many from now on, [`MAX_CONNECTIONS`] at the most.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.clamp(1, MAX_CONNECTIONS);
    }

    /// How many there are.
    #[must_use]
    pub const fn sums(&self) -> Sums {
        self.sums
    }

    /// Nothing is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The connection of a flow.
    #[must_use]
    pub fn of_key(&self, key: &Key) -> Option<Found<'_>> {
        if self.is_empty() {
            return None;
        }
        let key = Key { iface: 0, vlan: 0, ..*key };
        let hash = self.seed.hash(&key);
        let mut link = self.bucket(hash);
        let mut best: Option<Found<'_>> = None;
        // A connection that is there hides one that is gone.
        while let Some((slot, by)) = place_of(link) {
            let entry = self.entries.get(slot as usize)?;
            if entry.keys.get(by) == Some(&key) {
                let found = Found { entry, by };
                if entry.gone.is_none() {
                    return Some(found);
                }
                best = best.or(Some(found));
            }
            link = *entry.next.get(by)?;
        }
        best
    }

    /// The connection of a flow that may have left its table.
    #[must_use]
    pub fn of_record(&self, record: &Record) -> Option<Found<'_>> {
        if self.is_empty() || record.is_carrier {
            return None;
        }
        let (from, to) = (&record.initiator, &record.responder);
        let tuple = Tuple {
            version: record.version,
            proto: record.proto,
            src: octets(from.ip),
            dst: octets(to.ip),
            sport: from.port,
            dport: to.port,
        };
        self.of_key(&Key::of(0, 0, &tuple, None).0)
    }

    /// The place of a connection with these keys, unless the number says that it is another one.
    fn slot_of(&self, keys: &[Key; 2], id: Option<u32>) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let [original, _] = keys;
        let mut link = self.bucket(self.seed.hash(original));
        while let Some((slot, by)) = place_of(link) {
            let entry = self.entries.get(slot as usize)?;
            let other = matches!((entry.id, id), (Some(known), Some(id)) if known != id);
            if by == 0 && entry.keys == *keys && !other {
                return Some(slot);
            }
            link = *entry.next.get(by)?;
        }
        None
    }

    /// A place for one more.
    fn claim(&mut self, now: Tick) -> Option<u32> {
        self.expire(2, now);
        if self.free.is_empty() && self.entries.len() >= self.limit {
            while let Some((slot, at)) = self.gone.pop_front() {
                if self.is_gone_since(slot, at) {
                    self.release(slot);
                    break;
                }
            }
        }
        self.free.pop().or_else(|| {
            let slot = u32::try_from(self.entries.len()).ok()?;
            if self.entries.len() >= self.limit {
                return None;
            }
            self.entries.push(Entry::VACANT);
            Some(slot)
        })
    }

    fn link(&mut self, slot: u32, keys: [Key; 2], sources: [Side; 2], after: Tick, known: Tick) {
        if self.entries.len() > self.buckets.len() / 2 {
            self.grow();
        }
        let hashes = keys.map(|key| self.seed.hash(&key));
        let new = Entry { keys, hashes, sources, after, known, used: true, ..Entry::VACANT };
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            *entry = new;
        }
        self.chain(slot);
        self.tally(slot, true);
    }

    /// Puts an entry at the head of the chains of its keys.
    fn chain(&mut self, slot: u32) {
        for by in 0..2_usize {
            let Some(entry) = self.entries.get(slot as usize) else { return };
            if by == 1 && !entry.is_translated() {
                return;
            }
            let Some(hash) = entry.hashes.get(by).copied() else { return };
            let head = self.bucket(hash);
            let at = self.index(hash);
            if let Some(bucket) = self.buckets.get_mut(at) {
                *bucket = link_of(slot, by);
            }
            if let Some(next) =
                self.entries.get_mut(slot as usize).and_then(|entry| entry.next.get_mut(by))
            {
                *next = head;
            }
        }
    }

    fn unchain(&mut self, slot: u32, by: usize) {
        let Some(entry) = self.entries.get(slot as usize) else { return };
        let (Some(hash), Some(next)) = (entry.hashes.get(by).copied(), entry.next.get(by).copied())
        else {
            return;
        };
        let wanted = link_of(slot, by);
        let at = self.index(hash);
        let mut link = self.bucket(hash);
        if link == wanted {
            if let Some(bucket) = self.buckets.get_mut(at) {
                *bucket = next;
            }
            return;
        }
        while let Some((slot, by)) = place_of(link) {
            let place = self.entries.get_mut(slot as usize).and_then(|e| e.next.get_mut(by));
            let Some(place) = place else { return };
            if *place == wanted {
                *place = next;
                return;
            }
            link = *place;
        }
    }

    fn grow(&mut self) {
        let wanted = self.buckets.len().saturating_mul(2).max(FIRST_BUCKETS);
        self.buckets.clear();
        self.buckets.resize(wanted, 0);
        for slot in 0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX) {
            if self.entries.get(slot as usize).is_some_and(|entry| entry.used) {
                self.chain(slot);
            }
        }
    }

    fn let_go(&mut self, slot: u32, now: Tick) {
        self.tally(slot, false);
        let Some(entry) = self.entries.get_mut(slot as usize) else { return };
        if entry.gone.is_none() {
            entry.gone = Some(now);
            self.gone.push_back((slot, now));
        }
    }

    fn is_gone_since(&self, slot: u32, at: Tick) -> bool {
        self.entries.get(slot as usize).is_some_and(|entry| entry.used && entry.gone == Some(at))
    }

    fn release(&mut self, slot: u32) {
        let translated = self.entries.get(slot as usize).is_some_and(Entry::is_translated);
        self.unchain(slot, 0);
        if translated {
            self.unchain(slot, 1);
        }
        if let Some(entry) = self.entries.get_mut(slot as usize) {
            *entry = Entry::VACANT;
        }
        self.free.push(slot);
    }

    /// Counts an entry, or takes it out of the counts.
    fn tally(&mut self, slot: u32, is_added: bool) {
        let Some(entry) = self.entries.get(slot as usize).filter(|entry| entry.gone.is_none())
        else {
            return;
        };
        let sums = &mut self.sums;
        for (sum, is) in [
            (&mut sums.live, true),
            (&mut sums.translated, entry.is_translated()),
            (&mut sums.offloaded, entry.is_offloaded()),
            (&mut sums.hardware, entry.status & status::HW_OFFLOAD != 0),
        ] {
            let one = usize::from(is);
            *sum = if is_added { sum.saturating_add(one) } else { sum.saturating_sub(one) };
        }
    }

    const fn index(&self, hash: u32) -> usize {
        hash as usize & self.buckets.len().wrapping_sub(1)
    }

    fn bucket(&self, hash: u32) -> u32 {
        self.buckets.get(self.index(hash)).copied().unwrap_or(0)
    }
}

impl Entry {
    const VACANT: Self = Self {
        keys: [NOBODY; 2],
        hashes: [0; 2],
        next: [0; 2],
        sources: [Side::Lower; 2],
        zone: 0,
        id: None,
        mark: 0,
        status: 0,
        volumes: None,
        round: 0,
        after: Tick(0),
        known: Tick(0),
        gone: None,
        used: false,
    };

    fn is_translated(&self) -> bool {
        let [original, reply] = &self.keys;
        original != reply
    }

    const fn is_offloaded(&self) -> bool {
        self.status & (status::OFFLOAD | status::HW_OFFLOAD) != 0
    }
}

const NOBODY: Key = Key {
    address: crate::flow::Sides { lower: [0; 16], upper: [0; 16] },
    port: crate::flow::Sides { lower: 0, upper: 0 },
    iface: 0,
    vlan: 0,
    proto: 0,
    version: 0,
};

/// An address with its port.
pub type Place = (IpAddr, u16);

impl Found<'_> {
    /// Its number in the kernel, where netlink tells it.
    #[must_use]
    pub const fn id(&self) -> Option<u32> {
        self.entry.id
    }

    /// The mark that rules have put on it.
    #[must_use]
    pub const fn mark(&self) -> u32 {
        self.entry.mark
    }

    /// Its zone.
    #[must_use]
    pub const fn zone(&self) -> u16 {
        self.entry.zone
    }

    /// Its addresses or ports are others on the other side.
    #[must_use]
    pub fn is_translated(&self) -> bool {
        self.entry.is_translated()
    }

    /// Its packets do not come by here any more.
    #[must_use]
    pub const fn is_offloaded(&self) -> bool {
        self.entry.is_offloaded() && self.entry.gone.is_none()
    }

    /// The card forwards them.
    #[must_use]
    pub const fn is_in_hardware(&self) -> bool {
        self.entry.status & status::HW_OFFLOAD != 0
    }

    /// Source and destination of the answers.
    #[must_use]
    pub fn reply(&self) -> (Place, Place) {
        self.tuple(1)
    }

    /// Opener and server as they are on the other side of the translation.
    #[must_use]
    pub fn other_side(&self) -> (Place, Place) {
        if self.by == 0 {
            let (server, opener) = self.tuple(1);
            (opener, server)
        } else {
            self.tuple(0)
        }
    }

    /// The end of the flow that opened the connection.
    #[must_use]
    pub fn opener(&self) -> Side {
        let [original, reply] = self.entry.sources;
        if self.by == 0 { original } else { reply.other() }
    }

    /// What was sent by the opener and by the other end, if the kernel counts.
    #[must_use]
    pub const fn volumes(&self) -> Option<[Volume; 2]> {
        self.entry.volumes
    }

    /// It began between these moments; the earlier one is 0 if it was there before all else.
    #[must_use]
    pub const fn began(&self) -> (Tick, Tick) {
        (self.entry.after, self.entry.known)
    }

    /// Source and destination of one of its tuples.
    fn tuple(&self, which: usize) -> (Place, Place) {
        let [k0, k1] = &self.entry.keys;
        let [s0, s1] = self.entry.sources;
        let (key, source) = if which == 0 { (k0, s0) } else { (k1, s1) };
        let place = |side: Side| (key.ip(side), *key.port.of(side));
        (place(source), place(source.other()))
    }
}

fn keys_of(tracked: &Tracked) -> ([Key; 2], [Side; 2]) {
    let (original, from) = Key::of(0, 0, &tracked.original, None);
    let (reply, back) = Key::of(0, 0, &tracked.reply, None);
    ([original, reply], [from, back])
}

/// Left-aligned, as keys have them.
fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96).to_be_bytes(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// A link to an entry by one of its two keys; 0 is none.
const fn link_of(slot: u32, by: usize) -> u32 {
    (slot << 1 | if by == 0 { 0 } else { 1 }).wrapping_add(1)
}

const fn place_of(link: u32) -> Option<(u32, usize)> {
    match link.checked_sub(1) {
        Some(place) => Some((place >> 1, (place & 1) as usize)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Tick = Tick(1_000_000);

    fn tuple(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Tuple {
        let wide = |v4: [u8; 4]| octets(IpAddr::from(v4));
        Tuple { version: 4, proto: 6, src: wide(src), dst: wide(dst), sport, dport }
    }

    /// 192.168.1.5 talks to 198.51.100.1 through 203.0.113.7.
    fn masqueraded(port: u16) -> Tracked {
        Tracked {
            original: tuple([192, 168, 1, 5], port, [198, 51, 100, 1], 443),
            reply: tuple([198, 51, 100, 1], 443, [203, 0, 113, 7], port ^ 0x8000),
            id: Some(u32::from(port)),
            mark: Some(7),
            ..Tracked::default()
        }
    }

    fn key(tuple: &Tuple) -> Key {
        // On some interface, in some VLAN.
        Key::of(3, 9, tuple, None).0
    }

    fn place(text: &str) -> Place {
        let address: std::net::SocketAddr = text.parse().unwrap();
        (address.ip(), address.port())
    }

    #[test]
    fn both_sides_of_a_translation_find_the_same_connection() {
        let mut table = Table::default();
        assert!(table.of_key(&Key::default()).is_none());
        let tracked = masqueraded(1_000);
        table.learn(&tracked, true, AT);
        let inside = table.of_key(&key(&tracked.original)).unwrap();
        assert!(inside.is_translated());
        let (opener, server) = inside.other_side();
        assert_eq!((opener, server), (place("203.0.113.7:33768"), place("198.51.100.1:443")));
        let outside = table.of_key(&key(&tracked.reply)).unwrap();
        assert_eq!(outside.other_side().0, place("192.168.1.5:1000"));
        assert_eq!(outside.reply().1, place("203.0.113.7:33768"));
        // 192… and 203… opened it: below and above the server's address.
        assert_eq!((inside.opener(), outside.opener()), (Side::Lower, Side::Upper));
        assert_eq!((inside.id(), inside.mark()), (Some(1_000), 7));
        assert_eq!(table.sums(), Sums { live: 1, translated: 1, ..Sums::default() });
    }

    #[test]
    fn a_connection_that_is_gone_is_known_for_a_while() {
        let mut table = Table::default();
        let tracked = masqueraded(1);
        table.learn(&tracked, true, AT);
        table.forget(&tracked, AT);
        assert_eq!(table.sums(), Sums::default());
        assert!(table.of_key(&key(&tracked.reply)).is_some());
        // Its ports were taken by another one meanwhile: that one is found.
        let next = Tracked { id: Some(77), ..tracked };
        table.learn(&next, true, AT);
        assert_eq!(table.of_key(&key(&tracked.original)).unwrap().id(), Some(77));
        // The end of the first, told late, is not that of the second.
        table.forget(&tracked, AT);
        assert_eq!(table.sums().live, 1);
        table.expire(10, AT.plus(LINGER));
        table.forget(&next, AT.plus(LINGER));
        table.expire(10, AT.plus(2 * LINGER));
        assert!(table.of_key(&key(&tracked.original)).is_none());
        assert!(table.of_key(&key(&tracked.reply)).is_none());
    }

    #[test]
    fn what_a_dump_does_not_tell_of_is_gone() {
        let mut table = Table::default();
        table.begin(AT);
        (1..=5).for_each(|port| table.learn(&masqueraded(port), false, AT));
        let later = AT.plus(1);
        table.begin(later);
        table.learn(&masqueraded(2), false, later);
        table.learn(&masqueraded(9), true, later);
        let mut at = 0;
        while table.sweep(&mut at, 2, later) {}
        assert_eq!(table.sums().live, 2);
        // Born within the second dump: after the first had begun.
        table.learn(&masqueraded(10), false, later);
        let found = table.of_key(&key(&masqueraded(10).original)).unwrap();
        assert_eq!(found.began(), (AT, later));
    }

    #[test]
    fn a_full_table_gives_up_what_is_gone_and_then_refuses() {
        let mut table = Table::default();
        table.set_limit(600);
        (0..600).for_each(|port| table.learn(&masqueraded(port), true, AT));
        table.learn(&masqueraded(1_000), true, AT);
        assert_eq!((table.sums().live, table.refused), (600, 1));
        table.forget(&masqueraded(0), AT);
        table.learn(&masqueraded(1_000), true, AT);
        assert_eq!((table.sums().live, table.refused), (600, 1));
        assert!(table.of_key(&key(&masqueraded(0).original)).is_none());
        for port in (1..600).chain([1_000]) {
            let tracked = masqueraded(port);
            for tuple in [tracked.original, tracked.reply] {
                let found = table.of_key(&key(&tuple)).unwrap();
                assert_eq!(found.id(), Some(u32::from(port)));
            }
        }
        table.clear();
        assert!(table.is_empty() && table.refused == 1);
    }

    #[test]
    fn offload_is_seen_to_begin_and_to_end() {
        let mut table = Table::default();
        let mut tracked = masqueraded(1);
        for (bits, offloaded, hardware) in
            [(0, 0, 0), (status::OFFLOAD, 1, 0), (3 << 14, 1, 1), (0, 0, 0)]
        {
            tracked.status = Some(bits);
            table.learn(&tracked, false, AT);
            let sums = table.sums();
            assert_eq!((sums.offloaded, sums.hardware, sums.live), (offloaded, hardware, 1));
            let found = table.of_key(&key(&tracked.original)).unwrap();
            assert_eq!(found.is_offloaded(), offloaded == 1);
        }
    }
}
