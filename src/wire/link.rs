//! What a frame looks like from its first byte on: the link types of pcap files
//! (<https://www.tcpdump.org/linktypes.html>) that are understood, and VLAN tags beside the frame.

/// Link type of a capture, by its LINKTYPE_ number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: address family in the byte order of the machine that captured.
    pub const NULL: Self = Self(0);
    /// Ethernet II or 802.3.
    pub const ETHERNET: Self = Self(1);
    /// PPP, with or without HDLC framing.
    pub const PPP: Self = Self(9);
    /// PPP in HDLC-like framing.
    pub const PPP_HDLC: Self = Self(50);
    /// PPPoE session frames.
    pub const PPP_ETHER: Self = Self(51);
    /// IPv4 or IPv6, told apart by the first nibble.
    pub const RAW: Self = Self(101);
    /// Cisco HDLC.
    pub const C_HDLC: Self = Self(104);
    /// IEEE 802.11.
    pub const IEEE802_11: Self = Self(105);
    /// OpenBSD loopback: address family in network order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked capture, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// IEEE 802.11 with a radiotap header before it.
    pub const RADIOTAP: Self = Self(127);
    /// Per-packet information header.
    pub const PPI: Self = Self(192);
    /// Bare IPv4.
    pub const IPV4: Self = Self(228);
    /// Bare IPv6.
    pub const IPV6: Self = Self(229);
    /// Linux cooked capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

/// A VLAN tag that the kernel or the card took off the frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VlanTag {
    /// Priority, DEI and the 12-bit VLAN id.
    pub tci: u16,
    /// 0x8100 (802.1Q) or 0x88A8 (802.1ad).
    pub tpid: u16,
}

impl VlanTag {
    /// The VLAN id, 0 to 4095.
    #[must_use]
    pub const fn id(self) -> u16 {
        self.tci & 0x0fff
    }

    /// Writes `frame`, an Ethernet frame that lost this tag, into `out` with the tag back behind
    /// the hardware addresses. A frame too short for addresses is copied as it is.
    pub fn put_back(self, frame: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.reserve(frame.len().saturating_add(4));
        self.append(frame, out);
    }

    /// The same behind what is in `out` already.
    #[inline]
    pub fn append(self, frame: &[u8], out: &mut Vec<u8>) {
        let Some((addresses, rest)) = frame.split_at_checked(12) else {
            out.extend_from_slice(frame);
            return;
        };
        out.extend_from_slice(addresses);
        out.extend_from_slice(&self.tpid.to_be_bytes());
        out.extend_from_slice(&self.tci.to_be_bytes());
        out.extend_from_slice(rest);
    }
}
