//! Live packets over HTTP, without sockets: orders come in as clients send them, the session is
//! opened and fed by the test, and what goes out is taken apart.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod support;

#[path = "support/web.rs"]
mod web;

use portolan::core::Agent;
use portolan::core::packets::{End, Ending, NewPort, Order, PortId, Refused, SessionId, Why};
use portolan::wire::raw::RawFrame;
use web::{UPGRADE, Web, frame};

use support::{Flash, blocks};

fn agent() -> Agent {
    Flash::default().agent()
}

/// The only session, and what was ordered.
#[track_caller]
fn session(agent: &Agent) -> (SessionId, Order) {
    let mut all = agent.packets.iter();
    let (id, session) = all.next().expect("no session");
    assert!(all.next().is_none());
    (id, session.order().clone())
}

fn none(agent: &Agent) -> bool {
    agent.packets.iter().next().is_none()
}

/// Opens the session with one interface.
fn open(agent: &mut Agent) -> (SessionId, PortId) {
    let (id, _) = session(agent);
    let clock = agent.clock();
    let port = NewPort { name: "a0".to_owned(), ifindex: 3, hardware: 1, ..NewPort::default() };
    let port = agent.packets.add_port(id, port, &clock).unwrap();
    assert!(agent.packets.opened(id, &clock));
    (id, port)
}

fn feed(agent: &mut Agent, (id, port): (SessionId, PortId), count: usize, size: usize) {
    let data = vec![7; size];
    let wire_len = u32::try_from(size).unwrap();
    let clock = agent.clock();
    let raw = RawFrame { wall: clock.wall, data: &data, wire_len, ..RawFrame::EMPTY };
    for _ in 0..count {
        agent.session_frames(id, port, &[raw], &clock);
    }
}

fn ask(head: &str, agent: &mut Agent) -> web::Answer {
    let mut web = Web::new(agent);
    web.ask(head, "", agent)
}

/// Asks for a WebSocket and returns what is said of it; a session waits afterwards, or not.
fn capture(query: &str, fields: &str, agent: &mut Agent) -> Option<web::Answer> {
    let mut web = Web::new(agent);
    let text = format!(
        "GET /capture{query} HTTP/1.1\r\nHost: localhost\r\n{}{}\r\n",
        UPGRADE.replace('\n', "\r\n"),
        fields.replace('\n', "\r\n")
    );
    web.send(text.as_bytes(), agent);
    let answer = (!web.answered.is_empty()).then(|| web.next("GET"));
    if answer.is_none() {
        web.http_closed(agent);
    }
    answer
}

trait Closing {
    fn http_closed(&mut self, agent: &mut Agent);
}

impl Closing for Web {
    fn http_closed(&mut self, agent: &mut Agent) {
        use portolan::api::Connection as _;
        self.http.closed(agent);
    }
}

/// A WebSocket with an open session.
fn opened(agent: &mut Agent) -> (Web, (SessionId, PortId)) {
    let mut web = Web::new(agent);
    let text = format!(
        "GET /capture?netns=5 HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        UPGRADE.replace('\n', "\r\n")
    );
    web.send(text.as_bytes(), agent);
    assert!(web.answered.is_empty(), "nothing is said before the session is open");
    let port = open(agent);
    web.settle(agent);
    let answer = web.next("GET");
    assert_eq!(answer.status, 101);
    assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(answer.field("sec-websocket-protocol"), None);
    assert_eq!(answer.field("sec-websocket-extensions"), None);
    (web, port)
}

