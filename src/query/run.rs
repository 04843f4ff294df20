//! A query at work: one step after another, each in slices, then the answer in pieces.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use crate::topology::graph::{Graph, Node, Slice};

use super::collect::{self, Sort};
use super::flows;
use super::metrics::{self, Aggregates};
use super::part::{Part, Paths, Settle};
use super::route;
use super::step::{Step, What};
use super::subject::{Key, Subject as _};
use super::task::{Budget, Data, Ready, Scope, Task};
use super::walk::{self, Kin};
use super::write::Writer;
use super::{Answer, Error, MAX_VISITS, Query, World};

/// An evaluation under way; afterwards its answer being written.
pub struct Run {
    query: Query,
    /// The next step to begin.
    next: usize,
    /// What it begins with.
    data: Option<Data>,
    /// The step under way, and which one that is.
    task: Option<(usize, Box<dyn Task>)>,
    /// Visits left for the whole query.
    left: usize,
    /// The graph that is asked, where it is not that of now.
    part: Option<Rc<Graph>>,
    slice: Option<Slice>,
    /// What `As` keeps.
    kept: HashMap<Rc<str>, Rc<[Rc<Node>]>>,
    answer: Option<Answer>,
    writer: Writer,
}

impl Run {
    /// Begins with a query.
    #[must_use]
    pub fn new(query: Query) -> Self {
        Self {
            query,
            next: 0,
            data: Some(Data::Graph),
            task: None,
            left: MAX_VISITS,
            part: None,
            slice: None,
            kept: HashMap::new(),
            answer: None,
            writer: Writer::default(),
        }
    }

    /// The query.
    #[must_use]
    pub const fn query(&self) -> &Query {
        &self.query
    }

