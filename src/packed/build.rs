//! Packs the longer texts for the program (RFC 1951): on flash they take a third to a half of what
//! they are as text. The shipped rules go without their remarks.

use std::path::Path;
use std::{env, fs};

const BUILD: &str = "src/packed/build.rs";
const RULES: &str = "src/applications/rules/portolan.rules";
/// What goes as it is.
const TEXTS: [&str; 3] =
    ["src/wire/vendors.txt", "src/core/devices/traces.txt", "src/api/http/schemas.json"];

fn main() {
    println!("cargo::rerun-if-changed={BUILD}");
    pack(RULES, &without_remarks(&read(RULES)));
    for path in TEXTS {
        pack(path, &read(path));
    }
}

fn read(path: &str) -> String {
    println!("cargo::rerun-if-changed={path}");
    fs::read_to_string(path).expect("it is part of the source")
}

/// Writes a text packed, under its own name.
fn pack(path: &str, text: &str) {
    let packed = miniz_oxide::deflate::compress_to_vec(text.as_bytes(), 10);
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    let name = Path::new(path).file_name().expect("it is a file");
    fs::write(Path::new(&out).join(name), packed).expect("cargo's folder takes it");
}

fn without_remarks(text: &str) -> String {
    let mut rules = String::new();
    for line in text.lines() {
        // An expression may hold a `#` of its own.
        let rule = if line.trim_start().starts_with("expr") { line } else { before_remark(line) };
        if !rule.trim().is_empty() {
            rules.push_str(rule.trim());
            rules.push('\n');
        }
    }
    rules
}

fn before_remark(line: &str) -> &str {
    line.split('#').next().unwrap_or_default()
}
