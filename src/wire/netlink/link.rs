//! Interfaces (linux/if_link.h).

use std::net::IpAddr;

use super::{Attributes, Error, FAMILY_INET, FAMILY_INET6, ip_of, split, text, u16_of, u32_of};

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
    /// What is particular to a bond, a VXLAN or another kind.
    pub info: Info,
    /// IFLA_INFO_DATA: attributes whose meaning depends on the kind.
    pub data: &'a [u8],
    /// What a port says of its place in a bond.
    pub bond_port: Option<BondPort<'a>>,
    /// IFLA_IFALIAS.
    pub alias: Option<&'a [u8]>,
    /// IFLA_PERM_ADDRESS: the hardware address it was made with.
    pub permanent: Option<&'a [u8]>,
    /// IFLA_NEW_NETNSID, in DELLINK: it has not gone but moved to that namespace.
    pub moved_to: Option<i32>,
    /// IFLA_NEW_IFINDEX, in DELLINK: its number there.
    pub moved_as: Option<u32>,
    /// IFLA_VFINFO_LIST: read it by [`Link::functions`].
    pub functions: Option<&'a [u8]>,
    /// IFLA_STATS64.
    pub statistics: Option<LinkStatistics>,
}

/// What only some kinds have (IFLA_INFO_DATA).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Info {
    /// IFLA_BOND_MODE, 0 to 6.
    pub bond_mode: Option<u8>,
    /// IFLA_VXLAN_ID.
    pub vxlan_id: Option<u32>,
    /// IFLA_VXLAN_LINK: the interface below, which IFLA_LINK does not tell of this kind.
    pub lower: Option<u32>,
    /// The near end of a tunnel.
    pub local: Option<IpAddr>,
    /// The far end of a tunnel, or the multicast group of a VXLAN.
    pub remote: Option<IpAddr>,
}

/// A port of a bond (IFLA_INFO_SLAVE_DATA).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BondPort<'a> {
    /// IFLA_BOND_SLAVE_STATE: 0 active, 1 backup.
    pub state: u8,
    /// IFLA_BOND_SLAVE_MII_STATUS: 0 up, 1 failing, 2 down, 3 coming back.
    pub mii_status: u8,
    /// IFLA_BOND_SLAVE_LINK_FAILURE_COUNT.
    pub failures: u32,
    /// IFLA_BOND_SLAVE_PERM_HWADDR.
    pub permanent: &'a [u8],
    /// IFLA_BOND_SLAVE_QUEUE_ID.
    pub queue: u16,
    /// IFLA_BOND_SLAVE_AD_AGGREGATOR_ID, in mode 802.3ad.
    pub aggregator: Option<u16>,
    /// IFLA_BOND_SLAVE_AD_ACTOR_OPER_PORT_STATE.
    pub actor: Option<u8>,
    /// IFLA_BOND_SLAVE_AD_PARTNER_OPER_PORT_STATE.
    pub partner: Option<u16>,
}

/// A virtual function of a card (IFLA_VF_INFO).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Function {
    /// Its number.
    pub id: u32,
    /// IFLA_VF_MAC.
    pub mac: [u8; 6],
    /// IFLA_VF_VLAN: the VLAN that its frames are put into.
    pub vlan: u32,
    /// The priority in that VLAN's tag.
    pub priority: u32,
    /// IFLA_VF_TX_RATE, Mb/s.
    pub rate: u32,
    /// IFLA_VF_SPOOFCHK.
    pub checked: bool,
    /// IFLA_VF_LINK_STATE: 0 as the card, 1 always up, 2 always down.
    pub link_state: u32,
}

/// `struct rtnl_link_stats64`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names below the first eight are those of the header")]
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
    pub multicast: u64,
    pub collisions: u64,
    pub rx_length_errors: u64,
    pub rx_over_errors: u64,
    pub rx_crc_errors: u64,
    pub rx_frame_errors: u64,
    pub rx_fifo_errors: u64,
    pub rx_missed_errors: u64,
    pub tx_aborted_errors: u64,
    pub tx_carrier_errors: u64,
    pub tx_fifo_errors: u64,
    pub tx_heartbeat_errors: u64,
    pub tx_window_errors: u64,
    pub rx_compressed: u64,
    pub tx_compressed: u64,
}

