use proptest::prelude::*;

use super::*;

const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

fn ethernet(kind: u16, body: &[u8]) -> Vec<u8> {
    [&MACS[..], &kind.to_be_bytes(), body].concat()
}

fn ipv4(protocol: u8, body: &[u8]) -> Vec<u8> {
    let [l0, l1] = (body.len() as u16).saturating_add(20).to_be_bytes();
    let header = [0x45, 0, l0, l1, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    [&header[..], body].concat()
}

fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let [l0, l1] = (body.len() as u16).to_be_bytes();
    let addresses: Vec<u8> = (1..=32).collect();
    [&[0x60, 0, 0, 0, l0, l1, next, 61][..], &addresses, body].concat()
}

fn udp(sport: u16, dport: u16, body: &[u8]) -> Vec<u8> {
    [&[sport, dport, (body.len() as u16).saturating_add(8), 0].map(u16::to_be_bytes).concat()[..], body].concat()
}

fn tcp(sport: u16, dport: u16, body: &[u8]) -> Vec<u8> {
    let ports = [sport, dport].map(u16::to_be_bytes).concat();
    [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 1, 0, 0, 0, 0, 0], body].concat()
}

fn decode(link: LinkType, frame: &[u8]) -> Layers {
    let mut layers = Layers::default();
    layers.decode(link, None, frame.len() as u32, frame);
    layers
}

/// The paths of the pieces of an Ethernet frame, with `|` between them.
fn paths(frame: &[u8]) -> String {
    text(&decode(LinkType::ETHERNET, frame))
}

fn text(layers: &Layers) -> String {
    let path = |piece: &Piece| {
        let names: Vec<_> = piece.names().iter().map(|name| name.text()).collect();
        names.join("/")
    };
    layers.pieces().iter().map(path).collect::<Vec<_>>().join("|")
}

