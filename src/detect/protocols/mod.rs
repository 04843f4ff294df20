//! One file for each protocol or family, all of the same shape: what is read, the dissector, its
//! tests. What a file says of a protocol is from its standard, named on top.

use super::dissector::Dissector;

/// All dissectors. The order is that in which they are asked where no port points at one.
pub static ALL: &[Dissector] = &[
    // Web, names, mail, files.
    tls::DISSECTOR,
    quic::DISSECTOR,
    dtls::DISSECTOR,
    ntp::DISSECTOR,
    // Peers, calls, chats, games, tunnels.
    // Infrastructure, industry, databases, routing.
];

mod dtls;
mod ntp;
mod quic;
mod tls;
