//! Skinny (SCCP) of Cisco's telephones: length, version, kind of message, little-endian.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::tcp(Protocol::CISCO_SKINNY, &[2000], dissect).bound();

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([_, _, 0, 0, version, 0, 0, 0, _, kind, 0, 0]) = view.at(0) else {
        let hopeful = view.is_short(12) && view.has_port(2000) && view.len < 12;
        return if hopeful { Verdict::Wait } else { Verdict::No };
    };
    let Some(len) = view.u16_le_at(0) else { return Verdict::No };
    let fits = (4..=2048).contains(&len) && usize::from(len).saturating_add(8) <= view.len;
    let found = fits && version <= 22 && kind <= 3 && view.has_port(2000);
    Verdict::when(found, Protocol::CISCO_SKINNY)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_telephone_is_alive() {
        let alive = hex("04000000 00000000 00000000");
        let talk = Talk::tcp(2000).client(&alive);
        assert_eq!(talk.protocol(), Protocol::CISCO_SKINNY);
        talk.survives();
        assert_eq!(Talk::tcp(2001).client(&alive).protocol(), Protocol::UNKNOWN);
        let long = hex("05000000 00000000 00000000");
        assert_eq!(Talk::tcp(2000).client(&long).protocol(), Protocol::UNKNOWN);
    }
}
