//! Replies: one flat JSON object and a line end per datagram, `_tag` and `_type` first, at most
//! [`MAX_REPLY`] octets because the known clients read into a buffer of that size.

use crate::core::row::{Row, Value};
use crate::wire::json;

/// Octets of a reply, line end included.
pub const MAX_REPLY: usize = 1_024;

/// Lengths to which texts are cut, one after the other, until a reply fits.
const CUTS: [usize; 6] = [512, 255, 128, 64, 24, 8];

/// One datagram: `kind` is its `_type`, `row` the rest of its members. Texts that would not fit
/// are shortened, and the reply then says `cut`:1.
pub fn write(out: &mut Vec<u8>, tag: &str, kind: &str, row: &Row) {
    attempt(out, tag, kind, row, None);
    for most in CUTS {
        if out.len() <= MAX_REPLY {
            return;
        }
        attempt(out, tag, kind, row, Some(most));
    }
}

fn attempt(out: &mut Vec<u8>, tag: &str, kind: &str, row: &Row, most: Option<usize>) {
    out.clear();
    out.extend_from_slice(b"{\"_tag\":");
    json::string(out, tag);
    out.extend_from_slice(b",\"_type\":");
    json::string(out, kind);
    for (name, value) in row.iter() {
        let start = out.len();
        out.push(b',');
        json::string(out, name);
        out.push(b':');
        if !flat(out, value, most) {
            out.truncate(start);
        }
    }
    if most.is_some() {
        out.extend_from_slice(b",\"cut\":1");
    }
    out.extend_from_slice(b"}\n");
}

/// Appends a value as the protocol has it: no booleans, no lists, no objects. `false` if it
/// cannot be said.
fn flat(out: &mut Vec<u8>, value: &Value, most: Option<usize>) -> bool {
    match value {
        Value::Bool(value) => json::unsigned(out, u64::from(*value)),
        Value::Unsigned(value) => json::unsigned(out, *value),
        Value::Signed(value) => json::signed(out, *value),
        Value::Float(value) => json::float(out, *value),
        Value::Text(text) => json::string(out, shorten(text, most)),
        Value::Mac(mac) => json::string(out, &crate::wire::mac::text(*mac).to_ascii_uppercase()),
        Value::List(values) => {
            let words: Vec<&str> = values.iter().filter_map(Value::as_text).collect();
            json::string(out, shorten(&words.join(" "), most));
        }
        Value::Row(_) => return false,
    }
    true
}

fn shorten(text: &str, most: Option<usize>) -> &str {
    let Some(most) = most.filter(|most| text.len() > *most) else { return text };
    // The longest part that ends between two characters.
    (0..=most).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tag: &str, row: &Row) -> String {
        let mut out = Vec::new();
        write(&mut out, tag, "row", row);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn tag_and_type_come_first_and_values_are_flat() {
        let row = Row::new()
            .with("up", true)
            .with("n", 7_u32)
            .with("list", vec!["a", "b"])
            .with("inner", Row::new().with("x", 1_u8))
            .with("mac", Value::Mac([2, 0, 0, 0, 0xab, 1]));
        assert_eq!(
            written("1", &row),
            "{\"_tag\":\"1\",\"_type\":\"row\",\"up\":1,\"n\":7,\"list\":\"a b\",\"mac\":\"02:00:00:00:AB:01\"}\n"
        );
    }

    #[test]
    fn long_texts_are_cut_until_the_reply_fits_and_it_says_so() {
        for text in ["x".repeat(5_000), "\u{1}".repeat(2_000), "ü\"".repeat(900)] {
            let row = Row::new().with("a", text.clone()).with("b", text.clone()).with("c", 1_u8);
            let reply = written("tag", &row);
            assert!(reply.len() <= MAX_REPLY, "{}", reply.len());
            let parsed: serde_json::Value = serde_json::from_str(&reply).unwrap();
            assert_eq!(parsed["cut"], 1);
            assert!(text.starts_with(parsed["a"].as_str().unwrap()));
            assert_eq!(parsed["c"], 1);
        }
    }
}
