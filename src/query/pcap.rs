//! Kept packets as a classic capture file (draft-ietf-opsawg-pcap), microseconds, little-endian.

use crate::capture::flow::RawPacket;

/// Appends the header of a file.
pub(super) fn header(link_type: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&0xa1b2_c3d4_u32.to_le_bytes());
    out.extend_from_slice(&2_u16.to_le_bytes());
    out.extend_from_slice(&4_u16.to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&262_144_u32.to_le_bytes());
    out.extend_from_slice(&link_type.to_le_bytes());
}

/// Appends a packet. What was cut off it is not known: its length is that of what was kept.
pub(super) fn record(packet: &RawPacket, out: &mut Vec<u8>) {
    let word = |number: i64| u32::try_from(number).unwrap_or(0).to_le_bytes();
    let length = u32::try_from(packet.data.len()).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&word(packet.timestamp.div_euclid(1_000)));
    out.extend_from_slice(&word(packet.timestamp.rem_euclid(1_000).saturating_mul(1_000)));
    out.extend_from_slice(&length);
    out.extend_from_slice(&length);
    out.extend_from_slice(&packet.data);
}
