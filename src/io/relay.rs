//! Hands requests on to the discovery service: one connection for each, never waited for, bounded
//! in time and size.

use std::io::Read as _;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::api::http::relay::is_whole;
use crate::core::Agent;
use crate::core::relay::{Handed, Outcome, Ticket};
use crate::time::Tick;

use super::poster::{is_passing, send};
use super::token::{Readiness, Slot, Source};

/// Connections at once; the rest waits in a queue with a cap of its own.
const MAX_OPEN: usize = 4;

/// A service that has not answered after this many microseconds is given up.
const PATIENCE: u64 = 20_000_000;

/// Octets of an answer; a larger one is given up.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// Octets read from one connection for each event.
const BUDGET: usize = 256 * 1024;

struct Open {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    until: Tick,
    ticket: Ticket,
    /// It was answered as far as the budget went.
    again: Option<Readiness>,
}

#[derive(Default)]
struct Place {
    generation: u16,
    open: Option<Open>,
}

/// Connections under way.
#[derive(Default)]
pub struct Relays {
    places: [Place; MAX_OPEN],
}

impl Relays {
    /// Begins to hand on what waits, while there are connections to spare; `true` if there is
    /// more to do right now.
    pub fn serve(&mut self, agent: &mut Agent, registry: &Registry, now: Tick) -> bool {
        let mut more = false;
        for (index, place) in self.places.iter_mut().enumerate() {
            if let Some(open) = &mut place.open {
                if open.ticket.is_forsaken() {
                    place.end(registry, agent, Err(String::new()));
                } else if open.until <= now {
                    place.end(registry, agent, Err("it takes too long".to_owned()));
                } else if let Some(readiness) = open.again.take() {
                    place.go_on(readiness, registry, agent);
                }
            }
            more |= place.open.as_ref().is_some_and(|open| open.again.is_some());
            if place.open.is_some() {
                continue;
            }
            let Some(handed) = agent.relay.take_next() else { continue };
            place.generation = place.generation.wrapping_add(1) & 0xfff;
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let slot = Slot { index, generation: place.generation };
            let ticket = handed.ticket.clone();
            match connect(handed, Source::Relay(slot).into(), registry, now) {
                Ok(open) => place.open = Some(open),
                Err(error) => {
                    ticket.finish(Err(error.to_string()));
                    agent.discovery.set_fresh();
                }
            }
        }
        more
    }

    /// Goes on with a connection after an event.
    pub fn event(
        &mut self,
        slot: Slot,
        readiness: Readiness,
        registry: &Registry,
        agent: &mut Agent,
    ) {
        let place = self.places.get_mut(usize::from(slot.index));
        if let Some(place) = place.filter(|place| place.generation == slot.generation) {
            place.go_on(readiness, registry, agent);
        }
    }

    /// When [`Self::serve`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        self.places.iter().filter_map(|place| Some(place.open.as_ref()?.until)).min()
    }
}

impl Place {
    fn go_on(&mut self, readiness: Readiness, registry: &Registry, agent: &mut Agent) {
        let Some(open) = &mut self.open else { return };
        let outcome = match open.go_on(readiness) {
            Ok(false) => return,
            Ok(true) => Ok(std::mem::take(&mut open.answer)),
            Err(error) => Err(error.to_string()),
        };
        self.end(registry, agent, outcome);
    }

    fn end(&mut self, registry: &Registry, agent: &mut Agent, outcome: Outcome) {
        if let Some(mut open) = self.open.take() {
            // Only fails for a descriptor that was never registered.
            let _ = registry.deregister(&mut open.stream);
            open.ticket.finish(outcome);
            agent.discovery.set_fresh();
        }
    }
}

impl Open {
    /// Writes and reads what can be; `true` once the answer is whole.
    fn go_on(&mut self, readiness: Readiness) -> std::io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        if readiness.writable {
            send(&mut self.stream, &self.request, &mut self.sent)?;
        }
        let mut buffer = [0; 8 * 1024];
        let mut budget = BUDGET;
        if !readiness.readable {
            return Ok(false);
        }
        loop {
            if budget == 0 {
                self.again = Some(readiness);
                return Ok(false);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => {
                    budget = budget.saturating_sub(count);
                    self.answer.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    if self.answer.len() > MAX_ANSWER {
                        return Err(std::io::Error::other("its answer is too large"));
                    }
                }
                Err(error) if is_passing(error.kind()) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(is_whole(&self.answer))
    }
}

fn connect(handed: Handed, token: Token, registry: &Registry, now: Tick) -> std::io::Result<Open> {
    let Handed { address, request, ticket } = handed;
    let mut stream = TcpStream::connect(address)?;
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    let until = now.plus(PATIENCE);
    Ok(Open { stream, request, sent: 0, answer: Vec::new(), until, ticket, again: None })
}
