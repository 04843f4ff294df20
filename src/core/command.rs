//! All commands, each once: what they are called on which interface, what right they need, and
//! how their arguments become typed values. Help on every interface is printed from [`TABLE`].

use std::fmt;
use std::net::IpAddr;

use crate::flow::top::{By, Order};
use crate::query;
use crate::wire::mac;

use super::auth::Right;
use super::devices::listing::Wanted;
pub use super::map::NodeQuery;
use super::packets::parameters::NAMES as PARAMETERS;
use super::resources::Kind;
use super::select::Selection;

/// Rows of an answer when the caller does not say how many.
pub const DEFAULT_ROWS: usize = 50;

/// The most rows of one answer on an interface without back-pressure: below the 256 datagrams
/// that a default Linux receive buffer holds.
pub const MAX_ROWS: usize = 200;

/// A command with its arguments, ready to run.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each variant is described by its row of TABLE")]
pub enum Command {
    Apps { page: Page },
    CaptureStart { dev: String, filter: String },
    CaptureStop { id: String },
    Captures { page: Page },
    Communities,
    Devices { wanted: Wanted, page: Page },
    Flow(u64),
    FlowProcess(u64),
    Flows { query: Selection, page: Page },
    Flush(Flush),
    Gremlin { query: String },
    GroupAdd { group: String, entries: Vec<Option<String>> },
    GroupFlush { group: String },
    GroupList { group: Option<String> },
    GroupLoad { group: String },
    GroupLookup { group: Option<String>, entries: Vec<Option<String>> },
    GroupMembers { group: Option<String>, page: Page },
    GroupRemove { group: String, entries: Vec<Option<String>> },
    GroupSave { group: String },
    Import { file: Vec<u8> },
    Info,
    Interfaces { page: Page },
    Lookup { what: String },
    Namespaces,
    Neighbours { query: NeighbourQuery, page: Page },
    Nodes { query: NodeQuery, page: Page },
    PacketStats,
    Publish { text: String },
    Reload,
    Resource { kind: Kind, id: String },
    ResourceCreate { kind: Kind, json: serde_json::Value, ttl: Option<i64> },
    ResourceDelete { kind: Kind, id: String },
    ResourcePatch { kind: Kind, id: String, patch: serde_json::Value },
    Resources { kind: Kind },
    Restart,
    SessionStart { pairs: Vec<(String, String)> },
    SessionStop { id: u64 },
    Sessions { page: Page },
    Sinks,
    Set { key: String, value: String },
    Settings { page: Page },
    Status,
    Stop { now: bool },
    Timestamps,
    Top { query: Selection, of: By, order: Order, rows: usize },
    Verbose { level: Option<u8> },
}

/// Which part of a table an answer holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Page {
    /// Continue after this cursor; 0 from the start.
    pub after: u64,
    /// At most this many rows.
    pub rows: usize,
}

/// What to forget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flush {
    /// Every flow; each ends with reason `flushed`.
    Flows,
    /// The totals per interface and protocol.
    Stats,
}

/// Which neighbours are wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NeighbourQuery {
    /// Only on this interface.
    pub dev: Option<String>,
    /// Only this address.
    pub ip: Option<IpAddr>,
    /// Only this hardware address.
    pub mac: Option<[u8; 6]>,
}

