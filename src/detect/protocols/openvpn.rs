//! OpenVPN: its security overview and network protocol (draft-openvpn-wire-protocol). Opcode and
//! key number stand first, then the session; HMAC and packet number come before the acknowledged
//! numbers with `tls-auth` and `tls-crypt`.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::OPENVPN, &[1194], dissect);

/// Opcodes, shifted as they stand.
const SOFT_RESET: u8 = 3;
const CONTROL: u8 = 4;
const ACK: u8 = 5;
const CLIENT_V2: u8 = 7;
const SERVER_V2: u8 = 8;
const CLIENT_V3: u8 = 10;
const WKC_V1: u8 = 11;

/// Octets of the HMAC: none, MD5, SHA-1, SHA-256, SHA-512.
const HMACS: [usize; 5] = [0, 16, 20, 32, 64];

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let data = if view.is_udp() {
        view.data
    } else {
        // Over TCP a length comes first.
        let Some(len) = view.u16_at(0) else { return Verdict::Wait };
        let Some(packet) = view.data.get(2..) else { return Verdict::No };
        if !(14..1600).contains(&len) {
            return Verdict::No;
        }
        if packet.len() < usize::from(len) {
            let hopeful = packet.first().is_none_or(|octet| is_reset(octet >> 3) && octet & 7 == 0);
            return if hopeful { Verdict::Wait } else { Verdict::No };
        }
        packet.get(..usize::from(len)).unwrap_or_default()
    };
    let Some(opcode) = data.first().map(|octet| octet >> 3) else { return Verdict::No };
    if !matches!(opcode, SOFT_RESET..=ACK | CLIENT_V2 | SERVER_V2 | CLIENT_V3 | WKC_V1) {
        return Verdict::No;
    }
    if is_reset(opcode) {
        return if is_hello(data, opcode) {
            // The answer of the server, or the next packet of the same session, settles it where
            // no port does.
            if view.number > 1 || view.is_tcp() || is_strong(data) {
                Verdict::Is(Protocol::OPENVPN)
            } else {
                Verdict::Wait
            }
        } else {
            Verdict::No
        };
    }
    let session = data.get(1..9).unwrap_or_default();
    // Over TCP the length lies before what is remembered of a packet.
    let at = if view.is_udp() { 0 } else { 2 };
    let mut earlier = view.past.iter().filter_map(|past| {
        let head = past.head.get(at..)?;
        (past.from_client == view.from_client && head.get(1..9) == Some(session))
            .then(|| head.first().map(|octet| octet >> 3))?
    });
    if earlier.any(is_reset) {
        return Verdict::Is(Protocol::OPENVPN);
    }
    // A capture that begins after the reset: what it shows must fit, twice.
    if opcode == SOFT_RESET || !follows(data, opcode) {
        return Verdict::No;
    }
    let again = view.past.iter().any(|past| {
        let head = past.head.get(at..).unwrap_or_default();
        past.from_client == view.from_client
            && head.get(1..9) == Some(session)
            && matches!(head.first().map(|octet| octet >> 3), Some(CONTROL | ACK))
            && head.get(..GLIMPSED) != data.get(..GLIMPSED)
    });
    if again {
        Verdict::Is(Protocol::OPENVPN)
    } else if view.number < 6 {
        Verdict::Wait
    } else {
        Verdict::No
    }
}

/// Octets of an earlier packet that can be compared.
const GLIMPSED: usize = 18;

/// A packet of a session that is there: acknowledged numbers with the other's session, its own
/// number, with or without HMAC.
fn follows(data: &[u8], opcode: u8) -> bool {
    if data.get(1..9).is_none_or(|session| session.iter().filter(|o| **o == 0).count() > 2) {
        return false;
    }
    HMACS.into_iter().any(|hmac| {
        if hmac > 0 {
            return number_of(data, hmac).is_some() || number_of(data, 0).is_some();
        }
        let mut cursor = Cursor::new(data.get(9..).unwrap_or_default());
        let Some(acks) = cursor.u8().filter(|acks| *acks <= 8) else { return false };
        for _ in 0..acks {
            if cursor.u32().is_none_or(|number| number > 0xffff) {
                return false;
            }
        }
        if acks > 0 && cursor.skip(8).is_none() {
            return false;
        }
        if opcode == ACK {
            return acks > 0 && cursor.is_empty();
        }
        cursor.u32().is_some_and(|number| number < 0x1000)
            && matches!(cursor.array(), Some([0x14..=0x17, 3]))
    })
}

const fn is_reset(opcode: u8) -> bool {
    matches!(opcode, CLIENT_V2 | SERVER_V2 | CLIENT_V3)
}

