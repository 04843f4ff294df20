//! Who is here: one entry for each hardware address of the local side, with addresses, names,
//! traffic and what it lets slip of itself; and what applications and protocols the local side
//! uses. Fed by flows that begin, are recognised and end, by messages to the whole network and by
//! the kernel's neighbours, never by ordinary packets. Nothing is asked of anybody.
//!
//! Whoever can send frames can invent devices and say anything of them: all of it is for people to
//! read, and nothing is permitted or refused for it.

pub mod device;
mod follow;
pub mod guess;
mod heard;
pub mod ledger;
pub mod listing;
pub mod saved;

use std::collections::HashMap;
use std::net::IpAddr;

use super::names::files::Named;
use super::names::{Names, Source};
use super::pace::Pace;
use crate::counters::Counters;
use crate::detect::{Fact, Outcome, Progress, Protocol};
use crate::expression::lies_in;
use crate::flow::{Flow, OtherType, Side};
use crate::time::Tick;
use crate::wire::decode::{Packet, Tunnel};

use self::device::{Device, Trace, text};
use self::heard::Said;
use self::ledger::Ledger;

/// Devices that are kept. Beyond, one gives way that the kernel does not know as a neighbour, of
/// these the one not seen for longest; no more than [`ADMISSIONS`] do so in a second, and what is
/// new beyond that is not kept.
pub const MAX_DEVICES: usize = 1_024;

/// Devices that take the place of others in a second: made-up addresses must not cost time.
pub const ADMISSIONS: u32 = 64;

/// Octets of all names and traces; beyond, no further trace is kept.
pub const MAX_OCTETS: usize = 512 * 1024;

/// Names that files of one kind give to hardware addresses; further ones are passed over.
const MAX_GIVEN: usize = 4_096;

/// Events that wait to be told; beyond, they are dropped and counted.
const MAX_NEWS: usize = 256;

/// What became of a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// It was never seen before.
    New,
    /// It was seen again after a time of silence.
    Online,
    /// It was not seen for some time.
    Offline,
}

impl What {
    /// Its name and number in events.
    #[must_use]
    pub const fn name(self) -> (&'static str, u8) {
        match self {
            Self::New => ("new", 1),
            Self::Online => ("online", 2),
            Self::Offline => ("offline", 3),
        }
    }
}

/// All devices.
#[derive(Debug)]
pub struct Devices {
    /// What is used, and by how many.
    pub ledger: Ledger,
    /// Hashed under a random key: addresses are chosen by others.
    places: HashMap<[u8; 6], u16>,
    devices: Vec<Device>,
    /// Networks of interfaces here, and interfaces that lead elsewhere.
    networks: Vec<(IpAddr, u8)>,
    outside: Vec<u16>,
    inside: Vec<u16>,
    /// Flows were seen on interfaces to the local network.
    has_inside: bool,
    own: Vec<[u8; 6]>,
    octets: usize,
    pace: Pace,
    news: Vec<(u16, What)>,
    /// Names that files give, by hardware address.
    given: Vec<([u8; 6], Source, String)>,
    lost: Lost,
}

/// What had to be left out since it was last counted.
#[derive(Debug, Default)]
struct Lost {
    forgotten: u64,
    refused: u64,
    unkept: u64,
    news: u64,
}

impl Default for Devices {
    fn default() -> Self {
        Self {
            ledger: Ledger::default(),
            places: HashMap::new(),
            devices: Vec::new(),
            networks: Vec::new(),
            outside: Vec::new(),
            inside: Vec::new(),
            has_inside: false,
            own: Vec::new(),
            octets: 0,
            pace: Pace::new(ADMISSIONS),
            news: Vec::new(),
            given: Vec::new(),
            lost: Lost::default(),
        }
    }
}

