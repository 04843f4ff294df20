//! What is told once an interval besides flows: local machines, interfaces, and what they saw.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use crate::flow::totals::Interface;
use crate::flow::{Flow, Totals};
use crate::topology::links::Role;

use super::super::agent::Agent;
use super::{Hosts, Monitored, Report, Seen, Telemetry};

/// Local machines told in one interval; further ones are left out until some have gone.
const MAX_HOSTS: usize = 1_024;

/// Addresses told of one of them; further ones are left out.
const MAX_ADDRESSES: usize = 16;

/// Octets that a frame takes on an Ethernet besides those that are seen: preamble, check sequence
/// and gap.
const FRAMING: u64 = 24;

/// An interval under way.
#[derive(Debug, Default)]
pub(in crate::core) struct Period {
    /// Resets and segments out of order, by the slot of the interface.
    troubles: HashMap<u16, (u64, u64)>,
    hosts: HashMap<[u8; 6], Vec<IpAddr>>,
    /// Totals at its start, by slot, with the frames lost.
    before: Vec<(Interface, u64)>,
    /// Of all interfaces.
    all_before: Seen,
    /// What interfaces saw in the last one.
    last: Vec<(Rc<str>, Seen)>,
}

impl Period {
    /// Takes in a flow that was told.
    pub(super) fn settle(&mut self, slot: u16, resets: u64, errors: u64, flow: &Flow) {
        if resets > 0 || errors > 0 {
            let sum = self.troubles.entry(slot).or_default();
            *sum = (sum.0.saturating_add(resets), sum.1.saturating_add(errors));
        }
        if let Some(side) = flow.orientation().local() {
            add(&mut self.hosts, *flow.macs().of(side), flow.key().ip(side));
        }
    }
}

/// Notes a machine, while there is room.
fn add(hosts: &mut HashMap<[u8; 6], Vec<IpAddr>>, mac: [u8; 6], ip: IpAddr) {
    let is_group = mac.first().is_some_and(|first| first & 1 == 1);
    if mac == [0; 6] || is_group || ip.is_multicast() || ip.is_unspecified() {
        return;
    }
    if hosts.len() >= MAX_HOSTS && !hosts.contains_key(&mac) {
        return;
    }
    let known = hosts.entry(mac).or_default();
    if known.len() < MAX_ADDRESSES && !known.contains(&ip) {
        known.push(ip);
    }
}

impl Telemetry {
    /// What each interface saw in the last interval.
    #[must_use]
    pub fn last_statistics(&self) -> &[(Rc<str>, Seen)] {
        &self.period.last
    }

    /// The machines seen in the interval with those that are `known` otherwise, in a fixed order.
    #[must_use]
    pub fn endpoints(&self, known: impl Iterator<Item = ([u8; 6], IpAddr)>) -> Hosts {
        let mut hosts = self.period.hosts.clone();
        known.for_each(|(mac, ip)| add(&mut hosts, mac, ip));
        let mut hosts: Hosts = hosts.into_iter().collect();
        hosts.sort_unstable();
        hosts.iter_mut().for_each(|(_, addresses)| addresses.sort_unstable());
        hosts
    }

    /// Forgets the machines seen: the next interval begins.
    pub fn forget_endpoints(&mut self) {
        self.period.hosts.clear();
    }

    /// Ends the interval of the figures of interfaces: each by its slot, name and frames lost by
    /// the kernel so far. `refused` is how many packets found no room in the table so far.
    pub fn statistics(
        &mut self,
        interfaces: &[(u16, Rc<str>, u64)],
        totals: &Totals,
        refused: u64,
    ) -> [Report; 2] {
        let troubles = std::mem::take(&mut self.period.troubles);
        let mut told = Vec::with_capacity(interfaces.len());
        let (mut sum, mut all) = (Seen::default(), Seen::default());
        for (slot, name, drops) in interfaces {
            let index = usize::from(*slot);
            let before = &mut self.period.before;
            if before.len() <= index {
                before.resize_with(index.saturating_add(1), Default::default);
            }
            let Some(place) = before.get_mut(index) else { continue };
            let now = (totals.interface(*slot).cloned().unwrap_or_default(), *drops);
            let mut seen = total(&now).minus(&total(place));
            (seen.tcp_resets, seen.tcp_seq_errors) =
                troubles.get(slot).copied().unwrap_or_default();
            sum = sum.plus(&seen);
            all = all.plus(&total(&now));
            *place = now;
            told.push((Rc::clone(name), seen));
        }
        let before = &self.period.all_before;
        all.tcp_resets = before.tcp_resets.saturating_add(sum.tcp_resets);
        all.tcp_seq_errors = before.tcp_seq_errors.saturating_add(sum.tcp_seq_errors);
        all.flow_dropped = refused;
        sum.flow_dropped = refused.saturating_sub(before.flow_dropped);
        self.period.all_before = all;
        self.period.last.clone_from(&told);
        let global = Report::GlobalStatistics(Box::new((sum, all)));
        [Report::InterfaceStatistics(told), global]
    }
}

