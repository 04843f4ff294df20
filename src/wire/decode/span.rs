//! The part of a frame that a header hands to the next one.

use super::Stop;

/// What is left of a frame at some layer: the captured bytes, where they lie, and how many bytes
/// the headers so far say there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    /// The captured bytes, never more than `announced`.
    pub(super) bytes: &'a [u8],
    /// Where `bytes` starts in the frame.
    pub(super) at: usize,
    /// Bytes from `at` on according to the innermost header that gave a length.
    pub(super) announced: usize,
    /// No header has limited the length yet (link padding may follow), or the limit is that of a
    /// first fragment, which the next header's own length may exceed.
    pub(super) open: bool,
}

impl<'a> Span<'a> {
    pub(super) const fn new(frame: &'a [u8]) -> Self {
        Self { bytes: frame, at: 0, announced: frame.len(), open: true }
    }

    /// The span behind the first `len` bytes.
    #[inline]
    pub(super) fn skip(self, len: usize) -> Result<Self, Stop> {
        let bytes = self.bytes.get(len..).ok_or_else(|| self.lack(len))?;
        Ok(Self {
            bytes,
            at: self.at.saturating_add(len),
            announced: self.announced.saturating_sub(len),
            open: self.open,
        })
    }

    /// The span behind a header of `len` bytes, of which fewer may have been captured.
    #[inline]
    pub(super) fn skip_captured(self, len: usize) -> Self {
        let here = len.min(self.bytes.len());
        Self {
            bytes: self.bytes.get(here..).unwrap_or_default(),
            at: self.at.saturating_add(here),
            announced: self.announced.saturating_sub(len),
            open: self.open,
        }
    }

    /// A fixed header and the span behind it.
    #[inline]
    pub(super) fn split<const N: usize>(self) -> Result<(&'a [u8; N], Self), Stop> {
        let header = self.bytes.first_chunk().ok_or_else(|| self.lack(N))?;
        Ok((header, self.skip(N)?))
    }

    /// The first `len` bytes as a header announces them; more than an enclosing header allows is
    /// damage (or a wrong guess at what this is), more than was captured is not.
    #[inline]
    pub(super) fn limit(self, len: usize) -> Result<Self, Stop> {
        if len > self.announced && !self.open {
            return Err(Stop::Malformed);
        }
        let bytes = self.bytes.get(..len).unwrap_or(self.bytes);
        Ok(Self { bytes, announced: len, open: false, ..self })
    }

    /// Whether fewer bytes were captured than announced.
    pub(super) const fn is_cut(&self) -> bool {
        self.bytes.len() < self.announced
    }

    /// Why `len` bytes are not there.
    pub(super) const fn lack(&self, len: usize) -> Stop {
        if self.open || len <= self.announced { Stop::Short } else { Stop::Malformed }
    }
}
