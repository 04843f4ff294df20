//! Call of Duty Mobile: a number and the word "ping", and the gateway's data.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::COD_MOBILE, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let ping = view.len == 12 && view.at(8) == Some(*b"ping");
    let data = (7900..=7999).contains(&view.server_port)
        && view.at(8) == Some([0x0d, 1])
        && view.len > 100;
    Verdict::when(ping || data, Protocol::COD_MOBILE)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_ping() {
        assert_eq!(of(7500, "bbb653ea96fdbb03 70696e67"), Protocol::COD_MOBILE);
    }
}
