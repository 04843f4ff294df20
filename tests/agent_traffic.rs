//! The built agent watching real interfaces in namespaces of the test's own: what was sent is
//! what it tells, to the packet. Skipped aloud where namespaces are not permitted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

#[path = "support/process.rs"]
mod process;

use process::{Agent, Lab, Raw, frame, ip, syn, udp, until, within};

const NEAR: [u8; 4] = [10, 99, 0, 1];
const FAR: [u8; 4] = [10, 99, 0, 2];

fn packets(agent: &Agent, name: &str) -> u64 {
    agent.interface(name).map_or(0, |row| row["seen_pkt"].as_u64().unwrap())
}

fn capturing(agent: &Agent, name: &str) -> bool {
    agent.interface(name).is_some_and(|row| row["capturing"] == true)
}

#[track_caller]
fn wait_for_packets(agent: &Agent, name: &str, count: u64) {
    until(
        || (packets(agent, name) >= count).then_some(()),
        || format!("{count} packets on {name}, {} came", packets(agent, name)),
    );
}

#[track_caller]
fn only(mut flows: Vec<Value>) -> Value {
    assert_eq!(flows.len(), 1, "{flows:#?}");
    flows.remove(0)
}

#[test]
fn counts_are_exact_in_every_list() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    agent.wait_for_capture("va");
    let near = within(&lab.here, || UdpSocket::bind("10.99.0.1:5000").unwrap());
    let far = within(&lab.there, || UdpSocket::bind("10.99.0.2:6000").unwrap());
    for _ in 0..123 {
        far.send_to(&[1; 100], "10.99.0.1:5000").unwrap();
    }
    for _ in 0..45 {
        near.send_to(&[2; 200], "10.99.0.2:6000").unwrap();
    }
    let raw = Raw::open(&lab.there, "vb");
    for n in 0..7_u8 {
        // Echo requests to somebody who is not there.
        raw.send(&frame(1, FAR, [10, 99, 0, 77], &[8, 0, 0, 0, 0x12, 0x34, 0, n, 1, 2, 3, 4]));
    }
    let mut tagged = frame(17, [10, 42, 0, 5], [10, 42, 0, 6], &udp(1_111, 2_222, 50));
    tagged.splice(12..12, [0x81, 0, 0x20, 42]);
    for _ in 0..5 {
        raw.send(&tagged);
    }
    wait_for_packets(&agent, "va", 180);

    let flow = only(agent.flows(",\"port\":5000"));
    assert_eq!((&flow["local_ip"], &flow["other_ip"]), (&"10.99.0.1".into(), &"10.99.0.2".into()));
    assert_eq!((&flow["local_port"], &flow["other_port"]), (&5_000.into(), &6_000.into()));
    assert_eq!((&flow["local_packets"], &flow["other_packets"]), (&45.into(), &123.into()));
    assert_eq!(flow["local_bytes"], 45 * (14 + 28 + 200));
    assert_eq!(flow["other_bytes"], 123 * (14 + 28 + 100));
    assert_eq!(flow["local_origin"], false, "the far end spoke first");
    assert_eq!(flow["interface"], "va");

    let ping = only(agent.flows(",\"proto\":\"icmp\""));
    assert_eq!(ping["total_packets"], 7, "{ping}");
    let tagged = only(agent.flows(",\"port\":2222"));
    assert_eq!((&tagged["vlan_id"], &tagged["total_packets"]), (&42.into(), &5.into()));
    assert_eq!(tagged["total_bytes"], 5 * (14 + 4 + 28 + 50));

    assert_eq!(packets(&agent, "va"), 180);
    let bytes = 45 * 242 + 123 * 142 + 7 * 46 + 5 * 96;
    assert_eq!(agent.interface("va").unwrap()["seen_bytes"], bytes);
    assert_eq!(agent.counter("packets"), 180);
    assert_eq!(agent.status()["flow_count"], 3);

    let replies = agent.udp("r 1 flows port=5000");
    let row = &replies[1];
    assert_eq!((&row["tx_pkt"], &row["rx_pkt"]), (&123.into(), &45.into()), "{row}");
    let status = &agent.udp("r 1 status")[1];
    assert_eq!((&status["pkts"], &status["bytes"]), (&180.into(), &bytes.into()), "{status}");
    assert_eq!((&status["flows"], &status["drops"]), (&3.into(), &0.into()), "{status}");
    let top = agent.udp("r 1 top of=dev");
    assert_eq!((&top[1]["key"], &top[1]["flows"]), (&"va".into(), &3.into()), "{top:?}");
    let sum = top[1]["tx_bytes"].as_u64().unwrap() + top[1]["rx_bytes"].as_u64().unwrap();
    assert_eq!(sum, u64::try_from(bytes).unwrap());
    let top = agent.udp("r 1 top of=host");
    assert!(top[1]["key"].as_str().unwrap().starts_with("10.99.0."), "{top:?}");
    agent.stop();
}

