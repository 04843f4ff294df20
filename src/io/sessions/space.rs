//! A network namespace that a session looks into: its interfaces as the kernel tells them, and
//! which of them the session wants.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::Path;

use crate::core::packets::{MAX_PORTS, Refused, Why};
use crate::sys::netlink::{Buffer, Received, Socket, groups};
use crate::sys::netns::{self, Namespace};
use crate::wire::netlink::{LINK_LOOPBACK, Link, Message, Messages, Request};

use super::super::locate::Located;

/// Bytes of messages that may wait to be read.
const ROOM: u32 = 256 * 1024;

/// Datagrams that one dump may take: beyond that something is wrong.
const MAX_DATAGRAMS: usize = 4_096;

/// `IF_OPER_DOWN` (RFC 2863).
const DOWN: u8 = 2;

/// An interface as far as a session needs to know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Device {
    pub(super) ifindex: u32,
    pub(super) name: String,
    pub(super) hardware: u16,
    pub(super) loopback: bool,
    pub(super) down: bool,
    pub(super) mac: Option<[u8; 6]>,
    pub(super) addresses: Vec<(IpAddr, u8)>,
    /// Packets that the card and its driver have dropped since it is there.
    pub(super) dropped: Option<u64>,
}

/// What became of the interfaces.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum News {
    /// One is there, new or changed.
    Here(Device),
    /// The one of this number is gone.
    Gone(u32),
    /// Messages were lost: everything has to be asked for again.
    Lost,
}

/// An open namespace of a session.
#[derive(Debug)]
pub(super) struct Space {
    /// Where it was found.
    pub(super) located: Located,
    /// Position of the target in the order.
    pub(super) target: usize,
    socket: Socket,
}

impl Space {
    /// Opens it.
    ///
    /// # Errors
    /// Why it is not the one that was meant, or cannot be entered.
    pub(super) fn open(
        located: Located,
        target: usize,
        home: Option<&Namespace>,
    ) -> Result<Self, Refused> {
        let socket = within(&located, home, || Socket::open(groups::LINK, ROOM))?;
        let socket =
            socket.map_err(|error| Refused::new(Why::System, format!("netlink: {error}")))?;
        Ok(Self { located, target, socket })
    }

    /// All interfaces, asked for anew.
    ///
    /// # Errors
    /// As of the netlink socket.
    pub(super) fn devices(&self, buffer: &mut Buffer) -> io::Result<Vec<Device>> {
        let mut devices: Vec<Device> = Vec::new();
        self.dump(1, &Request::dump_links(1), buffer, |message| {
            if let Message::NewLink(link) = message
                && let Some(device) = device(link)
                && !devices.iter().any(|known| known.ifindex == device.ifindex)
                && devices.len() < MAX_PORTS
            {
                devices.push(device);
            }
        })?;
        self.dump(2, &Request::dump_addresses(2), buffer, |message| {
            if let Message::NewAddress(address) = message
                && let Some(ip) = address.local.or(address.peer)
                && let Some(device) = devices.iter_mut().find(|d| d.ifindex == address.ifindex)
                && device.addresses.len() < 16
            {
                device.addresses.push((ip, address.prefix));
            }
        })?;
        Ok(devices)
    }

