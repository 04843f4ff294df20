//! Which processes of this machine flows belong to. It is looked up only when somebody asks, by a
//! walk through `/proc` that the loop does in slices; what was found is told for a few seconds.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::IpAddr;

use crate::conntrack::Place;
use crate::flow::Record;
use crate::time::Tick;
use crate::topology::sockets::{Process, Socket};

use super::Agent;
use super::row::Row;

/// What was found is told for so long, in microseconds.
const FRESH: u64 = 5_000_000;

/// Nobody waits for longer, in microseconds.
const PATIENCE: u64 = 3_000_000;

/// Sockets and the processes that have them.
#[derive(Debug, Default)]
pub struct Processes {
    /// Since when somebody waits; listings only look.
    asked: Cell<Option<Tick>>,
    found: Option<Tick>,
    sockets: Vec<Socket>,
    owners: HashMap<u64, Process>,
}

impl Processes {
    /// Whether somebody waits.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.asked.get().is_some()
    }

    /// All sockets and processes were looked at.
    pub fn learn(&mut self, sockets: Vec<Socket>, owners: HashMap<u64, Process>, now: Tick) {
        (self.sockets, self.owners) = (sockets, owners);
        self.asked.set(None);
        self.found = Some(now);
    }

    /// Whether it is known, or will not be: until then it is asked for.
    pub(super) fn is_ready(&self, now: Tick) -> bool {
        if self.is_fresh(now) {
            return true;
        }
        let asked = self.asked.get().unwrap_or(now);
        let is_late = now.since(asked) >= PATIENCE;
        self.asked.set(Some(asked).filter(|_| !is_late));
        is_late
    }

    /// Forgets what is no longer told.
    pub(super) fn expire(&mut self, now: Tick) {
        if self.found.is_some() && !self.is_fresh(now) {
            *self = Self { asked: self.asked.clone(), ..Self::default() };
        }
    }

    fn is_fresh(&self, now: Tick) -> bool {
        self.found.is_some_and(|found| now.since(found) < FRESH)
    }

    /// The process at one of two ends; `is_own` says which addresses are this machine's.
    fn of(
        &self,
        proto: u8,
        (a, b): (Place, Place),
        is_own: &dyn Fn(IpAddr) -> bool,
    ) -> Option<&Process> {
        let protocol = match proto {
            6 => "TCP",
            17 => "UDP",
            _ => return None,
        };
        let all = || self.sockets.iter().filter(|socket| socket.protocol == protocol);
        let exact = |near: Place, far: Place| {
            all().find(|socket| is(socket.local, near) && is(socket.remote, far))
        };
        // One that takes datagrams from everybody.
        let open = |near: Place| {
            all().find(|socket| {
                let (ip, port) = socket.local;
                let fits = ip.is_unspecified() && is_own(near.0) || ip.to_canonical() == near.0;
                socket.remote.1 == 0 && port == near.1 && fits
            })
        };
        let found = exact(a, b).or_else(|| exact(b, a));
        let found = found.or_else(|| open(a)).or_else(|| open(b))?;
        self.owners.get(&found.inode)
    }
}

fn is(place: Place, end: Place) -> bool {
    (place.0.to_canonical(), place.1) == end
}

impl Agent {
    /// The process of this machine that a flow belongs to, while that is known.
    #[must_use]
    pub fn process_of(&self, record: &Record) -> Option<Row> {
        let is_own = |ip| self.links.local_networks().any(|(address, ..)| address == ip);
        let (from, to) = (&record.initiator, &record.responder);
        let ends = ((from.ip, from.port), (to.ip, to.port));
        // Translated on their way out, its own connections have other ports behind.
        let inside = || {
            let found = self.connections.table.of_record(record)?;
            self.processes.of(record.proto, found.other_side(), &is_own)
        };
        let process = self.processes.of(record.proto, ends, &is_own).or_else(inside)?;
        Some(
            Row::new()
                .with("pid", process.pid)
                .with("name", process.name.clone())
                .with("path", process.path.clone()),
        )
    }
}