#[test]
fn what_contradicts_itself_is_refused_before_the_upgrade() {
    let json = |text: &str| {
        let escaped: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
        format!("?container={escaped}")
    };
    for (query, status, text) in [
        (
            "?container={}&netns=5".to_owned(),
            400,
            "container and netns query parameters are mutually exclusive",
        ),
        (String::new(), 400, "either container or netns query parameter required"),
        ("?nif=a0".to_owned(), 400, "either container or netns query parameter required"),
        (json("{\"netns\":\"4026\"}"), 400, "invalid container/target description: "),
        (json("{\"netns\":5,\"network-interfaces\":\"a0\"}"), 400, "invalid container/target"),
        (json("{\"netns\":5} x"), 400, "invalid container/target description: "),
        (json("{\"netns\":9223372036854775808}"), 400, "invalid container/target description: "),
        ("?netns=0".to_owned(), 400, "invalid netns \"0\""),
        ("?netns=x".to_owned(), 400, "invalid netns \"x\""),
        ("?netns=%0a".to_owned(), 400, "invalid netns"),
        ("?netns=5&filter=tcp+prot+80".to_owned(), 400, "filter: "),
        ("?netns=5&count=none".to_owned(), 400, "count: expected"),
        ("?netns=5&file=x".to_owned(), 400, "file: "),
    ] {
        let mut agent = agent();
        let answer = capture(&query, "", &mut agent).unwrap();
        assert_eq!(answer.status, status, "{query}");
        assert!(answer.text().starts_with(text), "{query}: {}", answer.text());
        assert_eq!(answer.text().lines().count(), 1, "{query}");
        assert!(none(&agent), "{query}");
    }
}

#[test]
fn what_is_found_out_later_is_a_status_too() {
    for (why, status) in [
        (Why::Bad, 400),
        (Why::Busy, 503),
        (Why::Denied, 403),
        (Why::NotFound, 404),
        (Why::Stale, 409),
        (Why::System, 503),
    ] {
        let mut agent = agent();
        let mut web = Web::new(&agent);
        let text = format!(
            "GET /capture?netns=5 HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
            UPGRADE.replace('\n', "\r\n")
        );
        web.send(text.as_bytes(), &mut agent);
        let (id, _) = session(&agent);
        let mut counters = agent.counters.clone();
        agent.packets.refuse(id, Refused::new(why, "could not\nlocate it"), &mut counters);
        web.settle(&mut agent);
        let answer = web.next("GET");
        assert_eq!((answer.status, answer.text()), (status, "could not locate it\n"));
        assert_eq!(answer.field("retry-after").is_some(), status == 503);
        assert!(none(&agent), "it is forgotten");
        // The connection can ask for something else.
        assert_eq!(web.ask("GET /version", "", &mut agent).status, 200);
    }
}

#[test]
fn there_are_no_more_sessions_than_the_settings_say() {
    let mut agent = agent();
    let mut settings = agent.settings().clone();
    settings.packet_sessions = 1;
    agent.apply(settings);
    let (_web, _) = opened(&mut agent);
    let answer = capture("?netns=6", "", &mut agent).unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.field("retry-after").is_some());
    assert!(answer.text().contains("packet_sessions"), "{}", answer.text());
}

#[test]
fn the_request_of_csharg_is_understood_field_by_field() {
    let request = "GET /capture?chaste=&container=%7B%22name%22%3A%22other%22%2C%22netns%22%3A9%7D&filter=udp+port+53&nif=a0%2Fb0 HTTP/1.1\r\n\
        Host: 192.0.2.1:5001\r\n\
        User-Agent: Go-http-client/1.1\r\n\
        Clustershark-Chaste: \r\n\
        Clustershark-Container: {\"name\":\"n\",\"type\":\"docker\",\"netns\":4026532246,\"network-interfaces\":[\"a0\",\"b0\"],\"prefix\":\"\",\"starttime\":77,\"pid\":5}\r\n\
        Clustershark-Filter: udp port 53\r\n\
        Clustershark-Nif: a0/b0\r\n\
        Connection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\
        Upgrade: websocket\r\n\r\n";
    for cut in [request.len(), 1] {
        let mut agent = agent();
        let mut web = Web::new(&agent);
        for part in request.as_bytes().chunks(cut) {
            web.send(part, &mut agent);
        }
        let (_, order) = session(&agent);
        assert!(!order.promiscuous);
        assert_eq!(order.filter, "udp port 53");
        let target = &order.targets[0];
        assert_eq!((target.netns, target.pid, target.starttime), (4_026_532_246, 5, 77));
        assert_eq!((&*target.name, &*target.kind), ("n", "docker"));
        assert_eq!(target.interfaces, ["a0", "b0"]);
        assert_eq!(order.by, "127.0.0.1:40000");
        assert!(order.exclude_here[0].contains("src host 127.0.0.1 and (src port 8082"));
        open(&mut agent);
        web.settle(&mut agent);
        assert_eq!(web.next("GET").status, 101);
    }
}

