//! Live packets: sessions that stream what passes through interfaces of any network namespace.
//!
//! A front-end [begins](Packets::begin) one with an [`Order`], waits until it is open or refused,
//! and takes its stream in [chunks](Packets::next). `io` opens the sockets that it needs, hands
//! frames in while the session [has room](Packets::wants), and says what the kernel lost. A
//! reader that is slow fills the room, then the ring of the kernel; what is lost then is counted
//! in the stream.

mod document;
mod order;
pub mod parameters;
mod past;
mod select;
mod session;
mod sessions;
mod target;
#[cfg(test)]
mod tests;
mod thin;
mod told;

use crate::core::names::Names as Hosts;
use crate::counters::Counters;
use crate::filter::names::Names;
use crate::filter::{self, Expression, MAX_TEXT};
use crate::time::{Clock, Tick};
use crate::wire::raw::RawFrame;

/// A filter up to this length is repeated when it is refused.
const MAX_REPEATED: usize = 200;

pub use order::{
    Format, Limits, MAX_PORTS, MAX_TARGETS, Order, Recording, Refused, SNAPLEN, Selection, Target,
    Thinning, Why,
};
pub use session::{End, Ending, Machine, NewPort, Port, PortId, Session, State};
pub use sessions::failure;

/// Sessions at once, whatever the settings say.
pub const MAX_SESSIONS: usize = 64;

/// Names a session as long as it lives.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId {
    /// Its place in the table.
    pub slot: u16,
    /// Counts the users of that place.
    pub generation: u16,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u16,
    session: Option<Session>,
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Packets {
    slots: Vec<Slot>,
    /// Something may be taken from a session since it was last asked.
    fresh: bool,
    /// What is said of this machine in every stream.
    machine: Machine,
}

impl Packets {
    /// Says what is told of this machine in every stream.
    pub fn set_machine(&mut self, machine: Machine) {
        self.machine = machine;
    }

    /// Begins a session; `most` may be there at once. It is not open yet: see
    /// [`Self::state`].
    ///
    /// # Errors
    /// Why not, for whoever asked.
    pub fn begin(
        &mut self,
        order: Order,
        most: usize,
        names: &dyn Names,
        clock: Clock,
        counters: &mut Counters,
    ) -> Result<SessionId, Refused> {
        check(&order, names)?;
        let most = most.min(MAX_SESSIONS);
        if self.iter().count() >= most {
            counters.packet_sessions_refused = counters.packet_sessions_refused.saturating_add(1);
            let text = format!(
                "there are {most} packet sessions already: end one, or raise packet_sessions"
            );
            return Err(Refused::new(Why::Busy, text));
        }
        let at = match self.slots.iter().position(|slot| slot.session.is_none()) {
            Some(at) => at,
            None => {
                self.slots.push(Slot::default());
                self.slots.len().saturating_sub(1)
            }
        };
        let none = Refused::new(Why::Busy, "no room for a session");
        let (Some(slot), Ok(index)) = (self.slots.get_mut(at), u16::try_from(at)) else {
            return Err(none);
        };
        slot.generation = slot.generation.wrapping_add(1) & 0xfff;
        slot.session = Some(Session::new(order, clock));
        // A reader is told of a session that ends before it was looked at.
        self.fresh = true;
        counters.packet_sessions = counters.packet_sessions.saturating_add(1);
        Ok(SessionId { slot: index, generation: slot.generation })
    }

