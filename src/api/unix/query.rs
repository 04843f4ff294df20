//! The answer of a query on the Unix socket: moved on in slices, then written in pieces.

use crate::api::Outbox;
use crate::api::json::Indent;
use crate::core::Agent;
use crate::query::{Error, Run};

use super::reply;

/// Octets of an answer that are made at a time.
const PIECE: usize = 16 * 1024;

/// A query under way.
#[derive(Debug)]
pub(super) struct Asked {
    run: Box<Run>,
    indent: Option<Indent>,
    stage: Stage,
    /// What is made and not yet taken, from the place on.
    piece: (Vec<u8>, usize),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Work,
    Write,
    Done,
}

impl Asked {
    pub(super) fn new(run: Box<Run>, pretty: bool) -> Self {
        let indent = pretty.then(Indent::default);
        Self { run, indent, stage: Stage::Work, piece: (Vec::new(), 0) }
    }

    pub(super) const fn is_pretty(&self) -> bool {
        self.indent.is_some()
    }

    /// Goes on by a slice; `true` once all is written.
    pub(super) fn advance(&mut self, agent: &Agent, out: &mut Outbox) -> Result<bool, Error> {
        if self.stage == Stage::Work {
            if !agent.advance_query(&mut self.run)? {
                return Ok(false);
            }
            self.stage = Stage::Write;
            let mut head = Vec::new();
            reply::begin(&mut head, reply::DONE);
            head.extend_from_slice(b",\"data\":");
            self.make(&head);
        }
        if !self.flush(out) {
            return Ok(false);
        }
        if self.stage == Stage::Write {
            let mut compact = Vec::with_capacity(PIECE);
            if !agent.write_query(&mut self.run, &mut compact, PIECE) {
                reply::end(&mut compact, "Ok.");
                self.stage = Stage::Done;
            }
            self.make(&compact);
        }
        Ok(self.flush(out) && self.stage == Stage::Done)
    }

    fn make(&mut self, compact: &[u8]) {
        let (bytes, at) = &mut self.piece;
        if *at == bytes.len() {
            bytes.clear();
            *at = 0;
        }
        match &mut self.indent {
            Some(indent) => indent.write(bytes, compact),
            None => bytes.extend_from_slice(compact),
        }
    }

    /// Hands over what there is room for, however large an item is; `true` if that was all.
    fn flush(&mut self, out: &mut Outbox) -> bool {
        let (bytes, at) = &mut self.piece;
        let rest = bytes.get(*at..).unwrap_or_default();
        let fits = rest.get(..out.room()).unwrap_or(rest);
        if out.push(|b| b.extend_from_slice(fits)) {
            *at = at.saturating_add(fits.len());
        }
        *at == bytes.len()
    }
}
