//! What every WebSocket message is wrapped in: namespace, type, identity, status and the thing
//! itself, as JSON or as the protobuf message `StructMessage` around JSON.

use crate::capture::protobuf::{self, Format};
use crate::wire::json;

/// What a message is wrapped in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Envelope<'a> {
    /// What it is about: `Graph`, `flow`, …
    pub namespace: &'a str,
    /// What happened.
    pub kind: &'a str,
    /// Of the message; an answer repeats that of the request.
    pub uuid: &'a str,
    /// An HTTP status.
    pub status: u16,
}

impl Envelope<'_> {
    /// Appends the whole message; `object` is JSON.
    pub fn write(&self, out: &mut Vec<u8>, protobuf: bool, object: &[u8]) {
        if protobuf {
            return self.write_protobuf(out, Format::Json, object);
        }
        self.open(out);
        out.extend_from_slice(object);
        out.push(b'}');
    }

    /// Appends the whole message as protobuf around a body of that format.
    pub fn write_protobuf(&self, out: &mut Vec<u8>, format: Format, body: &[u8]) {
        let Self { namespace, kind, uuid, status } = *self;
        protobuf::Envelope { namespace, kind, uuid, status: status.into(), format, body }
            .write(out);
    }

    /// Appends what comes before the object in JSON; a closing brace comes after it.
    pub fn open(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"Namespace\":");
        json::string(out, self.namespace);
        out.extend_from_slice(b",\"Type\":");
        json::string(out, self.kind);
        out.extend_from_slice(b",\"UUID\":");
        json::string(out, self.uuid);
        out.extend_from_slice(b",\"Status\":");
        json::unsigned(out, self.status.into());
        out.extend_from_slice(b",\"Obj\":");
    }
}

/// A message of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// What it is about.
    pub namespace: String,
    /// What to do.
    pub kind: String,
    /// To be repeated in the answer.
    pub uuid: String,
    /// What to do it with.
    pub object: serde_json::Value,
}

impl Letter {
    /// Reads a message; `None` if it is none.
    #[must_use]
    pub fn parse(bytes: &[u8], protobuf: bool) -> Option<Self> {
        if protobuf { Self::of_protobuf(bytes) } else { Self::of_json(bytes) }
    }

    fn of_json(bytes: &[u8]) -> Option<Self> {
        let mut members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).ok()?;
        let mut take = |name: &str| members.remove(name).unwrap_or_default();
        let text = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        Some(Self {
            namespace: text(take("Namespace")),
            kind: text(take("Type")),
            uuid: text(take("UUID")),
            object: take("Obj"),
        })
    }

    fn of_protobuf(bytes: &[u8]) -> Option<Self> {
        let envelope = protobuf::Envelope::parse(bytes).ok()?;
        let object = match (envelope.format, envelope.body) {
            (Format::Protobuf, _) => return None,
            (Format::Json, []) => serde_json::Value::Null,
            (Format::Json, body) => serde_json::from_slice(body).ok()?,
        };
        Some(Self {
            namespace: envelope.namespace.to_owned(),
            kind: envelope.kind.to_owned(),
            uuid: envelope.uuid.to_owned(),
            object,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: Envelope<'_> =
        Envelope { namespace: "Graph", kind: "SyncReply", uuid: "u\"1", status: 200 };

    #[test]
    fn what_is_wrapped_is_found_again_in_both_forms() {
        let object = format!("[{}1]", "1,".repeat(200));
        for protobuf in [false, true] {
            let mut out = Vec::new();
            ENVELOPE.write(&mut out, protobuf, object.as_bytes());
            let letter = Letter::parse(&out, protobuf).unwrap();
            assert_eq!((&*letter.namespace, &*letter.kind), ("Graph", "SyncReply"));
            assert_eq!((&*letter.uuid, letter.object.as_array().unwrap().len()), ("u\"1", 201));
            for cut in 1..out.len() {
                let _ = Letter::parse(&out[..cut], protobuf);
                if !protobuf {
                    assert!(Letter::parse(&out[..cut], protobuf).is_none());
                }
            }
        }
    }

    #[test]
    fn protobuf_is_as_its_compiler_writes_it() {
        let mut out = Vec::new();
        let envelope = Envelope { namespace: "a", kind: "b", uuid: "", status: 200 };
        envelope.write(&mut out, true, b"{}");
        assert_eq!(out, b"\x0a\x01a\x12\x01b\x20\xc8\x01\x32\x02{}");
        assert!(Letter::parse(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", true).is_none());
        assert!(Letter::parse(b"\x0a\x05ab", true).is_none());
        assert!(Letter::parse(b"\x0b", true).is_none());
    }

    #[test]
    fn members_may_be_left_out() {
        let letter =
            Letter::parse(br#"{"Namespace":"Graph","Type":"SyncRequest"}"#, false).unwrap();
        assert_eq!((&*letter.uuid, letter.object), ("", serde_json::Value::Null));
        assert!(Letter::parse(b"[]", false).is_none());
    }
}
