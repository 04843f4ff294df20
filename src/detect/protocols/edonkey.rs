//! eDonkey2000 and eMule with Kademlia: "The eMule Protocol Specification" (Kulbak, Bickson).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::EDONKEY, &[4661, 4662, 4665, 4672], dissect);

/// First octets: eDonkey, eMule's extension, the same compressed, Kademlia, compressed.
const EDONKEY: u8 = 0xe3;
const EMULE: u8 = 0xc5;
const PACKED: u8 = 0xd4;
const KAD: u8 = 0xe4;
const KAD_PACKED: u8 = 0xe5;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = match view.first() {
        None => return Verdict::Wait,
        Some(EDONKEY | EMULE | PACKED) if view.is_tcp() => {
            if view.is_short(6) {
                return Verdict::Wait;
            }
            is_message(view)
        }
        Some(EDONKEY | EMULE | KAD | KAD_PACKED) if view.is_udp() => is_datagram(view),
        _ => false,
    };
    Verdict::when(found, Protocol::EDONKEY)
}

/// A length that counts from the code on, and a code with which peers or servers begin.
fn is_message(view: &View<'_>) -> bool {
    let (Some(len), Some([first]), Some([code])) = (view.u32_le_at(1), view.at(0), view.at(5))
    else {
        return false;
    };
    if usize::try_from(len).is_ok_and(|len| len.saturating_add(5) > view.len && len > 1400)
        || !(1..1 << 20).contains(&len)
    {
        return false;
    }
    let whole = view.is_counted32_le(1, 5);
    match (first, code) {
        // Hello, to a peer with the length of a hash; to a server without.
        (EDONKEY, 0x01) => view.at::<1>(6) == Some([16]) || whole && len >= 30,
        (EDONKEY, 0x4c) => len >= 30,
        (EDONKEY, 0x38 | 0x40 | 0x34 | 0x41 | 0x14 | 0x16 | 0x58 | 0x4f) => whole,
        (EMULE, 0x01 | 0x02 | 0x81 | 0x82 | 0x92) => whole,
        (PACKED, _) => view.at(6) == Some([0x78]) && whole,
        _ => false,
    }
}

/// Codes with the lengths that they have.
fn is_datagram(view: &View<'_>) -> bool {
    let Some([first, code]) = view.at(0) else { return false };
    let len = view.len;
    match (first, code) {
        // Status of a server, asked and told; sources; description.
        (EDONKEY, 0x96) => len == 6,
        (EDONKEY, 0x97) => (14..=46).contains(&len) && len.is_multiple_of(2),
        (EDONKEY, 0x9a) => len >= 18 && len.saturating_sub(2).is_multiple_of(16),
        (EDONKEY, 0xa2) => len == 2 || len == 6,
        (EMULE, 0x90) => len == 18 || len == 20,
        (EMULE, 0x93 | 0x92) => len == 2,
        // Kademlia: bootstrap, hello, nodes near a target, ping, firewall.
        (KAD, 0x01 | 0x60) => len == 2,
        (KAD, 0x00 | 0x10 | 0x18) => len == 27,
        (KAD, 0x11 | 0x19) => (21..80).contains(&len) && view.at(20) < Some([0x0b]),
        (KAD, 0x20 | 0x21) => len == 35,
        (KAD, 0x28 | 0x29) => {
            let nodes = view.at::<1>(18).map_or(0, |[count]| usize::from(count));
            nodes.saturating_mul(25).saturating_add(19) == len
        }
        (KAD, 0x61) => len == 4,
        (KAD_PACKED, 0x09 | 0x29 | 0x28 | 0x38 | 0x3b | 0x43) => {
            matches!(view.at(2), Some([0x78, 0x9c | 0xda | 0x01]))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn peers_greet_with_their_hash() {
        let mut hello = hex("e3 29000000 01 10");
        hello.extend([7; 39]);
        let talk = Talk::tcp(4662).client(&hello);
        assert_eq!(talk.protocol(), Protocol::EDONKEY);
        talk.survives();
        hello[6] = 15;
        hello.push(0);
        assert_eq!(Talk::tcp(4662).client(&hello).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn nodes_ask_for_nodes() {
        let mut ask = hex("e421");
        ask.extend([3; 33]);
        assert_eq!(Talk::udp(4672).client(&ask).protocol(), Protocol::EDONKEY);
        assert_eq!(Talk::udp(4672).client(&ask[..34]).protocol(), Protocol::UNKNOWN);
    }
}
