//! RTSP: RFC 7826 (2.0), RFC 2326 (1.0).

use crate::detect::facts::Fact;
use crate::detect::text::{Start, contains, field, host, line, start_of, starts, word};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::RTSP, &[554, 8554, 7070], dissect);

const BEGINNINGS: [&[u8]; 11] = [
    b"OPTIONS ",
    b"DESCRIBE ",
    b"SETUP ",
    b"PLAY ",
    b"PAUSE ",
    b"ANNOUNCE ",
    b"RECORD ",
    b"TEARDOWN ",
    b"GET_PARAMETER ",
    b"SET_PARAMETER ",
    b"RTSP/",
];

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    match start_of(view.data, &BEGINNINGS) {
        Start::Whole => {}
        Start::Part if view.is_tcp() => return Verdict::Wait,
        _ => return Verdict::No,
    }
    let Some((first, fields)) = line(view.data) else {
        let waits = view.is_tcp() && view.len < 1_024;
        return if waits { Verdict::Wait } else { Verdict::No };
    };
    if starts(first, b"RTSP/") {
        if let Some(server) = field(fields, b"Server") {
            facts.put(Fact::Server, server);
        }
        return Verdict::Is(Protocol::RTSP);
    }
    let (target, version) = word(word(first).1);
    if !(starts(version, b"RTSP/") || starts(target, b"rtsp") && contains(version, b"RTSP")) {
        return Verdict::No;
    }
    let scheme = target.iter().position(|octet| *octet == b':').unwrap_or(target.len());
    let name = target.get(scheme..).and_then(|rest| rest.strip_prefix(b"://")).unwrap_or_default();
    let end = name.iter().position(|octet| *octet == b'/').unwrap_or(name.len());
    facts.put(Fact::Host, host(name.get(..end).unwrap_or_default()));
    facts.put(Fact::Url, target);
    if let Some(agent) = field(fields, b"User-Agent") {
        facts.put(Fact::UserAgent, agent);
    }
    Verdict::Is(Protocol::RTSP)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn requests_and_answers() {
        let talk = Talk::tcp(10_554).client(
            b"DESCRIBE rtsp://cam.example:554/1 RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: x\r\n\r\n",
        );
        assert_eq!(talk.protocol(), Protocol::RTSP);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("cam.example"));
        assert_eq!(talk.fact(Fact::UserAgent).as_deref(), Some("x"));
        let talk = Talk::tcp(10_554).server(b"RTSP/1.0 200 OK\r\nServer: y\r\n\r\n");
        assert_eq!(talk.protocol(), Protocol::RTSP);
        let talk = Talk::tcp(10_554).client(b"PLAY it again SAM/1.0\r\n");
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
    }
}
