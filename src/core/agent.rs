//! The agent: the only thing that changes state. It is fed frames, messages of the kernel and
//! commands, and knows no socket and no clock.

use std::rc::Rc;

use crate::capture;
use crate::capture::store::Times;
use crate::config::Settings;
use crate::counters::Counters;
use crate::detect::{self, Outcome, Progress};
use crate::filter::names::Tables;
use crate::flow::{
    EndReason, Flow, FlowId, Limits, Locality, Network, Record, Role, Seed, Timeouts, Totals,
};
use crate::group;
use crate::query::Run;
use crate::source::Frame;
use crate::time::{Clock, Tick};
use crate::topology::graph::Graph;
use crate::topology::links::{self, Change, Links};
use crate::topology::pick::Selection as Patterns;
use crate::topology::spaces::Spaces;
use crate::topology::value::Value;
use crate::wire::decode::Packet;
use crate::wire::raw::RawFrame;

use super::access::Access;
use super::alerts::Alerts;
use super::attach::Attachments;
use super::auth::{Caller, Right};
use super::bus::{Bus, Event, Subscription, Topic, Topics};
use super::command::{Command, Failure, Flush};
use super::devices::Devices;
use super::discovery::Discovery;
use super::engine::{Engine, Listener, Lore};
use super::exports::Exports;
use super::feed::Feed;
use super::flow_news::{FlowNews, News};
use super::inject::Jobs;
use super::labelled::Labelled;
use super::lookback::Lookback;
use super::nat::{Adrift, Connections};
use super::orders::Orders;
use super::packets::parameters::{Fallback, parse as parse_packets};
use super::packets::{Order as PacketOrder, Packets, PortId, Refused, SessionId, Why, failure};
use super::processes::Processes;
use super::relay::Relay;
use super::resources::Kind;
use super::row::Row;
use super::rules::Applied;
use super::select::{Filter, Selection};
use super::status::{Interval, Status};
use super::subject::{Around, Asked};
use super::telemetry::{Outlet, Telemetry};

pub use super::listing::{Cursor, Item};
pub use super::status::Usage;

/// What a command answers.
#[derive(Debug)]
pub enum Reply {
    /// A query that has just begun, to be moved on by [`Agent::advance_query`].
    Query(Box<Run>),
    /// One row.
    Row(Row),
    /// Many, to be fetched by [`Agent::rows`] a few at a time.
    Rows(Cursor),
    /// The state of the agent.
    Status(Box<Status>),
    /// A value of the graph or of what clients ordered.
    Value(Value),
}

/// What the agent needs from the machine it runs on. `io` provides it, tests pretend.
pub trait Host {
    /// Writes a file of the state directory: afterwards it is the old or the new one, never a
    /// torn one.
    ///
    /// # Errors
    /// What the system says.
    fn save(&mut self, name: &str, bytes: &[u8]) -> Result<(), String>;
    /// Reads a file of the state directory; `None` if there is none.
    ///
    /// # Errors
    /// What the system says.
    fn load(&mut self, name: &str) -> Result<Option<Vec<u8>>, String>;
    /// Removes a file of the state directory; it is fine if there is none.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&mut self, name: &str) -> Result<(), String>;
    /// Gives a file of the state directory another name, in place of a file of that name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), String>;
    /// Names of the files in a folder of the state directory, in lexical order; none if there is
    /// no such folder.
    ///
    /// # Errors
    /// What the system says.
    fn list(&mut self, folder: &str) -> Result<Vec<String>, String>;
    /// Writes a file that need not survive a restart of the machine.
    ///
    /// # Errors
    /// What the system says.
    fn save_volatile(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let _ = (name, bytes);
        Ok(())
    }
    /// Reads such a file; `None` if there is none.
    ///
    /// # Errors
    /// What the system says.
    fn load_volatile(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let _ = name;
        Ok(None)
    }
    /// What the process uses.
    fn usage(&mut self) -> Usage;
    /// Puts the settings together again from file, environment and command line.
    ///
    /// # Errors
    /// Where and why they are refused.
    fn configure(&mut self) -> Result<Settings, String>;
    /// The system's names of services, protocols and hardware addresses, for filters.
    fn tables(&mut self) -> Tables {
        Tables::default()
    }
    /// Changes how much is logged.
    fn set_log_level(&mut self, level: u8);
    /// Makes an empty file in a folder anywhere; there must be none of that name.
    ///
    /// # Errors
    /// What the system says.
    fn create(&mut self, folder: &str, name: &str) -> Result<(), String> {
        let _ = (folder, name);
        Err("not possible here".to_owned())
    }
    /// Fills `bytes` with what nobody can guess.
    fn random(&mut self, bytes: &mut [u8]) {
        use std::hash::{BuildHasher as _, RandomState};
        for chunk in bytes.chunks_mut(8) {
            // Keyed anew each time, from the random numbers of the system.
            let random = RandomState::new().hash_one(chunk.len()).to_ne_bytes();
            chunk.iter_mut().zip(random).for_each(|(to, from)| *to = from);
        }
    }
}

