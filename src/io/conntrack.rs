//! Asks the kernel of the connections that it tracks: over netlink where it tells of them, else by
//! reading `/proc/net/nf_conntrack`, else not at all. Dumps and files are taken in slices, and a
//! dump takes no more than a twentieth of the time. No module is loaded: where a request could
//! make the kernel load one, it is not made.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use crate::config::settings::Conntrack as Wanted;
use crate::conntrack::procfs;
use crate::core::Agent;
use crate::core::nat::Source as Known;
use crate::sys::netlink::{Buffer, Received, Socket, groups};
use crate::sys::{clock, process};
use crate::time::Tick;
use crate::wire::netlink::conntrack::{Change, dump};
use crate::wire::netlink::{Message, Messages};

use super::token::Source;

/// Bytes of messages that may wait: some thousand connections that begin at once.
const ROOM: u32 = 1024 * 1024;

/// Time that this may take of one turn, in microseconds.
const SLICE: u64 = 1_000;

/// Seconds between two dumps at least and at most.
const SHORTEST: u32 = 5;
const LONGEST: u32 = 60;

/// A dump is followed by a pause of so many times its own length.
const REST: u64 = 19;

/// A dump that makes no progress for this long is given up, in microseconds.
const PATIENCE: u64 = 5_000_000;

/// Where there is nothing to be asked, it is looked again this often, in microseconds.
const RETRY: u64 = 60_000_000;

/// After messages were lost all is dumped again so much later, in microseconds.
const AFTER_LOSS: u64 = 500_000;

/// Octets of the file that one call reads: the kernel gives a page at a time.
const CHUNK: usize = 4_096;

/// A line of the file is shorter than this; what is longer is passed over.
const MAX_LINE: usize = 1_024;

/// Lines of the file that are read.
const MAX_LINES: u32 = 1_000_000;

const FILE: &str = "/proc/net/nf_conntrack";
/// There as soon as connections are tracked at all.
const SWITCHBOARD: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// 1 if the kernel counts what connections carry.
const ACCOUNTING: &str = "/proc/sys/net/netfilter/nf_conntrack_acct";
const MODULE: &str = "nf_conntrack_netlink";

enum State {
    /// Nothing to ask; it is looked again at this moment.
    Absent(Tick),
    /// All that is there is known; the next dump begins at this moment.
    Resting(Tick),
    /// A dump over netlink: when it began and when it last brought something.
    Dumping { begun: Tick, heard: Tick },
    /// A reading of the file.
    Reading(Box<Reading>),
}

struct Reading {
    begun: Tick,
    file: File,
    bytes: Vec<u8>,
    lines: u32,
    /// Within a line that is too long.
    passing: bool,
}

/// Whoever asks.
pub struct Conntrack {
    /// None until it is configured.
    wanted: Option<Wanted>,
    socket: Option<Socket>,
    buffer: Buffer,
    state: State,
    /// There may be something to read from the socket.
    readable: bool,
    sequence: u32,
    /// Messages were lost since the dump began.
    lost: bool,
    /// Microseconds between dumps.
    interval: u64,
    /// No dump begins before this, whatever was lost.
    earliest: Tick,
}

impl Default for Conntrack {
    /// Asks nobody until it is configured.
    fn default() -> Self {
        Self {
            wanted: None,
            socket: None,
            buffer: Buffer::default(),
            state: State::Absent(Tick(u64::MAX)),
            readable: false,
            sequence: 0,
            lost: false,
            interval: 0,
            earliest: Tick(0),
        }
    }
}

impl Conntrack {
    /// Becomes what the settings say.
    pub fn configure(
        &mut self,
        wanted: Wanted,
        update: u32,
        agent: &mut Agent,
        registry: &Registry,
        now: Tick,
    ) {
        self.interval = u64::from(update.clamp(SHORTEST, LONGEST)).saturating_mul(1_000_000);
        if self.wanted == Some(wanted) {
            return;
        }
        self.wanted = Some(wanted);
        self.close(registry);
        agent.connections.lose("turned off by the setting conntrack".to_owned());
        self.state = State::Absent(if wanted == Wanted::Off { Tick(u64::MAX) } else { now });
    }

    /// The socket has something to read.
    pub const fn event(&mut self) {
        self.readable = true;
    }

