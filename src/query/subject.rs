//! What keys find: members of elements, of flows and of plain objects, by name or dotted path.

use std::rc::Rc;

use crate::capture::Flow;
use crate::topology::graph::{Edge, Element};
use crate::topology::value::{Map, Value};

/// A key, taken apart once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    /// As it was given.
    pub text: Rc<str>,
    field: Field,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Child,
    CreatedAt,
    DeletedAt,
    Host,
    Id,
    Origin,
    Parent,
    /// A path, from this octet on.
    Path(usize),
    Revision,
    UpdatedAt,
}

/// Fields of every element that are no metadata.
pub(super) const FIELDS: &[&str] =
    &["@ID", "@Host", "@Origin", "@CreatedAt", "@UpdatedAt", "@DeletedAt", "@Revision"];

impl Key {
    pub(super) fn new(text: impl Into<Rc<str>>) -> Self {
        let text = text.into();
        let field = match &*text {
            "@ID" => Field::Id,
            "@Host" => Field::Host,
            "@Origin" => Field::Origin,
            "@CreatedAt" => Field::CreatedAt,
            "@UpdatedAt" => Field::UpdatedAt,
            "@DeletedAt" => Field::DeletedAt,
            "@Revision" => Field::Revision,
            "Parent" => Field::Parent,
            "Child" => Field::Child,
            path if path.starts_with(METADATA) => Field::Path(METADATA.len()),
            _ => Field::Path(0),
        };
        Self { text, field }
    }

    /// The path into metadata.
    fn path(&self) -> &str {
        let from = match self.field {
            Field::Path(from) => from,
            _ => 0,
        };
        self.text.get(from..).unwrap_or_default()
    }
}

/// What paths may begin with, to no effect.
const METADATA: &str = "Metadata.";

/// Something that has members.
pub(super) trait Subject {
    /// Shows each value of the key, of a list each item, until `visit` says `true`.
    fn any(&self, key: &Key, visit: &mut dyn FnMut(&Value) -> bool) -> bool;
    /// Whether there is such a member, be it an empty list.
    fn has(&self, key: &Key) -> bool;
    /// The value of the key; where lists are on the way, the list of all that is found.
    fn value(&self, key: &Key) -> Option<Value>;
}

impl Element {
    fn field(&self, key: &Key) -> Option<Value> {
        Some(match key.field {
            Field::Id => Rc::clone(&self.id).into(),
            Field::Host => Rc::clone(&self.host).into(),
            Field::Origin => Rc::clone(&self.origin).into(),
            Field::CreatedAt => self.created.into(),
            Field::UpdatedAt => self.updated.into(),
            Field::DeletedAt => self.deleted.unwrap_or(0).into(),
            Field::Revision => self.revision.into(),
            Field::Child | Field::Parent | Field::Path(_) => return None,
        })
    }
}

impl Subject for Element {
    fn any(&self, key: &Key, visit: &mut dyn FnMut(&Value) -> bool) -> bool {
        match self.field(key) {
            Some(value) => visit(&value),
            None => self.metadata.any(key.path(), visit),
        }
    }

    fn has(&self, key: &Key) -> bool {
        self.field(key).is_some() || has(&self.metadata, key.path())
    }

    fn value(&self, key: &Key) -> Option<Value> {
        self.field(key).or_else(|| find(&self.metadata, key.path()))
    }
}

impl Edge {
    fn end(&self, key: &Key) -> Option<Value> {
        match key.field {
            Field::Parent => Some(Rc::clone(&self.parent).into()),
            Field::Child => Some(Rc::clone(&self.child).into()),
            _ => None,
        }
    }
}

impl Subject for Edge {
    fn any(&self, key: &Key, visit: &mut dyn FnMut(&Value) -> bool) -> bool {
        match self.end(key) {
            Some(value) => visit(&value),
            None => self.element.any(key, visit),
        }
    }

    fn has(&self, key: &Key) -> bool {
        self.end(key).is_some() || self.element.has(key)
    }

    fn value(&self, key: &Key) -> Option<Value> {
        self.end(key).or_else(|| self.element.value(key))
    }
}

impl Subject for Map {
    fn any(&self, key: &Key, visit: &mut dyn FnMut(&Value) -> bool) -> bool {
        Self::any(self, key.path(), visit)
    }

    fn has(&self, key: &Key) -> bool {
        has(self, key.path())
    }