/// Why a command was not carried out. Each interface has its own code and text for it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The caller lacks the right.
    Denied,
    /// A value is missing or not of its kind.
    BadArgument {
        /// Its name, as the caller spells it.
        name: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// The new configuration is refused; the old one stays. The text says where and why.
    Configuration(String),
    /// The same is there already.
    Duplicate,
    /// An expression is wrong: what it is for, why and where.
    Expression(String),
    /// A name that a group cannot have.
    GroupName,
    /// No group of that name.
    GroupNotFound,
    /// What was sent cannot be: the text names the member and says why.
    Invalid(String),
    /// A table or list is full.
    Limit,
    /// Nothing of that id.
    NotFound,
    /// The query has no answer: why, and where it says so.
    Query(query::Error),
    /// The group has no saved file, or no line of it is an address.
    NothingSaved,
    /// The state directory could not be written or read: what the system says.
    Storage(String),
    /// No such command.
    Unknown,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("not allowed"),
            Self::BadArgument { name, expected } => write!(f, "{name}: expected {expected}"),
            Self::Configuration(text)
            | Self::Expression(text)
            | Self::Invalid(text)
            | Self::Storage(text) => f.write_str(text),
            Self::Duplicate => f.write_str("duplicated resource"),
            Self::GroupName => f.write_str("not a name for a group"),
            Self::GroupNotFound => f.write_str("no such group"),
            Self::Limit => f.write_str("limit reached"),
            Self::NotFound => f.write_str("not found"),
            Self::Query(error) => write!(f, "{error}"),
            Self::NothingSaved => f.write_str("nothing is saved"),
            Self::Unknown => f.write_str("unknown command"),
        }
    }
}

/// How a method behaves under the `r` and `w` of the management protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Only read.
    Read,
    /// Read shows, write changes.
    Both,
    /// Only write.
    Write,
}

/// One row of the table of commands.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The command, without its arguments.
    pub verb: Verb,
    /// Names on the Unix socket (the first is the proper one); none if it is not there.
    pub unix: &'static [&'static str],
    /// Names on the management port, the proper one first; none if it is not there.
    pub udp: &'static [&'static str],
    /// Its arguments, as help shows them.
    pub args: &'static str,
    /// What it does, in a few words: all help texts together must fit 8 KiB of datagrams.
    pub help: &'static str,
    /// The right needed to read, or at all.
    pub right: Right,
    /// What the management port may do with it.
    pub access: Access,
}

/// A command without its arguments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "each variant is described by its row of TABLE")]
pub enum Verb {
    Apps,
    Capture,
    Captures,
    Communities,
    Devices,
    Flow,
    Flows,
    Flush,
    Gremlin,
    GroupAdd,
    GroupFlush,
    GroupList,
    GroupLoad,
    GroupLookup,
    GroupMembers,
    GroupRemove,
    GroupSave,
    Help,
    HelpEvents,
    Info,
    Interfaces,
    Lookup,
    Namespaces,
    Neighbours,
    Nodes,
    PacketStats,
    Packets,
    Publish,
    Reload,
    Restart,
    Session,
    Sessions,
    Set,
    Settings,
    Sinks,
    Status,
    Stop,
    StopPackets,
    Subscribe,
    Timestamps,
    Top,
    Unsubscribe,
    Verbose,
}

const fn entry(
    verb: Verb,
    unix: &'static [&'static str],
    udp: &'static [&'static str],
    args: &'static str,
    help: &'static str,
) -> Entry {
    Entry { verb, unix, udp, args, help, right: Right::Read, access: Access::Read }
}

impl Entry {
    const fn capture(mut self) -> Self {
        self.right = Right::Capture;
        self.access = Access::Write;
        self
    }

    const fn admin(mut self) -> Self {
        self.right = Right::Admin;
        self.access = Access::Write;
        self
    }

    const fn both(mut self) -> Self {
        self.access = Access::Both;
        self
    }
}