#[test]
fn fields_go_before_the_query_also_when_they_are_empty() {
    let order = |query: &str, fields: &str| {
        let mut agent = agent();
        assert!(capture_begun(query, fields, &mut agent));
        session(&agent).1
    };
    let both = order("?netns=5&filter=tcp&nif=x0", "clustershark-FILTER:\nClusterShark-Nif: any\n");
    assert_eq!((&*both.filter, both.promiscuous), ("", true));
    assert!(both.targets[0].interfaces.is_empty());
    let query = order("?netns=5&filter=tcp&nif=x,0%2Fy0&chaste", "");
    assert_eq!((&*query.filter, query.promiscuous), ("tcp", false));
    assert_eq!(query.targets[0].interfaces, ["x,0", "y0"]);
    let twice = order("?netns=5&netns=6&filter=tcp&filter=udp", "");
    assert_eq!((twice.targets[0].netns, &*twice.filter), (5, "tcp"));
    let several = order("?container=%7B%22netns%22:5%7D&container=%7B%22netns%22:6%7D", "");
    assert_eq!(several.targets.len(), 2);
    assert!(order("?netns=5&self=1", "").exclude_here.is_empty());
}

/// Asks for a WebSocket and leaves the session waiting.
fn capture_begun(query: &str, fields: &str, agent: &mut Agent) -> bool {
    let mut web = Web::new(agent);
    let text = format!(
        "GET /capture{query} HTTP/1.1\r\nHost: localhost\r\n{}{}\r\n",
        UPGRADE.replace('\n', "\r\n"),
        fields.replace('\n', "\r\n")
    );
    web.send(text.as_bytes(), agent);
    web.answered.is_empty()
}

#[test]
fn plain_http_is_answered_courteously() {
    let mut agent = agent();
    for head in ["GET /capture?netns=5", "GET /capture?netns=5\nUpgrade: h2c\nConnection: upgrade"]
    {
        let answer = ask(head, &mut agent);
        assert_eq!(answer.status, 400);
        assert_eq!(answer.field("sec-websocket-version"), Some("13"));
        assert_eq!(answer.field("upgrade"), Some("websocket"));
        for word in ["WebSocket", "ws://localhost/capture?", "/capture.pcapng"] {
            assert!(answer.text().contains(word), "{}", answer.text());
        }
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "HEAD"] {
        let answer = ask(&format!("{method} /capture?netns=5\n{UPGRADE}"), &mut agent);
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.field("allow").unwrap().contains("GET"));
    }
    for fields in [
        UPGRADE.replace("Version: 13", "Version: 8"),
        UPGRADE.replace("Sec-WebSocket-Version: 13\n", ""),
        UPGRADE.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n", ""),
        UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
    ] {
        let answer = ask(&format!("GET /capture?netns=5\n{fields}"), &mut agent);
        assert_eq!(answer.status, 400, "{fields}");
        assert_eq!(answer.field("sec-websocket-version"), Some("13"), "{fields}");
    }
    assert!(none(&agent));
    assert_eq!(ask("GET /capture/", &mut agent).status, 404);
}

