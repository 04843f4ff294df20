//! IRC: RFC 1459, RFC 2812, capabilities: IRCv3.

use crate::detect::facts::Fact;
use crate::detect::text::{Start, contains, first_line, line, start_of, starts, word};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(
    Protocol::IRC,
    &[6667, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6668, 6669],
    dissect,
);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let halves = [view.data, view.other];
    if let Some(server) = halves.iter().find(|half| is_server(half)) {
        let name = word(first_line(server)).0;
        if let Some(name) = name.strip_prefix(b":") {
            facts.put(Fact::Host, name);
        }
        return Verdict::Is(Protocol::IRC);
    }
    match start_of(
        view.data,
        &[b"NICK ", b"CAP LS", b"CAP REQ", b"USER ", b"PASS ", b":", b"NOTICE "],
    ) {
        Start::No => return Verdict::No,
        Start::Part => return Verdict::Wait,
        Start::Whole => {}
    }
    let Some((first, rest)) = line(view.data) else {
        return if view.len < 512 { Verdict::Wait } else { Verdict::No };
    };
    let known = if starts(first, b"CAP ") {
        true
    } else if starts(first, b"NICK ") {
        // The name alone; then who it is.
        let (name, more) = word(first.get(5..).unwrap_or_default());
        if name.is_empty() || !more.is_empty() {
            return Verdict::No;
        }
        starts(rest, b"USER ") || view.server_port >= 6660 && view.server_port <= 6669
    } else if starts(first, b"USER ") {
        contains(first, b" :") && starts(rest, b"NICK ")
    } else {
        starts(first, b"PASS ") && starts(rest, b"NICK ")
    };
    if known {
        return Verdict::Is(Protocol::IRC);
    }
    let may = !first.starts_with(b":") && !starts(first, b"NOTICE");
    if may && view.len < 512 { Verdict::Wait } else { Verdict::No }
}

/// A server's first words: a prefix with a notice or a number, a notice before that.
fn is_server(half: &[u8]) -> bool {
    if starts(half, b"NOTICE AUTH :") || starts(half, b"NOTICE * :") {
        return true;
    }
    if half.first() != Some(&b':') {
        return false;
    }
    let Some((line, _)) = line(half) else { return false };
    let Some(prefixed) = line.strip_prefix(b":") else { return false };
    let (name, rest) = word(prefixed);
    let command = word(rest).0;
    let is_number = matches!(command, b"001" | b"020" | b"433" | b"451" | b"439" | b"372" | b"353");
    name.contains(&b'.')
        && (is_number || matches!(command, b"NOTICE" | b"CAP" | b"PING" | b"PRIVMSG"))
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn both_ends() {
        let talk = Talk::tcp(7000).client(b"NICK me\r\nUSER me 0 * :Me\r\n");
        assert_eq!(talk.protocol(), Protocol::IRC);
        let talk = Talk::tcp(7000).server(b":irc.example.net NOTICE * :*** Looking up\r\n");
        assert_eq!(talk.protocol(), Protocol::IRC);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("irc.example.net"));
        assert_eq!(Talk::tcp(7000).client(b"CAP LS 302\r\n").protocol(), Protocol::IRC);
        assert_eq!(Talk::tcp(7000).client(b"NICK of time\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(7000).client(b"USER me\r\n").protocol(), Protocol::UNKNOWN);
    }
}
