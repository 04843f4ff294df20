//! Alcatel's telephones (NOE), UA over UDP: an operation; data has two numbers and messages with
//! lengths, little-endian.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::udp(Protocol::NOE, &[32512, 32640], dissect).bound();

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let at_port = view.has_port(32512) || view.has_port(32640);
    let found = match (view.len, view.first()) {
        (1, Some(1..=5)) => true,
        (5, Some(7)) => true,
        (6.., Some(7)) => view
            .u16_le_at(5)
            .is_some_and(|len| usize::from(len).saturating_add(7) <= view.len && len > 0),
        (4..=256, Some(0)) => {
            let mut cursor = Cursor::new(view.data.get(1..).unwrap_or_default());
            (0..16)
                .all(|_| cursor.is_empty() || cursor.u8() < Some(9) && cursor.counted8().is_some())
        }
        _ => false,
    };
    Verdict::when(at_port && found, Protocol::NOE)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_telephone_is_alive() {
        assert_eq!(Talk::udp(32_512).client(&[4]).protocol(), Protocol::NOE);
        assert_eq!(Talk::udp(32_513).client(&[4]).protocol(), Protocol::UNKNOWN);
    }
}
