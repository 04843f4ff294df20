//! MySQL and MariaDB: MySQL Internals Manual, "Client/Server Protocol".

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::MYSQL, &[3306], dissect);

/// Octets before each packet's payload.
const HEADER: usize = 4;

/// Capability of everything since version 4.1.
const PROTOCOL_41: u32 = 0x200;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([a, b, c, sequence]) = view.at(0) else { return Verdict::Wait };
    let len = usize::try_from(u32::from_le_bytes([a, b, c, 0])).unwrap_or(usize::MAX);
    let mut cursor = view.cursor();
    let packet = cursor.skip(HEADER).and_then(|()| cursor.take(len));
    let Some(packet) = packet else {
        return if (20..1_024).contains(&len) && sequence <= 1 {
            Verdict::Wait
        } else {
            Verdict::No
        };
    };
    let fits = match sequence {
        // The server greets, or refuses.
        0 if cursor.is_empty() => read_greeting(packet, facts),
        // One direction only, or the greeting got lost.
        1 => read_login(packet, facts),
        _ => None,
    };
    if fits.is_some() { Verdict::Is(Protocol::MYSQL) } else { Verdict::No }
}

fn read_greeting(packet: &[u8], facts: &mut Facts) -> Option<()> {
    let mut cursor = Cursor::new(packet);
    match cursor.u8()? {
        10 => {
            let version = cursor.until(0)?;
            let is_version = version.len() <= 64
                && version.first()?.is_ascii_digit()
                && version.contains(&b'.')
                && version.is_ascii();
            cursor.skip(12)?;
            // The salt ends with a filler.
            (is_version && cursor.u8()? == 0).then(|| facts.put(Fact::Version, version))
        }
        255 => {
            let code = cursor.u16_le()?;
            let text = cursor.rest();
            ((1_000..4_000).contains(&code) && text.len() > 8 && text.is_ascii()).then_some(())
        }
        _ => None,
    }
}

/// Capabilities, largest packet, character set, 23 zeros, the user.
fn read_login(packet: &[u8], facts: &mut Facts) -> Option<()> {
    let mut cursor = Cursor::new(packet);
    let capabilities = cursor.u32_le()?;
    cursor.skip(5)?;
    // MariaDB has put more capabilities into the last four.
    let zeros = cursor.take(19)?;
    cursor.skip(4)?;
    let is_login = capabilities & PROTOCOL_41 != 0 && zeros.iter().all(|octet| *octet == 0);
    if let Some(user) = cursor.until(0).filter(|_| is_login) {
        facts.put(Fact::User, user);
    }
    is_login.then_some(())
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![u8::try_from(payload.len()).unwrap(), 0, 0, sequence];
        packet.extend_from_slice(payload);
        packet
    }

    #[test]
    fn a_server_greets() {
        let greeting = packet(0, b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0\xff\xff\xff\x02\0\xff\xdf\x15");
        let talk = Talk::tcp(3307).server(&greeting);
        assert_eq!(talk.protocol(), Protocol::MYSQL);
        assert_eq!(talk.fact(Fact::Version).as_deref(), Some("8.0.36"));
        Talk::tcp(3306).client(&greeting).survives();
        let split = Talk::tcp(3307).server(&greeting[..9]).server(&greeting[9..]);
        assert_eq!(split.protocol(), Protocol::MYSQL);
        let other = packet(0, b"\x0ax.0.36\0\x08\0\0\0abcdefgh\0\xff\xff");
        assert_eq!(Talk::tcp(3306).server(&other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_server_refuses() {
        let refusal = packet(0, b"\xff\x6a\x04Host 'x' is not allowed to connect");
        assert_eq!(Talk::tcp(3306).server(&refusal).protocol(), Protocol::MYSQL);
    }

    #[test]
    fn a_client_logs_in() {
        let mut login = hex("85 a6 ff 01 00 00 00 01 21");
        login.resize(32, 0);
        login.extend_from_slice(b"root\0\0");
        let talk = Talk::tcp(9).client(&packet(1, &login));
        assert_eq!(talk.protocol(), Protocol::MYSQL);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("root"));
    }
}
