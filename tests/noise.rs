//! Shows traffic that is nobody's protocol to all dissectors: random octets, chat, packed data, lines
//! of JSON, counted records. Hardly any of it may be taken for something, by chance or by habit.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test, helpers included, may panic"
)]

use std::collections::BTreeMap;

use portolan::detect::protocols::ALL;
use portolan::detect::{Inspector, Limits, Protocol, Segment};
use portolan::wire::decode::Tcp;

/// Flows of each kind of noise.
const FLOWS: usize = 10_000;

/// Packets of a flow at most.
const PACKETS: usize = 8;

/// Flows of 10 000 that a protocol may be seen in, whatever their ports.
const CHANCE: usize = 1;

/// How many times that of the flows of one kind, which may look like a protocol more than others.
const A_KIND: usize = 10;

/// The same, at the ports of protocols.
const CHANCE_AT_HOME: usize = 10;

static CLIENT: [u8; 16] = [192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
static SERVER: [u8; 16] = [198, 51, 100, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Numbers that look random, the same each time (xorshift64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn roll(&mut self, below: usize) -> usize {
        usize::try_from((self.next() >> 11) % below.max(1) as u64).unwrap()
    }

    fn octet(&mut self) -> u8 {
        self.next().to_be_bytes()[2]
    }

    fn octets(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.octet()).collect()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    /// Short lengths are as frequent as long ones.
    fn len(&mut self) -> usize {
        let below = self.one(&[8, 16, 64, 300, 1_400]);
        1 + self.roll(below)
    }

    fn word(&mut self) -> String {
        let len = 1 + self.roll(9);
        (0..len).map(|_| char::from(b'a' + u8::try_from(self.roll(26)).unwrap())).collect()
    }

    /// Words as people type them.
    fn line(&mut self) -> String {
        const COMMON: [&str; 24] = [
            "the", "a", "to", "is", "it", "you", "ok", "hello", "Hi", "what", "Yes", "no", "I",
            "get", "set", "stats", "quit", "help", "list", "user", "INFO", "OK", "from", "200",
        ];
        let len = 1 + self.roll(12);
        let words: Vec<String> = (0..len)
            .map(|_| if self.roll(3) == 0 { self.word() } else { self.one(&COMMON).to_string() })
            .collect();
        words.join(" ") + self.one(&["", ".", "?", "!", ":"])
    }

    /// A number of so many octets, mostly small, in either order.
    fn number(&mut self, size: usize, is_big: bool) -> Vec<u8> {
        let bits = self.one(&[1, 3, 7, 16, 32]);
        let value = self.next() & ((1_u64 << bits) - 1);
        let mut octets = value.to_le_bytes()[..size].to_vec();
        if is_big {
            octets.reverse();
        }
        octets
    }
}

/// What a flow is made of: one of these makes each packet, told the habits of the flow.
type Maker = fn(&mut Dice, habit: u64, number: usize) -> Vec<u8>;

const KINDS: [(&str, Maker); 21] = [
    ("random", |dice, _, _| {
        let len = dice.len();
        dice.octets(len)
    }),
    ("chat", |dice, habit, _| {
        let end = ["\n", "\r\n", ""][(habit % 3) as usize];
        (dice.line() + end).into_bytes()
    }),
    ("log", |dice, habit, number| {
        let level = dice.one(&["INFO", "WARN", "debug", "E"]);
        let line = dice.line();
        match habit % 4 {
            0 => format!("2026-11-21 10:00:{number:02} {level} {line}\n"),
            1 => format!("[{level}] {line}\r\n"),
            2 => format!("{},{},{},{line}\n", dice.roll(1_000), dice.roll(90), dice.word()),
            _ => format!("{}={} {}={}\n", dice.word(), dice.roll(999), dice.word(), dice.word()),
        }
        .into_bytes()
    }),
    ("json", |dice, habit, _| {
        let end = if habit.is_multiple_of(2) { "\n" } else { "" };
        let (first, second) = (dice.word(), dice.word());
        let (value, number) = (dice.line(), dice.roll(100_000));
        format!("{{\"{first}\": \"{value}\", \"{second}\": {number}}}{end}").into_bytes()
    }),
    ("gzip", |dice, _, number| {
        let len = dice.len();
        let mut packed = dice.octets(len);
        if number == 0 {
            packed.splice(0..0, [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
        }
        packed
    }),
    ("base64", |dice, _, _| {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let len = dice.len();
        let mut text: Vec<u8> = (0..len).map(|_| dice.one(DIGITS)).collect();
        text.push(b'\n');
        text
    }),
    // A length of four octets, of itself too or not, then anything.
    ("counted32", |dice, habit, _| counted(dice, habit, 4)),
    ("counted16", |dice, habit, _| counted(dice, habit, 2)),
    ("counted8", |dice, habit, _| counted(dice, habit, 1)),
    // A kind, a length, a counter, and fields that are mostly small.
    ("records", |dice, habit, number| {
        let is_big = habit.is_multiple_of(2);
        let size = [1, 2, 4][(habit / 2 % 3) as usize];
        let fields = 1 + dice.roll(40);
        let mut record = dice.number(size, is_big);
        record.extend(if is_big {
            (number as u32).to_be_bytes()
        } else {
            (number as u32).to_le_bytes()
        });
        for _ in 0..fields {
            record.extend(dice.number(size, is_big));
        }
        record
    }),
    // Mostly zeros.
    ("sparse", |dice, _, _| {
        let len = dice.len();
        (0..len).map(|_| if dice.roll(6) == 0 { dice.octet() } else { 0 }).collect()
    }),
    // Lines of commands and of answers that somebody made up.
    ("commands", |dice, habit, _| {
        const VERBS: [&str; 20] = [
            "HELO", "LOGIN", "LIST", "GET", "OK", "ERR", "PUT", "SEND", "QUIT", "STATUS", "USER",
            "AUTH", "PING", "100", "500", "BYE", "JOIN", "CONNECT", "INFO", "SET",
        ];
        let mut verb = dice.one(&VERBS).to_string();
        if habit.is_multiple_of(2) {
            verb.make_ascii_lowercase();
        }
        let rest = dice.line();
        let end = if habit.is_multiple_of(3) { "\n" } else { "\r\n" };
        if dice.roll(3) == 0 { verb + end } else { format!("{verb} {rest}{end}") }.into_bytes()
    }),
    ("fields", |dice, habit, _| {
        let between = [": ", "=", " ", ";", ","][(habit % 5) as usize];
        let count = 1 + dice.roll(6);
        let lines: Vec<String> = (0..count)
            .map(|_| format!("{}{between}{}.{}\n", dice.word(), dice.roll(500), dice.roll(100)))
            .collect();
        lines.concat().into_bytes()
    }),
    ("xml", |dice, _, _| {
        let (name, text) = (dice.word(), dice.line());
        format!("<{name} {}=\"{}\">{text}</{name}>", dice.word(), dice.roll(100)).into_bytes()
    }),
    // A game: a counter, a kind, coordinates.
    ("game", |dice, habit, number| {
        let mut packet = if habit.is_multiple_of(2) {
            (number as u32).to_be_bytes().to_vec()
        } else {
            (number as u16).to_le_bytes().to_vec()
        };
        packet.push(dice.octet() & 0x1f);
        for _ in 0..dice.roll(30) {
            packet.extend((dice.roll(10_000) as f32 / 7.0).to_le_bytes());
        }
        packet
    }),
    // Kinds, lengths, values.
    ("elements", |dice, habit, _| {
        let mut packet = Vec::new();
        for _ in 0..1 + dice.roll(8) {
            let len = dice.roll(40);
            match habit % 3 {
                0 => packet.extend([dice.octet() & 0x3f, len as u8]),
                1 => packet.extend([0, dice.octet() & 0x3f, 0, len as u8]),
                _ => packet.extend([dice.octet() & 0x3f, 0, len as u8, 0]),
            }
            packet.extend(dice.octets(len));
        }
        packet
    }),
    // Somebody's tunnel: a kind, a counter, what is encrypted.
    ("tunnel", |dice, habit, number| {
        let mut packet = vec![(habit % 8) as u8];
        packet.resize(1 + (habit / 8 % 4) as usize, 0);
        packet.extend((number as u64 + 1).to_be_bytes());
        let len = dice.len();
        packet.extend(dice.octets(len));
        packet
    }),
    // A time, then measurements.
    ("times", |dice, habit, number| {
        let time = 1_790_000_000_000_u64 + number as u64 * 50;
        let mut packet = if habit.is_multiple_of(2) {
            time.to_be_bytes().to_vec()
        } else {
            ((time / 1_000) as u32).to_be_bytes().to_vec()
        };
        for _ in 0..dice.roll(50) {
            packet.extend((dice.roll(4_000) as u16).to_be_bytes());
        }
        packet
    }),
    // Maps as MessagePack has them.
    ("maps", |dice, _, _| {
        let count = 1 + dice.roll(6);
        let mut packet = vec![0x80 | count as u8];
        for _ in 0..count {
            let word = dice.word();
            packet.push(0xa0 | word.len() as u8);
            packet.extend(word.as_bytes());
            packet.push(dice.octet() & 0x7f);
        }
        packet
    }),
    // The same length each time, the first octets too: sealed records.
    ("sealed", |dice, habit, _| {
        let mut packet = dice.octets(32 + (habit % 128) as usize);
        packet[..4].copy_from_slice(&(habit >> 32).to_be_bytes()[4..]);
        packet
    }),
    // Small numbers one behind the other.
    ("small", |dice, _, _| {
        let len = dice.len();
        (0..len).map(|_| dice.octet() & 0x0f).collect()
    }),
];

fn counted(dice: &mut Dice, habit: u64, size: usize) -> Vec<u8> {
    let len = dice.roll(if size == 1 { 250 } else { 1_400 });
    let is_tagged = (habit / 4).is_multiple_of(2);
    let body = if (habit / 8).is_multiple_of(2) {
        let mut body = dice.octets(len);
        // A kind in front of it, one of a few.
        if is_tagged && let Some(first) = body.first_mut() {
            *first &= 0x07;
        }
        body
    } else {
        dice.line().into_bytes()
    };
    let all = body.len() + if habit.is_multiple_of(2) { size } else { 0 };
    let mut octets = (all as u64).to_le_bytes()[..size].to_vec();
    if (habit / 2).is_multiple_of(2) {
        octets.reverse();
    }
    octets.extend(body);
    octets
}

/// How often each protocol was seen in flows of a kind.
fn seen(
    inspector: &mut Inspector,
    dice: &mut Dice,
    maker: Maker,
    ports: impl Fn(&mut Dice, bool) -> u16,
) -> BTreeMap<Protocol, usize> {
    let mut found = BTreeMap::new();
    for _ in 0..FLOWS {
        let (is_tcp, habit) = (dice.roll(2) == 0, dice.next());
        let is_start = is_tcp && dice.roll(4) != 0;
        let ways = dice.roll(3);
        let server_port = ports(dice, is_tcp);
        let client_port = u16::try_from(32_768 + dice.roll(28_000)).unwrap();
        let mut seqs = [1_u32, 1];
        let mut word = 0;
        let mut last = None;
        for number in 0..1 + dice.roll(PACKETS) {
            let from_client = ways == 0 || (number + ways) % 2 == 1;
            let payload = maker(dice, habit, number);
            let seq = &mut seqs[usize::from(from_client)];
            let tcp = is_tcp.then_some(Tcp { seq: *seq, ack: 1, flags: Tcp::ACK, window: 1_000 });
            *seq = seq.wrapping_add(u32::try_from(payload.len()).unwrap());
            let segment = Segment {
                proto: if is_tcp { 6 } else { 17 },
                tcp,
                from_client,
                is_start,
                payload: &payload,
                len: payload.len(),
                client: &CLIENT,
                server: &SERVER,
                client_port,
                server_port,
                ip_version: 4,
            };
            inspector.inspect(&mut word, &segment);
            let outcome = inspector.outcome(word);
            if outcome.protocol != Protocol::UNKNOWN {
                last = (!outcome.is_guessed).then_some(outcome.protocol);
                break;
            }
            if Inspector::is_done(word) {
                break;
            }
        }
        inspector.release(word);
        if let Some(protocol) = last {
            *found.entry(protocol).or_default() += 1;
        }
    }
    found
}

/// What was seen in more than so many of 10 000 flows, or in a few times that of one kind; for
/// people.
fn too_often(chance: usize, ports: impl Fn(&mut Dice, bool) -> u16 + Copy) -> String {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut inspector = Inspector::new(Limits::default());
    let mut all: BTreeMap<Protocol, (usize, usize, String)> = BTreeMap::new();
    for (kind, maker) in KINDS {
        for (protocol, times) in seen(&mut inspector, &mut dice, maker, ports) {
            let (sum, most, kinds) = all.entry(protocol).or_default();
            *sum += times;
            *most = times.max(*most);
            kinds.push_str(&format!(" {kind} {times}"));
        }
    }
    let is_much = |times: usize, flows: usize| times * 10_000 > chance * flows;
    all.iter()
        .filter(|(_, (sum, most, _))| {
            is_much(*sum, FLOWS * KINDS.len()) || is_much(*most, FLOWS * A_KIND)
        })
        .map(|(protocol, (_, _, kinds))| format!("{}:{kinds}\n", protocol.name()))
        .collect()
}

#[test]
fn noise_is_not_taken_for_a_protocol() {
    let told = too_often(CHANCE, |dice, _| u16::try_from(1 + dice.roll(65_535)).unwrap());
    assert!(told.is_empty(), "seen in more than {CHANCE} of 10000 flows:\n{told}");
}

/// Where the port speaks for a protocol a little of its form may do, but not any payload.
#[test]
fn noise_at_known_ports_is_seldom_taken_for_a_protocol() {
    let of = |dice: &mut Dice, is_tcp: bool| loop {
        let dissector = &ALL[dice.roll(ALL.len())];
        let fits = if is_tcp { dissector.tcp } else { dissector.udp };
        if fits && !dissector.ports.is_empty() {
            break dissector.ports[dice.roll(dissector.ports.len())];
        }
    };
    let told = too_often(CHANCE_AT_HOME, of);
    assert!(told.is_empty(), "seen in more than {CHANCE_AT_HOME} of 10000 flows:\n{told}");
}
