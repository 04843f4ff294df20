//! Ports of datagrams that were cut into fragments. Nothing is put together again: the first
//! fragment leaves its ports here, the later ones fetch them (reliability rule P6).

use crate::time::Tick;
use crate::wire::decode::Tuple;

/// Datagrams remembered; the least recently used one gives way.
const ENTRIES: usize = 256;

/// Fragments of one datagram arrive within this time (RFC 8200 section 4.5 allows 60 s).
const LIFETIME_MICROS: u64 = 30_000_000;

/// The datagrams whose first fragment was seen lately.
#[derive(Debug)]
pub(super) struct Fragments {
    // Scanned for each fragment, so kept dense.
    tags: [u32; ENTRIES],
    used: [u32; ENTRIES],
    entries: [Entry; ENTRIES],
    uses: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    tuple: Tuple,
    id: u32,
    seen: Tick,
}

impl Fragments {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            tags: [0; ENTRIES],
            used: [0; ENTRIES],
            entries: [Entry::default(); ENTRIES],
            uses: 0,
        })
    }

    /// Remembers the ports of a first fragment.
    pub(super) fn learn(&mut self, tuple: &Tuple, id: u32, ts: Tick) {
        let at = self.find(tuple, id).unwrap_or_else(|| self.oldest());
        let entry = Entry { tuple: *tuple, id, seen: ts };
        self.uses = self.next_use();
        let uses = self.uses;
        if let (Some(slot), Some(tag), Some(used)) =
            (self.entries.get_mut(at), self.tags.get_mut(at), self.used.get_mut(at))
        {
            (*slot, *tag, *used) = (entry, tag_of(tuple, id), uses);
        }
    }

    /// The ports of a later fragment, if its first one was seen.
    pub(super) fn ports(&mut self, tuple: &Tuple, id: u32, ts: Tick) -> Option<(u16, u16)> {
        let at = self.find(tuple, id)?;
        self.uses = self.next_use();
        let (entry, used) = (self.entries.get(at)?, self.used.get_mut(at)?);
        if ts.since(entry.seen) > LIFETIME_MICROS {
            return None;
        }
        *used = self.uses;
        Some((entry.tuple.sport, entry.tuple.dport))
    }

    fn find(&self, tuple: &Tuple, id: u32) -> Option<usize> {
        let wanted = tag_of(tuple, id);
        let same = |entry: &Entry| {
            let have = &entry.tuple;
            entry.id == id
                && (have.version, have.proto) == (tuple.version, tuple.proto)
                && (have.src, have.dst) == (tuple.src, tuple.dst)
        };
        let mut tagged = self.tags.iter().zip(&self.entries).enumerate();
        tagged.find(|(_, (tag, entry))| **tag == wanted && same(entry)).map(|(at, _)| at)
    }

    fn oldest(&self) -> usize {
        let oldest = self.used.iter().enumerate().min_by_key(|(_, used)| **used);
        oldest.map_or(0, |(at, _)| at)
    }

    /// The stamp of the next use; when the count wraps, all entries are equally old.
    fn next_use(&mut self) -> u32 {
        self.uses.checked_add(1).unwrap_or_else(|| {
            self.used = [0; ENTRIES];
            1
        })
    }
}

/// Narrows the search; never 0. An attacker who makes tags collide costs himself no more than a
/// scan of all entries, which is the bound anyway.
fn tag_of(tuple: &Tuple, id: u32) -> u32 {
    let word = |bytes: &[u8; 16]| u128::from_le_bytes(*bytes);
    let mixed = word(&tuple.src).rotate_left(64) ^ word(&tuple.dst) ^ u128::from(id) << 40;
    let folded = mixed ^ mixed >> 64;
    #[expect(clippy::cast_possible_truncation, reason = "folding")]
    let tag = (folded ^ folded >> 32) as u32 ^ id;
    tag | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(host: u8, sport: u16) -> Tuple {
        let mut src = [0; 16];
        src[3] = host;
        Tuple { version: 4, proto: 17, src, sport, dport: 53, ..Tuple::default() }
    }

    #[test]
    fn later_fragments_get_the_ports_of_the_first() {
        let mut known = Fragments::new();
        known.learn(&tuple(1, 4000), 7, Tick(0));
        assert_eq!(known.ports(&tuple(1, 0), 7, Tick(5)), Some((4000, 53)));
        assert_eq!(known.ports(&tuple(1, 0), 8, Tick(5)), None);
        assert_eq!(known.ports(&tuple(2, 0), 7, Tick(5)), None);
    }

    #[test]
    fn an_old_first_fragment_does_not_name_a_reused_id() {
        let mut known = Fragments::new();
        known.learn(&tuple(1, 4000), 7, Tick(0));
        assert_eq!(known.ports(&tuple(1, 0), 7, Tick::from_secs(31)), None);
    }

    #[test]
    fn the_least_recently_used_datagram_gives_way() {
        let mut known = Fragments::new();
        for id in 0..256 {
            known.learn(&tuple(1, 4000), id, Tick(0));
        }
        assert!(known.ports(&tuple(1, 0), 0, Tick(1)).is_some());
        known.learn(&tuple(1, 4000), 1000, Tick(2));
        assert!(known.ports(&tuple(1, 0), 0, Tick(3)).is_some());
        assert!(known.ports(&tuple(1, 0), 1, Tick(3)).is_none());
        assert!(known.ports(&tuple(1, 0), 1000, Tick(3)).is_some());
    }

    #[test]
    fn a_wrapped_use_count_keeps_working() {
        let mut known = Fragments::new();
        known.learn(&tuple(1, 4000), 1, Tick(0));
        known.uses = u32::MAX;
        known.learn(&tuple(1, 4001), 2, Tick(0));
        assert_eq!(known.ports(&tuple(1, 0), 2, Tick(1)), Some((4001, 53)));
        assert_eq!(known.ports(&tuple(1, 0), 1, Tick(1)), Some((4000, 53)));
    }
}
