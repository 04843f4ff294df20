//! Flows of on-demand captures, as Skydive's agents make them: keyed by hardware addresses or by
//! IP, one for each piece of a tunnelled packet, with identities that other agents compute too.
//!
//! They are apart from [`crate::flow`]: each capture has a table of its own, whose flows live
//! with it.

mod defrag;
pub mod extra;
pub mod flow;
pub mod key;
pub mod netflow;
pub mod protobuf;
pub mod store;
mod tcp;
#[cfg(test)]
mod testing;

pub use flow::Flow;
pub use store::{FlowRef, Store};