fn total((totals, drops): &(Interface, u64)) -> Seen {
    let all = totals.all();
    let ip = |v4: u64, v6: u64| v4.wrapping_add(v6);
    Seen {
        raw: all.packets,
        wire_bytes: all.bytes.wrapping_add(all.packets.wrapping_mul(FRAMING)),
        capture_dropped: *drops,
        discarded: totals.not_ip.packets,
        discarded_bytes: totals.not_ip.bytes,
        fragmented: totals.fragments.packets,
        icmp: totals.icmp.packets,
        igmp: totals.igmp.packets,
        ip: ip(totals.ipv4.packets, totals.ipv6.packets),
        ip_bytes: ip(totals.ipv4.bytes, totals.ipv6.bytes),
        largest_bytes: totals.largest.into(),
        mpls: totals.mpls.packets,
        pppoe: totals.pppoe.packets,
        tcp: totals.tcp.packets,
        udp: totals.udp.packets,
        vlan: totals.vlan.packets,
        ..Seen::default()
    }
}

impl Seen {
    /// All but the largest frame, as `join` puts two figures together.
    fn zip(&self, other: &Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            raw: join(self.raw, other.raw),
            wire_bytes: join(self.wire_bytes, other.wire_bytes),
            capture_dropped: join(self.capture_dropped, other.capture_dropped),
            discarded: join(self.discarded, other.discarded),
            discarded_bytes: join(self.discarded_bytes, other.discarded_bytes),
            flow_dropped: join(self.flow_dropped, other.flow_dropped),
            fragmented: join(self.fragmented, other.fragmented),
            icmp: join(self.icmp, other.icmp),
            igmp: join(self.igmp, other.igmp),
            ip: join(self.ip, other.ip),
            ip_bytes: join(self.ip_bytes, other.ip_bytes),
            largest_bytes: self.largest_bytes.max(other.largest_bytes),
            mpls: join(self.mpls, other.mpls),
            pppoe: join(self.pppoe, other.pppoe),
            tcp: join(self.tcp, other.tcp),
            tcp_resets: join(self.tcp_resets, other.tcp_resets),
            tcp_seq_errors: join(self.tcp_seq_errors, other.tcp_seq_errors),
            udp: join(self.udp, other.udp),
            vlan: join(self.vlan, other.vlan),
        }
    }

    /// Figures may have been set back by a command: then what there is now is all.
    fn minus(&self, before: &Self) -> Self {
        if before.raw > self.raw {
            return *self;
        }
        self.zip(before, u64::saturating_sub)
    }

    fn plus(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_add)
    }
}

impl Agent {
    /// Tells what is told at the end of an interval behind the flows.
    pub(in crate::core) fn tell_interval(&mut self) {
        let reports = self.interval_reports();
        self.publish_reports(reports);
    }

    fn interval_reports(&mut self) -> Vec<Report> {
        let endpoints = self.endpoints();
        self.telemetry.forget_endpoints();
        let interfaces = Report::Interfaces(self.monitored());
        let [each, all] = self.interface_reports();
        let status = self.status_report();
        vec![Report::Endpoints(endpoints), interfaces, each, all, status]
    }

    /// What interfaces saw since this was last asked.
    pub(super) fn interface_reports(&mut self) -> [Report; 2] {
        let ports: Vec<(u16, Rc<str>, u64)> = self
            .facts
            .ports
            .iter()
            .map(|port| (port.slot, self.name_of(port.slot).into(), port.drops))
            .collect();
        let refused = self.counters.flow_table_full;
        self.telemetry.statistics(&ports, &self.engine.totals, refused)
    }

    /// The state of the agent.
    pub fn status_report(&mut self) -> Report {
        // Who asks for the longest turn since the last time is not us.
        let longest = self.facts.loop_max_us;
        let status = self.status();
        self.facts.loop_max_us = longest;
        Report::Status(Box::new(status))
    }

    /// Local machines with their addresses: the neighbours but those beyond the uplink, our own,
    /// and those seen in flows.
    #[must_use]
    pub fn endpoints(&self) -> Hosts {
        let links = &self.links;
        let near = links.neighbours().iter().filter_map(|(ip, slot, neighbour)| {
            (links.role(slot) != Role::Wan).then_some((neighbour.mac, ip))
        });
        let own = links.iter().filter(|(_, link)| !link.is_loopback()).flat_map(|(_, link)| {
            let addresses = link.addresses.iter().map(|address| address.ip);
            addresses.filter_map(move |ip| Some((link.mac?, ip)))
        });
        self.telemetry.endpoints(near.chain(own))
    }

    /// The interfaces that are captured.
    #[must_use]
    pub fn monitored(&self) -> Vec<Monitored> {
        let open = self.facts.ports.iter().filter(|port| port.is_open);
        let known = open.filter_map(|port| {
            let link = self.links.get(port.slot)?;
            Some(Monitored {
                name: (*link.name).into(),
                is_internal: self.links.role(port.slot) == Role::Lan,
                mac: link.mac,
                has_ring: port.has_ring,
                addresses: link.addresses.iter().map(|address| address.ip).collect(),
            })
        });
        known.collect()
    }
}
