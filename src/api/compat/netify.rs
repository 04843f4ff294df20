//! Records of flows and events as the Unix socket's clients know them: one JSON object each,
//! told apart by `type`. Members that Netify's telemetry has carry its names and meaning; our own
//! stand beside them.

use super::{detected, nat, telemetry};
use crate::config::telemetry::Format;
use crate::core::Agent;
use crate::core::bus::{Event, is_neighbour};
use crate::core::engine::Lore;
use crate::core::events::push_tunnel;
use crate::core::labelled::Labelled;
use crate::core::report::VERSION;
use crate::core::row::{Row, Value};
use crate::core::status::Status;
use crate::flow::Record;
use crate::flow::record::TcpEnd;
use crate::group::{Entry, Store};
use crate::time::{Clock, Tick};
use crate::topology::links::Role;
use crate::wire::proto;

/// Why a flow is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// It ended; the record says why.
    Ended,
    /// It became known what it is, or more of it.
    Detected,
    /// It was there when the client subscribed.
    Established,
    /// It was asked for.
    Listed,
    /// It began.
    Started,
}

/// A flow as one row.
#[must_use]
pub fn flow(told: &Labelled, agent: &Agent, form: Form) -> Row {
    let Labelled { record, what } = told;
    let mut members = members(record, &agent.clock());
    detected::extend(&mut members, record, what, agent.lore());
    nat::extend(&mut members, record, agent.connections.table.of_record(record));
    members.push("tags", tags(record, &agent.groups));
    if form == Form::Listed {
        if let Some(process) = agent.process_of(record) {
            members.push("process", process);
        }
        let mut row = Row::new().with("interface", agent.name_of(record.iface).to_owned());
        extend(&mut row, members);
        let (local, other) = record.local_and_other();
        row.push("local_name", agent.name_of_host(local.ip));
        row.push("other_name", agent.name_of_host(other.ip));
        return row;
    }
    let kind = match form {
        Form::Detected if what.is_complete => "flow_dpi_complete",
        Form::Detected => "flow_dpi_update",
        Form::Ended => "flow_purge",
        Form::Established | Form::Listed | Form::Started => "flow",
    };
    let mut row = Row::new()
        .with("type", kind)
        .with("interface", agent.name_of(record.iface).to_owned())
        .with("internal", agent.links.role(record.iface) == Role::Lan)
        .with("established", form == Form::Established);
    if let (Form::Ended, Some(end)) = (form, record.end) {
        row.push("reason", end.name());
    }
    row.with("flow", members)
}

/// A flow of a capture file as one row.
#[must_use]
pub fn offline(told: &Labelled, file: &str, clock: &Clock, lore: &Lore) -> Row {
    let Labelled { record, what } = told;
    let mut row = Row::new().with("file", file.to_owned());
    extend(&mut row, members(record, clock));
    detected::extend(&mut row, record, what, lore);
    nat::extend(&mut row, record, None);
    let (local, other) = record.local_and_other();
    for (member, end) in [("local_name", local), ("other_name", other)] {
        row.push(member, lore.names.name_of(end.ip).unwrap_or_default().to_owned());
    }
    if let Some(end) = record.end {
        row.push("end", end.name());
    }
    row
}

/// An event as one row.
#[must_use]
pub fn event(event: &Event, agent: &Agent) -> Row {
    let kind = match event {
        Event::FlowDetected(told) => return flow(told, agent, Form::Detected),
        Event::FlowEnded(told) => return flow(told, agent, Form::Ended),
        Event::FlowStarted(told) => return flow(told, agent, Form::Started),
        Event::Telemetry(report) => {
            return telemetry::row(report, &telemetry::Scene::of(agent, Format::Lines));
        }
        Event::Alert { .. } => "alert",
        Event::Device(_) => "device",
        Event::Link(change) if is_neighbour(change) => "neighbour",
        Event::Link(_) => "link",
        Event::Test(_) => "test",
    };
    let mut row = Row::new().with("type", kind);
    extend(&mut row, agent.event_row(event));
    row
}

/// The data of `status`: Netify's keys, then ours.
#[must_use]
pub fn status(status: &Status) -> Row {
    let (now, last) = (&status.usage, &status.last);
    let mut row = Row::new()
        .with("agent_version", status.ident.clone())
        .with("timestamp", status.now.secs())
        .with("uptime", status.uptime)
        .with("update_interval", status.update_interval)
        .with("update_imf", 1_u8)
        .with("cpu_cores", now.cpus)
        .with("cpu_user", now.user_seconds)
        .with("cpu_user_prev", last.usage.user_seconds)
        .with("cpu_system", now.system_seconds)
        .with("cpu_system_prev", last.usage.system_seconds)
        .with("flow_count", status.flows)
        .with("flow_count_prev", last.flows)
        .with("flows_active", last.active)
        .with("flows_expiring", last.expired)
        .with("flows_expired", last.expired)
        .with("flows_purged", last.purged)
        .with("flows_in_use", 0_u8)
        .with("maxrss_kb", now.peak_rss_kib)
        .with("maxrss_kb_prev", last.usage.peak_rss_kib)
        .with("memrss_kb", now.rss_kib)
        .with("memrss_kb_prev", last.usage.rss_kib)
        .with("tcm_kb", now.heap_kib)
        .with("tcm_kb_prev", last.usage.heap_kib)
        .with("dhc_status", status.dns_hints.is_some())
        .with("fhc_status", status.flow_hashes.is_some());
    // Of caches that are off Netify says no size.
    for (name, size) in [("dhc_size", status.dns_hints), ("fhc_size", status.flow_hashes)] {
        if let Some(size) = size {
            row.push(name, size);
        }
    }
    let mut row = row
        .with("devices", status.devices)
        .with("version", VERSION)
        .with("flows_max", status.max_flows)
        .with("emergency", status.emergency)
        .with("clients", status.clients)
        .with("subscribers", status.subscribers)
        .with("groups", status.groups.0)
        .with("group_addresses", status.groups.1)
        .with("loop_max_ms", status.loop_max_us as f64 / 1_000.0)
        .with("fds", now.descriptors)
        .with("caps", status.capabilities.clone())
        .with("default_password", status.default_password)
        .with("capture", Value::List(status.capture.iter().cloned().map(Value::Row).collect()));
    row.push("conntrack", status.connections.clone());
    row.push("flows_in_detection", status.detecting);
    let counters: Row =
        status.counters.iter().map(|(name, value)| (name.into(), Value::Unsigned(value))).collect();
    row.push("counters", counters);
    row
}

