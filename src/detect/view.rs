//! What a dissector is shown of a flow: this datagram, or for TCP the beginning of both halves of
//! the stream; the ends; and a glimpse of the packets before.

use std::cell::Cell;

use super::cursor::Cursor;
use super::dissector::Verdict;
use super::protocol::Protocol;

/// What carries the payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// TCP: a stream in each direction.
    Tcp,
    /// UDP or UDP-Lite: datagrams.
    Udp,
}

/// Octets of an earlier packet that are remembered.
pub(super) const GLIMPSE: usize = 20;

/// What is remembered of an earlier packet with payload.
#[derive(Clone, Copy, Debug, Default)]
pub struct Glimpse {
    /// The client sent it.
    pub from_client: bool,
    /// Octets of payload that it had.
    pub len: u16,
    /// The first of them, zero beyond their end.
    pub head: [u8; GLIMPSE],
}

/// Octets that a dissector of datagrams may put away.
pub(super) const MAX_MEMORY: usize = 4 * 1024;

/// What a dissector puts away from datagram to datagram, in a form of its own: pieces of a message
/// that came in several. Only that of the dissector that took the flow outlasts a packet.
#[derive(Default)]
pub struct Memory(Cell<Vec<u8>>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

impl Memory {
    /// Takes out what is there, for reading or for more to be put to it.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        self.0.take()
    }

    /// Puts it away for the next packet; what is beyond the cap is cut off.
    pub fn put(&self, mut octets: Vec<u8>) {
        octets.truncate(MAX_MEMORY);
        self.0.set(octets);
    }

    /// Forgets, but keeps the room.
    pub(super) fn clear(&self) {
        let mut octets = self.0.take();
        octets.clear();
        self.0.set(octets);
    }

    /// Octets of memory that it takes.
    pub(super) const fn held(&mut self) -> usize {
        self.0.get_mut().capacity()
    }
}

/// An inspected packet, with what came before it.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What carries it.
    pub transport: Transport,
    /// The client (who opened the flow, as far as was seen) sent this packet.
    pub from_client: bool,
    /// UDP: this datagram's payload. TCP: all that this end has sent so far, put in order, from
    /// the beginning of its half of the stream; at most what is kept.
    pub data: &'a [u8],
    /// TCP: the same of the other end. UDP: empty.
    pub other: &'a [u8],
    /// UDP: octets of payload that the headers announce, more than `data` has if the capture cut
    /// it. TCP: of `data`.
    pub len: usize,
    /// TCP: `data` begins where the stream began; `false` if the flow was picked up in the middle.
    /// UDP: always.
    pub is_start: bool,
    /// Port of the client.
    pub client_port: u16,
    /// Port of the server.
    pub server_port: u16,
    /// Address of the client; IPv4 in the first four octets.
    pub client: &'a [u8; 16],
    /// Address of the server; IPv4 in the first four octets.
    pub server: &'a [u8; 16],
    /// 4 or 6.
    pub ip_version: u8,
    /// Earlier packets with payload of this flow, oldest first: at most 8, the first ones.
    pub past: &'a [Glimpse],
    /// Packets with payload so far, this one among them.
    pub number: u8,
    /// What this dissector put away at earlier datagrams; empty until it has taken the flow.
    pub memory: &'a Memory,
}

