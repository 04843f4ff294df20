use proptest::prelude::*;

use super::*;

const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
const HELLO: &[u8] = b"hello";

fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&MACS.0, &MACS.1, &kind.to_be_bytes(), payload])
}

fn tag(id: u16, kind: u16, payload: &[u8]) -> Vec<u8> {
    join(&[&(0xe000 | id).to_be_bytes(), &kind.to_be_bytes(), payload])
}

fn ipv4_with(id: u16, fragment: u16, proto: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let (id, fragment) = (id.to_be_bytes(), fragment.to_be_bytes());
    let start = [0x45, 0xb8, len[0], len[1], id[0], id[1], fragment[0], fragment[1], 64, proto];
    join(&[&start, &[0, 0, 10, 0, 0, 1, 10, 0, 0, 2], payload])
}

fn ipv4(proto: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(0, 0, proto, payload)
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let start = [0x6b, 0x80, 0, 0, len[0], len[1], next, 63];
    let address = |last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    join(&[&start, &address(1), &address(2), payload])
}

fn udp(sport: u16, dport: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap().to_be_bytes();
    join(&[&sport.to_be_bytes(), &dport.to_be_bytes(), &len, &[0, 0], payload])
}

fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    let offset = u8::try_from((20 + options.len()) / 4 * 16).unwrap();
    let start = [0x30, 0x39, 0, 80, 0, 0, 0, 7, 0, 0, 0, 9, offset, 0x18, 1, 0, 0, 0, 0, 0];
    join(&[&start, options, payload])
}

/// A datagram of 10.0.0.1:1000 → 10.0.0.2:53 that says hello.
fn inner() -> Vec<u8> {
    ipv4(17, &udp(1000, 53, HELLO))
}

fn try_decode(link: LinkType, frame: &[u8]) -> (Packet, Result<(), Error>) {
    let mut packet = Packet::default();
    let result = packet.decode(link, None, frame);
    (packet, result)
}

fn decode(link: LinkType, frame: &[u8]) -> Packet {
    let (packet, result) = try_decode(link, frame);
    assert_eq!(result, Ok(()), "{packet:?}");
    packet
}

/// Expects `inner()` to be found, and returns the tunnels of the datagrams around it.
fn carried(frame: &[u8]) -> (Tunnel, Vec<(u8, Tunnel)>) {
    let packet = decode(LinkType::ETHERNET, frame);
    assert_eq!(packet.payload(frame), HELLO, "{packet:?}");
    assert_eq!(ports(&packet), (17, 1000, 53));
    assert_eq!(packet.macs, Some(MACS));
    let around = packet.carriers().iter().map(|carrier| (carrier.tuple.proto, carrier.tunnel));
    (packet.tunnel, around.collect())
}

/// Protocol and ports of the innermost datagram.
fn ports(packet: &Packet) -> (u8, u16, u16) {
    let tuple = packet.datagram.unwrap().tuple;
    (tuple.proto, tuple.sport, tuple.dport)
}

#[test]
fn a_tcp_segment_is_described_without_the_padding_of_its_frame() {
    let frame = ethernet(0x0800, &join(&[&ipv4(6, &tcp(&[1, 1, 1, 0], b"GET")), &[0; 9]]));
    let packet = decode(LinkType::ETHERNET, &frame);
    assert_eq!((packet.macs, packet.vlan, packet.ethertype), (Some(MACS), 0, 0x0800));
    let datagram = packet.datagram.unwrap();
    assert_eq!(&datagram.tuple.src[..5], &[10, 0, 0, 1, 0]);
    assert_eq!(&datagram.tuple.dst[..5], &[10, 0, 0, 2, 0]);
    assert_eq!(ports(&packet), (6, 12345, 80));
    assert_eq!((datagram.tuple.version, datagram.ttl, datagram.tos), (4, 64, 0xb8));
    let facts = Tcp { seq: 7, ack: 9, flags: 0x18, window: 256 };
    assert_eq!(datagram.transport, Transport::Tcp(facts));
    assert_eq!((datagram.payload_len, datagram.payload_captured), (3, 3));
    assert_eq!(packet.payload(&frame), b"GET");
    assert!(!packet.truncated);
    assert_eq!((packet.tunnel, packet.carriers()), (Tunnel::None, &[][..]));
}

