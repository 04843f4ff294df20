//! The network and transport layer: IPv4 (RFC 791), IPv6 (RFC 8200), ARP (RFC 826) and the
//! headers behind them.

use etherparse::err::{ipv4, ipv6};
use etherparse::{
    ArpHardwareId, ArpPacketSlice, EtherType, IpAuthHeaderSlice, Ipv4HeaderSlice,
    Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, UdpHeaderSlice,
};

use super::span::Span;
use super::{Arp, Datagram, Fragment, MAX_EXTENSIONS, Stop, Tcp, Transport, proto};

/// Finds an IPv4 header and what it carries.
///
/// With `lax` (no datagram around it has vouched for anything) a total length below that of the
/// header costs the transport layer, otherwise it means that this is no IPv4.
#[inline]
pub(super) fn open_ipv4(
    span: Span<'_>,
    lax: bool,
) -> Result<(Ipv4HeaderSlice<'_>, Span<'_>), Stop> {
    let header = Ipv4HeaderSlice::from_slice(span.bytes).map_err(|error| match error {
        ipv4::HeaderSliceError::Len(error) => span.lack(error.required_len),
        ipv4::HeaderSliceError::Content(_) => Stop::Malformed,
    })?;
    let len = header.slice().len();
    let total = usize::from(header.total_len());
    let whole = match total {
        // Segmentation offload leaves the field empty when the datagram exceeds 64 KiB.
        0 if span.open => span,
        _ if total >= len => span.limit(total)?,
        _ if lax => span.limit(len)?,
        _ => return Err(Stop::Malformed),
    };
    Ok((header, whole.skip(len)?))
}

/// Describes the datagram of an IPv4 header, and returns the payload of its transport.
// Written field by field in place: putting a datagram together and copying it costs as much as
// reading it.
#[inline]
pub(super) fn describe_ipv4<'a>(
    datagram: &mut Datagram,
    header: &Ipv4HeaderSlice<'_>,
    mut body: Span<'a>,
) -> Span<'a> {
    datagram.tuple.version = 4;
    datagram.tuple.proto = header.protocol().0;
    datagram.tuple.src = widen(header.source());
    datagram.tuple.dst = widen(header.destination());
    datagram.ttl = header.ttl();
    datagram.tos = header.slice().get(1).copied().unwrap_or(0);
    let id = u32::from(header.identification());
    datagram.fragment = match (header.fragments_offset().value(), header.more_fragments()) {
        (0, false) => Fragment::Whole,
        (0, true) => Fragment::First(id),
        (_, _) => Fragment::Later(id),
    };
    body.open |= matches!(datagram.fragment, Fragment::First(_));
    transport(datagram, body)
}

/// Finds an IPv6 header and what it carries.
#[inline]
pub(super) fn open_ipv6(span: Span<'_>) -> Result<(Ipv6HeaderSlice<'_>, Span<'_>), Stop> {
    let header = Ipv6HeaderSlice::from_slice(span.bytes).map_err(|error| match error {
        ipv6::HeaderSliceError::Len(error) => span.lack(error.required_len),
        ipv6::HeaderSliceError::Content(_) => Stop::Malformed,
    })?;
    let rest = span.skip(header.slice().len())?;
    let body = match header.payload_length() {
        // A jumbogram (RFC 2675), or offloaded segmentation: whatever is there.
        0 => rest,
        len => rest.limit(usize::from(len))?,
    };
    Ok((header, body))
}

/// Describes the datagram of an IPv6 header, and returns the payload of its transport, with
/// whether there were more extension headers than are followed.
#[inline]
pub(super) fn describe_ipv6<'a>(
    datagram: &mut Datagram,
    header: &Ipv6HeaderSlice<'_>,
    mut body: Span<'a>,
) -> (Span<'a>, bool) {
    datagram.tuple.version = 6;
    datagram.tuple.proto = header.next_header().0;
    datagram.tuple.src = header.source();
    datagram.tuple.dst = header.destination();
    datagram.ttl = header.hop_limit();
    datagram.tos = header.traffic_class();
    match extensions(datagram, &mut body) {
        Extensions::Read => (transport(datagram, body), false),
        Extensions::Cut => (describe_payload(datagram, body), false),
        Extensions::TooMany => (describe_payload(datagram, body), true),
    }
}

#[derive(Eq, PartialEq)]
enum Extensions {
    Read,
    Cut,
    TooMany,
}

