//! The whole machine: what `/json` answers, version 1 of GhostWire's discovery document. It is
//! written a thing at a time, so that a large machine holds nobody up. Lists are never null.

use std::net::IpAddr;
use std::rc::Rc;

use super::Machine;
use super::interface::{Details, Interface};
use super::machine::{Port, Process, Route, Space, Tenant};
use super::text::{comma, flag, key, number, signed, text, texts};
use crate::wire::netlink::{LINK_LOOPBACK, LINK_PROMISCUOUS};
use crate::wire::{json, mac};

/// Namespaces of processes within each other, as deep as the kernel lets them be.
const MAX_DEPTH: usize = 33;

/// Of whoever writes the document.
const VERSION: &str = env!("CARGO_PKG_VERSION");

const V4: u8 = 2;
const V6: u8 = 10;

/// RTN_ of linux/rtnetlink.h, in the order of their numbers.
const ROUTE_KINDS: [&str; 12] = [
    "unspec",
    "unicast",
    "local",
    "broadcast",
    "anycast",
    "multicast",
    "blackhole",
    "unreachable",
    "prohibit",
    "throw",
    "nat",
    "xresolve",
];

/// States of sockets in the order of the kernel's numbers, and what they amount to.
const SOCKET_STATES: [(&str, &str); 13] = [
    ("unknown", "unknown"),
    ("established", "connected"),
    ("syn-sent", "connecting"),
    ("syn-received", "connecting"),
    ("fin-wait-1", "closing"),
    ("fin-wait-2", "closing"),
    ("time-wait", "closed"),
    ("closed", "closed"),
    ("close-wait", "closing"),
    ("last-ack", "closing"),
    ("listening", "listening"),
    ("closing", "closing"),
    ("syn-received", "connecting"),
];

/// Appends who made the document, and when.
pub(super) fn metadata(out: &mut Vec<u8>, machine: &Machine) {
    let facts = &machine.facts;
    key(out, "metadata");
    out.push(b'{');
    text(out, "creator", "Portolan");
    text(out, "creator-id", "portolan");
    text(out, "creator-version", VERSION);
    text(out, "creation-timestamp", &facts.taken.rfc3339());
    text(out, "hostname", &facts.hostname);
    if machine.depth == super::Depth::All {
        text(out, "osrel-name", &facts.system);
        text(out, "osrel-version", &facts.system_version);
        text(out, "kernel-version", &facts.kernel);
        key(out, "cpus");
        out.extend_from_slice(b"[[0,");
        json::unsigned(out, facts.cpus.saturating_sub(1).into());
        out.extend_from_slice(b"]]");
        key(out, "container-engines");
        out.extend_from_slice(b"[]");
    }
    if machine.left_out.total() > 0 {
        key(out, "left-out");
        out.push(b'{');
        for (name, count) in machine.left_out.list() {
            if count > 0 {
                number(out, name, count);
            }
        }
        out.push(b'}');
    }
    out.push(b'}');
}

/// The document, a piece at a time.
#[derive(Debug)]
pub struct Text {
    machine: Rc<Machine>,
    part: Part,
    /// The namespace, and the thing in it, that are next.
    space: usize,
    item: usize,
    /// Something was written of the present list.
    some: bool,
    /// Groups of namespaces before this one.
    groups: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Head,
    Open,
    Tenants,
    Interfaces,
    Routes(u8),
    Ports(u8),
    Close,
    PidSpaces,
}

impl Text {
    /// At the beginning.
    #[must_use]
    pub const fn new(machine: Rc<Machine>) -> Self {
        Self { machine, part: Part::Head, space: 0, item: 0, some: false, groups: 0 }
    }

    /// Appends more, about `most` octets; `true` if there is still more.
    pub fn write(&mut self, out: &mut Vec<u8>, most: usize) -> bool {
        let most = most.saturating_add(out.len());
        let machine = Rc::clone(&self.machine);
        while out.len() < most {
            if self.part == Part::PidSpaces {
                pid_spaces(out, &machine);
                out.push(b'}');
                return false;
            }
            self.step(out, &machine);
        }
        true
    }

