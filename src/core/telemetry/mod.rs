//! Telemetry: what consumers of Netify's records are told of the life of a flow, and of the agent
//! once an interval. Kept here is what was told of a flow already; how records are spelled is for
//! `api::compat`. Costs nothing while nobody wants it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use crate::detect::{Outcome, Progress};
use crate::flow::{EndReason, Flow, FlowId, Record, Sides};
use crate::time::Tick;

use super::labelled::Labelled;
use super::status::Status;

use self::digest::Digests;

pub mod digest;
pub mod period;
pub mod privacy;
mod publish;
#[cfg(test)]
mod tests;

/// Reports that wait to be handed on, which they are after each batch of packets and each turn;
/// when all flows end at once, the last of them are not told.
const MAX_REPORTS: usize = 4_096;

/// What a record of a flow is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// It is known for what it is, or will not be.
    First,
    /// More became known.
    Update,
    /// Nothing more will become known.
    Complete,
    /// What it moved since the last time.
    Statistics,
    /// It is gone.
    Purge,
}

/// What one end of a flow sent since the last [`Stage::Statistics`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fresh {
    /// Packets.
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Bytes a second, over the time from the first to the last packet.
    pub rate: u64,
}

/// A flow as it is told.
#[derive(Clone, Debug)]
pub struct Told {
    /// Why.
    pub stage: Stage,
    /// Who asked was told what was there before.
    pub is_established: bool,
    /// Where it was seen.
    pub interface: Rc<str>,
    /// The interface faces our own machines.
    pub is_internal: bool,
    /// The flow and what it is.
    pub flow: Rc<Labelled>,
    /// Of the initiator.
    pub sent: Fresh,
    /// Of the responder.
    pub received: Fresh,
    /// What others know it by.
    pub digests: Digests,
}

/// One interface of [`Report::Interfaces`].
#[derive(Clone, Debug)]
pub struct Monitored {
    /// Its name.
    pub name: Rc<str>,
    /// It faces our own machines.
    pub is_internal: bool,
    /// Its hardware address, if it has one.
    pub mac: Option<[u8; 6]>,
    /// Frames come by a ring.
    pub has_ring: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// What was seen in an interval, of one interface or of all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names are those of Netify's members")]
pub struct Seen {
    pub raw: u64,
    pub wire_bytes: u64,
    pub capture_dropped: u64,
    pub discarded: u64,
    pub discarded_bytes: u64,
    pub flow_dropped: u64,
    pub fragmented: u64,
    pub icmp: u64,
    pub igmp: u64,
    pub ip: u64,
    pub ip_bytes: u64,
    pub largest_bytes: u64,
    pub mpls: u64,
    pub pppoe: u64,
    pub tcp: u64,
    pub tcp_resets: u64,
    pub tcp_seq_errors: u64,
    pub udp: u64,
    pub vlan: u64,
}

/// Addresses by the hardware address that has them.
pub type Hosts = Vec<([u8; 6], Vec<IpAddr>)>;

/// One piece of telemetry.
#[derive(Clone, Debug)]
pub enum Report {
    /// Of a flow.
    Flow(Box<Told>),
    /// Local machines.
    Endpoints(Hosts),
    /// What is captured.
    Interfaces(Vec<Monitored>),
    /// What each interface saw in the interval.
    InterfaceStatistics(Vec<(Rc<str>, Seen)>),
    /// What all of them saw in the interval, and since the start.
    GlobalStatistics(Box<(Seen, Seen)>),
    /// The agent itself.
    Status(Box<Status>),
}

impl Report {
    /// The flow that it is about.
    #[must_use]
    pub const fn flow(&self) -> Option<&Rc<Labelled>> {
        match self {
            Self::Flow(told) => Some(&told.flow),
            _ => None,
        }
    }

    /// The name of its kind in all outputs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Flow(told) => match told.stage {
                Stage::First => "flow",
                Stage::Update => "flow_dpi_update",
                Stage::Complete => "flow_dpi_complete",
                Stage::Statistics => "flow_stats",
                Stage::Purge => "flow_purge",
            },
            Self::Endpoints(_) => "endpoints",
            Self::Interfaces(_) => "interfaces",
            Self::InterfaceStatistics(_) => "interface_stats",
            Self::GlobalStatistics(_) => "global_stats",
            Self::Status(_) => "agent_status",
        }
    }

    /// Figures that are told over and over: the first to be given up when there is no room.
    #[must_use]
    pub const fn is_statistics(&self) -> bool {
        match self {
            Self::Flow(told) => matches!(told.stage, Stage::Statistics),
            _ => true,
        }
    }
}

