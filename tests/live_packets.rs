//! Packet sessions against the real kernel: sockets in namespaces that each test makes for
//! itself, driven as the loop does, without a client. Skipped aloud where that isn't permitted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod support;

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use portolan::core::Agent;
use portolan::core::auth::{Caller, Right};
use portolan::core::packets::{Ending, Order, SessionId, State, Target, Why};
use portolan::io::sessions::Sessions;
use portolan::io::token::{Readiness, Source, source_of};
use portolan::sys::clock;
use portolan::wire::pcapng::block;

const PATIENCE: Duration = Duration::from_secs(20);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Two namespaces with a veth pair between them: `va` (10.98.0.1) here, `vb` (10.98.0.2) there.
struct Lab {
    here: String,
    there: String,
}

impl Lab {
    fn new() -> Option<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("ptlp{}n{number}{side}", std::process::id());
        let lab = Self { here: name('a'), there: name('b') };
        let (a, b) = (&lab.here, &lab.there);
        for namespace in [a, b] {
            let mut add = Command::new("ip");
            let add = add.args(["netns", "add", namespace]).stderr(Stdio::null()).status();
            if !add.is_ok_and(|status| status.success()) {
                eprintln!("skipped: `ip netns add` is not permitted here");
                return None;
            }
        }
        ip(&format!("-n {a} link set lo up"));
        ip(&format!("-n {a} link add va type veth peer name vb netns {b}"));
        ip(&format!("-n {a} addr add 10.98.0.1/24 dev va"));
        ip(&format!("-n {b} addr add 10.98.0.2/24 dev vb"));
        ip(&format!("-n {a} link set va up"));
        ip(&format!("-n {b} link set vb up"));
        Some(lab)
    }

    fn run(&self, test: impl FnOnce(&Self) + Send) {
        within(&self.here, || test(self));
    }

    /// Sends so many datagrams of this content from there to here.
    fn send(&self, count: u32, content: &[u8]) {
        within(&self.there, || {
            let socket = UdpSocket::bind("10.98.0.2:0").unwrap();
            for _ in 0..count {
                // Nobody listens there, which the kernel may say.
                let _ = socket.send_to(content, "10.98.0.1:9");
            }
        });
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for namespace in [&self.here, &self.there] {
            let mut delete = Command::new("ip");
            let _ = delete.args(["netns", "del", namespace]).stderr(Stdio::null()).status();
        }
    }
}

fn within<T: Send>(namespace: &str, f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let handle = File::open(format!("/run/netns/{namespace}")).unwrap();
            // SAFETY: no pointers are passed; the switch is this thread's alone.
            let done = unsafe { libc::setns(handle.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(done, 0, "{}", io::Error::last_os_error());
            f()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[track_caller]
fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(done.success(), "ip {arguments}");
}

/// The parts that the loop would drive.
struct Rig {
    poll: Poll,
    agent: Agent,
    sessions: Sessions,
    stream: Vec<u8>,
}

impl Rig {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let agent = support::Flash::default().agent();
        Self { poll, agent, sessions: Sessions::default(), stream: Vec::new() }
    }

    fn begin(&mut self, order: Order) -> SessionId {
        self.agent.watch_packets(order, &Caller { right: Right::Capture }).unwrap()
    }

    fn turn(&mut self) {
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
        for event in &events {
            let readiness = Readiness::from(event);
            match source_of(event.token()) {
                Some(Source::Session(slot)) => self.sessions.event(slot, readiness.error),
                Some(Source::SessionSpace(slot)) => self.sessions.space_event(slot),
                _ => {}
            }
        }
        let now = clock::now();
        self.sessions.drain(&mut self.agent, &now);
        self.sessions.serve(&mut self.agent, self.poll.registry(), now);
    }

    /// Turns until `done` says so; takes the stream meanwhile if `id` is given.
    #[track_caller]
    fn until(&mut self, id: Option<SessionId>, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "not in {PATIENCE:?}");
            self.turn();
            if let Some(id) = id {
                self.take(id);
            }
        }
    }

    fn take(&mut self, id: SessionId) {
        while let Some(chunk) = self.agent.packets.next(id) {
            self.stream.extend_from_slice(&chunk);
            self.agent.packets.recycle(id, chunk);
        }
    }

    fn open(&mut self, order: Order) -> SessionId {
        let id = self.begin(order);
        self.until(None, |rig| rig.agent.packets.state(id) != Some(&State::Opening));
        assert_eq!(self.agent.packets.state(id), Some(&State::Open));
        id
    }

    fn parsed(&self) -> Vec<Block> {
        Block::all(&self.stream)
    }

    fn interfaces(&self) -> Vec<String> {
        let blocks = self.parsed();
        let interfaces = blocks.iter().filter(|b| b.kind == block::INTERFACE);
        interfaces.map(|b| String::from_utf8(b.option(8, 2).unwrap()).unwrap()).collect()
    }

    /// Packets that contain `content`, by interface.
    fn packets(&self, content: &[u8]) -> Vec<u32> {
        let blocks = self.parsed();
        let packets = blocks.iter().filter(|b| {
            b.kind == block::ENHANCED_PACKET && b.body.windows(content.len()).any(|w| w == content)
        });
        packets.map(|b| b.word(0)).collect()
    }
}

