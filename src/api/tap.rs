//! What every front-end does with a session of live packets: takes its stream piece by piece as
//! there is room, and hears when it is over.

use crate::core::Agent;
use crate::core::packets::{End, SessionId, State};

use super::Outbox;

/// A piece of the stream that is larger is handed on in parts: output is bounded.
const LARGE: usize = 128 * 1024;

/// The largest part.
const PART: usize = 64 * 1024;

/// A session, and what of it was taken and not yet handed on.
#[derive(Debug)]
pub(super) struct Tap {
    id: SessionId,
    /// A large piece, handed on up to `at`.
    rest: Vec<u8>,
    at: usize,
}

/// Why nothing more comes for now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Dry {
    /// There is no room.
    Full,
    /// Nor ever will: how the session ended, if that is known.
    Over(Option<End>),
    /// There is nothing new.
    Waits,
}

impl Tap {
    pub(super) const fn new(id: SessionId) -> Self {
        Self { id, rest: Vec::new(), at: 0 }
    }

    pub(super) const fn id(&self) -> SessionId {
        self.id
    }

    /// Octets of memory for what waits here.
    pub(super) const fn held(&self) -> usize {
        self.rest.capacity()
    }

    /// Hands on what there is while less than `mark` octets wait to be sent. `send` takes whole
    /// blocks where it can, or says that there is no room.
    pub(super) fn flow(
        &mut self,
        agent: &mut Agent,
        out: &mut Outbox,
        mark: usize,
        mut send: impl FnMut(&[u8], &mut Outbox) -> bool,
    ) -> Dry {
        loop {
            if out.pending().len() >= mark {
                return Dry::Full;
            }
            let rest = self.rest.get(self.at..).unwrap_or_default();
            if !rest.is_empty() {
                let part = if self.rest.len() > LARGE { rest.get(..PART) } else { None };
                let part = part.unwrap_or(rest);
                if !send(part, out) {
                    return Dry::Full;
                }
                self.at = self.at.saturating_add(part.len());
                continue;
            }
            let Some(chunk) = agent.packets.next(self.id) else {
                return match agent.packets.state(self.id) {
                    Some(State::Open | State::Opening) => Dry::Waits,
                    Some(State::Over(end)) => Dry::Over(Some(end.clone())),
                    Some(State::Refused(_)) | None => Dry::Over(None),
                };
            };
            let sent = std::mem::replace(&mut self.rest, chunk);
            self.at = 0;
            agent.packets.recycle(self.id, sent);
        }
    }
}
