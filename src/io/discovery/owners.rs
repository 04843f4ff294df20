//! Who has the sockets and tunnels that a scan found: a walk over the descriptors of all
//! processes.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::rc::Rc;

use crate::netns::Machine;
use crate::netns::interface::{Details, Interface};
use crate::netns::machine::Space;
use crate::netns::process::{self, MAX_COMMAND};
use crate::topology::sockets::inode_of;

use super::files::read;

/// Descriptors looked at before the clock is.
const STRETCH: usize = 16;

/// Descriptors of one process that are looked at.
const MAX_DESCRIPTORS: usize = 65_536;

/// Processes that a socket is said to belong to.
const MAX_OWNERS: usize = 16;

/// Processes behind tunnels.
const MAX_TUNNELS: usize = 1_024;

/// The walk.
pub(super) struct Owners {
    /// Namespace and place of each socket, by its number.
    wanted: HashMap<u64, (usize, usize)>,
    /// The process that is next.
    next: usize,
    descriptors: Option<fs::ReadDir>,
    left: usize,
    /// The arguments of the present process, once they are needed.
    command: Option<Rc<str>>,
    /// Process, its arguments and the name of its tunnel.
    tunnels: Vec<(u32, Rc<str>, Box<[u8]>)>,
}

impl Owners {
    /// A walk for what was found so far.
    pub(super) fn new(machine: &Machine) -> Self {
        let mut wanted = HashMap::new();
        for (at, space) in machine.spaces.iter().enumerate() {
            for (place, port) in space.sockets.iter().enumerate() {
                if port.socket.inode != 0 {
                    wanted.insert(port.socket.inode, (at, place));
                }
            }
        }
        Self { wanted, next: 0, descriptors: None, left: 0, command: None, tunnels: Vec::new() }
    }

    /// Looks at some descriptors; `false` once all were.
    pub(super) fn step(&mut self, machine: &mut Machine) -> bool {
        let Some(list) = &mut self.descriptors else {
            let Some(process) = machine.processes.get(self.next) else {
                self.tell_tunnels(machine);
                return false;
            };
            self.command = None;
            self.left = MAX_DESCRIPTORS;
            if !process.is_kernel {
                self.descriptors = fs::read_dir(format!("/proc/{}/fd", process.pid)).ok();
            }
            if self.descriptors.is_none() {
                self.next = self.next.saturating_add(1);
            }
            return true;
        };
        for _ in 0..STRETCH {
            let entry = list.next().filter(|_| self.left > 0);
            let Some(Ok(entry)) = entry else {
                self.descriptors = None;
                self.next = self.next.saturating_add(1);
                return true;
            };
            self.left = self.left.saturating_sub(1);
            let Ok(link) = fs::read_link(entry.path()) else { continue };
            let is_tunnel = link.as_os_str().as_bytes() == b"/dev/net/tun";
            let socket = link.to_str().and_then(inode_of).and_then(|inode| self.wanted.get(&inode));
            if !is_tunnel && socket.is_none() {
                continue;
            }
            let Ok(place) = u32::try_from(self.next) else { continue };
            let pid = machine.processes.get(self.next).map_or(0, |process| process.pid);
            let command = self.command.get_or_insert_with(|| {
                let line = read(format!("/proc/{pid}/cmdline"), MAX_COMMAND).unwrap_or_default();
                process::command_line(&line).into()
            });
            let command = Rc::clone(command);
            if is_tunnel {
                let info = format!("/proc/{pid}/fdinfo/{}", entry.file_name().to_string_lossy());
                let info = read(info, 1_024).unwrap_or_default();
                let name = info.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"iff:"));
                if let Some(name) = name
                    && self.tunnels.len() < MAX_TUNNELS
                {
                    self.tunnels.push((place, command, name.trim_ascii().into()));
                }
            } else if let Some((space, at)) = socket {
                let ports = machine.spaces.get_mut(*space).map(|space| &mut space.sockets);
                if let Some(port) = ports.and_then(|ports| ports.get_mut(*at))
                    && port.owners.len() < MAX_OWNERS
                    && port.owners.last().is_none_or(|(last, _)| *last != place)
                {
                    port.owners.push((place, command));
                }
            }
        }
        true
    }

    /// Names the processes behind tunnels. The kernel tells the name alone: it means the
    /// namespace that the process is in, if there is such a tunnel there, or else the only one
    /// where there is: tunnels are moved to where they are used.
    fn tell_tunnels(&mut self, machine: &mut Machine) {
        for (place, command, name) in std::mem::take(&mut self.tunnels) {
            let process = usize::try_from(place).ok().and_then(|at| machine.processes.get(at));
            let inode = process.map_or(0, |process| process.netns);
            let is_it = |interface: &Interface| {
                matches!(interface.details, Details::Tun { .. })
                    && interface.name.as_bytes() == &*name
            };
            let has_it = |space: &&mut Space| space.interfaces.iter().any(is_it);
            let mut spaces: Vec<_> = machine.spaces.iter_mut().filter(has_it).collect();
            let at = spaces.iter().position(|space| space.inode == inode);
            let Some(at) = at.or_else(|| (spaces.len() == 1).then_some(0)) else { continue };
            let space = spaces.get_mut(at);
            let found = space.and_then(|space| space.interfaces.iter_mut().find(|i| is_it(i)));
            if let Some(interface) = found
                && interface.processors.len() < MAX_OWNERS
            {
                interface.processors.push((place, command));
            }
        }
    }
}
