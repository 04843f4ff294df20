//! The command line of the built program: what it prints, where, and with which exit code.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_portolan");

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(arguments: &[&str]) -> Ran {
    run_with(arguments, b"")
}

fn run_with(arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

fn udp_frame(sport: u16, octets: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let total = u16::try_from(28 + octets).unwrap().to_be_bytes();
    frame.extend([0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    for word in [sport, 53, u16::try_from(8 + octets).unwrap(), 0] {
        frame.extend(word.to_be_bytes());
    }
    frame.resize(frame.len() + octets, 7);
    frame
}

/// A pcap file of one-packet flows, each with a source port of its own from 1 on.
fn pcap(flows: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(0xa1b2_c3d4_u32.to_le_bytes());
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend(65_535_u32.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    for port in 1..=flows {
        let frame = udp_frame(port, 100);
        let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
        bytes.extend((1_700_000_000 + u32::from(port) / 1_000).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(length);
        bytes.extend(length);
        bytes.extend(frame);
    }
    bytes
}

/// The same bytes as gzip without compression (RFC 1951 section 3.2.4, RFC 1952).
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let chunks: Vec<&[u8]> = bytes.chunks(60_000).collect();
    for (n, chunk) in chunks.iter().enumerate() {
        let length = u16::try_from(chunk.len()).unwrap();
        out.push(u8::from(n + 1 == chunks.len()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(*chunk);
    }
    out.extend(portolan::wire::crc32::crc32(bytes).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    out
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect()
}

// Options.

#[test]
fn help_goes_to_standard_output_and_fits_a_terminal() {
    for words in [
        &["--help"][..],
        &["-h"],
        &["help"],
        &["read", "--help"],
        &["help", "read"],
        &["ctl", "--help"],
        &["help", "ctl"],
        &["run", "--help"],
    ] {
        let ran = run(words);
        assert_eq!((ran.code, &*ran.err), (Some(0), ""), "{words:?}");
        assert!(ran.out.contains("Usage:"), "{words:?}: {}", ran.out);
        assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
    }
}

#[test]
fn the_version_is_one_line() {
    for words in [&["--version"][..], &["-V"]] {
        let ran = run(words);
        assert_eq!(ran.code, Some(0));
        assert_eq!(ran.out.lines().count(), 1);
        assert!(ran.out.starts_with(&format!("portolan {} (", env!("CARGO_PKG_VERSION"))));
    }
}

#[test]
fn what_is_wrong_is_one_line_on_standard_error_and_exit_code_2() {
    for (words, hint) in [
        (&["--promiscous"][..], "did you mean --promiscuous?"),
        (&["--managment-port", "1"], "did you mean --management-port?"),
        (&["read", "--jsn", "x"], "did you mean --json?"),
        (&["--nosuchthing"], "--nosuchthing"),
        (&["nosuch"], "nosuch"),
        (&["--config"], "--config"),
        (&["--management-port", "x"], "management_port must be"),
        (&["--management-port", "70000"], "management_port must be"),
        (&["--management-password", ""], "management_password must be"),
        (&["-s", "flows_idel=3"], "did you mean flows_idle?"),
        (&["-s", "flows_idle"], "flows_idle must be"),
        (&["--socket", "relative.sock"], "api_socket must be"),
        (&["-c", "/nowhere/at/all.conf"], "/nowhere/at/all.conf"),
        (&["--management-password-file", "/nowhere/key"], "/nowhere/key"),
        (&["--management-address", "0.0.0.0"], "default password"),
        (&["read"], "read what?"),
        (&["read", "--json", "--csv", "x"], "not both"),
        (&["ctl"], "what to ask?"),
        (&["ctl", "r"], "what to ask?"),
        (&["ctl", "-a", "nowhere", "status"], "no IP address"),
        (&["ctl", "--key-file", "/nowhere/key", "status"], "/nowhere/key"),
    ] {
        let ran = run(words);
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{words:?}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{words:?}: {}", ran.err);
        assert!(ran.err.starts_with("portolan: "), "{words:?}: {}", ran.err);
        assert!(ran.err.contains(hint), "{words:?}: {}", ran.err);
    }
}

#[test]
fn a_configuration_is_checked_with_the_line_of_each_mistake() {
    let folder = Folder::new();
    let good = folder.put("good", "# all of it\n[flows]\nidle = 20\n[capture]\ninterfaces = a b\n");
    let ran = run(&["-t", "-c", &good]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    for (text, place, what) in [
        ("\n\nflows_idle = never\n", ":3", "flows_idle must be seconds"),
        ("[flows]\nidle = 20\nidel = 30\n", ":3", "did you mean flows_idle?"),
        ("a\n", "1", "neither [section] nor key = value"),
        ("\n[open\n", "2", "neither [section]"),
        ("x = ${nosuch}\n", "1", "is not set above"),
        ("\n\nmanagement_password_file = /nowhere/key\n", ":3", "/nowhere/key"),
        ("[management]\naddress = 0.0.0.0\n", "", "default password"),
    ] {
        let path = folder.put("bad", text);
        let ran = run(&["-t", "-c", &path]);
        assert_eq!((ran.code, &*ran.out), (Some(2), ""), "{text}");
        assert!(ran.err.contains(what) && ran.err.contains(place), "{text}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{text}: {}", ran.err);
    }
    let binary = folder.put("binary", [0xff, 0xfe, 0, 1]);
    assert_eq!(run(&["-t", "-c", &binary]).code, Some(2));
}

#[test]
fn rules_of_applications_are_checked_with_the_place_of_the_mistake() {
    let folder = Folder::new();
    fs::create_dir(folder.0.path().join("applications.d")).unwrap();
    let state = folder.0.path().display().to_string();
    let check = || run(&["-t", "-c", "/dev/null", "--state-dir", &state]);
    folder.put("applications.d/10-mine.rules", "app 30001 mine streaming\ndom example.org\n");
    folder.put("applications.d/notes.txt", "app is no rule here");
    let ran = check();
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    let wrong = "app 30002 more streaming\ndom example.net\nexpr other_prot == 3\n";
    let wrong = folder.put("applications.d/20-more.rules", wrong);
    let ran = check();
    assert_eq!((ran.code, &*ran.out), (Some(2), ""));
    let place = "applications.d/20-more.rules:3:6: there is no attribute \"other_prot\"";
    assert!(ran.err.contains(place), "{}", ran.err);
    let ran = run(&["read", "--rules", &wrong, "/nowhere"]);
    assert_eq!((ran.code, &*ran.out), (Some(2), ""));
    assert!(ran.err.contains(place), "{}", ran.err);
}

#[test]
fn the_list_of_settings_reads_back_and_keeps_the_secret() {
    let ran = run(&["--list-settings", "-s", "management_password=hunter2", "-i", "a", "b*"]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    assert!(!ran.out.contains("hunter2"), "{}", ran.out);
    assert!(ran.out.contains("a b*"), "{}", ran.out);
    for line in ran.out.lines() {
        let (setting, help) = line.split_once('#').unwrap();
        assert!(!help.trim().is_empty());
        let (name, value) = setting.trim().split_once(' ').unwrap_or_else(|| (setting.trim(), ""));
        if value.contains("(not shown)") {
            continue;
        }
        let again = run(&["-t", "-c", "/dev/null", "-s", &format!("{name}={}", value.trim())]);
        assert_eq!(again.code, Some(0), "{line}: {}", again.err);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = Folder::new();
    let file = folder.put("large.pcap", pcap(20_000));
    for words in [
        &["--help"][..],
        &["--list-settings"],
        &["--version"],
        &["read", "--json", &file],
        &["read", "--csv", &file],
        &["read", &file],
    ] {
        for lines in [0, 1] {
            let mut command = Command::new(PROGRAM);
            let mut child =
                command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut reader = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            for _ in 0..lines {
                assert!(reader.read_line(&mut line).unwrap() > 0, "{words:?}");
            }
            drop(reader);
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), &*said), (Some(0), ""), "{words:?}");
        }
    }
}

#[test]
fn a_standard_error_that_nobody_reads_changes_no_exit_code() {
    for (words, code) in
        [(&["--nosuch"][..], 2), (&["read", "/nowhere"], 1), (&["-t", "-c", "/x"], 2)]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(PROGRAM);
        let status = command.args(words).stdout(Stdio::null()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{words:?}");
    }
}

// portolan read

#[test]
fn a_capture_is_summed_up_for_people() {
    let folder = Folder::new();
    let file = folder.put("a.pcap", pcap(25));
    let ran = run(&["read", &file]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    for line in ["packets    25", "flows      25", "10.0.0.1"] {
        assert!(ran.out.contains(line), "no {line:?} in\n{}", ran.out);
    }
    assert!(ran.out.contains(&format!("bytes      {} {:03}", 25 * 142 / 1_000, 25 * 142 % 1_000)));
}

#[test]
fn flows_come_as_json_lines_or_as_comma_separated_values() {
    let folder = Folder::new();
    let file = folder.put("a.pcap", pcap(25));
    let ran = run(&["read", "--json", &file]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    let flows = objects(&ran.out);
    assert_eq!(flows.len(), 25);
    let mut ports: Vec<u64> = flows.iter().map(|f| f["local_port"].as_u64().unwrap()).collect();
    ports.sort_unstable();
    assert_eq!(ports, (1..=25).collect::<Vec<_>>());
    assert!(flows.iter().all(|f| f["total_bytes"] == 142 && f["other_port"] == 53));
    assert!(flows.iter().all(|f| f["file"] == *file));

    let ran = run(&["read", "--csv", &file]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    let (header, rows) = ran.out.split_once('\n').unwrap();
    assert!(header.starts_with("file,proto,initiator_ip,initiator_port,"), "{header}");
    assert_eq!(rows.lines().count(), 25);
    let columns = header.split(',').count();
    assert!(rows.lines().all(|row| row.split(',').count() == columns), "{rows}");
    assert!(header.contains(",protocol,application,host,"), "{header}");
    assert!(rows.lines().all(|row| row.contains(",DNS?,,,")), "{rows}");
}

#[test]
fn the_summary_names_protocols_and_applications() {
    let folder = Folder::new();
    let file = folder.put("a.pcap", pcap(25));
    let rules = folder.put("my.rules", "app 30001 mine network\nport udp/53\n");
    let ran = run(&["read", "--rules", &rules, &file]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    let row = |title: &str| {
        let row = ran.out.lines().skip_while(|line| !line.starts_with(title)).nth(1);
        row.unwrap_or_else(|| panic!("no {title} in\n{}", ran.out)).to_owned()
    };
    assert!(row("transport ").starts_with("udp  "), "{}", ran.out);
    assert!(row("protocol ").starts_with("DNS?  "), "{}", ran.out);
    assert!(row("application ").starts_with("mine  "), "{}", ran.out);
}

#[test]
fn several_files_standard_input_and_gzip_are_read_alike() {
    let folder = Folder::new();
    let plain = pcap(25);
    let (a, b) = (folder.put("a.pcap", &plain), folder.put("b.pcap.gz", gzip(&pcap(1_000))));
    let ran = run(&["read", "--json", &a, &b]);
    assert_eq!((ran.code, &*ran.err), (Some(0), ""));
    let flows = objects(&ran.out);
    let of = |name: &str| flows.iter().filter(|f| f["file"] == *name).count();
    assert_eq!((of(&a), of(&b)), (25, 1_000));
    for input in [plain.clone(), gzip(&plain)] {
        let ran = run_with(&["read", "--json", "-"], &input);
        assert_eq!((ran.code, &*ran.err), (Some(0), ""));
        assert_eq!(objects(&ran.out).len(), 25);
    }
    let ran = run(&["read", &a, &b]);
    assert!(
        ran.out.contains("files      2") && ran.out.contains("flows      1 025"),
        "{}",
        ran.out
    );
}

#[test]
fn a_damaged_file_tells_what_was_readable_and_fails() {
    let folder = Folder::new();
    let whole = pcap(25);
    let cut = folder.put("cut.pcap", &whole[..whole.len() - 10]);
    let ran = run(&["read", "--json", &cut]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(objects(&ran.out).len(), 24);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert!(ran.err.contains("cut.pcap") && ran.err.contains("what came before"), "{}", ran.err);

    let zipped = gzip(&whole);
    let cut = folder.put("cut.pcap.gz", &zipped[..zipped.len() - 500]);
    let ran = run(&["read", &cut]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("packets    "), "{}", ran.out);

    // The others are read all the same.
    let good = folder.put("good.pcap", &whole);
    let missing = folder.0.path().join("missing.pcap").display().to_string();
    let here = folder.0.path().display().to_string();
    let text = folder.put("text", "not a capture\n");
    let empty = folder.put("empty", "");
    let ran = run(&["read", "--json", &missing, &here, &text, &empty, &good]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(objects(&ran.out).len(), 25);
    assert_eq!(ran.err.lines().count(), 4, "{}", ran.err);
    for text in ["no such file", "is a folder"] {
        assert!(ran.err.contains(text), "{}", ran.err);
    }
    for name in [&missing, &here, &text, &empty] {
        assert!(ran.err.contains(&format!("portolan: {name}: ")), "{name}: {}", ran.err);
    }
}

#[test]
fn any_octets_as_a_capture_end_with_zero_or_one() {
    let folder = Folder::new();
    let whole = pcap(10);
    let mut random = 0x1234_5678_u64;
    for round in 0..40 {
        let mut bytes = whole.clone();
        for _ in 0..1 + round / 4 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(random >> 33).unwrap() % bytes.len();
            bytes[at] ^= u8::try_from(random >> 24 & 0xff).unwrap();
        }
        let file = folder.put("fuzzed", &bytes);
        let ran = run(&["read", &file]);
        assert!(matches!(ran.code, Some(0 | 1)), "round {round}: {:?} {}", ran.code, ran.err);
        assert_eq!(ran.code == Some(1), !ran.err.is_empty(), "round {round}: {}", ran.err);
    }
}

// portolan ctl

#[test]
fn asking_where_no_agent_is_ends_with_3() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let ran = run(&["ctl", "-p", &free, "status"]);
    assert_eq!((ran.code, &*ran.out), (Some(3), ""), "{}", ran.err);
    assert!(ran.err.contains(&free) && ran.err.contains("is the agent running"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1);
}

#[test]
fn an_unreadable_state_of_things_leaves_no_files_behind() {
    let folder = Folder::new();
    let socket = folder.0.path().join("s.sock").display().to_string();
    let ran = run(&["--socket", &socket, "-c", "/dev/null", "-s", "api_group=nosuchgroup"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("nosuchgroup"), "{}", ran.err);
    assert!(!Path::new(&socket).exists());
}
