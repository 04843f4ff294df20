//! Flows: who talks to whom, how much, since when and how well. Packets go in as decoded values,
//! time is an argument; the table is bounded and says what it had to give up.

pub use self::entry::{Flow, HELD_PACKETS, State};
pub use self::filter::Query;
pub use self::key::{Key, Seed, Side, Sides};
pub use self::orient::{Locality, Network, Orientation, OtherType, Role};
pub use self::record::Record;
pub use self::slab::FLOWS_MAX;
pub use self::table::{
    EndReason, FlowId, Limits, Observer, Prepared, Sight, Table, Timeouts, Touched,
};
pub use self::tcp::Health;
pub use self::top::Top;
pub use self::totals::Totals;

mod entry;
mod fragments;
mod key;
mod queue;
mod slab;
mod table;
mod tcp;
mod wheel;

pub mod filter;
pub mod orient;
pub mod record;
pub mod top;
pub mod totals;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
