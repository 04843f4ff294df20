//! What the kernel tells of the connections that it tracks (linux/netfilter/
//! nfnetlink_conntrack.h, nf_conntrack_common.h): dumps and notifications, read into plain values.
//! Numbers within attributes are in network order.

use super::{Attributes, Error, FLAG_DUMP, Raw, Request, split};
use crate::wire::decode::Tuple;

/// NFNL_SUBSYS_CTNETLINK in the upper octet, IPCTNL_MSG_CT_* in the lower one.
const NEW: u16 = 0x0100;
const GET: u16 = 0x0101;
const DELETE: u16 = 0x0102;

/// Attributes of a connection.
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_STATUS: u16 = 3;
const CTA_MARK: u16 = 8;
const CTA_COUNTERS_ORIG: u16 = 9;
const CTA_COUNTERS_REPLY: u16 = 10;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_TIMESTAMP: u16 = 20;

/// Of a tuple.
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
/// Of its addresses.
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
/// Of its protocol.
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
/// Of counters.
const CTA_COUNTERS_PACKETS: u16 = 1;
const CTA_COUNTERS_BYTES: u16 = 2;
/// Of times.
const CTA_TIMESTAMP_START: u16 = 1;

/// Packets and their octets, IP headers included, link headers not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Volume {
    /// Packets.
    pub packets: u64,
    /// Octets.
    pub bytes: u64,
}

/// A connection as one message tells it: of what the message leaves out nothing is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tracked {
    /// As its opener sees it.
    pub original: Tuple,
    /// As the answers are addressed: not the mirror image of `original` if it is translated.
    pub reply: Tuple,
    /// Its number in the kernel.
    pub id: Option<u32>,
    /// The mark that rules have put on it.
    pub mark: Option<u32>,
    /// Bits of [`status`].
    pub status: Option<u32>,
    /// Its zone; 0 unless rules say otherwise.
    pub zone: u16,
    /// What was sent by its opener and by the other end, where the kernel counts.
    pub volumes: Option<[Volume; 2]>,
    /// When it began, nanoseconds of Unix time, where the kernel keeps it.
    pub started: Option<u64>,
}

/// Bits of [`Tracked::status`] (`enum ip_conntrack_status`).
pub mod status {
    /// Answered.
    pub const SEEN_REPLY: u32 = 1 << 1;
    /// Its source is translated.
    pub const SRC_NAT: u32 = 1 << 4;
    /// Its destination is translated.
    pub const DST_NAT: u32 = 1 << 5;
    /// Forwarded by a flow table, past everything else.
    pub const OFFLOAD: u32 = 1 << 14;
    /// Forwarded by the network card.
    pub const HW_OFFLOAD: u32 = 1 << 15;
}

/// What a message says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// The connection is tracked: new, changed, or dumped.
    Known(Tracked),
    /// It is tracked no more; what it carried is told for the last time.
    Gone(Tracked),
}

/// Asks for all connections of both families.
#[must_use]
pub fn dump(sequence: u32) -> Vec<u8> {
    // struct nfgenmsg: any family, NFNETLINK_V0, no resource.
    Request::new(GET, FLAG_DUMP, sequence, &[0; 4]).finish()
}

impl Change {
    /// Reads a message; `None` for another one, and for a connection without both tuples.
    ///
    /// # Errors
    /// The message is too short.
    pub fn parse(raw: &Raw<'_>) -> Result<Option<Self>, Error> {
        if !matches!(raw.kind, NEW | DELETE) {
            return Ok(None);
        }
        let (_, attributes) = split::<4>(raw.body)?;
        let Some(tracked) = tracked(attributes) else { return Ok(None) };
        Ok(Some(if raw.kind == NEW { Self::Known(tracked) } else { Self::Gone(tracked) }))
    }
}

fn tracked(attributes: &[u8]) -> Option<Tracked> {
    let (mut original, mut reply) = (None, None);
    let (mut sent, mut answered) = (None, None);
    let mut found = Tracked::default();
    for (kind, value) in Attributes::new(attributes) {
        match kind {
            CTA_TUPLE_ORIG => original = tuple(value),
            CTA_TUPLE_REPLY => reply = tuple(value),
            CTA_STATUS => found.status = be32(value),
            CTA_MARK => found.mark = be32(value),
            CTA_ID => found.id = be32(value),
            CTA_ZONE => found.zone = be16(value).unwrap_or(0),
            CTA_COUNTERS_ORIG => sent = volume(value),
            CTA_COUNTERS_REPLY => answered = volume(value),
            CTA_TIMESTAMP => found.started = within(value, CTA_TIMESTAMP_START).and_then(be64),
            _ => {}
        }
    }
    found.volumes = sent.zip(answered).map(|(sent, answered)| [sent, answered]);
    (found.original, found.reply) = (original?, reply?);
    Some(found)
}

