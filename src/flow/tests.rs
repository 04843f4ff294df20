//! What the table promises, one promise a test.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers of the tests' own")]

use std::collections::HashMap;

use proptest::prelude::*;

use super::testing::{Host, at_millis, datagram, segment, table, udp};
use super::*;
use crate::counters::Counters;
use crate::source::Direction;
use crate::time::Tick;
use crate::wire::decode::{Carrier, Fragment, Packet, Tcp, Transport, Tunnel, Tuple};

const SYN: u8 = Tcp::SYN;
const ACK: u8 = Tcp::ACK;
const FIN: u8 = Tcp::FIN;
const RST: u8 = Tcp::RST;

const A: Host = (1, 1000);
const B: Host = (2, 80);

/// A table with its surroundings; every step checks all lists.
struct Bench {
    table: Table,
    counters: Counters,
    log: Log,
}

#[derive(Default)]
struct Log {
    started: Vec<FlowId>,
    established: Vec<FlowId>,
    ended: Vec<(FlowId, EndReason, u64)>,
}

impl Observer for Log {
    fn started(&mut self, flow: &Flow, id: FlowId) {
        assert_eq!(flow.total_packets(), 1);
        self.started.push(id);
    }

    fn established(&mut self, flow: &Flow, id: FlowId) {
        assert!(flow.is_established());
        self.established.push(id);
    }

    fn ended(&mut self, flow: &Flow, id: FlowId, reason: EndReason) {
        self.ended.push((id, reason, flow.total_packets()));
    }
}

impl Bench {
    fn new(max_flows: u32) -> Self {
        Self { table: table(max_flows), counters: Counters::default(), log: Log::default() }
    }

    fn put(&mut self, millis: u64, packet: &Packet) -> Option<Touched> {
        let touched =
            self.table.touch(packet, &at_millis(millis), &mut self.counters, &mut self.log);
        self.table.check().unwrap();
        touched
    }

    fn advance(&mut self, millis: u64) -> bool {
        let now = Tick::from_millis(millis);
        let more = self.table.advance(now, 1_000_000, &mut self.counters, &mut self.log);
        self.table.check().unwrap();
        more
    }

    fn only(&self) -> Record {
        let all: Vec<_> = self.table.after(None).collect();
        assert_eq!(all.len(), 1, "one flow expected");
        Record::new(all[0].1, all[0].0, None)
    }

    fn handshake(&mut self, millis: u64, from: Host, to: Host) -> FlowId {
        self.put(millis, &segment(from, to, SYN, 100, 0));
        self.put(millis + 20, &segment(to, from, SYN | ACK, 500, 0));
        self.put(millis + 25, &segment(from, to, ACK, 101, 0)).unwrap().id
    }

    fn reasons(&self) -> Vec<EndReason> {
        self.log.ended.iter().map(|(_, reason, _)| *reason).collect()
    }
}

#[test]
fn both_directions_count_into_one_flow() {
    let mut bench = Bench::new(100);
    let first = bench.put(1_000, &udp(B, A)).unwrap();
    assert!(first.is_new && !first.is_established);
    let second = bench.put(1_500, &udp(A, B)).unwrap();
    assert!(!second.is_new && second.is_established);
    assert_eq!(first.id, second.id);
    bench.put(2_000, &udp(A, B));
    let record = bench.only();
    assert_eq!((record.initiator.packets, record.responder.packets), (1, 2));
    assert_eq!((record.initiator.bytes, record.responder.bytes), (100, 200));
    assert_eq!((record.initiator.port, record.responder.port), (80, 1000));
    assert_eq!(record.initiator.ip, std::net::IpAddr::from([10, 0, 0, 2]));
    assert_eq!((record.initiator.ttl, record.responder.ttl), (Some(2), Some(1)));
    assert_eq!(record.initiator.mac, Some([2, 0, 0, 0, 0, 2]));
    assert_eq!(record.responder.mac, Some([2, 0, 0, 0, 0, 1]));
    assert_eq!(record.tos, 8);
    assert_eq!((record.first_seen, record.last_seen), (Tick(1_000_000), Tick(2_000_000)));
    assert_eq!(record.state, State::Established);
    assert_eq!(record.ends().lower.port, 1000);
    assert_eq!((bench.log.started.len(), bench.log.established.len()), (1, 1));
}

#[test]
fn ids_are_unique_per_instance_and_fit_a_javascript_number() {
    let mut bench = Bench::new(100);
    let mut seen = std::collections::HashSet::new();
    for n in 0..50 {
        let id = bench.put(n * 100_000, &udp(A, B)).unwrap().id;
        assert!(seen.insert(id) && id.get() < 1 << 53 && id.get() != 0);
        assert!(bench.table.get(id).is_some());
        bench.advance(n * 100_000 + 40_000);
        assert!(bench.table.get(id).is_none(), "an ended flow's id leads nowhere");
    }
    assert!(FlowId::new(0).is_none() && FlowId::new(1 << 53).is_none());
}

