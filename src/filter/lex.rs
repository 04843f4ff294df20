//! Words, numbers, addresses and symbols of a filter expression.
//!
//! As in tcpdump the longest reading wins, so `len-3` is one word and wants blanks around its
//! minus; a word may be a keyword, which only the parser can tell.

use std::net::Ipv6Addr;

use super::{Error, Problem};

/// One piece of an expression and where it stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    /// Octets from the start of the text.
    pub(super) at: usize,
    pub(super) len: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind<'a> {
    /// The end of the text.
    End,
    /// A name after a backslash: never a keyword.
    Escaped(&'a str),
    /// Two to four decimal numbers with dots between: the leading octets of an IPv4 address.
    Dotted {
        /// The octets, shifted up to where they belong.
        address: u32,
        /// 16, 24 or 32.
        bits: u8,
    },
    Mac([u8; 6]),
    Number(u32),
    Symbol(Symbol),
    V6(Ipv6Addr),
    Word(&'a str),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Symbol {
    Add,
    And,
    BitAnd,
    BitOr,
    Close,
    CloseBracket,
    Colon,
    Div,
    Equal,
    Greater,
    GreaterEqual,
    Left,
    Less,
    LessEqual,
    Mod,
    Mul,
    Not,
    NotEqual,
    Open,
    OpenBracket,
    Or,
    Right,
    Sub,
    Xor,
}

/// Longer ones first, so that `<<` is not read as `<`.
const SYMBOLS: &[(&str, Symbol)] = &[
    ("&&", Symbol::And),
    ("||", Symbol::Or),
    (">=", Symbol::GreaterEqual),
    ("<=", Symbol::LessEqual),
    ("!=", Symbol::NotEqual),
    ("==", Symbol::Equal),
    ("<<", Symbol::Left),
    (">>", Symbol::Right),
    ("+", Symbol::Add),
    ("-", Symbol::Sub),
    ("*", Symbol::Mul),
    ("/", Symbol::Div),
    ("%", Symbol::Mod),
    ("&", Symbol::BitAnd),
    ("|", Symbol::BitOr),
    ("^", Symbol::Xor),
    ("=", Symbol::Equal),
    ("<", Symbol::Less),
    (">", Symbol::Greater),
    ("!", Symbol::Not),
    ("(", Symbol::Open),
    (")", Symbol::Close),
    ("[", Symbol::OpenBracket),
    ("]", Symbol::CloseBracket),
    (":", Symbol::Colon),
];

/// Takes an expression apart. The last token is [`Kind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Error> {
    let mut tokens = Vec::new();
    let mut at = 0_usize;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let blank = rest.len().saturating_sub(rest.trim_start_matches(BLANKS).len());
        if blank > 0 {
            at = at.saturating_add(blank);
            continue;
        }
        let (kind, len) = token(rest).map_err(|problem| {
            let len = rest.chars().next().map_or(1, char::len_utf8);
            Error { at, len, problem }
        })?;
        tokens.push(Token { kind, at, len });
        at = at.saturating_add(len.max(1));
    }
    tokens.push(Token { kind: Kind::End, at: text.len(), len: 0 });
    Ok(tokens)
}

const BLANKS: [char; 4] = [' ', '\t', '\n', '\r'];

fn token(rest: &str) -> Result<(Kind<'_>, usize), Problem> {
    let address = run(rest, |b| b.is_ascii_hexdigit() || b == b':' || b == b'.');
    let word = word(rest);
    if address.len() >= word.len() && address.contains(':') {
        if let Some(mac) = mac(address) {
            return Ok((Kind::Mac(mac), address.len()));
        }
        if let Ok(v6) = address.parse() {
            return Ok((Kind::V6(v6), address.len()));
        }
        if address.matches(':').count() > 2 {
            return Err(Problem::Refused("neither a hardware nor an IPv6 address"));
        }
    }
    if !word.is_empty() {
        return Ok((classify(word)?, word.len()));
    }
    if let Some(name) = rest.strip_prefix('\\') {
        let end = name.find([' ', '!', '(', ')', '\n', '\t']).unwrap_or(name.len());
        let name = name.get(..end).filter(|name| !name.is_empty());
        let name = name.ok_or(Problem::Expected("a name after \\"))?;
        return Ok((Kind::Escaped(name), name.len().saturating_add(1)));
    }
    let symbol = SYMBOLS.iter().find(|(text, _)| rest.starts_with(text));
    let (text, symbol) = symbol.ok_or(Problem::Refused("a character that means nothing here"))?;
    Ok((Kind::Symbol(*symbol), text.len()))
}

/// The letters, digits, dots, dashes and underscores at the start, without dashes at the end.
fn word(rest: &str) -> &str {
    if !rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return "";
    }
    run(rest, |b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        .trim_end_matches(['-', '_'])
}