/// A hard reset: first packet of its session, its message number is zero.
fn is_hello(data: &[u8], opcode: u8) -> bool {
    let first = data.first().is_some_and(|octet| octet & 7 == 0);
    let session = data.get(1..9).unwrap_or_default();
    if !first || session.iter().all(|octet| *octet == 0) || session.is_empty() {
        return false;
    }
    if opcode == CLIENT_V3 {
        // The client's key is wrapped behind (tls-crypt-v2).
        return data.len() > 280 && data.len() < 1300 && number_of(data, 0).is_some();
    }
    layout(data, opcode).is_some()
}

/// Packet number and time after session (and HMAC), both plausible; `tls-crypt` has them before
/// the HMAC.
fn number_of(data: &[u8], hmac: usize) -> Option<()> {
    let mut cursor = Cursor::new(data.get(9_usize.checked_add(hmac)?..)?);
    // Packet numbers begin with 1; version 2.6 keeps the upper bits for what peers support.
    let number = cursor.u32()?;
    let number = if number >> 24 == 0 { number } else { number & 0xffff };
    let time = cursor.u32()?;
    ((1..=64).contains(&number) && (0x3000_0000..0xf000_0000).contains(&time)).then_some(())
}

/// Octets of the HMAC of a reset.
fn layout(data: &[u8], opcode: u8) -> Option<usize> {
    // tls-crypt: number, time, HMAC of SHA-256; the rest is sealed: an array of acknowledged
    // numbers and the message number, and since 2.6 a field more.
    let sealed = if opcode == CLIENT_V2 { 54..=60 } else { 66..=72 };
    if sealed.contains(&data.len()) && number_of(data, 0).is_some() {
        return Some(32);
    }
    HMACS.into_iter().find(|hmac| {
        let mut at = 9_usize.saturating_add(*hmac);
        if *hmac > 0 {
            if number_of(data, *hmac).is_none() {
                return false;
            }
            at = at.saturating_add(8);
        }
        let mut cursor = Cursor::new(data.get(at..).unwrap_or_default());
        let Some(acks) = cursor.u8() else { return false };
        if acks > 8 || (opcode == CLIENT_V2) != (acks == 0) {
            return false;
        }
        if acks > 0 {
            let seen = usize::from(acks).saturating_mul(4).saturating_add(8);
            if cursor.skip(seen).is_none() {
                return false;
            }
        }
        cursor.u32() == Some(0) && cursor.is_empty()
    })
}

/// A number and a time leave no doubt.
fn is_strong(data: &[u8]) -> bool {
    HMACS.into_iter().any(|hmac| number_of(data, hmac).is_some()) && data.len() >= 42
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    const RESET: &str = "38 39fded2daa10a437 00 00000000";
    const ANSWER: &str = "40 9421917de7267729 01 00000000 39fded2daa10a437 00000000";

    #[test]
    fn a_reset_and_its_answer() {
        let talk = Talk::udp(1194).client(&hex(RESET));
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        talk.survives();
        assert_eq!(talk.server(&hex(ANSWER)).protocol(), Protocol::OPENVPN);
    }

    #[test]
    fn with_a_length_over_tcp() {
        let mut reset = vec![0, 14];
        reset.extend(hex(RESET));
        let talk = Talk::tcp(443).client(&reset);
        assert_eq!(talk.protocol(), Protocol::OPENVPN);
        let talk = Talk::tcp(443).client(&reset[..1]).client(&reset[1..]);
        assert_eq!(talk.protocol(), Protocol::OPENVPN);
    }

    #[test]
    fn with_a_key_of_its_own() {
        let auth = hex("38b02ccff1b5f0174f c091666e3b124bada39173317b939722d1fe63be
            00000001 57a1c15f 00 00000000");
        assert_eq!(Talk::udp(13_680).client(&auth).protocol(), Protocol::OPENVPN);
        let mut crypt = hex("38b02ccff1b5f0174f 00000001 57a1c15f");
        crypt.extend([0xa7; 37]);
        assert_eq!(Talk::udp(13_680).client(&crypt).protocol(), Protocol::OPENVPN);
    }

    #[test]
    fn a_session_counts_on() {
        let control = hex("20 39fded2daa10a437 00 00000001 160301");
        let talk = Talk::udp(1194).client(&hex(RESET)).client(&control);
        assert_eq!(talk.protocol(), Protocol::OPENVPN);
        let other = hex("20 39fded2daa10a438 00 00000001 160301");
        let talk = Talk::udp(1194).client(&hex(RESET)).client(&other);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
    }
}