#[test]
fn layers_have_the_names_that_others_give_them() {
    let v4 = |protocol, body: &[u8]| ethernet(0x0800, &ipv4(protocol, body));
    let v6 = |next, body: &[u8]| ethernet(0x86dd, &ipv6(next, body));
    let icmpv6 = |kind| v6(58, &[&[kind, 0, 0, 0][..], &[0; 40]].concat());
    let query = [0; 48];
    let sctp = [&[0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0][..], &[3, 0, 0, 4, 5, 0, 0, 4]];
    for (frame, expected) in [
        (v4(1, &[8, 0, 0, 0, 0, 1, 0, 2]), "Ethernet/IPv4/ICMPv4"),
        (v4(6, &tcp(1, 2, b"")), "Ethernet/IPv4/TCP"),
        (v4(6, &tcp(1, 443, b"")), "Ethernet/IPv4/TCP"),
        (v4(6, &tcp(1, 443, &[22, 3, 1, 0, 5, 1])), "Ethernet/IPv4/TCP/TLS"),
        (v4(6, &tcp(443, 1, b"GET / HTTP")), "Ethernet/IPv4/TCP"),
        (v4(6, &tcp(1, 53, &[&[0, 12][..], &[0; 12]].concat())), "Ethernet/IPv4/TCP/DNS"),
        (v4(17, &udp(1, 2, b"x")), "Ethernet/IPv4/UDP"),
        (v4(17, &udp(1, 53, b"")), "Ethernet/IPv4/UDP"),
        (v4(17, &udp(1, 53, &query)), "Ethernet/IPv4/UDP/DNS"),
        (v4(17, &udp(53, 1, &query)), "Ethernet/IPv4/UDP/DNS"),
        (v4(17, &udp(68, 67, &[0; 240])), "Ethernet/IPv4/UDP/DHCPv4"),
        (v6(17, &udp(546, 547, &query)), "Ethernet/IPv6/UDP/DHCPv6"),
        (v4(17, &udp(123, 123, &query)), "Ethernet/IPv4/UDP/NTP"),
        (v4(17, &udp(5060, 5060, b"INVITE")), "Ethernet/IPv4/UDP/SIP"),
        (v4(17, &udp(1, 6343, &query)), "Ethernet/IPv4/UDP/SFlow"),
        (v4(17, &udp(1, 3784, &query)), "Ethernet/IPv4/UDP/BFD"),
        (v4(17, &udp(1, 1812, &query)), "Ethernet/IPv4/UDP/RADIUS"),
        (v4(136, &udp(1, 53, &query)), "Ethernet/IPv4/UDPLite"),
        (v4(132, &sctp.concat()), "Ethernet/IPv4/SCTP/SCTPSack/SCTPHeartbeatAck"),
        (v4(2, &[0; 8]), "Ethernet/IPv4/IGMP"),
        (v4(50, &[0; 20]), "Ethernet/IPv4/IPSecESP"),
        (v4(89, &[2; 24]), "Ethernet/IPv4/OSPF"),
        (v4(112, &[0x21, 1, 1, 0, 0, 1, 0, 0]), "Ethernet/IPv4/VRRP"),
        (v4(4, &ipv4(6, &tcp(1, 2, b""))), "Ethernet/IPv4/IPv4/TCP"),
        (v4(41, &ipv6(17, &udp(1, 2, b""))), "Ethernet/IPv4/IPv6/UDP"),
        (
            v4(97, &[&[0x30, 0][..], &v4(1, &[8; 8])].concat()),
            "Ethernet/IPv4/EtherIP/Ethernet/IPv4/ICMPv4",
        ),
        (v4(51, &[&[17, 4][..], &[0; 22], &udp(1, 2, b"")].concat()), "Ethernet/IPv4/IPSecAH/UDP"),
        (icmpv6(128), "Ethernet/IPv6/ICMPv6/ICMPv6Echo"),
        (icmpv6(129), "Ethernet/IPv6/ICMPv6/ICMPv6Echo"),
        (icmpv6(133), "Ethernet/IPv6/ICMPv6/ICMPv6RouterSolicitation"),
        (icmpv6(134), "Ethernet/IPv6/ICMPv6/ICMPv6RouterAdvertisement"),
        (icmpv6(135), "Ethernet/IPv6/ICMPv6/ICMPv6NeighborSolicitation"),
        (icmpv6(136), "Ethernet/IPv6/ICMPv6/ICMPv6NeighborAdvertisement"),
        (icmpv6(137), "Ethernet/IPv6/ICMPv6/ICMPv6Redirect"),
        (icmpv6(1), "Ethernet/IPv6/ICMPv6"),
        (
            v6(0, &[&[58, 0, 5, 2, 0, 0, 1, 0][..], &[143, 0, 0, 0, 0, 0, 0, 0]].concat()),
            "Ethernet/IPv6/IPv6HopByHop/ICMPv6/MLDv2MulticastListenerReport",
        ),
        (
            v6(
                43,
                &[&[60, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0][..], &tcp(1, 2, b"")].concat(),
            ),
            "Ethernet/IPv6/IPv6Routing/IPv6Destination/TCP",
        ),
        (v6(44, &[17, 0, 0, 1, 0, 0, 0, 9, 1, 2]), "Ethernet/IPv6/IPv6Fragment/Fragment"),
        (ethernet(0x0806, &[0; 28]), "Ethernet/ARP"),
        (
            ethernet(0x88cc, &[2, 7, 4, 0, 0, 0, 0, 0, 0]),
            "Ethernet/LinkLayerDiscovery/LinkLayerDiscoveryInfo",
        ),
        (ethernet(38, &[&[0x42, 0x42, 3][..], &[0; 35]].concat()), "Ethernet/LLC/STP"),
        (
            ethernet(30, &[&[0xaa, 0xaa, 3, 0, 0, 12, 0x20, 0][..], &[0; 22]].concat()),
            "Ethernet/LLC/SNAP/CiscoDiscovery/CiscoDiscoveryInfo",
        ),
        (ethernet(0x888e, &[1, 0, 0, 5, 1, 1, 0, 5, 1]), "Ethernet/EAPOL/EAP"),
        (ethernet(0x888e, &[1, 1, 0, 0]), "Ethernet/EAPOL"),
        (
            ethernet(0x8864, &[&[0x11, 0, 0, 1, 0, 30, 0, 0x21][..], &ipv4(1, &[8; 8])].concat()),
            "Ethernet/PPPoE/PPP/IPv4/ICMPv4",
        ),
        (ethernet(0x8863, &[0x11, 9, 0, 0, 0, 0]), "Ethernet/PPPoE"),
        (ethernet(0x1234, b"?"), "Ethernet"),
        (vec![0; 13], ""),
    ] {
        assert_eq!(paths(&frame), expected, "{frame:x?}");
    }
}

