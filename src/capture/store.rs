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

/// x
pub trait Sink {
    /// x
    fn started(&mut self, flow: &Flow);
    /// x
    fn updated(&mut self, flow: &Flow);
    /// x
    fn ended(&mut self, flow: &Flow);
}
/// x
#[derive(Clone, Copy, Debug)]
pub struct TableId(u16);
/// x
#[derive(Debug, Default)]
#[expect(missing_docs)]
pub struct Settings {
    pub capture: std::rc::Rc<str>,
    pub capture_name: std::rc::Rc<str>,
    pub node_tid: std::rc::Rc<str>,
    pub layer3: bool,
    pub raw_limit: u32,
    pub extra_tcp: bool,
    pub defrag: bool,
    pub reassemble: bool,
    pub extra_layers: u32,
    pub filter: Option<crate::filter::Program>,
}
/// x
#[expect(missing_docs)]
pub struct Figures {
    pub flows: u64,
    pub dropped: u64,
}
#[expect(missing_docs)]
impl Store {
    pub fn open(&mut self, _s: Settings) -> Option<TableId> {
        None
    }
    pub fn frames(
        &mut self,
        _table: TableId,
        _frames: &[crate::source::Frame<'_>],
        _clock: &crate::time::Clock,
        _sink: &mut dyn Sink,
    ) {
    }
    pub fn close(&mut self, _table: TableId, _now: i64, _sink: &mut dyn Sink) {}
    pub fn advance(&mut self, _now: i64, _budget: usize, _sink: &mut dyn Sink) -> bool {
        false
    }
    pub fn figures(&self, _t: TableId) -> Option<Figures> {
        None
    }
    pub fn deadline(&self) -> Option<i64> {
        None
    }
}
