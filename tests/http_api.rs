//! The HTTP front-end as its clients and its attackers see it, driven with bytes alone.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, helpers included, may panic"
)]

use std::rc::Rc;

use portolan::config::access::Hash;
use portolan::config::settings::Settings;
use portolan::core::Agent;
use portolan::topology::graph::{Element, Link};
use portolan::topology::value::Map;

#[path = "support/mod.rs"]
mod support;
#[path = "support/web.rs"]
mod web;

use support::Flash;
use web::{Web, pass};

fn agent() -> Agent {
    let mut agent = Flash::default().agent();
    agent.facts.hostname = "Router1".to_owned();
    agent
}

fn with(changes: &[(&str, &str)]) -> Agent {
    let mut agent = agent();
    let mut settings = Settings::default();
    for (name, value) in changes {
        settings.set(name, value, &mut |_| Err("no files".to_owned())).unwrap();
    }
    agent.apply(settings);
    agent
}

/// Sends one request on a connection of its own.
#[track_caller]
fn ask(head: &str, body: &str, agent: &mut Agent) -> web::Answer {
    Web::new(agent).ask(head, body, agent)
}

const QUERY: &str = r#"{"GremlinQuery":"G.V().Count()"}"#;

/// A graph of `count` nodes in a star.
fn star(agent: &mut Agent, count: usize) {
    let (host, origin): (Rc<str>, Rc<str>) = ("Router1".into(), "agent.Router1".into());
    for n in 0..count {
        let id = format!("n{n}");
        let metadata = Map::new().with("Name", id.as_str()).with("Text", "x".repeat(200));
        let node = Element::new(id.as_str().into(), metadata, &host, &origin, 1);
        agent.graph.add_node(node).unwrap();
        if n > 0 {
            let link =
                Link { parent: "n0", child: &id, relation: "layer2", host: &host, origin: &origin };
            agent.graph.link(link, Map::new(), 1).unwrap();
        }
    }
}

#[test]
fn a_pipeline_is_answered_the_same_wherever_it_is_cut() {
    let chunked = format!("{:x}\r\n{QUERY}\r\n0\r\n\r\n", QUERY.len());
    let pipeline = format!(
        "\r\nGET /api HTTP/1.1\r\nHost: localhost\r\n\r\n\
         POST /api/topology HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}\
         HEAD /api/topology HTTP/1.1\nHost: localhost\n\n\
         POST /api/topology HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{QUERY}\
         GET /none HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\nGET /api HTTP/1.1\r\n",
        QUERY.len()
    );
    let mut whole = None;
    for cut in 0..=pipeline.len() {
        let mut agent = agent();
        star(&mut agent, 3);
        let mut web = Web::new(&agent);
        web.send(&pipeline.as_bytes()[..cut], &mut agent);
        web.send(&pipeline.as_bytes()[cut..], &mut agent);
        assert!(web.closed, "after Connection: close");
        let bytes = web.answered.clone();
        assert_eq!(whole.get_or_insert_with(|| bytes.clone()), &bytes, "cut at {cut}");
        let answers = web.answers(&["GET", "POST", "HEAD", "POST", "GET"]);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [200, 200, 200, 200, 404]);
        assert_eq!((answers[1].text(), answers[3].text()), ("3\n", "3\n"));
        assert!(web.answered.is_empty(), "nothing is answered after the end");
    }
}

