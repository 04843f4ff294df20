//! The HTTP/1.1 front-end with its WebSockets: bytes in, bytes out (RFC 9110, RFC 9112, RFC 6455).
//! Requests are held against the rules on hosts, origins and credentials, led by a table to the
//! command layer, and answered piece by piece, so that no answer and no client holds up another.

mod answer;
pub mod body;
mod connection;
pub mod discovery;
mod edit;
pub mod endpoint;
pub mod envelope;
mod events;
mod filter;
pub mod graph;
pub mod guard;
mod handlers;
pub mod head;
pub mod listing;
mod login;
mod openapi;
#[cfg(feature = "page")]
mod page;
pub mod relay;
mod resources;
pub mod response;
pub mod routes;
mod session;
mod socket;
mod watch;

pub use connection::Http;
pub(in crate::api) use watch::leave_out;
