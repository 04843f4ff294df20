#![allow(unsafe_code)]
//! What `std` doesn't offer for datagram sockets: an exclusive bind, and learning which peer's
//! port was closed (`IP_RECVERR`, ip(7)), so that subscriptions of clients that left can end.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::sys::socket;

/// Room for the control messages of one error.
const CONTROL_WORDS: usize = 32;

/// A peer that can't be reached, and the error number that says why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Refused {
    /// To whom the datagram went.
    pub peer: SocketAddr,
    /// An `errno`, mostly `ECONNREFUSED`.
    pub errno: i32,
}

/// Binds a non-blocking socket that shares its port with nobody and whose refusals can be read
/// with [`refused`].
///
/// # Errors
///
/// As bind(2): `AddrInUse` if somebody has the port.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    // std sets no SO_REUSEADDR on datagram sockets, so the bind is exclusive.
    let bound = UdpSocket::bind(address)?;
    bound.set_nonblocking(true)?;
    let (level, name) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_RECVERR),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    // Only tells about clients that left early; the rest works without.
    let _ = socket::set(bound.as_fd(), level, name, &1);
    Ok(bound)
}

/// The next datagram that was refused.
///
/// # Errors
///
/// As recvmsg(2), besides "nothing there".
pub fn refused(socket: &impl AsFd) -> io::Result<Option<Refused>> {
    loop {
        match read_error(socket.as_fd()) {
            Ok(Some(refused)) => return Ok(Some(refused)),
            // An error without a peer: look at the next.
            Ok(None) => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(e) => return Err(e),
        }
    }
}

/// Datagrams that one call of [`send`] takes.
const BATCH: usize = 32;

/// Sends datagrams, as many as the kernel takes in one call; returns how many went.
///
/// # Errors
///
/// As sendmmsg(2), for the first datagram. It may be the error of an earlier one, to another peer.
pub fn send<'a>(
    socket: &impl AsFd,
    datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>,
) -> io::Result<usize> {
    // SAFETY: C structures of integers and pointers, for which zero is valid.
    let (mut headers, mut parts, mut peers) = unsafe {
        (
            zeroed::<[libc::mmsghdr; BATCH]>(),
            zeroed::<[libc::iovec; BATCH]>(),
            zeroed::<[Address; BATCH]>(),
        )
    };
    let mut count: libc::c_uint = 0;
    let places = headers.iter_mut().zip(&mut parts).zip(&mut peers);
    for (((header, part), peer), (to, bytes)) in places.zip(datagrams) {
        let len = peer.set(to);
        part.iov_base = bytes.as_ptr().cast_mut().cast();
        part.iov_len = bytes.len();
        header.msg_hdr.msg_name = std::ptr::from_mut(peer).cast();
        header.msg_hdr.msg_namelen = len;
        header.msg_hdr.msg_iov = std::ptr::from_mut(part);
        header.msg_hdr.msg_iovlen = 1;
        count = count.saturating_add(1);
    }
    if count == 0 {
        return Ok(0);
    }
    let fd = socket.as_fd().as_raw_fd();
    let sent = socket::retry(|| {
        // SAFETY: the first `count` headers point at one part and one address each, all of which
        // outlive the call; the kernel only reads the parts.
        socket::check(unsafe {
            libc::sendmmsg(fd, headers.as_mut_ptr(), count, libc::MSG_DONTWAIT as _)
        })
    })?;
    Ok(usize::try_from(sent).unwrap_or(0))
}

