//! What a query answers.

use std::rc::Rc;

use crate::capture::flow::{Metric, RawPacket};
use crate::capture::{Flow, FlowRef};
use crate::topology::graph::{Edge, Id, Node};
use crate::topology::value::{Map, Value};

/// What a query answers. Flows are named, not copied: one that is gone by the time it is written
/// is left out.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Edges.
    Edges(Vec<Rc<Edge>>),
    /// Flows.
    Flows(Vec<FlowRef>),
    /// Nodes with the edges between them.
    Graph {
        /// The nodes.
        nodes: Vec<Rc<Node>>,
        /// The edges.
        edges: Vec<Rc<Edge>>,
    },
    /// Flows by the identity that groups them.
    Groups(Vec<(u64, Vec<FlowRef>)>),
    /// One metric, the sum of many; none if there were none.
    Metric(Option<Rc<Map>>),
    /// Metrics by what they are of.
    Metrics(Vec<(Owner, MetricsOf)>),
    /// Routes by the node that would take them.
    NextHops(Vec<(Id, Map)>),
    /// Nodes.
    Nodes(Vec<Rc<Node>>),
    /// A count or a sum.
    Number(Value),
    /// Packets of flows.
    Packets(Vec<PacketsOf>),
    /// Ways from one node to another, both included.
    Paths(Vec<Vec<Rc<Node>>>),
    /// Sockets by the node or flow they belong to.
    Sockets(Vec<(Owner, Vec<Value>)>),
    /// Plain values.
    Values(Vec<Value>),
}

/// What metrics and sockets belong to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Owner {
    /// All of them together.
    All,
    /// The flow of this identity.
    Flow(u64),
    /// The node of this id.
    Node(Id),
}

/// The metrics of one owner.
#[derive(Clone, Debug)]
pub enum MetricsOf {
    /// Of a flow.
    Flow(Metric),
    /// Of a node, the oldest first.
    Node(Vec<Rc<Map>>),
}

/// Kept packets of one flow.
#[derive(Clone, Debug)]
pub struct PacketsOf {
    /// The flow.
    pub flow: FlowRef,
    /// Which of its kept packets, counted from 0; `None` for all.
    pub which: Option<Box<[u32]>>,
}

impl PacketsOf {
    /// The packets, with their places among those that the flow keeps.
    pub fn of<'a>(&self, flow: &'a Flow) -> impl Iterator<Item = (u32, &'a RawPacket)> {
        let all = match self.which {
            Some(_) => &[],
            None => flow.raw.as_slice(),
        };
        let some = self.which.as_deref().unwrap_or_default().iter();
        let some: Vec<_> = some.filter_map(|at| Some((*at, flow.raw.get(*at as usize)?))).collect();
        some.into_iter().chain((0..).zip(all))
    }
}

impl Answer {
    /// Elements; keys where it is an object.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Edges(all) => all.len(),
            Self::Flows(all) => all.len(),
            Self::Graph { nodes, edges } => nodes.len().saturating_add(edges.len()),
            Self::Groups(all) => all.len(),
            Self::Metric(metric) => usize::from(metric.is_some()),
            Self::Metrics(all) => all.len(),
            Self::NextHops(all) => all.len(),
            Self::Nodes(all) => all.len(),
            Self::Number(_) => 1,
            Self::Packets(all) => all.len(),
            Self::Paths(all) => all.len(),
            Self::Sockets(all) => all.len(),
            Self::Values(all) => all.len(),
        }
    }

    /// Whether there is nothing in it. A number is something, also when it is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements from one place to before another; what is no list stays as it is.
    pub(super) fn cut(self, from: usize, to: usize) -> Self {
        fn cut<T>(mut all: Vec<T>, from: usize, to: usize) -> Vec<T> {
            all.truncate(to);
            all.drain(..from.min(all.len()));
            all
        }
        match self {
            Self::Edges(all) => Self::Edges(cut(all, from, to)),
            Self::Flows(all) => Self::Flows(cut(all, from, to)),
            Self::Nodes(all) => Self::Nodes(cut(all, from, to)),
            Self::Paths(all) => Self::Paths(cut(all, from, to)),
            Self::Values(all) => Self::Values(cut(all, from, to)),
            other => other,
        }
    }
}
