//! The UDP management protocol: tagged begin/row/end over datagrams, as n2n's clients speak it.
//! One request line in, a few JSON datagrams out; made for `echo r 1 help | nc -w1 -u`.
//!
//! Nothing is remembered of a client but an unfinished answer and its subscriptions. The key
//! travels in the clear: off loopback it protects against accidents, not against listeners.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::core::Agent;
use crate::core::agent::{Cursor, Item, Reply};
use crate::core::auth::{self, Caller, Right};
use crate::core::bus::{Subscription, Topics as Set};
use crate::core::command::{Access, Arguments, Command, Entry, Failure, MAX_ROWS, TABLE, Verb};
use crate::core::row::Row;
use crate::core::select::{Filter, Selection};
use crate::query::Run;
use crate::time::Tick;

use self::limit::{Bucket, Sources};
use self::request::{Datagram, Kind, Reject, Request};
use self::topics::{Subscriber, Topics};

pub mod limit;
pub mod reply;
pub mod request;
pub mod topics;

/// Unfinished answers at once, over all clients.
pub const MAX_ANSWERS: usize = 16;

/// Requests of one client that wait for its unfinished answer.
const MAX_WAITING: usize = 4;

/// Datagrams of one answer sent without a pause for others.
const SLICE: usize = 32;

/// What an answer without a key may come to on loopback: datagrams, and their octets.
const KEYLESS: (usize, usize) = (40, 8 * 1024);

/// Elements that a query looks at between two looks at what else there is to do: a slice of an
/// answer has as many of these as datagrams.
const ROW_VISITS: usize = 1_000;

/// IPv4 and UDP headers, in octets: they count as part of a datagram.
const HEADERS: usize = 28;

/// How many times its own size a request from another machine may earn without the key.
const AMPLIFICATION: usize = 3;

/// How long a subscription from another machine lasts unless renewed, in microseconds.
const REMOTE_LEASE: u64 = 300_000_000;

/// Methods of n2n's other kind of daemon that its clients ask for all the same.
const OTHER_DAEMON: [&str; 1] = ["supernodes"];

/// Source ports that only ever send to us because somebody forged them: echo, chargen, DNS, NTP.
const REFLECTORS: [u16; 5] = [0, 7, 19, 53, 123];

/// How a confirmed subscription is spelt.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Dialect {
    /// `subscribed`, as published.
    #[default]
    Published,
    /// `subscribe`, as n2n's daemons send it and `n2n-ctl --sub` insists on.
    N2n,
}

/// What of the settings the port needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address the socket is bound to.
    pub own: SocketAddr,
    /// Reads need the key as well, `help` aside. Always so off loopback.
    pub keyed_reads: bool,
    /// See [`Dialect`].
    pub dialect: Dialect,
}

/// Datagrams on their way out, at most `cap` of them.
#[derive(Debug)]
pub struct Datagrams {
    bytes: Vec<u8>,
    ends: VecDeque<(SocketAddr, usize)>,
    start: usize,
    cap: usize,
    queued: u64,
}

impl Datagrams {
    /// An empty queue for at most `cap` datagrams.
    #[must_use]
    pub const fn new(cap: usize) -> Self {
        Self { bytes: Vec::new(), ends: VecDeque::new(), start: 0, cap, queued: 0 }
    }

    /// How many more fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.cap.saturating_sub(self.ends.len())
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Those that wait, in order.
    pub fn iter(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let mut from = self.start;
        self.ends.iter().map(move |(to, end)| {
            let bytes = self.bytes.get(from..*end).unwrap_or_default();
            from = *end;
            (*to, bytes)
        })
    }

    /// Forgets the first `count`.
    pub fn sent(&mut self, count: usize) {
        for _ in 0..count {
            if let Some((_, end)) = self.ends.pop_front() {
                self.start = end;
            }
        }
        if self.ends.is_empty() {
            self.start = 0;
            self.bytes.clear();
        }
    }

    /// Datagrams that were queued since the last call.
    pub fn take_queued(&mut self) -> u64 {
        std::mem::take(&mut self.queued)
    }

