//! Packets that clients want sent: who sends them to whom is found out here, from what the graph
//! knows of the nodes; `io` sends them, one after another at their interval.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;

use crate::query::{self, Answer, Query, World};
use crate::topology::graph::{Id, Node};
use crate::wire::craft::{self, Body, Packet};
use crate::wire::mac;

use super::Agent;
use super::attach::LOOK_VISITS;
use super::command::Failure;
use super::resources::injection::{Injection, MAX_PAYLOAD, Protocol};

/// Injections that wait or are under way; further ones are refused.
pub const MAX_JOBS: usize = 16;

/// Packets to send.
#[derive(Clone, Debug)]
pub struct Job {
    /// The node to send them on.
    pub node: Id,
    /// How many there are.
    pub count: u32,
    /// Milliseconds between them.
    pub interval: u64,
    macs: ([u8; 6], [u8; 6]),
    ips: (IpAddr, IpAddr),
    ports: (u16, u16),
    injection: Injection,
}

/// Packets that wait to be sent.
#[derive(Debug, Default)]
pub struct Jobs {
    waiting: VecDeque<Job>,
    /// Jobs that `io` is at.
    pub running: usize,
}

impl Jobs {
    /// The next job to begin with.
    pub fn next_job(&mut self) -> Option<Job> {
        let job = self.waiting.pop_front()?;
        self.running = self.running.saturating_add(1);
        Some(job)
    }
}

impl Job {
    /// Writes the frame number `at` of the job into `out`, replacing what was there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn frame(&self, at: u32, out: &mut Vec<u8>) -> Result<(), craft::Error> {
        let injection = &self.injection;
        let sequence = u16::try_from(at & 0xffff).unwrap_or(0);
        let turn = if injection.is_random { scatter(at) } else { 0 };
        let grown = injection.growth.saturating_mul(at as usize);
        let len = injection.payload.len().saturating_add(grown).min(MAX_PAYLOAD);
        let mut payload = injection.payload.clone();
        payload.resize(len, b'.');
        let (sport, dport) = (self.ports.0.wrapping_add(turn), self.ports.1);
        let body = match injection.protocol {
            Protocol::Icmp4 | Protocol::Icmp6 => {
                Body::Echo { id: injection.icmp_id.wrapping_add(turn), sequence }
            }
            Protocol::Tcp4 | Protocol::Tcp6 => {
                Body::Tcp { sport, dport, sequence: scatter_wide(at) }
            }
            Protocol::Udp4 | Protocol::Udp6 => Body::Udp { sport, dport },
        };
        let (src_mac, dst_mac) = self.macs;
        let (src, dst) = self.ips;
        let ttl = injection.ttl;
        Packet { src_mac, dst_mac, src, dst, ttl, body, payload: &payload }.write(out)
    }
}

impl Agent {
    /// Finds out what an injection needs and lets it begin.
    pub(super) fn inject(&mut self, injection: &Injection) -> Result<(), Failure> {
        if self.jobs.waiting.len().saturating_add(self.jobs.running) >= MAX_JOBS {
            return Err(Failure::Limit);
        }
        let job = self.job(injection).map_err(Failure::Invalid)?;
        self.jobs.waiting.push_back(job);
        Ok(())
    }

