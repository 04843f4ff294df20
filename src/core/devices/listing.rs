//! Answers about devices and what they use: sums over the live flows, made in slices, with what is
//! kept of those that have ended.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::super::agent::{Agent, Item, SLICE};
use super::super::names::is_hidden;
use super::super::row::{Row, Value};
use super::device::{Device, Trace};
use super::guess;
use super::ledger::{Account, Kind};
use super::{MAX_DEVICES, What};
use crate::detect::Protocol;
use crate::flow::FlowId;
use crate::flow::top::{By, Item as Key, Tally, Top};
use crate::wire::{mac, vendor};

/// Rows of devices made in one call: each is a guess by all rules.
const ROWS: usize = 12;

/// Names shown of one device.
const MAX_NAMES: usize = 8;

/// Which devices are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Wanted {
    /// All.
    #[default]
    All,
    /// That with an address.
    Address(IpAddr),
    /// That with a hardware address.
    Mac([u8; 6]),
    /// Those with a name, with or without its domain.
    Name(String),
}

impl Wanted {
    /// A hardware address, an address, or else a name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match (mac::parse(text), text.parse()) {
            (Some(mac), _) => Self::Mac(mac),
            (None, Ok(address)) => Self::Address(address),
            _ if text.is_empty() => Self::All,
            _ => Self::Name(text.to_owned()),
        }
    }
}

/// An answer about devices in the making.
#[derive(Debug)]
pub(in crate::core) struct Inventory {
    wanted: Wanted,
    traffic: Option<Box<Top>>,
    found: VecDeque<(u16, Tally)>,
    after: u64,
}

/// An answer about applications in the making.
#[derive(Debug)]
pub(in crate::core) struct Usage {
    at: Option<FlowId>,
    is_summed: bool,
    now: HashMap<Kind, Account>,
    found: VecDeque<Row>,
    after: u64,
}

impl Inventory {
    pub(in crate::core) fn new(wanted: Wanted, after: u64) -> Self {
        let traffic = Some(Box::new(Top::new(By::Device)));
        Self { wanted, traffic, found: VecDeque::new(), after }
    }

    /// Fetches further rows; `false` once there are no more.
    pub(in crate::core) fn rows(
        &mut self,
        agent: &Agent,
        most: usize,
        into: &mut Vec<Item>,
        next: &mut Option<u64>,
    ) -> bool {
        if let Some(top) = &mut self.traffic {
            if top.feed(agent.flows(), &|_, _| true, SLICE, &|_| (0, 0)) {
                let sums = self.traffic.take().map(|top| top.sums()).unwrap_or_default();
                self.found = agent.found(&self.wanted, &sums, self.after);
            }
            return true;
        }
        for _ in 0..most.min(ROWS) {
            let Some((place, live)) = self.found.pop_front() else { break };
            self.after = self.after.saturating_add(1);
            if let Some(device) = agent.devices.get(place) {
                into.push(Item::Row(agent.device_row(device, &live)));
            }
        }
        *next = Some(self.after).filter(|_| !self.found.is_empty());
        !self.found.is_empty()
    }
}

impl Usage {
    pub(in crate::core) fn new(after: u64) -> Self {
        Self { at: None, is_summed: false, now: HashMap::new(), found: VecDeque::new(), after }
    }

    /// Fetches further rows; `false` once there are no more.
    pub(in crate::core) fn rows(
        &mut self,
        agent: &Agent,
        most: usize,
        into: &mut Vec<Item>,
        next: &mut Option<u64>,
    ) -> bool {
        if !self.is_summed {
            self.sum(agent);
            return true;
        }
        let before = into.len();
        into.extend(self.found.drain(..most.min(self.found.len())).map(Item::Row));
        self.after = self.after.saturating_add(into.len().saturating_sub(before) as u64);
        *next = Some(self.after).filter(|_| !self.found.is_empty());
        !self.found.is_empty()
    }

