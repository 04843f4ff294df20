//! HTTP/1: RFC 9112, and what is carried by it and known by a field: proxies (RFC 9110, 9.3.6),
//! WebSocket (RFC 6455), SOAP, IPP (RFC 8010), OCSP (RFC 6960), DNS (RFC 8484), MPEG-DASH, RTSP.

use super::tls;
use crate::detect::facts::Fact;
use crate::detect::text::{Start, contains, field, host, line, number, start_of, starts, word};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::tcp(Protocol::HTTP, &[80, 3128, 8000, 8008, 8080, 8888], dissect)
        .guesses(&[(3128, Protocol::HTTP_PROXY), (8080, Protocol::HTTP_PROXY)]);

/// Methods with the blank after them: of HTTP, of WebDAV, of UPnP, and of Microsoft's.
const METHODS: [&[u8]; 36] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
    b"PATCH ",
    b"TRACE ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"SEARCH ",
    b"REPORT ",
    b"MERGE ",
    b"CHECKOUT ",
    b"CHECKIN ",
    b"MKACTIVITY ",
    b"MKCALENDAR ",
    b"VERSION-CONTROL ",
    b"ACL ",
    b"BIND ",
    b"PURGE ",
    b"LINK ",
    b"UNLINK ",
    b"SUBSCRIBE ",
    b"UNSUBSCRIBE ",
    b"NOTIFY ",
    b"BITS_POST ",
    b"CCM_POST ",
    b"RPC_IN_DATA ",
    b"RPC_OUT_DATA ",
];

/// Octets of a request line that are waited for.
const MAX_LINE: usize = 6 * 1024;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let (own, other) = (Half::of(view.data), Half::of(view.other));
    let (request, response) = match (own, other) {
        (Half::No, Half::Nothing | Half::No) | (Half::No, Half::Part) => return Verdict::No,
        (Half::Part, Half::Nothing | Half::Part) => return Verdict::Wait,
        (Half::Part, Half::No) => return Verdict::No,
        (Half::Request(request), Half::Response(response))
        | (Half::Response(response), Half::Request(request)) => (Some(request), Some(response)),
        (Half::Request(request), _) | (_, Half::Request(request)) => (Some(request), None),
        (Half::Response(response), _) | (_, Half::Response(response)) => (None, Some(response)),
        (Half::Nothing, _) => return Verdict::Wait,
    };
    if view.data.starts_with(b"ICY ") || view.other.starts_with(b"ICY ") {
        return Verdict::Is(Protocol::SHOUTCAST);
    }
    let mut protocol = Protocol::HTTP;
    let mut is_over = request.is_none();
    if let Some(request) = request {
        protocol = read_request(request, facts);
        is_over = ends(request);
    }
    match response {
        Some(response) => {
            protocol = read_response(response, protocol, facts);
            is_over &= ends(response);
        }
        None => is_over = false,
    }
    // What is said through a tunnel begins after the answer.
    if protocol == Protocol::HTTP_CONNECT && is_over {
        is_over = tls::upgraded(view, facts).unwrap_or(false);
    }
    if is_over { Verdict::Is(protocol) } else { Verdict::More(protocol) }
}

/// What one half begins with.
#[derive(Clone, Copy, Debug)]
enum Half<'a> {
    Nothing,
    No,
    Part,
    /// A request, its first line whole.
    Request(&'a [u8]),
    /// A response, likewise or not.
    Response(&'a [u8]),
}

impl<'a> Half<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let Some(first) = bytes.first() else { return Self::Nothing };
        if *first == b'H' && start_of(bytes, &[b"HTTP/1.", b"HTTP/0.", b"HTTP/2"]) != Start::No {
            let digit = bytes.get(9).is_none_or(u8::is_ascii_digit);
            return match bytes.len() {
                0..=9 => Self::Part,
                _ if digit => Self::Response(bytes),
                _ => Self::No,
            };
        }
        if !first.is_ascii_uppercase() {
            return Self::No;
        }
        match start_of(bytes, &METHODS) {
            Start::No => return Self::No,
            Start::Part => return Self::Part,
            Start::Whole => {}
        }
        let Some((line, _)) = line(bytes) else {
            return if bytes.len() < MAX_LINE && crate::detect::text::is_text(bytes) {
                Self::Part
            } else {
                Self::No
            };
        };
        let version = line.len().checked_sub(9).and_then(|at| line.get(at..));
        let is_http = version.is_some_and(|version| starts(version, b" HTTP/"));
        // The first version had none.
        let is_old = line.starts_with(b"GET /") && word(word(line).1).1.is_empty();
        if is_http || is_old { Self::Request(bytes) } else { Self::No }
    }
}

