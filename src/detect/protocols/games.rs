//! Games that are known by a few octets of their own: what their protocols begin with, as far as
//! it has been published or can be seen.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const NINTENDO: Dissector = Dissector::udp(Protocol::NINTENDO, &[], nintendo);
pub(super) const GUILD_WARS: Dissector = Dissector::tcp(Protocol::GUILD_WARS2, &[], guild_wars);
pub(super) const DOFUS: Dissector = Dissector::tcp(Protocol::DOFUS, &[], dofus);
pub(super) const ARMAGETRON: Dissector = Dissector::udp(Protocol::ARMAGETRON, &[4534], armagetron);
pub(super) const RIOT: Dissector = Dissector::udp(Protocol::RIOT_GAMES, &[], riot);
pub(super) const WILD_RIFT: Dissector = Dissector::udp(Protocol::WILD_RIFT, &[], wild_rift);
pub(super) const EPIC: Dissector = Dissector::udp(Protocol::EPIC_GAMES, &[], epic);
pub(super) const AMONG_US: Dissector = Dissector::udp(Protocol::AMONG_US, &[22023], among_us);
pub(super) const ACTIVISION: Dissector = Dissector::udp(Protocol::ACTIVISION, &[], activision);
pub(super) const COD_MOBILE: Dissector = Dissector::udp(Protocol::COD_MOBILE, &[], cod_mobile);
pub(super) const EXILE: Dissector = Dissector::tcp(Protocol::PATH_OF_EXILE, &[], exile);
pub(super) const MAPLE: Dissector = Dissector::tcp(Protocol::MAPLE_STORY, &[], maple);
pub(super) const KUNG_FU: Dissector = Dissector::tcp(Protocol::WORLD_OF_KUNG_FU, &[], kung_fu);
pub(super) const GENSHIN: Dissector = Dissector::udp(Protocol::GENSHIN_IMPACT, &[], genshin);
pub(super) const NETCODE: Dissector = Dissector::udp(Protocol::YOJIMBO, &[], netcode);
pub(super) const NETEASE: Dissector = Dissector::udp(Protocol::NETEASE_GAMES, &[], netease);
pub(super) const CROSSFIRE: Dissector = Dissector::udp(Protocol::CROSSFIRE, &[], crossfire);

/// The platform of NCsoft's games: requests as those of HTTP with a version of their own.
fn guild_wars(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"P /Sts/", Protocol::GUILD_WARS2) {
        Verdict::No => view.opens(b"STS/1.0 ", Protocol::GUILD_WARS2),
        verdict => verdict,
    }
}

/// The server's hello: two letters, a key of 32, a zero.
fn dofus(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.starts(b"HC")
        && view.len == 35
        && view.data.get(2..34).is_some_and(|key| key.iter().all(u8::is_ascii_lowercase))
        && view.data.last() == Some(&0);
    Verdict::when(found, Protocol::DOFUS)
}

/// Login: kind 11, number 0, words that follow; then the sender's number.
fn armagetron(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([0, 11, 0, 0]) = view.at(0) else { return Verdict::No };
    let words = view.u16_at(4).map_or(0, usize::from);
    let fits = words > 0 && words.saturating_mul(2).saturating_add(8) == view.len;
    Verdict::when(fits && view.data.ends_with(&[0, 0]), Protocol::ARMAGETRON)
}

/// The header of Pia, the library of Nintendo's consoles (github.com/kinnay/NintendoClients).
fn nintendo(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.starts(&[0x32, 0xab, 0x98, 0x64]) && view.len >= 16;
    Verdict::when(found, Protocol::NINTENDO)
}

/// Probes of the way to a server end with a pattern; Valorant's first datagram has the place of a
/// cookie empty.
fn riot(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = match view.len {
        36 => view.data.ends_with(&[0xaa, 0xaa, 0xaa, 0xaa, 0xbb, 0xbb, 0xbb, 0xbb]),
        53 => {
            (7000..=8000).contains(&view.server_port)
                && view.at(8) == Some([1, 0, 0, 0])
                && view.at(12) == Some([0; 24])
        }
        _ => false,
    };
    Verdict::when(found, Protocol::RIOT_GAMES)
}

