//! MapleStory: the server's hello has its length, the version, a text of the minor version, two
//! vectors and the region.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::MAPLE_STORY, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([13..=16, 0, low, high, text, 0, minor]) = view.at(0) else { return Verdict::No };
    let version = u16::from_le_bytes([low, high]);
    let fits = view.is_counted16_le(0, 2) && (20..=300).contains(&version);
    let found = fits
        && (1..=2).contains(&text)
        && minor.is_ascii_digit()
        && matches!(view.data.last(), Some(1..=9));
    Verdict::when(found && !view.from_client, Protocol::MAPLE_STORY)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_server_says_its_version() {
        let hello = hex("0e00 5f00 0100 32 01020304 05060708 08");
        assert_eq!(Talk::tcp(8484).server(&hello).protocol(), Protocol::MAPLE_STORY);
        Talk::tcp(8484).server(&hello).survives();
    }
}
