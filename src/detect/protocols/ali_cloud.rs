//! Alibaba's cloud: a mark and a length below 64 KiB.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::ALI_CLOUD, &[8999], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(&[0xce, 0xfa, 0xbe, 0xba], Protocol::ALI_CLOUD) {
        Verdict::Is(_) if view.u32_le_at(4).is_some_and(|len| len > 0xffff) => Verdict::No,
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_message_begins_with_its_mark() {
        let cloud = hex("cefabeba 80000000");
        assert_eq!(Talk::tcp(8999).client(&cloud).protocol(), Protocol::ALI_CLOUD);
    }
}