impl<'a> View<'a> {
    /// It is TCP.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        self.transport == Transport::Tcp
    }

    /// It is UDP.
    #[must_use]
    pub fn is_udp(&self) -> bool {
        self.transport == Transport::Udp
    }

    /// One of the ends has this port.
    #[must_use]
    pub const fn has_port(&self, port: u16) -> bool {
        self.client_port == port || self.server_port == port
    }

    /// TCP: what the client has sent so far. UDP: this datagram if the client sent it.
    #[must_use]
    pub const fn from_client(&self) -> &'a [u8] {
        if self.from_client { self.data } else { self.other }
    }

    /// TCP: what the server has sent so far. UDP: this datagram if the server sent it.
    #[must_use]
    pub const fn from_server(&self) -> &'a [u8] {
        if self.from_client { self.other } else { self.data }
    }

    /// Reads the data.
    #[must_use]
    pub(super) const fn cursor(&self) -> Cursor<'a> {
        Cursor::new(self.data)
    }

    /// What to say while too little has come: of a stream more may follow, of a datagram not.
    #[must_use]
    pub fn short(&self) -> Verdict {
        if self.is_tcp() { Verdict::Wait } else { Verdict::No }
    }

    /// The verdict of a check that was made: `None` if there were too few octets for it.
    #[must_use]
    pub fn judge(&self, protocol: Protocol, fits: Option<bool>) -> Verdict {
        match fits {
            Some(true) => Verdict::Is(protocol),
            Some(false) => Verdict::No,
            None => self.short(),
        }
    }

    /// Octets at a place of the data.
    #[must_use]
    pub fn at<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.data.get(at..)?.first_chunk::<N>().copied()
    }

    /// Two octets at a place of the data, most significant first.
    #[must_use]
    pub fn u16_at(&self, at: usize) -> Option<u16> {
        self.at(at).map(u16::from_be_bytes)
    }

    /// Four octets at a place of the data, most significant first.
    #[must_use]
    pub fn u32_at(&self, at: usize) -> Option<u32> {
        self.at(at).map(u32::from_be_bytes)
    }

    /// The data begins with this.
    #[must_use]
    pub fn starts(&self, with: &[u8]) -> bool {
        self.data.starts_with(with)
    }

    /// The first octet of the data.
    #[must_use]
    pub fn first(&self) -> Option<u8> {
        self.data.first().copied()
    }

    /// A stream of which fewer octets than this have come.
    #[must_use]
    pub fn is_short(&self, len: usize) -> bool {
        self.is_tcp() && self.data.len() < len
    }

    /// The protocol if the data begins with its magic octets; of a stream that may come to do so,
    /// wait.
    #[must_use]
    pub fn opens(&self, magic: &[u8], protocol: Protocol) -> Verdict {
        if self.starts(magic) {
            Verdict::Is(protocol)
        } else if self.is_short(magic.len()) && magic.starts_with(self.data) {
            Verdict::Wait
        } else {
            Verdict::No
        }
    }

    /// Two octets at a place of the data, least significant first.
    #[must_use]
    pub fn u16_le_at(&self, at: usize) -> Option<u16> {
        self.at(at).map(u16::from_le_bytes)
    }

    /// Four octets at a place of the data, least significant first.
    #[must_use]
    pub fn u32_le_at(&self, at: usize) -> Option<u32> {
        self.at(at).map(u32::from_le_bytes)
    }

    /// A length of 16 bits at a place, most significant first, says how many octets there are,
    /// with `more` that it does not count.
    #[must_use]
    pub fn is_counted16(&self, at: usize, more: usize) -> bool {
        self.u16_at(at).is_some_and(|len| usize::from(len).saturating_add(more) == self.len)
    }

    /// The same, least significant octet first.
    #[must_use]
    pub fn is_counted16_le(&self, at: usize, more: usize) -> bool {
        self.u16_le_at(at).is_some_and(|len| usize::from(len).saturating_add(more) == self.len)
    }

    /// A length of 32 bits at a place, most significant first, says how many octets there are,
    /// with `more` that it does not count.
    #[must_use]
    pub fn is_counted32(&self, at: usize, more: usize) -> bool {
        let len = self.u32_at(at).and_then(|len| usize::try_from(len).ok());
        len.is_some_and(|len| len.saturating_add(more) == self.len)
    }

    /// The same, least significant octet first.
    #[must_use]
    pub fn is_counted32_le(&self, at: usize, more: usize) -> bool {
        let len = self.u32_le_at(at).and_then(|len| usize::try_from(len).ok());
        len.is_some_and(|len| len.saturating_add(more) == self.len)
    }
}
