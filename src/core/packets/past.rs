//! Sessions that begin in the past: what [`crate::core::lookback`] has of their interfaces comes
//! first, then what passes now. While the past is replayed the sockets of a session wait; of what
//! they have then, that which was in the past already is left out.

use super::order::{Order, Refused, Target, Why};
use super::session::{PortId, Session, State};
use super::{Packets, SessionId};
use crate::core::Agent;
use crate::core::lookback::Lookback;
use crate::core::names::Names;
use crate::filter::names::Names as Tables;
use crate::filter::vm::Meta;
use crate::filter::{self, Expression, Program};
use crate::time::{Clock, Tick};
use crate::wire::link::LinkType;

/// Packets looked at in one turn: well below a millisecond of work.
const TURN: usize = 512;

/// How long frames of the engine may be on their way, in microseconds: rings hand a block over
/// when it is full or after some time.
const LATE: u64 = 200_000;

/// How far a session is with its past.
#[derive(Debug, Default)]
pub(super) enum Past {
    /// It has none, or it is told.
    #[default]
    None,
    /// It is being told.
    Running(Replay),
    /// It is to be told once the sockets are open.
    Wanted,
}

/// The way through what is remembered.
#[derive(Debug)]
pub(super) struct Replay {
    cursors: Vec<Cursor>,
    /// When the sockets were open, in nanoseconds since 1970: what came before is of the past.
    until: u64,
    /// Nothing late is waited for after this moment.
    patience: Tick,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Cursor {
    port: PortId,
    ifindex: u32,
    next: u64,
    program: Program,
}

impl Agent {
    /// Checks that the past which an order asks for is remembered.
    pub(in crate::core) fn check_past(&self, order: &Order) -> Result<(), Refused> {
        if order.since.is_none() {
            return Ok(());
        }
        let bad = |text: String| Err(Refused::new(Why::Bad, text));
        if !self.lookback.is_on() {
            return bad(
                "since: packets of the past are not kept: set lookback_kib, such as 4096 KiB for \
                 each captured interface"
                    .to_owned(),
            );
        }
        for target in &order.targets {
            if !self.is_home(target) {
                return bad(
                    "since: the past is kept of the agent's own namespace alone: leave since out, \
                     or name no other namespace"
                        .to_owned(),
                );
            }
            for name in &target.interfaces {
                let link = self.links.by_name(name).and_then(|slot| self.links.get(slot));
                let open = |slot| self.facts.ports.iter().any(|p| p.slot == slot && p.is_open);
                let known = link.is_some_and(|link| self.lookback.of(link.ifindex).is_some())
                    || self.links.by_name(name).is_some_and(open);
                if link.is_some() && !known {
                    return bad(format!(
                        "since: {name} is not captured all the time: add it to capture_interfaces"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Goes on with the past of sessions; `true` if there is more to do right now. `now` is read
    /// after the sockets of sessions were opened.
    pub fn replay(&mut self, now: &Clock) -> bool {
        let waiting: Vec<SessionId> = self.packets.with_past().collect();
        let mut more = false;
        for id in waiting {
            let Some(session) = self.packets.get(id) else { continue };
            if matches!(session.past, Past::Wanted) {
                let replay = self.begin_past(session, now);
                if let Some(session) = self.packets.get_mut(id) {
                    session.past = Past::Running(replay);
                }
            }
            more |= self.packets.replay(id, &self.lookback, &mut self.engine.lore.names, now);
        }
        more
    }

    fn begin_past(&self, session: &Session, now: &Clock) -> Replay {
        let order = session.order();
        let until = super::session::nanos_of(now);
        let micros = order.since.unwrap_or(0);
        let from = until.saturating_sub(micros.saturating_mul(1_000));
        let mut cursors = Vec::new();
        for (at, port) in session.ports().iter().enumerate() {
            let home = order.targets.get(port.target).is_some_and(|target| self.is_home(target));
            let memory = self.lookback.of(port.ifindex).filter(|_| home && !port.gone);
            let Some((memory, port_id)) = memory.zip(u32::try_from(at).ok()) else { continue };
            // A filter that the link layer does not know would not have passed its socket.
            let Ok(program) = program(order, port.layer(), &*self.tables) else { continue };
            let (port_id, ifindex) = (PortId(port_id), port.ifindex);
            cursors.push(Cursor { port: port_id, ifindex, next: memory.seek(from), program });
        }
        Replay { cursors, until, patience: now.tick.plus(LATE), scratch: Vec::new() }
    }

    /// Whether a target is the agent's own namespace, however it is called.
    fn is_home(&self, target: &Target) -> bool {
        target.is_own() || (target.netns != 0 && target.netns == self.facts.netns)
    }
}

impl Packets {
    /// When a session waits no longer for late frames of its past.
    #[must_use]
    pub fn past_deadline(&self) -> Option<Tick> {
        self.iter()
            .filter_map(|(_, session)| match &session.past {
                Past::Running(replay) if session.has_room() => Some(replay.patience),
                _ => None,
            })
            .min()
    }

    fn with_past(&self) -> impl Iterator<Item = SessionId> {
        let pending = |session: &Session| {
            *session.state() == State::Open && !matches!(session.past, Past::None)
        };
        self.iter().filter(move |(_, session)| pending(session)).map(|(id, _)| id)
    }

    fn replay(
        &mut self,
        id: SessionId,
        lookback: &Lookback,
        names: &mut Names,
        now: &Clock,
    ) -> bool {
        let Some(session) = self.get_mut(id) else { return false };
        let Past::Running(mut replay) = std::mem::take(&mut session.past) else { return false };
        let more = replay.go(session, lookback, names, now);
        let late = replay.cursors.iter().any(|cursor| cursor.may_be_late(lookback, replay.until));
        // A session that ended meanwhile has no use for the rest of its past.
        let over = *session.state() != State::Open;
        if over || !more && session.has_room() && (!late || now.tick >= replay.patience) {
            for cursor in &replay.cursors {
                session.live_from(cursor.port, replay.until);
            }
        } else {
            session.past = Past::Running(replay);
        }
        self.fresh = true;
        // Sockets that have waited may have frames.
        more || self.get(id).is_some_and(Session::wants)
    }
}

impl Replay {
    /// Hands some packets to the session, of all interfaces by their moments; `true` if there are
    /// more and the session has room.
    fn go(
        &mut self,
        session: &mut Session,
        lookback: &Lookback,
        names: &mut Names,
        now: &Clock,
    ) -> bool {
        for _ in 0..TURN {
            if !session.has_room() || *session.state() != State::Open {
                return false;
            }
            let stamps = self.cursors.iter_mut().filter_map(|cursor| {
                let memory = lookback.of(cursor.ifindex)?;
                // What was overwritten in the meantime is lost to this session.
                cursor.next = cursor.next.max(memory.first());
                let stamp = memory.stamp(cursor.next).filter(|stamp| *stamp < self.until)?;
                Some((stamp, cursor))
            });
            let Some((_, cursor)) = stamps.min_by_key(|(stamp, _)| *stamp) else { return false };
            let number = cursor.next;
            cursor.next = number.saturating_add(1);
            let memory = lookback.of(cursor.ifindex);
            let frame = memory.and_then(|m| m.frame(number, cursor.ifindex, &mut self.scratch));
            let Some(frame) = frame else { continue };
            let meta = Meta {
                vlan: frame.vlan.map(|tag| tag.tci),
                packet_type: Some(frame.kind.0),
                interface: Some(cursor.ifindex),
            };
            if cursor.program.matches(frame.data, frame.wire_len, &meta) {
                session.frames(cursor.port, &[frame], names, now);
            }
        }
        true
    }
}

impl Cursor {
    /// Whether packets from before the opening may still be on their way: none from after it has
    /// come.
    fn may_be_late(&self, lookback: &Lookback, until: u64) -> bool {
        let last = lookback.of(self.ifindex).and_then(|m| m.stamp(m.next().saturating_sub(1)));
        last.is_none_or(|last| last < until)
    }
}

/// The filter of an order for the sockets of a link layer.
fn program(order: &Order, link: LinkType, names: &dyn Tables) -> Result<Program, filter::Error> {
    let options = filter::Options { accept: order.snaplen, live: true, names };
    let plain = order.filter.trim();
    let own = (!plain.is_empty()).then(|| format!("({plain})"));
    let parts = own.into_iter().chain(order.exclude.iter().map(|text| format!("not ({text})")));
    let text = parts.collect::<Vec<_>>().join(" and ");
    // What this link layer cannot tell of the stream itself must not stop the filter.
    let all = Expression::parse(&text, names).and_then(|all| all.compile(link, &options));
    all.or_else(|_| filter::compile(plain, link, &options))
}
