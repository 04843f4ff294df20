//! What is there from the start: names of files of this machine, and between two runs names of DNS
//! and who was here: written when the agent ends and once an hour at most, read when
//! it starts. Flash is written only if somebody wishes so.

use std::net::IpAddr;

use super::super::Agent;
use super::super::devices::saved as devices;
use super::files::Named;
use super::{MAX_NAMES, Source, saved};
use crate::config::settings::Keep;
use crate::time::Tick;

/// The name of the file.
const FILE: &str = "dns-hints.csv";

/// Microseconds between two writings.
const EVERY: u64 = 3_600_000_000;

impl Agent {
    /// Reads the names and the devices of the last run.
    pub fn load_names(&mut self) {
        let keep = self.settings().dns_hint_save;
        if let Some(bytes) = self.load_kept(FILE, keep) {
            let count = saved::read(&mut self.engine.lore.names, &bytes, is_elsewhere);
            log::debug!("{FILE}: {count} names");
        }
        // Who is here is nothing that flash is for.
        let keep = if keep == Keep::Disabled { keep } else { Keep::Volatile };
        if let Some(bytes) = self.load_kept(devices::FILE, keep) {
            devices::read(&mut self.devices, &bytes, &self.clock);
        }
    }

    fn load_kept(&mut self, name: &str, keep: Keep) -> Option<Vec<u8>> {
        let loaded = match keep {
            Keep::Disabled => return None,
            Keep::Persistent => self.host.load(name),
            Keep::Volatile => self.host.load_volatile(name),
        };
        loaded.unwrap_or_else(|problem| {
            log::warn!("{problem}; what it says is learnt anew");
            None
        })
    }

    /// Takes what files of this machine say, as a whole.
    pub fn take_named<'a>(
        &mut self,
        source: Source,
        named: impl Iterator<Item = &'a Named> + Clone,
    ) {
        let with_address = named.clone().filter_map(|n| Some((n.address?, n.name.clone())));
        let with_address: Vec<(IpAddr, String)> = with_address.take(MAX_NAMES / 2).collect();
        self.engine.lore.names.replace(source, &with_address);
        self.devices.give_names(source, named);
    }

    /// Writes them down if it is time to.
    pub(in crate::core) fn save_names_in_time(&mut self, now: Tick) {
        if now.since(self.names_saved) >= EVERY {
            self.save_names();
        }
    }

    /// Writes them down.
    pub(in crate::core) fn save_names(&mut self) {
        self.names_saved = self.clock.tick;
        let keep = self.settings().dns_hint_save;
        if keep == Keep::Disabled {
            return;
        }
        let names = &self.engine.lore.names;
        if self.engine.lore.hints && names.hints().next().is_some() {
            let locality = self.engine.flows.locality();
            let bytes = saved::write(names, |ip| is_elsewhere(ip) && !locality.is_local(ip));
            let saved = match keep {
                Keep::Persistent => self.host.save(FILE, &bytes),
                _ => self.host.save_volatile(FILE, &bytes),
            };
            self.note_saved(saved);
        }
        if !self.devices.is_empty() {
            let bytes = devices::write(&self.devices, &self.clock);
            let saved = self.host.save_volatile(devices::FILE, &bytes);
            self.note_saved(saved);
        }
    }

    fn note_saved(&mut self, saved: Result<(), String>) {
        if let Err(problem) = saved {
            self.counters.persist_errors = self.counters.persist_errors.saturating_add(1);
            log::warn!("{problem}; what was learnt is not kept");
        }
    }
}

/// Whether an address is none of those that every network has of its own.
const fn is_elsewhere(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && b & 0xc0 == 64;
            !(ip.is_private() || ip.is_link_local() || ip.is_loopback() || is_shared)
        }
        IpAddr::V6(ip) => !(ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback()),
    }
}