/// IFF_UP: set up by the administrator.
pub const LINK_UP: u32 = 0x1;
/// IFF_BROADCAST.
pub const LINK_BROADCAST: u32 = 0x2;
/// IFF_DEBUG.
pub const LINK_DEBUG: u32 = 0x4;
/// IFF_LOOPBACK.
pub const LINK_LOOPBACK: u32 = 0x8;
/// IFF_POINTOPOINT.
pub const LINK_POINT_TO_POINT: u32 = 0x10;
/// IFF_RUNNING: has a carrier.
pub const LINK_RUNNING: u32 = 0x40;
/// IFF_NOARP.
pub const LINK_NO_ARP: u32 = 0x80;
/// IFF_PROMISC.
pub const LINK_PROMISCUOUS: u32 = 0x100;
/// IFF_ALLMULTI.
pub const LINK_ALL_MULTICAST: u32 = 0x200;
/// IFF_MASTER.
pub const LINK_MASTER: u32 = 0x400;
/// IFF_SLAVE.
pub const LINK_SLAVE: u32 = 0x800;
/// IFF_MULTICAST.
pub const LINK_MULTICAST: u32 = 0x1000;
/// IFF_LOWER_UP: has a signal.
pub const LINK_LOWER_UP: u32 = 0x1_0000;
/// IFF_DORMANT.
pub const LINK_DORMANT: u32 = 0x2_0000;

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
                22 => link.functions = Some(value),
                23 => link.statistics = LinkStatistics::parse(value),
                37 => link.parent_namespace = u32_of(value).map(u32::cast_signed),
                45 => link.moved_to = u32_of(value).map(u32::cast_signed),
                49 => link.moved_as = u32_of(value),
                54 => link.permanent = Some(value),
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

    /// Its virtual functions; none where the message has no list of them.
    pub fn functions(&self) -> impl Iterator<Item = Function> + use<'a> {
        let list = Attributes::new(self.functions.unwrap_or(&[]));
        list.filter(|(kind, _)| *kind == 1).filter_map(|(_, info)| Function::parse(info))
    }

    /// IFLA_LINKINFO: the kind and what is particular to it.
    fn read_info(&mut self, info: &'a [u8]) {
        let (mut data, mut port_kind, mut port): (&[u8], _, _) = (&[], None, None);
        for (kind, value) in Attributes::new(info) {
            match kind {
                1 => self.kind = Some(text(value)),
                2 => data = value,
                4 => port_kind = Some(text(value)),
                5 => port = Some(value),
                _ => {}
            }
        }
        if port_kind == Some(b"bond") {
            self.bond_port = port.map(BondPort::parse);
        }
        self.data = data;
        for (attribute, value) in Attributes::new(data) {
            match (self.kind.unwrap_or(b""), attribute) {
                (b"vlan", 1) => self.vlan_id = u16_of(value),
                // Network byte order.
                (b"vlan", 5) => {
                    self.vlan_protocol = value.first_chunk().map(|b| u16::from_be_bytes(*b));
                }
                (b"bond", 1) => self.info.bond_mode = value.first().copied(),
                (b"vxlan", 1) => self.info.vxlan_id = u32_of(value),
                (b"vxlan", 3) => self.info.lower = u32_of(value),
                (b"vxlan", 2) | (b"gre" | b"gretap", 7) | (b"ipip" | b"sit", 3) => {
                    self.info.remote = ip_of(FAMILY_INET, value);
                }
                (b"vxlan", 4) | (b"gre" | b"gretap", 6) | (b"ipip" | b"sit", 2) => {
                    self.info.local = ip_of(FAMILY_INET, value);
                }
                (b"vxlan", 16) | (b"ip6gre" | b"ip6gretap", 7) | (b"ip6tnl", 3) => {
                    self.info.remote = ip_of(FAMILY_INET6, value);
                }
                (b"vxlan", 17) | (b"ip6gre" | b"ip6gretap", 6) | (b"ip6tnl", 2) => {
                    self.info.local = ip_of(FAMILY_INET6, value);
                }
                _ => {}
            }
        }
        // Zeroes stand for "any".
        let set = |ip: &IpAddr| !ip.is_unspecified();
        self.info.local = self.info.local.filter(set);
        self.info.remote = self.info.remote.filter(set);
    }
}

impl<'a> BondPort<'a> {
    fn parse(data: &'a [u8]) -> Self {
        let mut port = Self::default();
        for (kind, value) in Attributes::new(data) {
            match kind {
                1 => port.state = value.first().copied().unwrap_or(0),
                2 => port.mii_status = value.first().copied().unwrap_or(0),
                3 => port.failures = u32_of(value).unwrap_or(0),
                4 => port.permanent = value,
                5 => port.queue = u16_of(value).unwrap_or(0),
                6 => port.aggregator = u16_of(value),
                7 => port.actor = value.first().copied(),
                8 => port.partner = u16_of(value),
                _ => {}
            }
        }
        port
    }
}

impl Function {
    fn parse(info: &[u8]) -> Option<Self> {
        let mut function = Self::default();
        let mut found = false;
        for (kind, value) in Attributes::new(info) {
            // Each begins with the number of the function.
            let (id, rest) = value.split_first_chunk::<4>()?;
            match kind {
                1 => {
                    found = true;
                    function.id = u32::from_ne_bytes(*id);
                    function.mac = *rest.first_chunk()?;
                }
                2 => {
                    function.vlan = u32_of(rest)?;
                    function.priority = u32_of(rest.get(4..)?)?;
                }
                3 => function.rate = u32_of(rest)?,
                4 => function.checked = u32_of(rest)? == 1,
                5 => function.link_state = u32_of(rest)?,
                _ => {}
            }
        }
        found.then_some(function)
    }
}

