//! DNS messages (RFC 1035, 3596, 2782, 6891), borrowed from the bytes of a packet. Messages may be
//! cut short: what can be read up to there counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of the fixed header.
pub const HEADER_LEN: usize = 12;

/// Compression pointers that one name may follow, each strictly backwards.
const MAX_POINTERS: usize = 128;

/// The longest name, as text (RFC 1035, 3.1).
const MAX_NAME: usize = 255;

/// The bytes are too short for a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Truncated;

/// A message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    header: &'a [u8; HEADER_LEN],
    // Compression pointers count from the start of the message.
    whole: &'a [u8],
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name that is asked about.
    pub name: Name<'a>,
    /// Type of the records asked for.
    pub kind: u16,
    /// Their class.
    pub class: u16,
}

/// A resource record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Which part of the message it is in.
    pub section: Section,
    /// The name that it belongs to.
    pub name: Name<'a>,
    /// Type.
    pub kind: u16,
    /// Class.
    pub class: u16,
    /// For how many seconds it may be kept.
    pub ttl: u32,
    /// Its data as they are.
    pub data: &'a [u8],
    whole: &'a [u8],
    data_at: usize,
}

/// Parts of a message that hold records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(missing_docs, reason = "the names of RFC 1035, 4.1")]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

/// The data of a record, of those types whose data are understood.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names of the records and their fields")]
pub enum Data<'a> {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(Name<'a>),
    Mx {
        preference: u16,
        name: Name<'a>,
    },
    Ns(Name<'a>),
    Opt(Options<'a>),
    Ptr(Name<'a>),
    Soa {
        primary: Name<'a>,
        contact: Name<'a>,
        numbers: [u32; 5],
    },
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        name: Name<'a>,
    },
    /// TXT and HINFO.
    Texts(Texts<'a>),
}

/// A domain name, possibly compressed.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> Message<'a> {
    /// A message that begins with these bytes.
    ///
    /// # Errors
    /// If there are fewer than a header has.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Truncated> {
        let header = bytes.first_chunk().ok_or(Truncated)?;
        Ok(Self { header, whole: bytes })
    }

    /// What a reply has in common with its question.
    #[must_use]
    pub const fn id(&self) -> u16 {
        let [a, b, ..] = *self.header;
        u16::from_be_bytes([a, b])
    }

    /// QR: a response rather than a query.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flags() & 0x8000 != 0
    }

    /// OPCODE, 0 for a standard query.
    #[must_use]
    pub const fn opcode(&self) -> u8 {
        (self.flags() >> 11 & 0x0f) as u8
    }

    /// AA: by a server that is responsible for the name.
    #[must_use]
    pub const fn is_authoritative(&self) -> bool {
        self.flags() & 0x0400 != 0
    }

    /// TC: cut short.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.flags() & 0x0200 != 0
    }

    /// RD: the server shall ask others.
    #[must_use]
    pub const fn is_recursion_desired(&self) -> bool {
        self.flags() & 0x0100 != 0
    }

    /// RA: the server would ask others.
    #[must_use]
    pub const fn is_recursion_available(&self) -> bool {
        self.flags() & 0x0080 != 0
    }

    /// The three bits that were once reserved.
    #[must_use]
    pub const fn z(&self) -> u8 {
        (self.flags() >> 4 & 7) as u8
    }

    /// RCODE, 0 for success.
    #[must_use]
    pub const fn response_code(&self) -> u8 {
        (self.flags() & 0x0f) as u8
    }

    /// How many questions, answers, authorities and additional records the header announces.
    #[must_use]
    pub const fn counts(&self) -> [u16; 4] {
        let [_, _, _, _, a, b, c, d, e, f, g, h] = *self.header;
        [
            u16::from_be_bytes([a, b]),
            u16::from_be_bytes([c, d]),
            u16::from_be_bytes([e, f]),
            u16::from_be_bytes([g, h]),
        ]
    }

    /// Walks the questions; stops for good at the first that can't be read.
    #[must_use]
    pub const fn questions(&self) -> Questions<'a> {
        let [left, ..] = self.counts();
        Questions { whole: self.whole, at: HEADER_LEN, left }
    }

    /// Walks the records of all sections in their order; stops for good at the first that can't
    /// be read.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        let mut questions = self.questions();
        while questions.next().is_some() {}
        let [_, counts @ ..] = self.counts();
        // A question that can't be read hides where the records begin.
        let counts = if questions.is_damaged() { [0; 3] } else { counts };
        Records { whole: self.whole, at: questions.at, counts }
    }

    const fn flags(&self) -> u16 {
        let [_, _, a, b, ..] = *self.header;
        u16::from_be_bytes([a, b])
    }
}

