//! One device as it is remembered: a few of everything, whatever it sends.

use std::net::IpAddr;

use super::super::names::Source;
use crate::time::Tick;

/// Addresses of one device; beyond, the one not seen for longest gives way.
pub const MAX_ADDRESSES: usize = 16;

/// Names of one device; of one source two at most. Beyond, the oldest gives way.
pub const MAX_NAMES: usize = 8;

/// Octets of one trace or name; the rest is cut off.
pub const MAX_TEXT: usize = 255;

/// What a device lets slip of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trace {
    /// Options that it asks for by DHCP, in its order.
    DhcpOptions,
    /// How it names its kind to DHCP.
    DhcpClass,
    /// How it opens TLS.
    Ja4,
    /// How it names its programs to servers.
    UserAgent,
    /// A service that it offers by multicast DNS.
    Service,
    /// A kind of device or service that it offers by SSDP.
    Role,
    /// How it names its server.
    Server,
    /// A model that it tells.
    Model,
    /// A host that devices of some makers alone ask for.
    Contact,
}

impl Trace {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::DhcpOptions,
        Self::DhcpClass,
        Self::Ja4,
        Self::UserAgent,
        Self::Service,
        Self::Role,
        Self::Server,
        Self::Model,
        Self::Contact,
    ];

    /// Its name in all outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DhcpOptions => "dhcp_options",
            Self::DhcpClass => "dhcp_class",
            Self::Ja4 => "ja4",
            Self::UserAgent => "user_agent",
            Self::Service => "mdns_service",
            Self::Role => "ssdp_type",
            Self::Server => "server",
            Self::Model => "model",
            Self::Contact => "contact",
        }
    }

    /// How many of it are kept; what comes later is not.
    const fn most(self) -> usize {
        match self {
            Self::DhcpOptions | Self::DhcpClass => 2,
            Self::Model => 3,
            Self::Ja4 | Self::UserAgent | Self::Server | Self::Contact => 4,
            Self::Role => 6,
            Self::Service => 12,
        }
    }
}

/// A device.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Slot of the interface that it was seen on last.
    pub iface: u16,
    /// When it was seen first.
    pub first: Tick,
    /// When it was seen last.
    pub last: Tick,
    /// Octets that it sent in flows that have ended.
    pub sent: u64,
    /// Octets that it received in such flows.
    pub received: u64,
    /// Flows that have ended.
    pub flows: u64,
    /// It was seen lately.
    pub is_online: bool,
    /// The kernel knows it as a neighbour, or it is this machine.
    pub is_confirmed: bool,
    /// It announces itself as a router.
    pub is_router: bool,
    /// It is an interface of this machine.
    pub is_own: bool,
    addresses: Vec<(IpAddr, Tick)>,
    names: Vec<(Source, Box<str>)>,
    traces: Vec<(Trace, Box<str>)>,
}

impl Device {
    /// One of which nothing is known.
    pub(super) const fn new(mac: [u8; 6], iface: u16, now: Tick) -> Self {
        Self {
            mac,
            iface,
            first: now,
            last: now,
            sent: 0,
            received: 0,
            flows: 0,
            is_online: true,
            is_confirmed: false,
            is_router: false,
            is_own: false,
            addresses: Vec::new(),
            names: Vec::new(),
            traces: Vec::new(),
        }
    }

    /// Notes that it has an address.
    pub(super) fn learn_address(&mut self, address: IpAddr, now: Tick) {
        if let Some((_, at)) = self.addresses.iter_mut().find(|(known, _)| *known == address) {
            *at = now.max(*at);
            return;
        }
        if self.addresses.len() >= MAX_ADDRESSES {
            let ages = self.addresses.iter().enumerate();
            if let Some((oldest, _)) = ages.min_by_key(|(_, (_, at))| *at) {
                self.addresses.remove(oldest);
            }
        }
        self.addresses.push((address, now));
    }

    /// Notes that an address belongs to somebody else now.
    pub(super) fn lose_address(&mut self, address: IpAddr) {
        self.addresses.retain(|(known, _)| *known != address);
    }

    /// Learns a name; how many octets more it takes now.
    pub(super) fn learn_name(&mut self, source: Source, name: &str) -> isize {
        if self.names.iter().any(|(by, known)| *by == source && &**known == name) {
            return 0;
        }
        let mut freed = 0;
        let of_source = self.names.iter().filter(|(by, _)| *by == source).count();
        if of_source >= 2 || self.names.len() >= MAX_NAMES {
            let oldest =
                self.names.iter().position(|(by, _)| of_source < 2 || *by == source).unwrap_or(0);
            freed = self.names.remove(oldest).1.len();
        }
        self.names.push((source, name.into()));
        name.len().wrapping_sub(freed).cast_signed()
    }

