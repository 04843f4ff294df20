//! AVAST's updates: a word and the length of the whole.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::AVAST, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"NOSA", Protocol::AVAST) {
        Verdict::Is(_) if view.u16_at(4).is_some_and(|len| usize::from(len) > view.len) => {
            Verdict::No
        }
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn an_answer_has_its_length() {
        let update = hex("4e4f5341 0010 0102 00000000 e8e67a0c");
        assert_eq!(Talk::tcp(80).server(&update).protocol(), Protocol::AVAST);
        Talk::tcp(80).server(&update).survives();
    }
}
