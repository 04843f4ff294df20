//! All settings, each with its name, its built-in value and its check. The names are those of
//! the configuration file (`[section]` and key joined by `_`), of the environment (`PORTOLAN_`
//! and the name in capitals) and of the `set` command.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::expression::{self, Expression};
use crate::text::Quoted;
use crate::wire::mac;

use super::access::{self, MAX_ENTRIES, Token, User};
use super::ini;
use super::telemetry::{self, Format, LEGACY_PORT, Target, Types};

/// The management password that n2n ships: accepted on loopback alone.
pub const DEFAULT_PASSWORD: &str = "n2n";

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Names and patterns (`veth*`) of interfaces to watch; empty picks them by itself.
    pub interfaces: Vec<String>,
    /// Interfaces that face the local network, whatever they look like.
    pub lan: Vec<String>,
    /// Interfaces that face the Internet, whatever they look like.
    pub wan: Vec<String>,
    /// Ask cards for frames that are not for this machine.
    pub promiscuous: bool,
    /// KiB of ring per interface; 0 fits it to the memory of the machine.
    pub ring_kib: u32,
    /// Octets of each frame that are looked at.
    pub snaplen: u32,
    /// Paths of the Unix sockets.
    pub sockets: Vec<PathBuf>,
    /// Group that may use the Unix sockets, besides root.
    pub socket_group: Option<String>,
    /// Stream clients at once.
    pub max_clients: usize,
    /// Address of the management port.
    pub management_address: IpAddr,
    /// UDP port of the management protocol; 0 turns it off.
    pub management_port: u16,
    /// Key of the management protocol.
    pub management_password: String,
    /// Reads on the management port need the key too.
    pub management_read_key: bool,
    /// Confirm subscriptions as n2n's daemons do, for `n2n-ctl --sub`.
    pub management_n2n: bool,
    /// Addresses of the HTTP interface; none turns it off.
    pub http: Vec<SocketAddr>,
    /// Who may use it with a password; with neither users nor tokens everybody may.
    pub http_users: Vec<User>,
    /// Who may use it with a token.
    pub http_tokens: Vec<Token>,
    /// Names, besides the machine's own, by which browsers may reach it.
    pub http_hosts: Vec<String>,
    /// Web pages of other origins that may use it.
    pub http_origins: Vec<String>,
    /// HTTP clients at once from one address that is not of this machine.
    pub http_per_address: usize,
    /// Seconds between pings of WebSocket clients.
    pub http_ping: u32,
    /// Sessions of live packets at once.
    pub packet_sessions: usize,
    /// KiB of rings of one such session.
    pub packet_ring_kib: u32,
    /// KiB of memory for the latest packets of each captured interface; 0 keeps none.
    pub lookback_kib: u32,
    /// Seconds between pings of WebSocket clients that see packets.
    pub packet_ping: u32,
    /// Folder of recorded packets; none if nothing may be recorded.
    pub packet_dir: Option<PathBuf>,
    /// KiB of a file of recorded packets at most.
    pub packet_file_kib: u32,
    /// Files of one recording at most.
    pub packet_files: u32,
    /// Where packets are streamed to whoever connects.
    pub pcap_over_ip: Vec<Door>,
    /// Networks, besides this machine, from which that is allowed.
    pub pcap_over_ip_from: Vec<(IpAddr, u8)>,
    /// Learn names of hosts from DNS and DHCP, and tell them in such sessions.
    pub packet_names: bool,
    /// Files, or folders of files, of leases that DHCP servers here have given.
    pub lease_files: Vec<PathBuf>,
    /// Files, or folders of files, in which names of addresses are written down.
    pub hosts_files: Vec<PathBuf>,
    /// Name hosts elsewhere as answers of DNS do, and say so to whoever seeks applications.
    pub dns_hints: bool,
    /// Names kept.
    pub dns_hint_size: usize,
    /// Where such names are kept between two runs.
    pub dns_hint_save: Keep,
    /// The name that an address was asked for by tells the application only if the protocol
    /// shows no name.
    pub dns_hint_partial: bool,
    /// What a flow was tells what it is when its addresses and ports come again.
    pub flow_hash_cache: bool,
    /// Flows remembered for that.
    pub flow_hash_size: usize,
    /// Seconds of silence after which a device is offline.
    pub devices_offline: u32,
    /// Folder of state that does not survive a restart of the machine; empty for that of the
    /// first Unix socket.
    pub volatile_dir: PathBuf,
    /// Folder of state that survives a restart of the machine.
    pub state_dir: PathBuf,
    /// Flows at once; 0 fits it to the memory of the machine.
    pub max_flows: usize,
    /// Seconds without a packet after which a flow ends: UDP and all that is not TCP.
    pub idle: u32,
    /// The same for a TCP connection.
    pub idle_tcp: u32,
    /// Seconds between statistics.
    pub update_interval: u32,
    /// Follow the network namespaces of this machine, not just our own.
    pub netns_discovery: bool,
    /// A GhostWire that answers requests below `/discover` instead of the agent.
    pub discovery_service: Option<SocketAddr>,
    /// Folders that the files of network namespaces are in.
    pub netns_run_path: Vec<PathBuf>,
    /// Seconds between two updates of the counters that the map shows.
    pub metrics_update: u32,
    /// Seconds between updates of the flows of captures.
    pub flow_update: u32,
    /// Seconds after which idle flows of captures end: once that, to twice that.
    pub flow_expire: u32,
    /// Flows of all captures at once.
    pub flow_max: u32,
    /// What users call TCP ports.
    pub tcp_applications: Vec<(u16, String)>,
    /// What users call UDP ports.
    pub udp_applications: Vec<(u16, String)>,
    /// Gremlin expression of a capture that begins with the agent, empty for none.
    pub startup_query: String,
    /// Filter of that capture.
    pub startup_filter: String,
    /// Type of that capture.
    pub startup_type: String,
    /// Show the sockets of this machine and their processes.
    pub sockets_shown: bool,
    /// Where telemetry can be fetched, in lines.
    pub telemetry_listen: Vec<Target>,
    /// Where it can be fetched with the framing of old agents.
    pub telemetry_legacy: Vec<Target>,
    /// Where it is sent.
    pub telemetry_send: Vec<Target>,
    /// How it is written there and into files.
    pub telemetry_format: Format,
    /// Which records are sent.
    pub telemetry_types: Types,
    /// Expression of the flows that are told; empty for all.
    pub telemetry_filter: String,
    /// Whoever comes to fetch it is told the flows that are there.
    pub telemetry_established: bool,
    /// File that it is written into.
    pub telemetry_log: Option<PathBuf>,
    /// KiB of that file at most.
    pub telemetry_log_kib: u32,
    /// Such files at most.
    pub telemetry_log_files: u32,
    /// Hardware addresses that telemetry masks.
    pub privacy_macs: Vec<[u8; 6]>,
    /// Hosts and networks that it masks.
    pub privacy_hosts: Vec<(IpAddr, u8)>,
    /// Patterns of texts that it replaces, by their number, and with what.
    pub privacy_texts: Vec<(u16, String, String)>,
    /// Our own addresses towards the Internet are masked.
    pub privacy_external: bool,
    /// Where connections and their translations are known from.
    pub conntrack: Conntrack,
    /// Packets with payload of a flow that are looked at to see what it is; 0 looks at none.
    pub detection_packets: u32,
    /// Flows that are looked at at once.
    pub detection_flows: u32,
    /// KiB of streams that are put together for it at once.
    pub detection_kib: u32,
    /// 0 errors, 1 warnings, 2 normal, 3 info, 4 debug.
    pub log_level: u8,
}

