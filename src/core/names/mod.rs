//! Which names hosts have: from files of this machine ([`files`]), and learnt from what passes by:
//! answers of DNS ([`dns`]) and leases of DHCP ([`dhcp`]). Nothing is asked of anybody.
//!
//! Whoever can send such packets can say what he likes: names are for people to read, and nothing
//! is permitted or refused for them.

pub mod dhcp;
pub mod dns;
pub mod files;
mod keep;
pub mod saved;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::pace::Pace;
use crate::counters::Counters;
use crate::text;
use crate::wire::decode::Packet;

/// Names of addresses kept; beyond, the one that was not heard for longest gives way.
pub const MAX_NAMES: usize = 4_096;

/// Octets of all names with what is kept beside them; the same gives way.
pub const MAX_OCTETS: usize = 256 * 1024;

/// The longest name (RFC 1035, 3.1, as text).
pub const MAX_NAME: usize = 253;

/// Names of one address; beyond, its oldest gives way.
const MAX_OF_ONE: usize = 4;

/// Octets that a name takes beside its text.
const BESIDE: usize = size_of::<Entry>();

/// Messages that are read in a second; the rest is counted and passed over.
pub const MESSAGES: u32 = 1_000;

/// Who says that an address has a name; whom to believe more comes later.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// An answer of DNS that passed by.
    Dns,
    /// An answer of LLMNR.
    Llmnr,
    /// A name of NetBIOS that the host claims.
    NetBios,
    /// An answer of multicast DNS: the host says it itself.
    Mdns,
    /// A lease of DHCP that passed by.
    Dhcp,
    /// The file of leases of a DHCP server here.
    Lease,
    /// A file in which somebody wrote it down.
    Hosts,
}

impl Source {
    /// Its name in all outputs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Llmnr => "llmnr",
            Self::NetBios => "netbios",
            Self::Mdns => "mdns",
            Self::Dhcp => "dhcp",
            Self::Lease => "lease",
            Self::Hosts => "hosts",
        }
    }
}

/// What is known of names.
#[derive(Debug)]
pub struct Names {
    /// The newest name of each address; hashed under a random key.
    places: HashMap<IpAddr, u16>,
    entries: Vec<Option<Entry>>,
    free: Vec<u16>,
    /// Places of names in the order in which they were learnt.
    order: VecDeque<u16>,
    octets: usize,
    sequence: u64,
    leases: dhcp::Requests,
    enabled: bool,
    cap: usize,
    forgotten: u64,
    unread: u64,
}

/// A name of an address.
#[derive(Debug)]
struct Entry {
    address: IpAddr,
    name: Box<str>,
    sequence: u64,
    source: Source,
    /// The name that the address had before.
    older: Option<u16>,
    /// Heard again since it was last looked at for what gives way.
    again: bool,
}

/// A name of an address, and what tells it from those that were in its place before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known<'a> {
    /// Below [`MAX_NAMES`].
    pub place: u16,
    /// No other name has or had this number.
    pub sequence: u64,
    /// The name.
    pub name: &'a str,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            order: VecDeque::new(),
            octets: 0,
            sequence: 0,
            leases: dhcp::Requests::default(),
            enabled: true,
            cap: MAX_NAMES,
            forgotten: 0,
            unread: 0,
        }
    }
}

impl Names {
    /// Whether names are learnt from packets at all. Those that are known are forgotten when they
    /// are not.
    pub fn set_enabled(&mut self, enabled: bool) {
        if !enabled && self.enabled {
            *self = Self { sequence: self.sequence, cap: self.cap, ..Self::default() };
        }
        self.enabled = enabled;
    }

    /// How many names are kept, at most [`MAX_NAMES`].
    pub fn set_cap(&mut self, cap: usize) {
        self.cap = cap.clamp(1, MAX_NAMES);
        while self.order.len() > self.cap && self.forget_oldest() {}
    }

