//! Sends what captures have for other machines: NetFlow over UDP, packets in GRE.

use std::collections::HashMap;
use std::io::{ErrorKind, Result};
use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::core::Agent;
use crate::core::exports::Datagram;
use crate::sys::gre::Gre;

/// Datagrams sent in one turn.
const BUDGET: usize = 256;

/// The sockets, one for each address family, opened when they are needed.
#[derive(Debug, Default)]
pub struct Sender {
    udp: HashMap<bool, UdpSocket>,
    gre: HashMap<bool, Gre>,
    /// Why sending failed last: said once, not for each datagram.
    problem: Option<ErrorKind>,
}

impl Sender {
    /// Sends what waits; `true` if there is more. What cannot be sent is lost and counted: the
    /// other side is told by the sequence numbers.
    pub fn serve(&mut self, agent: &mut Agent) -> bool {
        for _ in 0..BUDGET {
            let Some(datagram) = agent.exports.next_datagram() else { return false };
            let sent = match &datagram {
                Datagram::Gre(to, bytes) => self.send_gre(*to, bytes),
                Datagram::Udp(to, bytes) => self.send_udp(*to, bytes),
            };
            match sent {
                Ok(()) => self.problem = None,
                Err(error) => {
                    agent.exports.dropped = agent.exports.dropped.saturating_add(1);
                    if self.problem.replace(error.kind()) != Some(error.kind()) {
                        log::warn!("capture with a target: {error}");
                    }
                }
            }
        }
        true
    }

    fn send_udp(&mut self, to: SocketAddr, bytes: &[u8]) -> Result<()> {
        if !self.udp.contains_key(&to.is_ipv4()) {
            let any: SocketAddr =
                if to.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
            let socket = UdpSocket::bind(any)?;
            socket.set_nonblocking(true)?;
            self.udp.insert(to.is_ipv4(), socket);
        }
        match self.udp.get(&to.is_ipv4()) {
            Some(socket) => socket.send_to(bytes, to).map(drop),
            None => Ok(()),
        }
    }

    fn send_gre(&mut self, to: IpAddr, bytes: &[u8]) -> Result<()> {
        if !self.gre.contains_key(&to.is_ipv4()) {
            self.gre.insert(to.is_ipv4(), Gre::open(to)?);
        }
        match self.gre.get(&to.is_ipv4()) {
            Some(socket) => socket.send(to, bytes),
            None => Ok(()),
        }
    }
}