/// Where connections are known from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Conntrack {
    /// Netlink, else procfs, else nowhere.
    #[default]
    Auto,
    /// Netlink or nowhere.
    Netlink,
    /// Nowhere.
    Off,
    /// The file in `/proc` or nowhere.
    Procfs,
}

/// Names of [`Conntrack`].
const SOURCES: [(&str, Conntrack); 4] = [
    ("auto", Conntrack::Auto),
    ("netlink", Conntrack::Netlink),
    ("off", Conntrack::Off),
    ("procfs", Conntrack::Procfs),
];

impl Default for Settings {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            lan: Vec::new(),
            wan: Vec::new(),
            promiscuous: false,
            ring_kib: 0,
            snaplen: 1_600,
            sockets: vec![PathBuf::from("/var/run/portolan/portolan.sock")],
            socket_group: None,
            max_clients: 256,
            management_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            management_port: 5_644,
            management_password: DEFAULT_PASSWORD.to_owned(),
            management_read_key: false,
            management_n2n: false,
            http: vec![
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8_082),
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5_001),
            ],
            http_users: Vec::new(),
            http_tokens: Vec::new(),
            http_hosts: Vec::new(),
            http_origins: Vec::new(),
            http_per_address: 16,
            http_ping: 2,
            packet_sessions: 8,
            packet_ring_kib: 2_048,
            lookback_kib: 0,
            packet_ping: 25,
            packet_dir: None,
            packet_file_kib: 8_192,
            packet_files: 2,
            pcap_over_ip: Vec::new(),
            pcap_over_ip_from: Vec::new(),
            packet_names: true,
            lease_files: ["/tmp/dhcp.leases", "/tmp/hosts", "/var/lib/misc/dnsmasq.leases"]
                .map(PathBuf::from)
                .into(),
            hosts_files: ["/etc/hosts", "/etc/ethers", "/tmp/hosts"].map(PathBuf::from).into(),
            dns_hints: true,
            dns_hint_size: 4_096,
            dns_hint_save: Keep::Volatile,
            dns_hint_partial: false,
            flow_hash_cache: true,
            flow_hash_size: 4_096,
            devices_offline: 300,
            volatile_dir: PathBuf::new(),
            state_dir: PathBuf::from("/etc/portolan"),
            max_flows: 0,
            idle: 30,
            idle_tcp: 300,
            update_interval: 15,
            netns_discovery: true,
            discovery_service: None,
            netns_run_path: vec![PathBuf::from("/var/run/netns")],
            metrics_update: 30,
            flow_update: 10,
            flow_expire: 600,
            flow_max: 32_768,
            tcp_applications: Vec::new(),
            udp_applications: Vec::new(),
            startup_query: String::new(),
            startup_filter: String::new(),
            startup_type: String::new(),
            sockets_shown: false,
            telemetry_listen: Vec::new(),
            telemetry_legacy: Vec::new(),
            telemetry_send: Vec::new(),
            telemetry_format: Format::default(),
            telemetry_types: Types::default(),
            telemetry_filter: String::new(),
            telemetry_established: true,
            telemetry_log: None,
            telemetry_log_kib: 1_024,
            telemetry_log_files: 4,
            privacy_macs: Vec::new(),
            privacy_hosts: Vec::new(),
            privacy_texts: Vec::new(),
            privacy_external: false,
            conntrack: Conntrack::Auto,
            detection_packets: 24,
            detection_flows: 2_048,
            detection_kib: 1_024,
            log_level: 2,
        }
    }
}

/// Where something is kept between two runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keep {
    /// Nowhere.
    Disabled,
    /// In the state that survives a restart of the machine: on flash, mostly.
    Persistent,
    /// In the state that does not.
    Volatile,
}

impl Keep {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Disabled, "disabled"),
        (Self::Persistent, "persistent"),
        (Self::Volatile, "volatile"),
    ];
}

/// A place where packets are streamed to whoever connects.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Door {
    /// Where it is listened.
    pub address: SocketAddr,
    /// Which packets, as in the query of a download.
    pub parameters: String,
}

/// Octets that a compiled pattern may take.
const MAX_PATTERN: usize = 16 * 1024;

/// Such places at most.
const MAX_DOORS: usize = 16;

/// One setting: how it is called and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it expects, after "must be".
    pub expects: &'static str,
    /// Can be changed while running, by `set`.
    pub live: bool,
    /// What it is for.
    pub help: &'static str,
}

const fn key(name: &'static str, expects: &'static str, help: &'static str) -> Key {
    Key { name, expects, live: false, help }
}

const fn live(name: &'static str, expects: &'static str, help: &'static str) -> Key {
    Key { name, expects, live: true, help }
}

const NAMES: &str = "interface names, with a trailing * for a pattern";
const SWITCH: &str = "yes or no";
const PORT: &str = "a port from 0 to 65535";
const APPLICATIONS: &str = "ports with names, as in 8080:WEB 5000:PHONE";
const DOORS: &str = "off, or an address with port and parameters: 127.0.0.1:57012 nif=eth0";
const PATHS: &str = "absolute paths, or off";
const LISTEN: &str = "off, or unix:///PATH and tcp://ADDRESS:PORT (an address, no name)";
const SEND: &str = "off, or unix:///PATH, tcp://, udp:// or http:// with ADDRESS:PORT, no names";
const SECONDS: &str = "seconds from 1 to 86400";

