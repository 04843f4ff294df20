//! Rows as JSON: the one writer behind every front-end that speaks JSON.

use crate::core::row::{Row, Value};
use crate::wire::{json, mac};

/// Appends a row as a JSON object.
pub fn row(out: &mut Vec<u8>, row: &Row) {
    out.push(b'{');
    members(out, row, true);
    out.push(b'}');
}

/// Appends the members of a row, with a comma before the first one unless `first`.
pub fn members(out: &mut Vec<u8>, row: &Row, mut first: bool) {
    for (name, value) in row.iter() {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        json::string(out, name);
        out.push(b':');
        self::value(out, value);
    }
}

/// Appends a value.
pub fn value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Unsigned(value) => json::unsigned(out, *value),
        Value::Signed(value) => json::signed(out, *value),
        Value::Float(value) => json::float(out, *value),
        Value::Text(text) => json::string(out, text),
        Value::Mac(mac) => json::string(out, &mac::text(*mac)),
        Value::List(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                self::value(out, value);
            }
            out.push(b']');
        }
        Value::Row(inner) => row(out, inner),
    }
}
