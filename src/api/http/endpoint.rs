//! The WebSocket endpoints: who may open one, and what a client says of itself while doing so, in
//! header fields or, since browsers cannot set those, in the query.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::filter::Filter;
use super::head::{Method, Request};
use super::login;
use super::response::{Body, Response};
use super::session::Opened;
use crate::config::access::Role;
use crate::core::Agent;
use crate::core::access::Denied;
use crate::core::feed::{self, Peer, Refused, Wants};
use crate::query::Query;
use crate::time::Tick;

/// What a client can connect to.
pub type Endpoint = feed::Endpoint;

/// Octets of what a client calls itself.
const MAX_NAME: usize = 256;

/// Namespaces that one client can ask for.
const MAX_NAMESPACES: usize = 64;

/// The endpoint that a request is for.
#[must_use]
pub fn find(request: &Request) -> Option<Endpoint> {
    match request.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ws", "subscriber"] => Some(Endpoint::Subscriber),
        ["ws", "subscriber", "flow"] => Some(Endpoint::Flows),
        ["ws", "publisher"] => Some(Endpoint::Publisher),
        ["ws", "pubsub"] => Some(Endpoint::PubSub),
        _ => None,
    }
}

/// Opens a WebSocket.
///
/// # Errors
/// The answer that refuses it.
pub(super) fn upgrade(
    request: &Request,
    endpoint: Endpoint,
    agent: &mut Agent,
    now: Tick,
) -> Result<(Response, Opened), Response> {
    let bad = || Response::text(400, "Bad Request");
    let accepted = handshake(request)?;
    let identity = login::identify(request, true, agent).map_err(|denied| match denied {
        Denied::Nothing | Denied::Wrong | Denied::TooSoon => login::refusal(denied),
    })?;
    let least = match endpoint {
        Endpoint::Subscriber => Role::Guest,
        Endpoint::Flows => Role::Read,
        Endpoint::Publisher | Endpoint::PubSub => Role::Admin,
    };
    if identity.role < least {
        let text = format!("'{}' has no permission on '{}'", identity.name, request.raw_path);
        return Err(Response::text(403, &text));
    }
    let host = said(request, "x-host-id").map_or_else(|| request.remote.to_string(), str::to_owned);
    let service = said(request, "x-client-type").unwrap_or("unknown");
    if host.len() > MAX_NAME || service.len() > MAX_NAME {
        return Err(bad());
    }
    let (protobuf, known_protocol) = match said(request, "x-client-protocol") {
        None | Some("json") => (false, true),
        Some("protobuf") => (true, true),
        Some(_) => (false, false),
    };
    let mut fault = (!known_protocol).then_some("unknown X-Client-Protocol");
    let follows = matches!(endpoint, Endpoint::Subscriber | Endpoint::PubSub);
    let text = said(request, "x-gremlin-filter").filter(|_| follows);
    let filter = match text.map(Query::parse) {
        Some(Err(_)) => {
            fault = Some("bad X-Gremlin-Filter");
            None
        }
        Some(Ok(query)) => Some(Filter::new(query)),
        None => None,
    };
    let peer = Peer {
        endpoint,
        host: host.as_str().into(),
        service: service.into(),
        protobuf,
        address: request.remote,
        since: agent.clock().wall,
    };
    let origin = format!("{service}.{host}");
    let namespaces = named(request, "x-websocket-namespace").ok_or_else(bad)?;
    let bodies = protobuf && endpoint == Endpoint::Flows;
    let bodies = bodies && said(request, "x-flow-format") == Some("protobuf");
    let wants = Wants { namespaces, graph_apart: filter.is_some(), bodies };
    let member = agent.feed.join(peer, wants).map_err(|refused| match refused {
        Refused::Full => Response::text(429, "Too many WebSocket clients"),
        Refused::Taken => Response::text(409, "A client of this X-Host-ID is connected already"),
    })?;
    let opened = Opened {
        member,
        endpoint,
        protobuf,
        bodies,
        partial: said(request, "x-update-policy") == Some("partial"),
        deletes: said(request, "x-persistence-policy") == Some("DeleteOnDisconnect"),
        host: host.as_str().into(),
        origin: origin.as_str().into(),
        filter,
        fault,
        now,
    };
    let response = opening(accepted)
        .with("X-Host-ID", agent.facts.hostname.clone())
        .with("X-Service-Type", "analyzer");
    Ok((response, opened))
}

/// What proves that the key of a request was read, if it opens a WebSocket.
///
/// # Errors
/// The answer that refuses it.
pub(super) fn handshake(request: &Request) -> Result<String, Response> {
    let bad = || Response::text(400, "Bad Request");
    if request.method != Method::Get || !request.is_11 || request.has_body() {
        return Err(bad());
    }
    if !request.lists("upgrade", "websocket") || !request.lists("connection", "upgrade") {
        return Err(bad());
    }
    if request.field("sec-websocket-version") != Some("13") {
        let answer = Response::text(426, "Upgrade Required: WebSocket version 13");
        return Err(answer.with("Sec-WebSocket-Version", "13"));
    }
    accepted(request).ok_or_else(bad)
}

/// The answer that opens a WebSocket.
pub(super) fn opening(accepted: String) -> Response {
    Response::new(101, "", Body::Full(Vec::new()))
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade")
        .with("Sec-WebSocket-Accept", accepted)
}

/// The answer to the key of a request, if it has one.
pub(super) fn accepted(request: &Request) -> Option<String> {
    let mut keys = request.all("sec-websocket-key");
    let key = keys.next().filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16))?;
    keys.next().is_none().then(|| accept(key))
}

/// What proves that the key was read (RFC 6455 section 4.2.2).
fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// What the client says, in a field or in the query.
fn said<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.field(name).or_else(|| request.parameter(name)).filter(|value| !value.is_empty())
}

/// Everything that the client says under one name; `None` if it is too much.
fn named(request: &Request, name: &str) -> Option<Vec<Box<str>>> {
    let of_query = request.query.iter().filter(|(known, _)| known == name).map(|(_, v)| v.as_str());
    let all = request.all(name).flat_map(|value| value.split(',')).chain(of_query).map(str::trim);
    let all: Vec<Box<str>> = all.filter(|name| !name.is_empty()).map(Into::into).collect();
    (all.len() <= MAX_NAMESPACES && all.iter().all(|name| name.len() <= MAX_NAME)).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
