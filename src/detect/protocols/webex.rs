//! Webex: probes of the media servers.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::WEBEX, &[9000], dissect).bound();

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = matches!(view.at(0), Some([1 | 2, 0, 0, 0, 0, _, _, 1])) && view.len == 8;
    Verdict::when(found && view.has_port(9000), Protocol::WEBEX)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_probe_at_its_port() {
        let probe = hex("0100000000000001");
        assert_eq!(Talk::udp(9000).client(&probe).protocol(), Protocol::WEBEX);
        assert_ne!(Talk::udp(9001).client(&probe).protocol(), Protocol::WEBEX);
    }
}