#[test]
fn a_reused_packet_keeps_nothing_of_the_frame_before() {
    let mut packet = Packet::default();
    let tunnel = ethernet(0x8100, &tag(7, 0x0800, &ipv4(4, &inner())));
    packet.decode(LinkType::ETHERNET, None, &tunnel).unwrap();
    assert_eq!((packet.vlan, packet.carriers().len()), (7, 1));
    assert_eq!(packet.decode(LinkType::ETHERNET, None, &[0; 5]), Err(Error::Malformed));
    assert!(packet.truncated && packet.datagram.is_none() && packet.macs.is_none());
    assert_eq!((packet.vlan, packet.ethertype, packet.tunnel), (0, 0, Tunnel::None));
    assert_eq!(packet.carriers(), &[]);
}

#[test]
fn ipv6_carries_its_traffic_class_and_hop_limit() {
    let packet = decode(LinkType::ETHERNET, &ethernet(0x86dd, &ipv6(17, &udp(5, 6, HELLO))));
    let datagram = packet.datagram.unwrap();
    assert_eq!((datagram.tuple.version, datagram.ttl, datagram.tos), (6, 63, 0xb8));
    assert_eq!((datagram.tuple.src[15], datagram.tuple.dst[15]), (1, 2));
    assert_eq!((ports(&packet), datagram.transport), ((17, 5, 6), Transport::Udp));
}

#[test]
fn a_cut_frame_says_how_much_there_was() {
    let frame = ethernet(0x0800, &ipv4(6, &tcp(&[1; 12], &[7; 100])));
    let packet = decode(LinkType::ETHERNET, &frame[..96]);
    let datagram = packet.datagram.unwrap();
    assert_eq!((datagram.payload_len, datagram.payload_captured), (100, 30));
    assert!(packet.truncated);
    // In the middle of the options the fixed header is still good.
    let packet = decode(LinkType::ETHERNET, &frame[..58]);
    let datagram = packet.datagram.unwrap();
    assert!(matches!(datagram.transport, Transport::Tcp(_)));
    assert_eq!((datagram.payload_len, datagram.payload_captured), (100, 0));
    // Ports alone.
    let packet = decode(LinkType::ETHERNET, &frame[..40]);
    assert_eq!(packet.datagram.unwrap().transport, Transport::Other);
    assert_eq!(ports(&packet), (6, 12345, 80));
    assert_eq!(try_decode(LinkType::ETHERNET, &frame[..33]).1, Err(Error::Malformed));
}

#[test]
fn a_total_length_of_zero_means_all_there_is() {
    let mut frame = ethernet(0x0800, &ipv4(6, &tcp(&[], &[7; 3000])));
    frame[16..18].fill(0);
    assert_eq!(decode(LinkType::ETHERNET, &frame).payload(&frame), [7; 3000]);
    let mut frame = ethernet(0x86dd, &ipv6(6, &tcp(&[], &[7; 3000])));
    frame[18..20].fill(0);
    assert_eq!(decode(LinkType::ETHERNET, &frame).payload(&frame), [7; 3000]);
}

#[test]
fn lying_lengths_cost_the_layers_above() {
    let mut frame = ethernet(0x0800, &inner());
    frame[16..18].copy_from_slice(&[0, 19]);
    let packet = decode(LinkType::ETHERNET, &frame);
    assert_eq!(ports(&packet), (17, 0, 0));
    let mut frame = ethernet(0x0800, &inner());
    for len in [0, 7, 14, 255] {
        frame[39] = len;
        assert_eq!(decode(LinkType::ETHERNET, &frame).payload(&frame), HELLO, "{len}");
    }
    frame[39] = 10;
    assert_eq!(decode(LinkType::ETHERNET, &frame).payload(&frame), b"he");
    frame[14] = 0x44;
    assert_eq!(try_decode(LinkType::ETHERNET, &frame).1, Err(Error::Malformed));
}

