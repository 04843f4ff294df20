//! Who moves most: the live flows added up by host, device, protocol, port, interface or what the
//! detectors call them. Made in slices, so that a large table can be summed over several turns of
//! the loop.

use std::collections::HashMap;
use std::net::IpAddr;

use super::entry::Flow;
use super::key::Side;
use super::orient::OtherType;
use super::table::{FlowId, Table};

/// Keys that are still told apart after a pruning; twice as many before.
const KEYS: usize = 4_096;

/// What flows are added up by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// Application, as the detectors number it.
    Application,
    /// Protocol, as the detectors number it.
    Detected,
    /// Hardware address of the local side, of both ends if both are local.
    Device,
    /// Address of either end: a flow counts for both.
    Host,
    /// Capture interface.
    Interface,
    /// Address of the end that is elsewhere.
    Peer,
    /// Protocol and the responder's port.
    Port,
    /// IP protocol.
    Protocol,
}

/// One thing that flows were added up by.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Item {
    /// An application; 0 is none.
    Application(u16),
    /// A protocol of the detectors; 0 is unknown.
    Detected(u16),
    /// A hardware address.
    Device([u8; 6]),
    /// A host.
    Host(IpAddr),
    /// An interface slot.
    Interface(u16),
    /// IP protocol and port.
    Port(u8, u16),
    /// IP protocol.
    Protocol(u8),
}

/// A sum over flows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Flows.
    pub flows: u64,
    /// Their packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, what the thing itself sent: a host, or the initiators of flows.
    pub sent_bytes: u64,
    /// Packets that it sent.
    pub sent_packets: u64,
}

/// What makes one thing heavier than another.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// Bytes in both directions.
    #[default]
    Bytes,
    /// Flows.
    Flows,
    /// Packets in both directions.
    Packets,
}

impl Tally {
    /// How much it weighs.
    #[must_use]
    pub const fn weight(&self, order: Order) -> u64 {
        match order {
            Order::Bytes => self.bytes,
            Order::Flows => self.flows,
            Order::Packets => self.packets,
        }
    }

    /// Adds another sum.
    pub const fn add(&mut self, other: &Self) {
        self.flows = self.flows.wrapping_add(other.flows);
        self.packets = self.packets.wrapping_add(other.packets);
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.sent_bytes = self.sent_bytes.wrapping_add(other.sent_bytes);
        self.sent_packets = self.sent_packets.wrapping_add(other.sent_packets);
    }
}

/// A sum in the making. At most twice 4 096 keys are held; when there are more, the lighter half
/// joins `other`, so a key that is heavy in the end may miss what it had before.
#[derive(Debug)]
pub struct Top {
    by: By,
    sums: HashMap<Item, Tally>,
    other: Tally,
    at: Option<FlowId>,
}

impl Top {
    /// Nothing added up yet.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self { by, sums: HashMap::new(), other: Tally::default(), at: None }
    }

    /// What flows are added up by.
    #[must_use]
    pub const fn by(&self) -> By {
        self.by
    }

    /// Adds those of the next `budget` flows of the table that are wanted; true when all have been
    /// looked at. `label` says which application and protocol a flow has.
    pub fn feed(
        &mut self,
        table: &Table,
        wanted: &dyn Fn(FlowId, &Flow) -> bool,
        budget: usize,
        label: &dyn Fn(&Flow) -> (u16, u16),
    ) -> bool {
        let mut left = budget;
        for (id, flow) in table.after(self.at) {
            if left == 0 {
                return false;
            }
            left = left.saturating_sub(1);
            self.at = Some(id);
            if wanted(id, flow) {
                self.add(flow, label);
            }
        }
        true
    }

    /// Adds one flow. The outsides of tunnels don't count: their bytes are in the flows inside.
    pub fn add(&mut self, flow: &Flow, label: &dyn Fn(&Flow) -> (u16, u16)) {
        if flow.is_carrier() {
            return;
        }
        let (key, from) = (flow.key(), flow.initiator());
        let (packets, bytes) = (flow.packets(), flow.bytes());
        let sum = |sender| Tally {
            flows: 1,
            packets: flow.total_packets(),
            bytes: flow.total_bytes(),
            sent_bytes: *bytes.of(sender),
            sent_packets: *packets.of(sender),
        };
        let responder = from.other();
        let (local, other) = (flow.orientation().local(), flow.orientation().other());
        match self.by {
            By::Application => self.count(Item::Application(label(flow).0), &sum(from)),
            By::Detected => self.count(Item::Detected(label(flow).1), &sum(from)),
            By::Device => {
                let both = local.filter(|_| other == OtherType::Local).map(Side::other);
                for side in local.into_iter().chain(both) {
                    self.count(Item::Device(*flow.macs().of(side)), &sum(side));
                }
            }
            By::Peer => {
                let far = match (local, other) {
                    (Some(local), OtherType::Remote) => local.other(),
                    (None, _) => responder,
                    _ => return,
                };
                self.count(Item::Host(key.ip(far)), &sum(far));
            }
            By::Host => {
                let (one, two) = (key.ip(responder), key.ip(from));
                self.count(Item::Host(one), &sum(responder));
                if one != two {
                    self.count(Item::Host(two), &sum(from));
                }
            }
            By::Interface => self.count(Item::Interface(key.iface), &sum(from)),
            By::Port => self.count(Item::Port(key.proto, *key.port.of(responder)), &sum(from)),
            By::Protocol => self.count(Item::Protocol(key.proto), &sum(from)),
        }
    }

    /// The `most` heaviest, heaviest first, and the sum of the rest.
    #[must_use]
    pub fn finish(self, order: Order, most: usize) -> (Vec<(Item, Tally)>, Tally) {
        let mut rows: Vec<_> = self.sums.into_iter().collect();
        rows.sort_unstable_by_key(|(item, sum)| (std::cmp::Reverse(sum.weight(order)), *item));
        let mut other = self.other;
        for (_, sum) in rows.iter().skip(most) {
            other.add(sum);
        }
        rows.truncate(most);
        (rows, other)
    }

    /// All sums that are told apart, in no order.
    #[must_use]
    pub fn sums(self) -> HashMap<Item, Tally> {
        self.sums
    }

    fn count(&mut self, item: Item, sum: &Tally) {
        if self.sums.len() >= KEYS.saturating_mul(2) && !self.sums.contains_key(&item) {
            self.prune();
        }
        self.sums.entry(item).or_default().add(sum);
    }

    #[cold]
    fn prune(&mut self) {
        let mut rows: Vec<_> = self.sums.drain().collect();
        if KEYS < rows.len() {
            rows.select_nth_unstable_by_key(KEYS, |(_, sum)| std::cmp::Reverse(sum.bytes));
        }
        for (_, sum) in rows.iter().skip(KEYS) {
            self.other.add(sum);
        }
        rows.truncate(KEYS);
        self.sums.extend(rows);
    }
}
