//! Link layers: from the first byte of a frame to an EtherType
//! (<https://www.tcpdump.org/linktypes.html>; RFC 894, 1042, 1661, 1662, IEEE 802.2).

use super::span::Span;
use super::{Layer, Step, Stop, ethertype, wlan};
use crate::wire::link::LinkType;

/// Destination and source hardware address.
pub(super) type Macs = Option<([u8; 6], [u8; 6])>;

/// Takes one link header off, Ethernet's apart, and says what follows it; the addresses are those of the header.
pub(super) fn open(link: LinkType, span: Span<'_>) -> Result<(Macs, Step<'_>), Stop> {
    let step = match link {
        LinkType::IEEE802_11 => return wlan::open(span, false),
        LinkType::RADIOTAP => return wlan::radiotap(span),
        LinkType::NULL | LinkType::LOOP => null(span)?,
        LinkType::PPP | LinkType::PPP_HDLC => ppp(span)?,
        LinkType::PPP_ETHER => Step::to(Layer::EtherType(ethertype::PPPOE_SESSION), span),
        LinkType::RAW | RAW_BSD | RAW_OPENBSD => ip(span)?,
        LinkType::IPV4 => Step::to(Layer::EtherType(ethertype::IPV4), span),
        LinkType::IPV6 => Step::to(Layer::EtherType(ethertype::IPV6), span),
        LinkType::C_HDLC => hdlc(span)?,
        LinkType::LINUX_SLL => sll(span)?,
        LinkType::LINUX_SLL2 => sll2(span)?,
        LinkType::PPI => ppi(span)?,
        _ => return Err(Stop::UnknownLink),
    };
    Ok((None, step))
}

/// The value of DLT_RAW on most systems; files written without libpcap hold it as a link type.
const RAW_BSD: LinkType = LinkType(12);
/// The value of DLT_RAW on OpenBSD.
const RAW_OPENBSD: LinkType = LinkType(14);

/// IEEE 802.2 LLC, with or without a SNAP header.
pub(super) fn llc(span: Span<'_>) -> Result<Step<'_>, Stop> {
    match *span.bytes {
        // OUI 0 is RFC 1042; 00-00-F8 is the bridge tunnel of IEEE 802.1H.
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, t0, t1, ..] => {
            let kind = u16::from_be_bytes([t0, t1]);
            Ok(Step::to(Layer::EtherType(kind), span.skip(8)?))
        }
        // RFC 948.
        [0x06, 0x06, 0x03, ..] => Ok(Step::to(Layer::EtherType(ethertype::IPV4), span.skip(3)?)),
        _ => Ok(Step::End),
    }
}

/// IPv4 or IPv6 by the first nibble.
pub(super) fn ip(span: Span<'_>) -> Result<Step<'_>, Stop> {
    match span.bytes.first().map(|byte| byte >> 4) {
        Some(4) => Ok(Step::to(Layer::EtherType(ethertype::IPV4), span)),
        Some(6) => Ok(Step::to(Layer::EtherType(ethertype::IPV6), span)),
        Some(_) => Err(Stop::Malformed),
        None => Err(span.lack(1)),
    }
}

/// PPP with or without address and control, protocol field of one or two bytes.
pub(super) fn ppp(span: Span<'_>) -> Result<Step<'_>, Stop> {
    let span = match span.bytes {
        [0xff, 0x03, ..] => span.skip(2)?,
        // Serial lines recorded as PPP whether or not they speak Cisco's framing.
        [0x0f | 0x8f, 0x00, ..] => return hdlc(span),
        _ => span,
    };
    let (protocol, rest) = match *span.bytes {
        // An odd first byte ends the field (RFC 1661, 2).
        [low, ..] if low & 1 == 1 => (u16::from(low), span.skip(1)?),
        [high, low, ..] => (u16::from_be_bytes([high, low]), span.skip(2)?),
        _ => return Err(span.lack(2)),
    };
    let kind = match protocol {
        0x0021 => ethertype::IPV4,
        0x0057 => ethertype::IPV6,
        0x0281 => ethertype::MPLS,
        0x0283 => ethertype::MPLS_MULTICAST,
        _ => return Ok(Step::End),
    };
    Ok(Step::to(Layer::EtherType(kind), rest))
}

fn hdlc(span: Span<'_>) -> Result<Step<'_>, Stop> {
    let ([_, _, t0, t1], rest) = span.split::<4>()?;
    Ok(Step::to(Layer::EtherType(u16::from_be_bytes([*t0, *t1])), rest))
}

fn null(span: Span<'_>) -> Result<Step<'_>, Stop> {
    let (family, rest) = span.split::<4>()?;
    // The family is below 256, in the byte order of whoever captured.
    let kind = match *family {
        [0, 0, 0, family] | [family, 0, 0, 0] => match family {
            2 => ethertype::IPV4,
            // AF_INET6 of Linux, Windows, NetBSD/OpenBSD, FreeBSD and macOS.
            10 | 23 | 24 | 28 | 30 => ethertype::IPV6,
            _ => return Ok(Step::End),
        },
        _ => return Err(Stop::Malformed),
    };
    Ok(Step::to(Layer::EtherType(kind), rest))
}

fn sll(span: Span<'_>) -> Result<Step<'_>, Stop> {
    let ([_, _, h0, h1, .., t0, t1], rest) = span.split::<16>()?;
    cooked(u16::from_be_bytes([*h0, *h1]), u16::from_be_bytes([*t0, *t1]), rest)
}

fn sll2(span: Span<'_>) -> Result<Step<'_>, Stop> {
    let ([t0, t1, _, _, _, _, _, _, h0, h1, ..], rest) = span.split::<20>()?;
    cooked(u16::from_be_bytes([*h0, *h1]), u16::from_be_bytes([*t0, *t1]), rest)
}

/// The protocol field of a cooked header, which is an EtherType for most hardware types.
fn cooked(hardware: u16, protocol: u16, rest: Span<'_>) -> Result<Step<'_>, Stop> {
    /// ARPHRD_NETLINK: the protocol is a netlink family.
    const NETLINK: u16 = 824;
    match (hardware, protocol) {
        (NETLINK, _) => Ok(Step::End),
        (_, 0x0004) => llc(rest),
        // LINUX_SLL_P_802_3 (Novell's raw frames) and the protocols of other hardware.
        (_, 0..0x0600) => Ok(Step::End),
        (_, kind) => Ok(Step::to(Layer::EtherType(kind), rest)),
    }
}

fn ppi(span: Span<'_>) -> Result<Step<'_>, Stop> {
    let ([version, _, l0, l1, k0, k1, k2, k3], _) = span.split::<8>()?;
    let len = usize::from(u16::from_le_bytes([*l0, *l1]));
    if *version != 0 || len < 8 {
        return Err(Stop::Malformed);
    }
    let kind = u32::from_le_bytes([*k0, *k1, *k2, *k3]);
    let link = u16::try_from(kind).map(LinkType).map_err(|_| Stop::UnknownLink)?;
    Ok(Step::to(Layer::Link(link), span.skip(len)?))
}
