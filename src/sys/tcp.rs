#![allow(unsafe_code)]
//! What `std` doesn't offer for TCP: a peer that is gone without a word is found out also where
//! nothing is sent for long.

use std::io;
use std::os::fd::BorrowedFd;

use crate::sys::socket;

/// Seconds of silence after which a peer is asked.
const IDLE: libc::c_int = 60;

/// Seconds between two questions.
const INTERVAL: libc::c_int = 10;

/// Questions that may stay unanswered.
const COUNT: libc::c_int = 3;

/// Milliseconds that sent bytes may stay unacknowledged.
const UNACKNOWLEDGED: libc::c_int = 60_000;

/// Lets the kernel end a connection whose peer is gone.
///
/// # Errors
///
/// As setsockopt(2).
pub fn keep_alive(stream: BorrowedFd<'_>) -> io::Result<()> {
    socket::set(stream, libc::SOL_SOCKET, libc::SO_KEEPALIVE, &1)?;
    socket::set(stream, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, &IDLE)?;
    socket::set(stream, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, &INTERVAL)?;
    socket::set(stream, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, &COUNT)?;
    socket::set(stream, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, &UNACKNOWLEDGED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd as _;

    #[test]
    fn a_connection_is_watched() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        keep_alive(stream.as_fd()).unwrap();
        let on: libc::c_int =
            socket::get(stream.as_fd(), libc::SOL_SOCKET, libc::SO_KEEPALIVE).unwrap();
        assert_eq!(on, 1);
    }
}
