//! FastCGI: its specification, version 1 of 1996, 3.3 and 5.

use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::text::host;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::FASTCGI, &[9000], dissect);

/// Kinds of records.
const BEGIN: u8 = 1;
const PARAMS: u8 = 4;

/// Parameters that are read.
const MAX_PARAMS: usize = 128;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let client = if view.data.starts_with(&[1, BEGIN]) { view.data } else { view.other };
    let mut records = Cursor::new(client);
    // Begins a request: a role, a flag, five octets that are reserved.
    match records.array::<16>() {
        Some([1, BEGIN, _, _, 0, 8, 0, _, 0, 1..=3, 0 | 1, 0, 0, 0, 0, 0]) => {}
        Some(_) => return Verdict::No,
        None => {
            let fits = client.iter().zip([1, BEGIN]).all(|(octet, known)| *octet == known);
            return if fits { Verdict::Wait } else { Verdict::No };
        }
    }
    while let Some([1, kind, _, _, high, low, padding, _]) = records.array() {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some(body) = records.take(len) else { return Verdict::More(Protocol::FASTCGI) };
        records.skip(padding.into());
        match kind {
            PARAMS if len > 0 => params(body, facts),
            PARAMS => return Verdict::Is(Protocol::FASTCGI),
            _ => {}
        }
    }
    Verdict::More(Protocol::FASTCGI)
}

/// Names and values, each with its length before.
fn params(body: &[u8], facts: &mut Facts) {
    let mut cursor = Cursor::new(body);
    for _ in 0..MAX_PARAMS {
        let (Some(name), Some(value)) = (len(&mut cursor), len(&mut cursor)) else { return };
        let (Some(name), Some(value)) = (cursor.take(name), cursor.take(value)) else { return };
        match name {
            b"HTTP_HOST" => facts.put(Fact::Host, host(value)),
            b"SERVER_NAME" => facts.put_first(Fact::Host, value),
            b"REQUEST_URI" => facts.put(Fact::Url, value),
            b"HTTP_USER_AGENT" => facts.put(Fact::UserAgent, value),
            _ => {}
        }
    }
}

fn len(cursor: &mut Cursor<'_>) -> Option<usize> {
    if cursor.rest().first()? >> 7 == 0 {
        return cursor.u8().map(usize::from);
    }
    usize::try_from(cursor.u32()? & 0x7fff_ffff).ok()
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    const BEGIN: &[u8] = b"\x01\x01\0\x01\0\x08\0\0\0\x01\0\0\0\0\0\0";

    #[test]
    fn a_request_with_parameters() {
        let mut request = BEGIN.to_vec();
        request.extend(b"\x01\x04\0\x01\0\x23\0\0\x09\x09HTTP_HOSTa.example\x0b\x02REQUEST_URI/x");
        request.extend(b"\x01\x04\0\x01\0\0\0\0");
        let talk = Talk::tcp(9000).client(&request);
        assert_eq!(talk.protocol(), Protocol::FASTCGI);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("a.example"));
        assert_eq!(talk.fact(Fact::Url).as_deref(), Some("/x"));
        for end in 0..request.len() {
            Talk::tcp(9000).client(&request[..end]).protocol();
        }
    }

    #[test]
    fn reserved_octets_are_zero() {
        let mut request = BEGIN.to_vec();
        request[12] = 1;
        assert_eq!(Talk::tcp(9001).client(&request).protocol(), Protocol::UNKNOWN);
    }
}
