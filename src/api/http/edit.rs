//! The graph in WebSocket messages: what publishers send, and changes as subscribers get them,
//! whole or as the operations that lead from one version to the next.

use std::rc::Rc;

use serde_json::Value as Json;

use super::envelope::{Envelope, Letter};
use super::session::Opened;
use crate::capture::protobuf::Format;
use crate::core::feed::{CAPTURE, FLOW, Form, GRAPH, Item, Message, STATS};
use crate::core::publish::{EdgeDraft, Edit, NodeDraft, Patch};
use crate::core::resources::rule::{check_edge, check_node};
use crate::topology::graph::{Element, Event, Id};
use crate::topology::value::{MAX_DEPTH, Map, Value};
use crate::wire::json;

/// Octets of an id.
const MAX_ID: usize = 256;

/// Octets of a dotted path.
const MAX_PATH: usize = 1_024;

/// What a publisher asks for; `None` if it is nothing that can be done.
pub(super) fn read(letter: &Letter) -> Option<Edit> {
    let object = &letter.object;
    Some(match letter.kind.as_str() {
        "NodeAdded" | "NodeUpdated" => Edit::PutNode(node(object)?),
        "EdgeAdded" | "EdgeUpdated" => Edit::PutEdge(edge(object)?),
        "NodeDeleted" => Edit::RemoveNode(id(object, "ID")?),
        "EdgeDeleted" => Edit::RemoveEdge(id(object, "ID")?),
        "NodePartiallyUpdated" => Edit::PatchNode(id(object, "ID")?, patches(object)?),
        "EdgePartiallyUpdated" => Edit::PatchEdge(id(object, "ID")?, patches(object)?),
        "Sync" | "SyncReply" => {
            let list =
                |name: &str| object.get(name).and_then(Json::as_array).map_or(&[][..], |l| l);
            // One that is none costs the others nothing.
            let nodes = list("Nodes").iter().filter_map(node).collect();
            let edges = list("Edges").iter().filter_map(edge).collect();
            Edit::Replace(nodes, edges)
        }
        _ => return None,
    })
}

fn id(object: &Json, name: &str) -> Option<Id> {
    let id = object.get(name)?.as_str()?;
    (1..=MAX_ID).contains(&id.len()).then(|| id.into())
}

fn node(object: &Json) -> Option<NodeDraft> {
    element(object).filter(|node| check_node(&node.metadata).is_ok())
}

fn edge(object: &Json) -> Option<EdgeDraft> {
    let element = element(object).filter(|edge| check_edge(&edge.metadata).is_ok())?;
    Some(EdgeDraft { element, parent: id(object, "Parent")?, child: id(object, "Child")? })
}

fn element(object: &Json) -> Option<NodeDraft> {
    let metadata = match object.get("Metadata") {
        None | Some(Json::Null) => Map::new(),
        Some(value) => match Value::of_json(value) {
            Value::Map(map) => Map::clone(&map),
            _ => return None,
        },
    };
    let host = id(object, "Host");
    let created = object.get("CreatedAt").and_then(Json::as_i64).filter(|at| *at > 0);
    Some(NodeDraft { id: id(object, "ID")?, metadata, host, created })
}

fn patches(object: &Json) -> Option<Vec<Patch>> {
    let operations = object.get("Ops")?.as_array()?;
    let patch = |operation: &Json| {
        let path = operation.get("Key")?.as_str()?;
        let path = path.strip_prefix("Metadata.").unwrap_or(path);
        // A path makes maps on its way: it may go no deeper than values may.
        if path.len() > MAX_PATH || path.split('.').count() > MAX_DEPTH {
            return None;
        }
        match operation.get("Type")?.as_i64()? {
            1 => Some(Patch::Set(path.to_owned(), Value::of_json(operation.get("Value")?))),
            2 => Some(Patch::Delete(path.to_owned())),
            _ => None,
        }
    };
    operations.iter().map(patch).collect()
}

