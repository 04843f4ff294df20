//! One connection: requests one after another, each answered before the next is looked at, until
//! it closes or becomes a WebSocket.

use std::net::SocketAddr;

use super::answer::{Answer, MARK, PIECE};
use super::body::{Decoder, Error};
use super::endpoint;
use super::events::{self, Subscriber};
use super::guard::{self, Refused};
use super::head::{self, Bad, Method, Request};
use super::login;
use super::response::Response;
use super::routes::{self, Found, Needs, Route};
use super::session::Session;
use super::watch::{self, Begun, Turn, Watch};
use crate::api::{Close, Connection, Outbox, Progress};
use crate::config::access::Role;
use crate::core::Agent;
use crate::core::access::Identity;
use crate::time::Tick;

/// Requests that one call takes, so that a pipeline leaves the loop to others.
const TURN: usize = 16;

/// Microseconds until a head must be complete, from its first octet or the start of the
/// connection on.
const HEAD_TIME: u64 = 10_000_000;

/// Microseconds until a body must be complete.
const BODY_TIME: u64 = 30_000_000;

/// Microseconds after which a body must have come at [`BODY_RATE`] on average.
const BODY_GRACE: u64 = 10_000_000;

/// Octets of a body per second at least.
const BODY_RATE: u64 = 1_024;

/// Microseconds that a connection may be idle between two requests.
const IDLE_TIME: u64 = 60_000_000;

/// One HTTP client.
#[derive(Debug)]
pub struct Http {
    remote: SocketAddr,
    local: SocketAddr,
    state: State,
    /// Octets of the next head that were looked through for its end.
    searched: usize,
    /// When the present wait for a request began.
    since: Tick,
    /// When a request was last complete, or when it connected.
    useful: Tick,
    /// A request of its was permitted.
    is_known: bool,
    /// The client closed its side.
    finished: bool,
}

#[derive(Debug)]
enum State {
    Answer(Box<Answer>),
    Body(Box<Incoming>),
    Events(Box<Subscriber>),
    Head,
    /// All is said: nothing more is read.
    Over,
    Socket(Box<Session>),
    /// Live packets.
    Watch(Box<Watch>),
}

/// A request whose body is on its way.
#[derive(Debug)]
struct Incoming {
    request: Request,
    decoder: Decoder,
    route: &'static Route,
    identity: Identity,
    started: Tick,
}

impl Http {
    /// A client that connected from `remote` to `local`.
    #[must_use]
    pub const fn new(remote: SocketAddr, local: SocketAddr, now: Tick) -> Self {
        Self {
            remote,
            local,
            state: State::Head,
            searched: 0,
            since: now,
            useful: now,
            is_known: false,
            finished: false,
        }
    }

    /// Takes one head, if it is complete; `None` if more has to come first.
    fn take_head(
        &mut self,
        bytes: &[u8],
        agent: &mut Agent,
        out: &mut Outbox,
        now: Tick,
    ) -> Option<usize> {
        if self.searched == 0 {
            self.since = now;
        }
        let Some(length) = head::end(bytes, self.searched) else {
            if let Some(bad) = head::overflow(bytes) {
                self.refuse_head(bad, agent);
                return Some(bytes.len());
            }
            self.searched = bytes.len();
            return None;
        };
        self.searched = 0;
        let head = bytes.get(..length).unwrap_or_default();
        match Request::parse(head, self.remote, self.local) {
            Ok(request) => self.begin(request, agent, out, now),
            Err(bad) => self.refuse_head(bad, agent),
        }
        Some(length)
    }

    fn refuse_head(&mut self, bad: Bad, agent: &mut Agent) {
        let counters = &mut agent.counters;
        let counter = match bad.status {
            413 | 414 | 431 => &mut counters.http_refused_limit,
            _ => &mut counters.http_refused_parse,
        };
        *counter = counter.saturating_add(1);
        self.say_last(Response::text(bad.status, bad.text), agent);
    }

