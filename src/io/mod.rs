//! Drives everything: what the kernel gives goes into the agent, what the agent says goes out.

pub mod capture;
pub mod clients;
pub mod conntrack;
pub mod discovery;
pub mod exporter;
pub mod frames;
pub mod host;
mod hosts;
pub mod http;
pub mod injector;
pub mod locate;
pub mod logger;
pub mod management;
pub mod poster;
pub mod probes;
pub mod recorder;
pub mod relay;
pub mod run;
pub mod sessions;
mod sinks;
pub mod sockets;
pub mod spaces;
pub mod token;
pub mod watch;
