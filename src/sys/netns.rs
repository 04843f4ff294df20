#![allow(unsafe_code)]
//! Network namespaces (network_namespaces(7)): their files, what tells them apart, and making
//! sockets inside one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::sys::socket;

/// NS_GET_NSTYPE of linux/nsfs.h, since Linux 4.11.
const GET_TYPE: libc::Ioctl = NO_DATA | 0xb703;

/// What marks a request without data (asm/ioctl.h): another bit on some machines.
const NO_DATA: libc::Ioctl =
    if cfg!(any(target_arch = "mips", target_arch = "mips64", target_arch = "powerpc")) {
        1 << 29
    } else {
        0
    };

/// What tells one namespace from every other as long as it lives.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// The device of its file.
    pub device: u64,
    /// The number of its file on that device.
    pub inode: u64,
}

/// An open namespace. It lives as long as this does.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    identity: Identity,
}

impl Namespace {
    /// Opens the file of a network namespace.
    ///
    /// # Errors
    ///
    /// As open(2); `InvalidInput` for a file that is none of a network namespace, as one that
    /// nothing is mounted on yet.
    pub fn open(path: &Path) -> io::Result<Self> {
        // Anything may lie in that folder: a pipe must not hold us up.
        let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        // SAFETY: no pointers are passed.
        let kind = unsafe { libc::ioctl(file.as_raw_fd(), GET_TYPE) };
        if kind != libc::CLONE_NEWNET {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let metadata = file.metadata()?;
        let identity = Identity { device: metadata.dev(), inode: metadata.ino() };
        Ok(Self { file, identity })
    }

    /// The namespace that this thread is in.
    ///
    /// # Errors
    ///
    /// As [`Self::open`]: without `/proc` there is no way to tell.
    pub fn own() -> io::Result<Self> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// What tells it from others.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        self.identity
    }

    fn enter(&self) -> io::Result<()> {
        // SAFETY: no pointers are passed; only this thread changes its namespace.
        socket::check(unsafe { libc::setns(self.file.as_raw_fd(), libc::CLONE_NEWNET) })?;
        Ok(())
    }
}

impl AsRawFd for Namespace {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// The identity of the file at a path, without opening it.
///
/// # Errors
///
/// As stat(2).
pub fn identify(path: &Path) -> io::Result<Identity> {
    let metadata = std::fs::metadata(path)?;
    Ok(Identity { device: metadata.dev(), inode: metadata.ino() })
}

/// Runs `f` with this thread in `target`, and comes back `home`. What `f` may do is make sockets:
/// they stay where they were made. If there is no way back the process ends: nothing else that it
/// does would be where it belongs.
///
/// # Errors
///
/// As setns(2); `f` was not run then.
pub fn within<T>(home: &Namespace, target: &Namespace, f: impl FnOnce() -> T) -> io::Result<T> {
    struct Back<'a>(&'a Namespace);
    impl Drop for Back<'_> {
        fn drop(&mut self) {
            if self.0.enter().is_err() {
                std::process::abort();
            }
        }
    }
    target.enter()?;
    let _back = Back(home);
    Ok(f())
}

/// The host name in the UTS namespace of a process.
///
/// # Errors
///
/// As open(2) and setns(2).
pub fn hostname_of(pid: u32) -> io::Result<String> {
    struct Back(File);
    impl Drop for Back {
        fn drop(&mut self) {
            // SAFETY: no pointers are passed.
            if unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWUTS) } != 0 {
                // The name of this machine would be somebody else's from here on.
                std::process::abort();
            }
        }
    }
    let home = File::open("/proc/thread-self/ns/uts")?;
    let target = File::open(format!("/proc/{pid}/ns/uts"))?;
    if home.metadata()?.ino() == target.metadata()?.ino() {
        return Ok(crate::sys::process::machine().host);
    }
    // SAFETY: no pointers are passed; only this thread changes its namespace.
    socket::check(unsafe { libc::setns(target.as_raw_fd(), libc::CLONE_NEWUTS) })?;
    let _back = Back(home);
    Ok(crate::sys::process::machine().host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_network_namespace_is_taken_for_one() {
        let own = Namespace::own().unwrap();
        assert_eq!(own.identity(), identify(Path::new("/proc/self/ns/net")).unwrap());
        for path in ["/proc/self/ns/mnt", "/dev/null", "/"] {
            assert!(Namespace::open(Path::new(path)).is_err(), "{path}");
        }
    }

    #[test]
    fn sockets_are_made_inside_and_the_thread_comes_back() {
        // The thread is the test's own, whatever becomes of it.
        let test = || {
            let home = Namespace::own().unwrap();
            // SAFETY: no pointers are passed; only this thread is moved.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                eprintln!("skipped: a namespace may not be made here");
                return;
            }
            let other = Namespace::own().unwrap();
            home.enter().unwrap();
            let seen = within(&home, &other, || Namespace::own().unwrap().identity()).unwrap();
            assert_eq!(seen, other.identity());
            assert_ne!(seen, home.identity());
            assert_eq!(Namespace::own().unwrap().identity(), home.identity());
        };
        std::thread::spawn(test).join().unwrap();
    }
}
