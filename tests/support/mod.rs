//! A machine that exists only in memory, and a client of the Unix socket without a socket.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test uses its part of it, and a panic is how a test fails"
)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use portolan::api::unix::{MAX_REQUEST, Unix};
use portolan::api::{Connection, Outbox, Progress};
use portolan::config::Settings;
use portolan::core::Agent;
use portolan::core::agent::{Facts, Host, Usage};
use portolan::core::auth::{Caller, Right};
use portolan::time::{Clock, Tick, Wall};

/// The files of the state directory, shared with the test.
#[derive(Clone, Default)]
pub struct Flash {
    pub files: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    /// What each write answers, if it fails.
    pub broken: Rc<RefCell<Option<String>>>,
    pub writes: Rc<RefCell<usize>>,
}

impl Flash {
    pub fn agent(&self) -> Agent {
        let clock = Clock { tick: Tick::from_secs(1_000), wall: Wall(1_760_000_000_000_000) };
        Agent::new(Settings::default(), Facts::default(), Box::new(self.clone()), clock)
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        self.files.borrow_mut().insert(name.to_owned(), bytes.as_ref().to_vec());
    }

    pub fn names(&self) -> Vec<String> {
        self.files.borrow().keys().cloned().collect()
    }

    fn check(&self) -> Result<(), String> {
        self.broken.borrow().clone().map_or(Ok(()), Err)
    }
}

impl Host for Flash {
    fn save(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        self.check()?;
        *self.writes.borrow_mut() += 1;
        self.put(name, bytes);
        Ok(())
    }

    fn load(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(self.files.borrow().get(name).cloned())
    }

    fn remove(&mut self, name: &str) -> Result<(), String> {
        self.check()?;
        self.files.borrow_mut().remove(name);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), String> {
        self.check()?;
        let bytes = self.files.borrow_mut().remove(from).ok_or("no such file")?;
        self.put(to, bytes);
        Ok(())
    }

    fn list(&mut self, folder: &str) -> Result<Vec<String>, String> {
        let inside =
            |name: &String| name.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned);
        Ok(self.files.borrow().keys().filter_map(inside).collect())
    }

    fn usage(&mut self) -> Usage {
        Usage::default()
    }

    fn configure(&mut self) -> Result<Settings, String> {
        self.check().map(|()| Settings::default())
    }

    fn set_log_level(&mut self, _: u8) {}
}

/// A client whose bytes go straight into the front-end, as the loop would bring them.
pub struct Client {
    pub unix: Unix,
    pub agent: Agent,
    pub out: Outbox,
    input: Vec<u8>,
    /// All that was answered.
    pub answered: Vec<u8>,
    /// The front-end has ended the connection.
    pub closed: bool,
    /// The most input that was ever kept.
    pub most_kept: usize,
    finished: bool,
}

impl Client {
    pub fn new(agent: Agent) -> Self {
        Self {
            unix: Unix::new(Caller { right: Right::Admin }),
            agent,
            out: Outbox::new(1024 * 1024),
            input: Vec::new(),
            answered: Vec::new(),
            closed: false,
            most_kept: 0,
            finished: false,
        }
    }

    /// One turn of the loop; `false` if nothing moved.
    pub fn turn(&mut self) -> bool {
        let before = (self.input.len(), self.out.pending().len());
        if !self.finished && !self.input.is_empty() && self.unix.ready(&self.out) {
            match self.unix.receive(&self.input, &mut self.agent, &mut self.out, Tick(0)) {
                Ok(used) => drop(self.input.drain(..used)),
                Err(_) => {
                    self.closed = true;
                    self.input.clear();
                }
            }
        }
        self.most_kept = self.most_kept.max(self.input.len());
        let progress = match self.closed {
            true => Progress::Done,
            false => self.unix.produce(&mut self.agent, &mut self.out, Tick(0)),
        };
        self.closed |= progress == Progress::Done;
        before != (self.input.len(), self.out.pending().len()) || progress == Progress::More
    }

    /// Sends bytes and reads what comes back until nothing moves.
    pub fn send(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(64 * 1024) {
            if self.closed {
                return;
            }
            self.input.extend_from_slice(chunk);
            self.settle();
            assert!(self.input.len() <= MAX_REQUEST, "the loop's buffer would be full");
        }
    }

    /// Closes the client's side.
    pub fn finish(&mut self) {
        if !self.closed {
            let rest = std::mem::take(&mut self.input);
            self.unix.finish(&rest, &mut self.agent, &mut self.out, Tick(0));
            self.finished = true;
            self.settle();
        }
    }

    pub fn settle(&mut self) {
        loop {
            let moved = self.turn();
            self.answered.extend_from_slice(self.out.pending());
            self.out.advance(usize::MAX);
            if !moved || self.closed {
                break;
            }
        }
    }

    /// What was answered since the last call, as text.
    pub fn take(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.answered)).unwrap()
    }

    /// Sends text and takes the answer.
    pub fn ask(&mut self, text: &str) -> String {
        self.send(text.as_bytes());
        self.take()
    }
}

/// Types of the blocks in a stream of pcapng.
pub fn blocks(mut bytes: &[u8]) -> Vec<u32> {
    let mut kinds = Vec::new();
    while !bytes.is_empty() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        kinds.push(word(0));
        bytes = &bytes[usize::try_from(word(4)).unwrap()..];
    }
    kinds
}
