//! Live packets over HTTP: the WebSocket that Packetflix's clients open, and a download for
//! everything else. Both wait until the session is open, so that whatever is wrong is an HTTP
//! status before anything is promised, then hand on the stream as it comes.

use std::net::{IpAddr, SocketAddr};

use super::answer::MARK;
use super::endpoint;
use super::guard;
use super::head::{Method, Request};
use super::login;
use super::response::{self, Body, End, LAST_CHUNK, Response};
use super::socket::{Part, Received, Socket, code};
use crate::api::tap::{Dry, Tap};
use crate::api::{Outbox, Progress};
use crate::config::Settings;
use crate::config::access::Role;
use crate::core::Agent;
use crate::core::access::Identity;
use crate::core::packets::parameters::{self, Fallback, Wish};
use crate::core::packets::{self, Ending, Format, Order, Refused, State, Why};
use crate::time::Tick;

/// Frames of a client that are looked at in one call.
const TURN: usize = 64;

/// Microseconds until a session must be open or refused.
const OPEN_TIME: u64 = 20_000_000;

/// Header fields that replace parameters of the same meaning: proxies have lost queries.
const FIELDS: [(&str, &str); 4] = [
    ("clustershark-container", "container"),
    ("clustershark-nif", "nif"),
    ("clustershark-filter", "filter"),
    ("clustershark-chaste", "chaste"),
];

/// In which form a client wants packets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Door {
    /// Messages of a WebSocket.
    Socket,
    /// The body of an answer, in this format unless another is asked for.
    Download(Format),
}

/// The door that a request is for.
#[must_use]
pub(super) fn find(request: &Request) -> Option<Door> {
    match request.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["capture"] => Some(Door::Socket),
        ["capture.pcapng"] => Some(Door::Download(Format::Pcapng)),
        ["capture.pcap"] => Some(Door::Download(Format::Pcap)),
        _ => None,
    }
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Begun {
    /// An answer that is complete.
    Answer(Response),
    /// The head of an answer, and nothing behind it.
    Head(Vec<u8>),
    /// A session.
    Watch(Watch),
}

/// Begins what a request asks for.
pub(super) fn begin(request: &Request, door: Door, agent: &mut Agent, now: Tick) -> Begun {
    match check(request, door, agent) {
        Err(answer) => Begun::Answer(answer),
        Ok((wish, head)) if request.method == Method::Head => {
            let _ = wish;
            let mut bytes = Vec::new();
            response::head(&mut bytes, &head, end_of(request), false, agent.clock().wall);
            Begun::Head(bytes)
        }
        Ok((wish, head)) => {
            let stays = wish.0.order.limits.micros.is_some();
            match agent.order_packets(wish.0, request.remote.to_string(), &wish.1.caller()) {
                Err(refused) => Begun::Answer(refusal(&refused)),
                Ok(id) => Begun::Watch(Watch {
                    tap: Tap::new(id),
                    door,
                    stage: Stage::Waiting(Box::new((request.clone(), head))),
                    since: now,
                    stays,
                }),
            }
        }
    }
}

/// Holds a request against all that can be known before the session begins. What comes back is
/// the order, who puts it, and the head of the answer.
fn check(
    request: &Request,
    door: Door,
    agent: &mut Agent,
) -> Result<((Wish, Identity), Response), Response> {
    let allowed = match door {
        Door::Socket => {
            if request.method != Method::Get {
                return Err(Response::text(405, "Method Not Allowed").with("Allow", "GET, OPTIONS"));
            }
            check_upgrade(request)?
        }
        Door::Download(_) => {
            if !matches!(request.method, Method::Get | Method::Head) {
                let answer = Response::text(405, "Method Not Allowed");
                return Err(answer.with("Allow", "GET, HEAD, OPTIONS"));
            }
            if guard::is_foreign(request, agent) {
                return Err(Response::text(403, "Forbidden: another origin"));
            }
            Response::empty(200)
        }
    };
    let identity = login::identify(request, door == Door::Socket, agent).map_err(login::refusal)?;
    if identity.role < Role::Capture {
        let text = format!("'{}' has no 'capture' permission: packets need it", identity.name);
        return Err(Response::text(403, &text));
    }
    let fallback = if door == Door::Socket { Fallback::None } else { Fallback::Own };
    let mut pairs = ordered(request);
    if let Door::Download(Format::Pcap) = door {
        // Behind an explicit one: the first counts.
        pairs.push(("format", "pcap"));
    }
    let mut wish = parameters::parse(&pairs, fallback).map_err(|refused| refusal(&refused))?;
    if wish.order.recording.is_some() {
        let text = "file: recordings are ordered on the Unix socket or the management port";
        return Err(Response::text(400, text));
    }
    if !wish.itself {
        leave_out(&mut wish.order, request.remote, request.local, agent.settings());
    }
    let head = match door {
        Door::Socket => allowed,
        Door::Download(_) => download(&wish, agent),
    };
    Ok(((wish, identity), head))
}

