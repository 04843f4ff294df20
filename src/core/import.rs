//! Capture files that clients send: their packets go through a flow table of their own, whose
//! flows can be asked for like those of a capture until they expire.

use std::io::Read;

use crate::capture::store::Settings;
use crate::source::file::{Error, Reader};
use crate::time::Clock;

use super::Agent;
use super::agent::Reply;
use super::command::Failure;
use super::flow_news::News;
use super::row::Row;

impl Agent {
    /// Takes in a capture file. Of a damaged one nothing is kept.
    pub(super) fn import(&mut self, file: &[u8]) -> Result<Reply, Failure> {
        if file.starts_with(&[0x1f, 0x8b]) {
            // A small packed file can hold more than the loop has time for.
            return Err(Failure::Invalid("the file is packed: send it unpacked".to_owned()));
        }
        // The whole file is read before any of it counts.
        let packets = count(file).map_err(Failure::Invalid)?;
        if self.imports.is_none() {
            self.imports = self.captured.open(Settings::default());
        }
        let table = self.imports.ok_or(Failure::Limit)?;
        let unreadable = |error: Error| Failure::Invalid(error.to_string());
        let wall = self.clock().wall;
        let mut reader = open(file).map_err(unreadable)?;
        while let Some(frame) = reader.next_frame().map_err(unreadable)? {
            let mut news = News::new(&mut self.flow_news, &mut self.exports, wall);
            self.captured.frames(table, &[frame], &Clock::FILE, &mut news);
        }
        Ok(Reply::Row(Row::new().with("packets", packets)))
    }
}

/// A file as the command line opens one: the reader is in the program once.
fn open(file: &[u8]) -> Result<Reader<Box<dyn Read + '_>>, Error> {
    Reader::open(Box::new(file))
}

fn count(file: &[u8]) -> Result<u64, String> {
    let mut reader = open(file).map_err(|error| error.to_string())?;
    let mut packets = 0_u64;
    loop {
        match reader.next_frame() {
            Ok(Some(_)) => packets = packets.saturating_add(1),
            Ok(None) => return Ok(packets),
            Err(error) => return Err(format!("packet {}: {error}", packets.saturating_add(1))),
        }
    }
}
