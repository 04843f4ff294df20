//! `portolan capture`: live packets of a running agent, into a file or a pipe. Blocking, as a
//! command is: what comes from the Unix socket is written on in whole blocks, so that a file is
//! readable however it ends.

use std::io::{self, ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::core::packets::parameters::{NAMES, octets};
use crate::sys::signals;
use crate::text::plain;
use crate::wire;
use crate::wire::pcapng::cut::{Cutter, Form, Kind, losses, remark};

use super::args::Capture;
use super::exit;
use super::sink::{Rotation, Sink};

/// Octets that are read at once; the largest block fits many times.
const BUFFER: usize = 1024 * 1024;

/// The longest first line of an answer.
const MAX_LINE: usize = 64 * 1024;

/// How long the agent may take to open the sockets, and to say why not.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at the clock and at Ctrl-C.
const LOOK: Duration = Duration::from_millis(250);

/// How long the end of the stream is waited for after Ctrl-C.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs the sub-command and returns the exit code.
#[must_use]
pub fn run(capture: &Capture) -> i32 {
    match prepare(capture).and_then(|(request, sink)| stream(capture, &request, sink)) {
        Ok(code) => code,
        Err(Failed { code, text }) => {
            complain!("portolan: {text}");
            code
        }
    }
}

/// Why it ends: what to say, and the exit code.
struct Failed {
    code: i32,
    text: String,
}

fn failed<T>(code: i32, text: impl Into<String>) -> Result<T, Failed> {
    Err(Failed { code, text: text.into() })
}

/// What to ask for, and where it goes.
fn prepare(capture: &Capture) -> Result<(Value, Sink), Failed> {
    let file = match capture.write.as_deref() {
        None if io::stdout().is_terminal() => {
            return failed(
                exit::USAGE,
                "packets are no text: write them to a file (-w FILE), or see them at once with\n  \
                 portolan capture -i br-lan -w - | wireshark -k -i -\n  \
                 ssh root@router portolan capture -i br-lan -w - | wireshark -k -i -",
            );
        }
        None | Some("-") => None,
        Some(file) => Some(file.to_owned()),
    };
    let usage = |text: &str| failed(exit::USAGE, text);
    let Some(rotation) = rotation(capture) else {
        return usage("-C needs a size such as 10 (megabytes) or 512k, -G seconds, -W a number");
    };
    if rotation.is_some() && file.is_none() {
        return usage("-C, -G and -W need a file to write to: -w FILE");
    }
    let sink = Sink::open(file.as_deref(), rotation).map_err(|error| Failed {
        code: exit::FAILED,
        text: format!("{}: {error}", capture.write.as_deref().unwrap_or("standard output")),
    })?;
    Ok((request(capture)?, sink))
}

fn rotation(capture: &Capture) -> Option<Option<Rotation>> {
    if capture.size.is_none() && capture.seconds.is_none() && capture.files.is_none() {
        return Some(None);
    }
    let size = match capture.size.as_deref() {
        None => None,
        // A bare number counts millions, as for tcpdump.
        Some(text) => Some(match text.parse::<u64>() {
            Ok(millions) => millions.checked_mul(1_000_000)?,
            Err(_) => octets(text)?,
        }),
    };
    let seconds = capture.seconds.as_deref().map(str::parse).transpose().ok()?;
    let files = capture.files.as_deref().map(str::parse).transpose().ok()?;
    let none = size == Some(0) || seconds == Some(0) || files == Some(0);
    let every = seconds.map(Duration::from_secs);
    (!none && (size.is_some() || every.is_some())).then_some(Some(Rotation { size, every, files }))
}

/// The request to the agent.
fn request(capture: &Capture) -> Result<Value, Failed> {
    let mut request = json!({"command": "packets"});
    let mut add = |name: &str, value: Option<Value>| {
        if let (Some(members), Some(value)) = (request.as_object_mut(), value) {
            members.insert(name.to_owned(), value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(Value::String);
    let names = &capture.interface;
    add("nif", (!names.is_empty()).then(|| Value::from(names.join("/"))));
    // `flow=7` can be no filter: it is the option of that name.
    let (words, filter): (Vec<_>, Vec<_>) = capture.filter.iter().partition(|word| named(word));
    for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
        add(name, Some(value.into()));
    }
    let filter: Vec<&str> = filter.into_iter().map(String::as_str).collect();
    let filter = filter.join(" ");
    add("filter", (!filter.is_empty()).then_some(Value::String(filter)));
    for (name, value) in [
        ("snaplen", &capture.snaplen),
        ("count", &capture.count),
        ("bytes", &capture.bytes),
        ("duration", &capture.duration),
        ("since", &capture.since),
        ("flow", &capture.flow),
        ("host", &capture.host),
        ("app", &capture.app),
        ("device", &capture.device),
        ("gremlin", &capture.gremlin),
        ("sample", &capture.sample),
        ("maxrate", &capture.maxrate),
        ("format", &capture.format),
    ] {
        add(name, text(value));
    }
    add("payload", capture.headers.then(|| "headers".into()));
    add("chaste", capture.no_promiscuous.then(|| true.into()));
    if let Some(namespace) = &capture.netns {
        let (name, value) = match place(namespace) {
            Ok(place) => place,
            Err(error) => return failed(exit::USAGE, format!("{namespace}: {error}")),
        };
        add(name, Some(value));
    }
    let connection = std::env::var("SSH_CONNECTION").ok().filter(|_| !capture.itself);
    add("exclude", connection.as_deref().and_then(login).map(Value::String));
    Ok(request)
}

/// Whether a word is the name of a parameter with its value.
fn named(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| NAMES.contains(&name))
}

/// What a namespace is called in a request: a path or the name of a file leads to its number, a
/// number is that of a process or of the namespace, anything else the name of a container.
fn place(text: &str) -> io::Result<(&'static str, Value)> {
    let inode = |path: &Path| std::fs::metadata(path).map(|file| Value::from(file.ino()));
    if text.contains('/') {
        return inode(Path::new(text)).map(|inode| ("netns", inode));
    }
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let is_process = Path::new("/proc").join(text).exists();
        return Ok((if is_process { "pid" } else { "netns" }, Value::from(text)));
    }
    let file = ["/run/netns", "/var/run/netns"].map(|folder| Path::new(folder).join(text));
    let found = file.iter().find_map(|path| inode(path).ok()).filter(|_| !text.is_empty());
    Ok(found.map_or_else(|| ("name", Value::from(text)), |inode| ("netns", inode)))
}

/// The filter for the connection of an SSH login, from what its server tells of it: addresses and
/// ports of the client and of itself.
fn login(connection: &str) -> Option<String> {
    let mut words = connection.split(' ');
    let mut end = || {
        let address = words.next()?.split('%').next()?;
        let address: std::net::IpAddr = address.parse().ok()?;
        let port: u16 = words.next()?.parse().ok()?;
        Some((address.to_canonical(), port))
    };
    let ((client, from), (server, to)) = (end()?, end()?);
    Some(format!("tcp and host {client} and port {from} and host {server} and port {to}"))
}

/// Takes the stream until its end.
fn stream(capture: &Capture, request: &Value, mut sink: Sink) -> Result<i32, Failed> {
    let mut stream = connect(&capture.socket)?;
    let lost = |error: io::Error| Failed {
        code: exit::UNREACHABLE,
        text: format!("no answer on {}: {error}", capture.socket),
    };
    signals::catch_interrupt();
    let (id, form, mut buffer, mut have) = ask(&mut stream, request).map_err(lost)??;
    stream.set_read_timeout(Some(LOOK)).map_err(lost)?;
    let mut tally = Tally::new(form);
    let people = io::stderr().is_terminal() && !capture.quiet;
    let mut told = Instant::now();
    let mut leaving: Option<Instant> = None;
    loop {
        let whole = match tally.take(buffer.get(..have).unwrap_or_default(), &mut sink) {
            Ok(whole) => whole,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                // Whoever reads has seen enough.
                return Ok(exit::OK);
            }
            Err(error) => {
                return failed(exit::FAILED, format!("{}: {error}", sink.name()));
            }
        };
        buffer.copy_within(whole..have, 0);
        have = have.saturating_sub(whole);
        if signals::interrupted() && leaving.is_none() {
            leaving = Some(Instant::now());
            // The last counters still come.
            let _ = stop(&capture.socket, id);
        }
        if leaving.is_some_and(|since| since.elapsed() > FAREWELL) {
            break;
        }
        if people && told.elapsed() >= Duration::from_secs(1) {
            told = Instant::now();
            let _ = write!(io::stderr(), "\r{}   ", tally.text());
        }
        match stream.read(buffer.get_mut(have..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(count) => have = have.saturating_add(count),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                _ => break,
            },
        }
    }
    if let Err(error) = sink.finish() {
        return failed(exit::FAILED, format!("{}: {error}", sink.name()));
    }
    if !capture.quiet {
        let reason = if tally.reason.is_empty() { "" } else { ": " };
        let start = if people { "\r" } else { "" };
        complain!("{start}{}{reason}{}", tally.text(), tally.reason);
    }
    Ok(if leaving.is_some() { exit::INTERRUPTED } else { exit::OK })
}

