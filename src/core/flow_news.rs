//! News of the flows of captures, gathered into batches: a flow that begins, changes and ends
//! within a moment is told once, as it is in the end.

use std::collections::HashMap;
use std::rc::Rc;

use crate::capture::Flow;
use crate::capture::protobuf::{self, Losses};
use crate::capture::store::{Sink, Statistics};
use crate::time::{Tick, Wall};
use crate::wire::json;

use super::Agent;
use super::exports::Exports;
use super::feed::{FLOW, Message, STATS};

/// Flows of one batch.
pub const BATCH: usize = 100;

/// Batches sent in one turn: those who listen must get the time to take one before the next is
/// there, or a tick of many updates would overflow the queues of the quickest.
const BATCHES: usize = 2;

/// Microseconds that news wait for company.
const PATIENCE: u64 = 500_000;

/// Microseconds between two tellings of the statistics of captures.
const STATS_EVERY: u64 = 10_000_000;

/// Flows that wait to be told. A batch is sent as soon as it is full, so that more than a turn's
/// flows never wait; beyond this the newest are dropped and counted.
const MAX_WAITING: usize = 4_096;

#[derive(Debug)]
struct Told {
    capture: Rc<str>,
    json: Vec<u8>,
    /// Nothing if nobody wants it.
    protobuf: Vec<u8>,
}

/// News that wait.
#[derive(Debug, Default)]
pub struct FlowNews {
    /// Whether anybody listens: otherwise nothing is written.
    wanted: bool,
    /// Whether anybody wants protobuf.
    bodies: bool,
    waiting: Vec<Told>,
    /// Place in `waiting` by the identity of the flow.
    places: HashMap<u64, usize>,
    since: Option<Tick>,
    stats_at: Tick,
    /// News dropped because too many waited.
    pub dropped: u64,
}

impl FlowNews {
    fn tell(&mut self, flow: &Flow) {
        if !self.wanted {
            return;
        }
        let at = match self.places.get(&flow.uuid) {
            Some(at) => *at,
            None if self.waiting.len() >= MAX_WAITING => {
                self.dropped = self.dropped.saturating_add(1);
                return;
            }
            None => {
                let (json, protobuf) = (Vec::with_capacity(768), Vec::new());
                let capture = Rc::clone(&flow.capture);
                self.places.insert(flow.uuid, self.waiting.len());
                self.waiting.push(Told { capture, json, protobuf });
                self.waiting.len().saturating_sub(1)
            }
        };
        let Some(told) = self.waiting.get_mut(at) else { return };
        told.json.clear();
        told.protobuf.clear();
        flow.write(&mut told.json, (None, None));
        if self.bodies {
            protobuf::flows(&mut told.protobuf, [flow]);
        }
    }
}

/// Where news of a moment go: to those who listen here, or to the target of the capture.
pub(super) struct News<'a> {
    here: &'a mut FlowNews,
    elsewhere: &'a mut Exports,
    now: Wall,
}

impl<'a> News<'a> {
    pub(super) const fn new(here: &'a mut FlowNews, elsewhere: &'a mut Exports, now: Wall) -> Self {
        Self { here, elsewhere, now }
    }

    fn tell(&mut self, flow: &Flow, is_over: bool) {
        if !self.elsewhere.flow(flow, is_over, self.now) {
            self.here.tell(flow);
        }
    }
}

impl Sink for News<'_> {
    fn started(&mut self, flow: &Flow) {
        self.tell(flow, false);
    }

    fn updated(&mut self, flow: &Flow) {
        self.tell(flow, false);
    }

    fn ended(&mut self, flow: &Flow) {
        self.tell(flow, true);
    }
}

