//! Blizzard: Battle.net and StarCraft II's login, World of Warcraft, Warcraft III (bnetdocs.org,
//! wowdev.wiki).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const STARCRAFT: Dissector = Dissector::both(Protocol::STARCRAFT, &[1119], starcraft);

pub(super) const WARCRAFT: Dissector = Dissector::tcp(Protocol::WORLD_OF_WARCRAFT, &[3724], world);

pub(super) const WARCRAFT3: Dissector = Dissector::both(Protocol::WARCRAFT3, &[], warcraft3);

/// First packet of the login to Battle.net, revision 2; earlier games: protocol 1, then messages
/// with a mark and a length.
fn starcraft(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_port = view.has_port(1119) || view.has_port(6112);
    match view.at(0) {
        Some([0x4a, 0, 0, 0x0a, 0x66, 2, 0x0a, 0xed, 0x2d, 0x66]) => {
            Verdict::Is(Protocol::STARCRAFT)
        }
        _ if !at_port || view.is_udp() => Verdict::No,
        // SID_AUTH_INFO.
        _ => match view.at(0) {
            Some([1, 0xff, 0x50, _, 0, 0, 0, 0, 0]) => Verdict::Is(Protocol::STARCRAFT),
            None if view.first().is_none_or(|octet| octet == 1 || octet == 0x4a) => Verdict::Wait,
            _ => Verdict::No,
        },
    }
}

fn world(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    // A length, then a greeting in both directions.
    if view.data.get(2..).is_some_and(|rest| rest.starts_with(b"WORLD OF WARCRAFT CONNECTION")) {
        return Verdict::Is(Protocol::WORLD_OF_WARCRAFT);
    }
    let Some([code, error, size, 0, w, o, w2]) = view.at(0) else {
        let hopeful = view.is_short(7) && view.has_port(3724);
        return if hopeful { Verdict::Wait } else { Verdict::No };
    };
    // Challenge of the login: code 0 or 2, length of the rest, "WoW" and a zero.
    let found = matches!(code, 0 | 2)
        && matches!(error, 3 | 8)
        && [w, o, w2] == *b"WoW"
        && usize::from(size).saturating_add(4) == view.len;
    // The server begins with a seed of its own.
    let seed = view.has_port(3724) && matches!(view.at(0), Some([0, 6 | 0x2a, 0xec, 1]));
    Verdict::when(found || seed, Protocol::WORLD_OF_WARCRAFT)
}

/// Mark, kind, length of the whole.
fn warcraft3(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    // Over TCP one octet chooses the protocol before.
    let at = usize::from(view.is_tcp() && view.first() == Some(1));
    let Some([0xf7, kind, low, high]) = view.at(at) else {
        let hopeful = view.is_short(5) && view.has_port(6112) && view.first() == Some(1);
        return if hopeful { Verdict::Wait } else { Verdict::No };
    };
    let known = matches!(kind, 0x01..=0x0f | 0x10 | 0x11 | 0x14 | 0x1b | 0x1e | 0x21 | 0x23 | 0x26..=0x28 | 0x2f..=0x33 | 0x36 | 0x3d..=0x48);
    let len = usize::from(u16::from_le_bytes([low, high])).saturating_add(at);
    // Over TCP more may follow.
    let fits =
        if view.is_udp() || !view.has_port(6112) { len == view.len } else { len <= view.len };
    Verdict::when(known && fits && len >= 4, Protocol::WARCRAFT3)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn logins_of_battle_net() {
        let login = hex("4a00000a66020aed2d66");
        let talk = Talk::tcp(1119).client(&login);
        assert_eq!(talk.protocol(), Protocol::STARCRAFT);
        talk.survives();
        let old = hex("01 ff50 3a00 00000000 36385849");
        assert_eq!(Talk::tcp(6112).client(&old).protocol(), Protocol::STARCRAFT);
    }

    #[test]
    fn worlds_of_warcraft() {
        let greeting = b"\x30\0WORLD OF WARCRAFT CONNECTION - SERVER TO CLIENT\0";
        let talk = Talk::tcp(3724).server(greeting);
        assert_eq!(talk.protocol(), Protocol::WORLD_OF_WARCRAFT);
        talk.survives();
        let challenge = hex("0008 0400 576f5700");
        assert_eq!(Talk::tcp(9).client(&challenge).protocol(), Protocol::WORLD_OF_WARCRAFT);
    }

    #[test]
    fn games_in_the_neighbourhood() {
        let search = hex("f72f1000 50583357 18000000 00000000");
        assert_eq!(Talk::udp(6112).client(&search).protocol(), Protocol::WARCRAFT3);
        assert_eq!(Talk::udp(6112).client(&search[..15]).protocol(), Protocol::UNKNOWN);
    }
}
