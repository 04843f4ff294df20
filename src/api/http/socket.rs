//! The frames of one WebSocket (RFC 6455). Reading, control frames and the rules on them are
//! tungstenite's; what is sent gets its header here and is copied once, into the output.

use std::io::{self, ErrorKind};

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use crate::api::Outbox;
use crate::time::Tick;

/// Octets of a message from a client.
pub(super) const MAX_MESSAGE: usize = 64 * 1024;

/// Pings that a client may send in a second.
const MAX_PINGS: u32 = 100;

/// Microseconds until a message that was begun must be complete.
const MESSAGE_TIME: u64 = 30_000_000;

/// Microseconds until a ping must be answered, where little is sent.
pub(super) const PONG_TIME: u64 = 5_000_000;

/// Close codes (RFC 6455 section 7.4.1).
pub(super) mod code {
    /// All is said.
    pub(in crate::api::http) const NORMAL: u16 = 1_000;
    /// What was to be seen has gone away, or the server does.
    pub(in crate::api::http) const AWAY: u16 = 1_001;
    /// The peer breaks the rules of the protocol.
    pub(in crate::api::http) const PROTOCOL: u16 = 1_002;
    /// A text that is no UTF-8.
    pub(in crate::api::http) const NOT_TEXT: u16 = 1_007;
    /// The peer breaks the rules of this server.
    pub(in crate::api::http) const POLICY: u16 = 1_008;
    /// A message that is too large.
    pub(in crate::api::http) const TOO_LARGE: u16 = 1_009;
    /// The server failed.
    pub(in crate::api::http) const INTERNAL: u16 = 1_011;
}

/// What a client sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Received {
    /// It is over: the peer closed it, or broke the rules and was told so.
    Closed,
    /// A message, whatever it calls its type.
    Message(Vec<u8>),
    /// Nothing that is complete.
    Nothing,
}

/// One WebSocket, the server's side.
#[derive(Debug)]
pub(super) struct Socket {
    context: WebSocketContext,
    /// When the last ping went out that is not answered yet.
    asked: Option<Tick>,
    pinged: Tick,
    heard: Tick,
    /// Pings of the client within the second that began then.
    pings: (Tick, u32),
    /// Octets since the last complete message, and when the first of them came.
    part: usize,
    part_since: Tick,
    over: bool,
    /// It broke the rules.
    is_bad: bool,
    /// What the answer to a close says; without it the client's own reason.
    farewell: Option<&'static str>,
}

impl Socket {
    /// One that was just opened.
    #[must_use]
    pub(super) fn new(now: Tick) -> Self {
        // Nothing is left to defaults: those are sized for servers.
        let config = WebSocketConfig::default()
            .read_buffer_size(1_024)
            .write_buffer_size(0)
            .max_write_buffer_size(16 * 1_024)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .accept_unmasked_frames(false);
        Self {
            context: WebSocketContext::new(Role::Server, Some(config)),
            asked: None,
            pinged: now,
            heard: now,
            pings: (now, 0),
            part: 0,
            part_since: now,
            over: false,
            is_bad: false,
            farewell: None,
        }
    }

    /// The same, with a word for those who leave.
    #[must_use]
    pub(super) const fn with_farewell(mut self, farewell: &'static str) -> Self {
        self.farewell = Some(farewell);
        self
    }

