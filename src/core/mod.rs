//! The command layer: every command once, whoever asks. [`Agent`] is the only thing that changes
//! state; front-ends translate bytes into [`command::Command`]s and [`row::Row`]s into bytes.

pub mod access;
pub mod agent;
pub mod alerts;
pub mod attach;
pub mod auth;
pub mod bus;
pub mod command;
pub mod devices;
pub mod discovery;
pub mod engine;
pub mod events;
pub mod exports;
pub mod feed;
mod flow_facts;
pub mod flow_news;
pub mod gremlin;
pub mod groups;
pub mod import;
pub mod inject;
pub mod labelled;
pub mod listing;
pub mod lookback;
pub mod lookup;
mod map;
pub mod names;
pub mod nat;
pub mod orders;
pub mod pace;
pub mod packets;
pub mod processes;
mod products;
pub mod publish;
pub mod recall;
pub mod relay;
pub mod report;
pub mod resources;
pub mod row;
pub mod rulebook;
pub mod rules;
pub mod select;
pub mod status;
pub mod subject;
pub mod telemetry;

pub use agent::Agent;
