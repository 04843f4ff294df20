//! What is around this machine: its interfaces and what they carry, and the neighbours on them.
//!
//! Fed with decoded netlink messages, tells what changed. Knows no sockets and no clock.

mod fabric;
pub mod graph;
mod interface;
pub mod link;
pub mod links;
pub mod machine;
mod metadata;
mod names;
pub mod neighbours;
pub mod pick;
pub mod sockets;
pub mod sorted;
pub mod space;
pub mod spaces;
pub mod text;
pub mod value;
