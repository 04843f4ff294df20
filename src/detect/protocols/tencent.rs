//! Tencent's services: QQ's OICQ, WeChat's long connection and its mmtls, and what its games
//! begin with.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const OICQ: Dissector = Dissector::udp(Protocol::OICQ, &[8000], oicq).bound();

pub(super) const WECHAT: Dissector = Dissector::tcp(Protocol::WECHAT, &[8080], wechat);

pub(super) const GAMES: Dissector = Dissector::tcp(Protocol::TENCENT_GAMES, &[], games);

/// Flag 2, version, command, sequence, number of the user; flag 3 at the end.
fn oicq(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([2, version, _, _, command]) = view.at(0) else { return Verdict::No };
    let ends = view.data.len() < view.len || view.data.last() == Some(&3);
    let found = view.has_port(8000) && ends && view.len >= 12 && version < 0x40 && command != 0;
    Verdict::when(found, Protocol::OICQ)
}

fn wechat(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        // mmtls: records as those of TLS with a version of their own.
        Some([0x15..=0x19, 0xf1, 3 | 4, high, low]) => {
            let len = usize::from(u16::from_be_bytes([high, low]));
            Verdict::when(len > 0 && len < 1 << 14, Protocol::WECHAT)
        }
        // Length, octets of the header (16), version 1, command, sequence.
        Some([0, _, _, _, 0]) => match view.at::<12>(4) {
            None if view.is_short(16) => Verdict::Wait,
            Some([0, 16, 0, 1, 0, 0, _, _, _, _, _, _]) => {
                Verdict::when(view.is_counted32(0, 0), Protocol::WECHAT)
            }
            _ => Verdict::No,
        },
        _ => Verdict::No,
    }
}

fn games(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = match view.at(0) {
        // GCloud's gateway: mark, version of head and body.
        Some([0x33, 0x66, 0, version, 0, body]) => version < 0x20 && body < 0x20 && view.len >= 20,
        Some([0x43, 0x66, 0xaa, 0, 0, 0]) => view.len >= 20,
        Some([0x42, 0x15, 0xf7, 0x87, 3, _]) => view.len >= 16,
        // A length and a stream of zlib.
        Some([0, 0, _, _, 0x78, 0x01]) => view.is_counted32(0, 4) && !view.has_port(443),
        _ => false,
    };
    Verdict::when(found, Protocol::TENCENT_GAMES)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn chat_of_qq() {
        let alive = hex("02 3b0b 0002 001f 561f0c7b 00 00 03");
        assert_eq!(Talk::udp(8000).client(&alive).protocol(), Protocol::OICQ);
        assert_eq!(Talk::udp(8000).client(&alive[..13]).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn chat_of_wechat() {
        let hello = hex("16f1030005 0102030405");
        assert_eq!(Talk::tcp(443).client(&hello).protocol(), Protocol::WECHAT);
        let alive = hex("00000010 0010 0001 00000006 ffffffff");
        let talk = Talk::tcp(8080).client(&alive);
        assert_eq!(talk.protocol(), Protocol::WECHAT);
        talk.survives();
        let other = hex("00000011 0010 0001 00000006 ffffffff");
        assert_eq!(Talk::tcp(8080).client(&other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_gateway_of_games() {
        let hello = hex("3366000b000b1001 00000000 01000000 4c000000");
        assert_eq!(Talk::tcp(65_010).client(&hello).protocol(), Protocol::TENCENT_GAMES);
    }
}
