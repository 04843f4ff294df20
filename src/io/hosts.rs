//! Files of this machine that name hosts: leases of DHCP servers, hosts(5), ethers(5). They are
//! looked at every few seconds and read when they have changed, one a second; a file that is gone
//! says nothing any more.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::core::Agent;
use crate::core::names::Source;
use crate::core::names::files::{self, Named};
use crate::time::Tick;

/// Microseconds between two looks.
const EVERY: u64 = 5_000_000;

/// Files of one kind that are read; further ones in a folder are passed over.
const MAX_FILES: usize = 32;

/// Octets that are read of a file; the rest is passed over.
const MAX_FILE: u64 = 128 * 1024;

/// The files.
#[derive(Debug, Default)]
pub(super) struct Files {
    leases: Kind,
    hosts: Kind,
    next: Tick,
}

/// Files of one kind.
#[derive(Debug, Default)]
struct Kind {
    files: Vec<Entry>,
    /// Something is to be told to the agent.
    is_fresh: bool,
}

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    /// As it was when it was read; none if it has yet to be.
    read: Option<Stamp>,
    stamp: Stamp,
    named: Vec<Named>,
}

/// What tells a file from what it was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanos: i64,
}

impl Files {
    /// Reads all there is, before anything else is done.
    pub(super) fn open(&mut self, agent: &mut Agent, now: Tick) {
        self.next = now;
        for _ in 0..MAX_FILES.saturating_mul(2).saturating_add(1) {
            self.serve(agent, now);
            if self.leases.is_settled() && self.hosts.is_settled() {
                return;
            }
        }
    }

    /// Looks again what the settings say, at the next turn.
    pub(super) const fn look_again(&mut self) {
        self.next = Tick(0);
    }

    /// Looks at the files if it is time to, and reads one of those that have changed. Called every
    /// second.
    pub(super) fn serve(&mut self, agent: &mut Agent, now: Tick) {
        let settings = agent.settings();
        if now >= self.next {
            self.next = now.plus(EVERY);
            if settings.packet_names {
                self.leases.look(&settings.lease_files);
                self.hosts.look(&settings.hosts_files);
            } else {
                self.leases.look(&[]);
                self.hosts.look(&[]);
            }
        }
        let _ = self.leases.read(files::leases) || self.hosts.read(files::hosts);
        for (kind, source) in [(&mut self.leases, Source::Lease), (&mut self.hosts, Source::Hosts)]
        {
            if kind.is_fresh && kind.is_settled() {
                kind.is_fresh = false;
                agent.take_named(source, kind.files.iter().flat_map(|entry| &entry.named));
            }
        }
    }
}

impl Kind {
    /// Every file is as it was when it was read.
    fn is_settled(&self) -> bool {
        self.files.iter().all(|entry| entry.read == Some(entry.stamp))
    }

    /// Looks which files there are, and which have changed.
    fn look(&mut self, paths: &[PathBuf]) {
        let mut found: Vec<(PathBuf, Stamp)> = Vec::new();
        for path in paths {
            let Ok(about) = fs::metadata(path) else { continue };
            if about.is_dir() {
                add_folder(path, &mut found);
            } else if about.is_file() {
                found.push((path.clone(), Stamp::of(&about)));
            }
        }
        found.truncate(MAX_FILES);
        let before = self.files.len();
        self.files.retain(|entry| found.iter().any(|(path, _)| *path == entry.path));
        self.is_fresh |= self.files.len() != before;
        for (path, stamp) in found {
            match self.files.iter_mut().find(|entry| entry.path == path) {
                Some(entry) => entry.stamp = stamp,
                None => self.files.push(Entry { path, read: None, stamp, named: Vec::new() }),
            }
        }
    }

    /// Reads the first file that has changed; `false` if none has.
    fn read(&mut self, parse: fn(&str, &mut Vec<Named>)) -> bool {
        let changed = self.files.iter_mut().find(|entry| entry.read != Some(entry.stamp));
        let Some(entry) = changed else { return false };
        entry.read = Some(entry.stamp);
        entry.named.clear();
        match contents(&entry.path) {
            Ok(text) => parse(&text, &mut entry.named),
            Err(error) => log::warn!("{}: {error}; its names are unknown", entry.path.display()),
        }
        self.is_fresh = true;
        true
    }
}

impl Stamp {
    fn of(about: &fs::Metadata) -> Self {
        let (seconds, nanos) = (about.mtime(), about.mtime_nsec());
        Self { inode: about.ino(), size: about.len(), seconds, nanos }
    }
}

/// The plain files of a folder that are not hidden, in the order of their names.
fn add_folder(path: &Path, found: &mut Vec<(PathBuf, Stamp)>) {
    let Ok(entries) = fs::read_dir(path) else { return };
    let mut inside: Vec<(PathBuf, Stamp)> = entries
        .flatten()
        .take(MAX_FILES.saturating_mul(4))
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        .filter_map(|entry| {
            let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some((entry.path(), Stamp::of(&about)))
        })
        .collect();
    inside.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    found.append(&mut inside);
}

/// The beginning of a file, up to the end of a line. Whatever is no plain file is not waited for.
fn contents(path: &Path) -> std::io::Result<String> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE).read_to_end(&mut bytes)?;
    if read as u64 == MAX_FILE {
        let end = bytes.iter().rposition(|octet| *octet == b'\n').unwrap_or(0);
        bytes.truncate(end);
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(kind: &Kind) -> Vec<&str> {
        kind.files.iter().flat_map(|entry| &entry.named).map(|named| named.name.as_str()).collect()
    }

    fn settle(kind: &mut Kind, paths: &[PathBuf]) {
        kind.look(paths);
        while kind.read(files::hosts) {}
    }

    #[test]
    fn files_are_read_when_they_change_and_forgotten_when_they_go() {
        let dir = tempfile::tempdir().unwrap();
        let (one, folder) = (dir.path().join("hosts"), dir.path().join("more"));
        fs::create_dir(&folder).unwrap();
        fs::write(&one, "10.0.0.1 one\n").unwrap();
        fs::write(folder.join("b"), "10.0.0.3 three\n").unwrap();
        fs::write(folder.join("a"), "10.0.0.2 two\n").unwrap();
        fs::write(folder.join(".hidden"), "10.0.0.4 four\n").unwrap();
        let paths = [one.clone(), folder.clone(), dir.path().join("none")];
        let mut kind = Kind::default();
        settle(&mut kind, &paths);
        assert_eq!(names(&kind), ["one", "two", "three"]);
        assert!(std::mem::take(&mut kind.is_fresh) && kind.is_settled());
        settle(&mut kind, &paths);
        assert!(!kind.is_fresh, "nothing has changed");
        fs::write(&one, "10.0.0.1 another\n").unwrap();
        fs::remove_file(folder.join("a")).unwrap();
        settle(&mut kind, &paths);
        assert_eq!(names(&kind), ["another", "three"]);
        assert!(kind.is_fresh);
        settle(&mut kind, &[]);
        assert!(names(&kind).is_empty());
    }

    #[test]
    fn what_is_no_plain_file_is_not_waited_for_and_a_long_one_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        assert!(contents(Path::new("/dev/zero")).is_err());
        assert!(contents(dir.path()).is_err());
        let long = dir.path().join("long");
        fs::write(&long, "10.0.0.1 name\n".repeat(20_000)).unwrap();
        let text = contents(&long).unwrap();
        assert!(text.len() as u64 <= MAX_FILE && text.ends_with("name"));
        fs::write(&long, b"10.0.0.1 \xff\x1b\n").unwrap();
        assert!(contents(&long).unwrap().contains('\u{fffd}'));
    }
}
