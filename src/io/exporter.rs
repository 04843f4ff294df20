//! Sends what captures have for other machines: NetFlow over UDP, packets in GRE.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
        let socket = match self.udp.entry(to.is_ipv4()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let any: SocketAddr =
                    if to.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
                let socket = UdpSocket::bind(any)?;
                socket.set_nonblocking(true)?;
                place.insert(socket)
            }
        };
        socket.send_to(bytes, to).map(drop)
    }

    fn send_gre(&mut self, to: IpAddr, bytes: &[u8]) -> Result<()> {
        let socket = match self.gre.entry(to.is_ipv4()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(Gre::open(to)?),
        };
        socket.send(to, bytes)
    }
}
