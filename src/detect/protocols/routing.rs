//! Routers among themselves: BGP (RFC 4271), LDP (RFC 5036), MSDP (RFC 3618), RIP (RFC 2453),
//! RIPng (RFC 2080), OLSR (RFC 3626), Babel (RFC 8966), BFD (RFC 5880), HSRP (RFC 2281 and
//! version 2), GLBP, WCCP, LISP (RFC 9301), DLEP (RFC 8175), OpenFlow.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Protocol, View};

/// The other ports are those of the terminals of bgpd and ospfd.
pub(super) const BGP: Dissector = Dissector {
    guesses: &[(2604, Protocol::OSPF)],
    ..Dissector::tcp(Protocol::BGP, &[179, 2605, 2604], |view, _| {
        view.judge(Protocol::BGP, is_bgp(view.data))
    })
};

pub(super) const LDP: Dissector =
    Dissector::both(Protocol::LDP, &[646], |view, _| view.judge(Protocol::LDP, is_ldp(view)))
        .bound();

pub(super) const MSDP: Dissector =
    Dissector::tcp(Protocol::MSDP, &[639], |view, _| view.judge(Protocol::MSDP, is_msdp(view)))
        .bound();

pub(super) const RIP: Dissector =
    Dissector::udp(Protocol::RIP, &[520], |view, _| view.judge(Protocol::RIP, is_rip(view)))
        .bound();

pub(super) const RIPNG: Dissector =
    Dissector::udp(Protocol::RIPNG, &[521], |view, _| view.judge(Protocol::RIPNG, is_ripng(view)))
        .bound();

pub(super) const OLSR: Dissector =
    Dissector::udp(Protocol::OLSR, &[698], |view, _| view.judge(Protocol::OLSR, is_olsr(view)))
        .bound();

pub(super) const BABEL: Dissector = Dissector::udp(Protocol::BABEL, &[6696, 6697], |view, _| {
    view.judge(Protocol::BABEL, is_babel(view))
})
.bound();

pub(super) const BFD: Dissector =
    Dissector::udp(Protocol::BFD, &[3784, 3785, 4784, 6784], |view, _| {
        view.judge(Protocol::BFD, is_bfd(view))
    })
    .bound();

pub(super) const HSRP: Dissector = Dissector::udp(Protocol::HSRP, &[1985, 2029], |view, _| {
    view.judge(Protocol::HSRP, is_hsrp(view))
})
.bound();

pub(super) const GLBP: Dissector =
    Dissector::udp(Protocol::GLBP, &[3222], |view, _| view.judge(Protocol::GLBP, is_glbp(view)))
        .bound();

pub(super) const WCCP: Dissector =
    Dissector::udp(Protocol::WCCP, &[2048], |view, _| view.judge(Protocol::WCCP, is_wccp(view)))
        .bound();

pub(super) const LISP: Dissector = Dissector::both(Protocol::LISP, &[4341, 4342], |view, _| {
    view.judge(Protocol::LISP, is_lisp(view))
})
.bound();

pub(super) const DLEP: Dissector =
    Dissector::both(Protocol::DLEP, &[854], |view, _| view.judge(Protocol::DLEP, is_dlep(view)));

pub(super) const OPENFLOW: Dissector =
    Dissector::tcp(Protocol::OPENFLOW, &[6653, 6633], |view, _| {
        view.judge(Protocol::OPENFLOW, is_openflow(view))
    });

/// A marker of ones, a length, a kind.
fn is_bgp(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    if *data.first()? != 0xff {
        return Some(false);
    }
    let marker = cursor.array::<16>()?;
    let (len, kind) = (cursor.u16()?, cursor.u8()?);
    Some(marker == [0xff; 16] && (19..=4_096).contains(&len) && (1..=5).contains(&kind))
}

/// Version 1, length, router and label space; a first message that is known.
fn is_ldp(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    if cursor.u16()? != 1 {
        return Some(false);
    }
    let len = usize::from(cursor.u16()?);
    cursor.skip(6)?;
    let (kind, size) = (cursor.u16()? & 0x7fff, usize::from(cursor.u16()?));
    let is_kind = matches!(kind, 1 | 0x100 | 0x200..=0x202 | 0x300 | 0x301 | 0x400..=0x404);
    let rest = view.len.saturating_sub(4);
    let is_whole = len == rest || (view.is_tcp() && len < 0x1000);
    Some(is_kind && is_whole && len >= 14 && size.saturating_add(10) <= len)
}

/// Kind, length: of a keep-alive 3, of a source's activity with its entries.
fn is_msdp(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let (kind, len) = (cursor.u8()?, usize::from(cursor.u16()?));
    let is_shaped = match kind {
        4 => len == 3,
        2 | 3 => len == 8 || len == 20,
        1 => {
            let entries = usize::from(cursor.u8()?);
            entries > 0 && len >= entries.saturating_mul(12).saturating_add(8)
        }
        _ => false,
    };
    Some(is_shaped && view.has_port(639) && len <= 9_192)
}