    /// Adds the next flows, a slice of them.
    fn sum(&mut self, agent: &Agent) {
        let mut left = SLICE;
        for (id, flow) in agent.flows().after(self.at) {
            if left == 0 {
                return;
            }
            left = left.saturating_sub(1);
            self.at = Some(id);
            if flow.is_carrier() || !agent.devices.counts(flow.key().iface) {
                continue;
            }
            // As many kinds as there are flows at most.
            let kind = Kind::of(agent.engine.inspector.numbers(flow.detector));
            let local = flow.orientation().local();
            let user = local.and_then(|side| agent.devices.place(*flow.macs().of(side)));
            self.now.entry(kind).or_default().add(flow, user);
        }
        self.is_summed = true;
        let mut all: HashMap<Kind, Account> =
            agent.devices.ledger.iter().map(|(kind, account)| (kind, account.clone())).collect();
        for (kind, account) in &self.now {
            all.entry(*kind).or_default().join(account);
        }
        let mut all: Vec<(Kind, Account)> = all.into_iter().collect();
        all.sort_unstable_by_key(|(kind, account)| (Reverse(account.tally.bytes), *kind));
        let skip = usize::try_from(self.after).unwrap_or(usize::MAX);
        let none = Account::default();
        let row = |(kind, total): &(Kind, Account)| {
            agent.usage_row(*kind, total, self.now.get(kind).unwrap_or(&none))
        };
        self.found = all.iter().skip(skip).map(row).collect();
    }
}

impl Agent {
    /// The places of devices that are wanted with their live traffic, the busiest first, this
    /// machine last.
    fn found(
        &self,
        wanted: &Wanted,
        sums: &HashMap<Key, Tally>,
        after: u64,
    ) -> VecDeque<(u16, Tally)> {
        let with_traffic = |(place, device): (u16, &Device)| {
            let live = sums.get(&Key::Device(device.mac)).copied().unwrap_or_default();
            let ended = device.sent.saturating_add(device.received);
            (place, (device.is_own, Reverse(live.bytes.saturating_add(ended)), device.mac), live)
        };
        let is_wanted = |(_, device): &(u16, &Device)| match wanted {
            Wanted::All => true,
            Wanted::Address(ip) => device.has(*ip),
            Wanted::Mac(mac) => device.mac == *mac,
            Wanted::Name(name) => self.is_called(device, name),
        };
        let mut all: Vec<_> = self.devices.iter().filter(is_wanted).map(with_traffic).collect();
        all.sort_unstable_by_key(|(_, rank, _)| *rank);
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        let rest = all.into_iter().skip(skip);
        rest.take(MAX_DEVICES).map(|(place, _, live)| (place, live)).collect()
    }

    /// Whether a device has a name, with or without its domain.
    pub(in crate::core) fn is_called(&self, device: &Device, name: &str) -> bool {
        let first = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        self.devices.names_of(device, &self.engine.lore.names).iter().any(|(_, known)| {
            known.eq_ignore_ascii_case(name)
                || !name.contains('.') && first(known).eq_ignore_ascii_case(name)
        })
    }

    /// The name of a device that is believed most, empty if it has none. Clients of others print
    /// it as it is, so that what could command a terminal is replaced.
    #[must_use]
    pub fn name_of_device(&self, device: &Device) -> String {
        let names = self.devices.names_of(device, &self.engine.lore.names);
        names.first().map_or_else(String::new, |(_, name)| name.replace(is_hidden, "\u{fffd}"))
    }

