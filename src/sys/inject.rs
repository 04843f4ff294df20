#![allow(unsafe_code)]
//! A packet socket to send whole frames on one interface (packet(7)); it receives nothing.

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use crate::sys::socket;

/// A socket that sends frames as they are.
#[derive(Debug)]
pub struct Sender {
    fd: OwnedFd,
}

impl Sender {
    /// Opens a socket for the interface of that number in the current network namespace.
    ///
    /// # Errors
    ///
    /// As socket(2) and bind(2).
    pub fn open(ifindex: u32) -> io::Result<Self> {
        // Protocol 0: no frame is ever delivered to it.
        let fd = socket::open(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        // SAFETY: integers and an array of bytes, for which zero is valid.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or(0);
        address.sll_ifindex = i32::try_from(ifindex).unwrap_or(0);
        socket::bind(fd.as_fd(), &address)?;
        Ok(Self { fd })
    }

    /// Sends one frame, link header included.
    ///
    /// # Errors
    ///
    /// As send(2); `WouldBlock` while the queue of the interface is full.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        socket::retry(|| {
            // SAFETY: the pointer and the length describe one live slice.
            socket::check_len(unsafe {
                libc::send(
                    self.fd.as_raw_fd(),
                    frame.as_ptr().cast(),
                    frame.len(),
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            })
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_is_not_there_is_refused() {
        match Sender::open(0x7fff_fff0) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                println!("SKIPPED: packet sockets are not permitted here");
            }
            other => assert_eq!(other.unwrap_err().raw_os_error(), Some(libc::ENODEV)),
        }
    }
}
