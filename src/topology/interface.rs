//! One interface of a namespace as the kernel describes it: the facts behind the metadata of its
//! node, no more. How they are shown is the business of [`super::metadata`].

use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

use crate::time::Clock;
use crate::wire::netlink::{self, BondPort, Function, LinkStatistics};

use super::graph::Id;
use super::sorted::Sorted;
use super::value::{Text, Value};

/// Addresses, neighbours, forwarding entries and routes of one interface that are shown, each;
/// further ones are left out and counted.
pub(super) const MAX_ENTRIES: usize = 512;

/// Bytes of a hardware address: InfiniBand's has 20.
const MAX_HARDWARE: usize = 32;

/// Virtual functions that are shown.
const MAX_FUNCTIONS: usize = 256;

/// What of an interface is to be shown anew.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Parts(pub(super) u8);

impl Parts {
    pub(super) const LINK: Self = Self(1);
    pub(super) const ADDRESSES: Self = Self(1 << 1);
    pub(super) const NEIGHBOURS: Self = Self(1 << 2);
    pub(super) const FORWARDING: Self = Self(1 << 3);
    pub(super) const ROUTES: Self = Self(1 << 4);
    pub(super) const CARD: Self = Self(1 << 5);
    pub(super) const METRIC: Self = Self(1 << 6);
    pub(super) const ALL: Self = Self(0x7f);
    /// What changes so often that it is shown once a second at most.
    pub(super) const LAZY: Self = Self(Self::NEIGHBOURS.0 | Self::FORWARDING.0);

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Whether a dump mentioned something: the number of the last one that did.
pub(super) type Round = u8;

/// The state of an interface.
#[derive(Debug, Default)]
pub(super) struct Interface {
    /// Its node, once it has one.
    pub(super) node: Option<Id>,
    /// Its edges, as far as this end of them knows of them.
    pub(super) edges: Box<[Id]>,
    pub(super) seen: Round,
    /// What is not shown yet.
    pub(super) dirty: Parts,
    /// It is in the queue of those to be shown.
    pub(super) queued: bool,
    /// It is in the queue of those that have time.
    pub(super) waiting: bool,
    /// The driver was asked, so that it can be shown.
    pub(super) asked: bool,
    /// It is in the queue of those whose driver is to be asked again.
    pub(super) asking: bool,
    /// The kernel was asked for news of the other end.
    pub(super) nudged: bool,
    pub(super) link: LinkFacts,
    pub(super) addresses: Vec<Address>,
    pub(super) neighbours: Sorted<IpAddr, Neighbour>,
    pub(super) forwarding: Sorted<ForwardingKey, Neighbour>,
    pub(super) routes: Sorted<RouteKey, RouteFacts>,
    /// One for all interfaces whose drivers say the same.
    pub(super) card: Rc<Card>,
    pub(super) metric: Option<Box<Metric>>,
}

/// What a link message says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LinkFacts {
    pub(super) name: Text,
    /// The kernel's name for its kind, empty for a device.
    pub(super) kind: Text,
    pub(super) hardware: u16,
    pub(super) flags: u32,
    pub(super) mtu: u32,
    pub(super) operstate: u8,
    pub(super) mac: Hardware,
    pub(super) master: u32,
    pub(super) parent: u32,
    pub(super) parent_namespace: Option<i32>,
    pub(super) vlan_id: Option<u16>,
    pub(super) vlan_protocol: Option<u16>,
    pub(super) more: Option<Box<More>>,
}

/// What few interfaces have.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct More {
    pub(super) permanent: Hardware,
    pub(super) info: netlink::Info,
    pub(super) bond_port: Option<Port>,
    pub(super) alias: Box<str>,
    pub(super) functions: Box<[Function]>,
}

/// A hardware address, or none: nearly all have six octets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Hardware {
    Other(Box<[u8]>),
    Six([u8; 6]),
}

/// [`BondPort`] for keeping.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Port {
    pub(super) facts: BondPort<'static>,
    pub(super) permanent: Hardware,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    pub(super) peer: Option<IpAddr>,
    pub(super) prefix: u8,
    pub(super) seen: Round,
}

/// MAC address, VLAN, VNI, far end: what tells entries of a forwarding database apart.
pub(super) type ForwardingKey = ([u8; 6], u16, u32, Option<IpAddr>, u8);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Neighbour {
    pub(super) mac: Option<[u8; 6]>,
    pub(super) state: u16,
    pub(super) flags: u8,
    pub(super) via: u32,
    pub(super) seen: Round,
}

/// Table, destination, prefix, priority, gateway: what tells routes through an interface apart.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct RouteKey {
    pub(super) table: u32,
    /// The destination, with zeroes for a default route: its family counts.
    pub(super) to: IpAddr,
    pub(super) prefix: u8,
    pub(super) priority: u32,
    pub(super) gateway: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RouteFacts {
    pub(super) protocol: u8,
    /// It leads to the machine itself.
    pub(super) local: bool,
    pub(super) source: Option<IpAddr>,
    pub(super) seen: Round,
}

