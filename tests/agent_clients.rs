//! Slow, greedy and numerous clients of the built agent: whoever asks properly is answered soon,
//! and what the others took is given back. Skipped aloud where namespaces are not permitted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::io::{BufRead as _, Write as _};
use std::net::UdpSocket;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

#[path = "support/process.rs"]
mod process;

use process::{Agent, Client, Lab, has, until, within};

const STATUS: &str = r#"{"command":"status"}"#;

fn publish(agent: &Agent, socket: &UdpSocket, count: usize) {
    for n in 0..count {
        socket.send(format!("r p post.test {n:060}").as_bytes()).unwrap();
        if n % 50 == 0 {
            // Not faster than it is taken.
            assert_eq!(agent.ask(STATUS)["code"], 100);
        }
    }
}

#[test]
fn five_hundred_bad_clients_do_not_hold_up_a_good_one() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    let (before, descriptors) = (agent.rss_kib(), agent.descriptors());
    let mut clients: Vec<Client> = Vec::new();
    for n in 0..500 {
        let mut client = agent.client();
        let _ = match n % 5 {
            0 => client.send(r#"{"command":"add-group-address","group":"g","data":["10.0.0"#),
            1 => client.send(r#"{"command":"subscribe"}"#),
            2 => client.send("{\"a\":"),
            _ => Ok(()),
        };
        clients.push(client);
    }
    agent.assert_responsive();
    let socket = within(&lab.here, || UdpSocket::bind("127.0.0.1:0").unwrap());
    socket.connect("127.0.0.1:5644").unwrap();
    publish(&agent, &socket, 2_000);
    agent.assert_responsive();
    let grown = agent.rss_kib().saturating_sub(before);
    eprintln!("500 clients: RSS grew {grown} KiB");
    assert!(grown <= 16 * 1_024, "{grown} KiB");
    assert!(agent.descriptors() <= descriptors + 257, "no more clients than are allowed");
    drop(clients);
    until(
        || (agent.descriptors() <= descriptors).then_some(()),
        || format!("{descriptors} descriptors, there are {}", agent.descriptors()),
    );
    assert_eq!(agent.status()["subscribers"], 0);
    agent.stop();
}

#[test]
fn a_pipeline_of_a_hundred_thousand_is_answered_in_order_beside_others() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    let count = 100_000_u32;
    let mut client = agent.client();
    let mut writer = client.stream.get_ref().try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let mut batch = Vec::new();
        for n in 0..count {
            // Each answer can be told from the one before it.
            let command = match n % 4 {
                0 => r#"{"command":"nosuch"}"#,
                1 => r#"{"command":"list-address-groups"}"#,
                2 => r#"{"command":"lookup-group-address","data":"10.0.0.1"}"#,
                _ => r#"{"command":"verbose"}"#,
            };
            batch.extend_from_slice(command.as_bytes());
            if batch.len() > 32_768 {
                writer.write_all(&batch).unwrap();
                batch.clear();
            }
        }
        writer.write_all(&batch).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let start = Instant::now();
    let mut line = String::new();
    let mut asked = Vec::new();
    for n in 0..count {
        line.clear();
        assert!(client.stream.read_line(&mut line).unwrap() > 0, "it ended at {n}");
        let expected = match n % 4 {
            0 => line.starts_with("{\"code\":501"),
            1 => line.contains("\"groups\":["),
            2 => line.contains("\"matches\":{"),
            _ => line.contains("traceLevel"),
        };
        assert!(expected, "answer {n} is {line}");
        if n % 5_000 == 0 {
            let before = Instant::now();
            agent.status();
            asked.push(before.elapsed());
        }
    }
    line.clear();
    assert_eq!(client.stream.read_line(&mut line).unwrap(), 0, "and then it closes");
    sender.join().unwrap();
    asked.sort();
    eprintln!(
        "{count} commands in {:?}; status beside them: median {:?}, at most {:?}",
        start.elapsed(),
        asked[asked.len() / 2],
        asked[asked.len() - 1]
    );
    assert!(asked[asked.len() / 2] < Duration::from_millis(100));
    assert!(asked[asked.len() - 1] < Duration::from_secs(1));
    agent.stop();
}