/// What only `io` knows and `status` shows.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Name, version and build in one line.
    pub ident: String,
    /// Name of the machine.
    pub hostname: String,
    /// Identifies this installation.
    pub uuid: String,
    /// Number of the network namespace that it runs in, 0 if unknown.
    pub netns: u64,
    /// Capabilities that the process holds.
    pub capabilities: Vec<String>,
    /// Stream clients now.
    pub clients: usize,
    /// Longest turn of the loop since it was last asked for, microseconds.
    pub loop_max_us: u64,
    /// Memory of the machine in bytes, 0 if unknown.
    pub ram: u64,
    /// One per interface that is captured or should be.
    pub ports: Vec<Port>,
    /// Names and patterns of interfaces that should be captured and are not there.
    pub missing: Vec<String>,
    /// Where telemetry goes besides subscribers.
    pub sinks: Vec<Outlet>,
}

/// The capture of one interface.
#[derive(Clone, Debug, Default)]
pub struct Port {
    /// Slot of the interface.
    pub slot: u16,
    /// Whether frames are being taken.
    pub is_open: bool,
    /// In words: `capturing`, or why not and what to do.
    pub state: String,
    /// Frames come by a ring.
    pub has_ring: bool,
    /// Frames lost by the kernel.
    pub drops: u64,
}

/// How the process ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// It leaves.
    Stop,
    /// It starts over.
    Restart,
}

/// The agent.
pub struct Agent {
    /// Who is logged in over HTTP, and who guesses.
    pub access: Access,
    /// Events on their way to subscribers.
    pub bus: Bus,
    /// Messages on their way to WebSocket clients.
    pub feed: Feed,
    /// Every loss.
    pub counters: Counters,
    /// Address groups.
    pub groups: group::Store,
    /// Interfaces, addresses and neighbours.
    pub links: Links,
    /// Nodes and edges of this machine, their past included.
    pub graph: Graph,
    /// Connections as the kernel tracks them.
    pub connections: Connections,
    /// The namespaces that the graph is made of.
    pub spaces: Spaces,
    /// Flows of on-demand captures.
    pub captured: capture::Store,
    /// What clients ordered.
    pub orders: Orders,
    /// What is captured on which node.
    pub attachments: Attachments,
    /// How alerts stand.
    pub alerts: Alerts,
    /// Processes that flows of this machine belong to, for who asks.
    pub processes: Processes,
    /// Packets that wait to be sent.
    pub jobs: Jobs,
    /// What captures send to other machines.
    pub exports: Exports,
    /// Live packets.
    pub packets: Packets,
    /// Packets of the past.
    pub lookback: Lookback,
    /// Who wants to know what there is on this machine.
    pub discovery: Discovery,
    /// Requests on their way to the discovery service.
    pub relay: Relay,
    /// What consumers of telemetry were told.
    pub telemetry: Telemetry,
    /// The system's names, for filters.
    pub tables: Rc<Tables>,
    pub(super) applied: Applied,
    /// Where packets of capture files go.
    pub(super) imports: Option<capture::store::TableId>,
    pub(super) flow_news: FlowNews,
    /// Who is here.
    pub devices: Devices,
    /// What `io` found out.
    pub facts: Facts,
    pub(super) engine: Engine,
    pub(super) host: Box<dyn Host>,
    pub(super) clock: Clock,
    pub(super) started: Tick,
    pub(super) interval: Interval,
    settings: Settings,
    revision: u64,
    ending: Option<Ending>,
    period: Period,
    /// When names were written down last.
    pub(super) names_saved: Tick,
}

/// The interval of statistics under way.
#[derive(Debug, Default)]
struct Period {
    until: Tick,
    since: Tick,
    /// Flows counted as active so far, and where the count stands; it is taken in slices.
    scan: Option<(u64, Option<FlowId>)>,
    expired: u64,
    purged: u64,
    told: Told,
}

