//! What each fuzz target does with its input. The tests of the package run the same over the
//! seeds, so that a seed which once crashed something stays fixed.

use std::net::SocketAddr;

use portolan::api::http::Http;
use portolan::api::mgmt::{Config, Datagrams, Dialect, Server, reply::MAX_REPLY};
use portolan::api::unix::Unix;
use portolan::api::{Connection, Outbox, Progress};
use portolan::capture::store::Settings as Probe;
use portolan::capture::{Store, protobuf};
use portolan::config::Settings;
use portolan::core::Agent;
use portolan::core::agent::{Facts, Host, Reply, Usage};
use portolan::core::auth::{Caller, Right};
use portolan::core::command::Command;
use portolan::core::resources::{Kind, Resources};
use portolan::query::{Query, Run, World};
use portolan::source::Frame;
use portolan::source::file::Reader;
use portolan::time::{Clock, Tick};
use portolan::topology::graph::{Element, Graph, Link};
use portolan::topology::links::Links;
use portolan::topology::spaces::{HOME, Spaces};
use portolan::topology::value::Map;
use portolan::wire::decode::Packet;
use portolan::wire::layers::{Layers, MAX_PIECES};
use portolan::wire::link::{LinkType, VlanTag};
use portolan::wire::netlink::{Message, Messages};
use portolan::wire::protobuf::Fields;
use portolan::wire::{dhcp, dns};

pub(crate) mod dissection;
pub(crate) mod sessions;

/// A link type in two bytes (little endian) and a frame: nothing is read beyond the frame.
pub(crate) fn packet(input: &[u8]) {
    let Some((link, frame)) = input.split_first_chunk() else {
        return;
    };
    decode(LinkType(u16::from_le_bytes(*link)), frame);
}

/// A link type in two bytes (little endian), a byte with flags and a frame: its pieces lie within
/// it, and a table takes it with all that can be asked for.
pub(crate) fn layers(input: &[u8]) {
    let Some(([l0, l1, flags], frame)) = input.split_first_chunk() else {
        return;
    };
    let link = LinkType(u16::from_le_bytes([*l0, *l1]));
    let vlan = (flags & 1 != 0).then_some(VlanTag { tci: 7, tpid: 0x8100 });
    let wire_len = u32::try_from(frame.len()).unwrap_or(u32::MAX) + u32::from(*flags);
    let mut layers = Layers::default();
    layers.decode(link, vlan, wire_len, frame);
    for piece in layers.pieces() {
        assert!(!piece.names().is_empty() && piece.len <= wire_len);
        assert!(piece.payload(frame).len() <= frame.len());
    }
    let mut store = Store::default();
    let table = store.open(Probe {
        layer3: flags & 2 != 0,
        raw_limit: 2,
        extra_tcp: true,
        defrag: flags & 4 != 0,
        reassemble: true,
        extra_layers: 7,
        ..Probe::default()
    });
    let table = table.expect("the first table");
    let seen = Frame { link, vlan, wire_len, data: frame, ..Frame::EMPTY };
    store.frames(table, &[seen, seen], &Clock::default(), &mut ());
    assert!(store.len() <= layers.pieces().len().max(MAX_PIECES));
    let mut out = Vec::new();
    for (_, flow) in store.iter() {
        out.clear();
        flow.write(&mut out, (None, None));
        assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        out.clear();
        protobuf::flow(&mut out, flow);
        assert!(Fields::new(&out).all(|field| field.is_ok()));
    }
    store.close(table, 1, &mut ());
    assert!(store.is_empty());
}

/// A DNS message: its walks end, and names are no longer than names may be.
pub(crate) fn dns(input: &[u8]) {
    let Ok(message) = dns::Message::parse(input) else {
        return;
    };
    for question in message.questions() {
        assert!(question.name.labels().map(<[u8]>::len).sum::<usize>() <= 255);
    }
    for record in message.records() {
        assert!(record.name.labels().count() <= 128 && record.data.len() <= input.len());
        match record.read_data() {
            Some(dns::Data::Texts(texts)) => assert!(texts.count() <= input.len()),
            Some(dns::Data::Opt(options)) => assert!(options.count() <= input.len()),
            Some(dns::Data::Soa { primary, contact, .. }) => {
                assert!(primary.text().len() + contact.text().len() <= 2 * 3 * 255);
            }
            _ => {}
        }
    }
}

