//! The Unix-socket front-end: one JSON object in, one JSON object and a newline out, in order.
//! Objects may be pipelined, span lines and share them; what is malformed is answered and passed
//! over up to the next newline. An answer of many rows is written in slices and further requests
//! wait meanwhile. After `subscribe` events follow as JSON lines between the answers.

use std::collections::VecDeque;

use crate::core::Agent;
use crate::core::agent::{Cursor, Item, Reply};
use crate::core::auth::Caller;
use crate::core::bus::Topics;
use crate::core::command::{Access, Arguments, Command, Entry, TABLE, Verb};
use crate::core::row::{Row, Value as Field};
use crate::core::select::Selection;
use crate::time::Tick;
use crate::wire;

use super::compat::netify::{self, Form};
use super::events::{self, Events};
use super::json::{self, Indent};
use super::{Close, Connection, Outbox, Progress};

pub mod object;
mod packets;
mod query;
pub mod reply;
mod request;

use object::{Found, Scanner};
use packets::{Begun, Turn, Watch};
use query::Asked;
use reply::{INVALID, REFUSED, Refusal};
use request::{Request, Value};

/// The largest request in octets. Input buffers must be able to hold as much.
pub const MAX_REQUEST: usize = 1024 * 1024;

/// Requests that one call takes, so that a pipeline leaves the loop to others.
pub const TURN: usize = 16;

/// Rows or events that one call writes.
const SLICE: usize = 64;

/// Rows of one answer, and how many there are if the caller does not say.
const MAX_ROWS: usize = 1_000;
const LISTED_FLOWS: &str = "100";

/// One client of the Unix socket.
#[derive(Debug)]
pub struct Unix {
    caller: Caller,
    scanner: Scanner,
    /// The rest of the line is passed over: something in it was malformed.
    skipping: bool,
    /// All is said: nothing more is read.
    over: bool,
    /// The client closed its side.
    finished: bool,
    /// What the client sent before it closed its side, from the place on that is not yet read.
    rest: Option<(Vec<u8>, usize)>,
    /// An answer that found no room.
    held: Option<Vec<u8>>,
    /// An answer of many rows that is under way.
    answer: Option<Answer>,
    /// A query that is under way.
    asked: Option<Asked>,
    stream: Option<Events>,
    /// Live packets, after which the connection ends.
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Answer {
    cursor: Cursor,
    verb: Verb,
    /// Rows are addresses of one group, and are written as bare texts.
    of_group: bool,
    rows: VecDeque<Item>,
    written: u64,
    complete: bool,
    indent: Option<Indent>,
}

impl Unix {
    /// A client that may do what `caller` may.
    #[must_use]
    pub fn new(caller: Caller) -> Self {
        Self {
            caller,
            scanner: Scanner::default(),
            skipping: false,
            over: false,
            finished: false,
            rest: None,
            held: None,
            answer: None,
            asked: None,
            stream: None,
            watch: None,
        }
    }

    fn take(&mut self, bytes: &[u8], agent: &mut Agent, out: &mut Outbox) -> Result<usize, Close> {
        let mut used = 0_usize;
        for _ in 0..TURN {
            used = used.saturating_add(self.pass_over(bytes.get(used..).unwrap_or_default()));
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() || self.watch.is_some() || !self.ready(out) {
                break;
            }
            let capped = rest.get(..MAX_REQUEST).unwrap_or(rest);
            match self.scanner.scan(capped) {
                Found::Part if rest.len() >= MAX_REQUEST => {
                    self.over = true;
                    bad(agent);
                    self.refuse(out, &Refusal::new(reply::TOO_LARGE, "Request too large."), false);
                    return Err(Close::TooLarge);
                }
                Found::Part => break,
                Found::Object(length) => {
                    self.request(rest.get(..length).unwrap_or_default(), agent, out);
                    used = used.saturating_add(length);
                }
                Found::Bad(at, fault) => {
                    self.malformed(at, &fault.to_string(), agent, out);
                    used = used.saturating_add(at);
                }
            }
        }
        Ok(used)
    }

    /// How many bytes say nothing: the rest of a malformed line, blanks between objects.
    fn pass_over(&mut self, bytes: &[u8]) -> usize {
        if !self.scanner.is_fresh() {
            return 0;
        }
        let mut used = 0_usize;
        if self.skipping {
            match bytes.iter().position(|b| *b == b'\n') {
                None => return bytes.len(),
                Some(newline) => used = newline,
            }
            self.skipping = false;
        }
        let blank = |b: &&u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
        used.saturating_add(bytes.iter().skip(used).take_while(blank).count())
    }

