//! Where telemetry goes besides subscribers: to whoever comes for it, to other machines, into
//! files. Each consumer has a bounded queue of its own; none of them is ever waited for.

use std::io::Result;

use mio::{Registry, Token};

use crate::api::sink::{Feed, Order};
use crate::config::Settings;
use crate::config::telemetry::{Format, Target};
use crate::core::Agent;
use crate::core::telemetry::Outlet as Shown;
use crate::time::Tick;

use super::token::{Readiness, Slot, Source};

use self::caller::Caller;
use self::datagrams::Datagrams;
use self::door::Door;
use self::journal::Journal;
use self::poster::Poster;
use self::wire::Wire;

mod caller;
mod datagrams;
mod door;
mod journal;
mod poster;
mod wire;

/// Consumers that came for telemetry, at once; further ones are turned away.
const MAX_GUESTS: usize = 32;

/// Slices of what there is to tell that a consumer is given in one turn.
const ROUNDS: usize = 4;

/// Turns of the loop that the last records are worth.
const LAST_TURNS: usize = 16;

/// What an outlet needs of the loop.
pub(super) struct Context<'a> {
    pub(super) agent: &'a mut Agent,
    pub(super) registry: &'a Registry,
    pub(super) token: Token,
    pub(super) now: Tick,
}

/// How an outlet stands after its turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Served {
    /// There is more to do right now.
    Again,
    /// It waits for an event, a moment or something to tell.
    Waits,
    /// It is over.
    Gone,
}

/// One way for records to leave.
pub(super) trait Outlet {
    /// Notes an event of its socket.
    fn event(&mut self, readiness: Readiness);
    /// Hands on what there is, as far as it goes without waiting.
    fn serve(&mut self, feed: &mut Feed, context: &mut Context<'_>) -> Served;
    /// When it wants to be served without an event.
    fn deadline(&self) -> Option<Tick>;
    /// How it stands, in words.
    fn state(&self) -> String;
    /// Gives back its socket.
    fn close(&mut self, registry: &Registry);
    /// Hands on the last there is: the process ends.
    fn finish(&mut self, feed: &mut Feed, context: &mut Context<'_>) {
        let _ = self.serve(feed, context);
    }
}

/// A consumer.
struct Sink {
    /// As the settings have it.
    target: String,
    outlet: Box<dyn Outlet>,
    feed: Feed,
}

enum Entry {
    Door(Box<Door>),
    Sink(Box<Sink>),
}

#[derive(Default)]
struct Place {
    generation: u16,
    entry: Option<Entry>,
}

/// What the settings ask for.
#[derive(Clone, Debug, PartialEq)]
struct Plan {
    listen: Vec<Target>,
    legacy: Vec<Target>,
    send: Vec<Target>,
    file: Option<journal::File>,
    order: Order,
    established: bool,
    group: Option<String>,
}

impl Plan {
    fn of(settings: &Settings) -> Self {
        Self {
            listen: settings.telemetry_listen.clone(),
            legacy: settings.telemetry_legacy.clone(),
            send: settings.telemetry_send.clone(),
            file: settings.telemetry_log.as_ref().map(|path| journal::File {
                path: path.clone(),
                most: u64::from(settings.telemetry_log_kib).saturating_mul(1_024),
                files: settings.telemetry_log_files,
            }),
            order: Order::of(settings, settings.telemetry_format),
            established: settings.telemetry_established,
            group: settings.socket_group.clone(),
        }
    }
}

/// All consumers, and the doors by which more may come.
#[derive(Default)]
pub(super) struct Sinks {
    plan: Option<Plan>,
    places: Vec<Place>,
}

impl Sinks {
    /// Becomes what the settings ask for: whatever changed of them begins anew.
    pub(super) fn become_these(
        &mut self,
        settings: &Settings,
        agent: &mut Agent,
        registry: &Registry,
        now: Tick,
    ) {
        let plan = Plan::of(settings);
        if self.plan.as_ref() == Some(&plan) {
            return;
        }
        self.close(agent, registry);
        let doors = plan.listen.iter().map(|target| (target, Format::Lines));
        let doors = doors.chain(plan.legacy.iter().map(|target| (target, Format::Legacy)));
        for (target, format) in doors {
            let order = Order { format, ..plan.order.clone() };
            let group = plan.group.clone();
            let door = Door::new(target.clone(), order, plan.established, group);
            let _ = self.put(|_| Ok(Entry::Door(Box::new(door))));
        }
        for target in &plan.send {
            let outlet: Box<dyn Outlet> = match target {
                Target::Udp(address) => Box::new(Datagrams::new(*address)),
                Target::Http { address, host, path } => {
                    Box::new(Poster::new(*address, host.clone(), path.clone()))
                }
                Target::Unix(_) | Target::Tcp(_) => Box::new(Caller::new(target.clone())),
            };
            self.begin(target.to_string(), outlet, &plan.order, agent);
        }
        if let Some(file) = &plan.file {
            let outlet = Box::new(Journal::new(file.clone()));
            self.begin(file.path.display().to_string(), outlet, &plan.order, agent);
        }
        self.plan = Some(plan);
        self.serve(agent, registry, now);
    }

