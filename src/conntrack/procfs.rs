//! Lines of `/proc/net/nf_conntrack` (net/netfilter/nf_conntrack_standalone.c), for kernels
//! that do not tell of connections over netlink. They have no number of the connection.

use std::net::IpAddr;

use crate::wire::decode::Tuple;
use crate::wire::netlink::conntrack::{Tracked, Volume, status};

/// Words of a line that are read; a kernel writes some thirty.
const MAX_WORDS: usize = 64;

/// Reads a line; `None` if it is not one of a connection with both tuples.
#[must_use]
pub fn parse(line: &[u8]) -> Option<Tracked> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace().take(MAX_WORDS);
    // Names and numbers of the network protocol and of the transport.
    let proto = words.nth(3)?.parse().ok()?;
    let mut found = Tracked { status: Some(status::SEEN_REPLY), ..Tracked::default() };
    let mut tuples = [Tuple { proto, ..Tuple::default() }; 2];
    let mut volumes = [None, None];
    let mut seen = 0_usize;
    for word in words {
        let bit = match word {
            "[UNREPLIED]" => {
                found.status = found.status.map(|bits| bits & !status::SEEN_REPLY);
                continue;
            }
            "[OFFLOAD]" => status::OFFLOAD,
            "[HW_OFFLOAD]" => status::OFFLOAD | status::HW_OFFLOAD,
            _ => 0,
        };
        found.status = found.status.map(|bits| bits | bit);
        let Some((name, value)) = word.split_once('=') else { continue };
        if name == "src" {
            seen = seen.saturating_add(1);
        }
        let at = seen.saturating_sub(1);
        match name {
            "src" | "dst" => {
                let tuple = tuples.get_mut(at)?;
                let (version, octets) = address(value)?;
                tuple.version = version;
                *(if name == "src" { &mut tuple.src } else { &mut tuple.dst }) = octets;
            }
            "sport" => tuples.get_mut(at)?.sport = value.parse().ok()?,
            "dport" => tuples.get_mut(at)?.dport = value.parse().ok()?,
            "packets" => {
                let volume = Volume { packets: value.parse().ok()?, bytes: 0 };
                *volumes.get_mut(at)? = Some(volume);
            }
            "bytes" => {
                if let Some(volume) = volumes.get_mut(at)? {
                    volume.bytes = value.parse().ok()?;
                }
            }
            "mark" => found.mark = value.parse().ok(),
            "zone" => found.zone = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    [found.original, found.reply] = tuples;
    if let [Some(sent), Some(answered)] = volumes {
        found.volumes = Some([sent, answered]);
    }
    (seen == 2 && found.reply.version == found.original.version).then_some(found)
}

/// The version of an address, and its octets left-aligned.
fn address(text: &str) -> Option<(u8, [u8; 16])> {
    let mut octets = [0; 16];
    Some(match text.parse().ok()? {
        IpAddr::V4(v4) => {
            octets.get_mut(..4)?.copy_from_slice(&v4.octets());
            (4, octets)
        }
        IpAddr::V6(v6) => (6, v6.octets()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(octets: [u8; 16]) -> String {
        IpAddr::from(<[u8; 4]>::try_from(&octets[..4]).unwrap()).to_string()
    }

    #[test]
    fn a_translated_connection_has_both_tuples_counters_and_mark() {
        let line = "ipv4     2 tcp      6 431999 ESTABLISHED src=192.168.1.5 dst=198.51.100.1 \
                    sport=40000 dport=443 packets=10 bytes=1500 src=198.51.100.1 dst=203.0.113.7 \
                    sport=443 dport=61000 packets=8 bytes=9000 [ASSURED] mark=7 zone=3 use=2\n";
        let found = parse(line.as_bytes()).unwrap();
        assert_eq!((found.original.proto, found.original.sport), (6, 40_000));
        assert_eq!(ip(found.original.src), "192.168.1.5");
        assert_eq!((ip(found.reply.dst), found.reply.dport), ("203.0.113.7".into(), 61_000));
        assert_eq!((found.mark, found.zone, found.id), (Some(7), 3, None));
        let [sent, answered] = found.volumes.unwrap();
        assert_eq!((sent.packets, sent.bytes, answered.bytes), (10, 1_500, 9_000));
        assert_eq!(found.status, Some(status::SEEN_REPLY));
    }

    #[test]
    fn offloaded_lines_have_no_time_and_are_read_all_the_same() {
        let line = "ipv6     10 udp      17 src=2001:db8::5 dst=2001:db8:1::1 sport=5 dport=6 \
                    src=2001:db8:1::1 dst=2001:db8::5 sport=6 dport=5 [OFFLOAD] mark=0 use=3";
        let found = parse(line.as_bytes()).unwrap();
        assert_eq!(found.original.version, 6);
        assert_eq!(found.status, Some(status::SEEN_REPLY | status::OFFLOAD));
        let hardware = line.replace("[OFFLOAD]", "[HW_OFFLOAD]");
        let bits = parse(hardware.as_bytes()).unwrap().status.unwrap();
        assert_ne!(bits & status::HW_OFFLOAD, 0);
        let alone = line.replace("[OFFLOAD]", "[UNREPLIED]");
        assert_eq!(parse(alone.as_bytes()).unwrap().status, Some(0));
    }

    #[test]
    fn lines_of_other_shapes_are_no_connections() {
        for line in [
            "",
            "ipv4 2 tcp",
            "ipv4 2 tcp x 3 src=1.2.3.4 dst=1.2.3.5",
            "ipv4 2 udp 17 29 src=1.2.3.4 dst=1.2.3.5 sport=1 dport=2",
            "ipv4 2 udp 17 29 src=1.2.3.4 dst=1.2.3.5 sport=1 dport=70000 src=1.2.3.5 dst=1.2.3.4",
            "ipv4 2 udp 17 sport=1 src=1.2.3.4 dst=::1 src=::1 dst=1.2.3.4",
            "ipv4 2 udp 17 src=1.1.1.1 dst=1.1.1.1 src=1.1.1.1 dst=1.1.1.1 src=1.1.1.1 dst=1.1.1.1",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
        assert_eq!(parse(&[0xff; 300]), None);
    }

    proptest::proptest! {
        #[test]
        fn any_line_at_all_is_survived(line: Vec<u8>, words in "([a-z]{1,5}=?[0-9a-f.:]{0,9} ){0,40}") {
            let _ = parse(&line);
            let _ = parse(format!("ipv4 2 tcp 6 {words}").as_bytes());
        }
    }
}
