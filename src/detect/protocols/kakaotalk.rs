//! KakaoTalk: LOCO, whose connection begins with a key under RSA behind three little-endian
//! numbers; without encryption, a packet with a number, a status and a method in capitals.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::KAKAOTALK, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let (Some(len), Some([kind, 0, 0, 0, cipher, 0, 0, 0])) = (view.u32_le_at(0), view.at(4))
    else {
        return Verdict::when(is_plain(view), Protocol::KAKAOTALK);
    };
    // Octets of the sealed key, how it is sealed (RSA), what it is for (AES).
    let found = matches!(len, 128 | 256)
        && matches!(kind, 1 | 12..=16)
        && matches!(cipher, 1..=3)
        && view.len >= 12;
    Verdict::when(found, Protocol::KAKAOTALK)
}

/// A method of which the rest of eleven octets is zero, kind of body 0 or 8 (BSON), its length.
fn is_plain(view: &View<'_>) -> bool {
    let Some(method) = view.at::<11>(6) else { return false };
    let end = method.iter().position(|octet| *octet == 0).unwrap_or(method.len());
    let (name, rest) = method.split_at(end);
    name.len() >= 4
        && name.iter().all(u8::is_ascii_uppercase)
        && rest.iter().all(|octet| *octet == 0)
        && matches!(view.at(17), Some([0 | 8]))
        && view.is_counted32_le(18, 22)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_key_or_a_plain_method() {
        let mut key = hex("00010000 0c000000 02000000");
        key.resize(268, 0x5b);
        assert_eq!(Talk::tcp(995).client(&key).protocol(), Protocol::KAKAOTALK);
        key[4] = 9;
        assert_eq!(Talk::tcp(9999).client(&key).protocol(), Protocol::UNKNOWN);
        let plain = hex("01000000 0000 434845434b494e 00000000 00 05000000 0500000000");
        assert_eq!(Talk::tcp(9999).client(&plain).protocol(), Protocol::KAKAOTALK);
    }
}
