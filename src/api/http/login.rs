//! Who asks: the places where clients show a credential, and the form that begins a session.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::head::{Request, pairs_of};
use super::response::Response;
use super::routes::{self, Action, Needs, Route};
use crate::config::access::{MAX_SECRET, Role};
use crate::core::Agent;
use crate::core::access::{Credential, Denied, Identity};
use crate::core::auth::Caller;
use crate::wire::json;

/// The subjects of endpoints that no table has, for permissions.
const SUBJECTS: [(&str, Action, Role); 5] = [
    ("packets", Action::Read, Role::Capture),
    ("websocket.subscriber", Action::Read, Role::Guest),
    ("websocket.subscriber.flow", Action::Read, Role::Read),
    ("websocket.publisher", Action::Write, Role::Admin),
    ("websocket.pubsub", Action::Write, Role::Admin),
];

/// Who sends a request. The query counts for WebSockets alone, since browsers can put a token
/// nowhere else there; of an ordinary request it would end up in logs.
///
/// # Errors
/// See [`Denied`].
pub(super) fn identify(
    request: &Request,
    upgrades: bool,
    agent: &mut Agent,
) -> Result<Identity, Denied> {
    let from = request.remote.ip();
    let Some(shown) = shown(request, upgrades) else { return agent.authenticate(None, from) };
    if shown.len() > 4 * MAX_SECRET {
        return Err(Denied::Wrong);
    }
    let (scheme, rest) = shown.split_once(' ').unwrap_or(("", shown));
    let token = match scheme {
        _ if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ if scheme.eq_ignore_ascii_case("basic") => {
            let pair = decode(rest.trim());
            let pair = pair.as_ref().and_then(|pair| pair.split_once(':'));
            let given = pair.map_or(Credential::Token(shown), |(user, password)| {
                Credential::Password(user, password)
            });
            return agent.authenticate(Some(given), from);
        }
        _ => shown,
    };
    // Skydive's own tokens are a user and a password in base64.
    let pair = decode(token);
    let known = pair.as_ref().and_then(|pair| pair.split_once(':'));
    let known =
        known.filter(|(user, _)| agent.settings().http_users.iter().any(|u| u.name == *user));
    let given = known
        .map_or(Credential::Token(token), |(user, password)| Credential::Password(user, password));
    agent.authenticate(Some(given), from)
}

/// What is said to somebody who is not let in.
#[must_use]
pub(super) fn refusal(denied: Denied) -> Response {
    match denied {
        Denied::Nothing | Denied::Wrong => Response::text(401, "Wrong credentials"),
        Denied::TooSoon => {
            Response::text(429, "Too many wrong credentials").with("Retry-After", "1")
        }
    }
}

/// Whether somebody may; otherwise what is said. The status is Skydive's.
///
/// # Errors
/// The answer.
pub(super) fn permit(identity: &Identity, route: &Route) -> Result<(), Response> {
    match route.needs {
        Needs::Role(role) if identity.role < role => {
            let (name, action, object) = (&identity.name, route.action.name(), route.object);
            Err(Response::text(
                405,
                &format!("'{name}' has no '{action}' permission on '{object}'"),
            ))
        }
        _ => Ok(()),
    }
}

/// `GET /login`.
pub(super) fn page(_: &mut Agent, _: &Caller, _: &Request) -> Response {
    Response::empty(302).with("Location", "/")
}

/// `POST /login`.
pub(super) fn login(agent: &mut Agent, _: &Caller, request: &Request) -> Response {
    let form = fields(request);
    let field = |name: &str| form.iter().find(|(known, _)| known == name).map(|(_, v)| v.as_str());
    let open = !agent.settings().has_http_login();
    let (user, password) = match (field("username"), field("password")) {
        (Some(user), Some(password)) if password.len() <= MAX_SECRET => (user, password),
        _ if open => ("", ""),
        (Some(_), Some(_)) => return refusal(Denied::Wrong),
        _ => return Response::text(401, "No credentials provided"),
    };
    let given = Credential::Password(user, password);
    let identity = match agent.authenticate(Some(given), request.remote.ip()) {
        Ok(identity) => identity,
        Err(denied) => {
            let refused = &mut agent.counters.http_refused_auth;
            *refused = refused.saturating_add(1);
            return refusal(denied);
        }
    };
    let permissions = permissions(identity.role);
    let token = if open { String::new() } else { agent.begin_session(identity) };
    let mut out = b"{\"Token\":".to_vec();
    json::string(&mut out, &token);
    out.extend_from_slice(b",\"Permissions\":");
    out.extend_from_slice(&permissions);
    out.push(b'}');
    let answer = Response::json(200, out);
    let shown = format!("permissions={}; Path=/; SameSite=Strict", STANDARD.encode(permissions));
    let answer = answer.with("Set-Cookie", shown);
    if open {
        // A client that has no such cookie knows that it needs none.
        return answer;
    }
    answer.with("Set-Cookie", format!("authtoken={token}; Path=/; HttpOnly; SameSite=Strict"))
}

fn shown(request: &Request, upgrades: bool) -> Option<&str> {
    let cookies = request.all("cookie").flat_map(|value| value.split(';'));
    let mut cookies = cookies.filter_map(|pair| pair.trim().split_once('='));
    let cookie = cookies.find(|(name, _)| *name == "authtoken").map(|(_, value)| value);
    let query = || {
        let token = request.parameter("x-auth-token").or_else(|| request.parameter("token"));
        token.filter(|_| upgrades)
    };
    cookie
        .filter(|token| !token.is_empty())
        .or_else(|| request.field("authorization"))
        .or_else(|| request.field("x-auth-token"))
        .or_else(query)
}

/// The fields of a form, or the members of a JSON object.
fn fields(request: &Request) -> Vec<(String, String)> {
    let json = request.field("content-type").is_some_and(|kind| kind.contains("json"));
    if !json {
        return pairs_of(&String::from_utf8_lossy(&request.body));
    }
    let members: Option<serde_json::Map<String, serde_json::Value>> =
        serde_json::from_slice(&request.body).ok();
    let text = |(name, value): (String, serde_json::Value)| {
        value.as_str().map(|value| (name, value.to_owned()))
    };
    members.into_iter().flatten().filter_map(text).collect()
}

fn permissions(role: Role) -> Vec<u8> {
    let of_route = |route: &'static Route| match route.needs {
        Needs::Role(role) => Some((route.object, route.action, role)),
        Needs::Nothing => None,
    };
    let mut all: Vec<(&str, Action, Role)> = Vec::new();
    for one in routes::all().filter_map(of_route).chain(SUBJECTS) {
        if !all.iter().any(|known| (known.0, known.1) == (one.0, one.1)) {
            all.push(one);
        }
    }
    let mut out = b"[".to_vec();
    for (at, (object, action, needs)) in all.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"Object\":");
        json::string(&mut out, object);
        out.extend_from_slice(b",\"Action\":");
        json::string(&mut out, action.name());
        out.extend_from_slice(b",\"Allowed\":");
        out.extend_from_slice(if role >= needs { b"true" } else { b"false" });
        out.push(b'}');
    }
    out.push(b']');
    out
}

fn decode(text: &str) -> Option<String> {
    let padding = text.bytes().rev().take_while(|b| *b == b'=').count();
    let bare = text.get(..text.len().saturating_sub(padding))?;
    let bytes = base64::engine::general_purpose::STANDARD_NO_PAD.decode(bare).ok()?;
    String::from_utf8(bytes).ok()
}
