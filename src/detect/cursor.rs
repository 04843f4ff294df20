//! Reading of fields from the front of hostile bytes: whatever is not there is `None`.

/// The rest of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `len` octets.
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// Passes over `len` octets.
    pub(super) fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(|_| ())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*array)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    /// Two octets, most significant first.
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three octets, most significant first.
    pub(super) fn u24(&mut self) -> Option<u32> {
        self.array::<3>().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Four octets, most significant first.
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight octets, most significant first.
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Two octets, least significant first.
    pub(super) fn u16_le(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// Four octets, least significant first.
    pub(super) fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of one, two, four or eight octets (RFC 9000, 16).
    pub(super) fn varint(&mut self) -> Option<u64> {
        let first = self.rest.first()?;
        let len = 1_usize.checked_shl(u32::from(first >> 6))?;
        let octets = self.take(len)?;
        let whole = octets.iter().fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
        let bits = u32::try_from(len).ok()?.saturating_mul(8).saturating_sub(2);
        Some(whole & 1_u64.checked_shl(bits)?.wrapping_sub(1))
    }

    /// As many octets as an octet before them says.
    pub(super) fn counted8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// As many octets as two octets before them say.
    pub(super) fn counted16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(len.into())
    }

    /// As many octets as three octets before them say.
    pub(super) fn counted24(&mut self) -> Option<&'a [u8]> {
        let len = self.u24()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// Eight octets, least significant first.
    pub(super) fn u64_le(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Tag and length of a value in BER with a tag of one octet (ITU-T X.690, 8.1); what is read
    /// next is the value.
    pub(super) fn ber(&mut self) -> Option<(u8, usize)> {
        let (tag, first) = (self.u8()?, self.u8()?);
        let len = match first {
            0x81 => u32::from(self.u8()?),
            0x82 => u32::from(self.u16()?),
            0x83 => self.u24()?,
            0x84 => self.u32()?,
            _ => u32::from(first),
        };
        let is_definite = first < 0x80 || (0x81..=0x84).contains(&first);
        is_definite.then_some((tag, usize::try_from(len).ok()?))
    }

    /// A whole value in BER with its tag.
    pub(super) fn ber_value(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, len) = self.ber()?;
        Some((tag, self.take(len)?))
    }

    /// Up to the first of an octet, which is passed over.
    pub(super) fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = self.rest.iter().position(|octet| *octet == end)?;
        let taken = self.take(at)?;
        self.skip(1)?;
        Some(taken)
    }
}
