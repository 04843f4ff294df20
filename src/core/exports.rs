//! What captures with a target send to other machines instead of keeping it: NetFlow datagrams of
//! their flows, or every packet in ERSPAN. `io` sends what is queued here.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::capture::Flow;
use crate::capture::netflow::{Exporter, Mirror};
use crate::source::Frame;
use crate::time::Wall;

use super::resources::capture::Target;

/// Datagrams that wait to be sent; further ones are dropped and counted.
pub const MAX_QUEUED: usize = 512;

/// A datagram for another machine.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the protocols that carry it")]
pub enum Datagram {
    Gre(IpAddr, Vec<u8>),
    Udp(SocketAddr, Vec<u8>),
}

#[derive(Debug)]
enum Export {
    Erspan { to: IpAddr, mirror: Mirror, sequence: u32 },
    Netflow { to: SocketAddr, exporter: Exporter },
}

/// Captures with a target, and what waits to be sent for them.
#[derive(Debug, Default)]
pub struct Exports {
    by_capture: HashMap<Rc<str>, Export>,
    queue: VecDeque<Datagram>,
    sessions: u16,
    /// Datagrams dropped because too many waited.
    pub dropped: u64,
}

impl Exports {
    /// Begins to send for a capture; nothing happens if it is at it already.
    pub(super) fn begin(&mut self, capture: &Rc<str>, target: Target, now: Wall) {
        if self.by_capture.contains_key(capture) {
            return;
        }
        let export = match target {
            Target::Local => return,
            Target::Erspan(to) => {
                self.sessions = self.sessions.wrapping_add(1) & 0x3ff;
                let mirror = Mirror { session: self.sessions, ..Mirror::default() };
                Export::Erspan { to: to.ip(), mirror, sequence: 0 }
            }
            Target::Netflow(to) => Export::Netflow { to, exporter: Exporter::new(now.millis()) },
        };
        self.by_capture.insert(Rc::clone(capture), export);
    }

    /// Sends what is left of a capture, and no more.
    pub(super) fn end(&mut self, capture: &str, now: Wall) {
        self.flush(now);
        self.by_capture.remove(capture);
    }

    /// Takes note of a flow that changed or ended; `false` if its capture keeps its flows here.
    pub(super) fn flow(&mut self, flow: &Flow, is_over: bool, now: Wall) -> bool {
        let Some(export) = self.by_capture.get_mut(&flow.capture) else { return false };
        if let Export::Netflow { to, exporter } = export
            && (is_over || flow.last_update.is_some())
        {
            let (to, queue, dropped) = (*to, &mut self.queue, &mut self.dropped);
            exporter.add(flow, now, &mut |bytes| {
                push(queue, dropped, Datagram::Udp(to, bytes.to_vec()));
            });
        }
        true
    }

    /// Mirrors frames of a capture; `false` if that is not what it does.
    pub(super) fn mirror(&mut self, capture: &str, frames: &[Frame<'_>]) -> bool {
        let Some(Export::Erspan { to, mirror, sequence }) = self.by_capture.get_mut(capture) else {
            return false;
        };
        for frame in frames {
            let cut = frame.data.len() < frame.wire_len as usize;
            let mut out = Vec::with_capacity(frame.data.len().saturating_add(16));
            mirror.write(*sequence, frame.data, cut, &mut out);
            *sequence = sequence.wrapping_add(1);
            push(&mut self.queue, &mut self.dropped, Datagram::Gre(*to, out));
        }
        true
    }

    /// Queues what has been collected so far.
    pub(super) fn flush(&mut self, now: Wall) {
        for export in self.by_capture.values_mut() {
            if let Export::Netflow { to, exporter } = export {
                let (to, queue, dropped) = (*to, &mut self.queue, &mut self.dropped);
                exporter.flush(now, &mut |bytes| {
                    push(queue, dropped, Datagram::Udp(to, bytes.to_vec()));
                });
            }
        }
    }

    /// The next datagram to send.
    pub fn next_datagram(&mut self) -> Option<Datagram> {
        self.queue.pop_front()
    }
}

fn push(queue: &mut VecDeque<Datagram>, dropped: &mut u64, datagram: Datagram) {
    if queue.len() >= MAX_QUEUED {
        *dropped = dropped.saturating_add(1);
    } else {
        queue.push_back(datagram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_mirrored_in_order_and_the_newest_dropped_when_too_many_wait() {
        let mut exports = Exports::default();
        let target = Target::Erspan(([10, 0, 0, 9], 1).into());
        exports.begin(&"c".into(), target, Wall(0));
        let frame = Frame { data: &[1, 2, 3], wire_len: 9, ..Frame::EMPTY };
        assert!(exports.mirror("c", &[frame; MAX_QUEUED + 3]));
        assert!(!exports.mirror("d", &[frame]));
        assert_eq!(exports.dropped, 3);
        let Some(Datagram::Gre(to, bytes)) = exports.next_datagram() else { panic!() };
        assert_eq!(to, IpAddr::from([10, 0, 0, 9]));
        assert_eq!(&bytes[..8], [0x10, 0, 0x88, 0xbe, 0, 0, 0, 0]);
        assert_eq!(&bytes[16..], [1, 2, 3]);
        let Some(Datagram::Gre(_, bytes)) = exports.next_datagram() else { panic!() };
        assert_eq!(&bytes[4..8], [0, 0, 0, 1]);
    }
}
