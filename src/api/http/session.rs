//! A WebSocket client at work: requests and edits come in, messages of the feed go out, each in
//! its form, and what is large in parts.

use std::collections::VecDeque;
use std::rc::Rc;

use super::answer::{Answer, MARK};
use super::edit;
use super::endpoint::Endpoint;
use super::envelope::{Envelope, Letter};
use super::filter::{Fault, Filter};
use super::graph::GraphText;
use super::socket::{PONG_TIME, Part, Received, Socket, code};
use crate::api::{Outbox, Progress};
use crate::core::Agent;
use crate::core::feed::{GRAPH, MemberId};
use crate::core::publish::Author;
use crate::query::{self, Query, World};
use crate::time::Tick;
use crate::topology::graph::Slice;
use crate::wire::json;

/// Messages of a client that are looked at in one call.
const TURN: usize = 64;

/// Answers that wait to be sent; no more is read meanwhile.
const MAX_REPLIES: usize = 2;

/// Octets of one part of a large message.
const PIECE: usize = 32 * 1024;

/// Elements that a filter on the past may look at, at one go.
const PAST_VISITS: usize = 50_000;

/// A WebSocket that was just opened, and what its client said of itself.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) member: MemberId,
    pub(super) endpoint: Endpoint,
    pub(super) protobuf: bool,
    /// Flows and statistics come as protobuf in the envelope, too, not as JSON.
    pub(super) bodies: bool,
    /// Changes are wanted as operations.
    pub(super) partial: bool,
    /// What the client brought goes when it does.
    pub(super) deletes: bool,
    pub(super) host: Rc<str>,
    pub(super) origin: Rc<str>,
    pub(super) filter: Option<Filter>,
    /// Why it is closed at once.
    pub(super) fault: Option<&'static str>,
    pub(super) now: Tick,
}

/// A WebSocket client.
#[derive(Debug)]
pub(super) struct Session {
    client: Opened,
    socket: Socket,
    /// The answer that opens the WebSocket, until it is handed on.
    head: Option<Answer>,
    replies: VecDeque<Reply>,
    sending: Option<Sending>,
    /// The socket may hold messages that were not looked at for want of room.
    stopped: bool,
    /// The client closed its side.
    finished: bool,
}

#[derive(Debug)]
struct Reply {
    /// Messages that were there before it.
    behind: usize,
    uuid: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Error(String),
    /// What the filter shows, once it has looked.
    Filtered,
    Graph(GraphText),
}

/// A large message on its way in parts.
#[derive(Debug)]
struct Sending {
    first: bool,
    /// Made, and not yet sent from `at`.
    made: Rc<[u8]>,
    at: usize,
    /// A graph of which more is to be made, in the answer to the request of this identity.
    then: Option<GraphText>,
}

