//! Requests on the Unix socket as members and values. Only what a command can use is kept:
//! texts, numbers, booleans, and lists of texts; the inside of anything else is passed over.

use std::fmt;

use serde_core::de::{
    Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// Members that a request may have.
pub(super) const MAX_MEMBERS: usize = 256;

/// Entries that a list may have; more are counted as too many, not kept.
pub(super) const MAX_LIST: usize = 65_536;

/// A request: its members in order, each name once.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub members: Vec<(String, Value)>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    /// Entries that are no text are `None`.
    List(Vec<Option<String>>),
    Null,
    Number(String),
    Object,
    Text(String),
    /// A list with more than [`MAX_LIST`] entries.
    TooLong,
}

impl Request {
    /// Reads one object.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.members.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    pub(super) fn is_pretty(&self) -> bool {
        self.get("pretty") == Some(&Value::Bool(true))
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Request;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
        let mut request = Request::default();
        while let Some(name) = map.next_key::<String>()? {
            if request.get(&name).is_some() {
                return Err(A::Error::custom("repeated member"));
            }
            if request.members.len() >= MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            request.members.push((name, map.next_value()?));
        }
        Ok(request)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // As the library writes it, but 1e3 as 1000: `Display` of floats would bring six kilobytes.
        let whole = value as i64;
        let text = if whole as f64 == value {
            whole.to_string()
        } else {
            serde_json::to_string(&value).unwrap_or_default()
        };
        Ok(Value::Number(text))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(Entry(entry)) = list.next_element()? {
            if entries.len() >= MAX_LIST {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Value::TooLong);
            }
            entries.push(entry);
        }
        Ok(Value::List(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Object)
    }
}

/// An entry of a list, if it is a text.
struct Entry(Option<String>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyEntry)
    }
}

struct AnyEntry;

impl<'de> Visitor<'de> for AnyEntry {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_str<E>(self, value: &str) -> Result<Entry, E> {
        Ok(Entry(Some(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Entry, E> {
        Ok(Entry(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Entry(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entry, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Entry(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: impl AsRef<[u8]>) -> String {
        Request::parse(text.as_ref()).unwrap_err().to_string()
    }

    #[test]
    fn values_are_kept_as_far_as_commands_use_them() {
        let text = r#"{"t":"a\u00e9","n":-1,"f":1.5,"e":1e3,"b":true,"z":null,"o":{"x":{"x":1}},
            "l":["a",1,null,["b"],{"c":"d"},false,1.5,-1,"e"]}"#;
        let request = Request::parse(text.as_bytes()).unwrap();
        assert_eq!(request.get("t"), Some(&Value::Text("aé".into())));
        assert_eq!(request.get("n"), Some(&Value::Number("-1".into())));
        assert_eq!(request.get("f"), Some(&Value::Number("1.5".into())));
        assert_eq!(request.get("e"), Some(&Value::Number("1000".into())));
        assert_eq!(request.get("o"), Some(&Value::Object));
        let Some(Value::List(list)) = request.get("l") else { panic!("{request:?}") };
        let texts: Vec<&str> = list.iter().flatten().map(String::as_str).collect();
        assert_eq!((list.len(), texts), (9, Vec::from(["a", "e"])));
    }

    #[test]
    fn what_would_be_guessed_at_is_refused() {
        assert!(refused(r#"{"a":1,"b":2,"a":1}"#).contains("repeated member"));
        assert!(!refused(r#"{"a":"\ud800"}"#).is_empty());
        assert!(!refused(r#"{"\udc00":1}"#).is_empty());
        assert!(refused(r#"{"a":1e999}"#).contains("out of range"));
        assert!(!refused(b"{\"a\":\"\xff\"}").is_empty());
        assert!(!refused(b"{\"a\":\"\xed\xa0\x80\"}").is_empty());
        let many: Vec<String> = (0..=MAX_MEMBERS).map(|n| format!("\"{n}\":0")).collect();
        assert!(refused(format!("{{{}}}", many.join(","))).contains("too many members"));
    }

    #[test]
    fn a_list_that_is_too_long_is_not_kept() {
        let list = |n: usize| format!("{{\"l\":[{}0]}}", "0,".repeat(n - 1));
        let parse = |n| Request::parse(list(n).as_bytes()).unwrap().members.remove(0).1;
        assert!(matches!(parse(MAX_LIST), Value::List(_)));
        assert_eq!(parse(MAX_LIST + 1), Value::TooLong);
    }
}
