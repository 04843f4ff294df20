//! A client of HTTP without a socket: its bytes go straight into the front-end, as the loop would
//! bring them.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test uses its part of it, and a panic is how a test fails"
)]

use std::net::SocketAddr;

use portolan::api::http::Http;
use portolan::api::{Connection as _, Outbox, Progress};
use portolan::core::Agent;
use portolan::netns::Machine;
use portolan::time::{Clock, Tick, Wall};

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}

/// A connection.
pub struct Web {
    pub http: Http,
    pub out: Outbox,
    pub now: Tick,
    input: Vec<u8>,
    /// All that came back and was not looked at.
    pub answered: Vec<u8>,
    pub closed: bool,
    finished: bool,
    /// The most that ever waited to be sent.
    pub most_waiting: usize,
}

impl Web {
    pub fn new(agent: &Agent) -> Self {
        Self::from(agent, ([127, 0, 0, 1], 40_000).into())
    }

    pub fn from(agent: &Agent, remote: SocketAddr) -> Self {
        let now = agent.clock().tick;
        Self {
            http: Http::new(remote, ([127, 0, 0, 1], 8_082).into(), now),
            out: Outbox::new(256 * 1024),
            now,
            input: Vec::new(),
            answered: Vec::new(),
            closed: false,
            finished: false,
            most_waiting: 0,
        }
    }

    /// Sends bytes and takes what comes back until nothing moves.
    pub fn send(&mut self, bytes: &[u8], agent: &mut Agent) {
        self.input.extend_from_slice(bytes);
        self.settle(agent);
    }

    pub fn settle(&mut self, agent: &mut Agent) {
        for _ in 0..1_000_000 {
            if self.closed {
                return;
            }
            let before = (self.input.len(), self.answered.len());
            if !self.finished && !self.input.is_empty() && self.http.ready(&self.out) {
                let used = self.http.receive(&self.input, agent, &mut self.out, self.now).unwrap();
                self.input.drain(..used);
                assert!(self.input.len() < self.http.max_input() || used > 0, "it is stuck");
            }
            let progress = self.http.produce(agent, &mut self.out, self.now);
            self.most_waiting = self.most_waiting.max(self.out.pending().len());
            self.answered.extend_from_slice(self.out.pending());
            self.out.advance(usize::MAX);
            self.closed = progress == Progress::Done;
            if before == (self.input.len(), self.answered.len()) && progress == Progress::Idle {
                if agent.discovery.begin().is_none() {
                    return;
                }
                // A machine with nothing on it.
                agent.discovery.finish(Some(Machine::default()));
            }
        }
        panic!("no end");
    }

    /// Closes the client's side.
    pub fn finish(&mut self, agent: &mut Agent) {
        let rest = std::mem::take(&mut self.input);
        self.http.finish(&rest, agent, &mut self.out, self.now);
        self.finished = true;
        self.settle(agent);
    }

    /// Lets time pass, with the looks at the clock that the loop takes.
    pub fn wait(&mut self, seconds: u64, agent: &mut Agent) {
        for _ in 0..seconds {
            self.now = self.now.plus(1_000_000);
            pass(agent, 1);
            if !self.closed {
                self.http.expire(agent, &mut self.out, self.now);
                self.settle(agent);
            }
        }
    }

    /// The answers to requests of these methods.
    #[track_caller]
    pub fn answers(&mut self, methods: &[&str]) -> Vec<Answer> {
        methods.iter().map(|method| self.next(method)).collect()
    }

