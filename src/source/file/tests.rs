use miniz_oxide::deflate::compress_to_vec;
use proptest::prelude::*;

use super::*;
use crate::wire::gzip::Crc32;

/// What a test compares of a frame.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    micros: u64,
    iface: u16,
    link: u16,
    direction: Direction,
    wire_len: u32,
    data: Vec<u8>,
}

/// All frames of `bytes`, and why there are no more, which is empty at a proper end.
fn read(bytes: &[u8]) -> (Vec<Seen>, String) {
    read_from(bytes)
}

fn read_from(reader: impl Read) -> (Vec<Seen>, String) {
    let mut seen = Vec::new();
    let mut reader = match Reader::open(reader) {
        Ok(reader) => reader,
        Err(error) => return (seen, error.to_string()),
    };
    loop {
        match reader.next_frame() {
            Ok(Some(frame)) => seen.push(Seen {
                micros: frame.ts.0,
                iface: frame.iface,
                link: frame.link.0,
                direction: frame.direction,
                wire_len: frame.wire_len,
                data: frame.data.to_vec(),
            }),
            Ok(None) => return (seen, String::new()),
            Err(error) => {
                assert!(matches!(reader.next_frame(), Ok(None)), "an error is the end");
                return (seen, error.to_string());
            }
        }
    }
}

fn int(order: Order, value: u32) -> [u8; 4] {
    match order {
        Order::Big => value.to_be_bytes(),
        Order::Little => value.to_le_bytes(),
    }
}

fn pcap(order: Order, magic: u32, snaplen: u32, packets: &[&[u8]]) -> Vec<u8> {
    let mut file = int(order, magic).to_vec();
    file.extend(match order {
        Order::Big => [0, 2, 0, 4],
        Order::Little => [2, 0, 4, 0],
    });
    file.extend([0; 8]);
    file.extend(int(order, snaplen));
    file.extend(int(order, 1));
    for (second, packet) in (1..).zip(packets) {
        let len = u32::try_from(packet.len()).unwrap();
        for field in [second, 2_500, len, len + 4] {
            file.extend(int(order, field));
        }
        if magic == 0xa1b2_cd34 {
            file.extend([0xee; 8]);
        }
        file.extend(*packet);
    }
    file
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let len = int(order, u32::try_from(padded + 12).unwrap());
    let mut block = [&int(order, kind)[..], &len, body].concat();
    block.resize(padded + 8, 0);
    block.extend(len);
    block
}

fn section(order: Order) -> Vec<u8> {
    let version = match order {
        Order::Big => [0, 1, 0, 0],
        Order::Little => [1, 0, 0, 0],
    };
    block(order, block::SECTION, &[&int(order, 0x1a2b_3c4d)[..], &version, &[0xff; 8]].concat())
}

fn option(order: Order, code: u8, value: &[u8]) -> Vec<u8> {
    let len = u8::try_from(value.len()).unwrap();
    let head = match order {
        Order::Big => [0, code, 0, len],
        Order::Little => [code, 0, len, 0],
    };
    let mut option = [&head, value].concat();
    option.resize(option.len().next_multiple_of(4), 0);
    option
}

fn interface(order: Order, link: u8, options: &[u8]) -> Vec<u8> {
    let link = match order {
        Order::Big => [0, link, 0, 0],
        Order::Little => [link, 0, 0, 0],
    };
    block(order, block::INTERFACE, &[&link[..], &int(order, 64), options].concat())
}

fn enhanced(order: Order, id: u32, stamp: u64, data: &[u8], options: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).unwrap();
    let [high, low] = [stamp >> 32, stamp & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
    let mut body = [id, high, low, len, len + 4].map(|field| int(order, field)).concat();
    body.extend(data);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(options);
    block(order, block::ENHANCED_PACKET, &body)
}

/// Two sections of different byte order with every kind of packet block, and others.
fn pcapng() -> Vec<u8> {
    let (little, big) = (Order::Little, Order::Big);
    [
        section(little),
        interface(little, 1, &[option(little, 2, b"eth0"), option(little, 9, &[9])].concat()),
        block(little, 0x0bad_cafe, b"a block from the future"),
        interface(little, 101, &option(little, 2, "wg\u{fc}".as_bytes())),
        enhanced(little, 1, 5_000_001, b"first", &option(little, 2, &[2, 0, 0, 0])),
        enhanced(little, 0, 6_000_001_999, b"second", &option(little, 2, &[1, 0, 0, 0])),
        block(little, block::SIMPLE_PACKET, &[&int(little, 9)[..], b"third"].concat()),
        section(big),
        block(big, 5, &[0; 12]),
        interface(big, 113, &option(big, 14, &10_u64.to_be_bytes())),
        enhanced(big, 0, 7_000_001, b"fourth", &[]),
        block(
            big,
            block::PACKET,
            &[&[0, 0, 0, 3][..], &[0; 4], &int(big, 9), &int(big, 5), &int(big, 5), b"fifth"]
                .concat(),
        ),
    ]
    .concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut crc = Crc32::new();
    crc.update(bytes);
    let len = u32::try_from(bytes.len()).unwrap();
    let mut member = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
    member.extend(b"name\0");
    member.extend(compress_to_vec(bytes, 6));
    member.extend(crc.value().to_le_bytes());
    member.extend(len.to_le_bytes());
    member
}

