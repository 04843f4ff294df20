//! The loop: one thread, one poll, everything on it.
//!
//! Control comes before data in each turn, data has a time budget, and whatever stops early is
//! called again before the next wait: readiness is edge-triggered.

use std::collections::VecDeque;
use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs};

use mio::net::UnixListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::api::http::Http;
use crate::api::stream::Stream as PcapOverIp;
use crate::api::unix::Unix;
use crate::config::Settings;
use crate::config::settings::distance;
use crate::core::Agent;
use crate::core::agent::{Ending, Facts, Port};
use crate::core::attach::Place;
use crate::core::auth::{Caller, Right};
use crate::core::packets::Machine as Described;
use crate::sys::capture::Method;
use crate::sys::signals::{Signal, Signals};
use crate::sys::{clock, netns, privileges, process, unix_socket};
use crate::text::Quoted;
use crate::time::{Clock, Tick};
use crate::topology::links::Change as LinkChange;
use crate::topology::machine;
use crate::topology::pick::Selection;

use super::capture::{self, Captures};
use super::clients::{Clients, Limits, Stream};
use super::conntrack::Conntrack;
use super::discovery::Discovery;
use super::exporter::Sender;
use super::host::{Configure, Machine};
use super::hosts::Files;
use super::http::{Doors, Guest, Purpose, needs};
use super::injector::Injector;
use super::poster::Poster;
use super::probes::Probes;
use super::recorder::Recorder;
use super::relay::Relays;
use super::sessions::Sessions;
use super::sinks::Sinks;
use super::sockets::Sockets;
use super::spaces::Spaces;
use super::token::{Readiness, Slot, Source, source_of};
use super::{logger, management};

/// Time that frames may take of one turn, in microseconds.
const DATA_BUDGET: u64 = 2_000;

/// Frames taken from one interface before the clock is looked at.
const FRAMES: u32 = 128;

/// Octets of the largest frame that is remembered.
const WHOLE: u32 = 65_535;

/// Connections accepted in one turn.
const ACCEPTS: usize = 32;

/// Seconds after the start when it is told what is not captured.
const TOLD: u32 = 3;

/// How long listening stops when descriptors have run out, in microseconds.
const PAUSE: u64 = 100_000;

/// The state of an interface that is there but not among those to watch any more.
const NO_LONGER: &str = "no longer watched";

/// Why the loop cannot start: what to say, and the exit code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StartError {
    /// Another agent has the socket.
    AlreadyRunning(PathBuf),
    /// A path or a group cannot be used as configured.
    Configuration(String),
    /// A permission is missing.
    Denied(String),
    /// The system refuses.
    System(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRunning(path) => write!(
                f,
                "already running: somebody answers on {} (stop it, or choose another path with \
                 --socket)",
                path.display()
            ),
            Self::Configuration(text) | Self::Denied(text) | Self::System(text) => {
                f.write_str(text)
            }
        }
    }
}

struct Listener {
    socket: UnixListener,
    path: PathBuf,
    readable: bool,
}

/// Everything that lives as long as the process does.
pub struct Loop {
    poll: Poll,
    agent: Agent,
    captures: Captures,
    conntrack: Conntrack,
    spaces: Spaces,
    signals: Signals,
    listeners: Vec<Listener>,
    doors: Doors,
    /// Where packets are streamed to whoever connects.
    streams: Doors,
    recorder: Recorder,
    /// No accept before this moment: descriptors had run out.
    paused: Option<Tick>,
    /// Given up to accept and close a client when descriptors have run out.
    spare: Option<fs::File>,
    clients: Clients,
    management: Option<management::Port>,
    /// Interfaces with frames to take, in turn.
    ready: VecDeque<u16>,
    probes: Probes,
    /// On-demand captures with frames to take, in turn.
    probes_ready: VecDeque<Place>,
    injector: Injector,
    discovery: Discovery,
    hosts: Files,
    relays: Relays,
    poster: Poster,
    sender: Sender,
    sessions: Sessions,
    sinks: Sinks,
    /// Finds processes for who asks.
    sockets: Sockets,
    changes: Vec<LinkChange>,
    next_second: Tick,
    revision: u64,
    /// Seconds since the start in which there was something to watch.
    seconds: u32,
}

