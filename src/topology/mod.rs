//! To come.
pub mod links;
