//! Protocols by number and name. Numbers below 4 096 are those that consumers of Netify's telemetry
//! know; ours begin there. A number is given once and never again to another protocol.

/// What a protocol or an application is for. Numbers are fixed, one space for all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
#[repr(u8)]
pub enum Category {
    Unknown = 0,
    Ads = 1,
    Business = 2,
    Cdn = 3,
    Cloud = 4,
    Device = 5,
    Gaming = 6,
    Mail = 7,
    Messaging = 8,
    Network = 9,
    News = 10,
    P2p = 11,
    RemoteAccess = 12,
    Search = 13,
    Security = 14,
    Shopping = 15,
    SocialMedia = 16,
    Storage = 17,
    Streaming = 18,
    Update = 19,
    Voip = 20,
    Vpn = 21,
    Web = 22,
    Iot = 23,
    Adult = 24,
    Malware = 25,
    Database = 26,
    Finance = 27,
    Education = 28,
    Health = 29,
    Travel = 30,
    Government = 31,
    Dating = 32,
    Gambling = 33,
    Artificial = 34,
}

impl Category {
    /// All categories, in the order of their numbers, with their names.
    pub const ALL: [(Self, &'static str); 35] = [
        (Self::Unknown, "unknown"),
        (Self::Ads, "ads"),
        (Self::Business, "business"),
        (Self::Cdn, "cdn"),
        (Self::Cloud, "cloud"),
        (Self::Device, "device"),
        (Self::Gaming, "gaming"),
        (Self::Mail, "mail"),
        (Self::Messaging, "messaging"),
        (Self::Network, "network"),
        (Self::News, "news"),
        (Self::P2p, "p2p"),
        (Self::RemoteAccess, "remote-access"),
        (Self::Search, "search"),
        (Self::Security, "security"),
        (Self::Shopping, "shopping"),
        (Self::SocialMedia, "social-media"),
        (Self::Storage, "storage"),
        (Self::Streaming, "streaming"),
        (Self::Update, "update"),
        (Self::Voip, "voip"),
        (Self::Vpn, "vpn"),
        (Self::Web, "web"),
        (Self::Iot, "iot"),
        (Self::Adult, "adult"),
        (Self::Malware, "malware"),
        (Self::Database, "database"),
        (Self::Finance, "finance"),
        (Self::Education, "education"),
        (Self::Health, "health"),
        (Self::Travel, "travel"),
        (Self::Government, "government"),
        (Self::Dating, "dating"),
        (Self::Gambling, "gambling"),
        (Self::Artificial, "ai"),
    ];

    /// Its name in all outputs.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.get(usize::from(self as u8)).map_or("unknown", |(_, name)| name)
    }

    /// The category of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)).map(|(category, _)| *category)
    }
}

/// A protocol, by its number.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Protocol(pub u16);

/// Number, name and category of a protocol.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The protocol.
    pub protocol: Protocol,
    /// Its name in all outputs.
    pub name: &'static str,
    /// What it is for.
    pub category: Category,
}

macro_rules! protocols {
    ($($constant:ident = $number:literal, $name:literal, $category:ident;)*) => {
        #[expect(missing_docs, reason = "the names are the protocols")]
        impl Protocol {
            $(pub const $constant: Self = Self($number);)*
        }

        /// All protocols.
        pub const TABLE: &[Entry] = &[
            $(Entry {
                protocol: Protocol::$constant,
                name: $name,
                category: Category::$category,
            },)*
        ];
    };
}

