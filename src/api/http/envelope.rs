//! What every WebSocket message is wrapped in: namespace, type, identity, status and the thing
//! itself, as JSON or as the protobuf message `StructMessage` around JSON.

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
        self.open(out, protobuf, object.len());
        out.extend_from_slice(object);
        self.close(out, protobuf);
    }

    /// Appends what comes before an object of so many octets.
    pub fn open(&self, out: &mut Vec<u8>, protobuf: bool, length: usize) {
        if protobuf {
            field(out, 1, self.namespace.as_bytes());
            field(out, 2, self.kind.as_bytes());
            field(out, 3, self.uuid.as_bytes());
            out.push(4 << 3);
            varint(out, self.status.into());
            // Field 5 is the format of the object: 0, which is JSON, goes without saying.
            out.push(6 << 3 | LENGTH);
            return varint(out, length as u64);
        }
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

    /// Appends what comes after the object.
    pub fn close(&self, out: &mut Vec<u8>, protobuf: bool) {
        if !protobuf {
            out.push(b'}');
        }
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

    fn of_protobuf(mut bytes: &[u8]) -> Option<Self> {
        let mut letter = Self {
            namespace: String::new(),
            kind: String::new(),
            uuid: String::new(),
            object: serde_json::Value::Null,
        };
        while !bytes.is_empty() {
            let key = take_varint(&mut bytes)?;
            let value = match u8::try_from(key & 7).ok()? {
                0 => {
                    take_varint(&mut bytes)?;
                    continue;
                }
                1 => take(&mut bytes, 8)?,
                LENGTH => {
                    let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                    take(&mut bytes, length)?
                }
                5 => take(&mut bytes, 4)?,
                _ => return None,
            };
            let text = || std::str::from_utf8(value).ok().map(str::to_owned);
            match key >> 3 {
                1 => letter.namespace = text()?,
                2 => letter.kind = text()?,
                3 => letter.uuid = text()?,
                6 if !value.is_empty() => letter.object = serde_json::from_slice(value).ok()?,
                _ => {}
            }
        }
        Some(letter)
    }
}

/// The wire type of what has a length before it.
const LENGTH: u8 = 2;

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push(number << 3 | LENGTH);
        varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // The low seven bits, and the sign that more follow.
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(head)
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
