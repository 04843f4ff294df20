//! The open packet sockets: which interfaces have one follows the table of interfaces and the
//! selection; counters stay with an interface while it is renamed or away.
//!
//! A socket stays open while its interface is set down: it resumes by itself. It is closed when
//! the interface goes away or is no longer chosen, and opened anew when one with a chosen name
//! appears. What can't be opened is tried again after 1 s, doubled up to 30 s.

use std::os::fd::{AsRawFd as _, RawFd};

use crate::counters::Counters;
use crate::source::Frame;
use crate::sys::capture::{BATCH, Config, Drained, Error, Method, RawFrame, Socket, Statistics};
use crate::time::{Clock, Tick};
use crate::topology::link::{CaptureAs, Link};
use crate::topology::links::Links;
use crate::topology::pick::{Selection, pick};
use crate::topology::sorted::Sorted;

use super::frames;

const FIRST_RETRY: u64 = 1_000_000;
const LONGEST_RETRY: u64 = 30_000_000;

/// How often the kernel is asked for losses.
const STATISTICS_EVERY: u64 = 1_000_000;

/// All rings together, unless configured: this much or an eighth of the memory.
const MAX_RINGS: u64 = 16 << 20;

/// Above this much memory rings are of the larger kind.
const LARGE_MACHINE: u64 = 128 << 20;

/// The smallest ring that is worth opening.
const SMALLEST_BLOCK: u32 = 64 << 10;
const FEWEST_BLOCKS: u32 = 2;

/// How to capture.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which interfaces.
    pub selection: Selection,
    /// Ask the cards for frames that aren't addressed to this machine.
    pub promiscuous: bool,
    /// Bytes kept of a frame.
    pub snaplen: u32,
    /// KiB of ring for each interface; by the size of the machine if not given.
    pub ring_kib: Option<u32>,
    /// KiB for all rings together; by the size of the machine if not given.
    pub total_kib: Option<u32>,
    /// Milliseconds after which frames are handed over that don't fill a block.
    pub timeout_ms: u32,
    /// Which kind of socket.
    pub method: Method,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            selection: Selection::default(),
            promiscuous: false,
            snaplen: 1_600,
            ring_kib: None,
            total_kib: None,
            timeout_ms: 60,
            method: Method::Auto,
        }
    }
}

/// What an interface has shown since the start, over all its sockets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Frames handed out.
    pub packets: u64,
    /// Their bytes on the wire.
    pub bytes: u64,
    /// Frames that the kernel had no room for.
    pub drops: u64,
    /// Times the ring was found full.
    pub freezes: u64,
    /// Times a socket was opened.
    pub opened: u64,
}

/// A descriptor that came or went, for registration with the poll.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// The descriptor is closed already, and with it its registration.
    Closed {
        /// The interface.
        slot: u16,
    },
    /// Register it for reading; frames may be there already.
    Opened {
        /// The interface.
        slot: u16,
        /// Counts the sockets of this slot, for the token.
        generation: u16,
        /// Borrowed: stays open until the next call of [`Captures::sync`].
        fd: RawFd,
    },
}

/// How an interface is doing.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// The interface.
    pub slot: u16,
    /// Its name, or the last it had.
    pub name: &'a str,
    /// A socket is open.
    pub open: bool,
    /// What went wrong and what to do, while that lasts.
    pub problem: Option<&'a str>,
    /// Bytes of ring; of the batch for a socket without.
    pub memory: usize,
    /// The socket has a ring.
    pub has_ring: bool,
    /// Its counters.
    pub totals: Totals,
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    ifindex: u32,
    /// Of the slot in the table of interfaces.
    owner: u32,
    /// Of the token.
    generation: u16,
    socket: Option<Socket>,
    link: CaptureAs,
    loopback: bool,
    totals: Totals,
    problem: Option<String>,
    retry: Option<Retry>,
}

#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Tick,
    wait: u64,
}

/// Some frames of an interface.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// What the engine takes.
    pub frames: &'a [Frame<'a>],
    /// As the socket gave them.
    pub raws: &'a [RawFrame<'a>],
    /// Number of the interface.
    pub ifindex: u32,
    /// They have no link header.
    pub cooked: bool,
}

/// The packet sockets of all interfaces, by slot.
#[derive(Debug)]
pub struct Captures {
    settings: Settings,
    ram: u64,
    entries: Sorted<u16, Entry>,
    changes: Vec<Change>,
    next_statistics: Tick,
}

impl Captures {
    /// Nothing is open before [`Self::sync`]. `ram` is the memory of the machine in bytes.
    #[must_use]
    pub fn new(settings: Settings, ram: u64) -> Self {
        Self {
            settings,
            ram,
            entries: Sorted::default(),
            changes: Vec::new(),
            next_statistics: Tick(0),
        }
    }

