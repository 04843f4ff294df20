//! Answers about the agent itself and its interfaces.

use crate::config::settings::KEYS;
use crate::counters::Counters;
use crate::time::Wall;
use crate::topology::link::{Kind, Link};
use crate::topology::links::{Change, Role};

use super::agent::{Agent, Reply};
use super::command::Page;
use super::listing::Cursor;
use super::row::{Row, Value};
use super::status::Status;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Agent {
    pub(super) fn status(&mut self) -> Status {
        let clock = self.clock;
        let capture = self.facts.ports.iter().map(|port| {
            let row = Row::new()
                .with("dev", self.name_of(port.slot).to_owned())
                .with("capturing", port.is_open)
                .with("state", port.state.clone())
                .with("drops", port.drops);
            match self.past_of(port.slot) {
                // Beginnings of packets, and whole packets.
                Some((oldest, whole)) => {
                    row.with("past_seconds", oldest).with("past_whole_seconds", whole)
                }
                None => row,
            }
        });
        let missing = self.facts.missing.iter().map(|name| {
            Row::new()
                .with("dev", name.clone())
                .with("capturing", false)
                .with("state", "not there: waiting for it to appear")
        });
        let capture = capture.chain(missing).collect();
        let flows = &self.engine.flows;
        Status {
            ident: self.facts.ident.clone(),
            now: clock.wall,
            uptime: clock.tick.since(self.started) / 1_000_000,
            update_interval: self.settings().update_interval,
            last: self.interval,
            dns_hints: self.engine.lore.hints.then(|| self.engine.lore.names.len()),
            flow_hashes: self.engine.recall.is_on().then(|| self.engine.recall.len()),
            devices: self.devices.len(),
            flows: flows.len().into(),
            max_flows: flows.max_flows().into(),
            emergency: flows.is_emergency(),
            subscribers: self.bus.len(),
            clients: self.facts.clients,
            loop_max_us: std::mem::take(&mut self.facts.loop_max_us),
            default_password: self.settings().has_default_password(),
            groups: (self.groups.len(), self.groups.entries()),
            capabilities: self.facts.capabilities.clone(),
            capture,
            connections: self.connection_row(),
            detecting: self.engine.inspector.open(),
            counters: self.all_counters(),
            usage: self.host.usage(),
        }
    }

    /// How many seconds the past of an interface reaches back: beginnings of packets, and whole
    /// packets.
    fn past_of(&self, slot: u16) -> Option<(u64, u64)> {
        let (oldest, whole) = self.lookback.of(self.links.get(slot)?.ifindex)?.reach()?;
        let now = u64::try_from(self.clock.wall.0).ok()?;
        let ago = |nanos: u64| now.saturating_sub(nanos / 1_000) / 1_000_000;
        Some((ago(oldest), ago(whole)))
    }

    /// The counters, with those of the bus in them.
    #[must_use]
    pub fn all_counters(&self) -> Counters {
        let inspected = &self.engine.inspector.statistics;
        Counters {
            conntrack_refused: self.connections.table.refused,
            detection_begun: inspected.begun,
            detection_named: inspected.named,
            detection_guessed: inspected.guessed,
            detection_displaced: inspected.displaced,
            detection_unassembled: inspected.unassembled,
            client_drops: self.bus.dropped.saturating_add(self.feed.dropped),
            graph_refused: self.graph.refused,
            topology_left_out: self.spaces.left_out(),
            namespaces_refused: self.spaces.refused,
            captures_refused: self.attachments.refused,
            rule_edges_refused: self.applied.refused,
            flow_news_dropped: self.flow_news.dropped,
            exports_dropped: self.exports.dropped,
            alerts_dropped: self.alerts.dropped,
            telemetry_dropped: self
                .counters
                .telemetry_dropped
                .saturating_add(self.telemetry.dropped),
            ..self.counters.clone()
        }
    }

    /// When the process began, in wall time as it is known now.
    #[must_use]
    pub fn since(&self) -> Wall {
        self.clock.wall_of(self.started)
    }

    /// For people: one short line with a few figures.
    #[must_use]
    pub fn status_line(&self) -> String {
        let uptime = self.clock.tick.since(self.started) / 1_000_000;
        format!(
            "portolan {VERSION} | uptime {uptime} s | {} flows | {} packets, {} bytes | {} lost\n\
             ask: echo r 1 help | nc -w1 -u HOST PORT\n",
            self.engine.flows.len(),
            self.counters.packets,
            self.counters.bytes,
            self.counters.kernel_drops,
        )
    }

    pub(super) fn info(&self) -> Row {
        // Of the uplink, or else of the first interface that has an address.
        let first = |wanted: Option<Role>| {
            self.links.iter().find_map(|(slot, link)| {
                let fits = wanted.is_none_or(|role| self.links.role(slot) == role);
                let address = link.addresses.iter().find(|a| a.ip.is_ipv4())?;
                (fits && !link.is_loopback()).then_some((link.mac, *address))
            })
        };
        let found = first(Some(Role::Wan)).or_else(|| first(None));
        let (mac, ip, mask) = match found {
            Some((mac, address)) => {
                let bits = u32::from(address.prefix).min(32);
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
                (mac, address.ip.to_string(), std::net::Ipv4Addr::from(mask).to_string())
            }
            None => (None, String::new(), String::new()),
        };
        Row::new()
            .with("version", VERSION)
            .with("name", self.facts.hostname.clone())
            .with("uuid", self.facts.uuid.clone())
            .with("macaddr", mac.map_or_else(|| "".into(), Value::Mac))
            .with("ip4addr", ip)
            .with("ip4netmask", mask)
    }

    pub(super) fn timestamps(&self) -> Row {
        let at = |tick: crate::time::Tick| match tick.micros() {
            0 => 0,
            _ => self.wall_secs(tick),
        };
        Row::new()
            .with("start_time", self.wall_secs(self.started))
            .with("last_packet", at(self.engine.last_packet))
            .with("last_flow", at(self.engine.last_flow))
            .with("now", self.clock.wall.secs())
    }

    pub(super) fn packet_stats(&self) -> Reply {
        let all = self.engine.totals.all();
        let mut tx = crate::flow::totals::Sum::default();
        for (slot, _) in self.links.slots_and_links() {
            if let Some(interface) = self.engine.totals.interface(slot) {
                tx.packets = tx.packets.saturating_add(interface.outgoing.packets);
                tx.bytes = tx.bytes.saturating_add(interface.outgoing.bytes);
            }
        }
        let c = &self.counters;
        let undecoded = c.decode_errors.saturating_add(c.decode_limit).saturating_add(c.not_ip);
        let row = |kind: &'static str, tx_pkt: u64, rx_pkt: u64, tx_bytes: u64, rx_bytes: u64| {
            Row::new()
                .with("type", kind)
                .with("tx_pkt", tx_pkt)
                .with("rx_pkt", rx_pkt)
                .with("tx_bytes", tx_bytes)
                .with("rx_bytes", rx_bytes)
        };
        let rows = [
            row(
                "capture",
                tx.packets,
                all.packets.saturating_sub(tx.packets),
                tx.bytes,
                all.bytes.saturating_sub(tx.bytes),
            ),
            row("dropped", 0, c.kernel_drops, 0, 0),
            row("decoded", 0, c.packets.saturating_sub(undecoded), 0, 0),
            row("undecoded", 0, undecoded, 0, 0),
            row("mgmt", c.udp_sent, c.udp_received, 0, 0),
        ];
        Reply::Rows(Cursor::ready(rows.into_iter().collect(), Row::default()))
    }

    /// Where telemetry goes.
    pub(super) fn list_sinks(&self) -> Reply {
        let rows = self.facts.sinks.iter().map(|sink| {
            Row::new()
                .with("target", sink.target.clone())
                .with("format", sink.format)
                .with("records", sink.records)
                .with("dropped", sink.dropped)
                .with("waiting", sink.waiting)
                .with("state", sink.state.clone())
        });
        Reply::Rows(Cursor::ready(rows.collect(), Row::default()))
    }

    /// The settings as they are in force. Of a secret there is no value, only that it is one.
    pub(super) fn list_settings(&self, page: Page) -> Reply {
        let skip = usize::try_from(page.after).unwrap_or(usize::MAX);
        let rows = KEYS.iter().skip(skip).take(page.rows).map(|key| {
            let row = Row::new().with("key", key.name);
            let row = match self.settings().show(key.name) {
                Some(value) => row.with("value", value),
                None => row.with("secret", true),
            };
            row.with("live", key.live).with("expects", key.expects).with("help", key.help)
        });
        let mut cursor = Cursor::ready(rows.collect(), Row::default());
        let end = skip.saturating_add(page.rows);
        cursor.next = u64::try_from(end).ok().filter(|_| end < KEYS.len());
        Reply::Rows(cursor)
    }

    /// Interface groups as n2n's pages show communities: one per role, with the first address.
    pub(super) fn communities(&self) -> Reply {
        let rows = [(Role::Lan, "lan"), (Role::Wan, "wan"), (Role::Other, "other")];
        let rows = rows.into_iter().filter_map(|(role, name)| {
            let mut links = self.links.iter().filter(|(slot, link)| {
                self.links.role(*slot) == role && !link.addresses.is_empty()
            });
            let (_, link) = links.next()?;
            let v4 = link.addresses.iter().find(|a| a.ip.is_ipv4());
            let address = v4.map_or_else(String::new, |a| format!("{}/{}", a.ip, a.prefix));
            Some(
                Row::new()
                    .with("community", name)
                    .with("ip4addr", address)
                    .with("is_federation", 0_u8)
                    .with("purgeable", 0_u8),
            )
        });
        Reply::Rows(Cursor::ready(rows.collect(), Row::default()))
    }

    pub(super) fn interface_row(&self, slot: u16, link: &Link) -> Row {
        let port = self.facts.ports.iter().find(|port| port.slot == slot);
        let seen = self.engine.totals.interface(slot).cloned().unwrap_or_default();
        let state = match (link.up, link.running) {
            (false, _) => "down",
            (true, false) => "no-carrier",
            (true, true) => "up",
        };
        let addresses: Vec<String> =
            link.addresses.iter().map(|a| format!("{}/{}", a.ip, a.prefix)).collect();
        let master = self.links.master_of(slot).map(|slot| self.name_of(slot).to_owned());
        Row::new()
            .with("dev", link.name.to_string())
            .with("ifindex", link.ifindex)
            .with("kind", kind_name(link.kind))
            .with("mac", link.mac.map_or_else(|| "".into(), Value::Mac))
            .with("state", state)
            .with("mtu", link.mtu)
            .with("netns", "")
            .with("role", role_name(self.links.role(slot)))
            .with("group", master.unwrap_or_default())
            .with("capturing", port.is_some_and(|port| port.is_open))
            .with("rx_pkt", link.statistics.rx_packets)
            .with("tx_pkt", link.statistics.tx_packets)
            .with("rx_bytes", link.statistics.rx_bytes)
            .with("tx_bytes", link.statistics.tx_bytes)
            .with("drops", port.map_or(0, |port| port.drops))
            .with("seen_pkt", seen.all().packets)
            .with("seen_bytes", seen.all().bytes)
            .with("capture", port.map_or_else(String::new, |port| port.state.clone()))
            .with("addresses", addresses)
    }

    /// A change of interfaces or neighbours as one row.
    #[must_use]
    pub fn change_row(&self, change: &Change) -> Row {
        let link = |what: &'static str, slot: u16| {
            let link = self.links.get(slot);
            Row::new()
                .with("action", what)
                .with("dev", self.name_of(slot).to_owned())
                .with("ifindex", link.map_or(0, |link| link.ifindex))
        };
        let peer =
            |action: u8, what: &'static str, slot: u16, ip: &std::net::IpAddr, mac: [u8; 6]| {
                Row::new()
                    .with("action", action)
                    .with("macaddr", mac)
                    .with("sockaddr", format!("{ip}:{}", self.name_of(slot)))
                    .with("what", what)
            };
        match change {
            Change::AddressAdded { slot, ip, prefix } => {
                link("address-added", *slot).with("address", format!("{ip}/{prefix}"))
            }
            Change::AddressRemoved { slot, ip, prefix } => {
                link("address-removed", *slot).with("address", format!("{ip}/{prefix}"))
            }
            Change::DefaultRoute { slot, present } => {
                link("default-route", *slot).with("present", *present)
            }
            Change::LinkAdded { slot } => link("new", *slot),
            Change::LinkChanged { slot } => link("changed", *slot),
            Change::LinkDown { slot } => link("down", *slot),
            Change::LinkRemoved { slot } => link("removed", *slot),
            Change::LinkRenamed { slot, from } => {
                link("renamed", *slot).with("from", from.to_string())
            }
            Change::LinkUp { slot } => link("up", *slot),
            Change::NeighbourGone { slot, ip, mac } => peer(3, "gone", *slot, ip, *mac),
            Change::NeighbourMoved { slot, ip, from, to } => {
                peer(1, "moved", *slot, ip, *to).with("from", *from)
            }
            Change::NeighbourNew { slot, ip, mac } => peer(4, "new", *slot, ip, *mac),
        }
    }
}

/// `lan`, `wan` or `other`.
#[must_use]
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Lan => "lan",
        Role::Other => "other",
        Role::Wan => "wan",
    }
}

/// What `ip link` calls a kind, as far as it has a name.
const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bond => "bond",
        Kind::Bridge => "bridge",
        Kind::DsaPort => "dsa",
        Kind::Dummy => "dummy",
        Kind::Ethernet => "ethernet",
        Kind::Ifb => "ifb",
        Kind::Loopback => "loopback",
        Kind::Macvlan => "macvlan",
        Kind::Other => "other",
        Kind::Ppp => "ppp",
        Kind::Tun => "tun",
        Kind::Tunnel => "tunnel",
        Kind::Veth => "veth",
        Kind::Vlan => "vlan",
        Kind::Vrf => "vrf",
        Kind::Vxlan => "vxlan",
        Kind::Wireless => "wireless",
        Kind::Wireguard => "wireguard",
    }
}
