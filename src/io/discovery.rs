//! Finds out which network namespaces, processes and containers there are when somebody asks: a
//! scan of `/proc`, mounts, container runtimes and, inside each namespace, netlink, a bounded
//! piece a turn. What it finds is a [`Machine`]; nothing of it is kept for the next scan.

mod files;
mod owners;
mod relations;
mod visit;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::config::Settings;
use crate::core::Agent;
use crate::netns::cgroup::{self, Id};
use crate::netns::machine::{
    Container, Details, Facts, MAX_CONTAINERS, MAX_MOUNTS, MAX_PROCESSES, MAX_SPACES, PidSpace,
    Process, Space, Tenant,
};
use crate::netns::mounts::Mount;
use crate::netns::process::{self, Stat, namespace_of};
use crate::netns::runtime::{self, Known};
use crate::netns::services::Services;
use crate::netns::{Depth, Machine, name_of};
use crate::sys::netns::{self, Namespace};
use crate::sys::{self, clock};
use crate::time::Clock;

use files::{Lines, read};
use owners::Owners;
use relations::Relations;
use visit::{Visit, Visitor};

/// Time that a scan may take of one turn, in microseconds. A step is small against it.
const SLICE: u64 = 500;

/// What is not small waits for a turn in which others took less than this, in microseconds; but
/// only so many turns.
const BUSY: u64 = 200;
const MAX_PUT_OFF: u32 = 32;

/// Processes, or the like, that are worked through in memory before the clock is looked at.
const STRETCH: usize = 256;

/// Where containerd keeps a folder for each of its namespaces, with one for each container.
const CONTAINERD: &str = "/run/containerd/io.containerd.runtime.v2.task";

/// Namespaces of containerd that are looked into.
const MAX_CONTAINERD: usize = 32;

/// The scan under way, if there is one.
pub struct Discovery {
    scan: Option<Box<Scan>>,
    /// Turns in which the next thing was put off because others had taken their time.
    put_off: u32,
    init: Init,
}

/// Where the first process lives. It is looked at before the agent gives its powers up: some
/// systems let nobody look into that process who may do less than it.
#[derive(Clone, Copy, Debug, Default)]
struct Init {
    netns: u64,
    pidns: u64,
}

struct Scan {
    machine: Machine,
    phase: Phase,
    /// The agent's own namespace; none where it cannot tell.
    home: Option<Namespace>,
    /// Others are looked for, too.
    others: bool,
    /// Places of namespaces by their numbers.
    places: HashMap<u64, usize>,
    /// Namespaces that there was no room for.
    refused: HashSet<u64>,
    containers: HashMap<Id, u16>,
    /// Folders in which containerd keeps containers.
    containerd: Vec<String>,
    visitor: Visitor,
    init: Init,
}

enum Phase {
    Mounts(Option<Lines>),
    Processes(Option<fs::ReadDir>),
    Sort,
    Tenants(usize),
    Settle(usize),
    Containers(usize),
    PidSpaces(usize, HashMap<u64, PidSpace>),
    Spaces(usize, Option<Box<Visit>>),
    Owners(Box<Owners>),
    Details(usize, usize),
    Relations(Box<Relations>),
    Over,
}

impl Default for Discovery {
    fn default() -> Self {
        let init =
            Init { netns: space_of(1, "net").unwrap_or(0), pidns: space_of(1, "pid").unwrap_or(0) };
        Self { scan: None, put_off: 0, init }
    }
}

impl Discovery {
    /// Does a piece of the scan that is wanted; `true` if there is more right now.
    pub fn turn(&mut self, agent: &mut Agent, now: Clock) -> bool {
        if agent.discovery.is_forsaken() {
            self.scan = None;
            agent.discovery.finish(None);
        }
        if self.scan.is_none()
            && let Some(depth) = agent.discovery.begin()
        {
            let facts = facts(agent, depth, now);
            self.scan = Some(Box::new(Scan::new(depth, facts, agent.settings(), self.init)));
            return true;
        }
        let Some(scan) = &mut self.scan else { return false };
        if scan.is_heavy() && clock::tick().since(now.tick) > BUSY && self.put_off < MAX_PUT_OFF {
            self.put_off = self.put_off.saturating_add(1);
            return true;
        }
        self.put_off = 0;
        let until = clock::tick().plus(SLICE);
        while !matches!(scan.phase, Phase::Over) {
            scan.step();
            if scan.is_heavy() || clock::tick() >= until {
                return true;
            }
        }
        if let Some(scan) = self.scan.take() {
            let machine = scan.machine;
            let left_out = &mut agent.counters.discovery_left_out;
            *left_out = left_out.saturating_add(machine.left_out.total());
            agent.discovery.finish(Some(machine));
        }
        agent.discovery.is_busy()
    }
}