/// Counters as of the last alert.
#[derive(Debug, Default)]
struct Told {
    kernel_drops: u64,
    flow_table_full: u64,
    emergencies: u64,
    clock_steps: u64,
    at: Tick,
}

/// The publisher of an agent, which borrows all but its engine and its counters.
macro_rules! publisher {
    ($agent:ident) => {
        Publisher {
            bus: &mut $agent.bus,
            telemetry: &mut $agent.telemetry,
            around: Around {
                groups: Some(&$agent.groups),
                links: Some(&$agent.links),
                connections: Some(&$agent.connections.table),
            },
            adrift: &mut $agent.connections.adrift,
            devices: &mut $agent.devices,
        }
    };
}

/// Flows looked at in one slice of a scan.
pub(super) const SLICE: usize = 4_096;

/// Flows that may end in one turn.
const EXPIRE_BUDGET: usize = 1_024;

impl Agent {
    /// A new agent.
    #[must_use]
    pub fn new(settings: Settings, facts: Facts, host: Box<dyn Host>, clock: Clock) -> Self {
        let engine = Engine::new(limits(&settings, facts.ram), timeouts(&settings), Seed::random());
        let until = clock.tick.plus(seconds(settings.update_interval));
        let period = Period { until, since: clock.tick, ..Period::default() };
        Self {
            access: Access::default(),
            bus: Bus::default(),
            feed: Feed::default(),
            counters: Counters::default(),
            groups: group::Store::default(),
            links: Links::default(),
            graph: Graph::default(),
            connections: Connections::default(),
            spaces: Spaces::new(&facts.hostname),
            captured: capture::Store::default(),
            orders: Orders::default(),
            attachments: Attachments::default(),
            alerts: Alerts::default(),
            processes: Processes::default(),
            jobs: Jobs::default(),
            exports: Exports::default(),
            packets: Packets::default(),
            lookback: Lookback::default(),
            discovery: Discovery::default(),
            relay: Relay::default(),
            telemetry: Telemetry::default(),
            tables: Rc::default(),
            applied: Applied::default(),
            imports: None,
            flow_news: FlowNews::default(),
            devices: Devices::default(),
            facts,
            engine,
            host,
            clock,
            started: clock.tick,
            interval: Interval::default(),
            settings,
            revision: 0,
            ending: None,
            period,
            names_saved: clock.tick,
        }
    }

