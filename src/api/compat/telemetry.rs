//! Records of telemetry as Netify's consumers know them, of version 5 and of those before: which
//! members there are, how they are called, and what must never be left out.

use std::net::SocketAddr;

use super::{detected, nat, netify};
use crate::config::telemetry::Format;
use crate::conntrack::Table;
use crate::core::Agent;
use crate::core::engine::Lore;
use crate::core::labelled::Labelled;
use crate::core::report::VERSION;
use crate::core::row::{Row, Value};
use crate::core::status::Status;
use crate::core::telemetry::digest::{Digest, text};
use crate::core::telemetry::privacy::Privacy;
use crate::core::telemetry::{Fresh, Hosts, Monitored, Report, Seen, Stage, Told};
use crate::detect::protocol::{Category, TABLE};
use crate::flow::record::TcpEnd;
use crate::flow::{EndReason, Record, State};
use crate::group::Store;
use crate::time::Clock;
use crate::wire::mac;

/// Protocols below this number are those that old consumers find by their place in the list.
const CLASSIC: u16 = 4_096;

/// What records are made with.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Turns moments into wall time.
    pub clock: Clock,
    /// Names of hosts and products.
    pub lore: &'a Lore,
    /// Groups that ends of flows may be in.
    pub groups: Option<&'a Store>,
    /// Connections as the kernel tracks them.
    pub connections: Option<&'a Table>,
    /// What is not told.
    pub privacy: &'a Privacy,
    /// For whom.
    pub format: Format,
}

impl<'a> Scene<'a> {
    /// The scene of a running agent.
    #[must_use]
    pub const fn of(agent: &'a Agent, format: Format) -> Self {
        Self {
            clock: agent.clock(),
            lore: agent.lore(),
            groups: Some(&agent.groups),
            connections: Some(&agent.connections.table),
            privacy: &agent.telemetry.privacy,
            format,
        }
    }
}

/// A report as one row.
#[must_use]
pub fn row(report: &Report, scene: &Scene<'_>) -> Row {
    let typed = || Row::new().with("type", report.name());
    match report {
        Report::Flow(told) => flow(told, report.name(), scene),
        Report::Endpoints(hosts) => extended(typed(), endpoints(hosts, scene)),
        Report::Interfaces(known) => extended(typed(), interfaces(known, scene)),
        Report::InterfaceStatistics(seen) => {
            let mut row = typed();
            for (name, seen) in seen {
                row.push(name.to_string(), figures(seen, ""));
            }
            row
        }
        Report::GlobalStatistics(both) => {
            let (interval, total) = &**both;
            let row = extended(typed(), figures(interval, ""));
            extended(row, figures(total, "x_total_"))
        }
        Report::Status(status) => agent_status(status),
    }
}

/// A flow that is there already, for somebody who has just come; nothing if it has gone since, or
/// is still to be told.
pub fn established(flow: &Labelled, agent: &mut Agent, format: Format) -> Option<Row> {
    let report = agent.established(flow)?;
    Some(row(&report, &Scene::of(agent, format)))
}

/// What a client of the old stream is told first: who speaks.
#[must_use]
pub fn hello(agent: &Agent) -> Row {
    Row::new()
        .with("type", "agent_hello")
        .with("build_version", agent.facts.ident.clone())
        .with("agent_version", VERSION)
        .with("json_version", 1.9)
}

/// The state of the agent as old consumers expect it: with interfaces, local machines and figures.
#[must_use]
pub fn legacy_status(status: &Status, agent: &Agent) -> Row {
    let scene = Scene::of(agent, Format::Legacy);
    let mut stats = Row::new();
    for (name, seen) in agent.telemetry.last_statistics() {
        let figures = figures(seen, "").with("tcp_seq_error", seen.tcp_seq_errors);
        stats.push(name.to_string(), figures);
    }
    agent_status(status)
        .with("interfaces", interfaces(&agent.monitored(), &scene))
        .with("devices", endpoints(&agent.endpoints(), &scene))
        .with("stats", stats)
}

/// Numbers and tags of protocols for old consumers: each at the place of its number, as far as
/// theirs go.
#[must_use]
pub fn protocols() -> Row {
    let highest = TABLE.iter().map(|entry| entry.protocol.0).filter(|id| *id < CLASSIC).max();
    let tag = |id: u16| TABLE.iter().find(|entry| entry.protocol.0 == id).map_or("", |e| e.name);
    let named = |id: u16, tag: &'static str| Value::Row(Row::new().with("id", id).with("tag", tag));
    let classic = (0..=highest.unwrap_or(0)).map(|id| named(id, tag(id)));
    let ours = TABLE.iter().filter(|entry| entry.protocol.0 >= CLASSIC);
    let all = classic.chain(ours.map(|entry| named(entry.protocol.0, entry.name)));
    Row::new().with("type", "protocols").with("protocols", Value::List(all.collect()))
}

