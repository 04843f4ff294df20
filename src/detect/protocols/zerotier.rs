//! ZeroTier (`Packet.hpp`): number, receiver, sender, flags and cipher, code, verb. `HELLO` is in
//! the clear: version of the protocol and of the program.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::ZEROTIER, &[9993], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([flags]) = view.at(18) else { return Verdict::No };
    let hello = flags & 0x38 == 0
        && matches!(view.at(27), Some([1, 4..=20, 1 | 2, 0..=40]))
        && view.len >= 100;
    if hello {
        return Verdict::Is(Protocol::ZEROTIER);
    }
    // Sealed packets at the port, when the same two talk again.
    let ends = view.data.get(8..18).unwrap_or_default();
    let fits = view.has_port(9993)
        && matches!(flags & 0x38, 0x08 | 0x18)
        && view.data.get(8) != Some(&0xff)
        && view.len >= 28;
    let again = view.past.iter().any(|past| {
        let head = past.head.get(8..18).unwrap_or_default();
        head == ends || head.get(..5) == ends.get(5..) && head.get(5..) == ends.get(..5)
    });
    match (fits, again) {
        (true, true) => Verdict::Is(Protocol::ZEROTIER),
        (true, false) if view.number < 4 => Verdict::Wait,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_hello_in_the_clear() {
        let mut hello =
            hex("0102030405060708 aabbccddee 1122334455 00 0000000000000000 01 0b 01 0a 0000");
        hello.resize(140, 0);
        assert_eq!(Talk::udp(40_000).client(&hello).protocol(), Protocol::ZEROTIER);
    }
}
