//! Reads the sockets of this machine and finds the processes that have them, a bounded piece a
//! turn: every ten seconds for the map, or once for who asks whose a flow is. Off unless asked
//! for: a walk through `/proc` takes its time.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};

use crate::core::Agent;
use crate::sys::clock;
use crate::time::Tick;
use crate::topology::sockets::{MAX_SOCKETS, Process, Socket, describe, inode_of};

/// The tables, and the protocol of the sockets in each.
const TABLES: [(&str, &str); 4] = [
    ("/proc/net/tcp", "TCP"),
    ("/proc/net/tcp6", "TCP"),
    ("/proc/net/udp", "UDP"),
    ("/proc/net/udp6", "UDP"),
];

/// Time between two readings, in microseconds.
const INTERVAL: u64 = 10_000_000;

/// Time that this may take of one turn, in microseconds.
const SLICE: u64 = 1_000;

/// Lines read, and descriptors looked at, before the clock is.
const STEP: usize = 32;

/// A line of a table is shorter than this.
const MAX_LINE: u64 = 512;

/// Processes that are looked at.
const MAX_PROCESSES: usize = 16_384;

/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 65_536;

enum Phase {
    Waiting,
    /// The table being read, and which it is.
    Reading(usize, Option<BufReader<File>>),
    /// Processes still to be looked at, and the descriptors of the one that is.
    Walking(Vec<u32>, Option<(u32, fs::ReadDir, usize)>),
}

/// The reading under way.
pub struct Sockets {
    phase: Phase,
    due: Tick,
    found: Vec<Socket>,
    wanted: HashSet<u64>,
    owners: HashMap<u64, Process>,
}

impl Sockets {
    /// Begins at once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            phase: Phase::Waiting,
            due: Tick(0),
            found: Vec::new(),
            wanted: HashSet::new(),
            owners: HashMap::new(),
        }
    }

    /// Does a piece of the reading; `true` if there is more right now.
    pub fn turn(&mut self, agent: &mut Agent, now: Tick) -> bool {
        let until = clock::tick().plus(SLICE);
        loop {
            match &mut self.phase {
                Phase::Waiting if now < self.due => return false,
                Phase::Waiting => {
                    self.due = now.plus(INTERVAL);
                    self.found.clear();
                    self.owners.clear();
                    self.phase = Phase::Reading(0, None);
                }
                Phase::Reading(..) => self.read(agent),
                Phase::Walking(..) => {
                    if self.walk() {
                        let list = describe(&mut self.found, &self.owners);
                        agent.spaces.set_machine_list("Sockets", list);
                        self.phase = Phase::Waiting;
                        return true;
                    }
                }
            }
            if clock::tick() >= until {
                return true;
            }
        }
    }

    /// The same once, for who asked which processes there are; `true` if there is more right now.
    pub fn answer(&mut self, agent: &mut Agent, now: Tick) -> bool {
        let until = clock::tick().plus(SLICE);
        while agent.processes.is_wanted() {
            match &mut self.phase {
                Phase::Waiting => self.phase = Phase::Reading(0, None),
                Phase::Reading(..) => self.read(agent),
                Phase::Walking(..) => {
                    if self.walk() {
                        let sockets = std::mem::take(&mut self.found);
                        let owners = std::mem::take(&mut self.owners);
                        agent.processes.learn(sockets, owners, now);
                        self.phase = Phase::Waiting;
                    }
                }
            }
            if clock::tick() >= until {
                return agent.processes.is_wanted();
            }
        }
        false
    }

    /// When there is something to do next.
    #[must_use]
    pub const fn deadline(&self) -> Tick {
        self.due
    }

    /// Reads some lines.
    fn read(&mut self, agent: &mut Agent) {
        let Phase::Reading(which, table) = &mut self.phase else { return };
        let Some((path, protocol)) = TABLES.get(*which) else {
            self.wanted =
                self.found.iter().map(|socket| socket.inode).filter(|n| *n != 0).collect();
            self.phase = Phase::Walking(processes(), None);
            return;
        };
        if table.is_none() {
            *table = File::open(path).ok().map(BufReader::new);
        }
        let mut line = String::new();
        for _ in 0..STEP {
            line.clear();
            let read = table.as_mut().map(|table| table.take(MAX_LINE).read_line(&mut line));
            if !matches!(read, Some(Ok(count)) if count > 0) {
                self.phase = Phase::Reading(which.saturating_add(1), None);
                return;
            }
            let Some(socket) = Socket::parse(&line, protocol) else { continue };
            if self.found.len() < MAX_SOCKETS {
                self.found.push(socket);
            } else {
                agent.spaces.leave_out();
            }
        }
    }

    /// Looks at some descriptors; `true` once all were.
    fn walk(&mut self) -> bool {
        let Phase::Walking(processes, descriptors) = &mut self.phase else { return true };
        let Some((pid, list, left)) = descriptors else {
            // A socket may belong to several processes; one of them is told.
            let Some(pid) = processes.pop() else { return true };
            if self.owners.len() < self.wanted.len() {
                let list = fs::read_dir(format!("/proc/{pid}/fd")).ok();
                *descriptors = list.map(|list| (pid, list, MAX_DESCRIPTORS));
            }
            return false;
        };
        for _ in 0..STEP {
            let Some(Ok(entry)) = list.next().filter(|_| *left > 0) else {
                *descriptors = None;
                return false;
            };
            *left = left.saturating_sub(1);
            let Ok(link) = fs::read_link(entry.path()) else { continue };
            let Some(inode) = link.to_str().and_then(inode_of) else { continue };
            if self.wanted.contains(&inode) && !self.owners.contains_key(&inode) {
                self.owners.insert(inode, process(*pid));
            }
        }
        false
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new()
    }
}

fn processes() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.take(MAX_PROCESSES).collect()
}

fn process(pid: u32) -> Process {
    let path = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let path = path.to_string_lossy().into_owned();
    Process { pid, path, name: name.trim_end().to_owned() }
}