    /// Begins with a request of which the head is here.
    fn begin(&mut self, request: Request, agent: &mut Agent, out: &mut Outbox, now: Tick) {
        agent.counters.requests = agent.counters.requests.saturating_add(1);
        if let Err(refused) = guard::check(&request, agent) {
            let counters = &mut agent.counters;
            let (bad, counter) = match refused {
                Refused::Host(bad) => (bad, &mut counters.http_refused_host),
                Refused::Origin(bad) => (bad, &mut counters.http_refused_origin),
                Refused::Parse(bad) => (bad, &mut counters.http_refused_parse),
            };
            *counter = counter.saturating_add(1);
            return self.say(Response::text(bad.status, bad.text), &request, agent);
        }
        if request.method == Method::Options {
            return self.say(preflight(&request, agent), &request, agent);
        }
        if let Some(endpoint) = endpoint::find(&request) {
            return self.upgrade(&request, endpoint, agent, now);
        }
        if events::is_wanted(&request) {
            return self.subscribe(&request, agent, now);
        }
        if let Some(door) = watch::find(&request) {
            return self.watch(request, door, agent, now);
        }
        let route = match routes::find(&request) {
            Found::Route(route) => route,
            Found::Slash => return self.say(without_slash(&request), &request, agent),
            Found::Method => {
                let answer = Response::text(405, "Method Not Allowed");
                let answer = answer.with("Allow", routes::methods(&request));
                return self.say(answer, &request, agent);
            }
            Found::Nothing => {
                return self.say(Response::text(404, "404 page not found"), &request, agent);
            }
        };
        let identity = match Self::who(&request, route, agent) {
            Ok(identity) => identity,
            Err(answer) => {
                let refused = &mut agent.counters.http_refused_auth;
                *refused = refused.saturating_add(1);
                return self.say(answer, &request, agent);
            }
        };
        self.is_known |= route.needs != Needs::Nothing;
        if !request.has_body() {
            return self.run(request, route, &identity, agent, now);
        }
        match request.field("expect") {
            Some(expected) if expected.eq_ignore_ascii_case("100-continue") && request.is_11 => {
                out.push(|bytes| bytes.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
            }
            Some(_) if request.is_11 => {
                return self.say(Response::text(417, "Expectation Failed"), &request, agent);
            }
            // Of an older client it means nothing (RFC 9110 section 10.1.1).
            Some(_) | None => {}
        }
        let decoder = Decoder::new(request.framing);
        let incoming = Incoming { request, decoder, route, identity, started: now };
        self.state = State::Body(Box::new(incoming));
    }

    fn who(request: &Request, route: &Route, agent: &mut Agent) -> Result<Identity, Response> {
        if route.needs == Needs::Nothing {
            return Ok(Identity { name: "".into(), role: Role::Guest });
        }
        let identity = login::identify(request, false, agent).map_err(login::refusal)?;
        login::permit(&identity, route)?;
        Ok(identity)
    }

    /// Carries out a request that is complete.
    fn run(
        &mut self,
        request: Request,
        route: &Route,
        identity: &Identity,
        agent: &mut Agent,
        now: Tick,
    ) {
        self.useful = now;
        let response = (route.handler)(agent, &identity.caller(), &request);
        let keep = request.keeps_alive();
        self.answer(response, &request, keep, agent);
    }

    fn upgrade(
        &mut self,
        request: &Request,
        endpoint: endpoint::Endpoint,
        agent: &mut Agent,
        now: Tick,
    ) {
        match endpoint::upgrade(request, endpoint, agent, now) {
            Ok((response, session)) => {
                self.useful = now;
                self.is_known = true;
                let answer = Answer::new(response, request, true, agent);
                self.state = State::Socket(Box::new(Session::begin(session, answer)));
            }
            Err(answer) => {
                count_refused(&answer, agent);
                self.say(answer, request, agent);
            }
        }
    }

    /// Begins with events.
    fn subscribe(&mut self, request: &Request, agent: &mut Agent, now: Tick) {
        match Subscriber::begin(request, agent, now) {
            Ok(subscriber) => {
                self.useful = now;
                self.is_known = true;
                self.state = State::Events(Box::new(subscriber));
            }
            Err(answer) => {
                count_refused(&answer, agent);
                self.say(answer, request, agent);
            }
        }
    }

    /// Begins with live packets.
    fn watch(&mut self, request: Request, door: watch::Door, agent: &mut Agent, now: Tick) {
        match watch::begin(&request, door, agent, now) {
            Begun::Answer(answer) => {
                count_refused(&answer, agent);
                self.say(answer, &request, agent);
            }
            Begun::Head(head) => self.state = State::Answer(Box::new(Answer::made(head))),
            Begun::Watch(watch) => {
                self.useful = now;
                self.is_known = true;
                self.state = State::Watch(Box::new(watch));
            }
        }
    }

    /// Answers without looking at the body: if there is one, the connection ends.
    fn say(&mut self, response: Response, request: &Request, agent: &Agent) {
        let keep = request.keeps_alive() && !request.has_body();
        self.answer(response, request, keep, agent);
    }

    fn answer(&mut self, response: Response, request: &Request, keep: bool, agent: &Agent) {
        let response = shared(response, request, agent);
        let answer = Answer::new(response, request, keep, agent);
        self.state = State::Answer(Box::new(answer));
    }

    fn say_last(&mut self, response: Response, agent: &Agent) {
        self.state = State::Answer(Box::new(Answer::last(response, agent)));
    }

    fn take_body(&mut self, bytes: &[u8], agent: &mut Agent, now: Tick) -> usize {
        let State::Body(incoming) = &mut self.state else { return 0 };
        match incoming.decoder.take(bytes, &mut incoming.request.body) {
            Ok((used, false)) => used,
            Ok((used, true)) => {
                if let State::Body(incoming) = std::mem::replace(&mut self.state, State::Over) {
                    let Incoming { request, route, identity, .. } = *incoming;
                    self.run(request, route, &identity, agent, now);
                }
                used
            }
            Err(error) => {
                let bad = match error {
                    Error::Malformed => Bad { status: 400, text: "malformed body" },
                    Error::TooLarge => Bad { status: 413, text: "Request Entity Too Large" },
                };
                self.refuse_head(bad, agent);
                bytes.len()
            }
        }
    }

    fn time_out(&mut self, agent: &mut Agent) {
        let refused = &mut agent.counters.http_refused_limit;
        *refused = refused.saturating_add(1);
        agent.counters.client_timeouts = agent.counters.client_timeouts.saturating_add(1);
        self.say_last(Response::text(408, "Request Timeout"), agent);
    }
}

impl Connection for Http {
    fn receive(
        &mut self,
        bytes: &[u8],
        agent: &mut Agent,
        out: &mut Outbox,
        now: Tick,
    ) -> Result<usize, Close> {
        let mut used = 0_usize;
        let enough = out.pending().len().saturating_add(PIECE);
        for _ in 0..TURN {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() || !self.ready(out) || out.pending().len() >= enough {
                break;
            }
            let count = match &mut self.state {
                State::Head => match self.take_head(rest, agent, out, now) {
                    Some(count) => count,
                    None => break,
                },
                State::Body(_) => self.take_body(rest, agent, now),
                State::Events(subscriber) => subscriber.receive(rest, out, now),
                State::Socket(session) => session.receive(rest, agent, out, now),
                State::Watch(watch) => watch.receive(rest, agent, out, now),
                State::Over => rest.len(),
                State::Answer(_) => break,
            };
            used = used.saturating_add(count);
            if let State::Answer(_) = self.state {
                // Most answers are complete at once, and the next request may follow.
                self.produce(agent, out, now);
            }
            if count == 0 {
                break;
            }
        }
        Ok(used)
    }

