//! The built program in network namespaces of the test's own: started, asked, measured and ended.
//! Whatever is made here goes with the value that stands for it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "each test uses its part of it, and a panic is how a test fails"
)]

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_portolan");

pub const PATIENCE: Duration = Duration::from_secs(20);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Two namespaces, a veth pair between them (`va` 10.99.0.1 here, `vb` 10.99.0.2 there) and an
/// empty folder. No IPv6 and no ARP, so that nothing is on the link but what a test sends.
pub struct Lab {
    pub here: String,
    pub there: String,
    pub dir: tempfile::TempDir,
}

impl Lab {
    pub fn new() -> Option<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |side| format!("pte{}n{number}{side}", std::process::id());
        let dir = tempfile::tempdir().unwrap();
        let lab = Self { here: name('a'), there: name('b'), dir };
        let (a, b) = (&lab.here, &lab.there);
        for namespace in [a, b] {
            let mut add = Command::new("ip");
            let add = add.args(["netns", "add", namespace]).stderr(Stdio::null()).status();
            if !add.is_ok_and(|status| status.success()) {
                eprintln!("skipped: `ip netns add` is not permitted here");
                return None;
            }
            within(namespace, || {
                for which in ["all", "default"] {
                    let path = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
                    let _ = fs::write(path, "1");
                }
            });
        }
        ip(&format!("-n {a} link set lo up"));
        ip(&format!("-n {a} link add va type veth peer name vb netns {b}"));
        ip(&format!("-n {a} link set va address 02:00:00:00:00:0a"));
        ip(&format!("-n {b} link set vb address 02:00:00:00:00:0b"));
        ip(&format!("-n {a} addr add 10.99.0.1/24 brd + dev va"));
        ip(&format!("-n {b} addr add 10.99.0.2/24 dev vb"));
        ip(&format!("-n {a} link set va up"));
        ip(&format!("-n {b} link set vb up"));
        ip(&format!(
            "-n {a} neigh replace 10.99.0.2 lladdr 02:00:00:00:00:0b nud permanent dev va"
        ));
        ip(&format!(
            "-n {b} neigh replace 10.99.0.1 lladdr 02:00:00:00:00:0a nud permanent dev vb"
        ));
        Some(lab)
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("run/agent.sock")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The program as this lab starts it: own socket, own state, no configuration but what
    /// `options` say.
    pub fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["--socket", self.socket().to_str().unwrap()]);
        command.args(["--state-dir", self.state().to_str().unwrap()]);
        if !options.contains(&"-c") {
            command.args(["-c", "/dev/null"]);
        }
        command.args(options).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts an agent and waits until it answers.
    #[track_caller]
    pub fn start(&self, options: &[&str]) -> Agent {
        let log = self.dir.path().join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let mut command = self.command(options);
        command.stderr(log);
        let mut agent = self.spawn(command);
        agent.wait_for_answer();
        agent
    }

    /// Runs a command inside the first namespace.
    pub fn spawn(&self, mut command: Command) -> Agent {
        let child = within(&self.here, move || command.spawn().unwrap());
        Agent { child, socket: self.socket(), namespace: self.here.clone() }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        until(
            || self.log().contains(text).then_some(()),
            || format!("{text:?} in the log:\n{}", self.log()),
        );
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

/// A running agent.
pub struct Agent {
    pub child: Child,
    socket: PathBuf,
    namespace: String,
}

impl Agent {
    #[track_caller]
    pub fn wait_for_answer(&mut self) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(code) = self.child.try_wait().unwrap() {
                panic!("it ended with {code}");
            }
            if let Ok(mut client) = Client::open(&self.socket)
                && client.try_ask(r#"{"command":"status"}"#).is_ok()
            {
                return;
            }
            assert!(Instant::now() < end, "no answer");
            pause();
        }
    }

    #[track_caller]
    pub fn client(&self) -> Client {
        Client::open(&self.socket).unwrap()
    }

    /// The whole reply to one request on a connection of its own.
    #[track_caller]
    pub fn ask(&self, request: &str) -> Value {
        self.client().ask(request)
    }

    /// The data of a reply that must be fine.
    #[track_caller]
    pub fn data(&self, request: &str) -> Value {
        let mut reply = self.ask(request);
        assert_eq!(reply["code"], 100, "{request}: {reply}");
        reply["data"].take()
    }

    #[track_caller]
    pub fn status(&self) -> Value {
        self.data(r#"{"command":"status"}"#)
    }

    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        let status = self.status();
        status["counters"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {status}"))
    }

    #[track_caller]
    pub fn flows(&self, filter: &str) -> Vec<Value> {
        let request = format!("{{\"command\":\"list-flows\"{filter}}}");
        self.data(&request)["flows"].as_array().unwrap().clone()
    }

    /// Waits until an interface is captured: the agent answers before that.
    #[track_caller]
    pub fn wait_for_capture(&self, name: &str) {
        until(
            || self.interface(name).filter(|row| row["capturing"] == true).map(drop),
            || format!("capture of {name}"),
        );
    }

    #[track_caller]
    pub fn interface(&self, name: &str) -> Option<Value> {
        let data = self.data(r#"{"command":"interfaces"}"#);
        let rows = data["interfaces"].as_array().unwrap();
        rows.iter().find(|row| row["dev"] == name).cloned()
    }

    /// Datagrams that one request to the management port earns, to its `end` or stand-alone
    /// error.
    #[track_caller]
    pub fn udp(&self, request: &str) -> Vec<Value> {
        within(&self.namespace, || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect("127.0.0.1:5644").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket.send(request.as_bytes()).unwrap();
            let mut replies: Vec<Value> = Vec::new();
            let mut buffer = [0; 2_048];
            loop {
                let count = socket.recv(&mut buffer).unwrap();
                let reply: Value = serde_json::from_slice(&buffer[..count]).unwrap();
                let kind = reply["_type"].clone();
                let alone = replies.is_empty() && kind == "error";
                replies.push(reply);
                if alone || kind == "end" || kind == "subscribed" {
                    return replies;
                }
            }
        })
    }

    /// Times of single `status` requests, each on a new connection: median and maximum.
    #[track_caller]
    pub fn response(&self, count: usize) -> (Duration, Duration) {
        let mut times: Vec<Duration> = (0..count)
            .map(|_| {
                let start = Instant::now();
                self.status();
                start.elapsed()
            })
            .collect();
        times.sort();
        (times[count / 2], times[count - 1])
    }

    #[track_caller]
    pub fn assert_responsive(&self) {
        let (median, most) = self.response(20);
        assert!(median < Duration::from_millis(100), "median {median:?}");
        assert!(most < Duration::from_secs(1), "at most {most:?}");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid())).unwrap()
    }

    /// A figure of `/proc/PID/status`.
    pub fn figure(&self, name: &str) -> u64 {
        let text = self.proc("status");
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').split_whitespace().next().unwrap().parse().unwrap()
    }

    pub fn rss_kib(&self) -> u64 {
        self.figure("VmRSS")
    }

    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Processor time used so far.
    pub fn cpu(&self) -> Duration {
        let text = self.proc("stat");
        let (_, rest) = text.rsplit_once(')').unwrap();
        let fields: Vec<u64> = rest.split(' ').filter_map(|f| f.parse().ok()).collect();
        // utime and stime; the state letter before is no number.
        Duration::from_millis((fields[10] + fields[11]) * 10)
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: no pointers are passed; the process is our own child.
        let done = unsafe { libc::kill(i32::try_from(self.pid()).unwrap(), signal) };
        assert_eq!(done, 0);
    }

    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let end = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "still running after {patience:?}");
            pause();
        }
    }

    /// Ends it as an init script would.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(libc::SIGTERM);
        let status = self.wait(Duration::from_secs(2));
        assert_eq!(status.code(), Some(0));
        assert!(!self.socket.exists(), "the socket is still there");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the Unix socket.
