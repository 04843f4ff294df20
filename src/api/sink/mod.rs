//! Consumers of telemetry beyond the Unix socket's subscribers: what each of them is told, as
//! octets for whatever carries them. Knows no socket; `io::sinks` has those.

use std::collections::VecDeque;

use crate::config::Settings;
use crate::config::telemetry::{Format, Types};
use crate::core::Agent;
use crate::core::agent::{Cursor, Item, Reply};
use crate::core::auth::{Caller, Right};
use crate::core::bus::{Event, Subscription, Topic, Topics};
use crate::core::command::{Command, Failure, Page};
use crate::core::row::Row;
use crate::core::select::Selection;
use crate::core::telemetry::Report;

use super::compat::telemetry::{self, Scene};
use super::json;

use self::queue::Queue;

pub mod post;
pub mod queue;

/// Reports taken from the bus, or flows told as there already, in one call.
pub const SLICE: usize = 64;

/// Octets that are made ready for a stream at a time.
const AHEAD: usize = 16 * 1024;

/// What a consumer wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// How it is written.
    pub format: Format,
    /// Which records.
    pub types: Types,
    /// Expression of the flows; empty for all.
    pub filter: String,
}

impl Order {
    /// What the settings say, in this format.
    #[must_use]
    pub fn of(settings: &Settings, format: Format) -> Self {
        Self { format, types: settings.telemetry_types, filter: settings.telemetry_filter.clone() }
    }

    fn selection(&self) -> Result<Selection, Failure> {
        let mut selection = Selection::default();
        if !self.filter.is_empty() {
            selection.set("where", &self.filter)?;
        }
        Ok(selection)
    }
}

/// What one consumer is told.
#[derive(Debug)]
pub struct Feed {
    order: Order,
    subscription: Option<Subscription>,
    /// What it is told first when it comes.
    greeting: VecDeque<Vec<u8>>,
    /// The flows of then, until they are told.
    snapshot: Option<Cursor>,
    queue: Queue,
    /// Octets on their way, whole records.
    out: Vec<u8>,
    sent: usize,
    /// Where records begin in `out`.
    starts: VecDeque<usize>,
    /// Records handed on.
    pub records: u64,
    /// Lost ones that the agent's counters know of.
    counted: u64,
}

impl Feed {
    /// A consumer that wants this; it is told what happens from now on.
    ///
    /// # Errors
    /// When there are too many subscribers.
    pub fn new(order: Order, agent: &mut Agent) -> Result<Self, Failure> {
        let topics = Topics::default().with(Topic::Telemetry);
        let subscription = Some(agent.subscribe(topics, &order.selection()?)?);
        agent.want_telemetry();
        Ok(Self {
            order,
            subscription,
            greeting: VecDeque::new(),
            snapshot: None,
            queue: Queue::default(),
            out: Vec::new(),
            sent: 0,
            starts: VecDeque::new(),
            records: 0,
            counted: 0,
        })
    }

    /// Tells somebody who has just come who speaks and how things stand; with the flows that are
    /// there if `established`. What waits comes behind.
    pub fn greet(&mut self, established: bool, agent: &mut Agent) {
        self.greeting.clear();
        let Report::Status(status) = agent.status_report() else { return };
        let rows = match self.order.format {
            Format::Legacy => Vec::from([
                telemetry::hello(agent),
                telemetry::legacy_status(&status, agent),
                telemetry::protocols(),
            ]),
            Format::Lines => {
                let scene = Scene::of(agent, Format::Lines);
                let status = telemetry::row(&Report::Status(status), &scene);
                Vec::from([status, telemetry::definitions(agent.lore())])
            }
        };
        self.greeting.extend(rows.iter().map(text));
        if established && self.order.types.flows {
            let page = Page { after: 0, rows: usize::MAX };
            let caller = Caller { right: Right::Read };
            if let Ok(query) = self.order.selection()
                && let Ok(Reply::Rows(cursor)) = agent.run(Command::Flows { query, page }, &caller)
            {
                self.snapshot = Some(cursor);
            }
        }
    }

    /// Takes in what there is to tell; `true` if there is more right now.
    pub fn fill(&mut self, agent: &mut Agent) -> bool {
        let more =
            if self.snapshot.is_some() { self.tell_flows(agent) } else { self.listen(agent) };
        let dropped = self.queue.dropped.saturating_sub(self.counted);
        self.counted = self.queue.dropped;
        let counter = &mut agent.counters.telemetry_dropped;
        *counter = counter.saturating_add(dropped);
        more
    }

