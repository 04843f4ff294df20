//! From what the agent knows to what a packet session needs: flows, hosts, devices, applications
//! and nodes of the map become targets and conditions of an [`Order`].

use std::net::IpAddr;

use super::order::{MAX_TARGETS, Order, Refused, Selection, Target, Why};
use super::unreadable;
use crate::core::Agent;
use crate::core::select::network;
use crate::filter::Expression;
use crate::filter::names::{Names as _, Service};
use crate::flow::{Flow, FlowId, Record, Side};
use crate::query::Query;
use crate::text::Quoted;
use crate::topology::graph::Node;
use crate::topology::spaces::HOME;
use crate::wire::decode::Tunnel;
use crate::wire::mac;

/// Addresses that one name may stand for.
const MAX_ADDRESSES: usize = 32;

/// Flows around flows that are looked at to find one that a filter can tell.
const MAX_PARENTS: usize = 4;

impl Agent {
    /// Adds to an order what a selection means: all of it must hold, and what the order asks for
    /// itself, too.
    ///
    /// # Errors
    /// Which part means nothing here, and what to do.
    pub fn resolve_packets(&self, selection: &Selection, order: &mut Order) -> Result<(), Refused> {
        // By itself, so that a position in it is that of the user's text.
        Expression::parse(&order.filter, &*self.tables)
            .map_err(|error| unreadable(&error, &order.filter))?;
        let mut parts = vec![order.filter.trim().to_owned()];
        if let Some(query) = &selection.gremlin {
            let query = Query::parse(query).map_err(|error| bad(format!("gremlin: {error}")))?;
            self.aim(&query, "gremlin", order)?;
        }
        if let Some(id) = &selection.capture {
            let capture = self.orders.resources.capture(id).ok_or_else(|| {
                not_found(format!(
                    "there is no capture {}: list them with GET /api/capture",
                    Quoted(id)
                ))
            })?;
            self.aim(&capture.query, "capture", order)?;
            parts.push(capture.filter.trim().to_owned());
        }
        if let Some(host) = &selection.host {
            parts.push(self.host(host)?);
        }
        if let Some(device) = &selection.device {
            parts.push(self.device(device)?);
        }
        if let Some(app) = &selection.app {
            parts.push(self.application(app)?);
        }
        if let Some(number) = selection.flow {
            parts.push(self.one_flow(number, order)?);
        }
        parts.retain(|part| !part.is_empty());
        order.filter = match &*parts {
            [one] => one.clone(),
            parts => {
                let parts: Vec<String> = parts.iter().map(|part| format!("({part})")).collect();
                parts.join(" and ")
            }
        };
        Ok(())
    }

    /// Makes the nodes of a query the targets of an order, or some more of them.
    fn aim(&self, query: &Query, of: &str, order: &mut Order) -> Result<(), Refused> {
        let nodes = self.nodes_of(query).map_err(|error| bad(format!("{of}: {error}")))?;
        let mut targets = if is_everywhere(order) { Vec::new() } else { order.targets.clone() };
        let before = targets.len();
        for node in &nodes {
            let Some(found) = self.target(node) else { continue };
            let same = |known: &&mut Target| known.netns == found.netns && known.pid == 0;
            match targets.iter_mut().skip(before).find(same) {
                // All of a namespace, or more of its interfaces.
                Some(known) if known.interfaces.is_empty() || found.interfaces.is_empty() => {
                    known.interfaces.clear();
                }
                Some(known) => {
                    for name in found.interfaces {
                        if !known.interfaces.contains(&name) {
                            known.interfaces.push(name);
                        }
                    }
                }
                None => targets.push(found),
            }
        }
        if targets.len() == before {
            let text = format!("{of}: none of the {} nodes it gives is an interface", nodes.len());
            return Err(not_found(text));
        }
        if targets.len() > MAX_TARGETS {
            let text = format!(
                "{of}: interfaces of {} namespaces, {MAX_TARGETS} is the most: narrow it with \
                 Limit or Has",
                targets.len()
            );
            return Err(bad(text));
        }
        order.targets = targets;
        Ok(())
    }

