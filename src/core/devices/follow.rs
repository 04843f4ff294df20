//! How the inventory follows the rest of the agent: networks, neighbours, the passing of time, and
//! those who want to be told.

use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;

use super::super::Agent;
use super::super::bus::{Event, Topic};
use crate::time::Tick;
use crate::topology::links::{Change, Role};
use crate::topology::spaces::{Label, MAX_LABELS};
use crate::wire::netlink::Neighbour as Nud;
use crate::wire::vendor;

/// Vendors looked up in one period: each takes a walk through the list.
const NEW_VENDORS: u32 = 32;

impl Agent {
    /// Says anew what is near.
    pub(in crate::core) fn orient_devices(&mut self) {
        let has_lan = self.links.iter().any(|(slot, _)| self.links.role(slot) == Role::Lan);
        // A machine without a local network of its own has its uplink's.
        let is_outside = |slot| has_lan && self.links.role(slot) == Role::Wan;
        let links = self.links.iter();
        let outside: Vec<u16> = links.map(|(slot, _)| slot).filter(|at| is_outside(*at)).collect();
        let is_inside = |slot: &u16| self.links.role(*slot) == Role::Lan;
        let inside = self.links.iter().map(|(slot, _)| slot).filter(is_inside).collect();
        let networks = self.links.local_networks();
        let networks = networks.filter(|(.., slot)| !outside.contains(slot));
        let networks = networks.map(|(address, prefix, ..)| (address, prefix)).collect();
        let own: HashSet<[u8; 6]> = self.links.iter().filter_map(|(_, link)| link.mac).collect();
        self.devices.orient(networks, (outside, inside), own.into_iter().collect());
    }

    /// Takes in a change of neighbours.
    pub(in crate::core) fn meet(&mut self, change: &Change) {
        let now = self.clock.tick;
        match change {
            Change::NeighbourNew { slot, ip, mac } => self.know(*slot, *ip, *mac, now),
            Change::NeighbourMoved { slot, ip, from, to } => {
                self.devices.moved(*ip, *from);
                self.know(*slot, *ip, *to, now);
            }
            _ => {}
        }
    }

    fn know(&mut self, slot: u16, ip: std::net::IpAddr, mac: [u8; 6], now: Tick) {
        let found = self.links.neighbours().lookup(ip);
        let is_router = found.is_some_and(|(_, neighbour)| neighbour.router);
        self.devices.neighbour(slot, ip, mac, is_router, now);
    }

    /// Has the map show names and vendors beside the addresses of neighbours.
    pub(in crate::core) fn label_neighbours(&mut self) {
        let mut unknown = NEW_VENDORS;
        let macs: BTreeSet<[u8; 6]> =
            self.links.neighbours().iter().map(|(_, _, neighbour)| neighbour.mac).collect();
        let labels = macs.into_iter().take(MAX_LABELS).map(|mac| {
            let device = self.devices.find(mac);
            let name = device.map(|device| self.name_of_device(device)).unwrap_or_default();
            let vendor = self.spaces.vendor_shown(mac).or_else(|| {
                unknown = unknown.checked_sub(1)?;
                Some(vendor::of(mac).unwrap_or_default())
            });
            Label { mac, name: name.into(), vendor }
        });
        let labels = labels.collect();
        self.spaces.set_labels(labels);
    }

    /// Notes which neighbours answer, and who was not seen for long.
    pub(in crate::core) fn look_for_devices(&mut self, now: Tick) {
        for (ip, slot, neighbour) in self.links.neighbours().iter() {
            if neighbour.state & Nud::REACHABLE != 0 {
                self.devices.neighbour(slot, ip, neighbour.mac, neighbour.router, now);
            }
        }
        let silence = u64::from(self.settings().devices_offline).saturating_mul(1_000_000);
        self.devices.sweep(now.minus(silence));
    }

    /// Tells what became of devices.
    pub(in crate::core) fn tell_devices(&mut self) {
        self.devices.count_into(&mut self.counters);
        if !self.devices.has_news() {
            return;
        }
        let news = self.devices.take_news();
        if !self.bus.wants(Topic::Device) {
            return;
        }
        for (place, what) in news {
            if let Some(device) = self.devices.get(place) {
                let row = self.device_event(device, what);
                self.bus.publish(&Event::Device(Rc::new(row)));
            }
        }
    }
}