impl Devices {
    /// Says what is near: networks of interfaces here, interfaces that lead elsewhere and those
    /// to the local network, and the hardware addresses of this machine.
    pub fn orient(
        &mut self,
        networks: Vec<(IpAddr, u8)>,
        (outside, inside): (Vec<u16>, Vec<u16>),
        own: Vec<[u8; 6]>,
    ) {
        (self.networks, self.own) = (networks, own);
        (self.outside, self.inside) = (outside, inside);
        for device in &mut self.devices {
            device.is_own = self.own.contains(&device.mac);
        }
    }

    /// A flow has begun.
    pub fn started(&mut self, flow: &Flow) {
        let iface = flow.key().iface;
        if flow.is_carrier() || self.outside.contains(&iface) {
            return;
        }
        self.has_inside |= self.inside.contains(&iface);
        let now = flow.first_seen();
        for side in sides(flow) {
            let mac = *flow.macs().of(side);
            // The other one has yet to show that it is there.
            let place = match side == flow.initiator() {
                true => self.admit(mac, iface, now),
                false => self.places.get(&mac).copied(),
            };
            let ip = flow.key().ip(side);
            let is_near = self.is_near(ip);
            if let Some(device) = place.and_then(|place| self.device_mut(place)) {
                if is_near {
                    device.learn_address(ip, now);
                }
                if side == flow.initiator() {
                    device.iface = iface;
                }
            }
            if let Some(place) = place.filter(|_| side == flow.initiator()) {
                self.touch(place, now);
            }
        }
    }

    /// More became known of a flow.
    pub fn detected(&mut self, flow: &Flow, what: &Outcome, progress: Progress) {
        if !(progress.named || progress.complete)
            || what.facts.is_empty()
            || flow.is_carrier()
            || self.outside.contains(&flow.key().iface)
        {
            return;
        }
        for side in sides(flow) {
            let is_client = side == flow.initiator();
            let Some(&place) = self.places.get(flow.macs().of(side)) else { continue };
            for (fact, value) in what.facts.iter() {
                // Clients of DHCPv6 say their names in messages that nobody else reads.
                if fact == Fact::HostName && is_client && what.protocol == Protocol::DHCPV6 {
                    if let Some(name) = text(value) {
                        self.name(place, Source::Dhcp, &name);
                    }
                    continue;
                }
                let trace = match (fact, is_client) {
                    (Fact::Ja4, true) => Trace::Ja4,
                    (Fact::UserAgent, true) => Trace::UserAgent,
                    (Fact::DhcpClass, true) => Trace::DhcpClass,
                    (Fact::Server, false) => Trace::Server,
                    (Fact::Host, true) if str::from_utf8(value).is_ok_and(guess::is_telling) => {
                        Trace::Contact
                    }
                    _ => continue,
                };
                self.trace(place, trace, value);
            }
        }
    }

    /// A flow has ended.
    pub fn ended(&mut self, flow: &Flow, what: &Outcome) {
        if flow.is_carrier() {
            return;
        }
        let iface = flow.key().iface;
        let mut near = None;
        if !self.outside.contains(&iface) {
            for side in sides(flow) {
                if *flow.packets().of(side) == 0 {
                    continue;
                }
                let mac = *flow.macs().of(side);
                let Some(place) = self.admit(mac, iface, flow.last_seen()) else { continue };
                self.touch(place, flow.last_seen());
                let ip = flow.key().ip(side);
                let is_near = self.is_near(ip);
                if let Some(device) = self.device_mut(place) {
                    let bytes = flow.bytes();
                    device.sent = device.sent.saturating_add(*bytes.of(side));
                    device.received = device.received.saturating_add(*bytes.of(side.other()));
                    device.flows = device.flows.saturating_add(1);
                    if is_near {
                        device.learn_address(ip, flow.last_seen());
                    }
                }
                near = near.or(Some(place));
            }
        }
        if self.counts(iface) {
            self.ledger.add(flow, (what.application, what.protocol.0), near);
        }
    }

