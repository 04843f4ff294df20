//! IPv4 (RFC 791), IPv6 with its extension headers (RFC 8200), and the choice of what they carry.

use super::{Fragment, Layers, MAX_EXTENSIONS, Name, Network, Next, Rest, Step, narrow};

impl Layers {
    pub(super) fn ip<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        match rest.bytes.first()? >> 4 {
            4 => self.ipv4(rest),
            6 => self.ipv6(rest),
            _ => None,
        }
    }

    pub(super) fn ipv4<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let header = rest.bytes.first_chunk::<20>()?;
        let [
            first,
            tos,
            l0,
            l1,
            i0,
            i1,
            f0,
            f1,
            ttl,
            protocol,
            _,
            _,
            s0,
            s1,
            s2,
            s3,
            d0,
            d1,
            d2,
            d3,
        ] = *header;
        let len = usize::from(first & 0x0f).saturating_mul(4);
        if first >> 4 != 4 || len < 20 {
            return None;
        }
        let body = match usize::from(u16::from_be_bytes([l0, l1])) {
            // Segmentation offload leaves the field empty beyond 64 KiB.
            0 => rest.skip(len),
            total => rest.limit(total.max(20)).skip(len),
        };
        self.push(Name::Ipv4)?;
        let place = u16::from_be_bytes([f0, f1]);
        let fragment = (place & 0x3fff != 0).then_some(Fragment {
            id: u32::from(u16::from_be_bytes([i0, i1])),
            offset: u32::from(place & 0x1fff).saturating_mul(8),
            more: place & 0x2000 != 0,
        });
        let network = Network {
            version: 4,
            src: widen([s0, s1, s2, s3]),
            dst: widen([d0, d1, d2, d3]),
            ttl,
            tos,
            fragment,
            at: narrow(rest.at),
            body_at: narrow(rest.at.saturating_add(len)),
            body_len: body.map_or(0, |body| narrow(body.announced)),
        };
        self.piece().network.get_or_insert(network);
        if fragment.is_some() {
            return self.finish(Name::Fragment);
        }
        Some((Next::Protocol(protocol), body?))
    }

    pub(super) fn ipv6<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let (header, behind) = rest.split::<40>()?;
        let [v0, v1, _, _, l0, l1, protocol, ttl, ..] = *header;
        let (_, addresses) = header.split_first_chunk::<8>()?;
        let (src, dst) = addresses.split_first_chunk::<16>()?;
        if v0 >> 4 != 6 {
            return None;
        }
        let body = match usize::from(u16::from_be_bytes([l0, l1])) {
            // A jumbogram, or segmentation offload.
            0 => behind,
            len => behind.limit(len),
        };
        self.push(Name::Ipv6)?;
        let network = Network {
            version: 6,
            src: *src,
            dst: *dst.first_chunk()?,
            ttl,
            tos: v0 << 4 | v1 >> 4,
            fragment: None,
            at: narrow(rest.at),
            body_at: narrow(body.at),
            body_len: narrow(body.announced),
        };
        self.piece().network.get_or_insert(network);
        Some((Next::Protocol(protocol), body))
    }

    /// The header of an IP protocol.
    pub(super) fn protocol<'a>(&mut self, number: u8, rest: Rest<'a>) -> Step<'a> {
        match number {
            0 => self.extension(Name::Ipv6HopByHop, rest),
            43 => self.extension(Name::Ipv6Routing, rest),
            60 => self.extension(Name::Ipv6Destination, rest),
            44 => self.fragment(rest),
            51 => self.authentication(rest),
            1 => self.icmpv4(rest),
            58 => self.icmpv6(rest),
            6 => self.tcp(rest),
            17 => self.udp(rest),
            132 => self.sctp(rest),
            4 | 94 => self.ipv4(rest),
            41 => self.ipv6(rest),
            47 => self.gre(rest),
            97 => self.ether_ip(rest),
            137 => self.mpls(rest),
            2 => self.bare(Name::Igmp, 8, rest),
            50 => self.bare(Name::IpsecEsp, 8, rest),
            89 => self.bare(Name::Ospf, 14, rest),
            112 => self.vrrp(rest),
            136 => self.bare(Name::UdpLite, 8, rest),
            _ => None,
        }
    }

    /// A layer of which only the name matters, if it has its header.
    pub(super) fn bare<'a>(&mut self, name: Name, header: usize, rest: Rest<'a>) -> Step<'a> {
        rest.skip(header)?;
        self.finish(name)
    }

    fn vrrp<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        // An advertisement of version 2 or 3 (RFC 3768, 5798).
        let ([0x21 | 0x31, ..], _) = rest.split::<8>()? else { return None };
        self.piece().application_at = Some(narrow(rest.at));
        self.finish(Name::Vrrp)
    }

    fn extension<'a>(&mut self, name: Name, rest: Rest<'a>) -> Step<'a> {
        let ([next, len], _) = rest.split::<2>()?;
        let behind = rest.skip(usize::from(*len).saturating_add(1).saturating_mul(8))?;
        self.extend(name)?;
        Some((Next::Protocol(*next), behind))
    }

    fn authentication<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([next, len], _) = rest.split::<2>()?;
        let behind = rest.skip(usize::from(*len).saturating_add(2).saturating_mul(4))?;
        self.extend(Name::IpsecAh)?;
        Some((Next::Protocol(*next), behind))
    }

    fn fragment<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([next, _, o0, o1, i0, i1, i2, i3], behind) = rest.split::<8>()?;
        self.extend(Name::Ipv6Fragment)?;
        let place = u16::from_be_bytes([*o0, *o1]);
        // Atomic ones (RFC 6946) are whole.
        if place & 0xfff9 == 0 {
            return Some((Next::Protocol(*next), behind));
        }
        let fragment = Fragment {
            id: u32::from_be_bytes([*i0, *i1, *i2, *i3]),
            offset: u32::from(place & 0xfff8),
            more: place & 1 != 0,
        };
        if let Some(network) = &mut self.piece().network
            && network.version == 6
        {
            network.fragment.get_or_insert(fragment);
        }
        self.finish(Name::Fragment)
    }

    /// Adds an extension header, unless there are too many of them.
    fn extend(&mut self, name: Name) -> Option<()> {
        let is_extension = |name: &&Name| {
            matches!(
                name,
                Name::Ipv6HopByHop
                    | Name::Ipv6Routing
                    | Name::Ipv6Destination
                    | Name::Ipv6Fragment
                    | Name::IpsecAh
            )
        };
        let before = self.piece().names().iter().filter(is_extension).count();
        if before >= MAX_EXTENSIONS {
            return None;
        }
        self.push(name)
    }
}

const fn widen([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}
