//! World of Kung Fu: the first message of sixteen octets.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::WORLD_OF_KUNG_FU, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = view.starts(&[0x0c, 0, 0, 0, 0xd2, 0, 0x0c, 0x16]) && view.len == 16;
    Verdict::when(found, Protocol::WORLD_OF_KUNG_FU)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn the_first_message() {
        let mut first = hex("0c000000 d2000c16");
        first.resize(16, 0);
        assert_eq!(Talk::tcp(40_000).client(&first).protocol(), Protocol::WORLD_OF_KUNG_FU);
        first.pop();
        assert_eq!(Talk::tcp(40_000).client(&first).protocol(), Protocol::UNKNOWN);
    }
}
