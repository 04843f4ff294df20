//! What flows were, by their addresses and ports: a client that uses the same ones again has its
//! flow named by its first packet with payload, without another inspection.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use crate::detect::{Fact, Found, Outcome, Protocol};
use crate::flow::Key;

/// Octets of all names of hosts that are kept; beyond, flows are remembered without theirs.
const MAX_OCTETS: usize = 256 * 1024;

/// Protocols whose flows of the same ends are about something else each time.
const FLEETING: [Protocol; 9] = [
    Protocol::DNS,
    Protocol::MDNS,
    Protocol::LLMNR,
    Protocol::NETBIOS,
    Protocol::DHCP,
    Protocol::DHCPV6,
    Protocol::SSDP,
    Protocol::STUN,
    Protocol::UNKNOWN,
];

/// Flows that were recognised by their payload. When it is full, the one gives way that did not
/// come again for longest.
#[derive(Debug, Default)]
pub struct Recall {
    cap: usize,
    known: HashMap<u64, Known>,
    order: VecDeque<u64>,
    octets: usize,
    key: RandomState,
    /// Flows that were named from here.
    pub hits: u64,
}

#[derive(Debug)]
struct Known {
    protocol: Protocol,
    application: u16,
    found: Found,
    host: Box<[u8]>,
    /// It came again since it was last looked at for what gives way.
    again: bool,
}

impl Recall {
    /// How many flows are remembered; 0 for none.
    pub fn set_cap(&mut self, cap: usize) {
        self.cap = cap;
        while self.order.len() > cap && self.forget_oldest() {}
    }

    /// Whether anything is remembered.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.cap > 0
    }

    /// Forgets everything: what flows are called has changed.
    pub fn clear(&mut self) {
        self.known.clear();
        self.order.clear();
        self.octets = 0;
    }

    /// Flows that are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What a flow is, if one of these addresses and ports was recognised before.
    pub fn find(&mut self, key: &Key) -> Option<Outcome> {
        if self.order.is_empty() {
            return None;
        }
        let print = self.print(key);
        let known = self.known.get_mut(&print)?;
        known.again = true;
        self.hits = self.hits.saturating_add(1);
        let mut outcome = Outcome {
            protocol: known.protocol,
            application: known.application,
            found: known.found,
            is_complete: true,
            is_recalled: true,
            packets: 1,
            ..Outcome::default()
        };
        outcome.facts.put(Fact::Host, &known.host);
        Some(outcome)
    }

    /// Remembers what a flow was.
    pub fn remember(&mut self, key: &Key, what: &Outcome) {
        if self.cap == 0
            || what.is_guessed
            || what.is_recalled
            || !matches!(key.proto, TCP | UDP)
            || FLEETING.contains(&what.protocol)
        {
            return;
        }
        let print = self.print(key);
        if let Some(old) = self.known.remove(&print) {
            self.octets = self.octets.saturating_sub(old.host.len());
        } else {
            while self.order.len() >= self.cap && self.forget_oldest() {}
            self.order.push_back(print);
        }
        let host = what.facts.get(Fact::Host).unwrap_or_default();
        let fits = self.octets.saturating_add(host.len()) <= MAX_OCTETS;
        let host: Box<[u8]> = if fits { host.into() } else { Box::default() };
        self.octets = self.octets.saturating_add(host.len());
        let (protocol, application, found) = (what.protocol, what.application, what.found);
        self.known.insert(print, Known { protocol, application, found, host, again: false });
    }

    /// Hashed under a random key: whoever chooses addresses cannot choose what they meet.
    fn print(&self, key: &Key) -> u64 {
        self.key.hash_one((
            &key.address.lower,
            &key.address.upper,
            (key.port.lower, key.port.upper, key.iface, key.vlan),
            (key.proto, key.version),
        ))
    }

    fn forget_oldest(&mut self) -> bool {
        // Each is put back once at most, so that this ends.
        while let Some(print) = self.order.pop_front() {
            match self.known.get_mut(&print) {
                Some(known) if known.again => {
                    known.again = false;
                    self.order.push_back(print);
                }
                _ => {
                    if let Some(known) = self.known.remove(&print) {
                        self.octets = self.octets.saturating_sub(known.host.len());
                    }
                    return true;
                }
            }
        }
        false
    }
}

const TCP: u8 = 6;
const UDP: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(port: u16) -> Key {
        let mut key = Key { proto: TCP, version: 4, ..Key::default() };
        key.port.lower = port;
        key
    }

    fn tls(host: &str) -> Outcome {
        let mut what =
            Outcome { protocol: Protocol::TLS, application: 20_001, ..Outcome::default() };
        what.facts.put(Fact::Host, host.as_bytes());
        what
    }

    #[test]
    fn a_flow_that_comes_again_is_what_it_was() {
        let mut recall = Recall::default();
        recall.remember(&key(1), &tls("a.example"));
        assert!(recall.find(&key(1)).is_none(), "it is off");
        recall.set_cap(10);
        recall.remember(&key(1), &tls("a.example"));
        let found = recall.find(&key(1)).unwrap();
        assert_eq!((found.protocol, found.application), (Protocol::TLS, 20_001));
        assert_eq!(found.facts.get(Fact::Host), Some(&b"a.example"[..]));
        assert!(found.is_recalled && found.is_complete);
        assert!(recall.find(&key(2)).is_none());
        recall.remember(&key(1), &tls("b.example"));
        assert_eq!(recall.find(&key(1)).unwrap().facts.get(Fact::Host), Some(&b"b.example"[..]));
        assert_eq!((recall.len(), recall.octets, recall.hits), (1, 9, 2));
        recall.clear();
        assert!(recall.find(&key(1)).is_none() && recall.is_empty());
    }

    #[test]
    fn guesses_and_what_changes_each_time_are_not_remembered() {
        let mut recall = Recall::default();
        recall.set_cap(10);
        recall.remember(&key(1), &Outcome { is_guessed: true, ..tls("a") });
        recall.remember(&key(2), &Outcome { protocol: Protocol::DNS, ..tls("a") });
        recall.remember(&key(3), &Outcome::default());
        recall.remember(&key(4), &Outcome { is_recalled: true, ..tls("a") });
        recall.remember(&Key { proto: 1, ..key(5) }, &tls("a"));
        assert!(recall.is_empty());
    }

    #[test]
    fn it_is_bounded_and_those_that_come_again_stay() {
        let mut recall = Recall::default();
        recall.set_cap(100);
        for port in 0..1_000 {
            recall.remember(&key(port), &tls(&"x".repeat(200)));
            assert!(port == 0 || recall.find(&key(0)).is_some(), "{port}");
        }
        assert_eq!((recall.len(), recall.known.len()), (100, 100));
        assert_eq!(recall.octets, 100 * 200);
        recall.set_cap(5_000);
        for port in 0..4_000 {
            recall.remember(&key(port), &tls(&"x".repeat(250)));
        }
        assert!(recall.octets <= MAX_OCTETS);
        recall.set_cap(0);
        assert!(recall.is_empty() && recall.octets == 0);
    }
}
