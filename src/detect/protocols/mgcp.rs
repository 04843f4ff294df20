//! MGCP, control of media gateways: RFC 3435.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::MGCP, &[2427, 2727], dissect);

/// Verbs of RFC 3435, 2.3.
const VERBS: [&[u8; 4]; 9] =
    [b"EPCF", b"CRCX", b"MDCX", b"DLCX", b"RQNT", b"NTFY", b"AUEP", b"AUCX", b"RSIP"];

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if is_answer(view) {
        return Verdict::Is(Protocol::MGCP);
    }
    let Some([a, b, c, d, space]) = view.at(0) else { return Verdict::No };
    let verb = [a, b, c, d].map(|octet| octet.to_ascii_uppercase());
    if space != b' ' {
        return Verdict::No;
    }
    let line = view.data.split(|octet| *octet == b'\n').next().unwrap_or_default();
    if VERBS.contains(&&verb) {
        let named = line.windows(6).any(|window| window.eq_ignore_ascii_case(b" MGCP "));
        return Verdict::when(named, Protocol::MGCP);
    }
    Verdict::No
}

/// Three digits and the number of the question: what is seen first where both ends have questions.
fn is_answer(view: &View<'_>) -> bool {
    let Some([b'1'..=b'9', b'0'..=b'9', b'0'..=b'9', b' ', rest @ ..]) =
        view.data.first_chunk::<14>()
    else {
        return false;
    };
    let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let is_here = DISSECTOR.ports.iter().any(|port| view.has_port(*port));
    is_here && (1..=9).contains(&digits) && matches!(rest.get(digits), Some(b' ' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_notification_of_mgcp() {
        let notify = b"NTFY 2002 aaln/1@rgw.example MGCP 1.0\r\nX: 0\r\n";
        assert_eq!(Talk::udp(2727).client(notify).protocol(), Protocol::MGCP);
        let answer = b"200 1203 OK\r\n\r\nv=0\r\n";
        assert_eq!(Talk::udp(2427).server(answer).protocol(), Protocol::MGCP);
        assert_eq!(Talk::udp(9).server(answer).protocol(), Protocol::UNKNOWN);
        let other = b"NTFY 2002 aaln/1@rgw.example\r\n";
        assert_eq!(Talk::udp(2727).client(other).protocol(), Protocol::UNKNOWN);
    }
}
