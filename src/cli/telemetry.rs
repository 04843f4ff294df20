//! `portolan read --telemetry`: the whole life of a file's flows as consumers of telemetry would
//! have been told it, on the clock of the file.

use std::rc::Rc;

use crate::api::compat::telemetry::{Scene, row};
use crate::api::json;
use crate::config::telemetry::Format;
use crate::core::engine::{Engine, Lore};
use crate::core::report::VERSION;
use crate::core::row::Row;
use crate::core::status::{Interval, Status, Usage};
use crate::core::telemetry::{Monitored, Place, Report, Telemetry};
use crate::counters::Counters;
use crate::flow::EndReason;
use crate::sys::process;
use crate::time::{Clock, Tick};

/// Microseconds of an interval.
const INTERVAL: u64 = 15_000_000;

/// Interfaces of a file that are told apart; frames of further ones count as of no interface.
const MAX_INTERFACES: u16 = 64;

/// Tells of one file after the other.
#[derive(Debug, Default)]
pub(super) struct Teller {
    /// What was told.
    pub(super) telemetry: Telemetry,
    name: Rc<str>,
    began: Option<Tick>,
    since: Tick,
    active: u64,
    last: Interval,
}

impl Teller {
    /// Begins with a file.
    pub(super) fn begin(&mut self, path: &str, engine: &Engine) {
        *self = Self::default();
        let name = path.rsplit('/').next().unwrap_or(path);
        self.name = if name.is_empty() || name == "-" { "stdin" } else { name }.into();
        let places = (0..MAX_INTERFACES)
            .map(|slot| (slot, Place { name: self.interface(slot), is_internal: true }));
        let places: Vec<_> = places.collect();
        self.telemetry.set_places(places.into_iter());
        self.telemetry.set_wanted(true, Tick(0));
        // What files before this one held is none of it.
        let used = self.used(engine);
        self.telemetry.statistics(&used, &engine.totals, 0);
    }

    /// The interfaces that frames were seen of.
    fn used(&self, engine: &Engine) -> Vec<(u16, Rc<str>, u64)> {
        let used = (0..MAX_INTERFACES).filter(|slot| engine.totals.interface(*slot).is_some());
        used.map(|slot| (slot, self.interface(slot), 0)).collect()
    }

    /// The first interface of a file is called like the file.
    fn interface(&self, slot: u16) -> Rc<str> {
        match slot {
            0 => Rc::clone(&self.name),
            _ => format!("{}:{slot}", self.name).into(),
        }
    }

    /// Writes what there is to tell.
    pub(super) fn write(&mut self, lore: &Lore, out: &mut Vec<u8>) {
        let reports = self.telemetry.take();
        self.put(&reports, lore, out);
    }

    fn put(&self, reports: &[Report], lore: &Lore, out: &mut Vec<u8>) {
        let privacy = &self.telemetry.privacy;
        let scene = Scene {
            clock: Clock::FILE,
            lore,
            groups: None,
            connections: None,
            privacy,
            format: Format::Lines,
        };
        for report in reports {
            json::row(out, &row(report, &scene));
            out.push(b'\n');
        }
    }

    /// Ends an interval if it is over.
    pub(super) fn advance(
        &mut self,
        now: Tick,
        engine: &Engine,
        counters: &Counters,
        out: &mut Vec<u8>,
    ) {
        let began = *self.began.get_or_insert(now);
        if now.since(self.since.max(began)) >= INTERVAL {
            self.end_interval(now, engine, counters, out);
        }
    }

    /// Tells the figures of the interval that is over, flows first.
    pub(super) fn end_interval(
        &mut self,
        now: Tick,
        engine: &Engine,
        counters: &Counters,
        out: &mut Vec<u8>,
    ) {
        let since = self.since;
        self.active = 0;
        for (id, flow) in engine.flows.after(None) {
            self.active = self.active.saturating_add(u64::from(flow.last_seen() >= since));
            self.telemetry.look(flow, id, since, || engine.inspector.outcome(flow.detector));
        }
        self.since = now;
        self.write(&engine.lore, out);
        let used = self.used(engine);
        let interfaces = used.iter().map(|(_, name, _)| Monitored {
            name: Rc::clone(name),
            is_internal: true,
            mac: None,
            has_ring: false,
            addresses: Vec::new(),
        });
        let interfaces = Report::Interfaces(interfaces.collect());
        let endpoints = Report::Endpoints(self.telemetry.endpoints(std::iter::empty()));
        self.telemetry.forget_endpoints();
        let refused = counters.flow_table_full;
        let [each, all] = self.telemetry.statistics(&used, &engine.totals, refused);
        let status = Report::Status(Box::new(self.status(now, engine, counters)));
        self.put(&[endpoints, interfaces, each, all, status], &engine.lore, out);
    }

    fn status(&mut self, now: Tick, engine: &Engine, counters: &Counters) -> Status {
        let used = process::usage();
        let usage = Usage {
            user_seconds: used.user_seconds,
            system_seconds: used.system_seconds,
            rss_kib: used.rss_kib,
            peak_rss_kib: used.peak_rss_kib,
            cpus: process::cpus(),
            ..Usage::default()
        };
        let flows = u64::from(engine.flows.len());
        let interval = Interval {
            usage,
            flows,
            active: self.active,
            expired: engine.ended(EndReason::Idle),
            purged: counters.flows_ended,
        };
        let before = std::mem::replace(&mut self.last, interval);
        Status {
            ident: format!("Portolan/{VERSION} (file)"),
            now: Clock::FILE.wall_of(now),
            uptime: now.since(self.began.unwrap_or(now)) / 1_000_000,
            update_interval: u32::try_from(INTERVAL / 1_000_000).unwrap_or(0),
            usage,
            last: Interval {
                active: self.active,
                expired: interval.expired.saturating_sub(before.expired),
                purged: interval.purged.saturating_sub(before.purged),
                ..before
            },
            flows,
            max_flows: engine.flows.max_flows().into(),
            emergency: engine.flows.is_emergency(),
            subscribers: 0,
            clients: 0,
            loop_max_us: 0,
            default_password: false,
            groups: (0, 0),
            capabilities: Vec::new(),
            capture: Vec::new(),
            connections: Row::default(),
            detecting: engine.inspector.open(),
            dns_hints: engine.lore.hints.then(|| engine.lore.names.len()),
            flow_hashes: engine.recall.is_on().then(|| engine.recall.len()),
            devices: 0,
            counters: counters.clone(),
        }
    }
}
