//! NoMachine's NX: the client says its name and version.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::NOMACHINE, &[4000], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"NXSH-", Protocol::NOMACHINE) {
        Verdict::No => view.opens(b"NXD-", Protocol::NOMACHINE),
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_client_says_its_version() {
        assert_eq!(Talk::tcp(4000).client(b"NXSH-7.0.0\n").protocol(), Protocol::NOMACHINE);
    }
}
