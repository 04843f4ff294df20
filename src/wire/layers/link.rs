//! Link layers: Ethernet with its tags (IEEE 802.1Q), LLC (802.2), PPP (RFC 1661, 2516), and the
//! headers that captures have in place of them.

use super::{Layers, Link, MAX_TAGS, Name, Next, Rest, Step};
use crate::wire::link::{LinkType, VlanTag};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const MPLS: u16 = 0x8847;
const PPPOE_SESSION: u16 = 0x8864;

impl Layers {
    /// The first header of a frame.
    pub(super) fn open<'a>(
        &mut self,
        link: LinkType,
        vlan: Option<VlanTag>,
        rest: Rest<'a>,
    ) -> Step<'a> {
        match link {
            LinkType::ETHERNET => self.ethernet(rest, vlan),
            // 12 and 14 are what systems call raw IP outside of files.
            LinkType::RAW | LinkType(12 | 14) => Some((Next::Ip, rest)),
            LinkType::IPV4 => Some((Next::EtherType(IPV4), rest)),
            LinkType::IPV6 => Some((Next::EtherType(IPV6), rest)),
            LinkType::PPP | LinkType::PPP_HDLC => Some((Next::Ppp, rest)),
            LinkType::PPP_ETHER => Some((Next::EtherType(PPPOE_SESSION), rest)),
            LinkType::NULL | LinkType::LOOP => {
                let (_, behind) = rest.split::<4>()?;
                self.push(Name::Loopback)?;
                Some((Next::Ip, behind))
            }
            // Cooked headers have no place in the path.
            LinkType::LINUX_SLL => {
                let ([.., t0, t1], behind) = rest.split::<16>()?;
                Some((cooked(u16::from_be_bytes([*t0, *t1])), behind))
            }
            LinkType::LINUX_SLL2 => {
                let ([t0, t1, ..], behind) = rest.split::<20>()?;
                Some((cooked(u16::from_be_bytes([*t0, *t1])), behind))
            }
            _ => None,
        }
    }

    pub(super) fn ethernet<'a>(&mut self, rest: Rest<'a>, vlan: Option<VlanTag>) -> Step<'a> {
        let ([d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1], behind) =
            rest.split::<14>()?;
        self.push(Name::Ethernet)?;
        let piece = self.piece();
        if piece.link.is_none() {
            let (dst, src) = ([*d0, *d1, *d2, *d3, *d4, *d5], [*s0, *s1, *s2, *s3, *s4, *s5]);
            piece.link = Some(Link { src, dst, tags: 0 });
        }
        if let Some(tag) = vlan {
            self.tag(tag.id())?;
        }
        Some(of_type(u16::from_be_bytes([*t0, *t1]), behind))
    }

    pub(super) fn ether_type<'a>(&mut self, kind: u16, rest: Rest<'a>) -> Step<'a> {
        match kind {
            IPV4 => self.ipv4(rest),
            IPV6 => self.ipv6(rest),
            0x0806 => {
                rest.split::<8>()?;
                self.finish(Name::Arp)
            }
            // 802.1Q, 802.1ad and what came before it.
            0x8100 | 0x88a8 | 0x9100 => {
                let ([c0, c1, t0, t1], behind) = rest.split::<4>()?;
                self.tag(u16::from_be_bytes([*c0, *c1]) & 0x0fff)?;
                Some(of_type(u16::from_be_bytes([*t0, *t1]), behind))
            }
            MPLS | 0x8848 => self.mpls(rest),
            0x2000 => {
                rest.split::<4>()?;
                self.push(Name::CiscoDiscovery)?;
                self.finish(Name::CiscoDiscoveryInfo)
            }
            0x6558 => Some((Next::Ethernet, rest)),
            0x880b => Some((Next::Ppp, rest)),
            0x8863 | PPPOE_SESSION => {
                let ([_, code, _, _, l0, l1], behind) = rest.split::<6>()?;
                self.push(Name::PppoE)?;
                let len = usize::from(u16::from_be_bytes([*l0, *l1]));
                (*code == 0).then_some((Next::Ppp, behind.limit(len)))
            }
            0x888e => self.eapol(rest),
            0x88be => self.erspan(rest),
            0x88cc => {
                // Shorter than the three fields that each announcement has.
                rest.split::<8>()?;
                self.push(Name::LinkLayerDiscovery)?;
                self.finish(Name::LinkLayerDiscoveryInfo)
            }
            0x9000 => {
                rest.split::<2>()?;
                self.finish(Name::EthernetCtp)
            }
            _ => None,
        }
    }

    pub(super) fn llc<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([dsap, ssap, control], behind) = rest.split::<3>()?;
        self.push(Name::Llc)?;
        // Control fields of information and supervisory frames have two bytes.
        let wide = control & 3 != 3;
        let behind = if wide { behind.skip(1)? } else { behind };
        match (dsap, ssap) {
            (0xaa, 0xaa) => {
                let ([_, _, _, t0, t1], behind) = behind.split::<5>()?;
                self.push(Name::Snap)?;
                Some((Next::EtherType(u16::from_be_bytes([*t0, *t1])), behind))
            }
            (0x42, 0x42) => {
                behind.split::<4>()?;
                self.finish(Name::Stp)
            }
            _ => None,
        }
    }

    pub(super) fn ppp<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let rest = if rest.bytes.starts_with(&[0xff, 0x03]) { rest.skip(2)? } else { rest };
        let (protocol, behind) = match *rest.bytes {
            // An odd first byte ends the field (RFC 1661, 2).
            [low, ..] if low & 1 == 1 => (u16::from(low), rest.skip(1)?),
            [high, low, ..] => (u16::from_be_bytes([high, low]), rest.skip(2)?),
            _ => return None,
        };
        self.push(Name::Ppp)?;
        let kind = match protocol {
            0x0021 => IPV4,
            0x0057 => IPV6,
            0x0281 | 0x0283 => MPLS,
            _ => return None,
        };
        Some((Next::EtherType(kind), behind))
    }

    fn eapol<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([_, kind, _, _], behind) = rest.split::<4>()?;
        self.push(Name::Eapol)?;
        match kind {
            0 if behind.bytes.len() >= 4 => self.finish(Name::Eap),
            3 if behind.bytes.len() >= 5 => self.finish(Name::EapolKey),
            _ => None,
        }
    }

    fn tag(&mut self, id: u16) -> Option<()> {
        self.push(Name::Dot1Q)?;
        let shift = self.tags.saturating_mul(12);
        if let Some(link) = &mut self.piece().link
            && shift < MAX_TAGS.saturating_mul(12)
        {
            link.tags |= i64::from(id & 0x0fff) << shift;
        }
        self.tags = self.tags.saturating_add(1);
        Some(())
    }
}

/// What a type or length field says comes next.
fn of_type(kind: u16, behind: Rest<'_>) -> (Next, Rest<'_>) {
    if kind < 0x0600 {
        (Next::Llc, behind.limit(usize::from(kind)))
    } else {
        (Next::EtherType(kind), behind)
    }
}

const fn cooked(protocol: u16) -> Next {
    match protocol {
        0x0004 => Next::Llc,
        kind => Next::EtherType(kind),
    }
}
