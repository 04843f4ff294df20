//! The built agent as a process: the terminal sessions of the documents it follows, what becomes
//! of its files when it is killed or the disk is full, its socket, its signals and its log.
//! Skipped aloud where namespaces are not permitted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

#[path = "support/process.rs"]
mod process;

use process::{Agent, Client, Lab, PROGRAM, has, until, within};

const STATUS: &str = r#"{"command":"status"}"#;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Runs an agent that is expected to give up: its exit code and what it said.
fn refused(lab: &Lab, options: &[&str]) -> (Option<i32>, String) {
    let mut command = lab.command(options);
    let output = within(&lab.here, move || command.stderr(Stdio::piped()).output().unwrap());
    (output.status.code(), text(&output))
}

// Sessions as printed.

/// The script of Netify's document, unchanged.
const IPSET_SCRIPT: &str = r#"#!/bin/bash
#
# Push IPs from ipset "printers" to Netify daemon via Unix socket
#

IPSET_NAME="printers"
SOCKET_PATH="/var/run/netifyd/netifyd.sock"

# Check if ipset exists
if ! ipset list -n | grep -q "^${IPSET_NAME}$"; then
    echo "Error: ipset '${IPSET_NAME}' does not exist."
    exit 1
fi

# Get IPs from ipset (IPv4, IPv6, MAC, etc.) using 'ipset save'
IPS=$(ipset save "$IPSET_NAME" | awk '/^add / {print $3}')

if [ -z "$IPS" ]; then
    echo "No IPs found in ipset '${IPSET_NAME}'."
    exit 0
fi

# Convert IPs into quoted, comma-separated JSON array
JSON_IPS=$(printf '"%s",' $IPS | sed 's/,$//')

# Build JSON payload
PAYLOAD="{\"command\": \"add-group-address\", \"group\": \"${IPSET_NAME}\", \"data\": [${JSON_IPS}]}"

# Send payload to Netify daemon socket
echo "$PAYLOAD" | nc -NU "$SOCKET_PATH"
"#;

/// Stands in for `ipset` where the kernel has none.
const STAND_IN: &str = r#"#!/bin/sh
case "$1 $2" in
"list -n") echo other; echo printers ;;
"save printers")
    echo "create printers hash:ip family inet hashsize 1024 maxelem 65536"
    for address in 192.168.1.7 192.168.1.8 192.168.1.9; do echo "add printers $address"; done ;;
*) exit 1 ;;
esac
"#;

/// The pause of the person who types before Ctrl-C, as a script.
const INTERACTIVE: &str = r#"
coproc nc -NU /var/run/netifyd/netifyd.sock
echo '{ "command": "add-group-address", "group": "games", "data": "23.62.104.113" }' >&"${COPROC[1]}"
read -r first <&"${COPROC[0]}"
echo '{
    "command": "status"
}' >&"${COPROC[1]}"
read -r second <&"${COPROC[0]}"
echo "$first"
echo "$second"
kill "$COPROC_PID"
"#;

