//! What is known of a name, an address or a hardware address, and from where: rules of
//! applications, the list of vendors, names, networks and devices. The same answers without an
//! agent, from what comes with the program alone.

use std::net::IpAddr;

use super::agent::{Agent, Reply};
use super::command::Failure;
use super::devices::device::Device;
use super::devices::guess;
use super::devices::listing::Wanted;
use super::engine::Lore;
use super::listing::Cursor;
use super::row::{Row, Value};
use crate::applications::Application;
use crate::wire::vendor;

/// Addresses told of one name.
const MAX_ADDRESSES: usize = 16;

/// Octets of what may be asked for.
const MAX_SUBJECT: usize = 255;

/// Rows with what is known of something by rules and tables: `key`, `value`, `from`.
#[must_use]
pub fn about(wanted: &Wanted, lore: &Lore) -> Vec<Row> {
    let mut rows = Vec::new();
    match wanted {
        Wanted::All => {}
        Wanted::Address(address) => of_address(&mut rows, *address, lore),
        Wanted::Mac(mac) => of_mac(&mut rows, *mac),
        Wanted::Name(name) => of_name(&mut rows, name, lore),
    }
    rows
}

impl Agent {
    /// The answer to `lookup`.
    pub(super) fn lookup(&self, subject: &str) -> Result<Reply, Failure> {
        let wanted = Wanted::parse(subject);
        if wanted == Wanted::All || subject.len() > MAX_SUBJECT {
            let expected = "a name, an address or a hardware address";
            return Err(Failure::BadArgument { name: "what", expected });
        }
        let mut rows = about(&wanted, &self.engine.lore);
        match &wanted {
            Wanted::All => {}
            Wanted::Address(address) => {
                self.networks_of(&mut rows, *address);
                let neighbour = || {
                    let found = self.links.neighbours().lookup(*address);
                    found.map(|(_, neighbour)| neighbour.mac)
                };
                let device = self.devices.of_address(*address).map(|device| device.mac);
                if let Some(mac) = device.or_else(neighbour) {
                    self.device_of(&mut rows, mac);
                }
            }
            Wanted::Mac(mac) => self.device_of(&mut rows, *mac),
            Wanted::Name(name) => {
                let devices = self.devices.iter().filter(|(_, d)| self.is_called(d, name));
                let found: Vec<[u8; 6]> =
                    devices.map(|(_, device)| device.mac).take(MAX_ADDRESSES).collect();
                found.into_iter().for_each(|mac| self.device_of(&mut rows, mac));
            }
        }
        Ok(Reply::Rows(Cursor::ready(rows.into(), Row::default())))
    }

    /// Interfaces whose network an address is in.
    fn networks_of(&self, rows: &mut Vec<Row>, address: IpAddr) {
        for (slot, link) in self.links.iter() {
            for own in &link.addresses {
                if own.ip == address {
                    say(rows, "own_address", self.name_of(slot).to_owned(), "this machine");
                } else if crate::expression::lies_in(address, own.ip, own.prefix) {
                    let network = format!("{}/{} {}", own.ip, own.prefix, self.name_of(slot));
                    say(rows, "network", network, "interfaces");
                }
            }
        }
    }

    /// All that is known of a device.
    fn device_of(&self, rows: &mut Vec<Row>, mac: [u8; 6]) {
        let has_vendor = rows.iter().any(|row| row.get("key") == Some(&Value::from("vendor")));
        let Some(device) = self.devices.find(mac) else {
            say(rows, "device", mac, "neighbours");
            if !has_vendor {
                of_mac(rows, mac);
            }
            return;
        };
        say(rows, "device", mac, "traffic");
        if !has_vendor {
            of_mac(rows, mac);
        }
        let names = self.devices.names_of(device, &self.engine.lore.names);
        for (source, name) in &names {
            say(rows, "device_name", (*name).to_owned(), source.name());
        }
        for address in device.addresses() {
            say(rows, "device_address", address.to_string(), "traffic");
        }
        self.guesses(rows, device);
        say(rows, "online", device.is_online, "traffic");
        say(rows, "last_seen", self.wall_secs(device.last), "traffic");
    }

    fn guesses(&self, rows: &mut Vec<Row>, device: &Device) {
        let names = self.devices.names_of(device, &self.engine.lore.names);
        let (kind, os) = guess::guess(device, &names);
        for (key, guess) in [("device_kind", kind), ("device_os", os)] {
            if !guess.what.is_empty() {
                let from = format!("{} % sure: {}", guess.confidence, guess.reason);
                say(rows, key, guess.what, from);
            }
        }
    }
}

fn of_name(rows: &mut Vec<Row>, name: &str, lore: &Lore) {
    match lore.applications.rule_of_name(name) {
        Some((application, suffix)) => {
            let rule = format!("rule dom {suffix}");
            application_of(rows, application, rule);
        }
        // The tag of an application is a name too.
        None => {
            if let Some(application) = lore.applications.by_tag(name) {
                application_of(rows, application, "its tag".to_owned());
            }
        }
    }
    for address in lore.names.addresses_of(name).take(MAX_ADDRESSES) {
        let mut of_name = lore.names.names_of(address);
        let source =
            of_name.find(|(known, _)| known.eq_ignore_ascii_case(name.trim_end_matches('.')));
        say(rows, "address", address.to_string(), source.map_or("names", |(_, s)| s.name()));
    }
}

