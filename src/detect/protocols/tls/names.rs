//! What is spoken inside TLS: by the protocol that is agreed upon in it (IANA, TLS ALPN Protocol
//! IDs), by the port, for resolvers by their names.

use crate::detect::facts::Fact;
use crate::detect::text::starts;
use crate::detect::{Facts, Protocol, View};

/// Ports where TLS is spoken from the first octet.
pub(super) const PORTS: &[u16] =
    &[443, 465, 563, 636, 853, 989, 990, 993, 994, 995, 5061, 5671, 6514, 8443, 8883];

/// What is spoken within, of these.
pub(super) const GUESSES: &[(u16, Protocol)] = &[
    (443, Protocol::HTTPS),
    (465, Protocol::SMTPS),
    (853, Protocol::DOT),
    (989, Protocol::FTPS),
    (990, Protocol::FTPS),
    (993, Protocol::IMAPS),
    (995, Protocol::POP3S),
    (5061, Protocol::SIPS),
    (6514, Protocol::SYSLOGS),
    (8443, Protocol::HTTPS),
    (8883, Protocol::MQTTS),
];

/// Public resolvers of DNS over HTTPS, by the names that their operators document.
const RESOLVERS: [&[u8]; 16] = [
    b"dns.google",
    b"cloudflare-dns.com",
    b"one.one.one.one",
    b"1dot1dot1dot1.cloudflare-dns.com",
    b"quad9.net",
    b"doh.opendns.com",
    b"dns.nextdns.io",
    b"dns.adguard.com",
    b"adguard-dns.com",
    b"doh.cleanbrowsing.org",
    b"doh.dns.sb",
    b"dns.mullvad.net",
    b"doh.li",
    b"dns.alidns.com",
    b"doh.pub",
    b"dns0.eu",
];

/// The protocol within TLS.
pub(in crate::detect::protocols) fn name(view: &View<'_>, facts: &Facts) -> Protocol {
    let chosen = facts.get(Fact::AlpnServer).into_iter();
    let by_alpn = chosen.chain(facts.all(Fact::Alpn)).find_map(of_alpn);
    let by_port = || of_port(view.server_port).or_else(|| of_port(view.client_port));
    let protocol = by_alpn.or_else(by_port).unwrap_or(Protocol::TLS);
    if matches!(protocol, Protocol::HTTPS | Protocol::TLS)
        && facts.get(Fact::Host).is_some_and(is_resolver)
    {
        return Protocol::DOH;
    }
    protocol
}

/// A resolver of DNS over HTTPS has this name.
pub(in crate::detect::protocols) fn is_resolver(host: &[u8]) -> bool {
    RESOLVERS.iter().any(|known| {
        let from = host.len().checked_sub(known.len());
        let tail = from.and_then(|from| host.get(from..));
        let at_label = |from: usize| from == 0 || host.get(from.wrapping_sub(1)) == Some(&b'.');
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(known)) && from.is_some_and(at_label)
    })
}

fn of_alpn(id: &[u8]) -> Option<Protocol> {
    Some(match id {
        b"h2" | b"http/1.1" | b"http/1.0" | b"http/0.9" => Protocol::HTTPS,
        b"dot" => Protocol::DOT,
        b"imap" => Protocol::IMAPS,
        b"pop3" => Protocol::POP3S,
        b"ftp" => Protocol::FTPS,
        b"mqtt" => Protocol::MQTTS,
        _ if starts(id, b"sip/2") => Protocol::SIPS,
        _ if starts(id, b"spdy/") => Protocol::HTTPS,
        _ => return None,
    })
}

fn of_port(port: u16) -> Option<Protocol> {
    GUESSES.iter().find(|(known, _)| *known == port).map(|(_, protocol)| *protocol)
}
