//! What one scan of the machine found: a value, complete when the scan is over and never changed
//! after that.

use std::path::PathBuf;

use super::cgroup::Id;
use super::interface::Interface;
use super::resolver::Resolver;
use super::runtime::Known;
use super::services::Services;
use crate::time::Wall;
use crate::topology::sockets::Socket;

/// Processes of one scan; further ones are left out and counted.
pub const MAX_PROCESSES: usize = 32_768;

/// Namespaces of one scan; further ones are left out and counted.
pub const MAX_SPACES: usize = 1_024;

/// Interfaces of all namespaces; further ones are left out and counted.
pub const MAX_INTERFACES: usize = 16_384;

/// Addresses of all namespaces; further ones are left out and counted.
pub const MAX_ADDRESSES: usize = 32_768;

/// Routes of one namespace, and of all; further ones are left out and counted.
pub const MAX_ROUTES: usize = 1_024;
/// See [`MAX_ROUTES`].
pub const MAX_ALL_ROUTES: usize = 16_384;

/// Sockets of one namespace, and of all; further ones are left out and counted.
pub const MAX_SOCKETS: usize = 4_096;
/// See [`MAX_SOCKETS`].
pub const MAX_ALL_SOCKETS: usize = 16_384;

/// Containers of one scan; further ones appear as processes, and are counted.
pub const MAX_CONTAINERS: usize = 4_096;

/// Mount points of namespaces; further ones are left out and counted.
pub const MAX_MOUNTS: usize = 4_096;

/// How much is found out. Each includes the ones before it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Depth {
    /// Processes, namespaces, names of containers.
    #[default]
    Names,
    /// Interfaces, too.
    Targets,
    /// Addresses, routes, sockets and how names are found, too.
    All,
}

/// Everything that a scan found.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// What was looked for.
    pub depth: Depth,
    /// Who looked, and where.
    pub facts: Facts,
    /// What there was no room or permission for.
    pub left_out: LeftOut,
    /// All processes, by their numbers.
    pub processes: Vec<Process>,
    /// Containers that processes are in.
    pub containers: Vec<Container>,
    /// Namespaces: the agent's own first, the others by their numbers.
    pub spaces: Vec<Space>,
    /// Namespaces of processes, by their numbers.
    pub pid_spaces: Vec<PidSpace>,
    /// Names of ports.
    pub services: Services,
}

/// Who looked, and where.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// When.
    pub taken: Wall,
    /// The name of the machine.
    pub hostname: Box<str>,
    /// What its system is called.
    pub system: Box<str>,
    /// The version of that.
    pub system_version: Box<str>,
    /// The release of the kernel.
    pub kernel: Box<str>,
    /// Processors.
    pub cpus: u32,
}

/// What there was no room or permission for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LeftOut {
    /// Processes beyond [`MAX_PROCESSES`].
    pub processes: u64,
    /// Namespaces beyond [`MAX_SPACES`].
    pub namespaces: u64,
    /// Containers beyond [`MAX_CONTAINERS`], and mounts beyond [`MAX_MOUNTS`].
    pub names: u64,
    /// Interfaces beyond [`MAX_INTERFACES`].
    pub interfaces: u64,
    /// Addresses beyond [`MAX_ADDRESSES`].
    pub addresses: u64,
    /// Routes beyond [`MAX_ROUTES`] or [`MAX_ALL_ROUTES`].
    pub routes: u64,
    /// Sockets beyond [`MAX_SOCKETS`] or [`MAX_ALL_SOCKETS`].
    pub sockets: u64,
    /// Processes and namespaces that the agent may not look into.
    pub denied: u64,
}

impl LeftOut {
    /// Everything together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.list().into_iter().map(|(_, count)| count).fold(0, u64::saturating_add)
    }

    /// Each with its name.
    #[must_use]
    pub const fn list(&self) -> [(&'static str, u64); 8] {
        [
            ("processes", self.processes),
            ("namespaces", self.namespaces),
            ("names", self.names),
            ("interfaces", self.interfaces),
            ("addresses", self.addresses),
            ("routes", self.routes),
            ("sockets", self.sockets),
            ("denied", self.denied),
        ]
    }
}

