//! Valve's protocols: queries of servers (developer.valvesoftware.com, "Server queries"), Steam's
//! discovery of neighbours, the datagram relay, Half-Life 2; Quake III's connectionless packets,
//! from which the first descend, and Teeworlds, which is alike.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const SOURCE: Dissector =
    Dissector::udp(Protocol::SOURCE_ENGINE, &[27015, 27016], source);

pub(super) const RELAY: Dissector = Dissector::udp(Protocol::STEAM_RELAY, &[], relay);

pub(super) const STEAM: Dissector =
    Dissector::both(Protocol::STEAM, &[], |view, _| view.judge(Protocol::STEAM, is_steam(view)));

pub(super) const TEEWORLDS: Dissector = Dissector::udp(Protocol::TEEWORLDS, &[8303], teeworlds);

/// Commands of id Tech 3 servers and their answers.
const QUAKE: [&[u8]; 13] = [
    b"getinfo",
    b"getstatus",
    b"getchallenge",
    b"getservers",
    b"infoResponse",
    b"statusResponse",
    b"challengeResponse",
    b"connect ",
    b"connectResponse",
    b"heartbeat",
    b"print\n",
    b"rcon ",
    b"status",
];

fn source(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([0xff, 0xff, 0xff, 0xff, kind, next]) = view.at(0) else { return Verdict::No };
    let rest = view.data.get(4..).unwrap_or_default();
    if kind == 0x21 && rest.starts_with(&[0x21, 0x4c, 0x5f, 0xa0]) {
        return Verdict::Is(Protocol::STEAM);
    }
    if QUAKE.iter().any(|command| rest.starts_with(command)) {
        return Verdict::Is(Protocol::QUAKE);
    }
    if [kind, next] == [0; 2] {
        let zeros = rest.get(..12).is_some_and(|rest| rest == [0; 12]);
        return Verdict::when(zeros && view.len == 20, Protocol::HALFLIFE2);
    }
    let found = match kind {
        b'T' => rest.starts_with(b"TSource Engine Query\0"),
        // Players and rules, with a challenge; the challenge; their answers.
        b'U' | b'V' => view.len == 9,
        b'A' => view.len == 9 || view.len == 17,
        b'I' => next <= 0x30 && view.len > 20,
        b'm' => view.len > 30,
        b'D' | b'E' => view.has_port(27015) || view.number > 1,
        b'i' | b'j' | b'W' => view.len < 24,
        b'q' => rest.starts_with(b"q\0\0\0\0\0") || view.len < 40,
        _ => false,
    };
    Verdict::when(found, Protocol::SOURCE_ENGINE)
}

/// What clients and their servers of connections exchange (SteamKit, `UdpHeader` and
/// `TcpConnection`): a mark, over UDP with the size of what follows 36 octets and a kind, over TCP
/// with the size in front.
fn is_steam(view: &View<'_>) -> Option<bool> {
    if view.is_tcp() {
        let len = view.u32_le_at(0)?;
        return Some((1..0x100_0000).contains(&len) && view.at(4)? == *b"VT01");
    }
    let is_kind = matches!(view.at(6)?, [1..=7]);
    Some(view.starts(b"VS01") && is_kind && view.is_counted16_le(4, 36))
}

/// A kind, the length of the name, `sdping`; or the frame of a packet between players.
fn relay(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.data.get(2..8) == Some(b"sdping");
    Verdict::when(found, Protocol::STEAM_RELAY)
}

/// Packets without connection, with a kind of four characters behind: six octets of ones, or a
/// mark and tokens, then four more; or how a connection begins, with a token.
fn teeworlds(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let kind = match view.first() {
        Some(0xff) if view.starts(&[0xff; 6]) => view.at(6),
        Some(b'x') if view.starts(b"xe") => view.at(6),
        Some(0x21) => view.at(9),
        _ => None,
    };
    let is_known = match kind {
        Some([0xff, 0xff, 0xff, 0xff, a, b]) => a.is_ascii_lowercase() && b.is_ascii_lowercase(),
        // A question for a token is padded, that of version 0.6 is marked.
        _ => {
            view.starts(&[4, 0, 0, 0xff, 0xff, 0xff, 0xff, 5]) && view.len == 520
                || view.starts(b"\x10\0\0\x01TKEN")
        }
    };
    Verdict::when(is_known, Protocol::TEEWORLDS)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn servers_are_queried() {
        let query = b"\xff\xff\xff\xffTSource Engine Query\0";
        let talk = Talk::udp(27_015).client(query);
        assert_eq!(talk.protocol(), Protocol::SOURCE_ENGINE);
        talk.survives();
        let query = b"\xff\xff\xff\xffgetstatus\n";
        assert_eq!(Talk::udp(27_960).client(query).protocol(), Protocol::QUAKE);
        let other = b"\xff\xff\xff\xffhello world, how are you";
        assert_eq!(Talk::udp(1).client(other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn steam_and_its_relay() {
        let mut challenge = b"VS01\0\0\x01\x04".to_vec();
        challenge.resize(36, 0);
        assert_eq!(Talk::udp(27_017).client(&challenge).protocol(), Protocol::STEAM);
        challenge.push(0);
        assert_eq!(Talk::udp(27_017).client(&challenge).protocol(), Protocol::UNKNOWN);
        let sealed = b"\x40\0\0\0VT01\x1f";
        assert_eq!(Talk::tcp(27_017).server(sealed).protocol(), Protocol::STEAM);
        let near = hex("ffffffff 214c5fa0 16000000 08fc");
        assert_eq!(Talk::udp(27_036).client(&near).protocol(), Protocol::STEAM);
        let mut ping = b"\x01\x81sdping".to_vec();
        ping.resize(100, 0);
        assert_eq!(Talk::udp(27_045).client(&ping).protocol(), Protocol::STEAM_RELAY);
    }

    #[test]
    fn teeworlds_lists_servers() {
        let mut ask = vec![0xff; 10];
        ask.extend(b"gie3\x07");
        assert_eq!(Talk::udp(8303).client(&ask).protocol(), Protocol::TEEWORLDS);
        let mut extended = ask.clone();
        extended[..6].copy_from_slice(b"xe\x12\x34\0\0");
        assert_eq!(Talk::udp(8303).client(&extended).protocol(), Protocol::TEEWORLDS);
        let told = b"\x21\x11\x22\x33\x44\x4b\xf1\xf2\xc8\xff\xff\xff\xffinf3\x010.7.5\0";
        assert_eq!(Talk::udp(8303).server(told).protocol(), Protocol::TEEWORLDS);
        let mut token = b"\x04\0\0\xff\xff\xff\xff\x05\x11\x22\x33\x44".to_vec();
        token.resize(520, 0);
        assert_eq!(Talk::udp(8303).client(&token).protocol(), Protocol::TEEWORLDS);
        ask[10] = 0;
        assert_eq!(Talk::udp(8303).client(&ask).protocol(), Protocol::UNKNOWN);
    }
}
