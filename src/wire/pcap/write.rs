//! Writes the classic capture format, little-endian.

use crate::wire::link::LinkType;
use crate::wire::pcapng::write::Packet;

/// The unit of time stamps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Microseconds: what every reader takes.
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// Appends the header of a file.
pub fn header(out: &mut Vec<u8>, link: LinkType, snaplen: u32, unit: Unit) {
    let magic = match unit {
        Unit::Micros => 0xa1b2_c3d4_u32,
        Unit::Nanos => 0xa1b2_3c4d,
    };
    out.extend_from_slice(&magic.to_le_bytes());
    out.extend_from_slice(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&snaplen.to_le_bytes());
    out.extend_from_slice(&u32::from(link.0).to_le_bytes());
}

/// Appends a packet. What this format has no place for is left out: interface, flags, losses.
#[inline]
pub fn record(out: &mut Vec<u8>, packet: &Packet<'_>, unit: Unit) {
    let Packet { prefix, data, .. } = *packet;
    let captured = packet.captured();
    let fraction = packet.nanos % 1_000_000_000;
    let fraction = if unit == Unit::Nanos { fraction } else { fraction / 1_000 };
    for word in [packet.nanos / 1_000_000_000, fraction, captured as u64, packet.wire_len.into()] {
        out.extend_from_slice(&u32::try_from(word).unwrap_or(u32::MAX).to_le_bytes());
    }
    out.extend_from_slice(prefix);
    match packet.vlan {
        None => out.extend_from_slice(data),
        Some(vlan) => vlan.append(data, out),
    }
}
