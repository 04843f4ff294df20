//! Graphs in the language of Graphviz.

use crate::text::is_hidden;
use crate::topology::graph::{Edge, Node};
use crate::topology::value::Value;

/// What a node is called: its name and the beginning of its id.
pub(super) fn name(node: &Node) -> String {
    let short: String = node.id.chars().take(8).collect();
    format!("{}-{short}", node.name())
}

/// Appends a node with what is most worth knowing of it.
pub(super) fn node(node: &Node, name: &str, out: &mut Vec<u8>) {
    text(out, name);
    out.extend_from_slice(b" [label=\"");
    escape(out, name);
    for key in ["Type", "IfIndex", "State", "TID", "IPV4", "IPV6"] {
        let Some(value) = node.metadata.get(key) else { continue };
        let shown = match value {
            Value::Text(text) => text.to_string(),
            Value::List(items) => {
                items.iter().filter_map(Value::as_text).collect::<Vec<_>>().join(", ")
            }
            other => {
                let mut json = Vec::new();
                other.write(&mut json);
                String::from_utf8_lossy(&json).into_owned()
            }
        };
        if !shown.is_empty() {
            out.extend_from_slice(br"\n");
            escape(out, &format!("{key}: {shown}"));
        }
    }
    out.extend_from_slice(b"\"]\n");
}

/// Appends an edge between two nodes of those names.
pub(super) fn edge(edge: &Edge, parent: &str, child: &str, out: &mut Vec<u8>) {
    let relation = edge.relation().unwrap_or_default();
    text(out, parent);
    out.extend_from_slice(b" -> ");
    text(out, child);
    out.extend_from_slice(b" [label=");
    text(out, relation);
    let dir: &[u8] = if relation == "layer2" { b",dir=both]\n" } else { b",dir=forward]\n" };
    out.extend_from_slice(dir);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    escape(out, text);
    out.push(b'"');
}

/// Appends a text as it may stand in quotes. What is [hidden](is_hidden) becomes a blank.
fn escape(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            c if is_hidden(c) => out.push(b' '),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}
