//! Which end of a flow is the local one, and what the other one is, from the addresses and
//! networks of our interfaces and the reserved ranges. Worked out once, when a flow is created.

use std::net::IpAddr;

use super::key::{Key, Side, Sides};
use crate::source::Direction;

/// What the end of a flow that is not the local one is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OtherType {
    /// A broadcast address.
    Broadcast,
    /// The addresses make no sense.
    Error,
    /// Another local host.
    Local,
    /// A multicast group.
    Multicast,
    /// Somewhere else.
    Remote,
    /// Nothing is known.
    #[default]
    Unknown,
    /// Not worked out: the outer datagrams of a tunnel.
    Unsupported,
}

impl OtherType {
    /// Its name in all outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::Error => "error",
            Self::Local => "local",
            Self::Multicast => "multicast",
            Self::Remote => "remote",
            Self::Unknown => "unknown",
            Self::Unsupported => "unsupported",
        }
    }
}

/// The local side of a flow and the type of the other one, in a byte.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Orientation(u8);

impl Orientation {
    const fn new(local: Option<Side>, other: OtherType) -> Self {
        let side = match local {
            None => 0,
            Some(Side::Lower) => 0x10,
            Some(Side::Upper) => 0x20,
        };
        let other = match other {
            OtherType::Broadcast => 0,
            OtherType::Error => 1,
            OtherType::Local => 2,
            OtherType::Multicast => 3,
            OtherType::Remote => 4,
            OtherType::Unknown => 5,
            OtherType::Unsupported => 6,
        };
        Self(side | other)
    }

    /// What the outer datagrams of a tunnel get.
    pub(super) const UNSUPPORTED: Self = Self::new(None, OtherType::Unsupported);

    /// The local end, if one is.
    #[must_use]
    pub const fn local(self) -> Option<Side> {
        match self.0 & 0xf0 {
            0x10 => Some(Side::Lower),
            0x20 => Some(Side::Upper),
            _ => None,
        }
    }

    /// What the other end is.
    #[must_use]
    pub const fn other(self) -> OtherType {
        match self.0 & 0x0f {
            0 => OtherType::Broadcast,
            1 => OtherType::Error,
            2 => OtherType::Local,
            3 => OtherType::Multicast,
            4 => OtherType::Remote,
            6 => OtherType::Unsupported,
            _ => OtherType::Unknown,
        }
    }
}

impl Default for Orientation {
    fn default() -> Self {
        Self::new(None, OtherType::Unknown)
    }
}

impl std::fmt::Debug for Orientation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}/{}", self.local(), self.other().name())
    }
}

/// What an interface is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Role {
    /// The networks behind it are ours.
    Lan,
    /// Nobody has said.
    #[default]
    Unknown,
    /// It leads to the provider: its own addresses are ours, its network is not.
    Wan,
}

/// An address of an interface with the network around it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Our address.
    pub address: IpAddr,
    /// Length of the network's prefix.
    pub prefix: u8,
    /// Broadcast address, if the interface has one.
    pub broadcast: Option<IpAddr>,
    /// Slot of the interface.
    pub iface: u16,
}

/// What kind of address an address is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Class {
    // In the order in which they win where a network table holds an address twice.
    Local,
    Broadcast,
    LocalNet,
    Multicast,
    Reserved,
    Other,
}

/// All that is known of addresses and interfaces; built anew when one of them changes.
#[derive(Clone, Debug, Default)]
pub struct Locality {
    /// By prefix, longest first, then by address.
    v4: Vec<Entry>,
    v6: Vec<Entry>,
    roles: Vec<(u16, Role)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    prefix: u8,
    /// Left-aligned, host bits zero.
    network: u128,
    class: Class,
}

