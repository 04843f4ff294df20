//! Layer 2 edges that nobody but a discovery protocol or an administrator knows: a node with
//! `PeerIntfMAC` is joined with the interface that has this MAC address.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use crate::time::{Clock, Tick};

use super::graph::{Graph, Id, Link, edge_id};
use super::value::Map;

/// Nodes are looked through this often at most, in microseconds.
const INTERVAL: u64 = 1_000_000;

/// The edges made here.
#[derive(Debug, Default)]
pub(super) struct Fabric {
    edges: BTreeSet<Id>,
    revision: u64,
    due: Tick,
}

impl Fabric {
    /// Brings the edges in step with the nodes.
    pub(super) fn follow(
        &mut self,
        graph: &mut Graph,
        clock: &Clock,
        host: &Rc<str>,
        origin: &Rc<str>,
    ) {
        if clock.tick < self.due || graph.revision() == self.revision {
            return;
        }
        self.due = clock.tick.plus(INTERVAL);
        self.revision = graph.revision();
        let ends: Vec<(Id, String)> = graph
            .nodes()
            .filter_map(|node| {
                let mac = node.metadata.text("PeerIntfMAC")?.to_ascii_lowercase();
                Some((Rc::clone(&node.id), mac))
            })
            .collect();
        if ends.is_empty() && self.edges.is_empty() {
            return;
        }
        let by_mac: HashMap<&str, &Id> =
            graph.nodes().filter_map(|node| Some((node.metadata.text("MAC")?, &node.id))).collect();
        let pairs: Vec<(Id, Id)> = ends
            .into_iter()
            .filter_map(|(from, mac)| {
                let to = Rc::clone(by_mac.get(&*mac)?);
                (from != to).then_some((from, to))
            })
            .collect();
        let now = clock.wall.millis();
        let mut edges = BTreeSet::new();
        for (parent, child) in &pairs {
            let relation = "layer2";
            let id = edge_id(parent, child, relation);
            if graph.edge(&id).is_none() {
                // Only a full graph refuses, and counts that itself.
                let link = Link { parent, child, relation, host, origin };
                if graph.link(link, Map::new(), now).is_err() {
                    continue;
                }
                edges.insert(id);
            } else if self.edges.contains(&id) {
                edges.insert(id);
            }
        }
        for old in self.edges.difference(&edges) {
            graph.remove_edge(old, now);
        }
        self.edges = edges;
        self.revision = graph.revision();
    }
}
