//! One network namespace: its interfaces with all that belongs to them, as netlink messages tell
//! it. After lost messages a round of full dumps brings it up to date; what no dump of the round
//! mentions has gone.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use crate::time::{Clock, Tick};
use crate::wire::netlink::{self, Message};

use super::graph::Id;
use super::interface::{
    Address, ForwardingKey, Interface, MAX_ENTRIES, Neighbour, Parts, Round, RouteFacts, RouteKey,
};
use super::sorted::Sorted;

/// Names a namespace as long as it is known.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SpaceKey {
    /// Its place in the table; 0 is the agent's own namespace.
    pub index: u16,
    /// Counts the users of that place.
    pub generation: u16,
}

/// The namespace that the agent itself is in.
pub const HOME: SpaceKey = SpaceKey { index: 0, generation: 0 };

/// Interfaces of one namespace; further ones are left out and counted.
pub const MAX_INTERFACES: usize = 8_192;

/// What netlink messages cause to be done.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// To be shown at the next opportunity.
    pub(super) dirty: VecDeque<(SpaceKey, u32)>,
    /// To be shown within a second: what changes all the time.
    pub(super) lazy: Vec<(SpaceKey, u32)>,
    /// The driver is to be asked.
    pub(super) curious: VecDeque<(SpaceKey, u32)>,
    /// Nodes to be removed.
    pub(super) gone: Vec<Id>,
    /// Interfaces on their way to another namespace.
    pub(super) departed: VecDeque<Departed>,
    /// Entries left out because of a cap.
    pub(super) left_out: u64,
}

/// An interface that left one namespace for another and is not there yet.
#[derive(Debug)]
pub(super) struct Departed {
    pub(super) from: SpaceKey,
    /// Its number where it goes, if the kernel says so.
    pub(super) ifindex: Option<u32>,
    pub(super) interface: Box<Interface>,
    pub(super) at: Tick,
}

/// The state of a namespace.
#[derive(Debug, Default)]
pub(super) struct Space {
    pub(super) key: SpaceKey,
    /// The node that owns its interfaces: the host, or the one of the namespace.
    pub(super) root: Option<Id>,
    /// What clients call it; empty for the agent's own.
    pub(super) name: Rc<str>,
    pub(super) path: Rc<str>,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// The stable identifier of its root.
    pub(super) tid: Rc<str>,
    pub(super) interfaces: BTreeMap<u32, Box<Interface>>,
    /// Which namespace is meant by a number in its messages.
    pub(super) ids: Sorted<i32, SpaceKey>,
    /// Numbers whose namespaces have been looked for.
    pub(super) sought: Sorted<i32, ()>,
    pub(super) round: Round,
    /// The same, of neighbours and forwarding databases alone.
    pub(super) neighbour_round: Round,
    /// The first dumps are done.
    pub(super) settled: bool,
}

impl Space {
    /// Takes one message.
    pub(super) fn apply(
        &mut self,
        message: &Message<'_>,
        clock: &Clock,
        interval: u64,
        work: &mut Work,
    ) {
        match message {
            Message::NewLink(link) if link.family == 0 => {
                self.new_link(link, clock, interval, work);
            }
            Message::DelLink(link) if link.family == 0 => self.remove_link(link, clock, work),
            // A port left its bridge.
            Message::DelLink(link) if link.family == netlink::Neighbour::BRIDGE => {
                self.change(link.ifindex, work, |one, _| {
                    one.link.master = 0;
                    Parts::LINK
                });
            }
            Message::NewAddress(address) => self.new_address(address, work),
            Message::DelAddress(address) => self.change(address.ifindex, work, |one, _| {
                let before = one.addresses.len();
                one.addresses.retain(|known| !is_same(known, address));
                if one.addresses.len() == before { Parts::default() } else { Parts::ADDRESSES }
            }),
            Message::NewNeighbour(neighbour) => self.new_neighbour(neighbour, work),
            Message::DelNeighbour(neighbour) => self.remove_neighbour(neighbour, work),
            Message::NewRoute(route) => self.new_route(route, work),
            Message::DelRoute(route) => {
                for (ifindex, gateway) in route.hops() {
                    let Some(key) = route_key(route, gateway) else { continue };
                    self.change(ifindex, work, |one, _| match one.routes.remove(&key) {
                        Some(_) => Parts::ROUTES,
                        None => Parts::default(),
                    });
                }
            }
            Message::NewLink(_)
            | Message::DelLink(_)
            | Message::Done { .. }
            | Message::Error { .. }
            | Message::NamespaceId(_)
            | Message::Other => {}
        }
    }

