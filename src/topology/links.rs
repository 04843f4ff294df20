//! The interfaces of this machine in slots that stay: an interface keeps its slot while it is
//! renamed, and gets it back when it returns under the name it had.
//!
//! Netlink messages go in, changes come out. After lost messages, [`Links::begin_sync`], the
//! answers of full dumps and [`Links::end_sync`] bring the table up to date and tell the
//! difference as if nothing had been lost.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::time::Tick;
use crate::topology::link::{Address, Kind, Link};
use crate::topology::neighbours::Neighbours;
use crate::topology::pick::Selection;
use crate::wire::netlink::{self, Message};

/// Slots, those of interfaces that went away included; further interfaces are refused and counted.
pub const MAX_LINKS: usize = 1_024;

/// Addresses of one interface; further ones are left out and counted.
pub const MAX_ADDRESSES: usize = 256;

/// Default routes; further ones are left out and counted.
const MAX_ROUTES: usize = 256;

/// What happened, in the order it happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// An interface got an address.
    AddressAdded {
        /// The interface.
        slot: u16,
        /// Its new address.
        ip: IpAddr,
        /// The prefix around it.
        prefix: u8,
    },
    /// An interface lost an address.
    AddressRemoved {
        /// The interface.
        slot: u16,
        /// The address it had.
        ip: IpAddr,
        /// The prefix around it.
        prefix: u8,
    },
    /// The interface leads to the rest of the world from now on, or no longer does.
    DefaultRoute {
        /// The interface.
        slot: u16,
        /// Whether it does now.
        present: bool,
    },
    /// A new interface, or one that returned.
    LinkAdded {
        /// The interface.
        slot: u16,
    },
    /// Anything else about an interface: MAC address, MTU, bridge, carrier.
    LinkChanged {
        /// The interface.
        slot: u16,
    },
    /// Set down by the administrator.
    LinkDown {
        /// The interface.
        slot: u16,
    },
    /// Gone. Name and address are still readable.
    LinkRemoved {
        /// The interface.
        slot: u16,
    },
    /// Renamed.
    LinkRenamed {
        /// The interface.
        slot: u16,
        /// Its name before.
        from: Box<str>,
    },
    /// Set up by the administrator.
    LinkUp {
        /// The interface.
        slot: u16,
    },
    /// A neighbour is no longer there.
    NeighbourGone {
        /// The interface it was on.
        slot: u16,
        /// Its address.
        ip: IpAddr,
        /// Its hardware address.
        mac: [u8; 6],
    },
    /// An address moved from one machine to another.
    NeighbourMoved {
        /// The interface it is on.
        slot: u16,
        /// The address.
        ip: IpAddr,
        /// The machine before.
        from: [u8; 6],
        /// The machine now.
        to: [u8; 6],
    },
    /// A neighbour answered for the first time.
    NeighbourNew {
        /// The interface it is on.
        slot: u16,
        /// Its address.
        ip: IpAddr,
        /// Its hardware address.
        mac: [u8; 6],
    },
}

/// Where an interface leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// To the machines we serve.
    Lan,
    /// Neither.
    Other,
    /// To the rest of the world.
    Wan,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct DefaultRoute {
    family: u8,
    table: u32,
    priority: u32,
    ifindex: u32,
    gateway: Option<IpAddr>,
    stale: bool,
}

/// What had to be left out since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Refused {
    /// Interfaces beyond [`MAX_LINKS`].
    pub links: u64,
    /// Addresses beyond [`MAX_ADDRESSES`].
    pub addresses: u64,
    /// Default routes beyond the cap.
    pub routes: u64,
}

/// The table.
#[derive(Debug, Default)]
pub struct Links {
    slots: Vec<Link>,
    by_ifindex: HashMap<u32, u16>,
    routes: Vec<DefaultRoute>,
    neighbours: Neighbours,
    wan: Selection,
    lan: Selection,
    refused: Refused,
}

impl Links {
    /// Names whose role is known better than from routes and addresses.
    pub fn set_roles(&mut self, wan: Selection, lan: Selection) {
        self.wan = wan;
        self.lan = lan;
    }