#[derive(Debug)]
struct Block {
    kind: u32,
    body: Vec<u8>,
}

impl Block {
    fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            let length = word(4) as usize;
            assert_eq!(word(length - 4) as usize, length, "both lengths of a block");
            blocks.push(Self { kind: word(0), body: bytes[8..length - 4].to_vec() });
            bytes = &bytes[length..];
        }
        blocks
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.body[at..at + 4].try_into().unwrap())
    }

    fn option(&self, mut at: usize, wanted: u16) -> Option<Vec<u8>> {
        while at + 4 <= self.body.len() {
            let half = |at: usize| u16::from_le_bytes(self.body[at..at + 2].try_into().unwrap());
            let (code, length) = (half(at), usize::from(half(at + 2)));
            if code == wanted {
                return Some(self.body[at + 4..at + 4 + length].to_vec());
            }
            at += 4 + length.next_multiple_of(4);
        }
        None
    }

    fn number(&self, at: usize, option: u16) -> u64 {
        self.option(at, option).map_or(0, |v| u64::from_le_bytes(v.try_into().unwrap()))
    }
}

fn on(interfaces: &[&str]) -> Order {
    let interfaces = interfaces.iter().map(ToString::to_string).collect();
    Order { targets: vec![Target { interfaces, ..Target::default() }], ..Order::default() }
}

#[test]
fn packets_of_an_interface_arrive_once_and_say_where_they_went() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let mut rig = Rig::new();
        let order = Order { filter: "udp port 9".to_owned(), ..on(&["va"]) };
        let id = rig.open(order);
        lab.send(500, b"sent-from-there");
        rig.until(Some(id), |rig| rig.packets(b"sent-from-there").len() >= 500);
        assert_eq!(rig.interfaces(), ["va"]);
        let blocks = rig.parsed();
        let packet = blocks.iter().find(|b| b.kind == block::ENHANCED_PACKET).unwrap();
        let data = packet.word(12).next_multiple_of(4) as usize;
        let flags = packet.option(20 + data, 2).unwrap();
        assert_eq!(flags[0] & 3, 1, "inbound");
        let nanos = u64::from(packet.word(4)) << 32 | u64::from(packet.word(8));
        let now = u64::try_from(clock::now().wall.0).unwrap() * 1_000;
        assert!(now.abs_diff(nanos) < 60_000_000_000, "{nanos} is not about {now}");
        rig.agent.packets.close(id);
        rig.turn();
        assert!(rig.sessions.is_empty());
    });
}

#[test]
fn what_cannot_be_captured_is_refused_with_a_reason() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|_| {
        let mut rig = Rig::new();
        for (order, why, text) in [
            (on(&["nosuch0"]), Why::NotFound, "nosuch0"),
            (on(&["va", "nosuch0"]), Why::NotFound, "there are: lo va"),
            (Order { filter: "gateway 10.0.0.1".to_owned(), ..on(&["va"]) }, Why::Bad, "filter"),
            (Order { filter: "wlan type data".to_owned(), ..on(&["va"]) }, Why::Bad, "filter"),
        ] {
            match rig.agent.watch_packets(order, &Caller { right: Right::Capture }) {
                Err(refused) => assert!(refused.why == why && refused.text.contains(text)),
                Ok(id) => {
                    rig.until(None, |rig| rig.agent.packets.state(id) != Some(&State::Opening));
                    let Some(State::Refused(refused)) = rig.agent.packets.state(id) else {
                        panic!("{:?}", rig.agent.packets.state(id));
                    };
                    assert!(refused.why == why && refused.text.contains(text), "{refused:?}");
                    rig.agent.packets.close(id);
                    rig.turn();
                }
            }
        }
        assert!(rig.sessions.is_empty());
        let reader = Caller { right: Right::Read };
        assert_eq!(rig.agent.watch_packets(on(&["va"]), &reader).unwrap_err().why, Why::Denied);
    });
}

