//! Screens and programs from afar: VNC (RFC 6143), X11 (X Window System Protocol 11, connection
//! setup), XDMCP 1.1, Citrix ICA and CGP, NoMachine's NX, Radmin, TeamViewer, RustDesk's meeting
//! point.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const VNC: Dissector = Dissector::tcp(Protocol::VNC, &[5900, 5901, 5800], vnc);
pub(super) const X11: Dissector = Dissector::tcp(Protocol::X11, &[6000, 6001], x11);
pub(super) const XDMCP: Dissector = Dissector::udp(Protocol::XDMCP, &[177], xdmcp);
pub(super) const CITRIX: Dissector = Dissector::tcp(Protocol::CITRIX, &[1494, 2598], citrix);
pub(super) const NOMACHINE: Dissector = Dissector::tcp(Protocol::NOMACHINE, &[4000], nomachine);
pub(super) const RADMIN: Dissector = Dissector::tcp(Protocol::RADMIN, &[4899], radmin);
pub(super) const TEAMVIEWER: Dissector = Dissector::both(Protocol::TEAMVIEWER, &[5938], teamviewer);

/// `RFB 003.008` and the like, said by both.
fn vnc(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_short(12) && (view.starts(b"RFB") || b"RFB 00".starts_with(view.data)) {
        return Verdict::Wait;
    }
    let found = view.starts(b"RFB 00") && view.data.get(7) == Some(&b'.');
    Verdict::when(found, Protocol::VNC)
}

/// Order of octets, version 11, lengths of the names of authorisation.
fn x11(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([b'l', 0, 11, 0, 0, 0, name, 0, data, 0, 0, 0]) => {
            Verdict::when(name <= 64 && data <= 64, Protocol::X11)
        }
        Some([b'B', 0, 0, 11, 0, 0, 0, name, 0, data, 0, 0]) => {
            Verdict::when(name <= 64 && data <= 64, Protocol::X11)
        }
        // The server alone: accepted, version.
        Some([0 | 1, _, 11, 0, 0, 0, ..] | [0 | 1, _, 0, 11, 0, 0, ..]) => {
            let at_port = (6000..=6063).contains(&view.server_port);
            Verdict::when(at_port && !view.from_client, Protocol::X11)
        }
        None if view.is_short(12) && matches!(view.first(), Some(b'l' | b'B')) => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// Version 1, an operation, the length of the rest.
fn xdmcp(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = matches!(view.at(0), Some([0, 1, 0, 1..=14])) && view.is_counted16(4, 6);
    Verdict::when(found, Protocol::XDMCP)
}

fn citrix(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"\x7f\x7fICA\0", Protocol::CITRIX) {
        Verdict::No => view.opens(b"\x1aCGP/01", Protocol::CITRIX),
        verdict => verdict,
    }
}

fn nomachine(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"NXSH-", Protocol::NOMACHINE) {
        Verdict::No => view.opens(b"NXD-", Protocol::NOMACHINE),
        verdict => verdict,
    }
}

/// Version, length of the rest, a sum, and what is told.
fn radmin(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([1, 0, 0, _, len, 0, 0]) = view.at(0) else {
        let hopeful = view.is_short(10) && view.first() == Some(1) && view.has_port(4899);
        return if hopeful { Verdict::Wait } else { Verdict::No };
    };
    let found = view.is_counted32(1, 9) && len > 0;
    let known = matches!(view.at(9), Some([8 | 0x12 | 0x1b | 0x27 | 0x0a]));
    Verdict::when(found && known, Protocol::RADMIN)
}

/// Marks of the protocol's versions with a command; over UDP behind eleven octets.
fn teamviewer(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        let found = matches!(view.at(11), Some([0x17, 0x24])) && view.at(0) == Some([0; 8]);
        return Verdict::when(found && view.len >= 20, Protocol::TEAMVIEWER);
    }
    match view.at(0) {
        Some([0x17, 0x24, command, _, _]) => {
            Verdict::when((9..=0x50).contains(&command), Protocol::TEAMVIEWER)
        }
        Some([0x11, 0x30, command, _, 0]) => {
            Verdict::when((9..=0x50).contains(&command), Protocol::TEAMVIEWER)
        }
        None if matches!(view.first(), None | Some(0x17 | 0x11)) => Verdict::Wait,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn screens() {
        assert_eq!(Talk::tcp(5900).server(b"RFB 003.008\n").protocol(), Protocol::VNC);
        assert_eq!(Talk::tcp(5900).server(b"RFB 003").protocol(), Protocol::UNKNOWN);
        let setup = hex("6c 00 0b00 0000 1200 1000 0000");
        assert_eq!(Talk::tcp(6010).client(&setup).protocol(), Protocol::X11);
        Talk::tcp(6010).client(&setup).survives();
        let query = hex("0001 0002 0001 00");
        assert_eq!(Talk::udp(177).client(&query).protocol(), Protocol::XDMCP);
        assert_eq!(Talk::udp(177).client(&query[..6]).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn programs() {
        let ica = b"\x7f\x7fICA\0";
        assert_eq!(Talk::tcp(1494).server(ica).protocol(), Protocol::CITRIX);
        assert_eq!(Talk::tcp(4000).client(b"NXSH-7.0.0\n").protocol(), Protocol::NOMACHINE);
        let hello = hex("01 00000001 00000008 08");
        assert_eq!(Talk::tcp(4899).client(&hello).protocol(), Protocol::RADMIN);
        Talk::tcp(4899).client(&hello).survives();
        let hello = hex("17240a20000000000000000000");
        assert_eq!(Talk::tcp(5938).client(&hello).protocol(), Protocol::TEAMVIEWER);
        let mut way = vec![0; 10];
        way.extend(hex("03172447500005000000"));
        assert_eq!(Talk::udp(36_037).client(&way).protocol(), Protocol::TEAMVIEWER);
    }
}
