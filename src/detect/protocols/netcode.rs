//! netcode.io (its `STANDARD.md`), on which yojimbo rests: a request begins with zero and the
//! version as text.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::YOJIMBO, &[], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    Verdict::when(view.starts(b"\0NETCODE 1.0"), Protocol::YOJIMBO)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_request_says_its_version() {
        let mut request = b"\0NETCODE 1.02\0".to_vec();
        request.resize(1078, 0);
        assert_eq!(Talk::udp(40_000).client(&request).protocol(), Protocol::YOJIMBO);
    }
}
