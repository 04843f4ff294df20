//! Which interface of which namespace is at the other end of, or below, another one. Namespaces
//! call each other by numbers of their own; the kernel is asked which is which.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;

use crate::netns::Machine;
use crate::sys::netlink::{Buffer, Received, Socket};
use crate::sys::netns::Namespace;
use crate::wire::netlink::{Message, Messages, Request};

use super::visit;

/// Questions to the kernel in one scan; what is not known by then is not told.
const MAX_QUESTIONS: u32 = 8_192;

/// Bytes of netlink messages that may wait.
const ROOM: u32 = 16 * 1024;

/// The search.
pub(super) struct Relations {
    /// The interface that is next.
    space: usize,
    interface: usize,
    /// The namespaces that its other end may be in, the likely ones last.
    candidates: Option<Vec<usize>>,
    /// Ends of pairs whose other end is elsewhere, by their own number and that of the other.
    pairs: HashMap<(u32, u32), Vec<usize>>,
    /// What was asked before: whom a namespace calls by a number.
    known: HashMap<(usize, i32), Option<usize>>,
    /// The number of the second in the first.
    numbers: HashMap<(usize, usize), Option<u32>>,
    questions: u32,
    buffer: Buffer,
}

impl Relations {
    /// A search among what was found.
    pub(super) fn new(machine: &Machine) -> Self {
        let mut pairs: HashMap<(u32, u32), Vec<usize>> = HashMap::new();
        for (at, space) in machine.spaces.iter().enumerate() {
            for interface in space.interfaces.iter().filter(|i| i.parent_space.is_some()) {
                if &*interface.kind == "veth"
                    && let Some(parent) = interface.parent
                {
                    pairs.entry((interface.index, parent)).or_default().push(at);
                }
            }
        }
        Self {
            space: 0,
            interface: 0,
            candidates: None,
            pairs,
            known: HashMap::new(),
            numbers: HashMap::new(),
            questions: 0,
            buffer: Buffer::default(),
        }
    }

    /// Does the next small thing; `false` once all is done.
    pub(super) fn step(&mut self, machine: &mut Machine, home: Option<&Namespace>) -> bool {
        let Some(space) = machine.spaces.get(self.space) else { return false };
        let Some(interface) = space.interfaces.get(self.interface) else {
            (self.space, self.interface) = (self.space.saturating_add(1), 0);
            return true;
        };
        let relates = interface.is_on_top() || &*interface.kind == "veth";
        let Some(parent) = interface.lower().filter(|_| relates) else {
            self.interface = self.interface.saturating_add(1);
            return true;
        };
        let Some(number) = interface.parent_space else {
            let here = self.space;
            self.settle(machine, Some(here), parent);
            return true;
        };
        if let Some(found) = self.known.get(&(self.space, number)) {
            let found = *found;
            self.settle(machine, found, parent);
            return true;
        }
        if self.candidates.is_none() {
            let has = |at: &usize| {
                let space = machine.spaces.get(*at);
                space.is_some_and(|space| space.interface(parent).is_some())
            };
            let mut all: Vec<usize> = if &*interface.kind == "veth" {
                let index = interface.index;
                self.pairs.get(&(parent, index)).cloned().unwrap_or_default()
            } else {
                // What is on top of something elsewhere most often came from the agent's own.
                (0..machine.spaces.len()).rev().filter(has).collect()
            };
            all.retain(|at| *at != self.space);
            self.candidates = Some(all);
        }
        let next = self.candidates.as_mut().and_then(Vec::pop);
        match next.filter(|_| self.questions < MAX_QUESTIONS) {
            Some(candidate) => {
                if self.number(machine, home, candidate) == u32::try_from(number).ok() {
                    self.known.insert((self.space, number), Some(candidate));
                }
            }
            None => {
                self.known.insert((self.space, number), None);
            }
        }
        true
    }

    /// Notes where the other end is, and goes on to the next interface.
    fn settle(&mut self, machine: &mut Machine, found: Option<usize>, index: u32) {
        let there = found.and_then(|at| machine.spaces.get(at));
        let other = there.filter(|space| space.interface(index).is_some());
        let other = other.map(|space| (space.inode, index));
        let Some(space) = machine.spaces.get_mut(self.space) else { return };
        let inode = space.inode;
        let Some(interface) = space.interfaces.get_mut(self.interface) else { return };
        interface.other = other;
        let named = matches!(&*interface.kind, "macvlan" | "macvtap")
            .then(|| (inode, interface.index, interface.name.clone()));
        if let (Some(named), Some(at)) = (named, found.filter(|_| other.is_some())) {
            let list = machine.spaces.get_mut(at).map(|space| &mut space.interfaces);
            let below = list.and_then(|list| {
                let at = list.binary_search_by_key(&index, |interface| interface.index).ok()?;
                list.get_mut(at)
            });
            if let Some(below) = below {
                below.macvlans.push(named);
            }
        }
        self.candidates = None;
        self.interface = self.interface.saturating_add(1);
    }

    /// The number of a namespace in the present one.
    fn number(
        &mut self,
        machine: &mut Machine,
        home: Option<&Namespace>,
        about: usize,
    ) -> Option<u32> {
        let key = (self.space, about);
        if let Some(known) = self.numbers.get(&key) {
            return *known;
        }
        self.questions = self.questions.saturating_add(1);
        let number = ask(machine, home, self.space, about, &mut self.buffer).ok().flatten();
        self.numbers.insert(key, number);
        number
    }
}

fn ask(
    machine: &mut Machine,
    home: Option<&Namespace>,
    asker: usize,
    about: usize,
    buffer: &mut Buffer,
) -> io::Result<Option<u32>> {
    let space = machine.spaces.get(about).ok_or(ErrorKind::NotFound)?;
    let opened;
    let about = match home {
        Some(home) if home.identity().inode == space.inode => home,
        _ => {
            opened = visit::find(machine, space)?.0;
            &opened
        }
    };
    let socket = visit::open(machine, asker, home, || Socket::open(0, ROOM))?;
    socket.send(&Request::namespace_id(1, about.as_raw_fd()))?;
    let Received::Messages(bytes) = socket.receive(buffer)? else { return Ok(None) };
    for raw in Messages::new(bytes) {
        if let Ok(Message::NamespaceId(id)) = Message::decode(&raw) {
            return Ok(id);
        }
    }
    Ok(None)
}
