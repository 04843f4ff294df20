//! Packets within packets, and who steers them: VXLAN (RFC 7348), Geneve (RFC 8926), GTP (3GPP TS
//! 29.060, 29.274, 29.281, 32.295), PFCP (TS 29.244), Teredo (RFC 4380), MPLS in UDP (RFC 7510),
//! TZSP, CAPWAP (RFC 5415), LWAPP (RFC 5412), GSMTAP.

use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const VXLAN: Dissector =
    Dissector::udp(Protocol::VXLAN, &[4789, 8472, 4790], |view, _| {
        view.judge(Protocol::VXLAN, is_vxlan(view))
    })
    .bound();

pub(super) const GENEVE: Dissector = Dissector::udp(Protocol::GENEVE, &[6081], |view, _| {
    view.judge(Protocol::GENEVE, is_geneve(view))
})
.bound();

pub(super) const GTP: Dissector = Dissector::udp(Protocol::GTP, &[2152, 2123, 3386], gtp).bound();

pub(super) const PFCP: Dissector =
    Dissector::udp(Protocol::PFCP, &[8805], |view, _| view.judge(Protocol::PFCP, is_pfcp(view)))
        .bound();

pub(super) const TEREDO: Dissector = Dissector::udp(Protocol::TEREDO, &[3544], |view, _| {
    view.judge(Protocol::TEREDO, is_teredo(view))
});

pub(super) const MPLS: Dissector =
    Dissector::udp(Protocol::MPLS, &[6635], |view, _| view.judge(Protocol::MPLS, is_mpls(view)))
        .bound();

pub(super) const TZSP: Dissector =
    Dissector::udp(Protocol::TZSP, &[37_008], |view, _| view.judge(Protocol::TZSP, is_tzsp(view)))
        .bound();

pub(super) const CAPWAP: Dissector = Dissector::udp(Protocol::CAPWAP, &[5246, 5247], |view, _| {
    view.judge(Protocol::CAPWAP, is_capwap(view))
})
.bound();

pub(super) const LWAPP: Dissector =
    Dissector::udp(Protocol::LWAPP, &[12_222, 12_223], |view, _| {
        view.judge(Protocol::LWAPP, is_lwapp(view))
    })
    .bound();

pub(super) const GSMTAP: Dissector = Dissector::udp(Protocol::GSMTAP, &[4729], |view, _| {
    let fits = view.at(0).map(|[version, words, kind]| {
        matches!((version, words), (2, 4) | (3, 1..=8)) && kind <= 0x1f && view.has_port(4729)
    });
    view.judge(Protocol::GSMTAP, fits)
})
.bound();

/// The flag that says there is a number, and reserved octets.
fn is_vxlan(view: &View<'_>) -> Option<bool> {
    let ([flags, a, b, c], [_, _, _, last]) = (view.at(0)?, view.at(4)?);
    let is_here = VXLAN.ports.iter().any(|port| view.has_port(*port));
    // With other protocols than Ethernet, or with a group's policy, more of it is used.
    let is_plain = flags == 0x08 && [a, b, c, last] == [0; 4];
    let is_extended =
        (flags & 0x8c == 0x0c && c <= 7 && view.has_port(4790)) || (flags == 0x88 && last == 0);
    Some(is_here && (is_plain || is_extended) && view.len >= 22)
}

/// Version 0, length of options, reserved bits, what is within.
fn is_geneve(view: &View<'_>) -> Option<bool> {
    let ([first, second, high, low], [_, _, _, last]) = (view.at(0)?, view.at(4)?);
    let inner = u16::from_be_bytes([high, low]);
    let is_inner = matches!(inner, 0x6558 | 0x0800 | 0x86dd | 0x894f);
    let is_header = first & 0xc0 == 0 && second & 0x3f == 0 && last == 0;
    let options = usize::from(first & 0x3f).saturating_mul(4);
    Some(view.has_port(6081) && is_inner && is_header && view.len >= options.saturating_add(8))
}