#[test]
fn a_listing_goes_on_behind_the_last_id_even_if_that_flow_is_gone() {
    let mut bench = Bench::new(100);
    let ids: Vec<_> = (1..=20).map(|port| bench.put(0, &udp((1, port), B)).unwrap().id).collect();
    let page: Vec<_> = bench.table.after(None).take(7).map(|(id, _)| id).collect();
    assert_eq!(page, ids[..7]);
    for port in 8..=20 {
        bench.put(25_000, &udp((1, port), B));
    }
    bench.advance(31_000);
    assert!(bench.table.get(page[6]).is_none());
    let rest: Vec<_> = bench.table.after(Some(page[6])).map(|(id, _)| id).collect();
    assert_eq!(rest, ids[7..]);
}

#[test]
fn a_handshake_is_followed_and_timed() {
    let mut bench = Bench::new(100);
    bench.put(0, &segment(B, A, SYN, 1, 0));
    assert_eq!(bench.only().state, State::Syn);
    bench.put(20, &segment(A, B, SYN | ACK, 1, 0));
    assert_eq!((bench.only().state, bench.table.unestablished()), (State::Syn, 1));
    assert!(bench.put(25, &segment(B, A, ACK, 2, 0)).unwrap().is_established);
    let record = bench.only();
    assert_eq!((record.state, bench.table.unestablished()), (State::Established, 0));
    let tcp = record.tcp.unwrap();
    assert_eq!((tcp.rtt_server, tcp.rtt_client), (Some(20_000), Some(5_000)));
    assert_eq!(record.initiator.port, 80);
    assert_eq!(tcp.initiator.flags, SYN | ACK);
}

#[test]
fn a_lone_syn_ack_names_its_receiver_as_initiator() {
    let mut bench = Bench::new(100);
    bench.put(0, &segment(B, A, SYN | ACK, 1, 0));
    assert_eq!(bench.only().initiator.port, 1000);
    bench.put(5, &segment(A, B, ACK, 2, 0));
    let record = bench.only();
    assert_eq!((record.state, record.initiator.packets), (State::Established, 1));
    assert_eq!(record.tcp.unwrap().rtt_client, Some(5_000));
}

#[test]
fn tcp_from_the_middle_is_established_by_both_directions() {
    let mut bench = Bench::new(100);
    bench.put(0, &segment(B, A, ACK, 1, 10));
    assert_eq!(bench.only().state, State::New);
    bench.put(5, &segment(A, B, ACK, 2, 0));
    assert_eq!(bench.only().state, State::Established);
    assert_eq!(bench.only().initiator.port, 80);
}

#[test]
fn two_fins_close_and_a_closed_flow_ends_soon() {
    let mut bench = Bench::new(100);
    bench.handshake(0, A, B);
    bench.put(1_000, &segment(A, B, FIN | ACK, 101, 0));
    assert_eq!(bench.only().state, State::Closing);
    bench.put(1_010, &segment(B, A, FIN | ACK, 501, 0));
    bench.put(1_020, &segment(A, B, ACK, 102, 0));
    assert_eq!(bench.only().state, State::Closed);
    bench.advance(5_900);
    assert_eq!(bench.table.len(), 1);
    bench.advance(7_100);
    assert_eq!(bench.reasons(), [EndReason::Finished]);
}

#[test]
fn a_reset_ends_a_flow_soon_and_is_counted() {
    let mut bench = Bench::new(100);
    bench.handshake(0, A, B);
    bench.put(1_000, &segment(B, A, RST, 501, 0));
    let record = bench.only();
    assert_eq!((record.state, record.tcp.unwrap().responder.resets), (State::Reset, 1));
    bench.advance(8_000);
    assert_eq!(bench.reasons(), [EndReason::Reset]);
}

#[test]
fn a_syn_on_a_finished_flow_starts_a_new_instance() {
    let mut bench = Bench::new(100);
    let old = bench.handshake(0, A, B);
    bench.put(100, &segment(A, B, FIN | ACK, 101, 0));
    bench.put(100, &segment(B, A, FIN | ACK, 501, 0));
    let new = bench.put(200, &segment(A, B, SYN, 9_000, 0)).unwrap();
    assert!(new.is_new && new.id != old);
    assert_eq!(bench.log.ended, [(old, EndReason::Reused, 5)]);
    let record = bench.only();
    assert_eq!((record.packets(), record.state), (1, State::Syn));
    assert_eq!(record.tcp.unwrap().initiator.retransmissions, 0);
}

