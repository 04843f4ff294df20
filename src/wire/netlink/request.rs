//! Requests to the kernel.

use super::{
    ATTRIBUTE_LEN, FLAG_DUMP, FLAG_REQUEST, GET_ADDRESS, GET_LINK, GET_NAMESPACE_ID, GET_NEIGHBOUR,
    GET_ROUTE, Neighbour, aligned,
};

/// A request under construction: a header, a fixed part, attributes.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// All interfaces, with the virtual functions of cards.
    #[must_use]
    pub fn dump_links(sequence: u32) -> Vec<u8> {
        // IFLA_EXT_MASK: RTEXT_FILTER_VF.
        let request = Self::new(GET_LINK, FLAG_DUMP, sequence, &[0; 16]);
        request.attribute(29, &1_u32.to_ne_bytes()).finish()
    }

    /// All addresses of all interfaces, both families.
    #[must_use]
    pub fn dump_addresses(sequence: u32) -> Vec<u8> {
        Self::new(GET_ADDRESS, FLAG_DUMP, sequence, &[0; 8]).finish()
    }

    /// All neighbours, both families.
    #[must_use]
    pub fn dump_neighbours(sequence: u32) -> Vec<u8> {
        Self::new(GET_NEIGHBOUR, FLAG_DUMP, sequence, &[0; 12]).finish()
    }

    /// All entries of forwarding databases.
    #[must_use]
    pub fn dump_forwarding(sequence: u32) -> Vec<u8> {
        let mut fixed = [0; 12];
        let [family, ..] = &mut fixed;
        *family = Neighbour::BRIDGE;
        Self::new(GET_NEIGHBOUR, FLAG_DUMP, sequence, &fixed).finish()
    }

    /// The number that the namespace behind a descriptor has in the one of the socket.
    #[must_use]
    pub fn namespace_id(sequence: u32, descriptor: i32) -> Vec<u8> {
        // NETNSA_FD.
        let request = Self::new(GET_NAMESPACE_ID, 0, sequence, &[0; 4]);
        request.attribute(3, &descriptor.to_ne_bytes()).finish()
    }

    /// All routes, both families.
    #[must_use]
    pub fn dump_routes(sequence: u32) -> Vec<u8> {
        Self::new(GET_ROUTE, FLAG_DUMP, sequence, &[0; 12]).finish()
    }

    /// One interface, for fresh statistics.
    #[must_use]
    pub fn link(sequence: u32, ifindex: u32) -> Vec<u8> {
        let mut fixed = [0; 16];
        let (_, tail) = fixed.split_at_mut(4);
        for (to, from) in tail.iter_mut().zip(ifindex.to_ne_bytes()) {
            *to = from;
        }
        Self::new(GET_LINK, 0, sequence, &fixed).finish()
    }

    /// Begins a request of any type.
    #[must_use]
    pub fn new(kind: u16, flags: u16, sequence: u32, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&(flags | FLAG_REQUEST).to_ne_bytes());
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(fixed);
        bytes.resize(aligned(bytes.len()), 0);
        Self { bytes }
    }

    /// Adds an attribute; contents above what an attribute can hold are left out whole.
    #[must_use]
    pub fn attribute(mut self, kind: u16, contents: &[u8]) -> Self {
        let Ok(len) = u16::try_from(contents.len().saturating_add(ATTRIBUTE_LEN)) else {
            return self;
        };
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(contents);
        self.bytes.resize(aligned(self.bytes.len()), 0);
        self
    }

    /// Writes the length and hands the bytes out.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        for (to, from) in self.bytes.iter_mut().zip(len.to_ne_bytes()) {
            *to = from;
        }
        self.bytes
    }
}
