//! Events on their way to whoever subscribed. A subscriber has a bounded queue: when it is full
//! the newest event is dropped and counted, and the subscriber is told how many.

use std::collections::VecDeque;
use std::rc::Rc;

use super::labelled::Labelled;
use super::row::Row;
use super::select::Filter;
use super::telemetry::Report;
use crate::expression::Expression;
use crate::topology::links::Change;

/// Subscribers at once.
pub const MAX_SUBSCRIBERS: usize = 256;

/// Events that wait for one subscriber.
pub const MAX_QUEUED: usize = 1_024;

/// What events are about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Topic {
    /// Trouble: drops, a full table, a clock step.
    Alert,
    /// Devices that are new, come back or have gone.
    Device,
    /// Flows that start, become known for what they are, and end.
    Flow,
    /// Interfaces that come, go, change their name or state.
    Iface,
    /// Neighbours that come, go or move to another hardware address.
    Peer,
    /// Records of telemetry: flows with all that is known of them, and figures.
    Telemetry,
    /// What `post.test` sends.
    Test,
}

impl Topic {
    /// All topics with their names and what they carry.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Test, "test", "texts sent by post.test"),
        (Self::Peer, "peer", "neighbours new, gone or moved"),
        (Self::Flow, "flow", "flows that start, are named and end"),
        (Self::Device, "device", "devices new, online or offline"),
        (Self::Iface, "iface", "interfaces new, gone, up or down"),
        (Self::Alert, "alert", "drops, table full, clock steps"),
        (Self::Telemetry, "telemetry", "records of telemetry"),
    ];

    /// The name used by all interfaces.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(topic, ..)| *topic == self).map_or("", |(_, name, _)| name)
    }

    /// The topic of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == name).map(|(topic, ..)| *topic)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of topics.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Topics(u8);

impl Topics {
    /// Every topic but that of telemetry, which tells of flows once more.
    #[must_use]
    pub fn all() -> Self {
        let topics = Topic::ALL.iter().filter(|(topic, ..)| *topic != Topic::Telemetry);
        topics.fold(Self::default(), |set, (topic, ..)| set.with(*topic))
    }

    /// The set with `topic` in it.
    #[must_use]
    pub const fn with(self, topic: Topic) -> Self {
        Self(self.0 | topic.bit())
    }

    /// Whether `topic` is in it.
    #[must_use]
    pub const fn contains(self, topic: Topic) -> bool {
        self.0 & topic.bit() != 0
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Trouble: what kind, and how often since the last event of that kind.
    Alert {
        /// A counter's name, such as `kernel_drops`.
        kind: &'static str,
        /// By how much it grew.
        count: u64,
    },
    /// What became of a device, as it is told.
    Device(Rc<Row>),
    /// It became known what a flow is, or more of it.
    FlowDetected(Rc<Labelled>),
    /// A flow was created.
    FlowStarted(Rc<Labelled>),
    /// A flow is gone; the record holds the reason.
    FlowEnded(Rc<Labelled>),
    /// An interface or neighbour changed.
    Link(Rc<Change>),
    /// Telemetry.
    Telemetry(Rc<Report>),
    /// The text of `post.test`.
    Test(Rc<str>),
}

impl Event {
    /// What the event is about.
    #[must_use]
    pub fn topic(&self) -> Topic {
        match self {
            Self::Alert { .. } => Topic::Alert,
            Self::Device(_) => Topic::Device,
            Self::FlowDetected(_) | Self::FlowEnded(_) | Self::FlowStarted(_) => Topic::Flow,
            Self::Link(change) if is_neighbour(change) => Topic::Peer,
            Self::Link(_) => Topic::Iface,
            Self::Telemetry(_) => Topic::Telemetry,
            Self::Test(_) => Topic::Test,
        }
    }

    /// The flow that it is about.
    #[must_use]
    pub fn flow(&self) -> Option<&Rc<Labelled>> {
        match self {
            Self::FlowDetected(told) | Self::FlowEnded(told) | Self::FlowStarted(told) => {
                Some(told)
            }
            Self::Telemetry(report) => report.flow(),
            Self::Alert { .. } | Self::Device(_) | Self::Link(_) | Self::Test(_) => None,
        }
    }

    /// Whether a filter lets it through; `holds` says whether an expression is true of its flow.
    pub fn passes(&self, filter: &Filter, holds: &dyn Fn(&Expression) -> bool) -> bool {
        self.flow().is_none_or(|told| {
            filter.query.matches_record(&told.record)
                && filter.expression.as_ref().is_none_or(|expression| holds(expression))
        })
    }
}

/// Whether a change is about a neighbour, not about an interface.
#[must_use]
pub const fn is_neighbour(change: &Change) -> bool {
    matches!(
        change,
        Change::NeighbourGone { .. } | Change::NeighbourMoved { .. } | Change::NeighbourNew { .. }
    )
}

/// Names a subscription until it is given back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Subscription {
    slot: u16,
    generation: u32,
}

#[derive(Debug, Default)]
struct Subscriber {
    generation: u32,
    topics: Topics,
    filter: Option<Filter>,
    queue: VecDeque<Event>,
    dropped: u64,
    taken: bool,
}

/// All subscribers.
#[derive(Debug, Default)]
pub struct Bus {
    subscribers: Vec<Subscriber>,
    wanted: Topics,
    /// Events dropped because a queue was full, over all subscribers and ever.
    pub dropped: u64,
}

