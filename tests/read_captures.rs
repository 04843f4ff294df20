//! Reads real captures from front to back and holds what is read against what a peer, nDPI's
//! ndpiReader, counted and saw in them. The captures are not part of the source; without them
//! the tests say that they are skipped.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, helpers included, may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use portolan::source::file::Reader;
use portolan::wire::decode::{Packet, Tuple};

#[path = "support/captures.rs"]
mod captures;

use captures::captures;

type End = (IpAddr, u16);
/// Protocol and both ends, in an order that doesn't depend on the direction.
type Conversation = (u8, End, End);

/// The rows of a table, split into columns, without the heading.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

fn conversation(tuple: &Tuple) -> Conversation {
    let address = |bytes: [u8; 16]| match tuple.version {
        4 => IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])),
        _ => IpAddr::V6(Ipv6Addr::from(bytes)),
    };
    let (a, b) = ((address(tuple.src), tuple.sport), (address(tuple.dst), tuple.dport));
    (tuple.proto, a.min(b), a.max(b))
}

#[test]
fn every_capture_yields_the_packets_and_bytes_that_a_peer_counted() {
    let Some(dir) = captures() else { return };
    let mut wrong = Vec::new();
    for row in rows(&dir.join("captures.tsv")) {
        let [name, _, packets, file_bytes, data_bytes] = row.as_slice() else {
            panic!("unexpected row {row:?}")
        };
        let path = dir.join(name);
        let mut packet = Packet::default();
        let mut bytes = 0_u64;
        let mut reader = match Reader::open(File::open(&path).unwrap()) {
            Ok(reader) => reader,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let end = loop {
            match reader.next_frame() {
                Ok(Some(frame)) => {
                    bytes += u64::from(frame.wire_len);
                    let _ = packet.decode(frame.link, frame.vlan, frame.data);
                    assert!(packet.payload(frame.data).len() <= frame.data.len());
                }
                Ok(None) => break String::new(),
                Err(error) => break error.to_string(),
            }
        };
        let read = (reader.packets().to_string(), bytes.to_string());
        if read != (packets.clone(), data_bytes.clone()) {
            wrong.push(format!("{name}: read {read:?}, the peer {packets} {data_bytes}"));
        }
        let damage = match name.as_str() {
            "fuzz-2021-10-13.pcap" => "packet 2 at byte 237: cut off after 2 of 16 bytes",
            _ => "",
        };
        if end != damage {
            wrong.push(format!("{name}: ends with {end:?}"));
        }
        if end.is_empty() && reader.consumed().to_string() != *file_bytes {
            wrong.push(format!("{name}: used {} of {file_bytes} bytes", reader.consumed()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_frame_cut_anywhere_is_decoded_without_reading_past_the_cut() {
    let Some(dir) = captures() else { return };
    let mut packet = Packet::default();
    for row in rows(&dir.join("captures.tsv")) {
        let mut reader = Reader::open(File::open(dir.join(&row[0])).unwrap()).unwrap();
        while reader.packets() < 50 {
            let Ok(Some(frame)) = reader.next_frame() else {
                break;
            };
            for cut in (0..frame.data.len()).step_by(7) {
                let _ = packet.decode(frame.link, frame.vlan, &frame.data[..cut]);
                if let Some(datagram) = packet.datagram {
                    let end = datagram.payload_at + datagram.payload_captured;
                    assert!(end as usize <= cut, "{} cut at {cut}: {datagram:?}", row[0]);
                }
            }
        }
    }
}

#[test]
fn the_peers_conversations_are_found() {
    let Some(dir) = captures() else { return };
    let mut expected: BTreeMap<String, BTreeSet<Conversation>> = BTreeMap::new();
    for row in rows(&dir.join("flows.tsv")) {
        let proto = match row[1].as_str() {
            "ICMP" => 1,
            "IGMP" => 2,
            "TCP" => 6,
            "UDP" => 17,
            "GRE" => 47,
            "ESP" => 50,
            "AH" => 51,
            "ICMPV6" => 58,
            "PIM" => 103,
            "SCTP" => 132,
            number => number.parse().unwrap(),
        };
        let end = |address: &str, port: &str| (address.parse().unwrap(), port.parse().unwrap());
        let (a, b): (End, End) = (end(&row[2], &row[3]), end(&row[4], &row[5]));
        expected.entry(row[0].clone()).or_default().insert((proto, a.min(b), a.max(b)));
    }
    let (mut total, mut missing) = (0_usize, Vec::new());
    for (name, conversations) in &expected {
        let found = conversations_of(&dir.join(name));
        total += conversations.len();
        missing.extend(conversations.difference(&found).map(|c| format!("{name}: {c:?}")));
    }
    eprintln!("{} of {total} conversations not found:\n{}", missing.len(), missing.join("\n"));
    assert!(total > 5_000, "the table has shrunk to {total} rows");
    // Two in sctp.cap, where the peer leaves the ports out; one header of 4 bytes that it reads
    // on behind, and one NULL frame of no address family that it takes for IPv6.
    assert!(missing.len() <= 4, "{}", missing.join("\n"));
}

/// All conversations of a file, those inside tunnels and those of the tunnels.
fn conversations_of(path: &Path) -> BTreeSet<Conversation> {
    let mut reader = Reader::open(File::open(path).unwrap()).unwrap();
    let mut packet = Packet::default();
    let mut found = BTreeSet::new();
    while let Ok(Some(frame)) = reader.next_frame() {
        let _ = packet.decode(frame.link, frame.vlan, frame.data);
        found.extend(packet.datagram.iter().map(|datagram| conversation(&datagram.tuple)));
        found.extend(packet.carriers().iter().map(|carrier| conversation(&carrier.tuple)));
    }
    found
}
