//! The command layer: every command once, whoever asks. [`Agent`] is the only thing that changes
//! state; front-ends translate bytes into [`command::Command`]s and [`row::Row`]s into bytes.

pub mod agent;
pub mod auth;
pub mod bus;
pub mod command;
pub mod engine;
pub mod events;
pub mod groups;
pub mod listing;
mod map;
pub mod report;
pub mod row;
pub mod select;
pub mod status;

pub use agent::Agent;