    fn finish(&mut self, _: &[u8], agent: &mut Agent, out: &mut Outbox, now: Tick) {
        self.finished = true;
        match &mut self.state {
            State::Head | State::Body(_) => self.state = State::Over,
            State::Events(subscriber) => subscriber.finish(out),
            State::Socket(session) => session.finish(agent, out, now),
            State::Watch(watch) => watch.finish(agent),
            State::Answer(_) | State::Over => {}
        }
    }

    fn produce(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) -> Progress {
        match &mut self.state {
            State::Answer(answer) => {
                if !answer.advance(agent, out) {
                    return if answer.waits() { Progress::Idle } else { Progress::More };
                }
                if answer.keeps() {
                    self.state = State::Head;
                    self.since = now;
                    return Progress::More;
                }
                self.state = State::Over;
                Progress::Done
            }
            State::Head | State::Body(_) => Progress::Idle,
            State::Over => Progress::Done,
            State::Events(subscriber) => subscriber.produce(agent, out, now),
            State::Socket(session) => session.produce(agent, out, now),
            State::Watch(watch) => match watch.produce(agent, out, now) {
                Turn::Goes(progress) => progress,
                Turn::Refused(request, answer) => {
                    count_refused(&answer, agent);
                    self.say(answer, &request, agent);
                    Progress::More
                }
            },
        }
    }

    fn ready(&self, out: &Outbox) -> bool {
        match &self.state {
            State::Answer(_) => false,
            State::Head | State::Body(_) => out.pending().len() < MARK,
            State::Events(_) | State::Over | State::Watch(_) => true,
            State::Socket(session) => session.ready(out),
        }
    }