pub struct Client {
    pub stream: BufReader<UnixStream>,
}

impl Client {
    pub fn open(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    pub fn line(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        serde_json::from_str(&line).map_err(io::Error::other)
    }

    pub fn try_ask(&mut self, request: &str) -> io::Result<Value> {
        self.send(request)?;
        self.line()
    }

    #[track_caller]
    pub fn ask(&mut self, request: &str) -> Value {
        self.try_ask(request).unwrap()
    }

    /// Closes the sending side and reads all that still comes.
    pub fn finish(mut self) -> String {
        self.stream.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = String::new();
        let _ = self.stream.read_to_string(&mut rest);
        rest
    }
}

/// Runs on a thread inside a namespace; processes started there are in it too.
pub fn within<T: Send>(namespace: &str, f: impl FnOnce() -> T + Send) -> T {
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
pub fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(done.success(), "ip {arguments}");
}

/// Waits until there is something; `what` says what was missing.
#[track_caller]
pub fn until<T>(mut found: impl FnMut() -> Option<T>, what: impl Fn() -> String) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "it never came: {}", what());
        pause();
    }
}

/// A moment between two looks at something that cannot be waited for.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}

/// Whole frames by one interface of the namespace in which it was opened.
pub struct Raw {
    fd: OwnedFd,
    to: libc::sockaddr_ll,
}

impl Raw {
    pub fn open(namespace: &str, name: &str) -> Self {
        within(namespace, || {
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
            Self { fd, to }
        })
    }

    /// Sends one frame; tries again while the queue of the device is full.
    pub fn send(&self, frame: &[u8]) {
        let length = u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap();
        loop {
            // SAFETY: both pointers come with the lengths of what they point at.
            let sent = unsafe {
                let to = (&raw const self.to).cast();
                libc::sendto(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, to, length)
            };
            if usize::try_from(sent) == Ok(frame.len()) {
                return;
            }
            let error = io::Error::last_os_error();
            assert_eq!(error.raw_os_error(), Some(libc::ENOBUFS), "{error}");
        }
    }
}

/// An Ethernet frame to everybody with an IPv4 packet of protocol `proto` in it.
pub fn frame(proto: u8, src: [u8; 4], dst: [u8; 4], body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 9, 8, 0];
    let total = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    frame.extend([0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, proto, 0, 0]);
    frame.extend(src.into_iter().chain(dst));
    frame.extend(body);
    frame
}

pub fn udp(sport: u16, dport: u16, octets: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for word in [sport, dport, u16::try_from(8 + octets).unwrap(), 0] {
        body.extend(word.to_be_bytes());
    }
    body.resize(8 + octets, 7);
    body
}

pub fn syn(sport: u16, dport: u16, seq: u32) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(sport.to_be_bytes());
    body.extend(dport.to_be_bytes());
    body.extend(seq.to_be_bytes());
    body.extend([0, 0, 0, 0, 0x50, 0x02, 0x20, 0, 0, 0, 0, 0]);
    body
}

/// Whether a program can be started.
pub fn has(program: &str) -> bool {
    let mut which = Command::new("sh");
    let found = which.args(["-c", &format!("command -v {program} >/dev/null")]).status();
    found.is_ok_and(|status| status.success())
}