/// Every command of every interface.
pub const TABLE: &[Entry] = &[
    entry(Verb::Help, &["help"], &["help"], "", "this list").both(),
    entry(Verb::HelpEvents, &[], &["help.events"], "", "event topics and who is subscribed"),
    entry(Verb::Status, &["status"], &["status"], "", "uptime, memory, flows, losses"),
    entry(Verb::Info, &["info"], &["info"], "", "version, name, addresses of this agent"),
    entry(
        Verb::Interfaces,
        &["interfaces"],
        &["interfaces"],
        "[n= after=]",
        "interfaces with role and counters",
    ),
    entry(
        Verb::Flows,
        &["list-flows"],
        &["flows"],
        "[where= dev= proto= host= port= mac= state= process= n= after=]",
        "flows that match",
    ),
    entry(Verb::Flow, &["flow"], &["flow"], "ID [process=]", "all that is known of one flow"),
    entry(
        Verb::Top,
        &["top"],
        &["top"],
        "[by=bytes|pkts|flows of=app|protocol|device|host|peer|port|dev|proto where= n=]",
        "who or what moves most",
    ),
    entry(
        Verb::Devices,
        &["devices"],
        &["devices"],
        "[WHICH n= after=]",
        "who is here, and what it is",
    ),
    entry(Verb::Apps, &["apps"], &["apps"], "[n= after=]", "applications and protocols in use"),
    entry(
        Verb::Lookup,
        &["lookup"],
        &["lookup"],
        "WHAT",
        "what is known of a name, address or MAC",
    ),
    entry(
        Verb::Neighbours,
        &["neighbours"],
        &["neighbours", "edges"],
        "[dev= ip= mac= n= after=]",
        "neighbours on the links",
    ),
    entry(Verb::Gremlin, &["gremlin"], &["gremlin"], "QUERY", "ask the map, as in G.V().Count()"),
    entry(Verb::Captures, &["captures"], &["captures"], "[n= after=]", "on-demand captures"),
    entry(
        Verb::Capture,
        &["capture"],
        &["capture"],
        "start DEV [FILTER] | stop ID",
        "start or stop a capture",
    )
    .capture(),
    entry(
        Verb::Packets,
        &["packets"],
        &[],
        "[nif= filter= netns= count= duration= file= ...]",
        "live packets, behind the answer",
    )
    .capture(),
    entry(
        Verb::Sessions,
        &["packet-sessions"],
        &["sessions"],
        "[n= after=]",
        "sessions of live packets",
    ),
    entry(
        Verb::Session,
        &[],
        &["session"],
        "start DEV [FILTER] file=NAME [count=] | stop ID",
        "record packets, or end a session",
    )
    .capture(),
    entry(Verb::StopPackets, &["stop-packets"], &[], "data", "end a session of packets").capture(),
    entry(
        Verb::Nodes,
        &["topology"],
        &["topology"],
        "[type= name= netns= n= after=]",
        "nodes of the map",
    ),
    entry(Verb::Namespaces, &["netns"], &["netns"], "", "network namespaces"),
    entry(Verb::Communities, &[], &["communities"], "", "interface groups with addresses"),
    entry(Verb::PacketStats, &[], &["packetstats"], "", "packet counters by kind"),
    entry(Verb::Timestamps, &[], &["timestamps"], "", "when things last happened"),
    entry(
        Verb::GroupMembers,
        &["list-group-members"],
        &["groups"],
        "[GROUP n= after=]",
        "members of address groups",
    ),
    entry(
        Verb::GroupAdd,
        &["add-group-address"],
        &[],
        "group data",
        "add addresses to a group, made if new",
    )
    .admin(),
    entry(
        Verb::GroupRemove,
        &["remove-group-address", "delete-group-address"],
        &[],
        "group data",
        "take addresses out of a group",
    )
    .admin(),
    entry(
        Verb::GroupFlush,
        &["flush-group-addresses", "flush-address-group"],
        &[],
        "group",
        "delete a group and its file",
    )
    .admin(),
    entry(Verb::GroupSave, &["save-address-group"], &[], "group", "save a group to flash").admin(),
    entry(Verb::GroupLoad, &["load-address-group"], &[], "group", "read a group back from flash")
        .admin(),
    entry(
        Verb::GroupList,
        &["list-address-groups"],
        &[],
        "[group]",
        "groups, or the members of one",
    ),
    entry(
        Verb::GroupLookup,
        &["lookup-group-address"],
        &[],
        "data [group]",
        "which groups hold an address",
    ),
    entry(
        Verb::Subscribe,
        &["subscribe"],
        &[],
        "[data= where= dev= proto= host= port=]",
        "events as they happen, flows first",
    ),
    entry(Verb::Verbose, &["verbose"], &["verbose"], "[0-4]", "log level").both(),
    entry(Verb::Set, &["set"], &["set"], "KEY VALUE", "change a setting").admin(),
    entry(
        Verb::Settings,
        &["settings"],
        &["settings"],
        "[n= after=]",
        "settings with their values",
    ),
    entry(Verb::Sinks, &["sinks"], &["sinks"], "", "where telemetry goes"),
    entry(
        Verb::Reload,
        &["reload"],
        &["reload", "reload_communities"],
        "",
        "read the configuration again",
    )
    .admin(),
    entry(Verb::Flush, &["flush"], &["flush"], "[flows|stats]", "forget flows or totals").admin(),
    entry(Verb::Publish, &[], &["post.test"], "TEXT", "send an event to topic test"),
    entry(Verb::Unsubscribe, &[], &["unsubscribe"], "TOPIC", "end a subscription").admin(),
    entry(Verb::Restart, &["restart"], &[], "", "start over in the same process").admin(),
    entry(Verb::Stop, &[], &["stop"], "", "stop the agent").both(),
];

