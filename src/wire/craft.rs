//! Ethernet frames made to be sent: ICMP and ICMPv6 echo requests (RFC 792, 4443), TCP (RFC 9293)
//! and UDP (RFC 768) over IPv4 and IPv6, with their checksums.

use std::net::IpAddr;

/// The most bytes of payload that a frame is made for.
pub const MAX_PAYLOAD: usize = 9_000;

/// A packet to be made.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Who sends it.
    pub src_mac: [u8; 6],
    /// Who gets it, or who passes it on.
    pub dst_mac: [u8; 6],
    /// Source address.
    pub src: IpAddr,
    /// Destination address, of the same family.
    pub dst: IpAddr,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// What is above IP.
    pub body: Body,
    /// What is above that.
    pub payload: &'a [u8],
}

/// The layer above IP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    /// An echo request of the address family.
    Echo {
        /// Tells who asks.
        id: u16,
        /// Tells the requests apart.
        sequence: u16,
    },
    /// A segment that asks for a connection.
    Tcp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// Initial sequence number.
        sequence: u32,
    },
    /// A datagram.
    Udp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
}

/// Why a packet can't be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// The addresses are of different families.
    Family,
    /// More payload than [`MAX_PAYLOAD`].
    TooLong,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Family => "source and destination are not of the same address family",
            Self::TooLong => "too much payload",
        })
    }
}

impl std::error::Error for Error {}

impl Packet<'_> {
    /// Writes the frame into `out`, replacing what was there.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.payload.len() > MAX_PAYLOAD {
            return Err(Error::TooLong);
        }
        out.clear();
        out.extend_from_slice(&self.dst_mac);
        out.extend_from_slice(&self.src_mac);
        let len = self.body.header_len().saturating_add(self.payload.len());
        let len = u16::try_from(len).map_err(|_| Error::TooLong)?;
        let v6 = self.src.is_ipv6();
        let protocol = self.body.protocol(v6);
        // What checksums cover beside the message itself.
        let mut sum = Sum::default();
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                out.extend_from_slice(&[0x08, 0x00]);
                let header = self.ipv4(protocol, len, src.octets(), dst.octets());
                out.extend_from_slice(&header);
                sum.add(&src.octets());
                sum.add(&dst.octets());
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                out.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0]);
                out.extend_from_slice(&len.to_be_bytes());
                out.extend_from_slice(&[protocol, self.ttl]);
                for address in [src.octets(), dst.octets()] {
                    out.extend_from_slice(&address);
                    sum.add(&address);
                }
            }
            _ => return Err(Error::Family),
        }
        sum.add(&u16::from(protocol).to_be_bytes());
        sum.add(&len.to_be_bytes());
        if matches!(self.body, Body::Echo { .. }) && !v6 {
            // ICMP alone has no pseudo-header.
            sum = Sum::default();
        }
        let (mut header, header_len) = self.body.header(v6, len);
        let header = header.get_mut(..header_len).unwrap_or_default();
        sum.add(header);
        sum.add(self.payload);
        let mut checksum = sum.checksum();
        if let (Body::Udp { .. }, [0, 0]) = (self.body, checksum) {
            // Zero would mean that there is none.
            checksum = [0xff, 0xff];
        }
        let place = self.body.checksum_at();
        for (to, from) in header.iter_mut().skip(place).zip(checksum) {
            *to = from;
        }
        out.extend_from_slice(header);
        out.extend_from_slice(self.payload);
        Ok(())
    }

    fn ipv4(&self, protocol: u8, len: u16, src: [u8; 4], dst: [u8; 4]) -> [u8; 20] {
        let [l0, l1] = len.saturating_add(20).to_be_bytes();
        let [i0, i1] = self.body.identification().to_be_bytes();
        let [s0, s1, s2, s3] = src;
        let [d0, d1, d2, d3] = dst;
        let with = |[c0, c1]: [u8; 2]| {
            [
                0x45, 0, l0, l1, i0, i1, 0, 0, self.ttl, protocol, c0, c1, s0, s1, s2, s3, d0, d1,
                d2, d3,
            ]
        };
        let mut sum = Sum::default();
        sum.add(&with([0, 0]));
        with(sum.checksum())
    }
}

