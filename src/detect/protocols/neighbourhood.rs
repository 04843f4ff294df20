//! Hosts in one network: NAT-PMP (RFC 6886) and PCP (RFC 6887), SLP (RFC 2608), BJNP (Canon's
//! printers), LPD (RFC 1179), JetDirect (PJL), RMCP with IPMI, Wake-on-LAN, SAP (RFC 2974), TiVo,
//! VMware's hosts, Corosync's totem, Serf's memberlist, Check Point's cluster protocol.

use crate::detect::cursor::Cursor;
use crate::detect::text::{Start, find_within, start};
use crate::detect::{Dissector, Protocol, View};

pub(super) const NAT_PMP: Dissector =
    Dissector::udp(Protocol::NAT_PMP, &[5351, 5350], |view, _| {
        view.judge(Protocol::NAT_PMP, is_nat_pmp(view))
    })
    .bound();

pub(super) const SLP: Dissector =
    Dissector::both(Protocol::SLP, &[427], |view, _| view.judge(Protocol::SLP, is_slp(view)));

pub(super) const BJNP: Dissector =
    Dissector::both(Protocol::BJNP, &[8610, 8611, 8612, 8613], |view, _| {
        let fits =
            view.at(0).map(|mark: [u8; 4]| matches!(&mark, b"BJNP" | b"BJNB" | b"BNJB" | b"MFNP"));
        view.judge(Protocol::BJNP, fits)
    });

pub(super) const LPD: Dissector =
    Dissector::tcp(Protocol::LPD, &[515], |view, _| view.judge(Protocol::LPD, is_lpd(view)))
        .bound();

pub(super) const JETDIRECT: Dissector = Dissector::tcp(Protocol::JETDIRECT, &[9100], |view, _| {
    view.opens(b"\x1b%-12345X", Protocol::JETDIRECT)
});

pub(super) const RMCP: Dissector = Dissector::udp(Protocol::RMCP, &[623, 664], |view, _| {
    view.judge(Protocol::RMCP, is_rmcp(view))
});

pub(super) const WAKE_ON_LAN: Dissector = Dissector::udp(Protocol::WAKE_ON_LAN, &[], |view, _| {
    view.judge(Protocol::WAKE_ON_LAN, Some(is_wake(view.data)))
});

pub(super) const SAP: Dissector = Dissector::udp(Protocol::SAP, &[9875], |view, _| {
    view.judge(Protocol::SAP, is_announcement(view))
});

pub(super) const TIVO: Dissector = Dissector::both(Protocol::TIVO, &[2190], |view, _| {
    let fits = view.at(0).map(|head: [u8; 12]| head.eq_ignore_ascii_case(b"tivoconnect="));
    view.judge(Protocol::TIVO, fits)
})
.bound();

pub(super) const VMWARE: Dissector = Dissector::both(Protocol::VMWARE, &[902, 903], |view, _| {
    view.judge(Protocol::VMWARE, is_vmware(view))
})
.bound();

pub(super) const COROSYNC: Dissector =
    Dissector::udp(Protocol::COROSYNC, &[5405, 5404], |view, _| {
        let is_here = view.has_port(5405) || view.has_port(5404);
        let fits = view.at(0).map(|[a, b, version, kind]| {
            is_here && matches!([a, b], [0x70, 0xc0] | [0xc0, 0x70]) && version <= 4 && kind <= 8
        });
        view.judge(Protocol::COROSYNC, fits)
    })
    .bound();

pub(super) const SERF: Dissector =
    Dissector::both(Protocol::SERF, &[7946, 8301, 8302], |view, _| {
        view.judge(Protocol::SERF, is_serf(view.data))
    });

pub(super) const CPHA: Dissector = Dissector::udp(Protocol::CPHA, &[8116], |view, _| {
    let fits = view.at(0).map(|mark| mark == [0x1a, 0x90] && view.has_port(8116) && view.len >= 16);
    view.judge(Protocol::CPHA, fits)
})
.bound();

