//! What the header of a stream says of its target: the YAML document that capture clients look
//! for in the first comment.

use super::order::{Order, Target};
use crate::text::is_hidden;

/// What a document begins with.
const MARKER: &str = "---\n# capture target information\n";

/// The document of an order; it is about the first target.
pub(super) fn document(order: &Order) -> String {
    let mut out = MARKER.to_owned();
    let fallback = Target::default();
    let target = order.targets.first().unwrap_or(&fallback);
    for (key, value) in [
        ("container-name", &target.name),
        ("container-type", &target.kind),
        ("node-name", &target.node),
    ] {
        line(&mut out, key, value);
    }
    match target.cluster.as_deref() {
        None => {}
        Some("") => out.push_str("cluster: {}\n"),
        Some(uid) => {
            out.push_str("cluster:\n");
            line(&mut out, "  uid", uid);
        }
    }
    if !order.filter.is_empty() {
        line(&mut out, "capture-filter", &order.filter);
    }
    if !order.promiscuous {
        out.push_str("no-promiscuous-mode: true\n");
    }
    out
}

fn line(out: &mut String, key: &str, value: &str) {
    out.push_str(key);
    out.push_str(": ");
    scalar(out, value);
    out.push('\n');
}

/// A text as a YAML scalar: as it is where it can mean nothing else, otherwise in double quotes.
fn scalar(out: &mut String, value: &str) {
    if is_plain(value) {
        out.push_str(value);
        return;
    }
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => {
                use std::fmt::Write as _;
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether a text is read as itself without quotes, by readers of YAML 1.1 and 1.2.
fn is_plain(value: &str) -> bool {
    const WORDS: [&str; 13] =
        ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "~", ".nan", ".inf", "-.inf"];
    let mut chars = value.chars();
    let Some(first) = chars.next() else { return false };
    let is_letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_');
    is_letter(first)
        && chars.all(|c| {
            c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | '(' | ')' | ' ')
        })
        && !value.ends_with(' ')
        && !WORDS.contains(&value.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_keys_that_clients_read() {
        let target = Target {
            name: "init(1)".to_owned(),
            kind: "proc".to_owned(),
            cluster: Some(String::new()),
            ..Target::default()
        };
        let order = Order {
            targets: vec![target.clone()],
            filter: "tcp[13] & 2 != 0".to_owned(),
            promiscuous: false,
            ..Order::default()
        };
        assert_eq!(
            document(&order),
            "---\n# capture target information\ncontainer-name: init(1)\ncontainer-type: proc\n\
             node-name: \"\"\ncluster: {}\ncapture-filter: \"tcp[13] & 2 != 0\"\n\
             no-promiscuous-mode: true\n"
        );
        let cluster = Some("a-b".to_owned());
        let order = Order { targets: vec![Target { cluster, ..target }], ..Order::default() };
        assert!(document(&order).ends_with("node-name: \"\"\ncluster:\n  uid: a-b\n"));
    }

    #[test]
    fn what_could_be_read_as_something_else_is_quoted() {
        for (value, expected) in [
            ("web-1", "web-1"),
            ("default/web", "default/web"),
            ("", "\"\""),
            ("12", "\"12\""),
            ("true", "\"true\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("- x", "\"- x\""),
            ("a\n---\nb", "\"a\\n---\\nb\""),
            ("q\"\\\u{1b}", "\"q\\\"\\\\\\u001b\""),
            ("udp port 53", "udp port 53"),
            ("trailing ", "\"trailing \""),
        ] {
            let mut out = String::new();
            scalar(&mut out, value);
            assert_eq!(out, expected, "{value:?}");
        }
    }
}