impl Session {
    pub(super) fn begin(client: Opened, head: Answer) -> Self {
        let socket = Socket::new(client.now);
        Self {
            client,
            socket,
            head: Some(head),
            replies: VecDeque::new(),
            sending: None,
            stopped: false,
            finished: false,
        }
    }

    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        agent: &mut Agent,
        out: &mut Outbox,
        now: Tick,
    ) -> usize {
        if !self.open(agent, out) {
            return 0;
        }
        let mut rest = bytes;
        self.listen(&mut rest, agent, out, now);
        bytes.len().saturating_sub(rest.len())
    }

    /// The client closed its side: what waits is still said.
    pub(super) fn finish(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) {
        self.listen(&mut &[][..], agent, out, now);
        self.finished = true;
    }

    pub(super) fn produce(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) -> Progress {
        if !self.open(agent, out) {
            return Progress::More;
        }
        if let Some(fault) = self.client.fault {
            self.socket.close(code::POLICY, fault, out);
        }
        if self.stopped && self.replies.len() < MAX_REPLIES {
            self.listen(&mut &[][..], agent, out, now);
        }
        if self.socket.take_bad() {
            let refused = &mut agent.counters.http_refused_parse;
            *refused = refused.saturating_add(1);
        }
        loop {
            if self.socket.is_over() {
                return Progress::Done;
            }
            if out.pending().len() >= MARK {
                return Progress::More;
            }
            match self.step(agent, out) {
                Step::Done => {}
                Step::Later => return Progress::More,
                Step::Nothing if self.finished => {
                    self.socket.close(code::NORMAL, "", out);
                }
                Step::Nothing => return Progress::Idle,
            }
        }
    }

    pub(super) fn expire(&mut self, agent: &Agent, out: &mut Outbox, now: Tick) {
        if self.head.is_none() {
            // A ping is due when the interval ends before the next look.
            let interval = u64::from(agent.settings().http_ping).saturating_mul(1_000_000);
            self.socket.keep_alive(interval.saturating_sub(500_000), PONG_TIME, out, now);
        }
    }

    pub(super) fn closed(&self, agent: &mut Agent) {
        agent.feed.leave(self.client.member);
        if self.client.deletes && self.publishes() {
            agent.withdraw(&self.client.origin);
        }
    }

    pub(super) fn ready(&self, _: &Outbox) -> bool {
        self.replies.len() < MAX_REPLIES
    }

    pub(super) fn has_news(&self, agent: &Agent) -> bool {
        let filter = &self.client.filter;
        agent.feed.pending(self.client.member)
            || filter.as_ref().is_some_and(|filter| filter.is_behind(agent) || filter.has_changes())
    }

    pub(super) const fn heard(&self) -> Tick {
        self.socket.heard()
    }

    pub(super) fn held(&self) -> usize {
        let replies = self.replies.len().saturating_mul(1_024);
        self.socket.held().saturating_add(replies)
    }

    const fn publishes(&self) -> bool {
        matches!(self.client.endpoint, Endpoint::Publisher | Endpoint::PubSub)
    }

    const fn follows_graph(&self) -> bool {
        matches!(self.client.endpoint, Endpoint::Subscriber | Endpoint::PubSub)
    }

    /// Hands on the answer that opens the WebSocket, and the first ping; `true` once it is open.
    fn open(&mut self, agent: &Agent, out: &mut Outbox) -> bool {
        if let Some(head) = &mut self.head {
            if !head.advance(agent, out) {
                return false;
            }
            self.head = None;
            self.socket.keep_alive(0, PONG_TIME, out, self.client.now);
        }
        true
    }

    fn listen(&mut self, input: &mut &[u8], agent: &mut Agent, out: &mut Outbox, now: Tick) {
        self.stopped = false;
        for _ in 0..TURN {
            if self.replies.len() >= MAX_REPLIES {
                break;
            }
            match self.socket.receive(input, out, now) {
                Received::Closed | Received::Nothing => return,
                Received::Message(bytes) => self.read(&bytes, agent),
            }
        }
        self.stopped = true;
    }

    /// Looks at one message. What is no message, or asks for nothing known, is counted and passed
    /// over: one bad message is no reason to lose a client.
    fn read(&mut self, bytes: &[u8], agent: &mut Agent) {
        agent.counters.requests = agent.counters.requests.saturating_add(1);
        let letter = Letter::parse(bytes, self.client.protobuf);
        let done = letter.is_some_and(|letter| self.act(letter, agent));
        if !done {
            agent.counters.requests_bad = agent.counters.requests_bad.saturating_add(1);
        }
    }

    fn act(&mut self, letter: Letter, agent: &mut Agent) -> bool {
        if letter.namespace != GRAPH {
            return false;
        }
        if letter.kind == "SyncRequest" && self.follows_graph() {
            self.synchronise(letter, agent);
            return true;
        }
        let edit = edit::read(&letter).filter(|_| self.publishes());
        let (host, origin) = (Rc::clone(&self.client.host), Rc::clone(&self.client.origin));
        edit.is_some_and(|edit| agent.edit(edit, &Author { host, origin }).is_ok())
    }

    fn synchronise(&mut self, letter: Letter, agent: &mut Agent) {
        let what = match letter.object.get("GremlinFilter").and_then(serde_json::Value::as_str) {
            None => None,
            Some("") => {
                self.client.filter = None;
                None
            }
            Some(text) => match Query::parse(text) {
                Ok(query) => {
                    self.client.filter = Some(Filter::new(query));
                    None
                }
                Err(error) => Some(What::Error(error.to_string())),
            },
        };
        // What has changed until now is in the answer, and need not be told any more.
        agent.hold_graph();
        agent.feed.set_graph_apart(self.client.member, self.client.filter.is_some());
        agent.feed.knows_graph(self.client.member);
        let time = letter.object.get("Time").and_then(serde_json::Value::as_i64);
        let time = time.filter(|time| *time > 0);
        let what = what.unwrap_or_else(|| match (time, &self.client.filter) {
            (Some(time), _) => self.past(time, agent),
            (None, Some(_)) => What::Filtered,
            (None, None) => What::Graph(GraphText::of(&agent.graph)),
        });
        let behind = agent.feed.waiting(self.client.member);
        self.replies.push_back(Reply { behind, uuid: letter.uuid, what });
    }

    /// The graph at a moment of the past.
    fn past(&self, time: i64, agent: &Agent) -> What {
        let graph = agent.graph.during(Slice { from: time, to: time });
        let Some(filter) = &self.client.filter else { return What::Graph(GraphText::of(&graph)) };
        let world = World { graph: &graph, ..agent.world() };
        match query::evaluate(filter.query(), &world, PAST_VISITS) {
            Ok(query::Answer::Graph { nodes, edges }) => What::Graph(GraphText::new(nodes, edges)),
            Ok(_) => What::Error(NO_GRAPH.to_owned()),
            Err(error) => What::Error(error.to_string()),
        }
    }

    /// Sends the next thing there is to send.
    fn step(&mut self, agent: &mut Agent, out: &mut Outbox) -> Step {
        if self.sending.is_some() {
            return self.go_on(out);
        }
        let member = self.client.member;
        let lost = agent.feed.take_dropped(member);
        if lost > 0 {
            let of_flows = self.client.endpoint == Endpoint::Flows;
            let note = edit::render_loss(lost, of_flows, self.client.protobuf);
            return self.send(note.into(), out);
        }
        if self.replies.front().is_some_and(|reply| reply.behind == 0) {
            return self.reply(agent, out);
        }
        let form = edit::form(&self.client);
        if let Some(item) = agent.feed.next(member) {
            for reply in &mut self.replies {
                reply.behind = reply.behind.saturating_sub(1);
            }
            return self.send(item.form(form, |item| edit::render(item, form)), out);
        }
        if !self.replies.is_empty() {
            // What it was behind is gone.
            self.replies.iter_mut().for_each(|reply| reply.behind = 0);
            return Step::Done;
        }
        let Some(filter) = &mut self.client.filter else { return Step::Nothing };
        if let Some(event) = filter.next() {
            let uuid = agent.feed.uuid().to_string();
            return self.send(edit::render_event(&event, form, &uuid).into(), out);
        }
        if !filter.is_behind(agent) {
            return Step::Nothing;
        }
        match filter.advance(agent) {
            Ok(true) if filter.has_changes() => Step::Done,
            Ok(true) => Step::Nothing,
            Ok(false) => Step::Later,
            Err(_) => {
                self.socket.close(code::POLICY, "bad X-Gremlin-Filter", out);
                Step::Done
            }
        }
    }

    /// Sends the answer to the oldest request, or prepares it.
    fn reply(&mut self, agent: &mut Agent, out: &mut Outbox) -> Step {
        let looked = match (&mut self.client.filter, self.replies.front()) {
            (Some(filter), Some(Reply { what: What::Filtered, .. })) => match filter.advance(agent)
            {
                Ok(false) => return Step::Later,
                Ok(true) => {
                    let (nodes, edges) = filter.all();
                    Some(What::Graph(GraphText::new(nodes, edges)))
                }
                Err(fault) => {
                    self.client.filter = None;
                    agent.feed.set_graph_apart(self.client.member, false);
                    Some(What::Error(match fault {
                        Fault::Error(error) => error.to_string(),
                        Fault::NoGraph => NO_GRAPH.to_owned(),
                    }))
                }
            },
            _ => None,
        };
        let Some(Reply { uuid, what, .. }) = self.replies.pop_front() else { return Step::Nothing };
        let protobuf = self.client.protobuf;
        let envelope = Envelope { namespace: GRAPH, kind: "SyncReply", uuid: &uuid, status: 200 };
        match looked.unwrap_or(what) {
            What::Error(text) => {
                let mut object = Vec::new();
                json::string(&mut object, &text);
                let mut message = Vec::new();
                Envelope { status: 400, ..envelope }.write(&mut message, protobuf, &object);
                self.send(message.into(), out)
            }
            What::Graph(mut text) if protobuf => {
                // The length comes first, so all of it must be known.
                let (mut object, mut message) = (Vec::new(), Vec::new());
                while text.write(&mut object, PIECE) {}
                envelope.write(&mut message, true, &object);
                self.send(message.into(), out)
            }
            What::Graph(text) => self.begin_graph(text, &envelope),
            // The filter was taken away meanwhile.
            What::Filtered => self.begin_graph(GraphText::of(&agent.graph), &envelope),
        }
    }

    fn begin_graph(&mut self, text: GraphText, envelope: &Envelope<'_>) -> Step {
        let mut made = Vec::new();
        envelope.open(&mut made);
        self.sending = Some(Sending { first: true, made: made.into(), at: 0, then: Some(text) });
        Step::Done
    }

    /// Sends a message, in parts if it is large.
    fn send(&mut self, message: Rc<[u8]>, out: &mut Outbox) -> Step {
        let whole = Part { first: true, last: true, binary: self.client.protobuf };
        if message.len() > MARK || !self.socket.send(&message, whole, out) {
            self.sending = Some(Sending { first: true, made: message, at: 0, then: None });
        }
        Step::Done
    }

    /// Sends the next part of a large message.
    fn go_on(&mut self, out: &mut Outbox) -> Step {
        let Some(sending) = &mut self.sending else { return Step::Nothing };
        let rest = sending.made.get(sending.at..).unwrap_or_default();
        if rest.len() < PIECE
            && let Some(text) = &mut sending.then
        {
            let mut made = rest.to_vec();
            if !text.write(&mut made, PIECE) {
                // What ends the envelope; protobuf comes another way.
                made.push(b'}');
                sending.then = None;
            }
            (sending.made, sending.at) = (made.into(), 0);
        }
        let rest = sending.made.get(sending.at..).unwrap_or_default();
        let piece = rest.get(..PIECE).unwrap_or(rest);
        let last = piece.len() == rest.len() && sending.then.is_none();
        let part = Part { first: sending.first, last, binary: self.client.protobuf };
        if !self.socket.send(piece, part, out) {
            return Step::Later;
        }
        sending.first = false;
        sending.at = sending.at.saturating_add(piece.len());
        if last {
            self.sending = None;
        }
        Step::Done
    }
}

const NO_GRAPH: &str = "Gremlin expression must return a graph";

/// What became of a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Done,
    /// There is more to do, in another turn.
    Later,
    Nothing,
}