    /// Whether names are learnt from packets.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Learns from a packet for which [`tells`] holds, and its frame. `nanos` is when it was seen;
    /// `pace` is the limit of whoever brings packets. `false` if it was not read.
    pub fn hear(&mut self, packet: &Packet, frame: &[u8], nanos: u64, pace: &mut Pace) -> bool {
        if !self.enabled {
            return false;
        }
        let Some(datagram) = &packet.datagram else { return false };
        if !pace.admits(nanos) {
            self.unread = self.unread.saturating_add(1);
            return false;
        }
        let payload = packet.payload(frame);
        let tuple = &datagram.tuple;
        match (tuple.proto, tuple.sport, tuple.dport) {
            (TCP, ..) => {
                // Each message has its length before it; what began in an earlier segment is not
                // put together.
                let mut rest = payload;
                for _ in 0..MAX_MESSAGES {
                    let Some(([l0, l1], more)) = rest.split_first_chunk() else { break };
                    let len = usize::from(u16::from_be_bytes([*l0, *l1]));
                    let (message, behind) = more.split_at(len.min(more.len()));
                    dns::learn(self, message, Source::Dns);
                    rest = behind;
                }
            }
            (_, MDNS, _) => dns::learn(self, payload, Source::Mdns),
            (_, DNS, _) => dns::learn(self, payload, Source::Dns),
            (_, LLMNR, _) => dns::learn(self, payload, Source::Llmnr),
            (_, DHCP_SERVER | DHCP_CLIENT, _) => {
                if let Some((address, name)) = self.leases.read(payload) {
                    self.learn_from(address.into(), &name, Source::Dhcp);
                }
            }
            // For those who keep devices.
            _ => {}
        }
        true
    }

    /// Learns a name of an address from an answer of DNS; `false` if it is no name or no address
    /// of a host.
    pub fn learn(&mut self, address: IpAddr, name: &str) -> bool {
        self.learn_from(address, name, Source::Dns)
    }

