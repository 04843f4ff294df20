//! RTMP: Adobe's Real Time Messaging Protocol 1.0, 5.2 and 7.2.1.

use crate::detect::facts::Fact;
use crate::detect::text::{find, host};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::RTMP, &[1935], dissect);

/// Octets of the version, and of each of the two packets of the handshake.
const VERSION: u8 = 3;
const PACKET: usize = 1_536;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if view.data.first() != Some(&VERSION) || view.other.first().is_some_and(|v| *v != VERSION) {
        return Verdict::No;
    }
    let zero = match view.at::<9>(0) {
        Some([_, _, _, _, _, 0, 0, 0, 0]) => true,
        Some(_) => false,
        None if view.len == 1 && !view.other.is_empty() => false,
        None => return if view.len > 1 { Verdict::No } else { Verdict::Wait },
    };
    // TPKT has the same first octet, but its length is not zero as the time most often is.
    let is_tpkt = matches!(view.at(0), Some([3, 0, high, low]) if high > 0 || low > 6);
    if !zero && is_tpkt && !view.has_port(1935) {
        return Verdict::No;
    }
    let is_whole = |half: &[u8]| half.len() > PACKET;
    let both = is_whole(view.data) && is_whole(view.other);
    // Who has sent a packet, and who has answered with two, waits for the other.
    let (one, two) = (PACKET.saturating_add(1), PACKET.saturating_mul(2).saturating_add(1));
    let pauses = view.from_client().len() == one || view.from_server().len() == two;
    let is_begun = both || is_whole(view.data) && (zero || view.has_port(1935));
    if !(is_begun && (pauses || view.has_port(1935))) {
        let is_hopeful = zero || view.has_port(1935) || view.u32_at(1) == Some(0);
        return if is_hopeful { Verdict::Wait } else { Verdict::No };
    }
    // The connection's command comes after the handshake, of both packets.
    let after = PACKET.saturating_mul(2).saturating_add(1);
    if let Some(command) = view.from_client().get(after..).filter(|rest| !rest.is_empty()) {
        return match address(command) {
            Some(address) => {
                facts.put(Fact::Url, address);
                let name = find(address, b"://").and_then(|at| address.get(at.saturating_add(3)..));
                let name = name.unwrap_or_default();
                let end = name.iter().position(|octet| *octet == b'/').unwrap_or(name.len());
                facts.put(Fact::Host, host(name.get(..end).unwrap_or_default()));
                Verdict::Is(Protocol::RTMP)
            }
            None => Verdict::More(Protocol::RTMP),
        };
    }
    Verdict::More(Protocol::RTMP)
}

/// The value of `tcUrl`, a string of AMF 0.
fn address(command: &[u8]) -> Option<&[u8]> {
    let rest = command.get(find(command, b"tcUrl")?.checked_add(5)?..)?;
    let [2, high, low] = rest.first_chunk()? else { return None };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    rest.get(3..)?.get(..len)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_handshake_and_a_connection() {
        let mut hello = vec![3, 0, 0, 0, 9, 0, 0, 0, 0];
        hello.resize(1_537, 7);
        let mut answer = hello.clone();
        answer.resize(1_537 + 1_536, 8);
        let mut rest = vec![9; 1_536];
        rest.extend(b"\x03\0\0\0\0\0\0\x14connect\0tcUrl\x02\0\x14rtmp://a.example/app");
        let talk = Talk::tcp(11_935).client(&hello).server(&answer).client(&rest);
        assert_eq!(talk.protocol(), Protocol::RTMP);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("a.example"));
        // A version of the player that is not zero begins a handshake with digests.
        let mut digests = hello.clone();
        digests[4..9].copy_from_slice(&[0, 9, 0, 0x7c, 2]);
        let talk = Talk::tcp(11_935).client(&digests).server(&answer);
        assert_eq!(talk.protocol(), Protocol::RTMP);
        let talk = Talk::tcp(11_935).client(&hello[..1_000]);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        let talk = Talk::tcp(11_935).client(&[3, 0, 0, 0, 9, 1, 2, 3, 4]);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
    }
}
