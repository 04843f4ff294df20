//! The built agent over real sockets: HTTP and WebSockets on loopback. Skipped aloud where
//! namespaces are not permitted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[path = "support/process.rs"]
mod process;

use process::{Agent, Lab, PROGRAM, until, within};

fn connect(lab: &Lab, port: u16) -> TcpStream {
    let stream = within(&lab.here, || TcpStream::connect(("127.0.0.1", port)).unwrap());
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Sends a request on a connection of its own, closes that side, and reads all that comes.
fn ask(lab: &Lab, port: u16, request: &str) -> String {
    let mut stream = connect(lab, port);
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status(lab: &Lab, port: u16) -> serde_json::Value {
    let answer = ask(lab, port, "GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn subscribe(lab: &Lab, name: &str) -> TcpStream {
    let mut stream = connect(lab, 8_082);
    let request = format!(
        "GET /ws/subscriber?x-host-id={name} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn both_default_ports_serve_every_path_and_a_stop_closes_them() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    for port in [8_082, 5_001] {
        assert_eq!(status(&lab, port)["Alerts"]["IsMaster"], true, "{port}");
        let answer = ask(&lab, port, "GET /api HTTP/1.1\r\nHost: evil.example\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 421 "), "{answer}");
    }
    let mut follower = subscribe(&lab, "f");
    until(|| status(&lab, 8_082)["Subscribers"]["f"].is_object().then_some(()), || "f".into());
    agent.stop();
    let mut rest = Vec::new();
    let _ = follower.read_to_end(&mut rest);
    assert!(rest.starts_with(b"HTTP/1.1 101 "));
}

#[test]
fn a_port_that_is_taken_is_a_warning_and_off_is_off() {
    let Some(lab) = Lab::new() else { return };
    let taken = within(&lab.here, || std::net::TcpListener::bind("127.0.0.1:8082").unwrap());
    let agent = lab.start(&["-i", "va"]);
    lab.wait_for_log("http 127.0.0.1:8082: ");
    assert!(status(&lab, 5_001)["Agents"].is_object());
    drop(taken);
    agent.stop();
    let agent = lab.start(&["-i", "va", "--http", "off"]);
    let refused = within(&lab.here, || TcpStream::connect("127.0.0.1:8082").is_err());
    assert!(refused);
    agent.stop();
}

#[test]
fn beyond_loopback_somebody_must_be_named_who_may() {
    let Some(lab) = Lab::new() else { return };
    let mut command = lab.command(&["-i", "va", "--http", "10.99.0.1:8082"]);
    let done = within(&lab.here, || command.stderr(Stdio::piped()).output().unwrap());
    let text = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{text}");
    assert!(text.contains("http_user = ") && text.contains("--hash-password"), "{text}");
    let mut hash = Command::new(PROGRAM);
    let mut hash =
        hash.arg("--hash-password").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    hash.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    let hash = String::from_utf8(hash.wait_with_output().unwrap().stdout).unwrap();
    let users = lab.file("users", &format!("admin:admin:{hash}"));
    let setting = format!("http_users_file={users}");
    let agent = lab.start(&["-i", "va", "--http", "127.0.0.1:8082", "-s", &setting]);
    let get = "GET /api HTTP/1.1\r\nHost: localhost\r\n";
    assert!(ask(&lab, 8_082, &format!("{get}\r\n")).starts_with("HTTP/1.1 401 "));
    let basic = "Authorization: Basic YWRtaW46c2VjcmV0\r\n";
    assert!(ask(&lab, 8_082, &format!("{get}{basic}\r\n")).starts_with("HTTP/1.1 200 "));
    agent.stop();
}

#[test]
fn an_error_is_read_whole_although_more_was_sent_than_is_read() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    for _ in 0..20 {
        let mut stream = connect(&lab, 8_082);
        let head =
            "POST /api/topology HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let _ = stream.write_all(&[b'x'; 500_000]);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    agent.stop();
}

#[test]
fn a_new_client_always_gets_in_and_nobody_is_slow_beside_bad_ones() {
    let Some(lab) = Lab::new() else { return };
    // Other namespaces of the machine come and go, and would be counted among the descriptors.
    let agent = lab.start(&["-i", "va", "-s", "netns_discovery=no"]);
    let (before, descriptors) = (agent.rss_kib(), agent.descriptors());
    let head = b"GET /api/topology HTTP/1.1\r\nHost: localhost\r\n";
    let mut held = Vec::new();
    for n in 0..500 {
        let mut stream = connect(&lab, 8_082);
        let _ = match n % 4 {
            0 => stream.write_all(head),
            1 => stream.write_all(&[&head[..], b"\r\n"].concat().repeat(100)),
            2 => stream.write_all(
                b"POST /api/topology HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{",
            ),
            _ => Ok(()),
        };
        held.push(stream);
    }
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let start = Instant::now();
            status(&lab, 5_001);
            start.elapsed()
        })
        .collect();
    times.sort();
    assert!(times[10] < Duration::from_millis(100), "{times:?}");
    agent.assert_responsive();
    let grown = agent.rss_kib().saturating_sub(before);
    assert!(grown <= 16 * 1_024, "{grown} KiB");
    drop(held);
    until(
        || (agent.descriptors() <= descriptors).then_some(()),
        || format!("{descriptors} descriptors, there are {}", agent.descriptors()),
    );
    agent.stop();
}

#[test]
fn an_idle_subscriber_costs_no_processor_time() {
    let Some(lab) = Lab::new() else { return };
    let agent: Agent = lab.start(&["-i", "va", "--http", "127.0.0.1:8082"]);
    let mut follower = subscribe(&lab, "f");
    let mut head = [0; 12];
    follower.read_exact(&mut head).unwrap();
    let (cpu, start) = (agent.cpu(), Instant::now());
    // A ping every two seconds is answered; in between nothing is done.
    let mut pings = 0;
    let mut bytes = [0; 4_096];
    while start.elapsed() < Duration::from_secs(4) {
        let count = follower.read(&mut bytes).unwrap();
        if bytes[..count].windows(2).any(|two| two == [0x89, 0]) {
            follower.write_all(&[0x8a, 0x80, 1, 2, 3, 4]).unwrap();
            pings += 1;
        }
    }
    assert!(pings >= 2, "{pings}");
    let used = agent.cpu() - cpu;
    assert!(used < Duration::from_millis(200), "{used:?}");
    agent.stop();
}
