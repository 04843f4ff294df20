//! Reading of protocols that are lines of text: beginnings, lines, header fields.

/// How a beginning compares with what should be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Start {
    /// Something else.
    No,
    /// The same, as far as it goes.
    Part,
    /// All of it is there.
    Whole,
}

/// Compares the beginning of a stream with a word, in its case.
pub(super) fn start(bytes: &[u8], word: &[u8]) -> Start {
    if bytes.starts_with(word) {
        Start::Whole
    } else if word.starts_with(bytes) {
        Start::Part
    } else {
        Start::No
    }
}

/// Compares the beginning of a stream with several words; the best answer.
pub(super) fn start_of(bytes: &[u8], words: &[&[u8]]) -> Start {
    let mut best = Start::No;
    for word in words {
        match start(bytes, word) {
            Start::Whole => return Start::Whole,
            Start::Part => best = Start::Part,
            Start::No => {}
        }
    }
    best
}

/// It begins with a word in any case.
pub(super) fn starts(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
}

/// The first line without its end, and what follows; `None` while the line has no end.
pub(super) fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = end_of_line(bytes)?;
    let (line, rest) = bytes.split_at_checked(at)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..)?))
}

/// Where the first line ends, eight octets at a time.
fn end_of_line(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let mut rest = bytes;
    while let Some((chunk, behind)) = rest.split_first_chunk() {
        let other = u64::from_ne_bytes(*chunk) ^ u64::from_ne_bytes([b'\n'; 8]);
        // The high bit of each octet that is zero, and maybe of some behind it.
        if other.wrapping_sub(ONES) & !other & ONES << 7 != 0 {
            break;
        }
        rest = behind;
    }
    let at = rest.iter().position(|octet| *octet == b'\n')?;
    Some(bytes.len().saturating_sub(rest.len()).saturating_add(at))
}

/// The first line, whole or not.
pub(super) fn first_line(bytes: &[u8]) -> &[u8] {
    line(bytes).map_or(bytes, |(line, _)| line)
}

/// The first word of a line and what follows the blanks behind it.
pub(super) fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let at = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at_checked(at).unwrap_or((line, &[]));
    (word, rest.trim_ascii_start())
}

/// The value of a header field (RFC 9110, 5) in lines up to an empty one; the name in any case.
/// The last line counts only when its end is there.
pub(super) fn field<'a>(lines: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = lines;
    while let Some((field, after)) = line(rest) {
        if field.is_empty() {
            return None;
        }
        if starts(field, name) && field.get(name.len()) == Some(&b':') {
            return Some(field.get(name.len().saturating_add(1)..)?.trim_ascii());
        }
        rest = after;
    }
    None
}

/// Where a word begins.
pub(super) fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len().max(1)).position(|window| window == word)
}

/// A word is in it, in any case.
pub(super) fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len().max(1)).any(|window| window.eq_ignore_ascii_case(word))
}

/// All of it is letters, digits, marks, blanks, tabs and ends of lines, UTF-8 let through.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|octet| matches!(octet, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..))
}

/// A decimal number, the whole of it.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u32, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit <= 9)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}

/// A number as decimal digits, in the room lent.
pub(super) fn decimal(mut number: u32, room: &mut [u8; 10]) -> &[u8] {
    let mut from = room.len();
    while from > 0 {
        from = from.saturating_sub(1);
        if let Some(digit) = room.get_mut(from) {
            *digit = u8::try_from(number % 10).unwrap_or_default().saturating_add(b'0');
        }
        number /= 10;
        if number == 0 {
            break;
        }
    }
    room.get(from..).unwrap_or_default()
}

/// Octets as hexadecimal digits, as many as there is room for.
pub(super) fn hex(bytes: &[u8], to: &mut [u8]) {
    for (pair, octet) in to.chunks_mut(2).zip(bytes) {
        for (digit, value) in pair.iter_mut().zip([octet >> 4, octet & 0x0f]) {
            *digit = value.saturating_add(if value < 10 { b'0' } else { b'a'.saturating_sub(10) });
        }
    }
}

