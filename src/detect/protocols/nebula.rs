//! Nebula (github.com/slackhq/nebula, `header.go`): version 1, kind, no reserved bits. A handshake
//! has no receiver yet and counts 1 or 2.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::NEBULA, &[4242], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([head, sub, 0, 0]) = view.at(0) else { return Verdict::No };
    let number = view.at::<8>(8).map(u64::from_be_bytes);
    let found = match (head, sub) {
        (0x10, 0) => matches!(number, Some(1 | 2)) && view.len > 64,
        (0x11..=0x15, 0..=2) => {
            view.has_port(4242) && number.is_some_and(|n| n < 1 << 40) && view.len >= 32
        }
        _ => false,
    };
    Verdict::when(found, Protocol::NEBULA)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_handshake_has_no_receiver() {
        let mut first = hex("10000000 00000000 0000000000000001");
        first.resize(120, 9);
        assert_eq!(Talk::udp(4242).client(&first).protocol(), Protocol::NEBULA);
    }
}
