//! Encapsulations that are read here: PPPoE (RFC 2516), MPLS (RFC 3032, 4385), GRE (RFC 2784,
//! 2890, 2637), VXLAN (RFC 7348), Geneve (RFC 8926), GTP-U (3GPP TS 29.281).
//!
//! What is found by a port number alone may be anything: a header that does not fit is not an
//! error, the datagram around it is then simply not a tunnel.

use super::link::{ip, ppp};
use super::span::Span;
use super::{Layer, MAX_TAGS, Step, Stop, Tunnel, ethertype};
use crate::wire::link::LinkType;

/// Extension headers of a GTP-U message that are followed.
const MAX_GTP_EXTENSIONS: usize = 8;

/// The tunnel that a UDP port stands for, and what follows its header.
pub(super) fn by_port(
    sport: u16,
    dport: u16,
    payload: Span<'_>,
) -> Option<(Tunnel, Result<Step<'_>, Stop>)> {
    match (sport, dport) {
        // 8472 is the port of Linux before the standard.
        (_, 4789 | 8472) => Some((Tunnel::Vxlan, vxlan(payload))),
        (_, 6081) => Some((Tunnel::Geneve, geneve(payload))),
        (2152, _) | (_, 2152) => Some((Tunnel::GtpU, gtp_u(payload))),
        _ => None,
    }
}

/// Whether [`by_port`] knows one of these ports.
pub(super) const fn is_port(sport: u16, dport: u16) -> bool {
    matches!((sport, dport), (_, 4789 | 8472 | 6081 | 2152) | (2152, _))
}

/// A PPPoE session frame. Its length field is not needed: the datagram inside has its own.
pub(super) fn pppoe(span: Span<'_>) -> Result<Step<'_>, Stop> {
    let ([version, code, ..], rest) = span.split::<6>()?;
    if (*version, *code) != (0x11, 0) {
        return Ok(Step::End);
    }
    ppp(rest)
}

/// A label stack, and what its first nibble makes of the rest.
pub(super) fn mpls(mut span: Span<'_>) -> Result<Step<'_>, Stop> {
    for _ in 0..MAX_TAGS {
        let ([_, _, bottom, _], rest) = span.split::<4>()?;
        span = rest;
        if bottom & 1 == 0 {
            continue;
        }
        return match span.bytes.first().map(|byte| byte >> 4) {
            Some(4 | 6) => ip(span),
            Some(0) => Ok(pseudowire(span)),
            _ => Ok(Step::End),
        };
    }
    Err(Stop::TooDeep)
}

/// Ethernet over MPLS; a zero nibble is that of a control word, or of an address without one.
fn pseudowire(span: Span<'_>) -> Step<'_> {
    let plausible = |span: &Span<'_>| {
        let kind = span.bytes.get(12..).and_then(<[u8]>::first_chunk).copied();
        kind.is_some_and(|kind| ethertype::is_known(u16::from_be_bytes(kind)))
    };
    span.skip(4)
        .ok()
        .into_iter()
        .chain([span])
        .find(plausible)
        .map_or(Step::End, |inner| Step::to(Layer::Link(LinkType::ETHERNET), inner))
}

/// GRE, and PPTP's variant of it.
pub(super) fn gre(span: Span<'_>) -> Result<Step<'_>, Stop> {
    const CHECKSUM: u16 = 0x8000;
    const ROUTING: u16 = 0x4000;
    const KEY: u16 = 0x2000;
    const SEQUENCE: u16 = 0x1000;
    const ACKNOWLEDGED: u16 = 0x0080;

    let ([f0, f1, k0, k1], rest) = span.split::<4>()?;
    let flags = u16::from_be_bytes([*f0, *f1]);
    let kind = u16::from_be_bytes([*k0, *k1]);
    let fields =
        |bits: &[u16]| bits.iter().filter(|bit| flags & **bit != 0).count().saturating_mul(4);
    match (flags & 7, kind) {
        (0, _) if flags & ROUTING != 0 => Ok(Step::End),
        (0, ethertype::ETHERNET_BRIDGING) => {
            let inner = rest.skip(fields(&[CHECKSUM, KEY, SEQUENCE]))?;
            Ok(Step::to(Layer::Link(LinkType::ETHERNET), inner))
        }
        (0, kind) => {
            let inner = rest.skip(fields(&[CHECKSUM, KEY, SEQUENCE]))?;
            Ok(Step::to(Layer::EtherType(kind), inner))
        }
        (1, ethertype::PPP) if flags & KEY != 0 && flags & SEQUENCE != 0 => {
            ppp(rest.skip(fields(&[KEY, SEQUENCE, ACKNOWLEDGED]))?)
        }
        _ => Ok(Step::End),
    }
}

fn vxlan(span: Span<'_>) -> Result<Step<'_>, Stop> {
    const VNI_VALID: u8 = 0x08;
    let ([flags, ..], inner) = span.split::<8>()?;
    if flags & VNI_VALID == 0 {
        return Ok(Step::End);
    }
    Ok(Step::to(Layer::Link(LinkType::ETHERNET), inner))
}

fn geneve(span: Span<'_>) -> Result<Step<'_>, Stop> {
    let ([first, _, k0, k1, ..], rest) = span.split::<8>()?;
    if first >> 6 != 0 {
        return Ok(Step::End);
    }
    let options = usize::from(first & 0x3f).saturating_mul(4);
    let inner = rest.skip(options)?;
    match u16::from_be_bytes([*k0, *k1]) {
        ethertype::ETHERNET_BRIDGING => Ok(Step::to(Layer::Link(LinkType::ETHERNET), inner)),
        kind => Ok(Step::to(Layer::EtherType(kind), inner)),
    }
}

fn gtp_u(span: Span<'_>) -> Result<Step<'_>, Stop> {
    const G_PDU: u8 = 0xff;
    const VERSION_AND_TYPE: u8 = 0xf8;
    const EXTENSION: u8 = 0x04;
    const OPTIONAL: u8 = 0x07;

    let ([flags, kind, l0, l1, ..], rest) = span.split::<8>()?;
    // Version 1, GTP rather than GTP', spare bit clear.
    if flags & VERSION_AND_TYPE != 0x30 || *kind != G_PDU {
        return Ok(Step::End);
    }
    let mut rest = rest.limit(usize::from(u16::from_be_bytes([*l0, *l1])))?;
    if flags & OPTIONAL != 0 {
        let ([_, _, _, next], after) = rest.split::<4>()?;
        rest = after;
        let mut next = if flags & EXTENSION == 0 { 0 } else { *next };
        for _ in 0..MAX_GTP_EXTENSIONS {
            if next == 0 {
                break;
            }
            let len = usize::from(*rest.bytes.first().ok_or(Stop::Short)?).saturating_mul(4);
            let last = len.checked_sub(1).and_then(|last| rest.bytes.get(last));
            next = *last.ok_or(Stop::Malformed)?;
            rest = rest.skip(len)?;
        }
        if next != 0 {
            return Ok(Step::End);
        }
    }
    ip(rest)
}
