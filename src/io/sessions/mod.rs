//! The sockets of live packet sessions: opened in the namespaces that their targets mean, drained
//! while their readers keep up, and kept in step with interfaces that come and go. What becomes
//! of the frames is decided in [`crate::core::packets`].

mod open;
mod space;

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsRawFd as _;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::core::Agent;
use crate::core::packets::{End, Ending, MAX_PORTS, PortId, Refused, SessionId, State, Why};
use crate::sys::aside;
use crate::sys::capture::{Losses, Socket};
use crate::sys::netlink::Buffer;
use crate::sys::netns::Namespace;
use crate::time::{Clock, Tick};

use super::locate::{self, Located, Locator, Search};
use super::token::{Slot, Source};
use open::Plan;
use space::{Device, News, Space};

/// Frames taken from one socket before the next has its turn.
const FRAMES: u32 = 256;

/// Time that frames of sessions may take of one turn, in microseconds.
const BUDGET: u64 = 2_000;

/// Microseconds between two looks whether namespaces are still there.
const LOOK: u64 = 1_000_000;

/// Microseconds between two readings of the counters of cards.
const REFRESH: u64 = 5_000_000;

/// Frames of which interfaces a socket hands out.
#[derive(Debug)]
enum Ports {
    /// Of all, by their numbers: there were too many for a ring each.
    All(HashMap<u32, PortId>),
    /// Of this one.
    One(u32, PortId),
}

#[derive(Debug)]
struct Live {
    session: SessionId,
    /// Place of the namespace.
    space: u16,
    socket: Socket,
    losses: Losses,
    ports: Ports,
    /// In the queue of those with frames, or waiting for its reader.
    queued: bool,
}

#[derive(Debug)]
struct Watched {
    session: SessionId,
    plan: Plan,
    space: Space,
    /// Its file is gone: it is looked for elsewhere.
    lost: Option<Locator>,
    /// The session began with more than one interface.
    several: bool,
}

/// A table with places that are used again, and a count of the users of each.
#[derive(Debug)]
struct Table<T> {
    places: Vec<(u16, Option<T>)>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<T> Table<T> {
    fn add(&mut self, item: T) -> Option<Slot> {
        let at = match self.places.iter().position(|(_, item)| item.is_none()) {
            Some(at) => at,
            None => {
                self.places.push((0, None));
                self.places.len().saturating_sub(1)
            }
        };
        let (generation, place) = self.places.get_mut(at)?;
        *generation = generation.wrapping_add(1) & 0xfff;
        *place = Some(item);
        Some(Slot { index: u16::try_from(at).ok()?, generation: *generation })
    }

    fn get_mut(&mut self, index: u16) -> Option<&mut T> {
        self.places.get_mut(usize::from(index))?.1.as_mut()
    }

    fn current(&mut self, slot: Slot) -> Option<&mut T> {
        let (generation, item) = self.places.get_mut(usize::from(slot.index))?;
        item.as_mut().filter(|_| *generation == slot.generation)
    }

    fn take(&mut self, index: u16) -> Option<T> {
        self.places.get_mut(usize::from(index))?.1.take()
    }

    fn iter(&self) -> impl Iterator<Item = (u16, &T)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(at, (_, item))| Some((u16::try_from(at).ok()?, item.as_ref()?)))
    }
}

/// The sockets of all sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    live: Table<Live>,
    spaces: Table<Watched>,
    /// Sockets that may have frames, in turn.
    ready: VecDeque<u16>,
    /// Sockets with frames whose reader is behind.
    held: Vec<u16>,
    /// Namespaces with messages.
    told: Vec<u16>,
    /// Where the targets of sessions are that are not open yet.
    searches: HashMap<SessionId, Vec<Locator>>,
    /// Sockets that are still to be opened for them, each with its namespace: one in a turn,
    /// since the kernel takes its time for a ring.
    batches: HashMap<SessionId, VecDeque<(u16, Vec<Device>)>>,
    home: Option<Namespace>,
    buffer: Buffer,
    looked: Tick,
    refreshed: Tick,
}