fn facts(agent: &Agent, depth: Depth, now: Clock) -> Facts {
    let mut facts = Facts {
        taken: now.wall,
        hostname: name_of(agent.facts.hostname.as_bytes()),
        ..Facts::default()
    };
    if depth == Depth::All {
        let release = read("/etc/os-release", 8 * 1024).unwrap_or_default();
        let release = String::from_utf8_lossy(&release);
        let field = |key: &str| {
            let mut lines = release.lines().filter_map(|line| line.split_once('='));
            let (_, value) = lines.find(|(name, _)| *name == key)?;
            Some(name_of(value.trim_matches(['"', '\'']).as_bytes()))
        };
        facts.system = field("NAME").unwrap_or_default();
        facts.system_version = field("VERSION_ID").or_else(|| field("VERSION")).unwrap_or_default();
        facts.kernel = sys::process::machine().release.into();
        facts.cpus = sys::process::cpus();
    }
    facts
}

impl Scan {
    fn new(depth: Depth, facts: Facts, settings: &Settings, init: Init) -> Self {
        let mut new = Self {
            machine: Machine { depth, facts, ..Machine::default() },
            phase: Phase::Mounts(None),
            home: Namespace::own().ok(),
            others: settings.netns_discovery,
            places: HashMap::new(),
            refused: HashSet::new(),
            containers: HashMap::new(),
            containerd: Vec::new(),
            visitor: Visitor::default(),
            init,
        };
        if let Some(home) = &new.home {
            let inode = home.identity().inode;
            new.places.insert(inode, 0);
            new.machine.spaces.push(Space { inode, ..Space::default() });
        }
        if depth == Depth::All {
            let table = read("/etc/services", 64 * 1024).unwrap_or_default();
            new.machine.services = Services::parse(&table);
        }
        new
    }

    /// Whether the next thing is better done in a turn of its own.
    fn is_heavy(&self) -> bool {
        matches!(&self.phase, Phase::Spaces(_, Some(visit)) if visit.is_heavy())
    }

