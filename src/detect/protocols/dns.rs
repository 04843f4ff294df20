//! DNS over UDP and TCP: RFC 1035; multicast DNS: RFC 6762; LLMNR: RFC 4795.

use crate::detect::facts::{Fact, MAX_VALUE};
use crate::detect::text::starts;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};
use crate::wire::dns::{Data, HEADER_LEN, Message, Name, Section};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::DNS, &[53], dissect);
pub(super) const MULTICAST: Dissector = Dissector::udp(Protocol::MDNS, &[5353], multicast);
pub(super) const LINK_LOCAL: Dissector = Dissector::both(Protocol::LLMNR, &[5355], link_local);

/// Records of a part of a message at most, on a port that is not its own.
const MAX_RECORDS: u16 = 64;

/// The operation codes that are in use (IANA, DNS OpCodes): queries, status, notices, updates,
/// stateful operations.
const OPERATIONS: [u8; 6] = [0, 1, 2, 4, 5, 6];

/// The name of a resolver that is asked for its certificate on a port of its own.
const AVAST: &[u8] = b"securedns.avast.com";

/// Names with which DNSCrypt asks for certificates begin so (draft-denis-dprive-dnscrypt, 10).
const CERTIFICATE: &[u8] = b"2.dnscrypt-cert.";

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if view.is_tcp() {
        return framed(view, Protocol::DNS, &[53], facts);
    }
    if view.has_port(5353) || view.has_port(5355) || view.has_port(137) {
        return Verdict::No;
    }
    datagram(view, view.has_port(53), Protocol::DNS, facts)
}

fn link_local(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if !view.has_port(5355) {
        return Verdict::No;
    }
    if view.is_tcp() {
        return framed(view, Protocol::LLMNR, &[5355], facts);
    }
    datagram(view, true, Protocol::LLMNR, facts)
}

fn datagram(view: &View<'_>, is_port: bool, protocol: Protocol, facts: &mut Facts) -> Verdict {
    let is_cut = view.len > view.data.len();
    if read(view.data, is_port, is_cut, facts).is_none() {
        return Verdict::No;
    }
    let protocol = of_name(protocol, facts);
    // The answer says the name again, as it is answered.
    let is_answer = Message::parse(view.data).is_ok_and(|message| message.is_response());
    if is_answer { Verdict::Is(protocol) } else { Verdict::More(protocol) }
}

/// Over TCP each message has its length before it (RFC 1035, 4.2.2).
fn framed(view: &View<'_>, protocol: Protocol, ports: &[u16], facts: &mut Facts) -> Verdict {
    let is_port = ports.iter().any(|port| view.has_port(*port));
    let Some(len) = view.u16_at(0).map(usize::from) else { return Verdict::Wait };
    if len < HEADER_LEN || !is_port && len > 4_096 {
        return Verdict::No;
    }
    let there = view.data.get(2..).unwrap_or_default();
    let message = there.get(..len).unwrap_or(there);
    if there.len() < HEADER_LEN {
        return Verdict::Wait;
    }
    let header = Message::parse(message).is_ok_and(|message| is_header(&message, is_port));
    if !header || !is_port && there.len() > len {
        return Verdict::No;
    }
    if message.len() < len && view.len < 1_024 {
        return Verdict::Wait;
    }
    match read(message, is_port, message.len() < len, facts) {
        Some(()) => Verdict::Is(of_name(protocol, facts)),
        None => Verdict::No,
    }
}

fn of_name(protocol: Protocol, facts: &Facts) -> Protocol {
    let Some(host) = facts.get(Fact::Host) else { return protocol };
    let tail = host.len().checked_sub(AVAST.len()).and_then(|at| host.get(at..));
    if tail.is_some_and(|tail| tail.eq_ignore_ascii_case(AVAST)) {
        Protocol::AVAST_SECURE_DNS
    } else if starts(host, CERTIFICATE) {
        Protocol::DNSCRYPT
    } else {
        protocol
    }
}

