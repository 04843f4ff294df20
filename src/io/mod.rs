//! Drives everything: what the kernel gives goes into the agent, what the agent says goes out.

pub mod capture;
pub mod clients;
pub mod host;
pub mod http;
pub mod logger;
pub mod management;
pub mod run;
pub mod token;
pub mod watch;
