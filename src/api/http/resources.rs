//! The operations on what clients order: captures, alerts, injections, rules, nodes and edges.
//! All of them are made, looked at and deleted in the same way; the path says which kind.

use super::head::{Method, Request};
use super::response::Response;
use super::routes::{About, Action, Needs, Route};
use crate::config::access::Role;
use crate::core::Agent;
use crate::core::agent::Reply;
use crate::core::auth::Caller;
use crate::core::command::{Command, Failure};
use crate::core::resources::Kind;
use crate::query::duration;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
const PCAP: &str = "application/vnd.tcpdump.pcap";

/// Media type and schema of a status.
type Answers = &'static [(u16, &'static str, &'static str)];

const LISTED: Answers = &[(200, JSON, "Any")];
const SHOWN: Answers = &[(200, JSON, "Any"), (404, TEXT, "Text")];
const MADE: Answers =
    &[(201, JSON, "Any"), (400, TEXT, "Text"), (409, TEXT, "Text"), (429, TEXT, "Text")];
const CHANGED: Answers = &[(200, JSON, "Any"), (400, TEXT, "Text"), (404, TEXT, "Text")];
const DELETED: Answers = &[(200, TEXT, "Nothing"), (404, TEXT, "Text")];
const IMPORTED: Answers = &[(202, TEXT, "Text"), (400, TEXT, "Text")];

/// The operations of one kind: its name in paths, what one is called, who may change some.
macro_rules! kind {
    ($name:literal, $one:literal, $role:ident, $schema:literal) => {
        [
            Route {
                method: Method::Get,
                path: concat!("/api/", $name),
                object: $name,
                action: Action::Read,
                needs: Needs::Role(Role::Read),
                handler: list,
                about: About {
                    summary: concat!("Each ", $one, ", by id"),
                    body: None,
                    answers: LISTED,
                },
            },
            Route {
                method: Method::Get,
                path: concat!("/api/", $name, "/{id}"),
                object: $name,
                action: Action::Read,
                needs: Needs::Role(Role::Read),
                handler: show,
                about: About { summary: concat!("One ", $one), body: None, answers: SHOWN },
            },
            Route {
                method: Method::Post,
                path: concat!("/api/", $name),
                object: $name,
                action: Action::Write,
                needs: Needs::Role(Role::$role),
                handler: make,
                about: About {
                    summary: concat!("Makes a new ", $one),
                    body: Some((JSON, $schema)),
                    answers: MADE,
                },
            },
            Route {
                method: Method::Patch,
                path: concat!("/api/", $name, "/{id}"),
                object: $name,
                action: Action::Write,
                needs: Needs::Role(Role::$role),
                handler: change,
                about: About {
                    summary: concat!("Changes the metadata of a node or an edge; no other ", $one),
                    body: Some((JSON, "Patch")),
                    answers: CHANGED,
                },
            },
            Route {
                method: Method::Delete,
                path: concat!("/api/", $name, "/{id}"),
                object: $name,
                action: Action::Write,
                needs: Needs::Role(Role::$role),
                handler: delete,
                about: About {
                    summary: concat!("Deletes one ", $one),
                    body: None,
                    answers: DELETED,
                },
            },
        ]
    };
}

/// The operations of every kind.
pub(super) const ROUTES: &[[Route; 5]] = &[
    kind!("alert", "alert", Admin, "Alert"),
    kind!("capture", "capture", Capture, "Capture"),
    kind!("edge", "edge", Admin, "Edge"),
    kind!("edgerule", "rule about edges", Admin, "EdgeRule"),
    kind!("injectpacket", "packet injection", Capture, "Injection"),
    kind!("node", "node", Admin, "Node"),
    kind!("noderule", "rule about nodes", Admin, "NodeRule"),
];

/// The import of capture files.
pub(super) const IMPORT: Route = Route {
    method: Method::Post,
    path: "/api/pcap",
    object: "pcap",
    action: Action::Write,
    needs: Needs::Role(Role::Capture),
    handler: import,
    about: About {
        summary: "Counts the packets of a capture file as flows",
        body: Some((PCAP, "Bytes")),
        answers: IMPORTED,
    },
};

fn list(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    let Some((kind, _)) = named(request) else { return Response::text(404, "404 page not found") };
    answer(agent.run(Command::Resources { kind }, caller), 200, kind, "")
}

fn show(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    let Some((kind, id)) = named(request) else { return Response::text(404, "404 page not found") };
    answer(agent.run(Command::Resource { kind, id: id.to_owned() }, caller), 200, kind, id)
}

fn make(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    let Some((kind, _)) = named(request) else { return Response::text(404, "404 page not found") };
    let ttl = match request.field("x-resource-ttl") {
        None => None,
        Some(text) => match duration(text).filter(|ttl| *ttl > 0) {
            Some(ttl) => Some(ttl),
            None => return Response::text(400, &format!("invalid ttl: {text}")),
        },
    };
    let json = match serde_json::from_slice(&request.body) {
        Ok(json) => json,
        Err(error) => return Response::text(400, &error.to_string()),
    };
    answer(agent.run(Command::ResourceCreate { kind, json, ttl }, caller), 201, kind, "")
}

fn change(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    let Some((kind, id)) = named(request) else { return Response::text(404, "404 page not found") };
    let patch = match serde_json::from_slice(&request.body) {
        Ok(patch) => patch,
        Err(error) => return Response::text(400, &error.to_string()),
    };
    let command = Command::ResourcePatch { kind, id: id.to_owned(), patch };
    answer(agent.run(command, caller), 200, kind, id)
}

fn delete(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    let Some((kind, id)) = named(request) else { return Response::text(404, "404 page not found") };
    match agent.run(Command::ResourceDelete { kind, id: id.to_owned() }, caller) {
        // Clients take any reply to DELETE as text.
        Ok(_) => Response::empty(200),
        refused => answer(refused, 200, kind, id),
    }
}

fn import(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    match agent.run(Command::Import { file: request.body.clone() }, caller) {
        Ok(_) => Response::text(202, "Accepted"),
        Err(failure) => refusal(&failure, "Pcap", ""),
    }
}

/// The kind and the id that a path names.
fn named(request: &Request) -> Option<(Kind, &str)> {
    let mut path = request.path.iter().skip(1);
    let kind = Kind::parse(path.next()?)?;
    Some((kind, path.next().map_or("", String::as_str)))
}

fn answer(reply: Result<Reply, Failure>, status: u16, kind: Kind, id: &str) -> Response {
    match reply {
        Ok(Reply::Value(value)) => {
            let mut body = Vec::new();
            value.write(&mut body);
            Response::json(status, body)
        }
        Ok(_) => Response::text(500, "nothing to show"),
        Err(failure) => refusal(&failure, kind.title(), id),
    }
}

fn refusal(failure: &Failure, title: &str, id: &str) -> Response {
    match failure {
        Failure::Denied => Response::text(405, &failure.to_string()),
        Failure::Duplicate => Response::text(409, "duplicated resource"),
        Failure::Limit => Response::text(429, "there are too many of them: delete some"),
        Failure::NotFound => Response::text(404, &format!("{title} '{id}' not found")),
        other => Response::text(400, &other.to_string()),
    }
}