    fn push(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.queued = self.queued.saturating_add(1);
        self.bytes.extend_from_slice(bytes);
        self.ends.push_back((to, self.bytes.len()));
    }
}

/// The state of the port.
pub struct Server {
    config: Config,
    answers: Vec<Answer>,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    topics: Topics,
    bus: Option<Subscription>,
    wrong_keys: Sources,
    keyless: Sources,
    keyless_all: Bucket,
    errors: Bucket,
    busy: Bucket,
    /// Octets of the request that is being answered.
    paid: usize,
    scratch: Vec<u8>,
}

impl Server {
    /// A port with no subscribers.
    #[must_use]
    pub fn new(config: Config, now: Tick) -> Self {
        Self {
            config,
            answers: Vec::new(),
            waiting: VecDeque::new(),
            topics: Topics::default(),
            bus: None,
            wrong_keys: Sources::new(20, 5),
            keyless: Sources::new(10, 10),
            keyless_all: Bucket::new(100, 100, now),
            errors: Bucket::new(200, 100, now),
            busy: Bucket::new(1, 1, now),
            paid: 0,
            scratch: Vec::with_capacity(2 * reply::MAX_REPLY),
        }
    }

    /// Changes the settings; subscriptions stay.
    pub fn configure(&mut self, config: Config) {
        self.config = config;
    }

    /// Takes one datagram. What it earns goes to `out`, which should have room for a few; an
    /// answer that does not fit goes on in [`Self::produce`].
    pub fn receive(
        &mut self,
        bytes: &[u8],
        from: SocketAddr,
        agent: &mut Agent,
        out: &mut Datagrams,
        now: Tick,
    ) {
        agent.counters.udp_received = agent.counters.udp_received.saturating_add(1);
        self.paid = bytes.len();
        let reflects = REFLECTORS.contains(&from.port()) || from.port() == self.config.own.port();
        if reflects {
            agent.counters.udp_bad = agent.counters.udp_bad.saturating_add(1);
            return;
        }
        let local = self.config.own.ip().is_loopback();
        match Datagram::parse(bytes) {
            Datagram::Noise => agent.counters.udp_bad = agent.counters.udp_bad.saturating_add(1),
            // People ask from the machine itself; towards others plain text is an amplifier.
            Datagram::Help if local => self.text(HELP_TEXT, from, agent, out, now),
            Datagram::Status if local => {
                let text = agent.status_line();
                self.text(&text, from, agent, out, now);
            }
            Datagram::Help | Datagram::Status => self.silence(agent),
            Datagram::Request(request) => {
                // Also behind those that wait though their turn has come, to keep the order.
                let waits = self.waiting.iter().any(|(peer, _)| *peer == from);
                if waits || self.answers.iter().any(|answer| answer.peer == from) {
                    self.queue(bytes, from, agent, out, now);
                } else {
                    self.request(request, from, agent, out, now);
                }
            }
        }
    }

    /// Goes on with unfinished answers, waiting requests and events, as far as `out` has room.
    /// `true` if there is more to do.
    pub fn produce(&mut self, agent: &mut Agent, out: &mut Datagrams, now: Tick) -> bool {
        // Each answer in turn gets a slice, so that a long one does not hold up the others.
        for _ in 0..self.answers.len() {
            if out.room() == 0 {
                return true;
            }
            let mut answer = self.answers.remove(0);
            if !answer.proceed(SLICE, agent, out, &mut self.scratch) {
                self.answers.push(answer);
            }
        }
        for _ in 0..self.waiting.len() {
            let Some((from, bytes)) = self.waiting.pop_front() else { break };
            if out.room() == 0 || self.answers.iter().any(|answer| answer.peer == from) {
                self.waiting.push_back((from, bytes));
            } else if let Datagram::Request(request) = Datagram::parse(&bytes) {
                self.paid = bytes.len();
                self.request(request, from, agent, out, now);
            }
        }
        self.expire(agent, now);
        self.events(agent, out, now);
        let events = self.bus.is_some_and(|bus| agent.bus.pending(bus));
        !self.answers.is_empty() || !self.waiting.is_empty() || events
    }

