//! What makes two packets belong to one flow: capture interface, VLAN, IP version, protocol and
//! the two (address, port) ends in numerical order, so that both directions meet in one key.
//! Hashed with SipHash-1-3 under a random key: whoever chooses addresses can't choose buckets.

use std::hash::{BuildHasher, RandomState};
use std::hint::select_unpredictable;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::wire::decode::Tuple;

/// One of the two ends of a flow, or the direction of a packet by the end that sent it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Side {
    /// The end with the numerically lower address (or port, if the addresses are equal).
    #[default]
    Lower,
    /// The other end.
    Upper,
}

impl Side {
    /// The opposite end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
        }
    }
}

/// A value for each end, or for each direction by its sender.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Sides<T> {
    /// Of the lower end.
    pub lower: T,
    /// Of the upper end.
    pub upper: T,
}

impl<T> Sides<T> {
    /// The value of `side`.
    #[inline]
    pub const fn of(&self, side: Side) -> &T {
        match side {
            Side::Lower => &self.lower,
            Side::Upper => &self.upper,
        }
    }

    /// The value of `side`, to be changed.
    #[inline]
    pub const fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Lower => &mut self.lower,
            Side::Upper => &mut self.upper,
        }
    }
}

/// The identity of a flow while it lives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Key {
    /// Addresses; IPv4 fills the first four bytes. For a DHCP client without an address
    /// (0.0.0.0 to 255.255.255.255) its MAC lies behind them in the lower address, so that
    /// clients don't collapse into one flow.
    pub address: Sides<[u8; 16]>,
    /// Ports, 0 where the protocol has none.
    pub port: Sides<u16>,
    /// Slot of the capture interface.
    pub iface: u16,
    /// Outermost VLAN id, 0 if untagged.
    pub vlan: u16,
    /// IP protocol number.
    pub proto: u8,
    /// 4 or 6.
    pub version: u8,
}

impl Key {
    /// The key of a datagram and the end that sent it.
    #[inline]
    #[must_use]
    pub fn of(iface: u16, vlan: u16, tuple: &Tuple, source_mac: Option<&[u8; 6]>) -> (Self, Side) {
        let (src, dst) = (u128::from_be_bytes(tuple.src), u128::from_be_bytes(tuple.dst));
        // Without a branch: which way the next packet goes is anybody's guess.
        let from_upper = (src > dst) | (src == dst) & (tuple.sport > tuple.dport);
        let (src, dst) = (u128::from_le_bytes(tuple.src), u128::from_le_bytes(tuple.dst));
        let (sport, dport) = (tuple.sport, tuple.dport);
        let mut lower = select_unpredictable(from_upper, dst, src);
        let upper = select_unpredictable(from_upper, src, dst);
        let lower_port = select_unpredictable(from_upper, dport, sport);
        let upper_port = select_unpredictable(from_upper, sport, dport);
        // From 0.0.0.0 to 255.255.255.255.
        const WORD: u128 = u32::MAX as u128;
        if tuple.version == 4 && lower & WORD == 0 && upper & WORD == WORD {
            lower |= beside(source_mac);
        }
        let key = Self {
            address: Sides { lower: lower.to_le_bytes(), upper: upper.to_le_bytes() },
            port: Sides { lower: lower_port, upper: upper_port },
            iface,
            vlan,
            proto: tuple.proto,
            version: tuple.version,
        };
        let side = if from_upper { Side::Upper } else { Side::Lower };
        (key, side)
    }

    /// Ports, interface and VLAN in one word.
    #[inline]
    fn head(&self) -> u64 {
        let ports = u64::from(self.port.lower) | u64::from(self.port.upper) << 16;
        ports | u64::from(self.iface) << 32 | u64::from(self.vlan) << 48
    }

    /// Both addresses in one word, if that is all there is of them: IPv4, but for clients
    /// without an address.
    #[inline]
    const fn addresses(&self) -> Option<u64> {
        let lower = u128::from_le_bytes(self.address.lower);
        let upper = u128::from_le_bytes(self.address.upper);
        if self.version == 4 && lower >> 32 == 0 {
            Some(lower as u64 | (upper as u64) << 32)
        } else {
            None
        }
    }

