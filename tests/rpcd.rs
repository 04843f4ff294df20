//! The ubus object as rpcd drives it: `list`, then `call METHOD` with the arguments on standard
//! input, against a running agent and against none.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

#[path = "support/process.rs"]
mod process;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use process::{Lab, PROGRAM, Raw, frame, udp};
use serde_json::{Value, json};

/// What rpcd takes of one answer.
const MOST: usize = 256 * 1024;

/// Runs the program under the plugin's name, as rpcd does.
fn plugin(folder: &Path, socket: &Path, words: &[&str], input: &[u8]) -> Output {
    let name = folder.join("rpcd/portolan");
    if !name.exists() {
        std::fs::create_dir_all(folder.join("rpcd")).unwrap();
        symlink(PROGRAM, &name).unwrap();
    }
    let mut command = Command::new(&name);
    command.args(words).env_clear().env("PORTOLAN_SOCKET", socket);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may not want all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// The answer to a call: one object, never longer than rpcd takes, and exit code 0.
#[track_caller]
fn call(lab: &Lab, method: &str, arguments: &str) -> Value {
    answer(&plugin(lab.dir.path(), &lab.socket(), &["call", method], arguments.as_bytes()))
}

#[track_caller]
fn answer(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.len() <= MOST, "{}", output.stdout.len());
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(value.is_object(), "{value}");
    value
}

#[track_caller]
fn fine(lab: &Lab, method: &str, arguments: &str) -> Value {
    let value = call(lab, method, arguments);
    assert_eq!(value.get("error"), None, "{method} {arguments}: {value}");
    value
}

#[track_caller]
fn error(lab: &Lab, method: &str, arguments: &str) -> String {
    let value = call(lab, method, arguments);
    value["error"].as_str().unwrap_or_else(|| panic!("{method} {arguments}: {value}")).to_owned()
}

fn list(lab: &Lab) -> Vec<String> {
    let list = answer(&plugin(lab.dir.path(), &lab.socket(), &["list"], b""));
    list.as_object().unwrap().keys().cloned().collect()
}

/// As many UDP flows as there are ports from 1 on, to a machine that is not there to complain.
fn traffic(lab: &Lab, flows: u16) {
    let raw = Raw::open(&lab.there, "vb");
    for port in 1..=flows {
        raw.send(&frame(17, [10, 99, 0, 2], [10, 99, 0, 77], &udp(port, 9, 8)));
    }
}

