//! `portolan ctl`: requests to the management port and their answers on standard output, for
//! machines whose `nc` knows no UDP. A request with a tag, on the command line or on standard
//! input, is shown as `nc -u` would show it; one without a tag as rows alone. Blocking, as a
//! command is; the agent has no part of it.

use std::io::{self, BufRead, ErrorKind, IsTerminal as _, Read as _, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::text::Quoted;
use crate::wire::json;

use super::args::Ctl;
use super::exit;

/// Seconds of silence after which an answer is given up, unless said otherwise.
const PATIENCE: u64 = 2;

/// The longest line of standard input that is sent; the agent takes 80 octets.
const MAX_LINE: u64 = 1_024;

/// Runs the sub-command and returns the exit code.
#[must_use]
pub fn run(ctl: &Ctl) -> i32 {
    let input = io::stdin();
    // Somebody at a terminal is told what to type instead of being waited for.
    let lines = (!input.is_terminal()).then(|| input.lock());
    match ask(ctl, lines, &mut io::stdout().lock()) {
        Ok(code) => code,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => exit::OK,
        Err(error) => {
            complain!(
                "portolan: no answer from {} port {}: {error}; is the agent running there?",
                ctl.address,
                ctl.port
            );
            exit::UNREACHABLE
        }
    }
}

/// A request as it is sent.
#[derive(Debug, PartialEq)]
struct Line {
    text: Vec<u8>,
    /// Its answer is printed as it comes.
    raw: bool,
}

fn ask(ctl: &Ctl, lines: Option<impl BufRead>, out: &mut impl Write) -> io::Result<i32> {
    let key = match (&ctl.key, &ctl.key_file) {
        (Some(key), _) => Some(key.clone()),
        (None, Some(path)) => match std::fs::read_to_string(path) {
            Ok(text) => Some(text.lines().next().unwrap_or_default().trim_end().to_owned()),
            Err(error) => {
                complain!("portolan: key file {path}: {error}");
                return Ok(exit::USAGE);
            }
        },
        (None, None) => None,
    };
    let Some(server) = address(&ctl.address, ctl.port) else {
        complain!("portolan: {} is no IP address", Quoted(&ctl.address));
        return Ok(exit::USAGE);
    };
    let seconds = ctl.wait.unwrap_or(PATIENCE);
    if seconds == 0 {
        complain!("portolan: -w: at least 1 second");
        return Ok(exit::USAGE);
    }
    let key = key.as_deref();
    let mut session = Session {
        socket: connect(server)?,
        patience: Duration::from_secs(seconds),
        // Events come when they come, unless a time was given.
        between_events: ctl.wait.map(Duration::from_secs),
        out,
    };
    if !ctl.request.is_empty() {
        return match request(&ctl.request, key, ctl.raw) {
            Some(line) => session.exchange(&line),
            None => Ok(usage()),
        };
    }
    let Some(mut lines) = lines else { return Ok(usage()) };
    let mut code = None;
    let mut text = Vec::new();
    loop {
        text.clear();
        let count = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut text)?;
        if count == 0 {
            return Ok(code.unwrap_or_else(usage));
        }
        if !text.ends_with(b"\n") && text.len() as u64 == MAX_LINE {
            complain!("portolan: a request has at most 80 octets: use the Unix socket");
            return Ok(exit::USAGE);
        }
        let line = Line { text: keyed(&text, key), raw: true };
        code = code.max(Some(session.exchange(&line)?));
    }
}

fn usage() -> i32 {
    complain!("portolan: what to ask? r METHOD, w METHOD or s TOPIC (try portolan ctl r help)");
    exit::USAGE
}

/// The request that the words of a command line make; `None` if they make none.
fn request(words: &[String], key: Option<&str>, raw: bool) -> Option<Line> {
    let (first, rest) = words.split_first()?;
    let is_kind = ["r", "w", "s"].contains(&first.as_str());
    let (kind, method) = match rest.first() {
        // Methods begin with a letter, so this is a tag: the line stands there whole.
        Some(tag)
            if is_kind && (tag.contains(':') || tag.starts_with(|c: char| c.is_ascii_digit())) =>
        {
            let line = format!("{}\n", words.join(" "));
            return Some(Line { text: keyed(line.as_bytes(), key), raw: true });
        }
        Some(_) if is_kind => (first.as_str(), rest),
        // `portolan ctl status` is `portolan ctl r status`.
        _ if first.len() > 1 => ("r", words),
        _ => return None,
    };
    let options = key.map_or_else(|| "1".to_owned(), |key| format!("1:1:{key}"));
    Some(Line { text: format!("{kind} {options} {}\n", method.join(" ")).into_bytes(), raw })
}

