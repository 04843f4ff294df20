//! What captures send to other collectors instead of keeping it: updates of flows as NetFlow
//! version 5, and packets as they are in ERSPAN type II (draft-foschiano-erspan).

use std::net::IpAddr;

use super::flow::{Flow, IcmpKind, Metric, Protocol};
use crate::time::Wall;

/// Records in one datagram, as many as the format allows.
pub const MAX_RECORDS: usize = 30;

const HEADER_LEN: usize = 24;
const RECORD_LEN: usize = 48;

/// Collects records of flows into datagrams. Each direction of a flow is a record; only flows of
/// IPv4 have any.
#[derive(Debug)]
pub struct Exporter {
    /// When uptimes count from, in milliseconds since 1970.
    boot: i64,
    sent: u32,
    records: Vec<u8>,
}

impl Exporter {
    /// An exporter that began at `boot`, in milliseconds since 1970.
    #[must_use]
    pub const fn new(boot: i64) -> Self {
        Self { boot, sent: 0, records: Vec::new() }
    }

    /// Adds what a flow's last update tells; a full datagram goes to `send`.
    pub fn add(&mut self, flow: &Flow, now: Wall, send: &mut dyn FnMut(&[u8])) {
        let Some(network) = &flow.network else { return };
        let (IpAddr::V4(a), IpAddr::V4(b)) = (network.a, network.b) else { return };
        let metric = flow.last_update.unwrap_or(flow.metric);
        let (a, b) = (a.octets(), b.octets());
        let (a_port, b_port) = ports(flow);
        for (src, dst, sport, dport, packets, bytes) in [
            (a, b, a_port, b_port, metric.ab_packets, metric.ab_bytes),
            (b, a, b_port, a_port, metric.ba_packets, metric.ba_bytes),
        ] {
            if packets == 0 {
                continue;
            }
            self.record(flow, &metric, (src, dst), (sport, dport), (packets, bytes));
            if self.count() >= MAX_RECORDS {
                self.flush(now, send);
            }
        }
    }

    /// Sends what was collected.
    pub fn flush(&mut self, now: Wall, send: &mut dyn FnMut(&[u8])) {
        let count = u16::try_from(self.count()).unwrap_or(0);
        if count == 0 {
            return;
        }
        let mut out = Vec::with_capacity(self.records.len().saturating_add(HEADER_LEN));
        out.extend_from_slice(&5_u16.to_be_bytes());
        out.extend_from_slice(&count.to_be_bytes());
        let nanos = now.0.rem_euclid(1_000_000).saturating_mul(1_000);
        for word in [
            self.uptime(now.millis()),
            low(now.secs().cast_unsigned()),
            low(nanos.cast_unsigned()),
            self.sent,
        ] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        // Engine 1 of type 0; nothing is sampled.
        out.extend_from_slice(&[0, 1, 0, 0]);
        out.append(&mut self.records);
        self.sent = self.sent.wrapping_add(count.into());
        send(&out);
    }

    fn record(
        &mut self,
        flow: &Flow,
        metric: &Metric,
        (src, dst): ([u8; 4], [u8; 4]),
        (sport, dport): (u16, u16),
        (packets, bytes): (u64, u64),
    ) {
        let out = &mut self.records;
        out.extend_from_slice(&src);
        out.extend_from_slice(&dst);
        // Neither next hop nor interfaces.
        out.extend_from_slice(&[0; 8]);
        let bytes = bytes.saturating_sub(packets.saturating_mul(link_len(flow)));
        for word in
            [u32::try_from(packets).unwrap_or(u32::MAX), u32::try_from(bytes).unwrap_or(u32::MAX)]
        {
            out.extend_from_slice(&word.to_be_bytes());
        }
        for moment in [metric.start, metric.last] {
            let uptime = self.uptime(moment);
            self.records.extend_from_slice(&uptime.to_be_bytes());
        }
        let out = &mut self.records;
        out.extend_from_slice(&sport.to_be_bytes());
        out.extend_from_slice(&dport.to_be_bytes());
        // Flags of TCP are not kept; no type of service, no autonomous systems.
        out.extend_from_slice(&[0, 0, protocol(flow), 0, 0, 0, 0, 0]);
        // Single addresses, and padding.
        out.extend_from_slice(&[32, 32, 0, 0]);
    }

    const fn count(&self) -> usize {
        self.records.len() / RECORD_LEN
    }

    fn uptime(&self, millis: i64) -> u32 {
        low(millis.saturating_sub(self.boot).max(0).cast_unsigned())
    }
}

/// Such counters wrap around.
#[expect(clippy::cast_possible_truncation, reason = "said above")]
const fn low(value: u64) -> u32 {
    value as u32
}

/// Bytes before the IP header of each packet.
fn link_len(flow: &Flow) -> u64 {
    let tags = flow.layers_path.split('/').filter(|name| *name == "Dot1Q").count();
    match flow.link {
        Some(_) => (tags as u64).saturating_mul(4).saturating_add(14),
        None => 0,
    }
}

/// Ports; for ICMP, type and code are where the destination port is.
fn ports(flow: &Flow) -> (u16, u16) {
    if let Some(transport) = &flow.transport {
        return (transport.a, transport.b);
    }
    let Some(icmp) = &flow.icmp else { return (0, 0) };
    let kind: u8 = match icmp.kind {
        IcmpKind::Echo => 8,
        IcmpKind::DestinationUnreachable => 3,
        IcmpKind::SourceQuench => 4,
        IcmpKind::Redirect => 5,
        IcmpKind::TimeExceeded => 11,
        IcmpKind::ParameterProblem => 12,
        IcmpKind::Timestamp => 13,
        _ => 0,
    };
    (0, u16::from_be_bytes([kind, icmp.code]))
}

