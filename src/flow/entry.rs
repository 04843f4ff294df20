//! One flow as it lies in the table: three cache lines, of which an ordinary packet touches the
//! first two. What a packet changes is decided here and in [`super::tcp`]; where the flow hangs
//! (bucket, wheel, queue) is the table's business.

use super::key::{Key, Side, Sides};
use super::orient::Orientation;
use super::table::FlowId;
use super::tcp;
use crate::time::Tick;
use crate::wire::decode::{Datagram, Fragment, Transport, Tunnel};

/// Packets in each direction from which on an established flow is only evicted when nothing
/// else is left.
pub const HELD_PACKETS: u64 = 8;

/// IP protocol number of TCP.
pub(super) const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// How far a flow has come. Protocols other than TCP know `New` and `Established` alone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum State {
    /// Seen in one direction; TCP: picked up in the middle.
    #[default]
    New,
    /// TCP handshake under way.
    Syn,
    /// Handshake complete, or packets in both directions.
    Established,
    /// One end has sent FIN.
    Closing,
    /// Both ends have sent FIN.
    Closed,
    /// RST seen.
    Reset,
}

impl State {
    /// All states.
    pub const ALL: [Self; 6] =
        [Self::New, Self::Syn, Self::Established, Self::Closing, Self::Closed, Self::Reset];

    /// Its name in all outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Syn => "syn",
            Self::Established => "established",
            Self::Closing => "closing",
            Self::Closed => "closed",
            Self::Reset => "reset",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Nothing but stray packets is expected any more.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Self::Closed | Self::Reset)
    }
}

/// How easily a flow is given up for a new one, in the order in which ranks are emptied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Rank {
    /// Closed or reset: about to end anyway.
    Finished,
    /// Handshake not complete, or packets in one direction only.
    Young,
    /// Established, with fewer than [`HELD_PACKETS`] packets in a direction.
    Light,
    /// All others; on no queue.
    Held,
}

/// Neighbours in an intrusive list; 0 is none.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Links {
    pub(super) prev: u32,
    pub(super) next: u32,
}

/// A flow. Values per direction are kept by the end that sent the packets.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Flow {
    // First line: finding it.
    pub(super) key: Key,
    pub(super) marks: u16,
    pub(super) hash: u32,
    /// Next in the hash chain, or in the free list.
    pub(super) next: u32,
    /// Instances that had this slot before.
    pub(super) generation: u32,
    /// Free for the detectors; the table only sets it to 0 at the start of a flow.
    pub detector: u32,
    pub(super) ttl: Sides<u8>,
    pub(super) tos: u8,
    pub(super) state: State,
    // Second line: counting.
    pub(super) first: Tick,
    pub(super) last: Tick,
    pub(super) packets: Sides<u64>,
    pub(super) bytes: Sides<u64>,
    /// TCP: next sequence number expected.
    pub(super) seq: Sides<u32>,
    /// TCP: all flags seen. ICMP: last type and code.
    pub(super) flags: Sides<u8>,
    pub(super) orientation: Orientation,
    pub(super) tunnel: Tunnel,
    pub(super) resets: Sides<u16>,
    // Third line: what changes seldom.
    pub(super) wheel: Links,
    pub(super) queue: Links,
    pub(super) macs: Sides<[u8; 6]>,
    pub(super) zero_windows: Sides<u16>,
    pub(super) retransmissions: Sides<u32>,
    /// Handshake times in µs; until their marks are set, the low bits of the SYN's and the
    /// SYN/ACK's stamps.
    pub(super) rtt_server: u32,
    pub(super) rtt_client: u32,
    pub(super) parent: u64,
    pub(super) out_of_order: Sides<u16>,
    /// TCP: low bits of the stamp of the last segment that left a gap before it.
    pub(super) jump: u32,
}

const _: () = assert!(size_of::<Flow>() == 192, "three lines of 64 bytes");

