//! Where `portolan capture` writes: standard output, a file, or files one after another, each of
//! them whole.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

/// Octets of what is said of interfaces at the start of each file.
const MAX_HEADER: usize = 1024 * 1024;

/// When the next file begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rotation {
    /// Before the present one has more octets than this.
    pub(super) size: Option<u64>,
    /// After so long.
    pub(super) every: Option<Duration>,
    /// How many are kept; the oldest go.
    pub(super) files: Option<usize>,
}

/// An open place.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    name: String,
    rotation: Option<Rotation>,
    /// What every file begins with.
    header: Vec<u8>,
    /// Octets in the present file.
    written: u64,
    began: Instant,
    /// Files before the present one that are still there, and how many there were in all.
    before: VecDeque<String>,
    count: usize,
    base: String,
}

impl Sink {
    /// Opens a file, or standard output.
    pub(super) fn open(file: Option<&str>, rotation: Option<Rotation>) -> io::Result<Self> {
        let base = file.unwrap_or("standard output").to_owned();
        let name = match rotation {
            Some(_) => numbered(&base, 1),
            None => base.clone(),
        };
        let file = match file {
            None => {
                use std::os::fd::AsFd as _;
                // A descriptor of its own: blocks are written as they are, without lines.
                File::from(io::stdout().as_fd().try_clone_to_owned()?)
            }
            Some(_) => File::create(&name)?,
        };
        let (header, before) = (Vec::new(), VecDeque::new());
        let began = Instant::now();
        Ok(Self { file, name, rotation, header, written: 0, began, before, count: 1, base })
    }

    /// What is written to now.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Keeps what has to stand at the start of each file.
    pub(super) fn learn(&mut self, block: &[u8]) {
        let fits = self.header.len().saturating_add(block.len()) <= MAX_HEADER;
        if self.rotation.is_some() && fits {
            self.header.extend_from_slice(block);
        }
    }

    /// Whether the next file has to begin before a packet of so many octets, when so many others
    /// go into the present one first.
    pub(super) fn is_full(&self, waits: usize, length: usize) -> bool {
        let Some(rotation) = self.rotation else { return false };
        let size = self.written.saturating_add(waits as u64);
        let grown = size.saturating_add(length as u64);
        let large = rotation.size.is_some_and(|most| grown > most);
        let old = rotation.every.is_some_and(|every| self.began.elapsed() >= every);
        (large || old) && size > self.header.len() as u64
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        if bytes.is_empty() { Ok(()) } else { self.file.write_all(bytes) }
    }

    /// Begins the next file.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let Some(rotation) = self.rotation else { return Ok(()) };
        self.count = self.count.saturating_add(1);
        let next = numbered(&self.base, self.count);
        self.file = File::create(&next)?;
        self.before.push_back(std::mem::replace(&mut self.name, next));
        let most = rotation.files.unwrap_or(usize::MAX);
        while self.before.len().saturating_add(1) > most {
            let Some(oldest) = self.before.pop_front() else { break };
            fs::remove_file(oldest)?;
        }
        (self.written, self.began) = (0, Instant::now());
        let header = std::mem::take(&mut self.header);
        let put = self.put(&header);
        self.header = header;
        put
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The name of a file of a row: `x.pcapng` is `x_00001.pcapng` and so on.
fn numbered(base: &str, number: usize) -> String {
    let start = base.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    match base.rfind('.').filter(|dot| *dot > start) {
        Some(dot) => {
            let (stem, ending) = base.split_at_checked(dot).unwrap_or((base, ""));
            format!("{stem}_{number:05}{ending}")
        }
        None => format!("{base}_{number:05}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_files_has_numbers_before_the_ending() {
        assert_eq!(numbered("/a.b/x.pcapng", 1), "/a.b/x_00001.pcapng");
        assert_eq!(numbered("/a.b/x", 12), "/a.b/x_00012");
        assert_eq!(numbered(".x", 3), ".x_00003");
    }

    #[test]
    fn each_file_of_a_row_begins_with_the_header_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("x.pcapng").display().to_string();
        let rotation = Rotation { size: Some(10), every: None, files: Some(2) };
        let mut sink = Sink::open(Some(&base), Some(rotation)).unwrap();
        sink.learn(b"head");
        sink.put(b"head").unwrap();
        for packet in [b"aaaa", b"bbbb", b"cccc"] {
            if sink.is_full(0, packet.len()) {
                sink.rotate().unwrap();
            }
            sink.put(packet).unwrap();
        }
        sink.finish().unwrap();
        let mut names: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort_unstable();
        assert_eq!(names, ["x_00002.pcapng", "x_00003.pcapng"]);
        assert_eq!(fs::read(folder.path().join("x_00003.pcapng")).unwrap(), b"headcccc");
    }
}
