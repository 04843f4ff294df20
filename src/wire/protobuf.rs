//! Protocol Buffers on the wire (<https://protobuf.dev/programming-guides/encoding/>): a writer of
//! fields as proto3 writes them, and a bounded walk over those that come in.

/// Appends a field of a number; zero is the default and is left out.
pub fn int(out: &mut Vec<u8>, field: u32, value: i64) {
    if value != 0 {
        tag(out, field, 0);
        // Negative numbers take all ten bytes.
        varint(out, value.cast_unsigned());
    }
}

/// Appends a field of bytes or text; empty ones are left out.
pub fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    if !value.is_empty() {
        tag(out, field, 2);
        varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

/// Appends a field that is a message, which `write` appends the fields of.
pub fn message(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, 2);
    let at = out.len();
    write(out);
    let mut length = Vec::new();
    varint(&mut length, out.len().saturating_sub(at) as u64);
    out.splice(at..at, length);
}

fn tag(out: &mut Vec<u8>, field: u32, kind: u32) {
    varint(out, u64::from(field) << 3 | u64::from(kind));
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// The value of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value<'a> {
    /// Text, bytes or a message.
    Bytes(&'a [u8]),
    /// A number of fixed length.
    Fixed(u64),
    /// Any other number.
    Varint(u64),
}

/// A field can't be read: it reaches past the end, or is of a kind that there is none of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// Walks the fields of a message: number and value. Stops for good at the first that can't be
/// read.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of a message.
    #[must_use]
    pub const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                let (number, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                Value::Fixed(u64::from_le_bytes(*number))
            }
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(len)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => {
                let (number, rest) = self.rest.split_first_chunk()?;
                self.rest = rest;
                Value::Fixed(u32::from_le_bytes(*number).into())
            }
            // Groups, which proto3 has not.
            _ => return None,
        };
        (tag >> 3 != 0).then_some((tag >> 3, value))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Malformed);
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_the_standard_shows_them() {
        let mut out = Vec::new();
        int(&mut out, 1, 150);
        bytes(&mut out, 2, b"testing");
        message(&mut out, 3, |out| int(out, 1, 150));
        int(&mut out, 4, 0);
        bytes(&mut out, 5, b"");
        let expected = [&b"\x08\x96\x01\x12\x07testing"[..], b"\x1a\x03\x08\x96\x01"].concat();
        assert_eq!(out, expected);
        out.clear();
        int(&mut out, 1, -1);
        assert_eq!(out, b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    }

    #[test]
    fn what_was_written_is_read_again() {
        let mut out = Vec::new();
        int(&mut out, 1_002, -7);
        message(&mut out, 7, |out| bytes(out, 1, &[9; 300]));
        let fields: Vec<_> = Fields::new(&out).map(Result::unwrap).collect();
        assert_eq!(fields[0], (1_002, Value::Varint((-7_i64).cast_unsigned())));
        let Value::Bytes(inner) = fields[1].1 else { panic!() };
        assert_eq!(Fields::new(inner).next(), Some(Ok((1, Value::Bytes(&[9; 300])))));
    }

    #[test]
    fn a_field_past_the_end_is_malformed_and_the_last_one() {
        for wrong in [
            &b"\x0a\x05abc"[..],
            b"\x08",
            b"\x0b",
            b"\x00\x00",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            let fields: Vec<_> = Fields::new(wrong).collect();
            assert_eq!(fields, [Err(Malformed)], "{wrong:x?}");
        }
    }
}