    fn malformed(&mut self, at: usize, reason: &str, agent: &mut Agent, out: &mut Outbox) {
        bad(agent);
        self.skipping = true;
        let message = format!("parse error at position: {at}, reason: {reason}");
        self.refuse(out, &Refusal::new(INVALID, message), false);
    }

    /// Carries out one request.
    fn request(&mut self, bytes: &[u8], agent: &mut Agent, out: &mut Outbox) {
        let request = match Request::parse(bytes) {
            Ok(request) => request,
            Err(error) => {
                bad(agent);
                self.skipping = true;
                let message = format!("parse error: {error}");
                return self.refuse(out, &Refusal::new(INVALID, message), false);
            }
        };
        agent.counters.requests = agent.counters.requests.saturating_add(1);
        let pretty = request.is_pretty();
        let done = match entry(&request) {
            Ok(entry) if entry.verb == Verb::Packets => self.watch(bytes, pretty, agent, out),
            _ => self.run(request, agent, out),
        };
        if let Err(refusal) = done {
            self.refuse(out, &refusal, pretty);
        }
    }

    fn run(
        &mut self,
        mut request: Request,
        agent: &mut Agent,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        let pretty = request.is_pretty();
        let entry = entry(&request)?;
        let verb = entry.verb;
        let data = data(&mut request)?;
        if verb == Verb::Help {
            self.say(out, pretty, |b| reply::object(b, reply::DONE, &reply::help(), "Ok."));
            return Ok(());
        }
        if verb == Verb::Subscribe {
            return self.subscribe(&request, data, agent, out);
        }
        let of_group = matches!(request.get("group"), Some(Value::Text(_)));
        let arguments = arguments(&request, entry, data)?;
        let reply = Command::build(verb, arguments)
            .and_then(|command| agent.run(command, &self.caller))
            .map_err(|failure| Refusal::of(verb, failure))?;
        match reply {
            Reply::Row(data) => {
                let message = reply::message(verb);
                self.say(out, pretty, |b| reply::object(b, reply::DONE, &data, message));
            }
            Reply::Status(status) => {
                let data = netify::status(&status);
                self.say(out, pretty, |b| reply::object(b, reply::DONE, &data, "Ok."));
            }
            Reply::Query(run) => {
                self.asked = Some(Asked::new(run, pretty));
                self.advance(agent, out);
            }
            Reply::Rows(cursor) => self.begin(cursor, verb, of_group, pretty, agent, out),
            Reply::Value(value) => self.say(out, pretty, |b| {
                reply::begin(b, reply::DONE);
                b.extend_from_slice(b",\"data\":");
                value.write(b);
                reply::end(b, reply::message(verb));
            }),
        }
        Ok(())
    }

    /// Begins with live packets.
    fn watch(
        &mut self,
        bytes: &[u8],
        pretty: bool,
        agent: &mut Agent,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        match packets::begin(bytes, agent, &self.caller)? {
            Begun::Recorded(row) => {
                self.say(out, pretty, |b| reply::object(b, reply::DONE, &row, "Ok."));
            }
            Begun::Watched(watch) => {
                self.unsubscribe(agent);
                self.watch = Some(watch);
            }
        }
        Ok(())
    }

    /// Begins an answer of many rows; one that fits a slice is complete at once.
    fn begin(
        &mut self,
        cursor: Cursor,
        verb: Verb,
        of_group: bool,
        pretty: bool,
        agent: &mut Agent,
        out: &mut Outbox,
    ) {
        let mut answer = Answer {
            cursor,
            verb,
            of_group: of_group && verb == Verb::GroupList,
            rows: VecDeque::new(),
            written: 0,
            complete: false,
            indent: pretty.then(Indent::default),
        };
        let mut head = Vec::new();
        reply::begin(&mut head, reply::DONE);
        head.extend_from_slice(b",\"data\":{");
        json::members(&mut head, &answer.cursor.about, true);
        if answer.cursor.about.iter().next().is_some() {
            head.push(b',');
        }
        wire::json::string(&mut head, reply::rows(verb, answer.of_group));
        head.extend_from_slice(b":[");
        let mut indented = Vec::new();
        let head = match &mut answer.indent {
            Some(indent) => {
                indent.write(&mut indented, &head);
                indented
            }
            None => head,
        };
        self.send(out, head);
        self.answer = Some(answer);
        self.advance(agent, out);
    }