/// Bits of [`Flow::marks`].
pub(super) mod mark {
    pub(in super::super) const LIVE: u16 = 1;
    pub(in super::super) const FROM_UPPER: u16 = 1 << 1;
    pub(in super::super) const CARRIER: u16 = 1 << 2;
    pub(in super::super) const SEQ_LOWER: u16 = 1 << 3;
    pub(in super::super) const SEQ_UPPER: u16 = 1 << 4;
    pub(in super::super) const SYN_STAMP: u16 = 1 << 5;
    pub(in super::super) const SYN_ACK_STAMP: u16 = 1 << 6;
    pub(in super::super) const RTT_SERVER: u16 = 1 << 7;
    pub(in super::super) const RTT_CLIENT: u16 = 1 << 8;
    pub(in super::super) const JUMPED: u16 = 1 << 9;
    pub(in super::super) const FIN_LOWER: u16 = 1 << 10;
    pub(in super::super) const FIN_UPPER: u16 = 1 << 11;
    pub(in super::super) const FRAGMENTS: u16 = 1 << 12;
    pub(in super::super) const OFFLOADED: u16 = 1 << 13;
    pub(in super::super) const RANK_SHIFT: u32 = 14;
}

impl Flow {
    /// An unused slot.
    pub(super) fn vacant() -> Self {
        Self {
            key: Key::default(),
            marks: 0,
            hash: 0,
            next: 0,
            generation: 0,
            detector: 0,
            ttl: Sides::default(),
            tos: 0,
            state: State::New,
            first: Tick(0),
            last: Tick(0),
            packets: Sides::default(),
            bytes: Sides::default(),
            seq: Sides::default(),
            flags: Sides::default(),
            orientation: Orientation::default(),
            tunnel: Tunnel::None,
            resets: Sides::default(),
            wheel: Links::default(),
            queue: Links::default(),
            macs: Sides::default(),
            zero_windows: Sides::default(),
            retransmissions: Sides::default(),
            rtt_server: 0,
            rtt_client: 0,
            parent: 0,
            out_of_order: Sides::default(),
            jump: 0,
        }
    }

    /// Keeps the hardware addresses of the first packet that `side` sent: destination and source.
    #[cold]
    pub(super) fn take_macs(&mut self, side: Side, macs: Option<([u8; 6], [u8; 6])>) {
        let Some((destination, source)) = macs else { return };
        *self.macs.of_mut(side) = source;
        let far = self.macs.of_mut(side.other());
        if *far == [0; 6] {
            *far = destination;
        }
    }

    /// Counts a packet that `side` sent.
    #[inline]
    pub(super) fn count(&mut self, side: Side, ts: Tick, wire_len: u32) {
        let packets = self.packets.of_mut(side);
        *packets = packets.wrapping_add(1);
        let bytes = self.bytes.of_mut(side);
        *bytes = bytes.wrapping_add(u64::from(wire_len));
        self.first = self.first.min(ts);
        self.last = self.last.max(ts);
    }

    /// Takes in what the headers of a datagram sent by `side` say.
    #[inline]
    pub(super) fn observe(&mut self, side: Side, ts: Tick, datagram: &Datagram) {
        let ttl = self.ttl.of_mut(side);
        if *ttl == 0 {
            *ttl = datagram.ttl;
        }
        if datagram.fragment != Fragment::Whole {
            self.marks |= mark::FRAGMENTS;
        }
        match datagram.transport {
            Transport::Tcp(segment) if self.key.proto == TCP => {
                tcp::observe(self, side, ts, &segment, datagram.payload_len);
            }
            Transport::Icmp { kind, code } if matches!(self.key.proto, ICMP | ICMPV6) => {
                self.flags = Sides { lower: kind, upper: code };
            }
            Transport::Icmp { .. }
            | Transport::Other
            | Transport::Sctp
            | Transport::Tcp(_)
            | Transport::Udp => {}
        }
        self.settle();
    }

    /// Packets in both directions establish whatever has no handshake.
    #[inline]
    pub(super) fn settle(&mut self) {
        if self.state == State::New && self.is_both_ways() {
            self.state = State::Established;
        }
    }

    /// The rank that its state and counts give it; [`Self::rank`] is where it is queued.
    #[inline]
    pub(super) fn due_rank(&self) -> Rank {
        if self.state.is_finished() {
            Rank::Finished
        } else if matches!(self.state, State::New | State::Syn) || !self.is_both_ways() {
            Rank::Young
        } else if self.packets.lower.min(self.packets.upper) < HELD_PACKETS {
            Rank::Light
        } else {
            Rank::Held
        }
    }