/// Flags and counts that a message may have; on its own port nearly all.
fn is_header(message: &Message<'_>, is_port: bool) -> bool {
    let [questions, answers, authorities, more] = message.counts();
    let is_response = message.is_response();
    if !OPERATIONS.contains(&message.opcode()) || message.response_code() > 11 && !is_response {
        return false;
    }
    if is_port {
        return questions <= MAX_RECORDS && answers.max(authorities).max(more) <= 512;
    }
    questions == 1
        && message.z() == 0
        && message.opcode() == 0
        && message.response_code() <= 10
        && (is_response || (answers, authorities, message.response_code()) == (0, 0, 0))
        && (is_response || more <= 1)
        && answers.max(authorities).max(more) <= MAX_RECORDS
}

/// Reads a message and learns the name that it asks for. What is not on its own port has to be
/// one to the last octet.
fn read(bytes: &[u8], is_port: bool, is_cut: bool, facts: &mut Facts) -> Option<()> {
    let message = Message::parse(bytes).ok()?;
    if !is_header(&message, is_port) {
        return None;
    }
    let [asked, ..] = message.counts();
    match message.questions().next() {
        Some(question) => {
            let class = question.class & 0x7fff;
            let is_class = matches!(class, 1 | 3 | 4 | 254 | 255);
            let named = put_name(Fact::Host, question.name, facts);
            let is_usual = is_class && (1..=264).contains(&question.kind);
            // An odd class or type on the port is still a question, if its name can be read.
            let fits = if is_port { is_usual || named } else { is_usual && named };
            if !fits {
                return None;
            }
        }
        None if asked > 0 && !is_cut => return is_port.then_some(()),
        None => {
            if !is_port {
                return None;
            }
            if let Some(record) = message.records().next() {
                put_name(Fact::Host, record.name, facts);
            }
        }
    }
    if is_port || is_cut || facts.get(Fact::Host).is_some_and(|host| starts(host, CERTIFICATE)) {
        return Some(());
    }
    ends_with_records(&message, bytes.len()).then_some(())
}

/// The records are all there, and nothing after them.
fn ends_with_records(message: &Message<'_>, len: usize) -> bool {
    let [_, answers, authorities, more] = message.counts();
    let expected = usize::from(answers).saturating_add(authorities.into());
    let expected = expected.saturating_add(more.into());
    let (mut seen, mut octets) = (0_usize, HEADER_LEN);
    for question in message.questions() {
        octets = octets.saturating_add(question.name.octets().unwrap_or(len)).saturating_add(4);
    }
    for record in message.records() {
        seen = seen.saturating_add(1);
        let name = record.name.octets().unwrap_or(len);
        octets = octets.saturating_add(name).saturating_add(10).saturating_add(record.data.len());
    }
    seen == expected && octets == len
}

fn multicast(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if !view.has_port(5353) {
        return Verdict::No;
    }
    let Ok(message) = Message::parse(view.data) else { return Verdict::No };
    if !is_header(&message, true) || message.opcode() != 0 {
        return Verdict::No;
    }
    if let Some(question) = message.questions().next() {
        let mut name = [0; MAX_VALUE];
        let len = write(question.name, &mut name);
        facts.put_first(Fact::Host, name.get(..len).unwrap_or_default());
    }
    for record in message.records().take(usize::from(MAX_RECORDS)) {
        if record.section == Section::Authority {
            continue;
        }
        let mut name = [0; MAX_VALUE];
        let len = write(record.name, &mut name);
        let name = name.get(..len).unwrap_or_default();
        facts.put_first(Fact::Host, name);
        // Instances of services, and hosts with their addresses.
        match record.read_data() {
            Some(Data::Ptr(instance)) if !name.ends_with(b".arpa") => {
                put_name(Fact::MdnsAnswer, instance, facts);
            }
            Some(Data::A(_) | Data::Aaaa(_)) => facts.put(Fact::MdnsAnswer, name),
            _ => {}
        }
    }
    Verdict::More(Protocol::MDNS)
}

/// Puts a name down as text with dots; `false` if it is none.
fn put_name(fact: Fact, name: Name<'_>, facts: &mut Facts) -> bool {
    let Some(octets) = name.octets() else { return false };
    let mut text = [0; MAX_VALUE];
    let len = write(name, &mut text);
    facts.put(fact, text.get(..len).unwrap_or_default());
    // The root has no name; others without one lead nowhere.
    len > 0 || octets == 1
}

