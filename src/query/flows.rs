//! Steps from and over flows: the flows of nodes, the nodes of flows, groups, packets, sockets.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use crate::capture::flow::Protocol;
use crate::capture::{Flow, FlowRef};
use crate::filter::{self, Options, Program};
use crate::topology::graph::{Graph, Node};
use crate::topology::value::{Map, Value};
use crate::wire::link::LinkType;
use crate::wire::mac;

use super::answer::{Owner, PacketsOf};
use super::predicate::Filter;
use super::step::End;
use super::task::{Each, Fold, Scope, Task};
use super::{Answer, Error};

/// Types of nodes whose traffic can be captured, and which therefore can have flows.
pub const CAPTURABLE: &[&str] = &[
    "internal",
    "veth",
    "tun",
    "bridge",
    "dummy",
    "gre",
    "bond",
    "can",
    "hsr",
    "ifb",
    "macvlan",
    "macvtap",
    "vlan",
    "vxlan",
    "gretap",
    "ip6gretap",
    "geneve",
    "ipoib",
    "vcan",
    "ipip",
    "ipvlan",
    "lowpan",
    "ip6tnl",
    "ip6gre",
    "sit",
    "device",
    // What routers have besides.
    "dsa",
    "ipvtap",
    "ppp",
    "vrf",
    "vti",
    "vti6",
    "wireguard",
    "xfrm",
];

/// The flows of all captures, or those captured on some nodes.
pub(super) fn all(of: Option<&[Rc<Node>]>, scope: &mut Scope<'_>) -> Result<Box<dyn Task>, Error> {
    let tids: Option<HashSet<Rc<str>>> = of.map(|nodes| {
        let nodes = nodes.iter().filter(|node| CAPTURABLE.contains(&node.kind()));
        nodes.filter_map(|node| node.tid().map(Rc::from)).collect()
    });
    scope.spend(of.map_or(0, <[_]>::len))?;
    let none = tids.as_ref().is_some_and(HashSet::is_empty);
    let input: Vec<FlowRef> = match none {
        true => Vec::new(),
        false => scope.flows.iter().map(|(name, _)| name).collect(),
    };
    Ok(Box::new(Each::new(input, usize::MAX, Answer::Flows, move |item: FlowRef, scope, out| {
        let Some(flow) = scope.flows.get(item) else { return Ok(()) };
        let of = tids.as_ref().is_none_or(|tids| tids.contains(&flow.node_tid));
        let then = scope
            .slice
            .is_none_or(|slice| flow.metric.start <= slice.to && flow.metric.last >= slice.from);
        out.extend((of && then).then_some(item));
        Ok(())
    })))
}

/// Nodes by what flows know of them.
pub(super) struct Index {
    by_mac: HashMap<[u8; 6], Vec<Rc<Node>>>,
    by_tid: HashMap<Rc<str>, Vec<Rc<Node>>>,
}

impl Index {
    pub(super) fn new(graph: &Graph) -> Self {
        let mut index = Self { by_mac: HashMap::new(), by_tid: HashMap::new() };
        for node in graph.nodes() {
            for address in addresses(node) {
                index.by_mac.entry(address).or_default().push(Rc::clone(node));
            }
            if let Some(tid) = node.tid() {
                index.by_tid.entry(tid.into()).or_default().push(Rc::clone(node));
            }
        }
        index
    }

    fn at(&self, flow: &Flow, end: End) -> &[Rc<Node>] {
        let nodes = match end {
            End::A => flow.link.and_then(|link| self.by_mac.get(&link.a)),
            End::B => flow.link.and_then(|link| self.by_mac.get(&link.b)),
            End::Capture => self.by_tid.get(&flow.node_tid),
        };
        nodes.map_or(&[], Vec::as_slice)
    }
}

