//! What is left out of a stream on purpose: all but one packet of so many, those above a rate,
//! and what lies behind the transport header.

use super::order::Thinning;
use crate::core::pace::Pace;
use crate::wire::decode::{Fragment, Packet, Transport};

/// Octets kept of a frame without a datagram when only headers are wanted: all of ARP and
/// spanning tree, little of what is not understood.
const UNREAD: usize = 128;

/// Decides what of the frames of a session goes into its stream.
#[derive(Debug)]
pub(super) struct Thin {
    /// One packet of so many.
    of: u32,
    pace: Option<Pace>,
    /// Only headers are wanted.
    pub(super) headers: bool,
}

impl Thin {
    pub(super) fn new(thinning: Thinning) -> Self {
        Self {
            of: thinning.sample.unwrap_or(1).max(1),
            pace: thinning.rate.map(Pace::new),
            headers: thinning.headers,
        }
    }

    /// Whether a frame stays. `turn` counts the frames of its interface and belongs to it.
    #[inline]
    pub(super) fn keeps(&mut self, turn: &mut u32, nanos: u64) -> bool {
        if self.of > 1 {
            let first = *turn == 0;
            *turn = turn.saturating_add(1);
            if *turn >= self.of {
                *turn = 0;
            }
            if !first {
                return false;
            }
        }
        self.pace.as_mut().is_none_or(|pace| pace.admits(nanos))
    }
}

/// Octets of a frame up to and with the transport header of its innermost datagram. `packet` is
/// what was read of the frame; a fragment that is not the first has nothing behind its IP header.
#[inline]
pub(super) fn header_len(packet: &Packet) -> usize {
    let Some(datagram) = &packet.datagram else { return UNREAD };
    // A header that is cut short or damaged was not read, but is one nevertheless.
    let unread = match (datagram.transport, datagram.fragment, datagram.tuple.proto) {
        (Transport::Other, Fragment::Whole | Fragment::First(_), 6) => 20,
        (Transport::Other, Fragment::Whole | Fragment::First(_), 17 | 136) => 8,
        (Transport::Other, Fragment::Whole | Fragment::First(_), 132) => 12,
        _ => 0,
    };
    usize::try_from(datagram.payload_at).unwrap_or(UNREAD).saturating_add(unread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::link::{LinkType, VlanTag};

    const MACS: [u8; 12] = [2; 12];

    fn ipv4(proto: u8, fragment: [u8; 2], len: u16) -> Vec<u8> {
        let [l0, l1] = len.to_be_bytes();
        let [f0, f1] = fragment;
        vec![0x45, 0, l0, l1, 0, 1, f0, f1, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    }

    fn udp(dport: u16, len: u16) -> Vec<u8> {
        [1_000_u16, dport, len, 0].iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    fn tcp(words: u8) -> Vec<u8> {
        let mut out = vec![0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, words << 4, 0x10, 1, 0, 0, 0, 0, 0];
        out.resize(usize::from(words) * 4, 1);
        out
    }

    fn header_of(vlan: Option<VlanTag>, parts: &[&[u8]]) -> usize {
        let mut packet = Packet::default();
        let _ = packet.decode(LinkType::ETHERNET, vlan, &parts.concat());
        header_len(&packet)
    }

    #[test]
    fn headers_end_behind_the_transport_of_the_innermost_datagram() {
        let payload = [7; 100];
        let len = |transport: usize| u16::try_from(20 + transport + payload.len()).unwrap();
        let plain = ipv4(6, [0, 0], len(20));
        assert_eq!(header_of(None, &[&MACS, &[8, 0], &plain, &tcp(5), &payload]), 54);
        let options = ipv4(6, [0, 0], len(32));
        assert_eq!(header_of(None, &[&MACS, &[8, 0], &options, &tcp(8), &payload]), 66);
        // A tag in the frame counts, one that the kernel took off is not part of it.
        let tag = [0x81, 0, 0, 7, 8, 0];
        assert_eq!(header_of(None, &[&MACS, &tag, &plain, &tcp(5), &payload]), 58);
        let off = Some(VlanTag { tci: 7, tpid: 0x8100 });
        assert_eq!(header_of(off, &[&MACS, &[8, 0], &plain, &tcp(5), &payload]), 54);
        let echo = [8, 0, 0, 0, 0, 1, 0, 1];
        let ping = ipv4(1, [0, 0], len(8));
        assert_eq!(header_of(None, &[&MACS, &[8, 0], &ping, &echo, &payload]), 42);
        // VXLAN: the inner headers are headers, too.
        let inner = [&MACS[..], &[8, 0], &plain, &tcp(5), &payload].concat();
        let carried = u16::try_from(8 + 8 + inner.len()).unwrap();
        let outer = ipv4(17, [0, 0], 20 + carried);
        let vxlan = [8, 0, 0, 0, 0, 0, 9, 0];
        let udp = udp(4_789, carried);
        let frame: [&[u8]; 6] = [&MACS, &[8, 0], &outer, &udp, &vxlan, &inner];
        assert_eq!(header_of(None, &frame), 50 + 54);
    }

    #[test]
    fn fragments_and_extension_headers_are_headers_or_none() {
        let payload = [7; 64];
        let first = ipv4(17, [0x20, 0], 20 + 8 + 64);
        assert_eq!(header_of(None, &[&MACS, &[8, 0], &first, &udp(9, 4_000), &payload]), 42);
        let later = ipv4(17, [0x20, 9], 20 + 64);
        assert_eq!(header_of(None, &[&MACS, &[8, 0], &later, &payload]), 34);
        let mut six = vec![0x60, 0, 0, 0, 0, 8 + 8 + 20 + 64, 0, 64];
        six.extend([1; 32]);
        let hop = [60, 0, 1, 4, 0, 0, 0, 0];
        let destination = [6, 0, 1, 4, 0, 0, 0, 0];
        let frame: [&[u8]; 7] = [&MACS, &[0x86, 0xdd], &six, &hop, &destination, &tcp(5), &payload];
        assert_eq!(header_of(None, &frame), 14 + 40 + 16 + 20);
    }

    #[test]
    fn what_holds_no_datagram_is_cut_at_a_fixed_length() {
        assert_eq!(header_of(None, &[&MACS, &[0x88, 0xcc], &[1; 400]]), UNREAD);
        assert_eq!(header_of(None, &[&MACS, &[8, 0], &[0xff; 400]]), UNREAD);
        assert_eq!(header_of(None, &[&[1; 5]]), UNREAD);
        // Cut within the transport header: what is there stays.
        let cut = ipv4(6, [0, 0], 20 + 20 + 100);
        assert_eq!(header_of(None, &[&MACS, &[8, 0], &cut, &tcp(5)[..12]]), 54);
        assert_eq!(header_of(None, &[&MACS, &[8, 0], &cut, &[0; 120]]), 54);
    }

    #[test]
    fn one_of_so_many_stays_beginning_with_the_first() {
        let mut thin = Thin::new(Thinning { sample: Some(3), ..Thinning::default() });
        let mut turn = 0;
        let kept: Vec<bool> = (0..7).map(|_| thin.keeps(&mut turn, 0)).collect();
        assert_eq!(kept, [true, false, false, true, false, false, true]);
        let mut all = Thin::new(Thinning { sample: Some(0), ..Thinning::default() });
        assert!((0..9).all(|_| all.keeps(&mut turn, 0)));
        let mut rated = Thin::new(Thinning { rate: Some(10), ..Thinning::default() });
        assert_eq!((0..9).filter(|_| rated.keeps(&mut turn, 5)).count(), 1);
    }
}