    fn dump(
        &self,
        sequence: u32,
        request: &[u8],
        buffer: &mut Buffer,
        mut f: impl FnMut(&Message<'_>),
    ) -> io::Result<()> {
        self.socket.send(request)?;
        for _ in 0..MAX_DATAGRAMS {
            // The kernel answers while the request is being made, and goes on while the answer
            // is being read.
            let bytes = match self.socket.receive(buffer)? {
                Received::Messages(bytes) => bytes,
                Received::Lost => continue,
                Received::Nothing => return Err(ErrorKind::UnexpectedEof.into()),
            };
            for raw in Messages::new(bytes) {
                let ours = raw.sequence == sequence;
                match Message::decode(&raw) {
                    Ok(Message::Done { .. }) if ours => return Ok(()),
                    Ok(Message::Error { errno }) if ours && errno != 0 => {
                        return Err(io::Error::from_raw_os_error(errno));
                    }
                    Ok(message) => f(&message),
                    Err(_) => {}
                }
            }
        }
        Err(ErrorKind::InvalidData.into())
    }

    /// Reads what the kernel has told, a bounded part of it; `true` if there may be more.
    pub(super) fn read(&self, buffer: &mut Buffer, news: &mut Vec<News>) -> bool {
        for _ in 0..16 {
            match self.socket.receive(buffer) {
                Ok(Received::Messages(bytes)) => {
                    for raw in Messages::new(bytes) {
                        match Message::decode(&raw) {
                            Ok(Message::NewLink(link)) => {
                                news.extend(device(&link).map(News::Here));
                            }
                            // A port that leaves its bridge is told in the same words.
                            Ok(Message::DelLink(link)) if link.family == 0 => {
                                news.push(News::Gone(link.ifindex));
                            }
                            _ => {}
                        }
                    }
                }
                Ok(Received::Lost) => news.push(News::Lost),
                Ok(Received::Nothing) | Err(_) => return false,
            }
        }
        true
    }

    /// Asks for all interfaces, to have their counters fresh: [`Self::read`] tells.
    pub(super) fn refresh(&self) {
        // A kernel that is busy refuses; the next time will do.
        let _ = self.socket.send(&Request::dump_links(0));
    }

    /// Whether the namespace is still where it was found.
    pub(super) fn is_there(&self) -> bool {
        let Some((path, identity)) = &self.located.file else { return true };
        netns::identify(path).is_ok_and(|found| found == *identity)
    }

    /// Whether it is the agent's own.
    pub(super) fn is_home(&self) -> bool {
        let own = || netns::identify(Path::new("/proc/thread-self/ns/net")).ok();
        self.located.file.as_ref().is_none_or(|(_, identity)| own() == Some(*identity))
    }

    /// Whether a device is wanted, as far as its name goes.
    pub(super) fn wants(&self, device: &Device) -> bool {
        let names = &self.located.target.interfaces;
        if names.is_empty() { !device.down } else { names.contains(&device.name) }
    }
}

impl AsRawFd for Space {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// Runs `f`, which may do nothing but make sockets, inside the namespace that was found; it must
/// still be the same.
pub(super) fn within<T>(
    located: &Located,
    home: Option<&Namespace>,
    f: impl FnOnce() -> T,
) -> Result<T, Refused> {
    let Some((path, identity)) = &located.file else { return Ok(f()) };
    let home = home.ok_or_else(|| {
        let text = "other network namespaces are out of reach: set netns_discovery = yes";
        Refused::new(Why::Denied, text)
    })?;
    let namespace = open(path)?;
    if namespace.identity() != *identity {
        return Err(Refused::new(Why::Stale, "the network namespace has changed meanwhile"));
    }
    netns::within(home, &namespace, f).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => {
            let text = "entering network namespaces needs the capability sys_admin: run as root";
            Refused::new(Why::Denied, text)
        }
        _ => Refused::new(Why::System, format!("network namespace: {error}")),
    })
}

fn open(path: &Path) -> Result<Namespace, Refused> {
    Namespace::open(path).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::PermissionDenied => Why::Denied,
            _ => Why::NotFound,
        };
        Refused::new(why, format!("could not locate network namespace: {error}"))
    })
}

fn device(link: &Link<'_>) -> Option<Device> {
    // Other families tell of the same interface from another point of view.
    let name = link.name.filter(|_| link.family == 0)?;
    Some(Device {
        ifindex: link.ifindex,
        name: String::from_utf8_lossy(name).into_owned(),
        hardware: link.hardware,
        loopback: link.flags & LINK_LOOPBACK != 0,
        down: link.operstate == Some(DOWN),
        mac: link.address.and_then(|mac| mac.try_into().ok()).filter(|mac| *mac != [0; 6]),
        addresses: Vec::new(),
        dropped: link.statistics.map(|statistics| statistics.rx_dropped),
    })
}
