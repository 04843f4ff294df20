//! First-in, first-out lists of flows that thread through the slab; any member leaves in O(1).

use super::entry::Links;
use super::slab::Slab;

#[derive(Debug, Default)]
pub(super) struct Queue {
    head: u32,
    tail: u32,
    len: u32,
}

impl Queue {
    pub(super) fn push(&mut self, slab: &mut Slab, slot: u32) {
        slab.at_mut(slot).queue = Links { prev: self.tail, next: 0 };
        if self.tail == 0 {
            self.head = slot;
        } else {
            slab.at_mut(self.tail).queue.next = slot;
        }
        self.tail = slot;
        self.len = self.len.saturating_add(1);
    }

    pub(super) fn unlink(&mut self, slab: &mut Slab, slot: u32) {
        let Links { prev, next } = slab.at(slot).queue;
        if prev == 0 {
            self.head = next;
        } else {
            slab.at_mut(prev).queue.next = next;
        }
        if next == 0 {
            self.tail = prev;
        } else {
            slab.at_mut(next).queue.prev = prev;
        }
        self.len = self.len.saturating_sub(1);
    }

    /// The member that has waited longest.
    pub(super) const fn oldest(&self) -> Option<u32> {
        if self.head == 0 { None } else { Some(self.head) }
    }

    pub(super) const fn len(&self) -> u32 {
        self.len
    }
}
