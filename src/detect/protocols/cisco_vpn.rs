//! IPsec in datagrams of Cisco's own form: a mark before ESP.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::CISCO_VPN, &[10000, 8008, 8009], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.is_udp() && view.starts(&[0xfe, 0x57, 0x7e, 0x2b]);
    Verdict::when(found && view.len >= 28, Protocol::CISCO_VPN)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn esp_behind_a_mark() {
        let mut packet = hex("fe577e2b c0ffee01 00000001");
        packet.resize(60, 9);
        assert_eq!(Talk::udp(10_000).client(&packet).protocol(), Protocol::CISCO_VPN);
        packet[0] = 0;
        assert_eq!(Talk::udp(10_000).client(&packet).protocol(), Protocol::UNKNOWN);
    }
}