    /// When there is something to do next.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        match &self.state {
            State::Absent(at) | State::Resting(at) => Some(*at).filter(|at| at.0 != u64::MAX),
            State::Dumping { heard, .. } => Some(heard.plus(PATIENCE)),
            State::Reading(_) => Some(Tick(0)),
        }
    }

    /// Does the next slice; `true` if there is more right now.
    pub fn turn(&mut self, agent: &mut Agent, registry: &Registry, now: Tick) -> bool {
        match &self.state {
            State::Absent(at) if now >= *at => self.open(agent, registry, now),
            State::Resting(at) if now >= *at => self.begin(agent, registry, now),
            State::Dumping { heard, .. } if now.since(*heard) >= PATIENCE => {
                self.again(agent, now);
            }
            State::Absent(_) | State::Dumping { .. } | State::Resting(_) | State::Reading(_) => {}
        }
        let until = clock::tick().plus(SLICE);
        let more = self.receive(agent, registry, until, now);
        more | self.read(agent, until, now)
    }

    /// Looks which way there is.
    fn open(&mut self, agent: &mut Agent, registry: &Registry, now: Tick) {
        let state = if !Path::new(SWITCHBOARD).exists() {
            "no connections are tracked here (nf_conntrack is not loaded)".to_owned()
        } else {
            let netlink = match self.wanted {
                Some(Wanted::Procfs) => Err("turned off by the setting conntrack".to_owned()),
                _ => self.listen(registry),
            };
            match netlink {
                Ok(()) => {
                    agent.connections.source = Known::Netlink;
                    agent.connections.state = "the kernel tells of connections".to_owned();
                    return self.begin(agent, registry, now);
                }
                Err(problem) if self.wanted == Some(Wanted::Netlink) => problem,
                Err(problem) => match File::open(FILE) {
                    Ok(file) => {
                        agent.connections.source = Known::Procfs;
                        agent.connections.state = format!("reading {FILE} (netlink: {problem})");
                        return self.begin_reading(file, agent, now);
                    }
                    Err(error) => format!("netlink: {problem}; {FILE}: {error}"),
                },
            }
        };
        if agent.connections.state != state {
            log::info!("connections: {state}");
            agent.connections.lose(state);
        }
        self.state = State::Absent(now.plus(RETRY));
    }

    /// Opens the socket, which joins the groups of connections.
    fn listen(&mut self, registry: &Registry) -> Result<(), String> {
        if self.socket.is_some() {
            return Ok(());
        }
        if !is_built_in() {
            return Err(format!("{MODULE} is not loaded (OpenWrt: kmod-nf-conntrack-netlink)"));
        }
        let opened = Socket::open_netfilter(groups::CONNECTIONS, ROOM).and_then(|socket| {
            let fd = socket.as_raw_fd();
            registry.register(
                &mut SourceFd(&fd),
                Source::Connections.into(),
                Interest::READABLE,
            )?;
            Ok(socket)
        });
        self.socket = Some(opened.map_err(|error| error.to_string())?);
        self.readable = true;
        Ok(())
    }

    fn close(&mut self, registry: &Registry) {
        if let Some(socket) = self.socket.take() {
            let _ = registry.deregister(&mut SourceFd(&socket.as_raw_fd()));
        }
        self.readable = false;
    }

    /// Asks for everything.
    fn begin(&mut self, agent: &mut Agent, registry: &Registry, now: Tick) {
        let Some(socket) = &self.socket else {
            return match File::open(FILE) {
                Ok(file) => self.begin_reading(file, agent, now),
                Err(error) => self.lose(&error.to_string(), agent, registry, now),
            };
        };
        agent.connections.is_counting = is_counting();
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.lost = false;
        self.state = match socket.send(&dump(self.sequence)) {
            Ok(()) => State::Dumping { begun: now, heard: now },
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                State::Resting(now.plus(AFTER_LOSS))
            }
            Err(error) => return self.lose(&error.to_string(), agent, registry, now),
        };
        agent.connections.table.begin(now);
    }

    fn begin_reading(&mut self, file: File, agent: &mut Agent, now: Tick) {
        agent.connections.is_counting = is_counting();
        agent.connections.table.begin(now);
        let bytes = Vec::with_capacity(CHUNK.saturating_add(MAX_LINE));
        let reading = Reading { begun: now, file, bytes, lines: 0, passing: false };
        self.state = State::Reading(Box::new(reading));
    }

    /// Reads messages until there are none or the time is over; `true` if there may be more.
    fn receive(&mut self, agent: &mut Agent, registry: &Registry, until: Tick, now: Tick) -> bool {
        while self.readable {
            let Some(socket) = &self.socket else { return false };
            let mut done = None;
            match socket.receive(&mut self.buffer) {
                Ok(Received::Messages(bytes)) => {
                    if let State::Dumping { heard, .. } = &mut self.state {
                        *heard = now;
                    }
                    for raw in Messages::new(bytes) {
                        let ours = raw.sequence == self.sequence;
                        self.lost |= ours && raw.is_interrupted();
                        let table = &mut agent.connections.table;
                        match (Change::parse(&raw), Message::decode(&raw)) {
                            (Ok(Some(Change::Known(tracked))), _) => {
                                table.learn(&tracked, !ours, now);
                            }
                            (Ok(Some(Change::Gone(tracked))), _) => table.forget(&tracked, now),
                            (_, Ok(Message::Done { errno } | Message::Error { errno })) if ours => {
                                done = Some(errno);
                            }
                            _ => {}
                        }
                    }
                }
                Ok(Received::Lost) => {
                    self.lost = true;
                    let resyncs = &mut agent.counters.conntrack_resyncs;
                    *resyncs = resyncs.saturating_add(1);
                    if matches!(self.state, State::Resting(_)) {
                        self.state = State::Resting(now.plus(AFTER_LOSS).max(self.earliest));
                    }
                }
                Ok(Received::Nothing) => self.readable = false,
                Err(error) => {
                    self.lose(&error.to_string(), agent, registry, now);
                    return false;
                }
            }
            match done {
                None => {}
                Some(0) if self.lost => self.again(agent, now),
                Some(0) => self.rest(agent, now),
                Some(libc::EBUSY | libc::EINTR | libc::EAGAIN) => self.again(agent, now),
                Some(errno) => {
                    let error = io::Error::from_raw_os_error(errno);
                    self.lose(&error.to_string(), agent, registry, now);
                    return false;
                }
            }
            if clock::tick() >= until {
                return self.readable;
            }
        }
        false
    }

    /// Reads lines until the file ends or the time is over; `true` if there are more.
    fn read(&mut self, agent: &mut Agent, until: Tick, now: Tick) -> bool {
        loop {
            let State::Reading(reading) = &mut self.state else { return false };
            match reading.next(agent, now) {
                Ok(true) => {}
                Ok(false) => {
                    self.rest(agent, now);
                    return false;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What is known stays: it may be there again the next time.
                Err(_) => {
                    self.state = State::Resting(now.plus(RETRY));
                    return false;
                }
            }
            if clock::tick() >= until {
                return true;
            }
        }
    }

    /// All was told: the next dump comes after a pause.
    fn rest(&mut self, agent: &mut Agent, now: Tick) {
        self.pause(now);
        self.state = State::Resting(now.plus(self.interval).max(self.earliest));
        agent.connections.dumped();
    }

    /// The dump was not complete: once more, soon.
    fn again(&mut self, agent: &mut Agent, now: Tick) {
        let resyncs = &mut agent.counters.conntrack_resyncs;
        *resyncs = resyncs.saturating_add(1);
        self.pause(now);
        self.state = State::Resting(now.plus(AFTER_LOSS).max(self.earliest));
    }

    /// A dump has ended, one way or another.
    fn pause(&mut self, now: Tick) {
        let begun = match &self.state {
            State::Dumping { begun, .. } => *begun,
            State::Reading(reading) => reading.begun,
            State::Absent(_) | State::Resting(_) => now,
        };
        self.earliest = now.plus(now.since(begun).saturating_mul(REST));
    }

    /// This way does not work: the next one, or none, is tried at once, this one later.
    fn lose(&mut self, problem: &str, agent: &mut Agent, registry: &Registry, now: Tick) {
        self.close(registry);
        let usable = if self.wanted == Some(Wanted::Auto) { File::open(FILE).ok() } else { None };
        if let Some(file) = usable {
            agent.connections.source = Known::Procfs;
            agent.connections.state = format!("reading {FILE} (netlink: {problem})");
            return self.begin_reading(file, agent, now);
        }
        let state = format!("{problem}: CAP_NET_ADMIN is needed in the agent's own namespace");
        if agent.connections.state != state {
            log::warn!("connections: {state}");
        }
        agent.connections.lose(state);
        self.state = State::Absent(now.plus(RETRY));
    }
}