/// A way by which telemetry leaves, as `sinks` shows it.
#[derive(Clone, Debug, Default)]
pub struct Outlet {
    /// Where it leads.
    pub target: String,
    /// How records are written.
    pub format: &'static str,
    /// How it stands, in words.
    pub state: String,
    /// Records handed on.
    pub records: u64,
    /// Records lost.
    pub dropped: u64,
    /// Octets that wait.
    pub waiting: usize,
}

/// What was told of a flow. There is at most one for each flow of the table, whose cap holds.
#[derive(Debug, Default)]
struct Shadow {
    packets: Sides<u64>,
    bytes: Sides<u64>,
    rates: Sides<u64>,
    resets: u64,
    seq_errors: u64,
    /// When it was last told what it moved.
    since: Tick,
    digests: Digests,
    is_told: bool,
    is_complete: bool,
}

/// An interface as records name it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its name.
    pub name: Rc<str>,
    /// It faces our own machines.
    pub is_internal: bool,
}

/// What was told so far, and what waits to be told.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Since when somebody wants it.
    began: Option<Tick>,
    shadows: HashMap<FlowId, Shadow>,
    /// By the slot of the interface.
    places: Vec<Option<Place>>,
    reports: Vec<Report>,
    /// Reports dropped because too many were made at once.
    pub dropped: u64,
    /// The interval under way.
    pub(super) period: period::Period,
    /// What is not told.
    pub privacy: privacy::Privacy,
}

impl Telemetry {
    /// Begins to keep what was told, or forgets it.
    pub fn set_wanted(&mut self, wanted: bool, now: Tick) {
        if wanted == self.began.is_some() {
            return;
        }
        self.began = wanted.then_some(now);
        self.shadows = HashMap::new();
        self.reports = Vec::new();
        self.period = period::Period::default();
    }