/// Arguments as a front-end found them: text, not yet understood.
#[derive(Clone, Debug, Default)]
pub struct Arguments<'a> {
    /// `key=value` pairs or JSON members, in order.
    pub named: Vec<(&'a str, String)>,
    /// Words without a key.
    pub words: Vec<&'a str>,
    /// Everything after the command's name, as it came.
    pub text: &'a str,
    /// The list of things to work on; an entry that is no text is `None`. `None` as a whole if
    /// there was no list, or one of the wrong kind.
    pub data: Option<Vec<Option<String>>>,
    /// Whether the caller wants a change (`w`) or only to look (`r`).
    pub write: bool,
    /// The most rows that may be asked for.
    pub max_rows: usize,
}

impl Arguments<'_> {
    fn named(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    /// A named value, or the first bare word.
    fn first(&self, name: &str) -> Option<&str> {
        self.named(name).or_else(|| self.words.first().copied())
    }

    fn number(&self, name: &'static str) -> Result<Option<u64>, Failure> {
        let expected = "a whole number";
        self.named(name)
            .map(|text| text.parse().map_err(|_| Failure::BadArgument { name, expected }))
            .transpose()
    }

    fn page(&self) -> Result<Page, Failure> {
        let after = self.number("after")?.unwrap_or(0);
        Ok(Page { after, rows: self.rows()? })
    }

    fn rows(&self) -> Result<usize, Failure> {
        let most = self.max_rows.max(1);
        let rows = match self.number("n")? {
            Some(n) => Some(n),
            None => self.number("limit")?,
        };
        match rows {
            None => Ok(DEFAULT_ROWS.min(most)),
            Some(0) => Err(Failure::BadArgument { name: "n", expected: "at least 1" }),
            Some(n) => Ok(usize::try_from(n).unwrap_or(usize::MAX).min(most)),
        }
    }

    fn query(&self) -> Result<Selection, Failure> {
        let mut query = Selection::default();
        for (name, value) in &self.named {
            query.set(name, value)?;
        }
        Ok(query)
    }

    fn group(&self) -> Result<String, Failure> {
        let expected = "the name of a group";
        self.named("group")
            .map(str::to_owned)
            .ok_or(Failure::BadArgument { name: "group", expected })
    }

    fn data(&mut self) -> Result<Vec<Option<String>>, Failure> {
        let expected = "a text or a list of texts";
        self.data.take().ok_or(Failure::BadArgument { name: "data", expected })
    }
}

