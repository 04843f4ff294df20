//! What queries cost on maps of some sizes: `cargo run --release --example gremlin`.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "a measurement may fail aloud"
)]

use std::time::{Duration, Instant};

use portolan::capture::Store;
use portolan::query::{Query, Run, World};
use portolan::time::Clock;
use portolan::topology::graph::{Element, Graph, Link};
use portolan::topology::value::{Map, Value};

/// Visits of one turn of the loop.
const TURN: usize = 8_000;

fn graph(interfaces: u32) -> Graph {
    let mut graph = Graph::default();
    let (host, origin) = ("h".into(), "agent.h".into());
    let metadata = Map::new().with("Name", "h").with("Type", "host");
    graph.add_node(Element::new("host".into(), metadata, &host, &origin, 1)).unwrap();
    for at in 0..interfaces {
        let [_, _, high, low] = at.to_be_bytes();
        let metadata = Map::new()
            .with("Name", format!("eth{at}"))
            .with("Type", "veth")
            .with("TID", format!("tid-{at}"))
            .with("IfIndex", at)
            .with("MTU", 1_500_u32)
            .with("MAC", format!("02:00:00:00:{high:02x}:{low:02x}"))
            .with("State", "UP")
            .with("IPV4", Vec::from([Value::from(format!("10.{high}.{low}.1/24"))]))
            .with("Features", (0..40).fold(Map::new(), |map, n| map.with(format!("f{n}"), true)));
        let id = format!("node-{at}");
        graph.add_node(Element::new(id.as_str().into(), metadata, &host, &origin, 1)).unwrap();
        let link = Link {
            parent: "host",
            child: &id,
            relation: "ownership",
            host: &host,
            origin: &origin,
        };
        graph.link(link, Map::new(), 1).unwrap();
        if at > 0 {
            let parent = format!("node-{}", at - 1);
            let link = Link { parent: &parent, relation: "layer2", ..link };
            graph.link(link, Map::new(), 1).unwrap();
        }
    }
    graph
}

/// The median of a few runs, the longest turn, and the length of the answer.
fn measure(world: &World<'_>, text: &str) -> (Duration, Duration, usize) {
    let query = Query::parse(text).unwrap();
    let mut times = Vec::new();
    let (mut longest, mut length) = (Duration::ZERO, 0);
    for _ in 0..21 {
        let begin = Instant::now();
        let mut run = Run::new(query.clone());
        loop {
            let turn = Instant::now();
            let done = run.advance(world, TURN).unwrap();
            longest = longest.max(turn.elapsed());
            if done {
                break;
            }
        }
        let mut out = Vec::new();
        length = 0;
        loop {
            out.clear();
            let turn = Instant::now();
            let more = run.write(world, &mut out, 16 * 1024);
            longest = longest.max(turn.elapsed());
            length += out.len();
            if !more {
                break;
            }
        }
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    (times.get(10).copied().unwrap_or_default(), longest, length)
}

fn main() {
    for interfaces in [1_000, 16_000] {
        let (graph, flows) = (graph(interfaces), Store::default());
        let world = World { graph: &graph, flows: &flows, now: Clock::default() };
        println!("{interfaces} interfaces: median, longest turn, octets");
        for text in [
            "G.V().Count()",
            "G.V().Has('Name','eth500').Out()",
            "G.V().Has('Name',REGEX('eth5.*')).Count()",
            "G.V().Sort('Name').Limit(10)",
            "G.V().Both().Dedup().Count()",
            "G.V('node-3').ShortestPathTo(Metadata('Name','eth900'))",
            "G.V().SubGraph().E().Count()",
            "G.At('-1m').V().Count()",
            "G.V()",
            "G",
        ] {
            let (median, longest, length) = measure(&world, text);
            println!("  {median:>10.1?} {longest:>10.1?} {length:>9}  {text}");
        }
    }
}
