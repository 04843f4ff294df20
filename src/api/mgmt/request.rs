//! The grammar of a management request (n2n's `doc/ManagementAPI.md` and what its daemons do):
//!
//! ```text
//! line    = type SP+ options SP+ method [ SP arguments ]
//! options = tag [ ":" flags [ ":" key [ ":" ignored ] ] ]
//! ```

use std::borrow::Cow;

use crate::core::select::EXPRESSIONS;

/// Longest line in octets, without its line end.
pub const MAX_LINE: usize = 80;

/// Octets of a tag that are kept and echoed.
pub const MAX_TAG: usize = 15;

/// What a datagram is, at first look.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Datagram<'a> {
    /// `help` or `?`: a person wants a hint.
    Help,
    /// An empty line: a person wants to know whether somebody is there.
    Status,
    /// A request, or an attempt at one.
    Request(Result<Request<'a>, Reject<'a>>),
    /// Not for us: never answered, so that two agents cannot answer each other for ever.
    Noise,
}

/// Read, write or subscribe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// `r`
    Read,
    /// `w`
    Write,
    /// `s`
    Subscribe,
}

/// A well-formed request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request<'a> {
    /// Read, write or subscribe.
    pub kind: Kind,
    /// Echoed in every reply, made valid UTF-8.
    pub tag: Cow<'a, str>,
    /// The key, if the flags announce one and it is not empty.
    pub key: Option<&'a [u8]>,
    /// The method or topic, made valid UTF-8.
    pub method: Cow<'a, str>,
    /// All that follows the method on the line, made valid UTF-8.
    pub arguments: Cow<'a, str>,
}

/// A malformed request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reject<'a> {
    /// The tag if it was read, else `-1`.
    pub tag: Cow<'a, str>,
    /// The error's name on the wire.
    pub error: &'static str,
}

const UNREAD_TAG: Cow<'static, str> = Cow::Borrowed("-1");

impl<'a> Datagram<'a> {
    /// Takes a datagram apart. Nothing after the first line counts.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Self {
        match bytes {
            [] | [b'{' | b'>', ..] => return Self::Noise,
            [b'?', ..] => return Self::Help,
            _ if bytes.starts_with(b"help") => return Self::Help,
            [b'r' | b'w' | b's'] | [b'r' | b'w' | b's', b'\r' | b'\n', ..] | [_, b' ', ..] => {}
            _ if bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) => return Self::Status,
            _ => return Self::Noise,
        }
        Self::Request(Request::parse(bytes))
    }
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Reject<'a>> {
        let whole = bytes.split(|b| *b == 0).next().unwrap_or_default();
        let (kind, rest) = field(whole);
        let (options, rest) = field(rest);
        let (method, rest) = field(rest);
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let arguments = rest.split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
        // The line ends with its last part, so a line end between the parts counts as a blank.
        let after = rest.len().saturating_sub(arguments.len());
        let line = whole.len().saturating_sub(after);
        let line = if method.is_empty() { whole.trim_ascii_end().len() } else { line };

        let mut subfields = options.split(|b| *b == b':').filter(|s| !s.is_empty());
        let tag = subfields.next().unwrap_or_default();
        let tag = String::from_utf8_lossy(tag.get(..MAX_TAG).unwrap_or(tag));
        let error = |error| {
            let tag = if options.is_empty() { UNREAD_TAG } else { tag.clone() };
            Err(Reject { tag, error })
        };
        if line > MAX_LINE {
            return error("toolong");
        }
        let kind = match kind.first() {
            None => return Err(Reject { tag: UNREAD_TAG, error: "notype" }),
            Some(b'r') => Kind::Read,
            Some(b'w') => Kind::Write,
            Some(b's') => Kind::Subscribe,
            Some(_) => return Err(Reject { tag: UNREAD_TAG, error: "badtype" }),
        };
        if options.is_empty() {
            return error("nooptions");
        }
        if method.is_empty() {
            return error("nocmd");
        }
        let announced = subfields.next().is_some_and(|flags| hexadecimal(flags) & 1 == 1);
        let key = subfields.next().filter(|_| announced);
        Ok(Self {
            kind,
            tag,
            key,
            method: String::from_utf8_lossy(method),
            arguments: String::from_utf8_lossy(arguments),
        })
    }
}

