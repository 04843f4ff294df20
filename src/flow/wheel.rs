//! Timing wheel: 512 slots of a second, intrusive lists. A packet never moves its flow here; a
//! flow whose slot comes up is looked at and queued again if it was active in between. Time-outs
//! beyond the wheel just come up early.

use super::entry::Links;
use super::slab::Slab;
use crate::time::Tick;

const SLOTS: u64 = 512;

/// In the `prev` of the first flow of a slot: the rest is the slot, not a flow.
const HEAD: u32 = 1 << 31;

#[derive(Debug)]
pub(super) struct Wheel {
    heads: Box<[u32; SLOTS as usize]>,
    /// The second that is to be looked at next.
    cursor: u64,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { heads: Box::new([0; SLOTS as usize]), cursor: 0 }
    }

    /// Queues a flow for `deadline`, as near to it as the wheel reaches.
    pub(super) fn insert(&mut self, slab: &mut Slab, slot: u32, deadline: Tick) {
        let last = self.cursor.saturating_add(SLOTS.saturating_sub(1));
        let at = index(deadline.secs().clamp(self.cursor, last));
        let head = self.head_mut(at);
        let next = *head;
        *head = slot;
        slab.at_mut(slot).wheel = Links { prev: HEAD | at, next };
        if next != 0 {
            slab.at_mut(next).wheel.prev = slot;
        }
    }

    pub(super) fn unlink(&mut self, slab: &mut Slab, slot: u32) {
        let Links { prev, next } = slab.at(slot).wheel;
        if prev & HEAD == 0 {
            slab.at_mut(prev).wheel.next = next;
        } else {
            *self.head_mut(prev & !HEAD) = next;
        }
        if next != 0 {
            slab.at_mut(next).wheel.prev = prev;
        }
    }

    /// Starts counting at `now`: for a wheel that is empty.
    pub(super) const fn start(&mut self, now: Tick) {
        self.cursor = now.secs();
    }

    /// Makes `now` reachable after the clock moved by more than the wheel holds, so that each
    /// slot is looked at once rather than once per second that passed.
    pub(super) const fn catch_up(&mut self, now: Tick) {
        let now = now.secs();
        if now.saturating_add(SLOTS) < self.cursor {
            self.cursor = now;
        } else if self.cursor.saturating_add(SLOTS) < now {
            self.cursor = now.saturating_sub(SLOTS);
        }
    }

    /// A flow from the slots that have passed by `now`; turns the wheel as far as it is empty.
    pub(super) fn due(&mut self, now: Tick) -> Option<u32> {
        while self.cursor < now.secs() {
            let slot = *self.head_mut(index(self.cursor));
            if slot != 0 {
                return Some(slot);
            }
            self.cursor = self.cursor.saturating_add(1);
        }
        None
    }

    /// When to look next.
    pub(super) const fn next(&self) -> Tick {
        Tick::from_secs(self.cursor.saturating_add(1))
    }

    /// The flows that hang in the wheel, each list followed for at most `limit` links.
    pub(super) fn walk(&self, slab: &Slab, limit: u32) -> Option<u32> {
        let mut found = 0_u32;
        for (at, &head) in self.heads.iter().enumerate() {
            let mut prev = HEAD | u32::try_from(at).ok()?;
            let mut slot = head;
            while slot != 0 {
                found = found.checked_add(1).filter(|n| *n <= limit)?;
                let links = slab.get(slot)?.wheel;
                if links.prev != prev {
                    return None;
                }
                (prev, slot) = (slot, links.next);
            }
        }
        Some(found)
    }

    #[expect(clippy::indexing_slicing, reason = "masked to the length of the array")]
    const fn head_mut(&mut self, at: u32) -> &mut u32 {
        &mut self.heads[at as usize & 511]
    }
}

const fn index(second: u64) -> u32 {
    (second % SLOTS) as u32
}
