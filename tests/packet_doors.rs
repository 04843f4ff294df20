//! Live packets on the Unix socket, by plain TCP and on the management port, without sockets:
//! the session is opened and fed by the test.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod support;

use portolan::api::stream::Stream;
use portolan::api::{Connection as _, Outbox, Progress};
use portolan::core::Agent;
use portolan::core::agent::{Item, Reply};
use portolan::core::auth::{Caller, Right};
use portolan::core::command::{Arguments, Command, Failure, Verb};
use portolan::core::packets::{End, Ending, NewPort, PortId, Refused, SessionId, Why};
use portolan::time::Tick;
use portolan::wire::raw::RawFrame;
use serde_json::Value;

use support::{Client, Flash, blocks};

const ADMIN: Caller = Caller { right: Right::Admin };

fn only(agent: &Agent) -> SessionId {
    let mut all = agent.packets.iter();
    let (id, _) = all.next().expect("no session");
    assert!(all.next().is_none());
    id
}

fn open(agent: &mut Agent) -> (SessionId, PortId) {
    let (id, clock) = (only(agent), agent.clock());
    let port = NewPort { name: "a0".to_owned(), ifindex: 3, hardware: 1, ..NewPort::default() };
    let port = agent.packets.add_port(id, port, &clock).unwrap();
    assert!(agent.packets.opened(id, &clock));
    (id, port)
}

fn feed(agent: &mut Agent, (id, port): (SessionId, PortId), count: usize) {
    let clock = agent.clock();
    let raw = RawFrame { wall: clock.wall, data: &[7; 60], wire_len: 60, ..RawFrame::EMPTY };
    for _ in 0..count {
        agent.session_frames(id, port, &[raw], &clock);
    }
}

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_line_then_the_stream_then_the_end() {
    let mut client = Client::new(Flash::default().agent());
    let request = r#"{"command":"packets","nif":["br-lan","wan"],"data":{"filter":"port 53",
        "count":2,"chaste":true,"self":false}}"#;
    assert_eq!(client.ask(request), "", "nothing is said before the session is open");
    let id = only(&client.agent);
    let order = client.agent.packets.get(id).unwrap().order().clone();
    assert_eq!((&*order.filter, order.promiscuous), ("port 53", false));
    assert_eq!(order.targets[0].interfaces, ["br-lan", "wan"]);
    assert_eq!(order.limits.packets, Some(2));
    let port = open(&mut client.agent);
    client.settle();
    // A client that will say no more still gets everything.
    client.finish();
    assert!(!client.closed);
    feed(&mut client.agent, port, 5);
    client.settle();
    let answered = std::mem::take(&mut client.answered);
    let line = answered.iter().position(|b| *b == b'\n').unwrap();
    let (line, stream) = answered.split_at(line + 1);
    let answer = json(std::str::from_utf8(line).unwrap());
    assert_eq!((&answer["code"], &answer["data"]["format"]), (&100.into(), &"pcapng".into()));
    assert_eq!(answer["data"]["id"], id.number());
    assert_eq!(blocks(stream), [0x0a0d_0d0a, 1, 6, 6, 5]);
    assert!(client.closed, "the connection ends with the stream");
}

