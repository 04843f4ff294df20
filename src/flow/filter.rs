//! Which flows a listing wants: a conjunction of plain conditions, each cheap enough to try on
//! every flow of the table.

use std::net::IpAddr;

use super::entry::{Flow, State};
use super::key::Side;
use super::record::Record;

/// Conditions on a flow; those that are `None` hold for all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Seen on this interface slot.
    pub iface: Option<u16>,
    /// VLAN id, 0 for untagged.
    pub vlan: Option<u16>,
    /// 4 or 6.
    pub version: Option<u8>,
    /// IP protocol number.
    pub proto: Option<u8>,
    /// Either end lies in this network.
    pub host: Option<Hosts>,
    /// Either end has this port.
    pub port: Option<u16>,
    /// Either end has this hardware address.
    pub mac: Option<[u8; 6]>,
    /// How far it has come.
    pub state: Option<State>,
    /// Whether it has been answered.
    pub established: Option<bool>,
    /// Whether it is the outside of a tunnel.
    pub carrier: Option<bool>,
}

/// One address, or the network around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hosts {
    version: u8,
    bits: u128,
    mask: u128,
}

impl Hosts {
    /// The hosts that share the first `prefix` bits with `address`; `None` if it has fewer.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let (version, bits, length) = match address {
            IpAddr::V4(v4) => (4, u128::from(v4.to_bits()) << 96, 32),
            IpAddr::V6(v6) => (6, v6.to_bits(), 128),
        };
        if prefix > length {
            return None;
        }
        let mask = !u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        Some(Self { version, bits: bits & mask, mask })
    }

    /// This address and no other.
    #[must_use]
    pub fn exactly(address: IpAddr) -> Self {
        let length = if address.is_ipv4() { 32 } else { 128 };
        Self::new(address, length).unwrap_or(Self { version: 0, bits: 0, mask: 0 })
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::new(address, 0).is_some_and(|all| all.version == self.version)
            && Self::exactly(address).bits & self.mask == self.bits
    }

    fn holds(&self, address: &[u8; 16]) -> bool {
        u128::from_be_bytes(*address) & self.mask == self.bits
    }
}

impl Query {
    /// Whether the flow meets all conditions.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        let key = flow.key();
        let either = |holds: &dyn Fn(Side) -> bool| holds(Side::Lower) || holds(Side::Upper);
        is(self.iface, key.iface)
            && is(self.vlan, key.vlan)
            && is(self.version, key.version)
            && is(self.proto, key.proto)
            && is(self.state, flow.state())
            && is(self.established, flow.is_established())
            && is(self.carrier, flow.is_carrier())
            && self.port.is_none_or(|port| either(&|side| *key.port.of(side) == port))
            && self.host.is_none_or(|hosts| {
                hosts.version == key.version && either(&|side| hosts.holds(key.address.of(side)))
            })
            && self.mac.is_none_or(|mac| either(&|side| *flow.macs().of(side) == mac))
    }

    /// The same for a flow that may have left the table.
    #[must_use]
    pub fn matches_record(&self, record: &Record) -> bool {
        let ends = [&record.initiator, &record.responder];
        is(self.iface, record.iface)
            && is(self.vlan, record.vlan)
            && is(self.version, record.version)
            && is(self.proto, record.proto)
            && is(self.state, record.state)
            && is(self.carrier, record.is_carrier)
            && self.established.is_none_or(|wanted| wanted == (record.responder.packets > 0))
            && self.port.is_none_or(|port| ends.iter().any(|end| end.port == port))
            && self.host.is_none_or(|hosts| ends.iter().any(|end| hosts.contains(end.ip)))
            && self.mac.is_none_or(|mac| ends.iter().any(|end| end.mac == Some(mac)))
    }
}

fn is<T: PartialEq>(wanted: Option<T>, actual: T) -> bool {
    wanted.is_none_or(|wanted| wanted == actual)
}