impl Reading {
    /// Takes the next piece; `false` at the end.
    fn next(&mut self, agent: &mut Agent, now: Tick) -> io::Result<bool> {
        let start = self.bytes.len();
        self.bytes.resize(start.saturating_add(CHUNK), 0);
        let read = self.file.read(self.bytes.get_mut(start..).unwrap_or_default());
        self.bytes.truncate(start.saturating_add(*read.as_ref().unwrap_or(&0)));
        if read? == 0 || self.lines >= MAX_LINES {
            return Ok(false);
        }
        let mut used = 0_usize;
        while let Some(rest) = self.bytes.get(used..)
            && let Some(len) = rest.iter().position(|octet| *octet == b'\n')
        {
            let line = rest.get(..len).unwrap_or_default();
            if !std::mem::take(&mut self.passing)
                && let Some(tracked) = procfs::parse(line)
            {
                agent.connections.table.learn(&tracked, false, now);
            }
            self.lines = self.lines.saturating_add(1);
            used = used.saturating_add(len).saturating_add(1);
        }
        self.bytes.drain(..used.min(self.bytes.len()));
        if self.bytes.len() > MAX_LINE {
            self.bytes.clear();
            self.passing = true;
        }
        Ok(true)
    }
}

fn is_counting() -> bool {
    fs::read(ACCOUNTING).is_ok_and(|value| value.first() == Some(&b'1'))
}

/// Whether the kernel can be asked without loading anything: it has the module, or could not load
/// one.
fn is_built_in() -> bool {
    if !Path::new("/proc/modules").exists() || Path::new("/sys/module").join(MODULE).exists() {
        return true;
    }
    let folder = Path::new("/lib/modules").join(process::machine().release);
    match fs::read_to_string(folder.join("modules.builtin")) {
        Ok(list) => list.lines().any(|line| line.contains(MODULE)),
        Err(_) => !folder.exists(),
    }
}