    /// Whether flows of an interface are added up: what the uplink shows was on the local network
    /// before, where that is seen.
    #[must_use]
    pub fn counts(&self, iface: u16) -> bool {
        !self.has_inside || !self.outside.contains(&iface)
    }

    /// A message to the whole network: for packets for which the names' `tells` holds.
    pub fn heard(&mut self, packet: &Packet, payload: &[u8], iface: u16, now: Tick) {
        if self.outside.contains(&iface) || !packet.carriers().is_empty() {
            return;
        }
        heard::read(packet, payload, |mac, said| {
            let Some(place) = self.admit(mac, iface, now) else { return };
            // What a server grants says nothing of where its client is now.
            if packet.macs.is_some_and(|(_, from)| from == mac) {
                self.touch(place, now);
            }
            match said {
                Said::Address(ip) if self.is_near(ip) => {
                    if let Some(device) = self.device_mut(place) {
                        device.learn_address(ip, now);
                    }
                }
                Said::Address(_) => {}
                Said::Name(source, name) => {
                    if let Some(name) = text(name) {
                        self.name(place, source, &name);
                    }
                }
                Said::Trace(trace, value) => self.trace(place, trace, value),
            }
        });
    }

    /// The kernel knows a neighbour.
    pub fn neighbour(&mut self, iface: u16, ip: IpAddr, mac: [u8; 6], is_router: bool, now: Tick) {
        if self.outside.contains(&iface) {
            return;
        }
        let Some(place) = self.admit(mac, iface, now) else { return };
        if let Some(device) = self.device_mut(place) {
            device.is_confirmed = true;
            device.is_router |= is_router;
            device.iface = iface;
            device.learn_address(ip, now);
        }
        self.touch(place, now);
    }

    /// An address belongs to somebody else now.
    pub fn moved(&mut self, ip: IpAddr, from: [u8; 6]) {
        if let Some(device) =
            self.places.get(&from).and_then(|at| self.devices.get_mut(usize::from(*at)))
        {
            device.lose_address(ip);
        }
    }

    /// A live flow had packets lately.
    pub fn alive(&mut self, flow: &Flow) {
        if flow.is_carrier() || self.outside.contains(&flow.key().iface) {
            return;
        }
        for side in sides(flow) {
            if *flow.packets().of(side) > 0
                && let Some(&place) = self.places.get(flow.macs().of(side))
            {
                self.touch(place, flow.last_seen());
            }
        }
    }

    /// Takes in a device that was here before; there is no news of it.
    fn remember(&mut self, device: Device) {
        let [first, ..] = device.mac;
        let is_one = first & 1 == 0 && device.mac != [0; 6];
        let has_room = self.devices.len() < MAX_DEVICES;
        if is_one
            && has_room
            && !self.places.contains_key(&device.mac)
            && let Ok(place) = u16::try_from(self.devices.len())
        {
            self.places.insert(device.mac, place);
            self.devices.push(device);
        }
    }

