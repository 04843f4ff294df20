//! Tunnels and overlays with short headers: PPTP (RFC 2637), L2TP (RFC 2661, RFC 3931), tinc 1.0
//! and 1.1, Nebula, ZeroTier, SoftEther, frp, Cisco's, AYIYA (draft-massar-v6ops-ayiya).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const PPTP: Dissector = Dissector::tcp(Protocol::PPTP, &[1723], pptp);
pub(super) const L2TP: Dissector = Dissector::udp(Protocol::L2TP, &[1701], l2tp);
pub(super) const TINC: Dissector = Dissector::tcp(Protocol::TINC, &[655], tinc);
pub(super) const NEBULA: Dissector = Dissector::udp(Protocol::NEBULA, &[4242], nebula);
pub(super) const ZEROTIER: Dissector = Dissector::udp(Protocol::ZEROTIER, &[9993], zerotier);
pub(super) const SOFTETHER: Dissector = Dissector::udp(Protocol::SOFTETHER, &[], softether);
pub(super) const FRP: Dissector = Dissector::tcp(Protocol::FRP, &[7000], frp);
pub(super) const CISCO: Dissector =
    Dissector::both(Protocol::CISCO_VPN, &[10000, 8008, 8009], cisco);
pub(super) const AYIYA: Dissector = Dissector::udp(Protocol::AYIYA, &[5072], ayiya);

/// Length, a control message, the magic cookie.
fn pptp(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([0, len, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d]) => {
            Verdict::when(len >= 12 && usize::from(len) <= view.len, Protocol::PPTP)
        }
        None if view.is_short(8) && view.has_port(1723) => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// Control of version 2 or 3, its length that of the datagram; data at its port only.
fn l2tp(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([flags, version]) = view.at(0) else { return Verdict::No };
    let found = match (flags, version) {
        (0xc8, 2 | 3) => view.is_counted16(2, 0) && view.len >= 12,
        (_, 2) => {
            view.has_port(1701)
                && flags & 0xb4 == 0
                && (flags & 0x40 == 0 || view.is_counted16(2, 0))
        }
        _ => false,
    };
    Verdict::when(found, Protocol::L2TP)
}

/// `0 name 17`, answered alike: the first request, the name of the node, the version.
fn tinc(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if !view.data.starts_with(b"0 ") {
        let begun = view.is_short(2) && b"0 ".starts_with(view.data);
        return if begun { Verdict::Wait } else { Verdict::No };
    }
    let near = view.data.get(..80).unwrap_or(view.data);
    let Some(end) = near.iter().position(|octet| *octet == b'\n') else {
        return if near.len() < 80 { Verdict::Wait } else { Verdict::No };
    };
    let mut words = near.get(2..end).unwrap_or_default().split(|octet| *octet == b' ');
    let name = words.next().unwrap_or_default();
    let version = words.next().unwrap_or_default();
    let found = !name.is_empty()
        && name.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'^'))
        && version.starts_with(b"17")
        && version.iter().all(|octet| octet.is_ascii_digit() || *octet == b'.')
        && words.next().is_none();
    Verdict::when(found, Protocol::TINC)
}

/// Version 1, kind, no reserved bits. A handshake has no receiver yet and counts 1 or 2; a probe
/// of a lighthouse counts on.
fn nebula(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([head, sub, 0, 0]) = view.at(0) else { return Verdict::No };
    let number = view.at::<8>(8).map(u64::from_be_bytes);
    let found = match (head, sub) {
        (0x10, 0) => matches!(number, Some(1 | 2)) && view.len > 64,
        (0x11..=0x15, 0..=2) => {
            view.has_port(4242) && number.is_some_and(|n| n < 1 << 40) && view.len >= 32
        }
        _ => false,
    };
    Verdict::when(found, Protocol::NEBULA)
}