    fn begin(&mut self, target: String, outlet: Box<dyn Outlet>, order: &Order, agent: &mut Agent) {
        match Feed::new(order.clone(), agent) {
            Ok(feed) => {
                drop(self.put(|_| Ok(Entry::Sink(Box::new(Sink { target, outlet, feed })))))
            }
            Err(failure) => log::warn!("telemetry to {target}: {failure}"),
        }
    }

    /// Puts an entry in a free place; `make` is given its token.
    fn put(&mut self, make: impl FnOnce(Token) -> Result<Entry>) -> Result<()> {
        let free = self.places.iter().position(|place| place.entry.is_none());
        let index = free.unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len().saturating_sub(1)
        });
        let Some(place) = self.places.get_mut(index) else { return Ok(()) };
        place.generation = place.generation.wrapping_add(1) & 0xfff;
        place.entry = Some(make(token(index, place.generation))?);
        Ok(())
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.places.iter().all(|place| place.entry.is_none())
    }

    /// Notes an event.
    pub(super) fn event(&mut self, slot: Slot, readiness: Readiness) {
        let place = self.places.get_mut(usize::from(slot.index));
        match place.filter(|p| p.generation == slot.generation).and_then(|p| p.entry.as_mut()) {
            Some(Entry::Door(door)) => door.event(),
            Some(Entry::Sink(sink)) => sink.outlet.event(readiness),
            None => {}
        }
    }

    /// Takes in whoever comes and hands on what there is; `true` if there is more right now.
    pub(super) fn serve(&mut self, agent: &mut Agent, registry: &Registry, now: Tick) -> bool {
        let mut more = false;
        let mut guests = Vec::new();
        for (index, place) in self.places.iter_mut().enumerate() {
            let token = token(index, place.generation);
            let mut context = Context { agent: &mut *agent, registry, token, now };
            let served = match &mut place.entry {
                None => continue,
                Some(Entry::Door(door)) => {
                    door.serve(&context, &mut guests);
                    Served::Waits
                }
                Some(Entry::Sink(sink)) => sink.serve(&mut context),
            };
            match served {
                Served::Again => more = true,
                Served::Waits => {}
                Served::Gone => place.close(agent, registry),
            }
        }
        for guest in guests {
            more = true;
            self.admit(guest, agent, registry, now);
        }
        more
    }

    fn admit(&mut self, guest: door::Guest, agent: &mut Agent, registry: &Registry, now: Tick) {
        let door::Guest { stream, target, order, established } = guest;
        let is_guest = |place: &&Place| matches!(&place.entry, Some(Entry::Sink(sink)) if sink.target.starts_with(door::FROM));
        let full = self.places.iter().filter(is_guest).count() >= MAX_GUESTS;
        let feed = Feed::new(order, agent);
        let (Ok(mut feed), false) = (feed, full) else {
            let refused = &mut agent.counters.clients_refused;
            *refused = refused.saturating_add(1);
            return;
        };
        feed.greet(established, agent);
        let admitted = self.put(|token| {
            let wire = Wire::new(stream, token, registry, now)?;
            let outlet = Box::new(door::Visit::new(wire));
            Ok(Entry::Sink(Box::new(Sink { target, outlet, feed })))
        });
        if let Err(error) = admitted {
            log::warn!("telemetry: {error}");
        }
    }

    /// When [`Self::serve`] wants to be called without an event.
    #[must_use]
    pub(super) fn deadline(&self) -> Option<Tick> {
        let entries = self.places.iter().filter_map(|place| place.entry.as_ref());
        entries
            .filter_map(|entry| match entry {
                Entry::Door(door) => door.deadline(),
                Entry::Sink(sink) => sink.outlet.deadline(),
            })
            .min()
    }

    /// What `sinks` shows of all.
    #[must_use]
    pub(super) fn shown(&self) -> Vec<Shown> {
        let entries = self.places.iter().filter_map(|place| place.entry.as_ref());
        let shown = entries.map(|entry| match entry {
            Entry::Door(door) => Shown {
                target: door.name(),
                format: door.format().name(),
                state: door.state(),
                ..Shown::default()
            },
            Entry::Sink(sink) => Shown {
                target: sink.target.clone(),
                format: sink.feed.format().name(),
                state: sink.outlet.state(),
                records: sink.feed.records,
                dropped: sink.feed.dropped(),
                waiting: sink.feed.waiting(),
            },
        });
        shown.collect()
    }

    /// Hands on what there is, several turns at once: the loop has ended.
    pub(super) fn drain(&mut self, agent: &mut Agent, registry: &Registry, now: Tick) {
        for _ in 0..LAST_TURNS {
            if !self.serve(agent, registry, now) {
                return;
            }
        }
    }

    /// Hands on all there is, as far as that goes without waiting.
    pub(super) fn finish(&mut self, agent: &mut Agent, registry: &Registry, now: Tick) {
        for (index, place) in self.places.iter_mut().enumerate() {
            let token = token(index, place.generation);
            if let Some(Entry::Sink(sink)) = &mut place.entry {
                // What it does not take now it would not take later.
                while sink.feed.fill(agent) && sink.feed.has_news(agent) {
                    let mut context = Context { agent: &mut *agent, registry, token, now };
                    sink.outlet.finish(&mut sink.feed, &mut context);
                }
                let mut context = Context { agent: &mut *agent, registry, token, now };
                sink.outlet.finish(&mut sink.feed, &mut context);
            }
        }
    }

    /// Closes all.
    pub(super) fn close(&mut self, agent: &mut Agent, registry: &Registry) {
        self.places.iter_mut().for_each(|place| place.close(agent, registry));
        self.plan = None;
    }
}