/// Every setting.
pub const KEYS: &[Key] = &[
    live("capture_interfaces", NAMES, "interfaces to watch; empty picks them"),
    live("capture_lan", NAMES, "interfaces that face the local network"),
    live("capture_wan", NAMES, "interfaces that face the Internet"),
    key("capture_promiscuous", SWITCH, "take frames for other machines too"),
    key("capture_ring_kib", "0 or KiB from 64 to 65536", "ring per interface; 0 fits the memory"),
    key("capture_snaplen", "octets from 64 to 65535", "octets of each frame that are looked at"),
    key("api_socket", "absolute paths", "paths of the Unix sockets"),
    key("api_group", "the name of a group", "group that may use the Unix sockets"),
    live("api_max_clients", "a number from 1 to 1024", "stream clients at once"),
    key("management_address", "an IP address", "address of the management port"),
    key("management_port", PORT, "UDP port of the management protocol; 0 is off"),
    live("management_password", "1 to 64 octets without blank or colon", "key for changes"),
    key("management_password_file", "a readable file", "file whose first line is the key"),
    live("management_read_key", SWITCH, "the key is needed for reads too"),
    live("management_dialect", "published or n2n", "n2n confirms with subscribe"),
    live("http", "off, or addresses with ports such as 127.0.0.1:8082", "where HTTP is answered"),
    key("http_user", "name:role:hash (--hash-password)", "who may use HTTP; repeat it for more"),
    key("http_users_file", "a file of name:role:hash lines", "file with such users"),
    key("http_token", "role:token, 16 octets or more", "token for HTTP; repeat it for more"),
    key("http_token_file", "a file of role:token lines", "file with such tokens"),
    live("http_hosts", "host names", "names by which browsers may reach HTTP"),
    live("http_origins", "origins such as https://ui.lan", "web pages elsewhere that may use HTTP"),
    live("http_per_address", "a number from 1 to 1024", "HTTP clients of one remote address"),
    live("http_ping", "seconds from 1 to 60", "seconds between pings of WebSocket clients"),
    live("packet_sessions", "a number from 0 to 64", "sessions of live packets at once"),
    live("packet_ring_kib", "KiB from 128 to 65536", "ring memory of one such session"),
    live("lookback_kib", "0 or KiB from 64 to 1048576", "memory of an interface's past; 0 is none"),
    live("packet_ping", "seconds from 1 to 60", "seconds between pings of clients of packets"),
    key("packet_dir", "an absolute path, or off", "folder of recorded packets"),
    live("packet_file_kib", "KiB from 64 to 4194304", "KiB of a file of recorded packets"),
    live("packet_files", "a number from 1 to 100", "files of one recording at most"),
    key("pcap_over_ip", DOORS, "streams packets to whoever connects; repeat it for more"),
    key("pcap_over_ip_from", "networks such as 192.0.2.0/24", "who may, besides this machine"),
    live("packet_names", SWITCH, "learn names of hosts from DNS and DHCP for such sessions"),
    live("names_lease_files", PATHS, "leases of DHCP servers; folders are read too"),
    live("names_hosts_files", PATHS, "files as /etc/hosts and /etc/ethers; folders too"),
    live("dns_hint_cache", SWITCH, "answers of DNS name hosts elsewhere"),
    live("dns_hint_cache_size", "a number from 64 to 4096", "names kept"),
    live("dns_hint_cache_save", "volatile, persistent or disabled", "where names of DNS are kept"),
    live("dns_hint_cache_partial_lookups", SWITCH, "names of DNS tell where nothing else does"),
    live("flow_hash_cache", SWITCH, "flows that come again are known at once"),
    live("flow_hash_cache_size", "a number from 64 to 65536", "flows remembered for that"),
    live("devices_offline", SECONDS, "silence after which a device is offline"),
    key("volatile_dir", "an absolute path, or auto", "state for a while; auto is by the socket"),
    key("state_dir", "an absolute path", "state that survives a restart"),
    live("flows_max", "0 or a number from 64 to 2000000", "flows at once; 0 fits the memory"),
    live("flows_idle", SECONDS, "silence that ends a flow"),
    live("flows_idle_tcp", SECONDS, "silence that ends a TCP connection"),
    live("update_interval", SECONDS, "seconds between statistics"),
    key("netns_discovery", SWITCH, "follow other network namespaces too"),
    live("discovery_service", "off, or an address with port", "a GhostWire to ask instead"),
    key("netns_run_path", "absolute paths", "folders with files of network namespaces"),
    live("flow_update", SECONDS, "seconds between updates of flows of captures"),
    live("flow_expire", SECONDS, "silence after which flows of captures end"),
    live("flow_max_entries", "a number from 64 to 262144", "flows of all captures at once"),
    live("flow_application_ports_tcp", APPLICATIONS, "names of TCP ports in flows of captures"),
    live("flow_application_ports_udp", APPLICATIONS, "names of UDP ports in flows of captures"),
    key("startup_capture_gremlin", "a Gremlin query", "nodes that are captured from the start"),
    key("startup_capture_bpf", "a filter as of tcpdump", "filter of that capture"),
    key("startup_capture_type", "afpacket or pcap", "type of that capture"),
    live("topology_metrics_update", SECONDS, "seconds between counters of interfaces"),
    key("topology_sockets", SWITCH, "show sockets and their processes"),
    live("telemetry_listen", LISTEN, "where telemetry is fetched, a JSON object a line"),
    live("telemetry_legacy", LISTEN, "where it is fetched as of Netify 3 and 4"),
    live("telemetry_send", SEND, "where telemetry is sent"),
    live("telemetry_format", "lines or legacy", "how it is written there and into the file"),
    live("telemetry_types", "stream-flows, stream-stats or both", "which records are told"),
    live("telemetry_filter", "an expression such as app == 'x'", "flows that are told; empty: all"),
    live("telemetry_established", SWITCH, "who fetches it is told the flows that are there"),
    live("telemetry_log", "an absolute path, or off", "file that telemetry is written into"),
    live("telemetry_log_kib", "KiB from 64 to 4194304", "KiB of that file at most"),
    live(
        "telemetry_log_files",
        "a number from 1 to 100",
        "such files at most, the older by number",
    ),
    live("privacy_filter_mac", "hardware addresses", "hardware addresses that telemetry masks"),
    live("privacy_filter_host", "addresses or networks", "hosts that telemetry masks"),
    live(
        "privacy_filter_regex_search",
        "a pattern",
        "texts that telemetry replaces ([N] for more)",
    ),
    live(
        "privacy_filter_regex_replace",
        "a text with $1",
        "what it replaces them by ([N] for more)",
    ),
    live("privacy_filter_private_external_addresses", SWITCH, "masks our addresses on uplinks"),
    live("conntrack", "auto, netlink, procfs or off", "where address translation is known from"),
    live("detection_packets", "a number from 0 to 255", "packets looked at per flow; 0 is none"),
    live("detection_flows", "a number from 16 to 65536", "flows that are looked at at once"),
    live("detection_kib", "KiB from 16 to 65536", "memory of streams put together for that"),
    live("log_level", "a level from 0 to 4", "0 errors, 2 normal, 4 debug"),
];

/// Other spellings: those of Netify's configuration and of the issue trackers' scripts.
const ALIASES: &[(&str, &str)] = &[
    ("path_server_socket", "api_socket"),
    ("path_state_persistent", "state_dir"),
    ("path_state_volatile", "volatile_dir"),
    ("dns-hint-cache_enable", "dns_hint_cache"),
    ("dns-hint-cache_save", "dns_hint_cache_save"),
    ("dns-hint-cache_cache_size", "dns_hint_cache_size"),
    ("dns-hint-cache_partial_lookups", "dns_hint_cache_partial_lookups"),
    ("flow-hash-cache_enable", "flow_hash_cache"),
    ("flow-hash-cache_cache_size", "flow_hash_cache_size"),
    ("group", "api_group"),
    ("max_flows", "flows_max"),
    ("max_detection_pkts", "detection_packets"),
    ("ttl_idle_flow", "flows_idle"),
    ("ttl_idle_tcp_flow", "flows_idle_tcp"),
    ("mgmt_read_key", "management_read_key"),
    ("verbose", "log_level"),
    ("http_listen", "http"),
    ("allowed_hosts", "http_hosts"),
    ("allowed_origins", "http_origins"),
    ("password", "management_password"),
    ("max_capture_length", "capture_snaplen"),
    ("socket_listen_path", "telemetry_legacy"),
    ("socket_listen_address", "telemetry_legacy"),
    ("socket_listen_port", "telemetry_legacy"),
    ("socket_dump_established_flows", "telemetry_established"),
    ("privacy-filter_mac", "privacy_filter_mac"),
    ("privacy-filter_host", "privacy_filter_host"),
    ("privacy-filter_regex_search", "privacy_filter_regex_search"),
    ("privacy-filter_regex_replace", "privacy_filter_regex_replace"),
    ("privacy-filter_private_external_addresses", "privacy_filter_private_external_addresses"),
];

/// Keys of Netify's configuration that mean nothing here.
const IGNORED: &[&str] = &[
    "path_pid_file",
    "dns-hint-cache_ttl",
    "flow-hash-cache_save",
    "flow-hash-cache_purge_divisor",
    "path_shared_data",
    "path_plugin_libdir",
    "flow_map_buckets",
    "profile",
    "enable_coredumps",
    "use_getifaddrs",
    "socket_dump_unknown_flows",
    "detection_cores",
    "capture_base",
    "detection_base",
];