    #[inline]
    pub(super) const fn rank(&self) -> Rank {
        match self.marks >> mark::RANK_SHIFT {
            0 => Rank::Finished,
            1 => Rank::Young,
            2 => Rank::Light,
            _ => Rank::Held,
        }
    }

    pub(super) const fn set_rank(&mut self, rank: Rank) {
        let bits = match rank {
            Rank::Finished => 0,
            Rank::Young => 1,
            Rank::Light => 2,
            Rank::Held => 3,
        };
        self.marks = self.marks & !(3 << mark::RANK_SHIFT) | bits << mark::RANK_SHIFT;
    }

    #[inline]
    pub(super) const fn is(&self, mark: u16) -> bool {
        self.marks & mark != 0
    }

    #[inline]
    const fn is_both_ways(&self) -> bool {
        self.packets.lower != 0 && self.packets.upper != 0
    }

    /// Interface, VLAN, protocol, addresses and ports.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The end that opened it, as far as was seen.
    #[must_use]
    pub const fn initiator(&self) -> Side {
        if self.is(mark::FROM_UPPER) { Side::Upper } else { Side::Lower }
    }

    /// Packets by the end that sent them.
    #[must_use]
    pub const fn packets(&self) -> Sides<u64> {
        self.packets
    }

    /// Bytes on the wire by the end that sent them.
    #[must_use]
    pub const fn bytes(&self) -> Sides<u64> {
        self.bytes
    }

    /// Packets of both directions.
    #[must_use]
    pub const fn total_packets(&self) -> u64 {
        self.packets.lower.wrapping_add(self.packets.upper)
    }

    /// Bytes of both directions.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.bytes.lower.wrapping_add(self.bytes.upper)
    }

    /// Stamp of its earliest packet.
    #[must_use]
    pub const fn first_seen(&self) -> Tick {
        self.first
    }

    /// Stamp of its latest packet.
    #[must_use]
    pub const fn last_seen(&self) -> Tick {
        self.last
    }

    /// How far it has come.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Packets in both directions, TCP: past the handshake; finished or not.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        self.is_both_ways() && !matches!(self.state, State::New | State::Syn)
    }

    /// The outer datagrams of a tunnel: the same bytes are counted again in the flows inside it.
    #[must_use]
    pub const fn is_carrier(&self) -> bool {
        self.is(mark::CARRIER)
    }

    /// Most of its packets go past everything that could see them.
    #[must_use]
    pub const fn is_offloaded(&self) -> bool {
        self.is(mark::OFFLOADED)
    }

    /// Some of its packets were fragments.
    #[must_use]
    pub const fn has_fragments(&self) -> bool {
        self.is(mark::FRAGMENTS)
    }

    /// Which end is local and what the other one is.
    #[must_use]
    pub const fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Hardware address of each end (zero if never seen), from its first packet.
    #[must_use]
    pub const fn macs(&self) -> Sides<[u8; 6]> {
        self.macs
    }

    /// Time to live of the first packet of each end, 0 if none was seen.
    #[must_use]
    pub const fn ttl(&self) -> Sides<u8> {
        self.ttl
    }

    /// Type of service or traffic class of the first packet.
    #[must_use]
    pub const fn tos(&self) -> u8 {
        self.tos
    }

    /// ICMP and ICMPv6: type and code of the last message.
    #[must_use]
    pub const fn icmp(&self) -> Option<(u8, u8)> {
        match self.key.proto {
            ICMP | ICMPV6 => Some((self.flags.lower, self.flags.upper)),
            _ => None,
        }
    }

    /// TCP: all flags that each end has sent.
    #[must_use]
    pub const fn tcp_flags(&self) -> Sides<u8> {
        self.flags
    }

    /// The carrier it came in.
    #[must_use]
    pub const fn parent(&self) -> Option<FlowId> {
        FlowId::new(self.parent)
    }

    /// How it was carried.
    #[must_use]
    pub const fn tunnel(&self) -> Tunnel {
        self.tunnel
    }
}
