//! One expression or rule each, over frames written out by hand.

use proptest::prelude::*;

use super::bpf::{MAX_INSTRUCTIONS, op};
use super::vm::Meta;
use super::{Expression, MAX_DEPTH, MAX_TEXT, Options, Problem, Program, compile, names};
use crate::wire::link::LinkType;

const META: Meta = Meta { vlan: None, packet_type: None, interface: None };

fn program(text: &str) -> Program {
    compile(text, LinkType::ETHERNET, &Options::default())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn problem(text: &str) -> (usize, Problem) {
    let error = compile(text, LinkType::ETHERNET, &Options::default()).unwrap_err();
    (error.at, error.problem)
}

#[track_caller]
fn check(frame: &[u8], yes: &[&str], no: &[&str]) {
    for (texts, expected) in [(yes, true), (no, false)] {
        for text in texts {
            let verdict = program(text).matches(frame, frame.len() as u32, &META);
            assert_eq!(verdict, expected, "{text}");
        }
    }
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

/// 10.0.0.1 to 10.0.0.2, an IPv4 header of `words` times four octets.
fn ipv4(words: u8, fragment: u16, proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x40 | words, 0, 0, 60, 0, 0];
    ip.extend(fragment.to_be_bytes());
    ip.extend([64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    ip.resize(usize::from(words) * 4, 1);
    ip.extend(payload);
    ip
}

fn ipv6(proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x60, 0, 0, 0, 0, 20, proto, 64];
    ip.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    ip.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb]);
    ip.extend(payload);
    ip
}

/// From 40000 to 80, SYN.
const TCP: [u8; 20] = [0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0];

#[test]
fn tcp_over_ipv4() {
    check(
        &ethernet(0x0800, &ipv4(5, 0, 6, &TCP)),
        &[
            "",
            "ip",
            "tcp",
            "port 80",
            "port http",
            "tcp dst port 80",
            "src port 40000",
            "portrange 70-90",
            "host 10.0.0.1",
            "src 10.0.0.1",
            "src or dst 10.0.0.2",
            "net 10",
            "net 10.0.0.0/30",
            "dst net 10.0.0.0 mask 255.255.255.0",
            "ip proto \\tcp",
            "ether proto 0x800",
            "ether host 02:00:00:00:00:01",
            "tcp[tcpflags] & tcp-syn != 0",
            "tcp[2:2] = 80",
            "ip[12:4] = 0x0a000001",
            "len > 50 and len < 60",
            "greater 54 && less 54",
            "not udp and ! arp",
        ],
        &[
            "ip6",
            "udp",
            "port 81",
            "src port 80",
            "udp port 80",
            "portrange 81-90",
            "dst 10.0.0.1",
            "src and dst host 10.0.0.1",
            "net 10.0.0.4/30",
            "ether dst 02:00:00:00:00:01",
            "broadcast",
            "vlan",
            "tcp[tcpflags] & (tcp-rst|tcp-fin) != 0",
            "len = 55",
        ],
    );
}

#[test]
fn options_move_the_ports() {
    let frame = ethernet(0x0800, &ipv4(7, 0, 6, &TCP));
    check(&frame, &["tcp dst port 80", "tcp[13] = 2", "ip[0] & 0xf != 5"], &["port 257"]);
}

#[test]
fn later_fragments_have_no_ports() {
    let frame = ethernet(0x0800, &ipv4(5, 0x0010, 6, &TCP));
    check(&frame, &["tcp", "host 10.0.0.1"], &["port 80", "tcp[0] >= 0", "tcp[13] & 2 != 0"]);
    check(&ethernet(0x0800, &ipv4(5, 0x2000, 6, &TCP)), &["port 80"], &[]);
}

