#![allow(unsafe_code)]
//! A routing netlink socket (rtnetlink(7)): requests out, datagrams of messages in. What the
//! messages mean is [`crate::wire::netlink`]'s business.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use crate::sys::socket;

/// Multicast groups to listen to, as a mask for [`Socket::open`].
pub mod groups {
    /// Interfaces come, go and change.
    pub const LINK: u32 = 0x1;
    /// Neighbours (ARP and neighbour discovery).
    pub const NEIGHBOUR: u32 = 0x4;
    /// IPv4 addresses.
    pub const IPV4_ADDRESS: u32 = 0x10;
    /// IPv4 routes.
    pub const IPV4_ROUTE: u32 = 0x40;
    /// IPv6 addresses.
    pub const IPV6_ADDRESS: u32 = 0x100;
    /// IPv6 routes.
    pub const IPV6_ROUTE: u32 = 0x400;
    /// Connections begin, change and end (NFNLGRP_CONNTRACK_*), for [`Socket::open_netfilter`].
    ///
    /// [`Socket::open_netfilter`]: super::Socket::open_netfilter
    pub const CONNECTIONS: u32 = 0x7;
    /// All that routing tells of.
    pub const ALL: u32 = LINK | NEIGHBOUR | IPV4_ADDRESS | IPV4_ROUTE | IPV6_ADDRESS | IPV6_ROUTE;
}

/// The kernel fills dumps up to the largest buffer it has seen, at most this much.
const FIRST_BUFFER: usize = 32 * 1024;

/// A datagram above this is lost, not read.
const MAX_BUFFER: usize = 256 * 1024;

/// Datagrams of strangers that one call skips.
const MAX_STRANGERS: u32 = 64;

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

/// What sockets read into, each in its turn.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: vec![0; FIRST_BUFFER] }
    }
}

/// What came in.
#[derive(Debug)]
pub enum Received<'a> {
    /// One datagram of messages from the kernel.
    Messages(&'a [u8]),
    /// Messages were lost (the receive buffer overflowed, or a datagram was longer than the
    /// buffer, which has grown meanwhile): what is known must be dumped again.
    Lost,
    /// Nothing more for now.
    Nothing,
}

impl Socket {
    /// Opens a socket that listens to `groups`, with about `room` bytes for what isn't read yet.
    ///
    /// # Errors
    ///
    /// As socket(2) and bind(2).
    pub fn open(groups: u32, room: u32) -> io::Result<Self> {
        Self::open_for(libc::NETLINK_ROUTE, groups, room)
    }

    /// Opens a socket that asks for connections (sock_diag(7)).
    ///
    /// # Errors
    ///
    /// As socket(2) and bind(2).
    pub fn open_diag(room: u32) -> io::Result<Self> {
        Self::open_for(libc::NETLINK_SOCK_DIAG, 0, room)
    }

    /// Opens a socket that listens to groups of netfilter (linux/netfilter/nfnetlink_compat.h).
    /// The kernel may load modules for it.
    ///
    /// # Errors
    ///
    /// As socket(2) and bind(2).
    pub fn open_netfilter(groups: u32, room: u32) -> io::Result<Self> {
        Self::open_for(libc::NETLINK_NETFILTER, groups, room)
    }

    fn open_for(family: libc::c_int, groups: u32, room: u32) -> io::Result<Self> {
        let fd = socket::open(libc::AF_NETLINK, libc::SOCK_RAW, family)?;
        let room = libc::c_int::try_from(room).unwrap_or(libc::c_int::MAX);
        if socket::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &room).is_err() {
            // Without CAP_NET_ADMIN the system's limit applies.
            socket::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &room)?;
        }
        // Since Linux 4.20; makes the kernel honour the filters of dump requests.
        let strict = libc::NETLINK_GET_STRICT_CHK;
        let _ = socket::set(fd.as_fd(), libc::SOL_NETLINK, strict, &1);
        // SAFETY: integers, for which zero is valid.
        let mut address: libc::sockaddr_nl = unsafe { zeroed() };
        address.nl_family = u16::try_from(libc::AF_NETLINK).unwrap_or(0);
        address.nl_groups = groups;
        socket::bind(fd.as_fd(), &address)?;
        Ok(Self { fd })
    }

    /// Sends one request to the kernel.
    ///
    /// # Errors
    ///
    /// As sendto(2); `WouldBlock` when the kernel is busy with earlier requests.
    pub fn send(&self, request: &[u8]) -> io::Result<()> {
        // SAFETY: integers, for which zero is valid: to the kernel.
        let mut kernel: libc::sockaddr_nl = unsafe { zeroed() };
        kernel.nl_family = u16::try_from(libc::AF_NETLINK).unwrap_or(0);
        socket::retry(|| {
            // SAFETY: both pointers come with the lengths of what they point at.
            socket::check_len(unsafe {
                libc::sendto(
                    self.fd.as_raw_fd(),
                    request.as_ptr().cast(),
                    request.len(),
                    libc::MSG_DONTWAIT,
                    (&raw const kernel).cast(),
                    socket::len_of::<libc::sockaddr_nl>(),
                )
            })
        })?;
        Ok(())
    }

    /// Takes the next datagram. Other processes may send to this socket: theirs are skipped.
    ///
    /// # Errors
    ///
    /// As recvfrom(2), besides those that [`Received`] has a name for.
    pub fn receive<'a>(&self, buffer: &'a mut Buffer) -> io::Result<Received<'a>> {
        let buffer = &mut buffer.bytes;
        for _ in 0..MAX_STRANGERS {
            // SAFETY: integers, for which zero is valid.
            let mut sender: libc::sockaddr_nl = unsafe { zeroed() };
            let mut sender_len = socket::len_of::<libc::sockaddr_nl>();
            let fd = self.fd.as_raw_fd();
            let received = socket::retry(|| {
                // SAFETY: the buffer and the address come with their lengths; the kernel writes
                // no more than that, also where MSG_TRUNC makes it return more.
                socket::check_len(unsafe {
                    libc::recvfrom(
                        fd,
                        buffer.as_mut_ptr().cast(),
                        buffer.len(),
                        libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                        (&raw mut sender).cast(),
                        &raw mut sender_len,
                    )
                })
            });
            let len = match received {
                Ok(len) => len,
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Received::Lost),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Nothing),
                Err(e) => return Err(e),
            };
            if sender.nl_pid != 0 {
                continue;
            }
            if len > buffer.len() {
                buffer.resize(len.next_power_of_two().min(MAX_BUFFER), 0);
                return Ok(Received::Lost);
            }
            return Ok(Received::Messages(buffer.get(..len).unwrap_or(&[])));
        }
        Ok(Received::Nothing)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::netlink::{Message, Messages, Request};

    #[test]
    fn the_kernel_answers_a_dump_of_links_with_loopback_in_it() {
        let socket = Socket::open(0, 64 * 1024).unwrap();
        let mut buffer = Buffer::default();
        socket.send(&Request::dump_links(7)).unwrap();
        let mut names = Vec::new();
        loop {
            let Received::Messages(bytes) = socket.receive(&mut buffer).unwrap() else {
                continue;
            };
            for raw in Messages::new(bytes) {
                assert_eq!(raw.sequence, 7);
                match Message::decode(&raw).unwrap() {
                    Message::NewLink(link) => names.push(link.name.unwrap().to_owned()),
                    Message::Done { .. } => {
                        assert!(names.contains(&b"lo".to_vec()), "{names:?}");
                        return;
                    }
                    _ => {}
                }
            }
        }
    }
}
