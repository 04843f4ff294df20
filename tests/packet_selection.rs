//! What clients mean by flows, hosts, devices, applications and nodes of the map, as targets and
//! filters of packet sessions; and sessions that begin in the past. No socket is opened.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod support;

use std::net::Ipv4Addr;

use portolan::config::Settings;
use portolan::core::Agent;
use portolan::core::agent::Reply;
use portolan::core::auth::{Caller, Right};
use portolan::core::command::Command;
use portolan::core::packets::{
    NewPort, Order, Refused, Selection, SessionId, State, Target, Thinning, Why,
};
use portolan::core::resources::Kind;
use portolan::filter::Expression;
use portolan::source::Frame;
use portolan::time::{Clock, Tick, Wall};
use portolan::topology::spaces::{Found, HOME, SpaceKey};
use portolan::wire::link::{LinkType, VlanTag};
use portolan::wire::netlink::{self, Message};
use portolan::wire::raw::RawFrame;
use serde_json::json;

const CALLER: Caller = Caller { right: Right::Admin };

fn clock(micros: u64) -> Clock {
    let wall = Wall(1_760_000_000_000_000 + micros.cast_signed());
    Clock { tick: Tick(1_000_000_000 + micros), wall }
}

fn link(ifindex: u32, name: &str) -> netlink::Link<'_> {
    netlink::Link {
        ifindex,
        hardware: 1,
        flags: netlink::LINK_UP | netlink::LINK_RUNNING,
        name: Some(name.as_bytes()),
        address: Some(&[2, 0, 0, 0, 0, 1]),
        mtu: Some(1_500),
        operstate: Some(6),
        ..netlink::Link::default()
    }
}

/// An agent with `br-lan` and `wan` in its own namespace and `eth0` in another.
fn agent() -> Agent {
    let mut agent = support::Flash::default().agent();
    let mut changes = Vec::new();
    let links = [link(2, "br-lan"), link(3, "wan")];
    for link in links {
        agent.links.apply(&Message::NewLink(link), Tick::from_secs(1_000), &mut changes);
    }
    let neighbour = netlink::Neighbour {
        family: 2,
        ifindex: 2,
        state: netlink::Neighbour::REACHABLE,
        ip: Some(Ipv4Addr::new(10, 0, 0, 7).into()),
        mac: Some([2, 0, 0, 0, 0, 7]),
        ..netlink::Neighbour::default()
    };
    agent.links.apply(&Message::NewNeighbour(neighbour), Tick::from_secs(1_000), &mut changes);
    agent.follow(changes);
    let (name, path) = ("vpn".to_owned(), "/run/netns/vpn".to_owned());
    let vpn = agent.spaces.add(&Found { name, path, device: 4, inode: 4_711 }).unwrap();
    map(&mut agent, HOME, &links);
    map(&mut agent, vpn, &[link(2, "eth0"), link(3, "eth1")]);
    agent.lore_mut().names.learn([192, 0, 2, 1].into(), "www.example.com");
    agent.lore_mut().names.learn([192, 0, 2, 2].into(), "www.example.com");
    agent.lore_mut().names.learn([10, 0, 0, 7].into(), "printer.lan");
    agent
}