    fn job(&self, injection: &Injection) -> Result<Job, String> {
        let none = || format!("Not able to find a source node for '{}'", injection.src.text());
        let source = self.first(&injection.src).ok_or_else(none)?;
        let destination = injection.dst.as_ref().and_then(|query| self.first(query));
        let v6 = injection.protocol.is_v6();
        let from = injection.src_ip.or_else(|| address_of(&source, v6));
        let from = from.ok_or("No source IP in node")?;
        if injection.dst_ip.is_none() && destination.is_none() {
            return Err("No destination node and IP".to_owned());
        }
        let known = || destination.as_ref().and_then(|node| address_of(node, v6));
        let to = injection.dst_ip.or_else(known).ok_or("No destination IP in node")?;
        if from.is_ipv6() != to.is_ipv6() {
            return Err(craft::Error::Family.to_string());
        }
        let own_mac = injection.src_mac.or_else(|| mac_of(&source));
        let own_mac = own_mac.ok_or("No source MAC in node")?;
        let unresolved = "Failed to resolve destination MAC address";
        let next_mac = injection
            .dst_mac
            .or_else(|| self.next_hop(&source, destination.as_deref(), to))
            .ok_or(unresolved)?;
        let ports = match injection.protocol {
            Protocol::Icmp4 | Protocol::Icmp6 => (0, 0),
            // As programs do that ask for no port of their own.
            _ if injection.src_port == 0 => (49_152, injection.dst_port),
            _ => (injection.src_port, injection.dst_port),
        };
        Ok(Job {
            node: Rc::clone(&source.id),
            count: injection.count,
            interval: injection.interval,
            macs: (own_mac, next_mac),
            ips: (from, to),
            ports,
            injection: injection.clone(),
        })
    }

    fn first(&self, query: &Query) -> Option<Rc<Node>> {
        self.nodes_of(query).ok()?.into_iter().next()
    }

    /// The hardware address that a packet from `source` to an address goes to.
    fn next_hop(&self, source: &Node, destination: Option<&Node>, to: IpAddr) -> Option<[u8; 6]> {
        let neighbour = |ip: IpAddr| {
            let mut found = None;
            let wanted = ip.to_string();
            for neighbour in source.metadata.get("Neighbors")?.items() {
                let neighbour = neighbour.as_map()?;
                if neighbour.text("IP") == Some(&wanted) {
                    found = neighbour.text("MAC").and_then(mac::parse);
                }
            }
            found
        };
        let hop = self.hop(source, to);
        match hop {
            // A gateway is on the way.
            Some((gateway, mac)) if gateway != to => mac.or_else(|| neighbour(gateway)),
            _ => {
                let mac = hop.and_then(|(_, mac)| mac).or_else(|| neighbour(to));
                mac.or_else(|| destination.and_then(mac_of))
            }
        }
    }

    /// The next hop by the routes of a node, with its hardware address if that is known.
    fn hop(&self, source: &Node, to: IpAddr) -> Option<(IpAddr, Option<[u8; 6]>)> {
        let text = format!("G.V('{}').NextHop('{to}')", source.id);
        let world = World { graph: &self.graph, flows: &self.captured, now: self.clock() };
        let query = Query::parse(&text).ok()?;
        let Ok(Answer::NextHops(hops)) = query::evaluate(&query, &world, LOOK_VISITS) else {
            return None;
        };
        let (_, hop) = hops.into_iter().next()?;
        let gateway = hop.text("IP").and_then(|ip| ip.parse().ok()).unwrap_or(to);
        Some((gateway, hop.text("MAC").and_then(mac::parse)))
    }
}

fn address_of(node: &Node, v6: bool) -> Option<IpAddr> {
    let addresses = node.metadata.get(if v6 { "IPV6" } else { "IPV4" })?;
    let texts = addresses.items().iter().filter_map(|address| address.as_text());
    let bare = texts.map(|text| text.split_once('/').map_or(text, |(bare, _)| bare));
    let mut parsed = bare.filter_map(|text| text.parse::<IpAddr>().ok()).peekable();
    let first = parsed.peek().copied();
    // An address that holds beyond the link is the better one.
    let global = parsed.find(|ip| match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    });
    global.or(first)
}

fn mac_of(node: &Node) -> Option<[u8; 6]> {
    node.metadata.text("MAC").and_then(mac::parse)
}

/// Spreads numbers that count up, each once (an odd factor turns 16 bits into one another).
const fn scatter(at: u32) -> u16 {
    (scatter_wide(at) >> 16) as u16
}

const fn scatter_wide(at: u32) -> u32 {
    at.wrapping_add(1).wrapping_mul(0x9e37_79b1)
}