/// Numbers and tags of all that is told by number.
#[must_use]
pub fn definitions(lore: &Lore) -> Row {
    let named = |id: u16, tag: &str| Row::new().with("id", id).with("tag", tag.to_owned());
    let categories = Category::ALL.iter();
    let categories = categories.map(|(id, tag)| Value::Row(named(u16::from(*id as u8), tag)));
    let protocols = TABLE.iter().map(|entry| {
        let category = u64::from(entry.category as u8);
        Value::Row(named(entry.protocol.0, entry.name).with("category", category))
    });
    let applications = lore.applications.iter().map(|known| {
        let category = u64::from(known.category as u8);
        Value::Row(named(known.id, &known.tag).with("category", category))
    });
    Row::new()
        .with("type", "definitions")
        .with("categories", Value::List(categories.collect()))
        .with("protocols", Value::List(protocols.collect()))
        .with("applications", Value::List(applications.collect()))
}

fn flow(told: &Told, kind: &'static str, scene: &Scene<'_>) -> Row {
    let is_legacy = scene.format == Format::Legacy;
    let mut row = Row::new()
        .with("type", kind)
        .with("interface", told.interface.to_string())
        .with("internal", told.is_internal);
    if is_legacy || told.is_established {
        row.push("established", told.is_established);
    }
    let record = &told.flow.record;
    if let (Stage::Purge, Some(end)) = (told.stage, record.end) {
        row.push("reason", reason(record, end, is_legacy));
        row.push("x_end", end.name());
    }
    let members = match told.stage {
        Stage::First | Stage::Update | Stage::Complete => described(told, scene),
        Stage::Statistics | Stage::Purge => counted(told, scene),
    };
    row.with("flow", members)
}

/// Netify knows two reasons, its old versions a third.
const fn reason(record: &Record, end: EndReason, is_legacy: bool) -> &'static str {
    match (end, record.state) {
        (EndReason::Shutdown, _) if is_legacy => "terminated",
        (EndReason::Finished | EndReason::Reset | EndReason::Reused, _)
        | (_, State::Closing | State::Closed | State::Reset) => "closed",
        _ => "expired",
    }
}

/// All that is known of a flow.
fn described(told: &Told, scene: &Scene<'_>) -> Row {
    let (record, what) = (&told.flow.record, &told.flow.what);
    let masked = scene.privacy.record(record);
    let shown = masked.as_ref().unwrap_or(record);
    let mut row = identity(told, scene);
    row = extended(row, netify::members(shown, &scene.clock));
    detected::extend(&mut row, record, what, scene.lore);
    if told.stage == Stage::Update {
        row.set("detection_updated", true);
    }
    nat::extend(&mut row, record, scene.connections.and_then(|table| table.of_record(record)));
    row.push(
        "risks",
        Row::new()
            .with("risks", Value::List(Vec::new()))
            .with("ndpi_risk_score", 0_u8)
            .with("ndpi_risk_score_client", 0_u8)
            .with("ndpi_risk_score_server", 0_u8),
    );
    let tags = scene.groups.map(|groups| netify::tags(record, groups)).unwrap_or_default();
    row.push("tags", tags);
    count(&mut row, told);
    if !scene.privacy.keeps_texts() {
        rewrite(&mut row, scene.privacy);
    }
    if scene.privacy.masks_hosts() {
        mask(&mut row, scene.privacy);
    }
    row
}

/// What it moved.
fn counted(told: &Told, scene: &Scene<'_>) -> Row {
    let record = &told.flow.record;
    let mut row = identity(told, scene)
        .with("last_seen_at", scene.clock.wall_of(record.last_seen).millis())
        .with("detection_packets", told.flow.what.packets);
    count(&mut row, told);
    row.push("total_bytes", record.bytes());
    row.push("total_packets", record.packets());
    if let Some(tcp) = &record.tcp {
        let sum = |get: fn(&TcpEnd) -> u64| get(&tcp.initiator).saturating_add(get(&tcp.responder));
        row.push(
            "tcp",
            Row::new()
                .with("resets", sum(|end| end.resets.into()))
                .with("retrans", sum(|end| end.retransmissions.into()))
                .with("seq_errors", sum(|end| end.out_of_order.into())),
        );
    }
    row
}

/// What others know it by. Old consumers are given the digest that they saw first: they know no
/// other record that could tell them of a new one.
fn identity(told: &Told, scene: &Scene<'_>) -> Row {
    let (digest, before) = match scene.format {
        Format::Legacy => told.digests.told(),
        Format::Lines => told.digests.latest(),
    };
    let before: Vec<String> = before.iter().map(|digest: &Digest| text(digest)).collect();
    Row::new()
        .with("digest", text(&digest))
        .with("digest_prev", before)
        .with("x_flow_id", told.flow.record.id.get())
}

