//! Stream clients in slots: their sockets, buffers and limits. What they say is the business of
//! their [`Connection`].

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{IpAddr, Shutdown};

use mio::event::Source as Watched;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::api::{Close, Connection, Outbox, Progress};
use crate::core::Agent;
use crate::time::Tick;

use super::token::{Readiness, Slot, Source};

/// Bytes that wait to be read by a client of a Unix socket.
const MAX_OUTPUT: usize = 1024 * 1024;

/// Bytes that wait to be read by a client of HTTP.
const MAX_HTTP_OUTPUT: usize = 256 * 1024;

/// Places that HTTP clients leave to those of the Unix sockets.
const RESERVED: usize = 8;

/// How long a client that was told all is waited for to close its side, in microseconds: if it
/// were closed with something unread, the kernel might throw away what it was told.
const LINGER: u64 = 2_000_000;

/// Bytes that all clients together may hold, input and output. Whoever holds most is closed to
/// stay below: a router has not got the megabytes of every client at once.
const MAX_HELD: usize = 8 * 1024 * 1024;

/// A client that holds less is not what is over the mark.
const FEW: usize = 16 * 1024;

/// Bytes read from one client in one turn.
const READ_BUDGET: usize = 256 * 1024;

/// A client that takes nothing of its output for this long is closed, in microseconds.
const STALLED: u64 = 30_000_000;

/// The socket of a client.
pub enum Stream {
    /// Of HTTP.
    Tcp(TcpStream),
    /// Of the JSON interface.
    Unix(UnixStream),
}

/// How many clients there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// In all.
    pub most: usize,
    /// Of one address that is not of this machine.
    pub per_address: usize,
}

/// One client.
struct Client {
    stream: Stream,
    /// The address it comes from, unless it is one of this machine.
    address: Option<IpAddr>,
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
    /// All is delivered: since when it is waited for the client to close its side.
    lingers: Option<Tick>,
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