/// Walks questions.
#[derive(Clone, Debug)]
pub struct Questions<'a> {
    whole: &'a [u8],
    at: usize,
    left: u16,
}

impl Questions<'_> {
    const fn is_damaged(&self) -> bool {
        self.left == u16::MAX
    }
}

impl<'a> Iterator for Questions<'a> {
    type Item = Question<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 || self.is_damaged() {
            return None;
        }
        let name = Name { whole: self.whole, at: self.at };
        let read = || {
            let at = name.end()?;
            let fixed: &[u8; 4] = self.whole.get(at..)?.first_chunk()?;
            Some((at.saturating_add(4), *fixed))
        };
        let Some((at, [k0, k1, c0, c1])) = read() else {
            self.left = u16::MAX;
            return None;
        };
        self.at = at;
        self.left = self.left.saturating_sub(1);
        let (kind, class) = (u16::from_be_bytes([k0, k1]), u16::from_be_bytes([c0, c1]));
        Some(Question { name, kind, class })
    }
}

/// Walks resource records.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    whole: &'a [u8],
    at: usize,
    /// Left in each section.
    counts: [u16; 3],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let sections = [Section::Answer, Section::Authority, Section::Additional];
        let (section, left) =
            sections.into_iter().zip(&mut self.counts).find(|(_, left)| **left > 0)?;
        *left = left.saturating_sub(1);
        let record = Record::read(self.whole, self.at, section);
        match &record {
            Some(record) => self.at = record.data_at.saturating_add(record.data.len()),
            None => self.counts = [0; 3],
        }
        record
    }
}

impl<'a> Record<'a> {
    fn read(whole: &'a [u8], at: usize, section: Section) -> Option<Self> {
        let name = Name { whole, at };
        let at = name.end()?;
        let [k0, k1, c0, c1, t0, t1, t2, t3, l0, l1] = *whole.get(at..)?.first_chunk()?;
        let data_at = at.saturating_add(10);
        let data = whole.get(data_at..)?.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
        Some(Self {
            section,
            name,
            kind: u16::from_be_bytes([k0, k1]),
            class: u16::from_be_bytes([c0, c1]),
            ttl: u32::from_be_bytes([t0, t1, t2, t3]),
            data,
            whole,
            data_at,
        })
    }

    /// What the data say; `None` if the type is not understood or the data don't fit it.
    #[must_use]
    pub fn read_data(&self) -> Option<Data<'a>> {
        Some(match self.kind {
            kind::A => Data::A((*self.data.first_chunk::<4>()?).into()),
            kind::AAAA => Data::Aaaa((*self.data.first_chunk::<16>()?).into()),
            kind::NS => Data::Ns(self.name_at(0)?),
            kind::CNAME => Data::Cname(self.name_at(0)?),
            kind::PTR => Data::Ptr(self.name_at(0)?),
            kind::MX => {
                let [a, b] = *self.data.first_chunk()?;
                Data::Mx { preference: u16::from_be_bytes([a, b]), name: self.name_at(2)? }
            }
            kind::SRV => {
                let [a, b, c, d, e, f] = *self.data.first_chunk()?;
                Data::Srv {
                    priority: u16::from_be_bytes([a, b]),
                    weight: u16::from_be_bytes([c, d]),
                    port: u16::from_be_bytes([e, f]),
                    name: self.name_at(6)?,
                }
            }
            kind::SOA => {
                let primary = self.name_at(0)?;
                let contact = Name { whole: self.whole, at: primary.end()? };
                let fixed = self.whole.get(contact.end()?..)?.first_chunk::<20>()?;
                let mut numbers = [0; 5];
                let (words, _) = fixed.as_chunks::<4>();
                for (number, word) in numbers.iter_mut().zip(words) {
                    *number = u32::from_be_bytes(*word);
                }
                Data::Soa { primary, contact, numbers }
            }
            kind::TXT | kind::HINFO => Data::Texts(Texts { rest: self.data }),
            kind::OPT => Data::Opt(Options { rest: self.data }),
            _ => return None,
        })
    }

    /// The addresses that the record gives its owner: of A and AAAA the one, of HTTPS and SVCB
    /// those that a client may try first (RFC 9460, 7.3).
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + Clone + use<'a> {
        let (v4, v6): (&[u8], &[u8]) = match self.kind {
            kind::A => (self.data.get(..4).unwrap_or_default(), &[]),
            kind::AAAA => (&[], self.data.get(..16).unwrap_or_default()),
            kind::SVCB | kind::HTTPS => self.service_hints().unwrap_or_default(),
            _ => (&[], &[]),
        };
        let v4 = v4.as_chunks::<4>().0.iter().map(|octets| IpAddr::from(*octets));
        v4.chain(v6.as_chunks::<16>().0.iter().map(|octets| IpAddr::from(*octets)))
    }

    /// The octets of the IPv4 and IPv6 hints of a service.
    fn service_hints(&self) -> Option<(&'a [u8], &'a [u8])> {
        const IPV4_HINT: u16 = 4;
        const IPV6_HINT: u16 = 6;
        // A priority, and the name of the server.
        let at = self.name_at(2)?.octets()?.checked_add(2)?;
        let mut parameters = Options { rest: self.data.get(at..)? };
        let mut of = |wanted| parameters.find(|(key, _)| *key == wanted).map(|(_, data)| data);
        // They come in the order of their keys.
        let v4 = of(IPV4_HINT);
        let v6 = match v4 {
            Some(_) => of(IPV6_HINT),
            None => {
                let mut again = Options { rest: self.data.get(at..)? };
                again.find(|(key, _)| *key == IPV6_HINT).map(|(_, data)| data)
            }
        };
        Some((v4.unwrap_or_default(), v6.unwrap_or_default()))
    }

    /// A name `skip` bytes into the data; it may end outside of them.
    fn name_at(&self, skip: usize) -> Option<Name<'a>> {
        self.data.get(skip)?;
        let name = Name { whole: self.whole, at: self.data_at.saturating_add(skip) };
        name.end().map(|_| name)
    }
}

