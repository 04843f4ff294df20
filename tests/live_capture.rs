//! Capture and interface tracking against the real kernel: veth pairs in network namespaces that
//! each test makes for itself. Skipped aloud where that isn't permitted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portolan::counters::Counters;
use portolan::io::capture::{Captures, Settings, Totals};
use portolan::io::watch::{Follower, Watch};
use portolan::source::{Direction, Frame};
use portolan::sys::capture::Method;
use portolan::sys::netlink::Buffer;
use portolan::sys::{clock, process};
use portolan::topology::links::{Change, Links};
use portolan::topology::pick::{Selection, pick};
use portolan::topology::spaces::{HOME, Spaces};

/// Frames carry this, so that nothing else in the namespace is counted.
const MARK: &[u8] = b"portolan-mark";

const PATIENCE: Duration = Duration::from_secs(20);

/// Descriptors are counted for the whole process, so these tests run one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Two namespaces with a veth pair between them: `va` (10.99.0.1) here, `vb` (10.99.0.2) there.
struct Lab {
    here: String,
    there: String,
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    fn new() -> Option<Self> {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("ptl{}n{number}{side}", std::process::id());
        let lab = Self { here: name('a'), there: name('b'), _turn: turn };
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
        ip(&format!("-n {a} addr add 10.99.0.1/24 brd + dev va"));
        ip(&format!("-n {b} addr add 10.99.0.2/24 dev vb"));
        ip(&format!("-n {a} link set va up"));
        ip(&format!("-n {b} link set vb up"));
        Some(lab)
    }

    /// Runs on a thread inside the first namespace.
    fn run(&self, test: impl FnOnce(&Self) + Send) {
        within(&self.here, || test(self));
    }

    /// A socket of the second namespace that reaches the first.
    fn far_socket(&self) -> UdpSocket {
        within(&self.there, || {
            let socket = UdpSocket::bind("10.99.0.2:0").unwrap();
            socket.connect("10.99.0.1:9").unwrap();
            socket
        })
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
    links: Links,
    spaces: Spaces,
    buffer: Buffer,
    watch: Watch,
    captures: Captures,
    counters: Counters,
    changes: Vec<Change>,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        Self::with_room(settings, 1 << 20)
    }

    fn with_room(settings: Settings, room: u32) -> Self {
        let mut rig = Self {
            links: Links::default(),
            spaces: Spaces::new("lab"),
            buffer: Buffer::default(),
            watch: Watch::open(room).unwrap(),
            captures: Captures::new(settings, 1 << 30),
            counters: Counters::default(),
            changes: Vec::new(),
        };
        let Self { links, spaces, watch, changes, .. } = &mut rig;
        let clock = clock::now();
        let links = Some((links, changes));
        watch.start(&mut Follower { spaces, key: HOME, links, clock }, clock.tick);
        rig.until(|rig| rig.watch.is_synced());
        rig
    }

