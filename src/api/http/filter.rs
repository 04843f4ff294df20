//! A Gremlin filter on what a client sees of the graph: the query is run again whenever the graph
//! has changed, and only the difference is told.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::core::Agent;
use crate::query::{Answer, Error, Query, Run};
use crate::topology::graph::{Edge, Event, Id, Node};

/// What a client sees.
#[derive(Debug)]
pub(super) struct Filter {
    query: Query,
    run: Option<Box<Run>>,
    /// The revision of the graph that was seen when the run began, or the last one ended.
    revision: Option<u64>,
    nodes: HashMap<Id, Rc<Node>>,
    edges: HashMap<Id, Rc<Edge>>,
    /// Changes that are not told yet.
    changes: VecDeque<Event>,
    /// Nobody was told of anything: the first answer is what the changes start from.
    is_new: bool,
}

/// Why a filter cannot go on.
#[derive(Debug)]
pub(super) enum Fault {
    /// The query has no answer.
    Error(Error),
    /// The answer is no graph.
    NoGraph,
}

impl Filter {
    pub(super) fn new(query: Query) -> Self {
        Self {
            query,
            run: None,
            revision: None,
            nodes: HashMap::new(),
            edges: HashMap::new(),
            changes: VecDeque::new(),
            is_new: true,
        }
    }

    /// Whether the graph has changed since the filter last looked, or it is looking.
    pub(super) fn is_behind(&self, agent: &Agent) -> bool {
        self.run.is_some() || self.revision != Some(agent.graph.revision())
    }

    pub(super) const fn query(&self) -> &Query {
        &self.query
    }

    /// Whether there are changes to tell.
    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The next change to tell.
    pub(super) fn next(&mut self) -> Option<Event> {
        self.changes.pop_front()
    }

    /// Looks a bounded way further; `true` once it has seen the graph as it is.
    pub(super) fn advance(&mut self, agent: &Agent) -> Result<bool, Fault> {
        if !self.is_behind(agent) {
            return Ok(true);
        }
        let mut run = match self.run.take() {
            Some(run) => run,
            None => {
                self.revision = Some(agent.graph.revision());
                Box::new(Run::new(self.query.clone()))
            }
        };
        if !agent.advance_query(&mut run).map_err(Fault::Error)? {
            self.run = Some(run);
            return Ok(false);
        }
        let Some(Answer::Graph { nodes, edges }) = run.answer() else {
            return Err(Fault::NoGraph);
        };
        let nodes = nodes.iter().map(|node| (Rc::clone(&node.id), Rc::clone(node))).collect();
        let edges =
            edges.iter().map(|edge| (Rc::clone(&edge.element.id), Rc::clone(edge))).collect();
        self.become_this(nodes, edges);
        Ok(true)
    }

    /// Everything that the client sees, as it is sent to it now: changes that were not told yet
    /// are told by this.
    pub(super) fn all(&mut self) -> (Vec<Rc<Node>>, Vec<Rc<Edge>>) {
        self.changes.clear();
        (self.nodes.values().cloned().collect(), self.edges.values().cloned().collect())
    }

    /// Notes the difference: edges go before their nodes, and come after them.
    fn become_this(&mut self, nodes: HashMap<Id, Rc<Node>>, edges: HashMap<Id, Rc<Edge>>) {
        let old_nodes = std::mem::replace(&mut self.nodes, nodes);
        let old_edges = std::mem::replace(&mut self.edges, edges);
        if std::mem::replace(&mut self.is_new, false) {
            return;
        }
        let changes = &mut self.changes;
        for (id, edge) in &old_edges {
            if !self.edges.contains_key(id) {
                changes.push_back(Event::EdgeDeleted(Rc::clone(edge)));
            }
        }
        for (id, node) in &old_nodes {
            if !self.nodes.contains_key(id) {
                changes.push_back(Event::NodeDeleted(Rc::clone(node)));
            }
        }
        for (id, node) in &self.nodes {
            match old_nodes.get(id) {
                None => changes.push_back(Event::NodeAdded(Rc::clone(node))),
                Some(old) if Rc::ptr_eq(old, node) => {}
                Some(old) => {
                    changes.push_back(Event::NodeUpdated(Rc::clone(node), Rc::clone(old)));
                }
            }
        }
        for (id, edge) in &self.edges {
            match old_edges.get(id) {
                None => changes.push_back(Event::EdgeAdded(Rc::clone(edge))),
                Some(old) if Rc::ptr_eq(old, edge) => {}
                Some(old) => {
                    changes.push_back(Event::EdgeUpdated(Rc::clone(edge), Rc::clone(old)));
                }
            }
        }
    }
}