fn write(name: Name<'_>, text: &mut [u8; MAX_VALUE]) -> usize {
    let mut len = 0_usize;
    for label in name.labels() {
        let dot: &[u8] = if len == 0 { b"" } else { b"." };
        for (to, from) in text.iter_mut().skip(len).zip(dot.iter().chain(label)) {
            *to = *from;
        }
        len = len.saturating_add(dot.len()).saturating_add(label.len()).min(MAX_VALUE);
    }
    len
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    const QUERY: &str = "1234 0100 0001 0000 0000 0000 03777777 076578616d706c65 03636f6d 00
        0001 0001";
    const ANSWER: &str = "1234 8180 0001 0001 0000 0000 03777777 076578616d706c65 03636f6d 00
        0001 0001 c00c 0001 0001 0000003c 0004 c0000201";

    #[test]
    fn queries_and_answers_on_any_port() {
        for port in [53, 5300] {
            for message in [QUERY, ANSWER] {
                let talk = Talk::udp(port).client(&hex(message));
                assert_eq!(talk.protocol(), Protocol::DNS);
                assert_eq!(talk.fact(Fact::Host).as_deref(), Some("www.example.com"));
            }
        }
    }

    #[test]
    fn over_tcp_there_is_a_length_before() {
        let mut query = vec![0, 33];
        query.extend(hex(QUERY));
        assert_eq!(Talk::tcp(5300).client(&query).protocol(), Protocol::DNS);
        let talk = Talk::tcp(53).client(&query[..2]).client(&query[2..]);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("www.example.com"));
        query[1] = 32;
        assert_eq!(Talk::tcp(5300).client(&query).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn elsewhere_it_has_to_fit_to_the_last_octet() {
        let mut query = hex(QUERY);
        query.push(0);
        assert_eq!(Talk::udp(53).client(&query).protocol(), Protocol::DNS);
        assert_eq!(Talk::udp(5300).client(&query).protocol(), Protocol::UNKNOWN);
        let mut odd = hex(QUERY);
        odd[5] = 2;
        assert_eq!(Talk::udp(5300).client(&odd).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(53).client(&[0xff; 40]).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn services_of_multicast_answers() {
        let answer = hex("0000 8400 0000 0001 0000 0000 045f697070 045f746370 056c6f63616c 00
            000c 0001 00000078 000a 075072696e746572 c00c");
        let talk = Talk::udp(5353).from(5353).client(&answer);
        assert_eq!(talk.protocol(), Protocol::MDNS);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("_ipp._tcp.local"));
        assert_eq!(talk.facts(Fact::MdnsAnswer), ["Printer._ipp._tcp.local"]);
    }

    #[test]
    fn link_local_names() {
        let query = hex("1234 0000 0001 0000 0000 0000 0477706164 00 0001 0001");
        let talk = Talk::udp(5355).client(&query);
        assert_eq!(talk.protocol(), Protocol::LLMNR);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("wpad"));
    }

    #[test]
    fn a_resolver_asked_for_its_certificate() {
        let query = hex("1234 0100 0001 0000 0000 0000 0132 09536543555265646e53
            056156617354 03436f4d 00 0010 0001");
        assert_eq!(Talk::udp(443).client(&query).protocol(), Protocol::AVAST_SECURE_DNS);
    }

    #[test]
    fn a_certificate_of_dnscrypt() {
        let mut query = hex("1234 0100 0001 0000 0000 0001 0132 0d646e7363727970742d63657274
            076578616d706c65 03636f6d 00 0010 0001 00 0029 0000 00000000 05bc 000c 05b8");
        query.extend([0; 400]);
        assert_eq!(Talk::udp(8443).client(&query).protocol(), Protocol::DNSCRYPT);
    }

    #[test]
    fn pointers_that_lead_in_circles() {
        let query = hex("1234 0100 0001 0000 0000 0000 c00c 0001 0001");
        Talk::udp(53).client(&query).protocol();
        assert_eq!(Talk::udp(5300).client(&query).protocol(), Protocol::UNKNOWN);
        let answer = hex(ANSWER);
        for end in 0..answer.len() {
            Talk::udp(53).client(&answer[..end]).server(&answer[..end]).protocol();
            Talk::udp(5353).client(&answer[..end]).protocol();
        }
    }
}