impl Place {
    fn close(&mut self, agent: &mut Agent, registry: &Registry) {
        match self.entry.take() {
            Some(Entry::Door(mut door)) => door.close(registry),
            Some(Entry::Sink(mut sink)) => {
                sink.feed.close(agent);
                sink.outlet.close(registry);
            }
            None => {}
        }
    }
}

impl Sink {
    fn serve(&mut self, context: &mut Context<'_>) -> Served {
        // By turns, so that the queue of one who keeps up is never full.
        for _ in 0..ROUNDS {
            let more = self.feed.has_news(context.agent) && self.feed.fill(context.agent);
            let served = self.outlet.serve(&mut self.feed, context);
            if !more || served == Served::Gone {
                return served;
            }
        }
        Served::Again
    }
}

fn token(index: usize, generation: u16) -> Token {
    let index = u16::try_from(index).unwrap_or(u16::MAX);
    Source::Sink(Slot { index, generation }).into()
}

/// Microseconds until the next try, twice as many each time.
#[derive(Clone, Copy, Debug)]
pub(super) struct BackOff(u64);

impl Default for BackOff {
    fn default() -> Self {
        Self(Self::FIRST)
    }
}

impl BackOff {
    const FIRST: u64 = 1_000_000;
    const MOST: u64 = 30_000_000;

    /// When to try again.
    pub(super) fn next(&mut self, now: Tick) -> Tick {
        let at = now.plus(self.0);
        self.0 = self.0.saturating_mul(2).min(Self::MOST);
        at
    }

    /// It went well.
    pub(super) const fn reset(&mut self) {
        self.0 = Self::FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_grow_apart_up_to_half_a_minute() {
        let mut back_off = BackOff::default();
        let now = Tick::from_secs(100);
        let waits: Vec<u64> = (0..7).map(|_| back_off.next(now).since(now) / 1_000_000).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        back_off.reset();
        assert_eq!(back_off.next(now), Tick::from_secs(101));
    }
}
