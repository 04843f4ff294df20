use super::*;
use crate::counters::Counters;
use crate::detect::Protocol;
use crate::flow::{Limits, Observer, Seed, Sight, Table, Timeouts};
use crate::wire::decode::{Datagram, Packet, Transport, Tuple};

/// A table whose flows are told as of an unknown protocol, unless a test says otherwise.
struct Bench {
    table: Table,
    telemetry: Telemetry,
}

struct Ends<'a>(&'a mut Telemetry);

impl Observer for Ends<'_> {
    fn ended(&mut self, flow: &Flow, id: FlowId, reason: EndReason) {
        self.0.ended(flow, id, reason, &Outcome::default());
    }
}

impl Bench {
    fn new(began: u64) -> Self {
        let limits = Limits { max_flows: 1_000 };
        let mut telemetry = Telemetry::default();
        let place = Place { name: "lan".into(), is_internal: true };
        telemetry.set_places([(0, place)].into_iter());
        telemetry.set_wanted(true, Tick::from_secs(began));
        Self { table: Table::new(limits, Timeouts::default(), Seed::random()), telemetry }
    }

    /// A datagram of so many octets, and the flow that it belongs to.
    fn packet(&mut self, port: u16, at: u64, wire_len: u32) -> FlowId {
        let mut packet = Packet::default();
        let wide = |last: u8| {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&[10, 0, 0, last]);
            wide
        };
        let (src, dst) = (wide(1), wide(2));
        packet.datagram = Some(Datagram {
            tuple: Tuple { version: 4, proto: 17, src, dst, sport: port, dport: 9 },
            transport: Transport::Udp,
            ..Datagram::default()
        });
        let sight = Sight { ts: Tick::from_secs(at), wire_len, ..Sight::default() };
        let mut counters = Counters::default();
        let mut ends = Ends(&mut self.telemetry);
        self.table.touch(&packet, &sight, &mut counters, &mut ends).unwrap().id
    }

    fn detected(&mut self, id: FlowId, what: &Outcome, progress: Progress) {
        self.telemetry.detected(self.table.get(id).unwrap(), id, what, progress);
    }

    fn interval(&mut self, since: u64) {
        for (id, flow) in self.table.after(None) {
            self.telemetry.look(flow, id, Tick::from_secs(since), Outcome::default);
        }
    }

    fn end(&mut self) {
        let mut ends = Ends(&mut self.telemetry);
        self.table.flush(EndReason::Shutdown, &mut Counters::default(), &mut ends);
    }

    fn told(&mut self) -> Vec<Told> {
        let flow = |report| match report {
            Report::Flow(told) => *told,
            other => panic!("{other:?}"),
        };
        self.telemetry.take().into_iter().map(flow).collect()
    }

    fn stages(&mut self) -> Vec<Stage> {
        self.told().iter().map(|told| told.stage).collect()
    }
}

const NAMED: Progress = Progress { named: true, refined: false, complete: false };
const REFINED: Progress = Progress { named: false, refined: true, complete: false };
const COMPLETE: Progress = Progress { named: false, refined: false, complete: true };

#[test]
fn a_flow_that_was_never_told_is_told_before_it_is_gone() {
    let mut bench = Bench::new(0);
    bench.packet(1, 1, 100);
    assert_eq!(bench.stages(), []);
    bench.end();
    assert_eq!(bench.stages(), [Stage::First, Stage::Complete, Stage::Purge]);
    assert!(bench.telemetry.shadows.is_empty());
}

