//! What lies below `/discover` when the settings name a discovery service: requests go there
//! without that first segment, and what comes back is handed on with our own header fields. Only
//! reading, no WebSockets, no credentials of ours.

use std::net::SocketAddr;

use super::head::{Method, Request};
use super::response::{Body, Response};
use crate::core::relay::Outcome;

/// Octets of a head that comes back.
const MAX_HEAD: usize = 16 * 1024;

/// Fields of a head that comes back.
const MAX_FIELDS: usize = 64;

/// The request as it is handed on to `service`.
pub(super) fn request(request: &Request, service: SocketAddr) -> Vec<u8> {
    let path = request.raw_path.strip_prefix("/discover").unwrap_or(&request.raw_path);
    let path = if path.is_empty() { "/" } else { path };
    let method = if request.method == Method::Head { "HEAD" } else { "GET" };
    let mut out = format!("{method} {path}");
    if !request.raw_query.is_empty() {
        out.push('?');
        out.push_str(&request.raw_query);
    }
    out.push_str(" HTTP/1.1\r\nHost: ");
    out.push_str(&service.to_string());
    // Whoever answers shows the buttons that start captures if it is asked by a capture service.
    out.push_str("\r\nEnable-Monolith: Affirmative, Dave\r\nConnection: close\r\n");
    for (name, shown) in
        [("accept", "Accept"), ("accept-language", "Accept-Language"), ("user-agent", "User-Agent")]
    {
        let value = request.field(name).unwrap_or_default();
        let is_fit = value.bytes().all(|b| matches!(b, b'\t' | 0x20..=0x7e));
        if is_fit && (!value.is_empty() || name == "user-agent") {
            out.push_str(shown);
            out.push_str(": ");
            out.push_str(value);
            out.push_str("\r\n");
        }
    }
    out.push_str("\r\n");
    out.into_bytes()
}

/// The answer for the client.
pub(super) fn answer(outcome: Outcome) -> Response {
    match outcome.map(|bytes| read(&bytes)) {
        Ok(Some(response)) => response,
        Ok(None) => Response::text(502, "the discovery service does not answer as it should"),
        Err(why) => Response::text(502, &format!("the discovery service does not answer: {why}")),
    }
}

/// Whether an answer that came as far as this is whole; `false` if only its end will tell.
#[must_use]
pub fn is_whole(bytes: &[u8]) -> bool {
    match head(bytes) {
        Some(head) if head.chunked => {
            bytes.ends_with(b"\r\n\r\n")
                && chunks(bytes.get(head.length..).unwrap_or_default()).is_some()
        }
        Some(head) => head.content.is_some_and(|content| {
            bytes.len().saturating_sub(head.length) >= content || head.is_bare
        }),
        None => false,
    }
}

struct Head {
    status: u16,
    length: usize,
    content: Option<usize>,
    chunked: bool,
    kind: Option<String>,
    location: Option<String>,
    /// No body follows, whatever the length says.
    is_bare: bool,
}

fn head(bytes: &[u8]) -> Option<Head> {
    let mut room = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut room);
    let beginning = bytes.get(..MAX_HEAD).unwrap_or(bytes);
    let httparse::Status::Complete(length) = parsed.parse(beginning).ok()? else { return None };
    let field = |name: &str| {
        let found = parsed.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.and_then(|field| std::str::from_utf8(field.value).ok()).map(str::trim)
    };
    let status = parsed.code?;
    Some(Head {
        status,
        length,
        content: field("content-length").and_then(|text| text.parse().ok()),
        chunked: field("transfer-encoding").is_some_and(|c| c.eq_ignore_ascii_case("chunked")),
        kind: field("content-type").map(str::to_owned),
        location: field("location").map(str::to_owned),
        is_bare: matches!(status, 204 | 304),
    })
}

fn read(bytes: &[u8]) -> Option<Response> {
    let head = head(bytes)?;
    let rest = bytes.get(head.length..)?;
    let body = if head.chunked {
        chunks(rest)?
    } else {
        match head.content {
            // The answer to HEAD has a length and no body.
            Some(_) if rest.is_empty() => Vec::new(),
            // Half a document is not handed on as if it were whole.
            Some(content) => rest.get(..content)?.to_vec(),
            None => rest.to_vec(),
        }
    };
    if !(200..600).contains(&head.status) {
        return None;
    }
    let kind = head.kind.filter(|kind| !kind.contains(['\r', '\n', '\0']));
    let kind = kind.unwrap_or_else(|| "application/octet-stream".to_owned());
    let response = Response::new(head.status, kind, Body::Full(body));
    // Paths of the service are below our own.
    let location = head.location.filter(|to| to.starts_with('/') && !to.starts_with("//"));
    Some(match location {
        Some(to) => response.with("Location", format!("/discover{to}")),
        None => response,
    })
}

/// The body in chunks (RFC 9112 section 7.1); `None` while it is not whole, or if it is none.
fn chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).take(256).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(rest.get(..end)?).ok()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = rest.get(end.checked_add(2)?..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(response: Response) -> (u16, String) {
        let Body::Full(bytes) = response.body else { panic!() };
        (response.status, String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn answers_are_taken_apart_however_they_end() {
        let cases: [(&[u8], bool, u16, &str); 4] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true, 200, "{}"),
            (b"HTTP/1.1 404 No\r\n\r\nhere", false, 404, "here"),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
                true,
                200,
                "abcd",
            ),
            (b"HTTP/1.1 204 OK\r\nContent-Length: 9\r\n\r\n", true, 204, ""),
        ];
        for (bytes, whole, status, text) in cases {
            assert_eq!(is_whole(bytes), whole);
            assert_eq!(body(answer(Ok(bytes.to_vec()))), (status, text.to_owned()));
        }
        for len in 0..cases[2].0.len() - 5 {
            assert!(!is_whole(&cases[2].0[..len]));
        }
    }

    #[test]
    fn nonsense_is_a_bad_gateway() {
        for bytes in [
            &b""[..],
            b"x",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\na",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na",
        ] {
            assert_eq!(answer(Ok(bytes.to_vec())).status, 502);
        }
        assert_eq!(answer(Err("connection refused".to_owned())).status, 502);
    }

    #[test]
    fn redirections_stay_below_and_never_lead_elsewhere() {
        let to = |to: &str| {
            let text = format!("HTTP/1.1 302 F\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
            answer(Ok(text.into_bytes())).headers
        };
        assert_eq!(to("/ui"), [("Location", "/discover/ui".to_owned())]);
        assert_eq!(to("//evil.example"), []);
        assert_eq!(to("https://evil.example"), []);
    }
}
