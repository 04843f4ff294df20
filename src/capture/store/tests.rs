use proptest::prelude::*;

use super::*;
use crate::capture::testing::{self, A, B};
use crate::time::{Tick, Wall};
use crate::wire::decode::Tcp as Flags;

/// Notes what it is told: `+` begun, `~` changed, `-` ended, with some figures.
#[derive(Default)]
struct Notes(Vec<String>);

impl Sink for Notes {
    fn started(&mut self, flow: &Flow) {
        self.0.push(format!("+{}", flow.layers_path));
    }

    fn updated(&mut self, flow: &Flow) {
        let delta = flow.last_update.unwrap();
        self.0.push(format!(
            "~{} {}/{} {}-{}",
            flow.application, delta.ab_packets, delta.ba_packets, delta.start, delta.last
        ));
    }

    fn ended(&mut self, flow: &Flow) {
        self.0.push(format!("-{} {:?}", flow.application, flow.finish.unwrap()));
    }
}

struct Bench {
    store: Store,
    table: TableId,
    notes: Notes,
    clock: Clock,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let mut store = Store::default();
        let table = store.open(settings).unwrap();
        let clock = Clock { tick: Tick(0), wall: Wall(1_000_000_000) };
        let mut notes = Notes::default();
        store.advance(1_000_000, 10, &mut notes);
        Self { store, table, notes, clock }
    }

    /// A frame `millis` after the begin.
    fn put(&mut self, millis: u64, data: &[u8]) {
        let wire_len = data.len() as u32;
        let frame = Frame { ts: Tick::from_millis(millis), wire_len, data, ..Frame::EMPTY };
        self.store.frames(self.table, &[frame], &self.clock, &mut self.notes);
    }

    fn advance(&mut self, millis: i64) {
        while self.store.advance(millis.saturating_add(1_000_000), 3, &mut self.notes) {}
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes.0)
    }

    fn flows(&self) -> Vec<&Flow> {
        self.store.flows_of(self.table).map(|(_, flow)| flow).collect()
    }
}

fn l3() -> Settings {
    Settings { layer3: true, ..Settings::default() }
}

fn syn(back: bool) -> Vec<u8> {
    let flags = if back { Flags::SYN | Flags::ACK } else { Flags::SYN };
    testing::tcp(back, 40_000, 80, flags, 0, 0, b"")
}

fn segment(back: bool, flags: u8) -> Vec<u8> {
    testing::tcp(back, 40_000, 80, flags | Flags::ACK, 1, 1, b"x")
}

#[test]
fn both_directions_are_one_flow_and_a_is_who_sent_first() {
    for settings in [Settings::default(), l3()] {
        let mut bench = Bench::new(settings);
        bench.put(0, &syn(true));
        bench.put(5, &segment(false, 0));
        bench.put(6, &segment(true, 0));
        let flows = bench.flows();
        let [flow] = &flows[..] else { panic!("{flows:?}") };
        assert_eq!(flow.link.unwrap().a, B.0);
        assert_eq!(flow.network.unwrap().b, IpAddr::from(A.1));
        assert_eq!((flow.transport.unwrap().a, flow.transport.unwrap().b), (80, 40_000));
        let metric = flow.metric;
        assert_eq!((metric.ab_packets, metric.ab_bytes), (2, 54 + 55));
        assert_eq!((metric.ba_packets, metric.ba_bytes), (1, 55));
        assert_eq!((metric.start, metric.last), (1_000_000, 1_000_006));
        assert_eq!(
            flow.tracking == flow.l3_tracking,
            bench.store.settings(bench.table).unwrap().layer3
        );
    }
}

