//! The socket of the management port.

use std::io::{ErrorKind, Result};
use std::net::SocketAddr;

use mio::net::UdpSocket;
use mio::{Interest, Registry};

use crate::api::mgmt::{Config, Datagrams, Dialect, Server};
use crate::config::Settings;
use crate::core::Agent;
use crate::sys::udp;
use crate::time::Tick;

use super::token::{Readiness, Source};

/// Requests taken in one turn.
const RECEIVE_BUDGET: usize = 64;

/// Datagrams that wait to be sent.
const MAX_OUT: usize = 64;

/// An answer to one request is begun only with this much room, so that its first part fits.
const ROOM: usize = 8;

/// The port.
pub struct Port {
    socket: UdpSocket,
    server: Server,
    out: Datagrams,
    readable: bool,
    writable: bool,
    more: bool,
}

impl Port {
    /// Binds the port to itself alone.
    ///
    /// # Errors
    /// As bind(2): the port is taken, or not ours to bind.
    pub fn open(settings: &Settings, registry: &Registry, now: Tick) -> Result<Self> {
        let address = SocketAddr::new(settings.management_address, settings.management_port);
        let bound = udp::bind(address)?;
        let own = bound.local_addr()?;
        let mut socket = UdpSocket::from_std(bound);
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut socket, Source::Management.into(), interest)?;
        let server = Server::new(config(settings, own), now);
        let out = Datagrams::new(MAX_OUT);
        Ok(Self { socket, server, out, readable: true, writable: true, more: false })
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn address(&self) -> Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Applies other settings, the address aside.
    pub fn configure(&mut self, settings: &Settings) {
        if let Ok(own) = self.address() {
            self.server.configure(config(settings, own));
        }
    }

    /// Notes an event of the socket.
    pub fn event(&mut self, readiness: Readiness, agent: &mut Agent) {
        self.readable |= readiness.readable;
        self.writable |= readiness.writable;
        // Each error names a client that is gone.
        while readiness.error
            && let Ok(Some(refused)) = udp::refused(&self.socket)
        {
            self.server.refused(refused.peer, agent);
        }
    }

    /// Gives the socket back, and with it the subscriptions.
    pub fn close(&mut self, registry: &Registry, agent: &mut Agent) {
        self.server.close(agent);
        // Only fails for a descriptor that was never registered.
        let _ = registry.deregister(&mut self.socket);
    }

    /// Answers what has arrived and goes on with what is under way; `true` if there is more to
    /// do right now.
    pub fn serve(&mut self, agent: &mut Agent, now: Tick) -> bool {
        let mut buffer = [0; 2_048];
        let revision = agent.revision();
        for _ in 0..RECEIVE_BUDGET {
            if !self.readable {
                break;
            }
            if self.out.room() < ROOM {
                self.flush(agent);
                if self.out.room() < ROOM {
                    break;
                }
            }
            match self.socket.recv_from(&mut buffer) {
                Ok((count, from)) => {
                    let datagram = buffer.get(..count).unwrap_or_default();
                    self.server.receive(datagram, from, agent, &mut self.out, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                // The error of an earlier datagram; its client is found in the error queue.
                Err(_) => {}
            }
        }
        self.more = self.server.produce(agent, &mut self.out, now);
        if agent.revision() != revision {
            // The answer to a change of settings goes out once they are in force.
            return true;
        }
        self.flush(agent);
        self.writable && (self.readable || (self.more && self.out.room() > 0))
    }

    fn flush(&mut self, agent: &mut Agent) {
        let queued = self.out.take_queued();
        agent.counters.udp_sent = agent.counters.udp_sent.saturating_add(queued);
        while self.writable && !self.out.is_empty() {
            match udp::send(&self.socket, self.out.iter()) {
                Ok(count) => self.out.sent(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    // The error of an earlier datagram to another client: try again, once it is
                    // taken out of the queue.
                    while let Ok(Some(refused)) = udp::refused(&self.socket) {
                        self.server.refused(refused.peer, agent);
                    }
                }
                Err(_) => {
                    // This one cannot be sent at all.
                    agent.counters.udp_lost = agent.counters.udp_lost.saturating_add(1);
                    self.out.sent(1);
                }
            }
        }
    }
}

fn config(settings: &Settings, own: SocketAddr) -> Config {
    let dialect = if settings.management_n2n { Dialect::N2n } else { Dialect::Published };
    Config { own, keyed_reads: settings.management_read_key, dialect }
}
