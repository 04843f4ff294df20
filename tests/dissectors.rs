//! Shows what real captures hold to every dissector: each whole, cut at every octet, and altered.
//! The captures are not part of the source; without them the test says that it is skipped. The
//! seeds of the fuzz target `dissectors` are cut and altered in any case.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, helpers included, may panic"
)]

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;

use portolan::detect::protocols::ALL;
use portolan::detect::{Dissector, Facts, Memory, Transport, Verdict, View};
use portolan::source::file::Reader;
use portolan::wire::decode::Packet;

#[path = "support/captures.rs"]
mod captures;

use captures::captures;

/// Packets of a flow that are shown.
const PACKETS: usize = 12;

/// Packets of a capture of which each dissector is shown all beginnings, once it took one.
const TAKEN: u32 = 8;

/// Alterations of each such packet.
const ALTERED: u64 = 256;

static END: [u8; 16] = [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Numbers that look random, the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below.max(1) as u64).unwrap()
    }

    /// Changes up to four octets: to anything, to an extreme, by a bit.
    fn alter(&mut self, octets: &mut [u8]) {
        for _ in 0..=self.roll(4) {
            let at = self.roll(octets.len());
            let Some(octet) = octets.get_mut(at) else { return };
            *octet = match self.roll(4) {
                0 => 0,
                1 => 0xff,
                2 => *octet ^ 1 << self.roll(8),
                _ => u8::try_from(self.roll(256)).unwrap(),
            };
        }
    }
}

/// A packet with payload as a dissector may be shown it.
#[derive(Clone, Copy)]
struct Shown {
    transport: Transport,
    ports: (u16, u16),
    number: u8,
}

impl Shown {
    /// The verdict on this payload, as the client's or the server's.
    fn ask(self, dissector: &Dissector, payload: &[u8], from_client: bool) -> Verdict {
        let view = View {
            transport: self.transport,
            from_client,
            data: payload,
            other: &[],
            len: payload.len(),
            is_start: self.number == 1,
            client_port: self.ports.0,
            server_port: self.ports.1,
            client: &END,
            server: &END,
            ip_version: 4,
            past: &[],
            number: self.number,
            memory: &Memory::default(),
        };
        (dissector.dissect)(&view, &mut Facts::default())
    }

    /// Everything that is done with a packet of which a dissector wants more than a look.
    fn torment(self, dissector: &Dissector, payload: &[u8], dice: &mut Dice) {
        for len in 0..payload.len() {
            self.ask(dissector, &payload[..len], len % 2 == 0);
        }
        let mut altered = payload.to_vec();
        for round in 0..ALTERED {
            altered.copy_from_slice(payload);
            dice.alter(&mut altered);
            let len = if round % 2 == 0 { altered.len() } else { dice.roll(altered.len()) };
            self.ask(dissector, &altered[..len], round % 3 != 0);
        }
    }
}

/// Shows a capture's flows; how often a dissector was asked.
fn show(path: &Path, dice: &mut Dice) -> u64 {
    let (mut flows, mut taken) = (HashMap::new(), vec![0_u32; ALL.len()]);
    let mut asked = 0;
    let Ok(mut reader) = Reader::open(File::open(path).unwrap()) else { return 0 };
    while let Ok(Some(frame)) = reader.next_frame() {
        let mut packet = Packet::default();
        if packet.decode(frame.link, None, frame.data).is_err() {
            continue;
        }
        let Some(tuple) = packet.datagram.as_ref().map(|datagram| datagram.tuple) else { continue };
        let transport = match tuple.proto {
            6 => Transport::Tcp,
            17 => Transport::Udp,
            _ => continue,
        };
        let payload = packet.payload(frame.data);
        let ends = ((tuple.src, tuple.sport), (tuple.dst, tuple.dport));
        let key = (tuple.proto, ends.0.min(ends.1), ends.0.max(ends.1));
        let seen: &mut usize = flows.entry(key).or_default();
        if payload.is_empty() || *seen == PACKETS {
            continue;
        }
        *seen += 1;
        let number = u8::try_from(*seen).unwrap();
        let shown = Shown { transport, ports: (tuple.sport, tuple.dport), number };
        for (dissector, taken) in ALL.iter().zip(&mut taken) {
            if !dissector.takes(transport) {
                continue;
            }
            let verdicts = [true, false].map(|side| shown.ask(dissector, payload, side));
            // One that says no at once has seen the first octets alone: a few cuts will do.
            for _ in 0..2 {
                shown.ask(dissector, &payload[..dice.roll(payload.len())], true);
            }
            asked += 4;
            if *taken < TAKEN && verdicts != [Verdict::No; 2] {
                *taken += 1;
                shown.torment(dissector, payload, dice);
                asked += payload.len() as u64 + ALTERED;
            }
        }
    }
    asked
}

#[test]
fn dissectors_bear_every_capture_cut_and_altered() {
    let Some(dir) = captures() else { return };
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let asked: u64 = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng" || e == "cap"))
        .map(|path| show(path, &mut dice))
        .sum();
    assert!(asked > 1_000_000, "only {asked} questions");
    println!("{asked} questions, each answered");
}