/// The hardware addresses that a node is known by: its own, and that of its peer.
pub(super) fn addresses(node: &Node) -> impl Iterator<Item = [u8; 6]> {
    let own = node.metadata.text("MAC").and_then(mac::parse);
    let peer = node.metadata.text("PeerIntfMAC").and_then(mac::parse);
    own.into_iter().chain(peer.filter(|peer| own != Some(*peer)))
}

/// For each flow the first node at each end that passes.
pub(super) fn nodes(
    input: Vec<FlowRef>,
    ends: &'static [End],
    filter: Filter,
    most: usize,
    scope: &mut Scope<'_>,
) -> Result<Box<dyn Task>, Error> {
    let index = Index::new(scope.graph);
    scope.spend(scope.graph.len())?;
    Ok(Box::new(Each::new(input, most, Answer::Nodes, move |item: FlowRef, scope, out| {
        let Some(flow) = scope.flows.get(item) else { return Ok(()) };
        let mut cost = 0;
        for end in ends {
            let mut nodes = index.at(flow, *end).iter();
            out.extend(nodes.find(|node| filter.matches(&***node, &mut cost)).cloned());
        }
        scope.spend(cost)
    })))
}

/// Flows by identity, in the order in which the identities are met.
pub(super) fn group(input: Vec<FlowRef>, l3: bool) -> Box<dyn Task> {
    type Groups = (HashMap<u64, usize>, Vec<(u64, Vec<FlowRef>)>);
    Box::new(Fold::new(
        input,
        Groups::default(),
        |(_, groups), _| Ok(Answer::Groups(groups).into()),
        move |(at, groups): &mut Groups, item: FlowRef, scope| {
            let Some(flow) = scope.flows.get(item) else { return Ok(()) };
            let id = if l3 { flow.l3_tracking } else { flow.tracking };
            let place = *at.entry(id).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, flows)) => flows.push(item),
                None => groups.push((id, Vec::from([item]))),
            }
            Ok(())
        },
    ))
}

/// The kept packets of flows that have some.
pub(super) fn packets(input: Vec<FlowRef>) -> Box<dyn Task> {
    Box::new(Each::new(input, usize::MAX, Answer::Packets, |flow: FlowRef, scope, out| {
        let Some(of) = scope.flows.get(flow) else { return Ok(()) };
        let which = scope.slice.map(|slice| {
            let fits = |at: i64| at <= slice.to && (at >= slice.from || slice.from == slice.to);
            let packets = (0..).zip(&of.raw).filter(|(_, packet)| fits(packet.timestamp));
            packets.map(|(at, _)| at).collect()
        });
        let packets = PacketsOf { flow, which };
        let some = packets.of(of).next().is_some();
        out.extend(some.then_some(packets));
        scope.spend(of.raw.len())
    }))
}

/// The packets that match a pcap filter.
pub(super) fn bpf(input: Vec<PacketsOf>, expression: Rc<filter::Expression>) -> Box<dyn Task> {
    let mut programs: HashMap<u32, Program> = HashMap::new();
    let each = move |item: PacketsOf, scope: &mut Scope<'_>, out: &mut Vec<PacketsOf>| {
        let Some(flow) = scope.flows.get(item.flow) else { return Ok(()) };
        let mut which = Vec::new();
        for (at, packet) in item.of(flow) {
            let program = match programs.entry(packet.link_type) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let link = LinkType(u16::try_from(packet.link_type).unwrap_or(u16::MAX));
                    let program = expression.compile(link, &Options::default());
                    let wrong = |error| format!("Not a valid BPF expression: {error}");
                    place.insert(program.map_err(|error| scope.fail(wrong(error)))?)
                }
            };
            let length = u32::try_from(packet.data.len()).unwrap_or(u32::MAX);
            if program.matches(&packet.data, length, &filter::vm::Meta::default()) {
                which.push(at);
            }
        }
        if !which.is_empty() {
            out.push(PacketsOf { flow: item.flow, which: Some(which.into()) });
        }
        scope.spend(flow.raw.len())
    };
    Box::new(Each::new(input, usize::MAX, Answer::Packets, each))
}

