//! The bytes of a capture file, plain or unpacked, in large contiguous pieces.

use std::io::{self, Read};

use super::gzip::Gzip;
use super::{Error, MAX_BLOCK};
use crate::wire::gzip::MAGIC;

/// Bytes read at a time; the buffer holds as many until a record is longer.
const PIECE: usize = 256 * 1024;

/// Longest run of bytes that can be asked for: a block and a header.
const MAX_WANT: usize = MAX_BLOCK + 64;

/// A buffer in front of a reader. What it handed out last stays in place until more is wanted.
#[derive(Debug)]
pub(super) struct Input<R> {
    source: Source<R>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes taken, counted behind the unpacking.
    taken: u64,
    /// Bytes read, counted before the unpacking.
    read: u64,
    ended: bool,
    failure: Option<Error>,
}

/// Where in the buffer and in the file an [`Input`] is.
pub(super) struct Step<'a> {
    start: &'a mut usize,
    taken: &'a mut u64,
}

impl Step<'_> {
    /// Steps over bytes that are in the buffer.
    #[inline]
    pub(super) fn over(self, len: usize) {
        *self.start = self.start.saturating_add(len);
        *self.taken = self.taken.saturating_add(len as u64);
    }
}

#[derive(Debug)]
enum Source<R> {
    Gzip(Box<Gzip<R>>),
    Plain(R),
}

impl<R: Read> Input<R> {
    /// Looks at the first bytes to see whether they are packed. A failure to read is kept for
    /// [`Self::failure`].
    pub(super) fn open(reader: R) -> Self {
        let mut input = Self {
            source: Source::Plain(reader),
            buffer: vec![0; PIECE],
            start: 0,
            end: 0,
            taken: 0,
            read: 0,
            ended: false,
            failure: None,
        };
        if !input.want(MAGIC.len()).starts_with(&MAGIC) {
            return input;
        }
        let Source::Plain(reader) = input.source else {
            return input;
        };
        let gzip = Gzip::new(reader, input.buffer, input.end);
        Self { source: Source::Gzip(Box::new(gzip)), buffer: vec![0; PIECE], end: 0, ..input }
    }

    /// At least `need` bytes from here on, or all that are left.
    #[inline]
    pub(super) fn want(&mut self, need: usize) -> &[u8] {
        if self.end.saturating_sub(self.start) < need {
            self.refill(need);
        }
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// What is in the buffer.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Steps over `len` bytes that were seen before; returns where they lie.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> usize {
        let at = self.start;
        self.start = at.saturating_add(len).min(self.end);
        self.taken = self.taken.saturating_add(len as u64);
        at
    }

    /// Bytes that [`Self::take`] stepped over, before anything else is wanted.
    #[inline]
    pub(super) fn taken_bytes(&self, at: usize, len: usize) -> &[u8] {
        at.checked_add(len).and_then(|end| self.buffer.get(at..end)).unwrap_or_default()
    }

    /// Bytes from a place on that were stepped over, those behind them that were not, and how to
    /// step over more without giving them back.
    #[inline]
    pub(super) fn parts(&mut self, at: usize) -> (&[u8], &[u8], Step<'_>) {
        let (taken, rest) = self
            .buffer
            .get(..self.end)
            .and_then(|bytes| bytes.split_at_checked(self.start))
            .unwrap_or_default();
        let step = Step { start: &mut self.start, taken: &mut self.taken };
        (taken.get(at..).unwrap_or_default(), rest, step)
    }

    /// Bytes stepped over so far.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes of the file used up so far.
    pub(super) fn consumed(&self) -> u64 {
        match &self.source {
            Source::Gzip(gzip) => gzip.consumed(),
            Source::Plain(_) => {
                self.read.saturating_sub(self.end.saturating_sub(self.start) as u64)
            }
        }
    }

    /// Why the bytes ended before the file did.
    pub(super) const fn failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    #[cold]
    fn refill(&mut self, need: usize) {
        let need = need.min(MAX_WANT);
        if self.buffer.len().saturating_sub(self.start) < need {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        while self.end.saturating_sub(self.start) < need && !self.ended {
            if self.end == self.buffer.len() {
                // It is full of bytes that arrived; a length field alone makes nothing grow.
                let larger = self.buffer.len().saturating_mul(2).min(MAX_WANT);
                self.buffer.resize(larger, 0);
            }
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            let got = match &mut self.source {
                Source::Gzip(gzip) => gzip.read(room),
                Source::Plain(reader) => read_some(reader, room)
                    .inspect(|len| self.read = self.read.saturating_add(*len as u64))
                    .map_err(Error::Io),
            };
            match got {
                Ok(0) => self.ended = true,
                Ok(len) => self.end = self.end.saturating_add(len).min(self.buffer.len()),
                Err(error) => {
                    self.failure = Some(error);
                    self.ended = true;
                }
            }
        }
    }
}

/// Reads what is there, past interruptions.
pub(super) fn read_some(reader: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(room) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