    /// Lets the kernel speak until `done`.
    #[track_caller]
    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            self.turn();
            if done(self) {
                return;
            }
            assert!(Instant::now() < end, "it never came to pass");
            wait_readable(self.watch.as_raw_fd(), 10);
        }
    }

    fn turn(&mut self) {
        let clock = clock::now();
        let now = clock.tick;
        let Self { links, spaces, buffer, watch, captures, counters, changes } = self;
        let mut sink = Follower { spaces, key: HOME, links: Some((links, changes)), clock };
        watch.expire(&mut sink, now, counters);
        while watch.ready(&mut sink, now, 64, counters, buffer) {}
        captures.sync(links, now, counters);
        captures.changes().for_each(drop);
    }

    fn slot(&self, name: &str) -> u16 {
        self.links.by_name(name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Takes frames until `count` marked ones have come, and then all that are there.
    #[track_caller]
    fn marked(&mut self, slot: u16, count: usize) -> Vec<Seen> {
        let end = Instant::now() + PATIENCE;
        let mut found = Vec::new();
        let mut idle = 0;
        // A block that isn't full comes after its time-out of 60 ms.
        while idle < 10 || found.len() < count {
            let clock = clock::now();
            let before = found.len();
            let drained = self.captures.drain(slot, &clock, 100, |batch| {
                for frame in batch.frames {
                    assert!(clock.tick.since(frame.ts) < 5_000_000, "{:?}", frame.ts);
                    if frame.data.windows(MARK.len()).any(|w| w == MARK) {
                        found.push(Seen::from(frame));
                    }
                }
            });
            idle = if found.len() > before || drained.more { 0 } else { idle + 1 };
            assert!(Instant::now() < end, "{} of {count} frames came", found.len());
            if !drained.more {
                // SAFETY: no descriptors are passed; only waits.
                unsafe { libc::poll(std::ptr::null_mut(), 0, 15) };
            }
        }
        found
    }

    fn totals(&self, slot: u16) -> Totals {
        self.captures.iter().find(|status| status.slot == slot).unwrap().totals
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    direction: Direction,
    wire_len: u32,
    data: Vec<u8>,
    /// VLAN id, from beside the frame or from within.
    vlan: Option<u16>,
}

impl From<&Frame<'_>> for Seen {
    fn from(frame: &Frame<'_>) -> Self {
        let inline = match frame.data {
            [_, _, _, _, _, _, _, _, _, _, _, _, 0x81, 0, high, low, ..] => {
                Some(u16::from_be_bytes([*high, *low]) & 0xfff)
            }
            _ => None,
        };
        Self {
            direction: frame.direction,
            wire_len: frame.wire_len,
            data: frame.data.to_vec(),
            vlan: frame.vlan.map(|tag| tag.id()).or(inline),
        }
    }
}

fn wait_readable(fd: i32, millis: i32) {
    let mut one = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd.
    unsafe { libc::poll(&raw mut one, 1, millis) };
}

fn named(name: &str) -> Settings {
    Settings { selection: Selection::of([name]), ..Settings::default() }
}

fn count(found: &[Seen], direction: Direction) -> usize {
    found.iter().filter(|seen| seen.direction == direction).count()
}

#[test]
fn ring_and_plain_socket_see_each_frame_once_and_which_way_it_went() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let mut ring = Rig::new(Settings { method: Method::Ring, ..named("va") });
        let mut plain = Rig::new(Settings { method: Method::Plain, ..named("va") });
        let slot = ring.slot("va");
        let far = lab.far_socket();
        let near = UdpSocket::bind("10.99.0.1:0").unwrap();
        near.connect("10.99.0.2:9").unwrap();
        for n in 0..50_usize {
            send(&far, &[MARK, &vec![7; n]].concat());
        }
        for _ in 0..30 {
            send(&near, MARK);
        }
        let by_ring: Vec<_> = ring.marked(slot, 80);
        let by_plain = plain.marked(plain.slot("va"), 80);
        // ICMP answers quote the datagram and with it the mark.
        let is_udp = |seen: &&Seen| seen.data[23] == 17;
        let by_ring: Vec<_> = by_ring.iter().filter(is_udp).cloned().collect();
        let by_plain: Vec<_> = by_plain.iter().filter(is_udp).cloned().collect();
        assert_eq!((count(&by_ring, Direction::In), count(&by_ring, Direction::Out)), (50, 30));
        assert_eq!(by_ring, by_plain);
        assert!(by_ring.iter().all(|seen| seen.wire_len as usize == seen.data.len()));
        assert!(ring.captures.iter().all(|status| status.has_ring));
        assert!(plain.captures.iter().all(|status| !status.has_ring));
    });
}

#[test]
fn frames_beyond_the_snap_length_keep_their_length_on_the_wire() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        for method in [Method::Ring, Method::Plain] {
            let mut rig = Rig::new(Settings { method, snaplen: 100, ..named("va") });
            send(&lab.far_socket(), &[MARK, &[7; 1_000]].concat());
            let slot = rig.slot("va");
            let found = rig.marked(slot, 1);
            assert_eq!(found[0].data.len(), 100, "{method:?}");
            assert_eq!(found[0].wire_len as usize, 14 + 20 + 8 + MARK.len() + 1_000);
        }
    });
}

#[test]
fn a_vlan_tag_is_found_whether_the_kernel_took_it_off_or_not() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let mut ring = Rig::new(Settings { promiscuous: true, ..named("va") });
        let mut plain = Rig::new(Settings { method: Method::Plain, ..named("va") });
        let mut frame = vec![0xff; 6];
        frame.extend([2, 0, 0, 0, 0, 1, 0x81, 0, 0x20, 42, 0x08, 0]);
        frame.extend(MARK);
        frame.resize(80, 0);
        within(&lab.there, || send_raw("vb", &frame));
        for rig in [&mut ring, &mut plain] {
            let slot = rig.slot("va");
            let found = rig.marked(slot, 1);
            assert_eq!((found.len(), found[0].vlan), (1, Some(42)));
            assert_eq!(found[0].wire_len, 80);
        }
    });
}

