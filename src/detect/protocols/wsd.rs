//! WS-Discovery over UDP: OASIS WS-Discovery 1.1, and the version of 2005 before it.

use crate::detect::text::{contains_any, starts};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::WSD, &[3702], dissect);

/// Octets within which the name space is said.
const MAX_BEFORE: usize = 1_024;

/// Its name spaces.
const SPACES: [&[u8]; 2] =
    [b"schemas.xmlsoap.org/ws/2005/04/discovery", b"docs.oasis-open.org/ws-dd/ns/discovery"];

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let is_xml = matches!(view.data, [b'<', b'?' | b's' | b'S' | b'e' | b'E' | b'w', ..]);
    if !is_xml
        || !(starts(view.data, b"<?xml") || contains_any(head(view.data, 64), &[b"envelope"]))
    {
        return Verdict::No;
    }
    if contains_any(head(view.data, MAX_BEFORE), &SPACES) {
        Verdict::Is(Protocol::WSD)
    } else {
        Verdict::No
    }
}

fn head(bytes: &[u8], len: usize) -> &[u8] {
    bytes.get(..len).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_probe() {
        let probe =
            br#"<?xml version="1.0"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
            xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><s:Body><d:Probe/>"#;
        assert_eq!(Talk::udp(3702).client(probe).protocol(), Protocol::WSD);
        let other = br#"<?xml version="1.0"?><html>"#;
        assert_eq!(Talk::udp(3702).client(other).protocol(), Protocol::UNKNOWN);
    }
}