    /// Tells flows that are there already, as far as there is room.
    fn tell_flows(&mut self, agent: &mut Agent) -> bool {
        let Some(cursor) = &mut self.snapshot else { return false };
        if self.queue.octets() > queue::MAX_WAITING / 2 {
            return false;
        }
        let mut items = Vec::with_capacity(SLICE);
        let more = agent.rows(cursor, SLICE, &mut items);
        for item in items {
            if let Item::Flow(told) = item
                && let Some(row) = telemetry::established(&told, agent, self.order.format)
            {
                self.queue.push(text(&row), false);
            }
        }
        if !more {
            self.snapshot = None;
        }
        true
    }

    fn listen(&mut self, agent: &mut Agent) -> bool {
        let Some(subscription) = self.subscription else { return false };
        self.queue.lose(agent.bus.take_dropped(subscription));
        for _ in 0..SLICE {
            let Some(event) = agent.bus.next(subscription) else { return false };
            if let Event::Telemetry(report) = event
                && let Some(row) = self.row(&report, agent)
            {
                self.queue.push(text(&row), report.is_statistics());
            }
        }
        agent.bus.pending(subscription)
    }

    /// A report as the consumer knows it; nothing if it is of no interest to it.
    fn row(&self, report: &Report, agent: &Agent) -> Option<Row> {
        let types = self.order.types;
        if !(if report.is_statistics() { types.statistics } else { types.flows }) {
            return None;
        }
        match (self.order.format, report) {
            (Format::Lines, _) | (Format::Legacy, Report::Flow(_)) => {
                Some(telemetry::row(report, &Scene::of(agent, self.order.format)))
            }
            // The old stream has it all in one record.
            (Format::Legacy, Report::Status(status)) => {
                Some(telemetry::legacy_status(status, agent))
            }
            (Format::Legacy, _) => None,
        }
    }

    /// Octets for a stream, as many as there are up to some kilobytes.
    pub fn pending(&mut self) -> &[u8] {
        if self.sent >= self.out.len() {
            self.out.clear();
            self.starts.clear();
            self.sent = 0;
            while self.out.len() < AHEAD
                && let Some(json) = self.next_json()
            {
                self.starts.push_back(self.out.len());
                queue::frame(&mut self.out, &json, self.order.format);
            }
            if self.out.is_empty() && self.out.capacity() > AHEAD {
                self.out = Vec::new();
            }
        }
        self.out.get(self.sent..).unwrap_or_default()
    }

    /// The first `count` of the pending octets are on their way.
    pub fn advance(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.out.len());
    }

    /// The stream broke off: a record that was cut through is sent again as a whole.
    pub fn rewind(&mut self) {
        let sent = self.sent;
        self.sent = self.starts.iter().copied().filter(|start| *start <= sent).max().unwrap_or(0);
        if sent >= self.out.len() {
            self.sent = sent;
        }
    }

    /// The next record as it goes over a stream, for whatever takes one at a time.
    pub fn next_framed(&mut self) -> Option<Vec<u8>> {
        let json = self.next_json()?;
        let mut framed = Vec::with_capacity(json.len().saturating_add(24));
        queue::frame(&mut framed, &json, self.order.format);
        Some(framed)
    }

    /// The next record by itself.
    pub fn next_json(&mut self) -> Option<Vec<u8>> {
        let json = self.greeting.pop_front().or_else(|| self.queue.pop())?;
        self.records = self.records.saturating_add(1);
        Some(json)
    }

    /// Notes records that could not be delivered.
    pub fn lose(&mut self, count: u64) {
        self.queue.lose(count);
    }

    /// Octets that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        let out = self.out.len().saturating_sub(self.sent);
        self.queue.octets().saturating_add(out)
    }

    /// Whether nothing is to be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.greeting.is_empty() && self.queue.is_empty() && self.sent >= self.out.len()
    }

    /// Records lost so far.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.queue.dropped
    }

    /// The format that it is told in.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.order.format
    }

    /// Whether [`Self::fill`] has something to do.
    #[must_use]
    pub fn has_news(&self, agent: &Agent) -> bool {
        self.snapshot.is_some()
            || self.subscription.is_some_and(|subscription| agent.bus.pending(subscription))
    }

    /// The consumer is gone.
    pub fn close(&mut self, agent: &mut Agent) {
        if let Some(subscription) = self.subscription.take() {
            agent.bus.unsubscribe(subscription);
        }
    }
}

fn text(row: &Row) -> Vec<u8> {
    let mut out = Vec::with_capacity(1_024);
    json::row(&mut out, row);
    out
}
