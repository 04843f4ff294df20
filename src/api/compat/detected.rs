//! What was detected of a flow, in the members of Netify's `flow` record: always there are the
//! numbers and names of protocol and application, the name of the host, and how they were found;
//! the objects of single protocols only where something is known.

use crate::core::engine::Lore;
use crate::core::row::{Row, Value};
use crate::detect::{Category, Fact, Facts, Found, Outcome};
use crate::flow::{OtherType, Record};

/// Adds them to a row.
pub fn extend(row: &mut Row, record: &Record, what: &Outcome, lore: &Lore) {
    let facts = &what.facts;
    let application = lore.applications.get(what.application);
    let category = |category: Category| u64::from(category as u8);
    row.push("detected_protocol", what.protocol.0);
    row.push("detected_protocol_name", what.protocol.name());
    row.push("detected_application", what.application);
    let tag = application.map_or("Unknown", |application| &application.tag);
    row.push("detected_application_name", tag.to_owned());
    row.push(
        "category",
        Row::new()
            .with("application", application.map_or(0, |known| category(known.category)))
            .with(
                "domain",
                application.map_or(0, |known| match what.found {
                    Found::Host | Found::Hint => category(known.category),
                    _ => 0,
                }),
            )
            .with("local_network", 0_u8)
            .with("other_network", 0_u8)
            .with("overlay", 0_u8)
            .with("protocol", category(what.protocol.entry().category)),
    );
    row.push("app_ip_override", what.found == Found::Address && facts.get(Fact::Host).is_some());
    row.push("app_proto_twins", what.found == Found::Protocol);
    row.push("dhc_hit", what.found == Found::Hint);
    row.push("fhc_hit", what.is_recalled);
    row.push("soft_dissector", what.found == Found::Expression);
    row.push("detection_guessed", what.is_guessed);
    row.push("detection_updated", what.is_refined);
    row.push("detection_complete", what.is_complete);
    row.push("detection_packets", what.packets);
    let (_, other) = record.local_and_other();
    let is_hinted = lore.hints && record.other_type == OtherType::Remote;
    let hint = lore.names.hint(other.ip).filter(|_| is_hinted).unwrap_or_default();
    row.push("dns_host_name", hint.to_owned());
    row.push("host_server_name", text(facts, Fact::Host).unwrap_or_default());
    for (name, object) in [
        ("ssl", ssl(facts)),
        ("http", strings(facts, &HTTP)),
        ("dhcp", strings(facts, &DHCP)),
        ("ssh", strings(facts, &SSH)),
        ("ssdp", strings(facts, &SSDP)),
        ("stun", strings(facts, &STUN)),
        ("bt", hexadecimal(facts, Fact::InfoHash).map(|hash| Row::new().with("info_hash", hash))),
        ("mdns", text(facts, Fact::MdnsAnswer).map(|name| Row::new().with("answer", name))),
    ] {
        if let Some(object) = object.filter(|_| concerns(name, what)) {
            row.push(name, object);
        }
    }
}

type Members = [(&'static str, Fact)];

const HTTP: [(&str, Fact); 2] = [("url", Fact::Url), ("user_agent", Fact::UserAgent)];
const DHCP: [(&str, Fact); 2] =
    [("fingerprint", Fact::DhcpFingerprint), ("class_ident", Fact::DhcpClass)];
const SSH: [(&str, Fact); 2] = [("client", Fact::SshClient), ("server", Fact::SshServer)];
const SSDP: [(&str, Fact); 1] = [("user_agent", Fact::UserAgent)];
const STUN: [(&str, Fact); 5] = [
    ("mapped", Fact::StunMapped),
    ("peer", Fact::StunPeer),
    ("relayed", Fact::StunRelayed),
    ("response", Fact::StunResponse),
    ("other", Fact::StunOther),
];

/// A user agent belongs to the protocol that it was found in.
fn concerns(object: &str, what: &Outcome) -> bool {
    use crate::detect::Protocol;
    match object {
        "ssdp" => what.protocol == Protocol::SSDP,
        "http" => what.protocol != Protocol::SSDP,
        _ => true,
    }
}

/// All members as text if one of them is known: they are all or none in Netify's schema.
fn strings(facts: &Facts, members: &Members) -> Option<Row> {
    let known = members.iter().any(|(_, fact)| facts.get(*fact).is_some());
    known.then(|| {
        let mut row = Row::new();
        for (name, fact) in members {
            row.push(*name, text(facts, *fact).unwrap_or_default());
        }
        row
    })
}

fn ssl(facts: &Facts) -> Option<Row> {
    const TEXTS: [(&str, Fact); 7] = [
        ("server_cn", Fact::CertName),
        ("issuer_dn", Fact::CertIssuer),
        ("subject_dn", Fact::CertSubject),
        ("client_ja3", Fact::Ja3),
        ("server_ja3", Fact::Ja3s),
        ("client_ja4", Fact::Ja4),
        ("cert_sha1", Fact::CertSha1),
    ];
    let numbers = [
        ("version", Fact::TlsVersion),
        ("cipher_suite", Fact::Cipher),
        ("encrypted_ch_version", Fact::Ech),
    ];
    let known = |fact| facts.get(fact).is_some();
    if !numbers.iter().chain(&TEXTS).any(|(_, fact)| known(*fact)) {
        return None;
    }
    let mut row = Row::new();
    for (name, fact) in numbers {
        if let Some([high, low]) = facts.get(fact) {
            row.push(name, format!("0x{high:02x}{low:02x}"));
        }
    }
    if let Some(name) = text(facts, Fact::Host) {
        row.push("client_sni", name);
    }
    for (name, fact) in TEXTS {
        if fact == Fact::CertSha1 {
            if let Some(hash) = hexadecimal(facts, fact) {
                row.push("fingerprint", hash);
            }
        } else if let Some(value) = text(facts, fact) {
            row.push(name, value);
        }
    }
    for (name, fact) in [("alpn", Fact::Alpn), ("alpn_server", Fact::AlpnServer)] {
        if known(fact) {
            let list = facts.all(fact).map(|value| Value::from(lossy(value)));
            row.push(name, Value::List(list.collect()));
        }
    }
    Some(row)
}

fn text(facts: &Facts, fact: Fact) -> Option<String> {
    facts.get(fact).map(lossy)
}

/// As text, whatever it is: writers escape what is not printable.
fn lossy(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

fn hexadecimal(facts: &Facts, fact: Fact) -> Option<String> {
    let digit = |n: u8| char::from_digit(n.into(), 16).unwrap_or('0');
    let octets = facts.get(fact)?.iter();
    Some(octets.flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect())
}
