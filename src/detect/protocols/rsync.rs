//! rsync with a daemon: rsync(1), the greeting of both ends.

use crate::detect::text::{Start, start};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::RSYNC, &[873], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match start(view.data, b"@RSYNCD: ") {
        Start::Whole => Verdict::Is(Protocol::RSYNC),
        Start::Part => Verdict::Wait,
        Start::No => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn greetings() {
        assert_eq!(Talk::tcp(8730).server(b"@RSYNCD: 31.0\n").protocol(), Protocol::RSYNC);
        assert_eq!(Talk::tcp(8730).server(b"@RSYNC: 31.0\n").protocol(), Protocol::UNKNOWN);
    }
}