    /// The answer, once it is ready.
    #[must_use]
    pub const fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()
    }

    /// Whether the answer is a graph, which [`Self::write_dot`] can draw.
    #[must_use]
    pub const fn is_graph(&self) -> bool {
        matches!(self.answer, Some(Answer::Graph { .. }))
    }

    /// Whether the answer is packets, which [`Self::write_pcap`] can save.
    #[must_use]
    pub const fn is_packets(&self) -> bool {
        matches!(self.answer, Some(Answer::Packets(_)))
    }

    /// Looks at about `visits` elements more; `true` once the answer is ready.
    ///
    /// # Errors
    /// Why there will be no answer.
    pub fn advance(&mut self, world: &World<'_>, visits: usize) -> Result<bool, Error> {
        let mut budget = Budget { turn: visits.max(1), whole: self.left };
        let done = self.work(world, &mut budget);
        self.left = budget.whole;
        done
    }

    fn work(&mut self, world: &World<'_>, budget: &mut Budget) -> Result<bool, Error> {
        let query = self.query.clone();
        while self.answer.is_none() {
            let part = self.part.clone();
            let under_way = self.task.as_ref().map_or(self.next, |(at, _)| *at);
            let step = query.steps.get(under_way);
            let mut scope = Scope {
                live: world.graph,
                graph: part.as_deref().unwrap_or(world.graph),
                flows: world.flows,
                slice: self.slice,
                budget,
                at: step.map_or(0, |step| step.at),
                name: step.map_or("G", |step| step.name),
            };
            if let Some((_, task)) = &mut self.task {
                let Some(data) = task.run(&mut scope)? else { return Ok(false) };
                self.task = None;
                self.data = Some(data);
            }
            match (self.data.take(), query.steps.get(self.next)) {
                (Some(Data::Answer(answer)), None) => self.answer = Some(answer),
                (Some(Data::Part(part)), _) => {
                    self.part = Some(part);
                    self.data = Some(Data::Graph);
                }
                (Some(Data::Graph), None) => {
                    let nodes = scope.graph.nodes().cloned().collect();
                    let edges = scope.graph.edges().cloned().collect();
                    self.answer = Some(Answer::Graph { nodes, edges });
                }
                // Steps that follow a part ask a graph of its own.
                (Some(Data::Answer(Answer::Graph { nodes, edges })), Some(_)) => {
                    self.task = Some((self.next, Box::new(Settle::new(nodes, edges))));
                }
                (Some(Data::Graph), Some(Step { what: What::Context(stretch), .. })) => {
                    self.slice = stretch.slice(world.now);
                    let then = self.slice.map(|slice| Rc::new(world.graph.during(slice)));
                    self.part = then;
                    self.next = self.next.saturating_add(1);
                    self.data = Some(Data::Graph);
                }
                (Some(data), Some(step)) => {
                    let after = query.steps.get(self.next.saturating_add(1)).map(|s| &s.what);
                    let task = begin(step, after, data, &mut self.kept, &mut scope)?;
                    self.task = Some((self.next, task));
                    self.next = self.next.saturating_add(1);
                }
                (None, _) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Appends the next piece of the answer as JSON: at least one item and about `most` octets;
    /// `true` while there is more. The first call begins with the opening bracket, no newline
    /// follows the last.
    pub fn write(&mut self, world: &World<'_>, out: &mut Vec<u8>, most: usize) -> bool {
        match &self.answer {
            Some(answer) => self.writer.write(answer, world, out, most),
            None => false,
        }
    }

    /// Appends one item of the answer as JSON, with its name where the answer is an object;
    /// `false` if it is not there.
    #[must_use]
    pub fn write_item(&self, world: &World<'_>, at: usize, out: &mut Vec<u8>) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(|answer| Writer::at(at).item(answer, world, out))
    }

    /// Appends the next piece of a graph in the language of Graphviz; `true` while there is more.
    pub fn write_dot(&mut self, out: &mut Vec<u8>, most: usize) -> bool {
        match &self.answer {
            Some(Answer::Graph { nodes, edges }) => self.writer.dot(nodes, edges, out, most),
            _ => false,
        }
    }

    /// Appends the next piece of packets as a capture file; `true` while there is more.
    pub fn write_pcap(&mut self, world: &World<'_>, out: &mut Vec<u8>, most: usize) -> bool {
        match &self.answer {
            Some(Answer::Packets(packets)) => self.writer.pcap(packets, world, out, most),
            _ => false,
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Run");
        debug.field("query", &self.query).field("next", &self.next).field("left", &self.left);
        debug.finish_non_exhaustive()
    }
}

/// Begins a step.
fn begin(
    step: &Step,
    after: Option<&What>,
    data: Data,
    kept: &mut HashMap<Rc<str>, Rc<[Rc<Node>]>>,
    scope: &mut Scope<'_>,
) -> Result<Box<dyn Task>, Error> {
    use Answer::{Edges, Flows, Groups, Metrics, Nodes, Packets, Sockets, Values};
    use Data::Graph as Whole;
    (scope.at, scope.name) = (step.at, step.name);
    // Who takes no more than some needs no more.
    let most = match after {
        Some(What::Limit { to, .. }) => *to,
        _ => usize::MAX,
    };
    let answer = match data {
        Data::Answer(answer) => Some(answer),
        Data::Graph | Data::Part(_) => None,
    };
    let ready = |answer: Answer| Box::new(Ready(Some(answer.into())));
    Ok(match (step.what.clone(), answer) {
        (What::AllNodes, None) => ready(Nodes(scope.graph.nodes().cloned().collect())),
        (What::AllEdges, None) => ready(Edges(scope.graph.edges().cloned().collect())),
        (What::Node(id), None) => {
            let node = scope.graph.node(&id);
            let missing = || scope.fail(format!("Node '{id}' does not exist"));
            ready(Nodes(Vec::from([Rc::clone(node.ok_or_else(missing)?)])))
        }
        (What::Edge(id), None) => {
            let edge = scope.graph.edge(&id);
            let missing = || scope.fail(format!("Edge '{id}' does not exist"));
            ready(Edges(Vec::from([Rc::clone(edge.ok_or_else(missing)?)])))
        }
        (What::Graph, _) => Box::new(Ready(Some(Whole))),
        (What::Filter(filter), Some(Nodes(input))) => collect::filter(input, filter, most, Nodes),
        (What::Filter(filter), Some(Edges(input))) => collect::filter(input, filter, most, Edges),
        (What::Filter(filter), Some(Values(input))) => collect::filter_values(input, filter, most),
        (What::Filter(filter), Some(Flows(input))) => collect::filter_flows(input, filter, most),
        (What::Filter(filter), Some(Sockets(input))) => flows::filter_sockets(input, filter),
        (What::Walk(way, filter), Some(Nodes(input))) => walk::nodes(input, way, filter, most),
        (What::Edges(way, filter), Some(Nodes(input))) => walk::edges(input, way, filter, most),
        (What::Ends(way, filter), Some(Edges(input))) => walk::ends(input, way, filter, most),
        (What::Kin { way, edges, depth }, Some(Nodes(input))) => {
            Box::new(Kin::new(input, way, edges, depth))
        }
        (What::Path { to, over }, Some(Nodes(input))) => {
            Box::new(Paths::new(input, to, over, scope.graph))
        }
        (What::SubGraph(filter), Some(Nodes(input))) => Box::new(Part::of_nodes(input, filter)),
        (What::SubGraph(filter), Some(Edges(input))) => Box::new(Part::of_edges(input, filter)),
        (What::SubGraph(filter), Some(Answer::Paths(paths))) => {
            Box::new(Part::of_nodes(paths.into_iter().flatten().collect(), filter))
        }
        (What::As(key), Some(Nodes(input))) => {
            scope.spend(input.len())?;
            kept.insert(key, input.as_slice().into());
            ready(Nodes(input))
        }
        (What::Select(keys), _) => {
            let lists = keys.iter().filter_map(|key| kept.get(key));
            let all = lists.clone().map(|list| list.len()).fold(0, usize::saturating_add);
            scope.check(all)?;
            scope.spend(all)?;
            ready(Nodes(lists.flat_map(|list| list.iter().cloned()).collect()))
        }
        (What::Dedup(keys), Some(Answer::Paths(paths))) => {
            dedup_nodes(paths.into_iter().flatten().collect(), keys, most)
        }
        (What::Dedup(keys), Some(Nodes(input))) => dedup_nodes(input, keys, most),
        (What::Dedup(keys), Some(Edges(input))) => {
            collect::dedup(input, most, Edges, move |edge, _, out| {
                if keys.is_empty() {
                    out.extend_from_slice(edge.element.id.as_bytes());
                    return true;
                }
                collect::write_values(&**edge, &keys, out)
            })
        }
        (What::Dedup(keys), Some(Values(input))) => {
            collect::dedup(input, most, Values, move |value, _, out| match value.as_map() {
                Some(map) if !keys.is_empty() => collect::write_values(map, &keys, out),
                _ => {
                    value.write(out);
                    true
                }
            })
        }
        (What::Dedup(keys), Some(Flows(input))) => {
            collect::dedup(input, most, Flows, move |item, scope, out| {
                match scope.flows.get(*item) {
                    Some(flow) if !keys.is_empty() => collect::write_values(flow, &keys, out),
                    Some(flow) => {
                        out.extend_from_slice(&flow.tracking.to_be_bytes());
                        true
                    }
                    None => false,
                }
            })
        }
        (What::Count, Some(answer)) => ready(count(answer.len())),
        (What::Limit { from, to }, Some(answer)) => ready(answer.cut(from, to)),
        (What::Sort { descending, key }, Some(Nodes(input))) => {
            let key = key.unwrap_or_else(|| Key::new("@CreatedAt"));
            Box::new(Sort::new(input, descending, Nodes, move |node, _| node.value(&key)))
        }
        (What::Sort { descending, key }, Some(Edges(input))) => {
            let key = key.unwrap_or_else(|| Key::new("@CreatedAt"));
            Box::new(Sort::new(input, descending, Edges, move |edge, _| edge.value(&key)))
        }
        (What::Sort { descending, key }, Some(Flows(input))) => {
            let key = key.unwrap_or_else(|| Key::new("Last"));
            let value = move |item: &_, scope: &Scope<'_>| scope.flows.get(*item)?.value(&key);
            Box::new(Sort::new(input, descending, Flows, value))
        }
        (What::Values(key), Some(Nodes(input))) => collect::values(input, key),
        (What::Values(key), Some(Edges(input))) => collect::values(input, key),
        (What::Values(key), Some(Flows(input))) => collect::flow_values(input, key),
        (What::Values(key), Some(Sockets(input))) => {
            collect::item_values(input.into_iter().map(|(_, items)| items).collect(), key)
        }
        (What::ValueMap(keys), Some(Nodes(input))) => collect::value_map(input, keys),
        (What::ValueMap(keys), Some(Edges(input))) => collect::value_map(input, keys),
        (What::Keys, Some(Nodes(input))) => collect::keys(input, &[], |node| &node.metadata),
        (What::Keys, Some(Edges(input))) => {
            collect::keys(input, &["Parent", "Child"], |edge| &edge.element.metadata)
        }
        (What::Keys, Some(Flows(input))) => ready(collect::flow_keys(&input)),
        (What::Keys, Some(Metrics(input))) => metrics::keys(input),
        (What::Sum(Some(key)), Some(Nodes(input))) => collect::sum(input, key),
        (What::Sum(Some(key)), Some(Flows(input))) => collect::flow_sum(input, key),
        (What::Sum(Some(key)), Some(Metrics(input))) => metrics::sum_of(input, key),
        (What::Sum(None), Some(Metrics(input))) => metrics::sum(input),
        (What::Metrics(key), Some(Nodes(input))) => metrics::of_nodes(input, key, scope)?,
        (What::Metrics(_), Some(Flows(input))) => metrics::of_flows(input),
        (What::Aggregates { millis }, Some(Metrics(input))) => {
            Box::new(Aggregates::new(input, millis))
        }
        (What::NextHop(to), Some(Nodes(input))) => route::next_hops(input, to),
        (What::Sockets, Some(Nodes(input))) => flows::sockets_of_nodes(input),
        (What::Sockets, Some(Flows(input))) => flows::sockets_of_flows(input, scope)?,
        (What::Flows, None) => flows::all(None, scope)?,
        (What::Flows, Some(Nodes(input))) => flows::all(Some(&input), scope)?,
        (What::Flows, Some(Answer::Paths(paths))) => {
            let nodes: Vec<_> = paths.into_iter().flatten().collect();
            flows::all(Some(&nodes), scope)?
        }
        (What::FlowNodes(ends, filter), Some(Flows(input))) => {
            flows::nodes(input, ends, filter, most, scope)?
        }
        (What::Group { l3 }, Some(Flows(input))) => flows::group(input, l3),
        (What::MoreThan(bound), Some(Groups(mut groups))) => {
            groups.retain(|(_, flows)| flows.len() > bound);
            ready(Groups(groups))
        }
        (What::RawPackets, Some(Flows(input))) => flows::packets(input),
        (What::Bpf(expression), Some(Packets(input))) => flows::bpf(input, expression),
        // The shapes were checked when the query was read.
        _ => return Err(scope.fail("Error while executing the query")),
    })
}

fn count(elements: usize) -> Answer {
    Answer::Number(i64::try_from(elements).unwrap_or(i64::MAX).into())
}

fn dedup_nodes(input: Vec<Rc<Node>>, keys: Rc<[Key]>, most: usize) -> Box<dyn Task> {
    collect::dedup(input, most, Answer::Nodes, move |node, _, out| {
        if keys.is_empty() {
            out.extend_from_slice(node.id.as_bytes());
            return true;
        }
        collect::write_values(&**node, &keys, out)
    })
}

/// Runs a query to its end at once, with at most `visits` looks at elements: for captures, rules
/// and alerts, which need the nodes now.
///
/// # Errors
/// Why there is no answer.
pub fn evaluate(query: &Query, world: &World<'_>, visits: usize) -> Result<Answer, Error> {
    let mut run = Run::new(query.clone());
    run.left = visits.min(MAX_VISITS);
    // The budget of the whole query ends it, before that of a turn does.
    while !run.advance(world, usize::MAX)? {}
    run.answer.take().ok_or_else(|| Error::execution(0, "Error while executing the query"))
}
