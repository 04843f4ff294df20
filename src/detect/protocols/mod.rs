//! One file for each protocol or family, all of the same shape: what is read, the dissector, its
//! tests. What a file says of a protocol is from its standard, named on top.

use super::dissector::Dissector;

/// All dissectors. The order is that in which they are asked where no port points at one.
pub static ALL: &[Dissector] = &[
    // What is marked in every part.
    broadcast::MPEG_TS,
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
    oscar::DISSECTOR,
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
    mgcp::DISSECTOR,
    megaco::DISSECTOR,
    iax::DISSECTOR,
    skinny::DISSECTOR,
    discord::DISSECTOR,
    whatsapp::DISSECTOR,
    telegram::DISSECTOR,
    viber::DISSECTOR,
    kakaotalk::DISSECTOR,
    oicq::DISSECTOR,
    wechat::DISSECTOR,
    tencent_games::DISSECTOR,
    zoom::DISSECTOR,
    threema::DISSECTOR,
    dingtalk::DISSECTOR,
    sd_rtn::DISSECTOR,
    webex::DISSECTOR,
    valve::SOURCE,
    valve::RELAY,
    valve::STEAM,
    valve::TEEWORLDS,
    raknet::DISSECTOR,
    starcraft::DISSECTOR,
    world_of_warcraft::DISSECTOR,
    warcraft3::DISSECTOR,
    minecraft::DISSECTOR,
    photon::PHOTON,
    photon::GAIJIN,
    nintendo::DISSECTOR,
    guild_wars::DISSECTOR,
    dofus::DISSECTOR,
    armagetron::DISSECTOR,
    riot::DISSECTOR,
    wild_rift::DISSECTOR,
    epic::DISSECTOR,
    among_us::DISSECTOR,
    activision::DISSECTOR,
    cod_mobile::DISSECTOR,
    path_of_exile::DISSECTOR,
    maple_story::DISSECTOR,
    kung_fu::DISSECTOR,
    genshin::DISSECTOR,
    netcode::DISSECTOR,
    netease::DISSECTOR,
    crossfire::DISSECTOR,
    teamspeak::DISSECTOR,
    mumble::DISSECTOR,
    pptp::DISSECTOR,
    l2tp::DISSECTOR,
    tinc::DISSECTOR,
    nebula::DISSECTOR,
    zerotier::DISSECTOR,
    softether::DISSECTOR,
    frp::DISSECTOR,
    cisco_vpn::DISSECTOR,
    ayiya::DISSECTOR,
    n2n::DISSECTOR,
    kcp::DISSECTOR,
    vnc::DISSECTOR,
    x11::DISSECTOR,
    xdmcp::DISSECTOR,
    citrix::DISSECTOR,
    nomachine::DISSECTOR,
    radmin::DISSECTOR,
    teamviewer::DISSECTOR,
    xiaomi::DISSECTOR,
    tp_link::DISSECTOR,
    tuya::DISSECTOR,
    lifx::DISSECTOR,
    nest::DISSECTOR,
    spotify::DISSECTOR,
    dropbox::DISSECTOR,
    ubiquiti::DISSECTOR,
    mikrotik::DISSECTOR,
    meraki::DISSECTOR,
    matter::DISSECTOR,
    avast::DISSECTOR,
    ali_cloud::DISSECTOR,
    iqiyi::DISSECTOR,
    ripe_atlas::DISSECTOR,
    kismet::DISSECTOR,
    uftp::DISSECTOR,
    rx::DISSECTOR,
    virtgroup::DISSECTOR,
    ookla::DISSECTOR,
    iperf::DISSECTOR,
    soulseek::DISSECTOR,
    noe::DISSECTOR,
    rtp::DISSECTOR,
    bfcp::DISSECTOR,
    imo::DISSECTOR,
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
    telecom::FIX,
    telecom::Z3950,
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
    broadcast::FLUTE,
    by_port::TARGUS,
    by_port::LOTUS_NOTES,
    protobuf::DISSECTOR,
];

mod activision;
mod afp;
mod ajp;
mod ali_cloud;
mod among_us;
mod armagetron;
mod avast;
mod ayiya;
mod bfcp;
mod bitcoin;
mod bittorrent;
mod broadcast;
mod building;
mod by_port;
mod cisco_vpn;
mod citrix;
mod coap;
mod cod_mobile;
mod crossfire;
mod databases;
mod dcerpc;
mod dhcp;
mod dhcpv6;
mod diameter;
mod dingtalk;
mod discord;
mod dns;
mod dnscrypt;
mod dofus;
mod dropbox;
mod dtls;
mod edonkey;
mod encapsulation;
mod epic;
mod ethereum;
mod factory;
mod fastcgi;
mod finger;
mod frp;
mod ftp;
mod genshin;
mod git;
mod gnutella;
mod gopher;
mod guild_wars;
mod h323;
mod haproxy;
mod http;
mod http2;
mod iax;
mod icap;
mod icy;
mod imap;
mod imo;
mod iperf;
mod ipsec;
mod iqiyi;
mod irc;
mod json_rpc;
mod kakaotalk;
mod kcp;
mod kerberos;
mod kismet;
mod kung_fu;
mod l2tp;
mod ldap;
mod libp2p;
mod lifx;
mod maple_story;
mod matter;
mod megaco;
mod memcached;
mod meraki;
mod messaging;
mod mgcp;
mod mikrotik;
mod minecraft;
mod mining;
mod modbus;
mod monero;
mod mongodb;
mod monitoring;
mod mqtt;
mod mumble;
mod mysql;
mod n2n;
mod nebula;
mod neighbourhood;
mod nest;
mod netbios;
mod netcode;
mod netease;
mod nintendo;
mod nntp;
mod noe;
mod nomachine;
mod ntp;
mod oicq;
mod ookla;
mod openvpn;
mod oracle;
mod oscar;
mod path_of_exile;
mod pgsql;
mod photon;
mod pop3;
mod power;
mod pptp;
mod protobuf;
mod quic;
mod radius;
mod radmin;
mod raknet;
mod rdp;
mod redis;
mod remote_calls;
mod remote_shell;
mod resilio;
mod riot;
mod ripe_atlas;
mod routing;
mod rpc;
mod rsync;
mod rtmp;
mod rtp;
mod rtsp;
mod rx;
mod sd_rtn;
mod sip;
mod skinny;
mod skype;
mod smb;
mod smtp;
mod snmp;
mod socks;
mod softether;
mod soulseek;
mod spotify;
mod ssdp;
mod ssh;
mod starcraft;
mod storage;
mod stun;
mod svn;
mod syncthing;
mod syslog;
mod tacacs;
mod tds;
mod teamspeak;
mod teamviewer;
mod telecom;
mod telegram;
mod telemetry;
mod telnet;
mod tencent_games;
mod tftp;
mod threema;
mod tinc;
mod tls;
mod tp_link;
mod tpkt;
mod tuya;
mod ubiquiti;
mod uftp;
mod valve;
mod viber;
mod virtgroup;
mod vnc;
mod warcraft3;
mod webex;
mod websocket;
mod wechat;
mod whatsapp;
mod whois;
mod wild_rift;
mod wireguard;
mod world_of_warcraft;
mod wsd;
mod x11;
mod xdmcp;
mod xiaomi;
mod xmpp;
mod zerotier;
mod zoom;