/// A DHCP message: the walk over its options ends within it.
pub(crate) fn dhcp(input: &[u8]) {
    if let Ok(message) = dhcp::Message::parse(input) {
        let options: usize = message.options().map(|(_, data)| data.len() + 2).sum();
        assert!(options + dhcp::HEADER_LEN <= input.len());
        let _ = (message.mac(), message.server_name(), message.file(), message.option(53));
    }
}

/// The envelope of a message in Protocol Buffers: written again, it is read as the same.
pub(crate) fn protobuf_envelope(input: &[u8]) {
    if let Ok(envelope) = protobuf::Envelope::parse(input) {
        let mut out = Vec::new();
        envelope.write(&mut out);
        assert_eq!(protobuf::Envelope::parse(&out), Ok(envelope));
    }
}

/// A capture file: it ends, and yields no more than it holds.
pub(crate) fn pcap_file(input: &[u8]) {
    let Ok(mut reader) = Reader::open(input) else {
        return;
    };
    let mut bytes = 0;
    while let Ok(Some(frame)) = reader.next_frame() {
        bytes += frame.data.len();
        decode(frame.link, frame.data);
    }
    assert!(reader.consumed() <= input.len() as u64);
    assert!(bytes <= input.len() || input.starts_with(&[0x1f, 0x8b]));
    assert!(matches!(reader.next_frame(), Ok(None)));
}