impl Locality {
    /// From the addresses of all interfaces and the roles of those that have one.
    #[must_use]
    pub fn new(networks: &[Network], roles: &[(u16, Role)]) -> Self {
        let mut roles = roles.to_vec();
        roles.sort_unstable_by_key(|(iface, _)| *iface);
        let mut built = Self { roles, ..Self::default() };
        for network in networks {
            let (address, full) = aligned(network.address);
            let prefix = network.prefix.min(full);
            built.add(network.address, full, address, Class::Local);
            // A network of one or two addresses has no broadcast: on a /32 the kernel names the
            // address itself.
            if let Some(broadcast) = network.broadcast
                && prefix < full.saturating_sub(1)
            {
                let (bits, full) = aligned(broadcast);
                built.add(broadcast, full, bits, Class::Broadcast);
            }
            if built.role(network.iface) != Role::Wan {
                built.add(network.address, prefix, address, Class::LocalNet);
            }
        }
        for table in [&mut built.v4, &mut built.v6] {
            table.sort_unstable_by_key(|e| (u8::MAX.saturating_sub(e.prefix), e.network, e.class));
            table.dedup_by_key(|e| (e.prefix, e.network));
        }
        built
    }

    /// The orientation of a flow whose first packet was sent by `sender` and went through its
    /// interface in `direction`.
    #[must_use]
    pub fn orient(&self, key: &Key, sender: Side, direction: Direction) -> Orientation {
        use Class::{Broadcast, Local, LocalNet, Multicast, Other, Reserved};
        use OtherType as Type;

        if !matches!(key.version, 4 | 6) {
            return Orientation::new(None, Type::Error);
        }
        let classes = Sides {
            lower: self.class(key.version, &key.address.lower),
            upper: self.class(key.version, &key.address.upper),
        };
        let (side, other) = match (classes.lower, classes.upper) {
            (Multicast, _) => (Side::Upper, Type::Multicast),
            (_, Multicast) => (Side::Lower, Type::Multicast),
            (Broadcast, _) => (Side::Upper, Type::Broadcast),
            (_, Broadcast) => (Side::Lower, Type::Broadcast),
            (Other, Other) => (self.inner(key.iface, sender, direction), Type::Remote),
            (Other, _) => (Side::Upper, Type::Remote),
            (_, Other) => (Side::Lower, Type::Remote),
            (Local | LocalNet, Local | LocalNet) | (Reserved, Reserved) => {
                (Side::Lower, Type::Local)
            }
            (LocalNet, Reserved) => (Side::Lower, Type::Local),
            (Reserved, LocalNet) => (Side::Upper, Type::Local),
            (Local, Reserved) => (Side::Lower, Type::Remote),
            (Reserved, Local) => (Side::Upper, Type::Remote),
        };
        Orientation::new(Some(side), other)
    }

    /// Whether an address is ours, or one of a network here.
    #[must_use]
    pub fn is_local(&self, address: IpAddr) -> bool {
        let table = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        longest(table, aligned(address).0).is_some()
    }

    /// The role of an interface.
    #[must_use]
    pub fn role(&self, iface: u16) -> Role {
        let found = self.roles.binary_search_by_key(&iface, |(slot, _)| *slot);
        found.ok().and_then(|at| self.roles.get(at)).map_or(Role::Unknown, |(_, role)| *role)
    }

    /// The end on our side of the interface, when the addresses say nothing.
    fn inner(&self, iface: u16, sender: Side, direction: Direction) -> Side {
        match (self.role(iface), direction) {
            (Role::Lan, Direction::In) | (Role::Wan, Direction::Out) => sender,
            (Role::Lan, Direction::Out) | (Role::Wan, Direction::In) => sender.other(),
            // As the agent we are compatible with: the lower address counts as the far one.
            (Role::Unknown, _) | (_, Direction::Unknown) => Side::Upper,
        }
    }

    fn class(&self, version: u8, address: &[u8; 16]) -> Class {
        let table = if version == 4 { &self.v4 } else { &self.v6 };
        let bits = u128::from_be_bytes(*address);
        // The MAC of an addressless DHCP client is no part of its address.
        let bits = if version == 4 { masked(bits, 32) } else { bits };
        longest(table, bits).unwrap_or_else(|| well_known(version, address))
    }

