//! Flows and events as rows, in the core's spelling.

use crate::detect::{Fact, Outcome, Protocol};
use crate::flow::Record;
use crate::time::Tick;
use crate::wire::decode::Tunnel;
use crate::wire::proto;

use super::agent::Agent;
use super::bus::Event;
use super::flow_facts;
use super::labelled::Labelled;
use super::row::Row;

impl Agent {
    /// A flow as one row. Sent (`tx`) is what the initiator sent.
    #[must_use]
    pub fn flow_row(&self, told: &Labelled) -> Row {
        let Labelled { record, what } = told;
        let (from, to) = (&record.initiator, &record.responder);
        Row::new()
            .with("id", record.id.get())
            .with("dev", self.name_of(record.iface).to_owned())
            .with("proto", proto::text(record.proto))
            .with("src", from.ip.to_string())
            .with("sport", from.port)
            .with("dst", to.ip.to_string())
            .with("dport", to.port)
            .with("app", self.product(what))
            .with("host", self.host_of(record, what))
            .with("tx_bytes", from.bytes)
            .with("rx_bytes", to.bytes)
            .with("tx_pkt", from.packets)
            .with("rx_pkt", to.packets)
            .with("first", self.wall_secs(record.first_seen))
            .with("last", self.wall_secs(record.last_seen))
            .with("state", record.state.name())
            .with("src_name", self.name_of_host(from.ip))
            .with("dst_name", self.name_of_host(to.ip))
    }

    /// All that is known of a flow.
    #[must_use]
    pub fn flow_details(&self, told: &Labelled) -> Row {
        let record = &told.record;
        let mut row = self.flow_row(told);
        row.push("tos", record.tos);
        row.push("vlan", record.vlan);
        for (name, end) in [("ttl", &record.initiator), ("ttl_back", &record.responder)] {
            if let Some(ttl) = end.ttl {
                row.push(name, ttl);
            }
        }
        for (name, end) in [("src_mac", &record.initiator), ("dst_mac", &record.responder)] {
            if let Some(mac) = end.mac {
                row.push(name, mac);
            }
        }
        row.push("local", local_name(record));
        row.push("other_type", record.other_type.name());
        self.push_connection(&mut row, record);
        for (name, value) in self.process_of(record).into_iter().flat_map(Row::into_fields) {
            row.push(format!("process_{name}"), value);
        }
        if let Some(tcp) = &record.tcp {
            if let Some(rtt) = tcp.rtt_server {
                row.push("rtt_us", rtt);
            }
            if let Some(rtt) = tcp.rtt_client {
                row.push("rtt_client_us", rtt);
            }
            row.push("retransmissions", tcp.initiator.retransmissions);
            row.push("retransmissions_back", tcp.responder.retransmissions);
            row.push("out_of_order", tcp.initiator.out_of_order);
            row.push("out_of_order_back", tcp.responder.out_of_order);
            row.push("resets", tcp.initiator.resets.saturating_add(tcp.responder.resets));
            row.push("zero_windows", tcp.initiator.zero_windows);
            row.push("zero_windows_back", tcp.responder.zero_windows);
        }
        if let Some((kind, code)) = record.icmp {
            row.push("icmp_type", kind);
            row.push("icmp_code", code);
        }
        push_tunnel(&mut row, record);
        if let Some(end) = record.end {
            row.push("end", end.name());
        }
        flow_facts::push(&mut row, &told.what, &self.engine.lore);
        row
    }

    /// An event as one row. `action` of flows is 1 new, 2 named, 3 ended; of neighbours it is n2n's 4
    /// new, 3 gone, 1 moved.
    #[must_use]
    pub fn event_row(&self, event: &Event) -> Row {
        match event {
            Event::Alert { kind, count } => Row::new().with("kind", *kind).with("count", *count),
            Event::Device(row) => Row::clone(row),
            Event::FlowStarted(told) => prefixed(1, self.flow_row(told)),
            Event::FlowDetected(told) => prefixed(2, self.flow_row(told)),
            Event::FlowEnded(told) => {
                let mut row = prefixed(3, self.flow_row(told));
                if let Some(end) = told.record.end {
                    row.push("reason", end.name());
                }
                row
            }
            Event::Link(change) => self.change_row(change),
            Event::Telemetry(report) => {
                let rest = report.flow().map(|told| self.flow_row(told)).unwrap_or_default();
                let first = std::iter::once(("record".into(), report.name().into()));
                first.chain(rest.into_fields()).collect()
            }
            Event::Test(text) => Row::new().with("test", text.to_string()),
        }
    }

    /// The product that a flow belongs to, else its protocol; empty if neither is known.
    #[must_use]
    pub fn product(&self, what: &Outcome) -> String {
        match self.engine.lore.applications.get(what.application) {
            Some(application) => application.tag.to_string(),
            None if what.protocol == Protocol::UNKNOWN => String::new(),
            None => what.protocol.name().to_owned(),
        }
    }

    /// The name of the server that a flow shows, else that of its address; empty if neither is
    /// known.
    #[must_use]
    pub fn host_of(&self, record: &Record, what: &Outcome) -> String {
        match what.facts.get(Fact::Host) {
            Some(host) => String::from_utf8_lossy(host).into_owned(),
            None => {
                let names = &self.engine.lore.names;
                names.name_of(record.responder.ip).unwrap_or_default().to_owned()
            }
        }
    }

    pub(super) fn wall_secs(&self, tick: Tick) -> i64 {
        self.clock.wall_of(tick).secs()
    }
}

/// What is to be said of a flow within a tunnel, or around one; of others nothing.
pub fn push_tunnel(row: &mut Row, record: &Record) {
    if record.tunnel != Tunnel::None {
        row.push("tunnel", record.tunnel.name());
    }
    if let Some(parent) = record.parent {
        row.push("parent", parent.get());
    }
    if record.is_carrier {
        row.push("carrier", true);
    }
}

fn prefixed(action: u8, rest: Row) -> Row {
    std::iter::once(("action".into(), action.into())).chain(rest.into_fields()).collect()
}

/// Which end is the local one: `src`, `dst` or nothing.
const fn local_name(record: &Record) -> &'static str {
    match record.is_initiator_local {
        None => "",
        Some(true) => "src",
        Some(false) => "dst",
    }
}
