//! What tells flows of a capture apart, and the identities made from it, which other agents
//! compute too: the same conversation has the same tracking id wherever it is seen.
//!
//! Identities are XXH64, unkeyed and therefore never trusted to find a flow: flows are found by
//! the whole [`Key`] under a hash with a random key.

use std::hash::Hasher as _;

use twox_hash::XxHash64;

use super::flow::IcmpKind;
use crate::wire::layers::{Icmp, Name, Piece, Protocol};

/// Everything that tells a flow apart, the same for both directions.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Key {
    /// The table, by its slot.
    pub table: u16,
    /// The flow of the piece around it: slot and generation, zeros if there is none.
    pub parent: (u32, u32),
    version: u8,
    kind: Kind,
    macs: Option<[[u8; 6]; 2]>,
    addresses: [[u8; 16]; 2],
    ports: [u16; 2],
    /// The network that VXLAN or Geneve carries.
    id: u32,
    /// What an ICMP message is about.
    icmp: Option<u32>,
}

/// Whose the two ports of a key are.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
enum Kind {
    #[default]
    None,
    Sctp,
    Tcp,
    Udp,
    /// The outside of a tunnel, whose source port means nothing.
    Virtual,
}

/// The identities of a flow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// With hardware addresses, unless only IP matters.
    pub tracking: u64,
    /// Without hardware addresses.
    pub l3_tracking: u64,
    /// What the name of this one flow is made from.
    table_key: u64,
}

/// Endpoint types, as they are mixed into the hash.
const MAC: u64 = 3;

impl Key {
    /// The key of a piece. With `layer3` only IP tells flows apart, where there is any.
    #[must_use]
    pub fn of(table: u16, parent: (u32, u32), piece: &Piece, layer3: bool) -> Self {
        let swap = is_swapped(piece, layer3);
        let mut key = Self { table, parent, ..Self::default() };
        if let Some(network) = piece.network {
            key.version = network.version;
            key.addresses = ordered(swap, network.src, network.dst);
        }
        if let Some(transport) = piece.transport {
            key.ports = ordered(swap, transport.sport, transport.dport);
            key.kind = match transport.protocol {
                Protocol::Sctp => Kind::Sctp,
                Protocol::Tcp => Kind::Tcp,
                Protocol::Udp => Kind::Udp,
            };
            if let Some(id) = virtual_network(piece) {
                (key.kind, key.ports, key.id) = (Kind::Virtual, [transport.dport, 0], id);
            }
        }
        key.icmp = piece.icmp.map(icmp_value);
        if let Some(link) = piece.link
            && (!layer3 || piece.network.is_none())
        {
            key.macs = Some(ordered(swap, link.src, link.dst));
        }
        key
    }

    /// Its identities. `parent` is the name of the flow around it.
    #[must_use]
    pub fn identity(&self, parent: Option<u64>) -> Identity {
        let mut hash = XxHash64::with_seed(0);
        let [low, high] = &self.addresses;
        match self.version {
            4 => {
                for address in [low, high] {
                    hash.write(address.first_chunk::<4>().unwrap_or(&[0; 4]));
                }
                hash.write(&1_u64.to_be_bytes());
            }
            6 => {
                hash.write(low);
                hash.write(high);
                hash.write(&2_u64.to_be_bytes());
            }
            _ => {}
        }
        let [low, high] = self.ports.map(u16::to_be_bytes);
        let ports = |hash: &mut XxHash64, kind: u64| {
            hash.write(&low);
            hash.write(&high);
            hash.write(&kind.to_be_bytes());
        };
        match self.kind {
            Kind::None => {}
            Kind::Tcp => ports(&mut hash, 4),
            Kind::Udp => ports(&mut hash, 5),
            Kind::Sctp => ports(&mut hash, 6),
            Kind::Virtual => {
                hash.write(&self.id.to_be_bytes());
                hash.write(&low);
                hash.write(&0_u64.to_be_bytes());
            }
        }
        if let Some(icmp) = self.icmp {
            hash.write(&icmp.to_be_bytes());
            hash.write(&0_u64.to_be_bytes());
        }
        let l3_tracking = hash.finish();
        if let Some([low, high]) = &self.macs {
            hash.write(low);
            hash.write(high);
            hash.write(&MAC.to_be_bytes());
        }
        let tracking = hash.finish();
        if let Some(parent) = parent {
            hash.write(super::flow::hex(parent).as_bytes());
        }
        Identity { tracking, l3_tracking, table_key: hash.finish() }
    }
}

impl Identity {
    /// The name of a flow that began at `start`, in milliseconds since 1970, on a node.
    #[must_use]
    pub fn uuid(&self, start: i64, node_tid: &str) -> u64 {
        let mut hash = XxHash64::with_seed(self.table_key);
        hash.write(&start.to_be_bytes());
        hash.write(node_tid.as_bytes());
        hash.finish()
    }
}

/// What the type of a message is about (RFC 792, 950, 1256; RFC 4443, 4861).
#[must_use]
pub const fn icmp_kind(v6: bool, kind: u8) -> IcmpKind {
    match (v6, kind) {
        (false, 0 | 8) | (true, 128 | 129) => IcmpKind::Echo,
        (false, 3) | (true, 1) => IcmpKind::DestinationUnreachable,
        (false, 4) => IcmpKind::SourceQuench,
        (false, 5) | (true, 137) => IcmpKind::Redirect,
        (false, 9 | 10) | (true, 133 | 134) => IcmpKind::Router,
        (false, 11) | (true, 3) => IcmpKind::TimeExceeded,
        (false, 12) | (true, 4) => IcmpKind::ParameterProblem,
        (false, 13 | 14) => IcmpKind::Timestamp,
        (false, 15 | 16) => IcmpKind::Info,
        (false, 17 | 18) => IcmpKind::AddressMask,
        (true, 2) => IcmpKind::PacketTooBig,
        (true, 135 | 136) => IcmpKind::Neighbor,
        _ => IcmpKind::Unknown,
    }
}