impl Sessions {
    /// Notes that a socket has frames, or an error.
    pub fn event(&mut self, slot: Slot, error: bool) {
        let Some(live) = self.live.current(slot) else { return };
        if error {
            // The interface went down, and the socket resumes when it is up again; or it went
            // away, which netlink tells.
            let _ = live.socket.error();
        }
        if !std::mem::replace(&mut live.queued, true) {
            self.ready.push_back(slot.index);
        }
    }

    /// Notes that the kernel has something to say of a namespace.
    pub fn space_event(&mut self, slot: Slot) {
        if self.spaces.current(slot).is_some() && !self.told.contains(&slot.index) {
            self.told.push(slot.index);
        }
    }

    /// Closes what is over, opens what is wanted, and follows interfaces; `true` if there is
    /// more to do right now.
    pub fn serve(&mut self, agent: &mut Agent, registry: &Registry, now: Clock) -> bool {
        self.close_ended(agent, registry);
        let opening: Vec<SessionId> = agent.packets.opening().map(|(id, _)| id).collect();
        self.searches.retain(|id, _| opening.contains(id));
        self.batches.retain(|id, _| opening.contains(id));
        for id in &opening {
            // One at a time, besides those whose targets are still looked for.
            if self.open(*id, agent, registry, &now) {
                break;
            }
        }
        let mut more = agent.packets.is_opening();
        more |= self.follow(agent, registry, &now);
        if now.tick.since(self.looked) >= LOOK {
            self.looked = now.tick;
            self.look_after();
        }
        self.find_lost(agent, &now);
        more
    }