/// Datagrams for the management port, each behind a byte with its length: every reply is one line
/// of JSON and fits the clients' buffers.
pub(crate) fn management(mut input: &[u8]) {
    let own: SocketAddr = ([127, 0, 0, 1], 5_644).into();
    let peer: SocketAddr = ([127, 0, 0, 1], 40_000).into();
    let now = Tick::from_secs(1);
    let config = Config { own, keyed_reads: false, dialect: Dialect::Published };
    let (mut server, mut agent) = (Server::new(config, now), agent());
    let mut out = Datagrams::new(64);
    while let Some((len, rest)) = input.split_first() {
        let (datagram, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        input = rest;
        server.receive(datagram, peer, &mut agent, &mut out, now);
        let mut more = true;
        for _ in 0..64 {
            for (_, bytes) in out.iter() {
                assert!(bytes.len() <= MAX_REPLY && bytes.ends_with(b"\n"));
                if bytes.starts_with(b"{") {
                    assert!(serde_json::from_slice::<serde_json::Value>(bytes).is_ok());
                }
            }
            out.sent(out.len());
            if !more {
                break;
            }
            more = server.produce(&mut agent, &mut out, now);
        }
        assert!(!more, "an answer without end");
    }
}

/// Bytes from a client of the Unix socket: every answer is a line of JSON, and it ends.
pub(crate) fn json_command(input: &[u8]) {
    let (mut unix, mut agent) = (Unix::new(Caller { right: Right::Admin }), agent());
    let mut out = Outbox::new(1024 * 1024);
    let now = Tick::from_secs(1);
    let mut answered = Vec::new();
    let used = unix.receive(input, &mut agent, &mut out, now).unwrap_or(input.len());
    unix.finish(input.get(used..).unwrap_or_default(), &mut agent, &mut out, now);
    for turn in 0.. {
        let progress = unix.produce(&mut agent, &mut out, now);
        answered.extend_from_slice(out.pending());
        out.advance(usize::MAX);
        if progress != Progress::More {
            break;
        }
        assert!(turn < 100_000, "an answer without end");
    }
    // Indented answers span lines: a stream of values holds for both.
    let values = serde_json::Deserializer::from_slice(&answered).into_iter::<serde_json::Value>();
    assert!(values.into_iter().all(|value| value.is_ok()));
    unix.closed(&mut agent);
}

/// A configuration file.
pub(crate) fn configuration(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut secret = |_: &str| Ok("secret".to_owned());
    let _ = Settings::default().apply_file(&text, &mut secret);
}

/// A saved address group: what was read is written and read again as it was.
pub(crate) fn group_file(input: &[u8]) {
    use portolan::group::file;
    if let Ok(content) = file::read(input) {
        let mut entries = content.entries;
        entries.sort_unstable();
        entries.dedup();
        let written = file::write(entries.iter().copied());
        let again = file::read(&written).expect("what was written can be read");
        let mut read = again.entries;
        read.sort_unstable();
        assert_eq!(read, entries);
    }
    let _ = file::read_json(input);
}

/// A filter expression before a NUL, then a frame: what compiles also runs.
pub(crate) fn filter(input: &[u8]) {
    use portolan::filter::{Options, compile, vm::Meta};
    let cut = input.iter().position(|b| *b == 0).unwrap_or(input.len());
    let (text, frame) = input.split_at(cut);
    let text = String::from_utf8_lossy(text);
    for link in [LinkType::ETHERNET, LinkType::RAW, LinkType::LINUX_SLL2] {
        if let Ok(program) = compile(&text, link, &Options::default()) {
            assert!(program.instructions().len() <= 4_096);
            let meta = Meta { vlan: None, packet_type: Some(0), interface: Some(1) };
            let wire_len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
            let _ = program.matches(frame, wire_len, &meta);
        }
    }
}

/// A query over a small graph: it is answered in valid JSON or refused, and in slices it is the
/// same as at once.
pub(crate) fn gremlin(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(query) = Query::parse(&text) else {
        return;
    };
    let (mut graph, flows) = (Graph::default(), Store::default());
    let (host, origin) = ("h".into(), "agent.h".into());
    for id in ["a", "b", "c"] {
        let metadata = Map::new().with("Name", id).with("Type", "veth").with("MTU", 1_500_u16);
        let _ = graph.add_node(Element::new(id.into(), metadata, &host, &origin, 1));
    }
    for (parent, child) in [("a", "b"), ("b", "c"), ("a", "c")] {
        let link = Link { parent, child, relation: "layer2", host: &host, origin: &origin };
        let _ = graph.link(link, Map::new(), 1);
    }
    graph.remove_node("c", 2);
    let world = World { graph: &graph, flows: &flows, now: Clock::default() };
    let answer = |visits| {
        let mut run = Run::new(query.clone());
        while !run.advance(&world, visits)? {}
        let mut out = Vec::new();
        while run.write(&world, &mut out, visits) {}
        assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        Ok::<_, portolan::query::Error>(out)
    };
    assert_eq!(answer(1), answer(usize::MAX));
}

/// A kind of resource in one byte, and the body that a client sends to make or to patch one: what
/// is taken can be listed, survives a restart and can be deleted.
pub(crate) fn json_body(input: &[u8]) {
    let Some((kind, body)) = input.split_first() else { return };
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    let (kind, ..) = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
    let (mut agent, caller) = (agent(), Caller { right: Right::Admin });
    for id in ["a", "b"] {
        let metadata = serde_json::json!({"Name": id, "Type": "veth", "IfIndex": 7});
        let node = serde_json::json!({"ID": id, "Metadata": metadata});
        let made = Command::ResourceCreate { kind: Kind::Node, json: node, ttl: None };
        assert!(agent.run(made, &caller).is_ok());
    }
    let patch = Command::ResourcePatch { kind: Kind::Node, id: "a".into(), patch: json.clone() };
    let _ = agent.run(patch, &caller);
    let made = agent.run(Command::ResourceCreate { kind, json, ttl: Some(1) }, &caller);
    let Ok(Reply::Value(made)) = made else { return };
    let mut out = Vec::new();
    made.write(&mut out);
    assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
    assert!(agent.run(Command::Resources { kind }, &caller).is_ok());
    let file = agent.orders.resources.save(&[]);
    assert!(Resources::default().load(&file, &portolan::filter::names::BuiltIn).is_ok());
    let id = |name| made.as_map().and_then(|map| map.text(name)).map(str::to_owned);
    let id = id("UUID").or_else(|| id("ID")).unwrap_or_default();
    assert!(agent.run(Command::ResourceDelete { kind, id }, &caller).is_ok());
}

/// Connections as the kernel tells of them, or as its file does: whatever comes, the counts of the
/// table agree with what is in it.
pub(crate) fn conntrack(input: &[u8]) {
    use portolan::conntrack::{Sums, Table, procfs};
    use portolan::flow::Key;
    use portolan::wire::netlink::conntrack::Change;
    let mut table = Table::default();
    table.set_limit(4);
    let mut now = Tick::from_secs(1);
    table.begin(now);
    let told = Messages::new(input).filter_map(|raw| Change::parse(&raw).ok().flatten());
    let lines = input.split(|octet| *octet == b'\n').filter_map(procfs::parse);
    for change in told.chain(lines.map(Change::Known)) {
        now = now.plus(30_000_000);
        match change {
            Change::Known(tracked) => {
                table.learn(&tracked, true, now);
                let (key, _) = Key::of(0, 0, &tracked.reply, None);
                if let Some(found) = table.of_key(&key) {
                    let _ = (found.other_side(), found.reply(), found.opener());
                }
            }
            Change::Gone(tracked) => table.forget(&tracked, now),
        }
        assert!(table.sums().live <= 4);
    }
    table.begin(now);
    let mut at = 0;
    while table.sweep(&mut at, 1, now) {}
    assert_eq!(table.sums(), Sums::default());
    table.expire(8, now.plus(u64::from(u32::MAX)));
}

/// Messages from the kernel.
pub(crate) fn netlink_message(input: &[u8]) {
    let (mut links, mut changes) = (Links::default(), Vec::new());
    let (mut spaces, mut graph) = (Spaces::new("router1"), Graph::default());
    let clock = Clock { tick: Tick::from_secs(1), ..Clock::default() };
    spaces.begin_sync(HOME);
    for raw in Messages::new(input) {
        if let Ok(message) = Message::decode(&raw) {
            links.apply(&message, Tick::from_secs(1), &mut changes);
            spaces.apply(HOME, &message, &clock);
        }
    }
    links.begin_sync();
    links.end_sync(Tick::from_secs(2), &mut changes);
    assert_eq!(links.iter().count(), 0);
    spaces.end_sync(HOME);
    let mut number = 0_u128;
    let mut random = || {
        number = number.wrapping_add(1);
        number.to_le_bytes()
    };
    let mut settle = |spaces: &mut Spaces, seconds| {
        while let Some((key, ifindex, _)) = spaces.next_inquiry() {
            spaces.set_card(key, ifindex, None);
        }
        let clock = Clock { tick: Tick::from_secs(seconds), ..Clock::default() };
        while spaces.flush(&mut graph, &clock, &mut random) {}
        let mut out = Vec::new();
        graph.nodes().for_each(|node| node.write(&mut out));
        graph.len()
    };
    assert!(settle(&mut spaces, 2) >= 1);
    spaces.begin_sync(HOME);
    spaces.end_sync(HOME);
    // Everything went; the host stays.
    assert_eq!(settle(&mut spaces, 4), 1);
}

/// A machine without disk or clock.
struct Nowhere;

impl Host for Nowhere {
    fn save(&mut self, _: &str, _: &[u8]) -> Result<(), String> {
        Err("no disk".to_owned())
    }

    fn load(&mut self, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn remove(&mut self, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn rename(&mut self, _: &str, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn list(&mut self, _: &str) -> Result<Vec<String>, String> {
        Ok(Vec::new())
    }

    fn usage(&mut self) -> Usage {
        Usage::default()
    }

    fn configure(&mut self) -> Result<Settings, String> {
        Ok(Settings::default())
    }

    fn set_log_level(&mut self, _: u8) {}
}

fn agent() -> Agent {
    Agent::new(Settings::default(), Facts::default(), Box::new(Nowhere), Clock::default())
}

fn decode(link: LinkType, frame: &[u8]) {
    let mut packet = Packet::default();
    let _ = packet.decode(link, None, frame);
    if let Some(datagram) = packet.datagram {
        let end = datagram.payload_at as usize + datagram.payload_captured as usize;
        assert!(end <= frame.len());
        assert!(datagram.payload_captured <= datagram.payload_len);
        assert_eq!(packet.payload(frame).len(), datagram.payload_captured as usize);
    }
}

/// A connection of HTTP over which the input comes, cut into pieces as its first octet says; what
/// comes back, and whether it ended.
fn web(input: &[u8], before: &[u8]) -> (Vec<u8>, bool) {
    let mut agent = agent();
    let address: SocketAddr = ([127, 0, 0, 1], 8_082).into();
    let now = Tick::from_secs(1);
    let mut http = Http::new(address, address, now);
    let mut out = Outbox::new(256 * 1024);
    let (step, input) = input.split_first().map_or((1, input), |(step, rest)| (*step, rest));
    let pieces = [before].into_iter().chain(input.chunks(usize::from(step).max(1)));
    let (mut waiting, mut answered, mut ended) = (Vec::new(), Vec::new(), false);
    for piece in pieces {
        waiting.extend_from_slice(piece);
        for turn in 0.. {
            let mut used = 0;
            if !waiting.is_empty() && http.ready(&out) {
                used = http.receive(&waiting, &mut agent, &mut out, now).unwrap_or(waiting.len());
                waiting.drain(..used);
            }
            let progress = http.produce(&mut agent, &mut out, now);
            answered.extend_from_slice(out.pending());
            out.advance(usize::MAX);
            ended |= progress == Progress::Done;
            if ended || (used == 0 && progress == Progress::Idle) {
                break;
            }
            assert!(turn < 100_000, "an answer without end");
        }
        assert!(waiting.len() < http.max_input(), "it takes nothing more");
        if ended {
            break;
        }
    }
    http.closed(&mut agent);
    (answered, ended)
}

/// Requests over one connection: every answer has a head that can be read.
pub(crate) fn http_request(input: &[u8]) {
    let (answered, _) = web(input, b"");
    if !answered.is_empty() {
        assert!(answered.starts_with(b"HTTP/1.1 "));
        assert!(answered.windows(4).any(|four| four == b"\r\n\r\n"));
    }
}

/// Frames over a WebSocket that both publishes and subscribes: every frame that comes back is
/// whole and not masked.
pub(crate) fn websocket(input: &[u8]) {
    let opening = b"GET /ws/pubsub HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (answered, _) = web(input, opening);
    let end = answered.windows(4).position(|four| four == b"\r\n\r\n").expect("it opens");
    let mut rest = answered.get(end + 4..).unwrap_or_default();
    while let [_, length, tail @ ..] = rest {
        assert!(length & 0x80 == 0, "a server does not mask");
        let (length, tail) = match (*length, tail) {
            (126, [a, b, tail @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), tail),
            (127, _) => panic!("no frame is that large"),
            (short, tail) => (usize::from(short), tail),
        };
        rest = tail.get(length..).expect("a whole frame");
    }
}

/// A byte that chooses, and what a file of `/proc`, of somebody's `/etc` or of a container
/// runtime could hold: names stay short and valid, lists stay bounded.
pub(crate) fn proc_files(input: &[u8]) {
    use portolan::netns::{
        MAX_NAME, cgroup, mounts, process, resolver, runtime, services, sockets,
    };
    let Some((choice, file)) = input.split_first() else {
        return;
    };
    match choice % 7 {
        0 => {
            if let Some(stat) = process::Stat::parse(file) {
                assert!(stat.comm.len() <= MAX_NAME);
            }
            let _ = process::bounding_set(file);
            assert!(process::affinity(file).len() <= 64);
            assert!(process::command_line(file).len() <= process::MAX_COMMAND);
        }
        1 => {
            let (ids, _) = cgroup::containers(file);
            assert!(ids.len() <= cgroup::MAX_NESTING);
            assert!(ids.iter().all(|id| id.id.len() <= MAX_NAME));
        }
        2 => {
            for line in file.split(|b| *b == b'\n') {
                let _ = mounts::Mount::parse(line);
            }
        }
        3 => {
            let mut found = resolver::Resolver::default();
            found.read_hosts(file);
            found.read_configuration(file);
            found.read_hostname(file);
            assert!(found.hosts.len() <= 256 && found.etc_hostname.len() <= MAX_NAME);
        }
        4 => {
            let mut known = runtime::Known::default();
            known.read(file);
            known.read_list(file, "a");
            assert!(known.name.len() <= MAX_NAME);
        }
        5 => {
            let found = services::Services::parse(file);
            assert!(found.name(53, false).len() <= MAX_NAME);
        }
        _ => {
            let _ = sockets::is_without(file, "tcp6");
        }
    }
}
