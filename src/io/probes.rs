//! The packet sockets of on-demand captures: one for each capture on each node, opened in the
//! node's network namespace, with the capture's own filter. What is wanted where is decided in
//! [`crate::core::attach`]; here it is opened, drained and closed.

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsRawFd as _;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::core::Agent;
use crate::core::attach::{Place, Wanted};
use crate::sys::aside;
use crate::sys::capture::{BATCH, Config, Drained, Error, Method, Socket};
use crate::time::Clock;
use crate::topology::link::CaptureAs;

use super::capture::explain;
use super::frames;
use super::spaces::Spaces;
use super::token::{Slot, Source};

/// Sockets opened in one turn: the kernel takes some milliseconds for the ring of each.
const OPENED_IN_A_TURN: usize = 2;

/// Bytes of rings of all on-demand captures; beyond that sockets do without one.
const MAX_RINGS: usize = 8 << 20;

/// The ring of one.
const BLOCK: u32 = 64 << 10;
const BLOCKS: u32 = 4;

/// Milliseconds after which frames are handed over that don't fill a block.
const TIMEOUT: u32 = 20;

#[derive(Debug)]
struct Probe {
    generation: u16,
    socket: Socket,
    link: CaptureAs,
    loopback: bool,
    drops: u64,
}

/// The open sockets.
#[derive(Debug, Default)]
pub struct Probes {
    open: HashMap<u16, Probe>,
}

impl Probes {
    /// Closes what is over and opens what is wanted, a few at a time; `true` if more is wanted
    /// than one turn may open.
    pub fn sync(
        &mut self,
        agent: &mut Agent,
        spaces: &Spaces,
        registry: &Registry,
        ready: &mut VecDeque<Place>,
    ) -> bool {
        let over = self.open.extract_if(|slot, probe| {
            let place = Place { slot: *slot, generation: probe.generation };
            !agent.attachments.get(place).is_some_and(|known| known.is_active())
        });
        aside::drop_aside(over.map(|(_, probe)| {
            // Only fails for a descriptor that was never registered.
            let _ = registry.deregister(&mut SourceFd(&probe.socket.as_raw_fd()));
            probe
        }));
        let mut wanted = agent.wanted_sockets();
        let more = wanted.len() > OPENED_IN_A_TURN;
        wanted.truncate(OPENED_IN_A_TURN);
        for wanted in wanted {
            match wanted {
                Ok(wanted) => match self.open(&wanted, agent, spaces, registry) {
                    Ok(()) => ready.push_back(wanted.place),
                    Err(why) => agent.socket_failed(wanted.place, why),
                },
                Err((place, why)) => agent.socket_failed(place, why),
            }
        }
        more
    }

    /// Hands up to `budget` frames of an attachment to the agent.
    pub fn drain(
        &mut self,
        place: Place,
        clock: &Clock,
        budget: u32,
        agent: &mut Agent,
    ) -> Drained {
        let probe = self.open.get_mut(&place.slot);
        let Some(probe) = probe.filter(|probe| probe.generation == place.generation) else {
            return Drained::default();
        };
        let (link, loopback) = (probe.link, probe.loopback);
        probe.socket.drain(budget, |raws| {
            let mut frames = [crate::source::Frame::EMPTY; BATCH];
            let taken = frames::convert(raws, clock, 0, link, loopback, &mut frames);
            agent.captured_frames(place, frames.get(..taken.count).unwrap_or_default());
        })
    }

    /// Takes the pending error of a socket after an error event.
    pub fn take_error(&mut self, place: Place, agent: &mut Agent, registry: &Registry) {
        let probe = self.open.get(&place.slot);
        let Some(probe) = probe.filter(|probe| probe.generation == place.generation) else {
            return;
        };
        match probe.socket.error() {
            Ok(()) => {}
            // It resumes by itself when the interface comes up again.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
            Err(source) => {
                let _ = registry.deregister(&mut SourceFd(&probe.socket.as_raw_fd()));
                self.open.remove(&place.slot);
                agent.socket_failed(place, explain(&Error { step: "capture", source }));
            }
        }
    }

    /// Reads the kernel's loss counters: call it once a second.
    pub fn poll_statistics(&mut self, agent: &mut Agent) {
        for (slot, probe) in &mut self.open {
            let Ok(statistics) = probe.socket.statistics() else { continue };
            if statistics.drops > 0 {
                probe.drops = probe.drops.saturating_add(u64::from(statistics.drops));
                let place = Place { slot: *slot, generation: probe.generation };
                agent.socket_drops(place, probe.drops);
            }
        }
    }

    /// Sockets that are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn open(
        &mut self,
        wanted: &Wanted,
        agent: &mut Agent,
        spaces: &Spaces,
        registry: &Registry,
    ) -> Result<(), String> {
        let rings: usize = self.open.values().map(|probe| probe.socket.memory()).sum();
        let ring = rings.saturating_add((BLOCK as usize).saturating_mul(BLOCKS as usize));
        let method = if ring > MAX_RINGS { Method::Plain } else { Method::Auto };
        let filter: Vec<(u16, u8, u8, u32)> =
            wanted.program.instructions().iter().map(|i| (i.code, i.jt, i.jf, i.k)).collect();
        let opened = spaces.on_node(agent, &wanted.node, |ifindex| {
            Socket::open(&Config {
                ifindex,
                block_size: BLOCK,
                blocks: BLOCKS,
                timeout_ms: TIMEOUT,
                snaplen: wanted.snaplen,
                promiscuous: wanted.promiscuous,
                ignore_outgoing: wanted.loopback,
                cooked: false,
                filter: &filter,
                method,
            })
        });
        let socket = match opened {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return Err(explain(&error)),
            Err(error) => return Err(format!("network namespace: {error}")),
        };
        if !agent.socket_opened(wanted.place) {
            return Ok(());
        }
        let Place { slot, generation } = wanted.place;
        let token: Token = Source::Probe(Slot { index: slot, generation }).into();
        let fd = socket.as_raw_fd();
        registry
            .register(&mut SourceFd(&fd), token, Interest::READABLE)
            .map_err(|error| format!("epoll: {error}"))?;
        let link = CaptureAs { link: wanted.link, cooked: false };
        let loopback = wanted.loopback;
        self.open.insert(slot, Probe { generation, socket, link, loopback, drops: 0 });
        Ok(())
    }
}
