//! An interface as documents of discovery describe it, taken from what the kernel says of it.

use std::net::IpAddr;

use super::name_of;
use crate::wire::netlink::{Address, Attributes, Link};

/// IF_OPER_ of linux/if.h, in the order of their numbers.
const STATES: [&str; 7] =
    ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];

/// The number of DOWN in that list.
const DOWN: u8 = 2;

/// One interface of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: Box<str>,
    /// What the administrator calls it.
    pub alias: Box<str>,
    /// What made it, such as `bridge`; empty for hardware and loopback.
    pub kind: Box<str>,
    /// IF_OPER_.
    pub operstate: u8,
    /// IFF_ flags.
    pub flags: u32,
    /// Its hardware address.
    pub mac: Box<[u8]>,
    /// The bridge or bond it belongs to.
    pub master: Option<u32>,
    /// The interface below it, or the other end of a pair.
    pub parent: Option<u32>,
    /// The parent is in the namespace of that number, as this one counts.
    pub parent_space: Option<i32>,
    /// Where that is, once it is found out: number of the namespace and of the interface in it.
    pub other: Option<(u64, u32)>,
    /// Its driver, as far as it is known.
    pub driver: Box<str>,
    /// Where its card is.
    pub bus: Box<str>,
    /// What only some kinds have.
    pub details: Details,
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Interfaces of kind macvlan on top of it: namespace, number, name.
    pub macvlans: Vec<(u64, u32, Box<str>)>,
    /// Processes behind a tunnel: places in the list of processes, and their arguments.
    pub processors: Vec<(u32, std::rc::Rc<str>)>,
}

/// What only some kinds have.
#[derive(Clone, Debug, Default)]
pub enum Details {
    /// Nothing that is told.
    #[default]
    None,
    /// A tunnel to a program.
    Tun {
        /// Frames, not packets.
        is_tap: bool,
    },
    /// A VLAN.
    Vlan {
        /// Its number.
        id: u16,
        /// 0x8100 or 0x88A8.
        protocol: u16,
    },
    /// A VXLAN.
    Vxlan(Box<Vxlan>),
}

/// A VXLAN.
#[derive(Clone, Debug, Default)]
pub struct Vxlan {
    /// Its number.
    pub id: u32,
    /// The interface below it.
    pub lower: Option<u32>,
    /// It answers ARP for others.
    pub proxy: bool,
    /// The near end.
    pub local: Option<IpAddr>,
    /// The far end or group.
    pub remote: Option<IpAddr>,
    /// Ports that it sends from.
    pub ports: (u16, u16),
    /// The port that it sends to.
    pub port: u16,
}

impl Interface {
    /// Takes what the kernel says; `None` for a message that describes no interface.
    #[must_use]
    pub fn of(link: &Link<'_>) -> Option<Self> {
        let name = link.name.filter(|_| link.family == 0)?;
        let kind = link.kind.unwrap_or_default();
        let details = match kind {
            b"tun" => Details::Tun { is_tap: data(link, 3).first() == Some(&2) },
            b"vlan" => Details::Vlan {
                id: link.vlan_id.unwrap_or(0),
                protocol: link.vlan_protocol.unwrap_or(0x8100),
            },
            b"vxlan" => Details::Vxlan(Box::new(Vxlan {
                id: link.info.vxlan_id.unwrap_or(0),
                lower: link.info.lower.filter(|index| *index != 0),
                proxy: data(link, 11).first().is_some_and(|on| *on != 0),
                local: link.info.local,
                remote: link.info.remote,
                ports: (port(data(link, 10)), port(data(link, 10).get(2..).unwrap_or_default())),
                port: port(data(link, 15)),
            })),
            _ => Details::None,
        };
        Some(Self {
            index: link.ifindex,
            name: name_of(name),
            alias: name_of(link.alias.unwrap_or_default()),
            kind: name_of(kind),
            operstate: link.operstate.unwrap_or(0),
            flags: link.flags,
            mac: link.address.unwrap_or_default().into(),
            master: link.master.filter(|index| *index != 0),
            parent: link.parent.filter(|index| *index != 0),
            parent_space: link.parent_namespace.filter(|number| *number >= 0),
            details,
            ..Self::default()
        })
    }

    /// Its state in capitals.
    #[must_use]
    pub fn state(&self) -> &'static str {
        STATES.get(usize::from(self.operstate)).copied().unwrap_or("UNKNOWN")
    }

    /// Whether capture clients are told of it.
    #[must_use]
    pub const fn is_target(&self) -> bool {
        self.operstate != DOWN
    }

    /// Whether something else was made on top of `parent`: its `parent` is below it, not beside.
    #[must_use]
    pub fn is_on_top(&self) -> bool {
        matches!(&*self.kind, "macvlan" | "macvtap" | "ipvlan" | "vlan" | "vxlan")
    }

    /// The interface below it, in its own namespace.
    #[must_use]
    pub fn lower(&self) -> Option<u32> {
        match &self.details {
            Details::Vxlan(vxlan) => vxlan.lower,
            _ => self.parent,
        }
    }
}

/// The contents of one attribute that belongs to the kind.
fn data<'a>(link: &Link<'a>, wanted: u16) -> &'a [u8] {
    let mut all = Attributes::new(link.data);
    all.find(|(kind, _)| *kind == wanted).map_or(&[], |(_, value)| value)
}

fn port(bytes: &[u8]) -> u16 {
    bytes.first_chunk().map_or(0, |bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut out = u16::try_from(value.len().saturating_add(4)).unwrap().to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    #[test]
    fn what_belongs_to_a_kind_is_read() {
        let bytes =
            [attribute(10, &[0x80, 0, 0xf0, 0]), attribute(11, &[1]), attribute(15, &[0x12, 0xb5])];
        let bytes = bytes.concat();
        let link =
            Link { name: Some(b"vx"), kind: Some(b"vxlan"), data: &bytes, ..Link::default() };
        let Details::Vxlan(found) = Interface::of(&link).unwrap().details else { panic!() };
        assert_eq!((found.ports, found.port, found.proxy), ((32_768, 61_440), 4_789, true));
        let tap = attribute(3, &[2]);
        let link = Link { name: Some(b"t"), kind: Some(b"tun"), data: &tap, ..Link::default() };
        let found = Interface::of(&link).unwrap();
        assert!(matches!(found.details, Details::Tun { is_tap: true }));
        assert!(Interface::of(&Link::default()).is_none());
    }

    #[test]
    fn only_what_is_down_is_left_out() {
        for (number, name) in (0_u8..).zip(STATES) {
            let found = Interface { operstate: number, ..Interface::default() };
            assert_eq!((found.state(), found.is_target()), (name, name != "DOWN"));
        }
        let odd = Interface { operstate: 200, ..Interface::default() };
        assert_eq!(odd.state(), "UNKNOWN");
    }
}
