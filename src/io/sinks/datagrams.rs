//! Telemetry over UDP: a record a datagram, by itself. Nobody knows whether it arrives.

use std::io::{ErrorKind, Result};
use std::net::{SocketAddr, UdpSocket};

use mio::Registry;

use crate::api::sink::Feed;
use crate::time::Tick;

use super::super::token::Readiness;
use super::{BackOff, Context, Outlet, Served};

/// Datagrams sent in one turn.
const BUDGET: usize = 64;

/// Octets of a datagram; longer records are lost and counted.
const MAX_DATAGRAM: usize = 65_000;

/// Where they go.
pub(super) struct Datagrams {
    to: SocketAddr,
    socket: Option<UdpSocket>,
    retry: Tick,
    back_off: BackOff,
    problem: Option<String>,
}

impl Datagrams {
    pub(super) const fn new(to: SocketAddr) -> Self {
        let back_off = BackOff(BackOff::FIRST);
        Self { to, socket: None, retry: Tick(0), back_off, problem: None }
    }

    fn open(&self) -> Result<UdpSocket> {
        let any: SocketAddr =
            if self.to.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(self.to)?;
        Ok(socket)
    }
}

impl Outlet for Datagrams {
    fn event(&mut self, _: Readiness) {}

    fn serve(&mut self, feed: &mut Feed, context: &mut Context<'_>) -> Served {
        if self.socket.is_none() && self.retry <= context.now {
            match self.open() {
                Ok(socket) => self.socket = Some(socket),
                Err(error) => {
                    self.problem = Some(error.to_string());
                    self.retry = self.back_off.next(context.now);
                }
            }
        }
        let Some(socket) = &self.socket else { return Served::Waits };
        for _ in 0..BUDGET {
            let Some(record) = feed.next_json() else { return Served::Waits };
            if record.len() > MAX_DATAGRAM {
                feed.lose(1);
                continue;
            }
            match socket.send(&record) {
                Ok(_) => self.problem = None,
                Err(error) => {
                    // What an earlier datagram met is told by a later one.
                    feed.lose(1);
                    self.problem = Some(error.to_string());
                    match error.kind() {
                        ErrorKind::ConnectionRefused | ErrorKind::Interrupted => {}
                        ErrorKind::WouldBlock => return Served::Waits,
                        _ => {
                            self.socket = None;
                            self.retry = self.back_off.next(context.now);
                            return Served::Waits;
                        }
                    }
                }
            }
        }
        self.back_off.reset();
        Served::Again
    }

    fn deadline(&self) -> Option<Tick> {
        self.socket.is_none().then_some(self.retry)
    }

    fn state(&self) -> String {
        self.problem.clone().unwrap_or_else(|| "sending".to_owned())
    }

    fn close(&mut self, _: &Registry) {
        self.socket = None;
    }
}