#[test]
fn a_syn_on_a_live_flow_does_not_end_it() {
    let mut bench = Bench::new(100);
    let id = bench.handshake(0, A, B);
    assert_eq!(bench.put(100, &segment(B, A, SYN, 7, 0)).unwrap().id, id);
    let record = bench.only();
    assert_eq!((record.state, record.initiator.port), (State::Established, 1000));
}

/// Retransmissions and out-of-order segments after `segments` of (ms, sequence, payload).
fn health_of(segments: &[(u64, u32, u32)]) -> (u32, u16) {
    let mut bench = Bench::new(10);
    for &(millis, seq, payload) in segments {
        bench.put(millis, &segment(A, B, ACK, seq, payload));
    }
    let end = bench.only().tcp.unwrap().initiator;
    (end.retransmissions, end.out_of_order)
}

#[test]
fn sequence_numbers_tell_lost_late_and_repeated_segments_apart() {
    // In order; a gap that is filled late; one that is filled at once; a plain repetition.
    assert_eq!(health_of(&[(0, 10, 5), (1, 15, 5), (2, 20, 5)]), (0, 0));
    assert_eq!(health_of(&[(0, 10, 5), (1, 20, 5), (200, 15, 5)]), (1, 0));
    assert_eq!(health_of(&[(0, 10, 5), (1, 20, 5), (2, 15, 5)]), (0, 1));
    assert_eq!(health_of(&[(0, 10, 5), (500, 10, 5)]), (1, 0));
    // Keep-alives with and without a byte, and pure ACKs.
    assert_eq!(health_of(&[(0, 10, 5), (1, 14, 1), (2, 14, 0), (3, 15, 0), (4, 15, 5)]), (0, 0));
    // A repetition that brings something new moves on.
    assert_eq!(health_of(&[(0, 10, 5), (500, 10, 9), (501, 19, 1)]), (1, 0));
}

#[test]
fn sequence_numbers_may_wrap() {
    let top = u32::MAX - 4;
    assert_eq!(health_of(&[(0, top, 5), (1, 0, 5), (2, 5, 5)]), (0, 0));
    assert_eq!(health_of(&[(0, top, 10), (1, 5, 5), (90, top, 10)]), (1, 0));
    assert_eq!(health_of(&[(0, top, 5), (1, 5, 5), (2, 0, 5)]), (0, 1));
    // Numbers that have nothing to do with each other are no loss.
    assert_eq!(health_of(&[(0, 10, 5), (1, 2_000_000_010, 5), (2, 2_000_000_015, 5)]), (0, 0));
}

#[test]
fn repeated_syn_and_fin_are_retransmissions() {
    let mut bench = Bench::new(10);
    bench.put(0, &segment(A, B, SYN, 10, 0));
    bench.put(1_000, &segment(A, B, SYN, 10, 0));
    bench.put(1_020, &segment(B, A, SYN | ACK, 77, 0));
    bench.put(1_030, &segment(A, B, ACK, 11, 0));
    bench.put(1_040, &segment(A, B, FIN | ACK, 11, 0));
    bench.put(1_340, &segment(A, B, FIN | ACK, 11, 0));
    let tcp = bench.only().tcp.unwrap();
    assert_eq!(tcp.initiator.retransmissions, 2);
    assert_eq!(tcp.rtt_server, Some(20_000), "from the last SYN");
}

#[test]
fn zero_windows_are_counted_per_direction() {
    let mut bench = Bench::new(10);
    bench.handshake(0, A, B);
    let mut closed = segment(B, A, ACK, 501, 0);
    if let Transport::Tcp(tcp) = &mut closed.datagram.as_mut().unwrap().transport {
        tcp.window = 0;
    }
    bench.put(50, &closed);
    let tcp = bench.only().tcp.unwrap();
    assert_eq!((tcp.initiator.zero_windows, tcp.responder.zero_windows), (0, 1));
}

#[test]
fn icmp_keeps_its_last_type_and_code() {
    let mut bench = Bench::new(10);
    let mut packet = datagram(1, (1, 0), (2, 0));
    packet.datagram.as_mut().unwrap().transport = Transport::Icmp { kind: 3, code: 1 };
    bench.put(0, &packet);
    assert_eq!(bench.only().icmp, Some((3, 1)));
    assert_eq!(bench.only().tcp, None);
}

#[test]
fn later_fragments_join_the_flow_of_the_first() {
    let mut bench = Bench::new(10);
    let mut first = udp(A, B);
    first.datagram.as_mut().unwrap().fragment = Fragment::First(9);
    let mut later = datagram(17, (1, 0), (2, 0));
    later.datagram.as_mut().unwrap().fragment = Fragment::Later(9);
    let id = bench.put(0, &first).unwrap().id;
    assert_eq!(bench.put(1, &later).unwrap().id, id);
    assert!(bench.only().has_fragments);
    assert_eq!(bench.counters.fragments_orphaned, 0);
    later.datagram.as_mut().unwrap().fragment = Fragment::Later(10);
    assert_ne!(bench.put(2, &later).unwrap().id, id);
    assert_eq!(bench.counters.fragments_orphaned, 1);
}

