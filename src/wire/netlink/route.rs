//! Routes (linux/rtnetlink.h).

use std::net::IpAddr;

use super::{Attributes, Error, FLAG_REPLACE, Raw, aligned, ip_of, split, u32_of};

/// A route (RTM_NEWROUTE).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Route<'a> {
    /// AF_INET or AF_INET6.
    pub family: u8,
    /// Length of the destination's prefix; 0 for a default route.
    pub prefix: u8,
    /// RTN_: 1 is a route that leads somewhere.
    pub kind: u8,
    /// RT_TABLE_: 254 main, 255 local.
    pub table: u32,
    /// RTPROT_: who made it: 2 the kernel, 3 boot, 4 an administrator.
    pub protocol: u8,
    /// RTA_PREFSRC: the address that packets sent along it come from.
    pub source: Option<IpAddr>,
    /// RTM_F_CLONED: a cache entry, no configuration.
    pub is_cache: bool,
    /// It took the place of the one with the same table, destination and priority.
    pub replaces: bool,
    /// RTA_DST.
    pub destination: Option<IpAddr>,
    /// RTA_OIF.
    pub ifindex: Option<u32>,
    /// RTA_GATEWAY; RTA_VIA for IPv4 routes with an IPv6 gateway.
    pub gateway: Option<IpAddr>,
    /// RTA_PRIORITY, the metric.
    pub priority: u32,
    /// RTA_PREF: 0 medium, 1 high, 3 low (RFC 4191).
    pub preference: u8,
    /// RTA_MULTIPATH: read it by [`Route::hops`].
    pub multipath: &'a [u8],
}

impl<'a> Route<'a> {
    /// RTN_LOCAL: leads to the machine itself.
    pub const LOCAL: u8 = 2;

    pub(super) fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        // struct rtmsg: family, two prefix lengths, tos, table, protocol, scope, type, flags.
        let (fixed, rest) = split::<12>(raw.body)?;
        let [family, prefix, _, _, table, protocol, _, kind, f0, f1, f2, f3] = *fixed;
        let mut route = Self {
            family,
            prefix,
            kind,
            protocol,
            table: u32::from(table),
            is_cache: u32::from_ne_bytes([f0, f1, f2, f3]) & 0x200 != 0,
            // Notifications have the number of the request that caused them; answers to dumps
            // never have this flag.
            replaces: raw.flags & FLAG_REPLACE != 0,
            ..Self::default()
        };
        for (kind, value) in Attributes::new(rest) {
            match kind {
                1 => route.destination = ip_of(family, value),
                4 => route.ifindex = u32_of(value),
                5 => route.gateway = ip_of(family, value),
                6 => route.priority = u32_of(value).unwrap_or(0),
                7 => route.source = ip_of(family, value),
                9 => route.multipath = value,
                15 => route.table = u32_of(value).unwrap_or(route.table),
                18 => route.gateway = via_of(value),
                20 => route.preference = value.first().copied().unwrap_or(0),
                _ => {}
            }
        }
        Ok(route)
    }

    /// Whether it leads everywhere.
    #[must_use]
    pub fn is_default(&self) -> bool {
        const UNICAST: u8 = 1;
        self.prefix == 0 && self.kind == UNICAST && !self.is_cache
    }

    /// The interfaces and gateways it leads to: one, or those of a multipath route.
    pub fn hops(&self) -> impl Iterator<Item = (u32, Option<IpAddr>)> + use<'a> {
        let single = self.ifindex.map(|ifindex| (ifindex, self.gateway));
        let hops = Hops { family: self.family, rest: self.multipath };
        single.into_iter().chain(hops)
    }
}

/// `struct rtnexthop` after `struct rtnexthop`.
struct Hops<'a> {
    family: u8,
    rest: &'a [u8],
}

impl Iterator for Hops<'_> {
    type Item = (u32, Option<IpAddr>);

    fn next(&mut self) -> Option<Self::Item> {
        let [l0, l1, _, _, i0, i1, i2, i3]: [u8; 8] = *self.rest.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let attributes = self.rest.get(8..len)?;
        self.rest = self.rest.get(aligned(len)..).unwrap_or(&[]);
        let gateway = Attributes::new(attributes).find_map(|(kind, value)| match kind {
            5 => ip_of(self.family, value),
            18 => via_of(value),
            _ => None,
        });
        Some((u32::from_ne_bytes([i0, i1, i2, i3]), gateway))
    }
}

/// `struct rtvia`: a family of 16 bits and an address of it.
fn via_of(value: &[u8]) -> Option<IpAddr> {
    let (family, address) = value.split_first_chunk::<2>()?;
    ip_of(u8::try_from(u16::from_ne_bytes(*family)).ok()?, address)
}

#[cfg(test)]
mod tests {
    use crate::wire::netlink::testing::{first, message};
    use crate::wire::netlink::{Message, NEW_ROUTE};

    #[test]
    fn a_multipath_route_leads_to_each_of_its_hops() {
        let fixed = [2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
        let hop = |ifindex: u32, last: u8| {
            let mut bytes = 16_u16.to_ne_bytes().to_vec();
            bytes.extend([0, 0]);
            bytes.extend(ifindex.to_ne_bytes());
            bytes.extend(8_u16.to_ne_bytes());
            bytes.extend(5_u16.to_ne_bytes());
            bytes.extend([192, 0, 2, last]);
            bytes
        };
        let hops = [hop(3, 1), hop(4, 2)].concat();
        let bytes = message(NEW_ROUTE, &fixed, &[(6, &100_u32.to_ne_bytes()), (9, &hops)]);
        let Ok(Message::NewRoute(route)) = Message::decode(&first(&bytes)) else {
            panic!("no route");
        };
        assert!(route.is_default());
        assert_eq!((route.table, route.priority), (254, 100));
        let expected =
            [(3, Some("192.0.2.1".parse().unwrap())), (4, Some("192.0.2.2".parse().unwrap()))];
        assert_eq!(route.hops().collect::<Vec<_>>(), expected);
    }
}
