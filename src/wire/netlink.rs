//! Routing netlink messages (rtnetlink(7), linux/rtnetlink.h, linux/if_link.h): what the kernel
//! sends, read into borrowed values, and the requests that make it send. Numbers are in the byte
//! order of the machine unless said otherwise.
//!
//! Unknown messages and attributes are skipped: kernels add them all the time. An attribute of
//! the wrong length counts as absent; only a message that is too short for its fixed part is an
//! error.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
        let [
            l0,
            l1,
            l2,
            l3,
            k0,
            k1,
            f0,
            f1,
            s0,
            s1,
            s2,
            s3,
            p0,
            p1,
            p2,
            p3,
        ] = *header;
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
            DEL_NEIGHBOUR => Self::DelNeighbour(Neighbour::parse(raw.body)?),
            _ => Self::Other,
        })
    }
}

/// An interface (RTM_NEWLINK). What is `None` wasn't in the message, which is not the same as
/// having gone: see [`Link::is_complete`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Link<'a> {
    /// 0, or the family whose view this is: messages of family 7 (AF_BRIDGE) are about bridge
    /// ports, and their DELLINK only says that a port left its bridge.
    pub family: u8,
    /// ARPHRD_ type of its link layer.
    pub hardware: u16,
    /// Its number in its network namespace.
    pub ifindex: u32,
    /// IFF_ flags.
    pub flags: u32,
    /// IFLA_IFNAME, without the final zero.
    pub name: Option<&'a [u8]>,
    /// IFLA_ADDRESS.
    pub address: Option<&'a [u8]>,
    /// IFLA_MTU.
    pub mtu: Option<u32>,
    /// IFLA_OPERSTATE, IF_OPER_.
    pub operstate: Option<u8>,
    /// IFLA_MASTER: the bridge or bond it belongs to.
    pub master: Option<u32>,
    /// IFLA_LINK: the interface below it, or the other end of a veth pair.
    pub parent: Option<u32>,
    /// IFLA_LINK_NETNSID: the parent's number counts in another namespace.
    pub parent_namespace: Option<i32>,
    /// IFLA_INFO_KIND, such as `bridge`.
    pub kind: Option<&'a [u8]>,
    /// IFLA_VLAN_ID of a VLAN interface.
    pub vlan_id: Option<u16>,
    /// IFLA_VLAN_PROTOCOL of a VLAN interface: 0x8100 or 0x88A8.
    pub vlan_protocol: Option<u16>,
    /// IFLA_IFALIAS.
    pub alias: Option<&'a [u8]>,
    /// IFLA_STATS64.
    pub statistics: Option<LinkStatistics>,
}

/// Part of `struct rtnl_link_stats64`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LinkStatistics {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Receive errors.
    pub rx_errors: u64,
    /// Transmit errors.
    pub tx_errors: u64,
    /// Received packets dropped.
    pub rx_dropped: u64,
    /// Packets dropped before they were sent.
    pub tx_dropped: u64,
}

/// IFF_UP: set up by the administrator.
pub const LINK_UP: u32 = 0x1;
/// IFF_BROADCAST.
pub const LINK_BROADCAST: u32 = 0x2;
/// IFF_LOOPBACK.
pub const LINK_LOOPBACK: u32 = 0x8;
/// IFF_POINTOPOINT.
pub const LINK_POINT_TO_POINT: u32 = 0x10;
/// IFF_RUNNING: has a carrier.
pub const LINK_RUNNING: u32 = 0x40;
/// IFF_SLAVE.
pub const LINK_SLAVE: u32 = 0x800;

impl<'a> Link<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, Error> {
        // struct ifinfomsg: family, padding, type, index, flags, change mask.
        let (fixed, rest) = split::<16>(body)?;
        let [family, _, h0, h1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *fixed;
        let mut link = Self {
            family,
            hardware: u16::from_ne_bytes([h0, h1]),
            ifindex: u32::from_ne_bytes([i0, i1, i2, i3]),
            flags: u32::from_ne_bytes([f0, f1, f2, f3]),
            ..Self::default()
        };
        for (kind, value) in Attributes::new(rest) {
            match kind {
                1 => link.address = Some(value),
                3 => link.name = Some(text(value)),
                4 => link.mtu = u32_of(value),
                5 => link.parent = u32_of(value),
                10 => link.master = u32_of(value),
                16 => link.operstate = value.first().copied(),
                18 => link.read_info(value),
                20 => link.alias = Some(text(value)),
                23 => link.statistics = LinkStatistics::parse(value),
                37 => link.parent_namespace = u32_of(value).map(u32::cast_signed),
                _ => {}
            }
        }
        Ok(link)
    }

    /// Whether absence means absence. Wireless drivers send events that are links with hardly an
    /// attribute; a whole description always has an MTU.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.mtu.is_some()
    }

    /// IFLA_LINKINFO: the kind and what is particular to it.
    fn read_info(&mut self, info: &'a [u8]) {
        let mut data = None;
        for (kind, value) in Attributes::new(info) {
            match kind {
                1 => self.kind = Some(text(value)),
                2 => data = Some(value),
                _ => {}
            }
        }
        if self.kind == Some(b"vlan") {
            for (kind, value) in Attributes::new(data.unwrap_or(&[])) {
                match kind {
                    1 => self.vlan_id = value.first_chunk().map(|b| u16::from_ne_bytes(*b)),
                    // Network byte order.
                    5 => self.vlan_protocol = value.first_chunk().map(|b| u16::from_be_bytes(*b)),
                    _ => {}
                }
            }
        }
    }
}