#[test]
fn the_sessions_of_the_documents_work_as_printed() {
    let Some(lab) = Lab::new() else { return };
    if !has("nc") || !has("nsenter") || !has("bash") {
        eprintln!("skipped: no nc, nsenter or bash here");
        return;
    }
    // A /var/run of its own, so that the path in the documents is free to use.
    let run = lab.dir.path().join("var-run");
    fs::create_dir(&run).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", "mount --bind \"$0\" /var/run && exec \"$@\""]);
    command.arg(&run).arg(PROGRAM).args(["-c", "/dev/null", "-i", "va"]);
    command.args(["--socket", "/var/run/netifyd/netifyd.sock", "--state-dir"]).arg(lab.state());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let agent = lab.spawn(command);
    let path = run.join("netifyd/netifyd.sock");
    until(|| Client::open(&path).ok(), || path.display().to_string());

    let bin = lab.dir.path().join("bin");
    let shell = |script: &str| {
        let mut shell = Command::new("nsenter");
        shell.args(["-m", "-n", "-t", &agent.pid().to_string(), "bash", "-c", script]);
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", bin.display()));
        text(&shell.stdin(Stdio::null()).output().unwrap())
    };
    let said = shell(INTERACTIVE);
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).expect(&said)).collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert_eq!(lines[0]["code"], 100);
    assert_eq!((&lines[0]["data"]["errors"], &lines[0]["data"]["total"]), (&0.into(), &1.into()));
    assert!(lines[1]["data"]["flow_count"].is_u64(), "{said}");

    let made = shell(
        "ipset create printers hash:ip && for n in 7 8 9; do ipset add printers 192.168.1.$n; done",
    );
    if !made.is_empty() {
        eprintln!("ipset is not usable here, a stand-in takes its place: {}", made.trim());
        fs::create_dir(&bin).unwrap();
        let stand_in = bin.join("ipset");
        fs::write(&stand_in, STAND_IN).unwrap();
        fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let said = shell(IPSET_SCRIPT);
    let reply: serde_json::Value = serde_json::from_str(&said).expect(&said);
    assert_eq!(reply["code"], 100, "{said}");
    assert_eq!((&reply["data"]["errors"], &reply["data"]["total"]), (&0.into(), &3.into()));
    let members =
        Client::open(&path).unwrap().ask(r#"{"command":"list-address-groups","group":"printers"}"#);
    let expected = serde_json::json!(["192.168.1.7", "192.168.1.8", "192.168.1.9"]);
    assert_eq!(members["data"]["addresses"], expected);

    let said = shell("echo r 1 help | nc -w1 -u 127.0.0.1 5644");
    assert!(said.starts_with("{\"_tag\":\"1\",\"_type\":\"begin\",\"cmd\":\"help\"}\n"), "{said}");
    assert!(said.ends_with("{\"_tag\":\"1\",\"_type\":\"end\",\"cmd\":\"help\"}\n"), "{said}");
    assert!(said.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    let said = shell("echo | nc -w1 -u 127.0.0.1 5644");
    assert!(said.contains("uptime"), "{said}");
}

#[test]
fn the_built_in_client_stands_in_for_nc() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&[]);
    let ctl = |words: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command.arg("ctl").args(words);
        let output = within(&lab.here, move || command.output().unwrap());
        (output.status.code(), text(&output))
    };
    let (code, said) = ctl(&["status"]);
    assert_eq!(code, Some(0), "{said}");
    let row: serde_json::Value = serde_json::from_str(&said).expect(&said);
    assert!(row["uptime"].is_u64() && row.get("_tag").is_none(), "{said}");
    assert_eq!(ctl(&["-k", "n2n", "w", "verbose", "3"]), (Some(0), "{\"traceLevel\":3}\n".into()));
    for (words, hint) in [
        (&["w", "verbose", "3"][..], "give the key"),
        (&["r", "nosuch"], "lists the methods"),
        (&["r", "reload"], "this method changes something"),
        (&["r", "flow", "1"], "notfound"),
    ] {
        let (code, said) = ctl(words);
        assert_eq!(code, Some(1), "{words:?}: {said}");
        assert!(said.contains(hint), "{words:?}: {said}");
    }
    agent.stop();
}

// Files.