#[test]
fn tunnels_cut_and_tags_do_not() {
    let inner = ethernet(0x0800, &ipv4(1, &[8, 0, 0, 0, 0, 1, 0, 2]));
    let v4 = |protocol, body: &[u8]| ethernet(0x0800, &ipv4(protocol, body));
    let gre = |flags: u16, kind: u16, body: &[u8]| {
        v4(47, &[&flags.to_be_bytes()[..], &kind.to_be_bytes(), body].concat())
    };
    let ping = &inner[14..];
    let label = |last: u8| [0, 1, 0x10 | last, 64];
    let labelled = [&label(0)[..], &label(1), ping].concat();
    let tags = [&[0, 5, 0x81, 0, 0x20, 7, 8, 0][..], ping].concat();
    let gtp = [&[0x30, 0xff, 0, 28, 0, 0, 0, 1][..], ping].concat();
    for (frame, expected) in [
        (ethernet(0x88a8, &tags), "Ethernet/Dot1Q/Dot1Q/IPv4/ICMPv4"),
        (
            v4(17, &udp(9, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat())),
            "Ethernet/IPv4/UDP/VXLAN|Ethernet/IPv4/ICMPv4",
        ),
        (
            v4(17, &udp(9, 8472, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat())),
            "Ethernet/IPv4/UDP/VXLAN|Ethernet/IPv4/ICMPv4",
        ),
        (
            v4(
                17,
                &udp(9, 6081, &[&[1, 0, 0x65, 0x58, 0, 0, 9, 0, 0, 0, 0, 0][..], &inner].concat()),
            ),
            "Ethernet/IPv4/UDP/Geneve|Ethernet/IPv4/ICMPv4",
        ),
        (gre(0, 0x0800, ping), "Ethernet/IPv4/GRE|IPv4/ICMPv4"),
        (
            gre(0x2000, 0x6558, &[&[0, 0, 0, 9][..], &inner].concat()),
            "Ethernet/IPv4/GRE|Ethernet/IPv4/ICMPv4",
        ),
        (gre(0, 0x8847, &labelled[4..]), "Ethernet/IPv4/GRE/MPLS|IPv4/ICMPv4"),
        (ethernet(0x8847, &labelled), "Ethernet/MPLS|MPLS|IPv4/ICMPv4"),
        (
            ethernet(0x8847, &[&label(1)[..], &[0; 4], &inner].concat()),
            "Ethernet/MPLS|Ethernet/IPv4/ICMPv4",
        ),
        (v4(17, &udp(9, 2152, &gtp)), "Ethernet/IPv4/UDP/GTPv1U/IPv4/ICMPv4"),
    ] {
        assert_eq!(paths(&frame), expected, "{frame:x?}");
    }
}

#[test]
fn a_piece_is_as_long_as_what_is_left_of_the_frame_on_the_wire() {
    let inner = ethernet(0x0800, &ipv4(17, &udp(5, 6, b"hello")));
    let frame = ethernet(
        0x0800,
        &ipv4(17, &udp(9, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat())),
    );
    let mut layers = Layers::default();
    // Cut by the capture, and with a tag taken off.
    let wire_len = frame.len() as u32 + 4;
    let tag = VlanTag { tci: 0x600a, tpid: 0x8100 };
    layers.decode(LinkType::ETHERNET, Some(tag), wire_len, &frame[..frame.len() - 2]);
    assert_eq!(text(&layers), "Ethernet/Dot1Q/IPv4/UDP/VXLAN|Ethernet/IPv4/UDP");
    let [outer, within] = layers.pieces() else { panic!() };
    assert_eq!((outer.at, outer.len, within.at, within.len), (0, wire_len, 50, inner.len() as u32));
    assert_eq!(outer.link.unwrap().tags, 10);
    assert_eq!(outer.tunnel, Some(Tunnel { name: Name::Vxlan, id: 7 }));
    let transport = within.transport.unwrap();
    assert_eq!((transport.sport, transport.dport, transport.payload_len), (5, 6, 5));
    assert_eq!(within.payload(&frame[..frame.len() - 2]), b"hel");
}

#[test]
fn tags_are_packed_with_the_outermost_one_lowest() {
    let frame = ethernet(
        0x88a8,
        &[&[0xe0, 5, 0x81, 0, 0, 7][..], &[8, 0], &ipv4(6, &tcp(1, 2, b""))].concat(),
    );
    let layers = decode(LinkType::ETHERNET, &frame);
    assert_eq!(layers.pieces()[0].link.unwrap().tags, 7 << 12 | 5);
}

