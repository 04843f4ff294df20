//! Gnutella 0.6 (protocol draft of 2002, section 2.2) and the datagrams of Gnutella2 (GND).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::GNUTELLA, &[6346, 6347], dissect);

/// Octets of a descriptor's header.
const HEADER: usize = 23;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_tcp() {
        return match view.first() {
            Some(b'G') => {
                let found = view.starts(b"GIV ") && view.data.iter().take(24).any(|o| *o == b':');
                if found {
                    return Verdict::Is(Protocol::GNUTELLA);
                }
                match view.opens(b"GNUTELLA CONNECT/", Protocol::GNUTELLA) {
                    Verdict::No => view.opens(b"GNUTELLA/0.", Protocol::GNUTELLA),
                    verdict => verdict,
                }
            }
            _ => Verdict::No,
        };
    }
    // Gnutella2: flags, sequence, number of this part, count of parts.
    if view.starts(b"GND") {
        let found = view.at::<4>(3).is_some_and(|[flags, ..]| flags & 0xe4 == 0) && view.len >= 8;
        return Verdict::when(found, Protocol::GNUTELLA);
    }
    // A descriptor: its number, kind, time to live, hops, length of what follows.
    let Some([kind, life, hops]) = view.at(16) else { return Verdict::No };
    let known = matches!(kind, 0 | 1 | 2 | 0x30..=0x32 | 0x40 | 0x44 | 0x80..=0x82);
    // Numbers are of random octets.
    let random = view.data.iter().take(16).filter(|octet| **octet == 0).count() < 4;
    let found = known && random && life <= 16 && hops <= 16 && view.is_counted32_le(19, HEADER);
    Verdict::when(found, Protocol::GNUTELLA)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn connections_and_datagrams() {
        let hello = b"GNUTELLA CONNECT/0.6\r\nUser-Agent: a\r\n\r\n";
        assert_eq!(Talk::tcp(6346).client(hello).protocol(), Protocol::GNUTELLA);
        assert_eq!(Talk::tcp(9).client(b"GNU").client(b"TELLA/0.6").protocol(), Protocol::GNUTELLA);
        let parts = hex("474e4410 3eb4 0101 540b");
        assert_eq!(Talk::udp(6346).client(&parts).protocol(), Protocol::GNUTELLA);
        let mut ping = vec![0x5a; 16];
        ping.extend([0, 7, 0, 0, 0, 0, 0]);
        assert_eq!(Talk::udp(9).client(&ping).protocol(), Protocol::GNUTELLA);
        ping[19] = 1;
        assert_eq!(Talk::udp(9).client(&ping).protocol(), Protocol::UNKNOWN);
    }
}
