//! Connections as sock_diag(7) tells them (linux/inet_diag.h): the same as the tables of `/proc`,
//! several times as fast where the machine has room for many.

use std::net::IpAddr;

use super::{Error, FAMILY_INET, FAMILY_INET6, Raw, Request, ip_of, split};

/// SOCK_DIAG_BY_FAMILY, the type of requests and answers.
const BY_FAMILY: u16 = 20;
/// IPPROTO_TCP.
const TCP: u8 = 6;

/// A connection, or a socket that waits for some.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Connection {
    /// TCP_ of net/tcp_states.h.
    pub state: u8,
    /// The near end.
    pub local: (IpAddr, u16),
    /// The far end, zeroes without one.
    pub remote: (IpAddr, u16),
    /// What tells its socket from others; 0 once no process has it.
    pub inode: u32,
}

impl Connection {
    /// Asks for all of TCP over IPv4, or over IPv6.
    #[must_use]
    pub fn dump(sequence: u32, v6: bool) -> Vec<u8> {
        // struct inet_diag_req_v2: family, protocol, extensions, padding, states, identity.
        let mut fixed = [0; 56];
        let (head, _) = fixed.split_at_mut(8);
        let family = if v6 { FAMILY_INET6 } else { FAMILY_INET };
        for (to, from) in head.iter_mut().zip([family, TCP, 0, 0, 0xff, 0xff, 0xff, 0xff]) {
            *to = from;
        }
        Request::new(BY_FAMILY, super::FLAG_DUMP, sequence, &fixed).finish()
    }

    /// Reads an answer; `None` for another message.
    ///
    /// # Errors
    /// The message is too short.
    pub fn parse(raw: &Raw<'_>) -> Result<Option<Self>, Error> {
        if raw.kind != BY_FAMILY {
            return Ok(None);
        }
        // struct inet_diag_msg: family, state, timer, retransmissions, identity (ports, addresses,
        // interface, cookie), expiry, queues, user, inode.
        let (fixed, _) = split::<72>(raw.body)?;
        let [family, state, _, _, s0, s1, d0, d1, rest @ ..] = *fixed;
        let length = if family == FAMILY_INET { 4 } else { 16 };
        let (source, rest) = rest.split_at(16);
        let (destination, rest) = rest.split_at(16);
        let address = |bytes: &[u8]| ip_of(family, bytes.get(..length)?);
        let (Some(near), Some(far)) = (address(source), address(destination)) else {
            return Ok(None);
        };
        let inode = rest.last_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        Ok(Some(Self {
            state,
            local: (near, u16::from_be_bytes([s0, s1])),
            remote: (far, u16::from_be_bytes([d0, d1])),
            inode,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::netlink::testing::{first, message};

    #[test]
    fn an_answer_says_both_ends_and_the_socket() {
        let mut body = vec![2, 1, 0, 0, 0, 80, 0xd4, 0x31];
        body.extend([10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        body.extend([10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        body.extend([0; 28]);
        body.extend(7_u32.to_ne_bytes());
        let bytes = message(BY_FAMILY, &body, &[]);
        let found = Connection::parse(&first(&bytes)).unwrap().unwrap();
        assert_eq!(found.local, ("10.0.0.1".parse().unwrap(), 80));
        assert_eq!(found.remote, ("10.0.0.2".parse().unwrap(), 54_321));
        assert_eq!((found.state, found.inode), (1, 7));
        let short = message(BY_FAMILY, &body[..60], &[]);
        assert!(Connection::parse(&first(&short)).is_err());
        let other = message(16, &body, &[]);
        assert_eq!(Connection::parse(&first(&other)), Ok(None));
    }
}
