//! Checks of live packets: how they are ordered, what a session makes of frames, names that pass
//! by, and the documents by which clients find their targets.

use std::rc::Rc;

use portolan::api::http::Http;
use portolan::api::{Connection as _, Outbox, Progress};
use portolan::core::names::{MAX_NAMES, MAX_OCTETS, Names, Source, dhcp, dns};
use portolan::core::packets::parameters::{Fallback, pairs_of, parse};
use portolan::core::packets::{
    End, Ending, Format, MAX_PORTS, MAX_TARGETS, NewPort, Order, Packets, SNAPLEN, SessionId,
};
use portolan::counters::Counters;
use portolan::filter::names::BuiltIn;
use portolan::netns::lookup::{Wanted, decide};
use portolan::netns::machine::{Container, Details, Process, Route, Space, Tenant};
use portolan::netns::{
    Depth, Machine, cgroup, document, interface, name_of, process, resolver, runtime, targets,
};
use portolan::source::file::Reader;
use portolan::time::{Clock, Tick, Wall};
use portolan::wire::link::{LinkType, VlanTag};
use portolan::wire::netlink::{Message, Messages};
use portolan::wire::raw::{Checksum, Kind, RawFrame};

const NOW: Clock = Clock { tick: Tick(1_000_000), wall: Wall(1_700_000_000_000_000) };

/// Octets of the input, one after the other; zeros behind its end.
struct Octets<'a>(&'a [u8]);

impl<'a> Octets<'a> {
    fn one(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes([self.one(), self.one()])
    }

    fn some(&mut self, count: usize) -> &'a [u8] {
        let (some, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        some
    }

    fn name(&mut self) -> Box<str> {
        let count = usize::from(self.one());
        name_of(self.some(count))
    }
}

/// A query string that orders packets: what is understood keeps to the limits, and its session
/// begins or is refused with a reason.
pub(crate) fn packet_order(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let pairs = pairs_of(&text);
    let strict = parse(&pairs, Fallback::None);
    let wish = match parse(&pairs, Fallback::Own) {
        Ok(wish) => wish,
        Err(refused) => {
            assert!(!refused.text.is_empty() && strict.is_err());
            return;
        }
    };
    let order = wish.order;
    assert!((1..=MAX_TARGETS).contains(&order.targets.len()));
    for target in &order.targets {
        assert!(target.interfaces.len() <= MAX_PORTS);
        assert!(target.interfaces.iter().all(|name| (1..=15).contains(&name.len())));
    }
    let format = order.format;
    let (mut packets, mut counters) = (Packets::default(), Counters::default());
    match packets.begin(order, 8, &BuiltIn, NOW, &mut counters) {
        Ok(id) => {
            assert!(packets.opened(id, &NOW));
            let bytes = drain(&mut packets, id);
            // A classic file without an interface has no header.
            assert!(bytes.is_empty() == (format == Format::Pcap));
            if format == Format::Pcapng {
                let mut reader = Reader::open(&bytes[..]).expect("a section");
                assert!(matches!(reader.next_frame(), Ok(None)));
                comment(&bytes);
            }
        }
        Err(refused) => assert!(!refused.text.is_empty()),
    }
}

/// The remark on a section, which capture clients read as a document.
fn comment(bytes: &[u8]) {
    let length = usize::from(u16::from_le_bytes([bytes[26], bytes[27]]));
    assert_eq!(bytes[24..26], [1, 0], "it comes first");
    assert!(length > 0 && std::str::from_utf8(&bytes[28..28 + length]).is_ok());
}

fn drain(packets: &mut Packets, id: SessionId) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = packets.next(id) {
        bytes.extend_from_slice(&chunk);
        packets.recycle(id, chunk);
    }
    bytes
}

/// A frame as it should be read again.
#[derive(Debug, PartialEq)]
struct Kept {
    port: usize,
    link: LinkType,
    at: Tick,
    wire_len: u32,
    data: Vec<u8>,
}

