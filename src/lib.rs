//! Portolan watches the interfaces of a router, keeps a bounded table of the flows that cross
//! them and answers questions about it over a Unix socket and a UDP management port.
//!
//! The crate is a library with a thin binary. Everything that parses, counts, answers or encodes
//! is plain code over byte slices and values; only [`sys`] and [`io`] talk to the kernel. Which
//! module may use which is laid down in `tests/layers.rs`.

#![deny(unsafe_code)]

pub mod api;
pub mod applications;
pub mod capture;
pub mod cli;
pub mod config;
pub mod conntrack;
pub mod core;
pub mod counters;
pub mod detect;
pub mod expression;
pub mod filter;
pub mod flow;
pub mod group;
pub mod io;
pub mod netns;
pub mod packed;
pub mod query;
pub mod source;
pub mod sys;
pub mod text;
pub mod time;
pub mod topology;
pub mod wire;
