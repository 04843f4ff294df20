//! Answers as JSON, in pieces: one item after another, as many as fit.

use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::capture::flow::{RawPacket, hex};
use crate::capture::{Flow, FlowRef};
use crate::topology::graph::{Edge, Graph, Id, Node};
use crate::topology::value::{Map, Text, Value};
use crate::wire::json;

use super::answer::{Answer, MetricsOf, Owner, PacketsOf};
use super::flows::addresses;
use super::{World, dot, pcap};

/// How far an answer is written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    begun: bool,
    ended: bool,
    /// Items written.
    at: usize,
    /// Items within the item, where there are such; edges of a graph.
    inner: usize,
    /// Something stands in the list before: a comma comes first.
    comma: bool,
    /// TIDs of nodes by their hardware addresses, made when the first flow is written.
    names: Option<HashMap<[u8; 6], Text>>,
    /// Names of nodes in a drawing, by their ids.
    labels: HashMap<Id, String>,
    link_type: Option<u32>,
}

impl Writer {
    /// One that begins with an item in the middle.
    pub(super) fn at(at: usize) -> Self {
        Self { at, ..Self::default() }
    }

    /// See [`super::Run::write`].
    pub(super) fn write(
        &mut self,
        answer: &Answer,
        world: &World<'_>,
        out: &mut Vec<u8>,
        most: usize,
    ) -> bool {
        let end = out.len().saturating_add(most);
        if self.ended {
            return false;
        }
        let (open, close): (&[u8], &[u8]) = match answer {
            Answer::Graph { .. } => (b"[{\"Nodes\":[", b"]}]"),
            Answer::Number(_) | Answer::Metric(_) => (b"", b""),
            Answer::Metrics(_)
            | Answer::Sockets(_)
            | Answer::NextHops(_)
            | Answer::Groups(_)
            | Answer::Packets(_)
                if !answer.is_empty() =>
            {
                (b"[{", b"}]")
            }
            _ => (b"[", b"]"),
        };
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(open);
        }
        while self.item(answer, world, out) {
            if out.len() >= end {
                return true;
            }
        }
        out.extend_from_slice(close);
        self.ended = true;
        false
    }

    /// Writes the next item; `false` if there is none left.
    pub(super) fn item(&mut self, answer: &Answer, world: &World<'_>, out: &mut Vec<u8>) -> bool {
        match answer {
            Answer::Edges(edges) => self.one(edges, out, |_, edge, out| edge.write(out)),
            Answer::Nodes(nodes) => self.one(nodes, out, |_, node, out| node.write(out)),
            Answer::Paths(paths) => self.one(paths, out, |_, path, out| {
                list(out, path, |out, node| node.write(out));
            }),
            Answer::Values(values) => self.one(values, out, |_, value, out| value.write(out)),
            Answer::Flows(flows) => self.flow(flows, world, out),
            Answer::Graph { nodes, edges } => self.graph(nodes, edges, out),
            Answer::Groups(groups) => self.group(groups, world, out),
            Answer::Metrics(metrics) => self.one(metrics, out, |_, (owner, metrics), out| {
                owner.write(out);
                metrics.write(out);
            }),
            Answer::NextHops(hops) => self.one(hops, out, |_, (id, hop), out| {
                json::string(out, id);
                out.push(b':');
                write_hop(hop, out);
            }),
            Answer::Packets(packets) => self.packets(packets, world, out),
            Answer::Sockets(sockets) => self.one(sockets, out, |_, (owner, items), out| {
                owner.write(out);
                list(out, items, |out, item| item.write(out));
            }),
            Answer::Metric(metric) => self.single(
                |out| match metric {
                    Some(metric) => write_metric(metric, out),
                    None => out.extend_from_slice(b"null"),
                },
                out,
            ),
            Answer::Number(number) => self.single(|out| number.write(out), out),
        }
    }

    fn single(&mut self, write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) -> bool {
        if self.at == 0 {
            self.at = 1;
            write(out);
            return true;
        }
        false
    }

    fn one<T>(
        &mut self,
        items: &[T],
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Self, &T, &mut Vec<u8>),
    ) -> bool {
        let Some(item) = items.get(self.at) else { return false };
        self.at = self.at.saturating_add(1);
        self.separate(out);
        write(self, item, out);
        true
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.comma, true) {
            out.push(b',');
        }
    }

    /// Writes the next flow that is still there.
    fn flow(&mut self, flows: &[FlowRef], world: &World<'_>, out: &mut Vec<u8>) -> bool {
        while let Some(item) = flows.get(self.at) {
            self.at = self.at.saturating_add(1);
            if let Some(flow) = world.flows.get(*item) {
                self.separate(out);
                self.write_flow(flow, world, out);
                return true;
            }
        }
        false
    }

    fn write_flow(&mut self, flow: &Flow, world: &World<'_>, out: &mut Vec<u8>) {
        let names = self.names.get_or_insert_with(|| names_of(world.graph));
        let name = |address| names.get(&address).map(|tid| &**tid);
        let ends = flow.link.map(|link| (name(link.a), name(link.b)));
        flow.write(out, ends.unwrap_or((None, None)));
    }

    fn graph(&mut self, nodes: &[Rc<Node>], edges: &[Rc<Edge>], out: &mut Vec<u8>) -> bool {
        if self.at < nodes.len() {
            return self.one(nodes, out, |_, node, out| node.write(out));
        }
        if self.at == nodes.len() {
            self.at = self.at.saturating_add(1);
            self.comma = false;
            out.extend_from_slice(b"],\"Edges\":[");
        }
        let Some(edge) = edges.get(self.inner) else { return false };
        self.inner = self.inner.saturating_add(1);
        self.separate(out);
        edge.write(out);
        true
    }

    /// Writes the next flow of the groups, and what is around it.
    fn group(
        &mut self,
        groups: &[(u64, Vec<FlowRef>)],
        world: &World<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some((id, flows)) = groups.get(self.at) else { return false };
        if self.inner == 0 {
            if self.at > 0 {
                out.push(b',');
            }
            json::string(out, &hex(*id));
            out.extend_from_slice(b":[");
            self.comma = false;
        }
        if let Some(item) = flows.get(self.inner) {
            self.inner = self.inner.saturating_add(1);
            if let Some(flow) = world.flows.get(*item) {
                self.separate(out);
                self.write_flow(flow, world, out);
            }
        } else {
            out.push(b']');
            self.at = self.at.saturating_add(1);
            self.inner = 0;
        }
        true
    }

    fn packets(&mut self, packets: &[PacketsOf], world: &World<'_>, out: &mut Vec<u8>) -> bool {
        while let Some(item) = packets.get(self.at) {
            self.at = self.at.saturating_add(1);
            if let Some(flow) = world.flows.get(item.flow) {
                self.separate(out);
                json::string(out, &flow.uuid_text());
                out.push(b':');
                let packets: Vec<_> = item.of(flow).collect();
                list(out, &packets, |out, (_, packet)| write_packet(packet, out));
                return true;
            }
        }
        false
    }

    /// See [`super::Run::write_dot`].
    pub(super) fn dot(
        &mut self,
        nodes: &[Rc<Node>],
        edges: &[Rc<Edge>],
        out: &mut Vec<u8>,
        most: usize,
    ) -> bool {
        let end = out.len().saturating_add(most);
        if self.ended {
            return false;
        }
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(b"digraph g {\n");
        }
        loop {
            if let Some(node) = nodes.get(self.at) {
                self.at = self.at.saturating_add(1);
                let name = dot::name(node);
                dot::node(node, &name, out);
                self.labels.insert(Rc::clone(&node.id), name);
            } else if let Some(edge) = edges.get(self.inner) {
                self.inner = self.inner.saturating_add(1);
                if let (Some(parent), Some(child)) =
                    (self.labels.get(&edge.parent), self.labels.get(&edge.child))
                {
                    dot::edge(edge, parent, child, out);
                }
            } else {
                out.extend_from_slice(b"}\n");
                self.ended = true;
                return false;
            }
            if out.len() >= end {
                return true;
            }
        }
    }

    /// See [`super::Run::write_pcap`]. A file has one link type, that of its first packet;
    /// packets of another are left out.
    pub(super) fn pcap(
        &mut self,
        packets: &[PacketsOf],
        world: &World<'_>,
        out: &mut Vec<u8>,
        most: usize,
    ) -> bool {
        let end = out.len().saturating_add(most);
        if !std::mem::replace(&mut self.begun, true) {
            let all = packets.iter().filter_map(|item| {
                let (_, packet) = item.of(world.flows.get(item.flow)?).next()?;
                Some(packet.link_type)
            });
            let link_type = all.into_iter().next().unwrap_or(1);
            self.link_type = Some(link_type);
            pcap::header(link_type, out);
        }
        while let Some(item) = packets.get(self.at) {
            self.at = self.at.saturating_add(1);
            let Some(flow) = world.flows.get(item.flow) else { continue };
            for (_, packet) in item.of(flow) {
                if Some(packet.link_type) == self.link_type {
                    pcap::record(packet, out);
                }
            }
            if out.len() >= end {
                return true;
            }
        }
        false
    }
}

