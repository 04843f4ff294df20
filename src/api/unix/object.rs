//! Finds where JSON objects end in a stream of bytes (RFC 8259). The scanner looks at each byte
//! once, however the stream is cut, and checks the grammar on the way, so that what is malformed
//! is known at the byte that makes it so and not when the stream ends.

use std::fmt;

/// How deep objects and arrays may nest.
pub const MAX_DEPTH: u8 = 32;

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// The beginning of an object, or nothing.
    Part,
    /// An object that is this many bytes long.
    Object(usize),
    /// No object: the byte at this place cannot stand there.
    Bad(usize, Fault),
}

/// What is wrong with a byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It opens one level more than [`MAX_DEPTH`].
    Depth,
    /// Something else has to stand there.
    Syntax,
    /// The outermost value is no object.
    Type,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "nested too deep",
            Self::Syntax => "unexpected character",
            Self::Type => "not an object",
        })
    }
}

/// Where in an object the scanner stands.
#[derive(Debug, Default)]
pub struct Scanner {
    at: usize,
    state: State,
    /// One bit per open level, the innermost lowest: set for an object, clear for an array.
    objects: u32,
    depth: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Start,
    /// After `{`.
    FirstKey,
    /// After a comma in an object.
    Key,
    Colon,
    Value,
    /// After `[`.
    FirstValue,
    /// After a value.
    Next,
    String {
        key: bool,
    },
    Escape {
        key: bool,
    },
    /// That many hexadecimal digits are still to come.
    Unicode {
        key: bool,
        left: u8,
    },
    Number(Number),
    /// The rest of `true`, `false` or `null`.
    Literal(&'static [u8]),
}

/// What of a number was read last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Number {
    Minus,
    Zero,
    Digits,
    Dot,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Scanner {
    /// Looks at what is new in `bytes`, which begins where the object begins and was only
    /// extended since the last call. After anything but [`Found::Part`] the scanner is as new.
    pub fn scan(&mut self, bytes: &[u8]) -> Found {
        while let Some(byte) = bytes.get(self.at) {
            match self.step(*byte) {
                Ok(()) => self.at = self.at.saturating_add(1),
                Err(fault) => return Found::Bad(std::mem::take(self).at, fault),
            }
            if self.depth == 0 && self.state == State::Next {
                return Found::Object(std::mem::take(self).at);
            }
        }
        Found::Part
    }

    /// Whether no byte of an object was seen yet.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.at == 0
    }

    fn step(&mut self, byte: u8) -> Result<(), Fault> {
        self.state = match (self.state, byte) {
            (State::String { key }, b'"') => self.after_string(key),
            (State::String { key }, b'\\') => State::Escape { key },
            (State::String { .. }, 0..=0x1f) => return Err(Fault::Syntax),
            (State::String { .. }, _) => return Ok(()),
            (State::Escape { key }, b'u') => State::Unicode { key, left: 4 },
            (State::Escape { key }, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                State::String { key }
            }
            (State::Unicode { key, left }, _) if byte.is_ascii_hexdigit() => match left {
                0 | 1 => State::String { key },
                _ => State::Unicode { key, left: left.saturating_sub(1) },
            },
            (State::Literal(rest), _) => match rest.split_first() {
                Some((first, [])) if *first == byte => State::Next,
                Some((first, rest)) if *first == byte => State::Literal(rest),
                _ => return Err(Fault::Syntax),
            },
            (State::Number(number), _) => match number.then(byte) {
                Some(number) => State::Number(number),
                None if number.may_end() => {
                    self.state = State::Next;
                    return self.step(byte);
                }
                None => return Err(Fault::Syntax),
            },
            (State::Start, b'{') => self.open(true)?,
            (State::Start, _) => return Err(Fault::Type),
            (_, b' ' | b'\t' | b'\r' | b'\n') if !self.in_token() => return Ok(()),
            (State::FirstKey | State::Key, b'"') => State::String { key: true },
            (State::FirstKey, b'}') | (State::FirstValue, b']') => self.close(byte)?,
            (State::Colon, b':') => State::Value,
            (State::Value | State::FirstValue, _) => self.value(byte)?,
            (State::Next, b',') => {
                if self.objects & 1 == 1 {
                    State::Key
                } else {
                    State::Value
                }
            }
            (State::Next, b'}' | b']') => self.close(byte)?,
            _ => return Err(Fault::Syntax),
        };
        Ok(())
    }

    const fn in_token(&self) -> bool {
        matches!(self.state, State::Escape { .. } | State::Unicode { .. })
    }