    /// Runs a command.
    ///
    /// # Errors
    /// See [`Failure`]; nothing was changed.
    pub fn run(&mut self, command: Command, caller: &Caller) -> Result<Reply, Failure> {
        if caller.right < right(&command) {
            return Err(Failure::Denied);
        }
        match command {
            Command::Apps { page } => Ok(Self::list_usage(page)),
            Command::Devices { wanted, page } => Ok(Self::list_devices(wanted, page)),
            Command::Lookup { what } => self.lookup(&what),
            Command::CaptureStart { dev, filter } => self.capture_start(&dev, &filter),
            Command::CaptureStop { id } => self.capture_stop(&id),
            Command::Captures { page } => Ok(self.list_captures(page)),
            Command::Communities => Ok(self.communities()),
            Command::Flow(id) => self.flow(id),
            Command::FlowProcess(id) => self.flow_process(id),
            Command::Flows { query, page } => self.list_flows(query, page),
            Command::Flush(what) => Ok(Reply::Row(self.flush(what))),
            Command::Gremlin { query } => self.gremlin(&query, caller),
            Command::GroupAdd { group, entries } => self.group_add(&group, &entries),
            Command::GroupFlush { group } => self.group_flush(&group),
            Command::GroupList { group } => self.group_list(group.as_deref()),
            Command::GroupLoad { group } => self.group_load(&group),
            Command::GroupLookup { group, entries } => {
                self.group_lookup(group.as_deref(), &entries)
            }
            Command::GroupMembers { group, page } => self.group_members(group.as_deref(), page),
            Command::GroupRemove { group, entries } => self.group_remove(&group, &entries),
            Command::GroupSave { group } => self.group_save(&group),
            Command::Import { file } => self.import(&file),
            Command::Info => Ok(Reply::Row(self.info())),
            Command::Namespaces => Ok(self.list_namespaces()),
            Command::Nodes { query, page } => Ok(self.list_nodes(query, page)),
            Command::Interfaces { page } => Ok(self.list_interfaces(page)),
            Command::Neighbours { query, page } => Ok(self.list_neighbours(query, page)),
            Command::PacketStats => Ok(self.packet_stats()),
            Command::Publish { text } => {
                self.bus.publish(&Event::Test(text.into()));
                Ok(Reply::Row(Row::new().with("sending", "test")))
            }
            Command::Reload => self.reload().map(|()| Reply::Row(Row::new().with("ok", 1_u8))),
            Command::Resource { kind, id } => self.resource_get(kind, &id),
            Command::ResourceCreate { kind, json, ttl } => self.resource_create(kind, &json, ttl),
            Command::ResourceDelete { kind, id } => self.resource_delete(kind, &id),
            Command::ResourcePatch { kind, id, patch } => self.resource_patch(kind, &id, &patch),
            Command::Resources { kind } => Ok(self.resource_list(kind)),
            Command::Restart => {
                // A configuration that has gone bad must not turn a restart into an end.
                self.host.configure().map_err(Failure::Configuration)?;
                self.ending = Some(Ending::Restart);
                Ok(Reply::Row(Row::new()))
            }
            Command::SessionStart { pairs } => {
                let wish = parse_packets(&pairs, Fallback::Own).map_err(failure)?;
                self.record_packets(wish, caller).map(Reply::Row)
            }
            Command::SessionStop { id } => self.stop_session(id),
            Command::Sessions { page } => Ok(self.list_sessions(page)),
            Command::Sinks => Ok(self.list_sinks()),
            Command::Set { key, value } => self.set(&key, &value),
            Command::Settings { page } => Ok(self.list_settings(page)),
            Command::Status => Ok(Reply::Status(Box::new(self.status()))),
            Command::Stop { now } => {
                if now {
                    self.ending = Some(Ending::Stop);
                }
                Ok(Reply::Row(Row::new().with("keep_running", !now)))
            }
            Command::Timestamps => Ok(Reply::Row(self.timestamps())),
            Command::Top { query, of, order, rows } => self.list_top(&query, of, order, rows),
            Command::Verbose { level } => {
                if let Some(level) = level {
                    self.settings.log_level = level;
                    self.host.set_log_level(level);
                }
                Ok(Reply::Row(Row::new().with("traceLevel", self.settings.log_level)))
            }
        }
    }

    /// Begins a session of live packets.
    ///
    /// # Errors
    /// Why not, for whoever asked.
    pub fn watch_packets(
        &mut self,
        order: PacketOrder,
        caller: &Caller,
    ) -> Result<SessionId, Refused> {
        if caller.right < Right::Capture {
            return Err(Refused::new(Why::Denied, "packets need the right 'capture'"));
        }
        self.check_past(&order)?;
        let most = self.settings.packet_sessions;
        self.packets.begin(order, most, &*self.tables, self.clock, &mut self.counters)
    }

    /// Subscribes to events; `selection` holds back those of other flows.
    ///
    /// # Errors
    /// [`Failure::Limit`] when there are too many subscribers, [`Failure::BadArgument`] for a
    /// selection that cannot be.
    pub fn subscribe(
        &mut self,
        topics: Topics,
        selection: &Selection,
    ) -> Result<Subscription, Failure> {
        let filter = self.resolve(selection)?;
        // Nothing can match yet, as with an interface that is not there: then no flow does.
        let filter = filter.unwrap_or_else(Filter::nothing);
        self.bus.subscribe(topics, Some(filter)).ok_or(Failure::Limit)
    }

