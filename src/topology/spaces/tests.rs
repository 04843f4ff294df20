//! The map fed with messages as the kernel would send them.

use super::*;
use crate::time::{Tick, Wall};
use crate::wire::netlink::{self, Info, LinkStatistics};

/// A map and the graph it writes, at a moment of their own.
struct Lab {
    spaces: Spaces,
    graph: Graph,
    clock: Clock,
    number: u8,
}

fn link(ifindex: u32, name: &str) -> netlink::Link<'_> {
    netlink::Link {
        ifindex,
        hardware: 1,
        flags: netlink::LINK_UP | netlink::LINK_MULTICAST,
        name: Some(name.as_bytes()),
        address: Some(&[2, 0, 0, 0, 0, 1]),
        mtu: Some(1_500),
        operstate: Some(6),
        ..netlink::Link::default()
    }
}

fn veth(ifindex: u32, name: &str, peer: u32, namespace: Option<i32>) -> netlink::Link<'_> {
    let kind = Some(&b"veth"[..]);
    netlink::Link { kind, parent: Some(peer), parent_namespace: namespace, ..link(ifindex, name) }
}

impl Lab {
    fn new() -> Self {
        let clock = Clock { tick: Tick::from_secs(1), wall: Wall(1_000_000) };
        let spaces = Spaces::new("router1");
        let mut lab = Self { spaces, graph: Graph::default(), clock, number: 0 };
        lab.sync(HOME, &[]);
        lab
    }

    fn add(&mut self, name: &str) -> SpaceKey {
        let path = format!("/var/run/netns/{name}");
        let found = Found { name: name.to_owned(), path, device: 4, inode: 77 };
        let key = self.spaces.add(&found).unwrap();
        self.sync(key, &[]);
        key
    }