/// One of several words is in it, in any case.
pub(super) fn contains_any(bytes: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|word| contains(bytes, word))
}

/// A name of a host without port and brackets.
pub(super) fn host(authority: &[u8]) -> &[u8] {
    let authority = match authority.iter().rposition(|octet| *octet == b'@') {
        Some(at) => authority.get(at.saturating_add(1)..).unwrap_or_default(),
        None => authority,
    };
    if let Some(inner) = authority.strip_prefix(b"[") {
        let end = inner.iter().position(|octet| *octet == b']').unwrap_or(inner.len());
        return inner.get(..end).unwrap_or_default();
    }
    let colons = authority.iter().filter(|octet| **octet == b':').count();
    match authority.iter().position(|octet| *octet == b':') {
        Some(at) if colons == 1 => authority.get(..at).unwrap_or_default(),
        _ => authority,
    }
}

/// All of it is letters, digits, marks and blanks of ASCII.
pub(super) fn is_printable(bytes: &[u8]) -> bool {
    bytes.iter().all(|octet| matches!(octet, b' '..=b'~'))
}

/// The digits at the front of a text as a number, and what follows them; at most nine.
pub(super) fn leading_number(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take(9).take_while(|octet| octet.is_ascii_digit()).count();
    let (front, rest) = text.split_at_checked(digits)?;
    if front.is_empty() {
        return None;
    }
    let value = front.iter().fold(0_u32, |sum, octet| {
        sum.saturating_mul(10).saturating_add(u32::from(octet.saturating_sub(b'0')))
    });
    Some((value, rest))
}

/// Where some octets begin among the first `within` octets.
pub(super) fn find_within(bytes: &[u8], what: &[u8], within: usize) -> Option<usize> {
    find(bytes.get(..within).unwrap_or(bytes), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_whole_partial_or_others() {
        assert_eq!(start(b"SSH-2.0", b"SSH-"), Start::Whole);
        assert_eq!(start(b"SS", b"SSH-"), Start::Part);
        assert_eq!(start(b"SX", b"SSH-"), Start::No);
        assert_eq!(start_of(b"PO", &[b"GET ", b"POST "]), Start::Part);
        assert_eq!(start_of(b"PUT /", &[b"GET ", b"PUT "]), Start::Whole);
    }

    #[test]
    fn fields_are_found_in_any_case_up_to_the_empty_line() {
        let head = b"GET / HTTP/1.1\r\nHOST: a.example \r\nX: 1\n\r\nHost: b\r\nCut: y";
        assert_eq!(field(head, b"host"), Some(&b"a.example"[..]));
        assert_eq!(field(head, b"x"), Some(&b"1"[..]));
        assert_eq!(field(head, b"cut"), None);
    }

    #[test]
    fn a_line_ends_wherever_its_end_is() {
        for at in 0..40 {
            // Octets next to the wanted one, which a search by eight might take for it.
            let mut octets = vec![0x0b; at];
            assert_eq!(end_of_line(&octets), None);
            octets.extend(b"\n\x0b\x0b\x09\n\x8a\x0a\x00");
            assert_eq!(end_of_line(&octets), Some(at));
            octets.truncate(at + 1);
            assert_eq!(line(&octets).map(|(line, rest)| (line.len(), rest.len())), Some((at, 0)));
        }
    }

    #[test]
    fn hosts_lose_ports_brackets_and_users() {
        assert_eq!(host(b"a.example:80"), b"a.example");
        assert_eq!(host(b"[2001:db8::1]:80"), b"2001:db8::1");
        assert_eq!(host(b"2001:db8::1"), b"2001:db8::1");
        assert_eq!(host(b"me@a.example"), b"a.example");
    }

    #[test]
    fn numbers_are_digits_that_fit() {
        assert_eq!(number(b"4294967295"), Some(u32::MAX));
        assert_eq!(number(b"4294967296"), None);
        assert_eq!(number(b""), None);
        assert_eq!(number(b"1a"), None);
    }
}
