//! PPTP: RFC 2637. Length, a control message, the magic cookie.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::PPTP, &[1723], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([0, len, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d]) => {
            Verdict::when(len >= 12 && usize::from(len) <= view.len, Protocol::PPTP)
        }
        None if view.is_short(8) && view.has_port(1723) => Verdict::Wait,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_connection_is_asked_for() {
        let mut start = hex("009c 0001 1a2b3c4d 0001 0000");
        start.resize(156, 0);
        let talk = Talk::tcp(1723).client(&start);
        assert_eq!(talk.protocol(), Protocol::PPTP);
        talk.survives();
    }
}
