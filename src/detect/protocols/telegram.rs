//! Telegram: MTProto's transports (core.telegram.org/mtproto/mtproto-transports) and the reflector
//! of its calls (libtgvoip). Transport that is obfuscated looks like noise and is not found here.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::TELEGRAM, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        return Verdict::when(is_reflector(view), Protocol::TELEGRAM);
    }
    match view.first() {
        // Abridged: length in words; the first message is not encrypted, its key number zero.
        Some(0xef) => match view.at::<10>(0) {
            None if view.is_start => Verdict::Wait,
            Some([_, words, 0, 0, 0, 0, 0, 0, 0, 0]) => {
                let len = usize::from(words).saturating_mul(4).saturating_add(2);
                Verdict::when(len == view.len && words < 0x7f, Protocol::TELEGRAM)
            }
            _ => Verdict::No,
        },
        // Intermediate, plain or padded.
        Some(0xee | 0xdd) => match view.at::<16>(0) {
            None if view.is_start => Verdict::Wait,
            Some(head) => {
                let found =
                    matches!(head, [0xee, 0xee, 0xee, 0xee, ..] | [0xdd, 0xdd, 0xdd, 0xdd, ..])
                        && head.get(8..) == Some(&[0; 8])
                        && view.u32_le_at(4).is_some_and(|len| len < 1 << 12);
                Verdict::when(found, Protocol::TELEGRAM)
            }
            None => Verdict::No,
        },
        _ => Verdict::No,
    }
}

/// Tag of the peer, twelve octets of ones, then a question (ones, but for its number), or the
/// constructor of an answer.
fn is_reflector(view: &View<'_>) -> bool {
    let Some(ones) = view.at::<12>(16) else { return false };
    ones == [0xff; 12]
        && matches!(
            view.at(28),
            Some([0xfe, 0xff, 0xff, 0xff] | [0xc7, 0x72, 0x15, 0xc0] | [0x37, 0x28, 0xcd, 0x3c])
        )
        && view.at::<4>(0) != Some([0xff; 4])
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_reflector_is_asked() {
        let mut ask = hex("dc4c00291565b7acbc236da9eda0d597");
        ask.extend([0xff; 12]);
        ask.extend(hex("feffffff 2490fe951c294056"));
        let talk = Talk::udp(538).client(&ask);
        assert_eq!(talk.protocol(), Protocol::TELEGRAM);
        talk.survives();
        ask[16] = 0;
        assert_eq!(Talk::udp(538).client(&ask).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_first_message_in_the_clear() {
        let mut ask = hex("ef0a 0000000000000000");
        ask.resize(42, 0x31);
        assert_eq!(Talk::tcp(443).client(&ask).protocol(), Protocol::TELEGRAM);
        ask[4] = 1;
        assert_eq!(Talk::tcp(443).client(&ask).protocol(), Protocol::UNKNOWN);
    }
}