#[test]
fn nothing_is_smuggled_behind_a_body_that_ends_in_two_places() {
    for fields in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 0",
        "Content-Length: 4, 0",
        "Content-Length: +4",
        "Content-Length: 0x4",
        "Content-Length: -1",
        "Content-Length: 4\r\n ,0",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding:\tchunked\r\nTransfer-Encoding: cow",
        "Transfer-Encoding : chunked",
        "X: y\nContent-Length: 4",
        "Transfer-Encoding: chunked\r\nX: \x01",
        "Content_Length: 4\r\n: 5",
    ] {
        let mut agent = agent();
        let mut web = Web::new(&agent);
        let text = format!(
            "POST /api/topology HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n\
             0\r\n\r\nGET /api HTTP/1.1\r\nHost: localhost\r\n\r\n"
        );
        web.send(text.as_bytes(), &mut agent);
        assert_eq!(web.next("POST").status, 400, "{fields:?}");
        assert!(web.closed && web.answered.is_empty(), "{fields:?}");
        assert!(agent.counters.http_refused_parse >= 1);
    }
    for body in
        ["0;\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "1\n\na\n0\n\n", "0x1\r\na\r\n0\r\n\r\n", "-1\r\n"]
    {
        let mut agent = agent();
        let mut web = Web::new(&agent);
        let head =
            "POST /api/topology HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        web.send(
            format!("{head}{body}GET /api HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(),
            &mut agent,
        );
        let fine = body == "0;\r\n\r\n";
        assert_eq!(web.next("POST").status, if fine { 204 } else { 400 }, "{body:?}");
        assert_eq!(web.closed, !fine, "{body:?}");
    }
}