#[test]
fn every_method_of_the_list_answers() {
    let Some(lab) = Lab::new() else { return };
    let dir = lab.dir.path().display().to_string();
    // Other tests have a `va` too, in namespaces of their own.
    let folder = format!("packet_dir={dir}");
    let agent = lab.start(&["-i", "va", "-s", &folder, "-s", "netns_discovery=no"]);
    agent.wait_for_capture("va");
    traffic(&lab, 3);
    process::until(|| (agent.flows("").len() == 3).then_some(()), || "three flows".to_owned());
    let flow = agent.flows("")[0]["id"].as_u64().unwrap();
    let mut left = list(&lab);
    assert!(left.len() > 25, "{left:?}");
    let mut ask = |method: &str, arguments: &str| {
        left.retain(|name| name != method);
        fine(&lab, method, arguments)
    };

    assert_eq!(ask("status", "")["flow_count"], 3);
    assert_eq!(ask("info", "{}")["version"], env!("CARGO_PKG_VERSION"));
    let interfaces = ask("interfaces", "{}");
    assert_eq!(interfaces["interfaces"].as_array().unwrap().len(), 2, "{interfaces}");
    assert_eq!(ask("flows", r#"{"n": 2}"#)["total"], 2);
    assert_eq!(ask("flow", &format!("{{\"id\": {flow}}}"))["flows"][0]["key"], "id");
    assert_eq!(ask("top", r#"{"of": "port"}"#)["top"][0]["key"], "udp/9");
    let neighbours = ask("neighbours", r#"{"dev": "va"}"#);
    assert_eq!(neighbours["neighbours"][0]["ip4addr"], "10.99.0.2", "{neighbours}");
    let devices = ask("devices", "");
    // The busiest first: who sent, then whom the kernel knows.
    let macs = devices["devices"].as_array().unwrap().iter().map(|device| &device["macaddr"]);
    assert_eq!(macs.collect::<Vec<_>>(), ["02:00:00:00:00:09", "02:00:00:00:00:0b"], "{devices}");
    assert_eq!(devices["devices"][1]["addresses"], json!(["10.99.0.2"]));
    assert!(devices["devices"][0]["tx_bytes"].as_u64().unwrap() > 0, "{devices}");
    assert_eq!(ask("apps", "")["apps"][0]["flows"], 3);
    let looked = ask("lookup", r#"{"what": "10.99.0.2"}"#);
    assert_eq!(looked["rows"][0]["key"], "scope", "{looked}");
    assert_eq!(ask("gremlin", r#"{"query": "G.V().Has('Name', 'va').Count()"}"#)["result"], 1);
    assert!(ask("topology", r#"{"type": "veth"}"#)["rows"].is_array());
    assert!(ask("netns", "")["rows"].is_array());

    let capture = ask("capture_start", r#"{"dev": "va", "filter": "udp port 9"}"#);
    let id = capture["rows"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(ask("captures", "")["rows"][0]["id"], id.as_str());
    ask("capture_stop", &json!({"id": id}).to_string());
    let session = ask("session_start", r#"{"nif": "va", "file": "evening.pcapng"}"#);
    let id = session["id"].as_u64().unwrap_or_else(|| panic!("{session}"));
    assert_eq!(ask("sessions", "")["rows"][0]["id"], id);
    ask("session_stop", &format!("{{\"id\": {id}}}"));
    assert_eq!(ask("sinks", "")["rows"], json!([]));
    let facts = ask("packet_capture", "");
    assert_eq!(facts["http"][0]["port"], 8_082, "{facts}");
    assert_eq!(
        (&facts["http"][0]["local"], &facts["path"]),
        (&json!(true), &json!("/capture.pcapng"))
    );
    assert_eq!(facts["dir"], dir);

    ask("group_add", r#"{"group": "tv", "data": ["10.99.0.2", "10.99.1.0/24"]}"#);
    assert_eq!(ask("groups", "")["groups"].as_array().unwrap().len(), 1);
    let members = ask("group_members", r#"{"group": "tv", "n": 1}"#);
    assert_eq!((&members["total"], &members["more"]), (&json!(1), &json!(true)), "{members}");
    let found = ask("group_lookup", r#"{"data": "10.99.0.2"}"#);
    assert!(found.to_string().contains("\"tv\""), "{found}");
    ask("group_save", r#"{"group": "tv"}"#);
    ask("group_remove", r#"{"group": "tv", "data": "10.99.0.2"}"#);
    ask("group_load", r#"{"group": "tv"}"#);
    ask("group_flush", r#"{"group": "tv"}"#);

    assert_eq!(ask("verbose", r#"{"level": 3}"#)["traceLevel"], 3);
    ask("set", r#"{"key": "flows_idle", "value": 77}"#);
    let settings = ask("settings", "");
    let rows = settings["settings"].as_array().unwrap();
    let row = |key: &str| rows.iter().find(|row| row["key"] == key).unwrap();
    assert_eq!(row("flows_idle")["value"], "77");
    assert_eq!(row("management_password")["secret"], true);
    assert_eq!(row("management_password").get("value"), None);
    ask("reload", "");
    ask("flush", r#"{"what": "flows"}"#);
    ask("restart", "");
    assert!(left.is_empty(), "not called: {left:?}");
}

#[test]
fn a_long_table_is_whole_in_pages_that_rpcd_takes() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    agent.wait_for_capture("va");
    traffic(&lab, 1_500);
    process::until(
        || (agent.status()["flow_count"] == 1_500).then_some(()),
        || format!("1500 flows: {}", agent.status()["flow_count"]),
    );
    let mut ports: Vec<u64> = Vec::new();
    let mut after = json!(0);
    let mut pages = 0;
    while !after.is_null() {
        let page = fine(&lab, "flows", &json!({"n": 5_000, "after": after}).to_string());
        let flows = page["flows"].as_array().unwrap();
        assert_eq!(page["total"], flows.len());
        assert_eq!(page["more"] == true, page.get("next").is_some());
        ports.extend(flows.iter().filter_map(|flow| flow["other_port"].as_u64()));
        ports.extend(flows.iter().filter_map(|flow| flow["local_port"].as_u64()));
        after = page.get("next").cloned().unwrap_or_default();
        pages += 1;
    }
    ports.retain(|port| *port != 9);
    ports.sort_unstable();
    // The port that both ends have is left out above.
    assert!(ports.iter().copied().eq((1..=1_500).filter(|port| *port != 9)), "{}", ports.len());
    assert!(pages > 1, "1500 flows should not fit one answer");
}

#[test]
fn a_group_of_many_comes_by_pages() {
    let Some(lab) = Lab::new() else { return };
    let _agent = lab.start(&["-i", "va"]);
    let addresses: Vec<String> =
        (0..6_000).map(|n| format!("2001:db8:1111:2222:3333:4444:{n:x}:1")).collect();
    for part in addresses.chunks(3_000) {
        let data = json!({"group": "many", "data": part});
        fine(&lab, "group_add", &data.to_string());
    }
    let page = fine(&lab, "group_members", r#"{"group": "many", "n": 100000}"#);
    assert_eq!(page["more"], true);
    let rest = json!({"group": "many", "n": 100_000, "after": page["next"]});
    let rest = fine(&lab, "group_members", &rest.to_string());
    let count = |page: &Value| page["members"].as_array().unwrap().len();
    assert_eq!(count(&page) + count(&rest), 6_000);
    assert_eq!(rest["more"], false);
}

#[test]
fn what_cannot_be_is_said_and_nothing_happens() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    for (method, arguments, said) in [
        ("flows", "[]", "no JSON object"),
        ("flows", "7", "no JSON object"),
        ("flows", "{", "no JSON"),
        ("flows", "{\"n\":1}{\"n\":1}", "no JSON"),
        ("flows", r#"{"iface": "va"}"#, "flows takes where, dev, proto"),
        ("flows", r#"{"command": "restart"}"#, "no argument is called \"command\""),
        ("flows", r#"{"n": 0}"#, "invalid n"),
        ("flows", r#"{"n": "many"}"#, "invalid n"),
        ("flows", r#"{"n": -1}"#, "invalid n"),
        ("flows", r#"{"dev": ["va"]}"#, "invalid dev"),
        ("flows", r#"{"state": "\u0000\u001b[2J"}"#, "invalid state"),
        ("flow", "", "invalid id"),
        ("flow", r#"{"id": 424242}"#, "Not found"),
        ("gremlin", "", "invalid query"),
        ("gremlin", r#"{"query": "G.Foo()"}"#, "Foo"),
        ("capture_start", "", "invalid dev"),
        ("capture_stop", r#"{"id": "no"}"#, "Not found"),
        ("session_start", r#"{"nif": "va"}"#, "file: expected"),
        ("session_start", r#"{"nif": "va", "file": ""}"#, "file: expected"),
        ("session_start", r#"{"nif": "va", "file": "../../etc/passwd"}"#, ""),
        ("session_stop", r#"{"id": 1}"#, "Not found"),
        ("group_add", r#"{"group": {}, "data": []}"#, "group"),
        ("group_add", r#"{"group": "../x", "data": ["10.0.0.1"]}"#, "group"),
        ("set", r#"{"key": "nothing", "value": "1"}"#, "invalid key"),
        ("devices", r#"{"n": "x"}"#, "invalid n"),
        ("status", r#"{"x": 1}"#, "status takes nothing"),
        ("subscribe", "", "no method \"subscribe\""),
        ("packets", "", "no method \"packets\""),
        ("", "", "no method"),
        ("__proto__", "", "no method"),
    ] {
        let error = error(&lab, method, arguments);
        assert!(error.contains(said), "{method} {arguments}: {error}");
    }
    let long = format!("{{\"dev\": \"{}\"}}", "x".repeat(300_000));
    assert!(error(&lab, "flows", &long).contains("longer than"));
    assert!(error(&lab, "flows", &format!("{{\"dev\":{}", "[".repeat(200_000))).contains("JSON"));
    assert_eq!(agent.status()["capture"][0]["dev"], "va");
    // What LuCI adds is no argument.
    fine(&lab, "status", r#"{"ubus_rpc_session": "00000000000000000000000000000000"}"#);
}

#[test]
fn without_an_agent_it_says_so_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("none.sock");
    let start = Instant::now();
    for method in ["status", "flows", "devices", "packet_capture", "restart"] {
        let value = answer(&plugin(folder.path(), &socket, &["call", method], b"{}"));
        let error = value["error"].as_str().unwrap();
        assert!(error.contains("none.sock") && error.contains("/etc/init.d/portolan"), "{error}");
    }
    // A socket that nobody listens at any more.
    drop(UnixListener::bind(&socket).unwrap());
    let value = answer(&plugin(folder.path(), &socket, &["call", "status"], b""));
    assert!(value["error"].as_str().unwrap().contains("no agent answers"), "{value}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_agent_that_talks_nonsense_or_too_much_is_borne() {
    for (said, expected) in [
        (Vec::from(*b"hello\n"), "cannot be read"),
        (Vec::new(), "cannot be read"),
        (Vec::from(*b"{\"code\":500,\"message\":\"No.\"}\n"), "No."),
        (vec![b'['; 3 * 1024 * 1024], "too long"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("odd.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            client.read_to_end(&mut request).unwrap();
            let _ = client.write_all(&said);
        });
        let value = answer(&plugin(folder.path(), &socket, &["call", "status"], b""));
        assert!(value["error"].as_str().unwrap().contains(expected), "{value}");
        thread.join().unwrap();
    }
}

#[test]
fn by_hand_it_is_a_sub_command() {
    let run = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.args(words).stdin(Stdio::null()).output().unwrap()
    };
    let listed = answer(&run(&["rpcd", "list"]));
    assert_eq!(listed["flows"]["n"], 32);
    let value = answer(&run(&["rpcd", "--socket", "/nowhere/x.sock", "call", "status"]));
    assert!(value["error"].as_str().unwrap().contains("/nowhere/x.sock"), "{value}");
    for words in [&["rpcd"][..], &["rpcd", "call"], &["rpcd", "list", "x"], &["rpcd", "lst"]] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty());
    }
}
