//! The network namespaces on the loop: finds those that have a file in one of the run folders,
//! opens a netlink socket in each, feeds the map with what they say, asks drivers and the kernel
//! what the map wants to know, and lets go of a namespace as soon as its file is gone.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::{self, ErrorKind, Result};
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};
use std::path::{Path, PathBuf};

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use crate::config::Settings;
use crate::core::Agent;
use crate::sys::ethtool::{self, Ethtool};
use crate::sys::inotify::Inotify;
use crate::sys::netlink::{Buffer, Received, Socket};
use crate::sys::netns::{self, Identity, Namespace};
use crate::sys::{clock, rand};
use crate::time::{Clock, Tick};
use crate::topology::links::Change;
use crate::topology::spaces::{CardFacts, Found, HOME, MAX_SPACES, Question, SpaceKey};
use crate::wire::netlink::{Message, Messages, Request};

use super::sockets::Sockets;
use super::token::{Slot, Source};
use super::watch::{Follower, Watch};

/// Where Docker keeps the files of its namespaces.
const DOCKER: &str = "/var/run/docker/netns";

/// Netlink datagrams read in one turn.
const DATAGRAMS: u32 = 32;

/// Datagrams read from one namespace before the next has its turn.
const SHARE: u32 = 8;

/// Bytes of netlink messages that may wait, in the agent's own namespace and in others.
const HOME_ROOM: u32 = 1024 * 1024;
const ROOM: u32 = 256 * 1024;

/// Time that each of opening namespaces, asking drivers and asking for numbers of namespaces may
/// take of one turn, in microseconds.
const SLICE: u64 = 500;

/// Least time between two looks into the folders, in microseconds.
const PAUSE: u64 = 50_000;

/// The folders are looked into this often even if nobody says that they have changed: nothing
/// tells of a file that is unmounted and stays. In microseconds.
const CHECK: u64 = 4_000_000;

/// A file is made first and becomes a namespace a moment later, unannounced: it is looked at
/// again after this long, twice as long each time. In microseconds.
const FIRST_RETRY: u64 = 5_000;
const MAX_RETRIES: u32 = 9;

/// Drivers are asked again this often, in microseconds.
const INQUIRY: u64 = 5_000_000;

/// Neighbours and forwarding databases are dumped this often, in microseconds.
const NEIGHBOURS: u64 = 5_000_000;

/// Counters of the agent's own interfaces are read at least this often, in microseconds.
const HOME_REFRESH: u64 = 5_000_000;

/// Files in one folder that are looked at.
const MAX_FILES: usize = 4 * MAX_SPACES;

struct Entry {
    key: SpaceKey,
    watch: Watch,
    /// None for the agent's own.
    identity: Option<Identity>,
    /// Every file that leads to it, the first found first.
    paths: Vec<PathBuf>,
    /// When its counters are read next.
    refresh: Tick,
    /// When what is not announced is dumped next.
    neighbours: Tick,
    /// It is in the queue of those with messages.
    queued: bool,
}

/// The namespaces.
pub struct Spaces {
    entries: Vec<Option<Entry>>,
    known: HashMap<Identity, SpaceKey>,
    /// Those with messages to read, in turn.
    ready: VecDeque<SpaceKey>,
    buffer: Buffer,
    ethtool: Ethtool,
    /// The way back; none where namespaces are not looked for.
    home: Option<Namespace>,
    inotify: Option<Inotify>,
    folders: Vec<PathBuf>,
    /// Files that may be namespaces and are to be opened.
    candidates: VecDeque<PathBuf>,
    /// When the folders are looked into next.
    scan: Option<Tick>,
    scanned: Tick,
    retries: u32,
    /// No entry has anything to do before this.
    timers: Tick,
    inquiry: Tick,
    /// Microseconds between two readings of counters.
    interval: u64,
    denied: bool,
    sockets: Option<Sockets>,
}

