#![allow(unsafe_code)]
//! Lines on standard error that never make anybody wait: what a full pipe, a stopped terminal or
//! a reader that is gone does not take is lost.

/// What a pipe that is writable takes without blocking (`PIPE_BUF`).
const MAX_LINE: usize = 4_096;

/// Writes one line, line end included, if it can be written at once; `false` if it is lost.
pub fn write(line: &str) -> bool {
    let bytes = line.as_bytes();
    let bytes = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let mut one = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one live pollfd; does not wait.
    let ready = unsafe { libc::poll(&raw mut one, 1, 0) };
    if ready != 1 || one.revents & libc::POLLOUT == 0 {
        return false;
    }
    // SAFETY: the pointer comes with the length of what it points at.
    let written = unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(written) == Ok(bytes.len())
}
