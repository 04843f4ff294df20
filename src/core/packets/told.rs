//! Which names a stream holds already, so that each address is named once, and in time.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::core::names::{Known, MAX_NAMES, Names};
use crate::wire::decode::{Packet, Tuple};

/// Addresses of late packets of which it is remembered that nothing new is known of them. Others
/// that fall on the same place are looked up once more, no worse.
const RECENT: usize = 1_024;

/// What a stream holds.
#[derive(Debug)]
pub(super) struct Told {
    /// For each place of a name the lower half of the number of the one that was told last.
    names: Box<[u32]>,
    /// A print of an address, and how far names had come when it was looked up.
    recent: Box<[(u64, u64)]>,
    key: [u64; 2],
}

impl Told {
    /// Nothing is told.
    pub(super) fn new() -> Self {
        let random = RandomState::new();
        Self {
            names: vec![0; MAX_NAMES].into(),
            recent: vec![(0, 0); RECENT].into(),
            key: [random.hash_one(1_u8), random.hash_one(2_u8)],
        }
    }

    /// Hands out the addresses of a packet, those of tunnels included, that have a name which was
    /// not told yet.
    #[inline]
    pub(super) fn untold<'a>(
        &mut self,
        packet: &Packet,
        names: &'a Names,
        mut f: impl FnMut(IpAddr, &'a str),
    ) {
        let Some(datagram) = &packet.datagram else { return };
        let carriers = packet.carriers().iter().map(|carrier| &carrier.tuple);
        for tuple in std::iter::once(&datagram.tuple).chain(carriers) {
            for address in [&tuple.src, &tuple.dst] {
                let number = u128::from_ne_bytes(*address);
                if !self.is_new(tuple.version, number, names.sequence()) {
                    continue;
                }
                let ip = ip(tuple, address);
                if let Some(known) = names.find(ip)
                    && self.tell(&known)
                {
                    f(ip, known.name);
                }
            }
        }
    }

    /// Whether something may be known of an address that was not when it was last seen.
    #[inline]
    fn is_new(&mut self, version: u8, address: u128, sequence: u64) -> bool {
        let [k0, k1] = self.key;
        let (low, high) = (address as u64, (address >> 64) as u64);
        let wide = u128::from(low ^ k0 ^ u64::from(version)).wrapping_mul(u128::from(high ^ k1));
        let print = (wide as u64) ^ ((wide >> 64) as u64);
        let at = usize::try_from(print >> 54).unwrap_or(0);
        let Some(recent) = self.recent.get_mut(at) else { return true };
        std::mem::replace(recent, (print, sequence)) != (print, sequence)
    }

    /// Notes that a name is told; `false` if it was before.
    fn tell(&mut self, known: &Known<'_>) -> bool {
        let number = known.sequence as u32;
        let Some(told) = self.names.get_mut(usize::from(known.place)) else { return false };
        std::mem::replace(told, number) != number
    }
}

fn ip(tuple: &Tuple, address: &[u8; 16]) -> IpAddr {
    if tuple.version == 4 {
        let [a, b, c, d, ..] = *address;
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        Ipv6Addr::from(*address).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode::{Carrier, Datagram, Tunnel};

    fn tuple(from: u8, to: u8) -> Tuple {
        let mut tuple = Tuple { version: 4, ..Tuple::default() };
        tuple.src[..4].copy_from_slice(&[10, 0, 0, from]);
        tuple.dst[..4].copy_from_slice(&[10, 0, 0, to]);
        tuple
    }

    fn packet(from: u8, to: u8) -> Packet {
        let mut packet = Packet::default();
        packet.datagram = Some(Datagram { tuple: tuple(from, to), ..Datagram::default() });
        packet
    }

    fn untold(told: &mut Told, packet: &Packet, names: &Names) -> Vec<String> {
        let mut out = Vec::new();
        told.untold(packet, names, |ip, name| out.push(format!("{ip} {name}")));
        out
    }

    #[test]
    fn each_address_is_named_once_as_soon_as_it_has_a_name() {
        let (mut told, mut names) = (Told::new(), Names::default());
        let ip = |n| IpAddr::from([10, 0, 0, n]);
        names.learn(ip(1), "one");
        assert_eq!(untold(&mut told, &packet(1, 2), &names), ["10.0.0.1 one"]);
        assert_eq!(untold(&mut told, &packet(1, 2), &names), [""; 0]);
        names.learn(ip(2), "two");
        assert_eq!(untold(&mut told, &packet(2, 1), &names), ["10.0.0.2 two"]);
        // A newer name of the same address is news, the older one again is not.
        names.learn(ip(1), "uno");
        assert_eq!(untold(&mut told, &packet(1, 2), &names), ["10.0.0.1 uno"]);
        names.learn(ip(1), "one");
        assert_eq!(untold(&mut told, &packet(1, 2), &names), [""; 0]);
        let mut carried = packet(8, 9);
        carried.push_carrier(Carrier { tuple: tuple(3, 4), tunnel: Tunnel::Gre });
        names.learn(ip(4), "carrier");
        assert_eq!(untold(&mut told, &carried, &names), ["10.0.0.4 carrier"]);
    }

    #[test]
    fn many_addresses_are_each_named_once() {
        let (mut told, mut names) = (Told::new(), Names::default());
        for n in 0..250 {
            names.learn([10, 0, 0, n].into(), &format!("n{n}"));
        }
        let mut all = Vec::new();
        for _ in 0..4 {
            for n in 0..250 {
                all.extend(untold(&mut told, &packet(n, n), &names));
            }
        }
        assert_eq!(all.len(), 250);
    }
}
