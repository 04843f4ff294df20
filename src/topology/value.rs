//! What is known of a node or an edge: values of the kinds that JSON has, shared where they are
//! the same. A version of a node that history keeps costs little more than what changed.

use std::rc::Rc;

use crate::wire::json;

use super::names::Names;

pub use super::names::Key;
pub use super::text::Text;

/// How deep values may nest: what comes from clients is cut there.
pub const MAX_DEPTH: usize = 16;

/// Items of two versions of a list are in the same order, so that what stays is never farther
/// away than this.
const NEAR: usize = 8;

/// Bytes before what is shared: it is counted how often.
const COUNTERS: usize = 2 * size_of::<usize>();

/// Bytes of a map that is shared, without its members.
const SHARED_MAP: usize = COUNTERS + size_of::<Map>();

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text. It may come from the network: writers escape it.
    Text(Text),
    /// Several values.
    List(Rc<[Self]>),
    /// Named values.
    Map(Rc<Map>),
}

/// Named values, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Map {
    names: Names,
    /// One for each name.
    values: Box<[Value]>,
}

impl Map {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The map with one more member, or another value for it.
    #[must_use]
    pub fn with(mut self, key: impl Into<Key>, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets a member; `true` if that changed anything.
    pub fn set(&mut self, key: impl Into<Key>, value: impl Into<Value>) -> bool {
        let (key, value) = (key.into(), value.into());
        match self.names.find(&key) {
            Ok(at) => match self.values.get_mut(at) {
                Some(old) if *old == value => false,
                Some(old) => {
                    *old = value;
                    true
                }
                None => false,
            },
            Err(at) => {
                self.names.insert(at, key);
                // Maps live long and grow rarely: there is no room for more than there is.
                let mut values = std::mem::take(&mut self.values).into_vec();
                values.reserve_exact(1);
                values.insert(at, value);
                self.values = values.into();
                true
            }
        }
    }

    /// Sets a member, or takes it out for `None`; `true` if that changed anything.
    pub fn put(&mut self, key: impl Into<Key>, value: Option<impl Into<Value>>) -> bool {
        let key = key.into();
        match value {
            Some(value) => self.set(key, value),
            None => self.remove(&key).is_some(),
        }
    }

    /// Gives back memory that no member needs: for a map that is not going to change.
    pub fn trim(&mut self) {
        self.names.share();
    }

    /// Takes a member out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.names.find(key).ok()?;
        self.names.remove(at);
        let mut values = std::mem::take(&mut self.values).into_vec();
        let value = values.remove(at);
        self.values = values.into();
        Some(value)
    }

    /// The member of that name.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(self.names.find(key).ok()?)
    }

    /// The text of that name.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_text)
    }

    /// The whole number of that name.
    #[must_use]
    pub fn int(&self, key: &str) -> Option<i64> {
        self.get(key).and_then(Value::as_int)
    }

    /// Sets a member by a dotted path; the maps on the way are made where they are missing, and
    /// take the place of what is no map.
    pub fn set_path(&mut self, path: &str, value: Value) -> bool {
        match path.split_once('.') {
            None => self.set(path.to_owned(), value),
            Some((head, rest)) => {
                let mut inner = match self.get(head) {
                    Some(Value::Map(map)) => Self::clone(map),
                    _ => Self::new(),
                };
                inner.set_path(rest, value) && self.set(head.to_owned(), inner)
            }
        }
    }

    /// Takes out a member by a dotted path, and the maps on the way that it leaves empty.
    pub fn remove_path(&mut self, path: &str) -> bool {
        let Some((head, rest)) = path.split_once('.') else {
            return self.remove(path).is_some();
        };
        let Some(Value::Map(inner)) = self.get(head) else { return false };
        let mut inner = Self::clone(inner);
        if !inner.remove_path(rest) {
            return false;
        }
        if inner.is_empty() {
            self.remove(head).is_some()
        } else {
            self.set(head.to_owned(), inner)
        }
    }

    /// Shows `visit` each value that a dotted path leads to; lists on the way, and at its end,
    /// mean each of their items. Ends early, with `true`, once `visit` says `true`.
    pub fn any(&self, path: &str, visit: &mut dyn FnMut(&Value) -> bool) -> bool {
        // A key that holds dots itself comes first.
        if let Some(value) = self.get(path) {
            return value.any_item(visit);
        }
        path.split_once('.')
            .and_then(|(head, rest)| self.get(head).map(|inner| inner.any_below(rest, visit)))
            .unwrap_or(false)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.names.as_slice().iter().map(AsRef::as_ref).zip(&self.values)
    }

    /// Members.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Appends the map as a JSON object.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (at, (key, value)) in self.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::string(out, key);
            out.push(b':');
            value.write(out);
        }
        out.push(b'}');
    }

    /// Bytes of memory, roughly, that this map takes beside a `newer` one it shares values with.
    #[must_use]
    pub fn weight_beside(&self, newer: &Self) -> usize {
        let own = size_of_val(&*self.values).saturating_add(self.names.weight_beside(&newer.names));
        let values = self.iter().map(|(key, value)| match newer.get(key) {
            Some(other) => value.weight_beside(other),
            None => value.weight(),
        });
        values.fold(own, usize::saturating_add)
    }

    /// Bytes of memory, roughly; what is shared counts each time.
    #[must_use]
    pub fn weight(&self) -> usize {
        let own = size_of_val(&*self.values).saturating_add(self.names.weight());
        self.iter().map(|(_, value)| value.weight()).fold(own, usize::saturating_add)
    }
}

