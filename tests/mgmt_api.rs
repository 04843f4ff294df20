//! The management port fed datagrams, its replies compared with those of n2n's daemons as they
//! were recorded, and read by clients as strict as the known ones. No socket is opened.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use portolan::api::mgmt::{Config, Datagrams, Dialect, Server};
use portolan::config::Settings;
use portolan::core::Agent;
use portolan::core::command::{Access, TABLE};
use portolan::source::{Direction, Frame};
use portolan::time::{Clock, Tick, Wall};
use portolan::wire::link::LinkType;
use portolan::wire::netlink::{self, Message};
use serde_json::{Map, Value};

mod support;

const MAX_REPLY: usize = 1_024;

/// IPv4 and UDP headers of a datagram.
const HEADERS: usize = 28;

/// The port with an agent behind it and the datagrams that came out.
struct Bench {
    agent: Agent,
    server: Server,
    out: Datagrams,
    now: Tick,
    flash: support::Flash,
}

type Sent = (SocketAddr, String);

impl Bench {
    fn new() -> Self {
        Self::with(config("127.0.0.1:5644"))
    }

    fn with(config: Config) -> Self {
        let flash = support::Flash::default();
        let now = Tick::from_secs(1_000);
        let mut agent = flash.agent();
        agent.apply(Settings { idle: 3_600, ..Settings::default() });
        Self { agent, server: Server::new(config, now), out: Datagrams::new(64), now, flash }
    }

    /// Takes what waits, checked for what is true of every reply.
    fn drain(&mut self, into: &mut Vec<Sent>) {
        for (to, bytes) in self.out.iter() {
            assert!(bytes.len() <= MAX_REPLY, "{} octets", bytes.len());
            let text = std::str::from_utf8(bytes).unwrap().to_owned();
            if text.starts_with('{') {
                parse(&text);
            }
            into.push((to, text));
        }
        self.out.sent(self.out.len());
    }

    fn settle(&mut self) -> Vec<Sent> {
        let mut got = Vec::new();
        self.drain(&mut got);
        for _ in 0..1_000_000 {
            let more = self.server.produce(&mut self.agent, &mut self.out, self.now);
            self.drain(&mut got);
            if !more {
                return got;
            }
        }
        panic!("it never ends");
    }

    fn push(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.server.receive(bytes, from, &mut self.agent, &mut self.out, self.now);
    }

    /// One request and all that it earns, whoever it goes to.
    fn send(&mut self, from: SocketAddr, bytes: impl AsRef<[u8]>) -> Vec<Sent> {
        self.push(from, bytes.as_ref());
        self.settle()
    }

    /// What the client on port 4000 gets, as it came. Time passes before, so that no limit is
    /// in the way.
    fn raw(&mut self, line: impl AsRef<[u8]>) -> Vec<String> {
        self.pass(1_000);
        let sent = self.send(client(4_000), line);
        assert!(sent.iter().all(|(to, _)| *to == client(4_000)), "{sent:?}");
        sent.into_iter().map(|(_, text)| text).collect()
    }

    /// The same, without the line ends.
    fn ask(&mut self, line: impl AsRef<[u8]>) -> Vec<String> {
        self.raw(line).iter().map(|text| text.trim_end().to_owned()).collect()
    }

    /// The one error that a request earns.
    #[track_caller]
    fn error(&mut self, line: &str) -> String {
        let replies = self.ask(line);
        assert_eq!(replies.len(), 1, "{line:?}: {replies:?}");
        let reply = parse(&replies[0]);
        assert_eq!(reply["_type"], "error", "{line:?}: {replies:?}");
        reply["error"].as_str().unwrap().to_owned()
    }

    /// The rows of an answer by `begin`, rows or an error, `end`, and the members of `end`.
    #[track_caller]
    fn answer(&mut self, line: &str) -> (Vec<Object>, Object) {
        let replies: Vec<Object> = self.ask(line).iter().map(|text| parse(text)).collect();
        let (begin, rest) = replies.split_first().unwrap_or_else(|| panic!("{line}: silence"));
        let (end, rows) = rest.split_last().unwrap_or_else(|| panic!("{line}: {begin:?}"));
        assert_eq!((&begin["_type"], &end["_type"]), (&"begin".into(), &"end".into()), "{line}");
        assert_eq!(begin["cmd"], end["cmd"], "{line}");
        for row in rows {
            assert!(["row", "error"].contains(&row["_type"].as_str().unwrap()), "{line}: {row:?}");
            assert_eq!(row["_tag"], begin["_tag"], "{line}");
        }
        (rows.to_vec(), end.clone())
    }

    /// The in-band error of an answer, and its detail.
    #[track_caller]
    fn in_band(&mut self, line: &str) -> (String, String) {
        let (rows, _) = self.answer(line);
        let last = rows.last().unwrap_or_else(|| panic!("{line}: no error"));
        let text = |name: &str| last.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        (text("error"), text("detail"))
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now.plus(millis * 1_000);
        let wall = Wall(1_759_999_000_000_000 + i64::try_from(self.now.micros()).unwrap());
        self.agent.turn(Clock { tick: self.now, wall });
    }

    /// An interface with an address, and `neighbours` on it.
    fn network(&mut self, neighbours: u16) {
        let mut changes = Vec::new();
        let link = netlink::Link {
            ifindex: 2,
            hardware: 1,
            flags: netlink::LINK_UP | netlink::LINK_RUNNING,
            name: Some(b"br-lan"),
            mtu: Some(1_500),
            address: Some(&[2, 0, 0, 0, 0, 1]),
            ..netlink::Link::default()
        };
        self.agent.links.apply(&Message::NewLink(link), self.now, &mut changes);
        let address = netlink::Address {
            ifindex: 2,
            local: Some("10.1.0.1".parse().unwrap()),
            prefix: 16,
            ..netlink::Address::default()
        };
        self.agent.links.apply(&Message::NewAddress(address), self.now, &mut changes);
        for n in 0..neighbours {
            self.neighbour(n, &mut changes);
        }
        self.agent.follow(changes);
    }

    fn neighbour(&mut self, n: u16, changes: &mut Vec<portolan::topology::links::Change>) {
        let [high, low] = n.to_be_bytes();
        let neighbour = netlink::Neighbour {
            family: 2,
            ifindex: 2,
            state: netlink::Neighbour::REACHABLE,
            ip: Some(Ipv4Addr::new(10, 1, high + 1, low).into()),
            mac: Some([2, 0, 0, 1, high, low]),
            ..netlink::Neighbour::default()
        };
        self.agent.links.apply(&Message::NewNeighbour(neighbour), self.now, changes);
    }

