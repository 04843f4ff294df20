//! iQIYI's peers: direction and kind, length of the whole, a number; eight zeros behind the
//! sender's.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::IQIYI, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = matches!(view.first(), Some(0x1c | 0x9c))
        && view.is_counted16_le(2, 0)
        && view.at(16).is_some_and(|zeros: [u8; 6]| zeros.iter().skip(1).all(|o| *o == 0));
    Verdict::when(found, Protocol::IQIYI)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_question_has_its_length() {
        let mut ask = hex("1c40 1a00 4474717a a4f82bb73007f46b 02 0000000000 0014 97dd");
        ask.truncate(26);
        assert_eq!(ask.len(), 26);
        assert_eq!(Talk::udp(16_600).client(&ask).protocol(), Protocol::IQIYI);
        assert_eq!(Talk::udp(16_600).client(&ask[..25]).protocol(), Protocol::UNKNOWN);
    }
}
