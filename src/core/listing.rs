//! Answers of many rows, produced a few at a time. A cursor holds a position and no borrow, so
//! the table may change underneath: an answer is a weak snapshot in which whatever lives
//! throughout appears exactly once.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::detect::{Outcome, Protocol};
use crate::flow::filter::Hosts;
use crate::flow::top::{By, Item as Key, Order, Tally, Top};
use crate::flow::{Flow, FlowId, Query, Record, State};
use crate::wire::netlink::Neighbour as Nud;
use crate::wire::{mac, proto, vendor};

use super::agent::{Agent, Reply, SLICE};
use super::bus::Event;
use super::command::{Failure, NeighbourQuery, Page};
use super::devices::listing::{Inventory, Usage, Wanted};
use super::engine::Lore;
use super::groups::Members;
use super::labelled::Labelled;
use super::map::NodeQuery;
use super::row::{Row, Value};
use super::select::{Filter, Selection};
use super::subject::{Around, Asked};

/// One row of an answer.
#[derive(Clone, Debug)]
pub enum Item {
    /// As the core spells it.
    Row(Row),
    /// A flow, to be spelled as the interface's clients expect it; [`Agent::flow_row`] has the
    /// core's spelling.
    Flow(Box<Labelled>),
}

/// Where an answer of many rows stands.
#[derive(Debug)]
pub struct Cursor {
    kind: Kind,
    left: usize,
    /// What is true of the answer as a whole, shown beside its rows; often nothing.
    pub about: Row,
    /// What the caller passes as `after` to go on behind the rows fetched so far; `None` when
    /// there are no more.
    pub next: Option<u64>,
}

#[derive(Debug)]
enum Kind {
    Devices(Inventory),
    /// A flow, once it is known whose it is.
    Flow(u64),
    Flows {
        filter: Filter,
        at: Option<FlowId>,
        /// It is waited for what processes there are.
        process: bool,
    },
    Interfaces {
        at: u64,
    },
    Members(Members),
    Nodes {
        query: NodeQuery,
        at: u64,
    },
    Neighbours {
        query: NeighbourQuery,
        traffic: Option<Box<Top>>,
        found: VecDeque<Row>,
        after: u64,
    },
    Nothing,
    Ready(VecDeque<Row>),
    Top {
        top: Option<Box<Top>>,
        order: Order,
        filter: Filter,
        rows: usize,
    },
    Usage(Box<Usage>),
}

impl Cursor {
    fn new(kind: Kind, page: Page) -> Self {
        Self { kind, left: page.rows, about: Row::default(), next: None }
    }

    /// An answer whose rows are made already.
    pub(super) fn ready(rows: VecDeque<Row>, about: Row) -> Self {
        Self { left: rows.len(), kind: Kind::Ready(rows), about, next: None }
    }

    /// The members of groups, which count their rows themselves.
    pub(super) const fn members(members: Members, about: Row) -> Self {
        Self { kind: Kind::Members(members), left: usize::MAX, about, next: None }
    }
}

impl Agent {
    /// Fetches at most `most` further rows of an answer into `into`; `false` once it is
    /// complete. One call does a bounded amount of work, and may bring no row although there are
    /// more to come.
    pub fn rows(&mut self, cursor: &mut Cursor, most: usize, into: &mut Vec<Item>) -> bool {
        self.next_rows(cursor, most, into)
    }

    /// The same for those who may only look.
    pub fn next_rows(&self, cursor: &mut Cursor, most: usize, into: &mut Vec<Item>) -> bool {
        let most = most.min(cursor.left);
        let before = into.len();
        let next = &mut cursor.next;
        let more = match &mut cursor.kind {
            Kind::Nothing => false,
            Kind::Ready(rows) => {
                into.extend(rows.drain(..most.min(rows.len())).map(Item::Row));
                !rows.is_empty()
            }
            Kind::Devices(inventory) => inventory.rows(self, most, into, next),
            Kind::Usage(usage) => usage.rows(self, most, into, next),
            Kind::Flow(id) => {
                if self.processes.is_ready(self.clock.tick) {
                    let rows = self.flow_rows(*id).unwrap_or_default();
                    cursor.left = rows.len();
                    cursor.kind = Kind::Ready(rows);
                }
                return true;
            }
            Kind::Flows { process: waits, .. } if *waits => {
                *waits = !self.processes.is_ready(self.clock.tick);
                return true;
            }
            Kind::Flows { filter, at, .. } => self.next_flows(filter, at, next, most, into),
            Kind::Interfaces { at } => self.next_interfaces(at, next, most, into),
            Kind::Nodes { query, at } => self.next_nodes(query, at, next, most, into),
            Kind::Members(members) => members.rows(&self.groups, most, into, next),
            Kind::Neighbours { query, traffic, found, after } => {
                if let Some(top) = traffic {
                    if top.feed(self.flows(), &|_, _| true, SLICE, &|_| (0, 0)) {
                        let sums = traffic.take().map(|top| top.sums()).unwrap_or_default();
                        *found = self.neighbour_rows(query, &sums, *after);
                    }
                    return true;
                }
                into.extend(found.drain(..most.min(found.len())).map(Item::Row));
                *after = after.saturating_add(into.len().saturating_sub(before) as u64);
                *next = Some(*after).filter(|_| !found.is_empty());
                !found.is_empty()
            }
            Kind::Top { top, order, filter, rows } => {
                let wanted = |id, flow: &Flow| self.wants(filter, flow, id);
                let numbers = |flow: &Flow| self.engine.inspector.numbers(flow.detector);
                let slice = slice_of(filter);
                let feed = |top: &mut Box<Top>| top.feed(self.flows(), &wanted, slice, &numbers);
                if top.as_mut().is_none_or(feed) {
                    let rows = top.take().map(|top| self.top_rows(*top, *order, *rows));
                    cursor.kind = Kind::Ready(rows.unwrap_or_default());
                }
                return true;
            }
        };
        cursor.left = cursor.left.saturating_sub(into.len().saturating_sub(before));
        more && cursor.left > 0
    }

