//! IPv4 datagrams put together again from their fragments (RFC 791, 3.2), on request of a
//! capture. Bounded in datagrams, bytes, fragments and time; what gives way is the oldest one.

use std::collections::HashMap;
use std::hash::RandomState;

use crate::wire::layers::{Fragment, Network};

/// Datagrams that wait for their rest, over all captures; the oldest one is given up for a new one.
const MAX_DATAGRAMS: usize = 256;

/// Bytes that they hold together; the oldest ones are given up.
const MAX_BYTES: usize = 1024 * 1024;

/// The longest datagram there can be.
const MAX_LEN: usize = 65_535;

/// Fragments of one datagram; a longer one is given up.
const MAX_FRAGMENTS: usize = 128;

/// For so long fragments are waited for, in microseconds.
const LIFETIME: i64 = 30_000_000;

/// Datagrams that wait for their rest.
#[derive(Debug, Default)]
pub(super) struct Defrag {
    pending: HashMap<Key, Datagram, RandomState>,
    bytes: usize,
    /// Datagrams that were given up.
    pub(super) lost: u64,
}

/// Fragments with the same are of one datagram, as they are seen by one capture.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) table: u16,
    pub(super) src: [u8; 16],
    pub(super) dst: [u8; 16],
    pub(super) id: u32,
    pub(super) protocol: u8,
}

#[derive(Debug)]
struct Datagram {
    begun: i64,
    /// What came before the body in the frame of the first fragment, and where the IPv4 header
    /// starts in it, once that was seen.
    head: Option<(Box<[u8]>, usize)>,
    body: Vec<u8>,
    /// Where the fragments lie, in the order of their coming.
    parts: Vec<(u32, u32)>,
    /// Length of the body, once the last fragment was seen.
    len: Option<usize>,
    errors: i64,
}

/// A datagram that is whole again.
#[derive(Debug)]
pub(super) struct Whole {
    /// The frame as it would have been: the header of the first fragment, mended, and all of the
    /// body.
    pub(super) frame: Vec<u8>,
    pub(super) fragments: i64,
    pub(super) errors: i64,
}

impl Defrag {
    /// Takes a fragment; the whole, if it was the last that was missing.
    ///
    /// `frame` is what was captured of the frame, and `now` in microseconds.
    pub(super) fn put(
        &mut self,
        key: Key,
        network: &Network,
        fragment: Fragment,
        frame: &[u8],
        now: i64,
    ) -> Option<Whole> {
        let begin = usize::try_from(fragment.offset).ok()?;
        let body_at = usize::try_from(network.body_at).ok()?;
        let len = usize::try_from(network.body_len).ok()?;
        let end = begin.saturating_add(len);
        let captured = frame.get(body_at..).unwrap_or_default();
        let captured = captured.get(..len).unwrap_or(captured);
        self.expire(now);
        if !self.pending.contains_key(&key) {
            if self.pending.len() >= MAX_DATAGRAMS {
                self.give_up_oldest();
            }
            let datagram = Datagram {
                begun: now,
                head: None,
                body: Vec::new(),
                parts: Vec::new(),
                len: None,
                errors: 0,
            };
            self.pending.insert(key, datagram);
        }
        let datagram = self.pending.get_mut(&key)?;
        let uneven = fragment.more && !len.is_multiple_of(8);
        let beyond = datagram.len.is_some_and(|whole| end > whole);
        if len == 0 || uneven || beyond || end > MAX_LEN || datagram.parts.len() >= MAX_FRAGMENTS {
            datagram.errors = datagram.errors.saturating_add(1);
            return None;
        }
        let (from, to) = (u32::try_from(begin).ok()?, u32::try_from(end).ok()?);
        let overlaps = datagram.parts.iter().any(|(low, high)| from < *high && to > *low);
        if overlaps {
            datagram.errors = datagram.errors.saturating_add(1);
            return None;
        }
        if !fragment.more {
            if datagram.parts.iter().any(|(_, high)| *high > to) {
                datagram.errors = datagram.errors.saturating_add(1);
                return None;
            }
            datagram.len = Some(end);
        }
        if begin == 0 {
            let at = usize::try_from(network.at).ok()?;
            datagram.head = Some((frame.get(..body_at)?.into(), at));
        }
        datagram.parts.push((from, to));
        let before = datagram.body.len();
        if before < end {
            datagram.body.resize(end, 0);
        }
        let place = datagram.body.get_mut(begin..).unwrap_or_default();
        for (to, from) in place.iter_mut().zip(captured) {
            *to = *from;
        }
        self.bytes = self.bytes.saturating_add(datagram.body.len().saturating_sub(before));
        let have: usize = datagram
            .parts
            .iter()
            .filter_map(|(low, high)| usize::try_from(high.saturating_sub(*low)).ok())
            .fold(0, usize::saturating_add);
        if datagram.len == Some(have) && datagram.head.is_some() {
            return self.take(&key)?.whole();
        }
        while self.bytes > MAX_BYTES && self.pending.len() > 1 {
            self.give_up_oldest();
        }
        None
    }

    /// Gives up the datagrams of a table.
    pub(super) fn close(&mut self, table: u16) {
        let keys: Vec<Key> =
            self.pending.keys().filter(|key| key.table == table).copied().collect();
        for key in keys {
            self.take(&key);
        }
    }

    fn expire(&mut self, now: i64) {
        while let Some((key, begun)) = self.oldest()
            && now.saturating_sub(begun) > LIFETIME
        {
            self.take(&key);
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn give_up_oldest(&mut self) {
        if let Some((key, _)) = self.oldest() {
            self.take(&key);
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn oldest(&self) -> Option<(Key, i64)> {
        let begun = self.pending.iter().map(|(key, datagram)| (*key, datagram.begun));
        begun.min_by_key(|(_, begun)| *begun)
    }

    fn take(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.pending.remove(key)?;
        self.bytes = self.bytes.saturating_sub(datagram.body.len());
        Some(datagram)
    }
}

impl Datagram {
    fn whole(self) -> Option<Whole> {
        let (head, at) = self.head?;
        let mut frame = head.into_vec();
        let header_len = frame.len().checked_sub(at)?;
        let total = u16::try_from(header_len.saturating_add(self.body.len())).unwrap_or(0);
        let header = frame.get_mut(at..)?;
        if let Some([first, _, l0, l1, _, _, f0, f1, ..]) = header.first_chunk_mut::<20>() {
            if *first >> 4 != 4 {
                return None;
            }
            [*l0, *l1] = total.to_be_bytes();
            (*f0, *f1) = (*f0 & 0xc0, 0);
        }
        frame.extend_from_slice(&self.body);
        let fragments = i64::try_from(self.parts.len()).unwrap_or(i64::MAX);
        Some(Whole { frame, fragments, errors: self.errors })
    }
}
