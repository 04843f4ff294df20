//! Exact totals per interface and IP protocol. They count every frame before the flow table sees
//! it, so what the table has to evict or refuse is not missing here.

use super::table::Sight;
use crate::source::Direction;
use crate::wire::decode::{Fragment, Packet, Tunnel};

/// Interfaces with totals of their own; frames of others count in the sums alone.
const IFACES_MAX: usize = 1_024;

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sum {
    /// How many.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
}

impl Sum {
    fn add(&mut self, wire_len: u32) {
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(u64::from(wire_len));
    }
}

/// What one interface saw.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Interface {
    /// Received.
    pub incoming: Sum,
    /// Sent.
    pub outgoing: Sum,
    /// Of unknown direction.
    pub unknown: Sum,
    /// Of all directions: frames that are not IP.
    pub not_ip: Sum,
    /// IPv4.
    pub ipv4: Sum,
    /// IPv6.
    pub ipv6: Sum,
    /// TCP.
    pub tcp: Sum,
    /// UDP and UDP-Lite.
    pub udp: Sum,
    /// ICMP and ICMPv6.
    pub icmp: Sum,
    /// IGMP.
    pub igmp: Sum,
    /// Datagrams within MPLS.
    pub mpls: Sum,
    /// Datagrams within PPPoE.
    pub pppoe: Sum,
    /// Frames with a VLAN tag.
    pub vlan: Sum,
    /// Fragments.
    pub fragments: Sum,
    /// The longest frame.
    pub largest: u32,
}

impl Interface {
    /// Of all directions.
    #[must_use]
    pub const fn all(&self) -> Sum {
        let Self { incoming, outgoing, unknown, .. } = self;
        let packets = incoming.packets.wrapping_add(outgoing.packets);
        let bytes = incoming.bytes.wrapping_add(outgoing.bytes);
        Sum {
            packets: packets.wrapping_add(unknown.packets),
            bytes: bytes.wrapping_add(unknown.bytes),
        }
    }
}

/// Totals since the start, or since they were made.
#[derive(Clone, Debug)]
pub struct Totals {
    all: Sum,
    interfaces: Vec<Interface>,
    protocols: Box<[Sum; 256]>,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            all: Sum::default(),
            interfaces: Vec::new(),
            protocols: Box::new([Sum::default(); 256]),
        }
    }
}

impl Totals {
    /// Counts a frame, decoded as far as it could be: by the protocol of its innermost datagram.
    #[inline]
    pub fn count(&mut self, packet: &Packet, sight: &Sight) {
        let len = sight.wire_len;
        self.all.add(len);
        let datagram = packet.datagram.as_ref();
        if let Some(datagram) = datagram
            && let Some(sum) = self.protocols.get_mut(usize::from(datagram.tuple.proto))
        {
            sum.add(len);
        }
        let Some(interface) = self.interface_mut(sight.iface) else {
            return;
        };
        interface.largest = interface.largest.max(len);
        match sight.direction {
            Direction::In => interface.incoming.add(len),
            Direction::Out => interface.outgoing.add(len),
            Direction::Unknown => interface.unknown.add(len),
        }
        if packet.vlan != 0 {
            interface.vlan.add(len);
        }
        let Some(datagram) = datagram else {
            interface.not_ip.add(len);
            return;
        };
        if datagram.tuple.version == 4 {
            interface.ipv4.add(len);
        } else {
            interface.ipv6.add(len);
        }
        if datagram.fragment != Fragment::Whole {
            interface.fragments.add(len);
        }
        match datagram.tuple.proto {
            1 | 58 => interface.icmp.add(len),
            2 => interface.igmp.add(len),
            6 => interface.tcp.add(len),
            17 | 136 => interface.udp.add(len),
            _ => {}
        }
        match packet.tunnel {
            Tunnel::Mpls => interface.mpls.add(len),
            Tunnel::PppoE => interface.pppoe.add(len),
            _ => {}
        }
    }

    /// Of all interfaces.
    #[must_use]
    pub const fn all(&self) -> Sum {
        self.all
    }

    /// What an interface slot saw; `None` if nothing.
    #[must_use]
    pub fn interface(&self, slot: u16) -> Option<&Interface> {
        self.interfaces.get(usize::from(slot))
    }

    /// Protocol number and sum of each IP protocol that was seen.
    pub fn protocols(&self) -> impl Iterator<Item = (u8, Sum)> {
        (0..=u8::MAX).zip(self.protocols.iter().copied()).filter(|(_, sum)| sum.packets != 0)
    }

    /// Forgets an interface whose slot is given to another one.
    pub fn forget(&mut self, slot: u16) {
        if let Some(interface) = self.interfaces.get_mut(usize::from(slot)) {
            *interface = Interface::default();
        }
    }

    fn interface_mut(&mut self, slot: u16) -> Option<&mut Interface> {
        let slot = usize::from(slot);
        if slot >= self.interfaces.len() {
            self.grow(slot)?;
        }
        self.interfaces.get_mut(slot)
    }

    #[cold]
    fn grow(&mut self, slot: usize) -> Option<()> {
        if slot >= IFACES_MAX {
            return None;
        }
        self.interfaces.resize_with(slot.saturating_add(1), Interface::default);
        Some(())
    }
}