/// What the driver says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Card {
    pub(super) driver: Text,
    pub(super) bus: Text,
    /// Mb/s; 0 if unknown.
    pub(super) speed: u32,
    pub(super) full_duplex: Option<bool>,
    pub(super) features: Option<Value>,
}

/// Counters as of the last update.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    pub(super) total: Counts,
    /// Milliseconds since 1970.
    pub(super) last: i64,
    /// What was added in the last interval with traffic, and when that interval was; nothing
    /// once it is shown.
    pub(super) update: Option<Box<(Counts, i64, i64)>>,
    /// Microseconds of the monotonic clock: when the next update is due.
    due: u64,
    /// Milliseconds since 1970: when the interval under way began.
    since: i64,
}

/// Counters without those that are zero, as most are.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counts {
    /// A bit for each that is there.
    which: u32,
    values: Box<[u64]>,
}

impl Interface {
    /// Takes over what the message says; tells which parts that changed.
    pub(super) fn update(&mut self, message: &netlink::Link<'_>) -> Parts {
        let mut new = self.link.clone();
        new.take(message);
        if new == self.link {
            return Parts::default();
        }
        let down = self.link.flags & !new.flags & netlink::LINK_UP != 0;
        self.link = new;
        // The kernel removes the routes of an interface that is set down without a word, but for
        // IPv4 routes to its own addresses (fib_sync_down_dev).
        let before = self.routes.len();
        self.routes.retain(|key, route| !down || route.local && key.to.is_ipv4());
        if self.routes.len() != before {
            return Parts::LINK.with(Parts::ROUTES);
        }
        Parts::LINK
    }

    /// Takes the interface's own counters; true if they are to be shown.
    pub(super) fn count(&mut self, total: LinkStatistics, clock: &Clock, interval: u64) -> bool {
        let now = clock.wall.millis();
        let Some(metric) = &mut self.metric else {
            let due = clock.tick.plus(interval).micros();
            self.metric = Some(Box::new(Metric {
                total: Counts::of(&total),
                last: now,
                update: None,
                due,
                since: now,
            }));
            return true;
        };
        // Readings come a little early or late.
        if clock.tick.micros().saturating_add(interval / 20) < metric.due {
            return false;
        }
        let since = std::mem::replace(&mut metric.since, now);
        metric.due = clock.tick.plus(interval).micros();
        let counts = Counts::of(&total);
        if counts == metric.total {
            return false;
        }
        metric.update = Some(Box::new((metric.total.until(&total), since, now)));
        metric.total = counts;
        metric.last = now;
        true
    }

    /// What `Type` says.
    pub(super) fn kind(&self) -> &str {
        // Kernels and drivers without netlink of their own.
        if &*self.card.driver == "veth" {
            return "veth";
        }
        if self.link.kind.is_empty() { "device" } else { &self.link.kind }
    }

    pub(super) fn is_veth(&self) -> bool {
        self.kind() == "veth"
    }
}

impl LinkFacts {
    fn take(&mut self, message: &netlink::Link<'_>) {
        self.hardware = message.hardware;
        self.flags = message.flags;
        if let Some(name) = message.name {
            let name = String::from_utf8_lossy(name);
            if *self.name != *name {
                self.name = (*name).into();
            }
        }
        self.operstate = message.operstate.unwrap_or(self.operstate);
        // Wireless drivers send events with hardly an attribute.
        if !message.is_complete() {
            return;
        }
        let kind = String::from_utf8_lossy(message.kind.unwrap_or(b""));
        if *self.kind != *kind {
            self.kind = (*kind).into();
        }
        self.mtu = message.mtu.unwrap_or(0);
        self.mac = hardware(message.address);
        self.master = message.master.unwrap_or(0);
        let parent = message.parent.filter(|parent| *parent != 0);
        self.parent = parent.or(message.info.lower).unwrap_or(0);
        self.parent_namespace = message.parent_namespace.filter(|id| *id >= 0);
        // An interface that is its own parent has none.
        if self.parent == message.ifindex && self.parent_namespace.is_none() {
            self.parent = 0;
        }
        self.vlan_id = message.vlan_id;
        self.vlan_protocol = message.vlan_protocol;
        let mut more = More {
            permanent: hardware(message.permanent),
            info: message.info,
            bond_port: message.bond_port.map(|port| {
                let permanent = hardware(Some(port.permanent));
                Port { facts: BondPort { permanent: &[], ..port }, permanent }
            }),
            alias: String::from_utf8_lossy(message.alias.unwrap_or(&[])).into(),
            functions: Box::default(),
        };
        // Only answers to dumps have them.
        if message.functions.is_some() {
            more.functions = message.functions().take(MAX_FUNCTIONS).collect();
        } else if let Some(before) = self.more.take() {
            more.functions = before.functions;
        }
        self.more = (more != More::default()).then(|| Box::new(more));
    }
}

