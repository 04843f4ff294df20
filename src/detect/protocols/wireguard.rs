//! WireGuard: the white paper of J. Donenfeld, section 5.4; Cloudflare WARP, which writes a client
//! number into the reserved octets; Tailscale's discovery messages between such peers (disco).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::WIREGUARD, &[51820], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([kind, a, b, c]) = view.at(0) else { return Verdict::No };
    // "TS" and a speech balloon: disco, sealed beyond.
    if view.starts(b"TS\xf0\x9f\x92\xac") {
        return Verdict::when(view.len >= 62, Protocol::TAILSCALE);
    }
    let fits = match kind {
        1 => view.len == 148,
        2 => view.len == 92,
        3 => view.len == 64,
        4 => view.len >= 32 && view.len.is_multiple_of(16),
        _ => false,
    };
    if !fits {
        return Verdict::No;
    }
    if [a, b, c] != [0; 3] {
        let is_warp = [2408, 500, 1701, 4500, 854, 894].iter().any(|port| view.has_port(*port));
        return Verdict::when(is_warp && kind < 3, Protocol::WARP);
    }
    let number = view.at::<8>(8).map(u64::from_le_bytes);
    let is_data = kind == 4 && number.is_some_and(|number| number < 1 << 40);
    match kind {
        4 if !is_data => Verdict::No,
        // A packet of data alone has little that others do not have too.
        4 if view.number == 1 && !view.has_port(51820) => Verdict::Wait,
        4 => Verdict::when(view.number == 1 || is_continued(view), Protocol::WIREGUARD),
        _ => Verdict::Is(Protocol::WIREGUARD),
    }
}

/// All packets before were of the kind, and those of this end had the same receiver.
fn is_continued(view: &View<'_>) -> bool {
    view.past.iter().all(|past| {
        past.head.starts_with(&[4, 0, 0, 0])
            && past.len % 16 == 0
            && (past.from_client != view.from_client || past.head.get(4..8) == view.data.get(4..8))
    })
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn message(kind: u8, len: usize) -> Vec<u8> {
        let mut message = vec![0x55; len];
        message[..4].copy_from_slice(&[kind, 0, 0, 0]);
        message
    }

    #[test]
    fn lengths_are_those_of_the_kinds() {
        for (kind, len) in [(1, 148), (2, 92), (3, 64)] {
            let talk = Talk::udp(9).client(&message(kind, len));
            assert_eq!(talk.protocol(), Protocol::WIREGUARD);
            let talk = Talk::udp(9).client(&message(kind, len + 1));
            assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        }
    }

    #[test]
    fn data_is_believed_the_second_time() {
        let mut data = message(4, 96);
        data[8..16].copy_from_slice(&hex("0100000000000000"));
        let talk = Talk::udp(9).client(&data);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.client(&data).protocol(), Protocol::WIREGUARD);
    }

    #[test]
    fn a_client_number_is_of_warp() {
        let mut first = message(1, 148);
        first[1] = 7;
        assert_eq!(Talk::udp(2408).client(&first).protocol(), Protocol::WARP);
        assert_eq!(Talk::udp(2409).client(&first).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn tailscale_discovers() {
        let mut ping = b"TS\xf0\x9f\x92\xac".to_vec();
        ping.resize(92, 9);
        assert_eq!(Talk::udp(41_641).client(&ping).protocol(), Protocol::TAILSCALE);
        assert_eq!(Talk::udp(41_641).client(&ping[..40]).protocol(), Protocol::UNKNOWN);
    }
}
