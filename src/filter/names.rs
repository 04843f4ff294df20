//! Names of services and protocols. The caller may bring the system's tables; a small table of
//! common names is built in.

/// Where names are looked up.
pub trait Names {
    /// The ports of a service.
    fn service(&self, name: &str) -> Service;
    /// The number of an IP protocol.
    fn protocol(&self, name: &str) -> Option<u8>;
    /// The hardware address of a host.
    fn ether(&self, _name: &str) -> Option<[u8; 6]> {
        None
    }
}

/// The ports of a service by transport.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Service {
    /// Over TCP.
    pub tcp: Option<u16>,
    /// Over UDP.
    pub udp: Option<u16>,
    /// Over SCTP.
    pub sctp: Option<u16>,
}

impl Service {
    const fn is_known(self) -> bool {
        self.tcp.is_some() || self.udp.is_some() || self.sctp.is_some()
    }
}

/// The common names.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn;

impl Names for BuiltIn {
    fn service(&self, name: &str) -> Service {
        let Ok(at) = SERVICES.binary_search_by(|(known, ..)| known.cmp(&name)) else {
            return Service::default();
        };
        SERVICES.get(at).map_or_else(Service::default, |(_, port, transports)| Service {
            tcp: (transports & TCP != 0).then_some(*port),
            udp: (transports & UDP != 0).then_some(*port),
            sctp: None,
        })
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        let known = PROTOCOLS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, number)| *number)
    }
}

/// Octets of one of the system's tables; what goes beyond is left out.
pub const MAX_TABLE: usize = 256 * 1024;

/// The system's tables, in the format of services(5), protocols(5) and ethers(5), before the
/// common names.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    services: Box<str>,
    protocols: Box<str>,
    ethers: Box<str>,
}

impl Tables {
    /// Takes the contents of the two files; either may be empty.
    #[must_use]
    pub fn new(services: impl Into<Box<str>>, protocols: impl Into<Box<str>>) -> Self {
        Self { services: services.into(), protocols: protocols.into(), ethers: Box::default() }
    }

    /// Takes the contents of the file of hardware addresses, too.
    #[must_use]
    pub fn with_ethers(mut self, ethers: impl Into<Box<str>>) -> Self {
        self.ethers = ethers.into();
        self
    }
}

impl Names for Tables {
    fn service(&self, name: &str) -> Service {
        let mut found = Service::default();
        for value in values(&self.services, name) {
            let Some((port, transport)) = value.split_once('/') else { continue };
            let Ok(port) = port.parse() else { continue };
            let place = match transport {
                "tcp" => &mut found.tcp,
                "udp" => &mut found.udp,
                "sctp" => &mut found.sctp,
                _ => continue,
            };
            place.get_or_insert(port);
        }
        if found.is_known() { found } else { BuiltIn.service(name) }
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        let number = values(&self.protocols, name).find_map(|value| value.parse().ok());
        number.or_else(|| BuiltIn.protocol(name))
    }

    fn ether(&self, name: &str) -> Option<[u8; 6]> {
        let mut lines = self.ethers.lines();
        lines.find_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            let mut columns = line.split_ascii_whitespace();
            let address = columns.next()?;
            let known = columns.next()?;
            // Zeros may be missing: 8:0:20:0:0:1.
            known.eq_ignore_ascii_case(name).then(|| octets(address))?
        })
    }
}

/// Six octets with colons between them.
fn octets(text: &str) -> Option<[u8; 6]> {
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut octets {
        let part = parts.next().filter(|part| part.len() <= 2)?;
        *octet = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(octets)
}

/// The common name of a port over TCP or UDP.
#[must_use]
pub fn service_of(port: u16, over_tcp: bool) -> Option<&'static str> {
    let over = if over_tcp { TCP } else { UDP };
    let found = SERVICES.iter().find(|(_, known, by)| *known == port && by & over != 0);
    found.map(|(name, ..)| *name)
}

/// The second column of the lines that have the name in their first or any later one.
fn values<'a>(table: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    table.lines().filter_map(move |line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut columns = line.split_ascii_whitespace();
        let first = columns.next()?;
        let value = columns.next()?;
        (first == name || columns.any(|alias| alias == name)).then_some(value)
    })
}

const TCP: u8 = 1;
const UDP: u8 = 2;
const BOTH: u8 = TCP | UDP;