    /// Does the next small thing.
    fn step(&mut self) {
        match &mut self.phase {
            Phase::Mounts(lines) => {
                let lines = lines.get_or_insert_with(|| Lines::open("/proc/self/mountinfo"));
                match lines.next() {
                    Some(line) => {
                        if let Some(mount) = Mount::parse(&line) {
                            self.add_mount(mount);
                        }
                    }
                    None => self.phase = Phase::Processes(fs::read_dir("/proc").ok()),
                }
            }
            Phase::Processes(list) => match list.as_mut().and_then(Iterator::next) {
                Some(Ok(entry)) => {
                    let name = entry.file_name();
                    if let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) {
                        self.add_process(pid);
                    }
                }
                Some(Err(_)) => {}
                None => self.phase = Phase::Sort,
            },
            Phase::Sort => {
                // The kernel lists them in order, which makes this cheap.
                self.machine.processes.sort_unstable_by_key(|process| process.pid);
                self.phase = Phase::Tenants(0);
            }
            Phase::Tenants(at) => {
                let from = *at;
                let to = from.saturating_add(STRETCH).min(self.machine.processes.len());
                for at in from..to {
                    self.add_tenant(at);
                }
                self.phase = if to == self.machine.processes.len() {
                    Phase::Settle(0)
                } else {
                    Phase::Tenants(to)
                };
            }
            Phase::Settle(at) => {
                let at = *at;
                let taken = self.machine.spaces.get_mut(at).map(std::mem::take);
                let Some(mut space) = taken else {
                    self.containerd = self.containerd_spaces();
                    self.phase = Phase::Containers(0);
                    return;
                };
                self.machine.settle(&mut space);
                space.mounts.sort_unstable();
                if let Some(place) = self.machine.spaces.get_mut(at) {
                    *place = space;
                }
                self.phase = Phase::Settle(at.saturating_add(1));
            }
            Phase::Containers(at) => {
                let at = *at;
                let Some(container) = self.machine.containers.get_mut(at) else {
                    self.phase = if self.machine.depth == Depth::All {
                        Phase::PidSpaces(0, HashMap::new())
                    } else {
                        Phase::Spaces(0, None)
                    };
                    return;
                };
                name_container(container, &self.containerd);
                self.phase = Phase::Containers(at.saturating_add(1));
            }
            Phase::PidSpaces(at, found) => {
                let from = *at;
                let to = from.saturating_add(STRETCH).min(self.machine.processes.len());
                for at in from..to {
                    note_pid_space(&self.machine, at, found);
                }
                *at = to;
                if to == self.machine.processes.len() {
                    let mut list: Vec<PidSpace> = found.values().copied().collect();
                    let known = |inode| found.contains_key(&inode);
                    for space in &mut list {
                        if !known(space.parent) {
                            space.parent = 0;
                        }
                    }
                    list.sort_unstable_by_key(|space| (space.parent, space.inode));
                    self.machine.pid_spaces = list;
                    self.phase = Phase::Spaces(0, None);
                }
            }
            Phase::Spaces(at, visit) => {
                let (at, depth) = (*at, self.machine.depth);
                let count = self.machine.spaces.len();
                if depth == Depth::Names || at == count {
                    self.phase = match depth {
                        Depth::Names => Phase::Over,
                        Depth::Targets => Phase::Over,
                        Depth::All => Phase::Owners(Box::new(Owners::new(&self.machine))),
                    };
                    return;
                }
                let going = match visit {
                    None => {
                        *visit = self.visitor.enter(&mut self.machine, at, self.home.as_ref());
                        visit.is_some()
                    }
                    Some(visit) => visit.step(&mut self.machine, at, &mut self.visitor),
                };
                if !going {
                    self.phase = Phase::Spaces(at.saturating_add(1), None);
                }
            }
            Phase::Owners(owners) => {
                if !owners.step(&mut self.machine) {
                    self.phase = Phase::Details(0, 0);
                }
            }
            Phase::Details(space, tenant) => {
                let (space, tenant) = (*space, *tenant);
                self.phase = if space == self.machine.spaces.len() {
                    Phase::Relations(Box::new(Relations::new(&self.machine)))
                } else if self.describe(space, tenant) {
                    Phase::Details(space, tenant.saturating_add(1))
                } else {
                    Phase::Details(space.saturating_add(1), 0)
                };
            }
            Phase::Relations(relations) => {
                if !relations.step(&mut self.machine, self.home.as_ref()) {
                    self.phase = Phase::Over;
                }
            }
            Phase::Over => {}
        }
    }

    /// The place of a namespace, which is made if there is room.
    fn place_of(&mut self, inode: u64, file: impl FnOnce() -> PathBuf) -> Option<usize> {
        if let Some(place) = self.places.get(&inode) {
            return Some(*place);
        }
        if !self.others {
            return None;
        }
        let place = self.machine.spaces.len();
        if place >= MAX_SPACES {
            if self.refused.len() < MAX_PROCESSES && self.refused.insert(inode) {
                let count = &mut self.machine.left_out.namespaces;
                *count = count.saturating_add(1);
            }
            return None;
        }
        self.places.insert(inode, place);
        self.machine.spaces.push(Space { inode, file: Some(file()), ..Space::default() });
        Some(place)
    }

    fn add_mount(&mut self, mount: Mount) {
        let Mount { inode, path } = mount;
        // Something else may be mounted over it, or over a folder above it.
        if netns::identify(&path).is_ok_and(|identity| identity.inode != inode) {
            return;
        }
        let place = self.place_of(inode, || path.clone());
        let Some(space) = place.and_then(|place| self.machine.spaces.get_mut(place)) else {
            return;
        };
        if space.mounts.len() < MAX_MOUNTS / 64 {
            space.mounts.push(path);
        } else {
            let count = &mut self.machine.left_out.names;
            *count = count.saturating_add(1);
        }
    }

    fn add_process(&mut self, pid: u32) {
        let file = |name: &str| read(format!("/proc/{pid}/{name}"), 4_096);
        // It may have ended since it was listed.
        let Some(stat) = file("stat").ok().and_then(|line| Stat::parse(&line)) else { return };
        if self.machine.processes.len() >= MAX_PROCESSES {
            let count = &mut self.machine.left_out.processes;
            *count = count.saturating_add(1);
            return;
        }
        let netns = space_of(pid, "net").unwrap_or_else(|error| match pid {
            1 if self.init.netns != 0 => self.init.netns,
            _ => {
                let is_denied = error.kind() == std::io::ErrorKind::PermissionDenied;
                let count = &mut self.machine.left_out.denied;
                *count = count.saturating_add(u64::from(is_denied));
                0
            }
        });
        let pidns = if self.machine.depth == Depth::All {
            space_of(pid, "pid").unwrap_or(if pid == 1 { self.init.pidns } else { 0 })
        } else {
            0
        };
        let mut container = None;
        if netns != 0 && !stat.is_kernel {
            let _ = self.place_of(netns, || PathBuf::from(format!("/proc/{pid}/ns/net")));
            let groups = file("cgroup").unwrap_or_default();
            let (ids, path) = cgroup::containers(&groups);
            for id in ids {
                container = self.container(id, container, path).or(container);
            }
        }
        let Stat { pid, comm, ppid, is_kernel, priority, nice, starttime, policy } = stat;
        self.machine.processes.push(Process {
            pid,
            ppid,
            starttime,
            netns,
            pidns,
            container,
            priority,
            nice,
            policy,
            is_kernel,
            comm,
        });
    }

    fn container(&mut self, id: Id, outer: Option<u16>, group: &[u8]) -> Option<u16> {
        if let Some(place) = self.containers.get(&id) {
            return Some(*place);
        }
        let place = u16::try_from(self.machine.containers.len()).ok();
        let Some(place) = place.filter(|place| usize::from(*place) < MAX_CONTAINERS) else {
            let count = &mut self.machine.left_out.names;
            *count = count.saturating_add(1);
            return None;
        };
        self.containers.insert(id.clone(), place);
        let known = Known::default();
        self.machine.containers.push(Container { id, outer, group: group.into(), known });
        Some(place)
    }

    fn add_tenant(&mut self, at: usize) {
        if !self.machine.is_tenant(at) {
            return;
        }
        let inode = self.machine.processes.get(at).map_or(0, |process| process.netns);
        let place = self.places.get(&inode);
        let space = place.and_then(|place| self.machine.spaces.get_mut(*place));
        if let (Some(space), Ok(process)) = (space, u32::try_from(at)) {
            space.tenants.push(Tenant { process, ..Tenant::default() });
        }
    }

    fn containerd_spaces(&self) -> Vec<String> {
        if self.machine.containers.is_empty() {
            return Vec::new();
        }
        let entries = fs::read_dir(CONTAINERD).into_iter().flatten().flatten();
        let paths = entries.take(MAX_CONTAINERD).map(|entry| entry.path());
        paths.filter_map(|path| path.into_os_string().into_string().ok()).collect()
    }

    /// Finds out more about a tenant; `false` if there is no such one.
    fn describe(&mut self, space: usize, tenant: usize) -> bool {
        let tenants = self.machine.spaces.get(space).map(|space| &space.tenants);
        let Some(tenant_) = tenants.and_then(|tenants| tenants.get(tenant)) else { return false };
        let Some(process) = self.machine.process_of(tenant_) else { return true };
        let pid = process.pid;
        let file = |name: &str, most| read(format!("/proc/{pid}/{name}"), most).unwrap_or_default();
        let status = file("status", 8 * 1024);
        let container = self.machine.container(tenant_.container);
        let mut details = Details {
            command: process::command_line(&file("cmdline", process::MAX_COMMAND)),
            bounding: process::bounding_set(&status),
            affinity: process::affinity(&status),
            paused: container.is_some_and(|container| files::is_frozen(&container.group)),
            ..Details::default()
        };
        files::resolver(pid, &mut details.resolver, &self.machine.facts.hostname);
        let tenants = self.machine.spaces.get_mut(space).map(|space| &mut space.tenants);
        if let Some(tenant) = tenants.and_then(|tenants| tenants.get_mut(tenant)) {
            tenant.details = Some(Box::new(details));
        }
        true
    }
}

