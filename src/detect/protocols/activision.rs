//! Activision: consoles and computers discover their address with a kind, 2, a cookie, and the
//! address and port that they believe to have.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::ACTIVISION, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let asks = matches!(view.at(0), Some([0x0c | 0x0d, 2, 0])) && view.len == 29;
    let port = view.u16_le_at(21);
    let own =
        port == Some(view.client_port) || port == Some(view.server_port) || port == Some(3074);
    Verdict::when(asks && own, Protocol::ACTIVISION)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_console_says_its_port() {
        let own = "0d0200250a7952af50aadc6fd8bc59ca61 c0a80015 020c 9448ada20786";
        assert_eq!(of(34_311, own), Protocol::ACTIVISION);
    }
}
