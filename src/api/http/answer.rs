//! An answer under way: its head, then its body in pieces as there is room for them.

use super::discovery::{Document, Waiting};
use super::graph::GraphText;
use super::handlers;
use super::head::{Method, Request};
use super::listing::Text as Rows;
use super::response::{self, Body, End, LAST_CHUNK, Output, Response};
use crate::api::Outbox;
use crate::core::Agent;
use crate::query::Run;

/// Octets that are made at a time: who waits for much must not hold up who waits for little.
pub(super) const PIECE: usize = 16 * 1024;

/// No more is made while so many octets wait to be sent.
pub(super) const MARK: usize = 64 * 1024;

/// An answer under way.
#[derive(Debug)]
pub(super) struct Answer {
    source: Source,
    /// Made, and not yet handed on from `at`.
    piece: Vec<u8>,
    at: usize,
    chunked: bool,
    /// The request wants the head alone.
    silent: bool,
    /// HTTP/1.1: it may come in chunks.
    is_11: bool,
    keep: bool,
}

#[derive(Debug)]
enum Source {
    /// What is known of this machine.
    Document(Box<Document>),
    /// What has yet to be found out, and the head that goes before it.
    Expected(Box<Waiting>, Box<Response>),
    Graph(Box<GraphText>),
    Nothing,
    Query(Box<Run>, Output),
    Rows(Box<Rows>),
    /// A query that has yet to find its answer, and the head that goes before that.
    Waiting(Box<Run>, Output, Box<Response>),
}

impl Answer {
    /// Begins the answer to a request; after it the connection stays open if `keep`.
    pub(super) fn new(response: Response, request: &Request, keep: bool, agent: &Agent) -> Self {
        let mut answer = Self {
            source: Source::Nothing,
            piece: Vec::new(),
            at: 0,
            chunked: false,
            silent: request.method == Method::Head,
            is_11: request.is_11,
            keep,
        };
        answer.begin(response, agent);
        answer
    }

    /// One that ends the connection, where there was no request to speak of.
    pub(super) fn last(response: Response, agent: &Agent) -> Self {
        let mut answer = Self {
            source: Source::Nothing,
            piece: Vec::new(),
            at: 0,
            chunked: false,
            silent: false,
            is_11: true,
            keep: false,
        };
        answer.begin(response, agent);
        answer
    }

    /// One that was made elsewhere and ends the connection.
    pub(super) const fn made(piece: Vec<u8>) -> Self {
        Self {
            source: Source::Nothing,
            piece,
            at: 0,
            chunked: false,
            silent: true,
            is_11: true,
            keep: false,
        }
    }

    /// Whether the connection stays open afterwards.
    pub(super) const fn keeps(&self) -> bool {
        self.keep
    }

    /// Whether it waits for somebody else: there is no use in moving it on.
    pub(super) fn waits(&self) -> bool {
        match &self.source {
            Source::Expected(waiting, _) => !waiting.is_over(),
            _ => false,
        }
    }

    /// Whether it begins only when somebody else has done something.
    pub(super) const fn is_expected(&self) -> bool {
        matches!(self.source, Source::Expected(..))
    }

    /// Octets of memory for what is made and waits.
    pub(super) const fn held(&self) -> usize {
        self.piece.capacity()
    }

    /// Makes more and hands it on; `true` once all is handed on. Stops after one stretch of work,
    /// or when enough waits to be sent.
    pub(super) fn advance(&mut self, agent: &Agent, out: &mut Outbox) -> bool {
        let mut made_some = false;
        loop {
            let rest = self.piece.get(self.at..).unwrap_or_default();
            if !rest.is_empty() {
                let room = MARK.saturating_sub(out.pending().len()).min(out.room());
                let part = rest.get(..room).unwrap_or(rest);
                if part.is_empty() || !out.push(|bytes| bytes.extend_from_slice(part)) {
                    return false;
                }
                self.at = self.at.saturating_add(part.len());
                continue;
            }
            self.piece.clear();
            self.at = 0;
            match &mut self.source {
                Source::Nothing => return true,
                Source::Waiting(..) => {
                    if !self.look(agent) {
                        return false;
                    }
                }
                Source::Expected(..) => {
                    if !self.receive(agent) {
                        return false;
                    }
                }
                Source::Document(_) | Source::Graph(_) | Source::Query(..) | Source::Rows(_) => {
                    if std::mem::replace(&mut made_some, true) {
                        return false;
                    }
                    let mut made = Vec::new();
                    if !self.make(agent, &mut made) {
                        self.source = Source::Nothing;
                    }
                    self.add(&made);
                    if matches!(self.source, Source::Nothing) && self.chunked {
                        self.piece.extend_from_slice(LAST_CHUNK);
                    }
                }
            }
        }
    }

