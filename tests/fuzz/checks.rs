//! What each fuzz target does with its input. The tests of the package run the same over the
//! seeds, so that a seed which once crashed something stays fixed.

use portolan::source::file::Reader;
use portolan::wire::decode::Packet;
use portolan::wire::link::LinkType;

/// A link type in two bytes (little endian) and a frame: nothing is read beyond the frame.
pub(crate) fn packet(input: &[u8]) {
    let Some((link, frame)) = input.split_first_chunk() else {
        return;
    };
    decode(LinkType(u16::from_le_bytes(*link)), frame);
}

/// A capture file: it ends, and yields no more than it holds.
pub(crate) fn pcap_file(input: &[u8]) {
    let Ok(mut reader) = Reader::open(input) else {
        return;
    };
    let mut bytes = 0;
    while let Ok(Some(frame)) = reader.next_frame() {
        bytes += frame.data.len();
        decode(frame.link, frame.data);
    }
    assert!(reader.consumed() <= input.len() as u64);
    assert!(bytes <= input.len() || input.starts_with(&[0x1f, 0x8b]));
    assert!(matches!(reader.next_frame(), Ok(None)));
}

fn decode(link: LinkType, frame: &[u8]) {
    let mut packet = Packet::default();
    let _ = packet.decode(link, None, frame);
    if let Some(datagram) = packet.datagram {
        let end = datagram.payload_at as usize + datagram.payload_captured as usize;
        assert!(end <= frame.len());
        assert!(datagram.payload_captured <= datagram.payload_len);
        assert_eq!(packet.payload(frame).len(), datagram.payload_captured as usize);
    }
}
