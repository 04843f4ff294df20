//! The agent: the only thing that changes state. It is fed frames, messages of the kernel and
//! commands, and knows no socket and no clock.

use std::collections::VecDeque;

use crate::counters::Counters;
use crate::flow::record::Record;

use super::auth::Caller;
use super::bus::Bus;
use super::command::{Command, Failure, Page};
use super::groups::Members;
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
    /// What is true of the answer as a whole, shown beside its rows; often nothing.
    pub about: Row,
    /// What the caller passes as `after` to get the rest, once the rows are out.
    pub next: Option<u64>,
}

#[derive(Debug)]
enum Kind {
    Flows { query: Selection, page: Page },
    Members(Members),
    Ready(VecDeque<Row>),
}

impl Cursor {
    /// An answer whose rows are made already.
    pub(super) const fn ready(rows: VecDeque<Row>, about: Row) -> Self {
        Self { kind: Kind::Ready(rows), about, next: None }
    }

    /// The members of groups.
    pub(super) const fn members(members: Members, about: Row) -> Self {
        Self { kind: Kind::Members(members), about, next: None }
    }
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
    /// Gives a file of the state directory another name, in place of a file of that name.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&mut self, from: &str, to: &str) -> Result<(), String>;
    /// Names of the files in a folder of the state directory, in lexical order; none if there
    /// is no such folder.
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
    /// Losses and limits.
    pub counters: Counters,
    pub(super) host: Box<dyn Host>,
}

impl Agent {
    /// A new agent.
    #[must_use]
    pub fn new(host: Box<dyn Host>) -> Self {
        Self {
            bus: Bus::default(),
            groups: crate::group::Store::default(),
            counters: Counters::default(),
            host,
        }
    }

    /// Runs a command.
    ///
    /// # Errors
    /// See [`Failure`]; nothing was changed.
    pub fn run(&mut self, command: Command, caller: &Caller) -> Result<Reply, Failure> {
        let _ = caller;
        match command {
            Command::GroupAdd { group, entries } => self.group_add(&group, &entries),
            Command::GroupFlush { group } => self.group_flush(&group),
            Command::GroupList { group } => self.group_list(group.as_deref()),
            Command::GroupLoad { group } => self.group_load(&group),
            Command::GroupLookup { group, entries } => {
                self.group_lookup(group.as_deref(), &entries)
            }
            Command::GroupMembers { group, page } => self.group_members(group.as_deref(), page),
            Command::GroupRemove { group, entries } => self.group_remove(&group, &entries),
            Command::GroupSave { group } => self.group_save(&group),
            _ => Err(Failure::Unknown),
        }
    }

    /// Fetches at most `most` further rows of an answer into `into`; `false` once it is complete.
    pub fn rows(&mut self, cursor: &mut Cursor, most: usize, into: &mut Vec<Item>) -> bool {
        match &mut cursor.kind {
            Kind::Flows { query, page } => {
                let _ = (query, page);
                false
            }
            Kind::Members(members) => members.rows(&self.groups, most, into, &mut cursor.next),
            Kind::Ready(rows) => {
                into.extend(rows.drain(..most.min(rows.len())).map(Item::Row));
                !rows.is_empty()
            }
        }
    }
}