fn connect(socket: &str) -> Result<UnixStream, Failed> {
    UnixStream::connect(socket).or_else(|error| match error.kind() {
        ErrorKind::PermissionDenied => {
            failed(exit::DENIED, format!("{socket}: {error}: run as root, or as its group"))
        }
        _ => failed(
            exit::UNREACHABLE,
            format!("no agent on {socket}: {error}; is it running? (--socket names another)"),
        ),
    })
}

/// What the answer says, and what came behind it.
type Answer = (u64, Form, Vec<u8>, usize);

fn ask(stream: &mut UnixStream, request: &Value) -> io::Result<Result<Answer, Failed>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all((wire::json::text(request) + "\n").as_bytes())?;
    let mut buffer = vec![0; BUFFER];
    let mut have = 0_usize;
    let end = loop {
        let line = buffer.get(..have).unwrap_or_default();
        if let Some(end) = line.iter().position(|b| *b == b'\n') {
            break end;
        }
        let room = buffer.get_mut(have..).filter(|_| have < MAX_LINE).unwrap_or_default();
        match stream.read(room) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => have = have.saturating_add(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                if signals::interrupted() {
                    return Ok(failed(exit::INTERRUPTED, "interrupted"));
                }
            }
            Err(error) => return Err(error),
        }
    };
    let answer: Value = serde_json::from_slice(buffer.get(..end).unwrap_or_default())?;
    let id = answer.pointer("/data/id").and_then(Value::as_u64);
    let Some(id) = id.filter(|_| answer.get("code").and_then(Value::as_u64) == Some(100)) else {
        let message = answer.get("message").and_then(Value::as_str);
        let message = message.unwrap_or("the agent's answer cannot be read");
        return Ok(failed(exit::FAILED, plain(message)));
    };
    let form = match answer.pointer("/data/format").and_then(Value::as_str) {
        Some("pcap") => Form::Pcap,
        _ => Form::Pcapng,
    };
    let behind = end.saturating_add(1);
    buffer.copy_within(behind..have, 0);
    Ok(Ok((id, form, buffer, have.saturating_sub(behind))))
}

