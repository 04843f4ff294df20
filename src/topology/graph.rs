//! Nodes and edges: what is on this machine and what connects it, with the versions they had.
//!
//! Every version is immutable and shared: a change makes the next one, the last ones stay in a
//! bounded history, so that a question about five minutes ago has an answer without a database.
//! Changes are noted as [`Event`]s for whoever follows. The JSON form is that of Skydive's nodes
//! and edges.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::wire::json;
use crate::wire::uuid::{OID, Uuid};

use super::value::Map;

/// Names a node or an edge: a UUID in text form, or what a client called it.
pub type Id = Rc<str>;

/// Nodes at a time; further ones are refused and counted.
pub const MAX_NODES: usize = 16_384;

/// Edges at a time; further ones are refused and counted.
pub const MAX_EDGES: usize = 32_768;

/// Versions kept of what has changed or gone; the oldest give way.
pub const MAX_HISTORY: usize = 4_096;

/// Bytes of the versions kept beyond what they share with the next one; the oldest give way.
pub const MAX_HISTORY_BYTES: usize = 320 * 1024;

/// Bytes of metadata of one node or edge; a change beyond that is refused and counted.
pub const MAX_METADATA: usize = 1024 * 1024;

/// One version of a node or an edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Its name in the graph.
    pub id: Id,
    /// What is known of it.
    pub metadata: Map,
    /// The machine it belongs to.
    pub host: Rc<str>,
    /// Who made it: `agent.router1`, `api.router1`.
    pub origin: Rc<str>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970: when this version began.
    pub updated: i64,
    /// Milliseconds since 1970, once it is gone.
    pub deleted: Option<i64>,
    /// Counts the versions from 1.
    pub revision: u64,
}

/// A node is nothing but an element.
pub type Node = Element;

/// One version of an edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// What it shares with nodes.
    pub element: Element,
    /// The node it leads from.
    pub parent: Id,
    /// The node it leads to.
    pub child: Id,
}

/// What changed, with the version that is now true (the last one, of what is gone).
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Event {
    EdgeAdded(Rc<Edge>),
    EdgeDeleted(Rc<Edge>),
    /// With the version before.
    EdgeUpdated(Rc<Edge>, Rc<Edge>),
    NodeAdded(Rc<Node>),
    NodeDeleted(Rc<Node>),
    /// With the version before.
    NodeUpdated(Rc<Node>, Rc<Node>),
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// Too many of its kind, or too much metadata.
    Full,
    /// One end of the edge is not there.
    NoEnd,
}

/// A stretch of time, in milliseconds since 1970; both ends belong to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slice {
    /// Where it begins.
    pub from: i64,
    /// Where it ends.
    pub to: i64,
}

/// A version that is no longer true.
#[derive(Clone, Debug)]
enum Past {
    Edge(Rc<Edge>),
    Node(Rc<Node>),
}

#[derive(Debug)]
struct Old {
    /// Milliseconds since 1970: when it ceased to be true.
    until: i64,
    weight: usize,
    past: Past,
}

#[derive(Clone, Debug, Default)]
struct Place {
    node: Option<Rc<Node>>,
    /// Slots of the edges at this node.
    edges: Vec<u32>,
}

/// The graph.
#[derive(Debug, Default)]
pub struct Graph {
    places: Vec<Place>,
    free_places: Vec<u32>,
    edges: Vec<Option<Rc<Edge>>>,
    free_edges: Vec<u32>,
    node_at: HashMap<Id, u32>,
    edge_at: HashMap<Id, u32>,
    history: VecDeque<Old>,
    history_bytes: usize,
    events: Vec<Event>,
    /// Counts changes.
    revision: u64,
    /// Additions refused because of a cap.
    pub refused: u64,
}

impl Graph {
    /// Adds a node, or replaces the metadata of the one with its id.
    ///
    /// # Errors
    /// [`Refused::Full`].
    pub fn add_node(&mut self, mut node: Node) -> Result<(), Refused> {
        node.metadata.trim();
        if self.node_at.contains_key(&node.id) {
            let now = node.updated;
            let id = Rc::clone(&node.id);
            return self.update_node(&id, now, |metadata| *metadata = node.metadata);
        }
        if self.node_at.len() >= MAX_NODES || node.metadata.weight() > MAX_METADATA {
            return self.refuse();
        }
        let node = Rc::new(node);
        let place = Place { node: Some(Rc::clone(&node)), edges: Vec::new() };
        let slot = put(&mut self.places, &mut self.free_places, place);
        self.node_at.insert(Rc::clone(&node.id), slot);
        self.tell(Event::NodeAdded(node));
        Ok(())
    }

