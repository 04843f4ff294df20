//! Field maps: how the core's values are spelled for clients of the programs we replace. Exact
//! spellings, misspellings included, live here and nowhere else.

pub mod detected;
pub mod nat;
pub mod netify;
pub mod telemetry;
