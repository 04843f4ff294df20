//! The built agent asked for packets of the past while they go on: each comes once. Skipped aloud
//! where namespaces are not permitted.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

#[path = "support/process.rs"]
mod process;

use process::{Agent, Lab, PROGRAM, ip, until, within};

/// The datagrams of a stream: its packets that end in a number behind a mark.
fn numbers(stream: &[u8]) -> Vec<u32> {
    const MARK: &[u8] = b"the past ";
    let places = stream.windows(MARK.len()).enumerate().filter(|(_, w)| *w == MARK);
    places
        .map(|(at, _)| {
            let number = stream.get(at..).and_then(|rest| rest.get(MARK.len()..)?.first_chunk());
            u32::from_be_bytes(*number.unwrap())
        })
        .collect()
}

fn flow_id(agent: &Agent) -> Option<u64> {
    let flows = agent.flows("");
    flows.iter().find(|flow| flow.to_string().contains("7777"))?.get("id")?.as_u64()
}

#[test]
fn a_flow_is_told_from_its_past_on_without_a_gap() {
    let Some(lab) = Lab::new() else { return };
    let options = ["-i", "va", "--http", "off", "--set", "lookback_kib=4096"];
    let agent = lab.start(&options);
    ip(&format!("-n {} neigh replace 10.99.0.1 lladdr {} dev vb", lab.there, mac(&lab)));
    agent.wait_for_capture("va");
    let (over, sent) = (AtomicBool::new(false), AtomicU32::new(0));
    let stream = std::thread::scope(|scope| {
        let (over, sent, there) = (&over, &sent, &lab.there);
        scope.spawn(move || {
            within(there, || {
                let socket = UdpSocket::bind("10.99.0.2:7777").unwrap();
                while !over.load(Ordering::Relaxed) {
                    let number = sent.load(Ordering::Relaxed);
                    let text = [b"the past ", &number.to_be_bytes()[..], &[0; 300]].concat();
                    // Nobody listens there, which the kernel may say.
                    let _ = socket.send_to(&text, "10.99.0.1:9");
                    sent.store(number.saturating_add(1), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_micros(500));
                }
            });
        });
        let enough = |count: u32| {
            until(
                || (sent.load(Ordering::Relaxed) >= count).then_some(()),
                || format!("{count} datagrams"),
            );
        };
        enough(500);
        let id = until(|| flow_id(&agent), || "the flow".to_owned()).to_string();
        let mut command = Command::new(PROGRAM);
        command.args(["capture", "-q", "--since", "30s", "--duration", "1s", "--flow", &id]);
        command.args(["-w", "-", "--socket", lab.socket().to_str().unwrap()]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        over.store(true, Ordering::Relaxed);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    });
    let seen = numbers(&stream);
    let expected: Vec<u32> = (0..u32::try_from(seen.len()).unwrap()).collect();
    assert!(seen.len() > 1_000, "{} packets", seen.len());
    assert_eq!(seen, expected);
    agent.stop();
}

/// The hardware address of `va`.
fn mac(lab: &Lab) -> String {
    let path = "/sys/class/net/va/address";
    let output = Command::new("ip").args(["netns", "exec", &lab.here, "cat", path]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}
