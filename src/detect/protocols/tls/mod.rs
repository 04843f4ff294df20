//! TLS and SSL over TCP: RFC 8446 (1.3), RFC 5246 (1.2), RFC 6101 (SSL 3), and the hello of SSL 2.
//! Also for those who carry its messages otherwise: DTLS, QUIC, and mail after STARTTLS.

use self::hello::Carrier;
use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) use self::names::{is_resolver, name};

pub(super) mod certificate;
pub(super) mod fingerprint;
pub(super) mod hello;
mod names;

pub(super) const DISSECTOR: Dissector =
    Dissector::tcp(Protocol::TLS, names::PORTS, dissect).guesses(names::GUESSES);

/// Records: what they carry (RFC 8446, 5.1; heartbeat of RFC 6520).
const CHANGE_CIPHER: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION: u8 = 23;
const HEARTBEAT: u8 = 24;

/// Octets of a record's body at most, expansion by the cipher included.
const MAX_RECORD: usize = (1 << 14) + 2_048;

/// Handshake messages (RFC 8446, 4; RFC 5246, 7.4).
pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const CERTIFICATE: u8 = 11;

/// Octets of messages that are put together from several records.
const MAX_JOINED: usize = 8 * 1024;

/// What one half of a connection showed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Its first record is one of TLS.
    pub(super) is_tls: bool,
    /// A client hello, at least its beginning.
    pub(super) client_hello: bool,
    /// A server hello.
    pub(super) server_hello: bool,
    /// The server's certificate, as much of it as is kept.
    pub(super) certificate: bool,
    /// What follows is encrypted.
    pub(super) encrypted: bool,
    /// It ended with an alert.
    pub(super) alert: bool,
}

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if let Some(verdict) = old_hello(view, facts) {
        return verdict;
    }
    let (own, other) = (scan(view.data, facts), scan(view.other, facts));
    let hello = own.client_hello || own.server_hello || other.client_hello || other.server_hello;
    if hello {
        let protocol = name(view, facts);
        return if is_over(own, other, facts) {
            Verdict::Is(protocol)
        } else {
            Verdict::More(protocol)
        };
    }
    middle(view, facts)
}

/// Nothing more in clear text is to come.
pub(super) fn is_over(own: Seen, other: Seen, facts: &Facts) -> bool {
    let (client, server) = if own.server_hello { (other, own) } else { (own, other) };
    let is_13 = facts.get(Fact::TlsVersion).is_some_and(|version| version >= &[3, 4][..]);
    let server_done = server.certificate || server.encrypted || server.alert;
    if server.server_hello { is_13 || server_done } else { client.encrypted || server.alert }
}

/// A connection without its beginning, or one whose beginning is not there yet.
fn middle(view: &View<'_>, facts: &Facts) -> Verdict {
    let Some([kind, major, minor, high, low]) = view.at(0) else {
        let fits = |at: usize| match (at, view.data.get(at)) {
            (0, Some(kind)) => (CHANGE_CIPHER..=HEARTBEAT).contains(kind),
            (1, Some(major)) => *major == 3,
            (2, Some(minor)) => *minor <= 4,
            _ => true,
        };
        return if (0..3).all(fits) { Verdict::Wait } else { Verdict::No };
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if !is_header(kind, major, minor, len) {
        return Verdict::No;
    }
    let is_port = names::PORTS.iter().any(|port| view.has_port(*port));
    let named = Verdict::Is(name(view, facts));
    let body = view.data.get(5..).unwrap_or_default();
    match kind {
        // The beginning of a hello: its type, and a length that goes with that of the record.
        HANDSHAKE if body.len() < 6 => Verdict::Wait,
        HANDSHAKE if view.is_start || !is_port => Verdict::No,
        _ if view.is_start && view.other.is_empty() => Verdict::No,
        _ if minor == 0 && !is_port => Verdict::No,
        ALERT if len == 2 && !matches!(body, [] | [1 | 2] | [1 | 2, _, ..]) => Verdict::No,
        CHANGE_CIPHER if len != 1 || !matches!(body, [] | [1, ..]) => Verdict::No,
        _ if is_port => named,
        _ => match body.get(len..) {
            None => Verdict::Wait,
            Some([]) if kind == APPLICATION && len < 17 => Verdict::Wait,
            Some([]) => named,
            Some(next) => match next.first_chunk::<5>() {
                Some([kind, next_major, next_minor, high, low]) => {
                    let len = usize::from(u16::from_be_bytes([*high, *low]));
                    let same = (*next_major, *next_minor) == (major, minor);
                    if same && is_header(*kind, major, minor, len) { named } else { Verdict::No }
                }
                None => Verdict::Wait,
            },
        },
    }
}

/// The header of a record that may be.
fn is_header(kind: u8, major: u8, minor: u8, len: usize) -> bool {
    (CHANGE_CIPHER..=HEARTBEAT).contains(&kind)
        && major == 3
        && minor <= 4
        && (1..=MAX_RECORD).contains(&len)
}

/// Reads the records of one half up to where they are encrypted.
pub(super) fn scan(bytes: &[u8], facts: &mut Facts) -> Seen {
    let mut seen = Seen::default();
    let mut records = Cursor::new(bytes);
    let mut before = records;
    while let Some([kind, major, minor, high, low]) = records.array() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        if !is_header(kind, major, minor, len) {
            break;
        }
        seen.is_tls = true;
        let is_whole = records.rest().len() >= len;
        let body = records.take(len.min(records.rest().len())).unwrap_or_default();
        match kind {
            HANDSHAKE if !seen.encrypted => {
                let left = messages(body, &mut seen, facts);
                if left && is_whole && records.rest().first() == Some(&HANDSHAKE) {
                    joined(before, &mut seen, facts);
                }
                // Neither a hello nor after one: not what it seemed, or encrypted.
                if !(seen.client_hello || seen.server_hello) {
                    break;
                }
            }
            ALERT => seen.alert = true,
            _ => seen.encrypted |= kind != HANDSHAKE,
        }
        if !is_whole {
            break;
        }
        before = records;
    }
    seen
}