#[test]
fn loopback_shows_each_packet_once_and_only_when_asked() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|_| {
        let rig = Rig::new(Settings::default());
        assert!(!rig.captures.iter().any(|status| status.name == "lo"));
        for method in [Method::Ring, Method::Plain] {
            let mut rig = Rig::new(Settings { method, ..named("lo") });
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            for _ in 0..20 {
                socket.send_to(MARK, socket.local_addr().unwrap()).unwrap();
            }
            let slot = rig.slot("lo");
            assert_eq!(rig.marked(slot, 20).len(), 20);
        }
    });
}

#[test]
fn what_a_full_ring_lost_is_counted_to_the_frame() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let small = Settings { ring_kib: Some(128), ..named("va") };
        let mut rig = Rig::new(small);
        let slot = rig.slot("va");
        let far = lab.far_socket();
        let sent = 3_000;
        for _ in 0..sent {
            send(&far, &[MARK, &[7; 900]].concat());
        }
        let found = rig.marked(slot, 1);
        let seen = found.iter().filter(|seen| seen.direction == Direction::In).count();
        rig.captures.poll_statistics(clock::tick(), &mut rig.counters);
        let totals = rig.totals(slot);
        assert!(totals.drops > 0 && totals.freezes > 0, "{totals:?}");
        assert_eq!(rig.counters.kernel_drops, totals.drops);
        // Frames of others (ARP, ICMP errors) may be among the lost ones as well.
        assert!(seen as u64 + totals.drops >= sent, "{seen} seen, {totals:?}");
    });
}

#[test]
fn capture_follows_an_interface_that_goes_returns_and_is_renamed_without_leaking() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let mut rig = Rig::new(named("w*"));
        let mut before = 0;
        for cycle in 0..100 {
            ip(&format!("link add w0 type veth peer name wp netns {}", lab.there));
            ip("link set w0 up");
            rig.until(|rig| rig.links.by_name("w0").is_some());
            let slot = rig.slot("w0");
            ip("link set w0 down");
            ip("link set w0 name w1");
            ip("link set w1 up");
            rig.until(|rig| rig.links.by_name("w1") == Some(slot));
            assert!(rig.captures.iter().all(|status| status.open && status.problem.is_none()));
            if cycle % 10 == 0 {
                ip(&format!("-n {} link set wp up", lab.there));
                let frame = [&[0xff; 6], &[2, 0, 0, 0, 0, 1, 8, 0][..], MARK, &[0; 60]].concat();
                let sent = rig.totals(slot).packets;
                rig.until(|rig| rig.links.get(slot).unwrap().running);
                within(&lab.there, || send_raw("wp", &frame));
                assert_eq!(rig.marked(slot, 1).len(), 1, "cycle {cycle}");
                assert!(rig.totals(slot).packets > sent);
            }
            ip("link set w1 down");
            ip("link set w1 name w0");
            ip("link del w0");
            rig.until(|rig| rig.links.by_name("w0").is_none());
            assert!(rig.captures.iter().all(|status| !status.open));
            // The first cycle may open what stays open, such as the standard library's.
            let now = process::open_descriptors().unwrap();
            if cycle == 0 {
                before = now;
            }
            assert_eq!(now, before, "descriptors leak, cycle {cycle}");
        }
        assert_eq!(rig.captures.iter().count(), 1, "one slot served all cycles");
        let totals = rig.captures.iter().next().unwrap().totals;
        assert_eq!((totals.opened, rig.counters.capture_reopens), (100, 99));
        assert!(totals.packets >= 10, "{totals:?}");
    });
}

#[test]
fn after_an_overrun_the_table_equals_what_the_kernel_has() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let nothing = Settings { selection: Selection::of(["none"]), ..Settings::default() };
        let mut rig = Rig::with_room(nothing, 4_096);
        let mut batch = String::new();
        for n in 0..80 {
            batch += &format!("link add x{n} type veth peer name y{n}\nlink set x{n} up\n");
            batch += &format!("addr add 10.1.{n}.1/24 dev x{n}\n");
        }
        for n in 0..40 {
            batch += &format!("link set y{n} name z{n}\n");
            if n % 2 == 0 {
                batch += &format!("link del x{n}\n");
            }
        }
        let path = std::env::temp_dir().join(format!("{}.batch", lab.here));
        std::fs::write(&path, batch).unwrap();
        let done = Command::new("ip").arg("-batch").arg(&path).status().unwrap();
        let _ = std::fs::remove_file(&path);
        assert!(done.success());
        rig.until(|rig| rig.counters.netlink_resyncs > 0 && rig.watch.is_synced());
        let (kernel, ours) = (kernel_links(), our_links(&rig.links));
        assert_eq!(ours, kernel);
        let added = |change: &&Change| matches!(change, Change::LinkAdded { .. });
        let removed = |change: &&Change| matches!(change, Change::LinkRemoved { .. });
        let told =
            rig.changes.iter().filter(added).count() - rig.changes.iter().filter(removed).count();
        assert_eq!(told, kernel.len(), "the changes told add up to what is there");
    });
}