    /// A device as one row.
    #[must_use]
    pub fn device_row(&self, device: &Device, live: &Tally) -> Row {
        let names = self.devices.names_of(device, &self.engine.lore.names);
        let (kind, os) = guess::guess(device, &names);
        let addresses = device.addresses();
        let neighbours = addresses.iter().filter_map(|ip| {
            let (_, neighbour) = self.links.neighbours().lookup(*ip)?;
            (neighbour.mac == device.mac).then_some(neighbour)
        });
        let mut states: Vec<&'static str> = Vec::new();
        let mut is_router = device.is_router;
        for neighbour in neighbours {
            let state = super::super::listing::state_name(neighbour.state);
            if !states.contains(&state) {
                states.push(state);
            }
            is_router |= neighbour.router;
        }
        let live_in = live.bytes.saturating_sub(live.sent_bytes);
        let kind_of = if device.is_own { "this machine" } else { kind.what };
        let shown = names.iter().take(MAX_NAMES);
        let mut row = Row::new()
            .with("macaddr", device.mac)
            .with("name", self.name_of_device(device))
            .with("vendor", vendor::of(device.mac).unwrap_or_default())
            .with("kind", kind_of)
            .with("os", os.what)
            .with("online", device.is_online)
            .with("addresses", texts(addresses.iter().map(ToString::to_string)))
            .with("names", texts(shown.clone().map(|(_, name)| (*name).to_owned())))
            .with("first_seen", self.wall_secs(device.first))
            .with("last_seen", self.wall_secs(device.last))
            .with("tx_bytes", device.sent.saturating_add(live.sent_bytes))
            .with("rx_bytes", device.received.saturating_add(live_in))
            .with("flows", device.flows.saturating_add(live.flows))
            .with("flows_now", live.flows)
            .with("made_up", vendor::is_local(device.mac))
            .with("own", device.is_own)
            .with("router", is_router)
            .with("confirmed", device.is_confirmed)
            .with("interfaces", vec![self.name_of(device.iface).to_owned()])
            .with("states", states)
            .with("address_count", addresses.len());
        if !kind.what.is_empty() && !device.is_own {
            row.push("kind_confidence", kind.confidence);
            row.push("kind_reason", kind.reason);
        }
        if !os.what.is_empty() {
            row.push("os_confidence", os.confidence);
            row.push("os_reason", os.reason);
        }
        row.push("name_sources", texts(shown.map(|(source, _)| source.name().to_owned())));
        let mut traces = Row::new();
        for trace in Trace::ALL {
            let of_kind: Vec<String> = device.traces(trace).map(str::to_owned).collect();
            if !of_kind.is_empty() {
                traces.push(trace.name(), of_kind);
            }
        }
        row.with("fingerprints", traces)
    }

    /// What became of a device as one row.
    pub(in crate::core) fn device_event(&self, device: &Device, what: What) -> Row {
        let (name, number) = what.name();
        let address = device.addresses().first().map_or_else(String::new, ToString::to_string);
        Row::new()
            .with("action", number)
            .with("what", name)
            .with("macaddr", device.mac)
            .with("name", self.name_of_device(device))
            .with("address", address)
            .with("vendor", vendor::of(device.mac).unwrap_or_default())
            .with("made_up", vendor::is_local(device.mac))
            .with("dev", self.name_of(device.iface).to_owned())
            .with("last_seen", self.wall_secs(device.last))
    }

    fn usage_row(&self, kind: Kind, total: &Account, now: &Account) -> Row {
        let (name, number, category, is_application) = match kind {
            Kind::Application(id) => {
                let known = self.engine.lore.applications.get(id);
                let tag = known.map_or_else(String::new, |application| application.tag.to_string());
                (tag, id, known.map_or("", |application| application.category.name()), true)
            }
            Kind::Protocol(id) => {
                let protocol = Protocol(id);
                let name = if id == 0 { "unknown" } else { protocol.name() };
                (name.to_owned(), id, protocol.entry().category.name(), false)
            }
        };
        let in_of =
            |account: &Account| account.tally.bytes.saturating_sub(account.tally.sent_bytes);
        Row::new()
            .with("app", name)
            .with("flows", total.tally.flows)
            .with("bytes", total.tally.bytes)
            .with("devices", total.devices())
            .with("tx_bytes", total.tally.sent_bytes)
            .with("rx_bytes", in_of(total))
            .with("pkts", total.tally.packets)
            .with("flows_now", now.tally.flows)
            .with("bytes_now", now.tally.bytes)
            .with("devices_now", now.devices())
            .with("kind", if is_application { "application" } else { "protocol" })
            .with("id", number)
            .with("category", category)
    }
}

fn texts(texts: impl Iterator<Item = String>) -> Value {
    Value::List(texts.map(Value::from).collect())
}