#[test]
fn fragments_are_told_apart() {
    let first = ethernet(0x0800, &ipv4_with(0xbeef, 0x2000, 17, &udp(5, 4789, &[8; 60])));
    let packet = decode(LinkType::ETHERNET, &first);
    assert_eq!(packet.datagram.unwrap().fragment, Fragment::First(0xbeef));
    assert_eq!(ports(&packet), (17, 5, 4789));
    let later = ethernet(0x0800, &ipv4_with(0xbeef, 0x00b9, 17, &[8; 60]));
    let packet = decode(LinkType::ETHERNET, &later);
    let datagram = packet.datagram.unwrap();
    assert_eq!(datagram.fragment, Fragment::Later(0xbeef));
    assert_eq!((ports(&packet), datagram.transport), ((17, 0, 0), Transport::Other));
    assert_eq!(datagram.payload_len, 60);

    let header = |offset: u8, more: u8| [17, 0, 0, offset | more, 0xde, 0xad, 0xbe, 0xef];
    for (offset, more, fragment) in [
        (0, 0, Fragment::Whole),
        (0, 1, Fragment::First(0xdead_beef)),
        (8, 0, Fragment::Later(0xdead_beef)),
    ] {
        let body = join(&[&header(offset, more), &udp(5, 6, HELLO)]);
        let packet = decode(LinkType::ETHERNET, &ethernet(0x86dd, &ipv6(44, &body)));
        assert_eq!(packet.datagram.unwrap().fragment, fragment);
        assert_eq!(ports(&packet).1, if offset == 0 { 5 } else { 0 });
    }
}

#[test]
fn a_first_fragment_of_a_tunnel_shows_what_is_inside() {
    let large = ipv4(17, &udp(1000, 53, &[7; 1400]));
    let gre = join(&[&[0, 0, 8, 0], &large]);
    let packet =
        decode(LinkType::ETHERNET, &ethernet(0x0800, &ipv4_with(1, 0x2000, 47, &gre[..800])));
    assert_eq!(ports(&packet), (17, 1000, 53));
    assert_eq!(packet.datagram.unwrap().payload_len, 1400);
}

#[test]
fn eight_extension_headers_are_read_and_nine_are_too_many() {
    let chain = |count: u8| {
        let mut body = udp(5, 6, HELLO);
        let mut next = 17;
        for kind in (0..count).map(|at| [60, 43, 51][usize::from(at % 3)]) {
            // Eight bytes, or the twelve that make an AH of the least length.
            let header: &[u8] = if kind == 51 { &[0; 12] } else { &[0; 8] };
            let mut header = header.to_vec();
            (header[0], header[1]) = (next, u8::from(kind == 51));
            body = join(&[&header, &body]);
            next = kind;
        }
        ethernet(0x86dd, &ipv6(next, &body))
    };
    for count in 0..=8 {
        assert_eq!(ports(&decode(LinkType::ETHERNET, &chain(count))), (17, 5, 6), "{count}");
    }
    let (packet, result) = try_decode(LinkType::ETHERNET, &chain(9));
    assert_eq!(result, Err(Error::TooDeep));
    assert_eq!(packet.datagram.unwrap().tuple.dst[15], 2, "bytes can still be attributed");
}

#[test]
fn vlan_tags_stack_and_the_outermost_id_counts() {
    let inside = tag(20, 0x0800, &inner());
    for outer in [0x8100, 0x88a8, 0x9100] {
        let frame = ethernet(outer, &tag(10, 0x8100, &inside));
        assert_eq!(carried(&frame), (Tunnel::None, vec![]));
        assert_eq!(decode(LinkType::ETHERNET, &frame).vlan, 10);
    }
    let mut packet = Packet::default();
    let stripped = VlanTag { tci: 0x2005, tpid: 0x8100 };
    packet
        .decode(LinkType::ETHERNET, Some(stripped), &ethernet(0x8100, &tag(10, 0x8100, &inside)))
        .unwrap();
    assert_eq!(packet.vlan, 5);
}

#[test]
fn a_hundred_tags_are_too_deep_but_countable() {
    let mut body = inner();
    let mut kind = 0x0800;
    for _ in 0..100 {
        body = tag(9, kind, &body);
        kind = 0x8100;
    }
    let (packet, result) = try_decode(LinkType::ETHERNET, &ethernet(0x8100, &body));
    assert_eq!((result, packet.vlan, packet.macs), (Err(Error::TooDeep), 9, Some(MACS)));
}

#[test]
fn a_stripped_tag_is_put_back_where_it_was() {
    let frame = ethernet(0x8100, &tag(10, 0x0800, &inner()));
    let stripped = ethernet(0x0800, &inner());
    let mut out = vec![1, 2, 3];
    VlanTag { tci: 0xe00a, tpid: 0x8100 }.put_back(&stripped, &mut out);
    assert_eq!(out, frame);
    VlanTag { tci: 0xe00a, tpid: 0x8100 }.put_back(&stripped[..11], &mut out);
    assert_eq!(out, stripped[..11]);
}

