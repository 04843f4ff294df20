//! Remote commands of old: rsh and rexec (4.2BSD, rshd(8) and rexecd(8)), rlogin (RFC 1282).

use crate::detect::cursor::Cursor;
use crate::detect::text::is_printable;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::RSH, &[], dissect);

const REXEC: u16 = 512;
const RLOGIN: u16 = 513;
const RSH: u16 = 514;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let (protocol, has_port) = match view.server_port {
        REXEC => (Protocol::REXEC, true),
        RLOGIN => (Protocol::RLOGIN, false),
        RSH => (Protocol::RSH, true),
        _ => return Verdict::No,
    };
    view.judge(protocol, read(view.from_client(), has_port, facts))
}

/// A port for errors in digits, or nothing; then names, each ended by a zero.
fn read(data: &[u8], has_port: bool, facts: &mut Facts) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if data.len() > 512 {
        return Some(false);
    }
    let first = data.first()?;
    if *first != 0 && !(has_port && first.is_ascii_digit()) {
        return Some(false);
    }
    let port = cursor.until(0)?;
    let is_port =
        port.len() <= 5 && port.iter().all(u8::is_ascii_digit) && (has_port || port.is_empty());
    if !is_port
        || !is_printable(cursor.rest().split(|octet| *octet == 0).next().unwrap_or_default())
    {
        return Some(false);
    }
    let (user, other) = (cursor.until(0)?, cursor.until(0)?);
    let command = cursor.until(0)?;
    facts.put(Fact::User, user);
    Some(!user.is_empty() && is_printable(user) && is_printable(other) && is_printable(command))
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn commands_are_run_elsewhere() {
        let talk = Talk::tcp(514).client(b"1022\0").server(b"\0").client(b"root\0root\0ls\0");
        assert_eq!(talk.protocol(), Protocol::RSH);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("root"));
        let login = Talk::tcp(513).client(b"\0").client(b"a\0b\0vt100/9600\0");
        assert_eq!(login.protocol(), Protocol::RLOGIN);
        assert_eq!(Talk::tcp(512).client(b"0\0a\0pw\0id\0").protocol(), Protocol::REXEC);
        assert_eq!(Talk::tcp(514).client(b"10x2\0root\0root\0ls\0").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(515).client(b"1022\0root\0root\0ls\0").protocol(), Protocol::UNKNOWN);
    }
}