#[test]
fn a_pipeline_that_never_reads_its_answers_stops_being_read() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    let before = agent.rss_kib();
    let greedy: Vec<Client> = (0..4)
        .map(|_| {
            let client = agent.client();
            let mut writer = client.stream.get_ref();
            writer.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
            let batch = STATUS.repeat(1_000);
            while writer.write_all(batch.as_bytes()).is_ok() {}
            client
        })
        .collect();
    agent.assert_responsive();
    let grown = agent.rss_kib().saturating_sub(before);
    eprintln!("4 clients that never read: RSS grew {grown} KiB");
    assert!(grown <= 16 * 1_024, "{grown} KiB");
    let (cpu, start) = (agent.cpu(), Instant::now());
    sleep(Duration::from_secs(2));
    let share = (agent.cpu() - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    assert!(share < 0.1, "{share} of a processor for clients that wait");
    drop(greedy);
    agent.assert_responsive();
    agent.stop();
}

#[test]
fn large_halves_of_requests_from_many_clients_do_not_add_up() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    let (before, mut honest) = (agent.rss_kib(), agent.client());
    let mut half = b"{\"command\":\"".to_vec();
    half.resize(1_000_000, b'x');
    let mut clients: Vec<Client> = (0..200).map(|_| agent.client()).collect();
    for client in &mut clients {
        // Refused when it is this one that has to go.
        let _ = client.stream.get_mut().write_all(&half);
    }
    assert_eq!(honest.ask(STATUS)["code"], 100);
    agent.assert_responsive();
    let grown = agent.rss_kib().saturating_sub(before);
    eprintln!("200 clients with a megabyte each: RSS grew {grown} KiB");
    assert!(grown <= 16 * 1_024, "{grown} KiB");
    drop(clients);
    agent.assert_responsive();
    agent.stop();
}

#[test]
fn running_out_of_descriptors_is_no_busy_loop_and_passes() {
    let Some(lab) = Lab::new() else { return };
    if !has("prlimit") {
        eprintln!("skipped: no prlimit here");
        return;
    }
    let agent = lab.start(&["-i", "va"]);
    let limit = |count: &str| {
        let mut prlimit = Command::new("prlimit");
        let done = prlimit.args(["--pid", &agent.pid().to_string(), &format!("--nofile={count}")]);
        assert!(done.status().unwrap().success());
    };
    limit("32:1024");
    let clients: Vec<Client> = (0..200).filter_map(|_| Client::open(&lab.socket()).ok()).collect();
    let (cpu, start) = (agent.cpu(), Instant::now());
    sleep(Duration::from_secs(2));
    let share = (agent.cpu() - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
    eprintln!("without descriptors: {:.1} % of a processor", share * 100.0);
    assert!(share < 0.2, "{share} of a processor");
    drop(clients);
    limit("1024:1024");
    until(
        || Client::open(&lab.socket()).ok()?.try_ask(STATUS).ok(),
        || "an answer once there are descriptors again".into(),
    );
    agent.assert_responsive();
    assert!(agent.counter("clients_refused") > 0);
    let lines = lab.log().lines().count();
    assert!(lines < 50, "{lines} lines of log");
    agent.stop();
}

#[test]
fn fifty_readers_of_the_management_port_each_get_a_whole_answer() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let replies = agent.udp("r 1 help");
                assert_eq!(replies.first().unwrap()["_type"], "begin");
                assert_eq!(replies.last().unwrap()["_type"], "end");
            });
        }
        agent.assert_responsive();
    });
    agent.stop();
}

#[test]
fn a_subscriber_of_the_port_that_goes_is_forgotten_and_nobody_else_loses_a_reply() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    // Its socket is closed as soon as it is confirmed.
    assert_eq!(agent.udp("s 1:1:n2n test")[0]["_type"], "subscribed");
    assert_eq!(agent.status()["subscribers"], 1);
    for n in 0..20 {
        assert_eq!(agent.udp(&format!("r {n} post.test x")).len(), 3);
    }
    until(|| (agent.status()["subscribers"] == 0).then_some(()), || "nobody subscribed".into());
    agent.stop();
}
