//! What the kernel says of connections, joined to flows: who opened them, which are offloaded, and
//! what those carried. The kernel is made up here; `nat.py` asks a real one.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, helpers included, may panic"
)]

use std::net::{IpAddr, Ipv4Addr};

use portolan::core::Agent;
use portolan::core::agent::Reply;
use portolan::core::auth::{Caller, Right};
use portolan::core::command::{Command, Page};
use portolan::core::select::Selection;
use portolan::flow::{Flow, Record, Sides};
use portolan::source::Frame;
use portolan::time::{Clock, Tick, Wall};
use portolan::wire::craft::{Body, Packet};
use portolan::wire::decode::Tuple;
use portolan::wire::netlink::conntrack::{Tracked, Volume, status};

mod support;

const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 5);
const ROUTER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const SERVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

struct Bench {
    agent: Agent,
    now: Tick,
}

impl Bench {
    fn new() -> Self {
        Self { agent: support::Flash::default().agent(), now: Tick::from_secs(1_000) }
    }

    /// Lets so much time pass, and what is to be done be done.
    fn pass(&mut self, seconds: u64) {
        self.now = self.now.plus(seconds * 1_000_000);
        let wall = Wall(1_760_000_000_000_000 + i64::try_from(self.now.micros()).unwrap());
        while self.agent.turn(Clock { tick: self.now, wall }) {}
    }

    /// A datagram of 100 octets of payload.
    fn datagram(&mut self, from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> u64 {
        let packet = Packet {
            src_mac: [2, 0, 0, 0, 0, 1],
            dst_mac: [2, 0, 0, 0, 0, 2],
            src: IpAddr::V4(from.0),
            dst: IpAddr::V4(to.0),
            ttl: 64,
            body: Body::Udp { sport: from.1, dport: to.1 },
            payload: &[7; 100],
        };
        let mut data = Vec::new();
        packet.write(&mut data).unwrap();
        let wire_len = u32::try_from(data.len()).unwrap();
        self.agent.frames(&[Frame { ts: self.now, wire_len, data: &data, ..Frame::EMPTY }]);
        wire_len.into()
    }

    fn dump(&mut self, told: &[Tracked]) {
        self.agent.connections.is_counting = told.iter().any(|one| one.volumes.is_some());
        let table = &mut self.agent.connections.table;
        table.begin(self.now);
        told.iter().for_each(|tracked| table.learn(tracked, false, self.now));
        self.agent.connections.dumped();
        self.pass(0);
    }

    fn flow(&self) -> &Flow {
        let mut all = self.agent.flows().after(None);
        let (_, flow) = all.next().expect("a flow");
        assert!(all.next().is_none());
        flow
    }

    /// Packets and bytes by the host and by the server.
    fn volumes(&self) -> [(u64, u64); 2] {
        let flow = self.flow();
        let Sides { lower, upper } = flow.packets();
        [(lower, flow.bytes().lower), (upper, flow.bytes().upper)]
    }
}

fn wide(address: Ipv4Addr) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[..4].copy_from_slice(&address.octets());
    octets
}

