//! Answers: status, header fields and a body that is either here or made piece by piece while it
//! is sent (RFC 9112).

use std::borrow::Cow;
use std::io::Write as _;

use super::discovery::Waiting;
use super::graph::GraphText;
use super::listing::Text as Rows;
use crate::query::Run;
use crate::text::plain;
use crate::time::Wall;

/// What JSON is sent as.
pub const JSON: &str = "application/json; charset=UTF-8";

/// What texts, errors among them, are sent as.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// What the body is. Never empty: clients take it apart without looking.
    pub content_type: Cow<'static, str>,
    /// Other header fields.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
}

/// What follows the head.
#[derive(Debug)]
pub enum Body {
    /// What is known once somebody has looked.
    Discovery(Box<Waiting>),
    /// All of it.
    Full(Vec<u8>),
    /// Nodes and edges.
    Graph(Box<GraphText>),
    /// Rows of a table.
    Rows(Box<Rows>),
    /// The answer to a query that has yet to be run.
    Query(Box<Run>, Output),
}

/// In which form the answer to a query is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output {
    /// A drawing in the language of Graphviz.
    Dot,
    /// As JSON.
    Json,
    /// A capture file.
    Pcap,
}

impl Response {
    /// An answer with this body.
    #[must_use]
    pub fn new(status: u16, content_type: impl Into<Cow<'static, str>>, body: Body) -> Self {
        Self { status, content_type: content_type.into(), headers: Vec::new(), body }
    }

    /// A JSON text. It ends with a newline, as Skydive's do.
    #[must_use]
    pub fn json(status: u16, mut body: Vec<u8>) -> Self {
        body.push(b'\n');
        Self::new(status, JSON, Body::Full(body))
    }

    /// A refusal, or a remark: one line of text. It may say again what the client said, and ends
    /// on a terminal: nothing hidden is in it.
    #[must_use]
    pub fn text(status: u16, text: &str) -> Self {
        Self::new(status, TEXT, Body::Full(format!("{}\n", plain(text)).into_bytes()))
    }

    /// Nothing but a status.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self::new(status, TEXT, Body::Full(Vec::new()))
    }

    /// The answer with one more header field. A value that would end the field is not sent.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.contains(['\r', '\n', '\0']) {
            self.headers.push((name, value));
        }
        self
    }
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// In chunks.
    Chunked,
    /// The connection closes: HTTP/1.0 knows no chunks.
    Close,
    /// After so many octets.
    Length(usize),
    /// There is neither body nor length, as after 101 and 204.
    None,
}

/// Fields of every answer: no page frames it, guesses its type, or is told of it.
const ALWAYS: &str = "X-Content-Type-Options: nosniff\r\n\
    Referrer-Policy: no-referrer\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\n\
    Content-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n\
    X-Frame-Options: DENY\r\n\
    Cache-Control: no-store\r\n";

/// Appends the head of an answer.
pub fn head(out: &mut Vec<u8>, response: &Response, end: End, keep: bool, now: Wall) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    let _ = write!(out, "Date: {}\r\n", now.imf_date());
    if response.status != 101 {
        let _ = write!(out, "Content-Type: {}\r\n", response.content_type);
        out.extend_from_slice(ALWAYS.as_bytes());
        out.extend_from_slice(if keep {
            b"Connection: keep-alive\r\n"
        } else {
            b"Connection: close\r\n"
        });
    }
    for (name, value) in &response.headers {
        let _ = write!(out, "{name}: {value}\r\n");
    }
    let _ = match end {
        End::Chunked => out.write_all(b"Transfer-Encoding: chunked\r\n"),
        End::Length(length) => write!(out, "Content-Length: {length}\r\n"),
        End::Close | End::None => Ok(()),
    };
    out.extend_from_slice(b"\r\n");
}

/// Appends a chunk; an empty piece is none, since that would end the body.
pub fn chunk(out: &mut Vec<u8>, piece: &[u8]) {
    if !piece.is_empty() {
        // At once: the end alone would double what is there.
        out.reserve(piece.len().saturating_add(CHUNK_FRAME));
        let _ = write!(out, "{:x}\r\n", piece.len());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
    }
}

/// Octets around a chunk at most: its length in digits, and two ends of a line.
const CHUNK_FRAME: usize = 20;

/// What ends a body in chunks.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// The words that go with a status.
#[must_use]
pub const fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Status",
    }
}
