//! Writes the blocks of a live capture: section, interfaces, packets, names and statistics
//! (draft-ietf-opsawg-pcapng), little-endian on every machine, stamps in nanoseconds.
//!
//! Everything is appended to a buffer of the caller's, a packet without allocating once that
//! buffer has grown.

use std::net::IpAddr;

use super::block;
use crate::wire::link::{LinkType, VlanTag};

/// Name resolution block.
pub const NAMES: u32 = 0x0000_0004;

/// Interface statistics block.
pub const STATISTICS: u32 = 0x0000_0005;

/// Longest text of an option, in octets: what is longer is cut between characters.
pub const MAX_TEXT: usize = 8 * 1024;

/// Bits of the flags of a packet (option `epb_flags`).
pub mod flag {
    /// Received.
    pub const INBOUND: u32 = 1;
    /// Sent.
    pub const OUTBOUND: u32 = 2;
    /// Addressed to this machine alone.
    pub const UNICAST: u32 = 1 << 2;
    /// To a group.
    pub const MULTICAST: u32 = 2 << 2;
    /// To everybody.
    pub const BROADCAST: u32 = 3 << 2;
    /// To another machine.
    pub const PROMISCUOUS: u32 = 4 << 2;
    /// The card was to fill in the checksum.
    pub const CHECKSUM_NOT_READY: u32 = 1 << 9;
    /// The checksum was found right.
    pub const CHECKSUM_VALID: u32 = 1 << 10;
}

/// What is said of a section.
#[derive(Clone, Copy, Debug, Default)]
pub struct Section<'a> {
    /// The first option, which clients look for.
    pub comment: &'a str,
    /// The machine.
    pub hardware: &'a str,
    /// Its operating system.
    pub os: &'a str,
    /// The program that writes.
    pub application: &'a str,
}

/// What is said of an interface. Empty texts are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Interface<'a> {
    /// How its packets begin; Ethernet if there is none.
    pub link: Option<LinkType>,
    /// Octets kept of each packet, 0 for all.
    pub snaplen: u32,
    /// Its name.
    pub name: &'a str,
    /// Where it is, for people.
    pub description: &'a str,
    /// What else is to be known of it.
    pub comment: &'a str,
    /// Its addresses with the lengths of their prefixes.
    pub addresses: &'a [(IpAddr, u8)],
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// Bits per second, 0 if unknown.
    pub speed: u64,
    /// The filter in the language of libpcap.
    pub filter: &'a str,
    /// The operating system that it is of.
    pub os: &'a str,
    /// What it is made of.
    pub hardware: &'a str,
}

/// A packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Position of its interface in the section.
    pub interface: u32,
    /// Nanoseconds since 1970.
    pub nanos: u64,
    /// What comes before `data`, such as a header made for it.
    pub prefix: &'a [u8],
    /// The captured octets.
    pub data: &'a [u8],
    /// A tag to be put back behind the hardware addresses of `data`.
    pub vlan: Option<VlanTag>,
    /// Octets there were on the wire, prefix and tag included.
    pub wire_len: u32,
    /// See [`flag`].
    pub flags: u32,
    /// Packets lost on this interface since the one before.
    pub lost: u64,
    /// A remark.
    pub comment: &'a str,
}

impl Packet<'_> {
    /// Octets that are written of it: a tag is put back where there are addresses before it.
    #[must_use]
    #[inline]
    pub const fn captured(&self) -> usize {
        let tag = if self.vlan.is_some() && self.data.len() >= 12 { 4 } else { 0 };
        self.prefix.len().saturating_add(self.data.len()).saturating_add(tag)
    }
}

/// Counters of an interface since it was opened. What is unknown is left out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statistics<'a> {
    /// When it was opened, in nanoseconds since 1970.
    pub start: u64,
    /// When it was closed.
    pub end: Option<u64>,
    /// Packets that arrived.
    pub received: Option<u64>,
    /// Packets that the card or its driver lost.
    pub lost_by_card: Option<u64>,
    /// Packets that passed the filter.
    pub accepted: Option<u64>,
    /// Packets that the operating system lost.
    pub lost_by_system: Option<u64>,
    /// Packets that reached the reader of the stream.
    pub delivered: Option<u64>,
    /// A remark, such as why it was closed.
    pub comment: &'a str,
}