impl Loop {
    /// Opens everything that the settings ask for.
    ///
    /// # Errors
    /// See [`StartError`]. An interface that cannot be captured and a management port that is
    /// taken are no errors: the status says so.
    pub fn open(
        settings: Settings,
        configure: Box<Configure>,
    ) -> std::result::Result<Self, StartError> {
        let system = |what: &'static str| {
            move |error: std::io::Error| StartError::System(format!("{what}: {error}"))
        };
        let now = clock::now();
        let poll = Poll::new().map_err(system("epoll"))?;
        let signals = Signals::open().map_err(system("signals"))?;
        let machine = Machine::new(settings.state_dir.clone(), settings.volatile(), configure);
        machine.tidy(crate::group::file::FOLDER);
        let mut agent = Agent::new(settings.clone(), facts(), Box::new(machine), now);
        agent.load_tables();
        agent.apply(settings.clone());
        for problem in agent.load_applications() {
            log::warn!("{problem}; this file of rules is left out");
        }
        agent.load_names();
        let mut hosts = Files::default();
        hosts.open(&mut agent, now.tick);
        for problem in agent.load_groups().problems {
            log::warn!("{problem}");
        }
        for problem in agent.load_orders() {
            log::warn!("{problem}");
        }
        if let Err(failure) = agent.start_up() {
            return Err(StartError::Configuration(format!("startup_capture: {failure}")));
        }
        describe_machine(&mut agent);
        let machine = process::machine();
        agent.packets.set_machine(Described {
            hardware: machine.hardware,
            os: format!("{} {}", machine.system, machine.release),
            application: format!("Portolan {}", crate::core::report::VERSION),
        });
        let spaces = Spaces::open(&settings, poll.registry(), &mut agent, now);
        let mut new = Self {
            captures: Captures::new(capturing(&settings), process::total_ram()),
            conntrack: Conntrack::default(),
            revision: agent.revision(),
            agent,
            spaces,
            signals,
            listeners: Vec::new(),
            doors: Doors::default(),
            streams: Doors::new(Purpose::Packets),
            recorder: Recorder::default(),
            paused: None,
            spare: fs::File::open("/dev/null").ok(),
            clients: Clients::default(),
            management: None,
            ready: VecDeque::new(),
            probes: Probes::default(),
            probes_ready: VecDeque::new(),
            injector: Injector::default(),
            discovery: Discovery::default(),
            hosts,
            relays: Relays::default(),
            poster: Poster::default(),
            sender: Sender::default(),
            sessions: Sessions::default(),
            sinks: Sinks::default(),
            sockets: Sockets::default(),
            changes: Vec::new(),
            next_second: now.tick,
            seconds: 0,
            poll,
        };
        new.register(new.signals.as_raw_fd(), Source::Signals).map_err(system("signals"))?;
        for path in &settings.sockets {
            new.listen(path, settings.socket_group.as_deref())?;
        }
        new.open_management(&settings, now.tick);
        new.follow_connections(&settings, now.tick);
        new.doors.become_these(&settings.http, new.poll.registry());
        new.streams.become_these(&stream_doors(&settings), new.poll.registry());
        new.sinks.become_these(&settings, &mut new.agent, new.poll.registry(), now.tick);
        Ok(new)
    }

    /// Gives up every capability that is not needed from here on.
    pub fn drop_privileges(&mut self) {
        use privileges::Capabilities as C;
        if let Err(error) = privileges::no_new_privileges() {
            log::warn!("no_new_privs: {error}");
        }
        let held = privileges::effective().unwrap_or(C(0));
        let mut kept = C(0);
        // The group of a socket is set again on a restart.
        let settings = self.agent.settings();
        for (wanted, needed) in [
            (C::NET_RAW, true),
            (C::NET_ADMIN, true),
            (C::CHOWN, true),
            (C::SYS_ADMIN, settings.netns_discovery),
            // Whoever lives in which namespace is told by files of processes of all users.
            (C::SYS_PTRACE, settings.sockets_shown || settings.netns_discovery),
            (C::DAC_READ_SEARCH, settings.sockets_shown || settings.netns_discovery),
        ] {
            if needed && held.has(wanted) {
                kept = kept.with(wanted);
            }
        }
        if let Err(error) = privileges::keep_only(kept) {
            log::warn!("capabilities: {error}");
        }
        self.agent.facts.capabilities =
            privileges::effective().map(|c| c.names().collect()).unwrap_or_default();
    }

    /// The paths that are listened on and the address of the management port, for the log.
    #[must_use]
    pub fn doors(&self) -> String {
        let mut doors: Vec<String> =
            self.listeners.iter().map(|l| l.path.display().to_string()).collect();
        if let Some(address) = self.management.as_ref().and_then(|port| port.address().ok()) {
            doors.push(format!("udp {address}"));
        }
        doors.extend(self.doors.addresses().map(|address| format!("http://{address}")));
        doors.extend(self.streams.addresses().map(|address| format!("TCP@{address}")));
        doors.join(", ")
    }

    /// Runs until somebody ends it.
    ///
    /// # Errors
    /// When the poll itself fails.
    pub fn run(mut self) -> Result<Ending> {
        let mut events = Events::with_capacity(256);
        let mut busy = true;
        loop {
            let wait = if busy { Some(Duration::ZERO) } else { self.wait() };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                other => other?,
            }
            let start = clock::now();
            self.agent.counters.turns = self.agent.counters.turns.wrapping_add(1);
            for event in &events {
                if let Some(source) = source_of(event.token()) {
                    self.event(source, event.into(), start.tick);
                }
            }
            busy = self.turn(start);
            let took = clock::tick().since(start.tick);
            self.agent.facts.loop_max_us = self.agent.facts.loop_max_us.max(took);
            if let Some(ending) = self.agent.ending() {
                self.close(clock::now());
                return Ok(ending);
            }
        }
    }

    /// How long nothing needs to be done; `None` for ever.
    fn wait(&self) -> Option<Duration> {
        let now = clock::tick();
        let watched = self.captures.iter().any(|c| c.open)
            || !self.clients.is_empty()
            || !self.probes.is_empty()
            || !self.sessions.is_empty()
            || !self.sinks.is_empty();
        let second = (watched || self.seconds < TOLD).then_some(self.next_second);
        let deadlines = [
            Some(self.agent.deadline()),
            self.spaces.deadline(&self.agent),
            self.captures.deadline(),
            self.conntrack.deadline(),
            self.injector.deadline(),
            self.poster.deadline(),
            self.relays.deadline(),
            self.sinks.deadline(),
            self.agent.packets.deadline(),
            self.agent.packets.past_deadline(),
            self.paused,
            second,
        ];
        // A flow may expire up to a second late: all that is due by then is done in one turn.
        deadlines.into_iter().flatten().min().map(|at| Duration::from_micros(at.since(now)))
    }

    fn event(&mut self, source: Source, readiness: Readiness, now: Tick) {
        match source {
            Source::Capture(slot) => {
                if self.captures.is_current(slot.index, slot.generation) {
                    self.captures.take_error(slot.index, now, &mut self.agent.counters);
                    self.make_ready(slot.index);
                }
            }
            Source::Client(slot) => self.clients.event(slot, readiness),
            Source::Connections => self.conntrack.event(),
            Source::HttpListener(token) => self.doors.event(token),
            Source::StreamListener(token) => self.streams.event(token),
            Source::Management => {
                if let Some(port) = &mut self.management {
                    port.event(readiness, &mut self.agent);
                }
            }
            Source::Post(slot) => self.poster.event(slot, readiness, self.poll.registry()),
            Source::Relay(slot) => {
                self.relays.event(slot, readiness, self.poll.registry(), &mut self.agent);
            }
            Source::Probe(Slot { index, generation }) => {
                let place = Place { slot: index, generation };
                if readiness.error {
                    self.probes.take_error(place, &mut self.agent, self.poll.registry());
                }
                if !self.probes_ready.contains(&place) {
                    self.probes_ready.push_back(place);
                }
            }
            Source::Folders => self.spaces.folders_changed(now),
            Source::Sink(slot) => self.sinks.event(slot, readiness),
            Source::Session(slot) => self.sessions.event(slot, readiness.error),
            Source::SessionSpace(slot) => self.sessions.space_event(slot),
            Source::Space(slot) => self.spaces.event(slot),
            Source::Signals => self.take_signals(),
            Source::UnixListener(index) => {
                if let Some(listener) = self.listeners.get_mut(usize::from(index)) {
                    listener.readable = true;
                }
            }
        }
    }

    /// One turn; `true` if there is more to do right now.
    fn turn(&mut self, now: Clock) -> bool {
        let tick = now.tick;
        let mut more = self.agent.turn(now);
        more |= self.accept(tick);
        if self.clients.serve(self.poll.registry(), &mut self.agent, tick) {
            more = true;
        }
        if let Some(port) = &mut self.management {
            more |= port.serve(&mut self.agent, tick);
        }
        more |= self.take_frames(now);
        more |= self.follow_links(now);
        more |= self.conntrack.turn(&mut self.agent, self.poll.registry(), tick);
        more |= self.carry_out(tick);
        more |= self.discovery.turn(&mut self.agent, now);
        let (agent, registry) = (&mut self.agent, self.poll.registry());
        if agent.packets.deadline().is_some_and(|at| at <= tick) {
            agent.packets.expire(&now);
        }
        more |= self.sessions.serve(agent, registry, now);
        if agent.lookback.is_on() {
            more |= agent.replay(&clock::now());
        }
        more |= self.recorder.serve(agent);
        if tick >= self.next_second {
            self.each_second(tick);
        }
        self.apply_settings(tick);
        // What frames, links and commands of this turn have changed.
        more |= self.agent.tell_graph();
        let found = self.agent.discovery.take_fresh();
        let packets = self.agent.packets.take_fresh() || found;
        if packets || self.agent.feed.take_fresh() || !self.agent.bus.is_empty() {
            self.clients.wake_streams(&self.agent);
            more |= self.clients.serve(self.poll.registry(), &mut self.agent, tick);
            if let Some(port) = &mut self.management {
                more |= port.serve(&mut self.agent, tick);
            }
        }
        more |= self.sinks.serve(&mut self.agent, self.poll.registry(), tick);
        more || self.sessions.is_ready(&self.agent)
    }

    /// Takes frames of all interfaces that have some, in turn, for a bounded time.
    fn take_frames(&mut self, now: Clock) -> bool {
        let until = clock::tick().plus(DATA_BUDGET);
        while let Some(slot) = self.ready.pop_front() {
            let agent = &mut self.agent;
            let drained = self.captures.drain(slot, &now, FRAMES, |batch| {
                agent.frames(batch.frames);
                agent.lookback.remember(batch.ifindex, batch.cooked, batch.raws);
            });
            if drained.more {
                self.ready.push_back(slot);
            }
            if clock::tick() >= until {
                break;
            }
        }
        while let Some(place) = self.probes_ready.pop_front() {
            let drained = self.probes.drain(place, &now, FRAMES, &mut self.agent);
            if drained.more {
                self.probes_ready.push_back(place);
            }
            if clock::tick() >= until {
                break;
            }
        }
        let more = self.sessions.drain(&mut self.agent, &now);
        more || !self.ready.is_empty() || !self.probes_ready.is_empty()
    }

    /// Carries out what clients ordered: opens and closes sockets of captures, sends packets and
    /// messages. `true` if there is more to do right now.
    fn carry_out(&mut self, now: Tick) -> bool {
        let (agent, registry) = (&mut self.agent, self.poll.registry());
        let more = self.probes.sync(agent, &self.spaces, registry, &mut self.probes_ready);
        self.injector.serve(agent, &self.spaces, now);
        self.poster.serve(agent, registry, now);
        let more = self.relays.serve(agent, registry, now) || more;
        let more = self.sender.serve(agent) || more;
        let more = self.sockets.answer(agent, now) || more;
        // Changes of the graph are told in the next turn.
        more || agent.graph.has_events()
    }

    /// Reads what the kernel says of interfaces and brings the captures in step.
    fn follow_links(&mut self, clock: Clock) -> bool {
        let (now, agent) = (clock.tick, &mut self.agent);
        let more = self.spaces.turn(agent, &mut self.changes, self.poll.registry(), clock);
        let due = self.captures.deadline().is_some_and(|at| at <= now);
        if !self.changes.is_empty() || due {
            self.captures.sync(&agent.links, now, &mut agent.counters);
            agent.follow(std::mem::take(&mut self.changes));
            self.register_captures(now);
        }
        more
    }

    fn register_captures(&mut self, now: Tick) {
        let changes: Vec<capture::Change> = self.captures.changes().collect();
        for change in changes {
            match change {
                capture::Change::Closed { slot } => self.ready.retain(|ready| *ready != slot),
                capture::Change::Opened { slot, generation, fd } => {
                    let token = Source::Capture(Slot { index: slot, generation });
                    match self.register(fd, token) {
                        Ok(()) => self.make_ready(slot),
                        Err(error) => {
                            log::error!("{}: {error}", self.agent.name_of(slot));
                            self.captures.take_error(slot, now, &mut self.agent.counters);
                        }
                    }
                }
            }
        }
        self.tell_ports();
    }

    /// What `status` says of captures.
    fn tell_ports(&mut self) {
        let is_there = |slot| self.agent.links.get(slot).is_some_and(|link| link.present);
        let port = |status: capture::Status<'_>| Port {
            slot: status.slot,
            is_open: status.open,
            has_ring: status.has_ring,
            state: match (status.open, status.problem) {
                (true, _) if status.has_ring => "capturing".to_owned(),
                (true, _) => "capturing without a ring".to_owned(),
                (false, Some(problem)) => problem.to_owned(),
                (false, None) if is_there(status.slot) => NO_LONGER.to_owned(),
                (false, None) => "not there: waiting for its return".to_owned(),
            },
            drops: status.totals.drops,
        };
        let ports: Vec<Port> = self.captures.iter().map(port).collect();
        for port in &ports {
            let before = self.agent.facts.ports.iter().find(|p| p.slot == port.slot);
            if before.is_none_or(|before| before.state != port.state) {
                let name = self.agent.name_of(port.slot);
                if port.is_open || port.state == NO_LONGER {
                    log::info!("{name}: {}", port.state);
                } else {
                    log::warn!("{name}: {}", port.state);
                }
            }
        }
        self.agent.facts.ports = ports;
        let missing = self.captures.selection().missing(&self.agent.links);
        self.agent.facts.missing = missing.map(str::to_owned).collect();
    }

    fn each_second(&mut self, now: Tick) {
        // The flow table's clock ticks at whole seconds, too.
        self.next_second = now.plus(1).whole();
        self.captures.poll_statistics(now, &mut self.agent.counters);
        self.probes.poll_statistics(&mut self.agent);
        self.sessions.poll_statistics(&mut self.agent, now);
        self.hosts.serve(&mut self.agent, now);
        let clock = clock::now();
        self.agent.packets.expire(&clock);
        self.clients.expire(self.poll.registry(), &mut self.agent, now);
        self.agent.facts.clients = self.clients.len();
        self.agent.facts.sinks = self.sinks.shown();
        let suppressed = u64::from(logger::take_suppressed());
        let counters = &mut self.agent.counters;
        counters.log_suppressed = counters.log_suppressed.saturating_add(suppressed);
        for status in self.captures.iter() {
            let ports = &mut self.agent.facts.ports;
            if let Some(port) = ports.iter_mut().find(|port| port.slot == status.slot) {
                port.drops = status.totals.drops;
            }
        }
        self.seconds = self.seconds.saturating_add(1);
        if self.seconds == TOLD {
            self.tell_missing();
        }
    }

    /// An agent that does not record what it was asked to must say so: once, some seconds after
    /// the start.
    fn tell_missing(&self) {
        let there: Vec<&str> = self.agent.links.iter().map(|(_, link)| &*link.name).collect();
        for name in &self.agent.facts.missing {
            let near = there.iter().map(|known| (distance(name, known), known)).min();
            let hint = near
                .filter(|(distance, _)| *distance <= 2)
                .map_or_else(String::new, |(_, known)| format!(" (did you mean {known}?)"));
            log::warn!("waiting for {name}{hint}; there are: {}", there.join(" "));
        }
        if self.agent.facts.missing.is_empty() && !self.captures.iter().any(|c| c.open) {
            log::warn!("no interface is captured: name one with -i NAME");
        }
    }

    fn take_signals(&mut self) {
        while let Ok(Some(signal)) = self.signals.read() {
            let caller = Caller { right: Right::Admin };
            match signal {
                Signal::Stop => {
                    let stop = crate::core::command::Command::Stop { now: true };
                    let _ = self.agent.run(stop, &caller);
                }
                Signal::Reload => match self.agent.reload() {
                    Ok(()) => log::info!("configuration read again"),
                    Err(failure) => log::error!("configuration kept as it was: {failure}"),
                },
                Signal::Dump => log::info!("{}", self.agent.status_line().trim_end()),
            }
        }
    }

    /// Brings what lives here in step with settings that were changed by command or reload.
    fn apply_settings(&mut self, now: Tick) {
        if self.revision == self.agent.revision() {
            return;
        }
        self.revision = self.agent.revision();
        let settings = self.agent.settings().clone();
        self.hosts.look_again();
        self.spaces.configure(&settings, &mut self.agent);
        self.captures.configure(capturing(&settings), &mut self.agent.counters);
        self.follow_connections(&settings, now);
        self.captures.sync(&self.agent.links, now, &mut self.agent.counters);
        self.register_captures(now);
        self.doors.become_these(&settings.http, self.poll.registry());
        self.streams.become_these(&stream_doors(&settings), self.poll.registry());
        self.sinks.become_these(&settings, &mut self.agent, self.poll.registry(), now);
        let wanted = (settings.management_address, settings.management_port);
        let open = self.management.as_ref().and_then(|port| port.address().ok());
        match (&mut self.management, open) {
            (Some(port), Some(own)) if (own.ip(), own.port()) == wanted => {
                port.configure(&settings)
            }
            _ => self.open_management(&settings, now),
        }
        let unknown: Vec<PathBuf> = settings
            .sockets
            .iter()
            .filter(|path| !self.listeners.iter().any(|l| l.path == **path))
            .cloned()
            .collect();
        for path in unknown {
            if let Err(error) = self.listen(&path, settings.socket_group.as_deref()) {
                log::error!("{error}");
            }
        }
    }

    fn follow_connections(&mut self, settings: &Settings, now: Tick) {
        let (wanted, update) = (settings.conntrack, settings.update_interval);
        self.conntrack.configure(wanted, update, &mut self.agent, self.poll.registry(), now);
    }

    fn open_management(&mut self, settings: &Settings, now: Tick) {
        if let Some(mut port) = self.management.take() {
            port.close(self.poll.registry(), &mut self.agent);
        }
        if settings.management_port == 0 {
            return;
        }
        match management::Port::open(settings, self.poll.registry(), now) {
            Ok(port) => {
                self.management = Some(port);
                if settings.has_default_password() {
                    log::warn!(
                        "the management port has the default key: anybody on this machine can \
                         change settings (--management-password-file)"
                    );
                }
            }
            Err(error) => log::error!(
                "management port {}:{}: {error}{}; going on without it (--management-port takes \
                 another one, 0 turns it off)",
                settings.management_address,
                settings.management_port,
                needs(&error, settings.management_port)
            ),
        }
    }

    fn listen(&mut self, path: &Path, group: Option<&str>) -> std::result::Result<(), StartError> {
        use unix_socket::Error;
        let gid = match group {
            None => None,
            Some(name) => Some(unix_socket::group_id(name).ok_or_else(|| {
                StartError::Configuration(format!("api_group: there is no group {}", Quoted(name)))
            })?),
        };
        if let Some(folder) = path.parent() {
            make_folder(folder).map_err(|error| refused(path, &error))?;
        }
        let bound = unix_socket::listen(path, gid).map_err(|error| match error {
            Error::AlreadyRunning => StartError::AlreadyRunning(path.to_owned()),
            Error::NotASocket => StartError::Configuration(format!(
                "{}: is there and is no socket: remove it, or choose another path",
                path.display()
            )),
            Error::Io(error) => refused(path, &error),
        })?;
        let index = u16::try_from(self.listeners.len()).unwrap_or(u16::MAX);
        let system = |error: std::io::Error| StartError::System(error.to_string());
        bound.set_nonblocking(true).map_err(system)?;
        let mut socket = UnixListener::from_std(bound);
        let token: Token = Source::UnixListener(index).into();
        self.poll.registry().register(&mut socket, token, Interest::READABLE).map_err(system)?;
        self.listeners.push(Listener { socket, path: path.to_owned(), readable: true });
        Ok(())
    }

    /// Takes in waiting clients; `true` if there are more.
    fn accept(&mut self, now: Tick) -> bool {
        if self.paused.is_some_and(|until| now < until) {
            return false;
        }
        self.paused = None;
        let settings = self.agent.settings();
        let limits = Limits { most: settings.max_clients, per_address: settings.http_per_address };
        if !self.accept_http(limits, now) || !self.accept_streams(limits, now) {
            return false;
        }
        for listener in &mut self.listeners {
            for _ in 0..ACCEPTS {
                if !listener.readable {
                    break;
                }
                match listener.socket.accept() {
                    Ok((stream, _)) => {
                        // The mode of the socket says who may connect: they may do anything.
                        let connection = Box::new(Unix::new(Caller { right: Right::Admin }));
                        let registry = self.poll.registry();
                        let agent = &mut self.agent;
                        let stream = Stream::Unix(stream);
                        let admitted =
                            self.clients.admit(stream, connection, limits, registry, agent, now);
                        if let Err(error) = admitted {
                            log::warn!("client: {error}");
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        listener.readable = false;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => {
                        // Out of descriptors: let one go to turn a client away with, and rest.
                        self.spare = None;
                        if listener.socket.accept().is_ok() {
                            let refused = &mut self.agent.counters.clients_refused;
                            *refused = refused.saturating_add(1);
                        }
                        self.spare = fs::File::open("/dev/null").ok();
                        log::warn!("accept: {error}");
                        self.paused = Some(now.plus(PAUSE));
                        return false;
                    }
                }
            }
        }
        self.agent.facts.clients = self.clients.len();
        self.listeners.iter().any(|listener| listener.readable)
            || self.doors.are_ready()
            || self.streams.are_ready()
    }

    /// Takes in waiting clients of HTTP; `false` if descriptors have run out.
    fn accept_http(&mut self, limits: Limits, now: Tick) -> bool {
        for _ in 0..ACCEPTS {
            match self.doors.accept() {
                Ok(None) => break,
                Ok(Some(Guest { stream, from, to, .. })) => {
                    let connection = Box::new(Http::new(from, to, now));
                    let registry = self.poll.registry();
                    let stream = Stream::Tcp(stream);
                    let agent = &mut self.agent;
                    let admitted =
                        self.clients.admit(stream, connection, limits, registry, agent, now);
                    if let Err(error) = admitted {
                        log::warn!("client: {error}");
                    }
                }
                Err(error) => {
                    self.spare = None;
                    if matches!(self.doors.accept(), Ok(Some(_))) {
                        let refused = &mut self.agent.counters.clients_refused;
                        *refused = refused.saturating_add(1);
                    }
                    self.spare = fs::File::open("/dev/null").ok();
                    log::warn!("accept: {error}");
                    self.paused = Some(now.plus(PAUSE));
                    return false;
                }
            }
        }
        true
    }

    /// Takes in clients that want a stream of packets; `false` if descriptors have run out.
    fn accept_streams(&mut self, limits: Limits, now: Tick) -> bool {
        for _ in 0..ACCEPTS {
            match self.streams.accept() {
                Ok(None) => break,
                Ok(Some(guest)) => {
                    let settings = self.agent.settings();
                    let door = settings.pcap_over_ip.iter().find(|d| d.address == guest.door);
                    let parameters = door.map(|door| door.parameters.clone());
                    let known = settings.may_stream(guest.from.ip());
                    let Some(parameters) = parameters.filter(|_| known) else {
                        let refused = &mut self.agent.counters.clients_refused;
                        *refused = refused.saturating_add(1);
                        continue;
                    };
                    let connection = Box::new(PcapOverIp::new(parameters, guest.from, guest.to));
                    let stream = Stream::Tcp(guest.stream);
                    let (agent, registry) = (&mut self.agent, self.poll.registry());
                    let admitted =
                        self.clients.admit(stream, connection, limits, registry, agent, now);
                    if let Err(error) = admitted {
                        log::warn!("client: {error}");
                    }
                }
                Err(error) => {
                    log::warn!("accept: {error}");
                    self.paused = Some(now.plus(PAUSE));
                    return false;
                }
            }
        }
        true
    }

    fn make_ready(&mut self, slot: u16) {
        if !self.ready.contains(&slot) {
            self.ready.push_back(slot);
        }
    }

    fn register(&self, fd: RawFd, source: Source) -> Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd), source.into(), Interest::READABLE)
    }

    /// Listeners first, then what is still to be told, then the clients.
    fn close(mut self, now: Clock) {
        for listener in &mut self.listeners {
            let _ = self.poll.registry().deregister(&mut listener.socket);
            if let Err(error) = fs::remove_file(&listener.path) {
                log::warn!("{}: {error}", listener.path.display());
            }
        }
        self.doors.close(self.poll.registry());
        self.streams.close(self.poll.registry());
        while self.agent.end_some() {
            self.sinks.drain(&mut self.agent, self.poll.registry(), now.tick);
        }
        self.agent.finish();
        self.sinks.finish(&mut self.agent, self.poll.registry(), now.tick);
        self.sinks.close(&mut self.agent, self.poll.registry());
        self.recorder.finish(&mut self.agent);
        if let Some(port) = &mut self.management {
            port.serve(&mut self.agent, now.tick);
        }
        self.clients.close_all(self.poll.registry(), &mut self.agent, now.tick);
    }
}

