//! What is around this machine: its interfaces and what they carry, and the neighbours on them.
//!
//! Fed with decoded netlink messages, tells what changed. Knows no sockets and no clock.

pub mod graph;
pub mod link;
pub mod links;
pub mod neighbours;
pub mod pick;
pub mod value;
