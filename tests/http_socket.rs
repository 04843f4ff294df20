//! WebSockets of the HTTP front-end: subscribers, publishers, and clients that break the rules.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, helpers included, may panic"
)]

use std::rc::Rc;

use portolan::api::Connection as _;
use portolan::core::Agent;
use portolan::core::feed::{MAX_QUEUED, Message};
use portolan::topology::graph::{Element, Link};
use portolan::topology::value::Map;
use serde_json::{Value, json};

#[path = "support/mod.rs"]
mod support;
#[path = "support/web.rs"]
mod web;

use support::Flash;
use web::{Web, frame};

fn agent() -> Agent {
    let mut agent = Flash::default().agent();
    agent.facts.hostname = "router1".to_owned();
    agent
}

fn add(agent: &mut Agent, id: &str, kind: &str) {
    let metadata = Map::new().with("Name", id).with("Type", kind);
    let (host, origin): (Rc<str>, Rc<str>) = ("router1".into(), "agent.router1".into());
    agent.graph.add_node(Element::new(id.into(), metadata, &host, &origin, 1)).unwrap();
}

fn link(agent: &mut Agent, parent: &str, child: &str) {
    let (host, origin) = ("router1".into(), "agent.router1".into());
    let link = Link { parent, child, relation: "layer2", host: &host, origin: &origin };
    agent.graph.link(link, Map::new(), 1).unwrap();
}

fn set(agent: &mut Agent, id: &str, key: &'static str, value: i64) {
    agent
        .graph
        .update_node(id, 2, |metadata| {
            metadata.set(key, value);
        })
        .unwrap();
}

/// A client of an endpoint, named after it.
#[track_caller]
fn open(path: &str, fields: &str, agent: &mut Agent) -> Web {
    let mut web = Web::new(agent);
    let answer = web.open(path, fields, agent);
    assert_eq!(answer.status, 101, "{}", answer.text());
    web
}

/// What a client is told now, without the pings.
#[track_caller]
fn told(web: &mut Web, agent: &mut Agent) -> Vec<Value> {
    loop {
        let more = agent.tell_graph();
        web.settle(agent);
        if !more {
            return web.messages();
        }
    }
}

fn kinds(messages: &[Value]) -> Vec<String> {
    let name = |m: &Value| {
        let id = m["Obj"]["ID"].as_str().filter(|id| id.len() < 30).unwrap_or_default();
        format!("{} {id}", m["Type"].as_str().unwrap()).trim_end().to_owned()
    };
    messages.iter().map(name).collect()
}

fn ask(kind: &str, object: Value) -> String {
    json!({"UUID": "u1", "Namespace": "Graph", "Type": kind, "Status": 200, "Obj": object})
        .to_string()
}

#[test]
fn the_answer_to_an_upgrade_is_what_clients_look_for() {
    let mut agent = agent();
    let mut web = Web::new(&agent);
    let answer = web.open("/ws/subscriber", "X-Host-ID: a\n", &mut agent);
    assert_eq!(answer.status, 101);
    assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.field("x-host-id"), Some("router1"));
    assert_eq!(answer.field("x-service-type"), Some("analyzer"));
    assert_eq!(answer.field("sec-websocket-extensions"), None, "nothing is compressed");
    assert_eq!(web.frames(), [(0x89, vec![])], "a ping follows at once");
    let again = Web::new(&agent).open("/ws/subscriber", "X-Host-ID: a\n", &mut agent);
    assert_eq!(again.status, 409, "the name is taken");
    assert_eq!(Web::new(&agent).open("/ws/publisher", "X-Host-ID: a\n", &mut agent).status, 101);
    web.http.closed(&mut agent);
    assert_eq!(Web::new(&agent).open("/ws/subscriber?x-host-id=a", "", &mut agent).status, 101);
    for (change, status) in [
        ("Upgrade: WebSocket\n", 400),
        ("Connection: keep-alive, Upgrade\n", 400),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", 400),
        ("Sec-WebSocket-Version: 13\n", 426),
    ] {
        let fields = web::UPGRADE.replace(change, "");
        let answer = Web::new(&agent).ask(&format!("GET /ws/subscriber\n{fields}"), "", &mut agent);
        assert_eq!(answer.status, status, "without {change}");
    }
    for path in ["/ws/agent/topology", "/ws/replication", "/ws"] {
        assert_eq!(Web::new(&agent).open(path, "", &mut agent).status, 404, "{path}");
    }
}

