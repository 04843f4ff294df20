//! `portolan query`, against a pretended agent and a running one.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "support/process.rs"]
mod process;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};

use process::{Lab, PROGRAM};

/// What the command prints when the agent answers so, and what the agent was asked.
fn against(answer: &'static str, arguments: &[&str]) -> (Output, String) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        BufReader::new(&stream).read_line(&mut asked).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        // Closes once the client has closed its side.
        let _ = stream.read(&mut [0; 16]);
        asked
    });
    let mut command = Command::new(PROGRAM);
    command.args(["query", "--socket", socket.to_str().unwrap()]).args(arguments);
    let output = command.output().unwrap();
    (output, server.join().unwrap())
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn programs_get_the_bare_answer() {
    let answer = "{\"code\":100,\"data\":[{\"ID\":\"b\",\"A\":1}],\"message\":\"Ok.\"}\n";
    let (output, asked) = against(answer, &["G.V().Has('Name', \"x\")"]);
    assert_eq!(text(&output.stdout), "[{\"ID\":\"b\",\"A\":1}]\n");
    assert_eq!(output.status.code(), Some(0));
    let expected = "{\"command\":\"gremlin\",\"data\":\"G.V().Has('Name', \\\"x\\\")\"}\n";
    assert_eq!(asked, expected);
    let (output, _) = against(answer, &["--pretty", "G.V()"]);
    assert!(text(&output.stdout).starts_with("[\n    {\n        \"ID\": \"b\",\n"));
}

#[test]
fn a_refusal_is_one_line_and_exit_code_1() {
    let answer = "{\"code\":501,\"message\":\"Expected step function, got: Foo at position 2\"}\n";
    let (output, _) = against(answer, &["G.Foo()"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "portolan: Expected step function, got: Foo at position 2\n";
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("", expected));
}

#[test]
fn nobody_to_ask_and_nothing_to_ask_have_codes_of_their_own() {
    let query = |arguments: &[&str]| {
        let output = Command::new(PROGRAM).arg("query").args(arguments).output().unwrap();
        (output.status.code(), text(&output.stderr).to_owned())
    };
    let (code, error) = query(&["--socket", "/nowhere/agent.sock", "G"]);
    assert_eq!(code, Some(3));
    assert!(error.contains("/nowhere/agent.sock"), "{error}");
    assert_eq!(query(&[]).0, Some(2));
}

#[test]
fn a_running_agent_answers() {
    let Some(lab) = Lab::new() else { return };
    let _agent = lab.start(&["-i", "va"]);
    let socket = lab.socket();
    let query = |text: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["query", "--socket", socket.to_str().unwrap(), text]).output().unwrap()
    };
    let output = query("G.V().Has('Name','nobody').Count()");
    assert_eq!((text(&output.stdout), output.status.code()), ("0\n", Some(0)));
    let output = query("G.V('nobody')");
    let expected = "portolan: Node 'nobody' does not exist at position 2\n";
    assert_eq!((text(&output.stderr), output.status.code()), (expected, Some(1)));
}
