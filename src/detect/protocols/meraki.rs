//! Meraki's cloud: the mark of its datagrams.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::MERAKI_CLOUD, &[7351], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    Verdict::when(view.starts(&[0xfe, 0xf7, 0x28, 0x91]), Protocol::MERAKI_CLOUD)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_report_to_the_cloud() {
        assert_eq!(of(7351, "fef728910d010070"), Protocol::MERAKI_CLOUD);
    }
}