/// Whether this opens a WebSocket; the answer that does so.
fn check_upgrade(request: &Request) -> Result<Response, Response> {
    let upgrades = request.lists("upgrade", "websocket") && request.lists("connection", "upgrade");
    let refused = |text: &str| {
        Err(Response::text(400, text)
            .with("Upgrade", "websocket")
            .with("Sec-WebSocket-Version", "13"))
    };
    if !upgrades || !request.is_11 || request.has_body() {
        let host = request.field("host").unwrap_or("ROUTER:5001");
        return refused(&format!(
            "This is a capture service: please speak WebSocket with it, as in \
             ws://{host}/capture?netns=INODE&nif=eth0, or fetch \
             http://{host}/capture.pcapng?nif=eth0 (curl -sN URL | wireshark -k -i -)"
        ));
    }
    if request.field("sec-websocket-version") != Some("13") {
        return refused("Bad Request: only version 13 of the WebSocket protocol is spoken");
    }
    let Some(accept) = endpoint::accepted(request) else {
        return refused("Bad Request: Sec-WebSocket-Key must be 16 octets in base64");
    };
    Ok(Response::new(101, "", Body::Full(Vec::new()))
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade")
        .with("Sec-WebSocket-Accept", accept))
}

/// The parameters of a request: those of the query, unless a header field says otherwise.
fn ordered(request: &Request) -> Vec<(&str, &str)> {
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for (field, name) in FIELDS {
        pairs.extend(request.all(field).map(|value| (name, value)));
    }
    let replaced = pairs.clone();
    let of_query = request.query.iter().map(|(name, value)| (&**name, &**value));
    pairs.extend(of_query.filter(|(name, _)| !replaced.iter().any(|(known, _)| known == name)));
    pairs
}

/// Leaves the stream itself out of it: the connection wherever it passes, and in the agent's own
/// namespace all that passes through its doors, since sessions must not feed on each other.
pub(in crate::api) fn leave_out(
    order: &mut Order,
    remote: SocketAddr,
    local: SocketAddr,
    settings: &Settings,
) {
    order.exclude_here.push(doors(local, settings));
    let (from, to) = (plain(remote.ip()), plain(local.ip()));
    if !from.is_loopback() {
        let (far, near) = (remote.port(), local.port());
        let text = format!("tcp and host {from} and host {to} and port {far} and port {near}");
        order.exclude.push(text);
    }
}

/// The filter that matches what passes through the doors of this agent at an address.
fn doors(local: SocketAddr, settings: &Settings) -> String {
    let mut ports = vec![local.port()];
    let streams = settings.pcap_over_ip.iter().map(|door| &door.address);
    for door in settings.http.iter().chain(streams) {
        let here = door.ip().is_unspecified() || door.ip().to_canonical() == local.ip();
        if here && door.port() != 0 && !ports.contains(&door.port()) {
            ports.push(door.port());
        }
    }
    let side = |side: &str| {
        let ports: Vec<String> = ports.iter().map(|port| format!("{side} port {port}")).collect();
        format!("({side} host {} and ({}))", plain(local.ip()), ports.join(" or "))
    };
    format!("tcp and ({} or {})", side("src"), side("dst"))
}

const fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The head of a download.
fn download(wish: &Wish, agent: &Agent) -> Response {
    let (kind, ending) = match wish.order.format {
        Format::Pcap => ("application/vnd.tcpdump.pcap", "pcap"),
        Format::Pcapng => ("application/x-pcapng", "pcapng"),
    };
    let target = wish.order.targets.first();
    let interface = target.and_then(|target| match &target.interfaces[..] {
        [one] => Some(one.as_str()),
        _ => Some(target.name.as_str()).filter(|name| !name.is_empty()),
    });
    let name = format!("portolan-{}-{}", agent.facts.hostname, interface.unwrap_or("any"));
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
    let name: String = name.chars().take(100).map(safe).collect();
    Response::new(200, kind, Body::Full(Vec::new()))
        .with("Content-Disposition", format!("attachment; filename=\"{name}.{ending}\""))
}

/// How the end of a download is told.
const fn end_of(request: &Request) -> End {
    if request.is_11 { End::Chunked } else { End::Close }
}