#[test]
fn pages_of_other_origins_get_nothing() {
    for (fields, status) in [
        ("Origin: http://evil.example\n", 403),
        ("Origin: null\n", 403),
        ("Origin: http://localhost:81\n", 403),
        ("Sec-Fetch-Site: cross-site\n", 403),
        ("Host: evil.example\nOrigin: http://evil.example\n", 421),
    ] {
        let mut agent = agent();
        let answer = ask(&format!("GET /capture?netns=5\n{UPGRADE}{fields}"), &mut agent);
        assert_eq!(answer.status, status, "{fields}");
        let answer = ask(&format!("GET /capture.pcapng\n{fields}"), &mut agent);
        assert_eq!(answer.status, status, "{fields}");
        assert!(none(&agent), "{fields}");
    }
    let mut agent = agent();
    assert!(capture_begun("?netns=5", "Origin: http://LOCALHOST\n", &mut agent));
    assert!(!none(&agent));
}

#[test]
fn packets_need_the_role_capture() {
    let mut agent = agent();
    let mut settings = agent.settings().clone();
    let mut no_files = |_: &str| Err(String::new());
    for token in ["read:0123456789abcdef", "capture:fedcba9876543210"] {
        settings.set("http_token", token, &mut no_files).unwrap();
    }
    agent.apply(settings);
    for path in ["/capture?netns=5", "/capture.pcapng?netns=5"] {
        let upgrade = if path.contains("pcapng") { "" } else { UPGRADE };
        let status =
            |with: &str, agent: &mut Agent| ask(&format!("GET {path}{with}"), agent).status;
        assert_eq!(status(&format!("\n{upgrade}"), &mut agent), 401);
        let read = format!("\n{upgrade}Authorization: Bearer 0123456789abcdef");
        assert_eq!(status(&read, &mut agent), 403);
        // A query of an ordinary request ends up in logs.
        let expected = if upgrade.is_empty() { 401 } else { 403 };
        let query = format!("&token=0123456789abcdef\n{upgrade}");
        assert_eq!(status(&query, &mut agent), expected);
    }
    let token = "Authorization: Bearer fedcba9876543210\n";
    assert!(capture_begun("?netns=5", token, &mut agent));
    assert!(capture_begun("?netns=5&token=fedcba9876543210", "", &mut agent));
    assert_eq!(agent.packets.iter().count(), 2);
}

#[test]
fn heads_of_forty_kib_are_taken_and_endless_ones_are_not() {
    let mut agent = agent();
    let names: Vec<String> = (0..900).map(|n| format!("\"interface{n}\"")).collect();
    let json = format!(
        "{{\"netns\":5,\"network-interfaces\":[{}],\"labels\":\"{}\"}}",
        names.join(","),
        "x".repeat(27_000)
    );
    assert!(json.len() > 40_000);
    let query = json.replace('"', "%22").replace(',', "%2C");
    let field = format!("Clustershark-Container: {json}\n");
    assert!(capture_begun(&format!("?container={query}"), &field, &mut agent));
    let (id, order) = session(&agent);
    assert_eq!(order.targets[0].interfaces.len(), 900);
    agent.packets.close(id);
    let long = "x".repeat(100_000);
    assert_eq!(capture(&format!("?netns=5&x={long}"), "", &mut agent).unwrap().status, 414);
    let answer = capture("?netns=5", &format!("X: {long}\n"), &mut agent);
    assert_eq!(answer.unwrap().status, 431);
}