    fn step(&mut self, out: &mut Vec<u8>, machine: &Machine) {
        if self.part == Part::Head {
            out.push(b'{');
            metadata(out, machine);
            key(out, "network-namespaces");
            out.push(b'[');
            return self.go(Part::Open);
        }
        let Some(space) = machine.spaces.get(self.space) else {
            // What follows may be in the next piece, which does not see what was before it.
            out.extend_from_slice(b"],");
            return self.go(Part::PidSpaces);
        };
        let at = self.item;
        self.item = self.item.saturating_add(1);
        match self.part {
            Part::Open => {
                if self.space > 0 {
                    out.push(b',');
                }
                out.push(b'{');
                id(out, "id", Id::Space(space.inode));
                number(out, "netnsid", space.inode);
                list(out, "containers");
                self.go(Part::Tenants);
            }
            Part::Tenants => match space.tenants.get(at) {
                Some(tenant) => {
                    self.separate(out);
                    let pods = pods(machine, space);
                    write_tenant(out, machine, tenant, &pods, self.groups);
                }
                None => {
                    if space.tenants.is_empty() {
                        bind_mount(out, space);
                    }
                    out.push(b']');
                    self.groups = groups(out, machine, space, self.groups);
                    list(out, "network-interfaces");
                    self.go(Part::Interfaces);
                }
            },
            Part::Interfaces => match space.interfaces.get(at) {
                Some(interface) => {
                    self.separate(out);
                    write_interface(out, machine, space, interface);
                }
                None => {
                    out.extend_from_slice(b"],\"routes\":{\"ipv4\":[");
                    self.go(Part::Routes(V4));
                }
            },
            Part::Routes(family) => match space.routes.get(at) {
                Some(route) if route.family == family => {
                    self.separate(out);
                    write_route(out, space, route);
                }
                Some(_) => {}
                None if family == V4 => {
                    out.extend_from_slice(b"],\"ipv6\":[");
                    self.go(Part::Routes(V6));
                }
                None => {
                    out.extend_from_slice(b"]},\"transport-ports\":{\"ipv4\":[");
                    self.go(Part::Ports(V4));
                }
            },
            Part::Ports(family) => match space.sockets.get(at) {
                Some(port) if family_of(port.socket.local.0) == family => {
                    self.separate(out);
                    write_port(out, machine, space, port);
                }
                Some(_) => {}
                None if family == V4 => {
                    out.extend_from_slice(b"],\"ipv6\":[");
                    self.go(Part::Ports(V6));
                }
                None => {
                    out.extend_from_slice(b"]}");
                    self.go(Part::Close);
                }
            },
            Part::Head | Part::Close | Part::PidSpaces => {
                out.extend_from_slice(b",\"forwarded-ports\":{\"ipv4\":[],\"ipv6\":[]}}");
                self.space = self.space.saturating_add(1);
                self.go(Part::Open);
            }
        }
    }

    const fn go(&mut self, part: Part) {
        (self.part, self.item, self.some) = (part, 0, false);
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.some, true) {
            out.push(b',');
        }
    }
}

/// What an `idref` refers to.
#[derive(Clone, Copy)]
enum Id {
    Container(u32),
    Group(u64),
    Interface(u64, u32),
    Mount(u64),
    PidSpace(u64),
    Space(u64),
}

fn id(out: &mut Vec<u8>, name: &str, id: Id) {
    key(out, name);
    reference(out, id);
}

fn reference(out: &mut Vec<u8>, id: Id) {
    let (kind, value): (&[u8], u64) = match id {
        Id::Container(pid) => (b"\"cont-", pid.into()),
        Id::Group(at) => (b"\"group-", at),
        Id::Interface(inode, _) => (b"\"nif-", inode),
        Id::Mount(inode) => (b"\"bmnt-", inode),
        Id::PidSpace(inode) => (b"\"pidns-", inode),
        Id::Space(inode) => (b"\"netns-", inode),
    };
    out.extend_from_slice(kind);
    json::unsigned(out, value);
    if let Id::Interface(_, index) = id {
        out.push(b'-');
        json::unsigned(out, index.into());
    }
    out.push(b'"');
}