    /// Changes the metadata of a node. Nothing happens if there is no such node, or nothing is
    /// changed by the change.
    ///
    /// # Errors
    /// [`Refused::Full`] if it would become too large.
    pub fn update_node(
        &mut self,
        id: &str,
        now: i64,
        change: impl FnOnce(&mut Map),
    ) -> Result<(), Refused> {
        let Some(old) = self.node(id).cloned() else { return Ok(()) };
        let Some(next) = next_version(&old, now, change) else { return Ok(()) };
        if next.metadata.weight() > MAX_METADATA {
            return self.refuse();
        }
        let next = Rc::new(next);
        let slot = self.node_at.get(id).copied().unwrap_or(u32::MAX);
        if let Some(place) = self.places.get_mut(slot as usize) {
            place.node = Some(Rc::clone(&next));
        }
        let weight = old.metadata.weight_beside(&next.metadata);
        self.keep(now, weight, Past::Node(Rc::clone(&old)));
        self.tell(Event::NodeUpdated(next, old));
        Ok(())
    }

    /// Removes a node and, before it, its edges.
    pub fn remove_node(&mut self, id: &str, now: i64) {
        let Some(&slot) = self.node_at.get(id) else { return };
        let edges = self.places.get(slot as usize).map(|place| place.edges.clone());
        for edge in edges.unwrap_or_default() {
            self.remove_edge_at(edge, now);
        }
        let Some(node) = self.places.get_mut(slot as usize).and_then(|place| place.node.take())
        else {
            return;
        };
        self.node_at.remove(id);
        self.free_places.push(slot);
        let mut gone = Node::clone(&node);
        gone.deleted = Some(now);
        let gone = Rc::new(gone);
        self.keep(now, gone.metadata.weight(), Past::Node(Rc::clone(&gone)));
        self.tell(Event::NodeDeleted(gone));
    }

