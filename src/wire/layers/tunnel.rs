//! Headers of tunnels: GRE (RFC 2784, 2890, 2637), MPLS (RFC 3032), VXLAN (RFC 7348), Geneve
//! (RFC 8926), GTP-U, ERSPAN and Ethernet in IP (RFC 3378).

use super::{Layers, Name, Next, Rest, Step, Tunnel};

impl Layers {
    pub(super) fn gre<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([f0, f1, p0, p1], mut behind) = rest.split::<4>()?;
        let flags = u16::from_be_bytes([*f0, *f1]);
        // Checksum or routing: both fields are there.
        if flags & 0xc000 != 0 {
            behind = behind.skip(4)?;
        }
        let mut id = 0;
        if flags & 0x2000 != 0 {
            let (key, next) = behind.split::<4>()?;
            (id, behind) = (u32::from_be_bytes(*key), next);
        }
        // Sequence number, acknowledgement of version 1.
        for flag in [0x1000, 0x0080] {
            if flags & flag != 0 {
                behind = behind.skip(4)?;
            }
        }
        self.push(Name::Gre)?;
        self.piece().tunnel = Some(Tunnel { name: Name::Gre, id });
        // Source routes, which nobody sends.
        if flags & 0x4000 != 0 {
            return None;
        }
        let kind = u16::from_be_bytes([*p0, *p1]);
        if let 0x8847 | 0x8848 = kind {
            return Some((Next::EtherType(kind), behind));
        }
        self.cut(Next::EtherType(kind), behind)
    }

    pub(super) fn mpls<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([_, _, last, _], behind) = rest.split::<4>()?;
        self.push(Name::Mpls)?;
        if last & 1 == 0 {
            return self.cut(Next::EtherType(0x8847), behind);
        }
        match behind.bytes.first().map(|byte| byte >> 4) {
            Some(4 | 6) => self.cut(Next::Ip, behind),
            // The control word of a pseudowire (RFC 4385), and mostly Ethernet in it.
            Some(0) => self.cut(Next::Ethernet, behind.skip(4)?),
            _ => None,
        }
    }

    pub(super) fn vxlan<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([flags, _, _, _, v0, v1, v2, _], behind) = rest.split::<8>()?;
        if flags & 0x08 == 0 {
            return None;
        }
        self.push(Name::Vxlan)?;
        let id = u32::from_be_bytes([0, *v0, *v1, *v2]);
        self.piece().tunnel = Some(Tunnel { name: Name::Vxlan, id });
        self.cut(Next::Ethernet, behind)
    }

    pub(super) fn geneve<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([first, _, p0, p1, v0, v1, v2, _], behind) = rest.split::<8>()?;
        if first >> 6 != 0 {
            return None;
        }
        self.push(Name::Geneve)?;
        let id = u32::from_be_bytes([0, *v0, *v1, *v2]);
        self.piece().tunnel = Some(Tunnel { name: Name::Geneve, id });
        let behind = behind.skip(usize::from(first & 0x3f).saturating_mul(4))?;
        self.cut(Next::EtherType(u16::from_be_bytes([*p0, *p1])), behind)
    }

    /// GTP-U does not cut.
    pub(super) fn gtp<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([flags, kind, ..], mut behind) = rest.split::<8>()?;
        if flags >> 5 != 1 {
            return None;
        }
        if flags & 7 != 0 {
            let ([_, _, _, next], rest) = behind.split::<4>()?;
            behind = rest;
            let mut next = if flags & 4 == 0 { 0 } else { *next };
            // Extension headers; as many as any sender has.
            for _ in 0..8 {
                if next == 0 {
                    break;
                }
                let len = usize::from(*behind.bytes.first()?).saturating_mul(4);
                next = *behind.bytes.get(len.checked_sub(1)?)?;
                behind = behind.skip(len)?;
            }
        }
        self.push(Name::GtpU)?;
        // Only these messages carry a packet.
        (*kind == 0xff && !behind.bytes.is_empty()).then_some((Next::Ip, behind))
    }

    pub(super) fn erspan<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let (_, behind) = rest.split::<8>()?;
        self.push(Name::Erspan)?;
        Some((Next::Ethernet, behind))
    }

    pub(super) fn ether_ip<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([version, _], behind) = rest.split::<2>()?;
        self.push(Name::EtherIp)?;
        (version >> 4 == 3).then_some((Next::Ethernet, behind))
    }
}
