//! Drives everything: what the kernel gives goes into the engine, what the engine says goes out.

pub mod capture;
pub mod watch;
