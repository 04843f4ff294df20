//! One file for each protocol or family, all of the same shape: what is read, the dissector, its
//! tests. What a file says of a protocol is from its standard, named on top.

use super::dissector::Dissector;

/// All dissectors. The order is that in which they are asked where no port points at one.
pub static ALL: &[Dissector] = &[
    // Web, names, mail, files.
    ntp::DISSECTOR,
    // Peers, calls, chats, games, tunnels.
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
    tunnels::VXLAN,
    tunnels::GENEVE,
    tunnels::GTP,
    tunnels::PFCP,
    tunnels::TEREDO,
    tunnels::MPLS,
    tunnels::TZSP,
    tunnels::CAPWAP,
    tunnels::LWAPP,
    tunnels::GSMTAP,
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
    by_port::OSPFD,
    by_port::LOTUS_NOTES,
    protobuf::DISSECTOR,
];

mod ntp;

// Infrastructure, industry, databases, routing.
mod afp;
mod broadcast;
mod building;
mod by_port;
mod coap;
mod databases;
mod dcerpc;
mod dhcp;
mod dhcpv6;
mod diameter;
mod factory;
mod kerberos;
mod ldap;
mod memcached;
mod messaging;
mod modbus;
mod mongodb;
mod monitoring;
mod mqtt;
mod mysql;
mod neighbourhood;
mod oracle;
mod pgsql;
mod power;
mod protobuf;
mod radius;
mod redis;
mod remote_calls;
mod remote_shell;
mod routing;
mod rpc;
mod smb;
mod snmp;
mod storage;
mod syslog;
mod tacacs;
mod tds;
mod telecom;
mod telemetry;
mod tpkt;
mod tunnels;
