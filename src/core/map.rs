//! Answers from the map: its nodes, and the namespaces they are in.

use std::rc::Rc;

use crate::topology::graph::Node;
use crate::topology::value::{Map, Value as Known};

use super::agent::{Agent, Item, Reply};
use super::listing::Cursor;
use super::row::{Row, Value};

/// Which nodes are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeQuery {
    /// Only of this type.
    pub kind: Option<String>,
    /// Only of this name.
    pub name: Option<String>,
    /// Only in the namespace of this name; the empty name is the agent's own.
    pub namespace: Option<String>,
}

impl Agent {
    /// The next nodes behind `at`.
    pub(super) fn next_nodes(
        &self,
        query: &NodeQuery,
        at: &mut u64,
        next: &mut Option<u64>,
        most: usize,
        into: &mut Vec<Item>,
    ) -> bool {
        *next = None;
        for (place, node) in self.graph.nodes_from(*at) {
            if into.len() >= most {
                *next = Some(*at);
                return true;
            }
            *at = place.saturating_add(1);
            if self.is_wanted(node, query) {
                into.push(Item::Row(self.node_row(node)));
            }
        }
        false
    }

    /// The namespaces: those of the map, the agent's own first.
    pub(super) fn list_namespaces(&self) -> Reply {
        let rows = self.spaces.list().map(|(_, name, path, inode, interfaces)| {
            Row::new()
                .with("name", name.to_owned())
                .with("path", path.to_owned())
                .with("inode", inode)
                .with("interfaces", interfaces)
        });
        Reply::Rows(Cursor::ready(rows.collect(), Row::default()))
    }

    fn is_wanted(&self, node: &Rc<Node>, query: &NodeQuery) -> bool {
        query.kind.as_deref().is_none_or(|kind| kind == node.kind())
            && query.name.as_deref().is_none_or(|name| name == node.name())
            && query.namespace.as_deref().is_none_or(|name| name == self.namespace_of(node))
    }

    /// The name of the namespace that owns a node, empty for the agent's own.
    fn namespace_of(&self, node: &Rc<Node>) -> &str {
        let owner = self.graph.owner(&node.id);
        owner.filter(|owner| owner.kind() == "netns").map_or("", |owner| owner.name())
    }

    fn node_row(&self, node: &Rc<Node>) -> Row {
        let text = |key| node.metadata.text(key).unwrap_or("").to_owned();
        let number = |key| node.metadata.int(key).unwrap_or(0);
        let parent = self.graph.owner(&node.id).map_or("", |owner| &owner.id);
        let mut row = Row::new()
            .with("id", node.id.to_string())
            .with("type", node.kind().to_owned())
            .with("name", node.name().to_owned())
            .with("host", node.host.to_string())
            .with("netns", self.namespace_of(node).to_owned())
            .with("parent", parent.to_owned())
            .with("tid", text("TID"))
            .with("state", text("State"))
            .with("ifindex", number("IfIndex"))
            .with("mac", text("MAC"))
            .with("mtu", number("MTU"))
            .with("revision", node.revision)
            .with("updated", node.updated);
        row.push("metadata", of_map(&node.metadata));
        let edges = self.graph.edges_of(&node.id).filter(|edge| edge.child == node.id);
        let edges: Vec<Row> = edges
            .map(|edge| {
                let kind = edge.element.metadata.text("Type").unwrap_or("");
                Row::new()
                    .with("parent", edge.parent.to_string())
                    .with("relation", edge.relation().unwrap_or("").to_owned())
                    .with("type", kind.to_owned())
            })
            .collect();
        row.with("edges", edges)
    }
}

fn of_map(map: &Map) -> Row {
    map.iter().map(|(key, value)| (key.to_owned().into(), of_value(value))).collect()
}

fn of_value(value: &Known) -> Value {
    match value {
        Known::Null => "".into(),
        Known::Bool(value) => (*value).into(),
        Known::Int(value) => (*value).into(),
        Known::Float(value) => (*value).into(),
        Known::Text(text) => text.to_string().into(),
        Known::List(items) => Value::List(items.iter().map(of_value).collect()),
        Known::Map(map) => of_map(map).into(),
    }
}
