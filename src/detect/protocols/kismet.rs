//! Kismet: its server greets with its name and version (its documentation, client protocol).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::KISMET, &[2501], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.opens(b"*KISMET: ", Protocol::KISMET) {
        Verdict::No => view.opens(b"KISMET\x04", Protocol::KISMET),
        verdict => verdict,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_server_greets() {
        assert_eq!(Talk::tcp(2501).server(b"*KISMET: 0.0.0 1").protocol(), Protocol::KISMET);
    }
}
