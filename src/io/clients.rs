//! Stream clients in slots: their sockets, buffers and limits. What they say is the business of
//! their [`Connection`].

use std::io::{ErrorKind, Read as _, Write as _};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use crate::api::{Close, Connection, Outbox, Progress};
use crate::core::Agent;
use crate::time::Tick;

use super::token::{Readiness, Slot, Source};

/// Bytes that wait to be understood, per client: the largest request and a little.
const MAX_INPUT: usize = 1024 * 1024 + 64 * 1024;

/// Bytes that wait to be read by the client.
const MAX_OUTPUT: usize = 1024 * 1024;

/// Bytes that all clients together may hold, input and output. Whoever holds most is closed to
/// stay below: a router has not got the megabytes of every client at once.
const MAX_HELD: usize = 12 * 1024 * 1024;

/// A client that holds less is not what is over the mark.
const FEW: usize = 64 * 1024;

/// Bytes read from one client in one turn.
const READ_BUDGET: usize = 256 * 1024;

/// A client that takes nothing of its output for this long is closed, in microseconds.
const STALLED: u64 = 30_000_000;

/// One client.
struct Client {
    stream: UnixStream,
    connection: Box<dyn Connection>,
    input: Vec<u8>,
    out: Outbox,
    /// The socket may have something to read.
    readable: bool,
    /// The socket may have room.
    writable: bool,
    /// The peer will send no more.
    ended: bool,
    /// The connection knows that.
    finished: bool,
    /// The peer is gone altogether: what it sent is still carried out.
    gone: bool,
    /// Close once the output is delivered.
    closing: bool,
    /// When something last went either way.
    active: Tick,
    /// When output last moved, or began to wait.
    moved: Tick,
}

#[derive(Default)]
struct Place {
    generation: u16,
    client: Option<Client>,
}

/// All stream clients.
#[derive(Default)]
pub struct Clients {
    places: Vec<Place>,
    /// Places with something to do without a new event.
    ready: Vec<u16>,
    buffer: Vec<u8>,
}

impl Clients {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.iter().filter(|place| place.client.is_some()).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes in a new client. At `most` the one that has been silent for longest makes room, so
    /// that a new one always gets in.
    ///
    /// # Errors
    /// When the socket cannot be watched; the client is gone then.
    pub fn admit(
        &mut self,
        mut stream: UnixStream,
        connection: Box<dyn Connection>,
        most: usize,
        registry: &Registry,
        agent: &mut Agent,
        now: Tick,
    ) -> std::io::Result<()> {
        agent.counters.clients_accepted = agent.counters.clients_accepted.saturating_add(1);
        while self.len() >= most.max(1) {
            let Some(index) = self.least_useful() else { break };
            agent.counters.clients_refused = agent.counters.clients_refused.saturating_add(1);
            self.close(index, registry, agent);
        }
        let free = self.places.iter().position(|place| place.client.is_none());
        let index = free.unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len().saturating_sub(1)
        });
        let Some(place) = self.places.get_mut(index) else { return Ok(()) };
        place.generation = place.generation.wrapping_add(1) & 0xfff;
        let index = u16::try_from(index).unwrap_or(u16::MAX);
        let token: Token = Source::Client(Slot { index, generation: place.generation }).into();
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        place.client = Some(Client {
            stream,
            connection,
            input: Vec::new(),
            out: Outbox::new(MAX_OUTPUT),
            readable: true,
            writable: true,
            ended: false,
            finished: false,
            gone: false,
            closing: false,
            active: now,
            moved: now,
        });
        self.wake(index);
        Ok(())
    }

    /// Notes an event of a client's socket.
    pub fn event(&mut self, slot: Slot, readiness: Readiness) {
        let place = self.places.get_mut(usize::from(slot.index));
        let Some(place) = place.filter(|place| place.generation == slot.generation) else { return };
        if let Some(client) = &mut place.client {
            client.readable |= readiness.readable;
            client.writable |= readiness.writable;
            client.gone |= readiness.gone;
            self.wake(slot.index);
        }
    }

    /// Serves everybody who has something to do, each for a bounded time; `true` if somebody has
    /// more to do right now.
    pub fn serve(&mut self, registry: &Registry, agent: &mut Agent, now: Tick) -> bool {
        let ready = std::mem::take(&mut self.ready);
        for index in ready {
            let place = self.places.get_mut(usize::from(index));
            let Some(client) = place.and_then(|place| place.client.as_mut()) else { continue };
            let served = client.serve(&mut self.buffer, agent, now);
            let holds = client.held();
            match served {
                Served::Close => self.close(usize::from(index), registry, agent),
                Served::Again => self.wake(index),
                Served::Waits => {}
            }
            if holds > FEW {
                self.relieve(registry, agent);
            }
        }
        !self.ready.is_empty()
    }

    /// Wakes the clients that have a subscription: there may be events for them.
    pub fn wake_streams(&mut self) {
        for index in 0..self.places.len() {
            let client = self.places.get(index).and_then(|place| place.client.as_ref());
            if client.is_some_and(|client| client.connection.streams() && !client.out.is_high()) {
                self.wake(u16::try_from(index).unwrap_or(u16::MAX));
            }
        }
    }

    /// Closes clients that do not take their output.
    pub fn expire(&mut self, registry: &Registry, agent: &mut Agent, now: Tick) {
        for index in 0..self.places.len() {
            let client = self.places.get(index).and_then(|place| place.client.as_ref());
            let stalled = client.is_some_and(|c| !c.out.is_empty() && now.since(c.moved) > STALLED);
            if stalled {
                agent.counters.client_timeouts = agent.counters.client_timeouts.saturating_add(1);
                self.close(index, registry, agent);
            }
        }
    }

    /// Closes everybody, after one last attempt to deliver what waits.
    pub fn close_all(&mut self, registry: &Registry, agent: &mut Agent, now: Tick) {
        for index in 0..self.places.len() {
            let client = self.places.get_mut(index).and_then(|place| place.client.as_mut());
            if let Some(client) = client {
                let _ = client.connection.produce(agent, &mut client.out, now);
                client.flush(now);
                self.close(index, registry, agent);
            }
        }
    }

    /// Closes those who hold most until all together hold little enough.
    fn relieve(&mut self, registry: &Registry, agent: &mut Agent) {
        let held = |place: &Place| place.client.as_ref().map_or(0, Client::held);
        let mut sum = self.places.iter().map(held).fold(0, usize::saturating_add);
        while sum > MAX_HELD {
            let most = self.places.iter().map(held).enumerate().max_by_key(|(_, held)| *held);
            let Some((index, bytes)) = most else { return };
            agent.counters.clients_refused = agent.counters.clients_refused.saturating_add(1);
            self.close(index, registry, agent);
            sum = sum.saturating_sub(bytes);
        }
    }

    fn wake(&mut self, index: u16) {
        if !self.ready.contains(&index) {
            self.ready.push(index);
        }
    }

    fn close(&mut self, index: usize, registry: &Registry, agent: &mut Agent) {
        let place = self.places.get_mut(index);
        if let Some(mut client) = place.and_then(|place| place.client.take()) {
            client.connection.closed(agent);
            // Only fails for a descriptor that was never registered.
            let _ = registry.deregister(&mut client.stream);
        }
    }

    /// The client that has been silent for longest, those without a subscription first.
    fn least_useful(&self) -> Option<usize> {
        let clients = self.places.iter().enumerate();
        clients
            .filter_map(|(index, place)| place.client.as_ref().map(|client| (index, client)))
            .min_by_key(|(_, client)| (client.connection.streams(), client.active))
            .map(|(index, _)| index)
    }
}

