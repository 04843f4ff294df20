//! Engines of the ENet kind (enet.bespin.org, "Features and Architecture"): a header of the peer,
//! then commands. Photon's is that of Toca Boca's games, War Thunder's is ENet itself.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const PHOTON: Dissector =
    Dissector::udp(Protocol::TOCABOCA, &[5055, 5056, 5058], photon).bound();

pub(super) const GAIJIN: Dissector = Dissector::udp(Protocol::GAIJIN, &[], gaijin);

/// Peer, flags, count of commands, time, challenge; each command has a kind, a channel, flags and
/// its length.
fn photon(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if !(view.has_port(5055) || view.has_port(5056) || view.has_port(5058)) {
        return Verdict::No;
    }
    // A ping beside the protocol.
    if view.len == 13 && view.data.iter().take(12).all(|octet| *octet == 0x7d) {
        return Verdict::Is(Protocol::TOCABOCA);
    }
    let mut cursor = view.cursor();
    let (Some([_, _, flags, count]), Some(_)) = (cursor.array(), cursor.u64()) else {
        return Verdict::No;
    };
    // A checksum may lie between.
    if flags == 0xcc && cursor.skip(4).is_none() || !matches!(flags, 0 | 1 | 0xcc) {
        return Verdict::No;
    }
    for _ in 0..count.min(64) {
        let Some([kind, _, _, _]) = cursor.array() else { return Verdict::No };
        let Some(len) = cursor.u32().and_then(|len| usize::try_from(len).ok()) else {
            return Verdict::No;
        };
        if !matches!(kind, 1..=16) || len < 12 {
            return Verdict::No;
        }
        if cursor.skip(len.saturating_sub(8)).is_none() {
            return Verdict::when(view.data.len() < view.len, Protocol::TOCABOCA);
        }
    }
    Verdict::when(count > 0 && cursor.is_empty(), Protocol::TOCABOCA)
}

/// Connect of ENet: peer unknown and the time sent, command 2 that wants to be acknowledged, on
/// no channel; its answer.
fn gaijin(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if !(20_000..=20_100).contains(&view.server_port)
        && !(20_000..=20_100).contains(&view.client_port)
    {
        return Verdict::No;
    }
    let connect = matches!(view.at(0), Some([0x80..=0x8f, _, _, _, 0x82 | 0x83, 0xff, 0, 1]))
        && view.len >= 44;
    // What clients report of their progress: words with commas and the name of the environment.
    let report = view.data.get(..64).unwrap_or(view.data).windows(5).any(|w| w == b",env=")
        && view.data.iter().take(32).all(u8::is_ascii_graphic);
    Verdict::when(connect || report, Protocol::GAIJIN)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn commands_fill_the_datagram() {
        let ping = hex("bbc8 00 01 00000032 22b6e6ba 05 ff 00 04 0000000c 00000001");
        let talk = Talk::udp(5055).client(&ping);
        assert_eq!(talk.protocol(), Protocol::TOCABOCA);
        talk.survives();
        assert_eq!(Talk::udp(5055).client(&ping[..23]).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(5054).client(&ping).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_tank_connects() {
        let mut connect = hex("8fff 0001 82 ff 0001 0000 ffff 000004b0");
        connect.resize(52, 0);
        assert_eq!(Talk::udp(20_021).client(&connect).protocol(), Protocol::GAIJIN);
        assert_eq!(Talk::udp(21_021).client(&connect).protocol(), Protocol::UNKNOWN);
    }
}
