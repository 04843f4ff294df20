//! Words of a query: names, texts, numbers and punctuation, each with its place.

/// A word and where it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token<'a> {
    /// Octets before it.
    pub at: usize,
    pub kind: Kind,
    /// As it stands in the query; of a text, what is between the quotes.
    pub text: &'a str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Close,
    Comma,
    Dot,
    End,
    Illegal,
    Name,
    Number,
    Open,
    Text,
}

/// Takes a query apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'a> {
    whole: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(whole: &'a str) -> Self {
        Self { whole, at: 0 }
    }

    /// The next word; at the end, [`Kind::End`] again and again.
    pub(super) fn next(&mut self) -> Token<'a> {
        let blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        let rest = self.rest();
        self.advance(rest.len().saturating_sub(rest.trim_start_matches(blank).len()));
        let (at, rest) = (self.at, self.rest());
        let Some(first) = rest.chars().next() else {
            return Token { at, kind: Kind::End, text: "" };
        };
        let (kind, length) = match first {
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            ',' => (Kind::Comma, 1),
            '.' => (Kind::Dot, 1),
            '"' | '\'' => {
                let (inside, length) = quoted(rest);
                self.advance(length);
                return Token { at, kind: Kind::Text, text: inside };
            }
            'a'..='z' | 'A'..='Z' => {
                let ends = |c: char| !c.is_ascii_alphanumeric() && c != '_';
                (Kind::Name, rest.find(ends).unwrap_or(rest.len()))
            }
            '0'..='9' | '-' => number(rest),
            other => (Kind::Illegal, other.len_utf8()),
        };
        self.advance(length);
        Token { at, kind, text: rest.get(..length).unwrap_or_default() }
    }

    fn rest(&self) -> &'a str {
        self.whole.get(self.at..).unwrap_or_default()
    }

    const fn advance(&mut self, octets: usize) {
        self.at = self.at.saturating_add(octets);
    }
}

/// What is between the quotes, and how long it is with them. A text ends at a quote of the kind
/// that opened it; one that is not closed runs to the end.
fn quoted(rest: &str) -> (&str, usize) {
    let mut escaped = false;
    let mut chars = rest.char_indices();
    let open = chars.next().map_or('"', |(_, quote)| quote);
    for (at, c) in chars {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == open {
            return (rest.get(1..at).unwrap_or_default(), at.saturating_add(1));
        }
    }
    (rest.get(1..).unwrap_or_default(), rest.len())
}

/// A number, with a sign and dots; one that runs into a letter is none.
fn number(rest: &str) -> (Kind, usize) {
    let digits = rest.strip_prefix('-').unwrap_or(rest);
    let sign = rest.len().saturating_sub(digits.len());
    let part = |c: char| c.is_ascii_digit() || c == '.';
    let length = digits.find(|c| !part(c)).unwrap_or(digits.len());
    let next = digits.get(length..).and_then(|rest| rest.chars().next());
    let whole = sign.saturating_add(length);
    match next {
        _ if !digits.starts_with(|c: char| c.is_ascii_digit()) => (Kind::Illegal, sign.max(1)),
        Some(c) if c.is_ascii_alphabetic() => (Kind::Illegal, whole.saturating_add(1)),
        _ => (Kind::Number, whole),
    }
}

/// A text without its escapes: `\'`, `\"` and `\\` stand for what follows, as Go clients write
/// them; before anything else a backslash is one, as regular expressions need it.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(next @ ('\'' | '"' | '\\'))) => {
                out.push(*next);
                let _ = chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(Kind, &str)> {
        let mut lexer = Lexer::new(text);
        std::iter::from_fn(|| Some(lexer.next()).filter(|token| token.kind != Kind::End))
            .map(|token| (token.kind, token.text))
            .collect()
    }

    #[test]
    fn a_query_falls_into_its_words() {
        use Kind::{Close, Comma, Dot, Name, Number, Open, Text};
        let expected = [
            (Name, "G"),
            (Dot, "."),
            (Name, "Has_1"),
            (Open, "("),
            (Text, "a\"b"),
            (Comma, ","),
            (Number, "-1.5"),
            (Close, ")"),
        ];
        assert_eq!(words("G .\tHas_1('a\"b'\r\n, -1.5)"), expected);
    }

    #[test]
    fn what_is_no_word_is_told_apart() {
        for text in ["#", "-", "12a", "-x", "é", "\u{0}", "@"] {
            assert_eq!(words(text).first().map(|word| word.0), Some(Kind::Illegal), "{text:?}");
        }
        assert_eq!(words("'open"), [(Kind::Text, "open")]);
        assert_eq!(words("'"), [(Kind::Text, "")]);
    }

    #[test]
    fn quotes_may_be_escaped_and_other_backslashes_stay() {
        assert_eq!(words(r"'a\'b'"), [(Kind::Text, r"a\'b")]);
        assert_eq!(unescape(r#"a\'b\"c\\d\.e\"#), r#"a'b"c\d\.e\"#);
    }
}
