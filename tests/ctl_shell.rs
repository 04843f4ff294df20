//! `portolan ctl` in the shell of a router: busybox ash, whose `nc` knows no UDP. What it prints
//! is held against what OpenBSD's `nc -u` prints.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/process.rs"]
mod process;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use process::{Lab, PROGRAM, has, within};

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs a script by ash inside the namespace; `ctl` is the sub-command.
fn ash(lab: &Lab, script: &str) -> Ran {
    let shell: &[&str] = if has("busybox") { &["busybox", "ash"] } else { &["sh"] };
    let script = format!("ctl() {{ {PROGRAM} ctl \"$@\"; }}\n{script}");
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-c", &script]).stdin(Stdio::null());
    let output = within(&lab.here, move || command.output().unwrap());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[test]
fn what_goes_in_by_a_pipe_comes_out_as_nc_shows_it() {
    let Some(lab) = Lab::new() else { return };
    let _agent = lab.start(&["-i", "va"]);
    for line in [
        "r 1 help",
        "r 7 interfaces n=1",
        "r 8 verbose",
        "w 2:1:n2n verbose 3",
        "w 3 verbose 3",
        "r 4 nosuch",
        "r 5 flow 1",
        "r 1",
        "x 1 help",
        "help",
    ] {
        let piped = ash(&lab, &format!("echo '{line}' | ctl"));
        assert!(!piped.out.is_empty(), "{line}: {}", piped.err);
        let worded = ash(&lab, &format!("ctl {line}"));
        if line.starts_with(['r', 'w']) && line.len() > 3 {
            assert_eq!(worded.out, piped.out, "{line}");
        }
        // Within ash the name would be busybox's own.
        if let Some(nc) = ["/bin/nc", "/usr/bin/nc"].into_iter().find(|nc| Path::new(nc).exists())
            && ["r 1 help", "w 3 verbose 3", "r 5 flow 1", "help"].contains(&line)
        {
            let nc = ash(&lab, &format!("echo '{line}' | {nc} -w1 -u 127.0.0.1 5644"));
            assert_eq!(piped.out, nc.out, "{line}");
        }
        let refused = piped.out.contains("\"_type\":\"error\"");
        assert_eq!(piped.code, Some(i32::from(refused)), "{line}: {}", piped.err);
    }
    assert!(ash(&lab, "echo | ctl").out.contains("uptime"));
}

#[test]
fn several_lines_are_several_requests_in_order() {
    let Some(lab) = Lab::new() else { return };
    let _agent = lab.start(&["-i", "va"]);
    let ran = ash(&lab, "printf 'r 1 verbose\\nr 2 nosuch\\nr 3 verbose' | ctl");
    let tags: Vec<String> = ran
        .out
        .lines()
        .map(|line| {
            let reply: serde_json::Value = serde_json::from_str(line).unwrap();
            format!("{}{}", reply["_tag"].as_str().unwrap(), reply["_type"].as_str().unwrap())
        })
        .collect();
    let expected = ["1begin", "1row", "1end", "2error", "3begin", "3row", "3end"];
    assert_eq!((tags, ran.code), (expected.map(str::to_owned).to_vec(), Some(1)));
    // A loop of a script gets one answer each.
    let ran = ash(&lab, "for n in 1 2 3; do ctl r verbose || exit 9; done");
    assert_eq!((&*ran.out, ran.code), ("{\"traceLevel\":2}\n".repeat(3).as_str(), Some(0)));
}

#[test]
fn keys_come_from_a_file_and_waiting_has_an_end() {
    let Some(lab) = Lab::new() else { return };
    let _agent = lab.start(&["-i", "va", "-s", "management_password=geheim"]);
    let key = lab.file("key", "geheim\r\nsecond line\n");
    for script in [
        format!("ctl --key-file {key} w verbose 4"),
        format!("ctl --key-file {key} w 1 verbose 4"),
        format!("echo w 1 verbose 4 | ctl --key-file {key}"),
        "echo w 1:1:geheim verbose 4 | ctl".to_owned(),
    ] {
        let ran = ash(&lab, &script);
        assert!(ran.out.contains("\"traceLevel\":4"), "{script}: {}{}", ran.out, ran.err);
        assert_eq!(ran.code, Some(0), "{script}");
    }
    let ran = ash(&lab, "ctl w verbose 1");
    assert!(ran.code == Some(1) && ran.err.contains("--key-file"), "{}", ran.err);
    // Nothing happens on this topic.
    let ran = ash(&lab, &format!("ctl -w 1 --key-file {key} s 1 alert"));
    assert!(ran.out.contains("\"subscribed\""), "{}{}", ran.out, ran.err);
    assert_eq!(ran.code, Some(0));
}

#[test]
fn who_is_not_there_or_says_nothing_is_told_apart_by_the_exit_code() {
    let Some(lab) = Lab::new() else { return };
    let _agent = lab.start(&["-i", "va"]);
    for (script, code) in [
        ("ctl -p 1 r status", 3),
        ("echo r 1 help | ctl -p 1", 3),
        // What is no request gets no answer.
        ("echo '{}' | ctl -w 1", 3),
        ("ctl", 2),
        ("ctl </dev/null", 2),
        ("ctl -w 0 r status", 2),
        ("ctl -w x r status", 2),
        ("head -c 5000 /dev/zero | tr '\\0' x | ctl", 2),
        ("ctl r status | head -n 0", 0),
    ] {
        let ran = ash(&lab, script);
        assert_eq!(ran.code, Some(code), "{script}: {}", ran.err);
        assert!(code == 0 || ran.err.lines().count() == 1, "{script}: {}", ran.err);
    }
}

#[test]
fn it_reaches_an_agent_by_ip_version_6() {
    let Some(lab) = Lab::new() else { return };
    let enabled = within(&lab.here, || fs::write("/proc/sys/net/ipv6/conf/lo/disable_ipv6", "0"));
    if enabled.is_err() {
        eprintln!("skipped: no IPv6 on this machine");
        return;
    }
    let _agent = lab.start(&["-i", "va", "--management-address", "::1"]);
    for address in ["::1", "[::1]", "::1%lo"] {
        let ran = ash(&lab, &format!("echo r 1 verbose | ctl -a {address}"));
        assert!(
            ran.out.ends_with("\"_type\":\"end\",\"cmd\":\"verbose\"}\n"),
            "{address}: {}",
            ran.err
        );
        assert_eq!(ran.code, Some(0), "{address}");
    }
}
