//! Skype before Teams: datagrams of its peers (Bonfiglio et al., "Revealing Skype Traffic", 2007):
//! a number and a function in the clear, the rest sealed.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::udp(Protocol::SKYPE_TEAMS_CALL, &[], dissect).weak();

/// Function of a question; its answers are a retry, a refusal with the same number, or data.
const QUESTION: u8 = 2;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([_, _, function]) = view.at(0) else { return Verdict::No };
    if view.number == 1 {
        let fits =
            function == QUESTION && (18..=100).contains(&view.len) && view.server_port > 1024;
        return if fits { Verdict::Wait } else { Verdict::No };
    }
    let Some(first) = view.past.first() else { return Verdict::No };
    let is_answer = first.from_client != view.from_client
        && matches!(function & 0x8f, 2 | 3 | 7 | 0x0f)
        && view.len >= 11;
    let same = first.head.get(..2) == view.data.get(..2);
    // Who gets no answer asks again with another number.
    let again = first.from_client == view.from_client && function == QUESTION && !same;
    // An answer has the number of its question, and a question of the other end one of its own.
    let fits = is_answer && same != (function == QUESTION);
    Verdict::when(fits || again, Protocol::SKYPE_TEAMS_CALL)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_peer_asks_and_is_answered() {
        let mut ask = hex("1a2b02");
        ask.resize(28, 0xa9);
        let talk = Talk::udp(33_033).client(&ask);
        assert_eq!(talk.protocol(), Protocol::UNKNOWN);
        let refusal = hex("1a2b47 c0000201 01020304");
        assert_eq!(talk.clone().server(&refusal).protocol(), Protocol::SKYPE_TEAMS_CALL);
        let other = hex("1a2c47 c0000201 01020304");
        assert_eq!(talk.server(&other).protocol(), Protocol::UNKNOWN);
    }
}
