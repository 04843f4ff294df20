//! Messages of DNS, DHCP and VRRP as members of a flow, for captures that ask for them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::topology::value::{Map, Value};
use crate::wire::dhcp;
use crate::wire::dns::{self, Data, Record, Section};
use crate::wire::layers::{Name, Piece};

/// Bit of the members `VRRPv2`.
pub const VRRP: u32 = 1;

/// Bit of the members `DNS`.
pub const DNS: u32 = 2;

/// Bit of the members `DHCPv4`.
pub const DHCPV4: u32 = 4;

/// Questions and records of one DNS message that are kept.
const MAX_RECORDS: usize = 32;

/// Bytes of one text that are kept.
const MAX_TEXT: usize = 255;

/// What a packet says, and under which name; `None` if it says nothing, or is not the first one
/// where only that counts. `at` is when it was seen, in microseconds since 1970.
pub(super) fn read(
    wanted: u32,
    first: bool,
    piece: &Piece,
    frame: &[u8],
    at: i64,
) -> Option<(&'static str, Map)> {
    let start = usize::try_from(piece.application_at?).ok()?;
    let bytes = match piece.transport {
        // Without padding behind it.
        Some(transport) if Some(transport.payload_at) == piece.application_at => {
            piece.payload(frame)
        }
        _ => frame.get(start..)?,
    };
    match piece.last()? {
        Name::Dns if wanted & DNS != 0 => {
            Some(("DNS", of_dns(&dns::Message::parse(bytes).ok()?, at)))
        }
        Name::Dhcpv4 if wanted & DHCPV4 != 0 && first => {
            Some(("DHCPv4", of_dhcp(&dhcp::Message::parse(bytes).ok()?)))
        }
        Name::Vrrp if wanted & VRRP != 0 && first => Some(("VRRPv2", of_vrrp(bytes)?)),
        _ => None,
    }
}

fn of_dns(message: &dns::Message<'_>, at: i64) -> Map {
    let mut map = Map::new();
    number(&mut map, "ID", message.id());
    for (key, set) in [
        ("QR", message.is_response()),
        ("AA", message.is_authoritative()),
        ("TC", message.is_truncated()),
        ("RD", message.is_recursion_desired()),
        ("RA", message.is_recursion_available()),
    ] {
        if set {
            map.set(key, true);
        }
    }
    number(&mut map, "z", message.z().into());
    map.set("op_code", opcode(message.opcode()));
    map.set("response_code", response_code(message.response_code()));
    let keys = ["q_d_count", "a_n_count", "n_s_count", "a_r_count"];
    for (key, count) in keys.into_iter().zip(message.counts()) {
        number(&mut map, key, count);
    }
    let questions: Vec<Value> = message
        .questions()
        .take(MAX_RECORDS)
        .map(|question| of_names(&question.name, question.kind, question.class).into())
        .collect();
    list(&mut map, "questions", questions);
    let records: Vec<_> = message
        .records()
        .take(MAX_RECORDS)
        .filter_map(|record| Some((record.section, of_record(&record)?)))
        .collect();
    for (key, section) in [
        ("answers", Section::Answer),
        ("authorities", Section::Authority),
        ("additionals", Section::Additional),
    ] {
        let of_section = records.iter().filter(|(found, _)| *found == section);
        list(&mut map, key, of_section.map(|(_, record)| record.clone().into()).collect());
    }
    let stamp = Map::new()
        .with("seconds", at.div_euclid(1_000_000))
        .with("nanos", at.rem_euclid(1_000_000).saturating_mul(1_000));
    map.with("timestamp", stamp)
}