    /// Takes one message; what it changed is added to `changes`.
    pub fn apply(&mut self, message: &Message<'_>, now: Tick, changes: &mut Vec<Change>) {
        match message {
            // Other families are views of the same interfaces: a DELLINK of AF_BRIDGE says that a
            // port left its bridge.
            Message::NewLink(link) if link.family == 0 => self.new_link(link, changes),
            Message::DelLink(link) if link.family == 0 => {
                if let Some(&slot) = self.by_ifindex.get(&link.ifindex) {
                    self.remove_link(slot, now, changes);
                }
            }
            Message::NewAddress(address) => self.new_address(address, changes),
            Message::DelAddress(address) => self.remove_address(address, changes),
            Message::NewNeighbour(neighbour) => {
                if let Some((slot, ip)) = self.place_of(neighbour) {
                    self.neighbours.update(slot, ip, neighbour, now, changes);
                }
            }
            Message::DelNeighbour(neighbour) => {
                if let Some((slot, ip)) = self.place_of(neighbour) {
                    self.neighbours.remove(slot, ip, changes);
                }
            }
            Message::NewRoute(route) if route.is_default() => self.new_route(route, changes),
            Message::DelRoute(route) if route.is_default() => self.remove_route(route, changes),
            Message::NewLink(_)
            | Message::DelLink(_)
            | Message::NewRoute(_)
            | Message::DelRoute(_)
            | Message::Done { .. }
            | Message::Error { .. }
            | Message::NamespaceId(_)
            | Message::Other => {}
        }
    }

    /// Before dumps of everything: what none of them mentions will be taken as gone.
    pub fn begin_sync(&mut self) {
        for link in &mut self.slots {
            link.stale = true;
            for address in &mut link.addresses {
                address.stale = true;
            }
        }
        for route in &mut self.routes {
            route.stale = true;
        }
        self.neighbours.mark();
    }

    /// After those dumps: removes what wasn't mentioned.
    pub fn end_sync(&mut self, now: Tick, changes: &mut Vec<Change>) {
        for slot in self.slots_where(|link| link.present && link.stale) {
            self.remove_link(slot, now, changes);
        }
        for (slot, link) in (0_u16..).zip(&mut self.slots) {
            link.addresses.retain(|address| {
                if address.stale {
                    let (ip, prefix) = (address.ip, address.prefix);
                    changes.push(Change::AddressRemoved { slot, ip, prefix });
                }
                !address.stale
            });
        }
        self.routes.retain(|route| !route.stale);
        self.refresh_routes(changes);
        self.neighbours.sweep(changes);
    }

    /// The interface in a slot, also one that went away.
    #[must_use]
    pub fn get(&self, slot: u16) -> Option<&Link> {
        self.slots.get(usize::from(slot))
    }

    /// The slot of the interface that has this number now.
    #[must_use]
    pub fn by_ifindex(&self, ifindex: u32) -> Option<u16> {
        self.by_ifindex.get(&ifindex).copied()
    }

