//! Discovery against the real kernel: namespaces with mounts, processes and pairs, compared with
//! what `/proc` and `ip` say of them. Skipped aloud where namespaces are not permitted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

#[path = "support/process.rs"]
mod process;

use process::{Agent, Lab, PATIENCE, ip, pause, until, within};

/// A process of the test's own.
struct Running(Child);

impl Running {
    /// Starts a program inside a namespace and waits until it has said a line.
    fn inside(namespace: &str, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = within(namespace, move || command.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It reads its input, and ends what it started when that ends.
        drop(self.0.stdin.take());
        let end = Instant::now() + PATIENCE;
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < end {
            pause();
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Namespace(String);

impl Namespace {
    fn new(lab: &Lab, suffix: &str) -> Self {
        let name = format!("{}{suffix}", lab.here);
        ip(&format!("netns add {name}"));
        Self(name)
    }

    fn inode(&self) -> u64 {
        inode(&format!("/run/netns/{}", self.0))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut delete = Command::new("ip");
        let _ = delete.args(["netns", "del", &self.0]).stderr(Stdio::null()).status();
    }
}

fn inode(path: &str) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// Field 22 of a process's line.
fn starttime(pid: u32) -> u64 {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = line.rsplit_once(") ").unwrap();
    rest.split(' ').nth(19).unwrap().parse().unwrap()
}

fn start(lab: &Lab, options: &[&str]) -> (Agent, String) {
    let options = [&["--management-port", "0", "--http", "127.0.0.1:0"], options].concat();
    let agent = lab.start(&options);
    let address = until(
        || {
            let log = lab.log();
            let (_, rest) = log.split_once("http://")?;
            Some(rest.lines().next()?.split(',').next()?.trim().to_owned())
        },
        || format!("an address in the log:\n{}", lab.log()),
    );
    (agent, address)
}

/// Head and body of an answer.
fn ask(lab: &Lab, address: &str, method: &str, path: &str) -> (String, Vec<u8>) {
    within(&lab.here, || {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let at = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
        let body = all.split_off(at + 4);
        (String::from_utf8(all).unwrap(), body)
    })
}

#[track_caller]
fn get(lab: &Lab, address: &str, path: &str) -> Value {
    let (head, body) = ask(lab, address, "GET", path);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("Content-Type: application/json\r\n"), "{head}");
    serde_json::from_slice(&body).unwrap()
}

fn targets(document: &Value, inode: u64) -> Vec<Value> {
    let list = document["containers"].as_array().unwrap();
    list.iter().filter(|target| target["netns"] == inode).cloned().collect()
}

fn space(document: &Value, inode: u64) -> Value {
    let list = document["network-namespaces"].as_array().unwrap();
    list.iter().find(|space| space["netnsid"] == inode).unwrap().clone()
}

#[test]
fn capture_targets_are_the_topmost_processes_and_the_mounts() {
    let Some(lab) = Lab::new() else { return };
    let (empty, lived) = (Namespace::new(&lab, "e"), Namespace::new(&lab, "l"));
    ip(&format!("-n {} link set lo up", lived.0));
    ip(&format!("-n {} link add d0 type veth peer name d1", lived.0));
    ip(&format!("-n {} link set d0 up", lived.0));
    let script = "sleep 1000 & echo ready; read x; kill $!";
    let top = Running::inside(&lived.0, "sh", &["-c", script]);
    // Down into another namespace and back again: it leads a tree of its own.
    let back = format!(
        "nsenter --net=/run/netns/{} sh -c 'nsenter --net=/run/netns/{} sh -c \"echo ready; read x\"; :'",
        lab.there, lived.0
    );
    let odd = Running::inside(&lived.0, "sh", &["-c", &format!("{back}; :")]);
    let (_agent, address) = start(&lab, &[]);
    let document = get(&lab, &address, "/mobyshark");

    let found = targets(&document, empty.inode());
    let path = format!("/run/netns/{}", empty.0);
    let expected = json!({"name": path, "type": "bindmount", "netns": empty.inode(),
        "network-interfaces": [], "pid": 0, "starttime": 0, "prefix": ""});
    assert_eq!(found, [expected]);

    let found = targets(&document, lived.inode());
    let pids: BTreeSet<u64> = found.iter().map(|t| t["pid"].as_u64().unwrap()).collect();
    assert!(pids.contains(&top.pid().into()) && pids.contains(&odd.pid().into()), "{found:?}");
    assert_eq!(pids.len(), 3, "{found:?}");
    let tree = found.iter().find(|target| target["pid"] == top.pid()).unwrap();
    // One end of the pair is down, and that pulls the other one's carrier: both states are told.
    let links = Command::new("ip").args(["-n", &lived.0, "-j", "link"]).output().unwrap();
    let links: Value = serde_json::from_slice(&links.stdout).unwrap();
    let up = |link: &&Value| link["operstate"] != "DOWN";
    let names: Vec<&Value> =
        links.as_array().unwrap().iter().filter(up).map(|link| &link["ifname"]).collect();
    let expected = json!({"name": format!("sh({})", top.pid()), "type": "proc",
        "netns": lived.inode(), "network-interfaces": names, "pid": top.pid(),
        "starttime": starttime(top.pid()), "prefix": ""});
    assert_eq!(*tree, expected);
    assert!(names.contains(&&json!("lo")) && !names.contains(&&json!("d1")), "{names:?}");

    for entry in document["containers"].as_array().unwrap() {
        assert_ne!(entry["name"], "kthreadd(2)");
    }
    let all = document["containers"].as_array().unwrap();
    let names: BTreeSet<String> =
        all.iter().map(|target| format!("{} {}", target["prefix"], target["name"])).collect();
    assert_eq!(names.len(), all.len(), "names are not unique");
    let (head, body) = ask(&lab, &address, "HEAD", "/discover/mobyshark");
    assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty());
    assert!(ask(&lab, &address, "GET", "/discover/other").0.starts_with("HTTP/1.1 404 "));
}

#[test]
fn the_document_says_what_ip_says() {
    let Some(lab) = Lab::new() else { return };
    let (one, two) = (Namespace::new(&lab, "x"), Namespace::new(&lab, "y"));
    // Another pair with the very same numbers must not be taken for this one.
    let (three, four) = (Namespace::new(&lab, "z"), Namespace::new(&lab, "w"));
    for (near, far) in [(&one.0, &two.0), (&three.0, &four.0)] {
        ip(&format!("-n {near} link add e0 type veth peer name f0 netns {far}"));
    }
    let (a, b) = (&one.0, &two.0);
    ip(&format!("-n {a} link set lo up"));
    ip(&format!("-n {a} link add brd0 type bridge"));
    ip(&format!("-n {a} link set e0 master brd0"));
    ip(&format!(
        "-n {a} link add vx type vxlan id 42 dstport 4789 remote 192.0.2.9 local 192.0.2.1"
    ));
    ip(&format!("-n {a} addr add 192.0.2.1/24 dev brd0"));
    ip(&format!("-n {a} addr add 2001:db8::1/64 dev brd0 nodad"));
    ip(&format!("-n {a} link set brd0 up"));
    ip(&format!("-n {a} link set e0 up"));
    ip(&format!("-n {b} link set f0 up"));
    ip(&format!("-n {b} link add mv link f0 type macvlan"));
    ip(&format!("-n {a} route add 198.51.100.0/24 via 192.0.2.254"));
    ip(&format!("-n {a} route add blackhole 203.0.113.0/24"));
    let listener = within(&one.0, || TcpListener::bind("192.0.2.1:53").unwrap());
    let (_agent, address) = start(&lab, &[]);
    let document = get(&lab, &address, "/json");
    let found = space(&document, one.inode());
    assert_eq!(found["id"], format!("netns-{}", one.inode()));

    // Interfaces and addresses.
    let output = Command::new("ip").args(["-n", a, "-j", "-d", "addr"]).output().unwrap();
    let links: Value = serde_json::from_slice(&output.stdout).unwrap();
    let links: Vec<&Value> =
        links.as_array().unwrap().iter().filter(|link| link["ifname"].is_string()).collect();
    let interfaces = found["network-interfaces"].as_array().unwrap();
    assert_eq!(interfaces.len(), links.len());
    for link in links {
        let interface = interfaces.iter().find(|i| i["name"] == link["ifname"]).unwrap();
        assert_eq!(interface["index"], link["ifindex"]);
        assert_eq!(interface["operstate"], link["operstate"]);
        assert_eq!(interface["addresses"]["mac"], link["address"]);
        let kind = &link["linkinfo"]["info_kind"];
        assert_eq!(interface["kind"], if kind.is_null() { json!("") } else { kind.clone() });
        let mut expected = BTreeSet::new();
        for known in link["addr_info"].as_array().unwrap() {
            expected.insert(format!("{}/{}", known["local"], known["prefixlen"]));
        }
        let mut told = BTreeSet::new();
        for family in ["ipv4", "ipv6"] {
            for known in interface["addresses"][family].as_array().unwrap() {
                told.insert(format!("{}/{}", known["address"], known["prefixlen"]));
            }
        }
        assert_eq!(told, expected, "{}", link["ifname"]);
    }
    let named = |name: &str| interfaces.iter().find(|i| i["name"] == name).unwrap();
    let nif = |inode: u64, index: &Value| json!(format!("nif-{inode}-{index}"));
    let bridge = named("brd0");
    assert_eq!(named("e0")["master"]["idref"], nif(one.inode(), &bridge["index"]));
    assert_eq!(bridge["slaves"][0]["name"], "e0");
    assert_eq!(named("vx")["vxlan"]["vid"], 42);
    assert_eq!(named("vx")["vxlan"]["remote"]["remote_ipv4"], "192.0.2.9");
    assert_eq!(named("vx")["vxlan"]["remote-port"], 4_789);

    // The other end of a pair, though another pair looks just the same.
    for (near, far) in [(&one, &two), (&three, &four)] {
        let here = space(&document, near.inode());
        let list = here["network-interfaces"].as_array().unwrap();
        let end = list.iter().find(|i| i["name"] == "e0").unwrap();
        assert_eq!(end["peer"]["peer-idref"], nif(far.inode(), &end["peer"]["peer-index"]));
        assert_eq!(end["peer"]["peer-name"], "f0");
    }
    let there = space(&document, two.inode());
    let list = there["network-interfaces"].as_array().unwrap();
    let on_top = list.iter().find(|i| i["name"] == "mv").unwrap();
    let below = list.iter().find(|i| i["name"] == "f0").unwrap();
    assert_eq!(on_top["macvlan"]["idref"], below["id"]);
    assert_eq!(below["macvlans"][0]["idref"], on_top["id"]);

    // Routes.
    let routes = found["routes"]["ipv4"].as_array().unwrap();
    let route = |to: &str| routes.iter().find(|route| route["destination"] == to).unwrap();
    let via = route("198.51.100.0");
    assert_eq!((&via["next-hop"], &via["type"]), (&json!("192.0.2.254"), &json!("unicast")));
    assert_eq!(via["network-interface-idref"], bridge["id"]);
    let hole = route("203.0.113.0");
    assert_eq!(hole["type"], "blackhole");
    assert!(hole["index"].is_null() && hole["network-interface-idref"].is_null());

    // Sockets, and whose they are.
    let ports = found["transport-ports"]["ipv4"].as_array().unwrap();
    let port = ports.iter().find(|port| port["local-port"] == 53).unwrap();
    assert_eq!((&port["protocol"], &port["macrostate"]), (&json!("tcp"), &json!("listening")));
    assert_eq!(port["local-servicename"], "domain");
    assert_eq!(port["owners"][0]["pid"], std::process::id());
    assert_eq!(port["network-interface-idrefs"], json!([bridge["id"]]));
    drop(listener);
    assert_eq!(found["forwarded-ports"], json!({"ipv4": [], "ipv6": []}));
    assert!(document["pid-namespaces"].as_array().is_some_and(|list| !list.is_empty()));
}

#[test]
fn files_of_others_lead_nowhere_else() {
    let Some(lab) = Lab::new() else { return };
    let secret = lab.file("secret", "192.0.2.66 stolen\n");
    let root = lab.dir.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    std::os::unix::fs::symlink(&secret, root.join("etc/hosts")).unwrap();
    fs::write(root.join("etc/hostname"), "inside\n").unwrap();
    for folder in ["bin", "lib", "lib64", "usr", "proc"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let mounts: String = ["bin", "lib", "lib64", "usr"]
        .iter()
        .map(|folder| format!("mount --bind /{folder} {}/{folder} && ", root.display()))
        .collect();
    let script = format!("{mounts} exec chroot {} sh -c 'echo ready; read x'", root.display());
    let jailed = Running::inside(&lab.there, "unshare", &["--mount", "sh", "-c", &script]);
    let (_agent, address) = start(&lab, &[]);
    let document = get(&lab, &address, "/json");
    let found = space(&document, inode(&format!("/run/netns/{}", lab.there)));
    let list = found["containers"].as_array().unwrap();
    let tenant = list.iter().find(|tenant| tenant["pid"] == jailed.pid()).unwrap();
    assert_eq!(tenant["dns"]["etc-hostname"], "inside");
    assert_eq!(tenant["dns"]["etc-hosts"], json!([]));
}

#[test]
fn what_is_below_discover_comes_from_the_service_that_is_set() {
    let Some(lab) = Lab::new() else { return };
    let service = within(&lab.here, || {
        ip(&format!("-n {} link set lo up", lab.here));
        TcpListener::bind("127.0.0.1:0").unwrap()
    });
    let set = format!("discovery_service={}", service.local_addr().unwrap());
    let (_agent, address) = start(&lab, &["-s", &set]);
    let server = std::thread::spawn(move || {
        let (mut stream, _) = service.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4_096];
        while !request.windows(4).any(|w| w == b"\r\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..count]);
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
            Transfer-Encoding: chunked\r\n\r\n6\r\n{\"a\":1\r\n1\r\n}\r\n0\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
        (String::from_utf8(request).unwrap(), stream)
    });
    assert_eq!(get(&lab, &address, "/discover/ui/x?q=%2F"), json!({"a": 1}));
    let (request, _stream) = server.join().unwrap();
    assert!(request.starts_with("GET /ui/x?q=%2F HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nEnable-Monolith: "), "{request}");
    assert!(get(&lab, &address, "/mobyshark")["containers"].is_array());
    // It is gone by now.
    let (head, body) = ask(&lab, &address, "GET", "/discover/mobyshark");
    assert!(head.starts_with("HTTP/1.1 502 "), "{head}");
    assert!(String::from_utf8(body).unwrap().contains("the discovery service"));
}