impl Spaces {
    /// The agent's own namespace, and those that the settings say to look for.
    #[must_use]
    pub fn open(settings: &Settings, registry: &Registry, agent: &mut Agent, now: Clock) -> Self {
        let mut new = Self {
            entries: Vec::new(),
            known: HashMap::new(),
            ready: VecDeque::new(),
            buffer: Buffer::default(),
            ethtool: Ethtool::default(),
            home: None,
            inotify: None,
            folders: Vec::new(),
            candidates: VecDeque::new(),
            scan: None,
            scanned: Tick(0),
            retries: 0,
            timers: now.tick,
            inquiry: now.tick.plus(INQUIRY).whole(),
            interval: 0,
            denied: false,
            sockets: settings.sockets_shown.then(Sockets::new),
        };
        new.configure(settings, agent);
        match Watch::open(HOME_ROOM) {
            Ok(watch) => {
                if let Err(error) = new.admit(HOME, watch, None, Vec::new(), registry, agent, now) {
                    log::error!("netlink: {error}");
                }
            }
            Err(error) => log::error!("netlink: {error}; interfaces are unknown"),
        }
        if settings.netns_discovery {
            new.discover(settings, registry, now.tick);
        }
        new
    }

    /// Follows settings that changed.
    pub fn configure(&mut self, settings: &Settings, agent: &mut Agent) {
        self.interval = u64::from(settings.metrics_update).saturating_mul(1_000_000);
        agent.spaces.set_interval(settings.metrics_update);
        self.timers = Tick(0);
    }

    /// Notes that a namespace has messages.
    pub fn event(&mut self, slot: Slot) {
        self.make_ready(SpaceKey { index: slot.index, generation: slot.generation });
    }

    /// Notes that something in the folders changed.
    pub fn folders_changed(&mut self, now: Tick) {
        if self.inotify.as_ref().is_some_and(Inotify::drain) {
            self.retries = 0;
            self.scan_at(now.max(self.scanned.plus(PAUSE)));
        }
    }

    /// Does one piece of all there is to do; `true` if there is more right now.
    pub fn turn(
        &mut self,
        agent: &mut Agent,
        changes: &mut Vec<Change>,
        registry: &Registry,
        now: Clock,
    ) -> bool {
        if self.scan.is_some_and(|at| now.tick >= at) {
            self.look(agent, now.tick);
        }
        self.open_candidates(agent, registry, now);
        if now.tick >= self.timers {
            self.expire(agent, changes, now);
        }
        self.read(agent, changes, now);
        for (key, ifindex) in agent.spaces.take_wishes() {
            if let Some(entry) = self.entry(key) {
                // A kernel that is busy refuses; the next reading of the counters tells as well.
                let _ = entry.watch.refresh(ifindex);
            }
        }
        if now.tick >= self.inquiry {
            self.inquiry = now.tick.plus(INQUIRY).whole();
            agent.spaces.inquire_all();
        }
        self.ask_drivers(agent);
        let mut more = self.ask_numbers(agent);
        if let Some(sockets) = &mut self.sockets {
            more |= sockets.turn(agent, now.tick);
        }
        let random = &mut || {
            let mut bytes = [0; 16];
            if rand::fill(&mut bytes).is_err() {
                let (high, low) = (rand::number().to_ne_bytes(), rand::number().to_ne_bytes());
                for (to, from) in bytes.iter_mut().zip(high.into_iter().chain(low)) {
                    *to = from;
                }
            }
            bytes
        };
        let Agent { spaces, graph, .. } = agent;
        more |= spaces.flush(graph, &now, random);
        more || !self.ready.is_empty()
            || !self.candidates.is_empty()
            || agent.spaces.has_inquiries()
    }

    /// When [`Self::turn`] has something to do next.
    #[must_use]
    pub fn deadline(&self, agent: &Agent) -> Option<Tick> {
        let sockets = self.sockets.as_ref().map(Sockets::deadline);
        let own =
            [sockets, Some(self.timers), Some(self.inquiry), self.scan, agent.spaces.deadline()];
        own.into_iter().flatten().min()
    }

    /// Runs `f` inside a namespace of the map: it may make sockets there and nothing else. The
    /// file is opened anew and must still be the namespace that it was.
    ///
    /// # Errors
    /// `NotFound` if the namespace is gone, or as setns(2).
    pub fn within<T>(&self, key: SpaceKey, f: impl FnOnce() -> T) -> Result<T> {
        if key == HOME {
            return Ok(f());
        }
        let entry = self.entry(key).ok_or(ErrorKind::NotFound)?;
        let home = self.home.as_ref().ok_or(ErrorKind::NotFound)?;
        for path in &entry.paths {
            if let Ok(target) = Namespace::open(path)
                && Some(target.identity()) == entry.identity
            {
                return netns::within(home, &target, f);
            }
        }
        Err(ErrorKind::NotFound.into())
    }

