//! Minecraft's Java edition: handshake of the protocol (wiki.vg, "Protocol"), with the name of the
//! server that the player typed.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::MINECRAFT, &[25565], dissect);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    // Ping of the older versions.
    if view.starts(b"\xfe\x01\xfa\0\x0b\0M\0C\0|") {
        return Verdict::Is(Protocol::MINECRAFT);
    }
    let Some([len, kind]) = view.at(0) else {
        let hopeful = view.is_start && view.has_port(25565);
        return if hopeful { Verdict::Wait } else { Verdict::No };
    };
    if kind != 0 || !(8..0x7f).contains(&len) || view.len <= usize::from(len) {
        return Verdict::No;
    }
    match handshake(view.data, len) {
        Some(host) => {
            // Mods append a zero and their name.
            facts.put(Fact::Host, host.split(|octet| *octet == 0).next().unwrap_or_default());
            Verdict::Is(Protocol::MINECRAFT)
        }
        None => Verdict::No,
    }
}

/// Version, host, port, what comes next: status, login or transfer; nothing else.
fn handshake(data: &[u8], len: u8) -> Option<&[u8]> {
    let mut cursor = Cursor::new(data.get(2..)?.get(..usize::from(len).checked_sub(1)?)?);
    for at in 0..5_u8 {
        if cursor.u8()? & 0x80 == 0 {
            break;
        }
        if at == 4 {
            return None;
        }
    }
    let host = cursor.counted8()?;
    cursor.u16()?;
    let next = cursor.u8()?;
    let fits = matches!(next, 1..=3) && cursor.is_empty() && host.iter().all(|o| *o < 0x80);
    (fits && !host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_player_names_the_server() {
        let mut hello = hex("13 00 fb05 0c");
        hello.extend(b"play.example");
        hello.extend(hex("63dd 02"));
        hello[0] = 18 + 1;
        let talk = Talk::tcp(25_565).client(&hello);
        assert_eq!(talk.protocol(), Protocol::MINECRAFT);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("play.example"));
        talk.survives();
        let end = hello.len() - 1;
        hello[end] = 9;
        assert_eq!(Talk::tcp(25_565).client(&hello).protocol(), Protocol::UNKNOWN);
    }
}
