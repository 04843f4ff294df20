//! The machine as the command layer sees it: files of the state directory, resources of the
//! process, the configuration.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::core::agent::{Host, Usage};
use crate::filter::names::{MAX_TABLE, Tables};
use crate::sys::files::Directory;
use crate::sys::{clock, heap, process, rand};
use crate::time::Tick;

/// Largest file of state that is read.
const MAX_FILE: u64 = 8 * 1024 * 1024;

/// How the settings are put together again on a reload.
pub type Configure = dyn Fn() -> Result<Settings, String>;

/// The machine.
pub struct Machine {
    state: PathBuf,
    volatile: PathBuf,
    configure: Box<Configure>,
    usage: Option<(Tick, Usage)>,
}

/// How long a reading of the resources is good, in microseconds: it costs a walk through /proc,
/// and anybody may ask for it as often as they like.
const FRESH: u64 = 50_000;

impl Machine {
    /// A machine whose state lives below `state`, and below `volatile` what may be lost; both are
    /// made on first save.
    #[must_use]
    pub fn new(state: PathBuf, volatile: PathBuf, configure: Box<Configure>) -> Self {
        Self { state, volatile, configure, usage: None }
    }

    fn folder(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.state.clone() } else { self.state.join(name) }
    }

    /// The open directory that holds `name`, and the name within it.
    fn place<'a>(&self, name: &'a str) -> std::io::Result<(Directory, &'a str)> {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        Directory::open(&self.folder(folder)).map(|directory| (directory, file))
    }

    /// Removes what an interrupted save left behind.
    pub fn tidy(&self, folder: &str) {
        if let Ok(directory) = Directory::open(&self.folder(folder)) {
            match directory.delete_stale() {
                Ok(0) => {}
                Ok(count) => log::info!("removed {count} unfinished files from {folder}"),
                Err(error) => log::warn!("{}: {error}", self.folder(folder).display()),
            }
        }
    }
}

/// A table of the system, as far as it is text and not too long; nothing if there is none.
fn table(path: &str) -> String {
    use std::io::Read as _;
    let Ok(file) = fs::File::open(path) else { return String::new() };
    let mut bytes = Vec::new();
    // What was read before an error counts.
    let _ = file.take(MAX_TABLE as u64).read_to_end(&mut bytes);
    let whole = match bytes.iter().rposition(|b| *b == b'\n') {
        Some(end) if bytes.len() >= MAX_TABLE => bytes.get(..end).unwrap_or_default(),
        _ => &bytes,
    };
    String::from_utf8_lossy(whole).into_owned()
}

fn make(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)
}

impl Host for Machine {
    fn save(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let (folder, _) = name.rsplit_once('/').unwrap_or(("", name));
        let saved = make(&self.folder(folder))
            .and_then(|()| self.place(name))
            .and_then(|(directory, file)| directory.save(file, bytes, 0o640));
        saved.map_err(|error| format!("{}: {error}", self.state.join(name).display()))
    }

    fn load(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let loaded = self.place(name).and_then(|(directory, file)| directory.load(file, MAX_FILE));
        match loaded {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", self.state.join(name).display())),
        }
    }

    fn remove(&mut self, name: &str) -> Result<(), String> {
        match self.place(name).and_then(|(directory, file)| directory.remove(file)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(format!("{}: {error}", self.state.join(name).display()))
            }
            _ => Ok(()),
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), String> {
        let (_, file) = to.rsplit_once('/').unwrap_or(("", to));
        let renamed = self.place(from).and_then(|(directory, name)| directory.rename(name, file));
        renamed.map_err(|error| format!("{}: {error}", self.state.join(from).display()))
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, String> {
        let entries = match fs::read_dir(self.folder(folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(format!("{}: {error}", self.folder(folder).display())),
        };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn save_volatile(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let saved = make(&self.volatile)
            .and_then(|()| Directory::open(&self.volatile))
            .and_then(|directory| directory.save(name, bytes, 0o600));
        saved.map_err(|error| format!("{}: {error}", self.volatile.join(name).display()))
    }

    fn load_volatile(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let opened = Directory::open(&self.volatile);
        match opened.and_then(|directory| directory.load(name, MAX_FILE)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{}: {error}", self.volatile.join(name).display())),
        }
    }

    fn usage(&mut self) -> Usage {
        let now = clock::tick();
        if let Some((_, usage)) = self.usage.filter(|(at, _)| now.since(*at) < FRESH) {
            return usage;
        }
        let usage = process::usage();
        let usage = Usage {
            user_seconds: usage.user_seconds,
            system_seconds: usage.system_seconds,
            rss_kib: usage.rss_kib,
            peak_rss_kib: usage.peak_rss_kib,
            heap_kib: heap::held() as u64 / 1_024,
            cpus: process::cpus(),
            descriptors: process::open_descriptors().unwrap_or(0),
        };
        self.usage = Some((now, usage));
        usage
    }

    fn configure(&mut self) -> Result<Settings, String> {
        (self.configure)()
    }

    fn tables(&mut self) -> Tables {
        Tables::new(table("/etc/services"), table("/etc/protocols"))
            .with_ethers(table("/etc/ethers"))
    }

    fn set_log_level(&mut self, level: u8) {
        super::logger::set_level(level);
    }

    fn create(&mut self, folder: &str, name: &str) -> Result<(), String> {
        let made = Directory::open(Path::new(folder));
        let made = made.and_then(|directory| directory.create(name, 0o640));
        made.map(|_| ()).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => "is there already: choose another name".to_owned(),
            _ => error.to_string(),
        })
    }

    fn random(&mut self, bytes: &mut [u8]) {
        if rand::fill(bytes).is_err() {
            // Early after the start of the machine: what differs each time must do.
            for chunk in bytes.chunks_mut(8) {
                let random = rand::number().to_ne_bytes();
                chunk.iter_mut().zip(random).for_each(|(to, from)| *to = from);
            }
        }
    }
}
