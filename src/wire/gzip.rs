//! The gzip file format (RFC 1952) around a deflate stream: its header, and the checksum of its
//! trailer.

use std::sync::OnceLock;

/// The two bytes that open a member.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Length of a member's trailer: checksum, then length modulo 2^32.
pub const TRAILER_LEN: usize = 8;

/// Why bytes are not the header of a member.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// More bytes are needed to see its end.
    Incomplete,
    /// Wrong magic number, an unknown compression method or a reserved flag.
    Malformed,
}

/// Length of the member header that `bytes` start with.
///
/// # Errors
/// See [`Error`].
pub fn header_len(bytes: &[u8]) -> Result<usize, Error> {
    const CHECKSUM: u8 = 0x02;
    const EXTRA: u8 = 0x04;
    const NAME: u8 = 0x08;
    const COMMENT: u8 = 0x10;
    const RESERVED: u8 = 0xe0;

    let seen = bytes.len().min(2);
    if bytes.get(..seen) != MAGIC.get(..seen) {
        return Err(Error::Malformed);
    }
    let ([_, _, method, flags, ..], mut rest) =
        bytes.split_first_chunk::<10>().ok_or(Error::Incomplete)?;
    if *method != 8 || flags & RESERVED != 0 {
        return Err(Error::Malformed);
    }
    if flags & EXTRA != 0 {
        let (len, after) = rest.split_first_chunk().ok_or(Error::Incomplete)?;
        let len = usize::from(u16::from_le_bytes(*len));
        rest = after.get(len..).ok_or(Error::Incomplete)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let mut parts = rest.splitn(2, |byte| *byte == 0);
            rest = parts.nth(1).ok_or(Error::Incomplete)?;
        }
    }
    if flags & CHECKSUM != 0 {
        rest = rest.get(2..).ok_or(Error::Incomplete)?;
    }
    Ok(bytes.len().saturating_sub(rest.len()))
}

/// A running CRC-32 (ISO 3309), four bytes a step.
#[derive(Clone, Copy, Debug)]
pub struct Crc32(u32);

impl Crc32 {
    /// The checksum of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(!0)
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        // Made when needed first: they are not worth their room in the program.
        static TABLES: OnceLock<[Table; 4]> = OnceLock::new();
        let [first, second, third, fourth] = TABLES.get_or_init(tables);
        let (words, rest) = bytes.as_chunks::<4>();
        let mut crc = self.0;
        for word in words {
            let [a, b, c, d] = (crc ^ u32::from_le_bytes(*word)).to_le_bytes();
            crc = step(fourth, a) ^ step(third, b) ^ step(second, c) ^ step(first, d);
        }
        for byte in rest {
            let [low, ..] = crc.to_le_bytes();
            crc = step(first, low ^ byte) ^ (crc >> 8);
        }
        self.0 = crc;
    }

    /// The checksum of what was taken in.
    #[must_use]
    pub const fn value(self) -> u32 {
        !self.0
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

/// What a byte makes of the checksum.
type Table = [u32; 256];

#[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
#[inline]
fn step(table: &Table, byte: u8) -> u32 {
    table[usize::from(byte)]
}

/// One for each byte of a word.
fn tables() -> [Table; 4] {
    let mut tables = [[0; 256]; 4];
    let [first, others @ ..] = &mut tables;
    for (byte, entry) in (0..).zip(first.iter_mut()) {
        *entry = (0..8)
            .fold(byte, |crc: u32, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 });
    }
    let mut previous = &*first;
    for table in others {
        for (entry, crc) in table.iter_mut().zip(previous) {
            let [low, ..] = crc.to_le_bytes();
            *entry = (crc >> 8) ^ step(first, low);
        }
        previous = table;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standard_one_however_the_bytes_arrive() {
        let bytes = b"123456789";
        for cut in 0..=bytes.len() {
            let mut crc = Crc32::new();
            crc.update(&bytes[..cut]);
            crc.update(&bytes[cut..]);
            assert_eq!(crc.value(), 0xcbf4_3926);
        }
    }

    #[test]
    fn optional_header_fields_are_measured() {
        let mut header = vec![0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 255];
        header.extend([3, 0, 1, 2, 3]);
        header.extend(b"name\0comment\0");
        header.extend([0xaa, 0xbb]);
        let whole = header.len();
        for cut in 0..whole {
            assert_eq!(header_len(&header[..cut]), Err(Error::Incomplete), "{cut}");
        }
        header.extend([1, 2, 3]);
        assert_eq!(header_len(&header), Ok(whole));
        header[3] = 0;
        assert_eq!(header_len(&header), Ok(10));
        header[3] = 0x80;
        assert_eq!(header_len(&header), Err(Error::Malformed));
        assert_eq!(header_len(b"PK"), Err(Error::Malformed));
    }
}