impl Command {
    /// The command of a verb with its arguments.
    ///
    /// # Errors
    /// [`Failure::BadArgument`] names the argument and what it should be;
    /// [`Failure::Unknown`] for verbs that a front-end answers itself (help, subscriptions).
    pub fn build(verb: Verb, mut arguments: Arguments<'_>) -> Result<Self, Failure> {
        let arguments = &mut arguments;
        Ok(match verb {
            Verb::Apps => Self::Apps { page: arguments.page()? },
            Verb::Capture => capture(arguments)?,
            Verb::Captures => Self::Captures { page: arguments.page()? },
            Verb::Communities => Self::Communities,
            Verb::Devices => {
                let which = arguments.first("which").or_else(|| arguments.named("mac"));
                let wanted = which.map_or(Wanted::All, |which| Wanted::parse(which.trim()));
                Self::Devices { wanted, page: arguments.page()? }
            }
            Verb::Flow => {
                let bad = Failure::BadArgument { name: "id", expected: "the id of a flow" };
                let id = arguments.first("id").and_then(|id| id.parse().ok()).ok_or(bad)?;
                let process = arguments.named("process").is_some_and(is_on);
                if process { Self::FlowProcess(id) } else { Self::Flow(id) }
            }
            Verb::Flows => Self::Flows { query: arguments.query()?, page: arguments.page()? },
            Verb::Flush => match arguments.first("what").unwrap_or("flows") {
                "flows" => Self::Flush(Flush::Flows),
                "stats" => Self::Flush(Flush::Stats),
                _ => {
                    return Err(Failure::BadArgument { name: "what", expected: "flows or stats" });
                }
            },
            Verb::Gremlin => {
                // Over UDP it is the rest of the line, blanks and equals signs and all.
                let given = Some(arguments.text).filter(|text| !text.is_empty());
                let given = given.or_else(|| arguments.words.first().copied());
                let missing = Failure::BadArgument { name: "query", expected: "a query" };
                Self::Gremlin { query: given.ok_or(missing)?.trim().to_owned() }
            }
            Verb::GroupAdd => {
                Self::GroupAdd { group: arguments.group()?, entries: arguments.data()? }
            }
            Verb::GroupFlush => Self::GroupFlush { group: arguments.group()? },
            Verb::GroupList => Self::GroupList { group: arguments.group().ok() },
            Verb::GroupLoad => Self::GroupLoad { group: arguments.group()? },
            Verb::GroupLookup => {
                Self::GroupLookup { group: arguments.group().ok(), entries: arguments.data()? }
            }
            Verb::GroupMembers => Self::GroupMembers {
                group: arguments.first("group").map(str::to_owned),
                page: arguments.page()?,
            },
            Verb::GroupRemove => {
                Self::GroupRemove { group: arguments.group()?, entries: arguments.data()? }
            }
            Verb::GroupSave => Self::GroupSave { group: arguments.group()? },
            Verb::Info => Self::Info,
            Verb::Interfaces => Self::Interfaces { page: arguments.page()? },
            Verb::Lookup => {
                let expected = "a name, an address or a hardware address";
                let what = arguments.first("what").map(str::trim).filter(|what| !what.is_empty());
                let bad = Failure::BadArgument { name: "what", expected };
                Self::Lookup { what: what.ok_or(bad)?.to_owned() }
            }
            Verb::Neighbours => {
                Self::Neighbours { query: neighbours(arguments)?, page: arguments.page()? }
            }
            Verb::Namespaces => Self::Namespaces,
            Verb::Nodes => Self::Nodes {
                query: NodeQuery {
                    kind: arguments.named("type").map(str::to_owned),
                    name: arguments.named("name").map(str::to_owned),
                    namespace: arguments.named("netns").map(str::to_owned),
                },
                page: arguments.page()?,
            },
            Verb::PacketStats => Self::PacketStats,
            Verb::Publish => Self::Publish { text: arguments.text.to_owned() },
            Verb::Reload => Self::Reload,
            Verb::Restart => Self::Restart,
            Verb::Session => session(arguments)?,
            Verb::Sessions => Self::Sessions { page: arguments.page()? },
            Verb::StopPackets => {
                let bad = Failure::BadArgument { name: "id", expected: "the id of a session" };
                let id = arguments.first("id").and_then(|id| id.parse().ok()).ok_or(bad)?;
                Self::SessionStop { id }
            }
            Verb::Set => set(arguments)?,
            Verb::Settings => Self::Settings { page: arguments.page()? },
            Verb::Sinks => Self::Sinks,
            Verb::Status => Self::Status,
            Verb::Stop => Self::Stop { now: arguments.write },
            Verb::Timestamps => Self::Timestamps,
            Verb::Top => top(arguments)?,
            Verb::Verbose => verbose(arguments)?,
            Verb::Help | Verb::HelpEvents | Verb::Packets | Verb::Subscribe | Verb::Unsubscribe => {
                return Err(Failure::Unknown);
            }
        })
    }
}