    /// Whether a trace is one more than is known, and has a place.
    pub(super) fn wants(&self, trace: Trace, text: &str) -> bool {
        let mut of_kind = self.traces(trace);
        let mut count = 0_usize;
        !of_kind.any(|known| {
            count = count.saturating_add(1);
            known == text
        }) && count < trace.most()
    }

    /// Keeps a trace.
    pub(super) fn keep(&mut self, trace: Trace, text: Box<str>) {
        self.traces.push((trace, text));
    }

    /// Its addresses, those of IPv4 first, of each kind the one seen last.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        let mut addresses = self.addresses.clone();
        addresses
            .sort_by_key(|(address, at)| (address.is_ipv6(), std::cmp::Reverse(*at), *address));
        addresses.into_iter().map(|(address, _)| address).collect()
    }

    /// Whether it has an address.
    #[must_use]
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(known, _)| *known == address)
    }

    /// The names that it says itself or that a file gives it, those to believe most first.
    #[must_use]
    pub fn names(&self) -> Vec<(Source, &str)> {
        // Of one source the newest first.
        let mut names: Vec<_> = self.names.iter().rev().map(|(by, name)| (*by, &**name)).collect();
        names.sort_by_key(|(source, _)| std::cmp::Reverse(*source));
        names
    }

    /// The traces of a kind.
    pub fn traces(&self, trace: Trace) -> impl Iterator<Item = &str> {
        self.traces.iter().filter(move |(kind, _)| *kind == trace).map(|(_, text)| &**text)
    }

    /// Octets of its names and traces.
    pub(super) fn octets(&self) -> usize {
        let names = self.names.iter().map(|(_, name)| name.len());
        names.chain(self.traces.iter().map(|(_, text)| text.len())).sum()
    }
}

/// Octets of the network as text: damage replaced, what fills up cut off. Control characters stay:
/// whoever shows the text escapes them.
pub(super) fn text(bytes: &[u8]) -> Option<Box<str>> {
    let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    // Damage takes three octets where there was one.
    let end = (0..=text.len().min(MAX_TEXT)).rev().find(|end| text.is_char_boundary(*end))?;
    let text = text.get(..end)?;
    (!text.is_empty()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_keeps_a_few_of_everything() {
        let mut device = Device::new([2; 6], 0, Tick(1));
        for n in 0..100_u8 {
            device.learn_address([10, 0, 0, n].into(), Tick(u64::from(n)));
            device.learn_name(Source::Dhcp, &format!("n{n}"));
            let service = format!("_{n}._tcp");
            if device.wants(Trace::Service, &service) {
                device.keep(Trace::Service, service.into());
            }
        }
        let addresses = device.addresses();
        assert_eq!(addresses.len(), MAX_ADDRESSES);
        assert_eq!(addresses.first(), Some(&IpAddr::from([10, 0, 0, 99])));
        assert_eq!(device.names(), [(Source::Dhcp, "n99"), (Source::Dhcp, "n98")]);
        assert_eq!(device.traces(Trace::Service).count(), 12);
    }

    #[test]
    fn names_are_in_the_order_of_trust() {
        let mut device = Device::new([2; 6], 0, Tick(1));
        let mut octets = 0;
        for (source, name) in
            [(Source::Mdns, "mdns"), (Source::Hosts, "file"), (Source::Dhcp, "dhcp")]
        {
            octets += device.learn_name(source, name);
        }
        octets += device.learn_name(Source::Dhcp, "dhcp");
        let names: Vec<&str> = device.names().into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["file", "dhcp", "mdns"]);
        assert_eq!(octets.cast_unsigned(), device.octets());
    }

    #[test]
    fn text_of_the_network_has_an_end_and_is_utf_8() {
        assert_eq!(text(b" tv\0\0").as_deref(), Some("tv"));
        assert_eq!(text(b"\0 \0"), None);
        assert_eq!(text(b"a\xffb").as_deref(), Some("a\u{fffd}b"));
        assert!(text(&[0xff; 4_000]).unwrap().len() <= MAX_TEXT);
        assert!(text("ü".repeat(400).as_bytes()).unwrap().len() <= MAX_TEXT);
    }
}
