//! A look inside one network namespace: its interfaces, and if all is wanted its addresses,
//! routes and sockets. Sockets and files are opened inside; they show what is there when they are
//! read outside.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use crate::netns::interface::Interface;
use crate::netns::machine::{
    MAX_ADDRESSES, MAX_ALL_ROUTES, MAX_ALL_SOCKETS, MAX_INTERFACES, MAX_ROUTES, MAX_SOCKETS, Port,
    Route, Space,
};
use crate::netns::sockets;
use crate::netns::{Depth, Machine, name_of};
use crate::sys::ethtool::Ethtool;
use crate::sys::netlink::{Buffer, Received, Socket};
use crate::sys::netns::{self, Namespace};
use crate::topology::sockets::Socket as Line;
use crate::wire::netlink::{Connection, Message, Messages, Request};

use super::files;

/// Bytes of netlink messages that may wait.
const ROOM: u32 = 256 * 1024;

/// Octets of a table of sockets that are read at a time.
const PIECE: usize = 8 * 1024;

/// Dumps that are begun anew because messages were lost.
const MAX_RETRIES: u32 = 3;

/// Files tried to get into a namespace.
const MAX_FILES: usize = 4;

/// How many sockets of each kind there are. The kernel looks through all connections of the whole
/// machine to read the table of one namespace, which is not worth while where there are none.
const COUNTS: [&str; 2] = ["sockstat", "sockstat6"];

/// Octets of that.
const MAX_COUNTS: usize = 2 * 1024;

/// The tables, and the protocol of the sockets in each.
const TABLES: [(&str, &str); 4] =
    [("tcp", "TCP"), ("tcp6", "TCP"), ("udp", "UDP"), ("udp6", "UDP")];

/// What visits share.
#[derive(Default)]
pub(super) struct Visitor {
    buffer: Buffer,
    ethtool: Ethtool,
    interfaces: usize,
    addresses: usize,
    routes: usize,
    sockets: usize,
}

