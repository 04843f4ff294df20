//! What keeps web pages out: a page that somebody opens on the LAN can neither read from the
//! agent nor write to it, whatever name it was reached by. The rules come before anything else is
//! looked at, the same for every path.

use std::net::{IpAddr, Ipv6Addr};

use super::head::{Bad, Method, Request};
use crate::core::Agent;

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// It was sent to a name that is not ours: an attacker's name may lead here.
    Host(Bad),
    /// It comes from another web page, or has a body that a foreign page can send.
    Origin(Bad),
    /// It is malformed.
    Parse(Bad),
}

/// Holds a request against the rules.
///
/// # Errors
/// See [`Refused`].
pub fn check(request: &Request, agent: &Agent) -> Result<(), Refused> {
    check_host(request, agent)?;
    check_origin(request, agent)?;
    check_type(request)
}

fn check_host(request: &Request, agent: &Agent) -> Result<(), Refused> {
    let malformed = |text| Err(Refused::Parse(Bad { status: 400, text }));
    let mut hosts = request.all("host");
    let host = hosts.next();
    if hosts.next().is_some() {
        return malformed("more than one Host");
    }
    if host.is_none() && request.is_11 {
        return malformed("no Host");
    }
    let foreign = Bad { status: 421, text: "Misdirected Request: this name is not known here" };
    let known = |name: &str| is_ours(name, agent);
    if host.into_iter().chain(request.authority.as_deref()).all(known) {
        Ok(())
    } else {
        Err(Refused::Host(foreign))
    }
}

/// Whether a name with or without a port is an address, or a name of this machine.
fn is_ours(host: &str, agent: &Agent) -> bool {
    let Some(name) = without_port(host) else { return false };
    if name.parse::<IpAddr>().is_ok() {
        return true;
    }
    if let Some(inner) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let own = agent.facts.hostname.to_ascii_lowercase();
    let short = own.split('.').next().unwrap_or_default();
    let is_own = |own: &str| {
        let rest = name.strip_prefix(own).filter(|_| !own.is_empty());
        matches!(rest, Some("" | ".lan" | ".local"))
    };
    name == "localhost"
        || is_own(&own)
        || is_own(short)
        || agent.settings().http_hosts.contains(&name)
}

fn without_port(host: &str) -> Option<&str> {
    let (name, port) = match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => host.split_at_checked(colon)?,
        _ => (host, ""),
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let fits = digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 5;
    // Two colons without brackets are no host.
    (fits && (name.starts_with('[') || !name.contains(':'))).then_some(name)
}

fn check_origin(request: &Request, agent: &Agent) -> Result<(), Refused> {
    let upgrades = request.lists("connection", "upgrade") || request.field("upgrade").is_some();
    if (request.method.is_unsafe() || upgrades) && is_foreign(request, agent) {
        return Err(Refused::Origin(Bad { status: 403, text: "Forbidden: another origin" }));
    }
    Ok(())
}

/// Whether a request comes from a web page of another origin.
pub(super) fn is_foreign(request: &Request, agent: &Agent) -> bool {
    let mut origins = request.all("origin");
    match origins.next() {
        Some(_) if origins.next().is_some() => true,
        Some(origin) => !is_same(origin, request) && allowed(origin, agent).is_none(),
        None => request.field("sec-fetch-site") == Some("cross-site"),
    }
}

/// Whether a page came from here: its host is the one that this request was sent to, of which it
/// is known by now that it is ours.
fn is_same(origin: &str, request: &Request) -> bool {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let host = request.field("host").unwrap_or_default();
    rest.is_some_and(|rest| !host.is_empty() && rest.eq_ignore_ascii_case(host))
}

/// The configured origin that this is.
pub fn allowed<'a>(origin: &str, agent: &'a Agent) -> Option<&'a str> {
    let mut known = agent.settings().http_origins.iter();
    known.find(|known| known.eq_ignore_ascii_case(origin)).map(String::as_str)
}

/// A form or a text can be sent from any page without asking; JSON cannot.
fn check_type(request: &Request) -> Result<(), Refused> {
    if !request.method.is_unsafe() {
        return Ok(());
    }
    let mut types = request.all("content-type");
    let Some(kind) = types.next() else { return Ok(()) };
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let mut text = "Unsupported Media Type: say Content-Type: application/json";
    let fits = match (request.method, request.raw_path.trim_end_matches('/')) {
        (Method::Post, "/login") => kind == "application/x-www-form-urlencoded" || is_json(&kind),
        (Method::Post, "/api/pcap") => {
            text = "Unsupported Media Type: say Content-Type: application/octet-stream";
            PCAP.contains(&&*kind) || is_json(&kind)
        }
        _ => is_json(&kind),
    };
    if fits && types.next().is_none() {
        return Ok(());
    }
    Err(Refused::Origin(Bad { status: 415, text }))
}

const PCAP: [&str; 3] =
    ["application/octet-stream", "application/vnd.tcpdump.pcap", "application/x-pcapng"];

fn is_json(kind: &str) -> bool {
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
