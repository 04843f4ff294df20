//! Writes sessions of packets into files, some kilobytes in each turn. A file that has grown as
//! large as it may is put aside and the next one begins with all that a reader has to know.

use std::fs::File;
use std::io::{ErrorKind, Result, Write as _};
use std::path::Path;

use crate::core::Agent;
use crate::core::packets::{End, Ending, Format, Order, Recording, Session, SessionId, State};
use crate::sys::files::Directory;
use crate::wire::pcapng::cut::{Cutter, Form, Kind};

/// Octets that are written in one turn, about.
const BUDGET: usize = 64 * 1024;

/// Octets of what is said of interfaces at the start of each file; of what is more than that, the
/// later files know nothing.
const MAX_HEADER: usize = 1024 * 1024;

/// All recordings.
#[derive(Debug, Default)]
pub struct Recorder {
    tapes: Vec<Tape>,
}

/// One recording.
#[derive(Debug)]
struct Tape {
    id: SessionId,
    recording: Recording,
    /// `None` once it failed.
    files: Option<Files>,
    cutter: Cutter,
    /// What every file begins with.
    header: Vec<u8>,
    /// Packets are not written any more: the file is full.
    full: bool,
}

#[derive(Debug)]
struct Files {
    directory: Directory,
    file: File,
    /// Octets in the file, and those of them before the first packet.
    written: u64,
    header: u64,
}

impl Recorder {
    /// Writes what there is to write; `true` if there is more.
    pub fn serve(&mut self, agent: &mut Agent) -> bool {
        self.find(agent);
        let mut budget = BUDGET;
        let mut more = false;
        let mut over: Vec<SessionId> = Vec::new();
        for tape in &mut self.tapes {
            if budget == 0 {
                more = true;
                break;
            }
            let Some(chunk) = agent.packets.next(tape.id) else {
                if tape.is_over(agent) {
                    over.push(tape.id);
                }
                continue;
            };
            budget = budget.saturating_sub(chunk.len());
            tape.take(&chunk, agent);
            agent.packets.recycle(tape.id, chunk);
            more = true;
        }
        // Who came first this time comes last the next.
        if more {
            self.tapes.rotate_left(1);
        }
        for id in over {
            agent.packets.close(id);
            self.tapes.retain(|tape| tape.id != id);
        }
        more
    }

    /// Writes all there is: the process is about to leave.
    pub fn finish(&mut self, agent: &mut Agent) {
        while self.serve(agent) {}
    }

    /// Finds sessions that began since the last turn.
    fn find(&mut self, agent: &Agent) {
        for (id, session) in agent.packets.iter() {
            let order = session.order();
            if let Some(recording) = &order.recording
                && !self.tapes.iter().any(|tape| tape.id == id)
            {
                self.tapes.push(Tape::new(id, recording.clone(), order));
            }
        }
    }
}

impl Tape {
    fn new(id: SessionId, recording: Recording, order: &Order) -> Self {
        let form = if order.format == Format::Pcap { Form::Pcap } else { Form::Pcapng };
        let opened = Directory::open(Path::new(&recording.folder)).and_then(|directory| {
            // It was made when the recording was ordered.
            let file = directory.append(&recording.name)?;
            Ok(Files { directory, file, written: 0, header: 0 })
        });
        let files = match opened {
            Ok(files) => Some(files),
            Err(error) => {
                log::warn!("{}/{}: {error}", recording.folder, recording.name);
                None
            }
        };
        Self { id, recording, files, cutter: Cutter::new(form), header: Vec::new(), full: false }
    }

    /// Whether nothing more comes. What was never begun leaves no file.
    fn is_over(&self, agent: &Agent) -> bool {
        match agent.packets.state(self.id) {
            None => true,
            Some(State::Open | State::Opening) => false,
            Some(State::Over(end)) => {
                let session = agent.packets.get(self.id);
                let (packets, _, lost) = session.map(Session::figures).unwrap_or_default();
                log::info!(
                    "{}/{}: {packets} packets, {lost} lost: {}",
                    self.recording.folder,
                    self.recording.name,
                    end.reason
                );
                true
            }
            Some(State::Refused(refused)) => {
                log::warn!("{}/{}: {refused}", self.recording.folder, self.recording.name);
                if let Some(files) = &self.files {
                    let _ = files.directory.remove(&self.recording.name);
                }
                true
            }
        }
    }

    fn take(&mut self, chunk: &[u8], agent: &mut Agent) {
        if let Err(error) = self.write(chunk, agent) {
            let failed = &mut agent.counters.packet_files_failed;
            *failed = failed.saturating_add(1);
            let (folder, name) = (&self.recording.folder, &self.recording.name);
            log::warn!("{folder}/{name}: {error}");
            self.files = None;
            let end = End::new(Ending::Failed, format!("{name}: {error}"));
            let clock = agent.clock();
            agent.packets.end(self.id, end, &clock);
        }
    }

    /// Writes a piece of the stream, whole blocks, and goes on in another file where one is full.
    fn write(&mut self, chunk: &[u8], agent: &mut Agent) -> Result<()> {
        let Some(files) = &mut self.files else {
            return match agent.packets.state(self.id) {
                // It could not be opened, or was written no further.
                Some(State::Open) => Err(ErrorKind::NotFound.into()),
                _ => Ok(()),
            };
        };
        let (mut start, mut end) = (0_usize, 0_usize);
        while let Ok(Some(piece)) = self.cutter.next(chunk.get(end..).unwrap_or_default()) {
            let after = end.saturating_add(piece.length);
            let block = chunk.get(end..after).unwrap_or_default();
            if piece.kind == Kind::Header
                && self.header.len().saturating_add(block.len()) <= MAX_HEADER
            {
                self.header.extend_from_slice(block);
            }
            let waits = end.saturating_sub(start) as u64;
            let size = files.written.saturating_add(waits);
            let grown = size.saturating_add(piece.length as u64);
            if piece.kind == Kind::Packet && grown > self.recording.most && size > files.header {
                files.put(chunk.get(start..end).unwrap_or_default())?;
                start = end;
                if self.recording.files.unwrap_or(1) > 1 {
                    files.rotate(&self.recording, &self.header)?;
                } else if !std::mem::replace(&mut self.full, true) {
                    let clock = agent.clock();
                    let reason = "the file is as large as packet_file_kib lets it be";
                    agent.packets.end(self.id, End::new(Ending::Complete, reason), &clock);
                }
            }
            if piece.kind == Kind::Packet && self.full {
                files.put(chunk.get(start..end).unwrap_or_default())?;
                start = after;
            }
            end = after;
            if piece.kind == Kind::Header {
                files.header = files.header.saturating_add(piece.length as u64);
            }
        }
        files.put(chunk.get(start..end).unwrap_or_default())
    }
}

impl Files {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.written = self.written.saturating_add(bytes.len() as u64);
        self.file.write_all(bytes)
    }

    /// Puts the file aside and begins the next.
    fn rotate(&mut self, recording: &Recording, header: &[u8]) -> Result<()> {
        let name = &recording.name;
        let files = recording.files.unwrap_or(1);
        for number in (1..files.saturating_sub(1)).rev() {
            let from = format!("{name}.{number}");
            let to = format!("{name}.{}", number.saturating_add(1));
            // There are less of them at first.
            let _ = self.directory.rename(&from, &to);
        }
        self.directory.rename(name, &format!("{name}.1"))?;
        self.file = self.directory.create(name, 0o640)?;
        (self.written, self.header) = (0, header.len() as u64);
        self.put(header)
    }
}
