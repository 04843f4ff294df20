//! SOCKS: RFC 1928 (version 5), SOCKS 4 and 4A as NEC's and OpenSSH's documents have them.

use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::SOCKS, &[1080], dissect);

/// Octets of a user's or a host's name.
const MAX_NAME: usize = 255;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    match view.from_client().first() {
        Some(4) => version_4(view, facts),
        Some(5) => version_5(view, facts),
        None if matches!(view.from_server(), [5, _] | [0, 0x5a..=0x5d, ..]) && view.is_start => {
            Verdict::Wait
        }
        _ => Verdict::No,
    }
}

/// Whether is to connect or to wait, a port, an address, a user, perhaps a name.
fn version_4(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let mut cursor = Cursor::new(view.from_client());
    let fixed = (cursor.u8(), cursor.u8(), cursor.u16(), cursor.u32());
    let (Some(_), Some(command), Some(port), Some(address)) = fixed else {
        let fits = matches!(view.from_client(), [4] | [4, 1 | 2, ..]);
        return if fits { Verdict::Wait } else { Verdict::No };
    };
    if !matches!(command, 1 | 2) || port == 0 || address == 0 || cursor.rest().len() > 2 * MAX_NAME
    {
        return Verdict::No;
    }
    let Some(user) = cursor.until(0) else { return Verdict::Wait };
    if !user.is_ascii() {
        return Verdict::No;
    }
    // No such address: a name follows (4A).
    if address >> 8 == 0 {
        match cursor.until(0) {
            Some(name) if name.iter().all(u8::is_ascii_graphic) => facts.put(Fact::Host, name),
            Some(_) => return Verdict::No,
            None => return Verdict::Wait,
        }
    }
    if !cursor.is_empty() && view.from_server().is_empty() {
        return Verdict::No;
    }
    facts.put(Fact::User, user);
    match view.from_server() {
        [] if view.has_port(1080) => Verdict::Is(Protocol::SOCKS),
        [] => Verdict::Wait,
        [0, 0x5a..=0x5d, ..] => Verdict::Is(Protocol::SOCKS),
        _ => Verdict::No,
    }
}

/// Ways to prove who one is; the server's choice among them; then what is wanted.
fn version_5(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let mut cursor = Cursor::new(view.from_client());
    cursor.u8();
    let Some(methods) = cursor.counted8() else {
        let fits = view.from_client().len() < 32 && view.from_server().is_empty();
        return if fits { Verdict::Wait } else { Verdict::No };
    };
    let is_method = |method: &u8| matches!(method, 0..=9 | 0x80..=0xfe);
    if methods.is_empty() || methods.len() > 16 || !methods.iter().all(is_method) {
        return Verdict::No;
    }
    // Some begin before they are answered.
    let rest = cursor.rest();
    match view.from_server() {
        [5, chosen, ..] if methods.contains(chosen) || *chosen == 0xff => {
            read_request(rest, facts);
            if rest.is_empty() && *chosen != 0xff {
                Verdict::More(Protocol::SOCKS)
            } else {
                Verdict::Is(Protocol::SOCKS)
            }
        }
        [] | [5] if rest.is_empty() && view.has_port(1080) => Verdict::More(Protocol::SOCKS),
        [] | [5] if rest.is_empty() => Verdict::Wait,
        [] | [5] if read_request(rest, facts).is_some() => Verdict::Is(Protocol::SOCKS),
        _ => Verdict::No,
    }
}

/// Connect, bind or associate, and an address or a name.
fn read_request(request: &[u8], facts: &mut Facts) -> Option<()> {
    let [5, 1..=3, 0, kind] = *request.first_chunk()? else { return None };
    let mut cursor = Cursor::new(request.get(4..)?);
    match kind {
        1 => cursor.skip(6),
        3 => {
            facts.put(Fact::Host, cursor.counted8()?);
            cursor.skip(2)
        }
        4 => cursor.skip(18),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn version_5() {
        let talk = Talk::tcp(9050)
            .client(b"\x05\x02\0\x02")
            .server(b"\x05\0")
            .client(b"\x05\x01\0\x03\x09a.example\x01\xbb");
        assert_eq!(talk.protocol(), Protocol::SOCKS);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("a.example"));
        let talk = Talk::tcp(9050).client(b"\x05\x01\0").server(b"\x05\x02");
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(9050).client(b"\x05\x01\0").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(1080).client(b"\x05\x01\0").protocol(), Protocol::SOCKS);
    }

    #[test]
    fn version_4_and_names() {
        let talk = Talk::tcp(9050)
            .client(b"\x04\x01\x01\xbb\0\0\0\x01me\0a.example\0")
            .server(b"\0\x5a\0\0\0\0\0\0");
        assert_eq!(talk.protocol(), Protocol::SOCKS);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("a.example"));
        let talk = Talk::tcp(1080).client(b"\x04\x01\x01\xbb\xc0\0\x02\x01\0");
        assert_eq!(talk.protocol(), Protocol::SOCKS);
        let talk = Talk::tcp(1080).client(b"\x04\x03\x01\xbb\xc0\0\x02\x01\0");
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
    }
}