#[test]
fn a_tcp_connection_has_its_handshake_time_its_direction_and_its_end() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    agent.wait_for_capture("va");
    let mut events = agent.client();
    assert_eq!(events.ask(r#"{"command":"subscribe","data":["flow"]}"#)["code"], 100);
    let listener = within(&lab.there, || TcpListener::bind("10.99.0.2:80").unwrap());
    let mut near = within(&lab.here, || TcpStream::connect("10.99.0.2:80").unwrap());
    let (mut far, _) = listener.accept().unwrap();
    near.write_all(&[b'q'; 1_000]).unwrap();
    let mut buffer = [0; 1_000];
    far.read_exact(&mut buffer).unwrap();
    far.write_all(&[b'a'; 1_000]).unwrap();
    near.read_exact(&mut buffer).unwrap();
    let flow = until(
        || {
            let flow = agent.flows(",\"port\":80").pop()?;
            (flow["other_packets"].as_u64()? >= 3).then_some(flow)
        },
        || "the answer's packets".into(),
    );
    assert_eq!((&flow["state"], &flow["local_origin"]), (&"established".into(), &true.into()));
    let rtt = flow["tcp"]["rtt_us"].as_u64().unwrap();
    assert!(rtt < 1_000_000, "{flow}");
    assert!(flow["tcp"]["rtt_client_us"].is_u64(), "{flow}");
    assert_eq!(flow["tcp"]["resets"], 0);
    drop(far);
    drop(near);
    let purge = loop {
        let event = events.line().unwrap();
        if event["type"] == "flow_purge" {
            break event;
        }
    };
    assert_eq!(purge["reason"], "finished", "{purge}");
    assert_eq!(purge["flow"]["id"], flow["id"]);
    let packets = purge["flow"]["total_packets"].as_u64().unwrap();
    assert_eq!(packets, agent.counter("packets"));
    agent.stop();
}

#[test]
fn an_interface_that_goes_and_returns_is_followed_by_its_pattern() {
    let Some(lab) = Lab::new() else { return };
    let (here, there) = (&lab.here, &lab.there);
    let agent = lab.start(&["-i", "w*"]);
    assert!(!capturing(&agent, "va"), "it is not asked for");
    let mut descriptors = 0;
    for round in 0..5_u64 {
        ip(&format!("-n {here} link add w0 type veth peer name wp netns {there}"));
        ip(&format!("-n {here} link set w0 up"));
        ip(&format!("-n {there} link set wp up"));
        agent.wait_for_capture("w0");
        let before = packets(&agent, "w0");
        let raw = Raw::open(there, "wp");
        for n in 0..10 {
            raw.send(&frame(17, [10, 7, 0, 2], [10, 7, 0, 1], &udp(1_000 + n, 9, 20)));
        }
        wait_for_packets(&agent, "w0", before + 10);
        assert_eq!(packets(&agent, "w0"), (round + 1) * 10, "totals go on");
        ip(&format!("-n {here} link del w0"));
        until(|| (!capturing(&agent, "w0")).then_some(()), || "the end of w0".into());
        // The client that asks is there each time.
        let now = agent.status()["fds"].as_u64().unwrap();
        if round == 0 {
            descriptors = now;
        }
        assert_eq!(now, descriptors, "descriptors leak");
    }
    assert_eq!(agent.status()["flow_count"], 10, "the same ten flows all along");
    agent.stop();
}

#[test]
fn without_a_name_it_picks_the_bridge_and_the_uplink() {
    let Some(lab) = Lab::new() else { return };
    let here = &lab.here;
    ip(&format!("-n {here} link add br0 type bridge"));
    ip(&format!("-n {here} link add p1 type veth peer name q1"));
    for line in ["p1 master br0", "p1 up", "q1 up", "br0 up"] {
        ip(&format!("-n {here} link set {line}"));
    }
    ip(&format!("-n {here} addr add 192.168.9.1/24 dev br0"));
    ip(&format!("-n {here} route add default via 10.99.0.2"));
    let agent = lab.start(&[]);
    agent.wait_for_capture("br0");
    agent.wait_for_capture("va");
    for name in ["lo", "p1", "q1"] {
        assert!(!capturing(&agent, name), "{name}");
    }
    assert_eq!(agent.interface("va").unwrap()["role"], "wan");
    assert_eq!(agent.interface("br0").unwrap()["role"], "lan");
    agent.stop();
}

#[test]
fn a_flood_of_connections_leaves_memory_answers_and_the_living_flow_alone() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va", "-s", "flows_max=4096"]);
    agent.wait_for_capture("va");
    let near = within(&lab.here, || UdpSocket::bind("10.99.0.1:5000").unwrap());
    let far = within(&lab.there, || UdpSocket::bind("10.99.0.2:6000").unwrap());
    let marker = || {
        far.send_to(b"marker", "10.99.0.1:5000").unwrap();
        near.send_to(b"marker", "10.99.0.2:6000").unwrap();
    };
    (0..10).for_each(|_| marker());
    wait_for_packets(&agent, "va", 20);
    let id = only(agent.flows(",\"port\":5000"))["id"].clone();
    let before = agent.rss_kib();

    let raw = Raw::open(&lab.there, "vb");
    let start = Instant::now();
    let mut sent = 20_u64;
    let mut random = 0x1234_5678_9abc_def1_u64;
    let mut worst = Duration::ZERO;
    let mut asked = Instant::now();
    let mut responses = Vec::new();
    while start.elapsed() < Duration::from_secs(5) {
        for _ in 0..1_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let [a, b, c, d, e, f, g, h] = random.to_le_bytes();
            let ports = (u16::from_le_bytes([e, f]), u16::from_le_bytes([g, h]));
            raw.send(&frame(6, [a, b, c, d], NEAR, &syn(ports.0, ports.1, 1)));
            sent += 1;
        }
        if asked.elapsed() > Duration::from_millis(250) {
            marker();
            sent += 2;
            let before = Instant::now();
            agent.status();
            responses.push(before.elapsed());
            worst = worst.max(before.elapsed());
            asked = Instant::now();
        }
        // No more than a hundred thousand a second.
        let due = Duration::from_micros(sent * 10);
        sleep(due.saturating_sub(start.elapsed()));
    }
    responses.sort();
    let median = responses[responses.len() / 2];
    let flow = only(agent.flows(",\"port\":5000"));
    assert_eq!(flow["id"], id, "the marker is still the same flow");
    let status = until(
        || {
            let status = agent.status();
            let counters = &status["counters"];
            let got = counters["packets"].as_u64()? + counters["kernel_drops"].as_u64()?;
            (got >= sent).then_some(status)
        },
        || format!("{sent} frames seen or dropped: {}", agent.status()),
    );
    let counters = &status["counters"];
    let drops = counters["kernel_drops"].as_u64().unwrap();
    let grown = agent.rss_kib().saturating_sub(before);
    eprintln!(
        "{sent} frames in {:?}, {drops} dropped; status median {median:?}, at most {worst:?}; \
         RSS grew {grown} KiB",
        start.elapsed()
    );
    assert!(median < Duration::from_millis(100) && worst < Duration::from_secs(1));
    assert!(grown < 8 * 1_024, "{grown} KiB");
    assert!(status["flow_count"].as_u64().unwrap() <= 4_096);
    assert!(counters["flows_evicted"].as_u64().unwrap() > 0, "{counters}");
    // The answers of the kernel to connections for it do not come back: their hosts are unknown.
    let seen = packets(&agent, "va");
    assert_eq!(seen, counters["packets"].as_u64().unwrap());
    assert!(seen + drops >= sent, "{seen} seen and {drops} dropped of {sent}");
    agent.stop();
}

