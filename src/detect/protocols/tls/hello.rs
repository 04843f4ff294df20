//! Hellos of client and server, the same in TLS, DTLS and QUIC: what they offer and choose.
//! RFC 8446, 4.1 and 4.2; names: RFC 6066, 3; ALPN: RFC 7301; encrypted hello: RFC 9849.

use super::fingerprint::{self, List};
use crate::detect::Facts;
use crate::detect::cursor::Cursor;
use crate::detect::facts::Fact;

/// What carries the messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::detect::protocols) enum Carrier {
    Datagram,
    Quic,
    Tcp,
}

/// Extensions (IANA, TLS ExtensionType Values).
pub(super) const SERVER_NAME: u16 = 0;
const GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURES: u16 = 13;
pub(super) const ALPN: u16 = 16;
const VERSIONS: u16 = 43;
/// Parameters of QUIC (RFC 9000, 18), and their number in its drafts.
const PARAMETERS: [u16; 2] = [0x39, 0xffa5];
/// What Google's clients call themselves, among them.
const USER_AGENT: u64 = 0x3129;
const ECH: u16 = 0xfe0d;
/// Encrypted names before RFC 9849: drafts of its own and of ESNI.
const ECH_DRAFTS: [u16; 4] = [0xfe08, 0xfe09, 0xff02, 0xff03];
const ESNI: u16 = 0xffce;

/// Octets of a hello before its session number: version and random.
const FIXED: usize = 34;

/// What a client offers, for its fingerprints.
pub(super) struct Offer<'a> {
    pub(super) version: u16,
    pub(super) ciphers: List,
    pub(super) extensions: List,
    pub(super) groups: List,
    pub(super) formats: &'a [u8],
    pub(super) signatures: List,
    /// The highest of the versions offered.
    pub(super) highest: u16,
    pub(super) has_name: bool,
    /// The first of the protocols offered.
    pub(super) alpn: &'a [u8],
}

/// A message may be a hello: its length, its version, and the length of the session number.
pub(in crate::detect::protocols) fn may_be(message: &[u8], len: usize, major: u8) -> bool {
    let fits = |octet: Option<&u8>, what: fn(u8, u8) -> bool| octet.is_none_or(|o| what(*o, major));
    message.len() >= 2
        && (FIXED.saturating_add(4)..=0xffff).contains(&len)
        && fits(message.first(), |octet, major| octet == major || major == 0xfe && octet == 1)
        && fits(message.get(FIXED), |octet, _| octet <= 32)
}

/// Reads a client hello as far as it goes. Fingerprints need the whole.
pub(in crate::detect::protocols) fn client(
    message: &[u8],
    carrier: Carrier,
    is_whole: bool,
    facts: &mut Facts,
) -> Option<()> {
    let mut cursor = Cursor::new(message);
    let version = cursor.u16()?;
    cursor.skip(FIXED.saturating_sub(2))?;
    cursor.counted8()?;
    if carrier == Carrier::Datagram {
        cursor.counted8()?;
    }
    let mut offer = Offer {
        version,
        ciphers: List::of(cursor.counted16()?),
        extensions: List::default(),
        groups: List::default(),
        formats: &[],
        signatures: List::default(),
        highest: version,
        has_name: false,
        alpn: &[],
    };
    cursor.counted8()?;
    cursor.u16();
    while let Some(extension) = cursor.u16() {
        offer.extensions.push(extension);
        let len = cursor.u16().unwrap_or_default();
        let there = usize::from(len).min(cursor.rest().len());
        let body = cursor.take(there).unwrap_or_default();
        read(extension, body, &mut offer, facts);
    }
    if is_whole {
        fingerprint::ja3(&offer, facts);
        fingerprint::ja4(&offer, carrier, facts);
    }
    Some(())
}

fn read<'a>(extension: u16, body: &'a [u8], offer: &mut Offer<'a>, facts: &mut Facts) {
    let mut cursor = Cursor::new(body);
    match extension {
        SERVER_NAME => {
            offer.has_name = true;
            if let (Some(_), Some(0), Some(name)) = (cursor.u16(), cursor.u8(), cursor.counted16())
            {
                facts.put(Fact::Host, name);
            }
        }
        GROUPS => offer.groups = List::of(cursor.counted16().unwrap_or_default()),
        POINT_FORMATS => offer.formats = cursor.counted8().unwrap_or_default(),
        SIGNATURES => offer.signatures = List::of(cursor.counted16().unwrap_or_default()),
        ALPN => {
            cursor.u16();
            while let Some(id) = cursor.counted8() {
                if offer.alpn.is_empty() {
                    offer.alpn = id;
                }
                facts.put(Fact::Alpn, id);
            }
        }
        VERSIONS => {
            let versions = List::of(cursor.counted8().unwrap_or_default());
            let offered = versions.items().iter().filter(|v| !fingerprint::is_grease(**v));
            // Versions of DTLS count down.
            let rank = |version: &&u16| if **version >> 8 == 0xfe { !**version } else { **version };
            offer.highest = offered.max_by_key(rank).copied().unwrap_or(offer.highest);
        }
        _ if PARAMETERS.contains(&extension) => {
            while let (Some(id), Some(len)) = (cursor.varint(), cursor.varint()) {
                let Some(value) = usize::try_from(len).ok().and_then(|len| cursor.take(len)) else {
                    return;
                };
                if id == USER_AGENT {
                    facts.put(Fact::UserAgent, value);
                }
            }
        }
        ECH | ESNI => facts.put(Fact::Ech, &extension.to_be_bytes()),
        _ if ECH_DRAFTS.contains(&extension) => facts.put(Fact::Ech, &extension.to_be_bytes()),
        _ => {}
    }
}

/// Reads a server hello.
pub(in crate::detect::protocols) fn server(message: &[u8], facts: &mut Facts) -> Option<()> {
    let mut cursor = Cursor::new(message);
    let version = cursor.u16()?;
    cursor.skip(FIXED.saturating_sub(2))?;
    cursor.counted8()?;
    let cipher = cursor.u16()?;
    cursor.u8()?;
    cursor.u16();
    let (mut extensions, mut chosen) = (List::default(), version);
    while let (Some(extension), Some(body)) = (cursor.u16(), cursor.counted16()) {
        extensions.push(extension);
        let mut body = Cursor::new(body);
        match extension {
            VERSIONS => chosen = body.u16().unwrap_or(chosen),
            ALPN => {
                body.u16();
                facts.put(Fact::AlpnServer, body.counted8().unwrap_or_default());
            }
            _ => {}
        }
    }
    facts.put(Fact::TlsVersion, &chosen.to_be_bytes());
    facts.put(Fact::Cipher, &cipher.to_be_bytes());
    fingerprint::ja3s(version, cipher, &extensions, facts);
    Some(())
}

#[cfg(test)]
pub(in crate::detect::protocols) mod tests {
    /// A client hello made by hand: TLS 1.3, reserved values strewn in, a name, two protocols.
    pub(in crate::detect::protocols) const HELLO: &str = "
        0303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2053535353535353
        53535353535353535353535353535353535353535353535353000a2a2a13011303c02b1302010000613a
        3a000000000014001200000f7777772e6578616d706c652e636f6d00170000000a000800064a4a001d00
        17000b00030200010010000e000c02683208687474702f312e31000d0006000404030804002b0007065a
        5a03040303fe0d0003000001";
}