/// Appends a section header block, of unknown length.
pub fn section(out: &mut Vec<u8>, section: &Section<'_>) {
    block(out, block::SECTION, |out| {
        out.extend_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        out.extend_from_slice(&[1, 0, 0, 0]);
        out.extend_from_slice(&(-1_i64).to_le_bytes());
        text(out, 1, section.comment);
        text(out, 2, section.hardware);
        text(out, 3, section.os);
        text(out, 4, section.application);
        end_of_options(out);
    });
}

/// Appends an interface description block.
pub fn interface(out: &mut Vec<u8>, interface: &Interface<'_>) {
    block(out, block::INTERFACE, |out| {
        let LinkType(link) = interface.link.unwrap_or(LinkType::ETHERNET);
        out.extend_from_slice(&link.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&interface.snaplen.to_le_bytes());
        text(out, 1, interface.comment);
        text(out, 2, interface.name);
        text(out, 3, interface.description);
        for (address, prefix) in interface.addresses {
            match address {
                IpAddr::V4(ip) => {
                    let shift = 32_u32.saturating_sub(u32::from(*prefix));
                    let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                    let mut value = [0; 8];
                    let (head, tail) = value.split_at_mut(4);
                    head.copy_from_slice(&ip.octets());
                    tail.copy_from_slice(&mask.to_be_bytes());
                    option(out, 4, &value);
                }
                IpAddr::V6(ip) => {
                    let mut value = [0; 17];
                    let (head, tail) = value.split_at_mut(16);
                    head.copy_from_slice(&ip.octets());
                    tail.fill(*prefix);
                    option(out, 5, &value);
                }
            }
        }
        if let Some(mac) = interface.mac {
            option(out, 6, &mac);
        }
        if interface.speed > 0 {
            option(out, 8, &interface.speed.to_le_bytes());
        }
        // Nanoseconds.
        option(out, 9, &[9]);
        if !interface.filter.is_empty() {
            let mut value = vec![0];
            value.extend_from_slice(clip(interface.filter).as_bytes());
            option(out, 11, &value);
        }
        text(out, 12, interface.os);
        text(out, 15, interface.hardware);
        end_of_options(out);
    });
}

/// Appends an enhanced packet block.
#[inline]
pub fn packet(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let Packet { prefix, data, .. } = *packet;
    let captured = packet.captured();
    let padding = captured.wrapping_neg() & 3;
    let begin = out.len();
    let head: [u32; 7] = [
        block::ENHANCED_PACKET,
        0,
        packet.interface,
        (packet.nanos >> 32) as u32,
        (packet.nanos & 0xffff_ffff) as u32,
        u32::try_from(captured).unwrap_or(u32::MAX),
        packet.wire_len,
    ];
    let mut bytes = [0_u8; 28];
    for (to, word) in bytes.chunks_exact_mut(4).zip(head) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&bytes);
    out.extend_from_slice(prefix);
    match packet.vlan {
        None => out.extend_from_slice(data),
        Some(vlan) => vlan.append(data, out),
    }
    out.extend_from_slice([0; 4].get(..padding).unwrap_or_default());
    let mut options = false;
    if packet.flags != 0 {
        option(out, 2, &packet.flags.to_le_bytes());
        options = true;
    }
    if packet.lost > 0 {
        option(out, 4, &packet.lost.to_le_bytes());
        options = true;
    }
    if !packet.comment.is_empty() {
        text(out, 1, packet.comment);
        options = true;
    }
    if options {
        end_of_options(out);
    }
    close(out, begin);
}

/// Appends a name resolution block; nothing if there are no names.
pub fn names<'a>(out: &mut Vec<u8>, names: impl Iterator<Item = (IpAddr, &'a str)>) {
    let begin = out.len();
    block(out, NAMES, |out| {
        for (address, name) in names {
            let name: Vec<u8> = clip(name).bytes().take_while(|b| *b != 0).collect();
            if name.is_empty() {
                continue;
            }
            let (kind, mut value) = match address {
                IpAddr::V4(ip) => (1, ip.octets().to_vec()),
                IpAddr::V6(ip) => (2, ip.octets().to_vec()),
            };
            value.extend_from_slice(&name);
            value.push(0);
            // Records look like options.
            option(out, kind, &value);
        }
        end_of_options(out);
    });
    // Type, length, the end of the records, and length again.
    if out.len().saturating_sub(begin) <= 16 {
        out.truncate(begin);
    }
}