    pub(super) fn list_flows(&self, query: Selection, page: Page) -> Result<Reply, Failure> {
        let process = query.process;
        let Some(filter) = self.resolve(&query)? else {
            return Ok(Reply::Rows(Cursor::new(Kind::Nothing, page)));
        };
        let at = FlowId::new(page.after);
        Ok(Reply::Rows(Cursor::new(Kind::Flows { filter, at, process }, page)))
    }

    pub(super) fn list_interfaces(&self, page: Page) -> Reply {
        Reply::Rows(Cursor::new(Kind::Interfaces { at: page.after }, page))
    }

    pub(super) fn list_nodes(&self, query: NodeQuery, page: Page) -> Reply {
        Reply::Rows(Cursor::new(Kind::Nodes { query, at: page.after }, page))
    }

    pub(super) fn list_neighbours(&self, query: NeighbourQuery, page: Page) -> Reply {
        let traffic = Some(Box::new(Top::new(By::Host)));
        let found = VecDeque::new();
        let kind = Kind::Neighbours { query, traffic, found, after: page.after };
        Reply::Rows(Cursor::new(kind, page))
    }

    pub(super) fn list_devices(wanted: Wanted, page: Page) -> Reply {
        let inventory = Inventory::new(wanted, page.after);
        Reply::Rows(Cursor::new(Kind::Devices(inventory), page))
    }

    pub(super) fn list_usage(page: Page) -> Reply {
        let usage = Box::new(Usage::new(page.after));
        Reply::Rows(Cursor::new(Kind::Usage(usage), page))
    }

    pub(super) fn list_top(
        &self,
        query: &Selection,
        of: By,
        order: Order,
        rows: usize,
    ) -> Result<Reply, Failure> {
        let Some(filter) = self.resolve(query)? else {
            return Ok(Reply::Rows(Cursor::new(Kind::Nothing, Page { after: 0, rows })));
        };
        let top = Some(Box::new(Top::new(of)));
        let page = Page { after: 0, rows };
        Ok(Reply::Rows(Cursor::new(Kind::Top { top, order, filter, rows }, page)))
    }

    pub(super) fn flow(&self, id: u64) -> Result<Reply, Failure> {
        let rows = self.flow_rows(id).ok_or(Failure::NotFound)?;
        Ok(Reply::Rows(Cursor::ready(rows, Row::default())))
    }

    /// A flow with its process, which is found out first.
    pub(super) fn flow_process(&self, id: u64) -> Result<Reply, Failure> {
        self.flow_rows(id).ok_or(Failure::NotFound)?;
        let page = Page { after: 0, rows: usize::MAX };
        Ok(Reply::Rows(Cursor::new(Kind::Flow(id), page)))
    }

    fn flow_rows(&self, id: u64) -> Option<VecDeque<Row>> {
        let id = FlowId::new(id)?;
        let row = self.flow_details(&self.tell(self.flows().get(id)?, id));
        let rows = row.iter().map(|(key, value)| {
            Row::new().with("key", key.to_owned()).with("value", value.clone())
        });
        Some(rows.collect())
    }