    /// The kernel says that nobody listens at `peer`: its subscriptions and answers end.
    pub fn refused(&mut self, peer: SocketAddr, agent: &mut Agent) {
        self.answers.retain(|answer| answer.peer != peer);
        self.waiting.retain(|(from, _)| *from != peer);
        self.topics.release(|subscriber| subscriber.peer == peer);
        self.follow(agent);
    }

    /// The port goes: gives back what it holds of the agent.
    pub fn close(&mut self, agent: &mut Agent) {
        self.topics.release(|_| true);
        self.follow(agent);
    }

    fn request(
        &mut self,
        request: Result<Request<'_>, Reject<'_>>,
        from: SocketAddr,
        agent: &mut Agent,
        out: &mut Datagrams,
        now: Tick,
    ) {
        agent.counters.requests = agent.counters.requests.saturating_add(1);
        let request = match request {
            Ok(request) => request,
            Err(reject) => return self.error(&reject.tag, reject.error, from, agent, out, now),
        };
        let local = self.config.own.ip().is_loopback();
        let keyed = match request.key {
            Some(key) if auth::matches(agent.management_password(), key) => true,
            Some(_) => {
                agent.counters.auth_failures = agent.counters.auth_failures.saturating_add(1);
                if !self.wrong_keys.take(from.ip(), now) {
                    return self.silence(agent);
                }
                return self.error(&request.tag, "badauth", from, agent, out, now);
            }
            None => false,
        };
        let open = request.kind == Kind::Read
            && local
            && (!self.config.keyed_reads || request.method == "help");
        if !keyed && !open {
            return self.error(&request.tag, "badauth", from, agent, out, now);
        }
        if request.kind == Kind::Subscribe {
            return self.subscribe(&request, from, agent, out, now);
        }
        let writes = request.kind == Kind::Write;
        let Some(entry) = TABLE.iter().find(|e| e.udp.contains(&&*request.method)) else {
            if OTHER_DAEMON.contains(&&*request.method) && !writes {
                let body = Body::Error("unimplemented", None);
                return self.answer(&request, from, keyed, body, false, agent, out, now);
            }
            let known = OTHER_DAEMON.contains(&&*request.method);
            let error = if known { "readonly" } else { "unknowncmd" };
            return self.error(&request.tag, error, from, agent, out, now);
        };
        if writes && entry.access == Access::Read {
            return self.error(&request.tag, "readonly", from, agent, out, now);
        }
        if !writes && entry.access == Access::Write {
            let body = Body::Error("writeonly", None);
            return self.answer(&request, from, keyed, body, false, agent, out, now);
        }
        let body = self.run(entry, &request, from, agent, out);
        let paged = matches!(body, Body::Rows(..)) && entry.args.contains("n=");
        self.answer(&request, from, keyed, body, paged, agent, out, now);
    }

