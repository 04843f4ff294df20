//! Storage of the flows: chunks that never move, so that growing never copies. Slot 0 stays
//! empty: 0 is "none" in every list, and fresh memory needs no preparation.

use super::entry::{Flow, mark};

const CHUNK_BITS: u32 = 9;
const CHUNK: usize = 1 << CHUNK_BITS;

/// Bits of a flow's id that are its slot.
pub(super) const SLOT_BITS: u32 = 21;

/// The most flows a table can be told to hold.
pub const FLOWS_MAX: u32 = (1 << SLOT_BITS) - 1;

#[derive(Debug)]
pub(super) struct Slab {
    chunks: Vec<Box<[Flow; CHUNK]>>,
    free: u32,
    /// The lowest slot that was never used.
    fresh: u32,
    live: u32,
}

impl Slab {
    pub(super) const fn new() -> Self {
        Self { chunks: Vec::new(), free: 0, fresh: 1, live: 0 }
    }

    /// A slot for a new flow: one that was freed, or the next of the last chunk, or of a new one.
    /// `None` if the memory for that can't be had.
    pub(super) fn claim(&mut self) -> Option<u32> {
        let slot = if self.free != 0 {
            let slot = self.free;
            self.free = self.at(slot).next;
            slot
        } else {
            if self.fresh > FLOWS_MAX {
                return None;
            }
            if (self.fresh >> CHUNK_BITS) as usize >= self.chunks.len() {
                self.grow()?;
            }
            let slot = self.fresh;
            self.fresh = slot.saturating_add(1);
            slot
        };
        self.live = self.live.saturating_add(1);
        Some(slot)
    }

    /// Takes a slot back; the flow's id is void from here on.
    pub(super) fn release(&mut self, slot: u32) {
        let free = self.free;
        let flow = self.at_mut(slot);
        flow.marks = 0;
        flow.generation = flow.generation.wrapping_add(1);
        flow.next = free;
        self.free = slot;
        self.live = self.live.saturating_sub(1);
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "slots come from claim(), below `fresh`")]
    pub(super) fn at(&self, slot: u32) -> &Flow {
        &self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize % CHUNK]
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "slots come from claim(), below `fresh`")]
    pub(super) fn at_mut(&mut self, slot: u32) -> &mut Flow {
        &mut self.chunks[(slot >> CHUNK_BITS) as usize][slot as usize % CHUNK]
    }

    /// The flow in a slot that may be any number.
    pub(super) fn get(&self, slot: u32) -> Option<&Flow> {
        (slot != 0 && slot < self.fresh).then(|| self.at(slot)).filter(|f| f.is(mark::LIVE))
    }

    pub(super) const fn live(&self) -> u32 {
        self.live
    }

    /// One more than the highest slot ever used.
    pub(super) const fn fresh(&self) -> u32 {
        self.fresh
    }

    /// Bytes held for flows.
    pub(super) const fn bytes(&self) -> usize {
        let flows = self.chunks.len().saturating_mul(size_of::<[Flow; CHUNK]>());
        flows.saturating_add(self.chunks.capacity().saturating_mul(size_of::<usize>()))
    }

    /// Slots in the free list.
    pub(super) fn free_len(&self) -> u32 {
        let mut len = 0_u32;
        let mut slot = self.free;
        while slot != 0 && len < self.fresh {
            len = len.saturating_add(1);
            slot = self.at(slot).next;
        }
        len
    }

    #[cold]
    fn grow(&mut self) -> Option<()> {
        let mut flows = Vec::new();
        flows.try_reserve_exact(CHUNK).ok()?;
        self.chunks.try_reserve(1).ok()?;
        flows.resize_with(CHUNK, Flow::vacant);
        self.chunks.push(flows.into_boxed_slice().try_into().ok()?);
        Some(())
    }
}