/// Whether source and destination change places in the hash.
fn is_swapped(piece: &Piece, layer3: bool) -> bool {
    let by_network = || {
        piece.network.is_some_and(|network| {
            let ports = piece.transport.map_or((0, 0), |t| (t.sport, t.dport));
            (network.src, ports.0) > (network.dst, ports.1)
        })
    };
    match piece.link {
        Some(link) if !layer3 || piece.network.is_none() => {
            link.src > link.dst || link.src == link.dst && by_network()
        }
        _ => by_network(),
    }
}

fn ordered<T>(swap: bool, src: T, dst: T) -> [T; 2] {
    if swap { [dst, src] } else { [src, dst] }
}

/// The network of a VXLAN or Geneve header directly in UDP.
fn virtual_network(piece: &Piece) -> Option<u32> {
    piece
        .tunnel
        .filter(|tunnel| matches!(tunnel.name, Name::Vxlan | Name::Geneve))
        .map(|tunnel| tunnel.id)
}

fn icmp_value(icmp: Icmp) -> u32 {
    let kind = icmp_kind(icmp.v6, icmp.kind);
    // An echo of ICMPv6 goes by its identifier alone.
    let code = if icmp.v6 && matches!(kind, IcmpKind::Echo) { 0 } else { icmp.code };
    (kind as u32) << 24 | u32::from(code) << 16 | u32::from(icmp.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing::{self, A, B};
    use crate::wire::layers::Layers;
    use crate::wire::link::LinkType;

    fn identity(frame: &[u8], layer3: bool) -> Identity {
        let mut layers = Layers::default();
        layers.decode(LinkType::ETHERNET, None, frame.len() as u32, frame);
        Key::of(0, (0, 0), &layers.pieces()[0], layer3).identity(None)
    }

    fn echo(src: [u8; 6], kind: u8) -> Vec<u8> {
        let dst = [0x2e, 0xb9, 0x2d, 0x76, 0x24, 0x07];
        let message = [kind, 0, 0, 0, 0x5c, 0x34, 0, 1];
        let (from, to) = ([192, 168, 0, 2], [192, 168, 0, 1]);
        if kind == 8 {
            testing::ipv4(src, dst, from, to, 1, &message)
        } else {
            testing::ipv4(dst, src, to, from, 1, &message)
        }
    }

    #[test]
    fn echoes_have_the_identities_that_other_agents_give_them() {
        let mac = [0xf2, 0x45, 0x25, 0x5b, 0x3a, 0xbc];
        for kind in [8, 0] {
            let found = identity(&echo(mac, kind), true);
            assert_eq!(found.tracking, 0x9e42_a869_14a0_43b8);
            assert_eq!(found.l3_tracking, 0x9e42_a869_14a0_43b8);
            let found = identity(&echo(mac, kind), false);
            assert_eq!(found.tracking, 0xa25d_427a_9f9d_cdb8);
            assert_eq!(found.l3_tracking, 0x9e42_a869_14a0_43b8);
            let other = [0xf2, 0x45, 0x25, 0x5b, 0x3a, 0xac];
            assert_eq!(identity(&echo(other, kind), false).tracking, 0x6952_cad8_cd38_c63c);
        }
    }

    #[test]
    fn conversations_have_the_identities_that_other_agents_give_them() {
        let tcp = |back| testing::tcp(back, 40_000, 80, 2, 0, 0, b"");
        let udp = |back| testing::udp(back, 5_353, 53, b"");
        let ping = |back: bool| {
            let message = [if back { 0 } else { 8 }, 0, 0, 0, 0, 7, 0, 1];
            if back {
                testing::ipv4(B.0, A.0, B.1, A.1, 1, &message)
            } else {
                testing::ipv4(A.0, B.0, A.1, B.1, 1, &message)
            }
        };
        for back in [false, true] {
            for (frame, tracking, l3) in [
                (tcp(back), 0xf344_cba9_6f90_55f7, 0xdd5c_9209_a199_48af),
                (udp(back), 0x8479_b62a_25c1_6528, 0xfacd_9423_130d_813e),
                (ping(back), 0x134b_eeac_0916_2e2f, 0x1a60_3a8a_5cd2_73b4_u64),
            ] {
                let found = identity(&frame, false);
                assert_eq!((found.tracking, found.l3_tracking), (tracking, l3), "{frame:x?}");
                let found = identity(&frame, true);
                assert_eq!((found.tracking, found.l3_tracking), (l3, l3));
            }
        }
    }

    #[test]
    fn the_name_of_a_flow_is_that_of_its_begin_and_node() {
        let found = identity(&testing::tcp(false, 40_000, 80, 2, 0, 0, b""), false);
        assert_eq!(found.uuid(1_700_000_000_000, "node-tid-1"), 0x84ee_8c9c_f3b1_8ce6);
        assert_ne!(found.uuid(1_700_000_000_001, "node-tid-1"), 0x84ee_8c9c_f3b1_8ce6);
    }

    #[test]
    fn the_source_port_of_a_tunnel_tells_nothing_apart() {
        let vxlan = |sport, vni| {
            let inner = testing::udp(false, 1, 2, b"x");
            let header = [8, 0, 0, 0, 0, 0, vni, 0];
            testing::udp(false, sport, 4789, &[&header[..], &inner].concat())
        };
        assert_eq!(identity(&vxlan(1_000, 7), false), identity(&vxlan(2_000, 7), false));
        assert_ne!(identity(&vxlan(1_000, 7), false), identity(&vxlan(1_000, 8), false));
    }
}