    fn add(&mut self, address: IpAddr, prefix: u8, bits: u128, class: Class) {
        let table = if address.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        table.push(Entry { prefix, network: masked(bits, prefix), class });
    }
}

/// The entry with the longest prefix that holds `bits`: a bisection per distinct length.
fn longest(mut table: &[Entry], bits: u128) -> Option<Class> {
    while let Some(first) = table.first() {
        let network = masked(bits, first.prefix);
        let (same, shorter) = table.split_at(table.partition_point(|e| e.prefix >= first.prefix));
        if let Ok(at) = same.binary_search_by_key(&network, |e| e.network) {
            return same.get(at).map(|e| e.class);
        }
        table = shorter;
    }
    None
}

/// The class of an address by the standards alone. 169.254/16 is treated like its IPv6 twin.
const fn well_known(version: u8, address: &[u8; 16]) -> Class {
    let [a, b, c, d, ..] = *address;
    if version == 4 {
        match [a, b, c, d] {
            [224..=239, ..] => Class::Multicast,
            [255, 255, 255, 255] | [169, 254, 255, 255] => Class::Broadcast,
            [0 | 10 | 127, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..] => Class::Reserved,
            _ => Class::Other,
        }
    } else {
        match [a, b] {
            [0xff, _] => Class::Multicast,
            [0xfc | 0xfd, _] | [0xfe, 0x80..=0xbf] => Class::Reserved,
            // Unspecified and loopback.
            _ if u128::from_be_bytes(*address) <= 1 => Class::Reserved,
            _ => Class::Other,
        }
    }
}

