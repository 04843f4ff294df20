//! Posts the messages of alerts to HTTP servers: one short-lived connection for each, never
//! waited for, given up after a while.

use std::io::{ErrorKind, Read as _, Write as _};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::core::Agent;
use crate::core::alerts::Post;
use crate::time::Tick;

use super::token::{Readiness, Slot, Source};

/// Connections at once; the rest waits in the agent's queue, which has a cap of its own.
const MAX_OPEN: usize = 4;

/// A server that has not answered after this many microseconds is given up.
const PATIENCE: u64 = 10_000_000;

/// Octets of an answer that are looked at: its status is among them.
const STATUS: usize = 64;

#[derive(Debug)]
struct Open {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    /// The beginning of the answer: enough for its status.
    answer: Vec<u8>,
    until: Tick,
    what: String,
}

#[derive(Debug, Default)]
struct Place {
    generation: u16,
    open: Option<Open>,
}

/// Connections under way.
#[derive(Debug, Default)]
pub struct Poster {
    places: [Place; MAX_OPEN],
}

impl Poster {
    /// Begins to post what waits, while there are connections to spare.
    pub fn serve(&mut self, agent: &mut Agent, registry: &Registry, now: Tick) {
        for (index, place) in self.places.iter_mut().enumerate() {
            if place.open.as_ref().is_some_and(|open| open.until <= now) {
                place.end(registry, "no answer");
            }
            if place.open.is_some() {
                continue;
            }
            let Some(post) = agent.alerts.next_post() else { continue };
            place.generation = place.generation.wrapping_add(1) & 0xfff;
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            let slot = Slot { index, generation: place.generation };
            match connect(&post, Source::Post(slot).into(), registry, now) {
                Ok(open) => place.open = Some(open),
                Err(error) => log::warn!("alert: {}: {error}", post.address),
            }
        }
    }

    /// Goes on with a connection after an event.
    pub fn event(&mut self, slot: Slot, readiness: Readiness, registry: &Registry) {
        let place = self.places.get_mut(usize::from(slot.index));
        let Some(place) = place.filter(|place| place.generation == slot.generation) else { return };
        if let Some(open) = &mut place.open {
            match open.go_on(readiness) {
                Ok(None) => {}
                Ok(Some(problem)) => place.end(registry, &problem),
                Err(error) => place.end(registry, &error.to_string()),
            }
        }
    }

    /// When [`Self::serve`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        self.places.iter().filter_map(|place| Some(place.open.as_ref()?.until)).min()
    }
}

impl Place {
    /// Ends a connection; an empty `problem` is success.
    fn end(&mut self, registry: &Registry, problem: &str) {
        if let Some(mut open) = self.open.take() {
            // Only fails for a descriptor that was never registered.
            let _ = registry.deregister(&mut open.stream);
            if !problem.is_empty() {
                log::warn!("alert: {}: {problem}", open.what);
            }
        }
    }
}

impl Open {
    /// Writes and reads what can be; `Some` once it is over, with the problem if there was one.
    fn go_on(&mut self, readiness: Readiness) -> std::io::Result<Option<String>> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        if readiness.writable {
            send(&mut self.stream, &self.request, &mut self.sent)?;
        }
        let mut buffer = [0; 512];
        while readiness.readable && self.answer.len() < STATUS {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    let closed = || "closed without an answer".to_owned();
                    return Ok(Some(self.verdict().unwrap_or_else(closed)));
                }
                Ok(count) => {
                    let room = STATUS.saturating_sub(self.answer.len());
                    let new = buffer.get(..count.min(room)).unwrap_or_default();
                    self.answer.extend_from_slice(new);
                    if let Some(verdict) = self.verdict() {
                        return Ok(Some(verdict));
                    }
                }
                Err(error) if is_passing(error.kind()) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What the status line says, once it is there: empty for success.
    fn verdict(&self) -> Option<String> {
        let line = self.answer.split(|b| *b == b'\n').next()?;
        if line.len() == self.answer.len() && self.answer.len() < STATUS {
            return None;
        }
        let status = line.split(|b| *b == b' ').nth(1).unwrap_or_default();
        Some(match status {
            [b'2', _, _] => String::new(),
            other => format!("answered {}", String::from_utf8_lossy(other)),
        })
    }
}

/// Sends what there is room for of a request of which `sent` octets are on their way.
pub(super) fn send(
    stream: &mut TcpStream,
    request: &[u8],
    sent: &mut usize,
) -> std::io::Result<()> {
    while *sent < request.len() {
        match stream.write(request.get(*sent..).unwrap_or_default()) {
            Ok(count) => *sent = sent.saturating_add(count),
            Err(error) if is_passing(error.kind()) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether an error is gone by the next event.
pub(super) const fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}

fn connect(post: &Post, token: Token, registry: &Registry, now: Tick) -> std::io::Result<Open> {
    let mut stream = TcpStream::connect(post.address)?;
    registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    let Post { host, path, body, .. } = post;
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let what = post.address.to_string();
    let until = now.plus(PATIENCE);
    Ok(Open { stream, request, sent: 0, answer: Vec::new(), until, what })
}