/// `start DEV [FILTER…]` or `stop ID`, as words or by name.
fn capture(arguments: &Arguments<'_>) -> Result<Command, Failure> {
    let bad = |name, expected| Failure::BadArgument { name, expected };
    let mut words = arguments.words.iter().copied();
    let action = arguments.named("action").or_else(|| words.next());
    match action {
        Some("start") => {
            let dev = arguments.named("dev").or_else(|| words.next());
            let dev = dev.ok_or_else(|| bad("dev", "the name of an interface"))?.to_owned();
            let filter = match arguments.named("filter") {
                Some(filter) => filter.to_owned(),
                // A filter may hold signs that make its words look named: the text has them all.
                None => arguments.text.trim().splitn(3, ' ').nth(2).unwrap_or("").to_owned(),
            };
            Ok(Command::CaptureStart { dev, filter })
        }
        Some("stop") => {
            let id = arguments.named("id").or_else(|| words.next());
            let id = id.ok_or_else(|| bad("id", "the id of a capture"))?.to_owned();
            Ok(Command::CaptureStop { id })
        }
        _ => Err(bad("action", "start or stop")),
    }
}

/// `start DEV [FILTER…] file=NAME […]` or `stop ID`. What is no parameter is the filter.
fn session(arguments: &Arguments<'_>) -> Result<Command, Failure> {
    let bad = |name, expected| Failure::BadArgument { name, expected };
    let mut words = arguments.text.split_whitespace();
    match words.next() {
        Some("start") => {
            let dev = words.next().ok_or_else(|| bad("dev", "the name of an interface"))?;
            let mut pairs = vec![("nif".to_owned(), dev.to_owned())];
            let mut filter: Vec<&str> = Vec::new();
            for word in words {
                match word.split_once('=').filter(|(name, _)| PARAMETERS.contains(name)) {
                    Some((name, value)) => pairs.push((name.to_owned(), value.to_owned())),
                    None => filter.push(word),
                }
            }
            if !filter.is_empty() {
                pairs.push(("filter".to_owned(), filter.join(" ")));
            }
            if !pairs.iter().any(|(name, _)| name == "file") {
                return Err(bad("file", "the name of a file, as in file=evening.pcapng"));
            }
            Ok(Command::SessionStart { pairs })
        }
        Some("stop") => {
            let id = words.next().and_then(|id| id.parse().ok());
            Ok(Command::SessionStop { id: id.ok_or_else(|| bad("id", "the id of a session"))? })
        }
        _ => Err(bad("action", "start or stop")),
    }
}

fn neighbours(arguments: &Arguments<'_>) -> Result<NeighbourQuery, Failure> {
    let bad = |name, expected| Failure::BadArgument { name, expected };
    let ip = arguments.named("ip").or_else(|| arguments.named("host"));
    Ok(NeighbourQuery {
        dev: arguments.named("dev").map(str::to_owned),
        ip: ip.map(|ip| ip.parse().map_err(|_| bad("ip", "an IP address"))).transpose()?,
        mac: arguments
            .named("mac")
            .map(|mac| mac::parse(mac).ok_or_else(|| bad("mac", "a hardware address")))
            .transpose()?,
    })
}

