//! Front-ends: bytes in, bytes out. They translate between a protocol and the command layer and
//! know neither sockets nor clocks; `io` drives them, tests and fuzz targets do the same.

use crate::core::Agent;
use crate::time::Tick;

pub mod compat;
mod events;
pub mod http;
pub mod json;
pub mod mgmt;
pub mod sink;
pub mod stream;
mod tap;
pub mod unix;

/// One client of a stream protocol.
pub trait Connection {
    /// Takes bytes from the peer and says how many were consumed; what is left is offered again
    /// together with what arrives next. Consuming nothing of a full input buffer means that the
    /// request is too large, and the connection must say so.
    ///
    /// # Errors
    /// [`Close`] ends the connection once what was written is delivered.
    fn receive(
        &mut self,
        bytes: &[u8],
        agent: &mut Agent,
        out: &mut Outbox,
        now: Tick,
    ) -> Result<usize, Close>;

    /// The peer will send no more; `rest` is what was never consumed. Answers still go out.
    fn finish(&mut self, rest: &[u8], agent: &mut Agent, out: &mut Outbox, now: Tick);

    /// Moves the protocol on when there is room: rows of a cursor, events of a subscription. At
    /// most a few dozen rows a call.
    fn produce(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) -> Progress;

    /// Whether the connection wants more requests now: not while an answer is under way or the
    /// output is over its mark.
    fn ready(&self, out: &Outbox) -> bool;

    /// Whether it has a subscription and so lives on without requests.
    fn streams(&self) -> bool;

    /// Whether a connection with a subscription has something to say now.
    fn has_news(&self, agent: &Agent) -> bool {
        let _ = agent;
        true
    }

    /// Called about once a second: a client that takes too long is told so, or asked whether it
    /// is still there. [`Self::produce`] follows.
    fn expire(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) {
        let _ = (agent, out, now);
    }

    /// The client is gone: give back what it held.
    fn closed(&mut self, agent: &mut Agent);

    /// Bytes of memory that the connection keeps of requests and answers, besides its buffers.
    fn held(&self) -> usize {
        0
    }

    /// Bytes that may wait to be understood.
    fn max_input(&self) -> usize {
        unix::MAX_REQUEST.saturating_add(64 * 1024)
    }

    /// Who gives way first when there are too many: whether the client has shown who it is, and
    /// when it last was of use. `None` leaves it to whether it streams and when it last spoke.
    fn standing(&self) -> Option<(bool, Tick)> {
        None
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Close {
    /// The peer asked for it, or all is said.
    Done,
    /// The request was larger than the input buffer.
    TooLarge,
}

/// What [`Connection::produce`] left behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// Nothing to say now.
    Idle,
    /// More to say: call again next turn, or when there is room.
    More,
    /// All is said: close when it is delivered.
    Done,
}

/// Bytes on their way to a client, with a hard cap.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    cap: usize,
}

impl Outbox {
    /// An empty box for at most `cap` bytes. It grows as needed and gives memory back when
    /// emptied.
    #[must_use]
    pub const fn new(cap: usize) -> Self {
        Self { bytes: Vec::new(), sent: 0, cap }
    }

    /// Room left, in bytes.
    #[must_use]
    pub fn room(&self) -> usize {
        self.cap.saturating_sub(self.pending().len())
    }

    /// Whether less than a quarter of the room is left.
    #[must_use]
    pub fn is_high(&self) -> bool {
        self.room() < self.cap / 4
    }

    /// Bytes not yet sent.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    /// Bytes of memory that the box takes.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether everything is sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending().is_empty()
    }

    /// Notes that the first `count` pending bytes are with the kernel.
    pub fn advance(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.sent = 0;
            self.bytes.clear();
            if self.bytes.capacity() > 64 * 1024 {
                self.bytes = Vec::new();
            }
        }
    }

    /// Lets `write` append one message; if it does not fit, nothing of it stays and the answer
    /// is `false`.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.sent > 0 && self.sent >= self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        let before = self.bytes.len();
        write(&mut self.bytes);
        let fits = self.bytes.len().saturating_sub(self.sent) <= self.cap;
        if !fits {
            self.bytes.truncate(before);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_does_not_fit_leaves_no_trace() {
        let mut out = Outbox::new(10);
        assert!(out.push(|b| b.extend_from_slice(b"12345678")));
        assert!(!out.push(|b| b.extend_from_slice(b"abc")));
        assert_eq!(out.pending(), b"12345678");
        out.advance(5);
        assert!(out.push(|b| b.extend_from_slice(b"abcdefg")));
        assert_eq!(out.pending(), b"678abcdefg");
        out.advance(10);
        assert!(out.is_empty() && out.room() == 10);
    }
}
