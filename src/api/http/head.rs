//! The head of a request (RFC 9110, RFC 9112): read by `httparse`, then held against the rules
//! that keep a proxy and this server of one mind about where a request ends.

use std::net::SocketAddr;

/// Octets of the request target: capture clients put a description of hundreds of interfaces
/// there, with every quote escaped.
pub const MAX_TARGET: usize = 64 * 1024;

/// Octets of the header fields, where the same description comes once more.
pub const MAX_FIELDS: usize = 48 * 1024;

/// Header fields.
pub const MAX_FIELD_COUNT: usize = 64;

/// Octets of a request body.
pub const MAX_BODY: usize = 1024 * 1024;

/// Octets of a whole head: the target, the fields, and what else a request line has.
pub const MAX_HEAD: usize = MAX_TARGET + MAX_FIELDS + 64;

/// A request method (RFC 9110 section 9, RFC 5789).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Method {
    Delete,
    Get,
    Head,
    Options,
    /// One that nothing here answers.
    Other,
    Patch,
    Post,
    Put,
}

impl Method {
    /// As it stands in the request line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Other => "",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    fn parse(name: &str) -> Self {
        [Self::Delete, Self::Get, Self::Head, Self::Options, Self::Patch, Self::Post, Self::Put]
            .into_iter()
            .find(|method| method.name() == name)
            .unwrap_or(Self::Other)
    }

    /// Whether it may change something.
    #[must_use]
    pub const fn is_unsafe(self) -> bool {
        !matches!(self, Self::Get | Self::Head | Self::Options)
    }
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// In chunks.
    Chunked,
    /// By its length; 0 if there is none.
    Length(usize),
}

/// A request: first its head, in the end with its body.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// The path with its escapes taken out, cut at the slashes that stood there.
    pub path: Vec<String>,
    /// The path as it was sent, the query excluded.
    pub raw_path: String,
    /// The query as it was sent.
    pub raw_query: String,
    /// Names and values of the query.
    pub query: Vec<(String, String)>,
    /// The authority of a target in absolute form.
    pub authority: Option<String>,
    /// HTTP/1.1, not 1.0.
    pub is_11: bool,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// How the body is delimited.
    pub framing: Framing,
    /// The body, once it is here.
    pub body: Vec<u8>,
    /// Where it comes from.
    pub remote: SocketAddr,
    /// Where it was sent to.
    pub local: SocketAddr,
}

/// Why a head is refused: an HTTP status and what to say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bad {
    /// The HTTP status.
    pub status: u16,
    /// One sentence.
    pub text: &'static str,
}

const fn bad(text: &'static str) -> Bad {
    Bad { status: 400, text }
}

/// Octets of the head at the start of `bytes`, the empty line included; `None` if its end is not
/// there yet. `from` octets were searched before.
#[must_use]
pub fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let from = from.saturating_sub(3);
    let mut rest = bytes.get(from..)?;
    let mut at = from;
    while let Some(newline) = rest.iter().position(|b| *b == b'\n') {
        at = at.saturating_add(newline).saturating_add(1);
        rest = rest.get(newline.saturating_add(1)..).unwrap_or_default();
        // An empty line before the request line ends nothing.
        let before = bytes.get(..at).unwrap_or_default();
        let blank = before.iter().all(|b| matches!(b, b'\r' | b'\n'));
        if blank {
            continue;
        }
        match rest {
            [b'\n', ..] => return Some(at.saturating_add(1)),
            [b'\r', b'\n', ..] => return Some(at.saturating_add(2)),
            _ => {}
        }
    }
    None
}

/// Whether a head whose end has not come is too large already, and in which way.
#[must_use]
pub fn overflow(bytes: &[u8]) -> Option<Bad> {
    match bytes.iter().position(|b| *b == b'\n') {
        None if bytes.len() > MAX_TARGET.saturating_add(32) => Some(TARGET),
        Some(line) if bytes.len() > line.saturating_add(MAX_FIELDS).saturating_add(4) => {
            Some(FIELDS)
        }
        _ => None,
    }
}

const TARGET: Bad = Bad { status: 414, text: "URI Too Long" };
const FIELDS: Bad = Bad { status: 431, text: "Request Header Fields Too Large" };

