//! Ethereum's peers: Node Discovery v4 and RLPx (github.com/ethereum/devp2p, `discv4.md`,
//! `rlpx.md`).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::ETHEREUM, &[30303, 30304], dissect);

/// Octets of hash and signature without the recovery number.
const SIGNED: usize = 96;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        return Verdict::when(is_discovery(view), Protocol::ETHEREUM);
    }
    // A handshake (EIP-8): length, then a message sealed for the other's key, which begins with a
    // point that is not compressed.
    let Some([high, _, point]) = view.at(0) else {
        let hopeful = view.first().is_none_or(|high| high <= 2);
        return if hopeful { Verdict::Wait } else { Verdict::No };
    };
    if high > 2 || point != 4 || !(194..=800).contains(&view.len) || !view.is_counted16(0, 2) {
        return Verdict::No;
    }
    // That is little to go by: elsewhere than at home the answer must be alike.
    let is_here = DISSECTOR.ports.iter().any(|port| view.has_port(*port));
    match view.other {
        [high @ 0..=2, low, 4, rest @ ..]
            if rest.len() >= usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(1) =>
        {
            Verdict::Is(Protocol::ETHEREUM)
        }
        _ if is_here => Verdict::Is(Protocol::ETHEREUM),
        [] => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// Recovery number, kind of packet, and a list that is the rest.
fn is_discovery(view: &View<'_>) -> bool {
    let Some([recovery, kind, list, len]) = view.at(SIGNED) else { return false };
    let room = view.len.saturating_sub(SIGNED.saturating_add(3));
    let fits = match list {
        0xc0..=0xf7 => usize::from(list.wrapping_sub(0xc0)) == room,
        0xf8 => usize::from(len).saturating_add(1) == room,
        0xf9 => view.u16_at(99).is_some_and(|len| usize::from(len).saturating_add(2) == room),
        _ => false,
    };
    recovery <= 1 && matches!(kind, 1..=6) && fits
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_ping_of_discovery() {
        let mut ping = vec![0xab; 96];
        ping.extend(hex("01 01 cb 04 c9 84 7f000001 82765f 80"));
        let talk = Talk::udp(30_303).client(&ping);
        assert_eq!(talk.protocol(), Protocol::ETHEREUM);
        talk.survives();
        ping[97] = 9;
        assert_eq!(Talk::udp(30_303).client(&ping).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_handshake_fills_its_length() {
        let mut auth = hex("01fe04");
        auth.resize(512, 0x77);
        assert_eq!(Talk::tcp(30_303).client(&auth).protocol(), Protocol::ETHEREUM);
        let elsewhere = Talk::tcp(40_000).client(&auth);
        assert_eq!(elsewhere.protocol(), Protocol::UNKNOWN);
        assert_eq!(elsewhere.server(&auth).protocol(), Protocol::ETHEREUM);
        auth.push(0);
        assert_eq!(Talk::tcp(30_303).client(&auth).protocol(), Protocol::UNKNOWN);
    }
}
