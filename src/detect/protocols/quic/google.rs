//! Google's QUIC before the standard: the public header of versions up to Q043, the long header
//! of Q044 to Q049, and the hello of its own handshake: tags with values.

use super::crypto::Crypto;
use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::text::find;
use crate::detect::{Facts, Protocol, Verdict, View};

/// Bits of the public header.
const HAS_VERSION: u8 = 0x01;
const HAS_ID: u8 = 0x08;
const NONCE: u8 = 0x04;

/// Octets of a packet within which a message of the handshake begins.
const MAX_BEFORE: usize = 96;

/// A packet with the public header.
pub(super) fn public(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let mut cursor = view.cursor();
    let Some(flags) = cursor.u8() else { return Verdict::No };
    if flags & 0xc2 != 0 || flags & HAS_ID == 0 || cursor.skip(8).is_none() {
        return Verdict::No;
    }
    if flags & HAS_VERSION == 0 {
        return answer(flags, cursor);
    }
    match cursor.array() {
        Some([b'Q', b'0', tens @ b'0'..=b'4', ones]) if ones.is_ascii_digit() && tens >= b'0' => {
            hello(cursor.rest(), facts)
        }
        _ => Verdict::No,
    }
}

/// What a server says first: it refuses, or it greets.
fn answer(flags: u8, mut cursor: Cursor<'_>) -> Verdict {
    if flags & NONCE != 0 && cursor.skip(32).is_none() {
        return Verdict::No;
    }
    let early = cursor.rest().get(..MAX_BEFORE).unwrap_or_default();
    if find(early, b"REJ\0").is_some() || find(early, b"SHLO").is_some() {
        Verdict::More(Protocol::QUIC)
    } else {
        Verdict::No
    }
}

/// A packet with a long header whose lengths of ids share an octet.
pub(super) fn long(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let mut cursor = view.cursor();
    cursor.skip(5);
    // One of the ids, of eight octets.
    if !matches!(cursor.u8(), Some(0x50 | 0x05)) || cursor.skip(8).is_none() {
        return Verdict::No;
    }
    hello(cursor.rest(), facts)
}

/// The client's hello of Q050, in the pieces of the handshake.
pub(super) fn in_crypto(crypto: &Crypto, facts: &mut Facts) {
    let stream = crypto.stream();
    if let Some(at) = find(stream.get(..MAX_BEFORE).unwrap_or_default(), b"CHLO") {
        tags(stream.get(at..).unwrap_or_default(), facts);
    }
}

fn hello(bytes: &[u8], facts: &mut Facts) -> Verdict {
    match find(bytes.get(..MAX_BEFORE).unwrap_or(bytes), b"CHLO") {
        Some(at) => {
            tags(bytes.get(at..).unwrap_or_default(), facts);
            Verdict::Is(Protocol::QUIC)
        }
        None => Verdict::More(Protocol::QUIC),
    }
}

/// The tags of a hello: their values follow, each up to an end.
fn tags(message: &[u8], facts: &mut Facts) -> Option<()> {
    let mut cursor = Cursor::new(message);
    cursor.skip(4)?;
    let count = cursor.u16_le()?.min(128);
    cursor.skip(2)?;
    let mut table = cursor;
    cursor.skip(usize::from(count).saturating_mul(8))?;
    let values = cursor.rest();
    let mut from = 0_usize;
    for _ in 0..count {
        let (tag, end) = (table.array::<4>()?, usize::try_from(table.u32_le()?).ok()?);
        let value = values.get(from..end)?;
        match &tag {
            b"SNI\0" => facts.put(Fact::Host, value),
            b"UAID" => facts.put(Fact::UserAgent, value),
            b"VER\0" => facts.put(Fact::Version, value),
            _ => {}
        }
        from = end;
    }
    Some(())
}