    /// Where a node is: an interface, or all those of a namespace.
    fn target(&self, node: &Node) -> Option<Target> {
        let space = |inode: u64, path: &str, interfaces: Vec<String>| Target {
            netns: inode,
            name: path.to_owned(),
            kind: if path.is_empty() { String::new() } else { "bindmount".to_owned() },
            interfaces,
            ..Target::default()
        };
        match node.kind() {
            "host" if self.spaces.host_node() == Some(&node.id) => Some(Target::default()),
            "netns" => {
                let inode = u64::try_from(node.metadata.int("Inode")?).ok()?;
                Some(space(inode, node.metadata.text("Path").unwrap_or(""), Vec::new()))
            }
            _ => {
                let (key, _) = self.spaces.place_of(&self.graph, &node.id)?;
                let interfaces = vec![node.name().to_owned()];
                if key == HOME {
                    return Some(Target { interfaces, ..Target::default() });
                }
                let (_, _, path, inode, _) =
                    self.spaces.list().find(|(known, ..)| *known == key)?;
                Some(space(inode, path, interfaces))
            }
        }
    }

    /// The condition for a host by address, network or name.
    fn host(&self, text: &str) -> Result<String, Refused> {
        if let Some((address, length)) = network(text) {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            return Ok(match length == whole {
                true => format!("host {address}"),
                false => format!("net {}/{length}", first_of(address, length)),
            });
        }
        any(self.addresses(text).map(|address| format!("host {address}"))).ok_or_else(|| {
            not_found(format!(
                "host: no address of {} is known: give an address, or wait until its name \
                 has been looked up in sight of this machine",
                Quoted(text)
            ))
        })
    }

    /// The condition for a device: by its hardware addresses, as far as neighbours tell them.
    fn device(&self, text: &str) -> Result<String, Refused> {
        if let Some(mac) = mac::parse(text).or_else(|| self.tables.ether(text)) {
            return Ok(ether(mac));
        }
        let addresses: Vec<IpAddr> = match text.parse() {
            Ok(address) => vec![address],
            Err(_) => self.addresses(text).collect(),
        };
        let neighbours = self.links.neighbours();
        let one = |address: &IpAddr| match neighbours.lookup(*address) {
            Some((_, neighbour)) => ether(neighbour.mac),
            None => format!("host {address}"),
        };
        any(addresses.iter().map(one)).ok_or_else(|| {
            not_found(format!(
                "device: nothing is known of {}: give a hardware address or an IP address",
                Quoted(text)
            ))
        })
    }

    /// The condition for an application, by the ports that bear its name.
    fn application(&self, name: &str) -> Result<String, Refused> {
        let settings = self.settings();
        let tables = [("tcp", &settings.tcp_applications), ("udp", &settings.udp_applications)];
        let ports = tables.into_iter().flat_map(|(protocol, table)| {
            let named = table.iter().filter(|(_, known)| known.eq_ignore_ascii_case(name));
            named.map(move |(port, _)| format!("{protocol} port {port}"))
        });
        if let Some(found) = any(ports) {
            return Ok(found);
        }
        let Service { tcp, udp, sctp } = self.tables.service(&name.to_ascii_lowercase());
        let ports = [("tcp", tcp), ("udp", udp), ("sctp", sctp)].into_iter();
        let ports = ports.filter_map(|(of, port)| Some(format!("{of} port {}", port?)));
        any(ports).ok_or_else(|| {
            let mut known: Vec<&str> =
                tables.iter().flat_map(|(_, table)| table.iter().map(|(_, n)| &**n)).collect();
            known.sort_unstable();
            known.dedup();
            let known = match &*known {
                [] => String::new(),
                known => format!(" ({})", known.join(" ")),
            };
            not_found(format!(
                "app: {} is neither an application of flow_application_ports_tcp or \
                 _udp{known} nor a service such as https, domain or ssh",
                Quoted(name)
            ))
        })
    }

