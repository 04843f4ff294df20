//! Proves that a packet of a flow that exists allocates nothing: an allocator that counts.

use portolan::core::engine::Engine;
use portolan::counters::Counters;
use portolan::flow::{Limits, Seed, Sight, Table, Timeouts, Totals};
use portolan::source::Frame;
use portolan::time::Tick;
use portolan::wire::decode::{Datagram, Fragment, Packet, Tcp, Transport, Tuple};

#[path = "support/heap.rs"]
mod heap;

use heap::allocations;

fn packet(n: u16, fragment: Fragment) -> Packet {
    let mut packet = Packet::default();
    let (mut src, mut dst) = ([0; 16], [0; 16]);
    src[..4].copy_from_slice(&[10, 0, 0, 1]);
    dst[..4].copy_from_slice(&[192, 0, 2, 1]);
    packet.datagram = Some(Datagram {
        tuple: Tuple { version: 4, proto: 6, src, dst, sport: n, dport: 443 },
        fragment,
        transport: Transport::Tcp(Tcp { seq: 1, ack: 1, flags: Tcp::ACK, window: 1 }),
        ..Datagram::default()
    });
    packet
}

#[test]
fn packets_of_existing_flows_allocate_nothing_nor_does_displacing_flows() {
    let mut table = Table::new(Limits { max_flows: 1_000 }, Timeouts::default(), Seed::random());
    let mut totals = Totals::default();
    let mut counters = Counters::default();
    let mut ts = 0;
    let mut put = |table: &mut Table, n: u16, fragment| {
        ts += 1;
        let sight = Sight { ts: Tick(ts), wire_len: 100, ..Sight::default() };
        let packet = packet(n, fragment);
        totals.count(&packet, &sight);
        table.touch(&packet, &sight, &mut counters, &mut ());
        table.advance(Tick(ts), 16, &mut Counters::default(), &mut ());
    };
    for n in 0..1_000 {
        put(&mut table, n, Fragment::Whole);
    }
    let before = allocations();
    for round in 0..20 {
        for n in 0..1_000 {
            put(&mut table, n, Fragment::Whole);
            put(&mut table, n, Fragment::First(round));
            put(&mut table, n, Fragment::Later(round));
        }
    }
    // The table is full: new flows take the place of old ones.
    for n in 1_000..20_000 {
        put(&mut table, n, Fragment::Whole);
    }
    assert_eq!(allocations() - before, 0);
    assert_eq!(table.len(), 1_000);
}

/// An Ethernet frame of a TCP segment from port `n`, tagged or not, to port 443 or back.
fn frame(n: u16, tagged: bool, back: bool) -> Vec<u8> {
    let (near, far) = ([10, 0, 0, 1], [192, 0, 2, 1]);
    let (from, to) = if back { (far, near) } else { (near, far) };
    let (sport, dport) = if back { (443, n) } else { (n, 443) };
    let tag: &[u8] = if tagged { &[0x81, 0, 0, 7] } else { &[] };
    let ip = [0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0];
    let ports = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    let tcp = [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 2, 0, 0, 0, 0, 0];
    [&[2; 12], tag, &[8, 0], &ip, &from, &to, &ports, &tcp].concat()
}

#[test]
fn the_way_from_frame_to_flow_allocates_nothing() {
    let limits = Limits { max_flows: 1_000 };
    let mut engine = Engine::new(limits, Timeouts::default(), Seed::random());
    let mut counters = Counters::default();
    let bytes: Vec<Vec<u8>> = (0..2_400)
        .map(|n: u16| frame(n / 4, n % 4 > 1, n % 2 == 1))
        .chain([vec![0; 9], vec![0xff; 60]])
        .collect();
    let frames: Vec<Frame<'_>> = bytes
        .iter()
        .map(|data| Frame { ts: Tick(7), wire_len: data.len() as u32, data, ..Frame::EMPTY })
        .collect();
    // The first round makes the flows: as many as there may be, so the rest displace each other.
    engine.frames(&frames, &mut counters, &mut ());
    let before = allocations();
    for round in 1..20 {
        engine.frames(&frames, &mut counters, &mut ());
        engine.advance(Tick(round * 100_000), 64, &mut counters, &mut ());
    }
    assert_eq!(allocations() - before, 0);
    assert_eq!((engine.flows.len(), counters.decode_errors), (1_000, 20));
}
