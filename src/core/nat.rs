//! Brings the kernel's connections and the flows together: who opened a flow whose beginning was
//! not seen, which flows go past the capture, and what those carried by the kernel's own count.
//! All of it happens when a flow begins and after each dump, in slices; packets cost nothing.

use std::collections::HashMap;

use crate::conntrack::{Found, Sums, Table};
use crate::flow::{Flow, FlowId, Record, Side, Sides};
use crate::time::Tick;
use crate::wire::decode::Tcp;
use crate::wire::netlink::conntrack::Volume;

use super::Agent;
use super::bus::Event;
use super::row::Row;

/// Flows that wait to be turned round; beyond, the first packet's sender stays the opener.
const MAX_ADRIFT: usize = 1_024;

/// Flows with a base of their own for what went by unseen; beyond, only what is seen is counted.
const MAX_BASES: usize = 16_384;

/// Places of the table, and flows, looked at in one turn.
const PLACES: u32 = 2_048;
const SLICE: usize = 1_024;

/// Connections forgotten in one turn.
const EXPIRE_BUDGET: usize = 256;

/// How far apart a connection's beginning and its flow's may be told, in microseconds.
const NEAR: u64 = 2_000_000;

/// IP protocol number.
const TCP: u8 = 6;
/// Octets of an Ethernet header, and of a VLAN tag: the kernel counts neither, the capture both.
const ETHERNET: u64 = 14;
const VLAN: u64 = 4;

/// Where connections are known from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Source {
    /// Nowhere.
    #[default]
    None,
    /// The kernel tells of them.
    Netlink,
    /// The file in `/proc` is read.
    Procfs,
}

impl Source {
    /// Its name in all outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Netlink => "netlink",
            Self::Procfs => "procfs",
        }
    }
}

/// What is known of connections.
#[derive(Debug, Default)]
pub struct Connections {
    /// All of them.
    pub table: Table,
    /// Where they are known from.
    pub source: Source,
    /// In words: how that goes, or why not and what to do.
    pub state: String,
    /// The kernel counts what connections carry.
    pub is_counting: bool,
    pub(super) adrift: Adrift,
    /// What is done since the last dump.
    pass: Option<Pass>,
    /// By flow: where the counts of the kernel and ours stood when it was first found offloaded.
    /// A flow that was seen from its beginning needs none.
    bases: HashMap<u64, Base>,
    kept: HashMap<u64, Base>,
    /// Flows have been marked as offloaded and may have to be unmarked.
    marked: bool,
    /// The flows that were there before anything was known of connections have been looked at.
    settled: bool,
    told: bool,
}

#[derive(Clone, Copy, Debug)]
enum Pass {
    /// Lets go of what the dump did not tell of.
    Sweep(u32),
    /// Looks at every flow.
    Flows(Option<FlowId>),
}

/// Counts at one moment.
#[derive(Clone, Copy, Debug)]
struct Base {
    kernel: Sides<Volume>,
    seen: Sides<Volume>,
}

/// Flows that the other end opened, as the kernel knows.
#[derive(Debug, Default)]
pub(super) struct Adrift(Vec<(FlowId, Side)>);