    /// Carries the request out as far as its first row.
    fn run(
        &mut self,
        entry: &Entry,
        request: &Request<'_>,
        from: SocketAddr,
        agent: &mut Agent,
        out: &mut Datagrams,
    ) -> Body {
        match entry.verb {
            Verb::Help => return Body::Ready(help()),
            Verb::HelpEvents => return Body::Ready(self.help_events()),
            Verb::Unsubscribe => return self.unsubscribe(request, from, agent, out),
            _ => {}
        }
        let writes = request.kind == Kind::Write;
        let right = if writes { Right::Admin } else { Right::Read };
        let mut arguments = Arguments {
            text: &request.arguments,
            write: writes,
            max_rows: MAX_ROWS,
            ..Arguments::default()
        };
        let selects = matches!(entry.verb, Verb::Flows | Verb::Top);
        (arguments.named, arguments.words) = request::arguments(&request.arguments, selects);
        let reply = Command::build(entry.verb, arguments)
            .and_then(|command| agent.run(command, &Caller { right }));
        match reply {
            Ok(Reply::Row(row)) => {
                // n2n's clients take the row of info for the address of this port.
                let own = self.config.own;
                Body::Ready(VecDeque::from([match entry.verb {
                    Verb::Info => row.with("sockaddr", own.to_string()),
                    Verb::Reload if request.method == "reload_communities" => {
                        Row::new().with("ok", 0_u8)
                    }
                    _ => row,
                }]))
            }
            Ok(Reply::Query(run)) => Body::Query { run, ready: false, at: 0 },
            Ok(Reply::Rows(cursor)) => Body::Rows(Box::new(cursor), false),
            Ok(Reply::Status(status)) => Body::Ready(VecDeque::from([status.row()])),
            Ok(Reply::Value(value)) => {
                let mut text = Vec::new();
                value.write(&mut text);
                let text = String::from_utf8_lossy(&text).into_owned();
                Body::Ready(VecDeque::from([Row::new().with("item", text)]))
            }
            Err(failure) => in_band(failure),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an answer is made of all of these, once")]
    fn answer(
        &mut self,
        request: &Request<'_>,
        from: SocketAddr,
        keyed: bool,
        body: Body,
        paged: bool,
        agent: &mut Agent,
        out: &mut Datagrams,
        now: Tick,
    ) {
        let (datagrams, octets) = if keyed { (usize::MAX, usize::MAX) } else { KEYLESS };
        let mut answer = Answer {
            peer: from,
            tag: request.tag.clone().into_owned(),
            method: request.method.clone().into_owned(),
            stage: Stage::Begin,
            body,
            paged,
            rows: 0,
            next: None,
            cut: false,
            datagrams,
            octets,
        };
        if !answer.proceed(SLICE, agent, out, &mut self.scratch) {
            if self.answers.len() < MAX_ANSWERS {
                self.answers.push(answer);
            } else if matches!(answer.stage, Stage::Begin) {
                self.too_busy(&request.tag, from, agent, out, now);
            } else {
                // Begun already: finish it short rather than never.
                answer.stage = Stage::End;
                self.answers.push(answer);
            }
        }
    }

    fn subscribe(
        &mut self,
        request: &Request<'_>,
        from: SocketAddr,
        agent: &mut Agent,
        out: &mut Datagrams,
        now: Tick,
    ) {
        let lease = request.arguments.split(' ').find_map(|word| word.strip_prefix("lease="));
        let lease = match lease.map(str::parse::<u32>) {
            None if from.ip().is_loopback() => None,
            None => Some(REMOTE_LEASE),
            Some(Ok(seconds @ 1..)) => Some(u64::from(seconds).saturating_mul(1_000_000)),
            Some(_) => return self.error(&request.tag, "badarg", from, agent, out, now),
        };
        let mut selection = Selection::default();
        let (named, _) = request::arguments(&request.arguments, true);
        let filter = named
            .into_iter()
            .try_for_each(|(name, value)| selection.set(name, &value))
            .and_then(|()| agent.resolve(&selection));
        let filter = match filter {
            Ok(_) if selection == Selection::default() => None,
            Ok(filter) => Some(filter.unwrap_or_else(Filter::nothing)),
            Err(failure) => {
                let row = Row::new().with("error", "badarg").with("detail", failure.to_string());
                reply::write(&mut self.scratch, &request.tag, "error", &row);
                out.push(from, &self.scratch);
                return;
            }
        };
        let Some(seat) = self.topics.seat(&request.method) else {
            return self.error(&request.tag, "unknowntopic", from, agent, out, now);
        };
        let topic = Row::new().with("topic", seat.name);
        let until = lease.map(|lease| now.plus(lease));
        let tag = request.tag.clone().into_owned();
        let old = seat.subscriber.replace(Subscriber::new(from, tag, until, filter, now));
        let scratch = &mut self.scratch;
        let mut send = |to, tag: &str, kind| {
            reply::write(scratch, tag, kind, &topic);
            out.push(to, scratch);
        };
        if let Some(old) = old {
            send(old.peer, &old.tag, "unsubscribed");
            send(from, &request.tag, "replacing");
        }
        let confirmed = match self.config.dialect {
            Dialect::Published => "subscribed",
            Dialect::N2n => "subscribe",
        };
        send(from, &request.tag, confirmed);
        self.follow(agent);
    }

    fn unsubscribe(
        &mut self,
        request: &Request<'_>,
        from: SocketAddr,
        agent: &mut Agent,
        out: &mut Datagrams,
    ) -> Body {
        let Some(seat) = self.topics.seat(request.arguments.trim()) else {
            return Body::Error("badarg", Some("topic: the name of a topic".into()));
        };
        let topic = Row::new().with("topic", seat.name);
        let gone = seat.subscriber.take_if(|subscriber| subscriber.peer == from);
        if let Some(subscriber) = &gone {
            reply::write(&mut self.scratch, &subscriber.tag, "unsubscribed", &topic);
            out.push(from, &self.scratch);
        }
        self.follow(agent);
        Body::Ready(VecDeque::from([topic.with("removed", u8::from(gone.is_some()))]))
    }

    /// Asks the bus for just what the subscribers want.
    fn follow(&mut self, agent: &mut Agent) {
        let wanted = self.topics.wanted();
        match self.bus {
            Some(bus) if wanted == Set::default() => {
                agent.bus.unsubscribe(bus);
                self.bus = None;
            }
            Some(bus) => agent.bus.set_topics(bus, wanted),
            None if wanted == Set::default() => {}
            None => self.bus = agent.bus.subscribe(wanted, None),
        }
    }

    fn events(&mut self, agent: &mut Agent, out: &mut Datagrams, now: Tick) {
        let Some(bus) = self.bus else { return };
        let lost = agent.bus.take_dropped(bus);
        for subscriber in self.topics.subscribers().filter(|_| lost > 0) {
            subscriber.lose(lost);
        }
        // An event goes to two subscribers at most.
        while out.room() >= 2 {
            let Some(event) = agent.bus.next(bus) else { break };
            let row = agent.event_row(&event);
            for subscriber in self.topics.receivers(event.topic()) {
                if subscriber.filter.as_ref().is_some_and(|filter| !agent.passes(filter, &event)) {
                    continue;
                }
                if !subscriber.admit(now) {
                    continue;
                }
                let untold = std::mem::take(&mut subscriber.untold);
                if untold > 0 {
                    let row = row.clone().with("dropped", untold);
                    reply::write(&mut self.scratch, &subscriber.tag, "event", &row);
                } else {
                    reply::write(&mut self.scratch, &subscriber.tag, "event", &row);
                }
                out.push(subscriber.peer, &self.scratch);
            }
        }
    }

    fn expire(&mut self, agent: &mut Agent, now: Tick) {
        let over = |subscriber: &Subscriber| subscriber.until.is_some_and(|until| until <= now);
        if self.topics.subscribers().any(|subscriber| over(subscriber)) {
            self.topics.release(over);
            self.follow(agent);
        }
    }

    fn help_events(&self) -> VecDeque<Row> {
        let row = |seat: &topics::Seat| {
            let (tag, sockaddr, events, dropped) = match &seat.subscriber {
                Some(s) => (s.tag.clone(), s.peer.to_string(), s.events, s.lost),
                None => (String::new(), "?:?".to_owned(), 0, 0),
            };
            Row::new()
                .with("topic", seat.name)
                .with("tag", tag)
                .with("sockaddr", sockaddr)
                .with("help", seat.help)
                .with("events", events)
                .with("dropped", dropped)
        };
        self.topics.iter().map(row).collect()
    }

    fn queue(
        &mut self,
        bytes: &[u8],
        from: SocketAddr,
        agent: &mut Agent,
        out: &mut Datagrams,
        now: Tick,
    ) {
        let waits = self.waiting.iter().filter(|(peer, _)| *peer == from).count();
        if waits < MAX_WAITING && self.waiting.len() < MAX_WAITING.saturating_mul(MAX_ANSWERS) {
            self.waiting.push_back((from, bytes.to_vec()));
        } else if let Datagram::Request(Ok(Request { tag, .. })) = Datagram::parse(bytes) {
            self.too_busy(&tag, from, agent, out, now);
        }
    }

    fn too_busy(
        &mut self,
        tag: &str,
        from: SocketAddr,
        agent: &mut Agent,
        out: &mut Datagrams,
        now: Tick,
    ) {
        if self.busy.take(now) {
            self.error(tag, "busy", from, agent, out, now);
        } else {
            self.silence(agent);
        }
    }

    /// A stand-alone error, unless too many went out already. Off loopback this is all that a
    /// request without the key can earn, so it is limited by source as well.
    fn error(
        &mut self,
        tag: &str,
        error: &'static str,
        from: SocketAddr,
        agent: &mut Agent,
        out: &mut Datagrams,
        now: Tick,
    ) {
        let local = self.config.own.ip().is_loopback();
        let admitted = if local {
            self.errors.take(now)
        } else {
            self.keyless.take(from.ip(), now) && self.keyless_all.take(now)
        };
        if !admitted {
            return self.silence(agent);
        }
        reply::write(&mut self.scratch, tag, "error", &Row::new().with("error", error));
        // A tag of control characters grows sixfold when it is escaped.
        let most = self.paid.saturating_add(HEADERS).saturating_mul(AMPLIFICATION);
        if !local && self.scratch.len().saturating_add(HEADERS) > most {
            return self.silence(agent);
        }
        self.send(from, agent, out);
    }

    fn text(
        &mut self,
        text: &str,
        from: SocketAddr,
        agent: &mut Agent,
        out: &mut Datagrams,
        now: Tick,
    ) {
        if !self.errors.take(now) {
            return self.silence(agent);
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(text.as_bytes());
        self.send(from, agent, out);
    }

    fn send(&self, to: SocketAddr, agent: &mut Agent, out: &mut Datagrams) {
        if out.room() > 0 {
            out.push(to, &self.scratch);
        } else {
            agent.counters.udp_lost = agent.counters.udp_lost.saturating_add(1);
        }
    }

    fn silence(&self, agent: &mut Agent) {
        agent.counters.udp_rate_limited = agent.counters.udp_rate_limited.saturating_add(1);
    }
}

/// For people: short, because anybody can ask for it.
const HELP_TEXT: &str = "portolan management port. A request is: r|w|s TAG[:1:KEY] METHOD [ARGS]\n\
    r 1 help             lists the methods\n\
    r 2 status           counters as one row\n\
    w 3:1:KEY verbose 3  changes something, with the key\n";

fn help() -> VecDeque<Row> {
    let names = TABLE.iter().flat_map(|entry| entry.udp.iter().map(move |name| (entry, *name)));
    names
        .map(|(entry, name)| {
            Row::new()
                .with("cmd", name)
                .with("help", entry.help)
                .with("args", entry.args)
                .with("w", entry.access != Access::Read)
        })
        .collect()
}

/// An error between begin and end.
fn in_band(failure: Failure) -> Body {
    let (error, detail) = match failure {
        Failure::BadArgument { name, expected } => ("badarg", Some(format!("{name}: {expected}"))),
        Failure::Configuration(text) => ("badconfig", Some(text)),
        Failure::Denied => ("badauth", None),
        Failure::Duplicate => ("duplicate", None),
        Failure::Expression(text) | Failure::Invalid(text) => ("badarg", Some(text)),
        Failure::GroupName => ("badarg", Some("group: 1 to 64 of A-Z a-z 0-9 _ . -".into())),
        Failure::GroupNotFound | Failure::NotFound => ("notfound", None),
        Failure::Limit => ("limit", None),
        Failure::Query(error) => ("badquery", Some(error.to_string())),
        Failure::NothingSaved => ("nofile", None),
        Failure::Storage(text) => ("storage", Some(text)),
        Failure::Unknown => ("unknowncmd", None),
    };
    Body::Error(error, detail)
}

struct Answer {
    peer: SocketAddr,
    tag: String,
    method: String,
    stage: Stage,
    body: Body,
    /// Its `end` says how many rows came and where the rest begins.
    paged: bool,
    rows: u64,
    next: Option<u64>,
    /// Not all of a query's answer was said.
    cut: bool,
    /// What may still be sent before the answer is cut short.
    datagrams: usize,
    octets: usize,
}

enum Stage {
    Begin,
    Body,
    End,
}

enum Next {
    End,
    /// It takes more time to find the next row.
    Later,
    Row(&'static str, Row),
}

enum Body {
    Error(&'static str, Option<String>),
    /// A query, whether its answer is ready, and how many of its items are told.
    Query {
        run: Box<Run>,
        ready: bool,
        at: usize,
    },
    Ready(VecDeque<Row>),
    /// The rest of the rows, and whether there is none.
    Rows(Box<Cursor>, bool),
}

impl Body {
    fn is_ready(&mut self, done: bool) {
        if let Self::Query { ready, .. } = self {
            *ready = done;
        }
    }
}

impl Answer {
    /// Sends at most `slice` datagrams, as far as there is room; `true` when all is sent.
    fn proceed(
        &mut self,
        slice: usize,
        agent: &mut Agent,
        out: &mut Datagrams,
        scratch: &mut Vec<u8>,
    ) -> bool {
        for _ in 0..slice {
            if out.room() == 0 {
                return false;
            }
            let (kind, row) = match self.stage {
                Stage::Begin => {
                    self.stage = Stage::Body;
                    ("begin", Row::new().with("cmd", self.method.clone()))
                }
                Stage::Body => match self.next(agent) {
                    Next::Row(kind, row) => (kind, row),
                    Next::Later => continue,
                    Next::End => {
                        self.stage = Stage::End;
                        continue;
                    }
                },
                Stage::End => {
                    reply::write(scratch, &self.tag, "end", &self.end());
                    out.push(self.peer, scratch);
                    return true;
                }
            };
            reply::write(scratch, &self.tag, kind, &row);
            let is_query = matches!(self.body, Body::Query { .. });
            self.cut |= is_query && scratch.ends_with(b",\"cut\":1}\n");
            self.datagrams = self.datagrams.saturating_sub(1);
            self.octets = self.octets.saturating_sub(scratch.len());
            out.push(self.peer, scratch);
        }
        false
    }

    fn next(&mut self, agent: &mut Agent) -> Next {
        // Room for one more row of the largest size, and for the end.
        if self.datagrams < 2 || self.octets < 2 * reply::MAX_REPLY {
            self.cut = true;
            return Next::End;
        }
        let row = match &mut self.body {
            Body::Error(error, detail) => {
                let mut row = Row::new().with("error", *error);
                if let Some(detail) = detail.take() {
                    row.push("detail", detail);
                }
                self.body = Body::Ready(VecDeque::new());
                return Next::Row("error", row);
            }
            Body::Query { run, ready: false, .. } => {
                match agent.advance_query_by(run, ROW_VISITS) {
                    Ok(done) => self.body.is_ready(done),
                    Err(error) => self.body = in_band(Failure::Query(error)),
                }
                return Next::Later;
            }
            Body::Query { run, at, .. } => {
                if self.rows >= MAX_ROWS as u64 {
                    self.cut = agent.query_row(run, at).is_some();
                    return Next::End;
                }
                agent.query_row(run, at)
            }
            Body::Ready(rows) => rows.pop_front(),
            Body::Rows(cursor, complete) => {
                if *complete {
                    return Next::End;
                }
                let mut items = Vec::with_capacity(1);
                *complete = !agent.rows(cursor, 1, &mut items);
                self.next = cursor.next;
                match items.pop() {
                    Some(Item::Row(row)) => Some(row),
                    Some(Item::Flow(record)) => Some(agent.flow_row(&record)),
                    None if *complete => None,
                    None => return Next::Later,
                }
            }
        };
        let Some(row) = row else { return Next::End };
        self.rows = self.rows.saturating_add(1);
        Next::Row("row", row)
    }

    fn end(&self) -> Row {
        let mut end = Row::new().with("cmd", self.method.clone());
        if matches!(self.body, Body::Query { .. }) {
            end = end.with("rows", self.rows).with("cut", self.cut);
        }
        if self.paged {
            end = end.with("rows", self.rows).with("more", self.next.is_some());
            if let Some(next) = self.next {
                end.push("next", next);
            }
        }
        end
    }
}
