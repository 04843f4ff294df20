//! Transport protocols, ICMP, and the applications that ports give away.

use super::{Icmp, Layers, Name, Protocol, Rest, Step, Transport, narrow};
use crate::wire::decode::Tcp;

impl Layers {
    pub(super) fn icmpv4<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([kind, code, _, _, i0, i1, ..], _) = rest.split::<8>()?;
        let id = u16::from_be_bytes([*i0, *i1]);
        self.push(Name::Icmpv4)?;
        self.piece().icmp.get_or_insert(Icmp { v6: false, kind: *kind, code: *code, id });
        None
    }

    pub(super) fn icmpv6<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([kind, code, _, _], behind) = rest.split::<4>()?;
        self.push(Name::Icmpv6)?;
        // What else the messages hold at least (RFC 4443, 4861, 2710, 3810).
        let (name, len) = match kind {
            128 | 129 => (Name::Icmpv6Echo, 4),
            130 if behind.announced > 20 => (Name::Mldv2Query, 20),
            130 => (Name::Mldv1Query, 20),
            131 => (Name::Mldv1Report, 20),
            132 => (Name::Mldv1Done, 20),
            133 => (Name::Icmpv6RouterSolicitation, 4),
            134 => (Name::Icmpv6RouterAdvertisement, 12),
            135 => (Name::Icmpv6NeighborSolicitation, 20),
            136 => (Name::Icmpv6NeighborAdvertisement, 20),
            137 => (Name::Icmpv6Redirect, 36),
            143 => (Name::Mldv2Report, 4),
            _ => (Name::Icmpv6, usize::MAX),
        };
        let mut icmp = Icmp { v6: true, kind: *kind, code: *code, id: 0 };
        let whole = behind.has(len);
        if let (Name::Icmpv6Echo, Some(([i0, i1], _))) = (name, behind.split::<2>()) {
            icmp.id = u16::from_be_bytes([*i0, *i1]);
        }
        self.piece().icmp.get_or_insert(icmp);
        if whole { self.finish(name) } else { None }
    }

    pub(super) fn tcp<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, ..] =
            *rest.bytes.first_chunk::<20>()?;
        let len = usize::from(offset >> 4).saturating_mul(4);
        if len < 20 {
            return None;
        }
        self.push(Name::Tcp)?;
        let (sport, dport) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
        let facts = Tcp {
            seq: u32::from_be_bytes([q0, q1, q2, q3]),
            ack: u32::from_be_bytes([a0, a1, a2, a3]),
            flags,
            window: u16::from_be_bytes([w0, w1]),
        };
        let transport = Transport {
            protocol: Protocol::Tcp,
            sport,
            dport,
            tcp: Some(facts),
            payload_at: narrow(rest.at.saturating_add(len)),
            payload_len: narrow(rest.announced.saturating_sub(len)),
        };
        self.piece().transport.get_or_insert(transport);
        let payload = rest.skip(len)?;
        match tcp_application(dport).or_else(|| tcp_application(sport))? {
            Name::Dns => {
                // Each message has its length before it (RFC 1035, 4.2.2).
                let ([l0, l1], message) = payload.split::<2>()?;
                (u16::from_be_bytes([*l0, *l1]) >= 12 && message.has(12)).then_some(())?;
                self.application(Name::Dns, message)
            }
            name => {
                // Content type and version of a record (RFC 8446, 5.1).
                let ([20..=23, 3, 0..=4, _, _], _) = payload.split::<5>()? else { return None };
                self.application(name, payload)
            }
        }
    }

    pub(super) fn udp<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([s0, s1, d0, d1, l0, l1, _, _], behind) = rest.split::<8>()?;
        self.push(Name::Udp)?;
        let (sport, dport) = (u16::from_be_bytes([*s0, *s1]), u16::from_be_bytes([*d0, *d1]));
        let payload = match usize::from(u16::from_be_bytes([*l0, *l1])).checked_sub(8) {
            Some(len) => behind.limit(len),
            None => behind,
        };
        let transport = Transport {
            protocol: Protocol::Udp,
            sport,
            dport,
            tcp: None,
            payload_at: narrow(payload.at),
            payload_len: narrow(payload.announced),
        };
        self.piece().transport.get_or_insert(transport);
        let name = udp_application(dport).or_else(|| udp_application(sport))?;
        // What each of them has at least.
        let least = match name {
            Name::Vxlan => return self.vxlan(payload),
            Name::Geneve => return self.geneve(payload),
            Name::GtpU => return self.gtp(payload),
            Name::Dns => 12,
            Name::Dhcpv4 => 240,
            Name::Dhcpv6 | Name::Rmcp => 4,
            Name::Ntp => 48,
            Name::Bfd => 24,
            Name::SFlow => 28,
            Name::Radius => 20,
            _ => 1,
        };
        payload.has(least).then_some(())?;
        self.application(name, payload)
    }

    pub(super) fn sctp<'a>(&mut self, rest: Rest<'a>) -> Step<'a> {
        let ([s0, s1, d0, d1, ..], mut behind) = rest.split::<12>()?;
        self.push(Name::Sctp)?;
        let transport = Transport {
            protocol: Protocol::Sctp,
            sport: u16::from_be_bytes([*s0, *s1]),
            dport: u16::from_be_bytes([*d0, *d1]),
            tcp: None,
            payload_at: narrow(behind.at),
            payload_len: narrow(behind.announced),
        };
        self.piece().transport.get_or_insert(transport);
        // Chunks, as many as the path has room for. What is behind data is its payload.
        while let Some(([kind, _, l0, l1], _)) = behind.split::<4>() {
            let len = usize::from(u16::from_be_bytes([*l0, *l1]));
            if len < 4 {
                return None;
            }
            self.push(chunk(*kind))?;
            behind = behind.skip(len.next_multiple_of(4)).filter(|_| *kind != 0)?;
        }
        None
    }

    fn application<'a>(&mut self, name: Name, payload: Rest<'a>) -> Step<'a> {
        self.piece().application_at.get_or_insert_with(|| narrow(payload.at));
        self.finish(name)
    }
}

const fn udp_application(port: u16) -> Option<Name> {
    Some(match port {
        53 => Name::Dns,
        67 | 68 => Name::Dhcpv4,
        123 => Name::Ntp,
        546 | 547 => Name::Dhcpv6,
        623 => Name::Rmcp,
        1812 => Name::Radius,
        2152 => Name::GtpU,
        3784 => Name::Bfd,
        4789 | 8472 => Name::Vxlan,
        5060 => Name::Sip,
        6081 => Name::Geneve,
        6343 => Name::SFlow,
        _ => return None,
    })
}

const fn tcp_application(port: u16) -> Option<Name> {
    Some(match port {
        53 => Name::Dns,
        443 => Name::Tls,
        _ => return None,
    })
}

/// The name of an SCTP chunk (RFC 9260, 3.2).
const fn chunk(kind: u8) -> Name {
    match kind {
        0 => Name::SctpData,
        1 => Name::SctpInit,
        2 => Name::SctpInitAck,
        3 => Name::SctpSack,
        4 => Name::SctpHeartbeat,
        5 => Name::SctpHeartbeatAck,
        6 => Name::SctpAbort,
        7 => Name::SctpShutdown,
        8 => Name::SctpShutdownAck,
        9 => Name::SctpError,
        10 => Name::SctpCookieEcho,
        11 => Name::SctpCookieAck,
        14 => Name::SctpShutdownComplete,
        _ => Name::SctpUnknownChunk,
    }
}