impl Request {
    /// Reads a whole head.
    ///
    /// # Errors
    /// See [`Bad`]; the connection cannot go on.
    pub fn parse(bytes: &[u8], remote: SocketAddr, local: SocketAddr) -> Result<Self, Bad> {
        let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(0);
        let bytes = bytes.get(start..).unwrap_or_default();
        if let Some(bad) = overflow(bytes) {
            return Err(bad);
        }
        let mut room = [httparse::EMPTY_HEADER; MAX_FIELD_COUNT];
        let mut parsed = httparse::Request::new(&mut room);
        match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
            Ok(_) => return Err(bad("malformed header")),
            Err(httparse::Error::TooManyHeaders) => return Err(FIELDS),
            Err(httparse::Error::Version) => {
                return Err(Bad { status: 505, text: "HTTP Version Not Supported" });
            }
            Err(_) => return Err(bad("malformed request")),
        }
        let newlines = bytes.iter().filter(|b| **b == b'\n').count();
        let pairs = bytes.windows(2).filter(|pair| *pair == b"\r\n").count();
        if pairs != 0 && pairs != newlines {
            return Err(bad("line endings of two kinds"));
        }
        let method = Method::parse(parsed.method.unwrap_or_default());
        let target = parsed.path.unwrap_or_default();
        if target.len() > MAX_TARGET {
            return Err(TARGET);
        }
        let mut fields = Vec::with_capacity(parsed.headers.len());
        for field in parsed.headers.iter() {
            let value = String::from_utf8_lossy(field.value);
            fields.push((field.name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let is_11 = parsed.version == Some(1);
        let (authority, target) = split_target(target)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // What follows a # never leaves a browser.
        if target.contains('#') || !target.is_ascii() {
            return Err(bad("malformed target"));
        }
        let segments = path.split('/').skip(1).map(unescape);
        let path_segments: Option<Vec<String>> = segments.collect();
        let mut request = Self {
            method,
            path: path_segments.ok_or_else(|| bad("malformed target"))?,
            raw_path: path.to_owned(),
            raw_query: query.to_owned(),
            query: pairs_of(query),
            authority,
            is_11,
            fields,
            framing: Framing::Length(0),
            body: Vec::new(),
            remote,
            local,
        };
        request.framing = request.find_framing()?;
        Ok(request)
    }

    /// The value of a header field, by its name in lower case; of several the first.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All values of a header field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a header field is a list that names `token`.
    #[must_use]
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    }

    /// The value of a name in the query; of several the first.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the connection stays open after the answer.
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        if self.lists("connection", "close") {
            return false;
        }
        self.is_11 || self.lists("connection", "keep-alive")
    }

    /// Whether there is a body.
    #[must_use]
    pub const fn has_body(&self) -> bool {
        !matches!(self.framing, Framing::Length(0))
    }

    fn find_framing(&self) -> Result<Framing, Bad> {
        let mut lengths = self.all("content-length");
        let mut codings = self.all("transfer-encoding");
        match (lengths.next(), codings.next()) {
            (None, None) => Ok(Framing::Length(0)),
            (Some(_), Some(_)) => Err(bad("both a length and a transfer coding")),
            (None, Some(coding)) => {
                let chunked = coding.eq_ignore_ascii_case("chunked") && codings.next().is_none();
                if chunked && self.is_11 {
                    Ok(Framing::Chunked)
                } else {
                    Err(bad("transfer coding"))
                }
            }
            (Some(length), None) => {
                let digits =
                    (1..=19).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit());
                if !digits || lengths.next().is_some() {
                    return Err(bad("malformed length"));
                }
                let length: u64 = length.parse().map_err(|_| bad("malformed length"))?;
                let too_large = Bad { status: 413, text: "Request Entity Too Large" };
                let length = usize::try_from(length).ok().filter(|length| *length <= MAX_BODY);
                length.map(Framing::Length).ok_or(too_large)
            }
        }
    }
}

/// The authority, of a target in absolute form, and the path with its query.
fn split_target(target: &str) -> Result<(Option<String>, &str), Bad> {
    if target.starts_with('/') || target == "*" {
        return Ok((None, target));
    }
    let scheme = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let rest = scheme.and_then(|_| target.get(7..)).ok_or_else(|| bad("malformed target"))?;
    let slash = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(slash).unwrap_or((rest, ""));
    let path = if path.is_empty() { "/" } else { path };
    if authority.is_empty() || !path.starts_with('/') {
        return Err(bad("malformed target"));
    }
    Ok((Some(authority.to_owned()), path))
}

/// Names and values of a query or of a form.
#[must_use]
pub fn pairs_of(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(256);
    pairs
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| unescape(&text.replace('+', " "));
            Some((plain(name)?, plain(value)?))
        })
        .collect()
}