#[test]
fn a_fragment_flood_costs_neither_memory_nor_the_table() {
    let mut bench = Bench::new(64);
    let before = bench.table.bytes();
    let mut later = datagram(17, (1, 0), (2, 0));
    for id in 0..10_000 {
        later.datagram.as_mut().unwrap().fragment = Fragment::Later(id);
        bench.table.touch(&later, &at_millis(0), &mut bench.counters, &mut ());
    }
    assert_eq!((bench.table.len(), bench.counters.fragments_orphaned), (1, 10_000));
    assert!(bench.table.bytes() < before + 200_000);
}

#[test]
fn tunnels_get_flows_of_their_own_that_name_their_parents() {
    let mut bench = Bench::new(10);
    let mut packet = udp(A, B);
    let outer = Tuple { version: 4, proto: 47, ..udp((7, 0), (8, 0)).datagram.unwrap().tuple };
    let middle = udp((5, 999), (6, 4789)).datagram.unwrap().tuple;
    packet.push_carrier(Carrier { tuple: outer, tunnel: Tunnel::Gre });
    packet.push_carrier(Carrier { tuple: middle, tunnel: Tunnel::Vxlan });
    packet.tunnel = Tunnel::Vxlan;
    let inner = bench.put(0, &packet).unwrap().id;
    assert_eq!(bench.put(1, &packet).unwrap().id, inner);
    assert_eq!(bench.table.len(), 3);
    let get = |id| Record::new(bench.table.get(id).unwrap(), id, None);
    let inner = get(inner);
    let middle = get(inner.parent.unwrap());
    let outer = get(middle.parent.unwrap());
    let kinds = [inner.tunnel, middle.tunnel, outer.tunnel];
    assert_eq!(kinds, [Tunnel::Vxlan, Tunnel::Gre, Tunnel::None]);
    let carriers = [inner.is_carrier, middle.is_carrier, outer.is_carrier];
    assert_eq!(carriers, [false, true, true]);
    assert_eq!(outer.parent, None);
    assert_eq!(outer.packets(), 2);
    assert_eq!(outer.other_type, OtherType::Unsupported);
    let mut top = Top::new(top::By::Protocol);
    assert!(top.feed(&bench.table, &|_, _| true, 100, &|_| (0, 0)));
    assert_eq!(top.finish(top::Order::Bytes, 10).0.len(), 1, "carriers are not counted twice");
}

#[test]
fn each_kind_of_flow_ends_after_its_own_idle_time() {
    let ends_after = |packets: &[Packet], early: u64, late: u64| {
        let mut bench = Bench::new(10);
        for packet in packets {
            bench.put(0, packet);
        }
        bench.advance(early);
        assert_eq!(bench.table.len(), 1, "still there at {early}");
        bench.advance(late);
        assert_eq!(bench.table.len(), 0, "gone at {late}");
    };
    ends_after(&[udp(A, B)], 29_000, 31_000);
    ends_after(&[udp(A, B), udp(B, A)], 29_000, 31_000);
    ends_after(&[segment(A, B, SYN, 1, 0)], 29_000, 31_000);
    let open = [segment(A, B, ACK, 1, 0), segment(B, A, ACK, 1, 0)];
    ends_after(&open, 299_000, 301_000);
    let mut closing = open.to_vec();
    closing.push(segment(A, B, FIN | ACK, 1, 0));
    ends_after(&closing, 29_000, 31_000);
}

#[test]
fn an_active_flow_is_kept_without_being_moved_per_packet() {
    let mut bench = Bench::new(10);
    for second in 0..600 {
        bench.put(second * 1_000, &udp(A, B));
        bench.advance(second * 1_000 + 1);
    }
    assert_eq!((bench.table.len(), bench.counters.flows_created), (1, 1));
    assert_eq!(bench.only().packets(), 600);
}

#[test]
fn timeouts_beyond_the_wheel_hold() {
    let mut bench = Bench::new(10);
    bench.table.set_timeouts(Timeouts { idle: 2_000, ..Timeouts::default() });
    bench.put(0, &udp(A, B));
    for second in 1..2_000 {
        bench.advance(second * 1_000);
        assert_eq!(bench.table.len(), 1, "second {second}");
    }
    bench.advance(2_001_000);
    assert_eq!(bench.table.len(), 0);
}