    /// The next answer; what follows it stays.
    #[track_caller]
    pub fn next(&mut self, method: &str) -> Answer {
        let mut room = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut room);
        let parsed = head.parse(&self.answered).unwrap();
        let httparse::Status::Complete(length) = parsed else {
            panic!("no answer: {:?}", String::from_utf8_lossy(&self.answered))
        };
        let status = head.code.unwrap();
        let fields: Vec<(String, String)> = head
            .headers
            .iter()
            .map(|f| (f.name.to_ascii_lowercase(), String::from_utf8_lossy(f.value).into_owned()))
            .collect();
        self.answered.drain(..length);
        let mut answer = Answer { status, fields, body: Vec::new() };
        if method == "HEAD" || matches!(status, 101 | 204 | 304) || status < 200 {
            return answer;
        }
        if let Some(length) = answer.field("content-length") {
            let length: usize = length.parse().unwrap();
            answer.body = self.answered.drain(..length).collect();
        } else if answer.field("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.answered.windows(2).position(|w| w == b"\r\n").unwrap();
                let size = std::str::from_utf8(&self.answered[..line]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                self.answered.drain(..line + 2);
                answer.body.extend(self.answered.drain(..size));
                assert_eq!(self.answered.drain(..2).collect::<Vec<_>>(), b"\r\n");
                if size == 0 {
                    break;
                }
            }
        } else {
            assert!(self.closed, "a body without an end");
            answer.body = std::mem::take(&mut self.answered);
        }
        answer
    }

    /// Asks and takes the answer.
    #[track_caller]
    pub fn ask(&mut self, head: &str, body: &str, agent: &mut Agent) -> Answer {
        let method = head.split(' ').next().unwrap();
        let length = if body.is_empty() && !head.starts_with("POST") {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let host =
            if head.to_ascii_lowercase().contains("\nhost:") { "" } else { "Host: localhost\r\n" };
        let (line, fields) = head.split_once('\n').unwrap_or((head, ""));
        let fields: String = fields.lines().map(|line| format!("{line}\r\n")).collect();
        let text = format!("{line} HTTP/1.1\r\n{host}{fields}{length}\r\n{body}");
        self.send(text.as_bytes(), agent);
        self.next(method)
    }

    /// Opens a WebSocket.
    #[track_caller]
    pub fn open(&mut self, path: &str, fields: &str, agent: &mut Agent) -> Answer {
        let head = format!("GET {path}\n{UPGRADE}{fields}");
        self.ask(&head, "", agent)
    }

    /// Sends a text in one frame.
    pub fn say(&mut self, text: &str, agent: &mut Agent) {
        self.send(&frame(0x81, text.as_bytes()), agent);
    }

    /// The frames that came back: first octet and payload.
    #[track_caller]
    pub fn frames(&mut self) -> Vec<(u8, Vec<u8>)> {
        let bytes = std::mem::take(&mut self.answered);
        let mut rest = &bytes[..];
        let mut frames = Vec::new();
        while !rest.is_empty() {
            assert_eq!(rest[1] & 0x80, 0, "a server does not mask");
            let (length, head) = match rest[1] {
                126 => (usize::from(u16::from_be_bytes([rest[2], rest[3]])), 4),
                127 => (u64::from_be_bytes(rest[2..10].try_into().unwrap()) as usize, 10),
                short => (usize::from(short), 2),
            };
            frames.push((rest[0], rest[head..head + length].to_vec()));
            rest = &rest[head + length..];
        }
        frames
    }

    /// The messages that came back, put together; pings are left out.
    #[track_caller]
    pub fn messages(&mut self) -> Vec<serde_json::Value> {
        let mut messages = Vec::new();
        let mut part: Option<Vec<u8>> = None;
        for (first, payload) in self.frames() {
            match first & 0xf {
                0x1 | 0x2 => assert!(part.replace(payload).is_none()),
                0x0 => part.as_mut().unwrap().extend(payload),
                _ => continue,
            }
            if first & 0x80 != 0 {
                messages.push(serde_json::from_slice(&part.take().unwrap()).unwrap());
            }
        }
        assert!(part.is_none());
        messages
    }
}

/// What a browser sends to open a WebSocket.
pub const UPGRADE: &str = "Upgrade: WebSocket\nConnection: keep-alive, Upgrade\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n";

/// A frame as clients send it.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        long if long < 65_536 => {
            frame.push(0x80 | 126);
            frame.extend((long as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// Lets time pass for the agent.
pub fn pass(agent: &mut Agent, seconds: u64) {
    let clock = agent.clock();
    let micros = seconds * 1_000_000;
    let wall = Wall(clock.wall.0 + i64::try_from(micros).unwrap());
    agent.turn(Clock { tick: clock.tick.plus(micros), wall });
}
