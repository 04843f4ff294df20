//! What a readiness event belongs to, packed into the `usize` that mio hands back.

use mio::Token;
use mio::event::Event;

/// Index plus generation, so that an event for a closed client cannot reach its successor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slot {
    /// Place in its table.
    pub index: u16,
    /// Counts the users of that place, modulo 4096.
    pub generation: u16,
}

/// A source of readiness events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// The packet socket of an interface, by the interface's slot.
    Capture(Slot),
    /// A stream client.
    Client(Slot),
    /// The netlink socket that tells of connections.
    Connections,
    /// A listener of the HTTP interface, by its number.
    HttpListener(u16),
    /// The management port.
    Management,
    /// The folders that files of namespaces are in.
    Folders,
    /// A message of an alert on its way.
    Post(Slot),
    /// A request handed on to the discovery service.
    Relay(Slot),
    /// The packet socket of an on-demand capture.
    Probe(Slot),
    /// The packet socket of a session of live packets.
    Session(Slot),
    /// The netlink socket of a namespace that such a session looks into.
    SessionSpace(Slot),
    /// A listener that streams packets, by its number.
    StreamListener(u16),
    /// Signals.
    Signals,
    /// A consumer of telemetry, or a listener for them.
    Sink(Slot),
    /// The netlink socket of a namespace.
    Space(Slot),
    /// A Unix listener, by position.
    UnixListener(u16),
}

/// What an event says of its source.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Readiness {
    /// There may be something to read, or an error to take.
    pub readable: bool,
    /// There may be room to write.
    pub writable: bool,
    /// The peer is gone altogether.
    pub gone: bool,
    /// An error waits to be taken.
    pub error: bool,
}

impl From<&Event> for Readiness {
    fn from(event: &Event) -> Self {
        let error = event.is_error();
        Self {
            readable: event.is_readable() || event.is_read_closed() || error,
            writable: event.is_writable() || event.is_write_closed() || error,
            gone: event.is_write_closed(),
            error,
        }
    }
}

const INDEX_BITS: u32 = 16;
const GENERATION_BITS: u32 = 12;
const GENERATION_MASK: u16 = (1 << GENERATION_BITS) - 1;

impl From<Source> for Token {
    fn from(source: Source) -> Self {
        let none = Slot { index: 0, generation: 0 };
        let (kind, slot) = match source {
            Source::Capture(slot) => (0_usize, slot),
            Source::Client(slot) => (1, slot),
            Source::Management => (2, none),
            Source::Space(slot) => (3, slot),
            Source::Signals => (4, none),
            Source::UnixListener(index) => (5, Slot { index, generation: 0 }),
            Source::Folders => (6, none),
            Source::Probe(slot) => (7, slot),
            Source::Post(slot) => (8, slot),
            Source::HttpListener(index) => (9, Slot { index, generation: 0 }),
            Source::Session(slot) => (10, slot),
            Source::SessionSpace(slot) => (11, slot),
            Source::StreamListener(index) => (12, Slot { index, generation: 0 }),
            Source::Relay(slot) => (13, slot),
            Source::Connections => (14, none),
            Source::Sink(slot) => (15, slot),
        };
        let generation = usize::from(slot.generation & GENERATION_MASK);
        // 4 + 12 + 16 bits: fits the usize of a 32-bit machine.
        Self(
            (kind << (GENERATION_BITS + INDEX_BITS))
                | (generation << INDEX_BITS)
                | usize::from(slot.index),
        )
    }
}

/// The source behind a token; `None` for one that was never given out.
#[must_use]
pub fn source_of(token: Token) -> Option<Source> {
    let index = u16::try_from(token.0 & 0xffff).ok()?;
    let generation = u16::try_from(token.0 >> INDEX_BITS & usize::from(GENERATION_MASK)).ok()?;
    let slot = Slot { index, generation };
    Some(match token.0 >> (GENERATION_BITS + INDEX_BITS) {
        0 => Source::Capture(slot),
        1 => Source::Client(slot),
        2 => Source::Management,
        3 => Source::Space(slot),
        4 => Source::Signals,
        5 => Source::UnixListener(index),
        6 => Source::Folders,
        7 => Source::Probe(slot),
        8 => Source::Post(slot),
        9 => Source::HttpListener(index),
        10 => Source::Session(slot),
        11 => Source::SessionSpace(slot),
        12 => Source::StreamListener(index),
        13 => Source::Relay(slot),
        14 => Source::Connections,
        15 => Source::Sink(slot),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let slot = Slot { index: 65_535, generation: 4_095 };
        for source in [
            Source::Capture(slot),
            Source::Client(slot),
            Source::Connections,
            Source::Management,
            Source::Folders,
            Source::Post(slot),
            Source::Probe(slot),
            Source::Relay(slot),
            Source::Session(slot),
            Source::SessionSpace(slot),
            Source::Sink(slot),
            Source::Space(slot),
            Source::Signals,
            Source::UnixListener(7),
            Source::HttpListener(9),
            Source::StreamListener(9),
        ] {
            let token = Token::from(source);
            assert_eq!(source_of(token), Some(source));
            assert!(u32::try_from(token.0).is_ok());
        }
    }
}
