//! Nodes and edges that clients bring: added, altered and taken away under the client's own
//! origin, so that all of them can go when the client does.

use std::collections::HashSet;
use std::rc::Rc;

use crate::topology::graph::{Edge, Element, Id, Refused};
use crate::topology::value::{Map, Value};

use super::agent::Agent;

/// A node as a client describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeDraft {
    /// What the client calls it.
    pub id: Id,
    /// What is known of it.
    pub metadata: Map,
    /// The machine it belongs to, if the client says so.
    pub host: Option<Rc<str>>,
    /// Milliseconds since 1970, if the client says so.
    pub created: Option<i64>,
}

/// An edge as a client describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeDraft {
    /// What it shares with nodes.
    pub element: NodeDraft,
    /// The node it leads from.
    pub parent: Id,
    /// The node it leads to.
    pub child: Id,
}

/// One change of metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// A member is taken out, by its dotted path.
    Delete(String),
    /// A member is set, by its dotted path.
    Set(String, Value),
}

/// A change of the graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Adds an edge, or alters the one of its id.
    PutEdge(EdgeDraft),
    /// Adds a node, or alters the one of its id.
    PutNode(NodeDraft),
    /// Alters the metadata of an edge.
    PatchEdge(Id, Vec<Patch>),
    /// Alters the metadata of a node.
    PatchNode(Id, Vec<Patch>),
    /// Takes an edge away.
    RemoveEdge(Id),
    /// Takes a node away, with its edges.
    RemoveNode(Id),
    /// Everything that the client has brought, in place of what it brought before.
    Replace(Vec<NodeDraft>, Vec<EdgeDraft>),
}

/// Who brings something.
#[derive(Clone, Debug)]
pub struct Author {
    /// The machine that things belong to unless they say otherwise.
    pub host: Rc<str>,
    /// `<kind of client>.<its name>`.
    pub origin: Rc<str>,
}

impl Agent {
    /// Carries out a change.
    ///
    /// # Errors
    /// See [`Refused`]; of several changes those before it are done.
    pub fn edit(&mut self, edit: Edit, author: &Author) -> Result<(), Refused> {
        let now = self.clock.wall.millis();
        match edit {
            Edit::PutNode(draft) => self.graph.add_node(element(draft, author, now)),
            Edit::PutEdge(draft) => self.graph.add_edge(edge(draft, author, now)),
            Edit::PatchNode(id, patches) => {
                self.graph.update_node(&id, now, |metadata| apply(metadata, patches))
            }
            Edit::PatchEdge(id, patches) => {
                self.graph.update_edge(&id, now, |metadata| apply(metadata, patches))
            }
            Edit::RemoveNode(id) => {
                self.graph.remove_node(&id, now);
                Ok(())
            }
            Edit::RemoveEdge(id) => {
                self.graph.remove_edge(&id, now);
                Ok(())
            }
            Edit::Replace(nodes, edges) => {
                let kept = nodes.iter().map(|node| Rc::clone(&node.id));
                let kept: HashSet<Id> =
                    kept.chain(edges.iter().map(|edge| Rc::clone(&edge.element.id))).collect();
                self.withdraw_but(&author.origin, &kept);
                for node in nodes {
                    self.graph.add_node(element(node, author, now))?;
                }
                for draft in edges {
                    self.graph.add_edge(edge(draft, author, now))?;
                }
                Ok(())
            }
        }
    }

    /// Takes away everything of an origin.
    pub fn withdraw(&mut self, origin: &str) {
        self.withdraw_but(origin, &HashSet::new());
    }

    fn withdraw_but(&mut self, origin: &str, kept: &HashSet<Id>) {
        let now = self.clock.wall.millis();
        let of_it = |element: &Element| &*element.origin == origin && !kept.contains(&element.id);
        let edges = self.graph.edges().map(|edge| &edge.element).filter(|e| of_it(e));
        let edges: Vec<Id> = edges.map(|edge| Rc::clone(&edge.id)).collect();
        for id in edges {
            self.graph.remove_edge(&id, now);
        }
        let nodes = self.graph.nodes().filter(|node| of_it(node));
        let nodes: Vec<Id> = nodes.map(|node| Rc::clone(&node.id)).collect();
        for id in nodes {
            self.graph.remove_node(&id, now);
        }
    }
}

fn element(draft: NodeDraft, author: &Author, now: i64) -> Element {
    let host = draft.host.as_ref().unwrap_or(&author.host);
    let mut element = Element::new(draft.id, draft.metadata, host, &author.origin, now);
    element.created = draft.created.unwrap_or(now);
    element
}

fn edge(draft: EdgeDraft, author: &Author, now: i64) -> Edge {
    let element = element(draft.element, author, now);
    Edge { element, parent: draft.parent, child: draft.child }
}

fn apply(metadata: &mut Map, patches: Vec<Patch>) {
    for patch in patches {
        match patch {
            Patch::Delete(path) => {
                metadata.remove_path(&path);
            }
            Patch::Set(path, value) => {
                metadata.set_path(&path, value);
            }
        }
    }
}