/// Why a setting is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Error {
    /// The file is not understood at all.
    File(ini::Error),
    /// The value is not of its kind.
    Value {
        /// The setting.
        name: &'static str,
        /// What it must be.
        expects: &'static str,
    },
    /// No setting of that name; the nearest that there is.
    Unknown(String, Option<&'static str>),
    /// The file of a secret cannot be used: its path, and why.
    Secret(String, String),
    /// An expression that is none: the setting, what is wrong and where.
    Expression(&'static str, expression::Error),
    /// Two settings that cannot be together; the text says what to do.
    Conflict(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Value { name, expects } => write!(f, "{name} must be {expects}"),
            Self::Unknown(name, None) => write!(f, "no setting is called {}", Quoted(name)),
            Self::Unknown(name, Some(near)) => {
                write!(f, "no setting is called {}: did you mean {near}?", Quoted(name))
            }
            Self::Secret(path, why) => write!(f, "password file {}: {why}", Quoted(path)),
            Self::Expression(name, error) => write!(f, "{name}: {error}"),
            Self::Conflict(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl Settings {
    /// Applies a configuration file.
    ///
    /// # Errors
    /// The first error with its line number; `self` is then half changed, so apply a file to a
    /// copy. Unknown keys are no error: they come back as warnings.
    pub fn apply_file(
        &mut self,
        text: &str,
        secret: &mut Secrets<'_>,
    ) -> Result<Vec<(usize, Error)>, (usize, Error)> {
        let items = ini::parse(text).map_err(|error| (0, Error::File(error)))?;
        let mut warnings = Vec::new();
        for item in items {
            let name = flat(&item.section, &item.key);
            match self.set(&name, &item.value, secret) {
                Ok(()) => {}
                Err(error @ Error::Unknown(..)) => warnings.push((item.line, error)),
                Err(error) => return Err((item.line, error)),
            }
        }
        Ok(warnings)
    }

    /// Changes one setting by name.
    ///
    /// # Errors
    /// [`Error::Unknown`] or [`Error::Value`]; nothing is changed then.
    pub fn set(&mut self, name: &str, value: &str, secret: &mut Secrets<'_>) -> Result<(), Error> {
        if IGNORED.contains(&name) {
            return Ok(());
        }
        let unknown = || Error::Unknown(name.to_owned(), nearest(name));
        let (base, index) = numbered(name).ok_or_else(unknown)?;
        let key = *key_of(base).ok_or_else(unknown)?;
        let bad = Error::Value { name: key.name, expects: key.expects };
        if key.name == "telemetry_filter" && !value.is_empty() {
            Expression::parse(value).map_err(|error| Error::Expression(key.name, error))?;
        }
        if let "management_password_file" | "http_users_file" | "http_token_file" = key.name {
            let text = secret(value).map_err(|why| Error::Secret(value.to_owned(), why))?;
            return match key.name {
                "http_users_file" => self.add_users(access::users(&text)),
                "http_token_file" => self.add_tokens(access::tokens(&text)),
                _ => self.set_password(text.lines().next().unwrap_or_default().trim_end()),
            }
            .ok_or(bad);
        }
        match index {
            Some(index) => self.add(base, key.name, index, value).ok_or_else(unknown)?.ok_or(bad),
            None => self.assign(key.name, value).ok_or(bad),
        }
    }

    /// Adds an item of a list that is written with one key for each, as in `mac[0]`; `None` if
    /// that is no such list, `Some(None)` if the value is none of it.
    fn add(&mut self, as_written: &str, name: &str, index: u16, value: &str) -> Option<Option<()>> {
        Some(
            match name {
                "privacy_filter_mac" => mac::parse(value).map(|mac| self.privacy_macs.push(mac)),
                "privacy_filter_host" => network(value).map(|host| self.privacy_hosts.push(host)),
                "privacy_filter_regex_search" => self.set_pattern(index, value),
                "privacy_filter_regex_replace" => self.set_replacement(index, value),
                "telemetry_legacy" => {
                    if as_written.ends_with("port") {
                        return Some(self.set_legacy_port(value));
                    }
                    let targets = listening(value, Some(LEGACY_PORT));
                    targets.map(|targets| self.telemetry_legacy.extend(targets))
                }
                _ => return None,
            }
            .filter(|()| {
                let lists = [
                    self.privacy_macs.len(),
                    self.privacy_hosts.len(),
                    self.privacy_texts.len(),
                    self.telemetry_legacy.len(),
                ];
                lists.iter().all(|len| *len <= MAX_ENTRIES)
            }),
        )
    }

    /// Patterns of texts to replace, and with what, in the order of their numbers.
    #[must_use]
    pub fn rewrites(&self) -> Vec<(String, String)> {
        let mut texts: Vec<_> =
            self.privacy_texts.iter().filter(|(_, s, _)| !s.is_empty()).collect();
        texts.sort_unstable();
        texts.into_iter().map(|(_, search, replace)| (search.clone(), replace.clone())).collect()
    }

    /// In Netify's old configuration the port stands behind its address, by itself.
    fn set_legacy_port(&mut self, value: &str) -> Option<()> {
        let port = value.parse().ok()?;
        self.telemetry_legacy.iter_mut().rev().find_map(|target| match target {
            Target::Tcp(address) => {
                address.set_port(port);
                Some(())
            }
            _ => None,
        })
    }

    fn set_pattern(&mut self, index: u16, value: &str) -> Option<()> {
        if !value.is_empty() {
            regex_lite::RegexBuilder::new(value).size_limit(MAX_PATTERN).build().ok()?;
        }
        if let Some(text) = self.replaced(index, value) {
            value.clone_into(&mut text.1);
        }
        Some(())
    }

    fn set_replacement(&mut self, index: u16, value: &str) -> Option<()> {
        if let Some(text) = self.replaced(index, value) {
            value.clone_into(&mut text.2);
        }
        Some(())
    }

    /// The pattern of this number with what it is replaced by; a new one for `value` unless that
    /// is nothing.
    fn replaced(&mut self, index: u16, value: &str) -> Option<&mut (u16, String, String)> {
        let texts = &mut self.privacy_texts;
        if !value.is_empty() && !texts.iter().any(|(known, ..)| *known == index) {
            texts.push((index, String::new(), String::new()));
        }
        texts.iter_mut().find(|(known, ..)| *known == index)
    }

    fn assign(&mut self, name: &'static str, value: &str) -> Option<()> {
        match name {
            "capture_interfaces" => self.interfaces = names(value)?,
            "capture_lan" => self.lan = names(value)?,
            "capture_wan" => self.wan = names(value)?,
            "capture_promiscuous" => self.promiscuous = switch(value)?,
            "capture_ring_kib" => {
                self.ring_kib = number(value).filter(|n| *n == 0 || (64..=65_536).contains(n))?;
            }
            "capture_snaplen" => self.snaplen = number(value).filter(|n| *n >= 64)?.min(65_535),
            "api_socket" => self.sockets = paths(value)?,
            "api_group" => self.socket_group = Some(value.to_owned()).filter(|g| !g.is_empty()),
            "api_max_clients" => {
                self.max_clients = number(value).filter(|n| (1..=1_024).contains(n))? as usize;
            }
            "management_address" => self.management_address = value.parse().ok()?,
            "management_port" => self.management_port = value.parse().ok()?,
            "management_password" => self.set_password(value)?,
            "management_read_key" => self.management_read_key = switch(value)?,
            "management_dialect" => {
                self.management_n2n = match value {
                    "published" => false,
                    "n2n" => true,
                    _ => return None,
                }
            }
            "http" => self.http = addresses(value)?,
            "http_user" => self.add_users(words(value).map(User::parse).collect())?,
            "http_token" => self.add_tokens(words(value).map(Token::parse).collect())?,
            "http_hosts" => self.http_hosts = hosts(value)?,
            "http_origins" => self.http_origins = origins(value)?,
            "http_per_address" => {
                self.http_per_address = number(value).filter(|n| (1..=1_024).contains(n))? as usize;
            }
            "http_ping" => self.http_ping = number(value).filter(|n| (1..=60).contains(n))?,
            "packet_sessions" => {
                self.packet_sessions = number(value).filter(|n| *n <= 64)? as usize;
            }
            "packet_ring_kib" => {
                self.packet_ring_kib = number(value).filter(|n| (128..=65_536).contains(n))?;
            }
            "lookback_kib" => {
                let fits = |n: &u32| *n == 0 || (64..=1_048_576).contains(n);
                self.lookback_kib = number(value).filter(fits)?;
            }
            "packet_ping" => self.packet_ping = number(value).filter(|n| (1..=60).contains(n))?,
            "packet_dir" => {
                self.packet_dir = match value {
                    "" | "off" | "no" | "none" => None,
                    folder if folder.starts_with('/') => Some(PathBuf::from(folder)),
                    _ => return None,
                };
            }
            "packet_file_kib" => {
                self.packet_file_kib = number(value).filter(|n| (64..=4_194_304).contains(n))?;
            }
            "packet_files" => {
                self.packet_files = number(value).filter(|n| (1..=100).contains(n))?;
            }
            "pcap_over_ip" => self.add_doors(value)?,
            "pcap_over_ip_from" => {
                let networks: Option<Vec<_>> = words(value).map(network).collect();
                self.pcap_over_ip_from = networks.filter(|list| list.len() <= MAX_ENTRIES)?;
            }
            "packet_names" => self.packet_names = switch(value)?,
            "names_lease_files" => self.lease_files = files(value)?,
            "names_hosts_files" => self.hosts_files = files(value)?,
            "dns_hint_cache" => self.dns_hints = switch(value)?,
            // Netify's sizes may be larger than what is kept here.
            "dns_hint_cache_size" => {
                self.dns_hint_size = number(value).filter(|n| *n >= 64)?.min(4_096) as usize;
            }
            "dns_hint_cache_save" => {
                self.dns_hint_save = Keep::ALL.iter().find(|(_, name)| *name == value)?.0;
            }
            "dns_hint_cache_partial_lookups" => self.dns_hint_partial = switch(value)?,
            "flow_hash_cache" => self.flow_hash_cache = switch(value)?,
            "flow_hash_cache_size" => {
                self.flow_hash_size = number(value).filter(|n| *n >= 64)?.min(65_536) as usize;
            }
            "devices_offline" => self.devices_offline = seconds(value)?,
            "volatile_dir" if value == "auto" => self.volatile_dir = PathBuf::new(),
            "volatile_dir" => self.volatile_dir = paths(value)?.into_iter().next()?,
            "state_dir" => self.state_dir = paths(value)?.into_iter().next()?,
            "flows_max" => {
                let fits = |n: &u32| *n == 0 || (64..=2_000_000).contains(n);
                self.max_flows = number(value).filter(fits)? as usize;
            }
            "flows_idle" => self.idle = seconds(value)?,
            "flows_idle_tcp" => self.idle_tcp = seconds(value)?,
            "update_interval" => self.update_interval = seconds(value)?,
            "netns_discovery" => self.netns_discovery = switch(value)?,
            "discovery_service" => {
                self.discovery_service = match value {
                    "" | "off" => None,
                    address => Some(address.parse().ok()?),
                };
            }
            "netns_run_path" => self.netns_run_path = paths(value)?,
            "topology_metrics_update" => self.metrics_update = seconds(value)?,
            "flow_update" => self.flow_update = seconds(value)?,
            "flow_expire" => self.flow_expire = seconds(value)?,
            "flow_max_entries" => {
                self.flow_max = number(value).filter(|n| (64..=262_144).contains(n))?;
            }
            "flow_application_ports_tcp" => self.tcp_applications = applications(value)?,
            "flow_application_ports_udp" => self.udp_applications = applications(value)?,
            "startup_capture_gremlin" => value.clone_into(&mut self.startup_query),
            "startup_capture_bpf" => value.clone_into(&mut self.startup_filter),
            "startup_capture_type" => value.clone_into(&mut self.startup_type),
            "topology_sockets" => self.sockets_shown = switch(value)?,
            "telemetry_listen" => self.telemetry_listen = listening(value, None)?,
            "telemetry_legacy" => self.telemetry_legacy = listening(value, Some(LEGACY_PORT))?,
            "telemetry_send" => self.telemetry_send = telemetry::targets(value, None, |_| true)?,
            "telemetry_format" => self.telemetry_format = Format::parse(value)?,
            "telemetry_types" => self.telemetry_types = Types::parse(words(value))?,
            // It was checked before.
            "telemetry_filter" => value.clone_into(&mut self.telemetry_filter),
            "telemetry_established" => self.telemetry_established = switch(value)?,
            "telemetry_log" => {
                self.telemetry_log = match value {
                    "" | "off" | "no" | "none" => None,
                    path if path.starts_with('/') && !path.ends_with('/') => Some(path.into()),
                    _ => return None,
                };
            }
            "telemetry_log_kib" => {
                self.telemetry_log_kib = number(value).filter(|n| (64..=4_194_304).contains(n))?;
            }
            "telemetry_log_files" => {
                self.telemetry_log_files = number(value).filter(|n| (1..=100).contains(n))?;
            }
            "privacy_filter_mac" => {
                let macs: Option<Vec<_>> = words(value).map(mac::parse).collect();
                self.privacy_macs = macs.filter(|list| list.len() <= MAX_ENTRIES)?;
            }
            "privacy_filter_host" => {
                let hosts: Option<Vec<_>> = words(value).map(network).collect();
                self.privacy_hosts = hosts.filter(|list| list.len() <= MAX_ENTRIES)?;
            }
            "privacy_filter_regex_search" => self.set_pattern(0, value)?,
            "privacy_filter_regex_replace" => self.set_replacement(0, value)?,
            "privacy_filter_private_external_addresses" => self.privacy_external = switch(value)?,
            "conntrack" => {
                let known = SOURCES.iter().find(|(name, _)| *name == value);
                self.conntrack = known.map(|(_, source)| *source)?;
            }
            "detection_packets" => self.detection_packets = number(value).filter(|n| *n <= 255)?,
            "detection_flows" => {
                self.detection_flows = number(value).filter(|n| (16..=65_536).contains(n))?;
            }
            "detection_kib" => {
                self.detection_kib = number(value).filter(|n| (16..=65_536).contains(n))?;
            }
            "log_level" => self.log_level = value.parse().ok().filter(|level| *level <= 4)?,
            _ => return None,
        }
        Some(())
    }

    /// The value of a setting as the file would have it; secrets are not shown.
    #[must_use]
    pub fn show(&self, name: &str) -> Option<String> {
        let switch = |on: bool| if on { "yes" } else { "no" }.to_owned();
        let join = |paths: &[PathBuf]| {
            paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        Some(match name {
            "capture_interfaces" => self.interfaces.join(" "),
            "capture_lan" => self.lan.join(" "),
            "capture_wan" => self.wan.join(" "),
            "capture_promiscuous" => switch(self.promiscuous),
            "capture_ring_kib" => self.ring_kib.to_string(),
            "capture_snaplen" => self.snaplen.to_string(),
            "api_socket" => join(&self.sockets),
            "api_group" => self.socket_group.clone().unwrap_or_default(),
            "api_max_clients" => self.max_clients.to_string(),
            "management_address" => self.management_address.to_string(),
            "management_port" => self.management_port.to_string(),
            "management_password" | "management_password_file" => return None,
            "management_read_key" => switch(self.management_read_key),
            "management_dialect" => {
                if self.management_n2n { "n2n" } else { "published" }.to_owned()
            }
            "http" if self.http.is_empty() => "off".to_owned(),
            "http" => self.http.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            "http_hosts" => self.http_hosts.join(" "),
            "http_origins" => self.http_origins.join(" "),
            "http_per_address" => self.http_per_address.to_string(),
            "packet_sessions" => self.packet_sessions.to_string(),
            "packet_ring_kib" => self.packet_ring_kib.to_string(),
            "lookback_kib" => self.lookback_kib.to_string(),
            "packet_ping" => self.packet_ping.to_string(),
            "packet_dir" => match &self.packet_dir {
                Some(folder) => folder.display().to_string(),
                None => "off".to_owned(),
            },
            "packet_file_kib" => self.packet_file_kib.to_string(),
            "packet_files" => self.packet_files.to_string(),
            "pcap_over_ip" if self.pcap_over_ip.is_empty() => "off".to_owned(),
            "pcap_over_ip" => {
                let doors = self.pcap_over_ip.iter();
                let doors = doors.map(|door| format!("{} {}", door.address, door.parameters));
                doors.collect::<Vec<_>>().join("; ")
            }
            "pcap_over_ip_from" => {
                let networks = self.pcap_over_ip_from.iter();
                let networks = networks.map(|(address, length)| format!("{address}/{length}"));
                networks.collect::<Vec<_>>().join(" ")
            }
            "packet_names" => switch(self.packet_names),
            "http_ping" => self.http_ping.to_string(),
            "names_lease_files" if self.lease_files.is_empty() => "off".to_owned(),
            "names_lease_files" => join(&self.lease_files),
            "names_hosts_files" if self.hosts_files.is_empty() => "off".to_owned(),
            "names_hosts_files" => join(&self.hosts_files),
            "dns_hint_cache" => switch(self.dns_hints),
            "dns_hint_cache_size" => self.dns_hint_size.to_string(),
            "dns_hint_cache_save" => {
                let shown = Keep::ALL.iter().find(|(keep, _)| *keep == self.dns_hint_save);
                shown.map_or("", |(_, name)| name).to_owned()
            }
            "dns_hint_cache_partial_lookups" => switch(self.dns_hint_partial),
            "flow_hash_cache" => switch(self.flow_hash_cache),
            "flow_hash_cache_size" => self.flow_hash_size.to_string(),
            "devices_offline" => self.devices_offline.to_string(),
            "volatile_dir" if self.volatile_dir.as_os_str().is_empty() => "auto".to_owned(),
            "volatile_dir" => self.volatile_dir.display().to_string(),
            "state_dir" => self.state_dir.display().to_string(),
            "flows_max" => self.max_flows.to_string(),
            "flows_idle" => self.idle.to_string(),
            "flows_idle_tcp" => self.idle_tcp.to_string(),
            "update_interval" => self.update_interval.to_string(),
            "netns_discovery" => switch(self.netns_discovery),
            "discovery_service" => {
                self.discovery_service.map_or_else(|| "off".to_owned(), |at| at.to_string())
            }
            "netns_run_path" => join(&self.netns_run_path),
            "topology_metrics_update" => self.metrics_update.to_string(),
            "flow_update" => self.flow_update.to_string(),
            "flow_expire" => self.flow_expire.to_string(),
            "flow_max_entries" => self.flow_max.to_string(),
            "flow_application_ports_tcp" => shown(&self.tcp_applications),
            "flow_application_ports_udp" => shown(&self.udp_applications),
            "startup_capture_gremlin" => self.startup_query.clone(),
            "startup_capture_bpf" => self.startup_filter.clone(),
            "startup_capture_type" => self.startup_type.clone(),
            "topology_sockets" => switch(self.sockets_shown),
            "telemetry_listen" => telemetry::shown(&self.telemetry_listen),
            "telemetry_legacy" => telemetry::shown(&self.telemetry_legacy),
            "telemetry_send" => telemetry::shown(&self.telemetry_send),
            "telemetry_format" => self.telemetry_format.name().to_owned(),
            "telemetry_types" => self.telemetry_types.to_string(),
            "telemetry_filter" => self.telemetry_filter.clone(),
            "telemetry_established" => switch(self.telemetry_established),
            "telemetry_log" => match &self.telemetry_log {
                Some(path) => path.display().to_string(),
                None => "off".to_owned(),
            },
            "telemetry_log_kib" => self.telemetry_log_kib.to_string(),
            "telemetry_log_files" => self.telemetry_log_files.to_string(),
            "privacy_filter_mac" => {
                let macs = self.privacy_macs.iter().map(|mac| mac::text(*mac));
                macs.collect::<Vec<_>>().join(" ")
            }
            "privacy_filter_host" => {
                let hosts = self.privacy_hosts.iter();
                let hosts = hosts.map(|(address, length)| format!("{address}/{length}"));
                hosts.collect::<Vec<_>>().join(" ")
            }
            "privacy_filter_regex_search" | "privacy_filter_regex_replace" => {
                let first = self.privacy_texts.iter().find(|(index, ..)| *index == 0);
                first.map_or_else(String::new, |(_, search, replace)| {
                    if name.ends_with("search") { search } else { replace }.clone()
                })
            }
            "privacy_filter_private_external_addresses" => switch(self.privacy_external),
            "conntrack" => {
                let known = SOURCES.iter().find(|(_, source)| *source == self.conntrack);
                known.map(|(name, _)| (*name).to_owned()).unwrap_or_default()
            }
            "detection_packets" => self.detection_packets.to_string(),
            "detection_flows" => self.detection_flows.to_string(),
            "detection_kib" => self.detection_kib.to_string(),
            "log_level" => self.log_level.to_string(),
            _ => return None,
        })
    }

    /// What only shows when all is set.
    ///
    /// # Errors
    /// [`Error::Conflict`] says what to change.
    pub fn check(&self) -> Result<(), Error> {
        let open = self.management_port != 0 && !self.management_address.is_loopback();
        if open && self.has_default_password() {
            return Err(Error::Conflict(
                "the management port listens beyond loopback with the default password: \
                 set management_password_file (or --management-password-file) to a file with \
                 a password of your own, or management_address to 127.0.0.1",
            ));
        }
        if self.http.iter().any(|address| !address.ip().is_loopback()) && !self.has_http_login() {
            return Err(Error::Conflict(
                "http listens beyond loopback and anybody could use it: add a line \
                 `http_user = admin:admin:HASH` with the HASH that `portolan --hash-password` \
                 prints, or a line `http_token = admin:TOKEN` with a long random TOKEN; or set \
                 http to 127.0.0.1:8082",
            ));
        }
        Ok(())
    }

    /// Folder of state that does not survive a restart of the machine: where none is set, that of
    /// the first Unix socket, so that agents beside each other have one each.
    #[must_use]
    pub fn volatile(&self) -> PathBuf {
        let of_socket = || self.sockets.first().and_then(|path| path.parent());
        let set = Some(self.volatile_dir.as_path()).filter(|path| !path.as_os_str().is_empty());
        set.or_else(of_socket).unwrap_or_else(|| Path::new("/var/run/portolan")).to_owned()
    }

    /// Whether packets are streamed to whoever connects from there.
    #[must_use]
    pub fn may_stream(&self, from: IpAddr) -> bool {
        let from = from.to_canonical();
        let bits = |address: IpAddr| match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, true),
            IpAddr::V6(address) => (address.to_bits(), false),
        };
        let near = |(network, length): &(IpAddr, u8)| {
            let ((a, a4), (b, b4)) = (bits(from), bits(*network));
            a4 == b4 && (a ^ b).leading_zeros() >= u32::from(*length)
        };
        from.is_loopback() || self.pcap_over_ip_from.iter().any(near)
    }

    /// Whether HTTP clients have to say who they are.
    #[must_use]
    pub const fn has_http_login(&self) -> bool {
        !self.http_users.is_empty() || !self.http_tokens.is_empty()
    }

    /// Whether the password is the one that everybody knows.
    #[must_use]
    pub fn has_default_password(&self) -> bool {
        self.management_password == DEFAULT_PASSWORD
    }

    fn add_users(&mut self, users: Option<Vec<User>>) -> Option<()> {
        self.http_users.extend(users?);
        (self.http_users.len() <= MAX_ENTRIES).then_some(())
    }

    fn add_tokens(&mut self, tokens: Option<Vec<Token>>) -> Option<()> {
        self.http_tokens.extend(tokens?);
        (self.http_tokens.len() <= MAX_ENTRIES).then_some(())
    }

    /// Adds places where packets are streamed; several are parted by semicolons.
    fn add_doors(&mut self, value: &str) -> Option<()> {
        if ["off", "no", "none"].contains(&value) {
            self.pcap_over_ip.clear();
            return Some(());
        }
        for text in value.split(';').map(str::trim).filter(|text| !text.is_empty()) {
            let (address, parameters) = text.split_once([' ', '\t']).unwrap_or((text, ""));
            let address = address.parse().ok()?;
            let parameters = parameters.trim().to_owned();
            self.pcap_over_ip.push(Door { address, parameters });
        }
        (self.pcap_over_ip.len() <= MAX_DOORS).then_some(())
    }

    fn set_password(&mut self, value: &str) -> Option<()> {
        let usable = |b: u8| b.is_ascii_graphic() && b != b':';
        let fits = (1..=64).contains(&value.len()) && value.bytes().all(usable);
        fits.then(|| value.clone_into(&mut self.management_password))
    }
}

/// Reads a file with secrets; the text of the error says why not.
pub type Secrets<'a> = dyn FnMut(&str) -> Result<String, String> + 'a;

/// The setting of that name, or of that other spelling.
#[must_use]
pub fn key_of(name: &str) -> Option<&'static Key> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
    KEYS.iter().find(|key| key.name == name)
}

/// A name without the number in brackets behind it, if it has one.
fn numbered(name: &str) -> Option<(&str, Option<u16>)> {
    match name.split_once('[') {
        None => Some((name, None)),
        Some((base, rest)) => Some((base, Some(rest.strip_suffix(']')?.parse().ok()?))),
    }
}

fn listening(value: &str, port: Option<u16>) -> Option<Vec<Target>> {
    let fits = |target: &Target| matches!(target, Target::Unix(_) | Target::Tcp(_));
    telemetry::targets(value, port, fits)
}

/// The name of a setting from its place in the file.
fn flat(section: &str, key: &str) -> String {
    match section {
        "" | "portolan" | "netifyd" => key.to_owned(),
        section => format!("{section}_{key}"),
    }
}

fn names(value: &str) -> Option<Vec<String>> {
    // IFNAMSIZ is 16 with the NUL; a pattern has one character more.
    let fits = |name: &&str| name.len() <= 16 && !name.contains('/');
    let words: Vec<&str> = words(value).collect();
    words.iter().all(fits).then(|| words.into_iter().map(str::to_owned).collect())
}

fn paths(value: &str) -> Option<Vec<PathBuf>> {
    let paths: Vec<PathBuf> = words(value).map(PathBuf::from).collect();
    paths.iter().all(|path| path.is_absolute()).then_some(paths)
}

/// At most so many, as each is looked at again and again.
fn files(value: &str) -> Option<Vec<PathBuf>> {
    if ["off", "no", "none"].contains(&value) {
        return Some(Vec::new());
    }
    paths(value).filter(|paths| paths.len() <= 16)
}

fn addresses(value: &str) -> Option<Vec<SocketAddr>> {
    if ["off", "no", "none"].contains(&value) {
        return Some(Vec::new());
    }
    let addresses: Option<Vec<SocketAddr>> = words(value).map(|word| word.parse().ok()).collect();
    addresses.filter(|addresses| (1..=16).contains(&addresses.len()))
}

/// An address, or a network with the length of its prefix.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = if length.is_empty() { most } else { length.parse().ok()? };
    (length <= most).then_some((address, length))
}

fn hosts(value: &str) -> Option<Vec<String>> {
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let fits = |name: &&str| name.len() <= 253 && name.chars().all(usable);
    let words: Vec<&str> = words(value).collect();
    let all = words.len() <= 64 && words.iter().all(fits);
    all.then(|| words.into_iter().map(str::to_ascii_lowercase).collect())
}

/// `*` is none: a page of any origin could then do anything.
fn origins(value: &str) -> Option<Vec<String>> {
    let fits = |origin: &&str| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '*' | '@' | '"');
        host.is_some_and(|host| !host.is_empty() && host.len() <= 260 && host.chars().all(plain))
    };
    let words: Vec<&str> = words(value).collect();
    let all = words.len() <= 64 && words.iter().all(fits);
    all.then(|| words.into_iter().map(str::to_ascii_lowercase).collect())
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split([' ', ',', '\t']).filter(|word| !word.is_empty())
}

fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" | "on" => Some(true),
        "no" | "false" | "0" | "off" => Some(false),
        _ => None,
    }
}

fn number(value: &str) -> Option<u32> {
    value.parse().ok()
}

/// `PORT:NAME` words.
fn applications(value: &str) -> Option<Vec<(u16, String)>> {
    let named = |word: &str| {
        let (port, name) = word.split_once(':')?;
        let fits = (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic());
        Some((port.parse().ok()?, name.to_owned())).filter(|_| fits)
    };
    value.split([' ', ',']).filter(|word| !word.is_empty()).map(named).collect()
}

fn shown(applications: &[(u16, String)]) -> String {
    let words: Vec<String> =
        applications.iter().map(|(port, name)| format!("{port}:{name}")).collect();
    words.join(" ")
}

fn seconds(value: &str) -> Option<u32> {
    number(value).filter(|n| (1..=86_400).contains(n))
}

/// The setting whose name is at most three edits away.
fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > 64 {
        return None;
    }
    let distances = KEYS.iter().map(|key| (distance(name, key.name), key.name));
    distances.min().filter(|(distance, _)| *distance <= 3).map(|(_, name)| name)
}

/// Edits (insert, delete, replace) from one text to the other.
#[must_use]
pub fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, a) in a.chars().enumerate() {
        let mut diagonal =
            std::mem::replace(row.first_mut().unwrap_or(&mut 0), i.saturating_add(1));
        let mut left = i.saturating_add(1);
        for (cell, b) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal.saturating_add(usize::from(a != b));
            diagonal = *cell;
            left = replaced.min(left.saturating_add(1)).min(cell.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_secrets(_: &str) -> Result<String, String> {
        Err("no such file".into())
    }

    #[test]
    fn each_setting_shown_reads_back_as_it_was() {
        let settings = Settings::default();
        for key in KEYS {
            let Some(shown) = settings.show(key.name) else { continue };
            let mut copy = settings.clone();
            copy.set(key.name, &shown, &mut no_secrets).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(copy, settings, "{}", key.name);
        }
    }

    #[test]
    fn names_of_the_ancestors_are_understood() {
        let mut s = Settings::default();
        let text = "[netifyd]\nprofile = x\npath_server_socket = /run/a.sock /run/b.sock\n\
                    max_flows = 1000\n[management]\ndialect = \"n2n\"\n[capture]\ninterfaces = a,b*\n";
        assert_eq!(s.apply_file(text, &mut no_secrets), Ok(vec![]));
        assert_eq!(s.sockets.len(), 2);
        assert_eq!((s.max_flows, s.management_n2n), (1_000, true));
        assert_eq!(s.interfaces, ["a", "b*"]);
    }

    #[test]
    fn a_typo_is_a_warning_with_a_hint_and_a_bad_value_an_error_with_its_line() {
        let mut s = Settings::default();
        let warnings = s.apply_file("[flows]\nidel = 3\n", &mut no_secrets).unwrap();
        assert_eq!(warnings, [(2, Error::Unknown("flows_idel".into(), Some("flows_idle")))]);
        let error = s.apply_file("\nflows_idle = never\n", &mut no_secrets).unwrap_err();
        assert_eq!(error.0, 2);
        assert_eq!(error.1.to_string(), "flows_idle must be seconds from 1 to 86400");
    }

    #[test]
    fn the_default_password_stays_on_loopback() {
        let mut s = Settings::default();
        assert!(s.check().is_ok());
        s.management_address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        assert!(s.check().is_err());
        s.set("management_password", "other", &mut no_secrets).unwrap();
        assert!(s.check().is_ok());
        for wrong in ["", "a b", "a:b", "\u{e9}"] {
            assert!(s.set("management_password", wrong, &mut no_secrets).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn http_beyond_loopback_needs_somebody_who_may_use_it() {
        let mut s = Settings::default();
        s.set("http", "off", &mut no_secrets).unwrap();
        assert_eq!((s.http.len(), s.check()), (0, Ok(())));
        s.set("http", "[::1]:80 127.0.0.1:0", &mut no_secrets).unwrap();
        assert!(s.check().is_ok());
        s.set("http", "127.0.0.1:80, 192.0.2.1:80", &mut no_secrets).unwrap();
        let text = s.check().unwrap_err().to_string();
        assert!(text.contains("http_user = ") && text.contains("http_token = "), "{text}");
        s.set("http_token", "read:0123456789abcdef", &mut no_secrets).unwrap();
        assert!(s.check().is_ok());
        for wrong in ["", "8082", "localhost:80", "127.0.0.1"] {
            assert!(s.set("http", wrong, &mut no_secrets).is_err(), "{wrong:?}");
        }
        for wrong in ["*", "ui.lan", "http://*", "http://a/b", "null"] {
            assert!(s.set("http_origins", wrong, &mut no_secrets).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn streams_of_packets_are_for_those_who_are_listed() {
        let mut s = Settings::default();
        let text = "pcap_over_ip = 127.0.0.1:57012 nif=br-lan&filter=port 53\n\
                    pcap_over_ip = [::1]:57013\n\
                    pcap_over_ip_from = 192.0.2.0/24 2001:db8::/32 203.0.113.9\n";
        assert_eq!(s.apply_file(text, &mut no_secrets), Ok(vec![]));
        assert_eq!(s.pcap_over_ip.len(), 2);
        assert_eq!(s.pcap_over_ip[0].parameters, "nif=br-lan&filter=port 53");
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.3.1", false),
            ("203.0.113.9", true),
            ("203.0.113.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(s.may_stream(address.parse().unwrap()), expected, "{address}");
        }
        let mut copy = Settings::default();
        copy.set("pcap_over_ip", &s.show("pcap_over_ip").unwrap(), &mut no_secrets).unwrap();
        assert_eq!(copy.pcap_over_ip, s.pcap_over_ip);
        for wrong in ["57012", "localhost:1", "127.0.0.1"] {
            assert!(s.set("pcap_over_ip", wrong, &mut no_secrets).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_netify_calls_socket_and_privacy_filter_is_understood() {
        let mut s = Settings::default();
        let text = "[socket]\nlisten_path[0] = /run/n.sock\nlisten_address[1] = 127.0.0.1\nlisten_port[1] = 7200\n\
                    dump_established_flows = no\n[privacy-filter]\nmac[0] = 00:11:22:33:44:55\n\
                    mac[1] = 00:11:22:33:44:56\nhost[0] = 192.0.2.1\nregex_search[1] = b\n\
                    regex_search[0] = a\nregex_replace[1] = c\n\
                    private_external_addresses = yes\n";
        assert_eq!(s.apply_file(text, &mut no_secrets), Ok(vec![]));
        let shown = s.show("telemetry_legacy").unwrap();
        assert_eq!(shown, "unix:///run/n.sock tcp://127.0.0.1:7200");
        assert!(!s.telemetry_established && s.privacy_external);
        assert_eq!((s.privacy_macs.len(), s.privacy_hosts.len()), (2, 1));
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(s.rewrites(), [pair("a", ""), pair("b", "c")]);
        for (name, wrong) in [
            ("privacy_filter_regex_search", "("),
            ("privacy-filter_mac[2]", "nonsense"),
            ("telemetry_filter", "colour == 'red'"),
            ("telemetry_listen", "udp://127.0.0.1:1"),
            ("telemetry_send", "http://collector.lan/"),
            ("telemetry_log", "relative"),
        ] {
            assert!(s.set(name, wrong, &mut no_secrets).is_err(), "{name}");
        }
        let error = s.set("telemetry_filter", "port == 53 && colour", &mut no_secrets);
        let text = error.unwrap_err().to_string();
        assert!(text.starts_with("telemetry_filter: ") && text.contains("column 15"), "{text}");
        assert!(matches!(s.set("flows_idle[0]", "3", &mut no_secrets), Err(Error::Unknown(..))));
    }

    #[test]
    fn users_and_tokens_add_up() {
        let mut s = Settings::default();
        let hash = access::Hash::new(b"x", b"salt", 2);
        let text =
            format!("[http]\nuser = a:read:{hash}\nuser = b:admin:{hash}\nusers_file = /f\n");
        let mut file = |_: &str| Ok(format!("# more\nc:guest:{hash}\n"));
        assert_eq!(s.apply_file(&text, &mut file), Ok(vec![]));
        assert_eq!(s.http_users.len(), 3);
        assert!(s.show("http_user").is_none() && s.show("http_token").is_none());
    }

    #[test]
    fn distances_are_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