/// The bits of an address from the top down, and how many it has.
fn aligned(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

/// The first `prefix` bits.
const fn masked(bits: u128, prefix: u8) -> u128 {
    match u128::MAX.checked_shr(prefix as u32) {
        Some(rest) => bits & !rest,
        None => bits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode::Tuple;

    fn home() -> Locality {
        let network = |address: &str, prefix, broadcast: &str, iface| Network {
            address: address.parse().unwrap(),
            prefix,
            broadcast: broadcast.parse().ok(),
            iface,
        };
        let networks = [
            network("192.168.1.1", 24, "192.168.1.255", 0),
            network("2001:db8:1::1", 64, "", 0),
            network("203.0.113.7", 24, "203.0.113.255", 1),
            network("198.51.100.9", 32, "198.51.100.9", 2),
            network("10.9.0.1", 16, "10.9.255.255", 3),
        ];
        Locality::new(&networks, &[(1, Role::Wan), (0, Role::Lan)])
    }

    /// The local address and the other one's type, for a packet from `a` to `b` on interface 0.
    fn seen(locality: &Locality, a: &str, b: &str) -> (String, &'static str) {
        seen_on(locality, 0, Direction::Unknown, a, b)
    }

    fn seen_on(
        locality: &Locality,
        iface: u16,
        direction: Direction,
        a: &str,
        b: &str,
    ) -> (String, &'static str) {
        let bytes = |text: &str| match text.parse().unwrap() {
            IpAddr::V4(v4) => {
                let mut wide = [0; 16];
                wide[..4].copy_from_slice(&v4.octets());
                wide
            }
            IpAddr::V6(v6) => v6.octets(),
        };
        let version = if a.contains(':') { 6 } else { 4 };
        let tuple = Tuple { version, src: bytes(a), dst: bytes(b), ..Tuple::default() };
        let (key, sender) = Key::of(iface, 0, &tuple, Some(&[2; 6]));
        let found = locality.orient(&key, sender, direction);
        let local = found.local().map_or_else(|| "-".to_owned(), |side| key.ip(side).to_string());
        (local, found.other().name())
    }

    #[test]
    fn each_row_of_the_table_holds_in_both_directions() {
        for (a, b, local, other) in [
            ("192.168.1.5", "192.168.1.9", "192.168.1.5", "local"),
            ("192.168.1.5", "192.168.1.1", "192.168.1.1", "local"),
            ("192.168.1.5", "239.255.255.250", "192.168.1.5", "multicast"),
            ("8.8.8.8", "224.0.0.1", "8.8.8.8", "multicast"),
            ("fe80::1", "ff02::fb", "fe80::1", "multicast"),
            ("::", "ff02::16", "::", "multicast"),
            ("192.168.1.5", "192.168.1.255", "192.168.1.5", "broadcast"),
            ("0.0.0.0", "255.255.255.255", "0.0.0.0", "broadcast"),
            ("169.254.3.4", "169.254.255.255", "169.254.3.4", "broadcast"),
            ("10.1.1.1", "192.168.1.5", "192.168.1.5", "local"),
            ("172.16.3.4", "10.1.1.1", "10.1.1.1", "local"),
            ("203.0.113.7", "10.1.1.1", "203.0.113.7", "remote"),
            ("10.1.1.1", "192.168.1.1", "192.168.1.1", "remote"),
            ("192.168.1.5", "8.8.8.8", "192.168.1.5", "remote"),
            ("192.168.1.5", "1.1.1.1", "192.168.1.5", "remote"),
            ("10.1.1.1", "8.8.8.8", "10.1.1.1", "remote"),
            ("2001:db8:1::5", "2001:db8:2::5", "2001:db8:1::5", "remote"),
            ("2001:db8:1::5", "2001:db8:1::6", "2001:db8:1::5", "local"),
            ("fe80::1", "fe80::2", "fe80::1", "local"),
            // The provider's network is not ours, our address in it is.
            ("203.0.113.7", "203.0.113.1", "203.0.113.7", "remote"),
        ] {
            assert_eq!(seen(&home(), a, b), (local.to_owned(), other), "{a} to {b}");
            assert_eq!(seen(&home(), b, a), (local.to_owned(), other), "{b} to {a}");
        }
    }

    #[test]
    fn a_host_route_does_not_make_its_address_a_broadcast() {
        assert_eq!(seen(&home(), "198.51.100.9", "8.8.8.8"), ("198.51.100.9".to_owned(), "remote"));
    }

    #[test]
    fn the_longest_network_wins() {
        let net = |address: &str, prefix, iface| Network {
            address: address.parse().unwrap(),
            prefix,
            broadcast: None,
            iface,
        };
        // A /24 within the /8 of another interface, and an address of ours within both.
        let locality =
            Locality::new(&[net("10.0.0.1", 8, 0), net("10.1.2.1", 24, 1)], &[(1, Role::Wan)]);
        assert_eq!(seen(&locality, "10.1.2.1", "10.3.3.3").1, "local");
        assert_eq!(seen(&locality, "10.1.2.1", "172.16.0.1").0, "10.1.2.1");
    }

    #[test]
    fn transit_is_oriented_by_role_and_direction() {
        let home = home();
        let on = |iface, direction| seen_on(&home, iface, direction, "8.8.8.8", "9.9.9.9").0;
        assert_eq!(on(0, Direction::In), "8.8.8.8");
        assert_eq!(on(0, Direction::Out), "9.9.9.9");
        assert_eq!(on(1, Direction::In), "9.9.9.9");
        assert_eq!(on(1, Direction::Out), "8.8.8.8");
        assert_eq!(on(9, Direction::In), "9.9.9.9");
    }

    #[test]
    fn without_interfaces_reserved_ranges_still_orient() {
        let bare = Locality::default();
        assert_eq!(seen(&bare, "8.8.8.8", "10.0.0.1"), ("10.0.0.1".to_owned(), "remote"));
        assert_eq!(seen(&bare, "10.0.0.2", "10.0.0.1"), ("10.0.0.1".to_owned(), "local"));
    }

    #[test]
    fn an_impossible_version_is_an_error() {
        let key = Key { version: 5, ..Key::default() };
        let found = Locality::default().orient(&key, Side::Lower, Direction::In);
        assert_eq!((found.local(), found.other()), (None, OtherType::Error));
    }
}