    /// Takes in a new client. At the limits the one that has been of least use for longest makes
    /// room, so that a new one always gets in.
    ///
    /// # Errors
    /// When the socket cannot be watched; the client is gone then.
    pub fn admit(
        &mut self,
        mut stream: Stream,
        connection: Box<dyn Connection>,
        limits: Limits,
        registry: &Registry,
        agent: &mut Agent,
        now: Tick,
    ) -> Result<()> {
        agent.counters.clients_accepted = agent.counters.clients_accepted.saturating_add(1);
        let address = stream.address();
        while let Some(index) = self.in_the_way(&stream, address, limits) {
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
        registry.register(stream.watched(), token, Interest::READABLE | Interest::WRITABLE)?;
        let room = if stream.is_tcp() { MAX_HTTP_OUTPUT } else { MAX_OUTPUT };
        place.client = Some(Client {
            stream,
            address,
            connection,
            input: Vec::new(),
            out: Outbox::new(room),
            readable: true,
            writable: true,
            ended: false,
            finished: false,
            gone: false,
            closing: false,
            lingers: None,
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

    /// Wakes the clients that have a subscription and something to be told.
    pub fn wake_streams(&mut self, agent: &Agent) {
        for index in 0..self.places.len() {
            let client = self.places.get(index).and_then(|place| place.client.as_ref());
            let told = |client: &Client| {
                client.connection.streams()
                    && !client.out.is_high()
                    && client.connection.has_news(agent)
            };
            if client.is_some_and(told) {
                self.wake(u16::try_from(index).unwrap_or(u16::MAX));
            }
        }
    }

    /// Once a second: lets connections look at the time, and closes clients that do not take
    /// their output.
    pub fn expire(&mut self, registry: &Registry, agent: &mut Agent, now: Tick) {
        for index in 0..self.places.len() {
            let place = self.places.get_mut(index);
            let Some(client) = place.and_then(|place| place.client.as_mut()) else { continue };
            let stalled = !client.out.is_empty() && now.since(client.moved) > STALLED;
            if stalled || client.lingers.is_some_and(|since| now.since(since) > LINGER) {
                if stalled {
                    let timeouts = &mut agent.counters.client_timeouts;
                    *timeouts = timeouts.saturating_add(1);
                }
                self.close(index, registry, agent);
            } else if client.stream.is_tcp() && !client.closing {
                client.connection.expire(agent, &mut client.out, now);
                self.wake(u16::try_from(index).unwrap_or(u16::MAX));
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
            let _ = registry.deregister(client.stream.watched());
        }
    }

    /// Who has to make room for a new client, if anybody has.
    fn in_the_way(
        &self,
        stream: &Stream,
        address: Option<IpAddr>,
        limits: Limits,
    ) -> Option<usize> {
        let count = |fits: &dyn Fn(&Client) -> bool| {
            let clients = self.places.iter().filter_map(|place| place.client.as_ref());
            clients.filter(|client| fits(client)).count()
        };
        let is_tcp = |client: &Client| client.stream.is_tcp();
        let is_near = |client: &Client| address.is_some() && client.address == address;
        let most = limits.most.max(1);
        if stream.is_tcp() {
            if count(&is_near) >= limits.per_address.max(1) {
                return self.least_useful(&is_near);
            }
            // A small limit is shared by halves.
            let others = most.saturating_sub(RESERVED.min(most / 2)).max(1);
            if count(&is_tcp) >= others {
                return self.least_useful(&is_tcp);
            }
        }
        if count(&|_| true) < most {
            return None;
        }
        if stream.is_tcp() && count(&|client| !is_tcp(client)) <= RESERVED {
            return self.least_useful(&is_tcp).or_else(|| self.least_useful(&|_| true));
        }
        self.least_useful(&|_| true)
    }

    /// Of those that fit, the client that has been of no use for longest: those that never said
    /// who they are, or have no subscription, first.
    fn least_useful(&self, fits: &dyn Fn(&Client) -> bool) -> Option<usize> {
        let clients = self.places.iter().enumerate();
        clients
            .filter_map(|(index, place)| place.client.as_ref().map(|client| (index, client)))
            .filter(|(_, client)| fits(client))
            .min_by_key(|(_, client)| {
                let connection = &client.connection;
                let standing = connection.standing();
                let standing = standing.unwrap_or_else(|| (connection.streams(), client.active));
                (client.lingers.is_none(), standing)
            })
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
    fn held(&self) -> usize {
        let buffers = self.input.capacity().saturating_add(self.out.held());
        buffers.saturating_add(self.connection.held())
    }

    fn serve(&mut self, buffer: &mut Vec<u8>, agent: &mut Agent, now: Tick) -> Served {
        if self.lingers.is_some() {
            return self.linger(buffer);
        }
        if self.readable && !self.ended && !self.closing && self.read(buffer, now).is_err() {
            // What came before it broke off is still carried out.
            (self.ended, self.gone) = (true, true);
        }
        let revision = agent.revision();
        let was_opening = agent.attachments.is_waiting();
        let mut again = !self.closing && self.understand(agent, now);
        let room = self.input.len() < self.connection.max_input();
        again |= !self.closing && self.readable && !self.ended && room;
        let mut more = false;
        let waiting = self.out.pending().len();
        match self.connection.produce(agent, &mut self.out, now) {
            Progress::Idle => {}
            Progress::More => more = true,
            Progress::Done => self.closing = true,
        }
        let opens = !was_opening && agent.attachments.is_waiting();
        if agent.revision() != revision || opens {
            // The answer to a change of settings goes out once they are in force, that to a new
            // capture once its sockets are open.
            return Served::Again;
        }
        let grew = self.out.pending().len() > waiting;
        if !self.flush(now) {
            return Served::Close;
        }
        if self.closing && self.out.is_empty() {
            return self.begin_linger(buffer, now);
        }
        // Looked at after the output moved: it may have been all that was in the way. Without
        // room in the socket the next event calls again.
        again |= more && !self.closing && (self.writable || (grew && !self.out.is_high()));
        if self.gone && self.finished && !again {
            return Served::Close;
        }
        if again { Served::Again } else { Served::Waits }
    }

    /// Says that nothing more comes, and waits for the client to do the same.
    fn begin_linger(&mut self, buffer: &mut Vec<u8>, now: Tick) -> Served {
        let Stream::Tcp(stream) = &self.stream else { return Served::Close };
        if self.ended || stream.shutdown(Shutdown::Write).is_err() {
            return Served::Close;
        }
        self.lingers = Some(now);
        self.input = Vec::new();
        self.linger(buffer)
    }

    /// Passes over what still comes.
    fn linger(&mut self, buffer: &mut Vec<u8>) -> Served {
        buffer.resize(64 * 1024, 0);
        let mut budget = READ_BUDGET;
        while self.readable && budget > 0 {
            match self.stream.read(buffer) {
                Ok(0) => return Served::Close,
                Ok(count) => budget = budget.saturating_sub(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Served::Close,
            }
        }
        if self.readable { Served::Again } else { Served::Waits }
    }

    fn read(&mut self, buffer: &mut Vec<u8>, now: Tick) -> Result<()> {
        buffer.resize(64 * 1024, 0);
        let mut budget = READ_BUDGET;
        let most = self.connection.max_input();
        while budget > 0 && self.input.len() < most {
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
                    if self.input.is_empty() && self.input.capacity() > FEW {
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

impl Stream {
    const fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// Where it comes from, unless that is this machine.
    fn address(&self) -> Option<IpAddr> {
        let Self::Tcp(stream) = self else { return None };
        let address = stream.peer_addr().ok()?.ip().to_canonical();
        Some(address).filter(|address| !address.is_loopback())
    }

    pub(super) fn watched(&mut self) -> &mut dyn Watched {
        match self {
            Self::Tcp(stream) => stream,
            Self::Unix(stream) => stream,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
