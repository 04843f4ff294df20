//! The body of a request: by its length, or in chunks (RFC 9112 section 7.1) read strictly, since
//! a proxy in front may read them less so.

use super::head::{Framing, MAX_BODY};

/// Octets of a chunk's size line, extensions included.
const MAX_LINE: usize = 256;

/// Octets of the trailer section; its fields are passed over.
const MAX_TRAILER: usize = 4_096;

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// A chunk is malformed.
    Malformed,
    /// There is more than [`MAX_BODY`].
    TooLarge,
}

/// Reads one body.
#[derive(Clone, Copy, Debug)]
pub struct Decoder {
    step: Step,
    trailer: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    /// Of a body of known length: what is left.
    Plain(usize),
    Size,
    Chunk(usize),
    /// The line end after a chunk.
    ChunkEnd,
    Trailer,
    Done,
}

impl Decoder {
    /// For a body that is delimited like this.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        let step = match framing {
            Framing::Length(length) => Step::Plain(length),
            Framing::Chunked => Step::Size,
        };
        Self { step, trailer: 0 }
    }

    /// Moves what belongs to the body over to `body`. Says how many octets are used up, and
    /// whether the body is complete.
    ///
    /// # Errors
    /// See [`Error`]; the connection cannot go on.
    pub fn take(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<(usize, bool), Error> {
        let mut used = 0_usize;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            match self.step {
                Step::Done | Step::Plain(0) => return Ok((used, true)),
                Step::Plain(left) | Step::Chunk(left) => {
                    let piece = rest.get(..left).unwrap_or(rest);
                    if body.len().saturating_add(piece.len()) > MAX_BODY {
                        return Err(Error::TooLarge);
                    }
                    body.extend_from_slice(piece);
                    used = used.saturating_add(piece.len());
                    let left = left.saturating_sub(piece.len());
                    self.step = match self.step {
                        Step::Chunk(_) if left == 0 => Step::ChunkEnd,
                        Step::Chunk(_) => Step::Chunk(left),
                        _ => Step::Plain(left),
                    };
                    if left > 0 {
                        return Ok((used, false));
                    }
                }
                Step::Size | Step::Trailer | Step::ChunkEnd => {
                    let Some(line) = line(rest)? else { return Ok((used, false)) };
                    used = used.saturating_add(line.len()).saturating_add(2);
                    self.step = self.after(line)?;
                }
            }
        }
    }

    fn after(&mut self, line: &[u8]) -> Result<Step, Error> {
        match self.step {
            Step::Size => match size(line)? {
                0 => Ok(Step::Trailer),
                size if size > MAX_BODY => Err(Error::TooLarge),
                size => Ok(Step::Chunk(size)),
            },
            Step::Trailer if line.is_empty() => Ok(Step::Done),
            Step::Trailer => {
                self.trailer = self.trailer.saturating_add(line.len()).saturating_add(2);
                let named = line.contains(&b':') && !matches!(line.first(), Some(b' ' | b'\t'));
                if named && self.trailer <= MAX_TRAILER {
                    Ok(Step::Trailer)
                } else {
                    Err(Error::Malformed)
                }
            }
            _ if line.is_empty() => Ok(Step::Size),
            _ => Err(Error::Malformed),
        }
    }
}

/// A line without its end; `None` if the end has not come yet.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Error> {
    match bytes.iter().take(MAX_LINE).position(|b| *b == b'\n') {
        Some(newline) => {
            let line = bytes.get(..newline).unwrap_or_default();
            let line = line.strip_suffix(b"\r").ok_or(Error::Malformed)?;
            if line.contains(&b'\r') { Err(Error::Malformed) } else { Ok(Some(line)) }
        }
        None if bytes.len() >= MAX_LINE => Err(Error::Malformed),
        None => Ok(None),
    }
}

/// The size of a chunk: hexadecimal digits and nothing else before an extension.
fn size(line: &[u8]) -> Result<usize, Error> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii_end();
    if !(1..=16).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Error::Malformed);
    }
    let text = std::str::from_utf8(digits).map_err(|_| Error::Malformed)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| Error::Malformed)?;
    usize::try_from(size).map_err(|_| Error::TooLarge)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may overflow")]
mod tests {
    use super::*;

    /// Feeds pieces as they might arrive, keeping what was not used.
    fn read(framing: Framing, bytes: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), Error> {
        let (mut decoder, mut body) = (Decoder::new(framing), Vec::new());
        let (mut at, mut used) = (0, 0);
        loop {
            let (count, done) = decoder.take(&bytes[used..at], &mut body)?;
            used += count;
            if done || at == bytes.len() {
                return Ok((body, used, done));
            }
            at = (at + step).min(bytes.len());
        }
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let chunked = b"3\r\nabc\r\n0A;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET";
        for step in 1..=chunked.len() {
            let (body, used, done) = read(Framing::Chunked, chunked, step).unwrap();
            assert_eq!((&body[..], used, done), (&b"abc0123456789"[..], chunked.len() - 3, true));
            let (body, used, done) = read(Framing::Length(5), b"abcdeGET", step).unwrap();
            assert_eq!((&body[..], used, done), (&b"abcde"[..], 5, true));
        }
    }

    #[test]
    fn chunks_that_are_none_are_refused() {
        for bytes in [
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 1\r\n",
            "\r\n",
            "1 1\r\n",
            "g\r\n",
            ";\r\n",
            "1\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "0\r\n folded\r\n\r\n",
            "0\r\nnocolon\r\n",
            "12345678901234567\r\n",
            "1\rx\r\n",
        ] {
            let result = read(Framing::Chunked, bytes.as_bytes(), 1);
            assert_eq!(result, Err(Error::Malformed), "{bytes:?}");
        }
        let long = "1;".to_owned() + &"x".repeat(MAX_LINE);
        assert_eq!(read(Framing::Chunked, long.as_bytes(), 7), Err(Error::Malformed));
        assert_eq!(read(Framing::Chunked, b"ffffffffffffffff\r\n", 1), Err(Error::TooLarge));
        let much = "fffff\r\n".to_owned() + &"x".repeat(0xfffff) + "\r\n2\r\nxx\r\n";
        assert_eq!(read(Framing::Chunked, much.as_bytes(), 4_096), Err(Error::TooLarge));
    }
}
