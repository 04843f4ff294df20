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
    packets.frames(id, a0, &[frame(&[1; 60]), frame(&[2; 61])], &mut Hosts::default(), &NOW);
    packets.end(id, End::new(Ending::Gone, "over"), &NOW);
    let rest = stream(&mut packets, id);
    assert_eq!(blocks(&rest), [6, 6, 5]);
    // The last statistics say why it is over.
    let last = rest.len() - u32::from_le_bytes(rest[rest.len() - 4..].try_into().unwrap()) as usize;
    assert_eq!(crate::wire::pcapng::cut::remark(&rest[last..]), Some("over"));
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
        packets.frames(id, port, &[frame(&[0; 1_500])], &mut Hosts::default(), &NOW);
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
        packets.frames(id, port, &[frame(&[0; 100]); 9], &mut Hosts::default(), &NOW);
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
    packets.frames(id, port, &[frame(&[7; 60])], &mut Hosts::default(), &NOW);
    let stream = stream(&mut packets, id);
    assert_eq!(stream.len(), 24 + 16 + 60);
    assert_eq!(stream[..4], [0x4d, 0x3c, 0xb2, 0xa1]);
}

/// An Ethernet frame of a TCP segment with 100 octets of payload.
fn segment() -> Vec<u8> {
    let ip = [0x45, 0, 0, 140, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let tcp = [0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
    [&[2; 12][..], &[8, 0], &ip, &tcp, &[7; 100]].concat()
}

/// Captured and original length of each packet of a stream.
fn lengths(mut bytes: &[u8]) -> Vec<(u32, u32)> {
    let mut lengths = Vec::new();
    while let Some((head, _)) = bytes.split_first_chunk::<8>() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..][..4].try_into().unwrap());
        if head[0] == 6 {
            lengths.push((word(20), word(24)));
        }
        bytes = &bytes[word(4) as usize..];
    }
    lengths
}

#[test]
fn what_is_left_out_on_purpose_is_no_loss() {
    let mut packets = Packets::default();
    let thinning = Thinning { sample: Some(4), headers: true, rate: None };
    let id = begin(&mut packets, Order { thinning, ..Order::default() }).unwrap();
    let a = packets.add_port(id, NewPort::default(), &NOW).unwrap();
    let b = packets.add_port(id, NewPort::default(), &NOW).unwrap();
    packets.opened(id, &NOW);
    let bytes = segment();
    packets.counted(id, a, 6, 0, &mut Counters::default());
    packets.frames(id, a, &[frame(&bytes); 6], &mut Hosts::default(), &NOW);
    // Each interface is sampled by itself.
    packets.frames(id, b, &[frame(&bytes); 3], &mut Hosts::default(), &NOW);
    let ports = packets.get(id).unwrap().ports();
    assert_eq!((ports[0].accepted, ports[0].delivered, ports[0].lost), (6, 2, 0));
    assert_eq!(ports[1].delivered, 1);
    assert_eq!(lengths(&stream(&mut packets, id)), [(54, 154); 3]);
}

#[test]
fn a_tag_that_was_taken_off_is_kept_with_the_headers_and_within_the_snap_length() {
    let tag = crate::wire::link::VlanTag { tci: 9, tpid: 0x8100 };
    let bytes = segment();
    for (snaplen, headers, expected) in [(SNAPLEN, true, 58), (40, true, 40), (56, false, 56)] {
        let mut packets = Packets::default();
        let thinning = Thinning { headers, ..Thinning::default() };
        let id = begin(&mut packets, Order { thinning, snaplen, ..Order::default() }).unwrap();
        let port = packets.add_port(id, NewPort::default(), &NOW).unwrap();
        packets.opened(id, &NOW);
        let raw = RawFrame { vlan: Some(tag), ..frame(&bytes) };
        packets.frames(id, port, &[raw], &mut Hosts::default(), &NOW);
        assert_eq!(lengths(&stream(&mut packets, id)), [(expected, 158)]);
    }
}