    /// Writes the next slice of an answer.
    fn advance(&mut self, agent: &mut Agent, out: &mut Outbox) {
        if let Some(asked) = &mut self.asked
            && self.held.is_none()
            && !out.is_high()
        {
            let pretty = asked.is_pretty();
            match asked.advance(agent, out) {
                Ok(false) => {}
                Ok(true) => self.asked = None,
                Err(error) => {
                    self.asked = None;
                    self.refuse(out, &Refusal::query(&error), pretty);
                }
            }
        }
        let Some(answer) = &mut self.answer else {
            return;
        };
        if self.held.is_none() && !out.is_high() && answer.advance(agent, out) {
            self.answer = None;
        }
    }

    fn subscribe(
        &mut self,
        request: &Request,
        data: Option<Vec<Option<String>>>,
        agent: &mut Agent,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        let verb = Verb::Subscribe;
        let refuse = |failure| Refusal::of(verb, failure);
        let topics = match data {
            None if request.get("data").is_some_and(|data| *data != Value::Null) => {
                return Err(Refusal::new(REFUSED, "Invalid data."));
            }
            None => Topics::all(),
            Some(names) if names.is_empty() => {
                return Err(Refusal::new(REFUSED, "Invalid data."));
            }
            Some(names) => events::topics(names.iter().map(Option::as_deref)).map_err(refuse)?,
        };
        let mut selection = Selection::default();
        for (name, value) in named(request)? {
            selection.set(name, &value).map_err(refuse)?;
        }
        let events = Events::begin(topics, selection, agent, &self.caller).map_err(refuse)?;
        self.unsubscribe(agent);
        let data = Row::new().with("topics", events.names());
        self.say(out, request.is_pretty(), |b| reply::object(b, reply::DONE, &data, "Ok."));
        self.stream = Some(events);
        Ok(())
    }

    /// Whether an answer is under way.
    const fn answering(&self) -> bool {
        self.answer.is_some() || self.asked.is_some()
    }

    fn unsubscribe(&mut self, agent: &mut Agent) {
        if let Some(stream) = self.stream.take() {
            stream.end(agent);
        }
    }

    fn refuse(&mut self, out: &mut Outbox, refusal: &Refusal, pretty: bool) {
        self.say(out, pretty, |b| refusal.write(b));
    }

    /// Sends a whole message.
    fn say(&mut self, out: &mut Outbox, pretty: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let mut message = Vec::new();
        write(&mut message);
        if pretty {
            let mut indented = Vec::new();
            Indent::default().write(&mut indented, &message);
            message = indented;
        }
        self.send(out, message);
    }

    /// Sends bytes, or holds them back until there is room: no further request is read meanwhile.
    fn send(&mut self, out: &mut Outbox, message: Vec<u8>) {
        if let Some(held) = &mut self.held {
            held.extend_from_slice(&message);
        } else if !out.push(|b| b.extend_from_slice(&message)) {
            self.held = Some(message);
        }
    }

    /// Sends what was held back; `false` while there is no room.
    fn release(&mut self, out: &mut Outbox) -> bool {
        let Some(held) = self.held.take() else {
            return true;
        };
        if out.push(|b| b.extend_from_slice(&held)) {
            return true;
        }
        if out.is_empty() {
            // It will never fit.
            let mut refusal = Vec::new();
            Refusal::limit().write(&mut refusal);
            return out.push(|b| b.extend_from_slice(&refusal)) || out.room() < refusal.len();
        }
        self.held = Some(held);
        false
    }