    /// One UDP datagram of `octets` from 10.1.1.1 and a port of its own.
    fn packet(&mut self, port: u16, octets: usize) {
        let data = udp_frame([10, 1, 1, 1], [192, 0, 2, 9], (port, 443), octets);
        let iface = self.agent.links.by_name("br-lan").unwrap_or(0);
        self.agent.frames(&[Frame {
            ts: self.now,
            iface,
            link: LinkType::ETHERNET,
            direction: Direction::In,
            vlan: None,
            wire_len: u32::try_from(data.len()).unwrap(),
            data: &data,
        }]);
    }
}

type Object = Map<String, Value>;

/// One reply: a whole flat object, `_tag` then `_type` first, no `null`, one line end.
#[track_caller]
fn parse(text: &str) -> Object {
    assert!(!text.trim_end_matches('\n').contains('\n'), "{text:?}");
    let object: Object = serde_json::from_str(text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    for (name, value) in &object {
        assert!(value.is_string() || value.is_number(), "{name} in {text}");
    }
    assert!(text.starts_with("{\"_tag\":\""), "{text}");
    let tag = serde_json::to_string(&object["_tag"]).unwrap().len();
    let kind = text.get("{\"_tag\":".len() + tag..).unwrap_or_default();
    // What JSON writers escape differs, so this is only checked for plain tags.
    if object["_tag"].as_str().unwrap().bytes().all(|b| b.is_ascii_alphanumeric()) {
        assert!(kind.starts_with(",\"_type\":\""), "{text}");
    }
    object
}

fn client(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

fn config(own: &str) -> Config {
    Config { own: own.parse().unwrap(), keyed_reads: false, dialect: Dialect::Published }
}

fn udp_frame(src: [u8; 4], dst: [u8; 4], (sport, dport): (u16, u16), octets: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let total = u16::try_from(28 + octets).unwrap().to_be_bytes();
    frame.extend([0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(src.into_iter().chain(dst));
    for word in [sport, dport, u16::try_from(8 + octets).unwrap(), 0] {
        frame.extend(word.to_be_bytes());
    }
    frame.resize(frame.len() + octets, 7);
    frame
}

fn texts(sent: &[Sent]) -> Vec<&str> {
    sent.iter().map(|(_, text)| text.trim_end()).collect()
}

// What was recorded of n2n's daemons.

#[test]
fn recorded_exchanges_come_back_octet_by_octet() {
    let mut b = Bench::new();
    let begin =
        |tag: &str| format!("{{\"_tag\":\"{tag}\",\"_type\":\"begin\",\"cmd\":\"verbose\"}}\n");
    let level =
        |tag: &str, n: u8| format!("{{\"_tag\":\"{tag}\",\"_type\":\"row\",\"traceLevel\":{n}}}\n");
    let end = |tag: &str| format!("{{\"_tag\":\"{tag}\",\"_type\":\"end\",\"cmd\":\"verbose\"}}\n");
    let error = |tag: &str, e: &str| {
        format!("{{\"_tag\":\"{tag}\",\"_type\":\"error\",\"error\":\"{e}\"}}\n")
    };
    let verbose = |tag: &str, n| vec![begin(tag), level(tag, n), end(tag)];
    for (line, expected) in [
        ("r 1 verbose", verbose("1", 2)),
        ("w 3 verbose 4", vec![error("3", "badauth")]),
        // The daemons take any number; 4 is the last that means something.
        ("w 3:1:n2n verbose 5", verbose("3", 4)),
        ("w 3:1:n2n verbose 3", verbose("3", 3)),
        ("r 1 verbose", verbose("1", 3)),
        ("w 4:1:n2n edges", vec![error("4", "readonly")]),
        ("r 4 nosuch", vec![error("4", "unknowncmd")]),
        // The tag was there, and so it comes back; the daemons say -1.
        ("r 1", vec![error("1", "nocmd")]),
        ("x 1 help", vec![error("-1", "badtype")]),
        ("r ", vec![error("-1", "nooptions")]),
        ("r", vec![error("-1", "nooptions")]),
        // The daemons keep 9 octets of a tag, at least 8 are promised, here it is 15.
        ("r 1234567890 verbose", verbose("1234567890", 3)),
        ("r 12345678901234567 verbose", verbose("123456789012345", 3)),
        ("r 007 verbose", verbose("007", 3)),
        ("r null verbose", verbose("null", 3)),
        ("r -1 verbose", verbose("-1", 3)),
        ("r : verbose", verbose("", 3)),
        ("r 2:1 verbose", verbose("2", 3)),
        ("r 2:1: verbose", verbose("2", 3)),
        ("r 2:1:bad verbose", vec![error("2", "badauth")]),
        ("r 2:2:bad verbose", verbose("2", 3)),
        ("w 3:0:n2n verbose", vec![error("3", "badauth")]),
        ("r 8 verbose\nr 9 verbose", verbose("8", 3)),
        ("r 8 verbose\r\n", verbose("8", 3)),
        ("r 8 verbose\0garbage", verbose("8", 3)),
        (
            "r 1\thelp",
            vec!["{\"_tag\":\"1\\thelp\",\"_type\":\"error\",\"error\":\"nocmd\"}\n".into()],
        ),
        ("w 3:1:n2n verbose", verbose("3", 3)),
        ("w 3:1:n2n verbose ", verbose("3", 3)),
        ("r 5 HELP", vec![error("5", "unknowncmd")]),
        ("r 5 hel", vec![error("5", "unknowncmd")]),
        ("s 6:1:n2n nosuch", vec![error("6", "unknowntopic")]),
        ("s 6:1:n2n help", vec![error("6", "unknowntopic")]),
        ("s 6 peer", vec![error("6", "badauth")]),
    ] {
        assert_eq!(b.raw(line), expected, "{line:?}");
    }
    let (rows, _) = b.answer("r 5 supernodes");
    assert_eq!((rows.len(), &rows[0]["error"]), (1, &"unimplemented".into()));
    let long = format!("r 1 verbose {}", "x".repeat(69));
    assert_eq!(b.raw(long), [error("1", "toolong")]);
}

#[test]
fn a_subscription_is_confirmed_as_published_or_in_the_dialect_of_the_daemons() {
    for (dialect, word) in [(Dialect::Published, "subscribed"), (Dialect::N2n, "subscribe")] {
        let mut b = Bench::with(Config { dialect, ..config("127.0.0.1:5644") });
        let said = b.raw("s 6:1:n2n peer");
        assert_eq!(said, [format!("{{\"_tag\":\"6\",\"_type\":\"{word}\",\"topic\":\"peer\"}}\n")]);
    }
}

#[test]
fn only_bit_zero_of_the_flags_announces_a_key() {
    let mut b = Bench::new();
    for flags in ["1", "01", "0x1", "F", "ff", "3", "1junk"] {
        assert_eq!(b.error(&format!("r 1:{flags}:bad help")), "badauth", "{flags}");
        b.answer(&format!("w 1:{flags}:n2n verbose"));
    }
    for flags in ["0", "2", "junk", "10", "e"] {
        b.answer(&format!("r 1:{flags}:bad help"));
        assert_eq!(b.error(&format!("w 1:{flags}:n2n verbose")), "badauth", "{flags}");
    }
}

#[test]
fn the_key_is_judged_before_the_method_is_looked_at() {
    let mut b = Bench::new();
    for method in ["verbose", "nosuch", "edges", "post.test", "reload", "help", "supernodes"] {
        assert_eq!(b.error(&format!("r 1:1:bad {method}")), "badauth", "{method}");
        for kind in ["w", "s"] {
            assert_eq!(b.error(&format!("{kind} 1 {method}")), "badauth", "{kind} {method}");
            assert_eq!(b.error(&format!("{kind} 1:1:bad {method}")), "badauth", "{kind} {method}");
            assert_eq!(b.error(&format!("{kind} 1:1:n2nn {method}")), "badauth");
        }
    }
    assert_eq!(b.error("w 1:1:n2n nosuch"), "unknowncmd");
    assert_eq!(b.error("w 1:1:n2n supernodes"), "readonly");
    assert_eq!(b.agent.settings().log_level, 2);
}

#[test]
fn every_method_answers_with_begin_and_end_and_clean_rows() {
    let mut b = Bench::new();
    b.network(3);
    for port in 1..=5 {
        b.packet(1_000 + port, 100);
    }
    let (listed, _) = b.answer("r 1 help");
    let listed: Vec<&str> = listed.iter().map(|row| row["cmd"].as_str().unwrap()).collect();
    for entry in TABLE {
        for name in entry.udp {
            assert!(listed.contains(name), "{name} is not in help");
            let argument = match *name {
                "flow" => b.answer("r 1 flows n=1").0[0]["id"].to_string(),
                "gremlin" => "G.V().Count()".to_owned(),
                "lookup" => "10.0.0.1".to_owned(),
                _ => String::new(),
            };
            let (rows, end) = b.answer(&format!("r 7 {name} {argument}"));
            assert_eq!(end["cmd"], *name);
            if entry.access == Access::Write {
                assert_eq!((rows.len(), &rows[0]["error"]), (1, &"writeonly".into()), "{name}");
            } else {
                assert!(rows.iter().all(|row| row["_type"] == "row"), "{name}: {rows:?}");
                let empty = ["captures", "groups", "sessions", "sinks", "topology"];
                let empty = empty.contains(name);
                assert_eq!(rows.is_empty(), empty, "{name}");
            }
            if entry.access == Access::Read {
                assert_eq!(b.error(&format!("w 7:1:n2n {name}")), "readonly", "{name}");
            }
        }
    }
    assert_eq!(b.agent.ending(), None, "reading changes nothing");
}

#[test]
fn rows_have_the_members_that_the_sheet_names() {
    let mut b = Bench::new();
    b.network(2);
    b.packet(5_000, 100);
    b.packet(5_000, 100);
    for (line, members) in [
        ("r 1 help", "cmd help args w"),
        ("r 1 help.events", "topic tag sockaddr help events dropped"),
        ("r 1 verbose", "traceLevel"),
        ("r 1 stop", "keep_running"),
        ("r 1 info", "version name uuid macaddr ip4addr ip4netmask sockaddr"),
        ("r 1 timestamps", "start_time last_packet last_flow now"),
        ("r 1 packetstats", "type tx_pkt rx_pkt tx_bytes rx_bytes"),
        ("r 1 communities", "community ip4addr is_federation purgeable"),
        ("r 1 edges", "mode ip4addr ip6addr macaddr sockaddr desc last_seen tx_pkt rx_pkt"),
        ("r 1 neighbours", "mode ip4addr ip6addr macaddr sockaddr desc last_seen tx_pkt rx_pkt"),
        ("r 1 status", "uptime rss cpu_ms flows flows_total pkts bytes drops subs clients"),
        (
            "r 1 interfaces",
            "dev ifindex kind mac state mtu netns role group capturing rx_pkt tx_pkt rx_bytes \
             tx_bytes drops",
        ),
        (
            "r 1 flows",
            "id dev proto src sport dst dport app host tx_bytes rx_bytes tx_pkt rx_pkt first \
             last state",
        ),
        ("r 1 top", "rank key tx_bytes rx_bytes flows share"),
    ] {
        let (rows, _) = b.answer(line);
        assert!(!rows.is_empty(), "{line}");
        for row in &rows {
            for name in members.split_whitespace() {
                assert!(row.contains_key(name), "{line}: no {name} in {row:?}");
            }
        }
    }
    let (flows, end) = b.answer("r 1 flows");
    assert_eq!((&flows[0]["tx_pkt"], &flows[0]["tx_bytes"]), (&2.into(), &284.into()));
    assert_eq!((&flows[0]["src"], &flows[0]["dport"]), (&"10.1.1.1".into(), &443.into()));
    assert_eq!((&end["rows"], &end["more"], end.get("next")), (&1.into(), &0.into(), None));
    let (info, _) = b.answer("r 1 info");
    assert_eq!(info[0]["macaddr"], "02:00:00:00:00:01");
    assert_eq!(
        (&info[0]["ip4addr"], &info[0]["ip4netmask"]),
        (&"10.1.0.1".into(), &"255.255.0.0".into())
    );
    assert_eq!(info[0]["sockaddr"], "127.0.0.1:5644");
    let (details, _) = b.answer(&format!("r 1 flow {}", flows[0]["id"]));
    assert!(details.iter().all(|row| row.contains_key("key") && row.contains_key("value")));
}

#[test]
fn bad_arguments_and_unknown_ids_are_told_between_begin_and_end() {
    let mut b = Bench::new();
    for line in [
        "w 1:1:n2n verbose abc",
        "r 1 flows n=x",
        "r 1 flows n=0",
        "r 1 flows n=-1",
        "r 1 flows after=x",
        "r 1 flows port=70000",
        "r 1 flows host=nowhere",
        "r 1 flows proto=nosuch",
        "r 1 flows state=nosuch",
        "r 1 flows mac=nosuch",
        "r 1 top by=colour",
        "r 1 top of=colour",
        "r 1 flow",
        "r 1 flow x",
        "r 1 edges ip=x",
        "w 1:1:n2n flush nosuch",
        "w 1:1:n2n set",
        "w 1:1:n2n set nosuch 1",
        "w 1:1:n2n set flows_idle never",
        "w 1:1:n2n set management_port 1",
        "w 1:1:n2n unsubscribe nosuch",
        "w 1:1:n2n unsubscribe",
        "r 1 groups ../../etc",
    ] {
        let (error, detail) = b.in_band(line);
        assert_eq!(error, "badarg", "{line}");
        assert!(!detail.is_empty(), "{line}");
    }
    for line in ["r 1 flow 12345", "r 1 flow 0", "r 1 groups nosuch"] {
        assert_eq!(b.in_band(line).0, "notfound", "{line}");
    }
    // -1 is below the scale and means its lower end; the daemons make 4294967295 of it.
    assert_eq!(b.answer("w 1:1:n2n verbose -1").0[0]["traceLevel"], 0);
    assert_eq!(b.answer("w 1:1:n2n verbose 0x2").0[0]["traceLevel"], 2);
}

#[test]
fn writes_do_what_they_say_and_answer_with_the_new_state() {
    let mut b = Bench::new();
    b.network(0);
    b.packet(1, 10);
    assert_eq!(b.answer("w 1:1:n2n set flows_idle 77").0[0]["value"], "77");
    assert_eq!(b.agent.settings().idle, 77);
    let (rows, _) = b.answer("w 1:1:n2n set management_password other");
    assert_eq!(rows[0].get("value"), None, "{rows:?}");
    assert_eq!(b.error("w 1:1:n2n verbose"), "badauth");
    assert_eq!(b.answer("w 1:1:other set management_password n2n").0.len(), 1);
    assert_eq!(b.answer("w 1:1:n2n flush").0[0]["flushed"], 1);
    assert!(b.agent.flows().is_empty());
    assert_eq!(b.answer("w 1:1:n2n reload").0[0]["ok"], 1);
    assert_eq!(b.answer("w 5:1:n2n reload_communities ").0[0]["ok"], 0);
    *b.flash.broken.borrow_mut() = Some("portolan.conf:3: no".into());
    let (error, detail) = b.in_band("w 1:1:n2n reload");
    assert_eq!((&*error, &*detail), ("badconfig", "portolan.conf:3: no"));
    assert_eq!(b.answer("r 1 stop").0[0]["keep_running"], 1);
    assert_eq!(b.agent.ending(), None);
    assert_eq!(b.answer("w 1:1:n2n stop now or never").0[0]["keep_running"], 0);
    assert!(b.agent.ending().is_some());
}

#[test]
fn no_answer_shows_the_password() {
    let mut b = Bench::new();
    b.answer("w 1:1:n2n set management_password hunter2secret");
    for entry in TABLE.iter().filter(|entry| !matches!(entry.access, Access::Write)) {
        for name in entry.udp {
            for text in b.raw(format!("r 1 {name}")) {
                assert!(!text.contains("hunter2"), "{text}");
            }
        }
    }
    let said = b.raw("w 1:1:hunter2secret set management_password x:y");
    assert!(!said.concat().contains("hunter2") && !said.concat().contains("x:y"), "{said:?}");
}

// Large tables.

#[test]
fn pages_join_into_the_whole_table_each_row_once() {
    let mut b = Bench::new();
    b.network(300);
    for port in 0..700 {
        b.packet(10_000 + port, 50);
    }
    for (method, key, count) in
        [("flows", "id", 700), ("neighbours", "ip4addr", 300), ("edges", "ip4addr", 300)]
    {
        for (options, n, page) in
            [("7:1:n2n", 200, 200), ("7:1:n2n", 1_000, 200), ("7:1:n2n", 7, 7)]
        {
            let mut seen = HashSet::new();
            let mut after = 0;
            loop {
                let (rows, end) = b.answer(&format!("r {options} {method} n={n} after={after}"));
                assert_eq!(end["rows"], rows.len());
                assert!(rows.len() <= page, "{}", rows.len());
                for row in &rows {
                    assert!(seen.insert(row[key].clone()), "{method}: {row:?} came twice");
                }
                assert_eq!(end["more"] == 1, end.contains_key("next"));
                let Some(next) = end.get("next") else { break };
                assert_eq!(rows.len(), page, "{method}");
                after = next.as_u64().unwrap();
            }
            assert_eq!(seen.len(), count, "{method} n={n}");
        }
    }
    assert_eq!(b.answer("r 7:1:n2n flows").0.len(), 50, "the number of rows unless asked for");
}

#[test]
fn without_a_key_an_answer_is_small_and_says_how_to_go_on() {
    let mut b = Bench::new();
    b.network(300);
    for port in 0..300 {
        b.packet(10_000 + port, 50);
    }
    for (method, key, count) in [("flows", "id", 300), ("edges", "ip4addr", 300)] {
        let mut seen = HashSet::new();
        let mut after = 0;
        loop {
            let sent = b.raw(format!("r 7 {method} n=200 after={after}"));
            let octets: usize = sent.iter().map(String::len).sum();
            assert!(sent.len() <= 40 && octets <= 8 * 1_024, "{} of {octets}", sent.len());
            for row in sent.iter().map(|text| parse(text)).filter(|row| row["_type"] == "row") {
                assert!(seen.insert(row[key].clone()));
            }
            let end = parse(sent.last().unwrap());
            assert_eq!(end["_type"], "end");
            let Some(next) = end.get("next") else { break };
            assert_eq!(end["more"], 1);
            after = next.as_u64().unwrap();
        }
        assert_eq!(seen.len(), count, "{method}");
    }
    for entry in TABLE {
        for name in entry.udp {
            let sent = b.raw(format!("r 7 {name}"));
            let octets: usize = sent.iter().map(String::len).sum();
            assert!(sent.len() <= 40 && octets <= 8 * 1_024, "{name}: {} of {octets}", sent.len());
        }
    }
}

#[test]
fn an_answer_stays_right_while_the_table_changes() {
    let mut b = Bench::new();
    b.network(0);
    for port in 0..400 {
        b.packet(10_000 + port, 50);
    }
    let ids = |rows: &[Object]| rows.iter().map(|r| r["id"].as_u64().unwrap()).collect::<Vec<_>>();
    let (first, end) = b.answer("r 1:1:n2n flows n=200");
    for port in 0..100 {
        b.packet(20_000 + port, 50);
    }
    let (second, _) = b.answer(&format!("r 1:1:n2n flows n=200 after={}", end["next"]));
    let (first, second) = (ids(&first), ids(&second));
    let all: HashSet<u64> = first.iter().chain(&second).copied().collect();
    assert_eq!(all.len(), 400);
}

// Several at once.

#[test]
fn small_buffers_and_many_clients_lose_and_mix_nothing() {
    for cap in [1, 2, 3, 7, 33] {
        let mut b = Bench::new();
        b.network(0);
        for port in 0..120 {
            b.packet(10_000 + port, 50);
        }
        b.out = Datagrams::new(cap);
        let mut got = Vec::new();
        for n in 0..10_u16 {
            // A client goes on only when there is room, as the loop does.
            for request in
                ["a:1:n2n flows n=100", "b:1:n2n edges", "c verbose", "d:1:n2n flows n=3"]
            {
                while b.out.room() == 0 {
                    b.drain(&mut got);
                }
                b.push(client(3_000 + n), format!("r {request}").as_bytes());
            }
        }
        got.extend(b.settle());
        let mut by_client: BTreeMap<u16, Vec<Object>> = BTreeMap::new();
        for (to, text) in &got {
            by_client.entry(to.port()).or_default().push(parse(text));
        }
        for (port, replies) in &by_client {
            let order: Vec<String> = replies
                .iter()
                .filter(|reply| reply["_type"] != "row")
                .map(|r| {
                    format!("{}{}", &r["_type"].as_str().unwrap()[..1], r["_tag"].as_str().unwrap())
                })
                .collect();
            assert_eq!(order.concat(), "baeabbebbcecbded", "client {port}, cap {cap}");
            let rows = |tag: &str| {
                replies.iter().filter(|r| r["_type"] == "row" && r["_tag"] == tag).count()
            };
            assert_eq!((rows("a"), rows("c"), rows("d")), (100, 1, 3), "client {port}, cap {cap}");
        }
        assert_eq!(by_client.len(), 10, "cap {cap}");
    }
}

#[test]
fn requests_are_answered_in_order_even_when_a_new_one_arrives_between_two_turns() {
    let mut b = Bench::new();
    b.network(0);
    for port in 0..10 {
        b.packet(10_000 + port, 50);
    }
    // Exactly as much room as the first answer takes: the second still waits when it is done.
    b.out = Datagrams::new(12);
    let mut got = Vec::new();
    b.push(client(3_999), b"r x verbose");
    b.push(client(3_000), b"r 1:1:n2n flows n=10");
    b.push(client(3_000), b"r 2 verbose");
    b.drain(&mut got);
    let mut filler = Datagrams::new(3);
    b.server.produce(&mut b.agent, &mut filler, b.now);
    for (to, text) in filler.iter() {
        got.push((to, String::from_utf8(text.to_vec()).unwrap()));
    }
    b.push(client(3_000), b"r 3 verbose");
    got.extend(b.settle());
    let order: Vec<&str> =
        texts(&got).into_iter().filter(|text| text.contains("\"end\"")).collect();
    let tags: Vec<String> =
        order.iter().map(|text| parse(text)["_tag"].as_str().unwrap().to_owned()).collect();
    assert_eq!(tags, ["x", "1", "2", "3"]);
}

#[test]
fn one_long_answer_does_not_hold_up_the_others() {
    let mut b = Bench::new();
    b.network(0);
    for port in 0..250 {
        b.packet(10_000 + port, 50);
    }
    for n in 0..3 {
        b.push(client(3_000 + n), b"r 1:1:n2n flows n=200");
        let mut before = Vec::new();
        b.drain(&mut before);
        assert!(before.len() <= 32, "{} at once", before.len());
    }
    b.push(client(3_100), b"r 2 verbose");
    let mut next = Vec::new();
    b.drain(&mut next);
    assert_eq!(next.len(), 3, "served between two slices: {next:?}");
}

#[test]
fn who_asks_for_too_much_at_once_is_told_that_it_is_busy() {
    let mut b = Bench::new();
    b.network(0);
    for port in 0..250 {
        b.packet(10_000 + port, 50);
    }
    b.out = Datagrams::new(10_000);
    for _ in 0..10 {
        b.push(client(3_000), b"r q:1:n2n flows n=200");
    }
    let got = b.settle();
    let count = |text: &str| got.iter().filter(|(_, t)| t.contains(text)).count();
    assert_eq!(count("\"begin\""), 5, "one under way and four waiting");
    assert_eq!(count("\"end\""), 5);
    assert_eq!(count("\"busy\""), 1, "told once a second at most");

    b.pass(2_000);
    for n in 0..50 {
        b.push(client(5_000 + n), b"r q:1:n2n flows n=200");
    }
    let got = b.settle();
    let mut open: BTreeMap<SocketAddr, i32> = BTreeMap::new();
    for (to, text) in &got {
        match parse(text)["_type"].as_str().unwrap() {
            "begin" => *open.entry(*to).or_default() += 1,
            "end" => *open.entry(*to).or_default() -= 1,
            _ => {}
        }
    }
    assert!(open.values().all(|n| *n == 0), "each begin has its end: {open:?}");
    assert!(open.len() >= 16, "{}", open.len());
    assert!(b.raw("r 1 verbose").len() == 3);
}

// What must never be answered.

#[test]
fn replies_and_forgeries_are_never_answered() {
    let mut b = Bench::new();
    for noise in [
        "",
        "{\"_tag\":\"1\",\"_type\":\"error\",\"error\":\"badtype\"}\n",
        "{",
        "> +OK traceLevel=3",
        ">",
        "stop",
        "stopwatch",
        "+verb",
        "-verb",
        "reload_communities",
        "\u{0}",
        "portolan",
    ] {
        assert!(b.raw(noise).is_empty(), "{noise:?}");
    }
    for port in [0, 7, 19, 53, 123, 5_644] {
        assert!(b.send(client(port), "r 1 help").is_empty(), "from port {port}");
    }
    for reply in b.raw("r 1 help").into_iter().chain(b.raw("help")).chain(b.raw("\n")) {
        assert!(b.raw(&reply).is_empty(), "{reply:?}");
    }
    assert_eq!(b.agent.ending(), None);
    assert_eq!(b.agent.settings().log_level, 2);
}

#[test]
fn plain_text_is_one_short_datagram_for_people() {
    let mut b = Bench::new();
    for line in ["help", "?", "helpme\n", "? \n"] {
        let said = b.raw(line);
        assert!(said.len() == 1 && said[0].contains("r 1 help"), "{said:?}");
        assert!(said[0].len() <= 400 && said[0].is_ascii(), "{}", said[0].len());
    }
    for line in ["\n", "\r\n", "\n\n"] {
        let said = b.raw(line);
        assert!(said.len() == 1 && said[0].contains("uptime"), "{said:?}");
        assert!(said[0].len() <= 400, "{}", said[0].len());
    }
}

#[test]
fn errors_are_limited_on_loopback_too() {
    let mut b = Bench::new();
    let replies: usize = (0..2_000).map(|_| b.send(client(4_000), "x 1 y").len()).sum();
    assert!((100..=300).contains(&replies), "{replies}");
    assert_eq!(b.raw("r 1 verbose").len(), 3, "proper requests are not");
}

#[test]
fn a_hundred_wrong_keys_do_not_lock_out_the_right_one() {
    for own in ["127.0.0.1:5644", "192.0.2.1:5644"] {
        let mut b = Bench::with(config(own));
        let from = "192.0.2.77:999".parse().unwrap();
        let told: usize = (0..100).map(|_| b.send(from, "w 1:1:guess verbose 4").len()).sum();
        assert!((1..=30).contains(&told), "{own}: {told}");
        assert_eq!(b.agent.counters.auth_failures, 100);
        let sent = b.send(from, "w 1:1:n2n verbose 4");
        assert_eq!(sent.len(), 3, "{own}: {sent:?}");
    }
}

#[test]
fn keyed_reads_leave_only_help_open() {
    let mut b = Bench::with(Config { keyed_reads: true, ..config("127.0.0.1:5644") });
    assert_eq!(b.error("r 1 flows"), "badauth");
    assert_eq!(b.error("r 1 post.test x"), "badauth");
    assert!(!b.answer("r 1 help").0.is_empty());
    b.answer("r 1:1:n2n flows");
}

// Off loopback.

#[test]
fn beyond_loopback_a_request_without_the_key_earns_one_small_datagram() {
    let mut b = Bench::with(config("192.0.2.1:5644"));
    b.network(10);
    let tag = |c: char| c.to_string().repeat(15);
    let mut lines: Vec<Vec<u8>> = [
        "r 1 help",
        "r 1 flows",
        "r 1 x",
        "r 1",
        "r ",
        "r",
        "x 1 y",
        "s 1 test",
        "w 1 stop",
        "r 1:1:bad help",
        "r : x",
        "r 1 edges",
        " ",
        "  ",
        "help",
        "?",
        "\n",
        "\r\n",
        "",
    ]
    .iter()
    .map(|line| line.as_bytes().to_vec())
    .collect();
    for tag in [tag('\u{1}'), tag('"'), tag('\\'), tag('é'), "\u{7f}".repeat(15)] {
        lines.push(format!("r {tag} x").into_bytes());
        lines.push(format!("r {tag}").into_bytes());
        lines.push(format!("s {tag}:1:bad x").into_bytes());
    }
    lines.push([b"r ", &[0xff; 15][..], b" x"].concat());
    lines.push([b"r ", &[1; 100][..], b" x"].concat());
    for line in &lines {
        b.pass(2_000);
        let sent = b.send("198.51.100.7:1000".parse().unwrap(), line);
        assert!(sent.len() <= 1, "{:?}: {sent:?}", String::from_utf8_lossy(line));
        let earned: usize = sent.iter().map(|(_, text)| text.len() + HEADERS).sum();
        let paid = line.len() + HEADERS;
        assert!(earned <= 3 * paid, "{paid} octets earn {earned}: {sent:?}");
    }
    for plain in ["help", "?", "\n", "\r\n"] {
        b.pass(2_000);
        assert!(b.send("198.51.100.7:1000".parse().unwrap(), plain).is_empty(), "{plain:?}");
    }
    b.pass(2_000);
    let sent = b.send("198.51.100.7:1000".parse().unwrap(), "r 1:1:n2n help");
    assert!(sent.len() > 10, "{}", sent.len());
}

#[test]
fn beyond_loopback_answers_are_limited_for_each_network_and_in_all() {
    let mut b = Bench::with(config("192.0.2.1:5644"));
    let mut burst = |address: &dyn Fn(u32) -> Ipv4Addr, count: u32| -> usize {
        (0..count)
            .map(|n| b.send(SocketAddr::new(IpAddr::V4(address(n)), 1_000), "r 1 x").len())
            .sum()
    };
    let one_prefix = burst(&|n| Ipv4Addr::new(203, 0, 113, (n % 250) as u8), 500);
    assert!((1..=11).contains(&one_prefix), "{one_prefix}");
    let all = burst(&|n| Ipv4Addr::from(0x0b00_0000 + n * 256), 2_000);
    assert!(all + one_prefix <= 110, "{all}");
}

// Subscriptions.

#[test]
fn a_newer_subscriber_replaces_the_older_in_three_messages() {
    let mut b = Bench::new();
    b.send(client(1_001), "s old:1:n2n test");
    let sent = b.send(client(1_002), "s new:1:n2n test");
    let expected = [
        (client(1_001), "{\"_tag\":\"old\",\"_type\":\"unsubscribed\",\"topic\":\"test\"}\n"),
        (client(1_002), "{\"_tag\":\"new\",\"_type\":\"replacing\",\"topic\":\"test\"}\n"),
        (client(1_002), "{\"_tag\":\"new\",\"_type\":\"subscribed\",\"topic\":\"test\"}\n"),
    ];
    assert_eq!(sent, expected.map(|(to, text)| (to, text.to_owned())));
    // The same socket again goes through the same three.
    let sent = b.send(client(1_002), "s again:1:n2n test");
    let kinds: Vec<Value> = sent.iter().map(|(_, text)| parse(text)["_type"].clone()).collect();
    assert_eq!(kinds, ["unsubscribed", "replacing", "subscribed"]);
    // A refused one changes nothing.
    assert_eq!(b.send(client(1_003), "s x test").len(), 1);
    assert_eq!(b.send(client(1_003), "s x:1:bad test").len(), 1);
    let sent = b.send(client(1_009), "r p post.test hello there");
    assert!(sent.contains(&(
        client(1_002),
        "{\"_tag\":\"again\",\"_type\":\"event\",\"test\":\"hello there\"}\n".to_owned()
    )));
    let events = sent.iter().filter(|(_, text)| text.contains("event")).count();
    assert_eq!(events, 1);
}

#[test]
fn debug_gets_a_copy_of_everything_under_its_own_tag() {
    let mut b = Bench::new();
    b.network(0);
    b.send(client(1_001), "s t:1:n2n test");
    b.send(client(1_002), "s d:1:n2n debug");
    let sent = b.send(client(1_003), "r p post.test x");
    let events: Vec<&Sent> = sent.iter().filter(|(_, text)| text.contains("\"event\"")).collect();
    let of = |port, tag: &str| {
        (client(port), format!("{{\"_tag\":\"{tag}\",\"_type\":\"event\",\"test\":\"x\"}}\n"))
    };
    assert_eq!(events, [&of(1_001, "t"), &of(1_002, "d")]);
    b.packet(7_000, 10);
    let mut changes = Vec::new();
    b.neighbour(9, &mut changes);
    b.agent.follow(changes);
    let sent = b.settle();
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert!(sent.iter().all(|(to, _)| *to == client(1_002)));
    assert_eq!(parse(&sent[0].1)["action"], 1, "a flow began");
    assert_eq!(parse(&sent[1].1)["action"], 2, "and is taken for what its port says");
    let peer = parse(&sent[2].1);
    assert_eq!((&peer["action"], &peer["macaddr"]), (&4.into(), &"02:00:00:01:00:09".into()));
}

#[test]
fn events_of_flows_fit_a_datagram_and_name_the_flow() {
    let mut b = Bench::new();
    b.network(0);
    b.send(client(1_001), "s f:1:n2n flow");
    b.packet(7_000, 10);
    b.send(client(1_003), "w 1:1:n2n flush");
    b.packet(7_001, 10);
    b.pass(3_600_000);
    let sent = b.settle();
    let actions: Vec<Value> = sent.iter().map(|(_, text)| parse(text)["action"].clone()).collect();
    assert!(actions.contains(&1.into()) && actions.contains(&3.into()), "{actions:?}");
}

#[test]
fn unsubscribing_works_from_the_subscribed_socket_alone() {
    let mut b = Bench::new();
    b.send(client(1_001), "s t:1:n2n test");
    let sent = b.send(client(1_002), "w u:1:n2n unsubscribe test");
    assert_eq!(parse(&sent[1].1)["removed"], 0);
    assert!(sent.iter().all(|(to, _)| *to == client(1_002)));
    let sent = b.send(client(1_001), "w u:1:n2n unsubscribe test");
    assert_eq!(
        texts(&sent),
        [
            "{\"_tag\":\"t\",\"_type\":\"unsubscribed\",\"topic\":\"test\"}",
            "{\"_tag\":\"u\",\"_type\":\"begin\",\"cmd\":\"unsubscribe\"}",
            "{\"_tag\":\"u\",\"_type\":\"row\",\"topic\":\"test\",\"removed\":1}",
            "{\"_tag\":\"u\",\"_type\":\"end\",\"cmd\":\"unsubscribe\"}",
        ]
    );
    b.pass(1_000);
    assert_eq!(b.send(client(1_003), "r p post.test x").len(), 3, "no event");
    assert_eq!(b.agent.bus.len(), 0);
}

#[test]
fn a_subscriber_that_refuses_is_dropped() {
    let mut b = Bench::new();
    b.send(client(1_001), "s t:1:n2n test");
    b.send(client(1_001), "s d:1:n2n debug");
    b.send(client(1_002), "s a:1:n2n alert");
    b.server.refused(client(1_001), &mut b.agent);
    let (rows, _) = b.answer("r 1 help.events");
    let held: Vec<&Value> =
        rows.iter().filter(|row| row["sockaddr"] != "?:?").map(|row| &row["topic"]).collect();
    assert_eq!(held, ["alert"]);
    assert_eq!(b.send(client(1_003), "r p post.test x").len(), 3);
    b.server.refused(client(1_002), &mut b.agent);
    assert_eq!(b.agent.bus.len(), 0);
}

#[test]
fn fifty_events_a_second_and_the_next_one_says_what_was_dropped() {
    let mut b = Bench::new();
    b.send(client(1_001), "s t:1:n2n test");
    let mut events = Vec::new();
    for n in 0..200 {
        let sent = b.send(client(1_003), format!("r p post.test {n}"));
        events.extend(sent.into_iter().filter(|(to, _)| *to == client(1_001)));
    }
    assert_eq!(events.len(), 50);
    assert!(events.iter().all(|(_, text)| !text.contains("dropped")));
    b.pass(1_000);
    let sent = b.send(client(1_003), "r p post.test again");
    let event = sent.iter().find(|(to, _)| *to == client(1_001)).unwrap();
    assert_eq!(parse(&event.1)["dropped"], 150, "{event:?}");
    let (rows, _) = b.answer("r 1 help.events");
    let test = rows.iter().find(|row| row["topic"] == "test").unwrap();
    assert_eq!((&test["events"], &test["dropped"]), (&51.into(), &150.into()));
    assert_eq!((&test["tag"], &test["sockaddr"]), (&"t".into(), &"127.0.0.1:1001".into()));
}

#[test]
fn a_lease_ends_a_subscription_unless_it_is_renewed() {
    let mut b = Bench::new();
    b.send(client(1_001), "s t:1:n2n test lease=10");
    b.pass(9_000);
    b.settle();
    b.send(client(1_001), "s t:1:n2n test lease=10");
    b.pass(9_000);
    b.settle();
    assert_eq!(b.agent.bus.len(), 1);
    b.pass(2_000);
    b.settle();
    assert_eq!(b.agent.bus.len(), 0);
    assert_eq!(b.error("s t:1:n2n test lease=0"), "badarg");
    assert_eq!(b.error("s t:1:n2n test lease=x"), "badarg");
    // From another machine there always is one.
    let mut b = Bench::with(config("192.0.2.1:5644"));
    b.send("192.0.2.9:1001".parse().unwrap(), "s t:1:n2n test");
    assert_eq!(b.agent.bus.len(), 1);
    b.pass(301_000);
    b.settle();
    assert_eq!(b.agent.bus.len(), 0);
}

#[test]
fn a_port_that_closes_gives_its_subscription_back() {
    let mut b = Bench::new();
    b.send(client(1_001), "s t:1:n2n test");
    assert_eq!(b.agent.bus.len(), 1);
    b.server.close(&mut b.agent);
    assert_eq!(b.agent.bus.len(), 0);
}

// Clients that exist.

/// n2n-ctl: asserts what it expects and is not forgiving.
fn n2n_ctl(
    b: &mut Bench,
    tag: u16,
    key: Option<&str>,
    kind: &str,
    line: &str,
) -> Result<Vec<Object>, String> {
    let options = key.map_or_else(|| tag.to_string(), |key| format!("{tag}:1:{key}"));
    let replies = b.raw(format!("{kind} {options} {line}"));
    let mut replies = replies.iter().map(|text| {
        assert!(text.len() <= 1_024, "its buffer");
        serde_json::from_str::<Object>(text).unwrap()
    });
    let tag = tag.to_string();
    let first = replies.next().expect("timed out");
    assert_eq!(first["_tag"], *tag);
    match first["_type"].as_str().unwrap() {
        "error" => return Err(first["error"].as_str().unwrap().to_owned()),
        "begin" => {}
        other => panic!("{other}"),
    }
    let mut rows = Vec::new();
    loop {
        let mut reply = replies.next().expect("timed out");
        if reply["_tag"] != *tag {
            continue;
        }
        match reply["_type"].as_str().unwrap() {
            "end" => return Ok(rows),
            "error" => return Err(reply["error"].as_str().unwrap().to_owned()),
            "row" => {
                reply.retain(|name, _| !name.starts_with('_'));
                rows.push(reply);
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn n2n_ctl_and_its_pretty_printers_are_content() {
    let mut b = Bench::new();
    b.network(3);
    for (tag, key) in [(0, None), (999, Some("n2n"))] {
        assert!(n2n_ctl(&mut b, tag, key, "r", "help").unwrap().len() > 10);
        for row in n2n_ctl(&mut b, tag, key, "r", "edges").unwrap() {
            assert!(row["last_seen"].is_i64(), "{row:?}");
            for column in ["mode", "ip4addr", "macaddr", "sockaddr", "desc"] {
                assert!(row[column].is_string(), "{column}: {row:?}");
            }
        }
    }
    assert_eq!(n2n_ctl(&mut b, 1, None, "w", "verbose 2"), Err("badauth".into()));
    assert_eq!(n2n_ctl(&mut b, 1, Some("n2n"), "w", "verbose 2").unwrap().len(), 1);
    assert_eq!(n2n_ctl(&mut b, 1, None, "r", "supernodes"), Err("unimplemented".into()));
    assert_eq!(n2n_ctl(&mut b, 1, None, "r", "nosuch"), Err("unknowncmd".into()));
}

#[test]
fn the_pages_of_n2n_httpd_find_what_they_poll() {
    let mut b = Bench::new();
    b.network(3);
    let level = n2n_ctl(&mut b, 1, None, "r", "verbose").unwrap();
    assert!(level[0]["traceLevel"].is_u64());
    for page in ["communities", "edges", "timestamps", "packetstats"] {
        assert!(!n2n_ctl(&mut b, 2, None, "r", page).unwrap().is_empty(), "{page}");
    }
    for row in n2n_ctl(&mut b, 3, None, "r", "packetstats").unwrap() {
        assert!(row["type"].is_string() && row["tx_pkt"].is_u64() && row["rx_pkt"].is_u64());
    }
    // It polls the other daemon's table as well, and shows an error for it.
    assert!(n2n_ctl(&mut b, 4, None, "r", "supernodes").is_err());
    // A POST without a body leaves a blank at the end.
    assert_eq!(n2n_ctl(&mut b, 5, Some("n2n"), "w", "reload_communities ").unwrap()[0]["ok"], 0);
}

#[test]
fn the_munin_plugin_never_waits_for_an_end_that_does_not_come() {
    let mut b = Bench::new();
    b.network(3);
    for (tag, method) in (0..).zip(["packetstats", "edges", "supernodes", "communities"]) {
        let replies = b.ask(format!("r {tag} {method}"));
        assert_eq!(parse(replies.last().unwrap())["_type"], "end", "{method}");
    }
}

#[test]
fn the_route_and_port_forward_tools_find_their_members() {
    let mut b = Bench::new();
    b.network(3);
    for line in ["r 511 info\n", "r 1 edges\n"] {
        let (rows, _) = b.answer(line);
        assert!(rows.iter().all(|row| row["ip4addr"].is_string() && row["sockaddr"].is_string()));
    }
}

// Anything at all.

#[test]
fn any_datagrams_earn_valid_replies_or_none() {
    use proptest::prelude::*;
    let line = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200).boxed(),
        "[rws]( |  )[0-9a-z:\"\\\\\u{1}é%]{0,20}(:1:n2n)? [a-z._]{1,12}( [ -~]{0,60})?"
            .prop_map(String::into_bytes)
            .boxed(),
        (
            "[rws] [0-9]{1,3}:[0-9a-f]{1,2}:(n2n|bad)",
            proptest::sample::select(
                TABLE.iter().flat_map(|e| e.udp).filter(|m| **m != "stop").collect::<Vec<_>>()
            ),
            "( (n|after|dev|proto|host|port|by|of|ip|mac|state|lease|limit)=[ -~]{0,12}){0,3}[ -~]{0,10}"
        )
            .prop_map(|(head, method, arguments)| format!("{head} {method}{arguments}").into_bytes())
            .boxed(),
    ];
    let session = proptest::collection::vec((0_u16..4, line, 0_u8..4), 1..30);
    proptest!(ProptestConfig::with_cases(300), |(session in session, cap in 1_usize..40, own in 0_usize..2)| {
        let own = ["127.0.0.1:5644", "192.0.2.1:5644"][own];
        let mut b = Bench::with(config(own));
        b.network(20);
        for port in 0..60 {
            b.packet(10_000 + port, 50);
        }
        b.out = Datagrams::new(cap);
        let mut got = Vec::new();
        for (from, line, then) in &session {
            b.push(client(2_000 + from), line);
            match then {
                0 => b.drain(&mut got),
                1 => { b.server.produce(&mut b.agent, &mut b.out, b.now); }
                2 => b.pass(300),
                _ => b.server.refused(client(2_003), &mut b.agent),
            }
            prop_assert!(b.out.len() <= cap + 3 * session.len());
        }
        got.extend(b.settle());
        for (_, text) in &got {
            prop_assert!(text.ends_with('\n'));
            let known = text.starts_with("{\"_tag\":\"") || text.starts_with("portolan ");
            prop_assert!(known);
        }
    });
}
