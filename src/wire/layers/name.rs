//! What the layers of a packet are called. The names are those of gopacket, as flows of Skydive
//! agents show them in their `LayersPath`.

macro_rules! names {
    ($first:ident = $begin:literal, $($name:ident = $text:literal,)+) => {
        /// A layer of a packet.
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
        #[expect(missing_docs, reason = "the texts say it")]
        #[repr(u8)]
        pub enum Name {
            #[default]
            $first,
            $($name,)+
        }

        impl Name {
            /// How it is written.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    Self::$first => $begin,
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

names! {
    Ethernet = "Ethernet",
    Arp = "ARP",
    Bfd = "BFD",
    CiscoDiscovery = "CiscoDiscovery",
    CiscoDiscoveryInfo = "CiscoDiscoveryInfo",
    Dhcpv4 = "DHCPv4",
    Dhcpv6 = "DHCPv6",
    Dns = "DNS",
    Dot1Q = "Dot1Q",
    Eap = "EAP",
    Eapol = "EAPOL",
    EapolKey = "EAPOLKey",
    Erspan = "ERSPAN Type II",
    EthernetCtp = "EthernetCTP",
    EtherIp = "EtherIP",
    Fragment = "Fragment",
    Geneve = "Geneve",
    Gre = "GRE",
    GtpU = "GTPv1U",
    Icmpv4 = "ICMPv4",
    Icmpv6 = "ICMPv6",
    Icmpv6Echo = "ICMPv6Echo",
    Icmpv6NeighborAdvertisement = "ICMPv6NeighborAdvertisement",
    Icmpv6NeighborSolicitation = "ICMPv6NeighborSolicitation",
    Icmpv6Redirect = "ICMPv6Redirect",
    Icmpv6RouterAdvertisement = "ICMPv6RouterAdvertisement",
    Icmpv6RouterSolicitation = "ICMPv6RouterSolicitation",
    Igmp = "IGMP",
    IpsecAh = "IPSecAH",
    IpsecEsp = "IPSecESP",
    Ipv4 = "IPv4",
    Ipv6 = "IPv6",
    Ipv6Destination = "IPv6Destination",
    Ipv6Fragment = "IPv6Fragment",
    Ipv6HopByHop = "IPv6HopByHop",
    Ipv6Routing = "IPv6Routing",
    LinkLayerDiscovery = "LinkLayerDiscovery",
    LinkLayerDiscoveryInfo = "LinkLayerDiscoveryInfo",
    Llc = "LLC",
    Loopback = "Loopback",
    Mldv1Done = "MLDv1MulticastListenerDone",
    Mldv1Query = "MLDv1MulticastListenerQuery",
    Mldv1Report = "MLDv1MulticastListenerReport",
    Mldv2Query = "MLDv2MulticastListenerQuery",
    Mldv2Report = "MLDv2MulticastListenerReport",
    Mpls = "MPLS",
    Ntp = "NTP",
    Ospf = "OSPF",
    Ppp = "PPP",
    PppoE = "PPPoE",
    Radius = "RADIUS",
    Rmcp = "RMCP",
    Sctp = "SCTP",
    SctpAbort = "SCTPAbort",
    SctpCookieAck = "SCTPCookieAck",
    SctpCookieEcho = "SCTPCookieEcho",
    SctpData = "SCTPData",
    SctpError = "SCTPError",
    SctpHeartbeat = "SCTPHeartbeat",
    SctpHeartbeatAck = "SCTPHeartbeatAck",
    SctpInit = "SCTPInit",
    SctpInitAck = "SCTPInitAck",
    SctpSack = "SCTPSack",
    SctpShutdown = "SCTPShutdown",
    SctpShutdownAck = "SCTPShutdownAck",
    SctpShutdownComplete = "SCTPShutdownComplete",
    SctpUnknownChunk = "SCTPUnknownChunkType",
    SFlow = "SFlow",
    Sip = "SIP",
    Snap = "SNAP",
    Stp = "STP",
    Tcp = "TCP",
    Tls = "TLS",
    Udp = "UDP",
    UdpLite = "UDPLite",
    Vrrp = "VRRP",
    Vxlan = "VXLAN",
}
