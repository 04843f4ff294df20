//! SMB: MS-CIFS and MS-SMB (version 1), MS-SMB2 (2 and 3), behind the length of RFC 1002, 4.3.1.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::SMBV23, &[445], dissect);

/// A first message of version 1 that may settle on another.
const NEGOTIATE: u8 = 0x72;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let other = version(view.other);
    match (version(view.data), other) {
        (Some(Some(Protocol::SMBV23)), _) | (_, Some(Some(Protocol::SMBV23))) => {
            Verdict::Is(Protocol::SMBV23)
        }
        // The answer to the negotiation decides.
        (Some(Some(protocol)), None) if view.at(8) == Some([NEGOTIATE]) && view.from_client => {
            Verdict::More(protocol)
        }
        (Some(Some(protocol)), _) => Verdict::Is(protocol),
        (None, _) => Verdict::Wait,
        (Some(None), _) => Verdict::No,
    }
}

/// The protocol of a stream if it is one of them, once there is enough of it.
fn version(stream: &[u8]) -> Option<Option<Protocol>> {
    match stream {
        // A message of a session; lengths have 17 bits there and 24 without NetBIOS.
        [0, _, _, _, 0xff, b'S', b'M', b'B', ..] => Some(Some(Protocol::SMBV1)),
        // Plain, encrypted, compressed.
        [0, _, _, _, 0xfc..=0xfe, b'S', b'M', b'B', ..] => Some(Some(Protocol::SMBV23)),
        [] => None,
        [first, ..] if *first != 0 => Some(None),
        [_, _, _, _, _, _, _, _, ..] => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn the_answer_decides_on_the_version() {
        let old = hex("00 00 00 54 ff 53 4d 42 72 00 00 00 00");
        let new = hex("00 00 00 d0 fe 53 4d 42 40 00 00 00 00");
        let talk = Talk::tcp(445).client(&old);
        assert_eq!(talk.protocol(), Protocol::SMBV1);
        assert_eq!(talk.clone().server(&new).protocol(), Protocol::SMBV23);
        assert_eq!(talk.server(&old).protocol(), Protocol::SMBV1);
        assert_eq!(Talk::tcp(139).client(&new).protocol(), Protocol::SMBV23);
        let other = hex("00 00 00 d0 fe 53 4d 43 40");
        assert_eq!(Talk::tcp(445).client(&other).protocol(), Protocol::UNKNOWN);
    }
}
