//! Who is subscribed to which topic: one subscriber each, the newer wins.

use std::net::SocketAddr;

use crate::core::bus::{Topic, Topics as Set};
use crate::core::select::Filter;
use crate::time::Tick;

use super::limit::Bucket;

/// Events a second that one subscriber gets at most.
const EVENTS_PER_SECOND: u32 = 50;

/// One subscriber of one topic.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// Where events go.
    pub peer: SocketAddr,
    /// The tag of the request that subscribed.
    pub tag: String,
    /// When the subscription ends unless renewed.
    pub until: Option<Tick>,
    /// Which events about flows are wanted; all without one.
    pub filter: Option<Filter>,
    /// Events sent.
    pub events: u64,
    /// Events lost in all.
    pub lost: u64,
    /// Events lost since the last one sent.
    pub untold: u64,
    bucket: Bucket,
}

impl Subscriber {
    /// A subscriber that has got nothing yet.
    #[must_use]
    pub const fn new(
        peer: SocketAddr,
        tag: String,
        until: Option<Tick>,
        filter: Option<Filter>,
        now: Tick,
    ) -> Self {
        let bucket = Bucket::new(EVENTS_PER_SECOND, EVENTS_PER_SECOND, now);
        Self { peer, tag, until, filter, events: 0, lost: 0, untold: 0, bucket }
    }

    /// Whether one more event may be sent now; if not, it counts as lost.
    pub fn admit(&mut self, now: Tick) -> bool {
        let admitted = self.bucket.take(now);
        if admitted {
            self.events = self.events.saturating_add(1);
        } else {
            self.lose(1);
        }
        admitted
    }

    /// Counts lost events.
    pub const fn lose(&mut self, count: u64) {
        self.lost = self.lost.saturating_add(count);
        self.untold = self.untold.saturating_add(count);
    }
}

/// The copy of all events.
pub const DEBUG: &str = "debug";

/// Every topic with its subscriber.
#[derive(Debug)]
pub struct Topics {
    seats: Vec<Seat>,
}

/// One topic.
#[derive(Debug)]
pub struct Seat {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it carries.
    pub help: &'static str,
    /// The topic; `None` for [`DEBUG`].
    pub topic: Option<Topic>,
    /// Who gets the events.
    pub subscriber: Option<Subscriber>,
}

impl Default for Topics {
    fn default() -> Self {
        let debug =
            Seat { name: DEBUG, help: "a copy of all events", topic: None, subscriber: None };
        let rest = Topic::ALL.into_iter().map(|(topic, name, help)| Seat {
            name,
            help,
            topic: Some(topic),
            subscriber: None,
        });
        Self { seats: std::iter::once(debug).chain(rest).collect() }
    }
}

impl Topics {
    /// The topic of that name.
    pub fn seat(&mut self, name: &str) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.name == name)
    }

    /// All topics.
    pub fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter()
    }

    /// The subscribers that get events of `topic`: its own, then that of [`DEBUG`].
    pub fn receivers(&mut self, topic: Topic) -> impl Iterator<Item = &mut Subscriber> {
        let wanted = move |seat: &&mut Seat| seat.topic.is_none() || seat.topic == Some(topic);
        let (debug, rest) = self.seats.split_at_mut(1);
        rest.iter_mut().chain(debug).filter(wanted).filter_map(|seat| seat.subscriber.as_mut())
    }

    /// Everybody.
    pub fn subscribers(&mut self) -> impl Iterator<Item = &mut Subscriber> {
        self.seats.iter_mut().filter_map(|seat| seat.subscriber.as_mut())
    }

    /// Frees the seats whose subscriber `gone` is true of.
    pub fn release(&mut self, gone: impl Fn(&Subscriber) -> bool) {
        for seat in &mut self.seats {
            if seat.subscriber.as_ref().is_some_and(&gone) {
                seat.subscriber = None;
            }
        }
    }

    /// What has to be asked of the bus.
    #[must_use]
    pub fn wanted(&self) -> Set {
        let taken = self.seats.iter().filter(|seat| seat.subscriber.is_some());
        taken.fold(Set::default(), |set, seat| match seat.topic {
            Some(topic) => set.with(topic),
            None => Set::all(),
        })
    }
}