/// What is said of an order that is refused.
fn refusal(refused: &Refused) -> Response {
    let status = match refused.why {
        Why::Bad => 400,
        Why::Busy | Why::System => 503,
        Why::Denied => 403,
        Why::NotFound => 404,
        Why::Stale => 409,
    };
    let answer = Response::text(status, &refused.text);
    if status == 503 { answer.with("Retry-After", "5") } else { answer }
}

/// A client of live packets.
#[derive(Debug)]
pub(super) struct Watch {
    tap: Tap,
    door: Door,
    stage: Stage,
    /// When it was ordered.
    since: Tick,
    /// It ends by itself, so a client that only listens may close its side.
    stays: bool,
}

#[derive(Debug)]
enum Stage {
    /// In chunks, or just so.
    Download(bool),
    Over,
    /// Boxed with room to spare: few are there, and most connections are none.
    Socket(Box<Live>),
    /// The request, and the head of the answer to it.
    Waiting(Box<(Request, Response)>),
}

/// An open WebSocket.
#[derive(Debug)]
struct Live {
    socket: Socket,
    /// The socket may hold frames that were not looked at.
    stopped: bool,
}

/// What a call of [`Watch::produce`] comes to.
#[derive(Debug)]
pub(super) enum Turn {
    /// As with any connection.
    Goes(Progress),
    /// There is no stream: the answer to the request.
    Refused(Box<Request>, Response),
}

