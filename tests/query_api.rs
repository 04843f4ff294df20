//! Queries as clients of the Unix socket and of the management port ask them.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

mod support;

use std::net::SocketAddr;
use std::rc::Rc;

use portolan::api::mgmt::{Config, Datagrams, Dialect, Server};
use portolan::core::Agent;
use portolan::core::agent::Reply;
use portolan::core::auth::{Caller, Right};
use portolan::core::command::{Command, Failure};
use portolan::time::Tick;
use portolan::topology::graph::{Element, Link};
use portolan::topology::value::Map;
use serde_json::{Value, json};

use support::{Client, Flash};

/// An agent with a host and some interfaces.
fn agent(interfaces: usize) -> Agent {
    let mut agent = Flash::default().agent();
    let (host, origin): (Rc<str>, Rc<str>) = ("h".into(), "agent.h".into());
    let known: Vec<Rc<str>> = agent.graph.nodes().map(|node| Rc::clone(&node.id)).collect();
    for id in known {
        agent.graph.remove_node(&id, 1);
    }
    let mut add = |id: &str, kind: &'static str| {
        let metadata = Map::new().with("Name", id).with("Type", kind).with("TID", id);
        let node = Element::new(id.into(), metadata, &host, &origin, 1);
        agent.graph.add_node(node).unwrap();
    };
    add("host", "host");
    for at in 0..interfaces {
        add(&format!("eth{at}"), "device");
    }
    for at in 0..interfaces {
        let link = Link {
            parent: "host",
            child: &format!("eth{at}"),
            relation: "ownership",
            host: &host,
            origin: &origin,
        };
        agent.graph.link(link, Map::new(), 1).unwrap();
    }
    agent
}

fn unix(agent: Agent, requests: &str) -> String {
    let mut client = Client::new(agent);
    client.send(requests.as_bytes());
    client.finish();
    assert!(client.closed, "all is said");
    client.take()
}

fn ask(query: &str) -> String {
    format!("{}\n", json!({"command": "gremlin", "data": query}))
}