    fn value(&mut self, byte: u8) -> Result<State, Fault> {
        Ok(match byte {
            b'{' => self.open(true)?,
            b'[' => self.open(false)?,
            b'"' => State::String { key: false },
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Digits),
            b't' => State::Literal(b"rue"),
            b'f' => State::Literal(b"alse"),
            b'n' => State::Literal(b"ull"),
            _ => return Err(Fault::Syntax),
        })
    }

    fn open(&mut self, object: bool) -> Result<State, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::Depth);
        }
        self.depth = self.depth.saturating_add(1);
        self.objects = (self.objects << 1) | u32::from(object);
        Ok(if object { State::FirstKey } else { State::FirstValue })
    }

    fn close(&mut self, byte: u8) -> Result<State, Fault> {
        if (byte == b'}') != (self.objects & 1 == 1) {
            return Err(Fault::Syntax);
        }
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        Ok(State::Next)
    }

    const fn after_string(&self, key: bool) -> State {
        if key { State::Colon } else { State::Next }
    }
}

impl Number {
    const fn then(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Digits, b'0'..=b'9') => Self::Digits,
            (Self::Zero | Self::Digits, b'.') => Self::Dot,
            (Self::Dot | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Digits | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => {
                Self::ExponentDigits
            }
            _ => return None,
        })
    }

    const fn may_end(self) -> bool {
        matches!(self, Self::Zero | Self::Digits | Self::Fraction | Self::ExponentDigits)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn scan(text: &str) -> Found {
        Scanner::default().scan(text.as_bytes())
    }

    #[test]
    fn an_object_ends_at_its_own_brace() {
        assert_eq!(scan(r#"{}{"#), Found::Object(2));
        for text in [
            "{\n \"a\" : [ ] , \"b\":{\"c\":\"}\\\"\"} }",
            r#"{"a":-0.5e+3,"b":[1,true,null,"é\u00e9"]}"#,
        ] {
            assert_eq!(scan(&format!("{text}{{")), Found::Object(text.len()), "{text}");
        }
        assert_eq!(scan(r#"{"a":"#), Found::Part);
        assert_eq!(scan(""), Found::Part);
    }

    #[test]
    fn the_first_byte_that_cannot_stand_there_is_named() {
        for (text, at) in [
            (r#"{"a":foo}"#, 6),
            (r#"{"a" 1}"#, 5),
            (r#"{"a":1,}"#, 7),
            (r#"{,}"#, 1),
            (r#"{"a":[1,]}"#, 8),
            (r#"{"a":[}"#, 6),
            (r#"{"a":1]"#, 6),
            (r#"{"a":01}"#, 6),
            (r#"{"a":1.}"#, 7),
            (r#"{"a":- 1}"#, 6),
            (r#"{"a":"\x"}"#, 7),
            (r#"{"a":"\u12 4"}"#, 10),
            ("{\"a\":\"\n\"}", 6),
            ("{\"a\":1\0}", 6),
            ("{\"a\":\u{feff}1}", 5),
            (r#"{'a':1}"#, 1),
        ] {
            assert_eq!(scan(text), Found::Bad(at, Fault::Syntax), "{text}");
        }
        for text in ["[]", "42", "\"x\"", "\u{feff}{}", "\0", "}"] {
            assert_eq!(scan(text), Found::Bad(0, Fault::Type), "{text:?}");
        }
    }

    #[test]
    fn nesting_ends_at_the_cap() {
        let nested = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(matches!(scan(&nested(31)), Found::Object(_)));
        assert_eq!(scan(&nested(32)), Found::Bad(5 + 31, Fault::Depth));
        assert_eq!(scan(&nested(100_000)), Found::Bad(5 + 31, Fault::Depth));
    }

    fn any_text() -> impl Strategy<Value = String> {
        prop_oneof![
            r#"\{("a"|"b\\\\"|,|:|\[|\]|\{|\}|1|0|-|\.|e|true|null| |\\n){0,12}\}?"#,
            r#"\{"a":("[a\\\\u0-9"]{0,6}"|[-0-9.eE+]{1,6}|\[1,2\])\}"#,
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_an_object_for_serde_is_one_here(text in any_text()) {
            if let Found::Object(length) = scan(&text) {
                // Lone surrogates and numbers out of range are left to the reader of values.
                let known = serde_json::from_str::<Value>(&text[..length]);
                let excused = text.contains("\\u") || text.contains(['e', 'E']);
                prop_assert!(known.is_ok() || excused, "{:?}", known);
            }
            if serde_json::from_str::<Value>(&text).is_ok_and(|v| v.is_object()) {
                prop_assert_eq!(scan(&text), Found::Object(text.trim_end().len()));
            }
        }

        #[test]
        fn cuts_change_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in any_text()) {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let whole = Scanner::default().scan(bytes);
                let mut scanner = Scanner::default();
                let mut found = Found::Part;
                for end in 0..=bytes.len() {
                    found = scanner.scan(&bytes[..end]);
                    if found != Found::Part {
                        break;
                    }
                }
                prop_assert_eq!(found, whole);
            }
        }
    }
}
