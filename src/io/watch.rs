//! Keeps in step with the kernel what is known of one network namespace: joins the groups, dumps
//! everything once, follows what changes, and dumps again when messages were lost. Where the
//! messages go is a [`Sink`]'s business.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::counters::Counters;
use crate::sys::netlink::{Buffer, Received, Socket, groups};
use crate::time::{Clock, Tick};
use crate::topology::links::{Change, Links};
use crate::topology::spaces::{SpaceKey, Spaces};
use crate::wire::netlink::{Message, Messages, Request};

/// What is dumped, in this order: the later ones name interfaces of the first. The kernel does
/// one dump at a time for a socket.
const DUMPS: [fn(u32) -> Vec<u8>; 5] = [
    Request::dump_links,
    Request::dump_addresses,
    Request::dump_routes,
    Request::dump_neighbours,
    Request::dump_forwarding,
];

/// What the kernel changes without a word now and then: entries for multicast groups come
/// unannounced. They are dumped again from time to time.
const QUIET: [fn(u32) -> Vec<u8>; 2] = [Request::dump_neighbours, Request::dump_forwarding];

/// Where messages go.
pub trait Sink {
    /// Everything is about to be dumped.
    fn begin_sync(&mut self);
    /// One message.
    fn apply(&mut self, message: &Message<'_>);
    /// Everything was dumped: what no message mentioned is not there.
    fn end_sync(&mut self);
    /// Neighbours and forwarding databases are about to be dumped.
    fn begin_neighbours(&mut self);
    /// They were dumped: what no message mentioned is not there.
    fn end_neighbours(&mut self);
}

/// Takes the messages of a namespace into the map, and those of the agent's own into the table
/// of its interfaces as well.
#[derive(Debug)]
pub struct Follower<'a> {
    /// The map.
    pub spaces: &'a mut Spaces,
    /// The namespace that the messages are of.
    pub key: SpaceKey,
    /// The table of interfaces, and what changed in it.
    pub links: Option<(&'a mut Links, &'a mut Vec<Change>)>,
    /// When the messages are read.
    pub clock: Clock,
}

impl Sink for Follower<'_> {
    fn begin_sync(&mut self) {
        self.spaces.begin_sync(self.key);
        if let Some((links, _)) = &mut self.links {
            links.begin_sync();
        }
    }

    fn apply(&mut self, message: &Message<'_>) {
        self.spaces.apply(self.key, message, &self.clock);
        if let Some((links, changes)) = &mut self.links {
            links.apply(message, self.clock.tick, changes);
        }
    }

    fn end_sync(&mut self) {
        self.spaces.end_sync(self.key);
        if let Some((links, changes)) = &mut self.links {
            links.end_sync(self.clock.tick, changes);
        }
    }

    fn begin_neighbours(&mut self) {
        self.spaces.begin_neighbours(self.key);
    }

    fn end_neighbours(&mut self) {
        self.spaces.end_neighbours(self.key);
    }
}

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
    /// What is announced is known, and what is not is being dumped.
    Refreshing { stage: usize, since: Tick },
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
    pub fn start(&mut self, sink: &mut dyn Sink, now: Tick) {
        self.lost = false;
        sink.begin_sync();
        self.ask(0, now);
    }

    /// Asks for all interfaces, to have their counters fresh.
    ///
    /// # Errors
    ///
    /// As sendto(2).
    pub fn refresh_all(&self) -> io::Result<()> {
        self.socket.send(&Request::dump_links(0))
    }

    /// Asks for what is not announced, unless something else is being asked for.
    pub fn refresh_neighbours(&mut self, sink: &mut dyn Sink, now: Tick) {
        if matches!(self.state, State::Synced) {
            self.lost = false;
            sink.begin_neighbours();
            self.ask_quiet(0, now);
        }
    }

    /// Asks for one interface.
    ///
    /// # Errors
    ///
    /// As sendto(2).
    pub fn refresh(&self, ifindex: u32) -> io::Result<()> {
        self.socket.send(&Request::link(0, ifindex))
    }

    /// Reads up to `budget` datagrams; true if it stopped there and must be called again.
    pub fn ready(
        &mut self,
        sink: &mut dyn Sink,
        now: Tick,
        budget: u32,
        counters: &mut Counters,
        buffer: &mut Buffer,
    ) -> bool {
        for _ in 0..budget {
            match self.socket.receive(buffer) {
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
                            _ => sink.apply(&message),
                        }
                    }
                    if let State::Dumping { stage, .. } = self.state {
                        self.state = State::Dumping { stage, since: now };
                    }
                    if let Some(errno) = done {
                        self.lost |= errno == libc::EBUSY || errno == libc::EINTR;
                        self.advance(sink, now, counters);
                    }
                }
                Ok(Received::Lost) => self.overrun(now, counters),
                Ok(Received::Nothing) | Err(_) => return false,
            }
        }
        true
    }

    /// Does what is due at [`Self::deadline`].
    pub fn expire(&mut self, sink: &mut dyn Sink, now: Tick, counters: &mut Counters) {
        match self.state {
            State::Waiting { until } if now >= until => self.start(sink, now),
            State::Dumping { since, .. } | State::Refreshing { since, .. }
                if now.since(since) >= PATIENCE =>
            {
                self.retry(now, counters);
            }
            _ => {}
        }
    }

    /// When [`Self::expire`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        match self.state {
            State::Dumping { since, .. } | State::Refreshing { since, .. } => {
                Some(since.plus(PATIENCE))
            }
            State::Synced => None,
            State::Waiting { until } => Some(until),
        }
    }

    /// Whether what is known is complete as of the last message.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        matches!(self.state, State::Synced | State::Refreshing { .. })
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

    fn ask_quiet(&mut self, stage: usize, now: Tick) {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let Some(request) = QUIET.get(stage) else { return };
        self.state = match self.socket.send(&request(self.sequence)) {
            Ok(()) => State::Refreshing { stage, since: now },
            Err(_) => State::Synced,
        };
    }

    /// A dump of what is not announced has ended; if anything was lost, the next time will do.
    fn advance_quiet(&mut self, stage: usize, sink: &mut dyn Sink, now: Tick) {
        let next = stage.saturating_add(1);
        if self.lost {
            self.state = State::Synced;
        } else if next < QUIET.len() {
            self.ask_quiet(next, now);
        } else {
            self.state = State::Synced;
            sink.end_neighbours();
        }
    }

    /// A dump has ended.
    fn advance(&mut self, sink: &mut dyn Sink, now: Tick, counters: &mut Counters) {
        let stage = match self.state {
            State::Dumping { stage, .. } => stage,
            State::Refreshing { stage, .. } => return self.advance_quiet(stage, sink, now),
            State::Synced | State::Waiting { .. } => return,
        };
        let next = stage.saturating_add(1);
        if self.lost {
            self.retry(now, counters);
        } else if next < DUMPS.len() {
            self.ask(next, now);
        } else {
            self.failures = 0;
            self.state = State::Synced;
            sink.end_sync();
        }
    }

    /// Messages were lost: a dump under way is finished first, as the kernel has only room for one.
    fn overrun(&mut self, now: Tick, counters: &mut Counters) {
        match self.state {
            State::Dumping { .. } => self.lost = true,
            State::Synced | State::Refreshing { .. } => self.retry(now, counters),
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

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Watch {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
