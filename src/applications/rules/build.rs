//! Packs the shipped rules for the program (RFC 1951), without their remarks: on flash they take
//! a third of what they are as text.

use std::path::Path;
use std::{env, fs};

const RULES: &str = "src/applications/rules/portolan.rules";

fn main() {
    println!("cargo::rerun-if-changed={RULES}");
    println!("cargo::rerun-if-changed=src/applications/rules/build.rs");
    let text = fs::read_to_string(RULES).expect("the rules are part of the source");
    let mut rules = String::new();
    for line in text.lines() {
        // An expression may hold a `#` of its own.
        let rule = if line.trim_start().starts_with("expr") { line } else { before_remark(line) };
        if !rule.trim().is_empty() {
            rules.push_str(rule.trim());
            rules.push('\n');
        }
    }
    let packed = miniz_oxide::deflate::compress_to_vec(rules.as_bytes(), 10);
    let out = env::var_os("OUT_DIR").expect("cargo says where");
    fs::write(Path::new(&out).join("rules.deflate"), packed).expect("cargo's folder takes it");
}

fn before_remark(line: &str) -> &str {
    line.split('#').next().unwrap_or_default()
}
