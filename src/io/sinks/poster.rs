//! Telemetry posted to an HTTP server in batches, one connection for each. A batch that the server
//! cannot take now is kept and tried again; one that it refuses is lost, and counted.

use std::io::{ErrorKind, Read as _, Result};
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::api::sink::Feed;
use crate::api::sink::post::{STATUS, Verdict, request, verdict};
use crate::api::sink::queue::MAX_WAITING;
use crate::time::Tick;

use super::super::poster::{is_passing, send};
use super::super::token::Readiness;
use super::{BackOff, Context, Outlet, Served};

/// Octets of a batch, about: it may be longer by one record.
const BATCH: usize = 32 * 1024;

/// How long records wait for company, in microseconds.
const COMPANY: u64 = 1_000_000;

/// A server that has not answered after this many microseconds is given up.
const PATIENCE: u64 = 10_000_000;

struct Open {
    stream: TcpStream,
    request: Vec<u8>,
    sent: usize,
    answer: Vec<u8>,
    until: Tick,
    readiness: Readiness,
}

/// Where they go.
pub(super) struct Poster {
    address: SocketAddr,
    host: String,
    path: String,
    open: Option<Open>,
    /// What is on its way, with the number of its records.
    batch: Option<(Vec<u8>, u64)>,
    /// Since when something waits for company.
    since: Option<Tick>,
    retry: Tick,
    back_off: BackOff,
    problem: Option<String>,
}

impl Poster {
    pub(super) const fn new(address: SocketAddr, host: String, path: String) -> Self {
        Self {
            address,
            host,
            path,
            open: None,
            batch: None,
            since: None,
            retry: Tick(0),
            back_off: BackOff(BackOff::FIRST),
            problem: None,
        }
    }

    fn connect(&self, body: &[u8], token: Token, registry: &Registry, now: Tick) -> Result<Open> {
        let mut stream = TcpStream::connect(self.address)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Open {
            stream,
            request: request(&self.host, &self.path, body),
            sent: 0,
            answer: Vec::new(),
            until: now.plus(PATIENCE),
            readiness: Readiness::default(),
        })
    }

    /// Takes a batch together if it is time.
    fn gather(&mut self, feed: &mut Feed, now: Tick, all: bool) {
        if self.batch.is_some() || feed.is_empty() {
            return;
        }
        let since = *self.since.get_or_insert(now);
        if !all && feed.waiting() < BATCH && now.since(since) < COMPANY {
            return;
        }
        let (mut body, before) = (Vec::new(), feed.records);
        while body.len() < BATCH
            && let Some(json) = feed.next_framed()
        {
            body.extend_from_slice(&json);
        }
        self.since = None;
        self.batch = Some((body, feed.records.saturating_sub(before)));
    }

    fn end(&mut self, verdict: Verdict, feed: &mut Feed, context: &Context<'_>) {
        if let Some(mut open) = self.open.take() {
            // Only fails for a descriptor that was never registered.
            let _ = context.registry.deregister(&mut open.stream);
        }
        let problem = match verdict {
            Verdict::Taken => {
                self.batch = None;
                self.problem = None;
                return self.back_off.reset();
            }
            Verdict::Later(problem) => problem,
            Verdict::Refused(problem) => {
                if let Some((_, records)) = self.batch.take() {
                    feed.lose(records);
                }
                problem
            }
        };
        if self.problem.as_ref() != Some(&problem) {
            log::warn!("telemetry to http://{}{}: {problem}", self.host, self.path);
        }
        self.problem = Some(problem);
        self.retry = self.back_off.next(context.now);
    }
}

impl Open {
    /// Writes and reads what can be; the verdict once it is there.
    fn go_on(&mut self) -> Result<Option<Verdict>> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        let readiness = std::mem::take(&mut self.readiness);
        if readiness.writable {
            send(&mut self.stream, &self.request, &mut self.sent)?;
        }
        let mut buffer = [0; 512];
        if !readiness.readable {
            return Ok(None);
        }
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    let closed = || Verdict::Later("closed without an answer".to_owned());
                    return Ok(Some(verdict(&self.answer).unwrap_or_else(closed)));
                }
                Ok(count) => {
                    let room = STATUS.saturating_sub(self.answer.len());
                    let new = buffer.get(..count.min(room)).unwrap_or_default();
                    self.answer.extend_from_slice(new);
                    // One that answers before it has all does not want the rest.
                    if let Some(verdict) = verdict(&self.answer) {
                        return Ok(Some(verdict));
                    }
                }
                Err(error) if is_passing(error.kind()) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl Outlet for Poster {
    fn event(&mut self, readiness: Readiness) {
        if let Some(open) = &mut self.open {
            open.readiness.readable |= readiness.readable;
            open.readiness.writable |= readiness.writable;
        }
    }

    fn serve(&mut self, feed: &mut Feed, context: &mut Context<'_>) -> Served {
        let now = context.now;
        if let Some(open) = &mut self.open {
            if open.readiness == Readiness::default() && now < open.until {
                return Served::Waits;
            }
            match open.go_on() {
                Ok(Some(verdict)) => self.end(verdict, feed, context),
                Ok(None) if now < open.until => return Served::Waits,
                Ok(None) => self.end(Verdict::Later("no answer".to_owned()), feed, context),
                Err(error) => self.end(Verdict::Later(error.to_string()), feed, context),
            }
        }
        if now < self.retry {
            return Served::Waits;
        }
        self.gather(feed, now, false);
        let Some((body, _)) = &self.batch else { return Served::Waits };
        match self.connect(body, context.token, context.registry, now) {
            Ok(open) => self.open = Some(open),
            Err(error) => self.end(Verdict::Later(error.to_string()), feed, context),
        }
        Served::Waits
    }

    fn deadline(&self) -> Option<Tick> {
        match &self.open {
            Some(open) => Some(open.until),
            None if self.batch.is_some() => Some(self.retry),
            None => self.since.map(|since| since.plus(COMPANY).max(self.retry)),
        }
    }

    fn state(&self) -> String {
        match &self.problem {
            Some(problem) => format!("{problem}; trying again"),
            None => "posting".to_owned(),
        }
    }

    fn close(&mut self, registry: &Registry) {
        if let Some(mut open) = self.open.take() {
            let _ = registry.deregister(&mut open.stream);
        }
    }

    /// The one thing that is waited for, and not for long: the loop has ended.
    fn finish(&mut self, feed: &mut Feed, context: &mut Context<'_>) {
        use std::io::Write as _;
        use std::time::Duration;
        self.close(context.registry);
        let patience = Duration::from_secs(1);
        for _ in 0..MAX_WAITING / BATCH {
            self.gather(feed, context.now, true);
            let Some((body, _)) = self.batch.take() else { return };
            let posted = std::net::TcpStream::connect_timeout(&self.address, patience).and_then(
                |mut stream| {
                    stream.set_write_timeout(Some(patience))?;
                    stream.set_read_timeout(Some(patience))?;
                    stream.write_all(&request(&self.host, &self.path, &body))?;
                    stream.read(&mut [0; STATUS])
                },
            );
            match posted {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}