    /// The conditions of a caller in the terms of the table; `None` if nothing can match, as
    /// with the name of an interface that is not there.
    pub fn resolve(&self, selection: &Selection) -> Result<Option<Filter>, Failure> {
        let mut query = Query {
            proto: selection.proto,
            port: selection.port,
            mac: selection.mac,
            carrier: Some(false),
            ..Query::default()
        };
        if let Some(dev) = &selection.dev {
            let Some(slot) = self.links.by_name(dev) else { return Ok(None) };
            query.iface = Some(slot);
        }
        if let Some((address, length)) = selection.host {
            query.host = Hosts::new(address, length);
        }
        if let Some(state) = &selection.state {
            let expected = "new, syn, established, closing, closed or reset";
            let bad = Failure::BadArgument { name: "state", expected };
            query.state = Some(State::parse(state).ok_or(bad)?);
        }
        Ok(Some(Filter { query, expression: selection.expression.clone() }))
    }

    /// Whether a filter lets a flow through.
    fn wants(&self, filter: &Filter, flow: &Flow, id: FlowId) -> bool {
        if !filter.query.matches(flow) {
            return false;
        }
        let Some(expression) = &filter.expression else { return true };
        let record = Record::new(flow, id, None);
        let inspector = &self.engine.inspector;
        match inspector.outcome_ref(flow.detector) {
            Some(what) => expression.matches(&self.asked(&record, what)),
            None => expression.matches(&self.asked(&record, &inspector.outcome(flow.detector))),
        }
    }