/// A socket address of either family.
#[derive(Clone, Copy)]
#[repr(C)]
union Address {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Address {
    /// Becomes this address; returns its length.
    fn set(&mut self, address: SocketAddr) -> libc::socklen_t {
        // SAFETY: C structures of integers, for which zero is valid.
        let (mut v4, mut v6): (libc::sockaddr_in, libc::sockaddr_in6) =
            unsafe { (zeroed(), zeroed()) };
        match address {
            SocketAddr::V4(address) => {
                v4.sin_family = u16::try_from(libc::AF_INET).unwrap_or(0);
                v4.sin_port = address.port().to_be();
                v4.sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
                self.v4 = v4;
                socket::len_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(address) => {
                v6.sin6_family = u16::try_from(libc::AF_INET6).unwrap_or(0);
                v6.sin6_port = address.port().to_be();
                v6.sin6_addr.s6_addr = address.ip().octets();
                v6.sin6_scope_id = address.scope_id();
                self.v6 = v6;
                socket::len_of::<libc::sockaddr_in6>()
            }
        }
    }
}

fn read_error(fd: BorrowedFd<'_>) -> io::Result<Option<Refused>> {
    // SAFETY: C structures of integers and pointers, for which zero is valid.
    let (mut header, mut peer) =
        unsafe { (zeroed::<libc::msghdr>(), zeroed::<libc::sockaddr_storage>()) };
    let mut control = [0_u64; CONTROL_WORDS];
    header.msg_name = (&raw mut peer).cast();
    header.msg_namelen = socket::len_of::<libc::sockaddr_storage>();
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    socket::retry(|| {
        // SAFETY: the header points at an address and a control area that outlive the call.
        socket::check_len(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) })
    })?;
    let Some(peer) = address_of(&peer) else {
        return Ok(None);
    };
    // SAFETY: the header describes the control area that the kernel has just filled.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    if first.is_null() {
        return Ok(None);
    }
    // SAFETY: not null: a whole header in the control area.
    let len = unsafe { (*first).cmsg_len } as usize;
    // SAFETY: no pointers are passed.
    let needed = unsafe { libc::CMSG_LEN(socket::len_of::<libc::sock_extended_err>()) };
    if len < needed as usize {
        return Ok(None);
    }
    // SAFETY: the message is long enough for the structure (checked above); the kernel puts one
    // there for both address families (IP_RECVERR and IPV6_RECVERR are all that was enabled).
    let read = unsafe { libc::CMSG_DATA(first).cast::<libc::sock_extended_err>().read_unaligned() };
    Ok(Some(Refused { peer, errno: i32::try_from(read.ee_errno).unwrap_or(0) }))
}

/// A C socket address as a Rust one.
fn address_of(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            let pointer = std::ptr::from_ref(storage).cast::<libc::sockaddr_in>();
            // SAFETY: the family says which structure it is, and storage has room for each.
            let read = unsafe { pointer.read() };
            let ip = Ipv4Addr::from(read.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(read.sin_port)))
        }
        libc::AF_INET6 => {
            let pointer = std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>();
            // SAFETY: as above.
            let read = unsafe { pointer.read() };
            let ip = Ipv6Addr::from(read.sin6_addr.s6_addr);
            let port = u16::from_be(read.sin6_port);
            let full = std::net::SocketAddrV6::new(ip, port, 0, read.sin6_scope_id);
            Some(SocketAddr::V6(full))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_port_is_told_by_its_address() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(ours) = bind(any.parse().unwrap()) else {
                eprintln!("skipped: no {any}");
                continue;
            };
            let theirs = UdpSocket::bind(any).unwrap();
            let peer = theirs.local_addr().unwrap();
            assert_eq!(refused(&ours).unwrap(), None);
            drop(theirs);
            ours.send_to(b"anybody there?", peer).unwrap();
            let expected = Refused { peer, errno: libc::ECONNREFUSED };
            assert_eq!(refused(&ours).unwrap(), Some(expected));
            assert_eq!(refused(&ours).unwrap(), None);
        }
    }

    #[test]
    fn a_batch_arrives_in_order_at_both_peers() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(ours) = bind(any.parse().unwrap()) else {
                eprintln!("skipped: no {any}");
                continue;
            };
            let peers = [UdpSocket::bind(any).unwrap(), UdpSocket::bind(any).unwrap()];
            let [a, b] = peers.each_ref().map(|peer| peer.local_addr().unwrap());
            let batch: [(SocketAddr, &[u8]); 3] = [(a, b"one"), (b, b"two"), (a, b"three")];
            assert_eq!(send(&ours, batch.into_iter()).unwrap(), 3);
            let mut buffer = [0; 16];
            let mut take = |peer: &UdpSocket| {
                let len = peer.recv(&mut buffer).unwrap();
                String::from_utf8_lossy(&buffer[..len]).into_owned()
            };
            assert_eq!(
                [take(&peers[0]), take(&peers[0]), take(&peers[1])],
                ["one", "three", "two"]
            );
            assert_eq!(send(&ours, std::iter::empty()).unwrap(), 0);
        }
    }

    #[test]
    fn a_taken_port_is_refused() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let second = bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    }
}
