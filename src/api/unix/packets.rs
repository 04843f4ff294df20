//! Live packets on the Unix socket: one JSON line says that they come, then they come as they
//! are, and the connection ends with them.

use serde_json::{Map, Value};

use crate::api::tap::{Dry, Tap};
use crate::api::{Outbox, Progress};
use crate::core::Agent;
use crate::core::auth::Caller;
use crate::core::command::Failure;
use crate::core::packets::parameters::{self, Fallback, Wish};
use crate::core::packets::{Format, State, failure};
use crate::core::row::Row;
use crate::wire::json;

use super::reply::{self, INVALID, LIMIT, REFUSED, Refusal};
use super::{Close, Verb};

/// No more is taken from the session while so many octets wait to be sent.
const MARK: usize = 256 * 1024;

/// A client of a session.
#[derive(Debug)]
pub(super) struct Watch {
    tap: Tap,
    format: Format,
    open: bool,
}

/// What a call of [`Watch::advance`] comes to.
#[derive(Debug)]
pub(super) enum Turn {
    /// As with any connection.
    Goes(Progress),
    /// There is no stream; the client may ask for something else.
    Refused(Refusal),
}

/// What an order comes to.
#[derive(Debug)]
pub(super) enum Begun {
    /// A session for a file.
    Recorded(Row),
    /// A session for this client.
    Watched(Watch),
}

/// Begins what a request orders.
pub(super) fn begin(bytes: &[u8], agent: &mut Agent, caller: &Caller) -> Result<Begun, Refusal> {
    let members: Map<String, Value> = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::new(INVALID, format!("parse error: {error}")))?;
    let pairs = pairs(members);
    let wish = parameters::parse(&pairs, Fallback::Own).map_err(refusal)?;
    if wish.order.recording.is_some() {
        return record(wish, agent, caller);
    }
    let format = wish.order.format;
    let id = agent.order_packets(wish, "unix".to_owned(), caller).map_err(refusal)?;
    Ok(Begun::Watched(Watch { tap: Tap::new(id), format, open: false }))
}

fn record(wish: Wish, agent: &mut Agent, caller: &Caller) -> Result<Begun, Refusal> {
    let row = agent.record_packets(wish, caller);
    row.map(Begun::Recorded).map_err(|failure| Refusal::of(Verb::Packets, failure))
}

fn refusal(refused: crate::core::packets::Refused) -> Refusal {
    use crate::core::packets::Why;
    match refused.why {
        Why::Bad => Refusal::new(INVALID, refused.text),
        Why::Busy => Refusal::new(LIMIT, refused.text),
        Why::Denied => Refusal::of(Verb::Packets, failure(refused)),
        Why::NotFound | Why::Stale | Why::System => Refusal::new(REFUSED, refused.text),
    }
}

/// The members of a request, and of its `data`, as names and values. A list is a value for each
/// entry; a member that is false or null is not there.
fn pairs(mut members: Map<String, Value>) -> Vec<(String, String)> {
    let data = match members.remove("data") {
        Some(Value::Object(data)) => data,
        _ => Map::new(),
    };
    let mut pairs = Vec::new();
    for (name, value) in members.into_iter().chain(data) {
        match (&*name, value) {
            ("command" | "pretty", _) | (_, Value::Null | Value::Bool(false)) => {}
            ("nif", Value::Array(names)) => {
                let names: Vec<String> = names.into_iter().map(text).collect();
                pairs.push((name, names.join("/")));
            }
            (_, Value::Array(values)) => {
                pairs.extend(values.into_iter().map(|value| (name.clone(), text(value))));
            }
            (_, value) => pairs.push((name, text(value))),
        }
    }
    pairs
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Bool(true) => "1".to_owned(),
        other => json::text(&other),
    }
}

impl Watch {
    pub(super) const fn receive(&self, bytes: &[u8]) -> Result<usize, Close> {
        // What comes before the answer waits, what comes behind it means nothing.
        Ok(if self.open { bytes.len() } else { 0 })
    }

    pub(super) fn advance(&mut self, agent: &mut Agent, out: &mut Outbox) -> Turn {
        if !self.open {
            match agent.packets.state(self.tap.id()) {
                Some(State::Opening) => return Turn::Goes(Progress::Idle),
                Some(State::Refused(refused)) => {
                    let refused = refused.clone();
                    agent.packets.close(self.tap.id());
                    return Turn::Refused(refusal(refused));
                }
                Some(State::Open | State::Over(_)) => {}
                None => {
                    return Turn::Refused(Refusal::of(Verb::Packets, Failure::NotFound));
                }
            }
            let format = if self.format == Format::Pcap { "pcap" } else { "pcapng" };
            let row = Row::new().with("id", self.tap.id().number()).with("format", format);
            if !out.push(|bytes| reply::object(bytes, reply::DONE, &row, "Ok.")) {
                return Turn::Goes(Progress::More);
            }
            self.open = true;
        }
        let send = |piece: &[u8], out: &mut Outbox| out.push(|b| b.extend_from_slice(piece));
        Turn::Goes(match self.tap.flow(agent, out, MARK, send) {
            Dry::Full => Progress::More,
            Dry::Over(_) => Progress::Done,
            Dry::Waits => Progress::Idle,
        })
    }

    pub(super) fn has_news(&self, agent: &Agent) -> bool {
        match agent.packets.state(self.tap.id()) {
            Some(State::Opening) => false,
            _ => !self.open || agent.packets.has_news(self.tap.id()),
        }
    }

    pub(super) fn closed(&self, agent: &mut Agent) {
        agent.packets.close(self.tap.id());
    }

    pub(super) const fn held(&self) -> usize {
        self.tap.held()
    }
}