#[test]
fn tcp_over_ipv6() {
    check(
        &ethernet(0x86dd, &ipv6(6, &TCP)),
        &[
            "ip6",
            "tcp",
            "port 80",
            "tcp src port 40000",
            "host 2001:db8::1",
            "src net 2001:db8::/32",
            "ip6 multicast",
            "ip6 proto 6",
            "proto 6",
        ],
        &["ip", "udp", "dst host 2001:db8::1", "net 2001:db9::/32", "tcp[13] = 2", "ip multicast"],
    );
    let mut icmp = ipv6(58, &[135, 0, 0, 0]);
    check(&ethernet(0x86dd, &icmp), &["icmp6", "icmp6[icmp6type] = icmp6-neighborsolicit"], &[]);
    icmp[6] = 44;
    icmp[40] = 58;
    check(&ethernet(0x86dd, &icmp), &["icmp6", "ip6 proto 44"], &["icmp6[0] = 58"]);
}

#[test]
fn a_host_is_found_in_arp_too() {
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1];
    arp.extend([0, 0, 0, 0, 0, 0, 10, 0, 0, 2]);
    check(
        &ethernet(0x0806, &arp),
        &["arp", "host 10.0.0.1", "arp dst 10.0.0.2", "arp[6:2] = 1", "ether proto \\arp"],
        &["ip host 10.0.0.1", "rarp host 10.0.0.1", "port 80", "ip"],
    );
}

#[test]
fn what_stands_right_of_vlan_mpls_and_pppoes_is_looked_for_inside() {
    let ip = ipv4(5, 0, 6, &TCP);
    let tagged = [&[0x20, 5, 8, 0][..], &ip].concat();
    check(
        &ethernet(0x8100, &tagged),
        &["vlan", "vlan 5", "vlan 5 and port 80", "vlan and (tcp or udp)", "ether proto 0x8100"],
        &["vlan 6", "port 80", "port 80 and vlan 5", "vlan and vlan", "vlan and arp"],
    );
    let stacked = [&[0, 100, 0x81, 0][..], &tagged].concat();
    let inner = &["vlan 100 and vlan 5", "vlan && vlan 5 && ip"];
    check(&ethernet(0x88a8, &stacked), inner, &["vlan 5"]);
    let label = [&[0, 0x3e, 0x81, 64][..], &ip].concat();
    check(
        &ethernet(0x8847, &label),
        &["mpls", "mpls 1000", "mpls 1000 and host 10.0.0.1", "mpls and tcp port 80"],
        &["mpls 1001", "mpls and mpls", "mpls and ip6", "ip"],
    );
    let session = [&[0x11, 0, 0, 17, 0, 60, 0, 0x21][..], &ip].concat();
    check(
        &ethernet(0x8864, &session),
        &["pppoes", "pppoes 17 and port 80", "pppoes and ip and tcp[13] = 2"],
        &["pppoed", "pppoes 18", "pppoes and ip6", "port 80"],
    );
}

#[test]
fn a_stripped_vlan_tag_counts_on_live_sockets() {
    let live = Options { live: true, ..Options::default() };
    let verdict = |text: &str, frame: &[u8], vlan| {
        let program = compile(text, LinkType::ETHERNET, &live).unwrap();
        program.matches(frame, frame.len() as u32, &Meta { vlan, ..META })
    };
    let ip = ipv4(5, 0, 6, &TCP);
    let stripped = ethernet(0x0800, &ip);
    let inline = ethernet(0x8100, &[&[0x20, 5, 8, 0][..], &ip].concat());
    for text in ["vlan", "vlan 5", "vlan 5 and port 80", "arp or vlan 5"] {
        assert!(verdict(text, &stripped, Some(0x2005)), "{text}");
        assert!(verdict(text, &inline, None), "{text}");
        assert!(!verdict(text, &stripped, None), "{text}");
    }
    assert!(!verdict("vlan 6", &stripped, Some(5)));
    assert!(verdict("vlan 6 and vlan 5 and port 80", &inline, Some(6)));
    // Without vlan in the expression nothing is loaded from beside the frame.
    assert!(verdict("port 80", &stripped, Some(5)));
}

