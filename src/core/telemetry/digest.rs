//! Digests of flows as consumers of Netify's telemetry join records by them: SHA-1 of what makes a
//! flow (the first digest), and of that with what it was found to be. No time enters them: the same
//! ends seen again have the same digests.

use sha1::{Digest as _, Sha1};

use crate::detect::{Fact, Outcome};
use crate::flow::{Key, Side};

/// One digest; shown as hexadecimal digits.
pub type Digest = [u8; 20];

/// Digests kept of a flow. Of one that is found to be something else more often than that, the
/// third is forgotten: the first two are what others know it by.
const MAX_DIGESTS: usize = 8;

/// The digests of a flow, in the order in which they were made.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Digests(Vec<Digest>);

impl Digests {
    /// Takes in what is known of a flow now; `interface` is where it was seen.
    pub(super) fn update(&mut self, interface: &str, key: &Key, what: &Outcome) {
        let base = base(interface, key);
        if self.0.is_empty() {
            self.0.push(base.clone().finalize().into());
        }
        let known = metadata(base, what);
        if self.0.last() != Some(&known) {
            if self.0.len() >= MAX_DIGESTS {
                self.0.remove(2);
            }
            self.0.push(known);
        }
    }

    /// The latest one, and those before it.
    #[must_use]
    pub fn latest(&self) -> (Digest, &[Digest]) {
        match self.0.split_last() {
            Some((last, before)) => (*last, before),
            None => (Digest::default(), &[]),
        }
    }

    /// The one that the flow was first told with, and those before it: it stays as it is.
    #[must_use]
    pub fn told(&self) -> (Digest, &[Digest]) {
        match self.0.split_at_checked(1) {
            Some((before, [told, ..])) => (*told, before),
            _ => self.latest(),
        }
    }
}

/// What makes a flow. Addresses and ports lie in numerical order already.
fn base(interface: &str, key: &Key) -> Sha1 {
    let mut hash = Sha1::new();
    let octets = if key.version == 4 { 4 } else { 16 };
    let lower = key.address.of(Side::Lower);
    let upper = key.address.of(Side::Upper);
    let address = |whole: &'_ [u8; 16]| -> Vec<u8> { whole.iter().copied().take(octets).collect() };
    hash.update(interface.as_bytes());
    hash.update([key.version, key.proto]);
    hash.update(key.vlan.to_be_bytes());
    hash.update(address(lower));
    hash.update(address(upper));
    if key.version == 4 && address(lower) == [0; 4] && address(upper) == [255; 4] {
        // A DHCP client without an address is told apart by its hardware address, which lies
        // behind the place of the address.
        hash.update(lower.get(4..10).unwrap_or_default());
    }
    hash.update(key.port.of(Side::Lower).to_be_bytes());
    hash.update(key.port.of(Side::Upper).to_be_bytes());
    hash
}

fn metadata(mut hash: Sha1, what: &Outcome) -> Digest {
    hash.update(what.protocol.0.to_be_bytes());
    hash.update(what.application.to_be_bytes());
    for fact in [Fact::Host, Fact::InfoHash] {
        hash.update(what.facts.get(fact).unwrap_or_default());
    }
    hash.finalize().into()
}

/// As consumers know it: 40 digits in lower case.
#[must_use]
pub fn text(digest: &Digest) -> String {
    let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or('0');
    digest.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Protocol;
    use crate::wire::decode::Tuple;

    fn key(source: [u8; 4], sport: u16, target: [u8; 4], dport: u16) -> Key {
        let wide = |a: [u8; 4]| {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&a);
            wide
        };
        let (src, dst) = (wide(source), wide(target));
        let tuple = Tuple { version: 4, proto: 17, src, dst, sport, dport };
        Key::of(0, 7, &tuple, Some(&[2, 0, 0, 0, 0, 9])).0
    }

    #[test]
    fn the_first_digest_is_that_of_interface_and_ends_in_numerical_order() {
        let key = key([192, 0, 2, 9], 40_000, [192, 0, 2, 1], 53);
        let mut input = b"br-lan\x04\x11\x00\x07".to_vec();
        input.extend_from_slice(&[192, 0, 2, 1, 192, 0, 2, 9, 0, 53, 0x9c, 0x40]);
        let mut digests = Digests::default();
        digests.update("br-lan", &key, &Outcome::default());
        assert_eq!(digests.latest().1, [<Digest>::from(Sha1::digest(&input))]);
        let named = Outcome { protocol: Protocol::DNS, ..Outcome::default() };
        input.extend_from_slice(&[0, 5, 0, 0]);
        digests.update("br-lan", &key, &named);
        digests.update("br-lan", &key, &named);
        let (latest, before) = digests.latest();
        assert_eq!((text(&latest), before.len()), (text(&Sha1::digest(&input).into()), 2));
        assert_eq!(digests.told().1.len(), 1);
    }

    #[test]
    fn a_client_without_an_address_is_told_apart_by_its_hardware_address() {
        let key = key([0; 4], 68, [255; 4], 67);
        let mut input = b"e\x04\x11\x00\x07\0\0\0\0\xff\xff\xff\xff\x02\0\0\0\0\x09".to_vec();
        input.extend_from_slice(&[0, 68, 0, 67]);
        let mut digests = Digests::default();
        digests.update("e", &key, &Outcome::default());
        assert_eq!(digests.latest().1, [<Digest>::from(Sha1::digest(&input))]);
    }

    #[test]
    fn a_flow_that_changes_for_ever_keeps_its_first_digests() {
        let key = key([10, 0, 0, 1], 1, [10, 0, 0, 2], 2);
        let mut digests = Digests::default();
        for application in 0..100 {
            digests.update("e", &key, &Outcome { application, ..Outcome::default() });
        }
        assert_eq!(digests.0.len(), MAX_DIGESTS);
        let mut fresh = Digests::default();
        fresh.update("e", &key, &Outcome::default());
        assert_eq!(digests.told(), fresh.told());
    }
}