    /// Takes frames, in their order.
    #[inline]
    pub fn frames(&mut self, frames: &[Frame<'_>]) {
        let mut publisher = publisher!(self);
        self.engine.frames(frames, &mut self.counters, &mut publisher);
        self.tell_telemetry();
        if !self.connections.adrift.is_empty() {
            self.turn_round();
        }
    }

    /// Moves time on: flows expire, intervals end. Call it once a turn; `true` if there is more
    /// to do right now.
    pub fn turn(&mut self, clock: Clock) -> bool {
        self.watch_clock(clock);
        self.clock = clock;
        let budget = self.telemetry.slice(EXPIRE_BUDGET);
        let mut publisher = publisher!(self);
        let now = clock.tick;
        let mut more = self.engine.advance(now, budget, &mut self.counters, &mut publisher);
        self.want_telemetry();
        self.tell_telemetry();
        more |= self.end_period(now);
        more |= self.tend_connections(now);
        self.processes.expire(now);
        self.alert(now);
        more |= self.tend_captures(now);
        self.look_around();
        more |= self.tell_graph();
        more
    }

    /// Moves the flows of captures on, and tells what became of them.
    fn tend_captures(&mut self, now: Tick) -> bool {
        let wall = self.now();
        let mut news = News::new(&mut self.flow_news, &mut self.exports, self.clock.wall);
        let more = self.captured.advance(wall, EXPIRE_BUDGET, &mut news);
        self.exports.flush(self.clock.wall);
        self.captured.count_into(&mut self.counters);
        self.engine.lore.names.count_into(&mut self.counters);
        self.tell_devices();
        self.lookback.count_into(&mut self.counters);
        self.tell_captures(now);
        more | self.tell_flows(now)
    }

    /// Hands changes of the graph to whoever follows it, some at a time; `true` if there are
    /// more.
    pub fn tell_graph(&mut self) -> bool {
        self.hold_graph();
        self.feed.tell()
    }

    /// Takes the changes of the graph until now, to be told later.
    pub fn hold_graph(&mut self) {
        if self.graph.has_events() {
            self.feed.hold(self.graph.take_events());
            // Those with a filter look at the graph itself.
            self.feed.note();
        }
    }

    /// When [`Self::turn`] has something to do next.
    #[must_use]
    pub fn deadline(&self) -> Tick {
        let now = self.clock.tick;
        if self.connections.is_busy() || self.devices.has_news() {
            return now;
        }
        let flows = self.engine.flows.deadline();
        let wall = self.now();
        let in_millis = |millis: u64| now.plus(millis.saturating_mul(1_000));
        let until = |at: i64| in_millis(u64::try_from(at.saturating_sub(wall)).unwrap_or(0));
        let captured = self.captured.due().map(until);
        let orders = self.look_in().map(in_millis);
        let all = [flows, captured, orders, self.flows_due()];
        all.into_iter().flatten().fold(self.period.until, Tick::min)
    }

    /// Publishes a change of interfaces or neighbours, and follows it.
    pub fn follow(&mut self, changes: Vec<Change>) {
        let moved = |change: &Change| !super::bus::is_neighbour(change);
        if changes.iter().any(moved) {
            self.orient();
        }
        for change in changes {
            self.meet(&change);
            if let Change::LinkRemoved { slot } = change
                && let Some(link) = self.links.get(slot)
            {
                self.lookback.forget(link.ifindex);
            }
            let event = Event::Link(Rc::new(change));
            if self.bus.wants(event.topic()) {
                self.bus.publish(&event);
            }
        }
    }

    /// Works out anew which networks are ours.
    pub fn orient(&mut self) {
        let network =
            |(address, prefix, broadcast, iface)| Network { address, prefix, broadcast, iface };
        let networks: Vec<_> = self.links.local_networks().map(network).collect();
        let role = |slot| match self.links.role(slot) {
            links::Role::Lan => Role::Lan,
            links::Role::Other => Role::Unknown,
            links::Role::Wan => Role::Wan,
        };
        let roles: Vec<(u16, Role)> =
            self.links.iter().map(|(slot, _)| (slot, role(slot))).collect();
        self.engine.flows.set_locality(Locality::new(&networks, &roles));
        self.orient_devices();
        self.name_places();
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Counts changes of the settings: `io` compares it to see that there is something to apply.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether and how the process should end.
    #[must_use]
    pub const fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The key of the management port.
    #[must_use]
    pub fn management_password(&self) -> &[u8] {
        self.settings.management_password.as_bytes()
    }

    /// The clock of this turn.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Exact totals.
    #[must_use]
    pub const fn totals(&self) -> &Totals {
        &self.engine.totals
    }

    /// What is known of hosts and products.
    #[must_use]
    pub const fn lore(&self) -> &Lore {
        &self.engine.lore
    }

    /// The same, to be added to.
    pub const fn lore_mut(&mut self) -> &mut Lore {
        &mut self.engine.lore
    }

    /// Hands frames to a session; names are learnt from them.
    #[inline]
    pub fn session_frames(
        &mut self,
        session: SessionId,
        port: PortId,
        frames: &[RawFrame<'_>],
        clock: &Clock,
    ) {
        self.packets.frames(session, port, frames, &mut self.engine.lore.names, clock);
    }

    /// A live flow as it is told.
    #[must_use]
    pub fn tell(&self, flow: &Flow, id: FlowId) -> Labelled {
        let record = Record::new(flow, id, None);
        Labelled { what: self.engine.inspector.outcome(record.detector), record }
    }

    /// The live flows.
    #[must_use]
    pub const fn flows(&self) -> &crate::flow::Table {
        &self.engine.flows
    }

    /// Ends some flows while telemetry is wanted, so that it can be handed on between them: the
    /// process is about to leave. `true` if there are more.
    pub fn end_some(&mut self) -> bool {
        if !self.telemetry.is_wanted() {
            return false;
        }
        let most = self.telemetry.slice(EXPIRE_BUDGET);
        let mut publisher = publisher!(self);
        let more = self.engine.end_some(most, &mut self.counters, &mut publisher);
        self.tell_telemetry();
        more
    }

    /// Ends every flow and tells subscribers: the process is about to leave.
    pub fn finish(&mut self) {
        self.save_orders();
        self.save_names();
        self.end_sessions();
        let captures: Vec<Rc<str>> =
            self.orders.resources.captures().map(|(id, _)| Rc::clone(id)).collect();
        for capture in captures {
            self.detach(&capture);
        }
        self.send_flows(usize::MAX);
        let mut publisher = publisher!(self);
        self.engine.flush(EndReason::Shutdown, &mut self.counters, &mut publisher);
        self.tell_telemetry();
    }

    /// Reads the configuration again; on an error the old one stays.
    ///
    /// # Errors
    /// [`Failure::Configuration`] with the reason, which may lie in rules of applications.
    pub fn reload(&mut self) -> Result<(), Failure> {
        let settings = self.host.configure().map_err(Failure::Configuration)?;
        let applications = self.read_applications().map_err(Failure::Configuration)?;
        self.load_tables();
        self.apply(settings);
        self.take_applications(applications);
        for problem in self.load_groups().problems {
            log::warn!("{problem}");
        }
        Ok(())
    }

    /// Reads the system's names for filters anew.
    pub fn load_tables(&mut self) {
        self.tables = Rc::new(self.host.tables());
    }

    /// Applies other settings to everything that lives here.
    pub fn apply(&mut self, settings: Settings) {
        let before = std::mem::replace(&mut self.settings, settings);
        let who = |settings: &Settings| (settings.http_users.clone(), settings.http_tokens.clone());
        if who(&before) != who(&self.settings) {
            self.access.forget();
        }
        self.revision = self.revision.wrapping_add(1);
        let settings = &self.settings;
        self.engine.flows.set_limits(limits(settings, self.facts.ram));
        self.engine.flows.set_timeouts(timeouts(settings));
        self.engine.inspector.set_limits(inspection(settings));
        self.connections.table.set_limit(self.engine.flows.max_flows() as usize);
        self.captured.set_times(Times {
            update: i64::from(settings.flow_update).saturating_mul(1_000),
            expire: i64::from(settings.flow_expire).saturating_mul(1_000),
            ..Times::default()
        });
        self.engine.lore.names.set_enabled(settings.packet_names);
        self.engine.lore.names.set_cap(settings.dns_hint_size);
        self.engine.lore.hints = settings.dns_hints;
        self.engine.lore.partial_hints = settings.dns_hint_partial;
        let remembered = if settings.flow_hash_cache { settings.flow_hash_size } else { 0 };
        self.engine.recall.set_cap(remembered);
        let lookback = usize::try_from(settings.lookback_kib).unwrap_or(0);
        self.lookback.resize(lookback.saturating_mul(1_024), self.facts.ram);
        self.captured.set_cap(settings.flow_max as usize);
        let named = |names: &[(u16, String)]| -> Vec<(u16, Rc<str>)> {
            names.iter().map(|(port, name)| (*port, name.as_str().into())).collect()
        };
        self.captured.set_applications(
            &named(&settings.tcp_applications),
            &named(&settings.udp_applications),
        );
        self.host.set_log_level(settings.log_level);
        self.links.set_roles(Patterns::of(&settings.wan), Patterns::of(&settings.lan));
        self.set_privacy();
        self.orient();
    }

    fn set(&mut self, key: &str, value: &str) -> Result<Reply, Failure> {
        use crate::config::settings::{Error, key_of};
        let Some(known) = key_of(key).filter(|key| key.live) else {
            let expected = "a setting that can change while running (--list-settings marks them)";
            return Err(Failure::BadArgument { name: "key", expected });
        };
        let mut settings = self.settings.clone();
        let refused = |error| match error {
            Error::Value { expects, .. } => {
                Failure::BadArgument { name: "value", expected: expects }
            }
            other => Failure::Configuration(other.to_string()),
        };
        let no_files = &mut |_: &str| Err("not while running".to_owned());
        settings.set(key, value, no_files).and_then(|()| settings.check()).map_err(refused)?;
        self.apply(settings);
        let row = Row::new().with("key", key.to_owned());
        // A password is never shown.
        Ok(Reply::Row(match self.settings.show(known.name) {
            Some(value) => row.with("value", value),
            None => row,
        }))
    }

    fn flush(&mut self, what: Flush) -> Row {
        let flushed = match what {
            Flush::Flows => {
                let flushed = u64::from(self.engine.flows.len());
                let mut publisher = publisher!(self);
                self.engine.flush(EndReason::Flushed, &mut self.counters, &mut publisher);
                self.tell_telemetry();
                flushed
            }
            Flush::Stats => {
                self.engine.totals = Totals::default();
                0
            }
        };
        Row::new().with("flushed", flushed)
    }

    /// At the end of an interval its figures become those of `status`.
    fn end_period(&mut self, now: Tick) -> bool {
        if now >= self.period.until && self.period.scan.is_none() {
            self.period.scan = Some((0, None));
        }
        let Some((mut active, mut at)) = self.period.scan else { return false };
        let since = self.period.since;
        let mut left = self.telemetry.slice(SLICE);
        let mut more = false;
        for (id, flow) in self.engine.flows.after(at) {
            if left == 0 {
                more = true;
                break;
            }
            left = left.saturating_sub(1);
            at = Some(id);
            let is_active = flow.last_seen() >= since;
            active = active.saturating_add(u64::from(is_active));
            if is_active {
                self.devices.alive(flow);
            }
            if self.telemetry.is_wanted() {
                let inspector = &self.engine.inspector;
                self.telemetry.look(flow, id, since, || inspector.outcome(flow.detector));
            }
        }
        self.tell_telemetry();
        if more {
            self.period.scan = Some((active, at));
            return true;
        }
        self.look_for_devices(now);
        self.save_names_in_time(now);
        let expired = self.engine.ended(EndReason::Idle);
        let purged = self.counters.flows_ended;
        self.interval = Interval {
            usage: self.host.usage(),
            flows: self.engine.flows.len().into(),
            active,
            expired: expired.saturating_sub(self.period.expired),
            purged: purged.saturating_sub(self.period.purged),
        };
        let told = std::mem::take(&mut self.period.told);
        let until = now.plus(seconds(self.settings.update_interval));
        self.period = Period { until, since: now, scan: None, expired, purged, told };
        if self.telemetry.is_wanted() {
            self.tell_interval();
        }
        false
    }

    /// Counts steps of the wall clock by more than a minute. Nothing else need be done: all
    /// moments are stored as ticks.
    fn watch_clock(&mut self, clock: Clock) {
        let expected = self.clock.wall_of(clock.tick);
        let step = clock.wall.0.saturating_sub(expected.0);
        if step.unsigned_abs() > 60_000_000 {
            self.counters.clock_steps = self.counters.clock_steps.saturating_add(1);
            log::info!("the wall clock made a step of {} s", step / 1_000_000);
        }
    }

    /// Tells subscribers of losses, at most once a second.
    fn alert(&mut self, now: Tick) {
        if now.since(self.period.told.at) < seconds(1) {
            return;
        }
        let told = &mut self.period.told;
        told.at = now;
        for (kind, value, told) in [
            ("kernel_drops", self.counters.kernel_drops, &mut told.kernel_drops),
            ("flow_table_full", self.counters.flow_table_full, &mut told.flow_table_full),
            ("emergency", self.counters.emergencies, &mut told.emergencies),
            ("clock_steps", self.counters.clock_steps, &mut told.clock_steps),
        ] {
            let count = value.saturating_sub(std::mem::replace(told, value));
            if count > 0 {
                self.bus.publish(&Event::Alert { kind, count });
            }
        }
    }
}

/// Hands what becomes of flows to the bus, if anybody listens.
struct Publisher<'a> {
    bus: &'a mut Bus,
    telemetry: &'a mut Telemetry,
    around: Around<'a>,
    adrift: &'a mut Adrift,
    devices: &'a mut Devices,
}

impl Publisher<'_> {
    fn publish(&mut self, event: &Event, lore: &Lore) {
        let around = self.around;
        self.bus.publish_where(event, &|expression| {
            event.flow().is_some_and(|told| {
                let (record, what) = (&told.record, &told.what);
                let Lore { names, applications, .. } = lore;
                let applications = Some(applications);
                expression.matches(&Asked { record, what, names, applications, around })
            })
        });
    }
}

impl Listener for Publisher<'_> {
    fn heard(&mut self, packet: &Packet, frame: &Frame<'_>) {
        self.devices.heard(packet, packet.payload(frame.data), frame.iface, frame.ts);
    }

