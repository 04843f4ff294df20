//! Answers of many rows, produced a few at a time. A cursor holds a position and no borrow, so
//! the table may change underneath: an answer is a weak snapshot in which whatever lives
//! throughout appears exactly once.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::flow::filter::Hosts;
use crate::flow::top::{By, Order, Tally, Top, Item as Key};
use crate::flow::{FlowId, Query, Record, State};
use crate::wire::proto;

use super::agent::{Agent, Reply, SLICE};
use super::command::{Failure, NeighbourQuery, Page};
use super::row::{Row, Value};
use super::select::Selection;

/// One row of an answer.
#[derive(Clone, Debug)]
pub enum Item {
    /// As the core spells it.
    Row(Row),
    /// A flow, to be spelled as the interface's clients expect it; [`Agent::flow_row`] has the
    /// core's spelling.
    Flow(Box<Record>),
}

/// Where an answer of many rows stands.
#[derive(Debug)]
pub struct Cursor {
    kind: Kind,
    left: usize,
    /// What the caller passes as `after` to go on behind the rows fetched so far; `None` when
    /// there are no more.
    pub next: Option<u64>,
}

/// Whether an answer is complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fetched {
    /// Call again: there is more, or it takes more time to find out.
    More,
    /// That was all.
    Done,
}

#[derive(Debug)]
enum Kind {
    Flows { query: Query, at: Option<FlowId> },
    Interfaces { at: u64 },
    Members { group: Option<String>, at: u64 },
    Neighbours { query: NeighbourQuery, traffic: Option<Box<Top>>, found: Option<Found> },
    Nothing,
    Ready(VecDeque<Row>),
    Top { top: Option<Box<Top>>, order: Order, query: Query, rows: usize },
}

/// Neighbours of the kernel and of the flow table, in a fixed order, with the cursor of each.
#[derive(Debug)]
struct Found {
    rows: VecDeque<(u64, Row)>,
}

impl Cursor {
    const fn new(kind: Kind, page: Page) -> Self {
        Self { kind, left: page.rows, next: None }
    }

    pub(super) fn ready(rows: impl IntoIterator<Item = Row>) -> Self {
        let rows: VecDeque<Row> = rows.into_iter().collect();
        Self { left: rows.len(), kind: Kind::Ready(rows), next: None }
    }
}

impl Agent {
    /// Fetches at most `most` further rows of an answer into `into`. One call does a bounded
    /// amount of work and may bring no row although there are more to come.
    pub fn rows(&mut self, cursor: &mut Cursor, most: usize, into: &mut Vec<Item>) -> Fetched {
        let most = most.min(cursor.left);
        let before = into.len();
        let fetched = match &mut cursor.kind {
            Kind::Nothing => Fetched::Done,
            Kind::Ready(rows) => {
                into.extend(rows.drain(..most.min(rows.len())).map(Item::Row));
                if rows.is_empty() { Fetched::Done } else { Fetched::More }
            }
            Kind::Flows { query, at } => self.next_flows(query, at, &mut cursor.next, most, into),
            Kind::Interfaces { at } => {
                self.next_interfaces(at, &mut cursor.next, most, into)
            }
            Kind::Members { group, at } => {
                self.next_members(group.as_deref(), at, &mut cursor.next, most, into)
            }
            Kind::Neighbours { query, traffic, found } => {
                self.next_neighbours(query, traffic, found, &mut cursor.next, most, into)
            }
            Kind::Top { top, order, query, rows } => {
                let done = top.as_mut().is_none_or(|top| top.feed(self.flows(), query, SLICE));
                if done {
                    let rows = top.take().map(|top| self.top_rows(*top, *order, *rows));
                    cursor.kind = Kind::Ready(rows.unwrap_or_default());
                }
                return Fetched::More;
            }
        };
        cursor.left = cursor.left.saturating_sub(into.len().saturating_sub(before));
        if cursor.left == 0 && !matches!(cursor.kind, Kind::Top { .. }) {
            return Fetched::Done;
        }
        fetched
    }

    pub(super) fn list_flows(&self, query: Selection, page: Page) -> Result<Reply, Failure> {
        let Some(query) = self.resolve(&query)? else {
            return Ok(Reply::Rows(Cursor::new(Kind::Nothing, page)));
        };
        let at = FlowId::new(page.after);
        Ok(Reply::Rows(Cursor::new(Kind::Flows { query, at }, page)))
    }

    pub(super) fn list_interfaces(&self, page: Page) -> Reply {
        Reply::Rows(Cursor::new(Kind::Interfaces { at: page.after }, page))
    }

    pub(super) fn list_neighbours(
        &self,
        query: NeighbourQuery,
        page: Page,
    ) -> Result<Reply, Failure> {
        let traffic = Some(Box::new(Top::new(By::Host)));
        let kind = Kind::Neighbours { query, traffic, found: None };
        let mut cursor = Cursor::new(kind, page);
        cursor.next = Some(page.after);
        Ok(Reply::Rows(cursor))
    }

