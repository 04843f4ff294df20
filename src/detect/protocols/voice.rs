//! Voice among players: TeamSpeak 3 (its handshake as described by the reverse engineers of
//! ReSpeak) and Mumble's ping (mumble-protocol.readthedocs.io).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const TEAMSPEAK: Dissector =
    Dissector::both(Protocol::TEAMSPEAK, &[9987, 10011, 30033], teamspeak);

pub(super) const MUMBLE: Dissector = Dissector::udp(Protocol::MUMBLE, &[64738], mumble);

fn teamspeak(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_tcp() {
        // The query's banner.
        return view.opens(b"TS3\n\rWelcome to the TeamSpeak", Protocol::TEAMSPEAK);
    }
    // The place of a code that authenticates holds this while there is no key; version 2's list
    // of servers and connection have marks of their own.
    let old = matches!(view.at(0), Some([0xf4, 0xbe, 3, 0])) && view.len >= 20;
    Verdict::when(view.starts(b"TS3INIT1") || old, Protocol::TEAMSPEAK)
}

/// Asks with zeros and a number, answers with the version, the number, players and bandwidth.
fn mumble(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = match view.len {
        12 => view.u32_at(0) == Some(0) && view.has_port(64738),
        24 => {
            let number = view.data.get(4..12);
            view.past.iter().any(|past| past.len == 12 && past.head.get(4..12) == number)
                && matches!(view.at(0), Some([0, 1 | 2, _, _]))
        }
        _ => false,
    };
    Verdict::when(found, Protocol::MUMBLE)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn handshakes_and_pings() {
        let hello = b"TS3INIT1\0\x65\0\0\x88\x0a\x5d\x2a\x1c\0";
        assert_eq!(Talk::udp(9987).client(hello).protocol(), Protocol::TEAMSPEAK);
        let ping = hex("00000000 0102030405060708");
        assert_eq!(Talk::udp(64_738).client(&ping).protocol(), Protocol::MUMBLE);
        assert_eq!(Talk::udp(64_739).client(&ping).protocol(), Protocol::UNKNOWN);
    }
}
