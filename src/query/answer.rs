//! What a query answers.

use std::rc::Rc;

use crate::capture::FlowRef;
use crate::capture::flow::Metric;
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
