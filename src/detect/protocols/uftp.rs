//! UFTP, versions 4 and 5 (its protocol description): version and function, which the message
//! behind the header repeats with its length in words.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::UFTP, &[1044], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([0x40 | 0x50, function]) = view.at(0) else { return Verdict::No };
    let Some([again, words]) = view.at(16) else { return Verdict::No };
    let octets = usize::from(words).saturating_mul(4).saturating_add(16);
    let found =
        (1..=32).contains(&function) && again == function && words > 0 && octets <= view.len;
    Verdict::when(found, Protocol::UFTP)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn an_announcement_repeats_its_function() {
        let announce = hex("5001 0000 c0a801ba 0211a8c5 009d0000 0106 0014 0020 0514 0005a3f6b839
            3fbee604 0401e605 0558");
        assert_eq!(Talk::udp(1044).client(&announce).protocol(), Protocol::UFTP);
        assert_eq!(Talk::udp(1044).client(&announce[..30]).protocol(), Protocol::UNKNOWN);
    }
}