    fn value(&self, key: &Key) -> Option<Value> {
        find(self, key.path())
    }
}

impl Subject for Flow {
    fn any(&self, key: &Key, visit: &mut dyn FnMut(&Value) -> bool) -> bool {
        match self.get(&key.text) {
            Some(Value::List(items)) => items.iter().any(visit),
            Some(value) => visit(&value),
            None => false,
        }
    }

    fn has(&self, key: &Key) -> bool {
        self.get(&key.text).is_some()
    }

    /// `Link`, `Network` and `Transport` alone are the whole layer.
    fn value(&self, key: &Key) -> Option<Value> {
        let layer = |names: [&'static str; 4]| {
            let layer = names.into_iter().filter_map(|name| {
                let member = name.rsplit_once('.').map_or(name, |(_, member)| member);
                Some((member, self.get(name)?))
            });
            let map = layer.fold(Map::new(), |map, (member, value)| map.with(member, value));
            Some(Value::from(map)).filter(|map| map.as_map().is_some_and(|map| !map.is_empty()))
        };
        match &*key.text {
            "Link" => layer(["Link.Protocol", "Link.A", "Link.B", "Link.ID"]),
            "Network" => layer(["Network.Protocol", "Network.A", "Network.B", "Network.ID"]),
            "Transport" => {
                layer(["Transport.Protocol", "Transport.A", "Transport.B", "Transport.ID"])
            }
            text => self.get(text),
        }
    }
}

/// The member at the start of a path, and what of the path is left.
fn step<'a, 'p>(map: &'a Map, path: &'p str) -> Option<(&'a Value, Option<&'p str>)> {
    // A key that holds dots itself comes first, as everywhere.
    if let Some(value) = map.get(path) {
        return Some((value, None));
    }
    let (head, rest) = path.split_once('.')?;
    map.get(head).map(|value| (value, Some(rest)))
}

fn has(map: &Map, path: &str) -> bool {
    fn below(value: &Value, path: &str) -> bool {
        match value {
            Value::Map(map) => has(map, path),
            Value::List(items) => items.iter().any(|item| below(item, path)),
            _ => false,
        }
    }
    match step(map, path) {
        Some((value, Some(rest))) => below(value, rest),
        Some((_, None)) => true,
        None => false,
    }
}

fn find(map: &Map, path: &str) -> Option<Value> {
    fn below(value: &Value, path: &str) -> Option<Value> {
        match value {
            Value::Map(map) => find(map, path),
            Value::List(items) => {
                let mut found = Vec::new();
                for value in items.iter().filter_map(|item| below(item, path)) {
                    match value {
                        Value::List(inner) => found.extend(inner.iter().cloned()),
                        value => found.push(value),
                    }
                }
                Some(Value::from(found)).filter(|found| !found.items().is_empty())
            }
            _ => None,
        }
    }
    match step(map, path)? {
        (value, Some(rest)) => below(value, rest),
        (value, None) => Some(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element() -> Element {
        let route = |prefix: &str| Value::from(Map::new().with("Prefix", prefix));
        let routes = |a, b| Value::from(Map::new().with("Routes", Vec::from([route(a), route(b)])));
        let metadata = Map::new()
            .with("Name", "eth0")
            .with("Tables", Vec::from([routes("a", "b"), routes("c", "d")]))
            .with("None", Vec::<Value>::new())
            .with("x.y", 1_i64);
        Element::new("id".into(), metadata, &"h".into(), &"agent.h".into(), 7)
    }

    #[test]
    fn paths_cross_lists_and_prefixes_are_passed_over() {
        let element = element();
        let value = |key: &str| element.value(&Key::new(key));
        assert_eq!(value("Metadata.Name"), Some("eth0".into()));
        let all = ["a", "b", "c", "d"].map(Value::from).to_vec();
        assert_eq!(value("Tables.Routes.Prefix"), Some(all.into()));
        assert_eq!(value("Tables.Routes.None"), None);
        assert_eq!(value("x.y"), Some(Value::Int(1)));
        assert_eq!(value("@CreatedAt"), Some(Value::Int(7)));
        assert_eq!(value("Parent"), None);
    }

    #[test]
    fn an_empty_list_is_there_all_the_same() {
        let element = element();
        for (key, there) in
            [("None", true), ("Tables.Routes", true), ("Tables.X", false), ("@DeletedAt", true)]
        {
            assert_eq!(element.has(&Key::new(key)), there, "{key}");
        }
    }
}