    /// The address of one end.
    #[must_use]
    pub fn ip(&self, side: Side) -> IpAddr {
        let bytes = self.address.of(side);
        if self.version == 4 {
            let [a, b, c, d, ..] = *bytes;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            IpAddr::V6(Ipv6Addr::from(*bytes))
        }
    }
}

/// What tells clients without an address apart, where it lies in a key.
#[cold]
fn beside(mac: Option<&[u8; 6]>) -> u128 {
    mac.map_or(0, |[a, b, c, d, e, f]| {
        u128::from(u64::from_le_bytes([*a, *b, *c, *d, *e, *f, 0, 0])) << 32
    })
}

/// Where the hash starts from: the two words of a SipHash key.
#[derive(Clone)]
pub struct Seed(u64, u64);

impl std::fmt::Debug for Seed {
    /// Leaves the key out: who knows it can choose buckets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

impl Seed {
    /// The same in every process: for tests and measurements that should repeat.
    pub const FIXED: Self = Self(0, 0);

    /// A fresh random seed.
    #[must_use]
    pub fn random() -> Self {
        // What the standard library makes of its own random key tells nothing about it.
        let state = RandomState::new();
        Self(state.hash_one(0_u8), state.hash_one(1_u8))
    }

    /// The hash of a key over its packed form.
    #[inline(never)]
    #[must_use]
    pub fn hash(&self, key: &Key) -> u32 {
        let (head, lower) = (key.head(), u128::from_le_bytes(key.address.lower));
        let upper = u128::from_le_bytes(key.address.upper);
        let (words, count) = match key.addresses() {
            Some(addresses) => ([head, addresses, 0, 0, 0], 2),
            // Any IPv6, or IPv4 with the MAC of an addressless client.
            None => {
                let [a, b] = [lower as u64, (lower >> 64) as u64];
                let [c, d] = [upper as u64, (upper >> 64) as u64];
                ([head, a, b, c, d], 5)
            }
        };
        self.sip(words.get(..count).unwrap_or(&words), [key.proto, key.version])
    }

    /// [`Self::hash`] for whoever does it for each packet: of most keys without a call.
    #[inline]
    pub(super) fn hash_of_packet(&self, key: &Key) -> u32 {
        match key.addresses() {
            Some(addresses) => self.sip(&[key.head(), addresses], [key.proto, key.version]),
            None => self.hash(key),
        }
    }

    /// SipHash-1-3 of whole words and two octets behind them. The standard library's is the same
    /// function behind an interface for streams of bytes, which costs more than the function.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "any 32 bits of the hash do")]
    fn sip(&self, words: &[u64], [first, second]: [u8; 2]) -> u32 {
        let mut a = self.0 ^ 0x736f_6d65_7073_6575;
        let mut b = self.1 ^ 0x646f_7261_6e64_6f6d;
        let mut c = self.0 ^ 0x6c79_6765_6e65_7261;
        let mut d = self.1 ^ 0x7465_6462_7974_6573;
        for &word in words {
            d ^= word;
            (a, b, c, d) = round(a, b, c, d);
            a ^= word;
        }
        let length = (words.len() as u64) << 59 | 2 << 56;
        let last = length | u64::from(first) | u64::from(second) << 8;
        d ^= last;
        (a, b, c, d) = round(a, b, c, d);
        a ^= last;
        c ^= 0xff;
        for _ in 0..3 {
            (a, b, c, d) = round(a, b, c, d);
        }
        (a ^ b ^ c ^ d) as u32
    }
}

/// A SipRound.
#[inline]
const fn round(a: u64, b: u64, c: u64, d: u64) -> (u64, u64, u64, u64) {
    let (a, c) = (a.wrapping_add(b), c.wrapping_add(d));
    let (b, d) = (b.rotate_left(13) ^ a, d.rotate_left(16) ^ c);
    let (a, c) = (a.rotate_left(32).wrapping_add(d), c.wrapping_add(b));
    (a, b.rotate_left(17) ^ c, c.rotate_left(32), d.rotate_left(21) ^ a)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(src: [u8; 4], sport: u16, dst: [u8; 4], dport: u16) -> Tuple {
        let wide = |a: [u8; 4]| {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&a);
            wide
        };
        Tuple { version: 4, proto: 17, src: wide(src), dst: wide(dst), sport, dport }
    }

