//! Unpacks gzip members one after the other while a file is read.

use std::fmt;
use std::io::Read;

use miniz_oxide::inflate::stream::{InflateState, MinReset, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::Error;
use super::input::read_some;
use crate::wire::gzip::{self, Crc32, TRAILER_LEN};

/// A reader of packed bytes, and how far it is.
pub(super) struct Gzip<R> {
    reader: R,
    raw: Vec<u8>,
    at: usize,
    end: usize,
    ended: bool,
    consumed: u64,
    place: Place,
    inflate: Box<InflateState>,
    checksum: Crc32,
    /// Length of the member so far, modulo 2^32.
    len: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Header,
    Body,
    Trailer,
    /// Behind a member: the end, padding, or another member.
    Between,
}

/// What is wrong with packed bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Damage {
    /// The checksum of a member is not that of its content.
    Checksum,
    /// They stop in the middle of a member.
    Cut,
    /// Not a deflate stream.
    Deflate,
    /// A member's header is not one, or is too long to be one.
    Header,
    /// The length of a member is not that of its content.
    Length,
    /// Something other than a member follows a member.
    Trailing,
}

impl<R: Read> Gzip<R> {
    /// Unpacks `raw`, of which the first `end` bytes are filled, and what `reader` gives then.
    pub(super) fn new(reader: R, raw: Vec<u8>, end: usize) -> Self {
        Self {
            reader,
            raw,
            at: 0,
            end,
            ended: false,
            consumed: 0,
            place: Place::Header,
            inflate: InflateState::new_boxed(DataFormat::Raw),
            checksum: Crc32::new(),
            len: 0,
        }
    }

    /// Unpacks into `room`; 0 at the end.
    pub(super) fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        loop {
            match self.place {
                Place::Header => self.header()?,
                Place::Body => {
                    let len = self.body(room)?;
                    if len > 0 {
                        return Ok(len);
                    }
                }
                Place::Trailer => self.trailer()?,
                Place::Between => {
                    if self.is_at_end()? {
                        return Ok(0);
                    }
                }
            }
        }
    }

    /// Packed bytes used up so far.
    pub(super) const fn consumed(&self) -> u64 {
        self.consumed
    }

    fn header(&mut self) -> Result<(), Error> {
        loop {
            match gzip::header_len(self.waiting()) {
                Ok(len) => {
                    self.step(len);
                    self.inflate.reset_as(MinReset);
                    self.checksum = Crc32::new();
                    self.len = 0;
                    self.place = Place::Body;
                    return Ok(());
                }
                Err(gzip::Error::Malformed) => return Err(self.damage(Damage::Header)),
                Err(gzip::Error::Incomplete) if self.waiting().len() == self.raw.len() => {
                    return Err(self.damage(Damage::Header));
                }
                Err(gzip::Error::Incomplete) => self.more()?,
            }
        }
    }

    fn body(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        if self.waiting().is_empty() && !self.ended {
            self.fetch()?;
        }
        let packed = self.raw.get(self.at..self.end).unwrap_or_default();
        let result = inflate(&mut self.inflate, packed, room, MZFlush::None);
        self.step(result.bytes_consumed);
        let written = room.get(..result.bytes_written).unwrap_or_default();
        self.checksum.update(written);
        let [len @ .., _, _, _, _] = (written.len() as u64).to_le_bytes();
        self.len = self.len.wrapping_add(u32::from_le_bytes(len));
        let written = written.len();
        match result.status {
            Ok(MZStatus::StreamEnd) => self.place = Place::Trailer,
            // What came before the damage is given first; the next call fails again.
            _ if written > 0 => {}
            Ok(_) | Err(MZError::Buf) if self.waiting().is_empty() => {
                if self.ended {
                    return Err(self.damage(Damage::Cut));
                }
            }
            Ok(_) if result.bytes_consumed > 0 => {}
            _ => return Err(self.damage(Damage::Deflate)),
        }
        Ok(written)
    }

    fn trailer(&mut self) -> Result<(), Error> {
        let trailer = loop {
            match self.waiting().first_chunk::<TRAILER_LEN>() {
                Some(trailer) => break *trailer,
                None => self.more()?,
            }
        };
        self.step(TRAILER_LEN);
        self.place = Place::Between;
        let [c0, c1, c2, c3, l0, l1, l2, l3] = trailer;
        if u32::from_le_bytes([c0, c1, c2, c3]) != self.checksum.value() {
            return Err(self.damage(Damage::Checksum));
        }
        if u32::from_le_bytes([l0, l1, l2, l3]) != self.len {
            return Err(self.damage(Damage::Length));
        }
        Ok(())
    }

    /// Whether nothing but padding is left; otherwise another member begins here.
    fn is_at_end(&mut self) -> Result<bool, Error> {
        loop {
            let zeros = self.waiting().iter().take_while(|byte| **byte == 0).count();
            self.step(zeros);
            match self.waiting().first() {
                Some(first) if gzip::MAGIC.first() == Some(first) => {
                    self.place = Place::Header;
                    return Ok(false);
                }
                Some(_) => return Err(self.damage(Damage::Trailing)),
                None if self.ended => return Ok(true),
                None => self.fetch()?,
            }
        }
    }

    /// Reads more behind what is waiting; the end here is in the middle of something.
    fn more(&mut self) -> Result<(), Error> {
        self.fetch()?;
        if self.ended { Err(self.damage(Damage::Cut)) } else { Ok(()) }
    }

    fn fetch(&mut self) -> Result<(), Error> {
        self.raw.copy_within(self.at..self.end, 0);
        self.end = self.end.saturating_sub(self.at);
        self.at = 0;
        let room = self.raw.get_mut(self.end..).unwrap_or_default();
        let len = read_some(&mut self.reader, room).map_err(Error::Io)?;
        self.ended = len == 0;
        self.end = self.end.saturating_add(len).min(self.raw.len());
        Ok(())
    }

    fn waiting(&self) -> &[u8] {
        self.raw.get(self.at..self.end).unwrap_or_default()
    }

    fn step(&mut self, len: usize) {
        self.at = self.at.saturating_add(len).min(self.end);
        self.consumed = self.consumed.saturating_add(len as u64);
    }

    const fn damage(&self, damage: Damage) -> Error {
        Error::Packed { offset: self.consumed, damage }
    }
}

impl<R> fmt::Debug for Gzip<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gzip").field("consumed", &self.consumed).finish_non_exhaustive()
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checksum => "the checksum is wrong",
            Self::Cut => "the file ends too early",
            Self::Deflate => "not a deflate stream",
            Self::Header => "not a member header",
            Self::Length => "the length is wrong",
            Self::Trailing => "something else follows the last member",
        })
    }
}
