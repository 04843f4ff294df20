//! What clients ask for and the agent keeps until they take it back: captures, alerts, packet
//! injections, rules. Each kind is read and checked by its own module; here they have their ids,
//! their caps, and a form in which they survive a restart.

use std::rc::Rc;

use serde_json::Value as Json;

use crate::filter::names::Names;
use crate::query::Query;
use crate::time::Wall;
use crate::topology::value::Map;
use crate::wire::crc32::crc32;
use crate::wire::json;

pub mod alert;
pub mod capture;
pub mod injection;
pub mod members;
pub mod patch;
pub mod rule;

use alert::Alert;
use capture::Capture;
use injection::Injection;
use members::Members;
use rule::{EdgeRule, NodeRule};

/// The file of the state directory that holds them.
pub const FILE: &str = "resources.json";

/// What a client can make, look at and delete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are the kinds")]
pub enum Kind {
    Alert,
    Capture,
    Edge,
    EdgeRule,
    Injection,
    Node,
    NodeRule,
}

impl Kind {
    /// Every kind, with its name in paths and in messages, and how many there can be. Nodes and
    /// edges live in the graph, which has caps of its own.
    pub const ALL: [(Self, &'static str, &'static str, usize); 7] = [
        (Self::Alert, "alert", "Alert", 64),
        (Self::Capture, "capture", "Capture", 32),
        (Self::Edge, "edge", "Edge", usize::MAX),
        (Self::EdgeRule, "edgerule", "Edgerule", 256),
        (Self::Injection, "injectpacket", "Injectpacket", 64),
        (Self::Node, "node", "Node", usize::MAX),
        (Self::NodeRule, "noderule", "Noderule", 256),
    ];

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, ..)| *known == name).map(|(kind, ..)| *kind)
    }

    /// Its name in paths.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, ..)| name)
    }

    /// Its name in messages.
    #[must_use]
    pub fn title(self) -> &'static str {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, _, title, _)| title)
    }

    fn most(self) -> usize {
        Self::ALL.iter().find(|(kind, ..)| *kind == self).map_or(0, |(.., most)| *most)
    }
}

/// What a resource is.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names are the kinds")]
pub enum Body {
    Alert(Alert),
    Capture(Capture),
    EdgeRule(EdgeRule),
    Injection(Injection),
    NodeRule(NodeRule),
}

impl Body {
    /// Reads and checks what a client sent.
    ///
    /// # Errors
    /// The member and what is wrong with it. Nodes and edges are not read here.
    pub fn parse(kind: Kind, json: &Json, names: &dyn Names) -> Result<Self, String> {
        let members = &Members::of(json)?;
        match kind {
            Kind::Alert => Alert::parse(members).map(Self::Alert),
            Kind::Capture => Capture::parse(members, names).map(Self::Capture),
            Kind::EdgeRule => EdgeRule::parse(members).map(Self::EdgeRule),
            Kind::Injection => Injection::parse(members).map(Self::Injection),
            Kind::NodeRule => NodeRule::parse(members).map(Self::NodeRule),
            Kind::Edge | Kind::Node => Err("lives in the graph".to_owned()),
        }
    }

    /// What kind it is of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Alert(_) => Kind::Alert,
            Self::Capture(_) => Kind::Capture,
            Self::EdgeRule(_) => Kind::EdgeRule,
            Self::Injection(_) => Kind::Injection,
            Self::NodeRule(_) => Kind::NodeRule,
        }
    }

    fn members(&self) -> Map {
        match self {
            Self::Alert(alert) => alert.members(),
            Self::Capture(capture) => capture.members(0),
            Self::EdgeRule(rule) => rule.members(),
            Self::Injection(injection) => injection.members(),
            Self::NodeRule(rule) => rule.members(),
        }
    }
}

/// Something that a client asked for.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its UUID.
    pub id: Rc<str>,
    /// What it is.
    pub body: Body,
    /// When it was made, milliseconds since 1970.
    pub created: i64,
    /// When it goes by itself, milliseconds since 1970.
    pub expires: Option<i64>,
}

impl Resource {
    /// Its members as they are shown.
    #[must_use]
    pub fn members(&self) -> Map {
        let mut map = self.body.members().with("UUID", Rc::clone(&self.id));
        let time = || Wall(self.created.saturating_mul(1_000)).rfc3339();
        match &self.body {
            Body::Alert(_) => drop(map.set("CreateTime", time())),
            Body::Injection(_) => drop(map.set("StartTime", time())),
            Body::Capture(_) | Body::EdgeRule(_) | Body::NodeRule(_) => {}
        }
        map
    }
}

/// Everything that clients asked for, in the order in which they did.
#[derive(Debug, Default)]
pub struct Resources {
    all: Vec<Resource>,
    /// Something changed that is not saved.
    pub unsaved: bool,
}

