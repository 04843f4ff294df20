//! WHOIS: RFC 3912: a line is asked on its port, text is answered.

use crate::detect::facts::Fact;
use crate::detect::text::{is_text, line};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::WHOIS, &[43, 4343], dissect);

/// Octets of a question.
const MAX_QUESTION: usize = 256;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if view.server_port != 43 || view.len == 0 {
        return Verdict::No;
    }
    let asked = view.from_client();
    if asked.len() > MAX_QUESTION || !is_text(asked) || !is_text(view.from_server()) {
        return Verdict::No;
    }
    match line(asked) {
        Some((question, [])) if !question.trim_ascii().is_empty() => {
            // What is asked comes last, after options of the server.
            let question = question.trim_ascii();
            let at = question
                .iter()
                .rposition(|octet| *octet == b' ')
                .map_or(0, |at| at.saturating_add(1));
            facts.put(Fact::Host, question.get(at..).unwrap_or(question));
            Verdict::Is(Protocol::WHOIS)
        }
        None => Verdict::Wait,
        Some(_) => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_question() {
        let talk = Talk::tcp(43).client(b"-T dn,ace example.com\r\n").server(b"% Terms\r\n");
        assert_eq!(talk.protocol(), Protocol::WHOIS);
        assert_eq!(talk.fact(Fact::Host).as_deref(), Some("example.com"));
        assert_eq!(Talk::tcp(43).client(b"a\r\nb\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(43).client(b"\x01\r\n").protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(44).client(b"example.com\r\n").protocol(), Protocol::UNKNOWN);
    }
}
