//! XDMCP 1.1: version 1, an operation, the length of the rest.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::XDMCP, &[177], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = matches!(view.at(0), Some([0, 1, 0, 1..=14])) && view.is_counted16(4, 6);
    Verdict::when(found, Protocol::XDMCP)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_display_asks() {
        let query = hex("0001 0002 0001 00");
        assert_eq!(Talk::udp(177).client(&query).protocol(), Protocol::XDMCP);
        assert_eq!(Talk::udp(177).client(&query[..6]).protocol(), Protocol::UNKNOWN);
    }
}