    /// The condition for a flow of the flow table. Its interface becomes the target, unless the
    /// order has one.
    fn one_flow(&self, number: u64, order: &mut Order) -> Result<String, Refused> {
        let gone =
            || not_found(format!("flow: there is no flow {number} any more: list them with flows"));
        let flows = &self.engine.flows;
        let mut id = FlowId::new(number).ok_or_else(gone)?;
        let mut flow = flows.get(id).ok_or_else(gone)?;
        // A filter can't look into most tunnels: what carries the flow is taken instead.
        for _ in 0..MAX_PARENTS {
            if matches!(flow.tunnel(), Tunnel::None | Tunnel::Mpls | Tunnel::PppoE) {
                break;
            }
            let parent = Record::new(flow, id, None).parent;
            (id, flow) = parent.and_then(|id| Some((id, flows.get(id)?))).ok_or_else(|| {
                bad(format!("flow: what carries {number} through its tunnel is not known any more"))
            })?;
        }
        if is_everywhere(order) {
            let link = self.links.get(flow.key().iface).ok_or_else(gone)?;
            order.targets =
                vec![Target { interfaces: vec![link.name.to_string()], ..Target::default() }];
        }
        Ok(flow_filter(flow))
    }

    fn addresses<'a>(&'a self, name: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        self.engine.lore.names.addresses_of(name).take(MAX_ADDRESSES)
    }
}

/// Whether an order says nothing of where.
fn is_everywhere(order: &Order) -> bool {
    matches!(&*order.targets, [target] if target.is_own() && target.interfaces.is_empty())
}

/// A flow's packets of both directions.
fn flow_filter(flow: &Flow) -> String {
    let key = flow.key();
    let (a, b) = (key.ip(Side::Lower), key.ip(Side::Upper));
    let (p, q) = (key.port.lower, key.port.upper);
    let ip = if key.version == 4 { "ip" } else { "ip6" };
    let ports = match key.proto {
        6 => Some("tcp"),
        17 => Some("udp"),
        132 => Some("sctp"),
        _ => None,
    };
    let plain = match (ports, key.proto) {
        (Some(name), _) => format!(
            "{name} and ((src host {a} and src port {p} and dst host {b} and dst port {q}) or \
             (src host {b} and src port {q} and dst host {a} and dst port {p}))"
        ),
        (None, 1) if key.version == 4 => format!("icmp and host {a} and host {b}"),
        (None, 58) if key.version == 6 => format!("icmp6 and host {a} and host {b}"),
        (None, proto) => format!("{ip} proto {proto} and host {a} and host {b}"),
    };
    // Fragments behind the first have no ports.
    let mut text = match (flow.has_fragments(), key.version) {
        (true, 4) => format!(
            "({plain}) or (ip proto {} and host {a} and host {b} and ip[6:2] & 0x1fff != 0)",
            key.proto
        ),
        _ => plain,
    };
    // Clients without an address are told apart by their card.
    let macs = flow.macs();
    if key.version == 4 && a.is_unspecified() && macs.lower != [0; 6] {
        text = format!("{} and ({text})", ether(macs.lower));
    }
    let around = match flow.tunnel() {
        Tunnel::Mpls => "mpls and ",
        Tunnel::PppoE => "pppoes and ",
        _ => "",
    };
    // Each of these changes what stands behind it.
    let vlan = if key.vlan > 0 { format!("vlan {} and ", key.vlan) } else { String::new() };
    if vlan.is_empty() && around.is_empty() { text } else { format!("{vlan}{around}({text})") }
}

fn ether(mac: [u8; 6]) -> String {
    format!("ether host {}", mac::text(mac))
}

/// The first address of a network, as the language of filters wants it.
fn first_of(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(ip) => {
            let shift = 32_u32.saturating_sub(length.into());
            IpAddr::V4((ip.to_bits() & u32::MAX.checked_shl(shift).unwrap_or(0)).into())
        }
        IpAddr::V6(ip) => {
            let shift = 128_u32.saturating_sub(length.into());
            IpAddr::V6((ip.to_bits() & u128::MAX.checked_shl(shift).unwrap_or(0)).into())
        }
    }
}

/// Conditions of which one must hold, each once; `None` if there are none.
fn any(conditions: impl Iterator<Item = String>) -> Option<String> {
    let mut all: Vec<String> = conditions.collect();
    all.sort_unstable();
    all.dedup();
    (!all.is_empty()).then(|| all.join(" or "))
}

fn bad(text: String) -> Refused {
    Refused::new(Why::Bad, text)
}

fn not_found(text: String) -> Refused {
    Refused::new(Why::NotFound, text)
}
