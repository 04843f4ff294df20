//! KCP: github.com/skywind3000/kcp, `protocol.txt`.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::KCP, &[], dissect);

/// Number of the conversation, command, fragment, window, time, number, next expected; the length
/// of what follows. Several may follow each other and fill the datagram.
fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.data.len() < view.len || view.len < 24 {
        return Verdict::No;
    }
    let mut cursor = view.cursor();
    let conversation = view.u32_at(0);
    for _ in 0..64 {
        if cursor.is_empty() {
            return Verdict::Is(Protocol::KCP);
        }
        let same = cursor.u32() == conversation;
        let Some([command, fragment]) = cursor.array() else { return Verdict::No };
        if !same || !matches!(command, 81..=84) || fragment > 128 {
            return Verdict::No;
        }
        if cursor.skip(14).is_none() {
            return Verdict::No;
        }
        let Some(len) = cursor.u32_le().and_then(|len| usize::try_from(len).ok()) else {
            return Verdict::No;
        };
        // Only data carries something.
        if command != 81 && len != 0 || cursor.skip(len).is_none() {
            return Verdict::No;
        }
    }
    Verdict::No
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn segments_fill_the_datagram() {
        let receipt = hex("0a000000 52 00 7f00 14000000 00000000 01000000 00000000");
        let talk = Talk::udp(8000).client(&receipt);
        assert_eq!(talk.protocol(), Protocol::KCP);
        talk.survives();
        let mut two = receipt;
        two.extend(hex("0a000000 51 00 8000 14000000 00000000 01000000 02000000 6869"));
        assert_eq!(Talk::udp(8000).client(&two).protocol(), Protocol::KCP);
        two.pop();
        assert_eq!(Talk::udp(8000).client(&two).protocol(), Protocol::UNKNOWN);
    }
}