fn list(out: &mut Vec<u8>, name: &str) {
    key(out, name);
    out.push(b'[');
}

/// The pods that tenants of a namespace are in.
fn pods<'a>(machine: &'a Machine, space: &Space) -> Vec<(&'a str, &'a str)> {
    let mut pods = Vec::new();
    for tenant in &space.tenants {
        let pod = machine.container(tenant.container).and_then(|c| c.known.pod.as_ref());
        if let Some((space, name)) = pod
            && !pods.contains(&(&**space, &**name))
        {
            pods.push((&**space, &**name));
        }
    }
    pods
}

fn groups(out: &mut Vec<u8>, machine: &Machine, space: &Space, base: u64) -> u64 {
    list(out, "container-groups");
    let mut next = base;
    for pod in pods(machine, space) {
        comma(out);
        out.push(b'{');
        id(out, "id", Id::Group(next));
        text(out, "name", &format!("{}/{}", pod.0, pod.1));
        text(out, "type", "pod");
        text(out, "type-text", "Pod");
        list(out, "container-idrefs");
        for tenant in &space.tenants {
            let known = machine.container(tenant.container).and_then(|c| c.known.pod.as_ref());
            if known.is_some_and(|(space, name)| (&**space, &**name) == pod)
                && let Some(process) = machine.process_of(tenant)
            {
                comma(out);
                reference(out, Id::Container(process.pid));
            }
        }
        out.extend_from_slice(b"]}");
        next = next.saturating_add(1);
    }
    out.push(b']');
    next
}

fn write_tenant(
    out: &mut Vec<u8>,
    machine: &Machine,
    tenant: &Tenant,
    pods: &[(&str, &str)],
    base: u64,
) {
    let (Some(process), Some(title)) = (machine.process_of(tenant), machine.title_of(tenant))
    else {
        out.extend_from_slice(b"{}");
        return;
    };
    let container = machine.container(tenant.container);
    let details = tenant.details.as_deref();
    out.push(b'{');
    id(out, "id", Id::Container(process.pid));
    text(out, "name", &title.name);
    text(out, "type", title.kind);
    text(out, "type-text", container.map_or("Process", |c| c.id.engine.title()));
    text(out, "prefix", title.prefix);
    let pod = container.and_then(|c| c.known.pod.as_ref());
    let at = pod.and_then(|(a, b)| pods.iter().position(|pod| *pod == (&**a, &**b)));
    match at.and_then(|at| u64::try_from(at).ok()) {
        Some(at) => id(out, "group", Id::Group(base.saturating_add(at))),
        None => text(out, "group", ""),
    }
    text(out, "api-path", "");
    number(out, "pid", process.pid);
    number(out, "starttime", process.starttime);
    number(out, "pidns", process.pidns);
    id(out, "pidns-idref", Id::PidSpace(process.pidns));
    text(out, "cmdline", details.map_or("", |details| &details.command));
    let paused = details.is_some_and(|details| details.paused);
    text(out, "status", if paused { "paused" } else { "running" });
    let bounding = details.and_then(|details| details.bounding);
    text(out, "capbnd", &bounding.map_or_else(String::new, |set| format!("{set:#018x}")));
    scheduling(out, process, details.map_or(&[], |details| &details.affinity));
    if let Some(container) = container {
        key(out, "labels");
        out.push(b'{');
        for (name, value) in &container.known.labels {
            comma(out);
            json::string(out, name);
            out.push(b':');
            json::string(out, value);
        }
        out.push(b'}');
    }
    let none = super::resolver::Resolver::default();
    let resolver = details.map_or(&none, |details| &details.resolver);
    key(out, "dns");
    out.push(b'{');
    text(out, "uts-hostname", &resolver.hostname);
    text(out, "etc-hostname", &resolver.etc_hostname);
    text(out, "domainname", &resolver.domain);
    texts(out, "nameservers", resolver.nameservers.iter().map(|text| &**text));
    texts(out, "searchlist", resolver.search.iter().map(|text| &**text));
    list(out, "etc-hosts");
    for (name, address) in &resolver.hosts {
        comma(out);
        out.push(b'{');
        text(out, "name", name);
        text(out, "address", address);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}}");
}

