//! Names of IP protocol numbers (IANA assigned internet protocol numbers), the common ones.

const NAMES: &[(u8, &str)] = &[
    (0, "hopopt"),
    (1, "icmp"),
    (2, "igmp"),
    (4, "ipip"),
    (6, "tcp"),
    (17, "udp"),
    (33, "dccp"),
    (41, "ipv6"),
    (46, "rsvp"),
    (47, "gre"),
    (50, "esp"),
    (51, "ah"),
    (58, "icmpv6"),
    (88, "eigrp"),
    (89, "ospf"),
    (103, "pim"),
    (112, "vrrp"),
    (113, "pgm"),
    (115, "l2tp"),
    (132, "sctp"),
    (136, "udplite"),
];

/// The name of a protocol, `None` for the uncommon ones.
#[must_use]
pub fn name(proto: u8) -> Option<&'static str> {
    NAMES.iter().find(|(number, _)| *number == proto).map(|(_, name)| *name)
}

/// The name of a protocol, or its number as text.
#[must_use]
pub fn text(proto: u8) -> std::borrow::Cow<'static, str> {
    name(proto).map_or_else(|| proto.to_string().into(), Into::into)
}

/// The number of a protocol given by name, in any letter case, or by number.
#[must_use]
pub fn parse(text: &str) -> Option<u8> {
    let known = NAMES.iter().find(|(_, name)| text.eq_ignore_ascii_case(name));
    known.map(|(number, _)| *number).or_else(|| text.parse().ok())
}
