//! What can be asked of a flow, by name.

/// What an attribute may be compared with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// An address, a network or an address group.
    Address,
    /// One of some words; a prefix that Netify writes before them is left out.
    Constant(&'static str, &'static [&'static str]),
    /// True or false.
    Flag,
    /// A hardware address or an address group.
    Mac,
    /// A number, ordered.
    Number,
    /// A name or a number: of applications, protocols and categories.
    Tag,
    /// Text or a regular expression.
    Text,
}

macro_rules! attributes {
    ($($variant:ident: $kind:expr, $doc:literal, $name:literal $(, $alias:literal)*;)*) => {
        /// What can be asked of a flow.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Attribute {
            $(#[doc = $doc] $variant,)*
        }

        /// All attributes with their names (the first is the usual one) and what they are.
        pub const ALL: &[(Attribute, &[&str], &str)] = &[
            $((Attribute::$variant, &[$name $(, $alias)*], $doc),)*
        ];

        impl Attribute {
            /// What it may be compared with.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self {
                    $(Self::$variant => $kind,)*
                }
            }
        }
    };
}

const OTHER_TYPES: &[&str] =
    &["unknown", "unsupported", "local", "multicast", "broadcast", "remote", "error"];

attributes! {
    Application: Kind::Tag, "Tag or number of the application.",
        "application", "app", "app_id", "application_id";
    Protocol: Kind::Tag, "Name or number of the protocol.",
        "protocol", "proto", "proto_id", "protocol_id";
    ApplicationCategory: Kind::Tag, "Category of the application.",
        "application_category", "app_category";
    ProtocolCategory: Kind::Tag, "Category of the protocol.",
        "protocol_category", "proto_category";
    DomainCategory: Kind::Tag, "Category of the name of the host.",
        "domain_category", "dom_category";
    Category: Kind::Tag, "Any of the categories.", "category", "cat";
    DetectedHostname: Kind::Text, "Name of the host that the flow itself shows.",
        "detected_hostname";
    DnsHostname: Kind::Text, "Name of the other end's address, from answers of DNS.",
        "dns_hostname";
    LocalIp: Kind::Address, "Address of the local end.", "local_ip";
    OtherIp: Kind::Address, "Address of the other end.", "other_ip";
    Ip: Kind::Address, "Address of either end.", "ip";
    LocalMac: Kind::Mac, "Hardware address of the local end.", "local_mac";
    OtherMac: Kind::Mac, "Hardware address of the other end.", "other_mac";
    Mac: Kind::Mac, "Hardware address of either end.", "mac";
    LocalPort: Kind::Number, "Port of the local end.", "local_port";
    OtherPort: Kind::Number, "Port of the other end.", "other_port";
    Port: Kind::Number, "Port of either end.", "port";
    IpProtocol: Kind::Number, "IP protocol number.", "ip_protocol";
    IpVersion: Kind::Number, "4 or 6.", "ip_version";
    Vlan: Kind::Number, "VLAN id, 0 if untagged.", "vlan_id", "vlan";
    Interface: Kind::Text, "Capture interface.", "interface";
    Mark: Kind::Number, "Mark of the connection in the kernel.", "fwmark", "ct_mark";
    TlsVersion: Kind::Number, "Version of TLS: 0x0303 is 1.2.", "tls_version", "ssl_version";
    TlsCipher: Kind::Number, "Cipher suite of TLS.", "tls_cipher", "ssl_cipher";
    OtherType: Kind::Constant("other_", OTHER_TYPES), "What the other end is.", "other_type";
    Origin: Kind::Constant("origin_", &["local", "other", "unknown"]),
        "Which end opened it.", "origin";
    TunnelType: Kind::Constant("tunnel_", &["none", "gtp", "geneve", "gre", "ipip", "mpls",
        "pppoe", "6in4", "vxlan", "gtp-u"]), "What carries it.", "tunnel_type";
    Risks: Kind::Tag, "Risks that it shows.", "risks";
    RiskScore: Kind::Number, "Sum of its risks.", "ndpi_risk_score";
    RiskClient: Kind::Number, "Risks of the client.", "ndpi_risk_client";
    RiskServer: Kind::Number, "Risks of the server.", "ndpi_risk_server";
    Nat: Kind::Flag, "Its addresses are translated.", "ip_nat";
    Offloaded: Kind::Flag, "Its packets are forwarded unseen.", "offloaded";
    Guessed: Kind::Flag, "Its protocol is that of its port.", "detection_guessed";
    Updated: Kind::Flag, "More became known after it was first told.", "detection_updated";
    Complete: Kind::Flag, "Nothing more will become known.", "detection_complete";
    Bytes: Kind::Number, "Octets in both directions.", "total_bytes", "bytes";
    Packets: Kind::Number, "Packets in both directions.", "total_packets", "packets";
}

impl Attribute {
    /// The attribute of a name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let known = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        ALL.iter().find(|(_, names, _)| known(names)).map(|(attribute, ..)| *attribute)
    }

    /// Its usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let names = ALL.iter().find(|(attribute, ..)| *attribute == self);
        names.and_then(|(_, names, _)| names.first()).copied().unwrap_or("")
    }
}
