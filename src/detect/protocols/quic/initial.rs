//! Initial packets are encrypted with keys that whoever sees the connection's first packet can
//! derive (RFC 9001, 5). The tag is not checked: that frames come out of it is proof enough of a
//! name that is believed no more than one in clear text.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;

use super::Long;
use super::crypto::Crypto;
use crate::detect::cursor::Cursor;

/// Octets of a packet that are decrypted; what is beyond is not read.
const MAX_PLAIN: usize = 1_600;

/// Octets of the tag at the end.
const TAG: usize = 16;

/// Salts of the versions (RFC 9001, 5.2; RFC 9369, 3.3.1; the drafts before them).
const V1: [u8; 20] =
    *b"\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
const V2: [u8; 20] =
    *b"\x0d\xed\xe3\xde\xf7\x00\xa6\xdb\x81\x93\x81\xbe\x6e\x26\x9d\xcb\xf9\xbd\x2e\xd9";
const V2_DRAFT: [u8; 20] =
    *b"\xa7\x07\xc2\x03\xa5\x9b\x47\x18\x4a\x1d\x62\xca\x57\x04\x06\xea\x7a\xe3\xe5\xd3";
const DRAFT_22: [u8; 20] =
    *b"\x7f\xbc\xdb\x0e\x7c\x66\xbb\xe9\x19\x3a\x96\xcd\x21\x51\x9e\xbd\x7a\x02\x64\x4a";
const DRAFT_23: [u8; 20] =
    *b"\xc3\xee\xf7\x12\xc7\x2e\xbb\x5a\x11\xa7\xd2\x43\x2b\xb4\x63\x65\xbe\xf9\xf5\x02";
const DRAFT_29: [u8; 20] =
    *b"\xaf\xbf\xec\x28\x99\x93\xd2\x4c\x9e\x97\x86\xf1\x9c\x61\x11\xe0\x43\x90\xa8\x99";
const Q050: [u8; 20] =
    *b"\x50\x45\x74\xef\xd0\x66\xfe\x2f\x9d\x94\x5c\xfc\xdb\xd3\xa7\xf0\xd3\xb5\x6b\x45";
const T050: [u8; 20] =
    *b"\x7f\xf5\x79\xe5\xac\xd0\x72\x91\x55\x80\x30\x4c\x43\xa2\x36\x7c\x60\x48\x83\x10";
const T051: [u8; 20] =
    *b"\x7a\x4e\xde\xf4\xe7\xcc\xee\x5f\xa4\x50\x6c\x19\x12\x4f\xc8\xcc\xda\x6e\x03\x3d";

/// Salts that a version may use.
const fn salts(version: u32) -> &'static [[u8; 20]] {
    match version {
        0x6b33_43cf => &[V2],
        0x709a_50c4 => &[V2_DRAFT],
        0xff00_0016 | 0xface_b001 => &[DRAFT_22],
        0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => &[DRAFT_23],
        0xff00_001d..=0xff00_0020 => &[DRAFT_29],
        0x5130_3530 => &[Q050],
        0x5430_3530 => &[T050],
        0x5430_3531 => &[T051],
        0xface_b000..=0xface_b01f => &[V1, DRAFT_29, DRAFT_23],
        _ => &[V1],
    }
}

/// Reads what the client says in an Initial packet and puts its pieces of the handshake to the
/// others.
pub(super) fn read(long: &Long<'_>, crypto: &mut Crypto) {
    let mut plain = [0_u8; MAX_PLAIN];
    let is_2 = matches!(long.version, 0x6b33_43cf | 0x709a_50c4);
    // Keys go with the id that the client began with; it may have begun again (RFC 9000, 17.2.5).
    let (mut room, begun) = ([0_u8; super::MAX_ID], crypto.id().len());
    for (to, from) in room.iter_mut().zip(crypto.id()) {
        *to = *from;
    }
    let begun = room.get(..begun).unwrap_or_default();
    let another = if long.destination == begun { &[] } else { long.destination };
    for id in [begun, another] {
        if id.is_empty() {
            continue;
        }
        for salt in salts(long.version) {
            let Some(keys) = Keys::derive(salt, id, is_2) else { continue };
            let Some((number, len)) = keys.open(long, &mut plain) else { continue };
            let plain = plain.get(..len).unwrap_or_default();
            let is_cut = number.saturating_add(len).saturating_add(TAG) < long.len;
            let is_google = long.version == 0x5130_3530;
            if is_google || are_frames(plain, is_cut) {
                crypto.begin(id);
                if is_google {
                    crypto.put(0, plain);
                } else {
                    collect(plain, crypto);
                }
                return;
            }
        }
    }
}