protocols! {
    UNKNOWN = 0, "Unknown", Unknown;
    FTP_CONTROL = 1, "FTP/C", Storage;
    POP3 = 2, "POP3", Mail;
    SMTP = 3, "SMTP", Mail;
    IMAP = 4, "IMAP", Mail;
    DNS = 5, "DNS", Network;
    IPP = 6, "IPP", Device;
    HTTP = 7, "HTTP", Web;
    MDNS = 8, "MDNS", Network;
    NTP = 9, "NTP", Network;
    NETBIOS = 10, "NETBIOS", Network;
    NFS = 11, "NFS", Storage;
    SSDP = 12, "SSDP", Network;
    BGP = 13, "BGP", Network;
    SNMP = 14, "SNMP", Network;
    SMBV1 = 16, "SMBv1", Storage;
    SYSLOG = 17, "SYSLOG", Network;
    DHCP = 18, "DHCP", Network;
    PGSQL = 19, "PGSQL", Database;
    MYSQL = 20, "MYSQL", Database;
    FTPS = 21, "FTP/S", Storage;
    POP3S = 23, "POP3/S", Mail;
    COAP = 27, "COAP", Network;
    SMTPS = 29, "SMTP/S", Mail;
    BITTORRENT = 37, "BitTorrent", P2p;
    MEMCACHED = 40, "Memcached", Database;
    SMBV23 = 41, "SMBv23", Storage;
    MODBUS = 44, "Modbus", Iot;
    RTSP = 50, "RTSP", Streaming;
    IMAPS = 51, "IMAP/S", Mail;
    IRC = 65, "IRC", Messaging;
    XMPP = 67, "XMPP", Messaging;
    VRRP = 73, "VRRP", Network;
    TELNET = 77, "Telnet", RemoteAccess;
    STUN = 78, "STUN", Network;
    IPSEC = 79, "IPSEC", Vpn;
    GRE = 80, "GRE", Network;
    ICMP = 81, "ICMP", Network;
    IGMP = 82, "IGMP", Network;
    SCTP = 84, "SCTP", Network;
    OSPF = 85, "OSPF", Network;
    IPINIP = 86, "IPinIP", Network;
    RTP = 87, "RTP", Voip;
    RDP = 88, "RDP", RemoteAccess;
    VNC = 89, "VNC", RemoteAccess;
    TLS = 91, "TLS", Network;
    SSH = 92, "SSH", RemoteAccess;
    NNTP = 93, "NNTP", News;
    TFTP = 96, "TFTP", Network;
    SIP = 100, "SIP", Voip;
    ICMPV6 = 102, "ICMPv6", Network;
    DHCPV6 = 103, "DHCPv6", Network;
    KERBEROS = 111, "Kerberos", Network;
    LDAP = 112, "LDAP", Network;
    TDS = 114, "MSSQL/TDS", Database;
    PPTP = 115, "PPTP", Vpn;
    RPC = 127, "RPC", Network;
    NETFLOW = 128, "NetFlow", Network;
    SFLOW = 129, "SFlow", Network;
    HTTP_CONNECT = 130, "HTTP/Connect", Web;
    HTTP_PROXY = 131, "HTTP/Proxy", Web;
    RADIUS = 146, "RADIUS", Network;
    GTP = 152, "GTP", Network;
    WSD = 153, "WSD", Network;
    LLMNR = 154, "LLMNR", Network;
    OPENVPN = 159, "OpenVPN", Vpn;
    RTCP = 165, "RTCP", Network;
    RSYNC = 166, "RSYNC", Storage;
    SOCKS = 172, "SOCKS", Vpn;
    RTMP = 174, "RTMP", Streaming;
    FTP_DATA = 175, "FTP/D", Storage;
    REDIS = 182, "Redis", Database;
    QUIC = 188, "QUIC", Web;
    AMQP = 192, "AMQP", Messaging;
    HTTPS = 196, "HTTP/S", Web;
    WIREGUARD = 206, "WireGuard", Vpn;
    TEREDO = 214, "Teredo", Vpn;
    MQTT = 222, "MQTT", Iot;
    GIT = 226, "Git", Storage;
    DIAMETER = 237, "Diameter", Network;
    DOH = 243, "DoH", Network;
    DTLS = 244, "DTLS", Network;
    ZOOM = 248, "ZOOM", Voip;
    SIPS = 257, "SIP/S", Voip;
    MQTTS = 258, "MQTT/S", Iot;
    DOT = 260, "DoT", Network;
    DOQ = 261, "DoQ", Network;
    CAPWAP = 265, "CAPWAP", Network;
    DNP3 = 268, "DNP3", Iot;
    DNSCRYPT = 269, "DNSCrypt", Network;
    MONGODB = 280, "MongoDB", Database;
    VXLAN = 285, "VXLAN", Network;
    WEBSOCKET = 286, "Websocket", Web;
    SYSLOGS = 302, "SYSLOG/S", Network;
    NAT_PMP = 303, "NAT/PMP", Network;
    TAILSCALE = 315, "Tailscale", Vpn;

    // 4100 to 4199: web, names, mail, files.
    SOAP = 4100, "SOAP", Web;
    JSON_RPC = 4101, "JSON-RPC", Web;
    OCSP = 4102, "OCSP", Network;
    HTTP2 = 4103, "HTTP2", Web;
    FASTCGI = 4104, "FastCGI", Web;
    HAPROXY = 4105, "HAProxy", Web;
    AJP = 4106, "AJP", Web;
    AVAST_SECURE_DNS = 4107, "AVASTSecureDNS", Network;
    SVN = 4108, "SVN", Storage;
    WHOIS = 4109, "Whois-DAS", Network;
    GOPHER = 4110, "Gopher", Web;
    FINGER = 4111, "Finger", Network;
    ICAP = 4112, "ICAP", Web;
    SHOUTCAST = 4113, "ShoutCast", Streaming;
    ICECAST = 4114, "IceCast", Streaming;
    MPEG_DASH = 4115, "MpegDash", Streaming;
    OSCAR = 4116, "OSCAR", Messaging;

    // 4200 to 4299: peers, calls, chats, games, tunnels.
    GNUTELLA = 4200, "Gnutella", P2p;
    EDONKEY = 4201, "eDonkey", P2p;
    SYNCTHING = 4202, "Syncthing", Storage;
    RESILIO = 4203, "ResilioSync", Storage;
    ETHEREUM = 4204, "ETHEREUM", Finance;
    BITCOIN = 4205, "BITCOIN", Finance;
    NANO = 4206, "Nano", Finance;
    MONERO = 4207, "Monero", Finance;
    MINING = 4208, "Mining", Finance;
    LIBP2P = 4209, "libp2p", P2p;
    H323 = 4210, "H323", Voip;
    MGCP = 4211, "MGCP", Voip;
    MEGACO = 4212, "Megaco", Voip;
    IAX = 4213, "IAX", Voip;
    CISCO_SKINNY = 4214, "CiscoSkinny", Voip;
    BFCP = 4215, "BFCP", Voip;
    SRTP = 4216, "SRTP", Voip;
    IMO = 4217, "IMO", Messaging;
    KAKAOTALK = 4218, "KakaoTalk", Messaging;
    VIBER = 4219, "Viber", Messaging;
    WHATSAPP = 4220, "WhatsApp", Messaging;
    TELEGRAM = 4221, "Telegram", Messaging;
    DISCORD = 4222, "Discord", Messaging;
    OICQ = 4223, "OICQ", Messaging;
    WECHAT = 4224, "WeChat", Messaging;
    DINGTALK = 4225, "DingTalk", Messaging;
    THREEMA = 4226, "Threema", Messaging;
    SD_RTN = 4227, "SD-RTN", Streaming;
    WEBEX = 4228, "Webex", Voip;
    SOURCE_ENGINE = 4229, "Source_Engine", Gaming;
    HALFLIFE2 = 4230, "HalfLife2", Gaming;
    STEAM = 4231, "Steam", Gaming;
    STEAM_RELAY = 4232, "SteamDatagramRelay", Gaming;
    QUAKE = 4233, "Quake", Gaming;
    TEEWORLDS = 4234, "Teeworlds", Gaming;
    RAKNET = 4235, "RakNet", Gaming;
    STARCRAFT = 4236, "Starcraft", Gaming;
    WARCRAFT3 = 4237, "WarCraft3", Gaming;
    WORLD_OF_WARCRAFT = 4238, "WorldOfWarcraft", Gaming;
    WORLD_OF_KUNG_FU = 4239, "WorldOfKungFu", Gaming;
    MINECRAFT = 4240, "Minecraft", Gaming;
    TOCABOCA = 4241, "TocaBoca", Gaming;
    GAIJIN = 4242, "GaijinEntertainment", Gaming;
    NINTENDO = 4243, "Nintendo", Gaming;
    RIOT_GAMES = 4244, "RiotGames", Gaming;
    WILD_RIFT = 4245, "LoLWildRift", Gaming;
    EPIC_GAMES = 4246, "EpicGames", Gaming;
    AMONG_US = 4247, "AmongUs", Gaming;
    ACTIVISION = 4248, "Activision", Gaming;
    COD_MOBILE = 4249, "CoD_Mobile", Gaming;
    TENCENT_GAMES = 4250, "TencentGames", Gaming;
    NETEASE_GAMES = 4251, "NetEaseGames", Gaming;
    PATH_OF_EXILE = 4252, "PathofExile", Gaming;
    MAPLE_STORY = 4253, "MapleStory", Gaming;
    GENSHIN_IMPACT = 4254, "GenshinImpact", Gaming;
    YOJIMBO = 4255, "Yojimbo", Gaming;
    CROSSFIRE = 4256, "Crossfire", Gaming;
    TEAMSPEAK = 4257, "TeamSpeak", Voip;
    MUMBLE = 4258, "Mumble", Voip;
    WARP = 4259, "CloudflareWarp", Vpn;
    TINC = 4260, "TINC", Vpn;
    NEBULA = 4261, "Nebula", Vpn;
    ZEROTIER = 4262, "ZeroTier", Vpn;
    SOFTETHER = 4263, "SoftEther", Vpn;
    FRP = 4264, "FRP", Vpn;
    AYIYA = 4265, "AYIYA", Vpn;
    N2N = 4266, "n2n", Vpn;
    KCP = 4267, "KCP", Network;
    X11 = 4268, "X11", RemoteAccess;
    XDMCP = 4269, "XDMCP", RemoteAccess;
    CITRIX = 4270, "Citrix", RemoteAccess;
    NOMACHINE = 4271, "NoMachine", RemoteAccess;
    RADMIN = 4272, "Radmin", RemoteAccess;
    TEAMVIEWER = 4273, "TeamViewer", RemoteAccess;
    XIAOMI = 4274, "Xiaomi", Iot;
    TP_LINK = 4275, "TPLINK_SHP", Iot;
    TUYA = 4276, "TUYA_LP", Iot;
    LIFX = 4277, "LIFX", Iot;
    NEST_LOG_SINK = 4278, "NestLogSink", Iot;
    MATTER = 4279, "Matter", Iot;
    SPOTIFY = 4280, "Spotify", Streaming;
    DROPBOX = 4281, "Dropbox", Storage;
    UBIQUITI = 4282, "UBNTAC2", Network;
    MIKROTIK = 4283, "MNDP", Network;
    MERAKI_CLOUD = 4284, "MerakiCloud", Network;
    AVAST = 4285, "AVAST", Security;
    ALI_CLOUD = 4286, "AliCloud", Cloud;
    IQIYI = 4287, "iQIYI", Streaming;
    RIPE_ATLAS = 4288, "RipeAtlas", Network;
    KISMET = 4289, "Kismet", Security;
    UFTP = 4290, "UFTP", Storage;
    RX = 4291, "RX", Storage;
    HP_VIRTGRP = 4292, "HP_VIRTGRP", Network;
    OOKLA = 4293, "OOKLA", Network;
    IPERF = 4294, "iperf", Network;
    SOULSEEK = 4295, "Soulseek", P2p;
    NOE = 4296, "NOE", Voip;
    CISCO_VPN = 4297, "CiscoVPN", Vpn;
    SKYPE_TEAMS_CALL = 4298, "Skype_TeamsCall", Voip;
    DOFUS = 4299, "Dofus", Gaming;
    GUILD_WARS2 = 4500, "Guildwars2", Gaming;
    ARMAGETRON = 4501, "Armagetron", Gaming;

    // 4300 to 4499: infrastructure, industry, databases, routing.
    PIM = 4300, "IP_PIM", Network;
    EIGRP = 4301, "EIGRP", Network;
    RSVP = 4302, "RSVP", Network;
    DCCP = 4303, "DCCP", Network;
    PGM = 4304, "IP_PGM", Network;
    L2TP = 4305, "L2TP", Vpn;
    TACACS = 4397, "TACACS", Network;
    ONC_RPC = 4307, "ONC-RPC", Network;
    AFP = 4308, "AFP", Storage;
    NINE_P = 4309, "9P", Storage;
    ISCSI = 4310, "iSCSI", Storage;
    NBD = 4311, "NBD", Storage;
    CEPH = 4312, "Ceph", Storage;
    LUSTRE = 4313, "Lustre", Storage;
    NDMP = 4314, "NDMP", Storage;
    ORACLE = 4315, "Oracle", Database;
    CASSANDRA = 4316, "Cassandra", Database;
    ELASTICSEARCH = 4317, "ElasticSearch", Database;
    DRDA = 4318, "DRDA", Database;
    FIREBIRD = 4319, "Firebird", Database;
    CLICKHOUSE = 4320, "ClickHouse", Database;
    AEROSPIKE = 4321, "Aerospike", Database;
    COUCHBASE = 4322, "Couchbase", Database;
    INFLUXDB = 4323, "InfluxDB", Database;
    BOLT = 4324, "Bolt", Database;
    ZOOKEEPER = 4325, "ZooKeeper", Database;
    KAFKA = 4326, "Kafka", Messaging;
    NATS = 4327, "Nats", Messaging;
    ZMQ = 4328, "ZeroMQ", Messaging;
    STOMP = 4329, "STOMP", Messaging;
    OPENWIRE = 4330, "OpenWire", Messaging;
    IBM_MQ = 4331, "IBM-MQ", Messaging;
    MSMQ = 4332, "MSMQ", Messaging;
    PULSAR = 4333, "Pulsar", Messaging;
    GEARMAN = 4334, "Gearman", Messaging;
    COLLECTD = 4335, "collectd", Network;
    MUNIN = 4336, "Munin", Network;
    CHECKMK = 4337, "CHECKMK", Network;
    ZABBIX = 4338, "Zabbix", Network;
    NRPE = 4339, "NRPE", Network;
    STATSD = 4340, "StatsD", Network;
    GRAPHITE = 4341, "Graphite", Network;
    GELF = 4342, "GELF", Network;
    RELP = 4343, "RELP", Network;
    LUMBERJACK = 4344, "Lumberjack", Network;
    GANGLIA = 4345, "Ganglia", Network;
    SMPP = 4346, "SMPP", Messaging;
    HL7 = 4347, "HL7", Health;
    DICOM = 4348, "DICOM", Health;
    CORBA = 4349, "Corba", Network;
    JRMI = 4350, "JRMI", Network;
    HAZELCAST = 4351, "Hazelcast", Database;
    THRIFT = 4352, "Apache_Thrift", Network;
    PROTOBUF = 4353, "Protobuf", Network;
    EPMD = 4354, "EPMD", Network;
    S7COMM = 4355, "S7Comm", Iot;
    S7COMM_PLUS = 4356, "S7CommPlus", Iot;
    MMS = 4357, "ISO9506-1-MMS", Iot;
    BACNET = 4358, "BACnet", Iot;
    OPC_UA = 4359, "OPC-UA", Iot;
    IEC104 = 4360, "IEC60870", Iot;
    ETHERNET_IP = 4361, "EthernetIP", Iot;
    CIP = 4362, "CIP", Iot;
    FINS = 4363, "FINS", Iot;
    ADS = 4364, "BeckhoffADS", Iot;
    HART_IP = 4365, "HART-IP", Iot;
    DLMS = 4366, "IEC62056", Iot;
    C37118 = 4367, "IEEE-C37118", Iot;
    C1222 = 4368, "ANSI_C1222", Iot;
    ATG = 4369, "ATG", Iot;
    CAN = 4370, "Controller_Area_Network", Iot;
    SOMEIP = 4371, "SOMEIP", Iot;
    RTPS = 4372, "RTPS", Iot;
    KNX = 4373, "KNXnet_IP", Iot;
    GE_SRTP = 4374, "GE-SRTP", Iot;
    GE_EGD = 4375, "EGD", Iot;
    PCWORX = 4376, "PCWorx", Iot;
    CODESYS = 4377, "CODESYS", Iot;
    MELSEC = 4378, "MELSEC", Iot;
    PROCONOS = 4379, "ProConOS", Iot;
    FOX = 4380, "Fox", Iot;
    GVCP = 4381, "GVCP", Iot;
    CNP_IP = 4382, "CNP-IP", Iot;
    ETHER_S_IO = 4383, "EtherSIO", Iot;
    ETHER_S_BUS = 4384, "Ether-S-Bus", Iot;
    TRDP = 4385, "TRDP", Iot;
    TRISTATION = 4386, "TriStation", Iot;
    DOIP = 4387, "DoIP", Iot;
    ETHERCAT = 4388, "EtherCAT", Iot;
    HSRP = 4389, "HSRP", Network;
    GLBP = 4390, "GLBP", Network;
    LDP = 4391, "LDP", Network;
    RIP = 4392, "RIP", Network;
    RIPNG = 4393, "RIPng", Network;
    OPENFLOW = 4394, "OpenFlow", Network;
    PTP = 4395, "PTPv2", Network;
    LWAPP = 4396, "LWAPP", Network;
    PFCP = 4398, "PFCP", Network;
    TZSP = 4399, "TZSP", Network;
    BFD = 4400, "BFD", Network;
    BJNP = 4401, "BJNP", Device;
    SLP = 4402, "Service_Location_Protocol", Network;
    CPHA = 4403, "CPHA", Network;
    ROUGHTIME = 4404, "Roughtime", Network;
    RSH = 4405, "RSH", RemoteAccess;
    RLOGIN = 4406, "rlogin", RemoteAccess;
    REXEC = 4407, "rexec", RemoteAccess;
    LOTUS_NOTES = 4408, "LotusNotes", Business;
    MPEG_TS = 4409, "MPEG_TS", Streaming;
    TARGUS = 4410, "TargusDataspeed", Network;
    TIVO = 4411, "TiVoConnect", Device;
    VMWARE = 4412, "VMware", RemoteAccess;
    RMCP = 4413, "RMCP", RemoteAccess;
    WAKE_ON_LAN = 4414, "WakeOnLAN", Network;
    ARTNET = 4415, "Art-Net", Iot;
    SACN = 4416, "sACN", Iot;
    HISLIP = 4417, "HiSLIP", Iot;
    VXI11 = 4418, "VXI-11", Iot;
    LPD = 4419, "LPD", Device;
    JETDIRECT = 4420, "JetDirect", Device;
    COROSYNC = 4421, "Corosync", Network;
    SERF = 4422, "Serf", Network;
    BACULA = 4423, "Bacula", Storage;
    SAP = 4424, "SAP", Streaming;
    MSDP = 4425, "MSDP", Network;
    LISP = 4426, "LISP", Network;
    WCCP = 4427, "WCCP", Network;
    OLSR = 4428, "OLSR", Network;
    BABEL = 4429, "Babel", Network;
    MPLS = 4430, "MPLS", Network;
    DLEP = 4431, "DLEP", Network;
    FLUTE = 4432, "FLUTE", Streaming;
    GSMTAP = 4433, "GSMTAP", Network;
    LORAWAN = 4434, "LoRaWAN", Iot;
    ZEP = 4435, "ZEP", Iot;
    MAVLINK = 4436, "MAVLink", Iot;
    OSC = 4437, "OSC", Iot;
    NMEA = 4438, "NMEA-0183", Iot;
    NUT = 4439, "NUT", Iot;
    RAFT = 4440, "Raft", Network;
    FIX = 4441, "FIX", Finance;
    Z3950 = 4442, "Z3950", Education;
    GENEVE = 4306, "GENEVE", Network;
}