    /// A session, unless it is gone.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        let slot = self.slots.get(usize::from(id.slot))?;
        slot.session.as_ref().filter(|_| slot.generation == id.generation)
    }

    /// All sessions.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.slots.iter().enumerate().filter_map(|(at, slot)| {
            let id = SessionId { slot: u16::try_from(at).ok()?, generation: slot.generation };
            Some((id, slot.session.as_ref()?))
        })
    }

    /// How far a session has come; `None` once it is gone.
    #[must_use]
    pub fn state(&self, id: SessionId) -> Option<&State> {
        self.get(id).map(Session::state)
    }

    /// The next piece of the stream: whole blocks, tens of kilobytes when much is going on.
    /// Give it back with [`Self::recycle`].
    pub fn next(&mut self, id: SessionId) -> Option<Vec<u8>> {
        self.get_mut(id)?.next()
    }

    /// Takes a piece that was sent back for its memory.
    pub fn recycle(&mut self, id: SessionId, chunk: Vec<u8>) {
        if let Some(session) = self.get_mut(id) {
            session.recycle(chunk);
        }
    }

    /// Whether the reader of a session has something to take, or to be told.
    #[must_use]
    pub fn has_news(&self, id: SessionId) -> bool {
        self.get(id).is_none_or(Session::has_news)
    }

    /// Whether any session has got something for its reader since this was last asked.
    pub fn take_fresh(&mut self) -> bool {
        std::mem::take(&mut self.fresh)
    }

    /// The reader of a session is gone, or has read its end: forgets it.
    pub fn close(&mut self, id: SessionId) {
        if self.get(id).is_some()
            && let Some(slot) = self.slots.get_mut(usize::from(id.slot))
        {
            slot.session = None;
        }
    }

    /// Ends a session before its time: what was captured is still delivered.
    pub fn end(&mut self, id: SessionId, end: End, clock: &Clock) {
        if let Some(session) = self.get_mut(id) {
            session.end(end, clock);
            self.fresh = true;
        }
    }

    /// Whether the sockets of a session should be drained: its reader keeps up.
    #[must_use]
    pub fn wants(&self, id: SessionId) -> bool {
        self.get(id).is_some_and(Session::wants)
    }

    /// The sessions whose sockets are still to be opened.
    pub fn opening(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.iter().filter(|(_, session)| *session.state() == State::Opening)
    }

    /// Whether there are any of those.
    #[must_use]
    pub fn is_opening(&self) -> bool {
        self.opening().next().is_some()
    }

    /// Its sockets are open: the stream begins, with these interfaces. `false` if it is not
    /// wanted any more.
    pub fn opened(&mut self, id: SessionId, clock: &Clock) -> bool {
        let machine = std::mem::take(&mut self.machine);
        let opened = self.get_mut(id).is_some_and(|session| session.open(&machine, clock));
        self.machine = machine;
        self.fresh |= opened;
        opened
    }

    /// It cannot be opened.
    pub fn refuse(&mut self, id: SessionId, refused: Refused, counters: &mut Counters) {
        counters.packet_sessions_refused = counters.packet_sessions_refused.saturating_add(1);
        if let Some(session) = self.get_mut(id) {
            session.refuse(refused);
            self.fresh = true;
        }
    }

    /// An interface joins a session; `None` if it cannot.
    pub fn add_port(&mut self, id: SessionId, port: NewPort, clock: &Clock) -> Option<PortId> {
        let machine = std::mem::take(&mut self.machine);
        let added = self.get_mut(id).and_then(|session| session.add_port(port, &machine, clock));
        self.machine = machine;
        self.fresh |= added.is_some();
        added
    }

    /// An interface leaves a session.
    pub fn remove_port(&mut self, id: SessionId, port: PortId, clock: &Clock) {
        if let Some(session) = self.get_mut(id) {
            session.remove_port(port, clock);
            self.fresh = true;
        }
    }

    /// Takes frames of an interface, in their order; learns names of hosts from them, and tells
    /// those that their hosts have.
    #[inline]
    pub fn frames(
        &mut self,
        id: SessionId,
        port: PortId,
        raws: &[RawFrame<'_>],
        hosts: &mut Hosts,
        clock: &Clock,
    ) {
        if let Some(session) = self.get_mut(id) {
            session.frames(port, raws, hosts, clock);
            self.fresh = true;
        }
    }

    /// Takes what the kernel counted since the last time: packets that passed the filter, those
    /// lost included, and packets lost.
    pub fn counted(
        &mut self,
        id: SessionId,
        port: PortId,
        packets: u64,
        lost: u64,
        counters: &mut Counters,
    ) {
        counters.packet_session_drops = counters.packet_session_drops.saturating_add(lost);
        if let Some(session) = self.get_mut(id) {
            session.counted(port, packets, lost);
        }
    }

    /// Takes what a card and its driver have dropped in all, if they tell.
    pub fn dropped_by_card(&mut self, id: SessionId, port: PortId, total: Option<u64>) {
        if let Some(session) = self.get_mut(id) {
            session.dropped_by_card(port, total);
        }
    }

    /// Looks at the time: call it once a second, and at [`Self::deadline`].
    pub fn expire(&mut self, clock: &Clock) {
        let mut fresh = false;
        for session in self.slots.iter_mut().filter_map(|slot| slot.session.as_mut()) {
            fresh |= session.expire(clock);
        }
        self.fresh |= fresh;
    }

    /// When a session ends by the clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        self.iter().filter_map(|(_, session)| session.deadline()).min()
    }

    fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        let slot = self.slots.get_mut(usize::from(id.slot))?;
        slot.session.as_mut().filter(|_| slot.generation == id.generation)
    }
}

/// What is wrong with a filter. A long one is not said again: the line is for people.
fn unreadable(error: &filter::Error, text: &str) -> Refused {
    let shown = if text.len() > MAX_REPEATED { "" } else { text };
    let colon = if shown.is_empty() { "" } else { ": " };
    Refused::new(Why::Bad, format!("filter: {error}{colon}{shown}"))
}

/// What can be known of an order without looking at the machine.
fn check(order: &Order, names: &dyn Names) -> Result<(), Refused> {
    let bad = |text: &str| Err(Refused::new(Why::Bad, text));
    if order.targets.is_empty() || order.targets.len() > MAX_TARGETS {
        return bad(&format!("expected 1 to {MAX_TARGETS} targets"));
    }
    if order.filter.len() > MAX_TEXT {
        return bad(&format!("filter: longer than {MAX_TEXT} octets"));
    }
    if let Err(error) = Expression::parse(&order.filter, names) {
        return Err(unreadable(&error, &order.filter));
    }
    if !(1..=SNAPLEN).contains(&order.snaplen) {
        return bad(&format!("snaplen: expected 1 to {SNAPLEN}"));
    }
    Ok(())
}
