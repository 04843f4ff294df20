//! Protocols of which little but the port is public: IANA's registry, Lotus Notes' remote calls.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

/// Targus' data service, and what is often beside it.
pub(super) const TARGUS: Dissector =
    Dissector::both(Protocol::TARGUS, &[5201, 5001], nothing).bound();

pub(super) const LOTUS_NOTES: Dissector = Dissector::tcp(Protocol::LOTUS_NOTES, &[1352], lotus);

/// Payload tells nothing of them: they are guessed.
fn nothing(_view: &View<'_>, _facts: &mut Facts) -> Verdict {
    Verdict::No
}

/// A length, then what a client asks of the server's versions.
fn lotus(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let fits = view.at(6).map(|head| head == [0, 0, 2, 0, 0, 0x40, 2, 0x0f]);
    view.judge(Protocol::LOTUS_NOTES, fits)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn they_are_guesses() {
        let talk = Talk::tcp(5001).client(b"whatever it is");
        assert_eq!((talk.protocol(), talk.guess()), (Protocol::UNKNOWN, Protocol::TARGUS));
        let ask = hex("3a000000 2f00 0000 0200 0040 020f 0007");
        assert_eq!(Talk::tcp(1352).client(&ask).protocol(), Protocol::LOTUS_NOTES);
    }
}