#[test]
fn frames_without_ip_are_understood_to_be_so() {
    // Spanning tree in 802.3 with LLC; LLDP; an EtherType nobody knows.
    let stp = ethernet(38, &[0x42, 0x42, 3, 0, 0, 0]);
    for (frame, kind) in
        [(stp, 0), (ethernet(0x88cc, &[]), 0x88cc), (ethernet(0xfffe, &[1]), 0xfffe)]
    {
        let packet = decode(LinkType::ETHERNET, &frame);
        assert_eq!((packet.ethertype, packet.datagram), (kind, None));
    }
    let snap = ethernet(41, &join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner()]));
    assert_eq!(carried(&snap), (Tunnel::None, vec![]));
}

#[test]
fn arp_tells_who_has_which_address() {
    let fixed = [0, 1, 8, 0, 6, 4, 0, 2];
    let body = join(&[&fixed, &MACS.1, &[10, 0, 0, 1], &MACS.0, &[10, 0, 0, 2], &[0; 18]]);
    let packet = decode(LinkType::ETHERNET, &ethernet(0x0806, &body));
    let expected = Arp {
        operation: 2,
        sender_mac: MACS.1,
        sender_ip: [10, 0, 0, 1],
        target_ip: [10, 0, 0, 2],
    };
    assert_eq!((packet.arp, packet.ethertype), (Some(expected), 0x0806));
    let cut = ethernet(0x0806, &body[..20]);
    assert_eq!(try_decode(LinkType::ETHERNET, &cut).1, Err(Error::Malformed));
}

#[test]
fn other_transports_have_the_ports_and_types_they_have() {
    let transport = |proto, body: &[u8]| {
        let packet = decode(LinkType::ETHERNET, &ethernet(0x0800, &ipv4(proto, body)));
        let (_, sport, dport) = ports(&packet);
        let datagram = packet.datagram.unwrap();
        (datagram.transport, sport, dport, datagram.payload_len)
    };
    let ports = [0, 9, 0, 10, 0, 0, 0, 0, 3, 0, 0, 0, 1, 2];
    assert_eq!(transport(132, &ports), (Transport::Sctp, 9, 10, 2));
    assert_eq!(transport(136, &ports), (Transport::Udp, 9, 10, 6));
    assert_eq!(
        transport(33, &[0, 9, 0, 10, 3, 0, 0, 0, 0, 0, 0, 0, 5]),
        (Transport::Other, 9, 10, 1)
    );
    assert_eq!(
        transport(1, &[8, 1, 0, 0, 0, 0, 0, 0, 7]),
        (Transport::Icmp { kind: 8, code: 1 }, 0, 0, 1)
    );
    assert_eq!(transport(58, &[135, 0, 0]), (Transport::Icmp { kind: 135, code: 0 }, 0, 0, 1));
    // ESP and AH are flows of their own, whatever they carry.
    for proto in [50, 51] {
        assert_eq!(transport(proto, &[6, 4, 0, 0, 0, 0, 0, 1]), (Transport::Other, 0, 0, 8));
    }
}

#[test]
fn ip_in_ip_in_all_combinations() {
    for (frame, tunnel, outer) in [
        (ethernet(0x0800, &ipv4(4, &inner())), Tunnel::IpIp, 4),
        (ethernet(0x86dd, &ipv6(4, &inner())), Tunnel::IpIp, 4),
        (ethernet(0x0800, &ipv4(137, &join(&[&[0, 1, 1, 64], &inner()]))), Tunnel::Mpls, 137),
    ] {
        assert_eq!(carried(&frame), (tunnel, vec![(outer, tunnel)]));
    }
    for (frame, tunnel) in [
        (ethernet(0x0800, &ipv4(41, &ipv6(17, &udp(5, 6, HELLO)))), Tunnel::SixIn4),
        (ethernet(0x86dd, &ipv6(41, &ipv6(17, &udp(5, 6, HELLO)))), Tunnel::IpIp),
    ] {
        let packet = decode(LinkType::ETHERNET, &frame);
        assert_eq!((packet.tunnel, packet.ethertype, ports(&packet)), (tunnel, 0x86dd, (17, 5, 6)));
    }
}