/// The gateway's hello has a mark, its version and a text; the game's begins with the size of a
/// key that is sealed.
fn wild_rift(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let gateway = view.starts(&[1, 2, 0xc8, 0x41, 0, 0, 0, 1, 0, 1, 0]) && view.len >= 20;
    let game = (10_000..=19_999).contains(&view.server_port)
        && (view.starts(&[4, 0, 0, 0]) && view.len == 69
            || view.starts(&[0x10, 0, 0, 0]) && view.len == 359);
    Verdict::when(gateway || game, Protocol::WILD_RIFT)
}

/// Unreal's handshake without state, as Fortnite's servers (UDP 9000 to 9100, 15000 and up) have
/// it: version and kind in bits.
fn epic(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_port =
        (9000..=9100).contains(&view.server_port) || (15_000..=15_300).contains(&view.server_port);
    let marked = matches!(view.at(0), Some([_, 0x1a, 0x20, 0, 8 | 0x10 | 0, _, _, _, _, 4]));
    Verdict::when(at_port && marked && (40..=80).contains(&view.len), Protocol::EPIC_GAMES)
}

/// Hello of Hazel (github.com/willardf/Hazel-Networking): number, version 0, client's version,
/// name of the player with its length.
fn among_us(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([8, _, _, 0, _, _, _, _, len]) = view.at(0) else { return Verdict::No };
    let name = view.data.get(9..).unwrap_or_default();
    let found = (22_000..=23_000).contains(&view.server_port)
        && (1..=20).contains(&len)
        && name.len() >= usize::from(len)
        && name.iter().take(len.into()).all(|octet| *octet >= 0x20);
    Verdict::when(found, Protocol::AMONG_US)
}

/// Discovery of the own address by consoles and computers: kind, 2, a cookie, then the address
/// and the port that the sender believes to have.
fn activision(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let asks = matches!(view.at(0), Some([0x0c | 0x0d, 2, 0])) && view.len == 29;
    let port = view.u16_le_at(21);
    let own =
        port == Some(view.client_port) || port == Some(view.server_port) || port == Some(3074);
    Verdict::when(asks && own, Protocol::ACTIVISION)
}

/// A number and the word "ping".
fn cod_mobile(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let ping = view.len == 12 && view.at(8) == Some(*b"ping");
    let data = (7900..=7999).contains(&view.server_port)
        && view.at(8) == Some([0x0d, 1])
        && view.len > 100;
    Verdict::when(ping || data, Protocol::COD_MOBILE)
}

/// First message of a client: kind 3, then the name of the account with its length.
fn exile(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_port = view.has_port(6112) || view.has_port(20481);
    let Some([0, 3, _, _, _, _, _, _, 0, len]) = view.at(0) else { return Verdict::No };
    let name = view.data.get(10..).unwrap_or_default();
    let found = at_port
        && (2..=64).contains(&len)
        && name.len() >= usize::from(len)
        && name.iter().take(len.into()).all(u8::is_ascii_graphic);
    Verdict::when(found, Protocol::PATH_OF_EXILE)
}

/// The server's hello: length, version, a text of the minor version, two vectors, the region.
fn maple(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([13..=16, 0, low, high, text, 0, minor]) = view.at(0) else { return Verdict::No };
    let version = u16::from_le_bytes([low, high]);
    let fits = view.is_counted16_le(0, 2) && (20..=300).contains(&version);
    let found = fits
        && (1..=2).contains(&text)
        && minor.is_ascii_digit()
        && matches!(view.data.last(), Some(1..=9));
    Verdict::when(found && !view.from_client, Protocol::MAPLE_STORY)
}

fn kung_fu(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.starts(&[0x0c, 0, 0, 0, 0xd2, 0, 0x0c, 0x16]) && view.len == 16;
    Verdict::when(found, Protocol::WORLD_OF_KUNG_FU)
}

