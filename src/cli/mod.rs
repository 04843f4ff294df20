//! The command line: what was typed, turned into settings or into a run of a sub-command.

use std::io::{ErrorKind, Write as _};

use crate::text::is_hidden;

/// Tells people something on standard error.
macro_rules! complain {
    ($($text:tt)*) => {{
        $crate::cli::complain(&format!($($text)*));
    }};
}

pub mod agent;
pub mod args;
pub mod capture;
pub mod ctl;
pub mod lookup;
pub mod query;
pub mod read;
pub mod rpcd;
mod sink;
mod telemetry;

/// Writes a line to standard error, where it commands no terminal: parts of it may come from the
/// network, or be names of files. A reader that is gone is no failure.
fn complain(text: &str) {
    let is_hidden = |c| is_hidden(c) && c != '\n';
    let _ = writeln!(std::io::stderr(), "{}", text.replace(is_hidden, "?"));
}

/// Prints to standard output and returns the exit code: a reader that has seen enough is no
/// failure.
#[must_use]
pub fn print(text: &str) -> i32 {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain!("portolan: standard output: {error}");
            exit::FAILED
        }
        _ => exit::OK,
    }
}

/// Exit codes, the same for every sub-command.
pub mod exit {
    /// All went well.
    pub const OK: i32 = 0;
    /// The operation failed, or a capture file is damaged.
    pub const FAILED: i32 = 1;
    /// Something on the command line or in the configuration is wrong.
    pub const USAGE: i32 = 2;
    /// The agent runs already, or cannot be reached.
    pub const UNREACHABLE: i32 = 3;
    /// A permission is missing.
    pub const DENIED: i32 = 4;
    /// Stopped by Ctrl-C.
    pub const INTERRUPTED: i32 = 130;
}
