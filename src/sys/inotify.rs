#![allow(unsafe_code)]
//! Being told when the files of a folder come and go (inotify(7)).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::sys::socket;

/// Files that come, go or change their names, and the folder itself when it goes.
const EVENTS: u32 = libc::IN_CREATE
    | libc::IN_DELETE
    | libc::IN_MOVED_FROM
    | libc::IN_MOVED_TO
    | libc::IN_DELETE_SELF
    | libc::IN_MOVE_SELF
    | libc::IN_ONLYDIR;

/// Reads in one call: what is left is read by the next.
const MAX_READS: u32 = 64;

/// Folders that are watched.
#[derive(Debug)]
pub struct Inotify {
    fd: OwnedFd,
}

impl Inotify {
    /// Watches nothing yet.
    ///
    /// # Errors
    ///
    /// As inotify_init1(2).
    pub fn open() -> io::Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) };
        let fd = socket::check(fd)?;
        // SAFETY: the descriptor was just made and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// Watches a folder; doing so again changes nothing, unless it is another folder by now.
    ///
    /// # Errors
    ///
    /// As inotify_add_watch(2): there is no such folder.
    pub fn watch(&self, folder: &Path) -> io::Result<()> {
        let path = CString::new(folder.as_os_str().as_bytes())?;
        // SAFETY: the path is a C string.
        let added = unsafe { libc::inotify_add_watch(self.fd.as_raw_fd(), path.as_ptr(), EVENTS) };
        socket::check(added)?;
        Ok(())
    }

    /// Takes what was told; whether that was anything. What it was does not matter: only the
    /// folder itself knows what is in it now.
    pub fn drain(&self) -> bool {
        let mut any = false;
        for _ in 0..MAX_READS {
            let mut buffer = [0_u8; 4_096];
            let got = socket::retry(|| {
                // SAFETY: the pointer and the length describe the buffer.
                socket::check_len(unsafe {
                    libc::read(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len())
                })
            });
            match got {
                Ok(got) if got > 0 => any = true,
                _ => break,
            }
        }
        any
    }
}

impl AsRawFd for Inotify {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_come_and_go_are_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let inotify = Inotify::open().unwrap();
        inotify.watch(dir.path()).unwrap();
        assert!(!inotify.drain());
        let file = dir.path().join("vm1");
        std::fs::write(&file, "").unwrap();
        assert!(inotify.drain() && !inotify.drain());
        std::fs::remove_file(&file).unwrap();
        assert!(inotify.drain() && !inotify.drain());
        assert!(inotify.watch(&file).is_err());
    }
}