impl Protocol {
    /// Number, name and category; of unknown numbers those of [`Self::UNKNOWN`].
    #[must_use]
    pub fn entry(self) -> Entry {
        let known = TABLE.iter().find(|entry| entry.protocol == self);
        known.copied().unwrap_or(Entry {
            protocol: self,
            name: "Unknown",
            category: Category::Unknown,
        })
    }

    /// Its name in all outputs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The protocol of a name in any case, or of a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(number) = text.parse::<u16>() {
            return TABLE.iter().map(|entry| entry.protocol).find(|known| known.0 == number);
        }
        TABLE.iter().find(|e| e.name.eq_ignore_ascii_case(text)).map(|entry| entry.protocol)
    }

    /// What goes by its number in the IP header (IANA, Assigned Internet Protocol Numbers).
    #[must_use]
    pub const fn of_ip(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::ICMP,
            2 => Self::IGMP,
            4 | 41 => Self::IPINIP,
            33 => Self::DCCP,
            46 => Self::RSVP,
            47 => Self::GRE,
            50 | 51 => Self::IPSEC,
            58 => Self::ICMPV6,
            88 => Self::EIGRP,
            89 => Self::OSPF,
            103 => Self::PIM,
            112 => Self::VRRP,
            113 => Self::PGM,
            115 => Self::L2TP,
            132 => Self::SCTP,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_and_names_are_given_once() {
        let numbers: HashSet<_> = TABLE.iter().map(|entry| entry.protocol).collect();
        let names: HashSet<_> = TABLE.iter().map(|entry| entry.name.to_lowercase()).collect();
        assert_eq!((numbers.len(), names.len()), (TABLE.len(), TABLE.len()));
        for entry in TABLE {
            assert_eq!(Protocol::parse(entry.name), Some(entry.protocol));
            assert_eq!(Protocol::parse(&entry.protocol.0.to_string()), Some(entry.protocol));
        }
    }

    #[test]
    fn categories_lie_in_the_order_of_their_numbers() {
        for (at, (category, name)) in Category::ALL.iter().enumerate() {
            assert_eq!(usize::from(*category as u8), at);
            assert_eq!(Category::parse(name), Some(*category));
        }
    }
}
