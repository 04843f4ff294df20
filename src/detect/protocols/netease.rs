//! NetEase's games: a mark of four octets, probes with a common number in the middle of twelve
//! octets, or keys as text behind a mark.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::NETEASE_GAMES, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
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

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_mark_or_a_probe() {
        let probe = hex("01b5d001 112a3d03 00010101");
        assert_eq!(Talk::udp(4513).client(&probe).protocol(), Protocol::NETEASE_GAMES);
        assert_eq!(Talk::udp(5513).client(&probe).protocol(), Protocol::UNKNOWN);
    }
}
