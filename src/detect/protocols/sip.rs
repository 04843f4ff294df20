//! SIP: RFC 3261. The name is that of the domain that is spoken to.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::SIP, &[5060, 5061], dissect);

/// Methods of RFC 3261 and its extensions (IANA, Session Initiation Protocol Parameters).
const METHODS: [&[u8]; 14] = [
    b"INVITE",
    b"ACK",
    b"BYE",
    b"CANCEL",
    b"REGISTER",
    b"OPTIONS",
    b"INFO",
    b"MESSAGE",
    b"NOTIFY",
    b"PRACK",
    b"PUBLISH",
    b"REFER",
    b"SUBSCRIBE",
    b"UPDATE",
];

const VERSION: &[u8] = b"SIP/2.0";

/// Lines that are looked at.
const MAX_LINES: usize = 48;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if !matches!(view.first(), Some(b'A'..=b'U' | b'\r' | b'\n')) {
        return Verdict::No;
    }
    // Keep-alives between messages (RFC 5626, 3.5.1).
    let data = view.data.trim_ascii_start();
    if data.is_empty() {
        let may_come = view.has_port(5060) && view.len <= 4;
        return if may_come { Verdict::Wait } else { Verdict::No };
    }
    if !is_begun(data) {
        return Verdict::No;
    }
    let mut cursor = Cursor::new(data);
    let Some(line) = cursor.until(b'\n') else {
        return if view.is_tcp() && data.len() < 512 { Verdict::Wait } else { Verdict::No };
    };
    let line = line.trim_ascii_end();
    if !line.starts_with(b"SIP/2.0 ") {
        // Method, address, version.
        let mut words = line.split(|octet| *octet == b' ').skip(1);
        let target = words.next().unwrap_or_default();
        if !words.next().is_some_and(|version| version.starts_with(b"SIP/")) {
            return Verdict::No;
        }
        facts.put(Fact::Host, host_of(target));
    }
    read(&mut cursor, facts);
    Verdict::Is(Protocol::SIP)
}

/// A method or a version stands first, or as much of it as has come.
fn is_begun(data: &[u8]) -> bool {
    let word = data.split(|octet| matches!(octet, b' ' | b'\r')).next().unwrap_or_default();
    if word.len() == data.len() {
        return VERSION.starts_with(word) || METHODS.iter().any(|name| name.starts_with(word));
    }
    word == VERSION || METHODS.contains(&word)
}

/// The host of `sip:user@host:port;parameters`.
fn host_of(uri: &[u8]) -> &[u8] {
    let end = uri.iter().position(|octet| matches!(octet, b';' | b'>' | b'?'));
    let uri = end.and_then(|end| uri.get(..end)).unwrap_or(uri);
    let host = uri.rsplit(|octet| *octet == b'@').next().unwrap_or(uri);
    let host = host.strip_prefix(b"sip:").or_else(|| host.strip_prefix(b"sips:")).unwrap_or(host);
    if host.starts_with(b"[") {
        return host.split(|octet| *octet == b']').next().and_then(|h| h.get(1..)).unwrap_or(host);
    }
    host.split(|octet| *octet == b':').next().unwrap_or(host)
}

fn read(cursor: &mut Cursor<'_>, facts: &mut Facts) {
    for _ in 0..MAX_LINES {
        let Some(line) = cursor.until(b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty())
        else {
            return;
        };
        let mut parts = line.splitn(2, |octet| *octet == b':');
        let name = parts.next().unwrap_or_default().trim_ascii_end();
        let value = parts.next().unwrap_or_default().trim_ascii_start();
        if name.eq_ignore_ascii_case(b"user-agent") {
            facts.put(Fact::UserAgent, value);
        } else if name.eq_ignore_ascii_case(b"server") {
            facts.put(Fact::Server, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    const INVITE: &[u8] = b"INVITE sip:bob@biloxi.example:5060;transport=udp SIP/2.0\r\n\
        Via: SIP/2.0/UDP pc33.example;branch=z9hG4bK776\r\nUser-Agent: phone 1.0\r\n\r\n";

    #[test]
    fn an_invitation() {
        for talk in [Talk::udp(5060).client(INVITE), Talk::tcp(5070).client(INVITE)] {
            assert_eq!(talk.protocol(), Protocol::SIP);
            assert_eq!(talk.fact(Fact::Host).as_deref(), Some("biloxi.example"));
            assert_eq!(talk.fact(Fact::UserAgent).as_deref(), Some("phone 1.0"));
            talk.survives();
        }
        let parts = Talk::tcp(5070).client(&INVITE[..4]).client(&INVITE[4..]);
        assert_eq!(parts.protocol(), Protocol::SIP);
    }

    #[test]
    fn an_answer_alone() {
        assert_eq!(Talk::udp(9).server(b"SIP/2.0 200 OK\r\n\r\n").protocol(), Protocol::SIP);
    }

    #[test]
    fn others_have_the_same_methods() {
        let other = b"OPTIONS rtsp://a/ RTSP/1.0\r\n\r\n";
        assert_ne!(Talk::tcp(9).client(other).protocol(), Protocol::SIP);
        assert_ne!(Talk::tcp(9).client(b"INVITED sip:a SIP/2.0\r\n").protocol(), Protocol::SIP);
    }
}