    fn begin(&mut self, mut response: Response, agent: &Agent) {
        match std::mem::replace(&mut response.body, Body::Full(Vec::new())) {
            Body::Full(bytes) => {
                let bare = matches!(response.status, 101 | 204 | 304);
                let end = if bare { End::None } else { End::Length(bytes.len()) };
                self.head(&response, end, agent);
                if !bare {
                    self.add(&bytes);
                }
            }
            Body::Discovery(waiting) => {
                self.source = Source::Expected(waiting, Box::new(response));
            }
            Body::Rows(text) => self.stream(&response, Source::Rows(text), agent),
            Body::Graph(text) => self.stream(&response, Source::Graph(text), agent),
            Body::Query(run, output) => {
                self.source = Source::Waiting(run, output, Box::new(response));
            }
        }
    }

    /// Begins a body whose length nobody knows yet; a small one is made whole and has one.
    fn stream(&mut self, response: &Response, source: Source, agent: &Agent) {
        self.source = source;
        let mut made = Vec::new();
        if !self.make(agent, &mut made) {
            self.source = Source::Nothing;
            self.head(response, End::Length(made.len()), agent);
            return self.add(&made);
        }
        self.chunked = self.is_11;
        self.keep &= self.is_11;
        self.head(response, if self.is_11 { End::Chunked } else { End::Close }, agent);
        if self.silent {
            self.source = Source::Nothing;
        }
        self.add(&made);
    }

    /// Makes the next piece of the body; `false` if it is the last.
    fn make(&mut self, agent: &Agent, made: &mut Vec<u8>) -> bool {
        let more = match &mut self.source {
            Source::Document(text) => text.write(made, PIECE),
            Source::Graph(text) => text.write(made, PIECE),
            Source::Rows(text) => text.write(agent, made, PIECE),
            Source::Query(run, Output::Json) => agent.write_query(run, made, PIECE),
            Source::Query(run, Output::Dot) => return run.write_dot(made, PIECE),
            Source::Query(run, Output::Pcap) => return run.write_pcap(&agent.world(), made, PIECE),
            Source::Expected(..) | Source::Nothing | Source::Waiting(..) => return false,
        };
        if !more {
            // JSON texts end with a newline, as Skydive's do.
            made.push(b'\n');
        }
        more
    }

    /// Takes what was waited for; `false` while it is not there.
    fn receive(&mut self, agent: &Agent) -> bool {
        let Source::Expected(waiting, _) = &mut self.source else { return true };
        let Some(taken) = waiting.take() else { return false };
        let source = std::mem::replace(&mut self.source, Source::Nothing);
        let Source::Expected(_, response) = source else { return true };
        match taken {
            Ok(document) => self.stream(&response, Source::Document(document), agent),
            Err(mut other) => {
                other.headers.extend(response.headers);
                self.begin(other, agent);
            }
        }
        true
    }

    /// Lets the query look at more; `true` once the head is known.
    fn look(&mut self, agent: &Agent) -> bool {
        let Source::Waiting(run, ..) = &mut self.source else { return true };
        let looked = agent.advance_query(run);
        if matches!(looked, Ok(false)) {
            return false;
        }
        let source = std::mem::replace(&mut self.source, Source::Nothing);
        let Source::Waiting(run, output, response) = source else { return true };
        let refused = match (looked, output) {
            (Err(error), _) => Some(handlers::failure(&error)),
            (_, Output::Dot) if !run.is_graph() => Some(Response::text(
                406,
                "Error while encoding response: Only graph can be outputted as dot",
            )),
            (_, Output::Pcap) if !run.is_packets() => Some(Response::text(
                406,
                "Error while encoding response: Only RawPackets step result can be outputted as pcap",
            )),
            _ => None,
        };
        match refused {
            Some(mut refused) => {
                refused.headers.extend(response.headers.clone());
                self.begin(refused, agent);
            }
            None => self.stream(&response, Source::Query(run, output), agent),
        }
        true
    }

    fn head(&mut self, response: &Response, end: End, agent: &Agent) {
        response::head(&mut self.piece, response, end, self.keep, agent.clock().wall);
    }

    fn add(&mut self, made: &[u8]) {
        if self.silent {
            return;
        }
        if self.chunked {
            response::chunk(&mut self.piece, made);
        } else {
            self.piece.extend_from_slice(made);
        }
    }
}
