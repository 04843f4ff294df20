//! Alerts at work: each is looked at when the graph has changed, or every so often, and tells
//! when its expression holds for something that it did not hold for before.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;

use crate::query::{MAX_VISITS, Query, Run, World};
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
    /// Messages that were not posted because too many waited.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct State {
    /// What it fired for last; `None` while it holds for nothing.
    fired: Option<Vec<u8>>,
    /// When it is looked at next, milliseconds since 1970.
    due: i64,
}

impl Alerts {
    /// The next message to post.
    pub fn next_post(&mut self) -> Option<Post> {
        self.posts.pop_front()
    }
}

impl Agent {
    /// Looks at those alerts whose turn it is: all that follow the graph if it has `changed`.
    pub(super) fn check_alerts(&mut self, changed: bool) {
        let now = self.now();
        let due: Vec<(Rc<str>, Alert)> = self
            .orders
            .resources
            .of(Kind::Alert)
            .filter_map(|known| match &known.body {
                Body::Alert(alert) => Some((&known.id, alert)),
                _ => None,
            })
            .filter(|(id, alert)| match alert.trigger {
                Trigger::Graph => changed,
                Trigger::Period(_) => {
                    self.alerts.states.get(*id).is_none_or(|state| state.due <= now)
                }
            })
            .map(|(id, alert)| (Rc::clone(id), alert.clone()))
            .collect();
        for (id, alert) in due {
            let result = self.result(&alert.query);
            let state = self.alerts.states.entry(Rc::clone(&id)).or_default();
            if let Trigger::Period(period) = alert.trigger {
                state.due = now.saturating_add(i64::try_from(period).unwrap_or(i64::MAX));
            }
            let Some(result) = result else { continue };
            if is_empty(&result) {
                state.fired = None;
            } else if state.fired.as_ref() != Some(&result) {
                state.fired = Some(result.clone());
                self.fire(&id, &alert, &result);
            }
        }
    }

    /// When the next alert is due, milliseconds since 1970.
    pub(super) fn next_alert(&self) -> Option<i64> {
        let periodic =
            self.orders.resources.of(Kind::Alert).filter_map(|known| match &known.body {
                Body::Alert(Alert { trigger: Trigger::Period(_), .. }) => Some(&known.id),
                _ => None,
            });
        periodic.map(|id| self.alerts.states.get(id).map_or(0, |state| state.due)).min()
    }

    /// Forgets how an alert stood.
    pub(super) fn forget_alert(&mut self, id: &str) {
        self.alerts.states.remove(id);
    }

    /// The result of a query as JSON; `None` if it has none or too long a one.
    fn result(&self, query: &Query) -> Option<Vec<u8>> {
        let world = World { graph: &self.graph, flows: &self.captured, now: self.clock() };
        let mut run = Run::new(query.clone());
        let rounds = MAX_VISITS.checked_div(LOOK_VISITS).unwrap_or(1);
        let mut ready = false;
        for _ in 0..rounds {
            match run.advance(&world, LOOK_VISITS) {
                Ok(true) => {
                    ready = true;
                    break;
                }
                Ok(false) => {}
                Err(error) => {
                    log::debug!("alert: {error}");
                    return None;
                }
            }
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
