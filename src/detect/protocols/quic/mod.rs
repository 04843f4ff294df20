//! QUIC: RFC 8999 and 9000 (version 1), RFC 9369 (2), drafts from 22 on, Facebook's versions, and
//! Google's own before (versions Q024 to T051, as the public descriptions of gQUIC have them).

use self::crypto::Crypto;
use super::tls;
use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

mod crypto;
mod google;
mod initial;

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::QUIC, &[443], dissect);

/// Octets of a connection id at most.
const MAX_ID: usize = 20;

/// Octets of a datagram with a client's first packet at least (RFC 9000, 14.1).
const MIN_FIRST: usize = 1_200;

/// A packet with a long header, of a version whose layout is known.
struct Long<'a> {
    version: u32,
    kind: Kind,
    destination: &'a [u8],
    /// From its first octet to its end, as far as is there.
    packet: &'a [u8],
    /// Where its number begins.
    number_at: usize,
    /// Octets that the header announces.
    len: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Early,
    Handshake,
    Initial,
    Retry,
}

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some(first) = view.data.first() else { return Verdict::No };
    if first & 0x80 == 0 {
        return google::public(view, facts);
    }
    let Some(version) = view.u32_at(1) else { return Verdict::No };
    match version {
        0 => negotiation(view),
        0x5130_3434..=0x5130_3439 | 0x5130_3530 if version < 0x5130_3530 => {
            google::long(view, facts)
        }
        _ if is_known(version) => packets(view, facts),
        // A version that nobody speaks, to see whether servers say so (RFC 9000, 15).
        _ if version & 0x0f0f_0f0f == 0x0a0a_0a0a && view.len >= MIN_FIRST => {
            match Long::parse(view.data, view.len) {
                Some(long) if long.kind == Kind::Initial => Verdict::More(Protocol::QUIC),
                _ => Verdict::No,
            }
        }
        _ => Verdict::No,
    }
}

/// Versions whose packets have the layout of RFC 9000.
const fn is_known(version: u32) -> bool {
    matches!(version,
        1 | 0x6b33_43cf | 0x709a_50c4 | 0xff00_0016..=0xff00_0022
        | 0xface_b000..=0xface_b01f | 0x5130_3530 | 0x5430_3530 | 0x5430_3531)
}

/// The packets of a datagram.
fn packets(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let (mut rest, mut left, mut is_first) = (view.data, view.len, true);
    while let Some(long) = Long::parse(rest, left) {
        let fits = is_known(long.version);
        if !fits && is_first {
            return Verdict::No;
        }
        is_first = false;
        if long.kind == Kind::Initial {
            let mut crypto = Crypto::resume(view.memory.take());
            initial::read(&long, &mut crypto);
            google::in_crypto(&crypto, facts);
            let hello = crypto.hello();
            if let Some(hello) = hello {
                tls::hello::client(hello, tls::hello::Carrier::Quic, true, facts);
                // No other is allowed in it (RFC 9001, 4.2).
                facts.put(Fact::TlsVersion, &[3, 4]);
            }
            view.memory.put(crypto.into_octets());
        }
        let end = long.len.min(rest.len());
        rest = rest.get(end..).unwrap_or_default();
        left = left.saturating_sub(long.len);
        if facts.get(Fact::Ja4).is_some() || facts.get(Fact::Host).is_some() {
            let protocol = match facts.all(Fact::Alpn).next() {
                Some(id) if id.starts_with(b"doq") => Protocol::DOQ,
                _ if facts.get(Fact::Host).is_some_and(tls::is_resolver) => Protocol::DOH,
                _ => Protocol::QUIC,
            };
            return Verdict::Is(protocol);
        }
    }
    if is_first { Verdict::No } else { Verdict::More(Protocol::QUIC) }
}

/// The server knows other versions (RFC 9000, 17.2.1).
fn negotiation(view: &View<'_>) -> Verdict {
    let mut cursor = view.cursor();
    cursor.skip(5);
    let ids = (cursor.counted8(), cursor.counted8());
    let (Some(a), Some(b)) = ids else { return Verdict::No };
    let versions = cursor.rest();
    let known = |pair: &[u8]| {
        let version = pair.first_chunk().map_or(0, |octets| u32::from_be_bytes(*octets));
        is_known(version) || version >> 16 == 0x5130
    };
    let fits = a.len() <= MAX_ID
        && b.len() <= MAX_ID
        && versions.len().is_multiple_of(4)
        && versions.len() <= 128
        && versions.chunks_exact(4).any(known);
    if fits { Verdict::More(Protocol::QUIC) } else { Verdict::No }
}

impl<'a> Long<'a> {
    /// The packet at the beginning of `bytes`, of a datagram with `left` octets from there on.
    fn parse(bytes: &'a [u8], left: usize) -> Option<Self> {
        let mut cursor = Cursor::new(bytes);
        let first = cursor.u8()?;
        // The form, and the bit that is always set.
        if first & 0xc0 != 0xc0 {
            return None;
        }
        let version = cursor.u32()?;
        let (destination, source) = (cursor.counted8()?, cursor.counted8()?);
        if destination.len() > MAX_ID || source.len() > MAX_ID {
            return None;
        }
        let is_2 = matches!(version, 0x6b33_43cf | 0x709a_50c4);
        let bits = (first >> 4 & 3).wrapping_sub(u8::from(is_2)) & 3;
        let kind = match bits {
            0 => Kind::Initial,
            1 => Kind::Early,
            2 => Kind::Handshake,
            _ => Kind::Retry,
        };
        let taken = |cursor: Cursor<'_>| bytes.len().saturating_sub(cursor.rest().len());
        if kind == Kind::Retry {
            let fits = left >= taken(cursor).saturating_add(16);
            return fits.then_some(Self {
                version,
                kind,
                destination,
                packet: bytes,
                number_at: bytes.len(),
                len: left,
            });
        }
        if kind == Kind::Initial {
            let token = usize::try_from(cursor.varint()?).ok()?;
            cursor.skip(token)?;
        }
        let len = usize::try_from(cursor.varint()?).ok()?;
        let number_at = taken(cursor);
        let len = number_at.checked_add(len)?;
        // A number, and as much as is sampled for the protection of the header.
        if len > left || len < number_at.saturating_add(20) {
            return None;
        }
        let packet = bytes.get(..len).unwrap_or(bytes);
        Some(Self { version, kind, destination, packet, number_at, len })
    }
}

#[cfg(test)]
mod tests;
