//! WeChat: mmtls, whose records are like those of TLS, and the long connection before it.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::WECHAT, &[8080], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        // mmtls: records as those of TLS with a version of their own.
        Some([0x15..=0x19, 0xf1, 3 | 4, high, low]) => {
            let len = usize::from(u16::from_be_bytes([high, low]));
            Verdict::when(len > 0 && len < 1 << 14, Protocol::WECHAT)
        }
        // Length, octets of the header (16), version 1, command, sequence.
        Some([0, _, _, _, 0]) => match view.at::<12>(4) {
            None if view.is_short(16) => Verdict::Wait,
            Some([0, 16, 0, 1, 0, 0, _, _, _, _, _, _]) => {
                Verdict::when(view.is_counted32(0, 0), Protocol::WECHAT)
            }
            _ => Verdict::No,
        },
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn chat_of_wechat() {
        let hello = hex("16f1030005 0102030405");
        assert_eq!(Talk::tcp(443).client(&hello).protocol(), Protocol::WECHAT);
        let alive = hex("00000010 0010 0001 00000006 ffffffff");
        let talk = Talk::tcp(8080).client(&alive);
        assert_eq!(talk.protocol(), Protocol::WECHAT);
        talk.survives();
        let other = hex("00000011 0010 0001 00000006 ffffffff");
        assert_eq!(Talk::tcp(8080).client(&other).protocol(), Protocol::UNKNOWN);
    }
}
