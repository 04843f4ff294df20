//! Files that a scan reads: bounded, never waited for, and those of others' file systems never
//! through links that lead out of them.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::netns::resolver::Resolver;
use crate::sys::files::read_inside;
use crate::sys::netns::hostname_of;

/// Octets of a line that is looked at.
const MAX_LINE: u64 = 16 * 1024;

/// Lines of one file.
const MAX_LINES: usize = 65_536;

/// Octets of a file of somebody's resolver.
const MAX_RESOLVER: usize = 16 * 1024;

/// The beginning of a file, at most so many octets.
pub(super) fn read(path: impl AsRef<Path>, most: usize) -> io::Result<Vec<u8>> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // Files of /proc do not say how long they are; from nothing they would come in tiny pieces.
    let mut contents = Vec::with_capacity(most.min(1_024));
    file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut contents)?;
    Ok(contents)
}

/// A file, a line at a time.
pub(super) struct Lines {
    file: Option<BufReader<File>>,
    left: usize,
}

impl Lines {
    /// The lines of a file; none if it cannot be read.
    pub(super) fn open(path: &str) -> Self {
        Self { file: File::open(path).ok().map(BufReader::new), left: MAX_LINES }
    }

    /// The next line, without its end.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        self.left = self.left.checked_sub(1)?;
        let mut line = Vec::new();
        let count = self.file.as_mut()?.take(MAX_LINE).read_until(b'\n', &mut line).ok()?;
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        (count > 0).then_some(line)
    }
}

/// Whether the processes of a group are held.
pub(super) fn is_frozen(group: &[u8]) -> bool {
    let Ok(group) = std::str::from_utf8(group) else { return false };
    if group.split('/').any(|segment| segment == "..") {
        return false;
    }
    let events = read(format!("/sys/fs/cgroup{group}/cgroup.events"), 1_024).unwrap_or_default();
    let state = || read(format!("/sys/fs/cgroup/freezer{group}/freezer.state"), 64);
    events.split(|b| *b == b'\n').any(|line| line == b"frozen 1")
        || state().is_ok_and(|state| state.starts_with(b"FROZEN"))
}

/// Finds out how a process finds names; `own` is the name of this machine.
pub(super) fn resolver(pid: u32, resolver: &mut Resolver, own: &str) {
    let root = format!("/proc/{pid}/root");
    let file = |name: &str| read_inside(Path::new(&root), name, MAX_RESOLVER).unwrap_or_default();
    resolver.read_hostname(&file("etc/hostname"));
    resolver.read_hosts(&file("etc/hosts"));
    resolver.read_configuration(&file("etc/resolv.conf"));
    resolver.hostname = hostname_of(pid).map_or_else(|_| own.into(), Into::into);
}