/// Why a resource is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The same is there already.
    Duplicate,
    /// There are too many of its kind.
    Full,
}

impl Resources {
    /// Takes a resource in.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn add(&mut self, resource: Resource) -> Result<(), Refused> {
        let kind = resource.body.kind();
        if self.is_full(kind) {
            return Err(Refused::Full);
        }
        if let Body::Capture(new) = &resource.body
            && self.captures().any(|(_, known)| known.is_same(new))
        {
            return Err(Refused::Duplicate);
        }
        self.all.push(resource);
        self.unsaved = true;
        Ok(())
    }

    /// Takes a resource out.
    pub fn remove(&mut self, kind: Kind, id: &str) -> Option<Resource> {
        let is_it = |known: &Resource| known.body.kind() == kind && &*known.id == id;
        let at = self.all.iter().position(is_it)?;
        self.unsaved = true;
        Some(self.all.remove(at))
    }

    /// The resource of that kind and id.
    #[must_use]
    pub fn get(&self, kind: Kind, id: &str) -> Option<&Resource> {
        self.of(kind).find(|known| &*known.id == id)
    }

    /// The resources of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Resource> {
        self.all.iter().filter(move |known| known.body.kind() == kind)
    }

    /// Whether there is no room for one more of a kind.
    #[must_use]
    pub fn is_full(&self, kind: Kind) -> bool {
        self.of(kind).count() >= kind.most()
    }

    /// The captures with their ids.
    pub fn captures(&self) -> impl Iterator<Item = (&Rc<str>, &Capture)> {
        self.all.iter().filter_map(|known| match &known.body {
            Body::Capture(capture) => Some((&known.id, capture)),
            _ => None,
        })
    }

    /// The capture of that id.
    #[must_use]
    pub fn capture(&self, id: &str) -> Option<&Capture> {
        self.captures().find(|(known, _)| &***known == id).map(|(_, capture)| capture)
    }

    /// Those whose time is over.
    #[must_use]
    pub fn expired(&self, now: i64) -> Vec<(Kind, Rc<str>)> {
        let over = self.all.iter().filter(|known| known.expires.is_some_and(|at| at <= now));
        over.map(|known| (known.body.kind(), Rc::clone(&known.id))).collect()
    }

    /// When the first of them goes by itself, milliseconds since 1970.
    #[must_use]
    pub fn next_expiry(&self) -> Option<i64> {
        self.all.iter().filter_map(|known| known.expires).min()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The lines of the state file. `elements` are further lines: nodes and edges as JSON.
    #[must_use]
    pub fn save(&self, elements: &[(Kind, Vec<u8>)]) -> Vec<u8> {
        let mut body = Vec::new();
        for resource in &self.all {
            let mut members = Vec::new();
            resource.members().write(&mut members);
            line(&mut body, resource.body.kind(), resource.created, resource.expires, &members);
        }
        for (kind, members) in elements {
            line(&mut body, *kind, 0, None, members);
        }
        let checksum = crc32(&body);
        let mut text = format!(
            "{{\"portolan\":\"resources\",\"version\":{VERSION},\"octets\":{},\
             \"crc32\":\"{checksum:08x}\"}}\n",
            body.len()
        )
        .into_bytes();
        text.append(&mut body);
        text
    }

    /// Takes over what [`Self::save`] wrote; nodes and edges come back for the graph, and a line
    /// for each resource that this version does not take.
    ///
    /// # Errors
    /// Why nothing of the file is taken: it is damaged, or of a later version.
    pub fn load(&mut self, text: &[u8], names: &dyn Names) -> Result<Loaded, &'static str> {
        let damaged = "damaged: its checksum disagrees";
        let newline = text.iter().position(|b| *b == b'\n').ok_or(damaged)?;
        let (head, body) = text.split_at_checked(newline.saturating_add(1)).ok_or(damaged)?;
        let head: Json = serde_json::from_slice(head).map_err(|_| damaged)?;
        if head.get("version").and_then(Json::as_u64).is_none_or(|version| version > VERSION) {
            return Err("written by a later version");
        }
        let checksum = head.get("crc32").and_then(Json::as_str);
        if checksum != Some(&format!("{:08x}", crc32(body))) {
            return Err(damaged);
        }
        let mut loaded = Loaded::default();
        for line in body.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let json: Json = serde_json::from_slice(line).map_err(|_| damaged)?;
            let members = json.get("members").unwrap_or(&Json::Null);
            let id = members.get("UUID").and_then(Json::as_str);
            let kind = json.get("kind").and_then(Json::as_str).and_then(Kind::parse);
            match (kind, id) {
                (Some(kind @ (Kind::Node | Kind::Edge)), _) => {
                    loaded.elements.push((kind, members.clone()));
                }
                (Some(kind), Some(id)) => match Body::parse(kind, members, names) {
                    Ok(body) => {
                        let created = json.get("created").and_then(Json::as_i64).unwrap_or(0);
                        let expires = json.get("expires").and_then(Json::as_i64);
                        let resource = Resource { id: id.into(), body, created, expires };
                        if self.add(resource).is_err() {
                            loaded.problems.push(format!("{} {id}: no room", kind.name()));
                        }
                    }
                    Err(why) => loaded.problems.push(format!("{} {id}: {why}", kind.name())),
                },
                _ => loaded.problems.push("a line of no known kind".to_owned()),
            }
        }
        self.unsaved = false;
        Ok(loaded)
    }
}