/// The sockets that nodes list.
pub(super) fn sockets_of_nodes(input: Vec<Rc<Node>>) -> Box<dyn Task> {
    let mut seen = HashSet::new();
    Box::new(Each::new(input, usize::MAX, Answer::Sockets, move |node: Rc<Node>, scope, out| {
        let sockets = node.metadata.get("Sockets").map(Value::items).unwrap_or_default();
        if !sockets.is_empty() && seen.insert(Rc::clone(&node.id)) {
            out.push((Owner::Node(Rc::clone(&node.id)), sockets.to_vec()));
        }
        scope.spend(sockets.len() / 8)
    }))
}

/// Protocol, local and remote end.
type Tuple = (Socket, (IpAddr, u16), (IpAddr, u16));

/// The protocols that sockets have.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Socket {
    Tcp,
    Udp,
}

/// The sockets of all nodes whose ends are those of a flow, either way round.
pub(super) fn sockets_of_flows(
    input: Vec<FlowRef>,
    scope: &mut Scope<'_>,
) -> Result<Box<dyn Task>, Error> {
    let mut index: HashMap<Tuple, Vec<Value>> = HashMap::new();
    let mut cost = scope.graph.len();
    for node in scope.graph.nodes() {
        for socket in node.metadata.get("Sockets").map(Value::items).unwrap_or_default() {
            cost = cost.saturating_add(1);
            if let Some(tuple) = socket.as_map().and_then(tuple_of_socket) {
                index.entry(tuple).or_default().push(socket.clone());
            }
        }
    }
    scope.spend(cost)?;
    Ok(Box::new(Each::new(input, usize::MAX, Answer::Sockets, move |item: FlowRef, scope, out| {
        let Some(flow) = scope.flows.get(item) else { return Ok(()) };
        let Some((protocol, a, b)) = tuple_of_flow(flow) else { return Ok(()) };
        let found = [(protocol, a, b), (protocol, b, a)].map(|tuple| index.get(&tuple));
        let found: Vec<Value> = found.into_iter().flatten().flatten().cloned().collect();
        if !found.is_empty() {
            out.push((Owner::Flow(flow.uuid), found));
        }
        Ok(())
    })))
}

fn tuple_of_socket(socket: &Map) -> Option<Tuple> {
    let protocol = match socket.text("Protocol")? {
        "TCP" => Socket::Tcp,
        "UDP" => Socket::Udp,
        _ => return None,
    };
    let end = |address, port| {
        let address = socket.text(address)?.parse().ok()?;
        Some((address, u16::try_from(socket.int(port)?).ok()?))
    };
    let local = end("LocalAddress", "LocalPort")?;
    Some((protocol, local, end("RemoteAddress", "RemotePort")?))
}

fn tuple_of_flow(flow: &Flow) -> Option<Tuple> {
    let (network, transport) = (flow.network?, flow.transport?);
    let protocol = match transport.protocol {
        Protocol::Tcp => Socket::Tcp,
        Protocol::Udp => Socket::Udp,
        _ => return None,
    };
    Some((protocol, (network.a, transport.a), (network.b, transport.b)))
}

/// Keeps the sockets that pass, and the owners that keep some.
pub(super) fn filter_sockets(input: Vec<(Owner, Vec<Value>)>, filter: Filter) -> Box<dyn Task> {
    let each =
        move |(owner, mut items): (Owner, Vec<Value>), scope: &mut Scope<'_>, out: &mut Vec<_>| {
            let mut cost = items.len() / 8;
            items.retain(|item| item.as_map().is_some_and(|map| filter.matches(map, &mut cost)));
            if !items.is_empty() {
                out.push((owner, items));
            }
            scope.spend(cost)
        };
    Box::new(Each::new(input, usize::MAX, Answer::Sockets, each))
}
