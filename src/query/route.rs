//! Which way a packet would go from a node: the longest prefix in its routing tables.

use std::collections::HashSet;
use std::net::IpAddr;
use std::rc::Rc;

use crate::topology::graph::Node;
use crate::topology::value::{Map, Value};

use super::Answer;
use super::task::{Each, Task};

/// The next hop of each node that has a route.
pub(super) fn next_hops(input: Vec<Rc<Node>>, to: IpAddr) -> Box<dyn Task> {
    let mut seen = HashSet::new();
    Box::new(Each::new(input, usize::MAX, Answer::NextHops, move |node: Rc<Node>, scope, out| {
        let mut looked = 0;
        if seen.insert(Rc::clone(&node.id))
            && let Some(hop) = next_hop(&node, to, &mut looked)
        {
            out.push((Rc::clone(&node.id), hop));
        }
        scope.spend(looked)
    }))
}

fn next_hop(node: &Node, to: IpAddr, looked: &mut usize) -> Option<Map> {
    let mut best: Option<((u8, i64), &Map)> = None;
    for table in list(Some(&node.metadata), "RoutingTables") {
        for route in list(table.as_map(), "Routes").iter().filter_map(Value::as_map) {
            *looked = looked.saturating_add(1);
            let length = route.text("Prefix").and_then(|prefix| covers(prefix, to));
            let hop = list(Some(route), "NextHops").first().and_then(Value::as_map);
            let (Some(length), Some(hop)) = (length, hop) else { continue };
            // Of equal prefixes that of the lower metric wins, as in the kernel; then the first.
            let rank = (u8::MAX.saturating_sub(length), hop.int("Priority").unwrap_or(0));
            if best.is_none_or(|(known, _)| rank < known) {
                best = Some((rank, hop));
            }
        }
    }
    let (_, hop) = best?;
    let gateway = hop.text("IP").and_then(|ip| ip.parse::<IpAddr>().ok());
    // Without a gateway the packet goes to the destination itself.
    let neighbour = gateway.unwrap_or(to);
    let known = list(Some(&node.metadata), "Neighbors").iter().filter_map(Value::as_map);
    let known = known
        .filter(|known| known.text("IP").and_then(|ip| ip.parse().ok()) == Some(neighbour))
        .find_map(|known| known.text("MAC"));
    let mac = hop.text("MAC").filter(|mac| !mac.is_empty()).or(known);
    Some(
        Map::new()
            .with("Priority", hop.int("Priority").unwrap_or(0))
            .with("IP", gateway.map_or_else(String::new, |ip| ip.to_string()))
            .with("MAC", mac.unwrap_or_default())
            .with("IfIndex", hop.int("IfIndex").unwrap_or(0)),
    )
}

fn list<'a>(map: Option<&'a Map>, key: &str) -> &'a [Value] {
    map.and_then(|map| map.get(key)).map(Value::items).unwrap_or_default()
}

/// The length of a prefix that an address is within.
fn covers(prefix: &str, address: IpAddr) -> Option<u8> {
    let (network, length) = prefix.split_once('/')?;
    let length: u8 = length.parse().ok()?;
    let (differ, rest) = match (network.parse().ok()?, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differ = network.to_bits() ^ address.to_bits();
            (u128::from(differ), 32_u8.checked_sub(length)?)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits(), 128_u8.checked_sub(length)?)
        }
        _ => return None,
    };
    (differ.checked_shr(rest.into()).unwrap_or(0) == 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_cover_their_own_family_alone() {
        for (prefix, address, length) in [
            ("10.0.0.0/8", "10.9.9.9", Some(8)),
            ("0.0.0.0/0", "10.9.9.9", Some(0)),
            ("10.0.0.1/32", "10.0.0.1", Some(32)),
            ("10.0.0.1/32", "10.0.0.2", None),
            ("::/0", "10.0.0.2", None),
            ("::/0", "2001:db8::1", Some(0)),
            ("2001:db8::/32", "2001:db9::1", None),
            ("10.0.0.0/33", "10.0.0.0", None),
            ("10.0.0.0", "10.0.0.0", None),
        ] {
            assert_eq!(covers(prefix, address.parse().unwrap()), length, "{prefix} {address}");
        }
    }
}
