//! Every expression of `tests/gremlin/*.txt` over one fixed graph, with its exact answer; and what
//! no expression may do, whatever it is.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails"
)]

use std::fmt::Write as _;
use std::rc::Rc;

use portolan::capture::flow::{Fragments, Icmp, IcmpKind, Layer, Metric, Protocol, RawPacket, Tcp};
use portolan::capture::{Flow, Store};
use portolan::query::{Answer, Error, Kind, Query, Run, World};
use portolan::time::{Clock, Tick, Wall};
use portolan::topology::graph::{Edge, Element, Graph, Link, Node};
use portolan::topology::value::{Map, Value};
use proptest::prelude::*;

/// What `NOW` is: Tue, 14 Nov 2023 22:13:20 UTC, in milliseconds.
const NOW: i64 = 1_700_000_000_000;

struct Fixture {
    graph: Graph,
    flows: Store,
}

impl Fixture {
    fn world(&self) -> World<'_> {
        let now = Clock { tick: Tick(0), wall: Wall(NOW * 1_000) };
        World { graph: &self.graph, flows: &self.flows, now }
    }
}

fn json(text: &str) -> Map {
    match Value::of_json(&serde_json::from_str(text).unwrap()) {
        Value::Map(map) => Map::clone(&map),
        other => panic!("{other:?}"),
    }
}

fn node(graph: &mut Graph, id: &str, created: i64, metadata: &str) {
    let node = Element::new(
        id.into(),
        json(metadata).with("TID", format!("tid-{id}")),
        &"router1".into(),
        &"agent.router1".into(),
        created,
    );
    graph.add_node(node).unwrap();
}

fn edge(graph: &mut Graph, parent: &str, child: &str, metadata: &str) {
    let id = format!("{parent}>{child}");
    let (host, origin) = ("router1".into(), "agent.router1".into());
    let element = Element::new(id.into(), json(metadata), &host, &origin, NOW - 3_000_000);
    graph.add_edge(Edge { element, parent: parent.into(), child: child.into() }).unwrap();
}

