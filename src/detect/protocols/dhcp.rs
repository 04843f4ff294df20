//! DHCP: RFC 2131, options of RFC 2132, the client's name in full of RFC 4702.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::DHCP, &[67, 68], dissect);

/// Where the options begin: behind the fixed header of BOOTP and the magic cookie.
const COOKIE_AT: usize = 236;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// Options looked at; there are at most 255.
const MAX_OPTIONS: usize = 64;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([op @ 1..=2, 1..=40, len @ 0..=16, _]) = view.at(0) else { return Verdict::No };
    if view.at(COOKIE_AT) != Some(COOKIE) || (len == 0 && !view.has_port(67)) {
        return Verdict::No;
    }
    let options = view.data.get(COOKIE_AT.saturating_add(COOKIE.len())..).unwrap_or_default();
    // What the client says of itself; a server's answers repeat some of it.
    if op == 1 {
        read_options(options, facts);
    }
    if facts.get(Fact::DhcpFingerprint).is_some() {
        Verdict::Is(Protocol::DHCP)
    } else {
        Verdict::More(Protocol::DHCP)
    }
}

fn read_options(options: &[u8], facts: &mut Facts) {
    let mut options = Cursor::new(options);
    for _ in 0..MAX_OPTIONS {
        match options.u8() {
            None | Some(255) => return,
            Some(0) => {}
            Some(code) => {
                let Some(value) = options.counted8() else { return };
                match code {
                    12 => put_name(facts, value),
                    55 => put_numbers(facts, value.iter().map(|octet| u16::from(*octet))),
                    60 => facts.put(Fact::DhcpClass, value),
                    // Flags and two result codes stand before the name.
                    81 if facts.get(Fact::HostName).is_none() => {
                        put_name(facts, value.get(3..).unwrap_or_default());
                    }
                    _ => {}
                }
            }
        }
    }
}

fn put_name(facts: &mut Facts, name: &[u8]) {
    let end = name.iter().position(|octet| *octet == 0).unwrap_or(name.len());
    let name = name.get(..end).unwrap_or_default();
    facts.put(Fact::HostName, name);
    facts.put(Fact::Host, name);
}

/// The numbers of the options that were asked for, in their order, with commas.
pub(super) fn put_numbers(facts: &mut Facts, numbers: impl Iterator<Item = u16>) {
    let mut text = [0_u8; 255];
    let mut len = 0_usize;
    for number in numbers {
        let mut divisor = 10_000_u16;
        let mut is_leading = true;
        if len > 0 {
            push(&mut text, &mut len, b',');
        }
        while divisor > 0 {
            let digit = number.checked_div(divisor).unwrap_or_default() % 10;
            is_leading &= digit == 0 && divisor > 1;
            if !is_leading {
                push(&mut text, &mut len, b'0' | u8::try_from(digit).unwrap_or_default());
            }
            divisor /= 10;
        }
    }
    facts.put(Fact::DhcpFingerprint, text.get(..len).unwrap_or_default());
}

fn push(text: &mut [u8], len: &mut usize, octet: u8) {
    if let Some(place) = text.get_mut(*len) {
        *place = octet;
        *len = len.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    fn message(op: u8, options: &[u8]) -> Vec<u8> {
        let mut message = vec![op, 1, 6, 0];
        message.resize(236, 0);
        message.extend_from_slice(&super::COOKIE);
        message.extend_from_slice(options);
        message
    }

    #[test]
    fn a_client_says_who_it_is() {
        let discover =
            message(1, b"\x35\x01\x01\x0c\x05frida\x37\x04\x01\x03\x79\xfc\x3c\x04MSFT\xff");
        let talk = Talk::udp(67).from(68).client(&discover);
        assert_eq!(talk.protocol(), Protocol::DHCP);
        assert_eq!(talk.fact(Fact::HostName).as_deref(), Some("frida"));
        assert_eq!(talk.fact(Fact::DhcpFingerprint).as_deref(), Some("1,3,121,252"));
        assert_eq!(talk.fact(Fact::DhcpClass).as_deref(), Some("MSFT"));
        Talk::udp(67).client(&discover).survives();
        let full = message(1, b"\x51\x07\x00\x00\x00a.b\x00");
        assert_eq!(Talk::udp(67).client(&full).fact(Fact::HostName).as_deref(), Some("a.b"));
    }

    #[test]
    fn a_server_s_answer_names_nobody() {
        let offer = message(2, b"\x35\x01\x02\x0c\x05frida\xff");
        let talk = Talk::udp(68).from(67).client(&offer);
        assert_eq!((talk.protocol(), talk.fact(Fact::HostName)), (Protocol::DHCP, None));
    }

    #[test]
    fn without_the_cookie_it_is_not() {
        let mut discover = message(1, b"\xff");
        discover[237] = 0;
        assert_eq!(Talk::udp(67).client(&discover).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(67).client(&discover[..200]).protocol(), Protocol::UNKNOWN);
    }
}
