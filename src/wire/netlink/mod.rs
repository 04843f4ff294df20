//! Routing netlink messages (rtnetlink(7), linux/rtnetlink.h, linux/if_link.h): what the kernel
//! sends, read into borrowed values, and the requests that make it send. Numbers are in the byte
//! order of the machine unless said otherwise.
//!
//! Unknown messages and attributes are skipped: kernels add them all the time. An attribute of
//! the wrong length counts as absent; only a message that is too short for its fixed part is an
//! error.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

mod address;
pub mod conntrack;
mod diag;
mod link;
mod neighbour;
mod request;
mod route;

pub use address::Address;
pub use diag::Connection;
pub use link::{
    BondPort, Function, Info, LINK_ALL_MULTICAST, LINK_BROADCAST, LINK_DEBUG, LINK_DORMANT,
    LINK_LOOPBACK, LINK_LOWER_UP, LINK_MASTER, LINK_MULTICAST, LINK_NO_ARP, LINK_POINT_TO_POINT,
    LINK_PROMISCUOUS, LINK_RUNNING, LINK_SLAVE, LINK_UP, Link, LinkStatistics,
};
pub use neighbour::Neighbour;
pub use request::Request;
pub use route::Route;

/// `struct nlmsghdr`.
const HEADER_LEN: usize = 16;
/// `struct nlattr`.
const ATTRIBUTE_LEN: usize = 4;
/// The flags NESTED and NET_BYTEORDER in an attribute's type.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// Message types.
const DONE: u16 = 3;
const ERROR: u16 = 2;
const NEW_LINK: u16 = 16;
const DEL_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const DEL_ADDRESS: u16 = 21;
const GET_ADDRESS: u16 = 22;
const NEW_ROUTE: u16 = 24;
const DEL_ROUTE: u16 = 25;
const GET_ROUTE: u16 = 26;
const NEW_NEIGHBOUR: u16 = 28;
const DEL_NEIGHBOUR: u16 = 29;
const GET_NEIGHBOUR: u16 = 30;
const NEW_NAMESPACE_ID: u16 = 88;
const GET_NAMESPACE_ID: u16 = 90;

/// The answer is one message or a dump; the kernel says so in the flags of requests and answers.
const FLAG_REQUEST: u16 = 0x1;
const FLAG_DUMP: u16 = 0x300;
/// In an answer: the table changed while it was dumped.
const FLAG_DUMP_INTERRUPTED: u16 = 0x10;
/// In a notification of a route: it took the place of another.
const FLAG_REPLACE: u16 = 0x100;

/// Address families.
const FAMILY_INET: u8 = 2;
const FAMILY_INET6: u8 = 10;

/// A message that can't be what its type says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// Shorter than the fixed part.
    Truncated {
        /// Bytes of the fixed part.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Truncated { need, have } = self;
        write!(f, "netlink message of {have} bytes where {need} are needed")
    }
}

impl std::error::Error for Error {}

/// The messages of one datagram; ends for good at the first length that can't be.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// Starts at the beginning of a datagram.
    #[must_use]
    pub fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let header: &[u8; HEADER_LEN] = self.rest.first_chunk()?;
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, p0, p1, p2, p3] = *header;
        let len = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let body = self.rest.get(HEADER_LEN..len)?;
        self.rest = self.rest.get(aligned(len)..).unwrap_or(&[]);
        Some(Raw {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            port: u32::from_ne_bytes([p0, p1, p2, p3]),
            body,
        })
    }
}

/// One message, its meaning not read yet.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a> {
    /// The message type.
    pub kind: u16,
    /// NLM_F_ flags.
    pub flags: u16,
    /// The number of the request that this answers; 0 for notifications.
    pub sequence: u32,
    /// The port of the socket that asked.
    pub port: u32,
    /// Everything behind the header.
    pub body: &'a [u8],
}

impl Raw<'_> {
    /// The table changed while it was dumped: what came may be incomplete.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        // Notifications of routes use the same bits for something else; answers have a number.
        self.sequence != 0 && self.flags & FLAG_DUMP_INTERRUPTED != 0
    }
}

/// The attributes behind a fixed part, or within an attribute; ends for good at the first length
/// that can't be.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Starts at the first attribute.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Attributes<'a> {
    /// Type without flag bits, and contents.
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [l0, l1, k0, k1]: [u8; ATTRIBUTE_LEN] = *self.rest.first_chunk()?;
        let len = usize::from(u16::from_ne_bytes([l0, l1]));
        let contents = self.rest.get(ATTRIBUTE_LEN..len)?;
        self.rest = self.rest.get(aligned(len)..).unwrap_or(&[]);
        Some((u16::from_ne_bytes([k0, k1]) & ATTRIBUTE_TYPE, contents))
    }
}