/// A router with two namespaces on a bridge, an uplink and a loopback. `host` is the oldest and
/// `e2` the youngest; ten minutes ago `wan` was down, and `gone` was there until five minutes ago.
fn fixture() -> Fixture {
    let mut graph = Graph::default();
    let then = NOW - 3_600_000;
    node(
        &mut graph,
        "host",
        then,
        r#"{"Name":"router1","Type":"host","Hostname":"router1","OS":"linux",
        "KernelCmdLine":{"quiet":true},"CPU":[{"CPU":0,"Mhz":1000},{"CPU":1,"Mhz":1200}],
        "Sockets":[{"Process":"/bin/sh","Name":"sh","Protocol":"TCP","State":"ESTABLISHED",
            "LocalAddress":"10.0.0.12","LocalPort":80,
            "RemoteAddress":"10.0.0.11","RemotePort":40000},
          {"Process":"/bin/dns","Name":"dns","Protocol":"UDP","State":"LISTEN",
            "LocalAddress":"0.0.0.0","LocalPort":53,"RemoteAddress":"0.0.0.0","RemotePort":0}]}"#,
    );
    let space = r#"{"Name":"vm1","Type":"netns","Path":"/var/run/netns/vm1","Inode":11}"#;
    node(&mut graph, "ns1", then + 1, space);
    let space = r#"{"Name":"vm2","Type":"netns","Path":"/var/run/netns/vm2","Inode":12}"#;
    node(&mut graph, "ns2", then + 2, space);
    node(
        &mut graph,
        "br",
        then + 3,
        r#"{"Name":"br-lan","Type":"bridge","IfIndex":3,"MTU":1500,"MAC":"02:00:00:00:00:03",
        "State":"UP","IPV4":["10.0.0.1/24","192.168.7.1/28"],"IPV6":["fe80::3/64"],
        "LinkFlags":["UP","BROADCAST","MULTICAST"],"Features":{"highdma":true,"tso":false},
        "Neighbors":[{"IP":"10.0.0.11","MAC":"02:00:00:00:00:11","State":["NUD_REACHABLE"]},
          {"IP":"10.0.0.12","MAC":"02:00:00:00:00:12","State":["NUD_STALE"]}],
        "Captures":[{"ID":"cap-1","State":"active"}],
        "RoutingTables":[{"ID":254,"Routes":[{"Prefix":"10.0.0.0/24","Protocol":2,
          "NextHops":[{"Priority":0,"IfIndex":3}]}]}],
        "Metric":{"RxBytes":5000,"TxBytes":7000,"RxPackets":50,"Last":1699999990000},
        "LastUpdateMetric":{"RxBytes":100,"TxBytes":300,
          "Start":1699999940000,"Last":1699999970000}}"#,
    );
    node(
        &mut graph,
        "v1",
        then + 4,
        r#"{"Name":"veth1","Type":"veth","IfIndex":5,"MTU":1500,"MAC":"02:00:00:00:00:05",
        "State":"UP","MasterIndex":3,"Speed":10000,
        "LastUpdateMetric":{"RxBytes":50,"RxPackets":5,
          "Start":1699999940000,"Last":1699999970000}}"#,
    );
    node(
        &mut graph,
        "v2",
        then + 5,
        r#"{"Name":"veth2","Type":"veth","IfIndex":6,"MTU":1400,"MAC":"02:00:00:00:00:06",
        "State":"DOWN","MasterIndex":3,"Speed":10000.5}"#,
    );
    node(
        &mut graph,
        "wan",
        then + 6,
        r#"{"Name":"wan","Type":"device","IfIndex":2,"MTU":1492,"MAC":"02:00:00:00:00:02",
        "State":"DOWN","IPV4":["198.51.100.2/24"],
        "Neighbors":[{"IP":"198.51.100.1","MAC":"02:00:00:00:00:fe","State":["NUD_REACHABLE"]}],
        "RoutingTables":[{"ID":254,"Routes":[
          {"Prefix":"0.0.0.0/0","NextHops":[{"Priority":100,"IP":"198.51.100.1","IfIndex":2}]},
          {"Prefix":"198.51.100.0/24","NextHops":[{"Priority":0,"IfIndex":2}]},
          {"Prefix":"10.8.0.0/16","NextHops":[{"Priority":5,"IP":"198.51.100.8","IfIndex":2}]},
          {"Prefix":"10.8.1.0/24","NextHops":[{"Priority":7,"IP":"198.51.100.9","IfIndex":2}]}]}],
        "LastUpdateMetric":{"RxBytes":1,"Start":1699999310000,"Last":1699999340000}}"#,
    );
    let lo = r#"{"Name":"lo","Type":"device","EncapType":"loopback","IfIndex":1,"MTU":65536,
        "IPV4":["127.0.0.1/8"],"State":"UNKNOWN","Driver":""}"#;
    node(&mut graph, "lo", then + 7, lo);
    node(
        &mut graph,
        "e1",
        then + 8,
        r#"{"Name":"eth0","Type":"veth","IfIndex":2,"MTU":1500,"MAC":"02:00:00:00:00:11",
        "State":"UP","IPV4":["10.0.0.11/24"]}"#,
    );
    node(
        &mut graph,
        "e2",
        then + 9,
        r#"{"Name":"eth0","Type":"veth","IfIndex":2,"MTU":1500,"MAC":"02:00:00:00:00:12",
        "State":"UP","IPV4":["10.0.0.12/24"],"Tags":[]}"#,
    );
    for (parent, child) in [
        ("host", "ns1"),
        ("host", "ns2"),
        ("host", "br"),
        ("host", "v1"),
        ("host", "v2"),
        ("host", "wan"),
        ("host", "lo"),
        ("ns1", "e1"),
        ("ns2", "e2"),
    ] {
        edge(&mut graph, parent, child, r#"{"RelationType":"ownership"}"#);
    }
    for (parent, child) in [("br", "v1"), ("br", "v2")] {
        edge(&mut graph, parent, child, r#"{"RelationType":"layer2"}"#);
    }
    for (parent, child) in [("v1", "e1"), ("v2", "e2")] {
        edge(&mut graph, parent, child, r#"{"RelationType":"layer2","Type":"veth"}"#);
    }
    node(&mut graph, "gone", then + 10, r#"{"Name":"gone","Type":"dummy"}"#);
    let (host, origin) = ("router1".into(), "agent.router1".into());
    let link =
        Link { parent: "host", child: "gone", relation: "ownership", host: &host, origin: &origin };
    graph.link(link, Map::new(), then + 10).unwrap();
    graph
        .update_node("wan", NOW - 600_000, |metadata| {
            metadata.set("State", "UP");
            metadata.set(
                "LastUpdateMetric",
                json(r#"{"RxBytes":60,"TxBytes":30,"Start":1699999940000,"Last":1700000000000}"#),
            );
        })
        .unwrap();
    graph.remove_node("gone", NOW - 300_000);
    Fixture { graph, flows: flows() }
}

fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

/// Two TCP flows that are one, seen at both ends of the bridge; a DNS query; an echo with packets.
fn flows() -> Store {
    let base = Flow {
        uuid: 0xf1,
        parent: None,
        layers_path: "Ethernet/IPv4/TCP".into(),
        application: "TCP".into(),
        link: Some(Layer { protocol: Protocol::Ethernet, a: mac(0x11), b: mac(0x12), id: 0 }),
        network: Some(Layer {
            protocol: Protocol::Ipv4,
            a: [10, 0, 0, 11].into(),
            b: [10, 0, 0, 12].into(),
            id: 0,
        }),
        transport: Some(Layer { protocol: Protocol::Tcp, a: 40_000, b: 80, id: 0 }),
        icmp: None,
        metric: Metric {
            ab_packets: 4,
            ab_bytes: 400,
            ba_packets: 3,
            ba_bytes: 3_000,
            start: NOW - 60_000,
            last: NOW - 1_000,
            rtt: 1_500,
        },
        last_update: Some(Metric {
            ab_packets: 1,
            ab_bytes: 100,
            ba_packets: 1,
            ba_bytes: 1_000,
            start: NOW - 20_000,
            last: NOW - 10_000,
            rtt: 0,
        }),
        tcp: Some(Box::<Tcp>::default()),
        fragments: None,
        extra: None,
        tracking: 0xaa,
        l3_tracking: 0x1a,
        node_tid: "tid-v1".into(),
        capture: "cap-1".into(),
        capture_name: "lan".into(),
        raw: Vec::new(),
        raw_captured: 0,
        finish: None,
    };
    let second = Flow {
        uuid: 0xf2,
        node_tid: "tid-v2".into(),
        metric: Metric { last: NOW - 2_000, ab_bytes: 390, ..base.metric },
        last_update: None,
        tcp: None,
        ..base.clone()
    };
    let dns = Flow {
        uuid: 0xf3,
        layers_path: "Ethernet/IPv4/UDP/DNS".into(),
        application: "DNS".into(),
        link: Some(Layer { protocol: Protocol::Ethernet, a: mac(2), b: mac(0xfe), id: 0 }),
        network: Some(Layer {
            protocol: Protocol::Ipv4,
            a: [198, 51, 100, 2].into(),
            b: [192, 0, 2, 53].into(),
            id: 0,
        }),
        transport: Some(Layer { protocol: Protocol::Udp, a: 5_353, b: 53, id: 0 }),
        metric: Metric {
            ab_packets: 1,
            ab_bytes: 70,
            start: NOW - 400_000,
            last: NOW - 390_000,
            ..Metric::default()
        },
        last_update: None,
        tcp: None,
        fragments: Some(Fragments { fragments: 2, errors: 1 }),
        extra: Some(Box::new(json(r#"{"DNS":{"ID":7,"questions":[{"name":"a.example"}]}}"#))),
        tracking: 0xbb,
        l3_tracking: 0x1b,
        node_tid: "tid-wan".into(),
        capture: "cap-2".into(),
        capture_name: "".into(),
        ..base.clone()
    };
    let packet = |index: i64, kind: u8| {
        // An echo of 10.0.0.11, or its reply.
        let mut data = vec![0; 42];
        data[12..14].copy_from_slice(&[8, 0]);
        data[14] = 0x45;
        data[23] = 1;
        data[34] = kind;
        RawPacket { timestamp: NOW - 5_000 + index, index, data: data.into(), link_type: 1 }
    };
    let echo = Flow {
        uuid: 0xf4,
        layers_path: "Ethernet/IPv4/ICMPv4".into(),
        application: "ICMPv4".into(),
        transport: None,
        icmp: Some(Icmp { kind: IcmpKind::Echo, code: 0, id: 9 }),
        metric: Metric {
            ab_packets: 1,
            ab_bytes: 98,
            ba_packets: 1,
            ba_bytes: 98,
            start: NOW - 5_000,
            last: NOW - 5_000,
            rtt: 0,
        },
        last_update: None,
        tcp: None,
        tracking: 0xcc,
        l3_tracking: 0x1a,
        node_tid: "tid-br".into(),
        raw: Vec::from([packet(0, 8), packet(1, 0)]),
        raw_captured: 2,
        ..base.clone()
    };
    let mut store = Store::default();
    for flow in [base, second, dns, echo] {
        store.insert(flow);
    }
    store
}

/// Evaluates in slices of that many visits.
fn run(fixture: &Fixture, text: &str, visits: usize) -> Result<Run, Error> {
    let mut run = Run::new(Query::parse(text)?);
    while !run.advance(&fixture.world(), visits)? {}
    Ok(run)
}

/// The answer as JSON, written in pieces of that many octets.
fn written(fixture: &Fixture, run: &mut Run, most: usize) -> String {
    let mut out = Vec::new();
    while run.write(&fixture.world(), &mut out, most) {}
    assert!(!run.write(&fixture.world(), &mut out, most), "nothing follows the end");
    String::from_utf8(out).unwrap()
}

fn ids(nodes: &[Rc<Node>]) -> String {
    nodes.iter().map(|node| &*node.id).collect::<Vec<_>>().join(" ")
}

/// An answer in few words, as the files of cases have it.
fn shown(fixture: &Fixture, text: &str) -> String {
    let mut run = match run(fixture, text, usize::MAX) {
        Ok(run) => run,
        Err(error) => return format!("error: {error}"),
    };
    let mut sliced = self::run(fixture, text, 3).unwrap();
    let json = written(fixture, &mut run, usize::MAX);
    assert_eq!(written(fixture, &mut sliced, 1), json, "{text}: slices change nothing");
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    let edges = |edges: &[Rc<Edge>]| {
        edges.iter().map(|edge| &*edge.element.id).collect::<Vec<_>>().join(" ")
    };
    let shown = match run.answer().unwrap() {
        Answer::Nodes(nodes) => format!("nodes: {}", ids(nodes)),
        Answer::Edges(all) => format!("edges: {}", edges(all)),
        Answer::Graph { nodes, edges: all } => format!("graph: {} | {}", ids(nodes), edges(all)),
        Answer::Paths(paths) => {
            let paths: Vec<String> = paths.iter().map(|path| ids(path)).collect();
            format!("paths: {}", paths.join(" | "))
        }
        Answer::Flows(flows) => {
            let flows = flows.iter().filter_map(|flow| fixture.flows.get(*flow));
            format!("flows: {}", flows.map(Flow::uuid_text).collect::<Vec<_>>().join(" "))
        }
        Answer::Groups(groups) => {
            let mut text = String::from("groups:");
            for (id, flows) in groups {
                let flows = flows.iter().filter_map(|flow| fixture.flows.get(*flow));
                let flows: Vec<String> = flows.map(Flow::uuid_text).collect();
                write!(text, " {id:x}={}", flows.join(",")).unwrap();
            }
            text
        }
        _ => format!("json: {json}"),
    };
    shown.trim_end().to_owned()
}

/// Cases of a file: a query on a line, what it gives on the next, a blank line or a comment.
fn cases(text: &'static str) -> Vec<(&'static str, &'static str)> {
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines.len() % 2, 0, "a query without an answer");
    lines.chunks(2).map(|pair| (pair[0], pair[1].trim())).collect()
}

fn check(text: &'static str, least: usize) {
    let fixture = fixture();
    let cases = cases(text);
    assert!(cases.len() >= least, "{} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .map(|(query, expected)| (query, expected, shown(&fixture, query)))
        .filter(|(_, expected, shown)| *expected != shown)
        .map(|(query, expected, shown)| {
            format!("{query}\n  expected {expected}\n  got      {shown}")
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn steps_along_the_graph_give_what_they_should() {
    check(include_str!("gremlin/graph.txt"), 170);
}

#[test]
fn predicates_and_keys_pick_what_they_should() {
    check(include_str!("gremlin/predicates.txt"), 85);
}

#[test]
fn flows_metrics_and_times_give_what_they_should() {
    check(include_str!("gremlin/flows.txt"), 150);
}

#[test]
fn ill_formed_queries_are_refused_with_the_reason_and_the_place() {
    check(include_str!("gremlin/errors.txt"), 130);
}

fn answer(text: &str) -> String {
    let fixture = fixture();
    let mut run = run(&fixture, text, usize::MAX).unwrap();
    written(&fixture, &mut run, usize::MAX)
}

#[test]
fn results_have_the_shapes_that_clients_read() {
    let node = r#"{"ID":"ns1","Metadata":{"Inode":11,"Name":"vm1","Path":"/var/run/netns/vm1","TID":"tid-ns1","Type":"netns"},"Host":"router1","Origin":"agent.router1","CreatedAt":1699996400001,"UpdatedAt":1699996400001,"DeletedAt":null,"Revision":1}"#;
    assert_eq!(answer("G.V('ns1')"), format!("[{node}]"));
    let path = "G.V('ns1').ShortestPathTo(Metadata('Name','vm1'))";
    assert_eq!(answer(path), format!("[[{node}]]"));
    let edge = r#"{"ID":"br>v1","Metadata":{"RelationType":"layer2"},"Host":"router1","Origin":"agent.router1","CreatedAt":1699997000000,"UpdatedAt":1699997000000,"DeletedAt":null,"Revision":1,"Parent":"br","Child":"v1"}"#;
    assert_eq!(answer("G.E('br>v1')"), format!("[{edge}]"));
    assert_eq!(answer("G.V('ns1').SubGraph()"), format!(r#"[{{"Nodes":[{node}],"Edges":[]}}]"#));
    let none = "G.V().Has('Name','nobody')";
    assert_eq!(answer(&format!("{none}.SubGraph()")), r#"[{"Nodes":[],"Edges":[]}]"#);
    for empty in [
        "",
        ".Values('Name')",
        ".Flows()",
        ".Metrics()",
        ".Sockets()",
        ".NextHop('10.0.0.1')",
        ".OutE()",
        ".ShortestPathTo(Metadata('Name','lo'))",
        ".Flows().Group()",
        ".Flows().RawPackets()",
    ] {
        assert_eq!(answer(&format!("{none}{empty}")), "[]", "{empty}");
    }
    let flow = answer("G.Flows('UUID','f3')");
    let expected = concat!(
        r#"[{"UUID":"f3","LayersPath":"Ethernet/IPv4/UDP/DNS","Application":"DNS","#,
        r#""Link":{"Protocol":"ETHERNET","A":"02:00:00:00:00:02","B":"02:00:00:00:00:fe","ID":0},"#,
    );
    assert!(flow.starts_with(expected), "{flow}");
    assert!(flow.contains(r#""ANodeTID":"tid-wan""#) && !flow.contains("BNodeTID"), "{flow}");
    let both = answer("G.Flows('UUID','f1')");
    assert!(both.contains(r#""ANodeTID":"tid-e1","BNodeTID":"tid-e2""#), "{both}");
    let groups = answer("G.Flows().Group().MoreThan(1)");
    assert!(groups.starts_with(r#"[{"aa":[{"UUID":"f1","#) && groups.ends_with("}]}]"), "{groups}");
}

#[test]
fn a_graph_can_be_drawn_and_nothing_else() {
    let fixture = fixture();
    let mut run =
        run(&fixture, "G.V().Has('Name',WITHIN('br-lan','veth1')).SubGraph()", 5).unwrap();
    assert!(run.is_graph() && !run.is_packets());
    let mut out = Vec::new();
    while run.write_dot(&mut out, 1) {}
    let expected = "digraph g {\n\
        \"br-lan-br\" [label=\"br-lan-br\\nType: bridge\\nIfIndex: 3\\nState: UP\\nTID: tid-br\\n\
        IPV4: 10.0.0.1/24, 192.168.7.1/28\\nIPV6: fe80::3/64\"]\n\
        \"veth1-v1\" [label=\"veth1-v1\\nType: veth\\nIfIndex: 5\\nState: UP\\nTID: tid-v1\"]\n\
        \"br-lan-br\" -> \"veth1-v1\" [label=\"layer2\",dir=both]\n\
        }\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    let mut run = self::run(&fixture, "G.V()", 5).unwrap();
    assert!(!run.is_graph() && !run.write_dot(&mut Vec::new(), 1));
}

#[test]
fn kept_packets_become_a_capture_file() {
    let fixture = fixture();
    let mut run = run(&fixture, "G.Flows().RawPackets()", 5).unwrap();
    assert!(run.is_packets());
    let mut out = Vec::new();
    while run.write_pcap(&fixture.world(), &mut out, 1) {}
    assert_eq!(out.len(), 24 + 2 * (16 + 42));
    assert_eq!(out[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    assert_eq!(out[20..24], [1, 0, 0, 0], "Ethernet");
    assert_eq!(out[24..28], 1_699_999_995_u32.to_le_bytes());
    assert_eq!(out[32..36], 42_u32.to_le_bytes());
    assert!(Query::parse("G.Flows().RawPackets()").unwrap().wants_packets());
    assert!(!Query::parse("G.Flows()").unwrap().wants_packets());
}

/// A graph in which every node leads to every other one.
fn dense(nodes: usize) -> Fixture {
    let mut graph = Graph::default();
    for at in 0..nodes {
        let number = Map::new().with("N", u32::try_from(at).unwrap());
        let (host, origin) = ("h".into(), "o".into());
        let id = format!("n{at}");
        graph.add_node(Element::new(id.into(), number, &host, &origin, 1)).unwrap();
    }
    for from in 0..nodes {
        for to in (0..nodes).filter(|to| *to != from) {
            edge(&mut graph, &format!("n{from}"), &format!("n{to}"), "{}");
        }
    }
    Fixture { graph, flows: Store::default() }
}

#[test]
fn what_explodes_is_given_up_and_the_step_is_named() {
    let fixture = dense(64);
    let text = format!("G.V(){}.Count()", ".Out()".repeat(10));
    let error = run(&fixture, &text, usize::MAX).unwrap_err();
    assert_eq!((error.kind, error.at), (Kind::Budget, Some(12)));
    assert_eq!(error.to_string(), "More than 65536 elements in step 'Out' at position 12");
    let text = format!("G.V(){}.Count()", ".Out().Dedup()".repeat(31));
    assert!(run(&fixture, &text, usize::MAX).is_ok());
    let text = format!("G.V(){}.Out()", ".Out().Limit(60000).Both().Limit(60000)".repeat(15));
    let error = run(&fixture, &text, usize::MAX).unwrap_err();
    assert_eq!(error.kind, Kind::Budget);
    assert!(error.message.starts_with("Too much work for one query"), "{error}");
}

#[test]
fn a_turn_looks_at_no_more_than_it_may() {
    let fixture = dense(64);
    let mut run = Run::new(Query::parse("G.V().Out().Has('N',LT(5)).Dedup().Sort('N')").unwrap());
    let mut turns = 0;
    while !run.advance(&fixture.world(), 500).unwrap() {
        turns += 1;
    }
    // 64 * 63 edges, then as many nodes, and what is left of them.
    assert!((16..200).contains(&turns), "{turns} turns");
    let Some(Answer::Nodes(nodes)) = run.answer() else { panic!() };
    assert_eq!(ids(nodes), "n0 n1 n2 n3 n4");
}

#[test]
fn a_limit_ends_the_walk_early() {
    let fixture = dense(64);
    let text = format!("G.V().Out().Limit(3){}", ".Out().Limit(3)".repeat(20));
    let mut run = Run::new(Query::parse(&text).unwrap());
    assert!(run.advance(&fixture.world(), 6_000).unwrap(), "a walk to the end takes more");
}

#[test]
fn bombs_and_floods_are_refused_at_once() {
    for text in [
        "(".repeat(4_000),
        format!("G.V().Has('a',{}", "WITHIN(".repeat(500)),
        format!("G{}", ".V()".repeat(10_000)),
        format!("G.V(){}", ".Out()".repeat(64)),
        format!("G.V().Has('a',REGEX('{}'))", "(a+)+".repeat(300)),
        "G.V().Has('a',REGEX('(a{500}){500}'))".to_owned(),
        format!("G.V().Has('a',REGEX('{}'))", "(".repeat(900)),
        format!("G.V().Has('a',METADATA('b',{}))", "METADATA('c',".repeat(9)),
    ] {
        let error = Query::parse(&text).unwrap_err();
        assert_eq!(error.kind, Kind::Syntax, "{text:.40}: {error}");
    }
    let list = "1,".repeat(2_000);
    let fixture = fixture();
    let many = format!("G.V().Has('MTU',WITHIN({list}1500))");
    let Some(Answer::Nodes(nodes)) = run(&fixture, &many, 10).unwrap().answer().cloned() else {
        panic!()
    };
    assert_eq!(ids(&nodes), "br v1 e1 e2");
}

#[test]
fn a_flow_that_ended_meanwhile_is_left_out() {
    let fixture = fixture();
    let mut run = run(&fixture, "G.Flows()", usize::MAX).unwrap();
    let empty = Fixture { graph: Graph::default(), flows: Store::default() };
    assert_eq!(written(&empty, &mut run, usize::MAX), "[]");
}

/// Words that queries are made of, so that random ones get far.
fn word() -> impl Strategy<Value = String> {
    let words = [
        "G",
        ".",
        "(",
        ")",
        ",",
        "V",
        "E",
        "Has",
        "Out",
        "In",
        "Both",
        "OutE",
        "InV",
        "Dedup",
        "Count",
        "Limit",
        "Sort",
        "Values",
        "Keys",
        "Sum",
        "Flows",
        "Metrics",
        "Aggregates",
        "SubGraph",
        "As",
        "Select",
        "ShortestPathTo",
        "Metadata",
        "Descendants",
        "Neighbors",
        "NextHop",
        "Context",
        "At",
        "NOW",
        "FOREVER",
        "WITHIN",
        "REGEX",
        "GT",
        "NE",
        "'Type'",
        "'veth'",
        "'Name'",
        "'10.0.0.1'",
        "'-1m'",
        "'x",
        "5",
        "-1",
        "2.5",
        "DESC",
        "true",
        "RawPackets",
        "BPF",
        "Group",
        "MoreThan",
        "Hops",
        "Nodes",
        "Sockets",
        "é",
        "\\",
        "'",
        "\"",
    ];
    proptest::sample::select(words.to_vec()).prop_map(str::to_owned)
}

/// Steps that fit somewhere.
fn step() -> impl Strategy<Value = String> {
    let steps = [
        "V()",
        "E()",
        "Has('Type','veth')",
        "Has('MTU',GT(1400))",
        "Out()",
        "In()",
        "Both()",
        "OutE()",
        "BothE()",
        "InV()",
        "BothV()",
        "Dedup()",
        "Dedup('Type')",
        "Count()",
        "Limit(3)",
        "Range(1,5)",
        "Sort()",
        "Sort(DESC,'MTU')",
        "Values('Name')",
        "Keys()",
        "Sum('MTU')",
        "Flows()",
        "Metrics()",
        "Aggregates(5)",
        "SubGraph()",
        "As('a')",
        "Select('a')",
        "G",
        "ShortestPathTo(Metadata('Name','lo'))",
        "Descendants(0)",
        "Neighbors(2)",
        "Sockets()",
        "NextHop('10.0.0.12')",
        "At('-6m')",
        "Context(NOW,900)",
        "RawPackets()",
        "BPF('icmp')",
        "Group()",
        "MoreThan(0)",
        "Hops()",
        "Nodes()",
        "Sum()",
        "ValueMap('Name','MTU')",
    ];
    proptest::sample::select(steps.to_vec()).prop_map(str::to_owned)
}

fn survives(text: &str) -> Result<(), TestCaseError> {
    let fixture = fixture();
    match Query::parse(text) {
        Err(error) => {
            let at = error.at.unwrap_or(0);
            prop_assert!(at <= text.len(), "{} in {:?}", at, text);
            prop_assert!(!error.message.is_empty());
        }
        Ok(query) => {
            prop_assert_eq!(query.text(), text);
            let run_in = |visits| {
                let mut run = Run::new(query.clone());
                while !run.advance(&fixture.world(), visits)? {}
                Ok::<_, Error>(written(&fixture, &mut run, 1))
            };
            let (whole, sliced) = (run_in(usize::MAX), run_in(1));
            prop_assert_eq!(&whole, &sliced);
            if let Ok(json) = whole {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{}", json);
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_at_all_is_answered_or_refused(text in "\\PC{0,200}") {
        survives(&text)?;
    }

    #[test]
    fn any_words_at_all_are_answered_or_refused(
        words in proptest::collection::vec(word(), 0..24),
    ) {
        survives(&words.concat())?;
        survives(&format!("G.V(){}", words.concat()))?;
    }

    #[test]
    fn any_steps_at_all_are_answered_or_refused(
        steps in proptest::collection::vec(step(), 0..7),
    ) {
        survives(&format!("G.{}", steps.join(".")))?;
        survives(&format!("G.V().As('a').{}", steps.join(".")))?;
        survives(&format!("G.Flows().{}", steps.join(".")))?;
    }
}