enum Served {
    Again,
    Close,
    Waits,
}

impl Client {
    /// Bytes of memory for what waits in either direction.
    const fn held(&self) -> usize {
        self.input.capacity().saturating_add(self.out.held())
    }

    fn serve(&mut self, buffer: &mut Vec<u8>, agent: &mut Agent, now: Tick) -> Served {
        if self.readable && !self.ended && !self.closing && self.read(buffer, now).is_err() {
            return Served::Close;
        }
        let revision = agent.revision();
        let mut again = !self.closing && self.understand(agent, now);
        again |= !self.closing && self.readable && !self.ended && self.input.len() < MAX_INPUT;
        match self.connection.produce(agent, &mut self.out, now) {
            Progress::Idle => {}
            Progress::More => again |= !self.out.is_high(),
            Progress::Done => self.closing = true,
        }
        if agent.revision() != revision {
            // The answer to a change of settings goes out once they are in force.
            return Served::Again;
        }
        if !self.flush(now) || (self.closing && self.out.is_empty()) {
            return Served::Close;
        }
        if self.gone && self.finished && !again {
            return Served::Close;
        }
        if again { Served::Again } else { Served::Waits }
    }

    fn read(&mut self, buffer: &mut Vec<u8>, now: Tick) -> std::io::Result<()> {
        buffer.resize(64 * 1024, 0);
        let mut budget = READ_BUDGET;
        while budget > 0 && self.input.len() < MAX_INPUT {
            match self.stream.read(buffer) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => {
                    self.active = now;
                    self.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    budget = budget.saturating_sub(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Lets the connection take what has arrived; `true` if there is more that it would take.
    fn understand(&mut self, agent: &mut Agent, now: Tick) -> bool {
        if self.finished || !self.connection.ready(&self.out) {
            return false;
        }
        if !self.input.is_empty() {
            match self.connection.receive(&self.input, agent, &mut self.out, now) {
                Ok(0) => {}
                Ok(count) => {
                    self.input.drain(..count.min(self.input.len()));
                    if self.input.is_empty() && self.input.capacity() > 64 * 1024 {
                        self.input = Vec::new();
                    }
                    return !self.input.is_empty() || self.ended;
                }
                Err(Close::Done | Close::TooLarge) => {
                    self.input = Vec::new();
                    self.closing = true;
                    return false;
                }
            }
        }
        if self.ended {
            let rest = std::mem::take(&mut self.input);
            self.connection.finish(&rest, agent, &mut self.out, now);
            self.finished = true;
        }
        false
    }

    /// Writes what there is room for; `false` if the peer is gone.
    fn flush(&mut self, now: Tick) -> bool {
        if self.out.is_empty() {
            self.moved = now;
        }
        while self.writable && !self.out.is_empty() {
            match self.stream.write(self.out.pending()) {
                Ok(0) => return false,
                Ok(count) => {
                    self.out.advance(count);
                    self.moved = now;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}
