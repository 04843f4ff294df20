//! What passed a moment ago: the latest packets of each interface that is captured, in memory
//! that was set aside for them. The beginnings of packets reach further back than the rest of
//! them.

use crate::counters::Counters;
use crate::time::Wall;
use crate::wire::link::VlanTag;
use crate::wire::raw::{Checksum, Kind, RawFrame};

/// Octets of the beginning of a packet that are kept apart from the rest.
pub const HEAD: usize = 128;

/// Interfaces remembered; later ones are not.
pub const MAX_INTERFACES: usize = 64;

/// The part of the machine's memory that all of it may take.
const SHARE: u64 = 8;

/// The latest packets of interfaces.
#[derive(Debug, Default)]
pub struct Lookback {
    memories: Vec<(u32, Memory)>,
    /// Octets for each interface.
    size: usize,
    /// Octets for all of them.
    most: usize,
    refused: u64,
}

/// The latest packets of one interface, by numbers without gaps.
#[derive(Debug)]
pub struct Memory {
    heads: Vec<Head>,
    most: usize,
    /// The number of the next packet.
    next: u64,
    rests: Box<[u8]>,
    /// Octets of rests ever written.
    written: u64,
    cooked: bool,
}

/// A packet's beginning, and what is known of it.
#[derive(Clone, Debug)]
struct Head {
    /// Nanoseconds since 1970.
    nanos: u64,
    /// Where its rest begins, counted over all rests.
    rest_at: u64,
    captured: u32,
    wire_len: u32,
    vlan: Option<VlanTag>,
    protocol: u16,
    kind: Kind,
    checksum: Checksum,
    head: [u8; HEAD],
}

impl Lookback {
    /// Changes how much is remembered: octets for each interface, 0 for nothing at all. `ram` is
    /// the memory of the machine, 0 if unknown. What was remembered with another size is
    /// forgotten.
    pub fn resize(&mut self, octets: usize, ram: u64) {
        if octets != self.size {
            self.memories = Vec::new();
        }
        self.size = octets;
        let share = if ram == 0 { u64::MAX } else { ram / SHARE };
        self.most = usize::try_from(share).unwrap_or(usize::MAX);
    }

    /// Whether anything is remembered.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.size > 0
    }

    /// Remembers packets of an interface, in their order; `cooked` are those without a link
    /// header. Allocates nothing but for the first packet of an interface.
    #[inline]
    pub fn remember(&mut self, ifindex: u32, cooked: bool, raws: &[RawFrame<'_>]) {
        if self.size == 0 || raws.is_empty() {
            return;
        }
        let at = match self.memories.iter().position(|(known, _)| *known == ifindex) {
            Some(at) => at,
            None => {
                let taken = self.memories.len().saturating_add(1).saturating_mul(self.size);
                if self.memories.len() >= MAX_INTERFACES || taken > self.most {
                    self.refused = self.refused.saturating_add(raws.len() as u64);
                    return;
                }
                self.memories.push((ifindex, Memory::new(self.size, cooked)));
                self.memories.len().saturating_sub(1)
            }
        };
        if let Some((_, memory)) = self.memories.get_mut(at) {
            for raw in raws {
                memory.remember(raw);
            }
        }
    }

    /// Forgets an interface that is gone.
    pub fn forget(&mut self, ifindex: u32) {
        self.memories.retain(|(known, _)| *known != ifindex);
    }

    /// What is remembered of an interface.
    #[must_use]
    pub fn of(&self, ifindex: u32) -> Option<&Memory> {
        self.memories.iter().find(|(known, _)| *known == ifindex).map(|(_, memory)| memory)
    }

    /// Moves what was lost since the last call into the counters.
    pub fn count_into(&mut self, counters: &mut Counters) {
        let refused = std::mem::take(&mut self.refused);
        counters.lookback_refused = counters.lookback_refused.saturating_add(refused);
    }
}

impl Memory {
    /// Half of the memory is for beginnings, half for what is behind them.
    fn new(size: usize, cooked: bool) -> Self {
        let half = size / 2;
        let most = half.checked_div(size_of::<Head>()).unwrap_or(0).max(1);
        Self {
            heads: Vec::with_capacity(most),
            most,
            next: 0,
            rests: vec![0; half].into(),
            written: 0,
            cooked,
        }
    }

