//! Frames for the tests of this room.

/// The one end of the conversations: hardware address and IP address.
pub(super) const A: ([u8; 6], [u8; 4]) = ([2, 0, 0, 0, 0, 1], [10, 0, 0, 1]);

/// The other end.
pub(super) const B: ([u8; 6], [u8; 4]) = ([2, 0, 0, 0, 0, 2], [10, 0, 0, 2]);

/// An Ethernet frame.
pub(super) fn ethernet(src: [u8; 6], dst: [u8; 6], kind: u16, body: &[u8]) -> Vec<u8> {
    [&dst[..], &src, &kind.to_be_bytes(), body].concat()
}

/// An IPv4 packet.
pub(super) fn packet(src: [u8; 4], dst: [u8; 4], protocol: u8, body: &[u8]) -> Vec<u8> {
    fragment(src, dst, protocol, 1, 0, body)
}

/// An IPv4 packet with identification and fragment field.
pub(super) fn fragment(
    src: [u8; 4],
    dst: [u8; 4],
    protocol: u8,
    id: u16,
    place: u16,
    body: &[u8],
) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().saturating_add(20);
    let [l0, l1] = len.to_be_bytes();
    let ([i0, i1], [p0, p1]) = (id.to_be_bytes(), place.to_be_bytes());
    let header = [0x45, 0, l0, l1, i0, i1, p0, p1, 64, protocol, 0, 0];
    [&header[..], &src, &dst, body].concat()
}

/// An IPv4 packet in an Ethernet frame.
pub(super) fn ipv4(
    src_mac: [u8; 6],
    dst_mac: [u8; 6],
    src: [u8; 4],
    dst: [u8; 4],
    protocol: u8,
    body: &[u8],
) -> Vec<u8> {
    ethernet(src_mac, dst_mac, 0x0800, &packet(src, dst, protocol, body))
}

/// From A to B, or back with the ports the other way round.
pub(super) fn datagram(back: bool, protocol: u8, body: &[u8]) -> Vec<u8> {
    let (from, to) = if back { (B, A) } else { (A, B) };
    ipv4(from.0, to.0, from.1, to.1, protocol, body)
}

/// A TCP segment from A's port `a` to B's port `b`, or back.
pub(super) fn tcp(
    back: bool,
    a: u16,
    b: u16,
    flags: u8,
    seq: u32,
    ack: u32,
    payload: &[u8],
) -> Vec<u8> {
    let (sport, dport) = if back { (b, a) } else { (a, b) };
    let mut segment = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
    segment.extend_from_slice(&seq.to_be_bytes());
    segment.extend_from_slice(&ack.to_be_bytes());
    segment.extend_from_slice(&[0x50, flags, 2, 0, 0, 0, 0, 0]);
    segment.extend_from_slice(payload);
    datagram(back, 6, &segment)
}

/// A UDP datagram from A's port `a` to B's port `b`, or back.
pub(super) fn udp(back: bool, a: u16, b: u16, payload: &[u8]) -> Vec<u8> {
    let (sport, dport) = if back { (b, a) } else { (a, b) };
    let len = u16::try_from(payload.len()).unwrap().saturating_add(8);
    let header = [sport, dport, len, 0].map(u16::to_be_bytes).concat();
    datagram(back, 17, &[&header[..], payload].concat())
}
