//! What the segments of a TCP flow say: its state (RFC 9293, seen from the middle of the path)
//! and its health. Sequence numbers are compared as serial numbers, so they may wrap.

use super::entry::{Flow, State, mark};
use super::key::{Side, Sides};
use crate::time::Tick;
use crate::wire::decode::Tcp;

/// How late a segment that fills a gap may be and still count as out of order, when no round
/// trip was measured; any later, it was sent again.
const REORDER_MICROS: u32 = 3_000;

/// Sequence numbers further apart than the largest window (RFC 7323) are no gap: tracking
/// starts anew.
const WINDOW_MAX: u32 = 1 << 30;

/// The health of a TCP flow, per direction by the end that sent the segments.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Health {
    /// All flags seen.
    pub flags: Sides<u8>,
    /// RST segments; stays at 65 535.
    pub resets: Sides<u16>,
    /// Segments that were sent again.
    pub retransmissions: Sides<u32>,
    /// Segments that arrived after later ones; stays at 65 535.
    pub out_of_order: Sides<u16>,
    /// Segments that announced a window of zero; stays at 65 535.
    pub zero_windows: Sides<u16>,
    /// From SYN to SYN/ACK in µs: the way to the responder and back.
    pub rtt_server: Option<u32>,
    /// From SYN/ACK to ACK in µs: the way to the initiator and back.
    pub rtt_client: Option<u32>,
}

/// The segment opens a connection: SYN without ACK.
pub(super) const fn opens(segment: &Tcp) -> bool {
    segment.flags & (Tcp::SYN | Tcp::ACK | Tcp::RST) == Tcp::SYN
}

/// The segment answers an opening: SYN and ACK.
pub(super) const fn accepts(segment: &Tcp) -> bool {
    segment.flags & (Tcp::SYN | Tcp::ACK | Tcp::RST) == Tcp::SYN | Tcp::ACK
}

/// Takes in a segment that `side` sent.
#[inline]
pub(super) fn observe(flow: &mut Flow, side: Side, ts: Tick, segment: &Tcp, payload: u32) {
    let seen = flow.flags.of_mut(side);
    *seen |= segment.flags;
    const OPEN_CLOSE: u8 = Tcp::SYN | Tcp::FIN | Tcp::RST;
    if segment.flags & OPEN_CLOSE == 0 {
        if segment.window == 0 {
            let count = flow.zero_windows.of_mut(side);
            *count = count.saturating_add(1);
        }
    } else if segment.flags & Tcp::RST != 0 {
        let count = flow.resets.of_mut(side);
        *count = count.saturating_add(1);
        if flow.state != State::Closed {
            flow.state = State::Reset;
        }
        // Its numbers are often made up.
        return;
    }
    sequence(flow, side, ts, segment, payload);
    if segment.flags & Tcp::SYN != 0 {
        handshake(flow, side, ts, segment);
    } else if flow.state == State::Syn {
        complete(flow, side, ts, segment, payload);
    }
    if segment.flags & Tcp::FIN != 0 {
        let (own, both) = match side {
            Side::Lower => (mark::FIN_LOWER, mark::FIN_LOWER | mark::FIN_UPPER),
            Side::Upper => (mark::FIN_UPPER, mark::FIN_LOWER | mark::FIN_UPPER),
        };
        flow.marks |= own;
        flow.state = match flow.state {
            State::Reset => State::Reset,
            _ if flow.marks & both == both => State::Closed,
            _ => State::Closing,
        };
    }
}

/// SYN and SYN/ACK: who opened, and when each was sent (the last one, if several were).
#[expect(clippy::cast_possible_truncation, reason = "stamps are compared modulo 2^32")]
fn handshake(flow: &mut Flow, side: Side, ts: Tick, segment: &Tcp) {
    if flow.state == State::New && *flow.packets.of(side.other()) == 0 {
        flow.state = State::Syn;
        let initiator = if opens(segment) { side } else { side.other() };
        match initiator {
            Side::Lower => flow.marks &= !mark::FROM_UPPER,
            Side::Upper => flow.marks |= mark::FROM_UPPER,
        }
    }
    let now = ts.0 as u32;
    if opens(segment) && !flow.is(mark::RTT_SERVER) {
        flow.rtt_server = now;
        flow.marks |= mark::SYN_STAMP;
    } else if accepts(segment) && !flow.is(mark::RTT_CLIENT) {
        flow.rtt_client = now;
        flow.marks |= mark::SYN_ACK_STAMP;
        if flow.is(mark::SYN_STAMP) && !flow.is(mark::RTT_SERVER) {
            flow.rtt_server = elapsed(now, flow.rtt_server);
            flow.marks |= mark::RTT_SERVER;
        }
    }
}

