//! Runs real captures through the tables of on-demand captures and holds what comes out against
//! the files. The captures are not part of the source; without them the tests say that they are
//! skipped.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, helpers included, may panic"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;

use portolan::capture::flow::Flow;
use portolan::capture::store::{Settings, Sink, Store};
use portolan::source::Frame;
use portolan::source::file::Reader;
use portolan::time::Clock;
use portolan::wire::layers::Layers;

#[path = "support/captures.rs"]
mod captures;

use captures::captures;

/// What a capture came to.
#[derive(Default)]
struct Sums {
    /// Packets and bytes of flows that have no other around them.
    packets: u64,
    bytes: u64,
    flows: usize,
    paths: BTreeSet<String>,
}

impl Sink for Sums {
    fn started(&mut self, flow: &Flow) {
        self.flows += 1;
        self.paths.insert(flow.layers_path.to_string());
    }

    fn updated(&mut self, _: &Flow) {}

    fn ended(&mut self, flow: &Flow) {
        if flow.parent.is_none() {
            self.packets += flow.metric.ab_packets + flow.metric.ba_packets;
            self.bytes += flow.metric.ab_bytes + flow.metric.ba_bytes;
        }
        assert!(flow.metric.start <= flow.metric.last);
        assert!(!flow.layers_path.is_empty() && flow.layers_path.ends_with(&*flow.application));
    }
}

/// The sums of a file, with the frames and bytes of those in which a layer was found.
fn run(path: &Path, settings: Settings) -> (Sums, u64, u64) {
    let mut store = Store::default();
    let table = store.open(settings).unwrap();
    let mut reader = Reader::open(File::open(path).unwrap()).unwrap();
    let (mut sums, mut layers) = (Sums::default(), Layers::default());
    let (mut packets, mut bytes, mut last) = (0, 0, 0);
    let mut room = [Frame::EMPTY];
    while reader.next_frames(&mut room).is_ok_and(|count| count > 0) {
        let frame = room[0];
        layers.decode(frame.link, frame.vlan, frame.wire_len, frame.data);
        if !layers.pieces().is_empty() {
            packets += 1;
            bytes += u64::from(frame.wire_len);
        }
        store.frames(table, &[frame], &Clock::FILE, &mut sums);
        last = i64::try_from(frame.ts.millis()).unwrap();
        store.advance(last, 256, &mut sums);
        room = [Frame::EMPTY];
    }
    store.close(table, last, &mut sums);
    assert!(store.is_empty());
    (sums, packets, bytes)
}

#[test]
fn the_flows_of_a_capture_hold_all_of_its_packets_and_bytes() {
    let Some(dir) = captures() else { return };
    let mut files = 0;
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let is_capture =
            path.extension().is_some_and(|e| e == "pcap" || e == "pcapng" || e == "cap");
        if !is_capture || Reader::open(File::open(&path).unwrap()).is_err() {
            continue;
        }
        for layer3 in [false, true] {
            let settings = Settings {
                layer3,
                raw_limit: 2,
                extra_tcp: true,
                reassemble: true,
                extra_layers: 7,
                ..Settings::default()
            };
            let (sums, packets, bytes) = run(&path, settings);
            assert_eq!((sums.packets, sums.bytes), (packets, bytes), "{}", path.display());
        }
        files += 1;
    }
    assert!(files > 50, "{files}");
}

#[test]
fn well_known_captures_have_the_layers_that_are_in_them() {
    let Some(dir) = captures() else { return };
    for (name, expected) in [
        ("4in4tunnel.pcap", &["Ethernet/Dot1Q/Dot1Q/IPv4/IPv4/UDP"][..]),
        ("6in6tunnel.pcap", &["Ethernet/IPv6/IPv6/UDP"]),
        ("ah.pcapng", &["Ethernet/IPv4/IPSecAH/ICMPv4"]),
        ("dlt_ppp.pcap", &["PPP/IPv4/UDP"]),
        ("dns_fragmented.pcap", &["Ethernet/IPv4/Fragment", "Ethernet/IPv6/IPv6Fragment/Fragment"]),
        ("gre.pcapng", &["Ethernet/Dot1Q/IPv4/GRE", "PPP/IPv4/UDP/SIP"]),
        ("ipv6_in_gtp.pcap", &["Ethernet/Dot1Q/Dot1Q/IPv4/UDP/GTPv1U/IPv6/UDP"]),
        ("NTPv4.pcap", &["Ethernet/IPv4/UDP/NTP"]),
        (
            "vxlan.pcap",
            &["Ethernet/Dot1Q/IPv4/UDP/VXLAN", "Ethernet/IPv4/TCP", "Ethernet/IPv4/UDP/DNS"],
        ),
    ] {
        let path = dir.join(name);
        if !path.is_file() {
            eprintln!("skipped: no {name}");
            continue;
        }
        let (sums, ..) = run(&path, Settings::default());
        for layers in expected {
            assert!(sums.paths.contains(*layers), "{name}: {:?}", sums.paths);
        }
    }
}
