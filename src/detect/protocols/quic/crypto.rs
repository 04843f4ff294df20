//! The handshake's stream of octets, whose pieces come in any order, in one packet or several.

use super::MAX_ID;
use crate::detect::view::MAX_MEMORY;

/// Pieces with holes between.
const MAX_PIECES: usize = 12;

/// Octets before the stream: length of the id, the id, number of pieces, their ends.
const PIECES: usize = MAX_ID + 1;
const HEAD: usize = PIECES + 1 + MAX_PIECES * 4;

/// As it lies in memory between packets: empty, or its head and the stream as far as it is there.
pub(super) struct Crypto {
    octets: Vec<u8>,
}

impl Crypto {
    /// Goes on with what was put away.
    pub(super) const fn resume(octets: Vec<u8>) -> Self {
        Self { octets }
    }

    /// What is to be put away.
    pub(super) fn into_octets(self) -> Vec<u8> {
        self.octets
    }

    /// The id that the client began with; none before.
    pub(super) fn id(&self) -> &[u8] {
        let len = self.octets.first().copied().unwrap_or_default();
        self.octets.get(1..).and_then(|rest| rest.get(..len.into())).unwrap_or_default()
    }

    /// Begins with an id, anew if it is another.
    pub(super) fn begin(&mut self, id: &[u8]) {
        if self.octets.len() >= HEAD && self.id() == id {
            return;
        }
        self.octets.clear();
        self.octets.resize(HEAD, 0);
        let head =
            std::iter::once(u8::try_from(id.len()).unwrap_or_default()).chain(id.iter().copied());
        for (to, from) in self.octets.iter_mut().zip(head) {
            *to = from;
        }
    }

    /// Puts a piece to its place.
    pub(super) fn put(&mut self, at: usize, piece: &[u8]) {
        let end = at.saturating_add(piece.len()).min(MAX_MEMORY.saturating_sub(HEAD));
        if at >= end || self.octets.len() < HEAD {
            return;
        }
        let (mut from, mut to) = (at, end);
        let mut kept = [(0_usize, 0_usize); MAX_PIECES];
        let mut count = 0_usize;
        for (start, stop) in self.pieces() {
            if start <= to && from <= stop {
                (from, to) = (from.min(start), to.max(stop));
            } else if let Some(place) = kept.get_mut(count) {
                *place = (start, stop);
                count = count.saturating_add(1);
            }
        }
        // One hole too many: whatever is missing comes again.
        let Some(place) = kept.get_mut(count) else { return };
        *place = (from, to);
        count = count.saturating_add(1);
        if let Some(octet) = self.octets.get_mut(PIECES) {
            *octet = u8::try_from(count).unwrap_or_default();
        }
        let table = kept.iter().take(count).flat_map(|(from, to)| [*from, *to]);
        let table = table.flat_map(|end| u16::try_from(end).unwrap_or(u16::MAX).to_be_bytes());
        for (to, from) in self.octets.iter_mut().skip(PIECES + 1).zip(table) {
            *to = from;
        }
        let needed = end.saturating_add(HEAD);
        if self.octets.len() < needed {
            self.octets.resize(needed, 0);
        }
        for (to, from) in self.octets.iter_mut().skip(at.saturating_add(HEAD)).zip(piece) {
            *to = *from;
        }
    }

    /// The stream as far as it is there without holes.
    pub(super) fn stream(&self) -> &[u8] {
        let end = self.pieces().find(|(from, _)| *from == 0).map_or(0, |(_, to)| to);
        self.octets.get(HEAD..).and_then(|stream| stream.get(..end)).unwrap_or_default()
    }

    /// The client hello, when all of it is there.
    pub(super) fn hello(&self) -> Option<&[u8]> {
        let ([kind, a, b, c], rest) = self.stream().split_first_chunk()?;
        let len = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
        let hello = rest.get(..len)?;
        (*kind == super::tls::CLIENT_HELLO).then_some(hello)
    }

    fn pieces(&self) -> impl Iterator<Item = (usize, usize)> + use<'_> {
        let count = self.octets.get(PIECES).copied().unwrap_or_default();
        let table = self.octets.get(PIECES + 1..HEAD).unwrap_or_default();
        table.chunks_exact(4).take(count.into()).filter_map(|ends| {
            let [a, b, c, d] = *ends.first_chunk()?;
            Some((u16::from_be_bytes([a, b]).into(), u16::from_be_bytes([c, d]).into()))
        })
    }
}