fn scheduling(out: &mut Vec<u8>, process: &Process, affinity: &[(u32, u32)]) {
    list(out, "affinity");
    for (from, to) in affinity {
        comma(out);
        out.push(b'[');
        json::unsigned(out, (*from).into());
        out.push(b',');
        json::unsigned(out, (*to).into());
        out.push(b']');
    }
    out.push(b']');
    number(out, "policy", process.policy);
    signed(out, "priority", process.priority);
    signed(out, "nice", process.nice);
}

/// What stands for a namespace that nobody lives in.
fn bind_mount(out: &mut Vec<u8>, space: &Space) {
    let Some(path) = space.mounts.first() else { return };
    out.push(b'{');
    id(out, "id", Id::Mount(space.inode));
    let path = path.to_string_lossy();
    text(out, "name", super::clamp(&path, super::MAX_NAME));
    text(out, "type", "bindmount");
    text(out, "type-text", "Bind mount");
    for name in ["prefix", "group", "api-path"] {
        text(out, name, "");
    }
    number(out, "pid", 0_u32);
    number(out, "pidns", 0_u32);
    for name in ["pidns-idref", "cmdline"] {
        text(out, name, "");
    }
    text(out, "status", "running");
    text(out, "capbnd", "");
    out.extend_from_slice(
        br#","dns":{"uts-hostname":"","etc-hostname":"","domainname":"","nameservers":[],"searchlist":[],"etc-hosts":[]}}"#,
    );
}

fn write_interface(out: &mut Vec<u8>, machine: &Machine, space: &Space, interface: &Interface) {
    let inode = space.inode;
    out.push(b'{');
    id(out, "id", Id::Interface(inode, interface.index));
    text(out, "kind", &interface.kind);
    text(out, "name", &interface.name);
    text(out, "alias", &interface.alias);
    number(out, "index", interface.index);
    text(out, "operstate", interface.state());
    let physical = interface.kind.is_empty() && interface.flags & LINK_LOOPBACK == 0;
    flag(out, "physical", physical);
    flag(out, "promisc", interface.flags & LINK_PROMISCUOUS != 0);
    key(out, "driverinfo");
    out.push(b'{');
    text(out, "driver", &interface.driver);
    if !interface.bus.is_empty() {
        text(out, "businfo", &interface.bus);
    }
    out.extend_from_slice(b"},\"labels\":{},\"addresses\":{");
    text(out, "mac", &hardware(&interface.mac));
    for (name, family) in [("ipv4", V4), ("ipv6", V6)] {
        list(out, name);
        for address in interface.addresses.iter().filter(|address| address.family == family) {
            comma(out);
            out.push(b'{');
            number(out, "family", address.family);
            let own = address.local.map_or_else(String::new, |own| own.to_string());
            text(out, "address", &own);
            number(out, "prefixlen", address.prefix);
            let (preferred, valid) = address.lifetimes.unwrap_or((u32::MAX, u32::MAX));
            number(out, "preferred-lifetime", preferred);
            number(out, "valid-lifetime", valid);
            number(out, "scope", address.scope);
            number(out, "index", address.ifindex);
            out.push(b'}');
        }
        out.push(b']');
    }
    out.push(b'}');
    relations(out, machine, space, interface);
    details(out, machine, space, interface);
    out.push(b'}');
}

/// A reference to an interface.
fn related(out: &mut Vec<u8>, inode: u64, index: u32, name: &str) {
    out.push(b'{');
    id(out, "idref", Id::Interface(inode, index));
    number(out, "index", index);
    text(out, "name", name);
    out.push(b'}');
}