/// The whole message in one form.
pub(super) fn render(item: &Item, form: Form) -> Vec<u8> {
    let uuid = item.uuid.to_string();
    if let Message::Graph(event) = &item.message {
        return render_event(event, form, &uuid);
    }
    let (namespace, kind, object): (&str, &str, &[u8]) = match &item.message {
        Message::Alert(json) => ("Alert", "Alert", json),
        Message::Capture { kind, json } => (CAPTURE, kind, json),
        Message::Flows { namespace, json, .. } => (namespace, "store", json),
        Message::Stats { json, .. } => (STATS, STATS, json),
        Message::Graph(_) => (GRAPH, "", b"null"),
    };
    let mut out = Vec::with_capacity(object.len().saturating_add(128));
    let envelope = Envelope { namespace, kind, uuid: &uuid, status: 200 };
    match (form, item.message.protobuf()) {
        (Form::ProtobufBody, Some(body)) => {
            envelope.write_protobuf(&mut out, Format::Protobuf, body);
        }
        _ => envelope.write(&mut out, is_protobuf(form), object),
    }
    out
}

/// A change of the graph in one form.
pub(super) fn render_event(event: &Event, form: Form, uuid: &str) -> Vec<u8> {
    let partial = matches!(form, Form::PartialJson | Form::PartialProtobuf);
    let mut object = Vec::new();
    let kind = match event {
        Event::NodeUpdated(node, old) if partial => {
            operations(&mut object, node, old);
            "NodePartiallyUpdated"
        }
        Event::EdgeUpdated(edge, old) if partial => {
            operations(&mut object, &edge.element, &old.element);
            "EdgePartiallyUpdated"
        }
        Event::NodeAdded(node) | Event::NodeUpdated(node, _) | Event::NodeDeleted(node) => {
            node.write(&mut object);
            match event {
                Event::NodeAdded(_) => "NodeAdded",
                Event::NodeDeleted(_) => "NodeDeleted",
                _ => "NodeUpdated",
            }
        }
        Event::EdgeAdded(edge) | Event::EdgeUpdated(edge, _) | Event::EdgeDeleted(edge) => {
            edge.write(&mut object);
            match event {
                Event::EdgeAdded(_) => "EdgeAdded",
                Event::EdgeDeleted(_) => "EdgeDeleted",
                _ => "EdgeUpdated",
            }
        }
    };
    let mut out = Vec::with_capacity(object.len().saturating_add(128));
    Envelope { namespace: GRAPH, kind, uuid, status: 200 }.write(
        &mut out,
        is_protobuf(form),
        &object,
    );
    out
}

/// What a client is told of messages that it lost; the object is a list like that of flows, so
/// that clients which look no further find nothing in it.
pub(super) fn render_loss(lost: u64, of_flows: bool, protobuf: bool) -> Vec<u8> {
    let namespace = if of_flows { FLOW } else { GRAPH };
    let mut out = Vec::new();
    let envelope = Envelope { namespace, kind: "dropped", uuid: "", status: 200 };
    let object =
        format!("[]{}", if protobuf { String::new() } else { format!(",\"Count\":{lost}") });
    envelope.write(&mut out, protobuf, object.as_bytes());
    out
}

/// The form that a client gets.
pub(super) const fn form(client: &Opened) -> Form {
    match (client.protobuf, client.bodies, client.partial) {
        (false, _, false) => Form::Json,
        (false, _, true) => Form::PartialJson,
        (true, true, _) => Form::ProtobufBody,
        (true, false, false) => Form::Protobuf,
        (true, false, true) => Form::PartialProtobuf,
    }
}

const fn is_protobuf(form: Form) -> bool {
    matches!(form, Form::Protobuf | Form::PartialProtobuf | Form::ProtobufBody)
}

fn operations(out: &mut Vec<u8>, element: &Element, old: &Element) {
    out.extend_from_slice(b"{\"ID\":");
    json::string(out, &element.id);
    out.extend_from_slice(b",\"UpdatedAt\":");
    json::signed(out, element.updated);
    out.extend_from_slice(b",\"Revision\":");
    json::unsigned(out, element.revision);
    out.extend_from_slice(b",\"Ops\":[");
    let mut first = true;
    difference(out, &old.metadata, &element.metadata, "", &mut first);
    out.extend_from_slice(b"]}");
}

