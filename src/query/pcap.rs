//! Kept packets as a classic capture file (draft-ietf-opsawg-pcap), in microseconds.

use crate::capture::flow::RawPacket;
use crate::wire::link::LinkType;
use crate::wire::pcap::write::{self, Unit};
use crate::wire::pcapng::write::Packet;

/// Appends the header of a file.
pub(super) fn header(link_type: u32, out: &mut Vec<u8>) {
    let link = LinkType(u16::try_from(link_type).unwrap_or(u16::MAX));
    write::header(out, link, 262_144, Unit::Micros);
}

/// Appends a packet. What was cut off it is not known: its length is that of what was kept.
pub(super) fn record(packet: &RawPacket, out: &mut Vec<u8>) {
    let millis = u64::try_from(packet.timestamp).unwrap_or(0);
    let packet = Packet {
        interface: 0,
        nanos: millis.saturating_mul(1_000_000),
        prefix: &[],
        data: &packet.data,
        vlan: None,
        wire_len: u32::try_from(packet.data.len()).unwrap_or(u32::MAX),
        flags: 0,
        lost: 0,
        comment: "",
    };
    write::record(out, &packet, Unit::Micros);
}
