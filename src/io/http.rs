//! The listening sockets for TCP: of the HTTP interface, and of streams of packets.

use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::sys::tcp;

use super::token::Source;

struct Door {
    socket: TcpListener,
    /// As configured: a port of 0 is another one when bound.
    wanted: SocketAddr,
    token: u16,
    readable: bool,
}

/// Somebody who came in.
pub struct Guest {
    /// The connection.
    pub stream: TcpStream,
    /// The other end.
    pub from: SocketAddr,
    /// The address it connected to.
    pub to: SocketAddr,
    /// The address of the door, as configured.
    pub door: SocketAddr,
}

/// What doors are for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Purpose {
    /// HTTP.
    #[default]
    Http,
    /// Streams of packets.
    Packets,
}

/// All of them for one purpose.
#[derive(Default)]
pub struct Doors {
    purpose: Purpose,
    doors: Vec<Door>,
    /// Tells the sockets of one address apart.
    count: u16,
}

impl Doors {
    /// None yet.
    #[must_use]
    pub fn new(purpose: Purpose) -> Self {
        Self { purpose, ..Self::default() }
    }

    /// Opens and closes sockets until they are those of the settings. One that cannot be opened
    /// is told and left out: the agent has other interfaces.
    pub fn become_these(&mut self, wanted: &[SocketAddr], registry: &Registry) {
        self.doors.retain_mut(|door| {
            let stays = wanted.contains(&door.wanted);
            if !stays {
                // Only fails for a descriptor that was never registered.
                let _ = registry.deregister(&mut door.socket);
            }
            stays
        });
        for address in wanted {
            if self.doors.iter().any(|door| door.wanted == *address) {
                continue;
            }
            if let Err(error) = self.open(*address, registry) {
                let (name, hint) = match self.purpose {
                    Purpose::Http => ("http", " (--http takes another address, off turns it off)"),
                    Purpose::Packets => ("pcap_over_ip", ""),
                };
                let needs = needs(&error, address.port());
                log::warn!("{name} {address}: {error}{needs}; going on without it{hint}");
            }
        }
    }

    /// Closes all.
    pub fn close(&mut self, registry: &Registry) {
        self.become_these(&[], registry);
    }

    /// Notes an event of a socket.
    pub fn event(&mut self, token: u16) {
        if let Some(door) = self.doors.iter_mut().find(|door| door.token == token) {
            door.readable = true;
        }
    }

    /// Whether there may be somebody waiting.
    #[must_use]
    pub fn are_ready(&self) -> bool {
        self.doors.iter().any(|door| door.readable)
    }

    /// Takes in the next client, with the address it connected to.
    ///
    /// # Errors
    /// As accept(2): descriptors may have run out.
    pub fn accept(&mut self) -> Result<Option<Guest>> {
        for door in &mut self.doors {
            while door.readable {
                match door.socket.accept() {
                    Ok((stream, from)) => {
                        // Small answers are not to wait for more.
                        let _ = stream.set_nodelay(true);
                        // Nor is a client that is gone to be kept.
                        let _ = tcp::keep_alive(stream.as_fd());
                        let to = canonical(stream.local_addr().unwrap_or(door.wanted));
                        let from = canonical(from);
                        return Ok(Some(Guest { stream, from, to, door: door.wanted }));
                    }
                    Err(error) => match error.kind() {
                        ErrorKind::WouldBlock => door.readable = false,
                        ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                        _ => return Err(error),
                    },
                }
            }
        }
        Ok(None)
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.doors.iter().filter_map(|door| door.socket.local_addr().ok())
    }

    fn open(&mut self, address: SocketAddr, registry: &Registry) -> Result<()> {
        let mut socket = TcpListener::bind(address)?;
        let token = self.count;
        self.count = self.count.wrapping_add(1);
        let source: Token = match self.purpose {
            Purpose::Http => Source::HttpListener(token),
            Purpose::Packets => Source::StreamListener(token),
        }
        .into();
        registry.register(&mut socket, source, Interest::READABLE)?;
        self.doors.push(Door { socket, wanted: address, token, readable: true });
        Ok(())
    }
}

/// What a port that is refused takes: the permission for low ones is given up after the start.
pub(super) fn needs(error: &Error, port: u16) -> &'static str {
    if error.kind() == ErrorKind::PermissionDenied && port < 1_024 {
        ": a port below 1024 is only opened at the start, as root: restart the agent"
    } else {
        ""
    }
}

/// An IPv4 address is one, also where it came in by a socket of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    let ip: IpAddr = address.ip().to_canonical();
    SocketAddr::new(ip, address.port())
}
