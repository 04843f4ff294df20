//! Address groups: named sets of hosts, networks and hardware addresses that scripts maintain
//! over the API. How they look on flash is in [`mod@file`], but the storing itself is left to
//! the command layer.

pub mod address;
pub mod file;
pub mod store;

pub use address::Entry;
pub use store::Store;