fn refused(path: &Path, error: &std::io::Error) -> StartError {
    let text = format!("{}: {error}", path.display());
    if error.kind() == ErrorKind::PermissionDenied {
        StartError::Denied(format!("{text}; run as root, or choose another path with --socket"))
    } else {
        StartError::System(text)
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)
}

fn stream_doors(settings: &Settings) -> Vec<SocketAddr> {
    settings.pcap_over_ip.iter().map(|door| door.address).collect()
}

fn capturing(settings: &Settings) -> capture::Settings {
    capture::Settings {
        selection: Selection::of(&settings.interfaces),
        promiscuous: settings.promiscuous,
        // What is to be remembered has to be seen whole.
        snaplen: if settings.lookback_kib > 0 { WHOLE } else { settings.snaplen },
        ring_kib: Some(settings.ring_kib).filter(|kib| *kib > 0),
        method: Method::Auto,
        ..capture::Settings::default()
    }
}

fn facts() -> Facts {
    let machine = process::machine();
    let version = crate::core::report::VERSION;
    Facts {
        // Name/VERSION (os; libc-os; cpu; feature; …), as Netify's agent identifies itself.
        ident: format!(
            "Portolan/{version} ({}; {LIBC}; {}; netlink; tpv3)",
            distribution().unwrap_or(machine.system),
            machine.hardware
        ),
        uuid: installation(),
        netns: netns::identify(Path::new("/proc/thread-self/ns/net")).map_or(0, |own| own.inode),
        hostname: machine.host,
        ram: process::total_ram(),
        ..Facts::default()
    }
}