    /// Names that files give to hardware addresses; those of before are forgotten.
    pub fn give_names<'a>(&mut self, source: Source, names: impl Iterator<Item = &'a Named>) {
        self.given.retain(|(_, by, _)| *by != source);
        let with_mac = names.filter_map(|named| Some((named.mac?, source, named.name.clone())));
        self.given.extend(with_mac.take(MAX_GIVEN));
        self.given.sort_unstable();
    }

    /// All names of a device, those to believe most first: what a file says, what it says itself,
    /// what its addresses are called.
    #[must_use]
    pub fn names_of<'a>(&'a self, device: &'a Device, names: &'a Names) -> Vec<(Source, &'a str)> {
        let from = self.given.partition_point(|(mac, ..)| *mac < device.mac);
        let given = self.given.get(from..).unwrap_or_default().iter();
        let given = given.take_while(|(mac, ..)| *mac == device.mac);
        let mut all: Vec<(Source, &str)> =
            given.map(|(_, source, name)| (*source, name.as_str())).chain(device.names()).collect();
        for address in device.addresses() {
            all.extend(names.names_of(address).map(|(name, source)| (source, name)));
        }
        all.sort_by_key(|(source, _)| std::cmp::Reverse(*source));
        let mut seen: Vec<(Source, &str)> = Vec::with_capacity(all.len());
        for (source, name) in all {
            if !seen.iter().any(|(_, known)| known.eq_ignore_ascii_case(name)) {
                seen.push((source, name));
            }
        }
        seen
    }

    /// Notes who was not seen since `limit`.
    pub fn sweep(&mut self, limit: Tick) {
        for (at, device) in (0_u16..).zip(&mut self.devices) {
            if device.is_online && device.last < limit && !device.is_own {
                device.is_online = false;
                news(&mut self.news, &mut self.lost, (at, What::Offline));
            }
        }
    }

    /// What became of devices since this was last asked.
    pub fn take_news(&mut self) -> Vec<(u16, What)> {
        std::mem::take(&mut self.news)
    }

    /// Whether there is news.
    #[must_use]
    pub const fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// The device of a hardware address.
    #[must_use]
    pub fn find(&self, mac: [u8; 6]) -> Option<&Device> {
        self.get(*self.places.get(&mac)?)
    }

    /// The device in a place.
    #[must_use]
    pub fn get(&self, place: u16) -> Option<&Device> {
        self.devices.get(usize::from(place))
    }

    /// The place of a hardware address.
    #[must_use]
    pub fn place(&self, mac: [u8; 6]) -> Option<u16> {
        self.places.get(&mac).copied()
    }

    /// The device that has an address: of several the one seen last. It looks at all of them.
    #[must_use]
    pub fn of_address(&self, ip: IpAddr) -> Option<&Device> {
        self.devices.iter().filter(|device| device.has(ip)).max_by_key(|device| device.last)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &Device)> {
        (0_u16..).zip(&self.devices)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Moves what was lost since the last call into the counters.
    pub fn count_into(&mut self, counters: &mut Counters) {
        let lost = std::mem::take(&mut self.lost);
        for (total, more) in [
            (&mut counters.devices_forgotten, lost.forgotten),
            (&mut counters.devices_refused, lost.refused),
            (&mut counters.device_traces_unkept, lost.unkept),
            (&mut counters.device_news_dropped, lost.news),
        ] {
            *total = total.saturating_add(more);
        }
    }

    /// Whether an address is one of a network here. Where no network is known, whatever cannot be
    /// elsewhere on the Internet.
    fn is_near(&self, ip: IpAddr) -> bool {
        if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() {
            return false;
        }
        let is_link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        let within =
            || self.networks.iter().any(|(network, prefix)| lies_in(ip, *network, *prefix));
        let is_private = || match ip {
            IpAddr::V4(ip) => ip.is_private(),
            IpAddr::V6(ip) => ip.is_unique_local(),
        };
        is_link_local || if self.networks.is_empty() { is_private() } else { within() }
    }

    /// The place of a hardware address, a new one if need be.
    fn admit(&mut self, mac: [u8; 6], iface: u16, now: Tick) -> Option<u16> {
        if let Some(place) = self.places.get(&mac) {
            return Some(*place);
        }
        let [first, ..] = mac;
        if first & 1 != 0 || mac == [0; 6] {
            return None;
        }
        let mut device = Device::new(mac, iface, now);
        device.is_own = self.own.contains(&mac);
        let place = if self.devices.len() < MAX_DEVICES {
            self.devices.push(device);
            u16::try_from(self.devices.len().saturating_sub(1)).ok()?
        } else {
            if !self.pace.admits(now.micros().saturating_mul(1_000)) {
                self.lost.refused = self.lost.refused.saturating_add(1);
                return None;
            }
            let dispensable = |(_, d): &(u16, &Device)| (d.is_own, d.is_confirmed, d.last);
            let (place, _) = self.iter().min_by_key(dispensable)?;
            let old = std::mem::replace(self.device_mut(place)?, device);
            self.places.remove(&old.mac);
            self.octets = self.octets.saturating_sub(old.octets());
            self.ledger.forget(place);
            self.news.retain(|(at, _)| *at != place);
            self.lost.forgotten = self.lost.forgotten.saturating_add(1);
            place
        };
        self.places.insert(mac, place);
        if !self.own.contains(&mac) {
            news(&mut self.news, &mut self.lost, (place, What::New));
        }
        Some(place)
    }

    /// Notes that a device was there.
    fn touch(&mut self, place: u16, now: Tick) {
        let Some(device) = self.devices.get_mut(usize::from(place)) else { return };
        device.last = device.last.max(now);
        if !std::mem::replace(&mut device.is_online, true) {
            news(&mut self.news, &mut self.lost, (place, What::Online));
        }
    }

    fn name(&mut self, place: u16, source: Source, name: &str) {
        if self.octets.saturating_add(name.len()) > MAX_OCTETS {
            self.lost.unkept = self.lost.unkept.saturating_add(1);
            return;
        }
        if let Some(device) = self.devices.get_mut(usize::from(place)) {
            let more = device.learn_name(source, name);
            self.octets = self.octets.saturating_add_signed(more);
        }
    }

    fn trace(&mut self, place: u16, trace: Trace, value: &[u8]) {
        let Some(device) = self.devices.get_mut(usize::from(place)) else { return };
        // What is known already costs no memory.
        if device.traces(trace).any(|known| known.as_bytes() == value) {
            return;
        }
        let Some(text) = text(value) else { return };
        if !device.wants(trace, &text) {
            return;
        }
        if self.octets.saturating_add(text.len()) > MAX_OCTETS {
            self.lost.unkept = self.lost.unkept.saturating_add(1);
            return;
        }
        self.octets = self.octets.saturating_add(text.len());
        device.keep(trace, text);
    }

    fn device_mut(&mut self, place: u16) -> Option<&mut Device> {
        self.devices.get_mut(usize::from(place))
    }
}