    fn remember(&mut self, raw: &RawFrame<'_>) {
        let (front, rest) = raw.data.split_at_checked(HEAD).unwrap_or((raw.data, &[]));
        let mut head = [0; HEAD];
        if let Some(to) = head.get_mut(..front.len()) {
            to.copy_from_slice(front);
        }
        // What is longer than all there is for it is kept by its beginning.
        let rest = if rest.len() > self.rests.len() { &[] } else { rest };
        let seconds = u64::try_from(raw.wall.secs()).unwrap_or(0);
        let new = Head {
            nanos: seconds.saturating_mul(1_000_000_000).saturating_add(raw.nanos.into()),
            rest_at: self.written,
            captured: u32::try_from(front.len().saturating_add(rest.len())).unwrap_or(u32::MAX),
            wire_len: raw.wire_len,
            vlan: raw.vlan,
            protocol: raw.protocol,
            kind: raw.kind,
            checksum: raw.checksum,
            head,
        };
        let (begin, end) = self.halves(self.written, rest.len());
        let (first, second) = rest.split_at_checked(begin.len()).unwrap_or((rest, &[]));
        if let Some(to) = self.rests.get_mut(begin) {
            to.copy_from_slice(first);
        }
        if let Some(to) = self.rests.get_mut(end) {
            to.copy_from_slice(second);
        }
        self.written = self.written.saturating_add(rest.len() as u64);
        match self.place(self.next).and_then(|at| self.heads.get_mut(at)) {
            Some(oldest) => *oldest = new,
            None => self.heads.push(new),
        }
        self.next = self.next.saturating_add(1);
    }