/// A message with its meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Message<'a> {
    /// An address was removed.
    DelAddress(Address),
    /// An interface was removed.
    DelLink(Link<'a>),
    /// A neighbour was forgotten.
    DelNeighbour(Neighbour),
    /// A route was removed.
    DelRoute(Route<'a>),
    /// The dump is complete.
    Done {
        /// 0, or what went wrong as a positive `errno`.
        errno: i32,
    },
    /// The answer to a request without a dump.
    Error {
        /// 0 for an acknowledgement, else a positive `errno`.
        errno: i32,
    },
    /// The number of a namespace as another one sees it; `None` if it has none there.
    NamespaceId(Option<u32>),
    /// An address exists or is new.
    NewAddress(Address),
    /// An interface exists, is new or has changed.
    NewLink(Link<'a>),
    /// A neighbour exists or has changed.
    NewNeighbour(Neighbour),
    /// A route exists or is new.
    NewRoute(Route<'a>),
    /// A type that means nothing here.
    Other,
}

impl<'a> Message<'a> {
    /// Reads the meaning of a message.
    ///
    /// # Errors
    ///
    /// The message is too short for its type.
    pub fn decode(raw: &Raw<'a>) -> Result<Self, Error> {
        Ok(match raw.kind {
            DONE => Self::Done { errno: errno(raw) },
            ERROR => Self::Error { errno: errno(raw) },
            NEW_LINK => Self::NewLink(Link::parse(raw.body)?),
            DEL_LINK => Self::DelLink(Link::parse(raw.body)?),
            NEW_ADDRESS => Self::NewAddress(Address::parse(raw.body)?),
            DEL_ADDRESS => Self::DelAddress(Address::parse(raw.body)?),
            NEW_ROUTE => Self::NewRoute(Route::parse(raw)?),
            DEL_ROUTE => Self::DelRoute(Route::parse(raw)?),
            NEW_NEIGHBOUR => Self::NewNeighbour(Neighbour::parse(raw.body)?),
            NEW_NAMESPACE_ID => Self::NamespaceId(namespace_id(raw.body)?),
            DEL_NEIGHBOUR => Self::DelNeighbour(Neighbour::parse(raw.body)?),
            _ => Self::Other,
        })
    }
}

/// NLMSG_ALIGN and NLA_ALIGN.
fn aligned(len: usize) -> usize {
    len.checked_next_multiple_of(4).unwrap_or(usize::MAX)
}

fn split<const N: usize>(body: &[u8]) -> Result<(&[u8; N], &[u8]), Error> {
    body.split_first_chunk().ok_or(Error::Truncated { need: N, have: body.len() })
}

/// The negative error number at the start of ERROR and DONE messages, as a positive one.
fn errno(raw: &Raw<'_>) -> i32 {
    let code = raw.body.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b));
    code.saturating_neg()
}

fn u32_of(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

fn u16_of(value: &[u8]) -> Option<u16> {
    value.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

/// `struct rtgenmsg` in its padding, then NETNSA_NSID; -1 says that there is none.
fn namespace_id(body: &[u8]) -> Result<Option<u32>, Error> {
    let (_, rest) = split::<4>(body)?;
    let id = Attributes::new(rest).find(|(kind, _)| *kind == 1).and_then(|(_, id)| u32_of(id));
    Ok(id.filter(|id| id.cast_signed() >= 0))
}

/// A string attribute: up to the first zero.
fn text(value: &[u8]) -> &[u8] {
    value.split(|&b| b == 0).next().unwrap_or(&[])
}

fn ip_of(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        FAMILY_INET => <[u8; 4]>::try_from(value).ok().map(|b| Ipv4Addr::from(b).into()),
        FAMILY_INET6 => <[u8; 16]>::try_from(value).ok().map(|b| Ipv6Addr::from(b).into()),
        _ => None,
    }
}

#[cfg(test)]
mod testing {
    use super::{Messages, Raw, Request};

    /// A message as the kernel builds it; the request builder is the same format.
    pub(super) fn message(kind: u16, fixed: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let start = Request::new(kind, 0, 0, fixed);
        let whole = attributes.iter().fold(start, |m, (kind, value)| m.attribute(*kind, value));
        whole.finish()
    }

    pub(super) fn first(bytes: &[u8]) -> Raw<'_> {
        Messages::new(bytes).next().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{first, message};
    use super::*;

    #[test]
    fn errors_are_positive_numbers_and_interruptions_are_seen() {
        let mut bytes = Request::new(ERROR, 0, 3, &(-16_i32).to_ne_bytes()).finish();
        let raw = first(&bytes);
        assert_eq!(Message::decode(&raw), Ok(Message::Error { errno: 16 }));
        assert!(!raw.is_interrupted());
        bytes[6] |= 0x10;
        assert!(first(&bytes).is_interrupted());
    }

    #[test]
    fn lying_lengths_end_the_walk() {
        let mut bytes = Request::dump_links(1);
        bytes.extend(Request::dump_routes(2));
        assert_eq!(Messages::new(&bytes).count(), 2);
        for lie in [0_u32, 15, 100, u32::MAX] {
            bytes[..4].copy_from_slice(&lie.to_ne_bytes());
            assert_eq!(Messages::new(&bytes).count(), 0, "{lie}");
        }
        for lie in [0_u8, 3, 9, 255] {
            assert_eq!(Attributes::new(&[lie, 0, 1, 0, 1, 2, 3, 4]).count(), 0, "{lie}");
        }
    }

    #[test]
    fn a_message_shorter_than_its_type_is_an_error() {
        for (kind, need) in [(NEW_LINK, 16), (DEL_ADDRESS, 8), (NEW_ROUTE, 12), (NEW_NEIGHBOUR, 12)]
        {
            let bytes = message(kind, &[0; 4], &[]);
            let expected = Err(Error::Truncated { need, have: 4 });
            assert_eq!(Message::decode(&first(&bytes)), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_at_all_are_survived(bytes: Vec<u8>, kind in 0..32_u16) {
            for raw in Messages::new(&bytes).take(bytes.len()) {
                let _ = Message::decode(&raw);
            }
            let whole = message(kind, &bytes, &[]);
            for raw in Messages::new(&whole) {
                if let Ok(Message::NewRoute(route)) = Message::decode(&raw) {
                    assert!(route.hops().count() <= bytes.len());
                }
            }
        }
    }
}
