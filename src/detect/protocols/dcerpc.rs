//! DCE/RPC: The Open Group, C706, over streams (12.6) and over datagrams (12.5); PROFINET IO as
//! its application (IEC 61158-6-10).

use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::RPC, &[135, 593, 34_964], dissect);

/// Octets of the headers.
const STREAM: usize = 16;
const DATAGRAM: usize = 80;

/// The end of the interface identifiers of PROFINET IO, the same in both orders of octets.
const PROFINET: [u8; 8] = [0x82, 0x71, 0x00, 0xa0, 0x24, 0x42, 0xdf, 0x7d];

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let fits = if view.is_tcp() { is_stream(view) } else { is_datagram(view, facts) };
    view.judge(Protocol::RPC, fits)
}

/// The order of octets, and of floats which never differ in practice.
const fn is_label(label: [u8; 2]) -> bool {
    matches!(label, [0x00 | 0x01 | 0x10 | 0x11, 0..=3])
}

fn is_stream(view: &View<'_>) -> Option<bool> {
    let mut cursor = view.cursor();
    if cursor.u8()? != 5 {
        return Some(false);
    }
    let (minor, kind, flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?);
    let [order, floats, zero, null] = cursor.array()?;
    let is_header = minor <= 1 && is_label([order, floats]) && zero == 0 && null == 0;
    if !is_header {
        return Some(false);
    }
    let number = |octets: [u8; 2]| {
        let little = u16::from_le_bytes(octets);
        usize::from(if order & 0x10 == 0 { little.swap_bytes() } else { little })
    };
    let (len, proof) = (number(cursor.array()?), number(cursor.array()?));
    // Bindings, their answers and refusals come whole; calls and results may be in pieces, of which
    // only a stream that was met in the middle begins with a later one.
    let is_whole = flags & 3 == 3;
    let is_here = DISSECTOR.ports.iter().any(|port| view.has_port(*port));
    let is_later = !view.is_start && (is_here || order == 0x10);
    let least = match kind {
        11 | 12 | 14 | 15 if is_whole => 28,
        13 | 17..=20 if is_whole => STREAM,
        0 | 2 | 3 if flags & 1 == 1 || is_later => 24,
        16 if is_whole => 24,
        _ => return Some(false),
    };
    Some(len >= least && proof.saturating_add(STREAM) <= len)
}

fn is_datagram(view: &View<'_>, facts: &mut Facts) -> Option<bool> {
    let [4, kind @ 0..=10, flags, second, order, floats, _, _] = view.at(0)? else {
        return Some(false);
    };
    let len = view.at(74)?;
    let len = if order & 0x10 == 0 { u16::from_be_bytes(len) } else { u16::from_le_bytes(len) };
    // Two flags are kept for implementations, one is used of the second octet.
    let is_header = flags & 0x81 == 0 && second & !2 == 0 && is_label([order, floats]);
    let whole = usize::from(len).saturating_add(DATAGRAM);
    if !is_header || whole > view.len || (matches!(kind, 0 | 2) && whole != view.len) {
        return Some(false);
    }
    // The object's identifier ends at 24, the interface's at 40.
    if view.at(32) == Some(PROFINET) || view.at(16) == Some(PROFINET) {
        facts.put(Fact::Application, b"profinet-io");
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_bind_over_a_stream() {
        let bind = hex("05 00 0b 03 10 00 00 00 48 00 00 00 7f 00 00 00");
        assert_eq!(Talk::tcp(135).client(&bind).protocol(), Protocol::RPC);
        let mut part = bind.clone();
        part[3] = 0;
        assert_eq!(Talk::tcp(135).client(&part).protocol(), Protocol::UNKNOWN);
        let mut other = bind;
        other[4] = 0x20;
        assert_eq!(Talk::tcp(135).client(&other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn profinet_over_datagrams() {
        let mut request = hex("04 00 20 00 10 00 00 00");
        request.resize(84, 0);
        request[32..40].copy_from_slice(&super::PROFINET);
        request[74] = 4;
        let talk = Talk::udp(34_964).client(&request);
        assert_eq!(talk.protocol(), Protocol::RPC);
        assert_eq!(talk.fact(Fact::Application).as_deref(), Some("profinet-io"));
        Talk::udp(34_964).client(&request).survives();
        request.push(0);
        assert_eq!(Talk::udp(34_964).client(&request).protocol(), Protocol::UNKNOWN);
    }
}