/// A record; `None` for those whose data are not understood.
fn of_record(record: &Record<'_>) -> Option<Map> {
    let mut map = of_names(&record.name, record.kind, record.class);
    if record.ttl != 0 {
        map.set("TTL", record.ttl);
    }
    number(&mut map, "data_length", u16::try_from(record.data.len()).unwrap_or(u16::MAX));
    match record.read_data()? {
        Data::A(address) => {
            map.set("IP", address.to_string());
        }
        Data::Aaaa(address) => {
            map.set("IP", address.to_string());
        }
        Data::Ns(name) => text(&mut map, "NS", &name.text()),
        Data::Cname(name) => text(&mut map, "c_name", &name.text()),
        Data::Ptr(name) => text(&mut map, "PTR", &name.text()),
        Data::Mx { preference, name } => {
            let mut mx = Map::new();
            number(&mut mx, "preference", preference);
            text(&mut mx, "name", &name.text());
            map.set("MX", mx);
        }
        Data::Srv { priority, weight, port, name } => {
            let mut srv = Map::new();
            number(&mut srv, "priority", priority);
            number(&mut srv, "weight", weight);
            number(&mut srv, "port", port);
            text(&mut srv, "name", &name.text());
            map.set("SRV", srv);
        }
        Data::Soa { primary, contact, numbers } => {
            let mut soa = Map::new();
            text(&mut soa, "m_name", &primary.text());
            text(&mut soa, "r_name", &contact.text());
            let keys = ["serial", "refresh", "retry", "expire", "minimum"];
            for (key, value) in keys.into_iter().zip(numbers) {
                if value != 0 {
                    soa.set(key, value);
                }
            }
            map.set("SOA", soa);
        }
        Data::Texts(texts) => {
            let texts = texts.take(MAX_RECORDS);
            list(&mut map, "TXTs", texts.map(|text| clipped(text).into()).collect());
        }
        Data::Opt(options) => {
            let options = options.take(MAX_RECORDS).map(|(code, data)| {
                let mut option = Map::new().with("code", option_code(code));
                text(&mut option, "data", &clipped(data));
                option.into()
            });
            list(&mut map, "OPT", options.collect());
        }
    }
    Some(map)
}

fn of_names(name: &dns::Name<'_>, kind: u16, class: u16) -> Map {
    let mut map = Map::new();
    text(&mut map, "name", &name.text());
    map.with("type", record_type(kind)).with("class", record_class(class))
}

fn of_dhcp(message: &dhcp::Message<'_>) -> Map {
    let mut map = Map::new();
    number(&mut map, "hardware_len", message.hardware_len().into());
    number(&mut map, "hardware_opts", message.hops().into());
    number(&mut map, "secs", message.seconds());
    number(&mut map, "flags", message.flags());
    map.set("server_name", BASE64.encode(message.server_name()));
    map.set("file", BASE64.encode(message.file()));
    map
}

/// The fixed fields of an advertisement (RFC 3768, 5.1; RFC 5798, 5.1).
fn of_vrrp(bytes: &[u8]) -> Option<Map> {
    let [first, router, priority, _, a, b, ..] = *bytes else { return None };
    let version = first >> 4;
    let interval = if version == 2 { u16::from(b) } else { u16::from_be_bytes([a & 0x0f, b]) };
    let mut map = Map::new();
    for (key, value) in [
        ("version", u16::from(version)),
        ("virtual_rtrID", u16::from(router)),
        ("priority", u16::from(priority)),
        ("adver_int", interval),
    ] {
        number(&mut map, key, value);
    }
    Some(map)
}

/// Zeros are left out, like other empty members.
fn number(map: &mut Map, key: &'static str, value: u16) {
    if value != 0 {
        map.set(key, value);
    }
}

fn text(map: &mut Map, key: &'static str, value: &str) {
    if !value.is_empty() {
        map.set(key, value);
    }
}

fn list(map: &mut Map, key: &'static str, items: Vec<Value>) {
    if !items.is_empty() {
        map.set(key, items);
    }
}

fn clipped(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}

const fn opcode(code: u8) -> &'static str {
    match code {
        0 => "Query",
        1 => "Inverse Query",
        2 => "Status",
        4 => "Notify",
        5 => "Update",
        _ => "Unknown",
    }
}

const fn response_code(code: u8) -> &'static str {
    match code {
        0 => "No Error",
        1 => "Format Error",
        2 => "Server Failure",
        3 => "Non-Existent Domain",
        4 => "Not Implemented",
        5 => "Query Refused",
        6 => "Name Exists when it should not",
        7 => "RR Set Exists when it should not",
        8 => "RR Set that should exist does not",
        9 => "Server Not Authoritative for zone",
        10 => "Name not contained in zone",
        _ => "Unknown",
    }
}

