//! n2n: edges and supernodes, versions 2 and 3 (github.com/ntop/n2n, `doc/`, `include/n2n_wire.h`
//! as wire format). Where headers are encrypted there is nothing to see.

use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::N2N, &[7654, 7777], dissect);

/// Octets of the name of a community in versions 2 and 3.
const COMMUNITIES: [(u8, usize); 2] = [(3, 20), (2, 16)];

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    // Over TCP a length comes before.
    let at = if view.is_tcp() { 2 } else { 0 };
    if view.is_short(26) {
        let hopeful =
            view.data.get(2).is_none_or(|version| *version == 3) && view.first() <= Some(8);
        return if hopeful { Verdict::Wait } else { Verdict::No };
    }
    if view.is_tcp() && view.u16_at(0).is_none_or(|len| usize::from(len) > view.len) {
        return Verdict::No;
    }
    let message = view.data.get(at..).unwrap_or_default();
    let Some((version, kind)) = header(message) else { return Verdict::No };
    // Only the kinds that have a length to speak of; the shortest is a registration.
    let least = match kind {
        1 | 3..=12 => 4,
        2 => 0,
        _ => return Verdict::No,
    };
    let community = if version == 3 { 20 } else { 16 };
    if message.len() < 4_usize.saturating_add(community).saturating_add(least) {
        return Verdict::No;
    }
    facts.put(Fact::Version, &[version.saturating_add(b'0')]);
    Verdict::Is(Protocol::N2N)
}

/// Version, time to live, flags with the kind, the community: text, then zeros only.
fn header(message: &[u8]) -> Option<(u8, u8)> {
    let [version, life, flags, kind] = *message.first_chunk()?;
    let (_, size) = COMMUNITIES.into_iter().find(|(known, _)| *known == version)?;
    let community = message.get(4..)?.get(..size)?;
    let end = community.iter().position(|octet| *octet == 0).unwrap_or(size);
    let (name, rest) = community.split_at_checked(end)?;
    let is_text = name.iter().all(|octet| octet.is_ascii_graphic()) && !name.is_empty();
    let is_padded = rest.iter().all(|octet| *octet == 0);
    // Flags above the kind: options, from a supernode, with a socket.
    let fits = (1..=16).contains(&life) && flags == 0 && kind & 0x1f != 0;
    (fits && is_text && is_padded).then_some((version, kind & 0x1f))
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    fn register(version: u8, flags: u8) -> Vec<u8> {
        let mut message = vec![version, 2, 0, flags];
        let mut community = b"mynetwork".to_vec();
        community.resize(if version == 3 { 20 } else { 16 }, 0);
        message.extend(community);
        message.extend(hex("0000000a 020000000001 00000000"));
        message
    }

    #[test]
    fn an_edge_registers() {
        for version in [2, 3] {
            let talk = Talk::udp(7654).client(&register(version, 5));
            assert_eq!(talk.protocol(), Protocol::N2N);
            assert_eq!(talk.fact(Fact::Version), Some(version.to_string()));
            talk.survives();
        }
        assert_eq!(Talk::udp(40_000).server(&register(3, 0x46)).protocol(), Protocol::N2N);
    }

    #[test]
    fn over_tcp_with_a_length() {
        let message = register(3, 5);
        let mut framed = vec![0, u8::try_from(message.len()).unwrap()];
        framed.extend(message);
        assert_eq!(Talk::tcp(7654).client(&framed).protocol(), Protocol::N2N);
    }

    #[test]
    fn communities_are_text_and_padded() {
        let mut bad = register(3, 5);
        bad[20] = b'x';
        assert_eq!(Talk::udp(7654).client(&bad).protocol(), Protocol::UNKNOWN);
        let mut bad = register(3, 5);
        bad[4] = 7;
        assert_eq!(Talk::udp(7654).client(&bad).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(7654).client(&register(3, 0)).protocol(), Protocol::UNKNOWN);
    }
}