#[test]
fn expiry_is_sliced_by_its_budget() {
    let mut bench = Bench::new(1_000);
    for port in 1..=100 {
        bench.put(0, &udp((1, port), B));
    }
    let now = Tick::from_secs(60);
    let mut turns = 0;
    while bench.table.advance(now, 7, &mut bench.counters, &mut bench.log) {
        turns += 1;
        assert!(bench.counters.flows_ended <= turns * 7);
    }
    assert_eq!((bench.table.len(), turns), (0, 14));
    assert_eq!(bench.table.deadline(), None);
}

#[test]
fn a_jump_of_the_clock_by_years_costs_one_turn_of_the_wheel() {
    let mut bench = Bench::new(100);
    let year = 31_536_000_000;
    bench.put(0, &udp(A, B));
    bench.put(50 * year, &udp((3, 3), B));
    bench.advance(50 * year);
    assert_eq!((bench.table.len(), bench.reasons().len()), (1, 1));
    bench.advance(50 * year + 31_000);
    assert!(bench.table.is_empty());
}

#[test]
fn a_clock_that_goes_backwards_neither_panics_nor_keeps_flows_for_ever() {
    let mut bench = Bench::new(100);
    let base = 1_700_000_000_000;
    bench.put(base, &udp(A, B));
    bench.put(base - 400, &udp(B, A));
    let record = bench.only();
    assert_eq!(record.first_seen, Tick::from_millis(base - 400));
    assert_eq!(record.last_seen, Tick::from_millis(base));
    // Back by decades: the old flow goes within a turn of the wheel, new ones age by the new clock.
    bench.advance(base);
    bench.put(1_000, &udp((3, 3), B));
    for second in 1..600 {
        bench.advance(second * 1_000);
    }
    assert!(bench.table.is_empty(), "{:?}", bench.table);
}

#[test]
fn a_full_table_gives_up_the_oldest_without_an_answer_first() {
    let mut bench = Bench::new(10);
    let answered = bench.put(0, &udp((9, 9), B)).unwrap().id;
    bench.put(1, &udp(B, (9, 9)));
    let ids: Vec<_> = (1..10).map(|port| bench.put(10, &udp((1, port), B)).unwrap().id).collect();
    assert!(bench.table.is_emergency());
    bench.put(20, &udp((1, 99), B));
    assert_eq!(bench.log.ended, [(ids[0], EndReason::Evicted, 1)]);
    for port in 100..200 {
        bench.put(30, &udp((1, port), B));
    }
    assert!(bench.table.get(answered).is_some());
    assert_eq!(bench.counters.flows_evicted, 101);
    assert_eq!(bench.table.len(), 10);
}

#[test]
fn flows_with_many_packets_both_ways_outlive_those_with_few() {
    let mut bench = Bench::new(4);
    let held = bench.put(0, &udp((9, 9), B)).unwrap().id;
    for _ in 0..8 {
        bench.put(0, &udp((9, 9), B));
        bench.put(0, &udp(B, (9, 9)));
    }
    for port in 1..100 {
        // Answered at once: none is young, all are light.
        bench.put(1, &udp((1, port), B));
        bench.put(1, &udp(B, (1, port)));
    }
    assert!(bench.table.get(held).is_some());
    assert_eq!(bench.counters.flow_table_full, 0);
}

#[test]
fn a_table_of_busy_flows_refuses_new_ones_and_says_so() {
    let mut bench = Bench::new(4);
    for port in 1..=4 {
        for _ in 0..8 {
            bench.put(1_000, &udp((1, port), B));
            bench.put(1_000, &udp(B, (1, port)));
        }
    }
    assert_eq!(bench.put(1_500, &udp((2, 7), B)), None);
    assert_eq!((bench.counters.flow_table_full, bench.counters.flows_evicted), (1, 0));
    // Once one of them has been silent for a second, it goes.
    for port in 1..=3 {
        bench.put(2_100, &udp((1, port), B));
    }
    assert!(bench.put(2_200, &udp((2, 7), B)).is_some());
    assert_eq!(bench.counters.flows_evicted, 1);
}

#[test]
fn an_emergency_ages_what_has_no_answer_and_ends_at_70_percent() {
    let mut bench = Bench::new(100);
    for port in 1..=45 {
        bench.put(0, &segment((1, port), B, SYN, 1, 0));
        bench.put(0, &udp((1, port), B));
    }
    assert!(bench.table.is_emergency());
    assert_eq!(bench.counters.emergencies, 1);
    bench.advance(1_900);
    assert_eq!(bench.table.len(), 90);
    bench.advance(2_100);
    bench.advance(3_200);
    assert_eq!(bench.table.len(), 0);
    assert!(!bench.table.is_emergency());
    assert_eq!(bench.counters.emergency_seconds, 3);
    assert_eq!(bench.counters.flows_evicted, 0, "ended by age");
}