impl LinkStatistics {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.first_chunk::<184>()?.as_chunks::<8>();
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
            multicast: words.next()?,
            collisions: words.next()?,
            rx_length_errors: words.next()?,
            rx_over_errors: words.next()?,
            rx_crc_errors: words.next()?,
            rx_frame_errors: words.next()?,
            rx_fifo_errors: words.next()?,
            rx_missed_errors: words.next()?,
            tx_aborted_errors: words.next()?,
            tx_carrier_errors: words.next()?,
            tx_fifo_errors: words.next()?,
            tx_heartbeat_errors: words.next()?,
            tx_window_errors: words.next()?,
            rx_compressed: words.next()?,
            tx_compressed: words.next()?,
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
        assert_eq!(
            (statistics.rx_packets, statistics.tx_dropped, statistics.tx_compressed),
            (1, 8, 23)
        );
        assert!(link.is_complete());
    }

    fn nested(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        message(0, &[], attributes)[HEADER_LEN..].to_vec()
    }

    fn link_of(bytes: &[u8]) -> Link<'_> {
        match Message::decode(&first(bytes)) {
            Ok(Message::NewLink(link)) => link,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bond_and_its_ports_are_read() {
        let info = nested(&[(1, b"bond\0"), (2, &nested(&[(1, &[4])]))]);
        let bytes = message(NEW_LINK, &fixed_link(3, LINK_UP | LINK_MASTER, 1), &[(18, &info)]);
        assert_eq!(link_of(&bytes).info.bond_mode, Some(4));

        let port = nested(&[
            (1, &[1]),
            (2, &[2]),
            (3, &7_u32.to_ne_bytes()),
            (4, &[2, 0, 0, 0, 0, 9]),
            (5, &3_u16.to_ne_bytes()),
            (6, &1_u16.to_ne_bytes()),
            (7, &[61]),
            (8, &63_u16.to_ne_bytes()),
        ]);
        let info = nested(&[(4, b"bond\0"), (5, &port)]);
        let bytes = message(NEW_LINK, &fixed_link(4, LINK_SLAVE, 1), &[(18, &info)]);
        let expected = BondPort {
            state: 1,
            mii_status: 2,
            failures: 7,
            permanent: &[2, 0, 0, 0, 0, 9],
            queue: 3,
            aggregator: Some(1),
            actor: Some(61),
            partner: Some(63),
        };
        assert_eq!(link_of(&bytes).bond_port, Some(expected));
    }

    #[test]
    fn tunnels_have_ends_unless_they_lead_anywhere() {
        let gre = nested(&[(6, &[10, 0, 0, 1]), (7, &[0; 4])]);
        let link = 7_u32.to_ne_bytes();
        let vxlan = nested(&[
            (1, &42_u32.to_ne_bytes()),
            (3, &link),
            (4, &[10, 0, 0, 1]),
            (16, &[0xfd; 16]),
        ]);
        for (kind, data, vxlan_id, remote) in [
            (&b"gre\0"[..], gre, None, None),
            (b"vxlan\0", vxlan, Some(42), Some(std::net::Ipv6Addr::from([0xfd; 16]).into())),
        ] {
            let info = nested(&[(1, kind), (2, &data)]);
            let bytes = message(NEW_LINK, &fixed_link(3, 0, 778), &[(18, &info)]);
            let local = Some("10.0.0.1".parse().unwrap());
            let lower = vxlan_id.map(|_| 7);
            let expected = Info { bond_mode: None, vxlan_id, lower, local, remote };
            assert_eq!(link_of(&bytes).info, expected);
        }
    }

    #[test]
    fn virtual_functions_of_a_card_are_listed() {
        let mac = [&5_u32.to_ne_bytes()[..], &[2, 0, 0, 0, 0, 5], &[0; 26]].concat();
        let words = |w: [u32; 3]| w.map(u32::to_ne_bytes).concat();
        let one = nested(&[
            (1, &mac),
            (2, &words([5, 100, 3])),
            (3, &words([5, 1_000, 0])[..8]),
            (4, &words([5, 1, 0])[..8]),
        ]);
        let broken = nested(&[(1, &[0; 6])]);
        let list = nested(&[(1, &one), (1, &broken)]);
        let bytes = message(NEW_LINK, &fixed_link(3, 0, 1), &[(22, &list)]);
        let expected = Function {
            id: 5,
            mac: [2, 0, 0, 0, 0, 5],
            vlan: 100,
            priority: 3,
            rate: 1_000,
            checked: true,
            link_state: 0,
        };
        assert_eq!(link_of(&bytes).functions().collect::<Vec<_>>(), [expected]);
    }
}