impl Body {
    const fn protocol(self, v6: bool) -> u8 {
        match self {
            Self::Echo { .. } if v6 => 58,
            Self::Echo { .. } => 1,
            Self::Tcp { .. } => 6,
            Self::Udp { .. } => 17,
        }
    }

    const fn header_len(self) -> usize {
        match self {
            Self::Echo { .. } | Self::Udp { .. } => 8,
            Self::Tcp { .. } => 20,
        }
    }

    const fn checksum_at(self) -> usize {
        match self {
            Self::Echo { .. } => 2,
            Self::Tcp { .. } => 16,
            Self::Udp { .. } => 6,
        }
    }

    /// Packets of one series shall not be taken for fragments of each other.
    const fn identification(self) -> u16 {
        match self {
            Self::Echo { sequence, .. } => sequence,
            Self::Tcp { sequence, .. } => (sequence & 0xffff) as u16,
            Self::Udp { .. } => 0,
        }
    }

    /// The header without its checksum, and its length.
    fn header(self, v6: bool, len: u16) -> ([u8; 20], usize) {
        let mut header = [0; 20];
        let mut place = header.iter_mut();
        let mut put = |bytes: &[u8]| {
            // Writing goes on where the last call ended.
            for (to, from) in place.by_ref().zip(bytes) {
                *to = *from;
            }
        };
        match self {
            Self::Echo { id, sequence } => {
                let ([i0, i1], [s0, s1]) = (id.to_be_bytes(), sequence.to_be_bytes());
                put(&[if v6 { 128 } else { 8 }, 0, 0, 0, i0, i1, s0, s1]);
            }
            Self::Tcp { sport, dport, sequence } => {
                let ([s0, s1], [d0, d1]) = (sport.to_be_bytes(), dport.to_be_bytes());
                let [q0, q1, q2, q3] = sequence.to_be_bytes();
                // Five words, SYN, a window of 64 KiB.
                put(&[
                    s0, s1, d0, d1, q0, q1, q2, q3, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0,
                ]);
            }
            Self::Udp { sport, dport } => {
                let ([s0, s1], [d0, d1]) = (sport.to_be_bytes(), dport.to_be_bytes());
                let [l0, l1] = len.to_be_bytes();
                put(&[s0, s1, d0, d1, l0, l1, 0, 0]);
            }
        }
        (header, self.header_len())
    }
}