fn relations(out: &mut Vec<u8>, machine: &Machine, space: &Space, interface: &Interface) {
    let name_in = |inode: u64, index: u32| {
        let there = if inode == space.inode { Some(space) } else { machine.space(inode) };
        there.and_then(|there| there.interface(index)).map(|known| &*known.name)
    };
    let other = interface.other;
    if let Some((inode, index)) = other
        && let Some(name) = name_in(inode, index)
    {
        match &*interface.kind {
            "veth" => {
                key(out, "peer");
                out.push(b'{');
                id(out, "peer-idref", Id::Interface(inode, index));
                number(out, "peer-index", index);
                text(out, "peer-name", name);
                out.push(b'}');
            }
            "macvlan" | "macvtap" => {
                key(out, "macvlan");
                related(out, inode, index, name);
            }
            "vlan" if interface.master.is_none() => {
                key(out, "master");
                related(out, inode, index, name);
            }
            _ => {}
        }
    }
    if let Some(index) = interface.master
        && let Some(name) = name_in(space.inode, index)
    {
        key(out, "master");
        related(out, space.inode, index, name);
    }
    let here = Some((space.inode, interface.index));
    let belongs = |known: &&Interface| {
        known.master == Some(interface.index)
            || (&*known.kind == "vlan" && known.master.is_none() && known.other == here)
    };
    if space.interfaces.iter().any(|known| belongs(&known)) {
        list(out, "slaves");
        for known in space.interfaces.iter().filter(belongs) {
            comma(out);
            related(out, space.inode, known.index, &known.name);
        }
        out.push(b']');
    }
    if !interface.macvlans.is_empty() {
        list(out, "macvlans");
        for (inode, index, name) in &interface.macvlans {
            comma(out);
            related(out, *inode, *index, name);
        }
        out.push(b']');
    }
}

fn details(out: &mut Vec<u8>, machine: &Machine, space: &Space, interface: &Interface) {
    match &interface.details {
        Details::None => {}
        Details::Tun { is_tap } => {
            key(out, "tuntap");
            out.push(b'{');
            text(out, "mode", if *is_tap { "tap" } else { "tun" });
            list(out, "processors");
            owners(out, machine, &interface.processors);
            out.extend_from_slice(b"]}");
        }
        Details::Vlan { id, protocol } => {
            key(out, "vlan");
            out.push(b'{');
            number(out, "vid", *id);
            number(out, "vlan-protocol", *protocol);
            out.push(b'}');
        }
        Details::Vxlan(vxlan) => {
            key(out, "vxlan");
            out.push(b'{');
            if let Some(lower) = vxlan.lower {
                let (inode, index) = interface.other.unwrap_or((space.inode, lower));
                id(out, "idref", Id::Interface(inode, index));
            } else {
                text(out, "idref", "");
            }
            number(out, "vid", vxlan.id);
            flag(out, "arp-proxy", vxlan.proxy);
            ends(out, "source", "source_ipv4", "source_ipv6", vxlan.local);
            key(out, "source-portrange");
            out.push(b'{');
            number(out, "low", vxlan.ports.0);
            number(out, "high", vxlan.ports.1);
            out.push(b'}');
            ends(out, "remote", "remote_ipv4", "remote_ipv6", vxlan.remote);
            number(out, "remote-port", vxlan.port);
            out.push(b'}');
        }
    }
}

fn ends(out: &mut Vec<u8>, name: &str, v4: &str, v6: &str, address: Option<IpAddr>) {
    let written = |wanted: bool| {
        let fits = address.filter(|address| address.is_ipv4() == wanted);
        fits.map_or_else(String::new, |address| address.to_string())
    };
    key(out, name);
    out.push(b'{');
    text(out, v4, &written(true));
    text(out, v6, &written(false));
    out.push(b'}');
}

fn write_route(out: &mut Vec<u8>, space: &Space, route: &Route) {
    out.push(b'{');
    let kind = ROUTE_KINDS.get(usize::from(route.kind)).copied().unwrap_or("unspec");
    text(out, "type", kind);
    number(out, "family", route.family);
    let anywhere = if route.family == V4 { "0.0.0.0" } else { "::" };
    let to = route.destination.map_or_else(|| anywhere.to_owned(), |to| to.to_string());
    text(out, "destination", &to);
    number(out, "destination-prefixlen", route.prefix);
    // What goes nowhere has no interface, though IPv6 says lo.
    let nowhere = matches!(kind, "blackhole" | "unreachable" | "prohibit" | "throw");
    if let Some(index) = route.index.filter(|_| !nowhere) {
        number(out, "index", index);
        id(out, "network-interface-idref", Id::Interface(space.inode, index));
    }
    if let Some(gateway) = route.gateway {
        text(out, "next-hop", &gateway.to_string());
    }
    text(
        out,
        "preference",
        ["00", "01", "10", "11"].get(usize::from(route.preference)).unwrap_or(&"00"),
    );
    number(out, "priority", route.priority);
    number(out, "table", route.table);
    out.push(b'}');
}