fn of_address(rows: &mut Vec<Row>, address: IpAddr, lore: &Lore) {
    say(rows, "scope", scope(address), "its standard");
    for (name, source) in lore.names.names_of(address) {
        say(rows, "name", name.to_owned(), source.name());
    }
    let named = lore.names.hint(address).and_then(|name| {
        let (application, suffix) = lore.applications.rule_of_name(name)?;
        Some((application, format!("name {name}, rule dom {suffix}")))
    });
    if let Some((application, rule)) = named {
        application_of(rows, application, rule);
    }
    if let Some((application, network, prefix)) = lore.applications.rule_of_address(address) {
        application_of(rows, application, format!("rule net {network}/{prefix}"));
    }
}

fn of_mac(rows: &mut Vec<Row>, mac: [u8; 6]) {
    if let Some(vendor) = vendor::of(mac) {
        say(rows, "vendor", vendor, "list of vendors");
    }
    if vendor::is_local(mac) {
        say(rows, "made_up", true, "the address itself: its owner made it up");
    }
}

fn application_of(rows: &mut Vec<Row>, application: &Application, rule: String) {
    // Numbers from here on are those of users.
    const USERS: u16 = 30_000;
    let whose = if application.id < USERS { "shipped rules" } else { "own rules" };
    say(rows, "application", application.tag.to_string(), format!("{rule} ({whose})"));
    say(rows, "category", application.category.name(), whose);
}

/// What an address is by itself (RFC 6890).
const fn scope(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            match () {
                () if ip.is_loopback() => "loopback",
                () if ip.is_private() => "private",
                () if ip.is_link_local() => "link-local",
                () if ip.is_multicast() => "multicast",
                () if ip.is_broadcast() => "broadcast",
                () if a == 100 && b & 0xc0 == 64 => "carrier-grade NAT",
                () if ip.is_documentation() => "documentation",
                () if a == 0 || a >= 240 => "reserved",
                () => "global",
            }
        }
        IpAddr::V6(ip) => match () {
            () if ip.is_loopback() => "loopback",
            () if ip.is_unspecified() => "unspecified",
            () if ip.is_unique_local() => "private",
            () if ip.is_unicast_link_local() => "link-local",
            () if ip.is_multicast() => "multicast",
            () => {
                let [a, b, ..] = ip.segments();
                if a == 0x2001 && b == 0xdb8 { "documentation" } else { "global" }
            }
        },
    }
}

fn say(
    rows: &mut Vec<Row>,
    key: &'static str,
    value: impl Into<Value>,
    from: impl Into<std::borrow::Cow<'static, str>>,
) {
    rows.push(Row::new().with("key", key).with("value", value).with("from", from.into()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::names::Source;
    use crate::core::rulebook;

    fn lore() -> Lore {
        Lore { applications: rulebook::known().unwrap(), ..Lore::default() }
    }

    fn told(subject: &str, lore: &Lore) -> Vec<String> {
        let text = |value: &Value| match value {
            Value::Text(text) => text.to_string(),
            _ => "?".to_owned(),
        };
        let shown = |row: &Row| row.iter().map(|(_, v)| text(v)).collect::<Vec<_>>().join("|");
        about(&Wanted::parse(subject), lore).iter().map(shown).collect()
    }

    #[test]
    fn a_name_leads_to_its_rule_and_its_addresses() {
        let mut lore = lore();
        lore.names.learn([192, 0, 2, 9].into(), "www.Netflix.com");
        let told = told("www.netflix.com", &lore);
        assert_eq!(told[0], "application|netflix|rule dom netflix.com (shipped rules)");
        assert!(told[1].starts_with("category|"), "{told:?}");
        assert_eq!(told[2], "address|192.0.2.9|dns");
    }

    #[test]
    fn an_address_is_told_with_its_names_and_what_they_lead_to() {
        let mut lore = lore();
        lore.names.learn([203, 0, 113, 5].into(), "a.netflix.com");
        lore.names.learn_from([10, 0, 0, 5].into(), "tv", Source::Lease);
        let public = told("203.0.113.5", &lore);
        assert_eq!(public[0], "scope|documentation|its standard");
        assert_eq!(public[1], "name|a.netflix.com|dns");
        assert_eq!(
            public[2],
            "application|netflix|name a.netflix.com, rule dom netflix.com (shipped rules)"
        );
        assert_eq!(told("10.0.0.5", &lore), ["scope|private|its standard", "name|tv|lease"]);
        assert_eq!(told("100.64.0.1", &lore), ["scope|carrier-grade NAT|its standard"]);
        assert_eq!(told("fe80::1", &lore), ["scope|link-local|its standard"]);
    }

    #[cfg(feature = "vendors")]
    #[test]
    fn a_hardware_address_has_a_vendor_or_was_made_up() {
        let lore = Lore::default();
        assert_eq!(told("b8:27:eb:00:00:01", &lore), ["vendor|Raspberry Pi|list of vendors"]);
        assert!(told("02:00:00:00:00:01", &lore)[0].starts_with("made_up|"));
    }
}