#[test]
fn each_stage_is_told_once_and_its_digests_link() {
    let mut bench = Bench::new(0);
    let id = bench.packet(1, 1, 100);
    let dns = Outcome { protocol: Protocol::DNS, ..Outcome::default() };
    let product = Outcome { application: 20_001, ..dns.clone() };
    bench.detected(id, &dns, NAMED);
    bench.detected(id, &product, REFINED);
    bench.detected(id, &product, COMPLETE);
    bench.end();
    let told = bench.told();
    let stages: Vec<Stage> = told.iter().map(|told| told.stage).collect();
    use Stage::{Complete, First, Purge, Update};
    assert_eq!(stages, [First, Update, Complete, Purge]);
    let digests: Vec<_> = told.iter().map(|told| told.digests.latest()).collect();
    assert_eq!(digests[0].1.len(), 1);
    assert!(digests[1].1.contains(&digests[0].0));
    assert_eq!((digests[1].0, digests[2].0), (digests[2].0, digests[3].0));
    assert!(told.iter().all(|each| each.digests.told() == told[0].digests.told()));
    assert!(told.iter().all(|told| &*told.interface == "lan" && told.is_internal));
}

#[test]
fn figures_and_the_end_add_up_to_all_bytes() {
    let mut bench = Bench::new(0);
    let id = bench.packet(1, 1, 100);
    bench.detected(id, &Outcome::default(), NAMED);
    let mut since = 0;
    for second in 2..100 {
        bench.packet(1, second, 60 + u32::try_from(second).unwrap());
        if second % 15 == 0 {
            bench.interval(since);
            since = second;
        }
    }
    // Nothing moves: nothing is told.
    bench.interval(since);
    let all = bench.table.get(id).unwrap().total_bytes();
    bench.end();
    let settled = |told: &&Told| matches!(told.stage, Stage::Statistics | Stage::Purge);
    let told = bench.told();
    let figures: Vec<_> = told.iter().filter(settled).collect();
    assert_eq!(figures.len(), 8);
    let bytes = |told: &&Told| told.sent.bytes + told.received.bytes;
    assert_eq!(figures.iter().map(bytes).sum::<u64>(), all);
    let packets: u64 = figures.iter().map(|t| t.sent.packets + t.received.packets).sum();
    assert_eq!(packets, 99);
    // About a packet of a hundred octets a second.
    assert!(figures.iter().all(|told| (60..250).contains(&told.sent.rate)), "{figures:?}");
}

#[test]
fn what_nobody_can_name_is_told_after_a_whole_interval() {
    let mut bench = Bench::new(0);
    bench.packet(1, 14, 100);
    bench.interval(0);
    assert_eq!(bench.stages(), []);
    bench.packet(1, 20, 100);
    bench.interval(15);
    assert_eq!(bench.stages(), [Stage::First, Stage::Statistics]);
}

#[test]
fn who_comes_later_is_told_what_was_there_and_what_it_moves_from_then_on() {
    let mut bench = Bench::new(100);
    let old = bench.packet(1, 50, 1_000);
    let fresh = bench.packet(2, 101, 1_000);
    let mut established = |id| {
        let flow = bench.table.get(id).unwrap();
        bench.telemetry.established(flow, id, &Outcome::default())
    };
    assert!(matches!(established(old), Some(Report::Flow(told)) if told.is_established));
    // It will be told to all.
    assert!(established(fresh).is_none());
    bench.packet(1, 102, 77);
    bench.interval(101);
    let told = bench.told();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].stage, told[0].sent.bytes), (Stage::Statistics, 77));
}

#[test]
fn nothing_is_kept_while_nobody_wants_it() {
    let mut bench = Bench::new(0);
    let id = bench.packet(1, 1, 100);
    bench.detected(id, &Outcome::default(), NAMED);
    bench.telemetry.set_wanted(false, Tick(0));
    assert!(bench.telemetry.shadows.is_empty() && bench.told().is_empty());
    bench.detected(id, &Outcome::default(), COMPLETE);
    bench.end();
    assert!(bench.telemetry.shadows.is_empty() && bench.told().is_empty());
}

#[test]
fn when_too_much_is_to_be_told_at_once_the_rest_is_counted() {
    let mut bench = Bench::new(0);
    for port in 1..=1_000 {
        bench.packet(port, 1, 100);
    }
    bench.end();
    for port in 1..=1_000 {
        bench.packet(port, 2, 100);
    }
    bench.end();
    assert_eq!(bench.told().len(), MAX_REPORTS);
    assert_eq!(bench.telemetry.dropped, 6_000 - MAX_REPORTS as u64);
}
