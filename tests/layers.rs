//! Holds the `use crate::` lines of the tree against the layer table, so that the layering is
//! checked, not hoped for.

#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a test of source text")]

use std::fs;
use std::path::{Path, PathBuf};

/// Modules in layers from the bottom up; a module may use those of lower layers, of its own
/// layer, and what the second column adds.
const LAYERS: &[&[&str]] = &[
    &["time", "text", "packed", "counters", "wire", "filter"],
    &[
        "capture",
        "conntrack",
        "flow",
        "detect",
        "expression",
        "applications",
        "topology",
        "netns",
        "group",
        "source",
        "config",
    ],
    &["query", "core"],
    &["api", "sink"],
];

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Whether `from` may name `to`.
fn allowed(from: &str, to: &str) -> bool {
    match (from, to) {
        (same, other) if same == other => true,
        // io drives everything, nothing but main imports it; the crate root only declares.
        ("io" | "main" | "lib" | "cli", _) => true,
        (_, "io" | "cli") => false,
        // sys is std, libc and the lowest layer, and only io reaches into it.
        ("sys", to) => layer_of(to) == Some(0),
        (_, "sys") => false,
        // A flow carries an opaque detector state; it never names the detectors.
        ("flow", "detect") => false,
        (from, to) => match (layer_of(from), layer_of(to)) {
            (Some(from), Some(to)) => to <= from,
            _ => false,
        },
    }
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The modules that a line names by `crate::module`, with `{a::…, b}` groups taken apart.
fn named(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_i32;
            let mut word = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut word)),
                    c if depth == 0 => word.push(c),
                    _ => {}
                }
            }
            found.push(word);
        } else {
            found.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
        .into_iter()
        .map(|w| w.trim().split("::").next().unwrap_or_default().to_owned())
        .filter(|w| !w.is_empty() && w.chars().next().is_some_and(char::is_lowercase))
        .collect()
}

#[test]
fn modules_use_only_lower_layers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the tree is not where this test looks: {}", root.display());
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let first = inside.iter().next().unwrap().to_str().unwrap();
        let module = first.strip_suffix(".rs").unwrap_or(first);
        let text = fs::read_to_string(&file).unwrap();
        // Comments may link anywhere.
        let code: String = text
            .lines()
            .filter(|l| !l.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n");
        for other in named(&code) {
            if !allowed(module, &other) {
                wrong.push(format!("{} uses {other}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "against the layer table:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_lives_in_sys_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let inside = file.strip_prefix(&root).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        if !inside.starts_with("sys") {
            assert!(!text.contains("allow(unsafe_code)"), "{} allows unsafe", inside.display());
        }
    }
}

#[test]
fn the_table_itself_forbids_what_it_should() {
    assert!(!allowed("wire", "flow"));
    assert!(!allowed("core", "api"));
    assert!(!allowed("flow", "sys"));
    assert!(!allowed("api", "sys"));
    assert!(!allowed("flow", "detect"));
    assert!(!allowed("sys", "flow"));
    assert!(allowed("api", "core"));
    assert!(allowed("io", "sys"));
    assert!(allowed("core", "flow"));
    assert_eq!(named("use crate::{time::Tick, wire};"), ["time", "wire"]);
}
