//! Interfaces (linux/if_link.h).

use super::{Attributes, Error, split, text, u32_of};

/// An interface (RTM_NEWLINK). What is `None` wasn't in the message, which is not the same as
/// having gone: see [`Link::is_complete`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Link<'a> {
    /// 0, or the family whose view this is: messages of family 7 (AF_BRIDGE) are about bridge
    /// ports, and their DELLINK only says that a port left its bridge.
    pub family: u8,
    /// ARPHRD_ type of its link layer.
    pub hardware: u16,
    /// Its number in its network namespace.
    pub ifindex: u32,
    /// IFF_ flags.
    pub flags: u32,
    /// IFLA_IFNAME, without the final zero.
    pub name: Option<&'a [u8]>,
    /// IFLA_ADDRESS.
    pub address: Option<&'a [u8]>,
    /// IFLA_MTU.
    pub mtu: Option<u32>,
    /// IFLA_OPERSTATE, IF_OPER_.
    pub operstate: Option<u8>,
    /// IFLA_MASTER: the bridge or bond it belongs to.
    pub master: Option<u32>,
    /// IFLA_LINK: the interface below it, or the other end of a veth pair.
    pub parent: Option<u32>,
    /// IFLA_LINK_NETNSID: the parent's number counts in another namespace.
    pub parent_namespace: Option<i32>,
    /// IFLA_INFO_KIND, such as `bridge`.
    pub kind: Option<&'a [u8]>,
    /// IFLA_VLAN_ID of a VLAN interface.
    pub vlan_id: Option<u16>,
    /// IFLA_VLAN_PROTOCOL of a VLAN interface: 0x8100 or 0x88A8.
    pub vlan_protocol: Option<u16>,
    /// IFLA_IFALIAS.
    pub alias: Option<&'a [u8]>,
    /// IFLA_STATS64.
    pub statistics: Option<LinkStatistics>,
}

/// Part of `struct rtnl_link_stats64`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LinkStatistics {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Transmit errors.
    pub tx_errors: u64,
    /// Received packets dropped.
    pub rx_dropped: u64,
    /// Packets dropped before they were sent.
    pub tx_dropped: u64,
}

/// IFF_UP: set up by the administrator.
pub const LINK_UP: u32 = 0x1;
/// IFF_BROADCAST.
pub const LINK_BROADCAST: u32 = 0x2;
/// IFF_LOOPBACK.
pub const LINK_LOOPBACK: u32 = 0x8;
/// IFF_POINTOPOINT.
pub const LINK_POINT_TO_POINT: u32 = 0x10;
/// IFF_RUNNING: has a carrier.
pub const LINK_RUNNING: u32 = 0x40;
/// IFF_SLAVE.
pub const LINK_SLAVE: u32 = 0x800;

impl<'a> Link<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Error> {
        // struct ifinfomsg: family, padding, type, index, flags, change mask.
        let (fixed, rest) = split::<16>(body)?;
        let [family, _, h0, h1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *fixed;
        let mut link = Self {
            family,
            hardware: u16::from_ne_bytes([h0, h1]),
            ifindex: u32::from_ne_bytes([i0, i1, i2, i3]),
            flags: u32::from_ne_bytes([f0, f1, f2, f3]),
            ..Self::default()
        };
        for (kind, value) in Attributes::new(rest) {
            match kind {
                1 => link.address = Some(value),
                3 => link.name = Some(text(value)),
                4 => link.mtu = u32_of(value),
                5 => link.parent = u32_of(value),
                10 => link.master = u32_of(value),
                16 => link.operstate = value.first().copied(),
                18 => link.read_info(value),
                20 => link.alias = Some(text(value)),
                23 => link.statistics = LinkStatistics::parse(value),
                37 => link.parent_namespace = u32_of(value).map(u32::cast_signed),
                _ => {}
            }
        }
        Ok(link)
    }

    /// Whether absence means absence. Wireless drivers send events that are links with hardly an
    /// attribute; a whole description always has an MTU.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.mtu.is_some()
    }

    /// IFLA_LINKINFO: the kind and what is particular to it.
    fn read_info(&mut self, info: &'a [u8]) {
        let mut data = None;
        for (kind, value) in Attributes::new(info) {
            match kind {
                1 => self.kind = Some(text(value)),
                2 => data = Some(value),
                _ => {}
            }
        }
        if self.kind == Some(b"vlan") {
            for (kind, value) in Attributes::new(data.unwrap_or(&[])) {
                match kind {
                    1 => self.vlan_id = value.first_chunk().map(|b| u16::from_ne_bytes(*b)),
                    // Network byte order.
                    5 => self.vlan_protocol = value.first_chunk().map(|b| u16::from_be_bytes(*b)),
                    _ => {}
                }
            }
        }
    }
}

impl LinkStatistics {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.first_chunk::<64>()?.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_ne_bytes(*word));
        Some(Self {
            rx_packets: words.next()?,
            tx_packets: words.next()?,
            rx_bytes: words.next()?,
            tx_bytes: words.next()?,
            rx_errors: words.next()?,
            tx_errors: words.next()?,
            rx_dropped: words.next()?,
            tx_dropped: words.next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::netlink::testing::{first, message};
    use crate::wire::netlink::{HEADER_LEN, Message, NEW_LINK};

    fn fixed_link(ifindex: u32, flags: u32, hardware: u16) -> [u8; 16] {
        let mut fixed = [0; 16];
        fixed[2..4].copy_from_slice(&hardware.to_ne_bytes());
        fixed[4..8].copy_from_slice(&ifindex.to_ne_bytes());
        fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
        fixed
    }

    #[test]
    fn a_vlan_link_is_read_with_its_nested_attributes() {
        let data = message(0, &[], &[(1, &42_u16.to_ne_bytes()), (5, &[0x88, 0xa8])]);
        let info = message(0, &[], &[(1, b"vlan\0"), (2 | 0x8000, &data[HEADER_LEN..])]);
        let statistics: Vec<u8> = (1..=24_u64).flat_map(u64::to_ne_bytes).collect();
        let bytes = message(
            NEW_LINK,
            &fixed_link(7, LINK_UP | LINK_RUNNING, 1),
            &[
                (3, b"eth0.42\0"),
                (1, &[2, 0, 0, 0, 0, 1]),
                (4, &1_500_u32.to_ne_bytes()),
                (5, &2_u32.to_ne_bytes()),
                (16, &[6]),
                (18, &info[HEADER_LEN..]),
                (20, b"uplink\0"),
                (23, &statistics),
                (0x3ff0, b"from the future"),
            ],
        );
        let Ok(Message::NewLink(link)) = Message::decode(&first(&bytes)) else {
            panic!("no link");
        };
        assert_eq!((link.ifindex, link.hardware, link.mtu), (7, 1, Some(1_500)));
        assert_eq!(link.name, Some(&b"eth0.42"[..]));
        assert_eq!((link.parent, link.master), (Some(2), None));
        assert_eq!((link.vlan_id, link.vlan_protocol), (Some(42), Some(0x88a8)));
        assert_eq!((link.kind, link.alias), (Some(&b"vlan"[..]), Some(&b"uplink"[..])));
        assert_eq!(link.address, Some(&[2, 0, 0, 0, 0, 1][..]));
        let statistics = link.statistics.unwrap();
        assert_eq!((statistics.rx_packets, statistics.tx_dropped), (1, 8));
        assert!(link.is_complete());
    }
}
