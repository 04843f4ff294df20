//! An alert: an expression that tells when it begins to hold, or holds for something else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::query::{Query, duration};
use crate::topology::value::Map;

use super::members::Members;

/// When an alert is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trigger {
    /// Whenever the graph has changed.
    Graph,
    /// Every so many milliseconds.
    Period(u64),
}

/// Whom it tells besides those who listen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Nobody.
    None,
    /// An HTTP server, by POST.
    Post {
        /// Where it is.
        address: SocketAddr,
        /// What it calls itself, for the `Host` header.
        host: String,
        /// The path with the query.
        path: String,
    },
}

/// An alert as it was asked for.
#[derive(Clone, Debug)]
pub struct Alert {
    /// The expression, as it was sent.
    pub expression: String,
    /// The expression, understood.
    pub query: Query,
    /// What the user calls it.
    pub name: String,
    /// What the user says of it.
    pub description: String,
    /// The action, as it was sent.
    pub action_text: String,
    /// The action, understood.
    pub action: Action,
    /// The trigger, as it was sent.
    pub trigger_text: String,
    /// The trigger, understood.
    pub trigger: Trigger,
}

impl Alert {
    /// Reads and checks what a client sent.
    ///
    /// # Errors
    /// The member and what is wrong with it.
    pub fn parse(members: &Members<'_>) -> Result<Self, String> {
        let expression = members.text("Expression")?;
        if expression.is_empty() {
            return Err("Expression: zero value".to_owned());
        }
        let query = super::expression("Expression", &expression)?;
        let action_text = members.text("Action")?;
        let trigger_text = members.text("Trigger")?;
        Ok(Self {
            query,
            expression,
            name: members.text("Name")?,
            description: members.text("Description")?,
            action: action(&action_text)?,
            action_text,
            trigger: trigger(&trigger_text)?,
            trigger_text,
        })
    }

    /// Its members as they are shown. Action and trigger are there also when they are empty:
    /// Skydive's Python client needs them.
    #[must_use]
    pub fn members(&self) -> Map {
        let mut map = Map::new()
            .with("Expression", self.expression.as_str())
            .with("Action", self.action_text.as_str())
            .with("Trigger", self.trigger_text.as_str());
        for (key, text) in [("Name", &self.name), ("Description", &self.description)] {
            map.put(key, Some(text.as_str()).filter(|text| !text.is_empty()));
        }
        map
    }
}

/// Milliseconds between two looks at an alert, however short a time it asks for.
const MIN_PERIOD: u64 = 1_000;

fn trigger(text: &str) -> Result<Trigger, String> {
    let expected =
        || "Trigger: graph or duration:TIME (such as duration:30s) is expected".to_owned();
    match text {
        "" | "graph" => Ok(Trigger::Graph),
        _ => {
            let period = text.strip_prefix("duration:").and_then(duration);
            let period =
                period.filter(|millis| *millis > 0).and_then(|millis| millis.try_into().ok());
            period.map(|millis: u64| Trigger::Period(millis.max(MIN_PERIOD))).ok_or_else(expected)
        }
    }
}

fn action(text: &str) -> Result<Action, String> {
    if text.is_empty() {
        return Ok(Action::None);
    }
    if text.starts_with("file://") {
        return Err("Action: this agent runs no programs: take http://ADDRESS".to_owned());
    }
    if text.starts_with("https://") {
        return Err("Action: there is no TLS here: take http://ADDRESS of a proxy".to_owned());
    }
    let bad = || format!("Action: http://ADDRESS[:PORT]/PATH is expected, not {text}");
    let rest = text.strip_prefix("http://").ok_or_else(bad)?;
    // It goes into the head of a request.
    if !rest.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(bad());
    }
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(at).ok_or_else(bad)?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let named = "Action: name the server by its address: this agent never looks names up";
    let address = socket_address(host).ok_or_else(|| named.to_owned())?;
    Ok(Action::Post { address, host: host.to_owned(), path })
}

/// `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`, `localhost` for 127.0.0.1.
fn socket_address(host: &str) -> Option<SocketAddr> {
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(host).parse::<IpAddr>() {
        return Some(SocketAddr::new(address, 80));
    }
    let port = match host.strip_prefix("localhost")? {
        "" => 80,
        port => port.strip_prefix(':')?.parse().ok()?,
    };
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(json: &serde_json::Value) -> Result<Alert, String> {
        Alert::parse(&Members::of(json).unwrap())
    }

    #[test]
    fn actions_name_a_server_by_its_address() {
        for (text, address, path) in [
            ("http://127.0.0.1:8080/x?y", "127.0.0.1:8080", "/x?y"),
            ("http://[::1]:81", "[::1]:81", "/"),
            ("http://[::1]/", "[::1]:80", "/"),
            ("http://10.0.0.1?a", "10.0.0.1:80", "/?a"),
            ("http://localhost:9/", "127.0.0.1:9", "/"),
        ] {
            let parsed = action(text).unwrap();
            let Action::Post { address: parsed, path: parsed_path, .. } = parsed else {
                panic!("{text}")
            };
            assert_eq!((parsed.to_string().as_str(), parsed_path.as_str()), (address, path));
        }
        for wrong in ["ftp://x", "http://", "http://example.org/", "file:///bin/sh", "https://1.1"]
        {
            assert!(action(wrong).is_err(), "{wrong}");
        }
        assert!(action("http://127.0.0.1/ HTTP/1.1\r\nX: y").is_err());
    }

    #[test]
    fn alerts_are_shown_with_action_and_trigger_whatever_they_are() {
        let alert = parse(&json!({"Expression": "G.V()", "Trigger": "duration:30s"})).unwrap();
        assert_eq!(alert.trigger, Trigger::Period(30_000));
        let mut out = Vec::new();
        alert.members().write(&mut out);
        assert_eq!(out, br#"{"Action":"","Expression":"G.V()","Trigger":"duration:30s"}"#);
        let empty = parse(&json!({"Expression": ""})).unwrap_err();
        assert_eq!(empty, "Expression: zero value");
        assert!(parse(&json!({"Expression": "function() {}"})).is_err());
        let often = parse(&json!({"Expression": "G", "Trigger": "duration:500ms"})).unwrap();
        assert_eq!(often.trigger, Trigger::Period(1_000));
        for wrong in ["duration:", "duration:0s", "duration:-1s", "duration:1", "never"] {
            assert!(parse(&json!({"Expression": "G", "Trigger": wrong})).is_err(), "{wrong}");
        }
    }
}