#[test]
fn a_query_on_the_unix_socket_is_answered_in_order() {
    let requests = [ask("G.V().Count()"), ask("G.V().Values('Name')"), ask("G.V('host').Out()")];
    let answers = unix(agent(2), &requests.concat());
    let lines: Vec<&str> = answers.lines().collect();
    assert_eq!(lines[0], r#"{"code":100,"data":3,"message":"Ok."}"#);
    assert_eq!(lines[1], r#"{"code":100,"data":["host","eth0","eth1"],"message":"Ok."}"#);
    let answer: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(answer["data"][1]["Metadata"]["Name"], "eth1");
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_query_without_an_answer_says_why_and_where() {
    for (query, code, message) in [
        ("G.Foo()", 501, "Expected step function, got: Foo at position 2"),
        ("G.V('x')", 500, "Node 'x' does not exist at position 2"),
        ("G.V().Sum('Name')", 500, "The value of Name is not a number at position 6"),
    ] {
        let answer: Value = serde_json::from_str(&unix(agent(1), &ask(query))).unwrap();
        assert_eq!((&answer["code"], &answer["message"]), (&json!(code), &json!(message)));
    }
    let answer = unix(agent(1), "{\"command\":\"gremlin\"}\n");
    assert!(answer.contains("invalid query: expected a query"), "{answer}");
}

#[test]
fn a_long_answer_streams_without_being_held_whole() {
    let mut client = Client::new(agent(10_000));
    let before = client.out.room();
    client.send(ask("G.V()").as_bytes());
    client.finish();
    let answer = client.take();
    assert!(answer.len() > before, "{} octets do not fit at once", answer.len());
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["data"].as_array().unwrap().len(), 10_001);
}

#[test]
fn an_item_larger_than_the_outbox_arrives_whole() {
    let mut agent = agent(1);
    let long = "x".repeat(200_000);
    agent
        .graph
        .update_node("eth0", 2, |metadata| {
            metadata.set("Long", long.as_str());
        })
        .unwrap();
    let mut client = Client::new(agent);
    client.out = portolan::api::Outbox::new(64 * 1024);
    client.send(ask("G.V('eth0')").as_bytes());
    client.finish();
    let answer: Value = serde_json::from_str(&client.take()).unwrap();
    assert_eq!(answer["data"][0]["Metadata"]["Long"].as_str().unwrap().len(), 200_000);
}

#[test]
fn an_answer_can_be_spread_over_lines() {
    let request = "{\"command\":\"gremlin\",\"pretty\":true,\"data\":\"G.V().Values('Name')\"}\n";
    let answer = unix(agent(1), request);
    assert!(answer.contains("\n    \"data\": [\n        \"host\",\n"), "{answer}");
}

#[test]
fn payload_needs_the_right_to_capture() {
    let mut agent = agent(1);
    let run = |agent: &mut Agent, right, query: &str| {
        agent.run(Command::Gremlin { query: query.to_owned() }, &Caller { right })
    };
    let raw = "G.Flows().RawPackets()";
    assert_eq!(run(&mut agent, Right::Read, raw).unwrap_err(), Failure::Denied);
    assert!(matches!(run(&mut agent, Right::Capture, raw), Ok(Reply::Query(_))));
    assert!(matches!(run(&mut agent, Right::Read, "G.Flows()"), Ok(Reply::Query(_))));
}

/// What the management port answers to one line.
fn udp(agent: &mut Agent, line: &str) -> Vec<Value> {
    let own: SocketAddr = "127.0.0.1:5644".parse().unwrap();
    let config = Config { own, keyed_reads: false, dialect: Dialect::Published };
    let now = Tick::from_secs(1);
    let mut server = Server::new(config, now);
    let mut out = Datagrams::new(64);
    let mut got = Vec::new();
    server.receive(line.as_bytes(), "127.0.0.1:4000".parse().unwrap(), agent, &mut out, now);
    for _ in 0..10_000 {
        for (_, bytes) in out.iter() {
            assert!(bytes.len() <= 1_024);
            got.push(serde_json::from_slice(bytes).unwrap());
        }
        out.sent(out.len());
        if !server.produce(agent, &mut out, now) && out.is_empty() {
            return got;
        }
    }
    panic!("it never ends");
}

#[test]
fn the_management_port_gives_a_row_per_item() {
    let mut agent = agent(3);
    let rows = udp(&mut agent, "r 1:1:n2n gremlin G.V().Count()\n");
    assert_eq!(rows[0], json!({"_tag": "1", "_type": "begin", "cmd": "gremlin"}));
    assert_eq!(rows[1], json!({"_tag": "1", "_type": "row", "value": 4}));
    let end = json!({"_tag": "1", "_type": "end", "cmd": "gremlin", "rows": 1, "cut": 0});
    assert_eq!(rows[2], end);
    let rows = udp(&mut agent, "r 1:1:n2n gremlin G.V().Has('Name', 'eth1')\n");
    assert_eq!((&rows[1]["name"], &rows[1]["tid"]), (&json!("eth1"), &json!("eth1")));
    let rows = udp(&mut agent, "r 1:1:n2n gremlin G.E().Limit(2)\n");
    assert_eq!((&rows[2]["relation"], &rows[2]["child"]), (&json!("ownership"), &json!("eth1")));
    let rows = udp(&mut agent, "r 1:1:n2n gremlin G.V().Values('Name')\n");
    assert_eq!(rows[4]["value"], "eth2");
    let rows = udp(&mut agent, "r 1:1:n2n gremlin G.V('eth0').SubGraph()\n");
    assert_eq!(rows[1]["id"], "eth0");
    let path = "r 1:1:n2n gremlin G.V('host').ShortestPathTo(Metadata('Name','eth0'))\n";
    let item = udp(&mut agent, path)[1]["item"].as_str().unwrap().to_owned();
    assert!(item.starts_with("[{\"ID\":\"host\""), "{item}");
}

#[test]
fn the_management_port_says_what_went_wrong_and_what_was_cut() {
    let mut agent = agent(500);
    let rows = udp(&mut agent, "r 1:1:n2n gremlin G.V().Foo()\n");
    assert_eq!(rows[1]["error"], "badquery");
    assert_eq!(rows[1]["detail"], "Expected step function, got: Foo at position 6");
    let rows = udp(&mut agent, "r 1:1:n2n gremlin G.V('x')\n");
    assert_eq!(rows[1]["detail"], "Node 'x' does not exist at position 2");
    let rows = udp(&mut agent, "r 1:1:n2n gremlin\n");
    assert_eq!(rows[1]["error"], "badarg");
    let rows = udp(&mut agent, "r 1:1:n2n gremlin G.V()\n");
    let end = rows.last().unwrap();
    assert_eq!((&end["rows"], &end["cut"]), (&json!(200), &json!(1)));
    let rows = udp(&mut agent, "r 1:1:n2n gremlin G.V().Limit(200)\n");
    let end = rows.last().unwrap();
    assert_eq!((&end["rows"], &end["cut"]), (&json!(200), &json!(0)));
}
