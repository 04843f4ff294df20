//! Megaco or H.248, control of media gateways, in its text form: RFC 3525.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::both(Protocol::MEGACO, &[2944], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
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
