//! Pictures and files to many: MPEG transport streams over UDP (ISO/IEC 13818-1), FLUTE (RFC 6726).

use crate::detect::text::find_within;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const MPEG_TS: Dissector = Dissector::udp(Protocol::MPEG_TS, &[], |view, _| {
    view.judge(Protocol::MPEG_TS, Some(is_mpeg(view)))
});

pub(super) const FLUTE: Dissector = Dissector::udp(Protocol::FLUTE, &[], flute);

/// Datagrams among which the table of files must come.
const PATIENCE: u8 = 8;

/// Octets of a packet of a transport stream, and the first of each.
const PACKET: usize = 188;
const SYNC: u8 = 0x47;

fn is_mpeg(view: &View<'_>) -> bool {
    // Whole packets, or as much of the stream as goes into a datagram.
    let is_filled = view.len.is_multiple_of(PACKET) || view.len >= PACKET.saturating_mul(4);
    if view.data.first() != Some(&SYNC) || !is_filled {
        return false;
    }
    let are_packets = view.data.chunks(PACKET).all(|packet| match packet {
        // No error, not scrambled in a reserved way, something in it.
        [SYNC, error, _, control, ..] => {
            error & 0x80 == 0 && control & 0x30 != 0 && control >> 6 != 1
        }
        [SYNC, rest @ ..] => rest.len() < 3,
        _ => false,
    });
    are_packets && view.len >= PACKET
}

/// Version 1 of the layered coding header, a size that its flags allow; among the first of them
/// the table of files that a session sends again and again.
fn flute(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([first, flags, words, _]) = view.at(0) else { return Verdict::No };
    // Congestion control, session and object have as many halves of words as the flags say.
    let halves = (first >> 2 & 3).saturating_add(1).saturating_mul(2);
    let session = (flags >> 7).saturating_mul(2).saturating_add(flags >> 4 & 1);
    let object = (flags >> 5 & 3).saturating_mul(2).saturating_add(flags >> 4 & 1);
    let least = halves.saturating_add(session).saturating_add(object) / 2;
    let is_header = first >> 4 == 1 && first & 3 == 0 && flags & 0x0c == 0 && session > 0;
    if !is_header
        || words <= least
        || words > 40
        || view.len <= usize::from(words).saturating_mul(4)
    {
        return Verdict::No;
    }
    if find_within(view.data, b"<FDT-Instance", 256).is_some() {
        return Verdict::Is(Protocol::FLUTE);
    }
    if view.number < PATIENCE { Verdict::Wait } else { Verdict::No }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn packets_of_a_stream() {
        let mut packet = hex("47 40 11 10");
        packet.resize(188, 0x55);
        let seven = packet.repeat(7);
        assert_eq!(Talk::udp(1234).client(&seven).protocol(), Protocol::MPEG_TS);
        assert_eq!(Talk::udp(1234).client(&seven[..1_300]).protocol(), Protocol::MPEG_TS);
        assert_eq!(Talk::udp(1234).client(&seven[..700]).protocol(), Protocol::UNKNOWN);
        let mut wrong = seven;
        wrong[376] = 0x46;
        assert_eq!(Talk::udp(1234).client(&wrong).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_table_of_files() {
        let mut table = hex("10 a0 08 00 00000000 00000001");
        table.extend_from_slice(b"<?xml version=\"1.0\"?><FDT-Instance Expires=\"1\">");
        assert_eq!(Talk::udp(4001).client(&table).protocol(), Protocol::FLUTE);
        table[0] = 0x20;
        assert_eq!(Talk::udp(4001).client(&table).protocol(), Protocol::UNKNOWN);
    }
}
