//! Neighbours and forwarding databases (linux/neighbour.h).

use std::net::IpAddr;

use super::{Attributes, Error, FAMILY_INET, FAMILY_INET6, ip_of, split, u16_of, u32_of};

/// A neighbour on an interface (RTM_NEWNEIGH).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Neighbour {
    /// AF_INET, AF_INET6, or AF_BRIDGE for the forwarding database of a bridge.
    pub family: u8,
    /// The interface.
    pub ifindex: u32,
    /// NUD_ state.
    pub state: u16,
    /// NTF_ flags.
    pub flags: u8,
    /// NDA_DST; in forwarding databases the far end of a tunnel.
    pub ip: Option<IpAddr>,
    /// NDA_LLADDR, where it has six bytes.
    pub mac: Option<[u8; 6]>,
    /// NDA_VLAN, in forwarding databases.
    pub vlan_id: Option<u16>,
    /// NDA_VNI, in forwarding databases of tunnels.
    pub vni: Option<u32>,
    /// NDA_IFINDEX: the interface that leads to the far end.
    pub via: Option<u32>,
    /// NDA_MASTER: the bridge, in forwarding databases.
    pub master: Option<u32>,
}

impl Neighbour {
    /// NUD_INCOMPLETE: being asked for.
    pub const INCOMPLETE: u16 = 0x01;
    /// NUD_REACHABLE: confirmed a short while ago.
    pub const REACHABLE: u16 = 0x02;
    /// NUD_STALE: valid once.
    pub const STALE: u16 = 0x04;
    /// NUD_DELAY: about to be asked again.
    pub const DELAY: u16 = 0x08;
    /// NUD_PROBE: being asked again.
    pub const PROBE: u16 = 0x10;
    /// NUD_FAILED: didn't answer.
    pub const FAILED: u16 = 0x20;
    /// NUD_NOARP: multicast and the like; nobody is behind it.
    pub const NO_ARP: u16 = 0x40;
    /// NUD_PERMANENT: set by the administrator.
    pub const PERMANENT: u16 = 0x80;

    /// AF_BRIDGE: an entry of a forwarding database.
    pub const BRIDGE: u8 = 7;

    /// NTF_ROUTER: it announced itself as a router (IPv6).
    #[must_use]
    pub fn is_router(&self) -> bool {
        self.flags & 0x80 != 0
    }

    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        // struct ndmsg: family, padding, index, state, flags, type.
        let (fixed, rest) = split::<12>(body)?;
        let [family, _, _, _, i0, i1, i2, i3, s0, s1, flags, _] = *fixed;
        let mut neighbour = Self {
            family,
            ifindex: u32::from_ne_bytes([i0, i1, i2, i3]),
            state: u16::from_ne_bytes([s0, s1]),
            flags,
            ..Self::default()
        };
        for (kind, value) in Attributes::new(rest) {
            match kind {
                // In forwarding databases the length tells the family.
                1 if family == Self::BRIDGE => {
                    neighbour.ip = ip_of(FAMILY_INET, value).or_else(|| ip_of(FAMILY_INET6, value));
                }
                1 => neighbour.ip = ip_of(family, value),
                2 => neighbour.mac = value.try_into().ok(),
                5 => neighbour.vlan_id = u16_of(value),
                7 => neighbour.vni = u32_of(value),
                8 => neighbour.via = u32_of(value),
                9 => neighbour.master = u32_of(value),
                _ => {}
            }
        }
        Ok(neighbour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::netlink::testing::{first, message};
    use crate::wire::netlink::{Message, NEW_NEIGHBOUR};
    use std::net::Ipv6Addr;

    #[test]
    fn a_neighbour_has_state_address_and_router_flag() {
        let mut fixed = [0; 12];
        fixed[0] = 10;
        fixed[4..8].copy_from_slice(&5_u32.to_ne_bytes());
        fixed[8..10].copy_from_slice(&Neighbour::STALE.to_ne_bytes());
        fixed[10] = 0x80;
        let ip: Ipv6Addr = "fe80::1".parse().unwrap();
        let bytes = message(NEW_NEIGHBOUR, &fixed, &[(1, &ip.octets()), (2, &[1, 2, 3, 4, 5, 6])]);
        let Ok(Message::NewNeighbour(neighbour)) = Message::decode(&first(&bytes)) else {
            panic!("no neighbour");
        };
        assert_eq!((neighbour.ip, neighbour.ifindex), (Some(ip.into()), 5));
        assert_eq!(neighbour.mac, Some([1, 2, 3, 4, 5, 6]));
        assert!(neighbour.is_router() && neighbour.state == Neighbour::STALE);
    }
}
