#![allow(unsafe_code)]
//! The listening Unix socket: made with its final mode and group so that there is no moment at
//! which others could connect, and taken over from a process that left without removing it.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use crate::sys::socket;

/// Why there is no listener.
#[derive(Debug)]
pub enum Error {
    /// Somebody answers there already.
    AlreadyRunning,
    /// The call that failed.
    Io(io::Error),
    /// Something that isn't a socket lies there; it is left alone.
    NotASocket,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AlreadyRunning => f.write_str("another process is listening there"),
            Self::Io(e) => e.fmt(f),
            Self::NotASocket => f.write_str("there is something else than a socket"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

/// Who is at the other end of a connection, as of its connect(2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Process id; 0 when it is in another pid namespace.
    pub pid: u32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// Clients that wait to be accepted; those after them are told to try again.
const BACKLOG: libc::c_int = 1_024;

/// Listens at `path`, with access for the owner and, if given, the group `gid`.
///
/// # Errors
///
/// [`Error::AlreadyRunning`] if somebody accepts there; a socket that nobody accepts on is
/// replaced.
pub fn listen(path: &Path, gid: Option<u32>) -> Result<UnixListener, Error> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e.into()),
        Ok(found) if !found.file_type().is_socket() => return Err(Error::NotASocket),
        Ok(_) => match probe(path) {
            Ok(()) => return Err(Error::AlreadyRunning),
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            // Alive but busy: its queue is full.
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(Error::AlreadyRunning),
            Err(e) => return Err(e.into()),
        },
    }
    let fd = socket::open(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    bind_private(&fd, path)?;
    // Nobody can connect before listen(2), so the mode may be widened here without a race.
    if let Err(e) = open_to_group(path, gid).and_then(|()| start(&fd)) {
        let _ = fs::remove_file(path);
        return Err(e.into());
    }
    Ok(UnixListener::from(fd))
}

/// The credentials of the peer.
///
/// # Errors
///
/// As getsockopt(2).
pub fn peer(stream: BorrowedFd<'_>) -> io::Result<Peer> {
    let read: libc::ucred = socket::get(stream, libc::SOL_SOCKET, libc::SO_PEERCRED)?;
    Ok(Peer { pid: u32::try_from(read.pid).unwrap_or(0), uid: read.uid, gid: read.gid })
}

/// The id of a group by its name in `/etc/group`, or a number as it is.
#[must_use]
pub fn group_id(name: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let text = fs::read_to_string("/etc/group").ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok())?
    })
}

/// Connects without waiting, to see whether anybody listens.
fn probe(path: &Path) -> io::Result<()> {
    let fd = socket::open(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    let address = address_of(path)?;
    let (pointer, len) = ((&raw const address).cast(), socket::len_of::<libc::sockaddr_un>());
    // SAFETY: the pointer and the length describe the live structure.
    socket::check(unsafe { libc::connect(fd.as_raw_fd(), pointer, len) })?;
    Ok(())
}

/// Binds with no access for group and others: the mode of the socket file is what the umask lets
/// through, and the umask belongs to the process, of which this is the only thread.
fn bind_private(fd: &OwnedFd, path: &Path) -> io::Result<()> {
    let address = address_of(path)?;
    // SAFETY: no pointers are passed.
    let before = unsafe { libc::umask(0o177) };
    let bound = socket::bind(fd.as_fd(), &address);
    // SAFETY: no pointers are passed.
    unsafe { libc::umask(before) };
    bound
}

fn address_of(path: &Path) -> io::Result<libc::sockaddr_un> {
    // SAFETY: integers and an array of bytes, for which zero is valid.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = u16::try_from(libc::AF_UNIX).unwrap_or(1);
    let name = path.as_os_str().as_bytes();
    // Room for the terminating zero.
    if name.len() >= address.sun_path.len() || name.contains(&0) || name.is_empty() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, &from) in address.sun_path.iter_mut().zip(name) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Ok(address)
}

fn open_to_group(path: &Path, gid: Option<u32>) -> io::Result<()> {
    if let Some(gid) = gid {
        let name = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: the path is a C string; the user id −1 means "as it is".
        socket::check(unsafe { libc::lchown(name.as_ptr(), libc::uid_t::MAX, gid) })?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
}

fn start(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: no pointers are passed.
    socket::check(unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_respected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        let first = listen(&path, None).unwrap();
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        assert!(matches!(listen(&path, None), Err(Error::AlreadyRunning)));
        drop(first);
        assert!(path.exists());
        listen(&path, None).unwrap();
    }

    #[test]
    fn whatever_is_no_socket_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "precious").unwrap();
        assert!(matches!(listen(&file, None), Err(Error::NotASocket)));
        let link = dir.path().join("link");
        let socket = dir.path().join("socket");
        drop(listen(&socket, None).unwrap());
        symlink(&socket, &link).unwrap();
        assert!(matches!(listen(&link, None), Err(Error::NotASocket)));
        assert_eq!(fs::read(&file).unwrap(), b"precious");
    }

    #[test]
    fn the_peer_is_this_process() {
        let (a, _b) = UnixStream::pair().unwrap();
        let peer = peer(a.as_fd()).unwrap();
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.uid, crate::sys::process::effective_user());
    }

    #[test]
    fn a_path_too_long_is_an_error() {
        let path = Path::new("/tmp").join("x".repeat(200));
        assert!(matches!(listen(&path, None), Err(Error::Io(_))));
    }

    #[test]
    fn groups_are_found_by_name_and_number() {
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("65534"), Some(65_534));
        assert_eq!(group_id("no-such-group"), None);
    }
}
