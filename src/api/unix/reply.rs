//! What the Unix socket says: the one table from failures of the command layer to its codes and
//! texts, and the shape of an answer.

use std::borrow::Cow;

use crate::api::json;
use crate::core::command::{Entry, Failure, TABLE, Verb};
use crate::core::row::{Row, Value};
use crate::query;
use crate::wire;

/// Done.
pub const DONE: u16 = 100;
/// Understood but refused.
pub const REFUSED: u16 = 500;
/// Not parseable, or of invalid content.
pub const INVALID: u16 = 501;
/// Known, but not by this agent.
pub const UNIMPLEMENTED: u16 = 502;
/// Larger than a request may be; the connection ends.
pub const TOO_LARGE: u16 = 503;
/// Too many clients; the connection ends. Said by whoever accepts connections.
pub const TOO_MANY: u16 = 504;
/// A table or list is full.
pub const LIMIT: u16 = 505;

/// A refusal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub code: u16,
    pub message: Cow<'static, str>,
    /// What the system said.
    pub reason: Option<String>,
}

impl Refusal {
    pub(super) fn new(code: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), reason: None }
    }

    /// How a failure of a command is told.
    pub(super) fn of(verb: Verb, failure: Failure) -> Self {
        let refused = |message: &'static str| Self::new(REFUSED, message);
        match failure {
            Failure::BadArgument { name: "data", .. } => refused("Invalid data."),
            Failure::BadArgument { name: "group", .. } => refused("No group specified."),
            Failure::BadArgument { name, expected } => {
                Self::new(INVALID, format!("invalid {name}: expected {expected}"))
            }
            Failure::Configuration(reason) | Failure::Invalid(reason) => Self::new(REFUSED, reason),
            Failure::Duplicate => refused("Duplicated resource."),
            Failure::Denied => refused("Permission denied."),
            Failure::Expression(text) => Self::new(INVALID, text),
            Failure::GroupName => refused("Invalid group name."),
            Failure::GroupNotFound => refused("Group not found."),
            Failure::Limit => Self::limit(),
            Failure::NotFound => refused("Not found."),
            Failure::Query(error) => Self::query(&error),
            Failure::NothingSaved => refused("No group filename assigned."),
            Failure::Storage(reason) => {
                let message = match verb {
                    Verb::GroupLoad => "Error loading group address(es).",
                    _ => "Error saving group address(es).",
                };
                Self { reason: Some(reason), ..refused(message) }
            }
            Failure::Unknown => Self::new(UNIMPLEMENTED, "Unimplemented."),
        }
    }

    /// How a query without an answer is told.
    pub(super) fn query(error: &query::Error) -> Self {
        let code = match error.kind {
            query::Kind::Budget => LIMIT,
            query::Kind::Execution => REFUSED,
            query::Kind::Syntax => INVALID,
        };
        Self::new(code, error.to_string())
    }

    pub(super) fn limit() -> Self {
        Self::new(LIMIT, "Limit reached.")
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let data = self.reason.clone().map(|reason| Row::new().with("reason", reason));
        object(out, self.code, &data.unwrap_or_default(), &self.message);
    }
}

/// What is said of a command that was carried out.
pub(super) const fn message(verb: Verb) -> &'static str {
    match verb {
        Verb::GroupLoad => "Loaded group address(es).",
        Verb::GroupSave => "Saved group address(es).",
        Verb::Restart => "Bye, bye.",
        _ => "Ok.",
    }
}

/// What the rows of an answer are called.
#[must_use]
pub const fn rows(verb: Verb, of_group: bool) -> &'static str {
    match verb {
        Verb::Apps => "apps",
        Verb::Devices => "devices",
        Verb::Flow | Verb::Flows => "flows",
        Verb::GroupList if of_group => "addresses",
        Verb::GroupList => "groups",
        Verb::GroupMembers => "members",
        Verb::Interfaces => "interfaces",
        Verb::Neighbours => "neighbours",
        Verb::Settings => "settings",
        Verb::Top => "top",
        _ => "rows",
    }
}

/// Appends a whole answer.
pub(super) fn object(out: &mut Vec<u8>, code: u16, data: &Row, message: &str) {
    begin(out, code);
    if data.iter().next().is_some() {
        out.extend_from_slice(b",\"data\":");
        json::row(out, data);
    }
    end(out, message);
}

pub(super) fn begin(out: &mut Vec<u8>, code: u16) {
    out.extend_from_slice(b"{\"code\":");
    wire::json::unsigned(out, code.into());
}

pub(super) fn end(out: &mut Vec<u8>, message: &str) {
    out.extend_from_slice(b",\"message\":");
    wire::json::string(out, message);
    out.extend_from_slice(b"}\n");
}

/// The commands of this interface.
pub(super) fn help() -> Row {
    let row = |entry: &Entry| {
        let (name, aliases) = entry.unix.split_first()?;
        let mut row = Row::new().with("command", *name);
        if !aliases.is_empty() {
            row.push("aliases", aliases.to_vec());
        }
        Some(Value::from(row.with("args", entry.args).with("help", entry.help)))
    };
    let commands: Vec<Value> = TABLE.iter().filter_map(row).collect();
    Row::new().with("commands", commands)
}
