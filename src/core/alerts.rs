//! Alerts at work: each is looked at when the graph has changed, or every so often, and tells
//! when its expression holds for something that it did not hold for before.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::rc::Rc;

use crate::query::{Query, Run, World};
use crate::wire::json;

use super::Agent;
use super::attach::LOOK_VISITS;
use super::feed::Message;
use super::resources::alert::{Action, Alert, Trigger};
use super::resources::{Body, Kind};

/// Octets of the result that a message tells; an alert with a longer one is told without.
pub const MAX_RESULT: usize = 256 * 1024;

/// Messages that wait to be posted; further ones are dropped and counted.
pub const MAX_POSTS: usize = 32;

/// Alerts looked at in one turn: each may cost a few milliseconds.
const TURN: usize = 2;

/// The longest period of an alert, milliseconds: a clock that was set back must not stop one.
const LONGEST: i64 = 366 * 86_400_000;

/// A message for an HTTP server.
#[derive(Clone, Debug)]
pub struct Post {
    /// Where it is.
    pub address: SocketAddr,
    /// What it calls itself.
    pub host: String,
    /// The path with the query.
    pub path: String,
    /// What it is told.
    pub body: Rc<[u8]>,
}

/// How alerts stand.
#[derive(Debug, Default)]
pub struct Alerts {
    states: HashMap<Rc<str>, State>,
    posts: VecDeque<Post>,
    /// Tells results apart without keeping them.
    random: RandomState,
    /// Messages that were not posted because too many waited.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct State {
    /// A print of what it fired for last; `None` while it holds for nothing.
    fired: Option<u64>,
    /// When it is looked at next, milliseconds since 1970; far away if only a change of the graph
    /// makes it look.
    due: i64,
}

impl State {
    fn when((id, state): (&Rc<str>, &Self)) -> (i64, Rc<str>) {
        (state.due, Rc::clone(id))
    }
}

impl Alerts {
    /// The next message to post.
    pub fn next_post(&mut self) -> Option<Post> {
        self.posts.pop_front()
    }
}

impl Agent {
    /// Looks at alerts whose turn it is, a few at a time: all that follow the graph have their
    /// turn when it has `changed`.
    pub(super) fn check_alerts(&mut self, changed: bool) {
        let now = self.now();
        let alerts = self.orders.resources.of(Kind::Alert).filter_map(|known| match &known.body {
            Body::Alert(alert) => Some((&known.id, alert)),
            _ => None,
        });
        for (id, alert) in alerts {
            let state = self.alerts.states.entry(Rc::clone(id)).or_default();
            match alert.trigger {
                Trigger::Graph if changed => state.due = now,
                Trigger::Graph => {}
                Trigger::Period(_) => state.due = state.due.min(now.saturating_add(LONGEST)),
            }
        }
        let mut due: Vec<(i64, Rc<str>)> = self.alerts.states.iter().map(State::when).collect();
        due.retain(|(at, _)| *at <= now);
        // Who has waited longest comes first.
        due.sort_unstable();
        for (_, id) in due.into_iter().take(TURN) {
            let known = self.orders.resources.get(Kind::Alert, &id).map(|known| &known.body);
            let Some(Body::Alert(alert)) = known else {
                self.forget_alert(&id);
                continue;
            };
            let alert = alert.clone();
            let result = self.result(&alert.query);
            let Some(state) = self.alerts.states.get_mut(&id) else { continue };
            state.due = match alert.trigger {
                Trigger::Graph => i64::MAX,
                Trigger::Period(period) => now.saturating_add(period.cast_signed().max(0)),
            };
            let Some(result) = result else { continue };
            let print = (!is_empty(&result)).then(|| self.alerts.random.hash_one(&result));
            let is_news = print.is_some() && state.fired != print;
            state.fired = print;
            if is_news {
                self.fire(&id, &alert, &result);
            }
        }
    }

    /// When the next alert is due, milliseconds since 1970.
    pub(super) fn next_alert(&self) -> Option<i64> {
        let due = self.alerts.states.values().map(|state| state.due).min();
        due.filter(|due| *due < i64::MAX)
    }

    /// Forgets how an alert stood.
    pub(super) fn forget_alert(&mut self, id: &str) {
        self.alerts.states.remove(id);
    }

    /// The result of a query as JSON; `None` if it has none or too long a one.
    fn result(&self, query: &Query) -> Option<Vec<u8>> {
        let world = World { graph: &self.graph, flows: &self.captured, now: self.clock() };
        let mut run = Run::new(query.clone());
        let ready = match run.advance(&world, LOOK_VISITS) {
            Ok(ready) => ready,
            Err(error) => {
                log::debug!("alert: {error}");
                return None;
            }
        };
        if !ready {
            log::debug!("alert: its expression looks at too much: {}", query.text());
        }
        let mut out = Vec::new();
        while ready && run.write(&world, &mut out, MAX_RESULT) {
            if out.len() > MAX_RESULT {
                return None;
            }
        }
        let end =
            out.iter().rposition(|b| !b.is_ascii_whitespace()).map_or(0, |at| at.saturating_add(1));
        out.truncate(end);
        ready.then_some(out)
    }

    fn fire(&mut self, id: &str, alert: &Alert, result: &[u8]) {
        let mut body = b"{\"UUID\":".to_vec();
        json::string(&mut body, id);
        body.extend_from_slice(b",\"Timestamp\":");
        json::string(&mut body, &self.clock().wall.rfc3339());
        body.extend_from_slice(b",\"ReasonData\":");
        body.extend_from_slice(result);
        body.push(b'}');
        let body: Rc<[u8]> = body.into();
        self.feed.publish(Message::Alert(Rc::clone(&body)));
        if let Action::Post { address, host, path } = &alert.action {
            if self.alerts.posts.len() >= MAX_POSTS {
                self.alerts.dropped = self.alerts.dropped.saturating_add(1);
                return;
            }
            let (host, path) = (host.clone(), path.clone());
            self.alerts.posts.push_back(Post { address: *address, host, path, body });
        }
    }
}

/// Whether a result says that the expression holds for nothing.
fn is_empty(result: &[u8]) -> bool {
    matches!(result, b"" | b"[]" | b"null" | b"0" | b"false" | b"{}")
}
