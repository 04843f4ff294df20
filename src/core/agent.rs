//! The agent: the only thing that changes state. It is fed frames, messages of the kernel and
//! commands, and knows no socket and no clock.

use std::collections::VecDeque;

use crate::flow::record::Record;

use super::auth::Caller;
use super::bus::Bus;
use super::command::{Command, Failure, Page};
use super::row::Row;
use super::select::Selection;

/// What a command answers.
#[derive(Debug)]
pub enum Reply {
    /// One row.
    Row(Row),
    /// Many, to be fetched by [`Agent::rows`] a few at a time.
    Rows(Cursor),
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub enum Item {
    /// As the core spells it.
    Row(Row),
    /// A flow, to be spelled as the interface's clients expect it; [`Agent::flow_row`] has the
    /// core's spelling.
    Flow(Box<Record>),
}

/// Where an answer of many rows stands. Holds no borrow: the table may change underneath, and
/// the answer is a weak snapshot.
#[derive(Debug)]
pub struct Cursor {
    kind: Kind,
    /// What the caller passes as `after` to get the rest, once the rows are out.
    pub next: Option<u64>,
}

#[derive(Debug)]
enum Kind {
    Flows { query: Selection, page: Page },
    Ready(VecDeque<Row>),
}

/// What the agent needs from the machine it runs on. `io` provides it, tests pretend.
pub trait Host {
    /// Writes a file of the state directory: afterwards it is the old or the new one, never a
    /// torn one.
    ///
    /// # Errors
    /// What the system says.
    fn save(&mut self, name: &str, bytes: &[u8]) -> Result<(), String>;
    /// Reads a file of the state directory; `None` if there is none.
    ///
    /// # Errors
    /// What the system says.
    fn load(&mut self, name: &str) -> Result<Option<Vec<u8>>, String>;
    /// Removes a file of the state directory; it is fine if there is none.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&mut self, name: &str) -> Result<(), String>;
    /// Names of the files in a folder of the state directory, in lexical order.
    ///
    /// # Errors
    /// What the system says.
    fn list(&mut self, folder: &str) -> Result<Vec<String>, String>;
}

/// The agent.
pub struct Agent {
    /// Events on their way to subscribers.
    pub bus: Bus,
    /// Address groups.
    pub groups: crate::group::Store,
    host: Box<dyn Host>,
}

impl Agent {
    /// A new agent.
    #[must_use]
    pub fn new(host: Box<dyn Host>) -> Self {
        Self { bus: Bus::default(), groups: crate::group::Store::default(), host }
    }

    /// Runs a command.
    ///
    /// # Errors
    /// See [`Failure`]; nothing was changed.
    pub fn run(&mut self, command: Command, caller: &Caller) -> Result<Reply, Failure> {
        let _ = (command, caller, &mut self.host);
        Err(Failure::Unknown)
    }

    /// Fetches at most `most` further rows of an answer into `into`; `false` once it is complete.
    pub fn rows(&mut self, cursor: &mut Cursor, most: usize, into: &mut Vec<Item>) -> bool {
        let _ = (most, into);
        match &cursor.kind {
            Kind::Flows { query, page } => {
                let _ = (query, page);
                false
            }
            Kind::Ready(rows) => !rows.is_empty(),
        }
    }
}
