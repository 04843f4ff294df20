//! The life of flows: what is told at each update, and when they end (updates and expiry are two
//! clocks, each of which goes over all flows, a slice at a time).

use super::{Sink, Store};

/// How long things take, in milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Times {
    /// Between two updates.
    pub update: i64,
    /// Between two looks for idle flows: they end after one to two times that.
    pub expire: i64,
    /// For so long a connection that came to its end is still listed.
    pub hold: i64,
    /// After so long without a packet a flow of ARP ends.
    pub arp: i64,
    /// After so long without a packet a flow of DNS ends.
    pub dns: i64,
}

impl Default for Times {
    fn default() -> Self {
        Self { update: 10_000, expire: 600_000, hold: 15_000, arp: 10_000, dns: 10_000 }
    }
}

/// One of the two clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sweep {
    /// The tick before, in milliseconds since 1970; `None` before the first.
    last: Option<i64>,
    /// The tick that is being worked off, and the slot that comes next.
    current: Option<(i64, usize)>,
}

impl Sweep {
    /// The tick to work off now, with the one before it.
    fn tick(&mut self, now: i64, every: i64) -> Option<(i64, i64)> {
        let last = *self.last.get_or_insert(now);
        if let Some((tick, _)) = self.current {
            return Some((last, tick));
        }
        if now < last {
            // The wall clock went back.
            self.last = Some(now);
            return None;
        }
        if now.saturating_sub(last) < every.max(1) {
            return None;
        }
        self.current = Some((now, 0));
        Some((last, now))
    }

    fn step(&mut self) -> Option<usize> {
        let (_, next) = self.current.as_mut()?;
        let slot = *next;
        *next = next.saturating_add(1);
        Some(slot)
    }

    fn finish(&mut self) {
        if let Some((tick, _)) = self.current.take() {
            self.last = Some(tick);
        }
    }

    /// The tick before.
    pub(super) const fn last(&self) -> Option<i64> {
        self.last
    }

    /// When the next tick is due.
    fn due(&self, every: i64) -> Option<i64> {
        if self.current.is_some() {
            return self.last;
        }
        self.last.map(|last| last.saturating_add(every.max(1)))
    }
}

impl Store {
    /// Works off what is due at `now`, in milliseconds since 1970, looking at no more than
    /// `budget` flows; `true` if more is left for the next call.
    pub fn advance(&mut self, now: i64, budget: usize, sink: &mut dyn Sink) -> bool {
        let mut left = budget;
        self.now = Some(now);
        let more = self.sweep_updates(now, &mut left, sink);
        self.sweep_idle(now, &mut left, sink) || more
    }

    /// Sets how long things take, from the next tick on. No less than a second between updates
    /// and looks for idle flows.
    pub fn set_times(&mut self, times: Times) {
        self.times =
            Times { update: times.update.max(1_000), expire: times.expire.max(1_000), ..times };
    }

    /// When [`Store::advance`] has something to do, in milliseconds since 1970; `None` while
    /// there is nothing to look after.
    #[must_use]
    pub fn due(&self) -> Option<i64> {
        if self.is_empty() {
            return None;
        }
        let (update, expire) =
            (self.update.due(self.times.update), self.expire.due(self.times.expire));
        Some(update.unwrap_or(0).min(expire.unwrap_or(0)))
    }

    fn sweep_updates(&mut self, now: i64, left: &mut usize, sink: &mut dyn Sink) -> bool {
        let Some((from, to)) = self.update.tick(now, self.times.update) else { return false };
        while let Some(rest) = left.checked_sub(1) {
            *left = rest;
            let Some(slot) = self.update.step() else { return false };
            if slot >= self.slots.len() {
                self.update.finish();
                return false;
            }
            self.update_slot(slot, from, to, sink);
        }
        true
    }

    fn sweep_idle(&mut self, now: i64, left: &mut usize, sink: &mut dyn Sink) -> bool {
        let Some((from, to)) = self.expire.tick(now, self.times.expire) else { return false };
        while let Some(rest) = left.checked_sub(1) {
            *left = rest;
            let Some(slot) = self.expire.step() else { return false };
            let Some(place) = self.slots.get(slot) else {
                self.expire.finish();
                return false;
            };
            if place.entry.as_ref().is_some_and(|entry| entry.seen < from) {
                self.end(slot, to, sink);
            }
        }
        true
    }

    fn update_slot(&mut self, slot: usize, from: i64, to: i64, sink: &mut dyn Sink) {
        let times = self.times;
        let Some(entry) = self.slots.get_mut(slot).and_then(|slot| slot.entry.as_mut()) else {
            return;
        };
        let flow = &entry.flow;
        // What began since the tick waits for the next one.
        if entry.came > to {
            return;
        }
        let idle = to.saturating_sub(entry.seen);
        let patience = match (&*flow.application, flow.finish) {
            _ if entry.is_past => i64::MAX,
            (_, Some(_)) => times.hold.saturating_sub(1),
            ("ARP", None) => times.arp,
            ("DNS", None) => times.dns,
            (_, None) => i64::MAX,
        };
        if idle > patience {
            self.end(slot, to, sink);
        } else if entry.settle(from, to) {
            sink.updated(&entry.flow);
        }
    }
}
