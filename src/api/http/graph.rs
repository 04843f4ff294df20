//! Nodes and edges as JSON, written a piece at a time: those of one moment, however long it takes
//! to send them.

use std::rc::Rc;

use crate::topology::graph::{Edge, Graph, Node};

/// `{"Nodes":[…],"Edges":[…]}` on its way.
#[derive(Debug, Default)]
pub struct GraphText {
    nodes: Vec<Rc<Node>>,
    edges: Vec<Rc<Edge>>,
    /// Elements that are written.
    at: usize,
    begun: bool,
}

impl GraphText {
    /// All of a graph.
    #[must_use]
    pub fn of(graph: &Graph) -> Self {
        Self::new(graph.nodes().cloned().collect(), graph.edges().cloned().collect())
    }

    /// These nodes and edges.
    #[must_use]
    pub const fn new(nodes: Vec<Rc<Node>>, edges: Vec<Rc<Edge>>) -> Self {
        Self { nodes, edges, at: 0, begun: false }
    }

    /// Appends at least one element and about `most` octets; `true` while there is more.
    pub fn write(&mut self, out: &mut Vec<u8>, most: usize) -> bool {
        let until = out.len().saturating_add(most);
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(b"{\"Nodes\":[");
            if self.nodes.is_empty() {
                out.extend_from_slice(BETWEEN);
            }
        }
        loop {
            let edge = self.at.checked_sub(self.nodes.len());
            match edge {
                None => {
                    if let Some(node) = self.nodes.get(self.at) {
                        comma(out, self.at);
                        node.write(out);
                    }
                    if self.at.saturating_add(1) == self.nodes.len() {
                        out.extend_from_slice(BETWEEN);
                    }
                }
                Some(at) => match self.edges.get(at) {
                    Some(edge) => {
                        comma(out, at);
                        edge.write(out);
                    }
                    None => {
                        out.extend_from_slice(b"]}");
                        return false;
                    }
                },
            }
            self.at = self.at.saturating_add(1);
            if out.len() >= until {
                return true;
            }
        }
    }
}

const BETWEEN: &[u8] = b"],\"Edges\":[";

fn comma(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.push(b',');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::graph::{Element, Link};
    use crate::topology::value::Map;

    #[test]
    fn pieces_of_any_size_make_the_same_json() {
        let mut graph = Graph::default();
        let (host, origin) = ("h".into(), "agent.h".into());
        for nodes in 0..4_usize {
            let id = nodes.to_string();
            let mut whole = Vec::new();
            assert!(!GraphText::of(&graph).write(&mut whole, usize::MAX));
            let json: serde_json::Value = serde_json::from_slice(&whole).unwrap();
            assert_eq!(json["Nodes"].as_array().unwrap().len(), nodes);
            assert_eq!(json["Edges"].as_array().unwrap().len(), nodes.saturating_sub(1));
            for most in 0..whole.len() {
                let (mut text, mut pieces) = (GraphText::of(&graph), Vec::new());
                while text.write(&mut pieces, most) {}
                assert_eq!(pieces, whole, "{most}");
            }
            graph
                .add_node(Element::new(id.as_str().into(), Map::new(), &host, &origin, 1))
                .unwrap();
            if nodes > 0 {
                let link = Link {
                    parent: "0",
                    child: &id,
                    relation: "layer2",
                    host: &host,
                    origin: &origin,
                };
                graph.link(link, Map::new(), 1).unwrap();
            }
        }
    }
}
