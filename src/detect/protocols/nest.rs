//! Nest's logs over Weave: a length, then the header of a message.

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector =
    Dissector::tcp(Protocol::NEST_LOG_SINK, &[11095], dissect).bound();

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    match view.at(0) {
        Some([_, _, 0, 0x10 | 0x13]) => {
            let fits = view.u16_le_at(0).is_some_and(|len| usize::from(len) < view.len);
            Verdict::when(fits && view.has_port(11095), Protocol::NEST_LOG_SINK)
        }
        None if view.is_short(4) && view.has_port(11095) => Verdict::Wait,
        _ => Verdict::No,
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::{Talk, hex};

    #[test]
    fn a_header_of_weave() {
        let weave = hex("0600001308030000");
        assert_eq!(Talk::tcp(11_095).client(&weave).protocol(), Protocol::NEST_LOG_SINK);
    }
}