fn set(arguments: &Arguments<'_>) -> Result<Command, Failure> {
    let expected = "a setting and its value";
    let (key, value) = match (arguments.named("key"), arguments.named("value")) {
        (Some(key), Some(value)) => (key, value),
        _ => arguments
            .text
            .trim()
            .split_once([' ', '='])
            .ok_or(Failure::BadArgument { name: "key", expected })?,
    };
    Ok(Command::Set { key: key.to_owned(), value: value.trim().to_owned() })
}

fn top(arguments: &Arguments<'_>) -> Result<Command, Failure> {
    let of = match arguments.first("of").unwrap_or("host") {
        "app" | "application" => By::Application,
        "dev" => By::Interface,
        "device" => By::Device,
        "host" => By::Host,
        "peer" => By::Peer,
        "port" => By::Port,
        "proto" => By::Protocol,
        "protocol" => By::Detected,
        _ => {
            let expected = "app, protocol, device, host, peer, port, dev or proto";
            return Err(Failure::BadArgument { name: "of", expected });
        }
    };
    let order = match arguments.named("by").unwrap_or("bytes") {
        "bytes" => Order::Bytes,
        "pkts" | "packets" => Order::Packets,
        "flows" => Order::Flows,
        _ => {
            return Err(Failure::BadArgument { name: "by", expected: "bytes, pkts or flows" });
        }
    };
    let rows = match arguments.named("n").or_else(|| arguments.named("limit")) {
        None => 10,
        Some(_) => arguments.rows()?,
    };
    Ok(Command::Top { query: arguments.query()?, of, order, rows })
}

/// A level beyond the ends of the scale means that end; what is no number is refused.
fn verbose(arguments: &Arguments<'_>) -> Result<Command, Failure> {
    let given = arguments.first("level").filter(|text| arguments.write && !text.is_empty());
    let expected = "a level from 0 (errors) to 4 (debug)";
    let bad = Failure::BadArgument { name: "level", expected };
    let level = given.map(|text| whole_number(text).ok_or(bad)).transpose()?;
    Ok(Command::Verbose { level: level.and_then(|n| u8::try_from(n.clamp(0, 4)).ok()) })
}

/// Whether a switch among the arguments is on.
pub(super) fn is_on(text: &str) -> bool {
    matches!(text, "1" | "yes" | "true" | "on")
}

/// Reads a decimal or `0x` hexadecimal number with an optional sign.
fn whole_number(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let value = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()?,
        None => digits.parse::<i64>().ok()?,
    };
    value.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_reachable_and_each_name_is_its_own() {
        let mut unix: Vec<&str> = Vec::new();
        let mut udp: Vec<&str> = Vec::new();
        for entry in TABLE {
            assert!(!(entry.unix.is_empty() && entry.udp.is_empty()), "{:?}", entry.verb);
            assert!(entry.help.len() <= 45, "help of {:?} is long", entry.verb);
            unix.extend(entry.unix);
            udp.extend(entry.udp);
        }
        for names in [&mut unix, &mut udp] {
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }

    #[test]
    fn levels_are_clamped_and_junk_is_refused() {
        let build = |text, write| {
            let words = Vec::from([text]);
            Command::build(Verb::Verbose, Arguments { words, write, ..Arguments::default() })
        };
        assert_eq!(build("4", true), Ok(Command::Verbose { level: Some(4) }));
        assert_eq!(build("3", false), Ok(Command::Verbose { level: None }));
        for (text, level) in [("5", 4), ("-1", 0), ("0x2", 2)] {
            assert_eq!(build(text, true), Ok(Command::Verbose { level: Some(level) }));
        }
        for wrong in ["abc", "2x", "--1", "99999999999999999999"] {
            assert!(build(wrong, true).is_err(), "{wrong}");
        }
    }
}
