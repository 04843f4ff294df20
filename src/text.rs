//! How a word that came from elsewhere is shown in a message. The `Debug` of strings would do, but
//! the builds for routers leave all of it out, and the tables of characters that it takes.

use std::fmt::{self, Write as _};

/// Shows a text in quotes, with what could end the quotes or the line escaped.
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_the_quotes_or_the_line_is_escaped() {
        assert_eq!(Quoted("eth0").to_string(), r#""eth0""#);
        assert_eq!(Quoted("a\"b\\c\n\u{1b}é").to_string(), r#""a\"b\\c\n\u{1b}é""#);
    }
}
