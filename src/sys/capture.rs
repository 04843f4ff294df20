//! A packet socket of one interface, with a ring where the kernel has one and without where not:
//! both hand out the same frames.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd, RawFd};

use crate::sys::plain::{self, Plain};
use crate::sys::ring::{self, Ring};
use crate::sys::socket;

pub use crate::wire::raw::{Kind, RawFrame};

/// The longest snap length: what libpcap asks for, larger than any offloaded frame.
pub const MAX_SNAPLEN: u32 = 262_144;

/// How to open a packet socket.
#[derive(Clone, Copy, Debug)]
pub struct Config<'a> {
    /// The interface by its index in the current network namespace; 0 for all of them.
    pub ifindex: u32,
    /// Bytes of one ring block; rounded up to whole pages.
    pub block_size: u32,
    /// Blocks in the ring.
    pub blocks: u32,
    /// Milliseconds after which a block that isn't full is handed over.
    pub timeout_ms: u32,
    /// Bytes kept of each frame. With a `filter`, what the filter returns decides instead.
    pub snaplen: u32,
    /// Ask the card for frames that aren't addressed to this machine.
    pub promiscuous: bool,
    /// Leave out what this machine sends itself.
    pub ignore_outgoing: bool,
    /// Cut off the link header (`SOCK_DGRAM`): for link types whose header no decoder knows.
    pub cooked: bool,
    /// Classic BPF instructions: code, jump if true, jump if false, operand.
    pub filter: &'a [(u16, u8, u8, u32)],
    /// Which kind of socket to use.
    pub method: Method,
}

/// Which kind of packet socket to use.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Method {
    /// The ring, or batches of `recvmmsg` where the kernel has no ring or no memory for it.
    #[default]
    Auto,
    /// Batches of `recvmmsg`.
    Plain,
    /// The ring or nothing.
    Ring,
}

/// Frames handed out together at most.
pub const BATCH: usize = 16;

/// What one call of `drain` did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Drained {
    /// Frames handed out.
    pub frames: u32,
    /// The budget ended it: there may be more, call again without waiting for readiness.
    pub more: bool,
}

/// Losses since the last reading.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    /// Frames that passed the filter, lost ones included.
    pub packets: u32,
    /// Frames lost because there was no room.
    pub drops: u32,
    /// Times the ring was found full.
    pub freezes: u32,
}

/// Which step of opening failed, and why.
#[derive(Debug)]
pub struct Error {
    /// The step, such as `bind`.
    pub step: &'static str,
    /// What the kernel said.
    pub source: io::Error,
}

impl Error {
    /// For `map_err`: names the step that was under way.
    pub(super) fn at(step: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { step, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.source)
    }
}

impl std::error::Error for Error {}

/// An open packet socket.
#[derive(Debug)]
pub enum Socket {
    /// With batches of `recvmmsg`.
    Plain(Plain),
    /// With a ring shared with the kernel.
    Ring(Ring),
}

impl Socket {
    /// Opens the socket and binds it; from here on frames are collected.
    ///
    /// # Errors
    ///
    /// The step that failed. A kernel without rings, or without memory for one, is no failure
    /// under [`Method::Auto`].
    pub fn open(config: &Config<'_>) -> Result<Self, Error> {
        match config.method {
            Method::Plain => Plain::open(config).map(Self::Plain),
            Method::Ring => Ring::open(config).map(Self::Ring),
            Method::Auto => match Ring::open(config) {
                Ok(ring) => Ok(Self::Ring(ring)),
                Err(e) if Ring::is_unsupported(&e) => Plain::open(config).map(Self::Plain),
                Err(e) => Err(e),
            },
        }
    }

    /// Hands out up to `budget` frames, at most [`BATCH`] of them at a time.
    pub fn drain(&mut self, budget: u32, f: impl FnMut(&[RawFrame<'_>])) -> Drained {
        match self {
            Self::Plain(plain) => plain.drain(budget, f),
            Self::Ring(ring) => ring.drain(budget, f),
        }
    }

    /// Reads the kernel's loss counters, which starts them again from zero.
    ///
    /// # Errors
    ///
    /// None that can be mended.
    pub fn statistics(&self) -> io::Result<Statistics> {
        match self {
            Self::Plain(plain) => plain.statistics(),
            Self::Ring(ring) => ring.statistics(),
        }
    }

    /// What reads the loss counters while frames are being handed out.
    ///
    /// # Errors
    ///
    /// When there are no descriptors left.
    pub fn losses(&self) -> io::Result<Losses> {
        let (fd, ring) = match self {
            Self::Plain(plain) => (plain.as_fd(), false),
            Self::Ring(ring) => (ring.as_fd(), true),
        };
        Ok(Losses { fd: fd.try_clone_to_owned()?, ring })
    }

    /// Asks one more card for frames that aren't addressed to this machine: of a socket that is
    /// bound to none.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn promiscuous(&self, ifindex: u32) -> io::Result<()> {
        let fd = match self {
            Self::Plain(plain) => plain.as_fd(),
            Self::Ring(ring) => ring.as_fd(),
        };
        ring::promiscuous(fd, ifindex)
    }

    /// The pending error of the socket; reading clears it.
    ///
    /// # Errors
    ///
    /// `ENETDOWN` after the interface went down or away. The socket resumes by itself when the
    /// same interface comes up again.
    pub fn error(&self) -> io::Result<()> {
        match self {
            Self::Plain(plain) => plain.error(),
            Self::Ring(ring) => ring.error(),
        }
    }

    /// Bytes of memory shared with the kernel or held for it.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            Self::Plain(plain) => plain.memory(),
            Self::Ring(ring) => ring.memory(),
        }
    }
}

/// Reads the loss counters of a socket.
#[derive(Debug)]
pub struct Losses {
    fd: OwnedFd,
    ring: bool,
}

impl Losses {
    /// Reads them, which starts them again from zero.
    ///
    /// # Errors
    ///
    /// None that can be mended.
    pub fn read(&self) -> io::Result<Statistics> {
        if self.ring {
            ring::statistics(self.fd.as_fd())
        } else {
            plain::statistics(self.fd.as_fd())
        }
    }
}

/// Whether packet sockets are permitted at all.
///
/// # Errors
///
/// `EPERM` without CAP_NET_RAW.
pub fn probe() -> io::Result<()> {
    socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0).map(drop)
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Plain(plain) => plain.as_raw_fd(),
            Self::Ring(ring) => ring.as_raw_fd(),
        }
    }
}