#[test]
fn gre_with_any_of_its_fields_is_opened() {
    let gre = |start: &[u8], body: &[u8]| ethernet(0x0800, &ipv4(47, &join(&[start, body])));
    let around = (Tunnel::Gre, vec![(47, Tunnel::Gre)]);
    assert_eq!(carried(&gre(&[0, 0, 8, 0], &inner())), around);
    assert_eq!(carried(&gre(&[0x80, 0, 8, 0, 1, 2, 0, 0], &inner())), around);
    assert_eq!(
        carried(&gre(&[0xb0, 0, 8, 0, 1, 2, 0, 0, 3, 3, 3, 3, 4, 4, 4, 4], &inner())),
        around
    );
    assert_eq!(carried(&gre(&[0, 0, 0x65, 0x58], &ethernet(0x0800, &inner()))), around);
    // PPTP: key and sequence, with and without acknowledgement, compressed protocol field.
    let pptp = [0x30, 0x01, 0x88, 0x0b, 0, 34, 0, 1, 0, 0, 0, 7, 0x21];
    assert_eq!(carried(&gre(&pptp, &inner())), around);
    let pptp = [0x30, 0x81, 0x88, 0x0b, 0, 34, 0, 1, 0, 0, 0, 7, 0, 0, 0, 6, 0xff, 3, 0, 0x21];
    assert_eq!(carried(&gre(&pptp, &inner())), around);
    // A bare acknowledgement, a keep-alive, source routing: flows of protocol 47.
    for start in [&[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 1, 0, 0, 0, 6], &[0; 12], &[0x40; 12]] {
        let packet = decode(LinkType::ETHERNET, &gre(start, &[]));
        assert_eq!((ports(&packet), packet.tunnel), ((47, 0, 0), Tunnel::None));
    }
}

#[test]
fn tunnels_over_udp_are_opened() {
    let over = |port, body: &[u8]| ethernet(0x0800, &ipv4(17, &udp(40_000, port, body)));
    let frame = ethernet(0x0800, &inner());
    for port in [4789, 8472] {
        let vxlan = join(&[&[8, 0, 0, 0, 0, 0, 42, 0], &frame]);
        assert_eq!(carried(&over(port, &vxlan)), (Tunnel::Vxlan, vec![(17, Tunnel::Vxlan)]));
    }
    let around = (Tunnel::Geneve, vec![(17, Tunnel::Geneve)]);
    let geneve = join(&[&[0, 0, 0x65, 0x58, 0, 0, 42, 0], &frame]);
    assert_eq!(carried(&over(6081, &geneve)), around);
    let geneve = join(&[&[2, 0, 8, 0, 0, 0, 42, 0, 1, 2, 3, 1, 9, 9, 9, 9], &inner()]);
    assert_eq!(carried(&over(6081, &geneve)), around);
    let around = (Tunnel::GtpU, vec![(17, Tunnel::GtpU)]);
    let len = u8::try_from(inner().len()).unwrap();
    let gtp = join(&[&[0x30, 0xff, 0, len, 0, 0, 0, 1], &inner()]);
    assert_eq!(carried(&over(2152, &gtp)), around);
    // A PDU session container between header and datagram.
    let gtp = join(&[&[0x34, 0xff, 0, len + 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 9, 0], &inner()]);
    assert_eq!(carried(&over(2152, &gtp)), around);
}

#[test]
fn what_only_looks_like_a_tunnel_stays_the_flow_it_is() {
    let over = |port, body: &[u8]| ethernet(0x0800, &ipv4(17, &udp(40_000, port, body)));
    let len = u8::try_from(inner().len()).unwrap();
    let mut lying = ethernet(0x0800, &inner());
    lying[17] += 1;
    for (port, body) in [
        (4789, join(&[&[0; 8], &ethernet(0x0800, &inner())])),
        (4789, join(&[&[8, 0, 0, 0, 0, 0, 42, 0], &lying])),
        (4789, join(&[&[8, 0, 0, 0, 0, 0, 42, 0], &ethernet(0x0806, &[0; 9])])),
        (8472, HELLO.to_vec()),
        (6081, join(&[&[0x40, 0, 8, 0, 0, 0, 42, 0], &inner()])),
        (6081, join(&[&[0x3f, 0, 8, 0, 0, 0, 42, 0], &inner()])),
        (2152, join(&[&[0x10, 0xff, 0, len, 0, 0, 0, 1], &inner()])),
        (2152, join(&[&[0x30, 0x01, 0, len, 0, 0, 0, 1], &inner()])),
        (2152, join(&[&[0x30, 0xff, 0, len + 1, 0, 0, 0, 1], &inner()])),
        (2152, join(&[&[0x34, 0xff, 0, len + 4, 0, 0, 0, 1, 0, 0, 0, 0x85, 0], &inner()])),
        (2152, join(&[&[0x30, 0xff, 0, 4, 0, 0, 0, 1], &[0x99; 4]])),
    ] {
        let frame = over(port, &body);
        let packet = decode(LinkType::ETHERNET, &frame);
        assert_eq!(ports(&packet), (17, 40_000, port), "{body:?}");
        assert_eq!(packet.payload(&frame), body);
        assert_eq!((packet.tunnel, packet.carriers().len()), (Tunnel::None, 0));
        assert_eq!((packet.ethertype, packet.truncated, packet.arp), (0x0800, false, None));
    }
}