/// Takes arguments apart: `name=value` words, and words without a name. With `selects` the value
/// of `where=` may have blanks in it: within quotes, or up to the next word that is an argument.
#[must_use]
pub fn arguments(text: &str, selects: bool) -> (Vec<(&str, String)>, Vec<&str>) {
    let (mut named, mut words) = (Vec::new(), Vec::new());
    let mut rest = text.trim_start_matches(' ');
    while !rest.is_empty() {
        let end = rest.find(' ').unwrap_or(rest.len());
        let (word, mut after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        match word.split_once('=') {
            Some((name, _)) if selects && EXPRESSIONS.contains(&name) => {
                let behind = rest.get(name.len().saturating_add(1)..).unwrap_or_default();
                let (value, left) = expression(behind);
                named.push((name, value.to_owned()));
                after = left;
            }
            Some((name, value)) => named.push((name, value.to_owned())),
            None => words.push(word),
        }
        rest = after.trim_start_matches(' ');
    }
    (named, words)
}

/// The expression at the start of a text, and what is behind it. None begins with a quote: one
/// there is around it.
fn expression(text: &str) -> (&str, &str) {
    for quote in ['\'', '"'] {
        if let Some((inner, rest)) = text.strip_prefix(quote).and_then(|t| t.split_once(quote)) {
            return (inner, rest);
        }
    }
    let is_argument = |word: &str| {
        let named = word.split_once('=').filter(|(_, value)| !value.starts_with('='));
        named.is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())
        })
    };
    for (at, _) in text.match_indices(' ') {
        let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
        let next = rest.trim_start_matches(' ').split(' ').next().unwrap_or_default();
        if is_argument(next) {
            return (before, rest);
        }
    }
    (text, "")
}