/// Appends an interface statistics block, as of `now` in nanoseconds since 1970.
pub fn statistics(out: &mut Vec<u8>, interface: u32, now: u64, statistics: &Statistics<'_>) {
    block(out, STATISTICS, |out| {
        out.extend_from_slice(&interface.to_le_bytes());
        out.extend_from_slice(&moment(now));
        option(out, 2, &moment(statistics.start));
        if let Some(end) = statistics.end {
            option(out, 3, &moment(end));
        }
        for (code, value) in [
            (4, statistics.received),
            (5, statistics.lost_by_card),
            (6, statistics.accepted),
            (7, statistics.lost_by_system),
            (8, statistics.delivered),
        ] {
            if let Some(value) = value {
                option(out, code, &value.to_le_bytes());
            }
        }
        text(out, 1, statistics.comment);
        end_of_options(out);
    });
}

/// A moment as two words, the higher first.
fn moment(nanos: u64) -> [u8; 8] {
    nanos.rotate_left(32).to_le_bytes()
}

fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    close(out, begin);
}

/// Ends the block that begins at `begin`, now that its length is known.
#[inline]
fn close(out: &mut Vec<u8>, begin: usize) {
    let length = out.len().saturating_sub(begin).saturating_add(4);
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let at = begin.saturating_add(4);
    if let Some(place) = out.get_mut(at..at.saturating_add(4)) {
        place.copy_from_slice(&length);
    }
    out.extend_from_slice(&length);
}

fn text(out: &mut Vec<u8>, code: u16, value: &str) {
    if !value.is_empty() {
        option(out, code, clip(value).as_bytes());
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let value = value.get(..usize::from(length)).unwrap_or(value);
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(value);
    let padding = value.len().wrapping_neg() & 3;
    out.extend_from_slice([0; 4].get(..padding).unwrap_or_default());
}

fn end_of_options(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; 4]);
}

fn clip(text: &str) -> &str {
    // A character has at most four octets.
    let ends = (0..4).map(|back| MAX_TEXT.saturating_sub(back));
    ends.filter(|_| text.len() > MAX_TEXT).find_map(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Vec<u32> {
        bytes.chunks_exact(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    #[test]
    fn the_smallest_stream_is_as_printed() {
        let mut out = Vec::new();
        section(&mut out, &Section::default());
        // As in the document, but for the end of the options.
        assert_eq!(words(&out), [0x0a0d_0d0a, 32, 0x1a2b_3c4d, 1, u32::MAX, u32::MAX, 0, 32]);
        out.clear();
        let a0 = Interface { snaplen: 262_144, name: "a0", ..Interface::default() };
        interface(&mut out, &a0);
        assert_eq!(words(&out), [1, 40, 1, 0x0004_0000, 0x2_0002, 0x3061, 0x1_0009, 9, 0, 40]);
    }

    #[test]
    fn a_packet_is_padded_and_a_tag_put_back() {
        let mut out = Vec::new();
        let data: Vec<u8> = (0..15).collect();
        let vlan = Some(VlanTag { tci: 0x2005, tpid: 0x88a8 });
        packet(
            &mut out,
            &Packet {
                interface: 3,
                nanos: 0x0102_0304_0506_0708,
                prefix: &[],
                data: &data,
                vlan,
                wire_len: 64,
                flags: flag::INBOUND | flag::UNICAST,
                lost: 7,
                comment: "",
            },
        );
        assert_eq!(out.len() % 4, 0);
        let all = words(&out);
        assert_eq!(all[..7], [6, out.len() as u32, 3, 0x0102_0304, 0x0506_0708, 19, 64]);
        assert_eq!(out[40..44], [0x88, 0xa8, 0x20, 5]);
        assert_eq!(out[47..48], [0]);
        assert_eq!(all[12..], [0x4_0002, 5, 0x8_0004, 7, 0, 0, out.len() as u32]);
    }

    #[test]
    fn names_that_are_none_leave_no_block() {
        let mut out = Vec::new();
        let ip = IpAddr::from([192, 0, 2, 1]);
        names(&mut out, [(ip, ""), (ip, "\0x")].into_iter());
        assert!(out.is_empty());
        names(&mut out, [(ip, "a.example")].into_iter());
        assert_eq!(&out[8..26], b"\x01\0\x0e\0\xc0\0\x02\x01a.example\0");
        assert_eq!(words(&out)[1] as usize, out.len());
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut out = Vec::new();
        let long = "ä".repeat(MAX_TEXT);
        section(&mut out, &Section { comment: &long, ..Section::default() });
        assert_eq!(words(&out)[6], (MAX_TEXT as u32) << 16 | 1);
    }
}
