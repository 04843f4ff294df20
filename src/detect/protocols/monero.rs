//! Monero's peers: the Levin protocol (monero, `LEVIN_PROTOCOL.md`).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::MONERO, &[18080], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.opens(&[1, 0x21, 1, 1, 1, 1, 1, 1], Protocol::MONERO)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn the_signature_of_a_bucket() {
        let bucket = hex("0121010101010101 0601000000000000 01 e9030000");
        assert_eq!(Talk::tcp(18_080).client(&bucket).protocol(), Protocol::MONERO);
        let parts = Talk::tcp(9).client(&bucket[..3]).client(&bucket[3..]);
        assert_eq!(parts.protocol(), Protocol::MONERO);
        assert_eq!(Talk::tcp(9).client(&bucket[1..]).protocol(), Protocol::UNKNOWN);
    }
}
