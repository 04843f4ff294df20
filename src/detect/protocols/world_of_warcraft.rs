//! World of Warcraft (wowdev.wiki): the challenge of the login, the greetings of a realm.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::tcp(Protocol::WORLD_OF_WARCRAFT, &[3724], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    // A length, then a greeting in both directions.
    if view.data.get(2..).is_some_and(|rest| rest.starts_with(b"WORLD OF WARCRAFT CONNECTION")) {
        return Verdict::Is(Protocol::WORLD_OF_WARCRAFT);
    }
    let Some([code, error, size, 0, w, o, w2]) = view.at(0) else {
        let hopeful = view.is_short(7) && view.has_port(3724);
        return if hopeful { Verdict::Wait } else { Verdict::No };
    };
    // Challenge of the login: code 0 or 2, length of the rest, "WoW" and a zero.
    let found = matches!(code, 0 | 2)
        && matches!(error, 3 | 8)
        && [w, o, w2] == *b"WoW"
        && usize::from(size).saturating_add(4) == view.len;
    // The server begins with a seed of its own.
    let seed = view.has_port(3724) && matches!(view.at(0), Some([0, 6 | 0x2a, 0xec, 1]));
    Verdict::when(found || seed, Protocol::WORLD_OF_WARCRAFT)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn worlds_of_warcraft() {
        let greeting = b"\x30\0WORLD OF WARCRAFT CONNECTION - SERVER TO CLIENT\0";
        let talk = Talk::tcp(3724).server(greeting);
        assert_eq!(talk.protocol(), Protocol::WORLD_OF_WARCRAFT);
        talk.survives();
        let challenge = hex("0008 0400 576f5700");
        assert_eq!(Talk::tcp(9).client(&challenge).protocol(), Protocol::WORLD_OF_WARCRAFT);
    }
}
