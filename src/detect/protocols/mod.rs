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
    games::GUILD_WARS,
    games::DOFUS,
    games::ARMAGETRON,
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
    tunnels::CISCO,
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
    skype::DISSECTOR,
    // Infrastructure, industry, databases, routing.
    dhcp::DISSECTOR,
    dhcpv6::DISSECTOR,
    snmp::DISSECTOR,
    syslog::DISSECTOR,
    radius::DISSECTOR,
    diameter::DISSECTOR,
    tacacs::DISSECTOR,
    kerberos::DISSECTOR,
    ldap::DISSECTOR,
    dcerpc::DISSECTOR,
    smb::DISSECTOR,
    rpc::DISSECTOR,
    afp::DISSECTOR,
    storage::NINE_P,
    storage::ISCSI,
    storage::NBD,
    storage::CEPH,
    storage::LUSTRE,
    storage::NDMP,
    storage::BACULA,
    mysql::DISSECTOR,
    pgsql::DISSECTOR,
    redis::DISSECTOR,
    mongodb::DISSECTOR,
    tds::DISSECTOR,
    oracle::DISSECTOR,
    memcached::DISSECTOR,
    databases::CASSANDRA,
    databases::ELASTICSEARCH,
    databases::DRDA,
    databases::FIREBIRD,
    databases::CLICKHOUSE,
    databases::AEROSPIKE,
    databases::ZOOKEEPER,
    databases::INFLUXDB,
    databases::BOLT,
    mqtt::DISSECTOR,
    coap::DISSECTOR,
    messaging::AMQP,
    messaging::KAFKA,
    messaging::NATS,
    messaging::ZMQ,
    messaging::STOMP,
    messaging::OPENWIRE,
    messaging::IBM_MQ,
    messaging::MSMQ,
    messaging::PULSAR,
    messaging::GEARMAN,
    monitoring::COLLECTD,
    monitoring::MUNIN,
    monitoring::CHECKMK,
    monitoring::ZABBIX,
    monitoring::NRPE,
    monitoring::STATSD,
    monitoring::GRAPHITE,
    monitoring::GELF,
    monitoring::RELP,
    monitoring::LUMBERJACK,
    monitoring::GANGLIA,
    monitoring::NUT,
    remote_calls::CORBA,
    remote_calls::JRMI,
    remote_calls::THRIFT,
    remote_calls::HAZELCAST,
    remote_calls::EPMD,
    remote_calls::RAFT,
    telecom::SMPP,
    telecom::HL7,
    telecom::DICOM,
    modbus::DISSECTOR,
    tpkt::DISSECTOR,
    power::DNP3,
    power::IEC104,
    power::DLMS,
    power::C37118,
    power::C1222,
    power::ATG,
    factory::ETHERNET_IP,
    factory::FINS,
    factory::ADS,
    factory::HART_IP,
    factory::GE_SRTP,
    factory::GE_EGD,
    factory::PCWORX,
    factory::PROCONOS,
    factory::CODESYS,
    factory::MELSEC,
    factory::ETHER_S_BUS,
    factory::ETHER_S_IO,
    factory::TRISTATION,
    factory::ETHERCAT,
    factory::OPC_UA,
    factory::CNP_IP,
    factory::FOX,
    building::BACNET,
    building::KNX,
    building::SOMEIP,
    building::RTPS,
    building::DOIP,
    building::CAN,
    building::TRDP,
    building::GVCP,
    building::ARTNET,
    building::SACN,
    building::HISLIP,
    building::MAVLINK,
    building::OSC,
    building::NMEA,
    building::LORAWAN,
    building::ZEP,
    routing::BGP,
    routing::LDP,
    routing::MSDP,
    routing::RIP,
    routing::RIPNG,
    routing::OLSR,
    routing::BABEL,
    routing::BFD,
    routing::HSRP,
    routing::GLBP,
    routing::WCCP,
    routing::LISP,
    routing::DLEP,
    routing::OPENFLOW,
    encapsulation::VXLAN,
    encapsulation::GENEVE,
    encapsulation::GTP,
    encapsulation::PFCP,
    encapsulation::TEREDO,
    encapsulation::MPLS,
    encapsulation::TZSP,
    encapsulation::CAPWAP,
    encapsulation::LWAPP,
    encapsulation::GSMTAP,
    telemetry::NETFLOW,
    telemetry::SFLOW,
    telemetry::PTP,
    telemetry::ROUGHTIME,
    neighbourhood::NAT_PMP,
    neighbourhood::SLP,
    neighbourhood::BJNP,
    neighbourhood::LPD,
    neighbourhood::JETDIRECT,
    neighbourhood::RMCP,
    neighbourhood::WAKE_ON_LAN,
    neighbourhood::SAP,
    neighbourhood::TIVO,
    neighbourhood::VMWARE,
    neighbourhood::COROSYNC,
    neighbourhood::SERF,
    neighbourhood::CPHA,
    remote_shell::DISSECTOR,
    broadcast::MPEG_TS,
    broadcast::FLUTE,
    by_port::TARGUS,
    by_port::LOTUS_NOTES,
    protobuf::DISSECTOR,
];

mod afp;
mod ajp;
mod battlenet;
mod bfcp;
mod bitcoin;
mod bittorrent;
mod broadcast;
mod building;
mod by_port;
mod coap;
mod databases;
mod dcerpc;
mod desktops;
mod dhcp;
mod dhcpv6;
mod diameter;
mod discord;
mod dns;
mod dnscrypt;
mod dtls;
mod edonkey;
mod encapsulation;
mod ethereum;
mod factory;
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
mod kerberos;
mod ldap;
mod libp2p;
mod memcached;
mod messaging;
mod messengers;
mod minecraft;
mod mining;
mod modbus;
mod monero;
mod mongodb;
mod monitoring;
mod mqtt;
mod mysql;
mod n2n;
mod neighbourhood;
mod netbios;
mod nntp;
mod ntp;
mod openvpn;
mod oracle;
mod pgsql;
mod photon;
mod pop3;
mod power;
mod protobuf;
mod quic;
mod radius;
mod raknet;
mod rdp;
mod redis;
mod remote_calls;
mod remote_shell;
mod resilio;
mod routing;
mod rpc;
mod rsync;
mod rtmp;
mod rtp;
mod rtsp;
mod services;
mod sip;
mod skinny;
mod skype;
mod smb;
mod smtp;
mod snmp;
mod socks;
mod ssdp;
mod ssh;
mod storage;
mod stun;
mod svn;
mod syncthing;
mod syslog;
mod tacacs;
mod tds;
mod telecom;
mod telegram;
mod telemetry;
mod telnet;
mod tencent;
mod tftp;
mod tls;
mod tpkt;
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
