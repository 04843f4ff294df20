//! Proves that a packet of a live session allocates nothing once its buffers have grown, neither
//! in the session nor on its way out through a WebSocket or a download: an allocator that counts.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

mod support;

use portolan::api::Connection as _;
use portolan::core::names::Names;
use portolan::core::packets::{NewPort, Order, Packets, Thinning};
use portolan::counters::Counters;
use portolan::filter::names::BuiltIn;
use portolan::time::{Clock, Tick, Wall};
use portolan::wire::link::VlanTag;
use portolan::wire::raw::RawFrame;

#[path = "support/heap.rs"]
mod heap;
#[path = "support/web.rs"]
mod web;

use heap::allocations;
use support::Flash;
use web::{UPGRADE, Web};

/// An Ethernet frame of a TCP segment between 10.0.0.1 and 10.0.0.`n`.
fn segment(n: u8) -> Vec<u8> {
    let ip = [0x45, 0, 0, 140, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, n];
    let tcp = [0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
    [&[2; 12][..], &[8, 0], &ip, &tcp, &[7; 100]].concat()
}

#[test]
fn packets_of_a_session_allocate_nothing_once_its_buffers_have_grown() {
    let clock = Clock { tick: Tick(1), wall: Wall(1_700_000_000_000_000) };
    for thinning in
        [Thinning::default(), Thinning { sample: Some(2), rate: Some(1 << 30), headers: true }]
    {
        let mut packets = Packets::default();
        let mut names = Names::default();
        for n in 0..200 {
            names.learn([10, 0, 0, n].into(), &format!("host-{n}"));
        }
        let order = Order { thinning, ..Order::default() };
        let id = packets.begin(order, 8, &BuiltIn, clock, &mut Counters::default()).expect("room");
        let port = packets.add_port(id, NewPort::default(), &clock).expect("room");
        packets.opened(id, &clock);
        let bytes: Vec<Vec<u8>> = (0..64).map(|n| segment(n * 4)).collect();
        let frames: Vec<RawFrame<'_>> = bytes
            .iter()
            .map(|data| RawFrame {
                wall: clock.wall,
                data,
                wire_len: 200,
                vlan: Some(VlanTag { tci: 5, tpid: 0x8100 }),
                ..RawFrame::EMPTY
            })
            .collect();
        let mut round = |packets: &mut Packets| {
            for _ in 0..10 {
                packets.frames(id, port, &frames, &mut names, &clock);
            }
            while let Some(chunk) = packets.next(id) {
                packets.recycle(id, chunk);
            }
        };
        for _ in 0..4 {
            round(&mut packets);
        }
        let before = allocations();
        for _ in 0..20 {
            round(&mut packets);
        }
        let many = 20 * 10 * 64;
        let made = allocations().wrapping_sub(before);
        assert_eq!(made, 0, "for {many} packets");
        assert!(packets.get(id).is_some_and(|session| session.figures().0 >= many / 2));
    }
}

#[test]
fn packets_on_their_way_to_a_client_of_http_allocate_nothing() {
    let upgrade = UPGRADE.replace('\n', "\r\n");
    for (path, fields) in [("/capture", &*upgrade), ("/capture.pcapng", "")] {
        // What waits is given back when it is gone if it was much: once in many packets.
        for (times, most) in [(3, 0), (10, 8)] {
            let mut agent = Flash::default().agent();
            let mut web = Web::new(&agent);
            let head = format!("GET {path}?netns=5 HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
            web.send(head.as_bytes(), &mut agent);
            let clock = agent.clock();
            let id = agent.packets.iter().next().expect("a session").0;
            let port = agent.packets.add_port(id, NewPort::default(), &clock).expect("room");
            assert!(agent.packets.opened(id, &clock));
            let bytes = segment(2);
            let raw = RawFrame { wall: clock.wall, data: &bytes, wire_len: 154, ..RawFrame::EMPTY };
            let frames = [raw; 64];
            // Octets that went out.
            let mut round = || {
                for _ in 0..times {
                    agent.session_frames(id, port, &frames, &clock);
                }
                let mut sent = 0;
                while agent.packets.has_news(id) {
                    web.http.produce(&mut agent, &mut web.out, clock.tick);
                    sent += web.out.pending().len();
                    web.out.advance(usize::MAX);
                }
                sent
            };
            for _ in 0..4 {
                round();
            }
            let before = allocations();
            let sent: usize = (0..20).map(|_| round()).sum();
            let made = allocations().wrapping_sub(before);
            assert!(sent > 20 * times * frames.len() * bytes.len(), "{path}: {sent}");
            assert!(made <= 20 * most, "{path}: {made} for {times} batches, twenty times");
        }
    }
}
