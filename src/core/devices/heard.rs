//! What devices say of themselves to the whole network: requests of DHCP (RFC 2132, RFC 4702),
//! services of multicast DNS (RFC 6762, 6763), notices of SSDP (UPnP Device Architecture 2.0),
//! names of NetBIOS (RFC 1002).

use std::net::IpAddr;

use super::super::names::Source;
use super::device::Trace;
use crate::wire::decode::Packet;
use crate::wire::dhcp;
use crate::wire::dns::{Data, Message, Section};

/// Records looked at in one message.
const MAX_RECORDS: usize = 64;

/// Header fields looked at in one message.
const MAX_FIELDS: usize = 32;

/// Options of DHCP that are written down.
const MAX_OPTIONS: usize = 48;

/// One thing that a device said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Said<'a> {
    /// It has this address.
    Address(IpAddr),
    /// It is called so.
    Name(Source, &'a [u8]),
    /// It let this slip.
    Trace(Trace, &'a [u8]),
}

/// Reads a packet and hands on, one by one, what it says; the hardware address is that of the
/// device that it is said of.
pub(super) fn read(packet: &Packet, payload: &[u8], mut say: impl FnMut([u8; 6], Said<'_>)) {
    let (Some(datagram), Some((_, from))) = (&packet.datagram, packet.macs) else { return };
    let tuple = &datagram.tuple;
    if tuple.proto != UDP {
        return;
    }
    match (tuple.sport, tuple.dport) {
        (67 | 68, _) => bootp(payload, from, say),
        (5353, _) => services(payload, |said| say(from, said)),
        (137, _) => netbios(payload, |said| say(from, said)),
        (1900, _) | (_, 1900) => notices(payload, |said| say(from, said)),
        _ => {}
    }
}

const UDP: u8 = 17;

/// A request of a client, or a grant to it.
fn bootp(payload: &[u8], from: [u8; 6], mut say: impl FnMut([u8; 6], Said<'_>)) {
    const REPLY: u8 = 2;
    let Ok(message) = dhcp::Message::parse(payload) else { return };
    let mac = message.mac().unwrap_or(from);
    let mut say = |said: Said<'_>| say(mac, said);
    if message.operation() == REPLY {
        let assigned = message.assigned();
        if message.option(53) == Some(&[5]) && !assigned.is_unspecified() {
            say(Said::Address(assigned.into()));
        }
        return;
    }
    for (code, value) in message.options().take(MAX_FIELDS) {
        match code {
            12 => say(Said::Name(Source::Dhcp, value)),
            60 => say(Said::Trace(Trace::DhcpClass, value)),
            55 => {
                let mut text = Vec::with_capacity(64);
                for option in value.iter().take(MAX_OPTIONS) {
                    if !text.is_empty() {
                        text.push(b',');
                    }
                    crate::wire::json::unsigned(&mut text, (*option).into());
                }
                say(Said::Trace(Trace::DhcpOptions, &text));
            }
            _ => {}
        }
    }
}

/// What a host answers of itself. Questions hold what others said.
fn services(payload: &[u8], mut say: impl FnMut(Said<'_>)) {
    let Ok(message) = Message::parse(payload) else { return };
    if !message.is_response() || message.opcode() != 0 {
        return;
    }
    for record in message.records().take(MAX_RECORDS) {
        if record.section == Section::Authority || record.ttl == 0 {
            continue;
        }
        let owner = record.name.text();
        match record.read_data() {
            Some(Data::Ptr(instance)) => {
                // The list of all types that there are says nothing more.
                let Some(kind) = owner.strip_suffix(".local").filter(|k| is_service(k)) else {
                    continue;
                };
                say(Said::Trace(Trace::Service, kind.as_bytes()));
                let label = instance.labels().next().unwrap_or_default();
                // Instances whose names are numbers of the service are no names of devices.
                if is_named(kind) && !label.starts_with(b"_") {
                    say(Said::Name(Source::Mdns, label));
                }
            }
            // The names of addresses are learnt with all others.
            Some(Data::Srv { .. }) => {
                let kind = owner.split_once('.').map_or("", |(_, kind)| kind);
                if let Some(kind) = kind.strip_suffix(".local").filter(|kind| is_service(kind)) {
                    say(Said::Trace(Trace::Service, kind.as_bytes()));
                }
            }
            Some(Data::Texts(texts)) => {
                for text in texts.take(MAX_FIELDS) {
                    let Some(at) = text.iter().position(|octet| *octet == b'=') else { continue };
                    let (key, value) = text.split_at(at);
                    let value = value.get(1..).unwrap_or_default();
                    match key {
                        b"model" | b"md" | b"ty" | b"am" => {
                            say(Said::Trace(Trace::Model, value));
                        }
                        // The name that somebody gave to a cast device.
                        b"fn" => say(Said::Name(Source::Mdns, value)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

/// `_name._tcp` or `_name._udp`.
fn is_service(kind: &str) -> bool {
    let Some(name) = kind.strip_suffix("._tcp").or_else(|| kind.strip_suffix("._udp")) else {
        return false;
    };
    name.len() > 1 && name.starts_with('_') && !name.contains('.') && name != "_services"
}

/// Services whose instances bear the name of the device.
fn is_named(kind: &str) -> bool {
    const NAMED: [&str; 14] = [
        "_airplay._tcp",
        "_device-info._tcp",
        "_smb._tcp",
        "_afpovertcp._tcp",
        "_ipp._tcp",
        "_ipps._tcp",
        "_printer._tcp",
        "_pdl-datastream._tcp",
        "_ssh._tcp",
        "_sftp-ssh._tcp",
        "_companion-link._tcp",
        "_http._tcp",
        "_axis-video._tcp",
        "_esphomelib._tcp",
    ];
    NAMED.iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// A notice, an answer to a search, or a search.
fn notices(payload: &[u8], mut say: impl FnMut(Said<'_>)) {
    let mut lines = payload.split(|octet| *octet == b'\n');
    let first = lines.next().unwrap_or_default();
    let is_search = first.starts_with(b"M-SEARCH ");
    if !is_search && !first.starts_with(b"NOTIFY ") && !first.starts_with(b"HTTP/1.") {
        return;
    }
    let mut is_leaving = false;
    let mut role = None;
    for line in lines.take(MAX_FIELDS) {
        let Some(at) = line.iter().position(|octet| *octet == b':') else { continue };
        let (name, value) = line.split_at(at);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let is = |known: &[u8]| name.trim_ascii().eq_ignore_ascii_case(known);
        if is(b"SERVER") {
            say(Said::Trace(Trace::Server, value));
        } else if is(b"USER-AGENT") {
            say(Said::Trace(Trace::UserAgent, value));
        } else if is(b"NT") || is(b"ST") {
            role = Some(value);
        } else if is(b"NTS") {
            is_leaving = value.eq_ignore_ascii_case(b"ssdp:byebye");
        }
    }
    // A search says what is sought, not what there is; an identity alone says nothing.
    let role = role.filter(|role| {
        !is_search && !is_leaving && !role.starts_with(b"uuid:") && *role != b"upnp:rootdevice"
    });
    if let Some(role) = role {
        say(Said::Trace(Trace::Role, role));
    }
}

/// A claim of a name: an operation 5 with the name in its half-octets (RFC 1001, 14.1).
fn netbios(payload: &[u8], mut say: impl FnMut(Said<'_>)) {
    const REGISTRATION: u8 = 5;
    let Ok(message) = Message::parse(payload) else { return };
    if message.is_response() || message.opcode() != REGISTRATION {
        return;
    }
    let Some(question) = message.questions().next() else { return };
    let Some(label) = question.name.labels().next().filter(|label| label.len() == 32) else {
        return;
    };
    let mut name = [0_u8; 16];
    for (octet, [high, low]) in name.iter_mut().zip(label.as_chunks::<2>().0) {
        let (high, low) = (high.wrapping_sub(b'A'), low.wrapping_sub(b'A'));
        if high > 15 || low > 15 {
            return;
        }
        *octet = high << 4 | low;
    }
    // Workstations and file servers; the flag of groups lies in the record that follows.
    let [name @ .., 0x00 | 0x20] = &name else { return };
    let is_group = message
        .records()
        .next()
        .and_then(|record| record.data.first().copied())
        .is_some_and(|flags| flags & 0x80 != 0);
    if !is_group {
        say(Said::Name(Source::NetBios, name.trim_ascii_end()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(sport: u16, dport: u16, payload: &[u8]) -> Vec<String> {
        let mut packet = Packet::default();
        packet.macs = Some(([0xff; 6], [2, 0, 0, 0, 0, 9]));
        let mut datagram = crate::wire::decode::Datagram::default();
        datagram.tuple.proto = UDP;
        datagram.tuple.sport = sport;
        datagram.tuple.dport = dport;
        packet.datagram = Some(datagram);
        let mut all = Vec::new();
        read(&packet, payload, |mac, said| {
            let text = match said {
                Said::Address(ip) => format!("{ip}"),
                Said::Name(by, name) => format!("{}:{}", by.name(), String::from_utf8_lossy(name)),
                Said::Trace(trace, text) => {
                    format!("{}={}", trace.name(), String::from_utf8_lossy(text))
                }
            };
            all.push(format!("{:x} {text}", mac[5]));
        });
        all
    }

    fn dhcp(operation: u8, yours: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 240];
        bytes[..4].copy_from_slice(&[operation, 1, 6, 0]);
        bytes[16..20].copy_from_slice(&yours);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        bytes[236..].copy_from_slice(&[99, 130, 83, 99]);
        [&bytes[..], options, &[255]].concat()
    }

    #[test]
    fn a_client_of_dhcp_is_told_by_what_it_asks_for() {
        let request =
            dhcp(1, [0; 4], b"\x35\x01\x03\x0c\x06laptop\x3c\x08MSFT 5.0\x37\x04\x01\x03\x06\xfc");
        assert_eq!(
            heard(68, 67, &request),
            ["1 dhcp:laptop", "1 dhcp_class=MSFT 5.0", "1 dhcp_options=1,3,6,252"]
        );
        assert_eq!(heard(67, 68, &dhcp(2, [10, 0, 0, 7], b"\x35\x01\x05")), ["1 10.0.0.7"]);
        assert!(heard(67, 68, &dhcp(2, [10, 0, 0, 7], b"\x35\x01\x02")).is_empty());
    }

    #[test]
    fn services_are_heard_from_those_who_offer_them() {
        fn name(text: &str) -> Vec<u8> {
            let mut out = Vec::new();
            for label in text.split('.').filter(|label| !label.is_empty()) {
                out.push(u8::try_from(label.len()).unwrap());
                out.extend_from_slice(label.as_bytes());
            }
            out.push(0);
            out
        }
        let record = |owner: &str, kind: u8, data: &[u8]| {
            let fixed = [0, kind, 0x80, 1, 0, 0, 0, 9];
            let len = u16::try_from(data.len()).unwrap().to_be_bytes();
            [&name(owner)[..], &fixed, &len, data].concat()
        };
        let records = [
            record("_ipp._tcp.local", 12, &name("Office Printer._ipp._tcp.local")),
            record("Office Printer._ipp._tcp.local", 16, b"\x05ty=HP\x03x=y"),
            record("printer.local", 1, &[10, 0, 0, 5]),
            record("_services._dns-sd._udp.local", 12, &name("_ipp._tcp.local")),
        ];
        let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
        message.extend(records.concat());
        assert_eq!(
            heard(5353, 5353, &message),
            ["9 mdns_service=_ipp._tcp", "9 mdns:Office Printer", "9 model=HP"]
        );
        // What others answered stands in questions.
        message[2] = 0;
        assert!(heard(5353, 5353, &message).is_empty());
        for end in 0..message.len() {
            let _ = heard(5353, 5353, &message[..end]);
        }
    }

    #[test]
    fn notices_tell_servers_and_what_they_are() {
        let notice = b"NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: urn:schemas-upnp-org:device:MediaRenderer:1\r\nNTS: ssdp:alive\r\nSERVER: Linux UPnP/1.0 Sonos/70\r\n\r\n";
        assert_eq!(
            heard(40000, 1900, notice),
            [
                "9 server=Linux UPnP/1.0 Sonos/70",
                "9 ssdp_type=urn:schemas-upnp-org:device:MediaRenderer:1"
            ]
        );
        let search = b"M-SEARCH * HTTP/1.1\r\nST: ssdp:all\r\nUSER-AGENT: Chrome\r\n\r\n";
        assert_eq!(heard(40000, 1900, search), ["9 user_agent=Chrome"]);
        assert!(heard(40000, 1900, b"GET / HTTP/1.1\r\nSERVER: x\r\n").is_empty());
    }

    #[test]
    fn names_of_netbios_are_claimed() {
        let mut claim = vec![0, 1, 0x29, 0x10, 0, 1, 0, 0, 0, 0, 0, 1, 32];
        for octet in *b"DESKTOP-1      \0" {
            claim.extend([b'A' + (octet >> 4), b'A' + (octet & 15)]);
        }
        claim.extend([0, 0, 0x20, 0, 1]);
        let with = |flags: u8| {
            [&claim[..], &[0xc0, 12, 0, 0x20, 0, 1, 0, 0, 0, 9, 0, 6, flags, 0, 10, 0, 0, 1]]
                .concat()
        };
        assert_eq!(heard(137, 137, &with(0)), ["9 netbios:DESKTOP-1"]);
        assert!(heard(137, 137, &with(0x80)).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(
            port in proptest::sample::select(vec![67_u16, 68, 137, 1900, 5353]),
            bytes in proptest::collection::vec(0_u8.., 0..400),
        ) {
            let _ = heard(port, port, &bytes);
        }
    }
}
