//! AJP 1.3, the packets between Apache and Tomcat: Apache Tomcat Connectors, AJPv13.

use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::AJP, &[8009, 8010], dissect);

/// Octets of a packet at most.
const MAX_PACKET: usize = 64 * 1024;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([a, b, high, low, code]) = view.at(0) else {
        let fits = matches!(view.data, [0x12] | [0x12, 0x34, ..] | [b'A'] | [b'A', b'B', ..]);
        return if fits { Verdict::Wait } else { Verdict::No };
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len == 0 || len > MAX_PACKET {
        return Verdict::No;
    }
    let there = view.len.saturating_sub(4);
    let fits = match (a, b, code) {
        // Forward request, shutdown, ping, probe.
        (0x12, 0x34, 2) => len > 16,
        (0x12, 0x34, 7 | 8 | 10) => len == 1 && there == 1,
        // A piece of the body, headers, end of response, answer to a probe, give me more.
        (b'A', b'B', 3 | 4) => len >= 4,
        (b'A', b'B', 5) => len == 2,
        (b'A', b'B', 9) => len == 1,
        (b'A', b'B', 6) => len == 3,
        _ => false,
    };
    if !fits {
        return Verdict::No;
    }
    if code == 2 && a == 0x12 {
        forward(view.data.get(5..).unwrap_or_default(), facts);
    }
    Verdict::Is(Protocol::AJP)
}

/// A request: method, protocol, URI, address and name of the client, name of the server.
fn forward(body: &[u8], facts: &mut Facts) -> Option<()> {
    let mut cursor = Cursor::new(body);
    cursor.u8()?;
    string(&mut cursor)?;
    facts.put(Fact::Url, string(&mut cursor)?);
    string(&mut cursor)?;
    string(&mut cursor)?;
    facts.put(Fact::Host, string(&mut cursor)?);
    Some(())
}

/// A string with its length before and zero behind; a length of all ones is none.
fn string<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    let len = cursor.u16()?;
    if len == u16::MAX {
        return Some(&[]);
    }
    let string = cursor.take(len.into())?;
    cursor.skip(1)?;
    Some(string)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn requests_and_probes() {
        let mut request = b"\x12\x34\0\x34\x02\x02\0\x08HTTP/1.1\0\0\x02/x\0".to_vec();
        request.extend(b"\0\x09192.0.2.1\0\xff\xff\0\x09a.example\0\0\x50\0\0\0\xff");
        let talk = Talk::tcp(18_009).client(&request);
        assert_eq!(talk.protocol(), Protocol::AJP);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("a.example"));
        assert_eq!(talk.fact(Fact::Url).as_deref(), Some("/x"));
        for end in 0..request.len() {
            Talk::tcp(8009).client(&request[..end]).protocol();
        }
        assert_eq!(Talk::tcp(8009).client(b"\x12\x34\0\x01\x0a").protocol(), Protocol::AJP);
        assert_eq!(Talk::tcp(8009).server(b"AB\0\x01\x09").protocol(), Protocol::AJP);
        assert_eq!(Talk::tcp(8009).client(b"\x12\x34\0\x02\x0a\0").protocol(), Protocol::UNKNOWN);
    }
}
