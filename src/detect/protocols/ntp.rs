//! NTP: RFC 5905 (version 4), RFC 1305 (3), RFC 1119 (2).

use crate::detect::{Dissector, Facts, Protocol, Verdict, View};

pub(super) const DISSECTOR: Dissector = Dissector::udp(Protocol::NTP, &[123], dissect);

/// Octets of a header without extensions.
const HEADER: usize = 48;

/// Modes of control and private messages, which have headers of their own.
const CONTROL: u8 = 6;
const PRIVATE: u8 = 7;

fn dissect(view: &View<'_>, _facts: &mut Facts) -> Verdict {
    if !view.has_port(123) {
        return Verdict::No;
    }
    let Some([first]) = view.at(0) else { return Verdict::No };
    let (version, mode) = (first >> 3 & 7, first & 7);
    // How far the clock is from a source of time: 16 is without.
    let is_stratum = view.at(1).is_none_or(|[stratum]| stratum <= 16);
    let (least, is_header) = match mode {
        CONTROL => (12, true),
        PRIVATE => (8, true),
        _ => (HEADER, is_stratum),
    };
    if (1..=4).contains(&version) && view.len >= least && is_header {
        Verdict::Is(Protocol::NTP)
    } else {
        Verdict::No
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::Protocol;
    use crate::detect::testing::Talk;

    #[test]
    fn a_question_of_version_4() {
        let mut question = [0; 48];
        question[0] = 0x23;
        assert_eq!(Talk::udp(123).client(&question).protocol(), Protocol::NTP);
        question[0] = 0x3b;
        assert_eq!(Talk::udp(123).client(&question).protocol(), Protocol::UNKNOWN);
        question[0] = 0x23;
        assert_eq!(Talk::udp(123).client(&question[..47]).protocol(), Protocol::UNKNOWN);
        assert_eq!(Talk::udp(9999).client(&question).protocol(), Protocol::UNKNOWN);
    }
}
