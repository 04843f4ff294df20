//! Flows over HTTP as over every other interface: listings with conditions, and events over a
//! WebSocket.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, helpers included, may panic"
)]

use portolan::api::Connection as _;
use portolan::core::Agent;
use portolan::core::bus::MAX_SUBSCRIBERS;
use portolan::source::Frame;
use portolan::time::{Clock, Tick, Wall};
use serde_json::Value;

#[path = "support/mod.rs"]
mod support;
#[path = "support/web.rs"]
mod web;

use support::Flash;
use web::{UPGRADE, Web, frame};

/// A datagram of a host to a port.
fn datagram(host: u8, port: u16) -> Vec<u8> {
    let mut data = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, host, 8, 0];
    data.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, host, 192, 0, 2, 9]);
    data.extend([0x30, 0x39, (port >> 8) as u8, port as u8, 0, 12, 0, 0, 1, 2, 3, 4]);
    data
}

fn send(agent: &mut Agent, host: u8, port: u16) {
    let data = datagram(host, port);
    let ts = agent.clock().tick;
    agent.frames(&[Frame { ts, wire_len: data.len() as u32, data: &data, ..Frame::EMPTY }]);
}

fn agent() -> Agent {
    let mut agent = Flash::default().agent();
    for (host, port) in [(1, 9_001), (2, 9_001), (1, 9_002)] {
        send(&mut agent, host, port);
    }
    agent
}

fn flows(answer: &web::Answer) -> Vec<(String, u64)> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let ends = |flow: &Value| {
        let port = |side: &str| flow[format!("{side}_port")].as_u64().unwrap();
        let ip = ["local", "other"].map(|side| flow[format!("{side}_ip")].as_str().unwrap());
        let host = ip.iter().find(|ip| ip.starts_with("10.")).unwrap();
        ((*host).to_owned(), port("local").min(port("other")))
    };
    let mut found: Vec<_> = answer.json()["flows"].as_array().unwrap().iter().map(ends).collect();
    found.sort();
    found
}

