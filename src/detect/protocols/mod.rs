//! One file for each protocol or family, all of the same shape: what is read, the dissector, its
//! tests. What a file says of a protocol is from its standard, named on top.

use super::dissector::Dissector;

/// All dissectors. The order is that in which they are asked where no port points at one.
pub static ALL: &[Dissector] = &[
    // Web, names, mail, files.
    tls::DISSECTOR,
    quic::DISSECTOR,
    dtls::DISSECTOR,
    http::DISSECTOR,
    http2::DISSECTOR,
    fastcgi::DISSECTOR,
    haproxy::DISSECTOR,
    ajp::DISSECTOR,
    json_rpc::DISSECTOR,
    icap::DISSECTOR,
    icy::DISSECTOR,
    dns::DISSECTOR,
    dns::MULTICAST,
    dns::LINK_LOCAL,
    dnscrypt::DISSECTOR,
    netbios::NAMES,
    netbios::DATAGRAMS,
    netbios::SESSIONS,
    ssh::DISSECTOR,
    smtp::DISSECTOR,
    imap::DISSECTOR,
    pop3::DISSECTOR,
    ftp::CONTROL,
    ftp::DATA,
    tftp::DISSECTOR,
    nntp::DISSECTOR,
    irc::DISSECTOR,
    xmpp::DISSECTOR,
    telnet::DISSECTOR,
    ssdp::DISSECTOR,
    wsd::DISSECTOR,
    rtsp::DISSECTOR,
    rtmp::DISSECTOR,
    git::DISSECTOR,
    svn::DISSECTOR,
    rsync::DISSECTOR,
    whois::DISSECTOR,
    gopher::DISSECTOR,
    finger::DISSECTOR,
    socks::DISSECTOR,
    ntp::DISSECTOR,
    // Peers, calls, chats, games, tunnels.
    // Infrastructure, industry, databases, routing.
];

mod ajp;
mod dns;
mod dnscrypt;
mod dtls;
mod fastcgi;
mod finger;
mod ftp;
mod git;
mod gopher;
mod haproxy;
mod http;
mod http2;
mod icap;
mod icy;
mod imap;
mod irc;
mod json_rpc;
mod netbios;
mod nntp;
mod ntp;
mod pop3;
mod quic;
mod rsync;
mod rtmp;
mod rtsp;
mod smtp;
mod socks;
mod ssdp;
mod ssh;
mod svn;
mod telnet;
mod tftp;
mod tls;
mod whois;
mod wsd;
mod xmpp;
