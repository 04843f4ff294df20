//! HTTP/2 without TLS, known beforehand: RFC 9113, 3.3 and 3.4.

use crate::detect::text::{Start, start};
use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::tcp(Protocol::HTTP2, &[], dissect);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    let (own, other) = (start(view.data, PREFACE), start(view.other, PREFACE));
    if own == Start::Whole || other == Start::Whole {
        return Verdict::Is(Protocol::HTTP2);
    }
    match own {
        Start::Part => Verdict::Wait,
        _ if !view.other.is_empty() && other == Start::Part => Verdict::Wait,
        // The server's settings may come first, or be all that is seen.
        _ if settings(view.data) && view.other.is_empty() => {
            Verdict::when(!view.from_client && view.is_start, Protocol::HTTP2)
        }
        _ if view.is_start && view.is_short(15) && view.data.starts_with(&[0, 0]) => Verdict::Wait,
        _ => Verdict::No,
    }
}

/// A frame of whole settings on stream 0, the first of them one of those that have a name.
fn settings(frame: &[u8]) -> bool {
    matches!(frame, [0, 0, len @ 6..=96, 4, 0, 0, 0, 0, 0, 0, 1..=9, ..] if len % 6 == 0)
}

#[cfg(test)]
mod tests {
    use super::PREFACE;
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn the_preface() {
        assert_eq!(Talk::tcp(50_051).client(PREFACE).protocol(), Protocol::HTTP2);
        let settings = b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
        let talk = Talk::tcp(50_051).server(settings).client(PREFACE);
        assert_eq!(talk.protocol(), Protocol::HTTP2);
        let talk = Talk::tcp(50_051).client(&PREFACE[..9]).client(&PREFACE[9..]);
        assert_eq!(talk.protocol(), Protocol::HTTP2);
        assert_eq!(Talk::tcp(50_051).client(&PREFACE[..20]).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::tcp(50_051).server(settings).protocol(), Protocol::HTTP2);
        let other = b"\0\0\x06\x04\0\0\0\0\0\x03\0\0\0\x64\0";
        assert_eq!(Talk::tcp(50_051).server(other).protocol(), Protocol::UNKNOWN);
    }
}
