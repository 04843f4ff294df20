//! Riot Games: probes of the way to a server end with a pattern; Valorant's first datagram has the
//! place of a cookie empty.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::RIOT_GAMES, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = match view.len {
        36 => view.data.ends_with(&[0xaa, 0xaa, 0xaa, 0xaa, 0xbb, 0xbb, 0xbb, 0xbb]),
        53 => {
            (7000..=8000).contains(&view.server_port)
                && view.at(8) == Some([1, 0, 0, 0])
                && view.at(12) == Some([0; 24])
        }
        _ => false,
    };
    Verdict::when(found, Protocol::RIOT_GAMES)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_probe_ends_with_a_pattern() {
        let probe = format!("{} aaaaaaaabbbbbbbb", "11".repeat(28));
        assert_eq!(of(7998, &probe), Protocol::RIOT_GAMES);
    }
}
