//! The classic capture file format (draft-ietf-opsawg-pcap): a file header, then records.

use super::link::LinkType;
use super::order::Order;

pub mod write;

/// Length of the file header.
pub const FILE_HEADER_LEN: usize = 24;

/// The header of a capture file: how to read its records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileHeader {
    /// Byte order of the file.
    pub order: Order,
    /// What all records hold.
    pub link: LinkType,
    /// Longest capture the writer meant to make; 0 if it did not say.
    pub snaplen: u32,
    /// Length of a record's header: 16, or 24 in the variant of Kuznetzov's patched libpcap.
    pub record_header_len: usize,
    nanos: bool,
    lengths: Lengths,
}

/// The order of the two lengths of a record, which changed with version 2.3 of the format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lengths {
    CapturedFirst,
    OriginalFirst,
    /// Both were written; the smaller is that of the capture.
    Either,
}

/// The header of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    /// When, in microseconds since 1970.
    pub micros: u64,
    /// Captured bytes, which follow the header.
    pub captured: u32,
    /// Bytes there were on the wire.
    pub original: u32,
}

impl FileHeader {
    /// Reads a file header; `None` if the magic number is not one of this format.
    #[must_use]
    pub fn parse(header: &[u8; FILE_HEADER_LEN]) -> Option<Self> {
        let (magic, fields) = header.split_first_chunk()?;
        let (order, nanos, record_header_len) = match u32::from_be_bytes(*magic) {
            0xa1b2_c3d4 => (Order::Big, false, 16),
            0xd4c3_b2a1 => (Order::Little, false, 16),
            0xa1b2_3c4d => (Order::Big, true, 16),
            0x4d3c_b2a1 => (Order::Little, true, 16),
            0xa1b2_cd34 => (Order::Big, false, 24),
            0x34cd_b2a1 => (Order::Little, false, 24),
            _ => return None,
        };
        // The time zone and the accuracy of stamps are 0 in all files there are.
        let [v0, v1, m0, m1, _, _, _, _, _, _, _, _, s0, s1, s2, s3, l0, l1, l2, l3] = *fields
        else {
            return None;
        };
        // The upper half says whether frames end with a checksum, which changes nothing here.
        let [low, high, ..] = order.u32([l0, l1, l2, l3]).to_le_bytes();
        Some(Self {
            order,
            link: LinkType(u16::from_le_bytes([low, high])),
            snaplen: order.u32([s0, s1, s2, s3]),
            record_header_len,
            nanos,
            lengths: match (order.u16([v0, v1]), order.u16([m0, m1])) {
                (2, 0..=2) => Lengths::OriginalFirst,
                (2, 3) => Lengths::Either,
                _ => Lengths::CapturedFirst,
            },
        })
    }

    /// Reads the part of a record header that all variants have.
    #[must_use]
    #[inline]
    pub fn record(&self, header: &[u8; 16]) -> Record {
        let [s0, s1, s2, s3, f0, f1, f2, f3, c0, c1, c2, c3, o0, o1, o2, o3] = *header;
        let seconds = u64::from(self.order.u32([s0, s1, s2, s3]));
        let fraction = u64::from(self.order.u32([f0, f1, f2, f3]));
        let fraction = if self.nanos { fraction / 1_000 } else { fraction };
        let first = self.order.u32([c0, c1, c2, c3]);
        let second = self.order.u32([o0, o1, o2, o3]);
        let (captured, original) = match self.lengths {
            Lengths::CapturedFirst => (first, second),
            Lengths::OriginalFirst => (second, first),
            Lengths::Either => (first.min(second), first.max(second)),
        };
        Record {
            micros: seconds.saturating_mul(1_000_000).saturating_add(fraction),
            captured,
            original,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(magic: [u8; 4], rest: [u8; 20]) -> Option<FileHeader> {
        let mut bytes = [0; FILE_HEADER_LEN];
        bytes[..4].copy_from_slice(&magic);
        bytes[4..].copy_from_slice(&rest);
        FileHeader::parse(&bytes)
    }

    const LITTLE: [u8; 20] = [2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0x71, 0, 0, 0x40];
    const BIG: [u8; 20] = [0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0x40, 0, 0, 0x71];

    #[test]
    fn every_magic_number_tells_order_unit_and_record_header() {
        for (magic, order, nanos, len) in [
            ([0xd4, 0xc3, 0xb2, 0xa1], Order::Little, false, 16),
            ([0xa1, 0xb2, 0xc3, 0xd4], Order::Big, false, 16),
            ([0x4d, 0x3c, 0xb2, 0xa1], Order::Little, true, 16),
            ([0xa1, 0xb2, 0x3c, 0x4d], Order::Big, true, 16),
            ([0x34, 0xcd, 0xb2, 0xa1], Order::Little, false, 24),
            ([0xa1, 0xb2, 0xcd, 0x34], Order::Big, false, 24),
        ] {
            let rest = if order == Order::Big { BIG } else { LITTLE };
            let header = header(magic, rest).unwrap();
            assert_eq!(header.order, order);
            assert_eq!(header.link, LinkType::LINUX_SLL, "checksum bits are not the link type");
            assert_eq!(header.snaplen, 0x4_0000);
            assert_eq!(header.record_header_len, len);
            assert_eq!(header.nanos, nanos);
        }
        assert_eq!(header(*b"PK\x03\x04", LITTLE), None);
    }

    #[test]
    fn old_versions_give_the_lengths_the_other_way_round() {
        let bytes = [0, 0, 0, 0, 0, 0, 0, 0, 70, 0, 0, 0, 60, 0, 0, 0];
        for (minor, captured, original) in [(2, 60, 70), (3, 60, 70), (4, 70, 60)] {
            let mut rest = LITTLE;
            rest[2] = minor;
            let record = header([0xd4, 0xc3, 0xb2, 0xa1], rest).unwrap().record(&bytes);
            assert_eq!((record.captured, record.original), (captured, original), "2.{minor}");
        }
    }

    #[test]
    fn nanoseconds_are_rounded_down() {
        let bytes = [1, 0, 0, 0, 0xff, 0xc9, 0x9a, 0x3b, 60, 0, 0, 0, 70, 0, 0, 0];
        let micro = header([0xd4, 0xc3, 0xb2, 0xa1], LITTLE).unwrap().record(&bytes);
        let nano = header([0x4d, 0x3c, 0xb2, 0xa1], LITTLE).unwrap().record(&bytes);
        assert_eq!(micro.micros, 1_000_000 + 999_999_999);
        assert_eq!(nano, Record { micros: 1_999_999, captured: 60, original: 70 });
    }
}
