//! Bitcoin's peers and those of its descendants: the developer reference, message header; the
//! block lattice of Nano (Node Protocol), whose header is of the same kind.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::BITCOIN, &[8333], dissect);

pub(super) const NANO: Dissector = Dissector::both(Protocol::NANO, &[7075], nano);

/// First octets on the networks: Bitcoin with its tests, Bitcoin Cash, Litecoin, Dogecoin, Dash,
/// Zcash.
const NETWORKS: [[u8; 4]; 10] = [
    [0xf9, 0xbe, 0xb4, 0xd9],
    [0x0b, 0x11, 0x09, 0x07],
    [0xfa, 0xbf, 0xb5, 0xda],
    [0x0a, 0x03, 0xcf, 0x40],
    [0x1c, 0x16, 0x3f, 0x28],
    [0xe3, 0xe1, 0xf3, 0xe8],
    [0xfb, 0xc0, 0xb6, 0xdb],
    [0xc0, 0xc0, 0xc0, 0xc0],
    [0xbf, 0x0c, 0x6b, 0xbd],
    [0x24, 0xe9, 0x27, 0x64],
];

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some(magic) = view.at(0) else {
        return if view.is_start { Verdict::Wait } else { Verdict::No };
    };
    if !NETWORKS.contains(&magic) {
        return Verdict::No;
    }
    let Some(command) = view.at::<12>(4) else { return Verdict::Wait };
    let end = command.iter().position(|octet| *octet == 0).unwrap_or(command.len());
    let (name, padding) = command.split_at(end);
    let found = name.len() >= 3
        && name.iter().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit())
        && padding.iter().all(|octet| *octet == 0);
    Verdict::when(found, Protocol::BITCOIN)
}

/// "R", the network (live, beta, test), greatest, used and least version, kind, two octets more.
fn nano(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([b'R', b'A' | b'B' | b'C' | b'X', most, used, least, kind]) = view.at(0) else {
        let begun = view.is_short(6) && view.first().is_none_or(|octet| octet == b'R');
        return if begun { Verdict::Wait } else { Verdict::No };
    };
    let found = (5..=64).contains(&used)
        && least <= used
        && used <= most
        && most <= 64
        && matches!(kind, 2..=16)
        && view.len >= 8;
    Verdict::when(found, Protocol::NANO)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_version_message() {
        let version = hex("f9beb4d9 76657273696f6e0000000000 55000000 01020304");
        let talk = Talk::tcp(8333).client(&version);
        assert_eq!(talk.protocol(), Protocol::BITCOIN);
        talk.survives();
        let mut bad = version;
        bad[15] = b'x';
        assert_eq!(Talk::tcp(8333).client(&bad).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_keep_alive_of_nano() {
        let alive = hex("5243 14 13 12 02 0000 00000000");
        assert_eq!(Talk::udp(7075).client(&alive).protocol(), Protocol::NANO);
        assert_eq!(Talk::udp(7075).client(b"RCS 100 200").protocol(), Protocol::UNKNOWN);
    }
}
