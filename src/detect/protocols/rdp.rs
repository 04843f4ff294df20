//! Remote Desktop: connection request and confirm over TPKT (\[MS-RDPBCGR\] 2.2.1), and its
//! transport over UDP (\[MS-RDPEUDP\] 2.2.2).

use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::RDP, &[3389], dissect);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        return Verdict::when(is_udp(view), Protocol::RDP);
    }
    match view.at(0) {
        Some([3, 0, _, _, li, 0xe0 | 0xd0]) => {
            let rest = view.data.get(11..).unwrap_or_default();
            if rest.len() < 4 && li > 6 {
                return Verdict::Wait;
            }
            if let Some(cookie) = rest.strip_prefix(b"Cookie: mstshash=") {
                let user = cookie.split(|octet| *octet == b'\r').next().unwrap_or_default();
                facts.put(Fact::User, user);
                return Verdict::Is(Protocol::RDP);
            }
            // Negotiation: asks, answers, refuses; its length is 8.
            let negotiates = matches!(rest, [1..=3, _, 8, 0, ..]);
            let bare = li == 6 && view.has_port(3389);
            let token = rest.starts_with(b"Cookie: msts=") || rest.starts_with(b"Cookie:");
            Verdict::when(negotiates || bare || token, Protocol::RDP)
        }
        // Data units of the fast path and the slow, at the port only.
        Some([3, 0, _, _, 2, 0xf0]) => {
            let channel = matches!(view.at(7), Some([0x64 | 0x68 | 0x7f]));
            Verdict::when(view.has_port(3389) && channel, Protocol::RDP)
        }
        None if view.first().is_none_or(|octet| octet == 3) && view.is_short(6) => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// SYN and its answer: windows, flags, first number, largest datagrams of both; else, at the
/// port, an acknowledged number, a window and flags that are known.
fn is_udp(view: &View<'_>) -> bool {
    let (Some(flags), Some(up), Some(down)) = (view.u16_at(6), view.u16_at(12), view.u16_at(14))
    else {
        return false;
    };
    let sizes = 1132..=1232;
    let begins =
        flags & 1 != 0 && flags & 0xe000 == 0 && sizes.contains(&up) && sizes.contains(&down);
    let is_first = view.u32_at(0) == Some(u32::MAX) || flags & 4 != 0;
    if begins && is_first && view.len >= 1132 {
        return true;
    }
    let window = view.u16_at(4).unwrap_or_default();
    let follows = flags & 0xf801 == 0 && flags & 0x000c != 0 && (1..=0x1000).contains(&window);
    // Version 3 seals more; it has the kind of packet in the first bits.
    let newer = view.at(0) == Some([0, 0x14]) || view.number > 1;
    view.has_port(3389) && (follows || newer)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_user_asks_for_a_desktop() {
        let mut ask = hex("03000000 00 e0 0000 0000 00");
        ask.extend(b"Cookie: mstshash=anna\r\n");
        ask.extend(hex("01000800 03000000"));
        let talk = Talk::tcp(3390).client(&ask);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("anna"));
        assert_eq!(talk.protocol(), Protocol::RDP);
        talk.survives();
        let confirm = hex("03000013 0e d0 0000 1234 00 02 1f 0800 08000000");
        assert_eq!(Talk::tcp(3390).server(&confirm).protocol(), Protocol::RDP);
        let cotp = hex("03000016 11 e0 0000 0001 00 c0010a c1020100 c2020102");
        assert_ne!(Talk::tcp(102).client(&cotp).protocol(), Protocol::RDP);
    }

    #[test]
    fn over_udp() {
        let mut syn = hex("ffffffff 0040 1801 bbff5687 04d0 04d0");
        syn.resize(1232, 0);
        assert_eq!(Talk::udp(3389).client(&syn).protocol(), Protocol::RDP);
        syn[12] = 9;
        assert_eq!(Talk::udp(3390).client(&syn).protocol(), Protocol::UNKNOWN);
    }
}