/// Gives a few bytes at a time, as a pipe may.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.1.min(self.0.len()).min(room.len());
        let (now, later) = self.0.split_at(len);
        room[..len].copy_from_slice(now);
        self.0 = later;
        Ok(len)
    }
}

#[test]
fn pcap_in_both_orders_and_units() {
    for order in [Order::Little, Order::Big] {
        for (magic, micros) in [(0xa1b2_c3d4, 2_500), (0xa1b2_3c4d, 2), (0xa1b2_cd34, 2_500)] {
            let (seen, end) = read(&pcap(order, magic, 65_535, &[b"abc", b"", b"defgh"]));
            assert_eq!(end, "");
            let stamps: Vec<_> = seen.iter().map(|seen| seen.micros).collect();
            assert_eq!(stamps, [1_000_000 + micros, 2_000_000 + micros, 3_000_000 + micros]);
            let data: Vec<_> = seen.iter().map(|seen| seen.data.as_slice()).collect();
            assert_eq!(data, [&b"abc"[..], b"", b"defgh"]);
            assert_eq!((seen[2].wire_len, seen[2].link, seen[2].iface), (9, 1, 0));
        }
    }
}

#[test]
fn pcapng_with_sections_interfaces_and_every_packet_block() {
    let file = pcapng();
    let (seen, end) = read(&file);
    assert_eq!(end, "");
    let seen: Vec<_> = seen
        .iter()
        .map(|seen| (seen.micros, seen.iface, seen.link, seen.direction, seen.data.as_slice()))
        .collect();
    use Direction::{In, Out, Unknown};
    let expected = [
        (5_000_001, 1, 101, Out, &b"first"[..]),
        (6_000_001, 0, 1, In, b"second"),
        (6_000_001, 0, 1, Unknown, b"third\0\0\0"),
        (17_000_001, 2, 113, Unknown, b"fourth"),
        (10_000_009, 2, 113, Unknown, b"fifth"),
    ];
    assert_eq!(seen, expected);

    let mut reader = Reader::open(&file[..]).unwrap();
    while reader.next_frame().unwrap().is_some() {}
    let names: Vec<_> = reader.interfaces().iter().map(|face| &*face.name).collect();
    assert_eq!(names, ["eth0", "wg\u{fc}", ""]);
    assert_eq!((reader.packets(), reader.consumed()), (5, file.len() as u64));
}

#[test]
fn gzip_members_are_unpacked_one_after_the_other() {
    let plain = pcapng();
    let (head, tail) = plain.split_at(100);
    let packed = [gzip(head), gzip(&[]), gzip(tail), vec![0; 7]].concat();
    assert_eq!(read(&packed), read(&plain));
    for step in [1, 3, 64] {
        assert_eq!(read_from(Trickle(&packed, step)), read(&plain));
        assert_eq!(read_from(Trickle(&plain, step)), read(&plain));
    }
    let mut reader = Reader::open(&packed[..]).unwrap();
    while reader.next_frame().unwrap().is_some() {}
    assert_eq!(reader.consumed(), packed.len() as u64);
}

#[test]
fn a_damaged_gzip_file_yields_what_it_held_and_then_the_damage() {
    let plain = pcapng();
    let good = gzip(&plain);
    let whole = read(&plain).0;
    let spoilt = |at: usize| {
        let mut bad = good.clone();
        let at = bad.len() - at;
        bad[at] ^= 1;
        read(&bad)
    };
    assert_eq!(
        spoilt(8),
        (whole.clone(), format!("gzip at byte {}: the checksum is wrong", good.len()))
    );
    assert_eq!(
        spoilt(1),
        (whole.clone(), format!("gzip at byte {}: the length is wrong", good.len()))
    );
    let trailing = [&good[..], b"x"].concat();
    let end = format!("gzip at byte {}: something else follows the last member", good.len());
    assert_eq!(read(&trailing), (whole.clone(), end));
    for cut in 2..good.len() {
        let (seen, end) = read(&good[..cut]);
        assert!(whole.starts_with(&seen));
        assert!(end.ends_with("the file ends too early"), "{end}");
    }
    assert_eq!(
        read(&[&good[..15], &[0xff; 9]].concat()).1,
        "gzip at byte 16: not a deflate stream"
    );
    assert_eq!(read(&gzip(&[])).1, "the file is empty");
}

#[test]
fn every_prefix_yields_its_packets_and_says_that_it_was_cut() {
    for (file, first) in
        [(pcap(Order::Little, 0xa1b2_c3d4, 0, &[b"abc", b"defgh"]), 4), (pcapng(), 4)]
    {
        let whole = read(&file).0;
        let mut clean = 0;
        for cut in first..file.len() {
            let (seen, end) = read(&file[..cut]);
            assert!(whole.starts_with(&seen), "cut at {cut}");
            assert!(end.is_empty() || end.contains("cut off after"), "cut at {cut}: {end}");
            clean += usize::from(end.is_empty());
        }
        // Between records or blocks only.
        assert!(clean <= 12, "{clean} cuts went unnoticed");
    }
    assert_eq!(read(&[]).1, "the file is empty");
    assert_eq!(read(b"\xd4\xc3").1, "not a pcap or pcapng file");
    assert_eq!(read(b"GIF89a and so on, for long enough").1, "not a pcap or pcapng file");
}

