//! Tencent's games: the marks of its gateways, or a length and a stream of zlib.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::TENCENT_GAMES, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
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
    fn a_gateway_of_games() {
        let hello = hex("3366000b000b1001 00000000 01000000 4c000000");
        assert_eq!(Talk::tcp(65_010).client(&hello).protocol(), Protocol::TENCENT_GAMES);
    }
}
