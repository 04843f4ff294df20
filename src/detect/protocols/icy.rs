//! SHOUTcast: streams of sound whose answers say ICY instead of HTTP, and Icecast's sources. Where
//! the question was seen, which is HTTP's, that dissector knows it by the answer.

use crate::detect::facts::Fact;
use crate::detect::text::{Start, field, line, start_of};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::SHOUTCAST, &[], dissect);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    match start_of(view.data, &[b"ICY 200 ", b"ICY 40", b"SOURCE /"]) {
        Start::Whole => {}
        Start::Part => return Verdict::Wait,
        Start::No => return Verdict::No,
    }
    let Some((first, fields)) = line(view.data) else { return Verdict::Wait };
    if first.starts_with(b"SOURCE") {
        let fits =
            [&b" ICE/1.0"[..], b" HTTP/1.0", b" HTTP/1.1"].iter().any(|end| first.ends_with(end));
        return if fits { Verdict::Is(Protocol::ICECAST) } else { Verdict::No };
    }
    if let Some(name) = field(fields, b"icy-name") {
        facts.put(Fact::Server, name);
    }
    Verdict::Is(Protocol::SHOUTCAST)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn streams_and_sources() {
        let talk = Talk::tcp(8005).server(b"ICY 200 OK\r\nicy-name:Radio\r\n\r\n");
        assert_eq!(talk.protocol(), Protocol::SHOUTCAST);
        assert_eq!(talk.fact(Fact::Server).as_deref(), Some("Radio"));
        let talk = Talk::tcp(8005).client(b"SOURCE /live ICE/1.0\r\n\r\n");
        assert_eq!(talk.protocol(), Protocol::ICECAST);
        let talk = Talk::tcp(8005).client(b"SOURCE /t.mp3 HTTP/1.1\r\nIce-Public: 0\r\n\r\n");
        assert_eq!(talk.protocol(), Protocol::ICECAST);
        assert_eq!(Talk::tcp(8005).server(b"ICY 500\r\n").protocol(), Protocol::UNKNOWN);
    }
}
