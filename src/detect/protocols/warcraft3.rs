//! Warcraft III (bnetdocs.org, W3GS): a mark, the kind of message, the length of the whole.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::WARCRAFT3, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    // Over TCP one octet chooses the protocol before.
    let at = usize::from(view.is_tcp() && view.first() == Some(1));
    let Some([0xf7, kind, low, high]) = view.at(at) else {
        let hopeful = view.is_short(5) && view.has_port(6112) && view.first() == Some(1);
        return if hopeful { Verdict::Wait } else { Verdict::No };
    };
    let known = matches!(
        kind,
        0x01..=0x11 | 0x14 | 0x1b | 0x1e | 0x21 | 0x23 | 0x26..=0x28 | 0x2f..=0x36 | 0x3d..=0x48
    );
    let len = usize::from(u16::from_le_bytes([low, high])).saturating_add(at);
    // Over TCP more may follow.
    let fits =
        if view.is_udp() || !view.has_port(6112) { len == view.len } else { len <= view.len };
    Verdict::when(known && fits && len >= 4, Protocol::WARCRAFT3)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn games_in_the_neighbourhood() {
        let search = hex("f72f1000 50583357 18000000 00000000");
        assert_eq!(Talk::udp(6112).client(&search).protocol(), Protocol::WARCRAFT3);
        assert_eq!(Talk::udp(6112).client(&search[..15]).protocol(), Protocol::UNKNOWN);
    }
}
