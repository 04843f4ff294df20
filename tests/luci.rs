//! The LuCI pages over the ubus object of a running agent: `tests/luci.mjs` in node. Skipped aloud
//! where there is no node.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;

use std::process::Command;

use process::{Lab, PROGRAM, Raw, frame, udp, until};

#[test]
fn the_pages_show_what_the_agent_says() {
    let found = ["node", "nodejs"].into_iter().find(|name| process::has(name));
    let Some(node) = found else {
        eprintln!("skipped: no node here");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/luci.mjs");
    let mut command = Command::new(node);
    command.args([script, PROGRAM]);
    // Without namespaces the pages still run, on prepared answers.
    let lab = Lab::new();
    let agent = lab.as_ref().map(|lab| {
        let agent = lab.start(&["-i", "va"]);
        agent.data(r#"{"command":"add-group-address","group":"guests","data":"10.99.0.2"}"#);
        agent.wait_for_capture("va");
        Raw::open(&lab.there, "vb").send(&frame(
            17,
            [10, 99, 0, 2],
            [10, 99, 0, 77],
            &udp(1_000, 9, 8),
        ));
        until(|| (!agent.flows("").is_empty()).then_some(()), || "a flow".to_owned());
        command.arg(lab.socket());
        agent
    });
    let output = command.output().unwrap();
    let text =
        String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    assert_eq!(agent.is_some(), !text.contains("skipped"), "{text}");
}