    /// Adds an edge, or replaces the metadata of the one with its id.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn add_edge(&mut self, edge: Edge) -> Result<(), Refused> {
        let (Some(&parent), Some(&child)) =
            (self.node_at.get(&edge.parent), self.node_at.get(&edge.child))
        else {
            return Err(Refused::NoEnd);
        };
        if let Some(old) = self.edge(&edge.element.id) {
            if old.parent == edge.parent && old.child == edge.child {
                let now = edge.element.updated;
                let id = Rc::clone(&edge.element.id);
                return self.update_edge(&id, now, |metadata| *metadata = edge.element.metadata);
            }
            let id = Rc::clone(&edge.element.id);
            self.remove_edge(&id, edge.element.updated);
        }
        if self.edge_at.len() >= MAX_EDGES || edge.element.metadata.weight() > MAX_METADATA {
            return self.refuse();
        }
        let edge = Rc::new(edge);
        let slot = put(&mut self.edges, &mut self.free_edges, Some(Rc::clone(&edge)));
        self.edge_at.insert(Rc::clone(&edge.element.id), slot);
        for end in [parent, child] {
            if let Some(place) = self.places.get_mut(end as usize)
                && !place.edges.contains(&slot)
            {
                place.edges.push(slot);
            }
        }
        self.tell(Event::EdgeAdded(edge));
        Ok(())
    }

    /// Changes the metadata of an edge, like [`Self::update_node`].
    ///
    /// # Errors
    /// [`Refused::Full`] if it would become too large.
    pub fn update_edge(
        &mut self,
        id: &str,
        now: i64,
        change: impl FnOnce(&mut Map),
    ) -> Result<(), Refused> {
        let Some(old) = self.edge(id).cloned() else { return Ok(()) };
        let Some(element) = next_version(&old.element, now, change) else { return Ok(()) };
        if element.metadata.weight() > MAX_METADATA {
            return self.refuse();
        }
        let next = Rc::new(Edge { element, ..Edge::clone(&old) });
        let slot = self.edge_at.get(id).copied().unwrap_or(u32::MAX);
        if let Some(place) = self.edges.get_mut(slot as usize) {
            *place = Some(Rc::clone(&next));
        }
        let weight = old.element.metadata.weight_beside(&next.element.metadata);
        self.keep(now, weight, Past::Edge(Rc::clone(&old)));
        self.tell(Event::EdgeUpdated(next, old));
        Ok(())
    }

    /// Removes an edge.
    pub fn remove_edge(&mut self, id: &str, now: i64) {
        if let Some(&slot) = self.edge_at.get(id) {
            self.remove_edge_at(slot, now);
        }
    }

    /// Adds the edge of this relation between two nodes that are there; its id follows from them.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn link(&mut self, edge: Link<'_>, metadata: Map, now: i64) -> Result<(), Refused> {
        let Link { parent, child, relation, host, origin } = edge;
        let (Some(from), Some(to)) = (self.node(parent), self.node(child)) else {
            return Err(Refused::NoEnd);
        };
        let (parent, child) = (Rc::clone(&from.id), Rc::clone(&to.id));
        let id = edge_id(&parent, &child, relation);
        let mut metadata = metadata.with("RelationType", relation);
        metadata.trim();
        let element = Element::new(id, metadata, host, origin, now);
        self.add_edge(Edge { element, parent, child })
    }

    /// Takes the changes since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether there are changes to take.
    #[must_use]
    pub const fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Counts changes: as long as it stays the same, so does every answer about the present.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The node of that id.
    #[must_use]
    pub fn node(&self, id: &str) -> Option<&Rc<Node>> {
        let slot = *self.node_at.get(id)?;
        self.places.get(slot as usize)?.node.as_ref()
    }

    /// The edge of that id.
    #[must_use]
    pub fn edge(&self, id: &str) -> Option<&Rc<Edge>> {
        let slot = *self.edge_at.get(id)?;
        self.edges.get(slot as usize)?.as_ref()
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Rc<Node>> {
        self.places.iter().filter_map(|place| place.node.as_ref())
    }

    /// The nodes from a place on, each with its place: as long as a node is there it keeps it.
    pub fn nodes_from(&self, place: u64) -> impl Iterator<Item = (u64, &Rc<Node>)> {
        let skipped = usize::try_from(place).unwrap_or(usize::MAX);
        let rest = self.places.get(skipped..).unwrap_or_default();
        (place..).zip(rest).filter_map(|(at, place)| Some((at, place.node.as_ref()?)))
    }

    /// All edges.
    pub fn edges(&self) -> impl Iterator<Item = &Rc<Edge>> {
        self.edges.iter().flatten()
    }

    /// The edges at a node, either way.
    pub fn edges_of(&self, id: &str) -> impl Iterator<Item = &Rc<Edge>> {
        let place = self.node_at.get(id).and_then(|slot| self.places.get(*slot as usize));
        let slots = place.map(|place| place.edges.as_slice()).unwrap_or_default();
        slots.iter().filter_map(|slot| self.edges.get(*slot as usize)?.as_ref())
    }

    /// The node that owns a node: a namespace or the host.
    #[must_use]
    pub fn owner(&self, id: &str) -> Option<&Rc<Node>> {
        let owns = |edge: &&Rc<Edge>| &*edge.child == id && edge.relation() == Some("ownership");
        let edge = self.edges_of(id).find(owns)?;
        self.node(&edge.parent)
    }

    /// Nodes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.node_at.len()
    }

    /// Whether there are no nodes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.node_at.is_empty()
    }

    /// Edges.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.edge_at.len()
    }

    /// The graph as it was during a stretch of time: what existed at any moment of it, each in
    /// its last version of that stretch. Shares all versions with this one.
    #[must_use]
    pub fn during(&self, slice: Slice) -> Self {
        let mut nodes: Vec<&Rc<Node>> = self.nodes().collect();
        let mut edges: Vec<&Rc<Edge>> = self.edges().collect();
        nodes.retain(|node| node.updated <= slice.to);
        edges.retain(|edge| edge.element.updated <= slice.to);
        for old in self.history.iter().rev().filter(|old| old.until > slice.from) {
            match &old.past {
                Past::Node(node) if node.updated <= slice.to => nodes.push(node),
                Past::Edge(edge) if edge.element.updated <= slice.to => edges.push(edge),
                Past::Node(_) | Past::Edge(_) => {}
            }
        }
        // The newest version of each comes first, and only that is taken.
        let mut then = Self::default();
        for node in nodes {
            then.share_node(node);
        }
        for edge in edges {
            then.share_edge(edge);
        }
        then
    }

    /// Adds a node of another graph, unless there is one of its id. Nobody is told: this is for
    /// graphs that are only asked.
    pub fn share_node(&mut self, node: &Rc<Node>) {
        if !self.node_at.contains_key(&node.id) {
            let place = Place { node: Some(Rc::clone(node)), edges: Vec::new() };
            let slot = put(&mut self.places, &mut self.free_places, place);
            self.node_at.insert(Rc::clone(&node.id), slot);
        }
    }

    /// Adds an edge of another graph, unless there is one of its id or an end of it is not here.
    pub fn share_edge(&mut self, edge: &Rc<Edge>) {
        let ends = (self.node_at.get(&edge.parent), self.node_at.get(&edge.child));
        let (Some(&parent), Some(&child)) = ends else { return };
        if self.edge_at.contains_key(&edge.element.id) {
            return;
        }
        let slot = put(&mut self.edges, &mut self.free_edges, Some(Rc::clone(edge)));
        self.edge_at.insert(Rc::clone(&edge.element.id), slot);
        for end in [parent, child] {
            if let Some(place) = self.places.get_mut(end as usize)
                // An edge from a node to itself is there once; nothing else can be there yet.
                && place.edges.last() != Some(&slot)
            {
                place.edges.push(slot);
            }
        }
    }

    /// The versions of nodes that ceased to be true during a stretch of time, or after it, the
    /// oldest first.
    pub fn past_nodes(&self, slice: Slice) -> impl Iterator<Item = &Rc<Node>> {
        let past = self.history.iter().filter(move |old| old.until > slice.from);
        past.filter_map(move |old| match &old.past {
            Past::Node(node) if node.updated <= slice.to => Some(node),
            _ => None,
        })
    }

    /// The versions that a node had during a stretch of time, the oldest first.
    #[must_use]
    pub fn versions(&self, id: &str, slice: Slice) -> Vec<Rc<Node>> {
        let past = self.past_nodes(slice).filter(|node| &*node.id == id);
        let now = self.node(id).filter(|node| node.updated <= slice.to);
        past.chain(now).cloned().collect()
    }

    fn remove_edge_at(&mut self, slot: u32, now: i64) {
        let Some(edge) = self.edges.get_mut(slot as usize).and_then(Option::take) else { return };
        for end in [&edge.parent, &edge.child] {
            let place = self.node_at.get(end).and_then(|at| self.places.get_mut(*at as usize));
            if let Some(place) = place {
                place.edges.retain(|known| *known != slot);
            }
        }
        self.edge_at.remove(&edge.element.id);
        self.free_edges.push(slot);
        let mut gone = Edge::clone(&edge);
        gone.element.deleted = Some(now);
        let gone = Rc::new(gone);
        self.keep(now, gone.element.metadata.weight(), Past::Edge(Rc::clone(&gone)));
        self.tell(Event::EdgeDeleted(gone));
    }

    fn keep(&mut self, until: i64, weight: usize, past: Past) {
        let weight = weight.saturating_add(size_of::<Edge>());
        self.history_bytes = self.history_bytes.saturating_add(weight);
        self.history.push_back(Old { until, weight, past });
        while self.history.len() > MAX_HISTORY || self.history_bytes > MAX_HISTORY_BYTES {
            let Some(oldest) = self.history.pop_front() else { break };
            self.history_bytes = self.history_bytes.saturating_sub(oldest.weight);
        }
    }

    fn tell(&mut self, event: Event) {
        self.revision = self.revision.wrapping_add(1);
        self.events.push(event);
    }

    const fn refuse(&mut self) -> Result<(), Refused> {
        self.refused = self.refused.saturating_add(1);
        Err(Refused::Full)
    }
}