/// All fields are there.
fn ends(head: &[u8]) -> bool {
    let mut rest = head;
    while let Some((field, after)) = line(rest) {
        if field.is_empty() {
            return true;
        }
        rest = after;
    }
    false
}

fn read_request(request: &[u8], facts: &mut Facts) -> Protocol {
    let Some((first, fields)) = line(request) else { return Protocol::HTTP };
    let (method, rest) = word(first);
    let target = word(rest).0;
    let get = |name: &[u8]| field(fields, name);
    let mut protocol = Protocol::HTTP;
    if method == b"CONNECT" {
        protocol = Protocol::HTTP_CONNECT;
        facts.put(Fact::Host, host(target));
    } else if let Some(rest) = after_scheme(target) {
        protocol = Protocol::HTTP_PROXY;
        let end = rest.iter().position(|octet| *octet == b'/').unwrap_or(rest.len());
        facts.put(Fact::Host, host(rest.get(..end).unwrap_or_default()));
        facts.put(Fact::Url, target);
    } else {
        facts.put(Fact::Url, target);
    }
    if let Some(name) = get(b"Host") {
        facts.put_first(Fact::Host, host(name));
    }
    if let Some(agent) = get(b"User-Agent") {
        facts.put(Fact::UserAgent, agent);
    }
    if get(b"Upgrade").is_some_and(|upgrade| contains(upgrade, b"websocket")) {
        return Protocol::WEBSOCKET;
    }
    if get(b"SOAPAction").is_some() {
        return Protocol::SOAP;
    }
    if let Some(kind) = get(b"Content-Type") {
        facts.put(Fact::ContentType, kind);
        return of_content(kind).unwrap_or(protocol);
    }
    let accepts = get(b"Accept").filter(|kind| kind.starts_with(b"application/"));
    accepts.and_then(of_content).unwrap_or(protocol)
}

fn read_response(response: &[u8], asked: Protocol, facts: &mut Facts) -> Protocol {
    let Some((first, fields)) = line(response) else { return asked };
    let status = number(word(word(first).1).0);
    if let Some(server) = field(fields, b"Server") {
        facts.put(Fact::Server, server);
        if starts(server, b"Icecast") {
            return Protocol::ICECAST;
        }
    }
    if status == Some(101)
        && field(fields, b"Upgrade").is_some_and(|upgrade| contains(upgrade, b"websocket"))
    {
        return Protocol::WEBSOCKET;
    }
    if let Some(kind) = field(fields, b"Content-Type") {
        facts.put(Fact::ContentType, kind);
        if asked == Protocol::HTTP {
            return of_content(kind).unwrap_or(asked);
        }
    }
    asked
}

fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    let schemes: [&[u8]; 3] = [b"http://", b"https://", b"ftp://"];
    let scheme = schemes.into_iter().find(|scheme| starts(target, scheme))?;
    target.get(scheme.len()..)
}