/// Walks the extension headers; `proto` of the datagram and `body` are left at the first header
/// that is not one, or that can't be read.
#[inline]
fn extensions(datagram: &mut Datagram, body: &mut Span<'_>) -> Extensions {
    for _ in 0..=MAX_EXTENSIONS {
        let (next, len) = match datagram.tuple.proto {
            proto::HOP_BY_HOP | proto::ROUTING | proto::DESTINATION => {
                let Ok(header) = Ipv6RawExtHeaderSlice::from_slice(body.bytes) else {
                    return Extensions::Cut;
                };
                (header.next_header(), header.slice().len())
            }
            proto::FRAGMENT => {
                let Ok(header) = Ipv6FragmentHeaderSlice::from_slice(body.bytes) else {
                    return Extensions::Cut;
                };
                let id = header.identification();
                let offset = header.fragment_offset().value();
                datagram.fragment = match (offset, header.more_fragments()) {
                    (0, false) => Fragment::Whole,
                    (0, true) => Fragment::First(id),
                    (_, _) => Fragment::Later(id),
                };
                body.open |= matches!(datagram.fragment, Fragment::First(_));
                (header.next_header(), header.slice().len())
            }
            proto::AH => {
                let Ok(header) = IpAuthHeaderSlice::from_slice(body.bytes) else {
                    return Extensions::Cut;
                };
                (header.next_header(), header.slice().len())
            }
            _ => return Extensions::Read,
        };
        let Ok(rest) = body.skip(len) else {
            return Extensions::Cut;
        };
        datagram.tuple.proto = next.0;
        *body = rest;
        // What follows in a later fragment is the middle of something.
        if matches!(datagram.fragment, Fragment::Later(_)) {
            return Extensions::Read;
        }
    }
    Extensions::TooMany
}

/// Fills in ports, transport facts and the place of the payload; returns the payload.
#[inline]
fn transport<'a>(datagram: &mut Datagram, body: Span<'a>) -> Span<'a> {
    if matches!(datagram.fragment, Fragment::Later(_)) {
        return describe_payload(datagram, body);
    }
    let bytes = body.bytes;
    let (transport, len) = match datagram.tuple.proto {
        proto::TCP => tcp(bytes),
        proto::UDP | proto::UDP_LITE => (bytes.len() >= 8).then_some((Transport::Udp, 8)),
        proto::ICMP | proto::ICMPV6 => match *bytes {
            [kind, code, _, _, _, _, _, _, ..] => Some((Transport::Icmp { kind, code }, 8)),
            [kind, code, ..] => Some((Transport::Icmp { kind, code }, 2)),
            _ => None,
        },
        proto::SCTP => (bytes.len() >= 12).then_some((Transport::Sctp, 12)),
        proto::DCCP => bytes.get(4).map(|&offset| (Transport::Other, usize::from(offset) * 4)),
        _ => None,
    }
    .unwrap_or_default();
    if matches!(
        datagram.tuple.proto,
        proto::TCP | proto::UDP | proto::UDP_LITE | proto::SCTP | proto::DCCP
    ) && let Some([s0, s1, d0, d1]) = bytes.first_chunk()
    {
        datagram.tuple.sport = u16::from_be_bytes([*s0, *s1]);
        datagram.tuple.dport = u16::from_be_bytes([*d0, *d1]);
    }
    datagram.transport = transport;
    let mut payload = body.skip_captured(len);
    if datagram.tuple.proto == proto::UDP
        && let Ok(udp) = UdpHeaderSlice::from_slice(bytes)
        && let Some(len) = usize::from(udp.length()).checked_sub(8)
        && len <= payload.announced
        && let Ok(limited) = payload.limit(len)
    {
        payload = Span { open: payload.open, ..limited };
    }
    describe_payload(datagram, payload)
}

/// The fixed part of a TCP header (RFC 9293, 3.1), whether or not all its options were captured.
#[inline]
fn tcp(bytes: &[u8]) -> Option<(Transport, usize)> {
    let [_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1, ..] =
        *bytes.first_chunk::<20>()?;
    let len = usize::from(offset >> 4) * 4;
    if len < 20 {
        return None;
    }
    let facts = Tcp {
        seq: u32::from_be_bytes([s0, s1, s2, s3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags,
        window: u16::from_be_bytes([w0, w1]),
    };
    Some((Transport::Tcp(facts), len))
}

fn describe_payload<'a>(datagram: &mut Datagram, payload: Span<'a>) -> Span<'a> {
    let narrow = |len| u32::try_from(len).unwrap_or(u32::MAX);
    datagram.payload_at = narrow(payload.at);
    datagram.payload_captured = narrow(payload.bytes.len());
    datagram.payload_len = narrow(payload.announced);
    payload
}

/// Reads an ARP message; `None` if it is for other protocols than IPv4 over Ethernet.
pub(super) fn read_arp(span: Span<'_>) -> Result<Option<Arp>, Stop> {
    let arp = ArpPacketSlice::from_slice(span.bytes).map_err(|_| Stop::Short)?;
    if arp.hw_addr_type() != ArpHardwareId::ETHERNET || arp.proto_addr_type() != EtherType::IPV4 {
        return Ok(None);
    }
    let message = || {
        Some(Arp {
            operation: arp.operation().0,
            sender_mac: arp.sender_hw_addr().try_into().ok()?,
            sender_ip: arp.sender_protocol_addr().try_into().ok()?,
            target_ip: arp.target_protocol_addr().try_into().ok()?,
        })
    };
    Ok(message())
}

pub(super) const fn widen(address: [u8; 4]) -> [u8; 16] {
    // By way of a number: in one piece, not octet by octet.
    (u32::from_le_bytes(address) as u128).to_le_bytes()
}
