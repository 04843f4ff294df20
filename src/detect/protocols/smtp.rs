//! SMTP: RFC 5321, with STARTTLS: RFC 3207; LMTP: RFC 2033.

use super::tls;
use crate::detect::facts::Fact;
use crate::detect::text::{contains, contains_any, first_line, is_text, line, starts, word};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::SMTP, &[25, 587, 2525], dissect);

const PORTS: [u16; 3] = [25, 587, 2525];

const GREETINGS: [&[u8]; 3] = [b"EHLO ", b"HELO ", b"LHLO "];

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let client = first_of(view, greets);
    let server = first_of(view, |half| half.starts_with(b"220"));
    let is_port = PORTS.iter().any(|port| view.has_port(*port));
    let fits = match (client, server) {
        // The old greeting is a word that others use.
        (Some(client), None) if starts(client, b"HELO ") && !is_port => {
            return if view.other.is_empty() { Verdict::Wait } else { Verdict::No };
        }
        (Some(_), _) => true,
        (None, Some(banner)) => {
            let Some((banner, _)) = line(banner) else { return waits(view) };
            let tells = contains_any(banner, &[b"SMTP", b"LMTP", b"Postfix", b"sendmail", b"Exim"]);
            let silent = view.data.is_empty() || view.other.len() < 5;
            match banner.get(3) {
                Some(b' ' | b'-') if tells => true,
                // Word of the client will tell.
                Some(b' ' | b'-') if silent => return Verdict::Wait,
                _ => is_port,
            }
        }
        (None, None) => return waits(view),
    };
    if !fits {
        return Verdict::No;
    }
    if let Some(banner) = server {
        // Servers begin with their name.
        let name = word(first_line(banner).get(4..).unwrap_or_default()).0;
        if name.contains(&b'.') && name.iter().all(|octet| octet.is_ascii_graphic()) {
            facts.put(Fact::Host, name);
        }
        facts.put(Fact::Server, first_line(banner).get(4..).unwrap_or_default());
    }
    let client = client.unwrap_or_default();
    match tls::upgraded(view, facts) {
        Some(true) => Verdict::Is(Protocol::SMTPS),
        Some(false) => Verdict::More(Protocol::SMTPS),
        None if contains(client, b"\nMAIL FROM:") => Verdict::Is(Protocol::SMTP),
        None => Verdict::More(Protocol::SMTP),
    }
}

/// A greeting, with one name or address behind it.
fn greets(half: &[u8]) -> bool {
    let name = first_line(half).get(5..).unwrap_or_default().trim_ascii_end();
    GREETINGS.iter().any(|word| starts(half, word)) && !name.contains(&b' ')
}

/// The half of the stream that begins so.
fn first_of<'a>(view: &View<'a>, begins: fn(&[u8]) -> bool) -> Option<&'a [u8]> {
    [view.data, view.other].into_iter().find(|half| begins(half))
}

/// Neither end has said enough, if it may be.
fn waits(view: &View<'_>) -> Verdict {
    let may = |half: &[u8]| {
        half.len() < 5 && GREETINGS.iter().any(|word| starts(word, half))
            || half.len() < 3 && b"220".starts_with(half)
            || half.starts_with(b"220") && half.len() < 512 && is_text(half)
    };
    let silent = |half: &[u8]| half.is_empty();
    let fits = may(view.data) && (silent(view.other) || may(view.other));
    if fits { Verdict::Wait } else { Verdict::No }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn greetings_of_both() {
        let talk = Talk::tcp(2526)
            .server(b"220 mx.example.com ready\r\n")
            .client(b"EHLO a.example\r\n")
            .server(b"250 mx.example.com\r\n")
            .client(b"MAIL FROM:<a@b>\r\n");
        assert_eq!(talk.protocol(), Protocol::SMTP);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("mx.example.com"));
        let talk = Talk::tcp(25).server(b"220 mx.example.com ESMTP Postfix\r\n");
        assert_eq!(talk.protocol(), Protocol::SMTP);
        let chat = Talk::tcp(2526).client(b"helo to you\r\n").server(b"what\r\n");
        assert_eq!(chat.protocol(), Protocol::UNKNOWN);
        let old = Talk::tcp(2526).client(b"HELO a\r\n").server(b"220 mx ready\r\n");
        assert_eq!(old.protocol(), Protocol::SMTP);
        assert_eq!(Talk::tcp(25).client(b"EH").client(b"LO x\r\n").protocol(), Protocol::SMTP);
    }

    #[test]
    fn upgraded_to_tls() {
        let mut hello = vec![22, 3, 1, 0, 80, 1, 0, 0, 76, 3, 3];
        hello.resize(85, 0);
        let talk = Talk::tcp(25)
            .server(b"220 mx.example.com ESMTP\r\n")
            .client(b"EHLO a\r\n")
            .server(b"250-mx\r\n250 STARTTLS\r\n")
            .client(b"STARTTLS\r\n")
            .server(b"220 Go ahead\r\n")
            .client(&hello);
        assert_eq!(talk.protocol(), Protocol::SMTPS);
    }

    #[test]
    fn other_servers_say_220_too() {
        let talk = Talk::tcp(2121).server(b"220 FTP ready\r\n").client(b"USER a\r\n");
        assert_eq!(talk.protocol(), Protocol::FTP_CONTROL);
    }
}
