//! Packets made by hand, for the tests of this folder.

use super::{Limits, Seed, Sight, Table, Timeouts};
use crate::time::Tick;
use crate::wire::decode::{Datagram, Packet, Tcp, Transport, Tuple};

pub(super) const UDP: u8 = 17;

pub(super) fn v4(address: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[..4].copy_from_slice(&address);
    wide
}

/// An end of a flow: the last byte of 10.0.0.x, and a port.
pub(super) type Host = (u8, u16);

pub(super) fn datagram(proto: u8, from: Host, to: Host) -> Packet {
    let mut packet = Packet::default();
    packet.macs = Some(([2, 0, 0, 0, 0, to.0], [2, 0, 0, 0, 0, from.0]));
    packet.datagram = Some(Datagram {
        tuple: Tuple {
            version: 4,
            proto,
            src: v4([10, 0, 0, from.0]),
            dst: v4([10, 0, 0, to.0]),
            sport: from.1,
            dport: to.1,
        },
        ttl: from.0,
        tos: 8,
        ..Datagram::default()
    });
    packet
}

pub(super) fn udp(from: Host, to: Host) -> Packet {
    let mut packet = datagram(UDP, from, to);
    packet.datagram.as_mut().unwrap().transport = Transport::Udp;
    packet
}

pub(super) fn segment(from: Host, to: Host, flags: u8, seq: u32, payload: u32) -> Packet {
    let mut packet = datagram(6, from, to);
    let datagram = packet.datagram.as_mut().unwrap();
    datagram.payload_len = payload;
    datagram.transport = Transport::Tcp(Tcp { seq, ack: 0, flags, window: 100 });
    packet
}

pub(super) fn at_millis(millis: u64) -> Sight {
    Sight { ts: Tick::from_millis(millis), wire_len: 100, ..Sight::default() }
}

pub(super) fn table(max_flows: u32) -> Table {
    Table::new(Limits { max_flows }, Timeouts::default(), Seed::random())
}