fn protocol(flow: &Flow) -> u8 {
    match flow.transport.as_ref().map(|transport| transport.protocol) {
        Some(Protocol::Tcp) => 6,
        Some(Protocol::Udp) => 17,
        Some(Protocol::Sctp) => 132,
        _ if flow.icmp.is_some() => 1,
        _ => 0,
    }
}

/// Where mirrored packets come from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mirror {
    /// Number of the session, 10 bits.
    pub session: u16,
    /// Number of the port, 20 bits.
    pub index: u32,
    /// VLAN id, 0 if untagged.
    pub vlan: u16,
}

impl Mirror {
    /// Writes the GRE and ERSPAN headers and the packet into `out`, replacing what was there:
    /// what goes behind an IP header of protocol 47. `sequence` counts the packets, `cut` says
    /// that the packet was longer.
    pub fn write(&self, sequence: u32, frame: &[u8], cut: bool, out: &mut Vec<u8>) {
        out.clear();
        // A sequence number is there; the protocol is ERSPAN type II.
        out.extend_from_slice(&[0x10, 0x00, 0x88, 0xbe]);
        out.extend_from_slice(&sequence.to_be_bytes());
        // Version 1 means type II.
        out.extend_from_slice(&(0x1000 | self.vlan & 0x0fff).to_be_bytes());
        let cut = u16::from(cut) << 10;
        out.extend_from_slice(&(cut | self.session & 0x03ff).to_be_bytes());
        out.extend_from_slice(&(self.index & 0x000f_ffff).to_be_bytes());
        out.extend_from_slice(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::store::{Settings, Store};
    use crate::capture::testing;
    use crate::source::Frame;
    use crate::time::{Clock, Tick};
    use crate::wire::layers::Layers;
    use crate::wire::link::LinkType;

    fn export(frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut store = Store::default();
        let table = store.open(Settings::default()).unwrap();
        for data in frames {
            let ts = Tick::from_secs(1_000);
            let frame = Frame { ts, wire_len: data.len() as u32, data, ..Frame::EMPTY };
            store.frames(table, &[frame], &Clock::FILE, &mut ());
        }
        let mut exporter = Exporter::new(990_000);
        let mut out = Vec::new();
        let now = Wall(1_001_000_500);
        for (_, flow) in store.iter() {
            exporter.add(flow, now, &mut |datagram| out.push(datagram.to_vec()));
        }
        exporter.flush(now, &mut |datagram| out.push(datagram.to_vec()));
        exporter.flush(now, &mut |_| panic!("nothing is left"));
        out
    }

    #[test]
    fn each_direction_is_a_record_of_packets_and_bytes_of_ip() {
        let there = testing::tcp(false, 40_000, 80, 2, 0, 0, b"");
        let back = testing::tcp(true, 40_000, 80, 18, 0, 1, b"abc");
        let arp = testing::ethernet([2; 6], [3; 6], 0x0806, &[0; 28]);
        let [datagram] = &export(&[there.clone(), there, back, arp])[..] else { panic!() };
        let mut expected = vec![0, 5, 0, 2, 0, 0, 0x2a, 0xf8, 0, 0, 3, 0xe9, 0, 7, 0xa1, 0x20];
        expected.extend([0, 0, 0, 0, 0, 1, 0, 0]);
        expected
            .extend([10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 80]);
        expected.extend([0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10, 0x9c, 0x40, 0, 80, 0, 0, 6, 0]);
        expected.extend([0, 0, 0, 0, 32, 32, 0, 0]);
        expected
            .extend([10, 0, 0, 2, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 43]);
        expected.extend([0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10, 0, 80, 0x9c, 0x40, 0, 0, 6, 0]);
        expected.extend([0, 0, 0, 0, 32, 32, 0, 0]);
        // Half a millisecond beyond the second.
        expected[12..16].copy_from_slice(&500_000_u32.to_be_bytes());
        assert_eq!(*datagram, expected);
    }

    #[test]
    fn datagrams_hold_what_they_may_and_count_on() {
        let frames: Vec<_> = (0..70).map(|port| testing::udp(false, port, 9, b"")).collect();
        let datagrams = export(&frames);
        let counts: Vec<_> = datagrams.iter().map(|d| (d[3], d[19], d.len())).collect();
        let len = |records| HEADER_LEN + RECORD_LEN * records;
        assert_eq!(counts, [(30, 0, len(30)), (30, 30, len(30)), (10, 60, len(10))]);
    }

    #[test]
    fn a_mirrored_packet_is_found_behind_its_headers() {
        let frame = testing::udp(false, 1, 2, b"x");
        let mut out = Vec::new();
        let mirror = Mirror { session: 0x3ff, index: 0x12345, vlan: 0xabc };
        mirror.write(7, &frame, true, &mut out);
        assert_eq!(
            out[..16],
            [0x10, 0, 0x88, 0xbe, 0, 0, 0, 7, 0x1a, 0xbc, 7, 0xff, 0, 1, 0x23, 0x45]
        );
        assert_eq!(out[16..], frame);
        let packet = testing::packet([10, 0, 0, 9], [10, 0, 0, 8], 47, &out);
        let mut layers = Layers::default();
        layers.decode(LinkType::RAW, None, packet.len() as u32, &packet);
        let inner: Vec<_> = layers.pieces()[1].names().iter().map(|name| name.text()).collect();
        assert_eq!(inner, ["ERSPAN Type II", "Ethernet", "IPv4", "UDP"]);
    }
}