pub(super) fn members(record: &Record, clock: &Clock) -> Row {
    let (local, other) = record.local_and_other();
    let opened_local = record.is_initiator_local != Some(false);
    let mut row = Row::new()
        .with("id", record.id.get())
        .with("ip_version", record.version)
        .with("ip_protocol", record.proto)
        .with("protocol_name", proto::text(record.proto))
        .with("ip_dscp", record.tos >> 2)
        .with("vlan_id", record.vlan)
        .with("local_ip", local.ip.to_string())
        .with("local_port", local.port)
        .with("local_mac", local.mac.map_or_else(|| "".into(), Value::Mac))
        .with("other_ip", other.ip.to_string())
        .with("other_port", other.port)
        .with("other_mac", other.mac.map_or_else(|| "".into(), Value::Mac))
        .with("other_type", record.other_type.name())
        .with("local_origin", opened_local)
        .with("first_seen_at", millis(record.first_seen, clock))
        .with("last_seen_at", millis(record.last_seen, clock))
        .with("local_packets", local.packets)
        .with("other_packets", other.packets)
        .with("local_bytes", local.bytes)
        .with("other_bytes", other.bytes)
        .with("total_packets", record.packets())
        .with("total_bytes", record.bytes())
        .with("state", record.state.name());
    if let Some(tcp) = &record.tcp {
        let (near, far) = if opened_local {
            (&tcp.initiator, &tcp.responder)
        } else {
            (&tcp.responder, &tcp.initiator)
        };
        row.push("tcp", health(near, far, tcp.rtt_server, tcp.rtt_client));
    }
    if let Some((kind, code)) = record.icmp {
        row.push("icmp", Row::new().with("type", kind).with("code", code));
    }
    if let Some(ttl) = local.ttl {
        row.push("local_ttl", ttl);
    }
    if let Some(ttl) = other.ttl {
        row.push("other_ttl", ttl);
    }
    if record.has_fragments {
        row.push("fragments", true);
    }
    push_tunnel(&mut row, record);
    row
}

/// `local:GROUP` and `other:GROUP` for each address group that holds an address of that end.
pub(super) fn tags(record: &Record, groups: &Store) -> Vec<String> {
    let (local, other) = record.local_and_other();
    let mut tags = Vec::new();
    for (side, end) in
        [("local", local), ("other", other)].into_iter().filter(|_| !groups.is_empty())
    {
        let mut ids = groups.lookup(Entry::from(end.ip));
        ids.extend(end.mac.into_iter().flat_map(|mac| groups.lookup(Entry::Mac(mac))));
        ids.sort_unstable();
        ids.dedup();
        let names = ids.into_iter().filter_map(|id| groups.name(id));
        tags.extend(names.map(|name| format!("{side}:{name}")));
    }
    tags
}

/// Netify's three counters over both ends, then each end by itself.
fn health(local: &TcpEnd, other: &TcpEnd, rtt: Option<u32>, client: Option<u32>) -> Row {
    let sum = |get: fn(&TcpEnd) -> u64| get(local).saturating_add(get(other));
    let mut row = Row::new()
        .with("resets", sum(|end| end.resets.into()))
        .with("retrans", sum(|end| end.retransmissions.into()))
        .with("seq_errors", sum(|end| end.out_of_order.into()))
        .with("local_retrans", local.retransmissions)
        .with("other_retrans", other.retransmissions)
        .with("local_out_of_order", local.out_of_order)
        .with("other_out_of_order", other.out_of_order)
        .with("local_zero_windows", local.zero_windows)
        .with("other_zero_windows", other.zero_windows);
    if let Some(rtt) = rtt {
        row.push("rtt_us", rtt);
    }
    if let Some(rtt) = client {
        row.push("rtt_client_us", rtt);
    }
    row
}

fn extend(row: &mut Row, more: Row) {
    for (name, value) in more.into_fields() {
        row.push(name, value);
    }
}

/// Unix milliseconds.
fn millis(tick: Tick, clock: &Clock) -> i64 {
    clock.wall_of(tick).millis()
}
