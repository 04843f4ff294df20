//! IPsec: IKEv2 (RFC 7296), ISAKMP (RFC 2408), both and ESP behind UDP 4500 (RFC 3948), and over
//! TCP (RFC 9329).

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::IPSEC, &[500, 4500], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_tcp() {
        let found = view.starts(b"IKETCP");
        let begun = view.is_short(6) && b"IKETCP".starts_with(view.data);
        return if begun { Verdict::Wait } else { Verdict::when(found, Protocol::IPSEC) };
    }
    let lax = view.has_port(500) || view.has_port(4500);
    if is_exchange(view.data, view.len, lax) {
        return Verdict::Is(Protocol::IPSEC);
    }
    // Four zero octets tell IKE from ESP.
    if view.u32_at(0) == Some(0) {
        let rest = view.data.get(4..).unwrap_or_default();
        let found = is_exchange(rest, view.len.saturating_sub(4), lax);
        return Verdict::when(found, Protocol::IPSEC);
    }
    if !view.has_port(4500) {
        return Verdict::No;
    }
    if view.data == [0xff] {
        // A keep-alive of the translation.
        return Verdict::Wait;
    }
    // ESP: an index above the reserved ones and a number that counts from one.
    let is_esp = view.len >= 28
        && view.u32_at(0).is_some_and(|index| index > 255)
        && view.u32_at(4).is_some_and(|number| number > 0);
    if !is_esp {
        return Verdict::No;
    }
    // A number that is low, or the same index again.
    let index = view.data.get(..4);
    let again = view.past.iter().any(|past| past.head.get(..4) == index);
    if again || view.u32_at(4).is_some_and(|number| number < 1 << 16) {
        Verdict::Is(Protocol::IPSEC)
    } else if view.number < 4 {
        Verdict::Wait
    } else {
        Verdict::No
    }
}

/// Header of ISAKMP, its length that of the datagram. At the ports bits that are reserved do not
/// matter, as for who receives them.
fn is_exchange(data: &[u8], len: usize, lax: bool) -> bool {
    header(data, lax).is_some_and(|whole| usize::try_from(whole) == Ok(len))
}

fn header(data: &[u8], lax: bool) -> Option<u32> {
    let mut cursor = Cursor::new(data);
    let initiator = cursor.u64()?;
    cursor.u64()?;
    let payload = cursor.u8()?;
    let version = cursor.u8()?;
    let exchange = cursor.u8()?;
    let flags = cursor.u8()?;
    cursor.u32()?;
    let len = cursor.u32()?;
    let fits = match version {
        0x10 => matches!(exchange, 0..=6 | 32..=34) && (lax || flags & !7 == 0 && payload < 0x90),
        0x20 => matches!(exchange, 34..=44) && (lax || flags & !0x38 == 0 && payload < 0x40),
        _ => false,
    };
    (fits && initiator != 0 && len >= 28).then_some(len)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    const INIT: &str = "1c1869f6d29ba0cc 0000000000000000 21 20 22 08 00000000 00000020 00000004";

    #[test]
    fn an_initial_exchange() {
        assert_eq!(Talk::udp(500).client(&hex(INIT)).protocol(), Protocol::IPSEC);
        let mut marked = vec![0; 4];
        marked.extend(hex(INIT));
        assert_eq!(Talk::udp(4500).client(&marked).protocol(), Protocol::IPSEC);
        let mut bad = hex(INIT);
        bad[27] = 0x21;
        assert_eq!(Talk::udp(500).client(&bad).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn sealed_packets_at_their_port_only() {
        let mut esp = hex("c0ffee01 00000001");
        esp.resize(40, 0x99);
        assert_eq!(Talk::udp(4500).client(&esp).protocol(), Protocol::IPSEC);
        assert_eq!(Talk::udp(4501).client(&esp).protocol(), Protocol::UNKNOWN);
    }
}
