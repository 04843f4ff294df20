//! Among Us: the hello of Hazel (github.com/willardf/Hazel-Networking) has a number, version 0,
//! the client's version and the player's name with its length.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::AMONG_US, &[22023], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([8, _, _, 0, _, _, _, _, len]) = view.at(0) else { return Verdict::No };
    let name = view.data.get(9..).unwrap_or_default();
    let found = (22_000..=23_000).contains(&view.server_port)
        && (1..=20).contains(&len)
        && name.len() >= usize::from(len)
        && name.iter().take(len.into()).all(|octet| *octet >= 0x20);
    Verdict::when(found, Protocol::AMONG_US)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    fn of(port: u16, message: &str) -> Protocol {
        Talk::udp(port).client(&hex(message)).protocol()
    }

    #[test]
    fn a_player_says_a_name() {
        assert_eq!(of(22_023, "08 0001 00 80d90203 06 414141414141"), Protocol::AMONG_US);
        assert_eq!(of(22_023, "08 0001 00 80d90203 06 41414141"), Protocol::UNKNOWN);
    }
}
