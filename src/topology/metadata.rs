//! How the facts of an interface are shown: the members of its node's metadata, under the names
//! and in the forms that Skydive's clients know. What many interfaces have in common is made
//! once and shared.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::rc::Rc;

use crate::wire::netlink;

use super::interface::{Card, Counts, Interface, Metric, More, Neighbour, Parts, Port, RouteKey};
use super::value::{Map, Value};

/// Different lists and maps that are kept for sharing; beyond that they are made anew.
const MAX_SHARED: usize = 256;

/// Multicast groups that are kept for sharing.
const MAX_GROUPS: usize = 64;

/// What interfaces have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Sorted by their addresses.
    pub(super) labels: Vec<Label>,
    cards: Vec<Rc<Card>>,
    flags: Vec<(u32, Value)>,
    features: Vec<Value>,
    groups: Vec<(Group, Value)>,
}

/// What a hardware address is called by those who know more than the kernel.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Label {
    /// Whose.
    pub mac: [u8; 6],
    /// Its name; may be empty.
    pub name: Box<str>,
    /// Who made it, empty if nobody knows; nothing if that was not looked up yet.
    pub vendor: Option<&'static str>,
}

/// The label of an address among labels that are sorted.
pub(super) fn label(labels: &[Label], mac: [u8; 6]) -> Option<&Label> {
    let at = labels.binary_search_by(|label| label.mac.cmp(&mac)).ok()?;
    labels.get(at)
}

/// A neighbour that is a multicast group: most interfaces have the same.
type Group = ([u8; 6], Option<IpAddr>, u16, u8, u16);

impl Shared {
    /// What a driver says, once for all that say the same.
    pub(super) fn card(&mut self, card: Card) -> Rc<Card> {
        if let Some(known) = self.cards.iter().find(|known| ***known == card) {
            return Rc::clone(known);
        }
        let new = Rc::new(card);
        // Drivers change their mind: what no interface has any more makes room.
        if self.cards.len() >= MAX_SHARED {
            self.cards.retain(|known| Rc::strong_count(known) > 1);
        }
        if self.cards.len() < MAX_SHARED {
            self.cards.push(Rc::clone(&new));
        }
        new
    }

    /// The map of features, once for all that have the same.
    pub(super) fn features(&mut self, of: &[(Rc<str>, bool)]) -> Value {
        let same = |known: &Value| {
            known.as_map().is_some_and(|map| {
                map.len() == of.len()
                    && of.iter().all(|(name, on)| map.get(name) == Some(&Value::Bool(*on)))
            })
        };
        if let Some(known) = self.features.iter().find(|known| same(known)) {
            return known.clone();
        }
        let mut map = Map::new();
        for (name, on) in of {
            map.set(name.to_string(), *on);
        }
        let new = Value::from(map);
        if self.features.len() < MAX_SHARED {
            self.features.push(new.clone());
        }
        new
    }

