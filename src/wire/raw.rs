//! Frames as a packet socket hands them out (packet(7)), before anything is made of them.

use crate::time::Wall;
use crate::wire::link::VlanTag;

/// One frame as the kernel gave it, borrowed from the ring or the batch.
#[derive(Clone, Copy, Debug)]
pub struct RawFrame<'a> {
    /// When the kernel saw it.
    pub wall: Wall,
    /// Nanoseconds of that stamp within its second.
    pub nanos: u32,
    /// The captured bytes.
    pub data: &'a [u8],
    /// Bytes on the wire, without a tag that was taken off.
    pub wire_len: u32,
    /// The tag that the card or the kernel took off.
    pub vlan: Option<VlanTag>,
    /// EtherType, the only hint at the content when the link header is cut off.
    pub protocol: u16,
    /// Where it was going.
    pub kind: Kind,
    /// Number of the interface that it passed.
    pub ifindex: u32,
    /// What is known of its checksum.
    pub checksum: Checksum,
    /// Frames were lost since the loss counters were last read.
    pub losing: bool,
}

impl RawFrame<'_> {
    /// A frame of nothing, to fill an array of frames with.
    pub const EMPTY: Self = Self {
        wall: Wall(0),
        nanos: 0,
        data: &[],
        wire_len: 0,
        vlan: None,
        protocol: 0,
        kind: Kind::HOST,
        ifindex: 0,
        checksum: Checksum::Unknown,
        losing: false,
    };
}

/// The packet type of a frame (`PACKET_HOST` and the rest, linux/if_packet.h).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kind(pub u8);

impl Kind {
    /// Addressed to this machine.
    pub const HOST: Self = Self(0);
    /// Link-layer broadcast.
    pub const BROADCAST: Self = Self(1);
    /// Link-layer multicast.
    pub const MULTICAST: Self = Self(2);
    /// Addressed to another machine: bridged, or seen by promiscuous mode.
    pub const OTHER_HOST: Self = Self(3);
    /// Sent by this machine.
    pub const OUTGOING: Self = Self(4);
}

/// What the kernel says of the transport checksum of a frame.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Checksum {
    /// It was left to the card, which has not filled it in yet.
    NotReady,
    /// Nothing.
    #[default]
    Unknown,
    /// It was found right.
    Valid,
}