    pub(super) fn list_members(&self, group: Option<&str>, page: Page) -> Reply {
        let kind = Kind::Members { group: group.map(str::to_owned), at: page.after };
        Reply::Rows(Cursor::new(kind, page))
    }

    pub(super) fn list_top(
        &self,
        query: &Selection,
        of: By,
        order: Order,
        rows: usize,
    ) -> Result<Reply, Failure> {
        let Some(query) = self.resolve(query)? else {
            return Ok(Reply::Rows(Cursor::ready([])));
        };
        let top = Some(Box::new(Top::new(of)));
        let page = Page { after: 0, rows };
        Ok(Reply::Rows(Cursor::new(Kind::Top { top, order, query, rows }, page)))
    }

    pub(super) fn flow(&self, id: u64) -> Result<Reply, Failure> {
        let id = FlowId::new(id).ok_or(Failure::NotFound)?;
        let flow = self.flows().get(id).ok_or(Failure::NotFound)?;
        let row = self.flow_details(&Record::new(flow, id, None));
        let rows = row.iter().map(|(key, value)| {
            Row::new().with("key", key.to_owned()).with("value", value.clone())
        });
        Ok(Reply::Rows(Cursor::ready(rows)))
    }

    /// The conditions of a caller in the terms of the table; `None` if nothing can match, as
    /// with the name of an interface that is not there.
    pub fn resolve(&self, selection: &Selection) -> Result<Option<Query>, Failure> {
        let mut query = Query {
            proto: selection.proto,
            port: selection.port,
            mac: selection.mac,
            carrier: Some(false),
            ..Query::default()
        };
        if let Some(dev) = &selection.dev {
            let Some(slot) = self.links.slot_of(dev) else { return Ok(None) };
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
        Ok(Some(query))
    }

    fn next_flows(
        &self,
        query: &Query,
        at: &mut Option<FlowId>,
        next: &mut Option<u64>,
        most: usize,
        into: &mut Vec<Item>,
    ) -> Fetched {
        let mut looked = 0_usize;
        let mut found = 0_usize;
        for (id, flow) in self.flows().after(*at) {
            if found == most || looked == SLICE {
                *next = at.map(FlowId::get);
                return Fetched::More;
            }
            *at = Some(id);
            looked = looked.saturating_add(1);
            if query.matches(flow) {
                found = found.saturating_add(1);
                into.push(Item::Flow(Box::new(Record::new(flow, id, None))));
            }
        }
        *next = None;
        Fetched::Done
    }

    fn next_neighbours(
        &self,
        query: &NeighbourQuery,
        traffic: &mut Option<Box<Top>>,
        found: &mut Option<Found>,
        next: &mut Option<u64>,
        most: usize,
        into: &mut Vec<Item>,
    ) -> Fetched {
        if let Some(top) = traffic {
            if !top.feed(self.flows(), &Query::default(), SLICE) {
                return Fetched::More;
            }
            let sums = traffic.take().map(|top| top.sums()).unwrap_or_default();
            let after = next.take().unwrap_or(0);
            *found = Some(Found { rows: self.neighbour_rows(query, &sums, after) });
        }
        let Some(found) = found else { return Fetched::Done };
        for _ in 0..most {
            let Some((cursor, row)) = found.rows.pop_front() else { break };
            *next = Some(cursor);
            into.push(Item::Row(row));
        }
        if found.rows.is_empty() {
            *next = None;
            return Fetched::Done;
        }
        Fetched::More
    }

    fn top_rows(&self, top: Top, order: Order, most: usize) -> VecDeque<Row> {
        let (items, other) = top.finish(order, most);
        let total = items.iter().fold(other.weight(order), |sum, (_, tally)| {
            sum.saturating_add(tally.weight(order))
        });
        let row = |rank: usize, key: Value, tally: &Tally| {
            let share = tally.weight(order).saturating_mul(1_000).checked_div(total).unwrap_or(0);
            Row::new()
                .with("rank", rank)
                .with("key", key)
                .with("tx_bytes", tally.sent_bytes)
                .with("rx_bytes", tally.bytes.saturating_sub(tally.sent_bytes))
                .with("flows", tally.flows)
                .with("share", share)
                .with("pkts", tally.packets)
        };
        let ranked = (1..).zip(&items).map(|(rank, (key, tally))| row(rank, self.top_key(*key), tally));
        ranked.collect()
    }

    fn top_key(&self, key: Key) -> Value {
        match key {
            Key::Host(ip) => ip.to_string().into(),
            Key::Interface(slot) => self.links.name_of(slot).to_owned().into(),
            Key::Port(protocol, port) => format!("{}/{port}", proto::text(protocol)).into(),
            Key::Protocol(protocol) => proto::text(protocol).into(),
        }
    }
}

/// Traffic by address.
pub(super) type Traffic = HashMap<IpAddr, Tally>;
