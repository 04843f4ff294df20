//! Radmin: version, length of the data, a sum, the data with what is wanted first.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::RADMIN, &[4899], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([1, 0, 0, _, len, 0, 0]) = view.at(0) else {
        let hopeful = view.is_short(10) && view.first() == Some(1) && view.has_port(4899);
        return if hopeful { Verdict::Wait } else { Verdict::No };
    };
    let found = view.is_counted32(1, 9) && len > 0;
    let known = matches!(view.at(9), Some([8 | 0x12 | 0x1b | 0x27 | 0x0a]));
    Verdict::when(found && known, Protocol::RADMIN)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_hello_has_its_length() {
        let hello = hex("01 00000001 00000008 08");
        assert_eq!(Talk::tcp(4899).client(&hello).protocol(), Protocol::RADMIN);
        Talk::tcp(4899).client(&hello).survives();
    }
}
