//! One flow with what is known of it beside its members, and how packets change it.

use crate::capture::flow::{Finish, Flow, Metric, Tcp as TcpMetric};
use crate::capture::key::Key;
use crate::capture::tcp::{Segment, Stream};
use crate::wire::decode::Tcp;
use crate::wire::layers::Piece;

/// A flow of the store.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) flow: Flow,
    /// How packets find it; `None` for one that none belong to.
    pub(super) key: Option<Key>,
    /// When it came, and when the last packet came, in milliseconds since 1970: by the clock of
    /// the machine, which packets of a file are far from.
    pub(super) came: i64,
    pub(super) seen: i64,
    /// It is from a file: its end is not waited for, only its age counts.
    pub(super) is_past: bool,
    /// What the last update told.
    told: Metric,
    changed: bool,
    /// When the request was seen whose answer gives the round-trip time, in microseconds.
    asked: Option<Asked>,
    streams: Option<Box<[Stream; 2]>>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    at: i64,
    ab: bool,
    answered: bool,
}

impl Entry {
    /// A flow that came at `now`, in milliseconds since 1970.
    pub(super) fn new(flow: Flow, key: Option<Key>, now: i64, reassemble: bool) -> Self {
        Self {
            flow,
            key,
            came: now,
            seen: now,
            is_past: false,
            told: Metric::default(),
            changed: true,
            asked: None,
            streams: reassemble.then(Box::default),
        }
    }

    /// Accounts for a packet at `at`, in microseconds since 1970.
    pub(super) fn see(&mut self, piece: &Piece, layer3: bool, at: i64) {
        let millis = at.div_euclid(1_000);
        let ab = self.is_from_a(piece, layer3);
        let metric = &mut self.flow.metric;
        metric.last = metric.last.max(millis);
        let (packets, bytes) = if ab {
            (&mut metric.ab_packets, &mut metric.ab_bytes)
        } else {
            (&mut metric.ba_packets, &mut metric.ba_bytes)
        };
        *packets = packets.saturating_add(1);
        *bytes = bytes.saturating_add(u64::from(piece.len));
        self.changed = true;
        if let Some((facts, payload)) =
            piece.transport.and_then(|t| t.tcp.map(|facts| (facts, t.payload_len)))
        {
            self.see_segment(facts, payload, piece, ab, at);
        } else if let Some(icmp) = piece.icmp {
            match (icmp.v6, icmp.kind) {
                (false, 8) | (true, 128) => {
                    self.asked = Some(Asked { at, ab, answered: false });
                }
                (false, 0) | (true, 129) => self.answer(ab, at),
                _ => {}
            }
        }
    }

    /// Whether a packet begins a new connection where this one has come to its end.
    pub(super) fn is_over_for(&self, piece: &Piece) -> bool {
        let flags = piece.transport.and_then(|t| t.tcp).map_or(0, |facts| facts.flags);
        flags & (Tcp::SYN | Tcp::ACK) == Tcp::SYN
            && matches!(self.flow.finish, Some(Finish::TcpFin | Finish::TcpRst))
    }

    /// Moves what changed since the last update into `LastUpdateMetric`; whether anything did.
    /// `from` and `to` are the bounds of the update in milliseconds.
    pub(super) fn settle(&mut self, from: i64, to: i64) -> bool {
        let (now, told) = (self.flow.metric, self.told);
        let first = self.flow.last_update.is_none();
        let changed = std::mem::take(&mut self.changed);
        self.flow.last_update = Some(Metric {
            ab_packets: now.ab_packets.saturating_sub(told.ab_packets),
            ab_bytes: now.ab_bytes.saturating_sub(told.ab_bytes),
            ba_packets: now.ba_packets.saturating_sub(told.ba_packets),
            ba_bytes: now.ba_bytes.saturating_sub(told.ba_bytes),
            start: if first { now.start } else { from },
            last: if first { to.max(now.start) } else { to.max(from) },
            rtt: if changed { now.rtt } else { 0 },
        });
        self.told = now;
        changed
    }

    fn see_segment(&mut self, facts: Tcp, payload: u32, piece: &Piece, ab: bool, at: i64) {
        let has = |flag| facts.flags & flag != 0;
        let (syn, fin, rst) = (has(Tcp::SYN), has(Tcp::FIN), has(Tcp::RST));
        if syn && !has(Tcp::ACK) && self.asked.is_none() {
            self.asked = Some(Asked { at, ab, answered: false });
        } else if syn && has(Tcp::ACK) || rst {
            self.answer(ab, at);
        }
        if fin || rst {
            let reason = if rst { Finish::TcpRst } else { Finish::TcpFin };
            self.flow.finish.get_or_insert(reason);
        }
        let Some(tcp) = &mut self.flow.tcp else { return };
        let TcpMetric { ab: forth, ba: back } = &mut **tcp;
        let end = if ab { forth } else { back };
        let millis = at.div_euclid(1_000);
        if syn && end.syn_start == 0 {
            end.syn_start = millis;
            end.syn_ttl = piece.network.map_or(0, |network| network.ttl);
        }
        if fin && end.fin_start == 0 {
            end.fin_start = millis;
        }
        if rst && end.rst_start == 0 {
            end.rst_start = millis;
        }
        if let Some([forth, back]) = self.streams.as_deref_mut() {
            let stream = if ab { forth } else { back };
            stream.see(Segment { seq: facts.seq, len: payload, syn, fin, rst }, end);
        }
    }

    fn answer(&mut self, ab: bool, at: i64) {
        if let Some(asked) = &mut self.asked
            && !asked.answered
            && asked.ab != ab
        {
            asked.answered = true;
            self.flow.metric.rtt = at.saturating_sub(asked.at).max(0).saturating_mul(1_000);
        }
    }

    /// By hardware address, unless only IP matters or it tells nothing; then by IP address, and
    /// at last by port.
    fn is_from_a(&self, piece: &Piece, layer3: bool) -> bool {
        if let (Some(link), Some(known)) = (piece.link, self.flow.link)
            && (!layer3 || piece.network.is_none())
            && link.src != link.dst
        {
            return link.src == known.a;
        }
        if let (Some(network), Some(known)) = (&piece.network, &self.flow.network)
            && network.src != network.dst
        {
            return super::address(network.version, &network.src) == known.a;
        }
        if let (Some(transport), Some(known)) = (piece.transport, self.flow.transport)
            && transport.sport != transport.dport
        {
            return transport.sport == known.a;
        }
        true
    }
}