    /// Takes octets from the front of `input` until there is a message or they are used up.
    pub(super) fn receive(&mut self, input: &mut &[u8], out: &mut Outbox, now: Tick) -> Received {
        loop {
            if self.over {
                *input = &[];
                return Received::Closed;
            }
            let before = input.len();
            let read = self.context.read(&mut Pipe { input, out });
            let between = self.part == 0;
            if between {
                self.part_since = now;
            }
            self.part = self.part.saturating_add(before.saturating_sub(input.len()));
            match read {
                Ok(Message::Text(text)) => {
                    self.part = 0;
                    return Received::Message(text.as_bytes().to_vec());
                }
                Ok(Message::Binary(bytes)) => {
                    self.part = 0;
                    return Received::Message(bytes.to_vec());
                }
                Ok(Message::Ping(_)) => {
                    if now.since(self.pings.0) > 1_000_000 {
                        self.pings = (now, 0);
                    }
                    self.pings.1 = self.pings.1.saturating_add(1);
                    if self.pings.1 > MAX_PINGS {
                        self.fail(code::POLICY, "too many pings", out);
                    }
                    // A control frame between messages begins none.
                    self.part = if between { 0 } else { self.part };
                }
                Ok(Message::Pong(_)) => {
                    self.asked = None;
                    self.heard = now;
                    self.part = if between { 0 } else { self.part };
                }
                Ok(Message::Close(frame)) => match self.farewell {
                    Some(word) => {
                        let code = frame.map_or(code::NORMAL, |frame| frame.code.into());
                        self.close(code, word, out);
                    }
                    None => {
                        // The answer is queued; sending it says that all is over.
                        let _ = self.context.flush(&mut Pipe { input: &mut &[][..], out });
                        self.over = true;
                    }
                },
                Ok(Message::Frame(_)) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                    return Received::Nothing;
                }
                Err(Error::Capacity(_)) => self.fail(code::TOO_LARGE, "message too large", out),
                Err(Error::Utf8(_)) => self.fail(code::NOT_TEXT, "text is not UTF-8", out),
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => self.over = true,
                Err(_) => self.fail(code::PROTOCOL, "protocol error", out),
            }
        }
    }

    /// Sends a whole message, or a part of one; `false` if there is no room for it.
    pub(super) fn send(&self, payload: &[u8], part: Part, out: &mut Outbox) -> bool {
        let kind = match (part.first, part.binary) {
            (false, _) => Data::Continue,
            (true, true) => Data::Binary,
            (true, false) => Data::Text,
        };
        let header = FrameHeader {
            is_final: part.last,
            opcode: OpCode::Data(kind),
            ..FrameHeader::default()
        };
        self.over
            || out.push(|bytes| {
                // Writing to a Vec cannot fail.
                let _ = header.format(payload.len() as u64, bytes);
                bytes.extend_from_slice(payload);
            })
    }

    /// Asks the client whether it is there; a client that did not answer for too long is over.
    /// While output waits it has not even got the question, and is watched by its reading.
    pub(super) fn keep_alive(&mut self, interval: u64, patience: u64, out: &mut Outbox, now: Tick) {
        if self.asked.is_some() && !out.is_empty() {
            self.asked = Some(now);
        }
        let silent = self.asked.is_some_and(|asked| now.since(asked) > patience);
        let late = self.part > 0 && now.since(self.part_since) > MESSAGE_TIME;
        if silent || late {
            self.fail(code::POLICY, if late { "message too slow" } else { "no pong" }, out);
        } else if !self.over
            && now.since(self.pinged) >= interval
            && out.push(|b| b.extend_from_slice(PING))
        {
            self.pinged = now;
            self.asked.get_or_insert(now);
        }
    }

    /// Ends it with a code and a reason.
    pub(super) fn close(&mut self, code: u16, reason: &str, out: &mut Outbox) {
        if !std::mem::replace(&mut self.over, true) {
            let reason = cut(reason).as_bytes();
            let length = u8::try_from(reason.len().saturating_add(2)).unwrap_or(2);
            out.push(|bytes| {
                bytes.extend_from_slice(&[0x88, length]);
                bytes.extend_from_slice(&code.to_be_bytes());
                bytes.extend_from_slice(reason);
            });
        }
    }

    /// Whether nothing more is read or sent.
    #[must_use]
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Whether it ended because the peer broke the rules; says so once.
    pub(super) const fn take_bad(&mut self) -> bool {
        std::mem::replace(&mut self.is_bad, false)
    }

    /// When the client last answered a ping.
    #[must_use]
    pub(super) const fn heard(&self) -> Tick {
        self.heard
    }

    /// Octets of memory for what is not complete yet.
    #[must_use]
    pub(super) const fn held(&self) -> usize {
        self.part
    }

    fn fail(&mut self, code: u16, reason: &str, out: &mut Outbox) {
        self.is_bad |= !self.over;
        self.close(code, reason, out);
    }
}

/// As much of a reason as fits into a control frame.
fn cut(reason: &str) -> &str {
    let most = reason.len().min(MAX_REASON);
    (0..=most).rev().find_map(|end| reason.get(..end)).unwrap_or_default()
}

/// Octets of a reason: a control frame has 125, two of them for the code.
const MAX_REASON: usize = 123;

/// An empty ping.
const PING: &[u8] = &[0x89, 0];

/// Which part of a message a frame is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// It begins the message.
    pub(super) first: bool,
    /// It ends the message.
    pub(super) last: bool,
    /// The message is binary.
    pub(super) binary: bool,
}

/// The two ends of the connection as tungstenite wants them.
struct Pipe<'a, 'b> {
    input: &'a mut &'b [u8],
    out: &'a mut Outbox,
}

impl io::Read for Pipe<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        io::Read::read(self.input, into)
    }
}

impl io::Write for Pipe<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.push(|out| out.extend_from_slice(bytes)) {
            Ok(bytes.len())
        } else {
            Err(ErrorKind::WouldBlock.into())
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