fn generation(n: u32) -> String {
    let addresses = (0..400_u32).map(|i| format!("\"10.{n}.{}.{}\"", i / 200, i % 200 + 1));
    addresses.collect::<Vec<_>>().join(",")
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .map(|dir| dir.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

#[test]
fn a_group_survives_being_killed_at_any_moment_old_or_new_never_torn() {
    let Some(lab) = Lab::new() else { return };
    let folder = lab.state().join("address-groups.d");
    let list = r#"{"command":"list-address-groups","group":"g"}"#;
    let save = r#"{"command":"save-address-group","group":"g"}"#;
    let (mut current, mut seen) = (0_u32, 0);
    let mut random = 0x9e37_79b9_u64;
    for round in 0..60 {
        let mut agent = lab.start(&["--management-port", "0"]);
        let reply = agent.ask(list);
        if round > 0 {
            assert_eq!(reply["code"], 100, "round {round}: {reply}");
            let members = reply["data"]["addresses"].as_array().unwrap();
            assert_eq!(members.len(), 400, "round {round}");
            let second = |address: &serde_json::Value| {
                address.as_str().unwrap().split('.').nth(1).unwrap().parse::<u32>().unwrap()
            };
            let found = second(&members[0]);
            assert!(members.iter().all(|m| second(m) == found), "round {round}: two at once");
            assert!(found == current || found + 1 == current, "round {round}: {found} {current}");
            assert_eq!(files(&folder), ["10-g.conf"], "round {round}");
            seen += u32::from(found == current);
            current = found;
        } else {
            let mut client = agent.client();
            let add = format!(
                "{{\"command\":\"add-group-address\",\"group\":\"g\",\"data\":[{}]}}",
                generation(0)
            );
            assert_eq!(client.ask(&add)["code"], 100);
            assert_eq!(client.ask(save)["code"], 100);
        }
        // The next version, killed while it is saved.
        let mut client = agent.client();
        let change = |command, n| {
            format!("{{\"command\":\"{command}\",\"group\":\"g\",\"data\":[{}]}}", generation(n))
        };
        client.ask(&change("remove-group-address", current));
        client.ask(&change("add-group-address", current + 1));
        client.send(save).unwrap();
        current += 1;
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        sleep(Duration::from_micros(random >> 33 & 0x7ff));
        agent.child.kill().unwrap();
        agent.child.wait().unwrap();
    }
    eprintln!("killed 60 times: {seen} saves were complete");
}

/// A file system of 64 KiB.
struct Tiny<'a>(&'a Path);

impl<'a> Tiny<'a> {
    fn mount(path: &'a Path) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(path);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        mounted.then_some(Self(path))
    }
}

impl Drop for Tiny<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_an_answer_and_the_old_file_stays() {
    let Some(lab) = Lab::new() else { return };
    let state = lab.state();
    let Some(_tiny) = Tiny::mount(&state) else {
        eprintln!("skipped: mount is not permitted here");
        return;
    };
    let agent = lab.start(&["--management-port", "0"]);
    let add = |range: std::ops::Range<u32>| {
        let all: Vec<String> =
            range.map(|n| format!("\"{}\"", std::net::Ipv4Addr::from(0x0a00_0000 + n))).collect();
        format!(
            "{{\"command\":\"add-group-address\",\"group\":\"g\",\"data\":[{}]}}",
            all.join(",")
        )
    };
    let save = r#"{"command":"save-address-group","group":"g"}"#;
    assert_eq!(agent.ask(&add(0..1_000))["code"], 100);
    assert_eq!(agent.ask(save)["code"], 100);
    let file = state.join("address-groups.d/10-g.conf");
    let before = fs::read(&file).unwrap();
    assert_eq!(agent.ask(&add(1_000..20_000))["code"], 100);
    for round in 1..=3 {
        let reply = agent.ask(save);
        assert_eq!(reply["code"], 500, "{reply}");
        assert!(reply["message"].as_str().unwrap().starts_with("Error saving"), "{reply}");
        assert_eq!(fs::read(&file).unwrap(), before);
        assert_eq!(files(&state.join("address-groups.d")), ["10-g.conf"], "no leftovers");
        assert_eq!(agent.counter("persist_errors"), round);
    }
    let list = agent.data(r#"{"command":"list-address-groups"}"#);
    assert_eq!(
        (&list["groups"][0]["total"], &list["groups"][0]["saved"]),
        (&20_000.into(), &false.into())
    );
    assert_eq!(agent.ask(r#"{"command":"load-address-group","group":"g"}"#)["code"], 100);
    let list = agent.data(r#"{"command":"list-address-groups"}"#);
    assert_eq!(list["groups"][0]["total"], 1_000);
    agent.stop();
}

// The socket.

#[test]
fn what_lies_at_the_path_of_the_socket_decides() {
    let Some(lab) = Lab::new() else { return };
    let path = lab.socket();
    fs::create_dir_all(path.parent().unwrap()).unwrap();

    fs::write(&path, "precious").unwrap();
    let (code, said) = refused(&lab, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("no socket") && said.contains(path.to_str().unwrap()), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();

    let target = lab.dir.path().join("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, &path).unwrap();
    let (code, said) = refused(&lab, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(path.is_symlink() && fs::read(&target).unwrap() == b"precious");
    fs::remove_file(&path).unwrap();
    symlink(lab.dir.path().join("nowhere"), &path).unwrap();
    assert_eq!(refused(&lab, &[]).0, Some(2));
    fs::remove_file(&path).unwrap();

    // Nobody listens any more.
    drop(UnixListener::bind(&path).unwrap());
    let agent = lab.start(&[]);
    let (code, said) = refused(&lab, &["--management-port", "0"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("already running"), "{said}");
    assert_eq!(agent.ask(STATUS)["code"], 100);

    let mode = fs::symlink_metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o660, "{mode:o}");
    // The way there is open to all, the socket is not.
    for folder in [lab.dir.path(), path.parent().unwrap()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    if has("nc") {
        let mut nobody = Command::new("nc");
        let nobody = nobody.args(["-NU"]).arg(&path).uid(65_534).gid(65_534).stdin(Stdio::null());
        let output = nobody.output().unwrap();
        assert!(!output.status.success());
        assert!(text(&output).contains("Permission denied"), "{}", text(&output));
    } else {
        eprintln!("skipped: no nc here");
    }
    agent.stop();
}

#[test]
fn the_password_is_not_in_the_list_of_processes() {
    let Some(lab) = Lab::new() else { return };
    for options in [
        &["--management-password", "hunter2secret"][..],
        &["-s", "management_password=hunter2secret"],
        &["--set", "management_password=hunter2secret"],
    ] {
        let agent = lab.start(options);
        let line = fs::read(format!("/proc/{}/cmdline", agent.pid())).unwrap();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        assert!(!line.contains("hunter2"), "{line}");
        assert_eq!(agent.udp("w 1:1:hunter2secret verbose").len(), 3, "{options:?}");
        assert_eq!(agent.udp("w 1:1:n2n verbose")[0]["error"], "badauth");
        // It is still known after a reload.
        assert_eq!(agent.ask(r#"{"command":"reload"}"#)["code"], 100);
        assert_eq!(agent.udp("w 1:1:hunter2secret verbose").len(), 3, "{options:?}");
        agent.stop();
    }
    assert!(!lab.log().contains("hunter2"), "{}", lab.log());
}

#[test]
fn beyond_loopback_the_default_password_is_refused() {
    let Some(lab) = Lab::new() else { return };
    let (code, said) = refused(&lab, &["--management-address", "0.0.0.0"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("management-password-file"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let file = lab.file("key", "secret\n");
    let agent =
        lab.start(&["--management-address", "0.0.0.0", "--management-password-file", &file]);
    assert_eq!(agent.udp("r 1 verbose")[0]["error"], "badauth");
    assert_eq!(agent.udp("r 1:1:secret verbose").len(), 3);
    agent.stop();
}

#[test]
fn a_management_port_that_is_taken_or_off_stops_nothing() {
    let Some(lab) = Lab::new() else { return };
    let taken = within(&lab.here, || UdpSocket::bind("127.0.0.1:5644").unwrap());
    let agent = lab.start(&[]);
    lab.wait_for_log("going on without it");
    assert_eq!(agent.ask(STATUS)["code"], 100);
    drop(taken);
    // A reload tries again. The socket may live on for a moment in a process that another test
    // is just starting.
    let opened = || lab.log().contains("has the default key").then_some(());
    let reload = || agent.ask(r#"{"command":"reload"}"#);
    until(|| (reload()["code"] == 100).then(opened)?, || "the port".into());
    assert_eq!(agent.udp("r 1 verbose").len(), 3);
    agent.stop();
    let agent = lab.start(&["--management-port", "0"]);
    // Nobody has the port now.
    drop(within(&lab.here, || UdpSocket::bind("127.0.0.1:5644").unwrap()));
    agent.stop();
}

// Signals and commands that change the whole.

#[test]
fn a_reload_takes_the_new_configuration_or_keeps_the_old_one() {
    let Some(lab) = Lab::new() else { return };
    let config = lab.file("conf", "log_level = 2\n");
    let agent = lab.start(&["-c", &config]);
    let level = || agent.udp("r 1 verbose")[1]["traceLevel"].clone();
    assert_eq!(level(), 2);
    lab.file("conf", "log_level = 3\n");
    agent.signal(libc::SIGHUP);
    until(|| (level() == 3).then_some(()), || "level 3".into());
    lab.file("conf", "\n\nlog_level = nine\n");
    agent.signal(libc::SIGHUP);
    lab.wait_for_log("configuration kept as it was");
    assert!(lab.log().contains("conf:3: log_level must be"), "{}", lab.log());
    let reply = agent.ask(r#"{"command":"reload"}"#);
    assert_eq!(reply["code"], 500, "{reply}");
    assert!(reply["message"].as_str().unwrap().contains("conf:3"), "{reply}");
    assert_eq!(level(), 3);
    lab.file("conf", "log_level = 1\n[management]\nport = 5999\n");
    // A subscriber of the port that goes does not stay on the books.
    assert_eq!(agent.udp("s 1:1:n2n test").len(), 1);
    assert_eq!(agent.status()["subscribers"], 1);
    assert_eq!(agent.ask(r#"{"command":"reload"}"#)["code"], 100);
    until(|| (agent.status()["subscribers"] == 0).then_some(()), || "no subscribers".into());
    drop(within(&lab.here, || UdpSocket::bind("127.0.0.1:5644").unwrap()));
    assert!(within(&lab.here, || UdpSocket::bind("127.0.0.1:5999").is_err()));
    agent.stop();
}

#[test]
fn a_reload_says_what_it_does_not_know_and_whom_it_leaves() {
    let Some(lab) = Lab::new() else { return };
    let config = lab.file("conf", "[capture]\ninterfaces = va lo\n");
    let agent = lab.start(&["-c", &config]);
    lab.wait_for_log("va: capturing");
    lab.file("conf", "[capture]\ninterfaces = lo\nsnaplne = 99\n");
    agent.signal(libc::SIGHUP);
    lab.wait_for_log("va: no longer watched");
    assert!(lab.log().contains("conf:3: no setting is called"), "{}", lab.log());
    agent.stop();
}

#[test]
fn a_restart_into_a_bad_configuration_is_refused() {
    let Some(lab) = Lab::new() else { return };
    let config = lab.file("conf", "log_level = 2\n");
    let agent = lab.start(&["-c", &config]);
    lab.file("conf", "log_level = nine\n");
    let reply = agent.ask(r#"{"command":"restart"}"#);
    assert_eq!(reply["code"], 500, "{reply}");
    assert_eq!(agent.ask(STATUS)["code"], 100);
    agent.stop();
}

#[test]
fn a_restart_starts_over_in_the_same_process() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&[]);
    let add = r#"{"command":"add-group-address","group":"GROUP","data":"10.0.0.1"}"#;
    for group in ["kept", "lost"] {
        assert_eq!(agent.ask(&add.replace("GROUP", group))["code"], 100);
    }
    assert_eq!(agent.ask(r#"{"command":"save-address-group","group":"kept"}"#)["code"], 100);
    let mut client = agent.client();
    let reply = client.ask(r#"{"command":"restart"}"#);
    assert_eq!((&reply["code"], &reply["message"]), (&100.into(), &"Bye, bye.".into()));
    assert!(client.line().is_err(), "the connection ends");
    until(|| Client::open(&lab.socket()).ok()?.try_ask(STATUS).ok(), || "an answer".into());
    let list = agent.data(r#"{"command":"list-address-groups"}"#);
    assert_eq!((&list["total"], &list["groups"][0]["name"]), (&1.into(), &"kept".into()));
    assert_eq!(agent.udp("r 1 verbose").len(), 3);
    agent.stop();
}

#[test]
fn sigterm_ends_it_soon_whatever_goes_on() {
    let Some(lab) = Lab::new() else { return };
    for round in 0..10 {
        let agent = lab.start(&["-i", "va"]);
        let mut clients: Vec<Client> = (0..20).map(|_| agent.client()).collect();
        for client in clients.iter_mut().take(10) {
            client.send(r#"{"command":"subscribe"}"#).unwrap();
        }
        for client in clients.iter_mut().skip(10).take(5) {
            client.send(&STATUS.repeat(2_000)).unwrap();
        }
        clients[19].send("{\"command\":").unwrap();
        if round == 0 {
            agent.signal(libc::SIGUSR1);
            lab.wait_for_log("uptime");
            assert_eq!(agent.ask(STATUS)["code"], 100);
        }
        agent.stop();
    }
}

// Standard descriptors.

#[test]
fn closed_standard_descriptors_are_no_trouble() {
    let Some(lab) = Lab::new() else { return };
    let inner = lab.command(&["-vvv"]);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh", PROGRAM]).args(inner.get_args());
    let mut agent = lab.spawn(command);
    agent.wait_for_answer();
    for n in 0..3 {
        let target = fs::read_link(format!("/proc/{}/fd/{n}", agent.pid())).unwrap();
        assert_eq!(target, Path::new("/dev/null"), "descriptor {n}");
    }
    agent.stop();
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let Some(lab) = Lab::new() else { return };
    let (reader, mut writer) = std::io::pipe().unwrap();
    // Full but for a few octets.
    writer.write_all(&vec![b'x'; 65_536 - 100]).unwrap();
    let mut command = lab.command(&["-v", "-v", "-v", "-i", "va"]);
    command.stderr(writer);
    let mut agent = lab.spawn(command);
    agent.wait_for_answer();
    let mut spam = agent.client();
    for _ in 0..200 {
        let _ = spam.try_ask("{nonsense}\n");
        agent.signal(libc::SIGHUP);
    }
    agent.assert_responsive();
    agent.stop();
    drop(reader);
}

#[test]
fn a_log_whose_reader_is_gone_holds_nothing_up() {
    let Some(lab) = Lab::new() else { return };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = lab.command(&["--management-password", "secret", "-v"]);
    command.stderr(writer);
    let mut agent = lab.spawn(command);
    agent.wait_for_answer();
    agent.signal(libc::SIGHUP);
    agent.assert_responsive();
    agent.stop();
}

#[test]
fn the_log_is_limited_however_it_is_provoked() {
    let Some(lab) = Lab::new() else { return };
    let agent = lab.start(&["-i", "va"]);
    let start = Instant::now();
    let stranger = within(&lab.here, || UdpSocket::bind("127.0.0.1:0").unwrap());
    stranger.connect("127.0.0.1:5644").unwrap();
    for _ in 0..300 {
        agent.signal(libc::SIGHUP);
        let _ = agent.client().try_ask("{nonsense}\n");
        stranger.send(b"w 1:1:bad verbose 4").unwrap();
        if start.elapsed() > Duration::from_secs(5) {
            break;
        }
    }
    agent.assert_responsive();
    let lines = lab.log().lines().count();
    assert!(lines < 100, "{lines} lines:\n{}", lab.log());
    agent.stop();
}

#[test]
fn a_client_that_waits_before_the_agent_is_there_is_served() {
    let Some(lab) = Lab::new() else { return };
    let mut agent: Agent = lab.spawn(lab.command(&[]));
    let mut stream = until(
        || std::os::unix::net::UnixStream::connect(lab.socket()).ok(),
        || "the first connection".into(),
    );
    stream.write_all(STATUS.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("{\"code\":100"), "{answer}");
    agent.wait_for_answer();
    agent.stop();
}