    /// Whether any session has a socket or a namespace open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spaces.iter().next().is_none()
    }

    /// Takes frames of sockets that have some, in turn and for a bounded time; `true` if there
    /// are more.
    pub fn drain(&mut self, agent: &mut Agent, clock: &Clock) -> bool {
        let Self { live, held, ready, .. } = self;
        held.retain(|index| {
            let wants = live.get_mut(*index).is_none_or(|live| agent.packets.wants(live.session));
            if wants {
                ready.push_back(*index);
            }
            !wants
        });
        let until = crate::sys::clock::tick().plus(BUDGET);
        while let Some(index) = self.ready.pop_front() {
            let Some(live) = self.live.get_mut(index) else { continue };
            if !agent.packets.wants(live.session) {
                self.held.push(index);
                continue;
            }
            if live.drain(agent, clock) {
                self.ready.push_back(index);
            } else {
                live.queued = false;
            }
            if crate::sys::clock::tick() >= until {
                break;
            }
        }
        !self.ready.is_empty()
    }

    /// Whether there are frames that a reader has made room for meanwhile.
    #[must_use]
    pub fn is_ready(&self, agent: &Agent) -> bool {
        let wants = |index: &u16| {
            let place = self.live.places.get(usize::from(*index));
            let live = place.and_then(|(_, live)| live.as_ref());
            live.is_some_and(|live| agent.packets.wants(live.session))
        };
        !self.ready.is_empty() || self.held.iter().any(wants)
    }

    /// Reads the kernel's loss counters: call it once a second.
    pub fn poll_statistics(&mut self, agent: &mut Agent, now: Tick) {
        for (_, live) in self.live.iter() {
            live.count(agent);
        }
        if now.since(self.refreshed) >= REFRESH {
            self.refreshed = now;
            self.spaces.iter().for_each(|(_, watched)| watched.space.refresh());
        }
    }

    /// Closes the sockets of sessions that are over, or that nobody reads any more.
    fn close_ended(&mut self, agent: &Agent, registry: &Registry) {
        let over =
            |id: SessionId| !matches!(agent.packets.state(id), Some(State::Open | State::Opening));
        let sockets: Vec<u16> =
            self.live.iter().filter(|(_, l)| over(l.session)).map(|(at, _)| at).collect();
        let sockets: Vec<Live> =
            sockets.into_iter().filter_map(|index| self.take_socket(index, registry)).collect();
        aside::drop_aside(sockets);
        let spaces: Vec<u16> =
            self.spaces.iter().filter(|(_, s)| over(s.session)).map(|(at, _)| at).collect();
        for index in spaces {
            self.close_space(index, registry);
        }
    }

    fn take_socket(&mut self, index: u16, registry: &Registry) -> Option<Live> {
        let live = self.live.take(index)?;
        // Only fails for a descriptor that was never registered.
        let _ = registry.deregister(&mut SourceFd(&live.socket.as_raw_fd()));
        self.ready.retain(|known| *known != index);
        self.held.retain(|known| *known != index);
        Some(live)
    }

    fn close_space(&mut self, index: u16, registry: &Registry) {
        if let Some(watched) = self.spaces.take(index) {
            let _ = registry.deregister(&mut SourceFd(&watched.space.as_raw_fd()));
            self.told.retain(|known| *known != index);
        }
    }

    /// Opens a part of what a session needs, or says why not; `false` while its targets are
    /// still looked for.
    fn open(&mut self, id: SessionId, agent: &mut Agent, registry: &Registry, now: &Clock) -> bool {
        let opened = if self.batches.contains_key(&id) {
            self.open_next(id, agent, registry, now)
        } else {
            match self.locate(id, agent) {
                None => return false,
                Some(Ok(located)) => self.enter(id, located, agent, registry),
                Some(Err(refused)) => Err(refused),
            }
        };
        if let Err(refused) = opened {
            self.batches.remove(&id);
            agent.packets.refuse(id, refused, &mut agent.counters);
            // What was opened before it failed.
            self.close_ended(agent, registry);
        }
        true
    }

    /// The namespaces of a session's targets, once all are found.
    fn locate(
        &mut self,
        id: SessionId,
        agent: &mut Agent,
    ) -> Option<Result<Vec<Located>, Refused>> {
        let Some(session) = agent.packets.get(id) else { return Some(Ok(Vec::new())) };
        let targets = session.order().targets.clone();
        let searches = self.searches.entry(id).or_default();
        searches.resize_with(targets.len(), Locator::default);
        let mut located = Vec::new();
        for (target, search) in targets.iter().zip(searches) {
            match search.look(target, agent) {
                Search::Found(found) => located.push(found),
                Search::Pending => {}
                Search::Refused(refused) => return Some(Err(refused)),
            }
        }
        if located.len() < targets.len() {
            return None;
        }
        self.searches.remove(&id);
        if self.home.is_none() && agent.settings().netns_discovery {
            self.home = Namespace::own().ok();
        }
        Some(Ok(located))
    }

    /// Enters the namespaces of a session, and finds out which sockets it needs.
    fn enter(
        &mut self,
        id: SessionId,
        located: Vec<Located>,
        agent: &Agent,
        registry: &Registry,
    ) -> Result<(), Refused> {
        let Some(session) = agent.packets.get(id) else { return Ok(()) };
        let order = session.order().clone();
        let mut found = Vec::new();
        for (target, located) in located.into_iter().enumerate() {
            let space = Space::open(located, target, self.home.as_ref())?;
            let devices = space
                .devices(&mut self.buffer)
                .map_err(|error| Refused::new(Why::System, format!("interfaces: {error}")))?;
            let chosen = open::choose(&space, &devices)?;
            found.push((space, chosen));
        }
        let ports = found.iter().map(|(_, chosen)| chosen.len()).sum::<usize>();
        if ports > MAX_PORTS {
            let text = format!("{ports} interfaces: name up to {MAX_PORTS} of them with nif=");
            return Err(Refused::new(Why::Bad, text));
        }
        let ring = usize::try_from(agent.settings().packet_ring_kib).unwrap_or(0);
        let plan = Plan::new(&order, ring.saturating_mul(1_024), ports, &agent.tables)?;
        let plan_is_shared = plan.is_shared();
        let mut batches = VecDeque::new();
        for (space, devices) in found {
            let fd = space.as_raw_fd();
            let plan = if space.is_home() { plan.at_home() } else { plan.clone() };
            let watched = Watched { session: id, plan, space, lost: None, several: ports > 1 };
            let none = || Refused::new(Why::Busy, "too many network namespaces");
            let slot = self.spaces.add(watched).ok_or_else(none)?;
            let token: Token = Source::SessionSpace(slot).into();
            registry
                .register(&mut SourceFd(&fd), token, Interest::READABLE)
                .map_err(|error| Refused::new(Why::System, format!("epoll: {error}")))?;
            if plan_is_shared {
                batches.push_back((slot.index, devices));
            } else {
                batches.extend(devices.into_iter().map(|device| (slot.index, vec![device])));
            }
        }
        self.batches.insert(id, batches);
        Ok(())
    }

    /// Opens the next socket of a session. Its stream begins when all are open.
    fn open_next(
        &mut self,
        id: SessionId,
        agent: &mut Agent,
        registry: &Registry,
        now: &Clock,
    ) -> Result<(), Refused> {
        if let Some((space, devices)) = self.batches.get_mut(&id).and_then(VecDeque::pop_front) {
            self.open_sockets(space, &devices, agent, registry, now)?;
        }
        if self.batches.get(&id).is_some_and(|batches| !batches.is_empty()) {
            return Ok(());
        }
        self.batches.remove(&id);
        if !self.live.iter().any(|(_, live)| live.session == id) {
            return Err(Refused::new(Why::Bad, "the filter fits none of the interfaces"));
        }
        // It may all have changed while it was being opened.
        for (_, watched) in self.spaces.iter().filter(|(_, watched)| watched.session == id) {
            locate::still(&watched.space.located)?;
            // What has come meanwhile.
            watched.space.refresh();
        }
        agent.packets.opened(id, now);
        Ok(())
    }

    /// Opens the sockets of interfaces of a namespace: one each, or one for all.
    fn open_sockets(
        &mut self,
        index: u16,
        devices: &[Device],
        agent: &mut Agent,
        registry: &Registry,
        now: &Clock,
    ) -> Result<(), Refused> {
        let Some(watched) = self.spaces.get_mut(index) else { return Ok(()) };
        let (session, target) = (watched.session, watched.space.target);
        let (plan, located) = (watched.plan.clone(), watched.space.located.clone());
        let several = watched.several;
        if plan.is_shared() {
            let devices: Vec<&Device> = devices.iter().filter(|d| plan.fits(d)).collect();
            let opened = space::within(&located, self.home.as_ref(), || plan.open_shared(&devices));
            let socket = opened??;
            let mut ports = HashMap::new();
            for device in devices {
                let new = open::port_of(device, target);
                if let Some(id) = agent.packets.add_port(session, new, now) {
                    ports.insert(device.ifindex, id);
                }
            }
            return self.admit(session, index, socket, Ports::All(ports), registry);
        }
        let sockets = space::within(&located, self.home.as_ref(), || {
            devices.iter().map(|device| plan.open_one(device)).collect::<Vec<_>>()
        })?;
        for (device, socket) in devices.iter().zip(sockets) {
            let socket = match socket {
                Ok(socket) => socket,
                // Among many an interface that the filter does not fit is left out.
                Err(refused) if refused.why == Why::Bad && several => {
                    log::info!("{} is left out of a packet session: {refused}", device.name);
                    continue;
                }
                Err(refused) => return Err(refused),
            };
            let new = open::port_of(device, target);
            let Some(id) = agent.packets.add_port(session, new, now) else {
                let text = "format=pcap holds one link type, and these interfaces have several: \
                            use format=pcapng";
                return Err(Refused::new(Why::Bad, text));
            };
            let ports = Ports::One(device.ifindex, id);
            self.admit(session, index, socket, ports, registry)?;
        }
        Ok(())
    }

    fn admit(
        &mut self,
        session: SessionId,
        space: u16,
        socket: Socket,
        ports: Ports,
        registry: &Registry,
    ) -> Result<(), Refused> {
        let system = |error: std::io::Error| Refused::new(Why::System, error.to_string());
        let losses = socket.losses().map_err(system)?;
        let fd = socket.as_raw_fd();
        let live = Live { session, space, socket, losses, ports, queued: true };
        let Some(slot) = self.live.add(live) else {
            return Err(Refused::new(Why::Busy, "too many packet sockets"));
        };
        self.ready.push_back(slot.index);
        let token: Token = Source::Session(slot).into();
        registry.register(&mut SourceFd(&fd), token, Interest::READABLE).map_err(system)
    }

    /// Follows what the kernel says of interfaces; `true` if there is more to read.
    fn follow(&mut self, agent: &mut Agent, registry: &Registry, now: &Clock) -> bool {
        let told = std::mem::take(&mut self.told);
        for index in told {
            let Some(watched) = self.spaces.get_mut(index) else { continue };
            let mut news = Vec::new();
            let more = watched.space.read(&mut self.buffer, &mut news);
            if news.contains(&News::Lost)
                && let Ok(devices) = watched.space.devices(&mut self.buffer)
            {
                let known = self.ifindexes(index);
                let gone = known.into_iter().filter(|i| devices.iter().all(|d| d.ifindex != *i));
                news = gone.map(News::Gone).collect();
                news.extend(devices.into_iter().map(News::Here));
            }
            for item in news {
                match item {
                    News::Here(device) => self.join(index, device, agent, registry, now),
                    News::Gone(ifindex) => self.leave(index, ifindex, agent, registry, now),
                    News::Lost => {}
                }
            }
            if more {
                self.told.push(index);
            }
        }
        !self.told.is_empty()
    }

    /// The socket, the session and the port that an interface of a namespace has.
    fn find(&self, space: u16, ifindex: u32) -> Option<(u16, SessionId, PortId)> {
        self.live.iter().find_map(|(at, live)| {
            let port = live.ports.get(ifindex).filter(|_| live.space == space)?;
            Some((at, live.session, port))
        })
    }

    /// Numbers of the interfaces of a namespace that a session has.
    fn ifindexes(&self, space: u16) -> Vec<u32> {
        let of_space = self.live.iter().filter(|(_, live)| live.space == space);
        of_space.flat_map(|(_, live)| live.ports.ifindexes()).collect()
    }

    /// An interface is there, or has changed: it joins if it is wanted.
    fn join(
        &mut self,
        index: u16,
        device: Device,
        agent: &mut Agent,
        registry: &Registry,
        now: &Clock,
    ) {
        if let Some((_, session, port)) = self.find(index, device.ifindex) {
            return agent.packets.dropped_by_card(session, port, device.dropped);
        }
        let Some(watched) = self.spaces.get_mut(index) else { return };
        // While the first sockets are being opened this one may be among them: it is told again.
        let opens = agent.packets.state(watched.session) != Some(&State::Open);
        if opens || !watched.space.wants(&device) {
            return;
        }
        let (session, target, plan) = (watched.session, watched.space.target, watched.plan.clone());
        let ports = agent.packets.get(session).map_or(0, |session| session.ports().len());
        if ports >= MAX_PORTS {
            log::warn!("{}: a packet session has no room for it", device.name);
            return;
        }
        let shared = self.live.iter().find_map(|(at, live)| {
            (live.space == index && matches!(live.ports, Ports::All(_))).then_some(at)
        });
        if let Some(at) = shared {
            if plan.fits(&device)
                && let Some(live) = self.live.get_mut(at)
                && let Some(id) =
                    agent.packets.add_port(session, open::port_of(&device, target), now)
                && let Ports::All(ports) = &mut live.ports
            {
                ports.insert(device.ifindex, id);
                plan.be_promiscuous(&live.socket, &device);
            }
            return;
        }
        if let Err(refused) = self.open_sockets(index, &[device], agent, registry, now) {
            log::info!("packet session: {refused}");
        }
    }

    /// An interface is gone; the session ends with its last one.
    fn leave(
        &mut self,
        index: u16,
        ifindex: u32,
        agent: &mut Agent,
        registry: &Registry,
        now: &Clock,
    ) {
        let Some((at, session, port)) = self.find(index, ifindex) else { return };
        if let Some(live) = self.live.get_mut(at) {
            // What it has still seen, as far as there is room.
            live.drain(agent, now);
            live.count(agent);
            match &mut live.ports {
                Ports::One(..) => aside::drop_aside(self.take_socket(at, registry)),
                Ports::All(ports) => {
                    ports.remove(&ifindex);
                }
            }
        }
        let name = agent.packets.get(session).and_then(|session| {
            let port = session.ports().get(usize::try_from(port.0).ok()?)?;
            Some(port.name.clone())
        });
        agent.packets.remove_port(session, port, now);
        let empty = self
            .live
            .iter()
            .filter(|(_, live)| live.session == session)
            .all(|(_, live)| live.ports.ifindexes().is_empty());
        if empty {
            let reason = format!("interface {} is gone", name.unwrap_or_default());
            agent.packets.end(session, End::new(Ending::Gone, reason), now);
        }
    }

    /// Looks whether the namespaces are where they were found.
    fn look_after(&mut self) {
        for (_, place) in &mut self.spaces.places {
            if let Some(watched) = place {
                let is_there = watched.space.is_there();
                watched.lost = (!is_there).then(|| watched.lost.take().unwrap_or_default());
            }
        }
    }

    /// Looks elsewhere for namespaces whose file is gone: a process may be left in them, or
    /// another file. Without either, nothing but this session holds it, and that ends.
    fn find_lost(&mut self, agent: &mut Agent, now: &Clock) {
        for (_, place) in &mut self.spaces.places {
            let Some(watched) = place else { continue };
            let Some((_, identity)) = watched.space.located.file else { continue };
            let Some(search) = &mut watched.lost else { continue };
            let target = crate::core::packets::Target {
                netns: identity.inode,
                ..crate::core::packets::Target::default()
            };
            match search.look(&target, agent) {
                Search::Found(found) => {
                    watched.lost = None;
                    watched.space.located.file = found.file;
                }
                Search::Pending => {}
                Search::Refused(_) => {
                    let reason = "the network namespace is gone";
                    agent.packets.end(watched.session, End::new(Ending::Gone, reason), now);
                }
            }
        }
    }
}

