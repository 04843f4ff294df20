//! Events on their way to one client, a JSON object a line: the flows that are there, then what
//! happens. How a client subscribes, and how lines reach it, is for the front-ends.

use std::collections::VecDeque;

use crate::config::telemetry::Format;
use crate::core::Agent;
use crate::core::agent::{Cursor, Item, Reply};
use crate::core::auth::Caller;
use crate::core::bus::{Subscription, Topic, Topics};
use crate::core::command::{Command, Failure, Page};
use crate::core::select::Selection;
use crate::wire;

use super::compat::netify::{self, Form};
use super::compat::telemetry;
use super::{Outbox, Progress, json};

/// Rows or events that one call writes.
const SLICE: usize = 64;

/// A subscription and what it is owed.
#[derive(Debug)]
pub(super) struct Events {
    subscription: Subscription,
    topics: Topics,
    /// The flows of now are not all told yet.
    owes: bool,
    /// Where they are; nothing if none can be.
    flows: Option<Cursor>,
    told: u64,
    rows: VecDeque<Item>,
    /// Events that found no room.
    lost: u64,
}

/// The topics of these names.
///
/// # Errors
/// What names there are, if one is not among them.
pub(super) fn topics<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Result<Topics, Failure> {
    let expected = "topics out of test, peer, flow, device, iface, alert, telemetry";
    let mut topics = Topics::default();
    for name in names {
        let topic = name.and_then(Topic::parse);
        topics = topics.with(topic.ok_or(Failure::BadArgument { name: "topic", expected })?);
    }
    Ok(topics)
}

impl Events {
    /// Subscribes; `selection` holds back other flows.
    ///
    /// # Errors
    /// See [`Agent::subscribe`].
    pub(super) fn begin(
        topics: Topics,
        selection: Selection,
        agent: &mut Agent,
        caller: &Caller,
    ) -> Result<Self, Failure> {
        let subscription = agent.subscribe(topics, &selection)?;
        let is_telemetry = topics.contains(Topic::Telemetry);
        let owes = is_telemetry || topics.contains(Topic::Flow);
        if is_telemetry {
            agent.want_telemetry();
        }
        let mut flows = None;
        if owes {
            let page = Page { after: 0, rows: usize::MAX };
            let command = Command::Flows { query: selection, page };
            if let Ok(Reply::Rows(cursor)) = agent.run(command, caller) {
                flows = Some(cursor);
            }
        }
        Ok(Self { subscription, topics, owes, flows, told: 0, rows: VecDeque::new(), lost: 0 })
    }

    /// Ends the subscription.
    pub(super) fn end(&self, agent: &mut Agent) {
        agent.bus.unsubscribe(self.subscription);
    }

    /// The names of what is subscribed to.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let names = Topic::ALL.iter().filter(|(topic, ..)| self.topics.contains(*topic));
        names.map(|(_, name, _)| *name).collect()
    }

    /// Whether the flows that are there are still being told.
    pub(super) const fn is_telling(&self) -> bool {
        self.owes
    }

    /// Whether there is something to say.
    pub(super) fn has_news(&self, agent: &Agent) -> bool {
        self.owes || self.lost > 0 || agent.bus.pending(self.subscription)
    }

    /// Appends the next lines, as far as there is room.
    pub(super) fn advance(&mut self, agent: &mut Agent, out: &mut Outbox) -> Progress {
        if self.owes {
            self.tell_flows(agent, out);
            return Progress::More;
        }
        for _ in 0..SLICE {
            if !agent.bus.pending(self.subscription) && self.lost == 0 {
                return Progress::Idle;
            }
            if out.is_high() {
                return Progress::More;
            }
            self.lost = self.lost.saturating_add(agent.bus.take_dropped(self.subscription));
            if self.lost > 0 {
                if !out.push(|b| count(b, b"{\"type\":\"dropped\",\"count\":", self.lost)) {
                    return Progress::More;
                }
                self.lost = 0;
            }
            let Some(event) = agent.bus.next(self.subscription) else {
                continue;
            };
            let fits = out.push(|b| {
                json::row(b, &netify::event(&event, agent));
                b.push(b'\n');
            });
            self.lost = u64::from(!fits);
        }
        Progress::More
    }

    /// Tells the flows that are there already, then how many they were.
    fn tell_flows(&mut self, agent: &mut Agent, out: &mut Outbox) {
        if out.is_high() {
            return;
        }
        if self.rows.is_empty()
            && let Some(cursor) = &mut self.flows
        {
            let mut rows = Vec::with_capacity(SLICE);
            if !agent.next_rows(cursor, SLICE, &mut rows) {
                self.flows = None;
            }
            self.rows = rows.into();
        }
        let is_telemetry = self.topics.contains(Topic::Telemetry);
        while let Some(item) = self.rows.pop_front() {
            let line = match &item {
                Item::Flow(told) if is_telemetry => {
                    let Some(row) = telemetry::established(told, agent, Format::Lines) else {
                        continue;
                    };
                    Some(row)
                }
                Item::Flow(told) => Some(netify::flow(told, agent, Form::Established)),
                Item::Row(_) => None,
            };
            let fits = out.push(|b| {
                match &item {
                    Item::Flow(_) => {
                        line.iter().for_each(|line| json::row(b, line));
                    }
                    Item::Row(row) => {
                        b.extend_from_slice(b"{\"type\":\"flow\",\"established\":true");
                        json::members(b, row, false);
                        b.push(b'}');
                    }
                }
                b.push(b'\n');
            });
            if fits {
                self.told = self.told.saturating_add(1);
            } else if !out.is_empty() {
                self.rows.push_front(item);
                return;
            }
        }
        if self.flows.is_none() {
            let text = b"{\"type\":\"snapshot\",\"flows\":";
            self.owes = !out.push(|b| count(b, text, self.told));
        }
    }
}

/// Appends a line that ends in a number.
fn count(out: &mut Vec<u8>, text: &[u8], number: u64) {
    out.extend_from_slice(text);
    wire::json::unsigned(out, number);
    out.extend_from_slice(b"}\n");
}
