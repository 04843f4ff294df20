//! DingTalk: kind, length of the rest but four, versions.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::DINGTALK, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([0x10, len, 0x87, 0x80, 1, 0, 1, 0]) = view.at(0) else { return Verdict::No };
    Verdict::when(usize::from(len).saturating_add(4) == view.len, Protocol::DINGTALK)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_hello_has_its_length() {
        let talk = hex("1008878001000100 02000264");
        assert_eq!(Talk::tcp(443).client(&talk).protocol(), Protocol::DINGTALK);
    }
}