#[test]
fn a_smaller_limit_evicts_over_several_turns_and_a_larger_one_keeps_all() {
    let mut bench = Bench::new(64);
    for port in 1..=60 {
        bench.put(0, &udp((1, port), B));
    }
    bench.table.set_limits(Limits { max_flows: 10 });
    assert!(bench.table.advance(Tick(1), 20, &mut bench.counters, &mut ()));
    assert_eq!(bench.table.len(), 40);
    assert!(!bench.advance(1));
    assert_eq!(bench.table.len(), 10);
    bench.table.set_limits(Limits { max_flows: 5_000 });
    bench.table.check().unwrap();
    for port in 1..=4_000 {
        bench.table.touch(&udp((2, port), B), &at_millis(1), &mut bench.counters, &mut ());
    }
    bench.table.check().unwrap();
    assert_eq!(bench.table.len(), 4_010);
}

#[test]
fn a_syn_flood_displaces_no_established_flow_and_loses_no_byte() {
    let mut bench = Bench::new(4_096);
    let mut totals = Totals::default();
    let marker = bench.handshake(0, (250, 5_000), (251, 443));
    for n in 0..8 {
        bench.put(30, &segment((250, 5_000), (251, 443), ACK, 101 + n * 10, 10));
        bench.put(31, &segment((251, 443), (250, 5_000), ACK, 501 + n * 10, 10));
    }
    let mut bytes = 0;
    for n in 0..100_000_u64 {
        // 100 000 a second, each with an address of its own, through one second.
        let mut packet = segment((1, 1), B, SYN, 1, 0);
        let tuple = &mut packet.datagram.as_mut().unwrap().tuple;
        tuple.src[..4].copy_from_slice(&(n as u32).wrapping_mul(2_654_435_761).to_be_bytes());
        let ts = Tick(100_000 + n * 10);
        let sight = Sight { ts, wire_len: 60, ..Sight::default() };
        totals.count(&packet, &sight);
        bytes += 60;
        bench.table.touch(&packet, &sight, &mut bench.counters, &mut ());
        if n % 1_000 == 0 {
            bench.table.advance(ts, 64, &mut bench.counters, &mut ());
        }
        if n == 5_000 {
            bench.table.check().unwrap();
        }
    }
    bench.table.check().unwrap();
    assert_eq!(bench.table.len(), 4_096);
    assert!(bench.table.bytes() < 4_096 * 256, "{}", bench.table.bytes());
    assert_eq!(bench.table.get(marker).map(Flow::total_packets), Some(19));
    assert_eq!(totals.all(), totals::Sum { packets: 100_000, bytes });
    assert_eq!(totals.interface(0).map(totals::Interface::all), Some(totals.all()));
    let lost = bench.counters.flows_created - bench.counters.flows_ended;
    assert_eq!(lost, 4_096);
    // Quiet again: all of it is gone within seconds, and the marker is there.
    bench.advance(5_000);
    assert_eq!(bench.table.len(), 1);
    assert!(!bench.table.is_emergency());
}

#[test]
fn keys_made_to_collide_under_an_unkeyed_hash_spread_evenly() {
    /// FNV-1a of the addresses and ports, as an attacker who knew the hash would compute it.
    fn fnv(tuple: &Tuple) -> u32 {
        let bytes = tuple.src[..4].iter().chain(&tuple.dst[..4]).copied();
        let all = bytes.chain(tuple.sport.to_be_bytes()).chain(tuple.dport.to_be_bytes());
        all.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }
    let mut bench = Bench::new(32_768);
    let mut packet = udp(A, B);
    let mut count = 0;
    for n in 0..20_000_000_u32 {
        let tuple = &mut packet.datagram.as_mut().unwrap().tuple;
        tuple.src[..4].copy_from_slice(&n.to_be_bytes());
        if fnv(tuple) & 0xff == 0 {
            bench.table.touch(&packet, &at_millis(0), &mut bench.counters, &mut ());
            count += 1;
        }
        if count == 30_000 {
            break;
        }
    }
    assert_eq!((bench.table.len(), count), (30_000, 30_000));
    assert!(bench.table.longest_chain() <= 10, "{}", bench.table.longest_chain());
}

#[test]
fn a_prepared_packet_lands_where_a_plain_one_does() {
    let mut bench = Bench::new(100);
    let id = bench.put(0, &udp(A, B)).unwrap().id;
    let packet = udp(B, A);
    let mut places = [Prepared::default(); 2];
    bench.table.prepare(&packet, 0, &mut places[1]);
    bench.table.warm(&mut places);
    assert_eq!(places.map(|place| place.is_known()), [false, true]);
    let sight = at_millis(1);
    let place = &places[1];
    let touched = bench.table.touch_prepared(place, &packet, &sight, &mut bench.counters, &mut ());
    assert_eq!(touched.unwrap().id, id);
    let mut fragment = udp(A, B);
    fragment.datagram.as_mut().unwrap().fragment = Fragment::First(1);
    bench.table.prepare(&fragment, 0, &mut places[1]);
    assert!(!places[1].is_known());
}

