//! Capture files as a source of frames: pcap and pcapng, plain or gzipped, from anything that can
//! be read.
//!
//! Frames borrow the read buffer. A damaged file yields every packet before the damage and then
//! an [`Error`] that says where and what it is.

use std::fmt;
use std::io::{self, Read};

use super::{Direction, Frame};
use crate::time::Tick;
use crate::wire::link::LinkType;
use crate::wire::order::Order;
use crate::wire::pcap::{FILE_HEADER_LEN, FileHeader};
use crate::wire::pcapng::{self, Clock, Packet, block};

mod gzip;
mod input;

pub use gzip::Damage as PackedDamage;
use input::Input;

/// Longest record or block that is read; a longer one ends the file with an error.
pub const MAX_BLOCK: usize = 16 * 1024 * 1024;

/// Interfaces of all sections of a file together; one more ends the file with an error.
pub const MAX_INTERFACES: usize = 4096;

/// Packets handed out at once at most.
pub const BATCH: usize = 32;

/// A capture file being read.
#[derive(Debug)]
pub struct Reader<R> {
    input: Input<R>,
    format: Format,
    interfaces: Vec<Interface>,
    packets: u64,
    finished: bool,
}

/// An interface of a capture file.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name as far as the file says; made valid UTF-8, at most 255 bytes of the original.
    pub name: Box<str>,
    /// What its packets hold.
    pub link: LinkType,
    /// Longest capture it made, 0 if not limited.
    pub snaplen: u32,
    clock: Clock,
}

/// Why reading ended before the end of the file, or did not begin.
#[derive(Debug)]
pub enum Error {
    /// A record or block can't be read.
    Damaged {
        /// The number that the packet there would have had, counted from 1.
        packet: u64,
        /// Where the record or block starts, in the unpacked bytes.
        offset: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// There are no bytes.
    Empty,
    /// Reading failed.
    Io(io::Error),
    /// The gzip layer can't be read.
    Packed {
        /// Where, in the bytes of the file.
        offset: u64,
        /// What is wrong there.
        damage: PackedDamage,
    },
    /// Neither pcap nor pcapng.
    Unrecognised,
}

/// What is wrong with a record or block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Damage {
    /// A block gives one length at its start and another at its end.
    BlockEnds {
        /// At its start.
        first: u32,
        /// At its end.
        last: u32,
    },
    /// A block length that is below the least, or no multiple of 4.
    BlockLength(u32),
    /// A record says that more was captured than it, the snap length or the reader has room for.
    Captured {
        /// Captured bytes.
        len: u32,
        /// How many there can be.
        limit: u32,
    },
    /// The file ends inside it.
    Cut {
        /// Its bytes.
        need: u32,
        /// How many there are.
        have: u32,
    },
    /// A packet of an interface that was not described.
    Interface(u32),
    /// A section header with neither byte order's magic number.
    SectionMagic,
    /// A block that is longer than [`MAX_BLOCK`].
    TooLong(u32),
    /// More than [`MAX_INTERFACES`] interfaces.
    TooManyInterfaces,
    /// A section of another major version than 1.
    Version(u16),
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Pcap(FileHeader),
    Pcapng {
        order: Order,
        /// Index of the section's first interface.
        first: usize,
        /// The time of the packet before, which a simple packet block inherits.
        last: Tick,
    },
}

/// A packet that lies in the buffer.
#[derive(Clone, Copy)]
struct Found {
    at: usize,
    len: usize,
    ts: Tick,
    iface: u16,
    link: LinkType,
    direction: Direction,
    original: u32,
}

impl Found {
    #[inline]
    fn frame<'a>(&self, data: &'a [u8]) -> Frame<'a> {
        Frame {
            ts: self.ts,
            iface: self.iface,
            link: self.link,
            direction: self.direction,
            vlan: None,
            wire_len: self.original.max(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            data,
        }
    }
}