#[test]
fn a_subscriber_is_told_of_each_change_in_an_order_that_can_be_followed() {
    let mut agent = agent();
    add(&mut agent, "old", "bridge");
    let mut web = open("/ws/subscriber", "", &mut agent);
    assert_eq!(kinds(&told(&mut web, &mut agent)), ["NodeAdded old"]);
    add(&mut agent, "a", "veth");
    link(&mut agent, "old", "a");
    set(&mut agent, "a", "MTU", 1_500);
    agent.graph.remove_node("old", 5);
    let messages = told(&mut web, &mut agent);
    let expected = ["NodeAdded a", "EdgeAdded", "NodeUpdated a", "EdgeDeleted", "NodeDeleted old"];
    assert_eq!(kinds(&messages), expected);
    for message in &messages {
        assert_eq!((&message["Namespace"], &message["Status"]), (&"Graph".into(), &200.into()));
        assert_eq!(message["UUID"].as_str().unwrap().len(), 36);
    }
    assert_eq!(messages[2]["Obj"]["Metadata"]["MTU"], 1_500);
    assert_eq!(messages[4]["Obj"]["DeletedAt"], 5);
    agent.feed.publish(Message::Alert(b"{\"UUID\":\"x\"}"[..].into()));
    agent.feed.publish(Message::Capture { kind: "Added", json: b"{}"[..].into() });
    let messages = told(&mut web, &mut agent);
    assert_eq!(messages[0]["Namespace"], "Alert");
    assert_eq!(messages[1]["Namespace"], "OnDemandCaptureNotification");
}

