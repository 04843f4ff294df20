//! MikroTik's neighbour discovery (MNDP): a request of zeros, else a number and fields: address of
//! the device, name, version.

use crate::detect::cursor::Cursor;
use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::udp(Protocol::MIKROTIK, &[5678], dissect).bound();

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    if !view.has_port(5678) {
        return Verdict::No;
    }
    if view.len <= 9 && view.len >= 4 && view.data.iter().all(|octet| *octet == 0) {
        return Verdict::Is(Protocol::MIKROTIK);
    }
    let Some([0, 1, 0, 6]) = view.at(4) else { return Verdict::No };
    let mut cursor = Cursor::new(view.data.get(4..).unwrap_or_default());
    for _ in 0..32 {
        let (Some(kind), Some(value)) = (cursor.u16(), cursor.counted16()) else { break };
        match kind {
            5 => facts.put(Fact::HostName, value),
            7 => facts.put(Fact::Version, value),
            _ => {}
        }
    }
    Verdict::Is(Protocol::MIKROTIK)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_router_names_itself() {
        let talk = Talk::udp(5678).client(&hex("00000001 0001 0006 020000000001 0005 0002 7274"));
        assert_eq!(talk.protocol(), Protocol::MIKROTIK);
        assert_eq!(talk.fact(Fact::HostName).as_deref(), Some("rt"));
        talk.survives();
        assert_eq!(Talk::udp(5678).client(&[0; 4]).protocol(), Protocol::MIKROTIK);
    }
}