/// What [`Graph::link`] makes an edge of.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The node it leads from.
    pub parent: &'a str,
    /// The node it leads to.
    pub child: &'a str,
    /// `ownership`, `layer2` or another kind.
    pub relation: &'static str,
    /// The machine it belongs to.
    pub host: &'a Rc<str>,
    /// Who makes it.
    pub origin: &'a Rc<str>,
}

/// The id of the edge of this relation between two nodes.
#[must_use]
pub fn edge_id(parent: &str, child: &str, relation: &str) -> Id {
    Uuid::named(OID, &[parent, child, relation]).to_string().into()
}

impl Element {
    /// A first version.
    #[must_use]
    pub fn new(id: Id, metadata: Map, host: &Rc<str>, origin: &Rc<str>, now: i64) -> Self {
        Self {
            id,
            metadata,
            host: Rc::clone(host),
            origin: Rc::clone(origin),
            created: now,
            updated: now,
            deleted: None,
            revision: 1,
        }
    }

    /// Its `Name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.text("Name").unwrap_or("")
    }

    /// Its `Type`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.metadata.text("Type").unwrap_or("")
    }

    /// Its `TID`.
    #[must_use]
    pub fn tid(&self) -> Option<&str> {
        self.metadata.text("TID")
    }

    /// Appends it as a JSON object.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        self.write_members(out);
        out.push(b'}');
    }

    fn write_members(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\"ID\":");
        json::string(out, &self.id);
        out.extend_from_slice(b",\"Metadata\":");
        self.metadata.write(out);
        out.extend_from_slice(b",\"Host\":");
        json::string(out, &self.host);
        out.extend_from_slice(b",\"Origin\":");
        json::string(out, &self.origin);
        out.extend_from_slice(b",\"CreatedAt\":");
        json::signed(out, self.created);
        out.extend_from_slice(b",\"UpdatedAt\":");
        json::signed(out, self.updated);
        out.extend_from_slice(b",\"DeletedAt\":");
        match self.deleted {
            Some(at) => json::signed(out, at),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"Revision\":");
        json::unsigned(out, self.revision);
    }
}

