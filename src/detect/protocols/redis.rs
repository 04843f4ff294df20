//! Redis: its documentation, "Redis serialization protocol specification" (RESP 2 and 3).

use crate::detect::text::leading_number;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::REDIS, &[6379, 26_379], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let fits = match view.data.first() {
        // A command: how many strings, how long the first is.
        Some(b'*') => is_command(view.data),
        // Answers, and commands in a line, are told only where they are expected.
        Some(b'+' | b'-' | b':' | b'$' | b'P') if view.has_port(6379) => is_line(view.data),
        _ => Some(false),
    };
    view.judge(Protocol::REDIS, fits)
}

fn is_command(data: &[u8]) -> Option<bool> {
    let Some((1..=1024, rest)) = leading_number(data.get(1..)?) else {
        return Some(data.len() < 2);
    };
    let rest = match rest {
        [] | [b'\r'] | [b'\r', b'\n'] => return None,
        [b'\r', b'\n', b'$', rest @ ..] => rest,
        _ => return Some(false),
    };
    match leading_number(rest) {
        None => (!rest.is_empty()).then_some(false),
        Some((_, [] | [b'\r'])) => None,
        Some((len, [b'\r', b'\n', ..])) => Some(len > 0 && len <= 512),
        Some(_) => Some(false),
    }
}

fn is_line(data: &[u8]) -> Option<bool> {
    let starts =
        [&b"+OK\r\n"[..], b"+PONG\r\n", b"-ERR ", b"-NOAUTH ", b"-WRONG", b"-MOVED ", b"PING\r\n"];
    if starts.iter().any(|start| data.starts_with(start)) {
        return Some(true);
    }
    if starts.iter().any(|start| start.starts_with(data)) {
        return None;
    }
    let is_number = matches!(leading_number(data.get(1..)?), Some((_, [b'\r', b'\n', ..])));
    Some(matches!(data.first(), Some(b':' | b'$')) && is_number)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn commands_anywhere_and_answers_at_home() {
        assert_eq!(Talk::tcp(9).client(b"*1\r\n$4\r\nPING\r\n").protocol(), Protocol::REDIS);
        assert_eq!(Talk::tcp(9).client(b"*1").client(b"\r\n$4\r\n").protocol(), Protocol::REDIS);
        assert_eq!(Talk::tcp(6379).server(b"+OK\r\n").protocol(), Protocol::REDIS);
        assert_eq!(Talk::tcp(6379).server(b":17\r\n").protocol(), Protocol::REDIS);
        assert_eq!(Talk::tcp(111).server(b":17\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(6379).client(b"*x\r\n$4\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(6379).client(b"*1\r\n+4\r\n").protocol(), Protocol::UNKNOWN);
    }
}