    /// Before dumps of everything.
    pub(super) const fn begin_sync(&mut self) {
        self.round = self.round.wrapping_add(1);
        self.begin_neighbours();
    }

    /// After those dumps: removes what none of them mentioned.
    pub(super) fn end_sync(&mut self, work: &mut Work) {
        let round = self.round;
        let first = !std::mem::replace(&mut self.settled, true);
        self.interfaces.retain(|_, one| {
            if one.seen != round {
                work.gone.extend(one.node.take());
            }
            one.seen == round
        });
        let key = self.key;
        for (ifindex, one) in &mut self.interfaces {
            let mut parts = Parts::default();
            let mut swept = |before: usize, after: usize, part: Parts| {
                if before != after {
                    parts = parts.with(part);
                }
            };
            let before = one.addresses.len();
            one.addresses.retain(|address| address.seen == round);
            swept(before, one.addresses.len(), Parts::ADDRESSES);
            let before = one.routes.len();
            one.routes.retain(|_, route| route.seen == round);
            swept(before, one.routes.len(), Parts::ROUTES);
            mark((key, *ifindex), one, if first { Parts::ALL } else { parts }, true, work);
        }
        self.end_neighbours(work);
    }

    /// Before dumps of neighbours and forwarding databases.
    pub(super) const fn begin_neighbours(&mut self) {
        self.neighbour_round = self.neighbour_round.wrapping_add(1);
    }

    /// After those dumps: removes what none of them mentioned.
    pub(super) fn end_neighbours(&mut self, work: &mut Work) {
        let (key, round, settled) = (self.key, self.neighbour_round, self.settled);
        for (ifindex, one) in &mut self.interfaces {
            let mut parts = Parts::default();
            let before = one.neighbours.len();
            one.neighbours.retain(|_, neighbour| neighbour.seen == round);
            if one.neighbours.len() != before {
                parts = parts.with(Parts::NEIGHBOURS);
            }
            let before = one.forwarding.len();
            one.forwarding.retain(|_, neighbour| neighbour.seen == round);
            if one.forwarding.len() != before {
                parts = parts.with(Parts::FORWARDING);
            }
            mark((key, *ifindex), one, parts, settled, work);
        }
    }

    fn new_link(
        &mut self,
        link: &netlink::Link<'_>,
        clock: &Clock,
        interval: u64,
        work: &mut Work,
    ) {
        // The number of an interface that had another kind belongs to another one now.
        let reused = |one: &Interface| {
            link.is_complete()
                && link.kind.is_some_and(|kind| String::from_utf8_lossy(kind) != *one.link.kind)
        };
        if self.interfaces.get(&link.ifindex).map(Box::as_ref).is_some_and(reused)
            && let Some(mut old) = self.interfaces.remove(&link.ifindex)
        {
            work.gone.extend(old.node.take());
        }
        let place = (self.key, link.ifindex);
        if !self.interfaces.contains_key(&link.ifindex) {
            // Not before its name is known.
            if link.name.is_none() {
                return;
            }
            if self.interfaces.len() >= MAX_INTERFACES {
                work.left_out = work.left_out.saturating_add(1);
                return;
            }
            let new = Interface { dirty: Parts::ALL, ..Interface::default() };
            self.interfaces.insert(link.ifindex, Box::new(new));
            work.curious.push_back(place);
        }
        let Some(one) = self.interfaces.get_mut(&link.ifindex) else { return };
        one.seen = self.round;
        let mut parts = one.update(link);
        if !parts.is_empty() {
            one.nudged = false;
            // Speed and features may have changed with it.
            if one.asked && !one.asking {
                one.asking = true;
                work.curious.push_back(place);
            }
        }
        if let Some(total) = link.statistics
            && one.count(total, clock, interval)
        {
            parts = parts.with(Parts::METRIC);
        }
        mark(place, one, parts, self.settled, work);
    }

