//! DHCPv6: RFC 8415, the client's name of RFC 4704.

use super::dhcp::put_numbers;
use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::udp(Protocol::DHCPV6, &[546, 547], dissect).bound();

/// Options looked at.
const MAX_OPTIONS: usize = 32;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if !view.has_port(546) && !view.has_port(547) {
        return Verdict::No;
    }
    let mut cursor = view.cursor();
    let read = match cursor.u8() {
        // A relay's message: hops, two addresses, options.
        Some(12 | 13) => cursor.skip(33),
        Some(1..=36) => cursor.skip(3),
        _ => None,
    };
    if read.is_none() {
        return Verdict::No;
    }
    for _ in 0..MAX_OPTIONS {
        if cursor.is_empty() {
            break;
        }
        let (Some(code), Some(value)) = (cursor.u16(), cursor.counted16()) else {
            return Verdict::No;
        };
        match code {
            6 => {
                put_numbers(facts, value.chunks_exact(2).filter_map(|pair| Cursor::new(pair).u16()))
            }
            // An enterprise number, then one string or more.
            16 => {
                let class = Cursor::new(value.get(4..).unwrap_or_default()).counted16();
                facts.put(Fact::DhcpClass, class.unwrap_or_default());
            }
            39 => put_name(facts, value.get(1..).unwrap_or_default()),
            _ => {}
        }
    }
    Verdict::Is(Protocol::DHCPV6)
}

/// A name in labels, with dots.
fn put_name(facts: &mut Facts, labels: &[u8]) {
    let mut cursor = Cursor::new(labels);
    let mut name = [0_u8; 255];
    let mut len = 0_usize;
    while let Some(label) = cursor.counted8().filter(|label| (1..=63).contains(&label.len())) {
        let from = if len == 0 { 0 } else { len.saturating_add(1) };
        let end = from.saturating_add(label.len());
        let Some(place) = name.get_mut(from..end) else { return };
        place.copy_from_slice(label);
        if let Some(dot) = name.get_mut(len).filter(|_| len > 0) {
            *dot = b'.';
        }
        len = end;
    }
    facts.put(Fact::HostName, name.get(..len).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_client_solicits() {
        let solicit = hex("01 10 08 74 0001 000a 00030001 080027fe8f95 0006 0004 0017 0018 \
             0027 0009 00 02 6769 03 66 6f 6f 00");
        let talk = Talk::udp(547).from(546).client(&solicit);
        assert_eq!(talk.protocol(), Protocol::DHCPV6);
        assert_eq!(talk.fact(Fact::DhcpFingerprint).as_deref(), Some("23,24"));
        assert_eq!(talk.fact(Fact::HostName).as_deref(), Some("gi.foo"));
        Talk::udp(547).client(&solicit).survives();
        assert_eq!(Talk::udp(9).from(8).client(&solicit).protocol(), Protocol::UNKNOWN);
        let cut = &solicit[..solicit.len() - 1];
        assert_eq!(Talk::udp(547).client(cut).protocol(), Protocol::UNKNOWN);
    }
}
