//! Syslog: RFC 5424, RFC 3164 as it was before, RFC 6587 over TCP.

use crate::detect::text::leading_number;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::SYSLOG, &[514, 601], dissect);

/// Facility 23 with severity 7.
const MAX_PRIORITY: u32 = 191;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.judge(Protocol::SYSLOG, fits(view))
}

fn fits(view: &View<'_>) -> Option<bool> {
    let mut text = view.data;
    // Over TCP the length may stand before the message.
    if view.is_tcp() && text.first()?.is_ascii_digit() {
        let Some((len, rest)) = leading_number(text) else { return Some(false) };
        let [b' ', rest @ ..] = rest else {
            return if rest.is_empty() && len < 100_000 { None } else { Some(false) };
        };
        text = rest;
    }
    let [b'<', digits @ ..] = text else { return text.first().map(|_| false) };
    let Some((priority, rest)) = leading_number(digits) else {
        return digits.first().map(|_| false);
    };
    let [b'>', message @ ..] = rest else { return rest.first().map(|_| false) };
    let places = digits.len().saturating_sub(rest.len());
    if priority > MAX_PRIORITY || places > 3 || (places > 1 && digits.first() == Some(&b'0')) {
        return Some(false);
    }
    // A version, a month, a name or a blank, and elsewhere than at home a little more text.
    let wanted = if view.has_port(514) || view.has_port(601) { 3 } else { 8 };
    let start = message.get(..wanted)?;
    let is_text = |octet: &u8| octet.is_ascii_graphic() || octet.is_ascii_whitespace();
    let is_begun = |octet: &u8| {
        octet.is_ascii_alphanumeric() || octet.is_ascii_whitespace() || b"%:[-".contains(octet)
    };
    Some(start.first().is_some_and(is_begun) && start.iter().all(is_text))
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn old_new_and_counted() {
        let old = b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed";
        assert_eq!(Talk::udp(514).client(old).protocol(), Protocol::SYSLOG);
        let new = b"<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 - text";
        assert_eq!(Talk::tcp(6514).client(new).protocol(), Protocol::SYSLOG);
        let counted = Talk::tcp(601).client(b"15").client(b" <34>1 - - - - -");
        assert_eq!(counted.protocol(), Protocol::SYSLOG);
    }

    #[test]
    fn near_misses() {
        for text in
            [&b"<192>1 - - -"[..], b"<034>1 - -", b"<a>text", b"<34 >text", b"<34>", b"<34>\x01ab"]
        {
            assert_eq!(Talk::udp(514).client(text).protocol(), Protocol::UNKNOWN, "{text:?}");
        }
    }
}
