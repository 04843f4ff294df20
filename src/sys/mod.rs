//! The kernel's side of things: packet sockets, netlink, signals, clocks and the process itself.
//!
//! One file, one resource, released by its `Drop`; what they export is safe. Nothing here knows
//! of flows or interfaces by meaning: plain values and bytes go up to `io`.

pub mod argv;
pub mod aside;
pub mod capture;
pub mod clock;
pub mod ethtool;
pub mod files;
pub mod gre;
pub mod heap;
pub mod inject;
pub mod inotify;
pub mod netlink;
pub mod netns;
pub mod plain;
pub mod privileges;
pub mod process;
pub mod rand;
pub mod ring;
pub mod signals;
mod socket;
pub mod stderr;
pub mod tcp;
pub mod udp;
pub mod unix_socket;