/// TIDs of nodes by their hardware addresses; of several the first in the graph.
fn names_of(graph: &Graph) -> HashMap<[u8; 6], Text> {
    let mut names = HashMap::new();
    for node in graph.nodes() {
        let Some(Value::Text(tid)) = node.metadata.get("TID") else { continue };
        for address in addresses(node) {
            names.entry(address).or_insert_with(|| tid.clone());
        }
    }
    names
}

impl Owner {
    /// Appends it as the name of a member.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::All => json::string(out, "Aggregated"),
            Self::Flow(uuid) => json::string(out, &hex(*uuid)),
            Self::Node(id) => json::string(out, id),
        }
        out.push(b':');
    }
}

impl MetricsOf {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Flow(metric) => {
                out.push(b'[');
                metric.write(out);
                out.push(b']');
            }
            Self::Node(metrics) => list(out, metrics, |out, metric| write_metric(metric, out)),
        }
    }
}

/// Appends a metric, its times last, as those of flows have them.
fn write_metric(metric: &Map, out: &mut Vec<u8>) {
    let is_time = |name: &str| matches!(name, "Start" | "Last");
    let counters = metric.iter().filter(|(name, _)| !is_time(name));
    let times = ["Start", "Last"].into_iter().filter_map(|name| Some((name, metric.get(name)?)));
    members(out, counters.chain(times));
}

fn write_hop(hop: &Map, out: &mut Vec<u8>) {
    let names = ["Priority", "IP", "MAC", "IfIndex"].into_iter();
    members(out, names.filter_map(|name| Some((name, hop.get(name)?))));
}

fn members<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'a str, &'a Value)>) {
    out.push(b'{');
    for (at, (name, value)) in members.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        json::string(out, name);
        out.push(b':');
        value.write(out);
    }
    out.push(b'}');
}

fn write_packet(packet: &RawPacket, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"Timestamp\":");
    json::signed(out, packet.timestamp);
    out.extend_from_slice(b",\"Index\":");
    json::signed(out, packet.index);
    out.extend_from_slice(b",\"Data\":");
    json::string(out, &STANDARD.encode(&packet.data));
    out.extend_from_slice(b",\"LinkType\":");
    json::unsigned(out, packet.link_type.into());
    out.push(b'}');
}

fn list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}
