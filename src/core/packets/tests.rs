//! A session from order to end, without sockets.

use super::*;
use crate::filter::names::BuiltIn;
use crate::time::Wall;

const NOW: Clock = Clock { tick: Tick(5_000_000), wall: Wall(1_700_000_000_000_000) };

fn begin(packets: &mut Packets, order: Order) -> Result<SessionId, Refused> {
    packets.begin(order, 2, &BuiltIn, NOW, &mut Counters::default())
}

fn frame(data: &[u8]) -> RawFrame<'_> {
    let wire_len = u32::try_from(data.len()).unwrap();
    RawFrame { wall: NOW.wall, data, wire_len, ..RawFrame::EMPTY }
}

fn stream(packets: &mut Packets, id: SessionId) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = packets.next(id) {
        all.extend_from_slice(&chunk);
        packets.recycle(id, chunk);
    }
    all
}

fn blocks(mut bytes: &[u8]) -> Vec<u32> {
    let mut kinds = Vec::new();
    while let Some((head, _)) = bytes.split_first_chunk::<8>() {
        let word = |at: usize| u32::from_le_bytes(head[at..][..4].try_into().unwrap());
        kinds.push(word(0));
        bytes = &bytes[word(4) as usize..];
    }
    kinds
}

#[test]
fn a_session_tells_its_interfaces_then_its_packets_then_its_losses() {
    let mut packets = Packets::default();
    let mut counters = Counters::default();
    let id = begin(&mut packets, Order::default()).unwrap();
    let port = NewPort { name: "a0".to_owned(), ifindex: 3, hardware: 1, ..NewPort::default() };
    let a0 = packets.add_port(id, port, &NOW).unwrap();
    assert!(packets.opened(id, &NOW));
    assert_eq!(blocks(&stream(&mut packets, id)), [0x0a0d_0d0a, 1]);
    packets.counted(id, a0, 9, 7, &mut counters);
    packets.frames(id, a0, &[frame(&[1; 60]), frame(&[2; 61])], &NOW);
    packets.end(id, End::new(Ending::Gone, "over"), &NOW);
    let rest = stream(&mut packets, id);
    assert_eq!(blocks(&rest), [6, 6, 5]);
    // The loss stands with the first packet after it.
    assert!(rest.windows(12).any(|w| w == [4, 0, 8, 0, 7, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(packets.get(id).unwrap().figures().2, 7);
    assert_eq!(counters.packet_session_drops, 7);
    packets.close(id);
    assert_eq!(packets.state(id), None);
}

#[test]
fn there_are_no_more_sessions_than_ordered() {
    let mut packets = Packets::default();
    let first = begin(&mut packets, Order::default()).unwrap();
    begin(&mut packets, Order::default()).unwrap();
    assert_eq!(begin(&mut packets, Order::default()).unwrap_err().why, Why::Busy);
    packets.close(first);
    let next = begin(&mut packets, Order::default()).unwrap();
    assert_eq!(next.slot, first.slot);
    assert_eq!(packets.state(first), None);
}

#[test]
fn a_bad_filter_is_refused_with_its_position() {
    let order = Order { filter: "tcp prot 80".to_owned(), ..Order::default() };
    let refused = begin(&mut Packets::default(), order).unwrap_err();
    assert_eq!(refused.why, Why::Bad);
    assert!(refused.text.contains("at octet 4"), "{refused}");
}

#[test]
fn a_reader_that_is_slow_stops_the_sockets_and_loses_nothing_that_was_taken() {
    let mut packets = Packets::default();
    let id = begin(&mut packets, Order::default()).unwrap();
    let port = packets.add_port(id, NewPort::default(), &NOW).unwrap();
    packets.opened(id, &NOW);
    let mut count = 0;
    while packets.wants(id) {
        packets.frames(id, port, &[frame(&[0; 1_500])], &NOW);
        count += 1;
    }
    assert!(packets.get(id).unwrap().held() < 1 << 20);
    let kinds = blocks(&stream(&mut packets, id));
    assert_eq!(kinds.iter().filter(|kind| **kind == 6).count(), count);
    assert!(packets.wants(id));
}

#[test]
fn limits_end_a_session() {
    for limits in [
        Limits { packets: Some(2), ..Limits::default() },
        Limits { octets: Some(400), ..Limits::default() },
    ] {
        let mut packets = Packets::default();
        let id = begin(&mut packets, Order { limits, ..Order::default() }).unwrap();
        let port = packets.add_port(id, NewPort::default(), &NOW).unwrap();
        packets.opened(id, &NOW);
        packets.frames(id, port, &[frame(&[0; 100]); 9], &NOW);
        assert!(
            matches!(packets.state(id), Some(State::Over(end)) if end.ending == Ending::Complete)
        );
        assert_eq!(packets.get(id).unwrap().figures().0, 2);
    }
    let limits = Limits { micros: Some(1_000), ..Limits::default() };
    let mut packets = Packets::default();
    let id = begin(&mut packets, Order { limits, ..Order::default() }).unwrap();
    packets.opened(id, &NOW);
    packets.expire(&NOW);
    assert_eq!(packets.state(id), Some(&State::Open));
    let later = Clock { tick: packets.deadline().unwrap(), ..NOW };
    packets.expire(&later);
    assert!(matches!(packets.state(id), Some(State::Over(_))));
}

#[test]
fn a_classic_file_holds_one_link_type() {
    let mut packets = Packets::default();
    let order = Order { format: Format::Pcap, ..Order::default() };
    let id = begin(&mut packets, order).unwrap();
    let port = packets.add_port(id, NewPort::default(), &NOW).unwrap();
    let raw = NewPort { link: Some(crate::wire::link::LinkType::RAW), ..NewPort::default() };
    assert_eq!(packets.add_port(id, raw, &NOW), None);
    packets.opened(id, &NOW);
    packets.frames(id, port, &[frame(&[7; 60])], &NOW);
    let stream = stream(&mut packets, id);
    assert_eq!(stream.len(), 24 + 16 + 60);
    assert_eq!(stream[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
}
