//! Nintendo's consoles: the header of Pia, their library (github.com/kinnay/NintendoClients).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::NINTENDO, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.starts(&[0x32, 0xab, 0x98, 0x64]) && view.len >= 16;
    Verdict::when(found, Protocol::NINTENDO)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_header_of_pia() {
        assert_eq!(of(49_432, "32ab9864 02 56 03cb 960133e0c648f834"), Protocol::NINTENDO);
        assert_eq!(of(49_432, "32ab9865 02 56 03cb 960133e0c648f834"), Protocol::UNKNOWN);
    }
}