fn write_port(out: &mut Vec<u8>, machine: &Machine, space: &Space, port: &Port) {
    let socket = &port.socket;
    let over_tcp = socket.protocol == "TCP";
    let (state, simple) =
        SOCKET_STATES.get(usize::from(socket.state)).copied().unwrap_or(("unknown", "unknown"));
    // A datagram socket that is bound waits for whatever comes.
    let simple = match (over_tcp, socket.state) {
        (false, 7) => "listening",
        _ => simple,
    };
    out.push(b'{');
    number(out, "family", family_of(socket.local.0));
    text(out, "protocol", if over_tcp { "tcp" } else { "udp" });
    let services = &machine.services;
    text(out, "local-address", &socket.local.0.to_string());
    number(out, "local-port", socket.local.1);
    text(out, "local-servicename", services.name(socket.local.1, over_tcp));
    text(out, "remote-address", &socket.remote.0.to_string());
    number(out, "remote-port", socket.remote.1);
    text(out, "remote-servicename", services.name(socket.remote.1, over_tcp));
    text(out, "state", state);
    text(out, "macrostate", simple);
    list(out, "owners");
    owners(out, machine, &port.owners);
    out.push(b']');
    list(out, "network-interface-idrefs");
    let address = socket.local.0.to_canonical();
    let any = address.is_unspecified();
    let has = |interface: &&Interface| {
        any || interface.addresses.iter().any(|known| known.local == Some(address))
            || (address.is_loopback() && interface.flags & LINK_LOOPBACK != 0)
    };
    for interface in space.interfaces.iter().filter(has).take(MAX_REFERENCES) {
        comma(out);
        reference(out, Id::Interface(space.inode, interface.index));
    }
    out.extend_from_slice(b"]}");
}

/// Interfaces that a socket is said to be on.
const MAX_REFERENCES: usize = 32;

fn owners(out: &mut Vec<u8>, machine: &Machine, owners: &[(u32, Rc<str>)]) {
    for (place, command) in owners {
        let at = usize::try_from(*place).unwrap_or(usize::MAX);
        let Some(process) = machine.processes.get(at) else { continue };
        comma(out);
        out.push(b'{');
        number(out, "pid", process.pid);
        text(out, "cmdline", command);
        match machine.tenant_above(at) {
            Some(pid) => id(out, "container-idref", Id::Container(pid)),
            None => text(out, "container-idref", ""),
        }
        out.push(b'}');
    }
}

fn pid_spaces(out: &mut Vec<u8>, machine: &Machine) {
    list(out, "pid-namespaces");
    children(out, machine, 0, MAX_DEPTH);
    out.push(b']');
}

/// Those within one; the list is sorted by what is around them.
fn children(out: &mut Vec<u8>, machine: &Machine, parent: u64, depth: usize) {
    let from = machine.pid_spaces.partition_point(|space| space.parent < parent);
    let within = machine.pid_spaces.get(from..).unwrap_or_default();
    for space in within.iter().take_while(|space| space.parent == parent) {
        comma(out);
        out.push(b'{');
        id(out, "id", Id::PidSpace(space.inode));
        number(out, "pidnsid", space.inode);
        list(out, "container-idrefs");
        if space.leader != 0 {
            reference(out, Id::Container(space.leader));
        }
        out.push(b']');
        list(out, "children");
        if let Some(depth) = depth.checked_sub(1) {
            children(out, machine, space.inode, depth);
        }
        out.extend_from_slice(b"]}");
    }
}

/// A hardware address, of whatever length it is.
fn hardware(address: &[u8]) -> String {
    match address.first_chunk() {
        Some(six) if address.len() == 6 => mac::text(*six),
        _ => address.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":"),
    }
}

const fn family_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { V4 } else { V6 }
}