    /// A flow as expressions ask it.
    #[must_use]
    pub const fn asked<'a>(&'a self, record: &'a Record, what: &'a Outcome) -> Asked<'a> {
        let Lore { names, applications, .. } = &self.engine.lore;
        let around = Around {
            groups: Some(&self.groups),
            links: Some(&self.links),
            connections: Some(&self.connections.table),
        };
        Asked { record, what, names, applications: Some(applications), around }
    }

    /// Whether a filter lets an event through.
    #[must_use]
    pub fn passes(&self, filter: &Filter, event: &Event) -> bool {
        event.passes(filter, &|expression| {
            let told = event.flow();
            told.is_some_and(|told| expression.matches(&self.asked(&told.record, &told.what)))
        })
    }

    fn next_flows(
        &self,
        filter: &Filter,
        at: &mut Option<FlowId>,
        next: &mut Option<u64>,
        most: usize,
        into: &mut Vec<Item>,
    ) -> bool {
        let slice = slice_of(filter);
        let mut looked = 0_usize;
        let mut found = 0_usize;
        for (id, flow) in self.flows().after(*at) {
            if found == most || looked == slice {
                *next = at.map(FlowId::get);
                return true;
            }
            *at = Some(id);
            looked = looked.saturating_add(1);
            if self.wants(filter, flow, id) {
                found = found.saturating_add(1);
                into.push(Item::Flow(Box::new(self.tell(flow, id))));
            }
        }
        *next = None;
        false
    }

    fn next_interfaces(
        &self,
        at: &mut u64,
        next: &mut Option<u64>,
        most: usize,
        into: &mut Vec<Item>,
    ) -> bool {
        *next = None;
        for (slot, link) in self.links.iter() {
            // The cursor is the interface's number in the system, as shown in its row... which
            // may be reused; the slot plus one stays.
            let cursor = u64::from(slot).saturating_add(1);
            if cursor <= *at {
                continue;
            }
            if into.len() >= most {
                *next = Some(*at);
                return true;
            }
            *at = cursor;
            into.push(Item::Row(self.interface_row(slot, link)));
        }
        false
    }

    /// Neighbours that the kernel knows, then those seen in flows alone, without the first
    /// `skip`.
    fn neighbour_rows(
        &self,
        query: &NeighbourQuery,
        sums: &HashMap<Key, Tally>,
        skip: u64,
    ) -> VecDeque<Row> {
        let wanted = |slot: u16, ip: IpAddr, mac: [u8; 6]| {
            query.dev.as_deref().is_none_or(|dev| self.name_of(slot) == dev)
                && query.ip.is_none_or(|wanted| wanted == ip)
                && query.mac.is_none_or(|wanted| wanted == mac)
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let known = self.links.neighbours().iter();
        let known = known.filter(|(ip, slot, neighbour)| wanted(*slot, *ip, neighbour.mac));
        let rows = known.skip(skip).map(|(ip, slot, neighbour)| {
            let traffic = sums.get(&Key::Host(ip)).copied().unwrap_or_default();
            let mode = if ip.is_ipv4() { "arp" } else { "ndp" };
            let (v4, v6) = by_family(ip);
            Row::new()
                .with("mode", mode)
                .with("ip4addr", v4)
                .with("ip6addr", v6)
                .with("macaddr", neighbour.mac)
                .with("sockaddr", format!("{ip}:{}", self.name_of(slot)))
                .with("desc", self.name_of_neighbour(ip, neighbour.mac))
                .with("last_seen", self.wall_secs(neighbour.last_seen))
                .with("tx_pkt", traffic.sent_packets)
                .with("rx_pkt", traffic.packets.saturating_sub(traffic.sent_packets))
                .with("tx_bytes", traffic.sent_bytes)
                .with("rx_bytes", traffic.bytes.saturating_sub(traffic.sent_bytes))
                .with("dev", self.name_of(slot).to_owned())
                .with("state", state_name(neighbour.state))
                .with("router", neighbour.router)
                .with("vendor", vendor::of(neighbour.mac).unwrap_or_default())
        });
        rows.collect()
    }

    /// The name of the device, else that of the address; empty if neither has one.
    fn name_of_neighbour(&self, ip: IpAddr, mac: [u8; 6]) -> String {
        let device = self.devices.find(mac).map(|device| self.name_of_device(device));
        let of_address = || self.engine.lore.names.name_of(ip).unwrap_or_default().to_owned();
        device.filter(|name| !name.is_empty()).unwrap_or_else(of_address)
    }

    /// The name of the interface in a slot, empty if there never was one.
    #[must_use]
    pub fn name_of(&self, slot: u16) -> &str {
        self.links.get(slot).map_or("", |link| &link.name)
    }

    fn top_rows(&self, top: Top, order: Order, most: usize) -> VecDeque<Row> {
        let by = top.by();
        let (mut items, other) =
            top.finish(order, if by == By::Device { usize::MAX } else { most });
        // Of hardware addresses those that are devices: not the uplink's, not those of groups.
        items.retain(|(key, _)| match key {
            Key::Device(mac) => self.devices.find(*mac).is_some(),
            _ => true,
        });
        let total = items
            .iter()
            .fold(other.weight(order), |sum, (_, tally)| sum.saturating_add(tally.weight(order)));
        let row = |rank: usize, key: Key, tally: &Tally| {
            let share = tally.weight(order).saturating_mul(1_000).checked_div(total).unwrap_or(0);
            let row = Row::new().with("rank", rank).with("key", self.top_key(key));
            let row = match self.top_name(key) {
                Some(name) => row.with("name", name),
                None => row,
            };
            row.with("tx_bytes", tally.sent_bytes)
                .with("rx_bytes", tally.bytes.saturating_sub(tally.sent_bytes))
                .with("flows", tally.flows)
                .with("share", share)
                .with("pkts", tally.packets)
        };
        let ranked = (1..).zip(items.iter().take(most));
        ranked.map(|(rank, (key, tally))| row(rank, *key, tally)).collect()
    }

    /// The name of a host or device, empty if it has none; of other things nothing.
    fn top_name(&self, key: Key) -> Option<String> {
        match key {
            Key::Device(mac) => {
                Some(self.devices.find(mac).map_or_else(String::new, |d| self.name_of_device(d)))
            }
            Key::Host(ip) => Some(self.name_of_host(ip)),
            _ => None,
        }
    }

    /// The name of an address, else that of the device that has it; empty if neither has one.
    #[must_use]
    pub fn name_of_host(&self, ip: IpAddr) -> String {
        match self.engine.lore.names.name_of(ip) {
            Some(name) => name.to_owned(),
            None => {
                let device = self.devices.of_address(ip);
                device.map_or_else(String::new, |device| self.name_of_device(device))
            }
        }
    }

    fn top_key(&self, key: Key) -> Value {
        match key {
            Key::Application(0) => "unknown".into(),
            Key::Application(id) => {
                let known = self.engine.lore.applications.get(id);
                known.map_or_else(|| id.to_string(), |known| known.tag.to_string()).into()
            }
            Key::Detected(0) => "unknown".into(),
            Key::Detected(id) => Protocol(id).name().into(),
            Key::Device(device) => mac::text(device).into(),
            Key::Host(ip) => ip.to_string().into(),
            Key::Interface(slot) => self.name_of(slot).to_owned().into(),
            Key::Port(protocol, port) => format!("{}/{port}", proto::text(protocol)).into(),
            Key::Protocol(protocol) => proto::text(protocol).into(),
        }
    }
}

/// How many flows are tried at a time: expressions, with patterns in them, take longer than plain
/// conditions.
const fn slice_of(filter: &Filter) -> usize {
    if filter.expression.is_some() { SLICE / 16 } else { SLICE }
}

/// The address as text in the column of its family, the other column empty.
fn by_family(ip: IpAddr) -> (String, String) {
    match ip {
        IpAddr::V4(ip) => (ip.to_string(), String::new()),
        IpAddr::V6(ip) => (String::new(), ip.to_string()),
    }
}

/// What `ip neigh` calls a state.
pub(super) const fn state_name(state: u16) -> &'static str {
    match state {
        Nud::REACHABLE => "reachable",
        Nud::STALE => "stale",
        Nud::DELAY => "delay",
        Nud::PROBE => "probe",
        Nud::PERMANENT => "permanent",
        Nud::INCOMPLETE => "incomplete",
        _ => "none",
    }
}
