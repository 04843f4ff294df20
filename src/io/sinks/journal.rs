//! Telemetry in a file. One that is full is put aside under a number, the oldest is removed.

use std::io::{ErrorKind, Result, Write as _};
use std::path::{Path, PathBuf};
use std::{fs, io};

use mio::Registry;

use crate::api::sink::Feed;
use crate::sys::files::Directory;
use crate::time::Tick;

use super::super::token::Readiness;
use super::{BackOff, Context, Outlet, Served};

/// Octets written in one turn.
const BUDGET: usize = 128 * 1024;

/// Which file, and how much of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct File {
    pub(super) path: PathBuf,
    /// Octets of one file.
    pub(super) most: u64,
    /// How many there are, the one that is written included.
    pub(super) files: u32,
}

struct Open {
    directory: Directory,
    file: fs::File,
    written: u64,
}

/// One such file.
pub(super) struct Journal {
    file: File,
    open: Option<Open>,
    /// The file may end within a line: it could not be written further.
    torn: bool,
    /// What is written next.
    next: Option<Vec<u8>>,
    retry: Tick,
    back_off: BackOff,
    problem: Option<String>,
}

impl Journal {
    pub(super) const fn new(file: File) -> Self {
        let back_off = BackOff(BackOff::FIRST);
        Self { file, open: None, torn: false, next: None, retry: Tick(0), back_off, problem: None }
    }

    /// Writes records until `budget` is spent; `true` if there are more.
    fn write(&mut self, feed: &mut Feed, budget: usize) -> Result<bool> {
        let path = self.file.path.clone();
        let (folder, name) = parts(&path)?;
        let mut written = 0_usize;
        let (mut together, mut count) = (Vec::new(), 0_u64);
        while written < budget {
            let Some(record) = self.next.take().or_else(|| feed.next_framed()) else {
                self.put(&together).inspect_err(|_| feed.lose(count))?;
                return Ok(false);
            };
            let Some(open) = &mut self.open else {
                self.next = Some(record);
                self.open = Some(open(folder, name)?);
                if std::mem::take(&mut self.torn) {
                    self.put(b"\n")?;
                }
                continue;
            };
            let waiting = together.len().saturating_add(record.len()) as u64;
            let is_full = open.written.saturating_add(waiting) > self.file.most;
            if is_full && open.written.saturating_add(together.len() as u64) > 0 {
                self.next = Some(record);
                self.put(&together).inspect_err(|_| feed.lose(count))?;
                together.clear();
                count = 0;
                if let Some(open) = &mut self.open {
                    open.rotate(name, self.file.files)?;
                }
                continue;
            }
            written = written.saturating_add(record.len());
            count = count.saturating_add(1);
            together.extend_from_slice(&record);
        }
        self.put(&together).inspect_err(|_| feed.lose(count))?;
        Ok(true)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(open) = self.open.as_mut().filter(|_| !bytes.is_empty()) else { return Ok(()) };
        open.written = open.written.saturating_add(bytes.len() as u64);
        open.file.write_all(bytes)
    }

    fn fail(&mut self, error: &io::Error, now: Tick) {
        let problem = error.to_string();
        if self.problem.as_ref() != Some(&problem) {
            log::warn!("telemetry into {}: {problem}; trying again", self.file.path.display());
        }
        self.problem = Some(problem);
        self.torn |= self.open.take().is_some();
        self.retry = self.back_off.next(now);
    }
}

impl Open {
    /// Puts the file aside and begins the next.
    fn rotate(&mut self, name: &str, files: u32) -> Result<()> {
        if files > 1 {
            for number in (1..files.saturating_sub(1)).rev() {
                // There are less of them at first.
                let to = format!("{name}.{}", number.saturating_add(1));
                let _ = self.directory.rename(&format!("{name}.{number}"), &to);
            }
            self.directory.rename(name, &format!("{name}.1"))?;
        } else {
            self.directory.remove(name)?;
        }
        self.file = self.directory.create(name, 0o640)?;
        self.written = 0;
        Ok(())
    }
}

fn parts(path: &Path) -> Result<(&Path, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    path.parent().zip(name).ok_or_else(|| ErrorKind::InvalidInput.into())
}

fn open(folder: &Path, name: &str) -> Result<Open> {
    let directory = Directory::open(folder)?;
    let file = match directory.append(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => directory.create(name, 0o640)?,
        other => other?,
    };
    let written = file.metadata()?.len();
    Ok(Open { directory, file, written })
}

impl Outlet for Journal {
    fn event(&mut self, _: Readiness) {}

    fn serve(&mut self, feed: &mut Feed, context: &mut Context<'_>) -> Served {
        if context.now < self.retry {
            return Served::Waits;
        }
        match self.write(feed, BUDGET) {
            Ok(more) => {
                self.problem = None;
                self.back_off.reset();
                if more { Served::Again } else { Served::Waits }
            }
            Err(error) => {
                self.fail(&error, context.now);
                Served::Waits
            }
        }
    }

    fn deadline(&self) -> Option<Tick> {
        self.problem.as_ref().map(|_| self.retry)
    }

    fn state(&self) -> String {
        self.problem.clone().unwrap_or_else(|| "writing".to_owned())
    }

    fn close(&mut self, _: &Registry) {
        self.open = None;
    }

    fn finish(&mut self, feed: &mut Feed, context: &mut Context<'_>) {
        if let Err(error) = self.write(feed, usize::MAX) {
            self.fail(&error, context.now);
        }
    }
}
