//! Log lines on standard error, at most five a minute from each place in the source, so
//! that neither traffic nor clients can flood the log. A stderr that does not take them loses
//! them: the agent never waits for its log.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::sys::stderr;
use crate::text::plain;

/// Lines a minute from one place in the source.
const PER_MINUTE: u32 = 5;

static LOGGER: Logger = Logger { sites: Mutex::new(None), suppressed: AtomicU32::new(0) };

struct Logger {
    sites: Mutex<Option<HashMap<(&'static str, u32), Site>>>,
    suppressed: AtomicU32,
}

struct Site {
    since: Instant,
    lines: u32,
}

/// Starts logging at a level from 0 (errors) to 4 (debug).
pub fn start(level: u8) {
    // Fails only if it was set before, and then it is this one.
    let _ = log::set_logger(&LOGGER);
    set_level(level);
}

/// Changes the level.
pub fn set_level(level: u8) {
    log::set_max_level(match level {
        0 => LevelFilter::Error,
        1 => LevelFilter::Warn,
        // n2n's "normal" and "info" are one here: notices come as info.
        2 | 3 => LevelFilter::Info,
        _ => LevelFilter::Debug,
    });
}

/// Lines suppressed since the last call.
pub fn take_suppressed() -> u32 {
    LOGGER.suppressed.swap(0, Ordering::Relaxed)
}

impl Logger {
    fn admits(&self, record: &Record<'_>) -> bool {
        let Ok(mut sites) = self.sites.lock() else { return false };
        let place = (record.module_path_static().unwrap_or(""), record.line().unwrap_or(0));
        let now = Instant::now();
        let fresh = || Site { since: now, lines: 0 };
        let site = sites.get_or_insert_with(HashMap::new).entry(place).or_insert_with(fresh);
        if now.duration_since(site.since) >= Duration::from_secs(60) {
            *site = fresh();
        }
        site.lines = site.lines.saturating_add(1);
        site.lines <= PER_MINUTE
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.level() != Level::Debug && !self.admits(record) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let level = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            Level::Info => "",
            Level::Debug | Level::Trace => "debug: ",
        };
        let line = format!("portolan: {level}{}\n", plain(&record.args().to_string()));
        if !stderr::write(&line) {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}