fn difference(out: &mut Vec<u8>, old: &Map, new: &Map, path: &str, first: &mut bool) {
    let mut begin = |out: &mut Vec<u8>, kind: &[u8], key: &str| {
        if !std::mem::take(first) {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"Type\":");
        out.extend_from_slice(kind);
        out.extend_from_slice(b",\"Key\":");
        json::string(out, key);
    };
    let mut inner: Vec<(String, Rc<Map>, Rc<Map>)> = Vec::new();
    for (key, _) in old.iter().filter(|(key, _)| new.get(key).is_none()) {
        begin(out, b"2", &format!("{path}{key}"));
        out.push(b'}');
    }
    for (key, value) in new.iter() {
        match (old.get(key), value) {
            (Some(before), value) if before == value => {}
            // Below a key that holds dots itself a path would lead elsewhere.
            (Some(Value::Map(before)), Value::Map(after)) if !key.contains('.') => {
                inner.push((format!("{path}{key}."), Rc::clone(before), Rc::clone(after)));
            }
            _ => {
                begin(out, b"1", &format!("{path}{key}"));
                out.extend_from_slice(b",\"Value\":");
                value.write(out);
                out.push(b'}');
            }
        }
    }
    // As deep as values nest, which is bounded.
    for (path, before, after) in inner {
        difference(out, &before, &after, &path, first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> Map {
        match Value::of_json(&serde_json::from_str(text).unwrap()) {
            Value::Map(map) => Map::clone(&map),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn operations_lead_from_one_version_to_the_next() {
        for (old, new) in [
            ("{}", r#"{"a":1,"b":{"c":"d"}}"#),
            (r#"{"a":1,"b":{"c":"d"}}"#, "{}"),
            (r#"{"a":{"b":{"c":1,"d":2}},"x":[1]}"#, r#"{"a":{"b":{"c":1,"e":3}},"x":[1,2]}"#),
            (r#"{"a":{"b":1}}"#, r#"{"a":2}"#),
            (r#"{"a":2}"#, r#"{"a":{"b":1}}"#),
        ] {
            let (mut before, after) = (map(old), map(new));
            let element = |metadata: &Map, revision| Element {
                revision,
                ..Element::new("i".into(), metadata.clone(), &"h".into(), &"o".into(), 1)
            };
            let mut out = Vec::new();
            operations(&mut out, &element(&after, 2), &element(&before, 1));
            let object: Json = serde_json::from_slice(&out).unwrap();
            assert_eq!((&object["ID"], &object["Revision"]), (&"i".into(), &2.into()));
            for patch in patches(&object).unwrap() {
                match patch {
                    Patch::Delete(path) => assert!(before.remove_path(&path), "{path}"),
                    Patch::Set(path, value) => assert!(before.set_path(&path, value), "{path}"),
                }
            }
            assert_eq!(before, after, "{old} {new}");
        }
    }

    #[test]
    fn what_is_no_element_is_no_edit() {
        let edit = |kind: &str, object: &str| {
            let object = serde_json::from_str(object).unwrap();
            let (namespace, uuid) = (GRAPH.to_owned(), String::new());
            read(&Letter { namespace, kind: kind.to_owned(), uuid, object })
        };
        assert!(matches!(
            edit("NodeAdded", r#"{"ID":"a","Metadata":{"Name":"n","Type":"t"}}"#),
            Some(Edit::PutNode(_))
        ));
        for metadata in [r#"{"Name":"n"}"#, r#"{"Type":"t"}"#, r#"{"Name":"n","Type":"netns"}"#] {
            for kind in ["NodeAdded", "NodeUpdated"] {
                let object = format!(r#"{{"ID":"a","Metadata":{metadata}}}"#);
                assert!(edit(kind, &object).is_none(), "{kind} {object}");
            }
        }
        let bare = r#"{"ID":"e","Parent":"a","Child":"b","Metadata":{"Type":"veth"}}"#;
        assert!(edit("EdgeAdded", bare).is_none());
        let sync =
            edit("Sync", r#"{"Nodes":[{"ID":"a"},{"ID":"b","Metadata":{"Name":"n","Type":"t"}}]}"#);
        assert!(matches!(sync, Some(Edit::Replace(nodes, _)) if nodes.len() == 1));
        assert!(edit("NodeAdded", r#"{"ID":""}"#).is_none());
        assert!(edit("NodeAdded", r#"{"ID":"a","Metadata":[]}"#).is_none());
        assert!(edit("EdgeAdded", r#"{"ID":"a","Parent":"b"}"#).is_none());
        assert!(edit("Nonsense", "null").is_none());
        let deep =
            format!(r#"{{"ID":"a","Ops":[{{"Type":1,"Key":"{}a","Value":1}}]}}"#, "a.".repeat(99));
        assert!(edit("NodePartiallyUpdated", &deep).is_none());
    }
}
