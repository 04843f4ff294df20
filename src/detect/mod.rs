//! What flows are: the first packets with payload are shown to dissectors, one for each protocol,
//! until one knows the flow or all have ruled themselves out. Nothing here sees a socket or a
//! clock; names of applications and of hosts are made of what is found here elsewhere.

pub use self::dissector::{Dissector, Verdict};
pub use self::facts::{Fact, Facts};
pub use self::inspector::{Found, Inspector, Limits, Outcome, Progress, Segment};
pub use self::protocol::{Category, Protocol};
pub use self::view::{Glimpse, Memory, Transport, View};

mod cursor;
mod dissector;
mod facts;
mod inspector;
mod streams;
mod text;
mod view;

pub mod protocol;
pub mod protocols;

#[cfg(test)]
mod testing;
