//! SSH: RFC 4253; fingerprints of both ends: HASSH (Salesforce, 2018).

use md5::{Digest, Md5};

use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;
use crate::detect::text::{Start, hex, line, start};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::SSH, &[22], dissect);

/// The message with the algorithms (RFC 4253, 7.1).
const KEX_INIT: u8 = 20;

/// Its lists: of the key exchange, and of cipher, authentication and compression each way.
const CLIENT_LISTS: [usize; 4] = [0, 2, 4, 6];
const SERVER_LISTS: [usize; 4] = [0, 3, 5, 7];

/// Octets of an identification (RFC 4253, 4.2).
const MAX_LINE: usize = 255;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    match (start(view.data, b"SSH-"), start(view.other, b"SSH-")) {
        (Start::Whole, _) | (_, Start::Whole) => {}
        (Start::Part, _) => return Verdict::Wait,
        (Start::No, _) => return Verdict::No,
    }
    let client = read(view.from_client(), true, facts);
    let server = read(view.from_server(), false, facts);
    match (client, server) {
        (None, None) if view.len > MAX_LINE => Verdict::No,
        (Some(true), Some(true)) => Verdict::Is(Protocol::SSH),
        (None, None) => Verdict::Wait,
        _ => Verdict::More(Protocol::SSH),
    }
}

/// Reads what one end said: its identification, and if it is there, what it offers.
fn read(said: &[u8], is_client: bool, facts: &mut Facts) -> Option<bool> {
    let (identification, rest) = line(said)?;
    let version = identification.strip_prefix(b"SSH-")?;
    if !version.first()?.is_ascii_digit() || version.get(1) != Some(&b'.') {
        return None;
    }
    let (name, hassh) = if is_client {
        (Fact::SshClient, Fact::Hassh)
    } else {
        (Fact::SshServer, Fact::HasshServer)
    };
    facts.put(name, identification);
    // Version 1 offers otherwise.
    if version.starts_with(b"1.") && !version.starts_with(b"1.99") {
        return Some(true);
    }
    Some(facts.get(hassh).is_some() || offer(rest, is_client, hassh, facts).is_some())
}

fn offer(packet: &[u8], is_client: bool, hassh: Fact, facts: &mut Facts) -> Option<()> {
    let mut cursor = Cursor::new(packet);
    let len = usize::try_from(cursor.u32()?).ok()?;
    let mut cursor = Cursor::new(cursor.take(len)?);
    cursor.u8()?;
    if cursor.u8()? != KEX_INIT {
        return None;
    }
    cursor.skip(16)?;
    let mut lists = [&[][..]; 8];
    for list in &mut lists {
        let len = usize::try_from(cursor.u32()?).ok()?;
        *list = cursor.take(len)?;
    }
    let mut text = Md5::new();
    for (at, list) in (if is_client { CLIENT_LISTS } else { SERVER_LISTS }).into_iter().enumerate()
    {
        if at > 0 {
            text.update(b";");
        }
        text.update(lists.get(list)?);
    }
    let mut digits = [0; 32];
    hex(&text.finalize(), &mut digits);
    facts.put(hassh, &digits);
    Some(())
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    fn offer() -> Vec<u8> {
        let mut body = vec![4, 20];
        body.extend([7; 16]);
        for list in ["kex", "key", "c2s", "s2c", "mac", "cam", "none", "zlib", "", ""] {
            body.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            body.extend(list.as_bytes());
        }
        body.extend([0; 9]);
        let mut packet = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
        packet.extend(body);
        packet
    }

    #[test]
    fn identifications_and_fingerprints() {
        let talk = Talk::tcp(2222)
            .server(b"SSH-2.0-dropbear\r\n")
            .client(b"SSH-2.0-OpenSSH_9.6\r\n")
            .client(&offer())
            .server(&offer());
        assert_eq!(talk.protocol(), Protocol::SSH);
        assert_eq!(talk.fact(Fact::SshClient).as_deref(), Some("SSH-2.0-OpenSSH_9.6"));
        assert_eq!(talk.fact(Fact::SshServer).as_deref(), Some("SSH-2.0-dropbear"));
        // md5 of "kex;c2s;mac;none" and of "kex;s2c;cam;zlib".
        assert_eq!(talk.fact(Fact::Hassh).as_deref(), Some("90725202e0cde8e332959e4190105a05"));
        assert_eq!(
            talk.fact(Fact::HasshServer).as_deref(),
            Some("23979f3e4b80e8faa08aaf40bd37f785")
        );
    }

    #[test]
    fn one_side_in_pieces() {
        let talk = Talk::tcp(22).client(b"SS").client(b"H-1.99-x").client(b"\n");
        assert_eq!(talk.protocol(), Protocol::SSH);
        assert_eq!(Talk::tcp(22).client(b"SSH is fine\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(22).client(&[b'S'; 300]).protocol(), Protocol::UNKNOWN);
    }
}