/// What [`Resources::load`] found besides.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Nodes and edges that clients had made.
    pub elements: Vec<(Kind, Json)>,
    /// What was not taken, and why.
    pub problems: Vec<String>,
}

/// Version of the state file.
const VERSION: u64 = 1;

fn line(out: &mut Vec<u8>, kind: Kind, created: i64, expires: Option<i64>, members: &[u8]) {
    out.extend_from_slice(b"{\"kind\":");
    json::string(out, kind.name());
    out.extend_from_slice(b",\"created\":");
    json::signed(out, created);
    if let Some(expires) = expires {
        out.extend_from_slice(b",\"expires\":");
        json::signed(out, expires);
    }
    out.extend_from_slice(b",\"members\":");
    out.extend_from_slice(members);
    out.extend_from_slice(b"}\n");
}

/// Reads the expression of a member.
///
/// # Errors
/// `Name: Not a valid Gremlin expression: …`.
pub(super) fn expression(name: &str, text: &str) -> Result<Query, String> {
    Query::parse(text).map_err(|error| format!("{name}: Not a valid Gremlin expression: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::names::BuiltIn;
    use serde_json::json;

    fn resource(id: &str, kind: Kind, json: &Json) -> Resource {
        let body = Body::parse(kind, json, &BuiltIn).unwrap();
        Resource { id: id.into(), body, created: 1_700_000_000_000, expires: None }
    }

    fn sample() -> Resources {
        let mut all = Resources::default();
        let metadata = json!({"Name": "n", "Type": "t"});
        for (id, kind, json) in [
            ("a", Kind::Capture, json!({"GremlinQuery": "G.V()", "Name": "x", "ExtraLayers": 2})),
            ("b", Kind::Alert, json!({"Expression": "G.V()"})),
            ("c", Kind::NodeRule, json!({"Action": "create", "Metadata": metadata})),
            (
                "d",
                Kind::EdgeRule,
                json!({"Src": "G.V()", "Dst": "G.V()", "Metadata": {"RelationType": "l"}}),
            ),
            ("e", Kind::Injection, json!({"Src": "G.V()", "Type": "udp6", "Count": 3})),
        ] {
            all.add(resource(id, kind, &json)).unwrap();
        }
        all
    }

    fn shown(all: &Resources) -> Vec<Map> {
        all.all.iter().map(Resource::members).collect()
    }

    #[test]
    fn what_was_saved_comes_back() {
        let all = sample();
        let file = all.save(&[(Kind::Node, br#"{"ID":"n"}"#.to_vec())]);
        let mut again = Resources::default();
        let loaded = again.load(&file, &BuiltIn).unwrap();
        assert_eq!(loaded.elements, [(Kind::Node, json!({"ID": "n"}))]);
        assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
        assert_eq!(shown(&again), shown(&all));
        assert!(!again.unsaved);
    }

    #[test]
    fn a_damaged_file_changes_nothing() {
        let file = sample().save(&[]);
        for cut in [0, 1, 40, file.len() / 2, file.len() - 1] {
            assert!(Resources::default().load(&file[..cut], &BuiltIn).is_err(), "{cut}");
        }
        let text = String::from_utf8(file).unwrap().replace("\"version\":1", "\"version\":2");
        let refusal = Resources::default().load(text.as_bytes(), &BuiltIn).unwrap_err();
        assert_eq!(refusal, "written by a later version");
    }

    #[test]
    fn the_same_capture_is_there_once_and_another_filter_makes_another() {
        let mut all = sample();
        let same = json!({"GremlinQuery": "G.V()", "Name": "other"});
        assert_eq!(all.add(resource("f", Kind::Capture, &same)), Err(Refused::Duplicate));
        let other = json!({"GremlinQuery": "G.V()", "BPFFilter": "tcp"});
        assert_eq!(all.add(resource("g", Kind::Capture, &other)), Ok(()));
        for n in 0..40 {
            let json = json!({"GremlinQuery": format!("G.V().Has('Name','{n}')")});
            let _ = all.add(resource(&n.to_string(), Kind::Capture, &json));
        }
        assert_eq!(all.of(Kind::Capture).count(), 32);
        assert!(all.remove(Kind::Capture, "b").is_none());
        assert!(all.remove(Kind::Capture, "a").is_some());
    }
}