/// By version and whether it is for charging; each has its ports and its application.
fn gtp(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let (Some([flags, kind]), Some(len)) = (view.at(0), view.u16_at(2)) else { return Verdict::No };
    let len = usize::from(len);
    let rest = |header: usize| len == view.len.saturating_sub(header);
    let name: &[u8] = if view.has_port(2152) {
        // Version 1 of users' packets.
        let is_kind = matches!(kind, 1 | 2 | 26 | 31 | 253..=255);
        if flags & 0xf8 != 0x30 || !is_kind || !rest(8) {
            return Verdict::No;
        }
        b"gtp-u"
    } else if view.has_port(2123) {
        let is_first = flags & 0xf8 == 0x30 && rest(8) && (1..=130).contains(&kind);
        // Version 2 may have another message behind.
        let is_second =
            flags & 0xe7 == 0x40 && (rest(4) || (flags & 0x10 != 0 && len < view.len)) && len >= 4;
        if !is_first && !is_second {
            return Verdict::No;
        }
        b"gtp-c"
    } else if view.has_port(3386) {
        // A header of 6 octets, or of 20 as version 0 had it.
        let is_kind = matches!(kind, 1..=7 | 240 | 241);
        if flags & 0x10 != 0 || flags >> 5 > 2 || !is_kind || !(rest(6) || rest(20)) {
            return Verdict::No;
        }
        b"gtp-prime"
    } else {
        return Verdict::No;
    };
    facts.put(Fact::Application, name);
    Verdict::Is(Protocol::GTP)
}

/// Version 1, kind, length of what follows the first four octets.
fn is_pfcp(view: &View<'_>) -> Option<bool> {
    let ([flags, kind], len) = (view.at(0)?, usize::from(view.u16_at(2)?));
    let is_kind = matches!(kind, 1..=15 | 50..=57);
    let least = if flags & 1 == 1 { 12 } else { 4 };
    let is_whole = len == view.len.saturating_sub(4) || (flags & 4 != 0 && len < view.len);
    Some(view.has_port(8805) && flags & 0xf8 == 0x20 && is_kind && is_whole && len >= least)
}

/// An IPv6 packet of its prefix, with what may stand before it.
fn is_teredo(view: &View<'_>) -> Option<bool> {
    let mut data = view.data;
    // Authentication with the lengths of two values, a nonce and a confirmation.
    if let [0, 1, id, value, rest @ ..] = data {
        let skip = usize::from(*id).saturating_add(usize::from(*value)).saturating_add(9);
        data = rest.get(skip..)?;
    }
    if let [0, 0, _, _, _, _, _, _, rest @ ..] = data {
        data = rest;
    }
    let header: &[u8; 40] = data.first_chunk()?;
    let [first, _, _, _, high, low, ..] = header;
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    let before = view.data.len().saturating_sub(data.len()).saturating_add(40);
    let source = header.get(8..)?;
    let target = header.get(24..)?;
    let is_prefix = |address: &[u8]| address.starts_with(&[0x20, 1, 0, 0]);
    let is_local = source.starts_with(&[0xfe, 0x80]) && view.has_port(3544);
    Some(
        first >> 4 == 6
            && len == view.len.saturating_sub(before)
            && (is_prefix(source) || is_prefix(target) || is_local),
    )
}

/// Labels up to the bottom of their stack, then IP.
fn is_mpls(view: &View<'_>) -> Option<bool> {
    if !view.has_port(6635) {
        return Some(false);
    }
    for at in [0, 4, 8, 12, 16, 20] {
        let [_, _, third, ttl] = view.at(at)?;
        if ttl == 0 {
            return Some(false);
        }
        if third & 1 == 1 {
            let at = at.saturating_add(4);
            let rest = view.len.saturating_sub(at);
            let [inner, _, high, low, more, less] = view.at(at)?;
            let total = |octets| usize::from(u16::from_be_bytes(octets));
            return Some(match inner >> 4 {
                // The word of control before a frame.
                0 => inner == 0,
                4 => inner & 0x0f >= 5 && total([high, low]) <= rest,
                6 => total([more, less]).saturating_add(40) <= rest,
                _ => false,
            });
        }
    }
    Some(false)
}

/// Version 1, kind, what is within, tags up to the one that ends them.
fn is_tzsp(view: &View<'_>) -> Option<bool> {
    let [1, 0..=5, high, low] = view.at(0)? else { return Some(false) };
    let inner = u16::from_be_bytes([high, low]);
    if !view.has_port(37_008) || !matches!(inner, 0 | 1 | 2 | 0x12 | 0x77 | 0x7f) {
        return Some(false);
    }
    let mut at = 4_usize;
    for _ in 0..32 {
        match view.at(at)? {
            [1] => return Some(true),
            [0] => at = at.saturating_add(1),
            [_] => {
                let [len] = view.at(at.saturating_add(1))?;
                at = at.saturating_add(usize::from(len)).saturating_add(2);
            }
        }
    }
    Some(false)
}