#[test]
fn flows_are_listed_with_conditions_by_get_and_by_post() {
    let mut agent = agent();
    let mut web = Web::new(&agent);
    let all = flows(&web.ask("GET /api/flows", "", &mut agent));
    assert_eq!(all.len(), 3);
    let one = [("10.0.0.1".to_owned(), 9_002)];
    for head in [
        "GET /api/flows?where=port+%3D%3D+9002",
        "GET /api/flows?port=9002",
        "GET /api/flows?where=ip+%3D%3D+10.0.0.1+%26%26+%21+port+%3D%3D+9001",
    ] {
        assert_eq!(flows(&web.ask(head, "", &mut agent)), one, "{head}");
    }
    let json = "Content-Type: application/json\n";
    for (body, expected) in [
        (r#"{"where": "port == 9002"}"#, 1),
        (r#"{"port": 9001, "host": "10.0.0.2"}"#, 1),
        (r#"{"n": 2}"#, 2),
        ("{}", 3),
        ("", 3),
    ] {
        let answer = web.ask(&format!("POST /api/flows\n{json}"), body, &mut agent);
        assert_eq!(flows(&answer).len(), expected, "{body}");
    }
    let wrong =
        web.ask("GET /api/flows?where=ip_version+%3D%3D+4+%26%26+port+%3D%3D+http", "", &mut agent);
    assert_eq!(
        (wrong.status, wrong.text().trim_end()),
        (400, "where: port is a number, not \"http\" at column 28")
    );
    for body in ["[]", "7", r#"{"where": ["a"]}"#, r#"{"where": "nonsense"}"#, r#"{"port": "x"}"#] {
        let answer = web.ask(&format!("POST /api/flows\n{json}"), body, &mut agent);
        assert_eq!(answer.status, 400, "{body}");
    }
    // The same condition narrows who moves most.
    let top = web.ask("GET /api/top?of=host&where=port+%3D%3D+9002", "", &mut agent).json();
    let keys: Vec<&str> =
        top["top"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&"10.0.0.1") && !keys.contains(&"10.0.0.2"), "{keys:?}");
    let wrong = web.ask("GET /api/top?where=port+%3D", "", &mut agent);
    assert!(wrong.status == 400 && wrong.text().contains("at column"), "{}", wrong.text());
}

#[test]
fn a_websocket_is_told_of_flows_that_match() {
    let mut agent = agent();
    let mut web = Web::new(&agent);
    let answer = web.open("/ws/events?topic=flow&where=port+%3D%3D+9001", "", &mut agent);
    assert_eq!(answer.status, 101, "{}", answer.text());
    let told = web.messages();
    let kinds: Vec<_> = told.iter().map(|m| m["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["flow", "flow", "snapshot"], "{told:?}");
    assert_eq!((&told[0]["established"], &told[2]["flows"]), (&true.into(), &2.into()));
    send(&mut agent, 3, 9_002);
    send(&mut agent, 4, 9_001);
    web.settle(&mut agent);
    let told = web.messages();
    assert!(!told.is_empty());
    for message in &told {
        let flow = &message["flow"];
        assert!([&flow["local_ip"], &flow["other_ip"]].contains(&&"10.0.0.4".into()), "{message}");
    }
    // What it says means nothing, a ping is answered, and it can leave.
    web.say("{\"command\":\"stop\"}", &mut agent);
    web.send(&frame(0x89, b"hi"), &mut agent);
    assert_eq!(web.frames(), [(0x8a, b"hi".to_vec())]);
    web.send(&frame(0x88, &[3, 0xe8]), &mut agent);
    assert!(web.closed);
    assert_eq!(web.frames()[0].0, 0x88);
    web.http.closed(&mut agent);
    assert_eq!(agent.bus.len(), 0, "the subscription is given back");
}

#[test]
fn what_cannot_be_subscribed_to_is_refused_before_the_websocket_opens() {
    let mut agent = agent();
    for (path, status, says) in [
        ("/ws/events?topic=nonsense", 400, "topics out of"),
        ("/ws/events?topic=flow&where=port+%3D%3D+http", 400, "at column 9"),
        ("/ws/events?host=10.0.0.0/40", 400, "host: expected"),
    ] {
        let answer = Web::new(&agent).open(path, "", &mut agent);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().contains(says), "{}", answer.text());
    }
    let plain = Web::new(&agent).ask("GET /ws/events", "", &mut agent);
    assert_eq!(plain.status, 400);
    let old = UPGRADE.replace("Version: 13", "Version: 8");
    let answer = Web::new(&agent).ask(&format!("GET /ws/events\n{old}"), "", &mut agent);
    assert_eq!(answer.status, 426);
    assert_eq!(agent.bus.len(), 0);
    let mut all = Vec::new();
    for _ in 0..MAX_SUBSCRIBERS {
        let mut web = Web::new(&agent);
        assert_eq!(web.open("/ws/events?topic=test", "", &mut agent).status, 101);
        all.push(web);
    }
    assert_eq!(Web::new(&agent).open("/ws/events", "", &mut agent).status, 429);
}

#[test]
fn who_reads_nothing_is_told_what_was_lost_and_holds_a_bounded_part() {
    let mut agent = agent();
    let mut web = Web::new(&agent);
    assert_eq!(web.open("/ws/events?topic=flow", "", &mut agent).status, 101);
    web.messages();
    // Thousands of flows while nothing is taken.
    for n in 0..6_000_u16 {
        send(&mut agent, (n % 200) as u8 + 10, 10_000 + n);
    }
    assert!(web.http.held() < 1_024 * 1_024);
    web.settle(&mut agent);
    let told = web.messages();
    let lost: u64 =
        told.iter().filter(|m| m["type"] == "dropped").map(|m| m["count"].as_u64().unwrap()).sum();
    assert!(lost > 0 && told.len() > 500, "{lost} of {}", told.len());
    assert!(web.most_waiting <= 256 * 1_024, "{}", web.most_waiting);
    // Another moment: a client that answers no ping is closed.
    let later = Clock { tick: Tick(agent.clock().tick.0 + 1_000_000), wall: Wall::default() };
    agent.turn(later);
    web.wait(20, &mut agent);
    assert!(web.closed);
}