#[test]
fn the_stream_is_binary_messages_of_whole_blocks() {
    let mut agent = agent();
    let (mut web, session) = opened(&mut agent);
    let frames = web.frames();
    assert!(frames.iter().all(|(first, _)| *first == 0x82));
    let stream: Vec<u8> = frames.into_iter().flat_map(|(_, payload)| payload).collect();
    assert_eq!(blocks(&stream), [0x0a0d_0d0a, 1]);
    feed(&mut agent, session, 1_000, 200);
    web.settle(&mut agent);
    let mut count = 0;
    for (first, payload) in web.frames() {
        assert_eq!(first, 0x82);
        assert!(payload.len() <= 65_536 + 300, "{}", payload.len());
        count += blocks(&payload).iter().filter(|kind| **kind == 6).count();
    }
    assert_eq!(count, 1_000);
    // One block that is larger than what may wait comes in parts.
    feed(&mut agent, session, 1, 262_000);
    web.settle(&mut agent);
    let frames = web.frames();
    assert!(frames.iter().all(|(first, payload)| *first == 0x82 && payload.len() <= 65_536));
    let stream: Vec<u8> = frames.into_iter().flat_map(|(_, payload)| payload).collect();
    assert_eq!(blocks(&stream), [6]);
    assert!(web.most_waiting <= 256 * 1_024, "{}", web.most_waiting);
}

#[test]
fn the_end_of_a_session_is_told_with_its_reason() {
    let long = "\u{e4}".repeat(100);
    for (ending, reason, code) in [
        (Ending::Complete, "as much as was ordered", 1_000),
        (Ending::Gone, "no interface is left", 1_001),
        (Ending::Stopped, "stopped", 1_000),
        (Ending::Failed, &*long, 1_011),
    ] {
        let mut agent = agent();
        let (mut web, (id, port)) = opened(&mut agent);
        feed(&mut agent, (id, port), 3, 60);
        let clock = agent.clock();
        agent.packets.end(id, End::new(ending, reason), &clock);
        web.settle(&mut agent);
        let mut frames = web.frames();
        let (first, payload) = frames.pop().unwrap();
        assert_eq!(first, 0x88);
        assert!(payload.len() <= 125);
        let (said, text) = payload.split_at(2);
        assert_eq!(u16::from_be_bytes(said.try_into().unwrap()), code);
        let text = std::str::from_utf8(text).unwrap();
        assert!(!text.is_empty() && reason.starts_with(text), "{text}");
        let stream: Vec<u8> = frames.into_iter().flat_map(|(_, payload)| payload).collect();
        assert_eq!(blocks(&stream), [0x0a0d_0d0a, 1, 6, 6, 6, 5], "all of it comes first");
        assert!(web.closed && none(&agent));
    }
}

#[test]
fn a_client_that_leaves_ends_its_session() {
    let close = |code: u16, reason: &str| {
        frame(0x88, &[&code.to_be_bytes()[..], reason.as_bytes()].concat())
    };
    for (sent, code) in [
        (close(1_000, "ciao"), 1_000),
        (close(1_001, ""), 1_001),
        (close(3_000, "mine"), 3_000),
        (frame(0x88, b""), 1_000),
    ] {
        let mut agent = agent();
        let (mut web, _) = opened(&mut agent);
        web.frames();
        web.send(&sent, &mut agent);
        let answer = [&u16::to_be_bytes(code)[..], b"ciao"].concat();
        assert_eq!(web.frames(), [(0x88, answer)]);
        assert!(web.closed && none(&agent));
    }
    // One that goes without a word.
    let mut agent = agent();
    let (mut web, _) = opened(&mut agent);
    web.finish(&mut agent);
    assert!(web.closed && none(&agent));
    // One that goes before there is an answer.
    let mut web = Web::new(&agent);
    let text = format!(
        "GET /capture?netns=5 HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        UPGRADE.replace('\n', "\r\n")
    );
    web.send(text.as_bytes(), &mut agent);
    assert!(!none(&agent));
    web.finish(&mut agent);
    assert!(web.closed && none(&agent));
}

