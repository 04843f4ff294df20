//! Fingerprints of who speaks TLS: JA3 and JA3S (Salesforce, 2017) and JA4 (FoxIO, 2023), as their
//! public descriptions define them.

use md5::{Digest, Md5};
use sha2::Sha256;

use super::hello::{ALPN, Carrier, Offer, SERVER_NAME};
use crate::detect::Facts;
use crate::detect::facts::Fact;
use crate::detect::text::{decimal, hex};

/// Numbers of a list that are kept; of a longer one no fingerprint is made.
const MAX_LIST: usize = 256;

/// Numbers of two octets.
#[derive(Clone, Debug)]
pub(super) struct List {
    items: [u16; MAX_LIST],
    len: usize,
    is_cut: bool,
}

impl Default for List {
    fn default() -> Self {
        Self { items: [0; MAX_LIST], len: 0, is_cut: false }
    }
}

impl List {
    /// Of pairs of octets.
    pub(super) fn of(octets: &[u8]) -> Self {
        let mut list = Self::default();
        for pair in octets.chunks_exact(2) {
            list.push(pair.first_chunk().map_or(0, |pair| u16::from_be_bytes(*pair)));
        }
        list
    }

    pub(super) fn push(&mut self, item: u16) {
        if let Some(place) = self.items.get_mut(self.len) {
            *place = item;
            self.len = self.len.saturating_add(1);
        } else {
            self.is_cut = true;
        }
    }

    pub(super) fn items(&self) -> &[u16] {
        self.items.get(..self.len).unwrap_or_default()
    }

    /// Without reserved values and two more, in their order or sorted.
    fn without(&self, not: [u16; 2], sorted: bool) -> Self {
        let mut kept = Self { is_cut: self.is_cut, ..Self::default() };
        for item in self.items().iter().filter(|item| !is_grease(**item) && !not.contains(item)) {
            kept.push(*item);
            let mut at = kept.len.saturating_sub(1);
            while sorted && at > 0 {
                let Some([before, last]) = kept.items.get_mut(at.saturating_sub(1)..=at) else {
                    break;
                };
                if before <= last {
                    break;
                }
                std::mem::swap(before, last);
                at = at.saturating_sub(1);
            }
        }
        kept
    }
}

/// Values that clients strew in to keep servers tolerant (RFC 8701).
pub(super) const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

pub(super) fn ja3(offer: &Offer<'_>, facts: &mut Facts) {
    let lists = [&offer.ciphers, &offer.extensions, &offer.groups];
    if lists.iter().any(|list| list.is_cut) {
        return;
    }
    let mut text = Md5::new();
    put_decimal(&mut text, offer.version);
    for list in lists {
        text.update(b",");
        joined(&mut text, list.items());
    }
    text.update(b",");
    for (at, format) in offer.formats.iter().enumerate() {
        if at > 0 {
            text.update(b"-");
        }
        put_decimal(&mut text, u16::from(*format));
    }
    put_md5(text, Fact::Ja3, facts);
}

pub(super) fn ja3s(version: u16, cipher: u16, extensions: &List, facts: &mut Facts) {
    let mut text = Md5::new();
    put_decimal(&mut text, version);
    text.update(b",");
    put_decimal(&mut text, cipher);
    text.update(b",");
    joined(&mut text, extensions.items());
    put_md5(text, Fact::Ja3s, facts);
}

fn put_md5(text: Md5, fact: Fact, facts: &mut Facts) {
    let mut digits = [0; 32];
    hex(&text.finalize(), &mut digits);
    facts.put(fact, &digits);
}

/// Decimal numbers with hyphens between, reserved ones left out.
fn joined(text: &mut Md5, items: &[u16]) {
    let mut is_first = true;
    for item in items.iter().filter(|item| !is_grease(**item)) {
        if !is_first {
            text.update(b"-");
        }
        is_first = false;
        put_decimal(text, *item);
    }
}

fn put_decimal(text: &mut Md5, number: u16) {
    text.update(decimal(number.into(), &mut [0; 10]));
}

pub(super) fn ja4(offer: &Offer<'_>, carrier: Carrier, facts: &mut Facts) {
    let ciphers = offer.ciphers.without([0x0a0a; 2], true);
    let counted = offer.extensions.without([0x0a0a; 2], false);
    let extensions = offer.extensions.without([SERVER_NAME, ALPN], true);
    let signatures = offer.signatures.without([0x0a0a; 2], false);
    if ciphers.is_cut || counted.is_cut || signatures.is_cut {
        return;
    }
    let carried = match carrier {
        Carrier::Datagram => b'd',
        Carrier::Quic => b'q',
        Carrier::Tcp => b't',
    };
    let [first, second] = version(offer.highest);
    let name = if offer.has_name { b'd' } else { b'i' };
    let [c1, c2] = two_digits(ciphers.len);
    let [e1, e2] = two_digits(counted.len);
    let [a1, a2] = ends(offer.alpn);

    let mut text = [b'_'; 36];
    let head = [carried, first, second, name, c1, c2, e1, e2, a1, a2];
    for (to, from) in text.iter_mut().zip(head) {
        *to = from;
    }
    if let Some(to) = text.get_mut(11..23) {
        digest(ciphers.items(), &[], to);
    }
    if let Some(to) = text.get_mut(24..36) {
        digest(extensions.items(), signatures.items(), to);
    }
    facts.put(Fact::Ja4, &text);
}

/// The first twelve digits of the hash of numbers with commas between, and a second list.
fn digest(items: &[u16], more: &[u16], to: &mut [u8]) {
    if items.is_empty() && more.is_empty() {
        to.fill(b'0');
        return;
    }
    let mut text = Sha256::new();
    for (part, separator) in [(items, &b""[..]), (more, b"_")] {
        for (at, item) in part.iter().enumerate() {
            text.update(if at > 0 { &b","[..] } else { separator });
            let mut digits = [0; 4];
            hex(&item.to_be_bytes(), &mut digits);
            text.update(digits);
        }
    }
    hex(&text.finalize(), to);
}

const fn version(number: u16) -> [u8; 2] {
    match number {
        0x0304 => *b"13",
        0x0303 => *b"12",
        0x0302 => *b"11",
        0x0301 => *b"10",
        0x0300 => *b"s3",
        0x0002 => *b"s2",
        0xfeff => *b"d1",
        0xfefd => *b"d2",
        0xfefc => *b"d3",
        _ => *b"00",
    }
}

fn two_digits(count: usize) -> [u8; 2] {
    let count = u8::try_from(count.min(99)).unwrap_or(99);
    [(count / 10).saturating_add(b'0'), (count % 10).saturating_add(b'0')]
}

/// The first and the last character of a protocol's name, of its hexadecimal form if one is odd.
fn ends(alpn: &[u8]) -> [u8; 2] {
    match (alpn.first(), alpn.last()) {
        (Some(first), Some(last)) => {
            if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
                return [*first, *last];
            }
            let mut digits = [0; 4];
            hex(&[*first, *last], &mut digits);
            [digits[0], digits[3]]
        }
        _ => *b"00",
    }
}
