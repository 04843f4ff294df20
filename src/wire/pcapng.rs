//! The pcapng capture format (draft-ietf-opsawg-pcapng): bodies of the blocks that matter for
//! reading packets. Names, statistics, secrets and custom blocks are left to be skipped.

use super::link::LinkType;
use super::order::Order;

pub mod cut;
pub mod write;

/// Block types.
pub mod block {
    /// Interface description.
    pub const INTERFACE: u32 = 0x0000_0001;
    /// The obsolete form of a packet.
    pub const PACKET: u32 = 0x0000_0002;
    /// A packet without time or interface.
    pub const SIMPLE_PACKET: u32 = 0x0000_0003;
    /// A packet.
    pub const ENHANCED_PACKET: u32 = 0x0000_0006;
    /// Section header; reads the same in both byte orders.
    pub const SECTION: u32 = 0x0a0d_0d0a;
}

/// Longest interface name that is kept, in bytes; the rest is cut off.
pub const MAX_NAME: usize = 255;

/// The byte order of a section, from the magic number that opens the body of its header block.
#[must_use]
pub const fn section_order(magic: [u8; 4]) -> Option<Order> {
    match magic {
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(Order::Big),
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(Order::Little),
        _ => None,
    }
}

/// An interface description.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interface<'a> {
    /// What its packets hold.
    pub link: LinkType,
    /// Longest capture; 0 means no limit.
    pub snaplen: u32,
    /// Its name as written, at most [`MAX_NAME`] bytes; empty if not given.
    pub name: &'a [u8],
    /// How to read its time stamps.
    pub clock: Clock,
}

impl<'a> Interface<'a> {
    /// Reads the body of an interface description block.
    #[must_use]
    pub fn parse(order: Order, body: &'a [u8]) -> Option<Self> {
        let ([l0, l1, _, _, s0, s1, s2, s3], options) = body.split_first_chunk::<8>()?;
        let mut interface = Self {
            link: LinkType(order.u16([*l0, *l1])),
            snaplen: order.u32([*s0, *s1, *s2, *s3]),
            name: &[],
            clock: Clock::default(),
        };
        for (code, value) in Options::new(order, options) {
            match (code, value) {
                (2, name) => interface.name = name.get(..MAX_NAME).unwrap_or(name),
                (9, [resolution, ..]) => interface.clock.resolution = Resolution::new(*resolution),
                (14, value) => {
                    if let Some(seconds) = value.first_chunk() {
                        interface.clock.offset = order.i64(*seconds);
                    }
                }
                _ => {}
            }
        }
        Some(interface)
    }
}

/// Unit and origin of an interface's time stamps.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Clock {
    resolution: Resolution,
    /// Seconds to add.
    offset: i64,
}

impl Clock {
    /// A stamp in microseconds since 1970, rounded down and held within what 64 bits can say.
    #[must_use]
    #[inline]
    pub fn micros(&self, stamp: u64) -> u64 {
        let micros = self.resolution.micros(stamp);
        match self.offset {
            0 => micros,
            seconds => micros.saturating_add_signed(seconds.saturating_mul(1_000_000)),
        }
    }
}

/// The unit of a time stamp (option if_tsresol).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Resolution {
    /// Stamps are this many microseconds.
    Longer(u64),
    #[default]
    Micros,
    Nanos,
    /// A microsecond is this many stamps.
    Shorter(u64),
    /// Stamps are 2^-n seconds.
    Binary(u8),
    /// Too fine for 64 bits: everything happens at once.
    Void,
}

impl Resolution {
    const fn new(option: u8) -> Self {
        match option {
            n @ 0..6 => Self::Longer(10_u64.pow(6_u32.saturating_sub(n as u32))),
            6 => Self::Micros,
            9 => Self::Nanos,
            n @ 7..=25 => Self::Shorter(10_u64.pow((n as u32).saturating_sub(6))),
            26..=127 => Self::Void,
            n => Self::Binary(n & 0x7f),
        }
    }

    #[inline]
    fn micros(self, stamp: u64) -> u64 {
        match self {
            Self::Longer(micros) => stamp.saturating_mul(micros),
            Self::Micros => stamp,
            Self::Nanos => stamp / 1_000,
            Self::Shorter(stamps) => stamp.checked_div(stamps).unwrap_or(0),
            Self::Binary(bits) => {
                let micros = u128::from(stamp).saturating_mul(1_000_000) >> bits;
                u64::try_from(micros).unwrap_or(u64::MAX)
            }
            Self::Void => 0,
        }
    }
}

/// A packet as a block holds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Packet {
    /// Number of the interface in its section.
    pub interface: u32,
    /// When, in the interface's unit.
    pub stamp: u64,
    /// Captured bytes.
    pub captured: u32,
    /// Bytes there were on the wire.
    pub original: u32,
    /// The direction bits of the flags option.
    pub direction: u8,
}

impl Packet {
    /// Where the captured bytes start in the body of an enhanced or an obsolete packet block.
    pub const DATA_AT: usize = 20;
    /// Where they start in a simple packet block.
    pub const SIMPLE_DATA_AT: usize = 4;

