//! Addresses of interfaces (linux/if_addr.h).

use std::net::IpAddr;

use super::{Attributes, Error, ip_of, split, u32_of};

/// An address of an interface (RTM_NEWADDR).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Address {
    /// AF_INET or AF_INET6.
    pub family: u8,
    /// Length of the prefix that is reached through it.
    pub prefix: u8,
    /// RT_SCOPE_: 0 global, 253 link, 254 host.
    pub scope: u8,
    /// IFA_F_ flags, those beyond the first eight from IFA_FLAGS.
    pub flags: u32,
    /// The interface.
    pub ifindex: u32,
    /// The machine's own address.
    pub local: Option<IpAddr>,
    /// The other end of a point-to-point link; the prefix is around it then.
    pub peer: Option<IpAddr>,
    /// The broadcast address.
    pub broadcast: Option<IpAddr>,
    /// IFA_CACHEINFO: for how many seconds it is preferred, and valid; all ones for ever.
    pub lifetimes: Option<(u32, u32)>,
}

impl Address {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        let (fixed, rest) = split::<8>(body)?;
        let [family, prefix, flags, scope, i0, i1, i2, i3] = *fixed;
        let mut address = Self {
            family,
            prefix,
            scope,
            flags: u32::from(flags),
            ifindex: u32::from_ne_bytes([i0, i1, i2, i3]),
            ..Self::default()
        };
        let (mut near, mut far) = (None, None);
        for (kind, value) in Attributes::new(rest) {
            match kind {
                1 => far = ip_of(family, value),
                2 => near = ip_of(family, value),
                4 => address.broadcast = ip_of(family, value),
                6 => {
                    let valid = value.get(4..).and_then(|rest| rest.first_chunk());
                    address.lifetimes = value.first_chunk().zip(valid).map(|(preferred, valid)| {
                        (u32::from_ne_bytes(*preferred), u32::from_ne_bytes(*valid))
                    });
                }
                8 => address.flags = u32_of(value).unwrap_or(address.flags),
                _ => {}
            }
        }
        // IFA_ADDRESS is the peer where there is one, and then IFA_LOCAL is there as well.
        address.local = near.or(far);
        address.peer = far.filter(|far| near.is_some_and(|near| near != *far));
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::netlink::testing::{first, message};
    use crate::wire::netlink::{DEL_ADDRESS, Message, NEW_ADDRESS};
    use std::net::Ipv6Addr;

    #[test]
    fn a_point_to_point_address_has_a_peer_and_a_plain_one_has_none() {
        let fixed = [2, 32, 0x80, 0, 9, 0, 0, 0];
        let both: [(u16, &[u8]); 2] = [(1, &[10, 0, 0, 1]), (2, &[10, 0, 0, 2])];
        let bytes = message(NEW_ADDRESS, &fixed, &both);
        let Ok(Message::NewAddress(address)) = Message::decode(&first(&bytes)) else {
            panic!("no address");
        };
        assert_eq!(address.local, Some("10.0.0.2".parse().unwrap()));
        assert_eq!(address.peer, Some("10.0.0.1".parse().unwrap()));

        let same: [(u16, &[u8]); 3] =
            [(1, &[10, 0, 0, 2]), (2, &[10, 0, 0, 2]), (4, &[10, 0, 0, 255])];
        let bytes = message(DEL_ADDRESS, &fixed, &same);
        let Ok(Message::DelAddress(address)) = Message::decode(&first(&bytes)) else {
            panic!("no address");
        };
        assert_eq!(address.peer, None);
        assert_eq!(address.broadcast, Some("10.0.0.255".parse().unwrap()));

        let v6 = Ipv6Addr::LOCALHOST.octets();
        let bytes = message(NEW_ADDRESS, &[10, 128, 0, 254, 1, 0, 0, 0], &[(1, &v6)]);
        let Ok(Message::NewAddress(address)) = Message::decode(&first(&bytes)) else {
            panic!("no address");
        };
        assert_eq!(address.local, Some(Ipv6Addr::LOCALHOST.into()));
    }
}