const fn record_class(class: u16) -> &'static str {
    match class {
        1 => "IN",
        2 => "CS",
        3 => "CH",
        4 => "HS",
        255 => "Any",
        _ => "Unknown",
    }
}

const fn record_type(kind: u16) -> &'static str {
    match kind {
        1 => "A",
        2 => "NS",
        3 => "MD",
        4 => "MF",
        5 => "CNAME",
        6 => "SOA",
        7 => "MB",
        8 => "MG",
        9 => "MR",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        14 => "MINFO",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        35 => "NAPTR",
        41 => "OPT",
        46 => "RRSIG",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        256 => "URI",
        _ => "Unknown",
    }
}

/// Options of EDNS by the names that gopacket has for them.
const fn option_code(code: u16) -> &'static str {
    match code {
        3 => "NSID",
        5 => "DAU",
        6 => "DHU",
        7 => "N3U",
        8 => "EDNSClientSubnet",
        9 => "EDNSExpire",
        10 => "Cookie",
        11 => "EDNSKeepAlive",
        12 => "CodePadding",
        13 => "CodeChain",
        14 => "CodeEDNSKeyTag",
        16 => "EDNSClientTag",
        17 => "EDNSServerTag",
        26946 => "DeviceID",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::testing;
    use crate::wire::layers::Layers;
    use crate::wire::link::LinkType;

    fn members(frame: &[u8], wanted: u32) -> Option<(&'static str, String)> {
        let mut layers = Layers::default();
        layers.decode(LinkType::ETHERNET, None, frame.len() as u32, frame);
        let (name, map) = read(wanted, true, &layers.pieces()[0], frame, 1_700_000_000_000_001)?;
        let mut out = Vec::new();
        map.write(&mut out);
        Some((name, String::from_utf8(out).unwrap()))
    }

    fn reply() -> Vec<u8> {
        [
            &b"\x00\x07\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"[..],
            b"\x01a\x00\x00\x1c\x00\x01\xc0\x0c\x00\x1c\x00\x01\x00\x00\x00\x05\x00\x10",
            &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
        ]
        .concat()
    }

    #[test]
    fn a_dns_message_is_told_member_by_member_over_udp_and_tcp() {
        let expected = concat!(
            r#"{"ID":7,"QR":true,"RA":true,"RD":true,"a_n_count":1,"#,
            r#""answers":[{"IP":"2001:db8::9","TTL":5,"class":"IN","data_length":16,"name":"a","#,
            r#""type":"AAAA"}],"op_code":"Query","q_d_count":1,"#,
            r#""questions":[{"class":"IN","name":"a","type":"AAAA"}],"response_code":"No Error","#,
            r#""timestamp":{"nanos":1000,"seconds":1700000000}}"#
        );
        let message = reply();
        let udp = testing::udp(true, 5_000, 53, &message);
        assert_eq!(members(&udp, DNS), Some(("DNS", expected.to_owned())));
        let [l0, l1] = (message.len() as u16).to_be_bytes();
        let tcp = testing::tcp(true, 5_000, 53, 16, 1, 1, &[&[l0, l1], &message[..]].concat());
        assert_eq!(members(&tcp, DNS), Some(("DNS", expected.to_owned())));
        assert_eq!(members(&udp, VRRP | DHCPV4), None);
    }

    #[test]
    fn vrrp_and_dhcp_are_told_by_their_fixed_fields() {
        let vrrp = testing::datagram(false, 112, &[0x21, 9, 100, 1, 0, 3, 0, 0, 10, 0, 0, 254]);
        let expected = r#"{"adver_int":3,"priority":100,"version":2,"virtual_rtrID":9}"#;
        assert_eq!(members(&vrrp, VRRP), Some(("VRRPv2", expected.to_owned())));
        let mut message = vec![0; 240];
        message[2] = 6;
        message[10] = 0x80;
        message[236..].copy_from_slice(&[99, 130, 83, 99]);
        let (name, text) = members(&testing::udp(false, 68, 67, &message), DHCPV4).unwrap();
        assert_eq!(name, "DHCPv4");
        assert!(text.contains(r#""flags":32768,"hardware_len":6,"server_name":"AAAA"#), "{text}");
    }
}