impl LinkStatistics {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (words, _) = bytes.first_chunk::<64>()?.as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_ne_bytes(*word));
        Some(Self {
            rx_packets: words.next()?,
            tx_packets: words.next()?,
            rx_bytes: words.next()?,
            tx_bytes: words.next()?,
            rx_errors: words.next()?,
            tx_errors: words.next()?,
            rx_dropped: words.next()?,
            tx_dropped: words.next()?,
        })
    }
}

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
}

impl Address {
    fn parse(body: &[u8]) -> Result<Self, Error> {
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

/// A neighbour on an interface (RTM_NEWNEIGH).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Neighbour {
    /// AF_INET, AF_INET6, or AF_BRIDGE for the forwarding database of a bridge.
    pub family: u8,
    /// The interface.
    pub ifindex: u32,
    /// NUD_ state.
    pub state: u16,
    /// NTF_ flags.
    pub flags: u8,
    /// NDA_DST.
    pub ip: Option<IpAddr>,
    /// NDA_LLADDR, where it has six bytes.
    pub mac: Option<[u8; 6]>,
    /// NDA_VLAN, in forwarding databases.
    pub vlan_id: Option<u16>,
    /// NDA_MASTER: the bridge, in forwarding databases.
    pub master: Option<u32>,
}

impl Neighbour {
    /// NUD_INCOMPLETE: being asked for.
    pub const INCOMPLETE: u16 = 0x01;
    /// NUD_REACHABLE: confirmed a short while ago.
    pub const REACHABLE: u16 = 0x02;
    /// NUD_STALE: valid once.
    pub const STALE: u16 = 0x04;
    /// NUD_DELAY: about to be asked again.
    pub const DELAY: u16 = 0x08;
    /// NUD_PROBE: being asked again.
    pub const PROBE: u16 = 0x10;
    /// NUD_FAILED: didn't answer.
    pub const FAILED: u16 = 0x20;
    /// NUD_NOARP: multicast and the like; nobody is behind it.
    pub const NO_ARP: u16 = 0x40;
    /// NUD_PERMANENT: set by the administrator.
    pub const PERMANENT: u16 = 0x80;

    /// NTF_ROUTER: it announced itself as a router (IPv6).
    #[must_use]
    pub fn is_router(&self) -> bool {
        self.flags & 0x80 != 0
    }

    fn parse(body: &[u8]) -> Result<Self, Error> {
        // struct ndmsg: family, padding, index, state, flags, type.
        let (fixed, rest) = split::<12>(body)?;
        let [family, _, _, _, i0, i1, i2, i3, s0, s1, flags, _] = *fixed;
        let mut neighbour = Self {
            family,
            ifindex: u32::from_ne_bytes([i0, i1, i2, i3]),
            state: u16::from_ne_bytes([s0, s1]),
            flags,
            ..Self::default()
        };
        for (kind, value) in Attributes::new(rest) {
            match kind {
                1 => neighbour.ip = ip_of(family, value),
                2 => neighbour.mac = value.try_into().ok(),
                5 => neighbour.vlan_id = value.first_chunk().map(|b| u16::from_ne_bytes(*b)),
                9 => neighbour.master = u32_of(value),
                _ => {}
            }
        }
        Ok(neighbour)
    }
}

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
    /// RTA_MULTIPATH: read it by [`Route::hops`].
    pub multipath: &'a [u8],
}

