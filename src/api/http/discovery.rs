//! What there is to capture on this machine: the two documents that capture clients ask for
//! (those of GhostWire, with and without Packetflix's `/discover` before them), and a page for
//! people. All wait for a look at the machine.

use super::head::{Method, Request};
#[cfg(feature = "page")]
use super::page;
use super::relay;
use super::response::{Body, Response};
use super::routes::{About, Action, Needs, Route};
use crate::config::access::Role;
use crate::core::Agent;
use crate::core::auth::Caller;
use crate::core::discovery::Ticket;
use crate::core::relay as relayed;
use crate::netns::{Depth, document, targets};

/// What the documents are sent as.
const JSON: &str = "application/json";

const READ: Needs = Needs::Role(Role::Read);

const LIST: About =
    About { summary: "What can be captured", body: None, answers: &[(200, JSON, "Any")] };

const ALL: About = About {
    summary: "Namespaces with interfaces, routes, sockets and processes",
    body: None,
    answers: &[(200, JSON, "Any")],
};

const fn route(path: &'static str, handler: super::routes::Handler, about: About) -> Route {
    let (method, object, action) = (Method::Get, "discover", Action::Read);
    Route { method, path, object, action, needs: READ, handler, about }
}

/// The operations.
pub(super) const ROUTES: &[Route] = &[
    #[cfg(feature = "page")]
    route(
        "/",
        start,
        About {
            summary: "A page with what can be captured",
            body: None,
            answers: &[(200, "text/html", "Text")],
        },
    ),
    route("/mobyshark", mobyshark, LIST),
    route("/json", json, ALL),
    route(
        "/discover/{rest}",
        discover,
        About {
            summary: "The same for capture clients, or what the discovery service answers",
            body: None,
            answers: &[
                (200, JSON, "Any"),
                (404, "text/plain", "Text"),
                (502, "text/plain", "Text"),
            ],
        },
    ),
];

/// What is known of this machine, as text.
#[derive(Debug)]
pub enum Document {
    /// Everything.
    All(document::Text),
    /// The page.
    #[cfg(feature = "page")]
    Page(page::Text),
    /// Capture targets.
    Targets(targets::Text),
}

impl Document {
    /// Appends more, about `most` octets; `true` if there is still more.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, most: usize) -> bool {
        match self {
            Self::All(text) => text.write(out, most),
            #[cfg(feature = "page")]
            Self::Page(text) => text.write(out, most),
            Self::Targets(text) => text.write(out, most),
        }
    }
}

/// An answer that somebody else has to find out.
#[derive(Debug)]
pub enum Waiting {
    /// The look at the machine, and what is to be made of it.
    Machine(Ticket, Form),
    /// What another server says.
    Relay(relayed::Ticket),
}

/// What is to be made of a look at the machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Form {
    /// Everything.
    All,
    /// A page, for a client that reached this machine by that name.
    #[cfg(feature = "page")]
    Page(String),
    /// Capture targets.
    Targets,
}

impl Waiting {
    /// Whether it is found out.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self {
            Self::Machine(ticket, _) => ticket.answer().is_some(),
            Self::Relay(ticket) => ticket.is_over(),
        }
    }

    /// What was found out, once it was: what to write, or another answer.
    pub(super) fn take(&mut self) -> Option<Result<Box<Document>, Response>> {
        match self {
            Self::Machine(ticket, form) => {
                let machine = ticket.answer()?;
                Some(Ok(Box::new(match form {
                    Form::All => Document::All(document::Text::new(machine)),
                    #[cfg(feature = "page")]
                    Form::Page(host) => {
                        Document::Page(page::Text::new(machine, std::mem::take(host)))
                    }
                    Form::Targets => Document::Targets(targets::Text::new(machine)),
                })))
            }
            Self::Relay(ticket) => Some(Err(relay::answer(ticket.take()?))),
        }
    }
}

fn mobyshark(agent: &mut Agent, _: &Caller, _: &Request) -> Response {
    look(agent, Depth::Targets, Form::Targets, JSON)
}

fn json(agent: &mut Agent, _: &Caller, _: &Request) -> Response {
    look(agent, Depth::All, Form::All, JSON)
}

#[cfg(feature = "page")]
fn start(agent: &mut Agent, _: &Caller, request: &Request) -> Response {
    let host = request.authority.as_deref().or_else(|| request.field("host"));
    let host = host.map_or_else(|| request.local.to_string(), str::to_owned);
    look(agent, Depth::Targets, Form::Page(host), "text/html; charset=utf-8")
}

fn look(agent: &mut Agent, depth: Depth, form: Form, kind: &'static str) -> Response {
    let ticket = agent.discovery.ask(depth);
    Response::new(200, kind, Body::Discovery(Box::new(Waiting::Machine(ticket, form))))
}

/// Whether a request is for a path that may be somebody else's, below `/discover`.
pub(super) fn is_relayed(request: &Request) -> bool {
    request.path.first().is_some_and(|first| first == "discover") && request.path.len() > 1
}

/// What lies below `/discover`: our own documents, unless the settings say that somebody else has
/// better ones.
fn discover(agent: &mut Agent, caller: &Caller, request: &Request) -> Response {
    let Some(service) = agent.settings().discovery_service else {
        return match request.path.get(1).map(String::as_str) {
            Some("mobyshark") if request.path.len() == 2 => mobyshark(agent, caller, request),
            Some("json") if request.path.len() == 2 => json(agent, caller, request),
            _ => Response::text(404, "404 page not found"),
        };
    };
    if request.field("upgrade").is_some() {
        return Response::text(501, "WebSockets are not handed on to the discovery service");
    }
    match agent.relay.ask(service, relay::request(request, service)) {
        Some(ticket) => Response::new(200, JSON, Body::Discovery(Box::new(Waiting::Relay(ticket)))),
        None => Response::text(503, "too many requests wait for the discovery service"),
    }
}
