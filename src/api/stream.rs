//! PCAP-over-IP: a connection that gets packets at once and is never listened to, as Wireshark's
//! `TCP@address:port` wants it. Which packets is a matter of the door it came through.

use std::net::SocketAddr;

use crate::core::Agent;
use crate::core::auth::{Caller, Right};
use crate::core::packets::parameters::{self, Fallback};
use crate::core::packets::{Refused, SessionId, State};
use crate::time::Tick;

use super::tap::{Dry, Tap};
use super::{Close, Connection, Outbox, Progress, http};

/// No more is taken from the session while so many octets wait to be sent.
const MARK: usize = 64 * 1024;

/// One such client.
#[derive(Debug)]
pub struct Stream {
    parameters: String,
    remote: SocketAddr,
    local: SocketAddr,
    tap: Option<Tap>,
    over: bool,
}

impl Stream {
    /// A client that connected from `remote` to `local`, where packets as of `parameters` are
    /// given out.
    #[must_use]
    pub const fn new(parameters: String, remote: SocketAddr, local: SocketAddr) -> Self {
        Self { parameters, remote, local, tap: None, over: false }
    }

    fn begin(&self, agent: &mut Agent) -> Result<SessionId, Refused> {
        let pairs = parameters::pairs_of(&self.parameters);
        let mut wish = parameters::parse(&pairs, Fallback::Own)?;
        if !wish.itself {
            http::leave_out(&mut wish.order, self.remote, self.local, agent.settings());
        }
        // Who may connect at all is for the door to say.
        let caller = Caller { right: Right::Capture };
        agent.order_packets(wish, self.remote.to_string(), &caller)
    }

    fn refuse(&mut self, refused: &Refused) -> Progress {
        log::warn!("pcap_over_ip {}: {}: {refused}", self.local, self.remote);
        self.over = true;
        Progress::Done
    }
}

impl Connection for Stream {
    fn receive(
        &mut self,
        bytes: &[u8],
        _: &mut Agent,
        _: &mut Outbox,
        _: Tick,
    ) -> Result<usize, Close> {
        Ok(bytes.len())
    }

    fn finish(&mut self, _: &[u8], _: &mut Agent, _: &mut Outbox, _: Tick) {
        // There is no telling a client that is gone from one that only listens.
        self.over = true;
    }

    fn produce(&mut self, agent: &mut Agent, out: &mut Outbox, _: Tick) -> Progress {
        if self.over {
            return Progress::Done;
        }
        let tap = match &mut self.tap {
            Some(tap) => tap,
            None => match self.begin(agent) {
                Ok(id) => self.tap.insert(Tap::new(id)),
                Err(refused) => return self.refuse(&refused),
            },
        };
        if let Some(State::Refused(refused)) = agent.packets.state(tap.id()) {
            let refused = refused.clone();
            return self.refuse(&refused);
        }
        let send = |piece: &[u8], out: &mut Outbox| out.push(|b| b.extend_from_slice(piece));
        match tap.flow(agent, out, MARK, send) {
            Dry::Full => Progress::More,
            Dry::Over(_) => Progress::Done,
            Dry::Waits => Progress::Idle,
        }
    }

    fn ready(&self, _: &Outbox) -> bool {
        true
    }

    fn streams(&self) -> bool {
        true
    }

    fn has_news(&self, agent: &Agent) -> bool {
        self.tap.as_ref().is_some_and(|tap| agent.packets.has_news(tap.id()))
    }

    fn closed(&mut self, agent: &mut Agent) {
        if let Some(tap) = &self.tap {
            agent.packets.close(tap.id());
        }
    }

    fn held(&self) -> usize {
        self.tap.as_ref().map_or(0, Tap::held)
    }

    fn max_input(&self) -> usize {
        64 * 1024
    }

    fn standing(&self) -> Option<(bool, Tick)> {
        Some((true, Tick(u64::MAX)))
    }
}