/// A segment without SYN during the handshake: the initiator's ACK of a SYN/ACK completes it.
/// Where that SYN/ACK did not cross this machine, payload has to do.
#[expect(clippy::cast_possible_truncation, reason = "stamps are compared modulo 2^32")]
fn complete(flow: &mut Flow, side: Side, ts: Tick, segment: &Tcp, payload: u32) {
    if segment.flags & Tcp::ACK == 0 {
        return;
    }
    let answered = flow.is(mark::SYN_ACK_STAMP) && side == flow.initiator();
    if answered && !flow.is(mark::RTT_CLIENT) {
        flow.rtt_client = elapsed(ts.0 as u32, flow.rtt_client);
        flow.marks |= mark::RTT_CLIENT;
    }
    if answered || payload > 0 {
        flow.state = State::Established;
    }
}

/// Microseconds between two stamps of 32 bits; a clock that went backwards gives 0.
const fn elapsed(now: u32, then: u32) -> u32 {
    let passed = now.wrapping_sub(then);
    if passed > u32::MAX / 2 { 0 } else { passed }
}

/// Follows the sequence numbers of one direction.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "stamps are compared modulo 2^32")]
fn sequence(flow: &mut Flow, side: Side, ts: Tick, segment: &Tcp, payload: u32) {
    let syn = segment.flags & Tcp::SYN != 0;
    let fin = segment.flags & Tcp::FIN != 0;
    let length = payload.wrapping_add(u32::from(syn)).wrapping_add(u32::from(fin));
    let end = segment.seq.wrapping_add(length);
    let known = match side {
        Side::Lower => mark::SEQ_LOWER,
        Side::Upper => mark::SEQ_UPPER,
    };
    let next = *flow.seq.of(side);
    let ahead = segment.seq.wrapping_sub(next);
    let behind = next.wrapping_sub(segment.seq);
    let resync = ahead > WINDOW_MAX && behind > WINDOW_MAX || syn && end != next;
    if ahead == 0 || resync || !flow.is(known) {
        flow.marks |= known;
        *flow.seq.of_mut(side) = end;
    } else if ahead <= WINDOW_MAX {
        flow.jump = ts.0 as u32;
        flow.marks |= mark::JUMPED;
        *flow.seq.of_mut(side) = end;
    } else {
        // A keep-alive repeats the last byte, or nothing, below what is expected; a probe of a
        // zero window sends one byte ahead of its time, and that byte comes again with the rest.
        let probe = behind == 1 && !syn && !fin;
        let repeats = length > 0 && !probe;
        if repeats && flow.is(mark::JUMPED) && is_reordered(flow, ts.0 as u32) {
            let count = flow.out_of_order.of_mut(side);
            *count = count.saturating_add(1);
        } else if repeats {
            let count = flow.retransmissions.of_mut(side);
            *count = count.saturating_add(1);
        }
        let new = end.wrapping_sub(next);
        if new <= WINDOW_MAX {
            *flow.seq.of_mut(side) = end;
        }
    }
}

/// Whether a gap opened so recently that the sender can't know of it yet.
const fn is_reordered(flow: &Flow, now: u32) -> bool {
    let measured = mark::RTT_SERVER | mark::RTT_CLIENT;
    let limit = if flow.marks & measured == measured {
        flow.rtt_server.saturating_add(flow.rtt_client)
    } else {
        REORDER_MICROS
    };
    elapsed(now, flow.jump) < limit
}

impl Flow {
    /// The TCP side of it, `None` for other protocols.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        (self.key.proto == super::entry::TCP).then(|| Health {
            flags: self.flags,
            resets: self.resets,
            retransmissions: self.retransmissions,
            out_of_order: self.out_of_order,
            zero_windows: self.zero_windows,
            rtt_server: self.is(mark::RTT_SERVER).then_some(self.rtt_server),
            rtt_client: self.is(mark::RTT_CLIENT).then_some(self.rtt_client),
        })
    }
}
