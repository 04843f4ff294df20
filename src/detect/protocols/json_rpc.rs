//! JSON-RPC 2.0 on a bare connection: its specification of 2010, 4 and 5.

use crate::detect::text::find;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::JSON_RPC, &[], dissect).weak();

/// Octets within which the version is said.
const MAX_BEFORE: usize = 512;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let head = view.data.get(..MAX_BEFORE).unwrap_or(view.data);
    let fits = match head.trim_ascii_start() {
        [b'{' | b'[', ..] => true,
        rest => rest.is_empty() || rest.starts_with(b"C"),
    };
    if !fits {
        return Verdict::No;
    }
    // Editors put a length before each message, as HTTP does.
    let json = match find(head, b"\r\n\r\n") {
        Some(at) if head.starts_with(b"Content-Length: ") => head.get(at..).unwrap_or_default(),
        _ if head.starts_with(b"C") && !b"Content-Length: ".starts_with(head) => {
            return Verdict::No;
        }
        _ => head,
    };
    let version = find(json, b"\"jsonrpc\"").and_then(|at| json.get(at.saturating_add(9)..));
    let Some(version) = version else {
        return if head.len() < MAX_BEFORE { Verdict::Wait } else { Verdict::No };
    };
    let value = version.iter().filter(|octet| !matches!(octet, b' ' | b':' | b'\t')).take(5);
    if value.eq(b"\"2.0\"") || view.len < 32 {
        Verdict::Is(Protocol::JSON_RPC)
    } else {
        Verdict::No
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn calls_and_answers() {
        let call = br#"{"method": "x", "params": [], "id": 1, "jsonrpc": "2.0"}"#;
        assert_eq!(Talk::tcp(4000).client(call).protocol(), Protocol::JSON_RPC);
        let framed = b"Content-Length: 30\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":0}";
        assert_eq!(Talk::tcp(4000).client(framed).protocol(), Protocol::JSON_RPC);
        let other = br#"{"method": "x", "params": [], "id": 1, "jsonrpcx": "1"}"#;
        assert_eq!(Talk::tcp(4000).client(other).protocol(), Protocol::UNKNOWN);
    }
}