/// Protocols with a media type of their own.
fn of_content(kind: &[u8]) -> Option<Protocol> {
    let end = kind.iter().position(|octet| matches!(octet, b';' | b',')).unwrap_or(kind.len());
    let kinds: [(&[u8], Protocol); 9] = [
        (b"application/ipp", Protocol::IPP),
        (b"application/soap+xml", Protocol::SOAP),
        (b"application/json-rpc", Protocol::JSON_RPC),
        (b"application/jsonrequest", Protocol::JSON_RPC),
        (b"application/ocsp-request", Protocol::OCSP),
        (b"application/ocsp-response", Protocol::OCSP),
        (b"application/dns-message", Protocol::DOH),
        (b"application/dash+xml", Protocol::MPEG_DASH),
        (b"application/x-rtsp-tunnelled", Protocol::RTSP),
    ];
    let kind = kind.get(..end)?.trim_ascii();
    kinds.iter().find(|(name, _)| kind.eq_ignore_ascii_case(name)).map(|(_, protocol)| *protocol)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    const GET: &[u8] = b"GET /a?b=1 HTTP/1.1\r\nHost: www.example.com:8080\r\n\
        User-Agent: test/1.0\r\nAccept: */*\r\n\r\n";

    #[test]
    fn a_request_and_its_response() {
        let talk = Talk::tcp(12_345).client(GET).server(
            b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/html; charset=utf-8\r\n\r\n",
        );
        assert_eq!(talk.protocol(), Protocol::HTTP);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("www.example.com"));
        assert_eq!(talk.fact(Fact::Url).as_deref(), Some("/a?b=1"));
        assert_eq!(talk.fact(Fact::UserAgent).as_deref(), Some("test/1.0"));
        assert_eq!(talk.fact(Fact::Server).as_deref(), Some("nginx"));
        assert_eq!(talk.fact(Fact::ContentType).as_deref(), Some("text/html; charset=utf-8"));
    }

    #[test]
    fn a_request_in_pieces() {
        let talk = GET.chunks(16).fold(Talk::tcp(80), Talk::client);
        assert_eq!(talk.protocol(), Protocol::HTTP);
        assert_eq!(talk.fact(Fact::UserAgent).as_deref(), Some("test/1.0"));
    }

    #[test]
    fn a_response_alone_and_the_first_version() {
        let talk = Talk::tcp(80).server(b"HTTP/1.0 404 Not Found\r\nServer: x\r\n\r\n");
        assert_eq!(talk.protocol(), Protocol::HTTP);
        assert_eq!(Talk::tcp(80).client(b"GET /index.html\r\n").protocol(), Protocol::HTTP);
    }

    #[test]
    fn proxies() {
        let talk = Talk::tcp(3128).client(b"CONNECT a.example:443 HTTP/1.1\r\nHost: b\r\n\r\n");
        assert_eq!(talk.protocol(), Protocol::HTTP_CONNECT);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("a.example"));
        let talk = Talk::tcp(3128).client(b"GET http://a.example:81/x HTTP/1.1\r\n\r\n");
        assert_eq!(talk.protocol(), Protocol::HTTP_PROXY);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("a.example"));
        assert_eq!(talk.fact(Fact::Url).as_deref(), Some("http://a.example:81/x"));
    }

    #[test]
    fn what_is_carried() {
        let of = |fields: &str| {
            let request = format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n");
            Talk::tcp(80).client(request.as_bytes()).protocol()
        };
        assert_eq!(of("Connection: Upgrade\r\nUpgrade: websocket"), Protocol::WEBSOCKET);
        assert_eq!(of("SOAPAction: \"urn:x\""), Protocol::SOAP);
        assert_eq!(of("Content-Type: application/ipp"), Protocol::IPP);
        assert_eq!(of("Content-Type: application/ocsp-request"), Protocol::OCSP);
        assert_eq!(of("content-type: Application/DNS-message"), Protocol::DOH);
        assert_eq!(of("Content-Type: text/plain"), Protocol::HTTP);
    }

    #[test]
    fn others_of_the_same_form() {
        for request in [
            &b"OPTIONS rtsp://a/ RTSP/1.0\r\n\r\n"[..],
            b"OPTIONS sip:a SIP/2.0\r\n\r\n",
            b"GETX / HTTP/1.1\r\n\r\n",
            b"POST \x01\x02\x03",
            b"HTTP/1.1 OK",
            b"GET",
        ] {
            let protocol = Talk::tcp(8000).client(request).protocol();
            assert!(!matches!(protocol, Protocol::HTTP | Protocol::HTTP_PROXY), "{request:?}");
        }
    }

    #[test]
    fn every_part_of_it_is_harmless() {
        for end in 0..GET.len() {
            Talk::tcp(80).client(&GET[..end]).server(&GET[end..]).protocol();
        }
    }
}