    /// Learns a name of an address; `false` if it is no name or no address of a host.
    pub fn learn_from(&mut self, address: IpAddr, name: &str, source: Source) -> bool {
        let address = address.to_canonical();
        let Some(name) = clean(name).filter(|_| is_host(address)) else { return false };
        if self.refresh(address, &name, source) {
            return true;
        }
        let needed = BESIDE.saturating_add(name.len());
        while self.order.len() >= self.cap || self.octets.saturating_add(needed) > MAX_OCTETS {
            if !self.forget_oldest() {
                return false;
            }
        }
        // The oldest of those that are believed least keeps its place in the order for its
        // successor.
        let full = self.dispensable(address);
        if full.and_then(|place| self.entry(place)).is_some_and(|least| source < least.source) {
            return false;
        }
        if let Some(oldest) = full {
            self.forget(oldest);
        }
        self.sequence = self.sequence.wrapping_add(1);
        let older = self.places.get(&address).copied();
        let sequence = self.sequence;
        let again = full.is_some();
        let entry = Entry { address, name: name.into(), sequence, source, older, again };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                let Ok(place) = u16::try_from(self.entries.len()) else { return false };
                self.entries.push(None);
                place
            }
        };
        if let Some(slot) = self.entries.get_mut(usize::from(place)) {
            *slot = Some(entry);
            self.octets = self.octets.saturating_add(needed);
            self.places.insert(address, place);
            if full.is_none() {
                self.order.push_back(place);
            }
        }
        true
    }

    /// The name of an address that is believed most, the newest of several.
    #[must_use]
    pub fn name_of(&self, address: IpAddr) -> Option<&str> {
        self.find(address).map(|known| known.name)
    }

    /// The name of an address that is believed most, with its place.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<Known<'_>> {
        let mut best: Option<(u16, &Entry)> = None;
        for place in self.chain(address) {
            let entry = self.entry(place)?;
            if best.is_none_or(|(_, best)| entry.source > best.source) {
                best = Some((place, entry));
            }
        }
        let (place, entry) = best?;
        Some(Known { place, sequence: entry.sequence, name: &entry.name })
    }

    /// All names of an address and who says so, the newest first.
    pub fn names_of(&self, address: IpAddr) -> impl Iterator<Item = (&str, Source)> {
        let entries = self.chain(address.to_canonical()).filter_map(|place| self.entry(place));
        entries.map(|entry| (&*entry.name, entry.source))
    }

    /// The name that was asked for when an answer of DNS gave this address, the newest of several.
    #[must_use]
    pub fn hint(&self, address: IpAddr) -> Option<&str> {
        self.names_of(address).find(|(_, source)| *source == Source::Dns).map(|(name, _)| name)
    }

    /// Names that answers of DNS gave, those first that were learnt first.
    pub fn hints(&self) -> impl Iterator<Item = (IpAddr, &str)> {
        let entries = self.order.iter().filter_map(|place| self.entry(*place));
        let hints = entries.filter(|entry| entry.source == Source::Dns);
        hints.map(|entry| (entry.address, &*entry.name))
    }

    /// Takes what a source says as a whole: names of its that are no longer among them are
    /// forgotten.
    pub fn replace(&mut self, source: Source, names: &[(IpAddr, String)]) {
        if !self.enabled {
            return;
        }
        let mut said: Vec<(IpAddr, String)> = names
            .iter()
            .filter_map(|(address, name)| Some((address.to_canonical(), clean(name)?)))
            .collect();
        said.sort_unstable();
        let places = std::mem::take(&mut self.order);
        for place in places {
            let is_gone = self.entry(place).is_some_and(|entry| {
                let same = |(ip, name): &(IpAddr, String)| {
                    ip.cmp(&entry.address).then_with(|| name.as_str().cmp(&entry.name))
                };
                entry.source == source && said.binary_search_by(same).is_err()
            });
            if is_gone {
                self.forget(place);
            } else {
                self.order.push_back(place);
            }
        }
        for (address, name) in said {
            self.learn_from(address, &name, source);
        }
    }

    /// The addresses that have or had a name. It looks at all that is known.
    pub fn addresses_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = IpAddr> + 'a {
        let name = name.strip_suffix('.').unwrap_or(name);
        let entries = self.entries.iter().flatten();
        entries.filter(|e| e.name.eq_ignore_ascii_case(name)).map(|entry| entry.address)
    }

    /// Names that were learnt after the sequence stood at `after`. It looks at all that is known.
    pub fn since(&self, after: u64) -> impl Iterator<Item = (IpAddr, &str)> {
        let entries = self.entries.iter().flatten();
        entries.filter(move |e| e.sequence > after).map(|e| (e.address, &*e.name))
    }

    /// Grows with each new name.
    #[inline]
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Octets that they take.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.octets
    }

    /// Moves what was lost since the last call into the counters.
    pub fn count_into(&mut self, counters: &mut Counters) {
        let forgotten = std::mem::take(&mut self.forgotten);
        let unread = std::mem::take(&mut self.unread);
        counters.names_forgotten = counters.names_forgotten.saturating_add(forgotten);
        counters.names_unread = counters.names_unread.saturating_add(unread);
    }

    fn entry(&self, place: u16) -> Option<&Entry> {
        self.entries.get(usize::from(place))?.as_ref()
    }

    fn entry_mut(&mut self, place: u16) -> Option<&mut Entry> {
        self.entries.get_mut(usize::from(place))?.as_mut()
    }

    /// Places of the names of an address, the newest first.
    fn chain(&self, address: IpAddr) -> impl Iterator<Item = u16> + '_ {
        let first = self.places.get(&address).copied();
        let next = |place: &u16| self.entry(*place).and_then(|entry| entry.older);
        std::iter::successors(first, next).take(MAX_OF_ONE)
    }

    /// Which name of an address gives way to another; `None` if there is room for one more.
    fn dispensable(&self, address: IpAddr) -> Option<u16> {
        if self.chain(address).count() < MAX_OF_ONE {
            return None;
        }
        let source = |place: u16| self.entry(place).map(|entry| entry.source);
        // The oldest come last.
        self.chain(address)
            .reduce(|least, next| if source(next) <= source(least) { next } else { least })
    }

    /// Makes a name that an address has its newest; `false` if it has not got it.
    fn refresh(&mut self, address: IpAddr, name: &str, source: Source) -> bool {
        let has = |place: &u16| self.entry(*place).is_some_and(|entry| &*entry.name == name);
        let Some(place) = self.chain(address).find(has) else { return false };
        self.unlink(place);
        let older = self.places.insert(address, place);
        if let Some(entry) = self.entry_mut(place) {
            entry.older = older;
            entry.again = true;
            entry.source = entry.source.max(source);
        }
        true
    }

    /// Takes a name out of those of its address.
    fn unlink(&mut self, place: u16) {
        let Some((address, older)) = self.entry(place).map(|e| (e.address, e.older)) else {
            return;
        };
        let newer =
            self.chain(address).find(|at| self.entry(*at).is_some_and(|e| e.older == Some(place)));
        match (newer.and_then(|at| self.entry_mut(at)), older) {
            (Some(newer), older) => newer.older = older,
            (None, Some(older)) => drop(self.places.insert(address, older)),
            (None, None) => drop(self.places.remove(&address)),
        }
    }

    /// Forgets the name that was not heard for longest; `false` if there is none.
    fn forget_oldest(&mut self) -> bool {
        // Each name is put back twice at most, so that this ends: once if it was heard again, once
        // if a file says it, since that will not be read again for it.
        let mut spared = self.order.len().saturating_mul(2).saturating_add(1);
        while let Some(place) = self.order.pop_front() {
            spared = spared.saturating_sub(1);
            match self.entry_mut(place) {
                Some(entry) if spared > 0 && (entry.again || entry.source >= Source::Lease) => {
                    entry.again = false;
                    self.order.push_back(place);
                }
                _ => {
                    self.forget(place);
                    return true;
                }
            }
        }
        false
    }

    fn forget(&mut self, place: u16) {
        self.unlink(place);
        if let Some(entry) = self.entries.get_mut(usize::from(place)).and_then(Option::take) {
            self.octets = self.octets.saturating_sub(BESIDE.saturating_add(entry.name.len()));
            self.free.push(place);
            self.forgotten = self.forgotten.saturating_add(1);
        }
    }
}

