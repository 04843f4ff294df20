//! HTTP as far as posting telemetry takes it (RFC 9112): one request a connection, and what the
//! first line of the answer says.

/// Octets of an answer that are looked at: its status is among them.
pub const STATUS: usize = 64;

/// What a server thinks of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It has taken it.
    Taken,
    /// It may take it later.
    Later(String),
    /// It will never take it.
    Refused(String),
}

/// A request with JSON objects, one a line.
#[must_use]
pub fn request(host: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: portolan/{}\r\n\
         Content-Type: application/x-ndjson\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        crate::core::report::VERSION,
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// What the beginning of an answer says, once its first line is there. A server that sends one to
/// another place is not followed: telemetry goes where the settings say.
#[must_use]
pub fn verdict(answer: &[u8]) -> Option<Verdict> {
    let line = answer.split(|b| *b == b'\n').next()?;
    if line.len() == answer.len() && answer.len() < STATUS {
        return None;
    }
    let status = line.split(|b| *b == b' ').nth(1).unwrap_or_default();
    let status = status.strip_suffix(b"\r").unwrap_or(status);
    let said = || format!("answered {}", String::from_utf8_lossy(status).escape_default());
    Some(match status {
        [b'2', _, _] => Verdict::Taken,
        [b'3', _, _] => Verdict::Refused(format!("{}: redirects are not followed", said())),
        b"408" | b"425" | b"429" => Verdict::Later(said()),
        [b'4', _, _] => Verdict::Refused(said()),
        _ => Verdict::Later(said()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_decides_what_becomes_of_a_batch() {
        let later = |text: &str| Some(Verdict::Later(text.to_owned()));
        let refused = |text: &str| Some(Verdict::Refused(text.to_owned()));
        for (answer, expected) in [
            (&b"HTTP/1.1 204 No Content\r\n\r\n"[..], Some(Verdict::Taken)),
            (b"HTTP/1.1 200", None),
            (b"HTTP/1.0 200\r\n", Some(Verdict::Taken)),
            (b"HTTP/1.1 302 Found\r\n", refused("answered 302: redirects are not followed")),
            (b"HTTP/1.1 404 Not Found\r\n", refused("answered 404")),
            (b"HTTP/1.1 429 Slow\r\n", later("answered 429")),
            (b"HTTP/1.1 503 Busy\r\n", later("answered 503")),
            (b"nonsense\n", later("answered ")),
            (b"SSH-2.0-x \x1b[2J\n", later("answered \\u{1b}[2J")),
        ] {
            assert_eq!(verdict(answer), expected, "{}", String::from_utf8_lossy(answer));
        }
        assert!(verdict(&[b'x'; STATUS]).is_some());
    }

    #[test]
    fn the_length_is_that_of_the_body() {
        let request = request("192.0.2.1:80", "/in?a=b", b"{}\n");
        let text = String::from_utf8(request).unwrap();
        assert!(text.starts_with("POST /in?a=b HTTP/1.1\r\nHost: 192.0.2.1:80\r\n"));
        assert!(text.contains("\r\nContent-Length: 3\r\n") && text.ends_with("\r\n\r\n{}\n"));
    }
}