/// Number, receiver, sender, flags and cipher, code, verb. `HELLO` is in the clear: version of
/// the protocol and of the program.
fn zerotier(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([flags]) = view.at(18) else { return Verdict::No };
    let hello = flags & 0x38 == 0
        && matches!(view.at(27), Some([1, 4..=20, 1 | 2, 0..=40]))
        && view.len >= 100;
    if hello {
        return Verdict::Is(Protocol::ZEROTIER);
    }
    // Sealed packets at the port, when the same two talk again.
    let ends = view.data.get(8..18).unwrap_or_default();
    let fits = view.has_port(9993)
        && matches!(flags & 0x38, 0x08 | 0x18)
        && view.data.get(8) != Some(&0xff)
        && view.len >= 28;
    let again = view.past.iter().any(|past| {
        let head = past.head.get(8..18).unwrap_or_default();
        head == ends || head.get(..5) == ends.get(5..) && head.get(5..) == ends.get(..5)
    });
    match (fits, again) {
        (true, true) => Verdict::Is(Protocol::ZEROTIER),
        (true, false) if view.number < 4 => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// NAT traversal: asks with one letter, is told `IP=…,PORT=…`; registration is in a pack with
/// names.
fn softether(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let told = view.starts(b"IP=") && view.data.windows(6).any(|window| window == b",PORT=");
    let named = view.len > 99
        && matches!(view.u32_at(0), Some(1..=64))
        && matches!(view.at(4), Some([0, 0, 0, 2..=40]))
        && view.data.iter().skip(8).take(3).all(u8::is_ascii_alphabetic);
    let begins = view.len == 1 && view.first() == Some(b'A') && view.has_port(5004);
    if begins {
        return Verdict::Wait;
    }
    Verdict::when(told || named && view.has_port(5004), Protocol::SOFTETHER)
}

/// A kind (login, answer), eight octets of length, an object.
fn frp(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([b'o' | b'1' | b'p' | b'w', 0, 0, 0, 0, 0, 0, _, _, b'{']) => {
            Verdict::when(view.is_counted32(5, 9) || view.len > 9, Protocol::FRP)
        }
        None if view.first() == Some(b'o') && view.is_short(10) => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// IPsec in datagrams of Cisco's own form: a mark before ESP.
fn cisco(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.is_udp() && view.starts(&[0xfe, 0x57, 0x7e, 0x2b]);
    Verdict::when(found && view.len >= 28, Protocol::CISCO_VPN)
}

/// Identity of 16 octets, SHA-1, a shared secret, forwarded: IPv6 or nothing.
fn ayiya(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found =
        matches!(view.at(0), Some([0x44, 0x52, 0x10 | 0x11, 0x29 | 0x3b])) && view.len >= 44;
    Verdict::when(found, Protocol::AYIYA)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn control_of_pptp_and_l2tp() {
        let mut start = hex("009c 0001 1a2b3c4d 0001 0000");
        start.resize(156, 0);
        let talk = Talk::tcp(1723).client(&start);
        assert_eq!(talk.protocol(), Protocol::PPTP);
        talk.survives();
        let hello = hex("c802 0014 0000 0000 0000 0000 8008 0000 0000 0001");
        assert_eq!(Talk::udp(1701).client(&hello).protocol(), Protocol::L2TP);
        assert_eq!(Talk::udp(1701).client(&hello[..19]).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn nodes_of_overlays() {
        assert_eq!(Talk::tcp(655).client(b"0 thi").client(b"nk 17\n").protocol(), Protocol::TINC);
        assert_eq!(Talk::tcp(655).client(b"0 a b c\n").protocol(), Protocol::UNKNOWN);
        let mut first = hex("10000000 00000000 0000000000000001");
        first.resize(120, 9);
        assert_eq!(Talk::udp(4242).client(&first).protocol(), Protocol::NEBULA);
        let mut hello =
            hex("0102030405060708 aabbccddee 1122334455 00 0000000000000000 01 0b 01 0a 0000");
        hello.resize(140, 0);
        assert_eq!(Talk::udp(40_000).client(&hello).protocol(), Protocol::ZEROTIER);
    }

    #[test]
    fn others() {
        let login = b"o\0\0\0\0\0\0\0\x10{\"version\":\"1\" }";
        let talk = Talk::tcp(7000).client(login);
        assert_eq!(talk.protocol(), Protocol::FRP);
        talk.survives();
        let told = Talk::udp(5004).client(b"A").server(b"IP=192.0.2.1,PORT=4000");
        assert_eq!(told.protocol(), Protocol::SOFTETHER);
        let mut ayiya = hex("44521129 5f000000");
        ayiya.resize(80, 0);
        assert_eq!(Talk::udp(5072).client(&ayiya).protocol(), Protocol::AYIYA);
    }
}