/// Command, version, zeros, entries of 20 octets.
fn is_rip(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let (command, version, zero) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
    let is_header = matches!((command, version, zero), (1..=2, 1, 0) | (1..=2 | 9..=11, 2, _));
    let is_shaped = view.len.saturating_sub(4).is_multiple_of(20) && (24..=504).contains(&view.len);
    // Of addresses, of authentication, of all there is.
    let family = cursor.u16()?;
    Some(view.has_port(520) && is_header && is_shaped && matches!(family, 2 | 0xffff | 0))
}

/// Command, version 1, zeros, entries of 20 octets.
fn is_ripng(view: &View<'_>) -> Option<bool> {
    let header = view.at::<4>(0)?;
    let is_shaped = view.len.saturating_sub(4).is_multiple_of(20) && view.len >= 24;
    Some(view.has_port(521) && matches!(header, [1 | 2, 1, 0, 0]) && is_shaped)
}

/// Length of all, a sequence; a message with its own size and at least one hop.
fn is_olsr(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    let (len, _sequence) = (usize::from(cursor.u16()?), cursor.u16()?);
    let (kind, _valid, size) = (cursor.u8()?, cursor.u8()?, usize::from(cursor.u16()?));
    let is_message = kind > 0 && size >= 12 && size.saturating_add(4) <= len;
    Some(view.has_port(698) && len == view.len && is_message)
}

/// Magic, version 2, length of the body, whose first element fits in it.
fn is_babel(view: &View<'_>) -> Option<bool> {
    let [42, 2, high, low] = view.at(0)? else { return Some(false) };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let is_whole = (1..=view.len.saturating_sub(4)).contains(&len);
    let [kind] = view.at(4)?;
    Some(is_whole && kind <= 16 && (view.has_port(6696) || view.has_port(6697)))
}

/// Version 1, length, times; of the echo nothing is said but its port.
fn is_bfd(view: &View<'_>) -> Option<bool> {
    let [first, second, multiplier, len] = view.at(0)?;
    let mine = view.u32_at(4)?;
    let is_header = first >> 5 == 1 && second & 1 == 0 && multiplier > 0 && mine != 0;
    let is_whole = usize::from(len) == view.len || (usize::from(len) < view.len && view.len <= 64);
    let is_here = BFD.ports.iter().any(|port| view.has_port(*port));
    Some(is_here && is_header && is_whole && len >= 24)
}

/// Version 0 with operation and state, or the elements of version 2.
fn is_hsrp(view: &View<'_>) -> Option<bool> {
    let [first, second, third, _] = view.at(0)?;
    let is_old =
        first == 0 && second <= 3 && matches!(third, 0 | 1 | 2 | 4 | 8 | 16) && view.len >= 14;
    let is_new = matches!((first, second), (1, 0x28) | (2, 4) | (3, 8) | (4, 0x1c)) && view.len > 5;
    Some((view.has_port(1985) || view.has_port(2029)) && (is_old || is_new))
}

/// Version 1, nothing, group, nothing, the owner's address of the medium.
fn is_glbp(view: &View<'_>) -> Option<bool> {
    let [version, _, group, _, 0, 0] = view.at(0)? else { return Some(false) };
    let is_both = view.client_port == 3222 && view.server_port == 3222;
    Some(is_both && version == 1 && group <= 3 && view.len >= 20)
}

/// Kind of message, version 2.x, length of the rest; or version 1 alone.
fn is_wccp(view: &View<'_>) -> Option<bool> {
    let (kind, version, len) = (view.u32_at(0)?, view.u16_at(4)?, usize::from(view.u16_at(6)?));
    let is_second = matches!(kind, 10..=15) && matches!(version, 0x0200 | 0x0201);
    let is_first = matches!(kind, 7..=9) && version == 0 && len == 4;
    Some(view.has_port(2048) && ((is_second && len == view.len.saturating_sub(8)) || is_first))
}

/// Control by its kind with reserved bits; data by the flags and what is within. Over TCP
/// (draft-ietf-lisp-map-server-reliable-transport) messages have a length and a mark at their end.
fn is_lisp(view: &View<'_>) -> Option<bool> {
    if view.is_tcp() {
        let (kind, len) = (view.u16_at(0)?, usize::from(view.u16_at(2)?));
        let is_message = (16..=32).contains(&kind) && (12..=8_192).contains(&len);
        if !is_message || !view.has_port(4342) {
            return Some(false);
        }
        return Some(view.u32_at(len.saturating_sub(4))? == 0x9fac_ade9);
    }
    let [first, second, _, records] = view.at(0)?;
    if view.has_port(4342) {
        let kind = first >> 4;
        return Some(match kind {
            8 => matches!(view.at(4)?, [0x40..=0x4f | 0x60..=0x6f]),
            1 => view.len >= 24 && second & 0x3f == 0,
            // Reserved bits, and how many records there are.
            2..=6 => view.len >= 12 && second == 0 && (1..=64).contains(&records),
            7 => view.len >= 12 && second == 0 && records == 0,
            _ => false,
        });
    }
    let [inner] = view.at(8)?;
    Some(view.has_port(4341) && matches!(inner, 0x45..=0x4f | 0x60..=0x6f) && first & 0x07 == 0)
}