#[test]
fn a_flush_ends_all_with_its_reason() {
    let mut bench = Bench::new(100);
    for port in 1..=30 {
        bench.put(0, &udp((1, port), B));
    }
    bench.table.flush(EndReason::Shutdown, &mut bench.counters, &mut bench.log);
    bench.table.check().unwrap();
    assert!(bench.table.is_empty());
    assert!(bench.reasons().iter().all(|reason| *reason == EndReason::Shutdown));
    assert_eq!(bench.log.ended.len(), 30);
}

#[test]
fn queries_select_by_each_condition() {
    let mut bench = Bench::new(100);
    bench.put(0, &udp((1, 53), (2, 9_999)));
    bench.handshake(0, (3, 1_234), (4, 443));
    let count =
        |query: &Query| bench.table.after(None).filter(|(_, flow)| query.matches(flow)).count();
    let host = |text: &str, prefix| {
        let host = filter::Hosts::new(text.parse().unwrap(), prefix);
        Query { host, ..Query::default() }
    };
    assert_eq!(count(&Query::default()), 2);
    assert_eq!(count(&Query { proto: Some(6), ..Query::default() }), 1);
    assert_eq!(count(&Query { port: Some(443), ..Query::default() }), 1);
    assert_eq!(count(&Query { port: Some(1), ..Query::default() }), 0);
    assert_eq!(count(&Query { state: Some(State::Established), ..Query::default() }), 1);
    assert_eq!(count(&Query { established: Some(false), ..Query::default() }), 1);
    assert_eq!(count(&Query { mac: Some([2, 0, 0, 0, 0, 4]), ..Query::default() }), 1);
    assert_eq!(count(&Query { iface: Some(3), ..Query::default() }), 0);
    assert_eq!(count(&Query { version: Some(6), ..Query::default() }), 0);
    assert_eq!(count(&Query { carrier: Some(true), ..Query::default() }), 0);
    assert_eq!(count(&host("10.0.0.2", 32)), 1);
    assert_eq!(count(&host("10.0.0.0", 8)), 2);
    assert_eq!(count(&host("10.0.0.2", 31)), 2);
    assert_eq!(count(&host("::", 0)), 0);
    assert_eq!(count(&host("0.0.0.0", 0)), 2);
    assert!(filter::Hosts::new("10.0.0.1".parse().unwrap(), 33).is_none());
}

#[test]
fn top_sums_in_slices_and_folds_the_rest() {
    let mut bench = Bench::new(40_000);
    for n in 0..20_000_u32 {
        let mut packet = udp((1, 1), (2, 53));
        let tuple = &mut packet.datagram.as_mut().unwrap().tuple;
        tuple.src[..4].copy_from_slice(&(0x1400_0000 | n).to_be_bytes());
        bench.table.touch(&packet, &at_millis(0), &mut bench.counters, &mut ());
    }
    let mut hosts = Top::new(top::By::Host);
    let mut slices = 1;
    while !hosts.feed(&bench.table, &|_, _| true, 999, &|_| (0, 0)) {
        slices += 1;
    }
    assert_eq!(slices, 21);
    let (rows, other) = hosts.finish(top::Order::Bytes, 3);
    assert_eq!(rows[0].0, top::Item::Host([10, 0, 0, 2].into()));
    assert_eq!((rows.len(), rows[0].1.flows), (3, 20_000));
    assert_eq!(rows.iter().map(|row| row.1.flows).sum::<u64>() + other.flows, 40_000);
    let mut ports = Top::new(top::By::Port);
    assert!(ports.feed(&bench.table, &|_, _| true, usize::MAX, &|_| (0, 0)));
    assert_eq!(ports.finish(top::Order::Bytes, 1).0[0].0, top::Item::Port(17, 53));
}