/// A message that goes on in the next record: puts the bodies of several together.
#[inline(never)]
fn joined(mut records: Cursor<'_>, seen: &mut Seen, facts: &mut Facts) {
    let mut buffer = [0_u8; MAX_JOINED];
    let mut have = 0_usize;
    while let Some([HANDSHAKE, 3, _, high, low]) = records.array() {
        let len = usize::from(u16::from_be_bytes([high, low])).min(records.rest().len());
        let body = records.take(len).unwrap_or_default();
        for (to, from) in buffer.iter_mut().skip(have).zip(body) {
            *to = *from;
        }
        have = have.saturating_add(body.len()).min(MAX_JOINED);
    }
    messages(buffer.get(..have).unwrap_or_default(), seen, facts);
}

/// Reads handshake messages one after the other; the last may be cut off: that it is is returned.
fn messages(body: &[u8], seen: &mut Seen, facts: &mut Facts) -> bool {
    let mut cursor = Cursor::new(body);
    while let Some([kind, a, b, c]) = cursor.array() {
        let len = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
        let there = len.min(cursor.rest().len());
        let is_whole = there == len;
        let message = cursor.take(there).unwrap_or_default();
        match kind {
            CLIENT_HELLO if hello::may_be(message, len, 3) => {
                seen.client_hello = true;
                if (is_whole || cut_for_good(there)) && facts.get(Fact::Ja3).is_none() {
                    hello::client(message, Carrier::Tcp, is_whole, facts);
                }
            }
            SERVER_HELLO if hello::may_be(message, len, 3) => {
                seen.server_hello = true;
                if is_whole && facts.get(Fact::Cipher).is_none() {
                    hello::server(message, facts);
                }
            }
            CERTIFICATE if seen.server_hello => {
                seen.certificate |= certificate::read(message, is_whole, facts);
            }
            // Request for a hello; key exchange, hello done and the like after it.
            0 if len == 0 => {}
            3..=24 if seen.client_hello || seen.server_hello => {}
            _ => return false,
        }
        if !is_whole {
            return true;
        }
    }
    !cursor.is_empty()
}

/// No more of a message that long will be shown.
const fn cut_for_good(there: usize) -> bool {
    there > 8_000
}

/// The hello of SSL 2, also of a client that offers more in it (RFC 5246, E.2).
fn old_hello(view: &View<'_>, facts: &Facts) -> Option<Verdict> {
    let [high, low, kind, major, minor] = view.at(0)?;
    let len = u16::from_be_bytes([high & 0x7f, low]);
    if high & 0x80 == 0 || !matches!((major, minor), (0, 2) | (3, 0..=3)) {
        return None;
    }
    let sizes = (view.u16_at(5)?, view.u16_at(7)?, view.u16_at(9)?);
    let fits = match (kind, sizes) {
        (CLIENT_HELLO, (ciphers, session, challenge)) => {
            let sum = ciphers.checked_add(session)?.checked_add(challenge)?.checked_add(9)?;
            sum == len
                && ciphers > 0
                && ciphers.is_multiple_of(3)
                && matches!(session, 0 | 16)
                && (16..=32).contains(&challenge)
        }
        _ => false,
    };
    fits.then(|| Verdict::Is(name(view, facts)))
}

/// TLS in the middle of a stream that began in clear text: reads it from the line after which it
/// starts, in both halves. `None` while there is none.
pub(super) fn upgraded(view: &View<'_>, facts: &mut Facts) -> Option<bool> {
    let (own, other) = (after_text(view.data, facts), after_text(view.other, facts));
    let hello = own.client_hello || own.server_hello || other.client_hello || other.server_hello;
    hello.then(|| is_over(own, other, facts))
}

fn after_text(bytes: &[u8], facts: &mut Facts) -> Seen {
    let starts = |window: &[u8]| matches!(window, [b'\n', HANDSHAKE, 3, 0..=4]);
    let at = bytes.windows(4).position(starts);
    let tail = at.and_then(|at| bytes.get(at.saturating_add(1)..));
    tail.map(|tail| scan(tail, facts)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
