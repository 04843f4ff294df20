//! What nDPI calls HP VirtGroup, at TCP 5223: a kind, the length of the whole, a version.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::tcp(Protocol::HP_VIRTGRP, &[5223], dissect).bound();

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
        assert_eq!(Talk::tcp(5224).client(&hello).protocol(), Protocol::UNKNOWN);
    }
}
