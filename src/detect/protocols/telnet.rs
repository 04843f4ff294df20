//! Telnet: RFC 854, options: RFC 855.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::TELNET, &[23], dissect);

/// The octet before each command, and the commands: sub-negotiation, will, won't, do, don't.
const IAC: u8 = 0xff;
const SB: u8 = 0xfa;
const WILL: u8 = 0xfb;
const DONT: u8 = 0xfe;

/// Options with names (IANA, Telnet Options).
const fn is_option(option: u8) -> bool {
    option <= 49 || matches!(option, 138..=141 | 200 | 201 | 255)
}

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.data {
        [IAC] => Verdict::Wait,
        [IAC, SB..=DONT] => Verdict::Wait,
        [IAC, WILL..=DONT, option, rest @ ..] if is_option(*option) => match rest {
            [IAC, SB..=DONT, option, ..] if is_option(*option) => Verdict::Is(Protocol::TELNET),
            [] | [IAC] | [IAC, SB..=DONT] if view.has_port(23) => Verdict::Is(Protocol::TELNET),
            [] | [IAC] | [IAC, SB..=DONT] if view.other.starts_with(&[IAC]) => {
                Verdict::Is(Protocol::TELNET)
            }
            [] | [IAC] | [IAC, SB..=DONT] => Verdict::Wait,
            _ if view.has_port(23) => Verdict::Is(Protocol::TELNET),
            _ => Verdict::No,
        },
        [IAC, SB, option, ..] if is_option(*option) && view.has_port(23) => {
            Verdict::Is(Protocol::TELNET)
        }
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn negotiations() {
        let offer = b"\xff\xfd\x18\xff\xfd\x20\xff\xfb\x03";
        assert_eq!(Talk::tcp(2323).server(offer).protocol(), Protocol::TELNET);
        assert_eq!(Talk::tcp(23).server(b"\xff\xfd\x18").protocol(), Protocol::TELNET);
        assert_eq!(Talk::tcp(2323).server(b"\xff\xfd\x18").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(2323).server(b"\xff\xd8\xff\xe0").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(23).server(b"\xff\xfd\x77\xff").protocol(), Protocol::UNKNOWN);
    }
}