/// Interfaces, and frames that pass them: the stream of the session, read as a file, has the same
/// frames.
pub(crate) fn packet_stream(input: &[u8]) {
    let mut octets = Octets(input);
    let flags = octets.one();
    let format = if flags & 1 != 0 { Format::Pcap } else { Format::Pcapng };
    let snaplen = if flags & 2 != 0 { SNAPLEN } else { u32::from(octets.two()).max(1) };
    let order = Order { format, snaplen, by: octets.name().into(), ..Order::default() };
    let (mut packets, mut counters) = (Packets::default(), Counters::default());
    let mut names = Names::default();
    let id = packets.begin(order, 8, &BuiltIn, NOW, &mut counters).expect("room");
    let mut ports = Vec::new();
    for ifindex in 1..=u32::from(flags >> 6) + 1 {
        let kind = octets.one();
        let cooked = kind & 1 != 0;
        let layer = if kind & 2 != 0 { LinkType::RAW } else { LinkType::ETHERNET };
        let loopback = kind & 4 != 0;
        let new = NewPort {
            name: octets.name().into(),
            ifindex,
            link: Some(layer),
            cooked,
            loopback,
            addresses: vec![([10, 0, 0, kind].into(), kind), ([kind; 16].into(), kind)],
            mac: (kind & 8 != 0).then_some([kind; 6]),
            ..NewPort::default()
        };
        let link = if cooked { LinkType::LINUX_SLL2 } else { layer };
        if let Some(port) = packets.add_port(id, new, &NOW) {
            ports.push((port, ifindex, link, loopback));
        }
    }
    assert!(packets.opened(id, &NOW));
    let (mut bytes, mut kept) = (Vec::new(), Vec::new());
    while !octets.0.is_empty() && !ports.is_empty() {
        let (which, what) = (octets.one(), octets.one());
        let at = usize::from(which) % ports.len();
        let (port, ifindex, link, loopback) = ports[at];
        let nanos = u32::from(octets.two()) * 15_000;
        let count = usize::from(octets.one()) << (what >> 6);
        let data = octets.some(count);
        let raw = RawFrame {
            wall: NOW.wall,
            nanos,
            data,
            wire_len: u32::try_from(data.len()).unwrap() + u32::from(what & 1) * 100,
            vlan: (what & 2 != 0).then_some(VlanTag { tci: 0x2005, tpid: 0x8100 }),
            protocol: if what & 4 != 0 { 0x0800 } else { 0x86dd },
            kind: Kind(which >> 5),
            ifindex,
            checksum: if what & 8 != 0 { Checksum::NotReady } else { Checksum::Unknown },
            losing: false,
        };
        packets.counted(id, port, u64::from(which), u64::from(what >> 7), &mut counters);
        packets.frames(id, port, &[raw], &mut names, &NOW);
        if !(loopback && raw.kind == Kind::OUTGOING) {
            let at = Tick(1_700_000_000_000_000 + u64::from(nanos / 1_000));
            // Positions in a classic file are all the same.
            let port = if format == Format::Pcap { 0 } else { at_of(port.0) };
            kept.push(expected(&raw, port, link, at, snaplen));
        }
        if what & 16 != 0 {
            bytes.extend(drain(&mut packets, id));
        }
    }
    packets.end(id, End::new(Ending::Stopped, "stopped"), &NOW);
    bytes.extend(drain(&mut packets, id));
    if ports.is_empty() {
        return;
    }
    let mut reader = Reader::open(&bytes[..]).expect("a capture file");
    let mut read = Vec::new();
    while let Some(frame) = reader.next_frame().expect("no damage") {
        read.push(Kept {
            port: usize::from(frame.iface),
            link: frame.link,
            at: frame.ts,
            wire_len: frame.wire_len,
            data: frame.data.to_vec(),
        });
    }
    assert_eq!(read, kept);
    assert_eq!(packets.get(id).map(|session| session.figures().0), Some(kept.len() as u64));
}

fn at_of(port: u32) -> usize {
    usize::try_from(port).expect("a position")
}

/// How a frame should come back: with its tag, or with the header that it had not.
fn expected(raw: &RawFrame<'_>, port: usize, link: LinkType, at: Tick, snaplen: u32) -> Kept {
    let mut data = Vec::new();
    let mut wire_len = raw.wire_len;
    let cut = |extra: usize| raw.data.len().min(at_of(snaplen).saturating_sub(extra));
    match (link, raw.vlan) {
        (LinkType::LINUX_SLL2, _) => {
            data.extend(raw.protocol.to_be_bytes());
            data.extend([0, 0]);
            data.extend(raw.ifindex.to_be_bytes());
            data.extend([0, 0, raw.kind.0, 0]);
            data.extend([0; 8]);
            data.extend(&raw.data[..cut(20)]);
            wire_len += 20;
        }
        (LinkType::ETHERNET, Some(tag)) => {
            data.extend(&raw.data[..cut(4)]);
            if data.len() >= 12 {
                let tag = [tag.tpid.to_be_bytes(), tag.tci.to_be_bytes()].concat();
                data.splice(12..12, tag);
            }
            wire_len += 4;
        }
        _ => data.extend(&raw.data[..cut(0)]),
    }
    Kept { port, link, at, wire_len, data }
}

