//! A stream to a consumer elsewhere, opened again whenever it breaks off.

use std::io::Result;

use mio::net::{TcpStream, UnixStream};
use mio::{Registry, Token};

use crate::api::sink::Feed;
use crate::config::telemetry::Target;
use crate::time::Tick;

use super::super::clients::Stream;
use super::super::token::Readiness;
use super::wire::Wire;
use super::{BackOff, Context, Outlet, Served};

/// A consumer that does not answer for this many microseconds is not there.
const PATIENCE: u64 = 10_000_000;

enum State {
    /// Until then.
    Away(Tick),
    /// Not longer than until then.
    Calling(Wire, Tick),
    Open(Wire),
}

/// One such stream.
pub(super) struct Caller {
    target: Target,
    state: State,
    back_off: BackOff,
    problem: Option<String>,
}

impl Caller {
    pub(super) const fn new(target: Target) -> Self {
        let back_off = BackOff(BackOff::FIRST);
        Self { target, state: State::Away(Tick(0)), back_off, problem: None }
    }

    fn call(&self, token: Token, registry: &Registry, now: Tick) -> Result<Wire> {
        let stream = match &self.target {
            Target::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Target::Tcp(address) => Stream::Tcp(TcpStream::connect(*address)?),
            Target::Udp(_) | Target::Http { .. } => {
                return Err(std::io::ErrorKind::Unsupported.into());
            }
        };
        Wire::new(stream, token, registry, now)
    }

    fn fail(&mut self, problem: String, context: &Context<'_>) {
        if self.problem.as_ref() != Some(&problem) {
            log::warn!("telemetry to {}: {problem}; trying again", self.target);
        }
        self.problem = Some(problem);
        self.close(context.registry);
        self.state = State::Away(self.back_off.next(context.now));
    }
}

impl Outlet for Caller {
    fn event(&mut self, readiness: Readiness) {
        match &mut self.state {
            State::Calling(wire, _) | State::Open(wire) => wire.event(readiness),
            State::Away(_) => {}
        }
    }

    fn serve(&mut self, feed: &mut Feed, context: &mut Context<'_>) -> Served {
        let now = context.now;
        if let State::Away(until) = self.state {
            if now < until {
                return Served::Waits;
            }
            match self.call(context.token, context.registry, now) {
                Ok(wire) => self.state = State::Calling(wire, now.plus(PATIENCE)),
                Err(error) => {
                    self.fail(error.to_string(), context);
                    return Served::Waits;
                }
            }
        }
        if let State::Calling(wire, until) = &self.state {
            match wire.is_connected() {
                Ok(true) => {
                    feed.greet(false, context.agent);
                    let State::Calling(wire, _) =
                        std::mem::replace(&mut self.state, State::Away(Tick(0)))
                    else {
                        return Served::Waits;
                    };
                    self.state = State::Open(wire);
                }
                Ok(false) if now < *until => return Served::Waits,
                Ok(false) => self.fail("no answer".to_owned(), context),
                Err(error) => self.fail(error.to_string(), context),
            }
        }
        let State::Open(wire) = &mut self.state else { return Served::Waits };
        let before = feed.records;
        match wire.flush(feed, now) {
            Ok(more) => {
                if feed.records > before {
                    self.problem = None;
                    self.back_off.reset();
                }
                if more { Served::Again } else { Served::Waits }
            }
            Err(error) => {
                feed.rewind();
                self.fail(error.to_string(), context);
                Served::Waits
            }
        }
    }

    fn deadline(&self) -> Option<Tick> {
        match &self.state {
            State::Away(until) | State::Calling(_, until) => Some(*until),
            State::Open(wire) => wire.deadline(),
        }
    }

    fn state(&self) -> String {
        match (&self.state, &self.problem) {
            (State::Open(_), _) => "connected".to_owned(),
            (_, Some(problem)) => format!("{problem}; trying again"),
            (_, None) => "connecting".to_owned(),
        }
    }

    fn close(&mut self, registry: &Registry) {
        let before = std::mem::replace(&mut self.state, State::Away(Tick(u64::MAX)));
        if let State::Calling(mut wire, _) | State::Open(mut wire) = before {
            wire.close(registry);
        }
    }
}
