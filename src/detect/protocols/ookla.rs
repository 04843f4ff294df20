//! Ookla's speed test: `HI`, maybe with a number; `HELLO` and the version; then a port or a way to
//! try.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::OOKLA, &[5060, 8080], dissect);

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let data = view.data;
    if data == b"HI\n" || data.starts_with(b"HI ") && data.ends_with(b"\n") && data.len() < 48 {
        return Verdict::Is(Protocol::OOKLA);
    }
    let begun = data.len() < 10
        && (b"HI\n".starts_with(data) || b"HELLO 2.".starts_with(data) || data.starts_with(b"HI "));
    if begun {
        return Verdict::Wait;
    }
    let found = data.starts_with(b"HELLO 2.") && data.contains(&b'(');
    Verdict::when(found, Protocol::OOKLA)
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_client_says_hi() {
        assert_eq!(Talk::tcp(8080).client(b"HI 4af1-77\n").protocol(), Protocol::OOKLA);
        assert_eq!(Talk::tcp(8080).client(b"HIGH\n").protocol(), Protocol::UNKNOWN);
    }
}