impl<R: Read> Reader<R> {
    /// Looks at the start of a file.
    ///
    /// # Errors
    /// If it is empty, can't be read or is no capture file.
    pub fn open(reader: R) -> Result<Self, Error> {
        let mut input = Input::open(reader);
        let start = input.want(FILE_HEADER_LEN);
        let have = start.len().min(FILE_HEADER_LEN);
        let magic = start.first_chunk().copied();
        let mut header = [0; FILE_HEADER_LEN];
        for (to, from) in header.iter_mut().zip(start) {
            *to = *from;
        }
        let header = FileHeader::parse(&header);
        let mut interfaces = Vec::new();
        let format = if let Some(header) = header {
            if have < FILE_HEADER_LEN {
                let damage = Damage::Cut { need: FILE_HEADER_LEN as u32, have: have as u32 };
                let cut = Error::Damaged { packet: 1, offset: 0, damage };
                return Err(input.failure().unwrap_or(cut));
            }
            interfaces.push(Interface {
                name: Box::default(),
                link: header.link,
                snaplen: header.snaplen,
                clock: Clock::default(),
            });
            input.take(FILE_HEADER_LEN);
            Format::Pcap(header)
        } else if magic.map(u32::from_be_bytes) == Some(block::SECTION) {
            // The first block is a section header, which sets these.
            Format::Pcapng { order: Order::Little, first: 0, last: Tick(0) }
        } else if let Some(error) = input.failure() {
            return Err(error);
        } else if have == 0 {
            return Err(Error::Empty);
        } else {
            return Err(Error::Unrecognised);
        };
        Ok(Self { input, format, interfaces, packets: 0, finished: false })
    }