    /// Takes new settings. Sockets whose shape is other than before are opened anew by the next
    /// [`Self::sync`].
    pub fn configure(&mut self, settings: Settings, counters: &mut Counters) {
        if !self.settings.is_same_shape(&settings) {
            let slots: Vec<u16> = self.entries.iter().map(|(slot, _)| *slot).collect();
            for slot in slots {
                self.close(slot, counters);
            }
        }
        for entry in self.entries.values_mut() {
            entry.retry = None;
        }
        self.settings = settings;
    }

    /// Opens and closes what the table of interfaces asks for. Called after each change of it and
    /// at [`Self::deadline`].
    pub fn sync(&mut self, links: &Links, now: Tick, counters: &mut Counters) {
        let wanted = pick(links, &self.settings.selection);
        let unwanted: Vec<u16> = self
            .entries
            .iter()
            .filter(|(slot, entry)| {
                let same = links.get(**slot).is_some_and(|link| {
                    link.present && link.ifindex == entry.ifindex && link.generation == entry.owner
                });
                !same || wanted.binary_search(slot).is_err()
            })
            .map(|(slot, _)| *slot)
            .collect();
        for slot in unwanted {
            self.close(slot, counters);
        }
        // Those of interfaces whose slot was given away.
        self.entries
            .retain(|slot, entry| links.get(*slot).is_some_and(|l| l.generation == entry.owner));
        for slot in wanted {
            if let Some(link) = links.get(slot) {
                self.keep_open(slot, link, now, counters);
            }
        }
    }