/// The sum of 16-bit words that checksums of IP are made from (RFC 1071). Pieces have an even
/// length, but for the last one.
#[derive(Clone, Copy, Debug, Default)]
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks(2) {
            let word = match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                [high] => u16::from_be_bytes([*high, 0]),
                _ => 0,
            };
            self.0 = self.0.saturating_add(word.into());
        }
    }

    const fn checksum(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff).saturating_add(sum >> 16);
        }
        (!(sum as u16)).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketHeaders, TransportHeader};

    use super::*;
    use crate::wire::decode;
    use crate::wire::link::LinkType;

    fn packet(v6: bool, body: Body, payload: &[u8]) -> Packet<'_> {
        let (src, dst) = if v6 { ("2001:db8::1", "2001:db8::2") } else { ("10.0.0.1", "10.0.0.2") };
        Packet {
            src_mac: [2, 0, 0, 0, 0, 1],
            dst_mac: [2, 0, 0, 0, 0, 2],
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            ttl: 63,
            body,
            payload,
        }
    }

    const BODIES: [Body; 3] = [
        Body::Echo { id: 7, sequence: 3 },
        Body::Tcp { sport: 1_000, dport: 80, sequence: 0x0102_0304 },
        Body::Udp { sport: 1_000, dport: 53 },
    ];

    #[test]
    fn what_is_made_is_read_back() {
        for v6 in [false, true] {
            for body in BODIES {
                let mut frame = Vec::new();
                packet(v6, body, b"hello").write(&mut frame).unwrap();
                let mut read = decode::Packet::default();
                read.decode(LinkType::ETHERNET, None, &frame).unwrap();
                let datagram = read.datagram.unwrap();
                assert_eq!(read.macs, Some(([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])));
                assert_eq!((datagram.ttl, read.payload(&frame)), (63, &b"hello"[..]));
                assert!(!read.truncated);
                let ports = (datagram.tuple.sport, datagram.tuple.dport);
                match (body, datagram.transport) {
                    (Body::Echo { .. }, decode::Transport::Icmp { kind, code: 0 }) => {
                        assert_eq!(kind, if v6 { 128 } else { 8 });
                        assert_eq!(frame[frame.len() - 9..frame.len() - 5], [0, 7, 0, 3]);
                    }
                    (Body::Tcp { .. }, decode::Transport::Tcp(tcp)) => {
                        assert_eq!((ports, tcp.seq, tcp.flags), ((1_000, 80), 0x0102_0304, 2));
                    }
                    (Body::Udp { .. }, decode::Transport::Udp) => assert_eq!(ports, (1_000, 53)),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn checksums_are_those_that_another_implementation_computes() {
        for v6 in [false, true] {
            for body in BODIES {
                for payload in [&b""[..], b"x", b"hello!", &[0xff; 999]] {
                    let mut frame = Vec::new();
                    packet(v6, body, payload).write(&mut frame).unwrap();
                    let headers = PacketHeaders::from_ethernet_slice(&frame).unwrap();
                    let net = headers.net.unwrap();
                    let (expected, found) = match (headers.transport.unwrap(), &net) {
                        (TransportHeader::Tcp(tcp), etherparse::NetHeaders::Ipv4(ip, _)) => {
                            (tcp.calc_checksum_ipv4(ip, payload).unwrap(), tcp.checksum)
                        }
                        (TransportHeader::Tcp(tcp), etherparse::NetHeaders::Ipv6(ip, _)) => {
                            (tcp.calc_checksum_ipv6(ip, payload).unwrap(), tcp.checksum)
                        }
                        (TransportHeader::Udp(udp), etherparse::NetHeaders::Ipv4(ip, _)) => {
                            (udp.calc_checksum_ipv4(ip, payload).unwrap(), udp.checksum)
                        }
                        (TransportHeader::Udp(udp), etherparse::NetHeaders::Ipv6(ip, _)) => {
                            (udp.calc_checksum_ipv6(ip, payload).unwrap(), udp.checksum)
                        }
                        (TransportHeader::Icmpv4(icmp), _) => {
                            (icmp.icmp_type.calc_checksum(payload), icmp.checksum)
                        }
                        (TransportHeader::Icmpv6(icmp), etherparse::NetHeaders::Ipv6(ip, _)) => (
                            icmp.icmp_type
                                .calc_checksum(ip.source, ip.destination, payload)
                                .unwrap(),
                            icmp.checksum,
                        ),
                        other => panic!("{other:?}"),
                    };
                    assert_eq!(expected, found, "{body:?} {}", payload.len());
                    if let etherparse::NetHeaders::Ipv4(ip, _) = net {
                        assert_eq!(ip.calc_header_checksum(), ip.header_checksum);
                    }
                }
            }
        }
    }

    #[test]
    fn what_can_not_be_sent_is_refused() {
        let mut frame = Vec::new();
        let mixed = Packet { src: "::1".parse().unwrap(), ..packet(false, BODIES[2], b"") };
        assert_eq!(mixed.write(&mut frame), Err(Error::Family));
        let long = vec![0; MAX_PAYLOAD + 1];
        assert_eq!(packet(false, BODIES[2], &long).write(&mut frame), Err(Error::TooLong));
    }
}
