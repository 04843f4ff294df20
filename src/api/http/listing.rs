//! Answers of many rows over HTTP: flows, devices, what is used, who moves most, one flow, and what
//! is known of something. The commands and their arguments are those of every other interface.

use serde_json::Value;

use super::head::{Method, Request};
use super::response::{Body, JSON, Response};
use super::routes::{About, Action, Needs, Route};
use crate::api::compat::netify::{self, Form};
use crate::api::json;
use crate::api::unix::reply;
use crate::config::access::Role;
use crate::core::Agent;
use crate::core::agent::{Cursor, Item, Reply};
use crate::core::auth::Caller;
use crate::core::command::{Arguments, Command, Entry, Failure, TABLE, Verb};
use crate::wire;

/// Rows of one answer at most.
const MAX_ROWS: usize = 1_000;

/// Rows fetched at a time.
const SLICE: usize = 64;

const FLOWS: Route =
    route("/api/flows", "flow", "Flows that match, with conditions as a JSON object");

const fn route(path: &'static str, object: &'static str, summary: &'static str) -> Route {
    Route {
        method: Method::Get,
        path,
        object,
        action: Action::Read,
        needs: Needs::Role(Role::Read),
        handler: list,
        about: About {
            summary,
            body: None,
            answers: &[
                (200, "application/json", "Rows"),
                (400, "text/plain", "Text"),
                (404, "text/plain", "Text"),
            ],
        },
    }
}

/// The operations; the second part of each path is the name of the command.
pub const ROUTES: &[Route] = &[
    route("/api/flows", "flow", "Flows that match: where, dev, proto, host, port, mac, n, after"),
    Route {
        method: Method::Post,
        about: About { body: Some(("application/json", "Any")), ..FLOWS.about },
        ..FLOWS
    },
    route("/api/devices", "devices", "Who is here, the busiest first: n, after"),
    route("/api/devices/{which}", "devices", "The device with this MAC, address or name"),
    route("/api/apps", "apps", "Applications and protocols in use, the busiest first: n, after"),
    route("/api/top", "top", "Who or what moves most: of, by, n, and conditions on flows"),
    route("/api/flow/{id}", "flow", "All that is known of one flow"),
    route("/api/lookup/{what}", "lookup", "What is known of a name, an address or a MAC"),
];

/// Carries out the command that the path names.
fn list(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    let name = request.path.get(1).map_or("", String::as_str);
    let called = |entry: &&Entry| entry.unix.contains(&name) || entry.udp.contains(&name);
    let Some(entry) = TABLE.iter().find(called) else {
        return Response::text(404, "no such command");
    };
    let body = match members(&request.body) {
        Ok(body) => body,
        Err(problem) => return Response::text(400, problem),
    };
    let of_query = request.query.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let named = of_query.chain(body.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let words = request.path.get(2).map(String::as_str).into_iter();
    let arguments = Arguments {
        named: named.collect(),
        words: words.collect(),
        max_rows: MAX_ROWS,
        ..Arguments::default()
    };
    let built = Command::build(entry.verb, arguments);
    match built.and_then(|command| agent.run(command, caller)) {
        Ok(Reply::Rows(cursor)) => {
            let text = Text { cursor, verb: entry.verb, begun: false, written: false };
            Response::new(200, JSON, Body::Rows(Box::new(text)))
        }
        Ok(_) => Response::empty(204),
        Err(failure @ Failure::NotFound) => Response::text(404, &failure.to_string()),
        Err(failure) => Response::text(400, &failure.to_string()),
    }
}

/// Arguments in the body of a request, if it has one.
fn members(body: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
        return Err("expected a JSON object, as in {\"where\": \"port == 443\"}");
    };
    let text = |value| match value {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err("expected texts, numbers, true and false in the JSON object"),
    };
    members.into_iter().map(|(name, value)| Ok((name, text(value)?))).collect()
}

/// Rows on their way: `{"devices":[…],"next":…}`.
#[derive(Debug)]
pub struct Text {
    cursor: Cursor,
    verb: Verb,
    begun: bool,
    written: bool,
}

impl Text {
    /// Appends the next rows, about `most` octets; `true` while there is more. One call does a
    /// bounded amount of work.
    pub(super) fn write(&mut self, agent: &Agent, out: &mut Vec<u8>, most: usize) -> bool {
        let until = out.len().saturating_add(most);
        if !std::mem::replace(&mut self.begun, true) {
            out.push(b'{');
            wire::json::string(out, reply::rows(self.verb, false));
            out.extend_from_slice(b":[");
        }
        loop {
            let mut rows = Vec::with_capacity(SLICE);
            let more = agent.next_rows(&mut self.cursor, SLICE, &mut rows);
            for item in &rows {
                if std::mem::replace(&mut self.written, true) {
                    out.push(b',');
                }
                match item {
                    Item::Flow(told) => json::row(out, &netify::flow(told, agent, Form::Listed)),
                    Item::Row(row) => json::row(out, row),
                }
            }
            if !more {
                out.push(b']');
                if let Some(next) = self.cursor.next {
                    out.extend_from_slice(b",\"next\":");
                    wire::json::unsigned(out, next);
                }
                out.push(b'}');
                return false;
            }
            // A look at a slice of the table is a turn's work, whether it brought rows or not.
            if out.len() >= until || rows.len() < SLICE {
                return true;
            }
        }
    }
}
