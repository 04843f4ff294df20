//! Steps along edges: from nodes to nodes or edges, from edges to nodes, to all that is near.

use std::collections::HashSet;
use std::rc::Rc;

use crate::topology::graph::{Edge, Graph, Id, Node};

use super::predicate::Filter;
use super::step::Way;
use super::task::{Data, Each, Scope, Task};
use super::{Answer, Error};

/// Edges of one node that are followed without a pause: the host has as many as interfaces.
pub(super) const EDGES: usize = 2_048;

/// Nodes at the other end of the edges of nodes; as often as there are edges.
pub(super) fn nodes(input: Vec<Rc<Node>>, way: Way, filter: Filter, most: usize) -> Box<dyn Task> {
    Box::new(Each::new(input, most, Answer::Nodes, move |node: Rc<Node>, scope, out| {
        let mut cost = 0_usize;
        for other in around(scope.graph, &node.id, way) {
            cost = cost.saturating_add(1);
            if filter.matches(&**other, &mut cost) {
                out.push(Rc::clone(other));
            }
        }
        scope.spend(cost)
    }))
}

/// The nodes around one.
fn around<'a>(graph: &'a Graph, id: &'a str, way: Way) -> impl Iterator<Item = &'a Rc<Node>> {
    let other = move |edge: &'a Rc<Edge>| {
        let (is_parent, is_child) = (&*edge.parent == id, &*edge.child == id);
        match way {
            Way::Down if is_parent => Some(&edge.child),
            Way::Up if is_child => Some(&edge.parent),
            Way::Both if is_child => Some(&edge.parent),
            Way::Both => Some(&edge.child),
            Way::Down | Way::Up => None,
        }
    };
    graph.edges_of(id).filter_map(move |edge| graph.node(other(edge)?))
}

/// The edges of nodes.
pub(super) fn edges(input: Vec<Rc<Node>>, way: Way, filter: Filter, most: usize) -> Box<dyn Task> {
    Box::new(Each::new(input, most, Answer::Edges, move |node: Rc<Node>, scope, out| {
        let mut cost = 0_usize;
        for edge in scope.graph.edges_of(&node.id) {
            cost = cost.saturating_add(1);
            let fits = match way {
                Way::Both => true,
                Way::Down => edge.parent == node.id,
                Way::Up => edge.child == node.id,
            };
            if fits && filter.matches(&**edge, &mut cost) {
                out.push(Rc::clone(edge));
            }
        }
        scope.spend(cost)
    }))
}

/// The nodes of edges.
pub(super) fn ends(input: Vec<Rc<Edge>>, way: Way, filter: Filter, most: usize) -> Box<dyn Task> {
    Box::new(Each::new(input, most, Answer::Nodes, move |edge: Rc<Edge>, scope, out| {
        let mut cost = 0;
        let ids = match way {
            Way::Both => [Some(&edge.parent), Some(&edge.child)],
            Way::Down => [None, Some(&edge.child)],
            Way::Up => [Some(&edge.parent), None],
        };
        for node in ids.into_iter().flatten().filter_map(|id| scope.graph.node(id)) {
            if filter.matches(&**node, &mut cost) {
                out.push(Rc::clone(node));
            }
        }
        scope.spend(cost)
    }))
}

/// Nodes and those within some steps over edges, level by level, each once.
pub(super) struct Kin {
    way: Way,
    edges: Filter,
    /// Levels still to come.
    depth: usize,
    level: std::vec::IntoIter<Rc<Node>>,
    /// A node of it whose edges have been followed in part.
    open: Option<(Rc<Node>, usize)>,
    /// The nodes to begin with are still being taken.
    begins: bool,
    next: Vec<Rc<Node>>,
    seen: HashSet<Id>,
    output: Vec<Rc<Node>>,
}

impl Kin {
    pub(super) fn new(input: Vec<Rc<Node>>, way: Way, edges: Filter, depth: usize) -> Self {
        Self {
            way,
            edges,
            depth,
            level: input.into_iter(),
            open: None,
            begins: true,
            next: Vec::new(),
            seen: HashSet::new(),
            output: Vec::new(),
        }
    }

    fn take(&mut self, node: &Rc<Node>) {
        if self.seen.insert(Rc::clone(&node.id)) {
            self.output.push(Rc::clone(node));
            self.next.push(Rc::clone(node));
        }
    }
}

impl Task for Kin {
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Data>, Error> {
        while scope.may() {
            let next = self.open.take().or_else(|| self.level.next().map(|node| (node, 0)));
            let Some((node, from)) = next else {
                if self.next.is_empty() || self.depth == 0 {
                    return Ok(Some(Answer::Nodes(std::mem::take(&mut self.output)).into()));
                }
                self.depth = self.depth.saturating_sub(1);
                self.begins = false;
                self.level = std::mem::take(&mut self.next).into_iter();
                continue;
            };
            scope.spend(1)?;
            if self.begins {
                self.take(&node);
                continue;
            }
            let (mut cost, mut followed) = (0_usize, 0_usize);
            for edge in scope.graph.edges_of(&node.id).skip(from).take(EDGES) {
                followed = followed.saturating_add(1);
                cost = cost.saturating_add(2);
                let other = match self.way {
                    Way::Down if edge.parent == node.id => &edge.child,
                    Way::Up | Way::Both if edge.child == node.id => &edge.parent,
                    Way::Both => &edge.child,
                    Way::Down | Way::Up => continue,
                };
                if !self.seen.contains(other)
                    && self.edges.matches(&**edge, &mut cost)
                    && let Some(other) = scope.graph.node(other)
                {
                    self.take(other);
                }
            }
            if followed == EDGES {
                self.open = Some((node, from.saturating_add(EDGES)));
            }
            scope.spend(cost)?;
        }
        Ok(None)
    }
}