/// Messages of DNS that are read of one segment of a stream.
const MAX_MESSAGES: usize = 8;

const TCP: u8 = 6;
const UDP: u8 = 17;
const DNS: u16 = 53;
const MDNS: u16 = 5_353;
const LLMNR: u16 = 5_355;
const NETBIOS: u16 = 137;
const SSDP: u16 = 1_900;
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;

/// Whether a packet is one that names may be learnt from.
#[inline]
#[must_use]
pub fn tells(packet: &Packet) -> bool {
    let Some(datagram) = &packet.datagram else { return false };
    let tuple = &datagram.tuple;
    match tuple.proto {
        TCP => tuple.sport == DNS && datagram.payload_captured > 0,
        UDP => {
            const PORTS: [u16; 7] = [DNS, MDNS, LLMNR, NETBIOS, SSDP, DHCP_SERVER, DHCP_CLIENT];
            PORTS.contains(&tuple.sport) || tuple.dport == SSDP
        }
        _ => false,
    }
}

/// A name as it is kept: in lower case, without a dot at its end; `None` if nobody should see it.
fn clean(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let fits = (1..=MAX_NAME).contains(&name.len()) && !name.contains(is_hidden);
    fits.then(|| name.to_ascii_lowercase())
}

/// What nobody sees, and what stands for damage.
pub(super) const fn is_hidden(c: char) -> bool {
    text::is_hidden(c) || c == '\u{fffd}'
}