#[test]
fn labels_and_sessions_below_ip_are_opened() {
    let labels: &[u8] = &[0, 1, 0, 64, 0, 2, 1, 64];
    let frame = ethernet(0x8847, &join(&[labels, &inner()]));
    assert_eq!(carried(&frame), (Tunnel::Mpls, vec![]));
    let wire = ethernet(0x0800, &inner());
    // The inner addresses start with 2; a zero makes them look like a control word.
    let with_word = join(&[labels, &[0, 0, 0, 1], &wire]);
    assert_eq!(carried(&ethernet(0x8847, &with_word)), (Tunnel::Mpls, vec![]));
    let without = join(&[labels, &[0], &wire[1..]]);
    assert_eq!(carried(&ethernet(0x8848, &without)), (Tunnel::Mpls, vec![]));

    let session = join(&[&[0x11, 0, 0, 1, 0, 35, 0, 0x21], &inner()]);
    assert_eq!(carried(&ethernet(0x8864, &session)), (Tunnel::PppoE, vec![]));
    let discovery = decode(LinkType::ETHERNET, &ethernet(0x8863, &session));
    assert_eq!((discovery.ethertype, discovery.datagram), (0x8863, None));
}

#[test]
fn a_stack_of_labels_without_end_is_too_deep() {
    let frame = ethernet(0x8847, &[0; 100]);
    assert_eq!(try_decode(LinkType::ETHERNET, &frame).1, Err(Error::TooDeep));
}

#[test]
fn eight_tunnels_are_opened_and_the_ninth_is_too_deep() {
    let nested = |depth| {
        let body = (0..depth).fold(inner(), |body, _| ipv4(4, &body));
        ethernet(0x0800, &body)
    };
    let packet = decode(LinkType::ETHERNET, &nested(8));
    assert_eq!((ports(&packet), packet.carriers().len()), ((17, 1000, 53), MAX_CARRIERS));
    // Ethernet in a tunnel is part of the tunnel.
    let bridged = |depth| {
        (0..depth).fold(ethernet(0x0800, &inner()), |frame, _| {
            ethernet(0x0800, &ipv4(47, &join(&[&[0, 0, 0x65, 0x58], &frame])))
        })
    };
    assert_eq!(carried(&bridged(8)).0, Tunnel::Gre);
    assert_eq!(try_decode(LinkType::ETHERNET, &bridged(9)).1, Err(Error::TooDeep));
    let (packet, result) = try_decode(LinkType::ETHERNET, &nested(9));
    assert_eq!((result, ports(&packet)), (Err(Error::TooDeep), (4, 0, 0)));
    let (packet, result) = try_decode(LinkType::ETHERNET, &nested(1000));
    assert_eq!((result, ports(&packet)), (Err(Error::TooDeep), (4, 0, 0)));
}