    /// Whether somebody wants it.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.began.is_some()
    }

    /// How interfaces are called from now on.
    pub fn set_places(&mut self, places: impl Iterator<Item = (u16, Place)>) {
        for (slot, place) in places {
            let slot = usize::from(slot);
            if self.places.len() <= slot {
                self.places.resize(slot.saturating_add(1), None);
            }
            if let Some(known) = self.places.get_mut(slot) {
                *known = Some(place);
            }
        }
    }

    /// What there is to tell, in order.
    pub fn take(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Something became known of a flow by its payload.
    pub fn detected(&mut self, flow: &Flow, id: FlowId, what: &Outcome, progress: Progress) {
        if !self.is_wanted() || flow.is_carrier() {
            return;
        }
        let shadow = self.shadow(flow, id);
        let (was_told, was_complete) = (shadow.is_told, shadow.is_complete);
        shadow.is_told |= progress.named || progress.complete;
        shadow.is_complete |= progress.complete;
        if !was_told && (progress.named || progress.complete) {
            self.tell(flow, id, what, Stage::First, None);
        } else if was_told && (progress.named || progress.refined) {
            self.tell(flow, id, what, Stage::Update, None);
        }
        if progress.complete && !was_complete {
            self.tell(flow, id, what, Stage::Complete, None);
        }
    }

    /// A flow is about to leave the table. One that was never told is told first.
    pub fn ended(&mut self, flow: &Flow, id: FlowId, reason: EndReason, what: &Outcome) {
        if !self.is_wanted() {
            return;
        }
        let shadow = self.shadow(flow, id);
        let (was_told, was_complete) = (shadow.is_told, shadow.is_complete);
        if was_told || !flow.is_carrier() {
            if !was_told {
                self.tell(flow, id, what, Stage::First, None);
            }
            if !was_complete {
                self.tell(flow, id, what, Stage::Complete, None);
            }
            self.tell(flow, id, what, Stage::Purge, Some(reason));
        }
        self.shadows.remove(&id);
    }

    /// The end of an interval has come to a flow. One that has been there for a whole interval is
    /// told even if it is not known what it is.
    pub fn look(&mut self, flow: &Flow, id: FlowId, since: Tick, what: impl FnOnce() -> Outcome) {
        let shadow = self.shadow(flow, id);
        let moved = flow.packets() != shadow.packets;
        let was_told = shadow.is_told;
        if !moved || (!was_told && (flow.first_seen() >= since || flow.is_carrier())) {
            return;
        }
        shadow.is_told = true;
        let what = what();
        if !was_told {
            self.tell(flow, id, &what, Stage::First, None);
        }
        self.tell(flow, id, &what, Stage::Statistics, None);
    }

    /// A flow for somebody who has just come and was not told of it; nothing if it is still to be
    /// told to all.
    pub fn established(&mut self, flow: &Flow, id: FlowId, what: &Outcome) -> Option<Report> {
        if !self.is_wanted() || flow.is_carrier() {
            return None;
        }
        let is_older = self.is_older(flow);
        let shadow = self.shadow(flow, id);
        // From before anybody wanted to know: it is told by this.
        shadow.is_told |= is_older;
        if !shadow.is_told {
            return None;
        }
        let mut told = self.told(flow, id, what, Stage::First, None);
        told.is_established = true;
        Some(Report::Flow(Box::new(told)))
    }

    fn is_older(&self, flow: &Flow) -> bool {
        self.began.is_some_and(|began| flow.first_seen() < began)
    }

    /// What was told of a flow; of one from before anybody wanted to know as if all was told.
    fn shadow(&mut self, flow: &Flow, id: FlowId) -> &mut Shadow {
        let is_older = self.is_older(flow);
        self.shadows.entry(id).or_insert_with(|| {
            let mut shadow = Shadow { since: flow.first_seen(), ..Shadow::default() };
            if is_older {
                (shadow.packets, shadow.bytes) = (flow.packets(), flow.bytes());
                (shadow.resets, shadow.seq_errors) = troubles(flow);
                shadow.since = flow.last_seen();
            }
            shadow
        })
    }

    fn tell(
        &mut self,
        flow: &Flow,
        id: FlowId,
        what: &Outcome,
        stage: Stage,
        end: Option<EndReason>,
    ) {
        let told = self.told(flow, id, what, stage, end);
        if self.reports.len() < MAX_REPORTS {
            self.reports.push(Report::Flow(Box::new(told)));
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    fn told(
        &mut self,
        flow: &Flow,
        id: FlowId,
        what: &Outcome,
        stage: Stage,
        end: Option<EndReason>,
    ) -> Told {
        let slot = flow.key().iface;
        let place = self.places.get(usize::from(slot)).and_then(Option::as_ref);
        let (interface, is_internal) = match place {
            Some(place) => (Rc::clone(&place.name), place.is_internal),
            None => ("".into(), false),
        };
        let shadow = self.shadow(flow, id);
        let settles = matches!(stage, Stage::Statistics | Stage::Purge);
        if !settles {
            shadow.digests.update(&interface, flow.key(), what);
        }
        let fresh = shadow.fresh(flow);
        let digests = shadow.digests.clone();
        if settles {
            let (resets, seq_errors) = troubles(flow);
            let resets_before = std::mem::replace(&mut shadow.resets, resets);
            let errors_before = std::mem::replace(&mut shadow.seq_errors, seq_errors);
            (shadow.packets, shadow.bytes) = (flow.packets(), flow.bytes());
            shadow.rates = Sides { lower: fresh.lower.rate, upper: fresh.upper.rate };
            shadow.since = flow.last_seen();
            let resets = resets.saturating_sub(resets_before);
            let errors = seq_errors.saturating_sub(errors_before);
            self.period.settle(slot, resets, errors, flow);
        }
        let from = flow.initiator();
        Told {
            stage,
            is_established: false,
            interface,
            is_internal,
            flow: Rc::new(Labelled { record: Record::new(flow, id, end), what: what.clone() }),
            sent: *fresh.of(from),
            received: *fresh.of(from.other()),
            digests,
        }
    }
}

impl Shadow {
    /// What a flow moved since it was last told.
    fn fresh(&self, flow: &Flow) -> Sides<Fresh> {
        // The flow's own clock: in files there is no other.
        let micros = flow.last_seen().since(self.since.max(flow.first_seen()));
        let seconds = micros.div_ceil(1_000_000).max(1);
        let moved = flow.packets() != self.packets;
        let of = |now: u64, before: u64| now.wrapping_sub(before);
        let end = |packets: u64, bytes: u64, rate: u64| Fresh {
            packets,
            bytes,
            rate: if moved { bytes.div_euclid(seconds) } else { rate },
        };
        let (packets, bytes) = (flow.packets(), flow.bytes());
        Sides {
            lower: end(
                of(packets.lower, self.packets.lower),
                of(bytes.lower, self.bytes.lower),
                self.rates.lower,
            ),
            upper: end(
                of(packets.upper, self.packets.upper),
                of(bytes.upper, self.bytes.upper),
                self.rates.upper,
            ),
        }
    }
}

/// Resets, and segments out of order, of both ends.
fn troubles(flow: &Flow) -> (u64, u64) {
    let sum = |sides: Sides<u16>| u64::from(sides.lower).saturating_add(sides.upper.into());
    flow.health().map_or((0, 0), |health| (sum(health.resets), sum(health.out_of_order)))
}