    #[test]
    fn both_directions_share_a_key() {
        let there = tuple([10, 0, 0, 9], 1000, [9, 255, 0, 1], 53);
        let back = tuple([9, 255, 0, 1], 53, [10, 0, 0, 9], 1000);
        let (key, side) = Key::of(1, 2, &there, None);
        assert_eq!((key, side.other()), Key::of(1, 2, &back, None));
        assert_eq!(side, Side::Upper);
        assert_eq!(key.ip(Side::Lower), IpAddr::from([9, 255, 0, 1]));
    }

    #[test]
    fn equal_addresses_are_ordered_by_port() {
        let lo = [127, 0, 0, 1];
        let (key, side) = Key::of(0, 0, &tuple(lo, 99, lo, 7), None);
        assert_eq!((key.port.lower, side), (7, Side::Upper));
    }

    #[test]
    fn interface_vlan_and_protocol_tell_flows_apart() {
        let seed = Seed::FIXED;
        let plain = tuple([1, 1, 1, 1], 5, [2, 2, 2, 2], 6);
        let other = Tuple { proto: 6, ..plain };
        let keys = [(0, 0, plain), (1, 0, plain), (0, 1, plain), (0, 0, other)]
            .map(|(iface, vlan, t)| Key::of(iface, vlan, &t, None).0);
        for (i, a) in keys.iter().enumerate() {
            for b in &keys[..i] {
                assert_ne!(a, b);
                assert_ne!(seed.hash(a), seed.hash(b));
            }
        }
    }

    #[test]
    fn dhcp_clients_without_an_address_are_told_apart_by_mac() {
        let discover = tuple([0; 4], 68, [255; 4], 67);
        let (one, _) = Key::of(0, 0, &discover, Some(&[2, 0, 0, 0, 0, 1]));
        let (two, _) = Key::of(0, 0, &discover, Some(&[2, 0, 0, 0, 0, 2]));
        assert_ne!(one, two);
        assert_ne!(Seed::FIXED.hash(&one), Seed::FIXED.hash(&two));
        assert_eq!(one.ip(Side::Lower), IpAddr::from([0, 0, 0, 0]));
        let named = tuple([10, 0, 0, 1], 68, [255; 4], 67);
        let (three, _) = Key::of(0, 0, &named, Some(&[2, 0, 0, 0, 0, 1]));
        assert_eq!(three, Key::of(0, 0, &named, None).0);
    }

    #[test]
    fn the_hash_is_that_of_the_standard_library() {
        use std::hash::{DefaultHasher, Hasher as _};
        let words = [1_u64, u64::MAX, 0x0123_4567_89ab_cdef];
        let mut hasher = DefaultHasher::new();
        hasher.write(words.map(u64::to_le_bytes).as_flattened());
        hasher.write(&[0xfe, 4]);
        assert_eq!(Seed::FIXED.sip(&words, [0xfe, 4]), hasher.finish() as u32);
    }

    #[test]
    fn packets_find_the_flows_of_their_keys() {
        let seed = Seed::random();
        let plain = tuple([10, 0, 0, 1], 68, [192, 0, 2, 9], 67);
        let wide = Tuple { version: 6, src: [7; 16], dst: [9; 16], ..plain };
        let discover = tuple([0; 4], 68, [255; 4], 67);
        for tuple in [plain, wide, discover] {
            let (key, _) = Key::of(1, 2, &tuple, Some(&[2, 0, 0, 0, 0, 1]));
            assert_eq!(seed.hash_of_packet(&key), seed.hash(&key));
        }
    }

    #[test]
    fn a_fixed_seed_repeats_and_random_seeds_differ() {
        let (key, _) = Key::of(3, 4, &tuple([1, 2, 3, 4], 5, [6, 7, 8, 9], 10), None);
        assert_eq!(Seed::FIXED.hash(&key), Seed::FIXED.hash(&key));
        let hashes: std::collections::HashSet<u32> =
            (0..8).map(|_| Seed::random().hash(&key)).collect();
        assert!(hashes.len() > 1);
    }
}