/// Walks the character strings of a record.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let (len, rest) = self.rest.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(*len))?;
        self.rest = rest;
        Some(text)
    }
}

/// Walks the options of EDNS: code and data.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([c0, c1, l0, l1], rest) = self.rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let (data, rest) = rest.split_at_checked(len)?;
        self.rest = rest;
        Some((u16::from_be_bytes([*c0, *c1]), data))
    }
}

impl<'a> Name<'a> {
    /// Walks the labels, through compression pointers; stops where the name can't be followed.
    #[must_use]
    pub const fn labels(&self) -> Labels<'a> {
        Labels { whole: self.whole, at: Some(self.at), floor: self.at, pointers: 0, len: 0 }
    }

    /// The labels with dots between them, without one at the end. What is not UTF-8 is replaced,
    /// control characters are left in.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for label in self.labels() {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&String::from_utf8_lossy(label));
        }
        out
    }

    /// Octets that it takes where it stands, those that a pointer leads to not counted.
    #[must_use]
    pub fn octets(&self) -> Option<usize> {
        self.end()?.checked_sub(self.at)
    }

    /// Where it ends in the message: behind its last label or its first pointer.
    fn end(&self) -> Option<usize> {
        let mut at = self.at;
        // A name of the longest length has so many labels.
        for _ in 0..=MAX_NAME / 2 {
            let len = *self.whole.get(at)?;
            match len >> 6 {
                0 if len == 0 => return at.checked_add(1),
                0 => at = at.checked_add(usize::from(len))?.checked_add(1)?,
                3 => {
                    self.whole.get(at.checked_add(1)?)?;
                    return at.checked_add(2);
                }
                _ => return None,
            }
        }
        None
    }
}

/// Walks the labels of a name.
#[derive(Clone, Debug)]
pub struct Labels<'a> {
    whole: &'a [u8],
    at: Option<usize>,
    /// Pointers must lead before this.
    floor: usize,
    pointers: usize,
    len: usize,
}

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let mut at = self.at.take()?;
        loop {
            let len = *self.whole.get(at)?;
            match len >> 6 {
                0 if len == 0 => return None,
                0 => {
                    let begin = at.checked_add(1)?;
                    let end = begin.checked_add(usize::from(len))?;
                    let label = self.whole.get(begin..end)?;
                    self.len = self.len.saturating_add(label.len()).saturating_add(1);
                    if self.len > MAX_NAME {
                        return None;
                    }
                    self.at = Some(end);
                    return Some(label);
                }
                3 => {
                    let low = *self.whole.get(at.checked_add(1)?)?;
                    let target = usize::from(u16::from_be_bytes([len & 0x3f, low]));
                    self.pointers = self.pointers.saturating_add(1);
                    if target >= self.floor || self.pointers > MAX_POINTERS {
                        return None;
                    }
                    (at, self.floor) = (target, target);
                }
                _ => return None,
            }
        }
    }
}

