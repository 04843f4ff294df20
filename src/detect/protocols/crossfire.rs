//! Crossfire: the mark of its datagrams.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::CROSSFIRE, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    Verdict::when(view.starts(&[0xc7, 0xd9, 0x19, 0x99, 2, 0]), Protocol::CROSSFIRE)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn the_first_datagram() {
        let first = hex("c7d91999 0200 0102");
        assert_eq!(Talk::udp(40_000).client(&first).protocol(), Protocol::CROSSFIRE);
    }
}
