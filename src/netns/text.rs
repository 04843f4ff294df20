//! Pieces of JSON documents.

use crate::wire::json;

/// Appends the separator between members, unless this is the first one.
pub(super) fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'[' | b'{' | b',')) {
        out.push(b',');
    }
}

/// Appends the name of a member.
pub(super) fn key(out: &mut Vec<u8>, name: &str) {
    comma(out);
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// Appends a member that is a text.
pub(super) fn text(out: &mut Vec<u8>, name: &str, value: &str) {
    key(out, name);
    json::string(out, value);
}

/// Appends a member that is a number.
pub(super) fn number(out: &mut Vec<u8>, name: &str, value: impl Into<u64>) {
    key(out, name);
    json::unsigned(out, value.into());
}

/// Appends a member that may be negative.
pub(super) fn signed(out: &mut Vec<u8>, name: &str, value: i32) {
    key(out, name);
    json::signed(out, value.into());
}

/// Appends a member that is true or false.
pub(super) fn flag(out: &mut Vec<u8>, name: &str, value: bool) {
    key(out, name);
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Appends a member that is a list of texts.
pub(super) fn texts<'a>(out: &mut Vec<u8>, name: &str, values: impl IntoIterator<Item = &'a str>) {
    key(out, name);
    out.push(b'[');
    for value in values {
        comma(out);
        json::string(out, value);
    }
    out.push(b']');
}