impl<'a> Route<'a> {
    fn parse(raw: &Raw<'a>) -> Result<Self, Error> {
        // struct rtmsg: family, two prefix lengths, tos, table, protocol, scope, type, flags.
        let (fixed, rest) = split::<12>(raw.body)?;
        let [family, prefix, _, _, table, _, _, kind, f0, f1, f2, f3] = *fixed;
        let mut route = Self {
            family,
            prefix,
            kind,
            table: u32::from(table),
            is_cache: u32::from_ne_bytes([f0, f1, f2, f3]) & 0x200 != 0,
            replaces: raw.sequence == 0 && raw.flags & FLAG_REPLACE != 0,
            ..Self::default()
        };
        for (kind, value) in Attributes::new(rest) {
            match kind {
                1 => route.destination = ip_of(family, value),
                4 => route.ifindex = u32_of(value),
                5 => route.gateway = ip_of(family, value),
                6 => route.priority = u32_of(value).unwrap_or(0),
                9 => route.multipath = value,
                15 => route.table = u32_of(value).unwrap_or(route.table),
                18 => route.gateway = via_of(value),
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
        let hops = Hops {
            family: self.family,
            rest: self.multipath,
        };
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

/// A request under construction: a header, a fixed part, attributes.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// All interfaces.
    #[must_use]
    pub fn dump_links(sequence: u32) -> Vec<u8> {
        Self::new(GET_LINK, FLAG_DUMP, sequence, &[0; 16]).finish()
    }

    /// All addresses of all interfaces, both families.
    #[must_use]
    pub fn dump_addresses(sequence: u32) -> Vec<u8> {
        Self::new(GET_ADDRESS, FLAG_DUMP, sequence, &[0; 8]).finish()
    }

    /// All neighbours, both families.
    #[must_use]
    pub fn dump_neighbours(sequence: u32) -> Vec<u8> {
        Self::new(GET_NEIGHBOUR, FLAG_DUMP, sequence, &[0; 12]).finish()
    }

    /// All routes, both families.
    #[must_use]
    pub fn dump_routes(sequence: u32) -> Vec<u8> {
        Self::new(GET_ROUTE, FLAG_DUMP, sequence, &[0; 12]).finish()
    }

    /// One interface, for fresh statistics.
    #[must_use]
    pub fn link(sequence: u32, ifindex: u32) -> Vec<u8> {
        let mut fixed = [0; 16];
        let (_, tail) = fixed.split_at_mut(4);
        for (to, from) in tail.iter_mut().zip(ifindex.to_ne_bytes()) {
            *to = from;
        }
        Self::new(GET_LINK, 0, sequence, &fixed).finish()
    }

    /// Begins a request of any type.
    #[must_use]
    pub fn new(kind: u16, flags: u16, sequence: u32, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | FLAG_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(fixed);
        bytes.resize(aligned(bytes.len()), 0);
        Self { bytes }
    }

    /// Adds an attribute; contents above what an attribute can hold are left out whole.
    #[must_use]
    pub fn attribute(mut self, kind: u16, contents: &[u8]) -> Self {
        let Ok(len) = u16::try_from(contents.len().saturating_add(ATTRIBUTE_LEN)) else {
            return self;
        };
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(contents);
        self.bytes.resize(aligned(self.bytes.len()), 0);
        self
    }

    /// Writes the length and hands the bytes out.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        for (to, from) in self.bytes.iter_mut().zip(len.to_ne_bytes()) {
            *to = from;
        }
        self.bytes
    }
}

/// NLMSG_ALIGN and NLA_ALIGN.
fn aligned(len: usize) -> usize {
    len.checked_next_multiple_of(4).unwrap_or(usize::MAX)
}

fn split<const N: usize>(body: &[u8]) -> Result<(&[u8; N], &[u8]), Error> {
    body.split_first_chunk().ok_or(Error::Truncated {
        need: N,
        have: body.len(),
    })
}

/// The negative error number at the start of ERROR and DONE messages, as a positive one.
fn errno(raw: &Raw<'_>) -> i32 {
    let code = raw.body.first_chunk().map_or(0, |b| i32::from_ne_bytes(*b));
    code.saturating_neg()
}

fn u32_of(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

/// A string attribute: up to the first zero.
fn text(value: &[u8]) -> &[u8] {
    value.split(|&b| b == 0).next().unwrap_or(&[])
}

fn ip_of(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        FAMILY_INET => <[u8; 4]>::try_from(value)
            .ok()
            .map(|b| Ipv4Addr::from(b).into()),
        FAMILY_INET6 => <[u8; 16]>::try_from(value)
            .ok()
            .map(|b| Ipv6Addr::from(b).into()),
        _ => None,
    }
}

/// `struct rtvia`: a family of 16 bits and an address of it.
fn via_of(value: &[u8]) -> Option<IpAddr> {
    let (family, address) = value.split_first_chunk::<2>()?;
    ip_of(u8::try_from(u16::from_ne_bytes(*family)).ok()?, address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message as the kernel builds it; the request builder is the same format.
    fn message(kind: u16, fixed: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let start = Request::new(kind, 0, 0, fixed);
        let whole = attributes
            .iter()
            .fold(start, |m, (kind, value)| m.attribute(*kind, value));
        whole.finish()
    }

    fn first(bytes: &[u8]) -> Raw<'_> {
        Messages::new(bytes).next().unwrap()
    }

    fn fixed_link(ifindex: u32, flags: u32, hardware: u16) -> [u8; 16] {
        let mut fixed = [0; 16];
        fixed[2..4].copy_from_slice(&hardware.to_ne_bytes());
        fixed[4..8].copy_from_slice(&ifindex.to_ne_bytes());
        fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
        fixed
    }

    #[test]
    fn a_vlan_link_is_read_with_its_nested_attributes() {
        let data = message(0, &[], &[(1, &42_u16.to_ne_bytes()), (5, &[0x88, 0xa8])]);
        let info = message(0, &[], &[(1, b"vlan\0"), (2 | 0x8000, &data[HEADER_LEN..])]);
        let statistics: Vec<u8> = (1..=24_u64).flat_map(u64::to_ne_bytes).collect();
        let bytes = message(
            NEW_LINK,
            &fixed_link(7, LINK_UP | LINK_RUNNING, 1),
            &[
                (3, b"eth0.42\0"),
                (1, &[2, 0, 0, 0, 0, 1]),
                (4, &1_500_u32.to_ne_bytes()),
                (5, &2_u32.to_ne_bytes()),
                (16, &[6]),
                (18, &info[HEADER_LEN..]),
                (20, b"uplink\0"),
                (23, &statistics),
                (0x3ff0, b"from the future"),
            ],
        );
        let Ok(Message::NewLink(link)) = Message::decode(&first(&bytes)) else {
            panic!("no link");
        };
        assert_eq!((link.ifindex, link.hardware, link.mtu), (7, 1, Some(1_500)));
        assert_eq!(link.name, Some(&b"eth0.42"[..]));
        assert_eq!((link.parent, link.master), (Some(2), None));
        assert_eq!((link.vlan_id, link.vlan_protocol), (Some(42), Some(0x88a8)));
        assert_eq!(
            (link.kind, link.alias),
            (Some(&b"vlan"[..]), Some(&b"uplink"[..]))
        );
        assert_eq!(link.address, Some(&[2, 0, 0, 0, 0, 1][..]));
        let statistics = link.statistics.unwrap();
        assert_eq!((statistics.rx_packets, statistics.tx_dropped), (1, 8));
        assert!(link.is_complete());
    }

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

        let same: [(u16, &[u8]); 3] = [
            (1, &[10, 0, 0, 2]),
            (2, &[10, 0, 0, 2]),
            (4, &[10, 0, 0, 255]),
        ];
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
        let bytes = message(
            NEW_ROUTE,
            &fixed,
            &[(6, &100_u32.to_ne_bytes()), (9, &hops)],
        );
        let Ok(Message::NewRoute(route)) = Message::decode(&first(&bytes)) else {
            panic!("no route");
        };
        assert!(route.is_default());
        assert_eq!((route.table, route.priority), (254, 100));
        let expected = [
            (3, Some("192.0.2.1".parse().unwrap())),
            (4, Some("192.0.2.2".parse().unwrap())),
        ];
        assert_eq!(route.hops().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_neighbour_has_state_address_and_router_flag() {
        let mut fixed = [0; 12];
        fixed[0] = 10;
        fixed[4..8].copy_from_slice(&5_u32.to_ne_bytes());
        fixed[8..10].copy_from_slice(&Neighbour::STALE.to_ne_bytes());
        fixed[10] = 0x80;
        let ip: Ipv6Addr = "fe80::1".parse().unwrap();
        let bytes = message(
            NEW_NEIGHBOUR,
            &fixed,
            &[(1, &ip.octets()), (2, &[1, 2, 3, 4, 5, 6])],
        );
        let Ok(Message::NewNeighbour(neighbour)) = Message::decode(&first(&bytes)) else {
            panic!("no neighbour");
        };
        assert_eq!((neighbour.ip, neighbour.ifindex), (Some(ip.into()), 5));
        assert_eq!(neighbour.mac, Some([1, 2, 3, 4, 5, 6]));
        assert!(neighbour.is_router() && neighbour.state == Neighbour::STALE);
    }

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
            assert_eq!(
                Attributes::new(&[lie, 0, 1, 0, 1, 2, 3, 4]).count(),
                0,
                "{lie}"
            );
        }
    }

    #[test]
    fn a_message_shorter_than_its_type_is_an_error() {
        for (kind, need) in [
            (NEW_LINK, 16),
            (DEL_ADDRESS, 8),
            (NEW_ROUTE, 12),
            (NEW_NEIGHBOUR, 12),
        ] {
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