#[test]
fn the_bridge_is_chosen_and_its_ports_are_not() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|_| {
        ip("link add br0 type bridge");
        ip("link add p1 type veth peer name q1");
        ip("link set p1 master br0");
        ip("link set p1 up");
        ip("link set q1 up");
        ip("addr add 192.168.9.1/24 dev br0");
        ip("link set br0 up");
        ip("route add default via 10.99.0.2");
        let rig = Rig::new(Settings::default());
        let chosen = pick(&rig.links, &Selection::default());
        let mut names: Vec<_> =
            chosen.iter().map(|&slot| &*rig.links.get(slot).unwrap().name).collect();
        names.sort_unstable();
        assert_eq!(names, ["br0", "va"]);
        assert!(rig.links.get(rig.slot("va")).unwrap().default_route);
        let networks: Vec<_> = rig.links.local_networks().collect();
        let broadcast = Some("10.99.0.255".parse().unwrap());
        assert!(networks.contains(&("10.99.0.1".parse().unwrap(), 24, broadcast, rig.slot("va"))));
    });
}

#[test]
fn every_frame_of_a_burst_comes_out_of_the_ring() {
    let Some(lab) = Lab::new() else { return };
    lab.run(|lab| {
        let large = Settings { ring_kib: Some(8_192), ..named("va") };
        let mut rig = Rig::new(large);
        let slot = rig.slot("va");
        let far = lab.far_socket();
        for _ in 0..40_000 {
            send(&far, MARK);
        }
        let (clock, start, mut bytes, mut frames) = (clock::now(), Instant::now(), 0_u64, 0);
        // The kernel hands the last block over when its time is up.
        while frames < 40_000 && start.elapsed().as_secs() < 20 {
            let drained = rig.captures.drain(slot, &clock, 256, |batch| {
                for frame in batch.frames {
                    bytes += u64::from(frame.wire_len) + u64::from(frame.data[12]);
                }
            });
            frames += drained.frames;
            if !drained.more {
                // SAFETY: no descriptors are passed; it waits for a moment.
                unsafe { libc::poll(std::ptr::null_mut(), 0, 20) };
            }
        }
        assert!(frames >= 40_000 && bytes > 0, "{frames} frames, {bytes} bytes");
    });
}

/// Sends one datagram. Nobody listens at the other end, so a call may report the refusal of an
/// earlier one instead of sending.
fn send(socket: &UdpSocket, bytes: &[u8]) {
    while socket.send(bytes).is_err() {}
}

/// Number, name and state of each interface, as `ip` tells it.
fn kernel_links() -> Vec<(u64, String, bool)> {
    let told = Command::new("ip").args(["-j", "link"]).output().unwrap();
    let rows: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let mut links: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let up = row["flags"].as_array().unwrap().iter().any(|flag| flag == "UP");
            let name = row["ifname"].as_str().unwrap().to_owned();
            (row["ifindex"].as_u64().unwrap(), name, up)
        })
        .collect();
    links.sort();
    links
}

fn our_links(links: &Links) -> Vec<(u64, String, bool)> {
    let mut found: Vec<_> = links
        .iter()
        .map(|(_, link)| (u64::from(link.ifindex), link.name.to_string(), link.up))
        .collect();
    found.sort();
    found
}

/// Sends a whole frame by an interface of the current namespace.
fn send_raw(name: &str, frame: &[u8]) {
    let c_name = std::ffi::CString::new(name).unwrap();
    // SAFETY: a C string; no other pointers are passed.
    let (ifindex, fd) = unsafe {
        (
            libc::if_nametoindex(c_name.as_ptr()),
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0),
        )
    };
    assert!(ifindex > 0 && fd >= 0, "{name}: {}", io::Error::last_os_error());
    // SAFETY: just made, nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: integers, for which zero is valid.
    let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    to.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
    to.sll_ifindex = i32::try_from(ifindex).unwrap();
    to.sll_halen = 6;
    let to_len = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap();
    // SAFETY: both pointers come with the lengths of what they point at.
    let sent = unsafe {
        let to = (&raw const to).cast();
        libc::sendto(fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, to, to_len)
    };
    assert_eq!(usize::try_from(sent).ok(), Some(frame.len()), "{}", io::Error::last_os_error());
}
