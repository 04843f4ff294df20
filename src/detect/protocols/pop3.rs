//! POP3: RFC 1939, with STLS: RFC 2595.

use super::tls;
use crate::detect::facts::Fact;
use crate::detect::text::{Start, contains, first_line, start_of, starts, word};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::POP3, &[110], dissect);

/// What clients say first.
const COMMANDS: [&[u8]; 8] =
    [b"USER ", b"CAPA\r\n", b"APOP ", b"AUTH", b"STLS\r\n", b"QUIT\r\n", b"NOOP\r\n", b"UTF8\r\n"];

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let ok: [&[u8]; 2] = [b"+OK", b"-ERR"];
    let halves = [view.data, view.other];
    let server = halves.iter().copied().find(|half| start_of(half, &ok) == Start::Whole);
    let says = |half: &&&[u8]| COMMANDS.iter().any(|command| starts(half, command));
    let client = halves.iter().find(says).copied().unwrap_or_default();
    let tells = |server: &[u8]| {
        let banner = first_line(server);
        contains(banner, b"POP") || banner.ends_with(b">") || view.has_port(110)
    };
    let is_known = match server {
        Some(server) => !client.is_empty() || tells(server),
        None => {
            client.starts_with(b"STLS")
                || client.starts_with(b"CAPA")
                || client.starts_with(b"APOP")
        }
    };
    if !is_known {
        let begins = |half: &[u8]| start_of(half, &ok) != Start::No;
        let waits =
            begins(view.data) && view.len < 512 || start_of(view.data, &COMMANDS) != Start::No;
        return if waits && view.len < 512 { Verdict::Wait } else { Verdict::No };
    }
    if let Some(server) = server {
        facts.put(Fact::Server, first_line(server).get(4..).unwrap_or_default());
    }
    if starts(client, b"USER ") {
        facts.put(Fact::User, word(first_line(client).get(5..).unwrap_or_default()).0);
    }
    match tls::upgraded(view, facts) {
        Some(true) => Verdict::Is(Protocol::POP3S),
        Some(false) => Verdict::More(Protocol::POP3S),
        None if contains(client, b"PASS ") => Verdict::Is(Protocol::POP3),
        None => Verdict::More(Protocol::POP3),
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn banners_and_commands() {
        let talk = Talk::tcp(1110).server(b"+OK ready\r\n").client(b"USER me\r\n");
        assert_eq!(talk.protocol(), Protocol::POP3);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("me"));
        assert_eq!(Talk::tcp(110).server(b"+OK\r\n").protocol(), Protocol::POP3);
        assert_eq!(Talk::tcp(1110).server(b"+OK\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(1110).client(b"CAPA\r\n").protocol(), Protocol::POP3);
    }

    #[test]
    fn upgraded_to_tls() {
        let mut hello = vec![22, 3, 1, 0, 80, 1, 0, 0, 76, 3, 3];
        hello.resize(85, 0);
        let talk = Talk::tcp(110)
            .server(b"+OK ready\r\n")
            .client(b"STLS\r\n")
            .server(b"+OK begin\r\n")
            .client(&hello);
        assert_eq!(talk.protocol(), Protocol::POP3S);
    }
}