/// Takes the `%` escapes out; `None` if one is malformed, or what comes out is no text.
fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |c: u8| char::from(c).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        out.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Request, Bad> {
        let bytes = text.as_bytes();
        assert_eq!(end(bytes, 0), Some(bytes.len()), "{text:?}");
        let address = ([127, 0, 0, 1], 8_082).into();
        Request::parse(bytes, address, address)
    }

    fn status(text: &str) -> u16 {
        parse(text).err().map_or(200, |bad| bad.status)
    }

    #[test]
    fn a_head_is_taken_apart() {
        let text = "GET /api/node/a%2Fb%20c?x=1&y=a%20b+c&z HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a:2 \r\n\r\n";
        let request = parse(text).unwrap();
        assert_eq!(request.method, Method::Get);
        assert_eq!(request.path, ["api", "node", "a/b c"]);
        assert_eq!(request.parameter("y"), Some("a b c"));
        assert_eq!(request.parameter("z"), Some(""));
        assert_eq!(request.all("x-a").collect::<Vec<_>>(), ["1", "2"]);
        assert!(request.keeps_alive() && !request.has_body());
        assert!(!parse("GET / HTTP/1.0\r\n\r\n").unwrap().keeps_alive());
        assert!(parse("GET / HTTP/1.0\nConnection: Keep-Alive\n\n").unwrap().keeps_alive());
        let absolute = parse("GET http://h:1/p?q HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!((absolute.authority.as_deref(), &*absolute.raw_path), (Some("h:1"), "/p"));
    }

    #[test]
    fn lengths_that_two_readers_could_take_for_two_are_refused() {
        for (fields, expected) in [
            ("Content-Length: 5", 200),
            ("Content-Length: +5", 400),
            ("Content-Length: -5", 400),
            ("Content-Length: 0x5", 400),
            ("Content-Length: 5, 5", 400),
            ("Content-Length: 5 5", 400),
            ("Content-Length:", 400),
            ("Content-Length: 5\r\nContent-Length: 5", 400),
            ("Content-Length: 5\r\nContent-Length: 6", 400),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding: chunked\r\nContent-Length: 0", 400),
            ("Transfer-Encoding: chunked", 200),
            ("Transfer-Encoding: Chunked", 200),
            ("Transfer-Encoding: xchunked", 400),
            ("Transfer-Encoding: identity", 400),
            ("Transfer-Encoding: gzip, chunked", 400),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
            ("Transfer-Encoding : chunked", 400),
            ("X: 1\r\n Transfer-Encoding: chunked", 400),
            ("X: 1\r\n\tfolded", 400),
            ("X: a\nContent-Length: 5", 400),
            ("X\r\n: y", 400),
            ("X: a\0b", 400),
            ("Content-Length: 1048576", 200),
            ("Content-Length: 1048577", 413),
            ("Content-Length: 99999999999999999999", 400),
            ("Content-Length: 9223372036854775808", 413),
        ] {
            assert_eq!(
                status(&format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n")),
                expected,
                "{fields}"
            );
        }
        assert_eq!(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
    }

    #[test]
    fn targets_and_versions_that_are_none_are_refused() {
        for (line, expected) in [
            ("GET / HTTP/1.1", 200),
            ("GET  / HTTP/1.1", 400),
            ("GET / HTTP/2.0", 505),
            ("GET /%zz HTTP/1.1", 400),
            ("GET /%ff HTTP/1.1", 400),
            ("GET /a#b HTTP/1.1", 400),
            ("GET api HTTP/1.1", 400),
            ("GET https://h/ HTTP/1.1", 400),
            ("GET http:///x HTTP/1.1", 400),
            ("CONNECT h:1 HTTP/1.1", 400),
            ("OPTIONS * HTTP/1.1", 200),
            ("GET /", 400),
            ("G(T / HTTP/1.1", 400),
        ] {
            assert_eq!(status(&format!("{line}\r\n\r\n")), expected, "{line}");
        }
    }

    #[test]
    fn large_heads_are_refused_before_they_end() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_TARGET));
        assert_eq!(status(&long), 414);
        assert_eq!(overflow("x".repeat(MAX_TARGET + 100).as_bytes()), Some(TARGET));
        let most = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_TARGET - 1));
        assert_eq!(status(&most), 200);
        let fields = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(MAX_FIELDS + 1));
        assert_eq!(overflow(fields.as_bytes()), Some(FIELDS));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(MAX_FIELD_COUNT));
        assert_eq!(status(&many), 200);
        let more = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(MAX_FIELD_COUNT + 1));
        assert_eq!(status(&more), 431);
    }

    #[test]
    fn the_end_is_found_wherever_the_bytes_are_cut() {
        let text = b"\r\nGET / HTTP/1.1\r\nA: b\r\n\r\nrest";
        for cut in 0..text.len() {
            let whole = cut >= text.len() - 4;
            assert_eq!(end(&text[..cut], 0).is_some(), whole, "{cut}");
            assert_eq!(end(text, cut.min(22)), Some(text.len() - 4), "{cut}");
        }
    }
}
