//! Subversion's own protocol: subversion/libsvn_ra_svn/protocol of its sources.

use crate::detect::text::{Start, start_of};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::SVN, &[3690], dissect);

/// The server's greeting with its versions, the client's answer.
const BEGINNINGS: [&[u8]; 4] =
    [b"( success ( 1 2 ", b"( success ( 2 2 ", b"( 2 ( edit-pipeline ", b"( 2 ( svndiff"];

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match start_of(view.data, &BEGINNINGS) {
        Start::Whole => Verdict::Is(Protocol::SVN),
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
        let greeting = b"( success ( 2 2 ( ) ( edit-pipeline svndiff1 ) ) ) ";
        assert_eq!(Talk::tcp(13_690).server(greeting).protocol(), Protocol::SVN);
        assert_eq!(Talk::tcp(13_690).server(b"( failure ( ").protocol(), Protocol::UNKNOWN);
    }
}