/// The ends of a flow that are on the local side.
fn sides(flow: &Flow) -> impl Iterator<Item = Side> + use<> {
    // The hardware addresses of a tunnel are those of its ends, not of what is inside.
    let is_plain = matches!(flow.tunnel(), Tunnel::None | Tunnel::Mpls | Tunnel::PppoE);
    let orientation = flow.orientation();
    let local = orientation.local().filter(|_| is_plain);
    let other = local.filter(|_| orientation.other() == OtherType::Local).map(Side::other);
    local.into_iter().chain(other)
}

fn news(list: &mut Vec<(u16, What)>, lost: &mut Lost, news: (u16, What)) {
    if list.len() < MAX_NEWS {
        list.push(news);
    } else {
        lost.news = lost.news.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn mac(n: u16) -> [u8; 6] {
        let [high, low] = n.to_be_bytes();
        [2, 0, 0, 0, high, low]
    }

    fn seconds(n: u64) -> Tick {
        Tick::from_secs(n)
    }

    #[test]
    fn neighbours_are_devices_that_come_and_go() {
        let mut devices = Devices::default();
        devices.neighbour(0, [10, 0, 0, 1].into(), mac(1), false, seconds(1));
        devices.neighbour(0, [10, 0, 0, 2].into(), mac(1), true, seconds(2));
        assert_eq!(devices.take_news(), [(0, What::New)]);
        devices.sweep(seconds(1));
        assert!(!devices.has_news());
        devices.sweep(seconds(3));
        devices.sweep(seconds(4));
        assert_eq!(devices.take_news(), [(0, What::Offline)]);
        devices.neighbour(0, [10, 0, 0, 1].into(), mac(1), false, seconds(5));
        assert_eq!(devices.take_news(), [(0, What::Online)]);
        let device = devices.find(mac(1)).unwrap();
        assert_eq!(device.addresses(), [IpAddr::from([10, 0, 0, 1]), [10, 0, 0, 2].into()]);
        assert!(device.is_router && device.is_confirmed && device.is_online);
        devices.moved([10, 0, 0, 2].into(), mac(1));
        assert!(devices.of_address([10, 0, 0, 2].into()).is_none());
    }

    #[test]
    fn interfaces_that_lead_elsewhere_have_no_devices() {
        let mut devices = Devices::default();
        devices.orient(Vec::new(), (vec![3], Vec::new()), vec![mac(9)]);
        devices.neighbour(3, [192, 0, 2, 1].into(), mac(1), false, seconds(1));
        devices.neighbour(0, [10, 0, 0, 1].into(), [0xff; 6], false, seconds(1));
        devices.neighbour(0, [10, 0, 0, 1].into(), [0; 6], false, seconds(1));
        assert!(devices.is_empty());
        // This machine is no news and never away.
        devices.neighbour(0, [10, 0, 0, 9].into(), mac(9), false, seconds(1));
        devices.sweep(seconds(100));
        assert!(!devices.has_news());
    }

    #[test]
    fn a_flood_of_made_up_addresses_leaves_neighbours_alone() {
        let mut devices = Devices::default();
        devices.neighbour(0, [10, 0, 0, 1].into(), mac(0), false, seconds(1));
        for n in 1..60_000_u16 {
            // A minute's worth of addresses in a minute.
            let now = seconds(2).plus(u64::from(n) * 1_000);
            devices.admit(mac(n), 0, now);
        }
        assert_eq!(devices.len(), MAX_DEVICES);
        assert_eq!(devices.places.len(), MAX_DEVICES);
        assert!(devices.find(mac(0)).is_some());
        let mut counters = Counters::default();
        devices.count_into(&mut counters);
        let (forgotten, refused) = (counters.devices_forgotten, counters.devices_refused);
        assert_eq!(forgotten + refused + MAX_DEVICES as u64, 60_000);
        assert!(forgotten <= u64::from(ADMISSIONS) * 61, "{forgotten}");
        assert!(counters.device_news_dropped > 0 && devices.news.len() <= MAX_NEWS);
    }

    #[test]
    fn memory_for_what_devices_say_has_an_end() {
        let mut devices = Devices::default();
        for n in 0..1_024 {
            let place = devices.admit(mac(n), 0, seconds(1)).unwrap();
            for k in 0..12_u16 {
                devices.trace(
                    place,
                    Trace::Service,
                    format!("{n}.{k}.{}", "x".repeat(240)).as_bytes(),
                );
            }
        }
        assert!(devices.octets <= MAX_OCTETS);
        let real: usize = devices.devices.iter().map(Device::octets).sum();
        assert_eq!(real, devices.octets);
        let mut counters = Counters::default();
        devices.count_into(&mut counters);
        assert!(counters.device_traces_unkept > 0);
    }

    #[test]
    fn names_of_files_come_and_go_with_the_file() {
        let mut devices = Devices::default();
        devices.neighbour(0, [10, 0, 0, 1].into(), mac(1), false, seconds(1));
        let named = |name: &str| Named { address: None, mac: Some(mac(1)), name: name.to_owned() };
        devices.give_names(Source::Hosts, [named("one")].iter());
        devices.give_names(Source::Hosts, [named("two")].iter());
        let mut names = Names::default();
        names.learn_from([10, 0, 0, 1].into(), "Two", Source::Dhcp);
        names.learn([10, 0, 0, 1].into(), "by-dns.example");
        let device = devices.find(mac(1)).unwrap();
        let expected = [(Source::Hosts, "two"), (Source::Dns, "by-dns.example")];
        assert_eq!(devices.names_of(device, &names), expected);
    }
}