#[test]
fn an_idle_agent_hardly_ever_wakes() {
    let Some(lab) = Lab::new() else { return };
    // Something happens in the namespaces of other tests.
    let config = lab.file("idle.conf", "[netns]\ndiscovery = no\n");
    let agent = lab.start(&["-i", "va", "-c", &config]);
    agent.wait_for_capture("va");
    let wakes = || agent.figure("voluntary_ctxt_switches");
    let (before, start) = (wakes(), Instant::now());
    sleep(Duration::from_secs(5));
    let rate = (wakes() - before) as f64 / start.elapsed().as_secs_f64();
    let rss = agent.rss_kib();
    let rings = ring_kib(&agent);
    let (own, rest) = (agent.figure("RssAnon"), rss - rings.min(rss));
    eprintln!("idle: {rate:.1} wake-ups a second, {own} KiB of its own, {rest} KiB without rings");
    assert!(rate <= 2.0, "{rate} wake-ups a second");
    assert!(own < 1_024, "{own} KiB of its own");
    // Most of it are pages of a program that is built for tests.
    assert!(rest < 12 * 1_024, "{rss} KiB with {rings} KiB of rings");
    agent.stop();
}

/// Resident memory of mapped packet rings.
fn ring_kib(agent: &Agent) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{}/smaps", agent.pid())).unwrap();
    let mut inside = false;
    let mut sum = 0;
    for line in maps.lines() {
        if line.contains('-') && line.contains(' ') && !line.contains("kB") {
            inside = line.contains("socket:");
        } else if let Some(rest) = line.strip_prefix("Rss:").filter(|_| inside) {
            sum += rest.trim().trim_end_matches(" kB").parse::<u64>().unwrap();
        }
    }
    sum
}
