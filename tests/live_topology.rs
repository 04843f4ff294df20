//! The map against the real kernel: namespaces, bridges, pairs, macvlan and vxlan interfaces that
//! change while the agent runs, afterwards compared with what `ip` and `bridge` say, in every
//! field that both know. Skipped aloud where namespaces are not permitted.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

#[path = "support/process.rs"]
mod process;

use process::{Agent, Lab, ip, pause, until, within};

/// Longer than the agent takes to see what the kernel does not announce.
const PATIENCE: Duration = Duration::from_secs(30);

/// A namespace of a test's own.
struct Namespace(String);

impl Namespace {
    fn new(name: String) -> Self {
        ip(&format!("netns add {name}"));
        Self(name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut delete = Command::new("ip");
        let _ = delete.args(["netns", "del", &self.0]).stderr(Stdio::null()).status();
    }
}

fn start(lab: &Lab) -> Agent {
    let mut command = lab.command(&["--management-port", "0"]);
    command.env("PORTOLAN_TOPOLOGY_METRICS_UPDATE", "1");
    command.stderr(Stdio::null());
    let mut agent = lab.spawn(command);
    agent.wait_for_answer();
    agent
}

/// The nodes of the map, those of other tests' namespaces included.
fn nodes(agent: &Agent, filter: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut after = 0_u64;
    loop {
        let request = format!("{{\"command\":\"topology\",\"n\":100,\"after\":{after}{filter}}}");
        let data = agent.data(&request);
        found.extend(data["rows"].as_array().unwrap().iter().cloned());
        match data["next"].as_u64() {
            Some(next) => after = next,
            None => return found,
        }
    }
}

/// The interfaces of a namespace; the empty name is the agent's own.
fn interfaces(agent: &Agent, namespace: &str) -> Vec<Value> {
    let mut all = nodes(agent, &format!(",\"netns\":\"{namespace}\""));
    all.retain(|node| node["ifindex"] != 0);
    all
}

fn interface(agent: &Agent, namespace: &str, name: &str) -> Option<Value> {
    interfaces(agent, namespace).into_iter().find(|node| node["name"] == name)
}

fn namespace(agent: &Agent, name: &str) -> Option<Value> {
    nodes(agent, ",\"type\":\"netns\"").into_iter().find(|node| node["name"] == name)
}

fn output(program: &str, namespace: &str, arguments: &str) -> Vec<Value> {
    let mut command = Command::new(program);
    command.args(["-n", namespace, "-j", "-d"]).args(arguments.split(' '));
    let output = command.output().unwrap();
    if output.stdout.iter().all(u8::is_ascii_whitespace) {
        return Vec::new();
    }
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    rows.as_array()
        .unwrap()
        .iter()
        .filter(|row| ["ifname", "dev", "dst"].iter().any(|key| !row[*key].is_null()))
        .cloned()
        .collect()
}

/// What `ip` and `bridge` say of a namespace, one line for each fact.
fn expected(namespace: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    let links = output("ip", namespace, "link show");
    let number = |name: &Value| {
        let link = links.iter().find(|link| link["ifname"] == *name);
        link.map_or(Value::Null, |link| link["ifindex"].clone())
    };
    for link in &links {
        let name = link["ifname"].as_str().unwrap();
        let mut fact = |what: &str, value: &Value| {
            if !value.is_null() {
                facts.insert(format!("{name} {what} {value}"));
            }
        };
        fact("IfIndex", &link["ifindex"]);
        fact("MTU", &link["mtu"]);
        fact("MAC", &link["address"]);
        fact("State", &link["operstate"]);
        fact("EncapType", &link["link_type"]);
        fact("Alias", &link["ifalias"]);
        let kind = &link["linkinfo"]["info_kind"];
        let device = Value::from("device");
        fact("Type", if kind.is_null() { &device } else { kind });
        if kind == "vxlan" {
            fact("VNI", &link["linkinfo"]["info_data"]["id"]);
            fact("Local", &link["linkinfo"]["info_data"]["local"]);
            fact("Remote", &link["linkinfo"]["info_data"]["remote"]);
        }
        fact("LinkNetNsID", &link["link_netnsid"]);
        fact("MasterIndex", &number(&link["master"]));
        let below = &link["linkinfo"]["info_data"]["link"];
        let parent = match (&link["link_index"], &link["link"]) {
            (Value::Null, Value::Null) => number(below),
            (Value::Null, name) => number(name),
            (index, _) => index.clone(),
        };
        fact("ParentIndex", &parent);
        if kind == "veth" {
            fact("PeerIfIndex", &parent);
        }
        for flag in link["flags"].as_array().unwrap() {
            if ["UP", "BROADCAST", "LOOPBACK", "POINTOPOINT", "MULTICAST", "PROMISC"]
                .contains(&flag.as_str().unwrap())
            {
                fact("LinkFlags", flag);
            }
        }
    }
    for link in output("ip", namespace, "addr show") {
        for address in link["addr_info"].as_array().unwrap() {
            let (name, local) =
                (link["ifname"].as_str().unwrap(), address["local"].as_str().unwrap());
            facts.insert(format!("{name} address {local}/{}", address["prefixlen"]));
        }
    }
    let routes = ["-4 route show table all", "-6 route show table all"];
    for route in routes.into_iter().flat_map(|words| output("ip", namespace, words)) {
        let table = match route["table"].as_str() {
            None | Some("main") => "254",
            Some("local") => "255",
            Some(other) => other,
        };
        let gateway = |hop: &Value| {
            let via = hop["via"]["host"].as_str();
            hop["gateway"].as_str().or(via).unwrap_or("-").to_owned()
        };
        let to = match route["dst"].as_str().unwrap() {
            "default" if gateway(&route).contains(':') => "::/0".to_owned(),
            "default" => "0.0.0.0/0".to_owned(),
            net if net.contains('/') => net.to_owned(),
            host if host.contains(':') => format!("{host}/128"),
            host => format!("{host}/32"),
        };
        let protocol = match route["protocol"].as_str() {
            Some("kernel") => "2",
            Some("boot") | None => "3",
            Some("static") => "4",
            Some(other) => other,
        };
        let metric = route["metric"].as_u64().unwrap_or(0);
        let single = vec![route.clone()];
        for hop in route["nexthops"].as_array().unwrap_or(&single) {
            let name = hop["dev"].as_str().unwrap();
            facts.insert(format!("{name} route {table} {to} {} {metric} {protocol}", gateway(hop)));
        }
    }
    for row in output("ip", namespace, "neigh show nud all") {
        let mac = row["lladdr"].as_str().unwrap_or("-");
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let state = row["state"][0].as_str().unwrap();
        facts.insert(format!("{} neighbour {} {mac} {state}", text("dev"), text("dst")));
    }
    for row in output("bridge", namespace, "fdb show") {
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let vlan = row["vlan"].as_u64().unwrap_or(0);
        let own = row["flags"].as_array().unwrap().iter().any(|flag| flag == "self");
        facts.insert(format!(
            "{} fdb {} {vlan} {} {}",
            text("ifname"),
            text("mac"),
            text("dst"),
            if own { "self" } else { "-" }
        ));
    }
    facts
}

/// The same facts as the map has them.
fn shown(agent: &Agent, namespace: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for node in interfaces(agent, namespace) {
        let metadata = &node["metadata"];
        let name = metadata["Name"].as_str().unwrap();
        let list = |of: &Value| of.as_array().cloned().unwrap_or_default();
        for what in [
            "IfIndex",
            "MTU",
            "MAC",
            "State",
            "EncapType",
            "Alias",
            "Type",
            "VNI",
            "Local",
            "Remote",
            "LinkNetNsID",
            "MasterIndex",
            "ParentIndex",
            "PeerIfIndex",
        ] {
            if !metadata[what].is_null() {
                facts.insert(format!("{name} {what} {}", metadata[what]));
            }
        }
        for flag in list(&metadata["LinkFlags"]) {
            if flag != "RUNNING" {
                facts.insert(
                    format!("{name} LinkFlags {flag}").replace("POINTTOPOINT", "POINTOPOINT"),
                );
            }
        }
        for key in ["IPV4", "IPV6"] {
            for address in list(&metadata[key]) {
                facts.insert(format!("{name} address {}", address.as_str().unwrap()));
            }
        }
        for table in list(&metadata["RoutingTables"]) {
            for route in list(&table["Routes"]) {
                for hop in list(&route["NextHops"]) {
                    assert_eq!(hop["IfIndex"], metadata["IfIndex"]);
                    facts.insert(format!(
                        "{name} route {} {} {} {} {}",
                        table["ID"],
                        route["Prefix"].as_str().unwrap(),
                        hop["IP"].as_str().unwrap_or("-"),
                        hop["Priority"].as_u64().unwrap_or(0),
                        route["Protocol"],
                    ));
                }
            }
        }
        for row in list(&metadata["Neighbors"]) {
            let state = row["State"][0].as_str().unwrap().replace("NUD_", "");
            let mac = row["MAC"].as_str().unwrap_or("-");
            facts.insert(format!("{name} neighbour {} {mac} {state}", row["IP"].as_str().unwrap()));
        }
        for row in list(&metadata["FDB"]) {
            let own = list(&row["Flags"]).iter().any(|flag| flag == "NTF_SELF");
            let (mac, vlan) = (row["MAC"].as_str().unwrap(), row["Vlan"].as_u64().unwrap_or(0));
            let to = row["IP"].as_str().unwrap_or("-");
            facts
                .insert(format!("{name} fdb {mac} {vlan} {to} {}", if own { "self" } else { "-" }));
        }
    }
    facts
}

/// Waits until the map of a namespace says what `ip` and `bridge` say.
#[track_caller]
fn assert_equal(agent: &Agent, named: &str, shown_as: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let (shown, expected) = (shown(agent, shown_as), expected(named));
        if shown == expected {
            assert!(expected.len() > 5, "{expected:?}");
            return;
        }
        let missing: Vec<_> = expected.difference(&shown).collect();
        let wrong: Vec<_> = shown.difference(&expected).collect();
        assert!(Instant::now() < end, "{named}: missing {missing:#?}, wrong {wrong:#?}");
        pause();
    }
}

