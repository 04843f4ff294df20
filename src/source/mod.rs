//! Where frames come from, live or from a file, in one form.

use crate::time::Tick;
use crate::wire::link::{LinkType, VlanTag};

pub mod file;

/// One captured frame, borrowed from a ring block or a file mapping.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When it was captured.
    pub ts: Tick,
    /// Which interface saw it: the slot of the interface table, or the position of the
    /// interface description while a file is read.
    pub iface: u16,
    /// How to read `data`.
    pub link: LinkType,
    /// Which way it went through that interface.
    pub direction: Direction,
    /// A tag that the kernel took off.
    pub vlan: Option<VlanTag>,
    /// Bytes on the wire, link header and put-back VLAN tag included.
    pub wire_len: u32,
    /// The captured bytes.
    pub data: &'a [u8],
}

impl Frame<'_> {
    /// A frame of nothing, to fill an array of frames with.
    pub const EMPTY: Self = Self {
        ts: Tick(0),
        iface: 0,
        link: LinkType::ETHERNET,
        direction: Direction::Unknown,
        vlan: None,
        wire_len: 0,
        data: &[],
    };
}

/// Which way a frame went, as seen from the machine that captured it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Direction {
    /// Received, or switched through.
    In,
    /// Sent by this machine.
    Out,
    /// The file does not say.
    #[default]
    Unknown,
}