#[test]
fn a_request_to_synchronise_is_answered_with_the_graph_as_it_is() {
    let mut agent = agent();
    let mut web = open("/ws/subscriber", "", &mut agent);
    for n in 0..2_000 {
        add(&mut agent, &n.to_string(), "veth");
    }
    // Not told yet: the answer holds it, and it is not told again afterwards.
    assert!(agent.tell_graph());
    web.say(&ask("SyncRequest", json!({"GremlinFilter": ""})), &mut agent);
    let messages = web.messages();
    assert_eq!(kinds(&messages), ["SyncReply"]);
    let reply = &messages[0];
    assert_eq!((&reply["Type"], &reply["UUID"]), (&"SyncReply".into(), &"u1".into()));
    assert_eq!(reply["Obj"]["Nodes"].as_array().unwrap().len(), 2_000);
    assert!(web.most_waiting <= 192 * 1_024, "{}", web.most_waiting);
    add(&mut agent, "later", "veth");
    assert_eq!(kinds(&told(&mut web, &mut agent)), ["NodeAdded later"]);
    // Members may be left out, and what is no request is passed over.
    web.say(r#"{"Namespace":"Graph","Type":"SyncRequest"}"#, &mut agent);
    assert_eq!(web.messages()[0]["Type"], "SyncReply");
    for nonsense in ["", "[]", "{", "{}", r#"{"Namespace":"x","Type":"SyncRequest"}"#] {
        web.say(nonsense, &mut agent);
        assert!(web.messages().is_empty() && !web.closed, "{nonsense}");
    }
    assert_eq!(agent.counters.requests_bad, 5);
    web.say(&ask("SyncRequest", json!({"Time": 1})), &mut agent);
    let past = web.messages().pop().unwrap();
    assert!(past["Obj"]["Nodes"].as_array().unwrap().len() >= 2_000, "as it was at 1");
}

#[test]
fn a_change_of_a_thousand_nodes_reaches_everybody_who_reads() {
    let mut agent = agent();
    let mut web = open("/ws/subscriber", "", &mut agent);
    for n in 0..1_500 {
        let metadata = Map::new().with("Text", "x".repeat(2_000));
        let (host, origin): (Rc<str>, Rc<str>) = ("h".into(), "o".into());
        let node = Element::new(n.to_string().as_str().into(), metadata, &host, &origin, 1);
        agent.graph.add_node(node).unwrap();
    }
    assert_eq!(told(&mut web, &mut agent).len(), 1_500);
    assert_eq!(agent.feed.dropped, 0);
}

#[test]
fn a_filter_shows_the_difference_and_nothing_else() {
    let mut agent = agent();
    add(&mut agent, "br", "bridge");
    add(&mut agent, "v0", "veth");
    link(&mut agent, "br", "v0");
    while agent.tell_graph() {}
    let filter = "X-Gremlin-Filter: G.V().Has('Type', Within('bridge','veth')).SubGraph()\n";
    let mut web = open("/ws/subscriber", filter, &mut agent);
    assert!(told(&mut web, &mut agent).is_empty(), "nothing is sent before something changes");
    add(&mut agent, "other", "device");
    assert!(told(&mut web, &mut agent).is_empty());
    add(&mut agent, "v1", "veth");
    link(&mut agent, "br", "v1");
    assert_eq!(kinds(&told(&mut web, &mut agent)), ["NodeAdded v1", "EdgeAdded"]);
    set(&mut agent, "v1", "MTU", 9_000);
    assert_eq!(kinds(&told(&mut web, &mut agent)), ["NodeUpdated v1"]);
    agent
        .graph
        .update_node("v0", 3, |m| {
            m.set("Type", "device");
        })
        .unwrap();
    assert_eq!(kinds(&told(&mut web, &mut agent)), ["EdgeDeleted", "NodeDeleted v0"]);
    web.say(&ask("SyncRequest", json!({})), &mut agent);
    let reply = web.messages().pop().unwrap();
    assert_eq!(reply["Obj"]["Nodes"].as_array().unwrap().len(), 2, "the filter is kept");
    web.say(&ask("SyncRequest", json!({"GremlinFilter": "G.V('v0').SubGraph()"})), &mut agent);
    let reply = web.messages().pop().unwrap();
    assert_eq!(reply["Obj"]["Nodes"][0]["ID"], "v0", "another filter takes its place");
    for bad in ["G.Nonsense()", "G.V()", "G.V('nobody').SubGraph()"] {
        web.say(&ask("SyncRequest", json!({"GremlinFilter": bad})), &mut agent);
        let reply = web.messages().pop().unwrap();
        assert_eq!((&reply["Status"], reply["Obj"].is_string()), (&400.into(), true), "{bad}");
    }
    web.say(&ask("SyncRequest", json!({"GremlinFilter": ""})), &mut agent);
    let reply = web.messages().pop().unwrap();
    assert_eq!(reply["Obj"]["Nodes"].as_array().unwrap().len(), 4, "no filter shows all");
    set(&mut agent, "other", "MTU", 1);
    assert_eq!(kinds(&told(&mut web, &mut agent)), ["NodeUpdated other"]);
    for (fields, code) in [
        ("X-Gremlin-Filter: G.Nonsense()\n", 1_008_u16),
        ("X-Gremlin-Filter: G.V()\n", 1_008),
        ("X-Client-Protocol: xml\n", 1_008),
    ] {
        let mut web = open("/ws/subscriber", &format!("X-Host-ID: bad\n{fields}"), &mut agent);
        told_closed(&mut web, code, fields, &mut agent);
    }
}

#[track_caller]
fn told_closed(web: &mut Web, code: u16, what: &str, agent: &mut Agent) {
    web.settle(agent);
    assert!(web.closed, "{what}");
    let (first, payload) = web.frames().pop().unwrap();
    assert_eq!(first, 0x88, "{what}");
    assert_eq!(u16::from_be_bytes([payload[0], payload[1]]), code, "{what}");
    web.http.closed(agent);
}

#[test]
fn partial_updates_say_what_changed() {
    let mut agent = agent();
    add(&mut agent, "a", "veth");
    agent.tell_graph();
    let mut web = open("/ws/subscriber?x-update-policy=partial", "", &mut agent);
    set(&mut agent, "a", "MTU", 9_000);
    let messages = told(&mut web, &mut agent);
    assert_eq!(kinds(&messages), ["NodePartiallyUpdated a"]);
    assert_eq!(messages[0]["Obj"]["Revision"], 2);
    assert_eq!(messages[0]["Obj"]["Ops"], json!([{"Type": 1, "Key": "MTU", "Value": 9_000}]));
    agent
        .graph
        .update_node("a", 4, |m| {
            m.remove("MTU");
        })
        .unwrap();
    let messages = told(&mut web, &mut agent);
    assert_eq!(messages[0]["Obj"]["Ops"], json!([{"Type": 2, "Key": "MTU"}]));
}

#[test]
fn a_publisher_brings_alters_and_takes_away() {
    let mut agent = agent();
    let mut watching = open("/ws/subscriber", "X-Host-ID: w\n", &mut agent);
    let fields = "X-Host-ID: py\nX-Client-Type: test\nX-Persistence-Policy: DeleteOnDisconnect\n";
    let mut web = open("/ws/publisher", fields, &mut agent);
    let node = |id: &str, mtu: i64| json!({"ID": id, "Host": "h", "Metadata": {"Name": id, "Type": "t", "MTU": mtu}});
    web.say(&ask("NodeAdded", node("a", 1)), &mut agent);
    web.say(&ask("NodeAdded", node("b", 1)), &mut agent);
    let edge =
        json!({"ID": "e", "Parent": "a", "Child": "b", "Metadata": {"RelationType": "layer2"}});
    web.say(&ask("EdgeAdded", edge.clone()), &mut agent);
    web.say(&ask("NodeUpdated", node("a", 2)), &mut agent);
    let ops = json!({"ID": "a", "Ops": [{"Type": 1, "Key": "x.y", "Value": "z"}, {"Type": 2, "Key": "MTU"}]});
    web.say(&ask("NodePartiallyUpdated", ops), &mut agent);
    let messages = told(&mut watching, &mut agent);
    let expected = ["NodeAdded a", "NodeAdded b", "EdgeAdded e", "NodeUpdated a", "NodeUpdated a"];
    assert_eq!(kinds(&messages), expected);
    assert_eq!(messages[4]["Obj"]["Metadata"], json!({"Name": "a", "Type": "t", "x": {"y": "z"}}));
    assert_eq!(messages[0]["Obj"]["Origin"], "test.py");
    assert_eq!(messages[0]["Obj"]["Host"], "h");
    web.say(&ask("Sync", json!({"Nodes": [node("b", 1), node("c", 1)], "Edges": []})), &mut agent);
    let expected = ["EdgeDeleted e", "NodeDeleted a", "NodeAdded c"];
    assert_eq!(kinds(&told(&mut watching, &mut agent)), expected);
    web.say(&ask("NodeDeleted", node("c", 1)), &mut agent);
    web.say(&ask("EdgeAdded", edge), &mut agent);
    web.say(&ask("SyncRequest", json!({})), &mut agent);
    assert!(web.messages().is_empty(), "a publisher is told nothing");
    assert_eq!(kinds(&told(&mut watching, &mut agent)), ["NodeDeleted c"]);
    web.http.closed(&mut agent);
    assert_eq!(
        kinds(&told(&mut watching, &mut agent)),
        ["NodeDeleted b"],
        "it goes with its client"
    );
    let status = Web::new(&agent).ask("GET /api/status", "", &mut agent).json();
    assert!(
        status["Subscribers"]["w"].is_object()
            && status["Publishers"].as_object().unwrap().is_empty()
    );
    // A subscriber cannot publish; who does both, can.
    watching.say(&ask("NodeAdded", node("d", 1)), &mut agent);
    assert!(agent.graph.is_empty());
    let mut both = open("/ws/pubsub", "X-Host-ID: both\n", &mut agent);
    both.say(&ask("NodeAdded", node("d", 1)), &mut agent);
    assert_eq!(kinds(&told(&mut both, &mut agent)), ["NodeAdded d"]);
    both.http.closed(&mut agent);
    assert_eq!(agent.graph.len(), 1, "what is persistent stays");
}

#[test]
fn flows_come_as_lists_and_statistics_when_asked_for() {
    let mut agent = agent();
    let mut plain = open("/ws/subscriber/flow", "X-Host-ID: a\n", &mut agent);
    let fields = "X-Host-ID: b\nX-Websocket-Namespace: stats\nX-Websocket-Namespace: flow/7\n";
    let mut named = open("/ws/subscriber/flow", fields, &mut agent);
    let mut binary = open("/ws/subscriber/flow", "X-Client-Protocol: protobuf\n", &mut agent);
    let fields = "X-Host-ID: d\nX-Client-Protocol: protobuf\nX-Flow-Format: protobuf\n";
    let mut bodies = open("/ws/subscriber/flow", fields, &mut agent);
    plain.frames();
    binary.frames();
    bodies.frames();
    add(&mut agent, "a", "veth");
    agent.tell_graph();
    let flows = |namespace: &str| Message::Flows {
        namespace: namespace.into(),
        json: b"[{\"UUID\":\"1\"}]"[..].into(),
        protobuf: Some(b"\x0a\x03\x0a\x011"[..].into()),
    };
    agent.feed.publish(flows("flow"));
    agent.feed.publish(flows("flow/7"));
    let json = b"{\"CaptureID\":\"7\"}"[..].into();
    agent.feed.publish(Message::Stats { json, protobuf: None });
    let messages = told(&mut plain, &mut agent);
    assert_eq!(messages.len(), 1);
    assert_eq!(
        (&messages[0]["Namespace"], &messages[0]["Type"]),
        (&"flow".into(), &"store".into())
    );
    assert_eq!(messages[0]["Obj"][0]["UUID"], "1");
    let messages = told(&mut named, &mut agent);
    assert_eq!(
        (&messages[0]["Namespace"], &messages[1]["Type"]),
        (&"flow/7".into(), &"stats".into())
    );
    binary.settle(&mut agent);
    let frames = binary.frames();
    assert_eq!(frames[0].0, 0x82, "protobuf is binary");
    assert!(frames[0].1.starts_with(b"\x0a\x04flow\x12\x05store\x1a\x24"));
    assert!(frames[0].1.ends_with(b"\x20\xc8\x01\x32\x0e[{\"UUID\":\"1\"}]"));
    bodies.settle(&mut agent);
    let frames = bodies.frames();
    assert!(frames[0].1.ends_with(b"\x20\xc8\x01\x28\x01\x32\x05\x0a\x03\x0a\x011"));
    // What was not made as protobuf comes as JSON, in the envelope that was asked for.
    let json = b"[]"[..].into();
    agent.feed.publish(Message::Flows { namespace: "flow".into(), json, protobuf: None });
    bodies.settle(&mut agent);
    let frames = bodies.frames();
    assert!(frames[0].1.starts_with(b"\x0a\x04flow") && frames[0].1.ends_with(b"\x32\x02[]"));
}

#[test]
fn what_a_slow_client_loses_it_is_told() {
    let mut agent = agent();
    let mut web = open("/ws/subscriber/flow", "", &mut agent);
    web.frames();
    let batch = format!("[\"{}\"]", "x".repeat(10_000));
    let count = 2 * MAX_QUEUED / batch.len();
    for _ in 0..count {
        let json = batch.as_bytes().into();
        agent.feed.publish(Message::Flows { namespace: "flow".into(), json, protobuf: None });
    }
    let messages = told(&mut web, &mut agent);
    let notes: Vec<&Value> = messages.iter().filter(|m| m["Type"] == "dropped").collect();
    assert_eq!(notes.len(), 1);
    assert_eq!(notes[0]["Obj"], json!([]), "clients that look for flows find none");
    let lost = notes[0]["Count"].as_u64().unwrap();
    assert_eq!(lost + messages.len() as u64 - 1, count as u64);
    assert_eq!(agent.feed.dropped, lost);
    // A message that is larger than any room comes in parts.
    let json = format!("[\"{}\"]", "y".repeat(1_000_000)).into_bytes().into();
    agent.feed.publish(Message::Flows { namespace: "flow".into(), json, protobuf: None });
    assert_eq!(told(&mut web, &mut agent)[0]["Obj"][0].as_str().unwrap().len(), 1_000_000);
    assert!(web.most_waiting <= 192 * 1_024, "{}", web.most_waiting);
}

#[test]
fn frames_against_the_rules_end_the_connection_with_their_code() {
    let mut unmasked = vec![0x81, 2];
    unmasked.extend(b"hi");
    let huge = [&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0][..], &[0; 4]].concat();
    let mut endless = frame(0x01, &[b'x'; 60_000]);
    endless.extend(frame(0x00, &[b'x'; 60_000]));
    for (what, bytes, code) in [
        ("an unmasked frame", unmasked, 1_002),
        ("a reserved bit", frame(0xc1, b"hi"), 1_002),
        ("a reserved opcode", frame(0x83, b"hi"), 1_002),
        ("a reserved control opcode", frame(0x8b, b""), 1_002),
        ("a length of 2^63", huge, 1_009),
        ("a message of 64 KiB and more", frame(0x81, &[b'x'; 65_537]), 1_009),
        ("an endless continuation", endless, 1_009),
        ("a fragmented ping", frame(0x09, b""), 1_002),
        ("a large ping", frame(0x89, &[0; 126]), 1_002),
        ("a continuation of nothing", frame(0x80, b"x"), 1_002),
        ("two messages at once", [frame(0x01, b"a"), frame(0x81, b"b")].concat(), 1_002),
        ("a text that is none", frame(0x81, b"\xff\xfe"), 1_007),
        ("a close frame of one octet", frame(0x88, b"x"), 1_002),
        ("a hundred pings", frame(0x89, b"p").repeat(200), 1_008),
    ] {
        let mut agent = agent();
        let mut web = open("/ws/subscriber", "", &mut agent);
        web.send(&bytes, &mut agent);
        told_closed(&mut web, code, what, &mut agent);
        assert_eq!(agent.counters.http_refused_parse, 1, "{what}");
        assert!(agent.feed.is_empty(), "{what}");
    }
}