/// A version, an operation, and the size that belongs to it.
fn is_nat_pmp(view: &View<'_>) -> Option<bool> {
    let [version, operation] = view.at(0)?;
    let is_here = view.has_port(5351) || view.has_port(5350);
    let is_sized = match (version, operation) {
        (0, 0) => view.len == 2,
        (0, 1 | 2 | 128) => view.len == 12,
        (0, 129 | 130) => view.len == 16,
        // An answer to an operation or a version that is not known.
        (0, _) => operation & 0x80 != 0 && view.len == 8,
        (2, _) => {
            operation & 0x7f <= 3 && view.len.is_multiple_of(4) && (24..=1_100).contains(&view.len)
        }
        _ => false,
    };
    Some(is_here && is_sized)
}

/// Version 2 with function, length of three octets and a language; or version 1.
fn is_slp(view: &View<'_>) -> Option<bool> {
    let [version @ 1..=2, function @ 1..=11, first, second, third] = view.at(0)? else {
        return Some(false);
    };
    if version == 1 {
        let len = usize::from(u16::from_be_bytes([first, second]));
        return Some(view.has_port(427) && len == view.len && function <= 10);
    }
    let len = u32::from_be_bytes([0, first, second, third]);
    let flags = view.u16_at(5)?;
    let language = view.u16_at(12)?;
    let is_whole = usize::try_from(len).ok()? == view.len;
    Some(is_whole && flags & 0x1fff == 0 && (2..=8).contains(&language))
}

/// An octet for what to do with a queue, whose name follows; lists name users too.
fn is_lpd(view: &View<'_>) -> Option<bool> {
    let [1..=5, queue @ .., b'\n'] = view.data else {
        return if view.data.is_empty() { None } else { Some(false) };
    };
    let is_name =
        !queue.is_empty() && queue.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ');
    Some(view.has_port(515) && is_name && queue.len() <= 128)
}

/// Version 6, nothing, a sequence, a class: of ASF or of IPMI, and what these begin with.
fn is_rmcp(view: &View<'_>) -> Option<bool> {
    let [6, 0, _sequence, class] = view.at(0)? else { return Some(false) };
    Some(match class & 0x1f {
        _ if class & 0x80 != 0 => view.len == 4,
        6 => view.u32_at(4)? == 4_542,
        7 => matches!(view.at(4)?, [0 | 1 | 2 | 4 | 5 | 6]),
        _ => false,
    })
}

/// Six octets of ones, then an address sixteen times.
fn is_wake(data: &[u8]) -> bool {
    let Some([head, address, rest @ ..]) = data.get(..102).map(|all| all.as_chunks::<6>().0) else {
        return false;
    };
    *head == [0xff; 6] && rest.iter().all(|again| again == address) && *address != [0xff; 6]
}

/// Version 1, the source by its family, authentication; then a description of a session.
fn is_announcement(view: &View<'_>) -> Option<bool> {
    let [flags, words] = view.at(0)?;
    if flags >> 5 != 1 {
        return Some(false);
    }
    let source = if flags & 0x10 == 0 { 4 } else { 16 };
    let at = usize::from(words).saturating_mul(4).saturating_add(source).saturating_add(4);
    let rest = view.data.get(at..)?;
    let is_packed = flags & 3 != 0 && view.has_port(9875);
    Some(is_packed || rest.starts_with(b"application/sdp\0") || rest.starts_with(b"v=0"))
}

/// The daemon greets; hosts tell that they are alive.
fn is_vmware(view: &View<'_>) -> Option<bool> {
    if view.is_tcp() {
        let banner = start(view.data, b"220 VMware Authentication Daemon");
        return match banner {
            Start::Part => None,
            Start::No => Some(false),
            Start::Whole => Some(true),
        };
    }
    let [_, _, _, _] = view.at(0)?;
    Some(view.has_port(902) && view.len == 66)
}

