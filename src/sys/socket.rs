#![allow(unsafe_code)]
//! What every raw socket here needs: opening without leaking to children, and typed options.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use libc::{c_int, socklen_t};

/// A C value that may be read from and written to the kernel as plain bytes.
///
/// # Safety
///
/// Every bit pattern, all zeroes included, is a valid value.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for c_int {}
// SAFETY: three integers.
unsafe impl Plain for libc::ucred {}
// SAFETY: integers alone.
unsafe impl Plain for libc::tpacket_req3 {}
// SAFETY: integers alone.
unsafe impl Plain for libc::tpacket_stats {}
// SAFETY: integers alone.
unsafe impl Plain for libc::tpacket_stats_v3 {}
// SAFETY: integers and an array of bytes.
unsafe impl Plain for libc::packet_mreq {}

/// Turns a C return value into a result: −1 becomes `errno`.
pub(super) fn check(returned: c_int) -> io::Result<c_int> {
    if returned < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(returned)
}

/// The same for calls that return a length.
pub(super) fn check_len(returned: isize) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// Repeats a call as long as a signal interrupts it.
pub(super) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A non-blocking socket that isn't handed down to children.
pub(super) fn open(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers are passed.
    let fd = check(unsafe { libc::socket(domain, kind | flags, protocol) })?;
    // SAFETY: the descriptor was just made and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets one socket option.
pub(super) fn set<T: Plain>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let pointer = std::ptr::from_ref(value).cast();
    // SAFETY: the pointer and the length describe one live T.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, pointer, len_of::<T>()) })?;
    Ok(())
}

/// Reads one socket option.
pub(super) fn get<T: Plain>(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<T> {
    // SAFETY: all zeroes is a valid T (promised by Plain).
    let mut value: T = unsafe { zeroed() };
    let mut len = len_of::<T>();
    let pointer = std::ptr::from_mut(&mut value).cast();
    // SAFETY: the kernel writes at most `len` bytes, the size of the T behind the pointer, and
    // every bit pattern is a valid T.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, pointer, &raw mut len) })?;
    Ok(value)
}

/// Takes the pending error of a socket (`SO_ERROR`): reading clears it.
pub(super) fn take_error(fd: BorrowedFd<'_>) -> io::Result<()> {
    match get::<c_int>(fd, libc::SOL_SOCKET, libc::SO_ERROR)? {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Binds to a C address structure.
pub(super) fn bind<A: Copy>(fd: BorrowedFd<'_>, address: &A) -> io::Result<()> {
    let pointer = std::ptr::from_ref(address).cast();
    // SAFETY: the pointer and the length describe one live A; the kernel only reads it.
    check(unsafe { libc::bind(fd.as_raw_fd(), pointer, len_of::<A>()) })?;
    Ok(())
}

/// The size of a T as sockets want it.
#[expect(clippy::cast_possible_truncation, reason = "C structures of a few dozen bytes")]
pub(super) const fn len_of<T>() -> socklen_t {
    size_of::<T>() as socklen_t
}
