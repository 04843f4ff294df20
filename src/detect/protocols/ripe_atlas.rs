//! RIPE Atlas: probes that other anchors answer.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::RIPE_ATLAS, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    view.opens(b"MGLNDD_", Protocol::RIPE_ATLAS)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_probe_says_so() {
        assert_eq!(Talk::udp(9).client(b"MGLNDD_11.111").protocol(), Protocol::RIPE_ATLAS);
    }
}