#[test]
fn equal_hardware_addresses_leave_the_direction_to_ip_and_then_to_ports() {
    let mac = [0; 6];
    let there = testing::ipv4(mac, mac, A.1, B.1, 17, &[0, 1, 0, 2, 0, 8, 0, 0]);
    let back = testing::ipv4(mac, mac, B.1, A.1, 17, &[0, 2, 0, 1, 0, 8, 0, 0]);
    let mut bench = Bench::new(Settings::default());
    bench.put(0, &there);
    bench.put(0, &back);
    let there = testing::ipv4(mac, mac, A.1, A.1, 17, &[0, 1, 0, 2, 0, 8, 0, 0]);
    let back = testing::ipv4(mac, mac, A.1, A.1, 17, &[0, 2, 0, 1, 0, 8, 0, 0]);
    bench.put(0, &there);
    bench.put(0, &back);
    let flows = bench.flows();
    assert_eq!(flows.len(), 2);
    for flow in flows {
        assert_eq!((flow.metric.ab_packets, flow.metric.ba_packets), (1, 1));
    }
}

#[test]
fn only_the_mode_of_the_table_lets_hardware_addresses_tell_flows_apart() {
    for (settings, flows) in [(Settings::default(), 2), (l3(), 1)] {
        let mut bench = Bench::new(settings);
        for last in [1, 3] {
            let mac = [2, 0, 0, 0, 0, last];
            let body = [0, 1, 0, 2, 0, 8, 0, 0];
            bench.put(0, &testing::ipv4(mac, B.0, A.1, B.1, 17, &body));
        }
        assert_eq!(bench.flows().len(), flows);
    }
}