#[test]
fn every_link_type_leads_to_the_same_datagram() {
    let datagram = inner();
    let cooked = [0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0, 8, 0];
    let cooked2 = [8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 2, 0, 0];
    let snap = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let mut wlan =
        vec![0x88, 0x01, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 0, 0];
    wlan.extend([0, 0]);
    let padded = join(&[&wlan, &[0, 0], &snap]);
    wlan.extend(snap);
    // TSFT and flags (data padding) with a second bitmap word.
    let radiotap = join(&[
        &[0, 0, 25, 0, 3, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 0, 0, 0, 0, 0, 0x20],
        &padded,
    ]);
    let ppi = join(&[&[0, 0, 12, 0, 105, 0, 0, 0, 1, 2, 3, 4], &wlan]);
    for (link, header) in [
        (0, &[2, 0, 0, 0][..]),
        (0, &[0, 0, 0, 2]),
        (9, &[0x21]),
        (9, &[0xff, 3, 0, 0x21]),
        (9, &[0x0f, 0, 8, 0]),
        (12, &[]),
        (14, &[]),
        (50, &[0xff, 3, 0, 0x21]),
        (51, &[0x11, 0, 0, 1, 0, 35, 0, 0x21]),
        (101, &[]),
        (104, &[0x8f, 0, 8, 0]),
        (105, &wlan),
        (108, &[0, 0, 0, 2]),
        (113, &cooked),
        (127, &radiotap),
        (192, &ppi),
        (228, &[]),
        (276, &cooked2),
    ] {
        let frame = join(&[header, &datagram]);
        let packet = decode(LinkType(link), &frame);
        assert_eq!(packet.payload(&frame), HELLO, "link type {link}");
        for cut in 0..header.len() {
            let _ = try_decode(LinkType(link), &frame[..cut]);
        }
    }
    let v6 = ipv6(17, &udp(5, 6, HELLO));
    for (link, header) in [(0, &[30, 0, 0, 0][..]), (9, &[0x57]), (101, &[]), (229, &[])] {
        assert_eq!(ports(&decode(LinkType(link), &join(&[header, &v6]))), (17, 5, 6));
    }
    assert_eq!(try_decode(LinkType(147), &datagram).1, Err(Error::UnknownLink));
}

#[test]
fn a_wireless_frame_names_its_ends() {
    let body = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &inner()]);
    let header = |control: u8| {
        let address = |n: u8| [n; 6];
        let mut frame = vec![8, control, 0, 0];
        frame.extend([address(1), address(2), address(3)].concat());
        frame.extend([0, 0]);
        if control & 3 == 3 {
            frame.extend(address(4));
        }
        join(&[&frame, &body])
    };
    for (control, to, from) in [(0, 1, 2), (1, 3, 2), (2, 1, 3), (3, 3, 4)] {
        let packet = decode(LinkType::IEEE802_11, &header(control));
        assert_eq!(packet.macs, Some(([to; 6], [from; 6])));
        assert_eq!(ports(&packet), (17, 1000, 53));
    }
    // Encrypted.
    assert_eq!(decode(LinkType::IEEE802_11, &header(0x41)).datagram, None);
}

fn check(packet: &Packet, frame: &[u8]) {
    if let Some(datagram) = packet.datagram {
        let (at, captured) = (datagram.payload_at as usize, datagram.payload_captured as usize);
        assert!(at + captured <= frame.len(), "{datagram:?}");
        assert!(datagram.payload_captured <= datagram.payload_len, "{datagram:?}");
        assert!(packet.truncated || datagram.payload_captured == datagram.payload_len);
    }
}

const LINKS: [u16; 18] =
    [0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 127, 192, 228, 229, 276, 999];

proptest! {
    #[test]
    fn any_bytes_at_all_are_survived(
        link in prop::sample::select(&LINKS[..]),
        frame in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (packet, _) = try_decode(LinkType(link), &frame);
        check(&packet, &frame);
    }

    #[test]
    fn a_damaged_or_cut_tunnel_is_survived(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let vxlan = join(&[&[8, 0, 0, 0, 0, 0, 42, 0], &ethernet(0x8100, &tag(1, 0x86dd,
            &ipv6(0, &join(&[&[43, 0, 0, 0, 0, 0, 0, 0, 47, 0, 0, 0, 0, 0, 0, 0],
                &[0xb0, 0, 8, 0, 1, 2, 0, 0, 3, 3, 3, 3, 4, 4, 4, 4], &inner()]))))]);
        let mut frame = ethernet(0x88a8, &tag(5, 0x8864, &join(&[&[0x11, 0, 0, 1, 0, 35, 0, 0x21],
            &ipv4(17, &udp(9, 4789, &vxlan))])));
        prop_assert_eq!(ports(&decode(LinkType::ETHERNET, &frame)), (17, 1000, 53));
        for (at, value) in damage {
            *at.get_mut(&mut frame) = value;
        }
        frame.truncate(cut.index(frame.len() + 1));
        let (packet, _) = try_decode(LinkType::ETHERNET, &frame);
        check(&packet, &frame);
    }
}