    fn streams(&self) -> bool {
        match &self.state {
            State::Answer(answer) => answer.is_expected(),
            State::Events(_) | State::Socket(_) | State::Watch(_) => true,
            _ => false,
        }
    }

    fn has_news(&self, agent: &Agent) -> bool {
        match &self.state {
            State::Answer(answer) => !answer.waits(),
            State::Events(subscriber) => subscriber.has_news(agent),
            State::Socket(session) => session.has_news(agent),
            State::Watch(watch) => watch.has_news(agent),
            _ => false,
        }
    }

    fn expire(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) {
        match &mut self.state {
            State::Head => {
                let waited = now.since(self.since);
                if self.searched > 0 {
                    if waited > HEAD_TIME {
                        self.time_out(agent);
                    }
                } else if waited > if self.is_known { IDLE_TIME } else { HEAD_TIME } {
                    self.state = State::Over;
                }
            }
            State::Body(incoming) => {
                let waited = now.since(incoming.started);
                let came = incoming.request.body.len() as u64;
                let slow =
                    waited > BODY_GRACE && came < (waited / 1_000_000).saturating_mul(BODY_RATE);
                if slow || waited > BODY_TIME {
                    self.time_out(agent);
                }
            }
            State::Events(subscriber) => subscriber.expire(agent, out, now),
            State::Socket(session) => session.expire(agent, out, now),
            State::Watch(watch) => watch.expire(agent, out, now),
            State::Answer(_) | State::Over => {}
        }
    }

    fn closed(&mut self, agent: &mut Agent) {
        match &self.state {
            State::Events(subscriber) => subscriber.closed(agent),
            State::Socket(session) => session.closed(agent),
            State::Watch(watch) => watch.closed(agent),
            State::Answer(_) | State::Body(_) | State::Head | State::Over => {}
        }
    }

    fn held(&self) -> usize {
        match &self.state {
            State::Answer(answer) => answer.held(),
            State::Body(incoming) => incoming.request.body.capacity(),
            State::Events(subscriber) => subscriber.held(),
            State::Socket(session) => session.held(),
            State::Watch(watch) => watch.held(),
            State::Head | State::Over => 0,
        }
    }

    fn max_input(&self) -> usize {
        // A head fits; bodies and messages are taken over as they come.
        head::MAX_HEAD.saturating_add(1_024)
    }

    fn standing(&self) -> Option<(bool, Tick)> {
        let useful = match &self.state {
            State::Events(subscriber) => subscriber.heard(),
            State::Socket(session) => session.heard(),
            // Who sees packets now does not make room for others.
            State::Watch(_) => Tick(u64::MAX),
            _ => self.useful,
        };
        Some((self.is_known, useful))
    }
}

/// Counts an answer that refuses to open a stream.
const fn count_refused(answer: &Response, agent: &mut Agent) {
    let counters = &mut agent.counters;
    let counter = match answer.status {
        401 | 403 => &mut counters.http_refused_auth,
        409 | 429 | 503 => &mut counters.http_refused_limit,
        _ => &mut counters.http_refused_parse,
    };
    *counter = counter.saturating_add(1);
}

/// What a browser asks before it sends a request to another origin.
fn preflight(request: &Request, agent: &Agent) -> Response {
    let methods = routes::methods(request);
    let answer = Response::empty(204).with("Allow", methods);
    let origin = request.field("origin").unwrap_or_default();
    if guard::allowed(origin, agent).is_none() {
        return answer;
    }
    answer
        .with("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
        .with(
            "Access-Control-Allow-Headers",
            "X-Requested-With, Content-Type, Authorization, X-Auth-Token",
        )
        .with("Access-Control-Max-Age", "600")
}

/// Lets a page of a configured origin read the answer.
fn shared(response: Response, request: &Request, agent: &Agent) -> Response {
    if agent.settings().http_origins.is_empty() {
        return response;
    }
    let origin = request.field("origin").unwrap_or_default();
    let response = response.with("Vary", "Origin");
    match guard::allowed(origin, agent) {
        Some(known) => response.with("Access-Control-Allow-Origin", known),
        None => response,
    }
}

fn without_slash(request: &Request) -> Response {
    if !matches!(request.method, Method::Get | Method::Head | Method::Post) {
        return Response::text(400, "Bad Request");
    }
    let path = request.raw_path.trim_end_matches('/');
    let query = &request.raw_query;
    let to = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    Response::text(301, "Moved Permanently").with("Location", to)
}