impl Adrift {
    /// Looks at a flow that has just begun. A SYN says more than anybody.
    pub(super) fn check(&mut self, flow: &Flow, id: FlowId, table: &Table) {
        if table.is_empty() || self.0.len() >= MAX_ADRIFT || has_syn(flow) {
            return;
        }
        if let Some(opener) = turned(flow, table.of_key(flow.key())) {
            self.0.push((id, opener));
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Connections {
    /// Everything was dumped: what the dump did not tell of is gone.
    pub const fn dumped(&mut self) {
        self.pass = Some(Pass::Sweep(0));
    }

    /// There is something to be done since the last dump.
    pub(super) const fn is_busy(&self) -> bool {
        self.pass.is_some()
    }

    /// Nothing is known any more, and why.
    pub fn lose(&mut self, state: String) {
        (self.source, self.state) = (Source::None, state);
        self.table.clear();
        self.pass = self.marked.then_some(Pass::Flows(None));
    }
}

impl Agent {
    /// Turns flows round that the other end opened.
    pub(super) fn turn_round(&mut self) {
        for (id, opener) in self.connections.adrift.0.drain(..) {
            self.engine.flows.set_initiator(id, opener);
        }
    }

    /// Does the next slice of what is to be done after a dump; `true` if there is more.
    pub(super) fn tend_connections(&mut self, now: Tick) -> bool {
        let table = &mut self.connections.table;
        if !table.is_empty() {
            table.expire(EXPIRE_BUDGET, now);
        }
        match self.connections.pass {
            None => return false,
            Some(Pass::Sweep(mut at)) => {
                let more = table.sweep(&mut at, PLACES, now);
                self.connections.pass = if more { Some(Pass::Sweep(at)) } else { self.swept() };
            }
            Some(Pass::Flows(at)) => {
                let next = self.look_at_flows(at, now);
                self.connections.pass = next.map(|id| Pass::Flows(Some(id)));
                if next.is_none() {
                    let connections = &mut self.connections;
                    connections.bases = std::mem::take(&mut connections.kept);
                    connections.marked = connections.table.sums().offloaded > 0;
                }
            }
        }
        self.connections.pass.is_some()
    }

    /// The table is as the kernel has it: whether flows must be looked at.
    fn swept(&mut self) -> Option<Pass> {
        let offloaded = self.connections.table.sums().offloaded;
        if offloaded > 0 && !std::mem::replace(&mut self.connections.told, true) {
            log::warn!(
                "{}",
                offload_text(self.connections.table.sums(), self.connections.is_counting)
            );
            self.bus.publish(&Event::Alert { kind: "offload", count: offloaded as u64 });
        }
        let connections = &mut self.connections;
        let is_first = !std::mem::replace(&mut connections.settled, true);
        (is_first || offloaded > 0 || connections.marked).then_some(Pass::Flows(None))
    }

    /// Looks at the next flows; the last of them, if there are more.
    fn look_at_flows(&mut self, from: Option<FlowId>, now: Tick) -> Option<FlowId> {
        let mut changes = Vec::new();
        let mut last = None;
        let Connections { table, bases, kept, .. } = &mut self.connections;
        for (id, flow) in self.engine.flows.after(from).take(SLICE) {
            last = Some(id);
            if flow.is_carrier() {
                continue;
            }
            let found = table.of_key(flow.key());
            let opener = turned(flow, found).filter(|_| !has_syn(flow));
            let is_offloaded = found.is_some_and(|found| found.is_offloaded());
            let unseen = match found.filter(|_| is_offloaded) {
                Some(found) => unseen(flow, id, &found, bases, kept),
                None => Sides::default(),
            };
            if opener.is_some() || is_offloaded != flow.is_offloaded() || unseen != Sides::default()
            {
                changes.push((id, opener, is_offloaded, unseen));
            }
        }
        let flows = &mut self.engine.flows;
        for (id, opener, is_offloaded, unseen) in changes {
            if let Some(opener) = opener {
                flows.set_initiator(id, opener);
            }
            flows.set_offloaded(id, is_offloaded);
            if unseen != Sides::default() {
                let of = |get: fn(&Volume) -> u64| Sides {
                    lower: get(&unseen.lower),
                    upper: get(&unseen.upper),
                };
                flows.add_unseen(id, of(|v| v.packets), of(|v| v.bytes), now);
            }
        }
        last
    }

    /// What is known of a flow's connection, for people.
    pub(super) fn push_connection(&self, row: &mut Row, record: &Record) {
        let Some(found) = self.connections.table.of_record(record) else { return };
        if found.is_translated() {
            let ((opener, opener_port), (server, server_port)) = found.other_side();
            row.push("nat_src", opener.to_string());
            row.push("nat_sport", opener_port);
            row.push("nat_dst", server.to_string());
            row.push("nat_dport", server_port);
        }
        if let Some(id) = found.id() {
            row.push("ct_id", id);
        }
        row.push("ct_mark", found.mark());
        if found.zone() != 0 {
            row.push("ct_zone", found.zone());
        }
        if record.is_offloaded {
            row.push("offloaded", if found.is_in_hardware() { "hardware" } else { "software" });
        }
    }

    /// Where connections are known from, how many there are, and what that means.
    #[must_use]
    pub fn connection_row(&self) -> Row {
        let Connections { table, source, state, is_counting, .. } = &self.connections;
        let sums = table.sums();
        let mut row = Row::new()
            .with("source", source.name())
            .with("state", state.clone())
            .with("connections", sums.live)
            .with("translated", sums.translated)
            .with("offloaded", sums.offloaded)
            .with("offloaded_hardware", sums.hardware)
            .with("accounting", *is_counting);
        if sums.offloaded > 0 {
            row.push("warning", offload_text(sums, *is_counting));
        }
        row
    }
}

/// What an offloaded flow carried besides what was seen of it and added to it so far.
fn unseen(
    flow: &Flow,
    id: FlowId,
    found: &Found<'_>,
    bases: &mut HashMap<u64, Base>,
    kept: &mut HashMap<u64, Base>,
) -> Sides<Volume> {
    let Some([sent, answered]) = found.volumes() else { return Sides::default() };
    let opener = found.opener();
    let macs = flow.macs();
    let header = match (macs.lower == [0; 6] && macs.upper == [0; 6], flow.key().vlan) {
        (true, _) => 0,
        (false, 0) => ETHERNET,
        (false, _) => ETHERNET.saturating_add(VLAN),
    };
    let framed = |volume: Volume| Volume {
        packets: volume.packets,
        bytes: volume.bytes.saturating_add(volume.packets.saturating_mul(header)),
    };
    let mut kernel = Sides::default();
    *kernel.of_mut(opener) = framed(sent);
    *kernel.of_mut(opener.other()) = framed(answered);
    let (packets, bytes) = (flow.packets(), flow.bytes());
    let of = |side| Volume { packets: *packets.of(side), bytes: *bytes.of(side) };
    let seen = Sides { lower: of(Side::Lower), upper: of(Side::Upper) };
    let mut base = Base { kernel: Sides::default(), seen: Sides::default() };
    if !is_whole(flow, found) {
        base = match bases.remove(&id.get()) {
            Some(base) => base,
            None => Base { kernel, seen },
        };
        if kept.len() >= MAX_BASES {
            return Sides::default();
        }
        kept.insert(id.get(), base);
    }
    let missing = |side: Side| {
        let (kernel, seen) = (kernel.of(side), seen.of(side));
        let (kernel_then, seen_then) = (base.kernel.of(side), base.seen.of(side));
        let packets = seen_then
            .packets
            .saturating_add(kernel.packets.saturating_sub(kernel_then.packets))
            .saturating_sub(seen.packets);
        let bytes = seen_then
            .bytes
            .saturating_add(kernel.bytes.saturating_sub(kernel_then.bytes))
            .saturating_sub(seen.bytes);
        // Padding of short frames is seen and not counted by the kernel: no packets, no bytes.
        Volume { packets, bytes: if packets == 0 { 0 } else { bytes } }
    };
    Sides { lower: missing(Side::Lower), upper: missing(Side::Upper) }
}

/// The flow and the connection began together: their counts are of the same packets.
fn is_whole(flow: &Flow, found: &Found<'_>) -> bool {
    if has_syn(flow) {
        return true;
    }
    let (after, known) = found.began();
    let first = flow.first_seen();
    after != Tick(0) && first.plus(NEAR) >= after && first <= known.plus(NEAR)
}

fn has_syn(flow: &Flow) -> bool {
    let flags = flow.tcp_flags();
    flow.key().proto == TCP && (flags.lower | flags.upper) & Tcp::SYN != 0
}

/// The opener of a flow, if it is not the end that is taken for it.
fn turned(flow: &Flow, found: Option<Found<'_>>) -> Option<Side> {
    found.map(|found| found.opener()).filter(|opener| *opener != flow.initiator())
}

fn offload_text(sums: Sums, is_counting: bool) -> String {
    let counted = if is_counting {
        "what they carry is taken from the kernel's counters (of a flowtable with 'counter')"
    } else {
        "what they carry is not counted: let the kernel count with sysctl -w \
         net.netfilter.nf_conntrack_acct=1, or turn flow offloading off"
    };
    format!("{} connections are offloaded, past the capture; {counted}", sums.offloaded)
}