    fn sync(&mut self, key: SpaceKey, messages: &[Message<'_>]) {
        self.spaces.begin_sync(key);
        for message in messages {
            self.spaces.apply(key, message, &self.clock);
        }
        self.spaces.end_sync(key);
        self.flush();
    }

    fn tell(&mut self, key: SpaceKey, messages: &[Message<'_>]) {
        for message in messages {
            self.spaces.apply(key, message, &self.clock);
        }
        self.flush();
    }

    fn flush(&mut self) {
        // Monotonic time alone: a pass is due.
        self.clock.tick = self.clock.tick.plus(PASS);
        while let Some((key, ifindex, _)) = self.spaces.next_inquiry() {
            self.spaces.set_card(key, ifindex, None);
        }
        let number = &mut self.number;
        let random = &mut || {
            *number = number.wrapping_add(1);
            [*number; 16]
        };
        while self.spaces.flush(&mut self.graph, &self.clock, random) {}
    }

    fn wait(&mut self, seconds: u64) {
        let micros = seconds.saturating_mul(1_000_000);
        self.clock.tick = self.clock.tick.plus(micros);
        self.clock.wall.0 = self.clock.wall.0.saturating_add_unsigned(micros);
        self.flush();
    }

    fn node(&self, name: &str) -> Rc<Node> {
        let mut found = self.graph.nodes().filter(|node| node.name() == name);
        let node = found.next().unwrap_or_else(|| panic!("no {name}"));
        assert!(found.next().is_none(), "two of {name}");
        Rc::clone(node)
    }

    fn json(&self, name: &str) -> serde_json::Value {
        let mut out = Vec::new();
        self.node(name).metadata.write(&mut out);
        serde_json::from_slice(&out).unwrap()
    }

    /// Edges as `parent>child relation type`, in order.
    fn edges(&self) -> Vec<String> {
        let name = |id: &str| self.graph.node(id).unwrap().name().to_owned();
        let mut all: Vec<String> = self
            .graph
            .edges()
            .map(|edge| {
                let kind = edge.element.metadata.text("Type").unwrap_or("-");
                let (parent, child) = (name(&edge.parent), name(&edge.child));
                format!("{parent}>{child} {} {kind}", edge.relation().unwrap())
            })
            .collect();
        all.sort();
        all
    }
}

fn address(ifindex: u32, ip: &str, prefix: u8) -> Message<'static> {
    let local = Some(ip.parse().unwrap());
    Message::NewAddress(netlink::Address { ifindex, local, prefix, ..Default::default() })
}

#[test]
fn identifiers_are_those_that_other_agents_compute() {
    let mut lab = Lab::new();
    lab.tell(
        HOME,
        &[Message::NewLink(netlink::Link { kind: Some(b"bridge"), ..link(3, "br-lan") })],
    );
    let vm1 = lab.add("vm1");
    lab.tell(vm1, &[Message::NewLink(veth(2, "eth0", 9, Some(0)))]);
    for (name, tid) in [
        ("router1", "8af03d07-11bb-5da4-80b0-e4cf758c479d"),
        ("vm1", "65e3ceee-1556-5fa9-9e77-da0514f0edc6"),
        ("br-lan", "42af79f5-693f-5bb8-8a69-e8dcb8033e8d"),
        ("eth0", "1a67b4f7-436e-57ba-8902-177ca42e5c49"),
    ] {
        assert_eq!(lab.node(name).tid(), Some(tid), "{name}");
    }
    let expected = serde_json::json!({
        "Name": "vm1", "Type": "netns", "Path": "/var/run/netns/vm1", "Inode": 77, "Device": 4,
        "TID": "65e3ceee-1556-5fa9-9e77-da0514f0edc6",
    });
    assert_eq!(lab.json("vm1"), expected);
    let eth0 = lab.node("eth0");
    assert_eq!(lab.spaces.place_of(&lab.graph, &eth0.id), Some((vm1, 2)));
    assert_eq!((&*eth0.host, &*eth0.origin), ("router1", "agent.router1"));
    // A new name does not make it another interface.
    lab.tell(vm1, &[Message::NewLink(veth(2, "wan", 9, Some(0)))]);
    assert_eq!((lab.node("wan").id.clone(), lab.node("wan").tid()), (eth0.id.clone(), eth0.tid()));
}

#[test]
fn an_interface_shows_all_that_is_known_of_it() {
    let mut lab = Lab::new();
    let neighbour = |family, ip: Option<&str>, flags, state| {
        Message::NewNeighbour(netlink::Neighbour {
            family,
            ifindex: 2,
            state,
            flags,
            ip: ip.map(|ip| ip.parse().unwrap()),
            mac: Some([2, 0, 0, 0, 0, 9]),
            vlan_id: (family == 7).then_some(5),
            ..netlink::Neighbour::default()
        })
    };
    let route = netlink::Route {
        family: 2,
        table: 254,
        protocol: 3,
        priority: 100,
        ifindex: Some(2),
        gateway: Some("192.0.2.254".parse().unwrap()),
        source: Some("192.0.2.1".parse().unwrap()),
        ..netlink::Route::default()
    };
    let statistics = LinkStatistics { rx_bytes: 10, tx_packets: 2, ..LinkStatistics::default() };
    lab.spaces.set_interval(1);
    lab.tell(
        HOME,
        &[
            Message::NewLink(netlink::Link { statistics: Some(statistics), ..link(2, "eth0") }),
            address(2, "192.0.2.1", 24),
            address(2, "fe80::1", 64),
            neighbour(2, Some("192.0.2.254"), 0, 0x02),
            neighbour(10, Some("fe80::9"), 0x80, 0x04),
            neighbour(7, None, 0x02, 0x80),
            Message::NewRoute(route),
        ],
    );
    lab.wait(2);
    let expected = serde_json::json!({
        "Name": "eth0", "Type": "device", "EncapType": "ether", "IfIndex": 2, "Driver": "",
        "MTU": 1500, "MAC": "02:00:00:00:00:01", "State": "UP", "LinkFlags": ["UP", "MULTICAST"],
        "IPV4": ["192.0.2.1/24"], "IPV6": ["fe80::1/64"],
        "FDB": [{"MAC": "02:00:00:00:00:09", "Flags": ["NTF_SELF"], "State": ["NUD_PERMANENT"],
                 "Vlan": 5}],
        "Neighbors": [
            {"IP": "192.0.2.254", "MAC": "02:00:00:00:00:09", "State": ["NUD_REACHABLE"]},
            {"IP": "fe80::9", "MAC": "02:00:00:00:00:09", "State": ["NUD_STALE"],
             "Flags": ["NTF_ROUTER"]},
        ],
        "RoutingTables": [{"ID": 254, "Src": "192.0.2.1", "Routes": [
            {"Prefix": "0.0.0.0/0", "Protocol": 3,
             "NextHops": [{"IP": "192.0.2.254", "IfIndex": 2, "Priority": 100}]}]}],
        "Metric": {"RxBytes": 10, "TxPackets": 2, "Last": 1000},
        "TID": lab.node("eth0").tid().unwrap(),
    });
    assert_eq!(lab.json("eth0"), expected);

    // Nothing new is no new version.
    let revision = lab.node("eth0").revision;
    let again = netlink::Link { statistics: Some(statistics), ..link(2, "eth0") };
    lab.tell(HOME, &[Message::NewLink(again)]);
    assert_eq!(lab.node("eth0").revision, revision);
    let more = LinkStatistics { rx_bytes: 25, ..statistics };
    lab.wait(2);
    let moved = netlink::Link { statistics: Some(more), ..link(2, "eth0") };
    lab.tell(HOME, &[Message::NewLink(moved), Message::DelRoute(route)]);
    let json = lab.json("eth0");
    assert_eq!(
        json["LastUpdateMetric"],
        serde_json::json!({"RxBytes": 15, "Start": 3000, "Last": 5000})
    );
    assert!(json.get("RoutingTables").is_none());

    // Set down: the kernel forgets its routes without a word.
    lab.tell(HOME, &[Message::NewRoute(route)]);
    assert!(lab.json("eth0").get("RoutingTables").is_some());
    lab.tell(HOME, &[Message::NewLink(netlink::Link { flags: 0, ..link(2, "eth0") })]);
    assert!(lab.json("eth0").get("RoutingTables").is_none());
}

#[test]
fn kinds_of_interfaces_are_joined_as_they_lie_upon_each_other() {
    let mut lab = Lab::new();
    let kind = |kind: &'static str| Some(kind.as_bytes());
    let port =
        netlink::BondPort { permanent: &[2, 0, 0, 0, 0, 7], failures: 3, ..Default::default() };
    let local = Some("192.0.2.1".parse().unwrap());
    let info = Info { vxlan_id: Some(42), local, ..Info::default() };
    let bond = Info { bond_mode: Some(4), ..Info::default() };
    // The upper ones come first: what they lie upon is not known yet.
    lab.tell(
        HOME,
        &[
            Message::NewLink(netlink::Link {
                kind: kind("vlan"),
                parent: Some(2),
                vlan_id: Some(7),
                ..link(5, "eth0.7")
            }),
            Message::NewLink(netlink::Link {
                kind: kind("macvlan"),
                parent: Some(2),
                ..link(6, "mv0")
            }),
            Message::NewLink(netlink::Link {
                kind: kind("vxlan"),
                parent: Some(2),
                info,
                ..link(7, "vx0")
            }),
            Message::NewLink(netlink::Link {
                bond_port: Some(port),
                master: Some(4),
                ..link(3, "eth1")
            }),
            Message::NewLink(netlink::Link { kind: kind("gre"), hardware: 778, ..link(8, "gre1") }),
            Message::NewLink(netlink::Link { kind: kind("bond"), info: bond, ..link(4, "bond0") }),
            Message::NewLink(netlink::Link {
                kind: kind("wireguard"),
                hardware: 0xfffe,
                ..link(9, "wg0")
            }),
            Message::NewLink(link(2, "eth0")),
        ],
    );
    let expected = [
        "bond0>eth1 layer2 -",
        "eth0>eth0.7 layer2 vlan",
        "eth0>mv0 lower macvlan",
        "eth0>vx0 lower vxlan",
    ];
    let joined: Vec<String> =
        lab.edges().into_iter().filter(|edge| !edge.contains("ownership")).collect();
    assert_eq!(joined, expected);
    assert_eq!(lab.edges().iter().filter(|e| e.starts_with("router1>")).count(), 8);
    assert_eq!(lab.json("eth0.7")["Vlan"], 7);
    assert_eq!(
        (&lab.json("vx0")["VNI"], &lab.json("vx0")["Local"]),
        (&42.into(), &"192.0.2.1".into())
    );
    assert_eq!(lab.json("bond0")["BondMode"], "802.3ad");
    assert_eq!(
        lab.json("eth1")["BondSlave"],
        serde_json::json!({"Type": "bond", "State": "ACTIVE", "MiiStatus": "UP",
            "LinkFailureCount": 3, "PermMAC": "02:00:00:00:00:07", "QueueId": 0})
    );
    assert_eq!(
        (&lab.json("gre1")["EncapType"], &lab.json("wg0")["EncapType"]),
        (&"gre".into(), &"none".into())
    );
    // Out of the bond, and its lower device gone.
    lab.tell(HOME, &[Message::NewLink(link(3, "eth1")), Message::DelLink(link(2, "eth0"))]);
    assert!(lab.edges().iter().all(|edge| edge.contains("ownership")), "{:?}", lab.edges());
}

#[test]
fn pairs_with_equal_numbers_in_several_namespaces_are_told_apart() {
    let mut lab = Lab::new();
    let (a, b, c) = (lab.add("a"), lab.add("b"), lab.add("c"));
    // In a and b both, number 2 has number 2 at its other end, in c.
    lab.tell(a, &[Message::NewLink(veth(2, "a2", 2, Some(0)))]);
    lab.tell(b, &[Message::NewLink(veth(2, "b2", 2, Some(4)))]);
    lab.tell(c, &[Message::NewLink(veth(2, "c2", 2, Some(1)))]);
    let mut asked = 0;
    while let Some(question) = lab.spaces.next_question() {
        asked += 1;
        let id = match question {
            Question { asker, about } if (asker, about) == (a, c) => Some(0),
            Question { asker, about } if (asker, about) == (c, a) => Some(1),
            // b knows others by other numbers.
            Question { asker, about } if (asker, about) == (b, c) => Some(9),
            _ => None,
        };
        lab.spaces.answer(question, id);
        lab.flush();
    }
    assert!(asked < 12, "{asked}");
    let pairs: Vec<String> =
        lab.edges().into_iter().filter(|edge| edge.ends_with("layer2 veth")).collect();
    assert_eq!(pairs.len(), 1, "{pairs:?}");
    assert!(pairs[0] == "a2>c2 layer2 veth" || pairs[0] == "c2>a2 layer2 veth", "{pairs:?}");
    let json = lab.json("a2");
    assert_eq!((&json["LinkNetNsID"], &json["LinkNetNsName"]), (&0.into(), &"c".into()));
    assert_eq!(json["PeerIfIndex"], 2);
    // The namespace that b means appears.
    let d = lab.add("d");
    lab.tell(d, &[Message::NewLink(veth(2, "d2", 2, Some(0)))]);
    while let Some(question) = lab.spaces.next_question() {
        let id = match (question.asker, question.about) {
            (asker, about) if (asker, about) == (b, d) => Some(4),
            (asker, about) if (asker, about) == (d, b) => Some(0),
            _ => None,
        };
        lab.spaces.answer(question, id);
        lab.flush();
    }
    let pairs = lab.edges().into_iter().filter(|edge| edge.ends_with("layer2 veth"));
    assert_eq!(pairs.count(), 2);
}

#[test]
fn an_interface_that_moves_keeps_its_node_and_gets_another_identifier() {
    let mut lab = Lab::new();
    let vm1 = lab.add("vm1");
    lab.tell(
        HOME,
        &[Message::NewLink(veth(5, "va", 6, None)), Message::NewLink(veth(6, "vb", 5, None))],
    );
    assert!(lab.edges().contains(&"vb>va layer2 veth".to_owned()));
    let before = lab.node("vb");
    let leaves = netlink::Link { moved_to: Some(0), moved_as: Some(2), ..veth(6, "vb", 5, None) };
    lab.tell(HOME, &[Message::DelLink(leaves)]);
    lab.tell(vm1, &[Message::NewLink(veth(2, "vb", 5, Some(0)))]);
    while let Some(question) = lab.spaces.next_question() {
        let id = (question.asker == vm1 && question.about == HOME).then_some(0);
        lab.spaces.answer(question, id);
        lab.flush();
    }
    let after = lab.node("vb");
    assert_eq!(after.id, before.id);
    assert_ne!(after.tid(), before.tid());
    let tid = lab.node("vm1").tid().unwrap().to_owned();
    let expected = Uuid::named(OID, &[&tid, "vb", "veth"]).to_string();
    assert_eq!(after.tid(), Some(&*expected));
    assert_eq!(lab.spaces.place_of(&lab.graph, &after.id), Some((vm1, 2)));
    let edges = lab.edges();
    // Now the other end has the greater number.
    assert!(edges.contains(&"va>vb layer2 veth".to_owned()), "{edges:?}");
    assert!(edges.contains(&"vm1>vb ownership -".to_owned()), "{edges:?}");
    assert!(!edges.contains(&"router1>vb ownership -".to_owned()), "{edges:?}");
    // Nobody told the other end.
    assert_eq!(lab.spaces.take_wishes().collect::<Vec<_>>(), [(HOME, 5)]);
}

#[test]
fn an_interface_that_arrives_nowhere_has_gone() {
    let mut lab = Lab::new();
    lab.tell(HOME, &[Message::NewLink(link(5, "eth5"))]);
    let leaves = netlink::Link { moved_to: Some(3), ..link(5, "eth5") };
    lab.tell(HOME, &[Message::DelLink(leaves)]);
    assert_eq!(lab.graph.len(), 2);
    assert!(lab.spaces.deadline().is_some());
    lab.wait(1);
    assert_eq!(lab.graph.len(), 1);
}

#[test]
fn a_namespace_takes_with_it_all_that_is_in_it() {
    let mut lab = Lab::new();
    let vm1 = lab.add("vm1");
    lab.tell(vm1, &[Message::NewLink(link(1, "lo")), Message::NewLink(link(2, "eth0"))]);
    assert_eq!((lab.graph.len(), lab.graph.edge_count()), (4, 3));
    lab.spaces.remove(vm1);
    lab.flush();
    assert_eq!((lab.graph.len(), lab.graph.edge_count()), (1, 0));
    // Late messages reach nobody, also where another namespace has its place.
    let vm2 = lab.add("vm2");
    assert_eq!(vm2.index, vm1.index);
    lab.tell(vm1, &[Message::NewLink(link(3, "late"))]);
    assert_eq!(lab.graph.len(), 2);
}

#[test]
fn a_round_of_dumps_loses_nothing_that_is_still_there() {
    let mut lab = Lab::new();
    let all = [
        Message::NewLink(link(2, "eth0")),
        Message::NewLink(link(3, "eth1")),
        address(2, "192.0.2.1", 24),
        address(2, "192.0.2.9", 24),
    ];
    lab.tell(HOME, &all);
    let before = lab.node("eth0").id.clone();
    lab.graph.take_events();
    lab.sync(HOME, &all);
    assert!(!lab.graph.has_events());
    lab.sync(HOME, &[all[0], all[3]]);
    assert_eq!(lab.node("eth0").id, before);
    assert_eq!(lab.json("eth0")["IPV4"], serde_json::json!(["192.0.2.9/24"]));
    assert_eq!(lab.graph.len(), 2);
}

#[test]
fn neighbours_that_change_all_the_time_make_one_version_a_second() {
    let mut lab = Lab::new();
    lab.tell(HOME, &[Message::NewLink(link(2, "eth0"))]);
    lab.wait(2);
    let revision = lab.node("eth0").revision;
    // Ten seconds of them: each flush takes 50 ms.
    for n in 1..200_u8 {
        let ip = Some(std::net::IpAddr::from([192, 0, 2, n]));
        let neighbour =
            netlink::Neighbour { family: 2, ifindex: 2, ip, state: 2, ..Default::default() };
        lab.tell(HOME, &[Message::NewNeighbour(neighbour)]);
    }
    assert!(lab.node("eth0").revision <= revision + 11);
    lab.wait(2);
    assert_eq!(lab.json("eth0")["Neighbors"].as_array().unwrap().len(), 199);
    assert!(lab.node("eth0").revision <= revision + 12);
}

#[test]
fn interfaces_with_the_same_features_share_them() {
    let mut lab = Lab::new();
    lab.tell(HOME, &[Message::NewLink(link(2, "eth0")), Message::NewLink(link(3, "eth1"))]);
    let features = vec![("highdma".into(), true), ("rx-all".into(), false)];
    let speed = Some(1_000);
    let facts = CardFacts { driver: "e1000".to_owned(), features, speed, ..CardFacts::default() };
    for ifindex in [2, 3] {
        lab.spaces.set_card(HOME, ifindex, Some(&facts));
    }
    lab.flush();
    let of = |name| match lab.node(name).metadata.get("Features") {
        Some(Value::Map(map)) => Rc::clone(map),
        other => panic!("{other:?}"),
    };
    assert!(Rc::ptr_eq(&of("eth0"), &of("eth1")));
    assert_eq!(of("eth0").get("highdma"), Some(&Value::Bool(true)));
    assert_eq!(
        (&lab.json("eth0")["Speed"], &lab.json("eth0")["Driver"]),
        (&1_000.into(), &"e1000".into())
    );
}

#[test]
fn a_node_that_names_the_address_of_its_peer_is_joined_with_it() {
    let mut lab = Lab::new();
    lab.tell(HOME, &[Message::NewLink(link(2, "eth0"))]);
    let metadata = Map::new()
        .with("Name", "port1")
        .with("Type", "switchport")
        .with("PeerIntfMAC", "02:00:00:00:00:01");
    let node = Node::new("tor".into(), metadata, &"router1".into(), &"api.router1".into(), 1);
    lab.graph.add_node(node).unwrap();
    lab.wait(2);
    assert!(lab.edges().contains(&"port1>eth0 layer2 -".to_owned()), "{:?}", lab.edges());
    lab.graph
        .update_node("tor", 9, |metadata| {
            metadata.remove("PeerIntfMAC");
        })
        .unwrap();
    lab.wait(2);
    assert_eq!(lab.edges(), ["router1>eth0 ownership -"]);
}

#[test]
fn what_others_wrote_into_a_node_stays() {
    let mut lab = Lab::new();
    lab.tell(HOME, &[Message::NewLink(link(2, "eth0"))]);
    let id = lab.node("eth0").id.clone();
    lab.graph
        .update_node(&id, 9, |metadata| {
            metadata.set("Captures", Value::from(vec![Value::from("one")]));
        })
        .unwrap();
    lab.tell(HOME, &[Message::NewLink(netlink::Link { mtu: Some(9_000), ..link(2, "eth0") })]);
    let json = lab.json("eth0");
    assert_eq!((&json["MTU"], &json["Captures"]), (&9_000.into(), &serde_json::json!(["one"])));
}

#[test]
fn what_a_client_deletes_comes_back_with_its_edges_when_it_changes() {
    let mut lab = Lab::new();
    let bridge = || netlink::Link { kind: Some(b"bridge"), ..link(2, "br0") };
    let port = netlink::Link { master: Some(2), ..veth(3, "veth0", 4, None) };
    let one = Message::NewLink(bridge());
    lab.sync(HOME, &[one, Message::NewLink(port), Message::NewLink(veth(4, "veth1", 3, None))]);
    let inner = lab.add("vm1");
    lab.sync(inner, &[Message::NewLink(link(1, "lo"))]);
    let (edges, bridge_id) = (lab.edges(), Rc::clone(&lab.node("br0").id));
    lab.graph.remove_node(&bridge_id, 5);
    lab.flush();
    assert_ne!(lab.edges(), edges);
    lab.tell(HOME, &[Message::NewLink(netlink::Link { mtu: Some(1_400), ..bridge() })]);
    lab.flush();
    assert_eq!(lab.edges(), edges);
    assert_ne!(lab.node("br0").id, bridge_id);
    // Nothing would announce a change of a namespace or of the machine.
    for name in ["vm1", "router1"] {
        let id = Rc::clone(&lab.node(name).id);
        lab.graph.remove_node(&id, 6);
        lab.flush();
        assert_eq!(lab.edges(), edges, "{name}");
    }
}
