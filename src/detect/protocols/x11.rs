//! X Window System Protocol 11, connection setup: order of octets, version 11, lengths of the
//! names of authorisation.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::X11, &[6000, 6001], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([b'l', 0, 11, 0, 0, 0, name, 0, data, 0, 0, 0]) => {
            Verdict::when(name <= 64 && data <= 64, Protocol::X11)
        }
        Some([b'B', 0, 0, 11, 0, 0, 0, name, 0, data, 0, 0]) => {
            Verdict::when(name <= 64 && data <= 64, Protocol::X11)
        }
        // The server alone: accepted, version.
        Some([0 | 1, _, 11, 0, 0, 0, ..] | [0 | 1, _, 0, 11, 0, 0, ..]) => {
            let at_port = (6000..=6063).contains(&view.server_port);
            Verdict::when(at_port && !view.from_client, Protocol::X11)
        }
        None if view.is_short(12) && matches!(view.first(), Some(b'l' | b'B')) => Verdict::Wait,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_client_connects() {
        let setup = hex("6c 00 0b00 0000 1200 1000 0000");
        assert_eq!(Talk::tcp(6010).client(&setup).protocol(), Protocol::X11);
        Talk::tcp(6010).client(&setup).survives();
    }
}
