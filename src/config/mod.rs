//! Settings: built-in values, then the configuration file, then the environment, then the
//! command line; later wins.

pub mod access;
pub mod ini;
pub mod settings;
pub mod telemetry;

pub use settings::Settings;