/// Whether an address can be that of one host elsewhere. Blocking resolvers answer 0.0.0.0.
const fn is_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => {
            !matches!(ip, Ipv4Addr::BROADCAST | Ipv4Addr::UNSPECIFIED)
                && !ip.is_loopback()
                && !ip.is_multicast()
        }
        IpAddr::V6(ip) => {
            !matches!(ip, Ipv6Addr::UNSPECIFIED | Ipv6Addr::LOCALHOST) && !ip.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 | n).into()
    }

    #[test]
    fn the_newest_name_is_the_name_and_the_others_still_lead_to_the_address() {
        let mut names = Names::default();
        assert!(names.learn(ip(1), "WWW.Example.com."));
        let first = names.sequence();
        assert!(names.learn(ip(1), "cdn.example.net"));
        assert_eq!(names.name_of(ip(1)), Some("cdn.example.net"));
        assert_eq!(names.addresses_of("www.EXAMPLE.com.").collect::<Vec<_>>(), [ip(1)]);
        assert_eq!(names.since(first).collect::<Vec<_>>(), [(ip(1), "cdn.example.net")]);
        // Heard again it is the newest, but nothing new.
        assert!(names.learn(ip(1), "www.example.com"));
        assert_eq!(names.name_of(ip(1)), Some("www.example.com"));
        assert_eq!((names.len(), names.sequence()), (2, first + 1));
        for n in 0..9 {
            names.learn(ip(1), &format!("n{n}"));
        }
        assert_eq!((names.len(), names.name_of(ip(1))), (MAX_OF_ONE, Some("n8")));
        assert_eq!(names.addresses_of("n5").count(), 1);
        assert_eq!(names.addresses_of("n4").count(), 0);
    }

    #[test]
    fn what_nobody_should_see_is_no_name() {
        let mut names = Names::default();
        let long = "x".repeat(254);
        for bad in ["", ".", "a\nb", "a\u{202e}b", "\u{fffd}", "a\u{0}", &long] {
            assert!(!names.learn(ip(1), bad), "{bad:?}");
        }
        for address in ["0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.251", "::", "::1"] {
            assert!(!names.learn(address.parse().unwrap(), "a"), "{address}");
        }
        assert!(names.is_empty());
        assert!(names.learn("::ffff:10.0.0.9".parse().unwrap(), "a"));
        assert_eq!(names.name_of(ip(9)), Some("a"));
    }

    #[test]
    fn the_caps_hold_and_what_was_not_heard_for_longest_gives_way() {
        let mut names = Names::default();
        let long = "y".repeat(200);
        for n in 0..20_000 {
            names.learn(ip(n), &format!("{n}.{long}"));
            // This one is heard all the time.
            names.learn(ip(0), &format!("0.{long}"));
            assert!(names.octets() <= MAX_OCTETS && names.len() <= MAX_NAMES);
        }
        assert!(names.name_of(ip(0)).is_some() && names.name_of(ip(19_999)).is_some());
        assert_eq!(names.name_of(ip(1)), None);
        let octets: usize = names.since(0).map(|(_, name)| name.len() + BESIDE).sum();
        assert_eq!((names.octets(), names.since(0).count()), (octets, names.len()));
        let mut counters = Counters::default();
        names.count_into(&mut counters);
        assert_eq!(counters.names_forgotten, 20_000 - names.len() as u64);
        for n in 0..20_000 {
            names.learn(ip(n), "short");
        }
        assert!(names.len() > 3_000, "{}", names.len());
        assert_eq!(names.places.len(), names.len());
        names.set_enabled(false);
        assert!(names.is_empty());
    }

    #[test]
    fn whoever_is_believed_more_names_an_address() {
        let mut names = Names::default();
        names.learn_from(ip(1), "from-the-lease", Source::Lease);
        names.learn_from(ip(1), "tv.local", Source::Mdns);
        names.learn(ip(1), "said-last.example");
        assert_eq!(names.name_of(ip(1)), Some("from-the-lease"));
        assert_eq!(names.hint(ip(1)), Some("said-last.example"));
        assert_eq!(names.hints().collect::<Vec<_>>(), [(ip(1), "said-last.example")]);
        // Whoever is believed more and says the same lifts a name up.
        names.learn_from(ip(1), "TV.local", Source::Hosts);
        assert_eq!(names.name_of(ip(1)), Some("tv.local"));
        assert_eq!(names.names_of(ip(1)).count(), 3);
    }

    #[test]
    fn names_of_files_outlast_a_flood_of_answers() {
        let mut names = Names::default();
        names.learn_from(ip(1), "written-down", Source::Hosts);
        for n in 0..20_000 {
            names.learn(ip(1), &format!("n{n}.example"));
            names.learn(ip(n), "other.example");
        }
        assert_eq!(names.name_of(ip(1)), Some("written-down"));
        assert!(names.len() <= MAX_NAMES);
        // A table of nothing else still has room for what comes.
        let mut names = Names::default();
        names.set_cap(8);
        for n in 0..100 {
            assert!(names.learn_from(ip(n), "x", Source::Hosts));
        }
        assert_eq!(names.len(), 8);
        for n in 0..MAX_OF_ONE {
            names.learn_from(ip(200), &format!("h{n}"), Source::Hosts);
        }
        assert!(!names.learn(ip(200), "dns.example"));
    }

    #[test]
    fn a_file_that_is_read_again_forgets_what_it_no_longer_says() {
        let mut names = Names::default();
        let said = |list: &[(u32, &str)]| -> Vec<(IpAddr, String)> {
            list.iter().map(|(n, name)| (ip(*n), (*name).to_owned())).collect()
        };
        names.learn(ip(1), "dns.example");
        names.replace(Source::Lease, &said(&[(1, "Laptop"), (2, "phone")]));
        assert_eq!(names.name_of(ip(1)), Some("laptop"));
        let sequence = names.sequence();
        names.replace(Source::Lease, &said(&[(2, "phone"), (3, "bad\u{1b}name")]));
        assert_eq!(names.name_of(ip(1)), Some("dns.example"));
        assert_eq!((names.name_of(ip(2)), names.name_of(ip(3))), (Some("phone"), None));
        assert_eq!((names.len(), names.sequence()), (2, sequence));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_learnt_the_books_balance(
            steps in proptest::collection::vec((0_u32..6, 0_u8..8), 0..200),
        ) {
            let mut names = Names::default();
            for (address, name) in steps {
                names.learn(ip(address), &format!("n{name}"));
                proptest::prop_assert_eq!(names.name_of(ip(address)), Some(&*format!("n{name}")));
            }
            let chained: usize = (0..6).map(|n| names.chain(ip(n)).count()).sum();
            proptest::prop_assert_eq!(chained, names.len());
            proptest::prop_assert_eq!(names.entries.iter().flatten().count(), names.len());
        }
    }
}
