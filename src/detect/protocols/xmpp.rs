//! XMPP: RFC 6120; STARTTLS: 5.

use super::tls;
use crate::detect::facts::Fact;
use crate::detect::text::{Start, contains, find, start_of};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::XMPP, &[5222, 5269], dissect);

/// What a stream begins with, after a declaration or not; and what it goes on with.
const BEGINNINGS: [&[u8]; 2] = [b"<stream:stream", b"<?xml "];
const MIDDLE: [&[u8]; 4] = [b"<message ", b"<presence ", b"<iq ", b"<stream:features"];

/// Octets within which the stream is opened.
const MAX_BEFORE: usize = 512;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let head = view.data.get(..MAX_BEFORE).unwrap_or(view.data);
    let open = |half: &[u8]| {
        let head = half.get(..MAX_BEFORE).unwrap_or(half);
        head.first() == Some(&b'<')
            && find(head, b"<stream:stream").is_some()
            && (contains(head, b"jabber:") || contains(head, b"etherx.jabber.org"))
    };
    let is_known = open(view.data) || open(view.other);
    if !is_known {
        if start_of(head, &MIDDLE) == Start::Whole && !view.is_start {
            let stanza = find(head, b" id=").is_some() || find(head, b" to=").is_some();
            let fits = stanza && (view.has_port(5222) || contains(head, b"jabber:"));
            return if fits { Verdict::Is(Protocol::XMPP) } else { Verdict::No };
        }
        let may = start_of(head, &BEGINNINGS) != Start::No;
        return if may && head.len() < MAX_BEFORE { Verdict::Wait } else { Verdict::No };
    }
    let name = attribute(view.from_client(), b" to=");
    if let Some(name) = name.or_else(|| attribute(view.from_server(), b" from=")) {
        facts.put(Fact::Host, name);
    }
    let is_over = tls::upgraded(view, facts).unwrap_or(false);
    if is_over { Verdict::Is(Protocol::XMPP) } else { Verdict::More(Protocol::XMPP) }
}

/// The value of an attribute of the opening element.
fn attribute<'a>(half: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let head = half.get(..MAX_BEFORE).unwrap_or(half);
    let element = head.get(find(head, b"<stream:stream")?..)?;
    let rest = element.get(find(element, name)?.checked_add(name.len())?..)?;
    let (quote, rest) = rest.split_first()?;
    let end = rest.iter().position(|octet| octet == quote)?;
    rest.get(..end)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn streams() {
        let open =
            b"<?xml version='1.0'?><stream:stream to='im.example.com' xmlns='jabber:client' \
            xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
        let talk = Talk::tcp(15_222).client(&open[..30]).client(&open[30..]);
        assert_eq!(talk.protocol(), Protocol::XMPP);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("im.example.com"));
        let other = b"<?xml version='1.0'?><html>";
        assert_eq!(Talk::tcp(5222).client(other).protocol(), Protocol::UNKNOWN);
    }
}
