//! BFCP, control of the floor of conferences: RFC 8855.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::BFCP, &[], dissect).weak();

/// Octets before the attributes.
const HEADER: usize = 12;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([first, kind, ..]) = view.at::<HEADER>(0) else {
        return if view.is_tcp() && view.first() == Some(0x20) {
            Verdict::Wait
        } else {
            Verdict::No
        };
    };
    // Version 1 over streams, 2 over datagrams; no reserved bits.
    let Some(words) = view.u16_at(2) else { return Verdict::No };
    let rest = view.len.saturating_sub(HEADER);
    let fits = usize::from(words).saturating_mul(4) <= rest.max(4);
    if !matches!(first, 0x20 | 0x30 | 0x40 | 0x50) || !matches!(kind, 1..=18) || !fits {
        return Verdict::No;
    }
    // The answer has the same conference, transaction and user.
    let same = view.data.get(4..HEADER);
    let answered = if view.is_tcp() {
        view.other.get(4..HEADER) == same
    } else {
        view.past
            .iter()
            .any(|past| past.from_client != view.from_client && past.head.get(4..HEADER) == same)
    };
    if answered {
        Verdict::Is(Protocol::BFCP)
    } else if view.number < 4 {
        Verdict::Wait
    } else {
        Verdict::No
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_floor_is_asked_for_and_answered() {
        let ask = hex("20 01 0001 00000001 0002 0504 05040003");
        let answer = hex("20 04 0000 00000001 0002 0504");
        for talk in [Talk::tcp(5070), Talk::udp(5070)] {
            let talk = talk.client(&ask);
            assert_eq!(talk.protocol(), Protocol::UNKNOWN);
            talk.survives();
            assert_eq!(talk.server(&answer).protocol(), Protocol::BFCP);
        }
    }
}