#[test]
fn pings_are_answered_and_a_close_is_repeated() {
    let mut agent = agent();
    let mut web = open("/ws/subscriber", "", &mut agent);
    web.frames();
    web.send(&frame(0x89, b"abc"), &mut agent);
    assert_eq!(web.frames(), [(0x8a, b"abc".to_vec())]);
    let text = ask("SyncRequest", json!({}));
    let (head, tail) = text.as_bytes().split_at(20);
    let cut = [frame(0x01, head), frame(0x89, b"between"), frame(0x80, tail)].concat();
    for byte in &cut {
        web.send(&[*byte], &mut agent);
    }
    let frames = web.frames();
    assert_eq!(frames[0], (0x8a, b"between".to_vec()));
    assert_eq!(frames[1].0, 0x81, "fragments make a message, one octet at a time");
    web.send(&frame(0x88, &1_000_u16.to_be_bytes()), &mut agent);
    assert_eq!(web.frames(), [(0x88, 1_000_u16.to_be_bytes().to_vec())]);
    assert!(web.closed);
}

#[test]
fn a_client_that_does_not_answer_pings_is_let_go() {
    let mut agent = agent();
    let mut web = open("/ws/subscriber", "", &mut agent);
    web.frames();
    for _ in 0..10 {
        web.wait(3, &mut agent);
        let frames = web.frames();
        assert!(frames.iter().all(|f| f.0 == 0x89) && !frames.is_empty(), "{frames:?}");
        web.send(&frame(0x8a, b""), &mut agent);
        assert!(!web.closed);
    }
    web.wait(9, &mut agent);
    assert!(web.closed && web.frames().pop().unwrap().0 == 0x88);
    // A message that never ends, with all pings answered.
    let mut web = open("/ws/subscriber", "X-Host-ID: slow\n", &mut agent);
    web.send(&frame(0x01, b"{"), &mut agent);
    for _ in 0..40 {
        web.send(&frame(0x00, b""), &mut agent);
        web.send(&frame(0x8a, b""), &mut agent);
        web.wait(1, &mut agent);
    }
    assert!(web.closed, "30 seconds are enough for a message");
}

#[test]
fn a_publisher_that_only_sends_and_leaves_is_heard() {
    let mut agent = agent();
    let mut web = open("/ws/publisher", "", &mut agent);
    let text =
        ask("NodeAdded", json!({"ID": "a", "Host": "h", "Metadata": {"Name": "a", "Type": "t"}}));
    web.send(&frame(0x81, text.as_bytes()), &mut agent);
    web.finish(&mut agent);
    assert!(web.closed && agent.graph.node("a").is_some());
}
