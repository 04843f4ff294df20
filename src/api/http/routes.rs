//! What is answered: one table with every operation, the right it needs and what there is to say
//! of it. Requests are led by it, and the description that clients can fetch is printed from it.

use super::head::{Method, Request};
use super::response::Response;
use super::{discovery, handlers, listing, login, openapi, resources};
use crate::config::access::Role;
use crate::core::Agent;
use crate::core::auth::Caller;

/// Carries out an operation.
pub type Handler = fn(&mut Agent, &Caller, &Request) -> Response;

/// What an operation does to the things it is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// Looks at them.
    Read,
    /// Changes them.
    Write,
}

impl Action {
    /// As permissions spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Who may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Needs {
    /// Everybody, without a credential.
    Nothing,
    /// Who has this role, or a higher one.
    Role(Role),
}

/// One operation.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Its method; HEAD goes with GET.
    pub method: Method,
    /// Its path; a `{name}` stands for one segment.
    pub path: &'static str,
    /// What it is about, as permissions call it.
    pub object: &'static str,
    /// What it does to that.
    pub action: Action,
    /// Who may.
    pub needs: Needs,
    /// What carries it out.
    pub handler: Handler,
    /// What clients are told of it.
    pub about: About,
}

/// The description of an operation.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// One line.
    pub summary: &'static str,
    /// Media type and schema of the request body, if it has one.
    pub body: Option<(&'static str, &'static str)>,
    /// Statuses, each with media type and schema.
    pub answers: &'static [(u16, &'static str, &'static str)],
}

const GUEST: Needs = Needs::Role(Role::Guest);
const READ: Needs = Needs::Role(Role::Read);

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";
const DOT: &str = "text/vnd.graphviz";
const PCAP: &str = "application/vnd.tcpdump.pcap";

/// Every operation over HTTP, the WebSocket endpoints aside.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/api",
        object: "api",
        action: Action::Read,
        needs: GUEST,
        handler: handlers::root,
        about: About { summary: "Who answers", body: None, answers: &[(200, JSON, "Root")] },
    },
    Route {
        method: Method::Get,
        path: "/api/openapi.json",
        object: "api",
        action: Action::Read,
        needs: GUEST,
        handler: openapi::describe,
        about: About { summary: "This description", body: None, answers: &[(200, JSON, "Any")] },
    },
    Route {
        method: Method::Get,
        path: "/api/topology",
        object: "topology",
        action: Action::Read,
        needs: GUEST,
        handler: handlers::topology,
        about: About {
            summary: "All nodes and edges",
            body: None,
            answers: &[(200, JSON, "Graph"), (200, DOT, "Text")],
        },
    },
    Route {
        method: Method::Post,
        path: "/api/topology",
        object: "topology",
        action: Action::Read,
        needs: GUEST,
        handler: handlers::query,
        about: About {
            summary: "The answer to a Gremlin query",
            body: Some((JSON, "Query")),
            answers: &[
                (200, JSON, "Any"),
                (200, DOT, "Text"),
                (200, PCAP, "Bytes"),
                (204, TEXT, "Nothing"),
                (400, TEXT, "Text"),
                (406, TEXT, "Text"),
                (503, TEXT, "Text"),
            ],
        },
    },
    Route {
        method: Method::Get,
        path: "/api/status",
        object: "status",
        action: Action::Read,
        needs: GUEST,
        handler: handlers::status,
        about: About {
            summary: "Who is connected, and what was lost",
            body: None,
            answers: &[(200, JSON, "Status")],
        },
    },
    Route {
        method: Method::Get,
        path: "/api/config/{key}",
        object: "config",
        action: Action::Read,
        needs: READ,
        handler: handlers::config,
        about: About {
            summary: "The value of a setting; an empty text for one that is not known, or secret",
            body: None,
            answers: &[(200, JSON, "Any")],
        },
    },
    Route {
        method: Method::Get,
        path: "/api/workflow",
        object: "workflow",
        action: Action::Read,
        needs: READ,
        handler: handlers::none,
        about: About {
            summary: "Workflows: there are none",
            body: None,
            answers: &[(200, JSON, "Any")],
        },
    },
    Route {
        method: Method::Get,
        path: "/version",
        object: "api",
        action: Action::Read,
        needs: GUEST,
        handler: handlers::version,
        about: About {
            summary: "Name and version, for capture clients",
            body: None,
            answers: &[(200, JSON, "Any")],
        },
    },
    Route {
        method: Method::Get,
        path: "/login",
        object: "login",
        action: Action::Read,
        needs: Needs::Nothing,
        handler: login::page,
        about: About {
            summary: "Leads to the start page",
            body: None,
            answers: &[(302, TEXT, "Nothing")],
        },
    },
    Route {
        method: Method::Post,
        path: "/login",
        object: "login",
        action: Action::Write,
        needs: Needs::Nothing,
        handler: login::login,
        about: About {
            summary: "Begins a session",
            body: Some(("application/x-www-form-urlencoded", "Login")),
            answers: &[(200, JSON, "Session"), (401, TEXT, "Text"), (429, TEXT, "Text")],
        },
    },
];

/// Where a request leads.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// To this operation.
    Route(&'static Route),
    /// To the same path without the slash at its end.
    Slash,
    /// To a path that has other methods.
    Method,
    /// Nowhere.
    Nothing,
}

/// Where a request leads.
#[must_use]
pub fn find(request: &Request) -> Found {
    let (path, slash) = match request.path.split_last() {
        // A path of somebody else's.
        _ if discovery::is_relayed(request) => (&request.path[..], false),
        Some((last, rest)) if last.is_empty() && !rest.is_empty() => (rest, true),
        _ => (&request.path[..], false),
    };
    let method = match request.method {
        Method::Head => Method::Get,
        method => method,
    };
    let mut there = all().filter(|route| leads(route.path, path)).peekable();
    if there.peek().is_none() {
        return Found::Nothing;
    }
    if slash {
        return Found::Slash;
    }
    there.find(|route| route.method == method).map_or(Found::Method, Found::Route)
}

/// Every operation.
pub fn all() -> impl Iterator<Item = &'static Route> {
    ROUTES
        .iter()
        .chain(discovery::ROUTES)
        .chain(listing::ROUTES)
        .chain([&resources::IMPORT])
        .chain(resources::ROUTES.iter().flatten())
}

/// Methods of a path, for `Allow`.
#[must_use]
pub fn methods(request: &Request) -> String {
    let mut names = vec!["OPTIONS"];
    for route in all().filter(|route| leads(route.path, &request.path)) {
        names.push(route.method.name());
        if route.method == Method::Get {
            names.push("HEAD");
        }
    }
    names.sort_unstable();
    names.join(", ")
}

fn leads(pattern: &str, path: &[String]) -> bool {
    if let Some(before) = pattern.strip_suffix("/{rest}") {
        let count = before.split('/').count();
        return path.len() >= count
            && leads(before, path.get(..count.saturating_sub(1)).unwrap_or(path));
    }
    let mut pattern = pattern.split('/').skip(1);
    let fits = |segment: &String| match pattern.next() {
        Some(name) if name.starts_with('{') => !segment.is_empty(),
        Some(name) => name == segment,
        None => false,
    };
    path.iter().all(fits) && pattern.next().is_none()
}
