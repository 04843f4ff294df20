//! Gearman: the PROTOCOL document of its sources: requests and responses of binary packets.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::GEARMAN, &[4730], dissect);

/// The highest number of a kind of packets.
const LAST_KIND: u32 = 42;

/// Octets of a packet that is believed.
const MAX_PACKET: u32 = 1 << 24;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([0, b'R', b'E', b'Q' | b'S']) => {}
        Some(_) => return Verdict::No,
        None if matches!(view.data, [0] | [0, b'R'] | [0, b'R', b'E']) => return Verdict::Wait,
        None => return Verdict::No,
    }
    match (view.u32_at(4), view.u32_at(8)) {
        (Some(kind), Some(len)) if (1..=LAST_KIND).contains(&kind) && len <= MAX_PACKET => {
            Verdict::Is(Protocol::GEARMAN)
        }
        (Some(_), Some(_)) => Verdict::No,
        _ => Verdict::Wait,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn requests_and_responses() {
        let request = b"\0REQ\0\0\0\x07\0\0\0\x03a\0b";
        assert_eq!(Talk::tcp(14_730).client(request).protocol(), Protocol::GEARMAN);
        assert_eq!(
            Talk::tcp(14_730).server(b"\0RES\0\0\0\x0a\0\0\0\0").protocol(),
            Protocol::GEARMAN
        );
        let other = b"\0REQ\0\0\x01\x07\0\0\0\x03a\0b";
        assert_eq!(Talk::tcp(14_730).client(other).protocol(), Protocol::UNKNOWN);
    }
}