#[test]
fn a_cooked_frame_is_cut_behind_its_headers_by_its_protocol() {
    let mut packets = Packets::default();
    let thinning = Thinning { headers: true, ..Thinning::default() };
    let id = begin(&mut packets, Order { thinning, ..Order::default() }).unwrap();
    let new = NewPort { cooked: true, ..NewPort::default() };
    let port = packets.add_port(id, new, &NOW).unwrap();
    packets.opened(id, &NOW);
    let bytes = segment();
    let ip = RawFrame { protocol: 0x0800, ..frame(&bytes[14..]) };
    let other = RawFrame { protocol: 0x8899, ..ip };
    packets.frames(id, port, &[ip, other], &mut Hosts::default(), &NOW);
    assert_eq!(lengths(&stream(&mut packets, id)), [(60, 160), (148, 160)]);
}

#[test]
fn a_rate_holds_over_all_interfaces() {
    let mut packets = Packets::default();
    let thinning = Thinning { rate: Some(100), ..Thinning::default() };
    let id = begin(&mut packets, Order { thinning, ..Order::default() }).unwrap();
    let ports = [0; 2].map(|_| packets.add_port(id, NewPort::default(), &NOW).unwrap());
    packets.opened(id, &NOW);
    for n in 0..2_000 {
        let wall = Wall(NOW.wall.0 + n * 1_000);
        let nanos = u32::try_from(wall.0 % 1_000_000 * 1_000).unwrap();
        packets.frames(
            id,
            ports[n as usize % 2],
            &[RawFrame { wall, nanos, ..frame(&[0; 60]) }],
            &mut Hosts::default(),
            &NOW,
        );
    }
    let (count, _, lost) = packets.get(id).unwrap().figures();
    assert!((200..=220).contains(&count), "{count}");
    assert_eq!(lost, 0);
}

/// A DNS answer from 10.0.0.53: `host.test` is at 10.0.0.1.
fn answer() -> Vec<u8> {
    let question = b"\x04host\x04test\x00\x00\x01\x00\x01";
    let record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x09\x00\x04\x0a\x00\x00\x01";
    let dns = [&[0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0][..], question, record].concat();
    let len = u8::try_from(dns.len()).unwrap();
    let (udp, all) = (len.saturating_add(8), len.saturating_add(28));
    let ip = [0x45, 0, 0, all, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 53, 10, 0, 0, 9];
    [&[2; 12][..], &[8, 0], &ip, &[0, 53, 4, 0, 0, udp, 0, 0], &dns].concat()
}

#[test]
fn names_that_are_learnt_stand_before_the_packets_of_their_hosts() {
    let mut packets = Packets::default();
    let mut hosts = Hosts::default();
    let id = begin(&mut packets, Order::default()).unwrap();
    let port = packets.add_port(id, NewPort::default(), &NOW).unwrap();
    packets.opened(id, &NOW);
    stream(&mut packets, id);
    let (answer, segment) = (answer(), segment());
    let raws = [frame(&segment), frame(&answer), frame(&segment), frame(&segment)];
    packets.frames(id, port, &raws, &mut hosts, &NOW);
    let all = stream(&mut packets, id);
    assert_eq!(blocks(&all), [6, 6, 4, 6, 6]);
    assert!(all.windows(14).any(|w| w == b"\x0a\0\0\x01host.test\0"));
    // A session that begins later says it with the first packet.
    let id = begin(&mut packets, Order::default()).unwrap();
    let port = packets.add_port(id, NewPort::default(), &NOW).unwrap();
    packets.opened(id, &NOW);
    stream(&mut packets, id);
    packets.frames(id, port, &[frame(&segment)], &mut hosts, &NOW);
    assert_eq!(blocks(&stream(&mut packets, id)), [4, 6]);
    hosts.set_enabled(false);
    packets.frames(id, port, &[frame(&answer)], &mut hosts, &NOW);
    assert!(hosts.is_empty());
}