    fn started(&mut self, flow: &Flow, id: FlowId, lore: &Lore) {
        self.devices.started(flow);
        if let Some(connections) = self.around.connections {
            self.adrift.check(flow, id, connections);
        }
        if self.bus.wants(Topic::Flow) && !flow.is_carrier() {
            let told = Labelled { record: Record::new(flow, id, None), what: Outcome::default() };
            self.publish(&Event::FlowStarted(Rc::new(told)), lore);
        }
    }

    fn detected(
        &mut self,
        flow: &Flow,
        id: FlowId,
        what: &Outcome,
        progress: Progress,
        lore: &Lore,
    ) {
        self.devices.detected(flow, what, progress);
        self.telemetry.detected(flow, id, what, progress);
        let is_news = progress.named || progress.refined;
        if is_news && self.bus.wants(Topic::Flow) && !flow.is_carrier() {
            let told = Labelled { record: Record::new(flow, id, None), what: what.clone() };
            self.publish(&Event::FlowDetected(Rc::new(told)), lore);
        }
    }

    fn ended(&mut self, flow: &Flow, id: FlowId, reason: EndReason, what: &Outcome, lore: &Lore) {
        self.devices.ended(flow, what);
        self.telemetry.ended(flow, id, reason, what);
        if self.bus.wants(Topic::Flow) && !flow.is_carrier() {
            let told = Labelled { record: Record::new(flow, id, Some(reason)), what: what.clone() };
            self.publish(&Event::FlowEnded(Rc::new(told)), lore);
        }
    }
}

