//! DTLS: RFC 6347 (1.2), RFC 4347 (1.0), RFC 9147 (1.3).

use super::tls::{CERTIFICATE, CLIENT_HELLO, SERVER_HELLO, certificate, hello};
use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::DTLS, &[], dissect);

/// Records.
const CHANGE_CIPHER: u8 = 20;
const HANDSHAKE: u8 = 22;
const CONNECTION_ID: u8 = 25;

/// Octets before the pieces of a message in memory: its type, number and length.
const HEAD: usize = 6;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if !matches!(
        view.data,
        [CHANGE_CIPHER..=CONNECTION_ID, 0xfe, 0xff | 0xfd, ..] | [20..=23, 1, 0, ..]
    ) {
        return Verdict::No;
    }
    let mut records = view.cursor();
    let mut left = view.len;
    let mut encrypted = false;
    while let Some([kind, major, minor]) = records.array() {
        let (Some(epoch), Some(_), Some(number), Some(len)) =
            (records.u16(), records.u16(), records.u32(), records.u16())
        else {
            return Verdict::No;
        };
        let len = usize::from(len);
        left = left.saturating_sub(13);
        let fits = (CHANGE_CIPHER..=CONNECTION_ID).contains(&kind)
            && matches!((major, minor), (0xfe, 0xff | 0xfd) | (1, 0))
            && (len > 0 || kind == 23)
            && (epoch > 0 || number < 0x1000)
            && len <= left;
        if !fits {
            return Verdict::No;
        }
        let body = records.take(len.min(records.rest().len())).unwrap_or_default();
        left = left.saturating_sub(len);
        if kind == CHANGE_CIPHER && body != [1] && major == 0xfe {
            return Verdict::No;
        }
        encrypted |= epoch > 0;
        if kind == HANDSHAKE && epoch == 0 && fragments(body, view, facts).is_none() {
            return Verdict::No;
        }
    }
    if left > 0 && view.data.len() == view.len {
        return Verdict::No;
    }
    let is_over = encrypted || facts.get(Fact::CertSha1).is_some();
    if is_over { Verdict::Is(Protocol::DTLS) } else { Verdict::More(Protocol::DTLS) }
}

/// Handshake messages of a record, each perhaps a piece of one.
fn fragments(body: &[u8], view: &View<'_>, facts: &mut Facts) -> Option<()> {
    let mut cursor = Cursor::new(body);
    while !cursor.is_empty() {
        let start = cursor.rest().first_chunk::<HEAD>()?;
        let kind = cursor.u8()?;
        let (len, _, at, there) = (cursor.u24()?, cursor.u16()?, cursor.u24()?, cursor.u24()?);
        if kind > 24 || len > 0xffff || at.checked_add(there)? > len {
            return None;
        }
        let (len, at) = (usize::try_from(len).ok()?, usize::try_from(at).ok()?);
        let there = usize::try_from(there).ok()?.min(cursor.rest().len());
        let piece = cursor.take(there)?;
        if there == len {
            message(kind, piece, facts)?;
        } else if matches!(kind, CLIENT_HELLO | SERVER_HELLO | CERTIFICATE) {
            let mut memory = view.memory.take();
            if at == 0 {
                memory.clear();
                memory.extend_from_slice(start);
            }
            if memory.starts_with(start) && memory.len() == at.saturating_add(HEAD) {
                memory.extend_from_slice(piece);
            }
            let whole = memory.get(HEAD..).filter(|whole| whole.len() == len);
            if let Some(whole) = whole {
                message(kind, whole, facts)?;
            }
            view.memory.put(memory);
        }
    }
    Some(())
}

fn message(kind: u8, message: &[u8], facts: &mut Facts) -> Option<()> {
    match kind {
        CLIENT_HELLO | SERVER_HELLO if !hello::may_be(message, message.len(), 0xfe) => None,
        CLIENT_HELLO => hello::client(message, hello::Carrier::Datagram, true, facts),
        SERVER_HELLO => hello::server(message, facts),
        CERTIFICATE if facts.get(Fact::Cipher).is_some() => {
            certificate::read(message, true, facts);
            Some(())
        }
        _ => Some(()),
    }
}
