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

/// Also for those whose flows turn into one of DTLS.
pub(super) fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
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

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    /// A client hello of DTLS 1.2 with the name `a.example`.
    fn hello() -> Vec<u8> {
        let mut body = vec![0xfe, 0xfd];
        body.extend([7; 32]);
        body.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
        body.extend([0, 18, 0, 0, 0, 14, 0, 12, 0, 0, 9]);
        body.extend(b"a.example");
        body
    }

    fn octets<const N: usize>(number: usize) -> [u8; N] {
        *number.to_be_bytes().last_chunk().unwrap()
    }

    /// A record with a piece of it.
    fn record(number: u8, at: usize, piece: &[u8], whole: usize) -> Vec<u8> {
        let mut record = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, number];
        record.extend(octets::<2>(piece.len() + 12));
        record.push(1);
        record.extend(octets::<3>(whole));
        record.extend([0, 0]);
        record.extend(octets::<3>(at));
        record.extend(octets::<3>(piece.len()));
        record.extend(piece);
        record
    }

    #[test]
    fn a_hello_whole_or_in_pieces() {
        let hello = hello();
        let whole = Talk::udp(4433).client(&record(0, 0, &hello, hello.len()));
        let (a, b) = hello.split_at(40);
        let pieces = Talk::udp(4433).client(&record(0, 0, a, hello.len())).client(&record(
            1,
            40,
            b,
            hello.len(),
        ));
        for talk in [whole, pieces] {
            assert_eq!(talk.protocol(), Protocol::DTLS);
            assert_eq!(talk.fact(Fact::Host).as_deref(), Some("a.example"));
            let ja4 = talk.fact(Fact::Ja4).unwrap();
            assert!(ja4.starts_with("dd2d010100_"), "{ja4}");
        }
    }

    #[test]
    fn lengths_have_to_fit() {
        let hello = hello();
        let good = record(0, 0, &hello, hello.len());
        for at in [0, 1, 11, 12, 13] {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            assert_eq!(Talk::udp(4433).client(&bad).protocol(), Protocol::UNKNOWN, "{at}");
        }
        for end in 0..good.len() {
            Talk::udp(4433).client(&good[..end]).client(&good[end..]).protocol();
        }
    }
}
