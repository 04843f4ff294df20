//! Zoom: meetings by its servers (UDP 8801 to 8810) and between two (Michel et al., "Enabling
//! Passive Measurement of Zoom Performance in Production Networks", 2022).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::ZOOM, &[8801], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_server =
        (8801..=8810).contains(&view.server_port) || (8801..=8810).contains(&view.client_port);
    if view.is_tcp() {
        // Over TCP only a length more; TLS is what is common.
        return Verdict::No;
    }
    let found = match view.at(0) {
        // Ask for the way, and its answer: the number of the client lies behind.
        Some([1, 0, 2 | 3, _]) => at_server && view.len > 60,
        Some([2, 0, 1 | 3, _]) => at_server && view.len >= 35,
        Some([3 | 4, 0, 0, 0]) => at_server && (13..=20).contains(&view.len),
        // Media by way of a server: sequence, direction, then kind of media.
        Some([5, _, _, _]) => {
            let [direction, kind] = view.at(7).unwrap_or_default();
            at_server && matches!(direction, 0 | 4) && is_media(kind)
        }
        // Between two: the probe of the way, or media with RTP behind.
        Some([0x1f, 2, 1, 0]) => {
            matches!(view.at(4), Some([4 | 8, 0, 1, 0, 4 | 8, 0])) && view.len > 40
        }
        Some([kind, _, _, _]) if is_media(kind) => rtp_behind(view, kind),
        _ => false,
    };
    Verdict::when(found, Protocol::ZOOM)
}

/// Screen, audio, video, two of RTCP.
const fn is_media(kind: u8) -> bool {
    matches!(kind, 13 | 15 | 16 | 33..=35)
}

/// RTP begins where it does for this kind, with a payload type that Zoom has for it.
fn rtp_behind(view: &View<'_>, kind: u8) -> bool {
    let (at, types): (usize, &[u8]) = match kind {
        15 => (19, &[112, 113, 99]),
        16 => (24, &[98, 110]),
        13 => (27, &[99]),
        _ => return false,
    };
    view.at(at)
        .is_some_and(|[first, second]| first & 0xcf == 0x80 && types.contains(&(second & 0x7f)))
        && view.at(1) == Some([1, 0])
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_server_is_asked() {
        let mut ask = hex("0100027d464d35fffda234495d0d6d3b51e896");
        ask.resize(107, 0);
        assert_eq!(Talk::udp(8801).client(&ask).protocol(), Protocol::ZOOM);
        assert_eq!(Talk::udp(8800).client(&ask).protocol(), Protocol::UNKNOWN);
        let mut probe = hex("1f020100 0800 0100 0400 4cf45ce0");
        probe.resize(84, 7);
        let talk = Talk::udp(49_586).client(&probe);
        assert_eq!(talk.protocol(), Protocol::ZOOM);
        talk.survives();
    }
}