/// The nodes that edges of a relation come from, by name.
fn parents(agent: &Agent, node: &Value, relation: &str) -> Vec<(String, String)> {
    let names: BTreeMap<String, String> = nodes(agent, "")
        .iter()
        .map(|node| (node["id"].as_str().unwrap().into(), node["name"].as_str().unwrap().into()))
        .collect();
    let edges = node["edges"].as_array().unwrap().iter();
    let edges = edges.filter(|edge| edge["relation"] == relation);
    let mut found: Vec<_> = edges
        .map(|edge| {
            let parent = names.get(edge["parent"].as_str().unwrap()).cloned();
            (parent.unwrap_or_default(), edge["type"].as_str().unwrap().to_owned())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn the_map_is_what_the_kernel_says_after_all_kinds_of_changes() {
    let Some(lab) = Lab::new() else { return };
    let agent = start(&lab);
    let (a, b) = (lab.here.clone(), lab.there.clone());
    let third = Namespace::new(format!("{a}x"));
    let c = &third.0;
    for change in [
        format!("-n {a} link add br0 type bridge"),
        format!("-n {a} link set br0 up"),
        format!("-n {a} link add p0 type veth peer name p1 netns {c}"),
        format!("-n {a} link set p0 master br0"),
        format!("-n {a} link set p0 up alias uplink"),
        format!("-n {c} link set p1 up mtu 1400"),
        format!("-n {c} link set lo up"),
        format!("-n {c} addr add 192.0.2.2/24 dev p1"),
        format!("-n {c} addr add 2001:db8::2/64 dev p1 nodad"),
        format!("-n {c} route add default via 192.0.2.1"),
        format!("-n {c} route add 198.51.100.0/24 via 192.0.2.9 metric 50 table 77"),
        format!("-n {c} route add 203.0.113.0/24 via 192.0.2.7 proto static"),
        format!("-n {c} route replace 203.0.113.0/24 via 192.0.2.8 proto static"),
        format!("-n {c} -6 route add 2001:db8:1::/48 via 2001:db8::1"),
        format!("-n {c} neigh add 192.0.2.1 lladdr 02:00:00:00:00:11 nud permanent dev p1"),
        format!("-n {c} neigh add 2001:db8::1 lladdr 02:00:00:00:00:11 nud permanent dev p1"),
        format!("-n {c} link add mv0 link p1 type macvlan mode bridge"),
        format!("-n {a} addr add 10.98.0.1/24 dev br0"),
        format!(
            "-n {a} link add vx0 type vxlan id 42 local 10.98.0.1 remote 10.98.0.2 dstport 4789 dev br0"
        ),
        format!("-n {a} link set vx0 up"),
        format!("-n {b} addr add 10.99.0.9/24 dev vb"),
        format!("-n {b} addr del 10.99.0.9/24 dev vb"),
        format!("-n {a} link add t0 type veth peer name t1"),
        format!("-n {a} link set t1 name renamed"),
        format!("-n {a} tuntap add tap0 mode tap"),
    ] {
        ip(&change);
    }
    let fdb = Command::new("bridge")
        .args(["-n", &a, "fdb", "append", "02:00:00:00:00:99", "dev", "vx0", "dst", "10.98.0.7"])
        .status();
    assert!(fdb.unwrap().success());
    assert_equal(&agent, &a, "");
    assert_equal(&agent, &b, &b);
    assert_equal(&agent, c, c);

    let p0 = interface(&agent, "", "p0").unwrap();
    let p1 = interface(&agent, c, "p1").unwrap();
    assert_eq!(p0["metadata"]["Driver"], "veth");
    assert_eq!(p0["metadata"]["LinkNetNsName"], **c);
    assert_eq!(p0["metadata"]["Speed"], 10_000);
    assert_eq!(p0["metadata"]["Features"]["highdma"], true);
    assert!(parents(&agent, &p0, "layer2").contains(&("br0".into(), String::new())));
    assert_eq!(parents(&agent, &p1, "ownership"), [(c.clone(), String::new())]);
    let pair: Vec<_> = [&p0, &p1].map(|end| parents(&agent, end, "layer2")).concat();
    assert!(pair.iter().filter(|(_, kind)| kind == "veth").count() == 1, "{pair:?}");
    let mv0 = interface(&agent, c, "mv0").unwrap();
    assert_eq!(parents(&agent, &mv0, "lower"), [("p1".into(), "macvlan".into())]);
    let vx0 = interface(&agent, "", "vx0").unwrap();
    assert_eq!(parents(&agent, &vx0, "lower"), [("br0".into(), "vxlan".into())]);

    // And back again, in part.
    for change in [
        format!("-n {a} link set p0 nomaster"),
        format!("-n {a} link del vx0"),
        format!("-n {c} link set p1 down"),
        format!("-n {c} link del mv0"),
        format!("-n {a} link set t0 netns {c}"),
        format!("-n {c} link set t0 up"),
    ] {
        ip(&change);
    }
    assert_equal(&agent, &a, "");
    assert_equal(&agent, c, c);
    let p0 = interface(&agent, "", "p0").unwrap();
    assert!(!parents(&agent, &p0, "layer2").contains(&("br0".into(), String::new())));
    drop(third);
    until(
        || interface(&agent, "", "p0").is_none().then_some(()),
        || "the end of a pair whose namespace went".to_owned(),
    );
    assert_equal(&agent, &a, "");
    agent.stop();
}

#[test]
fn an_interface_keeps_its_node_when_it_moves() {
    let Some(lab) = Lab::new() else { return };
    let agent = start(&lab);
    let (a, b) = (&lab.here, &lab.there);
    ip(&format!("-n {a} link add m0 type veth peer name m1"));
    let find = |namespace: &str| {
        until(|| interface(&agent, namespace, "m0"), || format!("m0 in {namespace:?}"))
    };
    let before = find("");
    ip(&format!("-n {a} link set m0 netns {b}"));
    let after = find(b);
    assert_eq!(before["id"], after["id"]);
    assert_ne!(before["tid"], after["tid"]);
    // The kernel says nothing of it to the end that stayed.
    until(
        || {
            let m1 = interface(&agent, "", "m1")?;
            let known = &m1["metadata"]["LinkNetNsName"];
            (*known == **b && m1["metadata"]["PeerIfIndex"] == after["ifindex"]).then_some(())
        },
        || format!("m1 with its peer in {b}"),
    );
    agent.stop();
}

#[test]
fn equal_numbers_in_two_namespaces_are_told_apart() {
    let Some(lab) = Lab::new() else { return };
    let agent = start(&lab);
    let third = Namespace::new(format!("{}y", lab.here));
    let (a, b, c) = (&lab.here, &lab.there, &third.0);
    // The same number at both far ends.
    for (end, other) in [(b, 71), (c, 72)] {
        ip(&format!(
            "-n {end} link add twin index 900 type veth peer name back index {} netns {a}",
            other + 800
        ));
        ip(&format!("-n {a} link set back name back{other}"));
    }
    for (end, other) in [(b, 71), (c, 72)] {
        until(
            || {
                let near = interface(&agent, "", &format!("back{other}"))?;
                let twin = interface(&agent, end, "twin")?;
                let ok = near["metadata"]["LinkNetNsName"] == **end
                    && near["metadata"]["PeerIfIndex"] == 900
                    && twin["ifindex"] == 900
                    // 900 is the greater number.
                    && near["edges"].as_array().unwrap().iter().any(|edge| {
                        edge["type"] == "veth" && edge["parent"] == twin["id"]
                    });
                ok.then_some(())
            },
            || format!("the pair of {end}: {:?}", interface(&agent, "", &format!("back{other}"))),
        );
    }
    agent.stop();
}

#[test]
fn namespaces_come_and_go_and_leave_nothing_behind() {
    let Some(lab) = Lab::new() else { return };
    let agent = start(&lab);
    let name = format!("{}z", lab.here);
    // Each namespace that is followed costs a descriptor, those of other tests too.
    let open = || {
        let followed = nodes(&agent, ",\"type\":\"netns\"").len();
        agent.descriptors().saturating_sub(followed)
    };
    let before = open();
    for round in 0..20 {
        let one = Namespace::new(name.clone());
        ip(&format!("-n {name} link add v{round} type veth peer name w{round}"));
        let node = until(|| namespace(&agent, &name), || format!("{name}, time {round}"));
        assert_eq!(node["metadata"]["Path"], format!("/var/run/netns/{name}"));
        until(|| interface(&agent, &name, &format!("v{round}")), || format!("v{round}"));
        drop(one);
        until(|| namespace(&agent, &name).is_none().then_some(()), || format!("{name} gone"));
        assert!(interfaces(&agent, &name).is_empty());
    }
    // The agent's own namespace has a file too, and is none of the others.
    assert!(namespace(&agent, &lab.here).is_none());
    until(
        || (open() <= before + 2).then_some(()),
        || format!("{before} descriptors before, {} now", open()),
    );
    agent.stop();
}

#[test]
fn sockets_are_listed_with_their_processes_when_asked_for() {
    let Some(lab) = Lab::new() else { return };
    let listener = within(&lab.here, || std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    let mut command = lab.command(&["--management-port", "0"]);
    command.env("PORTOLAN_TOPOLOGY_SOCKETS", "yes").stderr(Stdio::null());
    let mut agent = lab.spawn(command);
    agent.wait_for_answer();
    let socket = until(
        || {
            let host = nodes(&agent, ",\"type\":\"host\"").remove(0);
            let list = host["metadata"]["Sockets"].as_array()?.clone();
            // For a moment the children that other tests start have it as well.
            let own =
                |socket: &Value| socket["LocalPort"] == port && socket["Pid"] == std::process::id();
            list.into_iter().find(own)
        },
        || format!("the socket at port {port}, of this process"),
    );
    assert_eq!((&socket["Protocol"], &socket["State"]), (&json!("TCP"), &json!("LISTEN")));
    assert_eq!(socket["LocalAddress"], "127.0.0.1");
    let program = std::env::current_exe().unwrap();
    assert_eq!(socket["Process"], program.to_str().unwrap());
    agent.stop();
}

#[test]
fn a_hundred_rounds_of_churn_end_in_what_is() {
    let Some(lab) = Lab::new() else { return };
    let agent = start(&lab);
    let (a, b) = (&lab.here, &lab.there);
    let mut batch = String::new();
    for round in 0..100 {
        for line in [
            format!("link add c{round} type veth peer name d{round} netns {b}"),
            format!("link set c{round} up"),
            format!("addr add 10.50.{round}.1/24 dev c{round}"),
        ] {
            batch += &line;
            batch.push('\n');
        }
        if round % 3 > 0 {
            batch += &format!("link del c{round}\n");
        } else {
            batch += &format!("link set c{round} mtu {}\n", 1_300 + round);
        }
    }
    let file = lab.file("batch", &batch);
    ip(&format!("-n {a} -batch {file}"));
    assert_equal(&agent, a, "");
    assert_equal(&agent, b, b);
    assert_eq!(agent.status()["counters"]["graph_refused"], json!(0));
    agent.stop();
}
