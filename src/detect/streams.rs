//! The beginning of one half of a TCP stream, put in order: what arrived early waits for what is
//! before it, what comes twice is passed over.

/// Octets of a half that are kept; what lies beyond is not shown to dissectors.
pub(super) const MAX_HALF: usize = 8 * 1024;

/// What a segment did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Placed {
    /// It is the first of its half and begins it: it can be read where it lies, and is kept only
    /// by [`Half::keep`].
    First,
    /// It was put behind what is there.
    Longer,
    /// It belongs before what was taken for the beginning.
    Earlier,
    /// Nothing new that is in order.
    Nothing,
}

/// One half.
#[derive(Debug, Default)]
pub(super) struct Half {
    /// From `base` on; in order up to `have`, then maybe a hole and `ahead`.
    bytes: Vec<u8>,
    base: u32,
    have: usize,
    ahead: Option<(usize, usize)>,
    begun: bool,
}

impl Half {
    /// What is there in order.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.have).unwrap_or_default()
    }

    /// Octets of memory that hold it.
    pub(super) const fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Begins anew, with the memory that it has.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        (self.base, self.have, self.ahead, self.begun) = (0, 0, None, false);
    }

    /// Its memory, to be used for another.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Memory for [`Self::keep`].
    pub(super) fn lend(&mut self, mut bytes: Vec<u8>) {
        if self.bytes.capacity() == 0 {
            bytes.clear();
            self.bytes = bytes;
        }
    }

    /// Takes a segment that begins at a sequence number.
    pub(super) fn place(&mut self, seq: u32, payload: &[u8]) -> Placed {
        if !self.begun {
            (self.begun, self.base) = (true, seq);
            return Placed::First;
        }
        // Half of the number space lies before, half behind (RFC 9293, 3.4).
        let offset = seq.wrapping_sub(self.base).cast_signed();
        match usize::try_from(offset) {
            Ok(at) => self.put(at, payload),
            Err(_) => self.put_before(offset.unsigned_abs(), seq, payload),
        }
    }

    /// Keeps the segment that [`Self::place`] called first.
    pub(super) fn keep(&mut self, payload: &[u8]) {
        if self.have == 0 {
            self.put(0, payload);
        }
    }

    fn put(&mut self, at: usize, payload: &[u8]) -> Placed {
        let end = at.saturating_add(payload.len()).min(MAX_HALF);
        if end <= self.have || at >= MAX_HALF {
            return Placed::Nothing;
        }
        if at > self.have && self.ahead.is_some_and(|(from, to)| at > to || end < from) {
            // A second hole: whatever arrives is sent again if it matters.
            return Placed::Nothing;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        for (to, from) in self.bytes.iter_mut().skip(at).zip(payload) {
            *to = *from;
        }
        if at > self.have {
            let (from, to) = self.ahead.unwrap_or((at, end));
            self.ahead = Some((from.min(at), to.max(end)));
            return Placed::Nothing;
        }
        self.have = end;
        if let Some((from, to)) = self.ahead
            && from <= self.have
        {
            self.have = self.have.max(to);
            self.ahead = None;
        }
        Placed::Longer
    }

    /// A segment from before the beginning: the first that was seen was not the first.
    fn put_before(&mut self, distance: u32, seq: u32, payload: &[u8]) -> Placed {
        let Ok(distance) = usize::try_from(distance) else { return Placed::Nothing };
        // One octet before: a probe for a closed window or a sleeping peer (RFC 9293, 3.8.4).
        if distance > MAX_HALF / 2 || payload.len() <= 1 {
            return Placed::Nothing;
        }
        let there = self.have.min(MAX_HALF.saturating_sub(distance));
        self.bytes.truncate(there);
        self.bytes.splice(0..0, std::iter::repeat_n(0, distance));
        self.ahead = (there > 0).then(|| (distance, distance.saturating_add(there)));
        (self.base, self.have) = (seq, 0);
        self.put(0, payload);
        Placed::Earlier
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(payload: &[u8]) -> Half {
        let mut half = Half::default();
        assert_eq!(half.place(1_000, payload), Placed::First);
        half.keep(payload);
        half
    }

    #[test]
    fn segments_come_in_any_order() {
        let mut half = begun(b"abc");
        assert_eq!(half.place(1_006, b"ghi"), Placed::Nothing);
        assert_eq!(half.bytes(), b"abc");
        assert_eq!(half.place(1_009, b"jkl"), Placed::Nothing);
        assert_eq!(half.place(1_001, b"bc"), Placed::Nothing);
        assert_eq!(half.place(1_002, b"cdef"), Placed::Longer);
        assert_eq!(half.bytes(), b"abcdefghijkl");
    }

    #[test]
    fn the_first_seen_may_not_be_the_first() {
        let mut half = begun(b"def");
        assert_eq!(half.place(999, b"\0"), Placed::Nothing, "a probe");
        assert_eq!(half.place(997, b"abc"), Placed::Earlier);
        assert_eq!(half.bytes(), b"abcdef");
        let mut half = begun(b"ghi");
        assert_eq!(half.place(994, b"abc"), Placed::Earlier);
        assert_eq!(half.bytes(), b"abc");
        assert_eq!(half.place(997, b"def"), Placed::Longer);
        assert_eq!(half.bytes(), b"abcdefghi");
    }

    #[test]
    fn numbers_wrap_around() {
        let mut half = Half::default();
        half.place(u32::MAX, b"ab");
        half.keep(b"ab");
        assert_eq!(half.place(1, b"cd"), Placed::Longer);
        assert_eq!(half.bytes(), b"abcd");
    }

    #[test]
    fn no_more_is_kept_than_its_cap() {
        let mut half = begun(b"x");
        for n in 0..40_u32 {
            half.place(1_001 + n * 1_000, &[1; 1_000]);
        }
        assert_eq!(half.bytes().len(), MAX_HALF);
        assert_eq!(half.place(900_000, b"far"), Placed::Nothing);
        assert!(half.held() <= 2 * MAX_HALF);
    }
}