#[test]
fn segments_and_messages_are_described() {
    let frame = ethernet(0x0800, &[&ipv4(6, &tcp(1, 2, b"abc"))[..], &[0; 6]].concat());
    let layers = decode(LinkType::ETHERNET, &frame);
    let piece = &layers.pieces()[0];
    let transport = piece.transport.unwrap();
    let facts = transport.tcp.unwrap();
    assert_eq!((facts.seq, facts.ack, facts.flags, facts.window), (1, 2, 0x18, 0x100));
    // Padding behind the datagram is no payload.
    assert_eq!((transport.payload_len, piece.payload(&frame)), (3, &b"abc"[..]));
    assert_eq!(piece.network.unwrap().ttl, 64);
    let frame = ethernet(0x86dd, &ipv6(58, &[128, 0, 0, 0, 0x12, 0x34, 0, 1]));
    let icmp = decode(LinkType::ETHERNET, &frame).pieces()[0].icmp.unwrap();
    assert_eq!(icmp, Icmp { v6: true, kind: 128, code: 0, id: 0x1234 });
}

#[test]
fn frames_without_ethernet_begin_with_what_they_have() {
    let packet = ipv4(6, &tcp(1, 2, b""));
    for (link, frame, expected) in [
        (LinkType::RAW, packet.clone(), "IPv4/TCP"),
        (LinkType::IPV4, packet.clone(), "IPv4/TCP"),
        (LinkType::IPV6, ipv6(17, &udp(1, 2, b"")), "IPv6/UDP"),
        (LinkType::LINUX_SLL, [&[0; 14][..], &[8, 0], &packet].concat(), "IPv4/TCP"),
        (LinkType::NULL, [&[2, 0, 0, 0][..], &packet].concat(), "Loopback/IPv4/TCP"),
        (LinkType::PPP, [&[0xff, 3, 0, 0x21][..], &packet].concat(), "PPP/IPv4/TCP"),
        (LinkType(999), packet, ""),
    ] {
        assert_eq!(text(&decode(link, &frame)), expected, "{link:?}");
    }
}

#[test]
fn nesting_ends_where_the_room_does() {
    let mut packet = ipv4(1, &[8; 8]);
    for _ in 0..40 {
        packet = ipv4(47, &[&[0, 0, 8, 0][..], &packet].concat());
    }
    let layers = decode(LinkType::RAW, &packet);
    assert_eq!(layers.pieces().len(), MAX_PIECES);
    let mut packet = ipv4(1, &[8; 8]);
    for _ in 0..40 {
        packet = ipv4(4, &packet);
    }
    assert_eq!(decode(LinkType::RAW, &packet).pieces()[0].names().len(), MAX_NAMES);
    let chain: Vec<u8> = [0, 0, 0, 0, 0, 0, 0, 0].repeat(20);
    let layers = decode(LinkType::RAW, &ipv6(0, &chain));
    assert_eq!(layers.pieces()[0].names().len(), 1 + MAX_EXTENSIONS);
}

#[track_caller]
fn check(link: u16, wire_len: u32, vlan: Option<VlanTag>, frame: &[u8]) {
    let mut layers = Layers::default();
    layers.decode(LinkType(link), vlan, wire_len, frame);
    let mut before = u32::MAX;
    for piece in layers.pieces() {
        assert!(!piece.names().is_empty());
        assert!(piece.len <= wire_len && piece.len <= before);
        assert!(piece.at as usize <= frame.len());
        assert!(piece.payload(frame).len() <= frame.len());
        before = piece.len;
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_within_bounds(
        link in prop_oneof![Just(1_u16), Just(101), Just(113), any::<u16>()],
        wire_len: u32,
        tag in proptest::option::of(any::<u16>()),
        frame in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        check(link, wire_len, tag.map(|tci| VlanTag { tci, tpid: 0x8100 }), &frame);
    }

    #[test]
    fn damaged_frames_are_read_within_bounds(
        changes in proptest::collection::vec((0_usize..160, any::<u8>()), 0..8),
        cut in 0_usize..200,
    ) {
        let inner = ethernet(0x86dd, &ipv6(0, &[&[58, 0, 5, 2, 0, 0, 1, 0][..], &[128; 30]].concat()));
        let mut frame = ethernet(
            0x8100,
            &[&[0, 9, 8, 0][..], &ipv4(17, &udp(1, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat()))]
                .concat(),
        );
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame.truncate(cut);
        check(1, frame.len() as u32, None, &frame);
    }
}
