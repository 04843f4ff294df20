//! Rx, the calls of AFS (OpenAFS, `rx_packet`): epoch, connection, call, two numbers, kind, flags,
//! status, security, spare, service.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(
    Protocol::RX,
    &[7000, 7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008, 7009, 7021],
    dissect,
)
.bound();

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let Some([kind, flags, _, security]) = view.at(20) else { return Verdict::No };
    let at_port =
        (7000..=7021).contains(&view.server_port) || (7000..=7021).contains(&view.client_port);
    let small = |at| view.u32_at(at).is_some_and(|number: u32| number < 1 << 24);
    let found = at_port
        && matches!(kind, 1..=13)
        && flags & 0xc0 == 0
        && security <= 6
        && small(8)
        && small(12)
        && small(16)
        && view.len >= 28;
    Verdict::when(found, Protocol::RX)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_call_at_the_ports_of_afs() {
        let call =
            hex("d70fb330 5c224fb4 00000001 00000001 00000001 01 05 00 00 0000 0001 00010004");
        let talk = Talk::udp(7003).client(&call);
        assert_eq!(talk.protocol(), Protocol::RX);
        talk.survives();
        assert_eq!(Talk::udp(8003).client(&call).protocol(), Protocol::UNKNOWN);
    }
}