    /// Goes on with what the client sent before it closed its side; `false` while there is more.
    fn drain_rest(&mut self, agent: &mut Agent, out: &mut Outbox) -> bool {
        let Some((bytes, mut at)) = self.rest.take() else {
            return true;
        };
        let pending = bytes.get(at..).unwrap_or_default();
        let Ok(used) = self.take(pending, agent, out) else {
            return true;
        };
        at = at.saturating_add(used);
        let left = bytes.len().saturating_sub(at);
        if left > 0 && used == 0 && self.ready(out) {
            self.malformed(left, "unexpected end", agent, out);
            self.over = self.stream.is_none();
            return true;
        }
        self.rest = (left > 0).then_some((bytes, at));
        left == 0
    }
}

impl Connection for Unix {
    fn receive(
        &mut self,
        bytes: &[u8],
        agent: &mut Agent,
        out: &mut Outbox,
        _: Tick,
    ) -> Result<usize, Close> {
        if self.over {
            return Err(Close::Done);
        }
        if let Some(watch) = &self.watch {
            return watch.receive(bytes);
        }
        self.take(bytes, agent, out)
    }

    fn finish(&mut self, rest: &[u8], _: &mut Agent, _: &mut Outbox, _: Tick) {
        self.rest = Some((rest.to_vec(), 0));
        self.finished = true;
    }

    fn produce(&mut self, agent: &mut Agent, out: &mut Outbox, _: Tick) -> Progress {
        if !self.release(out) {
            return Progress::More;
        }
        if let Some(watch) = &mut self.watch {
            match watch.advance(agent, out) {
                Turn::Goes(progress) => return progress,
                Turn::Refused(refusal) => {
                    self.watch = None;
                    self.refuse(out, &refusal, false);
                }
            }
        }
        self.advance(agent, out);
        if self.answering() {
            return Progress::More;
        }
        // What a subscriber is owed first comes first: no request is read before.
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.is_telling()) {
            return stream.advance(agent, out);
        }
        if !self.over && self.rest.is_some() && !self.drain_rest(agent, out) {
            return Progress::More;
        }
        if self.answering() || self.held.is_some() {
            return Progress::More;
        }
        if self.over {
            return Progress::Done;
        }
        match &mut self.stream {
            Some(stream) => stream.advance(agent, out),
            None if self.finished => Progress::Done,
            None => Progress::Idle,
        }
    }

    fn ready(&self, out: &Outbox) -> bool {
        let telling = self.stream.as_ref().is_some_and(Events::is_telling);
        let watching = self.watch.is_some();
        watching
            || (!self.over
                && self.held.is_none()
                && !self.answering()
                && !telling
                && !out.is_high())
    }

    fn streams(&self) -> bool {
        self.stream.is_some() || self.watch.is_some()
    }

    fn has_news(&self, agent: &Agent) -> bool {
        self.watch.as_ref().is_none_or(|watch| watch.has_news(agent))
    }

    fn closed(&mut self, agent: &mut Agent) {
        self.unsubscribe(agent);
        if let Some(watch) = self.watch.take() {
            watch.closed(agent);
        }
    }

    fn held(&self) -> usize {
        self.watch.as_ref().map_or(0, Watch::held)
    }
}

impl Answer {
    /// Writes the next slice; `true` once all is written.
    fn advance(&mut self, agent: &mut Agent, out: &mut Outbox) -> bool {
        if self.rows.is_empty() && !self.complete {
            let mut rows = Vec::with_capacity(SLICE);
            self.complete = !agent.rows(&mut self.cursor, SLICE, &mut rows);
            self.rows = rows.into();
        }
        let mut text = Vec::new();
        while let Some(item) = self.rows.pop_front() {
            text.clear();
            if self.written > 0 {
                text.push(b',');
            }
            match &item {
                Item::Flow(record) => {
                    json::row(&mut text, &netify::flow(record, agent, Form::Listed));
                }
                Item::Row(row) if self.of_group => {
                    let address = row.get("address").and_then(Field::as_text);
                    wire::json::string(&mut text, address.unwrap_or_default());
                }
                Item::Row(row) => json::row(&mut text, row),
            }
            if self.push(out, &text) {
                self.written = self.written.saturating_add(1);
            } else if !out.is_empty() {
                self.rows.push_front(item);
                return false;
            }
            // A row that does not even fit an empty box would wait for ever: it is left out.
        }
        if !self.complete {
            return false;
        }
        text.clear();
        text.extend_from_slice(b"],\"total\":");
        wire::json::unsigned(&mut text, self.written);
        if self.verb != Verb::GroupList {
            let more: &[u8] = match self.cursor.next {
                Some(_) => b",\"more\":true,\"next\":",
                None => b",\"more\":false,\"next\":null",
            };
            text.extend_from_slice(more);
            self.cursor.next.into_iter().for_each(|next| wire::json::unsigned(&mut text, next));
        }
        text.push(b'}');
        reply::end(&mut text, "Ok.");
        self.push(out, &text)
    }