impl Watch {
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        agent: &mut Agent,
        out: &mut Outbox,
        now: Tick,
    ) -> usize {
        match &mut self.stage {
            // What a client says before the answer waits for it.
            Stage::Waiting(_) if self.door == Door::Socket => 0,
            Stage::Socket(live) => {
                let mut rest = bytes;
                live.listen(&mut rest, out, now);
                if live.socket.is_over() {
                    agent.packets.close(self.tap.id());
                }
                bytes.len().saturating_sub(rest.len())
            }
            Stage::Waiting(_) | Stage::Download(_) | Stage::Over => bytes.len(),
        }
    }

    /// The client closed its side. It is taken for gone, as there is no telling: unless the
    /// download ends by itself.
    pub(super) fn finish(&mut self, agent: &mut Agent) {
        if self.door == Door::Socket || !self.stays {
            self.stage = Stage::Over;
            agent.packets.close(self.tap.id());
        }
    }

    pub(super) fn produce(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) -> Turn {
        if let Stage::Waiting(_) = self.stage
            && let Some(turn) = self.open(agent, out, now)
        {
            return turn;
        }
        if let Stage::Socket(live) = &mut self.stage {
            if live.stopped {
                live.listen(&mut &[][..], out, now);
            }
            if live.socket.take_bad() {
                let refused = &mut agent.counters.http_refused_parse;
                *refused = refused.saturating_add(1);
            }
            if live.socket.is_over() {
                self.stage = Stage::Over;
                agent.packets.close(self.tap.id());
            }
        }
        Turn::Goes(self.hand_on(agent, out))
    }

    pub(super) fn expire(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) {
        match &mut self.stage {
            Stage::Socket(live) => {
                let interval = u64::from(agent.settings().packet_ping).saturating_mul(1_000_000);
                let soon = interval.saturating_sub(500_000);
                live.socket.keep_alive(soon, interval.saturating_mul(2), out, now);
            }
            Stage::Waiting(_) if now.since(self.since) > OPEN_TIME => {
                let refused =
                    Refused::new(Why::System, "the namespace could not be opened in time");
                agent.packets.refuse(self.tap.id(), refused, &mut agent.counters);
            }
            Stage::Waiting(_) | Stage::Download(_) | Stage::Over => {}
        }
    }

    pub(super) fn closed(&self, agent: &mut Agent) {
        agent.packets.close(self.tap.id());
    }

    pub(super) fn has_news(&self, agent: &Agent) -> bool {
        match &self.stage {
            Stage::Waiting(_) => agent.packets.state(self.tap.id()) != Some(&State::Opening),
            _ => agent.packets.has_news(self.tap.id()),
        }
    }

    pub(super) fn held(&self) -> usize {
        let more = match &self.stage {
            Stage::Socket(live) => live.socket.held(),
            Stage::Waiting(waiting) => {
                // Target and fields, each as sent and taken apart.
                let (request, _) = &**waiting;
                request.raw_query.len().saturating_mul(4)
            }
            Stage::Download(_) | Stage::Over => 0,
        };
        self.tap.held().saturating_add(more)
    }

    /// Answers the request once it is known how; `None` if the stream may begin.
    fn open(&mut self, agent: &mut Agent, out: &mut Outbox, now: Tick) -> Option<Turn> {
        let refused = match agent.packets.state(self.tap.id()) {
            Some(State::Opening) => return Some(Turn::Goes(Progress::Idle)),
            Some(State::Open | State::Over(_)) => None,
            Some(State::Refused(refused)) => Some(refused.clone()),
            None => Some(Refused::new(Why::System, "the session is gone")),
        };
        let Stage::Waiting(waiting) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return None;
        };
        let (request, head) = *waiting;
        if let Some(refused) = refused {
            agent.packets.close(self.tap.id());
            return Some(Turn::Refused(Box::new(request), refusal(&refused)));
        }
        let wall = agent.clock().wall;
        let end = match self.door {
            Door::Socket => End::None,
            Door::Download(_) => end_of(&request),
        };
        if !out.push(|bytes| response::head(bytes, &head, end, false, wall)) {
            self.stage = Stage::Waiting(Box::new((request, head)));
            return Some(Turn::Goes(Progress::More));
        }
        self.stage = match self.door {
            Door::Socket => {
                let socket = Socket::new(now).with_farewell("ciao");
                Stage::Socket(Box::new(Live { socket, stopped: false }))
            }
            Door::Download(_) => Stage::Download(end == End::Chunked),
        };
        None
    }

    /// Hands on what there is of the stream, as far as there is room.
    fn hand_on(&mut self, agent: &mut Agent, out: &mut Outbox) -> Progress {
        let Self { tap, stage, .. } = self;
        let dry = match stage {
            Stage::Socket(live) => {
                let whole = Part { first: true, last: true, binary: true };
                tap.flow(agent, out, MARK, |piece, out| live.socket.send(piece, whole, out))
            }
            Stage::Download(true) => tap.flow(agent, out, MARK, |piece, out| {
                out.push(|bytes| response::chunk(bytes, piece))
            }),
            Stage::Download(false) => tap.flow(agent, out, MARK, |piece, out| {
                out.push(|bytes| bytes.extend_from_slice(piece))
            }),
            Stage::Over | Stage::Waiting(_) => return Progress::Done,
        };
        match dry {
            Dry::Full => Progress::More,
            Dry::Waits => self.idle(),
            Dry::Over(end) => {
                let unknown = || packets::End::new(Ending::Failed, "the session is gone");
                self.end(&end.unwrap_or_else(unknown), agent, out);
                Progress::Done
            }
        }
    }

    fn idle(&self) -> Progress {
        match &self.stage {
            Stage::Socket(live) if live.stopped => Progress::More,
            _ => Progress::Idle,
        }
    }

    /// Tells the end of the stream.
    fn end(&mut self, end: &packets::End, agent: &mut Agent, out: &mut Outbox) {
        let code = match end.ending {
            Ending::Complete => code::NORMAL,
            Ending::Failed => code::INTERNAL,
            Ending::Gone => code::AWAY,
            Ending::Stopped if agent.ending().is_some() => code::AWAY,
            Ending::Stopped => code::NORMAL,
        };
        match &mut self.stage {
            Stage::Socket(live) => live.socket.close(code, &end.reason, out),
            // A stream that broke off has no last chunk, so that the client knows.
            Stage::Download(true) if end.ending != Ending::Failed => {
                out.push(|bytes| bytes.extend_from_slice(LAST_CHUNK));
            }
            _ => {}
        }
        self.stage = Stage::Over;
        agent.packets.close(self.tap.id());
    }
}

impl Live {
    /// Passes over what the client says, and answers what the protocol wants answered.
    fn listen(&mut self, input: &mut &[u8], out: &mut Outbox, now: Tick) {
        self.stopped = false;
        for _ in 0..TURN {
            match self.socket.receive(input, out, now) {
                Received::Closed | Received::Nothing => return,
                Received::Message(_) => {}
            }
        }
        self.stopped = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Expression;
    use crate::filter::names::BuiltIn;

    #[test]
    fn the_doors_of_an_address_make_a_filter() {
        let mut settings = Settings::default();
        settings.http.push("[::]:80".parse().unwrap());
        let text = doors(([127, 0, 0, 1], 5_001).into(), &settings);
        assert_eq!(
            text,
            "tcp and ((src host 127.0.0.1 and (src port 5001 or src port 8082 or src port 80)) \
             or (dst host 127.0.0.1 and (dst port 5001 or dst port 8082 or dst port 80)))"
        );
        assert!(Expression::parse(&text, &BuiltIn).is_ok());
        let text = doors("[fe80::1]:81".parse().unwrap(), &settings);
        assert!(text.contains("src host fe80::1 and (src port 81 or src port 80)"), "{text}");
        assert!(Expression::parse(&text, &BuiltIn).is_ok());
    }
}
