//! libp2p over TCP, as IPFS and others use it: multistream-select 1.0.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::LIBP2P, &[4001], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.opens(b"\x13/multistream/1.0.0\n", Protocol::LIBP2P)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn peers_agree_on_a_protocol() {
        let hello = b"\x13/multistream/1.0.0\n\x07/noise\n";
        assert_eq!(Talk::tcp(4001).client(hello).protocol(), Protocol::LIBP2P);
        assert_eq!(Talk::tcp(4001).server(hello).protocol(), Protocol::LIBP2P);
        let other = b"\x13/multistream/2.0.0\n";
        assert_eq!(Talk::tcp(4001).client(other).protocol(), Protocol::UNKNOWN);
    }
}
