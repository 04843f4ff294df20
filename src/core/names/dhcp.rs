//! Names from leases of DHCP: a client says its name when it asks (RFC 2132, 3.14; RFC 4702), the
//! server says the address when it grants.

use std::collections::VecDeque;
use std::net::Ipv4Addr;

use crate::wire::dhcp::Message;

/// Requests remembered until they are granted; the oldest gives way.
const MAX_REQUESTS: usize = 64;

/// The longest name that an option may hold.
const MAX_NAME: usize = 255;

/// Clients that have asked for an address and said their names.
#[derive(Debug, Default)]
pub struct Requests {
    open: VecDeque<Request>,
}

#[derive(Debug)]
struct Request {
    transaction: u32,
    mac: Option<[u8; 6]>,
    name: Box<str>,
}

impl Requests {
    /// Takes a message; the address and the name of the client if it is a grant.
    pub fn read(&mut self, payload: &[u8]) -> Option<(Ipv4Addr, Box<str>)> {
        let message = Message::parse(payload).ok()?;
        let (transaction, mac) = (message.transaction(), message.mac());
        let same = |known: &Request| known.transaction == transaction && known.mac == mac;
        let said = name(&message);
        if message.operation() == FROM_CLIENT {
            let name = said?;
            self.open.retain(|known| !same(known));
            if self.open.len() >= MAX_REQUESTS {
                self.open.pop_front();
            }
            self.open.push_back(Request { transaction, mac, name });
            return None;
        }
        if message.option(KIND) != Some(&[ACK]) {
            return None;
        }
        let asked = self.open.iter().position(same).and_then(|at| self.open.remove(at));
        let name = asked.map(|request| request.name).or(said)?;
        let yours = message.assigned();
        // An answer to INFORM assigns nothing.
        let address = if yours.is_unspecified() { message.client() } else { yours };
        Some((address, name))
    }
}

const FROM_CLIENT: u8 = 1;
const HOST_NAME: u8 = 12;
const KIND: u8 = 53;
const ACK: u8 = 5;
const FULL_NAME: u8 = 81;

/// The name that a client goes by.
fn name(message: &Message<'_>) -> Option<Box<str>> {
    let full = message.option(FULL_NAME).and_then(full_name);
    full.or_else(|| message.option(HOST_NAME).and_then(text))
}

/// The name of option 81, in either of its spellings.
fn full_name(option: &[u8]) -> Option<Box<str>> {
    let [flags, _, _, rest @ ..] = option else { return None };
    if flags & 4 == 0 {
        return text(rest);
    }
    // Labels as in DNS, never compressed; the last may be missing if the name is not full.
    let mut out = Vec::new();
    let mut rest = rest;
    while let [len @ 1..=63, behind @ ..] = rest {
        let (label, behind) = behind.split_at_checked(usize::from(*len))?;
        if !out.is_empty() {
            out.push(b'.');
        }
        out.extend_from_slice(label);
        rest = behind;
    }
    text(&out)
}

fn text(bytes: &[u8]) -> Option<Box<str>> {
    let bytes = bytes.get(..MAX_NAME).unwrap_or(bytes);
    // Some count the octet that ends the string.
    let text = str::from_utf8(bytes).ok()?.trim_end_matches('\0').trim();
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(operation: u8, transaction: u8, yours: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[operation, 1, 6, 0]);
        bytes[7] = transaction;
        bytes[16..20].copy_from_slice(&yours);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, transaction]);
        bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
        [&bytes[..], options, &[255]].concat()
    }

    fn grant(requests: &mut Requests, transaction: u8, options: &[u8]) -> Option<String> {
        let ack = [&[53, 1, 5][..], options].concat();
        let (ip, name) = requests.read(&message(2, transaction, [10, 0, 0, transaction], &ack))?;
        Some(format!("{ip} {name}"))
    }

    #[test]
    fn a_client_is_called_as_it_said_when_it_asked() {
        let mut requests = Requests::default();
        let ask = |transaction, options: &[u8]| message(1, transaction, [0; 4], options);
        assert_eq!(requests.read(&ask(1, b"\x35\x01\x03\x0c\x06laptop")), None);
        assert_eq!(requests.read(&ask(2, b"\x35\x01\x03\x51\x0b\x05\0\0\x03tab\x03lan")), None);
        assert_eq!(requests.read(&ask(3, b"\x35\x01\x03\x51\x09\x01\0\0tv.lan")), None);
        // An offer is no grant.
        let offer = message(2, 1, [10, 0, 0, 9], &[53, 1, 2]);
        assert_eq!(requests.read(&offer), None);
        assert_eq!(grant(&mut requests, 1, &[]).as_deref(), Some("10.0.0.1 laptop"));
        assert_eq!(grant(&mut requests, 2, &[]).as_deref(), Some("10.0.0.2 tab.lan"));
        assert_eq!(grant(&mut requests, 3, &[]).as_deref(), Some("10.0.0.3 tv.lan"));
        // Nobody asked; the server says it all.
        assert_eq!(grant(&mut requests, 4, b"\x0c\x02ap").as_deref(), Some("10.0.0.4 ap"));
        assert_eq!(grant(&mut requests, 5, &[]), None);
    }

    #[test]
    fn requests_that_are_never_granted_give_way() {
        let mut requests = Requests::default();
        for transaction in 0..200 {
            requests.read(&message(1, transaction, [0; 4], b"\x0c\x01x"));
        }
        assert_eq!(requests.open.len(), MAX_REQUESTS);
        assert_eq!(grant(&mut requests, 1, &[]), None);
        assert!(grant(&mut requests, 199, &[]).is_some());
    }

    proptest::proptest! {
        #[test]
        fn any_options_are_read_to_an_end(options in proptest::collection::vec(0_u8.., 0..300)) {
            let mut requests = Requests::default();
            requests.read(&message(1, 1, [0; 4], &options));
            let _ = grant(&mut requests, 1, &options);
            let _ = full_name(&options);
        }
    }
}
