//! Where a stream of ours may be cut: its blocks, or the records of a classic file, one after
//! another, so that it can go on in another file at any of them. Both are written in the order
//! of the bytes of [`super::write`], so no other is read.

use super::block;

/// Octets of the header of a classic file.
const FILE_HEADER: usize = 24;

/// Octets of the header of a record of such a file.
const RECORD_HEADER: usize = 16;

/// Longer pieces are none of ours.
const MAX_LENGTH: usize = 16 * 1024 * 1024;

/// The form of a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// A classic file.
    Pcap,
    /// Blocks.
    Pcapng,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It has to stand before all packets, in every file.
    Header,
    /// Anything else.
    Other,
    /// A packet.
    Packet,
}

/// A piece of a stream that stays whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece {
    /// Its octets.
    pub length: usize,
    /// What it is.
    pub kind: Kind,
}

/// These octets are no stream of ours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// Follows a stream from its first octet on.
#[derive(Clone, Debug)]
pub struct Cutter {
    form: Form,
    begun: bool,
}

impl Cutter {
    /// At the start of a stream.
    #[must_use]
    pub const fn new(form: Form) -> Self {
        Self { form, begun: false }
    }

    /// The piece that `bytes` begins with, if all of it is there. Call it again with what is
    /// behind that.
    ///
    /// # Errors
    /// [`Malformed`] if it is none.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Piece>, Malformed> {
        let (length, kind) = match self.form {
            Form::Pcap if !self.begun => (FILE_HEADER, Kind::Header),
            Form::Pcap => {
                let Some(captured) = word(bytes, 8) else { return Ok(None) };
                (captured.saturating_add(RECORD_HEADER), Kind::Packet)
            }
            Form::Pcapng => {
                let (Some(kind), Some(length)) = (word(bytes, 0), word(bytes, 4)) else {
                    return Ok(None);
                };
                let kind = match u32::try_from(kind).unwrap_or(0) {
                    block::SECTION | block::INTERFACE => Kind::Header,
                    block::ENHANCED_PACKET => Kind::Packet,
                    _ => Kind::Other,
                };
                (length, kind)
            }
        };
        if !(12..=MAX_LENGTH).contains(&length) {
            return Err(Malformed);
        }
        if bytes.len() < length {
            return Ok(None);
        }
        self.begun = true;
        Ok(Some(Piece { length, kind }))
    }
}

/// What a block says of losses, if it is a statistics block that does: the interface, and the
/// packets lost since it joined.
#[must_use]
pub fn losses(bytes: &[u8]) -> Option<(u32, u64)> {
    let lost = told(bytes, LOST_BY_SYSTEM)?.first_chunk()?;
    let interface = u32::try_from(word(bytes, 8)?).ok()?;
    Some((interface, u64::from_le_bytes(*lost)))
}

/// The remark in a statistics block: why an interface, or the whole stream, is over.
#[must_use]
pub fn remark(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(told(bytes, COMMENT)?).ok()
}

/// An option of a statistics block.
fn told(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    if word(bytes, 0)? != STATISTICS {
        return None;
    }
    let mut options = bytes.get(20..bytes.len().checked_sub(4)?)?;
    while let Some((&[c0, c1, l0, l1], rest)) = options.split_first_chunk::<4>() {
        let (code, length) = (u16::from_le_bytes([c0, c1]), u16::from_le_bytes([l0, l1]));
        let length = usize::from(length);
        if code == wanted {
            return rest.get(..length);
        }
        options = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// Type of an interface statistics block.
const STATISTICS: usize = 5;

/// The option of such a block with the packets that the system lost (isb_osdrop).
const LOST_BY_SYSTEM: u16 = 7;

/// A remark (opt_comment).
const COMMENT: u16 = 1;

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::pcapng::write::{self, Interface, Packet, Section, Statistics};

    fn stream() -> Vec<u8> {
        let mut out = Vec::new();
        write::section(&mut out, &Section::default());
        write::interface(&mut out, &Interface::default());
        let packet = Packet {
            interface: 0,
            nanos: 0,
            prefix: &[],
            data: &[1; 61],
            vlan: None,
            wire_len: 61,
            flags: 0,
            lost: 0,
            comment: "",
        };
        write::packet(&mut out, &packet);
        let statistics = Statistics { lost_by_system: Some(9), ..Statistics::default() };
        write::statistics(&mut out, 3, 7, &statistics);
        out
    }

    #[test]
    fn blocks_are_found_one_after_another() {
        let stream = stream();
        let (mut cutter, mut at, mut kinds) = (Cutter::new(Form::Pcapng), 0, Vec::new());
        while let Some(piece) = cutter.next(&stream[at..]).unwrap() {
            kinds.push(piece.kind);
            at += piece.length;
        }
        assert_eq!(at, stream.len());
        assert_eq!(kinds, [Kind::Header, Kind::Header, Kind::Packet, Kind::Other]);
    }

    #[test]
    fn a_piece_that_is_not_all_there_is_waited_for() {
        let stream = stream();
        let whole = Cutter::new(Form::Pcapng).next(&stream).unwrap().unwrap().length;
        for cut in 0..whole {
            assert_eq!(Cutter::new(Form::Pcapng).next(&stream[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(Cutter::new(Form::Pcapng).next(&[0xff; 40]), Err(Malformed));
        assert_eq!(Cutter::new(Form::Pcapng).next(&[0; 40]), Err(Malformed));
    }

    #[test]
    fn records_of_a_classic_file_have_their_length_before_them() {
        let mut stream = vec![0; 24];
        stream.extend([0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 1, 2, 3, 4, 5]);
        let mut cutter = Cutter::new(Form::Pcap);
        assert_eq!(cutter.next(&stream), Ok(Some(Piece { length: 24, kind: Kind::Header })));
        assert_eq!(cutter.next(&stream[24..]), Ok(Some(Piece { length: 21, kind: Kind::Packet })));
    }

    #[test]
    fn losses_stand_in_statistics() {
        let stream = stream();
        let found = (0..stream.len()).step_by(4).find_map(|at| losses(&stream[at..]));
        assert_eq!(found, Some((3, 9)));
    }
}
