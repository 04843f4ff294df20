//! SSDP: UPnP Device Architecture 2.0, 1.

use crate::detect::facts::Fact;
use crate::detect::text::{contains, field, host, line};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::SSDP, &[1900], dissect);

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let begins = matches!(view.data, [b'M', b'-', ..] | [b'N', b'O', ..] | [b'H', b'T', ..]);
    if !begins {
        return Verdict::No;
    }
    let Some((first, fields)) = line(view.data) else { return Verdict::No };
    let get = |name: &[u8]| field(fields, name);
    let fits = match first {
        b"M-SEARCH * HTTP/1.1" | b"NOTIFY * HTTP/1.1" => true,
        // An answer names what was searched, or whose it is.
        _ if first.starts_with(b"HTTP/1.1 200") => {
            view.has_port(1900) || get(b"ST").is_some() && get(b"USN").is_some()
        }
        _ => contains(first, b"M-SEARCH *") && view.has_port(1900),
    };
    if !fits {
        return Verdict::No;
    }
    if let Some(name) = get(b"HOST") {
        facts.put(Fact::Host, host(name));
    }
    for (name, fact) in
        [(&b"USER-AGENT"[..], Fact::UserAgent), (b"SERVER", Fact::Server), (b"LOCATION", Fact::Url)]
    {
        if let Some(value) = get(name) {
            facts.put(fact, value);
        }
    }
    Verdict::Is(Protocol::SSDP)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn searches_notices_and_answers() {
        let search = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\
            MAN: \"ssdp:discover\"\r\nUSER-AGENT: test\r\n\r\n";
        let talk = Talk::udp(1900).client(search);
        assert_eq!(talk.protocol(), Protocol::SSDP);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("239.255.255.250"));
        assert_eq!(talk.fact(Fact::UserAgent).as_deref(), Some("test"));
        let answer = b"HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:1\r\nServer: x\r\n\r\n";
        let talk = Talk::udp(50_002).client(answer);
        assert_eq!(talk.protocol(), Protocol::SSDP);
        assert_eq!(talk.fact(Fact::Server).as_deref(), Some("x"));
        let other = b"HTTP/1.1 200 OK\r\n\r\n";
        assert_eq!(Talk::udp(50_002).client(other).protocol(), Protocol::UNKNOWN);
    }
}
