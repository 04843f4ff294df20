//! One interface: what it is, how it is captured, and the addresses it has.

use std::net::IpAddr;

use crate::time::Tick;
use crate::wire::link::LinkType;
use crate::wire::netlink::{self, LinkStatistics};

/// What an interface is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Kind {
    /// Several ports used as one.
    Bond,
    /// A switch in software.
    Bridge,
    /// A port of a hardware switch that shows as an interface of its own.
    DsaPort,
    /// Leads nowhere.
    Dummy,
    /// Ethernet, as far as known.
    #[default]
    Ethernet,
    /// Where traffic passes once more to be shaped.
    Ifb,
    /// This machine itself.
    Loopback,
    /// A second interface with its own MAC address on a parent.
    Macvlan,
    /// Anything else.
    Other,
    /// PPP, PPPoE.
    Ppp,
    /// User space is at the other end: VPN, virtual machine.
    Tun,
    /// Packets within packets: GRE, SIT, IPIP, VTI.
    Tunnel,
    /// One end of a pair.
    Veth,
    /// One VLAN of a parent.
    Vlan,
    /// A routing table that shows as an interface.
    Vrf,
    /// Ethernet within UDP.
    Vxlan,
    /// Told from Ethernet by its name: the kernel doesn't say.
    Wireless,
    /// WireGuard.
    Wireguard,
}

/// How frames of an interface are captured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CaptureAs {
    /// How to read a frame.
    pub link: LinkType,
    /// The link header is cut off by the kernel, because nobody could read it.
    pub cooked: bool,
}

impl CaptureAs {
    /// How to capture interfaces of an ARPHRD_ type (linux/if_arp.h).
    #[must_use]
    pub const fn of(hardware: u16) -> Self {
        let (link, cooked) = match hardware {
            1 | 772 => (LinkType::ETHERNET, false),
            519 | 768 | 769 | 776 | 778 | 65534 => (LinkType::RAW, false),
            801 => (LinkType::IEEE802_11, false),
            803 => (LinkType::RADIOTAP, false),
            // PPP (512) and all others: what remains without the header is IP.
            _ => (LinkType::RAW, true),
        };
        Self { link, cooked }
    }
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Address {
    /// The machine's own address.
    pub ip: IpAddr,
    /// Length of the connected prefix.
    pub prefix: u8,
    /// The other end of a point-to-point link; the prefix is around it then.
    pub peer: Option<IpAddr>,
    /// The broadcast address.
    pub broadcast: Option<IpAddr>,
    pub(super) stale: bool,
}

/// One interface.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// Its name, or the last it had.
    pub name: Box<str>,
    /// Its number, or the last it had.
    pub ifindex: u32,
    /// It exists now.
    pub present: bool,
    /// Counts up when the slot is given to another interface.
    pub generation: u32,
    /// What it is.
    pub kind: Kind,
    /// ARPHRD_ type of its link layer.
    pub hardware: u16,
    /// Its hardware address, where that has six bytes.
    pub mac: Option<[u8; 6]>,
    /// The largest packet.
    pub mtu: u32,
    /// Set up by the administrator.
    pub up: bool,
    /// Has a carrier.
    pub running: bool,
    /// The number of the bridge or bond that it is a port of.
    pub master: Option<u32>,
    /// The number of the interface below it, where that is in the same namespace.
    pub parent: Option<u32>,
    /// The VLAN id of a VLAN interface.
    pub vlan_id: Option<u16>,
    /// The administrator's description.
    pub alias: Box<str>,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// A default route leads through it.
    pub default_route: bool,
    /// The kernel's counters as of the last message about it.
    pub statistics: LinkStatistics,
    pub(super) stale: bool,
    pub(super) gone_at: Tick,
}

impl Link {
    /// How to capture it (the link types that libpcap uses for the same hardware).
    #[must_use]
    pub fn capture_as(&self) -> CaptureAs {
        CaptureAs::of(self.hardware)
    }

    /// Whether it is the loopback interface, whose packets pass twice.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.kind == Kind::Loopback
    }

    /// Whether it has an address by which others than its neighbours can reach it.
    #[must_use]
    pub fn has_routable_address(&self) -> bool {
        self.addresses.iter().any(|address| !is_link_local(address.ip))
    }
}

