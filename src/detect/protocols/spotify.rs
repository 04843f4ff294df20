//! Spotify: discovery of neighbours by broadcast, and the hello to an access point (librespot's
//! documentation): version, length, keys in protobuf.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::SPOTIFY, &[57621, 4070], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_udp() {
        return Verdict::when(view.starts(b"SpotUdp0"), Protocol::SPOTIFY);
    }
    match view.at(0) {
        Some([0, 4, 0, 0, _, _, 0x52, _, 0x50 | 0x0e | 0x0f]) => {
            Verdict::when(view.is_counted32(2, 0), Protocol::SPOTIFY)
        }
        None if view.is_short(9)
            && [0, 4, 0, 0].starts_with(view.data.get(..4).unwrap_or(view.data)) =>
        {
            Verdict::Wait
        }
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_neighbour_is_looked_for() {
        assert_eq!(Talk::udp(57_621).client(b"SpotUdp0....").protocol(), Protocol::SPOTIFY);
    }
}
