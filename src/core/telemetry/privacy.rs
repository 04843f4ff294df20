//! What telemetry does not tell: hardware addresses and hosts that are masked, and texts that are
//! replaced, as Netify's `privacy-filter` does. Filters and digests are made of the true values.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use regex_lite::{Regex, RegexBuilder};

use crate::expression::lies_in;
use crate::flow::Record;
use crate::flow::record::End;

/// Masks of hardware addresses: of the numerically lower and the upper end.
const MACS: [[u8; 6]; 2] = [[0x00, 0x52, 0x14, 0, 0, 0], [0x00, 0x52, 0xff, 0, 0, 0]];

/// Octets that a compiled pattern may take.
const MAX_PATTERN: usize = 16 * 1024;

/// Octets of a text that was replaced; the rest is cut off.
const MAX_TEXT: usize = 1_024;

/// What is masked; by default nothing.
#[derive(Debug, Default)]
pub struct Privacy {
    macs: Vec<[u8; 6]>,
    hosts: Vec<(IpAddr, u8)>,
    rewrites: Vec<(Regex, String)>,
    hides_external: bool,
    external: Vec<IpAddr>,
}

/// Compiles a pattern; `None` if it is none, or too large.
#[must_use]
pub fn pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN).build().ok()
}

impl Privacy {
    /// A filter of these hardware addresses, hosts and networks, and of texts that match a
    /// pattern; `hides_external` masks our own addresses towards the Internet.
    #[must_use]
    pub fn new(
        macs: &[[u8; 6]],
        hosts: &[(IpAddr, u8)],
        rewrites: &[(String, String)],
        hides_external: bool,
    ) -> Self {
        let compiled =
            |(search, replace): &(String, String)| Some((pattern(search)?, replace.clone()));
        Self {
            macs: macs.to_vec(),
            hosts: hosts.to_vec(),
            rewrites: rewrites.iter().filter_map(compiled).collect(),
            hides_external,
            external: Vec::new(),
        }
    }

    /// Our own addresses towards the Internet.
    pub fn set_external(&mut self, addresses: Vec<IpAddr>) {
        self.external = addresses;
    }

    /// A record with its ends masked, if one of them is to be.
    #[must_use]
    pub fn record(&self, record: &Record) -> Option<Record> {
        let mut masked = record.clone();
        let is_lower = record.is_initiator_lower;
        self.end(&mut masked.initiator, is_lower);
        self.end(&mut masked.responder, !is_lower);
        (masked != *record).then_some(masked)
    }

    fn end(&self, end: &mut End, is_lower: bool) {
        end.mac = end.mac.map(|mac| self.mac(mac, is_lower));
        end.ip = self.host(end.ip, is_lower);
    }

    /// A hardware address, or its mask.
    #[must_use]
    pub fn mac(&self, mac: [u8; 6], is_lower: bool) -> [u8; 6] {
        let [lower, upper] = MACS;
        match self.macs.contains(&mac) {
            true if is_lower => lower,
            true => upper,
            false => mac,
        }
    }

    /// An address, or its mask.
    #[must_use]
    pub fn host(&self, ip: IpAddr, is_lower: bool) -> IpAddr {
        let is_listed = self.hosts.iter().any(|(network, prefix)| lies_in(ip, *network, *prefix));
        let is_external = self.hides_external && self.external.contains(&ip);
        if !is_listed && !is_external {
            return ip;
        }
        let last = if is_lower { 253 } else { 254 };
        match ip {
            IpAddr::V4(_) => Ipv4Addr::new(127, 255, 0, last).into(),
            // Of the prefix for what is thrown away (RFC 6666).
            IpAddr::V6(_) => Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, last.into()).into(),
        }
    }

    /// Whether addresses of hosts are masked.
    #[must_use]
    pub const fn masks_hosts(&self) -> bool {
        self.hides_external || !self.hosts.is_empty()
    }

    /// Whether texts are left as they are.
    #[must_use]
    pub const fn keeps_texts(&self) -> bool {
        self.rewrites.is_empty()
    }

    /// A text with what matches replaced, one pattern after the other.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for (search, replace) in &self.rewrites {
            if let Cow::Owned(mut replaced) = search.replace_all(&text, replace.as_str()) {
                while replaced.len() > MAX_TEXT {
                    replaced.pop();
                }
                text = Cow::Owned(replaced);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_those_of_the_side() {
        let mac = [2, 0, 0, 0, 0, 1];
        let hosts = [("192.0.2.0".parse().unwrap(), 24), ("2001:db8::1".parse().unwrap(), 128)];
        let privacy = Privacy::new(&[mac], &hosts, &[], false);
        assert_eq!(privacy.mac(mac, true), [0, 0x52, 0x14, 0, 0, 0]);
        assert_eq!(privacy.mac(mac, false), [0, 0x52, 0xff, 0, 0, 0]);
        assert_eq!(privacy.mac([9; 6], true), [9; 6]);
        for (address, is_lower, expected) in [
            ("192.0.2.77", true, "127.255.0.253"),
            ("192.0.2.77", false, "127.255.0.254"),
            ("192.0.3.1", true, "192.0.3.1"),
            ("2001:db8::1", false, "100::fe"),
            ("2001:db8::2", false, "2001:db8::2"),
        ] {
            let masked = privacy.host(address.parse().unwrap(), is_lower);
            assert_eq!(masked.to_string(), expected);
        }
    }

    #[test]
    fn our_own_addresses_towards_the_internet_are_masked_on_request() {
        let own: IpAddr = "203.0.113.9".parse().unwrap();
        for (hides, expected) in [(false, own), (true, "127.255.0.253".parse().unwrap())] {
            let mut privacy = Privacy::new(&[], &[], &[], hides);
            privacy.set_external(vec![own]);
            assert_eq!(privacy.host(own, true), expected);
        }
    }

    #[test]
    fn texts_are_replaced_and_never_grow_without_bound() {
        let rule = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let rules = [rule(r"^([a-z]+)\.lan$", "$1.example"), rule("(", "x")];
        let privacy = Privacy::new(&[], &[], &rules, false);
        assert_eq!(privacy.text("nas.lan"), "nas.example");
        assert_eq!(privacy.text("lan.nas"), "lan.nas");
        let grows = Privacy::new(&[], &[], &[rule("a", &"b".repeat(100))], false);
        assert_eq!(grows.text(&"a".repeat(200)).len(), MAX_TEXT);
    }
}
