//! The short way through what most frames are: an untagged Ethernet header, IPv4 or IPv6 without
//! options or fragments, and in it all of a TCP or UDP header that announces no tunnel.
//!
//! It says what the long way says (a test holds the two against each other) in a fraction of the
//! time. Whatever has something uncommon about it goes the long way from its first byte.

use super::{Datagram, Fragment, Packet, Tcp, Transport, Tuple, ethertype, proto, tunnel};

/// Reads a frame into `packet`, from which the frame before was cleared; `None`, with nothing
/// changed, if it is none of these.
#[inline]
pub(super) fn read(packet: &mut Packet, frame: &[u8]) -> Option<()> {
    let ([d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1], rest) =
        frame.split_first_chunk::<14>()?;
    let kind = u16::from_be_bytes([*t0, *t1]);
    let (tuple, ttl, tos, body, announced) = match kind {
        ethertype::IPV4 => ipv4(rest)?,
        ethertype::IPV6 => ipv6(rest)?,
        _ => return None,
    };
    // Link padding is no payload.
    let body = body.get(..announced).unwrap_or(body);
    let (sport, dport, transport, len, announced) = match tuple.proto {
        proto::TCP => tcp(body, announced)?,
        proto::UDP => udp(body, announced)?,
        _ => return None,
    };
    let captured = body.get(len..)?.len().min(announced);
    let body_at: usize = if kind == ethertype::IPV4 { 14 + 20 } else { 14 + 40 };
    packet.macs = Some(([*d0, *d1, *d2, *d3, *d4, *d5], [*s0, *s1, *s2, *s3, *s4, *s5]));
    packet.ethertype = kind;
    packet.truncated = captured < announced;
    packet.datagram = Some(Datagram {
        tuple: Tuple { sport, dport, ..tuple },
        ttl,
        tos,
        fragment: Fragment::Whole,
        transport,
        payload_at: u32::try_from(body_at.saturating_add(len)).ok()?,
        payload_captured: u32::try_from(captured).ok()?,
        payload_len: u32::try_from(announced).ok()?,
    });
    Some(())
}

/// Addresses and protocol, TTL, type of service, body, and the length announced for it.
type Network<'a> = (Tuple, u8, u8, &'a [u8], usize);

#[inline]
fn ipv4(bytes: &[u8]) -> Option<Network<'_>> {
    let (header, body) = bytes.split_first_chunk::<20>()?;
    let [first, tos, l0, l1, _, _, f0, f1, ttl, proto, _, _, source @ .., w, x, y, z] = *header;
    // Five words; neither an offset nor more fragments.
    if first != 0x45 || [f0 & 0x3f, f1] != [0, 0] {
        return None;
    }
    let announced = usize::from(u16::from_be_bytes([l0, l1])).checked_sub(20)?;
    let (src, dst) = (super::network::widen(source), super::network::widen([w, x, y, z]));
    Some((Tuple { version: 4, proto, src, dst, sport: 0, dport: 0 }, ttl, tos, body, announced))
}

#[inline]
fn ipv6(bytes: &[u8]) -> Option<Network<'_>> {
    let (header, body) = bytes.split_first_chunk::<40>()?;
    let [v0, v1, _, _, l0, l1, proto, ttl, ..] = *header;
    let src = *header.get(8..)?.first_chunk()?;
    let dst = *header.get(24..)?.first_chunk()?;
    if v0 >> 4 != 6 {
        return None;
    }
    let announced = usize::from(u16::from_be_bytes([l0, l1]));
    // A jumbogram, or offloaded segmentation.
    if announced == 0 {
        return None;
    }
    let tos = v0 << 4 | v1 >> 4;
    Some((Tuple { version: 6, proto, src, dst, sport: 0, dport: 0 }, ttl, tos, body, announced))
}

/// Ports, facts, length of the header, and the length announced for the payload.
type Segment = (u16, u16, Transport, usize, usize);

