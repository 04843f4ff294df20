//! Services with a mark of their own: AVAST's updates, Alibaba's cloud, iQIYI's peers, RIPE Atlas,
//! Kismet (its documentation, client protocol), UFTP, AFS (Rx), HP's VirtGroup, Ookla's speed
//! test, iperf 3, Soulseek, Alcatel's NOE.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const AVAST: Dissector = Dissector::tcp(Protocol::AVAST, &[], avast);
pub(super) const ALI_CLOUD: Dissector = Dissector::tcp(Protocol::ALI_CLOUD, &[8999], ali_cloud);
pub(super) const IQIYI: Dissector = Dissector::udp(Protocol::IQIYI, &[], iqiyi);
pub(super) const ATLAS: Dissector = Dissector::both(Protocol::RIPE_ATLAS, &[], atlas);
pub(super) const KISMET: Dissector = Dissector::tcp(Protocol::KISMET, &[2501], kismet);
pub(super) const UFTP: Dissector = Dissector::udp(Protocol::UFTP, &[1044], uftp);
pub(super) const RX: Dissector = Dissector::udp(
    Protocol::RX,
    &[7000, 7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008, 7009, 7021],
    rx,
)
.bound();
pub(super) const VIRTGROUP: Dissector =
    Dissector::tcp(Protocol::HP_VIRTGRP, &[5223], virtgroup).bound();
pub(super) const OOKLA: Dissector = Dissector::tcp(Protocol::OOKLA, &[5060, 8080], ookla);
pub(super) const IPERF: Dissector = Dissector::tcp(Protocol::IPERF, &[5201], iperf).bound();
pub(super) const SOULSEEK: Dissector = Dissector::tcp(Protocol::SOULSEEK, &[2242], soulseek);
pub(super) const NOE: Dissector = Dissector::udp(Protocol::NOE, &[32512, 32640], noe).bound();

/// A word and the length of the whole.
fn avast(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"NOSA", Protocol::AVAST) {
        Verdict::Is(_) if view.u16_at(4).is_some_and(|len| usize::from(len) > view.len) => {
            Verdict::No
        }
        verdict => verdict,
    }
}

/// A mark and a length below 64 KiB.
fn ali_cloud(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(&[0xce, 0xfa, 0xbe, 0xba], Protocol::ALI_CLOUD) {
        Verdict::Is(_) if view.u32_le_at(4).is_some_and(|len| len > 0xffff) => Verdict::No,
        verdict => verdict,
    }
}

/// Direction and kind, length of the whole, a number; eight zeros behind the sender's.
fn iqiyi(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = matches!(view.first(), Some(0x1c | 0x9c))
        && view.is_counted16_le(2, 0)
        && view.at(16).is_some_and(|zeros: [u8; 6]| zeros.iter().skip(1).all(|o| *o == 0));
    Verdict::when(found, Protocol::IQIYI)
}

/// Probes that other anchors answer.
fn atlas(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.opens(b"MGLNDD_", Protocol::RIPE_ATLAS)
}

fn kismet(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"*KISMET: ", Protocol::KISMET) {
        Verdict::No => view.opens(b"KISMET\x04", Protocol::KISMET),
        verdict => verdict,
    }
}

/// Version 4 or 5 and a function, which the message behind the header repeats with its length in
/// words.
fn uftp(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([0x40 | 0x50, function]) = view.at(0) else { return Verdict::No };
    let Some([again, words]) = view.at(16) else { return Verdict::No };
    let octets = usize::from(words).saturating_mul(4).saturating_add(16);
    let found =
        (1..=32).contains(&function) && again == function && words > 0 && octets <= view.len;
    Verdict::when(found, Protocol::UFTP)
}

/// Epoch, connection, call, two numbers, kind, flags, status, security, spare, service.
fn rx(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([kind, flags, _, security]) = view.at(20) else { return Verdict::No };
    let at_port =
        (7000..=7021).contains(&view.server_port) || (7000..=7021).contains(&view.client_port);
    let small = |at| view.u32_at(at).is_some_and(|number: u32| number < 1 << 24);
    let found = at_port
        && matches!(kind, 1..=13)
        && flags & 0xc0 == 0
        && security <= 6
        && small(8)
        && small(12)
        && small(16)
        && view.len >= 28;
    Verdict::when(found, Protocol::RX)
}

