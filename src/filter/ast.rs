//! What an expression says, independent of the link type it is compiled for.
//!
//! Nodes and arithmetic lie in two lists, operands before what uses them, so that nothing needs
//! to recurse over them. The order is that of the text, on which `vlan`, `mpls` and `pppoes`
//! depend: they change what stands to their right.

/// A parsed expression.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    /// The last one is the root; none at all matches everything.
    pub(super) nodes: Vec<Node>,
    pub(super) terms: Vec<Term>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    And(usize, usize),
    Not(usize),
    Or(usize, usize),
    Test {
        primitive: Primitive,
        /// Where it stands, for errors that depend on the link type.
        at: usize,
        len: usize,
    },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Primitive {
    /// A protocol alone.
    Abbreviation(Proto),
    Broadcast(Option<Proto>),
    /// A hardware address.
    Ether {
        direction: Direction,
        address: [u8; 6],
    },
    /// An IPv4 host or net, in IPv4, ARP or RARP.
    Host {
        proto: Option<Proto>,
        direction: Direction,
        address: u32,
        mask: u32,
    },
    /// An IPv6 host or net.
    Host6 {
        direction: Direction,
        address: u128,
        mask: u128,
    },
    Inbound,
    Interface(u32),
    /// Messages of IS-IS, by their types.
    IsIs(&'static [u32]),
    /// 802.2 frames, perhaps only those whose control field is one of these.
    Llc(Option<Control>),
    Mpls(Option<u32>),
    Multicast(Option<Proto>),
    Outbound,
    Port {
        /// TCP, UDP and SCTP if it is none of them.
        proto: Option<Proto>,
        direction: Direction,
        low: u16,
        high: u16,
    },
    Pppoed,
    Pppoes(Option<u32>),
    /// `proto`, alone or after `ip`, `ip6` or `ether`.
    Protocol {
        proto: Option<Proto>,
        number: u32,
    },
    Relation {
        compare: Compare,
        left: usize,
        right: usize,
    },
    Vlan(Option<u32>),
}

/// Control fields of 802.2: what is under the mask is the value, or is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Control {
    pub(super) mask: u32,
    pub(super) value: u32,
}

impl Control {
    /// The kinds of frames that have a name.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let (mask, value) = match word {
            "i" => (0x01, 0x00),
            "s" => (0x03, 0x01),
            "u" => (0x03, 0x03),
            "rr" => (0x0f, 0x01),
            "rnr" => (0x0f, 0x05),
            "rej" => (0x0f, 0x09),
            "ui" => (0xef, 0x03),
            "disc" => (0xef, 0x43),
            "ua" => (0xef, 0x63),
            "sabme" => (0xef, 0x6f),
            "frmr" => (0xef, 0x87),
            "xid" => (0xef, 0xaf),
            "test" => (0xef, 0xe3),
            _ => return None,
        };
        Some(Self { mask, value })
    }
}

/// What is behind ISO's network layer, by name.
pub(super) fn iso(word: &str) -> Option<u32> {
    Some(match word {
        "clnp" => 0x81,
        "es-is" | "esis" => 0x82,
        "is-is" | "isis" => 0x83,
        _ => return None,
    })
}