impl Value {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list, empty if it is none.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// From what a client sent; nesting beyond [`MAX_DEPTH`] becomes null.
    #[must_use]
    pub fn of_json(value: &serde_json::Value) -> Self {
        Self::of_json_within(value, MAX_DEPTH)
    }

    fn of_json_within(value: &serde_json::Value, depth: usize) -> Self {
        use serde_json::Value as Json;
        let Some(below) = depth.checked_sub(1) else { return Self::Null };
        match value {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(number) => Self::Int(number),
                None => Self::Float(number.as_f64().unwrap_or(0.0)),
            },
            Json::String(text) => Self::from(text.as_str()),
            Json::Array(items) => {
                Self::List(items.iter().map(|item| Self::of_json_within(item, below)).collect())
            }
            Json::Object(members) => {
                let mut map = Map::new();
                for (key, value) in members {
                    map.set(key.clone(), Self::of_json_within(value, below));
                }
                Self::from(map)
            }
        }
    }

    /// Appends the value as JSON.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(value) => json::signed(out, *value),
            Self::Float(value) => json::float(out, *value),
            Self::Text(text) => json::string(out, text),
            Self::List(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Map(map) => map.write(out),
        }
    }

    fn any_below(&self, path: &str, visit: &mut dyn FnMut(&Self) -> bool) -> bool {
        match self {
            Self::Map(map) => map.any(path, visit),
            Self::List(items) => items.iter().any(|item| item.any_below(path, visit)),
            _ => false,
        }
    }

    fn any_item(&self, visit: &mut dyn FnMut(&Self) -> bool) -> bool {
        match self {
            Self::List(items) => items.iter().any(visit),
            other => visit(other),
        }
    }

    /// The same value, made of pieces of an older one where they are the same: two versions cost
    /// no more than one of them and what is different.
    #[must_use]
    pub fn sharing(self, older: &Self) -> Self {
        if self == *older {
            return older.clone();
        }
        match (self, older) {
            (Self::Map(map), Self::Map(older)) => {
                let mut map = Rc::unwrap_or_clone(map);
                for (name, value) in map.names.as_slice().iter().zip(&mut map.values) {
                    if let Some(older) = older.get(name) {
                        *value = std::mem::replace(value, Self::Null).sharing(older);
                    }
                }
                Self::from(map)
            }
            (Self::List(items), Self::List(older)) => {
                let mut rest = older.iter();
                let items = items.iter().map(|item| {
                    let mut ahead = rest.clone();
                    if let Some(same) = ahead.by_ref().take(NEAR).find(|older| *older == item) {
                        rest = ahead;
                        return same.clone();
                    }
                    match rest.as_slice().first() {
                        Some(older) => item.clone().sharing(older),
                        None => item.clone(),
                    }
                });
                Self::List(items.collect())
            }
            (value, _) => value,
        }
    }

    fn weight_beside(&self, newer: &Self) -> usize {
        match (self, newer) {
            (Self::Text(old), Self::Text(new)) if old.is_shared_with(new) => 0,
            (Self::Map(old), Self::Map(new)) => {
                if Rc::ptr_eq(old, new) {
                    return 0;
                }
                old.weight_beside(new).saturating_add(SHARED_MAP)
            }
            (Self::List(old), Self::List(new)) => {
                if Rc::ptr_eq(old, new) {
                    return 0;
                }
                let own = size_of_val(&**old).saturating_add(COUNTERS);
                let mut rest = new.iter();
                let items = old.iter().map(|item| {
                    let mut ahead = rest.clone();
                    if ahead.by_ref().take(NEAR).any(|other| item.weight_beside(other) == 0) {
                        rest = ahead;
                        return 0;
                    }
                    rest.as_slice().first().map_or_else(|| item.weight(), |o| item.weight_beside(o))
                });
                items.fold(own, usize::saturating_add)
            }
            _ => self.weight(),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 0,
            Self::Text(text) => text.weight(),
            Self::List(items) => {
                let own = size_of_val(&**items).saturating_add(COUNTERS);
                items.iter().map(Self::weight).fold(own, usize::saturating_add)
            }
            Self::Map(map) => map.weight().saturating_add(SHARED_MAP),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    /// Numbers beyond the range of an `i64` become its largest.
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Rc<str>> for Value {
    fn from(text: Rc<str>) -> Self {
        Self::Text(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Map> for Value {
    fn from(mut map: Map) -> Self {
        // What is shared is not changed any more.
        map.trim();
        Self::Map(Rc::new(map))
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::List(items.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Map {
        match Value::of_json(&serde_json::from_str(text).unwrap()) {
            Value::Map(map) => Map::clone(&map),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_read_is_written_in_the_order_of_names() {
        let map = json(r#"{"b":[1,-2,0.5,null,true],"a":{"d":"x\"y","c":{}}}"#);
        let mut out = Vec::new();
        map.write(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, r#"{"a":{"c":{},"d":"x\"y"},"b":[1,-2,0.5,null,true]}"#);
    }

    #[test]
    fn a_list_on_the_way_means_any_of_its_items() {
        let map = json(r#"{"R":[{"P":[{"IP":"a"},{"IP":"b"}]},{"P":{"IP":"c"}}],"x.y":1}"#);
        for (path, text) in [("R.P.IP", "a"), ("R.P.IP", "b"), ("R.P.IP", "c")] {
            assert!(map.any(path, &mut |value| value.as_text() == Some(text)), "{text}");
        }
        let mut seen = 0;
        assert!(!map.any("R.P.IP", &mut |_| {
            seen += 1;
            false
        }));
        assert_eq!(seen, 3);
        assert!(!map.any("R.Q", &mut |_| true));
        assert!(map.any("x.y", &mut |_| true));
    }

    #[test]
    fn dotted_paths_make_maps_and_leave_none_empty() {
        let mut map = Map::new();
        assert!(map.set_path("a.b.c", Value::from(1_i64)));
        assert!(!map.set_path("a.b.c", Value::from(1_i64)));
        assert!(map.set_path("a.d", Value::from("x")));
        assert_eq!(map, json(r#"{"a":{"b":{"c":1},"d":"x"}}"#));
        assert!(map.remove_path("a.b.c"));
        assert_eq!(map, json(r#"{"a":{"d":"x"}}"#));
        assert!(map.remove_path("a.d") && map.is_empty() && !map.remove_path("a.d"));
    }

    #[test]
    fn what_two_versions_share_weighs_nothing() {
        let list = |n: i64| {
            let items = (0..n).map(|n| Value::from(Map::new().with("Name", n.to_string())));
            Value::from(items.collect::<Vec<_>>())
        };
        let old = Map::new().with("A", list(100)).with("B", "text");
        let bare = Map::new().with("A", 1_i64).with("B", 2_i64).weight();
        assert_eq!(old.weight_beside(&old.clone()), bare);
        assert!(old.weight() > 100 * 80);
        // One item of the list gives way to another.
        let mut items = old.get("A").unwrap().items().to_vec();
        items[50] = Value::from(Map::new().with("Name", "new"));
        let newer = old.clone().with("A", items);
        let weight = old.weight_beside(&newer);
        assert!(weight > bare + 90 && weight < bare + 100 * 24 + 400, "{weight}");
        assert_eq!(old.weight_beside(&Map::new()), old.weight());
    }

    #[test]
    fn a_new_version_is_made_of_what_stays() {
        let route = |prefix: &str| {
            let hop = Map::new().with("IfIndex", 7_i64).with("Priority", 256_i64);
            let hops = Vec::from([Value::from(hop)]);
            Value::from(Map::new().with("NextHops", hops).with("Prefix", prefix))
        };
        let table = |routes: &[&str]| {
            let routes: Vec<Value> = routes.iter().map(|prefix| route(prefix)).collect();
            Map::new().with("T", Vec::from([Value::from(Map::new().with("Routes", routes))]))
        };
        let (old, new) = (table(&["a", "b", "c"]), table(&["a", "n", "b", "d", "c"]));
        let shared = new.get("T").unwrap().clone().sharing(old.get("T").unwrap());
        assert_eq!(Some(&shared), new.get("T"));
        let shared = Map::new().with("T", shared);
        // The list of routes, what holds it, and no route.
        let own = old.weight_beside(&shared);
        let lists = 3 * 24 + 16 + 24 + 16 + 24 + 40 + 24;
        assert_eq!(own, lists);
        assert!(shared.weight_beside(&old) < new.weight() / 2 + lists);
    }

    #[test]
    fn a_member_costs_one_word_for_its_kind_and_two_for_its_value() {
        let map = Map::new().with("MAC", "02:00:00:00:00:01").with("MTU", 1_500_i64);
        assert_eq!((size_of::<Value>(), map.weight()), (24, 48));
    }

    #[test]
    fn nesting_is_cut() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let value = Value::of_json(&serde_json::from_str(&deep).unwrap());
        let mut out = Vec::new();
        value.write(&mut out);
        assert_eq!(out, format!("{}null{}", "[".repeat(16), "]".repeat(16)).into_bytes());
    }
}