/// Parameters of a query, and behind an empty line frames from the client: either there is an
/// answer, or a WebSocket whose messages are a capture file.
pub(crate) fn packet_door(input: &[u8]) {
    let mut agent = super::agent();
    let address = ([127, 0, 0, 1], 8_082).into();
    let now = agent.clock().tick;
    let mut http = Http::new(address, address, now);
    let mut out = Outbox::new(1024 * 1024);
    let cut = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
    let (fields, frames) = input.split_at(cut);
    let mut head = b"GET /capture?netns=5 HTTP/1.1\r\nHost: localhost\r\n\
        Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        .to_vec();
    for field in fields.split(|b| *b == b'\n').filter(|field| !field.is_empty()) {
        head.extend_from_slice(b"Clustershark-");
        head.extend_from_slice(field);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let used = http.receive(&head, &mut agent, &mut out, now).unwrap_or(head.len());
    assert!(used <= head.len());
    let waiting = agent.packets.opening().next().map(|(id, session)| (id, session.order().clone()));
    let mut answered = Vec::new();
    if let Some((id, order)) = waiting {
        assert!(order.targets.len() <= MAX_TARGETS && out.pending().is_empty());
        let clock = agent.clock();
        let new = NewPort { name: "a0".to_owned(), ifindex: 3, ..NewPort::default() };
        let port = agent.packets.add_port(id, new, &clock).expect("an interface");
        assert!(agent.packets.opened(id, &clock));
        let raw = RawFrame { wall: NOW.wall, data: input, ..RawFrame::EMPTY };
        agent.session_frames(id, port, &[raw], &clock);
    }
    let mut rest = frames.get(2..).unwrap_or_default();
    for turn in 0.. {
        let used = http.receive(rest, &mut agent, &mut out, now).unwrap_or(rest.len());
        rest = &rest[used..];
        let progress = http.produce(&mut agent, &mut out, now);
        answered.extend_from_slice(out.pending());
        out.advance(usize::MAX);
        if progress == Progress::Done || progress == Progress::Idle && used == 0 {
            break;
        }
        assert!(turn < 100_000, "a stream without end");
    }
    http.closed(&mut agent);
    assert_eq!(agent.packets.iter().count(), 0, "nothing is left of it");
    assert!(answered.is_empty() || answered.starts_with(b"HTTP/1.1 "));
    if answered.starts_with(b"HTTP/1.1 101 ") {
        let end = answered.windows(4).position(|four| four == b"\r\n\r\n").expect("it opens");
        let stream = binary(&answered[end + 4..]);
        if !stream.is_empty() {
            let mut reader = Reader::open(&stream[..]).expect("a capture file");
            while reader.next_frame().expect("no damage").is_some() {}
        }
    }
}

/// What the binary messages of a server hold together.
fn binary(mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let [first, length, tail @ ..] = bytes {
        assert!(length & 0x80 == 0, "a server does not mask");
        let (length, tail) = match (*length, tail) {
            (126, [a, b, tail @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), tail),
            (127, [0, 0, 0, 0, 0, a, b, c, tail @ ..]) => {
                (at_of(u32::from_be_bytes([0, *a, *b, *c])), tail)
            }
            (127, _) => panic!("no message is that large"),
            (short, tail) => (usize::from(short), tail),
        };
        let (message, rest) = tail.split_at_checked(length).expect("a whole frame");
        if matches!(first & 0xf, 0 | 2) {
            all.extend_from_slice(message);
        }
        bytes = rest;
    }
    all
}

/// Messages of DNS and DHCP, each behind an octet that chooses and two with its length: names
/// stay few, short and readable.
pub(crate) fn host_names(input: &[u8]) {
    let (mut names, mut requests) = (Names::default(), dhcp::Requests::default());
    let mut octets = Octets(input);
    while !octets.0.is_empty() {
        let (choice, count) = (octets.one(), usize::from(octets.two()));
        let message = octets.some(count);
        match choice % 3 {
            2 => {
                if let Some((address, name)) = requests.read(message) {
                    names.learn(address.into(), &name);
                }
            }
            1 => dns::learn(&mut names, message, Source::Mdns),
            _ => dns::learn(&mut names, message, Source::Dns),
        }
    }
    assert!(names.len() <= MAX_NAMES && names.octets() <= MAX_OCTETS);
    assert_eq!(names.since(0).count(), names.len());
    for (address, name) in names.since(0) {
        assert!((1..=253).contains(&name.len()) && !name.contains(char::is_control));
        assert!(names.name_of(address).is_some());
    }
}

/// A machine of processes, containers and namespaces: its documents are JSON, in pieces the same
/// as at once, and a client's description of any target finds it again.
pub(crate) fn discovery(input: &[u8]) {
    let machine = Rc::new(machine(&mut Octets(input)));
    let piecewise = |write: &mut dyn FnMut(&mut Vec<u8>, usize) -> bool, most| {
        let mut out = Vec::new();
        while write(&mut out, most) {}
        assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        out
    };
    let document = |most| {
        let mut text = document::Text::new(Rc::clone(&machine));
        piecewise(&mut |out, most| text.write(out, most), most)
    };
    assert_eq!(document(1), document(1 << 20));
    let list = |most| {
        let mut text = targets::Text::new(Rc::clone(&machine));
        piecewise(&mut |out, most| text.write(out, most), most)
    };
    assert_eq!(list(1), list(1 << 20));
    for space in &machine.spaces {
        for target in targets::of_space(&machine, space) {
            let (netns, pid, starttime) = (space.inode, target.pid, target.starttime);
            let wanted =
                Wanted { netns, pid, starttime, name: &target.name, prefix: target.prefix };
            let found = decide(&machine, &wanted);
            let lives = machine.process(pid).is_some_and(|process| process.netns == netns);
            assert!(!lives || found.is_ok_and(|found| found.space.inode == netns));
        }
    }
    let _ = decide(&machine, &Wanted { name: "a", ..Wanted::default() });
}

fn machine(octets: &mut Octets<'_>) -> Machine {
    let mut machine = Machine { depth: Depth::All, ..Machine::default() };
    for at in 0..octets.one() % 5 {
        let count = usize::from(octets.one());
        let mut known = runtime::Known::default();
        known.read(octets.some(count));
        known.read_list(b"[]", "a");
        let engines = [cgroup::Engine::Docker, cgroup::Engine::Cri, cgroup::Engine::Lxc];
        let engine = engines[usize::from(at) % engines.len()];
        let id = cgroup::Id { engine, id: octets.name() };
        let outer = Some(u16::from(octets.one())).filter(|outer| *outer < 5);
        machine.containers.push(Container { id, outer, group: Box::default(), known });
    }
    let mut pid = 0;
    for _ in 0..octets.one() % 20 {
        pid += u32::from(octets.one()) + 1;
        let (ppid, place) = (u32::from(octets.one()), octets.one());
        let mut process = Process {
            pid,
            ppid,
            starttime: u64::from(octets.one()),
            netns: u64::from(place & 3),
            pidns: u64::from(place >> 2 & 3),
            container: (place & 0x80 != 0).then_some(u16::from(place >> 4 & 7)),
            ..Process::default()
        };
        process.comm = octets.name();
        machine.processes.push(process);
    }
    for inode in 1..=u64::from(octets.one() % 4) {
        let mut space = Space { inode, seen: true, ..Space::default() };
        for at in 0..machine.processes.len() {
            if machine.processes[at].netns == inode && machine.is_tenant(at) {
                let details = Some(Box::new(tenant(octets)));
                let process = u32::try_from(at).expect("few");
                space.tenants.push(Tenant { process, container: None, details });
            }
        }
        machine.settle(&mut space);
        let count = usize::from(octets.two());
        for raw in Messages::new(octets.some(count)) {
            if let Ok(Message::NewLink(link)) = Message::decode(&raw) {
                space.interfaces.extend(interface::Interface::of(&link));
            }
        }
        space.interfaces.sort_by_key(|interface| interface.index);
        space.interfaces.dedup_by_key(|interface| interface.index);
        let family = if octets.one() & 1 != 0 { 2 } else { 10 };
        let index = Some(u32::from(octets.one()));
        let prefix = octets.one();
        space.routes.push(Route { family, index, prefix, ..Route::default() });
        machine.spaces.push(space);
    }
    machine
}

fn tenant(octets: &mut Octets<'_>) -> Details {
    let count = usize::from(octets.one());
    let file = octets.some(count);
    let mut resolver = resolver::Resolver::default();
    resolver.read_hosts(file);
    resolver.read_configuration(file);
    resolver.read_hostname(file);
    Details {
        command: process::command_line(file),
        bounding: process::bounding_set(file),
        affinity: process::affinity(file),
        paused: count & 1 != 0,
        resolver,
    }
}