#[test]
fn interfaces_that_come_join_and_the_last_one_ends_the_session() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let mut rig = Rig::new();
        let id = rig.open(on(&[]));
        rig.until(Some(id), |rig| rig.interfaces().len() == 2);
        assert_eq!(rig.interfaces(), ["lo", "va"]);
        let (here, there) = (&lab.here, &lab.there);
        ip(&format!("-n {here} link add vc type veth peer name vd netns {there}"));
        ip(&format!("-n {there} link set vd up"));
        rig.turn();
        ip(&format!("-n {here} link set vc up"));
        rig.until(Some(id), |rig| rig.interfaces().len() == 3);
        assert_eq!(rig.interfaces()[2], "vc");
        ip(&format!("-n {here} link set va down"));
        ip(&format!("-n {here} link set va up"));
        lab.send(3, b"after-down-and-up");
        rig.until(Some(id), |rig| rig.packets(b"after-down-and-up").len() >= 3);
        ip(&format!("-n {here} link del vc"));
        ip(&format!("-n {here} link del va"));
        rig.until(Some(id), |rig| {
            rig.parsed().iter().filter(|b| b.kind == 5 && b.option(12, 3).is_some()).count() == 2
        });
        assert_eq!(rig.agent.packets.state(id), Some(&State::Open), "lo is left");
        rig.agent.packets.close(id);

        ip(&format!("-n {here} link add ve type veth peer name vf netns {there}"));
        let id = rig.open(on(&["ve"]));
        ip(&format!("-n {here} link del ve"));
        rig.until(Some(id), |rig| rig.agent.packets.state(id) != Some(&State::Open));
        let Some(State::Over(end)) = rig.agent.packets.state(id) else { panic!() };
        assert_eq!((end.ending, end.reason.as_str()), (Ending::Gone, "interface ve is gone"));
    });
}

#[test]
fn many_interfaces_share_a_ring_and_keep_their_packets_apart() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let (here, there) = (&lab.here, &lab.there);
        for n in 0..30 {
            ip(&format!("-n {here} link add w{n} type veth peer name x{n} netns {there}"));
            ip(&format!("-n {here} link set w{n} up"));
            ip(&format!("-n {there} link set x{n} up"));
        }
        let mut rig = Rig::new();
        let order = Order { filter: "udp port 9 or icmp".to_owned(), ..on(&[]) };
        let id = rig.open(order);
        rig.until(Some(id), |rig| rig.interfaces().len() == 32);
        lab.send(40, b"to-va-alone");
        rig.until(Some(id), |rig| rig.packets(b"to-va-alone").len() >= 40);
        let va = rig.interfaces().iter().position(|name| name == "va").unwrap();
        let va = u32::try_from(va).unwrap();
        assert!(rig.packets(b"to-va-alone").iter().all(|port| *port == va));
        ip(&format!("-n {here} link del w7"));
        ip(&format!("-n {here} link add late type veth peer name later netns {there}"));
        ip(&format!("-n {there} link set later up"));
        ip(&format!("-n {here} link set late up"));
        rig.until(Some(id), |rig| rig.interfaces().contains(&"late".to_owned()));
    });
}

#[test]
fn what_a_slow_reader_loses_stands_in_the_stream() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let mut rig = Rig::new();
        let order = Order { filter: "udp dst port 9".to_owned(), ..on(&["va"]) };
        let id = rig.open(order);
        // Nobody reads: the session fills, then the ring.
        lab.send(30_000, &[7; 1_000]);
        for _ in 0..20 {
            rig.turn();
        }
        let held = rig.agent.packets.get(id).unwrap().held();
        assert!(held < 1 << 20, "{held}");
        rig.until(Some(id), |rig| {
            let quiet = rig.stream.len();
            rig.turn();
            rig.take(id);
            quiet > 0 && rig.stream.len() == quiet && rig.agent.packets.wants(id)
        });
        lab.send(5, &[7; 1_000]);
        rig.until(Some(id), |rig| {
            rig.sessions.poll_statistics(&mut rig.agent, clock::tick());
            let session = rig.agent.packets.get(id).unwrap();
            let (packets, _, lost) = session.figures();
            packets + lost >= 30_005
        });
        let (packets, _, lost) = rig.agent.packets.get(id).unwrap().figures();
        assert_eq!(packets + lost, 30_005);
        assert!(lost > 0, "everything fitted");
        lab.send(1, b"after the gap");
        rig.until(Some(id), |rig| !rig.packets(b"after the gap").is_empty());
        let told: u64 = rig
            .parsed()
            .iter()
            .filter(|b| b.kind == block::ENHANCED_PACKET)
            .map(|b| b.number(20 + b.word(12).next_multiple_of(4) as usize, 4))
            .sum();
        assert_eq!(told, lost);
    });
}