#[test]
fn direction_is_that_of_the_capture() {
    let verdict = |text, link, frame: &[u8], packet_type| {
        let program = compile(text, link, &Options::default()).unwrap();
        program.matches(frame, frame.len() as u32, &Meta { packet_type, ..META })
    };
    assert!(verdict("inbound", LinkType::ETHERNET, &[], Some(0)));
    assert!(verdict("outbound", LinkType::ETHERNET, &[], Some(4)));
    assert!(!verdict("inbound", LinkType::ETHERNET, &[], None));
    let mut cooked = vec![0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0];
    cooked.extend(ipv4(5, 0, 6, &TCP));
    assert!(verdict("outbound and port 80", LinkType::LINUX_SLL, &cooked, None));
    assert!(!verdict("inbound", LinkType::LINUX_SLL, &cooked, None));
}

#[test]
fn each_link_type_has_its_own_offsets() {
    let (four, six) = (ipv4(5, 0, 6, &TCP), ipv6(6, &TCP));
    let mut cooked2 = vec![8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    cooked2.extend(&four);
    let of = |header: &[u8], ip: &[u8]| [header, ip].concat();
    for (link, frame) in [
        (LinkType::RAW, four.clone()),
        (LinkType::RAW, six.clone()),
        (LinkType::IPV4, four.clone()),
        (LinkType::IPV6, six.clone()),
        (LinkType::LINUX_SLL2, cooked2),
        (LinkType::NULL, of(&[2, 0, 0, 0], &four)),
        (LinkType::NULL, of(&[0, 0, 0, 2], &four)),
        (LinkType::NULL, of(&[30, 0, 0, 0], &six)),
        (LinkType::NULL, of(&[10, 0, 0, 0], &six)),
        (LinkType::LOOP, of(&[0, 0, 0, 24], &six)),
        (LinkType::PPP, of(&[0xff, 3, 0, 0x21], &four)),
        (LinkType::PPP, of(&[0xff, 3, 0, 0x57], &six)),
        (LinkType::C_HDLC, of(&[0x0f, 0, 8, 0], &four)),
    ] {
        for (text, expected) in [("tcp dst port 80", true), ("arp", false), ("port 53", false)] {
            let program = compile(text, link, &Options::default()).unwrap();
            let verdict = program.matches(&frame, frame.len() as u32, &META);
            assert_eq!(verdict, expected, "{text} on {link:?} {frame:02x?}");
        }
    }
    for (text, link) in [
        ("ether host 1:2:3:4:5:6", LinkType::RAW),
        ("vlan", LinkType::LINUX_SLL),
        ("multicast", LinkType::PPP),
        ("mpls", LinkType::RAW),
        ("ip", LinkType::IEEE802_11),
    ] {
        assert!(compile(text, link, &Options::default()).is_err(), "{text}");
    }
}

#[test]
fn qualifiers_are_taken_over_and_and_or_bind_alike() {
    let same = |one: &str, other: &str| {
        assert_eq!(program(one).instructions(), program(other).instructions(), "{one}, {other}");
    };
    same("port 80 or 443", "port 80 or port 443");
    same("tcp dst port 80 or 443 or domain", "tcp dst port 80 or tcp dst port 443 or 53 and tcp");
    same(
        "host 10.0.0.1 and (10.0.0.2 or 10.0.0.3)",
        "host 10.0.0.1 and (host 10.0.0.2 or host 10.0.0.3)",
    );
    same("not host 10.0.0.1 and 10.0.0.2", "(not host 10.0.0.1) and host 10.0.0.2");
    same("tcp or udp and arp", "(tcp or udp) and arp");
    same("tcp port not 80", "not tcp port 80");
    same("host 10.0.0.1 || 10.0.0.2 && ! ip6", "(host 10.0.0.1 or host 10.0.0.2) and not ip6");
    same("ip[0] + 2 * 3 = 8 | 1 & 3", "ip[0] + (2 * 3) = (8 | (1 & 3))");
    same("ip[0] % 3 + 2 = 0", "ip[0] % (3 + 2) = 0");
    same("ip src net 10 or arp", "(ip src net 10.0.0.0/8) or (arp)");
}

#[test]
fn errors_say_where_and_what() {
    for (text, at, says) in [
        ("host", 4, "expected something to match"),
        ("host foo.example", 5, "names of hosts are not looked up"),
        ("port 80 and (tcp", 16, "expected )"),
        ("port 80)", 7, "nothing is open"),
        ("tcp and 80", 8, "say what the number is"),
        ("1.2.3.4", 0, "say what the address is"),
        ("port nosuch", 5, "no service of this name"),
        ("ip proto \\nosuch", 9, "no protocol of this name"),
        ("port 99999", 5, "ports end at 65535"),
        ("net 10.1.1.1/8", 4, "bits set outside its mask"),
        ("host 10.0.0.0/8", 5, "wants net"),
        ("gateway foo", 0, "gateway needs names"),
        ("ip protochain 6", 3, "needs a loop"),
        ("llc foo", 4, "expected and"),
        ("iso proto foo", 10, "no ISO protocol"),
        ("geneve 5", 0, "tunnel"),
        ("tcp[len-3] = 0", 4, "minus wants blanks"),
        ("tcp[0:3] = 0", 6, "1, 2 or 4"),
        ("len / 0 = 1", 0, "division by zero"),
        ("len << 32 = 1", 0, "31 bits"),
        ("ether host 10.0.0.1", 11, "hardware address"),
        ("host 0:1:2:3:4:5", 5, "ether host"),
        ("arp and ether", 8, "link layer alone"),
        ("ip and type mgt", 7, "802.11"),
        ("tcp $ udp", 4, "means nothing"),
        ("tcp and prot 80", 8, "not a keyword"),
    ] {
        let error = compile(text, LinkType::ETHERNET, &Options::default()).unwrap_err();
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.to_string().contains(says), "{text}: {error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let nested = |depth: usize| format!("{}ip{}", "(".repeat(depth), ")".repeat(depth));
    program(&nested(MAX_DEPTH));
    assert_eq!(problem(&nested(MAX_DEPTH + 1)), (MAX_DEPTH, Problem::TooDeep));
    assert_eq!(problem(&"(".repeat(4_000)).1, Problem::TooDeep);
    assert_eq!(problem(&format!("len = {}1", "-".repeat(4_000))).1, Problem::TooDeep);
    assert_eq!(problem(&format!("{}0 = 1", "ip[".repeat(1_000))).1, Problem::TooDeep);
    assert_eq!(problem(&"x".repeat(5_000)).1, Problem::TooLong);
    let sum = format!("len{} = 1", "+len".repeat(900));
    assert_eq!(problem(&sum).1, Problem::TooDeep);
    program(&format!("{}tcp", "not ".repeat(900)));
}

#[test]
fn the_longest_texts_compile_or_fail_in_no_time() {
    let list = |first: &str, rest: &str| {
        let mut text = first.to_owned();
        for number in 0_u32.. {
            let more = format!(" or {}", rest.replace('#', &(number % 250).to_string()));
            if text.len() + more.len() > MAX_TEXT {
                return text;
            }
            text.push_str(&more);
        }
        text
    };
    let start = std::time::Instant::now();
    for text in [
        list("port 1", "#"),
        list("host 10.0.0.1", "10.0.1.#"),
        list("tcp", "tcp[#] = len"),
        list("vlan", "(ip6 and port #)"),
        list("ip", "(not ip[#] & 3 = 1 and ip6[#:2] != 7)"),
        list("ip", "net ::#"),
    ] {
        for live in [false, true] {
            let options = Options { live, ..Options::default() };
            match compile(&text, LinkType::ETHERNET, &options) {
                Ok(program) => sound(&program),
                Err(error) => assert_eq!(error.problem, Problem::TooMuch, "{text}"),
            }
        }
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn far_jumps_are_bridged() {
    // More hosts than a conditional jump can leap over; the last must still be found.
    let hosts: Vec<String> = (0..190_u32).map(|n| format!("10.9.{}.{}", n % 7, n)).collect();
    let text = format!("not (host {} or 10.0.0.2) and ip", hosts.join(" or "));
    let program = program(&text);
    assert!(program.instructions().len() > 300);
    let frame = ethernet(0x0800, &ipv4(5, 0, 6, &TCP));
    assert!(!program.matches(&frame, 54, &META));
    let mut other = frame;
    other[33] = 3;
    assert!(program.matches(&other, 54, &META));
    // 10.9.x.y as the source: in the list if x is y modulo 7.
    (other[27], other[28], other[29]) = (9, 3, 3);
    assert!(!program.matches(&other, 54, &META));
    other[29] = 4;
    assert!(program.matches(&other, 54, &META));
}

#[test]
fn common_filters_are_short() {
    for (text, most) in [("", 1), ("ip", 4), ("tcp", 12), ("host 10.0.0.1", 14), ("port 80", 24)] {
        let len = program(text).instructions().len();
        assert!(len <= most, "{text}: {len} instructions");
    }
    let program = compile("ip", LinkType::ETHERNET, &Options { accept: 96, ..Options::default() });
    let verdicts: Vec<u32> = program
        .unwrap()
        .instructions()
        .iter()
        .filter(|step| step.code == op::RET)
        .map(|step| step.k)
        .collect();
    assert_eq!(verdicts, [96, 0]);
}

const WORDS: &[&str] = &[
    "host",
    "net",
    "port",
    "portrange",
    "proto",
    "src",
    "dst",
    "and",
    "or",
    "not",
    "(",
    ")",
    "ip",
    "ip6",
    "tcp",
    "udp",
    "arp",
    "ether",
    "vlan",
    "mpls",
    "pppoes",
    "len",
    "[",
    "]",
    ":",
    "0",
    "2",
    "4",
    "80",
    "10.0.0.1",
    "10.0",
    "::1",
    "fe80::/10",
    "/",
    "8",
    "0:1:2:3:4:5",
    "=",
    ">",
    "<=",
    "!=",
    "+",
    "-",
    "*",
    "%",
    "&",
    "|",
    "^",
    "<<",
    "ip[0]",
    "tcp[13]",
    "tcp[ip[0]]",
    "icmp6",
    "tcpflags",
    "tcp-syn",
    "multicast",
    "broadcast",
    "inbound",
    "less",
    "greater",
    "domain",
    "\\tcp",
    "!",
    "&&",
    "||",
    "mask",
    "255.0.0.0",
    "80-90",
    "stp",
    "$",
    "é",
];

proptest! {
    #[test]
    fn any_text_compiles_or_is_refused(text in "\\PC{0,60}") {
        let _ = compile(&text, LinkType::ETHERNET, &Options::default());
    }

    #[test]
    fn what_compiles_is_a_program_the_kernel_takes(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..30),
        live in any::<bool>(),
        link in prop::sample::select(&[1_u16, 0, 9, 101, 113, 276][..]),
        frame in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let text = words.join(" ");
        match Expression::parse(&text, &names::BuiltIn) {
            Err(error) => prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at)),
            Ok(expression) => {
                let options = Options { live, ..Options::default() };
                if let Ok(program) = expression.compile(LinkType(link), &options) {
                    sound(&program);
                    let _ = program.matches(&frame, 80, &META);
                }
            }
        }
    }
}

/// The kernel's own rules: jumps stay inside, the last step returns, constants divide and shift.
fn sound(program: &Program) {
    let steps = program.instructions();
    assert!(!steps.is_empty() && steps.len() <= MAX_INSTRUCTIONS);
    assert_eq!(steps.last().unwrap().code & 7, op::RET);
    for (left, step) in (0..steps.len()).rev().zip(steps) {
        match step.code & 7 {
            op::JMP => {
                let far = match step.code & 0xf0 {
                    op::JA => step.k as usize,
                    _ => usize::from(step.jt.max(step.jf)),
                };
                assert!(far < left);
            }
            op::ST | op::STX => assert!(step.k < 16),
            op::ALU if step.code & op::X == 0 => match step.code & 0xf0 {
                op::DIV | op::MOD => assert_ne!(step.k, 0),
                op::LSH | op::RSH => assert!(step.k < 32),
                _ => {}
            },
            _ => {}
        }
    }
}
