//! Records of flows and events as the Unix socket's clients know them: one JSON object each,
//! told apart by `type`.

use crate::api::json;
use crate::core::bus::Event;
use crate::core::row::Row;
use crate::flow::record::Record;
use crate::topology::links::Change;
use crate::wire;

/// Why a flow is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// It ended; the record says why.
    Ended,
    /// It was there when the client subscribed.
    Established,
    /// It was asked for.
    Listed,
    /// It began.
    Started,
}

/// Appends a flow as one object.
pub fn flow(out: &mut Vec<u8>, record: &Record, form: Form) {
    let Record {} = record;
    let text: &[u8] = match form {
        Form::Ended => b"{\"type\":\"flow_purge\",\"reason\":\"\",\"flow\":{}}",
        Form::Established => b"{\"type\":\"flow\",\"established\":true,\"flow\":{}}",
        Form::Listed => b"{}",
        Form::Started => b"{\"type\":\"flow\",\"established\":false,\"flow\":{}}",
    };
    out.extend_from_slice(text);
}

/// Appends an event as one object.
pub fn event(out: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Alert { kind, count } => {
            let row = Row::new().with("type", "alert").with("kind", *kind).with("count", *count);
            json::row(out, &row);
        }
        Event::FlowEnded(record) => flow(out, record, Form::Ended),
        Event::FlowStarted(record) => flow(out, record, Form::Started),
        Event::Link(change) => self::change(out, change),
        Event::Test(text) => {
            out.extend_from_slice(b"{\"type\":\"test\",\"test\":");
            wire::json::string(out, text);
            out.push(b'}');
        }
    }
}

/// Appends a change of an interface or neighbour as one object.
pub fn change(out: &mut Vec<u8>, change: &Change) {
    let kind = if change.is_neighbour() { "neighbour" } else { "link" };
    json::row(out, &Row::new().with("type", kind));
}
