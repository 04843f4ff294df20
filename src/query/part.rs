//! Parts of the graph: shortest ways through it, sub-graphs, and graphs made of those.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::vec::IntoIter;

use crate::topology::graph::{Edge, Graph, Id, Node};

use super::collect::Seen;
use super::predicate::Filter;
use super::task::{Data, Scope, Task};
use super::walk::EDGES;
use super::{Answer, Error};

/// The shortest ways from nodes to the nearest of those that match. One walk outward from all
/// targets at once finds the way of every start.
pub(super) struct Paths {
    to: Filter,
    over: Filter,
    /// Nodes that may be targets.
    candidates: IntoIter<Rc<Node>>,
    /// Nodes to go on from, and how many of their edges have been followed.
    queue: VecDeque<(Rc<Node>, usize)>,
    /// Where to go next on the way to the nearest target; a target itself has nowhere to go.
    next: HashMap<Id, Option<Rc<Node>>>,
    starts: IntoIter<Rc<Node>>,
    /// Nodes in all paths so far.
    length: usize,
    output: Vec<Vec<Rc<Node>>>,
}

impl Paths {
    pub(super) fn new(starts: Vec<Rc<Node>>, to: Filter, over: Filter, graph: &Graph) -> Self {
        Self {
            to,
            over,
            candidates: graph.nodes().cloned().collect::<Vec<_>>().into_iter(),
            queue: VecDeque::new(),
            next: HashMap::new(),
            starts: starts.into_iter(),
            length: 0,
            output: Vec::new(),
        }
    }

    fn spread(&mut self, node: Rc<Node>, from: usize, scope: &mut Scope<'_>) -> Result<(), Error> {
        let (mut cost, mut followed) = (1_usize, 0_usize);
        for edge in scope.graph.edges_of(&node.id).skip(from).take(EDGES) {
            followed = followed.saturating_add(1);
            // Looking up what is known of the other end costs more than a look at an element.
            cost = cost.saturating_add(3);
            let other = if edge.child == node.id { &edge.parent } else { &edge.child };
            if !self.next.contains_key(other)
                && self.over.matches(&**edge, &mut cost)
                && let Some(other) = scope.graph.node(other)
            {
                self.next.insert(Rc::clone(&other.id), Some(Rc::clone(&node)));
                self.queue.push_back((Rc::clone(other), 0));
            }
        }
        if followed == EDGES {
            self.queue.push_front((node, from.saturating_add(EDGES)));
        }
        scope.spend(cost)
    }
}

impl Task for Paths {
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Data>, Error> {
        while scope.may() {
            if let Some(node) = self.candidates.next() {
                let mut cost = 1;
                if self.to.matches(&*node, &mut cost) {
                    self.next.insert(Rc::clone(&node.id), None);
                    self.queue.push_back((node, 0));
                }
                scope.spend(cost)?;
            } else if let Some((node, from)) = self.queue.pop_front() {
                self.spread(node, from, scope)?;
            } else if let Some(start) = self.starts.next() {
                let mut path = Vec::new();
                let mut at = self.next.get(&start.id).map(|_| start);
                while let Some(node) = at {
                    at = self.next.get(&node.id).cloned().flatten();
                    path.push(node);
                }
                self.length = self.length.saturating_add(path.len());
                scope.check(self.length)?;
                scope.spend(path.len().saturating_add(1))?;
                self.output.extend(Some(path).filter(|path| !path.is_empty()));
            } else {
                return Ok(Some(Answer::Paths(std::mem::take(&mut self.output)).into()));
            }
        }
        Ok(None)
    }
}

/// Nodes with the edges between them, or edges with the nodes at their ends.
pub(super) struct Part {
    filter: Filter,
    given_nodes: IntoIter<Rc<Node>>,
    given_edges: IntoIter<Rc<Edge>>,
    seen_edges: Seen,
    members: HashMap<Id, ()>,
    nodes: Vec<Rc<Node>>,
    edges: Vec<Rc<Edge>>,
    /// Nodes whose edges have been looked at.
    linked: usize,
    /// Edges of the next one that have been looked at.
    followed: usize,
    by_edges: bool,
}

