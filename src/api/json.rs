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

/// Spreads compact JSON over lines with four blanks for each level, as it passes by in pieces.
/// A newline between values starts over.
#[derive(Clone, Copy, Debug, Default)]
pub struct Indent {
    depth: usize,
    /// The last thing was an opening bracket: what follows decides whether a line follows.
    opened: bool,
    string: bool,
    escape: bool,
}

impl Indent {
    /// Appends the next piece.
    pub fn write(&mut self, out: &mut Vec<u8>, compact: &[u8]) {
        for byte in compact {
            self.byte(out, *byte);
        }
    }

    fn byte(&mut self, out: &mut Vec<u8>, byte: u8) {
        if self.string {
            let escaped = std::mem::replace(&mut self.escape, false);
            self.escape = byte == b'\\' && !escaped;
            self.string = byte != b'"' || escaped;
            return out.push(byte);
        }
        match byte {
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if !std::mem::take(&mut self.opened) {
                    self.line(out);
                }
                return out.push(byte);
            }
            _ if std::mem::take(&mut self.opened) => self.line(out),
            _ => {}
        }
        out.push(byte);
        match byte {
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.opened = true;
            }
            b',' => self.line(out),
            b':' => out.push(b' '),
            b'"' => self.string = true,
            b'\n' => *self = Self::default(),
            _ => {}
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', self.depth.saturating_mul(4)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indented_text_is_the_same_however_it_is_cut() {
        let compact = br#"{"code":100,"data":{"a":[],"b":[1,{}],"c":"x:\"{,[\\"},"message":"Ok."}"#;
        let expected = r#"{
    "code": 100,
    "data": {
        "a": [],
        "b": [
            1,
            {}
        ],
        "c": "x:\"{,[\\"
    },
    "message": "Ok."
}"#;
        for cut in 0..compact.len() {
            let (mut indent, mut out) = (Indent::default(), Vec::new());
            indent.write(&mut out, &compact[..cut]);
            indent.write(&mut out, &compact[cut..]);
            assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        }
    }
}
