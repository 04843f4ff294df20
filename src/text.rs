//! Words that come from elsewhere: how they are shown in a message, and numbers in them. Rust's own
//! ways do the same with tables of characters and of powers, twenty kilobytes on a router; its
//! builds leave `Debug` out altogether.

use std::fmt::{self, Write as _};

/// Whether a character is not seen but obeyed: control characters, which move a terminal, and
/// those of Unicode that turn the direction of a text (U+202E), end a line or take no room.
#[must_use]
pub const fn is_hidden(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{feff}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}')
}

/// A text that commands neither a terminal nor whoever reads it: see [`is_hidden`].
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '?' } else { c }).collect()
}

/// Shows a text in quotes, with what could end the quotes or the line escaped.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if is_hidden(c) => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Reads a number with a sign and decimals, such as `-0.25`, without an exponent: the nearest there
/// is up to fifteen digits, and next to it beyond.
#[must_use]
pub fn decimal(text: &str) -> Option<f64> {
    /// More digits than this change nothing, and their power of ten is exact.
    const DECIMALS: usize = 15;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = || whole.bytes().chain(fraction.bytes());
    if all().next().is_none() || !all().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let kept = whole.len().saturating_add(fraction.len().min(DECIMALS));
    let append = |number: f64, digit: u8| number * 10.0 + f64::from(digit.wrapping_sub(b'0'));
    let number = all().take(kept).fold(0.0, append);
    let scale = fraction.bytes().take(DECIMALS).fold(1.0, |scale, _| scale * 10.0);
    let number = number / scale;
    Some(if digits.len() == text.len() { number } else { -number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_the_quotes_or_the_line_is_escaped() {
        assert_eq!(Quoted("eth0").to_string(), r#""eth0""#);
        assert_eq!(Quoted("a\"b\\c\n\u{1b}é").to_string(), r#""a\"b\\c\n\u{1b}é""#);
    }

    #[test]
    fn nothing_hidden_is_shown() {
        let all = "a\0\x1b[2J\u{9b}\u{61c}\u{202e}\u{2066}\u{200f}\u{feff}\u{2028}é";
        assert_eq!(plain(all), "a??[2J???????é");
        assert_eq!(Quoted("\u{202e}gpj").to_string(), r#""\u{202e}gpj""#);
    }

    #[test]
    fn decimals_are_read_as_rust_reads_them() {
        for text in ["0", "-0.25", "2399.998", "1.", ".5", "-3", "0.1", "123456789.012345", "1e5"] {
            let wanted = text.parse().ok().filter(|_: &f64| !text.contains('e'));
            assert_eq!(decimal(text), wanted, "{text}");
        }
        for wrong in ["", "-", ".", "1.2.3", "--1", "+1", "inf", "1 ", "٣"] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
        let long = format!("0.{}", "3".repeat(400));
        assert!((decimal(&long).unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(decimal(&"9".repeat(400)), Some(f64::INFINITY));
    }
}
