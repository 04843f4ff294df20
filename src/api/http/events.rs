//! Events over a WebSocket: what `subscribe` tells on the Unix socket, a JSON object a message.
//! The query says what is wanted: `topic`, and the conditions on flows that listings know.

use super::endpoint;
use super::head::Request;
use super::login;
use super::response::{self, End, Response};
use super::socket::{PONG_TIME, Part, Received, Socket, code};
use crate::api::events::{self, Events};
use crate::api::{Outbox, Progress};
use crate::config::access::Role;
use crate::core::Agent;
use crate::core::bus::Topics;
use crate::core::command::Failure;
use crate::core::select::Selection;
use crate::time::Tick;

/// Octets of lines that wait to become messages; it grows as needed.
const MAX_WAITING: usize = 256 * 1024;

/// Messages of a client that are looked at in one call.
const TURN: usize = 64;

/// A client that is told of events.
#[derive(Debug)]
pub(super) struct Subscriber {
    events: Events,
    /// Lines that are not messages yet.
    lines: Outbox,
    socket: Socket,
    /// The answer that opens the WebSocket, until it is handed on.
    head: Option<Vec<u8>>,
    /// The socket may hold frames that were not looked at.
    stopped: bool,
}

/// Whether a request is for events.
#[must_use]
pub(super) fn is_wanted(request: &Request) -> bool {
    matches!(request.path.iter().map(String::as_str).collect::<Vec<_>>()[..], ["ws", "events"])
}

impl Subscriber {
    /// Subscribes as a request asks.
    ///
    /// # Errors
    /// The answer that refuses it.
    pub(super) fn begin(request: &Request, agent: &mut Agent, now: Tick) -> Result<Self, Response> {
        let accepted = endpoint::handshake(request)?;
        let identity = login::identify(request, true, agent).map_err(login::refusal)?;
        if identity.role < Role::Read {
            let text = format!("'{}' has no permission on '{}'", identity.name, request.raw_path);
            return Err(Response::text(403, &text));
        }
        let begun = wanted(request).and_then(|(topics, selection)| {
            Events::begin(topics, selection, agent, &identity.caller())
        });
        let events = begun.map_err(|failure| {
            let status = if failure == Failure::Limit { 429 } else { 400 };
            Response::text(status, &failure.to_string())
        })?;
        let answer = endpoint::opening(accepted);
        let mut head = Vec::new();
        response::head(&mut head, &answer, End::None, false, agent.clock().wall);
        Ok(Self {
            events,
            lines: Outbox::new(MAX_WAITING),
            socket: Socket::new(now),
            head: Some(head),
            stopped: false,
        })
    }

    /// What the client says means nothing, but it may leave.
    pub(super) fn receive(&mut self, bytes: &[u8], out: &mut Outbox, now: Tick) -> usize {
        if self.head.is_some() {
            return 0;
        }
        let mut rest = bytes;
        self.listen(&mut rest, out, now);
        bytes.len().saturating_sub(rest.len())
    }

    fn listen(&mut self, input: &mut &[u8], out: &mut Outbox, now: Tick) {
        self.stopped = false;
        for _ in 0..TURN {
            match self.socket.receive(input, out, now) {
                Received::Closed | Received::Nothing => return,
                Received::Message(_) => {}
            }
        }
        self.stopped = true;
    }

    /// The client closed its side: it is taken for gone.
    pub(super) fn finish(&mut self, out: &mut Outbox) {
        self.socket.close(code::NORMAL, "", out);
    }

    pub(super) fn produce(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) -> Progress {
        if let Some(head) = &self.head {
            if !out.push(|bytes| bytes.extend_from_slice(head)) {
                return Progress::More;
            }
            self.head = None;
        }
        if self.stopped {
            self.listen(&mut &[][..], out, now);
        }
        if self.socket.take_bad() {
            let refused = &mut agent.counters.http_refused_parse;
            *refused = refused.saturating_add(1);
        }
        if self.socket.is_over() {
            return Progress::Done;
        }
        if agent.ending().is_some() && !self.events.has_news(agent) && self.lines.is_empty() {
            self.socket.close(code::AWAY, "the agent ends", out);
            return Progress::Done;
        }
        let progress = self.events.advance(agent, &mut self.lines);
        self.hand_on(out);
        if self.lines.is_empty() && !self.stopped { progress } else { Progress::More }
    }

    /// Makes a message of each line, as far as there is room.
    fn hand_on(&mut self, out: &mut Outbox) {
        const WHOLE: Part = Part { first: true, last: true, binary: false };
        let mut done = 0_usize;
        for line in self.lines.pending().split_inclusive(|octet| *octet == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            // What does not even fit an empty box would wait for ever: it is left out.
            if out.is_high() || !self.socket.send(text, WHOLE, out) && !out.is_empty() {
                break;
            }
            done = done.saturating_add(line.len());
        }
        self.lines.advance(done);
    }

    pub(super) fn expire(&mut self, agent: &Agent, out: &mut Outbox, now: Tick) {
        if self.head.is_some() {
            return;
        }
        // A ping is due when the interval ends before the next look.
        let interval = u64::from(agent.settings().http_ping).saturating_mul(1_000_000);
        let soon = interval.saturating_sub(500_000);
        self.socket.keep_alive(soon, PONG_TIME, out, now);
    }

    pub(super) fn closed(&self, agent: &mut Agent) {
        self.events.end(agent);
    }

    pub(super) fn has_news(&self, agent: &Agent) -> bool {
        self.head.is_some()
            || self.stopped
            || self.socket.is_over()
            || !self.lines.is_empty()
            || self.events.has_news(agent)
            || agent.ending().is_some()
    }

    pub(super) const fn held(&self) -> usize {
        self.lines.held().saturating_add(self.socket.held())
    }

    pub(super) const fn heard(&self) -> Tick {
        self.socket.heard()
    }
}

/// What a query asks for. Parameters that are none of these belong to others, as a token does.
fn wanted(request: &Request) -> Result<(Topics, Selection), Failure> {
    let mut selection = Selection::default();
    let mut names = Vec::new();
    for (name, value) in &request.query {
        match name.as_str() {
            "topic" => names.extend(value.split(',').map(|name| Some(name.trim()))),
            name => selection.set(name, value)?,
        }
    }
    let topics = if names.is_empty() { Topics::all() } else { events::topics(names.into_iter())? };
    Ok((topics, selection))
}
