//! QQ's OICQ: flag 2, version, command, sequence, number of the user; flag 3 at the end.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::OICQ, &[8000], dissect).bound();

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([2, version, _, _, command]) = view.at(0) else { return Verdict::No };
    let ends = view.data.len() < view.len || view.data.last() == Some(&3);
    let found = view.has_port(8000) && ends && view.len >= 12 && version < 0x40 && command != 0;
    Verdict::when(found, Protocol::OICQ)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn chat_of_qq() {
        let alive = hex("02 3b0b 0002 001f 561f0c7b 00 00 03");
        assert_eq!(Talk::udp(8000).client(&alive).protocol(), Protocol::OICQ);
        assert_eq!(Talk::udp(8000).client(&alive[..13]).protocol(), Protocol::UNKNOWN);
    }
}
