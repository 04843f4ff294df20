//! Discord's voice: discovery of the own address and keep-alives, before RTP (Discord's developer
//! documentation, "Voice Connections").

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::DISCORD, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    // Kind (1 asks, 2 answers), length of the rest, number of the source, address, port.
    let discovers = matches!(view.at(0), Some([0, 1 | 2, 0, 70])) && view.len == 74;
    // Before 2020 the question was a number and zeros.
    let alive = view.len == 8 && matches!(view.at(0), Some([0x13, 0x37, 0xca | 0xf0, _]));
    Verdict::when(discovers || alive, Protocol::DISCORD)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn an_address_is_discovered() {
        let mut ask = hex("0001 0046 0000ace3");
        ask.resize(74, 0);
        assert_eq!(Talk::udp(50_004).client(&ask).protocol(), Protocol::DISCORD);
        assert_eq!(Talk::udp(50_004).client(&ask[..73]).protocol(), Protocol::UNKNOWN);
        let alive = hex("1337cafea9000000");
        assert_eq!(Talk::udp(50_004).client(&alive).protocol(), Protocol::DISCORD);
    }
}
