//! Rules of the user at work: nodes they make, metadata they add to nodes that match, edges they
//! draw. They are looked at again whenever the graph changes.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use crate::topology::graph::{Edge, Element, Id};
use crate::topology::value::{Map, Value};
use crate::wire::uuid::{OID, Uuid};

use super::Agent;
use super::resources::rule::{EdgeRule, NodeRule};
use super::resources::{Body, Kind};

/// Edges that one rule may draw; further ones are left out and counted.
pub const MAX_EDGES: usize = 4_096;

/// What rules have brought about, by the id of the rule.
#[derive(Debug, Default)]
pub struct Applied {
    nodes: HashMap<Rc<str>, BTreeSet<Id>>,
    edges: HashMap<Rc<str>, BTreeSet<Id>>,
    /// Edges left out because a rule asked for too many.
    pub refused: u64,
}

impl Agent {
    /// Brings the graph in step with all rules.
    pub(super) fn apply_rules(&mut self) {
        let node_rules: Vec<(Rc<str>, NodeRule)> = self
            .orders
            .resources
            .of(Kind::NodeRule)
            .filter_map(|known| match &known.body {
                Body::NodeRule(rule) => Some((Rc::clone(&known.id), rule.clone())),
                _ => None,
            })
            .collect();
        for (id, rule) in node_rules {
            self.apply_node_rule(&id, &rule);
        }
        let edge_rules: Vec<(Rc<str>, EdgeRule)> = self
            .orders
            .resources
            .of(Kind::EdgeRule)
            .filter_map(|known| match &known.body {
                Body::EdgeRule(rule) => Some((Rc::clone(&known.id), rule.clone())),
                _ => None,
            })
            .collect();
        for (id, rule) in edge_rules {
            self.apply_edge_rule(&id, &rule);
        }
    }

    /// Undoes a rule about nodes.
    pub(super) fn undo_node_rule(&mut self, id: &Rc<str>, rule: &NodeRule) {
        let now = self.now();
        if rule.update.is_none() {
            self.graph.remove_node(id, now);
        }
        for node in self.applied.nodes.remove(id).unwrap_or_default() {
            // Taking something away cannot be too much.
            let _ =
                self.graph.update_node(&node, now, |metadata| unmerge(metadata, &rule.metadata));
        }
    }

    /// Undoes a rule about edges.
    pub(super) fn undo_edge_rule(&mut self, id: &Rc<str>) {
        let now = self.now();
        for edge in self.applied.edges.remove(id).unwrap_or_default() {
            self.graph.remove_edge(&edge, now);
        }
    }

    fn apply_node_rule(&mut self, id: &Rc<str>, rule: &NodeRule) {
        let now = self.now();
        let Some(query) = &rule.update else {
            if self.graph.node(id).is_none() {
                let (host, origin) = (Rc::from(self.facts.hostname.as_str()), self.rule_origin());
                let mut metadata = rule.metadata.clone();
                if metadata.get("TID").is_none() {
                    metadata.set("TID", Rc::clone(id));
                }
                let node = Element::new(Rc::clone(id), metadata, &host, &origin, now);
                if self.graph.add_node(node).is_err() {
                    log::warn!("node rule {id}: the graph is full");
                }
            }
            return;
        };
        let nodes = match self.nodes_of(query) {
            Ok(nodes) => nodes,
            Err(error) => return log::debug!("node rule {id}: {error}"),
        };
        for node in nodes {
            let merged = self.graph.update_node(&node.id, now, |old| merge(old, &rule.metadata));
            if merged.is_ok() {
                self.applied.nodes.entry(Rc::clone(id)).or_default().insert(Rc::clone(&node.id));
            }
        }
        if let Some(nodes) = self.applied.nodes.get_mut(id) {
            nodes.retain(|node| self.graph.node(node).is_some());
        }
    }

    fn apply_edge_rule(&mut self, id: &Rc<str>, rule: &EdgeRule) {
        let now = self.now();
        let (sources, targets) = match (self.nodes_of(&rule.src), self.nodes_of(&rule.dst)) {
            (Ok(sources), Ok(targets)) => (sources, targets),
            (Err(error), _) | (_, Err(error)) => return log::debug!("edge rule {id}: {error}"),
        };
        let (host, origin) = (Rc::from(self.facts.hostname.as_str()), self.rule_origin());
        let before = self.applied.edges.remove(id).unwrap_or_default();
        let mut drawn = BTreeSet::new();
        let pairs = sources.iter().flat_map(|from| targets.iter().map(move |to| (from, to)));
        for (from, to) in pairs.filter(|(from, to)| from.id != to.id) {
            let name: Id = Uuid::named(OID, &[&from.id, &to.id, id]).to_string().into();
            if drawn.len() >= MAX_EDGES && !drawn.contains(&name) {
                self.applied.refused = self.applied.refused.saturating_add(1);
                break;
            }
            let known = self.graph.edge(&name).is_some();
            let element =
                Element::new(Rc::clone(&name), rule.metadata.clone(), &host, &origin, now);
            let (parent, child) = (Rc::clone(&from.id), Rc::clone(&to.id));
            if known || self.graph.add_edge(Edge { element, parent, child }).is_ok() {
                drawn.insert(name);
            }
        }
        for edge in before.difference(&drawn) {
            self.graph.remove_edge(edge, now);
        }
        if !drawn.is_empty() {
            self.applied.edges.insert(Rc::clone(id), drawn);
        }
    }

    fn rule_origin(&self) -> Rc<str> {
        format!("analyzer.{}", self.facts.hostname).into()
    }
}

/// Adds what `from` says, map by map.
fn merge(into: &mut Map, from: &Map) {
    for (key, value) in from.iter() {
        let merged = match (into.get(key), value) {
            (Some(Value::Map(old)), Value::Map(new)) => {
                let mut inner = Map::clone(old);
                merge(&mut inner, new);
                inner.into()
            }
            _ => value.clone(),
        };
        into.set(key.to_owned(), merged);
    }
}

/// Takes away what `from` says, and maps that are empty then.
fn unmerge(into: &mut Map, from: &Map) {
    for (key, value) in from.iter() {
        match (into.get(key), value) {
            (Some(Value::Map(old)), Value::Map(gone)) => {
                let mut inner = Map::clone(old);
                unmerge(&mut inner, gone);
                into.put(key.to_owned(), Some(inner).filter(|inner| !inner.is_empty()));
            }
            (Some(_), _) => {
                into.remove(key);
            }
            (None, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_adds_it_takes_away_again_and_no_more() {
        let inner = Map::new().with("x", 1_i64);
        let before = Map::new().with("Name", "n").with("a", inner);
        let rule = Map::new().with("a", Map::new().with("y", 2_i64)).with("b", "c");
        let mut now = before.clone();
        merge(&mut now, &rule);
        assert!(now.any("a.y", &mut |v| v.as_int() == Some(2)));
        assert!(now.any("a.x", &mut |v| v.as_int() == Some(1)));
        unmerge(&mut now, &rule);
        assert_eq!(now, before);
    }
}
