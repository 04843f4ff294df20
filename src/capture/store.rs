//! The flows of all captures in one slab, so that one cap holds for all of them together.

use super::flow::Flow;

/// Names one flow of the store while it lives; of another one later, it names nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct FlowRef {
    slot: u32,
    generation: u32,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    flow: Option<Box<Flow>>,
}

/// The flows of all captures.
#[derive(Debug, Default)]
pub struct Store {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Store {
    /// Adds a flow.
    pub fn insert(&mut self, flow: Flow) -> FlowRef {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len().saturating_sub(1)).unwrap_or(u32::MAX)
        });
        let mut generation = 0;
        if let Some(place) = self.slots.get_mut(slot as usize) {
            place.generation = place.generation.wrapping_add(1);
            place.flow = Some(Box::new(flow));
            generation = place.generation;
        }
        FlowRef { slot, generation }
    }

    /// The flow of that name while it lives.
    #[must_use]
    pub fn get(&self, flow: FlowRef) -> Option<&Flow> {
        let slot = self.slots.get(flow.slot as usize)?;
        slot.flow.as_deref().filter(|_| slot.generation == flow.generation)
    }

    /// All flows.
    pub fn iter(&self) -> impl Iterator<Item = (FlowRef, &Flow)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| {
            let at = u32::try_from(at).ok()?;
            Some((FlowRef { slot: at, generation: slot.generation }, slot.flow.as_deref()?))
        })
    }

    /// Flows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
