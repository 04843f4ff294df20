//! FIX, by which orders are given at exchanges: FIX session layer, messages of tags and values.

use crate::detect::facts::Fact;
use crate::detect::text::{Start, find, start_of};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::FIX, &[], dissect);

/// Octets of the fields that come first: the version, the length, the kind.
const MAX_BEFORE: usize = 48;

fn dissect(view: &View<'_>, facts: &mut Facts) -> Verdict {
    match start_of(view.data, &[b"8=FIX.4.", b"8=FIX.5.", b"8=FIXT.1.1\x01"]) {
        Start::Whole => {}
        Start::Part => return Verdict::Wait,
        Start::No => return Verdict::No,
    }
    let head = view.data.get(..MAX_BEFORE).unwrap_or(view.data);
    let Some(at) = find(head, b"\x019=") else {
        return if head.len() < MAX_BEFORE { Verdict::Wait } else { Verdict::No };
    };
    facts.put(Fact::Version, head.get(2..at).unwrap_or_default());
    Verdict::Is(Protocol::FIX)
}

#[cfg(test)]
mod tests {
    use crate::detect::testing::Talk;
    use crate::detect::{Fact, Protocol};

    #[test]
    fn a_logon() {
        let talk = Talk::tcp(9878).client(b"8=FIX.4.2\x019=65\x0135=A\x0149=BUYER\x01");
        assert_eq!(talk.protocol(), Protocol::FIX);
        assert_eq!(talk.fact(Fact::Version).as_deref(), Some("FIX.4.2"));
        assert_eq!(Talk::tcp(9878).client(b"8=FIX.4.2 is a name").protocol(), Protocol::UNKNOWN);
    }
}