#[test]
fn lying_lengths_end_the_file_with_their_place() {
    let mut file = pcap(Order::Little, 0xa1b2_c3d4, 0, &[b"abc", b"defgh"]);
    file[51..55].fill(0xff);
    let end = "packet 2 at byte 43: 4294967295 captured bytes where at most 16777216 can be";
    assert_eq!((read(&file).0.len(), read(&file).1.as_str()), (1, end));

    let head = [section(Order::Little), interface(Order::Little, 1, &[])].concat();
    let start = head.len();
    let after = |block: &[u8]| {
        let good = enhanced(Order::Little, 0, 1, b"good", &[]);
        let (seen, end) = read(&[&head[..], &good, block].concat());
        assert_eq!(seen.len(), 1);
        end.strip_prefix(&format!("packet 2 at byte {}: ", start + good.len())).unwrap().to_owned()
    };
    let mut block = enhanced(Order::Little, 0, 1, b"bad!", &[]);
    let len = block.len();
    block[4] = 0;
    assert_eq!(after(&block), "a block can't be 0 bytes long");
    block[4] = 13;
    assert_eq!(after(&block), "a block can't be 13 bytes long");
    block[4..8].copy_from_slice(&[0, 0, 0, 4]);
    assert_eq!(after(&block), "a block of 67108864 bytes is longer than 16 MiB");
    block[4..8].copy_from_slice(&[0, 0, 0, 1]);
    assert_eq!(after(&block), format!("cut off after {len} of 16777216 bytes"));
    block[4..8].copy_from_slice(&[36, 0, 0, 0]);
    block[len - 4] = 40;
    assert_eq!(after(&block), "the block is 36 bytes long at its start but 40 at its end");
    block[len - 4] = 36;
    block[20] = 5;
    assert_eq!(after(&block), "5 captured bytes where at most 4 can be");
    assert_eq!(
        after(&enhanced(Order::Little, 7, 1, b"bad!", &[])),
        "interface 7 was not described"
    );
    let mut other = section(Order::Little);
    other[12] = 2;
    assert_eq!(after(&other), "section of unknown version 2");
    other[8] = 0;
    assert_eq!(after(&other), "a section header without its magic number");
}

#[test]
fn interfaces_are_capped() {
    let mut file = section(Order::Big);
    for _ in 0..MAX_INTERFACES {
        file.extend(interface(Order::Big, 1, &[]));
    }
    assert_eq!(read(&file).1, "");
    file.extend(interface(Order::Big, 1, &[]));
    assert!(read(&file).1.ends_with("more than 4096 interfaces"));
}

#[test]
fn records_longer_than_the_buffer_and_across_its_end_are_whole() {
    let large = vec![7; 3_000_000];
    let mut packets = vec![&b"abc"[..]; 40_000];
    packets.extend([&large[..], b"def", &large, b"ghi"]);
    let file = pcap(Order::Little, 0xa1b2_c3d4, u32::MAX, &packets);
    for (seen, end) in [read(&file), read_from(Trickle(&file, 65_537)), read(&gzip(&file))] {
        assert_eq!(end, "");
        assert!(seen.iter().map(|seen| seen.data.as_slice()).eq(packets.iter().copied()));
    }
}

proptest! {
    #[test]
    fn any_bytes_behind_any_start_are_survived(
        start in 0_usize..4,
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let start = match start {
            0 => pcap(Order::Big, 0xa1b2_c3d4, 0, &[]),
            1 => section(Order::Big),
            2 => gzip(&pcapng())[..15].to_vec(),
            _ => Vec::new(),
        };
        let file = [start, bytes].concat();
        prop_assert!(read(&file).0.len() <= file.len() / 12 || file.starts_with(&[0x1f]));
    }

    #[test]
    fn a_damaged_file_is_survived_packed_or_not(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        packed in any::<bool>(),
    ) {
        let mut file = if packed { gzip(&pcapng()) } else { pcapng() };
        for (at, value) in damage {
            *at.get_mut(&mut file) = value;
        }
        let (seen, _) = read(&file);
        prop_assert!(packed || seen.len() <= 5);
    }

    #[test]
    fn what_is_written_is_read(packets in prop::collection::vec(
        prop::collection::vec(any::<u8>(), 0..90), 0..40,
    )) {
        let packets: Vec<_> = packets.iter().map(Vec::as_slice).collect();
        let file = pcap(Order::Big, 0xa1b2_3c4d, 0, &packets);
        let (seen, end) = read(&gzip(&file));
        prop_assert_eq!(end, "");
        prop_assert!(seen.iter().map(|seen| seen.data.as_slice()).eq(packets));
    }
}
