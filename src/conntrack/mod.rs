//! Connections as the kernel tracks them (nf_conntrack): which of them are translated to other
//! addresses, which are forwarded past everything that could see their packets, and what they
//! carried. A flow on either side of the translation finds its connection here. Who asks the
//! kernel, and when, is the business of the loop.

pub use self::table::{Found, MAX_CONNECTIONS, Place, Sums, Table};

pub mod procfs;
mod table;