#[test]
fn the_packet_in_a_tunnel_is_a_flow_of_its_own_with_the_outer_one_as_parent() {
    let inner = testing::tcp(false, 1, 2, Flags::SYN, 0, 0, b"");
    let vxlan = [&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat();
    let frame = testing::udp(false, 5_000, 4789, &vxlan);
    let mut bench = Bench::new(Settings::default());
    bench.put(0, &frame);
    bench.put(0, &testing::udp(false, 6_000, 4789, &vxlan));
    assert_eq!(bench.told(), ["+Ethernet/IPv4/UDP/VXLAN", "+Ethernet/IPv4/TCP"]);
    let flows = bench.flows();
    let [outer, inner] = &flows[..] else { panic!("{flows:?}") };
    assert_eq!((outer.parent, inner.parent), (None, Some(outer.uuid)));
    assert_eq!((outer.network.unwrap().id, inner.network.unwrap().id), (7, 0));
    assert_eq!(outer.metric.ab_bytes, 2 * frame.len() as u64);
    assert_eq!(inner.metric.ab_bytes, 2 * 54);
}

#[test]
fn updates_tell_what_changed_since_the_one_before_and_nothing_of_idle_flows() {
    let mut bench = Bench::new(Settings::default());
    bench.put(2_000, &segment(false, 0));
    bench.put(3_000, &segment(true, 0));
    bench.told();
    bench.advance(9_999);
    assert!(bench.told().is_empty());
    bench.advance(10_000);
    assert_eq!(bench.told(), ["~TCP 1/1 1002000-1010000"]);
    bench.advance(20_000);
    assert!(bench.told().is_empty());
    let idle = bench.flows()[0].last_update.unwrap();
    assert_eq!((idle.ab_packets, idle.start, idle.last), (0, 1_010_000, 1_020_000));
    bench.put(25_000, &segment(false, 0));
    bench.advance(30_000);
    assert_eq!(bench.told(), ["~TCP 1/0 1020000-1030000"]);
    assert_eq!(bench.flows()[0].metric.ab_packets, 2);
}

#[test]
fn a_flow_that_stays_idle_ends_after_one_to_two_times_the_expiry() {
    let mut bench = Bench::new(Settings::default());
    bench.put(1_000, &segment(false, 0));
    bench.advance(599_999);
    bench.advance(600_000);
    assert_eq!(bench.flows().len(), 1);
    bench.told();
    bench.advance(1_200_000);
    assert_eq!(bench.told(), ["-TCP Timeout"]);
    assert!(bench.store.is_empty());
}

#[test]
fn questions_for_names_and_addresses_end_soon() {
    let mut bench = Bench::new(Settings::default());
    bench.put(0, &testing::ethernet(A.0, [255; 6], 0x0806, &[0; 28]));
    bench.put(0, &testing::udp(false, 5_000, 53, &[0; 12]));
    bench.put(0, &testing::udp(false, 5_000, 54, &[0; 12]));
    bench.advance(10_000);
    bench.told();
    bench.advance(20_001);
    let mut told = bench.told();
    told.sort();
    assert_eq!(told, ["-ARP Timeout", "-DNS Timeout"]);
    assert_eq!(bench.flows().len(), 1);
}

#[test]
fn a_connection_that_came_to_its_end_is_held_for_a_while() {
    for (flag, finish) in [(Flags::FIN, "TcpFin"), (Flags::RST, "TcpRst")] {
        let mut bench = Bench::new(Settings::default());
        bench.put(0, &syn(false));
        bench.put(1_000, &segment(true, flag));
        bench.advance(10_000);
        assert!(bench.flows()[0].finish.is_some());
        bench.told();
        bench.advance(20_000);
        assert_eq!(bench.told(), [format!("-TCP {finish}")]);
    }
}

#[test]
fn ports_used_again_after_the_end_make_a_new_flow() {
    let mut bench = Bench::new(Settings::default());
    bench.put(0, &syn(false));
    bench.put(1, &segment(false, Flags::FIN));
    let first = bench.flows()[0].uuid;
    bench.put(2, &segment(true, Flags::FIN));
    bench.told();
    bench.put(3, &syn(false));
    assert_eq!(bench.told(), ["-TCP TcpFin", "+Ethernet/IPv4/TCP"]);
    assert_ne!(bench.flows()[0].uuid, first);
    assert_eq!(bench.flows()[0].finish, None);
}

#[test]
fn closing_a_table_ends_its_flows_and_no_others() {
    let mut bench = Bench::new(Settings::default());
    let other = bench.store.open(Settings::default()).unwrap();
    bench.put(0, &segment(false, 0));
    let data = segment(false, 0);
    let frame = Frame { wire_len: 55, data: &data, ..Frame::EMPTY };
    bench.store.frames(other, &[frame], &bench.clock, &mut ());
    let kept = bench.store.flows_of(other).next().unwrap().0;
    let gone = bench.store.flows_of(bench.table).next().unwrap().0;
    bench.told();
    bench.store.close(bench.table, 1_000_100, &mut bench.notes);
    assert_eq!(bench.told(), ["-TCP Timeout"]);
    assert!(bench.store.get(gone).is_none() && bench.store.get(kept).is_some());
    assert_eq!(bench.store.statistics(bench.table), None);
    // Its name is not that of the table that takes its place.
    let next = bench.store.open(Settings::default()).unwrap();
    assert_ne!(next, bench.table);
    bench.put(0, &segment(false, 0));
    assert_eq!(bench.store.len(), 1);
}

#[test]
fn there_are_no_more_tables_than_there_may_be() {
    let mut store = Store::default();
    for _ in 0..MAX_TABLES {
        assert!(store.open(Settings::default()).is_some());
    }
    assert!(store.open(Settings::default()).is_none());
}

#[test]
fn the_flow_that_was_idle_for_longest_gives_way_and_is_told_as_ended() {
    let mut bench = Bench::new(Settings::default());
    bench.store.set_cap(3);
    for port in [1, 2, 3, 1, 4] {
        bench.put(0, &testing::udp(false, 9, port, b""));
    }
    let mut ports: Vec<u16> = bench.flows().iter().map(|f| f.transport.unwrap().b).collect();
    ports.sort_unstable();
    assert_eq!(ports, [1, 3, 4]);
    assert_eq!(bench.told()[3], "-UDP Timeout");
    let statistics = bench.store.statistics(bench.table).unwrap();
    assert_eq!(statistics, Statistics { flows: 3, dropped: 1, packets: 5 });
    let mut counters = Counters::default();
    bench.store.count_into(&mut counters);
    assert_eq!(counters.capture_flows_evicted, 1);
    // Whoever fills the store can't make it lose count.
    for n in 0..1_000_u16 {
        bench.put(0, &testing::udp(false, n, 7, b""));
    }
    assert_eq!((bench.store.len(), bench.store.index.len()), (3, 3));
}

#[test]
fn the_round_trip_is_that_of_the_handshake_and_of_each_echo() {
    let mut bench = Bench::new(Settings::default());
    bench.put(0, &syn(false));
    bench.put(1, &syn(false));
    bench.put(7, &syn(true));
    bench.put(50, &syn(true));
    assert_eq!(bench.flows()[0].metric.rtt, 7_000_000);
    let mut bench = Bench::new(Settings::default());
    let echo = |kind, back| testing::datagram(back, 1, &[kind, 0, 0, 0, 0, 7, 0, 1]);
    for (at, rtt) in [(0, 3), (1_000, 5)] {
        bench.put(at, &echo(8, false));
        bench.put(at + rtt, &echo(0, true));
        assert_eq!(bench.flows()[0].metric.rtt, rtt as i64 * 1_000_000);
    }
    let mut bench = Bench::new(Settings::default());
    bench.put(0, &syn(false));
    bench.put(2, &testing::tcp(true, 40_000, 80, Flags::RST | Flags::ACK, 0, 1, b""));
    assert_eq!(bench.flows()[0].metric.rtt, 2_000_000);
    assert_eq!(bench.flows()[0].finish, Some(Finish::TcpRst));
}

#[test]
fn fragments_are_one_packet_where_the_capture_asks_for_that() {
    let mut body = [9_u16, 53, 8 + 32, 0].map(u16::to_be_bytes).concat();
    body.extend(0..32);
    let part = |from: usize, to: usize, more: bool, id| {
        let place = (from / 8) as u16 | if more { 0x2000 } else { 0 };
        let packet = testing::fragment(A.1, B.1, 17, id, place, &body[from..to]);
        testing::ethernet(A.0, B.0, 0x0800, &packet)
    };
    let mut bench = Bench::new(Settings { defrag: true, ..Settings::default() });
    for id in [1, 2] {
        bench.put(0, &part(24, 40, false, id));
        bench.put(1, &part(0, 16, true, id));
        bench.put(1, &part(0, 16, true, id));
        bench.put(2, &part(16, 24, true, id));
    }
    let flows = bench.flows();
    let [flow] = &flows[..] else { panic!("{flows:?}") };
    assert_eq!((&*flow.layers_path, flow.metric.ab_packets), ("Ethernet/IPv4/UDP/DNS", 2));
    assert_eq!(flow.metric.ab_bytes, 2 * (14 + 20 + 40));
    assert_eq!(flow.fragments, Some(Fragments { fragments: 6, errors: 2 }));
    let mut bench = Bench::new(Settings::default());
    bench.put(0, &part(0, 16, true, 1));
    bench.put(0, &part(16, 40, false, 1));
    assert_eq!(bench.told(), ["+Ethernet/IPv4/Fragment"]);
    assert_eq!((bench.flows()[0].metric.ab_packets, bench.flows()[0].fragments), (2, None));
}

#[test]
fn a_flood_of_fragments_is_bounded_and_counted() {
    let mut bench = Bench::new(Settings { defrag: true, ..Settings::default() });
    for id in 0..2_000_u16 {
        let packet = testing::fragment(A.1, B.1, 17, id, 0x2000 | 0x1f0, &[0; 1_400]);
        bench.put(u64::from(id), &testing::ethernet(A.0, B.0, 0x0800, &packet));
    }
    assert!(bench.store.is_empty());
    let mut counters = Counters::default();
    bench.store.count_into(&mut counters);
    assert!(counters.capture_datagrams_lost > 1_700, "{}", counters.capture_datagrams_lost);
}

#[test]
fn the_filter_sees_what_was_put_together() {
    let filter = crate::filter::compile("udp port 53", LinkType::ETHERNET, &Default::default());
    let mut bench = Bench::new(Settings { filter: Some(filter.unwrap()), ..Settings::default() });
    bench.put(0, &testing::udp(false, 9, 53, &[0; 12]));
    bench.put(0, &testing::udp(false, 9, 54, &[0; 12]));
    assert_eq!(bench.told(), ["+Ethernet/IPv4/UDP/DNS"]);
    assert_eq!(bench.store.statistics(bench.table).unwrap().packets, 2);
}

#[test]
fn the_first_packets_are_kept_with_their_tag_until_the_flow_ends() {
    let mut bench = Bench::new(Settings { raw_limit: 2, ..Settings::default() });
    let data = testing::udp(false, 9, 10, b"abc");
    let vlan = Some(VlanTag { tci: 0x2005, tpid: 0x8100 });
    let frame = Frame { wire_len: data.len() as u32 + 4, data: &data, vlan, ..Frame::EMPTY };
    bench.store.frames(bench.table, &[frame; 3], &bench.clock, &mut bench.notes);
    bench.advance(10_000);
    let flow = bench.flows()[0];
    assert_eq!((flow.raw_captured, flow.raw.len(), flow.link.unwrap().id), (2, 2, 5));
    assert_eq!(&*flow.layers_path, "Ethernet/Dot1Q/IPv4/UDP");
    let kept = &flow.raw[1];
    assert_eq!((kept.index, kept.timestamp, kept.link_type), (2, 1_000_000, 1));
    assert_eq!(kept.data[..16], [&data[..12], &[0x81, 0, 0x20, 5]].concat());
    assert_eq!(kept.data[16..], data[12..]);
    assert_eq!(bench.store.raw_bytes, 2 * (data.len() + 4));
    bench.store.close(bench.table, 0, &mut ());
    assert_eq!(bench.store.raw_bytes, 0);
}

#[test]
fn packets_are_kept_only_while_there_is_memory_for_them() {
    let mut bench = Bench::new(Settings { raw_limit: 10, ..Settings::default() });
    for n in 0..700_u16 {
        for _ in 0..10 {
            bench.put(0, &testing::udp(false, n, 9, &[0; 1_400]));
        }
    }
    assert!(bench.store.raw_bytes <= MAX_RAW);
    let mut counters = Counters::default();
    bench.store.count_into(&mut counters);
    assert!(counters.capture_packets_unkept > 500);
}

#[test]
fn connections_are_told_in_detail_on_request() {
    let settings = Settings { extra_tcp: true, reassemble: true, ..Settings::default() };
    let mut bench = Bench::new(settings);
    bench.put(1, &testing::tcp(false, 40_000, 80, Flags::SYN, 99, 0, b""));
    bench.put(2, &testing::tcp(true, 40_000, 80, Flags::SYN | Flags::ACK, 500, 100, b""));
    bench.put(3, &testing::tcp(false, 40_000, 80, Flags::ACK, 110, 501, b"0123456789"));
    bench.put(4, &testing::tcp(false, 40_000, 80, Flags::ACK, 100, 501, b"0123456789"));
    bench.put(5, &testing::tcp(true, 40_000, 80, Flags::FIN | Flags::ACK, 501, 120, b""));
    let tcp = bench.flows()[0].tcp.clone().unwrap();
    assert_eq!((tcp.ab.syn_start, tcp.ab.syn_ttl), (1_000_001, 64));
    assert_eq!((tcp.ba.syn_start, tcp.ba.fin_start, tcp.ab.fin_start), (1_000_002, 1_000_005, 0));
    assert_eq!((tcp.ab.packets, tcp.ab.bytes, tcp.ab.out_of_order), (3, 20, 1));
    assert_eq!((tcp.ab.saw_start, tcp.ba.saw_end, tcp.ab.skipped), (1, 1, 0));
    bench.put(6, &testing::udp(false, 1, 2, b""));
    assert!(bench.flows()[1].tcp.is_none());
}

#[test]
fn users_names_for_ports_go_before_the_names_of_layers() {
    let mut bench = Bench::new(Settings::default());
    bench.store.set_applications(&[(80, "WEB".into())], &[(9, "X".into()), (10, "Y".into())]);
    bench.put(0, &syn(false));
    bench.put(0, &testing::udp(false, 9, 10, b""));
    bench.put(0, &testing::udp(false, 11, 12, b""));
    let names: Vec<_> = bench.flows().iter().map(|flow| flow.application.to_string()).collect();
    assert_eq!(names, ["WEB", "X", "UDP"]);
}

#[test]
fn the_last_message_of_a_flow_is_the_one_that_is_told() {
    let settings = Settings { extra_layers: extra::DNS, ..Settings::default() };
    let mut bench = Bench::new(settings);
    for id in [1, 2] {
        bench.put(0, &testing::udp(false, 9, 53, &[0, id, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
    }
    assert_eq!(bench.flows()[0].get("DNS.ID"), Some(crate::topology::value::Value::Int(2)));
    assert!(bench.store.extra_bytes > 0);
    bench.store.close(bench.table, 0, &mut ());
    assert_eq!(bench.store.extra_bytes, 0);
}

#[test]
fn flows_of_a_file_keep_its_times_and_age_from_when_they_came() {
    let mut bench = Bench::new(Settings::default());
    bench.clock = Clock::FILE;
    bench.put(5_000, &testing::udp(false, 9, 53, &[0; 12]));
    bench.put(6_000, &segment(false, Flags::FIN));
    bench.advance(50_000);
    bench.advance(100_000);
    let flows = bench.flows();
    assert_eq!(flows.len(), 2);
    assert_eq!((flows[0].metric.start, flows[1].metric.last), (5_000, 6_000));
    bench.advance(600_000);
    assert_eq!(bench.flows().len(), 2);
    bench.advance(1_200_000);
    assert!(bench.store.is_empty());
}

#[test]
fn a_clock_that_steps_back_delays_nothing_for_long() {
    let mut bench = Bench::new(Settings::default());
    bench.put(0, &segment(false, 0));
    bench.advance(-500_000);
    bench.put(0, &segment(false, 0));
    bench.told();
    bench.advance(-490_000);
    bench.clock.wall = Wall(510_000_000);
    bench.put(1, &segment(false, 0));
    bench.advance(-480_000);
    assert!(bench.store.due().is_some_and(|due| due <= 530_000));
}

proptest! {
    /// Whatever comes in, the list, the index and the slots agree, and packets are accounted for.
    #[test]
    fn any_traffic_leaves_the_store_in_order(
        events in proptest::collection::vec((0_u16..12, any::<u8>(), 0_u64..40_000, any::<bool>()), 0..80),
        noise in proptest::collection::vec(any::<u8>(), 0..80),
        cap in 1_usize..8,
    ) {
        let settings = Settings {
            raw_limit: 2, extra_tcp: true, reassemble: true, defrag: true, extra_layers: 7,
            ..Settings::default()
        };
        let mut bench = Bench::new(settings);
        bench.store.set_cap(cap);
        for (port, flags, at, back) in events {
            bench.put(at, &testing::tcp(back, 1_000, port, flags, at as u32, 0, b"payload"));
            bench.advance(at as i64);
            bench.put(at, &noise);
            prop_assert!(bench.store.len() <= cap);
            let mut listed = 0_usize;
            let mut slot = bench.store.oldest;
            while let Some(place) = bench.store.slots.get(slot as usize) {
                prop_assert!(place.entry.is_some());
                listed = listed.saturating_add(1);
                slot = place.newer;
            }
            prop_assert_eq!(listed, bench.store.len());
            prop_assert_eq!(bench.store.index.len(), bench.store.len());
            prop_assert_eq!(bench.store.iter().count(), bench.store.len());
            let flows = bench.store.statistics(bench.table).unwrap().flows;
            prop_assert_eq!(flows, bench.store.len() as u64);
        }
        bench.store.close(bench.table, 0, &mut ());
        prop_assert!(bench.store.is_empty() && bench.store.raw_bytes == 0 && bench.store.extra_bytes == 0);
    }
}
