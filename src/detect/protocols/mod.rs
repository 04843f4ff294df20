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
    websocket::DISSECTOR,
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
    stun::DISSECTOR,
    sip::DISSECTOR,
    wireguard::DISSECTOR,
    openvpn::DISSECTOR,
    ipsec::DISSECTOR,
    bittorrent::DISSECTOR,
    gnutella::DISSECTOR,
    edonkey::DISSECTOR,
    syncthing::DISSECTOR,
    resilio::DISSECTOR,
    ethereum::DISSECTOR,
    bitcoin::DISSECTOR,
    bitcoin::NANO,
    monero::DISSECTOR,
    mining::DISSECTOR,
    libp2p::DISSECTOR,
    rdp::DISSECTOR,
    h323::DISSECTOR,
    gateways::MGCP,
    gateways::MEGACO,
    iax::DISSECTOR,
    skinny::DISSECTOR,
    discord::DISSECTOR,
    whatsapp::DISSECTOR,
    telegram::DISSECTOR,
    viber::DISSECTOR,
    kakaotalk::DISSECTOR,
    tencent::OICQ,
    tencent::WECHAT,
    tencent::GAMES,
    zoom::DISSECTOR,
    messengers::THREEMA,
    messengers::DINGTALK,
    messengers::SD_RTN,
    messengers::WEBEX,
    valve::SOURCE,
    valve::RELAY,
    valve::TEEWORLDS,
    raknet::DISSECTOR,
    battlenet::STARCRAFT,
    battlenet::WARCRAFT,
    battlenet::WARCRAFT3,
    minecraft::DISSECTOR,
    photon::PHOTON,
    photon::GAIJIN,
    games::NINTENDO,
    games::RIOT,
    games::WILD_RIFT,
    games::EPIC,
    games::AMONG_US,
    games::ACTIVISION,
    games::COD_MOBILE,
    games::EXILE,
    games::MAPLE,
    games::KUNG_FU,
    games::GENSHIN,
    games::NETCODE,
    games::NETEASE,
    games::CROSSFIRE,
    voice::TEAMSPEAK,
    voice::MUMBLE,
    tunnels::PPTP,
    tunnels::L2TP,
    tunnels::TINC,
    tunnels::NEBULA,
    tunnels::ZEROTIER,
    tunnels::SOFTETHER,
    tunnels::FRP,
    tunnels::AYIYA,
    n2n::DISSECTOR,
    kcp::DISSECTOR,
    desktops::VNC,
    desktops::X11,
    desktops::XDMCP,
    desktops::CITRIX,
    desktops::NOMACHINE,
    desktops::RADMIN,
    desktops::TEAMVIEWER,
    homes::XIAOMI,
    homes::TP_LINK,
    homes::TUYA,
    homes::LIFX,
    homes::NEST,
    homes::SPOTIFY,
    homes::DROPBOX,
    homes::UBIQUITI,
    homes::MIKROTIK,
    homes::MERAKI,
    homes::MATTER,
    services::AVAST,
    services::ALI_CLOUD,
    services::IQIYI,
    services::ATLAS,
    services::KISMET,
    services::UFTP,
    services::RX,
    services::VIRTGROUP,
    services::OOKLA,
    services::IPERF,
    services::SOULSEEK,
    services::NOE,
    rtp::DISSECTOR,
    bfcp::DISSECTOR,
    messengers::IMO,
    // Infrastructure, industry, databases, routing.
];

mod ajp;
mod battlenet;
mod bfcp;
mod bitcoin;
mod bittorrent;
mod desktops;
mod discord;
mod dns;
mod dnscrypt;
mod dtls;
mod edonkey;
mod ethereum;
mod fastcgi;
mod finger;
mod ftp;
mod games;
mod gateways;
mod git;
mod gnutella;
mod gopher;
mod h323;
mod haproxy;
mod homes;
mod http;
mod http2;
mod iax;
mod icap;
mod icy;
mod imap;
mod ipsec;
mod irc;
mod json_rpc;
mod kakaotalk;
mod kcp;
mod libp2p;
mod messengers;
mod minecraft;
mod mining;
mod monero;
mod n2n;
mod netbios;
mod nntp;
mod ntp;
mod openvpn;
mod photon;
mod pop3;
mod quic;
mod raknet;
mod rdp;
mod resilio;
mod rsync;
mod rtmp;
mod rtp;
mod rtsp;
mod services;
mod sip;
mod skinny;
mod smtp;
mod socks;
mod ssdp;
mod ssh;
mod stun;
mod svn;
mod syncthing;
mod telegram;
mod telnet;
mod tencent;
mod tftp;
mod tls;
mod tunnels;
mod valve;
mod viber;
mod voice;
mod websocket;
mod whatsapp;
mod whois;
mod wireguard;
mod wsd;
mod xmpp;
mod zoom;
