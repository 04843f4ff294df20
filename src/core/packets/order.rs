//! What somebody wants to see the packets of, and how: put together by a front-end from its own
//! words, carried out by [`super::Packets`] and `io`.

use std::fmt;

/// Snap length unless the order says another: what libpcap uses, larger than any frame.
pub const SNAPLEN: u32 = 262_144;

/// Targets of one order.
pub const MAX_TARGETS: usize = 16;

/// Interfaces of one session, over all its targets.
pub const MAX_PORTS: usize = 1_024;

/// What to capture, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Where: at least one.
    pub targets: Vec<Target>,
    /// What, in the language of libpcap; empty for everything.
    pub filter: String,
    /// What is left out, in the same language: the stream itself, which would feed on itself.
    pub exclude: Vec<String>,
    /// What is left out besides in the agent's own namespace: addresses such as 127.0.0.1 are
    /// others elsewhere.
    pub exclude_here: Vec<String>,
    /// Octets kept of each packet.
    pub snaplen: u32,
    /// Ask cards for frames that are not for this machine.
    pub promiscuous: bool,
    /// The form of the stream.
    pub format: Format,
    /// When it ends by itself.
    pub limits: Limits,
    /// What is left out of packets that would be in it otherwise.
    pub thinning: Thinning,
    /// Begin with packets of the past, so many microseconds ago.
    pub since: Option<u64>,
    /// Into files instead of to a reader.
    pub recording: Option<Recording>,
    /// Who wants it, for people: an address, a user.
    pub by: String,
}

/// The files that a session is written to, by the agent itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Recording {
    /// Name of the newest; the others have a dot and a number behind it.
    pub name: String,
    /// How many are kept; `None` for as many as there may be.
    pub files: Option<u32>,
    /// The folder they are in. The settings say which.
    pub folder: String,
    /// Octets of one file at most. The settings say how many.
    pub most: u64,
}

impl Default for Order {
    fn default() -> Self {
        Self {
            targets: vec![Target::default()],
            filter: String::new(),
            exclude: Vec::new(),
            exclude_here: Vec::new(),
            snaplen: SNAPLEN,
            promiscuous: true,
            format: Format::Pcapng,
            limits: Limits::default(),
            thinning: Thinning::default(),
            since: None,
            recording: None,
            by: String::new(),
        }
    }
}

/// The form of a stream.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// The classic capture file: one link type, stamps in nanoseconds, no counters.
    Pcap,
    /// Blocks (draft-ietf-opsawg-pcapng).
    #[default]
    Pcapng,
}

/// When a session ends by itself; `None` is never.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Limits {
    /// After so many packets.
    pub packets: Option<u64>,
    /// After so many octets of the stream.
    pub octets: Option<u64>,
    /// After so many microseconds.
    pub micros: Option<u64>,
}

/// What is left out of the stream on purpose.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Thinning {
    /// One packet of so many; `None` for all.
    pub sample: Option<u32>,
    /// At most so many packets a second.
    pub rate: Option<u32>,
    /// Nothing behind the transport header.
    pub headers: bool,
}

/// A network namespace and interfaces in it: the target description of capture clients. With
/// neither `netns`, `pid` nor `name` it is the agent's own namespace.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Target {
    /// Number of the namespace's file; 0 to find it by process or name.
    pub netns: u64,
    /// A process in it; 0 for none.
    pub pid: u32,
    /// When that process started, in clock ticks since the start of the machine; 0 for unknown.
    pub starttime: u64,
    /// Name of a container, process or bind mount in it.
    pub name: String,
    /// What tells the name from the same name elsewhere.
    pub prefix: String,
    /// What bears the name: `docker`, `proc`, `bindmount`, ...
    pub kind: String,
    /// The machine, as the client calls it.
    pub node: String,
    /// The cluster that the client sees it in, by its identifier.
    pub cluster: Option<String>,
    /// Interfaces by name; none for all that are not down, those that come later included.
    pub interfaces: Vec<String>,
}

impl Target {
    /// Whether it is the agent's own namespace.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.netns == 0 && self.pid == 0 && self.name.is_empty()
    }
}

/// What is meant by things that the agent knows: flows, hosts, nodes of the map. It becomes
/// targets and filters of an [`Order`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// Interfaces: the nodes that a Gremlin query gives.
    pub gremlin: Option<String>,
    /// One flow of the flow table, by its id.
    pub flow: Option<u64>,
    /// An application, by its name.
    pub app: Option<String>,
    /// A host, by address, prefix or name.
    pub host: Option<String>,
    /// A device, by hardware address, address or name.
    pub device: Option<String>,
    /// The nodes and the filter of an on-demand capture, by its id.
    pub capture: Option<String>,
}

/// Why there is no session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// The kind of reason.
    pub why: Why,
    /// One line for the user: what is wrong, and what to do.
    pub text: String,
}

/// Kinds of reasons why there is no session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The order contradicts itself or asks for what cannot be.
    Bad,
    /// There are as many sessions as there may be, or no memory for more.
    Busy,
    /// The agent lacks a permission.
    Denied,
    /// No such namespace, name or interface.
    NotFound,
    /// The target is not any more what the client knew.
    Stale,
    /// The system refuses.
    System,
}

impl Refused {
    /// A refusal.
    #[must_use]
    pub fn new(why: Why, text: impl Into<String>) -> Self {
        Self { why, text: text.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
