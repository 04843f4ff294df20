#![allow(unsafe_code)]
//! Saving a file so that a power cut leaves the old one or the new one, never a torn one: write
//! beside it, flush, rename, flush the directory. Works relative to an open directory, so that a
//! symbolic link put in the way later changes nothing.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use libc::c_int;

use crate::sys::socket;

/// An open directory in which files are saved and read.
#[derive(Debug)]
pub struct Directory {
    handle: File,
    path: PathBuf,
}

impl Directory {
    /// Opens a directory that exists.
    ///
    /// # Errors
    ///
    /// As open(2).
    pub fn open(path: &Path) -> io::Result<Self> {
        let handle = fs::OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY | libc::O_CLOEXEC)
            .open(path)?;
        Ok(Self { handle, path: path.to_owned() })
    }

    /// The path it was opened by, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file `name` by one with these contents and this mode.
    ///
    /// # Errors
    ///
    /// The first step that failed; the old file is untouched then and nothing is left behind.
    pub fn save(&self, name: &str, contents: &[u8], mode: u32) -> io::Result<()> {
        let target = c_name(name)?;
        let temporary = c_name(&format!("{name}.tmp.{}", std::process::id()))?;
        let written = self.write(&temporary, contents, mode).and_then(|()| {
            let dir = self.handle.as_raw_fd();
            // SAFETY: both names are C strings, relative to an open directory.
            socket::check(unsafe { libc::renameat(dir, temporary.as_ptr(), dir, target.as_ptr()) })
        });
        if let Err(e) = written {
            let _ = self.unlink(&temporary);
            return Err(e);
        }
        self.handle.sync_all()
    }

    /// Reads the file `name`, at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// As open(2) and read(2); `FileTooLarge` above the limit, `ELOOP` for a symbolic link.
    pub fn load(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open_at(&c_name(name)?, libc::O_RDONLY | libc::O_NONBLOCK, 0)?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut contents = Vec::new();
        file.take(limit.saturating_add(1)).read_to_end(&mut contents)?;
        if u64::try_from(contents.len()).unwrap_or(u64::MAX) > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(contents)
    }

    /// Makes an empty file `name` with this mode, to be written; there must be none.
    ///
    /// # Errors
    ///
    /// As open(2).
    pub fn create(&self, name: &str, mode: u32) -> io::Result<File> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        self.open_at(&c_name(name)?, flags, mode)
    }

    /// Opens the plain file `name` to be written at its end.
    ///
    /// # Errors
    ///
    /// As open(2); `ELOOP` for a symbolic link.
    pub fn append(&self, name: &str) -> io::Result<File> {
        let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_NONBLOCK;
        let file = self.open_at(&c_name(name)?, flags, 0)?;
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
    }

    /// Removes the file `name`.
    ///
    /// # Errors
    ///
    /// As unlink(2).
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.unlink(&c_name(name)?)
    }

    /// Renames a file within the directory, over an existing one.
    ///
    /// # Errors
    ///
    /// As rename(2).
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (c_name(from)?, c_name(to)?);
        let dir = self.handle.as_raw_fd();
        // SAFETY: both names are C strings, relative to an open directory.
        socket::check(unsafe { libc::renameat(dir, from.as_ptr(), dir, to.as_ptr()) })?;
        Ok(())
    }

    /// Removes what saves that never finished left behind (`*.tmp.PID` of processes other than
    /// this one, which are gone: the directory has one user). Returns how many.
    ///
    /// # Errors
    ///
    /// As reading the directory.
    pub fn delete_stale(&self) -> io::Result<u32> {
        let mut deleted = 0_u32;
        let names = fs::read_dir(format!("/proc/self/fd/{}", self.handle.as_raw_fd()))
            .or_else(|_| fs::read_dir(&self.path))?;
        for entry in names {
            let name = entry?.file_name();
            if is_stale(&name)
                && CString::new(name.as_bytes()).is_ok_and(|name| self.unlink(&name).is_ok())
            {
                deleted = deleted.saturating_add(1);
            }
        }
        Ok(deleted)
    }

    fn write(&self, name: &CString, contents: &[u8], mode: u32) -> io::Result<()> {
        // Ours, left by an earlier failure under the same process id.
        let _ = self.unlink(name);
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let mut file = self.open_at(name, flags, mode)?;
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.write_all(contents)?;
        file.sync_all()
    }

    fn open_at(&self, name: &CString, flags: c_int, mode: u32) -> io::Result<File> {
        let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
        let mode: libc::c_uint = mode;
        let fd = socket::retry(|| {
            // SAFETY: the name is a C string, relative to an open directory.
            socket::check(unsafe {
                libc::openat(self.handle.as_raw_fd(), name.as_ptr(), flags, mode)
            })
        })?;
        // SAFETY: the descriptor was just made and nobody else has it.
        Ok(unsafe { File::from_raw_fd(fd) })
    }

    fn unlink(&self, name: &CString) -> io::Result<()> {
        // SAFETY: the name is a C string, relative to an open directory.
        socket::check(unsafe { libc::unlinkat(self.handle.as_raw_fd(), name.as_ptr(), 0) })?;
        Ok(())
    }
}

/// RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS of linux/openat2.h.
const IN_ROOT: u64 = 0x10 | 0x02;

/// `struct open_how`.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

const _: () = assert!(size_of::<OpenHow>() == 24);

/// The beginning of a regular file inside a tree of files that somebody else made, at most so
/// many bytes. Links in it lead to where they lead for whoever lives there, never out of it.
///
/// # Errors
///
/// As openat2(2), which came with Linux 5.6; `InvalidInput` for what is no regular file.
pub fn read_inside(root: &Path, name: &str, most: usize) -> io::Result<Vec<u8>> {
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
    let root = fs::OpenOptions::new().read(true).custom_flags(flags).open(root)?;
    let name = CString::new(name)?;
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let how = OpenHow { flags: u64::from(flags.unsigned_abs()), mode: 0, resolve: IN_ROOT };
    // SAFETY: the name is a C string, and the structure comes with its size.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            name.as_ptr(),
            &raw const how,
            size_of::<OpenHow>(),
        )
    };
    let fd = c_int::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and nobody else has it.
    let file = unsafe { File::from_raw_fd(fd) };
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut contents = Vec::new();
    file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut contents)?;
    Ok(contents)
}

/// A plain file name: no way out of the directory.
fn c_name(name: &str) -> io::Result<CString> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    CString::new(name).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Whether a name is that of an unfinished save.
fn is_stale(name: &OsStr) -> bool {
    let Some((_, pid)) = name.to_str().and_then(|name| name.rsplit_once(".tmp.")) else {
        return false;
    };
    !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_save_replaces_the_whole_file_and_sets_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let state = Directory::open(dir.path()).unwrap();
        state.save("groups.txt", b"first, and longer", 0o600).unwrap();
        state.save("groups.txt", b"second", 0o640).unwrap();
        assert_eq!(state.load("groups.txt", 100).unwrap(), b"second");
        let mode = fs::metadata(dir.path().join("groups.txt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_and_names_that_lead_elsewhere_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), "secret").unwrap();
        symlink(outside.path(), dir.path().join("link")).unwrap();
        let state = Directory::open(dir.path()).unwrap();
        let refused = state.load("link", 100).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ELOOP));
        for name in ["../x", "", ".", "..", "a\0b"] {
            assert!(state.save(name, b"", 0o600).is_err(), "{name:?}");
        }
        // Saving over a link replaces the link, not what it leads to.
        state.save("link", b"mine", 0o600).unwrap();
        assert_eq!(fs::read(outside.path()).unwrap(), b"secret");
    }

    #[test]
    fn a_failed_save_leaves_the_old_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = Directory::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        fs::write(dir.path().join("taken/inside"), "x").unwrap();
        assert!(state.save("taken", b"new", 0o600).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_tree_of_others_is_never_left() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("hosts"), "inside").unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        fs::write(outside.path(), "secret").unwrap();
        symlink("/hosts", dir.path().join("etc/hosts")).unwrap();
        symlink(outside.path(), dir.path().join("etc/absolute")).unwrap();
        symlink("/proc/self/exe", dir.path().join("etc/magic")).unwrap();
        symlink("../../../../../../etc/passwd", dir.path().join("etc/relative")).unwrap();
        match read_inside(dir.path(), "etc/hosts", 4) {
            Ok(contents) => assert_eq!(contents, b"insi"),
            Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => return,
            Err(e) => panic!("{e}"),
        }
        for name in ["etc/absolute", "etc/magic", "etc/relative", "etc", "../etc/passwd"] {
            assert!(read_inside(dir.path(), name, 100).is_err(), "{name}");
        }
    }

    #[test]
    fn only_unfinished_saves_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.tmp.1", "groups.txt.tmp.99999", "a.tmp.", "a.tmp.x1", "a.txt"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let state = Directory::open(dir.path()).unwrap();
        assert_eq!(state.delete_stale().unwrap(), 2);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_above_the_limit_is_an_error_not_a_piece() {
        let dir = tempfile::tempdir().unwrap();
        let state = Directory::open(dir.path()).unwrap();
        state.save("big", &[0; 100], 0o600).unwrap();
        assert_eq!(state.load("big", 100).unwrap().len(), 100);
        let refused = state.load("big", 99).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
    }
}
