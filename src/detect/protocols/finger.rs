//! Finger: RFC 1288: who is asked for in a line on its port, text is answered.

use crate::detect::facts::Fact;
use crate::detect::text::{is_text, line};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::FINGER, &[79], dissect);

/// Octets of a question.
const MAX_QUESTION: usize = 128;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let asked = view.from_client();
    let is_short = asked.len() <= MAX_QUESTION && is_text(asked) && is_text(view.from_server());
    if view.server_port != 79 || !is_short {
        return Verdict::No;
    }
    match line(asked) {
        Some((question, [])) => {
            let whole = question.strip_prefix(b"/W").unwrap_or(question);
            facts.put(Fact::User, whole.trim_ascii());
            Verdict::Is(Protocol::FINGER)
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
        let talk = Talk::tcp(79).client(b"/W me\r\n");
        assert_eq!(talk.protocol(), Protocol::FINGER);
        assert_eq!(talk.fact(Fact::User).as_deref(), Some("me"));
        assert_eq!(
            Talk::tcp(79).client(b"\x01\x02\r\n").server(b"x").protocol(),
            Protocol::UNKNOWN
        );
        assert_eq!(Talk::tcp(80).client(b"me\r\n").protocol(), Protocol::UNKNOWN);
    }
}