    fn remove_link(&mut self, link: &netlink::Link<'_>, clock: &Clock, work: &mut Work) {
        let Some(mut interface) = self.interfaces.remove(&link.ifindex) else { return };
        if link.moved_to.is_some() && interface.node.is_some() {
            let (from, ifindex) = (self.key, link.moved_as);
            work.departed.push_back(Departed { from, ifindex, interface, at: clock.tick });
        } else {
            work.gone.extend(interface.node.take());
        }
    }

    fn new_address(&mut self, message: &netlink::Address, work: &mut Work) {
        let Some(ip) = message.local else { return };
        self.change(message.ifindex, work, |one, scope| {
            let seen = scope.round;
            let new = Address { ip, peer: message.peer, prefix: message.prefix, seen };
            if let Some(known) = one.addresses.iter_mut().find(|known| is_same(known, message)) {
                known.seen = seen;
                return Parts::default();
            }
            if one.addresses.len() >= MAX_ENTRIES {
                return scope.leave_out();
            }
            // Few have more than two.
            one.addresses.reserve_exact(1);
            one.addresses.push(new);
            Parts::ADDRESSES
        });
    }

    fn new_neighbour(&mut self, message: &netlink::Neighbour, work: &mut Work) {
        self.change(message.ifindex, work, |one, scope| {
            let new = Neighbour {
                mac: message.mac,
                state: message.state,
                flags: message.flags,
                via: message.via.unwrap_or(0),
                seen: scope.neighbour_round,
            };
            let (old, part) = if let Some(key) = forwarding_key(message) {
                if one.forwarding.len() >= MAX_ENTRIES && !one.forwarding.contains_key(&key) {
                    return scope.leave_out();
                }
                (one.forwarding.insert(key, new), Parts::FORWARDING)
            } else if let Some(ip) = neighbour_key(message) {
                if one.neighbours.len() >= MAX_ENTRIES && !one.neighbours.contains_key(&ip) {
                    return scope.leave_out();
                }
                (one.neighbours.insert(ip, new), Parts::NEIGHBOURS)
            } else {
                return Parts::default();
            };
            let same = old.is_some_and(|old| Neighbour { seen: new.seen, ..old } == new);
            if same { Parts::default() } else { part }
        });
    }

    fn remove_neighbour(&mut self, message: &netlink::Neighbour, work: &mut Work) {
        self.change(message.ifindex, work, |one, _| {
            if let Some(key) = forwarding_key(message) {
                let gone = one.forwarding.remove(&key).is_some();
                if gone { Parts::FORWARDING } else { Parts::default() }
            } else {
                let gone =
                    neighbour_key(message).and_then(|ip| one.neighbours.remove(&ip)).is_some();
                if gone { Parts::NEIGHBOURS } else { Parts::default() }
            }
        });
    }

    fn new_route(&mut self, route: &netlink::Route<'_>, work: &mut Work) {
        if route.is_cache {
            return;
        }
        if route.replaces {
            self.forget_route(route, work);
        }
        for (ifindex, gateway) in route.hops() {
            let Some(key) = route_key(route, gateway) else { continue };
            self.change(ifindex, work, |one, scope| {
                let new = RouteFacts {
                    protocol: route.protocol,
                    local: route.kind == netlink::Route::LOCAL,
                    source: route.source,
                    seen: scope.round,
                };
                if one.routes.len() >= MAX_ENTRIES && !one.routes.contains_key(&key) {
                    return scope.leave_out();
                }
                let old = one.routes.insert(key, new);
                let same = old.is_some_and(|old| RouteFacts { seen: new.seen, ..old } == new);
                if same { Parts::default() } else { Parts::ROUTES }
            });
        }
    }

