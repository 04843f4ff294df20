//! PROXY protocol, versions 1 and 2, as HAProxy's documentation defines it: who the client was,
//! said before the connection proper.

use crate::detect::text::{Start, line, start, start_of};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::HAPROXY, &[], dissect);

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Octets of the line of version 1 at most.
const MAX_LINE: usize = 107;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match start(view.data, SIGNATURE) {
        Start::Whole => {
            return match view.at::<2>(SIGNATURE.len()) {
                Some([0x20 | 0x21, 0 | 0x11 | 0x12 | 0x21 | 0x22 | 0x31 | 0x32]) => {
                    Verdict::Is(Protocol::HAPROXY)
                }
                Some(_) => Verdict::No,
                None => Verdict::Wait,
            };
        }
        Start::Part => return Verdict::Wait,
        Start::No => {}
    }
    match start_of(view.data, &[b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"]) {
        Start::Whole => match line(view.data) {
            Some((line, _)) if line.len() < MAX_LINE => Verdict::Is(Protocol::HAPROXY),
            None if view.len < MAX_LINE => Verdict::Wait,
            _ => Verdict::No,
        },
        Start::Part => Verdict::Wait,
        Start::No => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use super::SIGNATURE;
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn both_versions() {
        let talk = Talk::tcp(8081).client(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\nGET / HT");
        assert_eq!(talk.protocol(), Protocol::HAPROXY);
        let mut binary = SIGNATURE.to_vec();
        binary.extend(b"\x21\x11\0\x0c");
        assert_eq!(Talk::tcp(8081).client(&binary).protocol(), Protocol::HAPROXY);
        binary[12] = 0x11;
        assert_eq!(Talk::tcp(8081).client(&binary).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(8081).client(b"PROXY TCP5 a").protocol(), Protocol::UNKNOWN);
    }
}