/// A kind, the length of the whole, a version.
fn virtgroup(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([0x16 | 0x17, high, _, _]) if view.has_port(5223) => {
            let len = view.u16_at(1).map_or(0, usize::from);
            let fits = (4..=view.len).contains(&len) && high != 3;
            Verdict::when(fits, Protocol::HP_VIRTGRP)
        }
        None if view.is_short(4) && view.has_port(5223) => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// `HI`, maybe with a number; `HELLO` and the version; then a port or a way to try.
fn ookla(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let data = view.data;
    if data == b"HI\n" || data.starts_with(b"HI ") && data.ends_with(b"\n") && data.len() < 48 {
        return Verdict::Is(Protocol::OOKLA);
    }
    let begun = data.len() < 10
        && (b"HI\n".starts_with(data) || b"HELLO 2.".starts_with(data) || data.starts_with(b"HI "));
    if begun {
        return Verdict::Wait;
    }
    let found = data.starts_with(b"HELLO 2.") && data.contains(&b'(');
    Verdict::when(found, Protocol::OOKLA)
}

/// A cookie of 36 letters and digits of base 32 and a zero.
fn iperf(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if !view.has_port(5201) || view.len > 37 {
        return Verdict::No;
    }
    let Some((zero, cookie)) = view.data.split_last().filter(|_| view.len == 37) else {
        return Verdict::No;
    };
    let found = *zero == 0 && cookie.iter().all(|octet| matches!(octet, b'a'..=b'z' | b'2'..=b'7'));
    Verdict::when(found, Protocol::IPERF)
}

/// To the server: length, code 1, name and password with lengths, version. To peers: length, code
/// 1 in one octet, name, a kind of connection.
fn soulseek(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([len, _, 0, 0, 1, a, b, c]) = view.at(0) else { return Verdict::No };
    if !view.is_counted32_le(0, 4) || len < 9 {
        return Verdict::No;
    }
    let mut cursor = view.cursor();
    let login = [a, b, c] == [0; 3];
    let is_read = || -> Option<bool> {
        cursor.skip(if login { 8 } else { 5 })?;
        let name = cursor.u32_le().and_then(|len| usize::try_from(len).ok())?;
        let text = cursor.take(name)?.iter().all(|octet| *octet >= 0x20);
        let next = cursor.u32_le().and_then(|len| usize::try_from(len).ok())?;
        let kind = cursor.take(next)?;
        Some(text && name > 0 && (login || matches!(kind, b"P" | b"F" | b"D")))
    };
    let mut is_read = is_read;
    Verdict::when(is_read() == Some(true), Protocol::SOULSEEK)
}

/// UA over UDP: an operation; data has two numbers and messages with lengths (little-endian).
fn noe(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_port = view.has_port(32512) || view.has_port(32640);
    let found = match (view.len, view.first()) {
        (1, Some(1..=5)) => true,
        (5, Some(7)) => true,
        (6.., Some(7)) => view
            .u16_le_at(5)
            .is_some_and(|len| usize::from(len).saturating_add(7) <= view.len && len > 0),
        (4..=256, Some(0)) => {
            let mut cursor = Cursor::new(view.data.get(1..).unwrap_or_default());
            (0..16)
                .all(|_| cursor.is_empty() || cursor.u8() < Some(9) && cursor.counted8().is_some())
        }
        _ => false,
    };
    Verdict::when(at_port && found, Protocol::NOE)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn marks() {
        let update = hex("4e4f5341 0010 0102 00000000 e8e67a0c");
        assert_eq!(Talk::tcp(80).server(&update).protocol(), Protocol::AVAST);
        Talk::tcp(80).server(&update).survives();
        let cloud = hex("cefabeba 80000000");
        assert_eq!(Talk::tcp(8999).client(&cloud).protocol(), Protocol::ALI_CLOUD);
        assert_eq!(Talk::udp(9).client(b"MGLNDD_11.111").protocol(), Protocol::RIPE_ATLAS);
        assert_eq!(Talk::tcp(2501).server(b"*KISMET: 0.0.0 1").protocol(), Protocol::KISMET);
    }

    #[test]
    fn calls_of_afs() {
        let call =
            hex("d70fb330 5c224fb4 00000001 00000001 00000001 01 05 00 00 0000 0001 00010004");
        let talk = Talk::udp(7003).client(&call);
        assert_eq!(talk.protocol(), Protocol::RX);
        talk.survives();
        assert_eq!(Talk::udp(8003).client(&call).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn announcements_of_uftp() {
        let announce = hex(
            "5001 0000 c0a801ba 0211a8c5 009d0000 0106 0014 0020 0514 0005a3f6b839 3fbee604 0401e605 0558",
        );
        assert_eq!(Talk::udp(1044).client(&announce).protocol(), Protocol::UFTP);
        assert_eq!(Talk::udp(1044).client(&announce[..30]).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn measurements() {
        assert_eq!(Talk::tcp(8080).client(b"HI 4af1-77\n").protocol(), Protocol::OOKLA);
        assert_eq!(Talk::tcp(8080).client(b"HIGH\n").protocol(), Protocol::UNKNOWN);
        let cookie = b"abcdefghijklmnopqrstuvwxyz234567abcd\0";
        assert_eq!(Talk::tcp(5201).client(cookie).protocol(), Protocol::IPERF);
        assert_eq!(Talk::tcp(5202).client(cookie).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn logins_and_telephones() {
        let login = hex("15000000 01000000 03000000 626f62 02000000 7077 a0000000");
        let talk = Talk::tcp(2242).client(&login);
        assert_eq!(talk.protocol(), Protocol::SOULSEEK);
        talk.survives();
        assert_eq!(Talk::udp(32_512).client(&[4]).protocol(), Protocol::NOE);
        assert_eq!(Talk::udp(32_513).client(&[4]).protocol(), Protocol::UNKNOWN);
    }
}
