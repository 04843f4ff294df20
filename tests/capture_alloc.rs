//! Proves that a packet of a capture's flow that exists allocates nothing: an allocator that
//! counts.

use portolan::capture::Store;
use portolan::capture::store::Settings;
use portolan::source::Frame;
use portolan::time::{Clock, Tick};
use portolan::wire::link::VlanTag;

#[path = "support/heap.rs"]
mod heap;

use heap::allocations;

/// A TCP segment from port `n`, in VXLAN or not.
fn frame(n: u16, tunnelled: bool) -> Vec<u8> {
    let [n0, n1] = n.to_be_bytes();
    let ip = |protocol, len: u8| {
        [0x45, 0, 0, len, 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    };
    let tcp = [n0, n1, 1, 0xbb, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 2, 0, 0, 0, 0, 0];
    let inner = [&[2; 12][..], &[8, 0], &ip(6, 40), &tcp].concat();
    if !tunnelled {
        return inner;
    }
    let udp = [n0, n1, 0x12, 0xb5, 0, 70, 0, 0, 8, 0, 0, 0, 0, 0, 9, 0];
    [&[2; 12][..], &[8, 0], &ip(17, 90), &udp, &inner].concat()
}

#[test]
fn packets_of_existing_flows_allocate_nothing_nor_does_looking_after_them() {
    let mut store = Store::default();
    let settings = Settings { extra_tcp: true, reassemble: true, ..Settings::default() };
    let table = store.open(settings).expect("the first table");
    let bytes: Vec<Vec<u8>> =
        (0..500).map(|n| frame(n, n % 3 == 0)).chain([vec![0; 9], vec![0xff; 60]]).collect();
    let tag = VlanTag { tci: 5, tpid: 0x8100 };
    let frames: Vec<Frame<'_>> = bytes
        .iter()
        .map(|data| Frame { ts: Tick(7), wire_len: 200, data, vlan: Some(tag), ..Frame::EMPTY })
        .collect();
    let clock = Clock::default();
    store.frames(table, &frames, &clock, &mut ());
    let flows = store.len();
    let before = allocations();
    for round in 1..20 {
        store.frames(table, &frames, &clock, &mut ());
        while store.advance(round * 10_000, 64, &mut ()) {}
    }
    assert_eq!(allocations().wrapping_sub(before), 0);
    assert_eq!(store.len(), flows);
    assert!(flows >= 500);
}
