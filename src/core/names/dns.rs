//! Names from answers of DNS (RFC 1035, hints of services RFC 9460), multicast DNS (RFC 6762) and
//! LLMNR (RFC 4795).

use super::{Names, Source};
use crate::wire::dns::{Data, Message, Record, Section};

/// Aliases followed in one answer.
const MAX_ALIASES: usize = 16;

/// Addresses taken of one answer.
const MAX_ADDRESSES: usize = 32;

/// Records looked at in one answer.
const MAX_RECORDS: usize = 128;

/// Learns the addresses of the name that an answer is about, through its aliases. What an answer
/// says of other names is not believed, except over multicast, where there is no question.
pub fn learn(names: &mut Names, payload: &[u8], source: Source) {
    let multicast = source == Source::Mdns;
    let Ok(message) = Message::parse(payload) else { return };
    if !message.is_response() || message.opcode() != 0 || message.response_code() != 0 {
        return;
    }
    let asked = match message.questions().next() {
        _ if multicast => None,
        Some(question) => Some(question.name.text()),
        None => return,
    };
    let owners = asked.as_deref().map(|asked| aliases(&message, asked));
    let records = message.records().take(MAX_RECORDS).filter(|r| r.class & 0x7fff == 1);
    let believed = records.filter(|record| multicast || record.section == Section::Answer);
    let mut left = MAX_ADDRESSES;
    for record in believed {
        let addresses = record.addresses();
        if addresses.clone().next().is_none() {
            continue;
        }
        let owner = record.name.text();
        let name = match (&owners, &asked) {
            (Some(owners), Some(asked)) => {
                owners.iter().any(|known| same(known, &owner)).then_some(asked)
            }
            _ => Some(&owner),
        };
        if let Some(name) = name {
            for address in addresses.take(left) {
                names.learn_from(address, name, source);
                left = left.saturating_sub(1);
            }
            if left == 0 {
                break;
            }
        }
    }
}

/// A name and what it is an alias of, step by step.
fn aliases(message: &Message<'_>, asked: &str) -> Vec<String> {
    let mut known = vec![asked.to_owned()];
    let answers = || message.records().take(MAX_RECORDS).take_while(is_answer);
    let pairs: Vec<(String, String)> = answers()
        .filter_map(|record| match record.read_data() {
            Some(Data::Cname(target)) => Some((record.name.text(), target.text())),
            _ => None,
        })
        .take(MAX_ALIASES)
        .collect();
    // They may stand in any order.
    for _ in 0..pairs.len() {
        let Some(last) = known.last() else { break };
        let Some((_, target)) = pairs.iter().find(|(owner, _)| same(owner, last)) else { break };
        if known.contains(target) {
            break;
        }
        known.push(target.clone());
    }
    known
}

fn is_answer(record: &Record<'_>) -> bool {
    record.section == Section::Answer
}

