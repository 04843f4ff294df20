//! Nanoseconds per packet of the flow table alone: existing flows in and out of cache, one by one
//! and in warmed batches, and creating with eviction. `cargo run --release --example flow_table`.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a measuring program"
)]

use std::time::Instant;

use portolan::counters::Counters;
use portolan::flow::{Limits, Prepared, Seed, Sight, Table, Timeouts};
use portolan::time::Tick;
use portolan::wire::decode::{Datagram, Packet, Tcp, Transport, Tuple};

const BATCH: usize = 32;

fn main() {
    // A number of flows measures that size alone, for a profiler.
    if let Some(flows) = std::env::args().nth(1) {
        return existing(flows.parse().unwrap());
    }
    for flows in [1_000, 30_000, 1_000_000] {
        existing(flows);
    }
    creating();
}

/// Makes it a packet of flow `n`, from its initiator or back, as the decoder would.
fn write(packet: &mut Packet, n: u32, back: bool) {
    let datagram = packet.datagram.get_or_insert_with(|| Datagram {
        tuple: Tuple { version: 4, proto: 6, ..Tuple::default() },
        ttl: 64,
        transport: Transport::Tcp(Tcp { seq: 7, ack: 1, flags: Tcp::ACK, window: 500 }),
        ..Datagram::default()
    });
    packet.macs = Some(([1; 6], [2; 6]));
    let tuple = &mut datagram.tuple;
    let near = ((0x0a00_0000 | n >> 4).to_be_bytes(), 1024 | (n & 15) as u16);
    let far = ([93, 184, 216, 34], 443);
    let (from, to) = if back { (far, near) } else { (near, far) };
    tuple.src[..4].copy_from_slice(&from.0);
    tuple.dst[..4].copy_from_slice(&to.0);
    (tuple.sport, tuple.dport) = (from.1, to.1);
}

fn random(state: &mut u64) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 32) as u32
}

fn existing(flows: u32) {
    let before = resident();
    let mut table =
        Table::new(Limits { max_flows: flows + 1 }, Timeouts::default(), Seed::random());
    let mut counters = Counters::default();
    let mut sight = Sight { ts: Tick(1), wire_len: 1500, ..Sight::default() };
    let mut packet = Packet::default();
    for n in 0..flows {
        for back in [false, true] {
            write(&mut packet, n, back);
            table.touch(&packet, &sight, &mut counters, &mut ());
        }
    }
    assert_eq!(table.len(), flows);
    let grown = resident() - before;
    let count = 8_000_000_u32;
    let mut state = 88_172_645_463_325_252;
    // What making the packets costs is measured and taken off.
    let start = Instant::now();
    for _ in 0..count {
        let n = random(&mut state);
        write(&mut packet, n % flows, n >> 31 == 0);
        std::hint::black_box(&mut packet);
    }
    let making = start.elapsed();
    let start = Instant::now();
    for i in 0..count {
        sight.ts = Tick(u64::from(i));
        let n = random(&mut state);
        write(&mut packet, n % flows, n >> 31 == 0);
        std::hint::black_box(table.touch(&packet, &sight, &mut counters, &mut ()));
    }
    let single = per(start.elapsed().saturating_sub(making), count);
    let mut packets: Vec<Packet> = vec![Packet::default(); BATCH];
    let mut places = [Prepared::default(); BATCH];
    let start = Instant::now();
    for i in 0..count / BATCH as u32 {
        sight.ts = Tick(u64::from(i));
        for (place, slot) in places.iter_mut().zip(&mut packets) {
            let n = random(&mut state);
            write(slot, n % flows, n >> 31 == 0);
            table.prepare(slot, 0, place);
        }
        table.warm(&mut places);
        for (place, packet) in places.iter().zip(&packets) {
            std::hint::black_box(table.touch_prepared(
                place,
                packet,
                &sight,
                &mut counters,
                &mut (),
            ));
        }
    }
    let batched = per(start.elapsed().saturating_sub(making), count);
    assert_eq!(table.len(), flows);
    println!(
        "{flows:>8} flows, existing: {single:.0} ns a packet, in batches of {BATCH}: {batched:.0} \
         ns; {:.1} bytes a flow by its own count, {:.1} by growth of the process",
        table.bytes() as f64 / f64::from(flows),
        grown as f64 / f64::from(flows)
    );
}

/// Resident bytes of the process; 0 where there is no /proc.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn creating() {
    for flows in [32_768, 1_000_000] {
        let mut table =
            Table::new(Limits { max_flows: flows }, Timeouts::default(), Seed::random());
        let mut counters = Counters::default();
        let count = 3_000_000_u32;
        let sight =
            |n: u32| Sight { ts: Tick(u64::from(n) * 10), wire_len: 60, ..Sight::default() };
        let mut packet = Packet::default();
        for n in 0..flows {
            write(&mut packet, n, false);
            table.touch(&packet, &sight(0), &mut counters, &mut ());
        }
        let start = Instant::now();
        for n in 0..count {
            write(&mut packet, flows + n, false);
            std::hint::black_box(&mut packet);
        }
        let making = start.elapsed();
        let start = Instant::now();
        for n in 0..count {
            write(&mut packet, flows + n, false);
            table.touch(&packet, &sight(n), &mut counters, &mut ());
        }
        let each = per(start.elapsed().saturating_sub(making), count);
        assert_eq!(counters.flows_evicted, u64::from(count));
        println!("{flows:>8} flows, creating and evicting: {each:.0} ns a flow");
    }
}

fn per(elapsed: std::time::Duration, count: u32) -> f64 {
    elapsed.as_nanos() as f64 / f64::from(count)
}