/// A visit under way.
pub(super) struct Visit {
    socket: Socket,
    /// Asks for connections; none where there are none, or where it would be in vain.
    diag: Option<Socket>,
    tables: Vec<(File, &'static str)>,
    /// Of a table: what is not a whole line yet.
    rest: Vec<u8>,
    step: Step,
    retries: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Links,
    Drivers(usize),
    Addresses,
    Routes,
    /// Of IPv6?
    Connections(bool),
    Sockets,
}

impl Visitor {
    /// Begins a visit; `None` if there is no way in.
    pub(super) fn enter(
        &self,
        machine: &mut Machine,
        at: usize,
        home: Option<&Namespace>,
    ) -> Option<Box<Visit>> {
        let all = machine.depth == Depth::All;
        let opened = open(machine, at, home, || {
            let socket = Socket::open(0, ROOM)?;
            let mut tables = Vec::new();
            let mut counts = Vec::new();
            if all {
                for name in COUNTS {
                    let file = files::read(format!("/proc/thread-self/net/{name}"), MAX_COUNTS);
                    counts.extend(file.unwrap_or_default());
                }
                let worth = |name: &str| !sockets::is_without(&counts, name);
                for (name, protocol) in TABLES.into_iter().filter(|(name, _)| worth(name)) {
                    let file = File::open(format!("/proc/thread-self/net/{name}"));
                    tables.extend(file.ok().map(|file| (file, protocol)));
                }
            }
            let has_tcp = tables.iter().any(|(_, protocol)| *protocol == "TCP");
            let diag = has_tcp.then(|| Socket::open_diag(ROOM)).and_then(io::Result::ok);
            socket.send(&Request::dump_links(1))?;
            Ok((socket, diag, tables))
        });
        match opened {
            Ok((socket, diag, tables)) => {
                let (rest, step) = (Vec::new(), Step::Links);
                Some(Box::new(Visit { socket, diag, tables, rest, step, retries: 0 }))
            }
            Err(error) => {
                // It is no loss if it has gone meanwhile.
                if error.kind() != ErrorKind::NotFound {
                    let count = &mut machine.left_out.denied;
                    *count = count.saturating_add(1);
                }
                None
            }
        }
    }
}

/// Runs `f` inside a namespace of the scan.
pub(super) fn open<T>(
    machine: &mut Machine,
    at: usize,
    home: Option<&Namespace>,
    f: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let space = machine.spaces.get(at).ok_or(ErrorKind::NotFound)?;
    if at == 0 && home.is_some_and(|home| home.identity().inode == space.inode) {
        return f();
    }
    let home = home.ok_or(ErrorKind::NotFound)?;
    let (target, path) = find(machine, space)?;
    if let Some(space) = machine.spaces.get_mut(at) {
        space.file = Some(path);
    }
    netns::within(home, &target, f)?
}

/// Opens a namespace by a file that still leads to it.
pub(super) fn find(machine: &Machine, space: &Space) -> io::Result<(Namespace, PathBuf)> {
    let tenants = space.tenants.iter().filter_map(|tenant| machine.process_of(tenant));
    let processes = tenants.map(|process| PathBuf::from(format!("/proc/{}/ns/net", process.pid)));
    let known = space.file.iter().cloned();
    let mounts = space.mounts.iter().take(MAX_FILES).cloned();
    let mut last = io::Error::from(ErrorKind::NotFound);
    for path in known.chain(mounts).chain(processes.take(MAX_FILES)) {
        match Namespace::open(&path) {
            Ok(found) if found.identity().inode == space.inode => return Ok((found, path)),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Visit {
    /// Whether the next thing is none of the small ones.
    pub(super) fn is_heavy(&self) -> bool {
        match self.step {
            // The kernel looks for the first connection when it is asked.
            Step::Routes | Step::Connections(_) => self.diag.is_some(),
            Step::Sockets => self.tables.iter().any(|(_, protocol)| *protocol == "TCP"),
            _ => false,
        }
    }

    /// Does the next small thing; `false` once all is done.
    pub(super) fn step(&mut self, machine: &mut Machine, at: usize, visitor: &mut Visitor) -> bool {
        let all = machine.depth == Depth::All;
        let next = match self.step {
            Step::Links | Step::Addresses | Step::Routes => {
                match self.receive(machine, at, visitor) {
                    Dump::More => return true,
                    Dump::Over if self.step == Step::Links => {
                        if let Some(space) = machine.spaces.get_mut(at) {
                            space.interfaces.sort_unstable_by_key(|interface| interface.index);
                            space.interfaces.dedup_by_key(|interface| interface.index);
                            space.seen = true;
                        }
                        all.then_some(Step::Drivers(0))
                    }
                    Dump::Over if self.step == Step::Addresses => {
                        let begun = self.socket.send(&Request::dump_routes(3)).is_ok();
                        Some(if begun { Step::Routes } else { self.ask(false) })
                    }
                    Dump::Over => Some(self.ask(false)),
                }
            }
            Step::Drivers(which) => {
                let interface =
                    machine.spaces.get_mut(at).and_then(|s| s.interfaces.get_mut(which));
                if let Some(interface) = interface {
                    if let Ok(card) = visitor.ethtool.ask(self.socket.as_fd(), &interface.name) {
                        interface.driver = name_of(card.driver.as_bytes());
                        interface.bus = name_of(card.bus.as_bytes());
                    }
                    Some(Step::Drivers(which.saturating_add(1)))
                } else {
                    let begun = self.socket.send(&Request::dump_addresses(2)).is_ok();
                    Some(if begun { Step::Addresses } else { self.ask(false) })
                }
            }
            Step::Connections(v6) => match self.connections(machine, at, visitor) {
                Ok(Dump::More) => return true,
                Ok(Dump::Over) if !v6 => Some(self.ask(true)),
                Ok(Dump::Over) => {
                    self.tables.retain(|(_, protocol)| *protocol != "TCP");
                    Some(Step::Sockets)
                }
                // A kernel without it: the tables say the same.
                Err(_) => {
                    self.diag = None;
                    if let Some(space) = machine.spaces.get_mut(at) {
                        space.sockets.clear();
                    }
                    Some(Step::Sockets)
                }
            },
            Step::Sockets => self.read(machine, at, visitor).then_some(Step::Sockets),
        };
        match next {
            Some(next) => self.step = next,
            None => return false,
        }
        true
    }

    /// Takes one datagram of the present dump.
    fn receive(&mut self, machine: &mut Machine, at: usize, visitor: &mut Visitor) -> Dump {
        let Some(space) = machine.spaces.get_mut(at) else { return Dump::Over };
        let (sequence, request) = match self.step {
            Step::Links => (1, Request::dump_links as fn(u32) -> Vec<u8>),
            Step::Addresses => (2, Request::dump_addresses as _),
            _ => (3, Request::dump_routes as _),
        };
        let Visitor { buffer, interfaces, addresses, routes, .. } = visitor;
        let bytes = match self.socket.receive(buffer) {
            Ok(Received::Messages(bytes)) => bytes,
            Ok(Received::Lost) if self.retries < MAX_RETRIES => {
                self.retries = self.retries.saturating_add(1);
                // A dump that is still under way refuses another one.
                let again = self.socket.send(&request(sequence));
                return if again.is_ok() { Dump::More } else { Dump::Over };
            }
            Ok(Received::Lost | Received::Nothing) | Err(_) => return Dump::Over,
        };
        let left_out = &mut machine.left_out;
        let mut full = false;
        for raw in Messages::new(bytes) {
            if raw.sequence != sequence {
                continue;
            }
            match Message::decode(&raw) {
                Ok(Message::NewLink(link)) => {
                    let Some(interface) = Interface::of(&link) else { continue };
                    if room(interfaces, MAX_INTERFACES, &mut left_out.interfaces) {
                        space.interfaces.push(interface);
                    }
                }
                Ok(Message::NewAddress(address)) => {
                    let list = &mut space.interfaces;
                    let found =
                        list.binary_search_by_key(&address.ifindex, |interface| interface.index);
                    let interface = found.ok().and_then(|at| list.get_mut(at));
                    if let Some(interface) = interface
                        && room(addresses, MAX_ADDRESSES, &mut left_out.addresses)
                    {
                        interface.addresses.push(address);
                    }
                }
                Ok(Message::NewRoute(route)) => {
                    full = space.routes.len() >= MAX_ROUTES;
                    if !matches!(route.family, 2 | 10) || route.is_cache || full {
                        left_out.routes = left_out.routes.saturating_add(u64::from(full));
                        continue;
                    }
                    // One entry for each way of a route of several.
                    let mut hops = route.hops().peekable();
                    let none = hops.peek().is_none().then_some((0, None));
                    for (index, gateway) in hops.chain(none) {
                        if room(routes, MAX_ALL_ROUTES, &mut left_out.routes) {
                            space.routes.push(Route {
                                family: route.family,
                                kind: route.kind,
                                prefix: route.prefix,
                                preference: route.preference,
                                destination: route.destination,
                                gateway,
                                index: Some(index).filter(|index| *index != 0),
                                priority: route.priority,
                                table: route.table,
                            });
                        }
                    }
                }
                Ok(Message::Done { .. } | Message::Error { .. }) => return Dump::Over,
                _ => {}
            }
        }
        // A router with all routes of the world: enough is enough.
        if full { Dump::Over } else { Dump::More }
    }

    /// Asks for connections, where that is of use; what comes next.
    fn ask(&mut self, v6: bool) -> Step {
        let asked = self.diag.as_ref().map(|diag| diag.send(&Connection::dump(4, v6)));
        match asked {
            Some(Ok(())) => Step::Connections(v6),
            _ => {
                self.diag = None;
                if v6 {
                    // Half of it is known; the tables would tell that again.
                    self.tables.retain(|(_, protocol)| *protocol != "TCP");
                }
                Step::Sockets
            }
        }
    }

    /// Takes one datagram with connections.
    fn connections(
        &self,
        machine: &mut Machine,
        at: usize,
        visitor: &mut Visitor,
    ) -> io::Result<Dump> {
        let diag = self.diag.as_ref().ok_or(ErrorKind::NotFound)?;
        let space = machine.spaces.get_mut(at).ok_or(ErrorKind::NotFound)?;
        let Received::Messages(bytes) = diag.receive(&mut visitor.buffer)? else {
            return Err(ErrorKind::InvalidData.into());
        };
        let mut full = false;
        for raw in Messages::new(bytes).filter(|raw| raw.sequence == 4) {
            if let Ok(Some(found)) = Connection::parse(&raw) {
                let Connection { state, local, remote, inode } = found;
                let socket = Line { protocol: "TCP", local, remote, state, inode: inode.into() };
                full |= !add(space, socket, &mut visitor.sockets, &mut machine.left_out.sockets);
                continue;
            }
            match Message::decode(&raw) {
                Ok(Message::Done { errno: 0 }) => return Ok(Dump::Over),
                Ok(Message::Done { errno } | Message::Error { errno }) => {
                    return Err(io::Error::from_raw_os_error(errno));
                }
                _ => {}
            }
        }
        Ok(if full { Dump::Over } else { Dump::More })
    }

    /// Reads a piece of a table; `false` once all are read.
    fn read(&mut self, machine: &mut Machine, at: usize, visitor: &mut Visitor) -> bool {
        let Some((file, protocol)) = self.tables.last_mut() else { return false };
        let mut piece = [0; PIECE];
        let count = file.read(&mut piece).unwrap_or(0);
        self.rest.extend_from_slice(piece.get(..count).unwrap_or_default());
        let Some(space) = machine.spaces.get_mut(at) else { return false };
        let end = self.rest.iter().rposition(|b| *b == b'\n').unwrap_or(0);
        let mut full = false;
        for line in self.rest.get(..end).unwrap_or_default().split(|b| *b == b'\n') {
            let Ok(line) = std::str::from_utf8(line) else { continue };
            let Some(socket) = Line::parse(line, protocol) else { continue };
            full |= !add(space, socket, &mut visitor.sockets, &mut machine.left_out.sockets);
        }
        self.rest.drain(..end);
        if count == 0 || full || self.rest.len() > PIECE {
            self.rest.clear();
            self.tables.pop();
        }
        true
    }
}

enum Dump {
    More,
    Over,
}

/// Notes a socket, if there is room.
fn add(space: &mut Space, socket: Line, used: &mut usize, left_out: &mut u64) -> bool {
    if space.sockets.len() >= MAX_SOCKETS {
        *left_out = left_out.saturating_add(1);
        return false;
    }
    let fits = room(used, MAX_ALL_SOCKETS, left_out);
    if fits {
        space.sockets.push(Port { socket, owners: Vec::new() });
    }
    fits
}

/// Whether there is room for one more; if not, it is counted.
fn room(used: &mut usize, most: usize, left_out: &mut u64) -> bool {
    if *used >= most {
        *left_out = left_out.saturating_add(1);
        return false;
    }
    *used = used.saturating_add(1);
    true
}