fn tuple(value: &[u8]) -> Option<Tuple> {
    let mut tuple = Tuple::default();
    for (kind, value) in Attributes::new(within(value, CTA_TUPLE_IP)?) {
        let (place, version, width) = match kind {
            CTA_IP_V4_SRC => (&mut tuple.src, 4, 4),
            CTA_IP_V4_DST => (&mut tuple.dst, 4, 4),
            CTA_IP_V6_SRC => (&mut tuple.src, 6, 16),
            CTA_IP_V6_DST => (&mut tuple.dst, 6, 16),
            _ => continue,
        };
        place.get_mut(..width)?.copy_from_slice(value.get(..width)?);
        tuple.version = version;
    }
    for (kind, value) in Attributes::new(within(value, CTA_TUPLE_PROTO)?) {
        match kind {
            CTA_PROTO_NUM => tuple.proto = *value.first()?,
            CTA_PROTO_SRC_PORT => tuple.sport = be16(value)?,
            CTA_PROTO_DST_PORT => tuple.dport = be16(value)?,
            _ => {}
        }
    }
    Some(tuple).filter(|tuple| tuple.version != 0)
}

fn volume(value: &[u8]) -> Option<Volume> {
    let packets = within(value, CTA_COUNTERS_PACKETS).and_then(be64)?;
    let bytes = within(value, CTA_COUNTERS_BYTES).and_then(be64)?;
    Some(Volume { packets, bytes })
}

/// The attribute of a kind among those within another.
fn within(value: &[u8], kind: u16) -> Option<&[u8]> {
    Attributes::new(value).find(|(k, _)| *k == kind).map(|(_, value)| value)
}

fn be16(value: &[u8]) -> Option<u16> {
    value.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn be32(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

fn be64(value: &[u8]) -> Option<u64> {
    value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::netlink::testing::{first, message};
    use crate::wire::netlink::{Message, Messages};

    /// What a router with a masquerade rule was told (Linux 6.18, little endian).
    const DUMP: &[u8] = include_bytes!("../../../tests/fuzz/seeds/conntrack/dump");
    const EVENTS: &[u8] = include_bytes!("../../../tests/fuzz/seeds/conntrack/events");

    fn changes(bytes: &[u8]) -> Vec<Change> {
        Messages::new(bytes).filter_map(|raw| Change::parse(&raw).unwrap()).collect()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_recorded_dump_has_translations_counters_marks_and_numbers() {
        let all = changes(DUMP);
        assert_eq!(all.len(), 5);
        let done = Messages::new(DUMP).last().map(|raw| Message::decode(&raw));
        assert_eq!(done, Some(Ok(Message::Done { errno: 0 })));
        let known = |proto, sport| {
            all.iter().find_map(|change| match change {
                Change::Known(t) if (t.original.proto, t.original.sport) == (proto, sport) => {
                    Some(*t)
                }
                _ => None,
            })
        };
        let tcp = known(6, 40_011).unwrap();
        assert_eq!(&tcp.original.src[..4], [192, 168, 77, 5]);
        assert_eq!((&tcp.reply.dst[..4], tcp.reply.dport), (&[203, 0, 113, 7][..], 40_011));
        assert_eq!((tcp.mark, tcp.zone), (Some(7), 0));
        assert!(tcp.id.is_some_and(|id| id != 0));
        let status = tcp.status.unwrap();
        assert_ne!(status & status::SRC_NAT, 0);
        assert_eq!(status & status::OFFLOAD, 0);
        let [sent, answered] = tcp.volumes.unwrap();
        assert_eq!((sent, answered.packets), (Volume { packets: 4, bytes: 316 }, 3));
        assert_eq!(answered.bytes, 3_164);
        let v6 = known(6, 40_012).unwrap();
        assert_eq!((v6.original.version, v6.original.src[..2] == [0xfd, 0x77]), (6, true));
        assert_eq!(v6.original.src, v6.reply.dst);
        // ICMP has no ports.
        assert_eq!(known(1, 0).unwrap().original.dport, 0);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn recorded_events_tell_of_beginnings_and_ends() {
        let all = changes(EVENTS);
        assert_eq!(all.len(), 11);
        let [.., Change::Gone(last)] = all[..] else { panic!("{all:?}") };
        assert!(last.volumes.is_some());
        assert!(matches!(all[0], Change::Known(first) if first.volumes.is_none()));
    }

    #[test]
    fn other_subsystems_and_half_connections_are_passed_over() {
        for (kind, body) in [(0x0200, vec![2, 0, 0, 0]), (0x0101, vec![2, 0, 0, 0]), (16, vec![])] {
            assert_eq!(Change::parse(&first(&message(kind, &body, &[]))), Ok(None), "{kind}");
        }
        assert!(Change::parse(&first(&message(NEW, &[], &[]))).is_err());
        let tuple = message(0, &[], &[]);
        let half = message(NEW, &[2, 0, 0, 0], &[(CTA_TUPLE_ORIG, &tuple)]);
        assert_eq!(Change::parse(&first(&half)), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn any_attributes_at_all_are_survived(bytes: Vec<u8>) {
            let whole = message(NEW, &[&[2, 0, 0, 0][..], &bytes].concat(), &[]);
            for raw in Messages::new(&whole) {
                let _ = Change::parse(&raw);
            }
        }
    }
}
