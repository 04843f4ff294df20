//! How the packet sockets of a session are opened: which interfaces, with which programs, and how
//! the memory of the session is shared among them.

use std::collections::HashMap;
use std::rc::Rc;

use crate::core::packets::{NewPort, Order, Refused, Why};
use crate::filter::names::Tables;
use crate::filter::{self, Program, dispatch};
use crate::sys::capture::{Config, Error, MAX_SNAPLEN, Method, Socket};
use crate::text::Quoted;
use crate::topology::link::CaptureAs;
use crate::wire::link::LinkType;

use super::super::capture::explain;
use super::space::{Device, Space};

/// Octets of a block of a ring: what holds the largest frame that offloading makes.
const BLOCK: usize = 128 * 1024;

/// The smallest ring, in blocks.
const BLOCKS: usize = 2;

/// Milliseconds after which frames are handed over that don't fill a block. A lone packet waits
/// half of it on average.
const TIMEOUT: u32 = 16;

/// ARPHRD_ numbers of interfaces that may share a socket, by their link type.
const ETHERNET: &[u16] = &[1, 772];
const RAW: &[u16] = &[519, 768, 769, 776, 778, 65534];

/// What all sockets of a session have in common.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    names: Rc<Tables>,
    text: Rc<str>,
    /// The same in the agent's own namespace.
    here: Rc<str>,
    /// The filter without what leaves out the stream itself.
    plain: Rc<str>,
    snaplen: u32,
    promiscuous: bool,
    blocks: usize,
    shared: bool,
}

impl Plan {
    /// A plan for so many sockets, with so much memory for all their rings.
    ///
    /// # Errors
    /// If that is too little.
    pub(super) fn new(
        order: &Order,
        memory: usize,
        ports: usize,
        names: &Rc<Tables>,
    ) -> Result<Self, Refused> {
        let least = BLOCK.saturating_mul(BLOCKS);
        // A namespace with hundreds of interfaces has one ring for all.
        let shared = ports > memory.checked_div(least).unwrap_or(0).max(1);
        let targets = order.targets.len().max(1);
        let rings = if shared { targets } else { ports.max(1) };
        let ring = memory.checked_div(rings).unwrap_or(0);
        let blocks = ring.checked_div(BLOCK).unwrap_or(0).max(BLOCKS);
        let plain = order.filter.trim();
        let mut parts: Vec<String> = Vec::new();
        if !plain.is_empty() {
            parts.push(format!("({plain})"));
        }
        parts.extend(order.exclude.iter().map(|text| format!("not ({text})")));
        let text = parts.join(" and ").into();
        parts.extend(order.exclude_here.iter().map(|text| format!("not ({text})")));
        Ok(Self {
            names: Rc::clone(names),
            text,
            here: parts.join(" and ").into(),
            plain: plain.into(),
            snaplen: order.snaplen,
            promiscuous: order.promiscuous,
            blocks,
            shared,
        })
    }

    /// The plan for the agent's own namespace.
    pub(super) fn at_home(&self) -> Self {
        Self { text: Rc::clone(&self.here), ..self.clone() }
    }

    /// Whether there is one socket for all interfaces of a namespace.
    pub(super) const fn is_shared(&self) -> bool {
        self.shared
    }

    /// Whether an interface can share a socket with others.
    #[expect(clippy::unused_self, reason = "what fits is for the plan to say")]
    pub(super) fn fits(&self, device: &Device) -> bool {
        ETHERNET.contains(&device.hardware) || RAW.contains(&device.hardware)
    }

    /// Opens the socket of one interface, in the current namespace.
    pub(super) fn open_one(&self, device: &Device) -> Result<Socket, Refused> {
        let how = CaptureAs::of(device.hardware);
        let program = self.program(how.link)?;
        let promiscuous = self.promiscuous && !device.loopback;
        let config = Config {
            ifindex: device.ifindex,
            promiscuous,
            ignore_outgoing: device.loopback,
            cooked: how.cooked,
            ..self.config()
        };
        open(&config, &program, &device.name)
    }

