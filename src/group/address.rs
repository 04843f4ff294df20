//! What a group can hold, as text: an IP host, a network, a hardware address. One address has
//! one canonical form (RFC 5952 for IPv6), so that equal things compare equal.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::mac;

/// A member of a group.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Entry {
    /// One IP address; never an IPv4 address mapped into IPv6.
    Host(IpAddr),
    /// A hardware address.
    Mac([u8; 6]),
    /// A prefix shorter than a host's.
    Network(Network),
}

/// An IP network: its host bits are zero and its length is below that of a host.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Entry {
    /// Reads `address`, `address/length` or a hardware address. Nothing may stand around it;
    /// `/32` and `/128` are the host, host bits of a prefix are cleared, and IPv4 addresses
    /// mapped into IPv6 become IPv4, which is what travels on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(mac) = mac::parse(text) {
            return Some(Self::Mac(mac));
        }
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(prefix_length(length)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let length = length.unwrap_or_else(|| host_length(address));
        Self::of(address, length)
    }

    /// The host or network of an address and a prefix length; `None` if the length is too big.
    #[must_use]
    pub fn of(address: IpAddr, length: u8) -> Option<Self> {
        if length > host_length(address) {
            return None;
        }
        let (address, length) = match address {
            IpAddr::V6(v6) => match (v6.to_ipv4_mapped(), length.checked_sub(MAPPED_LENGTH)) {
                (Some(v4), Some(length)) => (IpAddr::V4(v4), length),
                _ => (address, length),
            },
            IpAddr::V4(_) => (address, length),
        };
        Some(if length == host_length(address) {
            Self::Host(address)
        } else {
            Self::Network(Network { address: clear_host_bits(address, length), length })
        })
    }
}

impl From<IpAddr> for Entry {
    fn from(address: IpAddr) -> Self {
        Self::Host(address.to_canonical())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(address) => address.fmt(f),
            Self::Mac(mac) => f.write_str(&mac::text(*mac)),
            Self::Network(network) => write!(f, "{}/{}", network.address, network.length),
        }
    }
}

impl Network {
    /// The lowest address and the prefix length.
    #[must_use]
    pub const fn parts(&self) -> (IpAddr, u8) {
        (self.address, self.length)
    }
}

/// The length of a prefix that is a single host.
#[must_use]
pub const fn host_length(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address as a number whose highest bit is the first bit of the prefix.
#[must_use]
pub const fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => (v4.to_bits() as u128) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// A mask of `length` leading ones.
#[must_use]
pub const fn mask(length: u8) -> u128 {
    match u128::MAX.checked_shl(128_u32.saturating_sub(length as u32)) {
        Some(mask) => mask,
        None => 0,
    }
}

fn clear_host_bits(address: IpAddr, length: u8) -> IpAddr {
    let kept = bits(address) & mask(length);
    match address {
        // The low 96 bits of an IPv4 address are zero, so nothing is lost.
        IpAddr::V4(_) => Ipv4Addr::from_bits((kept >> 96) as u32).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(kept).into(),
    }
}

fn prefix_length(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| digits && !padded)
}

/// Bits of `::ffff:0:0/96`, RFC 4291 section 2.5.5.2.
const MAPPED_LENGTH: u8 = 96;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_spelling_has_one_canonical_form() {
        for (given, canonical) in [
            ("192.168.1.100", "192.168.1.100"),
            ("192.168.1.100/32", "192.168.1.100"),
            ("192.168.1.100/24", "192.168.1.0/24"),
            ("10.1.2.3/0", "0.0.0.0/0"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("0.0.0.0", "0.0.0.0"),
            ("255.255.255.255/31", "255.255.255.254/31"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("2001:0db8::0001/128", "2001:db8::1"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"),
            ("::", "::"),
            ("::/0", "::/0"),
            ("fe80::1/10", "fe80::/10"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::FFFF:0a01:0203", "10.1.2.3"),
            ("::ffff:10.1.2.3/120", "10.1.2.0/24"),
            ("::ffff:10.1.2.3/96", "0.0.0.0/0"),
            ("::ffff:10.1.2.3/64", "::/64"),
            ("AA:bb:CC:00:11:22", "aa:bb:cc:00:11:22"),
            ("aa-BB-cc-00-11-22", "aa:bb:cc:00:11:22"),
        ] {
            let entry = Entry::parse(given).unwrap_or_else(|| panic!("{given} is refused"));
            assert_eq!(entry.to_string(), canonical, "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in [
            "",
            " ",
            " 10.0.0.1",
            "10.0.0.1 ",
            "10.0.0.1\n",
            "10.0.0.1\0",
            "10.0.0",
            "10.0.0.256",
            "10.0.0.01",
            "010.0.0.1",
            "0x0a.0.0.1",
            "10.0.0.1.",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0.0/ 8",
            "10.0.0.0 /8",
            "10.0.0.0/8/8",
            "10.0.0.0/255.0.0.0",
            "/8",
            "::1/129",
            "::1%eth0",
            "fe80::1%2/64",
            "[::1]",
            "1::2::3",
            "00001::",
            "localhost",
            "10.0.0.1-10.0.0.9",
            "10.0.0.1:80",
            "aa:bb:cc:00:11",
            "aa:bb-cc:00:11:22",
            "aabb.cc00.1122",
            "aa:bb:cc:00:11:22/48",
            "١٠.0.0.1",
        ] {
            assert_eq!(Entry::parse(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn canonical_text_reads_back_as_the_same(v6: bool, raw: u128, length in 0_u8..=128) {
            let address: IpAddr = if v6 {
                Ipv6Addr::from_bits(raw).into()
            } else {
                Ipv4Addr::from_bits(raw as u32).into()
            };
            if let Some(entry) = Entry::of(address, length) {
                prop_assert_eq!(Entry::parse(&entry.to_string()), Some(entry));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|[0-9a-fA-F:./-]{0,50}") {
            if let Some(entry) = Entry::parse(&text) {
                prop_assert_eq!(Entry::parse(&entry.to_string()), Some(entry));
            }
        }
    }
}
