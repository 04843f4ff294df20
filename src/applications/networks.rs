//! Networks and the applications in them, as stretches of addresses that do not overlap: a search
//! is a single one, however many lengths of prefix there are.

use std::net::IpAddr;

/// Networks, once they are in order.
#[derive(Debug, Default)]
pub(super) struct Networks {
    /// Where a stretch begins, its application (0 is none) and the prefix of its network.
    v4: Vec<(u32, u16, u8)>,
    v6: Vec<(u128, u16, u8)>,
    /// Networks that they were made of.
    count: usize,
}

impl Networks {
    /// Puts networks with their prefixes in order; of two that are equal the first counts.
    pub(super) fn new(mut networks: Vec<(u8, IpAddr, u16)>) -> Self {
        let order = |(prefix, network, _): &(u8, IpAddr, u16)| {
            (network.is_ipv6(), first(*network, *prefix), *prefix)
        };
        networks.sort_by_key(order);
        networks.dedup_by_key(|network| order(network));
        let mut ordered = Self { count: networks.len(), ..Self::default() };
        // Those around the one at hand, with their last addresses.
        let mut open: Vec<(u128, u16, u8)> = Vec::new();
        let mut was_v6 = false;
        for (prefix, network, id) in networks {
            let (begin, is_v6) = (first(network, prefix), network.is_ipv6());
            if is_v6 != was_v6 {
                ordered.close(&mut open, None, was_v6);
            }
            was_v6 = is_v6;
            ordered.close(&mut open, Some(begin), is_v6);
            ordered.push(begin, id, prefix, is_v6);
            let width = if is_v6 { 128 } else { 32_u32 };
            let rest = width.saturating_sub(prefix.into());
            let inside = u128::MAX.checked_shr(128_u32.saturating_sub(rest)).unwrap_or(0);
            open.push((begin | inside, id, prefix));
        }
        ordered.close(&mut open, None, was_v6);
        ordered.v4.shrink_to_fit();
        ordered.v6.shrink_to_fit();
        ordered
    }

    /// Ends the networks that end before an address, or all.
    fn close(&mut self, open: &mut Vec<(u128, u16, u8)>, before: Option<u128>, is_v6: bool) {
        while let Some((last, ..)) = open.pop_if(|(last, ..)| before.is_none_or(|at| *last < at)) {
            let (_, id, prefix) = open.last().copied().unwrap_or_default();
            if let Some(next) = last.checked_add(1) {
                self.push(next, id, prefix, is_v6);
            }
        }
    }

    /// Begins a stretch; one that began at the same address is none.
    fn push(&mut self, begin: u128, id: u16, prefix: u8, is_v6: bool) {
        if is_v6 {
            self.v6.pop_if(|(last, ..)| *last == begin);
            self.v6.push((begin, id, prefix));
        } else if let Ok(begin) = u32::try_from(begin) {
            self.v4.pop_if(|(last, ..)| *last == begin);
            self.v4.push((begin, id, prefix));
        }
    }

    /// The application of the longest prefix that holds an address, and its length.
    pub(super) fn find(&self, address: IpAddr) -> Option<(u16, u8)> {
        let (id, prefix) = match address {
            IpAddr::V4(ip) => {
                let behind = self.v4.partition_point(|(begin, ..)| *begin <= ip.to_bits());
                self.v4.get(behind.checked_sub(1)?).map(|(_, id, prefix)| (*id, *prefix))?
            }
            IpAddr::V6(ip) => {
                let behind = self.v6.partition_point(|(begin, ..)| *begin <= ip.to_bits());
                self.v6.get(behind.checked_sub(1)?).map(|(_, id, prefix)| (*id, *prefix))?
            }
        };
        (id != 0).then_some((id, prefix))
    }

    pub(super) const fn len(&self) -> usize {
        self.count
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

    #[test]
    fn every_address_finds_what_a_look_at_all_networks_finds() {
        // Nested, side by side, up to both ends of the space, and some twice.
        let mut networks = Vec::new();
        let mut state = 88_172_645_463_325_252_u64;
        for id in 1..400_u16 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let [a, b, c, d, prefix, ..] = state.to_le_bytes();
            let few = |octet: u8| [255, 1, 2][usize::from(octet % 3)];
            let network = [few(a), few(b), few(c), few(d)];
            networks.push((prefix % 33, IpAddr::from(network), id));
            let network = IpAddr::from([u16::from(few(a)) * 257, 0, 0, 0, 0, 0, 1, few(d).into()]);
            networks.push((prefix % 129, network, id));
        }
        let slow = |address: IpAddr| {
            let of_kind = networks.iter().filter(|(_, n, _)| n.is_ipv6() == address.is_ipv6());
            let holds = of_kind.filter(|(p, n, _)| first(*n, *p) == first(address, *p));
            let longest = holds.clone().map(|(prefix, ..)| *prefix).max()?;
            holds.into_iter().find(|(p, ..)| *p == longest).map(|(p, _, id)| (*id, *p))
        };
        let made = Networks::new(networks.clone());
        for (prefix, network, _) in &networks {
            let base = first(*network, *prefix);
            let width: u8 = if network.is_ipv6() { 128 } else { 32 };
            let inside = u128::MAX.checked_shr(128 - u32::from(width - prefix)).unwrap_or(0);
            for bits in [base.wrapping_sub(1), base, base | inside, (base | inside).wrapping_add(1)]
            {
                let address = match network {
                    IpAddr::V4(_) => IpAddr::V4(((bits & 0xffff_ffff) as u32).into()),
                    IpAddr::V6(_) => IpAddr::V6(bits.into()),
                };
                assert_eq!(made.find(address), slow(address), "{address}");
            }
        }
    }
}
