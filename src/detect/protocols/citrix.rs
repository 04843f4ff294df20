//! Citrix: ICA, and the Common Gateway Protocol around it. Both begin with marks.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::CITRIX, &[1494, 2598], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"\x7f\x7fICA\0", Protocol::CITRIX) {
        Verdict::No => view.opens(b"\x1aCGP/01", Protocol::CITRIX),
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_server_greets() {
        let ica = b"\x7f\x7fICA\0";
        assert_eq!(Talk::tcp(1494).server(ica).protocol(), Protocol::CITRIX);
    }
}