    fn push(&mut self, out: &mut Outbox, text: &[u8]) -> bool {
        let Some(mut indent) = self.indent else {
            return out.push(|b| b.extend_from_slice(text));
        };
        let fits = out.push(|b| indent.write(b, text));
        if fits {
            self.indent = Some(indent);
        }
        fits
    }
}

/// The command that a request names.
fn entry(request: &Request) -> Result<&'static Entry, Refusal> {
    let name = match request.get("command") {
        None | Some(Value::Null) => {
            return Err(Refusal::new(REFUSED, "No command specified."));
        }
        Some(Value::Text(name)) => name.as_str(),
        Some(_) => "",
    };
    let called = |entry: &&Entry| entry.unix.iter().any(|known| known.eq_ignore_ascii_case(name));
    TABLE.iter().find(called).ok_or_else(|| Refusal::new(INVALID, "invalid command"))
}

/// The list that a request works on; `None` if there is none or it is of the wrong kind.
fn data(request: &mut Request) -> Result<Option<Vec<Option<String>>>, Refusal> {
    let Some((_, value)) = request.members.iter_mut().find(|(name, _)| name == "data") else {
        return Ok(None);
    };
    match value {
        Value::List(entries) => Ok(Some(std::mem::take(entries))),
        Value::Text(text) => Ok(Some(Vec::from([Some(text.clone())]))),
        Value::TooLong => Err(Refusal::limit()),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::Object => Ok(None),
    }
}

/// Members with a single value, as text.
fn named(request: &Request) -> Result<Vec<(&str, String)>, Refusal> {
    let mut named = Vec::new();
    for (name, value) in &request.members {
        let text = match (name.as_str(), value) {
            ("command" | "data" | "pretty", _) | (_, Value::Null) => continue,
            (_, Value::Text(text)) => text.clone(),
            ("group", _) => return Err(Refusal::new(REFUSED, "Invalid group name.")),
            (_, Value::Number(text)) => text.clone(),
            (_, Value::Bool(value)) => if *value { "true" } else { "false" }.to_owned(),
            (known, Value::List(_) | Value::Object | Value::TooLong) => {
                if SINGLE.contains(&known) {
                    let message = format!("invalid {known}: expected a single value");
                    return Err(Refusal::new(INVALID, message));
                }
                continue;
            }
        };
        named.push((name.as_str(), text));
    }
    Ok(named)
}

/// Arguments that some command knows and that are one value each; other members are ignored.
const SINGLE: &[&str] = &[
    "after", "by", "dev", "filter", "host", "id", "ip", "key", "level", "limit", "mac", "n", "of",
    "port", "process", "proto", "state", "value", "what", "where", "which",
];

fn arguments<'a>(
    request: &'a Request,
    entry: &Entry,
    data: Option<Vec<Option<String>>>,
) -> Result<Arguments<'a>, Refusal> {
    let mut named = named(request)?;
    let has = |names: &[&str]| named.iter().any(|(name, _)| names.contains(name));
    let sized = has(&["n", "limit"]);
    let word = match request.get("data") {
        Some(Value::Text(text)) => Some(text.as_str()),
        Some(Value::Number(text)) if entry.verb == Verb::StopPackets => Some(text.as_str()),
        _ => None,
    };
    let write = match entry.access {
        Access::Write => true,
        Access::Both => has(&["level"]) || word.is_some(),
        Access::Read => false,
    };
    match entry.verb {
        Verb::Flows if !sized => named.push(("n", LISTED_FLOWS.to_owned())),
        // There are few of them, so nobody should have to page.
        Verb::Apps | Verb::Devices | Verb::Interfaces | Verb::Neighbours | Verb::Settings
            if !sized =>
        {
            named.push(("n", MAX_ROWS.to_string()));
        }
        Verb::Top => {
            for (name, _) in named.iter_mut().filter(|(name, _)| *name == "limit") {
                *name = "n";
            }
        }
        _ => {}
    }
    let words = word.into_iter().collect();
    Ok(Arguments { named, words, text: "", data, write, max_rows: MAX_ROWS })
}

const fn bad(agent: &mut Agent) {
    agent.counters.requests_bad = agent.counters.requests_bad.saturating_add(1);
}
