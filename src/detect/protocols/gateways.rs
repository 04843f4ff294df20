//! Control of media gateways: MGCP (RFC 3435) and Megaco or H.248 in its text form (RFC 3525).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const MGCP: Dissector = Dissector::udp(Protocol::MGCP, &[2427, 2727], mgcp);

pub(super) const MEGACO: Dissector = Dissector::both(Protocol::MEGACO, &[2944], megaco);

/// Verbs of RFC 3435, 2.3.
const VERBS: [&[u8; 4]; 9] =
    [b"EPCF", b"CRCX", b"MDCX", b"DLCX", b"RQNT", b"NTFY", b"AUEP", b"AUCX", b"RSIP"];

fn mgcp(view: &View<'_>, _facts: &mut Facts) -> Verdict {
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

fn megaco(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if let Some([b'!', b'/', b'1'..=b'3', b' ' | b'\r' | b'\n', next]) = view.at(0) {
        return Verdict::when(matches!(next, b'[' | b'<' | b'M' | b' ' | b'm'), Protocol::MEGACO);
    }
    view.opens(b"MEGACO/", Protocol::MEGACO)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_notification_of_mgcp() {
        let notify = b"NTFY 2002 aaln/1@rgw.example MGCP 1.0\r\nX: 0\r\n";
        assert_eq!(Talk::udp(2727).client(notify).protocol(), Protocol::MGCP);
        let other = b"NTFY 2002 aaln/1@rgw.example\r\n";
        assert_eq!(Talk::udp(2727).client(other).protocol(), Protocol::UNKNOWN);
    }

    #[test]
    fn a_transaction_of_megaco() {
        let short = b"!/1 [192.0.2.1]:2944 T=1{C=-{AV=R/1{}}}";
        assert_eq!(Talk::udp(2944).client(short).protocol(), Protocol::MEGACO);
        assert_eq!(
            Talk::tcp(2944).client(b"MEG").client(b"ACO/1 [a]").protocol(),
            Protocol::MEGACO
        );
        assert_eq!(Talk::udp(2944).client(b"!/9 [a]").protocol(), Protocol::UNKNOWN);
    }
}