/// The right that a command needs.
const fn right(command: &Command) -> Right {
    match command {
        Command::Flush(_)
        | Command::GroupAdd { .. }
        | Command::GroupFlush { .. }
        | Command::GroupLoad { .. }
        | Command::GroupRemove { .. }
        | Command::GroupSave { .. }
        | Command::Reload
        | Command::Restart
        | Command::Set { .. }
        | Command::Stop { now: true }
        | Command::Verbose { level: Some(_) } => Right::Admin,
        Command::ResourceCreate { kind: Kind::Capture | Kind::Injection, .. }
        | Command::ResourceDelete { kind: Kind::Capture | Kind::Injection, .. }
        | Command::CaptureStart { .. }
        | Command::Import { .. }
        | Command::SessionStart { .. }
        | Command::SessionStop { .. }
        | Command::CaptureStop { .. } => Right::Capture,
        Command::ResourceCreate { .. }
        | Command::ResourceDelete { .. }
        | Command::ResourcePatch { .. } => Right::Admin,
        _ => Right::Read,
    }
}

const fn seconds(seconds: u32) -> u64 {
    (seconds as u64).saturating_mul(1_000_000)
}

/// 4 096 flows on machines with less than 48 MiB, 8 192 with less than 128 MiB, 32 768 otherwise,
/// unless set.
fn limits(settings: &Settings, ram: u64) -> Limits {
    let fitted = match ram >> 20 {
        1..=47 => 4_096,
        48..=127 => 8_192,
        _ => 32_768,
    };
    let set = u32::try_from(settings.max_flows).unwrap_or(u32::MAX);
    Limits { max_flows: if set == 0 { fitted } else { set } }
}

fn inspection(settings: &Settings) -> detect::Limits {
    detect::Limits {
        packets: u8::try_from(settings.detection_packets).unwrap_or(u8::MAX),
        open: settings.detection_flows as usize,
        octets: (settings.detection_kib as usize).saturating_mul(1_024),
    }
}

fn timeouts(settings: &Settings) -> Timeouts {
    let half_open = settings.idle.min(Timeouts::default().half_open);
    Timeouts { idle: settings.idle, idle_tcp: settings.idle_tcp, half_open, ..Timeouts::default() }
}