fn map(agent: &mut Agent, key: SpaceKey, links: &[netlink::Link<'_>]) {
    let mut clock = clock(0);
    agent.spaces.begin_sync(key);
    for link in links {
        agent.spaces.apply(key, &Message::NewLink(*link), &clock);
    }
    agent.spaces.end_sync(key);
    let mut number = u8::try_from(links[0].name.unwrap().len()).unwrap() * 20;
    for _ in 0..4 {
        clock.tick = clock.tick.plus(10_000_000);
        while let Some((key, ifindex, _)) = agent.spaces.next_inquiry() {
            agent.spaces.set_card(key, ifindex, None);
        }
        let random = &mut || {
            number += 1;
            [number; 16]
        };
        while agent.spaces.flush(&mut agent.graph, &clock, random) {}
    }
}

fn resolve(agent: &Agent, selection: &Selection) -> Result<Order, Refused> {
    let mut order = Order { filter: "less 100".to_owned(), ..Order::default() };
    agent.resolve_packets(selection, &mut order)?;
    Expression::parse(&order.filter, &*agent.tables).unwrap_or_else(|e| panic!("{e}: {order:?}"));
    Ok(order)
}

#[track_caller]
fn filter(agent: &Agent, selection: &Selection) -> String {
    let order = resolve(agent, selection).unwrap();
    order.filter.strip_prefix("(less 100) and ").unwrap().to_owned()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn hosts_are_addresses_networks_and_names() {
    let agent = agent();
    for (host, expected) in [
        ("10.0.0.1", "(host 10.0.0.1)"),
        ("2001:db8::1", "(host 2001:db8::1)"),
        ("10.1.2.3/16", "(net 10.1.0.0/16)"),
        ("2001:db8::1/32", "(net 2001:db8::/32)"),
        ("0.0.0.0/0", "(net 0.0.0.0/0)"),
        ("WWW.example.com.", "(host 192.0.2.1 or host 192.0.2.2)"),
    ] {
        let selection = Selection { host: some(host), ..Selection::default() };
        assert_eq!(filter(&agent, &selection), expected, "{host}");
    }
    let selection = Selection { host: some("nobody.example"), ..Selection::default() };
    assert_eq!(resolve(&agent, &selection).unwrap_err().why, Why::NotFound);
}

#[test]
fn devices_are_found_among_the_neighbours() {
    let agent = agent();
    for (device, expected) in [
        ("02-00-00-00-00-AA", "(ether host 02:00:00:00:00:aa)"),
        ("10.0.0.7", "(ether host 02:00:00:00:00:07)"),
        ("printer.lan", "(ether host 02:00:00:00:00:07)"),
        ("10.0.0.8", "(host 10.0.0.8)"),
        ("www.example.com", "(host 192.0.2.1 or host 192.0.2.2)"),
    ] {
        let selection = Selection { device: some(device), ..Selection::default() };
        assert_eq!(filter(&agent, &selection), expected, "{device}");
    }
    let selection = Selection { device: some("toaster"), ..Selection::default() };
    assert_eq!(resolve(&agent, &selection).unwrap_err().why, Why::NotFound);
}

#[test]
fn applications_are_ports_with_names() {
    let mut agent = agent();
    let tcp_applications = vec![(8_080, "WEB".to_owned()), (8_081, "web".to_owned())];
    agent.apply(Settings { tcp_applications, ..Settings::default() });
    for (app, expected) in [
        ("Web", "(tcp port 8080 or tcp port 8081)"),
        ("ssh", "(tcp port 22)"),
        ("DOMAIN", "(tcp port 53 or udp port 53)"),
    ] {
        let selection = Selection { app: some(app), ..Selection::default() };
        assert_eq!(filter(&agent, &selection), expected, "{app}");
    }
    let selection = Selection { app: some("gopherx"), ..Selection::default() };
    let refused = resolve(&agent, &selection).unwrap_err();
    assert!(refused.why == Why::NotFound && refused.text.contains("(WEB web)"), "{refused}");
}

#[test]
fn nodes_of_the_map_are_interfaces_of_their_namespaces() {
    let mut agent = agent();
    let aim = |agent: &Agent, query: &str| {
        let selection = Selection { gremlin: some(query), ..Selection::default() };
        resolve(agent, &selection).map(|order| order.targets)
    };
    let own = |names: &[&str]| Target {
        interfaces: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Target::default()
    };
    let vpn = |names: &[&str]| Target {
        netns: 4_711,
        name: "/run/netns/vpn".to_owned(),
        kind: "bindmount".to_owned(),
        ..own(names)
    };
    assert_eq!(aim(&agent, "G.V().Has('Name', 'wan')").unwrap(), [own(&["wan"])]);
    assert_eq!(aim(&agent, "G.V().Has('Name', 'eth1')").unwrap(), [vpn(&["eth1"])]);
    assert_eq!(aim(&agent, "G.V().Has('Type', 'netns')").unwrap(), [vpn(&[])]);
    assert_eq!(aim(&agent, "G.V().Has('Type', 'host')").unwrap(), [own(&[])]);
    let mut both = aim(&agent, "G.V().Has('Name', Regex('eth.*|wan'))").unwrap();
    both.sort_by_key(|target| target.netns);
    both[1].interfaces.sort();
    assert_eq!(both, [own(&["wan"]), vpn(&["eth0", "eth1"])]);
    assert_eq!(aim(&agent, "G.V().Has('Name', 'none')").unwrap_err().why, Why::NotFound);
    assert_eq!(aim(&agent, "G.V(").unwrap_err().why, Why::Bad);

    let json = json!({ "GremlinQuery": "G.V().Has('Name', 'wan')", "BPFFilter": "port 80" });
    let made = Command::ResourceCreate { kind: Kind::Capture, json, ttl: None };
    let Ok(Reply::Value(value)) = agent.run(made, &CALLER) else { panic!("no capture") };
    let id = value.as_map().unwrap().text("UUID").unwrap().to_owned();
    let selection = Selection { capture: Some(id), ..Selection::default() };
    let order = resolve(&agent, &selection).unwrap();
    assert_eq!(
        (order.filter.as_str(), &*order.targets),
        ("(less 100) and (port 80)", &[own(&["wan"])][..])
    );
    let selection = Selection { capture: some("nothing"), ..Selection::default() };
    assert_eq!(resolve(&agent, &selection).unwrap_err().why, Why::NotFound);
}

/// An Ethernet frame of a TCP segment.
fn segment(src: [u8; 4], dst: [u8; 4], ports: [u16; 2], payload: usize) -> Vec<u8> {
    let len = u16::try_from(40 + payload).unwrap().to_be_bytes();
    let ip = [0x45, 0, len[0], len[1], 0, 1, 0, 0, 64, 6, 0, 0];
    let ports = [ports[0].to_be_bytes(), ports[1].to_be_bytes()].concat();
    let tcp = [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 2, 0, 0, 0, 0, 0];
    [&[2; 12][..], &[8, 0], &ip, &src, &dst, &ports, &tcp, &vec![7; payload]].concat()
}

fn only_flow(agent: &Agent, carrier: bool) -> u64 {
    let flows = agent.flows();
    let mut all = flows.after(None).filter(|(_, flow)| flow.is_carrier() == carrier);
    all.next().unwrap().0.get()
}

#[test]
fn a_flow_is_its_packets_both_ways_on_its_interface() {
    let mut agent = agent();
    let iface = agent.links.by_name("wan").unwrap();
    let data = segment([10, 0, 0, 7], [192, 0, 2, 1], [40_000, 443], 20);
    let vlan = Some(VlanTag { tci: 9, tpid: 0x8100 });
    let frame = Frame { ts: Tick(1), iface, data: &data, vlan, wire_len: 99, ..Frame::EMPTY };
    agent.frames(&[frame]);
    let flow = only_flow(&agent, false);
    let selection = Selection { flow: Some(flow), ..Selection::default() };
    let order = resolve(&agent, &selection).unwrap();
    assert_eq!(order.targets[0].interfaces, ["wan"]);
    let options = portolan::filter::Options { live: true, ..Default::default() };
    let program = portolan::filter::compile(&order.filter, LinkType::ETHERNET, &options).unwrap();
    let matches = |data: &[u8], tci: Option<u16>| {
        let meta = portolan::filter::vm::Meta { vlan: tci, ..Default::default() };
        program.matches(data, u32::try_from(data.len()).unwrap(), &meta)
    };
    let back = segment([192, 0, 2, 1], [10, 0, 0, 7], [443, 40_000], 0);
    let other = segment([10, 0, 0, 7], [192, 0, 2, 1], [40_001, 443], 0);
    let crossed = segment([10, 0, 0, 7], [192, 0, 2, 1], [443, 40_000], 0);
    assert!(matches(&data, Some(9)) && matches(&back, Some(9)));
    assert!(!matches(&data, Some(8)) && !matches(&data, None));
    assert!(!matches(&other, Some(9)) && !matches(&crossed, Some(9)));
    // The order may say where.
    let mut order = Order::default();
    order.targets[0].interfaces = vec!["br-lan".to_owned()];
    agent.resolve_packets(&selection, &mut order).unwrap();
    assert_eq!(order.targets[0].interfaces, ["br-lan"]);
    let gone = Selection { flow: Some(flow + (1 << 30)), ..Selection::default() };
    assert_eq!(resolve(&agent, &gone).unwrap_err().why, Why::NotFound);
}

#[test]
fn a_flow_in_a_tunnel_is_what_carries_it() {
    let mut agent = agent();
    let inner = segment([10, 0, 0, 7], [192, 0, 2, 1], [40_000, 443], 20);
    let udp = u16::try_from(16 + inner.len()).unwrap();
    let (len, udp) = ((udp + 20).to_be_bytes(), udp.to_be_bytes());
    let ip = [0x45, 0, len[0], len[1], 0, 1, 0, 0, 64, 17, 0, 0, 172, 16, 0, 1, 172, 16, 0, 2];
    let head = [0x9c, 0x40, 0x12, 0xb5, udp[0], udp[1], 0, 0, 8, 0, 0, 0, 0, 0, 9, 0];
    let data = [&[2; 12][..], &[8, 0], &ip, &head, &inner].concat();
    agent.frames(&[Frame { ts: Tick(1), data: &data, wire_len: 200, ..Frame::EMPTY }]);
    let flow = Some(only_flow(&agent, false));
    let text = filter(&agent, &Selection { flow, ..Selection::default() });
    assert!(text.contains("src host 172.16.0.1 and src port 40000"), "{text}");
}

#[test]
fn all_that_is_selected_must_hold() {
    let agent = agent();
    let selection = Selection { host: some("10.0.0.1"), app: some("ssh"), ..Selection::default() };
    assert_eq!(filter(&agent, &selection), "(host 10.0.0.1) and (tcp port 22)");
    let mut order = Order::default();
    agent
        .resolve_packets(&Selection { app: some("ssh"), ..Selection::default() }, &mut order)
        .unwrap();
    assert_eq!(order.filter, "tcp port 22");
    let mut order = Order { filter: "a) or (b".to_owned(), ..Order::default() };
    assert_eq!(agent.resolve_packets(&selection, &mut order).unwrap_err().why, Why::Bad);
}

/// An agent that remembers `wan` (number 3), with `count` packets of the past, a millisecond
/// apart up to now: those to port 80 and those to port 81 in turn.
fn remembering(count: u64) -> Agent {
    let mut agent = agent();
    agent.apply(Settings { lookback_kib: 1_024, ..Settings::default() });
    for n in 0..count {
        remember(&mut agent, n, clock(n * 1_000));
    }
    agent
}

fn remember(agent: &mut Agent, n: u64, at: Clock) {
    let port = 80 + u16::from(n % 2 == 1);
    let data = segment([10, 0, 0, 7], [192, 0, 2, 1], [40_000, port], 400);
    agent.lookback.remember(3, false, &[raw(&data, at)]);
}

fn raw(data: &[u8], at: Clock) -> RawFrame<'_> {
    let nanos = u32::try_from(at.wall.0.rem_euclid(1_000_000) * 1_000).unwrap();
    let wire_len = u32::try_from(data.len()).unwrap();
    RawFrame { wall: at.wall, nanos, data, wire_len, ..RawFrame::EMPTY }
}

fn begin(agent: &mut Agent, since: u64, filter: &str, now: Clock) -> SessionId {
    let mut order = Order { since: Some(since), filter: filter.to_owned(), ..Order::default() };
    order.targets[0].interfaces = vec!["wan".to_owned()];
    let id = agent.watch_packets(order, &CALLER).unwrap();
    let port = NewPort { name: "wan".to_owned(), ifindex: 3, ..NewPort::default() };
    agent.packets.add_port(id, port, &now).unwrap();
    agent.packets.opened(id, &now);
    id
}

/// Stamps of the packets in a stream, in microseconds after the first packet of the past.
fn stamps(agent: &mut Agent, id: SessionId) -> Vec<u64> {
    let mut all = Vec::new();
    while let Some(chunk) = agent.packets.next(id) {
        all.extend_from_slice(&chunk);
        agent.packets.recycle(id, chunk);
    }
    let mut stamps = Vec::new();
    let mut rest = &all[..];
    while rest.len() >= 8 {
        let word = |at: usize| u32::from_le_bytes(rest[at..][..4].try_into().unwrap());
        if word(0) == 6 {
            let nanos = u64::from(word(12)) << 32 | u64::from(word(16));
            stamps.push(nanos / 1_000 - 1_760_000_000_000_000);
        }
        rest = &rest[word(4) as usize..];
    }
    stamps
}

/// Moves the past of a session on to its end.
fn tell(agent: &mut Agent, now: Clock) {
    for _ in 0..50 {
        agent.replay(&now);
    }
}

#[test]
fn a_session_begins_in_the_past_and_goes_on_without_a_gap() {
    let mut agent = remembering(1_000);
    let now = clock(1_000_500);
    let id = begin(&mut agent, 100_000, "port 80", now);
    assert!(!agent.packets.wants(id), "the past comes first");
    // A packet from before the opening that the engine has late.
    agent.replay(&now);
    remember(&mut agent, 0, clock(1_000_100));
    agent.replay(&clock(1_010_000));
    assert!(!agent.packets.wants(id), "another might be late");
    remember(&mut agent, 0, clock(1_000_600));
    agent.replay(&clock(1_011_000));
    assert!(agent.packets.wants(id));
    // The socket has what passed since it was open, and some that the past had.
    let data = segment([10, 0, 0, 7], [192, 0, 2, 1], [40_000, 80], 400);
    let (early, late) = (raw(&data, clock(1_000_100)), raw(&data, clock(1_000_600)));
    let port = portolan::core::packets::PortId(0);
    agent.session_frames(id, port, &[early, late], &now);
    let told = stamps(&mut agent, id);
    let mut expected: Vec<u64> = (900..1_000).step_by(2).map(|n| n * 1_000).collect();
    // The hundred milliseconds end with the opening.
    expected.retain(|at| *at >= 900_500);
    expected.extend([1_000_100, 1_000_600]);
    assert_eq!(told, expected);
}

#[test]
fn nobody_waits_long_for_packets_that_never_come() {
    let mut agent = remembering(10);
    let now = clock(1_000_000);
    let id = begin(&mut agent, 5_000_000, "", now);
    agent.replay(&now);
    assert!(!agent.packets.wants(id));
    let due = agent.packets.past_deadline().unwrap();
    assert!(due.since(now.tick) <= 250_000);
    assert!(agent.replay(&Clock { tick: due, ..now }), "sockets may have frames");
    assert!(agent.packets.wants(id) && agent.packets.past_deadline().is_none());
    assert_eq!(stamps(&mut agent, id).len(), 10);
}

#[test]
fn the_past_is_told_in_slices_to_readers_that_keep_up_and_within_limits() {
    let mut agent = remembering(2_500);
    let now = clock(2_500_000);
    let id = begin(&mut agent, 60_000_000, "", now);
    assert!(agent.replay(&now), "more than one slice");
    assert!(stamps(&mut agent, id).len() <= 512);
    let mut count = 512;
    for _ in 0..50 {
        agent.replay(&now);
        assert!(agent.packets.get(id).unwrap().held() < 1 << 20);
        count += stamps(&mut agent, id).len();
    }
    assert_eq!(count, 2_500);

    let mut agent = remembering(2_500);
    let limits = portolan::core::packets::Limits { packets: Some(7), ..Default::default() };
    let thinning = Thinning { sample: Some(2), ..Thinning::default() };
    let order = Order { since: Some(60_000_000), limits, thinning, ..Order::default() };
    let id = agent.watch_packets(order, &CALLER).unwrap();
    agent.packets.add_port(id, NewPort { ifindex: 3, ..NewPort::default() }, &now).unwrap();
    agent.packets.opened(id, &now);
    tell(&mut agent, now);
    assert!(matches!(agent.packets.state(id), Some(State::Over(_))));
    assert_eq!(stamps(&mut agent, id), [0, 2_000, 4_000, 6_000, 8_000, 10_000, 12_000]);
}

#[test]
fn a_past_that_is_not_remembered_is_refused_with_what_to_do() {
    let mut agent = agent();
    let order = Order { since: Some(1), ..Order::default() };
    let refused = agent.watch_packets(order.clone(), &CALLER).unwrap_err();
    assert!(refused.why == Why::Bad && refused.text.contains("lookback_kib"), "{refused}");
    let mut agent = remembering(1);
    assert!(agent.watch_packets(order.clone(), &CALLER).is_ok());
    let named = |name: &str| Target { interfaces: vec![name.to_owned()], ..Target::default() };
    let order = Order { targets: vec![named("br-lan")], ..order };
    let refused = agent.watch_packets(order.clone(), &CALLER).unwrap_err();
    assert!(refused.text.contains("capture_interfaces"), "{refused}");
    let away = Target { netns: 4_711, ..Target::default() };
    let refused = agent.watch_packets(Order { targets: vec![away], ..order }, &CALLER).unwrap_err();
    assert!(refused.why == Why::Bad && refused.text.contains("own namespace"), "{refused}");
}