impl Deref for Hardware {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Other(octets) => octets,
            Self::Six(octets) => octets,
        }
    }
}

impl Default for Hardware {
    fn default() -> Self {
        Self::Other(Box::default())
    }
}

fn hardware(address: Option<&[u8]>) -> Hardware {
    let octets = address.filter(|address| address.len() <= MAX_HARDWARE).unwrap_or(&[]);
    octets.try_into().map_or_else(|_| Hardware::Other(octets.into()), Hardware::Six)
}

impl Counts {
    fn of(all: &LinkStatistics) -> Self {
        Self::from_all(fields(all))
    }

    fn from_all(all: [u64; FIELDS]) -> Self {
        let which = all.iter().rev().fold(0, |bits, value| bits << 1 | u32::from(*value != 0));
        Self { which, values: all.into_iter().filter(|value| *value != 0).collect() }
    }

    /// What was added to these until those of `new`; a counter that was set back counts from
    /// zero.
    fn until(&self, new: &LinkStatistics) -> Self {
        let (mut sum, mut old) = (fields(new), self.all());
        for (value, (_, before)) in sum.iter_mut().zip(&mut old) {
            *value = value.checked_sub(before).unwrap_or(*value);
        }
        Self::from_all(sum)
    }

    /// All of them, by the names that clients know them under.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let mut values = self.values.iter().copied();
        (0_u32..).zip(NAMES).map(move |(bit, name)| {
            let there = self.which & 1_u32.checked_shl(bit).unwrap_or(0) != 0;
            (name, if there { values.next().unwrap_or(0) } else { 0 })
        })
    }
}

macro_rules! names {
    ($($field:ident $name:literal,)+) => {
        const NAMES: [&str; FIELDS] = [$($name),+];

        fn fields(of: &LinkStatistics) -> [u64; FIELDS] {
            [$(of.$field),+]
        }
    };
}

/// Counters of an interface.
const FIELDS: usize = 23;

names! {
    collisions "Collisions",
    multicast "Multicast",
    rx_bytes "RxBytes",
    rx_compressed "RxCompressed",
    rx_crc_errors "RxCrcErrors",
    rx_dropped "RxDropped",
    rx_errors "RxErrors",
    rx_fifo_errors "RxFifoErrors",
    rx_frame_errors "RxFrameErrors",
    rx_length_errors "RxLengthErrors",
    rx_missed_errors "RxMissedErrors",
    rx_over_errors "RxOverErrors",
    rx_packets "RxPackets",
    tx_aborted_errors "TxAbortedErrors",
    tx_bytes "TxBytes",
    tx_carrier_errors "TxCarrierErrors",
    tx_compressed "TxCompressed",
    tx_dropped "TxDropped",
    tx_errors "TxErrors",
    tx_fifo_errors "TxFifoErrors",
    tx_heartbeat_errors "TxHeartbeatErrors",
    tx_packets "TxPackets",
    tx_window_errors "TxWindowErrors",
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Tick, Wall};

    fn at(seconds: u32) -> Clock {
        let wall = Wall(i64::from(seconds).saturating_mul(1_000_000));
        Clock { tick: Tick::from_secs(u64::from(seconds)), wall }
    }

    fn bytes(rx_bytes: u64) -> LinkStatistics {
        LinkStatistics { rx_bytes, ..LinkStatistics::default() }
    }

    #[test]
    fn counters_are_shown_once_an_interval_and_only_when_they_moved() {
        let mut one = Interface::default();
        let interval = 30_000_000;
        assert!(one.count(bytes(10), &at(0), interval));
        assert!(!one.count(bytes(20), &at(10), interval));
        assert!(!one.count(bytes(10), &at(30), interval));
        assert!(one.count(bytes(70), &at(59), interval));
        let metric = one.metric.as_ref().unwrap();
        assert_eq!(metric.update.as_deref(), Some(&(Counts::of(&bytes(60)), 30_000, 59_000)));
        assert_eq!((&metric.total, metric.last), (&Counts::of(&bytes(70)), 59_000));
        // Set back: all of it is new.
        assert!(one.count(bytes(5), &at(100), interval));
        assert_eq!(one.metric.unwrap().update.unwrap().0, Counts::of(&bytes(5)));
    }

    #[test]
    fn an_event_without_attributes_erases_nothing() {
        let mut one = Interface::default();
        let whole = netlink::Link {
            mtu: Some(1_500),
            master: Some(7),
            name: Some(b"wlan0"),
            ..netlink::Link::default()
        };
        assert_eq!(one.update(&whole), Parts::LINK);
        assert_eq!(one.update(&netlink::Link::default()), Parts::default());
        assert_eq!((one.link.master, &*one.link.name), (7, "wlan0"));
    }
}
