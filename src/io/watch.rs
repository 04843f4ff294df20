//! Keeps the table of interfaces in step with the kernel: joins the groups, dumps everything
//! once, follows what changes, and dumps again when messages were lost.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use crate::counters::Counters;
use crate::sys::netlink::{Received, Socket, groups};
use crate::time::Tick;
use crate::topology::links::{Change, Links};
use crate::wire::netlink::{Message, Messages, Request};

/// What is dumped, in this order: the later ones name interfaces of the first. The kernel does
/// one dump at a time for a socket.
const DUMPS: [fn(u32) -> Vec<u8>; 4] =
    [Request::dump_links, Request::dump_addresses, Request::dump_routes, Request::dump_neighbours];

/// Wait before a dump is repeated: doubled each time it fails again, so that a storm of changes
/// isn't answered by a storm of dumps.
const FIRST_WAIT_MS: u64 = 20;
const LONGEST_WAIT_MS: u64 = 2_000;

/// A dump that makes no progress for this long is asked for again.
const PATIENCE: u64 = 5_000_000;

/// The netlink socket of one namespace and the dump under way.
#[derive(Debug)]
pub struct Watch {
    socket: Socket,
    sequence: u32,
    state: State,
    /// Messages were lost since the dumps began.
    lost: bool,
    /// Dumps that failed in a row.
    failures: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A dump is under way.
    Dumping { stage: usize, since: Tick },
    /// What is known is what is.
    Synced,
    /// All will be dumped again at this moment.
    Waiting { until: Tick },
}

impl Watch {
    /// Opens the socket in the current namespace and joins all groups; nothing is dumped before
    /// [`Self::start`]. About `room` bytes of messages may wait to be read.
    ///
    /// # Errors
    ///
    /// As socket(2).
    pub fn open(room: u32) -> io::Result<Self> {
        Ok(Self {
            socket: Socket::open(groups::ALL, room)?,
            sequence: 0,
            state: State::Waiting { until: Tick(0) },
            lost: false,
            failures: 0,
        })
    }

    /// Asks for everything.
    pub fn start(&mut self, links: &mut Links, now: Tick) {
        self.lost = false;
        links.begin_sync();
        self.ask(0, now);
    }

    /// Asks for all interfaces, to have their counters fresh.
    ///
    /// # Errors
    ///
    /// As sendto(2).
    pub fn refresh_all(&mut self) -> io::Result<()> {
        self.socket.send(&Request::dump_links(0))
    }

    /// Reads up to `budget` datagrams; true if it stopped there and must be called again.
    pub fn ready(
        &mut self,
        links: &mut Links,
        now: Tick,
        budget: u32,
        counters: &mut Counters,
        changes: &mut Vec<Change>,
    ) -> bool {
        for _ in 0..budget {
            match self.socket.receive() {
                Ok(Received::Messages(bytes)) => {
                    let mut done = None;
                    for raw in Messages::new(bytes) {
                        let ours = raw.sequence == self.sequence && raw.sequence != 0;
                        self.lost |= ours && raw.is_interrupted();
                        let Ok(message) = Message::decode(&raw) else {
                            continue;
                        };
                        match message {
                            Message::Done { errno } | Message::Error { errno } if ours => {
                                done = Some(errno);
                            }
                            _ => links.apply(&message, now, changes),
                        }
                    }
                    if let State::Dumping { stage, .. } = self.state {
                        self.state = State::Dumping { stage, since: now };
                    }
                    if let Some(errno) = done {
                        self.lost |= errno == libc::EBUSY || errno == libc::EINTR;
                        self.advance(links, now, counters, changes);
                    }
                }
                Ok(Received::Lost) => self.overrun(now, counters),
                Ok(Received::Nothing) | Err(_) => return false,
            }
        }
        true
    }

    /// Does what is due at [`Self::deadline`].
    pub fn expire(&mut self, links: &mut Links, now: Tick, counters: &mut Counters) {
        match self.state {
            State::Waiting { until } if now >= until => self.start(links, now),
            State::Dumping { since, .. } if now.since(since) >= PATIENCE => {
                self.retry(now, counters);
            }
            _ => {}
        }
    }

    /// When [`Self::expire`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        match self.state {
            State::Dumping { since, .. } => Some(since.plus(PATIENCE)),
            State::Synced => None,
            State::Waiting { until } => Some(until),
        }
    }

    /// Whether the table is complete as of the last message.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        matches!(self.state, State::Synced)
    }

    fn ask(&mut self, stage: usize, now: Tick) {
        // 0 is the number of notifications.
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let Some(request) = DUMPS.get(stage) else {
            return;
        };
        self.state = match self.socket.send(&request(self.sequence)) {
            Ok(()) => State::Dumping { stage, since: now },
            Err(_) => State::Waiting { until: now.plus(LONGEST_WAIT_MS.saturating_mul(1_000)) },
        };
    }

    /// A dump has ended.
    fn advance(
        &mut self,
        links: &mut Links,
        now: Tick,
        counters: &mut Counters,
        changes: &mut Vec<Change>,
    ) {
        let State::Dumping { stage, .. } = self.state else {
            return;
        };
        let next = stage.saturating_add(1);
        if self.lost {
            self.retry(now, counters);
        } else if next < DUMPS.len() {
            self.ask(next, now);
        } else {
            self.failures = 0;
            self.state = State::Synced;
            links.end_sync(now, changes);
        }
    }

    /// Messages were lost: a dump under way is finished first, as the kernel has only room for one.
    fn overrun(&mut self, now: Tick, counters: &mut Counters) {
        match self.state {
            State::Dumping { .. } => self.lost = true,
            State::Synced => self.retry(now, counters),
            State::Waiting { .. } => {}
        }
    }

    fn retry(&mut self, now: Tick, counters: &mut Counters) {
        counters.netlink_resyncs = counters.netlink_resyncs.saturating_add(1);
        let factor = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let wait = FIRST_WAIT_MS.saturating_mul(factor).min(LONGEST_WAIT_MS);
        self.failures = self.failures.saturating_add(1);
        let until = now.plus(wait.saturating_mul(1_000));
        self.state = State::Waiting { until };
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