#[test]
fn frames_against_the_rules_end_a_session() {
    for (what, bytes, code) in [
        ("an unmasked frame", vec![0x82, 1, b'x'], 1_002),
        ("an unmasked close", vec![0x88, 0], 1_002),
        ("a reserved bit", frame(0xc2, b"hi"), 1_002),
        ("a reserved opcode", frame(0x83, b"hi"), 1_002),
        ("a large ping", frame(0x89, &[0; 126]), 1_002),
        ("a large close", frame(0x88, &[3; 126]), 1_002),
        ("a fragmented ping", frame(0x09, b""), 1_002),
    ] {
        let mut agent = agent();
        let (mut web, _) = opened(&mut agent);
        web.frames();
        web.send(&bytes, &mut agent);
        let (first, payload) = web.frames().pop().unwrap();
        assert_eq!((first, u16::from_be_bytes([payload[0], payload[1]])), (0x88, code), "{what}");
        assert!(web.closed && none(&agent), "{what}");
    }
}

#[test]
fn what_a_client_says_is_passed_over_and_its_pings_are_answered() {
    let mut agent = agent();
    let (mut web, session) = opened(&mut agent);
    web.frames();
    web.send(&[frame(0x81, b"hello"), frame(0x82, &[0; 60_000])].concat(), &mut agent);
    assert!(web.frames().is_empty() && !web.closed);
    web.send(&frame(0x89, b"abc"), &mut agent);
    assert_eq!(web.frames(), [(0x8a, b"abc".to_vec())]);
    web.send(&frame(0x82, b"x").repeat(500), &mut agent);
    feed(&mut agent, session, 1, 60);
    web.settle(&mut agent);
    assert_eq!(web.frames().len(), 1);
}

#[test]
fn a_client_that_misses_two_pings_is_let_go() {
    let mut agent = agent();
    let (mut web, _) = opened(&mut agent);
    web.frames();
    // Pings come every 25 seconds, and each answer keeps it.
    for _ in 0..6 {
        web.wait(25, &mut agent);
        let pings = web.frames();
        assert!(!pings.is_empty() && pings.iter().all(|(first, _)| *first == 0x89), "{pings:?}");
        web.send(&frame(0x8a, b""), &mut agent);
    }
    web.wait(45, &mut agent);
    assert!(!web.closed, "one missed answer is forgiven");
    web.wait(40, &mut agent);
    assert!(web.closed && none(&agent));
}

#[test]
fn a_session_that_never_opens_is_given_up() {
    let mut agent = agent();
    let mut web = Web::new(&agent);
    let text = format!(
        "GET /capture?netns=5 HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        UPGRADE.replace('\n', "\r\n")
    );
    web.send(text.as_bytes(), &mut agent);
    web.wait(25, &mut agent);
    assert_eq!(web.next("GET").status, 503);
    assert!(none(&agent));
}

#[test]
fn a_download_is_the_same_stream_in_chunks() {
    let mut agent = agent();
    let mut web = Web::new(&agent);
    web.send(
        b"GET /capture.pcapng?nif=br-lan&filter=port+53 HTTP/1.1\r\nHost: h.lan\r\n\r\n",
        &mut agent,
    );
    assert_eq!(web.next_status(), 421);
    let mut web = Web::new(&agent);
    let request =
        b"GET /capture.pcapng?nif=br-lan&filter=port+53 HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n";
    web.send(request, &mut agent);
    assert!(web.answered.is_empty());
    let (_, order) = session(&agent);
    assert!(order.targets[0].is_own());
    assert_eq!((&*order.filter, &*order.targets[0].interfaces[0]), ("port 53", "br-lan"));
    let port = open(&mut agent);
    feed(&mut agent, port, 5, 100);
    web.settle(&mut agent);
    let clock = agent.clock();
    agent.packets.end(port.0, End::new(Ending::Complete, "done"), &clock);
    web.settle(&mut agent);
    let answer = web.next("GET");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("content-type"), Some("application/x-pcapng"));
    let named = answer.field("content-disposition").unwrap();
    assert!(named.starts_with("attachment; filename=\"portolan-"), "{named}");
    assert!(named.ends_with("-br-lan.pcapng\""), "{named}");
    assert_eq!(blocks(&answer.body), [0x0a0d_0d0a, 1, 6, 6, 6, 6, 6, 5]);
    assert!(web.closed && none(&agent));
}