/// Counters since the last update, and of the whole life of each end.
fn count(row: &mut Row, told: &Told) {
    let record = &told.flow.record;
    let (local, other): (&Fresh, &Fresh) = if record.is_initiator_local.unwrap_or(true) {
        (&told.sent, &told.received)
    } else {
        (&told.received, &told.sent)
    };
    let (near, far) = record.local_and_other();
    for (name, value) in [
        ("local_bytes", local.bytes),
        ("other_bytes", other.bytes),
        ("local_packets", local.packets),
        ("other_packets", other.packets),
        ("local_rate", local.rate),
        ("other_rate", other.rate),
        ("total_local_bytes", near.bytes),
        ("total_other_bytes", far.bytes),
        ("total_local_packets", near.packets),
        ("total_other_packets", far.packets),
    ] {
        row.set(name, value);
    }
}

/// Members with text from the network.
const TEXTS: [&str; 12] = [
    "answer",
    "class_ident",
    "client",
    "client_sni",
    "dns_host_name",
    "host_server_name",
    "issuer_dn",
    "server",
    "server_cn",
    "subject_dn",
    "url",
    "user_agent",
];

/// Replaces what is not to be told in texts from the network.
fn rewrite(row: &mut Row, privacy: &Privacy) {
    for (name, value) in row.iter_mut() {
        match value {
            Value::Row(inner) => rewrite(inner, privacy),
            Value::Text(text) if TEXTS.contains(&name) => {
                *text = privacy.text(text).into_owned().into();
            }
            _ => {}
        }
    }
}

/// Masks the addresses in what else is known of a flow, such as its other side of a translation.
fn mask(row: &mut Row, privacy: &Privacy) {
    for (_, value) in row.iter_mut() {
        match value {
            Value::Row(inner) => mask(inner, privacy),
            Value::Text(text) => {
                if let Ok(ip) = text.parse() {
                    *text = privacy.host(ip, true).to_string().into();
                } else if let Ok(mut address) = text.parse::<SocketAddr>() {
                    address.set_ip(privacy.host(address.ip(), true));
                    *text = address.to_string().into();
                }
            }
            _ => {}
        }
    }
}

fn endpoints(hosts: &Hosts, scene: &Scene<'_>) -> Row {
    let mut row = Row::new();
    for (mac, addresses) in hosts {
        let name = mac::text(scene.privacy.mac(*mac, true));
        // Of those that are masked one stands for all.
        if row.get(&name).is_none() {
            let addresses = addresses.iter().map(|ip| scene.privacy.host(*ip, true).to_string());
            row.push(name, addresses.collect::<Vec<_>>());
        }
    }
    row
}

fn interfaces(known: &[Monitored], scene: &Scene<'_>) -> Row {
    let mut row = Row::new();
    for interface in known {
        let addresses = interface.addresses.iter();
        let addresses = addresses.map(|ip| scene.privacy.host(*ip, true).to_string());
        let mac = scene.privacy.mac(interface.mac.unwrap_or_default(), true);
        row.push(
            interface.name.to_string(),
            Row::new()
                .with("addr", addresses.collect::<Vec<_>>())
                .with("capture_type", if interface.has_ring { "tpv3" } else { "pcap" })
                .with("mac", mac)
                .with("role", if interface.is_internal { "lan" } else { "wan" }),
        );
    }
    row
}

/// Figures under their names behind a prefix.
fn figures(seen: &Seen, prefix: &'static str) -> Row {
    let all = [
        ("capture_dropped", seen.capture_dropped),
        ("capture_filtered", 0),
        ("discarded", seen.discarded),
        ("discarded_bytes", seen.discarded_bytes),
        ("ethernet", seen.raw),
        ("flow_dropped", seen.flow_dropped),
        ("fragmented", seen.fragmented),
        ("icmp", seen.icmp),
        ("igmp", seen.igmp),
        ("ip", seen.ip),
        ("ip_bytes", seen.ip_bytes),
        ("largest_bytes", seen.largest_bytes),
        ("mpls", seen.mpls),
        ("pppoe", seen.pppoe),
        ("queue_dropped", 0),
        ("raw", seen.raw),
        ("tcp", seen.tcp),
        ("tcp_resets", seen.tcp_resets),
        ("tcp_seq_errors", seen.tcp_seq_errors),
        ("udp", seen.udp),
        ("vlan", seen.vlan),
        ("wire_bytes", seen.wire_bytes),
    ];
    let mut row = Row::new();
    for (name, value) in all {
        if prefix.is_empty() {
            row.push(name, value);
        } else {
            row.push(format!("{prefix}{name}"), value);
        }
    }
    row
}

/// In telemetry the version stands alone, and the whole identification beside it.
fn agent_status(status: &Status) -> Row {
    let mut row = extended(Row::new().with("type", "agent_status"), netify::status(status));
    row.set("agent_version", VERSION);
    row.set("build_version", status.ident.clone());
    row
}

fn extended(mut row: Row, more: Row) -> Row {
    for (name, value) in more.into_fields() {
        row.push(name, value);
    }
    row
}