/// The next field and what is behind it. Fields stand apart by blanks and line ends; a tabulator
/// is no separator.
fn field(bytes: &[u8]) -> (&[u8], &[u8]) {
    let separates = |b: &u8| matches!(b, b' ' | b'\r' | b'\n');
    let start = bytes.iter().position(|b| !separates(b)).unwrap_or(bytes.len());
    let bytes = bytes.get(start..).unwrap_or_default();
    let end = bytes.iter().position(separates).unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// The value of the leading hexadecimal digits, as `strtoul` with base 16 has it; junk is 0. Of
/// a longer number only the low bits stay, and only they have a meaning.
fn hexadecimal(text: &[u8]) -> u32 {
    let text = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let text = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).unwrap_or(text);
    text.iter()
        .map_while(|b| char::from(*b).to_digit(16))
        .fold(0, |value: u32, digit| value.wrapping_shl(4) | digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(line: &str) -> Request<'_> {
        match Datagram::parse(line.as_bytes()) {
            Datagram::Request(Ok(request)) => request,
            other => panic!("{line:?} is {other:?}"),
        }
    }

    fn reject(line: &str) -> (String, &'static str) {
        match Datagram::parse(line.as_bytes()) {
            Datagram::Request(Err(reject)) => (reject.tag.into_owned(), reject.error),
            other => panic!("{line:?} is {other:?}"),
        }
    }

    #[test]
    fn line_ends_blanks_and_nul_end_a_request_alike() {
        for line in [
            "r 1 help",
            "r 1 help\n",
            "r 1 help\r\n",
            "r  1   help \n\n",
            "r 1 help\0junk",
            "r\n1\nhelp\n",
        ] {
            let request = request(line);
            assert_eq!((&*request.tag, &*request.method), ("1", "help"), "{line:?}");
            assert_eq!(request.arguments.trim(), "", "{line:?}");
        }
        assert_eq!(request("w 1 verbose  2 x\ny").arguments, " 2 x");
        assert_eq!(request("r 8 verbose\nr 9 verbose").arguments, "");
    }

    #[test]
    fn an_expression_may_have_blanks_and_signs_of_its_own() {
        for (text, wanted) in [
            ("n=5 where=app==x", &[("n", "5"), ("where", "app==x")][..]),
            ("where=app==x && port == 53 n=5", &[("where", "app==x && port == 53"), ("n", "5")]),
            ("where='app == \"x y\"' n=5", &[("where", "app == \"x y\""), ("n", "5")]),
            ("filter=app != 'x' || ip == ::1", &[("filter", "app != 'x' || ip == ::1")]),
            ("where=port >=80 dev=br-lan", &[("where", "port >=80"), ("dev", "br-lan")]),
            ("where='app", &[("where", "'app")]),
            ("where=", &[("where", "")]),
        ] {
            let (named, words) = arguments(text, true);
            let named: Vec<_> = named.iter().map(|(name, value)| (*name, &**value)).collect();
            assert_eq!((&named[..], words.len()), (wanted, 0), "{text}");
        }
        let (named, words) = arguments("  start lo filter=tcp port 80 ", false);
        assert_eq!(named, [("filter", "tcp".to_owned())]);
        assert_eq!(words, ["start", "lo", "port", "80"]);
    }

    #[test]
    fn errors_carry_the_tag_once_it_is_known() {
        assert_eq!(reject("x 1 help"), ("-1".into(), "badtype"));
        assert_eq!(reject("r "), ("-1".into(), "nooptions"));
        assert_eq!(reject("r"), ("-1".into(), "nooptions"));
        assert_eq!(reject("r 1"), ("1".into(), "nocmd"));
        assert_eq!(reject("r 1\thelp"), ("1\thelp".into(), "nocmd"));
        assert_eq!(reject("  "), ("-1".into(), "notype"));
    }

    #[test]
    fn eighty_octets_are_a_line_and_one_more_is_not() {
        let line = format!("r 1 post.test {}", "x".repeat(66));
        assert_eq!(line.len(), 80);
        assert_eq!(request(&line).arguments.len(), 66);
        assert_eq!(request(&format!("{line}\r\n")).arguments.len(), 66);
        assert_eq!(reject(&format!("{line}x")), ("1".into(), "toolong"));
        assert_eq!(reject(&format!("r {} help", "t".repeat(80))).1, "toolong");
        assert_eq!(reject(&format!("r{}1 help", " ".repeat(90))), ("1".into(), "toolong"));
    }

    #[test]
    fn tags_are_kept_to_fifteen_octets_and_empty_subfields_collapse() {
        assert_eq!(request("r 1234567890123456789:1:n2n help").tag, "123456789012345");
        assert_eq!(request("r 1234567890123456789:1:n2n help").key, Some(&b"n2n"[..]));
        assert_eq!(request("r : help").tag, "");
        assert_eq!(request("r :1:n2n help").tag, "1");
        assert_eq!(request("r :1:n2n help").key, None);
        assert_eq!(request("r 2::x help").key, None);
        assert_eq!(request("r \u{fffd} help").tag, "\u{fffd}");
    }

    #[test]
    fn only_bit_zero_of_the_flags_announces_a_key() {
        for flags in ["1", "01", "0x1", "F", "ff", "3junk"] {
            assert_eq!(request(&format!("r 1:{flags}:k help")).key, Some(&b"k"[..]), "{flags}");
        }
        for flags in ["0", "2", "junk", "10", "0x"] {
            assert_eq!(request(&format!("r 1:{flags}:k help")).key, None, "{flags}");
        }
        assert_eq!(request("r 1:1 help").key, None);
        assert_eq!(request("r 1:1:k:more:words help").key, Some(&b"k"[..]));
    }

    #[test]
    fn what_looks_like_a_reply_is_noise() {
        for noise in ["", "{\"_tag\":\"1\"}", "> +OK", "stop", "+verb", "-verb", "hello", "\u{1}"] {
            assert_eq!(Datagram::parse(noise.as_bytes()), Datagram::Noise, "{noise:?}");
        }
        for line in ["\n", "\r\n", "\n\n"] {
            assert_eq!(Datagram::parse(line.as_bytes()), Datagram::Status);
        }
        for line in ["help", "?", "helpme\n"] {
            assert_eq!(Datagram::parse(line.as_bytes()), Datagram::Help);
        }
    }

    #[test]
    fn any_octets_are_safe() {
        use proptest::prelude::*;
        proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..200))| {
            let _ = Datagram::parse(&bytes);
        });
        proptest!(|(line in "[rws x] {0,3}[:a-f0-9n]{0,30} {0,2}[a-z.]{0,90}[ -~]{0,90}")| {
            let _ = Datagram::parse(line.as_bytes());
        });
    }
}
