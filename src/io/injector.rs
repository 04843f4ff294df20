//! Sends what clients want injected, each job at its interval and all of them within a rate.

use std::io::ErrorKind;

use crate::core::Agent;
use crate::core::inject::Job;
use crate::sys::inject::Sender;
use crate::time::Tick;

use super::spaces::Spaces;

/// Packets a second that all jobs together send at most.
const MAX_RATE: u64 = 1_000;

/// Packets that may be sent at once after a pause.
const BURST: u64 = 50;

#[derive(Debug)]
struct Running {
    job: Job,
    sender: Sender,
    sent: u32,
    due: Tick,
}

/// Jobs under way.
#[derive(Debug, Default)]
pub struct Injector {
    running: Vec<Running>,
    /// Microseconds of sending time saved up: one packet costs `1 s / MAX_RATE`.
    credit: u64,
    credited: Tick,
    frame: Vec<u8>,
}

impl Injector {
    /// Begins with new jobs and sends what is due.
    pub fn serve(&mut self, agent: &mut Agent, spaces: &Spaces, now: Tick) {
        while let Some(job) = agent.jobs.next_job() {
            let opened = spaces.on_node(agent, &job.node, Sender::open);
            match opened.and_then(|opened| opened) {
                Ok(sender) => self.running.push(Running { job, sender, sent: 0, due: now }),
                Err(error) => {
                    agent.jobs.running = agent.jobs.running.saturating_sub(1);
                    log::warn!("injection: {error}");
                }
            }
        }
        if self.running.is_empty() {
            return;
        }
        let cost = 1_000_000_u64.checked_div(MAX_RATE).unwrap_or(1);
        let most = cost.saturating_mul(BURST);
        self.credit = self.credit.saturating_add(now.since(self.credited)).min(most);
        self.credited = now;
        for running in &mut self.running {
            while running.sent < running.job.count && running.due <= now && self.credit >= cost {
                let made = running.job.frame(running.sent, &mut self.frame);
                let made = made.map_err(std::io::Error::other);
                match made.and_then(|()| running.sender.send(&self.frame)) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => {
                        log::warn!("injection: {error}");
                        running.sent = running.job.count;
                        break;
                    }
                }
                self.credit = self.credit.saturating_sub(cost);
                running.sent = running.sent.saturating_add(1);
                running.due = running.due.plus(running.job.interval.saturating_mul(1_000));
            }
        }
        let before = self.running.len();
        self.running.retain(|running| running.sent < running.job.count);
        let ended = before.saturating_sub(self.running.len());
        agent.jobs.running = agent.jobs.running.saturating_sub(ended);
    }

    /// When [`Self::serve`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Tick> {
        let cost = 1_000_000_u64.checked_div(MAX_RATE).unwrap_or(1);
        let first = self.running.iter().map(|running| running.due).min()?;
        Some(first.max(self.credited.plus(cost)))
    }
}