    /// Runs `f` with the number of a node's interface, inside the namespace that it is in.
    ///
    /// # Errors
    /// `NotFound` if the node is no interface of this machine or has gone, or as setns(2).
    pub fn on_node<T>(&self, agent: &Agent, node: &str, f: impl FnOnce(u32) -> T) -> Result<T> {
        let place = agent.spaces.place_of(&agent.graph, node);
        let (key, ifindex) = place.ok_or(ErrorKind::NotFound)?;
        self.within(key, || f(ifindex))
    }

    fn discover(&mut self, settings: &Settings, registry: &Registry, now: Tick) {
        let home = match Namespace::own() {
            Ok(home) => home,
            Err(error) => {
                log::warn!("other network namespaces are not looked for: {error}");
                return;
            }
        };
        // What makes `/proc/self/ns/net` a namespace of its own must be known before others.
        self.known.insert(home.identity(), HOME);
        self.home = Some(home);
        self.folders = settings.netns_run_path.clone();
        if !self.folders.iter().any(|folder| folder == Path::new(DOCKER)) {
            self.folders.push(DOCKER.into());
        }
        let watched = Inotify::open().and_then(|inotify| {
            let token = Source::Folders.into();
            let fd = inotify.as_raw_fd();
            registry.register(&mut SourceFd(&fd), token, Interest::READABLE)?;
            Ok(inotify)
        });
        match watched {
            Ok(inotify) => self.inotify = Some(inotify),
            // The folders are looked into all the same, only less often.
            Err(error) => log::warn!("inotify: {error}"),
        }
        self.scan_at(now);
    }

    /// Looks into the folders: what is new is to be opened, what is gone is let go of.
    fn look(&mut self, agent: &mut Agent, now: Tick) {
        self.scanned = now;
        self.scan = Some(now.plus(CHECK).whole());
        let mut found: HashMap<Identity, Vec<PathBuf>> = HashMap::new();
        for folder in &self.folders {
            if let Some(inotify) = &self.inotify
                && inotify.watch(folder).is_err()
                && let Some(parent) = folder.parent()
            {
                // It is made with the first namespace.
                let _ = inotify.watch(parent);
            }
            let Ok(files) = fs::read_dir(folder) else { continue };
            let mut paths: Vec<PathBuf> =
                files.flatten().take(MAX_FILES).map(|file| file.path()).collect();
            paths.sort_unstable();
            for path in paths {
                if let Ok(identity) = netns::identify(&path) {
                    found.entry(identity).or_default().push(path);
                }
            }
        }
        let mut gone = Vec::new();
        for entry in self.entries.iter_mut().flatten() {
            let Some(identity) = entry.identity else { continue };
            match found.get(&identity) {
                Some(paths) => entry.paths.clone_from(paths),
                None => gone.push(entry.key),
            }
        }
        for key in gone {
            self.let_go(key, agent);
        }
        self.candidates.clear();
        let known = &self.known;
        let mut new: Vec<PathBuf> = found
            .into_iter()
            .filter(|(identity, _)| !known.contains_key(identity))
            .flat_map(|(_, paths)| paths)
            .collect();
        new.sort_unstable();
        self.candidates.extend(new);
    }

    fn open_candidates(&mut self, agent: &mut Agent, registry: &Registry, now: Clock) {
        let until = clock::tick().plus(SLICE);
        while let Some(path) = self.candidates.pop_front() {
            match self.open_one(&path, agent, registry, now) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::InvalidInput => {
                    // Nothing is mounted on it, as yet or at all.
                    if self.retries < MAX_RETRIES {
                        let factor = 1_u64.checked_shl(self.retries).unwrap_or(u64::MAX);
                        self.scan_at(now.tick.plus(FIRST_RETRY.saturating_mul(factor)));
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    // Once: the same is true of all the others, and of the next look.
                    if !std::mem::replace(&mut self.denied, true) {
                        log::warn!("{}: {error}", path.display());
                    }
                }
            }
            if clock::tick() >= until {
                break;
            }
        }
        if self.candidates.is_empty() && self.scan.is_some_and(|at| at < self.scanned.plus(CHECK)) {
            self.retries = self.retries.saturating_add(1);
        }
    }

