//! TeamSpeak 3: its handshake as ReSpeak describes it, and the query's banner.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::TEAMSPEAK, &[9987, 10011, 30033], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_tcp() {
        // The query's banner.
        return view.opens(b"TS3\n\rWelcome to the TeamSpeak", Protocol::TEAMSPEAK);
    }
    // The place of a code that authenticates holds this while there is no key; version 2's list
    // of servers and connection have marks of their own.
    let old = matches!(view.at(0), Some([0xf4, 0xbe, 3, 0])) && view.len >= 20;
    Verdict::when(view.starts(b"TS3INIT1") || old, Protocol::TEAMSPEAK)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_handshake_without_a_key() {
        let hello = b"TS3INIT1\0\x65\0\0\x88\x0a\x5d\x2a\x1c\0";
        assert_eq!(Talk::udp(9987).client(hello).protocol(), Protocol::TEAMSPEAK);
    }
}