    /// Reads the body of an enhanced packet block. Whether `captured` fits is left to the caller.
    #[must_use]
    #[inline]
    pub fn enhanced(order: Order, body: &[u8]) -> Option<Self> {
        let (header, rest) = body.split_first_chunk::<{ Self::DATA_AT }>()?;
        let [i0, i1, i2, i3, fields @ ..] = *header;
        Some(Self::with(order, order.u32([i0, i1, i2, i3]), fields, rest))
    }

    /// Reads the body of an obsolete packet block.
    #[must_use]
    pub fn obsolete(order: Order, body: &[u8]) -> Option<Self> {
        let (header, rest) = body.split_first_chunk::<{ Self::DATA_AT }>()?;
        // A count of drops follows the interface.
        let [i0, i1, _, _, fields @ ..] = *header;
        Some(Self::with(order, u32::from(order.u16([i0, i1])), fields, rest))
    }

    /// Reads the body of a simple packet block on an interface with this snap length. It has no
    /// time.
    #[must_use]
    pub fn simple(order: Order, body: &[u8], snaplen: u32) -> Option<Self> {
        let (original, rest) = body.split_first_chunk()?;
        let original = order.u32(*original);
        let snaplen = if snaplen == 0 { u32::MAX } else { snaplen };
        let present = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let captured = original.min(snaplen).min(present);
        Some(Self { interface: 0, stamp: 0, captured, original, direction: 0 })
    }

    #[inline]
    fn with(order: Order, interface: u32, fields: [u8; 16], rest: &[u8]) -> Self {
        let [h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, c2, c3, o0, o1, o2, o3] = fields;
        let high = u64::from(order.u32([h0, h1, h2, h3]));
        let captured = order.u32([c0, c1, c2, c3]);
        // In practice most packets have no options.
        let padded = usize::try_from(captured).ok().and_then(|len| len.checked_next_multiple_of(4));
        let options = padded.and_then(|len| rest.get(len..)).unwrap_or_default();
        let flags = Options::new(order, options)
            .find(|(code, _)| *code == 2)
            .and_then(|(_, value)| value.first_chunk().copied())
            .map_or(0, |flags| order.u32(flags));
        let [low, ..] = flags.to_le_bytes();
        Self {
            interface,
            stamp: high << 32 | u64::from(order.u32([l0, l1, l2, l3])),
            captured,
            original: order.u32([o0, o1, o2, o3]),
            direction: low & 3,
        }
    }
}

/// The options of a block as code and value, up to the end mark or the first damaged one.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    order: Order,
    rest: &'a [u8],
}

impl<'a> Options<'a> {
    /// Options in `bytes`, the end of a block's body.
    #[must_use]
    pub const fn new(order: Order, bytes: &'a [u8]) -> Self {
        Self { order, rest: bytes }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([c0, c1, l0, l1], rest) = self.rest.split_first_chunk()?;
        let code = self.order.u16([*c0, *c1]);
        if code == 0 {
            self.rest = &[];
            return None;
        }
        let len = usize::from(self.order.u16([*l0, *l1]));
        let Some((value, rest)) = rest.split_at_checked(len) else {
            self.rest = &[];
            return None;
        };
        // The padding of the last option may be missing.
        self.rest = rest.get(len.next_multiple_of(4).saturating_sub(len)..).unwrap_or_default();
        Some((code, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interface description of the format's own minimal stream.
    const INTERFACE: [u8; 28] =
        [1, 0, 0, 0, 0, 0, 4, 0, 2, 0, 2, 0, b'a', b'0', 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn an_interface_keeps_name_unit_and_snap_length() {
        let interface = Interface::parse(Order::Little, &INTERFACE).unwrap();
        assert_eq!(interface.link, LinkType::ETHERNET);
        assert_eq!(interface.snaplen, 0x4_0000);
        assert_eq!(interface.name, b"a0");
        assert_eq!(interface.clock.micros(1_234_567_999), 1_234_567);
    }

    #[test]
    fn a_truncated_option_keeps_earlier_options() {
        for end in 14..INTERFACE.len() {
            let interface = Interface::parse(Order::Little, &INTERFACE[..end]).unwrap();
            assert_eq!(interface.name, b"a0");
        }
    }

    #[test]
    fn stamps_follow_resolution_and_offset() {
        let clock = |resolution, offset| Clock { resolution: Resolution::new(resolution), offset };
        assert_eq!(clock(0, 0).micros(7), 7_000_000);
        assert_eq!(clock(3, 0).micros(7), 7_000);
        assert_eq!(clock(6, 0).micros(7), 7);
        assert_eq!(clock(12, 0).micros(7_999_999), 7);
        assert_eq!(clock(25, 0).micros(u64::MAX), 1);
        assert_eq!(clock(26, 0).micros(u64::MAX), 0);
        assert_eq!(clock(0x80 | 10, 0).micros(1_536), 1_500_000);
        assert_eq!(clock(0xff, 0).micros(u64::MAX), 0);
        assert_eq!(clock(0x80, 0).micros(u64::MAX), u64::MAX);
        assert_eq!(clock(6, -1).micros(1_500_000), 500_000);
        assert_eq!(clock(6, i64::MIN).micros(1_500_000), 0);
        assert_eq!(clock(6, i64::MAX).micros(u64::MAX), u64::MAX);
    }
}