#[test]
fn totals_tell_interfaces_directions_and_protocols_apart() {
    let mut totals = Totals::default();
    let on = |iface, direction| Sight { iface, direction, wire_len: 70, ..Sight::default() };
    totals.count(&udp(A, B), &on(0, Direction::In));
    totals.count(&segment(A, B, SYN, 0, 0), &on(2, Direction::Out));
    totals.count(&Packet::default(), &on(2, Direction::Unknown));
    totals.count(&udp(A, B), &on(u16::MAX, Direction::In));
    let one = totals::Sum { packets: 1, bytes: 70 };
    let last = totals.interface(2).unwrap();
    assert_eq!(
        (last.outgoing, last.not_ip, last.tcp, last.udp),
        (one, one, one, Default::default())
    );
    assert_eq!(totals.interface(0).unwrap().udp, one);
    assert_eq!(totals.all().packets, 4);
    assert_eq!(totals.protocols().map(|(proto, _)| proto).collect::<Vec<_>>(), [6, 17]);
    assert!(totals.interface(u16::MAX).is_none());
    totals.forget(2);
    assert_eq!(totals.interface(2).unwrap().all().packets, 0);
}

/// A step of the model test: hosts and ports from a small set, so that flows meet again.
#[derive(Clone, Debug)]
enum Step {
    Packet { from: Host, to: Host, tcp: Option<(u8, u32, u8)>, later: u16 },
    Advance(u32),
    Back(u32),
    Shrink(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let host = || (0..6_u8, 0..4_u16);
    let tcp = proptest::option::of((any::<u8>(), any::<u32>(), any::<u8>()));
    prop_oneof![
        20 => (host(), host(), tcp, any::<u16>()).prop_map(|(from, to, tcp, later)| {
            Step::Packet { from, to, tcp, later: later % 2_000 }
        }),
        2 => (0..100_000_u32).prop_map(Step::Advance),
        1 => (0..2_000_000_u32).prop_map(Step::Back),
        1 => (1..40_u8).prop_map(Step::Shrink),
    ]
}

/// What is known of the live flows from outside: how many packets each was given.
#[derive(Default)]
struct Model(HashMap<FlowId, u64>);

impl Observer for Model {
    fn started(&mut self, _: &Flow, id: FlowId) {
        assert!(self.0.insert(id, 0).is_none());
    }

    fn ended(&mut self, flow: &Flow, id: FlowId, _: EndReason) {
        assert_eq!(self.0.remove(&id), Some(flow.total_packets()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_packets_keeps_counts_and_lists_in_order(
        steps in proptest::collection::vec(step(), 1..400),
    ) {
        let mut bench = Bench::new(24);
        let mut model = Model::default();
        // The naive table: what each key led to last.
        let mut naive: HashMap<(Host, Host, bool), FlowId> = HashMap::new();
        let mut millis = 10_000_000_u64;
        let mut refused = 0;
        for step in steps {
            match step {
                Step::Packet { from, to, tcp, later } => {
                    millis += u64::from(later);
                    let packet = match tcp {
                        Some((flags, seq, payload)) => {
                            segment(from, to, flags, seq, u32::from(payload))
                        }
                        None => udp(from, to),
                    };
                    let sight = at_millis(millis);
                    let touched =
                        bench.table.touch(&packet, &sight, &mut bench.counters, &mut model);
                    let Some(touched) = touched else {
                        refused += 1;
                        continue;
                    };
                    *model.0.get_mut(&touched.id).unwrap() += 1;
                    let key = (from.min(to), from.max(to), tcp.is_some());
                    let before = naive.insert(key, touched.id);
                    prop_assert_eq!(
                        touched.is_new,
                        before.is_none_or(|id| bench.table.get(id).is_none() )
                    );
                    prop_assert!(touched.is_new || before == Some(touched.id));
                }
                Step::Advance(by) => {
                    millis += u64::from(by);
                    let now = Tick::from_millis(millis);
                    bench.table.advance(now, 50, &mut bench.counters, &mut model);
                }
                Step::Back(by) => millis -= u64::from(by).min(millis),
                Step::Shrink(to) => bench.table.set_limits(Limits { max_flows: to.into() }),
            }
            prop_assert_eq!(bench.table.check(), Ok(()));
        }
        prop_assert_eq!(refused, bench.counters.flow_table_full);
        prop_assert_eq!(bench.table.len() as usize, model.0.len());
        for (id, flow) in bench.table.after(None) {
            prop_assert_eq!(model.0.get(&id), Some(&flow.total_packets()));
            prop_assert_eq!(flow.total_bytes(), flow.total_packets() * 100);
        }
        let live = u64::from(bench.table.len());
        prop_assert_eq!(bench.counters.flows_created - bench.counters.flows_ended, live);
        // Whatever happened, the table empties.
        for _ in 0..600 {
            millis += 1_000;
            let now = Tick::from_millis(millis);
            while bench.table.advance(now, 50, &mut bench.counters, &mut model) {}
        }
        while millis < 10_000_000_000 && !bench.table.is_empty() {
            millis += 100_000;
            bench.table.advance(Tick::from_millis(millis), 50, &mut bench.counters, &mut model);
        }
        prop_assert!(bench.table.is_empty());
        prop_assert_eq!(bench.table.check(), Ok(()));
    }
}
