//! Dofus. Of version 1, all text ended by zeros: the hello of the server of accounts is two letters
//! and a key of 32 letters, that of games two letters, which a ticket answers. Of version 2: which
//! protocol is required and spoken, then a hello of either server, each headed by number and size.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::DOFUS, &[], dissect);

/// Numbers of the hello of the server of accounts and of that of games.
const HELLOS: [u16; 2] = [3, 101];

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.from_server() == b"HG\0" && view.is_start {
        return match view.from_client() {
            [] => Verdict::Wait,
            ticket => Verdict::when(is_ticket(ticket), Protocol::DOFUS),
        };
    }
    let is_key = view.starts(b"HC")
        && view.len == 35
        && view.data.get(2..34).is_some_and(|key| key.iter().all(u8::is_ascii_lowercase))
        && view.data.last() == Some(&0);
    Verdict::when(is_key || is_second(view), Protocol::DOFUS)
}

fn is_ticket(text: &[u8]) -> bool {
    let Some(ticket) = text.strip_prefix(b"AT") else { return false };
    matches!(ticket, [first, .., b'\n' | b'\r', 0] | [first, .., 0] if first.is_ascii_alphanumeric())
}

/// The first message is of number 1 and eight octets, the next has its number above two bits.
fn is_second(view: &View<'_>) -> bool {
    let Some([0, 5, 8, 0, 0, _, _, 0, 0, _, _, high, low]) = view.at(0) else { return false };
    HELLOS.contains(&(u16::from_be_bytes([high, low]) >> 2))
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_server_says_its_key() {
        let hello = b"HCabcdefghijklmnopqrstuvwxyzabcdef\0";
        assert_eq!(Talk::tcp(443).server(hello).protocol(), Protocol::DOFUS);
        let talk = Talk::tcp(5556).server(b"HG\0");
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.clone().client(b"hello\n\0").protocol(), Protocol::UNKNOWN);
        assert_eq!(talk.client(b"AT4f2c1a\n\0").protocol(), Protocol::DOFUS);
        let second = b"\0\x05\x08\0\0\x04\xa0\0\0\x04\xa0\x01\x94";
        assert_eq!(Talk::tcp(5555).server(second).protocol(), Protocol::DOFUS);
        let other = b"\0\x05\x08\0\0\x04\xa0\0\0\x04\xa0\x01\x98";
        assert_eq!(Talk::tcp(5555).server(other).protocol(), Protocol::UNKNOWN);
    }
}