    /// The slot of the interface that has this name now.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<u16> {
        self.iter().find(|(_, link)| *link.name == *name).map(|(slot, _)| slot)
    }

    /// The interfaces that exist.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Link)> {
        self.slots_and_links().filter(|(_, link)| link.present)
    }

    /// All slots that have ever been used, those of interfaces that went away included.
    pub fn slots_and_links(&self) -> impl Iterator<Item = (u16, &Link)> {
        (0_u16..).zip(&self.slots)
    }

    /// The bridge or bond that the interface is a port of.
    #[must_use]
    pub fn master_of(&self, slot: u16) -> Option<u16> {
        self.by_ifindex(self.get(slot)?.master?)
    }

    /// The interface below.
    #[must_use]
    pub fn parent_of(&self, slot: u16) -> Option<u16> {
        self.by_ifindex(self.get(slot)?.parent?)
    }

    /// The neighbours on the interfaces.
    #[must_use]
    pub fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// What is close: for each address the connected prefix (address, length, broadcast address,
    /// slot); for a point-to-point link the prefix around the peer, and the machine's own address
    /// by itself.
    pub fn local_networks(&self) -> impl Iterator<Item = (IpAddr, u8, Option<IpAddr>, u16)> {
        self.iter().flat_map(|(slot, link)| {
            link.addresses.iter().flat_map(move |address| {
                let whole = if address.ip.is_ipv4() { 32 } else { 128 };
                let own = match address.peer {
                    Some(_) => (address.ip, whole, None, slot),
                    None => (address.ip, address.prefix, address.broadcast, slot),
                };
                let far = address.peer.map(|peer| (peer, address.prefix, None, slot));
                [Some(own), far].into_iter().flatten()
            })
        })
    }

    /// Where an interface leads: as configured; else to the world if a default route leads
    /// through it; else to our machines if it is a bridge, or has an address of a private range.
    #[must_use]
    pub fn role(&self, slot: u16) -> Role {
        let Some(link) = self.get(slot) else {
            return Role::Other;
        };
        if self.wan.names(&link.name) {
            return Role::Wan;
        }
        if self.lan.names(&link.name) {
            return Role::Lan;
        }
        if link.is_loopback() {
            return Role::Other;
        }
        if link.default_route {
            return Role::Wan;
        }
        let private = link.addresses.iter().any(|address| is_private(address.ip));
        let bridge = link.kind == Kind::Bridge && !link.addresses.is_empty();
        if private || bridge { Role::Lan } else { Role::Other }
    }

    /// What had to be left out.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.refused
    }

    fn new_link(&mut self, message: &netlink::Link<'_>, changes: &mut Vec<Change>) {
        let name = message.name.map(String::from_utf8_lossy);
        let known = self.by_ifindex(message.ifindex);
        let slot = match (known, &name) {
            (Some(slot), _) => slot,
            (None, Some(name)) => match self.admit(name, message) {
                Some(slot) => slot,
                None => {
                    self.refused.links = self.refused.links.saturating_add(1);
                    return;
                }
            },
            // An event about an interface that has just gone.
            (None, None) => return,
        };
        let Some(link) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        link.stale = false;
        let before = link.facts();
        if let Some(name) = name.filter(|name| **name != *link.name) {
            let from = std::mem::replace(&mut link.name, name.as_ref().into());
            if known.is_some() {
                changes.push(Change::LinkRenamed { slot, from });
            }
            self.forget_others_named(&name, slot);
        }
        let Some(link) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        let was_up = link.up;
        link.update(message);
        if known.is_none() {
            link.present = true;
            link.ifindex = message.ifindex;
            self.by_ifindex.insert(message.ifindex, slot);
            changes.push(Change::LinkAdded { slot });
            if link.up {
                changes.push(Change::LinkUp { slot });
            }
        } else if link.up != was_up {
            let up = link.up;
            changes.push(if up { Change::LinkUp { slot } } else { Change::LinkDown { slot } });
            if !up {
                // The kernel removes the IPv4 routes of an interface that is set down without a
                // word (fib_sync_down_dev).
                let ifindex = message.ifindex;
                self.routes.retain(|route| route.ifindex != ifindex);
                self.refresh_routes(changes);
            }
        } else if link.facts() != before {
            changes.push(Change::LinkChanged { slot });
        }
    }

    /// A slot for an interface with a number not seen before: the one it had, a new one, or that
    /// of the interface that has been gone the longest.
    fn admit(&mut self, name: &str, message: &netlink::Link<'_>) -> Option<u16> {
        let gone = || self.slots_and_links().filter(|(_, link)| !link.present);
        let returned = gone()
            .find(|(_, link)| *link.name == *name)
            .or_else(|| gone().find(|(_, link)| is_same_card(link, message)));
        if let Some((slot, _)) = returned {
            return Some(slot);
        }
        if self.slots.len() < MAX_LINKS {
            self.slots.push(Link::default());
            return u16::try_from(self.slots.len().saturating_sub(1)).ok();
        }
        let (slot, _) = gone().min_by_key(|(_, link)| link.gone_at)?;
        let link = self.slots.get_mut(usize::from(slot))?;
        *link = Link { generation: link.generation.wrapping_add(1), ..Link::default() };
        Some(slot)
    }

    /// A name belongs to one interface: a slot kept for the return of an earlier bearer is free
    /// for others now.
    fn forget_others_named(&mut self, name: &str, except: u16) {
        for slot in self.slots_where(|link| !link.present && *link.name == *name) {
            if let Some(link) = self.slots.get_mut(usize::from(slot)).filter(|_| slot != except) {
                *link = Link { generation: link.generation.wrapping_add(1), ..Link::default() };
            }
        }
    }

    fn remove_link(&mut self, slot: u16, now: Tick, changes: &mut Vec<Change>) {
        let Some(link) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        let ifindex = link.ifindex;
        link.present = false;
        link.up = false;
        link.running = false;
        link.default_route = false;
        link.addresses.clear();
        link.master = None;
        link.gone_at = now;
        self.by_ifindex.remove(&ifindex);
        self.routes.retain(|route| route.ifindex != ifindex);
        self.neighbours.remove_interface(slot, changes);
        changes.push(Change::LinkRemoved { slot });
    }

    fn new_address(&mut self, message: &netlink::Address, changes: &mut Vec<Change>) {
        let (Some(slot), Some(ip)) = (self.by_ifindex(message.ifindex), message.local) else {
            return;
        };
        let Some(link) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        let address = Address {
            ip,
            prefix: message.prefix,
            peer: message.peer,
            broadcast: message.broadcast,
            stale: false,
        };
        if let Some(known) = link.addresses.iter_mut().find(|known| is_same(known, message)) {
            *known = address;
        } else if link.addresses.len() < MAX_ADDRESSES {
            link.addresses.push(address);
            let prefix = message.prefix;
            changes.push(Change::AddressAdded { slot, ip, prefix });
        } else {
            self.refused.addresses = self.refused.addresses.saturating_add(1);
        }
    }

    fn remove_address(&mut self, message: &netlink::Address, changes: &mut Vec<Change>) {
        let Some(slot) = self.by_ifindex(message.ifindex) else {
            return;
        };
        let Some(link) = self.slots.get_mut(usize::from(slot)) else {
            return;
        };
        if let Some(at) = link.addresses.iter().position(|known| is_same(known, message)) {
            let Address { ip, prefix, .. } = link.addresses.remove(at);
            changes.push(Change::AddressRemoved { slot, ip, prefix });
        }
    }

    fn new_route(&mut self, message: &netlink::Route<'_>, changes: &mut Vec<Change>) {
        let (family, table, priority) = (message.family, message.table, message.priority);
        if message.replaces {
            self.routes.retain(|route| {
                (route.family, route.table, route.priority) != (family, table, priority)
            });
        }
        for (ifindex, gateway) in message.hops() {
            let new = DefaultRoute { family, table, priority, ifindex, gateway, stale: false };
            let same = |known: &DefaultRoute| DefaultRoute { stale: false, ..*known } == new;
            if let Some(at) = self.routes.iter().position(same) {
                if let Some(known) = self.routes.get_mut(at) {
                    known.stale = false;
                }
            } else if self.routes.len() < MAX_ROUTES {
                self.routes.push(new);
            } else {
                self.refused.routes = self.refused.routes.saturating_add(1);
            }
        }
        self.refresh_routes(changes);
    }

    fn remove_route(&mut self, message: &netlink::Route<'_>, changes: &mut Vec<Change>) {
        for (ifindex, gateway) in message.hops() {
            self.routes.retain(|route| {
                let gone = route.family == message.family
                    && route.table == message.table
                    && route.priority == message.priority
                    && route.ifindex == ifindex
                    && route.gateway == gateway;
                !gone
            });
        }
        self.refresh_routes(changes);
    }

    fn refresh_routes(&mut self, changes: &mut Vec<Change>) {
        for (slot, link) in (0_u16..).zip(&mut self.slots) {
            let present = link.present && self.routes.iter().any(|r| r.ifindex == link.ifindex);
            if present != link.default_route {
                link.default_route = present;
                changes.push(Change::DefaultRoute { slot, present });
            }
        }
    }

    fn place_of(&self, neighbour: &netlink::Neighbour) -> Option<(u16, IpAddr)> {
        // In forwarding databases the address is the far end of a tunnel.
        let ip = neighbour.ip.filter(|_| neighbour.family != netlink::Neighbour::BRIDGE)?;
        Some((self.by_ifindex(neighbour.ifindex)?, ip))
    }

    fn slots_where(&self, which: impl Fn(&Link) -> bool) -> Vec<u16> {
        let found = self.slots_and_links().filter(|(_, link)| which(link));
        found.map(|(slot, _)| slot).collect()
    }
}