/// A process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The number of its parent.
    pub ppid: u32,
    /// When it started, in clock ticks since the start of the machine.
    pub starttime: u64,
    /// Its network namespace; 0 if the agent may not know.
    pub netns: u64,
    /// Its namespace of processes; 0 if the agent may not know.
    pub pidns: u64,
    /// The container that it is in: its place in the list of the machine.
    pub container: Option<u16>,
    /// See [`super::process::Stat`].
    pub priority: i32,
    /// See [`super::process::Stat`].
    pub nice: i32,
    /// See [`super::process::Stat`].
    pub policy: u32,
    /// A thread of the kernel.
    pub is_kernel: bool,
    /// What it calls itself.
    pub comm: Box<str>,
}

/// A container.
#[derive(Clone, Debug)]
pub struct Container {
    /// Who made it, and its id.
    pub id: Id,
    /// The container around it.
    pub outer: Option<u16>,
    /// The path of its group.
    pub group: Box<[u8]>,
    /// What its runtime says of it.
    pub known: Known,
}

impl Container {
    /// Its name: the short id if nobody says another.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.known.name.is_empty() { short(&self.id.id) } else { &self.known.name }
    }
}

/// The first digits of an id, as people use it.
fn short(id: &str) -> &str {
    if id.len() == 64 { super::clamp(id, 12) } else { id }
}

/// A network namespace.
#[derive(Clone, Debug, Default)]
pub struct Space {
    /// The number of its file.
    pub inode: u64,
    /// A file that leads to it; none to the agent's own.
    pub file: Option<PathBuf>,
    /// Where it is mounted.
    pub mounts: Vec<PathBuf>,
    /// Who lives in it.
    pub tenants: Vec<Tenant>,
    /// The agent could look inside.
    pub seen: bool,
    /// Its interfaces, by their numbers.
    pub interfaces: Vec<Interface>,
    /// Its routes.
    pub routes: Vec<Route>,
    /// Its sockets.
    pub sockets: Vec<Port>,
}

impl Space {
    /// One of its interfaces.
    #[must_use]
    pub fn interface(&self, index: u32) -> Option<&Interface> {
        let at = self.interfaces.binary_search_by_key(&index, |known| known.index).ok()?;
        self.interfaces.get(at)
    }
}

/// Who lives in a namespace: the topmost process of a tree.
#[derive(Clone, Debug, Default)]
pub struct Tenant {
    /// Its place in the list of processes.
    pub process: u32,
    /// It stands for this container.
    pub container: Option<u16>,
    /// What is only known if all was looked for.
    pub details: Option<Box<Details>>,
}

/// What is only known of a tenant if all was looked for.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// Its arguments.
    pub command: Box<str>,
    /// Capabilities that it can have at most.
    pub bounding: Option<u64>,
    /// Processors that it may run on, from and to.
    pub affinity: Vec<(u32, u32)>,
    /// It is held.
    pub paused: bool,
    /// How it finds names.
    pub resolver: Resolver,
}

/// A route.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// 2 or 10.
    pub family: u8,
    /// RTN_.
    pub kind: u8,
    /// Length of the destination's prefix.
    pub prefix: u8,
    /// Preference of RFC 4191.
    pub preference: u8,
    /// Where to; none for everywhere.
    pub destination: Option<std::net::IpAddr>,
    /// The next router.
    pub gateway: Option<std::net::IpAddr>,
    /// The interface.
    pub index: Option<u32>,
    /// The metric.
    pub priority: u32,
    /// RT_TABLE_.
    pub table: u32,
}

/// A socket, and who has it.
#[derive(Clone, Debug)]
pub struct Port {
    /// It.
    pub socket: Socket,
    /// Processes that have it: places in the list of processes, and their arguments.
    pub owners: Vec<(u32, std::rc::Rc<str>)>,
}

/// A namespace of processes.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct PidSpace {
    /// The number of its file.
    pub inode: u64,
    /// The one around it; 0 for none in sight.
    pub parent: u64,
    /// The tenant that leads it, by its number; 0 for none.
    pub leader: u32,
}

impl Machine {
    /// The process of that number.
    #[must_use]
    pub fn process(&self, pid: u32) -> Option<&Process> {
        let at = self.place_of(pid)?;
        self.processes.get(at)
    }

    /// The place of a process in the list.
    #[must_use]
    pub fn place_of(&self, pid: u32) -> Option<usize> {
        self.processes.binary_search_by_key(&pid, |process| process.pid).ok()
    }

    /// A container, by its place.
    #[must_use]
    pub fn container(&self, at: Option<u16>) -> Option<&Container> {
        self.containers.get(usize::from(at?))
    }

    /// The namespace of that number.
    #[must_use]
    pub fn space(&self, inode: u64) -> Option<&Space> {
        self.spaces.iter().find(|space| space.inode == inode)
    }
}