/// A kind of message, then a map with names that are known.
fn is_serf(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let mut kind = cursor.u8()?;
    // A checksum may stand before.
    if kind == 12 {
        cursor.skip(4)?;
        kind = cursor.u8()?;
    }
    // Several at once: how many, the length of each.
    if kind == 7 {
        let count = cursor.u8()?;
        cursor.skip(usize::from(count).saturating_mul(2))?;
        kind = cursor.u8()?;
    }
    let map = cursor.u8()?;
    if kind > 6 || !(0x81..=0x8f).contains(&map) || !(0xa3..=0xbf).contains(cursor.rest().first()?)
    {
        return Some(false);
    }
    let names = [&b"SeqNo"[..], b"Incarnation", b"Node"];
    Some(names.iter().any(|name| find_within(cursor.rest(), name, 64).is_some()))
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn udp(port: u16, payload: &str) -> Protocol {
        Talk::udp(port).client(&hex(payload)).protocol()
    }

    #[test]
    fn ports_and_services_are_asked_for() {
        assert_eq!(udp(5351, "0000"), Protocol::NAT_PMP);
        assert_eq!(udp(5351, "00 02 0000 1f90 1f90 00000e10"), Protocol::NAT_PMP);
        assert_eq!(udp(5351, "00 02 0000 1f90 1f90 00000e"), Protocol::UNKNOWN);
        assert_eq!(udp(5352, "0000"), Protocol::UNKNOWN);
        let request = "02 01 00001a 0000 000000 0001 0002 656e 0000 0002 6162 0000 0000";
        assert_eq!(udp(427, request), Protocol::SLP);
        assert_eq!(udp(427, &request.replace("00001a", "00001d")), Protocol::UNKNOWN);
        let mut session = hex("20 00 1234 0a000001");
        session.extend_from_slice(b"application/sdp\0v=0\r\n");
        assert_eq!(Talk::udp(9875).client(&session).protocol(), Protocol::SAP);
    }

    #[test]
    fn printers() {
        assert_eq!(Talk::udp(8611).client(b"BJNP\x01\x01\0\0").protocol(), Protocol::BJNP);
        assert_eq!(Talk::tcp(515).client(b"\x02lp\n").protocol(), Protocol::LPD);
        assert_eq!(Talk::tcp(516).client(b"\x02lp\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(9100).client(b"\x1b%-12345X@PJL\r\n").protocol(), Protocol::JETDIRECT);
    }

    #[test]
    fn hosts_are_woken_and_steered() {
        assert_eq!(
            udp(9, &format!("{}{}", "ff".repeat(6), "020000000001".repeat(16))),
            Protocol::WAKE_ON_LAN
        );
        assert_eq!(
            udp(9, &format!("{}{}", "ff".repeat(6), "020000000001".repeat(15))),
            Protocol::UNKNOWN
        );
        assert_eq!(
            udp(623, "06 00 ff 07 00 00000000 00000000 09 20 18 c8 81 00 38 8e 04 b5"),
            Protocol::RMCP
        );
        assert_eq!(udp(623, "06 00 ff 06 000011be 80 00 0000"), Protocol::RMCP);
        assert_eq!(udp(623, "06 00 ff 06 000011bf 80 00 0000"), Protocol::UNKNOWN);
        let greeting = b"220 VMware Authentication Daemon Version 1.10";
        assert_eq!(Talk::tcp(902).server(greeting).protocol(), Protocol::VMWARE);
        assert_eq!(
            Talk::udp(2190).client(b"tivoconnect=1\nswversion=1").protocol(),
            Protocol::TIVO
        );
    }

    #[test]
    fn clusters() {
        assert_eq!(udp(8116, "1a90 0c31 2785 0001 0016 793e 0001 fffe"), Protocol::CPHA);
        assert_eq!(udp(5405, "70c0 03 01 0000"), Protocol::COROSYNC);
        assert_eq!(
            Talk::udp(7946).client(b"\0\x82\xa5SeqNo\x01\xa4Node\xa1a").protocol(),
            Protocol::SERF
        );
        assert_eq!(
            Talk::udp(7946).client(b"\0\x82\xa5SeqMo\x01\xa4Mode\xa1a").protocol(),
            Protocol::UNKNOWN
        );
    }
}