impl Ports {
    fn get(&self, ifindex: u32) -> Option<PortId> {
        match self {
            Self::All(ports) => ports.get(&ifindex).copied(),
            Self::One(known, port) => (*known == ifindex).then_some(*port),
        }
    }

    fn ifindexes(&self) -> Vec<u32> {
        match self {
            Self::All(ports) => ports.keys().copied().collect(),
            Self::One(ifindex, _) => vec![*ifindex],
        }
    }

    /// An interface that losses of the whole socket are told with.
    fn first(&self) -> Option<PortId> {
        match self {
            Self::All(ports) => ports.values().min_by_key(|port| port.0).copied(),
            Self::One(_, port) => Some(*port),
        }
    }
}

impl Live {
    /// Hands some frames to the session; `true` if there are more.
    fn drain(&mut self, agent: &mut Agent, clock: &Clock) -> bool {
        let Self { session, socket, losses, ports, .. } = self;
        let drained = socket.drain(FRAMES, |raws| {
            if raws.iter().any(|raw| raw.losing) {
                // Told with the next frame: that is where the gap is.
                count(losses, *session, ports, agent);
            }
            match ports {
                Ports::One(_, port) => {
                    agent.session_frames(*session, *port, raws, clock);
                }
                Ports::All(ports) => {
                    for raw in raws.chunk_by(|a, b| a.ifindex == b.ifindex) {
                        let port = raw.first().and_then(|first| ports.get(&first.ifindex));
                        if let Some(port) = port {
                            agent.session_frames(*session, *port, raw, clock);
                        }
                    }
                }
            }
        });
        drained.more
    }

    fn count(&self, agent: &mut Agent) {
        count(&self.losses, self.session, &self.ports, agent);
    }
}

fn count(losses: &Losses, session: SessionId, ports: &Ports, agent: &mut Agent) {
    if let (Ok(read), Some(port)) = (losses.read(), ports.first()) {
        let Agent { packets, counters, .. } = agent;
        packets.counted(session, port, read.packets.into(), read.drops.into(), counters);
    }
}