/// Tells the map what the files of this machine say of it.
fn describe_machine(agent: &mut Agent) {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (release, cpuinfo) = (read("/etc/os-release"), read("/proc/cpuinfo"));
    let (cmdline, isolated) = (read("/proc/cmdline"), read("/sys/devices/system/cpu/isolated"));
    let vendor = read("/sys/class/dmi/id/sys_vendor") + &read("/sys/class/dmi/id/product_name");
    let described = machine::describe(&machine::Files {
        release: &release,
        cpuinfo: &cpuinfo,
        cmdline: &cmdline,
        isolated: &isolated,
        vendor: &vendor,
        hypervisor: Path::new("/dev/kvm").exists(),
        kernel: &process::machine().release,
        instance: &agent.facts.uuid,
    });
    for (key, value) in described.iter() {
        agent.spaces.set_machine(key.to_owned(), value.clone());
    }
}

/// The C library and system that this was built for.
const LIBC: &str = if cfg!(target_env = "musl") { "linux-musl" } else { "linux-gnu" };

/// What this Linux calls itself (os-release(5)).
fn distribution() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let id = text.lines().find_map(|line| line.strip_prefix("ID="))?;
    Some(id.trim_matches('"').to_owned())
}

/// Identifies this installation without giving the machine's id away: the same after a restart
/// where there is a machine id, otherwise random.
fn installation() -> String {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let half = |salt: u8, id: &str| {
        let mut hasher = DefaultHasher::new();
        (salt, "portolan", id).hash(&mut hasher);
        hasher.finish()
    };
    let id = fs::read_to_string("/etc/machine-id").ok().filter(|id| id.trim().len() == 32);
    let id = id.unwrap_or_else(|| crate::sys::rand::number().to_string());
    let (high, low) = (half(1, id.trim()), half(2, id.trim()));
    // Version 8 (RFC 9562): made up by a rule of our own.
    let high = high & !0xf000 | 0x8000;
    let low = low & !(3 << 62) | 2 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