/// Resolvers may change the case of letters to tell forged answers (draft-vixie-dnsext-dns0x20).
const fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn name(text: &str) -> Vec<u8> {
        let labels = text.split('.').filter(|l| !l.is_empty());
        let mut out: Vec<u8> = labels
            .flat_map(|l| [&[u8::try_from(l.len()).unwrap()], l.as_bytes()].concat())
            .collect();
        out.push(0);
        out
    }

    fn record(owner: &str, kind: u16, data: &[u8]) -> Vec<u8> {
        let len = u16::try_from(data.len()).unwrap().to_be_bytes();
        [&name(owner)[..], &kind.to_be_bytes(), &[0, 1, 0, 0, 0, 9], &len, data].concat()
    }

    /// A response with a question, answers and additional records.
    fn response(asked: Option<&str>, answers: &[Vec<u8>], more: &[Vec<u8>]) -> Vec<u8> {
        let count = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
        let counts = [asked.map_or(0, |_| 1), answers.len(), 0, more.len()].map(count).concat();
        let question = asked.map_or(Vec::new(), |a| [&name(a)[..], &[0, 1, 0, 1]].concat());
        [&[0, 7, 0x81, 0x80][..], &counts, &question, &answers.concat(), &more.concat()].concat()
    }

    fn learnt(payload: &[u8], multicast: bool) -> Vec<(String, String)> {
        let mut names = Names::default();
        learn(&mut names, payload, if multicast { Source::Mdns } else { Source::Dns });
        let mut all: Vec<(String, String)> =
            names.since(0).map(|(ip, name)| (ip.to_string(), name.to_owned())).collect();
        all.sort();
        all
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn addresses_belong_to_the_name_that_was_asked_for() {
        let six: IpAddr = "2001:db8::7".parse().unwrap();
        let IpAddr::V6(six) = six else { panic!() };
        let answers = [
            // In an order that nobody promises otherwise.
            record("b.cdn.example", 5, &name("c.cdn.example")),
            record("WWW.example.com", 5, &name("b.cdn.example")),
            record("C.cdn.example", 1, &[192, 0, 2, 1]),
            record("c.cdn.example", 28, &six.octets()),
            record("victim.example", 1, &[192, 0, 2, 66]),
        ];
        let more = [record("ns.example", 1, &[192, 0, 2, 53])];
        let bytes = response(Some("www.Example.com"), &answers, &more);
        let expected =
            pairs(&[("192.0.2.1", "www.example.com"), ("2001:db8::7", "www.example.com")]);
        assert_eq!(learnt(&bytes, false), expected);
        // Cut short by a snap length: what is there counts.
        assert_eq!(learnt(&bytes[..bytes.len() - 50], false).len(), 2);
    }

    #[test]
    fn hints_of_services_are_addresses_of_the_name_asked_for() {
        let hints = [
            &[0, 1, 0][..],
            &[0, 1, 0, 3, 2, b'h', b'2'],
            &[0, 4, 0, 8, 192, 0, 2, 1, 192, 0, 2, 2],
            &[0, 6, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
        ];
        let https = record("www.example.com", 65, &hints.concat());
        let bytes = response(Some("www.example.com"), &[https], &[]);
        let expected = pairs(&[
            ("192.0.2.1", "www.example.com"),
            ("192.0.2.2", "www.example.com"),
            ("2001:db8::7", "www.example.com"),
        ]);
        assert_eq!(learnt(&bytes, false), expected);
        // A length that lies ends the list.
        for end in 0..hints.concat().len() {
            let cut = record("www.example.com", 65, &hints.concat()[..end]);
            let bytes = response(Some("www.example.com"), &[cut], &[]);
            assert!(learnt(&bytes, false).len() <= 3);
        }
    }

    #[test]
    fn questions_errors_and_circles_teach_nothing() {
        let a = [record("a", 1, &[192, 0, 2, 1])];
        let mut bytes = response(Some("a"), &a, &[]);
        assert_eq!(learnt(&bytes, false).len(), 1);
        bytes[2] = 1;
        assert_eq!(learnt(&bytes, false), []);
        bytes[2..4].copy_from_slice(&[0x81, 0x83]);
        assert_eq!(learnt(&bytes, false), []);
        assert_eq!(learnt(&response(None, &a, &[]), false), []);
        let circle = [record("a", 5, &name("b")), record("b", 5, &name("a"))];
        assert_eq!(learnt(&response(Some("a"), &circle, &[]), false), []);
    }

    #[test]
    fn multicast_answers_are_believed_in_all_their_records() {
        let mut answer = record("Printer.local", 1, &[10, 0, 0, 7]);
        // The bit that says that this is all there is.
        answer[name("Printer.local").len() + 2] = 0x80;
        let more = [record("nas.local", 1, &[10, 0, 0, 8])];
        let expected = pairs(&[("10.0.0.7", "printer.local"), ("10.0.0.8", "nas.local")]);
        assert_eq!(learnt(&response(None, &[answer], &more), true), expected);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_to_an_end(
            bytes in proptest::collection::vec(0_u8.., 0..300),
            multicast in proptest::bool::ANY,
        ) {
            let mut names = Names::default();
            learn(&mut names, &bytes, if multicast { Source::Mdns } else { Source::Dns });
            proptest::prop_assert!(names.len() <= MAX_ADDRESSES);
        }
    }
}
