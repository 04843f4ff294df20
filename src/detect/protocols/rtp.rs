//! RTP, RTCP and SRTP: RFC 3550, RFC 3551, RFC 3711. The header has few fixed bits, so that RTP is
//! believed only when packets of one source follow each other.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::RTP, &[], dissect).weak();

/// Packets after which a flow that shows nothing is left alone.
const PATIENCE: u8 = 8;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([first, second]) = view.at(0) else { return Verdict::No };
    if first >> 6 != 2 {
        return Verdict::No;
    }
    // Types 192 to 223 are those of RTCP (RFC 5761, 4).
    if matches!(second, 200..=207) {
        return is_control(view);
    }
    let Some(this) = Packet::read(view.data) else { return Verdict::No };
    let follows = view.past.iter().filter(|past| past.from_client == view.from_client);
    let count = follows
        .filter_map(|past| Packet::read(&past.head))
        .filter(|earlier| {
            earlier.source == this.source
                && (1..=64).contains(&this.number.wrapping_sub(earlier.number))
                && this.time.wrapping_sub(earlier.time).wrapping_add(1 << 20) < 1 << 21
        })
        .count();
    if count >= 2 {
        Verdict::Is(Protocol::RTP)
    } else if view.number <= PATIENCE {
        Verdict::Wait
    } else {
        Verdict::No
    }
}

/// What tells one packet from the next.
struct Packet {
    number: u16,
    time: u32,
    source: u32,
}

impl Packet {
    fn read(data: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(data);
        let first = cursor.u8()?;
        let kind = cursor.u8()? & 0x7f;
        // Assigned static types and the dynamic ones (RFC 3551, 6).
        if first >> 6 != 2 || !matches!(kind, 0..=34 | 77..=127) || first & 0x0f > 2 {
            return None;
        }
        let (number, time, source) = (cursor.u16()?, cursor.u32()?, cursor.u32()?);
        (source != 0).then_some(Self { number, time, source })
    }
}

/// A compound packet: all the lengths add up, and it begins with a report (RFC 3550, 6.1), or is
/// followed by an index and a tag (RFC 3711, 3.4).
fn is_control(view: &View<'_>) -> Verdict {
    let found = Verdict::Is(Protocol::RTCP);
    let mut cursor = Cursor::new(view.data);
    for number in 0..16_u8 {
        if cursor.is_empty() {
            return found;
        }
        let (Some([first, kind]), Some(words)) = (cursor.array(), cursor.u16()) else {
            return Verdict::No;
        };
        if first >> 6 != 2 || !matches!(kind, 200..=207) {
            // A sealed compound shows its first header only: the next one must too.
            return match (number, view.number) {
                (0, _) => Verdict::No,
                (_, 1) => Verdict::Wait,
                _ => found,
            };
        }
        let reports = usize::from(first & 0x1f);
        let octets = usize::from(words).saturating_mul(4);
        let least = match kind {
            200 => reports.saturating_mul(24).saturating_add(24),
            201 => reports.saturating_mul(24).saturating_add(4),
            203 => reports.saturating_mul(4),
            205 | 206 => 8,
            _ => 0,
        };
        let missing = view.len.saturating_sub(view.data.len());
        if octets < least || octets > cursor.rest().len().saturating_add(missing) {
            return Verdict::No;
        }
        if cursor.skip(octets).is_none() {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn packet(number: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 8];
        packet.extend(number.to_be_bytes());
        packet.extend((u32::from(number) * 160).to_be_bytes());
        packet.extend(0x0eaf_0eaf_u32.to_be_bytes());
        packet.extend([0xd5; 160]);
        packet
    }

    #[test]
    fn a_source_counts_on() {
        let talk = Talk::udp(30_000).client(&packet(7)).client(&packet(8));
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.client(&packet(9)).protocol(), Protocol::RTP);
        let jumps = Talk::udp(30_000).client(&packet(7)).client(&packet(999)).client(&packet(77));
        assert_eq!(jumps.protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_report_with_a_description() {
        let report = hex("80c8000600000001 0000000000000000 00000000 00000000 00000000
            81ca000300000001 010161 00 00000000");
        let talk = Talk::udp(30_001).client(&report);
        assert_eq!(talk.protocol(), Protocol::RTCP);
        talk.survives();
        let mut bad = report;
        bad[3] = 60;
        assert_eq!(Talk::udp(30_001).client(&bad).protocol(), Protocol::UNKNOWN);
    }
}