impl Edge {
    /// Its `RelationType`.
    #[must_use]
    pub fn relation(&self) -> Option<&str> {
        self.element.metadata.text("RelationType")
    }

    /// Appends it as a JSON object.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        self.element.write_members(out);
        out.extend_from_slice(b",\"Parent\":");
        json::string(out, &self.parent);
        out.extend_from_slice(b",\"Child\":");
        json::string(out, &self.child);
        out.push(b'}');
    }
}

/// The version after `old`; `None` if the change changes nothing.
fn next_version(old: &Element, now: i64, change: impl FnOnce(&mut Map)) -> Option<Element> {
    let mut metadata = old.metadata.clone();
    change(&mut metadata);
    metadata.trim();
    if metadata == old.metadata {
        return None;
    }
    // Time may have been set back: versions keep their order.
    let updated = now.max(old.updated);
    Some(Element { metadata, updated, revision: old.revision.saturating_add(1), ..old.clone() })
}

/// Puts an item into a free slot, or a new one.
fn put<T>(slots: &mut Vec<T>, free: &mut Vec<u32>, item: T) -> u32 {
    if let Some(slot) = free.pop()
        && let Some(place) = slots.get_mut(slot as usize)
    {
        *place = item;
        return slot;
    }
    slots.push(item);
    u32::try_from(slots.len().saturating_sub(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, now: i64) -> Node {
        let metadata = Map::new().with("Name", id).with("Type", "veth");
        Element::new(id.into(), metadata, &"h".into(), &"agent.h".into(), now)
    }

    fn link(graph: &mut Graph, parent: &str, child: &str, now: i64) -> Result<(), Refused> {
        let (host, origin) = ("h".into(), "agent.h".into());
        let edge = Link { parent, child, relation: "layer2", host: &host, origin: &origin };
        graph.link(edge, Map::new(), now)
    }

    fn names(graph: &Graph) -> Vec<String> {
        let mut names: Vec<String> = graph.nodes().map(|node| node.id.to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_node_takes_its_edges_with_it_and_they_go_first() {
        let mut graph = Graph::default();
        for id in ["a", "b", "c"] {
            graph.add_node(node(id, 1)).unwrap();
        }
        link(&mut graph, "a", "b", 1).unwrap();
        link(&mut graph, "b", "c", 1).unwrap();
        assert_eq!(link(&mut graph, "b", "z", 1), Err(Refused::NoEnd));
        graph.take_events();
        graph.remove_node("b", 5);
        let events = graph.take_events();
        assert!(matches!(
            &events[..],
            [Event::EdgeDeleted(_), Event::EdgeDeleted(_), Event::NodeDeleted(gone)]
                if gone.deleted == Some(5)
        ));
        assert_eq!((graph.len(), graph.edge_count()), (2, 0));
        assert_eq!(graph.edges_of("a").count(), 0);
    }

    #[test]
    fn revisions_count_changes_and_nothing_else() {
        let mut graph = Graph::default();
        graph.add_node(node("a", 1)).unwrap();
        graph.take_events();
        graph
            .update_node("a", 2, |m| {
                m.set("Name", "a");
            })
            .unwrap();
        assert!(!graph.has_events());
        graph
            .update_node("a", 3, |m| {
                m.set("MTU", 1500_i64);
            })
            .unwrap();
        let node = graph.node("a").unwrap();
        assert_eq!((node.revision, node.created, node.updated), (2, 1, 3));
        assert!(matches!(&graph.take_events()[..], [Event::NodeUpdated(new, old)]
            if new.revision == 2 && old.revision == 1));
    }

    #[test]
    fn the_past_is_as_it_was() {
        let mut graph = Graph::default();
        graph.add_node(node("a", 10)).unwrap();
        graph.add_node(node("b", 20)).unwrap();
        link(&mut graph, "a", "b", 20).unwrap();
        graph
            .update_node("a", 30, |m| {
                m.set("MTU", 1_i64);
            })
            .unwrap();
        graph.remove_node("b", 40);
        graph
            .update_node("a", 50, |m| {
                m.set("MTU", 2_i64);
            })
            .unwrap();
        let at = |t| graph.during(Slice { from: t, to: t });
        let mtu = |g: &Graph| g.node("a").and_then(|n| n.metadata.int("MTU"));
        assert!(at(9).is_empty());
        assert_eq!(names(&at(10)), ["a"]);
        assert_eq!(names(&at(25)), ["a", "b"]);
        assert_eq!((mtu(&at(25)), at(25).edge_count()), (None, 1));
        assert_eq!((mtu(&at(35)), at(35).edges_of("a").count()), (Some(1), 1));
        assert_eq!((names(&at(45)), mtu(&at(45))), (vec!["a".to_owned()], Some(1)));
        assert_eq!(mtu(&at(60)), Some(2));
        let whole = graph.during(Slice { from: 0, to: 60 });
        assert_eq!((names(&whole).len(), mtu(&whole)), (2, Some(2)));
        let versions = graph.versions("a", Slice { from: 25, to: 60 });
        let seen: Vec<_> = versions.iter().map(|n| n.metadata.int("MTU")).collect();
        assert_eq!(seen, [None, Some(1), Some(2)]);
    }

    #[test]
    fn history_and_tables_are_bounded() {
        let mut graph = Graph::default();
        graph.add_node(node("a", 0)).unwrap();
        for n in 1..10_000_i64 {
            graph
                .update_node("a", n, |m| {
                    m.set("MTU", n);
                })
                .unwrap();
        }
        assert!(graph.history.len() <= MAX_HISTORY);
        assert!(graph.history_bytes <= MAX_HISTORY_BYTES);
        for n in 1..MAX_NODES {
            graph.add_node(node(&n.to_string(), 0)).unwrap();
        }
        assert_eq!(graph.add_node(node("x", 0)), Err(Refused::Full));
        let huge = "x".repeat(MAX_METADATA);
        let grown = graph.update_node("a", 0, |m| {
            m.set("Text", huge.as_str());
        });
        assert_eq!((grown, graph.refused), (Err(Refused::Full), 2));
    }

    #[test]
    fn nodes_and_edges_are_shown_as_clients_expect_them() {
        let mut graph = Graph::default();
        graph.add_node(node("a", 7)).unwrap();
        graph.add_node(node("b", 7)).unwrap();
        link(&mut graph, "a", "b", 8).unwrap();
        let mut out = Vec::new();
        graph.node("a").unwrap().write(&mut out);
        let expected = r#"{"ID":"a","Metadata":{"Name":"a","Type":"veth"},"Host":"h","Origin":"agent.h","CreatedAt":7,"UpdatedAt":7,"DeletedAt":null,"Revision":1}"#;
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
        out.clear();
        graph.edges().next().unwrap().write(&mut out);
        let edge: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&edge["Parent"], &edge["Child"]), (&"a".into(), &"b".into()));
        assert_eq!(edge["ID"], *edge_id("a", "b", "layer2"));
    }
}