/// KCP's handshake in the form of miHoYo: a kind, number, token, a constant, its end.
fn genshin(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let ends = (view.u32_at(0), view.u32_at(16));
    let known = matches!(
        ends,
        (Some(0xff), Some(0xffff_ffff))
            | (Some(0x145), Some(0x1451_4545))
            | (Some(0x194), Some(0x1941_9494))
    );
    Verdict::when(known && view.len == 20, Protocol::GENSHIN_IMPACT)
}

/// netcode.io (its `STANDARD.md`), on which yojimbo rests: a request begins with zero and the
/// version as text.
fn netcode(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    Verdict::when(view.starts(b"\0NETCODE 1.0"), Protocol::YOJIMBO)
}

/// Probes with a common number in the middle of twelve octets, or keys as text behind a mark.
fn netease(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.starts(&[7, 8, 8, 0x0c]) && view.len >= 34 {
        return Verdict::Is(Protocol::NETEASE_GAMES);
    }
    let at_port = (4000..=4999).contains(&view.server_port);
    let found = match view.len {
        12 => matches!(view.at(0), Some([1..=4, _, 0xd0..=0xd4, 1 | 2, 0x10..=0x1f, _, _, 0 | 3])),
        30 => {
            matches!(view.at(4), Some([0xff, 0]))
                && view.data.iter().skip(6).take(23).all(u8::is_ascii_graphic)
        }
        _ => false,
    };
    Verdict::when(at_port && found, Protocol::NETEASE_GAMES)
}

fn crossfire(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    Verdict::when(view.starts(&[0xc7, 0xd9, 0x19, 0x99, 2, 0]), Protocol::CROSSFIRE)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn consoles() {
        assert_eq!(of(49_432, "32ab9864 02 56 03cb 960133e0c648f834"), Protocol::NINTENDO);
        assert_eq!(of(49_432, "32ab9865 02 56 03cb 960133e0c648f834"), Protocol::UNKNOWN);
        let own = "0d0200250a7952af50aadc6fd8bc59ca61 c0a80015 020c 9448ada20786";
        assert_eq!(of(34_311, own), Protocol::ACTIVISION);
    }

    #[test]
    fn probes() {
        let probe = format!("{} aaaaaaaabbbbbbbb", "11".repeat(28));
        assert_eq!(of(7998, &probe), Protocol::RIOT_GAMES);
        assert_eq!(of(7500, "bbb653ea96fdbb03 70696e67"), Protocol::COD_MOBILE);
        let token = "000000ff 00000000 00000000 499602d2 ffffffff";
        assert_eq!(of(22_101, token), Protocol::GENSHIN_IMPACT);
        let mut request = b"\0NETCODE 1.02\0".to_vec();
        request.resize(1078, 0);
        assert_eq!(Talk::udp(40_000).client(&request).protocol(), Protocol::YOJIMBO);
    }

    #[test]
    fn logins() {
        let connect = b"P /Sts/Connect STS/1.0\r\nl:10\r\n\r\n";
        assert_eq!(Talk::tcp(6112).client(connect).protocol(), Protocol::GUILD_WARS2);
        let hello = b"HCabcdefghijklmnopqrstuvwxyzabcdef\0";
        assert_eq!(Talk::tcp(443).server(hello).protocol(), Protocol::DOFUS);
        assert_eq!(of(4534, "000b 0000 0002 00010002 0000"), Protocol::ARMAGETRON);
        assert_eq!(of(4534, "000b 0000 0003 00010002 0000"), Protocol::UNKNOWN);
    }

    #[test]
    fn players_say_their_names() {
        assert_eq!(of(22_023, "08 0001 00 80d90203 06 414141414141"), Protocol::AMONG_US);
        assert_eq!(of(22_023, "08 0001 00 80d90203 06 41414141"), Protocol::UNKNOWN);
        let login = hex("0003 00377560 0002 0009 6e4450495f54657374 00000000");
        assert_eq!(Talk::tcp(6112).client(&login).protocol(), Protocol::PATH_OF_EXILE);
        let hello = hex("0e00 5f00 0100 32 01020304 05060708 08");
        assert_eq!(Talk::tcp(8484).server(&hello).protocol(), Protocol::MAPLE_STORY);
        Talk::tcp(8484).server(&hello).survives();
    }
}
