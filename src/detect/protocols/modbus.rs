//! Modbus over TCP: "MODBUS Messaging on TCP/IP Implementation Guide V1.0b"; UMAS, which
//! Schneider's controllers speak within function 90.

use crate::detect::{Dissector, Fact, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::MODBUS, &[502], dissect);

/// Octets before what the length counts.
const PREFIX: usize = 6;

/// The function that carries UMAS.
const UMAS: u8 = 90;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    let Some([_, _, 0, 0, high, low, _unit, function]) = view.at(0) else {
        let is_prefix = view.at(2).is_none_or(|protocol| protocol == [0, 0]);
        return if is_prefix && view.data.len() < 8 { view.short() } else { Verdict::No };
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let is_answer = function & 0x80 != 0 && len == 3;
    let is_function =
        matches!(function, 1..=8 | 11 | 12 | 15..=17 | 20..=24 | 43 | UMAS) || is_answer;
    let is_whole = view.data.len() >= len.saturating_add(PREFIX);
    if !(2..=254).contains(&len) || !is_function || !is_whole {
        return Verdict::No;
    }
    let is_alone = view.data.len() == len.saturating_add(PREFIX);
    // Elsewhere than at home the sizes of requests must fit their functions.
    let is_shaped = match function {
        1..=6 => len == 6,
        15 | 16 => view.at(12).is_some_and(|[count]| usize::from(count).saturating_add(7) == len),
        _ => false,
    };
    let is_request = is_alone && is_shaped && view.from_client;
    if !(is_request || view.has_port(502)) {
        return Verdict::No;
    }
    if function == UMAS {
        facts.put(Fact::Application, b"umas");
    }
    Verdict::Is(Protocol::MODBUS)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::{Talk, hex};
    use crate::detect::{Fact, Protocol};

    #[test]
    fn registers_are_read() {
        let read = hex("0001 0000 0006 01 03 006b 0003");
        assert_eq!(Talk::tcp(502).client(&read).protocol(), Protocol::MODBUS);
        assert_eq!(Talk::tcp(5020).client(&read).protocol(), Protocol::MODBUS);
        assert_eq!(
            Talk::tcp(502).client(&read[..4]).client(&read[4..]).protocol(),
            Protocol::MODBUS
        );
        let answer = hex("0001 0000 0009 01 03 06 022b 0000 0064");
        assert_eq!(Talk::tcp(502).server(&answer).protocol(), Protocol::MODBUS);
        assert_eq!(Talk::tcp(5020).server(&answer).protocol(), Protocol::UNKNOWN);
        let mut other = read;
        other[2] = 1;
        assert_eq!(Talk::tcp(502).client(&other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn umas_is_an_application_of_it() {
        let umas = hex("0001 0000 0004 00 5a 00 02");
        let talk = Talk::tcp(502).client(&umas);
        assert_eq!(talk.protocol(), Protocol::MODBUS);
        assert_eq!(talk.fact(Fact::Application).as_deref(), Some("umas"));
    }
}