/// Types of records (IANA DNS parameters).
#[expect(missing_docs, reason = "the names are the types")]
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const HINFO: u16 = 13;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const OPT: u16 = 41;
    pub const SVCB: u16 = 64;
    pub const HTTPS: u16 = 65;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these counts and a body.
    fn message(counts: [u16; 4], body: &[u8]) -> Vec<u8> {
        let mut out = vec![0x12, 0x34, 0x85, 0x80];
        out.extend(counts.map(u16::to_be_bytes).concat());
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn a_reply_is_read_with_its_compressed_names() {
        let body = [
            &b"\x03www\x07example\x03com\x00\x00\x01\x00\x01"[..],
            b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x06\x03cdn\xc0\x10",
            b"\xc0\x2d\x00\x01\x00\x01\x00\x00\x00\x0a\x00\x04\xc0\x00\x02\x01",
            b"\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x06\x00\x0a\x00\x02ab",
        ]
        .concat();
        let bytes = message([1, 2, 0, 1], &body);
        let message = Message::parse(&bytes).unwrap();
        assert!(message.is_response() && message.is_authoritative());
        assert!(message.is_recursion_desired() && message.is_recursion_available());
        assert_eq!((message.id(), message.opcode(), message.response_code()), (0x1234, 0, 0));
        let questions: Vec<_> = message.questions().map(|q| q.name.text()).collect();
        assert_eq!(questions, ["www.example.com"]);
        let records: Vec<_> = message.records().collect();
        assert_eq!(records.len(), 3);
        assert_eq!(records[0].name.text(), "www.example.com");
        match records[0].read_data() {
            Some(Data::Cname(name)) => assert_eq!(name.text(), "cdn.example.com"),
            other => panic!("{other:?}"),
        }
        assert_eq!(records[1].name.text(), "cdn.example.com");
        assert_eq!((records[1].ttl, records[1].section), (10, Section::Answer));
        match records[1].read_data() {
            Some(Data::A(address)) => assert_eq!(address.to_string(), "192.0.2.1"),
            other => panic!("{other:?}"),
        }
        match records[2].read_data() {
            Some(Data::Opt(options)) => {
                assert_eq!(options.collect::<Vec<_>>(), [(10, &b"ab"[..])]);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(records[2].section, Section::Additional);
    }

    #[test]
    fn a_truncated_record_keeps_the_records_before_it() {
        let one = b"\x01a\x00\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x01\x02\x03\x04";
        let bytes = message([0, 3, 0, 0], &[&one[..], one, &one[..12]].concat());
        assert_eq!(Message::parse(&bytes).unwrap().records().count(), 2);
        assert!(Message::parse(&bytes[..11]).is_err());
    }

    #[test]
    fn records_behind_a_damaged_question_are_not_guessed_at() {
        let bytes = message([1, 1, 0, 0], b"\x41\x00\x00\x01\x00\x01\x00\x00\x01\x00\x01");
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.questions().count(), message.records().count()), (0, 0));
    }

    #[test]
    fn pointers_that_do_not_lead_backwards_end_a_name() {
        for body in [&b"\xc0\x0c\x00\x01\x00\x01"[..], b"\xc0\x0e\xc0\x0c\x00\x01\x00\x01"] {
            let bytes = message([1, 0, 0, 0], body);
            for question in Message::parse(&bytes).unwrap().questions() {
                assert_eq!(question.name.text(), "");
            }
        }
        // A label before a pointer to itself: once around, no farther.
        let bytes = message([1, 0, 0, 0], b"\x01a\xc0\x0c\x00\x01\x00\x01");
        let question = Message::parse(&bytes).unwrap().questions().next().unwrap();
        assert_eq!(question.name.text(), "a");
    }

    #[test]
    fn a_name_is_no_longer_than_a_name_may_be() {
        let mut body = Vec::new();
        for _ in 0..10 {
            body.push(60);
            body.extend([b'x'; 60]);
        }
        body.extend(b"\x00\x00\x01\x00\x01");
        let bytes = message([1, 0, 0, 0], &body);
        let question = Message::parse(&bytes).unwrap().questions().next().unwrap();
        assert!(question.name.text().len() <= 255);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_walked_to_an_end(bytes in proptest::collection::vec(0_u8.., 0..300)) {
            if let Ok(message) = Message::parse(&bytes) {
                for question in message.questions() {
                    proptest::prop_assert!(question.name.text().len() <= 3 * 255);
                }
                for record in message.records() {
                    proptest::prop_assert!(record.data.len() <= bytes.len());
                    if let Some(Data::Texts(texts)) = record.read_data() {
                        proptest::prop_assert!(texts.count() <= bytes.len());
                    }
                }
            }
        }
    }
}