impl Part {
    pub(super) fn of_nodes(nodes: Vec<Rc<Node>>, filter: Filter) -> Self {
        Self::new(nodes, Vec::new(), filter, false)
    }

    pub(super) fn of_edges(edges: Vec<Rc<Edge>>, filter: Filter) -> Self {
        Self::new(Vec::new(), edges, filter, true)
    }

    fn new(nodes: Vec<Rc<Node>>, edges: Vec<Rc<Edge>>, filter: Filter, by_edges: bool) -> Self {
        Self {
            filter,
            given_nodes: nodes.into_iter(),
            given_edges: edges.into_iter(),
            seen_edges: Seen::default(),
            members: HashMap::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
            linked: 0,
            followed: 0,
            by_edges,
        }
    }

    fn take(&mut self, node: &Rc<Node>) {
        if self.members.insert(Rc::clone(&node.id), ()).is_none() {
            self.nodes.push(Rc::clone(node));
        }
    }

    fn take_edge(&mut self, edge: Rc<Edge>, scope: &mut Scope<'_>) -> Result<(), Error> {
        let mut cost = 1;
        let ends = (scope.graph.node(&edge.parent), scope.graph.node(&edge.child));
        if let (Some(parent), Some(child)) = ends
            && self.filter.matches(&*edge, &mut cost)
            && self.seen_edges.insert(edge.element.id.as_bytes())
        {
            self.take(parent);
            self.take(child);
            self.edges.push(edge);
        }
        scope.spend(cost)
    }

    /// Takes the edges that lead from a node to another of the part.
    fn link(&mut self, node: &Node, scope: &mut Scope<'_>) -> Result<(), Error> {
        let (mut cost, mut followed) = (1_usize, 0_usize);
        for edge in scope.graph.edges_of(&node.id).skip(self.followed).take(EDGES) {
            followed = followed.saturating_add(1);
            cost = cost.saturating_add(2);
            if edge.parent == node.id
                && self.members.contains_key(&edge.child)
                && self.filter.matches(&**edge, &mut cost)
            {
                self.edges.push(Rc::clone(edge));
            }
        }
        if followed == EDGES {
            self.followed = self.followed.saturating_add(EDGES);
        } else {
            self.linked = self.linked.saturating_add(1);
            self.followed = 0;
        }
        scope.check(self.edges.len())?;
        scope.spend(cost)
    }
}

impl Task for Part {
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Data>, Error> {
        while scope.may() {
            if let Some(node) = self.given_nodes.next() {
                self.take(&node);
                scope.spend(3)?;
            } else if let Some(edge) = self.given_edges.next() {
                self.take_edge(edge, scope)?;
            } else if let Some(node) =
                self.nodes.get(self.linked).filter(|_| !self.by_edges).cloned()
            {
                self.link(&node, scope)?;
            } else {
                let nodes = std::mem::take(&mut self.nodes);
                let edges = std::mem::take(&mut self.edges);
                return Ok(Some(Answer::Graph { nodes, edges }.into()));
            }
        }
        Ok(None)
    }
}

/// Makes a part into a graph of its own, for the steps that follow.
pub(super) struct Settle {
    nodes: IntoIter<Rc<Node>>,
    edges: IntoIter<Rc<Edge>>,
    graph: Graph,
}

impl Settle {
    pub(super) fn new(nodes: Vec<Rc<Node>>, edges: Vec<Rc<Edge>>) -> Self {
        Self { nodes: nodes.into_iter(), edges: edges.into_iter(), graph: Graph::default() }
    }
}

impl Task for Settle {
    fn run(&mut self, scope: &mut Scope<'_>) -> Result<Option<Data>, Error> {
        while scope.may() {
            // Each costs some entries of tables.
            scope.spend(10)?;
            if let Some(node) = self.nodes.next() {
                self.graph.share_node(&node);
            } else if let Some(edge) = self.edges.next() {
                self.graph.share_edge(&edge);
            } else {
                return Ok(Some(Data::Part(Rc::new(std::mem::take(&mut self.graph)))));
            }
        }
        Ok(None)
    }
}
