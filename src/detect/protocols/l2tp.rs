//! L2TP: RFC 2661, RFC 3931. Control of version 2 or 3, its length that of the datagram; data at
//! its port only.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::L2TP, &[1701], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([flags, version]) = view.at(0) else { return Verdict::No };
    let found = match (flags, version) {
        (0xc8, 2 | 3) => view.is_counted16(2, 0) && view.len >= 12,
        (_, 2) => {
            view.has_port(1701)
                && flags & 0xb4 == 0
                && (flags & 0x40 == 0 || view.is_counted16(2, 0))
        }
        // Data of version 3 have nothing but a session and a cookie.
        (0, 3) => view.has_port(1701) && view.u16_at(2) == Some(0) && view.len > 8,
        _ => false,
    };
    Verdict::when(found, Protocol::L2TP)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_message_of_control() {
        let hello = hex("c802 0014 0000 0000 0000 0000 8008 0000 0000 0001");
        assert_eq!(Talk::udp(1701).client(&hello).protocol(), Protocol::L2TP);
        assert_eq!(Talk::udp(1701).client(&hello[..19]).protocol(), Protocol::UNKNOWN);
        let data = hex("0003 0000 00000001 0102030405060708 ffffffffffff");
        assert_eq!(Talk::udp(1701).client(&data).protocol(), Protocol::L2TP);
    }
}