/// The same address in a table and in a message.
fn is_same(known: &Address, message: &netlink::Address) -> bool {
    Some(known.ip) == message.local && known.prefix == message.prefix && known.peer == message.peer
}

/// Whether an interface is one that went away, with another name: moved to a namespace and back.
fn is_same_card(link: &Link, message: &netlink::Link<'_>) -> bool {
    link.ifindex == message.ifindex && link.mac.is_some_and(|mac| message.address == Some(&mac[..]))
}

/// RFC 1918, RFC 6598 (carrier-grade NAT) or RFC 4193.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || (u32::from(ip) & 0xffc0_0000) == 0x6440_0000,
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An interface as a message, to be varied with `..`.
    pub(in crate::topology) fn link(ifindex: u32, name: &str) -> netlink::Link<'_> {
        netlink::Link {
            ifindex,
            hardware: 1,
            flags: netlink::LINK_UP | netlink::LINK_RUNNING,
            name: Some(name.as_bytes()),
            mtu: Some(1_500),
            ..netlink::Link::default()
        }
    }

    pub(in crate::topology) fn address(ifindex: u32, text: &str) -> Message<'static> {
        let (ip, prefix) = text.split_once('/').unwrap();
        Message::NewAddress(netlink::Address {
            ifindex,
            local: Some(ip.parse().unwrap()),
            prefix: prefix.parse().unwrap(),
            ..netlink::Address::default()
        })
    }

    pub(in crate::topology) fn default_route(ifindex: u32) -> netlink::Route<'static> {
        netlink::Route {
            family: 2,
            kind: 1,
            table: 254,
            ifindex: Some(ifindex),
            ..netlink::Route::default()
        }
    }

    pub(in crate::topology) fn apply(links: &mut Links, message: &Message<'_>) -> Vec<Change> {
        let mut changes = Vec::new();
        links.apply(message, Tick(1), &mut changes);
        changes
    }

    #[test]
    fn a_rename_keeps_the_slot_and_a_return_under_the_old_name_regains_it() {
        let mut links = Links::default();
        assert_eq!(
            apply(&mut links, &Message::NewLink(link(2, "eth0"))),
            [Change::LinkAdded { slot: 0 }, Change::LinkUp { slot: 0 }]
        );
        let renamed = [Change::LinkRenamed { slot: 0, from: "eth0".into() }];
        assert_eq!(apply(&mut links, &Message::NewLink(link(2, "wan"))), renamed);
        let gone = apply(&mut links, &Message::DelLink(link(2, "wan")));
        assert_eq!(gone, [Change::LinkRemoved { slot: 0 }]);
        assert!(links.by_name("wan").is_none() && links.by_ifindex(2).is_none());
        apply(&mut links, &Message::NewLink(link(9, "eth1")));
        apply(&mut links, &Message::NewLink(link(11, "wan")));
        assert_eq!(links.by_name("wan"), Some(0));
        assert_eq!(links.by_ifindex(11), Some(0));
        assert_eq!(links.get(0).unwrap().generation, 0);
    }

    #[test]
    fn a_port_that_leaves_its_bridge_is_no_interface_that_goes() {
        let mut links = Links::default();
        apply(&mut links, &Message::NewLink(link(2, "lan1")));
        let port = netlink::Link { family: 7, ..link(2, "lan1") };
        assert_eq!(apply(&mut links, &Message::DelLink(port)), []);
        assert!(links.by_name("lan1").is_some());
    }

    #[test]
    fn an_event_without_attributes_erases_nothing() {
        let mut links = Links::default();
        let whole = netlink::Link {
            master: Some(7),
            address: Some(&[2, 0, 0, 0, 0, 9]),
            ..link(2, "wlan0")
        };
        apply(&mut links, &Message::NewLink(whole));
        let bare = netlink::Link { mtu: None, ..link(2, "wlan0") };
        assert_eq!(apply(&mut links, &Message::NewLink(bare)), []);
        let wlan = links.get(0).unwrap();
        assert_eq!((wlan.master, wlan.mac), (Some(7), Some([2, 0, 0, 0, 0, 9])));
        assert_eq!(wlan.kind, Kind::Wireless);
    }

    #[test]
    fn a_sync_tells_what_was_missed() {
        let mut links = Links::default();
        for message in [
            Message::NewLink(link(2, "eth0")),
            Message::NewLink(link(3, "eth1")),
            address(2, "192.0.2.1/24"),
            address(2, "192.0.2.9/24"),
            Message::NewRoute(default_route(2)),
        ] {
            apply(&mut links, &message);
        }
        let mut changes = Vec::new();
        links.begin_sync();
        for message in [
            Message::NewLink(link(2, "wan0")),
            Message::NewLink(link(4, "eth2")),
            address(2, "192.0.2.1/24"),
        ] {
            links.apply(&message, Tick(2), &mut changes);
        }
        links.end_sync(Tick(3), &mut changes);
        assert_eq!(
            changes,
            [
                Change::LinkRenamed { slot: 0, from: "eth0".into() },
                Change::LinkAdded { slot: 2 },
                Change::LinkUp { slot: 2 },
                Change::LinkRemoved { slot: 1 },
                Change::AddressRemoved { slot: 0, ip: "192.0.2.9".parse().unwrap(), prefix: 24 },
                Change::DefaultRoute { slot: 0, present: false },
            ]
        );
    }

    #[test]
    fn slots_are_capped_and_the_longest_gone_is_given_away() {
        let mut links = Links::default();
        let mut changes = Vec::new();
        for n in 0..u32::try_from(MAX_LINKS).unwrap() {
            let name = format!("if{n}");
            links.apply(&Message::NewLink(link(n + 1, &name)), Tick(1), &mut changes);
        }
        apply(&mut links, &Message::NewLink(link(5_000, "late")));
        assert_eq!(links.refused().links, 1);
        links.apply(&Message::DelLink(link(8, "if7")), Tick(9), &mut changes);
        links.apply(&Message::DelLink(link(7, "if6")), Tick(5), &mut changes);
        apply(&mut links, &Message::NewLink(link(5_000, "late")));
        assert_eq!(links.by_name("late"), Some(6));
        assert_eq!(links.get(6).unwrap().generation, 1);
    }

    #[test]
    fn roles_follow_routes_addresses_and_configuration() {
        let mut links = Links::default();
        for (ifindex, name) in [(1, "wan"), (2, "lan"), (3, "dmz"), (4, "guest")] {
            apply(&mut links, &Message::NewLink(link(ifindex, name)));
        }
        for message in [
            address(1, "10.0.0.2/24"),
            Message::NewRoute(default_route(1)),
            address(2, "192.168.1.1/24"),
            address(3, "198.51.100.1/24"),
            address(4, "192.168.2.1/24"),
        ] {
            apply(&mut links, &message);
        }
        let all = [0, 1, 2, 3];
        let roles = all.map(|slot| links.role(slot));
        assert_eq!(roles, [Role::Wan, Role::Lan, Role::Other, Role::Lan]);
        links.set_roles(Selection::of(["gu*"]), Selection::of(["dmz"]));
        let roles = all.map(|slot| links.role(slot));
        assert_eq!(roles, [Role::Wan, Role::Lan, Role::Lan, Role::Wan]);
    }

    #[test]
    fn setting_an_interface_down_ends_its_default_route() {
        let mut links = Links::default();
        apply(&mut links, &Message::NewLink(link(2, "eth0")));
        let route = Message::NewRoute(default_route(2));
        let present = [Change::DefaultRoute { slot: 0, present: true }];
        assert_eq!(apply(&mut links, &route), present);
        let down = netlink::Link { flags: 0, ..link(2, "eth0") };
        assert_eq!(
            apply(&mut links, &Message::NewLink(down)),
            [Change::LinkDown { slot: 0 }, Change::DefaultRoute { slot: 0, present: false },]
        );
    }

    #[test]
    fn the_network_of_a_point_to_point_link_is_around_its_peer() {
        let mut links = Links::default();
        apply(&mut links, &Message::NewLink(link(2, "ppp0")));
        let address = netlink::Address {
            ifindex: 2,
            prefix: 32,
            local: Some("203.0.113.7".parse().unwrap()),
            peer: Some("203.0.113.1".parse().unwrap()),
            ..netlink::Address::default()
        };
        apply(&mut links, &Message::NewAddress(address));
        let networks: Vec<_> = links.local_networks().collect();
        let expected = [
            ("203.0.113.7".parse().unwrap(), 32, None, 0),
            ("203.0.113.1".parse().unwrap(), 32, None, 0),
        ];
        assert_eq!(networks, expected);
    }
}