    /// Opens one socket for all interfaces of the current namespace.
    pub(super) fn open_shared(&self, devices: &[&Device]) -> Result<Socket, Refused> {
        let ether = self.program(LinkType::ETHERNET)?;
        // What cannot be asked of packets without a link header does not pass there.
        let raw = self.program(LinkType::RAW);
        let mut filters = vec![(ETHERNET, &ether)];
        filters.extend(raw.as_ref().ok().map(|raw| (RAW, raw)));
        let program = dispatch::by_hardware(&filters).map_err(bad)?;
        let socket = open(&self.config(), &program, "any")?;
        for device in devices {
            self.be_promiscuous(&socket, device);
        }
        Ok(socket)
    }

    /// Asks the card of an interface that shares a socket for all frames.
    pub(super) fn be_promiscuous(&self, socket: &Socket, device: &Device) {
        if self.promiscuous && !device.loopback {
            // One that refuses gives at least what is for this machine.
            let _ = socket.promiscuous(device.ifindex);
        }
    }

    const fn config(&self) -> Config<'static> {
        Config {
            ifindex: 0,
            block_size: BLOCK as u32,
            blocks: self.blocks as u32,
            timeout_ms: TIMEOUT,
            snaplen: self.snaplen,
            promiscuous: false,
            ignore_outgoing: false,
            cooked: false,
            filter: &[],
            method: Method::Auto,
        }
    }

    fn program(&self, link: LinkType) -> Result<Program, Refused> {
        let options = filter::Options { accept: self.snaplen, live: true, names: &*self.names };
        // What this link layer cannot tell of the stream itself must not stop the filter.
        filter::compile(&self.text, link, &options)
            .or_else(|_| filter::compile(&self.plain, link, &options))
            .map_err(bad)
    }
}

/// The interfaces of a namespace that a target means.
pub(super) fn choose(space: &Space, devices: &[Device]) -> Result<Vec<Device>, Refused> {
    let names = &space.located.target.interfaces;
    let known: HashMap<&str, &Device> = devices.iter().map(|d| (d.name.as_str(), d)).collect();
    if names.is_empty() {
        let up: Vec<Device> = devices.iter().filter(|d| space.wants(d)).cloned().collect();
        if up.is_empty() {
            let there: Vec<&str> = devices.iter().map(|d| d.name.as_str()).collect();
            let text = format!(
                "every interface of the namespace is down: name one with nif= to wait for it; \
                 there are: {}",
                there.join(" ")
            );
            return Err(Refused::new(Why::NotFound, text));
        }
        return Ok(up);
    }
    let mut chosen: Vec<Device> = Vec::new();
    for name in names {
        match known.get(name.as_str()) {
            Some(device) if chosen.iter().any(|known| known.ifindex == device.ifindex) => {}
            Some(device) => chosen.push((*device).clone()),
            None => {
                let mut there: Vec<&str> = known.keys().copied().take(40).collect();
                there.sort_unstable();
                let there = there.join(" ");
                let text = format!("there is no interface {}; there are: {there}", Quoted(name));
                return Err(Refused::new(Why::NotFound, text));
            }
        }
    }
    Ok(chosen)
}

/// What a session is told of an interface.
pub(super) fn port_of(device: &Device, target: usize) -> NewPort {
    let how = CaptureAs::of(device.hardware);
    NewPort {
        target,
        name: device.name.clone(),
        ifindex: device.ifindex,
        hardware: device.hardware,
        link: Some(how.link),
        cooked: how.cooked,
        loopback: device.loopback,
        mac: device.mac,
        addresses: device.addresses.clone(),
        dropped: device.dropped,
    }
}

fn open(config: &Config<'_>, program: &Program, name: &str) -> Result<Socket, Refused> {
    let filter: Vec<(u16, u8, u8, u32)> = program
        .instructions()
        .iter()
        .map(|i| (i.code, i.jt, i.jf, i.k))
        // A program that passes everything whole is none.
        .filter(|_| program.instructions().len() > 1 || config.snaplen < MAX_SNAPLEN)
        .collect();
    Socket::open(&Config { filter: &filter, ..*config }).map_err(|error| refused(&error, name))
}

fn refused(error: &Error, name: &str) -> Refused {
    let why = match error.source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => Why::Denied,
        Some(libc::ENODEV | libc::ENXIO) => Why::NotFound,
        Some(libc::ENOMEM | libc::ENOBUFS | libc::EMFILE | libc::ENFILE) => Why::Busy,
        _ => Why::System,
    };
    Refused::new(why, format!("{name}: {}", explain(error)))
}

fn bad(error: filter::Error) -> Refused {
    Refused::new(Why::Bad, format!("filter: {error}"))
}