#[test]
fn what_is_refused_is_answered_and_the_next_request_is_taken() {
    for (request, code) in [
        (r#"{"command":"packets","filter":"tcp prot 80"}"#, 501),
        (r#"{"command":"packets","count":"x"}"#, 501),
        (r#"{"command":"packets","container":{"netns":"x"}}"#, 501),
        (r#"{"command":"packets","netns":5,"container":{"netns":5}}"#, 501),
        (r#"{"command":"packets","file":"x.pcapng"}"#, 500),
    ] {
        let mut client = Client::new(Flash::default().agent());
        let answer = json(&client.ask(request));
        assert_eq!(answer["code"], code, "{request}: {answer}");
        assert!(client.agent.packets.iter().next().is_none(), "{request}");
        assert_eq!(json(&client.ask(r#"{"command":"info"}"#))["code"], 100);
    }
    let mut client = Client::new(Flash::default().agent());
    client.ask(r#"{"command":"packets","name":"web-1"}"#);
    let id = only(&client.agent);
    let refused = Refused::new(Why::NotFound, "no such name");
    let mut counters = client.agent.counters.clone();
    client.agent.packets.refuse(id, refused, &mut counters);
    client.settle();
    let answer = json(&client.take());
    assert_eq!((&answer["code"], &answer["message"]), (&500.into(), &"no such name".into()));
    assert_eq!(json(&client.ask(r#"{"command":"info"}"#))["code"], 100);
}

#[test]
fn requests_behind_an_order_wait_for_its_answer() {
    let mut client = Client::new(Flash::default().agent());
    let two = r#"{"command":"packets"}{"command":"info"}"#;
    assert_eq!(client.ask(two), "");
    let id = only(&client.agent);
    let mut counters = client.agent.counters.clone();
    client.agent.packets.refuse(id, Refused::new(Why::Bad, "no"), &mut counters);
    client.settle();
    let text = client.take();
    let codes: Vec<Value> = text.lines().map(|line| json(line)["code"].clone()).collect();
    assert_eq!(codes, [501, 100]);
}

#[test]
fn sessions_are_listed_and_stopped() {
    let mut client = Client::new(Flash::default().agent());
    client.ask(r#"{"command":"packets","container":{"name":"web-1"},"filter":"tcp"}"#);
    let port = open(&mut client.agent);
    feed(&mut client.agent, port, 3);
    client.settle();
    client.answered.clear();
    let agent = std::mem::replace(&mut client.agent, Flash::default().agent());
    let mut other = Client::new(agent);
    let listed = json(&other.ask(r#"{"command":"packet-sessions"}"#));
    let row = &listed["data"]["rows"][0];
    let id = row["id"].as_u64().unwrap();
    assert_eq!(id, port.0.number());
    assert_eq!((&row["targets"], &row["devs"]), (&"web-1".into(), &"a0".into()));
    assert_eq!((&row["pkts"], &row["filter"]), (&3.into(), &"tcp".into()));
    assert_eq!((&row["by"], &row["state"]), (&"unix".into(), &"open".into()));
    assert_eq!(json(&other.ask(r#"{"command":"stop-packets","data":77}"#))["code"], 500);
    let stop = format!("{{\"command\":\"stop-packets\",\"data\":{id}}}");
    assert_eq!(json(&other.ask(&stop))["code"], 100);
    client.agent = other.agent;
    client.settle();
    assert_eq!(blocks(&client.answered), [5], "its last word still comes");
    assert!(client.closed);
}

#[test]
fn a_client_that_leaves_takes_its_session_along() {
    let mut client = Client::new(Flash::default().agent());
    client.ask(r#"{"command":"packets"}"#);
    open(&mut client.agent);
    client.unix.closed(&mut client.agent);
    assert!(client.agent.packets.iter().next().is_none());
}

fn session(text: &str) -> Result<Command, Failure> {
    Command::build(Verb::Session, Arguments { text, write: true, ..Arguments::default() })
}

#[test]
fn the_management_port_starts_and_stops_recordings() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = vec![
        pair("nif", "br-lan"),
        pair("file", "x.pcapng"),
        pair("count", "5"),
        pair("filter", "tcp[13] & 2 != 0 and x=y"),
    ];
    let text = "start br-lan tcp[13] & 2 != 0 file=x.pcapng and x=y count=5";
    assert_eq!(session(text), Ok(Command::SessionStart { pairs: expected }));
    assert_eq!(session("stop 256"), Ok(Command::SessionStop { id: 256 }));
    for (wrong, name) in [
        ("", "action"),
        ("start", "dev"),
        ("start a0 tcp", "file"),
        ("stop", "id"),
        ("stop x", "id"),
    ] {
        assert!(
            matches!(session(wrong), Err(Failure::BadArgument { name: n, .. }) if n == name),
            "{wrong}"
        );
    }
    let mut agent = Flash::default().agent();
    let command = session("start a0 file=x").unwrap();
    let read = Caller { right: Right::Read };
    assert_eq!(agent.run(command.clone(), &read).unwrap_err(), Failure::Denied);
    let text = agent.run(command, &ADMIN).unwrap_err().to_string();
    assert!(text.contains("packet_dir"), "it says what to set: {text}");
    let page = portolan::core::command::Page { after: 0, rows: 5 };
    let Ok(Reply::Rows(mut rows)) = agent.run(Command::Sessions { page }, &read) else { panic!() };
    let mut into: Vec<Item> = Vec::new();
    assert!(!agent.rows(&mut rows, 5, &mut into) && into.is_empty());
}

#[test]
fn a_plain_connection_gets_the_stream_at_once() {
    let mut agent = Flash::default().agent();
    let mut out = Outbox::new(256 * 1024);
    let (from, to) = (([127, 0, 0, 1], 40_000).into(), ([127, 0, 0, 1], 57_012).into());
    let mut stream = Stream::new("nif=a0&filter=port 53".to_owned(), from, to);
    assert_eq!(stream.produce(&mut agent, &mut out, Tick(0)), Progress::Idle);
    let order = agent.packets.get(only(&agent)).unwrap().order().clone();
    assert_eq!((&*order.filter, &*order.by), ("port 53", "127.0.0.1:40000"));
    assert!(order.exclude_here[0].contains("src port 57012"), "{order:?}");
    let port = open(&mut agent);
    feed(&mut agent, port, 2);
    // What it says is passed over.
    assert_eq!(stream.receive(b"GET /", &mut agent, &mut out, Tick(0)), Ok(5));
    assert_eq!(stream.produce(&mut agent, &mut out, Tick(0)), Progress::Idle);
    let clock = agent.clock();
    agent.packets.end(port.0, End::new(Ending::Gone, "no interface is left"), &clock);
    assert_eq!(stream.produce(&mut agent, &mut out, Tick(0)), Progress::Done);
    assert_eq!(blocks(out.pending()), [0x0a0d_0d0a, 1, 6, 6, 5]);
    stream.closed(&mut agent);
    assert!(agent.packets.iter().next().is_none());
    let mut wrong = Stream::new("count=x".to_owned(), from, to);
    assert_eq!(wrong.produce(&mut agent, &mut out, Tick(0)), Progress::Done);
}

#[test]
fn the_command_says_what_is_wrong_in_one_line() {
    for (words, code, expected) in [
        (&["capture", "--socket", "/nowhere/x.sock", "-w", "-"][..], 3, "is it running?"),
        (&["capture", "-w", "-", "-C", "10"], 2, "-w FILE"),
        (&["capture", "-w", "/nowhere/x", "--socket", "/nowhere/x.sock"], 1, "/nowhere/x: "),
        (&["capture", "-w", "-", "--netns", "/nowhere/x"], 2, "/nowhere/x: "),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portolan"));
        let output = command.args(words).output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        assert!(text.contains(expected), "{words:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{words:?}: {text}");
        assert!(output.stdout.is_empty(), "{words:?}");
    }
}