/// Sorted by name.
const SERVICES: &[(&str, u16, u8)] = &[
    ("bgp", 179, TCP),
    ("bootpc", 68, UDP),
    ("bootps", 67, UDP),
    ("domain", 53, BOTH),
    ("domain-s", 853, BOTH),
    ("finger", 79, TCP),
    ("ftp", 21, TCP),
    ("ftp-data", 20, TCP),
    ("gtp-user", 2152, UDP),
    ("http", 80, TCP),
    ("http-alt", 8080, BOTH),
    ("https", 443, BOTH),
    ("imap", 143, TCP),
    ("imap2", 143, TCP),
    ("imaps", 993, TCP),
    ("ipp", 631, TCP),
    ("ipsec-nat-t", 4500, UDP),
    ("isakmp", 500, UDP),
    ("iscsi-target", 3260, TCP),
    ("kerberos", 88, BOTH),
    ("l2tp", 1701, UDP),
    ("ldap", 389, BOTH),
    ("ldaps", 636, BOTH),
    ("mdns", 5353, UDP),
    ("microsoft-ds", 445, BOTH),
    ("ms-wbt-server", 3389, TCP),
    ("mysql", 3306, TCP),
    ("netbios-dgm", 138, UDP),
    ("netbios-ns", 137, UDP),
    ("netbios-ssn", 139, TCP),
    ("nfs", 2049, BOTH),
    ("nntp", 119, TCP),
    ("ntp", 123, UDP),
    ("openvpn", 1194, BOTH),
    ("pop3", 110, TCP),
    ("pop3s", 995, TCP),
    ("postgresql", 5432, TCP),
    ("radius", 1812, BOTH),
    ("radius-acct", 1813, BOTH),
    ("rsync", 873, TCP),
    ("rtsp", 554, BOTH),
    ("sip", 5060, BOTH),
    ("sip-tls", 5061, BOTH),
    ("smtp", 25, TCP),
    ("snmp", 161, BOTH),
    ("snmp-trap", 162, BOTH),
    ("ssdp", 1900, UDP),
    ("ssh", 22, TCP),
    ("submission", 587, TCP),
    ("submissions", 465, TCP),
    ("sunrpc", 111, BOTH),
    ("syslog", 514, UDP),
    ("telnet", 23, TCP),
    ("tftp", 69, UDP),
    ("vxlan", 4789, UDP),
    ("whois", 43, TCP),
    ("www", 80, TCP),
];

const PROTOCOLS: &[(&str, u8)] = &[
    ("ah", 51),
    ("carp", 112),
    ("dccp", 33),
    ("egp", 8),
    ("eigrp", 88),
    ("encap", 98),
    ("esp", 50),
    ("etherip", 97),
    ("gre", 47),
    ("hopopt", 0),
    ("icmp", 1),
    ("icmp6", 58),
    ("icmpv6", 58),
    ("igmp", 2),
    ("igrp", 9),
    ("ip", 0),
    ("ipencap", 4),
    ("ipip", 94),
    ("ipv6", 41),
    ("ipv6-frag", 44),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-route", 43),
    ("l2tp", 115),
    ("ospf", 89),
    ("pgm", 113),
    ("pim", 103),
    ("rsvp", 46),
    ("sctp", 132),
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("vrrp", 112),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_for_bisection() {
        assert!(SERVICES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn the_systems_tables_come_before_the_built_in_one() {
        let tables = Tables::new(
            "http 81/tcp www # a comment\nhttp 82/udp\nssh\t22/tcp\n# ftp 9/tcp\n",
            "weird 200 WEIRD\n",
        );
        let http = Service { tcp: Some(81), udp: Some(82), sctp: None };
        assert_eq!(tables.service("http"), http);
        assert_eq!(tables.service("www").tcp, Some(81));
        assert_eq!(tables.service("ftp").tcp, Some(21));
        assert_eq!(tables.service("nonsense"), Service::default());
        assert_eq!(tables.protocol("WEIRD"), Some(200));
        assert_eq!(tables.protocol("tcp"), Some(6));
    }

    #[test]
    fn hardware_addresses_have_names_in_the_systems_table() {
        let ethers = "# comment\n8:0:20:0:0:1 sun\n02:00:00:00:00:0a\tprinter # there\nbad one\n";
        let tables = Tables::default().with_ethers(ethers);
        assert_eq!(tables.ether("sun"), Some([8, 0, 0x20, 0, 0, 1]));
        assert_eq!(tables.ether("PRINTER"), Some([2, 0, 0, 0, 0, 10]));
        assert_eq!(tables.ether("one"), None);
        assert_eq!(BuiltIn.ether("sun"), None);
        let link = crate::wire::link::LinkType::ETHERNET;
        let options = crate::filter::Options { names: &tables, ..Default::default() };
        let code = |text: &str| {
            let program = crate::filter::compile(text, link, &options);
            program.map(|program| program.instructions().to_vec())
        };
        assert_eq!(code("ether host sun"), code("ether host 08:00:20:00:00:01"));
        assert_eq!(code("ether src printer"), code("ether src 02:00:00:00:00:0a"));
        assert!(code("ether host nobody").is_err());
    }
}