/// Over UDP a signal with its mark; over TCP the first message, of how a session begins.
fn is_dlep(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    if view.is_udp() {
        let [mark @ .., high, low] = cursor.array::<6>()?;
        let len = usize::from(cursor.u16()?);
        let is_signal = matches!((high, low), (0, 1 | 2));
        return Some(mark == *b"DLEP" && is_signal && len == view.len.saturating_sub(8));
    }
    let (kind, len) = (cursor.u16()?, cursor.u16()?);
    Some(view.has_port(854) && (1..=16).contains(&kind) && len < 1_500)
}

/// Version, kind, length; a conversation begins with a hello.
fn is_openflow(view: &View<'_>) -> Option<bool> {
    let [version, kind, high, low] = view.at(0)?;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if !(1..=6).contains(&version) || len < 8 || view.data.len() < 8 {
        return if (1..=6).contains(&version) && len >= 8 { None } else { Some(false) };
    }
    let is_hello = kind == 0 && (len == 8 || (len == 16 && view.at(8) == Some([0, 1, 0, 8])));
    let is_here = view.has_port(6653) || view.has_port(6633);
    let is_start = is_hello && view.len <= 4_096 && (is_here || view.len == len);
    Some(is_start || (is_here && kind <= 35 && len <= view.len))
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn tcp(port: u16, payload: &str) -> Protocol {
        Talk::tcp(port).client(&hex(payload)).protocol()
    }

    fn udp(port: u16, payload: &str) -> Protocol {
        Talk::udp(port).from(port).client(&hex(payload)).protocol()
    }

    #[test]
    fn sessions_of_routers() {
        let keepalive = format!("{} 0013 04", "ff".repeat(16));
        assert_eq!(tcp(9, &keepalive), Protocol::BGP);
        assert_eq!(tcp(179, &keepalive.replace("0013", "0012")), Protocol::UNKNOWN);
        let hello =
            "0001 001e 0a000001 0000 0100 0014 00000001 0400 0004 000f 0000 0401 0004 0a000001";
        assert_eq!(udp(646, hello), Protocol::LDP);
        assert_eq!(udp(646, &hello.replace("001e", "001d")), Protocol::UNKNOWN);
        assert_eq!(tcp(639, "04 0003"), Protocol::MSDP);
        assert_eq!(tcp(639, "04 0004 00"), Protocol::UNKNOWN);
        assert_eq!(tcp(9, "01 00 0008 00000001"), Protocol::OPENFLOW);
        assert_eq!(tcp(9, "01 00 0009 00000001 00"), Protocol::UNKNOWN);
    }

    #[test]
    fn routes_are_told() {
        let all = "01 02 0000 0000 0000 00000000 00000000 00000000 00000010";
        assert_eq!(udp(520, all), Protocol::RIP);
        assert_eq!(udp(99, all), Protocol::UNKNOWN);
        let next = format!("01 01 0000 {} 00 10", "00".repeat(18));
        assert_eq!(udp(521, &next), Protocol::RIPNG);
        assert_eq!(udp(521, &next.replace("0110", "0210")), Protocol::RIPNG);
        assert_eq!(udp(698, "0014 0001 01 86 0010 0a000001 01 00 0001 0000 0503"), Protocol::OLSR);
        assert_eq!(udp(6696, "2a 02 0008 04 06 0000 0001 0190"), Protocol::BABEL);
        assert_eq!(udp(6696, "2a 02 0009 04 06 0000 0001 0190"), Protocol::UNKNOWN);
    }

    #[test]
    fn neighbours_are_watched() {
        let control = "20 c0 03 18 00000001 00000002 000f4240 000f4240 0000c350";
        assert_eq!(udp(3784, control), Protocol::BFD);
        assert_eq!(udp(3783, control), Protocol::UNKNOWN);
        assert_eq!(udp(1985, "00 00 10 03 0a 78 01 00 636973636f000000 0a000001"), Protocol::HSRP);
        assert_eq!(
            udp(1985, "00 00 11 03 0a 78 01 00 636973636f000000 0a000001"),
            Protocol::UNKNOWN
        );
        assert_eq!(
            udp(3222, "01 00 000a 0000 c20200000000 01 1c 00 20 00 64 0000 0bb8"),
            Protocol::GLBP
        );
        assert_eq!(udp(2048, "0000000a 0200 0004 00000000"), Protocol::WCCP);
        assert_eq!(udp(854, "444c4550 0001 0000"), Protocol::DLEP);
        let request = "10 00 00 01 0011223344556677 0001 0a000001 0020 0001 0a000002 00 00";
        assert_eq!(udp(4342, request), Protocol::LISP);
        assert_eq!(tcp(4342, "0010 000c 00000001 9facade9"), Protocol::LISP);
        assert_eq!(tcp(4342, "0010 000c 00000001 9facadea"), Protocol::UNKNOWN);
    }
}
