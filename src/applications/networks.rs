//! Networks and the applications in them: a binary search for each length of prefix that occurs,
//! the longest first.

use std::net::IpAddr;

/// Networks, once they are in order.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// Bits of the network and the application, by group and bits.
    entries: Vec<(u128, u16)>,
    /// IPv6, prefix, and where its entries end; the longest prefixes first.
    groups: Vec<(bool, u8, usize)>,
}

impl Networks {
    /// Puts networks with their prefixes in order; of two that are equal the first counts.
    pub(super) fn new(mut networks: Vec<(u8, IpAddr, u16)>) -> Self {
        let order = |(prefix, network, _): &(u8, IpAddr, u16)| {
            (network.is_ipv6(), std::cmp::Reverse(*prefix), first(*network, *prefix))
        };
        networks.sort_by_key(order);
        networks.dedup_by_key(|network| order(network));
        let mut ordered = Self::default();
        for (prefix, network, id) in networks {
            ordered.entries.push((first(network, prefix), id));
            let end = ordered.entries.len();
            match ordered.groups.last_mut() {
                Some((is_v6, p, to)) if (*is_v6, *p) == (network.is_ipv6(), prefix) => *to = end,
                _ => ordered.groups.push((network.is_ipv6(), prefix, end)),
            }
        }
        ordered.entries.shrink_to_fit();
        ordered
    }

    /// The application of the longest prefix that holds an address, and its length.
    pub(super) fn find(&self, address: IpAddr) -> Option<(u16, u8)> {
        let mut from = 0;
        for (is_v6, prefix, to) in &self.groups {
            let group = self.entries.get(from..*to).unwrap_or_default();
            from = *to;
            if *is_v6 != address.is_ipv6() {
                continue;
            }
            let wanted = first(address, *prefix);
            if let Ok(at) = group.binary_search_by_key(&wanted, |(network, _)| *network) {
                return group.get(at).map(|(_, id)| (*id, *prefix));
            }
        }
        None
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The first bits of an address.
pub(super) fn first(address: IpAddr, prefix: u8) -> u128 {
    let (bits, width) = match address {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), 32_u8),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let shift = u32::from(width.saturating_sub(prefix));
    bits.checked_shr(shift).unwrap_or(0).checked_shl(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(networks: &Networks, address: &str) -> Option<(u16, u8)> {
        networks.find(address.parse().unwrap())
    }

    #[test]
    fn the_longest_prefix_counts() {
        let list = [
            (8, "10.0.0.0", 1),
            (24, "10.1.2.0", 2),
            (32, "10.1.2.3", 3),
            (24, "10.1.2.0", 9),
            (32, "2001:db8::", 4),
            (128, "2001:db8::1", 5),
            (0, "::", 6),
        ];
        let networks = Networks::new(
            list.map(|(prefix, network, id)| (prefix, network.parse().unwrap(), id)).to_vec(),
        );
        assert_eq!(find(&networks, "10.1.2.3"), Some((3, 32)));
        assert_eq!(find(&networks, "10.1.2.4"), Some((2, 24)));
        assert_eq!(find(&networks, "10.9.0.1"), Some((1, 8)));
        assert_eq!(find(&networks, "11.0.0.1"), None);
        assert_eq!(find(&networks, "2001:db8::1"), Some((5, 128)));
        assert_eq!(find(&networks, "2001:db8::2"), Some((4, 32)));
        assert_eq!(find(&networks, "fe80::1"), Some((6, 0)));
        assert_eq!(networks.len(), 6);
    }
}
