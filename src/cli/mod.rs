//! The command line: what was typed, turned into settings or into a run of a sub-command.

pub mod agent;
pub mod args;
pub mod ctl;
pub mod read;

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