    /// The routes that the new one takes the place of, whichever interface they lead through.
    fn forget_route(&mut self, route: &netlink::Route<'_>, work: &mut Work) {
        let Some(wanted) = route_key(route, None) else { return };
        let (key, settled) = (self.key, self.settled);
        for (ifindex, one) in &mut self.interfaces {
            let before = one.routes.len();
            if before == 0 {
                continue;
            }
            one.routes.retain(|known, _| RouteKey { gateway: None, ..*known } != wanted);
            if one.routes.len() != before {
                mark((key, *ifindex), one, Parts::ROUTES, settled, work);
            }
        }
    }

    /// Changes an interface that is known, and notes which parts the change is about.
    fn change(
        &mut self,
        ifindex: u32,
        work: &mut Work,
        change: impl FnOnce(&mut Interface, &mut Scope) -> Parts,
    ) {
        let Some(one) = self.interfaces.get_mut(&ifindex) else { return };
        let mut scope =
            Scope { round: self.round, neighbour_round: self.neighbour_round, left_out: false };
        let parts = change(one, &mut scope);
        work.left_out = work.left_out.saturating_add(u64::from(scope.left_out));
        mark((self.key, ifindex), one, parts, self.settled, work);
    }
}

/// What a change needs to know, and says, besides its result.
struct Scope {
    round: Round,
    neighbour_round: Round,
    left_out: bool,
}

impl Scope {
    const fn leave_out(&mut self) -> Parts {
        self.left_out = true;
        Parts(0)
    }
}

/// Notes that parts of an interface are to be shown anew.
pub(super) fn mark(
    place: (SpaceKey, u32),
    one: &mut Interface,
    parts: Parts,
    settled: bool,
    work: &mut Work,
) {
    one.dirty = one.dirty.with(parts);
    // It is shown once all about it is known: the driver was asked, the first dumps are done.
    if parts.is_empty() || !one.asked || !settled {
        return;
    }
    if !parts.without(Parts::LAZY).is_empty() {
        if !one.queued {
            one.queued = true;
            work.dirty.push_back(place);
        }
    } else if !one.waiting {
        one.waiting = true;
        work.lazy.push(place);
    }
}

/// An address is told from others by itself, its prefix and its peer.
fn is_same(known: &Address, message: &netlink::Address) -> bool {
    Some(known.ip) == message.local && known.prefix == message.prefix && known.peer == message.peer
}

/// What tells an entry of a forwarding database; `None` for neighbours of other families.
fn forwarding_key(message: &netlink::Neighbour) -> Option<ForwardingKey> {
    /// NTF_SELF and NTF_MASTER: the card's own database, or the bridge's.
    const WHOSE: u8 = 0x06;
    if message.family != netlink::Neighbour::BRIDGE {
        return None;
    }
    let (vlan, vni) = (message.vlan_id.unwrap_or(0), message.vni.unwrap_or(0));
    Some((message.mac?, vlan, vni, message.ip, message.flags & WHOSE))
}

/// What tells a neighbour; `None` for entries of forwarding databases.
fn neighbour_key(message: &netlink::Neighbour) -> Option<IpAddr> {
    message.ip.filter(|_| message.family != netlink::Neighbour::BRIDGE)
}

fn route_key(route: &netlink::Route<'_>, gateway: Option<IpAddr>) -> Option<RouteKey> {
    let to = match (route.destination, route.family) {
        (Some(to), _) => to,
        (None, 2) => Ipv4Addr::UNSPECIFIED.into(),
        (None, 10) => Ipv6Addr::UNSPECIFIED.into(),
        // Multicast routes of routing daemons are of families of their own.
        (None, _) => return None,
    };
    let (table, prefix, priority) = (route.table, route.prefix, route.priority);
    Some(RouteKey { table, to, prefix, priority, gateway })
}