struct Keys {
    key: [u8; 16],
    iv: [u8; 12],
    header: [u8; 16],
}

impl Keys {
    fn derive(salt: &[u8], id: &[u8], is_2: bool) -> Option<Self> {
        let (_, initial) = Hkdf::<Sha256>::extract(Some(salt), id);
        let mut secret = [0; 32];
        expand(&initial, b"client in", &mut secret)?;
        let secret = Hkdf::<Sha256>::from_prk(&secret).ok()?;
        let labels: [&[u8]; 3] = if is_2 {
            [b"quicv2 key", b"quicv2 iv", b"quicv2 hp"]
        } else {
            [b"quic key", b"quic iv", b"quic hp"]
        };
        let mut keys = Self { key: [0; 16], iv: [0; 12], header: [0; 16] };
        expand(&secret, labels[0], &mut keys.key)?;
        expand(&secret, labels[1], &mut keys.iv)?;
        expand(&secret, labels[2], &mut keys.header)?;
        Some(keys)
    }

    /// Decrypts a packet; where its payload begins and how much of it was decrypted.
    fn open(&self, long: &Long<'_>, plain: &mut [u8; MAX_PLAIN]) -> Option<(usize, usize)> {
        let sample = long.packet.get(long.number_at.checked_add(4)?..)?.first_chunk::<16>()?;
        let mut mask = Array::from(*sample);
        Aes128::new(&Array::from(self.header)).encrypt_block(&mut mask);
        let mask: [u8; 16] = mask.into();
        let first = long.packet.first()? ^ mask[0] & 0x0f;
        // Bits that are zero when they are in clear.
        if first & 0x0c != 0 {
            return None;
        }
        let number_len = usize::from(first & 3).saturating_add(1);
        let mut number = long.packet.get(long.number_at..)?.first_chunk::<4>().copied()?;
        for (octet, mask) in number.iter_mut().zip(mask.iter().skip(1)) {
            *octet ^= mask;
        }
        let number = u32::from_be_bytes(number) >> (32_usize.checked_sub(number_len << 3)?);
        let from = long.number_at.checked_add(number_len)?;
        let end = long.len.checked_sub(TAG)?.min(long.packet.len());
        let sealed = long.packet.get(from..end)?;

        let mut counter = [0_u8; 16];
        for (to, from) in counter.iter_mut().zip(self.iv) {
            *to = from;
        }
        for (octet, number) in counter.iter_mut().skip(8).zip(number.to_be_bytes()) {
            *octet ^= number;
        }
        let cipher = Aes128::new(&Array::from(self.key));
        // The first block is the tag's (NIST SP 800-38D).
        let blocks = plain.chunks_mut(16).zip(sealed.chunks(16)).zip(2_u32..);
        for ((to, from), n) in blocks {
            let [.., a, b, c, d] = &mut counter;
            [*a, *b, *c, *d] = n.to_be_bytes();
            let mut block = Array::from(counter);
            cipher.encrypt_block(&mut block);
            let key: [u8; 16] = block.into();
            if let (Some(to), Some(from)) = (to.first_chunk_mut(), from.first_chunk()) {
                *to = (u128::from_ne_bytes(*from) ^ u128::from_ne_bytes(key)).to_ne_bytes();
                continue;
            }
            for ((to, from), key) in to.iter_mut().zip(from).zip(key) {
                *to = from ^ key;
            }
        }
        Some((from, sealed.len().min(MAX_PLAIN)))
    }
}

/// HKDF-Expand-Label of RFC 8446, 7.1, without context.
fn expand(secret: &Hkdf<Sha256>, label: &[u8], to: &mut [u8]) -> Option<()> {
    let len = u8::try_from(to.len()).ok()?;
    let label_len = u8::try_from(label.len()).ok()?.checked_add(6)?;
    secret.expand_multi_info(&[&[0, len, label_len], b"tls13 ", label, &[0]], to).ok()
}

/// All of it is frames that such packets have (RFC 9000, 12.4).
fn are_frames(plain: &[u8], is_cut: bool) -> bool {
    let mut cursor = Cursor::new(plain);
    while !cursor.is_empty() {
        match frame(&mut cursor) {
            Some(_) => {}
            None => return is_cut && cursor.rest().len() < plain.len(),
        }
    }
    !plain.is_empty()
}