fn tuple(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Tuple {
    let (src, dst) = (wide(from.0), wide(to.0));
    Tuple { version: 4, proto: 17, src, dst, sport: from.1, dport: to.1 }
}

/// The host's connection as the kernel has it.
fn tracked(bits: u32, volumes: Option<[(u64, u64); 2]>) -> Tracked {
    let volume = |(packets, bytes)| Volume { packets, bytes };
    Tracked {
        original: tuple((HOST, 5_000), (SERVER, 443)),
        reply: tuple((SERVER, 443), (ROUTER, 61_000)),
        id: Some(1),
        status: Some(bits),
        volumes: volumes.map(|both| both.map(volume)),
        ..Tracked::default()
    }
}

/// Octets that an Ethernet header adds to so many packets.
const fn framed((packets, bytes): (u64, u64)) -> (u64, u64) {
    (packets, bytes + packets * 14)
}

#[test]
fn an_offloaded_flow_carries_what_the_kernel_counts_and_nothing_twice() {
    let mut bench = Bench::new();
    let len = bench.datagram((HOST, 5_000), (SERVER, 443));
    bench.agent.connections.table.learn(&tracked(0, None), true, bench.now);
    bench.datagram((SERVER, 443), (HOST, 5_000));
    assert_eq!(bench.volumes(), [(1, len); 2]);
    bench.pass(5);
    let carried = [(1_000, 500_000), (2_000, 2_000_000)];
    bench.dump(&[tracked(status::OFFLOAD, Some(carried))]);
    assert!(bench.flow().is_offloaded());
    assert_eq!(bench.volumes(), carried.map(framed));
    // Nothing went by: nothing is added.
    bench.dump(&[tracked(status::OFFLOAD, Some(carried))]);
    assert_eq!(bench.volumes(), carried.map(framed));
    // One packet is seen after all: the kernel counted it, too.
    bench.datagram((HOST, 5_000), (SERVER, 443));
    let more = [(1_011, 500_000 + 10 * 1_400 + 128), (2_000, 2_000_000)];
    bench.pass(5);
    bench.dump(&[tracked(status::OFFLOAD, Some(more))]);
    assert_eq!(bench.volumes(), more.map(framed));
    assert_eq!(bench.flow().last_seen(), bench.now);
    // Both sides of the translation are flows of their own.
    let status = bench.agent.connection_row();
    assert_eq!(status.get("offloaded"), Some(&1_usize.into()));
    let warning = status.get("warning").and_then(|value| value.as_text()).unwrap();
    assert!(warning.contains("taken from the kernel's counters"), "{warning}");
}

#[test]
fn a_flow_that_was_there_before_counts_from_when_it_was_found_offloaded() {
    let mut bench = Bench::new();
    bench.dump(&[tracked(0, Some([(50, 5_000), (60, 6_000)]))]);
    bench.pass(20);
    let len = bench.datagram((SERVER, 443), (HOST, 5_000));
    bench.dump(&[tracked(status::OFFLOAD, Some([(50, 5_000), (61, 6_128)]))]);
    assert_eq!(bench.volumes(), [(0, 0), (1, len)]);
    bench.pass(5);
    bench.dump(&[tracked(status::OFFLOAD, Some([(60, 6_000), (61, 6_128)]))]);
    assert_eq!(bench.volumes(), [framed((10, 1_000)), (1, len)]);
}

#[test]
fn without_accounting_nothing_is_made_up() {
    let mut bench = Bench::new();
    let len = bench.datagram((HOST, 5_000), (SERVER, 443));
    bench.dump(&[tracked(status::OFFLOAD | status::HW_OFFLOAD, None)]);
    assert!(bench.flow().is_offloaded());
    assert_eq!(bench.volumes(), [(1, len), (0, 0)]);
    let status = bench.agent.connection_row();
    assert_eq!(status.get("offloaded_hardware"), Some(&1_usize.into()));
    let warning = status.get("warning").and_then(|value| value.as_text()).unwrap();
    assert!(warning.contains("nf_conntrack_acct=1"), "{warning}");
}

#[test]
fn an_offloaded_flow_does_not_end_for_its_silence() {
    let mut bench = Bench::new();
    bench.datagram((HOST, 5_000), (SERVER, 443));
    for _ in 0..10 {
        bench.dump(&[tracked(status::OFFLOAD, None)]);
        bench.pass(15);
    }
    assert_eq!(bench.agent.flows().len(), 1);
    // It is back, and silent.
    bench.dump(&[tracked(0, None)]);
    assert!(!bench.flow().is_offloaded());
    bench.pass(10);
    assert_eq!(bench.agent.flows().len(), 0);
}

#[test]
fn a_source_that_is_lost_holds_no_flow() {
    let mut bench = Bench::new();
    bench.datagram((HOST, 5_000), (SERVER, 443));
    bench.dump(&[tracked(status::OFFLOAD, None)]);
    assert!(bench.flow().is_offloaded());
    bench.agent.connections.lose("not permitted".to_owned());
    bench.pass(0);
    assert!(!bench.flow().is_offloaded());
    bench.pass(40);
    assert_eq!(bench.agent.flows().len(), 0);
}

#[test]
fn the_kernel_knows_who_opened_a_connection_that_is_picked_up_in_the_middle() {
    let mut bench = Bench::new();
    bench.dump(&[tracked(0, None)]);
    for (name, end) in [("inside", (HOST, 5_000)), ("outside", (ROUTER, 61_000))] {
        bench.datagram((SERVER, 443), end);
        let (id, flow) = bench.agent.flows().after(None).last().unwrap();
        let record = Record::new(flow, id, None);
        assert_eq!(record.initiator.ip, IpAddr::V4(end.0), "{name}");
        assert_eq!(record.responder.port, 443, "{name}");
        assert_eq!(record.responder.packets, 1, "{name}");
    }
    // Nothing is known of this one: the first packet decides.
    bench.datagram((SERVER, 80), (HOST, 5_001));
    let (id, flow) = bench.agent.flows().after(None).last().unwrap();
    assert_eq!(Record::new(flow, id, None).initiator.ip, IpAddr::V4(SERVER));
}

#[test]
fn flows_from_before_the_first_dump_are_turned_round_by_it() {
    let mut bench = Bench::new();
    bench.datagram((SERVER, 443), (HOST, 5_000));
    bench.dump(&[tracked(0, None)]);
    let (id, flow) = bench.agent.flows().after(None).next().unwrap();
    assert_eq!(Record::new(flow, id, None).initiator.ip, IpAddr::V4(HOST));
}

#[test]
fn expressions_find_flows_by_what_the_kernel_says() {
    let mut bench = Bench::new();
    let marked = Tracked { mark: Some(0x2a), ..tracked(status::OFFLOAD, None) };
    bench.datagram((HOST, 5_000), (SERVER, 443));
    bench.datagram((HOST, 5_001), (SERVER, 443));
    bench.dump(&[marked]);
    for (text, count) in [
        ("ip_nat", 1),
        ("!ip_nat && other_port == 443", 1),
        ("fwmark == 0x2a && offloaded", 1),
        ("fwmark == 0", 1),
        ("offloaded == false", 1),
        ("ip == 192.168.0.0/16", 2),
        ("local_ip == @nobody", 0),
        ("ndpi_risk_score < 10 && !risks", 2),
    ] {
        let mut query = Selection::default();
        query.set("where", text).unwrap();
        let page = Page { after: 0, rows: 100 };
        let caller = Caller { right: Right::Read };
        let Ok(Reply::Rows(mut cursor)) = bench.agent.run(Command::Flows { query, page }, &caller)
        else {
            panic!("no rows");
        };
        let mut rows = Vec::new();
        while bench.agent.rows(&mut cursor, 10, &mut rows) {}
        assert_eq!(rows.len(), count, "{text}");
    }
}
