//! What nDPI calls HP VirtGroup, at TCP 5223: a kind, the length of the whole, a version. Whatever
//! else is at that port is more likely XMPP over TLS, which was there long before it was
//! registered for another.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::HP_VIRTGRP, &[5223], dissect)
    .bound()
    .guesses(&[(5223, Protocol::XMPP)]);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([0x16 | 0x17, high, _, _]) if view.has_port(5223) => {
            let len = view.u16_at(1).map_or(0, usize::from);
            let fits = (4..=view.len).contains(&len) && high != 3;
            Verdict::when(fits, Protocol::HP_VIRTGRP)
        }
        None if view.is_short(4) && view.has_port(5223) => Verdict::Wait,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_hello_has_its_length() {
        let hello = hex("16 0008 00 93db4826");
        assert_eq!(Talk::tcp(5223).client(&hello).protocol(), Protocol::HP_VIRTGRP);
        Talk::tcp(5223).client(&hello).survives();
        let other = Talk::tcp(5223).client(&hex("25 0045 1404118ab5816e165f"));
        assert_eq!((other.protocol(), other.guess()), (Protocol::UNKNOWN, Protocol::XMPP));
        assert_eq!(Talk::tcp(5224).client(&hello).protocol(), Protocol::UNKNOWN);
    }
}