    /// Names of the bits that are set, once for each combination. `salt` tells the tables apart.
    fn names(&mut self, bits: u32, salt: u32, table: &[(u32, &'static str)]) -> Value {
        let key = bits | salt;
        if let Some((_, known)) = self.flags.iter().find(|(known, _)| *known == key) {
            return known.clone();
        }
        let set = table.iter().filter(|(bit, _)| bits & bit != 0);
        let names: Vec<Value> = set.map(|(_, name)| Value::from(*name)).collect();
        let new = Value::from(names);
        if self.flags.len() < MAX_SHARED {
            self.flags.push((key, new.clone()));
        }
        new
    }

    fn ip(ip: IpAddr) -> Value {
        Value::from(ip.to_string())
    }

    fn mac(mac: &[u8]) -> Value {
        Value::from(hex(mac))
    }
}

/// Shows the changed parts of an interface in the metadata of its node; `names` says how the
/// namespace is called that its other end is in.
pub(super) fn show(
    one: &Interface,
    ifindex: u32,
    peer_space: Option<&Rc<str>>,
    shared: &mut Shared,
    into: &mut Map,
) {
    let parts = one.dirty;
    if parts.has(Parts::LINK.with(Parts::CARD)) {
        show_link(one, ifindex, peer_space, shared, into);
    }
    if parts.has(Parts::CARD) {
        show_card(&one.card, &one.link.kind, into);
    }
    if parts.has(Parts::ADDRESSES) {
        let list = |v4: bool| {
            let of = one.addresses.iter().filter(|address| address.ip.is_ipv4() == v4);
            of.map(|a| Value::from(format!("{}/{}", a.ip, a.prefix))).collect()
        };
        put_list(into, "IPV4", list(true));
        put_list(into, "IPV6", list(false));
    }
    if parts.has(Parts::NEIGHBOURS) {
        // IPv4 comes first, by the order of `IpAddr`.
        let list = one.neighbours.iter().map(|(ip, of)| neighbour(of, Some(*ip), 0, 0, shared));
        put_list(into, "Neighbors", list.collect());
    }
    if parts.has(Parts::FORWARDING) {
        let list = one.forwarding.iter().map(|((mac, vlan, vni, ip, _), of)| {
            let of = Neighbour { mac: Some(*mac), ..*of };
            neighbour(&of, *ip, *vlan, *vni, shared)
        });
        put_list(into, "FDB", list.collect());
    }
    if parts.has(Parts::ROUTES) {
        put_list(into, "RoutingTables", tables(one, ifindex));
    }
    if parts.has(Parts::METRIC)
        && let Some(metric) = &one.metric
    {
        show_metric(metric, into);
    }
}

fn show_link(
    one: &Interface,
    ifindex: u32,
    peer_space: Option<&Rc<str>>,
    shared: &mut Shared,
    into: &mut Map,
) {
    let link = &one.link;
    let usual = More::default();
    let more = link.more.as_deref().unwrap_or(&usual);
    into.set("Name", link.name.clone());
    into.set("Type", one.kind());
    into.set("EncapType", encapsulation(link.hardware));
    into.set("IfIndex", ifindex);
    into.put("MTU", set(link.mtu));
    into.put("MAC", address(&link.mac));
    into.put("PermMAC", address(&more.permanent));
    into.set("State", state(link.operstate));
    into.set("LinkFlags", shared.names(link.flags & FLAGS_SHOWN, 0, FLAGS));
    into.put("MasterIndex", set(link.master));
    into.put("ParentIndex", set(link.parent));
    into.put("PeerIfIndex", set(link.parent).filter(|_| one.is_veth()));
    into.put("LinkNetNsID", link.parent_namespace.map(i64::from));
    into.put("LinkNetNsName", peer_space.map(Rc::clone));
    into.put("Vlan", link.vlan_id);
    let mode = more.info.bond_mode.and_then(|mode| BOND_MODES.get(usize::from(mode)));
    into.put("BondMode", mode.copied());
    let port = more.bond_port.as_ref().map(bond_port);
    into.put("BondSlave", port);
    let tunnel = (more.info.vxlan_id, more.info.local, more.info.remote);
    into.put("VNI", tunnel.0);
    into.put("Local", tunnel.1.map(Shared::ip));
    into.put("Remote", tunnel.2.map(Shared::ip));
    let protocol = link.vlan_protocol.filter(|protocol| *protocol != 0x8100);
    into.put("VlanProtocol", protocol.map(|protocol| format!("{protocol:#06x}")));
    let alias = Some(&*more.alias).filter(|alias| !alias.is_empty());
    into.put("Alias", alias);
    let functions = more.functions.iter().map(|function| {
        let mac = Shared::mac(&function.mac);
        let map = Map::new()
            .with("ID", function.id)
            .with("LinkState", function.link_state)
            .with("MAC", mac)
            .with("Qos", function.priority)
            .with("Spoofchk", function.checked)
            .with("TxRate", function.rate)
            .with("Vlan", function.vlan);
        Value::from(map)
    });
    let functions: Vec<Value> = functions.collect();
    put_list(into, "Vfs", functions);
}

fn show_card(card: &Card, kind: &str, into: &mut Map) {
    let driver = if card.driver.is_empty() && kind == "bridge" { kind } else { &*card.driver };
    into.set("Driver", driver);
    into.put("BusInfo", Some(&card.bus).filter(|bus| !bus.is_empty()).cloned());
    into.put("Speed", set(card.speed));
    let duplex = card.full_duplex.map(|full| if full { "full" } else { "half" });
    into.put("Duplex", duplex);
    into.put("Features", card.features.clone());
}

fn neighbour(
    of: &Neighbour,
    ip: Option<IpAddr>,
    vlan: u16,
    vni: u32,
    shared: &mut Shared,
) -> Value {
    let group = group(of, ip, vlan).filter(|_| of.via == 0 && vni == 0);
    if let Some(group) = group
        && let Some((_, known)) = shared.groups.iter().find(|(known, _)| *known == group)
    {
        return known.clone();
    }
    let mut map = Map::new();
    let state = shared.names(u32::from(of.state), 1 << 30, NUD);
    map.set("State", if of.state == 0 { shared.names(1 << 9, 1 << 30, NUD) } else { state });
    if of.flags != 0 {
        map.set("Flags", shared.names(u32::from(of.flags), 1 << 31, NTF));
    }
    map.put("MAC", of.mac.map(|mac| Shared::mac(&mac)));
    map.put("IP", ip.map(Shared::ip));
    map.put("IfIndex", set(of.via));
    map.put("Vlan", Some(vlan).filter(|vlan| *vlan != 0));
    map.put("VNI", set(vni));
    if let Some(label) = of.mac.and_then(|mac| label(&shared.labels, mac)) {
        for (key, text) in [("Name", &*label.name), ("Vendor", label.vendor.unwrap_or_default())] {
            map.put(key, Some(text).filter(|text| !text.is_empty()));
        }
    }
    let new = Value::from(map);
    if let Some(group) = group.filter(|_| shared.groups.len() < MAX_GROUPS) {
        shared.groups.push((group, new.clone()));
    }
    new
}

/// What tells a group that every interface is in, as all routers; not those that an interface
/// has for an address of its own (33:33:ff, RFC 4291 §2.7.1).
fn group(of: &Neighbour, ip: Option<IpAddr>, vlan: u16) -> Option<Group> {
    let mac = of.mac?;
    let [first, second, third, ..] = mac;
    let common = first & 1 != 0 && [first, second, third] != [0x33, 0x33, 0xff];
    common.then_some((mac, ip, of.state, of.flags, vlan))
}

/// The routes by table, those of one destination together.
fn tables(one: &Interface, ifindex: u32) -> Vec<Value> {
    let mut tables: Vec<Value> = Vec::new();
    // Connected routes all have the same hop.
    let mut direct: Vec<(u32, Value)> = Vec::new();
    let mut routes = one.routes.iter().peekable();
    while let Some((first, _)) = routes.peek() {
        let table = first.table;
        let mut source = None;
        let mut list: Vec<Value> = Vec::new();
        while let Some((key, facts)) = routes.next_if(|(key, _)| key.table == table) {
            source = source.or(facts.source);
            let (to, prefix) = (key.to, key.prefix);
            let mut hops = vec![hop(key, ifindex)];
            let same = |key: &RouteKey| (key.table, key.to, key.prefix) == (table, to, prefix);
            while let Some((key, _)) = routes.next_if(|(key, _)| same(key)) {
                hops.push(hop(key, ifindex));
            }
            let hops = match (&hops[..], key.gateway) {
                ([_], None) => match direct.iter().find(|(known, _)| *known == key.priority) {
                    Some((_, known)) => known.clone(),
                    None => {
                        let hops = Value::from(hops);
                        direct.push((key.priority, hops.clone()));
                        hops
                    }
                },
                _ => hops.into(),
            };
            let route = Map::new()
                .with("NextHops", hops)
                .with("Prefix", format!("{to}/{prefix}"))
                .with("Protocol", u32::from(facts.protocol));
            list.push(route.into());
        }
        let mut map = Map::new().with("ID", table).with("Routes", list);
        map.put("Src", source.map(Shared::ip));
        tables.push(map.into());
    }
    tables
}

fn hop(key: &RouteKey, ifindex: u32) -> Value {
    let mut map = Map::new().with("IfIndex", ifindex);
    map.put("IP", key.gateway.map(Shared::ip));
    map.put("Priority", set(key.priority));
    map.into()
}

fn show_metric(metric: &Metric, into: &mut Map) {
    let counters = |of: &Counts, start: Option<i64>, last: i64| {
        let mut map = Map::new();
        for (name, value) in of.all() {
            map.put(name, Some(value).filter(|value| *value != 0));
        }
        map.put("Start", start);
        map.with("Last", last)
    };
    into.set("Metric", counters(&metric.total, None, metric.last));
    if let Some((added, start, last)) = metric.update.as_deref() {
        into.set("LastUpdateMetric", counters(added, Some(*start), *last));
    }
}

fn bond_port(port: &Port) -> Value {
    let facts = &port.facts;
    let mut map = Map::new()
        .with("Type", "bond")
        .with("State", if facts.state == 0 { "ACTIVE" } else { "BACKUP" })
        .with("MiiStatus", mii(facts.mii_status))
        .with("LinkFailureCount", facts.failures)
        .with("QueueId", facts.queue);
    map.put("PermMAC", address(&port.permanent));
    map.put("AggregatorId", facts.aggregator);
    map.put("AdActorOperPortState", facts.actor.map(u16::from));
    map.put("AdPartnerOperPortState", facts.partner);
    map.into()
}

const fn mii(status: u8) -> &'static str {
    match status {
        0 => "UP",
        1 => "GOING_DOWN",
        2 => "DOWN",
        _ => "GOING_BACK",
    }
}

/// Sets a list, or takes it out where it is empty. What stays is shared with the list before: the
/// past costs no more than what changed.
pub(super) fn put_list(into: &mut Map, key: &'static str, items: Vec<Value>) {
    if items.is_empty() {
        into.remove(key);
        return;
    }
    let new = Value::from(items);
    let new = match into.get(key) {
        Some(before) => new.sharing(before),
        None => new,
    };
    into.set(key, new);
}

fn address(mac: &[u8]) -> Option<Value> {
    (!mac.is_empty()).then(|| Shared::mac(mac))
}

fn set(value: u32) -> Option<u32> {
    Some(value).filter(|value| *value != 0)
}

/// Lower case with colons.
fn hex(mac: &[u8]) -> String {
    let mut text = String::with_capacity(mac.len().saturating_mul(3));
    for (at, byte) in mac.iter().enumerate() {
        let colon = if at > 0 { ":" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{colon}{byte:02x}");
    }
    text
}

/// IF_OPER_.
const fn state(operstate: u8) -> &'static str {
    match operstate {
        1 => "NOTPRESENT",
        2 => "DOWN",
        3 => "LOWERLAYERDOWN",
        4 => "TESTING",
        5 => "DORMANT",
        6 => "UP",
        _ => "UNKNOWN",
    }
}

const BOND_MODES: [&str; 7] = [
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
];

const FLAGS: &[(u32, &str)] = &[
    (netlink::LINK_UP, "UP"),
    (netlink::LINK_BROADCAST, "BROADCAST"),
    (netlink::LINK_LOOPBACK, "LOOPBACK"),
    (netlink::LINK_POINT_TO_POINT, "POINTTOPOINT"),
    (netlink::LINK_MULTICAST, "MULTICAST"),
    (netlink::LINK_RUNNING, "RUNNING"),
    (netlink::LINK_PROMISCUOUS, "PROMISC"),
];

const FLAGS_SHOWN: u32 = netlink::LINK_UP
    | netlink::LINK_BROADCAST
    | netlink::LINK_LOOPBACK
    | netlink::LINK_POINT_TO_POINT
    | netlink::LINK_MULTICAST
    | netlink::LINK_RUNNING
    | netlink::LINK_PROMISCUOUS;

const NUD: &[(u32, &str)] = &[
    (0x01, "NUD_INCOMPLETE"),
    (0x02, "NUD_REACHABLE"),
    (0x04, "NUD_STALE"),
    (0x08, "NUD_DELAY"),
    (0x10, "NUD_PROBE"),
    (0x20, "NUD_FAILED"),
    (0x40, "NUD_NOARP"),
    (0x80, "NUD_PERMANENT"),
    (1 << 9, "NUD_NONE"),
];

const NTF: &[(u32, &str)] = &[
    (0x01, "NTF_USE"),
    (0x02, "NTF_SELF"),
    (0x04, "NTF_MASTER"),
    (0x08, "NTF_PROXY"),
    (0x10, "NTF_EXT_LEARNED"),
    (0x20, "NTF_OFFLOADED"),
    (0x40, "NTF_STICKY"),
    (0x80, "NTF_ROUTER"),
];

/// ARPHRD_ of linux/if_arp.h in words, as `ip link` has them after `link/`.
fn encapsulation(hardware: u16) -> String {
    let name = match hardware {
        0 => "netrom",
        1 => "ether",
        24 => "ieee1394",
        32 => "infiniband",
        256 => "slip",
        280 => "can",
        512 => "ppp",
        519 => "rawip",
        768 => "ipip",
        769 => "tunnel6",
        772 => "loopback",
        776 => "sit",
        778 => "gre",
        783 => "irda",
        801 => "ieee802.11",
        802 => "ieee802.11/prism",
        803 => "ieee802.11/radiotap",
        804 => "ieee802.15.4",
        820 => "phonet",
        823 => "gre6",
        824 => "netlink",
        825 => "6lowpan",
        826 => "vsockmon",
        0xfffe => "none",
        0xffff => "void",
        other => return format!("unknown{other}"),
    };
    name.to_owned()
}