#[inline]
fn tcp(body: &[u8], announced: usize) -> Option<Segment> {
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, ..] =
        *body.first_chunk::<20>()?;
    let len = usize::from(offset >> 4).saturating_mul(4);
    if len < 20 {
        return None;
    }
    let facts = Tcp {
        seq: u32::from_be_bytes([q0, q1, q2, q3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags,
        window: u16::from_be_bytes([w0, w1]),
    };
    let (sport, dport) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    Some((sport, dport, Transport::Tcp(facts), len, announced.checked_sub(len)?))
}

#[inline]
fn udp(body: &[u8], announced: usize) -> Option<Segment> {
    let [s0, s1, d0, d1, l0, l1, _, _] = *body.first_chunk::<8>()?;
    let (sport, dport) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    if len < 8 || len > announced || tunnel::is_port(sport, dport) {
        return None;
    }
    Some((sport, dport, Transport::Udp, 8, len.saturating_sub(8)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::link::LinkType;

    /// Four frames: TCP and UDP over IPv4 and IPv6, with padding behind some.
    fn frames() -> [Vec<u8>; 4] {
        let ethernet = |kind: [u8; 2]| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &kind[..]].concat();
        let v4 = |proto, len| {
            let addresses = [10, 0, 0, 1, 192, 0, 2, 7];
            let header = [0x45, 0x28, 0, len, 0, 9, 0x40, 0, 64, proto, 0, 0];
            [ethernet([8, 0]), header.to_vec(), addresses.to_vec()].concat()
        };
        let v6 = |proto, len| {
            let header = [0x6b, 0xc0, 0, 0, 0, len, proto, 61];
            let addresses: Vec<u8> = (1..=32).collect();
            [ethernet([0x86, 0xdd]), header.to_vec(), addresses].concat()
        };
        let tcp = [
            &[0xc0, 1, 1, 0xbb, 1, 2, 3, 4, 5, 6, 7, 8, 0x60, 0x18, 2, 0, 0, 0, 0, 0][..],
            &[1, 1, 1, 0, 7, 7, 7],
        ]
        .concat();
        let udp = [0xc0, 1, 0, 53, 0, 13, 0, 0, 1, 2, 3, 4, 5];
        [
            [v4(6, 47), tcp.clone(), vec![0; 6]].concat(),
            [v4(17, 33), udp.to_vec(), vec![0; 13]].concat(),
            [v6(6, 27), tcp].concat(),
            [v6(17, 13), udp.to_vec(), vec![0; 3]].concat(),
        ]
    }

    /// Whether the frame went the short way, after a comparison with the long one.
    #[track_caller]
    fn agrees(frame: &[u8]) -> bool {
        let (mut short, mut long) = (Packet::default(), Packet::default());
        let went = read(&mut short, frame).is_some();
        let result = long.walk(LinkType::ETHERNET, None, frame);
        if went {
            assert_eq!((format!("{short:?}"), Ok(())), (format!("{long:?}"), result), "{frame:x?}");
        } else {
            let nothing = Packet::default();
            assert_eq!(format!("{short:?}"), format!("{nothing:?}"), "{frame:x?}");
        }
        went
    }

    #[test]
    fn both_ways_say_the_same_of_plain_frames_cut_anywhere() {
        for frame in frames() {
            assert!(agrees(&frame), "{frame:x?}");
            for cut in 0..frame.len() {
                agrees(&frame[..cut]);
            }
        }
    }

    #[test]
    fn both_ways_say_the_same_whatever_a_byte_is() {
        for frame in frames() {
            for at in 0..frame.len() {
                for value in 0..=u8::MAX {
                    let mut changed = frame.clone();
                    changed[at] = value;
                    agrees(&changed);
                }
            }
        }
    }

    #[test]
    fn tunnels_go_the_long_way() {
        for port in [4789_u16, 8472, 6081, 2152] {
            let mut frame = frames()[1].clone();
            frame[36..38].copy_from_slice(&port.to_be_bytes());
            assert!(!agrees(&frame), "{port}");
        }
    }

    proptest::proptest! {
        #[test]
        fn both_ways_say_the_same_of_damaged_frames(
            which in 0_usize..4,
            changes in proptest::collection::vec((0_usize..90, proptest::num::u8::ANY), 0..6),
            cut in 0_usize..100,
        ) {
            let mut frame = frames()[which].clone();
            for (at, value) in changes {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            frame.truncate(cut.max(20));
            agrees(&frame);
        }
    }
}
