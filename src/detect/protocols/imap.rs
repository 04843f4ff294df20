//! IMAP: RFC 9051 (rev2), RFC 3501 (rev1), STARTTLS: RFC 9051, 6.2.1.

use super::tls;
use crate::detect::facts::Fact;
use crate::detect::text::{Start, contains, first_line, line, start_of, starts, word};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::IMAP, &[143], dissect);

/// How servers greet.
const GREETINGS: [&[u8]; 3] = [b"* OK", b"* PREAUTH", b"* BYE"];

/// What clients say first, alone in its line.
const WORDS: [&[u8]; 4] = [b"CAPABILITY", b"STARTTLS", b"NOOP", b"LOGOUT"];

/// What clients say first, with what comes behind.
const COMMANDS: [&[u8]; 4] = [b"AUTHENTICATE ", b"ID (", b"ID NIL", b"SELECT "];

/// Octets of the tag before a command.
const MAX_TAG: usize = 16;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let halves = [view.data, view.other];
    let greets = |half: &&[u8]| start_of(half, &GREETINGS) == Start::Whole;
    let server = halves.iter().copied().find(|half| greets(half));
    let client = halves.iter().copied().find(|half| is_command(half, view.has_port(143)));
    let tells = server.is_some_and(|server| contains(first_line(server), b"IMAP"));
    if client.is_none() && !tells && !(server.is_some() && view.has_port(143)) {
        let begins = |half: &[u8]| start_of(half, &GREETINGS) != Start::No;
        let may = |half: &[u8]| {
            let tag = half.iter().take_while(|octet| octet.is_ascii_alphanumeric()).count();
            (1..=MAX_TAG).contains(&tag) && half.len() < 32 && line(half).is_none()
        };
        let fits = begins(view.data) || may(view.data);
        return if fits { Verdict::Wait } else { Verdict::No };
    }
    if let Some(server) = server {
        facts.put(Fact::Server, first_line(server).get(2..).unwrap_or_default());
    }
    let client = client.unwrap_or_default();
    if let Some(user) = login(first_line(client)) {
        facts.put(Fact::User, user);
    }
    match tls::upgraded(view, facts) {
        Some(true) => Verdict::Is(Protocol::IMAPS),
        Some(false) => Verdict::More(Protocol::IMAPS),
        None if contains(client, b" LOGIN ") || contains(client, b" SELECT ") => {
            Verdict::Is(Protocol::IMAP)
        }
        None => Verdict::More(Protocol::IMAP),
    }
}

/// A tag and a command. Three digits before a text are the answer of another protocol's server.
fn is_command(half: &[u8], is_here: bool) -> bool {
    if !half.first().is_some_and(u8::is_ascii_alphanumeric) {
        return false;
    }
    let Some((line, _)) = line(half) else { return false };
    let (tag, rest) = word(line);
    let is_answer = tag.len() == 3 && tag.iter().all(u8::is_ascii_digit);
    let is_tag = tag.iter().all(|octet| octet.is_ascii_alphanumeric() || *octet == b'.');
    (1..=MAX_TAG).contains(&tag.len())
        && is_tag
        && (is_here || !is_answer)
        && (WORDS.iter().any(|known| rest.trim_ascii_end().eq_ignore_ascii_case(known))
            || COMMANDS.iter().any(|command| starts(rest, command))
            || is_login(rest))
}

/// A name and a password, each a word, or the length of what follows the line.
fn is_login(command: &[u8]) -> bool {
    let (name, password) = word(command.get(6..).unwrap_or_default());
    starts(command, b"LOGIN ") && (!password.is_empty() || name.starts_with(b"{"))
}

fn login(command: &[u8]) -> Option<&[u8]> {
    let (_, rest) = word(command);
    let user = starts(rest, b"LOGIN ").then(|| word(rest.get(6..).unwrap_or_default()).0)?;
    Some(user.strip_prefix(b"\"").and_then(|user| user.strip_suffix(b"\"")).unwrap_or(user))
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn greetings_and_commands() {
        let talk = Talk::tcp(1143)
            .server(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
            .client(b"a1 LOGIN \"me\" secret\r\n");
        assert_eq!(talk.protocol(), Protocol::IMAP);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("me"));
        assert_eq!(Talk::tcp(1143).client(b"A0001 CAPABILITY\r\n").protocol(), Protocol::IMAP);
        assert_eq!(Talk::tcp(1143).client(b"A0001 CAPABLE\r\n").protocol(), Protocol::UNKNOWN);
        let answer = Talk::tcp(21).midway().server(b"230 Login successful.\r\n");
        assert_ne!(answer.protocol(), Protocol::IMAP);
        assert_eq!(Talk::tcp(1143).client(b"a LOGIN successful\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(1143).server(b"* OK hello\r\n").protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn upgraded_to_tls() {
        let mut hello = vec![22, 3, 1, 0, 80, 1, 0, 0, 76, 3, 3];
        hello.resize(85, 0);
        let talk = Talk::tcp(143)
            .server(b"* OK IMAP4rev1\r\n")
            .client(b"1 STARTTLS\r\n")
            .server(b"1 OK go\r\n")
            .client(&hello);
        assert_eq!(talk.protocol(), Protocol::IMAPS);
    }
}