    /// Where so many octets from a place on lie: up to the end of the memory, and from its
    /// beginning.
    fn halves(&self, at: u64, len: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let size = self.rests.len();
        let at = at.checked_rem(size as u64).and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
        let first = len.min(size.saturating_sub(at));
        (at..at.saturating_add(first), 0..len.saturating_sub(first))
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_rem(self.most as u64)?).ok()
    }

    fn head(&self, number: u64) -> Option<&Head> {
        self.heads.get(self.place(number).filter(|_| number >= self.first() && number < self.next)?)
    }

    fn has_rest(&self, head: &Head) -> bool {
        self.written.saturating_sub(head.rest_at) <= self.rests.len() as u64
    }

    /// The number of the oldest packet that is remembered.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.next.saturating_sub(self.heads.len() as u64)
    }

    /// The number that the next packet will have.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// Its packets have no link header.
    #[must_use]
    pub const fn is_cooked(&self) -> bool {
        self.cooked
    }

    /// When a packet was seen, in nanoseconds since 1970.
    #[must_use]
    pub fn stamp(&self, number: u64) -> Option<u64> {
        self.head(number).map(|head| head.nanos)
    }

    /// The number of the first packet that was seen at this moment or later.
    #[must_use]
    pub fn seek(&self, nanos: u64) -> u64 {
        let (mut low, mut high) = (self.first(), self.next);
        // Halved each time.
        while low < high {
            let middle = low.midpoint(high);
            if self.stamp(middle).is_some_and(|stamp| stamp < nanos) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        low
    }

    /// The moments of the oldest packet, and of the oldest that is there whole.
    #[must_use]
    pub fn reach(&self) -> Option<(u64, u64)> {
        let (first, mut low, mut high) = (self.first(), self.first(), self.next);
        while low < high {
            let middle = low.midpoint(high);
            match self.head(middle) {
                Some(head) if !self.has_rest(head) => low = middle.saturating_add(1),
                _ => high = middle,
            }
        }
        Some((self.stamp(first)?, self.stamp(low.min(self.next.saturating_sub(1)))?))
    }

    /// A packet as it was seen, or its beginning if the rest gave way; `scratch` is where it is
    /// put together.
    #[must_use]
    pub fn frame<'a>(
        &'a self,
        number: u64,
        ifindex: u32,
        scratch: &'a mut Vec<u8>,
    ) -> Option<RawFrame<'a>> {
        let head = self.head(number)?;
        let captured = usize::try_from(head.captured).ok()?;
        let front = head.head.get(..captured).unwrap_or(&head.head);
        let data = match captured.checked_sub(HEAD).filter(|rest| *rest > 0 && self.has_rest(head))
        {
            None => front,
            Some(rest) => {
                let (begin, end) = self.halves(head.rest_at, rest);
                scratch.clear();
                scratch.extend_from_slice(front);
                scratch.extend_from_slice(self.rests.get(begin)?);
                scratch.extend_from_slice(self.rests.get(end)?);
                scratch
            }
        };
        Some(RawFrame {
            wall: Wall(i64::try_from(head.nanos / 1_000).ok()?),
            nanos: u32::try_from(head.nanos % 1_000_000_000).ok()?,
            data,
            wire_len: head.wire_len,
            vlan: head.vlan,
            protocol: head.protocol,
            kind: head.kind,
            ifindex,
            checksum: head.checksum,
            ..RawFrame::EMPTY
        })
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests {
    use super::*;

    fn raw(nanos: u64, data: &[u8]) -> RawFrame<'_> {
        RawFrame {
            wall: Wall((nanos / 1_000).cast_signed()),
            nanos: u32::try_from(nanos % 1_000_000_000).unwrap(),
            data,
            wire_len: 9_000,
            kind: Kind::OUTGOING,
            protocol: 0x0800,
            ..RawFrame::EMPTY
        }
    }

    fn filled(size: usize, packets: u64, len: usize) -> Lookback {
        let mut lookback = Lookback::default();
        lookback.resize(size, 0);
        for n in 0..packets {
            let data = vec![u8::try_from(n % 251).unwrap(); len];
            lookback.remember(7, false, &[raw(n * 1_000, &data)]);
        }
        lookback
    }

    #[test]
    fn beginnings_are_there_longer_than_whole_packets() {
        let lookback = filled(64 * 1024, 5_000, 1_000);
        let memory = lookback.of(7).unwrap();
        assert_eq!(memory.next(), 5_000);
        let (oldest, whole) = memory.reach().unwrap();
        assert_eq!(oldest, memory.first() * 1_000);
        assert!(oldest < whole && whole < 4_999_000);
        let mut scratch = Vec::new();
        for number in memory.first()..memory.next() {
            let frame = memory.frame(number, 7, &mut scratch).unwrap();
            let expected = if number * 1_000 < whole { HEAD } else { 1_000 };
            assert_eq!((frame.data.len(), frame.wire_len), (expected, 9_000), "{number}");
            assert!(frame.data.iter().all(|b| u64::from(*b) == number % 251));
            assert_eq!((frame.kind, frame.ifindex), (Kind::OUTGOING, 7));
            assert_eq!(
                (frame.wall.0.cast_unsigned(), frame.nanos),
                (number, (number * 1_000) as u32)
            );
        }
        assert!(memory.frame(memory.first() - 1, 7, &mut scratch).is_none());
        assert!(memory.frame(5_000, 7, &mut scratch).is_none());
    }

    #[test]
    fn packets_are_found_by_their_moment() {
        let lookback = filled(64 * 1024, 3_000, 60);
        let memory = lookback.of(7).unwrap();
        assert_eq!(memory.seek(0), memory.first());
        assert_eq!(memory.seek(2_990_000), 2_990);
        assert_eq!(memory.seek(2_990_001), 2_991);
        assert_eq!(memory.seek(u64::MAX), 3_000);
        assert_eq!(memory.reach().unwrap().0, memory.reach().unwrap().1);
    }

    #[test]
    fn memory_is_set_aside_for_so_many_interfaces_and_no_more() {
        let mut lookback = Lookback::default();
        lookback.remember(1, false, &[raw(1, &[0; 60])]);
        assert!(!lookback.is_on() && lookback.of(1).is_none());
        lookback.resize(1 << 16, 1 << 22);
        for ifindex in 0..100 {
            lookback.remember(ifindex, false, &[raw(1, &[0; 60])]);
        }
        assert!(lookback.of(7).is_some() && lookback.of(8).is_none());
        let mut counters = Counters::default();
        lookback.count_into(&mut counters);
        assert_eq!(counters.lookback_refused, 92);
        lookback.forget(3);
        lookback.remember(99, true, &[raw(1, &[0; 60])]);
        assert!(lookback.of(99).is_some_and(Memory::is_cooked));
        lookback.resize(0, 0);
        assert!(lookback.of(99).is_none());
    }

    proptest::proptest! {
        #[test]
        fn whatever_its_lengths_packets_come_back_as_they_were(
            lengths in proptest::collection::vec(0_usize..6_000, 1..80),
            size in 512_usize..20_000,
        ) {
            let mut lookback = Lookback::default();
            lookback.resize(size, 0);
            for (n, len) in (0..).zip(&lengths) {
                let data = vec![n; *len];
                lookback.remember(1, false, &[raw(u64::from(n), &data)]);
            }
            let memory = lookback.of(1).unwrap();
            let mut scratch = Vec::new();
            for number in memory.first()..memory.next() {
                let frame = memory.frame(number, 1, &mut scratch).unwrap();
                let len = lengths[usize::try_from(number).unwrap()];
                proptest::prop_assert!(frame.data.len() == len || frame.data.len() == len.min(HEAD));
                proptest::prop_assert!(frame.data.iter().all(|b| u64::from(*b) == number));
            }
        }
    }
}
