//! Viber: chat (TCP 4244, 5242) with a length and a constant, and voice over UDP (5243, 7985,
//! 7987, 9785; Viber's support pages name the ports).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::both(Protocol::VIBER, &[4244, 5242, 5243, 7985, 7987, 9785], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if view.is_tcp() {
        let Some(head) = view.at::<10>(0) else {
            let hopeful = view.has_port(4244) || view.has_port(5242);
            return if hopeful { Verdict::Wait } else { Verdict::No };
        };
        let marked = matches!(head, [_, _, _, _, _, _, 0xfc, 0xff, 3..=6, 0x80]);
        return Verdict::when(marked && view.is_counted16_le(0, 0), Protocol::VIBER);
    }
    // A session's number, a kind, zero; kinds have lengths of their own.
    let at_port = [5243, 7985, 7987, 9785].iter().any(|port| view.has_port(*port));
    let Some([_, _, kind, 0]) = view.at(0) else { return Verdict::No };
    let fits = match kind {
        0x01 => view.len > 40 && view.at(4) == Some([5, 0]),
        0x05 | 0x0c => view.len > 40,
        0x03 => view.len == 12,
        0x09 => view.len == 20,
        0x11 => view.len == 18,
        0x19 => view.len == 34,
        0x1a => view.len == 20,
        _ => false,
    };
    Verdict::when(at_port && fits, Protocol::VIBER)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn chat_and_voice() {
        let chat = hex("1800 00000000 fcff 0580 0900 000000000000 000033000000");
        let talk = Talk::tcp(5242).client(&chat);
        assert_eq!(talk.protocol(), Protocol::VIBER);
        talk.survives();
        assert_eq!(Talk::tcp(5242).client(&chat[..23]).protocol(), Protocol::UNKNOWN);
        let mut voice = hex("05b81100");
        voice.resize(18, 1);
        assert_eq!(Talk::udp(7985).client(&voice).protocol(), Protocol::VIBER);
        assert_eq!(Talk::udp(7986).client(&voice).protocol(), Protocol::UNKNOWN);
    }
}