/// The number of the namespace of a kind that a process lives in; 0 for what makes no sense.
fn space_of(pid: u32, kind: &str) -> std::io::Result<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}"))?;
    Ok(namespace_of(link.as_os_str().as_bytes(), kind).unwrap_or(0))
}

/// Looks for what a runtime says of a container.
fn name_container(container: &mut Container, containerd: &[String]) {
    let Id { engine, id } = &container.id;
    for path in runtime::places(*engine, id, containerd) {
        if let Ok(file) = read(path, runtime::MAX_FILE)
            && container.known.read(&file)
        {
            break;
        }
    }
    if container.known.name.is_empty() {
        for path in runtime::lists(*engine) {
            if let Ok(file) = read(path, runtime::MAX_FILE) {
                container.known.read_list(&file, id);
            }
        }
    }
}

/// Notes the namespace of processes that a process is in, and what it is to that.
fn note_pid_space(machine: &Machine, at: usize, found: &mut HashMap<u64, PidSpace>) {
    let Some(process) = machine.processes.get(at).filter(|process| process.pidns != 0) else {
        return;
    };
    let parent = machine.process(process.ppid).map_or(0, |parent| parent.pidns);
    if parent == process.pidns || (found.len() >= MAX_SPACES && !found.contains_key(&process.pidns))
    {
        return;
    }
    let inode = process.pidns;
    let space = found.entry(inode).or_insert(PidSpace { inode, parent, leader: 0 });
    if space.leader == 0 && machine.is_tenant(at) {
        space.leader = process.pid;
    }
    if space.parent == 0 {
        space.parent = parent;
    }
}