impl Bus {
    /// Adds a subscriber; `None` at [`MAX_SUBSCRIBERS`]. `filter` holds back flow events.
    pub fn subscribe(&mut self, topics: Topics, filter: Option<Filter>) -> Option<Subscription> {
        let free = self.subscribers.iter().position(|s| !s.taken);
        let slot = match free {
            Some(slot) => slot,
            None if self.subscribers.len() < MAX_SUBSCRIBERS => {
                self.subscribers.push(Subscriber::default());
                self.subscribers.len().saturating_sub(1)
            }
            None => return None,
        };
        let subscriber = self.subscribers.get_mut(slot)?;
        subscriber.generation = subscriber.generation.wrapping_add(1);
        subscriber.topics = topics;
        subscriber.filter = filter;
        subscriber.queue.clear();
        subscriber.dropped = 0;
        subscriber.taken = true;
        let generation = subscriber.generation;
        self.count_wanted();
        Some(Subscription { slot: u16::try_from(slot).ok()?, generation })
    }

    /// Changes what a subscriber gets.
    pub fn set_topics(&mut self, subscription: Subscription, topics: Topics) {
        if let Some(subscriber) = self.subscriber(subscription) {
            subscriber.topics = topics;
        }
        self.count_wanted();
    }

    /// Gives a subscription back; what waited for it is gone.
    pub fn unsubscribe(&mut self, subscription: Subscription) {
        if let Some(subscriber) = self.subscriber(subscription) {
            subscriber.taken = false;
            subscriber.topics = Topics::default();
            subscriber.queue = VecDeque::new();
        }
        self.count_wanted();
    }

    /// Whether anybody wants events of `topic`: ask before building one.
    #[must_use]
    pub const fn wants(&self, topic: Topic) -> bool {
        self.wanted.contains(topic)
    }

    /// Hands an event to everybody who wants it.
    pub fn publish(&mut self, event: &Event) {
        self.publish_where(event, &|_| false);
    }

    /// The same; `holds` says whether an expression is true of the flow that it is about.
    pub fn publish_where(&mut self, event: &Event, holds: &dyn Fn(&Expression) -> bool) {
        let topic = event.topic();
        if !self.wants(topic) {
            return;
        }
        for subscriber in self.subscribers.iter_mut().filter(|s| s.topics.contains(topic)) {
            if subscriber.filter.as_ref().is_some_and(|filter| !event.passes(filter, holds)) {
                continue;
            }
            if subscriber.queue.len() >= MAX_QUEUED {
                subscriber.dropped = subscriber.dropped.saturating_add(1);
                self.dropped = self.dropped.saturating_add(1);
            } else {
                subscriber.queue.push_back(event.clone());
            }
        }
    }

    /// The next event for a subscriber.
    pub fn next(&mut self, subscription: Subscription) -> Option<Event> {
        self.subscriber(subscription)?.queue.pop_front()
    }

    /// Whether [`Self::next`] or [`Self::take_dropped`] has something.
    #[must_use]
    pub fn pending(&self, subscription: Subscription) -> bool {
        self.subscribers
            .get(usize::from(subscription.slot))
            .filter(|s| s.generation == subscription.generation)
            .is_some_and(|s| !s.queue.is_empty() || s.dropped > 0)
    }

    /// Events lost by this subscriber since the last call.
    pub fn take_dropped(&mut self, subscription: Subscription) -> u64 {
        self.subscriber(subscription).map_or(0, |s| std::mem::take(&mut s.dropped))
    }

    /// Subscribers now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.subscribers.iter().filter(|s| s.taken).count()
    }

    /// Whether nobody has subscribed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn subscriber(&mut self, subscription: Subscription) -> Option<&mut Subscriber> {
        self.subscribers
            .get_mut(usize::from(subscription.slot))
            .filter(|s| s.taken && s.generation == subscription.generation)
    }

    fn count_wanted(&mut self) {
        self.wanted = Topics(self.subscribers.iter().fold(0, |set, s| set | s.topics.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(text: &str) -> Event {
        Event::Test(text.into())
    }

    #[test]
    fn a_full_queue_drops_the_newest_and_counts() {
        let mut bus = Bus::default();
        assert!(!bus.wants(Topic::Test));
        let slow = bus.subscribe(Topics::default().with(Topic::Test), None).unwrap();
        assert!(bus.wants(Topic::Test) && !bus.wants(Topic::Flow));
        for n in 0..MAX_QUEUED + 3 {
            bus.publish(&test(&n.to_string()));
        }
        assert!(matches!(bus.next(slow), Some(Event::Test(text)) if &*text == "0"));
        assert_eq!(bus.take_dropped(slow), 3);
        assert_eq!(bus.take_dropped(slow), 0);
        assert_eq!(bus.dropped, 3);
    }

    #[test]
    fn a_subscription_given_back_reaches_nobody_elses() {
        let mut bus = Bus::default();
        let first = bus.subscribe(Topics::all(), None).unwrap();
        bus.unsubscribe(first);
        let second = bus.subscribe(Topics::all(), None).unwrap();
        bus.publish(&test("x"));
        assert!(!bus.pending(first) && bus.next(first).is_none());
        assert!(bus.next(second).is_some());
    }

    #[test]
    fn the_cap_refuses_the_newest_subscriber() {
        let mut bus = Bus::default();
        for _ in 0..MAX_SUBSCRIBERS {
            assert!(bus.subscribe(Topics::all(), None).is_some());
        }
        assert!(bus.subscribe(Topics::all(), None).is_none());
    }
}
