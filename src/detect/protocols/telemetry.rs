//! What routers tell of their traffic and time: NetFlow (RFC 3954 and before), IPFIX (RFC 7011),
//! sFlow (version 5), PTP (IEEE 1588), Roughtime (draft-ietf-ntp-roughtime and Google's).

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Protocol, View};

pub(super) const NETFLOW: Dissector =
    Dissector::udp(Protocol::NETFLOW, &[2055, 4739, 9995, 9996], |view, _| {
        view.judge(Protocol::NETFLOW, is_netflow(view))
    });

pub(super) const SFLOW: Dissector = Dissector::udp(Protocol::SFLOW, &[6343], |view, _| {
    view.judge(Protocol::SFLOW, is_sflow(view.data))
});

pub(super) const PTP: Dissector =
    Dissector::udp(Protocol::PTP, &[319, 320], |view, _| view.judge(Protocol::PTP, is_ptp(view)))
        .bound();

pub(super) const ROUGHTIME: Dissector = Dissector::both(Protocol::ROUGHTIME, &[2002], |view, _| {
    view.judge(Protocol::ROUGHTIME, Some(view.is_udp() && is_roughtime(view.data) == Some(true)))
})
.bound();

fn is_netflow(view: &View<'_>) -> Option<bool> {
    let (version, count) = (view.u16_at(0)?, usize::from(view.u16_at(2)?));
    let records = |header: usize, size: usize| {
        (1..=30).contains(&count) && view.len == count.saturating_mul(size).saturating_add(header)
    };
    Some(match version {
        1 => records(16, 52),
        5 => records(24, 48),
        7 => records(24, 52),
        // Sets with their lengths; a template is one of the first numbers.
        9 => {
            let (set, len) = (view.u16_at(20)?, usize::from(view.u16_at(22)?));
            let is_set = matches!(set, 0 | 1 | 256..);
            is_set && count > 0 && len >= 4 && len.saturating_add(20) <= view.len && count < 512
        }
        10 => {
            let (set, len) = (view.u16_at(16)?, usize::from(view.u16_at(18)?));
            count == view.len
                && matches!(set, 2 | 3 | 256..)
                && len >= 4
                && len.saturating_add(16) <= view.len
        }
        _ => false,
    })
}

/// Version, the agent's address by its kind, three numbers, how many samples.
fn is_sflow(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data);
    let (version, kind) = (cursor.u32()?, cursor.u32()?);
    let address = match (version, kind) {
        (2 | 4 | 5, 1) => 4,
        (2 | 4 | 5, 2) => 16,
        _ => return Some(false),
    };
    cursor.skip(address)?;
    // Before version 5 there was no agent within the agent.
    cursor.skip(if version == 5 { 12 } else { 8 })?;
    let samples = cursor.u32()?;
    Some((1..=256).contains(&samples))
}

/// Kind, version 2, length, domain, flags.
fn is_ptp(view: &View<'_>) -> Option<bool> {
    let ([first, version], len) = (view.at(0)?, usize::from(view.u16_at(2)?));
    let is_kind = matches!(first & 0x0f, 0..=3 | 8..=0x0d) && version & 0x0f == 2;
    let is_here = view.has_port(319) || view.has_port(320);
    // The network may have padded it.
    Some(is_here && is_kind && (44..=view.len).contains(&len) && view.len <= len.saturating_add(64))
}

/// A mark with a length, then tags in ascending order with the offsets of their values.
fn is_roughtime(data: &[u8]) -> Option<bool> {
    let mut cursor = Cursor::new(data.strip_prefix(b"ROUGHTIM").unwrap_or(data));
    if data.starts_with(b"ROUGHTIM") {
        cursor.skip(4)?;
    }
    let tags = cursor.u32_le()?;
    if !(1..=16).contains(&tags) {
        return Some(false);
    }
    let len = u32::try_from(data.len()).ok()?;
    let mut last = 0;
    for _ in 1..tags {
        let offset = cursor.u32_le()?;
        if offset < last || offset % 4 != 0 || offset > len {
            return Some(false);
        }
        last = offset;
    }
    let (mut before, mut is_known) = (0, false);
    for _ in 0..tags {
        let tag = cursor.array()?;
        let number = u32::from_le_bytes(tag);
        if number <= before {
            return Some(false);
        }
        before = number;
        is_known |= matches!(&tag, b"NONC" | b"SIG\0" | b"SREP" | b"CERT");
    }
    Some(is_known)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn flows_are_exported() {
        let mut export = hex("0005 0001");
        export.resize(72, 0);
        assert_eq!(Talk::udp(9).client(&export).protocol(), Protocol::NETFLOW);
        export.push(0);
        assert_eq!(Talk::udp(2055).client(&export).protocol(), Protocol::UNKNOWN);
        let ninth = hex("0009 0001 00000000 00000000 00000001 00000000 0000 0008 0100 0000");
        assert_eq!(Talk::udp(9).client(&ninth).protocol(), Protocol::NETFLOW);
        let ipfix = hex("000a 0018 00000000 00000001 00000000 0002 0008 0100 0000");
        assert_eq!(Talk::udp(9).client(&ipfix).protocol(), Protocol::NETFLOW);
        let samples =
            hex("00000005 00000001 0a000001 00000000 00000001 00000001 00000001 00000001");
        assert_eq!(Talk::udp(9).client(&samples).protocol(), Protocol::SFLOW);
    }

    #[test]
    fn clocks_are_set() {
        let mut sync = hex("00 02 002c 00 00 0200");
        sync.resize(44, 0);
        assert_eq!(Talk::udp(319).client(&sync).protocol(), Protocol::PTP);
        sync[1] = 1;
        assert_eq!(Talk::udp(319).client(&sync).protocol(), Protocol::UNKNOWN);
        let mut ask = hex("02000000 40000000");
        ask.extend_from_slice(b"NONCPAD\xff");
        ask.resize(1_024, 0);
        assert_eq!(Talk::udp(2002).client(&ask).protocol(), Protocol::ROUGHTIME);
        Talk::udp(2002).client(&ask[..40]).survives();
        ask[4] = 0x41;
        assert_eq!(Talk::udp(2002).client(&ask).protocol(), Protocol::UNKNOWN);
    }
}
