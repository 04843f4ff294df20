//! What is left of a frame behind the headers that were read.

/// The captured bytes from some header on, and how many there are according to the headers
/// before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a> {
    /// The captured bytes.
    pub(super) bytes: &'a [u8],
    /// Where they start in the frame.
    pub(super) at: usize,
    /// Bytes there are, at least those that were captured.
    pub(super) announced: usize,
}

impl<'a> Rest<'a> {
    pub(super) fn new(frame: &'a [u8], announced: usize) -> Self {
        Self { bytes: frame, at: 0, announced: announced.max(frame.len()) }
    }

    /// A fixed header, and what is behind it.
    pub(super) fn split<const N: usize>(self) -> Option<(&'a [u8; N], Self)> {
        Some((self.bytes.first_chunk()?, self.skip(N)?))
    }

    /// What is behind the first `len` bytes, if they were captured.
    pub(super) fn skip(self, len: usize) -> Option<Self> {
        Some(Self {
            bytes: self.bytes.get(len..)?,
            at: self.at.saturating_add(len),
            announced: self.announced.saturating_sub(len),
        })
    }

    /// No more than `len` bytes of it.
    pub(super) fn limit(self, len: usize) -> Self {
        Self {
            bytes: self.bytes.get(..len).unwrap_or(self.bytes),
            announced: self.announced.min(len),
            ..self
        }
    }

    /// Whether there are `len` bytes, captured or not.
    pub(super) const fn has(&self, len: usize) -> bool {
        self.announced >= len
    }
}