impl Agent {
    /// Sends batches that are full or have waited long enough; `true` if there is more to send
    /// right now.
    pub(super) fn tell_flows(&mut self, now: Tick) -> bool {
        self.flow_news.wanted = self.feed.wants_flows();
        self.flow_news.bodies = self.feed.wants_bodies();
        let waiting = self.flow_news.waiting.len();
        if waiting > 0 {
            let since = *self.flow_news.since.get_or_insert(now);
            if waiting >= BATCH || now.since(since) >= PATIENCE {
                self.send_flows(BATCH.saturating_mul(BATCHES));
            }
        }
        if now.since(self.flow_news.stats_at) >= STATS_EVERY {
            self.flow_news.stats_at = now;
            if self.feed.wants(STATS) {
                self.tell_statistics();
            }
        }
        self.flow_news.waiting.len() >= BATCH
    }

    /// When [`Self::tell_flows`] has something to do.
    pub(super) fn flows_due(&self) -> Option<Tick> {
        self.flow_news.since.map(|since| since.plus(PATIENCE))
    }

    /// Sends news that wait, at most so many, the oldest first.
    pub(super) fn send_flows(&mut self, most: usize) {
        let news = &mut self.flow_news;
        let most = most.min(news.waiting.len());
        let waiting: Vec<Told> = news.waiting.drain(..most).collect();
        news.places.retain(|_, place| match place.checked_sub(most) {
            Some(moved) => {
                *place = moved;
                true
            }
            None => false,
        });
        if news.waiting.is_empty() {
            news.since = None;
        }
        for batch in waiting.chunks(BATCH) {
            self.send_batch(FLOW.into(), batch.iter());
        }
        let mut captures: Vec<&Rc<str>> = waiting.iter().map(|told| &told.capture).collect();
        captures.sort_unstable();
        captures.dedup();
        for capture in captures {
            let namespace: Rc<str> = format!("{FLOW}/{capture}").into();
            if self.feed.wants(&namespace) {
                let of_capture: Vec<&Told> =
                    waiting.iter().filter(|told| told.capture == *capture).collect();
                for batch in of_capture.chunks(BATCH) {
                    self.send_batch(Rc::clone(&namespace), batch.iter().copied());
                }
            }
        }
    }

    fn send_batch<'a>(&mut self, namespace: Rc<str>, batch: impl Iterator<Item = &'a Told>) {
        let (mut list, mut body) = (Vec::new(), Vec::new());
        for told in batch {
            // Repeated fields of a message can follow one another.
            body.extend_from_slice(&told.protobuf);
            list.push(if list.is_empty() { b'[' } else { b',' });
            list.extend_from_slice(&told.json);
        }
        list.push(b']');
        let protobuf = Some(body).filter(|body| !body.is_empty()).map(Into::into);
        self.feed.publish(Message::Flows { namespace, json: list.into(), protobuf });
    }

    fn tell_statistics(&mut self) {
        let captures: Vec<Rc<str>> =
            self.orders.resources.captures().map(|(id, _)| Rc::clone(id)).collect();
        for id in captures {
            let (mut sum, mut losses) = (Statistics::default(), Losses::default());
            for (_, attachment) in self.attachments.iter().filter(|(_, a)| a.capture == id) {
                sum.packets = sum.packets.saturating_add(attachment.packets);
                losses.packets = losses.packets.saturating_add(attachment.drops);
                let figures = attachment.table().and_then(|t| self.captured.statistics(t));
                let figures = figures.unwrap_or_default();
                sum.flows = sum.flows.saturating_add(figures.flows);
                sum.dropped = sum.dropped.saturating_add(figures.dropped);
            }
            let mut out = b"{\"CaptureID\":".to_vec();
            json::string(&mut out, &id);
            for (name, value) in [
                ("FlowCount", sum.flows),
                ("FlowDropped", sum.dropped),
                ("KernelFlowDropped", losses.flows),
                ("PacketsDropped", losses.packets),
                ("PacketsReceived", sum.packets),
            ] {
                out.push(b',');
                json::string(&mut out, name);
                out.push(b':');
                json::unsigned(&mut out, value);
            }
            out.push(b'}');
            let body = self.feed.wants_bodies().then(|| {
                let mut body = Vec::new();
                protobuf::statistics(&mut body, &id, &sum, &losses);
                body.into()
            });
            self.feed.publish(Message::Stats { json: out.into(), protobuf: body });
        }
    }
}
