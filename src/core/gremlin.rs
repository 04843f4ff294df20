//! Queries over the graph and the flows of captures, for every interface: begun by a command,
//! moved on in slices, written in pieces or fetched as rows.

use crate::capture::Flow;
use crate::query::{self, Answer, Query, Run, World};
use crate::topology::graph::{Edge, Node};
use crate::topology::value::Value;

use super::agent::{Agent, Reply};
use super::auth::{Caller, Right};
use super::command::Failure;
use super::row::Row;

/// Elements that a query looks at in one turn: a few milliseconds on a slow machine.
pub const TURN_VISITS: usize = 8_000;

impl Agent {
    pub(super) fn gremlin(&self, text: &str, caller: &Caller) -> Result<Reply, Failure> {
        let query = Query::parse(text).map_err(Failure::Query)?;
        if query.wants_packets() && caller.right < Right::Capture {
            return Err(Failure::Denied);
        }
        Ok(Reply::Query(Box::new(Run::new(query))))
    }

    /// Moves a query on by one turn; `true` once its answer is ready.
    ///
    /// # Errors
    /// Why there will be none.
    pub fn advance_query(&self, run: &mut Run) -> Result<bool, query::Error> {
        self.advance_query_by(run, TURN_VISITS)
    }

    /// Moves a query on by so many visits; `true` once its answer is ready.
    ///
    /// # Errors
    /// Why there will be none.
    pub fn advance_query_by(&self, run: &mut Run, visits: usize) -> Result<bool, query::Error> {
        run.advance(&self.world(), visits)
    }

    /// Appends the next piece of an answer as JSON, about `most` octets; `true` while there is
    /// more.
    pub fn write_query(&self, run: &mut Run, out: &mut Vec<u8>, most: usize) -> bool {
        run.write(&self.world(), out, most)
    }

    /// What queries are about, as of now.
    #[must_use]
    pub const fn world(&self) -> World<'_> {
        World { graph: &self.graph, flows: &self.captured, now: self.clock() }
    }

    /// The next item of an answer from `at` on as a row, flattened: elements by what names them,
    /// anything else as a piece of JSON. Flows that are gone are passed over.
    #[must_use]
    pub fn query_row(&self, run: &Run, at: &mut usize) -> Option<Row> {
        let answer = run.answer()?;
        loop {
            let place = *at;
            *at = place.saturating_add(1);
            let row = match answer {
                Answer::Nodes(nodes) => node_row(nodes.get(place)?),
                Answer::Edges(edges) => edge_row(edges.get(place)?),
                Answer::Graph { nodes, edges } => match nodes.get(place) {
                    Some(node) => node_row(node),
                    None => edge_row(edges.get(place.checked_sub(nodes.len())?)?),
                },
                Answer::Number(number) if place == 0 => Row::new().with("value", plain(number)),
                Answer::Number(_) => return None,
                Answer::Values(values) => Row::new().with("value", plain(values.get(place)?)),
                Answer::Flows(flows) => match self.captured.get(*flows.get(place)?) {
                    Some(flow) => flow_row(flow),
                    None => continue,
                },
                Answer::Groups(groups) => {
                    let (id, flows) = groups.get(place)?;
                    Row::new().with("id", format!("{id:x}")).with("flows", flows.len())
                }
                _ => {
                    let mut item = Vec::new();
                    if !run.write_item(&self.world(), place, &mut item) {
                        return None;
                    }
                    Row::new().with("item", String::from_utf8_lossy(&item).into_owned())
                }
            };
            return Some(row);
        }
    }
}

fn node_row(node: &Node) -> Row {
    Row::new()
        .with("id", node.id.to_string())
        .with("name", node.name().to_owned())
        .with("type", node.kind().to_owned())
        .with("tid", node.tid().unwrap_or_default().to_owned())
        .with("host", node.host.to_string())
        .with("state", node.metadata.text("State").unwrap_or_default().to_owned())
        .with("mac", node.metadata.text("MAC").unwrap_or_default().to_owned())
}

fn edge_row(edge: &Edge) -> Row {
    Row::new()
        .with("id", edge.element.id.to_string())
        .with("relation", edge.relation().unwrap_or_default().to_owned())
        .with("type", edge.element.kind().to_owned())
        .with("parent", edge.parent.to_string())
        .with("child", edge.child.to_string())
        .with("host", edge.element.host.to_string())
}

fn flow_row(flow: &Flow) -> Row {
    let end =
        |key| flow.get(key).map_or_else(|| super::row::Value::from(""), |value| plain(&value));
    let metric = flow.metric;
    Row::new()
        .with("id", flow.uuid_text())
        .with("layers", flow.layers_path.to_string())
        .with("app", flow.application.to_string())
        .with("a", end("Network.A"))
        .with("aport", end("Transport.A"))
        .with("b", end("Network.B"))
        .with("bport", end("Transport.B"))
        .with("amac", end("Link.A"))
        .with("bmac", end("Link.B"))
        .with("ab_pkt", metric.ab_packets)
        .with("ab_bytes", metric.ab_bytes)
        .with("ba_pkt", metric.ba_packets)
        .with("ba_bytes", metric.ba_bytes)
        .with("start", metric.start)
        .with("last", metric.last)
        .with("tid", flow.node_tid.to_string())
        .with("capture", flow.capture.to_string())
}

/// A value of the graph as one of a row; what has members becomes JSON text.
fn plain(value: &Value) -> super::row::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.to_string().into(),
        Value::List(_) | Value::Map(_) | Value::Null => {
            let mut json = Vec::new();
            value.write(&mut json);
            String::from_utf8_lossy(&json).into_owned().into()
        }
    }
}