fn run(rest: &str, belongs: impl Fn(u8) -> bool) -> &str {
    let end = rest.bytes().position(|b| !belongs(b)).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

fn classify(word: &str) -> Result<Kind<'_>, Problem> {
    if let Some(mac) = mac(word) {
        return Ok(Kind::Mac(mac));
    }
    if let Some(number) = number(word) {
        return number.map(Kind::Number);
    }
    if word.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return dotted(word).ok_or(Problem::Refused("not an IPv4 address"));
    }
    Ok(Kind::Word(word))
}

/// A C-like number; `None` if it is none, an error if it is too large or not octal.
pub(super) fn number(word: &str) -> Option<Result<u32, Problem>> {
    let (digits, radix) = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if word.len() > 1 && word.starts_with('0') => (word, 8),
        None => (word, 10),
    };
    let looks = digits.bytes().all(|b| b.is_ascii_digit() || radix == 16 && b.is_ascii_hexdigit());
    (looks && !digits.is_empty()).then(|| {
        u32::from_str_radix(digits, radix)
            .map_err(|_| Problem::Refused("not a number of 32 bits (a leading 0 means octal)"))
    })
}

fn dotted(word: &str) -> Option<Kind<'_>> {
    let mut address = 0_u32;
    let mut bits = 0_u8;
    for part in word.split('.') {
        if part.len() > 3 || bits == 32 {
            return None;
        }
        let octet: u8 = part.parse().ok()?;
        bits = bits.checked_add(8)?;
        let shift = 32_u32.checked_sub(u32::from(bits))?;
        address |= u32::from(octet).checked_shl(shift)?;
    }
    (bits >= 16).then_some(Kind::Dotted { address, bits })
}

/// Six groups of one or two digits with `:`, `-` or `.` between, three of four with `.`, or
/// twelve digits.
fn mac(word: &str) -> Option<[u8; 6]> {
    let separator = word.bytes().find(|b| matches!(b, b':' | b'-' | b'.'));
    let (groups, width) = match separator {
        None if word.len() == 12 => (None, 12),
        None => return None,
        Some(separator) => {
            let groups = word.split(char::from(separator));
            let wide = separator == b'.' && groups.clone().count() == 3;
            (Some(groups), if wide { 4 } else { 2 })
        }
    };
    let mut value = 0_u64;
    let mut digits = 0_usize;
    let mut push = |group: &str| {
        let fits = match width {
            2 => (1..=2).contains(&group.len()),
            width => group.len() == width,
        };
        if !fits || !group.bytes().all(|b| b.is_ascii_hexdigit()) || digits >= 12 {
            return None;
        }
        let shift = u32::try_from(width.checked_mul(4)?).ok()?;
        value = value.checked_shl(shift)? | u64::from_str_radix(group, 16).ok()?;
        digits = digits.checked_add(width)?;
        Some(())
    };
    match groups {
        None => push(word)?,
        Some(groups) => groups.into_iter().try_for_each(&mut push)?,
    }
    let [_, _, octets @ ..] = value.to_be_bytes();
    (digits == 12).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind<'_>> {
        let mut kinds: Vec<_> = tokens(text).unwrap().iter().map(|token| token.kind).collect();
        assert_eq!(kinds.pop(), Some(Kind::End));
        kinds
    }

    #[test]
    fn hardware_addresses_in_all_their_spellings() {
        for text in [
            "0:1:2:a:B:ff",
            "00:01:02:0a:0b:ff",
            "0-1-2-a-b-ff",
            "0.1.2.a.b.ff",
            "0001.020a.0bff",
            "0001020A0bff",
        ] {
            assert_eq!(kinds(text), [Kind::Mac([0, 1, 2, 10, 11, 255])], "{text}");
        }
    }

    #[test]
    fn addresses_and_offsets_are_told_apart() {
        assert_eq!(kinds("::1"), [Kind::V6(Ipv6Addr::LOCALHOST)]);
        assert_eq!(kinds("fe80::1/64").len(), 3);
        assert_eq!(kinds("ip[2:2]").len(), 6);
        assert_eq!(kinds("10.1"), [Kind::Dotted { address: 0x0a01_0000, bits: 16 }]);
        assert_eq!(kinds("0x1F 017 9"), [Kind::Number(31), Kind::Number(15), Kind::Number(9)]);
        assert_eq!(kinds("6000-6008"), [Kind::Word("6000-6008")]);
        assert_eq!(kinds("\\tcp)").len(), 2);
    }

    #[test]
    fn what_is_no_token_is_pointed_at() {
        for (text, at) in [("ip é", 3), ("host 1.2.3.4.5", 5), ("len > 08", 6), ("a \\ b", 2)] {
            assert_eq!(tokens(text).unwrap_err().at, at, "{text}");
        }
    }
}