    /// Descriptors that came or went since the last call.
    pub fn changes(&mut self) -> impl Iterator<Item = Change> + '_ {
        self.changes.drain(..)
    }

    /// Hands out up to `budget` frames of an interface, some at a time.
    #[inline]
    pub fn drain(
        &mut self,
        slot: u16,
        clock: &Clock,
        budget: u32,
        mut f: impl FnMut(&Batch<'_>),
    ) -> Drained {
        let Some(entry) = self.entries.get_mut(&slot) else {
            return Drained::default();
        };
        let Some(socket) = &mut entry.socket else {
            return Drained::default();
        };
        let (link, loopback, ifindex) = (entry.link, entry.loopback, entry.ifindex);
        let (mut packets, mut bytes) = (0_u64, 0_u64);
        let drained = socket.drain(budget, |raws| {
            let mut frames = [Frame::EMPTY; BATCH];
            let taken = frames::convert(raws, clock, slot, link, loopback, &mut frames);
            bytes = bytes.saturating_add(taken.bytes);
            packets = packets.saturating_add(taken.count as u64);
            let frames = frames.get(..taken.count).unwrap_or_default();
            f(&Batch { frames, raws, ifindex, cooked: link.cooked });
        });
        entry.totals.packets = entry.totals.packets.saturating_add(packets);
        entry.totals.bytes = entry.totals.bytes.saturating_add(bytes);
        drained
    }

    /// Whether an event with this generation is about the socket that is open now.
    #[must_use]
    pub fn is_current(&self, slot: u16, generation: u16) -> bool {
        let entry = self.entries.get(&slot);
        entry.is_some_and(|entry| entry.socket.is_some() && entry.generation == generation)
    }

    /// Takes the pending error after an error event. The interface being down is a state, not a
    /// failure; for anything else the socket is closed and opened again later.
    pub fn take_error(&mut self, slot: u16, now: Tick, counters: &mut Counters) {
        let Some(entry) = self.entries.get_mut(&slot) else {
            return;
        };
        let Some(Err(error)) = entry.socket.as_ref().map(Socket::error) else {
            return;
        };
        if error.raw_os_error() == Some(libc::ENETDOWN) {
            return;
        }
        let error = Error { step: "capture", source: error };
        self.close(slot, counters);
        if let Some(entry) = self.entries.get_mut(&slot) {
            entry.failed(&error, now);
        }
    }

    /// Reads the kernel's loss counters, once a second at most.
    pub fn poll_statistics(&mut self, now: Tick, counters: &mut Counters) {
        if now < self.next_statistics {
            return;
        }
        self.next_statistics = now.plus(STATISTICS_EVERY);
        for entry in self.entries.values_mut() {
            entry.read_statistics(counters);
        }
    }

    /// When [`Self::sync`] wants to be called without a change of the interfaces.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        self.entries.values().filter_map(|entry| entry.retry.map(|retry| retry.at)).min()
    }

    /// All interfaces that are or were captured.
    pub fn iter(&self) -> impl Iterator<Item = Status<'_>> {
        self.entries.iter().map(|(&slot, entry)| Status {
            slot,
            name: &entry.name,
            open: entry.socket.is_some(),
            problem: entry.problem.as_deref(),
            memory: entry.socket.as_ref().map_or(0, Socket::memory),
            has_ring: matches!(entry.socket, Some(Socket::Ring(_))),
            totals: entry.totals,
        })
    }

    /// Which interfaces were chosen by name.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.settings.selection
    }

    /// Opens the socket of an interface that should have one, unless it is open or it is too
    /// early to try again.
    fn keep_open(&mut self, slot: u16, link: &Link, now: Tick, counters: &mut Counters) {
        let budget = self.room();
        if !self.entries.contains_key(&slot) {
            self.entries.insert(slot, Entry::new(link));
        }
        let Some(entry) = self.entries.get_mut(&slot) else { return };
        if entry.name != link.name {
            entry.name = link.name.clone();
        }
        if entry.socket.is_some() {
            return;
        }
        if entry.ifindex != link.ifindex {
            entry.ifindex = link.ifindex;
            entry.retry = None;
        }
        if entry.retry.is_some_and(|retry| now < retry.at) {
            return;
        }
        entry.link = link.capture_as();
        entry.loopback = link.is_loopback();
        let Some((block_size, blocks)) = self.settings.ring(self.ram, budget) else {
            counters.capture_refused = counters.capture_refused.saturating_add(1);
            let text = "no room for another ring: watch fewer interfaces, lower ring_kib or raise \
                        the memory for rings";
            entry.wait(text.to_owned(), now);
            return;
        };
        let opened = Socket::open(&Config {
            ifindex: link.ifindex,
            block_size,
            blocks,
            timeout_ms: self.settings.timeout_ms,
            snaplen: self.settings.snaplen,
            promiscuous: self.settings.promiscuous && !entry.loopback,
            ignore_outgoing: entry.loopback,
            cooked: entry.link.cooked,
            filter: &[],
            method: self.settings.method,
        });
        match opened {
            Ok(socket) => {
                if entry.totals.opened > 0 {
                    counters.capture_reopens = counters.capture_reopens.saturating_add(1);
                }
                entry.totals.opened = entry.totals.opened.saturating_add(1);
                // As many bits as a token has for it.
                entry.generation = entry.generation.wrapping_add(1) & 0xfff;
                entry.problem = None;
                entry.retry = None;
                self.changes.push(Change::Opened {
                    slot,
                    generation: entry.generation,
                    fd: socket.as_raw_fd(),
                });
                entry.socket = Some(socket);
            }
            Err(error) => {
                counters.capture_refused = counters.capture_refused.saturating_add(1);
                entry.failed(&error, now);
            }
        }
    }

    fn close(&mut self, slot: u16, counters: &mut Counters) {
        let Some(entry) = self.entries.get_mut(&slot) else {
            return;
        };
        entry.problem = None;
        entry.retry = None;
        entry.read_statistics(counters);
        if entry.socket.take().is_some() {
            // Nobody has heard of a socket that was opened since the last call of `changes`.
            let unheard =
                |change: &Change| matches!(change, Change::Opened { slot: s, .. } if *s == slot);
            match self.changes.iter().position(unheard) {
                Some(at) => drop(self.changes.remove(at)),
                None => self.changes.push(Change::Closed { slot }),
            }
        }
    }

    /// Bytes left for another ring.
    fn room(&self) -> u64 {
        let used = self.entries.values().filter_map(|entry| entry.socket.as_ref());
        let used: usize = used.map(Socket::memory).fold(0, usize::saturating_add);
        let limit = match self.settings.total_kib {
            Some(kib) => u64::from(kib).saturating_mul(1_024),
            None => MAX_RINGS.min(self.ram / 8),
        };
        limit.saturating_sub(u64::try_from(used).unwrap_or(u64::MAX))
    }
}

impl Settings {
    /// Block size and number of blocks for the next ring: as configured or by the size of the
    /// machine, halved until it fits into what is left; `None` if not even the smallest does.
    fn ring(&self, ram: u64, left: u64) -> Option<(u32, u32)> {
        let (mut size, mut blocks) = match self.ring_kib {
            None if ram > LARGE_MACHINE => (256 << 10, 8),
            None => (128 << 10, 4),
            Some(kib) => {
                let bytes = kib.clamp(128, 1 << 20).saturating_mul(1_024);
                let (size, blocks) = match bytes {
                    0x0010_0000.. => (256 << 10, bytes >> 18),
                    0x0008_0000.. => (128 << 10, bytes >> 17),
                    _ => (SMALLEST_BLOCK, bytes >> 16),
                };
                (size, blocks.max(FEWEST_BLOCKS))
            }
        };
        while u64::from(size).saturating_mul(u64::from(blocks)) > left {
            if blocks > FEWEST_BLOCKS {
                blocks = (blocks / 2).max(FEWEST_BLOCKS);
            } else if size > SMALLEST_BLOCK {
                size /= 2;
            } else {
                return None;
            }
        }
        Some((size, blocks))
    }

