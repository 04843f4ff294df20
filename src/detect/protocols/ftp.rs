//! FTP: RFC 959, its extensions: RFC 2389, RFC 4217 (TLS); the connections for data as far as
//! their lists show what they are.

use super::tls;
use crate::detect::facts::Fact;
use crate::detect::text::{Start, contains, first_line, is_text, line, start_of, starts, word};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const CONTROL: Dissector = Dissector::tcp(Protocol::FTP_CONTROL, &[21], control);
pub(super) const DATA: Dissector = Dissector::tcp(Protocol::FTP_DATA, &[20], data);

/// What clients say first.
const COMMANDS: [&[u8]; 8] = [
    b"USER ",
    b"AUTH TLS",
    b"AUTH SSL",
    b"FEAT\r\n",
    b"SYST\r\n",
    b"HOST ",
    b"OPTS UTF8",
    b"CLNT ",
];

/// How servers answer that they are there, or not, or want a name, or a password.
const ANSWERS: [&[u8]; 6] = [b"220", b"120 ", b"421", b"331 ", b"530 ", b"500 "];

fn control(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let halves = [view.data, view.other];
    let says = |half: &&&[u8]| COMMANDS.iter().any(|command| starts(half, command));
    let answers = |half: &&&[u8]| {
        start_of(half, &ANSWERS) == Start::Whole && matches!(half.get(3), Some(b' ' | b'-'))
    };
    let client = halves.iter().find(says).copied().unwrap_or_default();
    let server = halves.iter().find(answers).copied();
    let tells = |server: &[u8]| {
        let banner = first_line(server);
        contains(banner, b"FTP") && !contains(banner, b"SMTP")
            || view.has_port(21) && line(server).is_some()
    };
    let is_known = match server {
        Some(server) => !client.is_empty() || tells(server),
        None => !client.is_empty() && view.has_port(21) && line(client).is_some(),
    };
    if !is_known {
        let head = view.data.get(..3).unwrap_or(view.data);
        let may = head.iter().all(u8::is_ascii_digit) && start_of(view.data, &ANSWERS) != Start::No
            || start_of(view.data, &COMMANDS) != Start::No;
        let waits = may && view.len < 512 && is_text(view.data);
        return if waits { Verdict::Wait } else { Verdict::No };
    }
    if let Some(server) = server {
        facts.put(Fact::Server, first_line(server).get(4..).unwrap_or_default());
    }
    if starts(client, b"USER ") {
        facts.put(Fact::User, word(first_line(client).get(5..).unwrap_or_default()).0);
    }
    match tls::upgraded(view, facts) {
        Some(true) => Verdict::Is(Protocol::FTPS),
        Some(false) => Verdict::More(Protocol::FTPS),
        None if contains(client, b"PASS ") => Verdict::Is(Protocol::FTP_CONTROL),
        None => Verdict::More(Protocol::FTP_CONTROL),
    }
}

/// A list of files as servers give it: in the form of `ls -l`, or in that of DOS.
fn data(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if !matches!(view.data.first(), Some(b'd' | b'-' | b'l' | b't' | b'0'..=b'9')) {
        return Verdict::No;
    }
    let Some((first, rest)) = line(view.data) else {
        let waits = view.len < 256 && is_text(view.data) && may_list(view.data);
        return if waits { Verdict::Wait } else { Verdict::No };
    };
    let entry = if starts(first, b"total ") { first_line(rest) } else { first };
    let is_list = mode(entry) && entry.len() > 40 || dos(entry);
    if is_list { Verdict::Is(Protocol::FTP_DATA) } else { Verdict::No }
}

fn may_list(entry: &[u8]) -> bool {
    mode(entry) || dos(entry) || starts(entry, b"total ")
}

/// Kind and rights, then links: `drwxr-xr-x 2`.
fn mode(entry: &[u8]) -> bool {
    let Some([kind, rights @ .., end]) = entry.first_chunk::<11>() else { return false };
    let read =
        |at: usize, letter: u8| matches!(rights.get(at), Some(r) if *r == letter || *r == b'-');
    matches!(kind, b'd' | b'-' | b'l')
        && [0, 3, 6].into_iter().all(|at| read(at, b'r'))
        && [1, 4, 7].into_iter().all(|at| read(at, b'w'))
        && matches!(end, b' ' | b'+' | b'.' | b'@')
}

/// Date, time, and size or a mark: `11-30-24  10:15AM       <DIR>`.
fn dos(entry: &[u8]) -> bool {
    let form = b"00-00-00  00:00AM ";
    entry.len() > 39
        && entry.iter().zip(form).all(|(octet, form)| match form {
            b'0' => octet.is_ascii_digit(),
            b'A' => matches!(octet, b'A' | b'P'),
            _ => octet == form,
        })
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn commands_and_answers() {
        let talk = Talk::tcp(2121).server(b"220 Welcome\r\n").client(b"USER me\r\n");
        assert_eq!(talk.protocol(), Protocol::FTP_CONTROL);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("me"));
        let talk = Talk::tcp(2121).server(b"220 ProFTPD Server ready\r\n");
        assert_eq!(talk.protocol(), Protocol::FTP_CONTROL);
        assert_eq!(Talk::tcp(2121).server(b"220 Welcome\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(2121).client(b"USER me\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(21).client(b"USER me\r\n").protocol(), Protocol::FTP_CONTROL);
    }

    #[test]
    fn lists_of_files() {
        let list = b"-rw-r--r--   1 ftp      ftp          1234 Jan 01 12:00 readme.txt\r\n";
        assert_eq!(Talk::tcp(50_020).server(list).protocol(), Protocol::FTP_DATA);
        let list = b"11-30-24  10:15AM       <DIR>          pub\r\n";
        assert_eq!(Talk::tcp(50_020).server(list).protocol(), Protocol::FTP_DATA);
        let other = b"drummer and bass and so on and so forth and more\r\n";
        assert_eq!(Talk::tcp(50_020).server(other).protocol(), Protocol::UNKNOWN);
    }
}
