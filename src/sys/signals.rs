#![allow(unsafe_code)]
//! Signals as a descriptor: blocked for the whole process and read on the loop like any socket
//! (signalfd(2)).

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};

use std::sync::atomic::{AtomicBool, Ordering};

use crate::sys::socket;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes the first SIGINT a flag to be asked for with [`interrupted`]; the second one ends the
/// process as usual. For commands that end by themselves.
pub fn catch_interrupt() {
    extern "C" fn note(_: libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    // SAFETY: integers and pointers, for which zero is valid.
    let mut action: libc::sigaction = unsafe { zeroed() };
    let handler: extern "C" fn(libc::c_int) = note;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_RESETHAND;
    // SAFETY: the action is initialised, its handler only stores to an atomic, and the old one
    // isn't asked for.
    unsafe { libc::sigaction(libc::SIGINT, &raw const action, std::ptr::null_mut()) };
}

/// Whether SIGINT came since [`catch_interrupt`].
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// A signal that means something to the agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Signal {
    /// SIGTERM or SIGINT: leave.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: write the status to the log.
    Dump,
}

/// The open descriptor.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Blocks the signals of [`Signal`] in this thread and those it starts, and ignores SIGPIPE:
    /// a peer that closed is an error of the write.
    ///
    /// # Errors
    ///
    /// As signalfd(2).
    pub fn open() -> io::Result<Self> {
        ignore_pipe();
        let set = set_of(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1]);
        // SAFETY: the set is initialised and the old mask isn't asked for.
        let failed =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is initialised.
        let fd = socket::check(unsafe { libc::signalfd(-1, &raw const set, flags) })?;
        // SAFETY: the descriptor was just made and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// The next signal that arrived.
    ///
    /// # Errors
    ///
    /// As read(2), besides "nothing there".
    pub fn read(&self) -> io::Result<Option<Signal>> {
        loop {
            // SAFETY: integers, for which zero is valid.
            let mut info: libc::signalfd_siginfo = unsafe { zeroed() };
            let len = size_of::<libc::signalfd_siginfo>();
            let got = socket::retry(|| {
                // SAFETY: the pointer and the length describe the structure.
                socket::check_len(unsafe {
                    libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), len)
                })
            });
            match got {
                Ok(got) if got == len => {}
                Ok(_) => return Ok(None),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(e) => return Err(e),
            }
            match libc::c_int::try_from(info.ssi_signo) {
                Ok(libc::SIGTERM | libc::SIGINT) => return Ok(Some(Signal::Stop)),
                Ok(libc::SIGHUP) => return Ok(Some(Signal::Reload)),
                Ok(libc::SIGUSR1) => return Ok(Some(Signal::Dump)),
                _ => {}
            }
        }
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn ignore_pipe() {
    // SAFETY: no handler function is installed.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

fn set_of(signals: &[libc::c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the whole set before anything reads it.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_signal_is_read_and_ends_nothing() {
        // A thread of its own, so that the mask doesn't reach other tests.
        std::thread::spawn(|| {
            let signals = Signals::open().unwrap();
            assert_eq!(signals.read().unwrap(), None);
            // SAFETY: sends a signal that this thread has blocked to this thread.
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGHUP) };
            assert_eq!(signals.read().unwrap(), Some(Signal::Reload));
            assert_eq!(signals.read().unwrap(), None);
        })
        .join()
        .unwrap();
    }
}