    fn is_same_shape(&self, other: &Self) -> bool {
        (
            self.promiscuous,
            self.snaplen,
            self.ring_kib,
            self.total_kib,
            self.timeout_ms,
            self.method,
        ) == (
            other.promiscuous,
            other.snaplen,
            other.ring_kib,
            other.total_kib,
            other.timeout_ms,
            other.method,
        )
    }
}

impl Entry {
    fn new(link: &Link) -> Self {
        Self {
            name: link.name.clone(),
            ifindex: link.ifindex,
            owner: link.generation,
            generation: 0,
            socket: None,
            link: link.capture_as(),
            loopback: link.is_loopback(),
            totals: Totals::default(),
            problem: None,
            retry: None,
        }
    }

    fn failed(&mut self, error: &Error, now: Tick) {
        self.wait(explain(error), now);
    }

    fn wait(&mut self, problem: String, now: Tick) {
        let wait = self.retry.map_or(FIRST_RETRY, |retry| retry.wait.saturating_mul(2));
        let wait = wait.min(LONGEST_RETRY);
        self.problem = Some(problem);
        self.retry = Some(Retry { at: now.plus(wait), wait });
    }

    fn read_statistics(&mut self, counters: &mut Counters) {
        let Some(Ok(Statistics { drops, freezes, .. })) =
            self.socket.as_ref().map(Socket::statistics)
        else {
            return;
        };
        let (drops, freezes) = (u64::from(drops), u64::from(freezes));
        self.totals.drops = self.totals.drops.saturating_add(drops);
        self.totals.freezes = self.totals.freezes.saturating_add(freezes);
        counters.kernel_drops = counters.kernel_drops.saturating_add(drops);
        counters.ring_freezes = counters.ring_freezes.saturating_add(freezes);
    }
}

/// What failed and what to do about it.
pub(super) fn explain(error: &Error) -> String {
    let advice = match error.source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "needs CAP_NET_RAW: run as root or `setcap cap_net_raw,cap_net_admin=eip`"
        }
        Some(libc::ENODEV | libc::ENXIO) => "the interface went away: waiting for its return",
        Some(libc::ENETDOWN) => "the interface is down: waiting for it to come up",
        Some(libc::ENOMEM | libc::ENOBUFS) => "no memory for the ring: lower ring_kib",
        Some(libc::EMFILE | libc::ENFILE) => "out of descriptors: raise the limit (RLIMIT_NOFILE)",
        Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) => {
            "the kernel has no packet sockets (CONFIG_PACKET)"
        }
        _ => return error.to_string(),
    };
    format!("{}: {advice}", error.step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn rings_are_sized_by_the_machine_and_shrink_into_what_is_left() {
        let settings = Settings::default();
        let (small, large) = (64 << 20, 256 << 20);
        assert_eq!(settings.ring(small, small / 8), Some((128 << 10, 4)));
        assert_eq!(settings.ring(large, MAX_RINGS), Some((256 << 10, 8)));
        assert_eq!(settings.ring(large, 1 << 20), Some((256 << 10, 4)));
        assert_eq!(settings.ring(large, 300 << 10), Some((128 << 10, 2)));
        assert_eq!(settings.ring(large, 100 << 10), None);
        for (kib, expected) in [(1, (64 << 10, 2)), (600, (128 << 10, 4)), (8_192, (256 << 10, 32))]
        {
            let settings = Settings { ring_kib: Some(kib), ..Settings::default() };
            assert_eq!(settings.ring(large, MAX_RINGS), Some(expected), "{kib}");
        }
    }

    #[test]
    fn retries_are_further_and_further_apart() {
        let mut entry = Entry::new(&Link::default());
        let error = Error { step: "socket", source: io::Error::from_raw_os_error(libc::EPERM) };
        let mut now = Tick(0);
        let mut waits = Vec::new();
        for _ in 0..7 {
            entry.failed(&error, now);
            let at = entry.retry.unwrap().at;
            waits.push(at.since(now) / 1_000_000);
            now = at;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
        assert!(entry.problem.unwrap().starts_with("socket: needs CAP_NET_RAW"));
    }
}
