//! Sockets at which consumers come for telemetry. One that cannot be opened is tried again: its
//! address may not be there yet.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};

use crate::api::sink::{Feed, Order};
use crate::config::telemetry::{Format, Target};
use crate::sys::unix_socket;
use crate::time::Tick;

use super::super::clients::Stream;
use super::super::token::Readiness;
use super::wire::Wire;
use super::{BackOff, Context, Outlet, Served};

/// Consumers taken in by one door in one turn.
const ACCEPTS: usize = 8;

/// What the name of a consumer that came by itself begins with.
pub(super) const FROM: &str = "from ";

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// One such socket.
pub(super) struct Door {
    target: Target,
    order: Order,
    established: bool,
    group: Option<String>,
    socket: Option<Socket>,
    readable: bool,
    retry: Tick,
    back_off: BackOff,
    problem: Option<String>,
}

/// Somebody who came in.
pub(super) struct Guest {
    pub(super) stream: Stream,
    pub(super) target: String,
    pub(super) order: Order,
    pub(super) established: bool,
}

impl Door {
    pub(super) fn new(
        target: Target,
        order: Order,
        established: bool,
        group: Option<String>,
    ) -> Self {
        Self {
            target,
            order,
            established,
            group,
            socket: None,
            readable: false,
            retry: Tick(0),
            back_off: BackOff::default(),
            problem: None,
        }
    }

    pub(super) fn event(&mut self) {
        self.readable = true;
    }

    /// Opens the socket if it is not, and takes in who waits.
    pub(super) fn serve(&mut self, context: &Context<'_>, guests: &mut Vec<Guest>) {
        let Context { registry, token, now, .. } = *context;
        if self.socket.is_none() && self.retry <= now {
            match self.open(token, registry) {
                Ok(socket) => {
                    self.socket = Some(socket);
                    self.readable = true;
                    self.problem = None;
                    self.back_off.reset();
                }
                Err(error) => self.fail(&error, now),
            }
        }
        for _ in 0..ACCEPTS {
            let Some(socket) = self.socket.as_ref().filter(|_| self.readable) else { return };
            let accepted = match socket {
                Socket::Tcp(socket) => socket.accept().map(|(stream, from)| {
                    let _ = stream.set_nodelay(true);
                    (Stream::Tcp(stream), format!("{FROM}tcp://{from}"))
                }),
                Socket::Unix(socket) => {
                    let name = format!("{FROM}{}", self.target);
                    socket.accept().map(|(stream, _)| (Stream::Unix(stream), name))
                }
            };
            match accepted {
                Ok((stream, target)) => guests.push(Guest {
                    stream,
                    target,
                    order: self.order.clone(),
                    established: self.established,
                }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) => {
                    if !matches!(
                        error.kind(),
                        ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                    ) {
                        // Descriptors may have run out: those who wait are told to try again.
                        self.close(registry);
                        return self.fail(&error, now);
                    }
                }
            }
        }
    }

    fn fail(&mut self, error: &Error, now: Tick) {
        let text = error.to_string();
        if self.problem.as_ref() != Some(&text) {
            log::warn!("telemetry at {}: {text}; trying again", self.target);
        }
        self.problem = Some(text);
        self.retry = self.back_off.next(now);
    }

    fn open(&self, token: Token, registry: &Registry) -> Result<Socket> {
        let mut socket = match &self.target {
            Target::Tcp(address) => Socket::Tcp(TcpListener::bind(*address)?),
            Target::Unix(path) => Socket::Unix(listen(path, self.group.as_deref())?),
            Target::Udp(_) | Target::Http { .. } => return Err(ErrorKind::Unsupported.into()),
        };
        match &mut socket {
            Socket::Tcp(socket) => registry.register(socket, token, Interest::READABLE)?,
            Socket::Unix(socket) => registry.register(socket, token, Interest::READABLE)?,
        }
        Ok(socket)
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        match &self.socket {
            None => Some(self.retry),
            Some(_) => self.readable.then_some(Tick(0)),
        }
    }

    pub(super) fn name(&self) -> String {
        let port = match &self.socket {
            Some(Socket::Tcp(socket)) => socket.local_addr().ok(),
            _ => None,
        };
        port.map_or_else(|| self.target.to_string(), |address| format!("tcp://{address}"))
    }

    pub(super) const fn format(&self) -> Format {
        self.order.format
    }

    pub(super) fn state(&self) -> String {
        self.problem.clone().unwrap_or_else(|| "listening".to_owned())
    }

    pub(super) fn close(&mut self, registry: &Registry) {
        // Deregistering only fails for a descriptor that was never registered.
        match self.socket.take() {
            Some(Socket::Tcp(mut socket)) => drop(registry.deregister(&mut socket)),
            Some(Socket::Unix(mut socket)) => {
                let _ = registry.deregister(&mut socket);
                if let Target::Unix(path) = &self.target {
                    let _ = fs::remove_file(path);
                }
            }
            None => {}
        }
    }
}

fn listen(path: &Path, group: Option<&str>) -> Result<UnixListener> {
    use unix_socket::Error as Refused;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let gid = group.and_then(unix_socket::group_id);
    let socket = unix_socket::listen(path, gid).map_err(|error| match error {
        Refused::AlreadyRunning => Error::other("somebody else answers there"),
        Refused::NotASocket => Error::other("is there and is no socket"),
        Refused::Io(error) => error,
    })?;
    socket.set_nonblocking(true)?;
    Ok(UnixListener::from_std(socket))
}

/// A consumer that came by itself, and is gone once it leaves.
pub(super) struct Visit {
    wire: Wire,
}

impl Visit {
    pub(super) const fn new(wire: Wire) -> Self {
        Self { wire }
    }
}

impl Outlet for Visit {
    fn event(&mut self, readiness: Readiness) {
        self.wire.event(readiness);
    }

    fn serve(&mut self, feed: &mut Feed, context: &mut Context<'_>) -> Served {
        match self.wire.flush(feed, context.now) {
            Ok(true) => Served::Again,
            Ok(false) => Served::Waits,
            Err(error) => {
                if error.kind() == ErrorKind::TimedOut {
                    let timeouts = &mut context.agent.counters.client_timeouts;
                    *timeouts = timeouts.saturating_add(1);
                }
                Served::Gone
            }
        }
    }

    fn deadline(&self) -> Option<Tick> {
        self.wire.deadline()
    }

    fn state(&self) -> String {
        "connected".to_owned()
    }

    fn close(&mut self, registry: &Registry) {
        self.wire.close(registry);
    }
}
