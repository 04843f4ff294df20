#![allow(unsafe_code)]
//! A raw socket that sends GRE packets (RFC 2784); the kernel puts the IP header in front.

use std::io;
use std::mem::zeroed;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use crate::sys::socket;

/// A socket of one address family.
#[derive(Debug)]
pub struct Gre {
    fd: OwnedFd,
}

impl Gre {
    /// Opens a socket for destinations like this one.
    ///
    /// # Errors
    ///
    /// As socket(2); `EPERM` without CAP_NET_RAW.
    pub fn open(to: IpAddr) -> io::Result<Self> {
        let domain = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let fd = socket::open(domain, libc::SOCK_RAW, libc::IPPROTO_GRE)?;
        // What comes in is nobody's business here.
        socket::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &0)?;
        Ok(Self { fd })
    }

    /// Sends one packet, GRE header first.
    ///
    /// # Errors
    ///
    /// As sendto(2); `WouldBlock` while there is no room.
    pub fn send(&self, to: IpAddr, packet: &[u8]) -> io::Result<()> {
        match to {
            IpAddr::V4(to) => {
                // SAFETY: integers and an array of bytes, for which zero is valid.
                let mut address: libc::sockaddr_in = unsafe { zeroed() };
                address.sin_family = u16::try_from(libc::AF_INET).unwrap_or(0);
                address.sin_addr.s_addr = u32::from_ne_bytes(to.octets());
                self.send_to(&address, packet)
            }
            IpAddr::V6(to) => {
                // SAFETY: integers and an array of bytes, for which zero is valid.
                let mut address: libc::sockaddr_in6 = unsafe { zeroed() };
                address.sin6_family = u16::try_from(libc::AF_INET6).unwrap_or(0);
                address.sin6_addr.s6_addr = to.octets();
                self.send_to(&address, packet)
            }
        }
    }

    fn send_to<A: Copy>(&self, address: &A, packet: &[u8]) -> io::Result<()> {
        socket::retry(|| {
            // SAFETY: both pointers come with the lengths of what they point at, and live on.
            socket::check_len(unsafe {
                libc::sendto(
                    self.fd.as_raw_fd(),
                    packet.as_ptr().cast(),
                    packet.len(),
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                    std::ptr::from_ref(address).cast(),
                    socket::len_of::<A>(),
                )
            })
        })?;
        Ok(())
    }
}