impl Link {
    /// Takes over what the message says; what it leaves out stays, unless the message is whole.
    pub(super) fn update(&mut self, message: &netlink::Link<'_>) {
        self.hardware = message.hardware;
        self.up = message.flags & netlink::LINK_UP != 0;
        self.running = message.flags & netlink::LINK_RUNNING != 0;
        if message.is_complete() {
            self.master = message.master;
            // A parent in another namespace has a number that means nothing here.
            self.parent = message
                .parent
                .filter(|&p| message.parent_namespace.is_none() && p != 0 && p != message.ifindex);
            self.vlan_id = message.vlan_id;
            self.alias = String::from_utf8_lossy(message.alias.unwrap_or(&[])).into();
            self.mac = message.address.and_then(|mac| mac.try_into().ok());
            self.mtu = message.mtu.unwrap_or(self.mtu);
            self.kind = kind_of(message, &self.name, self.parent.is_some());
        }
        if let Some(statistics) = message.statistics {
            self.statistics = statistics;
        }
    }

    /// What `Change::LinkChanged` is about.
    pub(super) fn facts(&self) -> impl PartialEq + use<> {
        let Self { mac, mtu, running, master, parent, kind, .. } = *self;
        (mac, mtu, running, master, parent, kind, self.alias.clone())
    }
}

fn kind_of(message: &netlink::Link<'_>, name: &str, has_parent: bool) -> Kind {
    if message.flags & netlink::LINK_LOOPBACK != 0 {
        return Kind::Loopback;
    }
    match message.kind.unwrap_or(b"") {
        b"bond" | b"team" => Kind::Bond,
        b"bridge" => Kind::Bridge,
        b"dsa" => Kind::DsaPort,
        b"dummy" => Kind::Dummy,
        b"ifb" => Kind::Ifb,
        b"macvlan" | b"macvtap" | b"ipvlan" | b"ipvtap" => Kind::Macvlan,
        b"ppp" => Kind::Ppp,
        b"tun" => Kind::Tun,
        b"gre" | b"gretap" | b"ip6gre" | b"ip6gretap" | b"ipip" | b"ip6tnl" | b"sit" | b"vti"
        | b"vti6" | b"erspan" | b"ip6erspan" | b"xfrm" => Kind::Tunnel,
        b"veth" => Kind::Veth,
        b"vlan" => Kind::Vlan,
        b"vrf" => Kind::Vrf,
        b"vxlan" | b"geneve" => Kind::Vxlan,
        b"wireguard" => Kind::Wireguard,
        b"" => kind_of_hardware(message.hardware, name, has_parent),
        _ => Kind::Other,
    }
}

/// For interfaces that the kernel gives no kind.
fn kind_of_hardware(hardware: u16, name: &str, has_parent: bool) -> Kind {
    const WIRELESS: [&str; 5] = ["wl", "ath", "phy", "ra", "mesh"];
    match hardware {
        1 if WIRELESS.iter().any(|prefix| name.starts_with(prefix)) => Kind::Wireless,
        // Kernels before 6.0 don't name switch ports; nothing else without a kind has a parent.
        1 if has_parent => Kind::DsaPort,
        1 => Kind::Ethernet,
        512 => Kind::Ppp,
        768 | 769 | 776 | 778 | 823 => Kind::Tunnel,
        801..=803 => Kind::Wireless,
        65534 => Kind::Tun,
        _ => Kind::Other,
    }
}

/// Only valid on one link.
pub(super) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_types_have_their_link_types() {
        for (hardware, link, cooked) in [
            (1, LinkType::ETHERNET, false),
            (772, LinkType::ETHERNET, false),
            (65_534, LinkType::RAW, false),
            (512, LinkType::RAW, true),
            (803, LinkType::RADIOTAP, false),
            (32, LinkType::RAW, true),
        ] {
            let one = Link { hardware, ..Link::default() };
            assert_eq!(one.capture_as(), CaptureAs { link, cooked }, "{hardware}");
        }
    }

    #[test]
    fn switch_ports_without_a_kind_are_told_by_their_parent() {
        let message = netlink::Link {
            hardware: 1,
            parent: Some(2),
            mtu: Some(1_500),
            ..netlink::Link::default()
        };
        let mut link = Link { name: "lan1".into(), ..Link::default() };
        link.update(&message);
        assert_eq!(link.kind, Kind::DsaPort);
        // A number that counts in another namespace is no parent.
        let elsewhere = netlink::Link { parent_namespace: Some(0), ..message };
        link.update(&elsewhere);
        assert_eq!((link.kind, link.parent), (Kind::Ethernet, None));
    }
}