/// Types of IS-IS messages by what they are called together.
pub(super) fn isis(word: &str) -> Option<&'static [u32]> {
    Some(match word {
        "l1" => &[26, 24, 18, 15, 17],
        "l2" => &[27, 25, 20, 16, 17],
        "iih" => &[15, 16, 17],
        "lsp" => &[18, 20],
        "snp" => &[26, 27, 24, 25],
        "csnp" => &[24, 25],
        "psnp" => &[26, 27],
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Term {
    Length,
    Load {
        proto: Proto,
        offset: usize,
        size: Size,
    },
    Negate(usize),
    Number(u32),
    /// An ALU operation of classic BPF.
    Operation {
        operation: u16,
        left: usize,
        right: usize,
    },
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Size {
    Byte,
    Half,
    Word,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Compare {
    Equal,
    Greater,
    GreaterEqual,
    Less,
    LessEqual,
    NotEqual,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Direction {
    Both,
    Dst,
    #[default]
    Either,
    Src,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Proto {
    Aarp,
    Ah,
    Arp,
    Atalk,
    Carp,
    Decnet,
    Esp,
    Icmp,
    Icmp6,
    Igmp,
    Igrp,
    Ip,
    Ip6,
    Ipx,
    Isis,
    Iso,
    Lat,
    /// The link layer, whatever its name.
    Link,
    Mopdl,
    Moprc,
    Netbeui,
    Pim,
    Rarp,
    Sca,
    Sctp,
    Stp,
    Tcp,
    Udp,
    Vrrp,
}

impl Proto {
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "aarp" => Self::Aarp,
            "ah" => Self::Ah,
            "arp" => Self::Arp,
            "atalk" => Self::Atalk,
            "carp" => Self::Carp,
            "decnet" => Self::Decnet,
            "esp" => Self::Esp,
            "icmp" => Self::Icmp,
            "icmp6" => Self::Icmp6,
            "igmp" => Self::Igmp,
            "igrp" => Self::Igrp,
            "ip" => Self::Ip,
            "ip6" => Self::Ip6,
            "ipx" => Self::Ipx,
            "is-is" | "isis" => Self::Isis,
            "iso" => Self::Iso,
            "lat" => Self::Lat,
            "ether" | "fddi" | "link" | "ppp" | "slip" | "tr" | "wlan" => Self::Link,
            "mopdl" => Self::Mopdl,
            "moprc" => Self::Moprc,
            "netbeui" => Self::Netbeui,
            "pim" => Self::Pim,
            "rarp" => Self::Rarp,
            "sca" => Self::Sca,
            "sctp" => Self::Sctp,
            "stp" => Self::Stp,
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "vrrp" => Self::Vrrp,
            _ => return None,
        })
    }

    /// The IP protocol number of what is carried by IP.
    pub(super) const fn number(self) -> Option<u8> {
        Some(match self {
            Self::Ah => 51,
            Self::Carp | Self::Vrrp => 112,
            Self::Esp => 50,
            Self::Icmp => 1,
            Self::Icmp6 => 58,
            Self::Igmp => 2,
            Self::Igrp => 9,
            Self::Pim => 103,
            Self::Sctp => 132,
            Self::Tcp => 6,
            Self::Udp => 17,
            _ => return None,
        })
    }

    /// The Ethernet type, or the service access point of what uses 802.2.
    pub(super) const fn ether_type(self) -> Option<u32> {
        Some(match self {
            Self::Aarp => AARP,
            Self::Arp => 0x0806,
            Self::Atalk => ATALK,
            Self::Decnet => 0x6003,
            Self::Ip => 0x0800,
            Self::Ip6 => 0x86dd,
            Self::Ipx => IPX,
            Self::Iso => 0xfe,
            Self::Lat => 0x6004,
            Self::Mopdl => 0x6001,
            Self::Moprc => 0x6002,
            Self::Netbeui => 0xf0,
            Self::Rarp => 0x8035,
            Self::Sca => 0x6007,
            Self::Stp => 0x42,
            _ => return None,
        })
    }
}

/// Ethernet type of AppleTalk's address resolution, which has a framing within 802.2, too.
pub(super) const AARP: u32 = 0x80f3;

/// Ethernet type of AppleTalk, which has a framing within 802.2, too.
pub(super) const ATALK: u32 = 0x809b;

/// Access point of IPX, which has three more framings.
pub(super) const IPX: u32 = 0xe0;

/// Words of the language that are known but not taken, with the reason.
pub(super) fn refused(word: &str) -> Option<&'static str> {
    Some(match word {
        "gateway" => {
            "gateway needs names of hosts and their hardware addresses: write 'ether host MAC and not host IP'"
        }
        "protochain" => {
            "protochain needs a loop, which filters in the kernel cannot have: write proto"
        }
        "geneve" | "vxlan" => {
            "the packets inside this tunnel cannot be filtered: write 'udp port 6081' or 'udp port 4789'"
        }
        "addr1" | "addr2" | "addr3" | "addr4" | "address1" | "address2" | "address3"
        | "address4" | "dir" | "direction" | "ra" | "radio" | "subtype" | "ta" | "type" => {
            "this is for 802.11 frames, which are not filtered"
        }
        "bcc" | "connectmsg" | "ilmic" | "lane" | "metac" | "metaconnect" | "oam" | "oamf4"
        | "oamf4ec" | "oamf4sc" | "sc" | "vci" | "vpi" => "this is for ATM, which is not filtered",
        "dpc" | "fisu" | "hdpc" | "hfisu" | "hlssu" | "hmsu" | "hopc" | "hsio" | "hsls"
        | "lssu" | "lsu" | "msu" | "opc" | "sio" | "sls" => {
            "this is for SS7, which is not filtered"
        }
        "action" | "ifname" | "on" | "reason" | "rnr" | "rset" | "rulenum" | "ruleset" | "srnr"
        | "subrulenum" => "this is for OpenBSD's packet filter log, which is not filtered",
        "batadv" | "byte" => "this keyword is not supported",
        _ => return None,
    })
}

/// Numbers that have a name.
pub(super) fn constant(word: &str) -> Option<u32> {
    if let Some(kind) = word.strip_prefix("icmp6-") {
        return ICMP6.iter().find(|(name, _)| *name == kind).map(|(_, number)| *number);
    }
    Some(match word {
        "icmptype" | "icmp6type" | "icmp-echoreply" => 0,
        "icmpcode" | "icmp6code" | "tcp-fin" => 1,
        "icmp-unreach" => 3,
        "icmp-sourcequench" => 4,
        "icmp-redirect" => 5,
        "icmp-echo" => 8,
        "icmp-routeradvert" => 9,
        "icmp-routersolicit" => 10,
        "icmp-timxceed" => 11,
        "icmp-paramprob" => 12,
        "icmp-tstamp" | "tcpflags" => 13,
        "icmp-tstampreply" => 14,
        "icmp-ireq" => 15,
        "icmp-ireqreply" => 16,
        "icmp-maskreq" => 17,
        "icmp-maskreply" => 18,
        "tcp-syn" => 2,
        "tcp-rst" => 4,
        "tcp-push" => 8,
        "tcp-ack" => 0x10,
        "tcp-urg" => 0x20,
        "tcp-ece" => 0x40,
        "tcp-cwr" => 0x80,
        _ => return None,
    })
}

const ICMP6: &[(&str, u32)] = &[
    ("destinationunreach", 1),
    ("packettoobig", 2),
    ("timeexceeded", 3),
    ("parameterproblem", 4),
    ("echo", 128),
    ("echoreply", 129),
    ("multicastlistenerquery", 130),
    ("multicastlistenerreportv1", 131),
    ("multicastlistenerdone", 132),
    ("routersolicit", 133),
    ("routeradvert", 134),
    ("neighborsolicit", 135),
    ("neighboradvert", 136),
    ("redirect", 137),
    ("routerrenum", 138),
    ("nodeinformationquery", 139),
    ("nodeinformationresponse", 140),
    ("ineighbordiscoverysolicit", 141),
    ("ineighbordiscoveryadvert", 142),
    ("multicastlistenerreportv2", 143),
    ("homeagentdiscoveryrequest", 144),
    ("homeagentdiscoveryreply", 145),
    ("mobileprefixsolicit", 146),
    ("mobileprefixadvert", 147),
    ("certpathsolicit", 148),
    ("certpathadvert", 149),
    ("multicastrouteradvert", 151),
    ("multicastroutersolicit", 152),
    ("multicastrouterterm", 153),
];
