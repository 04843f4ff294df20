//! ICAP: RFC 3507.

use crate::detect::facts::Fact;
use crate::detect::text::{Start, host, start_of, word};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::ICAP, &[1344], dissect);

const BEGINNINGS: [&[u8]; 5] =
    [b"REQMOD icap", b"RESPMOD icap", b"OPTIONS icap", b"OPTIONS icaps", b"ICAP/1.0 "];

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    match start_of(view.data, &BEGINNINGS) {
        Start::Whole => {}
        Start::Part => return Verdict::Wait,
        Start::No => return Verdict::No,
    }
    let (_, rest) = word(view.data);
    if let Some(rest) = rest.strip_prefix(b"icap://") {
        let end = rest.iter().position(|octet| matches!(octet, b'/' | b' ')).unwrap_or(rest.len());
        facts.put(Fact::Host, host(rest.get(..end).unwrap_or_default()));
    }
    Verdict::Is(Protocol::ICAP)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn requests_and_answers() {
        let talk = Talk::tcp(11_344).client(b"OPTIONS icap://av.example:1344/scan ICAP/1.0\r\n");
        assert_eq!(talk.protocol(), Protocol::ICAP);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("av.example"));
        let talk = Talk::tcp(11_344).server(b"ICAP/1.0 200 OK\r\n");
        assert_eq!(talk.protocol(), Protocol::ICAP);
        let talk = Talk::tcp(11_344).client(b"REQMOD http://a/ HTTP/1.1\r\n");
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
    }
}