    fn open_one(
        &mut self,
        path: &Path,
        agent: &mut Agent,
        registry: &Registry,
        now: Clock,
    ) -> Result<()> {
        let target = Namespace::open(path)?;
        let identity = target.identity();
        if let Some(key) = self.known.get(&identity) {
            if let Some(Some(entry)) = self.entries.get_mut(usize::from(key.index))
                && entry.identity.is_some()
                && !entry.paths.iter().any(|known| known == path)
            {
                entry.paths.push(path.to_owned());
            }
            return Ok(());
        }
        let Some(home) = &self.home else { return Ok(()) };
        let watch = netns::within(home, &target, || Watch::open(ROOM))??;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let found = Found {
            name,
            path: path.display().to_string(),
            device: identity.device,
            inode: identity.inode,
        };
        let Some(key) = agent.spaces.add(&found) else { return Ok(()) };
        log::info!("namespace {}", path.display());
        let paths = vec![path.to_owned()];
        let admitted = self.admit(key, watch, Some(identity), paths, registry, agent, now);
        if admitted.is_err() {
            agent.spaces.remove(key);
        }
        admitted
    }

    #[expect(clippy::too_many_arguments, reason = "what an entry is made of, and who is told")]
    fn admit(
        &mut self,
        key: SpaceKey,
        mut watch: Watch,
        identity: Option<Identity>,
        paths: Vec<PathBuf>,
        registry: &Registry,
        agent: &mut Agent,
        now: Clock,
    ) -> Result<()> {
        let slot = Slot { index: key.index, generation: key.generation };
        let fd: RawFd = watch.as_raw_fd();
        registry.register(&mut SourceFd(&fd), Source::Space(slot).into(), Interest::READABLE)?;
        watch.start(&mut follower(key, agent, &mut Vec::new(), now), now.tick);
        let at = usize::from(key.index);
        if self.entries.len() <= at {
            self.entries.resize_with(at.saturating_add(1), || None);
        }
        if let Some(identity) = identity {
            self.known.insert(identity, key);
        }
        let refresh = now.tick.plus(self.refresh_of(key)).whole();
        if let Some(entry) = self.entries.get_mut(at) {
            let neighbours = now.tick.plus(NEIGHBOURS / 2);
            *entry =
                Some(Entry { key, watch, identity, paths, refresh, neighbours, queued: false });
        }
        self.timers = self.timers.min(refresh);
        self.make_ready(key);
        Ok(())
    }

    /// Closes what is open in a namespace, and takes it off the map.
    fn let_go(&mut self, key: SpaceKey, agent: &mut Agent) {
        let Some(slot) = self.entries.get_mut(usize::from(key.index)) else { return };
        if let Some(entry) = slot.take_if(|entry| entry.key == key) {
            log::info!(
                "namespace gone: {}",
                entry.paths.first().map_or("", |p| p.to_str().unwrap_or(""))
            );
            if let Some(identity) = entry.identity {
                self.known.remove(&identity);
            }
            agent.spaces.remove(key);
        }
    }

    /// What is due by the clock, in every namespace.
    fn expire(&mut self, agent: &mut Agent, changes: &mut Vec<Change>, now: Clock) {
        let mut next = now.tick.plus(CHECK).whole();
        let (home, others) = (self.refresh_of(HOME), self.interval.max(1_000_000));
        for entry in self.entries.iter_mut().flatten() {
            let mut counters = std::mem::take(&mut agent.counters);
            let mut sink = follower(entry.key, agent, changes, now);
            entry.watch.expire(&mut sink, now.tick, &mut counters);
            agent.counters = counters;
            if now.tick >= entry.refresh {
                // A kernel that is busy with a dump refuses; the next time will do.
                let _ = entry.watch.refresh_all();
                let period = if entry.key == HOME { home } else { others };
                entry.refresh = now.tick.plus(period).whole();
            }
            if now.tick >= entry.neighbours {
                let mut sink = follower(entry.key, agent, changes, now);
                entry.watch.refresh_neighbours(&mut sink, now.tick);
                entry.neighbours = now.tick.plus(NEIGHBOURS);
            }
            let due = entry.watch.deadline().unwrap_or(entry.refresh);
            next = next.min(due).min(entry.refresh).min(entry.neighbours);
        }
        self.timers = next;
    }