#[test]
fn a_classic_file_can_be_downloaded_too() {
    for query in ["/capture.pcap", "/capture.pcapng?format=pcap", "/capture.pcap?format=pcap"] {
        let mut agent = agent();
        let mut web = Web::new(&agent);
        web.send(format!("GET {query} HTTP/1.0\r\n\r\n").as_bytes(), &mut agent);
        let port = open(&mut agent);
        feed(&mut agent, port, 2, 60);
        let clock = agent.clock();
        agent.packets.end(port.0, End::new(Ending::Complete, "done"), &clock);
        web.settle(&mut agent);
        let answer = web.next("GET");
        assert_eq!(answer.field("content-type"), Some("application/vnd.tcpdump.pcap"), "{query}");
        assert_eq!(answer.field("transfer-encoding"), None, "HTTP/1.0 knows no chunks");
        assert_eq!(answer.body.len(), 24 + 2 * 76, "{query}");
        assert_eq!(answer.body[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
    }
}

#[test]
fn a_head_request_begins_nothing() {
    let mut agent = agent();
    let answer = ask("HEAD /capture.pcapng?nif=x0", &mut agent);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("content-type"), Some("application/x-pcapng"));
    assert_eq!(ask("HEAD /capture.pcapng?count=x", &mut agent).status, 400);
    assert_eq!(ask("POST /capture.pcapng", &mut agent).status, 405);
    assert!(none(&agent));
}

#[test]
fn a_download_ends_with_its_client_unless_it_ends_by_itself() {
    let mut agent = agent();
    let mut web = Web::new(&agent);
    web.send(b"GET /capture.pcapng HTTP/1.1\r\nHost: localhost\r\n\r\n", &mut agent);
    open(&mut agent);
    web.settle(&mut agent);
    web.finish(&mut agent);
    assert!(web.closed && none(&agent));
    let mut web = Web::new(&agent);
    web.send(b"GET /capture.pcapng?duration=5s HTTP/1.1\r\nHost: localhost\r\n\r\n", &mut agent);
    let port = open(&mut agent);
    web.finish(&mut agent);
    assert!(!web.closed);
    feed(&mut agent, port, 1, 60);
    let clock = agent.clock();
    agent.packets.end(port.0, End::new(Ending::Complete, "done"), &clock);
    web.settle(&mut agent);
    assert_eq!(blocks(&web.next("GET").body), [0x0a0d_0d0a, 1, 6, 5]);
}

#[test]
fn a_stream_that_breaks_has_no_last_chunk() {
    let mut agent = agent();
    let mut web = Web::new(&agent);
    web.send(b"GET /capture.pcapng HTTP/1.1\r\nHost: localhost\r\n\r\n", &mut agent);
    let (id, _) = open(&mut agent);
    let clock = agent.clock();
    agent.packets.end(id, End::new(Ending::Failed, "it broke"), &clock);
    web.settle(&mut agent);
    assert!(web.closed && !web.answered.ends_with(b"0\r\n\r\n"));
}

#[test]
fn the_version_is_json_and_nothing_else() {
    let mut agent = agent();
    let answer = ask("GET /version", &mut agent);
    assert_eq!(answer.field("content-type"), Some("application/json"));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(answer.json(), serde_json::json!({"name": "portolan", "version": version}));
    assert_eq!(answer.json().as_object().unwrap().len(), 2);
    assert_eq!(ask("HEAD /version", &mut agent).status, 200);
    assert_eq!(ask("GET /version?x=1", &mut agent).status, 200);
}

trait NextStatus {
    fn next_status(&mut self) -> u16;
}

impl NextStatus for Web {
    fn next_status(&mut self) -> u16 {
        self.next("GET").status
    }
}