#[test]
fn what_is_too_large_is_refused_and_ends_the_connection() {
    let fields = "X: y\r\n".repeat(65);
    for (text, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(66_000)), 414),
        (format!("GET /{}", "x".repeat(70_000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(50_000)), 431),
        (format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(70_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"), 431),
        ("POST /api/topology HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n".to_owned(), 413),
        (
            "POST /api/topology HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n100001\r\n".to_owned(),
            413,
        ),
    ] {
        let mut agent = agent();
        let mut web = Web::new(&agent);
        web.send(text.as_bytes(), &mut agent);
        assert_eq!(web.next("GET").status, status, "{:.60}", text);
        assert!(web.closed);
        assert_eq!(agent.counters.http_refused_limit, 1, "{:.60}", text);
    }
    let mut agent = agent();
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(1_000_000));
    assert_eq!(ask("POST /api/topology", &body, &mut agent).status, 204, "a megabyte is fine");
    let deep = format!("{{\"GremlinQuery\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(ask("POST /api/topology", &deep, &mut agent).status, 400);
}

#[test]
fn each_version_of_http_is_kept_open_or_closed_as_it_asks() {
    for (request, closed) in [
        ("GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n", false),
        ("GET /api HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n", true),
        ("GET /api HTTP/1.0\r\n\r\n", true),
        ("GET /api HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
        ("GET /api HTTP/1.1\r\n\r\n", false),
    ] {
        let mut agent = agent();
        let mut web = Web::new(&agent);
        web.send(request.as_bytes(), &mut agent);
        let answer = web.next("GET");
        let status = if request.contains("1.1\r\n\r\n") { 400 } else { 200 };
        assert_eq!((answer.status, web.closed), (status, closed), "{request:?}");
        let connection = if closed { "close" } else { "keep-alive" };
        assert_eq!(answer.field("connection"), Some(connection), "{request:?}");
    }
    let mut agent = agent();
    let mut web = Web::new(&agent);
    let head = "POST /api/topology HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n";
    web.send(format!("{head}Content-Length: {}\r\n\r\n", QUERY.len()).as_bytes(), &mut agent);
    assert_eq!(web.next("POST").status, 100);
    web.send(QUERY.as_bytes(), &mut agent);
    assert_eq!(web.next("POST").text(), "0\n");
    web.send(b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\nGET", &mut agent);
    web.finish(&mut agent);
    assert!(web.next("GET").status == 200 && web.closed, "a half-closed client gets its answer");
}

#[test]
fn every_answer_has_a_type_and_the_fields_that_keep_pages_away() {
    let mut agent = agent();
    for (head, body, status) in [
        ("GET /api", "", 200),
        ("GET /", "", 200),
        ("GET /nowhere", "", 404),
        ("GET /nothing/here", "", 404),
        ("GET /api/capture/none", "", 404),
        ("PUT /api", "", 405),
        ("POST /api/topology", "", 204),
        ("POST /api/topology", "nonsense", 400),
        ("POST /api/topology", "[]", 400),
        ("POST /api/topology", r#"{"gremlinquery":""}"#, 204),
        ("POST /api/topology", r#"{"GremlinQuery":5}"#, 400),
        ("POST /api/topology", r#"{"GremlinQuery":"G.Nonsense()"}"#, 400),
        ("GET /login", "", 302),
        ("GET /api/topology/", "", 301),
        ("DELETE /api/capture/", "", 400),
        ("GET /ws/subscriber", "", 400),
        ("OPTIONS /api/topology", "", 204),
        ("TRACE /api", "", 405),
    ] {
        let answer = ask(head, body, &mut agent);
        assert_eq!(answer.status, status, "{head} {body}");
        for name in
            ["content-type", "content-security-policy", "x-frame-options", "referrer-policy"]
        {
            assert!(answer.field(name).is_some_and(|value| !value.is_empty()), "{head}: {name}");
        }
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.field("cross-origin-resource-policy"), Some("same-origin"));
        assert!(
            !answer.fields.iter().any(|(name, _)| name.starts_with("access-control")),
            "{head}"
        );
        if status >= 400 {
            assert!(answer.text().ends_with('\n') && answer.text().len() > 2, "{head}");
        }
    }
    assert_eq!(ask("GET /nowhere", "", &mut agent).text(), "404 page not found\n");
    assert_eq!(
        ask("GET /api/topology/?a=b", "", &mut agent).field("location"),
        Some("/api/topology?a=b")
    );
    assert_eq!(ask("PUT /api", "", &mut agent).field("allow"), Some("GET, HEAD, OPTIONS"));
}

/// Names by which an attacker's page might reach the agent.
const FOREIGN: &[&str] = &[
    "evil.example",
    "evil.example:8082",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil.localhost",
    "127.0.0.1@evil.example",
    "evil.example@127.0.0.1",
    "[::1].evil.example",
    "[::1",
    "127.0.0.1:80:80",
    "localhost:8082x",
    "localhost:-1",
    "",
    " ",
    "127.1",
    "0x7f000001",
    "2130706433",
    "127.0.0.1\\evil",
    "localhost,evil.example",
    "router1.evil.example",
    "router1x",
    "xrouter1",
    ".",
    "127.0.0.256",
    "::1",
    "localhost%00.evil.example",
    "router1.lan.evil.example",
    "router1.localx",
];

#[test]
fn only_our_own_names_and_addresses_are_answered() {
    let mut agent = with(&[("http_hosts", "map.example.org")]);
    for host in FOREIGN {
        for (path, fields) in [("/api", ""), ("/nothing", ""), ("/ws/subscriber", web::UPGRADE)] {
            let answer = ask(&format!("GET {path}\nHost: {host}\n{fields}"), "", &mut agent);
            assert_eq!(answer.status, 421, "{host:?} {path}");
        }
        let same = format!("POST /api/topology\nHost: {host}\nOrigin: http://{host}");
        assert_eq!(ask(&same, QUERY, &mut agent).status, 421, "{host:?}");
    }
    let refused = agent.counters.http_refused_host;
    assert_eq!(refused, 4 * FOREIGN.len() as u64);
    for host in [
        "localhost",
        "LocalHost:8082",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:5001",
        "192.0.2.7:80",
        "[::1]",
        "[::1]:8082",
        "[2001:db8::7]",
        "router1",
        "Router1:8082",
        "router1.lan",
        "ROUTER1.LOCAL",
        "map.example.org",
        "map.example.org:443",
    ] {
        let answer = ask(&format!("GET /api\nHost: {host}"), "", &mut agent);
        assert_eq!(answer.status, 200, "{host:?}");
        let same = format!("POST /api/topology\nHost: {host}\nOrigin: http://{host}");
        assert_eq!(ask(&same, QUERY, &mut agent).status, 200, "{host:?}");
    }
    let mut web = Web::new(&agent);
    web.send(b"GET /api HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", &mut agent);
    assert_eq!(web.next("GET").status, 400);
    for (line, status) in [
        ("GET http://evil.example/api", 421),
        ("GET http://localhost/api", 200),
        ("GET http://evil.example@localhost/api", 421),
    ] {
        assert_eq!(ask(line, "", &mut agent).status, status, "{line}");
    }
    let mut foreign = Web::new(&agent);
    foreign.send(b"GET http://localhost/api HTTP/1.1\r\nHost: evil.example\r\n\r\n", &mut agent);
    assert_eq!(foreign.next("GET").status, 421);
}

#[test]
fn a_page_of_another_origin_can_change_nothing() {
    let mut agent = with(&[("http_origins", "https://ui.example")]);
    for (fields, status) in [
        ("", 200),
        ("Content-Type: application/json", 200),
        ("Content-Type: application/json; charset=utf-8", 200),
        ("Content-Type: Application/JSON", 200),
        ("Content-Type: text/plain", 415),
        ("Content-Type: application/x-www-form-urlencoded", 415),
        ("Content-Type: multipart/form-data; boundary=x", 415),
        ("Content-Type: text/plain; application/json", 415),
        ("Content-Type: application/json\nContent-Type: text/plain", 415),
        ("Content-Type: xapplication/json", 415),
        ("Content-Type:", 415),
        ("Origin: http://localhost", 200),
        ("Origin: https://localhost", 200),
        ("Origin: http://localhost:8082", 403),
        ("Origin: http://evil.example", 403),
        ("Origin: null", 403),
        ("Origin:", 403),
        ("Origin: http://localhost.evil.example", 403),
        ("Origin: http://localhost\nOrigin: http://evil.example", 403),
        ("Origin: https://ui.example", 200),
        ("Origin: http://ui.example", 403),
        ("Sec-Fetch-Site: cross-site", 403),
        ("Sec-Fetch-Site: same-origin", 200),
        ("Origin: https://ui.example\nSec-Fetch-Site: cross-site", 200),
    ] {
        let answer = ask(&format!("POST /api/topology\n{fields}"), QUERY, &mut agent);
        assert_eq!(answer.status, status, "{fields:?}");
        let shared = answer.field("access-control-allow-origin");
        assert_eq!(
            shared,
            fields.contains("https://ui.example").then_some("https://ui.example"),
            "{fields:?}"
        );
    }
    for method in ["DELETE /api/capture/x", "PATCH /api/node/x", "POST /login", "PUT /api"] {
        let foreign = format!("{method}\nOrigin: http://evil.example");
        assert_eq!(ask(&foreign, "", &mut agent).status, 403, "{method}");
    }
    for (origin, shared) in
        [("https://ui.example", true), ("http://evil.example", false), ("null", false)]
    {
        let head =
            format!("OPTIONS /api/capture\nOrigin: {origin}\nAccess-Control-Request-Method: POST");
        let answer = ask(&head, "", &mut agent);
        for name in [
            "access-control-allow-origin",
            "access-control-allow-methods",
            "access-control-allow-headers",
        ] {
            assert_eq!(answer.field(name).is_some(), shared, "{origin} {name}");
        }
        let opened =
            Web::new(&agent).open("/ws/subscriber", &format!("Origin: {origin}\n"), &mut agent);
        assert_eq!(opened.status, if shared { 101 } else { 403 }, "{origin}");
    }
    let form = "POST /login\nContent-Type: application/x-www-form-urlencoded";
    assert_eq!(ask(form, "username=a&password=b", &mut agent).status, 200);
}

fn people() -> Agent {
    let hash = Hash::new(b"pass:w", b"salt", 10);
    with(&[
        ("http_user", &format!("admin:admin:{hash}")),
        ("http_user", &format!("visitor:guest:{hash}")),
        ("http_user", &format!("reader:read:{hash}")),
        ("http_token", "capture:0123456789abcdef"),
    ])
}

#[test]
fn a_credential_counts_in_every_place_where_clients_put_it() {
    let mut agent = people();
    let basic = "YWRtaW46cGFzczp3"; // admin:pass:w
    for (fields, status) in [
        ("", 401),
        (&*format!("Authorization: Basic {basic}"), 200),
        (&format!("Authorization: basic  {basic}"), 200),
        (&format!("Authorization: {basic}"), 200),
        (&format!("X-Auth-Token: {basic}"), 200),
        (&format!("Cookie: a=b; authtoken={basic}; permissions=x"), 200),
        ("Authorization: Bearer 0123456789abcdef", 200),
        ("Authorization: 0123456789abcdef", 200),
        ("X-Auth-Token: 0123456789abcdef", 200),
        ("Cookie: authtoken=0123456789abcdef", 200),
        ("Authorization: Bearer 0123456789abcdeF", 401),
        ("Authorization: Basic !!!", 401),
        ("Authorization: Basic YWRtaW46", 401),
        ("Cookie: authtoken=wrong\nAuthorization: Bearer 0123456789abcdef", 401),
    ] {
        pass(&mut agent, 10);
        let answer = ask(&format!("GET /api\n{fields}"), "", &mut agent);
        assert_eq!(answer.status, status, "{fields}");
        if status == 401 {
            assert_eq!(answer.text(), "Wrong credentials\n");
            assert_eq!(answer.field("www-authenticate"), None);
        }
    }
    let by_query = ask("GET /api?x-auth-token=0123456789abcdef", "", &mut agent);
    assert_eq!(by_query.status, 401, "a token in a query would end up in logs");
    for name in ["x-auth-token", "token"] {
        let path = format!("/ws/subscriber?x-host-id={name}&{name}=0123456789abcdef");
        assert_eq!(Web::new(&agent).open(&path, "", &mut agent).status, 101, "{name}");
    }
    assert_eq!(Web::new(&agent).open("/ws/subscriber", "", &mut agent).status, 401);
}

#[test]
fn a_login_gives_a_session_as_clients_expect_it() {
    let mut agent = people();
    let form = "POST /login\nContent-Type: application/x-www-form-urlencoded";
    let answer = ask(form, "username=admin&password=pass%3Aw", &mut agent);
    assert_eq!(answer.status, 200);
    let token = answer.json()["Token"].as_str().unwrap().to_owned();
    assert_eq!(token.len(), 32);
    let cookies: Vec<&str> =
        answer.fields.iter().filter(|(n, _)| n == "set-cookie").map(|(_, v)| &**v).collect();
    let expected = format!("authtoken={token}; Path=/; HttpOnly; SameSite=Strict");
    assert!(cookies.contains(&&*expected), "{cookies:?}");
    assert!(cookies.iter().any(|cookie| cookie.starts_with("permissions=")), "{cookies:?}");
    assert!(answer.json()["Permissions"].as_array().unwrap().iter().all(|p| p["Allowed"] == true));
    let with_cookie = format!("GET /api\nCookie: authtoken={token}");
    assert_eq!(ask(&with_cookie, "", &mut agent).status, 200);
    pass(&mut agent, 25 * 3_600);
    assert_eq!(ask(&with_cookie, "", &mut agent).status, 401, "a session ends");
    for (body, text) in [
        ("", "No credentials provided\n"),
        ("username=admin", "No credentials provided\n"),
        ("username=admin&password=x", "Wrong credentials\n"),
        ("username=nobody&password=pass%3Aw", "Wrong credentials\n"),
    ] {
        let answer = ask(form, body, &mut agent);
        assert_eq!((answer.status, answer.text()), (401, text), "{body}");
    }
    let mut open = self::agent();
    let answer = ask(form, "username=admin&password=x", &mut open);
    assert_eq!(answer.json()["Token"], "");
    assert!(!answer.fields.iter().any(|(n, v)| n == "set-cookie" && v.contains("authtoken")));
}

#[test]
fn each_role_may_what_it_may_and_no_more() {
    let mut agent = people();
    let token = |user: &str, agent: &mut Agent| {
        let form = "POST /login\nContent-Type: application/x-www-form-urlencoded";
        let answer = ask(form, &format!("username={user}&password=pass%3Aw"), agent);
        answer.json()["Token"].as_str().unwrap().to_owned()
    };
    let guest = token("visitor", &mut agent);
    let reader = token("reader", &mut agent);
    let admin = token("admin", &mut agent);
    let capture = "0123456789abcdef".to_owned();
    for (head, body, allowed) in [
        ("GET /api/status", "", [true, true, true, true]),
        ("GET /api/topology", "", [true, true, true, true]),
        ("POST /api/topology", QUERY, [true, true, true, true]),
        ("GET /api/capture", "", [false, true, true, true]),
        ("GET /api/config/flows_idle", "", [false, true, true, true]),
        ("POST /api/capture", "{}", [false, false, true, true]),
        ("POST /api/node", "{}", [false, false, false, true]),
    ] {
        for (token, allowed) in [&guest, &reader, &capture, &admin].into_iter().zip(allowed) {
            let answer = ask(&format!("{head}\nX-Auth-Token: {token}"), body, &mut agent);
            assert_eq!(answer.status != 405, allowed, "{head}: {}", answer.text());
        }
    }
    let answer = ask(&format!("GET /api/capture\nX-Auth-Token: {guest}"), "", &mut agent);
    assert_eq!(answer.text(), "'visitor' has no 'read' permission on 'capture'\n");
    for (path, allowed) in [
        ("/ws/subscriber", [true, true, true, true]),
        ("/ws/subscriber/flow", [false, true, true, true]),
        ("/ws/publisher", [false, false, false, true]),
        ("/ws/pubsub", [false, false, false, true]),
    ] {
        for (token, allowed) in [&guest, &reader, &capture, &admin].into_iter().zip(allowed) {
            let fields = format!("X-Auth-Token: {token}\nX-Host-ID: {token}\n");
            let status = Web::new(&agent).open(path, &fields, &mut agent).status;
            assert_eq!(status, if allowed { 101 } else { 403 }, "{path}");
        }
    }
}

#[test]
fn guessing_is_slow_for_the_one_who_guesses() {
    let mut agent = people();
    let from = |last: u8| ([192, 0, 2, last], 40_000).into();
    let mut seen = Vec::new();
    for n in 0..100 {
        let guess = format!("GET /api\nX-Auth-Token: {n:032}");
        seen.push(Web::from(&agent, from(1)).ask(&guess, "", &mut agent).status);
    }
    assert!(seen[..5].iter().all(|status| *status == 401), "{seen:?}");
    assert!(seen[5..].iter().all(|status| *status == 429), "{seen:?}");
    let right = "GET /api\nX-Auth-Token: 0123456789abcdef";
    assert_eq!(
        Web::from(&agent, from(2)).ask(right, "", &mut agent).status,
        200,
        "nobody else waits"
    );
    assert_eq!(Web::from(&agent, from(1)).ask(right, "", &mut agent).status, 429);
    pass(&mut agent, 2);
    assert_eq!(Web::from(&agent, from(1)).ask(right, "", &mut agent).status, 200);
    assert_eq!(agent.counters.auth_failures, 5);
}

#[test]
fn a_client_that_takes_too_long_is_told_and_closed() {
    for (bytes, seconds, status) in [
        (&b""[..], 12, None),
        (b"GET /api HTTP/1.1\r\nHost: l", 12, Some(408)),
        (
            b"POST /api/topology HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
            12,
            Some(408),
        ),
        (
            b"POST /api/topology HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            12,
            Some(408),
        ),
    ] {
        let mut agent = agent();
        let mut web = Web::new(&agent);
        web.send(bytes, &mut agent);
        web.wait(seconds - 4, &mut agent);
        assert!(!web.closed, "{:?}", String::from_utf8_lossy(bytes));
        web.wait(4, &mut agent);
        assert!(web.closed, "{:?}", String::from_utf8_lossy(bytes));
        match status {
            Some(status) => assert_eq!(web.next("GET").status, status),
            None => assert!(web.answered.is_empty()),
        }
    }
    // One octet a second is not enough for a head, nor a trickle for a body.
    let mut agent = agent();
    let mut web = Web::new(&agent);
    let text = b"GET /api HTTP/1.1\r\nHost: localhost\r\nX: ";
    for byte in text.iter().cycle().take(20) {
        web.send(&[*byte], &mut agent);
        web.wait(1, &mut agent);
    }
    assert!(web.closed && web.next("GET").status == 408);
    let mut web = Web::new(&agent);
    web.send(
        b"POST /api/topology HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n",
        &mut agent,
    );
    for _ in 0..29 {
        web.send(&[b' '; 2_000], &mut agent);
        web.wait(1, &mut agent);
        assert!(!web.closed, "fast enough for now");
    }
    web.wait(3, &mut agent);
    assert!(web.closed && web.next("POST").status == 408);
    let mut idle = Web::new(&agent);
    assert_eq!(idle.ask("GET /api", "", &mut agent).status, 200);
    idle.wait(50, &mut agent);
    assert!(!idle.closed);
    idle.wait(12, &mut agent);
    assert!(idle.closed && idle.answered.is_empty(), "nothing was asked, nothing is said");
}

#[test]
fn a_large_graph_is_sent_in_pieces() {
    let mut agent = agent();
    star(&mut agent, 3_000);
    let mut web = Web::new(&agent);
    let graph = web.ask("GET /api/topology", "", &mut agent);
    assert_eq!(graph.field("transfer-encoding"), Some("chunked"));
    assert_eq!(graph.json()["Nodes"].as_array().unwrap().len(), 3_000);
    assert_eq!(graph.json()["Edges"].as_array().unwrap().len(), 2_999);
    let query = web.ask("POST /api/topology", r#"{"GremlinQuery":"G.V()"}"#, &mut agent);
    assert_eq!(query.field("content-type"), Some("application/json; charset=UTF-8"));
    assert_eq!(query.json().as_array().unwrap().len(), 3_000);
    assert!(web.most_waiting <= 128 * 1024, "{}", web.most_waiting);
    assert!(!web.closed);
    let head = web.ask("HEAD /api/topology", "", &mut agent);
    assert_eq!((head.status, web.answered.len()), (200, 0));
    web.send(b"GET /api/topology HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &mut agent);
    assert!(web.closed, "HTTP/1.0 knows no chunks");
    assert_eq!(web.next("GET").json(), graph.json());
}

#[test]
fn an_answer_comes_in_the_form_that_is_accepted_or_not_at_all() {
    let mut agent = agent();
    star(&mut agent, 2);
    let query = |text: &str| format!("{{\"GremlinQuery\":\"{text}\"}}");
    let dot = "POST /api/topology\nAccept: text/vnd.graphviz";
    let drawn = ask(dot, &query("G"), &mut agent);
    assert_eq!(
        (drawn.status, drawn.field("content-type")),
        (200, Some("text/vnd.graphviz; charset=UTF-8"))
    );
    assert!(drawn.text().starts_with("digraph g"), "{}", drawn.text());
    assert_eq!(
        ask("GET /api/topology\nAccept: text/vnd.graphviz", "", &mut agent).body,
        drawn.body
    );
    let refused = ask(dot, &query("G.V()"), &mut agent);
    assert_eq!(refused.status, 406);
    assert!(refused.text().contains("Only graph can be outputted as dot"), "{}", refused.text());
    let pcap = "POST /api/topology\nAccept: application/vnd.tcpdump.pcap";
    let refused = ask(pcap, &query("G.V()"), &mut agent);
    assert!(refused.text().contains("Only RawPackets step result can be outputted as pcap"));
    let packets = ask(pcap, &query("G.Flows().RawPackets()"), &mut agent);
    assert_eq!((packets.status, packets.body.len()), (200, 24), "a file without packets");
    for accept in ["*/*", "", "text/html"] {
        let answer = ask(
            &format!("POST /api/topology\nAccept: {accept}"),
            &query("G.V().Count()"),
            &mut agent,
        );
        assert_eq!(answer.field("content-type"), Some("application/json; charset=UTF-8"));
        assert_eq!(answer.text(), "2\n");
    }
}

#[test]
fn status_names_the_agent_and_what_was_lost() {
    let mut agent = agent();
    ask("GET /api\nHost: evil.example", "", &mut agent);
    let status = ask("GET /api/status", "", &mut agent).json();
    let own = &status["Agents"]["Router1"];
    assert_eq!((&own["IsConnected"], &own["Port"]), (&true.into(), &8_082.into()));
    assert_eq!(status["Alerts"]["IsMaster"], true);
    assert_eq!(status["Counters"]["http_refused_host"], 1);
    assert_eq!(ask("GET /api/workflow", "", &mut agent).text(), "{}\n");
    for (key, value) in [
        ("host_id", "\"Router1\""),
        ("flows.idle", "30"),
        ("management_password", "\"\""),
        ("http_token", "\"\""),
        ("nothing", "\"\""),
        ("capture_promiscuous", "false"),
    ] {
        assert_eq!(
            ask(&format!("GET /api/config/{key}"), "", &mut agent).text(),
            format!("{value}\n"),
            "{key}"
        );
    }
}

#[test]
fn every_operation_that_is_described_answers_as_described() {
    let mut agent = agent();
    star(&mut agent, 2);
    let description = ask("GET /api/openapi.json", "", &mut agent).json();
    assert_eq!(description["openapi"], "3.1.0");
    let schemas = &description["components"]["schemas"];
    let mut count = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            count += 1;
            let told = operation["responses"].as_object().unwrap();
            let named = path.contains('{');
            assert_eq!(operation["parameters"].is_array(), named, "{path}");
            for answer in told.values() {
                for content in answer["content"].as_object().unwrap().values() {
                    let name = content["schema"]["$ref"].as_str().unwrap();
                    let name = name.strip_prefix("#/components/schemas/").unwrap();
                    assert!(schemas[name].is_object(), "{name}");
                }
            }
            let body = &operation["requestBody"]["content"];
            let kind = body.as_object().and_then(|kinds| kinds.keys().next().cloned());
            for path in [path.replace("{id}", "n0").replace("{key}", "host_id")] {
                for body in ["", "{}", "nonsense"] {
                    let kind = kind
                        .as_ref()
                        .map_or(String::new(), |kind| format!("\nContent-Type: {kind}"));
                    let head = format!("{} {path}{kind}", method.to_uppercase());
                    let answer = ask(&head, body, &mut agent);
                    let status = answer.status.to_string();
                    let told = told
                        .get(&status)
                        .unwrap_or_else(|| panic!("{head} {body:?}: {status} is not told"));
                    let media =
                        answer.field("content-type").unwrap().split(';').next().unwrap().to_owned();
                    assert!(told["content"][&media].is_object(), "{head}: {status} {media}");
                    if media == "application/json" {
                        let _ = answer.json();
                    }
                }
            }
        }
    }
    assert!(count >= 9, "{count}");
}

#[test]
fn every_json_text_ends_with_one_newline() {
    let mut agent = agent();
    star(&mut agent, 60);
    let queries = ["G", "G.V()", "G.V().Count()", "G.V().Limit(0)", "G.V().Metrics().Sum()"];
    let asked =
        queries.map(|query| ("POST /api/topology", format!(r#"{{"GremlinQuery":"{query}"}}"#)));
    let paths = ["", "/topology", "/status", "/config/x", "/capture", "/node", "/openapi.json"];
    let looked = paths.map(|path| (format!("GET /api{path}"), String::new()));
    let looked = looked.iter().map(|(head, body)| (head.as_str(), body.clone()));
    for (head, body) in asked.into_iter().chain(looked) {
        let answer = ask(head, &body, &mut agent);
        let text = answer.text();
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{head} {body}: {text}");
        answer.json();
    }
    assert_eq!(ask("POST /api/topology", "null", &mut agent).status, 204);
}
