//! JSON out, straight into a byte buffer (RFC 8259). Reading JSON is left to `serde_json`.

use std::io::Write as _;

use crate::text::is_hidden;

/// Appends `text` as a JSON string, quotes included. Whatever [`is_hidden`] is escaped: an answer
/// may end on a terminal.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0_usize;
    for (at, c) in text.char_indices() {
        let escape: Option<&[u8]> = match c {
            '"' => Some(br#"\""#),
            '\\' => Some(br"\\"),
            '\n' => Some(br"\n"),
            '\r' => Some(br"\r"),
            '\t' => Some(br"\t"),
            c if is_hidden(c) => None,
            _ => continue,
        };
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        match escape {
            Some(escape) => out.extend_from_slice(escape),
            // Writing to a Vec cannot fail.
            None => drop(write!(out, "\\u{:04x}", u32::from(c))),
        }
        from = at.saturating_add(c.len_utf8());
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out.push(b'"');
}

/// A value as JSON in one line. `Display` of [`serde_json::Value`] would bring a second writer.
#[must_use]
pub fn text(value: &serde_json::Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// JSON of `serde_json` as [`string`] would have it: outside of texts there is nothing hidden.
#[must_use]
pub fn for_people(json: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(json.len().saturating_add(1));
    for c in json.chars() {
        if is_hidden(c) {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

/// Appends a whole number.
pub fn unsigned(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at = at.saturating_sub(1);
        if let Some(digit) = digits.get_mut(at) {
            // Below ten, so it fits.
            *digit = b'0'.wrapping_add((value % 10) as u8);
        }
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Appends a whole number that may be negative.
pub fn signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    unsigned(out, value.unsigned_abs());
}

/// Appends a number with at most six decimals; what JSON cannot say (infinities) becomes 0.
pub fn float(out: &mut Vec<u8>, value: f64) {
    if !value.is_finite() {
        return out.extend_from_slice(b"0.0");
    }
    if value.abs() >= 1e12 {
        // No decimals that matter, and perhaps more digits than fit: `1e+300`. A Vec takes all.
        return serde_json::to_writer(out, &value).unwrap_or_default();
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    // Below 10^18, so it fits.
    let mut rest = (value.abs() * 1e6).round_ties_even() as u64;
    let mut decimals = [b'0'; 6];
    for digit in decimals.iter_mut().rev() {
        *digit = b'0'.wrapping_add((rest % 10) as u8);
        rest /= 10;
    }
    unsigned(out, rest);
    out.push(b'.');
    let last = decimals.iter().rposition(|digit| *digit != b'0').unwrap_or(0);
    out.extend_from_slice(decimals.get(..=last).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_others_is_escaped_for_people() {
        let text = serde_json::to_string("a\u{9b}\u{7f}\u{202e}é\"\n").unwrap();
        let safe = for_people(&text);
        assert_eq!(safe, r#""a\u009b\u007f\u202eé\"\n""#);
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap().chars().count(), 7);
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_come_back_as_they_were() {
        for s in [
            "",
            "plain",
            "a\"b\\c",
            "\u{0}\u{1b}[31m\r\n\t",
            "ünï\u{85}\u{2028}𝄞",
            "\u{7f}\u{202e}",
        ] {
            let written = text(|out| string(out, s));
            assert_eq!(serde_json::from_str::<String>(&written).unwrap(), s, "{written}");
            assert!(!written.contains(is_hidden), "{written:?}");
        }
    }

    #[test]
    fn numbers_are_what_a_reader_reads() {
        assert_eq!(text(|o| unsigned(o, 0)), "0");
        assert_eq!(text(|o| unsigned(o, u64::MAX)), "18446744073709551615");
        assert_eq!(text(|o| signed(o, i64::MIN)), "-9223372036854775808");
        assert_eq!(text(|o| float(o, 0.5)), "0.5");
        assert_eq!(text(|o| float(o, 3.0)), "3.0");
        assert_eq!(text(|o| float(o, f64::NAN)), "0.0");
        assert_eq!(text(|o| float(o, 12.3456789)), "12.345679");
        assert_eq!(text(|o| float(o, -0.0000004)), "-0.0");
        assert_eq!(text(|o| float(o, 999_999.999_999_9)), "1000000.0");
        assert_eq!(text(|o| float(o, 1e300)), "1e+300");
    }
}