fn collect(plain: &[u8], crypto: &mut Crypto) {
    let mut cursor = Cursor::new(plain);
    while !cursor.is_empty() {
        match frame(&mut cursor) {
            Some(Some((at, piece))) => crypto.put(at, piece),
            Some(None) => {}
            None => return,
        }
    }
}

/// The next frame: a piece of the handshake with its place, or another.
fn frame<'a>(cursor: &mut Cursor<'a>) -> Option<Option<(usize, &'a [u8])>> {
    match cursor.u8()? {
        // Padding: most of many packets.
        0 => {
            while cursor.rest().starts_with(&[0; 16]) {
                cursor.skip(16)?;
            }
            let run = cursor.rest().iter().take_while(|octet| **octet == 0).count();
            cursor.skip(run)?;
            Some(None)
        }
        1 => Some(None),
        kind @ (2 | 3) => {
            cursor.varint()?;
            cursor.varint()?;
            let ranges = cursor.varint().filter(|ranges| *ranges <= 64)?;
            cursor.varint()?;
            for _ in 0..ranges {
                cursor.varint()?;
                cursor.varint()?;
            }
            if kind == 3 {
                for _ in 0..3 {
                    cursor.varint()?;
                }
            }
            Some(None)
        }
        // Google's versions have it under another number.
        6 | 8 => {
            let at = usize::try_from(cursor.varint()?).ok()?;
            let len = usize::try_from(cursor.varint()?).ok()?;
            Some(Some((at, cursor.take(len)?)))
        }
        0x1c => {
            cursor.varint()?;
            cursor.varint()?;
            let reason = usize::try_from(cursor.varint()?).ok()?;
            cursor.skip(reason)?;
            Some(None)
        }
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use aes::Aes128;
    use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};

    use super::{Keys, V1, V2};
    use crate::detect::testing::hex;

    #[test]
    fn keys_of_both_versions_are_those_of_their_standards() {
        let id = hex("8394c8f03e515708");
        let keys = Keys::derive(&V1, &id, false).unwrap();
        assert_eq!(keys.key.to_vec(), hex("1f369613dd76d5467730efcbe3b1a22d"));
        assert_eq!(keys.iv.to_vec(), hex("fa044b2f42a3fd3b46fb255c"));
        assert_eq!(keys.header.to_vec(), hex("9f50449e04a0e810283a1e9933adedd2"));
        let keys = Keys::derive(&V2, &id, true).unwrap();
        assert_eq!(keys.key.to_vec(), hex("8b1a0bc121284290a29e0971b5cd045d"));
        assert_eq!(keys.iv.to_vec(), hex("91f73e2351d8fa91660e909f"));
        assert_eq!(keys.header.to_vec(), hex("45b95e15235d6f45a6b19cbcb0294ba9"));
    }

    /// An Initial packet with frames, sealed but for its tag, with the keys of an id.
    pub(in super::super) fn sealed(
        id: &[u8],
        keys_of: &[u8],
        number: u8,
        frames: &[u8],
    ) -> Vec<u8> {
        let keys = Keys::derive(&V1, keys_of, false).unwrap();
        let mut packet = vec![0xc0, 0, 0, 0, 1, u8::try_from(id.len()).unwrap()];
        packet.extend(id);
        packet.extend([0, 0]);
        let len = u16::try_from(frames.len().saturating_add(17)).unwrap();
        packet.extend((0x4000 | len).to_be_bytes());
        let number_at = packet.len();
        packet.push(number);
        let cipher = Aes128::new(&Array::from(keys.key));
        for (chunk, n) in frames.chunks(16).zip(2_u32..) {
            let mut counter = [0; 16];
            counter[..12].copy_from_slice(&keys.iv);
            counter[11] ^= number;
            counter[12..].copy_from_slice(&n.to_be_bytes());
            let mut block = Array::from(counter);
            cipher.encrypt_block(&mut block);
            packet.extend(chunk.iter().zip(block).map(|(octet, key)| octet ^ key));
        }
        packet.extend([0x55; 16]);
        let sample: [u8; 16] = packet.split_at(number_at).1[4..20].try_into().unwrap();
        let mut mask = Array::from(sample);
        Aes128::new(&Array::from(keys.header)).encrypt_block(&mut mask);
        packet[0] ^= mask[0] & 0x0f;
        packet[number_at] ^= mask[1];
        packet
    }
}