    /// Reads messages of the namespaces that have some, in turn.
    fn read(&mut self, agent: &mut Agent, changes: &mut Vec<Change>, now: Clock) {
        let mut left = DATAGRAMS;
        while left > 0
            && let Some(key) = self.ready.pop_front()
        {
            let Some(Some(entry)) = self.entries.get_mut(usize::from(key.index)) else { continue };
            if entry.key != key {
                continue;
            }
            entry.queued = false;
            let mut counters = std::mem::take(&mut agent.counters);
            let mut sink = follower(key, agent, changes, now);
            let more =
                entry.watch.ready(&mut sink, now.tick, SHARE, &mut counters, &mut self.buffer);
            agent.counters = counters;
            if let Some(at) = entry.watch.deadline() {
                self.timers = self.timers.min(at);
            }
            left = left.saturating_sub(SHARE);
            if more {
                self.make_ready(key);
            }
        }
    }

    fn ask_drivers(&mut self, agent: &mut Agent) {
        let until = clock::tick().plus(SLICE);
        while let Some((key, ifindex, name)) = agent.spaces.next_inquiry() {
            let entry = self.entries.get(usize::from(key.index)).and_then(Option::as_ref);
            let card = entry.and_then(|entry| self.ethtool.ask(entry.watch.as_fd(), &name).ok());
            agent.spaces.set_card(key, ifindex, card.map(facts).as_ref());
            if clock::tick() >= until {
                break;
            }
        }
    }

    /// Asks what numbers namespaces have in others; `true` if there is more to ask.
    fn ask_numbers(&self, agent: &mut Agent) -> bool {
        let until = clock::tick().plus(SLICE);
        while let Some(question) = agent.spaces.next_question() {
            let id = self.number(question).unwrap_or_else(|error| {
                log::debug!("number of a namespace: {error}");
                None
            });
            agent.spaces.answer(question, id);
            if clock::tick() >= until {
                return true;
            }
        }
        false
    }

    /// The number of one namespace in another. The kernel answers such a request at once.
    fn number(&self, question: Question) -> Result<Option<u32>> {
        let opened;
        let about = if question.about == HOME {
            self.home.as_ref().ok_or(ErrorKind::NotFound)?
        } else {
            let path = self.entry(question.about).and_then(|entry| entry.paths.first());
            opened = Namespace::open(path.ok_or(ErrorKind::NotFound)?)?;
            &opened
        };
        let socket = self.within(question.asker, || Socket::open(0, ROOM))??;
        socket.send(&Request::namespace_id(1, about.as_raw_fd()))?;
        let mut buffer = Buffer::default();
        let Received::Messages(bytes) = socket.receive(&mut buffer)? else {
            return Err(io::Error::other("no answer"));
        };
        for raw in Messages::new(bytes) {
            match Message::decode(&raw) {
                Ok(Message::NamespaceId(id)) => return Ok(id),
                Ok(Message::Error { errno }) => return Err(io::Error::from_raw_os_error(errno)),
                _ => {}
            }
        }
        Ok(None)
    }

    fn entry(&self, key: SpaceKey) -> Option<&Entry> {
        self.entries.get(usize::from(key.index))?.as_ref().filter(|entry| entry.key == key)
    }

    fn make_ready(&mut self, key: SpaceKey) {
        let Some(Some(entry)) = self.entries.get_mut(usize::from(key.index)) else { return };
        if entry.key == key && !std::mem::replace(&mut entry.queued, true) {
            self.ready.push_back(key);
        }
    }

    fn refresh_of(&self, key: SpaceKey) -> u64 {
        let interval = self.interval.max(1_000_000);
        if key == HOME { interval.min(HOME_REFRESH) } else { interval }
    }

    fn scan_at(&mut self, at: Tick) {
        self.scan = Some(self.scan.map_or(at, |earlier| earlier.min(at)));
    }
}

/// The tables that messages of a namespace go to.
fn follower<'a>(
    key: SpaceKey,
    agent: &'a mut Agent,
    changes: &'a mut Vec<Change>,
    clock: Clock,
) -> Follower<'a> {
    let Agent { spaces, links, .. } = agent;
    let links = (key == HOME).then_some((links, changes));
    Follower { spaces, key, links, clock }
}

fn facts(card: ethtool::Card) -> CardFacts {
    let ethtool::Card { driver, bus, speed, full_duplex, features } = card;
    CardFacts { driver, bus, speed, full_duplex, features }
}