    /// The next packet; `None` at the end, and for good after an error.
    ///
    /// # Errors
    /// Where the file can't be read any further.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, Error> {
        let mut room = [Frame::EMPTY];
        let count = self.next_frames(&mut room)?;
        let [frame] = room;
        Ok((count > 0).then_some(frame))
    }

    /// The next packets: as many of them as were read from the file together, fit and are at
    /// most [`BATCH`]. None at the end, and for good after an error.
    ///
    /// # Errors
    /// Where the file can't be read any further; the packets before that came before.
    #[inline]
    pub fn next_frames<'a>(&'a mut self, room: &mut [Frame<'a>]) -> Result<usize, Error> {
        if let Format::Pcap(header) = self.format {
            return self.next_records(&header, room);
        }
        let mut batch = [const { None }; BATCH];
        let mut count = 0_usize;
        for place in batch.iter_mut().take(room.len()) {
            // Whatever has to be read first would move those that were found.
            if self.finished || count > 0 && !self.is_at_hand() {
                break;
            }
            match self.find_block() {
                Ok(found @ Some(_)) => *place = found,
                // Found again by the next call.
                Err(_) if count > 0 => break,
                Ok(None) => {
                    self.finished = true;
                    break;
                }
                Err(error) => {
                    self.finished = true;
                    return Err(error);
                }
            }
            self.packets = self.packets.saturating_add(1);
            count = count.saturating_add(1);
        }
        for (frame, found) in room.iter_mut().zip(batch.iter().flatten()) {
            *frame = found.frame(self.input.taken_bytes(found.at, found.len));
        }
        Ok(count)
    }

    /// [`Self::next_frames`] of pcap, whose records need but a look at each.
    #[inline]
    fn next_records<'a>(
        &'a mut self,
        header: &FileHeader,
        room: &mut [Frame<'a>],
    ) -> Result<usize, Error> {
        if self.finished || room.is_empty() {
            return Ok(0);
        }
        // For the first one more may have to be read; the others have to lie behind it.
        let found = self.find_record(header).inspect_err(|_| self.finished = true)?;
        let Some(first) = found else {
            self.finished = true;
            return Ok(0);
        };
        let (taken, rest, step) = self.input.parts(first.at);
        let limit = captured_limit(header.snaplen);
        let (mut left, mut count) = (rest, 0_usize);
        for place in room.iter_mut().take(BATCH) {
            if count == 0 {
                *place = first.frame(taken.get(..first.len).unwrap_or_default());
                count = 1;
                continue;
            }
            let Some(head) = left.first_chunk() else { break };
            let record = header.record(head);
            // At most 16 MiB, so it fits.
            let len = record.captured as usize;
            let whole = header.record_header_len.saturating_add(len);
            if record.captured > limit {
                break;
            }
            let Some((this, behind)) = left.split_at_checked(whole) else { break };
            *place = Frame {
                ts: Tick(record.micros),
                link: header.link,
                wire_len: record.original.max(record.captured),
                data: this.get(header.record_header_len..).unwrap_or_default(),
                ..Frame::EMPTY
            };
            left = behind;
            count = count.saturating_add(1);
        }
        step.over(rest.len().saturating_sub(left.len()));
        self.packets = self.packets.saturating_add(count as u64);
        Ok(count)
    }

    /// Packets read so far.
    #[must_use]
    pub const fn packets(&self) -> u64 {
        self.packets
    }

    /// Bytes of the file used up so far, packed ones if it is gzipped.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.input.consumed()
    }

    /// The interfaces described so far, those of later sections behind those of earlier ones.
    #[must_use]
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Whether a block with a packet comes next, and the buffer holds all of it.
    #[inline]
    fn is_at_hand(&self) -> bool {
        let bytes = self.input.rest();
        let Format::Pcapng { order, .. } = self.format else { return false };
        let len = bytes.first_chunk().and_then(|head| {
            let [k0, k1, k2, k3, l0, l1, l2, l3] = *head;
            let kind = order.u32([k0, k1, k2, k3]);
            let packets = [block::ENHANCED_PACKET, block::PACKET, block::SIMPLE_PACKET];
            packets.contains(&kind).then(|| order.u32([l0, l1, l2, l3]) as usize)
        });
        // The smallest block that find_block() looks at is of 12 bytes.
        len.is_some_and(|len| bytes.len() >= len.max(12))
    }

    #[inline]
    fn find_record(&mut self, header: &FileHeader) -> Result<Option<Found>, Error> {
        let header_len = header.record_header_len;
        let bytes = self.input.want(header_len);
        let (Some(record), true) = (bytes.first_chunk(), bytes.len() >= header_len) else {
            let have = bytes.len();
            return self.end(header_len, have);
        };
        let record = header.record(record);
        let limit = captured_limit(header.snaplen);
        if record.captured > limit {
            return Err(self.damaged(Damage::Captured { len: record.captured, limit }));
        }
        // At most 16 MiB, so it fits.
        let len = record.captured as usize;
        let whole = header_len.saturating_add(len);
        let have = self.input.want(whole).len();
        if have < whole {
            return self.end(whole, have);
        }
        let at = self.input.take(whole).saturating_add(header_len);
        Ok(Some(Found {
            at,
            len,
            ts: Tick(record.micros),
            iface: 0,
            link: header.link,
            direction: Direction::Unknown,
            original: record.original,
        }))
    }

    /// Reads blocks up to the next one with a packet.
    fn find_block(&mut self) -> Result<Option<Found>, Error> {
        loop {
            let Format::Pcapng { mut order, first, last } = self.format else {
                return Ok(None);
            };
            let head = self.input.want(12);
            let Some([k0, k1, k2, k3, l0, l1, l2, l3, magic @ ..]) = head.first_chunk::<12>()
            else {
                let have = head.len();
                return self.end(12, have);
            };
            let kind = order.u32([*k0, *k1, *k2, *k3]);
            if kind == block::SECTION {
                order = match pcapng::section_order(*magic) {
                    Some(order) => order,
                    None if self.input.taken() == 0 => return Err(Error::Unrecognised),
                    None => return Err(self.damaged(Damage::SectionMagic)),
                };
            }
            let len = order.u32([*l0, *l1, *l2, *l3]);
            let least = if kind == block::SECTION { 28 } else { 12 };
            if len < least || len % 4 != 0 {
                return Err(self.damaged(Damage::BlockLength(len)));
            }
            let whole = usize::try_from(len).ok().filter(|whole| *whole <= MAX_BLOCK);
            let Some(whole) = whole else {
                return Err(self.damaged(Damage::TooLong(len)));
            };
            let bytes = self.input.want(whole);
            let Some((body, end)) = bytes.get(8..whole).and_then(<[u8]>::split_last_chunk) else {
                let have = bytes.len();
                return self.end(whole, have);
            };
            let end = order.u32(*end);
            if end != len {
                return Err(self.damaged(Damage::BlockEnds { first: len, last: end }));
            }
            let packet = match kind {
                block::ENHANCED_PACKET => Packet::enhanced(order, body),
                block::PACKET => Packet::obsolete(order, body),
                block::SIMPLE_PACKET => {
                    let snaplen = self.interfaces.get(first).map_or(0, |first| first.snaplen);
                    Packet::simple(order, body, snaplen)
                }
                block::SECTION => {
                    let major = body.get(4..).and_then(<[u8]>::first_chunk).copied();
                    let major = order.u16(major.unwrap_or_default());
                    if major != 1 {
                        return Err(self.damaged(Damage::Version(major)));
                    }
                    let first = self.interfaces.len();
                    self.format = Format::Pcapng { order, first, last };
                    self.input.take(whole);
                    continue;
                }
                block::INTERFACE => {
                    let Some(interface) = pcapng::Interface::parse(order, body) else {
                        return Err(self.damaged(Damage::BlockLength(len)));
                    };
                    if self.interfaces.len() == MAX_INTERFACES {
                        return Err(self.damaged(Damage::TooManyInterfaces));
                    }
                    self.interfaces.push(Interface {
                        name: String::from_utf8_lossy(interface.name).into(),
                        link: interface.link,
                        snaplen: interface.snaplen,
                        clock: interface.clock,
                    });
                    self.input.take(whole);
                    continue;
                }
                _ => {
                    self.input.take(whole);
                    continue;
                }
            };
            let Some(packet) = packet else {
                return Err(self.damaged(Damage::BlockLength(len)));
            };
            let data_at =
                if kind == block::SIMPLE_PACKET { Packet::SIMPLE_DATA_AT } else { Packet::DATA_AT };
            let room = u32::try_from(body.len().saturating_sub(data_at)).unwrap_or(u32::MAX);
            if packet.captured > room {
                let damage = Damage::Captured { len: packet.captured, limit: room };
                return Err(self.damaged(damage));
            }
            let iface = first.saturating_add(packet.interface as usize);
            let Some(interface) = self.interfaces.get(iface) else {
                return Err(self.damaged(Damage::Interface(packet.interface)));
            };
            let ts = if kind == block::SIMPLE_PACKET {
                last
            } else {
                Tick(interface.clock.micros(packet.stamp))
            };
            let found = Found {
                at: self.input.take(whole).saturating_add(8).saturating_add(data_at),
                len: packet.captured as usize,
                ts,
                iface: u16::try_from(iface).unwrap_or(u16::MAX),
                link: interface.link,
                direction: match packet.direction {
                    1 => Direction::In,
                    2 => Direction::Out,
                    _ => Direction::Unknown,
                },
                original: packet.original,
            };
            self.format = Format::Pcapng { order, first, last: ts };
            return Ok(Some(found));
        }
    }

    /// Fewer bytes than wanted are left: the end of the file, or of what can be read of it.
    #[cold]
    fn end(&mut self, need: usize, have: usize) -> Result<Option<Found>, Error> {
        if let Some(failure) = self.input.failure() {
            return Err(failure);
        }
        if have == 0 {
            return Ok(None);
        }
        let narrow = |len| u32::try_from(len).unwrap_or(u32::MAX);
        Err(self.damaged(Damage::Cut { need: narrow(need), have: narrow(have) }))
    }

    #[cold]
    const fn damaged(&self, damage: Damage) -> Error {
        Error::Damaged {
            packet: self.packets.saturating_add(1),
            offset: self.input.taken(),
            damage,
        }
    }
}