/// A header of version 0 whose length, binding and reserved bits fit, or DTLS behind a preamble.
fn is_capwap(view: &View<'_>) -> Option<bool> {
    if !view.has_port(5246) && !view.has_port(5247) {
        return Some(false);
    }
    let [preamble, a, b, c, d, e, _, last] = view.at(0)?;
    Some(match preamble {
        1 => [a, b, c] == [0; 3] && (20..=25).contains(&d) && matches!(e, 0xfe),
        0 => {
            let words = a >> 3;
            let binding = b >> 1 & 0x1f;
            (2..=20).contains(&words)
                && matches!(binding, 0 | 1 | 3)
                && c & 0x07 == 0
                && last & 0x07 == 0
        }
        _ => false,
    })
}

/// Version 0 with radio and flags, a fragment, a length.
fn is_lwapp(view: &View<'_>) -> Option<bool> {
    let ([flags, _fragment], len) = (view.at(0)?, usize::from(view.u16_at(2)?));
    let is_here = view.has_port(12_222) || view.has_port(12_223);
    let rest = view.len.saturating_sub(6);
    // A medium's address may stand before all.
    let is_plain = flags >> 6 == 0 && len == rest;
    let is_behind =
        view.u16_at(8).is_some_and(|len| usize::from(len) == view.len.saturating_sub(12));
    Some(is_here && (is_plain || is_behind))
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    fn udp(port: u16, payload: &str) -> Protocol {
        Talk::udp(port).client(&hex(payload)).protocol()
    }

    #[test]
    fn frames_within() {
        let frame = "ffffffffffff 020000000001 0806 0001";
        assert_eq!(udp(4789, &format!("08000000 00007b00 {frame}")), Protocol::VXLAN);
        assert_eq!(udp(4789, &format!("08000001 00007b00 {frame}")), Protocol::UNKNOWN);
        assert_eq!(udp(6081, &format!("0000 6558 00007b00 {frame}")), Protocol::GENEVE);
        assert_eq!(udp(6081, &format!("0001 6558 00007b00 {frame}")), Protocol::UNKNOWN);
        assert_eq!(udp(37_008, &format!("01 00 0001 0a 01 c4 01 {frame}")), Protocol::TZSP);
        let packet = "45000014 00010000 40110000 0a000001 0a000002";
        assert_eq!(udp(6635, &format!("00 01 01 40 {packet}")), Protocol::MPLS);
        assert_eq!(udp(6635, &format!("00 01 01 00 {packet}")), Protocol::UNKNOWN);
        assert_eq!(udp(6635, "00 01 01 40 45 00 00 15 00 01"), Protocol::UNKNOWN);
        assert_eq!(udp(4729, "02 04 01 00 0000 0000"), Protocol::GSMTAP);
    }

    #[test]
    fn mobile_networks() {
        let talk = Talk::udp(2152).client(&hex("30 ff 0004 00000001 45000014"));
        assert_eq!(talk.protocol(), Protocol::GTP);
        assert_eq!(talk.fact(Fact::Application).as_deref(), Some("gtp-u"));
        assert_eq!(udp(2152, "30 ff 0005 00000001 45000014"), Protocol::UNKNOWN);
        assert_eq!(udp(2123, "40 01 0009 00000100 03 0001 00 01"), Protocol::GTP);
        assert_eq!(udp(3386, "2e 01 0002 0001 0e01"), Protocol::GTP);
        assert_eq!(udp(8805, "20 01 000c 00000100 0060 0004 e0000000"), Protocol::PFCP);
        assert_eq!(udp(8805, "20 01 000d 00000100 0060 0004 e0000000"), Protocol::UNKNOWN);
    }

    #[test]
    fn teredo_by_its_prefix() {
        let mut packet = hex("60000000 0000 3b 15 20010000");
        packet.resize(40, 1);
        assert_eq!(Talk::udp(9).client(&packet).protocol(), Protocol::TEREDO);
        Talk::udp(3544).client(&packet).survives();
        packet[9] = 2;
        assert_eq!(Talk::udp(9).client(&packet).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn access_points() {
        assert_eq!(udp(5246, "00 10 02 00 0000 0000 00000001 b2 00 08 00"), Protocol::CAPWAP);
        assert_eq!(udp(5246, "01 00 00 00 16 fe fd 00 00"), Protocol::CAPWAP);
        assert_eq!(udp(5246, "00 10 02 01 0000 0000 00000001 b2 00 08 00"), Protocol::UNKNOWN);
        assert_eq!(udp(12_223, "00 00 0004 0000 01 02 03 04"), Protocol::LWAPP);
    }
}