/// A line with the key in it, if there is one and the line has none.
fn keyed(line: &[u8], key: Option<&str>) -> Vec<u8> {
    let Some(key) = key else { return line.to_vec() };
    let kind = matches!(line.split_first_chunk(), Some(([b'r' | b'w' | b's', b' '], _)));
    let blank = |b: &u8| matches!(b, b' ' | b'\r' | b'\n');
    let start = 2_usize;
    let rest = line.get(start..).unwrap_or_default();
    let tag = rest.split(blank).next().unwrap_or_default();
    if !kind || tag.is_empty() || tag.contains(&b':') {
        return line.to_vec();
    }
    let (head, tail) = line.split_at(start.saturating_add(tag.len()).min(line.len()));
    [head, b":1:", key.as_bytes(), tail].concat()
}

/// An address with its port. A link-local one may name its interface: `fe80::1%br-lan`.
fn address(text: &str, port: u16) -> Option<SocketAddr> {
    if text == "localhost" {
        return Some((Ipv4Addr::LOCALHOST, port).into());
    }
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let Some((ip, zone)) = text.split_once('%') else {
        let ip: IpAddr = text.parse().ok()?;
        return Some((ip, port).into());
    };
    let ip: Ipv6Addr = ip.parse().ok()?;
    let scope = zone.parse().ok().or_else(|| {
        let path = format!("/sys/class/net/{zone}/ifindex");
        let number = (!zone.contains('/')).then(|| std::fs::read_to_string(path).ok())??;
        number.trim().parse().ok()
    });
    Some(SocketAddrV6::new(ip, port, 0, scope?).into())
}

fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    Ok(socket)
}

struct Session<'a, W> {
    socket: UdpSocket,
    patience: Duration,
    between_events: Option<Duration>,
    out: &'a mut W,
}

impl<W: Write> Session<'_, W> {
    /// Sends a request and prints its answer to the end.
    fn exchange(&mut self, line: &Line) -> io::Result<i32> {
        self.socket.set_read_timeout(Some(self.patience))?;
        self.socket.send(&line.text)?;
        let subscribes = line.text.starts_with(b"s ");
        let mut buffer = [0; 2_048];
        let (mut code, mut begun, mut subscribed) = (exit::OK, false, false);
        loop {
            let count = match self.socket.recv(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    if subscribed {
                        return Ok(code);
                    }
                    return Err(io::Error::new(ErrorKind::TimedOut, "timed out"));
                }
                Err(error) => return Err(error),
            };
            let datagram = buffer.get(..count).unwrap_or_default();
            if line.raw {
                self.out.write_all(datagram)?;
                self.out.flush()?;
            }
            let Ok(Value::Object(mut reply)) = serde_json::from_slice(datagram) else {
                // Plain text is one datagram, and the whole answer.
                if begun || datagram.starts_with(b"{") {
                    continue;
                }
                return Ok(code);
            };
            let _ = reply.remove("_tag");
            let kind = reply.remove("_type");
            match kind.as_ref().and_then(Value::as_str).unwrap_or_default() {
                "begin" => begun = true,
                "error" => {
                    complain_of(&reply);
                    code = exit::FAILED;
                    // Between begin and end an error is not the last word.
                    if !begun {
                        return Ok(code);
                    }
                }
                "end" => {
                    if let Some(next) = reply.get("next").filter(|_| !line.raw) {
                        complain!("portolan: more rows: add after={}", json::text(next));
                    }
                    return Ok(code);
                }
                "subscribed" | "subscribe" if subscribes => {
                    subscribed = true;
                    self.socket.set_read_timeout(self.between_events)?;
                }
                "row" | "event" if !line.raw => {
                    let text = json::for_people(&json::text(&Value::Object(reply)));
                    writeln!(self.out, "{text}")?;
                    self.out.flush()?;
                }
                "unsubscribed" if subscribed => {
                    complain!("portolan: another client took the subscription");
                    return Ok(exit::FAILED);
                }
                _ => {}
            }
        }
    }
}

fn complain_of(reply: &Map<String, Value>) {
    let text = |name: &str| reply.get(name).and_then(Value::as_str).unwrap_or_default();
    let (error, detail) = (text("error"), text("detail"));
    complain!("portolan: {error}{}{detail}", if detail.is_empty() { "" } else { ": " });
    explain(error);
}