/// The longest capture to believe in. Writers exceed their snap length when offloading hands
/// them larger packets, hence libpcap's 256 KiB as the least.
fn captured_limit(snaplen: u32) -> u32 {
    const LEAST: u32 = 256 * 1024;
    const MOST: u32 = 16 * 1024 * 1024;
    match snaplen {
        0 => MOST,
        snaplen => snaplen.clamp(LEAST, MOST),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { packet, offset, damage } => {
                write!(f, "packet {packet} at byte {offset}: {damage}")
            }
            Self::Empty => f.write_str("the file is empty"),
            Self::Io(error) => write!(f, "can't read: {error}"),
            Self::Packed { offset, damage } => write!(f, "gzip at byte {offset}: {damage}"),
            Self::Unrecognised => f.write_str("not a pcap or pcapng file"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Damaged { .. } | Self::Empty | Self::Packed { .. } | Self::Unrecognised => None,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockEnds { first, last } => {
                write!(f, "the block is {first} bytes long at its start but {last} at its end")
            }
            Self::BlockLength(len) => write!(f, "a block can't be {len} bytes long"),
            Self::Captured { len, limit } => {
                write!(f, "{len} captured bytes where at most {limit} can be")
            }
            Self::Cut { need, have } => write!(f, "cut off after {have} of {need} bytes"),
            Self::Interface(id) => write!(f, "interface {id} was not described"),
            Self::SectionMagic => f.write_str("a section header without its magic number"),
            Self::TooLong(len) => write!(f, "a block of {len} bytes is longer than 16 MiB"),
            Self::TooManyInterfaces => write!(f, "more than {MAX_INTERFACES} interfaces"),
            Self::Version(major) => write!(f, "section of unknown version {major}"),
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests;
