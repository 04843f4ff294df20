//! IMO: acknowledgements among the first datagrams of a call: kind, two octets, a number, zeros.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::IMO, &[], dissect).weak();

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let found = match view.len {
        10 => matches!(view.at(0), Some([9, 2 | 3, _, _, _, 0, 0, 0, 0, 0])),
        11 => matches!(view.at(0), Some([0, 9, 2 | 3, _, _, _, 0, 0, 0, 0, 0])),
        _ => false,
    };
    if found {
        Verdict::Is(Protocol::IMO)
    } else if view.number <= 3 && view.server_port > 1024 {
        Verdict::Wait
    } else {
        Verdict::No
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn an_acknowledgement_of_a_call() {
        let talk = Talk::udp(57_604).client(&[7]).server(&hex("0902dc9a020000000000"));
        assert_eq!(talk.protocol(), Protocol::IMO);
    }
}