/// Asks the agent to end the session.
fn stop(socket: &str, id: u64) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(LOOK))?;
    stream.set_read_timeout(Some(LOOK))?;
    stream.write_all(format!("{{\"command\":\"stop-packets\",\"data\":{id}}}\n").as_bytes())?;
    let _ = stream.read(&mut [0; 256])?;
    Ok(())
}

/// What has come.
struct Tally {
    cutter: Cutter,
    packets: u64,
    octets: u64,
    /// Packets lost, by interface.
    lost: Vec<(u32, u64)>,
    /// Why it was over, as the stream says last.
    reason: String,
}

impl Tally {
    const fn new(form: Form) -> Self {
        Self {
            cutter: Cutter::new(form),
            packets: 0,
            octets: 0,
            lost: Vec::new(),
            reason: String::new(),
        }
    }

    /// Counts the whole pieces at the start of `bytes`, and writes them; says how many octets
    /// they are.
    fn take(&mut self, bytes: &[u8], sink: &mut Sink) -> io::Result<usize> {
        let (mut start, mut end) = (0_usize, 0_usize);
        loop {
            let rest = bytes.get(end..).unwrap_or_default();
            let piece = self.cutter.next(rest).map_err(|_| ErrorKind::InvalidData)?;
            let Some(piece) = piece else { break };
            let block = rest.get(..piece.length).unwrap_or_default();
            match piece.kind {
                Kind::Header => sink.learn(block),
                Kind::Packet => self.packets = self.packets.saturating_add(1),
                Kind::Other => self.note(block),
            }
            let waits = end.saturating_sub(start);
            if piece.kind == Kind::Packet && sink.is_full(waits, piece.length) {
                sink.put(bytes.get(start..end).unwrap_or_default())?;
                sink.rotate()?;
                start = end;
            }
            end = end.saturating_add(piece.length);
        }
        sink.put(bytes.get(start..end).unwrap_or_default())?;
        self.octets = self.octets.saturating_add(end as u64);
        Ok(end)
    }

    fn note(&mut self, block: &[u8]) {
        if let Some(reason) = remark(block) {
            self.reason = plain(reason);
        }
        let Some((interface, lost)) = losses(block) else { return };
        match self.lost.iter_mut().find(|(known, _)| *known == interface) {
            Some((_, known)) => *known = lost,
            None => self.lost.push((interface, lost)),
        }
    }

    fn text(&self) -> String {
        let lost = self.lost.iter().fold(0_u64, |sum, (_, lost)| sum.saturating_add(*lost));
        format!("{} packets, {} bytes, {lost} dropped", self.packets, self.octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_that_shows_the_packets_is_left_out() {
        let text = login("192.0.2.7 51000 192.0.2.1 22").unwrap();
        assert_eq!(text, "tcp and host 192.0.2.7 and port 51000 and host 192.0.2.1 and port 22");
        let text = login("fe80::2%br-lan 5 fe80::1%br-lan 22").unwrap();
        assert!(text.contains("host fe80::2 and port 5 "), "{text}");
        for wrong in ["", "x", "192.0.2.7 51000", "192.0.2.7 x 192.0.2.1 22"] {
            assert_eq!(login(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_word_with_the_name_of_a_parameter_is_no_filter() {
        for (word, expected) in
            [("flow=7", true), ("host=nas.lan", true), ("tcp[13]=2", false), ("port 53", false)]
        {
            assert_eq!(named(word), expected, "{word}");
        }
    }

    #[test]
    fn a_namespace_is_a_path_a_process_a_number_or_a_name() {
        let own = std::fs::metadata("/proc/self/ns/net").unwrap().ino();
        assert_eq!(place("/proc/self/ns/net").unwrap(), ("netns", Value::from(own)));
        assert_eq!(place("1").unwrap().0, "pid");
        assert_eq!(place("4026531840").unwrap().0, "netns");
        assert_eq!(place("no-such-container").unwrap().0, "name");
        assert!(place("/no/such/file").is_err());
    }
}