fn explain(error: &str) {
    let hint = match error {
        "badauth" => "give the key with -k KEY or --key-file FILE",
        "unknowncmd" => "portolan ctl r help lists the methods",
        "unknowntopic" => "portolan ctl r help.events lists the topics",
        "readonly" => "this method can only be read: use r",
        "writeonly" => "this method changes something: use w and the key",
        "toolong" => "a request has at most 80 octets: use the Unix socket for longer ones",
        _ => return,
    };
    complain!("portolan: {hint}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers one request with these datagrams.
    fn serve(replies: &'static [&'static str]) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut buffer = [0; 256];
            let (_, from) = socket.recv_from(&mut buffer).unwrap();
            for reply in replies {
                socket.send_to(reply.as_bytes(), from).unwrap();
            }
        });
        port
    }

    const NOTHING: Option<io::Empty> = None;

    fn ctl(port: u16, request: &[&str]) -> Ctl {
        Ctl {
            port,
            address: "127.0.0.1".into(),
            key: None,
            key_file: None,
            raw: false,
            wait: None,
            request: request.iter().map(|w| (*w).to_owned()).collect(),
        }
    }

    #[test]
    fn rows_are_printed_without_tag_and_type() {
        let port = serve(&[
            "{\"_tag\":\"1\",\"_type\":\"begin\",\"cmd\":\"x\"}\n",
            "{\"_tag\":\"1\",\"_type\":\"row\",\"a\":1}\n",
            "{\"_tag\":\"1\",\"_type\":\"end\",\"cmd\":\"x\"}\n",
        ]);
        let mut out = Vec::new();
        assert_eq!(ask(&ctl(port, &["r", "x"]), NOTHING, &mut out).unwrap(), exit::OK);
        assert_eq!(String::from_utf8(out).unwrap(), "{\"a\":1}\n");
    }

    #[test]
    fn an_error_of_the_agent_is_a_failure() {
        let port = serve(&["{\"_tag\":\"1\",\"_type\":\"error\",\"error\":\"badauth\"}\n"]);
        assert_eq!(
            ask(&ctl(port, &["w", "stop"]), NOTHING, &mut Vec::new()).unwrap(),
            exit::FAILED
        );
    }

    #[test]
    fn nobody_there_is_said() {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(run(&ctl(port, &["status"])), exit::UNREACHABLE);
        assert_eq!(run(&ctl(port, &["r"])), exit::USAGE);
    }

    #[test]
    fn a_request_with_a_tag_is_sent_as_it_stands() {
        let line = |words: &[&str], key| {
            let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
            let line = request(&words, key, false)?;
            Some((String::from_utf8(line.text).unwrap(), line.raw))
        };
        let is = |text: &str, raw| Some((text.to_owned(), raw));
        assert_eq!(line(&["r", "1", "help"], None), is("r 1 help\n", true));
        assert_eq!(line(&["w", "x:1:n2n", "stop"], None), is("w x:1:n2n stop\n", true));
        assert_eq!(line(&["w", "2", "verbose", "3"], Some("k")), is("w 2:1:k verbose 3\n", true));
        assert_eq!(line(&["r", "flows", "n=1"], None), is("r 1 flows n=1\n", false));
        assert_eq!(line(&["status"], Some("k")), is("r 1:1:k status\n", false));
        assert_eq!(line(&["r"], None), None);
    }

    #[test]
    fn a_key_goes_into_lines_that_have_none() {
        for (line, with) in [
            ("w 1 verbose 3\n", "w 1:1:k verbose 3\n"),
            ("s 1 flow", "s 1:1:k flow"),
            ("r 7", "r 7:1:k"),
            ("w 1:1:other stop\n", "w 1:1:other stop\n"),
            ("r 1: help", "r 1: help"),
            ("help\n", "help\n"),
            ("\n", "\n"),
            ("r ", "r "),
            ("", ""),
        ] {
            assert_eq!(keyed(line.as_bytes(), Some("k")), with.as_bytes(), "{line:?}");
            assert_eq!(keyed(line.as_bytes(), None), line.as_bytes());
        }
    }

    #[test]
    fn addresses_of_both_families_and_of_a_link_are_understood() {
        let shown = |text| address(text, 7).map(|address| address.to_string());
        assert_eq!(shown("192.0.2.1").as_deref(), Some("192.0.2.1:7"));
        assert_eq!(shown("localhost").as_deref(), Some("127.0.0.1:7"));
        assert_eq!(shown("::1").as_deref(), Some("[::1]:7"));
        assert_eq!(shown("[2001:db8::1]").as_deref(), Some("[2001:db8::1]:7"));
        assert_eq!(shown("fe80::1%lo"), shown("fe80::1%1"));
        for wrong in
            ["", "nowhere", "1.2.3", "fe80::1%no-such", "fe80::1%../lo", "[::1", "127.1%lo"]
        {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
