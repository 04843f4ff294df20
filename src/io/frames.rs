//! From what a packet socket gives to the frames that the engine takes.

use crate::source::{Direction, Frame};
use crate::sys::capture::{BATCH, Kind, RawFrame};
use crate::time::Clock;
use crate::topology::link::CaptureAs;
use crate::wire::link::LinkType;

/// What [`convert`] put into the batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Taken {
    /// Frames.
    pub count: usize,
    /// Their bytes on the wire.
    pub bytes: u64,
}

/// Fills a batch with what raw frames say. Of the loopback interface, which each packet passes
/// going out and coming in, the second passing is taken.
#[inline]
pub fn convert<'a>(
    raws: &[RawFrame<'a>],
    clock: &Clock,
    iface: u16,
    link: CaptureAs,
    loopback: bool,
    batch: &mut [Frame<'a>; BATCH],
) -> Taken {
    let mut taken = Taken::default();
    let raws = raws.iter().filter(|raw| !loopback || raw.kind != Kind::OUTGOING);
    for (frame, raw) in batch.iter_mut().zip(raws) {
        let tag = if raw.vlan.is_some() { 4 } else { 0 };
        let wire_len = raw.wire_len.saturating_add(tag);
        let out = raw.kind == Kind::OUTGOING;
        *frame = Frame {
            ts: clock.tick_of(raw.wall),
            iface,
            link: match raw.protocol {
                0x0800 if link.cooked => LinkType::IPV4,
                0x86dd if link.cooked => LinkType::IPV6,
                _ => link.link,
            },
            direction: if out { Direction::Out } else { Direction::In },
            vlan: raw.vlan,
            wire_len,
            data: raw.data,
        };
        taken.count = taken.count.saturating_add(1);
        taken.bytes = taken.bytes.saturating_add(u64::from(wire_len));
    }
    taken
}
