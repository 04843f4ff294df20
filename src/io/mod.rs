//! The loop and everything on it: the only code that ties sockets, clocks and the agent together.

pub mod capture;
pub mod clients;
pub mod host;
pub mod logger;
pub mod management;
pub mod run;
pub mod token;
