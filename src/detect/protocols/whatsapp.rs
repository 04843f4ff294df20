//! WhatsApp's chat: a mark with the versions of protocol and dictionary, then a Noise handshake
//! (WhatsApp Encryption Overview); before the mark there may be routing information.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::WHATSAPP, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let routed = view.opens(b"ED\0\x01", Protocol::WHATSAPP);
    if routed != Verdict::No {
        return routed;
    }
    match view.at(0) {
        Some([b'W', b'A', major, minor]) => {
            Verdict::when((1..=8).contains(&major) && minor <= 16, Protocol::WHATSAPP)
        }
        None if b"WA".starts_with(view.data.get(..2).unwrap_or(view.data)) => Verdict::Wait,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn the_mark_of_the_handshake() {
        assert_eq!(Talk::tcp(443).client(b"WA\x06\x02\0\0\x24").protocol(), Protocol::WHATSAPP);
        assert_eq!(Talk::tcp(443).client(b"W").client(b"A\x05\x02").protocol(), Protocol::WHATSAPP);
        let routed = b"ED\0\x01\0\0\x04\x08\x05\x08\x02WA\x06\x02";
        assert_eq!(Talk::tcp(5222).client(routed).protocol(), Protocol::WHATSAPP);
        assert_eq!(Talk::tcp(443).client(b"WAIT").protocol(), Protocol::UNKNOWN);
    }
}
