//! A stream that telemetry goes over: octets out, and nothing wanted back.

use std::io::{ErrorKind, Read as _, Result, Write as _};

use mio::{Interest, Registry, Token};

use crate::api::sink::Feed;
use crate::time::Tick;

use super::super::clients::Stream;
use super::super::token::Readiness;

/// Octets written in one turn.
const BUDGET: usize = 128 * 1024;

/// Somebody who takes nothing for this long is given up, in microseconds.
const STALLED: u64 = 30_000_000;

/// An open stream.
pub(super) struct Wire {
    stream: Stream,
    readable: bool,
    writable: bool,
    /// When octets last went out, or there were none.
    moved: Tick,
}

impl Wire {
    /// Watches a stream, which may still be connecting.
    pub(super) fn new(
        mut stream: Stream,
        token: Token,
        registry: &Registry,
        now: Tick,
    ) -> Result<Self> {
        registry.register(stream.watched(), token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { stream, readable: true, writable: true, moved: now })
    }

    pub(super) fn event(&mut self, readiness: Readiness) {
        self.readable |= readiness.readable;
        self.writable |= readiness.writable;
    }

    /// Whether a stream that was connecting is open by now.
    ///
    /// # Errors
    /// Why it will not be.
    pub(super) fn is_connected(&self) -> Result<bool> {
        let Stream::Tcp(stream) = &self.stream else { return Ok(true) };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes what there is room for; `true` if there is more and room for it.
    ///
    /// # Errors
    /// The other end is gone, or takes nothing.
    pub(super) fn flush(&mut self, feed: &mut Feed, now: Tick) -> Result<bool> {
        self.listen()?;
        let mut budget = BUDGET;
        loop {
            let pending = feed.pending();
            if pending.is_empty() {
                self.moved = now;
                return Ok(false);
            }
            if !self.writable {
                return match now.since(self.moved) > STALLED {
                    true => Err(ErrorKind::TimedOut.into()),
                    false => Ok(false),
                };
            }
            if budget == 0 {
                return Ok(true);
            }
            let piece = pending.get(..budget).unwrap_or(pending);
            match self.stream.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    feed.advance(count);
                    budget = budget.saturating_sub(count);
                    self.moved = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Passes over what comes in; an end is the end.
    fn listen(&mut self) -> Result<()> {
        let mut buffer = [0; 1_024];
        let mut budget = BUDGET;
        while self.readable && budget > 0 {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ErrorKind::ConnectionAborted.into()),
                Ok(count) => budget = budget.saturating_sub(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// When somebody who takes nothing is given up.
    pub(super) fn deadline(&self) -> Option<Tick> {
        (!self.writable).then(|| self.moved.plus(STALLED).plus(1))
    }

    pub(super) fn close(&mut self, registry: &Registry) {
        // Only fails for a descriptor that was never registered.
        let _ = registry.deregister(self.stream.watched());
    }
}
